//! The pump's event logs on the wire: read piece by piece, and their signed ends.
use core::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
#[derive(Clone, PartialEq, Eq, Default)]
pub struct LogBytes(heapless::Vec<u8, LOG_PART_BYTES>);

impl LogBytes {
    /// A copy of these bytes; `None` when they are too many.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        heapless::Vec::from_slice(bytes).ok().map(Self)
    }

    /// The records, one after another, without their lengths. Ends at the first length that leads beyond the end.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.0[..];
        core::iter::from_fn(move || {
            let (length, behind) = rest.split_first_chunk()?;
            let (record, behind) =
                behind.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
            rest = behind;
            Some(record)
        })
    }
}

impl core::ops::Deref for LogBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for LogBytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} bytes of records", self.0.len())
    }
}

impl Serialize for LogBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for LogBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = LogBytes;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "at most {LOG_PART_BYTES} bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<LogBytes, E> {
                LogBytes::new(bytes).ok_or_else(|| E::invalid_length(bytes.len(), &self))
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(any(test, feature = "schema"))]
impl postcard_schema::Schema for LogBytes {
    const SCHEMA: &'static postcard_schema::schema::NamedType =
        &postcard_schema::schema::NamedType {
            name: "LogBytes",
            ty: &postcard_schema::schema::DataModelType::ByteArray,
        };
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::codec::{decode, encode};

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

    #[test]
    fn the_most_bytes_travel_and_one_more_does_not() {
        let mut buffer = [0; 300];
        let most = LogBytes::new(&[3; LOG_PART_BYTES]).unwrap();
        let wire = encode(&most, &mut buffer).unwrap().to_vec();
        assert_eq!(decode::<LogBytes>(&wire), Ok(most));
        assert_eq!(LogBytes::new(&[3; LOG_PART_BYTES + 1]), None);
        let mut longer = vec![169, 1];
        longer.extend([3; 169]);
        assert!(decode::<LogBytes>(&longer).is_err());
    }
}
