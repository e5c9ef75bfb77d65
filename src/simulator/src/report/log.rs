//! `events.jsonl`: the pump's journal, one record a line, decoded.

use crate::record_words;
use crate::world::LogEntry;
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use units::Duration;

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
                line.insert("event".into(), json!(record_words::name(record)));
                line.insert("detail".into(), record_words::detail(record));
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

/// One record for a reader.
pub(super) fn in_words(entry: &LogEntry) -> String {
    match &entry.record {
        Ok(record) => record_words::in_words(record),
        Err(reason) => format!("Unreadable record of kind {}: {reason}", entry.kind),
    }
}
