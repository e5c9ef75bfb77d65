//! What the pump keeps: the body of every record that goes to flash.
//!
//! The journal stores `(kind, version, bytes)` in its envelope and knows nothing of the inside. A kind's number is never
//! used again for something else; a body that changes gets a new version, and old versions stay readable.

use crate::event::{OrderRefusal, ResetCause};
use crate::totals::TotalsRecord;
use protocol::Program;
use serde::{Deserialize, Serialize};

/// Largest encoded body of any record, bytes.
pub const RECORD_BYTES: usize = 128;

/// The number of each kind of record. Fixed for ever.
pub mod kind {
    use journal::Kind;

    /// The processor started.
    pub const BOOT: Kind = Kind(1);
    /// A program took effect.
    pub const PROGRAM_COMMITTED: Kind = Kind(2);
    /// A commit was certainly not done.
    pub const COMMIT_NOT_DONE: Kind = Kind(3);
    /// Steps that were prescribed and could not be ordered in time; never caught up.
    pub const DEFICIT: Kind = Kind(4);
    /// The motor driver refused an order.
    pub const ORDER_REFUSED: Kind = Kind(5);
    /// The motor driver reported a fault.
    pub const MOTOR_FAULT: Kind = Kind(6);
    /// State: the committed program. Kept in both state banks.
    pub const PROGRAM: Kind = Kind(16);
    /// State: delivered totals. Kept in the checkpoint ring.
    pub const TOTALS: Kind = Kind(17);
}

/// The reservoir as it was last filled, tied to the delivered total of that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillRecord {
    /// Deliverable volume after the fill, femtolitres.
    pub volume_fl: u64,
    /// The pump's `at_most` total at the fill, steps.
    pub at_most_steps: u64,
}

/// The committed program with all that must change in one piece with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProgramRecord {
    /// Counts commits over the pump's life; 0 before the first.
    pub number: u32,
    /// The program in its wire form; none before the first commit.
    pub program: Option<Program>,
    /// The last refill; none while the reservoir's content is unknown.
    pub fill: Option<FillRecord>,
}

/// One record, typed.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// See [`kind::BOOT`].
    Boot {
        /// Why the processor started.
        cause: ResetCause,
    },
    /// See [`kind::PROGRAM_COMMITTED`].
    ProgramCommitted(ProgramRecord),
    /// See [`kind::COMMIT_NOT_DONE`].
    CommitNotDone {
        /// The program number that the commit would have made.
        number: u32,
    },
    /// See [`kind::DEFICIT`].
    Deficit {
        /// Steps missed since the last such record.
        steps: u64,
    },
    /// See [`kind::ORDER_REFUSED`].
    OrderRefused {
        /// The order's identifier.
        order: u32,
        /// Why.
        refusal: OrderRefusal,
    },
    /// See [`kind::MOTOR_FAULT`].
    MotorFault {
        /// The interlock closed for good.
        interlock_tripped: bool,
        /// The driver could not be read.
        driver_failed: bool,
    },
    /// See [`kind::PROGRAM`].
    Program(ProgramRecord),
    /// See [`kind::TOTALS`].
    Totals(TotalsRecord),
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordError {
    /// The kind is not known to this firmware.
    UnknownKind = 1,
    /// The kind is known, its version is not.
    UnknownVersion = 2,
    /// The bytes do not decode, or not to the last one.
    Malformed = 3,
    /// The buffer is too small; [`RECORD_BYTES`] always suffices.
    BufferTooSmall = 4,
}

/// The version that this firmware writes, of every kind.
const VERSION: u8 = 1;

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, RecordError> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, _)) | Err(_) => Err(RecordError::Malformed),
    }
}

impl Record {
    /// The journal's number for this kind of record.
    #[must_use]
    pub fn kind(&self) -> journal::Kind {
        match self {
            Self::Boot { .. } => kind::BOOT,
            Self::ProgramCommitted(_) => kind::PROGRAM_COMMITTED,
            Self::CommitNotDone { .. } => kind::COMMIT_NOT_DONE,
            Self::Deficit { .. } => kind::DEFICIT,
            Self::OrderRefused { .. } => kind::ORDER_REFUSED,
            Self::MotorFault { .. } => kind::MOTOR_FAULT,
            Self::Program(_) => kind::PROGRAM,
            Self::Totals(_) => kind::TOTALS,
        }
    }

    /// The version of the body that [`Record::encode`] writes.
    #[must_use]
    pub fn version(&self) -> u8 {
        VERSION
    }

    /// Writes the body into `buffer` and returns the part used.
    ///
    /// # Errors
    /// [`RecordError::BufferTooSmall`]; [`RECORD_BYTES`] always suffices.
    pub fn encode<'a>(&self, buffer: &'a mut [u8]) -> Result<&'a [u8], RecordError> {
        let written = match self {
            Self::Boot { cause } => postcard::to_slice(cause, buffer),
            Self::ProgramCommitted(record) | Self::Program(record) => {
                postcard::to_slice(record, buffer)
            }
            Self::CommitNotDone { number } => postcard::to_slice(number, buffer),
            Self::Deficit { steps } => postcard::to_slice(steps, buffer),
            Self::OrderRefused { order, refusal } => postcard::to_slice(&(order, refusal), buffer),
            Self::MotorFault {
                interlock_tripped,
                driver_failed,
            } => postcard::to_slice(&(interlock_tripped, driver_failed), buffer),
            Self::Totals(record) => postcard::to_slice(record, buffer),
        };
        match written {
            Ok(bytes) => Ok(bytes),
            Err(_) => Err(RecordError::BufferTooSmall),
        }
    }

    /// Reads a body back.
    ///
    /// # Errors
    /// [`RecordError`], for any bytes that this firmware would not have written.
    pub fn decode(kind: journal::Kind, version: u8, body: &[u8]) -> Result<Self, RecordError> {
        let known = [
            kind::BOOT,
            kind::PROGRAM_COMMITTED,
            kind::COMMIT_NOT_DONE,
            kind::DEFICIT,
            kind::ORDER_REFUSED,
            kind::MOTOR_FAULT,
            kind::PROGRAM,
            kind::TOTALS,
        ];
        if !known.contains(&kind) {
            return Err(RecordError::UnknownKind);
        }
        if version != VERSION {
            return Err(RecordError::UnknownVersion);
        }
        match kind {
            kind::BOOT => read(body).map(|cause| Self::Boot { cause }),
            kind::PROGRAM_COMMITTED => read(body).map(Self::ProgramCommitted),
            kind::COMMIT_NOT_DONE => read(body).map(|number| Self::CommitNotDone { number }),
            kind::DEFICIT => read(body).map(|steps| Self::Deficit { steps }),
            kind::ORDER_REFUSED => {
                read(body).map(|(order, refusal)| Self::OrderRefused { order, refusal })
            }
            kind::MOTOR_FAULT => {
                read(body).map(|(interlock_tripped, driver_failed)| Self::MotorFault {
                    interlock_tripped,
                    driver_failed,
                })
            }
            kind::PROGRAM => read(body).map(Self::Program),
            kind::TOTALS => read(body).map(Self::Totals),
            // Unreachable after the check above, and an error all the same.
            _ => Err(RecordError::UnknownKind),
        }
    }
}
