//! What the threads say to each other: postcard in the entries of the bounded queues.
//!
//! Nothing here is kept or leaves the pump, so the forms may change with every build.

use drivers::device::queue::{self, NoRoom, QUEUE_BYTES, Queue, Wait};
use journal::Envelope;
use protocol::{LogName, Request};
use pump::{Recovered, StorageReport};
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
    Recovered(Recovered),
    /// The record with this ticket is durable.
    Persisted { ticket: u32 },
    /// The record with this ticket is not.
    PersistFailed { ticket: u32 },
    /// An event could not be kept.
    AppendFailed,
    /// A checkpoint could not be kept.
    CheckpointFailed,
    /// What a look at all of the flash has found.
    Storage(StorageReport),
}

/// What the journal is to do.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub enum ToJournal {
    /// Keep the record that follows durably, and say whether it is.
    Persist { ticket: u32 },
    /// Keep the record that follows where its kind belongs.
    Keep,
    /// Look at every copy of everything.
    Scrub,
    /// Answer a session with records of a log.
    ReadLog {
        session: u32,
        id: u32,
        log: LogName,
        from: u32,
    },
    /// Answer a session with the signed end of a log.
    SignLog { session: u32, id: u32, log: LogName },
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

/// Tells the journal thread what to do, with the record it is to keep, at once.
pub fn send_to_journal(order: ToJournal, record: Option<&Envelope<'_>>) -> Result<(), NoRoom> {
    let mut buffer = [0; QUEUE_BYTES];
    let head = postcard::to_slice(&order, &mut buffer)
        .map_err(|_| NoRoom)?
        .len();
    let rest = buffer.get_mut(head..).ok_or(NoRoom)?;
    let record = match record {
        Some(record) => record.encode(rest).map_err(|_| NoRoom)?,
        None => 0,
    };
    let length = head.checked_add(record).ok_or(NoRoom)?;
    queue::put(Queue::Records, buffer.get(..length).ok_or(NoRoom)?)
}

/// Waits for what the journal is to do next, and with which record. As [`receive`].
pub fn receive_for_journal(
    buffer: &mut [u8; QUEUE_BYTES],
) -> Option<(ToJournal, Option<Envelope<'_>>)> {
    let bytes = queue::take(Queue::Records, buffer, Wait::Forever)?;
    let (order, record) = postcard::take_from_bytes(bytes).ok()?;
    Some((order, Envelope::decode(record).ok()))
}
