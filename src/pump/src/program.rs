//! The one translation between the wire's program and therapy's prescription.

use heapless::Vec;
use protocol::{
    Component, Dose, Field, Fill, FlexWeek, LimitKind, List, Mode as WireMode, PatientBolus,
    PeriodCap as WirePeriod, PeriodicBolus, Program, Refused, ScheduleFault, from_minutes,
};
use therapy::{
    Bounds, Draft, HardRefusal, Ingredient, Mixture, MixtureError, Mode, PatientBolusDraft,
    PeriodCap, PeriodicDraft, PeriodicRefusal, Prescription, ProgramRefusal, Refusal, RuleRefusal,
    StepPlace, WeekDraft, WeekRefusal, WeekStep,
};
use units::{Concentration, DoseRate, Duration, Mass, PumpKind, Volume};

/// Translates and validates a program as it came over the link.
///
/// # Errors
/// A [`Refused`] that names the field, its value and what is allowed.
pub fn to_prescription(
    program: &Program,
    bounds: &Bounds,
    kind: PumpKind,
) -> Result<Prescription, Refused> {
    let draft = Draft {
        mixture: mixture(program)?,
        mode: mode(&program.mode)?,
        patient: program.patient_bolus.as_ref().map(patient).transpose()?,
        policy: program.fault_policy,
    };
    Prescription::new(draft, bounds, kind).map_err(|refusal| refused(program, bounds, &refusal))
}

fn mixture(program: &Program) -> Result<Mixture, Refused> {
    let primary = ingredient(&program.primary)?;
    let mut secondaries = Vec::<Ingredient, { therapy::MAXIMUM_SECONDARIES }>::new();
    for component in &program.secondaries {
        // The wire holds no more than the mixture does.
        let _ = secondaries.push(ingredient(component)?);
    }
    Mixture::new(primary, &secondaries).map_err(|error| Refused::OutOfRange {
        field: Field::Drugs,
        value: match error {
            MixtureError::DrugTwice(_) => wide(program.secondaries.len()).saturating_add(2),
            MixtureError::TooManySecondaries { secondaries } => wide(secondaries).saturating_add(1),
        },
        lowest: 1,
        highest: wide(program.secondaries.len()).saturating_add(1),
    })
}

fn ingredient(component: &Component) -> Result<Ingredient, Refused> {
    let concentration = component.concentration_ng_per_ml;
    match Concentration::from_nanograms_per_millilitre(concentration) {
        Some(found) if concentration <= HIGHEST_CONCENTRATION => Ok(Ingredient {
            drug: component.drug,
            concentration: found,
        }),
        _ => Err(Refused::OutOfRange {
            field: Field::ConcentrationNanogramsPerMillilitre,
            value: u64::from(concentration),
            lowest: 1,
            highest: u64::from(HIGHEST_CONCENTRATION),
        }),
    }
}

/// What the path to the tip can hold, ng/mL.
const HIGHEST_CONCENTRATION: u32 = therapy::HIGHEST_CONCENTRATION_NANOGRAMS_PER_MILLILITRE;

fn mode(mode: &WireMode) -> Result<Mode, Refused> {
    Ok(match mode {
        WireMode::Stopped => Mode::Stopped,
        WireMode::MinimumRate => Mode::MinimumRate,
        WireMode::SimpleContinuous { dose } => Mode::SimpleContinuous(rate(*dose)),
        WireMode::Flex { week } => Mode::Flex(week_draft(week)?),
        WireMode::PeriodicBolus(periodic) => Mode::Periodic(PeriodicDraft {
            bolus: Mass::from_nanograms(periodic.bolus_ng),
            duration: Duration::from_seconds(periodic.duration_s),
            interval: Duration::from_minutes(periodic.interval_min),
            basal: periodic.basal.map(rate),
        }),
        WireMode::SingleBolus {
            dose_ng,
            duration_s,
        } => Mode::SingleBolus {
            dose: Mass::from_nanograms(*dose_ng),
            duration: Duration::from_seconds(*duration_s),
        },
    })
}

pub(crate) fn rate(dose: Dose) -> DoseRate {
    DoseRate::new(Mass::from_nanograms(dose.nanograms), dose.per)
}

/// Minutes of a day.
const DAY_MINUTES: u16 = 1_440;

fn week_draft(week: &FlexWeek) -> Result<WeekDraft, Refused> {
    let invalid = |pattern: u8, step: u8, fault| Refused::ScheduleInvalid {
        pattern,
        step,
        fault,
    };
    let mut steps = Vec::new();
    let mut counted = 0_usize;
    for (number, length) in (0_u8..).zip(&week.patterns) {
        let Some(pattern) = week.pattern(number) else {
            return Err(invalid(number, 0, ScheduleFault::Lengths));
        };
        if pattern.is_empty() {
            return Err(invalid(number, 0, ScheduleFault::NoSteps));
        }
        let minutes = pattern.iter().fold(0_u32, |sum, step| {
            sum.saturating_add(u32::from(step.lasts_min()))
        });
        if let Some(empty) = pattern.iter().position(|step| step.lasts_min() == 0) {
            return Err(invalid(number, narrow(empty), ScheduleFault::EmptyStep));
        }
        if minutes != u32::from(DAY_MINUTES) {
            return Err(invalid(
                number,
                length.saturating_sub(1),
                ScheduleFault::NotADay,
            ));
        }
        for (from_minute, dose_nanograms) in from_minutes(pattern) {
            // The wire holds no more steps than a week does.
            let _ = steps.push(WeekStep {
                from_minute,
                dose_nanograms,
            });
        }
        counted = counted.saturating_add(usize::from(*length));
    }
    if counted != week.steps.len() || week.patterns.is_empty() {
        return Err(invalid(0, 0, ScheduleFault::Lengths));
    }
    if week.steps.iter().all(|step| step.dose_ng() == 0) {
        return Err(invalid(0, 0, ScheduleFault::NothingButMinimum));
    }
    Ok(WeekDraft {
        per: week.per,
        days: week.days,
        steps,
    })
}

fn patient(wanted: &PatientBolus) -> Result<PatientBolusDraft, Refused> {
    let mut periods = Vec::new();
    for period in &wanted.periods {
        let cap = PeriodCap::new(period.from_min, period.to_min, period.boluses).map_err(|_| {
            Refused::OutOfRange {
                field: Field::MinuteOfDay,
                value: u64::from(period.from_min.max(period.to_min)),
                lowest: 0,
                highest: 1_439,
            }
        })?;
        // The wire holds no more than the rule does.
        let _ = periods.push(cap);
    }
    Ok(PatientBolusDraft {
        dose: Mass::from_nanograms(wanted.dose_ng),
        duration: Duration::from_seconds(wanted.duration_s),
        lockout: Duration::from_minutes(u32::from(wanted.lockout_min)),
        per_day: wanted.per_day,
        daily_cap: wanted.day_cap_ng.map(Mass::from_nanograms),
        periods,
    })
}

/// The program as the pump understood it: rebuilt from the prescription, not echoed.
#[must_use]
pub fn to_wire(prescription: &Prescription, of: &Program) -> Program {
    let mode = match prescription.mode() {
        Mode::Stopped => WireMode::Stopped,
        Mode::MinimumRate => WireMode::MinimumRate,
        Mode::SimpleContinuous(rate) => WireMode::SimpleContinuous { dose: dose(rate) },
        Mode::Flex(draft) => WireMode::Flex {
            week: wire_week(&draft),
        },
        Mode::Periodic(draft) => WireMode::PeriodicBolus(PeriodicBolus {
            bolus_ng: nanograms(draft.bolus),
            duration_s: seconds(draft.duration),
            interval_min: seconds(draft.interval) / 60,
            basal: draft.basal.map(dose),
            first_after_min: match of.mode {
                WireMode::PeriodicBolus(PeriodicBolus {
                    first_after_min, ..
                }) => first_after_min,
                _ => None,
            },
        }),
        Mode::SingleBolus { dose, duration } => WireMode::SingleBolus {
            dose_ng: nanograms(dose),
            duration_s: seconds(duration),
        },
    };
    Program {
        primary: component(prescription.mixture().primary()),
        secondaries: List::of(
            prescription
                .mixture()
                .secondaries()
                .iter()
                .copied()
                .map(component),
        ),
        mode,
        patient_bolus: prescription.patient_rule().map(|rule| PatientBolus {
            dose_ng: nanograms(rule.dose()),
            duration_s: seconds(rule.duration()),
            lockout_min: u16::try_from(seconds(rule.lockout()) / 60).unwrap_or(u16::MAX),
            per_day: rule.per_day(),
            day_cap_ng: rule.daily_cap().map(nanograms),
            periods: List::of(rule.periods().iter().map(|period| WirePeriod {
                from_min: period.from(),
                to_min: period.to(),
                boluses: period.most(),
            })),
        }),
        fault_policy: prescription.chosen_policy(),
        bridge: of.bridge,
        fill: of.fill,
        low_mark_nl: of.low_mark_nl,
    }
}

fn component(ingredient: Ingredient) -> Component {
    Component {
        drug: ingredient.drug,
        concentration_ng_per_ml: ingredient.concentration.nanograms_per_millilitre(),
    }
}

fn dose(rate: DoseRate) -> Dose {
    Dose {
        nanograms: nanograms(rate.amount()),
        per: rate.per(),
    }
}

/// A prescription made by [`to_prescription`] holds whole nanograms.
fn nanograms(mass: Mass) -> u64 {
    mass.nanograms_exact().unwrap_or(u64::MAX)
}

pub(crate) fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.seconds_rounded_down()).unwrap_or(u32::MAX)
}

fn wire_week(draft: &WeekDraft) -> FlexWeek {
    let mut week = FlexWeek::new(draft.per);
    week.days = draft.days;
    let mut rest = draft.steps.iter().peekable();
    while let Some(first) = rest.next() {
        let mut pattern = Vec::<(u16, u32), { therapy::WEEK_STEPS }>::new();
        let _ = pattern.push((first.from_minute, first.dose_nanograms));
        while let Some(step) = rest.next_if(|step| step.from_minute != 0) {
            let _ = pattern.push((step.from_minute, step.dose_nanograms));
        }
        // It came from a week of the same form.
        let _ = week.push_pattern(pattern);
    }
    week
}

/// Whole nanolitres of a volume, rounded down, at most what the wire can hold.
pub(crate) fn nanolitres(volume: Volume) -> u32 {
    u32::try_from(volume.nanolitres_rounded_down()).unwrap_or(u32::MAX)
}

/// A flow in whole nanolitres a day, rounded down, at most what the wire can hold.
pub(crate) fn per_day(flow: units::Flow) -> u32 {
    u32::try_from(flow.per_day_nanolitres_rounded_down()).unwrap_or(u32::MAX)
}

/// Whether a fill can be in the reservoir; `level` is what a top-up adds to.
pub(crate) fn check_fill(
    fill: &Fill,
    level: Option<Volume>,
    bounds: &Bounds,
) -> Result<(), Refused> {
    let there = if fill.top_up {
        level.unwrap_or(Volume::ZERO)
    } else {
        Volume::ZERO
    };
    let highest = nanolitres(bounds.capacity.saturating_sub(there));
    if fill.volume_nl > highest {
        return Err(Refused::OutOfRange {
            field: Field::FillNanolitres,
            value: u64::from(fill.volume_nl),
            lowest: 0,
            highest: u64::from(highest),
        });
    }
    Ok(())
}

/// Whether a reservoir can come to count as low before it is empty.
pub(crate) fn check_low_mark(low_mark_nl: Option<u32>, bounds: &Bounds) -> Result<(), Refused> {
    let capacity = nanolitres(bounds.capacity);
    match low_mark_nl {
        Some(mark) if !(1..=capacity).contains(&mark) => Err(Refused::OutOfRange {
            field: Field::LowMarkNanolitres,
            value: u64::from(mark),
            lowest: 1,
            highest: u64::from(capacity),
        }),
        _ => Ok(()),
    }
}

fn refused(program: &Program, bounds: &Bounds, refusal: &ProgramRefusal) -> Refused {
    match refusal {
        ProgramRefusal::Kind { kind } => Refused::KindForbids { kind: *kind },
        ProgramRefusal::Flow(refusal) => flow_refused(main_dose(program), bounds, *refusal),
        ProgramRefusal::Week(refusal) => week_refused(program, bounds, refusal),
        ProgramRefusal::Periodic(refusal) => periodic_refused(program, bounds, *refusal),
        ProgramRefusal::Patient(refusal) => rule_refused(refusal),
        ProgramRefusal::PatientWithoutBasal => Refused::OutOfRange {
            field: Field::BolusesPerDay,
            value: program
                .patient_bolus
                .as_ref()
                .map_or(0, |bolus| u64::from(bolus.per_day)),
            lowest: 0,
            highest: 0,
        },
        ProgramRefusal::BolusDose { dose } => bolus_dose(dose.nanograms_rounded_down()),
        ProgramRefusal::BolusDuration { duration } => {
            bolus_seconds(duration.seconds_rounded_down(), 1)
        }
        ProgramRefusal::BolusTooFast { duration, shortest } => bolus_seconds(
            duration.seconds_rounded_down(),
            shortest.map_or(LONGEST_BOLUS_S, Duration::seconds_rounded_down),
        ),
    }
}

const LONGEST_BOLUS_S: u64 = 86_400;

fn bolus_dose(value: u64) -> Refused {
    Refused::OutOfRange {
        field: Field::BolusNanograms,
        value,
        lowest: 1,
        highest: u64::from(u32::MAX),
    }
}

pub(crate) fn bolus_seconds(value: u64, lowest: u64) -> Refused {
    Refused::OutOfRange {
        field: Field::BolusSeconds,
        value,
        lowest,
        highest: LONGEST_BOLUS_S,
    }
}

fn main_dose(program: &Program) -> u64 {
    match &program.mode {
        WireMode::SimpleContinuous { dose } => dose.nanograms,
        WireMode::PeriodicBolus(periodic) => periodic.bolus_ng,
        WireMode::SingleBolus { dose_ng, .. } => *dose_ng,
        WireMode::Stopped | WireMode::MinimumRate | WireMode::Flex { .. } => 0,
    }
}

fn week_refused(program: &Program, bounds: &Bounds, refusal: &WeekRefusal) -> Refused {
    let at = |pattern, step, fault| Refused::ScheduleInvalid {
        pattern,
        step,
        fault,
    };
    let placed = |place: &StepPlace, fault| {
        let day = usize::from(place.day.days_since_monday());
        let pattern = match &program.mode {
            WireMode::Flex { week } => week.days.get(day).copied().unwrap_or(0),
            _ => 0,
        };
        at(pattern, place.number.saturating_sub(1), fault)
    };
    match refusal {
        WeekRefusal::PatternMissing { day, .. } => {
            at(day.days_since_monday(), 0, ScheduleFault::NoPattern)
        }
        WeekRefusal::PatternUnused { pattern } => at(*pattern, 0, ScheduleFault::Unused),
        WeekRefusal::TooManySteps { at: place } => placed(place, ScheduleFault::TooManySteps),
        WeekRefusal::ChangesNothing { at: place } => placed(place, ScheduleFault::ChangesNothing),
        WeekRefusal::StartsLate { at: place }
        | WeekRefusal::BeyondTheDay { at: place }
        | WeekRefusal::NotLater { at: place, .. } => placed(place, ScheduleFault::NotADay),
        WeekRefusal::Flow { why, .. } => flow_refused(0, bounds, *why),
    }
}

fn periodic_refused(program: &Program, bounds: &Bounds, refusal: PeriodicRefusal) -> Refused {
    let minutes = |time: Duration| time.seconds_rounded_down() / 60;
    let week = 7 * 24 * 60;
    match refusal {
        PeriodicRefusal::DurationNotWholeMinutes { duration } => {
            bolus_seconds(duration.seconds_rounded_down(), 60)
        }
        PeriodicRefusal::IntervalNotWholeMinutes { interval }
        | PeriodicRefusal::IntervalTooLong { interval } => Refused::OutOfRange {
            field: Field::IntervalMinutes,
            value: minutes(interval),
            lowest: 1,
            highest: week,
        },
        PeriodicRefusal::IntervalBelowDuration { interval, duration } => Refused::OutOfRange {
            field: Field::IntervalMinutes,
            value: minutes(interval),
            lowest: minutes(duration).max(1),
            highest: week,
        },
        PeriodicRefusal::Basal(why) => flow_refused(main_dose(program), bounds, why),
        PeriodicRefusal::BolusBelowStep { bolus, step } => Refused::OutOfRange {
            field: Field::BolusNanograms,
            value: bolus.nanograms_rounded_down(),
            lowest: step.nanograms_rounded_down().saturating_add(1),
            highest: u64::from(u32::MAX),
        },
        PeriodicRefusal::Bolus(why) => match flow_refused(main_dose(program), bounds, why) {
            Refused::OutOfRange {
                field: Field::FlowNanolitresPerDay,
                value,
                lowest,
                highest,
            } => Refused::OutOfRange {
                field: Field::BolusFlowNanolitresPerDay,
                value,
                lowest,
                highest,
            },
            other => other,
        },
    }
}

fn rule_refused(refusal: &RuleRefusal) -> Refused {
    match *refusal {
        RuleRefusal::Dose { dose } => bolus_dose(dose.nanograms_rounded_down()),
        RuleRefusal::Duration { duration } => bolus_seconds(duration.seconds_rounded_down(), 1),
        RuleRefusal::Lockout { lockout, duration } => Refused::OutOfRange {
            field: Field::LockoutMinutes,
            value: lockout.seconds_rounded_down() / 60,
            lowest: duration.seconds_rounded_down().div_ceil(60),
            highest: 24 * 60,
        },
        RuleRefusal::PerDay { per_day } => Refused::OutOfRange {
            field: Field::BolusesPerDay,
            value: u64::from(per_day),
            lowest: 1,
            highest: u64::from(therapy::MOST_BOLUSES_PER_DAY),
        },
        RuleRefusal::DailyCap { cap, dose } => Refused::OutOfRange {
            field: Field::DayCapNanograms,
            value: cap.nanograms_rounded_down(),
            lowest: dose.nanograms_rounded_down(),
            highest: u64::from(u32::MAX),
        },
        RuleRefusal::Period { from, to } => Refused::OutOfRange {
            field: Field::MinuteOfDay,
            value: u64::from(from.max(to)),
            lowest: 0,
            highest: 1_439,
        },
    }
}

fn flow_refused(nanograms: u64, bounds: &Bounds, refusal: Refusal) -> Refused {
    let lowest = bounds.lowest.flow().per_day_nanolitres_rounded_down();
    let highest = bounds.highest.flow().per_day_nanolitres_rounded_down();
    let out_of_flow_range = |value: u64| Refused::OutOfRange {
        field: Field::FlowNanolitresPerDay,
        value,
        lowest,
        highest,
    };
    match refusal {
        Refusal::DoseZero | Refusal::DoseTooLarge => Refused::OutOfRange {
            field: Field::DoseNanograms,
            value: nanograms,
            lowest: 1,
            highest: u64::MAX,
        },
        Refusal::FlowBelowLowest { flow, .. } => {
            out_of_flow_range(flow.per_day_nanolitres_rounded_down())
        }
        // Rounded up: 24.0000004 mL/day must not be shown as the 24 mL/day that would be allowed.
        Refusal::FlowAboveHighest { flow, .. } | Refusal::StepRateAboveMaximum { flow, .. } => {
            out_of_flow_range(
                flow.per_day_nanolitres_rounded_down()
                    .max(highest.saturating_add(1)),
            )
        }
        Refusal::FillAboveCapacity { fill, capacity } => Refused::OutOfRange {
            field: Field::FillNanolitres,
            value: u64::from(nanolitres(fill)),
            lowest: 0,
            highest: u64::from(nanolitres(capacity)),
        },
    }
}

/// A hard limit of the drug library.
pub(crate) fn over_limit(refusal: &HardRefusal) -> Refused {
    let (limit_kind, drug, value, limit) = match *refusal {
        HardRefusal::NotUsedHere { drug } => (LimitKind::DayNanograms, drug, 1, 0),
        HardRefusal::Concentration { drug, asked, limit } => (
            LimitKind::ConcentrationNanogramsPerMillilitre,
            drug,
            u64::from(asked.nanograms_per_millilitre()),
            u64::from(limit.nanograms_per_millilitre()),
        ),
        HardRefusal::Day {
            drug,
            asked_ng,
            limit,
            ..
        } => (
            LimitKind::DayNanograms,
            drug,
            asked_ng,
            u64::from(limit.get()),
        ),
        HardRefusal::Bolus {
            drug,
            asked_ng,
            limit,
            ..
        } => (
            LimitKind::BolusNanograms,
            drug,
            asked_ng,
            u64::from(limit.get()),
        ),
    };
    Refused::OverLimit {
        limit_kind,
        drug,
        value,
        limit,
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn narrow(count: usize) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}
