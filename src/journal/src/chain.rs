//! The chain that ties each record of a log to all before it.
//!
//! With `frame` the bytes of a record as they are stored, and `||` for one after another:
//!
//! ```text
//! h(n)     = SHA-256(frame(n))
//! state(n) = first 16 bytes of SHA-256(state(n-1) || h(n));   state(-1) = 16 zeros
//! link(n)  = first 2 bytes of h(n-1);                         link(0)  = 2 zeros
//! ```
//!
//! Every record carries `link`. Some also carry `state(n-1)`, their *anchor*: what ties them to all records before, and where the pump after a
//! reset and a reader begin whose log has lost its oldest page. The two do different work:
//!
//! - `link` says between which two neighbours something was removed, changed or exchanged, and needs no other record for that, so that
//!   what follows a damaged record is still tied together. Two bytes are no defence against somebody who reckons.
//! - The anchor, and the signed [`Head`], are: to change a record that they cover, another input with the same 128 bits would be needed.
//!
//! A record whose anchor is 16 zeros, other than number 0, begins the chain anew: the pump could not read what stood before it. That is
//! a break, and is said ([`Finding::BeginsAnew`]).
//!
//! # Where anchors are
//!
//! A record bears one if since the last one 3,000 bytes of flash have been written or 128 records, or if after a reset there is none on the
//! page in use. So every page that was filled has one, whatever its records' lengths, and of two pages one is enough to go on with: a power
//! cut never ends a chain. No reader needs to know this rule.
//!
//! Sixteen bytes in every record instead of two would leave room for a third fewer events. An anchor on every 64th, which costs as much
//! as this, would leave pages of long records without one, and the nRF52840 with room for 9,969 short events at the least
//! (`tests::measure`).

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::record::{Link, Record};

/// Length of the chain's state, bytes.
pub const STATE_BYTES: usize = 16;
/// Length of the key that signs heads, bytes.
pub const KEY_BYTES: usize = 32;
/// From one anchor to the next there are at most so many records.
pub const ANCHOR_EVERY: u32 = 128;
/// After so many bytes of flash the next record bears an anchor. A page holds 4,088 bytes; it is left when the next record does not fit, and
/// the last one on it can be as long. Log records of up to 480 bytes (the pump's have 96 at most) therefore begin in every page this far
/// behind one on the page before.
const ANCHOR_BYTES_APART: usize = 3_000;

/// What ties a head's signature to its purpose.
const HEAD_DOMAIN: &[u8] = b"thecal log head 1";

/// The chain's state behind some record.
pub type ChainState = [u8; STATE_BYTES];

/// The state before the first record.
pub(crate) const BEGINNING: ChainState = [0; STATE_BYTES];

/// One of the two logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Log {
    /// Every event, the newest some ten thousand.
    Events,
    /// The critical events once more, in pages that no other event can take.
    Critical,
}

impl Log {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Events, Self::Critical];

    /// Its number wherever one is written down.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Events => 0,
            Self::Critical => 1,
        }
    }

    /// The log of a number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Events),
            1 => Some(Self::Critical),
            2.. => None,
        }
    }

    /// Its name in texts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Critical => "critical",
        }
    }
}

impl core::fmt::Display for Log {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.name())
    }
}

/// Where the chain stands behind the newest record, so that the next can be tied to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Number of the newest record.
    pub sequence: u32,
    /// The first two bytes of its hash.
    pub link: [u8; 2],
    /// The chain's state behind it; none when something before it is missing and no anchor has followed yet.
    pub state: Option<ChainState>,
}

impl Position {
    /// Behind `record`, which follows `before` if that is told.
    pub(crate) fn behind(before: Option<Self>, record: &Record<'_>) -> Self {
        let hash = Sha256::digest(record.bytes);
        let follows =
            before.filter(|before| before.sequence.checked_add(1) == Some(record.sequence));
        let state_before = match record.link {
            Link::Anchor { state, .. } => Some(state),
            Link::After(_) | Link::Missing => match follows {
                Some(before) => before.state,
                None if record.sequence == 0 => Some(BEGINNING),
                None => None,
            },
        };
        Self {
            sequence: record.sequence,
            link: first_bytes(&hash),
            state: state_before.map(|state| extend(&state, &hash)),
        }
    }

    /// What the record behind this position carries; behind nothing known, the beginning of a chain.
    pub(crate) fn next_link(before: Option<Self>, anchored: bool) -> Link {
        let link = before.map_or([0; 2], |before| before.link);
        match before.and_then(|before| before.state) {
            Some(_) if !anchored => Link::After(link),
            state => Link::Anchor {
                link,
                state: state.unwrap_or(BEGINNING),
            },
        }
    }
}

/// How far back the last anchor is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnchorDistance {
    /// Records behind it, itself among them; 0 if it is not known.
    records: u32,
    /// Bytes of flash that these take up.
    bytes: usize,
}

impl AnchorDistance {
    pub(crate) const UNKNOWN: Self = Self {
        records: 0,
        bytes: 0,
    };

    /// Takes another record, in so many bytes of flash.
    pub(crate) fn take(&mut self, link: &Link, bytes: usize) {
        match link {
            Link::Anchor { .. } => *self = Self { records: 1, bytes },
            Link::After(_) | Link::Missing if self.records > 0 => {
                self.records = self.records.saturating_add(1);
                self.bytes = self.bytes.saturating_add(bytes);
            }
            Link::After(_) | Link::Missing => {}
        }
    }

    /// Whether the next record bears an anchor.
    pub(crate) const fn is_due(self) -> bool {
        self.records == 0 || self.records >= ANCHOR_EVERY || self.bytes >= ANCHOR_BYTES_APART
    }
}

/// Something that is not as the pump wrote it. Numbers are those of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// These records, the first and the last of them included, are not there.
    Missing {
        /// The first.
        from: u32,
        /// The last.
        to: u32,
    },
    /// This record stands behind one with the same or a higher number, and was not looked at further.
    OutOfOrder {
        /// Its number.
        sequence: u32,
        /// The number before it.
        after: u32,
    },
    /// This record does not follow the one before it: one of the two is not the one that was written there.
    NotFollowing {
        /// Its number.
        sequence: u32,
    },
    /// The records from one anchor to the next are not all those that were written, though each follows the other.
    AnchorMismatch {
        /// The first that can be affected.
        from: u32,
        /// The record whose anchor says so.
        sequence: u32,
    },
    /// The pump could not read the record before this one and began the chain anew.
    BeginsAnew {
        /// The first record of the new chain.
        sequence: u32,
    },
    /// This record bears no link. None that this firmware or a later one writes is without.
    Unlinked {
        /// Its number.
        sequence: u32,
    },
}

impl core::fmt::Display for Finding {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Missing { from, to } if from == to => write!(f, "record {from} is missing"),
            Self::Missing { from, to } => write!(f, "records {from} to {to} are missing"),
            Self::OutOfOrder { sequence, after } => {
                write!(f, "record {sequence} stands behind record {after}")
            }
            Self::NotFollowing { sequence } => write!(
                f,
                "record {sequence} does not follow the one before it: one of the two was changed or exchanged"
            ),
            Self::AnchorMismatch { from, sequence } => write!(
                f,
                "record {sequence} does not confirm records {from} to {}: one of them was changed or exchanged",
                sequence.saturating_sub(1)
            ),
            Self::BeginsAnew { sequence } => write!(
                f,
                "the chain begins anew at record {sequence}: the pump could not read what stood before it"
            ),
            Self::Unlinked { sequence } => {
                write!(f, "record {sequence} is not tied to the one before it")
            }
        }
    }
}

/// Checks the records of a log one after another, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Verifier {
    position: Option<Position>,
    /// Since which record the state has been followed from an anchor without a doubt.
    since: u32,
}

impl Verifier {
    /// For a log of which nothing is known: its first record is taken as it is.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For what follows records that were checked before: the first must be the next.
    #[must_use]
    pub fn behind(position: Position) -> Self {
        Self {
            since: position.sequence.saturating_add(1),
            position: Some(position),
        }
    }

    /// Takes the next record; `found` is told whatever is wrong with it.
    pub fn take(&mut self, record: &Record<'_>, mut found: impl FnMut(Finding)) {
        let sequence = record.sequence;
        let mut follows = None;
        if let Some(before) = self.position {
            if sequence <= before.sequence {
                return found(Finding::OutOfOrder {
                    sequence,
                    after: before.sequence,
                });
            }
            let expected = before.sequence.saturating_add(1);
            if sequence > expected {
                found(Finding::Missing {
                    from: expected,
                    to: sequence.saturating_sub(1),
                });
            } else {
                follows = Some(before);
            }
        }
        match record.link {
            Link::Missing => found(Finding::Unlinked { sequence }),
            Link::Anchor { state, .. } if state == BEGINNING && sequence != 0 => {
                found(Finding::BeginsAnew { sequence });
            }
            Link::After(link) | Link::Anchor { link, .. } => {
                if follows.is_some_and(|before| before.link != link) {
                    found(Finding::NotFollowing { sequence });
                }
                if let Link::Anchor { state, .. } = record.link
                    && let Some(known) = follows.and_then(|before| before.state)
                    && known != state
                {
                    found(Finding::AnchorMismatch {
                        from: self.since,
                        sequence,
                    });
                }
            }
        }
        if follows.is_none() || matches!(record.link, Link::Anchor { .. }) {
            self.since = sequence;
        }
        self.position = Some(Position::behind(follows, record));
    }

    /// Where the chain stands behind the last record taken.
    #[must_use]
    pub const fn position(&self) -> Option<Position> {
        self.position
    }
}

/// The end of a log, signed with a key that only the pump and whoever set it up have: that this pump had written exactly these records.
///
/// The signature is HMAC-SHA-256, shortened to 16 bytes. A signature that anybody could check would take some 20 KB of flash that
/// the image does not have, and over an authenticated session it would say nothing that the session does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which log.
    pub log: Log,
    /// Number of the newest record.
    pub sequence: u32,
    /// The chain's state behind it.
    pub state: ChainState,
    /// The boot in which the head was signed.
    pub boot: u32,
    /// The signature.
    pub signature: [u8; 16],
}

impl Head {
    pub(crate) fn sign(
        key: &[u8; KEY_BYTES],
        log: Log,
        sequence: u32,
        state: ChainState,
        boot: u32,
    ) -> Self {
        let mut head = Self {
            log,
            sequence,
            state,
            boot,
            signature: [0; 16],
        };
        head.signature = first_bytes(&head.code(key).finalize().into_bytes());
        head
    }

    /// Whether this head was signed with this key.
    #[must_use]
    pub fn is_signed_with(&self, key: &[u8; KEY_BYTES]) -> bool {
        self.code(key)
            .verify_truncated_left(&self.signature)
            .is_ok()
    }

    fn code(&self, key: &[u8; KEY_BYTES]) -> Hmac<Sha256> {
        // HMAC pads a key to a block with zeros (RFC 2104); done here, a length that does not suit cannot occur.
        let mut block = [0; 64];
        let (start, _) = block.split_at_mut(KEY_BYTES);
        start.copy_from_slice(key);
        Hmac::<Sha256>::new(&block.into())
            .chain_update(HEAD_DOMAIN)
            .chain_update([self.log.number()])
            .chain_update(self.sequence.to_le_bytes())
            .chain_update(self.state)
            .chain_update(self.boot.to_le_bytes())
    }
}

fn extend(state: &ChainState, hash: &[u8]) -> ChainState {
    first_bytes(
        &Sha256::new()
            .chain_update(state)
            .chain_update(hash)
            .finalize(),
    )
}

/// The first bytes of a longer array; zeros if it were not longer.
fn first_bytes<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}
