//! What a pump wants done: values, in the order in which they must be carried out.

use crate::event::Ticket;
use crate::record::Record;
use heapless::Vec;
use protocol::{Answer, LogName, SessionId};
use therapy::StepOrder;
use units::PumpTime;

/// Most actions one call returns; the stack has no room for more. What comes last falls off: a scrub, the latched record (which is then handed out
/// again), a log entry (which is counted as lost); never an order, a commit or its answer.
pub const ACTIONS_CAPACITY: usize = 12;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Hand these steps to the motor driver. Never waits.
    Order(StepOrder),
    /// Cancel every order that the driver holds. Never waits.
    CancelOrders,
    /// Make this record durable, then answer [`crate::Event::Persisted`] or [`crate::Event::PersistFailed`].
    Persist {
        /// Comes back in the answer.
        ticket: Ticket,
        /// What to keep.
        record: Record,
    },
    /// Append this to its log when there is time.
    Append {
        /// The session in which it happened.
        session: Option<SessionId>,
        /// What to append.
        record: Record,
    },
    /// Keep this in the checkpoint ring when there is time.
    Checkpoint(Record),
    /// Look at every copy of everything on flash when there is time, then answer [`crate::Event::Storage`].
    Scrub,
    /// Read records of a log when there is time, and answer the session with [`protocol::Outcome::LogPart`].
    ReadLog {
        /// The session to answer.
        session: SessionId,
        /// The request's number.
        id: u32,
        /// Which log.
        log: LogName,
        /// The first record wanted.
        from: u32,
    },
    /// Sign the end of a log when there is time, and answer the session with [`protocol::Outcome::LogHead`].
    SignLog {
        /// The session to answer.
        session: SessionId,
        /// The request's number.
        id: u32,
        /// Which log.
        log: LogName,
    },
    /// Answer a link session.
    Answer {
        /// The session to answer.
        session: SessionId,
        /// The answer, bearing the request's number.
        answer: Answer,
    },
}

/// The actions of one call and the time of the next.
#[derive(Clone, Debug, PartialEq)]
pub struct Actions {
    list: Vec<Action, ACTIONS_CAPACITY>,
    overflowed: bool,
    next_call: PumpTime,
}

impl Actions {
    pub(crate) fn new() -> Self {
        Self {
            list: Vec::new(),
            overflowed: false,
            next_call: PumpTime::from_micros(u64::MAX),
        }
    }

    pub(crate) fn push(&mut self, action: Action) {
        if self.list.push(action).is_err() {
            self.overflowed = true;
        }
    }

    pub(crate) fn overflowed(&self) -> bool {
        self.overflowed
    }

    pub(crate) fn call_by(&mut self, time: PumpTime) {
        self.next_call = self.next_call.min(time);
    }

    /// The actions, in the order in which to carry them out.
    pub fn iter(&self) -> impl Iterator<Item = &Action> {
        self.list.iter()
    }

    /// Pump time at which [`crate::Pump::handle`] wants an [`crate::Event::Tick`] at the latest.
    #[must_use]
    pub fn next_call(&self) -> PumpTime {
        self.next_call
    }
}

impl IntoIterator for Actions {
    type Item = Action;
    type IntoIter = <Vec<Action, ACTIONS_CAPACITY> as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}
