//! One record of a log, as far as this version understands it.

use super::reading::hex;
use crate::record_words;
use crate::words::{capitalised, decimal};
use journal::Log;
use protocol::SessionId;
use pump::{Placement, Record, RecordError};
use serde_json::{Value, json};
use units::{Clock, Duration, PumpTime};

/// A record of a log.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) log: Log,
    pub(super) sequence: u32,
    pub(super) boot: u32,
    pub(super) monotonic: PumpTime,
    pub(super) clock: Clock,
    pub(super) kind: u16,
    pub(super) version: u8,
    pub(super) body: Vec<u8>,
    pub(super) content: Result<(Option<SessionId>, Record), RecordError>,
}

impl Entry {
    pub(super) fn new(log: Log, record: &journal::Record<'_>) -> Self {
        let envelope = &record.envelope;
        Self {
            log,
            sequence: record.sequence,
            boot: envelope.stamp.boot,
            monotonic: envelope.stamp.monotonic,
            clock: envelope.stamp.wall,
            kind: envelope.kind.0,
            version: envelope.version,
            body: envelope.body.to_vec(),
            content: Record::decode(envelope.kind, envelope.version, envelope.body),
        }
    }

    /// Whether the content contradicts its kind: not merely unknown.
    pub(super) fn is_malformed(&self) -> bool {
        match self.content {
            Err(RecordError::Malformed | RecordError::BufferTooSmall) => true,
            Ok(_) | Err(RecordError::UnknownKind | RecordError::UnknownVersion) => false,
        }
    }

    /// What happened, in a few words that never change.
    pub(super) fn event(&self) -> &'static str {
        match &self.content {
            Ok((_, record)) => record_words::name(record),
            Err(RecordError::Malformed | RecordError::BufferTooSmall) => "unreadable",
            Err(RecordError::UnknownKind | RecordError::UnknownVersion) => "unknown",
        }
    }

    /// What the record says beside that; of one that is not understood, its bytes.
    pub(super) fn detail(&self) -> Value {
        match &self.content {
            Ok((_, record)) => record_words::detail(record),
            Err(_) => json!({ "body": hex(&self.body) }),
        }
    }

    pub(super) fn in_words(&self) -> String {
        match &self.content {
            Ok((_, record)) => record_words::in_words(record),
            Err(error) => format!(
                "{} record of kind {}, version {} ({error}): {} bytes in the export",
                capitalised(self.event()),
                self.kind,
                self.version,
                self.body.len()
            ),
        }
    }

    pub(super) fn session(&self) -> Option<u32> {
        match &self.content {
            Ok((session, _)) => session.map(|SessionId(number)| number),
            Err(_) => None,
        }
    }

    /// Whether it is a critical event; none when that cannot be told.
    pub(super) fn critical(&self) -> Option<bool> {
        match (&self.content, self.log) {
            (Ok((_, record)), _) => Some(record.placement() == Placement::Critical),
            (Err(_), Log::Critical) => Some(true),
            (Err(_), Log::Events) => None,
        }
    }

    /// Seconds since the boot, exact.
    pub(super) fn monotonic_s(&self) -> String {
        decimal(self.monotonic.micros().into(), 6)
    }

    /// ISO 8601, as far as the pump knew.
    pub(super) fn wall(&self) -> Option<String> {
        self.clock.wall().map(|wall| wall.to_string())
    }

    /// How much the pump knew of the time of day.
    pub(super) fn clock_name(&self) -> &'static str {
        match self.clock {
            Clock::Known { .. } => "known",
            Clock::Suspect { .. } => "suspect",
            Clock::Lost => "lost",
        }
    }

    /// How far off the time of day may be, seconds, exact.
    pub(super) fn uncertainty_s(&self) -> Option<String> {
        self.uncertainty()
            .map(|uncertainty| decimal(uncertainty.micros().into(), 6))
    }

    pub(super) fn uncertainty(&self) -> Option<Duration> {
        match self.clock {
            Clock::Known { uncertainty, .. } => Some(uncertainty),
            Clock::Suspect { .. } | Clock::Lost => None,
        }
    }
}
