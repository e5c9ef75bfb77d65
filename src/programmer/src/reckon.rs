//! What a program means: the wire's program as the prescription of `therapy`, against the limits that this very pump gave.
//!
//! The pump reckons with the same code. What it reads back is compared with what is reckoned here all the same: where the two differ, one
//! side is not what it seems.
use core::fmt;

use protocol::{Component, Dose, FlexWeek, Limits, Mode, PatientBolus, Program, from_minutes};
use therapy::{
    Bounds, Calibration, Draft, Ingredient, Mixture, MixtureError, PatientBolusDraft, PeriodCap,
    PeriodicDraft, Prescription, ProgramRefusal, WeekDraft, WeekStep,
};
use units::{
    Concentration, DoseRate, Drug, Duration, Flow, FlowRate, Mass, Per, PumpKind, StepVolume,
    Volume,
};

/// What a pump can be programmed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PumpLimits {
    /// The limits of its flow and its reservoir.
    pub bounds: Bounds,
    /// What it is.
    pub kind: PumpKind,
}

impl PumpLimits {
    /// From the limits a pump gives for itself; `None` when no pump of that kind has them.
    #[must_use]
    pub fn of(limits: &Limits, kind: PumpKind) -> Option<Self> {
        let per_day = |nanolitres| FlowRate::new(Volume::from_nanolitres(nanolitres), Per::Day);
        let (lowest, highest) = (
            per_day(limits.lowest_nl_per_day),
            per_day(limits.highest_nl_per_day),
        );
        let calibration = Calibration {
            kind,
            step_volume: StepVolume::new(limits.step_volume_fl)?,
            capacity: Volume::from_nanolitres(limits.capacity_nl),
            fixed_rate: (kind == PumpKind::ConstantRate).then_some(lowest),
        };
        // Minimum rate and the motor's pace follow from the kind.
        let bounds = Bounds::of(&calibration).ok()?;
        Some(Self {
            bounds: Bounds {
                lowest,
                highest,
                ..bounds
            },
            kind,
        })
    }

    /// The program as a prescription.
    ///
    /// # Errors
    /// Why it is none for this pump.
    pub fn prescription(&self, program: &Program) -> Result<Prescription, Unfit> {
        Prescription::new(draft(program)?, &self.bounds, self.kind).map_err(Unfit::Refused)
    }

    /// Drug and 24-hour total of a program in nanograms; `None` when it is none for this pump.
    #[must_use]
    pub fn day_total(&self, program: &Program) -> Option<(Drug, u64)> {
        let prescription = self.prescription(program).ok()?;
        Some((prescription.drug(), day_total_nanograms(&prescription)))
    }
}

/// Why a program is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// A drug of no concentration.
    NoConcentration(Drug),
    /// The drugs do not make a mixture.
    Mixture(MixtureError),
    /// A flex week of which steps are missing.
    BrokenWeek,
    /// Periods of the day that cannot be held.
    BrokenPeriods,
    /// The pump cannot give it.
    Refused(ProgramRefusal),
}

impl fmt::Display for Unfit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConcentration(drug) => {
                write!(out, "{drug} needs a concentration of more than 0 ng/mL")
            }
            Self::Mixture(error) => error.fmt(out),
            Self::BrokenWeek => out.write_str("the flex week has patterns without their steps"),
            Self::BrokenPeriods => out.write_str("the periods of the patient bolus cannot be held"),
            Self::Refused(refusal) => refusal.fmt(out),
        }
    }
}

/// The 24-hour total in nanograms, rounded down, as the wire has it; at most what can be held.
#[must_use]
pub fn day_total_nanograms(prescription: &Prescription) -> u64 {
    prescription.day_total().nanograms_rounded_down()
}

/// The flow at which the reservoir empties when everything allotted is given; zero when that is no steady flow.
#[must_use]
pub fn emptying_flow(prescription: &Prescription) -> Flow {
    if prescription.single_bolus().is_some() {
        return Flow::ZERO;
    }
    if prescription.largest_bolus().is_none() {
        return prescription.mean_flow();
    }
    let day = prescription.worst_case().one_day;
    Flow::of_volume_over(day, Duration::from_days(1)).unwrap_or(Flow::ZERO)
}

/// A dose of the wire as a dose rate.
#[must_use]
pub const fn dose_rate(dose: Dose) -> DoseRate {
    DoseRate::new(Mass::from_nanograms(dose.nanograms), dose.per)
}

fn draft(program: &Program) -> Result<Draft, Unfit> {
    let secondaries = program
        .secondaries
        .iter()
        .map(ingredient)
        .collect::<Result<Vec<_>, _>>()?;
    let mixture =
        Mixture::new(ingredient(&program.primary)?, &secondaries).map_err(Unfit::Mixture)?;
    Ok(Draft {
        mixture,
        mode: mode(&program.mode)?,
        patient: program.patient_bolus.as_ref().map(patient).transpose()?,
        policy: program.fault_policy,
    })
}

fn ingredient(component: &Component) -> Result<Ingredient, Unfit> {
    let drug = component.drug;
    let concentration =
        Concentration::from_nanograms_per_millilitre(component.concentration_ng_per_ml)
            .ok_or(Unfit::NoConcentration(drug))?;
    Ok(Ingredient {
        drug,
        concentration,
    })
}

fn mode(mode: &Mode) -> Result<therapy::Mode, Unfit> {
    Ok(match mode {
        Mode::Stopped => therapy::Mode::Stopped,
        Mode::MinimumRate => therapy::Mode::MinimumRate,
        Mode::SimpleContinuous { dose } => therapy::Mode::SimpleContinuous(dose_rate(*dose)),
        Mode::Flex { week: of } => therapy::Mode::Flex(week(of).ok_or(Unfit::BrokenWeek)?),
        Mode::PeriodicBolus(periodic) => therapy::Mode::Periodic(PeriodicDraft {
            bolus: Mass::from_nanograms(periodic.bolus_ng),
            duration: Duration::from_seconds(periodic.duration_s),
            interval: Duration::from_minutes(periodic.interval_min),
            basal: periodic.basal.map(dose_rate),
        }),
        Mode::SingleBolus {
            dose_ng,
            duration_s,
        } => therapy::Mode::SingleBolus {
            dose: Mass::from_nanograms(*dose_ng),
            duration: Duration::from_seconds(*duration_s),
        },
    })
}

/// `None` when steps are missing.
fn week(week: &FlexWeek) -> Option<WeekDraft> {
    let mut draft = WeekDraft {
        per: week.per,
        days: week.days,
        steps: Default::default(),
    };
    for (number, _) in (0_u8..).zip(&week.patterns) {
        for (from_minute, dose_nanograms) in from_minutes(week.pattern(number)?) {
            let step = WeekStep {
                from_minute,
                dose_nanograms,
            };
            draft.steps.push(step).ok()?;
        }
    }
    Some(draft)
}

fn patient(bolus: &PatientBolus) -> Result<PatientBolusDraft, Unfit> {
    let mut draft = PatientBolusDraft {
        dose: Mass::from_nanograms(bolus.dose_ng),
        duration: Duration::from_seconds(bolus.duration_s),
        lockout: Duration::from_minutes(u32::from(bolus.lockout_min)),
        per_day: bolus.per_day,
        daily_cap: bolus.day_cap_ng.map(Mass::from_nanograms),
        periods: Default::default(),
    };
    for period in &bolus.periods {
        let cap = PeriodCap::new(period.from_min, period.to_min, period.boluses)
            .map_err(|refusal| Unfit::Refused(ProgramRefusal::Patient(refusal)))?;
        draft.periods.push(cap).map_err(|_| Unfit::BrokenPeriods)?;
    }
    Ok(draft)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_pump::{baclofen, flex, fresh_status, periodic, with_patient_bolus};

    fn limits() -> PumpLimits {
        PumpLimits::of(&fresh_status().limits, PumpKind::ProgrammableImplant).unwrap()
    }

    fn total(program: &Program) -> u64 {
        let (drug, total) = limits().day_total(program).unwrap();
        assert_eq!(drug, program.primary.drug);
        total
    }

    #[test]
    fn the_total_holds_every_bolus_allotted() {
        assert_eq!(total(&baclofen(None, 250_000)), 250_000);
        // Four of 10 mcg.
        assert_eq!(total(&with_patient_bolus(250_000)), 290_000);
        // 8 h of 15 mcg/h and 16 h of 20 mcg/h.
        assert_eq!(total(&flex()), 440_000);
        // Six of 50 mcg over a minimum rate of 0.006 mL/day at 2 mg/mL.
        assert_eq!(total(&periodic()), 312_000);
    }

    #[test]
    fn the_reservoir_empties_as_everything_allotted_is_given() {
        let flow = |program: &Program| {
            emptying_flow(&limits().prescription(program).unwrap())
                .per_day_nanolitres_rounded_down()
        };
        assert_eq!(flow(&baclofen(None, 250_000)), 125_000);
        assert_eq!(flow(&with_patient_bolus(250_000)), 145_000);
        let single = Mode::SingleBolus {
            dose_ng: 10_000,
            duration_s: 600,
        };
        assert_eq!(flow(&Program::new(baclofen(None, 1).primary, single)), 0);
    }

    #[test]
    fn limits_of_no_pump_are_refused() {
        let mut limits = fresh_status().limits;
        limits.step_volume_fl = 0;
        assert_eq!(PumpLimits::of(&limits, PumpKind::ProgrammableImplant), None);
        limits.step_volume_fl = 2_500_000;
        assert_eq!(PumpLimits::of(&limits, PumpKind::ExternalTrial), None);
        limits.lowest_nl_per_day = 500_000;
        let constant = PumpLimits::of(&limits, PumpKind::ConstantRate).unwrap();
        assert_eq!(
            constant.bounds.highest.volume(),
            Volume::from_millilitres(24)
        );
    }

    #[test]
    fn what_is_no_program_is_refused() {
        let refused = |program: &Program| limits().prescription(program).unwrap_err();
        let mut none = baclofen(None, 250_000);
        none.primary.concentration_ng_per_ml = 0;
        assert_eq!(refused(&none), Unfit::NoConcentration(Drug::Baclofen));
        let mut twice = baclofen(None, 250_000);
        twice.secondaries.push(twice.primary).unwrap();
        assert!(matches!(refused(&twice), Unfit::Mixture(_)));
        let mut broken = flex();
        if let Mode::Flex { week } = &mut broken.mode {
            week.steps.pop();
        }
        assert_eq!(refused(&broken), Unfit::BrokenWeek);
        assert!(matches!(refused(&baclofen(None, 1)), Unfit::Refused(_)));
    }
}
