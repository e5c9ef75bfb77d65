//! One boot of the pump's processor: the pump, its journal and its link session.

use super::{Build, LogEntry, Pushed, Usage};
use anyhow::{Context, Result};
use drivers::motor::{EmulatedMotor, Faults, Interlock, MotorError, Order};
use journal::{BODY_BYTES, Envelope, Journal, JournalError, Partition, Stamp, VirtualFlash};
use protocol::{Lifecycle, Mtu, Policy, Received, Session, SessionId, Situation};
use pump::{
    Action, Event, MotorFaults, MotorStatus, OrderRefusal, Pump, RECORD_BYTES, Record, Recovered,
    ResetCause, Setup, Ticket, kind,
};
use std::collections::VecDeque;
use therapy::StepOrder;
use units::{CarrierTime, Clock, Duration, Now, PumpTime};

/// A pump in use, whose presence window is closed.
const SITUATION: Situation = Situation {
    lifecycle: Lifecycle::InService,
    armed: false,
};
/// Between two calls for which there is no other reason than that the pump asked for it.
const SHORTEST_PAUSE: Duration = Duration::from_micros(1);

/// Something that waits for the processor.
#[derive(Debug)]
pub(super) enum Incoming {
    /// The pump's own business.
    Event(Event),
    /// A phone has connected.
    Opened(SessionId, Mtu),
    /// A phone wrote a frame.
    Frame(Vec<u8>),
    /// The phone has gone.
    Closed(SessionId),
}

/// What a call of the processor works with.
pub(super) struct Bench<'a> {
    pub(super) at: PumpTime,
    pub(super) carrier: CarrierTime,
    pub(super) motor: &'a mut EmulatedMotor,
}

/// One boot. Times are pump time since then.
#[derive(Debug)]
pub(super) struct Processor {
    pump: Pump,
    boot: u32,
    journal: Journal<VirtualFlash>,
    session: Session,
    inbox: VecDeque<Incoming>,
    /// When the pump is to be called next if nothing comes in.
    next_call: PumpTime,
    /// The flash is busy until then, and halts the processor.
    halted_until: PumpTime,
    /// The Status changed flags as they were last seen.
    flags: u16,
    pushed: Vec<Pushed>,
}

impl Processor {
    /// Starts from what the flash holds.
    pub(super) fn boot(build: &Build, flash: VirtualFlash) -> Result<Self> {
        let (mut journal, opening) =
            Journal::open(flash).context("the flash does not suit the journal")?;
        let mut program = [0; BODY_BYTES];
        let program = journal.get(kind::PROGRAM, &mut program);
        let mut totals = [0; BODY_BYTES];
        let totals = journal.latest_checkpoint(kind::TOTALS, &mut totals);
        let recovered = Recovered::from_journal(&opening, program, totals);
        let pump = Pump::new(
            Setup {
                bounds: build.bounds,
            },
            recovered,
        );
        let mut processor = Self {
            flags: pump.status_changed(),
            pump,
            boot: opening.boot,
            journal,
            session: Session::new(Policy::Insecure, SITUATION),
            inbox: VecDeque::new(),
            next_call: PumpTime::MAX,
            halted_until: PumpTime::ZERO,
            pushed: Vec::new(),
        };
        processor.wait_for_flash(PumpTime::ZERO);
        processor.put(Incoming::Event(Event::Boot {
            cause: ResetCause::PowerOn,
        }));
        Ok(processor)
    }

    /// Something comes in and waits for its turn.
    pub(super) fn put(&mut self, incoming: Incoming) {
        self.inbox.push_back(incoming);
    }

    /// When [`Processor::run`] is to be called next.
    pub(super) fn due(&self) -> PumpTime {
        let wanted = if self.inbox.is_empty() {
            self.next_call
        } else {
            PumpTime::ZERO
        };
        wanted.max(self.halted_until)
    }

    /// Deals with one thing that came in, or with the passing of time.
    pub(super) fn run(&mut self, bench: &mut Bench<'_>) {
        match self.inbox.pop_front() {
            None => self.tick(bench),
            // The first event of a boot: nothing has moved yet.
            Some(Incoming::Event(event @ Event::Boot { .. })) => self.handle(bench, event),
            Some(Incoming::Event(event)) => self.tick_and_handle(bench, event),
            Some(Incoming::Opened(session, mtu)) => self.session.opened(session, mtu),
            Some(Incoming::Frame(frame)) => match (
                self.session.receive(bench.carrier, &frame),
                self.session.id(),
            ) {
                (Received::Request(request), Some(session)) => {
                    self.tick_and_handle(bench, Event::Request { session, request });
                }
                (Received::Request(_), None)
                | (Received::Nothing | Received::Refused { .. } | Received::Dropped(_), _) => {}
            },
            Some(Incoming::Closed(session)) => {
                self.session.closed();
                self.tick_and_handle(bench, Event::LinkClosed { session });
            }
        }
        self.collect_pushed();
    }

    /// What has been delivered comes before what else happens, as in the firmware's delivery thread.
    fn tick_and_handle(&mut self, bench: &mut Bench<'_>, event: Event) {
        self.tick(bench);
        self.handle(bench, event);
    }

    fn tick(&mut self, bench: &mut Bench<'_>) {
        let status = motor_status(bench.motor, bench.at);
        self.handle(bench, Event::Tick(status));
    }

    fn handle(&mut self, bench: &mut Bench<'_>, event: Event) {
        let now = Now {
            pump: bench.at,
            carrier: bench.carrier,
            // The virtual pump has no clock of day and nobody has set one.
            wall: Clock::Lost,
        };
        let actions = self.pump.handle(now, event);
        self.next_call = actions
            .next_call()
            .max(bench.at.saturating_add(SHORTEST_PAUSE));
        for action in actions {
            self.act(bench, action);
        }
    }

    fn act(&mut self, bench: &mut Bench<'_>, action: Action) {
        match action {
            Action::Order(order) => {
                if let Err(error) = bench.motor.submit(bench.at, &motor_order(&order)) {
                    self.put(Incoming::Event(Event::OrderRefused {
                        order: order.id,
                        refusal: refusal(error),
                    }));
                }
            }
            Action::CancelOrders => {
                // How many steps were made of them is in the next tick.
                let _ = bench.motor.cancel(bench.at);
            }
            Action::Persist { ticket, record } => self.persist(bench.at, ticket, &record),
            Action::Append(record) => self.keep(bench.at, &record, Journal::append),
            Action::Checkpoint(record) => self.keep(bench.at, &record, Journal::checkpoint),
            Action::Answer { session, answer } => {
                // Nobody may wait for it any more; what is done is done.
                let _ = self.session.answer(session, &answer);
            }
        }
    }

    fn persist(&mut self, at: PumpTime, ticket: Ticket, record: &Record) {
        let event = match self.write(at, record, Journal::put) {
            Ok(()) => Event::Persisted(ticket),
            Err(_) => Event::PersistFailed(ticket),
        };
        self.put(Incoming::Event(event));
    }

    fn keep(&mut self, at: PumpTime, record: &Record, how: Write) {
        if self.write(at, record, how).is_err() {
            self.put(Incoming::Event(Event::AppendFailed));
        }
    }

    fn write(&mut self, at: PumpTime, record: &Record, how: Write) -> Result<()> {
        let mut body = [0; RECORD_BYTES];
        let body = record
            .encode(&mut body)
            .map_err(|error| anyhow::anyhow!("a record could not be encoded: {error:?}"))?;
        let envelope = Envelope {
            kind: record.kind(),
            version: record.version(),
            stamp: Stamp {
                boot: self.boot,
                // Whole milliseconds take the least room.
                monotonic: PumpTime::from_micros(at.micros() / 1000 * 1000),
                wall: Clock::Lost,
            },
            body,
        };
        let written = how(&mut self.journal, &envelope);
        self.wait_for_flash(at);
        Ok(written?)
    }

    /// The processor stands still for as long as the flash was busy.
    fn wait_for_flash(&mut self, at: PumpTime) {
        let busy = self.journal.flash_mut().take_busy();
        self.halted_until = self.halted_until.max(at).saturating_add(busy);
    }

    fn collect_pushed(&mut self) {
        if let Some(fragment) = self.session.indication() {
            self.pushed.push(Pushed::Response(fragment.to_vec()));
        }
        let flags = self.pump.status_changed();
        if flags != self.flags {
            self.flags = flags;
            if self.session.id().is_some() {
                self.pushed.push(Pushed::StatusChanged(flags));
            }
        }
    }

    pub(super) fn take_pushed(&mut self) -> Vec<Pushed> {
        std::mem::take(&mut self.pushed)
    }

    pub(super) fn response(&self) -> &[u8] {
        self.session.response()
    }

    pub(super) fn status_changed(&self) -> u16 {
        self.flags
    }

    pub(super) fn situation(&self) -> Situation {
        SITUATION
    }

    /// Power is gone: only the flash stays.
    pub(super) fn into_flash(self) -> VirtualFlash {
        self.journal.into_flash()
    }

    /// Everything in the event log, oldest first.
    pub(super) fn log(&mut self) -> Result<Vec<LogEntry>> {
        let mut entries = Vec::new();
        self.journal
            .read(|envelope| {
                let record = Record::decode(envelope.kind, envelope.version, envelope.body);
                entries.push(LogEntry {
                    boot: envelope.stamp.boot,
                    at: envelope.stamp.monotonic,
                    clock: envelope.stamp.wall,
                    kind: envelope.kind.0,
                    record: record.map_err(|error| format!("{error:?}")),
                });
            })
            .context("the event log cannot be read")?;
        // Reading takes no time worth modelling.
        Ok(entries)
    }

    pub(super) fn flash_usage(&self) -> Usage {
        let mut usage = Usage::default();
        for partition in Partition::ALL {
            for page in self.journal.flash().wear(partition) {
                usage.words_written += page.words_written;
                usage.page_erases += u64::from(page.erases);
                usage.most_erases_of_a_page = usage.most_erases_of_a_page.max(page.erases);
            }
        }
        usage
    }
}

/// One of the journal's ways to write.
type Write = fn(&mut Journal<VirtualFlash>, &Envelope<'_>) -> Result<(), JournalError>;

fn motor_status(motor: &mut EmulatedMotor, at: PumpTime) -> MotorStatus {
    let status = motor.status(at);
    MotorStatus {
        commanded_steps: status.commanded_steps,
        counted_steps: status.counted_steps(),
        faults: MotorFaults {
            interlock_tripped: status.interlock == Interlock::Tripped,
            driver_failed: status.faults.contains(Faults::HARDWARE),
        },
    }
}

fn motor_order(order: &StepOrder) -> Order {
    Order {
        first_at: order.first_at,
        period_ns: order.period_ns,
        id: order.id,
        steps: order.steps,
    }
}

fn refusal(error: MotorError) -> OrderRefusal {
    match error {
        MotorError::Invalid => OrderRefusal::Invalid,
        MotorError::Busy => OrderRefusal::Busy,
        MotorError::Closed => OrderRefusal::InterlockClosed,
        MotorError::Ceiling => OrderRefusal::OverCeiling,
        MotorError::Absent | MotorError::Unexpected => OrderRefusal::Failed,
    }
}
