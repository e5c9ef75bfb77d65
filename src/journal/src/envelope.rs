//! The envelope of every record: kind, version, when, and the owner's bytes.
//!
//! # Wire form (final)
//!
//! Postcard values one after another:
//!
//! | field | type | |
//! |---|---|---|
//! | kind | u16 | |
//! | version | u8 | of the body |
//! | boot | u32 | boot number |
//! | times | u8 | which times follow and in which unit, below |
//! | monotonic | u64 | pump time since this boot |
//! | wall | u64 | only when the clock is not lost |
//! | uncertainty | u64 | only when the clock is known |
//! | body | bytes | length, then at most 800 bytes |
//!
//! `times`: bits 0 and 1 are the clock (0 lost, 1 suspect, 2 known), bits 2 and 3 the unit of `monotonic` (0 microseconds, 1
//! milliseconds, 2 seconds), bit 4 that of `wall` (0 milliseconds, 1 seconds), bits 5 and 6 that of `uncertainty` (as of
//! `monotonic`); bit 7 is zero. Every time is exact and uses the largest unit in which it is a whole number, so that a value has one
//! wire form only. The units are worth their trouble: an event whose times are whole seconds is up to six bytes shorter than one in
//! microseconds, which is what lets 10,000 events fit into the nRF52840's partition (issue 3, `tests::measure`).
//!
//! A reader that does not know a kind or a version can still read the envelope. Anything but the one wire form of a value is refused.

use core::fmt;

use units::{Clock, Duration, PumpTime, WallTime};

use crate::wire::{Reader, Writer};

/// Largest body, bytes.
pub const BODY_BYTES: usize = 800;

/// Largest encoded envelope, bytes: every field before the body at its longest, and the body.
pub const ENVELOPE_BYTES: usize = HEAD_BYTES.saturating_add(BODY_BYTES);

/// Longest that the fields before the body can be: 3 + 1 + 5 + 1 + 10 + 10 + 10 + 2.
const HEAD_BYTES: usize = 42;

/// What a record is. The number is its owner's choice, for ever; [`Kind::INDEX`] and [`Kind::KEY`] are the journal's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(pub u16);

impl Kind {
    /// The journal's own record: the boot number and which value of each kind is the newest. Refused from callers.
    pub const INDEX: Self = Self(u16::MAX);
    /// The journal's own record: the key that signs the heads of the logs. Refused from callers.
    pub const KEY: Self = Self(u16::MAX.saturating_sub(1));
}

/// When a record was made.
///
/// Times are kept exactly; those in whole seconds take the least room, a monotonic time in whole milliseconds two bytes more, one in
/// microseconds four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Boot number, from [`crate::Opening::boot`].
    pub boot: u32,
    /// Pump time since that boot.
    pub monotonic: PumpTime,
    /// The time of day as the pump knew it.
    pub wall: Clock,
}

/// One record: its kind and version, when it was made, and the bytes its owner understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Envelope<'a> {
    /// What the record is.
    pub kind: Kind,
    /// Version of the body's format, counted by the owner of the kind.
    pub version: u8,
    /// When it was made.
    pub stamp: Stamp,
    /// The owner's bytes, at most [`BODY_BYTES`].
    pub body: &'a [u8],
}

/// Why bytes are not an envelope, or an envelope cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvelopeError {
    /// The body has more than [`BODY_BYTES`].
    BodyTooLong,
    /// The buffer is too small for the encoded envelope.
    BufferTooSmall,
    /// Not an envelope, or not the one wire form of it.
    Malformed,
}

impl fmt::Display for EnvelopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BodyTooLong => write!(f, "record body longer than {BODY_BYTES} bytes"),
            Self::BufferTooSmall => f.write_str("buffer too small for the record"),
            Self::Malformed => f.write_str("not a record envelope"),
        }
    }
}

impl core::error::Error for EnvelopeError {}

/// The units of `monotonic` in microseconds, by their number on the wire.
const MONOTONIC_UNITS: [u64; 3] = [1, 1_000, 1_000_000];
/// The units of `wall` in milliseconds.
const WALL_UNITS: [u64; 2] = [1, 1_000];
/// The units of `uncertainty` in microseconds.
const UNCERTAINTY_UNITS: [u64; 3] = [1, 1_000, 1_000_000];

const CLOCK_LOST: u8 = 0;
const CLOCK_SUSPECT: u8 = 1;
const CLOCK_KNOWN: u8 = 2;

/// A time as it goes on the wire: the number of its unit and how many of them.
struct Scaled {
    unit: u8,
    count: u64,
}

impl Scaled {
    /// In the largest of the ascending `units` that holds the value exactly.
    fn of(value: u64, units: &[u64]) -> Self {
        let mut scaled = Self {
            unit: 0,
            count: value,
        };
        for (unit, length) in (0_u8..).zip(units) {
            if value.checked_rem(*length) == Some(0)
                && let Some(count) = value.checked_div(*length)
            {
                scaled = Self { unit, count };
            }
        }
        scaled
    }

    /// The value; `None` for an unknown unit or one too large to be held.
    fn value(&self, units: &[u64]) -> Option<u64> {
        units.get(usize::from(self.unit))?.checked_mul(self.count)
    }
}

impl<'a> Envelope<'a> {
    /// Writes the wire form and returns its length in bytes.
    ///
    /// # Errors
    /// [`EnvelopeError::BodyTooLong`]; [`EnvelopeError::BufferTooSmall`] (never with [`ENVELOPE_BYTES`]).
    pub fn encode(&self, buffer: &mut [u8]) -> Result<usize, EnvelopeError> {
        if self.body.len() > BODY_BYTES {
            return Err(EnvelopeError::BodyTooLong);
        }
        let mut writer = Writer::new(buffer);
        self.write_head(&mut writer)
            .and_then(|()| writer.put_bytes(self.body))
            .ok_or(EnvelopeError::BufferTooSmall)?;
        Ok(writer.used())
    }

    /// Reads the wire form, all of `bytes`.
    ///
    /// # Errors
    /// [`EnvelopeError::Malformed`] for anything that [`Envelope::encode`] does not write.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, EnvelopeError> {
        let envelope = Self::read(bytes).ok_or(EnvelopeError::Malformed)?;
        // Only the one wire form counts: longer encodings of the same numbers, unknown bits and bytes left over do not.
        let mut head = [0; HEAD_BYTES];
        let mut writer = Writer::new(&mut head);
        envelope
            .write_head(&mut writer)
            .and_then(|()| bytes.strip_prefix(writer.written()))
            .filter(|rest| *rest == envelope.body && rest.len() <= BODY_BYTES)
            .ok_or(EnvelopeError::Malformed)?;
        Ok(envelope)
    }

    /// Everything before the bytes of the body.
    fn write_head(&self, writer: &mut Writer<'_>) -> Option<()> {
        let monotonic = Scaled::of(self.stamp.monotonic.micros(), &MONOTONIC_UNITS);
        let (clock, wall, uncertainty) = match self.stamp.wall {
            Clock::Lost => (CLOCK_LOST, None, None),
            Clock::Suspect { wall } => (CLOCK_SUSPECT, Some(wall), None),
            Clock::Known { wall, uncertainty } => (CLOCK_KNOWN, Some(wall), Some(uncertainty)),
        };
        let wall = wall.map(|wall| Scaled::of(wall.millis(), &WALL_UNITS));
        let uncertainty =
            uncertainty.map(|duration| Scaled::of(duration.micros(), &UNCERTAINTY_UNITS));
        let unit = |scaled: &Option<Scaled>| scaled.as_ref().map_or(0, |scaled| scaled.unit);
        let times = clock | (monotonic.unit << 2) | (unit(&wall) << 4) | (unit(&uncertainty) << 5);

        writer.put(&self.kind.0)?;
        writer.put(&self.version)?;
        writer.put(&self.stamp.boot)?;
        writer.put(&times)?;
        writer.put(&monotonic.count)?;
        if let Some(wall) = wall {
            writer.put(&wall.count)?;
        }
        if let Some(uncertainty) = uncertainty {
            writer.put(&uncertainty.count)?;
        }
        writer.put(&self.body.len())
    }

    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let kind = Kind(reader.take()?);
        let version = reader.take()?;
        let boot = reader.take()?;
        let times: u8 = reader.take()?;
        let mut time = |unit: u8, units: &[u64]| {
            Scaled {
                unit,
                count: reader.take()?,
            }
            .value(units)
        };
        let monotonic = PumpTime::from_micros(time((times >> 2) & 3, &MONOTONIC_UNITS)?);
        let wall = match times & 3 {
            CLOCK_LOST => Clock::Lost,
            CLOCK_SUSPECT => Clock::Suspect {
                wall: WallTime::from_millis(time((times >> 4) & 1, &WALL_UNITS)?),
            },
            CLOCK_KNOWN => Clock::Known {
                wall: WallTime::from_millis(time((times >> 4) & 1, &WALL_UNITS)?),
                uncertainty: Duration::from_micros(time((times >> 5) & 3, &UNCERTAINTY_UNITS)?),
            },
            4.. | 3 => return None,
        };
        let body = reader.take()?;
        Some(Self {
            kind,
            version,
            stamp: Stamp {
                boot,
                monotonic,
                wall,
            },
            body,
        })
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use proptest::prelude::*;
    use std::vec::Vec;

    use super::*;

    const STAMP: Stamp = Stamp {
        boot: 7,
        monotonic: PumpTime::from_micros(86_400_001_000),
        wall: Clock::Known {
            wall: WallTime::from_millis(1_767_607_200_000),
            uncertainty: Duration::from_seconds(2),
        },
    };

    fn encode(envelope: &Envelope<'_>) -> Vec<u8> {
        let mut buffer = [0; ENVELOPE_BYTES];
        let length = envelope.encode(&mut buffer).unwrap();
        buffer[..length].to_vec()
    }

    fn clocks() -> impl Strategy<Value = Clock> {
        let times = prop_oneof![
            any::<u64>(),
            0..100_u64,
            (0..u64::MAX / 1_000).prop_map(|time| time * 1_000),
            (0..u64::MAX / 1_000_000).prop_map(|time| time * 1_000_000),
        ];
        let times = times.boxed();
        prop_oneof![
            Just(Clock::Lost),
            times.clone().prop_map(|wall| Clock::Suspect {
                wall: WallTime::from_millis(wall)
            }),
            (times.clone(), times).prop_map(|(wall, uncertainty)| Clock::Known {
                wall: WallTime::from_millis(wall),
                uncertainty: Duration::from_micros(uncertainty),
            }),
        ]
    }

    /// The wire form is final: these bytes are in pumps.
    #[test]
    fn wire_form_is_pinned() {
        let envelope = Envelope {
            kind: Kind(300),
            version: 2,
            stamp: STAMP,
            body: b"ab",
        };
        assert_eq!(
            encode(&envelope),
            [
                0xAC, 0x02,       // kind 300
                0x02,       // version
                0x07,       // boot
                0b101_0110, // known; milliseconds, seconds, seconds
                0x81, 0xB8, 0x99, 0x29, // 86,400,001 ms
                0xA0, 0x97, 0xEE, 0xCA, 0x06, // 1,767,607,200 s
                0x02, // 2 s
                0x02, b'a', b'b',
            ]
        );
        let lost = Envelope {
            kind: Kind(1),
            version: 0,
            stamp: Stamp {
                boot: 0,
                monotonic: PumpTime::from_micros(1),
                wall: Clock::Lost,
            },
            body: &[],
        };
        assert_eq!(encode(&lost), [1, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn body_of_800_bytes_fits_and_801_do_not() {
        let body = [0xFF; BODY_BYTES + 1];
        let widest = Stamp {
            boot: u32::MAX,
            monotonic: PumpTime::from_micros(u64::MAX),
            wall: Clock::Known {
                wall: WallTime::from_millis(u64::MAX),
                uncertainty: Duration::from_micros(u64::MAX),
            },
        };
        let mut envelope = Envelope {
            kind: Kind(u16::MAX),
            version: u8::MAX,
            stamp: widest,
            body: &body[..BODY_BYTES],
        };
        let bytes = encode(&envelope);
        assert_eq!(bytes.len(), ENVELOPE_BYTES);
        assert_eq!(Envelope::decode(&bytes), Ok(envelope));
        assert_eq!(
            envelope.encode(&mut [0; ENVELOPE_BYTES - 1]),
            Err(EnvelopeError::BufferTooSmall)
        );
        envelope.body = &body;
        assert_eq!(
            envelope.encode(&mut [0; ENVELOPE_BYTES + 1]),
            Err(EnvelopeError::BodyTooLong)
        );
    }

    #[test]
    fn longer_forms_of_the_same_numbers_are_refused() {
        for bytes in [
            &[0x81, 0x00, 0, 0, 0, 1, 0][..],   // kind as two bytes
            &[1, 0, 0, 0, 0x81, 0x00, 0],       // monotonic as two bytes
            &[1, 0, 0, 0, 1, 0x80, 0x00],       // length as two bytes
            &[1, 0, 0, 0, 0xE8, 0x07, 0],       // 1000 us, which is 1 ms
            &[1, 0, 0, 0b100, 0xE8, 0x07, 0],   // 1000 ms, which is 1 s
            &[1, 0, 0, 0b1_0000, 1, 0],         // unit of a wall time that is not there
            &[1, 0, 0, 0b100_0000, 1, 0],       // unit of an uncertainty that is not there
            &[1, 0, 0, 0b1000_0000, 1, 0],      // unknown bit
            &[1, 0, 0, 0b1100, 1, 0],           // unknown unit of the monotonic time
            &[1, 0, 0, 3, 1, 0],                // unknown clock
            &[1, 0, 0, 0b110_0010, 1, 1, 1, 0], // unknown unit
            &[1, 0, 0, 0, 1, 0, 0],             // one byte left over
            &[1, 0, 0, 0, 1, 1],                // body missing
            &[],
        ] {
            assert_eq!(
                Envelope::decode(bytes),
                Err(EnvelopeError::Malformed),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn a_time_too_large_for_its_unit_is_refused() {
        let mut bytes = std::vec![1, 0, 0, 0b1000];
        bytes.extend([0xFF; 9]);
        bytes.extend([0x01, 0]);
        assert_eq!(Envelope::decode(&bytes), Err(EnvelopeError::Malformed));
    }

    #[test]
    fn unknown_kinds_and_versions_are_envelopes_all_the_same() {
        let newer = Envelope {
            kind: Kind(60_000),
            version: 255,
            stamp: STAMP,
            body: b"of a later version",
        };
        assert_eq!(Envelope::decode(&encode(&newer)), Ok(newer));
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same(
            kind: u16, version: u8, boot: u32, monotonic: u64, wall in clocks(),
            body in prop::collection::vec(any::<u8>(), 0..=800),
        ) {
            let envelope = Envelope {
                kind: Kind(kind),
                version,
                stamp: Stamp { boot, monotonic: PumpTime::from_micros(monotonic), wall },
                body: &body,
            };
            let bytes = encode(&envelope);
            prop_assert_eq!(Envelope::decode(&bytes), Ok(envelope));
        }

        #[test]
        fn what_decodes_has_no_other_wire_form(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(envelope) = Envelope::decode(&bytes) {
                prop_assert_eq!(encode(&envelope), bytes);
            }
        }

        #[test]
        fn small_bytes_that_decode_have_no_other_wire_form(
            bytes in prop::collection::vec(prop_oneof![0..4_u8, Just(0x80), any::<u8>()], 0..14)
        ) {
            if let Ok(envelope) = Envelope::decode(&bytes) {
                prop_assert_eq!(encode(&envelope), bytes);
            }
        }
    }
}
