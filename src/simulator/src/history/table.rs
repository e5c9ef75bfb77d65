//! `events.csv`: one record a row, RFC 4180.

use super::entry::Entry;
use anyhow::{Context, Result, anyhow};
use csv::{Terminator, WriterBuilder};

/// The columns.
const HEADER: [&str; 13] = [
    "sequence",
    "boot",
    "monotonic_s",
    "wall",
    "clock",
    "uncertainty_s",
    "session",
    "kind",
    "version",
    "event",
    "critical",
    "detail",
    "log",
];

/// The file's text. What is not known is empty; `detail` is JSON.
pub(super) fn csv(entries: &[Entry]) -> Result<String> {
    let mut table = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(Vec::new());
    table.write_record(HEADER).context("events.csv")?;
    for entry in entries {
        let detail = serde_json::to_string(&entry.detail()).context("events.csv")?;
        let critical = entry.critical().map(|critical| critical.to_string());
        table
            .write_record([
                entry.sequence.to_string(),
                entry.boot.to_string(),
                entry.monotonic_s(),
                entry.wall().unwrap_or_default(),
                entry.clock_name().to_owned(),
                entry.uncertainty_s().unwrap_or_default(),
                entry
                    .session()
                    .map(|session| session.to_string())
                    .unwrap_or_default(),
                entry.kind.to_string(),
                entry.version.to_string(),
                entry.event().to_owned(),
                critical.unwrap_or_default(),
                detail,
                entry.log.name().to_owned(),
            ])
            .context("events.csv")?;
    }
    let bytes = table
        .into_inner()
        .map_err(|error| anyhow!("events.csv: {error}"))?;
    String::from_utf8(bytes).context("events.csv")
}
