//! What is stored of a record: sequence number, room for later, envelope.
//!
//! | field | type | |
//! |---|---|---|
//! | sequence | u32 | counts the records of a ring, or the writes to the state banks, over the pump's life |
//! | extension | bytes | length, then the [`Link`] of a log's record (0, 2 or 18 bytes), then what a later version adds, which this one skips |
//! | envelope | to the end | [`Envelope`] |
//!
//! Records in a ring rely on the CRC-32C of the library. A value of state has a CRC-32 of its own behind the envelope (ISO-HDLC,
//! another polynomial), so that no single mistake in the library's checks makes a program out of noise.

use crc::{CRC_32_ISO_HDLC, Crc};

use crate::envelope::{ENVELOPE_BYTES, Envelope};
use crate::record::{ANCHOR_BYTES, Link};
use crate::wire::{Reader, Writer};

/// Longest extension this version can still step over in its buffers, bytes.
const EXTENSION_BYTES: usize = 64;

/// Length of the CRC-32 behind a value of state, bytes.
const CHECK_BYTES: usize = 4;

/// Longest stored record, bytes: sequence 5, extension's length 2, extension, envelope, check.
pub const FRAME_BYTES: usize = ENVELOPE_BYTES
    .saturating_add(EXTENSION_BYTES)
    .saturating_add(CHECK_BYTES)
    .saturating_add(7);

/// Length of the library's map key before a frame in a state bank, bytes.
pub(crate) const KEY_BYTES: usize = 2;

/// Room for the longest item of any partition, in whole words as the library wants it, bytes.
pub(crate) const ITEM_BYTES: usize = FRAME_BYTES.saturating_add(KEY_BYTES).next_multiple_of(4);

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// A stored record, decoded as far as this version understands it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) sequence: u32,
    pub(crate) link: Link,
    pub(crate) envelope: Envelope<'a>,
}

impl<'a> Frame<'a> {
    /// Writes the frame of a ring's record; `None` when the body is too long for any buffer.
    pub(crate) fn encode<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let mut link = [0; ANCHOR_BYTES];
        let link = self.link.encode(&mut link);
        let mut writer = Writer::new(buffer);
        self.write_head(&mut writer, link.len())?;
        writer.put_bytes(link)?;
        let head = writer.used();
        let length = self.envelope.encode(buffer.get_mut(head..)?).ok()?;
        buffer.get(..head.checked_add(length)?)
    }

    /// Reads the frame of a ring's record; `None` for anything else.
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let sequence = reader.take()?;
        let extension: &[u8] = reader.take()?;
        let frame = Self {
            sequence,
            link: Link::decode(extension),
            envelope: Envelope::decode(reader.rest()).ok()?,
        };
        // One wire form only, as for the envelope.
        let mut head = [0; 12];
        let mut writer = Writer::new(&mut head);
        frame.write_head(&mut writer, extension.len())?;
        let head_length = bytes
            .len()
            .checked_sub(reader.rest().len())?
            .checked_sub(extension.len())?;
        (bytes.get(..head_length)? == writer.written()).then_some(frame)
    }

    /// Writes the frame of a value of state, with its check.
    pub(crate) fn encode_state<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let length = self.encode(buffer)?.len();
        let end = length.checked_add(CHECK_BYTES)?;
        let check = CRC.checksum(buffer.get(..length)?).to_le_bytes();
        buffer.get_mut(length..end)?.copy_from_slice(&check);
        buffer.get(..end)
    }

    /// Reads the frame of a value of state; `None` for anything else and for a wrong check.
    pub(crate) fn decode_state(bytes: &'a [u8]) -> Option<Self> {
        let (frame, check) = bytes.split_last_chunk::<CHECK_BYTES>()?;
        (CRC.checksum(frame) == u32::from_le_bytes(*check)).then_some(())?;
        Self::decode(frame)
    }

    fn write_head(&self, writer: &mut Writer<'_>, extension_length: usize) -> Option<()> {
        writer.put(&self.sequence)?;
        writer.put(&extension_length)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use proptest::prelude::*;
    use std::vec::Vec;
    use units::{Clock, PumpTime};

    use super::*;
    use crate::envelope::{Kind, Stamp};

    fn frame(body: &[u8]) -> Frame<'_> {
        Frame {
            sequence: 70_000,
            link: Link::Missing,
            envelope: Envelope {
                kind: Kind(5),
                version: 1,
                stamp: Stamp {
                    boot: 3,
                    monotonic: PumpTime::from_micros(1_500),
                    wall: Clock::Lost,
                },
                body,
            },
        }
    }

    fn ring(frame: &Frame<'_>) -> Vec<u8> {
        frame.encode(&mut [0; FRAME_BYTES]).unwrap().to_vec()
    }

    fn state(frame: &Frame<'_>) -> Vec<u8> {
        frame.encode_state(&mut [0; FRAME_BYTES]).unwrap().to_vec()
    }

    #[test]
    fn frames_come_back() {
        let frame = frame(b"body");
        assert_eq!(Frame::decode(&ring(&frame)), Some(frame));
        assert_eq!(Frame::decode_state(&state(&frame)), Some(frame));
    }

    /// Sequence 70,000 takes three bytes; then come the extension's length and the link.
    #[test]
    fn links_come_back() {
        for (link, length) in [
            (Link::Missing, 0),
            (Link::After([7, 8]), 2),
            (
                Link::Anchor {
                    link: [7, 8],
                    state: [9; 16],
                },
                18,
            ),
        ] {
            let frame = Frame {
                link,
                ..frame(b"body")
            };
            let bytes = ring(&frame);
            assert_eq!(bytes[3], length);
            assert_eq!(Frame::decode(&bytes), Some(frame));
        }
    }

    #[test]
    fn what_a_later_version_adds_behind_a_link_is_stepped_over() {
        for (link, own) in [
            (Link::After([1, 2]), 2),
            (
                Link::Anchor {
                    link: [1, 2],
                    state: [3; 16],
                },
                18,
            ),
        ] {
            let frame = Frame {
                link,
                ..frame(b"body")
            };
            let bytes = ring(&frame);
            let mut later = bytes[..3].to_vec();
            later.push(own + 3);
            later.extend(&bytes[4..4 + usize::from(own)]);
            later.extend([0xAA; 3]);
            later.extend(&bytes[4 + usize::from(own)..]);
            assert_eq!(Frame::decode(&later), Some(frame));
        }
    }

    #[test]
    fn every_flipped_bit_of_a_value_is_noticed() {
        let bytes = state(&frame(b"some body"));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Frame::decode_state(&damaged), None, "bit {bit}");
        }
    }

    #[test]
    fn check_is_crc_32_iso_hdlc() {
        let bytes = state(&frame(b""));
        let (frame, check) = bytes.split_last_chunk::<4>().unwrap();
        assert_eq!(CRC.checksum(b"123456789"), 0xCBF4_3926);
        assert_eq!(CRC.checksum(frame).to_le_bytes(), *check);
    }

    proptest! {
        #[test]
        fn noise_never_panics_and_has_one_form(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            Frame::decode_state(&bytes);
            if let Some(frame) = Frame::decode(&bytes)
                && bytes.get(1) == Some(&0)
                && bytes[0] < 0x80
            {
                prop_assert_eq!(ring(&frame), bytes);
            }
        }
    }
}
