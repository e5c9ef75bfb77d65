//! Event log and state on flash that survive a power cut at any instant.
//!
//! A [`Journal`] owns four partitions of one NOR flash behind the [`Flash`] port:
//!
//! | partition | holds | when it is full |
//! |---|---|---|
//! | `journal` | events, oldest to newest ([`Journal::append`], [`Journal::read`]) | the page with the oldest events is erased |
//! | its last pages ([`critical_pages`]) | the critical events once more ([`Journal::append_critical`]) | the page with the oldest of these is erased |
//! | `critical` | checkpoints of the delivered totals ([`Journal::checkpoint`]) | the page with the oldest checkpoints is erased |
//! | `state_a`, `state_b` | the newest value of each kind, twice ([`Journal::put`], [`Journal::get`]) | superseded values are dropped |
//!
//! Everything that is kept is an [`Envelope`]: what kind of record in which version, when, and bytes that only the owner of the
//! kind understands. The pages are written by [`sequential_storage`]; what this crate adds is said in the modules
//! `ring` (sequence numbers, repair without losing evidence), `chain` (what shows a removed, changed or reordered record) and
//! `state` (two banks, the index, which copy counts). docs/journal.md has the formats.
//!
//! # What holds after a power cut at any write or erase
//!
//! - Every event, checkpoint and value whose call returned `Ok` is there, in order, and no value is older than acknowledged.
//! - The one that was being written is wholly there or wholly absent.
//! - [`Journal::open`] repairs what the cut left, and may itself be cut.
//!
//! A damaged record is never returned: it is repaired from its second copy, or missing from the log, or reported as
//! [`JournalError::StateLost`]. Nothing is guessed, and no readable record is erased to repair another.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "virtual-flash"))]
extern crate std;

mod area;
mod bank;
mod chain;
mod envelope;
mod error;
mod flash;
mod frame;
mod index;
mod journal;
mod opening;
mod port;
mod record;
mod ring;
mod scan;
mod state;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "virtual-flash"))]
mod virtual_flash;
mod wire;

pub use chain::{
    ANCHOR_EVERY, ChainState, Finding, Head, KEY_BYTES, Log, Position, STATE_BYTES, Verifier,
};
pub use envelope::{BODY_BYTES, ENVELOPE_BYTES, Envelope, EnvelopeError, Kind, Stamp};
pub use error::JournalError;
pub use flash::{Flash, FlashError, PAGE, Partition, WORD};
pub use frame::FRAME_BYTES as RECORD_BYTES;
pub use index::KINDS;
pub use journal::{Journal, Part, critical_pages};
pub use opening::{Opening, Repairs, RingCondition, StateCondition};
pub use record::{Link, Record};
#[cfg(any(test, feature = "virtual-flash"))]
pub use virtual_flash::{ImageError, PageWear, Tear, Timing, VirtualFlash, WordState, Worn};
