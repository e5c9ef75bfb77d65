//! What the threads say to each other: postcard in the entries of the bounded queues.
//!
//! Nothing here is kept or leaves the pump, so the forms may change with every build.

use drivers::device::queue::{self, NoRoom, QUEUE_BYTES, Queue, Wait};
use journal::Envelope;
use protocol::Request;
use pump::{Recovered, Recovery, TotalsRecord};
use serde::{Deserialize, Serialize};

/// From the link to delivery.
#[derive(Serialize, Deserialize)]
pub enum FromLink {
    /// A command that the session may give.
    Request { session: u32, request: Request },
    /// A session has ended.
    Closed { session: u32 },
}

/// From delivery to the link. Sent with a reference to the answer, received with the answer.
#[derive(Serialize, Deserialize)]
pub enum ToLink<A> {
    /// What became of a command.
    Answer { session: u32, answer: A },
    /// The latched flags are these now.
    StatusChanged { flags: u16 },
}

/// From the journal to delivery.
#[derive(Serialize, Deserialize)]
pub enum FromJournal {
    /// Once a boot, before everything else.
    Recovered(RecoveredState),
    /// The record with this ticket is durable.
    Persisted { ticket: u32 },
    /// The record with this ticket is not.
    PersistFailed { ticket: u32 },
    /// An event or a checkpoint could not be kept.
    AppendFailed,
}

/// [`Recovered`], for the way.
#[derive(Serialize, Deserialize)]
pub struct RecoveredState {
    boot: u32,
    program: Found<pump::ProgramRecord>,
    totals: Found<TotalsRecord>,
}

#[derive(Serialize, Deserialize)]
enum Found<T> {
    Absent,
    Good(T),
    Lost,
}

impl<T> From<Recovery<T>> for Found<T> {
    fn from(recovery: Recovery<T>) -> Self {
        match recovery {
            Recovery::Absent => Self::Absent,
            Recovery::Good(value) => Self::Good(value),
            Recovery::Lost => Self::Lost,
        }
    }
}

impl<T> From<Found<T>> for Recovery<T> {
    fn from(found: Found<T>) -> Self {
        match found {
            Found::Absent => Self::Absent,
            Found::Good(value) => Self::Good(value),
            Found::Lost => Self::Lost,
        }
    }
}

impl From<Recovered> for RecoveredState {
    fn from(recovered: Recovered) -> Self {
        Self {
            boot: recovered.boot,
            program: recovered.program.into(),
            totals: recovered.totals.into(),
        }
    }
}

impl From<RecoveredState> for Recovered {
    fn from(state: RecoveredState) -> Self {
        Self {
            boot: state.boot,
            program: state.program.into(),
            totals: state.totals.into(),
        }
    }
}

/// What the journal is to do with a record.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub enum Keep {
    /// Replace the state of its kind, and say whether that is durable.
    State { ticket: u32 },
    /// Append it to the event log.
    Event,
    /// Append it to the checkpoints.
    Checkpoint,
}

/// Puts a message into a queue, at once. One that cannot be encoded has no room either.
pub fn send<T: Serialize>(queue: Queue, message: &T) -> Result<(), NoRoom> {
    let mut buffer = [0; QUEUE_BYTES];
    let bytes = postcard::to_slice(message, &mut buffer).map_err(|_| NoRoom)?;
    queue::put(queue, bytes)
}

/// Takes the next message out of a queue. What cannot be read was not written by this build; it is left out.
pub fn receive<T: for<'a> Deserialize<'a>>(queue: Queue, wait: Wait) -> Option<T> {
    let mut buffer = [0; QUEUE_BYTES];
    let bytes = queue::take(queue, &mut buffer, wait)?;
    postcard::from_bytes(bytes).ok()
}

/// Hands a record to the journal thread, at once.
pub fn send_record(keep: Keep, envelope: &Envelope<'_>) -> Result<(), NoRoom> {
    let mut buffer = [0; QUEUE_BYTES];
    let order = postcard::to_slice(&keep, &mut buffer)
        .map_err(|_| NoRoom)?
        .len();
    let rest = buffer.get_mut(order..).ok_or(NoRoom)?;
    let record = envelope.encode(rest).map_err(|_| NoRoom)?;
    let length = order.checked_add(record).ok_or(NoRoom)?;
    queue::put(Queue::Records, buffer.get(..length).ok_or(NoRoom)?)
}

/// Waits for the next record to keep. As [`receive`].
pub fn receive_record(buffer: &mut [u8; QUEUE_BYTES]) -> Option<(Keep, Envelope<'_>)> {
    let bytes = queue::take(Queue::Records, buffer, Wait::Forever)?;
    let (keep, record) = postcard::take_from_bytes(bytes).ok()?;
    Some((keep, Envelope::decode(record).ok()?))
}
