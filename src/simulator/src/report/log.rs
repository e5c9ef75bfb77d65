//! `events.jsonl`: the pump's journal, one record a line, decoded.

use crate::words::ProgramText;
use crate::world::LogEntry;
use anyhow::{Context, Result};
use pump::{FillRecord, ProgramRecord, Record, ResetCause};
use serde_json::{Map, Value, json};
use units::{Duration, Volume};

/// The file's text.
pub(super) fn jsonl(log: &[LogEntry]) -> Result<String> {
    let mut text = String::new();
    for (index, entry) in log.iter().enumerate() {
        let mut line = Map::new();
        line.insert("record".into(), json!(index + 1));
        line.insert("boot".into(), json!(entry.boot));
        line.insert(
            "pump_time".into(),
            json!(Duration::from_micros(entry.at.micros())),
        );
        line.insert("pump_time_us".into(), json!(entry.at.micros()));
        line.insert("clock".into(), json!(entry.clock));
        match &entry.record {
            Ok(record) => {
                line.insert("event".into(), json!(name(record)));
                line.insert("detail".into(), detail(record));
            }
            Err(reason) => {
                line.insert("event".into(), json!("unreadable"));
                line.insert(
                    "detail".into(),
                    json!({ "kind": entry.kind, "reason": reason }),
                );
            }
        }
        text.push_str(&serde_json::to_string(&Value::Object(line)).context("events.jsonl")?);
        text.push('\n');
    }
    Ok(text)
}

/// What happened, in a few words.
pub(super) fn name(record: &Record) -> &'static str {
    match record {
        Record::Boot { .. } => "pump started",
        Record::ProgramCommitted(_) => "program in force",
        Record::CommitNotDone { .. } => "program not stored",
        Record::Deficit { .. } => "steps missed",
        Record::OrderRefused { .. } => "motor refused an order",
        Record::MotorFault { .. } => "motor fault",
        Record::Program(_) => "program",
        Record::Totals(_) => "totals",
    }
}

/// What a record says beside its name.
fn detail(record: &Record) -> Value {
    match record {
        Record::Boot { cause } => match cause {
            ResetCause::PowerOn => json!({ "cause": "power on" }),
            ResetCause::External => json!({ "cause": "external reset" }),
            ResetCause::Fatal { reason } => json!({ "cause": "fatal error", "reason": reason }),
            ResetCause::Watchdog => json!({ "cause": "watchdog" }),
            ResetCause::BrownOut => json!({ "cause": "brown-out" }),
            ResetCause::Software => json!({ "cause": "software reset" }),
        },
        Record::ProgramCommitted(record) | Record::Program(record) => program(record),
        Record::CommitNotDone { number } => json!({ "number": number }),
        Record::Deficit { steps } => json!({ "steps": steps }),
        Record::OrderRefused { order, refusal } => json!({ "order": order, "refusal": refusal }),
        Record::MotorFault {
            interlock_tripped,
            driver_failed,
        } => json!({ "interlock_tripped": interlock_tripped, "driver_failed": driver_failed }),
        Record::Totals(totals) => json!({
            "counted_steps": totals.counted_steps,
            "at_most_steps": totals.at_most_steps,
            "deficit_steps": totals.deficit_steps,
        }),
    }
}

fn program(record: &ProgramRecord) -> Value {
    let fill = record.fill.map(
        |FillRecord {
             volume_fl,
             at_most_steps,
         }| {
            json!({
                "volume": Volume::from_femtolitres(volume_fl),
                "at_most_steps": at_most_steps,
            })
        },
    );
    json!({
        "number": record.number,
        "program": record.program.as_ref().map(ProgramText::of),
        "last_fill": fill,
    })
}

/// One record for a reader.
pub(super) fn in_words(entry: &LogEntry) -> String {
    let record = match &entry.record {
        Ok(record) => record,
        Err(reason) => return format!("unreadable record of kind {}: {reason}", entry.kind),
    };
    let more = match record {
        Record::Boot { .. } | Record::Program(_) | Record::Totals(_) => None,
        Record::ProgramCommitted(record) => Some(format!("number {}", record.number)),
        Record::CommitNotDone { number } => Some(format!("number {number}")),
        Record::Deficit { steps } => Some(format!("{steps}")),
        Record::OrderRefused { order, refusal } => Some(format!("order {order}, {refusal:?}")),
        Record::MotorFault {
            interlock_tripped,
            driver_failed,
        } => match (interlock_tripped, driver_failed) {
            (true, true) => Some("interlock tripped, driver failed".to_owned()),
            (true, false) => Some("interlock tripped".to_owned()),
            (false, true) => Some("driver failed".to_owned()),
            (false, false) => None,
        },
    };
    let name = super::text::capitalised(name(record));
    more.map_or_else(|| name.clone(), |more| format!("{name}: {more}"))
}
