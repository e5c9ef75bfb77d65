//! What each kind of pump may do (clinical reference, 5.3): one table, and whatever is not in it no message can reach.

use core::fmt;
use core::num::NonZeroU128;

use units::{DoseRate, Flow, FlowRate, Per, PumpKind, Ratio, StepVolume, Volume};

use crate::bounds::Bounds;
use crate::prescription::Mode;

/// What a kind of pump may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindRules {
    /// Minimum rate as a program.
    pub minimum_rate: bool,
    /// Flex, periodic and single bolus.
    pub schedules: bool,
    /// Boluses by clinician and patient.
    pub boluses: bool,
    /// Priming by a command.
    pub prime: bool,
    /// The largest prime.
    pub largest_prime: Volume,
    /// A prime wants the patient disconnected.
    pub prime_disconnected: bool,
    /// A bridge: the rate can change.
    pub bridge: bool,
    /// A trial that ends.
    pub trial: bool,
}

impl KindRules {
    /// The rules of a kind.
    ///
    /// | rule | source |
    /// |---|---|
    /// | modes of each kind | clinical reference 5.3, \[P\] |
    /// | prime at most 0.6 mL, 4 mL on an external line | docs/therapy.md, "Prime" |
    /// | no bridge on a constant-rate pump | docs/therapy.md, "Pump kinds" |
    #[must_use]
    pub const fn of(kind: PumpKind) -> Self {
        match kind {
            PumpKind::ProgrammableImplant => Self {
                minimum_rate: true,
                schedules: true,
                boluses: true,
                prime: true,
                largest_prime: Volume::from_microlitres(600),
                prime_disconnected: false,
                bridge: true,
                trial: false,
            },
            PumpKind::ConstantRate => Self {
                minimum_rate: false,
                schedules: false,
                boluses: false,
                prime: false,
                largest_prime: Volume::ZERO,
                prime_disconnected: false,
                bridge: false,
                trial: false,
            },
            PumpKind::ExternalTrial => Self {
                minimum_rate: false,
                schedules: false,
                boluses: true,
                prime: true,
                largest_prime: Volume::from_millilitres(4),
                prime_disconnected: true,
                bridge: true,
                trial: true,
            },
        }
    }

    /// Whether a mode is one of this kind's.
    #[must_use]
    pub const fn allows(&self, mode: &Mode) -> bool {
        match mode {
            Mode::Stopped | Mode::SimpleContinuous(_) => true,
            Mode::MinimumRate => self.minimum_rate,
            Mode::Flex(_) | Mode::Periodic(_) | Mode::SingleBolus { .. } => self.schedules,
        }
    }
}

/// What a commissioning record settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calibration {
    /// The kind.
    pub kind: PumpKind,
    /// What one motor step displaces.
    pub step_volume: StepVolume,
    /// The largest deliverable volume that the reservoir takes.
    pub capacity: Volume,
    /// The one rate of a constant-rate pump; `None` for the others.
    pub fixed_rate: Option<FlowRate>,
}

/// Constant-rate pumps are made for 0.3 to 3.4 mL/day (clinical reference, 5.3).
const FIXED_RATES: (FlowRate, FlowRate) = (
    FlowRate::new(Volume::from_microlitres(300), Per::Day),
    FlowRate::new(Volume::from_microlitres(3_400), Per::Day),
);

/// Factory calibration of an implant stays within 10 % of nominal (clinical reference, 2.10 \[P\]).
const IMPLANT_STEP_FEMTOLITRES: (u32, u32) = (2_250_000, 2_750_000);
/// An external pump's larger drive: what 10 mL/h takes at 125 steps/s, to twice that \[P\].
const EXTERNAL_STEP_FEMTOLITRES: (u32, u32) = (22_222_223, 50_000_000);

impl Bounds {
    /// The bounds of one pump.
    ///
    /// # Errors
    /// [`CalibrationRefusal`]: the first value that no pump of this kind has.
    pub fn of(calibration: &Calibration) -> Result<Self, CalibrationRefusal> {
        let Calibration {
            kind,
            step_volume,
            capacity,
            fixed_rate,
        } = *calibration;
        let implant = Self {
            step_volume,
            capacity,
            ..Self::PROGRAMMABLE_IMPLANT
        };
        let (lowest_step, highest_step) = match kind {
            PumpKind::ProgrammableImplant | PumpKind::ConstantRate => IMPLANT_STEP_FEMTOLITRES,
            PumpKind::ExternalTrial => EXTERNAL_STEP_FEMTOLITRES,
        };
        if !(lowest_step..=highest_step).contains(&step_volume.femtolitres()) {
            return Err(CalibrationRefusal::Step {
                femtolitres: step_volume.femtolitres(),
                lowest: lowest_step,
                highest: highest_step,
            });
        }
        let most = match kind {
            PumpKind::ProgrammableImplant | PumpKind::ConstantRate => Volume::from_millilitres(40),
            PumpKind::ExternalTrial => Volume::from_millilitres(250),
        };
        if capacity < Volume::from_millilitres(5) || capacity > most {
            return Err(CalibrationRefusal::Capacity { capacity, most });
        }
        match (kind, fixed_rate) {
            (PumpKind::ProgrammableImplant, None) => Ok(implant),
            (PumpKind::ExternalTrial, None) => Ok(Self {
                // Nothing keeps a line open that long: below the lowest rate there is KVO, and not minimum rate.
                minimum_rate: FlowRate::new(Volume::from_microlitres(50), Per::Hour),
                lowest: FlowRate::new(Volume::from_microlitres(50), Per::Hour),
                highest: FlowRate::new(Volume::from_millilitres(10), Per::Hour),
                ..implant
            }),
            (PumpKind::ConstantRate, Some(rate)) => {
                let (lowest, highest) = FIXED_RATES;
                if rate.flow() < lowest.flow() || rate.flow() > highest.flow() {
                    return Err(CalibrationRefusal::FixedRate {
                        rate,
                        lowest,
                        highest,
                    });
                }
                Ok(Self {
                    lowest: rate,
                    highest: rate,
                    ..implant
                })
            }
            (PumpKind::ConstantRate, None) => Err(CalibrationRefusal::NoFixedRate),
            (PumpKind::ProgrammableImplant | PumpKind::ExternalTrial, Some(_)) => {
                Err(CalibrationRefusal::FixedRateUnused { kind })
            }
        }
    }

    /// The flow that an external pump keeps its line open with: the lower of what is programmed and 0.1 mL/h (docs/therapy.md,
    /// "Pump kinds").
    #[must_use]
    pub fn keep_open(programmed: Flow) -> Flow {
        programmed.min(crate::fault::KEEP_VEIN_OPEN.flow())
    }
}

/// The concentration in nanograms per millilitre, exactly, at which a constant rate carries a dose: dose / rate (clinical reference,
/// 2.14). A constant-rate pump's dose is changed through it alone. `None` when nothing flows or it cannot be held.
#[must_use]
pub fn constant_rate_concentration(dose: DoseRate, rate: FlowRate) -> Option<Ratio> {
    let volume = NonZeroU128::new(u128::from(rate.per_day()?.femtolitres()))?;
    Some(Ratio::new(dose.per_day()?.zeptograms(), volume))
}

/// Why a commissioning record is not one of a pump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalibrationRefusal {
    /// A step that no calibrated motor makes.
    Step {
        /// What was said, in femtolitres.
        femtolitres: u32,
        /// The least.
        lowest: u32,
        /// The most.
        highest: u32,
    },
    /// A reservoir that no such pump has.
    Capacity {
        /// What was said.
        capacity: Volume,
        /// The most.
        most: Volume,
    },
    /// A fixed rate that no such pump has.
    FixedRate {
        /// What was said.
        rate: FlowRate,
        /// The least.
        lowest: FlowRate,
        /// The most.
        highest: FlowRate,
    },
    /// A constant-rate pump has a rate.
    NoFixedRate,
    /// This kind has no fixed rate.
    FixedRateUnused {
        /// The kind.
        kind: PumpKind,
    },
}

impl fmt::Display for CalibrationRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step {
                femtolitres,
                lowest,
                highest,
            } => write!(
                f,
                "a step of {femtolitres} fL is no calibration of this kind of pump: {lowest} to {highest} fL"
            ),
            Self::Capacity { capacity, most } => write!(
                f,
                "a reservoir of {capacity} is none of this kind of pump: 5 mL to {most}"
            ),
            Self::FixedRate {
                rate,
                lowest,
                highest,
            } => write!(
                f,
                "a fixed rate of {rate} is none of a constant-rate pump: {lowest} to {highest}"
            ),
            Self::NoFixedRate => f.write_str("a constant-rate pump needs its fixed rate"),
            Self::FixedRateUnused { kind } => write!(f, "no fixed rate belongs to: {kind}"),
        }
    }
}

impl core::error::Error for CalibrationRefusal {}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    fn calibration(kind: PumpKind, step: u32, fixed: Option<&str>) -> Calibration {
        Calibration {
            kind,
            step_volume: StepVolume::new(step).unwrap(),
            capacity: Volume::from_millilitres(20),
            fixed_rate: fixed.map(|text| text.parse().unwrap()),
        }
    }

    /// Clinical reference, 2.14: 2.5 mg/day at 0.5 mL/day are 5 mg/mL.
    #[test]
    fn a_constant_rate_sets_the_concentration() {
        let of = |dose: &str, rate: &str| {
            constant_rate_concentration(dose.parse().unwrap(), rate.parse().unwrap())
        };
        let whole = |nanograms: u128| Some(Ratio::new(nanograms, NonZeroU128::MIN));
        assert_eq!(of("2.5 mg/day", "0.5 mL/day"), whole(5_000_000));
        assert_eq!(of("1 mg/h", "0.5 mL/day"), whole(48_000_000));
        assert_eq!(of("2.5 mg/day", "0 mL/day"), None);
    }

    /// Requirement: AC-24
    #[test]
    fn each_kind_has_its_own_rates() {
        let bounds = |kind, step, fixed| Bounds::of(&calibration(kind, step, fixed)).unwrap();
        let implant = bounds(PumpKind::ProgrammableImplant, 2_500_000, None);
        assert_eq!(implant, Bounds::PROGRAMMABLE_IMPLANT);
        let constant = bounds(PumpKind::ConstantRate, 2_500_000, Some("0.5 mL/day"));
        assert_eq!(
            (constant.lowest.to_string(), constant.highest.to_string()),
            ("0.5 mL/day".into(), "0.5 mL/day".into())
        );
        let external = bounds(PumpKind::ExternalTrial, 25_000_000, None);
        assert_eq!(
            (external.lowest.to_string(), external.highest.to_string()),
            ("0.05 mL/h".into(), "10 mL/h".into())
        );
        assert!(external.can_step_for(external.highest.flow()));
        assert_eq!(external.minimum_rate, external.lowest);
    }

    /// Requirement: TH-kinds
    #[test]
    fn the_ends_of_every_range_are_allowed_and_no_more() {
        use PumpKind::{ConstantRate, ExternalTrial, ProgrammableImplant};
        for (kind, fixed, lowest, highest) in [
            (ProgrammableImplant, None, 2_250_000, 2_750_000),
            (ConstantRate, Some("1 mL/day"), 2_250_000, 2_750_000),
            (ExternalTrial, None, 22_222_223, 50_000_000),
        ] {
            for (step, allowed) in [
                (lowest, true),
                (highest, true),
                (lowest - 1, false),
                (highest + 1, false),
            ] {
                let found = Bounds::of(&calibration(kind, step, fixed));
                assert_eq!(found.is_ok(), allowed, "{kind} {step}");
                assert!(
                    found.is_err() || found.unwrap().can_step_for(found.unwrap().highest.flow())
                );
            }
        }
        for (rate, allowed) in [
            ("0.3 mL/day", true),
            ("3.4 mL/day", true),
            ("0.299999 mL/day", false),
            ("3.400001 mL/day", false),
        ] {
            let found = Bounds::of(&calibration(ConstantRate, 2_500_000, Some(rate)));
            assert_eq!(found.is_ok(), allowed, "{rate}");
        }
        for (kind, millilitres, allowed) in [
            (ProgrammableImplant, 5, true),
            (ProgrammableImplant, 4, false),
            (ProgrammableImplant, 40, true),
            (ProgrammableImplant, 41, false),
            (ExternalTrial, 250, true),
            (ExternalTrial, 251, false),
        ] {
            let step = match kind {
                ExternalTrial => 25_000_000,
                _ => 2_500_000,
            };
            let calibration = Calibration {
                capacity: Volume::from_millilitres(millilitres),
                ..calibration(kind, step, None)
            };
            let found = Bounds::of(&calibration);
            assert_eq!(found.is_ok(), allowed, "{millilitres}");
            assert!(found.is_err() || found.unwrap().capacity == calibration.capacity);
        }
    }

    #[test]
    fn a_fixed_rate_goes_with_the_kind_that_has_one() {
        let refusal = |kind, step, fixed| Bounds::of(&calibration(kind, step, fixed)).unwrap_err();
        assert_eq!(
            refusal(PumpKind::ConstantRate, 2_500_000, None).to_string(),
            "a constant-rate pump needs its fixed rate"
        );
        assert_eq!(
            refusal(PumpKind::ExternalTrial, 25_000_000, Some("1 mL/day")).to_string(),
            "no fixed rate belongs to: external trial pump"
        );
    }
}
