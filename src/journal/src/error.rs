//! What can go wrong in a call to the journal.

use core::fmt;

use crate::envelope::{BODY_BYTES, Kind};
use crate::flash::{FlashError, Partition};
use crate::index::KINDS;

/// Why a call was not done. Each method says what still holds then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalError {
    /// A partition is not a multiple of 4096 bytes of at least two pages, or four for the `journal` partition.
    UnsupportedSize {
        /// Which one.
        partition: Partition,
        /// Its size in bytes.
        size: u32,
    },
    /// The flash failed.
    Flash {
        /// In which partition.
        partition: Partition,
        /// How.
        error: FlashError,
    },
    /// The pages cannot be used as they are and could not be repaired.
    Damaged {
        /// Which partition.
        partition: Partition,
    },
    /// The flash failed during a call and does not say whether the record or value was kept: it cannot be read, or a whole value was left
    /// without its index. For a value the next [`crate::Journal::get`] shows it, and what that says stays; otherwise the next
    /// [`crate::Journal::open`].
    Undecided,
    /// A value of this kind was acknowledged, or may have been, and no good copy of it is left.
    StateLost {
        /// Which kind.
        kind: Kind,
    },
    /// All values together would not fit into a bank. Nothing was changed.
    StateFull,
    /// More than [`KINDS`] different kinds of state. Nothing was changed.
    TooManyKinds,
    /// [`Kind::INDEX`] and [`Kind::KEY`] belong to the journal.
    ReservedKind,
    /// The body is longer than [`BODY_BYTES`].
    BodyTooLong,
    /// The caller's buffer is shorter than the body.
    BufferTooSmall {
        /// Length of the body in bytes.
        needed: usize,
    },
    /// 2^32 records have been written, or a record claims so.
    SequenceExhausted,
}

impl JournalError {
    pub(crate) const fn flash(partition: Partition, error: FlashError) -> Self {
        Self::Flash { partition, error }
    }

    /// Sorts a library error: the flash's own, or pages that cannot be used.
    pub(crate) fn library(
        partition: Partition,
        error: &sequential_storage::Error<FlashError>,
    ) -> Self {
        match error {
            sequential_storage::Error::Storage { value, .. } => Self::flash(partition, *value),
            // The enumeration is the library's and may grow. None of the others is possible with the lengths used here unless the
            // pages are damaged.
            _ => Self::Damaged { partition },
        }
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnsupportedSize { partition, size } => write!(
                f,
                "partition {partition} has {size} bytes; a multiple of 4096 and at least {} is needed",
                if *partition == Partition::Journal {
                    16384
                } else {
                    8192
                }
            ),
            Self::Flash { partition, error } => write!(f, "partition {partition}: {error}"),
            Self::Damaged { partition } => {
                write!(f, "partition {partition}: damaged beyond repair")
            }
            Self::Undecided => {
                f.write_str("the flash failed and does not say whether the value was kept")
            }
            Self::StateLost { kind } => {
                write!(f, "no good copy left of the state of kind {}", kind.0)
            }
            Self::StateFull => f.write_str("the state banks are full"),
            Self::TooManyKinds => write!(f, "more than {KINDS} kinds of state"),
            Self::ReservedKind => {
                write!(
                    f,
                    "kinds {} and {} belong to the journal",
                    Kind::KEY.0,
                    Kind::INDEX.0
                )
            }
            Self::BodyTooLong => write!(f, "record body longer than {BODY_BYTES} bytes"),
            Self::BufferTooSmall { needed } => {
                write!(f, "buffer too small: the body has {needed} bytes")
            }
            Self::SequenceExhausted => f.write_str("no sequence number left"),
        }
    }
}

impl core::error::Error for JournalError {}
