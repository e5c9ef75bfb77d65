//! Quantities of the wire as text with units.

use protocol::{Component, Dose, FlexWeek, Mode, PatientBolus, Program};
use serde::Serialize;
use std::fmt::Display;
use units::{Concentration, DoseRate, Drug, Duration, Mass, Per, Volume};

/// With a capital first letter.
pub(crate) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// A program in words and quantities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProgramText {
    /// The drug by which doses are prescribed.
    pub drug: Drug,
    /// In the reservoir.
    pub concentration: Option<Concentration>,
    /// The others of the mixture, with their concentrations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<String>,
    /// Filled with this program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fill: Option<Volume>,
    /// How it is delivered.
    pub mode: &'static str,
    /// The dose as prescribed; none where it is not one rate.
    pub dose: Option<DoseRate>,
    /// What else it says, one thing a line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<String>,
}

impl ProgramText {
    /// The text of a program of the wire.
    #[must_use]
    pub fn of(program: &Program) -> Self {
        let mut more = Vec::new();
        let (mode, dose) = match &program.mode {
            Mode::Stopped => ("stopped", None),
            Mode::MinimumRate => ("minimum rate", None),
            Mode::SimpleContinuous { dose } => ("simple continuous", Some(dose_rate(*dose))),
            Mode::Flex { week } => {
                more.extend(week_words(week));
                ("flex", None)
            }
            Mode::PeriodicBolus(periodic) => {
                more.push(format!(
                    "{} over {} every {}",
                    Mass::from_nanograms(periodic.bolus_ng),
                    seconds(periodic.duration_s),
                    Duration::from_minutes(periodic.interval_min)
                ));
                if let Some(minutes) = periodic.first_after_min {
                    more.push(format!(
                        "the first one after {}",
                        Duration::from_minutes(minutes)
                    ));
                }
                ("periodic bolus", periodic.basal.map(dose_rate))
            }
            Mode::SingleBolus {
                dose_ng,
                duration_s,
            } => {
                more.push(format!(
                    "{} over {}, then stopped",
                    Mass::from_nanograms(*dose_ng),
                    seconds(*duration_s)
                ));
                ("single bolus", None)
            }
        };
        if let Some(bolus) = &program.patient_bolus {
            more.push(bolus_words(bolus));
        }
        if let Some(bridge) = program.bridge {
            more.push(format!(
                "bridged at {} of the drug before",
                dose_rate(bridge)
            ));
        }
        if let Some(policy) = program.fault_policy {
            more.push(format!("on a fault: {policy}"));
        }
        if let Some(low_mark) = program.low_mark_nl {
            more.push(format!("low at {}", Volume::from_nanolitres(low_mark)));
        }
        if program.fill.is_some_and(|fill| fill.top_up) {
            more.push("topped up".to_owned());
        }
        Self {
            drug: program.primary.drug,
            concentration: concentration(&program.primary),
            with: program.secondaries.iter().map(component_words).collect(),
            fill: program
                .fill
                .map(|fill| Volume::from_nanolitres(fill.volume_nl)),
            mode,
            dose,
            more,
        }
    }

    /// In one line.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut words = self.drug.name().to_owned();
        if let Some(concentration) = self.concentration {
            words.push_str(&format!(" {concentration}"));
        }
        for other in &self.with {
            words.push_str(&format!(" with {other}"));
        }
        words.push_str(&format!(", {}", self.mode));
        if let Some(dose) = self.dose {
            words.push_str(&format!(" {dose}"));
        }
        for more in &self.more {
            words.push_str(&format!("; {more}"));
        }
        words
    }
}

/// A drug with its concentration.
pub(crate) fn component_words(component: &Component) -> String {
    match concentration(component) {
        Some(concentration) => format!("{} {concentration}", component.drug),
        None => component.drug.to_string(),
    }
}

fn concentration(component: &Component) -> Option<Concentration> {
    Concentration::from_nanograms_per_millilitre(component.concentration_ng_per_ml)
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_seconds(seconds)
}

/// `06:00`.
pub(crate) fn time_of_day(minutes: u16) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Days of a week from Monday on.
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// One line for each pattern of a week: its days, and each step with its dose.
fn week_words(week: &FlexWeek) -> Vec<String> {
    let patterns = (0_u8..).take(week.patterns.len());
    patterns
        .filter_map(|number| {
            let days: Vec<&str> = DAYS
                .iter()
                .zip(week.days)
                .filter(|(_, pattern)| *pattern == number)
                .map(|(day, _)| *day)
                .collect();
            let steps: Vec<String> = protocol::program::from_minutes(week.pattern(number)?)
                .map(|(from, dose_ng)| {
                    let dose = if dose_ng == 0 {
                        "minimum rate".to_owned()
                    } else {
                        rate(dose_ng.into(), week.per).to_string()
                    };
                    format!("{} {dose}", time_of_day(from))
                })
                .collect();
            Some(format!("{}: {}", days.join(" "), steps.join(", ")))
        })
        .collect()
}

fn bolus_words(bolus: &PatientBolus) -> String {
    let mut words = format!(
        "patient bolus {} over {}, lockout {}, {} in 24 h",
        Mass::from_nanograms(bolus.dose_ng),
        seconds(bolus.duration_s),
        Duration::from_minutes(bolus.lockout_min.into()),
        bolus.per_day
    );
    if let Some(cap) = bolus.day_cap_ng {
        words.push_str(&format!(", all together {}", Mass::from_nanograms(cap)));
    }
    for period in &bolus.periods {
        words.push_str(&format!(
            ", {} from {} to {}",
            period.boluses,
            time_of_day(period.from_min),
            time_of_day(period.to_min)
        ));
    }
    words
}

pub(crate) fn dose_rate(dose: Dose) -> DoseRate {
    rate(dose.nanograms, dose.per)
}

fn rate(nanograms: u64, per: Per) -> DoseRate {
    DoseRate::new(Mass::from_nanograms(nanograms), per)
}

/// Words joined as in a sentence: `a, b and c`.
pub(crate) fn listed<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let mut items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.pop() {
        Some(last) if items.is_empty() => last,
        Some(last) => format!("{} and {last}", items.join(", ")),
        None => String::new(),
    }
}

/// `value / 10^places` as an exact decimal without idle zeros.
pub(crate) fn decimal(value: u128, places: usize) -> String {
    let digits = format!("{value:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        whole.to_owned()
    } else {
        format!("{whole}.{fraction}")
    }
}

/// A volume in millilitres.
pub(crate) fn millilitres(volume: Volume) -> String {
    decimal(u128::from(volume.femtolitres()), 12)
}

/// A mass in micrograms.
pub(crate) fn micrograms(mass: Mass) -> String {
    decimal(mass.zeptograms(), 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_and_have_no_idle_zeros() {
        assert_eq!(decimal(0, 12), "0");
        assert_eq!(decimal(1, 12), "0.000000000001");
        assert_eq!(decimal(20_000_000_000_000, 12), "20");
        assert_eq!(decimal(8_750_000_000_000, 12), "8.75");
        assert_eq!(decimal(7, 0), "7");
    }

    #[test]
    fn fixed_units_agree_with_the_quantities_own_text() {
        let volume: Volume = "11.25 mL".parse().expect("a volume");
        assert_eq!(millilitres(volume), "11.25");
        let mass: Mass = "22.5 mg".parse().expect("a mass");
        assert_eq!(micrograms(mass), "22500");
    }
}
