//! A record of a log as it is stored: what links it to its neighbour, its number, its envelope, and the bytes they were read from.

use crate::chain::{ChainState, STATE_BYTES};
use crate::envelope::Envelope;
use crate::frame::Frame;

/// Length of the link to the record before, bytes.
const LINK_BYTES: usize = 2;
/// Length of a link with an anchor, bytes.
pub(crate) const ANCHOR_BYTES: usize = LINK_BYTES.saturating_add(STATE_BYTES);

/// What ties a record to those before it ([`crate::Verifier`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Nothing: a checkpoint, a value of state, or not written by this firmware.
    Missing,
    /// To the record before.
    After([u8; 2]),
    /// To the record before, and to all before that.
    Anchor {
        /// The first two bytes of the hash of the record before.
        link: [u8; 2],
        /// The chain's state behind the record before.
        state: ChainState,
    },
}

impl Link {
    /// Writes it; the part of the buffer used.
    pub(crate) fn encode<'b>(&self, buffer: &'b mut [u8; ANCHOR_BYTES]) -> &'b [u8] {
        let (first, rest) = buffer.split_at_mut(LINK_BYTES);
        let used = match self {
            Self::Missing => 0,
            Self::After(link) => {
                first.copy_from_slice(link);
                LINK_BYTES
            }
            Self::Anchor { link, state } => {
                first.copy_from_slice(link);
                rest.copy_from_slice(state);
                ANCHOR_BYTES
            }
        };
        buffer.get(..used).unwrap_or_default()
    }

    /// Reads the front of an extension; what a later version puts behind it is stepped over.
    pub(crate) fn decode(extension: &[u8]) -> Self {
        match extension.split_first_chunk() {
            None => Self::Missing,
            Some((link, rest)) => match rest.first_chunk() {
                None => Self::After(*link),
                Some(state) => Self::Anchor {
                    link: *link,
                    state: *state,
                },
            },
        }
    }
}

/// A record of a ring with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Counts the records of the ring over the pump's life, without gaps. A missing number is a damaged record or, at the front,
    /// one that was overwritten.
    pub sequence: u32,
    /// What ties it to the record before.
    pub link: Link,
    /// The record.
    pub envelope: Envelope<'a>,
    /// The bytes it was read from, which its hash is made of.
    pub bytes: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads a record from the bytes it is stored as ([`Record::bytes`]); `None` for anything else.
    #[must_use]
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let frame = Frame::decode(bytes)?;
        Some(Self {
            sequence: frame.sequence,
            link: frame.link,
            envelope: frame.envelope,
            bytes,
        })
    }
}
