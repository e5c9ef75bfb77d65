//! Prescriptions: what somebody wants, and what has passed every check.

use core::fmt;

use units::{Concentration, DoseRate, Drug, Duration, FaultPolicy, Flow, Mass, PumpKind, Volume};

use crate::bounds::Bounds;
use crate::change::Change;
use crate::clinician_bolus::check_total_flow;
use crate::job::whole_steps;
use crate::kind::KindRules;
use crate::library::Library;
use crate::limits::{Asked, HardRefusal, SoftFindings, check};
use crate::mixture::{Ingredient, Mixture};
use crate::patient_bolus::{PatientBolusDraft, PatientBolusRule, RuleRefusal};
use crate::periodic::{Periodic, PeriodicDraft, PeriodicRefusal};
use crate::refusal::Refusal;
use crate::schedule::{Week, WeekDraft, WeekRefusal};
use crate::worst::{Allotment, BasalPlan, Binding, WorstCase, worst_case};

/// How the drug is to be given (clinical reference, 1.2). Doses are of the primary drug.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a week is large, and there is no heap"
)]
pub enum Mode {
    /// Not at all.
    Stopped,
    /// The rate that only keeps the rotor turning and the catheter open. Its dose counts.
    MinimumRate,
    /// One dose rate, for ever.
    SimpleContinuous(DoseRate),
    /// Dose rates by the day of the week and the time of day.
    Flex(WeekDraft),
    /// A bolus again and again, over a basal rate or over minimum rate.
    Periodic(PeriodicDraft),
    /// One bolus, then nothing.
    SingleBolus {
        /// The drug in it.
        dose: Mass,
        /// How long it takes: whole seconds, 1 s to 24 h.
        duration: Duration,
    },
}

/// What somebody wants given, unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What is in the reservoir, with its concentrations as on the label.
    pub mixture: Mixture,
    /// How it is to be given.
    pub mode: Mode,
    /// What the patient may add.
    pub patient: Option<PatientBolusDraft>,
    /// What a fault does; `None` for the library's answer.
    pub policy: Option<FaultPolicy>,
}

impl Draft {
    /// One drug, no patient boluses, the library's fault policy.
    #[must_use]
    pub const fn simple(drug: Drug, concentration: Concentration, mode: Mode) -> Self {
        Self {
            mixture: Mixture::of(Ingredient {
                drug,
                concentration,
            }),
            mode,
            patient: None,
            policy: None,
        }
    }
}

/// A mode that has passed every check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a week is large, and there is no heap"
)]
enum Plan {
    Stopped,
    MinimumRate(Flow),
    Continuous {
        dose: DoseRate,
        flow: Flow,
    },
    Flex(Week),
    /// With the volume of one bolus.
    Periodic(Periodic, Volume),
    Single {
        dose: Mass,
        duration: Duration,
        steps: u32,
        volume: Volume,
    },
}

/// What the patient may add, checked against the pump.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Patient {
    rule: PatientBolusRule,
    steps: u32,
    volume: Volume,
}

/// What is to be given, checked against the pump: whoever holds one may deliver it. Whether the drug library allows it is asked when it is programmed
/// ([`Prescription::judge`]): a library that is tightened later does not undo what runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prescription {
    mixture: Mixture,
    plan: Plan,
    patient: Option<Patient>,
    policy: Option<FaultPolicy>,
    worst: WorstCase,
    day_total: Mass,
}

impl Prescription {
    /// Checks a draft against the kind of the pump and its bounds.
    ///
    /// # Errors
    /// The first [`ProgramRefusal`] that applies: the mode or the patient's boluses are none of this kind of pump, then what the mode says
    /// ([`Refusal`], [`WeekRefusal`], [`PeriodicRefusal`]), then the patient's boluses. Flows are compared exactly; limits are allowed
    /// themselves. The basal rate with the largest bolus stays within the pump's highest rate. Stopped is always allowed.
    pub fn new(draft: Draft, bounds: &Bounds, kind: PumpKind) -> Result<Self, ProgramRefusal> {
        let rules = KindRules::of(kind);
        if !rules.allows(&draft.mode) || (draft.patient.is_some() && !rules.boluses) {
            return Err(ProgramRefusal::Kind { kind });
        }
        let concentration = draft.mixture.primary().concentration;
        let plan = Plan::new(draft.mode, concentration, bounds)?;
        let patient = draft
            .patient
            .map(|wanted| Patient::new(&wanted, concentration, &plan, bounds))
            .transpose()?;
        let mut prescription = Self {
            mixture: draft.mixture,
            plan,
            patient,
            policy: draft.policy,
            worst: WorstCase {
                one_hour: Volume::ZERO,
                one_day: Volume::ZERO,
            },
            day_total: Mass::ZERO,
        };
        prescription.worst = prescription
            .worst()
            .ok_or(ProgramRefusal::Flow(Refusal::DoseTooLarge))?;
        prescription.day_total = prescription
            .total()
            .ok_or(ProgramRefusal::Flow(Refusal::DoseTooLarge))?;
        Ok(prescription)
    }

    fn worst(&self) -> Option<WorstCase> {
        let allotment = self.allotment();
        let worst = worst_case(&self.basal_plan(), allotment.as_ref())?;
        Some(match &self.plan {
            Plan::Single { volume, .. } => WorstCase {
                one_hour: worst.one_hour.checked_add(*volume)?,
                one_day: worst.one_day.checked_add(*volume)?,
            },
            _ => worst,
        })
    }

    fn total(&self) -> Option<Mass> {
        let day = Duration::from_days(1);
        let basal = match &self.plan {
            Plan::Stopped => Mass::ZERO,
            Plan::MinimumRate(flow) => Mass::in_volume(
                Volume::from_femtolitres(flow.ratio().times_rounded_up(day.micros())?),
                self.concentration(),
            ),
            Plan::Continuous { dose, .. } => dose.per_day()?,
            Plan::Flex(week) => week.largest_mass_in_window(day)?,
            Plan::Periodic(periodic, _) => periodic.day_total()?,
            Plan::Single { dose, .. } => *dose,
        };
        match (&self.patient, self.allotment()) {
            (Some(patient), Some(allotment)) => basal.checked_add(
                patient
                    .rule
                    .dose()
                    .checked_mul(u64::from(allotment.most_in_a_day()))?,
            ),
            _ => Some(basal),
        }
    }

    /// Judges it by the drug library. `change` is what it changes ([`crate::TotalsInForce::change_to`]).
    ///
    /// # Errors
    /// The hard limit it goes over, whoever asks.
    pub fn judge(
        &self,
        library: &Library,
        change: Option<Change>,
    ) -> Result<SoftFindings, HardRefusal> {
        check(
            &self.mixture,
            library,
            &Asked {
                largest_24h: self.worst.one_day,
                largest_bolus: self.largest_bolus(),
                boluses_per_day: self.boluses_a_day(),
                change,
            },
        )
    }

    /// What is in the reservoir.
    #[must_use]
    pub const fn mixture(&self) -> &Mixture {
        &self.mixture
    }

    /// The drug that is dosed.
    #[must_use]
    pub const fn drug(&self) -> Drug {
        self.mixture.primary().drug
    }

    /// Its concentration, as on the label.
    #[must_use]
    pub const fn concentration(&self) -> Concentration {
        self.mixture.primary().concentration
    }

    /// How it is given, as entered.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match &self.plan {
            Plan::Stopped => Mode::Stopped,
            Plan::MinimumRate(_) => Mode::MinimumRate,
            Plan::Continuous { dose, .. } => Mode::SimpleContinuous(*dose),
            Plan::Flex(week) => Mode::Flex(week.draft().clone()),
            Plan::Periodic(periodic, _) => Mode::Periodic(*periodic.draft()),
            Plan::Single { dose, duration, .. } => Mode::SingleBolus {
                dose: *dose,
                duration: *duration,
            },
        }
    }

    /// The week of a flex program.
    #[must_use]
    pub const fn week(&self) -> Option<&Week> {
        match &self.plan {
            Plan::Flex(week) => Some(week),
            _ => None,
        }
    }

    /// The periodic bolus of such a program.
    #[must_use]
    pub const fn periodic(&self) -> Option<&Periodic> {
        match &self.plan {
            Plan::Periodic(periodic, _) => Some(periodic),
            _ => None,
        }
    }

    /// Steps and duration of the one bolus of such a program.
    #[must_use]
    pub const fn single_bolus(&self) -> Option<(u32, Duration)> {
        match &self.plan {
            Plan::Single {
                steps, duration, ..
            } => Some((*steps, *duration)),
            _ => None,
        }
    }

    /// What the patient may add.
    #[must_use]
    pub fn patient_rule(&self) -> Option<&PatientBolusRule> {
        self.patient.as_ref().map(|patient| &patient.rule)
    }

    /// Steps of one patient bolus, rounded down.
    #[must_use]
    pub fn patient_steps(&self) -> Option<u32> {
        self.patient.as_ref().map(|patient| patient.steps)
    }

    /// What the patient is allotted, as volumes.
    #[must_use]
    pub fn allotment(&self) -> Option<Allotment> {
        let patient = self.patient.as_ref()?;
        Some(Allotment {
            volume: patient.volume,
            duration: patient.rule.duration(),
            lockout: patient.rule.lockout(),
            per_day: u32::from(patient.rule.per_day()),
        })
    }

    /// What runs without anybody asking.
    #[must_use]
    pub const fn basal_plan(&self) -> BasalPlan<'_> {
        match &self.plan {
            Plan::Stopped | Plan::Single { .. } => BasalPlan::Continuous(Flow::ZERO),
            Plan::MinimumRate(flow) | Plan::Continuous { flow, .. } => BasalPlan::Continuous(*flow),
            Plan::Flex(week) => BasalPlan::Week(week),
            Plan::Periodic(periodic, _) => BasalPlan::Periodic(periodic),
        }
    }

    /// The basal flow without a time of day: of flex the lowest, of periodic what runs between; [`Flow::ZERO`] when stopped.
    #[must_use]
    pub fn flow(&self) -> Flow {
        match &self.plan {
            Plan::Stopped | Plan::Single { .. } => Flow::ZERO,
            Plan::MinimumRate(flow) | Plan::Continuous { flow, .. } => *flow,
            Plan::Flex(week) => week.lowest(),
            Plan::Periodic(periodic, _) => periodic.basal_flow(),
        }
    }

    /// The mean basal flow of 24 hours: what a HOLD-LAST drug is held at.
    #[must_use]
    pub fn mean_flow(&self) -> Flow {
        self.week().map_or(self.flow(), Week::mean_flow)
    }

    /// The highest basal flow.
    #[must_use]
    pub fn highest_flow(&self) -> Flow {
        self.week().map_or(self.flow(), Week::highest)
    }

    /// Whether anything is ever given without somebody asking for it.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        matches!(self.plan, Plan::Stopped)
    }

    /// The primary drug in the largest rolling 24 hours, with every bolus that can start in them, exactly; [`Mass::ZERO`] when stopped.
    #[must_use]
    pub const fn day_total(&self) -> Mass {
        self.day_total
    }

    /// The largest volumes in any rolling hour and 24 hours.
    #[must_use]
    pub const fn worst_case(&self) -> WorstCase {
        self.worst
    }

    /// The largest single bolus there can be.
    #[must_use]
    pub fn largest_bolus(&self) -> Option<Volume> {
        let of_plan = match &self.plan {
            Plan::Periodic(_, volume) => Some(*volume),
            Plan::Single { volume, .. } => Some(*volume),
            _ => None,
        };
        of_plan.max(self.patient.as_ref().map(|patient| patient.volume))
    }

    /// Boluses that can start in any 24 hours.
    #[must_use]
    pub fn boluses_a_day(&self) -> u32 {
        let of_plan = match &self.plan {
            Plan::Periodic(periodic, _) => periodic.boluses_a_day(),
            Plan::Single { .. } => 1,
            _ => 0,
        };
        let of_patient = self
            .allotment()
            .map_or(0, |allotment| allotment.most_in_a_day());
        of_plan.saturating_add(of_patient)
    }

    /// What keeps the patient from more boluses: the number or the lockout.
    #[must_use]
    pub fn binding(&self) -> Option<Binding> {
        self.allotment().map(|allotment| allotment.binding())
    }

    /// What a fault does that leaves the drug deliverable: the clinician's choice, or the library's for the mixture.
    #[must_use]
    pub fn policy(&self) -> FaultPolicy {
        self.policy.unwrap_or(self.mixture.fault_policy())
    }

    /// The clinician's choice of it.
    #[must_use]
    pub const fn chosen_policy(&self) -> Option<FaultPolicy> {
        self.policy
    }
}

impl Plan {
    fn new(
        mode: Mode,
        concentration: Concentration,
        bounds: &Bounds,
    ) -> Result<Self, ProgramRefusal> {
        Ok(match mode {
            Mode::Stopped => Self::Stopped,
            Mode::MinimumRate => Self::MinimumRate(bounds.minimum_rate.flow()),
            Mode::SimpleContinuous(dose) => {
                if dose.amount() == Mass::ZERO {
                    return Err(Refusal::DoseZero.into());
                }
                dose.per_day().ok_or(Refusal::DoseTooLarge)?;
                let flow = dose.flow(concentration);
                check_flow(flow, bounds)?;
                Self::Continuous { dose, flow }
            }
            Mode::Flex(draft) => Self::Flex(Week::new(draft, concentration, bounds)?),
            Mode::Periodic(draft) => {
                let periodic = Periodic::new(draft, concentration, bounds)?;
                let steps = u64::from(periodic.bolus_steps());
                let volume = bounds
                    .step_volume
                    .volume_of(steps)
                    .ok_or(Refusal::DoseTooLarge)?;
                Self::Periodic(periodic, volume)
            }
            Mode::SingleBolus { dose, duration } => {
                let (steps, volume) = bolus(dose, duration, concentration, Flow::ZERO, bounds)?;
                Self::Single {
                    dose,
                    duration,
                    steps,
                    volume,
                }
            }
        })
    }

    fn highest_flow(&self) -> Flow {
        match self {
            Self::Stopped | Self::Single { .. } => Flow::ZERO,
            Self::MinimumRate(flow) | Self::Continuous { flow, .. } => *flow,
            Self::Flex(week) => week.highest(),
            Self::Periodic(periodic, _) => periodic.basal_flow(),
        }
    }
}

impl Patient {
    fn new(
        wanted: &PatientBolusDraft,
        concentration: Concentration,
        plan: &Plan,
        bounds: &Bounds,
    ) -> Result<Self, ProgramRefusal> {
        if matches!(plan, Plan::Stopped | Plan::Single { .. }) {
            return Err(ProgramRefusal::PatientWithoutBasal);
        }
        let rule = PatientBolusRule::new(wanted)?;
        let (steps, volume) = bolus(
            rule.dose(),
            rule.duration(),
            concentration,
            plan.highest_flow(),
            bounds,
        )?;
        Ok(Self {
            rule,
            steps,
            volume,
        })
    }
}

/// Whole steps and volume of a bolus, if the pump can give it over a basal flow.
fn bolus(
    dose: Mass,
    duration: Duration,
    concentration: Concentration,
    basal: Flow,
    bounds: &Bounds,
) -> Result<(u32, Volume), ProgramRefusal> {
    let second = Duration::from_seconds(1).micros();
    let whole = duration.micros().checked_rem(second) == Some(0);
    if !whole || duration == Duration::ZERO || duration > LONGEST_BOLUS {
        return Err(ProgramRefusal::BolusDuration { duration });
    }
    let steps = whole_steps(dose, concentration, bounds.step_volume)
        .filter(|steps| *steps > 0)
        .ok_or(ProgramRefusal::BolusDose { dose })?;
    let volume = bounds
        .step_volume
        .volume_of(u64::from(steps))
        .ok_or(ProgramRefusal::BolusDose { dose })?;
    check_total_flow(basal, volume, duration, bounds)
        .map_err(|shortest| ProgramRefusal::BolusTooFast { duration, shortest })?;
    Ok((steps, volume))
}

/// The longest bolus (clinical reference 4.3, GIP 1.4.9).
const LONGEST_BOLUS: Duration = Duration::from_hours(24);

/// Whether the pump can give a flow: its lowest and highest rate, themselves allowed, and the motor's pace.
///
/// # Errors
/// [`Refusal::FlowBelowLowest`], [`Refusal::FlowAboveHighest`], [`Refusal::StepRateAboveMaximum`].
pub fn check_flow(flow: Flow, bounds: &Bounds) -> Result<(), Refusal> {
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
    Ok(())
}

/// Why a program is none for this pump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramRefusal {
    /// This kind of pump has no such mode, or no boluses.
    Kind {
        /// What the pump is.
        kind: PumpKind,
    },
    /// A dose or its flow.
    Flow(Refusal),
    /// A flex week.
    Week(WeekRefusal),
    /// A periodic bolus.
    Periodic(PeriodicRefusal),
    /// The patient's boluses.
    Patient(RuleRefusal),
    /// Patient boluses where nothing else runs.
    PatientWithoutBasal,
    /// A bolus of less than a step, or of more than can be counted.
    BolusDose {
        /// What was asked for.
        dose: Mass,
    },
    /// Not a whole number of seconds from 1 s to 24 h.
    BolusDuration {
        /// What was asked for.
        duration: Duration,
    },
    /// Over the basal rate the pump cannot give the bolus so fast.
    BolusTooFast {
        /// What was asked for.
        duration: Duration,
        /// What is possible at the shortest; `None` when nothing is.
        shortest: Option<Duration>,
    },
}

impl From<Refusal> for ProgramRefusal {
    fn from(refusal: Refusal) -> Self {
        Self::Flow(refusal)
    }
}

impl From<WeekRefusal> for ProgramRefusal {
    fn from(refusal: WeekRefusal) -> Self {
        Self::Week(refusal)
    }
}

impl From<PeriodicRefusal> for ProgramRefusal {
    fn from(refusal: PeriodicRefusal) -> Self {
        Self::Periodic(refusal)
    }
}

impl From<RuleRefusal> for ProgramRefusal {
    fn from(refusal: RuleRefusal) -> Self {
        Self::Patient(refusal)
    }
}

impl fmt::Display for ProgramRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind { kind } => write!(f, "this pump cannot do that: {kind}"),
            Self::Flow(refusal) => refusal.fmt(f),
            Self::Week(refusal) => refusal.fmt(f),
            Self::Periodic(refusal) => refusal.fmt(f),
            Self::Patient(refusal) => refusal.fmt(f),
            Self::PatientWithoutBasal => {
                f.write_str("patient boluses need a program that runs beneath them")
            }
            Self::BolusDose { dose } => write!(
                f,
                "a bolus of {dose} is none for this pump: at least one step of the motor, and less than 4.29 g"
            ),
            Self::BolusDuration { duration } => write!(
                f,
                "a bolus over {duration} is not allowed: whole seconds, 1 s to 24 h"
            ),
            Self::BolusTooFast {
                duration,
                shortest: Some(shortest),
            } => write!(
                f,
                "the pump cannot give the bolus over {duration} beside the basal rate: at the shortest over {shortest}"
            ),
            Self::BolusTooFast { duration, .. } => write!(
                f,
                "the pump cannot give the bolus over {duration} beside the basal rate, nor over any time up to 24 h"
            ),
        }
    }
}

impl core::error::Error for ProgramRefusal {}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use proptest::prelude::*;
    use units::{FlowRate, Per, StepVolume, Volume};

    use super::*;
    use crate::library::DrugEntry;

    const BOUNDS: Bounds = Bounds::PROGRAMMABLE_IMPLANT;

    fn draft(dose: &str, concentration: &str) -> Draft {
        let mode = Mode::SimpleContinuous(dose.parse().unwrap());
        Draft::simple(Drug::Baclofen, concentration.parse().unwrap(), mode)
    }

    /// On a programmable implant with these bounds.
    fn prescription(draft: Draft, bounds: &Bounds) -> Result<Prescription, ProgramRefusal> {
        Prescription::new(draft, bounds, PumpKind::ProgrammableImplant)
    }

    fn refusal(dose: &str, concentration: &str) -> Refusal {
        match prescription(draft(dose, concentration), &BOUNDS) {
            Err(ProgramRefusal::Flow(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_common_dose_is_allowed_and_kept_as_entered() {
        let draft = draft("22.5 mcg/h", "2 mg/mL");
        let prescription = prescription(draft.clone(), &BOUNDS).unwrap();
        assert_eq!(prescription.drug(), Drug::Baclofen);
        assert_eq!(
            prescription.concentration(),
            draft.mixture.primary().concentration
        );
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
        let prescription = prescription(draft, &nothing).unwrap();
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
            prescription(draft.clone(), &BOUNDS),
            Err(Refusal::DoseTooLarge.into())
        );
        let per_day = DoseRate::new(Mass::from_zeptograms(u128::MAX), Per::Day);
        let draft = Draft {
            mode: Mode::SimpleContinuous(per_day),
            ..draft
        };
        assert!(matches!(
            prescription(draft, &BOUNDS),
            Err(ProgramRefusal::Flow(Refusal::FlowAboveHighest { .. }))
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
                prescription(draft(dose, concentration), &BOUNDS).is_ok(),
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
        assert!(prescription(draft("48 mg/day", "2 mg/mL"), &BOUNDS).is_ok());
        assert!(prescription(draft("2 mg/h", "2 mg/mL"), &BOUNDS).is_ok());
        let refusal = refusal("48.000000000000000001 mg/day", "2 mg/mL");
        let Refusal::FlowAboveHighest { flow, highest } = refusal else {
            panic!("{refusal} is not too high");
        };
        assert!(flow > highest.flow());
    }

    /// Requirement: TH-rates
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
        let refusal = prescription(draft("48 mg/day", "2 mg/mL"), &slow).unwrap_err();
        let flow = "24 mL/day".parse::<FlowRate>().unwrap().flow();
        assert_eq!(
            refusal,
            Refusal::StepRateAboveMaximum {
                flow,
                maximum_millihertz: 125_000
            }
            .into()
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

    fn patient(dose: &str, lockout_hours: u32, per_day: u8) -> PatientBolusDraft {
        PatientBolusDraft {
            dose: dose.parse().unwrap(),
            duration: Duration::from_minutes(10),
            lockout: Duration::from_hours(lockout_hours),
            per_day,
            daily_cap: None,
            periods: heapless::Vec::new(),
        }
    }

    fn morphine(dose: &str) -> Draft {
        Draft {
            mixture: Mixture::of(Ingredient {
                drug: Drug::Morphine,
                concentration: "10 mg/mL".parse().unwrap(),
            }),
            ..draft(dose, "10 mg/mL")
        }
    }

    /// Clinical reference, 2.12: 2.5 mg and four times 0.25 mg are 3.5 mg in 24 h; with 8 h between them only three fit.
    #[test]
    fn patient_boluses_count_in_the_total_as_often_as_they_fit() {
        for (lockout, per_day, total, binding) in [
            (6, 4, "3.5 mg", "Count"),
            (8, 4, "3.25 mg", "Lockout"),
            (1, 1, "2.75 mg", "Count"),
        ] {
            let draft = Draft {
                patient: Some(patient("0.25 mg", lockout, per_day)),
                ..morphine("2.5 mg/day")
            };
            let found = prescription(draft, &BOUNDS).unwrap();
            assert_eq!(found.day_total().to_string(), total, "{lockout} h");
            assert_eq!(std::format!("{:?}", found.binding().unwrap()), binding);
            assert_eq!(found.patient_steps(), Some(10_000));
        }
    }

    /// Basal and the largest bolus together stay within 1 mL/h: refused when programmed, never stretched later.
    ///
    /// Requirement: TH-rates
    #[test]
    fn a_bolus_too_fast_beside_the_basal_rate_is_refused_with_what_is_possible() {
        let wanted = |duration: u32| Draft {
            patient: Some(PatientBolusDraft {
                duration: Duration::from_seconds(duration),
                ..patient("1 mg", 6, 4)
            }),
            ..morphine("120 mg/day")
        };
        // 12 of 24 mL/day are left: 0.1 mL takes 12 minutes.
        assert!(prescription(wanted(720), &BOUNDS).is_ok());
        assert_eq!(
            prescription(wanted(719), &BOUNDS),
            Err(ProgramRefusal::BolusTooFast {
                duration: Duration::from_seconds(719),
                shortest: Some(Duration::from_minutes(12)),
            })
        );
    }

    #[test]
    fn one_bolus_is_a_program_of_its_own() {
        let single = |dose: &str, duration| Draft {
            mode: Mode::SingleBolus {
                dose: dose.parse().unwrap(),
                duration,
            },
            ..morphine("1 mg/day")
        };
        let found = prescription(single("1 mg", Duration::from_hours(1)), &BOUNDS).unwrap();
        assert_eq!(
            found.single_bolus(),
            Some((40_000, Duration::from_hours(1)))
        );
        assert_eq!(found.flow(), Flow::ZERO);
        assert_eq!(found.day_total().to_string(), "1 mg");
        assert_eq!(found.worst_case().one_day.to_string(), "0.1 mL");
        assert_eq!(found.boluses_a_day(), 1);
        assert_eq!(
            prescription(single("24 ng", Duration::from_hours(1)), &BOUNDS),
            Err(ProgramRefusal::BolusDose {
                dose: "24 ng".parse().unwrap()
            })
        );
        assert!(prescription(single("24 mg", Duration::from_hours(24)), &BOUNDS).is_ok());
        for duration in [
            Duration::ZERO,
            Duration::from_millis(1_500),
            Duration::from_seconds(86_401),
        ] {
            assert_eq!(
                prescription(single("1 mg", duration), &BOUNDS),
                Err(ProgramRefusal::BolusDuration { duration })
            );
        }
        let with_patient = Draft {
            patient: Some(patient("0.25 mg", 6, 4)),
            ..single("1 mg", Duration::from_hours(1))
        };
        assert_eq!(
            prescription(with_patient, &BOUNDS),
            Err(ProgramRefusal::PatientWithoutBasal)
        );
    }

    /// What a program says of itself: a periodic one with patient boluses beside it, a flex one, a single bolus, none.
    #[test]
    fn a_program_says_what_it_holds() {
        let with = |mode| Draft {
            mode,
            ..morphine("1 mg/day")
        };
        let periodic = PeriodicDraft {
            bolus: "0.25 mg".parse().unwrap(),
            duration: Duration::from_minutes(10),
            interval: Duration::from_hours(6),
            basal: Some("1 mg/day".parse().unwrap()),
        };
        let draft = Draft {
            patient: Some(patient("0.5 mg", 6, 3)),
            policy: Some(FaultPolicy::HoldLast),
            ..with(Mode::Periodic(periodic))
        };
        let found = prescription(draft.clone(), &BOUNDS).unwrap();
        assert_eq!(found.periodic().map(Periodic::draft), Some(&periodic));
        assert_eq!((found.week(), found.single_bolus()), (None, None));
        assert_eq!(
            found.patient_rule().map(PatientBolusRule::lockout),
            Some(Duration::from_hours(6))
        );
        assert_eq!(found.largest_bolus(), Some("0.05 mL".parse().unwrap()));
        assert_eq!(found.boluses_a_day(), 4 + 3);
        assert_eq!(found.chosen_policy(), draft.policy);
        let alone = prescription(with(Mode::Periodic(periodic)), &BOUNDS).unwrap();
        assert_eq!(alone.largest_bolus(), Some("0.025 mL".parse().unwrap()));
        assert_eq!((alone.patient_rule(), alone.chosen_policy()), (None, None));

        let week = WeekDraft {
            per: Per::Hour,
            days: [0; 7],
            steps: heapless::Vec::from_slice(&[crate::schedule::WeekStep {
                from_minute: 0,
                dose_nanograms: 200_000,
            }])
            .unwrap(),
        };
        let flex = prescription(with(Mode::Flex(week.clone())), &BOUNDS).unwrap();
        assert_eq!(flex.week().map(Week::draft), Some(&week));
        assert_eq!((flex.periodic(), flex.boluses_a_day()), (None, 0));

        let single = Mode::SingleBolus {
            dose: "1 mg".parse().unwrap(),
            duration: Duration::from_hours(1),
        };
        let single = prescription(with(single), &BOUNDS).unwrap();
        assert_eq!(single.largest_bolus(), Some("0.1 mL".parse().unwrap()));
        assert!(!single.is_stopped());

        let stopped = prescription(with(Mode::Stopped), &BOUNDS).unwrap();
        assert!(stopped.is_stopped());
        assert_eq!(stopped.largest_bolus(), None);
    }

    /// The library is asked about the day, the largest bolus and how many there can be; both sides of morphine's hard limits.
    #[test]
    fn the_library_judges_the_day_and_the_largest_bolus() {
        let library = Library::built_in();
        let judged = |draft| prescription(draft, &BOUNDS).unwrap().judge(&library, None);
        assert!(judged(morphine("30 mg/day")).is_ok());
        assert!(matches!(
            judged(morphine("30.001 mg/day")),
            Err(HardRefusal::Day { .. })
        ));
        let single = |dose: &str| Draft {
            mode: Mode::SingleBolus {
                dose: dose.parse().unwrap(),
                duration: Duration::from_hours(24),
            },
            ..morphine("1 mg/day")
        };
        let limit = DrugEntry::of(Drug::Morphine).limits().bolus.hard.mass();
        let a_step_more = limit.checked_add("25 ng".parse().unwrap()).unwrap();
        assert!(judged(single(&limit.to_string())).is_ok());
        assert!(matches!(
            judged(single(&a_step_more.to_string())),
            Err(HardRefusal::Bolus { .. })
        ));
    }

    /// What a kind of pump does not do no program reaches.
    ///
    /// Requirement: AC-24, TH-kinds
    #[test]
    fn each_kind_has_its_modes() {
        let continuous = morphine("5 mg/day");
        let week = WeekDraft {
            per: units::Per::Hour,
            days: [0; 7],
            steps: heapless::Vec::from_slice(&[crate::schedule::WeekStep {
                from_minute: 0,
                dose_nanograms: 200_000,
            }])
            .unwrap(),
        };
        let with = |mode| Draft {
            mode,
            ..continuous.clone()
        };
        let drafts = [
            with(Mode::Stopped),
            continuous.clone(),
            with(Mode::MinimumRate),
            with(Mode::Flex(week)),
            with(Mode::Periodic(PeriodicDraft {
                bolus: "0.25 mg".parse().unwrap(),
                duration: Duration::from_minutes(10),
                interval: Duration::from_hours(6),
                basal: None,
            })),
            with(Mode::SingleBolus {
                dose: "1 mg".parse().unwrap(),
                duration: Duration::from_hours(1),
            }),
            Draft {
                patient: Some(patient("0.25 mg", 6, 4)),
                ..continuous.clone()
            },
        ];
        let constant = Bounds {
            lowest: "0.5 mL/day".parse().unwrap(),
            highest: "0.5 mL/day".parse().unwrap(),
            ..BOUNDS
        };
        for (kind, allowed) in [
            (PumpKind::ProgrammableImplant, [true; 7]),
            (
                PumpKind::ConstantRate,
                [true, true, false, false, false, false, false],
            ),
            (
                PumpKind::ExternalTrial,
                [true, true, false, false, false, false, true],
            ),
        ] {
            let bounds = match kind {
                PumpKind::ConstantRate => constant,
                _ => BOUNDS,
            };
            for (draft, allowed) in drafts.iter().zip(allowed) {
                let found = Prescription::new(draft.clone(), &bounds, kind);
                assert_eq!(found.is_ok(), allowed, "{kind} {:?}", draft.mode);
                assert!(allowed || found == Err(ProgramRefusal::Kind { kind }));
            }
        }
        let other_rate = morphine("5.000001 mg/day");
        assert!(Prescription::new(other_rate, &constant, PumpKind::ConstantRate).is_err());
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
            let draft = Draft::simple(Drug::Morphine, concentration, Mode::SimpleContinuous(dose));
            match prescription(draft, &bounds) {
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
