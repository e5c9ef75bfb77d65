//! Reading the inputs: quantities as `units` reads them, and what else a clinician writes.

use std::fmt;
use std::str::FromStr;

use therapy::{Component, Content, Ingredient, Mixture, Solution, Weekday, ZoneOffset};
use units::{
    Concentration, Date, DoseRate, Drug, Duration, FlowRate, Mass, Quantity, QuantityError, Volume,
    WallTime,
};

use crate::Error;

/// A value and how it was written: the answer repeats it so.
#[derive(Clone, Debug)]
pub(crate) struct Given<T> {
    text: String,
    /// What it says.
    pub(crate) value: T,
}

impl<T: fmt::Display> Given<T> {
    /// A default, written as the value prints itself.
    pub(crate) fn default(value: T) -> Self {
        Self {
            text: value.to_string(),
            value,
        }
    }
}

impl<T> Given<T> {
    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl<T> fmt::Display for Given<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<T: FromStr> FromStr for Given<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        Ok(Self {
            text: text.trim().to_owned(),
            value: text.parse()?,
        })
    }
}

/// A quantity that can be zero.
pub(crate) trait MayBeZero {
    const WHAT: Quantity;

    fn is_zero(&self) -> bool;
}

impl MayBeZero for Volume {
    const WHAT: Quantity = Quantity::Volume;

    fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

impl MayBeZero for Mass {
    const WHAT: Quantity = Quantity::Mass;

    fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

impl MayBeZero for DoseRate {
    const WHAT: Quantity = Quantity::DoseRate;

    fn is_zero(&self) -> bool {
        self.amount().is_zero()
    }
}

impl MayBeZero for FlowRate {
    const WHAT: Quantity = Quantity::FlowRate;

    fn is_zero(&self) -> bool {
        self.volume().is_zero()
    }
}

impl MayBeZero for Duration {
    const WHAT: Quantity = Quantity::Duration;

    fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

/// Reads a quantity where zero makes no sense.
pub(crate) fn positive<T>(text: &str) -> Result<Given<T>, QuantityError>
where
    T: FromStr<Err = QuantityError> + MayBeZero,
{
    let given: Given<T> = text.parse()?;
    if given.value.is_zero() {
        return Err(QuantityError::Zero(T::WHAT));
    }
    Ok(given)
}

/// A length in whole millimetres: `81.0 cm` or `810 mm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Millimetres(pub(crate) u16);

impl FromStr for Millimetres {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str =
            "a length is written in cm with at most one decimal, or in whole mm, such as 81.0 cm";
        let text = text.trim();
        let (number, tens) = if let Some(number) = text.strip_suffix("cm") {
            (number.trim_end(), true)
        } else if let Some(number) = text.strip_suffix("mm") {
            (number.trim_end(), false)
        } else {
            return Err(WRONG);
        };
        let (whole, tenths) = number.split_once('.').unwrap_or((number, "0"));
        let digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(tenths) || tenths.len() > 1 || (!tens && tenths != "0") {
            return Err(WRONG);
        }
        let whole: u16 = whole.parse().map_err(|_| WRONG)?;
        let tenths: u16 = tenths.parse().map_err(|_| WRONG)?;
        let millimetres = if tens {
            whole.checked_mul(10).and_then(|mm| mm.checked_add(tenths))
        } else {
            Some(whole)
        };
        match millimetres {
            Some(0) => Err("a length must be more than zero"),
            Some(millimetres) => Ok(Self(millimetres)),
            None => Err(WRONG),
        }
    }
}

/// A liquid with its drugs, the primary one first: `morphine 10 mg/mL, bupivacaine 20 mg/mL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Liquid(pub(crate) Vec<Ingredient>);

impl FromStr for Liquid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',')
            .map(ingredient)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// `morphine 10 mg/mL`.
fn ingredient(text: &str) -> Result<Ingredient, String> {
    let text = text.trim();
    let (drug, concentration) = text.split_once(char::is_whitespace).ok_or_else(|| {
        format!("`{text}` is no drug with its concentration: write both, such as morphine 10 mg/mL")
    })?;
    Ok(Ingredient {
        drug: drug.parse().map_err(|error| format!("`{drug}`: {error}"))?,
        concentration: concentration
            .parse()
            .map_err(|error| format!("`{}`: {error}", concentration.trim()))?,
    })
}

/// One drug with its concentration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OneDrug(pub(crate) Ingredient);

impl FromStr for OneDrug {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        ingredient(text).map(Self)
    }
}

impl Liquid {
    /// The drug that is dosed. A list that was read is never empty.
    pub(crate) fn primary(&self) -> Result<Ingredient, Error> {
        self.0.first().copied().ok_or_else(Error::too_large)
    }

    /// As what a reservoir holds.
    pub(crate) fn mixture(&self) -> Result<Mixture, Error> {
        Mixture::new(self.primary()?, self.0.get(1..).unwrap_or_default()).map_err(Error::refused)
    }

    /// As what a path holds.
    pub(crate) fn content(&self) -> Result<Content, Error> {
        let mut components = self.0.iter().map(|ingredient| Component {
            drug: ingredient.drug,
            concentration: ingredient.concentration,
        });
        let primary = components.next().ok_or_else(Error::too_large)?;
        let others: Vec<_> = components.collect();
        Solution::new(primary, &others)
            .map(Content::Solution)
            .map_err(Error::refused)
    }
}

/// One drug alone, as what a path holds; inert without one.
pub(crate) fn content_of(
    drug: Option<Drug>,
    concentration: Option<Concentration>,
) -> Result<Content, Error> {
    match (drug, concentration) {
        (Some(drug), Some(concentration)) => Solution::of(drug, concentration)
            .map(Content::Solution)
            .map_err(Error::refused),
        _ => Ok(Content::Inert),
    }
}

/// A local day and time: `2026-01-05 10:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DayAndTime {
    pub(crate) date: Date,
    minute: u16,
}

impl DayAndTime {
    /// The moment, at an offset.
    pub(crate) fn wall(self, zone: ZoneOffset) -> WallTime {
        self.date
            .begins(zone.minutes())
            .saturating_add(Duration::from_minutes(u32::from(self.minute)))
    }
}

impl FromStr for DayAndTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (date, time) = text
            .trim()
            .split_once([' ', 'T'])
            .ok_or("a moment is written as a date and a time of day, such as 2026-01-05 10:00")?;
        Ok(Self {
            date: date.parse().map_err(|error| format!("`{date}`: {error}"))?,
            minute: minute_of_day(time)?,
        })
    }
}

/// `06:30`, 0 to 1,439.
fn minute_of_day(text: &str) -> Result<u16, String> {
    let wrong =
        || format!("`{text}` is no time of day: it is written from 00:00 to 23:59, such as 06:30");
    let (hour, minute) = text.trim().split_once(':').ok_or_else(wrong)?;
    let two = |digits: &str, below: u16| {
        let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits
            .parse::<u16>()
            .ok()
            .filter(|number| plain && *number < below)
    };
    match (two(hour, 24), two(minute, 60)) {
        (Some(hour), Some(minute)) => Ok(hour * 60 + minute),
        _ => Err(wrong()),
    }
}

/// How far local time is ahead of universal time: `+01:00`.
pub(crate) fn zone(text: &str) -> Result<ZoneOffset, String> {
    const WRONG: &str = "an offset is written with its sign, such as +01:00 or -05:00";
    let (sign, time) = match text.trim().split_at_checked(1) {
        Some(("+", time)) => (1, time),
        Some(("-", time)) => (-1, time),
        _ => return Err(WRONG.into()),
    };
    let minutes = minute_of_day(time).map_err(|_| WRONG)?;
    let minutes = i16::try_from(minutes).map_err(|_| WRONG)?;
    ZoneOffset::from_minutes(sign * minutes).map_err(|refusal| refusal.to_string())
}

/// How far a clock may be off: `20 ppm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartsPerMillion(pub(crate) u32);

impl FromStr for PartsPerMillion {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let number = text.trim().strip_suffix("ppm").map(str::trim_end);
        match number.map(str::parse) {
            Some(Ok(number @ 1..=100_000)) => Ok(Self(number)),
            _ => {
                Err("the error of a clock is written in whole ppm from 1 to 100000, such as 20 ppm")
            }
        }
    }
}

/// A drug and its limit in 24 hours: `morphine=15 mg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cap {
    pub(crate) drug: Drug,
    pub(crate) most: Mass,
}

impl FromStr for Cap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (drug, most) = text
            .split_once('=')
            .ok_or("a cap is written as a drug and its most in 24 h, such as morphine=15 mg")?;
        let most = positive::<Mass>(most).map_err(|error| error.to_string())?;
        Ok(Self {
            drug: drug.parse().map_err(|error| format!("`{drug}`: {error}"))?,
            most: most.value,
        })
    }
}

/// The steps of the days that it names: `mon-fri: 00:00=15 mcg/h, 06:00=40 mcg/h`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) days: Vec<Weekday>,
    /// The minute of the day, and the dose from then on; `None` for the pump's minimum rate.
    pub(crate) steps: Vec<(u16, Option<DoseRate>)>,
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (days, steps) = if text.starts_with(|character: char| character.is_ascii_digit()) {
            (Weekday::ALL.to_vec(), text)
        } else {
            let (days, steps) = text.split_once(':').ok_or(
                "a pattern is written as days and steps, such as mon-fri: 00:00=15 mcg/h, 06:00=40 mcg/h",
            )?;
            (read_days(days)?, steps)
        };
        let steps = steps.split(',').map(step).collect::<Result<_, _>>()?;
        Ok(Self { days, steps })
    }
}

fn step(text: &str) -> Result<(u16, Option<DoseRate>), String> {
    let text = text.trim();
    let (from, dose) = text.split_once('=').ok_or_else(|| {
        format!(
            "`{text}` is no step: it is written as a time of day and a dose, such as 06:00=40 mcg/h"
        )
    })?;
    let from = minute_of_day(from)?;
    let dose = dose.trim();
    if dose == "minimum" {
        return Ok((from, None));
    }
    let given = positive::<DoseRate>(dose).map_err(|error| {
        format!("`{dose}`: {error}; or the word minimum for the pump's minimum rate")
    })?;
    Ok((from, Some(given.value)))
}

/// `mon-fri`, `sat`, `mon,wed,fri` or `daily`.
fn read_days(text: &str) -> Result<Vec<Weekday>, String> {
    if text.trim() == "daily" {
        return Ok(Weekday::ALL.to_vec());
    }
    let day = |text: &str| {
        let name = text.trim();
        let short = |day: &Weekday| {
            day.name()
                .get(..3)
                .is_some_and(|short| short.eq_ignore_ascii_case(name))
        };
        Weekday::ALL.into_iter().find(short).ok_or_else(|| {
            format!("`{name}` is no day: write mon, tue, wed, thu, fri, sat, sun, a range such as mon-fri, or daily")
        })
    };
    let mut days = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        if first > last {
            return Err(format!(
                "`{}` goes backwards: a week begins on Monday",
                part.trim()
            ));
        }
        days.extend(
            Weekday::ALL
                .into_iter()
                .filter(|day| (first..=last).contains(day)),
        );
    }
    Ok(days)
}
