//! The pump's event logs on the wire: read piece by piece, and their signed ends.
use serde::{Deserialize, Serialize};

use crate::list::Bytes;

/// Most bytes of records in one [`LogPart`]: four or more of the usual ones, and an answer that is no longer in the pump's memory than the
/// longest of the others.
pub const LOG_PART_BYTES: usize = 168;

/// Which log. Everything in the critical one is in that of events too, as long as it has not been overwritten there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum LogName {
    /// Every event, the newest some ten thousand.
    Events,
    /// The critical events, at least the last 400.
    Critical,
}

/// Records of a log, oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct LogPart {
    /// The record to ask for next: one behind the last of this part, or the one asked for when there is none at or behind it.
    pub next: u32,
    /// The newest record there is; `None` in an empty log.
    pub newest: Option<u32>,
    /// Whole records as the pump's flash holds them (docs/journal.md), each with its length in bytes, u16 little-endian, before it.
    pub records: LogBytes,
}

/// The end of a log, signed by the pump (docs/journal.md).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct LogHead {
    /// The newest record.
    pub sequence: u32,
    /// The chain's state behind it.
    pub state: [u8; 16],
    /// The boot in which it was signed.
    pub boot: u32,
    /// HMAC-SHA-256 with the pump's log key, its first 16 bytes.
    pub signature: [u8; 16],
}

/// At most [`LOG_PART_BYTES`] bytes.
pub type LogBytes = Bytes<LOG_PART_BYTES>;

impl LogBytes {
    /// The records, one after another, without their lengths. Ends at the first length that leads beyond the end.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self[..];
        core::iter::from_fn(move || {
            let (length, behind) = rest.split_first_chunk()?;
            let (record, behind) =
                behind.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
            rest = behind;
            Some(record)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn records_are_taken_apart_by_their_lengths() {
        let bytes = LogBytes::new(&[2, 0, 7, 8, 0, 0, 1, 0, 9]).unwrap();
        let records: Vec<&[u8]> = bytes.records().collect();
        assert_eq!(records, [&[7, 8][..], &[], &[9]]);
    }

    #[test]
    fn a_length_beyond_the_end_ends_them() {
        for bytes in [
            &[1, 0, 5, 3, 0, 1, 2][..],
            &[1, 0, 5, 3],
            &[1, 0, 5, 255, 255, 0],
        ] {
            let bytes = LogBytes::new(bytes).unwrap();
            assert_eq!(bytes.records().collect::<Vec<_>>(), [&[5][..]]);
        }
    }
}
