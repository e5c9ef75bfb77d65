//! The JSON says what the text says, exactly.

use std::num::NonZeroU128;

use proptest::prelude::*;
use serde_json::Value;
use units::{Concentration, Date, DoseRate, Duration, FlowRate, Mass, Ratio, Volume};

use crate::documentation::examples;
use crate::{answer, attempt, results};

/// Whether a quantity reads back with the parser of its unit; units that only this tool has do not.
fn reads_back(text: &str, unit: &str) -> bool {
    match unit {
        "mL" => text.parse::<Volume>().is_ok(),
        "mg" | "mcg" | "ng" => text.parse::<Mass>().is_ok(),
        "mg/day" | "mcg/day" | "ng/day" | "mg/h" | "mcg/h" => text.parse::<DoseRate>().is_ok(),
        "mL/day" | "uL/h" => text.parse::<FlowRate>().is_ok(),
        "mg/mL" | "mcg/mL" => text.parse::<Concentration>().is_ok(),
        "s" | "ms" => text.parse::<Duration>().is_ok(),
        "date" => text.trim_end_matches(" date").parse::<Date>().is_ok(),
        _ => true,
    }
}

/// Every result of a line stands in its text, and what is rounded is the fraction rounded.
fn holds(line: &str) {
    let output = answer(line);
    let text = output.text();
    for result in results(&output) {
        let member = |key: &str| result[key].as_str();
        let unit = member("unit").unwrap();
        if let Some(value) = member("value") {
            let with_unit = format!("{value} {unit}");
            let plain = with_unit.trim_start_matches(['+', '-']);
            assert!(reads_back(plain, unit), "{with_unit}");
            let printed = match unit {
                "s" if result["name"] != "step_interval" => {
                    // Printed in words: the seconds of both are the same to the last that is said.
                    assert!(with_unit.parse::<Duration>().is_ok());
                    continue;
                }
                "date" | "word" => value.to_owned(),
                "date-time" => value.replace('T', " ").get(..16).unwrap().to_owned(),
                _ => with_unit,
            };
            assert!(text.contains(&printed), "{printed} is not in\n{text}");
        } else {
            let (fraction, rounded) = (member("fraction").unwrap(), member("rounded").unwrap());
            let printed = format!("about {rounded} {unit}");
            assert!(text.contains(&printed), "{printed} is not in\n{text}");
            assert!(is_rounded(fraction, rounded), "{fraction} is not {rounded}");
        }
    }
    // What is printed as JSON is read back as the same.
    let printed: Value = serde_json::from_str(&output.render(true)).unwrap();
    assert_eq!(printed, output.json());
}

/// Whether a decimal is a fraction rounded to its decimals, halves away from zero.
fn is_rounded(fraction: &str, rounded: &str) -> bool {
    let unsigned = |text: &str| text.trim_start_matches(['+', '-']).to_owned();
    let (fraction, rounded) = (unsigned(fraction), unsigned(rounded));
    let (numerator, denominator) = fraction.split_once('/').unwrap();
    let ratio = Ratio::new(
        numerator.parse().unwrap(),
        NonZeroU128::new(denominator.parse().unwrap()).unwrap(),
    );
    // In lowest terms.
    assert_eq!(ratio.numerator().to_string(), numerator);
    let decimals = rounded
        .split_once('.')
        .map_or(0, |(_, decimals)| decimals.len());
    let twice = ratio.times_rounded_down(2 * 10_u64.pow(decimals.try_into().unwrap()));
    let digits: u64 = rounded.replace('.', "").parse().unwrap();
    twice.unwrap().div_ceil(2) == digits
}

#[test]
fn every_example_says_the_same_twice() {
    for line in examples() {
        holds(&line);
    }
}

/// The members that docs/calc.md promises, and no number that is not text.
#[test]
fn the_schema_is_kept() {
    fn no_numbers(value: &Value) {
        match value {
            Value::Number(number) => panic!("{number} is a number"),
            Value::Array(values) => values.iter().for_each(no_numbers),
            Value::Object(members) => members.values().for_each(no_numbers),
            Value::Null | Value::Bool(_) | Value::String(_) => {}
        }
    }
    for line in examples() {
        let json = answer(&line).json();
        let members: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
        assert_eq!(
            members,
            ["calculation", "formula", "inputs", "results", "warnings"]
        );
        assert!(json["formula"].is_string() && json["inputs"].is_object());
        no_numbers(&json);
        let mut names: Vec<_> = results(&answer(&line))
            .iter()
            .map(|result| (result["name"].to_string(), result["of"].to_string()))
            .collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all, "{line}: a name stands twice");
    }
}

proptest! {
    #[test]
    fn any_rate_says_the_same_twice(dose in 1_u32..100_000_000, concentration in 1_u32..50_000_000, step in 1_u32..4_000_000) {
        let line = format!(r#"rate --dose "{dose} ng/day" --concentration "{concentration} ng/mL" --step "{step} fL" --path "0.3182 mL" --old-dose "1234567 ng/day""#);
        if attempt(&line).is_ok() {
            holds(&line);
        }
    }

    #[test]
    fn any_discrepancy_says_the_same_twice(expected in 0_u32..20_000, aspirated in 0_u32..20_000) {
        let line = format!(r#"discrepancy --fill "20 mL" --expected "{expected} uL" --aspirated "{aspirated} uL""#);
        if attempt(&line).is_ok() {
            holds(&line);
        }
    }

    #[test]
    fn any_refill_says_the_same_twice(dose in 480_u32..30_000, level in 0_u32..=20_000, minutes in 0_u32..1_440) {
        let line = format!(
            r#"refill --fill "20 mL" --level "{level} uL" --dose "{dose} mcg/day" --concentration "10 mg/mL" --bolus "333 mcg" --boluses 5 --start "2026-01-05 {:02}:{:02}""#,
            minutes / 60,
            minutes % 60
        );
        if attempt(&line).is_ok() {
            holds(&line);
        }
    }
}
