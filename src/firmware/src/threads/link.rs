//! The link thread: frames from the phone into the session, authorised commands to delivery, answers back.
//!
//! The lowest priority of the firmware. Nobody waits for it.

use drivers::device::link::{self, EventBuffer, LinkEvent};
use drivers::device::queue::{self, QUEUE_BYTES, Queue};
use drivers::device::system;
use protocol::info::capability;
use protocol::{
    Answer, AnswerError, Info, Lifecycle, Mtu, Outcome, Policy, Received, Refused, Session,
    SessionId, Situation,
};
use units::CarrierTime;

use crate::clock;
use crate::log_sink::say;
use crate::message::{self, FromLink, Shown, ToLink};

/// Whoever connects may program the pump only in a build for tests (Kconfig, native_sim only).
const POLICY: Policy = if cfg!(CONFIG_THECAL_INSECURE_LINK) {
    Policy::Insecure
} else {
    Policy::InterrogationOnly
};

/// Until delivery says what it is, which is before anybody connects. There is no presence sensor yet.
const SITUATION: Situation = Situation {
    lifecycle: Lifecycle::InService,
    armed: false,
};

const CAPABILITIES: u32 = match POLICY {
    Policy::Insecure => capability::PROGRAMMING | capability::INSECURE_LINK,
    Policy::InterrogationOnly => 0,
} | if cfg!(CONFIG_BOARD_NATIVE_SIM) {
    capability::VIRTUAL
} else {
    0
};

const NONCE_BYTES: usize = 8;

/// Longest wait for an event while a phone is there: frames of a message that is never finished are dropped in time.
const WAIT_MS: u32 = 500;
/// And while none is there.
const IDLE_WAIT_MS: u32 = 60_000;

/// The thread.
pub fn run() {
    while !system::wait_for_delivery(IDLE_WAIT_MS) {}
    let mut link = Link::new();
    // What delivery had to tell before it began: the first Info is to be right.
    link.take_messages();
    link.renew_info();
    match link::start() {
        Ok(()) => say!(info, "link: advertising, {}", POLICY_TEXT),
        // Therapy goes on; without a radio there is nothing left to do here.
        Err(error) => say!(error, "link: Bluetooth does not start: {error}"),
    }
    let mut buffer = EventBuffer::default();
    loop {
        let wait = if link.session.id().is_some() {
            WAIT_MS
        } else {
            IDLE_WAIT_MS
        };
        if let Some(event) = link::receive(&mut buffer, wait) {
            link.happened(event);
        }
        link.take_messages();
        link.look_after(clock::carrier(system::uptime()));
        link.show_response();
    }
}

const POLICY_TEXT: &str = match POLICY {
    Policy::Insecure => "anybody may program (insecure, for tests)",
    Policy::InterrogationOnly => "interrogation only",
};

struct Link {
    session: Session,
    situation: Situation,
    /// The random bytes of Info.
    nonce: [u8; NONCE_BYTES],
    /// What Response holds is not empty.
    response_set: bool,
    /// A session that delivery could not be told the end of, because its queue was full.
    closed: Option<u32>,
    /// Entries that found no room in a queue of the link's, as last seen.
    lost: u32,
}

impl Link {
    fn new() -> Self {
        Self {
            session: Session::new(POLICY, SITUATION),
            situation: SITUATION,
            nonce: [0; NONCE_BYTES],
            response_set: false,
            closed: None,
            lost: 0,
        }
    }

    fn happened(&mut self, event: LinkEvent<'_>) {
        let now = clock::carrier(system::uptime());
        match event {
            LinkEvent::Connected {
                session,
                mtu,
                bonded: _,
            } => {
                say!(info, "link: phone connected, session {session}");
                self.session.opened(SessionId(session), Mtu::clamped(mtu));
                self.response_set = false;
            }
            LinkEvent::Disconnected { session } => {
                say!(info, "link: phone disconnected, session {session}");
                self.session.closed();
                self.closed = Some(session);
                // The nonce is of one connection: the next phone reads another.
                self.renew_info();
            }
            LinkEvent::Mtu { session, mtu } => {
                if self.session.id() == Some(SessionId(session)) {
                    self.session.set_mtu(Mtu::clamped(mtu));
                }
            }
            LinkEvent::Frame { session, bytes } => {
                if self.session.id() == Some(SessionId(session)) {
                    let received = self.session.receive(now, bytes);
                    self.received(session, received);
                }
            }
            // The session sees the gap in the frames' numbers, or the silence after the last, and drops the message.
            LinkEvent::Overflow { session } => say!(warn, "link: frames lost, session {session}"),
            LinkEvent::Security {
                session,
                level,
                bonded,
            } => {
                say!(
                    info,
                    "link: security level {level}, session {session}, bonded: {bonded}"
                );
            }
            LinkEvent::Magnet { held } => say!(info, "link: magnet held: {held}"),
            LinkEvent::Unknown => say!(error, "link: unknown event"),
        }
    }

    fn received(&mut self, session: u32, received: Received) {
        match received {
            Received::Nothing => {}
            Received::Request(request) => {
                let id = request.id;
                if message::send(Queue::Commands, &FromLink::Request { session, request }).is_err()
                {
                    let busy = Answer {
                        id,
                        outcome: Outcome::Refused(Refused::Busy),
                    };
                    self.answer(session, &busy);
                }
            }
            // The phone shows why; the text with its quantities would cost room here.
            Received::Refused { id, refused: _ } => say!(warn, "link: request {id} refused"),
            Received::Dropped(reason) => say!(warn, "link: message dropped: {reason}"),
        }
    }

    /// Answers what was refused here.
    fn answer(&mut self, session: u32, answer: &Answer) {
        let answered = self.session.answer(SessionId(session), answer);
        note(answer.id, answered);
    }

    #[inline(never)]
    fn take_messages(&mut self) {
        let mut buffer = [0; QUEUE_BYTES];
        while let Some((message, rest)) = message::receive_for_link(&mut buffer) {
            match message {
                ToLink::Answer { session, id } => {
                    let answered = self.session.answer_encoded(SessionId(session), id, rest);
                    note(id, answered);
                }
                ToLink::Shown(shown) => self.show(shown),
            }
        }
    }

    fn show(&mut self, shown: Shown) {
        if let Err(error) = link::set_status_changed(shown.flags) {
            say!(warn, "link: status changed: {error}");
        }
        if self.situation.lifecycle != shown.lifecycle {
            self.situation.lifecycle = shown.lifecycle;
            self.session.set_situation(self.situation);
            self.show_info();
        }
    }

    /// What has to be done by the clock.
    fn look_after(&mut self, now: CarrierTime) {
        if let Some(session) = self.closed
            && message::send(Queue::Commands, &FromLink::Closed { session }).is_ok()
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
        if let Some(reason) = self.session.tick(now) {
            say!(warn, "link: message dropped: {reason}");
        }
    }

    /// Makes Response hold what the session shows.
    fn show_response(&mut self) {
        let Some(SessionId(session)) = self.session.id() else {
            return;
        };
        let shown = if let Some(fragment) = self.session.indication() {
            self.response_set = true;
            link::set_response(session, fragment)
        } else if self.response_set && self.session.response().is_empty() {
            self.response_set = false;
            link::set_response(session, &[])
        } else {
            Ok(())
        };
        if let Err(error) = shown {
            say!(warn, "link: response: {error}");
        }
    }

    /// Info with fresh random bytes.
    fn renew_info(&mut self) {
        if let Err(error) = system::random(&mut self.nonce) {
            say!(error, "link: no random numbers: {error}");
        }
        self.show_info();
    }

    fn show_info(&self) {
        let Situation { lifecycle, armed } = self.situation;
        let info = Info::new(CAPABILITIES, self.nonce, lifecycle, armed);
        let mut buffer = [0; Info::LIMIT];
        let set = match info.encode(&mut buffer) {
            Some(bytes) => link::set_info(bytes).is_ok(),
            None => false,
        };
        if !set {
            say!(error, "link: Info cannot be set");
        }
    }
}

/// For the log.
fn note(id: u32, answered: Result<(), AnswerError>) {
    if let Err(error) = answered {
        say!(warn, "link: answer {id} dropped: {error}");
    }
}
