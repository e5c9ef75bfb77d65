//! What can be wrong with a log or an export of it, in words and for programs.

use serde_json::{Value, json};
use std::fmt;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The chain breaks.
    Chain(journal::Finding),
    /// Bytes that were stored as a record are none.
    NotARecord {
        /// The last record before them.
        after: Option<u32>,
        /// Where in `records.bin`, bytes from its start.
        offset: usize,
    },
    /// A record of a known kind and version holds something else than that kind does.
    Body {
        /// The record.
        sequence: u32,
        /// Its kind.
        kind: u16,
    },
    /// A signed end is not the end of what was read.
    HeadElsewhere {
        /// The record that was signed as the newest.
        head: u32,
        /// The last record that was read; none when there was none.
        read: Option<u32>,
    },
    /// What was signed as everything up to a record is not what is there.
    HeadState {
        /// The record that was signed as the newest.
        sequence: u32,
    },
    /// A signed end was not made with the key.
    HeadKey {
        /// The record that was signed as the newest.
        sequence: u32,
    },
    /// A pump with records signs no end of them.
    NotSigned {
        /// The last record.
        to: Option<u32>,
    },
    /// The pump names a newest record and does not give it out.
    NotGivenOut {
        /// The record.
        newest: u32,
        /// The last record that was read.
        read: Option<u32>,
    },
    /// The log's pages are not blank, and no record in them can be read.
    LogUnreadable,
    /// The key in the flash file was lost.
    KeyLost,
    /// `records.bin` is not what was written.
    Archive {
        /// Where, bytes from its start.
        offset: usize,
        /// What is wrong there.
        damage: Damage,
    },
    /// A file of the export is not what `records.bin` gives.
    Derived {
        /// Its name.
        name: &'static str,
    },
}

/// What is wrong in `records.bin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It ends in the middle of an item.
    CutShort,
    /// It ends with records of which no reading tells.
    NoReading,
    /// An item of a sort that does not exist.
    UnknownItem {
        /// Its number.
        tag: u8,
    },
    /// What should tell of a reading cannot be read.
    BadReading,
}

impl Finding {
    /// What kind of finding, for programs.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Chain(finding) => match finding {
                journal::Finding::Missing { .. } => "missing",
                journal::Finding::OutOfOrder { .. } => "out_of_order",
                journal::Finding::NotFollowing { .. } => "not_following",
                journal::Finding::AnchorMismatch { .. } => "anchor_mismatch",
                journal::Finding::BeginsAnew { .. } => "begins_anew",
                journal::Finding::Unlinked { .. } => "unlinked",
            },
            Self::NotARecord { .. } => "not_a_record",
            Self::Body { .. } => "body",
            Self::HeadElsewhere { .. } => "head_elsewhere",
            Self::HeadState { .. } => "head_state",
            Self::HeadKey { .. } => "head_key",
            Self::NotSigned { .. } => "not_signed",
            Self::NotGivenOut { .. } => "not_given_out",
            Self::LogUnreadable => "log_unreadable",
            Self::KeyLost => "key_lost",
            Self::Archive { .. } => "archive",
            Self::Derived { .. } => "derived",
        }
    }

    /// The record at which it shows: the table of events names it there.
    #[must_use]
    pub const fn at(&self) -> Option<u32> {
        match self {
            Self::Chain(
                journal::Finding::Missing { to, .. }
                | journal::Finding::OutOfOrder { after: to, .. },
            ) => Some(to.saturating_add(1)),
            Self::Chain(
                journal::Finding::NotFollowing { sequence }
                | journal::Finding::AnchorMismatch { sequence, .. }
                | journal::Finding::BeginsAnew { sequence }
                | journal::Finding::Unlinked { sequence },
            )
            | Self::Body { sequence, .. }
            | Self::HeadState { sequence } => Some(*sequence),
            Self::NotARecord { after, .. } => match after {
                Some(after) => Some(after.saturating_add(1)),
                None => None,
            },
            Self::HeadElsewhere { .. }
            | Self::HeadKey { .. }
            | Self::NotSigned { .. }
            | Self::NotGivenOut { .. }
            | Self::LogUnreadable
            | Self::KeyLost
            | Self::Archive { .. }
            | Self::Derived { .. } => None,
        }
    }

    /// What it can come from, for a reader who does not know the chain.
    #[must_use]
    pub const fn meaning(&self) -> &'static str {
        match self {
            Self::Chain(journal::Finding::Missing { .. }) | Self::NotARecord { .. } => {
                "The pump's memory was damaged there and the pump left the record out, or somebody took it out. What it said is not known."
            }
            Self::Chain(journal::Finding::OutOfOrder { .. }) => {
                "A pump numbers its records one by one. It was put there by something else, or the order was changed."
            }
            Self::Chain(journal::Finding::NotFollowing { .. }) => {
                "Each record names the one before it. One of these two is not the one that the pump wrote there."
            }
            Self::Chain(journal::Finding::AnchorMismatch { .. }) => {
                "At least one record in 128 confirms all that came before it. This one confirms other records than these."
            }
            Self::Chain(journal::Finding::BeginsAnew { .. }) => {
                "The pump itself says that it could not read its own log there. Nothing ties what follows to what came before."
            }
            Self::Chain(journal::Finding::Unlinked { .. }) => {
                "No pump with this firmware or a later one writes such a record."
            }
            Self::Body { .. } => {
                "The record is whole and in its place, and its content makes no sense to this version. Its bytes are in the export."
            }
            Self::HeadElsewhere { .. } | Self::NotGivenOut { .. } => {
                "Records at the end are missing, or were added after the end was signed."
            }
            Self::HeadState { .. } => {
                "At least one record is not the one that was there when the end was signed."
            }
            Self::HeadKey { .. } => {
                "Another pump, another key file, or a signature that was made up."
            }
            Self::NotSigned { .. } => {
                "Nothing shows that no newer record was left away. Behind damage, or while it has no key, a pump signs nothing; its next records give the chain a new beginning."
            }
            Self::LogUnreadable => "The memory was damaged, or holds something else than a log.",
            Self::KeyLost => {
                "The pump can no longer sign the end of its logs until it is given a new key."
            }
            Self::Archive { .. } => {
                "The export was damaged or changed after it was written. Read the pump again into another folder, and keep this one."
            }
            Self::Derived { .. } => {
                "The file was changed, or was made by another version. records.bin counts; the other files can be made anew from it."
            }
        }
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut value = match self {
            Self::Chain(finding) => match *finding {
                journal::Finding::Missing { from, to } => json!({ "from": from, "to": to }),
                journal::Finding::OutOfOrder { sequence, after } => {
                    json!({ "record": sequence, "after": after })
                }
                journal::Finding::AnchorMismatch { from, sequence } => {
                    json!({ "from": from, "to": sequence.saturating_sub(1), "record": sequence })
                }
                journal::Finding::NotFollowing { sequence }
                | journal::Finding::BeginsAnew { sequence }
                | journal::Finding::Unlinked { sequence } => json!({ "record": sequence }),
            },
            Self::NotARecord { after, offset } => json!({ "after": after, "offset": offset }),
            Self::Body { sequence, kind } => json!({ "record": sequence, "record_kind": kind }),
            Self::HeadElsewhere { head, read } => json!({ "head": head, "read": read }),
            Self::HeadState { sequence } | Self::HeadKey { sequence } => {
                json!({ "record": sequence })
            }
            Self::NotSigned { to } => json!({ "record": to }),
            Self::NotGivenOut { newest, read } => json!({ "newest": newest, "read": read }),
            Self::LogUnreadable | Self::KeyLost => json!({}),
            Self::Archive { offset, .. } => json!({ "offset": offset }),
            Self::Derived { name } => json!({ "file": name }),
        };
        if let Value::Object(fields) = &mut value {
            fields.insert("finding".into(), json!(self.kind()));
            fields.insert("text".into(), json!(self.to_string()));
        }
        value
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = |record: &Option<u32>| match record {
            Some(record) => format!("record {record}"),
            None => "no record".to_owned(),
        };
        match self {
            Self::Chain(finding) => write!(f, "{finding}"),
            Self::NotARecord { after, offset } => write!(
                f,
                "what stands behind {} (records.bin, byte {offset}) is not a record",
                record(after)
            ),
            Self::Body { sequence, kind } => write!(
                f,
                "record {sequence} does not hold what a record of kind {kind} holds"
            ),
            Self::HeadElsewhere { head, read } => write!(
                f,
                "the pump's head is not the end of what was read: record {head} was signed as the newest, {} is the last",
                record(read)
            ),
            Self::HeadState { sequence } => write!(
                f,
                "the head signed for record {sequence} belongs to other records than these"
            ),
            Self::HeadKey { sequence } => write!(
                f,
                "the head of record {sequence} was not signed with this key"
            ),
            Self::NotSigned { to } => write!(
                f,
                "the pump signs no head, although {} is its newest",
                record(to)
            ),
            Self::NotGivenOut { newest, read } => write!(
                f,
                "the pump names record {newest} as its newest and gives out nothing behind {}",
                record(read)
            ),
            Self::LogUnreadable => {
                f.write_str("the log is not blank, and no record in it can be read")
            }
            Self::KeyLost => f.write_str("the key that signs the log is lost"),
            Self::Archive { offset, damage } => match damage {
                Damage::CutShort => write!(
                    f,
                    "records.bin ends in the middle of what begins at byte {offset}"
                ),
                Damage::NoReading => write!(
                    f,
                    "records.bin ends at byte {offset} without the note of a reading: it was cut off"
                ),
                Damage::UnknownItem { tag } => write!(
                    f,
                    "records.bin holds something of an unknown sort ({tag}) at byte {offset}"
                ),
                Damage::BadReading => write!(
                    f,
                    "records.bin holds a note of a reading at byte {offset} that cannot be read"
                ),
            },
            Self::Derived { name } => write!(f, "{name} is not what records.bin gives"),
        }
    }
}
