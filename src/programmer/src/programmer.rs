//! The dialogue with a pump: interrogate, stage, review, commit, order, and an honest account of what became of each.
//!
//! A commit, a bolus or a prime whose answer was lost is [`Pending`]. It is resolved by asking the same pump again, never by sending it
//! once more; until then nothing that gives drug is sent. Everything else may be done twice, and says so
//! ([`CommandKind::when_unknown`]).
//!
//! A connection begins with its session: [`Programmer::open`] with a key, or [`Programmer::enrol`] with the code of a sterile pack or an
//! implant card, which ends with this phone's own key ([`Programmer::grant_own`]) and a new connection. Who has no key has nothing to say.
use protocol::client::{resolve_commit, resolve_order};
use protocol::roles::TABLE;
use protocol::{
    Answer, Client, ClientEvent, Command, CommandKind, Commit, Credentials, Denied, Digest, Ended,
    Fate, Frame, Info, KeyEntry, KeyGrant, KeyText, Mtu, Outcome, Program, PublicKey, Reason, Role,
    Secret, Shown, Staged, Status, TherapyStatus, Welcome, WhenUnknown,
};
use serde::{Deserialize, Serialize};
use units::{CarrierTime, OverrideReason, PumpKind};

use crate::act::{Act, done_text};
use crate::form::{Checked, Form};
use crate::keys::{self, Code, KeyView};
use crate::readout::{About, Readout, stands_still_unrecorded};
use crate::review::Review;
use crate::therapy_view::{PathView, TherapyView};

/// Something the page has to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    /// Nothing yet.
    Nothing,
    /// The session is open.
    Welcome {
        /// Whose.
        session: SessionView,
        /// What this tells about something pending: a command whose number the pump has not had was certainly not done.
        resolved: Option<Resolved>,
    },
    /// The session was not opened. Connect again: a connection has one try.
    NotOpened {
        /// Why, in the pump's own words where it said something.
        reason: String,
        /// `not-admitted`, `not-armed` or `other`.
        why: &'static str,
    },
    /// The keys that are let in.
    Keys {
        /// Each of them.
        keys: Vec<KeyView>,
        /// The places that hold none.
        free: Vec<u8>,
    },
    /// The pump was read out.
    Status {
        /// What it said.
        readout: Box<Readout>,
        /// What this tells about a pending commit.
        resolved: Option<Resolved>,
    },
    /// Therapy was read out.
    Therapy {
        /// What the pump said of it.
        therapy: Box<TherapyView>,
        /// What this tells about a pending order.
        resolved: Option<Resolved>,
    },
    /// The path to the tip was read out.
    Path {
        /// What the pump said of it.
        path: PathView,
    },
    /// The pump has staged a program; here is what it read back.
    Review {
        /// The pump's words beside the old values.
        review: Box<Review>,
    },
    /// The program is in force.
    Committed {
        /// Its number.
        program_number: u32,
    },
    /// The pump stands still at once, as was asked, but could not store that: after a reset it would deliver again.
    StoppedNotRecorded,
    /// The order is done, or has begun.
    Ordered {
        /// In a sentence.
        text: String,
    },
    /// Certainly not done.
    NotDone {
        /// Why.
        reason: String,
    },
    /// Something was sent and nobody can know whether it was done, before the pump is asked.
    Unknown {
        /// Why.
        reason: String,
    },
    /// The staged program is discarded.
    Cancelled,
    /// The named flags are cleared.
    FlagsReset,
    /// An answer that was not an answer to the question, or none at all; nothing depends on it.
    Failed {
        /// Why.
        reason: String,
    },
}

/// An open session, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionView {
    /// The name of the role.
    pub role: &'static str,
    /// The place of the key.
    pub slot: u8,
    /// Fingerprint of the pump's key: this pump and no other answers.
    pub pump: String,
    /// Fingerprint of this phone's key.
    pub own: String,
    /// The names of the commands that somebody in this role may ever give. The pump decides; what is not among these is not offered.
    pub may: Vec<&'static str>,
}

/// What the pump's state tells about something pending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fate", rename_all = "kebab-case")]
pub enum Resolved {
    /// The commit was done.
    Done {
        /// The number of the program that is now in force.
        program_number: u32,
    },
    /// The commit was certainly not done.
    NotDone,
    /// It was a stop: the pump stands still, but could not store that.
    StoppedNotRecorded,
    /// Yet another program has come into force since: whatever became of the commit, it is no longer what counts.
    Superseded {
        /// The number of the program that is now in force.
        program_number: u32,
    },
    /// The bolus or prime was given, or is being given.
    OrderDone {
        /// What was ordered.
        what: String,
    },
    /// The bolus or prime was certainly not given.
    OrderNotDone {
        /// What was ordered.
        what: String,
    },
    /// Somebody else has ordered something since: the pump's log tells whose it was.
    OrderSuperseded {
        /// What was ordered.
        what: String,
    },
}

/// Something that was sent and not answered. It outlives the connection, and the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Which pump: the fingerprint of its key.
    pub pump: String,
    /// With which key: its fingerprint.
    pub key: String,
    /// The command number that it bore.
    pub number: u32,
    /// The last number that the pump had from this key when the session began. One that it says to have had later and that is below has
    /// been forgotten by the pump, and proves nothing.
    pub number_before: u32,
    /// What was sent to it.
    pub sent: Sent,
}

/// What was sent, with what tells whether it was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sent {
    /// A program's commit.
    Commit {
        /// What was committed.
        digest: [u8; 32],
        /// The number of the program in force before.
        number_before: u32,
    },
    /// A bolus or a prime.
    Order {
        /// Its number.
        number: u32,
        /// What it was, in a few words.
        what: String,
    },
}

/// What has been asked and not yet answered.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Session,
    Keys,
    Status,
    Therapy,
    Path,
    Stage(Box<Program>),
    Commit,
    Cancel,
    ResetFlags,
    Order(CommandKind),
}

/// A program that the pump has staged and the user may confirm.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Confirmable {
    digest: Digest,
    shown: Shown,
    needs_reason: bool,
    number_before: u32,
}

/// Who speaks to which pump on this connection.
#[derive(Clone, Debug)]
struct Speaker {
    /// The pump's key.
    pump: PublicKey,
    /// The phone's private key, while it is being enrolled.
    enrolling: Option<Secret>,
    slot: u8,
    own: String,
    /// What the pump said when it opened the session; none before.
    welcome: Option<Welcome>,
}

/// This phone's side of one pump. Sans I/O: the caller moves the bytes, brings random ones, and tells the time.
#[derive(Default)]
pub struct Programmer {
    client: Client,
    /// Fingerprint of the key of the pump that the rest is about.
    pump: String,
    info: Option<Info>,
    speaker: Option<Speaker>,
    keys: Option<Vec<KeyEntry>>,
    status: Option<Status>,
    therapy: Option<Box<TherapyStatus>>,
    asked: Option<Asked>,
    confirmable: Option<Confirmable>,
    pending: Option<Pending>,
}

impl Programmer {
    /// One that has met no pump yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A connection has been made, and this was read from its Info. `mtu` is what the carrier can write at once, plus three. Which pump it
    /// is nobody knows before a session is open.
    ///
    /// # Errors
    /// When the pump speaks another version: then there is nothing to talk about.
    pub fn connected(&mut self, info: &[u8], mtu: u16) -> Result<About, String> {
        let info = Info::decode(info).map_err(|error| error.to_string())?;
        let about = About::of(&info);
        self.info = Some(info);
        self.asked = None;
        self.leave();
        self.client.opened(Mtu::clamped(mtu));
        Ok(about)
    }

    /// Opens a session with this phone's key. `random` is fresh for every call.
    ///
    /// # Errors
    /// What is wrong with the key, or why nothing can be sent.
    pub fn open(&mut self, now: CarrierTime, key: &str, random: Secret) -> Result<(), String> {
        let key = KeyText::parse(key).map_err(|error| format!("this phone's key: {error}"))?;
        self.greet(now, &key.credentials(), random, None)
    }

    /// Opens a session for enrolling this phone, with the code of a sterile pack or an implant card. `private` becomes the phone's key;
    /// it and `random` are fresh for every call.
    ///
    /// # Errors
    /// What is wrong with the code, or why nothing can be sent. Nothing is sent to a pump that says that no magnet was held over it.
    pub fn enrol(
        &mut self,
        now: CarrierTime,
        code: &str,
        private: Secret,
        random: Secret,
    ) -> Result<(), String> {
        let credentials = Code::parse(code)?.enrolment(private.clone())?;
        if self.info.as_ref().is_some_and(|info| !info.armed) {
            return Err(Denied::NotArmed.to_string());
        }
        self.greet(now, &credentials, random, Some(private))
    }

    fn greet(
        &mut self,
        now: CarrierTime,
        credentials: &Credentials,
        random: Secret,
        enrolling: Option<Secret>,
    ) -> Result<(), String> {
        let info = self
            .info
            .as_ref()
            .ok_or("there is no connection to the pump")?;
        self.client
            .open(now, info, credentials, random)
            .map_err(|error| error.to_string())?;
        let pump = credentials.pump().fingerprint().to_string();
        if self.pump != pump {
            // What is known of one pump must not stand beside another.
            self.status = None;
            self.therapy = None;
        }
        self.pump = pump;
        self.speaker = Some(Speaker {
            pump: *credentials.pump(),
            enrolling,
            slot: credentials.slot(),
            own: credentials.public().fingerprint().to_string(),
            welcome: None,
        });
        self.asked = Some(Asked::Session);
        Ok(())
    }

    /// Whether a session is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.welcome().is_some()
    }

    fn welcome(&self) -> Option<&Welcome> {
        self.speaker.as_ref()?.welcome.as_ref()
    }

    /// The session is over, or the connection.
    fn leave(&mut self) {
        self.speaker = None;
        self.keys = None;
        self.confirmable = None;
    }

    /// The connection is gone. What was staged is lost; what was being asked ends here.
    pub fn disconnected(&mut self) -> Event {
        self.info = None;
        self.leave();
        match self.client.closed() {
            Some(ended) => self.ended(ended),
            None => Event::Nothing,
        }
    }

    /// Reads the form against the last status; with none, nothing can be checked.
    #[must_use]
    pub fn check(&self, form: &Form) -> Checked {
        self.status
            .as_ref()
            .zip(self.kind())
            .map_or_else(Checked::default, |(status, kind)| form.check(status, kind))
    }

    /// What the pump is, once therapy was read out.
    fn kind(&self) -> Option<PumpKind> {
        self.therapy.as_ref().map(|therapy| therapy.kind)
    }

    /// The commit or order whose fate is not known.
    #[must_use]
    pub const fn pending(&self) -> Option<&Pending> {
        self.pending.as_ref()
    }

    /// Takes up what was pending from before the page was loaded anew.
    pub fn resume(&mut self, pending: Pending) {
        self.pending = Some(pending);
    }

    /// The user takes it upon himself to find out about what is pending, for example because that pump is not here.
    pub fn set_pending_aside(&mut self) {
        self.pending = None;
    }

    /// Asks for the status.
    ///
    /// # Errors
    /// Why it could not be asked.
    pub fn interrogate(&mut self, now: CarrierTime) -> Result<(), String> {
        self.ask(now, &Command::Interrogate, Asked::Status)
    }

    /// Asks what therapy is doing.
    ///
    /// # Errors
    /// Why it could not be asked.
    pub fn read_therapy(&mut self, now: CarrierTime) -> Result<(), String> {
        self.ask(now, &Command::ReadTherapy, Asked::Therapy)
    }

    /// Asks which keys are let in.
    ///
    /// # Errors
    /// Why it could not be asked.
    pub fn read_keys(&mut self, now: CarrierTime) -> Result<(), String> {
        self.ask(now, &Command::ReadKeys, Asked::Keys)
    }

    /// Ends an enrolment: this phone's key goes to `slot`, or to the first place that is free, as a clinician's. Gives the key, to be kept
    /// before the first frame is written: if the answer is lost, a session with it tells what became of it.
    ///
    /// # Errors
    /// When nobody is being enrolled, no keys were read, or all places are taken.
    pub fn grant_own(
        &mut self,
        now: CarrierTime,
        slot: Option<u8>,
        preshared: Secret,
    ) -> Result<String, String> {
        let speaker = self.speaker.as_ref();
        let private = speaker
            .and_then(|speaker| speaker.enrolling.clone())
            .ok_or("this phone is not being enrolled")?;
        self.grant_key(now, Role::Clinician, slot, private, preshared)
    }

    /// Makes a key for somebody else and grants it. Gives it, to be handed over when the pump has said that it is done.
    ///
    /// # Errors
    /// When there is no such role to be granted, no keys were read, or all places are taken.
    pub fn grant(
        &mut self,
        now: CarrierTime,
        role: &str,
        slot: Option<u8>,
        private: Secret,
        preshared: Secret,
    ) -> Result<String, String> {
        self.grant_key(now, keys::role_named(role)?, slot, private, preshared)
    }

    fn grant_key(
        &mut self,
        now: CarrierTime,
        role: Role,
        slot: Option<u8>,
        private: Secret,
        preshared: Secret,
    ) -> Result<String, String> {
        let speaker = self.speaker.as_ref().ok_or("there is no session")?;
        let known = self
            .keys
            .as_deref()
            .ok_or("the keys were not read before")?;
        let key = KeyText {
            pump: speaker.pump,
            private,
            preshared,
            slot: keys::place(slot, known, speaker.slot)?,
        };
        let grant = Command::GrantKey(KeyGrant {
            slot: key.slot,
            role,
            public_key: key.private.public_key(),
            preshared: key.preshared.clone(),
        });
        self.ask(now, &grant, Asked::Order(CommandKind::GrantKey))?;
        Ok(key.to_string())
    }

    /// Lets a key in no more.
    ///
    /// # Errors
    /// Why it could not be sent.
    pub fn revoke(&mut self, now: CarrierTime, slot: u8) -> Result<(), String> {
        let revoke = Command::RevokeKey { slot };
        self.ask(now, &revoke, Asked::Order(CommandKind::RevokeKey))
    }

    /// Asks what is in the path to the tip.
    ///
    /// # Errors
    /// Why it could not be asked.
    pub fn read_path(&mut self, now: CarrierTime) -> Result<(), String> {
        self.ask(now, &Command::ReadPath, Asked::Path)
    }

    /// Why nothing that gives drug may be sent now.
    fn may_program(&self) -> Result<(), String> {
        if self.pending.is_some() {
            return Err(
                "it is not yet known what became of what was sent last: the pump must be asked first"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Sends the program in the form to be staged.
    ///
    /// # Errors
    /// Why not: the form is not ready, or something is pending.
    pub fn stage(&mut self, now: CarrierTime, form: &Form) -> Result<(), String> {
        self.may_program()?;
        let program = self
            .check(form)
            .program
            .ok_or("the form is not complete or has an error")?;
        self.confirmable = None;
        let asked = Asked::Stage(Box::new(program.clone()));
        self.ask(now, &Command::Stage(program), asked)
    }

    /// Confirms exactly the program of the last [`Review`], which had no difference, and says what it showed.
    ///
    /// # Errors
    /// When there is none, and when it goes over a soft limit and no reason is given: it can still be confirmed with one.
    pub fn commit(
        &mut self,
        now: CarrierTime,
        reason: Option<OverrideReason>,
    ) -> Result<(), String> {
        let missing = |confirmable: &Confirmable| confirmable.needs_reason && reason.is_none();
        if self.confirmable.as_ref().is_some_and(missing) {
            return Err("choose the reason for which a soft limit is gone over".to_owned());
        }
        let Some(confirmable) = self.confirmable.take() else {
            return Err(
                "there is no program to confirm: send it to the pump and review it first"
                    .to_owned(),
            );
        };
        let command = Command::Commit(Commit {
            digest: confirmable.digest,
            shown: confirmable.shown,
            reason,
        });
        self.ask(now, &command, Asked::Commit)?;
        // From here until the pump answers, or is asked, it counts as not known: the page may go at any moment.
        self.pending = self.pending_as(Sent::Commit {
            digest: confirmable.digest.0,
            number_before: confirmable.number_before,
        });
        Ok(())
    }

    /// What was sent just now, as something pending.
    fn pending_as(&self, sent: Sent) -> Option<Pending> {
        let speaker = self.speaker.as_ref()?;
        Some(Pending {
            pump: self.pump.clone(),
            key: speaker.own.clone(),
            number: self.client.last_number(),
            number_before: speaker.welcome.as_ref()?.last_number,
            sent,
        })
    }

    /// What an order is going to do, in a sentence to be confirmed.
    ///
    /// # Errors
    /// Which entry is wrong, and what is allowed.
    pub fn describe(&self, act: &Act) -> Result<String, String> {
        let status = self.status.as_ref().ok_or(NOT_READ)?;
        act.description(self.number_for(act)?, status)
    }

    /// Sends an order.
    ///
    /// # Errors
    /// Which entry is wrong, or why nothing can be sent.
    pub fn order(&mut self, now: CarrierTime, act: &Act) -> Result<(), String> {
        let number = self.number_for(act)?;
        let command = act.command(number)?;
        let kind = command.kind();
        let sent = if act.is_numbered() {
            self.may_program()?;
            Some(Sent::Order {
                number,
                what: self.describe(act)?,
            })
        } else {
            None
        };
        self.ask(now, &command, Asked::Order(kind))?;
        if let Some(sent) = sent {
            self.pending = self.pending_as(sent);
        }
        Ok(())
    }

    /// The number of the next bolus or prime, 0 for what bears none.
    fn number_for(&self, act: &Act) -> Result<u32, String> {
        if !act.is_numbered() {
            return Ok(0);
        }
        let therapy = self.therapy.as_ref().ok_or(NOT_READ)?;
        therapy
            .last_number
            .checked_add(1)
            .ok_or_else(|| "the pump has no numbers left for orders".to_owned())
    }

    /// Discards what is staged.
    ///
    /// # Errors
    /// Why it could not be sent.
    pub fn cancel(&mut self, now: CarrierTime) -> Result<(), String> {
        self.confirmable = None;
        self.ask(now, &Command::Cancel, Asked::Cancel)
    }

    /// Clears the named "status changed" flags, which somebody has seen.
    ///
    /// # Errors
    /// Why it could not be sent.
    pub fn reset_flags(&mut self, now: CarrierTime, mask: u16) -> Result<(), String> {
        self.ask(
            now,
            &Command::ResetStatusChanged { mask },
            Asked::ResetFlags,
        )
    }

    /// The next frame to write to Command; to be fetched when the one before was written, until there is none, after every other call.
    pub fn next_frame(&mut self) -> Option<Frame> {
        self.client.next_frame()
    }

    /// Takes what was read from Response or indicated.
    pub fn receive(&mut self, now: CarrierTime, fragment: &[u8]) -> Event {
        let event = self.client.receive(now, fragment);
        self.event(event)
    }

    /// Lets time pass; once a second or more often while something is asked.
    pub fn tick(&mut self, now: CarrierTime) -> Event {
        let event = self.client.tick(now);
        self.event(event)
    }

    fn ask(&mut self, now: CarrierTime, command: &Command, asked: Asked) -> Result<(), String> {
        self.client
            .request(now, command)
            .map_err(|error| error.to_string())?;
        self.asked = Some(asked);
        Ok(())
    }

    fn event(&mut self, event: ClientEvent) -> Event {
        match event {
            ClientEvent::Nothing => Event::Nothing,
            ClientEvent::Welcome(welcome) => self.welcomed(welcome),
            ClientEvent::Answer(answer) => self.answered(answer),
            ClientEvent::Ended(ended) => self.ended(ended),
        }
    }

    fn welcomed(&mut self, welcome: Welcome) -> Event {
        self.asked = None;
        let resolved = self.resolve_by_number(welcome.last_number);
        if resolved.is_some() {
            self.pending = None;
        }
        let Some(speaker) = &mut self.speaker else {
            return Event::Nothing;
        };
        speaker.welcome = Some(welcome);
        let session = SessionView {
            role: welcome.role.name(),
            slot: speaker.slot,
            pump: self.pump.clone(),
            own: speaker.own.clone(),
            may: permissions(welcome.role),
        };
        Event::Welcome { session, resolved }
    }

    fn answered(&mut self, answer: Answer) -> Event {
        let fate = answer.outcome.fate();
        match (self.asked.take(), answer.outcome) {
            (Some(Asked::Status), Outcome::Status(status)) => self.learned(status),
            (Some(Asked::Therapy), Outcome::Therapy(therapy)) => self.learned_therapy(therapy),
            (Some(Asked::Keys), Outcome::Keys(found)) => {
                let own = self
                    .speaker
                    .as_ref()
                    .map_or(u8::MAX, |speaker| speaker.slot);
                let known: Vec<KeyEntry> = found.iter().copied().collect();
                let event = Event::Keys {
                    keys: known.iter().map(|key| KeyView::of(key, own)).collect(),
                    free: keys::free_places(&known),
                };
                self.keys = Some(known);
                event
            }
            (Some(Asked::Path), Outcome::Path(path)) => Event::Path {
                path: PathView::of(&path),
            },
            (Some(Asked::Stage(entered)), Outcome::Staged(staged)) => {
                self.staged(&entered, &staged)
            }
            (Some(Asked::Commit), Outcome::Committed { program_number }) => {
                self.pending = None;
                Event::Committed { program_number }
            }
            (Some(Asked::Commit), Outcome::StoppedNotRecorded) => {
                self.pending = None;
                Event::StoppedNotRecorded
            }
            (Some(Asked::Cancel), Outcome::Cancelled) => Event::Cancelled,
            (Some(Asked::ResetFlags), Outcome::StatusChangedReset { .. }) => Event::FlagsReset,
            (Some(Asked::Order(kind)), outcome) => self.ordered(kind, fate, &outcome),
            (Some(asked), Outcome::Refused(refused)) => {
                self.not_answered(&asked, fate, refused.to_string())
            }
            (Some(asked), _) => self.not_answered(&asked, Fate::Unknown, ANOTHER.to_owned()),
            (None, _) => Event::Nothing,
        }
    }

    /// The answer to an order.
    fn ordered(&mut self, kind: CommandKind, fate: Fate, outcome: &Outcome) -> Event {
        let gives = is_order(kind);
        let text = match outcome {
            Outcome::BolusStarted { number } if gives => {
                format!("Order No. {number} is stored and has begun.")
            }
            Outcome::AlreadyDone { number } if gives => {
                format!("Order No. {number} was given before: nothing is given again.")
            }
            Outcome::BolusRefused { denial } if gives => {
                return self.not_answered(&Asked::Order(kind), fate, denial.to_string());
            }
            Outcome::Refused(refused) => {
                return self.not_answered(&Asked::Order(kind), fate, refused.to_string());
            }
            Outcome::ClockSet { .. } if kind == CommandKind::SetClock => done_text(kind).to_owned(),
            Outcome::Done if !gives => done_text(kind).to_owned(),
            _ => {
                return self.not_answered(&Asked::Order(kind), Fate::Unknown, ANOTHER.to_owned());
            }
        };
        if gives {
            self.pending = None;
        }
        Event::Ordered { text }
    }

    fn ended(&mut self, ended: Ended) -> Event {
        if matches!(ended.reason, Reason::Denied(_) | Reason::NotThePump) {
            self.leave();
        }
        match self.asked.take() {
            Some(Asked::Session) => {
                self.leave();
                Event::NotOpened {
                    reason: ended.reason.to_string(),
                    why: match ended.reason {
                        Reason::Denied(Denied::NotAdmitted) => "not-admitted",
                        Reason::Denied(Denied::NotArmed) => "not-armed",
                        _ => "other",
                    },
                }
            }
            Some(asked) => self.not_answered(&asked, ended.fate, ended.reason.to_string()),
            None => Event::Nothing,
        }
    }

    /// What is to be said when something asked did not happen, or nobody knows.
    fn not_answered(&mut self, asked: &Asked, fate: Fate, reason: String) -> Event {
        let kind = match asked {
            Asked::Commit => CommandKind::Commit,
            Asked::Order(kind) => *kind,
            // Staging changes nothing in the delivery, whatever became of it.
            Asked::Stage(_) => return Event::NotDone { reason },
            Asked::Session
            | Asked::Keys
            | Asked::Status
            | Asked::Therapy
            | Asked::Path
            | Asked::Cancel
            | Asked::ResetFlags => return Event::Failed { reason },
        };
        let is_pending = kind == CommandKind::Commit || is_order(kind);
        match (fate, kind.when_unknown()) {
            (Fate::CertainlyNot, _) => {
                if is_pending {
                    self.pending = None;
                }
                Event::NotDone { reason }
            }
            (Fate::Unknown | Fate::Done, WhenUnknown::Repeat) => Event::Unknown {
                reason: format!(
                    "{reason}. Whether it was done is not known: do it again, twice is as good as once"
                ),
            },
            (Fate::Unknown | Fate::Done, WhenUnknown::AskStatus | WhenUnknown::AskTherapy) => {
                Event::Unknown { reason }
            }
        }
    }

    fn learned(&mut self, status: Status) -> Event {
        let resolved = self.resolve(&status);
        if resolved.is_some() {
            self.pending = None;
        }
        // Only a minimum rate differs between the kinds, and the status is read after therapy.
        let kind = self.kind().unwrap_or(PumpKind::ProgrammableImplant);
        let readout = Box::new(Readout::of(&status, kind));
        self.status = Some(status);
        Event::Status { readout, resolved }
    }

    fn learned_therapy(&mut self, therapy: TherapyStatus) -> Event {
        let resolved = self.resolve_order(&therapy);
        if resolved.is_some() {
            self.pending = None;
        }
        let view = Box::new(TherapyView::of(&therapy));
        self.therapy = Some(Box::new(therapy));
        Event::Therapy {
            therapy: view,
            resolved,
        }
    }

    /// What is pending, if it was sent to this pump.
    fn pending_here(&self) -> Option<&Sent> {
        let pending = self.pending.as_ref()?;
        (pending.pump == self.pump).then_some(&pending.sent)
    }

    /// Judges what is pending by the last command number that the pump has had from this key. Only "not done" can be told so: a number
    /// that the pump has had may have been refused. A pump that has forgotten its numbers begins at 0 and tells nothing.
    fn resolve_by_number(&self, last_number: u32) -> Option<Resolved> {
        self.pending_here()?;
        let pending = self.pending.as_ref()?;
        let same_key = self.speaker.as_ref()?.own == pending.key;
        let never_had = last_number >= pending.number_before && last_number < pending.number;
        (same_key && never_had).then(|| match &pending.sent {
            Sent::Commit { .. } => Resolved::NotDone,
            Sent::Order { what, .. } => Resolved::OrderNotDone { what: what.clone() },
        })
    }

    /// Judges the pending order.
    fn resolve_order(&self, therapy: &TherapyStatus) -> Option<Resolved> {
        let Sent::Order { number, what } = self.pending_here()? else {
            return None;
        };
        let what = what.clone();
        match resolve_order(*number, therapy) {
            Fate::Done => Some(Resolved::OrderDone { what }),
            Fate::CertainlyNot => Some(Resolved::OrderNotDone { what }),
            Fate::Unknown if therapy.last_number < *number => None,
            Fate::Unknown => Some(Resolved::OrderSuperseded { what }),
        }
    }

    /// Judges the pending commit.
    fn resolve(&self, status: &Status) -> Option<Resolved> {
        let Sent::Commit {
            digest,
            number_before,
        } = self.pending_here()?
        else {
            return None;
        };
        let program_number = status.program_number;
        match resolve_commit(&Digest(*digest), *number_before, status) {
            Fate::Done => Some(Resolved::Done { program_number }),
            Fate::CertainlyNot if stands_still_unrecorded(status) => {
                Some(Resolved::StoppedNotRecorded)
            }
            Fate::CertainlyNot => Some(Resolved::NotDone),
            Fate::Unknown if status.committing => None,
            Fate::Unknown => Some(Resolved::Superseded { program_number }),
        }
    }

    fn staged(&mut self, entered: &Program, staged: &Staged) -> Event {
        let (Some(before), Some(kind)) = (&self.status, self.kind()) else {
            return Event::NotDone {
                reason: NOT_READ.to_owned(),
            };
        };
        let review = Box::new(Review::of(staged, entered, before, kind));
        self.confirmable = review.confirmable.then_some(Confirmable {
            digest: staged.digest,
            shown: staged.shown(),
            needs_reason: staged.needs_reason,
            number_before: before.program_number,
        });
        Event::Review { review }
    }
}

/// A bolus or a prime: it bears the number of an order, and counts as pending until its answer is there.
const fn is_order(kind: CommandKind) -> bool {
    matches!(
        kind,
        CommandKind::ClinicianBolus | CommandKind::PatientBolus | CommandKind::Prime
    )
}

/// The names of the commands that somebody in this role may ever give.
fn permissions(role: Role) -> Vec<&'static str> {
    let rules = TABLE.iter().filter(|rule| rule.role == role);
    rules
        .flat_map(|rule| rule.commands.iter().map(|command| command.name()))
        .collect()
}

/// Nothing is sent to a pump of which nothing is known.
const NOT_READ: &str = "the pump was not read out before";

/// An answer that fits no question.
const ANOTHER: &str = "the pump answered another question than was asked";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_pump::{
        TestPump, baclofen, baclofen_form, fresh_status, info, millis, running_status, secret,
        with_patient_bolus,
    };
    use protocol::Refused;

    /// A programmer that has read out a pump.
    fn acquainted(status: Status) -> (Programmer, TestPump) {
        let mut programmer = Programmer::new();
        let mut pump = TestPump::new(status);
        pump.connect(&mut programmer);
        read_out(&mut programmer, &mut pump);
        (programmer, pump)
    }

    fn read_out(programmer: &mut Programmer, pump: &mut TestPump) -> Option<Resolved> {
        programmer.read_therapy(millis(0)).unwrap();
        let of_order = match pump.exchange(programmer, millis(0)) {
            Event::Therapy { resolved, .. } => resolved,
            other => panic!("{other:?}"),
        };
        programmer.interrogate(millis(0)).unwrap();
        match pump.exchange(programmer, millis(0)) {
            Event::Status { resolved, .. } => of_order.or(resolved),
            other => panic!("{other:?}"),
        }
    }

    fn staged(programmer: &mut Programmer, pump: &mut TestPump) -> Review {
        programmer
            .stage(millis(0), &baclofen_form("20 mL", "250 mcg/day"))
            .unwrap();
        match pump.exchange(programmer, millis(0)) {
            Event::Review { review } => *review,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_program_is_entered_reviewed_committed_and_read_out() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        assert!(staged(&mut programmer, &mut pump).confirmable);
        assert_eq!(pump.commits, 0);
        programmer.commit(millis(0), None).unwrap();
        assert_eq!(
            pump.exchange(&mut programmer, millis(0)),
            Event::Committed { program_number: 1 }
        );
        assert_eq!(pump.commits, 1);
        assert_eq!(
            pump.status.program,
            Some(baclofen(Some(20_000_000), 250_000))
        );
        assert_eq!(read_out(&mut programmer, &mut pump), None);
        assert_eq!(programmer.pending(), None);
    }

    #[test]
    fn what_the_pump_read_back_wrongly_cannot_be_confirmed() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        pump.tamper = |staged| staged.program.primary.concentration_ng_per_ml /= 10;
        assert!(!staged(&mut programmer, &mut pump).confirmable);
        assert!(programmer.commit(millis(0), None).is_err());
        assert_eq!(programmer.next_frame(), None);
        assert_eq!(pump.commits, 0);
    }

    #[test]
    fn one_review_confirms_once() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        staged(&mut programmer, &mut pump);
        programmer.commit(millis(0), None).unwrap();
        pump.exchange(&mut programmer, millis(0));
        assert!(programmer.commit(millis(0), None).is_err());
        staged(&mut programmer, &mut pump);
        programmer.cancel(millis(0)).unwrap();
        assert_eq!(pump.exchange(&mut programmer, millis(0)), Event::Cancelled);
        assert!(programmer.commit(millis(0), None).is_err());
        assert_eq!(pump.commits, 1);
    }

    #[test]
    fn a_form_with_an_error_is_never_sent() {
        let (mut programmer, _pump) = acquainted(fresh_status());
        assert!(
            programmer
                .stage(millis(0), &baclofen_form("", "250 mL/day"))
                .is_err()
        );
        assert_eq!(programmer.next_frame(), None);
    }

    #[test]
    fn a_refused_commit_is_certainly_not_done() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        staged(&mut programmer, &mut pump);
        pump.refuse_commit = Some(Refused::NotDone);
        programmer.commit(millis(0), None).unwrap();
        match pump.exchange(&mut programmer, millis(0)) {
            Event::NotDone { reason } => assert!(reason.contains("unchanged"), "{reason}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(programmer.pending(), None);
    }

    #[test]
    fn a_stop_that_could_not_be_stored_is_told_as_such() {
        let (mut programmer, mut pump) = acquainted(running_status(baclofen(None, 100_000)));
        let mut stop = baclofen_form("", "");
        stop.mode = crate::form::FormMode::Stopped;
        pump.fail_stop = true;
        programmer.stage(millis(0), &stop).unwrap();
        pump.exchange(&mut programmer, millis(0));
        programmer.commit(millis(0), None).unwrap();
        assert_eq!(
            pump.exchange(&mut programmer, millis(0)),
            Event::StoppedNotRecorded
        );
        assert_eq!(programmer.pending(), None);
        // The same when the answer is lost and the pump is asked.
        programmer.stage(millis(0), &stop).unwrap();
        pump.exchange(&mut programmer, millis(0));
        pump.deaf = true;
        programmer.commit(millis(0), None).unwrap();
        pump.exchange(&mut programmer, millis(0));
        programmer.disconnected();
        pump.deaf = false;
        pump.connect(&mut programmer);
        assert_eq!(
            read_out(&mut programmer, &mut pump),
            Some(Resolved::StoppedNotRecorded)
        );
    }

    /// Commits while the pump's answers are lost, and then the connection.
    fn commit_into_silence(programmer: &mut Programmer, pump: &mut TestPump) {
        staged(programmer, pump);
        pump.deaf = true;
        programmer.commit(millis(0), None).unwrap();
        assert_eq!(pump.exchange(programmer, millis(0)), Event::Nothing);
        assert!(matches!(programmer.disconnected(), Event::Unknown { .. }));
        assert!(programmer.pending().is_some());
        pump.deaf = false;
    }

    #[test]
    fn a_commit_whose_answer_was_lost_is_resolved_by_asking_and_never_sent_again() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        commit_into_silence(&mut programmer, &mut pump);
        pump.connect(&mut programmer);
        assert!(
            programmer
                .stage(millis(0), &baclofen_form("", "250 mcg/day"))
                .is_err()
        );
        pump.status.committing = true;
        assert_eq!(read_out(&mut programmer, &mut pump), None);
        assert!(programmer.pending().is_some());
        pump.status.committing = false;
        assert_eq!(
            read_out(&mut programmer, &mut pump),
            Some(Resolved::Done { program_number: 1 })
        );
        assert_eq!(programmer.pending(), None);
        assert_eq!(pump.commits, 1);
    }

    #[test]
    fn a_commit_that_was_lost_with_its_answer_is_found_not_done() {
        let (mut programmer, mut pump) = acquainted(running_status(baclofen(None, 100_000)));
        commit_into_silence(&mut programmer, &mut pump);
        pump.status = running_status(baclofen(None, 100_000));
        pump.connect(&mut programmer);
        assert_eq!(
            read_out(&mut programmer, &mut pump),
            Some(Resolved::NotDone)
        );
    }

    #[test]
    fn a_third_program_is_not_taken_for_ours() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        commit_into_silence(&mut programmer, &mut pump);
        pump.status = running_status(baclofen(None, 100_000));
        pump.connect(&mut programmer);
        assert_eq!(
            read_out(&mut programmer, &mut pump),
            Some(Resolved::Superseded { program_number: 3 })
        );
    }

    #[test]
    fn another_pump_tells_nothing_about_a_pending_commit() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        commit_into_silence(&mut programmer, &mut pump);
        let mut other = TestPump::another(fresh_status());
        other.connect(&mut programmer);
        assert_eq!(read_out(&mut programmer, &mut other), None);
        assert!(
            programmer
                .stage(millis(0), &baclofen_form("20 mL", "250 mcg/day"))
                .is_err()
        );
        programmer.set_pending_aside();
        assert!(staged(&mut programmer, &mut other).confirmable);
    }

    #[test]
    fn a_pending_commit_outlives_the_page() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        commit_into_silence(&mut programmer, &mut pump);
        let kept = serde_json::to_string(programmer.pending().unwrap()).unwrap();
        let mut reloaded = Programmer::new();
        reloaded.resume(serde_json::from_str(&kept).unwrap());
        pump.connect(&mut reloaded);
        assert_eq!(
            read_out(&mut reloaded, &mut pump),
            Some(Resolved::Done { program_number: 1 })
        );
    }

    #[test]
    fn a_lost_answer_is_asked_for_again_and_the_pump_does_it_once() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        staged(&mut programmer, &mut pump);
        pump.deaf = true;
        programmer.commit(millis(0), None).unwrap();
        pump.exchange(&mut programmer, millis(0));
        pump.deaf = false;
        assert_eq!(programmer.tick(millis(4_000)), Event::Nothing);
        assert_eq!(
            pump.exchange(&mut programmer, millis(4_000)),
            Event::Committed { program_number: 1 }
        );
        assert_eq!(pump.commits, 1);
    }

    #[test]
    fn every_fragment_is_acknowledged_or_nothing_longer_than_one_frame_arrives() {
        let (mut programmer, mut pump) = acquainted(running_status(baclofen(None, 100_000)));
        // At an MTU of 23 a status takes several fragments, and each waits for its acknowledgement.
        programmer.interrogate(millis(0)).unwrap();
        assert!(matches!(
            pump.exchange(&mut programmer, millis(0)),
            Event::Status { .. }
        ));
    }

    /// What the pump said when the session was opened.
    fn welcome(event: Event) -> (SessionView, Option<Resolved>) {
        match event {
            Event::Welcome { session, resolved } => (session, resolved),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_is_asked_before_a_session_is_open() {
        let mut programmer = Programmer::new();
        let pump = TestPump::new(fresh_status());
        assert!(programmer.open(millis(0), &pump.key(), secret(1)).is_err());
        programmer.connected(&info(false), 23).unwrap();
        let refused = programmer.interrogate(millis(0)).unwrap_err();
        assert!(refused.contains("no session"), "{refused}");
        assert!(!programmer.is_open());
        assert!(programmer.open(millis(0), "THECAL3:00", secret(1)).is_err());
    }

    #[test]
    fn a_session_says_whose_it_is_and_what_that_role_may() {
        let mut pump = TestPump::new(fresh_status());
        let (session, resolved) = welcome(pump.connect(&mut Programmer::new()));
        assert_eq!(
            (session.role, session.slot, resolved),
            ("clinician", 0, None)
        );
        assert!(session.may.contains(&"stage") && session.may.contains(&"grant key"));
        pump.set_role(Role::Patient);
        let (session, _) = welcome(pump.connect(&mut Programmer::new()));
        assert_eq!(session.role, "patient");
        assert!(session.may.contains(&"patient bolus") && !session.may.contains(&"stage"));
    }

    #[test]
    fn the_pump_refuses_what_a_patients_phone_asks_all_the_same() {
        let (mut programmer, mut pump) = acquainted(running_status(baclofen(None, 250_000)));
        pump.set_role(Role::Patient);
        pump.connect(&mut programmer);
        programmer
            .stage(millis(0), &baclofen_form("", "300 mcg/day"))
            .unwrap();
        match pump.exchange(&mut programmer, millis(0)) {
            Event::NotDone { reason } => {
                assert!(
                    reason.contains("the role patient may not do that"),
                    "{reason}"
                );
            }
            other => panic!("{other:?}"),
        }
        assert!(programmer.is_open(), "a refusal ends nothing");
    }

    #[test]
    fn a_key_that_was_revoked_opens_nothing_and_the_pump_says_so() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        pump.revoke(0);
        programmer.interrogate(millis(0)).unwrap();
        match pump.exchange(&mut programmer, millis(0)) {
            Event::Failed { reason } => assert!(reason.contains("session is over"), "{reason}"),
            other => panic!("{other:?}"),
        }
        assert!(!programmer.is_open());
        match pump.connect(&mut programmer) {
            Event::NotOpened { reason, why } => {
                assert_eq!(why, "not-admitted");
                assert!(reason.contains("may have been revoked"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
        assert!(!programmer.is_open());
    }

    #[test]
    fn a_phone_enrols_while_a_magnet_was_held_and_comes_back_with_its_own_key() {
        for code in [TestPump::pack_text(), TestPump::card_text()] {
            let mut programmer = Programmer::new();
            let mut pump = TestPump::new(fresh_status());
            pump.connect_only(&mut programmer);
            let refused = programmer.enrol(millis(0), &code, secret(4), secret(5));
            assert!(refused.unwrap_err().contains("hold the magnet"));
            assert_eq!(programmer.next_frame(), None);
            pump.arm(true);
            pump.connect_only(&mut programmer);
            programmer
                .enrol(millis(0), &code, secret(4), secret(5))
                .unwrap();
            let (session, _) = welcome(pump.exchange(&mut programmer, millis(0)));
            assert_eq!(session.role, "enrolling");
            assert!(
                programmer.grant_own(millis(0), None, secret(6)).is_err(),
                "keys unread"
            );
            programmer.read_keys(millis(0)).unwrap();
            match pump.exchange(&mut programmer, millis(0)) {
                Event::Keys { keys, free } => {
                    assert_eq!((keys.len(), free.first()), (1, Some(&1)));
                    assert!(!keys[0].own);
                }
                other => panic!("{other:?}"),
            }
            let key = programmer.grant_own(millis(0), None, secret(6)).unwrap();
            assert!(matches!(
                pump.exchange(&mut programmer, millis(0)),
                Event::Ordered { .. }
            ));
            pump.connect_only(&mut programmer);
            programmer.open(millis(0), &key, secret(7)).unwrap();
            let (session, _) = welcome(pump.exchange(&mut programmer, millis(0)));
            assert_eq!((session.role, session.slot), ("clinician", 1));
            assert!(programmer.grant_own(millis(0), None, secret(6)).is_err());
        }
    }

    #[test]
    fn the_wrong_code_is_not_admitted() {
        let mut programmer = Programmer::new();
        let mut pump = TestPump::another(fresh_status());
        pump.arm(true);
        pump.connect_only(&mut programmer);
        programmer
            .enrol(millis(0), &TestPump::pack_text(), secret(4), secret(5))
            .unwrap();
        assert!(matches!(
            pump.exchange(&mut programmer, millis(0)),
            Event::NotOpened {
                why: "not-admitted",
                ..
            }
        ));
    }

    #[test]
    fn a_clinician_grants_a_wallet_card_that_opens_with_presence_and_revokes_it() {
        let (mut programmer, mut pump) = acquainted(running_status(baclofen(None, 250_000)));
        let grant = |programmer: &mut Programmer, slot| {
            programmer.grant(millis(0), "emergency", slot, secret(8), secret(9))
        };
        assert!(
            grant(&mut programmer, None).is_err(),
            "the keys were not read"
        );
        programmer.read_keys(millis(0)).unwrap();
        pump.exchange(&mut programmer, millis(0));
        assert!(grant(&mut programmer, Some(0)).is_err(), "its own place");
        assert!(
            programmer
                .grant(millis(0), "enrolling", None, secret(8), secret(9))
                .is_err()
        );
        let card = grant(&mut programmer, Some(5)).unwrap();
        assert!(card.starts_with("THECAL3:"));
        match pump.exchange(&mut programmer, millis(0)) {
            Event::Ordered { text } => assert!(text.contains("lets this key in"), "{text}"),
            other => panic!("{other:?}"),
        }
        let mut helper = Programmer::new();
        pump.connect_only(&mut helper);
        helper.open(millis(0), &card, secret(1)).unwrap();
        match pump.exchange(&mut helper, millis(0)) {
            Event::NotOpened { reason, why } => {
                assert_eq!(why, "not-armed");
                assert!(reason.contains("hold the magnet"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
        pump.arm(true);
        pump.connect_only(&mut helper);
        helper.open(millis(0), &card, secret(2)).unwrap();
        let (session, _) = welcome(pump.exchange(&mut helper, millis(0)));
        assert_eq!(session.role, "emergency");
        // It may not read therapy, and needs not.
        helper.interrogate(millis(0)).unwrap();
        assert!(matches!(
            pump.exchange(&mut helper, millis(0)),
            Event::Status { .. }
        ));
        assert!(
            helper
                .describe(&Act::MinimumRate)
                .unwrap()
                .contains("minimum rate")
        );
        helper.order(millis(0), &Act::MinimumRate).unwrap();
        assert!(matches!(
            pump.exchange(&mut helper, millis(0)),
            Event::Ordered { .. }
        ));
        assert_eq!(pump.ordered, Some(Command::EmergencyMinimumRate));
        pump.connect(&mut programmer);
        programmer.revoke(millis(0), 5).unwrap();
        pump.exchange(&mut programmer, millis(0));
        pump.connect_only(&mut helper);
        helper.open(millis(0), &card, secret(3)).unwrap();
        assert!(matches!(
            pump.exchange(&mut helper, millis(0)),
            Event::NotOpened {
                why: "not-admitted",
                ..
            }
        ));
    }

    /// Sends something that never arrives, and loses the connection.
    fn into_the_void(programmer: &mut Programmer) {
        while programmer.next_frame().is_some() {}
        assert!(matches!(programmer.disconnected(), Event::Unknown { .. }));
        assert!(programmer.pending().is_some());
    }

    #[test]
    fn what_never_arrived_is_found_not_done_by_its_number_when_the_session_opens() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        staged(&mut programmer, &mut pump);
        programmer.commit(millis(0), None).unwrap();
        into_the_void(&mut programmer);
        let (_, resolved) = welcome(pump.connect(&mut programmer));
        assert_eq!(resolved, Some(Resolved::NotDone));
        assert_eq!(programmer.pending(), None);

        let (mut programmer, mut pump) = serving();
        programmer.order(millis(0), &bolus()).unwrap();
        into_the_void(&mut programmer);
        let (_, resolved) = welcome(pump.connect(&mut programmer));
        assert!(
            matches!(resolved, Some(Resolved::OrderNotDone { .. })),
            "{resolved:?}"
        );
    }

    #[test]
    fn a_number_that_the_pump_has_had_or_has_forgotten_tells_nothing() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        commit_into_silence(&mut programmer, &mut pump);
        let (_, resolved) = welcome(pump.connect(&mut programmer));
        assert_eq!(resolved, None, "the pump had it: only the status tells");
        assert!(programmer.pending().is_some());

        let (mut programmer, mut pump) = serving();
        programmer.order(millis(0), &Act::OpenRefill).unwrap();
        pump.exchange(&mut programmer, millis(0));
        pump.connect(&mut programmer);
        programmer.order(millis(0), &bolus()).unwrap();
        into_the_void(&mut programmer);
        pump.forget_numbers();
        let (_, resolved) = welcome(pump.connect(&mut programmer));
        assert_eq!(
            resolved, None,
            "a pump that has lost its numbers proves nothing"
        );
        assert!(programmer.pending().is_some());
    }

    #[test]
    fn another_key_of_the_same_pump_tells_nothing_about_a_number() {
        let (mut programmer, mut pump) = serving();
        programmer.order(millis(0), &bolus()).unwrap();
        into_the_void(&mut programmer);
        pump.change_key();
        let (_, resolved) = welcome(pump.connect(&mut programmer));
        assert_eq!(resolved, None);
        assert!(programmer.pending().is_some());
    }

    #[test]
    fn a_patient_takes_a_bolus_of_those_allotted_and_scores_a_day() {
        let (mut programmer, mut pump) = acquainted(running_status(with_patient_bolus(250_000)));
        pump.set_role(Role::Patient);
        pump.connect(&mut programmer);
        let words = programmer.describe(&Act::PatientBolus).unwrap();
        assert!(words.contains("10 mcg of baclofen over 5 min"), "{words}");
        programmer.order(millis(0), &Act::PatientBolus).unwrap();
        assert!(programmer.pending().is_some());
        match pump.exchange(&mut programmer, millis(0)) {
            Event::Ordered { text } => assert!(text.contains("No. 1"), "{text}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(programmer.pending(), None);
        let score = |score: &str| Act::Diary {
            score: score.to_owned(),
            baseline: false,
        };
        assert!(programmer.order(millis(0), &score("11")).is_err());
        programmer.order(millis(0), &score("10")).unwrap();
        assert!(matches!(
            pump.exchange(&mut programmer, millis(0)),
            Event::Ordered { .. }
        ));
    }

    #[test]
    fn a_pump_of_another_version_is_refused() {
        let mut programmer = Programmer::new();
        let mut strange = info(false);
        strange[0] = 9;
        let refused = programmer.connected(&strange, 23).unwrap_err();
        assert!(refused.contains("version 9"), "{refused}");
        assert!(programmer.interrogate(millis(0)).is_err());
    }

    #[test]
    fn a_commit_says_what_was_shown() {
        let (mut programmer, mut pump) = acquainted(running_status(baclofen(None, 200_000)));
        staged(&mut programmer, &mut pump);
        programmer.commit(millis(0), None).unwrap();
        pump.exchange(&mut programmer, millis(0));
        let shown = pump.committed.unwrap().shown;
        let expected = Shown {
            old_day_total_ng: Some(200_000),
            new_day_total_ng: 250_000,
            change_tenths_percent: Some(250),
        };
        assert_eq!(shown, expected);
        assert_eq!(pump.commits, 1);
    }

    #[test]
    fn a_soft_limit_is_gone_over_with_a_reason_only() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        pump.tamper = |staged| staged.needs_reason = true;
        assert!(staged(&mut programmer, &mut pump).needs_reason);
        assert!(
            programmer
                .commit(millis(0), None)
                .unwrap_err()
                .contains("reason")
        );
        assert_eq!(programmer.next_frame(), None);
        // The review stands: the reason can still be chosen.
        programmer
            .commit(millis(0), Some(OverrideReason::Titration))
            .unwrap();
        assert_eq!(
            pump.exchange(&mut programmer, millis(0)),
            Event::Committed { program_number: 1 }
        );
        let reason = pump.committed.unwrap().reason;
        assert_eq!(reason, Some(OverrideReason::Titration));
    }

    fn bolus() -> Act {
        Act::Bolus {
            dose: "20 mcg".to_owned(),
            duration: "5 min".to_owned(),
            reason: String::new(),
        }
    }

    /// A programmer of a pump that delivers, and the pump.
    fn serving() -> (Programmer, TestPump) {
        acquainted(running_status(baclofen(None, 250_000)))
    }

    #[test]
    fn a_bolus_bears_the_next_number_and_begins_once() {
        let (mut programmer, mut pump) = serving();
        assert!(
            programmer
                .describe(&bolus())
                .unwrap()
                .contains("20 mcg of baclofen")
        );
        programmer.order(millis(0), &bolus()).unwrap();
        match pump.exchange(&mut programmer, millis(0)) {
            Event::Ordered { text } => assert!(text.contains("No. 1"), "{text}"),
            other => panic!("{other:?}"),
        }
        assert_eq!((pump.therapy.last_number, programmer.pending()), (1, None));
    }

    #[test]
    fn a_bolus_that_was_denied_is_certainly_not_given() {
        let (mut programmer, mut pump) = serving();
        pump.deny = Some(protocol::BolusDenial::RefillOpen);
        programmer.order(millis(0), &bolus()).unwrap();
        match pump.exchange(&mut programmer, millis(0)) {
            Event::NotDone { reason } => assert!(reason.contains("refill"), "{reason}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(programmer.pending(), None);
    }

    #[test]
    fn a_bolus_whose_answer_was_lost_is_resolved_by_asking() {
        let (mut programmer, mut pump) = serving();
        pump.deaf = true;
        programmer.order(millis(0), &bolus()).unwrap();
        pump.exchange(&mut programmer, millis(0));
        assert!(matches!(programmer.disconnected(), Event::Unknown { .. }));
        assert!(programmer.pending().is_some());
        pump.deaf = false;
        pump.connect(&mut programmer);
        // Nothing that gives drug is sent meanwhile; what does not, is.
        assert!(programmer.order(millis(0), &bolus()).is_err());
        programmer.order(millis(0), &Act::OpenRefill).unwrap();
        assert!(matches!(
            pump.exchange(&mut programmer, millis(0)),
            Event::Ordered { .. }
        ));
        let given = read_out(&mut programmer, &mut pump);
        assert!(
            matches!(given, Some(Resolved::OrderDone { .. })),
            "{given:?}"
        );
        assert_eq!((programmer.pending(), pump.therapy.last_number), (None, 1));
    }

    #[test]
    fn a_bolus_is_found_not_given_or_somebody_elses() {
        let lost = |last_number, storing| {
            let (mut programmer, mut pump) = serving();
            pump.deaf = true;
            programmer.order(millis(0), &bolus()).unwrap();
            pump.exchange(&mut programmer, millis(0));
            programmer.disconnected();
            pump.deaf = false;
            (pump.therapy.last_number, pump.therapy.storing) = (last_number, storing);
            pump.connect(&mut programmer);
            let resolved = read_out(&mut programmer, &mut pump);
            (resolved, programmer.pending().is_some())
        };
        assert!(matches!(
            lost(0, false),
            (Some(Resolved::OrderNotDone { .. }), false)
        ));
        assert_eq!(lost(0, true), (None, true));
        assert!(matches!(
            lost(2, false),
            (Some(Resolved::OrderSuperseded { .. }), false)
        ));
    }

    #[test]
    fn what_may_be_done_twice_says_so() {
        let (mut programmer, mut pump) = serving();
        pump.deaf = true;
        programmer.order(millis(0), &Act::CancelBolus).unwrap();
        pump.exchange(&mut programmer, millis(0));
        match programmer.disconnected() {
            Event::Unknown { reason } => assert!(reason.contains("do it again"), "{reason}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(programmer.pending(), None);
    }

    #[test]
    fn therapy_and_path_are_read_out() {
        let (mut programmer, mut pump) = serving();
        programmer.read_path(millis(0)).unwrap();
        assert!(matches!(
            pump.exchange(&mut programmer, millis(0)),
            Event::Path { .. }
        ));
        // A pump of which nothing was read is told nothing.
        let mut stranger = Programmer::new();
        assert!(stranger.order(millis(0), &Act::OpenRefill).is_err());
        assert!(!stranger.check(&baclofen_form("", "250 mcg/day")).ready);
    }

    #[test]
    fn flags_are_cleared_by_name() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        let flags = pump.status.status_changed;
        programmer.reset_flags(millis(0), flags).unwrap();
        assert_eq!(pump.exchange(&mut programmer, millis(0)), Event::FlagsReset);
        assert_eq!(pump.status.status_changed, 0);
    }
}
