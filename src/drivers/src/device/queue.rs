//! Bounded queues of bytes between the threads. Nobody waits to put something in.

use crate::bindings;

/// Longest entry of any queue.
pub const QUEUE_BYTES: usize = 256;
const _: () = assert!(
    bindings::THECAL_QUEUE_BYTES == 256,
    "queue.h says otherwise"
);

/// A queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// From the link to delivery.
    Commands,
    /// From the journal to delivery.
    Results,
    /// From delivery to the journal.
    Records,
    /// From delivery to the link.
    Answers,
}

impl Queue {
    const fn number(self) -> u32 {
        match self {
            Self::Commands => bindings::THECAL_QUEUE_COMMANDS,
            Self::Results => bindings::THECAL_QUEUE_RESULTS,
            Self::Records => bindings::THECAL_QUEUE_RECORDS,
            Self::Answers => bindings::THECAL_QUEUE_ANSWERS,
        }
    }
}

/// An entry did not fit, because the queue is full or the entry too long. It has been counted ([`lost`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

/// How long to wait for an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    No,
    /// Until there is one.
    Forever,
}

/// Puts a copy of `bytes` at the end, at once.
///
/// # Errors
///
/// [`NoRoom`].
pub fn put(queue: Queue, bytes: &[u8]) -> Result<(), NoRoom> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    // SAFETY: `length` bytes at `bytes` are readable; C copies them before it returns.
    match unsafe { bindings::thecal_queue_put(queue.number(), bytes.as_ptr(), length) } {
        0 => Ok(()),
        _ => Err(NoRoom),
    }
}

/// Takes the first entry.
pub fn take(queue: Queue, buffer: &mut [u8; QUEUE_BYTES], wait: Wait) -> Option<&[u8]> {
    let wait = match wait {
        Wait::No => 0,
        Wait::Forever => bindings::THECAL_QUEUE_FOREVER,
    };
    let capacity = bindings::THECAL_QUEUE_BYTES;
    // SAFETY: `capacity` bytes at `buffer` are writable and nobody else's for the time of the call.
    let length =
        unsafe { bindings::thecal_queue_take(queue.number(), buffer.as_mut_ptr(), capacity, wait) };
    buffer.get(..usize::try_from(length).ok()?)
}

/// How many entries did not fit since boot.
#[must_use]
pub fn lost(queue: Queue) -> u32 {
    // SAFETY: takes and gives plain numbers.
    unsafe { bindings::thecal_queue_lost(queue.number()) }
}
