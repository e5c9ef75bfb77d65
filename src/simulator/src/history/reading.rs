//! What is said of one reading of a log, beside its records.

use journal::{Head, KEY_BYTES, Log};
use serde::{Deserialize, Serialize};

/// One reading, as `records.bin` keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// When it was read, by the reader's clock, ISO 8601.
    pub at: String,
    /// Version of the program that read.
    pub thecal: String,
    /// Where, in words.
    pub source: String,
    /// The last record that was there; none of an empty log.
    pub to: Option<u32>,
    /// Requests over the link; none for a file.
    pub round_trips: Option<u32>,
    /// The signed end.
    pub head: Option<HeadText>,
    /// What a key said of it then.
    pub signature: Signature,
    /// What was in the way.
    pub trouble: Vec<Trouble>,
    /// What is worth knowing and wrong with nothing.
    pub notes: Vec<String>,
}

impl Reading {
    /// Notes what a key says of the signed end.
    pub(super) fn judge(&mut self, log: Log, key: &[u8; KEY_BYTES]) {
        if let Some(head) = self.head.as_ref().and_then(|text| text.head(log)) {
            self.signature = if head.is_signed_with(key) {
                Signature::Good
            } else {
                Signature::Wrong
            };
        }
    }
}

/// What a key says of a signed end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// There was no key to check it with.
    NotChecked,
    /// Made with the key.
    Good,
    /// Made with another key, or changed.
    Wrong,
}

/// Something that only the reading itself can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// The log's pages are not blank, and no record in them can be read.
    LogUnreadable,
    /// The key that signs was lost.
    KeyLost,
    /// A pump with records signs no end of them.
    NotSigned,
    /// The pump names this record as its newest and did not give it out.
    NotGivenOut {
        /// The record.
        newest: u32,
    },
}

/// A [`Head`] in text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadText {
    /// The newest record.
    pub sequence: u32,
    /// The chain's state behind it, hexadecimal.
    pub state: String,
    /// The boot in which it was signed.
    pub boot: u32,
    /// The signature, hexadecimal.
    pub signature: String,
}

impl HeadText {
    pub(super) fn of(head: &Head) -> Self {
        Self {
            sequence: head.sequence,
            state: hex(&head.state),
            boot: head.boot,
            signature: hex(&head.signature),
        }
    }

    /// None when it is not what [`HeadText::of`] makes.
    pub(super) fn head(&self, log: Log) -> Option<Head> {
        Some(Head {
            log,
            sequence: self.sequence,
            state: unhex(&self.state)?,
            boot: self.boot,
            signature: unhex(&self.signature)?,
        })
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Exactly `N` bytes of hexadecimal digits.
pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_are_bytes_and_nothing_else_is() {
        assert_eq!(hex(&[0, 0x1f, 0xff]), "001fff");
        assert_eq!(unhex("001fFF"), Some([0, 0x1f, 0xff]));
        for bad in ["001ff", "001fff0", "001ffg", "+0+0+0", "é0é"] {
            assert_eq!(unhex::<3>(bad), None, "{bad}");
        }
    }
}
