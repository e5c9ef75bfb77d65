//! What the threads say to each other: postcard in the messages of the bounded queues.
//!
//! Nothing here is kept or leaves the pump, so the forms may change with every build. A message may be as long as [`QUEUE_BYTES`]: one with
//! a program in it takes several entries of its queue, and is refused whole when they are not free. The bytes of a piece of state are
//! never copied into a form of their own: they follow the head of the message ([`send_state`]) or are read where the message was taken
//! to ([`receive_borrowed`]). Keys pass through here: what they passed through is wiped ([`Wiped`]).

use core::ops::{Deref, DerefMut};

use drivers::device::queue::{self, NoRoom, QUEUE_BYTES, Queue, Wait};
use journal::{Envelope, Kind, Stamp};
use protocol::keys::KEYRING_BYTES;
use protocol::{
    Answer, CARD_BYTES, Caller, EmergencyCard, Keyring, Lifecycle, LogName, Request, SessionId,
};
use pump::{Basis, Recovery, StorageReport};
use serde::{Deserialize, Serialize};
use units::{Clock, PumpTime};

/// From the link to delivery. The link sends it as [`ToDelivery`].
#[derive(Serialize, Deserialize)]
pub enum FromLink<R = Request> {
    /// A command that the session may give.
    Request {
        session: u32,
        caller: Caller,
        request: R,
    },
    /// Somebody failed to prove who they are, in the name of this slot.
    AuthenticationFailed { slot: u8 },
    /// A session has ended.
    Closed { session: u32 },
    /// The emergency card may be read: what is on it?
    Card,
}

/// What delivery takes as [`FromLink`]: the bytes are the same, and the request stays where it is.
#[cfg(CONFIG_THECAL_LINK)]
pub type ToDelivery<'a> = FromLink<&'a Request>;

/// To the link.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub enum ToLink {
    /// What became of a command: the encoded [`Answer`] follows. The link passes it on as it is.
    Answer { session: u32, id: u32 },
    /// What the pump shows whoever looks, at once and whenever it has changed.
    Shown(Shown),
    /// The keys that are let in, at once and whenever one changes: the encoded [`Keyring`] follows.
    Keys { passkey: Option<u32> },
    /// The encoded emergency card follows.
    Card,
}

/// What the pump shows without being asked.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The latched flags.
    pub flags: u16,
    /// Where in its life the pump is. Also decides who may do what.
    pub lifecycle: Lifecycle,
    /// A critical alarm is active. So does this.
    pub alarm: bool,
}

/// From the journal to delivery.
#[derive(Serialize, Deserialize)]
#[allow(
    clippy::large_enum_variant,
    reason = "one at a time, and no heap; whether it counts as large depends on the processor"
)]
pub enum FromJournal<'a> {
    /// What is found beside the state; once a boot, before everything else.
    Basis(Basis),
    /// What flash has of a kind of state; once a boot for every kind, before [`FromJournal::Recovered`].
    State {
        kind: u16,
        #[serde(borrow)]
        found: Recovery<Body<'a>>,
    },
    /// The end of the recovery, once a boot.
    Recovered,
    /// In place of all of it: the flash cannot be used.
    NoFlash,
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

/// A piece of state as it lies on flash: the version of its form, and its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body<'a> {
    pub version: u8,
    pub bytes: &'a [u8],
}

/// What the journal is to do.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub enum ToJournal {
    /// Keep the piece of state whose bytes follow durably, and say whether it is.
    PersistState {
        ticket: u32,
        kind: u16,
        version: u8,
        boot: u32,
        monotonic: PumpTime,
        wall: Clock,
    },
    /// Keep the record that follows where its kind belongs.
    Keep,
    /// Look at every copy of everything.
    Scrub,
    /// Erase what the production line gave: it is in the state.
    ErasePack,
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

/// A buffer that keys may pass through: nothing of them is left when it goes.
pub struct Wiped<const BYTES: usize>([u8; BYTES]);

impl<const BYTES: usize> Wiped<BYTES> {
    #[inline(always)]
    pub const fn new() -> Self {
        Self([0; BYTES])
    }
}

impl<const BYTES: usize> Deref for Wiped<BYTES> {
    type Target = [u8; BYTES];

    fn deref(&self) -> &[u8; BYTES] {
        &self.0
    }
}

impl<const BYTES: usize> DerefMut for Wiped<BYTES> {
    fn deref_mut(&mut self) -> &mut [u8; BYTES] {
        &mut self.0
    }
}

impl<const BYTES: usize> Drop for Wiped<BYTES> {
    fn drop(&mut self) {
        self.0.fill(0);
        // Or it would be left out: nobody reads the zeros.
        core::hint::black_box(&self.0);
    }
}

/// Puts a message into a queue, at once. One that cannot be encoded has no room either.
#[inline(never)]
pub fn send<T: Serialize>(queue: Queue, message: &T) -> Result<(), NoRoom> {
    let mut buffer = Wiped::<QUEUE_BYTES>::new();
    let bytes = postcard::to_slice(message, &mut *buffer).map_err(|_| NoRoom)?;
    queue::put(queue, bytes)
}

/// Takes the next message out of a queue. What cannot be read was not written by this build; it is left out.
// Not merged with its callers: the buffer is to leave the stack before they act on the message.
#[inline(never)]
pub fn receive<T: for<'a> Deserialize<'a>>(queue: Queue, wait: Wait) -> Option<T> {
    let mut buffer = Wiped::<QUEUE_BYTES>::new();
    receive_borrowed(queue, &mut buffer, wait)
}

/// As [`receive`], for a message that lends its long parts from the buffer.
pub fn receive_borrowed<'a, T: Deserialize<'a>>(
    queue: Queue,
    buffer: &'a mut [u8; QUEUE_BYTES],
    wait: Wait,
) -> Option<T> {
    let bytes = queue::take(queue, buffer, wait)?;
    postcard::from_bytes(bytes).ok()
}

/// Longest head of an answer: variant, session and number.
const ANSWER_HEAD_BYTES: usize = 11;

/// Gives the link an answer for a session, at once, and wakes it. One that finds no room is lost, and counted; the phone asks again.
#[inline(never)]
pub fn send_answer(session: SessionId, answer: &Answer) {
    let order = ToLink::Answer {
        session: session.0,
        id: answer.id,
    };
    let mut body = Wiped::<{ protocol::MESSAGE_LIMIT }>::new();
    if let Ok(body) = postcard::to_slice(answer, &mut *body) {
        let _ = send_to_link(&order, body);
    }
}

/// Tells the link what the pump shows, at once, and wakes it.
pub fn send_shown(shown: Shown) -> Result<(), NoRoom> {
    send_to_link(&ToLink::Shown(shown), &[])
}

/// Tells the link who is let in, at once, and wakes it. The keys leave the stack wiped.
#[inline(never)]
pub fn send_keys(keyring: &Keyring, passkey: Option<u32>) -> Result<(), NoRoom> {
    let mut body = Wiped::<KEYRING_BYTES>::new();
    let body = postcard::to_slice(keyring, &mut *body).map_err(|_| NoRoom)?;
    send_to_link(&ToLink::Keys { passkey }, body)
}

/// Tells the link what is on the emergency card, at once, and wakes it. One that finds no room is asked for again.
#[inline(never)]
pub fn send_card(card: &EmergencyCard) {
    let mut body = [0; CARD_BYTES];
    if let Some(body) = card.encode(&mut body) {
        let _ = send_to_link(&ToLink::Card, body);
    }
}

fn send_to_link(message: &ToLink, body: &[u8]) -> Result<(), NoRoom> {
    // The passkey is in it.
    let mut head = Wiped::<ANSWER_HEAD_BYTES>::new();
    let head = postcard::to_slice(message, &mut *head).map_err(|_| NoRoom)?;
    queue::put_two(Queue::Answers, head, body)?;
    wake_link();
    Ok(())
}

fn wake_link() {
    #[cfg(CONFIG_THECAL_LINK)]
    drivers::device::link::wake();
}

/// Takes what the link is to do next, and the bytes behind it. As [`receive`].
#[cfg(CONFIG_THECAL_LINK)]
pub fn receive_for_link(buffer: &mut [u8; QUEUE_BYTES]) -> Option<(ToLink, &[u8])> {
    let bytes = queue::take(Queue::Answers, buffer, Wait::No)?;
    postcard::take_from_bytes(bytes).ok()
}

/// Longest order with a record of at most [`pump::RECORD_BYTES`] behind it.
const RECORD_MESSAGE_BYTES: usize = 192;

/// Tells the journal thread what to do, with the record it is to keep, at once.
pub fn send_to_journal(order: ToJournal, record: Option<&Envelope<'_>>) -> Result<(), NoRoom> {
    let mut buffer = Wiped::<RECORD_MESSAGE_BYTES>::new();
    let head = postcard::to_slice(&order, &mut *buffer)
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

/// Longest head of a piece of state: variant and eight numbers, the clock's among them, each at its longest.
const STATE_HEAD_BYTES: usize = 56;

/// Tells the journal thread to keep a piece of state durably, at once.
pub fn send_state(ticket: u32, envelope: &Envelope<'_>) -> Result<(), NoRoom> {
    let order = ToJournal::PersistState {
        ticket,
        kind: envelope.kind.0,
        version: envelope.version,
        boot: envelope.stamp.boot,
        monotonic: envelope.stamp.monotonic,
        wall: envelope.stamp.wall,
    };
    let mut buffer = [0; STATE_HEAD_BYTES];
    let head = postcard::to_slice(&order, &mut buffer).map_err(|_| NoRoom)?;
    queue::put_two(Queue::Records, head, envelope.body)
}

/// Waits for what the journal is to do next, and with which record. As [`receive`].
pub fn receive_for_journal(
    buffer: &mut [u8; QUEUE_BYTES],
) -> Option<(ToJournal, Option<Envelope<'_>>)> {
    let bytes = queue::take(Queue::Records, buffer, Wait::Forever)?;
    let (order, rest) = postcard::take_from_bytes(bytes).ok()?;
    let record = match order {
        ToJournal::PersistState {
            ticket: _,
            kind,
            version,
            boot,
            monotonic,
            wall,
        } => Some(Envelope {
            kind: Kind(kind),
            version,
            stamp: Stamp {
                boot,
                monotonic,
                wall,
            },
            body: rest,
        }),
        ToJournal::Keep
        | ToJournal::Scrub
        | ToJournal::ErasePack
        | ToJournal::ReadLog { .. }
        | ToJournal::SignLog { .. } => Envelope::decode(rest).ok(),
    };
    Some((order, record))
}
