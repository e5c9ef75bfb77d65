//! `records.bin`: the records of a log as the pump stored them, and what was said of each reading.
//!
//! ```text
//! "thecal records 1"   16 bytes; the digit is the format's version
//! log                  1 byte: 0 events, 1 critical
//! items                1 record of the log | 2 reading, as JSON, behind the records that it brought
//!   sort               1 byte
//!   length             2 bytes, little-endian
//!   content
//! ```

use super::finding::{Damage, Finding};
use super::reading::Reading;
use anyhow::{Context, Result, bail};
use journal::{KEY_BYTES, Log, Record};

const MAGIC: &[u8; 16] = b"thecal records 1";
const RECORD: u8 = 1;
const READING: u8 = 2;

/// The content of `records.bin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Archive {
    pub(super) log: Log,
    pub(super) items: Vec<Item>,
    /// What is not as it was written.
    pub(super) damage: Vec<Finding>,
}

/// A part of it, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Record(Vec<u8>),
    Reading(Reading),
    /// Not understood, and kept as it is: its sort, its content.
    Other(u8, Vec<u8>),
}

impl Archive {
    /// One reading and what it brought.
    pub(super) fn new(log: Log, records: Vec<Vec<u8>>, reading: Reading) -> Self {
        let mut items: Vec<Item> = records.into_iter().map(Item::Record).collect();
        items.push(Item::Reading(reading));
        Self {
            log,
            items,
            damage: Vec::new(),
        }
    }

    /// The raw records, oldest first.
    pub(super) fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.items.iter().filter_map(|item| match item {
            Item::Record(bytes) => Some(bytes.as_slice()),
            Item::Reading(_) | Item::Other(..) => None,
        })
    }

    /// What this key says of every signed end takes the place of what was said before.
    pub(super) fn judge(&mut self, key: &[u8; KEY_BYTES]) {
        for item in &mut self.items {
            if let Item::Reading(reading) = item {
                reading.judge(self.log, key);
            }
        }
    }

    /// The number of the last record that is one.
    pub(super) fn last(&self) -> Option<u32> {
        self.records()
            .filter_map(Record::decode)
            .last()
            .map(|record| record.sequence)
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        self.encode_noting(|_| {})
    }

    /// Where each item begins in the file, bytes.
    pub(super) fn offsets(&self) -> Result<Vec<usize>> {
        let mut offsets = Vec::new();
        self.encode_noting(|offset| offsets.push(offset))?;
        Ok(offsets)
    }

    fn encode_noting(&self, mut begins: impl FnMut(usize)) -> Result<Vec<u8>> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(self.log.number());
        for item in &self.items {
            begins(bytes.len());
            let text;
            let (sort, content) = match item {
                Item::Record(content) => (RECORD, content.as_slice()),
                Item::Reading(reading) => {
                    text = serde_json::to_vec(reading).context("records.bin")?;
                    (READING, text.as_slice())
                }
                Item::Other(sort, content) => (*sort, content.as_slice()),
            };
            let length =
                u16::try_from(content.len()).context("records.bin: an item is too long")?;
            bytes.push(sort);
            bytes.extend(length.to_le_bytes());
            bytes.extend(content);
        }
        Ok(bytes)
    }

    /// Reads as much as can be read.
    ///
    /// # Errors
    /// When it is no `records.bin` that this version knows.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let log = match bytes.split_at_checked(MAGIC.len()) {
            Some((magic, [log, ..])) if magic == MAGIC => Log::from_number(*log)
                .with_context(|| format!("records.bin is of a log of an unknown number, {log}"))?,
            Some((magic, _)) if magic.starts_with(b"thecal records ") => {
                bail!("records.bin is of a version that this program does not know")
            }
            Some(_) | None => bail!("records.bin is no log of a pump"),
        };
        let mut archive = Self {
            log,
            items: Vec::new(),
            damage: Vec::new(),
        };
        let mut offset = MAGIC.len() + 1;
        while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
            let item = rest
                .split_first_chunk()
                .and_then(|([sort, low, high], rest)| {
                    let length = usize::from(u16::from_le_bytes([*low, *high]));
                    Some((*sort, rest.get(..length)?))
                });
            let Some((sort, content)) = item else {
                archive.damaged(offset, Damage::CutShort);
                return Ok(archive);
            };
            match sort {
                RECORD => archive.items.push(Item::Record(content.to_vec())),
                READING => match serde_json::from_slice(content) {
                    Ok(reading) => archive.items.push(Item::Reading(reading)),
                    Err(_) => {
                        archive.items.push(Item::Other(sort, content.to_vec()));
                        archive.damaged(offset, Damage::BadReading);
                    }
                },
                tag => {
                    archive.items.push(Item::Other(tag, content.to_vec()));
                    archive.damaged(offset, Damage::UnknownItem { tag });
                }
            }
            offset += 3 + content.len();
        }
        if !matches!(archive.items.last(), Some(Item::Reading(_))) && archive.damage.is_empty() {
            archive.damaged(offset, Damage::NoReading);
        }
        Ok(archive)
    }

    fn damaged(&mut self, offset: usize, damage: Damage) {
        self.damage.push(Finding::Archive { offset, damage });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::reading::Signature;

    fn reading(to: u32) -> Reading {
        Reading {
            at: "2026-01-05T10:00:00.000Z".to_owned(),
            thecal: "0.1.0".to_owned(),
            source: "a test".to_owned(),
            to: Some(to),
            round_trips: None,
            head: None,
            signature: Signature::NotChecked,
            trouble: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn archive() -> Archive {
        let mut archive = Archive::new(Log::Critical, vec![vec![1, 2, 3], vec![]], reading(1));
        archive.items.push(Item::Record(vec![9; 300]));
        archive.items.push(Item::Reading(reading(2)));
        archive
    }

    #[test]
    fn comes_back_as_it_went() {
        let archive = archive();
        let bytes = archive.encode().expect("bytes");
        assert_eq!(bytes[..20], *b"thecal records 1\x01\x01\x03\x00");
        assert_eq!(Archive::decode(&bytes).expect("an archive"), archive);
    }

    #[test]
    fn every_cut_is_noticed_but_one_at_the_end_of_a_reading() {
        let bytes = archive().encode().expect("bytes");
        let first_reading = archive().offsets().expect("offsets")[3];
        for length in 17..bytes.len() {
            let cut = Archive::decode(&bytes[..length]).expect("an archive");
            assert_eq!(cut.damage.is_empty(), length == first_reading, "{length}");
        }
        for length in 0..17 {
            assert!(Archive::decode(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn what_is_not_ours_is_refused_and_what_is_newer_is_said_to_be() {
        let error = |bytes: &[u8]| Archive::decode(bytes).expect_err("refused").to_string();
        assert!(error(b"").contains("no log of a pump"));
        assert!(error(b"PK\x03\x04 something else").contains("no log of a pump"));
        assert!(error(b"thecal records 2\0").contains("version"));
        assert!(error(b"thecal records 1\x07").contains("7"));
    }

    #[test]
    fn unknown_items_and_readings_are_said_and_stepped_over() {
        let mut bytes = archive().encode().expect("bytes");
        let end = bytes.len();
        bytes.extend([7, 1, 0, 0xFF, 2, 2, 0, b'{', b'x']);
        let read = Archive::decode(&bytes).expect("an archive");
        assert_eq!(read.items[..5], archive().items);
        assert_eq!(read.encode().expect("bytes"), bytes, "kept as they are");
        let damage = |offset, damage| Finding::Archive { offset, damage };
        assert_eq!(
            read.damage,
            [
                damage(end, Damage::UnknownItem { tag: 7 }),
                damage(end + 4, Damage::BadReading)
            ]
        );
    }
}
