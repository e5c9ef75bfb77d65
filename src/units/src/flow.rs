//! Flow as an exact fraction, for comparing and for delivery.

use core::fmt;
use core::num::NonZeroU128;

use crate::concentration::Concentration;
use crate::duration::Duration;
use crate::mass::Mass;
use crate::rate::Per;
use crate::ratio::Ratio;
use crate::text;
use crate::volume::Volume;

/// Nanolitres in a millilitre.
const NANOLITRES_PER_MILLILITRE: NonZeroU128 = match NonZeroU128::new(1_000_000) {
    Some(nanolitres) => nanolitres,
    None => NonZeroU128::MIN,
};

/// Microseconds in 24 hours over femtolitres in a nanolitre: turns fL/us into nL/day.
const NANOLITRES_PER_DAY: u64 = 86_400;

/// What leaves room for a step volume of 32 bits below 2^128.
const LARGEST_DENOMINATOR: u128 = 1 << 96;

/// A flow in femtolitres per microsecond as an exact, reduced fraction; 1 fL/us is 0.0864 mL/day.
///
/// Its denominator never exceeds 2^96, so that dividing by a step volume always fits. A rate's stays below 2^69 (2^32 ng/mL x the
/// microseconds of a day, or 2^64 us).
/// Two flows are equal, or one is larger, exactly when they deliver so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow(Ratio);

impl Flow {
    /// No flow.
    pub const ZERO: Self = Self(Ratio::ZERO);

    /// The flow of a solution that carries `amount` every `per`.
    pub(crate) fn of_mass(amount: Mass, concentration: Concentration, per: Per) -> Self {
        let concentration = u128::from(concentration.nanograms_per_millilitre());
        // 32 and 37 bits: the product always fits, and neither factor is zero.
        let denominator = NonZeroU128::new(concentration)
            .and_then(|concentration| concentration.checked_mul(per.wide_micros()))
            .unwrap_or(NonZeroU128::MAX);
        Self(Ratio::new(amount.zeptograms(), denominator))
    }

    /// `volume` every `per`.
    pub(crate) fn of_volume(volume: Volume, per: Per) -> Self {
        Self(Ratio::new(
            u128::from(volume.femtolitres()),
            per.wide_micros(),
        ))
    }

    /// `volume` spread evenly over `duration`; `None` for no time at all.
    #[must_use]
    pub fn of_volume_over(volume: Volume, duration: Duration) -> Option<Self> {
        let denominator = NonZeroU128::new(u128::from(duration.micros()))?;
        Some(Self(Ratio::new(
            u128::from(volume.femtolitres()),
            denominator,
        )))
    }

    /// From femtolitres per microsecond; `None` when the denominator exceeds 2^96.
    #[must_use]
    pub const fn of_ratio(ratio: Ratio) -> Option<Self> {
        if ratio.denominator().get() <= LARGEST_DENOMINATOR {
            Some(Self(ratio))
        } else {
            None
        }
    }

    /// Femtolitres of the reduced fraction.
    #[must_use]
    pub const fn numerator(self) -> u128 {
        self.0.numerator()
    }

    /// Microseconds of the reduced fraction; never zero.
    #[must_use]
    pub const fn denominator(self) -> u128 {
        self.0.denominator().get()
    }

    /// The fraction itself, in femtolitres per microsecond.
    #[must_use]
    pub const fn ratio(self) -> Ratio {
        self.0
    }

    /// Whether nothing flows.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0.numerator() == 0
    }

    /// In whole nanolitres a day, rounded down, at most `u64::MAX`. For display only.
    #[must_use]
    pub fn per_day_nanolitres_rounded_down(self) -> u64 {
        self.0
            .times_rounded_down(NANOLITRES_PER_DAY)
            .unwrap_or(u64::MAX)
    }

    /// What flows in a time, in whole femtolitres rounded down; `None` when it cannot be held.
    #[must_use]
    pub fn volume_in(self, duration: Duration) -> Option<Volume> {
        self.0
            .times_rounded_down(duration.micros())
            .map(Volume::from_femtolitres)
    }

    /// How long a volume lasts, in whole microseconds rounded down; `None` when nothing flows or the time cannot be held.
    #[must_use]
    pub fn time_for(self, volume: Volume) -> Option<Duration> {
        self.0
            .inverse()?
            .times_rounded_down(volume.femtolitres())
            .map(Duration::from_micros)
    }
}

impl fmt::Display for Flow {
    /// In millilitres a day down to a nanolitre: `0.25 mL/day`, or `about 0.333333 mL/day` where that is not exact; rounded down, or up
    /// in the alternate form (`{:#}`), so that a flow just above a limit does not read like the limit.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let down = self.0.times_rounded_down(NANOLITRES_PER_DAY);
        let up = self.0.times_rounded_up(NANOLITRES_PER_DAY);
        let (Some(down), Some(up)) = (down, up) else {
            return f.write_str("more than 18446744073709 mL/day");
        };
        if down != up {
            f.write_str(if down == 0 { "less than " } else { "about " })?;
        }
        let shown = if down == 0 || f.alternate() { up } else { down };
        text::write_decimal(f, u128::from(shown), NANOLITRES_PER_MILLILITRE)?;
        f.write_str(" mL/day")
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use std::format;
    use std::string::ToString;

    use num_bigint::BigUint;
    use proptest::prelude::*;

    use super::*;
    use crate::rate::{DoseRate, FlowRate};

    fn flow(text: &str) -> Flow {
        text.parse::<FlowRate>().unwrap().flow()
    }

    #[test]
    fn a_denominator_leaves_room_for_a_step_volume() {
        let at = |denominator: u128| Ratio::new(1, NonZeroU128::new(denominator).unwrap());
        let slowest = Flow::of_ratio(at(1 << 96)).unwrap();
        let step = NonZeroU128::from(core::num::NonZeroU32::MAX);
        assert!(slowest.ratio().divided_by(step).is_some());
        assert_eq!(Flow::of_ratio(at((1 << 96) + 1)), None);
        let day = at(Per::Day.micros().into());
        let femtolitre = Volume::from_femtolitres(1);
        assert_eq!(
            Flow::of_ratio(day),
            Some(Flow::of_volume(femtolitre, Per::Day))
        );
    }

    #[test]
    fn a_femtolitre_a_microsecond_is_86_microlitres_a_day() {
        let one = flow("86.4 uL/day");
        assert_eq!((one.numerator(), one.denominator()), (1, 1));
        assert_eq!(one.per_day_nanolitres_rounded_down(), 86_400);
    }

    #[test]
    fn equal_flows_are_equal_however_entered() {
        assert_eq!(flow("24 mL/day"), flow("1 mL/h"));
        assert!(flow("0.048 mL/day") > flow("0.001999 mL/h"));
        assert!(flow("0.048 mL/day") < flow("0.002001 mL/h"));
        assert!(Flow::ZERO < flow("0.000001 nL/day"));
        assert!(
            Flow::ZERO.is_zero()
                && flow("0 mL/day").is_zero()
                && !flow("0.000001 nL/day").is_zero()
        );
    }

    #[test]
    fn spread_over_a_time_it_is_the_same_fraction() {
        let day = Duration::from_days(1);
        assert_eq!(
            Flow::of_volume_over(Volume::from_millilitres(24), day),
            Some(flow("24 mL/day"))
        );
        assert_eq!(
            Flow::of_volume_over(Volume::from_millilitres(24), Duration::ZERO),
            None
        );
    }

    #[test]
    fn display_marks_what_is_not_exact() {
        assert_eq!(flow("0.25 mL/day").to_string(), "0.25 mL/day");
        assert_eq!(Flow::ZERO.to_string(), "0 mL/day");
        let third = "1 mg/day"
            .parse::<DoseRate>()
            .unwrap()
            .flow("3 mg/mL".parse().unwrap());
        assert_eq!(third.to_string(), "about 0.333333 mL/day");
        assert_eq!(format!("{third:#}"), "about 0.333334 mL/day");
        assert_eq!(flow("0.5 nL/day").to_string(), "less than 0.000001 mL/day");
        let all = DoseRate::new(Mass::from_zeptograms(u128::MAX), Per::Hour)
            .flow(Concentration::from_nanograms_per_millilitre(1).unwrap());
        assert_eq!(all.to_string(), "more than 18446744073709 mL/day");
        assert_eq!(all.per_day_nanolitres_rounded_down(), u64::MAX);
    }

    /// Clinical reference, 2.2: 0.3182 mL at 1 mL/h take 19 min 5.5 s; 2.14: 20 mL at 0.5 mL/day last 40 days.
    #[test]
    fn times_and_volumes_give_the_worked_examples() {
        let prime = flow("1 mL/h")
            .time_for("0.3182 mL".parse().unwrap())
            .unwrap();
        assert_eq!(
            prime,
            Duration::from_micros((19 * 60 + 5) * 1_000_000 + 520_000)
        );
        let last = flow("0.5 mL/day")
            .time_for(Volume::from_millilitres(20))
            .unwrap();
        assert_eq!(last, Duration::from_days(40));
        assert_eq!(
            flow("0.5 mL/day").volume_in(last),
            Some(Volume::from_millilitres(20))
        );
        let little = flow("0.5 mL/day")
            .volume_in(Duration::from_micros(1))
            .unwrap();
        assert_eq!(little.femtolitres(), 5, "5.787 fL are rounded down");
        assert_eq!(Flow::ZERO.time_for(Volume::from_millilitres(20)), None);
        assert_eq!(flow("0.000001 nL/day").time_for(Volume::MAX), None);
        assert_eq!(flow("18446744 mL/h").volume_in(Duration::MAX), None);
    }

    proptest! {
        #[test]
        fn a_dose_flows_exactly(
            zeptograms in any::<u128>(), shift in 0_u32..128, concentration in 1_u32.., hourly in any::<bool>(),
        ) {
            let zeptograms = zeptograms >> shift;
            let per = if hourly { Per::Hour } else { Per::Day };
            let flow = DoseRate::new(Mass::from_zeptograms(zeptograms), per)
                .flow(Concentration::from_nanograms_per_millilitre(concentration).unwrap());
            let left = BigUint::from(flow.numerator()) * per.micros() * concentration;
            prop_assert_eq!(left, BigUint::from(zeptograms) * flow.denominator());
            prop_assert!(flow.denominator() < 1 << 69);
        }

        #[test]
        fn volume_and_time_invert_each_other(femtolitres in 1_u64..50_000_000_000_000, rate in 1_u64..50_000_000_000_000) {
            let flow = FlowRate::new(Volume::from_femtolitres(rate), Per::Day).flow();
            let volume = Volume::from_femtolitres(femtolitres);
            if let Some(time) = flow.time_for(volume) {
                prop_assert!(flow.volume_in(time).unwrap() <= volume);
                let longer = time.checked_add(Duration::from_micros(1)).unwrap();
                prop_assert!(flow.volume_in(longer).unwrap() >= volume);
            }
        }
    }
}
