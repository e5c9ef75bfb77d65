//! The exact count of steps a flow has prescribed.

use core::num::NonZeroU128;

use units::{Duration, Flow, PumpTime, Ratio, StepVolume, common_denominator, count_and_carry};

/// Counts the whole steps a flow has prescribed since it started, exactly, for as long as the clock can count.
///
/// The flow and the step volume make one fraction of steps per microsecond. Every answer is that fraction times the time since
/// the start, and what was carried in: the remainder below a whole step is never dropped, so that nothing drifts after a minute or ten years,
/// nor when one rate follows another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accumulator {
    flow: Flow,
    step_volume: StepVolume,
    /// Steps per microsecond; not reduced, so that `carry` can be on the same denominator.
    numerator: u128,
    denominator: NonZeroU128,
    /// Parts of a step that were there at the start, of `denominator`; less than one step.
    carry: u128,
    start: PumpTime,
}

impl Accumulator {
    /// Starts counting: at `start` nothing is due yet, the first step comes one whole period later.
    #[must_use]
    pub fn new(flow: Flow, step_volume: StepVolume, start: PumpTime) -> Self {
        let steps_per_microsecond = steps_per_microsecond(flow, step_volume);
        Self {
            flow,
            step_volume,
            numerator: steps_per_microsecond.numerator(),
            denominator: steps_per_microsecond.denominator(),
            carry: 0,
            start,
        }
    }

    /// Goes on at another flow from `at`, with the part of a step that was due by then.
    ///
    /// Two rates of one program have a common denominator of at most 118 bits (concentration 32, day 37, step volume 32, duration in seconds
    /// 17). Of rates that have none in 128 bits the part of a step would be left out.
    #[must_use]
    pub fn then(&self, flow: Flow, step_volume: StepVolume, at: PumpTime) -> Self {
        let next = Self::new(flow, step_volume, at);
        self.carried_into(&next, at).unwrap_or(next)
    }

    fn carried_into(&self, next: &Self, at: PumpTime) -> Option<Self> {
        let elapsed = at.saturating_since(self.start);
        let (_, rest) = count_and_carry(
            self.numerator,
            self.denominator,
            elapsed.micros(),
            self.carry,
        )?;
        let denominator = common_denominator(self.denominator, next.denominator)?;
        let scale = |parts: u128, of: NonZeroU128| {
            parts.checked_mul(units::divide(denominator.get(), of).0)
        };
        Some(Self {
            numerator: scale(next.numerator, next.denominator)?,
            denominator,
            carry: scale(rest, self.denominator)?,
            ..*next
        })
    }

    /// The flow that is counted.
    #[must_use]
    pub const fn flow(&self) -> Flow {
        self.flow
    }

    /// What one step displaces.
    #[must_use]
    pub const fn step_volume(&self) -> StepVolume {
        self.step_volume
    }

    /// When counting started.
    #[must_use]
    pub const fn start(&self) -> PumpTime {
        self.start
    }

    /// Whole steps prescribed from the start to `at`, rounded down; 0 before the start, at most `u64::MAX`.
    #[must_use]
    pub fn due_by(&self, at: PumpTime) -> u64 {
        let elapsed = at.saturating_since(self.start);
        count_and_carry(
            self.numerator,
            self.denominator,
            elapsed.micros(),
            self.carry,
        )
        .map_or(u64::MAX, |(steps, _)| steps)
    }

    /// The first microsecond at which [`Accumulator::due_by`] reaches `step`; `None` when the clock ends before or nothing flows.
    /// Step 0 is the start.
    #[must_use]
    pub fn time_of_step(&self, step: u64) -> Option<PumpTime> {
        if step == 0 {
            return Some(self.start);
        }
        let numerator = NonZeroU128::new(self.numerator)?;
        // The smallest time with numerator x time >= step x denominator - carry.
        let (micros, rest) = count_and_carry(self.denominator.get(), numerator, step, 0)?;
        let micros = match self.carry.checked_sub(rest) {
            Some(more) => {
                let earlier = units::divide(more, numerator).0;
                micros.saturating_sub(u64::try_from(earlier).unwrap_or(u64::MAX))
            }
            None => micros.checked_add(1)?,
        };
        self.start.checked_add(Duration::from_micros(micros))
    }

    /// Steps per microsecond, exactly.
    #[must_use]
    pub fn steps_per_microsecond(&self) -> Ratio {
        Ratio::new(self.numerator, self.denominator)
    }

    /// From one step to the next in nanoseconds, rounded up; at most `u64::MAX`, which also stands for no flow.
    #[must_use]
    pub fn period_nanoseconds_rounded_up(&self) -> u64 {
        /// Nanoseconds in a microsecond.
        const NANOSECONDS: u64 = 1_000;
        let period = NonZeroU128::new(self.numerator).and_then(|numerator| {
            count_and_carry(self.denominator.get(), numerator, NANOSECONDS, 0)
        });
        match period {
            Some((period, 0)) => period,
            Some((period, _)) => period.saturating_add(1),
            None => u64::MAX,
        }
    }
}

fn steps_per_microsecond(flow: Flow, step_volume: StepVolume) -> Ratio {
    // A flow's denominator is at most 2^96 and a step volume has 32 bits, so that the quotient always fits; were it not so, nothing
    // would be due, which is the safe side.
    NonZeroU128::new(u128::from(step_volume.femtolitres()))
        .and_then(|step| flow.ratio().divided_by(step))
        .unwrap_or(Ratio::ZERO)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use num_bigint::BigUint;
    use proptest::prelude::*;
    use units::{Concentration, DoseRate, FlowRate, Mass, Per, Volume};

    use super::*;

    const YEAR: u64 = 366 * 86_400_000_000;

    fn flow(text: &str) -> Flow {
        text.parse::<FlowRate>().unwrap().flow()
    }

    /// Clinical reference, 2.10: steps a day and their interval.
    ///
    /// Requirement: CALC-10
    #[test]
    fn counts_the_worked_examples() {
        let start = PumpTime::from_micros(17);
        let day = start.saturating_add(Duration::from_days(1));
        for (rate, steps, micros) in [
            ("0.006 mL/day", 2_400, 36_000_000),
            ("0.048 mL/day", 19_200, 4_500_000),
            ("0.25 mL/day", 100_000, 864_000),
            ("24 mL/day", 9_600_000, 9_000),
        ] {
            let accumulator = Accumulator::new(flow(rate), StepVolume::NOMINAL, start);
            assert_eq!(accumulator.due_by(day), steps, "{rate}");
            let period = Ratio::new(u128::from(micros), NonZeroU128::MIN).inverse();
            assert_eq!(Some(accumulator.steps_per_microsecond()), period, "{rate}");
            assert_eq!(accumulator.time_of_step(steps), Some(day), "{rate}");
            assert_eq!(
                accumulator.period_nanoseconds_rounded_up(),
                micros * 1_000,
                "{rate}"
            );
        }
    }

    #[test]
    fn the_first_step_comes_a_period_after_the_start() {
        let start = PumpTime::from_micros(1_000);
        let accumulator = Accumulator::new(flow("24 mL/day"), StepVolume::NOMINAL, start);
        assert_eq!(accumulator.start(), start);
        assert_eq!(accumulator.time_of_step(0), Some(start));
        assert_eq!(
            accumulator.time_of_step(1),
            Some(PumpTime::from_micros(10_000))
        );
        for (micros, due) in [
            (0, 0),
            (1_000, 0),
            (9_999, 0),
            (10_000, 1),
            (18_999, 1),
            (19_000, 2),
        ] {
            assert_eq!(
                accumulator.due_by(PumpTime::from_micros(micros)),
                due,
                "{micros}"
            );
        }
    }

    #[test]
    fn nothing_flows_for_ever() {
        let accumulator = Accumulator::new(Flow::ZERO, StepVolume::NOMINAL, PumpTime::ZERO);
        assert_eq!(accumulator.due_by(PumpTime::MAX), 0);
        assert_eq!(accumulator.time_of_step(0), Some(PumpTime::ZERO));
        assert_eq!(accumulator.time_of_step(1), None);
        assert_eq!(accumulator.period_nanoseconds_rounded_up(), u64::MAX);
    }

    #[test]
    fn the_ends_of_the_clock_are_kept() {
        let slow = FlowRate::new(Volume::from_femtolitres(1), Per::Day).flow();
        let accumulator = Accumulator::new(slow, StepVolume::NOMINAL, PumpTime::from_micros(1));
        assert_eq!(
            accumulator.due_by(PumpTime::MAX),
            u64::MAX / 86_400_000_000 / 2_500_000
        );
        assert_eq!(accumulator.time_of_step(u64::MAX), None);
        let fast = DoseRate::new(Mass::from_zeptograms(u128::MAX), Per::Hour)
            .flow(Concentration::from_nanograms_per_millilitre(1).unwrap());
        let accumulator = Accumulator::new(fast, StepVolume::new(1).unwrap(), PumpTime::ZERO);
        assert_eq!(accumulator.due_by(PumpTime::MAX), u64::MAX);
        assert_eq!(
            accumulator.time_of_step(u64::MAX),
            Some(PumpTime::from_micros(1))
        );
        assert_eq!(accumulator.period_nanoseconds_rounded_up(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Ten years, awkward ratios: at any microsecond the count is the exact one, rounded down.
        ///
        /// Requirement: AC-1
        #[test]
        fn counts_like_big_integers_for_ten_years(
            day in 1_u64..30_000_000_000_000, extra in 0_u128..4_000_000_000, concentration in 1_u32..,
            hourly in any::<bool>(), step in 2_250_000_u32..=2_750_000, start in 0_u64..YEAR, elapsed in 0_u64..10 * YEAR,
        ) {
            // A dose that is no whole number of anything: the mass in `day` femtolitres and a little more.
            let zeptograms = u128::from(day) * u128::from(concentration) + extra;
            let per = if hourly { Per::Hour } else { Per::Day };
            let flow = DoseRate::new(Mass::from_zeptograms(zeptograms), per)
                .flow(Concentration::from_nanograms_per_millilitre(concentration).unwrap());
            let accumulator = Accumulator::new(flow, StepVolume::new(step).unwrap(), PumpTime::from_micros(start));

            let denominator = BigUint::from(concentration) * per.micros() * step;
            let exact = BigUint::from(zeptograms) * elapsed / &denominator;
            let due = accumulator.due_by(PumpTime::from_micros(start + elapsed));
            prop_assert_eq!(BigUint::from(due), exact);

            let micros = (BigUint::from(due + 1) * denominator + (zeptograms - 1)) / zeptograms;
            let at = accumulator.time_of_step(due + 1);
            let expected = u64::try_from(micros).ok().and_then(|micros| start.checked_add(micros)).map(PumpTime::from_micros);
            prop_assert_eq!(at, expected);
            if let Some(at) = at {
                prop_assert!(accumulator.due_by(at) > due);
                prop_assert_eq!(accumulator.due_by(PumpTime::from_micros(at.micros() - 1)), due);
            }
        }

        /// Any flow, any step, any time: an answer and no panic, and the two questions agree.
        #[test]
        fn any_number_is_answered(
            zeptograms in any::<u128>(), shift in 0_u32..128, concentration in 1_u32.., step in 1_u32..,
            start in any::<u64>(), at in any::<u64>(), count in any::<u64>(),
        ) {
            let flow = DoseRate::new(Mass::from_zeptograms(zeptograms >> shift), Per::Day)
                .flow(Concentration::from_nanograms_per_millilitre(concentration).unwrap());
            let accumulator = Accumulator::new(flow, StepVolume::new(step).unwrap(), PumpTime::from_micros(start));
            let due = accumulator.due_by(PumpTime::from_micros(at));
            prop_assert!(at >= start || due == 0);
            let _ = accumulator.period_nanoseconds_rounded_up();
            if let Some(time) = accumulator.time_of_step(count) {
                prop_assert!(accumulator.due_by(time) >= count);
                prop_assert!(count == 0 || accumulator.due_by(PumpTime::from_micros(time.micros() - 1)) < count);
            }
        }

        /// Rates of one program that follow each other: the steps are those of the sum of all their parts, never one more or less.
        #[test]
        fn parts_of_a_step_are_carried_from_rate_to_rate(
            doses in prop::collection::vec((0_u64..50_000_000, 1_u64..YEAR / 50), 1..20),
            concentration in 1_000_u32..50_000_000, step in 2_250_000_u32..=2_750_000, hourly in any::<bool>(),
        ) {
            let step = StepVolume::new(step).unwrap();
            let concentration = Concentration::from_nanograms_per_millilitre(concentration).unwrap();
            let per = if hourly { Per::Hour } else { Per::Day };
            let mut accumulator = Accumulator::new(Flow::ZERO, step, PumpTime::ZERO);
            let (mut at, mut steps, mut sum) = (PumpTime::ZERO, 0_u64, BigUint::from(0_u32));
            for (nanograms, micros) in doses {
                let flow = DoseRate::new(Mass::from_nanograms(nanograms), per).flow(concentration);
                steps += accumulator.due_by(at);
                accumulator = accumulator.then(flow, step, at);
                at = at.saturating_add(Duration::from_micros(micros));
                sum += BigUint::from(nanograms) * 1_000_000_000_000_u64 * micros;
            }
            steps += accumulator.due_by(at);
            let denominator = BigUint::from(concentration.nanograms_per_millilitre()) * per.micros() * step.femtolitres();
            prop_assert_eq!(BigUint::from(steps), sum / denominator);
            if let Some(next) = accumulator.time_of_step(accumulator.due_by(at) + 1) {
                prop_assert!(next > at);
            }
        }
    }
}
