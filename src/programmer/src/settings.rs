//! A program in words: each setting with its value and its unit, in the one unit its drug is spoken of.
use protocol::{Dose, Fill, FlexWeek, Mode, PatientBolus, Program, from_minutes};
use units::{Drug, FaultPolicy};

use crate::text;

/// The days as they are written in a table, Monday first.
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// The dose in a line, for a heading; `None` when stopped.
#[must_use]
pub fn headline(program: &Program) -> Option<String> {
    let drug = program.primary.drug;
    match &program.mode {
        Mode::Stopped => None,
        Mode::MinimumRate => Some("minimum rate".to_owned()),
        Mode::SimpleContinuous { dose } => Some(text::dose(*dose, drug)),
        Mode::Flex { week } => Some(range(week, drug)),
        Mode::PeriodicBolus(periodic) => Some(format!(
            "{} every {}",
            text::mass(periodic.bolus_ng, drug),
            text::minutes(periodic.interval_min)
        )),
        Mode::SingleBolus { dose_ng, .. } => Some(text::mass(*dose_ng, drug)),
    }
}

/// The whole dose; several lines for a flex week; `none` when stopped.
#[must_use]
pub fn dose(program: &Program) -> String {
    let drug = program.primary.drug;
    match &program.mode {
        Mode::Stopped => "none".to_owned(),
        Mode::MinimumRate => "minimum rate".to_owned(),
        Mode::SimpleContinuous { dose } => text::dose(*dose, drug),
        Mode::Flex { week } => days(week, drug),
        Mode::PeriodicBolus(periodic) => {
            let first = periodic
                .first_after_min
                .map_or_else(String::new, |minutes| {
                    format!("\nfirst after {}", text::minutes(minutes))
                });
            let basal = periodic.basal.map_or_else(
                || "minimum rate".to_owned(),
                |basal| text::dose(basal, drug),
            );
            format!(
                "{}\nover {}\nevery {}{first}\nabove {basal}",
                text::mass(periodic.bolus_ng, drug),
                text::seconds(periodic.duration_s),
                text::minutes(periodic.interval_min),
            )
        }
        Mode::SingleBolus {
            dose_ng,
            duration_s,
        } => format!(
            "{}\nover {}",
            text::mass(*dose_ng, drug),
            text::seconds(*duration_s)
        ),
    }
}

/// The other drugs of the mixture; `None` without.
#[must_use]
pub fn mixed_with(program: &Program) -> Option<String> {
    let others: Vec<_> = program.secondaries.iter().map(text::component).collect();
    (!others.is_empty()).then(|| others.join("\n"))
}

/// What the patient may add; `None` for nothing.
#[must_use]
pub fn patient_bolus(program: &Program) -> Option<String> {
    let drug = program.primary.drug;
    let PatientBolus {
        dose_ng,
        duration_s,
        lockout_min,
        per_day,
        day_cap_ng,
        periods,
    } = program.patient_bolus.as_ref()?;
    let mut words = format!(
        "{}\nover {}\nlockout {}\n{per_day} in 24 h",
        text::mass(*dose_ng, drug),
        text::seconds(*duration_s),
        text::minutes(u32::from(*lockout_min)),
    );
    if let Some(cap) = day_cap_ng {
        words.push_str(&format!("\nat most {} in 24 h", text::mass(*cap, drug)));
    }
    for period in periods {
        words.push_str(&format!(
            "\n{} from {} to {}",
            period.boluses,
            text::time_of_day(period.from_min),
            text::time_of_day(period.to_min)
        ));
    }
    Some(words)
}

/// The dose of the drug before while it is led out; `None` when nothing is bridged.
#[must_use]
pub fn bridge(program: &Program, old: Option<Drug>) -> Option<String> {
    let dose: Dose = program.bridge?;
    let drug = old.unwrap_or(program.primary.drug);
    Some(format!("{} of {}", text::dose(dose, drug), drug.name()))
}

/// What a fault does; `None` when the library decides.
#[must_use]
pub fn fault_policy(program: &Program) -> Option<String> {
    program
        .fault_policy
        .map(|policy: FaultPolicy| policy.name().to_owned())
}

/// Where the reservoir counts as low; `None` for the pump's default.
#[must_use]
pub fn low_mark(program: &Program) -> Option<String> {
    program.low_mark_nl.map(text::fill)
}

/// A refill: `filled: 20 mL`, `added: 5 mL`.
#[must_use]
pub fn fill(fill: Fill) -> String {
    let how = if fill.top_up { "added" } else { "filled" };
    format!("{how}: {}", text::fill(fill.volume_nl))
}

fn step_dose(dose_ng: u32, week: &FlexWeek, drug: Drug) -> String {
    if dose_ng == 0 {
        return "minimum rate".to_owned();
    }
    let dose = Dose {
        nanograms: u64::from(dose_ng),
        per: week.per,
    };
    text::dose(dose, drug)
}

/// From the least dose of a week to the largest.
fn range(week: &FlexWeek, drug: Drug) -> String {
    let doses = || week.steps.iter().map(|step| step.dose_ng());
    match (doses().min(), doses().max()) {
        (Some(least), Some(most)) if least != most => format!(
            "{} to {}",
            step_dose(least, week, drug),
            step_dose(most, week, drug)
        ),
        (Some(only), _) => step_dose(only, week, drug),
        (None, _) => "no steps".to_owned(),
    }
}

/// Each pattern with its days, and its steps a line each.
fn days(week: &FlexWeek, drug: Drug) -> String {
    let mut lines = Vec::new();
    for (number, _) in (0_u8..).zip(&week.patterns) {
        let days: Vec<_> = DAYS
            .iter()
            .zip(week.days)
            .filter(|(_, pattern)| *pattern == number)
            .map(|(day, _)| *day)
            .collect();
        lines.push(match days.as_slice() {
            [] => "no day".to_owned(),
            _ if days.len() == DAYS.len() => "every day".to_owned(),
            days => days.join(" "),
        });
        for (from, dose_ng) in from_minutes(week.pattern(number).unwrap_or_default()) {
            lines.push(format!(
                "{} {}",
                text::time_of_day(from),
                step_dose(dose_ng, week, drug)
            ));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_pump::{baclofen, flex, periodic, with_patient_bolus};

    #[test]
    fn every_mode_has_its_dose_in_words() {
        assert_eq!(dose(&baclofen(None, 250_000)), "250 mcg/day");
        assert_eq!(
            dose(&flex()),
            "Mon Tue Wed Thu Fri\n00:00 15 mcg/h\n08:00 20 mcg/h\nSat Sun\n00:00 15 mcg/h"
        );
        assert_eq!(headline(&flex()).as_deref(), Some("15 mcg/h to 20 mcg/h"));
        assert_eq!(
            dose(&periodic()),
            "50 mcg\nover 10 min\nevery 4 h\nabove minimum rate"
        );
        assert_eq!(headline(&periodic()).as_deref(), Some("50 mcg every 4 h"));
        let mut stopped = baclofen(None, 1);
        stopped.mode = Mode::Stopped;
        assert_eq!(
            (dose(&stopped).as_str(), headline(&stopped)),
            ("none", None)
        );
    }

    #[test]
    fn what_the_patient_may_add_is_told_whole() {
        let mut program = with_patient_bolus(250_000);
        assert_eq!(
            patient_bolus(&program).as_deref(),
            Some("10 mcg\nover 5 min\nlockout 4 h\n4 in 24 h")
        );
        if let Some(bolus) = &mut program.patient_bolus {
            bolus.day_cap_ng = Some(30_000);
            let period = protocol::PeriodCap {
                from_min: 1_320,
                to_min: 360,
                boluses: 1,
            };
            bolus.periods.push(period).unwrap();
        }
        let words = patient_bolus(&program).unwrap();
        assert!(words.ends_with("at most 30 mcg in 24 h\n1 from 22:00 to 06:00"));
        assert_eq!(patient_bolus(&baclofen(None, 1)), None);
    }
}
