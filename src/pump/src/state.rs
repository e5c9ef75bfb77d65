//! The state machine itself: what the pump is doing, and what each event changes.
//!
//! Delivery:
//!
//! ```text
//!   NotProgrammed --commit--> Running <--commit--> Stopped
//!        |                      |                     |
//!        +---- interlock tripped or driver failed ----+--> Faulted (until the next boot)
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
use crate::event::{Event, MotorStatus, OrderRefusal, ResetCause, Ticket};
use crate::program::{nanolitres, to_prescription, to_wire};
use crate::record::{FillRecord, ProgramRecord, Record};
use crate::totals::{Totals, TotalsRecord};
use heapless::Deque;
use protocol::status::{changed, fault};
use protocol::{
    Answer, Command, DeliveryState, Digest, Limits, Outcome, Program, Refused, Request, SessionId,
    Staged, Status,
};
use therapy::{Bounds, Delivery, Prescription};
use units::{CarrierTime, Duration, Flow, Now, PumpTime, Volume};

/// How long a staged program waits for its commit, on carrier time (design: "within 120 s in the same session").
pub const COMMIT_WINDOW: Duration = Duration::from_seconds(120);
/// How long a commit waits for the journal before it is certainly not done (docs/therapy.md, "Durability, asymmetric").
pub const PERSIST_LIMIT: Duration = Duration::from_seconds(5);
/// How often delivered totals are kept on flash (docs/therapy.md, "Running time and truth").
pub const CHECKPOINT_INTERVAL: Duration = Duration::from_seconds(60);
/// Orders that can still be refused: the driver holds two, and answers an order before the next call.
const RECENT_ORDERS: usize = 4;
/// Number of the first order of a boot.
const FIRST_ORDER: u32 = 1;

/// What the pump is built with. Comes from the commissioning record and the device tree.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Rates, step volume and capacity.
    pub bounds: Bounds,
}

/// What was found of one piece of state.
#[derive(Clone, Debug, PartialEq)]
pub enum Recovery<T> {
    /// Never written: a new pump.
    Absent,
    /// Read and whole.
    Good(T),
    /// Written once, and no good copy is left.
    Lost,
}

/// What was found on flash at boot.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovered {
    /// This boot's number.
    pub boot: u32,
    /// The committed program.
    pub program: Recovery<ProgramRecord>,
    /// The last checkpoint of delivered totals.
    pub totals: Recovery<TotalsRecord>,
}

impl Recovered {
    /// A pump that has never been programmed.
    #[must_use]
    pub fn new_pump() -> Self {
        Self {
            boot: 1,
            program: Recovery::Absent,
            totals: Recovery::Absent,
        }
    }
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
    setup: Setup,
    boot: u32,
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
    deficit_seen: u64,
    programming: Programming,
    next_ticket: u32,
    checkpoint_at: PumpTime,
    status_changed: u16,
    faults: u16,
    faulted: bool,
    latest: PumpTime,
}

impl Pump {
    /// A pump as its flash describes it. Nothing moves before [`Event::Boot`].
    #[must_use]
    pub fn new(setup: Setup, recovered: Recovered) -> Self {
        let mut faults = 0;
        let mut prescription = None;
        let mut delivery = Delivery::stopped();
        let start = PumpTime::from_micros(0);
        let mut committed = match recovered.program {
            Recovery::Absent => ProgramRecord::default(),
            Recovery::Lost => {
                faults |= fault::PROGRAM_LOST;
                ProgramRecord::default()
            }
            Recovery::Good(record) => {
                match record
                    .program
                    .as_ref()
                    .map(|program| to_prescription(program, &setup.bounds))
                {
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
            flow = setup.bounds.minimum_rate.flow();
            delivery = Delivery::start_minimum_rate(&setup.bounds, start, FIRST_ORDER);
        } else if let Some(valid) = &prescription {
            flow = valid.flow();
            delivery = Delivery::start(valid, &setup.bounds, start, FIRST_ORDER);
        }
        let before = match recovered.totals {
            Recovery::Absent => TotalsRecord::default(),
            Recovery::Lost => {
                faults |= fault::STORAGE;
                // Without totals nobody knows what has been drawn since the fill.
                committed.fill = None;
                TotalsRecord::default()
            }
            Recovery::Good(checkpoint) => Totals::after_power_loss(
                checkpoint,
                flow,
                setup.bounds.step_volume,
                CHECKPOINT_INTERVAL.saturating_add(PERSIST_LIMIT),
            ),
        };
        Self {
            setup,
            boot: recovered.boot,
            committed,
            prescription,
            delivery,
            flow,
            next_order: FIRST_ORDER,
            recent: Deque::new(),
            totals: Totals::new(before),
            deficit_seen: 0,
            programming: Programming::Idle,
            next_ticket: 1,
            checkpoint_at: start,
            status_changed: changed::OPERATION,
            faults,
            faulted: false,
            latest: start,
        }
    }

    /// Tells the pump what happened and returns what to do about it.
    ///
    /// Order of one step: the event, then overdue deadlines, then the orders that keep the motor supplied, then the
    /// checkpoint. Time that goes back counts as no time having passed.
    pub fn handle(&mut self, now: Now, event: Event) -> Actions {
        let mut actions = Actions::new();
        self.latest = self.latest.max(now.pump);
        let now = Now {
            pump: self.latest,
            ..now
        };
        match event {
            Event::Boot { cause } => self.on_boot(cause, &mut actions),
            Event::Tick(motor) => self.on_motor(now, motor, &mut actions),
            Event::Request { session, request } => {
                self.on_request(now, session, &request, &mut actions)
            }
            Event::LinkClosed { session } => self.on_link_closed(session),
            Event::Persisted(ticket) => self.on_persisted(now, ticket, &mut actions),
            Event::PersistFailed(ticket) => self.on_persist_failed(ticket, &mut actions),
            Event::OrderRefused { order, refusal } => {
                self.on_order_refused(order, refusal, &mut actions)
            }
            Event::AppendFailed => self.raise(fault::STORAGE),
        }
        self.expire_commit(now, &mut actions);
        self.supply_motor(now, &mut actions);
        self.record_deficit(&mut actions);
        self.keep_totals(now, &mut actions);
        if actions.overflowed() {
            self.raise(fault::STORAGE);
        }
        actions
    }

    /// The latched flags of the "Status changed" characteristic, [`protocol::status::changed`]: what a carrier notifies.
    #[must_use]
    pub fn status_changed(&self) -> u16 {
        self.status_changed
    }

    fn on_boot(&mut self, cause: ResetCause, actions: &mut Actions) {
        actions.push(Action::Append(Record::Boot { cause }));
    }

    fn on_motor(&mut self, now: Now, motor: MotorStatus, actions: &mut Actions) {
        self.totals.update(motor);
        let failed = motor.faults.interlock_tripped || motor.faults.driver_failed;
        if failed && !self.faulted {
            self.faulted = true;
            self.switch_delivery(None, now, actions);
            actions.push(Action::Append(Record::MotorFault {
                interlock_tripped: motor.faults.interlock_tripped,
                driver_failed: motor.faults.driver_failed,
            }));
            if motor.faults.interlock_tripped {
                self.raise(fault::INTERLOCK);
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
        let outcome = match &request.command {
            Command::Interrogate => Some(Outcome::Status(self.status(now))),
            Command::Stage(program) => Some(self.stage(now, session, program)),
            Command::ReadBack => Some(self.read_back(now, session)),
            Command::Commit { digest } => self.commit(now, session, request.id, digest, actions),
            Command::Cancel => Some(self.cancel(session)),
            Command::ResetStatusChanged { mask } => {
                self.status_changed &= !mask;
                Some(Outcome::StatusChangedReset {
                    flags: self.status_changed,
                })
            }
        };
        if let Some(outcome) = outcome {
            actions.push(answer(session, request.id, outcome));
        }
    }

    fn stage(&mut self, now: Now, session: SessionId, program: &Program) -> Outcome {
        if matches!(self.programming, Programming::Committing(_)) {
            return Outcome::Refused(Refused::Busy);
        }
        // A refused program leaves nothing staged: what would be committed is always what was staged last.
        self.programming = Programming::Idle;
        let prescription = match to_prescription(program, &self.setup.bounds) {
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
                at_most_steps: self.totals.now().at_most_steps,
            }),
            None => self.committed.fill,
        };
        let record = ProgramRecord {
            number: proposal.number,
            // With the fill as it was committed: a phone whose answer was lost compares the digest of exactly this.
            program: Some(to_wire(&proposal.prescription, proposal.fill)),
            fill,
        };
        let ticket = self.persist(Record::Program(record.clone()), actions);
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
        let commit = match &self.programming {
            Programming::Committing(commit) if commit.ticket == ticket => commit.clone(),
            // The answer to a record that only restored what was already in force.
            Programming::Committing(_) | Programming::Staged(_) | Programming::Idle => return,
        };
        self.programming = Programming::Idle;
        let changed = self.prescription.as_ref() != Some(&commit.proposal.prescription)
            || self.faults & fault::PROGRAM_LOST != 0;
        let stopping = commit.proposal.prescription.flow() == Flow::ZERO;
        if changed && !stopping {
            self.switch_delivery(Some(&commit.proposal.prescription), now, actions);
        }
        self.prescription = Some(commit.proposal.prescription);
        self.faults &= !fault::PROGRAM_LOST;
        if commit.proposal.fill.is_some() {
            self.faults &= !fault::EMPTY;
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
        actions.push(Action::Append(Record::ProgramCommitted(
            commit.record.clone(),
        )));
        self.committed = commit.record;
    }

    fn on_persist_failed(&mut self, ticket: Ticket, actions: &mut Actions) {
        self.raise(fault::STORAGE);
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
                self.raise(fault::STORAGE);
                self.abandon(&commit, actions);
            }
            Programming::Committing(commit) => actions.call_by(commit.deadline),
            Programming::Staged(_) | Programming::Idle => {}
        }
    }

    /// A commit that was not done. One bank may already hold it, so what is in force is written again: a record that
    /// lands late is void.
    fn abandon(&mut self, commit: &Commit, actions: &mut Actions) {
        self.programming = Programming::Idle;
        self.persist(Record::Program(self.committed.clone()), actions);
        actions.push(answer(
            commit.session,
            commit.request,
            if commit.proposal.prescription.flow() == Flow::ZERO {
                Outcome::StoppedNotRecorded
            } else {
                Outcome::Refused(Refused::NotDone)
            },
        ));
        actions.push(Action::Append(Record::CommitNotDone {
            number: commit.record.number,
        }));
    }

    fn on_link_closed(&mut self, session: SessionId) {
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
        actions.push(Action::Append(Record::OrderRefused { order, refusal }));
        let steps = self
            .recent
            .iter()
            .find_map(|(id, steps)| (*id == order).then_some(*steps));
        if let Some(steps) = steps {
            self.miss(u64::from(steps), actions);
        }
    }

    /// Replaces the running job. The driver's counters tell how many of the cancelled steps were made.
    fn switch_delivery(&mut self, to: Option<&Prescription>, now: Now, actions: &mut Actions) {
        actions.push(Action::CancelOrders);
        self.record_deficit(actions);
        self.deficit_seen = 0;
        self.recent.clear();
        self.status_changed |= changed::DELIVERY;
        match to {
            Some(prescription) if !self.faulted => {
                self.flow = prescription.flow();
                self.delivery =
                    Delivery::start(prescription, &self.setup.bounds, now.pump, self.next_order);
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
        actions.push(Action::Append(Record::Deficit { steps }));
    }

    fn keep_totals(&mut self, now: Now, actions: &mut Actions) {
        if now.pump >= self.checkpoint_at {
            self.checkpoint_at = now.pump.saturating_add(CHECKPOINT_INTERVAL);
            actions.push(Action::Checkpoint(Record::Totals(self.totals.now())));
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

    /// Deliverable volume left, by `at_most`; none while no fill is known.
    fn reservoir_level(&self) -> Option<Volume> {
        let fill = self.committed.fill?;
        Some(Volume::from_femtolitres(fill.volume_fl).saturating_sub(self.drawn(fill)))
    }

    fn drawn(&self, fill: FillRecord) -> Volume {
        let steps = self
            .totals
            .now()
            .at_most_steps
            .saturating_sub(fill.at_most_steps);
        self.setup
            .bounds
            .step_volume
            .volume_of(steps)
            .unwrap_or(Volume::from_femtolitres(u64::MAX))
    }

    /// Everything a programmer shows.
    fn status(&self, now: Now) -> Status {
        let totals = self.totals.now();
        let bounds = &self.setup.bounds;
        Status {
            boot: self.boot,
            pump_time_ms: now.pump.micros().checked_div(1000).unwrap_or(0),
            clock: now.wall,
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
