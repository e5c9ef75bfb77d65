//! What a whole message is: a version, a kind, and a body that its kind explains.
//!
//! ```text
//! message  version u8 | kind u8 | body
//! Hello    slot u8 | public key 32 (enrolment and recovery only) | gate 16 | Noise message 48       phone to pump
//! Welcome  Noise message: key 32 | postcard Welcome, encrypted | tag 16                              pump to phone
//! Sealed   counter u32 little-endian | postcard Request or Answer, encrypted | tag 16                both ways
//! Denied   postcard Denied                                                                           pump to phone
//! ```
//!
//! The gate is the first half of an HMAC-SHA-256 over the connection's nonce and the rest of the Hello, under a key of the slot. It is looked
//! at before anything costly is done, so that forging a Hello costs the pump next to nothing, and the nonce makes a recorded one worthless.
//!
//! A Denied is nobody's word: it is not authenticated, and a phone takes it for a hint.
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::VERSION;
use crate::info::Info;
use crate::keys::{CodeKey, ENROLMENT_SLOT, KEY_BYTES, PublicKey, RECOVERY_SLOT};
use crate::noise::{self, FIRST_BYTES};
use crate::roles::Role;
use crate::seal::Sealer;

/// Bytes of the gate.
pub const GATE_BYTES: usize = 16;

/// Bytes in front of a message's body.
pub const HEADER_BYTES: usize = 2;

/// Bytes of a Sealed's counter.
pub const COUNTER_BYTES: usize = 4;

/// The longest Hello, bytes.
pub const HELLO_BYTES: usize = 1 + KEY_BYTES + GATE_BYTES + FIRST_BYTES;

/// The longest encoded [`Welcome`], bytes.
pub const WELCOME_BYTES: usize = 8;

const PROLOGUE_NAME: &[u8; 6] = b"Thecal";
/// Bytes of a prologue.
pub const PROLOGUE_BYTES: usize = 6 + 1 + 8 + 4 + 8;

/// The kinds of message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Kind {
    /// The phone says who it is.
    Hello,
    /// The pump says who it is, and lets the phone in.
    Welcome,
    /// A request or an answer in a session.
    Sealed,
    /// The pump does not let the phone in, or lets it out.
    Denied,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 4] = [Kind::Hello, Kind::Welcome, Kind::Sealed, Kind::Denied];

    /// Its number on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Kind::Hello => 1,
            Kind::Welcome => 2,
            Kind::Sealed => 3,
            Kind::Denied => 4,
        }
    }
}

/// Why a message is not even looked into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unopenable {
    /// It is of a version that this build does not speak; an empty one counts as version 255, which will never exist.
    Version(u8),
    /// It is of no kind that there is.
    Kind,
}

/// The kind of a message, and where its body begins is [`HEADER_BYTES`].
///
/// # Errors
/// [`Unopenable`].
pub fn kind_of(message: &[u8]) -> Result<Kind, Unopenable> {
    match message {
        [] => Err(Unopenable::Version(u8::MAX)),
        [VERSION, kind, ..] => Kind::ALL
            .into_iter()
            .find(|known| known.number() == *kind)
            .ok_or(Unopenable::Kind),
        [VERSION] => Err(Unopenable::Kind),
        [version, ..] => Err(Unopenable::Version(*version)),
    }
}

/// Writes the front of a message and gives what is behind it.
pub(crate) fn begin(kind: Kind, buffer: &mut [u8]) -> Option<&mut [u8]> {
    let (front, body) = buffer.split_first_chunk_mut::<HEADER_BYTES>()?;
    *front = [VERSION, kind.number()];
    Some(body)
}

/// Writes a Sealed to the front of `buffer`: `write` puts the payload where it belongs and returns its length. The length of the message, `None`
/// when it does not fit.
pub(crate) fn seal(
    sealer: &Sealer,
    counter: u32,
    buffer: &mut [u8],
    write: impl FnOnce(&mut [u8]) -> Option<usize>,
) -> Option<usize> {
    let body = begin(Kind::Sealed, buffer)?;
    let (place, rest) = body.split_first_chunk_mut::<COUNTER_BYTES>()?;
    *place = counter.to_le_bytes();
    let length = write(rest)?;
    sealer
        .seal(counter, rest, length)?
        .checked_add(HEADER_BYTES.checked_add(COUNTER_BYTES)?)
}

/// What both sides must agree on before a word is said: who speaks which version with which messages on which connection.
pub(crate) fn prologue(info: &Info) -> [u8; PROLOGUE_BYTES] {
    let mut bytes = [0; PROLOGUE_BYTES];
    let mut left = bytes.as_mut_slice();
    for part in [
        PROLOGUE_NAME.as_slice(),
        &[info.version],
        &info.schema_hash.to_be_bytes(),
        &info.capabilities.to_be_bytes(),
        &info.nonce,
    ] {
        // Always: PROLOGUE_BYTES is the sum of the parts.
        if let Some((front, rest)) = core::mem::take(&mut left).split_at_mut_checked(part.len()) {
            front.copy_from_slice(part);
            left = rest;
        }
    }
    bytes
}

/// A phone's first words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hello {
    /// The slot of its key.
    pub slot: u8,
    /// Its public key, where the slot does not tell it.
    pub public_key: Option<PublicKey>,
    /// The code that opens the gate.
    pub gate: [u8; GATE_BYTES],
    /// The first message of the handshake.
    pub noise: [u8; FIRST_BYTES],
}

impl Hello {
    /// Whether a Hello of this slot bears a public key.
    const fn bears_key(slot: u8) -> bool {
        matches!(slot, ENROLMENT_SLOT | RECOVERY_SLOT)
    }

    /// A Hello whose gate is right. The key is kept only where the slot does not tell it.
    pub(crate) fn new(
        slot: u8,
        public_key: &PublicKey,
        gate: &CodeKey,
        nonce: &[u8; 8],
        noise: [u8; FIRST_BYTES],
    ) -> Hello {
        let mut hello = Hello {
            slot,
            public_key: Hello::bears_key(slot).then_some(*public_key),
            gate: [0; GATE_BYTES],
            noise,
        };
        hello.gate = hello.code(gate, nonce);
        hello
    }

    /// Reads the body of a Hello.
    pub fn from_bytes(body: &[u8]) -> Option<Hello> {
        let (slot, rest) = body.split_first()?;
        let (public_key, rest) = if Hello::bears_key(*slot) {
            let (key, rest) = rest.split_first_chunk()?;
            (Some(PublicKey(*key)), rest)
        } else {
            (None, rest)
        };
        let (gate, rest) = rest.split_first_chunk()?;
        Some(Hello {
            slot: *slot,
            public_key,
            gate: *gate,
            noise: rest.try_into().ok()?,
        })
    }

    /// Writes the body of a Hello and gives its length.
    pub(crate) fn write(&self, buffer: &mut [u8]) -> Option<usize> {
        let key: &[u8] = self.public_key.as_ref().map_or(&[], |key| &key.0);
        let mut length = 0_usize;
        let mut left = buffer;
        for part in [&[self.slot], key, &self.gate, &self.noise] {
            let (front, rest) = left.split_at_mut_checked(part.len())?;
            front.copy_from_slice(part);
            left = rest;
            length = length.checked_add(part.len())?;
        }
        Some(length)
    }

    fn code(&self, gate: &CodeKey, nonce: &[u8; 8]) -> [u8; GATE_BYTES] {
        let key: &[u8] = self.public_key.as_ref().map_or(&[], |key| &key.0);
        let whole = gate.code(&[nonce, &[self.slot], key, &self.noise]);
        let mut cut = [0; GATE_BYTES];
        if let Some(front) = whole.first_chunk() {
            cut = *front;
        }
        cut
    }

    /// Whether the gate opens: whoever wrote this Hello knows the slot's secret and has read this connection's nonce.
    pub(crate) fn passes(&self, gate: &CodeKey, nonce: &[u8; 8]) -> bool {
        noise::equal(&self.code(gate, nonce), &self.gate)
    }
}

/// What the pump tells a phone that it lets in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Welcome {
    /// In which role it speaks.
    pub role: Role,
    /// The number of its last command, on whatever connection: the next one is above it.
    pub last_number: u32,
}

/// Why the pump does not open, or no longer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum Denied {
    /// The pump speaks another version.
    UnknownVersion {
        /// The version of the message.
        version: u8,
        /// The version the pump speaks.
        known: u8,
    },
    /// Not a message of this protocol.
    Malformed,
    /// No such key, or not its holder. The pump does not say which.
    NotAdmitted,
    /// That key opens only while a magnet has just been held over the pump.
    NotArmed,
    /// There has been a handshake on this connection already.
    ConnectionUsed,
    /// There is no session, or not any more.
    NoSession,
    /// The message was not sealed by this session's phone, or was changed on the way. The session is over.
    NotSealed,
    /// A message with this counter, or a later one, has been here. Not done now; perhaps done then. The session goes on.
    Repeated {
        /// The highest counter of this session.
        last: u32,
    },
}

impl fmt::Display for Denied {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Denied::UnknownVersion { version, known } => write!(
                out,
                "the pump speaks protocol version {known}, not {version}; use a programmer of the same version"
            ),
            Denied::Malformed => out.write_str("the pump did not understand the message"),
            Denied::NotAdmitted => out.write_str(
                "the pump does not know this key; it may have been revoked, or belong to another pump",
            ),
            Denied::NotArmed => {
                out.write_str("hold the magnet over the pump for 3 s, then connect within 5 min")
            }
            Denied::ConnectionUsed => {
                out.write_str("this connection has been used for a handshake; connect again")
            }
            Denied::NoSession => out.write_str("the session is over; connect again"),
            Denied::NotSealed => {
                out.write_str("a message was changed on the way, and the pump has ended the session")
            }
            Denied::Repeated { last } => write!(
                out,
                "the pump has had a message with this number before (the last was {last})"
            ),
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests may panic"
)]
mod tests {
    use super::*;
    use crate::keys::{Secret, gate_key};

    const NONCE: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

    fn hello(slot: u8) -> Hello {
        let gate = gate_key(&Secret::new([9; 32]));
        Hello::new(slot, &PublicKey([5; 32]), &gate, &NONCE, [7; FIRST_BYTES])
    }

    #[test]
    fn only_our_version_and_kinds_are_opened() {
        for version in 0..=u8::MAX {
            for kind in 0..=u8::MAX {
                let found = kind_of(&[version, kind, 0]);
                match (version, kind) {
                    (VERSION, 1..=4) => assert_eq!(found.map(Kind::number), Ok(kind)),
                    (VERSION, _) => assert_eq!(found, Err(Unopenable::Kind)),
                    _ => assert_eq!(found, Err(Unopenable::Version(version))),
                }
            }
        }
        assert_eq!(kind_of(&[]), Err(Unopenable::Version(u8::MAX)));
        assert_eq!(kind_of(&[VERSION]), Err(Unopenable::Kind));
    }

    #[test]
    fn a_hello_comes_back_as_it_went_and_only_whole() {
        for slot in [0, 7, RECOVERY_SLOT, ENROLMENT_SLOT] {
            let hello = hello(slot);
            let mut buffer = [0; HELLO_BYTES];
            let length = hello.write(&mut buffer).unwrap();
            assert_eq!(length, if slot < 8 { 65 } else { 97 });
            assert_eq!(Hello::from_bytes(&buffer[..length]), Some(hello));
            assert_eq!(Hello::from_bytes(&buffer[..length - 1]), None);
            let mut longer = buffer.to_vec();
            longer.resize(length + 1, 0);
            assert_eq!(Hello::from_bytes(&longer), None);
            assert_eq!(hello.write(&mut buffer[..length - 1]), None);
        }
        assert_eq!(Hello::from_bytes(&[]), None);
    }

    #[test]
    fn the_gate_opens_for_the_secret_the_nonce_and_every_byte() {
        let gate = gate_key(&Secret::new([9; 32]));
        for slot in [0, ENROLMENT_SLOT] {
            let hello = hello(slot);
            assert!(hello.passes(&gate, &NONCE));
            assert!(!hello.passes(&gate_key(&Secret::new([8; 32])), &NONCE));
            assert!(!hello.passes(&gate, &[0; 8]), "a recorded one");
            let mut buffer = [0; HELLO_BYTES];
            let length = hello.write(&mut buffer).unwrap();
            for bit in 8..length * 8 {
                let mut flipped = buffer;
                flipped[bit / 8] ^= 1 << (bit % 8);
                let read = Hello::from_bytes(&flipped[..length]).unwrap();
                assert!(!read.passes(&gate, &NONCE), "bit {bit}");
            }
            let other = Hello { slot: 1, ..hello };
            assert!(!other.passes(&gate, &NONCE), "another slot");
        }
    }

    #[test]
    fn a_prologue_has_every_part() {
        let info = Info {
            version: 1,
            schema_hash: 0x0203_0405_0607_0809,
            capabilities: 0x0a0b_0c0d,
            nonce: [14, 15, 16, 17, 18, 19, 20, 21],
            lifecycle: crate::Lifecycle::Factory,
            armed: false,
        };
        let mut expected = b"Thecal".to_vec();
        expected.extend(1..=0x0d);
        expected.extend(14..=21);
        assert_eq!(prologue(&info).as_slice(), expected);
    }
}
