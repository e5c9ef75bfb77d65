//! The records of an archive, verified one after another, and the signed ends against them.

use super::archive::{Archive, Item};
use super::entry::Entry;
use super::finding::Finding;
use super::reading::{Reading, Signature, Trouble};
use crate::report::grouped;
use journal::{Head, KEY_BYTES, Log, Position, Record, Verifier};

/// What verifying found.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub(super) entries: Vec<Entry>,
    pub(super) findings: Vec<Finding>,
    /// Where the chain stands behind the last record.
    pub(super) position: Option<Position>,
    /// Since which record the chain has been followed up to the end from an anchor that nothing contradicts: what a signed end vouches for.
    pub(super) vouched_from: Option<u32>,
    /// Every reading with what is now said of its signature.
    pub(super) readings: Vec<Reading>,
    /// The last signed end that there is.
    pub(super) head: Option<(Head, Signature, HeadState)>,
}

/// How a head compares with the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadState {
    /// It is the end of exactly these records.
    Same,
    /// It is the end of others.
    Other,
    /// Its record is not the last that was read with it.
    Elsewhere,
    /// Too little is known of the chain before it.
    Unknown,
}

/// Verifies. Without a key, signatures are what they were found to be when they were read.
pub(super) fn check(archive: &Archive, key: Option<&[u8; KEY_BYTES]>) -> Checked {
    let mut checked = Checked {
        entries: Vec::new(),
        findings: Vec::new(),
        position: None,
        vouched_from: None,
        readings: Vec::new(),
        head: None,
    };
    let mut verifier = Verifier::new();
    let mut offsets = None;
    for (number, item) in archive.items.iter().enumerate() {
        match item {
            Item::Record(bytes) => match Record::decode(bytes) {
                Some(record) => checked.record(archive.log, &mut verifier, &record),
                None => checked.findings.push(Finding::NotARecord {
                    after: verifier.position().map(|position| position.sequence),
                    offset: offsets
                        .get_or_insert_with(|| archive.offsets().unwrap_or_default())
                        .get(number)
                        .copied()
                        .unwrap_or_default(),
                }),
            },
            Item::Other(..) => {}
            Item::Reading(reading) => {
                checked.position = verifier.position();
                let last = number + 1 == archive.items.len();
                checked.reading(archive.log, reading, last, key);
            }
        }
    }
    checked.position = verifier.position();
    checked.findings.extend(archive.damage.iter().cloned());
    checked
}

impl Checked {
    fn record(&mut self, log: Log, verifier: &mut Verifier, record: &Record<'_>) {
        let mut follows = true;
        let before = verifier.position();
        verifier.take(record, |finding| {
            follows &= !matches!(
                finding,
                journal::Finding::Missing { .. }
                    | journal::Finding::OutOfOrder { .. }
                    | journal::Finding::AnchorMismatch { .. }
                    | journal::Finding::BeginsAnew { .. }
            );
            self.findings.push(Finding::Chain(finding));
        });
        let entry = Entry::new(log, record);
        if entry.is_malformed() {
            self.findings.push(Finding::Body {
                sequence: entry.sequence,
                kind: entry.kind,
            });
        }
        if before != verifier.position() {
            let known_before = before.is_some_and(|before| before.state.is_some());
            if verifier.position().is_none_or(|now| now.state.is_none()) {
                self.vouched_from = None;
            } else if !(follows && known_before) {
                self.vouched_from = Some(record.sequence);
            }
        }
        self.entries.push(entry);
    }

    /// Trouble that a later reading no longer had is past, except where records are missing for it.
    fn reading(&mut self, log: Log, reading: &Reading, last: bool, key: Option<&[u8; KEY_BYTES]>) {
        let mut reading = reading.clone();
        if let Some(key) = key {
            reading.judge(log, key);
        }
        let read = self.position.map(|position| position.sequence);
        for trouble in &reading.trouble {
            let finding = match *trouble {
                Trouble::LogUnreadable => Finding::LogUnreadable,
                Trouble::KeyLost => Finding::KeyLost,
                Trouble::NotSigned => Finding::NotSigned { to: reading.to },
                Trouble::NotGivenOut { newest } => Finding::NotGivenOut { newest, read },
            };
            if last || matches!(finding, Finding::NotGivenOut { .. }) {
                self.findings.push(finding);
            }
        }
        let head = reading.head.as_ref().map(|text| (text, text.head(log)));
        match head {
            None => {}
            // Digits that are none belong to no records.
            Some((text, None)) => self.findings.push(Finding::HeadState {
                sequence: text.sequence,
            }),
            Some((_, Some(head))) => {
                let state = self.compare(&head);
                match state {
                    HeadState::Same | HeadState::Unknown => {}
                    HeadState::Other => self.findings.push(Finding::HeadState {
                        sequence: head.sequence,
                    }),
                    HeadState::Elsewhere => self.findings.push(Finding::HeadElsewhere {
                        head: head.sequence,
                        read,
                    }),
                }
                if reading.signature == Signature::Wrong {
                    self.findings.push(Finding::HeadKey {
                        sequence: head.sequence,
                    });
                }
                self.head = Some((head, reading.signature, state));
            }
        }
        self.readings.push(reading);
    }

    fn compare(&self, head: &Head) -> HeadState {
        match self.position {
            Some(position) if position.sequence == head.sequence => match position.state {
                Some(state) if state == head.state => HeadState::Same,
                Some(_) => HeadState::Other,
                None => HeadState::Unknown,
            },
            Some(_) | None => HeadState::Elsewhere,
        }
    }

    /// The first and the last record.
    pub(super) fn range(&self) -> Option<(u32, u32)> {
        Some((
            self.entries.first()?.sequence,
            self.entries.last()?.sequence,
        ))
    }

    pub(super) fn range_in_words(&self) -> String {
        let count = grouped(u128::try_from(self.entries.len()).unwrap_or_default());
        match self.range() {
            None => "no record".to_owned(),
            Some((only, last)) if only == last => format!("1 record, number {only}"),
            Some((first, last)) => format!("{count} records, {first} to {last}"),
        }
    }

    /// The records that a fitting head vouches for, if these are not all.
    pub(super) fn vouched(&self) -> Option<(u32, u32)> {
        let (first, last) = self.range()?;
        self.vouched_from
            .filter(|from| *from > first)
            .map(|from| (from, last))
    }

    pub(super) fn verdict_in_words(&self) -> String {
        match (self.findings.len(), self.range()) {
            (0, None) => "Nothing is wrong, and nothing was logged.".to_owned(),
            (0, Some(_)) => "The chain is whole: each record follows the one before it.".to_owned(),
            (1, _) => "NOT WHOLE. 1 finding:".to_owned(),
            (count, _) => format!("NOT WHOLE. {count} findings:"),
        }
    }

    pub(super) fn head_in_words(&self) -> String {
        let Some((head, signature, state)) = &self.head else {
            return "Head: none; the end of this log is not signed.".to_owned();
        };
        let belongs = match state {
            HeadState::Same => match self.vouched() {
                Some((from, to)) => {
                    format!("the end of records {from} to {to}, and says nothing of those before")
                }
                None => "the end of exactly these records".to_owned(),
            },
            HeadState::Other => "NOT the end of these records".to_owned(),
            HeadState::Elsewhere => "NOT at the end of what was read".to_owned(),
            HeadState::Unknown => {
                "not comparable, because the chain is not known before it".to_owned()
            }
        };
        let signed = match signature {
            Signature::NotChecked => "signature not checked: no key",
            Signature::Good => "signature good",
            Signature::Wrong => "signature WRONG for this key",
        };
        format!(
            "Head: record {}, boot {}: {belongs}; {signed}.",
            head.sequence, head.boot
        )
    }

    /// Of the last reading.
    pub(super) fn round_trips(&self) -> Option<u32> {
        self.readings.last()?.round_trips
    }

    /// Of the last reading, and what follows from where the log begins.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self
            .readings
            .last()
            .map(|reading| reading.notes.clone())
            .unwrap_or_default();
        if let Some((first, _)) = self.range()
            && first > 0
        {
            notes.push(format!(
                "records 0 to {} are no longer there: a full log overwrites its oldest. The first records behind them, up to the next that confirms all before it, are tied to their neighbours alone",
                first - 1
            ));
        }
        let unknown = self
            .entries
            .iter()
            .filter(|entry| entry.event() == "unknown")
            .count();
        if unknown > 0 {
            notes.push(format!(
                "{unknown} records are of a kind or version that this program does not know; they are verified and kept as they are"
            ));
        }
        notes
    }
}
