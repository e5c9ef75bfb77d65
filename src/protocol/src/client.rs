//! The phone's end of the link: commands in, frames out, and an honest account of what became of each command.
//!
//! ```text
//! open(now, &info, &credentials, random) then write every next_frame() to Command, and the same until Welcome
//! request(now, &command) -> id          then write every next_frame() to Command
//! a read or an indication of Response -> receive(now, fragment) -> ClientEvent, then write every next_frame()
//! every now and then                  -> tick(now)              -> ClientEvent, then write every next_frame()
//! the connection is gone              -> closed()               -> the end of the request under way, if any
//! ```
//!
//! [`Client::next_frame`] gives everything there is to write, acknowledgements too. Reading the same fragment many times (polling) is
//! as good as reading it once (indications); both may be mixed.
//!
//! The fate of a command is one of three ([`Fate`]): done, certainly not done, or unknown. Within a connection the client
//! repeats a request that stays unanswered, which is safe because the pump does a request at most once. When the connection breaks after
//! the last frame of a request was handed out, nobody on this side can know: [`Fate::Unknown`], to be resolved by
//! asking ([`resolve_commit`], [`resolve_order`]) and never by sending the command again blindly, unless it is one that may be done
//! twice ([`crate::CommandKind::when_unknown`], [`resolve_repetition`]).
use core::cmp::Ordering;
use core::fmt;

use units::{CarrierTime, Duration};

use crate::codec::{self, Malformed};
use crate::envelope::{
    self, COUNTER_BYTES, Denied, HEADER_BYTES, Hello, Kind, Unopenable, Welcome,
};
use crate::fragmenter::Fragmenter;
use crate::frame::{Dropped, Drops, Frame, Mtu, Parsed, Part};
use crate::info::Info;
use crate::keys::{Credentials, Secret, gate_key};
use crate::message::{Answer, Command, Outcome, Request};
use crate::noise::{FIRST_BYTES, Initiator, Split};
use crate::program::Digest;
use crate::reassembler::{Progress, Reassembler};
use crate::refused::{LibraryFault, NotNow, RefillStep, Refused};
use crate::status::Status;
use crate::therapy::TherapyStatus;

/// How long the pump may be silent before a request is repeated: 3 s of carrier time without a new fragment \[P\].
pub const REPEAT_AFTER: Duration = Duration::from_seconds(3);

/// How often a request is sent at most. Four times three seconds \[P\] outlast the 5 s within which the pump
/// stores or gives up.
pub const ATTEMPTS: u8 = 4;

/// What became of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Fate {
    /// The pump did it and said so.
    Done,
    /// The pump has not done it and will not.
    CertainlyNot,
    /// It may have been done or not: ask the pump.
    Unknown,
}

impl fmt::Display for Fate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Fate::Done => "done",
            Fate::CertainlyNot => "certainly not done",
            Fate::Unknown => "unknown whether done: ask the pump",
        })
    }
}

impl Outcome {
    /// What this outcome says about the command.
    pub const fn fate(&self) -> Fate {
        match self {
            Outcome::Status(_)
            | Outcome::Staged(_)
            | Outcome::Committed { .. }
            | Outcome::Cancelled
            | Outcome::StatusChangedReset { .. }
            | Outcome::StoppedNotRecorded
            | Outcome::LogPart(_)
            | Outcome::LogHead { .. }
            | Outcome::ClockSet { .. }
            | Outcome::BolusStarted { .. }
            | Outcome::Done
            | Outcome::Therapy(_)
            | Outcome::Path(_)
            | Outcome::Library(_)
            | Outcome::Refills(_)
            | Outcome::AlreadyDone { .. }
            | Outcome::Keys(_) => Fate::Done,
            Outcome::BolusRefused { .. } => Fate::CertainlyNot,
            // The number was used before, so its command may well have been done then.
            Outcome::Refused(Refused::NumberUsed { .. }) => Fate::Unknown,
            Outcome::Refused(
                Refused::NotAllowed { .. }
                | Refused::NothingStaged
                | Refused::DigestMismatch
                | Refused::StageExpired
                | Refused::NotDone
                | Refused::Busy
                | Refused::OutOfRange { .. }
                | Refused::BadMessage(_)
                | Refused::OverLimit { .. }
                | Refused::ReasonNeeded
                | Refused::ShownDiffers { .. }
                | Refused::WrongOrder { .. }
                | Refused::KindForbids { .. }
                | Refused::TooSoon { .. }
                | Refused::NotNow { .. }
                | Refused::NoPath
                | Refused::BridgeNeeded { .. }
                | Refused::TooManyChanges
                | Refused::ScheduleInvalid { .. }
                | Refused::LibraryInvalid { .. },
            ) => Fate::CertainlyNot,
        }
    }
}

/// Whether a commit whose answer was lost has been done, judged by a later interrogation.
///
/// `digest` is what was committed and `number_before` the [`Status::program_number`] from before. [`Fate::Unknown`] while
/// the pump is still storing (ask again), and when another program has come into force since.
///
/// This is about the program, not about the motor: a stop acts before it is stored, so that after one which could not be stored
/// ([`Outcome::StoppedNotRecorded`]) the pump stands still with the program from before. [`Status::delivery`] tells.
pub fn resolve_commit(digest: &Digest, number_before: u32, status: &Status) -> Fate {
    if status.committing {
        return Fate::Unknown;
    }
    if status.program_number == number_before {
        return Fate::CertainlyNot;
    }
    match &status.program {
        Some(program) if Digest::of(program, status.program_number) == *digest => Fate::Done,
        Some(_) | None => Fate::Unknown,
    }
}

/// Whether a bolus or prime whose answer was lost was given, judged by a later [`crate::Command::ReadTherapy`].
///
/// `number` is what was ordered: one more than [`TherapyStatus::last_number`] from before. [`Fate::Unknown`] while the pump is still storing
/// (ask again), and when that number is behind because somebody else's order came first or after: the log tells whose it was.
/// To order it again with the same number is safe: the pump answers [`Outcome::AlreadyDone`], or refuses what differs.
pub fn resolve_order(number: u32, therapy: &TherapyStatus) -> Fate {
    match therapy.last_number.cmp(&number) {
        Ordering::Less if therapy.storing => Fate::Unknown,
        Ordering::Less => Fate::CertainlyNot,
        Ordering::Equal => Fate::Done,
        Ordering::Greater => Fate::Unknown,
    }
}

/// Whether the pump is now as a command wants it that may be done twice ([`crate::WhenUnknown::Repeat`]), judged by its answer to the command
/// when that was given again, with a new number, after the answer to the first was lost.
///
/// [`Fate::Done`] also when the pump refuses it because there is nothing left to do. Any other refusal says nothing of the first:
/// [`Fate::Unknown`]. A library is given again from its first part.
pub fn resolve_repetition(command: &Command, again: &Outcome) -> Fate {
    let Outcome::Refused(refused) = again else {
        return again.fate();
    };
    let nothing_left = match (command, refused) {
        (Command::OpenRefill, Refused::WrongOrder { expected }) => *expected != RefillStep::Open,
        (Command::CloseRefill, Refused::WrongOrder { expected }) => *expected == RefillStep::Open,
        (
            Command::AcknowledgeAlarm { .. } | Command::SilenceAlarm { .. },
            Refused::NotNow {
                why: NotNow::NoAlarm,
            },
        ) => true,
        (
            Command::LoadLibrary(part),
            Refused::LibraryInvalid {
                fault: LibraryFault::OldVersion { in_force },
            },
        ) => *in_force == part.version,
        _ => false,
    };
    if nothing_left {
        Fate::Done
    } else {
        Fate::Unknown
    }
}

/// What a fragment, the time or the end of the connection led to.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is no heap to put it on")]
pub enum ClientEvent {
    /// Nothing to tell.
    Nothing,
    /// The session is open. What is under way may be resolved by it: a command whose number is above the last one was certainly not done.
    Welcome(Welcome),
    /// The answer to the request under way; [`Outcome::fate`] tells whether it was done.
    Answer(Answer),
    /// The request under way has ended without an answer.
    Ended(Ended),
}

/// The end of a request without an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Number of the request.
    pub id: u32,
    /// Never [`Fate::Done`].
    pub fate: Fate,
    /// Why it ended.
    pub reason: Reason,
}

impl fmt::Display for Ended {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.fate, self.reason)
    }
}

/// Why a request ended without an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// The connection is gone.
    Closed,
    /// The pump stayed silent through all attempts.
    Silence,
    /// The pump dropped the request each time it was sent, lastly because of this (`None`: a reason unknown to this version).
    Dropped(Option<Dropped>),
    /// The user gave up.
    Abandoned,
    /// The pump did not open the message, or the session.
    Denied(Denied),
    /// What answered is not the pump that was meant, or the answer was changed on the way.
    NotThePump,
    /// The pump's answer could not be understood.
    Unreadable(Malformed),
    /// The pump answered in a protocol version that this programmer does not know.
    UnknownVersion {
        /// The version of the answer.
        version: u8,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Closed => out.write_str("the connection was lost"),
            Reason::Silence => out.write_str("the pump did not answer"),
            Reason::Dropped(Some(reason)) => {
                write!(out, "the request did not reach the pump whole: {reason}")
            }
            Reason::Dropped(None) => out.write_str("the request did not reach the pump whole"),
            Reason::Abandoned => out.write_str("given up"),
            Reason::Denied(denied) => write!(out, "{denied}"),
            Reason::NotThePump => out.write_str(
                "what answered is not the pump that was meant, or the answer was changed on the way",
            ),
            Reason::Unreadable(reason) => {
                write!(out, "the pump's answer could not be understood: {reason}")
            }
            Reason::UnknownVersion { version } => {
                write!(
                    out,
                    "the pump answered in protocol version {version}, which this programmer does not know"
                )
            }
        }
    }
}

/// Why a request could not be made. Certainly not done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestError {
    /// There is no connection.
    NotOpen,
    /// There is no session on this connection yet, or not any more.
    NoSession,
    /// There is a session already, or was one: connect again.
    SessionUsed,
    /// The key of the pump is none.
    BadKey,
    /// The request before has not ended yet.
    UnderWay,
    /// The command does not fit into a message; no [`Command`] that exists is that long.
    TooLong,
}

impl fmt::Display for RequestError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            RequestError::NotOpen => "there is no connection to the pump",
            RequestError::NoSession => "there is no session with the pump; connect again",
            RequestError::SessionUsed => "this connection has had its session; connect again",
            RequestError::BadKey => "the pump's key is not a key",
            RequestError::UnderWay => "the request before has not ended yet",
            RequestError::TooLong => "the command does not fit into a message",
        })
    }
}

impl core::error::Error for RequestError {}

/// Where a connection stands.
enum Door {
    /// No session yet.
    Closed,
    /// The pump has been greeted.
    Greeted(Initiator),
    /// The session is open.
    Open(Split),
    /// It was.
    Over,
}

/// The phone's end of one connection at a time. Some 2.5 KB, no heap.
pub struct Client {
    door: Door,
    /// The last command number this key has used with this pump, as far as is known.
    last_number: u32,
    mtu: Option<Mtu>,
    incoming: Reassembler,
    outgoing: Fragmenter,
    /// A frame to write before anything else: an acknowledgement or an abort.
    urgent: Option<Frame>,
    /// Number of the last fragment that was taken and acknowledged.
    acknowledged: Option<u8>,
    last_id: u32,
    under_way: Option<UnderWay>,
    drops: Drops,
}

/// The request under way.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    id: u32,
    attempts: u8,
    due: CarrierTime,
    /// Number of the first frame of the present transmission.
    first: u8,
    /// All frames of the present transmission have been handed out.
    handed_out: bool,
    /// Transmissions that may have arrived whole.
    possible: u8,
}

impl UnderWay {
    fn ended(&self, reason: Reason) -> Ended {
        let fate = if self.possible == 0 {
            Fate::CertainlyNot
        } else {
            Fate::Unknown
        };
        Ended {
            id: self.id,
            fate,
            reason,
        }
    }
}

impl Client {
    /// A client that waits for a connection. Its first request will bear number 1.
    pub const fn new() -> Client {
        Client {
            door: Door::Closed,
            last_number: 0,
            mtu: None,
            incoming: Reassembler::new(None),
            outgoing: Fragmenter::new(),
            urgent: None,
            acknowledged: None,
            last_id: 0,
            under_way: None,
            drops: Drops::NONE,
        }
    }

    /// A connection has been made. Request numbers go on where they were, so that no two requests of one client look alike.
    /// Gives the end of a request under way on an earlier connection that was never said to be closed.
    ///
    /// The connection must be fresh on the pump's side too: on one that another client has used before, the numbers of frames and
    /// requests would look like repetitions, and nothing would be answered. A program that finds a standing connection closes it first.
    pub fn opened(&mut self, mtu: Mtu) -> Option<Ended> {
        let ended = self.closed();
        self.mtu = Some(mtu);
        ended
    }

    /// The connection is gone; if a request was under way, this is its end.
    pub fn closed(&mut self) -> Option<Ended> {
        self.mtu = None;
        self.door = Door::Closed;
        self.incoming.reset();
        self.outgoing.reset();
        self.urgent = None;
        self.acknowledged = None;
        self.under_way
            .take()
            .map(|under_way| under_way.ended(Reason::Closed))
    }

    /// The MTU was negotiated anew; it holds from the next frame on.
    pub fn set_mtu(&mut self, mtu: Mtu) {
        if self.mtu.is_some() {
            self.mtu = Some(mtu);
        }
    }

    /// The number of the request under way.
    pub fn under_way(&self) -> Option<u32> {
        self.under_way.map(|under_way| under_way.id)
    }

    /// Fragments dropped so far, by reason.
    pub fn drops(&self) -> &Drops {
        &self.drops
    }

    /// Opens a session at the time `now` with the pump whose Info was read on this connection; [`ClientEvent::Welcome`] when it is open.
    /// `random` is fresh for every call.
    ///
    /// # Errors
    /// [`RequestError`]; then nothing will be sent.
    pub fn open(
        &mut self,
        now: CarrierTime,
        info: &Info,
        credentials: &Credentials,
        random: Secret,
    ) -> Result<(), RequestError> {
        self.may_ask()?;
        if !matches!(self.door, Door::Closed) {
            return Err(RequestError::SessionUsed);
        }
        let mut noise = [0; FIRST_BYTES];
        let initiator = Initiator::begin(
            &envelope::prologue(info),
            (credentials.private(), credentials.public()),
            credentials.pump(),
            credentials.preshared(),
            random,
            &mut noise,
        )
        .ok_or(RequestError::BadKey)?;
        let hello = Hello::new(
            credentials.slot(),
            credentials.public(),
            &gate_key(credentials.preshared()),
            &info.nonce,
            noise,
        );
        let loaded = self.outgoing.load(|buffer| {
            hello
                .write(envelope::begin(Kind::Hello, buffer)?)?
                .checked_add(HEADER_BYTES)
        });
        if !loaded {
            return Err(RequestError::TooLong);
        }
        self.door = Door::Greeted(initiator);
        self.begin(now, 0);
        Ok(())
    }

    /// The command number that the last command bore, for telling by a later [`Welcome`] what became of it.
    pub fn last_number(&self) -> u32 {
        self.last_number
    }

    /// Begins a request at the time `now` and returns its number. Its frames come from [`Client::next_frame`].
    ///
    /// # Errors
    /// [`RequestError`]; then nothing will be sent.
    pub fn request(&mut self, now: CarrierTime, command: &Command) -> Result<u32, RequestError> {
        self.may_ask()?;
        let Door::Open(Split { requests, .. }) = &self.door else {
            return Err(RequestError::NoSession);
        };
        // Four thousand million requests later the pump would take none any more; nobody gets there.
        let id = self.last_id.saturating_add(1);
        let numbered = command.kind().is_numbered();
        let number = self.last_number.saturating_add(1);
        let request = Request {
            id,
            number: if numbered { number } else { 0 },
            command: command.clone(),
        };
        let loaded = self.outgoing.load(|buffer| {
            envelope::seal(requests, id, buffer, |payload| {
                codec::encode(&request, payload).map(<[u8]>::len)
            })
        });
        if !loaded {
            return Err(RequestError::TooLong);
        }
        self.last_id = id;
        if numbered {
            self.last_number = number;
        }
        self.begin(now, id);
        Ok(id)
    }

    /// Whether a request could be made now.
    ///
    /// # Errors
    /// What [`Client::request`] would say.
    pub fn request_possible(&self) -> Result<(), RequestError> {
        self.may_ask()?;
        match self.door {
            Door::Open(_) => Ok(()),
            Door::Closed | Door::Greeted(_) | Door::Over => Err(RequestError::NoSession),
        }
    }

    fn may_ask(&self) -> Result<(), RequestError> {
        if self.mtu.is_none() {
            return Err(RequestError::NotOpen);
        }
        if self.under_way.is_some() {
            return Err(RequestError::UnderWay);
        }
        Ok(())
    }

    fn begin(&mut self, now: CarrierTime, id: u32) {
        self.under_way = Some(UnderWay {
            id,
            attempts: 1,
            due: now.saturating_add(REPEAT_AFTER),
            first: self.outgoing.next_sequence(),
            handed_out: false,
            possible: 0,
        });
    }

    /// The next frame to write to Command; to be called until it gives `None`, after every other call. A frame given out counts as
    /// possibly received, so the next one is to be fetched only when the one before was written.
    pub fn next_frame(&mut self) -> Option<Frame> {
        if let Some(frame) = self.urgent.take() {
            return Some(frame);
        }
        let under_way = self.under_way.as_mut()?;
        let frame = self.outgoing.next_frame(self.mtu?)?;
        if self.outgoing.is_finished() && !under_way.handed_out {
            under_way.handed_out = true;
            under_way.possible = under_way.possible.saturating_add(1);
        }
        Some(frame)
    }

    /// Every frame there is to write now; [`Client::next_frame`] as an iterator.
    pub fn frames(&mut self) -> impl Iterator<Item = Frame> + '_ {
        core::iter::from_fn(|| self.next_frame())
    }

    /// Takes what was read from Response or indicated, at the time `now`; empty and repeated reads are fine, and so are any other bytes.
    pub fn receive(&mut self, now: CarrierTime, fragment: &[u8]) -> ClientEvent {
        if self.mtu.is_none() || fragment.is_empty() {
            return ClientEvent::Nothing;
        }
        match Parsed::from_bytes(fragment) {
            Ok(Parsed::Data(part)) => self.data(now, &part),
            Ok(Parsed::Abort {
                sequence,
                reason,
                at,
            }) => self.aborted(now, sequence, reason, at),
            // The pump acknowledges with answers only.
            Ok(Parsed::Acknowledge { .. }) => ClientEvent::Nothing,
            Err(reason) => {
                self.drops.count(reason);
                ClientEvent::Nothing
            }
        }
    }

    /// Repeats a request that has been silent for [`REPEAT_AFTER`], or ends it after [`ATTEMPTS`]. To be called once a second or more often.
    pub fn tick(&mut self, now: CarrierTime) -> ClientEvent {
        match &self.under_way {
            Some(under_way) if now >= under_way.due => self.again(now, Reason::Silence),
            Some(_) | None => ClientEvent::Nothing,
        }
    }

    /// Gives up waiting for the request under way and tells the pump that nobody reads its answer. Not a way to undo anything.
    pub fn abandon(&mut self) -> Option<Ended> {
        let under_way = self.under_way.take()?;
        let at = under_way.first;
        let sequence = self.outgoing.take_sequence();
        self.outgoing.forget();
        self.urgent = Some(Frame::abort(sequence, Dropped::Abandoned, at));
        Some(under_way.ended(Reason::Abandoned))
    }

    fn data(&mut self, now: CarrierTime, part: &Part<'_>) -> ClientEvent {
        if !self.incoming.is_new(part.sequence) {
            self.read_again(part.sequence);
            return ClientEvent::Nothing;
        }
        if part.total.is_some() && self.incoming.is_collecting() {
            self.drops.count(Dropped::Interrupted);
        }
        match self.incoming.receive(now, part) {
            Ok(Progress::Repeated) => ClientEvent::Nothing,
            Ok(Progress::Partial) => {
                self.acknowledge(part.sequence);
                self.postpone(now);
                ClientEvent::Nothing
            }
            Ok(Progress::Complete) => {
                self.acknowledge(part.sequence);
                self.message()
            }
            // Not acknowledged: when the request is repeated, the pump sends its answer again from the start.
            Err(reason) => {
                self.drops.count(reason);
                ClientEvent::Nothing
            }
        }
    }

    fn message(&mut self) -> ClientEvent {
        let kind = envelope::kind_of(self.incoming.message());
        let event = match kind {
            Ok(Kind::Welcome) => self.welcome(),
            Ok(Kind::Sealed) => self.sealed(),
            Ok(Kind::Denied) => self.denied(),
            // What has no place here is nobody's; the pump is asked again when it stays silent.
            Ok(Kind::Hello) | Err(Unopenable::Kind) => ClientEvent::Nothing,
            Err(Unopenable::Version(version)) => {
                self.finish(Fate::Unknown, Reason::UnknownVersion { version })
            }
        };
        self.incoming.forget();
        event
    }

    fn welcome(&mut self) -> ClientEvent {
        if !matches!(self.door, Door::Greeted(_)) {
            // Read again, or nobody's.
            return ClientEvent::Nothing;
        }
        let Door::Greeted(initiator) = core::mem::replace(&mut self.door, Door::Over) else {
            return ClientEvent::Nothing;
        };
        let body = self.incoming.message_mut().get_mut(HEADER_BYTES..);
        let Some((split, payload)) = body.and_then(|body| initiator.finish(body)) else {
            return self.finish(Fate::CertainlyNot, Reason::NotThePump);
        };
        match codec::decode::<Welcome>(payload) {
            Ok(welcome) => {
                self.door = Door::Open(split);
                // A command that was given on an earlier connection and never arrived leaves a gap, which is allowed; a number that the pump has
                // had from this key already is never used again.
                self.last_number = welcome.last_number;
                self.end();
                ClientEvent::Welcome(welcome)
            }
            Err(reason) => self.finish(Fate::CertainlyNot, Reason::Unreadable(reason)),
        }
    }

    fn sealed(&mut self) -> ClientEvent {
        let Some(under_way) = self.under_way else {
            return ClientEvent::Nothing;
        };
        let body = self.incoming.message_mut().get_mut(HEADER_BYTES..);
        let Some((counter, sealed)) =
            body.and_then(|body| body.split_first_chunk_mut::<COUNTER_BYTES>())
        else {
            return ClientEvent::Nothing;
        };
        if u32::from_le_bytes(*counter) != under_way.id {
            // The answer to a request that has ended on this side.
            return ClientEvent::Nothing;
        }
        let Door::Open(Split { answers, .. }) = &self.door else {
            return ClientEvent::Nothing;
        };
        let read = match answers.open(under_way.id, sealed) {
            Some(payload) => codec::decode::<Answer>(payload).map_err(Reason::Unreadable),
            // Anybody's on the way. The pump's own comes with a repetition.
            None => return ClientEvent::Nothing,
        };
        match read {
            Ok(answer) if answer.id == under_way.id => {
                self.end();
                ClientEvent::Answer(answer)
            }
            Ok(_) => self.finish(Fate::Unknown, Reason::Unreadable(Malformed::Identifier)),
            Err(reason) => self.finish(Fate::Unknown, reason),
        }
    }

    /// Not authenticated, so it proves nothing about a request; a session that is denied is not there, whoever says so.
    fn denied(&mut self) -> ClientEvent {
        let body = self.incoming.message().get(HEADER_BYTES..).unwrap_or(&[]);
        let reason = match codec::decode::<Denied>(body) {
            Ok(denied) => Reason::Denied(denied),
            Err(reason) => Reason::Unreadable(reason),
        };
        let fate = if matches!(self.door, Door::Open(_)) {
            Fate::Unknown
        } else {
            Fate::CertainlyNot
        };
        if self.under_way.is_some() {
            self.door = Door::Over;
        }
        self.finish(fate, reason)
    }

    fn aborted(
        &mut self,
        now: CarrierTime,
        sequence: u8,
        reason: Option<Dropped>,
        at: u8,
    ) -> ClientEvent {
        if !self.incoming.is_new(sequence) {
            self.read_again(sequence);
            return ClientEvent::Nothing;
        }
        self.incoming.note(sequence);
        self.incoming.forget();
        self.acknowledge(sequence);
        let sent = self.outgoing.next_sequence();
        let Some(under_way) = &mut self.under_way else {
            return ClientEvent::Nothing;
        };
        if at.wrapping_sub(under_way.first) >= sent.wrapping_sub(under_way.first) {
            // About an earlier transmission.
            return ClientEvent::Nothing;
        }
        if under_way.handed_out {
            under_way.possible = under_way.possible.saturating_sub(1);
        }
        // Whether or not all of it was handed out, the rest is of no use.
        under_way.handed_out = true;
        self.again(now, Reason::Dropped(reason))
    }

    /// Sends the request once more, or ends it.
    fn again(&mut self, now: CarrierTime, reason: Reason) -> ClientEvent {
        let first = self.outgoing.next_sequence();
        let Some(under_way) = &mut self.under_way else {
            return ClientEvent::Nothing;
        };
        if under_way.attempts >= ATTEMPTS {
            let ended = under_way.ended(reason);
            self.end();
            return ClientEvent::Ended(ended);
        }
        under_way.attempts = under_way.attempts.saturating_add(1);
        under_way.due = now.saturating_add(REPEAT_AFTER);
        // A carrier that has not even fetched all frames is slow, and would only be made slower.
        if under_way.handed_out {
            under_way.handed_out = false;
            under_way.first = first;
            self.outgoing.rewind();
        }
        ClientEvent::Nothing
    }

    fn finish(&mut self, fate: Fate, reason: Reason) -> ClientEvent {
        match self.end() {
            Some(under_way) => ClientEvent::Ended(Ended {
                id: under_way.id,
                fate,
                reason,
            }),
            None => ClientEvent::Nothing,
        }
    }

    fn end(&mut self) -> Option<UnderWay> {
        self.outgoing.forget();
        self.under_way.take()
    }

    fn postpone(&mut self, now: CarrierTime) {
        if let Some(under_way) = &mut self.under_way {
            under_way.due = now.saturating_add(REPEAT_AFTER);
        }
    }

    fn acknowledge(&mut self, sequence: u8) {
        self.acknowledged = Some(sequence);
        self.urgent = Some(Frame::acknowledge(sequence));
    }

    /// The fragment already taken is still there, so its acknowledgement was lost.
    fn read_again(&mut self, sequence: u8) {
        if self.acknowledged == Some(sequence) {
            self.urgent = Some(Frame::acknowledge(sequence));
        }
    }
}

impl Default for Client {
    fn default() -> Client {
        Client::new()
    }
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests may panic"
)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::noise::Responder;
    use crate::samples::{self, status};
    use crate::seal::{Sealer, TAG_BYTES};
    use crate::{Component, Keyring, Mode, Program, Role, VERSION};

    const START: CarrierTime = CarrierTime::from_micros(0);

    fn seconds(seconds: u32) -> CarrierTime {
        START.saturating_add(Duration::from_seconds(seconds))
    }

    /// The keys of a session that any test may seal with.
    fn sealer() -> Sealer {
        Sealer::new(samples::secret(5))
    }

    fn open() -> Client {
        let mut client = Client::new();
        client.opened(Mtu::LOWEST);
        client.door = Door::Open(Split {
            requests: sealer(),
            answers: sealer(),
        });
        client
    }

    fn commit() -> Command {
        crate::samples::commit(Digest([4; 32]))
    }

    fn asked(command: &Command) -> (Client, Vec<Frame>) {
        let mut client = open();
        assert_eq!(client.request(START, command), Ok(1));
        let frames = client.frames().collect();
        (client, frames)
    }

    /// A pump that says exactly what a test says.
    fn say(pump: &mut Fragmenter, version: u8, kind: u8, body: &[u8]) -> Vec<Frame> {
        assert!(pump.load(|buffer| {
            buffer[..2].copy_from_slice(&[version, kind]);
            buffer[2..2 + body.len()].copy_from_slice(body);
            body.len().checked_add(2)
        }));
        core::iter::from_fn(|| pump.next_frame(Mtu::LOWEST)).collect()
    }

    fn say_sealed(pump: &mut Fragmenter, counter: u32, payload: &[u8]) -> Vec<Frame> {
        assert!(pump.load(|buffer| {
            envelope::seal(&sealer(), counter, buffer, |place| {
                place[..payload.len()].copy_from_slice(payload);
                Some(payload.len())
            })
        }));
        core::iter::from_fn(|| pump.next_frame(Mtu::LOWEST)).collect()
    }

    fn say_answer(pump: &mut Fragmenter, answer: &Answer) -> Vec<Frame> {
        let mut buffer = [0; 1000];
        let payload = codec::encode(answer, &mut buffer).unwrap().to_vec();
        say_sealed(pump, answer.id, &payload)
    }

    /// Lets the client hear all of it, and gives what the last fragment led to.
    fn hear(client: &mut Client, fragments: &[Frame]) -> ClientEvent {
        let (last, before) = fragments.split_last().unwrap();
        for fragment in before {
            assert_eq!(client.receive(START, fragment), ClientEvent::Nothing);
        }
        client.receive(START, last)
    }

    const COMMITTED: Answer = Answer {
        id: 1,
        outcome: Outcome::Committed { program_number: 2 },
    };

    fn ended(event: ClientEvent) -> (Fate, Reason) {
        match event {
            ClientEvent::Ended(Ended {
                id: 1,
                fate,
                reason,
            }) => (fate, reason),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_request_at_a_time_and_only_when_connected() {
        let mut client = Client::new();
        assert_eq!(
            client.request(START, &Command::Cancel),
            Err(RequestError::NotOpen)
        );
        client.opened(Mtu::LOWEST);
        assert_eq!(
            client.request(START, &Command::Cancel),
            Err(RequestError::NoSession)
        );
        client.door = open().door;
        assert_eq!(client.request(START, &Command::Cancel), Ok(1));
        assert_eq!(
            client.request(START, &Command::Cancel),
            Err(RequestError::UnderWay)
        );
        assert_eq!(client.under_way(), Some(1));
        let end = Ended {
            id: 1,
            fate: Fate::CertainlyNot,
            reason: Reason::Closed,
        };
        assert_eq!(
            client.opened(Mtu::LOWEST),
            Some(end),
            "a connection never said to be closed"
        );
        client.door = open().door;
        assert_eq!(
            client.request(START, &Command::Cancel),
            Ok(2),
            "numbers go on"
        );
    }

    #[test]
    fn every_fragment_is_acknowledged_and_the_last_one_brings_the_answer() {
        let (mut client, frames) = asked(&commit());
        assert_eq!(frames.len(), 5);
        let mut pump = Fragmenter::new();
        let fragments = say_answer(
            &mut pump,
            &Answer {
                id: 1,
                outcome: Outcome::Status(status(2, None)),
            },
        );
        assert!(fragments.len() > 2);
        for (number, fragment) in fragments.iter().enumerate() {
            let event = client.receive(START, fragment);
            assert_eq!(client.next_frame(), Some(Frame::acknowledge(fragment[1])));
            assert_eq!(client.next_frame(), None);
            if number + 1 == fragments.len() {
                assert!(matches!(
                    event,
                    ClientEvent::Answer(Answer {
                        id: 1,
                        outcome: Outcome::Status(_)
                    })
                ));
            } else {
                assert_eq!(event, ClientEvent::Nothing);
                // Polled again: acknowledged again, because the acknowledgement may have been lost.
                assert_eq!(client.receive(START, fragment), ClientEvent::Nothing);
                assert_eq!(client.next_frame(), Some(Frame::acknowledge(fragment[1])));
                // An older one, late: nothing to say.
                if number > 0 {
                    assert_eq!(
                        client.receive(START, &fragments[number - 1]),
                        ClientEvent::Nothing
                    );
                    assert_eq!(client.next_frame(), None);
                }
            }
        }
        assert_eq!(client.under_way(), None);
        assert_eq!(client.closed(), None);
    }

    #[test]
    fn an_answer_to_something_else_is_no_answer() {
        let (mut client, _) = asked(&commit());
        let mut pump = Fragmenter::new();
        for fragment in say_answer(&mut pump, &Answer { id: 2, ..COMMITTED }) {
            assert_eq!(client.receive(START, &fragment), ClientEvent::Nothing);
        }
        let fragments = say_answer(&mut pump, &COMMITTED);
        assert_eq!(
            hear(&mut client, &fragments),
            ClientEvent::Answer(COMMITTED)
        );
        for fragment in say_answer(&mut pump, &COMMITTED) {
            assert_eq!(
                client.receive(START, &fragment),
                ClientEvent::Nothing,
                "answered once"
            );
        }
    }

    #[test]
    fn a_connection_lost_before_the_last_frame_is_certainly_not_and_after_it_unknown() {
        for handed_out in 0..=5 {
            let mut client = open();
            client.request(START, &commit()).unwrap();
            for _ in 0..handed_out {
                assert!(client.next_frame().is_some());
            }
            let fate = if handed_out < 5 {
                Fate::CertainlyNot
            } else {
                Fate::Unknown
            };
            assert_eq!(
                client.closed(),
                Some(Ended {
                    id: 1,
                    fate,
                    reason: Reason::Closed
                }),
                "{handed_out}"
            );
            assert_eq!(client.next_frame(), None);
        }
    }

    #[test]
    fn silence_repeats_the_same_request_and_then_ends_as_unknown() {
        let (mut client, first) = asked(&commit());
        for attempt in 1..u32::from(ATTEMPTS) {
            assert_eq!(
                client.tick(
                    START.saturating_add(Duration::from_millis(3_000 * u64::from(attempt) - 1))
                ),
                ClientEvent::Nothing
            );
            assert_eq!(client.next_frame(), None, "not yet");
            assert_eq!(client.tick(seconds(3 * attempt)), ClientEvent::Nothing);
            let again: Vec<_> = client.frames().collect();
            assert_eq!(again.len(), first.len());
            for (again, first) in again.iter().zip(&first) {
                assert_eq!(
                    (again[0], &again[2..]),
                    (first[0], &first[2..]),
                    "the same but for the sequence number"
                );
                assert_ne!(again[1], first[1]);
            }
        }
        assert_eq!(
            ended(client.tick(seconds(12))),
            (Fate::Unknown, Reason::Silence)
        );
        assert_eq!(client.tick(seconds(99)), ClientEvent::Nothing);
    }

    #[test]
    fn a_new_fragment_postpones_the_repetition() {
        let (mut client, _) = asked(&commit());
        let mut pump = Fragmenter::new();
        let fragments = say_answer(
            &mut pump,
            &Answer {
                id: 1,
                outcome: Outcome::Status(status(2, None)),
            },
        );
        client.receive(seconds(2), &fragments[0]);
        client.next_frame();
        assert_eq!(client.tick(seconds(4)), ClientEvent::Nothing);
        assert_eq!(client.next_frame(), None);
        client.tick(seconds(5));
        assert!(client.next_frame().is_some());
    }

    #[test]
    fn a_carrier_that_never_fetches_the_frames_ends_as_certainly_not() {
        let mut client = open();
        client.request(START, &commit()).unwrap();
        assert!(client.next_frame().is_some());
        for at in [3, 6, 9] {
            assert_eq!(client.tick(seconds(at)), ClientEvent::Nothing);
        }
        assert_eq!(
            ended(client.tick(seconds(12))),
            (Fate::CertainlyNot, Reason::Silence)
        );
        assert_eq!(client.next_frame(), None, "what has ended is not sent");
    }

    #[test]
    fn aborts_repeat_at_once_and_end_as_certainly_not() {
        let (mut client, mut frames) = asked(&commit());
        for number in 0..ATTEMPTS {
            let at = frames[1][1];
            let event = client.receive(START, &Frame::abort(number, Dropped::Gap, at));
            assert_eq!(client.next_frame(), Some(Frame::acknowledge(number)));
            if number + 1 < ATTEMPTS {
                assert_eq!(event, ClientEvent::Nothing);
                // Read once more: no further repetition.
                client.receive(START, &Frame::abort(number, Dropped::Gap, at));
                assert_eq!(client.next_frame(), Some(Frame::acknowledge(number)));
                frames = client.frames().collect();
                assert_eq!(frames.len(), 5);
            } else {
                assert_eq!(
                    ended(event),
                    (Fate::CertainlyNot, Reason::Dropped(Some(Dropped::Gap)))
                );
            }
        }
    }

    #[test]
    fn an_abort_proves_nothing_about_other_transmissions() {
        // Of a repetition: the first transmission may have arrived.
        let (mut client, _) = asked(&commit());
        client.tick(seconds(3));
        let again: Vec<_> = client.frames().collect();
        client.receive(seconds(3), &Frame::abort(0, Dropped::Gap, again[1][1]));
        assert_eq!(client.closed().map(|ended| ended.fate), Some(Fate::Unknown));

        // Of an earlier request.
        let (mut client, first) = asked(&commit());
        assert_eq!(
            client.abandon().map(|ended| ended.fate),
            Some(Fate::Unknown)
        );
        assert_eq!(client.next_frame().map(|frame| frame[0]), Some(0b1000));
        client.request(START, &commit()).unwrap();
        let second: Vec<_> = client.frames().collect();
        client.receive(START, &Frame::abort(0, Dropped::Gap, first[2][1]));
        assert_eq!(client.next_frame(), Some(Frame::acknowledge(0)));
        assert_eq!(client.next_frame(), None, "nothing is repeated");
        let beyond = second.last().unwrap()[1].wrapping_add(1);
        client.receive(START, &Frame::abort(1, Dropped::Gap, beyond));
        assert_eq!(client.closed().map(|ended| ended.fate), Some(Fate::Unknown));
    }

    #[test]
    fn what_cannot_be_understood_leaves_the_fate_unknown() {
        let denied = Denied::Repeated { last: 4 };
        let mut buffer = [0; 32];
        let body = codec::encode(&denied, &mut buffer).unwrap();
        let unreadable = Reason::Unreadable(Malformed::Undecodable);
        let cases: [(Vec<Frame>, Reason); 5] = [
            (
                say(&mut Fragmenter::new(), VERSION, 4, body),
                Reason::Denied(denied),
            ),
            (say(&mut Fragmenter::new(), VERSION, 4, &[99]), unreadable),
            (say_sealed(&mut Fragmenter::new(), 1, &[1, 99]), unreadable),
            (
                say_sealed(&mut Fragmenter::new(), 1, &[2, 3]),
                Reason::Unreadable(Malformed::Identifier),
            ),
            (
                say(&mut Fragmenter::new(), 3, 3, &[1, 2, 3]),
                Reason::UnknownVersion { version: 3 },
            ),
        ];
        for (fragments, reason) in cases {
            let (mut client, _) = asked(&commit());
            assert_eq!(
                ended(hear(&mut client, &fragments)),
                (Fate::Unknown, reason)
            );
            assert_eq!(client.under_way(), None);
        }
    }

    /// What anybody on the way may say: the pump's own answer is taken when it comes.
    #[test]
    fn what_is_not_sealed_by_the_pump_is_ignored() {
        for (kind, body) in [
            (Kind::Sealed.number(), &[1, 0, 0, 0, 9, 9][..]),
            (Kind::Hello.number(), &[7; 65]),
            (9, &[1]),
        ] {
            let (mut client, _) = asked(&commit());
            let forged = say(&mut Fragmenter::new(), VERSION, kind, body);
            assert_eq!(hear(&mut client, &forged), ClientEvent::Nothing);
            assert_eq!(client.under_way(), Some(1));
        }
    }

    /// Opens a session with the responder of `noise`, which says what the test wants.
    fn greeted(pump: &mut Fragmenter, welcome: &[u8]) -> (Client, Vec<Frame>) {
        let (info, credentials) = (samples::info(1), samples::credentials(Role::Clinician));
        let mut client = Client::new();
        client.opened(Mtu::LOWEST);
        client
            .open(START, &info, &credentials, samples::secret(88))
            .unwrap();
        assert_eq!(
            client.request(START, &Command::Cancel),
            Err(RequestError::UnderWay)
        );
        let mut collected = Reassembler::new(None);
        for frame in client.frames().collect::<Vec<_>>() {
            let Ok(Parsed::Data(part)) = Parsed::from_bytes(&frame) else {
                panic!("{frame:?}");
            };
            collected.receive(START, &part).unwrap();
        }
        let hello = Hello::from_bytes(&collected.message()[HEADER_BYTES..]).unwrap();
        let keyring: Keyring = samples::keyring();
        let slot = keyring.get(hello.slot).unwrap();
        assert!(hello.passes(&slot.gate, &info.nonce));
        let (private, public) = keyring.pump().unwrap();
        let mut noise = hello.noise;
        let responder = Responder::read(
            &envelope::prologue(&info),
            (private, public),
            &slot.public_key.unwrap(),
            &slot.preshared,
            &mut noise,
        )
        .unwrap();
        let mut body = std::vec![0; 32];
        body.extend(welcome);
        body.extend([0; TAG_BYTES]);
        responder.answer(&samples::secret(77), &mut body).unwrap();
        let fragments = say(pump, VERSION, Kind::Welcome.number(), &body);
        (client, fragments)
    }

    #[test]
    fn a_session_opens_once_and_tells_the_last_number() {
        let welcome = Welcome {
            role: Role::Clinician,
            last_number: 41,
        };
        let mut buffer = [0; 8];
        let payload = codec::encode(&welcome, &mut buffer).unwrap();
        let mut pump = Fragmenter::new();
        let (mut client, fragments) = greeted(&mut pump, payload);
        assert_eq!(hear(&mut client, &fragments), ClientEvent::Welcome(welcome));
        assert_eq!(client.under_way(), None);
        assert_eq!(client.last_number(), 41);
        let (info, credentials) = (samples::info(1), samples::credentials(Role::Clinician));
        assert_eq!(
            client.open(START, &info, &credentials, samples::secret(88)),
            Err(RequestError::SessionUsed)
        );
        assert_eq!(client.request(START, &Command::Interrogate), Ok(1));
        assert_eq!(client.last_number(), 41, "changes nothing, needs no number");
        client.abandon();
        assert_eq!(client.request(START, &commit()), Ok(2));
        assert_eq!(client.last_number(), 42);
    }

    #[test]
    fn a_welcome_of_somebody_else_is_none() {
        let mut pump = Fragmenter::new();
        let (mut client, _) = greeted(&mut pump, &[1, 0]);
        let forged = say(&mut pump, VERSION, Kind::Welcome.number(), &[7; 50]);
        let event = hear(&mut client, &forged);
        assert_eq!(
            event,
            ClientEvent::Ended(Ended {
                id: 0,
                fate: Fate::CertainlyNot,
                reason: Reason::NotThePump
            })
        );
        assert_eq!(
            client.request(START, &Command::Cancel),
            Err(RequestError::NoSession)
        );
    }

    #[test]
    fn a_session_that_is_denied_is_certainly_none() {
        for denied in samples::denied() {
            let mut pump = Fragmenter::new();
            let (mut client, _) = greeted(&mut pump, &[1, 0]);
            let mut buffer = [0; 16];
            let body = codec::encode(&denied, &mut buffer).unwrap();
            let fragments = say(&mut pump, VERSION, Kind::Denied.number(), body);
            let event = hear(&mut client, &fragments);
            assert_eq!(
                event,
                ClientEvent::Ended(Ended {
                    id: 0,
                    fate: Fate::CertainlyNot,
                    reason: Reason::Denied(denied)
                })
            );
            assert!(!std::format!("{denied}").is_empty());
        }
    }

    #[test]
    fn damaged_fragments_are_counted_and_not_acknowledged() {
        let (mut client, _) = asked(&commit());
        let fragments = say_answer(&mut Fragmenter::new(), &COMMITTED);
        let (last, before) = fragments.split_last().unwrap();
        for fragment in before {
            client.receive(START, fragment);
            assert_eq!(client.next_frame(), Some(Frame::acknowledge(fragment[1])));
        }
        let mut damaged = last.to_vec();
        damaged[2] ^= 1;
        assert_eq!(client.receive(START, &damaged), ClientEvent::Nothing);
        assert_eq!(client.receive(START, &damaged), ClientEvent::Nothing);
        assert_eq!(client.receive(START, &[0xff, 1, 2]), ClientEvent::Nothing);
        assert_eq!(client.receive(START, &[]), ClientEvent::Nothing);
        assert_eq!(client.next_frame(), None);
        assert_eq!(
            (
                client.drops().of(Dropped::Checksum),
                client.drops().of(Dropped::Flags)
            ),
            (1, 1)
        );
    }

    #[test]
    fn refusals_are_certain_but_for_a_number_used_before() {
        assert_eq!(Outcome::Cancelled.fate(), Fate::Done);
        assert_eq!(
            Outcome::Refused(Refused::NotDone).fate(),
            Fate::CertainlyNot
        );
        for refused in samples::refusals() {
            let expected = match refused {
                Refused::NumberUsed { .. } => Fate::Unknown,
                _ => Fate::CertainlyNot,
            };
            assert_eq!(Outcome::Refused(refused).fate(), expected);
        }
        for denial in samples::denials() {
            assert_eq!(Outcome::BolusRefused { denial }.fate(), Fate::CertainlyNot);
        }
        for outcome in samples::outcomes() {
            let expected = match outcome {
                Outcome::Refused(_) | Outcome::BolusRefused { .. } => Fate::CertainlyNot,
                _ => Fate::Done,
            };
            assert_eq!(outcome.fate(), expected, "{outcome:?}");
        }
    }

    #[test]
    fn a_lost_order_is_resolved_by_asking() {
        let resolve = |last, storing| {
            let therapy = TherapyStatus {
                storing,
                ..samples::therapy(last)
            };
            resolve_order(8, &therapy)
        };
        assert_eq!(resolve(7, false), Fate::CertainlyNot);
        assert_eq!(resolve(7, true), Fate::Unknown, "still storing");
        assert_eq!(resolve(8, false), Fate::Done);
        assert_eq!(resolve(8, true), Fate::Done, "the next one is stored");
        assert_eq!(resolve(9, false), Fate::Unknown, "one more since");
    }

    /// Every command travels, and its answer comes back.
    #[test]
    fn every_command_is_sent_and_every_outcome_received() {
        let mut buffer = [0; 1024];
        for command in samples::commands() {
            let (client, frames) = asked(&command);
            assert_eq!(client.under_way(), Some(1));
            let sent: usize = frames.iter().map(|frame| frame.len()).sum();
            assert!(sent > codec::encode(&command, &mut buffer).unwrap().len());
        }
        for outcome in samples::outcomes() {
            let (mut client, _) = asked(&commit());
            let answer = Answer { id: 1, outcome };
            let event = say_answer(&mut Fragmenter::new(), &answer)
                .iter()
                .map(|fragment| client.receive(START, fragment))
                .last();
            assert_eq!(event, Some(ClientEvent::Answer(answer)));
        }
    }

    #[test]
    fn a_repetition_is_resolved_by_its_answer() {
        let refill = |command, expected| {
            let refused = Outcome::Refused(Refused::WrongOrder { expected });
            resolve_repetition(&command, &refused)
        };
        for step in [RefillStep::Aspirated, RefillStep::Confirm] {
            assert_eq!(refill(Command::OpenRefill, step), Fate::Done);
            assert_eq!(refill(Command::CloseRefill, step), Fate::Unknown);
        }
        assert_eq!(refill(Command::OpenRefill, RefillStep::Open), Fate::Unknown);
        assert_eq!(refill(Command::CloseRefill, RefillStep::Open), Fate::Done);
        let aspirated = Command::RefillAspirated { volume_nl: 1 };
        assert_eq!(refill(aspirated, RefillStep::Open), Fate::Unknown);
        let gone = Outcome::Refused(Refused::NotNow {
            why: NotNow::NoAlarm,
        });
        let forces = |in_force| {
            Outcome::Refused(Refused::LibraryInvalid {
                fault: LibraryFault::OldVersion { in_force },
            })
        };
        for command in samples::commands() {
            let resolve = |again: &Outcome| resolve_repetition(&command, again);
            let is_alarm = matches!(
                command,
                Command::AcknowledgeAlarm { .. } | Command::SilenceAlarm { .. }
            );
            let is_library = matches!(command, Command::LoadLibrary(_));
            let done = |is| if is { Fate::Done } else { Fate::Unknown };
            assert_eq!(resolve(&Outcome::Done), Fate::Done);
            assert_eq!(resolve(&gone), done(is_alarm), "{command:?}");
            assert_eq!(resolve(&forces(4)), done(is_library), "{command:?}");
            assert_eq!(resolve(&forces(5)), Fate::Unknown, "somebody else's");
            for refused in [Refused::Busy, Refused::NotDone] {
                assert_eq!(resolve(&Outcome::Refused(refused)), Fate::Unknown);
            }
        }
    }

    fn program(concentration_ng_per_ml: u32) -> Program {
        let primary = Component {
            drug: units::Drug::Morphine,
            concentration_ng_per_ml,
        };
        Program::new(primary, Mode::Stopped)
    }

    #[test]
    fn a_lost_commit_is_resolved_by_asking() {
        let digest = Digest::of(&program(5), 8);
        let resolve = |status: &Status| resolve_commit(&digest, 7, status);
        assert_eq!(resolve(&status(8, Some(program(5)))), Fate::Done);
        assert_eq!(resolve(&status(7, Some(program(4)))), Fate::CertainlyNot);
        assert_eq!(
            resolve(&status(7, Some(program(5)))),
            Fate::CertainlyNot,
            "the same program from before"
        );
        assert_eq!(
            resolve(&status(8, Some(program(4)))),
            Fate::Unknown,
            "somebody else's"
        );
        assert_eq!(
            resolve(&status(9, Some(program(5)))),
            Fate::Unknown,
            "one more since"
        );
        assert_eq!(
            resolve(&Status {
                committing: true,
                ..status(7, None)
            }),
            Fate::Unknown,
            "still storing"
        );
    }
}
