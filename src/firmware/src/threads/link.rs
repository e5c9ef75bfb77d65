//! The link thread: frames from the phone into the session, authorised commands to delivery, answers back.
//!
//! The lowest priority of the firmware. Nobody waits for it. Who may come in, and until when, is [`Reception`]'s; here it meets the radio.

use drivers::device::link::{self, Advertising, EventBuffer, LinkEvent};
use drivers::device::queue::{self, QUEUE_BYTES, Queue};
use drivers::device::system;
use protocol::info::capability;
use protocol::keys::KEY_BYTES;
use protocol::{
    Advertise, AnswerError, Info, Lifecycle, Mtu, Over, Received, Reception, Refused, Request,
    Secret, SessionId, Situation,
};
use static_cell::StaticCell;
use units::{CarrierTime, Duration};

use crate::clock;
use crate::log_sink::say;
use crate::message::{self, Shown, ToDelivery, ToLink, Wiped};

/// Until delivery says what it is, which is before anybody connects.
const SITUATION: Situation = Situation {
    lifecycle: Lifecycle::InService,
    armed: false,
    alarm: false,
};

const CAPABILITIES: u32 = if cfg!(CONFIG_BOARD_NATIVE_SIM) {
    capability::VIRTUAL
} else {
    0
};

const NONCE_BYTES: usize = 8;

/// Longest wait for an event while a phone is there: frames of a message that is never finished are dropped in time.
const WAIT_MS: u32 = 500;
/// And while none is there.
const IDLE_WAIT_MS: u32 = 60_000;

/// How old the emergency card may be \[P\].
const CARD_AGE: Duration = Duration::from_seconds(10);

/// Not on the stack: there the session's buffers and keys would lie below the deepest calls.
static LINK: StaticCell<Link> = StaticCell::new();

/// The thread.
pub fn run() {
    while !system::wait_for_delivery(IDLE_WAIT_MS) {}
    let link = make();
    // What delivery had to tell before it began: the first Info is to be right.
    link.take_messages();
    link.show_info();
    match link::start() {
        Ok(()) => say!(info, "link: Bluetooth runs"),
        // Therapy goes on; without a radio there is nothing left to do here.
        Err(error) => say!(error, "link: Bluetooth does not start: {error}"),
    }
    let mut buffer = EventBuffer::default();
    loop {
        if let Some(event) = link::receive(&mut buffer, link.wait()) {
            link.happened(event);
        }
        link.take_messages();
        link.look_after(now());
        link.show_response();
    }
}

// Not merged with its caller: it is made on the stack, and is to leave it.
#[inline(never)]
fn make() -> &'static mut Link {
    let link = LINK.init_with(Link::new);
    link.renew_nonce();
    link
}

fn now() -> CarrierTime {
    clock::carrier(system::uptime())
}

struct Link {
    reception: Reception,
    situation: Situation,
    /// The random bytes of Info: those of the next connection, or of this one.
    nonce: [u8; NONCE_BYTES],
    /// There were none to be had: then nobody is let in.
    speechless: bool,
    /// What Response holds is not empty.
    response_set: bool,
    /// How the pump shows itself, as last told to the radio.
    advertising: Option<Advertise>,
    /// When the emergency card was last asked for, while it may be read.
    card_at: Option<CarrierTime>,
    /// A session that delivery could not be told the end of, because its queue was full.
    closed: Option<u32>,
    /// Entries that found no room in a queue of the link's, as last seen.
    lost: u32,
}

impl Link {
    fn new() -> Self {
        Self {
            reception: Reception::new(SITUATION),
            situation: SITUATION,
            nonce: [0; NONCE_BYTES],
            speechless: true,
            response_set: false,
            advertising: None,
            card_at: None,
            closed: None,
            lost: 0,
        }
    }

    /// How long nothing has to be done unless something happens, in ms.
    fn wait(&self) -> u32 {
        let most = if self.reception.connection().is_some() {
            WAIT_MS
        } else {
            IDLE_WAIT_MS
        };
        let now = now();
        let due = self
            .reception
            .due(now)
            .map(|due| due.saturating_since(now));
        // Rounded up: not twice for one thing.
        due.map_or(most, |due| {
            let milliseconds = due.micros().div_ceil(1_000);
            u32::try_from(milliseconds).unwrap_or(most).min(most)
        })
    }

    fn happened(&mut self, event: LinkEvent<'_>) {
        let now = now();
        match event {
            LinkEvent::Connected {
                session,
                mtu,
                bonded,
            } => self.connected(now, session, mtu, bonded),
            LinkEvent::Disconnected { session } => {
                say!(info, "link: phone disconnected, session {session}");
                self.reception.disconnected(now);
                self.reception.closed(SessionId(session));
                self.closed = Some(session);
                // The nonce is of one connection: the next phone reads another.
                self.renew_nonce();
                self.show_info();
            }
            LinkEvent::Mtu { session, mtu } => {
                if self.is_open(session) {
                    self.reception.session().set_mtu(Mtu::clamped(mtu));
                }
            }
            LinkEvent::Frame { session, bytes } => {
                if self.is_open(session) {
                    self.frame(now, session, bytes);
                }
            }
            // The session sees the gap in the frames' numbers, or the silence after the last, and drops the message.
            LinkEvent::Overflow { session } => say!(warn, "link: frames lost, session {session}"),
            LinkEvent::Paced { interval_us, .. } => {
                let interval = Duration::from_micros(u64::from(interval_us));
                self.reception.paced(now, interval);
            }
            LinkEvent::Security { level, bonded, .. } => {
                say!(info, "link: security level {level}, bonded: {bonded}");
                if bonded && level == link::AUTHENTICATED {
                    self.reception.secured();
                }
            }
            LinkEvent::Magnet { held } => {
                self.reception.magnet(now, held);
                say!(info, "link: magnet {}", if held { "held" } else { "gone" });
            }
            LinkEvent::Unknown => say!(error, "link: unknown event"),
        }
    }

    fn is_open(&mut self, session: u32) -> bool {
        self.reception.session().id() == Some(SessionId(session))
    }

    // Not merged with its caller: the keys are to leave the stack.
    #[inline(never)]
    fn connected(&mut self, now: CarrierTime, session: u32, mtu: u16, bonded: bool) {
        say!(info, "link: phone connected, session {session}");
        self.response_set = false;
        let id = SessionId(session);
        self.reception.connected(now, id, bonded, self.nonce);
        let mut ephemeral = Wiped::<KEY_BYTES>::new();
        if self.speechless || system::random(&mut *ephemeral).is_err() {
            say!(error, "link: no random numbers, nobody is let in");
            let _ = link::disconnect(session);
            return;
        }
        let info = self.info();
        self.reception
            .opened(now, id, Mtu::clamped(mtu), &info, Secret::new(*ephemeral));
    }

    // Not merged with its caller: there is room for a request on its stack.
    #[inline(never)]
    fn frame(&mut self, now: CarrierTime, session: u32, bytes: &[u8]) {
        match &self.reception.receive(now, bytes) {
            Received::Nothing => {}
            Received::Opened(caller) => {
                say!(
                    info,
                    "link: session {session} is open, role {}, slot {}",
                    caller.role.name(),
                    caller.slot
                );
            }
            Received::Request(request) => self.pass_on(session, request),
            // The phone shows why; the text with its quantities would cost room here.
            Received::Refused { id, refused: _ } => say!(warn, "link: request {id} refused"),
            Received::Denied(_) => say!(warn, "link: denied, session {session}"),
            Received::Dropped(reason) => say!(warn, "link: message dropped: {reason}"),
        }
        if let Some(slot) = self.reception.session().take_failed() {
            // One that finds no room is not in the log.
            let _ = message::send(Queue::Commands, &ToDelivery::AuthenticationFailed { slot });
        }
    }

    /// Gives delivery a request, or refuses it for want of room.
    fn pass_on(&mut self, session: u32, request: &Request) {
        let Some(caller) = self.reception.session().caller() else {
            return;
        };
        let order = ToDelivery::Request {
            session,
            caller,
            request,
        };
        if message::send(Queue::Commands, &order).is_err() {
            let (id, to) = (request.id, SessionId(session));
            let answered = self
                .reception
                .session()
                .answer_refused(to, id, Refused::Busy);
            note(id, answered);
        }
    }

    #[inline(never)]
    fn take_messages(&mut self) {
        let mut buffer = Wiped::<QUEUE_BYTES>::new();
        while let Some((message, rest)) = message::receive_for_link(&mut buffer) {
            match message {
                ToLink::Answer { session, id } => {
                    let session = SessionId(session);
                    let answered = self.reception.session().answer_encoded(session, id, rest);
                    note(id, answered);
                }
                ToLink::Shown(shown) => self.show(shown),
                ToLink::Keys { passkey } => self.take_keys(passkey, rest),
                // One that comes when the window has closed is not kept for the next.
                ToLink::Card if !self.situation.armed => {}
                ToLink::Card => {
                    if let Err(error) = link::set_card(rest) {
                        say!(warn, "link: emergency card: {error}");
                    }
                }
            }
        }
    }

    // Not merged with its caller: the keys are to leave the stack.
    #[inline(never)]
    fn take_keys(&mut self, passkey: Option<u32>, encoded: &[u8]) {
        self.reception.change_keys(now(), |keyring| {
            if keyring.read(encoded).is_err() {
                say!(error, "link: the keys cannot be read");
            }
        });
        if let Err(error) = link::set_passkey(passkey) {
            say!(warn, "link: passkey: {error}");
        }
    }

    fn show(&mut self, shown: Shown) {
        link::set_status_changed(shown.flags);
        let before = self.situation;
        self.situation.lifecycle = shown.lifecycle;
        self.situation.alarm = shown.alarm;
        self.situation_changed(before);
    }

    fn situation_changed(&mut self, before: Situation) {
        if self.situation == before {
            return;
        }
        self.reception.session().set_situation(self.situation);
        if self.situation.armed != before.armed {
            link::set_armed(self.situation.armed);
            let armed = if self.situation.armed {
                "armed"
            } else {
                "no longer armed"
            };
            say!(info, "link: {armed}");
            self.card_at = None;
            if !self.situation.armed {
                // The first to read in the next window gets that window's.
                let _ = link::set_card(&[]);
            }
        }
        self.show_info();
    }

    /// What has to be done by the clock.
    fn look_after(&mut self, now: CarrierTime) {
        self.reception.pass_time(now);
        let before = self.situation;
        self.situation.armed = self.reception.is_armed(now);
        self.situation_changed(before);
        if let Some((SessionId(session), over)) = self.reception.look(now) {
            say!(info, "link: session {session} ends: {}", over_text(over));
        }
        if let Some(SessionId(session)) = self.reception.to_end() {
            // Again and again until it is told to be gone; one that is ending takes no harm.
            let _ = link::disconnect(session);
        }
        self.show_itself(now);
        self.renew_card(now);
        if let Some(session) = self.closed
            && message::send(Queue::Commands, &ToDelivery::Closed { session }).is_ok()
        {
            self.closed = None;
        }
        let lost = queue::lost(Queue::Commands).saturating_add(queue::lost(Queue::Answers));
        if lost != self.lost {
            self.lost = lost;
            say!(
                warn,
                "link: {lost} commands and answers found no room since boot"
            );
        }
        if let Some(reason) = self.reception.session().tick(now) {
            say!(warn, "link: message dropped: {reason}");
        }
    }

    fn show_itself(&mut self, now: CarrierTime) {
        let advertise = self.reception.advertise(now);
        if self.advertising == Some(advertise) {
            return;
        }
        let how = match advertise {
            Advertise::No => Advertising::Off,
            Advertise::BondedOnly => Advertising::BondedOnly,
            Advertise::Slow => Advertising::Slow,
            Advertise::Fast => Advertising::Fast,
        };
        match link::set_advertising(how) {
            Ok(()) => self.advertising = Some(advertise),
            Err(error) => say!(warn, "link: advertising: {error}"),
        }
    }

    /// Whoever holds a magnet over the pump reads how it is now.
    fn renew_card(&mut self, now: CarrierTime) {
        if !self.situation.armed {
            return;
        }
        let is_new = self
            .card_at
            .is_some_and(|at| now.saturating_since(at) < CARD_AGE);
        if !is_new && message::send(Queue::Commands, &ToDelivery::Card).is_ok() {
            self.card_at = Some(now);
        }
    }

    /// Makes Response hold what the session shows.
    fn show_response(&mut self) {
        let session = self.reception.session();
        let Some(SessionId(id)) = session.id() else {
            return;
        };
        let shown = if let Some(fragment) = session.indication() {
            self.response_set = true;
            link::set_response(id, fragment)
        } else if self.response_set && session.response().is_empty() {
            self.response_set = false;
            link::set_response(id, &[])
        } else {
            Ok(())
        };
        if let Err(error) = shown {
            say!(warn, "link: response: {error}");
        }
    }

    fn renew_nonce(&mut self) {
        let renewed = system::random(&mut self.nonce);
        if let Err(error) = renewed {
            say!(error, "link: no random numbers: {error}");
        }
        self.speechless = renewed.is_err();
    }

    fn info(&self) -> Info {
        let Situation {
            lifecycle, armed, ..
        } = self.situation;
        Info::new(CAPABILITIES, self.nonce, lifecycle, armed)
    }

    fn show_info(&self) {
        let mut buffer = [0; Info::LIMIT];
        let set = match self.info().encode(&mut buffer) {
            Some(bytes) => link::set_info(bytes).is_ok(),
            None => false,
        };
        if !set {
            say!(error, "link: Info cannot be set");
        }
    }
}

const fn over_text(over: Over) -> &'static str {
    match over {
        Over::Session(reason) => reason.text(),
        Over::NoSession => "none was opened in time",
    }
}

/// For the log.
fn note(id: u32, answered: Result<(), AnswerError>) {
    if let Err(error) = answered {
        say!(warn, "link: answer {id} dropped: {error}");
    }
}
