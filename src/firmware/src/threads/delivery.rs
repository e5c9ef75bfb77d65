//! The delivery thread: tells the pump what happens and does what it says.
//!
//! The highest priority of all. It waits for time and for its queues alone; nothing that happens elsewhere can hold it up. It writes no
//! log line while it delivers.

use drivers::device::queue::{NoRoom, QUEUE_BYTES, Queue, Wait};
use drivers::device::{motor, retained, system, watchdog};
use drivers::motor::{Allowance, DriveLevel, Faults, Interlock, MotorError, Order};
use heapless::Deque;
use journal::{Envelope, Stamp};
use protocol::{Keyring, SessionId};
use pump::{
    Action, Event, Kept, MotorFaults, MotorStatus, OrderRefusal, Pump, RECORD_BYTES,
    RETAINED_BYTES, Record, Recovered, Recovery, ResetCause, Retained, STATE_BYTES, Start,
    StateKind, Ticket,
};
use static_cell::StaticCell;
use therapy::StepOrder;
use units::{Duration, Now, PumpTime};

use crate::log_sink::say;
use crate::message::{self, FromJournal, FromLink, Shown, ToJournal, Wiped};
use crate::{clock, kconfig};

/// How long the recovered state is waited for (Kconfig `THECAL_RECOVERY_LIMIT_MS`).
const RECOVERY_LIMIT: Duration = Duration::from_millis(kconfig::CONFIG_THECAL_RECOVERY_LIMIT_MS);

/// What came of the actions and is still to be told to the pump: at most one thing for each action of a call, and those of one more.
const OUTCOMES: usize = 24;

/// Not on the stack: there the pump would lie below the deepest calls.
static DELIVERY: StaticCell<Delivery> = StaticCell::new();

/// The thread.
pub fn run() {
    match watchdog::start() {
        Ok(watchdog::Watchdog::Runs) => say!(info, "watchdog: runs"),
        Ok(watchdog::Watchdog::Absent) => say!(info, "watchdog: absent on this machine"),
        Err(error) => say!(error, "watchdog: {error}"),
    }
    let cause = reset_cause();
    let start = Start {
        cause,
        retained: retained(cause),
    };
    resume_interlock(cause);
    let delivery = recover(start);
    // Before the first tick: nothing has moved yet.
    delivery.tell(Event::Boot);
    delivery.tick();
    say!(
        info,
        "delivery has begun, {} ms after boot",
        clock::milliseconds(system::uptime())
    );
    delivery.tell_link();
    system::delivery_has_begun();
    loop {
        #[cfg(CONFIG_THECAL_FAULT_INJECTION)]
        if crate::fault::strike().is_break() {
            return;
        }
        system::wait_until(delivery.next_call);
        watchdog::feed();
        delivery.tick();
        delivery.take_results();
        delivery.take_commands();
        delivery.tell_link();
    }
}

/// The pump as it was before this boot. What it was found from leaves the stack again.
#[inline(never)]
fn recover(start: Start) -> &'static mut Delivery {
    DELIVERY.init_with(|| Delivery::new(recovered(), start))
}

/// The state of the pump before this boot. Flash that does not answer in time counts as lost: therapy comes first.
#[inline(never)]
fn recovered() -> Recovered {
    let deadline = PumpTime::ZERO.saturating_add(RECOVERY_LIMIT);
    let mut buffer = Wiped::<QUEUE_BYTES>::new();
    let mut found = None::<Recovered>;
    loop {
        watchdog::feed();
        match message::receive_borrowed(Queue::Results, &mut buffer, Wait::No) {
            Some(FromJournal::Basis(basis)) => {
                found = Some(Recovered::of(basis));
                continue;
            }
            Some(FromJournal::State { kind, found: state }) => {
                if let (Some(recovered), Some(kind)) =
                    (&mut found, StateKind::of(journal::Kind(kind)))
                {
                    recovered.set(
                        kind,
                        match state {
                            Recovery::Absent => Recovery::Absent,
                            Recovery::Lost => Recovery::Lost,
                            Recovery::Good(body) => Recovery::Good((body.version, body.bytes)),
                        },
                    );
                }
                continue;
            }
            Some(FromJournal::NoFlash) => return Recovered::without_flash(),
            Some(FromJournal::Recovered) => {
                if let Some(recovered) = found.take() {
                    return recovered;
                }
            }
            Some(
                FromJournal::Persisted { .. }
                | FromJournal::PersistFailed { .. }
                | FromJournal::AppendFailed
                | FromJournal::CheckpointFailed
                | FromJournal::Storage(_),
            )
            | None => {}
        }
        if system::uptime() >= deadline {
            say!(error, "flash has not answered in time: starting without it");
            return Recovered::without_flash();
        }
        system::wait_until(deadline);
    }
}

/// What has come through the reset in RAM.
fn retained(cause: ResetCause) -> Option<Retained> {
    if cause == ResetCause::PowerOn {
        // Nor is the next boot to find it, should this one come to nothing: in neither slot.
        for _ in 0..2 {
            let _ = retained::write(&[]);
        }
        return None;
    }
    let mut buffer = [0; RETAINED_BYTES];
    Retained::decode(retained::read(&mut buffer)?)
}

/// The interlock goes on with its own account of steps, where that came through the reset.
fn resume_interlock(cause: ResetCause) {
    match motor::resume(cause != ResetCause::PowerOn) {
        Ok(motor::Resumed::Armed) => say!(info, "interlock: goes on with its account"),
        Ok(motor::Resumed::Empty) => say!(info, "interlock: begins empty"),
        Err(error) => say!(error, "interlock: {error}"),
    }
}

/// What the prescription in force needs. A refusal shows in the motor's status: the interlock is closed or tripped then.
fn arm(allowance: Allowance) {
    if let Err(error) = motor::arm(allowance) {
        say!(error, "interlock: not armed: {error}");
    }
}

/// What one authorised bolus or prime needs beside it. Refused, its orders meet the allowance and are refused too.
fn grant(steps: u32, within: Duration) {
    if let Err(error) = motor::grant(steps, within) {
        say!(error, "interlock: no grant: {error}");
    }
}

fn reset_cause() -> ResetCause {
    let (cause, text) = match system::reset_cause() {
        system::ResetCause::PowerOn => (ResetCause::PowerOn, "power"),
        system::ResetCause::External => (ResetCause::External, "reset pin or debugger"),
        system::ResetCause::Fatal {
            reason,
            program_counter,
        } => {
            say!(
                error,
                "started after a fatal error: reason {reason}, at {program_counter:#010x}"
            );
            return ResetCause::Fatal { reason };
        }
        system::ResetCause::Watchdog => (ResetCause::Watchdog, "watchdog"),
        system::ResetCause::BrownOut => (ResetCause::BrownOut, "low supply"),
        system::ResetCause::Software => (ResetCause::Software, "the firmware's own wish"),
    };
    say!(info, "started by {text}");
    cause
}

/// What came of an action, if it did not just happen.
#[derive(Clone, Copy)]
enum Outcome {
    OrderRefused { order: u32, refusal: OrderRefusal },
    PersistFailed { ticket: u32 },
    AppendFailed,
    CheckpointFailed,
}

impl Outcome {
    fn event(self) -> Event {
        match self {
            Self::OrderRefused { order, refusal } => Event::OrderRefused { order, refusal },
            Self::PersistFailed { ticket } => Event::PersistFailed(Ticket(ticket)),
            Self::AppendFailed => Event::AppendFailed,
            Self::CheckpointFailed => Event::CheckpointFailed,
        }
    }
}

struct Delivery {
    pump: Pump,
    /// This boot's number, for the stamps of records.
    boot: u32,
    /// When the pump wants to be called.
    next_call: PumpTime,
    /// What the motor said last.
    motor: MotorStatus,
    /// What came of the pump's actions and it does not know yet.
    outcomes: Deque<Outcome, OUTCOMES>,
    /// What the link was told last that the pump shows.
    shown: Option<Shown>,
    /// The version of the keys that the link has.
    keys_version: Option<u32>,
}

impl Delivery {
    fn new(recovered: Recovered, start: Start) -> Self {
        Self {
            boot: recovered.basis.boot,
            pump: Pump::new(recovered, start),
            next_call: PumpTime::ZERO,
            motor: MotorStatus::default(),
            outcomes: Deque::new(),
            shown: None,
            keys_version: None,
        }
    }

    /// Tells the pump what the motor has done by now.
    #[inline(never)]
    fn tick(&mut self) {
        self.motor = motor_status(self.motor);
        self.tell(Event::Tick(self.motor));
    }

    fn take_results(&mut self) {
        while let Some(event) = next_result() {
            self.tell(event);
        }
    }

    #[inline(never)]
    fn take_commands(&mut self) {
        while let Some(command) = message::receive(Queue::Commands, Wait::No) {
            match command {
                FromLink::Request {
                    session,
                    caller,
                    request,
                } => self.tell(Event::Request {
                    session: SessionId(session),
                    caller,
                    request,
                }),
                FromLink::AuthenticationFailed { slot } => {
                    self.tell(Event::AuthenticationFailed { slot });
                }
                FromLink::Card => message::send_card(&self.pump.card(clock::now())),
                FromLink::Closed { session } => self.tell(Event::LinkClosed {
                    session: SessionId(session),
                }),
            }
        }
    }

    /// One event, and whatever follows from it at once.
    fn tell(&mut self, event: Event) {
        let now = clock::now();
        self.step(now, event);
        // Each round tells of failures alone, and a failure to keep a failure's record is the end of it; the bound is for what
        // nobody thought of.
        for _ in 0..OUTCOMES {
            let Some(outcome) = self.outcomes.pop_front() else {
                break;
            };
            self.step(now, outcome.event());
        }
    }

    // Not merged with its callers: the actions are the largest thing on this thread's stack, and are to be there once.
    #[inline(never)]
    fn step(&mut self, now: Now, event: Event) {
        let actions = self.pump.handle(now, event);
        self.next_call = actions.next_call();
        // Before the motor gets an order, because it says what can have been delivered if the processor is reset behind it.
        self.retain();
        for action in actions.iter() {
            self.carry_out(now, action);
        }
        for (session, answer) in actions.answers() {
            message::send_answer(*session, answer);
        }
    }

    #[inline(never)]
    fn retain(&self) {
        let mut buffer = [0; RETAINED_BYTES];
        if let Some(bytes) = self.pump.retained().encode(&mut buffer) {
            // Where there is no such memory, the checkpoint on flash is what is left.
            let _ = retained::write(bytes);
        }
    }

    #[inline(never)]
    fn carry_out(&mut self, now: Now, action: &Action) {
        match action {
            Action::Order { order, level } => self.order(order, *level),
            Action::CancelOrders => {
                // What was made of them comes with the motor's status.
                let _ = motor::cancel();
            }
            Action::Arm {
                hour_steps,
                day_steps,
            } => arm(Allowance {
                hour_steps: *hour_steps,
                day_steps: *day_steps,
            }),
            Action::Grant { steps, within } => grant(*steps, *within),
            // No board of these has a beeper; what sounds is in the log, and the phone shows it.
            Action::Tone(_) => {}
            Action::Persist { ticket, state } => {
                let ticket = ticket.0;
                if self.keep_state(now, ticket, *state).is_err() {
                    self.outcome(Outcome::PersistFailed { ticket });
                }
            }
            Action::Append { session, record } => {
                if self.keep(now, ToJournal::Keep, *session, record).is_err() {
                    self.outcome(Outcome::AppendFailed);
                }
            }
            Action::Checkpoint(record) => {
                if self.keep(now, ToJournal::Keep, None, record).is_err() {
                    self.outcome(Outcome::CheckpointFailed);
                }
            }
            // Without room now, the flash is looked at the next time.
            Action::Scrub => self.ask_journal(ToJournal::Scrub),
            // Without room now, at the next boot.
            Action::ErasePack => self.ask_journal(ToJournal::ErasePack),
            // Without room, the phone gets no answer and asks again.
            Action::ReadLog {
                session,
                id,
                log,
                from,
            } => self.ask_journal(ToJournal::ReadLog {
                session: session.0,
                id: *id,
                log: *log,
                from: *from,
            }),
            Action::SignLog { session, id, log } => self.ask_journal(ToJournal::SignLog {
                session: session.0,
                id: *id,
                log: *log,
            }),
        }
    }

    /// Tells the link what the pump shows when it has changed. Without room now, the next time.
    fn tell_link(&mut self) {
        let shown = Shown {
            flags: self.pump.status_changed(),
            lifecycle: self.pump.lifecycle(),
            alarm: self.pump.critical_alarm(),
        };
        if self.shown != Some(shown) && message::send_shown(shown).is_ok() {
            self.shown = Some(shown);
        }
        let version = Some(self.pump.keys_version());
        if self.keys_version != version && self.tell_keys().is_ok() {
            self.keys_version = version;
        }
    }

    // Not merged with its caller: the keys are to leave the stack.
    #[inline(never)]
    fn tell_keys(&self) -> Result<(), NoRoom> {
        let mut keyring = Keyring::new();
        self.pump.fill_keyring(&mut keyring);
        message::send_keys(&keyring, self.pump.passkey())
    }

    fn order(&mut self, order: &StepOrder, level: u8) {
        let handed_over = motor::submit(&Order {
            first_at: order.first_at,
            period_ns: order.period_ns,
            id: order.id,
            steps: order.steps,
            level: DriveLevel::from_number(level).unwrap_or(DriveLevel::Nominal),
        });
        if let Err(error) = handed_over {
            self.outcome(Outcome::OrderRefused {
                order: order.id,
                refusal: refusal_of(error),
            });
        }
    }

    fn ask_journal(&self, order: ToJournal) {
        let _ = message::send_to_journal(order, None);
    }

    #[inline(never)]
    fn keep(
        &self,
        now: Now,
        order: ToJournal,
        session: Option<SessionId>,
        record: &Record,
    ) -> Result<(), NoRoom> {
        let mut buffer = [0; RECORD_BYTES];
        let body = record.encode(session, &mut buffer).map_err(|_| NoRoom)?;
        let envelope = Envelope {
            kind: record.kind(),
            version: record.version(),
            stamp: self.stamp(now),
            body,
        };
        message::send_to_journal(order, Some(&envelope))
    }

    #[inline(never)]
    fn keep_state(&self, now: Now, ticket: u32, state: StateKind) -> Result<(), NoRoom> {
        let mut buffer = Wiped::<STATE_BYTES>::new();
        let Kept {
            kind,
            version,
            body,
        } = self.pump.kept(state, &mut buffer).ok_or(NoRoom)?;
        message::send_state(
            ticket,
            &Envelope {
                kind,
                version,
                stamp: self.stamp(now),
                body,
            },
        )
    }

    fn stamp(&self, now: Now) -> Stamp {
        Stamp {
            boot: self.boot,
            monotonic: clock::for_records(now.pump),
            wall: self.pump.clock(now.pump),
        }
    }

    fn outcome(&mut self, outcome: Outcome) {
        // Full only after a failure of everything, of which the pump has been told often enough by then.
        let _ = self.outcomes.push_back(outcome);
    }
}

/// The next result of the journal's. The buffer leaves the stack before the pump is told.
#[inline(never)]
fn next_result() -> Option<Event> {
    let mut buffer = Wiped::<QUEUE_BYTES>::new();
    while let Some(result) = message::receive_borrowed(Queue::Results, &mut buffer, Wait::No) {
        return Some(match result {
            FromJournal::Persisted { ticket } => Event::Persisted(Ticket(ticket)),
            FromJournal::PersistFailed { ticket } => Event::PersistFailed(Ticket(ticket)),
            FromJournal::AppendFailed => Event::AppendFailed,
            FromJournal::CheckpointFailed => Event::CheckpointFailed,
            FromJournal::Storage(report) => Event::Storage(report),
            // Too late: the pump runs without it.
            FromJournal::Basis(_)
            | FromJournal::State { .. }
            | FromJournal::Recovered
            | FromJournal::NoFlash => continue,
        });
    }
    None
}

fn refusal_of(error: MotorError) -> OrderRefusal {
    match error {
        MotorError::Ceiling | MotorError::Allowance => OrderRefusal::OverCeiling,
        MotorError::Closed => OrderRefusal::InterlockClosed,
        MotorError::NotArmed => OrderRefusal::NotArmed,
        MotorError::Busy => OrderRefusal::Busy,
        MotorError::Invalid => OrderRefusal::Invalid,
        MotorError::Absent | MotorError::Unexpected => OrderRefusal::Failed,
    }
}

fn motor_status(before: MotorStatus) -> MotorStatus {
    match motor::status() {
        Ok(status) => MotorStatus {
            commanded_steps: status.commanded_steps,
            counted_steps: status.counted_steps(),
            faults: MotorFaults {
                interlock_tripped: status.interlock == Interlock::Tripped
                    || status.faults.contains(Faults::INTERLOCK),
                // The driver opens the interlock when it starts: closed or off means that no step will ever be made.
                driver_failed: matches!(status.interlock, Interlock::Closed | Interlock::Off)
                    || status.faults.contains(Faults::HARDWARE),
            },
        },
        Err(_) => MotorStatus {
            faults: MotorFaults {
                driver_failed: true,
                ..before.faults
            },
            ..before
        },
    }
}
