//! What a kind of pump can do.

use units::{Duration, Flow, FlowRate, Per, StepVolume, Volume};

/// No pump is asked for more than 1,000 steps a second \[P\], in thousandths of a hertz, whatever its bounds say.
///
/// Nine times the 111 steps/s of 24 mL/day at 2.5 nL a step (clinical reference, 2.10). The promise that delivery stays within one
/// step rests on a period far longer than the 1.5 us by which an order's steps can lag.
pub const FASTEST_STEP_RATE_MILLIHERTZ: u32 = 1_000_000;

/// A thousand seconds: as many steps as the rate has millihertz take that long.
const THOUSAND_SECONDS: Duration = Duration::from_seconds(1_000);

/// The limits of one pump: its kind and its calibration. Every prescription is checked against them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// What one motor step displaces, from calibration.
    pub step_volume: StepVolume,
    /// The rate that only keeps the rotor turning and the catheter open. Between it and `lowest` there is nothing.
    pub minimum_rate: FlowRate,
    /// The lowest therapeutic rate, itself allowed.
    pub lowest: FlowRate,
    /// The highest rate, itself allowed.
    pub highest: FlowRate,
    /// The largest deliverable volume the reservoir takes.
    pub capacity: Volume,
    /// The fastest the motor may step, in thousandths of a hertz; at most [`FASTEST_STEP_RATE_MILLIHERTZ`] counts.
    pub maximum_step_rate_millihertz: u32,
}

impl Bounds {
    /// A programmable implant with a 20 mL reservoir, before calibration.
    ///
    /// | number | source |
    /// |---|---|
    /// | step 2.5 nL | \[P\] clinical reference 2.10 |
    /// | minimum rate 0.006 mL/day | \[GK\] clinical reference 1.2, 1.3 |
    /// | lowest 0.048 mL/day | \[S10\] clinical reference 1.3 |
    /// | highest 24 mL/day | \[GK\] clinical reference 1.3 |
    /// | capacity 20 mL | \[S09\] clinical reference 1.1 |
    /// | 125 steps/s | \[P\] 24 mL/day at a step 10 % under nominal (2.25 nL) is 123.5 steps/s, rounded up |
    pub const PROGRAMMABLE_IMPLANT: Self = Self {
        step_volume: StepVolume::NOMINAL,
        minimum_rate: FlowRate::new(Volume::from_microlitres(6), Per::Day),
        lowest: FlowRate::new(Volume::from_microlitres(48), Per::Day),
        highest: FlowRate::new(Volume::from_millilitres(24), Per::Day),
        capacity: Volume::from_millilitres(20),
        maximum_step_rate_millihertz: 125_000,
    };

    /// The step rate that binds, in thousandths of a hertz.
    #[must_use]
    pub fn binding_step_rate_millihertz(&self) -> u32 {
        self.maximum_step_rate_millihertz
            .min(FASTEST_STEP_RATE_MILLIHERTZ)
    }

    /// The flows that no delivery exceeds, themselves allowed, each as a volume over a time: the highest rate and the motor's pace.
    pub(crate) fn flow_ceilings(&self) -> [(Volume, Duration); 2] {
        let steps = u64::from(self.binding_step_rate_millihertz());
        // 2^32 fL times 10^6 steps fit.
        let pace = self.step_volume.volume_of(steps).unwrap_or(Volume::ZERO);
        let per = Duration::from_micros(self.highest.per().micros());
        [(self.highest.volume(), per), (pace, THOUSAND_SECONDS)]
    }

    /// Whether the motor can step fast enough for a flow.
    pub(crate) fn can_step_for(&self, flow: Flow) -> bool {
        let steps = u64::from(self.binding_step_rate_millihertz());
        self.step_volume
            .volume_of(steps)
            .and_then(|volume| Flow::of_volume_over(volume, THOUSAND_SECONDS))
            .is_some_and(|fastest| flow <= fastest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_motor_keeps_up_with_the_highest_rate_at_every_calibration() {
        for step in [2_250_000, 2_500_000, 2_750_000] {
            let step_volume = StepVolume::new(step).unwrap();
            let bounds = Bounds {
                step_volume,
                ..Bounds::PROGRAMMABLE_IMPLANT
            };
            assert!(bounds.can_step_for(bounds.highest.flow()), "{step}");
        }
    }

    #[test]
    fn the_step_rate_itself_is_allowed_and_no_more() {
        // 400 nL/s at 2.5 nL are 160 steps/s.
        let flow: FlowRate = "1.44 mL/h".parse().unwrap();
        let at = |maximum_step_rate_millihertz| Bounds {
            maximum_step_rate_millihertz,
            ..Bounds::PROGRAMMABLE_IMPLANT
        };
        assert!(at(160_000).can_step_for(flow.flow()));
        assert!(!at(159_999).can_step_for(flow.flow()));
        assert!(!at(0).can_step_for(flow.flow()));
        assert!(at(0).can_step_for(Flow::ZERO));
    }

    #[test]
    fn the_ceilings_are_the_highest_rate_and_the_pace_of_the_motor() {
        // 125 steps/s of 2.5 nL: 0.3125 mL in 1000 s.
        assert_eq!(
            Bounds::PROGRAMMABLE_IMPLANT.flow_ceilings(),
            [
                (Volume::from_millilitres(24), Duration::from_days(1)),
                (
                    Volume::from_nanolitres(312_500),
                    Duration::from_seconds(1_000)
                ),
            ]
        );
    }

    #[test]
    fn no_bounds_are_wider_than_the_fastest_step_rate() {
        let bounds = Bounds {
            maximum_step_rate_millihertz: u32::MAX,
            ..Bounds::PROGRAMMABLE_IMPLANT
        };
        assert_eq!(bounds.binding_step_rate_millihertz(), 1_000_000);
        let widest = Bounds {
            step_volume: StepVolume::new(u32::MAX).unwrap(),
            ..bounds
        };
        assert!(widest.can_step_for("15000 mL/h".parse::<FlowRate>().unwrap().flow()));
        assert!(!widest.can_step_for("15500 mL/h".parse::<FlowRate>().unwrap().flow()));
    }

    #[test]
    fn the_implant_has_the_numbers_of_its_sources() {
        let bounds = Bounds::PROGRAMMABLE_IMPLANT;
        let text = std::format!(
            "{} {} {} {} {}",
            bounds.step_volume,
            bounds.minimum_rate,
            bounds.lowest,
            bounds.highest,
            bounds.capacity
        );
        assert_eq!(text, "2.5 nL 0.006 mL/day 0.048 mL/day 24 mL/day 20 mL");
    }
}
