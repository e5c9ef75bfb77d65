//! The pump's reception: who may connect, presence, the session, and when a connection ends. Every shell drives its link through it, so that
//! board and virtual pump let in the same.
//!
//! All of it in the link's own time ([`CarrierTime`]), however fast therapy's runs.
//!
//! | happens | admission | session | connection |
//! |---|---|---|---|
//! | a phone wants to connect, and the pump shows itself | takes a token | | made |
//! | it wants to, and the pump does not show itself | | | not made |
//! | it opens a session | gives the token back | open | |
//! | it opens none in time | keeps the token, rests when it is gone | | to be ended |
//! | it is denied | keeps the token, rests when it is gone | locked | to be ended after [`HANG_UP_AFTER`] |
//! | nothing is asked for [`IDLE_LIMIT`], presence is over, or the key is gone | | locked | to be ended after [`HANG_UP_AFTER`] |
//! | the carrier has lost it: the phone went, or the end was acknowledged, or nobody did for a supervision time-out | as it was; pays for what came behind the end | closed | ended |
//! | the presence window opens or is prolonged | quotas are full again | | |

use units::{CarrierTime, Duration};

use crate::admission::{Admission, Advertise};
use crate::frame::Mtu;
use crate::info::Info;
use crate::keys::{ENROLMENT_SLOT, Keyring, RECOVERY_SLOT, Secret};
use crate::presence::Presence;
use crate::roles::Situation;
use crate::session::{HANG_UP_AFTER, HangUp, IDLE_LIMIT, Received, Session, SessionId};

/// Why the pump has ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The session is over.
    Session(HangUp),
    /// The phone has opened none in time.
    NoSession,
}

impl core::fmt::Display for Over {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Session(reason) => write!(out, "{reason}"),
            Self::NoSession => out.write_str("no session was opened in time"),
        }
    }
}

/// The state of the pump's end of the link.
#[derive(Clone, Debug)]
pub struct Reception {
    session: Session,
    presence: Presence,
    admission: Admission,
    /// The connection, from the moment at which it was made until the carrier has lost it.
    connection: Option<SessionId>,
    /// The pump wants it ended.
    hung_up: bool,
    nonce: [u8; 8],
    /// The one-time secret of the sterile pack is spent.
    enrolled: bool,
    /// When something last happened to the session.
    touched: CarrierTime,
    /// When it was last asked whether it is over.
    looked: CarrierTime,
}

impl Reception {
    /// One that lets nobody in before it has keys.
    pub const fn new(situation: Situation) -> Self {
        Self {
            session: Session::new(situation),
            presence: Presence::new(),
            admission: Admission::new(),
            connection: None,
            hung_up: false,
            nonce: [0; 8],
            enrolled: false,
            touched: CarrierTime::ZERO,
            looked: CarrierTime::ZERO,
        }
    }

    /// How the pump is to show itself while nobody is connected.
    pub fn advertise(&self, now: CarrierTime) -> Advertise {
        self.admission.advertise(now)
    }

    /// A connection is made: at once, whenever the session gets to know. `bonded`: the address is that of a bonded phone; `nonce` are random
    /// bytes of this connection.
    pub fn connected(&mut self, now: CarrierTime, id: SessionId, bonded: bool, nonce: [u8; 8]) {
        self.admission.connected(now, bonded);
        self.connection = Some(id);
        self.hung_up = false;
        self.nonce = nonce;
    }

    /// How often the connection's two ends meet: the phone chooses it, and what it costs the pump.
    pub fn paced(&mut self, now: CarrierTime, interval: Duration) {
        self.admission.paced(now, interval);
    }

    /// The connection is encrypted with the keys of a bond.
    pub fn secured(&mut self) {
        self.admission.secured();
    }

    /// The connection is gone, if there was one: which.
    pub fn disconnected(&mut self, now: CarrierTime) -> Option<SessionId> {
        self.admission.closed(now);
        self.hung_up = false;
        self.connection.take()
    }

    /// The connection, from the moment at which it was made until the carrier has lost it.
    pub fn connection(&self) -> Option<SessionId> {
        self.connection
    }

    /// The connection that is to be ended, for as long as the carrier has it: a wish that failed is to be repeated.
    pub fn to_end(&self) -> Option<SessionId> {
        self.connection.filter(|_| self.hung_up)
    }

    /// The random bytes of the connection.
    pub fn nonce(&self) -> [u8; 8] {
        self.nonce
    }

    /// The session, for its keys, its situation and what is to be shown.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// The connection that the session knows of; for a moment not yet [`Reception::connection`].
    pub fn session_id(&self) -> Option<SessionId> {
        self.session.id()
    }

    /// What a read of Response gives.
    pub fn response(&self) -> &[u8] {
        self.session.response()
    }

    /// The session gets to know of the connection.
    pub fn opened(
        &mut self,
        now: CarrierTime,
        id: SessionId,
        mtu: Mtu,
        info: &Info,
        ephemeral: Secret,
    ) {
        if self.to_end() == Some(id) {
            return;
        }
        self.session.opened(id, mtu, info, ephemeral);
        self.touch(now);
    }

    /// The session gets to know that the connection is gone. Whether it had it.
    pub fn closed(&mut self, id: SessionId) -> bool {
        let had = self.session.id() == Some(id);
        if had {
            self.session.closed();
        }
        had
    }

    /// A frame comes.
    pub fn receive(&mut self, now: CarrierTime, frame: &[u8]) -> Received {
        let received = self.session.receive(now, frame);
        self.touch(now);
        if matches!(received, Received::Opened(_)) {
            self.admission.passed(now);
        }
        received
    }

    /// Changes the keys. Whatever had to be answered with the keys of before has been.
    pub fn change_keys(&mut self, now: CarrierTime, fill: impl FnOnce(&mut Keyring)) {
        let keyring = self.session.keyring();
        fill(keyring);
        // A pump without any secret has not taken those of its pack yet.
        self.enrolled =
            keyring.get(ENROLMENT_SLOT).is_none() && keyring.get(RECOVERY_SLOT).is_some();
        self.session.keys_changed(now);
        self.touch(now);
    }

    /// Whether the sterile pack has done what it is for.
    pub fn is_enrolled(&self) -> bool {
        self.enrolled
    }

    /// The magnet comes or goes.
    pub fn magnet(&mut self, now: CarrierTime, held: bool) {
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
    pub fn is_armed(&self, now: CarrierTime) -> bool {
        self.presence.is_open(now)
    }

    /// When to call [`Reception::pass_time`] and [`Reception::look`] though nothing has happened.
    pub fn due(&self, now: CarrierTime) -> Option<CarrierTime> {
        let session = self.session.id().map(|_| {
            let denied = self.touched.saturating_add(HANG_UP_AFTER);
            if self.looked < denied {
                denied
            } else {
                let idle = self.touched.saturating_add(IDLE_LIMIT);
                idle.max(self.looked.saturating_add(HANG_UP_AFTER))
            }
        });
        let admission = match self.connection {
            // Its end is the carrier's to tell.
            Some(_) if self.hung_up => None,
            Some(_) => self.admission.deadline(),
            // A rest ends, a token comes: the pump shows itself otherwise.
            None => self.admission.next(now),
        };
        [self.presence.next(), admission, session]
            .into_iter()
            .flatten()
            .min()
    }

    /// Time has passed.
    pub fn pass_time(&mut self, now: CarrierTime) {
        let changed = self.presence.tick(now);
        self.presence_changed(now, changed);
    }

    /// Ends the session if it is over: of which connection, and why. The carrier is to end that ([`Reception::to_end`]) and to tell when it is
    /// gone ([`Reception::disconnected`]); nobody else can come until then, and whoever does not let go pays for it.
    pub fn look(&mut self, now: CarrierTime) -> Option<(SessionId, Over)> {
        self.looked = now;
        let waiting = self.connection.filter(|_| !self.hung_up);
        let id = self.session.id().or(waiting)?;
        let over = match self.session.hang_up(now) {
            Some(reason) => Over::Session(reason),
            None if self.connection == Some(id) && self.admission.expired(now) => Over::NoSession,
            None => return None,
        };
        self.session.closed();
        // The phone may have gone already, and another one come.
        if self.connection == Some(id) {
            if matches!(over, Over::NoSession | Over::Session(HangUp::Denied)) {
                self.admission.failed(now);
            }
            self.hung_up = true;
        }
        Some((id, over))
    }

    fn touch(&mut self, now: CarrierTime) {
        self.touched = now;
        self.looked = now;
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use crate::admission::{BACK_OFF_FIRST, GATE_TIME, STRANGERS};
    use crate::info::Lifecycle;

    const SITUATION: Situation = Situation {
        lifecycle: Lifecycle::InService,
        armed: false,
        alarm: false,
    };

    fn at(seconds: u64) -> CarrierTime {
        CarrierTime::from_micros(seconds * 1_000_000)
    }

    /// A stranger's connection at that moment.
    fn visited(reception: &mut Reception, now: CarrierTime, id: u32) {
        let id = SessionId(id);
        reception.connected(now, id, false, [0; 8]);
        let info = Info::new(0, [0; 8], Lifecycle::InService, false);
        let ephemeral = Secret::new([1; 32]);
        reception.opened(now, id, Mtu::HIGHEST, &info, ephemeral);
    }

    #[test]
    fn a_connection_that_is_over_stays_until_the_carrier_has_lost_it() {
        let mut reception = Reception::new(SITUATION);
        visited(&mut reception, at(10), 1);
        let end = at(10).saturating_add(GATE_TIME);
        assert_eq!(reception.due(at(10)), Some(at(10 + 2)), "a look");
        assert_eq!(reception.look(at(14)), None);
        assert_eq!(reception.to_end(), None);
        assert_eq!(reception.due(at(14)), Some(end));
        assert_eq!(reception.look(end), Some((SessionId(1), Over::NoSession)));
        assert_eq!(reception.session().id(), None);
        for later in [end, at(30)] {
            assert_eq!(reception.to_end(), Some(SessionId(1)), "the wish lasts");
            assert_eq!(reception.look(later), None, "and is told once");
            assert_eq!(reception.advertise(later), Advertise::No);
            assert_eq!(reception.due(later), None, "the carrier tells");
        }
        assert_eq!(reception.disconnected(at(30)), Some(SessionId(1)));
        assert_eq!(reception.to_end(), None);
        assert_eq!(reception.connection(), None);
    }

    #[test]
    fn one_that_the_session_never_saw_ends_as_well() {
        let mut reception = Reception::new(SITUATION);
        reception.connected(at(1), SessionId(3), false, [0; 8]);
        assert_eq!(reception.look(at(2)), None);
        let end = at(1).saturating_add(GATE_TIME);
        assert_eq!(reception.look(end), Some((SessionId(3), Over::NoSession)));
        // Too late to begin.
        let info = Info::new(0, [0; 8], Lifecycle::InService, false);
        let ephemeral = Secret::new([1; 32]);
        reception.opened(end, SessionId(3), Mtu::HIGHEST, &info, ephemeral);
        assert_eq!(reception.session().id(), None);
        assert_eq!(reception.to_end(), Some(SessionId(3)));
    }

    /// Whoever sleeps until `due` shows the pump again as soon as a rest is over, or a token has come.
    #[test]
    fn is_due_when_a_rest_ends() {
        let mut reception = Reception::new(SITUATION);
        let mut now = at(1);
        let rest = |quiet: u64| BACK_OFF_FIRST.saturating_mul(quiet);
        for visit in 0..10 {
            assert_eq!(reception.advertise(now), Advertise::Slow, "{visit}");
            visited(&mut reception, now, visit);
            reception.disconnected(now);
            reception.closed(SessionId(visit));
            assert_eq!(reception.advertise(now), Advertise::BondedOnly);
            let due = reception.due(now).expect("a rest that ends");
            assert!(due > now);
            if visit < 9 {
                assert_eq!(due, now.saturating_add(rest(1 << visit)));
            } else {
                // All tokens are gone: the first of them comes back.
                assert_eq!(due, at(1).saturating_add(STRANGERS.refill));
            }
            now = due;
        }
        assert_eq!(reception.advertise(now), Advertise::Slow);
    }
}
