//! Exact decimals for a screen, each drug in the one unit it is spoken of.
//!
//! Whole numbers of 1,000 and more are grouped by commas, as the ISMP asks of doses; a zero stands before a decimal point and
//! none at the end of a dose. Measured volumes keep their zeros, which say how finely they are measured.
use protocol::{Component, Dose, Mode};
use units::{Date, Drug, Duration, Per, Volume};

/// Femtolitres in a millilitre, as a power of ten.
const MILLILITRE_DECIMALS: usize = 12;
/// Nanolitres in a millilitre, as a power of ten.
const NANOLITRE_DECIMALS: usize = 6;
/// Decimals of a millilitre shown for a reservoir: one microlitre.
const LEVEL_DECIMALS: usize = 3;
/// Decimals of a millilitre shown for what was delivered: one nanolitre, so that the second step can be seen.
const DELIVERED_DECIMALS: usize = 6;

/// The unit in which a drug's masses are spoken of. Never two on one screen (clinical reference, 1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MassUnit {
    /// Micrograms, written mcg.
    Micrograms,
    /// Milligrams.
    Milligrams,
}

impl MassUnit {
    /// The unit of a drug's daily doses in the clinical reference, 3.1.
    #[must_use]
    pub const fn of(drug: Drug) -> Self {
        match drug {
            Drug::Morphine | Drug::Hydromorphone | Drug::Bupivacaine => Self::Milligrams,
            Drug::Fentanyl
            | Drug::Sufentanil
            | Drug::Clonidine
            | Drug::Ziconotide
            | Drug::Baclofen => Self::Micrograms,
        }
    }

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Micrograms => "mcg",
            Self::Milligrams => "mg",
        }
    }

    /// Nanograms in one, as a power of ten.
    const fn nanogram_decimals(self) -> usize {
        match self {
            Self::Micrograms => 3,
            Self::Milligrams => 6,
        }
    }
}

/// `value / 10^decimals`, exactly and without zeros at the end.
#[must_use]
pub fn exact(value: u128, decimals: usize) -> String {
    let (whole, fraction) = digits(value, decimals);
    join(&whole, fraction.trim_end_matches('0'))
}

/// `value / 10^decimals` rounded down to `shown` decimals, all of them written.
#[must_use]
pub fn rounded_down(value: u128, decimals: usize, shown: usize) -> String {
    let (whole, fraction) = digits(value, decimals);
    join(&whole, &fraction.chars().take(shown).collect::<String>())
}

/// The digits before and after the decimal point.
fn digits(value: u128, decimals: usize) -> (String, String) {
    let padded = format!("{value:0width$}", width = decimals.saturating_add(1));
    let point = padded.len().saturating_sub(decimals);
    let (whole, fraction) = padded.split_at_checked(point).unwrap_or((&padded, ""));
    (whole.to_owned(), fraction.to_owned())
}

fn join(whole: &str, fraction: &str) -> String {
    let mut text = grouped(whole);
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// `1234567` as `1,234,567`.
fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        let left = digits.len().saturating_sub(position);
        if position > 0 && left % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count, grouped.
#[must_use]
pub fn count(value: u64) -> String {
    grouped(&value.to_string())
}

/// A mass in the drug's unit, exactly: `250 mcg`.
#[must_use]
pub fn mass(nanograms: u64, drug: Drug) -> String {
    let unit = MassUnit::of(drug);
    format!(
        "{} {}",
        exact(u128::from(nanograms), unit.nanogram_decimals()),
        unit.name()
    )
}

/// A measured mass, in zeptograms, in the drug's unit: rounded down to 0.01 mcg or 0.0001 mg.
#[must_use]
pub fn measured_mass(zeptograms: u128, drug: Drug) -> String {
    // Zeptograms in a nanogram are 10^12.
    let (decimals, shown) = match MassUnit::of(drug) {
        unit @ MassUnit::Micrograms => (unit.nanogram_decimals().saturating_add(12), 2),
        unit @ MassUnit::Milligrams => (unit.nanogram_decimals().saturating_add(12), 4),
    };
    format!(
        "{} {}",
        rounded_down(zeptograms, decimals, shown),
        MassUnit::of(drug).name()
    )
}

/// A concentration in the drug's unit, exactly: `2,000 mcg/mL`.
#[must_use]
pub fn concentration(nanograms_per_millilitre: u32, drug: Drug) -> String {
    format!("{}/mL", mass(u64::from(nanograms_per_millilitre), drug))
}

/// A dose over its own time in the drug's unit, exactly: `15 mcg/h`.
#[must_use]
pub fn dose(dose: Dose, drug: Drug) -> String {
    let per = match dose.per {
        Per::Hour => "/h",
        Per::Day => "/day",
    };
    format!("{}{per}", mass(dose.nanograms, drug))
}

/// How a drug is delivered, in a word or two.
#[must_use]
pub const fn mode(mode: &Mode) -> &'static str {
    match mode {
        Mode::Stopped => "stopped",
        Mode::MinimumRate => "minimum rate",
        Mode::SimpleContinuous { .. } => "simple continuous",
        Mode::Flex { .. } => "flex",
        Mode::PeriodicBolus(_) => "periodic bolus",
        Mode::SingleBolus { .. } => "single bolus",
    }
}

/// A drug with its concentration: `bupivacaine 5 mg/mL`.
#[must_use]
pub fn component(component: &Component) -> String {
    let Component {
        drug,
        concentration_ng_per_ml,
    } = *component;
    format!(
        "{} {}",
        drug.name(),
        concentration(concentration_ng_per_ml, drug)
    )
}

/// A duration that was entered: `5 min`, `90 s`.
#[must_use]
pub fn seconds(seconds: u32) -> String {
    Duration::from_seconds(seconds).to_string()
}

/// A duration that was entered in minutes: `4 h`, `90 min`.
#[must_use]
pub fn minutes(minutes: u32) -> String {
    Duration::from_minutes(minutes).to_string()
}

/// A time of day: `06:30`.
#[must_use]
pub fn time_of_day(minutes: u16) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// A day of the pump's calendar, counted from 2020-01-01: `2026-03-18`; `not known` for none, or one that no calendar has.
#[must_use]
pub fn day(day: Option<u16>) -> String {
    day.and_then(|day| Date::FIRST.checked_add_days(u32::from(day)))
        .map_or_else(|| "not known".to_owned(), |date| date.to_string())
}

/// Tenths of a percent with their sign: `+20.0 %`, `\u{2212}16.7 %`.
#[must_use]
pub fn tenths_percent(tenths: i32) -> String {
    let sign = if tenths < 0 { "\u{2212}" } else { "+" };
    let amount = tenths.unsigned_abs();
    format!("{sign}{}.{} %", count(u64::from(amount / 10)), amount % 10)
}

/// A flow in millilitres a day, exact to the nanolitre it is given in: `0.125 mL/day`.
#[must_use]
pub fn flow(nanolitres_per_day: u64) -> String {
    format!(
        "{} mL/day",
        exact(u128::from(nanolitres_per_day), NANOLITRE_DECIMALS)
    )
}

/// A volume as programmed: `20 mL`.
#[must_use]
pub fn fill(nanolitres: u32) -> String {
    format!("{} mL", exact(u128::from(nanolitres), NANOLITRE_DECIMALS))
}

/// A volume in the reservoir, rounded down to a microlitre: `19.998 mL`.
#[must_use]
pub fn level(volume: Volume) -> String {
    format!(
        "{} mL",
        rounded_down(
            u128::from(volume.femtolitres()),
            MILLILITRE_DECIMALS,
            LEVEL_DECIMALS
        )
    )
}

/// A volume delivered, rounded down to a nanolitre: `0.001234 mL`.
#[must_use]
pub fn delivered(volume: Volume) -> String {
    format!(
        "{} mL",
        rounded_down(
            u128::from(volume.femtolitres()),
            MILLILITRE_DECIMALS,
            DELIVERED_DECIMALS
        )
    )
}

/// A time in the two units that suit it, rounded down: `159 days`, `3 days 4 h`, `12 min 5 s`.
#[must_use]
pub fn time(milliseconds: u64) -> String {
    let seconds = milliseconds / 1_000;
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    let day = if days == 1 { "day" } else { "days" };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) => format!("{minutes} min {rest} s"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (..=9, _, _) => format!("{days} {day} {hours} h"),
        (_, _, _) => format!("{} days", count(days)),
    }
}

/// `text` with its first letter large, for the beginning of a line.
#[must_use]
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_and_grouped() {
        assert_eq!(exact(0, 6), "0");
        assert_eq!(exact(1, 6), "0.000001");
        assert_eq!(exact(125_000, 6), "0.125");
        assert_eq!(exact(1_000_000, 6), "1");
        assert_eq!(exact(1_234_567_890, 3), "1,234,567.89");
        assert_eq!(exact(999, 0), "999");
        assert_eq!(
            exact(u128::MAX, 0),
            "340,282,366,920,938,463,463,374,607,431,768,211,455"
        );
    }

    #[test]
    fn measured_values_are_rounded_down_and_keep_their_zeros() {
        assert_eq!(rounded_down(19_999_999, 6, 3), "19.999");
        assert_eq!(rounded_down(20_000_000, 6, 3), "20.000");
        assert_eq!(rounded_down(999, 6, 3), "0.000");
        assert_eq!(
            level(Volume::from_femtolitres(19_998_749_999_999)),
            "19.998 mL"
        );
        assert_eq!(
            delivered(Volume::from_femtolitres(2_500_000)),
            "0.000002 mL"
        );
    }

    #[test]
    fn each_drug_has_one_unit() {
        assert_eq!(concentration(2_000_000, Drug::Baclofen), "2,000 mcg/mL");
        assert_eq!(mass(250_000, Drug::Baclofen), "250 mcg");
        assert_eq!(mass(300, Drug::Ziconotide), "0.3 mcg");
        assert_eq!(concentration(10_000_000, Drug::Morphine), "10 mg/mL");
        assert_eq!(mass(2_500_000, Drug::Morphine), "2.5 mg");
        assert_eq!(
            dose(
                Dose {
                    nanograms: 15_000,
                    per: Per::Hour
                },
                Drug::Baclofen
            ),
            "15 mcg/h"
        );
        assert_eq!(
            measured_mass(25_012_999_000_000_000, Drug::Baclofen),
            "25.01 mcg"
        );
        assert_eq!(
            measured_mass(2_500_199_000_000_000_000, Drug::Morphine),
            "2.5001 mg"
        );
    }

    #[test]
    fn times_are_rounded_down() {
        assert_eq!(time(0), "0 s");
        assert_eq!(time(59_999), "59 s");
        assert_eq!(time(60_000), "1 min 0 s");
        assert_eq!(time(3_600_000), "1 h 0 min");
        assert_eq!(time(86_400_000), "1 day 0 h");
        assert_eq!(time(9 * 86_400_000 + 23 * 3_600_000), "9 days 23 h");
        assert_eq!(time(160 * 86_400_000 - 1), "159 days");
        assert_eq!(time(u64::MAX), "213,503,982,334 days");
    }

    #[test]
    fn days_are_those_of_the_pumps_calendar() {
        assert_eq!(day(Some(0)), "2020-01-01");
        assert_eq!(day(Some(2_268)), "2026-03-18");
        assert_eq!(day(Some(29_219)), "2099-12-31");
        assert_eq!(day(Some(29_220)), "not known");
        assert_eq!(day(None), "not known");
    }

    #[test]
    fn a_change_bears_its_sign() {
        assert_eq!(tenths_percent(200), "+20.0 %");
        assert_eq!(tenths_percent(-167), "\u{2212}16.7 %");
        assert_eq!(tenths_percent(23_000), "+2,300.0 %");
        assert_eq!(tenths_percent(i32::MIN), "\u{2212}214,748,364.8 %");
    }

    #[test]
    fn times_that_were_entered_keep_their_unit() {
        assert_eq!(seconds(90), "90 s");
        assert_eq!(seconds(300), "5 min");
        assert_eq!(minutes(240), "4 h");
        assert_eq!(time_of_day(390), "06:30");
    }

    #[test]
    fn sentences_begin_large() {
        assert_eq!(sentence("the unit is missing"), "The unit is missing");
        assert_eq!(sentence(""), "");
    }
}
