//! `thecal calc` as its user sees it: arguments in, text or JSON out.

mod documentation;
mod machine_form;
mod worked_examples;
mod wrong_input;

use calculator::{Arguments, Error, Output};
use clap::Parser;
use serde_json::Value;

/// The command line, as `thecal` has it.
#[derive(Parser)]
#[command(name = "thecal calc", max_term_width = 100)]
struct CommandLine {
    #[command(flatten)]
    arguments: Arguments,
}

/// Splits a line as a shell does; only double quotes are known.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (number, part) in line.split('"').enumerate() {
        if number % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// Why a line has no answer: the exit status and what is said.
fn attempt(line: &str) -> Result<(Output, bool), (u8, String)> {
    let words = std::iter::once("calc".to_owned()).chain(split(line));
    let line = CommandLine::try_parse_from(words)
        .map_err(|error| (error.exit_code().try_into().unwrap(), error.to_string()))?;
    calculator::run(&line.arguments)
        .map(|output| (output, line.arguments.json()))
        .map_err(|error: Error| (error.exit_code(), error.to_string()))
}

/// The answer to a line.
fn answer(line: &str) -> Output {
    match attempt(line) {
        Ok((output, _)) => output,
        Err((status, why)) => panic!("{line}: status {status}: {why}"),
    }
}

/// The results of an answer.
fn results(output: &Output) -> Vec<Value> {
    output.json()["results"].as_array().unwrap().clone()
}

/// A result by its name: `0.25 mL/day`, or `125/12 = about 10.4167 uL/h`.
fn get(output: &Output, name: &str) -> String {
    find(output, name, &Value::Null)
}

/// A result of one drug, day or way.
fn get_of(output: &Output, name: &str, of: &str) -> String {
    find(output, name, &of.into())
}

fn find(output: &Output, name: &str, of: &Value) -> String {
    let results = results(output);
    let result = results
        .iter()
        .find(|result| result["name"] == name && result["of"] == *of)
        .unwrap_or_else(|| panic!("no {name} of {of}: {results:#?}"));
    let text = |key: &str| result[key].as_str();
    let unit = text("unit").unwrap();
    match (text("value"), text("fraction"), text("rounded")) {
        (Some(value), None, None) => format!("{value} {unit}"),
        (None, Some(fraction), Some(rounded)) => format!("{fraction} = about {rounded} {unit}"),
        other => panic!("{name}: {other:?}"),
    }
}
