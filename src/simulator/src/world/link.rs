//! The pump's end of the link beside what the pump itself decides: who may connect, presence, the session, and when a connection ends.
//!
//! All of it in the link's own time ([`CarrierTime`]), however fast therapy's runs.
//!
//! | happens | admission | session | connection |
//! |---|---|---|---|
//! | a phone wants to connect, and the pump shows itself | takes a token | | made |
//! | it wants to, and the pump does not show itself | | | not made |
//! | it opens a session | gives the token back | open | |
//! | it opens none in time | keeps the token, rests | | ended |
//! | it is denied | keeps the token, rests | locked | ended after [`HANG_UP_AFTER`] |
//! | nothing is asked for [`IDLE_LIMIT`], presence is over, or the key is gone | | locked | ended after [`HANG_UP_AFTER`] |
//! | the phone goes | as it was | closed | ended |
//! | the presence window opens or is prolonged | quotas are full again | | |

use protocol::session::{HANG_UP_AFTER, IDLE_LIMIT};
use protocol::{
    Admission, Advertise, Answer, Caller, ENROLMENT_SLOT, HangUp, Info, Keyring, Mtu, Presence,
    RECOVERY_SLOT, Received, Request, Secret, Session, SessionId, Situation,
};
use units::CarrierTime;

/// Why the pump has ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The session is over.
    Session(HangUp),
    /// The phone has opened none in time.
    NoSession,
}

impl std::fmt::Display for Over {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Session(reason) => write!(out, "{reason}"),
            Self::NoSession => out.write_str("no session was opened in time"),
        }
    }
}

#[derive(Debug)]
pub(super) struct Link {
    session: Session,
    presence: Presence,
    admission: Admission,
    /// The connection, from the moment at which it was made.
    connection: Option<SessionId>,
    nonce: [u8; 8],
    /// The one-time secret of the sterile pack is spent.
    enrolled: bool,
    /// When something last happened to the session.
    touched: CarrierTime,
    /// When it was last asked whether it is over.
    looked: CarrierTime,
}

impl Link {
    pub(super) fn new(situation: Situation) -> Self {
        Self {
            session: Session::new(situation),
            presence: Presence::new(),
            admission: Admission::new(),
            connection: None,
            nonce: [0; 8],
            enrolled: false,
            touched: CarrierTime::ZERO,
            looked: CarrierTime::ZERO,
        }
    }

    /// Whether a phone that is not bonded may connect now. No phone is bonded with a virtual pump.
    pub(super) fn shows_itself(&self, now: CarrierTime) -> bool {
        match self.admission.advertise(now) {
            Advertise::Slow | Advertise::Fast => true,
            Advertise::No | Advertise::BondedOnly => false,
        }
    }

    /// A connection is made: at once, whenever the processor gets to know.
    pub(super) fn connected(&mut self, now: CarrierTime, id: SessionId, nonce: [u8; 8]) {
        self.admission.connected(now, false);
        self.connection = Some(id);
        self.nonce = nonce;
    }

    /// The connection is gone, if there was one: which.
    pub(super) fn disconnected(&mut self, now: CarrierTime) -> Option<SessionId> {
        self.admission.closed(now);
        self.connection.take()
    }

    pub(super) fn connection(&self) -> Option<SessionId> {
        self.connection
    }

    /// The random bytes of the connection.
    pub(super) fn nonce(&self) -> [u8; 8] {
        self.nonce
    }

    pub(super) fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    pub(super) fn response(&self) -> &[u8] {
        self.session.response()
    }

    /// The session gets to know of the connection.
    pub(super) fn opened(
        &mut self,
        now: CarrierTime,
        id: SessionId,
        mtu: Mtu,
        info: &Info,
        ephemeral: Secret,
    ) {
        self.session.opened(id, mtu, info, ephemeral);
        self.touch(now);
    }

    /// The session gets to know that the connection is gone. Whether it had it.
    pub(super) fn closed(&mut self, id: SessionId) -> bool {
        let had = self.session.id() == Some(id);
        if had {
            self.session.closed();
        }
        had
    }

    /// A frame comes: a request for the pump, by whom and in which session, if it made one whole.
    pub(super) fn receive(
        &mut self,
        now: CarrierTime,
        frame: &[u8],
    ) -> Option<(SessionId, Caller, Request)> {
        let received = self.session.receive(now, frame);
        self.touch(now);
        match received {
            Received::Opened(_) => {
                self.admission.passed(now);
                None
            }
            Received::Request(request) => {
                Some((self.session.id()?, self.session.caller()?, request))
            }
            Received::Nothing
            | Received::Refused { .. }
            | Received::Denied(_)
            | Received::Dropped(_) => None,
        }
    }

    /// Nobody may wait for it any more; what is done is done.
    pub(super) fn answer(&mut self, session: SessionId, answer: &Answer) {
        let _ = self.session.answer(session, answer);
    }

    /// Changes the keys. Whatever had to be answered with the keys of before has been.
    pub(super) fn change_keys(&mut self, now: CarrierTime, fill: impl FnOnce(&mut Keyring)) {
        let keyring = self.session.keyring();
        fill(keyring);
        // A pump without any secret has not taken those of its pack yet.
        self.enrolled =
            keyring.get(ENROLMENT_SLOT).is_none() && keyring.get(RECOVERY_SLOT).is_some();
        self.session.keys_changed(now);
        self.touch(now);
    }

    /// Whether the sterile pack has done what it is for.
    pub(super) fn is_enrolled(&self) -> bool {
        self.enrolled
    }

    /// The magnet comes or goes.
    pub(super) fn magnet(&mut self, now: CarrierTime, held: bool) {
        let changed = self.presence.magnet(now, held);
        self.presence_changed(now, changed);
    }

    fn presence_changed(&mut self, now: CarrierTime, changed: bool) {
        if changed {
            if self.presence.is_open(now) {
                self.admission.presence_opened(now);
            }
            self.touch(now);
        }
    }

    /// The presence window is open.
    pub(super) fn is_armed(&self, now: CarrierTime) -> bool {
        self.presence.is_open(now)
    }

    /// When to call [`Link::pass_time`] and [`Link::look`] though nothing has happened.
    pub(super) fn due(&self) -> Option<CarrierTime> {
        let session = self.session.id().map(|_| {
            let denied = self.touched.saturating_add(HANG_UP_AFTER);
            if self.looked < denied {
                denied
            } else {
                let idle = self.touched.saturating_add(IDLE_LIMIT);
                idle.max(self.looked.saturating_add(HANG_UP_AFTER))
            }
        });
        let admission = self.connection.and_then(|_| self.admission.deadline());
        [self.presence.next(), admission, session]
            .into_iter()
            .flatten()
            .min()
    }

    pub(super) fn pass_time(&mut self, now: CarrierTime) {
        let changed = self.presence.tick(now);
        self.presence_changed(now, changed);
    }

    /// Ends the connection if it is over: which one, and why.
    pub(super) fn look(&mut self, now: CarrierTime) -> Option<(SessionId, Over)> {
        self.looked = now;
        let id = self.session.id()?;
        let over = match self.session.hang_up(now) {
            Some(reason) => Over::Session(reason),
            None if self.connection == Some(id) && self.admission.expired(now) => Over::NoSession,
            None => return None,
        };
        self.session.closed();
        // The phone may have gone already, and another one come.
        if self.connection == Some(id) {
            if over == Over::Session(HangUp::Denied) {
                self.admission.failed(now);
            }
            self.admission.closed(now);
            self.connection = None;
        }
        Some((id, over))
    }

    fn touch(&mut self, now: CarrierTime) {
        self.touched = now;
        self.looked = now;
    }
}
