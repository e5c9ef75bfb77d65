//! What a pump wants done: values, in the order in which they must be carried out.

use crate::event::Ticket;
use crate::kept::StateKind;
use crate::record::Record;
use heapless::Vec;
use protocol::{Answer, LogName, SessionId};
use therapy::{Sound, StepOrder};
use units::{Duration, PumpTime};

/// Most actions one call returns; the stack has no room for more. What comes last falls off: a scrub, state (which is then handed out
/// again), a log entry (which is counted as lost); never an order, a commit or its answer.
pub const ACTIONS_CAPACITY: usize = 20;

/// Places that log entries leave to what must not fall off behind them: two orders, the checkpoints, and state.
const NOT_FOR_THE_LOG: usize = 6;

/// Most answers one call returns: that to a request, and that to a commit which has waited.
const ANSWERS: usize = 2;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Hand these steps to the motor driver. Never waits.
    Order {
        /// The steps.
        order: StepOrder,
        /// How hard the motor is driven: 1, and up to 3 for a rotor that stands still.
        level: u8,
    },
    /// Cancel every order that the driver holds. Never waits.
    CancelOrders,
    /// Tell the interlock what the program can need at most. Never waits.
    Arm {
        /// Steps in any hour.
        hour_steps: u32,
        /// Steps in any 24 hours.
        day_steps: u32,
    },
    /// Tell the interlock of steps that were authorised beyond that: a clinician's bolus, a prime, a single bolus, or a program with boluses in
    /// the hour in which another ran. Never waits.
    Grant {
        /// How many.
        steps: u32,
        /// Within what time they are made.
        within: Duration,
    },
    /// Let the patient hear this.
    Tone(Sound),
    /// Make this piece of state durable as it is now ([`crate::Pump::kept`]), then answer [`crate::Event::Persisted`] or
    /// [`crate::Event::PersistFailed`].
    Persist {
        /// Comes back in the answer.
        ticket: Ticket,
        /// What to keep.
        state: StateKind,
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
    /// Erase the flash page `pack` when there is time: the identity that it held is durable in the state. Asked for again at each boot that
    /// still finds a page.
    ErasePack,
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
}

/// The actions of one call and the time of the next.
#[derive(Clone, Debug, PartialEq)]
pub struct Actions {
    list: Vec<Action, ACTIONS_CAPACITY>,
    // Apart, because an answer is ten times as long as an action.
    answers: Vec<(SessionId, Answer), ANSWERS>,
    overflowed: bool,
    next_call: PumpTime,
}

impl Actions {
    pub(crate) fn new() -> Self {
        Self {
            list: Vec::new(),
            answers: Vec::new(),
            overflowed: false,
            next_call: PumpTime::from_micros(u64::MAX),
        }
    }

    pub(crate) fn push(&mut self, action: Action) {
        let full = matches!(action, Action::Append { .. })
            && self.list.len() >= ACTIONS_CAPACITY.saturating_sub(NOT_FOR_THE_LOG);
        if full || self.list.push(action).is_err() {
            self.overflowed = true;
        }
    }

    pub(crate) fn answer(&mut self, session: SessionId, answer: Answer) {
        // One that finds no room is lost, and the phone asks again.
        let _ = self.answers.push((session, answer));
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

    /// The answers to sessions, each bearing its request's number. They are given after the actions.
    pub fn answers(&self) -> impl Iterator<Item = &(SessionId, Answer)> {
        self.answers.iter()
    }

    /// Pump time at which [`crate::Pump::handle`] wants an [`crate::Event::Tick`] at the latest.
    #[must_use]
    pub fn next_call(&self) -> PumpTime {
        self.next_call
    }
}
