//! The pump: one deterministic state machine from events to actions.
//!
//! `Pump::handle(now, event)` is the only way in and its [`Actions`] the only way out: no trait is called, no clock is read,
//! nothing waits. The same sequence of events gives the same sequence of actions, bit for bit, on the board, on native_sim
//! and in the virtual pump.
//!
//! The order of one call is fixed, and written once, in [`Pump::handle`]. What has been delivered is an event of its own, [`Event::Tick`], which
//! the shell puts before every other.
//!
//! What adds drug waits for the journal, as a [`Action::Persist`] that is answered by [`Event::Persisted`] or
//! [`Event::PersistFailed`]; what must not wait (basal, stop, faults) acts at once and is recorded after.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod actions;
mod clock;
mod commissioning;
mod counters;
mod event;
mod kept;
mod program;
mod record;
mod recovery;
mod state;
pub mod storage;
mod totals;

#[cfg(test)]
mod tests;

pub use actions::{ACTIONS_CAPACITY, Action, Actions};
pub use clock::{EARLIEST, END, RESET_TIME, TRUSTED_UNCERTAINTY};
pub use commissioning::{Commissioned, CommissioningRecord, ONE_TIME_BYTES};
pub use counters::Counters;
pub use event::{Event, MotorFaults, MotorStatus, OrderRefusal, ResetCause, Ticket};
pub use kept::{
    BolusRecord, CareRecord, FillRecord, IdentityRecord, InForceRecord, Kept, Key, KeysRecord,
    LatchedRecord, LibraryHistory, NumbersRecord, PathRecord, ProgramRecord, RefillRecord,
    STATE_BYTES, StateKind,
};
pub use program::{to_prescription, to_wire};
pub use record::{
    JobEnd, ModeName, Placement, RECORD_BYTES, Record, RecordError, RepairsRecord, UpdateStep, kind,
};
pub use recovery::{Basis, Recovered, each_state};
pub use state::{
    CHECKPOINT_INTERVAL, COMMIT_WINDOW, COUNTERS_INTERVAL, INTERLOCK_DAY, INTERLOCK_HOUR,
    PERSIST_LIMIT, Pump, Recovery, SCRUB_INTERVAL, Start,
};
pub use storage::StorageReport;
pub use totals::{RETAINED_BYTES, Retained, Totals, TotalsRecord, TotalsSource, UNTIL_SUPERSEDED};
