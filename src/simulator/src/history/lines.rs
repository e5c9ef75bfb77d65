//! `events.jsonl`: one record a line.

use super::entry::Entry;
use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Fields in the order in which they stand in a line.
#[derive(Serialize)]
struct Line<'a> {
    sequence: u32,
    boot: u32,
    /// Exact: a number with as many decimals as it takes.
    monotonic_s: Box<RawValue>,
    wall: Option<String>,
    clock: &'a str,
    uncertainty_s: Option<Box<RawValue>>,
    session: Option<u32>,
    kind: u16,
    version: u8,
    event: &'a str,
    critical: Option<bool>,
    detail: Value,
    log: &'a str,
}

/// The file's text.
pub(super) fn jsonl(entries: &[Entry]) -> Result<String> {
    let mut text = String::new();
    for entry in entries {
        let line = Line {
            sequence: entry.sequence,
            boot: entry.boot,
            monotonic_s: number(entry.monotonic_s())?,
            wall: entry.wall(),
            clock: entry.clock_name(),
            uncertainty_s: entry.uncertainty_s().map(number).transpose()?,
            session: entry.session(),
            kind: entry.kind,
            version: entry.version,
            event: entry.event(),
            critical: entry.critical(),
            detail: entry.detail(),
            log: entry.log.name(),
        };
        text.push_str(&serde_json::to_string(&line).context("events.jsonl")?);
        text.push('\n');
    }
    Ok(text)
}

fn number(text: String) -> Result<Box<RawValue>> {
    RawValue::from_string(text).context("events.jsonl")
}
