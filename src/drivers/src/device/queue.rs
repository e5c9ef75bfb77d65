//! Bounded queues of messages between the threads. Nobody waits to put something in.
//!
//! A queue is a ring of entries of one size, and a message takes as many as it needs: most take one, a program of 800 bytes seven to
//! thirteen. It is there whole or not at all, also where a sender interrupts another (`system/queue.c`).

use crate::bindings;

/// Longest message of any queue.
pub const QUEUE_BYTES: usize = 1040;
const _: () = assert!(
    bindings::THECAL_QUEUE_BYTES == 1040,
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
    /// From delivery and the journal to the link.
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

/// A message did not fit, because the queue has no room for all of it or it is too long. It has been counted ([`lost`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

/// How long to wait for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    No,
    /// Until there is one.
    Forever,
}

/// Puts a copy of `bytes` at the end as one message, at once.
///
/// # Errors
///
/// [`NoRoom`]; nothing of it is in the queue then.
pub fn put(queue: Queue, bytes: &[u8]) -> Result<(), NoRoom> {
    put_two(queue, bytes, &[])
}

/// As [`put`], for a message whose end lies elsewhere: `head` and `body`, one behind the other. Saves the stack a copy of a long body.
///
/// # Errors
///
/// [`NoRoom`]; nothing of it is in the queue then.
pub fn put_two(queue: Queue, head: &[u8], body: &[u8]) -> Result<(), NoRoom> {
    let head_length = u32::try_from(head.len()).unwrap_or(u32::MAX);
    let body_length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    // SAFETY: `head_length` bytes at `head` and `body_length` at `body` are readable; C copies them before it returns.
    let result = unsafe {
        bindings::thecal_queue_put(
            queue.number(),
            head.as_ptr(),
            head_length,
            body.as_ptr(),
            body_length,
        )
    };
    if result == 0 { Ok(()) } else { Err(NoRoom) }
}

/// Takes the first message.
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

/// How many messages did not fit since boot.
#[must_use]
pub fn lost(queue: Queue) -> u32 {
    // SAFETY: takes and gives plain numbers.
    unsafe { bindings::thecal_queue_lost(queue.number()) }
}
