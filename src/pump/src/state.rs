//! The state machine itself: what the pump is doing, and what each event changes.
//!
//! Delivery:
//!
//! ```text
//!   NotProgrammed --commit--> Running <--commit--> Stopped
//!        |                      |                     |
//!        +---- interlock tripped or driver failed ----+--> Faulted (also after a reset, until a clinician commits a program)
//! ```
//!
//! Programming, beside it and never in its way:
//!
//! ```text
//!   Idle --stage--> Staged --commit--> Committing --persisted--> Idle, new program
//!    ^                |  ^                 |  |
//!    |   cancel, link |  | stage           |  +--failed, or 5 s--> Idle, old program, certainly not done
//!    |   closed,120 s |  |                 |
//!    +----------------+--+                 +--(stage, commit, cancel: Busy)
//! ```

use crate::actions::{Action, Actions};
use crate::clock::{EARLIEST, END, TRUSTED_UNCERTAINTY, Timekeeper};
use crate::counters::Counters;
use crate::event::{Event, MotorStatus, OrderRefusal, ResetCause, Ticket};
use crate::program::{nanolitres, to_prescription, to_wire};
use crate::record::{FillRecord, LatchedRecord, ProgramRecord, Record};
use crate::recovery::Recovered;
use crate::storage::StorageReport;
use crate::totals::{Retained, Totals, TotalsRecord, TotalsSource};
use heapless::Deque;
use protocol::status::{changed, fault};
use protocol::{
    Answer, Command, DeliveryState, Digest, Field, Limits, Outcome, Program, Refused, Request,
    SessionId, Staged, Status,
};
use serde::{Deserialize, Serialize};
use therapy::{Bounds, Delivery, Prescription};
use units::{CarrierTime, Clock, Duration, Flow, Now, PumpTime, Volume, WallTime};

/// How long a staged program waits for its commit, on carrier time (design: "within 120 s in the same session").
pub const COMMIT_WINDOW: Duration = Duration::from_seconds(120);
/// How long a commit waits for the journal before it is certainly not done (docs/therapy.md, "Durability, asymmetric").
pub const PERSIST_LIMIT: Duration = Duration::from_seconds(5);
/// How often delivered totals are kept on flash (docs/therapy.md, "Running time and truth").
pub const CHECKPOINT_INTERVAL: Duration = Duration::from_seconds(60);
/// How often the counters are kept even if they have not changed, so that the ring of checkpoints always holds them \[P\].
pub const COUNTERS_INTERVAL: Duration = Duration::from_seconds(3_600);
/// How often every copy of everything on flash is looked at \[P\]: a cell that leaks is found long before its twin does.
pub const SCRUB_INTERVAL: Duration = Duration::from_seconds(86_400);
/// And how soon after something could not be written \[P\].
const SCRUB_SOON: Duration = Duration::from_seconds(600);
/// How soon what could not be written is tried again \[P\].
const RETRY_INTERVAL: Duration = Duration::from_seconds(5);
/// Checkpoints that fail one after the other before the state banks are told that the last one says too little.
const CHECKPOINT_FAILURES: u32 = 3;
/// How often the log is told of lost records at most: more often, telling would be what loses others \[P\].
const LOST_TOLD_INTERVAL: Duration = Duration::from_seconds(3_600);
/// Orders that can still be refused: the driver holds two, and answers an order before the next call.
const RECENT_ORDERS: usize = 4;
/// Number of the first order of a boot.
const FIRST_ORDER: u32 = 1;

/// How this boot came about.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Start {
    /// Why the processor started.
    pub cause: ResetCause,
    /// What has come through the reset in retained memory; none where there is no such memory, or it is damaged.
    pub retained: Option<Retained>,
}

/// What was found of one piece of state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Recovery<T> {
    /// Never written: a new pump.
    Absent,
    /// Read and whole.
    Good(T),
    /// Written once, and no good copy is left.
    Lost,
}

#[derive(Clone, Debug)]
struct Proposal {
    session: SessionId,
    number: u32,
    prescription: Prescription,
    fill: Option<Volume>,
    digest: Digest,
    expires: CarrierTime,
}

#[derive(Clone, Debug)]
struct Commit {
    ticket: Ticket,
    session: SessionId,
    request: u32,
    proposal: Proposal,
    record: ProgramRecord,
    deadline: PumpTime,
}

#[derive(Clone, Debug)]
enum Programming {
    Idle,
    Staged(Proposal),
    Committing(Commit),
}

/// The pump.
#[derive(Clone, Debug)]
pub struct Pump {
    bounds: Bounds,
    boot: u32,
    start: Start,
    /// The committed program as it is on flash.
    committed: ProgramRecord,
    /// The committed program as therapy holds it; none before the first commit and when it was lost.
    prescription: Option<Prescription>,
    delivery: Delivery,
    /// What `delivery` delivers; zero when it is stopped.
    flow: Flow,
    /// Number of the next order; never used twice in a boot, also across jobs.
    next_order: u32,
    /// Number and steps of the newest orders, so that a refused one can be accounted for.
    recent: Deque<(u32, u32), RECENT_ORDERS>,
    totals: Totals,
    totals_source: TotalsSource,
    deficit_seen: u64,
    clock: Timekeeper,
    programming: Programming,
    next_ticket: u32,
    checkpoint_at: PumpTime,
    counters: Counters,
    /// The counters as they were last handed out to be kept.
    counters_kept: Option<Counters>,
    counters_at: PumpTime,
    scrub_at: PumpTime,
    /// What opening the flash has found, until it has been told.
    storage: StorageReport,
    /// Records lost since the last that tells of them.
    lost: u32,
    /// When the log may be told of lost records again.
    lost_told_at: PumpTime,
    /// Checkpoints that failed since the last that did not.
    checkpoint_failures: u32,
    /// Whether there was one in this boot, and whether the last one has failed.
    checkpoint_tried: bool,
    checkpoint_failed: bool,
    /// What outlasts a reset, as it is to be, and as the state banks were last told.
    latched: LatchedRecord,
    latched_ticket: Option<Ticket>,
    latched_kept: LatchedRecord,
    /// A stop that acts and could not be recorded: what flash is to say instead of `committed`.
    unrecorded_stop: Option<ProgramRecord>,
    /// The program in force, to be written behind one that was not committed or behind a loss, until it is.
    restore: Option<Ticket>,
    restore_until: PumpTime,
    restore_due: bool,
    /// When what could not be written is tried again.
    retry_at: PumpTime,
    /// The session in which something was asked.
    session: Option<SessionId>,
    /// What the log was last told of delivery.
    delivery_told: (DeliveryState, Flow),
    status_changed: u16,
    faults: u16,
    /// The faults that the log was last told of.
    faults_told: u16,
    faulted: bool,
    /// It is so since before this boot.
    start_stopped: bool,
    latest: PumpTime,
}

impl Pump {
    /// A pump as its flash describes it. Nothing moves before [`Event::Boot`].
    #[must_use]
    pub fn new(recovered: Recovered, start: Start) -> Self {
        let mut faults = 0;
        let bounds = recovered
            .commissioning
            .bounds()
            .unwrap_or(Bounds::PROGRAMMABLE_IMPLANT);
        let retained = start
            .retained
            .filter(|retained| is_of_this_pump(retained, start.cause, &recovered));
        let apart = retained.is_some_and(|retained| is_apart(&retained, &recovered));
        let mut prescription = None;
        let mut delivery = Delivery::stopped();
        let begin = PumpTime::ZERO;
        let mut committed = match recovered.program {
            Recovery::Absent => ProgramRecord::default(),
            Recovery::Lost => {
                faults |= fault::PROGRAM_LOST;
                ProgramRecord {
                    lost: true,
                    ..ProgramRecord::default()
                }
            }
            Recovery::Good(record) => {
                // What it was filled with is history: a reservoir that the pump knows less of now does not undo the therapy.
                let program = record.program.as_ref().map(|program| Program {
                    fill_nl: None,
                    ..program.clone()
                });
                match program.map(|program| to_prescription(&program, &bounds)) {
                    None => {}
                    Some(Ok(valid)) => prescription = Some(valid),
                    // Good bytes that this pump may not deliver are as lost as bad ones.
                    Some(Err(_)) => faults |= fault::PROGRAM_LOST,
                }
                record
            }
        };
        let mut flow = Flow::ZERO;
        if faults & fault::PROGRAM_LOST != 0 {
            // Both copies lost: minimum rate, critical (docs/therapy.md, "Fault table").
            flow = bounds.minimum_rate.flow();
            delivery = Delivery::start_minimum_rate(&bounds, begin, FIRST_ORDER);
        } else if let Some(valid) = &prescription {
            flow = valid.flow();
            delivery = Delivery::start(valid, &bounds, begin, FIRST_ORDER);
        }
        // Retained memory knows it even if flash could not be told.
        let latched = LatchedRecord {
            interlock_tripped: recovered.latched.interlock_tripped
                || start.cause != ResetCause::PowerOn
                    && start
                        .retained
                        .is_some_and(|retained| retained.interlock_tripped),
            ..recovered.latched
        };
        let faulted = latched.interlock_tripped;
        if faulted {
            faults |= fault::INTERLOCK;
            flow = Flow::ZERO;
            delivery = Delivery::stopped();
        }
        let mut restore_due = false;
        let after_loss =
            |checkpoint| Totals::after_power_loss(checkpoint, flow, bounds.step_volume);
        let (before, totals_source) = match (retained, recovered.totals) {
            // Of a boot that did not know the totals before it, and has kept none of its own.
            (Some(retained), Recovery::Good(checkpoint)) if apart => (
                Totals::with_boot(after_loss(checkpoint), retained.totals),
                TotalsSource::Retained,
            ),
            (Some(retained), Recovery::Good(_)) => (retained.totals, TotalsSource::Retained),
            (Some(retained), _) if !retained.relative => (retained.totals, TotalsSource::Retained),
            (Some(retained), _) => {
                faults |= fault::STORAGE;
                restore_due = committed.fill.take().is_some();
                (retained.totals, TotalsSource::Lost)
            }
            (None, Recovery::Absent) => (TotalsRecord::default(), TotalsSource::New),
            (None, Recovery::Lost) => {
                faults |= fault::STORAGE;
                // Without totals nobody knows what has been drawn since the fill; and nobody is to believe so after the next reset.
                restore_due = committed.fill.take().is_some();
                (TotalsRecord::default(), TotalsSource::Lost)
            }
            (None, Recovery::Good(checkpoint)) => {
                (after_loss(checkpoint), TotalsSource::Checkpoint)
            }
        };
        let from_checkpoint = totals_source == TotalsSource::Checkpoint;
        let too_little = recovered.latched.checkpoints_failing && from_checkpoint;
        let of_later = |fill: FillRecord| fill.at_most_steps > before.at_most_steps;
        if too_little || committed.fill.is_some_and(of_later) {
            // The last checkpoint is older than what was delivered since, nobody knows by how much.
            faults |= fault::STORAGE;
            restore_due |= committed.fill.take().is_some();
        }
        let boots = retained.map_or(1, |retained| recovered.boot.saturating_sub(retained.boot));
        let clock =
            Timekeeper::after_reset(retained.map(|retained| retained.clock), start.cause, boots);
        if recovered.latched.clock_was_set && clock.read(begin) == Clock::Lost {
            faults |= fault::CLOCK;
        }
        if recovered.storage.failing {
            faults |= fault::STORAGE;
        }
        if recovered.storage.commissioning_doubtful {
            faults |= fault::COMMISSIONING;
        }
        let mut counters = match recovered.counters {
            Recovery::Good(counters) => counters,
            Recovery::Absent | Recovery::Lost => Counters::default(),
        };
        if matches!(
            start.cause,
            ResetCause::Fatal { .. } | ResetCause::Watchdog | ResetCause::BrownOut
        ) {
            faults |= fault::RESTARTED_BY_FAULT;
            Counters::count(&mut counters.restarts_by_fault);
        }
        Self {
            bounds,
            boot: recovered.boot,
            start,
            committed,
            prescription,
            delivery,
            flow,
            next_order: FIRST_ORDER,
            recent: Deque::new(),
            totals: Totals::new(before),
            totals_source,
            deficit_seen: 0,
            clock,
            programming: Programming::Idle,
            next_ticket: 1,
            checkpoint_at: begin,
            counters,
            counters_kept: None,
            counters_at: begin,
            scrub_at: begin.saturating_add(SCRUB_INTERVAL),
            storage: recovered.storage,
            lost: 0,
            lost_told_at: begin,
            checkpoint_failures: 0,
            checkpoint_tried: false,
            checkpoint_failed: false,
            latched,
            latched_ticket: None,
            latched_kept: recovered.latched,
            unrecorded_stop: None,
            restore: None,
            restore_until: begin,
            restore_due,
            retry_at: begin,
            session: None,
            delivery_told: (DeliveryState::NotProgrammed, Flow::ZERO),
            status_changed: changed::OPERATION,
            faults,
            faults_told: 0,
            faulted,
            start_stopped: faulted,
            latest: begin,
        }
    }

    /// What the time of day is, as far as the pump knows: for the stamps of records.
    #[must_use]
    pub fn clock(&self, now: PumpTime) -> Clock {
        self.clock.read(now)
    }

    /// What is to be in retained memory from now on. To be written after every call of [`Pump::handle`], before its actions are carried out: it
    /// holds every step that they hand to the motor.
    #[must_use]
    pub fn retained(&self) -> Retained {
        Retained {
            boot: self.boot,
            totals: self.totals.if_reset(self.latest),
            clock: self.clock.read(self.latest),
            relative: self.totals_source == TotalsSource::Lost,
            interlock_tripped: self.latched.interlock_tripped,
        }
    }

    /// Tells the pump what happened and returns what to do about it.
    ///
    /// Order of one step: the event, then overdue deadlines, then the orders that keep the motor supplied, then what the log
    /// is to know, then the checkpoint, then what outlasts a reset, then a look at the flash. Time that goes back counts as no time having passed.
    // Not merged with its caller: what it needs of the stack beside the actions is gone when they are carried out.
    #[inline(never)]
    pub fn handle(&mut self, now: Now, event: Event) -> Actions {
        let mut actions = Actions::new();
        self.latest = self.latest.max(now.pump);
        let now = Now {
            pump: self.latest,
            ..now
        };
        match event {
            Event::Boot => self.on_boot(&mut actions),
            Event::Tick(motor) => self.on_motor(now, motor, &mut actions),
            Event::Request { session, request } => {
                self.on_request(now, session, &request, &mut actions)
            }
            Event::LinkClosed { session } => self.on_link_closed(session, &mut actions),
            Event::Persisted(ticket) => self.on_persisted(now, ticket, &mut actions),
            Event::PersistFailed(ticket) => self.on_persist_failed(ticket, &mut actions),
            Event::OrderRefused { order, refusal } => {
                self.on_order_refused(order, refusal, &mut actions)
            }
            Event::AppendFailed => self.on_append_failed(),
            Event::CheckpointFailed => self.on_checkpoint_failed(),
            Event::Storage(report) => self.on_storage(&report, &mut actions),
        }
        self.expire_commit(now, &mut actions);
        self.supply_motor(now, &mut actions);
        self.record_deficit(&mut actions);
        self.record_changes(&mut actions);
        self.keep_totals(now, &mut actions);
        self.keep_state(now, &mut actions);
        self.scrub(now, &mut actions);
        if actions.overflowed() {
            self.on_append_failed();
            // It comes last, and may be what has fallen off.
            self.latched_is_to_be_told();
        }
        actions
    }

    /// The latched flags of the "Status changed" characteristic, [`protocol::status::changed`]: what a carrier notifies.
    #[must_use]
    pub fn status_changed(&self) -> u16 {
        self.status_changed
    }

    fn on_boot(&mut self, actions: &mut Actions) {
        let totals = self.totals.now(PumpTime::ZERO);
        append(
            None,
            Record::Boot {
                cause: self.start.cause,
                clock: self.clock.read(PumpTime::ZERO),
                totals: self.totals_source,
                counted_steps: totals.counted_steps,
                at_most_steps: totals.at_most_steps,
            },
            actions,
        );
        let storage = self.storage;
        let program = self.faults & fault::PROGRAM_LOST != 0;
        let totals = self.totals_source == TotalsSource::Lost;
        self.tell_storage(&storage, program, totals, actions);
    }

    /// Tells the log of what was repaired and what is lost.
    fn tell_storage(
        &mut self,
        report: &StorageReport,
        program: bool,
        totals: bool,
        actions: &mut Actions,
    ) {
        if !report.repairs.is_empty() {
            Counters::count(&mut self.counters.repairs);
            append(
                None,
                Record::MemoryRepaired {
                    repairs: report.repairs,
                },
                actions,
            );
        }
        if program || totals || report.kinds_lost > 0 || report.log_lost {
            append(
                None,
                Record::MemoryLost {
                    program,
                    totals,
                    kinds: report.kinds_lost,
                    log: report.log_lost,
                },
                actions,
            );
        }
    }

    fn on_storage(&mut self, report: &StorageReport, actions: &mut Actions) {
        self.tell_storage(report, false, false, actions);
        if report.failing || report.kinds_lost > 0 {
            self.raise(fault::STORAGE);
        } else if self.lost == 0
            && self.checkpoint_failures == 0
            && self.totals_source != TotalsSource::Lost
        {
            // Everything is there twice, and nothing was lost since the last time somebody looked.
            self.clear(fault::STORAGE);
        }
    }

    /// The newest record gives way when the queue to the flash is full: it is counted, alarmed and told to the log when there is room.
    fn on_append_failed(&mut self) {
        Counters::count(&mut self.lost);
        Counters::count(&mut self.counters.records_lost);
        self.storage_failed();
    }

    fn storage_failed(&mut self) {
        self.raise(fault::STORAGE);
        self.scrub_at = self.scrub_at.min(self.latest.saturating_add(SCRUB_SOON));
    }

    fn scrub(&mut self, now: Now, actions: &mut Actions) {
        if now.pump >= self.scrub_at {
            self.scrub_at = now.pump.saturating_add(SCRUB_INTERVAL);
            actions.push(Action::Scrub);
        }
        actions.call_by(self.scrub_at);
    }

    /// Tells the log what has changed in this step: alarms, and what is delivered.
    fn record_changes(&mut self, actions: &mut Actions) {
        let raised = self.faults & !self.faults_told;
        let cleared = self.faults_told & !self.faults;
        self.faults_told = self.faults;
        if raised != 0 {
            self.counters.alarms = self.counters.alarms.saturating_add(raised.count_ones());
            append(None, Record::AlarmRaised { faults: raised }, actions);
        }
        if cleared != 0 {
            append(None, Record::AlarmCleared { faults: cleared }, actions);
        }
        let delivery = (self.delivery_state(), self.flow);
        if delivery != self.delivery_told {
            self.delivery_told = delivery;
            append(
                None,
                Record::DeliveryChanged {
                    delivery: delivery.0,
                    flow_nl_per_day: self.flow.per_day_nanolitres_rounded_down(),
                },
                actions,
            );
        }
    }

    fn on_motor(&mut self, now: Now, motor: MotorStatus, actions: &mut Actions) {
        if !self.totals.update(motor) {
            // Nobody knows what it has made.
            self.raise(fault::MOTOR);
        }
        let failed = motor.faults.interlock_tripped || motor.faults.driver_failed;
        if failed && !self.faulted {
            self.faulted = true;
            self.switch_delivery(None, now, actions);
            append(
                None,
                Record::MotorFault {
                    interlock_tripped: motor.faults.interlock_tripped,
                    driver_failed: motor.faults.driver_failed,
                },
                actions,
            );
            if motor.faults.interlock_tripped {
                self.raise(fault::INTERLOCK);
                self.latched.interlock_tripped = true;
            }
            if motor.faults.driver_failed {
                self.raise(fault::MOTOR);
            }
        }
        if self.reservoir_level() == Some(Volume::ZERO) {
            self.raise(fault::EMPTY);
        }
    }

    fn on_request(
        &mut self,
        now: Now,
        session: SessionId,
        request: &Request,
        actions: &mut Actions,
    ) {
        if self.session != Some(session) {
            self.session = Some(session);
            Counters::count(&mut self.counters.sessions);
            append(Some(session), Record::SessionOpened {}, actions);
        }
        let outcome = match &request.command {
            Command::Interrogate => Some(Outcome::Status(self.status(now))),
            Command::Stage(program) => Some(self.stage(now, session, program)),
            Command::ReadBack => Some(self.read_back(now, session)),
            Command::Commit { digest } => self.commit(now, session, request.id, digest, actions),
            Command::Cancel => Some(self.cancel(session)),
            Command::ResetStatusChanged { mask } => {
                Some(self.reset_status_changed(session, *mask, actions))
            }
            Command::ReadLog { log, from } => {
                actions.push(Action::ReadLog {
                    session,
                    id: request.id,
                    log: *log,
                    from: *from,
                });
                None
            }
            Command::SignLog { log } => {
                actions.push(Action::SignLog {
                    session,
                    id: request.id,
                    log: *log,
                });
                None
            }
            Command::SetClock { wall, uncertainty } => {
                Some(self.set_clock(now, session, *wall, *uncertainty, actions))
            }
        };
        if let Some(outcome) = outcome {
            actions.push(answer(session, request.id, outcome));
        }
    }

    fn reset_status_changed(
        &mut self,
        session: SessionId,
        mask: u16,
        actions: &mut Actions,
    ) -> Outcome {
        if self.status_changed & mask != 0 {
            append(
                Some(session),
                Record::FlagsCleared {
                    mask: self.status_changed & mask,
                },
                actions,
            );
        }
        if mask & changed::OPERATION != 0 {
            // Somebody has seen that the pump restarted, and why.
            self.clear(fault::RESTARTED_BY_FAULT);
        }
        self.status_changed &= !mask;
        Outcome::StatusChangedReset {
            flags: self.status_changed,
        }
    }

    fn set_clock(
        &mut self,
        now: Now,
        session: SessionId,
        wall: WallTime,
        uncertainty: Duration,
        actions: &mut Actions,
    ) -> Outcome {
        if wall < EARLIEST || wall >= END {
            return Outcome::Refused(Refused::OutOfRange {
                field: Field::WallMilliseconds,
                value: wall.millis(),
                lowest: EARLIEST.millis(),
                highest: END.millis().saturating_sub(1),
            });
        }
        if uncertainty > TRUSTED_UNCERTAINTY {
            return Outcome::Refused(Refused::OutOfRange {
                field: Field::UncertaintyMicroseconds,
                value: uncertainty.micros(),
                lowest: 0,
                highest: TRUSTED_UNCERTAINTY.micros(),
            });
        }
        let before = self.clock.read(now.pump);
        self.clock.set(now.pump, wall, uncertainty);
        self.latched.clock_was_set = true;
        let after = self.clock.read(now.pump);
        self.clear(fault::CLOCK);
        self.status_changed |= changed::CLOCK;
        append(Some(session), Record::ClockSet { before, after }, actions);
        Outcome::ClockSet { clock: after }
    }

    fn stage(&mut self, now: Now, session: SessionId, program: &Program) -> Outcome {
        if matches!(self.programming, Programming::Committing(_)) {
            return Outcome::Refused(Refused::Busy);
        }
        // A refused program leaves nothing staged: what would be committed is always what was staged last.
        self.programming = Programming::Idle;
        let prescription = match to_prescription(program, &self.bounds) {
            Ok(prescription) => prescription,
            Err(refused) => return Outcome::Refused(refused),
        };
        let fill = program.fill_nl.map(Volume::from_nanolitres);
        let number = self.committed.number.saturating_add(1);
        let digest = Digest::of(&to_wire(&prescription, fill), number);
        let proposal = Proposal {
            session,
            number,
            prescription,
            fill,
            digest,
            expires: now.carrier.saturating_add(COMMIT_WINDOW),
        };
        let outcome = self.describe(now, &proposal);
        self.programming = Programming::Staged(proposal);
        outcome
    }

    fn read_back(&self, now: Now, session: SessionId) -> Outcome {
        match &self.programming {
            Programming::Staged(proposal) if proposal.session == session => {
                if now.carrier >= proposal.expires {
                    Outcome::Refused(Refused::StageExpired)
                } else {
                    self.describe(now, proposal)
                }
            }
            Programming::Committing(_) => Outcome::Refused(Refused::Busy),
            Programming::Staged(_) | Programming::Idle => Outcome::Refused(Refused::NothingStaged),
        }
    }

    fn describe(&self, now: Now, proposal: &Proposal) -> Outcome {
        let day_total =
            |prescription: &Prescription| prescription.day_total().nanograms_rounded_down();
        let left = proposal.expires.saturating_since(now.carrier);
        Outcome::Staged(Staged {
            program: to_wire(&proposal.prescription, proposal.fill),
            flow_nl_per_day: proposal
                .prescription
                .flow()
                .per_day_nanolitres_rounded_down(),
            old_day_total_ng: self.prescription.as_ref().map(day_total),
            new_day_total_ng: day_total(&proposal.prescription),
            digest: proposal.digest,
            expires_in_ms: milliseconds(left),
        })
    }

    fn cancel(&mut self, session: SessionId) -> Outcome {
        match &self.programming {
            // The journal already has it: only the commit's own answer can say how it ended.
            Programming::Committing(_) => Outcome::Refused(Refused::Busy),
            Programming::Staged(proposal) if proposal.session == session => {
                self.programming = Programming::Idle;
                Outcome::Cancelled
            }
            Programming::Staged(_) => Outcome::Refused(Refused::NothingStaged),
            // Cancelling nothing is done at once: a phone whose answer was lost may ask again.
            Programming::Idle => Outcome::Cancelled,
        }
    }

    /// Answers at once with a refusal, or with nothing while the journal works.
    fn commit(
        &mut self,
        now: Now,
        session: SessionId,
        request: u32,
        digest: &Digest,
        actions: &mut Actions,
    ) -> Option<Outcome> {
        let proposal = match &self.programming {
            Programming::Committing(_) => return Some(Outcome::Refused(Refused::Busy)),
            Programming::Staged(proposal) if proposal.session == session => proposal.clone(),
            Programming::Staged(_) | Programming::Idle => {
                return Some(Outcome::Refused(Refused::NothingStaged));
            }
        };
        if now.carrier >= proposal.expires {
            self.programming = Programming::Idle;
            return Some(Outcome::Refused(Refused::StageExpired));
        }
        if *digest != proposal.digest {
            self.programming = Programming::Idle;
            return Some(Outcome::Refused(Refused::DigestMismatch));
        }
        let fill = match proposal.fill {
            Some(volume) => Some(FillRecord {
                volume_fl: volume.femtolitres(),
                at_most_steps: self.totals.now(now.pump).at_most_steps,
            }),
            None => self.committed.fill,
        };
        let record = ProgramRecord {
            number: proposal.number,
            // With the fill as it was committed: a phone whose answer was lost compares the digest of exactly this.
            program: Some(to_wire(&proposal.prescription, proposal.fill)),
            fill,
            lost: false,
        };
        let ticket = self.persist(
            Record::Program {
                record: record.clone(),
            },
            actions,
        );
        if proposal.prescription.flow() == Flow::ZERO {
            // A stop never waits for the journal (docs/therapy.md, "Durability, asymmetric").
            self.switch_delivery(Some(&proposal.prescription), now, actions);
            self.prescription = Some(proposal.prescription);
        }
        self.programming = Programming::Committing(Commit {
            ticket,
            session,
            request,
            proposal,
            record,
            deadline: now.pump.saturating_add(PERSIST_LIMIT),
        });
        None
    }

    fn on_persisted(&mut self, now: Now, ticket: Ticket, actions: &mut Actions) {
        if self.restore == Some(ticket) {
            self.restore = None;
            self.record_stop(actions);
        }
        if self.latched_ticket == Some(ticket) {
            self.latched_ticket = None;
        }
        let commit = match &self.programming {
            Programming::Committing(commit) if commit.ticket == ticket => commit.clone(),
            // The answer to a record that only restored what was already in force.
            Programming::Committing(_) | Programming::Staged(_) | Programming::Idle => return,
        };
        self.programming = Programming::Idle;
        // This one is behind whatever else there was.
        self.unrecorded_stop = None;
        self.restore = None;
        self.restore_due = false;
        let stopped = self.faulted && self.start_stopped;
        if stopped {
            // A clinician has dealt with it, and the interlock is open again since this boot.
            self.faulted = false;
            self.start_stopped = false;
            self.latched.interlock_tripped = false;
            self.clear(fault::INTERLOCK);
        }
        let changed = self.prescription.as_ref() != Some(&commit.proposal.prescription)
            || self.faults & fault::PROGRAM_LOST != 0
            || stopped;
        let stopping = commit.proposal.prescription.flow() == Flow::ZERO;
        if changed && !stopping {
            self.switch_delivery(Some(&commit.proposal.prescription), now, actions);
        }
        self.prescription = Some(commit.proposal.prescription);
        self.clear(fault::PROGRAM_LOST);
        if commit.proposal.fill.is_some() {
            self.clear(fault::EMPTY);
            self.status_changed |= changed::RESERVOIR;
        }
        self.status_changed |= changed::PROGRAM;
        actions.push(answer(
            commit.session,
            commit.request,
            Outcome::Committed {
                program_number: commit.record.number,
            },
        ));
        Counters::count(&mut self.counters.commits);
        let before = core::mem::replace(&mut self.committed, commit.record.clone());
        append(
            Some(commit.session),
            Record::ProgramCommitted {
                before: before.program,
                record: commit.record,
            },
            actions,
        );
    }

    fn on_persist_failed(&mut self, ticket: Ticket, actions: &mut Actions) {
        if self.restore == Some(ticket) {
            self.restore = None;
            self.restore_due = true;
        }
        if self.latched_ticket == Some(ticket) {
            self.latched_ticket = None;
            self.latched_is_to_be_told();
        }
        self.storage_failed();
        match &self.programming {
            Programming::Committing(commit) if commit.ticket == ticket => {
                let commit = commit.clone();
                self.abandon(&commit, actions);
            }
            Programming::Committing(_) | Programming::Staged(_) | Programming::Idle => {}
        }
    }

    fn expire_commit(&mut self, now: Now, actions: &mut Actions) {
        match &self.programming {
            Programming::Committing(commit) if now.pump >= commit.deadline => {
                let commit = commit.clone();
                self.storage_failed();
                self.abandon(&commit, actions);
            }
            Programming::Committing(commit) => actions.call_by(commit.deadline),
            Programming::Staged(_) | Programming::Idle => {}
        }
    }

    /// The state banks know what outlasts a reset otherwise than it is, whatever they know.
    fn latched_is_to_be_told(&mut self) {
        self.latched_kept = LatchedRecord {
            interlock_tripped: !self.latched.interlock_tripped,
            ..self.latched
        };
    }

    /// A stop has been recorded at last.
    fn record_stop(&mut self, actions: &mut Actions) {
        let Some(record) = self.unrecorded_stop.take() else {
            return;
        };
        self.status_changed |= changed::PROGRAM;
        Counters::count(&mut self.counters.commits);
        let before = core::mem::replace(&mut self.committed, record.clone());
        append(
            None,
            Record::ProgramCommitted {
                before: before.program,
                record,
            },
            actions,
        );
    }

    /// A commit that was not done. One bank may already hold it, so what is in force is written again: a record that
    /// lands late is void. A stop is in force although it was not recorded, and is recorded until it is.
    fn abandon(&mut self, commit: &Commit, actions: &mut Actions) {
        self.programming = Programming::Idle;
        if commit.proposal.prescription.flow() == Flow::ZERO {
            self.unrecorded_stop = Some(commit.record.clone());
        }
        self.restore_program(actions);
        actions.push(answer(
            commit.session,
            commit.request,
            if commit.proposal.prescription.flow() == Flow::ZERO {
                Outcome::StoppedNotRecorded
            } else {
                Outcome::Refused(Refused::NotDone)
            },
        ));
        append(
            Some(commit.session),
            Record::CommitNotDone {
                number: commit.record.number,
            },
            actions,
        );
    }

    /// Writes the program in force behind whatever else may be on flash.
    fn restore_program(&mut self, actions: &mut Actions) {
        self.restore_due = false;
        let in_force = self.unrecorded_stop.as_ref().unwrap_or(&self.committed);
        let record = Record::Program {
            record: in_force.clone(),
        };
        self.restore = Some(self.persist(record, actions));
        self.restore_until = self.latest.saturating_add(PERSIST_LIMIT);
    }

    /// Tells the state banks what has changed, and again what they could not take, no more often than they can answer.
    fn keep_state(&mut self, now: Now, actions: &mut Actions) {
        if self.restore.is_some() {
            if now.pump < self.restore_until {
                actions.call_by(self.restore_until);
            } else {
                // No answer is none.
                self.restore = None;
                self.restore_due = true;
            }
        }
        let latched = self.latched != self.latched_kept;
        // Never behind a commit that is on its way.
        let restore = self.restore_due && !matches!(self.programming, Programming::Committing(_));
        if !latched && !restore {
            return;
        }
        if now.pump < self.retry_at {
            actions.call_by(self.retry_at);
            return;
        }
        self.retry_at = now.pump.saturating_add(RETRY_INTERVAL);
        if restore {
            self.restore_program(actions);
        }
        if latched {
            self.latched_kept = self.latched;
            let record = Record::Latched {
                record: self.latched,
            };
            self.latched_ticket = Some(self.persist(record, actions));
        }
        actions.call_by(self.retry_at);
    }

    /// A checkpoint that was not kept is tried again soon; what the last one says is worth less and less meanwhile.
    fn on_checkpoint_failed(&mut self) {
        self.checkpoint_failed = true;
        self.checkpoint_failures = self.checkpoint_failures.saturating_add(1);
        self.checkpoint_at = self
            .checkpoint_at
            .min(self.latest.saturating_add(RETRY_INTERVAL));
        if self.checkpoint_failures >= CHECKPOINT_FAILURES {
            self.latched.checkpoints_failing = true;
        }
        self.storage_failed();
    }

    fn on_link_closed(&mut self, session: SessionId, actions: &mut Actions) {
        if self.session == Some(session) {
            self.session = None;
            append(Some(session), Record::SessionClosed {}, actions);
        }
        match &self.programming {
            Programming::Staged(proposal) if proposal.session == session => {
                self.programming = Programming::Idle;
            }
            // A commit that has begun ends by itself; the phone asks for the program number when it is back.
            Programming::Staged(_) | Programming::Committing(_) | Programming::Idle => {}
        }
    }

    fn on_order_refused(&mut self, order: u32, refusal: OrderRefusal, actions: &mut Actions) {
        self.raise(fault::MOTOR);
        append(None, Record::OrderRefused { order, refusal }, actions);
        let steps = self
            .recent
            .iter()
            .find_map(|(id, steps)| (*id == order).then_some(*steps));
        if let Some(steps) = steps {
            self.totals.refuse(steps);
            self.miss(u64::from(steps), actions);
        }
    }

    /// Replaces the running job. The driver's counters tell how many of the cancelled steps were made.
    fn switch_delivery(&mut self, to: Option<&Prescription>, now: Now, actions: &mut Actions) {
        actions.push(Action::CancelOrders);
        self.totals.cancel();
        self.record_deficit(actions);
        self.deficit_seen = 0;
        self.recent.clear();
        self.status_changed |= changed::DELIVERY;
        // So that the checkpoint knows how much there can be to come.
        self.checkpoint_at = self.checkpoint_at.min(now.pump);
        match to {
            Some(prescription) if !self.faulted => {
                self.flow = prescription.flow();
                self.delivery =
                    Delivery::start(prescription, &self.bounds, now.pump, self.next_order);
            }
            Some(_) | None => {
                self.flow = Flow::ZERO;
                self.delivery = Delivery::stopped();
            }
        }
    }

    fn supply_motor(&mut self, now: Now, actions: &mut Actions) {
        while let Some(order) = self.delivery.next_order(now.pump) {
            self.next_order = self.delivery.next_order_id();
            if self.recent.is_full() {
                self.recent.pop_front();
            }
            // Cannot fail: a place was made.
            let _ = self.recent.push_back((order.id, order.steps));
            self.totals.order(order.steps);
            actions.push(Action::Order(order));
        }
        if let Some(time) = self.delivery.next_call() {
            actions.call_by(time);
        }
    }

    fn record_deficit(&mut self, actions: &mut Actions) {
        let deficit = self.delivery.deficit();
        let missed = deficit.saturating_sub(self.deficit_seen);
        if missed > 0 {
            self.deficit_seen = deficit;
            self.miss(missed, actions);
        }
    }

    fn miss(&mut self, steps: u64, actions: &mut Actions) {
        self.totals.miss(steps);
        append(None, Record::Deficit { steps }, actions);
    }

    fn keep_totals(&mut self, now: Now, actions: &mut Actions) {
        if now.pump >= self.checkpoint_at {
            self.checkpoint_at = now.pump.saturating_add(CHECKPOINT_INTERVAL);
            if self.checkpoint_tried && !self.checkpoint_failed {
                self.checkpoint_failures = 0;
                self.latched.checkpoints_failing = false;
            }
            self.checkpoint_tried = true;
            self.checkpoint_failed = false;
            actions.push(Action::Checkpoint(Record::Totals {
                totals: TotalsRecord {
                    ahead_steps: Totals::ahead(self.flow, self.bounds.step_volume),
                    ..self.totals.now(now.pump)
                },
            }));
            if self.lost > 0 && now.pump >= self.lost_told_at {
                self.lost_told_at = now.pump.saturating_add(LOST_TOLD_INTERVAL);
                append(
                    None,
                    Record::RecordsLost {
                        records: self.counters.records_lost,
                    },
                    actions,
                );
                self.lost = 0;
                if self.faults != 0 {
                    // That one of them was raised may be among what was lost.
                    append(
                        None,
                        Record::AlarmRaised {
                            faults: self.faults,
                        },
                        actions,
                    );
                }
            }
            if self.counters_kept != Some(self.counters) || now.pump >= self.counters_at {
                self.counters_kept = Some(self.counters);
                self.counters_at = now.pump.saturating_add(COUNTERS_INTERVAL);
                actions.push(Action::Checkpoint(Record::Counters {
                    counters: self.counters,
                }));
            }
        }
        actions.call_by(self.checkpoint_at);
    }

    fn persist(&mut self, record: Record, actions: &mut Actions) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket = self.next_ticket.wrapping_add(1);
        actions.push(Action::Persist { ticket, record });
        ticket
    }

    fn raise(&mut self, fault: u16) {
        if self.faults & fault == 0 {
            self.faults |= fault;
            self.status_changed |= changed::FAULTS;
        }
    }

    fn clear(&mut self, fault: u16) {
        if self.faults & fault != 0 {
            self.faults &= !fault;
            self.status_changed |= changed::FAULTS;
        }
    }

    /// Deliverable volume left, by `at_most`; none while no fill is known.
    fn reservoir_level(&self) -> Option<Volume> {
        let fill = self.committed.fill?;
        Some(Volume::from_femtolitres(fill.volume_fl).saturating_sub(self.drawn(fill)))
    }

    fn drawn(&self, fill: FillRecord) -> Volume {
        let steps = self
            .totals
            .now(self.latest)
            .at_most_steps
            .saturating_sub(fill.at_most_steps);
        self.bounds
            .step_volume
            .volume_of(steps)
            .unwrap_or(Volume::from_femtolitres(u64::MAX))
    }

    /// Everything a programmer shows.
    fn status(&self, now: Now) -> Status {
        let totals = self.totals.now(now.pump);
        let bounds = &self.bounds;
        Status {
            boot: self.boot,
            pump_time_ms: now.pump.micros().checked_div(1000).unwrap_or(0),
            clock: self.clock.read(now.pump),
            program_number: self.committed.number,
            program: self.committed.program.clone(),
            delivery: self.delivery_state(),
            flow_nl_per_day: self.flow.per_day_nanolitres_rounded_down(),
            counted_steps: totals.counted_steps,
            at_most_steps: totals.at_most_steps,
            deficit_steps: totals.deficit_steps,
            step_volume_fl: bounds.step_volume.femtolitres(),
            reservoir_fl: self.reservoir_level().map(Volume::femtolitres),
            filled_fl: self.committed.fill.map(|fill| fill.volume_fl),
            delivered_since_fill_fl: self
                .committed
                .fill
                .map_or(0, |fill| self.drawn(fill).femtolitres()),
            staged: matches!(self.programming, Programming::Staged(_)),
            committing: matches!(self.programming, Programming::Committing(_)),
            status_changed: self.status_changed,
            limits: Limits {
                lowest_nl_per_day: limit(bounds.lowest.flow()),
                highest_nl_per_day: limit(bounds.highest.flow()),
                capacity_nl: nanolitres(bounds.capacity),
                step_volume_fl: bounds.step_volume.femtolitres(),
            },
            faults: self.faults,
            powered_s: totals.powered_s,
            records_lost: self.counters.records_lost,
        }
    }

    fn delivery_state(&self) -> DeliveryState {
        if self.faulted || self.faults & fault::PROGRAM_LOST != 0 {
            DeliveryState::Faulted
        } else if self.flow > Flow::ZERO {
            DeliveryState::Running
        } else if self.committed.program.is_some() {
            DeliveryState::Stopped
        } else {
            DeliveryState::NotProgrammed
        }
    }
}

/// Whether what came through a reset can be believed: power was there, this pump wrote it in this boot's number or before, and it is no older
/// than the last checkpoint. The number can be this boot's, because one that could not be kept is used again.
fn is_of_this_pump(retained: &Retained, cause: ResetCause, recovered: &Recovered) -> bool {
    let not_older = match &recovered.totals {
        Recovery::Good(checkpoint) => {
            retained.totals.at_most_steps >= checkpoint.at_most_steps
                && retained.totals.powered_s >= checkpoint.powered_s
        }
        Recovery::Absent | Recovery::Lost => true,
    };
    // Of a flash that cannot be believed the boot number cannot be either.
    let not_later = recovered.boot == 0
        || retained.boot <= recovered.boot
        || recovered.totals == Recovery::Lost;
    cause != ResetCause::PowerOn && not_later && (is_apart(retained, recovered) || not_older)
}

/// Whether a boot that did not know the totals before it has left its own beside the last checkpoint: then that is of an earlier boot. One that
/// could keep a checkpoint has begun to count anew there.
fn is_apart(retained: &Retained, recovered: &Recovered) -> bool {
    retained.relative && (retained.boot == 0 || recovered.totals_boot < retained.boot)
}

// Not merged: an action is longer than a record, and would be on the stack of every caller.
#[inline(never)]
fn append(session: Option<SessionId>, record: Record, actions: &mut Actions) {
    actions.push(Action::Append { session, record });
}

fn answer(session: SessionId, id: u32, outcome: Outcome) -> Action {
    Action::Answer {
        session,
        answer: Answer { id, outcome },
    }
}

fn limit(flow: Flow) -> u32 {
    u32::try_from(flow.per_day_nanolitres_rounded_down()).unwrap_or(u32::MAX)
}

fn milliseconds(duration: Duration) -> u32 {
    let whole = duration.micros().checked_div(1000).unwrap_or(0);
    u32::try_from(whole).unwrap_or(u32::MAX)
}
