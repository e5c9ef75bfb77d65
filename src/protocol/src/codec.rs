//! Canonical postcard: one value, one encoding, nothing left over.
//!
//! Plain postcard reads some bytes that it would never write (a varint padded with zeros). Two encodings of one value would
//! make a digest, a recorded vector or a comparison of bytes lie, so a message that does not encode back to exactly the
//! bytes it came from is refused.
use core::fmt;

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

/// Why bytes are not a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum Malformed {
    /// The bytes end early or hold a value that does not exist.
    Undecodable,
    /// There are bytes after the end of the message.
    TrailingBytes,
    /// The message is not encoded in the one canonical way.
    NotCanonical,
    /// The command's number is not known in this version.
    UnknownCommand {
        /// The number received, counted from 0 in the order of [`crate::CommandKind::ALL`].
        number: u32,
    },
    /// The request does not bear the counter with which it was sealed.
    Identifier,
    /// A command number where nothing is changed, so that nothing is to be remembered.
    Numbered,
}

impl fmt::Display for Malformed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Undecodable => {
                out.write_str("it ends early or holds a value that does not exist in this version")
            }
            Malformed::TrailingBytes => out.write_str("there are bytes after its end"),
            Malformed::NotCanonical => out.write_str("it is not encoded in the canonical way"),
            Malformed::UnknownCommand { number } => write!(
                out,
                "command number {number} does not exist in this version"
            ),
            Malformed::Identifier => {
                out.write_str("its request number is not the one with which it was sealed")
            }
            Malformed::Numbered => {
                out.write_str("it has a command number, and changes nothing that needs one")
            }
        }
    }
}

impl core::error::Error for Malformed {}

/// Reads one value from all of `bytes`.
///
/// # Errors
/// [`Malformed`] for anything that [`encode`] would not have written. Never panics.
pub fn decode<'a, T: Deserialize<'a> + Serialize>(bytes: &'a [u8]) -> Result<T, Malformed> {
    let mut reader = postcard::Deserializer::from_bytes(bytes);
    let read = T::deserialize(&mut reader);
    // Looked at where it is: a large message must not be on the stack more often than need be.
    let Ok(value) = &read else {
        return Err(Malformed::Undecodable);
    };
    if !reader.finalize().is_ok_and(<[u8]>::is_empty) {
        return Err(Malformed::TrailingBytes);
    }
    match postcard::serialize_with_flavor(value, Compare { left: bytes }) {
        Ok(true) => read.map_err(|_| Malformed::Undecodable),
        Ok(false) | Err(_) => Err(Malformed::NotCanonical),
    }
}

/// Writes `value` to the front of `buffer`; `None` when it does not fit.
pub fn encode<'b, T: Serialize>(value: &T, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    postcard::to_slice(value, buffer)
        .ok()
        .map(|written| &*written)
}

/// Hands the encoding of `value` to `sink`, piece by piece, without a buffer.
pub(crate) fn feed<T: Serialize>(value: &T, sink: &mut dyn FnMut(&[u8])) {
    let fed = postcard::serialize_with_flavor(value, Sink { sink: &mut *sink });
    // Cannot happen: this flavour accepts everything and our types have nothing that postcard cannot write. If it ever did,
    // the mark keeps what was fed so far from standing for a whole value.
    if fed.is_err() {
        sink(b"not encodable");
    }
}

/// The number of the command in a request that cannot be read as a whole, as far as it can be told.
pub(crate) fn salvage_command(bytes: &[u8]) -> Option<u32> {
    let read = postcard::take_from_bytes::<(u32, u32, u32)>(bytes);
    read.ok().map(|((_, _, command), _)| command)
}

/// A flavour that compares what is written with what is expected; its output is whether they were equal.
struct Compare<'a> {
    left: &'a [u8],
}

impl Flavor for Compare<'_> {
    type Output = bool;

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.left = self
            .left
            .strip_prefix(data)
            .ok_or(postcard::Error::SerializeBufferFull)?;
        Ok(())
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.try_extend(&[data])
    }

    fn finalize(self) -> postcard::Result<bool> {
        Ok(self.left.is_empty())
    }
}

struct Sink<'s> {
    sink: &'s mut dyn FnMut(&[u8]),
}

impl Flavor for Sink<'_> {
    type Output = ();

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        (self.sink)(data);
        Ok(())
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.try_extend(&[data])
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use units::{Drug, Per};

    use super::*;
    use crate::samples::{commands, continuous, outcomes};
    use crate::{Answer, Command, CommandKind, Component, Outcome, Program, Request};

    fn stage() -> Request {
        let primary = Component {
            drug: Drug::Morphine,
            concentration_ng_per_ml: 300,
        };
        Request {
            id: 1,
            number: 0,
            command: Command::Stage(Program::new(primary, continuous(5, Per::Hour))),
        }
    }

    /// id 1, no command number, stage, morphine, 300, alone, simple continuous, 5 ng an hour, and no to the five options.
    const STAGE: [u8; 15] = [1, 0, 1, 0, 0xac, 0x02, 0, 2, 5, 0, 0, 0, 0, 0, 0];

    #[test]
    fn a_message_has_exactly_the_published_bytes() {
        let mut buffer = [0; 64];
        assert_eq!(encode(&stage(), &mut buffer).unwrap(), STAGE);
        assert_eq!(decode::<Request>(&STAGE), Ok(stage()));
    }

    #[test]
    fn padded_numbers_are_not_canonical() {
        let padded = [1, 0, 1, 0, 0xac, 0x82, 0x00, 0, 2, 5, 0, 0, 0, 0, 0, 0];
        assert!(
            postcard::from_bytes::<Request>(&padded).is_ok(),
            "postcard alone would take it"
        );
        assert_eq!(decode::<Request>(&padded), Err(Malformed::NotCanonical));
        assert_eq!(
            decode::<Request>(&[0x81, 0x00, 0, 0]),
            Err(Malformed::NotCanonical)
        );
    }

    #[test]
    fn bytes_too_few_or_too_many_are_refused() {
        for length in 0..STAGE.len() {
            assert_eq!(
                decode::<Request>(&STAGE[..length]),
                Err(Malformed::Undecodable),
                "{length}"
            );
        }
        let mut longer = STAGE.to_vec();
        longer.push(0);
        assert_eq!(decode::<Request>(&longer), Err(Malformed::TrailingBytes));
    }

    #[test]
    fn values_that_do_not_exist_are_refused() {
        for (place, value) in [(2, 35), (2, 0x7f), (3, 8), (6, 4), (7, 6), (9, 2), (10, 2)] {
            let mut bytes = STAGE;
            bytes[place] = value;
            assert_eq!(
                decode::<Request>(&bytes),
                Err(Malformed::Undecodable),
                "byte {place} = {value}"
            );
        }
        assert_eq!(decode::<Answer>(&[1, 19]), Err(Malformed::Undecodable));
    }

    #[test]
    fn encode_into_too_small_a_buffer_is_none() {
        assert_eq!(encode(&stage(), &mut [0; 14]), None);
        assert!(encode(&stage(), &mut [0; 15]).is_some());
    }

    #[test]
    fn the_command_is_salvaged_from_the_front() {
        assert_eq!(salvage_command(&[]), None);
        assert_eq!(salvage_command(&[5]), None);
        assert_eq!(salvage_command(&[5, 0]), None);
        assert_eq!(salvage_command(&[0xac, 0x02, 7, 99, 1, 2, 3]), Some(99));
    }

    #[test]
    fn kinds_are_in_wire_order() {
        assert_eq!(commands().len(), CommandKind::ALL.len());
        let mut buffer = [0; 128];
        for (number, (command, kind)) in commands().iter().zip(CommandKind::ALL).enumerate() {
            let wire = encode(command, &mut buffer).unwrap();
            assert_eq!(usize::from(wire[0]), number);
            assert_eq!(command.kind(), *kind);
        }
    }

    #[test]
    fn outcomes_are_in_wire_order() {
        let mut buffer = [0; 256];
        for (number, outcome) in outcomes().iter().enumerate() {
            let wire = encode(outcome, &mut buffer).unwrap();
            assert_eq!(usize::from(wire[0]), number);
        }
        assert_eq!(outcomes().len(), 19, "one of every outcome");
        for refused in crate::samples::refusals() {
            let short = encode(&(9_u32, Outcome::REFUSED, refused), &mut buffer).unwrap();
            let answer = Answer {
                id: 9,
                outcome: Outcome::Refused(refused),
            };
            assert_eq!(decode(short), Ok(answer));
        }
    }
}
