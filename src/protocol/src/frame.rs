//! Frames: what fits into one write, read or indication of an attribute.
//!
//! ```text
//! data         flags u8 | sequence u8 | total length u16 little-endian (first frame of a message only) | 1 or more bytes
//! acknowledge  flags u8 | sequence u8 of the frame that has been read
//! abort        flags u8 | sequence u8 | reason u8 | sequence u8 of the frame at which the message was lost
//! flags        bit 0 first, bit 1 last (data only), bits 2 and 3 type: 0 data, 1 acknowledge, 2 abort; the others are zero
//! ```
//!
//! A message is what [`crate::envelope`] says and a CRC-32 (little-endian) over it; the total length counts both. Each side numbers its data and abort frames from any start, one by one, across messages, wrapping at 256. A number that is not ahead of
//! the last one seen (by 1 to 127) is a repetition and ignored; that is what makes duplicates harmless and lets a poller
//! tell a new fragment from the one it has already read.
//!
//! The CRC finds accidents. It is no protection against anybody.
use core::fmt;
use core::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::buffer::Buffer;

/// The longest message, in bytes: 1,024 for what it says, and 32 for header, counter, tag and CRC-32. A memory budget, two of these a session.
pub const MESSAGE_LIMIT: usize = 1056;

/// The longest frame, in bytes: [`Mtu::HIGHEST`] less the attribute header.
pub const FRAME_LIMIT: usize = 244;

/// Bytes of the CRC-32 that ends a message.
pub const CHECK_LENGTH: usize = 4;

/// The shortest message: version, one byte, CRC-32.
pub const MESSAGE_MINIMUM: usize = 6;

const ATTRIBUTE_HEADER: u16 = 3;

const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// The CRC-32 of `bytes` as it is sent (CRC-32/ISO-HDLC, the one of zip and Ethernet; little-endian).
pub fn check_of(bytes: &[u8]) -> [u8; CHECK_LENGTH] {
    CRC.checksum(bytes).to_le_bytes()
}

/// A negotiated attribute MTU, 23 to 247: what a frame may at most need.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mtu(u16);

impl Mtu {
    /// 23: what every Bluetooth LE device has before negotiation (Core Specification, Vol 3, Part F, 5.2.1; Vol 3, Part G, 5.2.1).
    pub const LOWEST: Mtu = Mtu(23);
    /// 247: one link-layer packet of 251 bytes with data length extension, less the 4-byte L2CAP header.
    pub const HIGHEST: Mtu = Mtu(247);

    /// `mtu` when it is 23 to 247.
    pub const fn new(mtu: u16) -> Option<Mtu> {
        if mtu < Mtu::LOWEST.0 || mtu > Mtu::HIGHEST.0 {
            None
        } else {
            Some(Mtu(mtu))
        }
    }

    /// The nearest MTU that frames are made for: a carrier that can do more is not used to the full, one cannot do less.
    pub const fn clamped(mtu: u16) -> Mtu {
        if mtu < Mtu::LOWEST.0 {
            Mtu::LOWEST
        } else if mtu > Mtu::HIGHEST.0 {
            Mtu::HIGHEST
        } else {
            Mtu(mtu)
        }
    }

    /// The MTU in bytes.
    pub const fn bytes(self) -> u16 {
        self.0
    }

    /// The longest frame, in bytes: the MTU less the three bytes of a write, notification or indication.
    pub fn frame_length(self) -> usize {
        usize::from(self.0.saturating_sub(ATTRIBUTE_HEADER))
    }
}

/// One frame, ready for the carrier: 1 to [`FRAME_LIMIT`] bytes, read as a slice.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Frame(Buffer<FRAME_LIMIT>);

impl Frame {
    pub(crate) const EMPTY: Frame = Frame(Buffer::EMPTY);

    /// The frame's bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// A frame that says: the frame numbered `sequence` has been read.
    pub fn acknowledge(sequence: u8) -> Frame {
        let mut frame = Frame::EMPTY;
        frame.set(&[flag::ACKNOWLEDGE, sequence], &[]);
        frame
    }

    /// A frame that says: the message that the frame numbered `at` belonged to is lost, and why.
    pub fn abort(sequence: u8, reason: Dropped, at: u8) -> Frame {
        let mut frame = Frame::EMPTY;
        frame.set_abort(sequence, reason, at);
        frame
    }

    /// Makes it an abort frame, as [`Frame::abort`].
    pub(crate) fn set_abort(&mut self, sequence: u8, reason: Dropped, at: u8) {
        self.set(&[flag::ABORT, sequence, reason.code(), at], &[]);
    }

    /// Makes it the first frame of a message of `total` bytes.
    pub(crate) fn set_first(&mut self, sequence: u8, total: u16, last: bool, payload: &[u8]) {
        let [low, high] = total.to_le_bytes();
        let flags = flag::FIRST | if last { flag::LAST } else { 0 };
        self.set(&[flags, sequence, low, high], payload);
    }

    /// Makes it a frame that continues a message.
    pub(crate) fn set_next(&mut self, sequence: u8, last: bool, payload: &[u8]) {
        self.set(&[if last { flag::LAST } else { 0 }, sequence], payload);
    }

    #[cfg(test)]
    pub(crate) fn first(sequence: u8, total: u16, last: bool, payload: &[u8]) -> Frame {
        let mut frame = Frame::EMPTY;
        frame.set_first(sequence, total, last, payload);
        frame
    }

    #[cfg(test)]
    pub(crate) fn next(sequence: u8, last: bool, payload: &[u8]) -> Frame {
        let mut frame = Frame::EMPTY;
        frame.set_next(sequence, last, payload);
        frame
    }

    /// Makes it empty: nothing to say.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    fn set(&mut self, header: &[u8], payload: &[u8]) {
        self.0.clear();
        // Callers cut the payload to an MTU, so both fit; a frame that did not would be short and refused by its reader.
        let _ = self.0.extend(header);
        let _ = self.0.extend(payload);
    }
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

mod flag {
    pub const FIRST: u8 = 1 << 0;
    pub const LAST: u8 = 1 << 1;
    pub const TYPE: u8 = 0b11 << 2;
    pub const DATA: u8 = 0 << 2;
    pub const ACKNOWLEDGE: u8 = 1 << 2;
    pub const ABORT: u8 = 2 << 2;
}

/// A frame taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parsed<'f> {
    /// Part of a message.
    Data(Part<'f>),
    /// The frame with this sequence number has been read.
    Acknowledge {
        /// Number of the frame that has been read.
        sequence: u8,
    },
    /// A message was dropped by its receiver or given up by its sender.
    Abort {
        /// Number of this frame.
        sequence: u8,
        /// Why; `None` for a reason that this version does not know.
        reason: Option<Dropped>,
        /// Number of a frame of the message concerned.
        at: u8,
    },
}

/// A data frame taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part<'f> {
    /// Number of this frame.
    pub sequence: u8,
    /// Length of the whole message in bytes, in the first frame of a message.
    pub total: Option<u16>,
    /// The message ends with this frame.
    pub last: bool,
    /// The bytes, at least one.
    pub payload: &'f [u8],
}

impl<'f> Parsed<'f> {
    /// Takes a frame apart.
    ///
    /// # Errors
    /// [`Dropped::Runt`], [`Dropped::FrameTooLong`] or [`Dropped::Flags`] for what is no frame.
    pub fn from_bytes(frame: &'f [u8]) -> Result<Parsed<'f>, Dropped> {
        if frame.len() > FRAME_LIMIT {
            return Err(Dropped::FrameTooLong);
        }
        let (&[flags, sequence], rest) = frame.split_first_chunk().ok_or(Dropped::Runt)?;
        if flags & !(flag::FIRST | flag::LAST | flag::TYPE) != 0 {
            return Err(Dropped::Flags);
        }
        if flags & flag::TYPE == flag::DATA {
            let (total, payload) = if flags & flag::FIRST == 0 {
                (None, rest)
            } else {
                let (length, payload) = rest.split_first_chunk().ok_or(Dropped::Runt)?;
                (Some(u16::from_le_bytes(*length)), payload)
            };
            if payload.is_empty() {
                return Err(Dropped::Runt);
            }
            return Ok(Parsed::Data(Part {
                sequence,
                total,
                last: flags & flag::LAST != 0,
                payload,
            }));
        }
        match (flags, rest) {
            (flag::ACKNOWLEDGE, []) => Ok(Parsed::Acknowledge { sequence }),
            (flag::ABORT, &[reason, at]) => Ok(Parsed::Abort {
                sequence,
                reason: Dropped::from_code(reason),
                at,
            }),
            (flag::ACKNOWLEDGE | flag::ABORT, _) => Err(Dropped::Runt),
            (0..=u8::MAX, _) => Err(Dropped::Flags),
        }
    }
}

/// Why a frame or a message was dropped. The number on the wire is the position.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
pub enum Dropped {
    /// There is no connection.
    NotOpen,
    /// The frame is shorter or longer than its type allows.
    Runt,
    /// The frame is longer than [`FRAME_LIMIT`].
    FrameTooLong,
    /// The frame has unknown flags.
    Flags,
    /// The message's length is below [`MESSAGE_MINIMUM`] or above [`MESSAGE_LIMIT`].
    Length,
    /// A frame is missing.
    Gap,
    /// The message has more bytes than its length said, or all of them and still no last frame.
    Overrun,
    /// The last frame came before all bytes were there.
    Short,
    /// Two seconds passed without the next frame.
    Silence,
    /// A new message began before the last frame of this one.
    Interrupted,
    /// A frame that continues a message of which there is no beginning.
    NotStarted,
    /// The CRC-32 is wrong.
    Checksum,
    /// The sender gave the message up.
    Abandoned,
}

impl Dropped {
    /// How many reasons there are.
    pub const COUNT: usize = 13;

    /// Every reason, in wire order.
    pub const ALL: [Dropped; Dropped::COUNT] = [
        Dropped::NotOpen,
        Dropped::Runt,
        Dropped::FrameTooLong,
        Dropped::Flags,
        Dropped::Length,
        Dropped::Gap,
        Dropped::Overrun,
        Dropped::Short,
        Dropped::Silence,
        Dropped::Interrupted,
        Dropped::NotStarted,
        Dropped::Checksum,
        Dropped::Abandoned,
    ];

    /// The number of this reason in an abort frame.
    pub const fn code(self) -> u8 {
        match self {
            Dropped::NotOpen => 0,
            Dropped::Runt => 1,
            Dropped::FrameTooLong => 2,
            Dropped::Flags => 3,
            Dropped::Length => 4,
            Dropped::Gap => 5,
            Dropped::Overrun => 6,
            Dropped::Short => 7,
            Dropped::Silence => 8,
            Dropped::Interrupted => 9,
            Dropped::NotStarted => 10,
            Dropped::Checksum => 11,
            Dropped::Abandoned => 12,
        }
    }

    /// The reason with this number.
    pub fn from_code(code: u8) -> Option<Dropped> {
        Dropped::ALL.get(usize::from(code)).copied()
    }

    /// What happened, for a log.
    pub const fn text(self) -> &'static str {
        match self {
            Dropped::NotOpen => "no connection",
            Dropped::Runt => "frame of a wrong length",
            Dropped::FrameTooLong => "frame longer than 244 bytes",
            Dropped::Flags => "unknown frame flags",
            Dropped::Length => "message length outside 6 to 1,056 bytes",
            Dropped::Gap => "a frame is missing",
            Dropped::Overrun => "message longer than announced",
            Dropped::Short => "message shorter than announced",
            Dropped::Silence => "2 s without the next frame",
            Dropped::Interrupted => "a new message began before the end of this one",
            Dropped::NotStarted => "frame without the beginning of its message",
            Dropped::Checksum => "wrong checksum",
            Dropped::Abandoned => "given up by the sender",
        }
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.text())
    }
}

impl core::error::Error for Dropped {}

/// Counts of dropped messages and frames by reason, since the counter was made. Saturating.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Drops([u32; Dropped::COUNT]);

impl Drops {
    pub(crate) const NONE: Drops = Drops([0; Dropped::COUNT]);

    pub(crate) fn count(&mut self, reason: Dropped) {
        if let Some(slot) = self.0.get_mut(usize::from(reason.code())) {
            *slot = slot.saturating_add(1);
        }
    }

    /// How often `reason` occurred.
    pub fn of(&self, reason: Dropped) -> u32 {
        self.0.get(usize::from(reason.code())).copied().unwrap_or(0)
    }

    /// How often any reason occurred.
    pub fn total(&self) -> u32 {
        self.0
            .iter()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_exactly_the_published_bytes() {
        assert_eq!(
            &Frame::first(9, 0x0123, false, b"ab")[..],
            [0b0001, 9, 0x23, 0x01, b'a', b'b']
        );
        assert_eq!(
            &Frame::first(9, 6, true, b"abcdef")[..],
            [0b0011, 9, 6, 0, b'a', b'b', b'c', b'd', b'e', b'f']
        );
        assert_eq!(&Frame::next(10, false, b"c")[..], [0b0000, 10, b'c']);
        assert_eq!(&Frame::next(11, true, b"d")[..], [0b0010, 11, b'd']);
        assert_eq!(&Frame::acknowledge(12)[..], [0b0100, 12]);
        assert_eq!(&Frame::abort(13, Dropped::Gap, 11)[..], [0b1000, 13, 5, 11]);
    }

    /// All pairs of flags and lengths up to 6: what is not in the grammar is refused, what is comes back as it was.
    #[test]
    fn the_grammar_is_exactly_this() {
        for flags in 0..=u8::MAX {
            for length in 0..=6 {
                let bytes = &[flags, 200, 3, 0, 5, 6][..length];
                let parsed = Parsed::from_bytes(bytes);
                let last = flags & 0b10 != 0;
                let expected = match (flags, length) {
                    (_, 0..=1) => Err(Dropped::Runt),
                    (0b00 | 0b10, 3..) => Ok(Parsed::Data(Part {
                        sequence: 200,
                        total: None,
                        last,
                        payload: &bytes[2..],
                    })),
                    (0b01 | 0b11, 5..) => Ok(Parsed::Data(Part {
                        sequence: 200,
                        total: Some(3),
                        last,
                        payload: &bytes[4..],
                    })),
                    (0b0100, 2) => Ok(Parsed::Acknowledge { sequence: 200 }),
                    (0b1000, 4) => Ok(Parsed::Abort {
                        sequence: 200,
                        reason: Some(Dropped::Flags),
                        at: 0,
                    }),
                    (0..=0b0100 | 0b1000, _) => Err(Dropped::Runt),
                    _ => Err(Dropped::Flags),
                };
                assert_eq!(parsed, expected, "flags {flags:#010b}, {length} bytes");
            }
        }
    }

    #[test]
    fn frames_longer_than_the_highest_mtu_allows_are_refused() {
        assert_eq!(Mtu::HIGHEST.frame_length(), FRAME_LIMIT);
        let bytes = [0; FRAME_LIMIT + 1];
        assert!(Parsed::from_bytes(&bytes[..FRAME_LIMIT]).is_ok());
        assert_eq!(Parsed::from_bytes(&bytes), Err(Dropped::FrameTooLong));
    }

    #[test]
    fn abort_reasons_unknown_here_are_kept_as_unknown() {
        assert_eq!(
            Parsed::from_bytes(&[0b1000, 1, 13, 0]),
            Ok(Parsed::Abort {
                sequence: 1,
                reason: None,
                at: 0
            })
        );
        for (code, reason) in (0..).zip(Dropped::ALL) {
            assert_eq!(reason.code(), code);
            assert_eq!(Dropped::from_code(code), Some(reason));
        }
    }

    #[test]
    fn mtu_is_23_to_247() {
        assert_eq!((Mtu::new(22), Mtu::new(248)), (None, None));
        assert_eq!(
            (Mtu::new(23), Mtu::new(247)),
            (Some(Mtu::LOWEST), Some(Mtu::HIGHEST))
        );
        assert_eq!(
            (Mtu::clamped(0), Mtu::clamped(517)),
            (Mtu::LOWEST, Mtu::HIGHEST)
        );
        assert_eq!(Mtu::clamped(185).bytes(), 185);
        assert_eq!(Mtu::LOWEST.frame_length(), 20);
    }

    /// The check value of CRC-32/ISO-HDLC in the catalogue of parametrised CRC algorithms.
    #[test]
    fn the_check_is_crc_32() {
        assert_eq!(check_of(b"123456789"), 0xcbf4_3926_u32.to_le_bytes());
    }

    #[test]
    fn drops_are_counted_by_reason_and_saturate() {
        let mut drops = Drops::NONE;
        drops.count(Dropped::Gap);
        drops.count(Dropped::Gap);
        drops.count(Dropped::Checksum);
        assert_eq!(
            (
                drops.of(Dropped::Gap),
                drops.of(Dropped::Checksum),
                drops.of(Dropped::Runt),
                drops.total()
            ),
            (2, 1, 0, 3)
        );
        drops.0[5] = u32::MAX;
        drops.count(Dropped::Gap);
        assert_eq!(
            (drops.of(Dropped::Gap), drops.total()),
            (u32::MAX, u32::MAX)
        );
    }
}
