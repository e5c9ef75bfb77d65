//! Prescriptions: what somebody wants, and what has passed every check.

use units::{Concentration, DoseRate, Drug, Flow, Mass};

use crate::bounds::Bounds;
use crate::refusal::Refusal;

/// How the drug is to be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Not at all.
    Stopped,
    /// One dose rate, for ever.
    SimpleContinuous(DoseRate),
}

/// What somebody wants given, unchecked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The drug in the reservoir.
    pub drug: Drug,
    /// Its concentration, as on the label.
    pub concentration: Concentration,
    /// How it is to be given.
    pub mode: Mode,
}

/// What is to be given, checked: whoever holds one may deliver it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prescription {
    draft: Draft,
    flow: Flow,
    day_total: Mass,
}

impl Prescription {
    /// Checks a draft against the bounds of the pump.
    ///
    /// # Errors
    /// The first of these that applies: [`Refusal::DoseZero`], [`Refusal::DoseTooLarge`], [`Refusal::FlowBelowLowest`],
    /// [`Refusal::FlowAboveHighest`], [`Refusal::StepRateAboveMaximum`]. The flow is compared exactly; both limits are allowed
    /// themselves. Stopped is always allowed.
    pub fn new(draft: Draft, bounds: &Bounds) -> Result<Self, Refusal> {
        let dose = match draft.mode {
            Mode::Stopped => {
                return Ok(Self {
                    draft,
                    flow: Flow::ZERO,
                    day_total: Mass::ZERO,
                });
            }
            Mode::SimpleContinuous(dose) => dose,
        };
        if dose.amount() == Mass::ZERO {
            return Err(Refusal::DoseZero);
        }
        let day_total = dose.per_day().ok_or(Refusal::DoseTooLarge)?;
        let flow = dose.flow(draft.concentration);
        if flow < bounds.lowest.flow() {
            return Err(Refusal::FlowBelowLowest {
                flow,
                lowest: bounds.lowest,
            });
        }
        if flow > bounds.highest.flow() {
            return Err(Refusal::FlowAboveHighest {
                flow,
                highest: bounds.highest,
            });
        }
        if !bounds.can_step_for(flow) {
            let maximum_millihertz = bounds.binding_step_rate_millihertz();
            return Err(Refusal::StepRateAboveMaximum {
                flow,
                maximum_millihertz,
            });
        }
        Ok(Self {
            draft,
            flow,
            day_total,
        })
    }

    /// The drug in the reservoir.
    #[must_use]
    pub const fn drug(&self) -> Drug {
        self.draft.drug
    }

    /// Its concentration, as on the label.
    #[must_use]
    pub const fn concentration(&self) -> Concentration {
        self.draft.concentration
    }

    /// How it is given.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.draft.mode
    }

    /// The flow that carries the dose; [`Flow::ZERO`] when stopped.
    #[must_use]
    pub const fn flow(&self) -> Flow {
        self.flow
    }

    /// The drug given in 24 hours, exactly; [`Mass::ZERO`] when stopped.
    #[must_use]
    pub const fn day_total(&self) -> Mass {
        self.day_total
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use proptest::prelude::*;
    use units::{FlowRate, Per, StepVolume, Volume};

    use super::*;

    const BOUNDS: Bounds = Bounds::PROGRAMMABLE_IMPLANT;

    fn draft(dose: &str, concentration: &str) -> Draft {
        Draft {
            drug: Drug::Baclofen,
            concentration: concentration.parse().unwrap(),
            mode: Mode::SimpleContinuous(dose.parse().unwrap()),
        }
    }

    fn refusal(dose: &str, concentration: &str) -> Refusal {
        Prescription::new(draft(dose, concentration), &BOUNDS).unwrap_err()
    }

    #[test]
    fn a_common_dose_is_allowed_and_kept_as_entered() {
        let draft = draft("22.5 mcg/h", "2 mg/mL");
        let prescription = Prescription::new(draft, &BOUNDS).unwrap();
        assert_eq!(prescription.drug(), Drug::Baclofen);
        assert_eq!(prescription.concentration(), draft.concentration);
        assert_eq!(prescription.mode(), draft.mode);
        assert_eq!(prescription.flow().to_string(), "0.27 mL/day");
        assert_eq!(prescription.day_total().to_string(), "540 mcg");
    }

    #[test]
    fn stopped_is_always_allowed() {
        let nothing = Bounds {
            highest: BOUNDS.minimum_rate,
            maximum_step_rate_millihertz: 0,
            ..BOUNDS
        };
        let draft = Draft {
            mode: Mode::Stopped,
            ..draft("1 mg/day", "2 mg/mL")
        };
        let prescription = Prescription::new(draft, &nothing).unwrap();
        assert_eq!(
            (prescription.flow(), prescription.day_total()),
            (Flow::ZERO, Mass::ZERO)
        );
        assert_eq!(prescription.mode(), Mode::Stopped);
    }

    #[test]
    fn a_dose_of_zero_is_refused() {
        assert_eq!(refusal("0 mg/day", "2 mg/mL"), Refusal::DoseZero);
    }

    #[test]
    fn a_dose_beyond_all_counting_is_refused() {
        let dose = DoseRate::new(Mass::from_zeptograms(u128::MAX), Per::Hour);
        let draft = Draft {
            mode: Mode::SimpleContinuous(dose),
            ..draft("1 mg/day", "2 mg/mL")
        };
        assert_eq!(
            Prescription::new(draft, &BOUNDS),
            Err(Refusal::DoseTooLarge)
        );
        let per_day = DoseRate::new(Mass::from_zeptograms(u128::MAX), Per::Day);
        let draft = Draft {
            mode: Mode::SimpleContinuous(per_day),
            ..draft
        };
        assert!(matches!(
            Prescription::new(draft, &BOUNDS),
            Err(Refusal::FlowAboveHighest { .. })
        ));
    }

    /// Clinical reference, 1.3: 1.2 mcg/day at 25 mcg/mL and 96 mcg/day at 2000 mcg/mL are exactly the lowest rate.
    #[test]
    fn the_lowest_rate_is_allowed_and_a_zeptogram_less_is_not() {
        for (dose, concentration, less) in [
            ("1.2 mcg/day", "25 mcg/mL", "1.199999999999999 mcg/day"),
            ("96 mcg/day", "2000 mcg/mL", "95.999999999999999 mcg/day"),
            ("4 mcg/h", "2000 mcg/mL", "3.999999999999999 mcg/h"),
        ] {
            assert!(
                Prescription::new(draft(dose, concentration), &BOUNDS).is_ok(),
                "{dose}"
            );
            let Refusal::FlowBelowLowest { flow, lowest } = refusal(less, concentration) else {
                panic!("{less} is not refused as too low");
            };
            assert!(flow < lowest.flow());
            assert_eq!(lowest, BOUNDS.lowest);
        }
    }

    #[test]
    fn the_highest_rate_is_allowed_and_a_zeptogram_more_is_not() {
        assert!(Prescription::new(draft("48 mg/day", "2 mg/mL"), &BOUNDS).is_ok());
        assert!(Prescription::new(draft("2 mg/h", "2 mg/mL"), &BOUNDS).is_ok());
        let refusal = refusal("48.000000000000000001 mg/day", "2 mg/mL");
        let Refusal::FlowAboveHighest { flow, highest } = refusal else {
            panic!("{refusal} is not too high");
        };
        assert!(flow > highest.flow());
    }

    #[test]
    fn the_minimum_rate_and_what_is_between_are_no_doses() {
        for dose in ["12 mcg/day", "50 mcg/day"] {
            assert!(
                matches!(
                    refusal(dose, "2000 mcg/mL"),
                    Refusal::FlowBelowLowest { .. }
                ),
                "{dose}"
            );
        }
    }

    #[test]
    fn a_motor_too_slow_for_the_flow_is_refused() {
        let slow = Bounds {
            step_volume: StepVolume::new(1_000_000).unwrap(),
            ..BOUNDS
        };
        let refusal = Prescription::new(draft("48 mg/day", "2 mg/mL"), &slow).unwrap_err();
        let flow = "24 mL/day".parse::<FlowRate>().unwrap().flow();
        assert_eq!(
            refusal,
            Refusal::StepRateAboveMaximum {
                flow,
                maximum_millihertz: 125_000
            }
        );
    }

    #[test]
    fn refusals_give_the_value_and_what_is_allowed() {
        for (refusal, text) in [
            (
                refusal("0 mg/day", "2 mg/mL"),
                "the dose is zero: a dose must be more than zero; to give nothing, stop the pump",
            ),
            (
                Refusal::DoseTooLarge,
                "the dose is too large to add up over 24 hours",
            ),
            (
                refusal("50 mcg/day", "2 mg/mL"),
                "the dose needs 0.025 mL/day at this concentration: the pump's lowest therapeutic rate is 0.048 mL/day",
            ),
            (
                refusal("95.999999999999999 mcg/day", "2 mg/mL"),
                "the dose needs about 0.047999 mL/day at this concentration: the pump's lowest therapeutic rate is 0.048 mL/day",
            ),
            (
                refusal("48.000000000000000001 mg/day", "2 mg/mL"),
                "the dose needs about 24.000001 mL/day at this concentration: the pump's highest rate is 24 mL/day",
            ),
            (
                Refusal::StepRateAboveMaximum {
                    flow: "24 mL/day".parse::<FlowRate>().unwrap().flow(),
                    maximum_millihertz: 100_020,
                },
                "the dose needs 24 mL/day at this concentration: the motor makes at most 100.020 steps a second",
            ),
            (
                Refusal::FillAboveCapacity {
                    fill: "20.5 mL".parse().unwrap(),
                    capacity: BOUNDS.capacity,
                },
                "a fill of 20.5 mL is more than the reservoir takes: at most 20 mL",
            ),
        ] {
            assert_eq!(refusal.to_string(), text);
        }
    }

    proptest! {
        /// Any draft is decided without a panic, and what is allowed lies within the bounds.
        #[test]
        fn what_is_allowed_lies_within_the_bounds(
            zeptograms in any::<u128>(), shift in 0_u32..128, hourly in any::<bool>(), concentration in 1_u32..,
            step in 1_u32.., lowest in any::<u64>(), highest in any::<u64>(), rate in any::<u32>(), scale in 0_u32..64,
        ) {
            let per = if hourly { Per::Hour } else { Per::Day };
            let dose = DoseRate::new(Mass::from_zeptograms(zeptograms >> shift), per);
            let bounds = Bounds {
                step_volume: StepVolume::new(step).unwrap(),
                lowest: FlowRate::new(Volume::from_femtolitres(lowest >> scale), Per::Day),
                highest: FlowRate::new(Volume::from_femtolitres(highest), Per::Hour),
                maximum_step_rate_millihertz: rate,
                ..BOUNDS
            };
            let concentration = Concentration::from_nanograms_per_millilitre(concentration).unwrap();
            let draft = Draft { drug: Drug::Morphine, concentration, mode: Mode::SimpleContinuous(dose) };
            match Prescription::new(draft, &bounds) {
                Ok(prescription) => {
                    prop_assert!(prescription.flow() >= bounds.lowest.flow());
                    prop_assert!(prescription.flow() <= bounds.highest.flow());
                    prop_assert_eq!(Some(prescription.day_total()), dose.per_day());
                }
                Err(refusal) => prop_assert!(!refusal.to_string().is_empty()),
            }
        }
    }
}
