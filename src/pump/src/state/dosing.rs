//! What is delivered now: the one place where program, faults, jobs, bridge, time of day and reservoir meet.
//!
//! Order of one step of therapy, always the same (docs/therapy.md, "The order of a step"):
//!
//! 1. account: what the motor has made since the last step moves the path and ends jobs;
//! 2. watch: the motor's supervision, reservoir, refill, service life, trial and MRI mode say what is wrong;
//! 3. respond: one response follows from all faults that are present ([`therapy::respond`]);
//! 4. jobs that the response forbids are cancelled for ever;
//! 5. jobs that fall due are made durable, and start when they are;
//! 6. the basal rate follows from response, bridge and time of day;
//! 7. alarms sound.
//!
//! | what a job may be | from | to |
//! |---|---|---|
//! | asked for or due | refused, or being made durable | durable: running; not: as if never asked for |
//! | running | its last step is made | completed |
//! | running, extended | a normal bolus starts | suspended |
//! | suspended | the normal bolus has ended | running |
//! | running or suspended | prime, bridge, refill, commit of another therapy, fault, stop | cancelled for ever |
//! | running or suspended | reset | interrupted for ever, between x and y delivered |

use protocol::status::{changed, fault};
use therapy::{
    AlarmSet, Bounds, CancelReason, Delivery, Endings, Fault, Findings, How, JobEvent, JobKind,
    LocalTime, MriOutcome, Observation, Prescription, Reservoir, ReservoirState, Response,
    ServiceLimits, ServicePhase, StepOrder, Supervision, Tolerance, TrialPhase, flow_when_lost,
    interlock_allowance, respond, worst_in,
};
use units::{AlarmKind, Duration, FaultPolicy, Flow, Now, PoweredTime, PumpKind, PumpTime, Volume};

use super::{Pump, append};
use crate::actions::{Action, Actions};
use crate::event::MotorStatus;
use crate::kept::StateKind;
use crate::record::{JobEnd, Record};

/// Steps of a retry come so far apart: slow enough for any rotor that can turn at all \[P\].
const RETRY_PERIOD: Duration = Duration::from_millis(100);

/// What the interlock remembers of an hour: its buckets leave only when all of them is outside (docs/motor.md). Whoever has both compares it with
/// what the C says.
pub const INTERLOCK_HOUR: Duration = Duration::from_seconds(3_750);
/// And of a day.
pub const INTERLOCK_DAY: Duration = Duration::from_hours(25);

/// Faults that are there until a clinician has dealt with them, also after a reset.
pub(super) const LATCHING: [Fault; 6] = [
    Fault::TrialExpired,
    Fault::OverDelivery,
    Fault::ReverseDelivery,
    Fault::EmergencyMinimumRate,
    Fault::ResumedAtMinimum,
    Fault::RefillNotConfirmed,
];

/// How the pump's own fault flags stand for faults of therapy.
const FLAGS: [(u16, Fault); 4] = [
    (fault::INTERLOCK, Fault::InterlockTripped),
    (fault::PROGRAM_LOST, Fault::ProgramLost),
    (fault::STORAGE, Fault::StorageFailing),
    (fault::RESTARTED_BY_FAULT, Fault::Restarted),
];

/// Faults of therapy that the status shows as flags, too. The log knows them as alarms.
const SHOWN: [(u16, Fault); 5] = [
    (fault::STALL, Fault::MotorStall),
    (fault::OVER_DELIVERY, Fault::OverDelivery),
    (fault::UNDER_DELIVERY, Fault::UnderDelivery),
    (fault::REVERSE, Fault::ReverseDelivery),
    (fault::END_OF_SERVICE, Fault::EndOfService),
];

/// The flags of [`SHOWN`].
pub(super) const TOLD_AS_ALARMS: u16 = fault::STALL
    | fault::OVER_DELIVERY
    | fault::UNDER_DELIVERY
    | fault::REVERSE
    | fault::END_OF_SERVICE;

impl Pump {
    /// One step of therapy; the order is that of the module's list.
    #[inline(never)]
    pub(super) fn run_therapy(&mut self, now: Now, actions: &mut Actions) {
        self.account(now, actions);
        self.watch_conditions(now, actions);
        self.respond(now, actions);
        self.start_due_jobs(now, actions);
        self.follow_basal(now, actions);
        self.retry_stalled(now, actions);
        self.arm(actions);
        if self.wants_to_deliver() {
            // Every event comes behind a tick.
            actions.call_by(now.pump.saturating_add(therapy::OBSERVE_EVERY));
        }
        self.sound(now, actions);
    }

    /// Powered time over the pump's life.
    pub(super) fn powered(&self, now: PumpTime) -> PoweredTime {
        let before =
            PoweredTime::from_micros(self.totals.powered_before_s().saturating_mul(1_000_000));
        before.saturating_add(now.saturating_since(PumpTime::ZERO))
    }

    /// The pump time of a powered time; now for one that has passed.
    pub(super) fn pump_time_of(&self, at: PoweredTime, now: PumpTime) -> PumpTime {
        now.saturating_add(at.saturating_since(self.powered(now)))
    }

    /// Local time; none while the time of day is lost.
    pub(super) fn local(&self, now: PumpTime) -> Option<LocalTime> {
        let wall = self.clock.read(now).wall()?;
        Some(LocalTime::new(wall, self.care.zone))
    }

    /// What the motor has made since the last step, as far as it may have been delivered.
    fn account(&mut self, now: Now, actions: &mut Actions) {
        let at_most = self.totals.now(now.pump).at_most_steps;
        let Some(record) = &mut self.path else {
            self.end_jobs(now, actions);
            return;
        };
        let made = at_most.saturating_sub(record.at_most_steps);
        if made > 0 {
            let bridging = record.path.is_bridging();
            let slugs = record.path.slugs().count();
            let volume = self
                .bounds
                .step_volume
                .volume_of(made)
                .unwrap_or(Volume::MAX);
            record.path.advance(volume);
            record.at_most_steps = at_most;
            if bridging && !record.path.is_bridging() {
                append(None, Record::BridgeEnded {}, actions);
                self.bridge_lost_over();
                self.dirty.insert(StateKind::Path);
            } else if self
                .path
                .as_ref()
                .is_some_and(|record| record.path.slugs().count() != slugs)
            {
                self.dirty.insert(StateKind::Path);
            }
        }
        self.end_jobs(now, actions);
    }

    /// The jobs whose last step is due have ended.
    fn end_jobs(&mut self, now: Now, actions: &mut Actions) {
        let Some(job) = self.jobs.running() else {
            return;
        };
        let (order, done) = (*job.order(), job.delivered_steps());
        let Some(steps) = self.delivery.finite_steps(now.pump) else {
            return;
        };
        let since = u32::try_from(steps).unwrap_or(u32::MAX);
        let made = self.job_before.saturating_add(since).saturating_sub(done);
        let complete = self
            .delivery
            .finite_ends()
            .is_some_and(|end| now.pump >= end);
        let missed = order.steps().saturating_sub(done).saturating_sub(made);
        // Steps that were left out are a deficit, not a bolus that never ends.
        let stepped = if complete {
            made.saturating_add(missed)
        } else {
            made
        };
        self.job_missed = if complete { missed } else { 0 };
        if let Ok(endings) = self.jobs.on(JobEvent::Stepped(stepped), now.pump) {
            self.tell_endings(&endings, actions);
            if !endings.is_empty() {
                self.delivery.end_finite();
                self.after_job(now, actions);
            } else if let Some(end) = self.delivery.finite_ends() {
                actions.call_by(end);
            }
        }
    }

    /// The job that waited goes on; a program of one bolus is done.
    pub(super) fn after_job(&mut self, now: Now, actions: &mut Actions) {
        if let Some(job) = self.jobs.running().copied() {
            self.drop_orders(now, actions);
            self.job_before = job.delivered_steps();
            // As if it had begun where what it has made until now ends.
            self.job_at_most = self
                .totals
                .now(now.pump)
                .at_most_steps
                .saturating_sub(u64::from(self.job_before));
            self.delivery.begin_finite(
                job.steps_left(),
                job.order().flow(self.bounds.step_volume),
                now.pump,
                &self.bounds,
            );
        }
        self.remember_jobs();
        self.status_changed |= changed::DELIVERY;
    }

    /// The jobs that a reset would interrupt.
    pub(super) fn remember_jobs(&mut self) {
        self.boluses.job = self
            .jobs
            .running()
            .map(|job| (*job.order(), self.job_at_most));
        self.boluses.suspended = self.jobs.suspended().map(|job| *job.order());
        self.dirty.insert(StateKind::Boluses);
    }

    /// Cancels every job, for ever; what was delivered counts.
    pub(super) fn cancel_jobs(&mut self, reason: CancelReason, now: Now, actions: &mut Actions) {
        if self.jobs.running().is_none() {
            return;
        }
        self.settle_job(now);
        let Ok(endings) = self.jobs.on(JobEvent::CancelAll(reason), now.pump) else {
            return;
        };
        self.job_missed = 0;
        self.tell_endings(&endings, actions);
        self.drop_orders(now, actions);
        self.delivery.end_finite();
        self.after_job(now, actions);
    }

    /// What the running job has made by now is in its account.
    pub(super) fn settle_job(&mut self, now: Now) {
        let Some(job) = self.jobs.running() else {
            return;
        };
        let since = self.delivery.finite_steps(now.pump).unwrap_or(0);
        let made = self
            .job_before
            .saturating_add(u32::try_from(since).unwrap_or(u32::MAX))
            .saturating_sub(job.delivered_steps());
        // What is left then is its very last step at the most, which has ended it: it is told as completed.
        let made = made.min(job.steps_left().saturating_sub(1));
        let _ = self.jobs.on(JobEvent::Stepped(made), now.pump);
    }

    pub(super) fn tell_endings(&mut self, endings: &Endings, actions: &mut Actions) {
        for ended in endings {
            let delivered = ended.delivered_steps.saturating_sub(self.job_missed);
            let (end, at_most_steps) = match ended.how {
                How::Completed => (JobEnd::Completed, delivered),
                How::Cancelled(_) => (JobEnd::Cancelled, delivered),
                How::Interrupted { at_most_steps } => (JobEnd::Interrupted, at_most_steps),
            };
            append(
                None,
                Record::JobEnded {
                    job: ended.kind,
                    id: ended.id,
                    end,
                    counted_steps: delivered,
                    at_most_steps,
                },
                actions,
            );
            if ended.kind == JobKind::Prime {
                match end {
                    JobEnd::Completed => self.boluses.interrupted_prime = None,
                    _ => self.prime_interrupted(delivered),
                }
            }
        }
    }

    /// What is left of a prime that ended early, to be completed by a new command only.
    fn prime_interrupted(&mut self, delivered_steps: u32) {
        let step = self.bounds.step_volume;
        let volume = step
            .volume_of(u64::from(delivered_steps))
            .unwrap_or(Volume::MAX);
        self.boluses.interrupted_prime = self.prime.map(|prime| prime.interrupted(volume));
    }

    /// Tells the driver to drop its orders; delivery goes on exactly behind what it had made of them.
    pub(super) fn drop_orders(&mut self, now: Now, actions: &mut Actions) {
        if !self.delivery.waits_for_driver() {
            actions.push(Action::CancelOrders);
            self.totals.cancel();
            self.recent.clear();
            self.delivery.cancelled(now.pump);
        }
    }

    /// Nothing is delivered from now on, not even a step that was due this moment and had not been handed over.
    pub(super) fn stand_still(&mut self, now: Now, actions: &mut Actions) {
        let missed = self.delivery.deficit().saturating_sub(self.deficit_seen);
        if missed > 0 {
            self.miss(missed, actions);
        }
        if !self.delivery.waits_for_driver() {
            actions.push(Action::CancelOrders);
            self.totals.cancel();
            self.recent.clear();
        }
        self.delivery = Delivery::run(
            Flow::ZERO,
            self.bounds.step_volume,
            now.pump,
            self.next_order,
        );
        self.delivery.follows_cancelled(now.pump);
        (self.deficit_seen, self.retried_from) = (0, 0);
    }

    /// What is wrong, seen from everything but the motor.
    fn watch_conditions(&mut self, now: Now, actions: &mut Actions) {
        let powered = self.powered(now.pump);
        for (flag, fault) in FLAGS {
            self.faults_now.set(fault, self.faults & flag != 0);
        }
        let commissioning = self.faults & fault::COMMISSIONING != 0;
        let absent = self.commissioning.is_none();
        self.faults_now.set(Fault::CommissioningAbsent, absent);
        self.faults_now
            .set(Fault::CommissioningLost, commissioning && !absent);
        // Only a schedule needs the time of day.
        let scheduled = self
            .prescription
            .as_ref()
            .is_some_and(|program| program.week().is_some());
        let clock_lost = self.clock.read(now.pump) == units::Clock::Lost;
        self.faults_now
            .set(Fault::ClockLost, scheduled && clock_lost);
        self.faults_now.set(Fault::MotorDriver, self.driver_failed);
        self.faults_now.set(Fault::SelfTest, self.self_test_failed);
        self.faults_now.set(Fault::BridgeLost, self.bridge_lost);
        self.watch_reservoir(actions);
        if let Some(late) = self.refills.refill.became_overdue(powered) {
            self.refills.refill = late;
            self.dirty.insert(StateKind::Refills);
            self.latch(Fault::RefillNotConfirmed, true);
            // What is in the reservoir nobody knows.
            self.forget_fill();
        }
        self.faults_now
            .set(Fault::RefillOpen, self.refills.refill.is_open());
        let limits = &ServiceLimits::IMPLANT;
        if self.kind != PumpKind::ExternalTrial
            && let Some(phase) = self.care.service.poll(powered, limits)
        {
            self.service_phase(phase, now, actions);
        }
        let over = self.care.service.phase() == ServicePhase::Eos;
        self.faults_now.set(
            Fault::EndOfService,
            over && self.kind != PumpKind::ExternalTrial,
        );
        if let Some(trial) = &mut self.care.trial
            && trial.poll(powered).is_some()
        {
            self.dirty.insert(StateKind::Care);
        }
        let phase = self.care.trial.map(|trial| trial.phase());
        if phase == Some(TrialPhase::Expired) {
            // Extended, it does not come back by itself.
            self.latch(Fault::TrialExpired, true);
        }
        for fault in LATCHING {
            self.faults_now
                .set(fault, self.care.latched.contains(fault));
        }
        self.judge_alarms(phase, now, actions);
        for (flag, fault) in SHOWN {
            if self.faults_now.contains(fault) {
                self.raise(flag);
            } else {
                self.clear(flag);
            }
        }
    }

    fn watch_reservoir(&mut self, actions: &mut Actions) {
        let state = self.reservoir().state(self.low_mark());
        let level = self.reservoir().level();
        let (low, empty, overdrawn) = match state {
            ReservoirState::Unknown | ReservoirState::Normal => (false, false, false),
            ReservoirState::Low => (true, false, false),
            ReservoirState::Empty => (true, true, false),
            ReservoirState::Overdrawn => (true, true, true),
        };
        if low && !self.was_low || empty && !self.was_empty {
            append(
                None,
                Record::ReservoirLow {
                    left_nl: level.map_or(0, crate::program::nanolitres),
                },
                actions,
            );
        }
        (self.was_low, self.was_empty) = (low, empty);
        if empty {
            self.raise(fault::EMPTY);
        } else {
            self.clear(fault::EMPTY);
        }
        let external = self.kind == PumpKind::ExternalTrial;
        self.faults_now.set(Fault::Empty, empty);
        self.faults_now.set(Fault::Overdrawn, overdrawn);
        let nearly = external && level.is_some_and(|level| level < therapy::KEEP_VEIN_OPEN_BELOW);
        self.faults_now.set(Fault::NearlyEmpty, nearly);
    }

    pub(super) fn service_phase(&mut self, phase: ServicePhase, now: Now, actions: &mut Actions) {
        self.dirty.insert(StateKind::Care);
        let left = self
            .care
            .service
            .time_left(self.powered(now.pump), &ServiceLimits::IMPLANT);
        append(
            None,
            Record::ServiceLife {
                over: phase == ServicePhase::Eos,
                stops_at: self
                    .clock
                    .read(now.pump)
                    .wall()
                    .map(|wall| wall.saturating_add(left)),
            },
            actions,
        );
    }

    /// Alarms follow from faults and conditions, each judged anew at every step.
    fn judge_alarms(&mut self, trial: Option<TrialPhase>, now: Now, actions: &mut Actions) {
        let powered = self.powered(now.pump);
        let mut present = self.faults_now.alarms();
        let mut say = |kind: AlarmKind, holds: bool| {
            if holds {
                present = present.with(AlarmSet::of(kind));
            }
        };
        let external = self.kind == PumpKind::ExternalTrial;
        let phase = self.care.service.phase();
        say(
            AlarmKind::ReplacementDue,
            !external && phase == ServicePhase::Eri,
        );
        say(
            AlarmKind::ReplaceNow,
            !external && matches!(phase, ServicePhase::Replace | ServicePhase::Eos),
        );
        say(
            AlarmKind::TrialEnding,
            matches!(
                trial,
                Some(TrialPhase::EndsWithinDay | TrialPhase::EndsWithinHours)
            ),
        );
        say(AlarmKind::LowReservoir, self.was_low && !self.was_empty);
        say(AlarmKind::ClockSuspect, self.clock.is_suspect(now.pump));
        say(AlarmKind::ClockLost, self.faults & fault::CLOCK != 0);
        say(AlarmKind::MotorDriver, self.faults & fault::MOTOR != 0);
        say(
            AlarmKind::MemoryLost,
            self.state_lost || self.totals_are_lost(),
        );
        say(AlarmKind::DrugExpired, self.drug_has_expired(powered));
        present = present.with(self.motor_alarms);
        let judged = Self::judged();
        let raised = self.care.alarms.update(judged, present, powered);
        let before = self.alarms_told;
        self.alarms_told = self.care.alarms.sounding();
        if before != self.alarms_told {
            self.dirty.insert(StateKind::Care);
            self.status_changed |= changed::FAULTS;
        }
        for kind in raised.iter() {
            self.counters.alarms = self.counters.alarms.saturating_add(1);
            append(None, Record::AlarmOn { alarm: kind }, actions);
        }
        for kind in before.without(self.alarms_told).iter() {
            append(None, Record::AlarmOff { alarm: kind }, actions);
        }
    }

    /// Every alarm but those that are events and not conditions.
    const fn judged() -> AlarmSet {
        AlarmSet::ALL.without(AlarmSet::of(AlarmKind::BolusesDenied))
    }

    fn totals_are_lost(&self) -> bool {
        self.totals_source == crate::totals::TotalsSource::Lost
    }

    fn drug_has_expired(&self, powered: PoweredTime) -> bool {
        match (self.committed.fill, &self.prescription) {
            (Some(fill), Some(prescription)) => {
                let stable = prescription.mixture().stability(therapy::Fill::Later);
                powered.saturating_since(fill.at) >= stable
            }
            _ => false,
        }
    }

    /// What the motor's driver says. Called with every tick.
    pub(super) fn supervise(&mut self, now: Now, motor: MotorStatus, actions: &mut Actions) {
        let powered = self.powered(now.pump);
        let seen = Observation {
            now: powered,
            commanded: motor.commanded_steps,
            counted: motor.counted_steps,
            running: self.wants_to_deliver(),
        };
        let tolerance = self.tolerance();
        let Findings { alarms, recovered } = self.supervision.observe(&seen, &tolerance);
        let stalled = self.supervision.is_stalled();
        if stalled && !self.was_stalled {
            append(
                None,
                Record::Stall {
                    steps: u32::try_from(therapy::STALL_STEPS).unwrap_or(u32::MAX),
                },
                actions,
            );
            self.drop_orders(now, actions);
            self.dirty.insert(StateKind::Care);
        }
        if let Some(recovered) = recovered {
            append(
                None,
                Record::StallRecovered {
                    missed_steps: recovered.missed,
                },
                actions,
            );
            self.dirty.insert(StateKind::Care);
        }
        self.was_stalled = stalled;
        for (fault, kind) in [
            (Fault::OverDelivery, AlarmKind::OverDelivery),
            (Fault::ReverseDelivery, AlarmKind::ReverseDelivery),
            (Fault::ResumedAtMinimum, AlarmKind::ResumedAtMinimum),
        ] {
            if alarms.contains(kind) {
                self.latch(fault, true);
            }
        }
        self.faults_now.set(Fault::MotorStall, stalled);
        self.faults_now.set(
            Fault::UnderDelivery,
            alarms.contains(AlarmKind::UnderDelivery),
        );
        // The tube-set and delivery-lost alarms have no row of their own in the fault table.
        let conditions =
            AlarmSet::of(AlarmKind::StoppedTooLong).with(AlarmSet::of(AlarmKind::DeliveryLost));
        self.motor_alarms = alarms.and(conditions);
        if let Some(outcome) =
            self.care
                .mri
                .observe(powered, motor.commanded_steps, motor.counted_steps)
        {
            self.dirty.insert(StateKind::Care);
            append(None, Record::MriMode { on: false }, actions);
            if outcome == MriOutcome::NoPulse {
                self.supervision.no_pulse_after_mri(powered);
            }
        }
        if self.supervision.record() != self.care.supervision {
            let matters = self.supervision.record().stall() != self.care.supervision.stall()
                || self.supervision.record().is_stopped() != self.care.supervision.is_stopped();
            self.care.supervision = self.supervision.record();
            if matters {
                self.dirty.insert(StateKind::Care);
            }
        }
    }

    fn wants_to_deliver(&self) -> bool {
        !self.basal.is_zero() || self.jobs.running().is_some()
    }

    fn tolerance(&self) -> Tolerance {
        let mut drugs = self
            .prescription
            .iter()
            .flat_map(|prescription| prescription.mixture().ingredients())
            .map(|ingredient| Tolerance::of(ingredient.drug));
        let first = drugs.next();
        let rest = drugs.reduce(Tolerance::mixed_with);
        match (first, rest) {
            (Some(first), Some(rest)) => first.mixed_with(rest),
            (Some(first), None) => first,
            (None, _) => Tolerance::of(units::Drug::Morphine),
        }
    }

    /// A fault that lasts until a clinician has dealt with it.
    pub(super) fn latch(&mut self, fault: Fault, present: bool) {
        if self.care.latched.contains(fault) != present {
            self.care.latched.set(fault, present);
            self.dirty.insert(StateKind::Care);
        }
        self.faults_now.set(fault, present);
    }

    /// One response follows from all faults that are present.
    fn respond(&mut self, now: Now, actions: &mut Actions) {
        let policy = self.policy();
        let response = respond(self.faults_now, policy, self.kind);
        if response != self.response {
            self.response = response;
            self.status_changed |= changed::DELIVERY;
        }
        if !response.allows_boluses() {
            self.cancel_jobs(CancelReason::Fault, now, actions);
        }
    }

    /// What a fault does that leaves the drug deliverable.
    pub(super) fn policy(&self) -> FaultPolicy {
        self.prescription
            .as_ref()
            .map_or(FaultPolicy::Stop, Prescription::policy)
    }

    /// The basal flow that is to be in force, and the next one and when, as far as the time of day sets it.
    fn wanted(&self, now: PumpTime) -> (Flow, Option<(PumpTime, Flow)>) {
        let minimum = self.bounds.minimum_rate.flow();
        let plain = |flow| (flow, None);
        if self.response.is_stop() || self.faulted {
            return plain(Flow::ZERO);
        }
        if self.response == Response::MinimumRate {
            // No response starts what is stopped.
            let program = self.prescription.as_ref().map(Prescription::flow);
            return plain(minimum.min(program.unwrap_or(minimum)));
        }
        if self
            .jobs
            .running()
            .is_some_and(|job| job.order().kind() == JobKind::Prime)
        {
            return plain(Flow::ZERO);
        }
        let Some(prescription) = &self.prescription else {
            return plain(Flow::ZERO);
        };
        if prescription.is_stopped() {
            // Also what a bridge would give.
            return plain(Flow::ZERO);
        }
        let bridge = self
            .path
            .as_ref()
            .and_then(|record| record.path.bridge_flow());
        let lost_bridge = self.committed.bridge.and_then(|(dose, concentration)| {
            let concentration = units::Concentration::from_nanograms_per_millilitre(concentration)?;
            let amount = units::Mass::from_nanograms(dose.nanograms);
            Some(units::DoseRate::new(amount, dose.per).flow(concentration))
        });
        let (program, then) = self.program_flow(prescription, now);
        match self.response {
            Response::HoldLast => plain(bridge.unwrap_or(prescription.mean_flow())),
            Response::LowerOfBridgeAndMean => plain(flow_when_lost(
                lost_bridge.unwrap_or(prescription.mean_flow()),
                prescription.mean_flow(),
            )),
            Response::LowerOfBridgeAndNew => {
                plain(flow_when_lost(lost_bridge.unwrap_or(program), program))
            }
            Response::KeepVeinOpen => plain(Bounds::keep_open(bridge.unwrap_or(program))),
            _ => match bridge {
                Some(bridge) => plain(bridge),
                None => (program, then),
            },
        }
    }

    /// The program's own basal flow now, and the next one.
    pub(super) fn program_flow(
        &self,
        prescription: &Prescription,
        now: PumpTime,
    ) -> (Flow, Option<(PumpTime, Flow)>) {
        let Some(week) = prescription.week() else {
            return (prescription.flow(), None);
        };
        let Some(local) = self.local(now) else {
            // The response to a lost clock holds the mean or stops; this is what is left where it does not.
            return (week.lowest(), None);
        };
        let minute = local.minute_of_week();
        let then = week.next_boundary(minute).map(|ahead| {
            let at = now.saturating_add(local.until_minutes_ahead(ahead));
            (at, week.segment_at(minute.plus(ahead)).flow)
        });
        (week.segment_at(minute).flow, then)
    }

    /// The basal rate follows.
    fn follow_basal(&mut self, now: Now, actions: &mut Actions) {
        let (flow, then) = self.wanted(now.pump);
        if flow != self.basal {
            let announced = self
                .announced
                .is_some_and(|(at, next)| at <= now.pump && next == flow);
            self.basal = flow;
            if flow.is_zero() && self.jobs.running().is_none() {
                self.announced = None;
                self.stand_still(now, actions);
            } else if announced {
                self.announced = None;
            } else {
                self.announced = None;
                self.drop_orders(now, actions);
                self.delivery.follow_with(flow, now.pump);
            }
            self.status_changed |= changed::DELIVERY;
            // So that the checkpoint knows how much there can be to come.
            self.checkpoint_at = self.checkpoint_at.min(now.pump);
        }
        if self.delivery.waits_for_driver() {
            return;
        }
        match (self.announced, then) {
            (None, Some((at, next))) => {
                if self.delivery.follows().is_none() {
                    self.delivery.follow_with(next, at);
                    self.announced = Some((at, next));
                }
            }
            (Some(told), Some(next)) if !close(told, next) => {
                // Somebody has set the clock.
                self.announced = None;
                self.drop_orders(now, actions);
                self.delivery.follow_with(self.basal, now.pump);
            }
            (Some(_), None) => {
                self.announced = None;
                self.drop_orders(now, actions);
                self.delivery.follow_with(self.basal, now.pump);
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        if let Some((at, _)) = self.announced {
            actions.call_by(at);
        }
    }

    /// While the rotor stands still only retries are ordered.
    fn retry_stalled(&mut self, now: Now, actions: &mut Actions) {
        if !self.supervision.is_stalled() {
            return;
        }
        self.delivery.leave_out_before(now.pump);
        let missed = self.delivery.deficit().saturating_sub(self.retried_from);
        let powered = self.powered(now.pump);
        if let Some(retry) = self.supervision.retry(missed, powered) {
            self.retried_from = self.delivery.deficit();
            let order = StepOrder {
                id: self.next_order,
                first_at: now.pump.saturating_add(RETRY_PERIOD),
                period_ns: RETRY_PERIOD.micros().saturating_mul(1_000),
                steps: retry.steps,
            };
            self.next_order = self.next_order.checked_add(1).unwrap_or(1);
            self.totals.order(retry.steps);
            self.delivery.made_outside(&order);
            actions.push(Action::Order {
                order,
                level: retry.level,
            });
        }
        if let Some(at) = self.supervision.next_retry() {
            actions.call_by(self.pump_time_of(at, now.pump));
        }
    }

    /// The interlock's allowance follows the program.
    fn arm(&mut self, actions: &mut Actions) {
        let bridge = self.bridge_flow();
        if self.armed_for == Some((self.programs, bridge)) {
            // The worst window of a week is not looked for with every step.
            return;
        }
        self.armed_for = Some((self.programs, bridge));
        let wanted = (
            self.allowance(INTERLOCK_HOUR, bridge),
            self.allowance(INTERLOCK_DAY, bridge),
        );
        if self.armed != Some(wanted) {
            self.armed = Some(wanted);
            actions.push(Action::Arm {
                hour_steps: wanted.0,
                day_steps: wanted.1,
            });
        }
    }

    /// Boluses of a new program can come on top of what the old one has given in the hour that is not over.
    pub(super) fn grant_overlap(&self, hour_before: u32, actions: &mut Actions) {
        let boluses = self
            .prescription
            .as_ref()
            .is_some_and(|program| program.periodic().is_some() || program.allotment().is_some());
        let steps = hour_before.min(self.allowance(INTERLOCK_HOUR, self.bridge_flow()));
        if boluses && steps > 0 {
            actions.push(Action::Grant {
                steps,
                within: Duration::from_minutes(1),
            });
        }
    }

    fn bridge_flow(&self) -> Flow {
        let flow = self
            .path
            .as_ref()
            .and_then(|record| record.path.bridge_flow());
        flow.unwrap_or(Flow::ZERO)
    }

    /// Steps that program, bridge or minimum rate can need in any such window at most.
    fn allowance(&self, window: Duration, bridge: Flow) -> u32 {
        let program = self.prescription.as_ref().and_then(|program| {
            let allotment = program.allotment();
            // A single bolus is granted when it starts.
            worst_in(&program.basal_plan(), allotment.as_ref(), window)
        });
        let flowing = |flow: Flow| flow.volume_in(window).unwrap_or(Volume::MAX);
        let volume = program
            .unwrap_or(Volume::ZERO)
            .max(flowing(bridge))
            .max(flowing(self.bounds.minimum_rate.flow()));
        interlock_allowance(volume, self.bounds.step_volume).unwrap_or(u32::MAX)
    }

    /// The tone that is due.
    fn sound(&mut self, now: Now, actions: &mut Actions) {
        let powered = self.powered(now.pump);
        if let Some(tone) = self.care.alarms.tick(powered) {
            actions.push(Action::Tone(tone.sound));
            let this = AlarmSet::of(tone.kind);
            if !self.heard.contains(tone.kind) {
                self.heard = self.heard.with(this);
                append(None, Record::AlarmSounded { alarm: tone.kind }, actions);
            }
        }
        if let Some(at) = self.care.alarms.next_call() {
            actions.call_by(self.pump_time_of(at, now.pump));
        }
        self.heard = self.heard.and(self.care.alarms.sounding());
        let mri = self.care.mri.until();
        if let Some(until) = mri {
            actions.call_by(self.pump_time_of(until, now.pump));
        }
    }

    /// What was filled in and what was drawn since.
    pub(super) fn reservoir(&self) -> Reservoir {
        let mut reservoir = Reservoir::unknown();
        if let Some(fill) = self.committed.fill {
            // What was accepted at the commit is what is there, whatever the capacity is said to be now.
            let volume = Volume::from_femtolitres(fill.volume_fl);
            if reservoir.fill(volume, volume).is_ok() {
                reservoir.draw(self.drawn(fill));
            }
        }
        reservoir
    }

    /// The volume at which the reservoir counts as low.
    pub(super) fn low_mark(&self) -> Volume {
        self.committed
            .program
            .as_ref()
            .and_then(|program| program.low_mark_nl)
            .map_or(therapy::LOW_MARK, Volume::from_nanolitres)
    }

    /// Nobody knows what is in the reservoir.
    pub(super) fn forget_fill(&mut self) {
        if self.committed.fill.take().is_some() {
            self.dirty.insert(StateKind::Program);
            self.status_changed |= changed::RESERVOIR;
        }
    }

    fn bridge_lost_over(&mut self) {
        if self.committed.bridge.take().is_some() {
            self.dirty.insert(StateKind::Program);
        }
    }
}

/// Whether two announcements of the next rate are the same, but for what the clock drifts between two looks.
fn close(told: (PumpTime, Flow), next: (PumpTime, Flow)) -> bool {
    let apart = told
        .0
        .saturating_since(next.0)
        .max(next.0.saturating_since(told.0));
    told.1 == next.1 && apart < Duration::from_seconds(1)
}

/// What is kept of supervision starts with the driver's counters at zero.
pub(super) fn supervision_after_boot(
    record: therapy::SupervisionRecord,
    powered: PoweredTime,
) -> Supervision {
    Supervision::start(record, powered, 0, 0)
}
