//! The pump's end of the link: frames in, authorised requests out, answers held until they have been read.
//!
//! One [`Session`] serves one connection at a time:
//!
//! ```text
//! Command write  -> receive(now, frame) -> Received::Request(request) -> the pump
//! Response read  <- response()          <- answer(id, &answer)        <- the pump
//! indication     <- indication()           (the same bytes, once for each new fragment)
//! ```
//!
//! - [`Session::response`] is the current fragment and can be read any number of times; only the acknowledgement frame with
//!   its number brings the next. Acknowledgements of anything else do nothing, so repeating one is harmless.
//! - One request at a time: a new one discards an answer not yet read, and the answer to one that is still being worked on is
//!   dropped when it comes ([`AnswerError::NotAsked`]). What the pump does is not affected; the phone has to ask.
//! - A request happens at most once in a connection: repeating the last one (same number, same bytes) sends its answer again,
//!   or nothing while it is still being worked on. Lower numbers are refused.
//! - When a message is dropped, the fragment becomes an abort frame that names the reason and the frame, so that the phone knows at
//!   once that this request has certainly not arrived.
use units::{CarrierTime, Duration};

use crate::VERSION;
use crate::codec::{self, Malformed};
use crate::envelope::{
    self, COUNTER_BYTES, Denied, HEADER_BYTES, Hello, Kind, PROLOGUE_BYTES, Unopenable,
    WELCOME_BYTES, Welcome,
};
use crate::fragmenter::Fragmenter;
use crate::frame::{CHECK_LENGTH, Dropped, Drops, Frame, Mtu, Parsed, Part};
use crate::info::Info;
use crate::keys::{KEY_BYTES, Keyring, Secret, Slot};
use crate::message::{Answer, CommandKind, Outcome, Request};
use crate::noise::{Responder, Split};
use crate::reassembler::{Progress, Reassembler, SILENCE};
use crate::refused::Refused;
use crate::roles::{Caller, Situation, permission};
use crate::seal::{Sealer, TAG_BYTES};

/// How long a session may be without a request before the pump ends it: 5 min of carrier time \[P\].
pub const IDLE_LIMIT: Duration = Duration::from_seconds(300);

/// How long a phone that was denied has for reading why, before the pump hangs up: 2 s of carrier time \[P\].
pub const HANG_UP_AFTER: Duration = Duration::from_seconds(2);

/// Names one connection, so that an answer never reaches another one than it was asked on. The carrier's owner counts them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct SessionId(pub u32);

/// What a frame led to.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is no heap to put it on")]
pub enum Received {
    /// Nothing for the pump: part of a message, an acknowledgement, a repetition.
    Nothing,
    /// Somebody known has opened a session.
    Opened(Caller),
    /// A request that this session's role may make, by [`Session::caller`]. Answer it with [`Session::answer`].
    Request(Request),
    /// A request was refused, and the answer that says so is already in place. For the log.
    Refused {
        /// Number of the request.
        id: u32,
        /// Why.
        refused: Refused,
    },
    /// Somebody was not let in, or was let out; it is told why. For the log, and for the quota of those who are not let in.
    Denied(Denied),
    /// The frame, or the message it belonged to, was dropped; already counted. For the log.
    Dropped(Dropped),
}

/// Why an answer was not taken. Never a reason to undo anything: what is done is done, the phone will ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AnswerError {
    /// The connection on which the request came is gone.
    OtherSession,
    /// The phone has asked something else meanwhile, or this was answered already.
    NotAsked,
    /// The answer does not fit into a message; no [`Answer`] that exists is that long.
    TooLong,
}

impl core::fmt::Display for AnswerError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str(match self {
            AnswerError::OtherSession => "the connection on which the request came is gone",
            AnswerError::NotAsked => "nobody waits for this answer any more",
            AnswerError::TooLong => "the answer does not fit into a message",
        })
    }
}

impl core::error::Error for AnswerError {}

/// What a session has seen since it was made. Saturating.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Requests handed to the pump.
    pub requests: u32,
    /// Requests refused by the session itself.
    pub refused: u32,
    /// Messages denied: nobody's, forged, repeated, or changed on the way.
    pub denied: u32,
    /// Requests received again and not handed on.
    pub repeated: u32,
    /// Frames and messages dropped, by reason.
    pub drops: Drops,
}

/// Why the pump ends a connection by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HangUp {
    /// The phone was not let in, or let out.
    Denied,
    /// There has been no request for [`IDLE_LIMIT`].
    Idle,
    /// The session was there only with presence, and that is over.
    PresenceOver,
    /// The key it spoke with has been taken away.
    KeyGone,
}

impl HangUp {
    /// What to say after "the connection ends: ".
    pub const fn text(self) -> &'static str {
        match self {
            HangUp::Denied => "the phone was denied",
            HangUp::Idle => "nothing was asked for 5 min",
            HangUp::PresenceOver => "the presence window has closed",
            HangUp::KeyGone => "the key was taken away",
        }
    }
}

impl core::fmt::Display for HangUp {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str(self.text())
    }
}

/// Where a connection stands.
#[derive(Clone, Debug)]
enum Door {
    /// Nobody has said who it is. What a handshake needs is ready, once.
    Closed { ephemeral: Secret },
    /// A handshake has gone wrong on this connection, or a session has ended.
    Locked,
    /// Somebody is in.
    Open {
        caller: Caller,
        key: Slot,
        requests: Sealer,
        answers: Sealer,
    },
}

/// The pump's end of one connection. Some 4.5 KB, no heap.
#[derive(Clone, Debug)]
pub struct Session {
    keyring: Keyring,
    situation: Situation,
    door: Door,
    prologue: [u8; PROLOGUE_BYTES],
    nonce: [u8; 8],
    idle_since: CarrierTime,
    hang_up: Option<(CarrierTime, HangUp)>,
    open: Option<SessionId>,
    mtu: Mtu,
    incoming: Reassembler,
    outgoing: Fragmenter,
    response: Frame,
    showing: Showing,
    /// The fragment in `response` has not been handed out by `indication` yet.
    fresh: bool,
    last: Option<Last>,
    /// The slot in whose name somebody has failed.
    failed: Option<u8>,
    counters: Counters,
}

/// What is in `response`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Showing {
    Nothing,
    Answer,
    Abort,
}

/// The request with the highest number on this connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Last {
    id: u32,
    check: [u8; CHECK_LENGTH],
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Handed to the pump.
    Working,
    /// Its answer is in `outgoing`.
    Answered,
    /// Its answer was there but has been replaced by a refusal of something else.
    Lost,
}

impl Session {
    /// A session that waits for a connection, and lets nobody in before it has keys.
    pub const fn new(situation: Situation) -> Session {
        Session {
            keyring: Keyring::new(),
            situation,
            door: Door::Locked,
            prologue: [0; PROLOGUE_BYTES],
            nonce: [0; 8],
            idle_since: CarrierTime::from_micros(0),
            hang_up: None,
            open: None,
            mtu: Mtu::LOWEST,
            incoming: Reassembler::new(Some(SILENCE)),
            outgoing: Fragmenter::new(),
            response: Frame::EMPTY,
            showing: Showing::Nothing,
            fresh: false,
            last: None,
            failed: None,
            counters: Counters {
                requests: 0,
                refused: 0,
                denied: 0,
                repeated: 0,
                drops: Drops::NONE,
            },
        }
    }

    /// The pump's keys, as soon as they are known and whenever one changes. A session whose key is gone ends.
    pub fn keyring(&mut self) -> &mut Keyring {
        &mut self.keyring
    }

    /// The keys have changed.
    pub fn keys_changed(&mut self, now: CarrierTime) {
        if let Door::Open { caller, key, .. } = &self.door
            && self
                .keyring
                .get(caller.slot)
                .is_none_or(|slot| !slot.is_same_key(key))
        {
            self.lock(now, HangUp::KeyGone);
        }
    }

    /// A phone has connected. `info` is what it reads, with random bytes of this connection; `ephemeral` is 32 more of them. Nothing of an
    /// earlier connection remains but the counters.
    pub fn opened(&mut self, id: SessionId, mtu: Mtu, info: &Info, ephemeral: Secret) {
        self.closed();
        self.open = Some(id);
        self.mtu = mtu;
        self.prologue = envelope::prologue(info);
        self.nonce = info.nonce;
        self.door = Door::Closed { ephemeral };
    }

    /// The connection is gone. The caller tells the pump, which discards what was staged.
    pub fn closed(&mut self) {
        self.open = None;
        self.door = Door::Locked;
        self.hang_up = None;
        self.incoming.reset();
        self.outgoing.reset();
        self.show_nothing();
        self.last = None;
    }

    /// The reason why the connection is to be ended now, if it is. To be asked whenever time has passed.
    pub fn hang_up(&mut self, now: CarrierTime) -> Option<HangUp> {
        if let Door::Open { caller, .. } = &self.door {
            if caller.role.needs_presence() && !self.situation.armed {
                self.lock(now, HangUp::PresenceOver);
            } else if now.saturating_since(self.idle_since) >= IDLE_LIMIT {
                self.lock(now, HangUp::Idle);
            }
        }
        self.hang_up
            .filter(|(at, _)| now >= *at)
            .map(|(_, reason)| reason)
    }

    /// The door closes for good, and the connection ends a little later.
    fn lock(&mut self, now: CarrierTime, reason: HangUp) {
        self.door = Door::Locked;
        if self.hang_up.is_none() {
            self.hang_up = Some((now.saturating_add(HANG_UP_AFTER), reason));
        }
    }

    /// The MTU was negotiated anew; it holds from the next fragment on.
    pub fn set_mtu(&mut self, mtu: Mtu) {
        self.mtu = mtu;
    }

    /// The pump's situation has changed; it decides about the next request.
    pub fn set_situation(&mut self, situation: Situation) {
        self.situation = situation;
    }

    /// The connection being served.
    pub fn id(&self) -> Option<SessionId> {
        self.open
    }

    /// Who speaks, once somebody does.
    pub fn caller(&self) -> Option<Caller> {
        match &self.door {
            Door::Open { caller, .. } => Some(*caller),
            Door::Closed { .. } | Door::Locked => None,
        }
    }

    /// What has been seen so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The slot in whose name somebody has failed to prove who he is, once: for the log.
    pub fn take_failed(&mut self) -> Option<u8> {
        self.failed.take()
    }

    /// The current fragment, what a read of Response gives: empty when there is nothing to say. Reading changes nothing.
    pub fn response(&self) -> &[u8] {
        &self.response
    }

    /// The current fragment if it is new since the last call: what is to be indicated (or pushed, on a carrier that does).
    pub fn indication(&mut self) -> Option<&[u8]> {
        if !self.fresh {
            return None;
        }
        self.fresh = false;
        Some(&self.response)
    }

    /// Drops a message that has stood still for two seconds. Calling it is needed only for telling the phone early: what
    /// has expired is never taken anyway.
    pub fn tick(&mut self, now: CarrierTime) -> Option<Dropped> {
        let dropped = self.incoming.expire(now)?;
        self.drop_message(dropped, self.incoming.seen());
        Some(dropped)
    }

    /// Takes a frame that the phone wrote, at the time `now`. Any bytes are fit to be given.
    // Not merged with its caller: what it takes of a stack is known by its name (tests/firmware/stack_depth.py), and the caller's goes on without it.
    #[inline(never)]
    pub fn receive(&mut self, now: CarrierTime, frame: &[u8]) -> Received {
        if self.open.is_none() {
            self.counters.drops.count(Dropped::NotOpen);
            return Received::Dropped(Dropped::NotOpen);
        }
        // What has expired is counted; this frame is judged on its own.
        let _ = self.tick(now);
        match Parsed::from_bytes(frame) {
            Ok(Parsed::Data(part)) => self.data(now, &part),
            Ok(Parsed::Acknowledge { sequence }) => {
                self.acknowledged(sequence);
                Received::Nothing
            }
            Ok(Parsed::Abort { sequence, .. }) => self.abandoned(sequence),
            Err(reason) => {
                self.counters.drops.count(reason);
                Received::Dropped(reason)
            }
        }
    }

    /// Puts the answer to the request that came on connection `to` into Response.
    ///
    /// # Errors
    /// [`AnswerError`] when nobody waits for it any more; then nothing has changed.
    pub fn answer(&mut self, to: SessionId, answer: &Answer) -> Result<(), AnswerError> {
        let last = self.asked(to, answer.id)?;
        let loaded = self.put(answer.id, answer);
        self.answered(last, loaded)
    }

    /// As [`Session::answer`], for an answer that was encoded elsewhere ([`codec::encode`]) and bears the number `id`: whoever only passes it
    /// on need not be able to read it.
    ///
    /// # Errors
    /// [`AnswerError`] when nobody waits for it any more; then nothing has changed.
    #[inline(never)] // as `receive`
    pub fn answer_encoded(
        &mut self,
        to: SessionId,
        id: u32,
        encoded: &[u8],
    ) -> Result<(), AnswerError> {
        let last = self.asked(to, id)?;
        let loaded = self.put_bytes(id, encoded);
        self.answered(last, loaded)
    }

    /// As [`Session::answer`], for a refusal: an [`Answer`] is long whatever it says, and none is made.
    ///
    /// # Errors
    /// [`AnswerError`] when nobody waits for it any more; then nothing has changed.
    pub fn answer_refused(
        &mut self,
        to: SessionId,
        id: u32,
        refused: Refused,
    ) -> Result<(), AnswerError> {
        let last = self.asked(to, id)?;
        let loaded = self.put(id, &(id, Outcome::REFUSED, refused));
        self.answered(last, loaded)
    }

    /// The request that an answer is for.
    fn asked(&self, to: SessionId, answered: u32) -> Result<Last, AnswerError> {
        if self.open != Some(to) {
            return Err(AnswerError::OtherSession);
        }
        self.last
            .filter(|last| last.stage == Stage::Working && last.id == answered)
            .ok_or(AnswerError::NotAsked)
    }

    fn answered(&mut self, last: Last, loaded: bool) -> Result<(), AnswerError> {
        if !loaded {
            return Err(AnswerError::TooLong);
        }
        self.last = Some(Last {
            stage: Stage::Answered,
            ..last
        });
        Ok(())
    }

    fn data(&mut self, now: CarrierTime, part: &Part<'_>) -> Received {
        if !self.incoming.is_new(part.sequence) {
            return Received::Nothing;
        }
        if part.total.is_some() {
            if self.incoming.is_collecting() {
                // The phone knows that it began anew: no abort frame.
                self.counters.drops.count(Dropped::Interrupted);
            }
            if self.showing == Showing::Abort {
                self.show_nothing();
            }
        }
        match self.incoming.receive(now, part) {
            Ok(Progress::Partial | Progress::Repeated) => Received::Nothing,
            Ok(Progress::Complete) => self.message(now),
            Err(reason) => {
                self.drop_message(reason, Some(part.sequence));
                Received::Dropped(reason)
            }
        }
    }

    fn message(&mut self, now: CarrierTime) -> Received {
        let received = match envelope::kind_of(self.incoming.message()) {
            Ok(Kind::Hello) => self.hello(now),
            Ok(Kind::Sealed) => self.sealed(now),
            Ok(Kind::Welcome | Kind::Denied) | Err(Unopenable::Kind) => {
                self.deny(Denied::Malformed)
            }
            Err(Unopenable::Version(version)) => self.deny(Denied::UnknownVersion {
                version,
                known: VERSION,
            }),
        };
        self.incoming.forget();
        received
    }

    /// Somebody says who it is. Whatever is wrong with that ends the connection: there is one try.
    fn hello(&mut self, now: CarrierTime) -> Received {
        let check = self.incoming.check();
        if let Some(last) = self.last
            && last.id == 0
            && last.check == check
        {
            // Its answer was lost on the way.
            return match self.repeated(last) {
                Ok(()) => Received::Nothing,
                Err(denied) => self.deny(denied),
            };
        }
        let body = self.incoming.message().get(HEADER_BYTES..);
        let hello = body.and_then(Hello::from_bytes);
        let ephemeral = match &self.door {
            Door::Closed { ephemeral } => ephemeral.clone(),
            // Somebody is in already, or was: the connection is worn out.
            Door::Open { .. } | Door::Locked => {
                self.lock(now, HangUp::Denied);
                return self.deny(Denied::ConnectionUsed);
            }
        };
        // It is used once.
        self.door = Door::Locked;
        // Not moved into a result: it is long, and most that come unbidden end at the gate.
        let shaken = match &hello {
            Some(hello) => self.shake_hands(hello, &ephemeral, check),
            None => Err(Denied::Malformed),
        };
        match shaken {
            Ok(caller) => {
                self.idle_since = now;
                Received::Opened(caller)
            }
            Err(denied) => {
                if denied == Denied::NotAdmitted {
                    self.failed = hello.map(|hello| hello.slot);
                }
                self.lock(now, HangUp::Denied);
                self.deny(denied)
            }
        }
    }

    /// The gate first: what does not pass it costs one HMAC and tells nothing.
    // Not merged with its callers: the handshake needs a deep stack, and nothing else of the session is to lie on it.
    #[inline(never)]
    fn shake_hands(
        &mut self,
        hello: &Hello,
        ephemeral: &Secret,
        check: [u8; CHECK_LENGTH],
    ) -> Result<Caller, Denied> {
        let slot = self.keyring.get(hello.slot).ok_or(Denied::NotAdmitted)?;
        if !hello.passes(&slot.gate, &self.nonce) {
            return Err(Denied::NotAdmitted);
        }
        let caller = Caller {
            slot: hello.slot,
            role: slot.role,
        };
        if caller.role.needs_presence() && !self.situation.armed {
            return Err(Denied::NotArmed);
        }
        let (private, public) = self.keyring.pump().ok_or(Denied::NotAdmitted)?;
        let phone = slot
            .public_key
            .or(hello.public_key)
            .ok_or(Denied::NotAdmitted)?;
        let welcome = Welcome {
            role: slot.role,
            last_number: slot.last_number,
        };
        let mut noise = hello.noise;
        let responder = Responder::read(
            &self.prologue,
            (private, public),
            &phone,
            &slot.preshared,
            &mut noise,
        )
        .ok_or(Denied::NotAdmitted)?;
        let mut split = None;
        let loaded = self.outgoing.load(|buffer| {
            let body = envelope::begin(Kind::Welcome, buffer)?;
            let payload = body.get_mut(KEY_BYTES..KEY_BYTES.checked_add(WELCOME_BYTES)?)?;
            let length = codec::encode(&welcome, payload)?.len();
            let length = KEY_BYTES.checked_add(length)?.checked_add(TAG_BYTES)?;
            split = responder.answer(ephemeral, body.get_mut(..length)?);
            split.as_ref()?;
            length.checked_add(HEADER_BYTES)
        });
        let (true, Some(Split { requests, answers })) = (loaded, split) else {
            return Err(Denied::NotAdmitted);
        };
        self.door = Door::Open {
            caller,
            key: slot.clone(),
            requests,
            answers,
        };
        self.last = Some(Last {
            id: 0,
            check,
            stage: Stage::Answered,
        });
        self.show_next();
        Ok(caller)
    }

    /// A request in a session. Its counter is looked at before anything is opened: none is opened twice.
    fn sealed(&mut self, now: CarrierTime) -> Received {
        let check = self.incoming.check();
        let body = self
            .incoming
            .message_mut()
            .get_mut(HEADER_BYTES..)
            .unwrap_or(&mut []);
        let Some((counter, sealed)) = body.split_first_chunk_mut::<COUNTER_BYTES>() else {
            return self.deny(Denied::Malformed);
        };
        let counter = u32::from_le_bytes(*counter);
        let last = match (&self.door, self.last) {
            (Door::Open { .. }, Some(last)) => last,
            (Door::Open { .. } | Door::Closed { .. } | Door::Locked, _) => {
                return self.deny(Denied::NoSession);
            }
        };
        if last.id == counter && last.check == check {
            return match self.repeated(last) {
                Ok(()) => Received::Nothing,
                Err(denied) => self.deny(denied),
            };
        }
        if counter <= last.id {
            return self.deny(Denied::Repeated { last: last.id });
        }
        let Door::Open {
            requests, caller, ..
        } = &self.door
        else {
            return self.deny(Denied::NoSession);
        };
        let Some(payload) = requests.open(counter, sealed) else {
            self.failed = Some(caller.slot);
            self.lock(now, HangUp::Denied);
            return self.deny(Denied::NotSealed);
        };
        let read = codec::decode::<Request>(payload);
        // Looked at where it is, like everything here.
        let malformed = match &read {
            Ok(request) if request.id != counter => Some(Malformed::Identifier),
            Ok(request) if request.number != 0 && !request.command.kind().is_numbered() => {
                Some(Malformed::Numbered)
            }
            Ok(_) => None,
            Err(reason) => Some(unreadable(payload, *reason)),
        };
        self.idle_since = now;
        // From here on the counter is used up, whatever becomes of the request.
        self.last = Some(Last {
            id: counter,
            check,
            stage: Stage::Working,
        });
        if let Some(malformed) = malformed {
            return self.refuse(counter, Refused::BadMessage(malformed));
        }
        let Ok(request) = read else {
            return Received::Nothing;
        };
        match self.admit(request.command.kind(), request.number) {
            Ok(()) => Received::Request(request),
            Err(refused) => self.refuse(counter, refused),
        }
    }

    /// Decides about a request by what is small of it: the request itself is large and stays where it is.
    fn admit(&mut self, kind: CommandKind, number: u32) -> Result<(), Refused> {
        let Door::Open { caller, .. } = &self.door else {
            return Err(Refused::NotDone);
        };
        permission(caller.role, kind, &self.situation)
            .map_err(|because| Refused::NotAllowed { because })?;
        if kind.is_numbered() {
            self.keyring.use_number(caller.slot, number)?;
        }
        self.outgoing.forget();
        self.show_nothing();
        self.counters.requests = self.counters.requests.saturating_add(1);
        Ok(())
    }

    /// The last message once more: never handed to the pump again.
    fn repeated(&mut self, last: Last) -> Result<(), Denied> {
        self.counters.repeated = self.counters.repeated.saturating_add(1);
        match last.stage {
            Stage::Working => {}
            Stage::Answered => {
                self.outgoing.rewind();
                self.show_next();
            }
            Stage::Lost => return Err(Denied::Repeated { last: last.id }),
        }
        Ok(())
    }

    /// Answers a request that was opened with a refusal, sealed like any answer.
    fn refuse(&mut self, id: u32, refused: Refused) -> Received {
        self.counters.refused = self.counters.refused.saturating_add(1);
        if let Some(last) = &mut self.last {
            last.stage = Stage::Answered;
        }
        // A refusal is short; and were it not, the phone would time out and ask.
        let _ = self.put(id, &(id, Outcome::REFUSED, refused));
        Received::Refused { id, refused }
    }

    /// Says, in the open, why nothing is opened. An answer that was there is lost with it.
    fn deny(&mut self, denied: Denied) -> Received {
        self.counters.denied = self.counters.denied.saturating_add(1);
        if let Some(Last {
            stage: stage @ Stage::Answered,
            ..
        }) = &mut self.last
        {
            *stage = Stage::Lost;
        }
        let _ = self.outgoing.load(|buffer| {
            let body = envelope::begin(Kind::Denied, buffer)?;
            codec::encode(&denied, body)?
                .len()
                .checked_add(HEADER_BYTES)
        });
        self.show_next();
        Received::Denied(denied)
    }

    /// Encodes an answer and shows its first fragment.
    fn put(&mut self, counter: u32, answer: &impl serde::Serialize) -> bool {
        self.put_with(counter, |payload| {
            codec::encode(answer, payload).map(<[u8]>::len)
        })
    }

    fn put_bytes(&mut self, counter: u32, encoded: &[u8]) -> bool {
        self.put_with(counter, |payload| {
            let length = encoded.len();
            payload.get_mut(..length)?.copy_from_slice(encoded);
            Some(length)
        })
    }

    /// Seals what `write` puts there, with the counter of the request: it is used for one answer only.
    fn put_with(&mut self, counter: u32, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> bool {
        let Door::Open { answers, .. } = &self.door else {
            return false;
        };
        let loaded = self
            .outgoing
            .load(|buffer| envelope::seal(answers, counter, buffer, write));
        self.show_next();
        loaded
    }

    fn acknowledged(&mut self, sequence: u8) {
        if self.response.get(1) != Some(&sequence) {
            return;
        }
        match self.showing {
            Showing::Answer => self.show_next(),
            Showing::Abort => self.show_nothing(),
            Showing::Nothing => {}
        }
    }

    /// The phone gives up: what it was sending, and what it was reading.
    fn abandoned(&mut self, sequence: u8) -> Received {
        if !self.incoming.is_new(sequence) {
            return Received::Nothing;
        }
        self.incoming.note(sequence);
        self.show_nothing();
        if !self.incoming.is_collecting() {
            return Received::Nothing;
        }
        self.incoming.forget();
        self.counters.drops.count(Dropped::Abandoned);
        Received::Dropped(Dropped::Abandoned)
    }

    /// Counts a dropped message and tells the phone, once until it begins a new message.
    fn drop_message(&mut self, reason: Dropped, at: Option<u8>) {
        self.counters.drops.count(reason);
        if let (Some(at), Showing::Nothing | Showing::Answer) = (at, self.showing) {
            let sequence = self.outgoing.take_sequence();
            self.response.set_abort(sequence, reason, at);
            self.showing(Showing::Abort);
        }
    }

    fn show_next(&mut self) {
        match self.outgoing.cut(self.mtu, &mut self.response) {
            Some(()) => self.showing(Showing::Answer),
            None => self.show_nothing(),
        }
    }

    fn show_nothing(&mut self) {
        self.response.clear();
        self.showing(Showing::Nothing);
    }

    /// Something has been put into `response`.
    fn showing(&mut self, showing: Showing) {
        self.showing = showing;
        self.fresh = showing != Showing::Nothing;
    }
}

/// Why a request cannot be read, as exactly as can be said.
fn unreadable(payload: &[u8], reason: Malformed) -> Malformed {
    let known = u32::try_from(CommandKind::ALL.len()).unwrap_or(u32::MAX);
    match (reason, codec::salvage_command(payload)) {
        (Malformed::Undecodable, Some(number)) if number >= known => {
            Malformed::UnknownCommand { number }
        }
        (reason, _) => reason,
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
    use crate::MESSAGE_LIMIT;
    use std::vec::Vec;

    use units::{CarrierTime, Duration};

    use super::*;
    use crate::envelope::HELLO_BYTES;
    use crate::info::Lifecycle;
    use crate::keys::{Credentials, gate_key};
    use crate::noise::{FIRST_BYTES, Initiator};
    use crate::{Command, Digest, NotAllowed, Program, Role, samples};

    const START: CarrierTime = CarrierTime::from_micros(5_000_000);
    const PHONE: SessionId = SessionId(7);
    const SERVING: Situation = Situation {
        lifecycle: Lifecycle::InService,
        armed: false,
        alarm: false,
    };
    const ARMED: Situation = Situation {
        armed: true,
        ..SERVING
    };

    /// A phone that does exactly what a test says, and a session.
    struct Bench {
        session: Session,
        phone: Fragmenter,
        sealed: Split,
        now: CarrierTime,
    }

    impl Bench {
        /// A connection with a session in a role.
        fn new(role: Role) -> Bench {
            let mut bench = Bench::connected(SERVING);
            bench.say_hello(role);
            bench
        }

        /// A connection on which nobody has said anything yet.
        fn connected(situation: Situation) -> Bench {
            let mut session = Session::new(situation);
            *session.keyring() = samples::keyring();
            session.opened(PHONE, Mtu::LOWEST, &samples::info(1), samples::secret(77));
            let nothing = || crate::seal::Sealer::new(samples::secret(0));
            Bench {
                session,
                phone: Fragmenter::new(),
                sealed: Split {
                    requests: nothing(),
                    answers: nothing(),
                },
                now: START,
            }
        }

        /// The frames of a Hello, and what its handshake goes on with.
        fn hello(&mut self, credentials: &Credentials, nonce: u8) -> (Vec<Frame>, Initiator) {
            let info = samples::info(nonce);
            let mut noise = [0; FIRST_BYTES];
            let initiator = Initiator::begin(
                &envelope::prologue(&info),
                (credentials.private(), credentials.public()),
                credentials.pump(),
                credentials.preshared(),
                samples::secret(88),
                &mut noise,
            )
            .unwrap();
            let hello = Hello::new(
                credentials.slot(),
                credentials.public(),
                &gate_key(credentials.preshared()),
                &info.nonce,
                noise,
            );
            let mut body = [0; HELLO_BYTES];
            let length = hello.write(&mut body).unwrap();
            (
                self.raw_frames(VERSION, Kind::Hello.number(), &body[..length]),
                initiator,
            )
        }

        /// Opens a session. Gives what the pump said.
        fn say_hello(&mut self, role: Role) -> Welcome {
            let credentials = samples::credentials(role);
            let (frames, initiator) = self.hello(&credentials, 1);
            let caller = Caller {
                slot: credentials.slot(),
                role,
            };
            assert_eq!(self.send(&frames), Received::Opened(caller));
            let mut message = self.read_message().unwrap();
            assert_eq!(message[..2], [VERSION, Kind::Welcome.number()]);
            let (split, payload) = initiator.finish(&mut message[2..]).unwrap();
            self.sealed = split;
            codec::decode(payload).unwrap()
        }

        /// The frames of a message with this body.
        fn raw_frames(&mut self, version: u8, kind: u8, body: &[u8]) -> Vec<Frame> {
            assert!(self.phone.load(|buffer| {
                buffer[..2].copy_from_slice(&[version, kind]);
                buffer[2..2 + body.len()].copy_from_slice(body);
                body.len().checked_add(2)
            }));
            core::iter::from_fn(|| self.phone.next_frame(Mtu::LOWEST)).collect()
        }

        /// The frames of a sealed payload.
        fn sealed_frames(&mut self, counter: u32, payload: &[u8]) -> Vec<Frame> {
            let requests = &self.sealed.requests;
            assert!(self.phone.load(|buffer| {
                envelope::seal(requests, counter, buffer, |place| {
                    place[..payload.len()].copy_from_slice(payload);
                    Some(payload.len())
                })
            }));
            core::iter::from_fn(|| self.phone.next_frame(Mtu::LOWEST)).collect()
        }

        /// The frames of a request; one that is numbered bears its own number.
        fn frames(&mut self, id: u32, command: Command) -> Vec<Frame> {
            let number = if command.kind().is_numbered() { id } else { 0 };
            self.numbered_frames(id, number, command)
        }

        fn numbered_frames(&mut self, id: u32, number: u32, command: Command) -> Vec<Frame> {
            let mut buffer = [0; 1000];
            let request = Request {
                id,
                number,
                command,
            };
            let payload = codec::encode(&request, &mut buffer).unwrap();
            self.sealed_frames(id, payload)
        }

        fn receive(&mut self, frame: &[u8]) -> Received {
            self.session.receive(self.now, frame)
        }

        /// Sends all frames and gives what the last one led to; the others must lead to nothing.
        fn send(&mut self, frames: &[Frame]) -> Received {
            let (last, before) = frames.split_last().unwrap();
            for frame in before {
                assert_eq!(self.receive(frame), Received::Nothing);
            }
            self.receive(last)
        }

        fn ask(&mut self, id: u32, command: Command) -> Received {
            let frames = self.frames(id, command);
            self.send(&frames)
        }

        /// Answers, and sees that an answer which was encoded elsewhere would have done the same.
        fn answer(&mut self, id: u32, outcome: Outcome) -> Result<(), AnswerError> {
            let answer = Answer { id, outcome };
            let mut buffer = [0; MESSAGE_LIMIT];
            let encoded = codec::encode(&answer, &mut buffer).unwrap();
            let mut passing_on = self.session.clone();
            let passed_on = passing_on.answer_encoded(PHONE, id, encoded);
            let answered = self.session.answer(PHONE, &answer);
            assert_eq!(passed_on, answered);
            assert_eq!(passing_on.last, self.session.last);
            assert_eq!(passing_on.response(), self.session.response());
            answered
        }

        /// Reads fragment after fragment, acknowledging each.
        fn read_message(&mut self) -> Option<Vec<u8>> {
            let mut reassembler = Reassembler::new(None);
            while let Ok(Parsed::Data(part)) = Parsed::from_bytes(self.session.response()) {
                let sequence = part.sequence;
                let progress = reassembler.receive(START, &part);
                assert_eq!(
                    self.receive(&Frame::acknowledge(sequence)),
                    Received::Nothing
                );
                if progress == Ok(Progress::Complete) {
                    return Some(reassembler.message().to_vec());
                }
            }
            None
        }

        /// Reads a sealed answer.
        fn read(&mut self) -> Option<Answer> {
            let mut message = self.read_message()?;
            assert_eq!(message[..2], [VERSION, Kind::Sealed.number()]);
            let counter = u32::from_le_bytes(message[2..6].try_into().unwrap());
            let payload = self
                .sealed
                .answers
                .open(counter, &mut message[6..])
                .unwrap();
            let answer: Answer = codec::decode(payload).unwrap();
            assert_eq!(answer.id, counter);
            Some(answer)
        }

        /// Reads what was denied.
        fn read_denied(&mut self) -> Option<Denied> {
            let message = self.read_message()?;
            assert_eq!(message[..2], [VERSION, Kind::Denied.number()]);
            Some(codec::decode(&message[2..]).unwrap())
        }

        /// Sends what must be denied, and sees that it is told.
        fn denied(&mut self, frames: &[Frame], denied: Denied) {
            assert_eq!(self.send(frames), Received::Denied(denied));
            assert_eq!(self.read_denied(), Some(denied));
        }

        fn shown_abort(&self) -> Option<(Dropped, u8)> {
            match Parsed::from_bytes(self.session.response()) {
                Ok(Parsed::Abort { reason, at, .. }) => reason.map(|reason| (reason, at)),
                Ok(_) | Err(_) => None,
            }
        }
    }

    fn program() -> Program {
        crate::samples::program()
    }

    fn commit() -> Command {
        crate::samples::commit(Digest([3; 32]))
    }

    const COMMITTED: Outcome = Outcome::Committed { program_number: 12 };

    /// Header, counter, answer, tag and check fill a message.
    const LONGEST_ANSWER: usize =
        MESSAGE_LIMIT - HEADER_BYTES - COUNTER_BYTES - TAG_BYTES - CHECK_LENGTH;

    #[test]
    fn an_encoded_answer_is_passed_on_up_to_the_longest() {
        for (length, passed_on) in [
            (LONGEST_ANSWER, Ok(())),
            (LONGEST_ANSWER + 1, Err(AnswerError::TooLong)),
        ] {
            let mut bench = Bench::new(Role::Clinician);
            assert!(matches!(bench.ask(1, commit()), Received::Request(_)));
            assert_eq!(
                bench
                    .session
                    .answer_encoded(PHONE, 1, &std::vec![0; length]),
                passed_on
            );
            assert_eq!(bench.session.response().is_empty(), passed_on.is_err());
        }
    }

    #[test]
    fn a_refusal_needs_no_answer_around_it() {
        let mut bench = Bench::new(Role::Clinician);
        bench.ask(1, Command::Interrogate);
        let session = &mut bench.session;
        let other = SessionId(PHONE.0 + 1);
        assert_eq!(
            session.answer_refused(other, 1, Refused::Busy),
            Err(AnswerError::OtherSession)
        );
        assert_eq!(session.answer_refused(PHONE, 1, Refused::Busy), Ok(()));
        assert_eq!(
            session.answer_refused(PHONE, 1, Refused::Busy),
            Err(AnswerError::NotAsked)
        );
        let refused = Answer {
            id: 1,
            outcome: Outcome::Refused(Refused::Busy),
        };
        assert_eq!(bench.read(), Some(refused));
    }

    #[test]
    fn a_request_goes_in_and_its_answer_comes_out() {
        let mut bench = Bench::new(Role::Clinician);
        assert_eq!(bench.session.response(), [0_u8; 0]);
        let request = Request {
            id: 1,
            number: 0,
            command: Command::Stage(program()),
        };
        assert_eq!(
            bench.ask(1, request.command.clone()),
            Received::Request(request)
        );
        assert_eq!(bench.session.response(), [0_u8; 0]);
        assert_eq!(bench.answer(1, COMMITTED), Ok(()));
        assert_eq!(
            bench.read(),
            Some(Answer {
                id: 1,
                outcome: COMMITTED
            })
        );
        assert_eq!(bench.session.response(), [0_u8; 0], "read to its end");
        assert_eq!(bench.session.counters().requests, 1);
        assert_eq!(bench.session.counters().drops.total(), 0);
    }

    #[test]
    fn response_holds_the_fragment_until_its_own_acknowledgement() {
        let mut bench = Bench::new(Role::Clinician);
        bench.ask(1, Command::Interrogate);
        let staged = crate::samples::staged(program(), 2);
        bench.answer(1, Outcome::Staged(staged)).unwrap();
        let first = bench.session.response().to_vec();
        assert_eq!(bench.session.indication(), Some(&first[..]));
        assert_eq!(bench.session.indication(), None, "indicated once");
        for _ in 0..3 {
            assert_eq!(bench.session.response(), first);
        }
        for wrong in (0..=u8::MAX).filter(|sequence| *sequence != first[1]) {
            bench.receive(&Frame::acknowledge(wrong));
            assert_eq!(
                bench.session.response(),
                first,
                "acknowledgement of {wrong}"
            );
        }
        bench.receive(&Frame::acknowledge(first[1]));
        let second = bench.session.response().to_vec();
        assert_eq!(second[1], first[1].wrapping_add(1));
        assert_eq!(bench.session.indication(), Some(&second[..]));
        bench.receive(&Frame::acknowledge(first[1]));
        assert_eq!(
            bench.session.response(),
            second,
            "a repeated acknowledgement is harmless"
        );
    }

    #[test]
    fn the_last_request_repeated_brings_its_answer_again_and_nothing_else() {
        let mut bench = Bench::new(Role::Clinician);
        assert!(matches!(bench.ask(1, commit()), Received::Request(_)));
        assert_eq!(
            bench.ask(1, commit()),
            Received::Nothing,
            "still being worked on"
        );
        bench.answer(1, COMMITTED).unwrap();
        let first = bench.session.response().to_vec();
        for _ in 0..3 {
            assert_eq!(bench.ask(1, commit()), Received::Nothing);
            assert_ne!(
                bench.session.response(),
                first,
                "the fragments have new numbers"
            );
            assert_eq!(
                bench.read(),
                Some(Answer {
                    id: 1,
                    outcome: COMMITTED
                })
            );
        }
        assert_eq!(
            (
                bench.session.counters().requests,
                bench.session.counters().repeated
            ),
            (1, 4)
        );
    }

    #[test]
    fn counters_used_before_are_not_even_opened() {
        let mut bench = Bench::new(Role::Clinician);
        bench.ask(5, commit());
        bench.answer(5, COMMITTED).unwrap();
        for (id, command) in [
            (5, Command::Cancel),
            (4, commit()),
            (1, Command::Interrogate),
        ] {
            let frames = bench.frames(id, command);
            bench.denied(&frames, Denied::Repeated { last: 5 });
        }
        // Its answer has been replaced; the commit is nevertheless not done again.
        let frames = bench.frames(5, commit());
        bench.denied(&frames, Denied::Repeated { last: 5 });
        assert!(matches!(bench.ask(6, commit()), Received::Request(_)));
    }

    /// At most once per command number, over sessions.
    #[test]
    fn command_numbers_go_up_for_ever() {
        let mut bench = Bench::new(Role::Clinician);
        let mut id = 0;
        let mut ask = |bench: &mut Bench, number, command| {
            id += 1;
            let frames = bench.numbered_frames(id, number, command);
            bench.send(&frames)
        };
        assert!(matches!(ask(&mut bench, 7, commit()), Received::Request(_)));
        for number in [7, 6, 1, 0] {
            assert!(matches!(
                ask(&mut bench, number, commit()),
                Received::Refused {
                    refused: Refused::NumberUsed { last: 7 },
                    ..
                }
            ));
        }
        assert!(matches!(
            ask(&mut bench, 0, Command::Interrogate),
            Received::Request(_)
        ));
        assert!(matches!(
            ask(&mut bench, 8, Command::Interrogate),
            Received::Refused {
                refused: Refused::BadMessage(Malformed::Numbered),
                ..
            }
        ));
        assert!(matches!(ask(&mut bench, 9, commit()), Received::Request(_)));

        bench.session.opened(
            SessionId(8),
            Mtu::LOWEST,
            &samples::info(1),
            samples::secret(78),
        );
        bench.phone.reset();
        let welcome = bench.say_hello(Role::Clinician);
        assert_eq!(welcome.last_number, 9);
        let mut frames = bench.numbered_frames(1, 9, commit());
        assert!(matches!(
            bench.send(&frames),
            Received::Refused {
                refused: Refused::NumberUsed { last: 9 },
                ..
            }
        ));
        frames = bench.numbered_frames(2, 10, commit());
        assert!(matches!(bench.send(&frames), Received::Request(_)));
        // Every key counts for itself.
        bench.session.opened(
            SessionId(9),
            Mtu::LOWEST,
            &samples::info(1),
            samples::secret(79),
        );
        bench.phone.reset();
        assert_eq!(bench.say_hello(Role::Patient).last_number, 0);
    }

    #[test]
    fn nobody_is_in_before_a_hello_and_only_its_keys_open() {
        let mut bench = Bench::connected(SERVING);
        assert_eq!(bench.session.caller(), None);
        let frames = bench.frames(1, Command::Interrogate);
        bench.denied(&frames, Denied::NoSession);
        let welcome = bench.say_hello(Role::Clinician);
        assert_eq!(
            welcome,
            Welcome {
                role: Role::Clinician,
                last_number: 0
            }
        );
        // A second handshake on the same connection ends it.
        let (frames, _) = bench.hello(&samples::credentials(Role::Patient), 1);
        bench.denied(&frames, Denied::ConnectionUsed);
        assert_eq!(bench.session.caller(), None);
        let frames = bench.frames(1, Command::Interrogate);
        bench.denied(&frames, Denied::NoSession);
    }

    #[test]
    fn a_hello_repeated_brings_the_same_welcome() {
        let mut bench = Bench::connected(SERVING);
        let credentials = samples::credentials(Role::Clinician);
        let (frames, initiator) = bench.hello(&credentials, 1);
        assert!(matches!(bench.send(&frames), Received::Opened(_)));
        let first = bench.read_message().unwrap();
        let (frames, _) = bench.hello(&credentials, 1);
        assert_eq!(bench.send(&frames), Received::Nothing);
        let mut again = bench.read_message().unwrap();
        assert_eq!(again, first);
        bench.sealed = initiator.finish(&mut again[2..]).unwrap().0;
        assert!(matches!(bench.ask(1, commit()), Received::Request(_)));
        // Once a request has come, the Welcome was read: one more Hello is not a repetition any more.
        let (frames, _) = bench.hello(&credentials, 1);
        bench.denied(&frames, Denied::ConnectionUsed);
    }

    #[test]
    fn one_try_a_connection_and_no_word_about_what_was_wrong() {
        let good = samples::credentials(Role::Clinician);
        let wrong = |slot, preshared| {
            Credentials::new(slot, good.private().clone(), preshared, *good.pump())
        };
        let other_key = Credentials::new(
            good.slot(),
            samples::secret(99),
            good.preshared().clone(),
            *good.pump(),
        );
        for (credentials, nonce) in [
            (wrong(6, good.preshared().clone()), 1),
            (wrong(9, good.preshared().clone()), 1),
            (wrong(good.slot(), samples::secret(98)), 1),
            (other_key, 1),
            (good.clone(), 2),
        ] {
            let mut bench = Bench::connected(SERVING);
            let (frames, _) = bench.hello(&credentials, nonce);
            bench.denied(&frames, Denied::NotAdmitted);
            assert_eq!(bench.session.take_failed(), Some(credentials.slot()));
            assert_eq!(bench.session.take_failed(), None, "told once");
            assert_eq!(bench.session.hang_up(START), None, "time for reading why");
            let later = START.saturating_add(HANG_UP_AFTER);
            assert_eq!(bench.session.hang_up(later), Some(HangUp::Denied));
            // Even the right one comes too late.
            let (frames, _) = bench.hello(&good, 1);
            bench.denied(&frames, Denied::ConnectionUsed);
        }
        let mut bench = Bench::connected(SERVING);
        let frames = bench.raw_frames(VERSION, Kind::Hello.number(), &[0; 30]);
        bench.denied(&frames, Denied::Malformed);
    }

    #[test]
    fn a_pump_without_keys_lets_nobody_in() {
        let mut bench = Bench::connected(SERVING);
        *bench.session.keyring() = Keyring::new();
        let (frames, _) = bench.hello(&samples::credentials(Role::Clinician), 1);
        bench.denied(&frames, Denied::NotAdmitted);
    }

    #[test]
    fn enrolment_and_emergency_need_presence_all_the_time() {
        for role in [Role::Enrolling, Role::Emergency] {
            let mut bench = Bench::connected(SERVING);
            let (frames, _) = bench.hello(&samples::credentials(role), 1);
            bench.denied(&frames, Denied::NotArmed);
            assert_eq!(bench.session.take_failed(), None, "nobody's forgery");

            let mut bench = Bench::connected(ARMED);
            bench.say_hello(role);
            assert_eq!(bench.session.hang_up(START), None);
            bench.session.set_situation(SERVING);
            bench.session.hang_up(START);
            assert_eq!(bench.session.caller(), None);
            let later = START.saturating_add(HANG_UP_AFTER);
            assert_eq!(bench.session.hang_up(later), Some(HangUp::PresenceOver));
            let frames = bench.frames(1, Command::ReadKeys);
            bench.denied(&frames, Denied::NoSession);
        }
        let mut bench = Bench::new(Role::Clinician);
        bench.session.set_situation(SERVING);
        assert_eq!(bench.session.hang_up(START), None);
    }

    #[test]
    fn a_message_that_was_changed_ends_the_session() {
        let mut bench = Bench::new(Role::Clinician);
        let right = bench.sealed.requests.clone();
        bench.sealed.requests = bench.sealed.answers.clone();
        let frames = bench.frames(1, commit());
        bench.denied(&frames, Denied::NotSealed);
        let own = samples::credentials(Role::Clinician).slot();
        assert_eq!(bench.session.take_failed(), Some(own));
        bench.sealed.requests = right;
        let frames = bench.frames(2, commit());
        bench.denied(&frames, Denied::NoSession);
        assert_eq!(bench.session.counters().requests, 0);
    }

    #[test]
    fn what_was_sealed_in_one_session_opens_in_no_other() {
        let mut bench = Bench::new(Role::Clinician);
        let old = bench.sealed.requests.clone();
        bench.session.opened(
            SessionId(8),
            Mtu::LOWEST,
            &samples::info(1),
            samples::secret(78),
        );
        bench.phone.reset();
        bench.say_hello(Role::Clinician);
        bench.sealed.requests = old;
        let frames = bench.frames(1, commit());
        bench.denied(&frames, Denied::NotSealed);
    }

    #[test]
    fn a_session_ends_when_nothing_is_asked_or_its_key_is_gone() {
        let mut bench = Bench::new(Role::Clinician);
        let before =
            |time: CarrierTime| CarrierTime::from_micros(time.micros().checked_sub(1).unwrap());
        let end = START.saturating_add(IDLE_LIMIT);
        assert_eq!(bench.session.hang_up(before(end)), None);
        assert!(bench.session.caller().is_some());
        // A request prolongs it.
        bench.now = before(end);
        bench.ask(1, Command::Interrogate);
        let end = bench.now.saturating_add(IDLE_LIMIT);
        assert_eq!(bench.session.hang_up(before(end)), None);
        assert!(bench.session.caller().is_some());
        assert_eq!(bench.session.hang_up(end), None);
        assert_eq!(bench.session.caller(), None);
        let later = end.saturating_add(HANG_UP_AFTER);
        assert_eq!(bench.session.hang_up(before(later)), None);
        assert_eq!(bench.session.hang_up(later), Some(HangUp::Idle));

        let mut bench = Bench::new(Role::Clinician);
        bench.session.keyring().set(1, None);
        bench.session.keys_changed(START);
        assert!(bench.session.caller().is_some(), "another key");
        // The same key told again, with another number.
        let same = bench.session.keyring().get(0).unwrap().clone();
        let (public, preshared) = (same.public_key, same.preshared.clone());
        let again = Slot::new(Role::Clinician, public, preshared.clone(), 77);
        bench.session.keyring().set(0, Some(again));
        bench.session.keys_changed(START);
        assert!(bench.session.caller().is_some(), "the same key");
        // Somebody else's, or another secret, in its place.
        let stranger = Some(samples::secret(60).public_key());
        for other in [
            Slot::new(Role::Clinician, stranger, preshared.clone(), 0),
            Slot::new(Role::Clinician, public, samples::secret(61), 0),
            Slot::new(Role::Service, public, preshared, 0),
        ] {
            let mut bench = Bench::new(Role::Clinician);
            bench.session.keyring().set(0, Some(other));
            bench.session.keys_changed(START);
            assert_eq!(bench.session.caller(), None);
        }
        bench.session.keyring().set(0, None);
        bench.session.keys_changed(START);
        assert_eq!(bench.session.caller(), None);
        let later = START.saturating_add(HANG_UP_AFTER);
        assert_eq!(bench.session.hang_up(later), Some(HangUp::KeyGone));
    }

    #[test]
    fn a_new_request_discards_the_answer_not_yet_read() {
        let mut bench = Bench::new(Role::Clinician);
        bench.ask(1, Command::ReadBack);
        bench.answer(1, COMMITTED).unwrap();
        assert_ne!(bench.session.response(), [0_u8; 0]);
        assert!(matches!(
            bench.ask(2, Command::Interrogate),
            Received::Request(_)
        ));
        assert_eq!(bench.session.response(), [0_u8; 0]);
        assert_eq!(bench.answer(1, COMMITTED), Err(AnswerError::NotAsked));
        assert_eq!(bench.answer(2, Outcome::Cancelled), Ok(()));
        assert_eq!(
            bench.answer(2, Outcome::Cancelled),
            Err(AnswerError::NotAsked),
            "answered once"
        );
        assert_eq!(
            bench.read(),
            Some(Answer {
                id: 2,
                outcome: Outcome::Cancelled
            })
        );
    }

    #[test]
    fn an_answer_never_reaches_another_connection() {
        let mut bench = Bench::new(Role::Clinician);
        bench.ask(1, commit());
        bench.session.closed();
        assert_eq!(bench.answer(1, COMMITTED), Err(AnswerError::OtherSession));
        bench.session.opened(
            SessionId(8),
            Mtu::LOWEST,
            &samples::info(1),
            samples::secret(78),
        );
        bench.phone.reset();
        bench.say_hello(Role::Clinician);
        assert!(matches!(
            bench.ask(1, Command::Interrogate),
            Received::Request(_)
        ));
        assert_eq!(bench.answer(1, COMMITTED), Err(AnswerError::OtherSession));
        assert_eq!(bench.session.response(), [0_u8; 0]);
    }

    #[test]
    fn nothing_is_taken_without_a_connection() {
        let mut bench = Bench::new(Role::Clinician);
        let frames = bench.frames(1, Command::Interrogate);
        bench.session.closed();
        for frame in &frames {
            assert_eq!(bench.receive(frame), Received::Dropped(Dropped::NotOpen));
        }
    }

    #[test]
    fn a_role_may_do_what_the_table_says() {
        let commands = [
            Command::Stage(program()),
            Command::ReadBack,
            commit(),
            Command::Cancel,
            Command::ResetStatusChanged { mask: 1 },
        ];
        let mut bench = Bench::new(Role::Patient);
        for (id, command) in (1..).zip(commands) {
            let refused = Refused::NotAllowed {
                because: NotAllowed::Role {
                    role: Role::Patient,
                },
            };
            assert_eq!(bench.ask(id, command), Received::Refused { id, refused });
            assert_eq!(
                bench.read(),
                Some(Answer {
                    id,
                    outcome: Outcome::Refused(refused)
                })
            );
        }
        assert!(matches!(
            bench.ask(9, Command::Interrogate),
            Received::Request(_)
        ));
        assert_eq!(bench.session.counters().refused, 5);
    }

    #[test]
    fn the_situation_decides_about_the_next_request() {
        let mut bench = Bench::new(Role::Clinician);
        bench.session.set_situation(Situation {
            lifecycle: Lifecycle::EndOfService,
            ..SERVING
        });
        assert_eq!(
            bench.ask(1, commit()),
            Received::Refused {
                id: 1,
                refused: Refused::NotAllowed {
                    because: NotAllowed::Lifecycle {
                        lifecycle: Lifecycle::EndOfService
                    }
                }
            }
        );
        bench.session.set_situation(SERVING);
        assert_eq!(
            bench.ask(1, commit()),
            Received::Nothing,
            "the same request: the same answer"
        );
        assert!(matches!(bench.ask(2, commit()), Received::Request(_)));
    }

    #[test]
    fn a_refused_request_leaves_nothing_to_answer() {
        let mut bench = Bench::new(Role::Patient);
        bench.ask(1, commit());
        assert_eq!(bench.answer(1, COMMITTED), Err(AnswerError::NotAsked));
    }

    #[test]
    fn another_version_or_kind_is_denied_clearly() {
        let mut bench = Bench::new(Role::Clinician);
        for version in [0, 2] {
            let frames = bench.raw_frames(version, Kind::Sealed.number(), &[1, 0]);
            let known = VERSION;
            bench.denied(&frames, Denied::UnknownVersion { version, known });
        }
        for kind in [0, Kind::Welcome.number(), Kind::Denied.number(), 5, u8::MAX] {
            let frames = bench.raw_frames(VERSION, kind, &[0; 70]);
            bench.denied(&frames, Denied::Malformed);
        }
        let frames = bench.raw_frames(VERSION, Kind::Sealed.number(), &[0; 3]);
        bench.denied(&frames, Denied::Malformed);
        assert!(matches!(bench.ask(1, commit()), Received::Request(_)));
    }

    #[test]
    fn what_cannot_be_read_is_refused_under_its_counter() {
        let cases: [(&[u8], Malformed); 6] = [
            (&[1, 0, 99], Malformed::UnknownCommand { number: 99 }),
            (&[2, 0, 1, 9], Malformed::Undecodable),
            (&[3, 0, 0, 0], Malformed::TrailingBytes),
            (&[0x84, 0, 0, 0], Malformed::NotCanonical),
            (&[0, 0, 0], Malformed::Identifier),
            (&[0xff], Malformed::Undecodable),
        ];
        let mut bench = Bench::new(Role::Clinician);
        for (id, (payload, reason)) in (1..).zip(cases) {
            let frames = bench.sealed_frames(id, payload);
            let refused = Refused::BadMessage(reason);
            assert_eq!(
                bench.send(&frames),
                Received::Refused { id, refused },
                "{payload:?}"
            );
            assert_eq!(
                bench.read(),
                Some(Answer {
                    id,
                    outcome: Outcome::Refused(refused)
                })
            );
        }
        // A counter is used up by whatever was sealed with it: no answer may be sealed with it again.
        let frames = bench.frames(6, commit());
        bench.denied(&frames, Denied::Repeated { last: 6 });
        assert!(matches!(bench.ask(7, commit()), Received::Request(_)));
    }

    #[test]
    fn a_lost_frame_is_told_with_its_number() {
        let mut bench = Bench::new(Role::Clinician);
        let frames = bench.frames(1, commit());
        bench.receive(&frames[0]);
        assert_eq!(bench.receive(&frames[2]), Received::Dropped(Dropped::Gap));
        assert_eq!(bench.shown_abort(), Some((Dropped::Gap, frames[2][1])));
        let shown = bench.session.response().to_vec();
        assert_eq!(bench.session.counters().drops.of(Dropped::Gap), 1);
        // More of the same message is not told again.
        let rest = Frame::next(frames[2][1].wrapping_add(1), false, b"x");
        bench.phone.take_sequence();
        assert_eq!(bench.receive(&rest), Received::Dropped(Dropped::NotStarted));
        assert_eq!(bench.session.response(), shown);
        bench.receive(&Frame::acknowledge(shown[1]));
        assert_eq!(bench.session.response(), [0_u8; 0]);
        assert!(matches!(bench.ask(1, commit()), Received::Request(_)));
    }

    #[test]
    fn an_abort_frame_goes_when_a_new_message_begins() {
        let mut bench = Bench::new(Role::Clinician);
        let frames = bench.frames(1, commit());
        bench.receive(&frames[1]);
        assert_eq!(
            bench.shown_abort(),
            Some((Dropped::NotStarted, frames[1][1]))
        );
        bench.phone.rewind();
        let again = bench.frames(1, commit());
        bench.receive(&again[0]);
        assert_eq!(bench.shown_abort(), None);
    }

    #[test]
    fn a_wrong_checksum_never_becomes_a_request() {
        let mut bench = Bench::new(Role::Clinician);
        let frames = bench.frames(1, Command::Interrogate);
        let mut last = frames[1].to_vec();
        last[2] ^= 1;
        assert_eq!(bench.receive(&frames[0]), Received::Nothing);
        assert_eq!(bench.receive(&last), Received::Dropped(Dropped::Checksum));
        assert_eq!(bench.shown_abort(), Some((Dropped::Checksum, last[1])));
        assert_eq!(bench.session.counters().requests, 0);
    }

    #[test]
    fn silence_is_told_at_the_tick_and_taken_into_account_without_one() {
        let mut bench = Bench::new(Role::Clinician);
        let frames = bench.frames(1, commit());
        bench.receive(&frames[0]);
        bench.now = START.saturating_add(Duration::from_millis(1_999));
        assert_eq!(bench.session.tick(bench.now), None);
        bench.now = START.saturating_add(Duration::from_millis(2_000));
        assert_eq!(bench.session.tick(bench.now), Some(Dropped::Silence));
        assert_eq!(bench.shown_abort(), Some((Dropped::Silence, frames[0][1])));
        assert_eq!(
            bench.receive(&frames[1]),
            Received::Dropped(Dropped::NotStarted)
        );

        let frames = bench.frames(1, commit());
        bench.receive(&frames[0]);
        bench.now = bench.now.saturating_add(Duration::from_millis(2_000));
        assert_eq!(
            bench.receive(&frames[1]),
            Received::Dropped(Dropped::NotStarted),
            "without a tick"
        );
        assert_eq!(bench.session.counters().drops.of(Dropped::Silence), 2);
        assert_eq!(bench.session.counters().requests, 0);
    }

    #[test]
    fn a_message_that_begins_anew_is_counted_but_not_told() {
        let mut bench = Bench::new(Role::Clinician);
        let unfinished = bench.frames(1, commit());
        bench.receive(&unfinished[0]);
        assert!(matches!(bench.ask(1, commit()), Received::Request(_)));
        assert_eq!(bench.session.counters().drops.of(Dropped::Interrupted), 1);
        assert_eq!(bench.shown_abort(), None);
    }

    #[test]
    fn a_phone_that_gives_up_clears_both_directions() {
        let mut bench = Bench::new(Role::Clinician);
        bench.ask(1, commit());
        bench.answer(1, COMMITTED).unwrap();
        let unfinished = bench.frames(2, commit());
        bench.receive(&unfinished[0]);
        let abort = Frame::abort(
            bench.phone.take_sequence(),
            Dropped::Abandoned,
            unfinished[0][1],
        );
        assert_eq!(bench.receive(&abort), Received::Dropped(Dropped::Abandoned));
        assert_eq!(bench.session.response(), [0_u8; 0]);
        assert_eq!(bench.receive(&abort), Received::Nothing, "repeated");
        assert_eq!(bench.ask(1, commit()), Received::Nothing, "still done once");
        assert_eq!(
            bench.read(),
            Some(Answer {
                id: 1,
                outcome: COMMITTED
            })
        );
    }

    #[test]
    fn what_is_no_frame_is_counted_and_leaves_the_message_alone() {
        let mut bench = Bench::new(Role::Clinician);
        let frames = bench.frames(1, commit());
        bench.receive(&frames[0]);
        assert_eq!(bench.receive(&[]), Received::Dropped(Dropped::Runt));
        assert_eq!(
            bench.receive(&[0x80, 0, 0]),
            Received::Dropped(Dropped::Flags)
        );
        assert_eq!(
            bench.receive(&[0; 245]),
            Received::Dropped(Dropped::FrameTooLong)
        );
        assert!(matches!(bench.send(&frames[1..]), Received::Request(_)));
        assert_eq!(bench.session.counters().drops.total(), 3);
    }

    #[test]
    fn nothing_but_counters_outlives_a_connection() {
        let mut bench = Bench::new(Role::Clinician);
        bench.ask(9, commit());
        bench.answer(9, COMMITTED).unwrap();
        let unfinished = bench.frames(10, commit());
        bench.receive(&unfinished[0]);
        bench.session.opened(
            SessionId(8),
            Mtu::HIGHEST,
            &samples::info(1),
            samples::secret(78),
        );
        assert_eq!(
            (bench.session.id(), bench.session.response()),
            (Some(SessionId(8)), &[][..])
        );
        assert_eq!(bench.session.indication(), None);
        assert_eq!(
            bench.receive(&unfinished[1]),
            Received::Dropped(Dropped::NotStarted)
        );
        bench.session.set_mtu(Mtu::LOWEST);
        bench.say_hello(Role::Clinician);
        let frames = bench.numbered_frames(1, 10, commit());
        assert!(
            matches!(bench.send(&frames), Received::Request(_)),
            "counters start anew, numbers do not"
        );
        assert_eq!(bench.session.counters().requests, 2);
    }
}
