//! The state machine itself: what the pump is doing, and what each event changes.
//!
//! Delivery follows from one response to all faults that are present; `dosing.rs` has the order of a step of therapy and its transitions.
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
//!
//! Whatever else a clinician or a patient orders and is to outlast a reset is one pending order at a time: made durable, then answered; not
//! durable in 5 s, undone.

mod dosing;
mod keys;
mod orders;
mod programming;
mod telling;

pub use dosing::{INTERLOCK_DAY, INTERLOCK_HOUR};

use crate::actions::{Action, Actions};
use crate::clock::{EARLIEST, END, TRUSTED_UNCERTAINTY, Timekeeper};
use crate::commissioning::CommissioningRecord;
use crate::counters::Counters;
use crate::event::{Event, MotorStatus, OrderRefusal, ResetCause, Ticket};
use crate::kept::{
    BolusRecord, CareRecord, FillRecord, InForceRecord, Kept, LatchedRecord, LibraryHistory,
    PathRecord, ProgramRecord, RefillRecord, STATE_BYTES, StateKind, StateSet, Value,
};
use crate::program::{rate, to_prescription};
use crate::record::{JobEnd, Record};
use crate::recovery::Recovered;
use crate::storage::StorageReport;
use crate::totals::{Retained, Totals, TotalsRecord, TotalsSource};
use heapless::{Deque, Vec};
use keys::Access;
use orders::Pending;
use programming::Programming;
use protocol::status::{changed, fault};
use protocol::{
    Answer, Caller, DeliveryState, Field, Outcome, Refused, Request, SessionId, SetClock,
};
use serde::{Deserialize, Serialize};
use therapy::{
    AlarmSet, Alarms, Bounds, ClockChange, ClockSetter, Content, Delivery, Diary, DiaryKind,
    DiaryScale, Fault, Faults, Jobs, Library, Mri, PeriodicClock, Prescription, Prime, Response,
    ServiceLife, Supervision, SupervisionRecord, Target, Trial, ZoneOffset, judge_correction,
};
use units::{Clock, Duration, Flow, Now, PoweredTime, PumpKind, PumpTime, Volume};

/// How long a staged program waits for its commit, on carrier time (design: "within 120 s in the same session").
pub const COMMIT_WINDOW: Duration = Duration::from_seconds(120);
/// How long a commit waits for the journal before it is certainly not done (docs/therapy.md, "Durability, asymmetric").
pub const PERSIST_LIMIT: Duration = Duration::from_seconds(5);
/// How often delivered totals are kept on flash (docs/therapy.md, "Running time and truth").
pub const CHECKPOINT_INTERVAL: Duration = Duration::from_seconds(60);
/// And during a bolus or prime.
pub const JOB_CHECKPOINT_INTERVAL: Duration = Duration::from_seconds(10);
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
/// Kinds of state that can be on their way to the flash at once.
const WRITING: usize = 4;
/// Command numbers ahead of an order and of a stop, which wait for no place.
const NUMBERS_WRITING: usize = 2;

/// How this boot came about.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Start {
    /// Why the processor started.
    pub cause: ResetCause,
    /// What has come through the reset in retained memory; none where there is no such memory, or it is damaged.
    pub retained: Option<Retained>,
}

/// What was found of one piece of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Recovery<T> {
    /// Never written: a new pump.
    Absent,
    /// Read and whole.
    Good(T),
    /// Written once, and no good copy is left.
    Lost,
}

impl<T> Recovery<T> {
    /// What was read, and whether something was lost.
    fn or_default(self) -> (T, bool)
    where
        T: Default,
    {
        match self {
            Self::Good(value) => (value, false),
            Self::Absent => (T::default(), false),
            Self::Lost => (T::default(), true),
        }
    }
}

/// A kind of state on its way to the flash without anybody waiting for it.
#[derive(Clone, Copy, Debug)]
struct Writing {
    ticket: Ticket,
    state: StateKind,
    until: PumpTime,
}

/// The pump.
#[derive(Clone, Debug)]
pub struct Pump {
    kind: PumpKind,
    /// The record it goes by; none while it was never commissioned.
    commissioning: Option<CommissioningRecord>,
    bounds: Bounds,
    boot: u32,
    start: Start,
    /// The committed program as it is on flash.
    committed: ProgramRecord,
    /// The committed program as therapy holds it; none before the first commit and when it was lost.
    prescription: Option<Prescription>,
    delivery: Delivery,
    /// The basal flow in force.
    basal: Flow,
    /// The next basal flow that delivery already knows of, and when.
    announced: Option<(PumpTime, Flow)>,
    /// Number of the next order; never used twice in a boot, also across jobs.
    next_order: u32,
    /// Number and steps of the newest orders, so that a refused one can be accounted for.
    recent: Deque<(u32, u32), RECENT_ORDERS>,
    totals: Totals,
    totals_source: TotalsSource,
    /// Boluses, refill or latched faults could not be read in this boot, and no program was committed since.
    state_lost: bool,
    deficit_seen: u64,
    clock: Timekeeper,
    programming: Programming,
    pending: Option<Pending>,
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
    latched_kept: LatchedRecord,
    /// A stop that acts and could not be recorded: what flash is to say instead of `committed`.
    unrecorded_stop: Option<ProgramRecord>,
    /// State that flash is to be told, and what it is being told.
    dirty: StateSet,
    writing: Vec<Writing, { WRITING + NUMBERS_WRITING }>,
    /// When what could not be written is tried again.
    retry_at: PumpTime,
    /// The session in which something was asked.
    session: Option<SessionId>,
    /// Corrections of the clock in this session.
    corrected: Duration,
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

    // ---- therapy ----
    library: Library,
    /// Parts of a hospital's library that have come so far.
    library_parts: orders::LibraryParts,
    path: Option<PathRecord>,
    bridge_lost: bool,
    boluses: BolusRecord,
    in_force: InForceRecord,
    refills: RefillRecord,
    care: CareRecord,
    /// Who is let in.
    access: Access,
    supervision: Supervision,
    was_stalled: bool,
    /// Deficit of delivery up to which retries were granted.
    retried_from: u64,
    driver_failed: bool,
    self_test_failed: bool,
    faults_now: Faults,
    response: Response,
    jobs: Jobs,
    /// Steps of the running job before it last began to run.
    job_before: u32,
    /// Steps of it that were left out.
    job_missed: u32,
    /// The pump's `at_most` total when it began.
    job_at_most: u64,
    /// The prime that runs.
    prime: Option<Prime>,
    armed: Option<(u32, u32)>,
    /// What it was armed for: the program, by how often there was another, and the bridge.
    armed_for: Option<(u32, Flow)>,
    programs: u32,
    motor_alarms: AlarmSet,
    alarms_told: AlarmSet,
    /// Alarms that were heard since they came on.
    heard: AlarmSet,
    was_low: bool,
    was_empty: bool,
    /// Program, and what of it the log has been told.
    parts_told: Option<u16>,
    /// When it may be told the next part.
    part_at: PumpTime,
}

impl Pump {
    /// A pump as its flash describes it. Nothing moves before [`Event::Boot`].
    #[must_use]
    pub fn new(recovered: Recovered, start: Start) -> Self {
        let mut faults = 0;
        let basis = &recovered.basis;
        let record = basis.commissioning.unwrap_or(CommissioningRecord::NOMINAL);
        let bounds = record.bounds().unwrap_or(Bounds::PROGRAMMABLE_IMPLANT);
        let kind = record.kind;
        let retained = start
            .retained
            .filter(|retained| is_of_this_pump(retained, start.cause, &recovered));
        let apart = retained.is_some_and(|retained| is_apart(&retained, &recovered));
        let mut prescription = None;
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
                let program = record.program.as_ref();
                match program.map(|program| to_prescription(program, &bounds, kind)) {
                    None => {}
                    Some(Ok(valid)) => prescription = Some(valid),
                    // Good bytes that this pump may not deliver are as lost as bad ones.
                    Some(Err(_)) => faults |= fault::PROGRAM_LOST,
                }
                record
            }
        };
        // What can flow at the most, for what a checkpoint can still mean.
        let highest = match &prescription {
            _ if faults & fault::PROGRAM_LOST != 0 => bounds.minimum_rate.flow(),
            Some(valid) => valid.highest_flow().max(bounds.minimum_rate.flow()),
            None => Flow::ZERO,
        };
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
        }
        let flow = if faulted { Flow::ZERO } else { highest };
        let mut dirty = StateSet::default();
        let mut forget_fill = false;
        let after_loss =
            |checkpoint| Totals::after_power_loss(checkpoint, flow, bounds.step_volume);
        let (before, totals_source) = match (retained, basis.totals) {
            // Of a boot that did not know the totals before it, and has kept none of its own.
            (Some(retained), Recovery::Good(checkpoint)) if apart => (
                Totals::with_boot(after_loss(checkpoint), retained.totals),
                TotalsSource::Retained,
            ),
            (Some(retained), Recovery::Good(_)) => (retained.totals, TotalsSource::Retained),
            (Some(retained), _) if !retained.relative => (retained.totals, TotalsSource::Retained),
            (Some(retained), _) => {
                faults |= fault::STORAGE;
                forget_fill = true;
                (retained.totals, TotalsSource::Lost)
            }
            (None, Recovery::Absent) => (TotalsRecord::default(), TotalsSource::New),
            (None, Recovery::Lost) => {
                faults |= fault::STORAGE;
                // Without totals nobody knows what has been drawn since the fill; and nobody is to believe so after the next reset.
                forget_fill = true;
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
            forget_fill = true;
        }
        // One may have been open: what is in the reservoir nobody knows.
        let (refills, refills_lost) = recovered.refills.or_default();
        forget_fill |= refills_lost;
        if forget_fill && committed.fill.take().is_some() {
            dirty.insert(StateKind::Program);
        }
        let boots = retained.map_or(1, |retained| basis.boot.saturating_sub(retained.boot));
        let clock =
            Timekeeper::after_reset(retained.map(|retained| retained.clock), start.cause, boots);
        let clock_lost = clock.read(begin) == Clock::Lost;
        if recovered.latched.clock_was_set && clock_lost {
            faults |= fault::CLOCK;
        }
        if basis.storage.failing {
            faults |= fault::STORAGE;
        }
        if basis.storage.commissioning_doubtful || basis.commissioning.is_none() {
            faults |= fault::COMMISSIONING;
        }
        let mut counters = match basis.counters {
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
        let powered = PoweredTime::from_micros(before.powered_s.saturating_mul(1_000_000));
        let in_use = committed.program.is_some();
        let (mut boluses, boluses_lost) = recovered.boluses.or_default();
        if boluses_lost {
            // In doubt all that could be given was given, and just now.
            boluses.window.lost(powered);
            boluses.single_done = committed.number;
            boluses.last_periodic = Some(powered);
            boluses.periodic = prescription
                .as_ref()
                .and_then(Prescription::periodic)
                .map(|periodic| PeriodicClock::committed(powered, periodic, None, None));
            dirty.insert(StateKind::Boluses);
        } else if clock_lost && in_use {
            boluses.window.restart_lockout(powered);
            dirty.insert(StateKind::Boluses);
        }
        let care_lost = matches!(recovered.care, Recovery::Lost);
        let mut care = match recovered.care {
            Recovery::Good(care) if care.trial.is_some() || record.trial_days.is_none() => care,
            // Of before it was made a pump for a trial: power failed between the record of that and this one.
            Recovery::Good(_) => {
                dirty.insert(StateKind::Care);
                new_care(kind, powered, &record)
            }
            Recovery::Absent | Recovery::Lost => new_care(kind, powered, &record),
        };
        if care_lost && in_use {
            // Nobody knows what was latched: not more than any of it would leave, but for what stops a pump whose patient cannot be without.
            care.latched.set(Fault::ResumedAtMinimum, true);
            dirty.insert(StateKind::Care);
        }
        if refills_lost && in_use {
            care.latched.set(Fault::RefillNotConfirmed, true);
            dirty.insert(StateKind::Care);
            dirty.insert(StateKind::Refills);
        }
        let state_lost = in_use && (boluses_lost || care_lost || refills_lost);
        let (mut in_force, in_force_lost) = recovered.in_force.or_default();
        if in_force_lost || in_force.program_number < committed.number {
            // One commit behind: what the program's own record says is made up for.
            if let Some(valid) = &prescription {
                in_force
                    .totals
                    .committed(valid.drug(), valid.day_total(), committed.at);
            }
            in_force.program_number = committed.number;
            dirty.insert(StateKind::InForce);
        }
        let library = Library::restored(
            match recovered.library {
                Recovery::Good(library) => Some(library),
                Recovery::Absent | Recovery::Lost => None,
            },
            match recovered.library_history {
                Recovery::Good(history) => history,
                Recovery::Absent | Recovery::Lost => LibraryHistory::new(),
            },
        );
        let mut bridge_lost = false;
        let path = match recovered.path {
            Recovery::Good(mut path) => {
                if path.program_number < committed.number
                    && let Some(valid) = &prescription
                {
                    catch_up(&mut path, &committed, valid, &bounds);
                    dirty.insert(StateKind::Path);
                }
                if totals_source != TotalsSource::Lost {
                    Some(path)
                } else if path.path.is_bridging() {
                    // Nobody knows how far the old liquid has come.
                    bridge_lost = true;
                    dirty.insert(StateKind::Path);
                    None
                } else {
                    path.at_most_steps = before.at_most_steps;
                    dirty.insert(StateKind::Path);
                    Some(path)
                }
            }
            Recovery::Absent => None,
            Recovery::Lost => {
                bridge_lost = committed.bridge.is_some();
                None
            }
        };
        let access = Access::after_boot(
            recovered.identity,
            recovered.keys,
            recovered.numbers,
            basis,
            &mut dirty,
        );
        let newest = boluses.newest_job;
        let supervision = dosing::supervision_after_boot(care.supervision, powered);
        Self {
            kind,
            commissioning: basis.commissioning,
            bounds,
            boot: basis.boot,
            start,
            committed,
            prescription,
            delivery: Delivery::run(Flow::ZERO, bounds.step_volume, begin, FIRST_ORDER),
            basal: Flow::ZERO,
            announced: None,
            next_order: FIRST_ORDER,
            recent: Deque::new(),
            totals: Totals::new(before),
            totals_source,
            state_lost,
            deficit_seen: 0,
            clock,
            programming: Programming::Idle,
            pending: None,
            next_ticket: 1,
            checkpoint_at: begin,
            counters,
            counters_kept: None,
            counters_at: begin,
            scrub_at: begin.saturating_add(SCRUB_INTERVAL),
            storage: basis.storage,
            lost: 0,
            lost_told_at: begin,
            checkpoint_failures: 0,
            checkpoint_tried: false,
            checkpoint_failed: false,
            latched,
            latched_kept: recovered.latched,
            unrecorded_stop: None,
            dirty,
            writing: Vec::new(),
            retry_at: begin,
            session: None,
            corrected: Duration::ZERO,
            delivery_told: (DeliveryState::NotProgrammed, Flow::ZERO),
            status_changed: changed::OPERATION,
            faults,
            faults_told: 0,
            faulted,
            start_stopped: faulted,
            latest: begin,
            library,
            library_parts: orders::LibraryParts::new(),
            path,
            bridge_lost,
            boluses,
            in_force,
            refills,
            alarms_told: care.alarms.sounding(),
            care,
            access,
            supervision,
            was_stalled: false,
            retried_from: 0,
            driver_failed: false,
            self_test_failed: false,
            faults_now: Faults::NONE,
            response: Response::Normal,
            jobs: Jobs::new(newest),
            job_before: 0,
            job_missed: 0,
            job_at_most: 0,
            prime: None,
            armed: None,
            armed_for: None,
            programs: 0,
            motor_alarms: AlarmSet::NONE,
            heard: AlarmSet::NONE,
            was_low: false,
            was_empty: false,
            parts_told: None,
            part_at: begin,
        }
    }

    /// What the time of day is, as far as the pump knows: for the stamps of records.
    #[must_use]
    pub fn clock(&self, now: PumpTime) -> Clock {
        self.clock.read(now)
    }

    /// A piece of state as it is to be on flash, for the shell that carries out [`Action::Persist`]; none if it were too long.
    #[must_use]
    pub fn kept<'a>(
        &self,
        state: StateKind,
        buffer: &'a mut [u8; STATE_BYTES],
    ) -> Option<Kept<'a>> {
        let value = match state {
            StateKind::Program => Value::Program(match &self.programming {
                Programming::Committing(commit) => &commit.record,
                Programming::Idle | Programming::Staged(_) => {
                    self.unrecorded_stop.as_ref().unwrap_or(&self.committed)
                }
            }),
            StateKind::Latched => Value::Latched(&self.latched),
            StateKind::Commissioning => Value::Commissioning(self.commissioning.as_ref()?),
            StateKind::Path => Value::Path(self.path.as_ref()),
            StateKind::Boluses => Value::Boluses(&self.boluses),
            StateKind::InForce => Value::InForce(&self.in_force),
            StateKind::Refills => Value::Refills(&self.refills),
            StateKind::Care => Value::Care(&self.care),
            StateKind::Library => Value::Library(self.library.hospital()),
            StateKind::LibraryHistory => Value::LibraryHistory(self.library.history()),
            StateKind::Identity => Value::Identity(self.access.identity()),
            StateKind::Keys => Value::Keys(self.access.keys()),
            StateKind::CommandNumbers => Value::CommandNumbers(self.access.numbers()),
        };
        Kept::new(state, value, buffer)
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
    /// Order of one step: the event, then overdue deadlines, then one step of therapy (`dosing.rs`), then the orders that keep the motor
    /// supplied, then what the log is to know, then the checkpoint, then what outlasts a reset, then a look at the flash. Time that goes back
    /// counts as no time having passed.
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
            Event::Boot => self.on_boot(now, &mut actions),
            Event::Tick(motor) => self.on_motor(now, motor, &mut actions),
            Event::Request {
                session,
                caller,
                request,
            } => self.on_request(now, session, caller, &request, &mut actions),
            Event::AuthenticationFailed { slot } => {
                self.on_authentication_failed(now, slot, &mut actions);
            }
            Event::LinkClosed { session } => self.on_link_closed(session, &mut actions),
            Event::Persisted(ticket) => self.on_persisted(now, ticket, &mut actions),
            Event::PersistFailed(ticket) => self.on_persist_failed(now, ticket, &mut actions),
            Event::OrderRefused { order, refusal } => {
                self.on_order_refused(order, refusal, &mut actions)
            }
            Event::AppendFailed => self.on_append_failed(),
            Event::CheckpointFailed => self.on_checkpoint_failed(),
            Event::Supply { millivolts } => self.on_supply(now, millivolts, &mut actions),
            Event::SelfTest { failed } => self.on_self_test(failed, &mut actions),
            Event::Storage(report) => self.on_storage(&report, &mut actions),
        }
        self.expire(now, &mut actions);
        self.run_therapy(now, &mut actions);
        self.supply_motor(now, &mut actions);
        self.record_deficit(&mut actions);
        self.record_changes(&mut actions);
        self.record_program(&mut actions);
        self.keep_totals(now, &mut actions);
        self.keep_state(now, &mut actions);
        self.scrub(now, &mut actions);
        if actions.overflowed() {
            self.on_append_failed();
            // It comes last, and may be what has fallen off.
            self.dirty.insert(StateKind::Latched);
        }
        actions
    }

    /// The latched flags of the "Status changed" characteristic, [`protocol::status::changed`]: what a carrier notifies.
    #[must_use]
    pub fn status_changed(&self) -> u16 {
        self.status_changed
    }

    fn on_boot(&mut self, now: Now, actions: &mut Actions) {
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
        self.tell_interrupted(actions);
        self.care.alarms.set_pump(self.kind);
        if self.bridge_lost {
            self.faults_now.set(Fault::BridgeLost, true);
        }
        if self.access.page_is_of_no_use(false) {
            actions.push(Action::ErasePack);
        }
        if let Some(until) = self.care.mri.until() {
            let powered = self.powered(now.pump);
            self.care.alarms.defer(until, powered);
        }
    }

    /// A job that a reset has ended is never resumed; it was spent when it began.
    fn tell_interrupted(&mut self, actions: &mut Actions) {
        let Some((order, began)) = self.boluses.job.take() else {
            return;
        };
        let delivered = self
            .totals
            .now(PumpTime::ZERO)
            .at_most_steps
            .saturating_sub(began);
        let at_most = u32::try_from(delivered)
            .unwrap_or(u32::MAX)
            .min(order.steps());
        append(
            None,
            Record::JobEnded {
                job: order.kind(),
                id: order.id(),
                end: JobEnd::Interrupted,
                counted_steps: 0,
                at_most_steps: at_most,
            },
            actions,
        );
        if let Some(order) = self.boluses.suspended.take() {
            // Begun before the other: nobody knows how much of it was given.
            append(
                None,
                Record::JobEnded {
                    job: order.kind(),
                    id: order.id(),
                    end: JobEnd::Interrupted,
                    counted_steps: 0,
                    at_most_steps: order.steps(),
                },
                actions,
            );
        }
        self.dirty.insert(StateKind::Boluses);
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
        let faults = self.faults & !dosing::TOLD_AS_ALARMS;
        let raised = faults & !self.faults_told;
        let cleared = self.faults_told & !faults;
        self.faults_told = faults;
        if raised != 0 {
            self.counters.alarms = self.counters.alarms.saturating_add(raised.count_ones());
            append(None, Record::AlarmRaised { faults: raised }, actions);
        }
        if cleared != 0 {
            append(None, Record::AlarmCleared { faults: cleared }, actions);
        }
        let delivery = (self.delivery_state(), self.basal);
        if delivery != self.delivery_told {
            self.delivery_told = delivery;
            append(
                None,
                Record::DeliveryChanged {
                    delivery: delivery.0,
                    flow_nl_per_day: self.basal.per_day_nanolitres_rounded_down(),
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
        self.delivery.driver_says(motor.commanded_steps);
        self.driver_failed = motor.faults.driver_failed;
        let failed = motor.faults.interlock_tripped || motor.faults.driver_failed;
        if failed && self.faults & (fault::INTERLOCK | fault::MOTOR) == 0 {
            append(
                None,
                Record::MotorFault {
                    interlock_tripped: motor.faults.interlock_tripped,
                    driver_failed: motor.faults.driver_failed,
                },
                actions,
            );
        }
        if motor.faults.interlock_tripped && !self.faulted {
            self.faulted = true;
            self.raise(fault::INTERLOCK);
            self.latched.interlock_tripped = true;
        }
        if motor.faults.driver_failed {
            self.raise(fault::MOTOR);
        }
        self.supervise(now, motor, actions);
    }

    fn on_request(
        &mut self,
        now: Now,
        session: SessionId,
        caller: Caller,
        request: &Request,
        actions: &mut Actions,
    ) {
        if self.session != Some(session) {
            self.session = Some(session);
            Counters::count(&mut self.counters.sessions);
            self.corrected = Duration::ZERO;
            self.record_failures(now, actions);
            let Caller { slot, role } = caller;
            append(Some(session), Record::SessionOpened { slot, role }, actions);
        }
        let numbered = request.command.kind().is_numbered();
        let outcome = match self.access.use_number(caller, numbered, request.number) {
            Ok(()) => self.order(now, session, caller, request, actions),
            Err(refused) => Some(Outcome::Refused(refused)),
        };
        if numbered && has_effect(outcome.as_ref()) && self.access.is_number_to_be_kept() {
            // Ahead of whatever else this command has changed; one that was pended has it already.
            self.dirty.insert(StateKind::CommandNumbers);
        }
        if let Some(outcome) = outcome {
            actions.answer(session, answer(request.id, outcome));
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
        wanted: &SetClock,
        actions: &mut Actions,
    ) -> Outcome {
        let SetClock {
            wall,
            uncertainty,
            reason,
        } = *wanted;
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
        let (change, by) = match before {
            Clock::Known { wall: old, .. } => {
                let by = wall.saturating_since(old).max(old.saturating_since(wall));
                (ClockChange::Time(by), by)
            }
            // What the pump does not know for certain a clinician says.
            Clock::Suspect { .. } | Clock::Lost => (ClockChange::Set, Duration::ZERO),
        };
        if judge_correction(change, self.corrected, ClockSetter::Clinician, reason).is_err() {
            return Outcome::Refused(Refused::ReasonNeeded);
        }
        self.corrected = self.corrected.saturating_add(by);
        self.clock.set(now.pump, wall, uncertainty);
        self.latched.clock_was_set = true;
        let after = self.clock.read(now.pump);
        self.clear(fault::CLOCK);
        self.status_changed |= changed::CLOCK;
        append(Some(session), Record::ClockSet { before, after }, actions);
        Outcome::ClockSet { clock: after }
    }

    /// What has failed stays so until a test passes: a part that cannot be relied on is not relied on by chance.
    fn on_self_test(&mut self, failed: u16, actions: &mut Actions) {
        let changed = (failed != 0) != self.self_test_failed;
        self.self_test_failed = failed != 0;
        if failed != 0 || changed {
            append(None, Record::SelfTest { failed }, actions);
        }
    }

    fn on_supply(&mut self, now: Now, millivolts: u16, actions: &mut Actions) {
        let powered = self.powered(now.pump);
        let before = self.care.service.daily_mean_millivolts();
        let phase =
            self.care
                .service
                .reading(powered, millivolts, &therapy::ServiceLimits::IMPLANT);
        if let Some(phase) = phase {
            self.service_phase(phase, now, actions);
        }
        let mean = self.care.service.daily_mean_millivolts();
        if let Some(millivolts) = mean
            && mean != before
        {
            self.dirty.insert(StateKind::Care);
            append(None, Record::Battery { millivolts }, actions);
        }
    }

    /// Tells the state banks what has changed, and again what they could not take, no more often than they can answer.
    fn keep_state(&mut self, now: Now, actions: &mut Actions) {
        if self.latched != self.latched_kept {
            self.latched_kept = self.latched;
            self.dirty.insert(StateKind::Latched);
        }
        // No answer is none.
        while let Some(late) = self
            .writing
            .iter()
            .position(|writing| now.pump >= writing.until)
        {
            let writing = self.writing.swap_remove(late);
            self.dirty.insert(writing.state);
            self.retry_at = now.pump;
        }
        for writing in &self.writing {
            actions.call_by(writing.until);
        }
        if self.dirty.is_empty() {
            return;
        }
        if now.pump < self.retry_at {
            actions.call_by(self.retry_at);
            return;
        }
        // Numbers ahead of what their commands have changed.
        for state in core::iter::once(&StateKind::CommandNumbers).chain(StateKind::ALL) {
            let state = *state;
            if self.writing.len() >= WRITING {
                // The rest when these are answered.
                break;
            }
            // Never behind an order that waits for its own.
            if !self.dirty.contains(state) || self.waits_for(state) || self.is_writing(state) {
                continue;
            }
            // There is a place: see above.
            self.write(state, now, actions);
        }
    }

    /// Hands a kind of state to the flash without anybody waiting for it; again when a place is free, if there is none.
    fn write(&mut self, state: StateKind, now: Now, actions: &mut Actions) {
        if self.writing.is_full() {
            self.dirty.insert(state);
            return;
        }
        self.dirty.remove(state);
        let ticket = self.persist(state, actions);
        let until = now.pump.saturating_add(PERSIST_LIMIT);
        actions.call_by(until);
        let _ = self.writing.push(Writing {
            ticket,
            state,
            until,
        });
    }

    /// Hands the number of a command to the flash ahead of what it changes (`keys.rs`).
    fn write_numbers(&mut self, now: Now, actions: &mut Actions) {
        if self.access.is_number_to_be_kept() || self.dirty.contains(StateKind::CommandNumbers) {
            self.write(StateKind::CommandNumbers, now, actions);
        }
    }

    fn is_writing(&self, state: StateKind) -> bool {
        self.writing.iter().any(|writing| writing.state == state)
    }

    /// Whether a commit or another order waits for this kind of state.
    fn waits_for(&self, state: StateKind) -> bool {
        match &self.programming {
            Programming::Committing(_) if state == StateKind::Program => return true,
            Programming::Idle | Programming::Staged(_) | Programming::Committing(_) => {}
        }
        self.pending
            .as_ref()
            .is_some_and(|pending| pending.state() == state)
    }

    fn on_persisted(&mut self, now: Now, ticket: Ticket, actions: &mut Actions) {
        if let Some(place) = self
            .writing
            .iter()
            .position(|writing| writing.ticket == ticket)
        {
            let writing = self.writing.swap_remove(place);
            match writing.state {
                StateKind::Program => self.record_stop(actions),
                StateKind::Identity if self.access.page_is_of_no_use(true) => {
                    actions.push(Action::ErasePack);
                }
                _ => {}
            }
            return;
        }
        self.commit_persisted(now, ticket, actions);
        self.order_persisted(now, ticket, actions);
    }

    fn on_persist_failed(&mut self, now: Now, ticket: Ticket, actions: &mut Actions) {
        self.storage_failed();
        if let Some(place) = self
            .writing
            .iter()
            .position(|writing| writing.ticket == ticket)
        {
            let writing = self.writing.swap_remove(place);
            self.dirty.insert(writing.state);
            self.retry_at = now.pump.saturating_add(RETRY_INTERVAL);
            if writing.state == StateKind::CommandNumbers {
                self.number_failed(now, actions);
            }
            return;
        }
        self.commit_failed(ticket, actions);
        self.order_failed(ticket, now, actions);
    }

    /// What has waited too long for the journal is certainly not done.
    fn expire(&mut self, now: Now, actions: &mut Actions) {
        self.expire_commit(now, actions);
        self.expire_order(now, actions);
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
        self.link_closed(session);
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

    fn supply_motor(&mut self, now: Now, actions: &mut Actions) {
        if self.delivery.waits_for_driver() {
            // Asked for with every call until it has come: another event may come before it.
            actions.call_by(now.pump);
        }
        if self.supervision.is_stalled() || self.faulted {
            return;
        }
        while let Some(order) = self.delivery.next_order(now.pump) {
            self.next_order = self.delivery.next_order_id();
            if self.recent.is_full() {
                self.recent.pop_front();
            }
            // Cannot fail: a place was made.
            let _ = self.recent.push_back((order.id, order.steps));
            self.totals.order(order.steps);
            actions.push(Action::Order { order, level: 1 });
        }
        if let Some(time) = self.delivery.next_call() {
            actions.call_by(time);
        }
    }

    fn record_deficit(&mut self, actions: &mut Actions) {
        if self.supervision.is_stalled() {
            // Told in one piece when the rotor turns again.
            return;
        }
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
            let interval = if self.jobs.running().is_some() {
                JOB_CHECKPOINT_INTERVAL
            } else {
                CHECKPOINT_INTERVAL
            };
            self.checkpoint_at = now.pump.saturating_add(interval);
            if self.checkpoint_tried && !self.checkpoint_failed {
                self.checkpoint_failures = 0;
                self.latched.checkpoints_failing = false;
            }
            self.checkpoint_tried = true;
            self.checkpoint_failed = false;
            actions.push(Action::Checkpoint(Record::Totals {
                totals: TotalsRecord {
                    ahead_steps: Totals::ahead(self.most_flow(), self.bounds.step_volume)
                        .saturating_add(self.job_steps_ahead())
                        .saturating_add(self.retry_ahead()),
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

    /// What flows at the most until the next checkpoint, beside a job.
    fn most_flow(&self) -> Flow {
        self.announced
            .map_or(self.basal, |(_, next)| next.max(self.basal))
    }

    /// A retry gives at once what basal has missed since the one before.
    fn retry_ahead(&self) -> u64 {
        if self.supervision.is_stalled() {
            u64::from(therapy::RETRY_STEPS)
        } else {
            0
        }
    }

    /// Steps of the running job that are still to come.
    fn job_steps_ahead(&self) -> u64 {
        let left = |job: &therapy::Job| u64::from(job.steps_left());
        self.jobs
            .running()
            .map_or(0, left)
            .saturating_add(self.jobs.suspended().map_or(0, left))
    }

    fn persist(&mut self, state: StateKind, actions: &mut Actions) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket = self.next_ticket.wrapping_add(1);
        if state == StateKind::CommandNumbers {
            self.access.numbers_handed_out();
        }
        actions.push(Action::Persist { ticket, state });
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
}

/// Whether what came through a reset can be believed: power was there, this pump wrote it in this boot's number or before, and it is no older
/// than the last checkpoint. The number can be this boot's, because one that could not be kept is used again.
fn is_of_this_pump(retained: &Retained, cause: ResetCause, recovered: &Recovered) -> bool {
    let not_older = match &recovered.basis.totals {
        Recovery::Good(checkpoint) => {
            retained.totals.at_most_steps >= checkpoint.at_most_steps
                && retained.totals.powered_s >= checkpoint.powered_s
        }
        Recovery::Absent | Recovery::Lost => true,
    };
    // Of a flash that cannot be believed the boot number cannot be either.
    let not_later = recovered.basis.boot == 0
        || retained.boot <= recovered.basis.boot
        || recovered.basis.totals == Recovery::Lost;
    cause != ResetCause::PowerOn && not_later && (is_apart(retained, recovered) || not_older)
}

/// Whether a boot that did not know the totals before it has left its own beside the last checkpoint: then that is of an earlier boot. One that
/// could keep a checkpoint has begun to count anew there.
fn is_apart(retained: &Retained, recovered: &Recovered) -> bool {
    retained.relative && (retained.boot == 0 || recovered.basis.totals_boot < retained.boot)
}

// Not merged: an action is longer than a record, and would be on the stack of every caller.
#[inline(never)]
fn append(session: Option<SessionId>, record: Record, actions: &mut Actions) {
    actions.push(Action::Append { session, record });
}

/// Whether a command may have changed something: not if it was refused, nor a bolus that was.
const fn has_effect(outcome: Option<&Outcome>) -> bool {
    !matches!(
        outcome,
        Some(Outcome::Refused(_) | Outcome::BolusRefused { .. })
    )
}

fn answer(id: u32, outcome: Outcome) -> Answer {
    Answer { id, outcome }
}

/// What is looked after from a pump's first start on.
fn new_care(kind: PumpKind, powered: PoweredTime, record: &CommissioningRecord) -> CareRecord {
    let days = |days: u8| Duration::from_days(u32::from(days));
    CareRecord {
        alarms: Alarms::new(kind),
        latched: Faults::NONE,
        // What is known of its age is the time that it has had power.
        service: ServiceLife::begin(PoweredTime::ZERO),
        supervision: SupervisionRecord::default(),
        trial: record
            .trial_days
            .and_then(|length| Trial::begin(powered, days(length)).ok()),
        diary: Diary::new(DiaryKind::Pain, DiaryScale::Ten),
        mri: Mri::off(),
        zone: ZoneOffset::default(),
        clinicians_zone: ZoneOffset::default(),
    }
}

/// What a prescription's mixture is in the path.
fn content_of(prescription: &Prescription) -> Option<Content> {
    let component = |ingredient: therapy::Ingredient| therapy::Component {
        drug: ingredient.drug,
        concentration: ingredient.concentration,
    };
    let mixture = prescription.mixture();
    let others: Vec<therapy::Component, { therapy::MAXIMUM_SECONDARIES }> = mixture
        .secondaries()
        .iter()
        .copied()
        .map(component)
        .collect();
    therapy::Solution::new(component(mixture.primary()), &others)
        .ok()
        .map(Content::Solution)
}

/// The dose that a bridge gives of the old primary drug.
fn target_of(committed: &ProgramRecord) -> Option<Target> {
    let (dose, _) = committed.bridge?;
    Target::new(rate(dose)).ok()
}

/// What enters the path with a commit: nothing with a stop, whatever it names. Until the start the reservoir counts as what it was, so that the start
/// needs the bridge.
fn content_that_flows(prescription: &Prescription) -> Option<Content> {
    content_of(prescription).filter(|_| !prescription.is_stopped())
}

/// Brings a path that has not seen the last commit up to it.
fn catch_up(
    path: &mut PathRecord,
    committed: &ProgramRecord,
    valid: &Prescription,
    bounds: &Bounds,
) {
    let made = committed.at_most_steps.saturating_sub(path.at_most_steps);
    let volume = bounds.step_volume.volume_of(made).unwrap_or(Volume::MAX);
    path.path.advance(volume);
    path.at_most_steps = path.at_most_steps.max(committed.at_most_steps);
    if let Some(content) = content_that_flows(valid) {
        // It was possible when it was committed.
        let _ = path.path.change(content, target_of(committed));
    }
    path.program_number = committed.number;
}

#[cfg(test)]
impl Pump {
    /// What kind of job runs, for tests.
    pub(crate) fn running_job(&self) -> Option<therapy::JobKind> {
        self.jobs.running().map(|job| job.order().kind())
    }

    /// And what waits behind it.
    pub(crate) fn suspended_job(&self) -> Option<therapy::JobKind> {
        self.jobs.suspended().map(|job| job.order().kind())
    }

    /// Number of the last command of a slot.
    pub(crate) fn last_command(&self, slot: u8) -> u32 {
        let numbers = &self.access.numbers().0;
        numbers.get(usize::from(slot)).copied().unwrap_or(0)
    }
}
