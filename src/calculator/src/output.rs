//! The answer, as text for people and as JSON for machines (docs/calc.md).

use std::fmt::{self, Write};

use serde_json::{Map, json};
use therapy::{DoseUnit, DrugEntry, ZoneOffset};
use units::{Date, Drug, Duration, Flow, Mass, Ratio, Volume, WallTime};

use crate::Error;
use crate::exact::{decimal, ratio, rounded, times};

/// Microseconds in 24 hours.
const DAY: u64 = 86_400_000_000;

/// How wide formulas and notes are printed.
const COLUMNS: usize = 100;

/// The answer to one calculation.
#[derive(Clone, Debug)]
pub struct Output {
    calculation: &'static str,
    title: &'static str,
    inputs: Vec<(&'static str, String)>,
    results: Vec<Item>,
    formula: Vec<String>,
    warnings: Vec<String>,
}

/// One line of the answer.
#[derive(Clone, Debug)]
struct Item {
    name: &'static str,
    /// Which drug or day, where there are several.
    of: Option<String>,
    label: String,
    value: Value,
}

impl Output {
    pub(crate) fn new(calculation: &'static str, title: &'static str) -> Self {
        Self {
            calculation,
            title,
            inputs: Vec::new(),
            results: Vec::new(),
            formula: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// An input as it was given, or its default.
    pub(crate) fn input(&mut self, name: &'static str, text: impl fmt::Display) {
        self.inputs.push((name, text.to_string()));
    }

    /// An input, if it was given.
    pub(crate) fn input_if(&mut self, name: &'static str, text: Option<impl fmt::Display>) {
        if let Some(text) = text {
            self.input(name, text);
        }
    }

    /// A result, and its text for a formula.
    pub(crate) fn result(
        &mut self,
        name: &'static str,
        label: impl Into<String>,
        value: impl Into<Value>,
    ) -> String {
        self.add(name, None, label.into(), value.into())
    }

    /// A result of one drug or day.
    pub(crate) fn result_of(
        &mut self,
        name: &'static str,
        of: impl fmt::Display,
        label: impl Into<String>,
        value: impl Into<Value>,
    ) -> String {
        self.add(name, Some(of.to_string()), label.into(), value.into())
    }

    fn add(
        &mut self,
        name: &'static str,
        of: Option<String>,
        label: String,
        value: Value,
    ) -> String {
        let text = value.to_string();
        self.results.push(Item {
            name,
            of,
            label,
            value,
        });
        text
    }

    pub(crate) fn formula(&mut self, line: impl Into<String>) {
        self.formula.push(line.into());
    }

    pub(crate) fn warning(&mut self, warning: impl fmt::Display) {
        self.warnings.push(warning.to_string());
    }

    pub(crate) fn warnings(&mut self, warnings: Vec<String>) {
        self.warnings.extend(warnings);
    }

    /// For people: the results, then the formulas with the numbers put in, then what to look at.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{}\n\n", self.title);
        let width = self.results.iter().map(|item| item.label.chars().count());
        let width = width.max().unwrap_or(0);
        for item in &self.results {
            // Nothing can fail: a `String` takes everything.
            let _ = writeln!(text, "  {:<width$}   {}", item.label, item.value);
        }
        text.push_str("\nFormula\n");
        for line in &self.formula {
            wrap(&mut text, "  ", "      ", line);
        }
        if !self.warnings.is_empty() {
            text.push_str("\nNote\n");
        }
        for warning in &self.warnings {
            wrap(&mut text, "  - ", "    ", warning);
        }
        text
    }

    /// For machines: the object of docs/calc.md.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let inputs: Map<String, serde_json::Value> = self
            .inputs
            .iter()
            .map(|(name, text)| ((*name).to_owned(), text.clone().into()))
            .collect();
        let results: Vec<_> = self.results.iter().map(Item::json).collect();
        json!({
            "calculation": self.calculation,
            "inputs": inputs,
            "results": results,
            "formula": self.formula.join("\n"),
            "warnings": self.warnings,
        })
    }

    /// As asked for: the text, or the JSON on lines of its own.
    #[must_use]
    pub fn render(&self, json: bool) -> String {
        if json {
            format!("{:#}\n", self.json())
        } else {
            self.text()
        }
    }
}

/// Writes a line, broken at blanks into lines of [`COLUMNS`], the first with one indent and the others with another. A number stays with its unit.
fn wrap(text: &mut String, first: &str, others: &str, line: &str) {
    let mut start = text.len();
    text.push_str(first);
    let mut words = line.split(' ').peekable();
    let mut begun = false;
    while let Some(word) = words.next() {
        let mut together = word.to_owned();
        let is_number = |word: &str| word.ends_with(|last: char| last.is_ascii_digit());
        let is_unit = |word: &&str| word.starts_with(|first: char| first.is_alphabetic());
        while is_number(&together)
            && let Some(unit) = words.next_if(is_unit)
        {
            together.push(' ');
            together.push_str(unit);
        }
        if begun && text.len() - start + 1 + together.len() > COLUMNS {
            text.push('\n');
            start = text.len();
            text.push_str(others);
        } else if begun {
            text.push(' ');
        }
        text.push_str(&together);
        begun = true;
    }
    text.push('\n');
}

impl Item {
    fn json(&self) -> serde_json::Value {
        let mut object = Map::new();
        let mut put = |key: &str, value: &str| object.insert(key.into(), value.into());
        put("name", self.name);
        if let Some(of) = &self.of {
            put("of", of);
        }
        for (key, value) in self.value.machine_form() {
            put(key, &value);
        }
        serde_json::Value::Object(object)
    }
}

/// What a result can be.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Quantity(Quantity),
    /// Whole microseconds, as the pump counts; what is finer was rounded down.
    Time(Duration),
    Date(Date),
    Moment(WallTime, ZoneOffset),
    Word(&'static str),
}

/// An exact number with its unit.
#[derive(Clone, Debug)]
pub(crate) struct Quantity {
    sign: &'static str,
    number: Number,
    unit: String,
}

#[derive(Clone, Debug)]
enum Number {
    /// Its decimals end.
    Decimal(String),
    /// They do not: the fraction, and what is shown of it.
    Fraction { fraction: String, rounded: String },
}

impl Quantity {
    /// `decimals` is what is shown of a number that has no end.
    pub(crate) fn new(ratio: Ratio, unit: impl Into<String>, decimals: u32) -> Result<Self, Error> {
        let number = match decimal(ratio) {
            Some(decimal) => Number::Decimal(decimal),
            None => Number::Fraction {
                fraction: format!("{}/{}", ratio.numerator(), ratio.denominator()),
                rounded: rounded(ratio, decimals)?,
            },
        };
        Ok(Self {
            sign: "",
            number,
            unit: unit.into(),
        })
    }

    /// With a sign before it, `+` or `-`.
    pub(crate) fn signed(self, sign: &'static str) -> Self {
        Self { sign, ..self }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sign, number, unit } = self;
        match number {
            Number::Decimal(decimal) => write!(f, "{sign}{decimal} {unit}"),
            Number::Fraction { rounded, .. } => write!(f, "about {sign}{rounded} {unit}"),
        }
    }
}

impl Value {
    /// The members of the JSON object.
    fn machine_form(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Quantity(Quantity { sign, number, unit }) => {
                let mut form = match number {
                    Number::Decimal(decimal) => vec![("value", format!("{sign}{decimal}"))],
                    Number::Fraction { fraction, rounded } => vec![
                        ("fraction", format!("{sign}{fraction}")),
                        ("rounded", format!("{sign}{rounded}")),
                    ],
                };
                form.push(("unit", unit.clone()));
                form
            }
            Self::Time(time) => {
                // A millionth ends after six decimals.
                let seconds = ratio(time.micros(), 1_000_000_u32).ok().and_then(decimal);
                vec![("value", seconds.unwrap_or_default()), ("unit", "s".into())]
            }
            Self::Date(date) => vec![("value", date.to_string()), ("unit", "date".into())],
            Self::Moment(wall, zone) => vec![
                ("value", format!("{}{zone}", local(*wall, *zone))),
                ("unit", "date-time".into()),
            ],
            Self::Word(word) => vec![("value", (*word).into()), ("unit", "word".into())],
        }
    }
}

/// Local time as ISO 8601 to the second, without its offset.
fn local(wall: WallTime, zone: ZoneOffset) -> String {
    let ahead = i64::from(zone.minutes()) * 60_000;
    let text = WallTime::from_millis(wall.millis().saturating_add_signed(ahead)).to_string();
    // What follows are the milliseconds and a Z.
    text.split_once('.')
        .map_or(text.clone(), |(time, _)| time.to_owned())
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quantity(quantity) => quantity.fmt(f),
            Self::Time(time) => f.write_str(&spoken(*time)),
            Self::Date(date) => date.fmt(f),
            Self::Moment(wall, zone) => {
                let local = local(*wall, *zone).replace('T', " ");
                // To the minute, rounded down: what is due is never late.
                write!(f, "{} ({zone})", local.get(..16).unwrap_or(&local))
            }
            Self::Word(word) => f.write_str(word),
        }
    }
}

/// A time as people say it: exactly below a minute, then to the tenth of a second, the second and the minute; from a day on in days, too.
fn spoken(time: Duration) -> String {
    const SECOND: u64 = 1_000_000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    let micros = time.micros();
    let nearest = |unit: u64| micros.saturating_add(unit / 2) / unit;
    let words = if micros < MINUTE {
        return time.to_string();
    } else if micros < HOUR {
        let tenths = nearest(SECOND / 10);
        let seconds = match tenths % 10 {
            0 => format!("{}", tenths / 10 % 60),
            tenth => format!("{}.{tenth}", tenths / 10 % 60),
        };
        format!("{} min {seconds} s", tenths / 600)
    } else if micros < 4 * DAY {
        let seconds = nearest(SECOND);
        format!(
            "{} h {} min {} s",
            seconds / 3_600,
            seconds / 60 % 60,
            seconds % 60
        )
    } else {
        let minutes = nearest(MINUTE);
        format!(
            "{} days {} h {} min",
            minutes / 1_440,
            minutes / 60 % 24,
            minutes % 60
        )
    };
    // Zeros at the end say nothing.
    let words = words
        .strip_suffix(" 0 h 0 min")
        .or(words.strip_suffix(" 0 min 0 s"))
        .or(words.strip_suffix(" 0 s"))
        .unwrap_or(&words);
    if micros < DAY || words.ends_with("days") {
        return words.to_owned();
    }
    let days = ratio(micros, DAY);
    match days.map(|days| (decimal(days), rounded(days, 2))) {
        Ok((Some(exact), _)) if exact.len() <= 8 => format!("{words} ({exact} days)"),
        Ok((_, Ok(rounded))) => format!("{words} (about {rounded} days)"),
        Ok((_, Err(_))) | Err(_) => words.to_owned(),
    }
}

impl From<Quantity> for Value {
    fn from(quantity: Quantity) -> Self {
        Self::Quantity(quantity)
    }
}

impl From<Duration> for Value {
    fn from(time: Duration) -> Self {
        Self::Time(time)
    }
}

impl From<Option<Duration>> for Value {
    /// A time that has no end.
    fn from(time: Option<Duration>) -> Self {
        time.map_or(Self::Word("for ever"), Self::Time)
    }
}

impl From<Date> for Value {
    fn from(date: Date) -> Self {
        Self::Date(date)
    }
}

impl From<&'static str> for Value {
    fn from(word: &'static str) -> Self {
        Self::Word(word)
    }
}

/// The unit that the masses of one drug are shown in: always the same one on a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MassUnit {
    Milligram,
    Microgram,
    Nanogram,
}

impl MassUnit {
    /// The unit of a drug.
    pub(crate) fn of(drug: Drug) -> Self {
        match DrugEntry::of(drug).unit.value {
            DoseUnit::Milligram => Self::Milligram,
            DoseUnit::Microgram => Self::Microgram,
        }
    }

    /// The unit of the drug, or that of a mass, dose or concentration as it was given.
    pub(crate) fn of_drug_or(drug: Option<Drug>, given: &str) -> Self {
        drug.map_or_else(
            || {
                let units = [Self::Milligram, Self::Microgram, Self::Nanogram];
                let unit = given.trim_start_matches(|character: char| !character.is_alphabetic());
                let mass = unit.split('/').next().unwrap_or(unit).trim();
                units
                    .into_iter()
                    .find(|unit| unit.name() == mass)
                    .unwrap_or(Self::Milligram)
            },
            Self::of,
        )
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Milligram => "mg",
            Self::Microgram => "mcg",
            Self::Nanogram => "ng",
        }
    }

    /// In nanograms.
    const fn nanograms(self) -> u128 {
        match self {
            Self::Milligram => 1_000_000,
            Self::Microgram => 1_000,
            Self::Nanogram => 1,
        }
    }

    /// A mass.
    pub(crate) fn mass(self, mass: Mass) -> Result<Quantity, Error> {
        self.over(mass, "")
    }

    /// A mass over a time, `/day` or `/h`.
    pub(crate) fn over(self, mass: Mass, time: &str) -> Result<Quantity, Error> {
        self.parts(ratio(mass.zeptograms(), 1_u8)?, time)
    }

    /// Zeptograms, not necessarily whole ones.
    pub(crate) fn parts(self, zeptograms: Ratio, time: &str) -> Result<Quantity, Error> {
        /// Zeptograms in a nanogram.
        const NANOGRAM: u128 = 1_000_000_000_000;
        let number = times(zeptograms, ratio(1_u8, self.nanograms() * NANOGRAM)?)?;
        Quantity::new(number, format!("{}{time}", self.name()), 2)
    }

    /// A concentration in nanograms per millilitre.
    pub(crate) fn concentration(self, nanograms: Ratio) -> Result<Quantity, Error> {
        let number = times(nanograms, ratio(1_u8, self.nanograms())?)?;
        Quantity::new(number, format!("{}/mL", self.name()), 4)
    }
}

/// A volume in millilitres, or in another unit of so many femtolitres.
pub(crate) fn volume(volume: Volume) -> Result<Quantity, Error> {
    let number = ratio(volume.femtolitres(), 1_000_000_000_000_u64)?;
    Quantity::new(number, "mL", 4)
}

/// A flow in millilitres a day, microlitres an hour or a minute.
pub(crate) fn flow(flow: Flow, per: FlowUnit) -> Result<Quantity, Error> {
    // Femtolitres a microsecond times these.
    let (unit, factor, decimals) = match per {
        FlowUnit::MillilitresADay => ("mL/day", ratio(54_u8, 625_u16)?, 4),
        FlowUnit::MicrolitresAnHour => ("uL/h", ratio(18_u8, 5_u8)?, 4),
        FlowUnit::MicrolitresAMinute => ("uL/min", ratio(3_u8, 50_u8)?, 5),
    };
    Quantity::new(times(flow.ratio(), factor)?, unit, decimals)
}

/// What a flow is shown in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FlowUnit {
    MillilitresADay,
    MicrolitresAnHour,
    MicrolitresAMinute,
}

/// A share in per cent.
pub(crate) fn per_cent(share: Ratio) -> Result<Quantity, Error> {
    Quantity::new(times(share, ratio(100_u8, 1_u8)?)?, "%", 1)
}

/// What is left of a ratio when one is taken away, in per cent with its sign: `6/5` is +20 %.
pub(crate) fn change_in_per_cent(new_over_old: Ratio) -> Result<Quantity, Error> {
    let (new, old) = (new_over_old.numerator(), new_over_old.denominator().get());
    let sign = match new.cmp(&old) {
        std::cmp::Ordering::Less => "-",
        std::cmp::Ordering::Equal => "",
        std::cmp::Ordering::Greater => "+",
    };
    Ok(per_cent(ratio(new.abs_diff(old), old)?)?.signed(sign))
}

/// So many.
pub(crate) fn count(number: impl Into<u128>, unit: &str) -> Result<Quantity, Error> {
    Quantity::new(ratio(number, 1_u8)?, unit, 0)
}
