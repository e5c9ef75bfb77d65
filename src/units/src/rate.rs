//! Dose and flow rates, kept as they were entered: an amount over a stated time.

use core::fmt;
use core::num::NonZeroU128;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::concentration::Concentration;
use crate::error::{Quantity, QuantityError};
use crate::flow::Flow;
use crate::mass::Mass;
use crate::text;
use crate::volume::Volume;

/// The time a rate is stated over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(postcard_schema::Schema))]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// Per hour of pump time.
    Hour,
    /// Per 24 hours of pump time.
    Day,
}

impl Per {
    /// Its length in microseconds.
    #[must_use]
    pub const fn micros(self) -> u64 {
        match self {
            Self::Hour => 3_600_000_000,
            Self::Day => 86_400_000_000,
        }
    }

    /// How often it fits into 24 hours.
    #[must_use]
    pub const fn times_a_day(self) -> u64 {
        match self {
            Self::Hour => 24,
            Self::Day => 1,
        }
    }

    /// Its length as a divisor.
    pub(crate) fn wide_micros(self) -> NonZeroU128 {
        // Neither length is zero.
        NonZeroU128::new(u128::from(self.micros())).unwrap_or(NonZeroU128::MIN)
    }

    /// As it follows an amount: `/h`, `/day`.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Hour => "/h",
            Self::Day => "/day",
        }
    }
}

/// Reads an amount in one of `units` over an hour or a day.
fn read(text: &str, units: &[text::Unit], wanted: Quantity) -> Result<(u128, Per), QuantityError> {
    let parts = text::split(text, wanted)?;
    let unknown = || text::misplaced(parts.unit, wanted);
    let (amount, time) = parts.unit.split_once('/').ok_or_else(unknown)?;
    let per = match time {
        "h" => Per::Hour,
        "day" => Per::Day,
        _ => return Err(unknown()),
    };
    let unit = text::find(units, amount).ok_or_else(unknown)?;
    Ok((parts.exact(unit, wanted)?, per))
}

/// A mass of drug over a time, as entered. Zero can be written down; whether it may be prescribed is therapy's to say.
///
/// Equality is of what was entered: 24 mcg/day and 1 mcg/h deliver the same and are not equal. Compare [`DoseRate::per_day`] or
/// [`DoseRate::flow`] where the effect is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "schema", derive(postcard_schema::Schema))]
pub struct DoseRate {
    amount: Mass,
    per: Per,
}

impl DoseRate {
    /// `amount` every `per`.
    #[must_use]
    pub const fn new(amount: Mass, per: Per) -> Self {
        Self { amount, per }
    }

    /// The mass as entered.
    #[must_use]
    pub const fn amount(self) -> Mass {
        self.amount
    }

    /// The time as entered.
    #[must_use]
    pub const fn per(self) -> Per {
        self.per
    }

    /// The mass in 24 hours, exactly; `None` when it cannot be held.
    #[must_use]
    pub const fn per_day(self) -> Option<Mass> {
        self.amount.checked_mul(self.per.times_a_day())
    }

    /// The flow of a solution that carries this dose: dose / concentration (clinical reference, 2.1), exactly.
    #[must_use]
    pub fn flow(self, concentration: Concentration) -> Flow {
        Flow::of_mass(self.amount, concentration, self.per)
    }
}

impl From<DoseRate> for (Mass, Per) {
    fn from(rate: DoseRate) -> Self {
        (rate.amount, rate.per)
    }
}

impl From<(Mass, Per)> for DoseRate {
    fn from((amount, per): (Mass, Per)) -> Self {
        Self { amount, per }
    }
}

impl fmt::Display for DoseRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(
            f,
            self.amount.zeptograms(),
            &text::MASSES,
            self.per.suffix(),
        )
    }
}

impl FromStr for DoseRate {
    type Err = QuantityError;

    /// Reads `250 mcg/day` or `15 mcg/h`; units ng, mcg, mg over h, day.
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (zeptograms, per) = read(text, &text::MASSES, Quantity::DoseRate)?;
        Ok(Self {
            amount: Mass::from_zeptograms(zeptograms),
            per,
        })
    }
}

text::serde_as_text_or!(
    DoseRate,
    (Mass, Per),
    "a dose rate with its unit, such as \"250 mcg/day\""
);

/// A volume over a time, as entered. Equality is of what was entered, as for [`DoseRate`]; compare [`FlowRate::flow`] for the effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "schema", derive(postcard_schema::Schema))]
pub struct FlowRate {
    volume: Volume,
    per: Per,
}

impl FlowRate {
    /// `volume` every `per`.
    #[must_use]
    pub const fn new(volume: Volume, per: Per) -> Self {
        Self { volume, per }
    }

    /// The volume as entered.
    #[must_use]
    pub const fn volume(self) -> Volume {
        self.volume
    }

    /// The time as entered.
    #[must_use]
    pub const fn per(self) -> Per {
        self.per
    }

    /// The volume in 24 hours, exactly; `None` when it cannot be held.
    #[must_use]
    pub const fn per_day(self) -> Option<Volume> {
        self.volume.checked_mul(self.per.times_a_day())
    }

    /// The same as an exact fraction, for comparing and for delivery.
    #[must_use]
    pub fn flow(self) -> Flow {
        Flow::of_volume(self.volume, self.per)
    }
}

impl From<FlowRate> for (Volume, Per) {
    fn from(rate: FlowRate) -> Self {
        (rate.volume, rate.per)
    }
}

impl From<(Volume, Per)> for FlowRate {
    fn from((volume, per): (Volume, Per)) -> Self {
        Self { volume, per }
    }
}

impl fmt::Display for FlowRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(
            f,
            u128::from(self.volume.femtolitres()),
            &text::FLOWED,
            self.per.suffix(),
        )
    }
}

impl FromStr for FlowRate {
    type Err = QuantityError;

    /// Reads `0.25 mL/day`; units nL, uL, mL over h, day.
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (femtolitres, per) = read(text, &text::FLOWED, Quantity::FlowRate)?;
        let femtolitres =
            u64::try_from(femtolitres).map_err(|_| QuantityError::TooLarge(Quantity::FlowRate))?;
        Ok(Self {
            volume: Volume::from_femtolitres(femtolitres),
            per,
        })
    }
}

text::serde_as_text_or!(
    FlowRate,
    (Volume, Per),
    "a flow rate with its unit, such as \"0.25 mL/day\""
);

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use proptest::prelude::*;

    use super::*;

    fn per() -> impl Strategy<Value = Per> {
        prop_oneof![Just(Per::Hour), Just(Per::Day)]
    }

    #[test]
    fn a_day_has_24_hours() {
        assert_eq!(Per::Hour.micros(), 60 * 60 * 1_000_000);
        assert_eq!(Per::Day.micros(), 24 * 60 * 60 * 1_000_000);
        for per in [Per::Hour, Per::Day] {
            assert_eq!(
                per.micros().checked_mul(per.times_a_day()),
                Some(Per::Day.micros())
            );
        }
    }

    #[test]
    fn a_day_total_is_exact() {
        let hourly: DoseRate = "22.5 mcg/h".parse().unwrap();
        assert_eq!(hourly.per_day().unwrap().to_string(), "540 mcg");
        let daily: DoseRate = "2.5 mg/day".parse().unwrap();
        assert_eq!(daily.per_day(), Some(daily.amount()));
        assert_eq!(
            DoseRate::new(Mass::from_zeptograms(u128::MAX), Per::Hour).per_day(),
            None
        );
        let flow: FlowRate = "1 mL/h".parse().unwrap();
        assert_eq!(flow.per_day(), Some(Volume::from_millilitres(24)));
        assert_eq!(FlowRate::new(Volume::MAX, Per::Hour).per_day(), None);
    }

    #[test]
    fn what_was_entered_is_kept() {
        for text in [
            "250 mcg/day",
            "3 mg/day",
            "15 mcg/h",
            "2.5 mg/day",
            "0 mg/day",
            "1.5 ng/h",
        ] {
            assert_eq!(text.parse::<DoseRate>().unwrap().to_string(), text);
        }
        for text in [
            "0.25 mL/day",
            "0.048 mL/day",
            "0.006 mL/day",
            "24 mL/day",
            "1 mL/h",
            "999 nL/h",
            "0.000001 nL/day",
        ] {
            assert_eq!(text.parse::<FlowRate>().unwrap().to_string(), text);
        }
        let (hourly, daily): (DoseRate, DoseRate) =
            ("1 mcg/h".parse().unwrap(), "24 mcg/day".parse().unwrap());
        assert_ne!(hourly, daily);
        assert_eq!(hourly.per_day(), daily.per_day());
    }

    /// Requirement: AC-10
    #[test]
    fn units_are_not_mixed() {
        use Quantity::{Concentration, DoseRate as Dose, FlowRate as Flowing, Mass, Volume};
        let dose = |text: &str| text.parse::<DoseRate>().unwrap_err();
        let flow = |text: &str| text.parse::<FlowRate>().unwrap_err();
        assert_eq!(
            dose("3 mL/day"),
            QuantityError::UnitOfAnother {
                wanted: Dose,
                found: Flowing
            }
        );
        assert_eq!(
            dose("3 mg"),
            QuantityError::UnitOfAnother {
                wanted: Dose,
                found: Mass
            }
        );
        assert_eq!(
            dose("3 mg/mL"),
            QuantityError::UnitOfAnother {
                wanted: Dose,
                found: Concentration
            }
        );
        assert_eq!(
            flow("3 mg/day"),
            QuantityError::UnitOfAnother {
                wanted: Flowing,
                found: Dose
            }
        );
        assert_eq!(
            flow("3 mL"),
            QuantityError::UnitOfAnother {
                wanted: Flowing,
                found: Volume
            }
        );
        for text in [
            "3 mg/min",
            "3 mg/days",
            "3 mg/",
            "3 /day",
            "3 mg / day",
            "3 ug/day",
            "3 mg/day/day",
            "3 g/day",
            "3 Mg/day",
        ] {
            assert_eq!(
                dose(text),
                if text == "3 /day" {
                    QuantityError::NotANumber(Dose)
                } else {
                    QuantityError::UnknownUnit(Dose)
                },
                "{text}"
            );
        }
        assert_eq!(flow("3 fL/day"), QuantityError::UnknownUnit(Flowing));
        assert_eq!(flow("18446745 mL/day"), QuantityError::TooLarge(Flowing));
    }

    /// Clinical reference, 2.1, 2.3, 2.6, 1.3.
    ///
    /// Requirement: CALC-1
    #[test]
    fn dose_over_concentration_gives_the_worked_examples() {
        for (dose, concentration, flow) in [
            ("2.5 mg/day", "10 mg/mL", "0.25 mL/day"),
            ("2.5 mg/day", "20 mg/mL", "0.125 mL/day"),
            ("540 mcg/day", "2000 mcg/mL", "0.27 mL/day"),
            ("40 mcg/h", "2000 mcg/mL", "0.48 mL/day"),
            ("1.2 mcg/day", "25 mcg/mL", "0.048 mL/day"),
            ("96 mcg/day", "2000 mcg/mL", "0.048 mL/day"),
        ] {
            let dose: DoseRate = dose.parse().unwrap();
            let flow_rate: FlowRate = flow.parse().unwrap();
            assert_eq!(
                dose.flow(concentration.parse().unwrap()),
                flow_rate.flow(),
                "{dose}"
            );
            assert_eq!(flow_rate.flow().to_string(), flow);
        }
    }

    #[test]
    fn serde_keeps_both_halves() {
        let rate: DoseRate = "250 mcg/day".parse().unwrap();
        let mut buffer = [0; 32];
        let bytes = postcard::to_slice(&rate, &mut buffer).unwrap();
        assert_eq!(postcard::from_bytes(bytes), Ok(rate));
        assert_eq!(
            bytes.last(),
            Some(&1),
            "the time follows the amount as its variant"
        );
        assert_eq!(serde_json::to_string(&rate).unwrap(), "\"250 mcg/day\"");
        assert_eq!(serde_json::to_string(&Per::Hour).unwrap(), "\"hour\"");
        assert_eq!(postcard::from_bytes::<Per>(&[0]), Ok(Per::Hour));
    }

    proptest! {
        #[test]
        fn dose_text_reads_back(bits in any::<u128>(), shift in 0_u32..128, per in per()) {
            let rate = DoseRate::new(Mass::from_zeptograms(bits >> shift), per);
            prop_assert_eq!(rate.to_string().parse(), Ok(rate));
            let json = serde_json::to_string(&rate).unwrap();
            prop_assert_eq!(serde_json::from_str::<DoseRate>(&json).unwrap(), rate);
        }

        #[test]
        fn flow_text_reads_back(bits in any::<u64>(), shift in 0_u32..64, per in per()) {
            let rate = FlowRate::new(Volume::from_femtolitres(bits >> shift), per);
            prop_assert_eq!(rate.to_string().parse(), Ok(rate));
            let mut buffer = [0; 32];
            let bytes = postcard::to_slice(&rate, &mut buffer).unwrap();
            prop_assert_eq!(postcard::from_bytes(bytes), Ok(rate));
        }
    }
}
