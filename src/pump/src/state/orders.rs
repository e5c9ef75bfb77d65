//! What a clinician, a patient or the technical service orders beside a program.
//!
//! What adds drug, and what has to be there after a reset, is one pending order at a time:
//!
//! | pending order | event | what happens |
//! |---|---|---|
//! | none | order accepted | the state is changed, handed to the journal, and the session waits |
//! | one | another order, or a commit | refused: busy |
//! | one | persisted | a bolus starts; the session is answered |
//! | a bolus | cancelled | it is spent when it is persisted, and not given |
//! | one | failed, or 5 s | what was changed is undone, flash is told so, the session is answered "not done" |
//! | one | link closed | nothing: it ends as it would have, and the answer is lost |

use core::ops::RangeInclusive;

use super::keys::KeyChange;
use super::{PERSIST_LIMIT, Pump, append, content_of};
use crate::actions::{Action, Actions};
use crate::commissioning::CommissioningRecord;
use crate::event::Ticket;
use crate::kept::{BolusRecord, CareRecord, PathRecord, RefillRecord, StateKind};
use crate::program::{bolus_seconds, nanolitres, over_limit};
use crate::record::Record;
use protocol::order::{
    AlarmIntervals as WireIntervals, Catheter as WireCatheter, ClinicianBolus as BolusOrder,
    Commissioning, DiaryEntry, HospitalLibrary as LibraryPart, Prime as PrimeOrder, SetZone,
};
use protocol::status::{changed, fault};
use protocol::therapy::BolusDenial;
use protocol::{
    Caller, Command, Field, LibraryFault, LimitKind, NotAllowed, NotNow, Outcome, RefillStep,
    Refused, Request, Role, SessionId,
};
use therapy::{
    Alarm, AlarmIntervals, AlarmState, Asked, BolusTime, CalibrationRefusal, CancelReason,
    Catheter, CatheterRecord, CatheterRefusal, ClinicianBolus, ClinicianBolusRefusal, ClockChange,
    ClockRefusal, ClockSetter, Content, CountedBolus, Denial, DiaryPeriod, DrugMasses, Fault,
    HospitalLibrary, JobEvent, JobKind, JobOrder, LibraryRefusal, Path, Prime, PrimeRefusal,
    PrimeRequest, PrimeSituation, RefillStage, RequestNumber, RequestOutcome, Situation, Upstream,
    ZoneOffset, allowed, check, judge_correction, whole_steps,
};
use units::{
    AlarmKind, Concentration, Drug, Duration, Mass, Now, OverrideReason, PumpTime, Volume,
};

/// Longest encoded hospital library that is taken, bytes.
const LIBRARY_BYTES: usize = 400;

/// Who asks, and under which number the answer goes back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    pub(super) session: SessionId,
    pub(super) id: u32,
    pub(super) caller: Caller,
}

/// An order that waits for the journal.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    ticket: Ticket,
    state: StateKind,
    deadline: PumpTime,
    /// Who waits; nobody for what the program itself asks for.
    asked: Option<Asker>,
    /// Somebody has cancelled it meanwhile: it is spent, and not given.
    cancelled: bool,
    work: Work,
}

/// What is done when it is durable, and what is undone when it is not.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one of it, and no heap")]
pub(super) enum Work {
    /// A bolus or prime starts.
    Start {
        order: JobOrder,
        number: Option<u32>,
        prime: Option<Prime>,
        /// Steps beyond what the program allots.
        granted: bool,
        before: BolusRecord,
    },
    Path(Option<PathRecord>),
    Refills(RefillRecord),
    Care(CareRecord),
    Commissioning(Option<CommissioningRecord>),
    Library(therapy::Library),
    Keys(KeyChange),
}

impl Pending {
    pub(super) const fn state(&self) -> StateKind {
        self.state
    }

    /// The key that is still in force, if it is keys that are to be changed.
    pub(super) const fn key_change(&self) -> Option<&KeyChange> {
        match &self.work {
            Work::Keys(change) => Some(change),
            _ => None,
        }
    }
}

/// Parts of a hospital's library that have come so far.
#[derive(Clone, Debug)]
pub(super) struct LibraryParts {
    version: u32,
    bytes: heapless::Vec<u8, LIBRARY_BYTES>,
}

impl LibraryParts {
    pub(super) const fn new() -> Self {
        Self {
            version: 0,
            bytes: heapless::Vec::new(),
        }
    }
}

/// Refused, with what is to be said.
type Said = Result<Outcome, Refused>;

impl Pump {
    /// Carries out a request; nothing while the journal works on it.
    #[inline(never)]
    pub(super) fn order(
        &mut self,
        now: Now,
        session: SessionId,
        caller: Caller,
        request: &Request,
        actions: &mut Actions,
    ) -> Option<Outcome> {
        let asked = Asker {
            session,
            id: request.id,
            caller,
        };
        let said: Option<Said> = match &request.command {
            Command::Interrogate => Some(Ok(self.status_outcome(now))),
            Command::Stage(program) => Some(Ok(self.stage(now, session, program))),
            Command::ReadBack => Some(Ok(self.read_back(now, session))),
            Command::Commit(commit) => {
                return self.commit(now, session, request.id, commit, actions);
            }
            Command::Cancel => Some(Ok(self.cancel(session))),
            Command::ResetStatusChanged { mask } => {
                Some(Ok(self.reset_status_changed(session, *mask, actions)))
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
            Command::SetClock(wanted) => Some(Ok(self.set_clock(now, session, wanted, actions))),
            Command::ReadTherapy => Some(Ok(self.therapy_outcome(now, caller.slot))),
            Command::ReadPath => Some(Ok(self.path_outcome())),
            Command::ReadLibrary { drug } => Some(Ok(self.library_outcome(*drug))),
            Command::ReadRefills { from } => Some(self.refills_outcome(*from)),
            Command::TestTone { critical } => {
                let kind = if *critical {
                    AlarmKind::EmptyReservoir
                } else {
                    AlarmKind::LowReservoir
                };
                actions.push(Action::Tone(Alarm::of(kind).sound(self.kind)));
                Some(Ok(Outcome::Done))
            }
            Command::ReadKeys => Some(Ok(self.keys_outcome())),
            Command::CancelBolus => Some(self.cancel_bolus_for(now, caller.role, actions)),
            Command::EmergencyMinimumRate => Some(Ok(self.emergency(session, now, actions))),
            command => match self.lasting_order(now, asked, command, actions) {
                Ok(outcome) => outcome.map(Ok),
                Err(refused) => Some(Err(refused)),
            },
        };
        said.map(|said| said.unwrap_or_else(Outcome::Refused))
    }

    /// Orders that are to outlast a reset. Nothing while the journal works.
    #[inline(never)]
    fn lasting_order(
        &mut self,
        now: Now,
        asked: Asker,
        command: &Command,
        actions: &mut Actions,
    ) -> Result<Option<Outcome>, Refused> {
        // One that was carried out is not refused because another is pending.
        if let Some(outcome) = self.ordered_before(asked.caller.slot, command) {
            return outcome.map(Some);
        }
        if self.is_busy() {
            return Err(Refused::Busy);
        }
        let session = asked.session;
        match command {
            Command::GrantKey(grant) => return self.grant_key(now, asked, grant, actions),
            Command::RevokeKey { slot } => return self.revoke_key(now, asked, *slot, actions),
            Command::PatientBolus { number } => {
                return Ok(self.patient_bolus(now, asked, *number, actions));
            }
            Command::ClinicianBolus(order) => {
                return self.clinician_bolus(now, asked, order, actions);
            }
            Command::Prime(order) => return self.start_prime(now, asked, order, actions),
            Command::SetCatheter(wanted) => {
                let before = self.path.clone();
                self.set_catheter(now, session, wanted, actions)?;
                self.pend(
                    StateKind::Path,
                    Some(asked),
                    Work::Path(before),
                    now,
                    actions,
                );
            }
            Command::OpenRefill => {
                let before = self.refills.clone();
                self.open_refill(now, session, actions)?;
                self.pend(
                    StateKind::Refills,
                    Some(asked),
                    Work::Refills(before),
                    now,
                    actions,
                );
            }
            Command::RefillAspirated { volume_nl } => {
                let before = self.refills.clone();
                let volume = Volume::from_nanolitres(*volume_nl);
                self.refills.refill = self
                    .refills
                    .refill
                    .aspirated(volume, &self.reservoir())
                    .map_err(|_| Refused::WrongOrder {
                        expected: RefillStep::Open,
                    })?;
                self.pend(
                    StateKind::Refills,
                    Some(asked),
                    Work::Refills(before),
                    now,
                    actions,
                );
            }
            Command::CloseRefill => {
                let before = self.refills.clone();
                self.refills.refill = self.refills.refill.nothing_changed().map_err(|refused| {
                    Refused::WrongOrder {
                        expected: match refused.stage {
                            RefillStage::Closed => RefillStep::Open,
                            RefillStage::Open | RefillStage::Aspirated => RefillStep::Confirm,
                        },
                    }
                })?;
                append(Some(session), Record::RefillClosed {}, actions);
                self.pend(
                    StateKind::Refills,
                    Some(asked),
                    Work::Refills(before),
                    now,
                    actions,
                );
            }
            Command::Commission(wanted) => {
                let before = self.commissioning;
                self.commission(now, session, wanted, actions)?;
                self.pend(
                    StateKind::Commissioning,
                    Some(asked),
                    Work::Commissioning(before),
                    now,
                    actions,
                );
            }
            Command::LoadLibrary(part) => {
                return self.load_library(now, asked, part, actions);
            }
            other => {
                let before = self.care.clone();
                self.care_order(now, asked, other, actions)?;
                self.pend(
                    StateKind::Care,
                    Some(asked),
                    Work::Care(before),
                    now,
                    actions,
                );
            }
        }
        Ok(None)
    }

    /// What becomes of a numbered order that was made before.
    fn ordered_before(&self, slot: u8, command: &Command) -> Option<Result<Outcome, Refused>> {
        let number = match command {
            Command::PatientBolus { number } => *number,
            Command::ClinicianBolus(order) => order.number,
            Command::Prime(order) => order.number,
            _ => return None,
        };
        match self.boluses.numbers.look_up(slot, number) {
            RequestNumber::New => {
                let next = self.last_number(slot).saturating_add(1);
                (number != next).then_some(Err(Refused::OutOfRange {
                    field: Field::JobNumber,
                    value: u64::from(number),
                    lowest: u64::from(next),
                    highest: u64::from(next),
                }))
            }
            RequestNumber::Already(RequestOutcome::Granted { .. }) if self.pending.is_none() => {
                Some(Ok(Outcome::AlreadyDone { number }))
            }
            RequestNumber::Already(_) if self.pending.is_some() => Some(Err(Refused::Busy)),
            RequestNumber::Already(_) | RequestNumber::Refused => Some(Err(Refused::NotNow {
                why: NotNow::NumberUsed,
            })),
        }
    }

    /// Number of the last order for a bolus or prime that this slot has given.
    pub(super) fn last_number(&self, slot: u8) -> u32 {
        self.boluses.numbers.newest(slot)
    }

    pub(super) fn is_busy(&self) -> bool {
        self.pending.is_some()
            || matches!(
                self.programming,
                super::programming::Programming::Committing(_)
            )
    }

    pub(super) const fn storing(&self) -> bool {
        self.pending.is_some()
    }

    /// Number of the next job.
    pub(super) const fn next_job(&self) -> u32 {
        self.jobs.newest().saturating_add(1)
    }

    pub(super) fn pend(
        &mut self,
        state: StateKind,
        asked: Option<Asker>,
        work: Work,
        now: Now,
        actions: &mut Actions,
    ) {
        if matches!(
            state,
            StateKind::Path | StateKind::Refills | StateKind::Commissioning | StateKind::Library
        ) {
            // A staged program was judged by what is no longer so.
            self.discard_staged();
        }
        self.dirty.remove(state);
        if asked.is_some() {
            self.write_numbers(now, actions);
        }
        let ticket = self.persist(state, actions);
        let deadline = now.pump.saturating_add(PERSIST_LIMIT);
        self.pending = Some(Pending {
            ticket,
            state,
            deadline,
            asked,
            cancelled: false,
            work,
        });
    }

    pub(super) fn order_persisted(&mut self, now: Now, ticket: Ticket, actions: &mut Actions) {
        let Some(pending) = self.pending.take_if(|pending| pending.ticket == ticket) else {
            return;
        };
        let outcome = match pending.work {
            Work::Start {
                order,
                number,
                prime,
                granted,
                ..
            } => {
                let granted = granted && !pending.cancelled;
                self.start_job(now, &order, prime, granted, actions);
                if pending.cancelled {
                    self.cancel_bolus(now, actions);
                    Outcome::Cancelled
                } else {
                    number.map_or(Outcome::Done, |number| Outcome::BolusStarted { number })
                }
            }
            Work::Library(_) => {
                self.dirty.insert(StateKind::LibraryHistory);
                Outcome::Done
            }
            Work::Refills(_) => {
                if !self.refills.refill.is_open() {
                    self.latch(Fault::RefillNotConfirmed, false);
                }
                Outcome::Done
            }
            Work::Keys(change) => {
                self.keys_changed(pending.asked, &change, actions);
                Outcome::Done
            }
            Work::Path(_) | Work::Care(_) | Work::Commissioning(_) => Outcome::Done,
        };
        if let Some(Asker { session, id, .. }) = pending.asked {
            actions.answer(session, super::answer(id, outcome));
        }
    }

    pub(super) fn order_failed(&mut self, ticket: Ticket, now: Now, actions: &mut Actions) {
        if self
            .pending
            .as_ref()
            .is_some_and(|pending| pending.ticket == ticket)
        {
            self.undo(now, actions);
        }
    }

    /// The number of an order could not be made durable: then it is not done either, so that it is never done twice.
    pub(super) fn number_failed(&mut self, now: Now, actions: &mut Actions) {
        if self
            .pending
            .as_ref()
            .is_some_and(|pending| pending.asked.is_some())
        {
            self.undo(now, actions);
            // Its own record can land behind this: what is in force is written at once.
            self.retry_at = now.pump;
        }
    }

    pub(super) fn expire_order(&mut self, now: Now, actions: &mut Actions) {
        match &self.pending {
            Some(pending) if now.pump >= pending.deadline => {
                self.storage_failed();
                self.undo(now, actions);
            }
            Some(pending) => actions.call_by(pending.deadline),
            None => {}
        }
    }

    /// What was not made durable was not done; flash is told so, in case it lands late.
    fn undo(&mut self, now: Now, actions: &mut Actions) {
        let Some(pending) = self.pending.take() else {
            return;
        };
        self.dirty.insert(pending.state);
        self.retry_at = self.retry_at.max(now.pump);
        match pending.work {
            Work::Start { before, order, .. } => {
                self.boluses = before;
                // Some may have ended meanwhile.
                self.remember_jobs();
                match order.kind() {
                    JobKind::PeriodicBolus => self.count_periodic(now),
                    // Certainly not done is not done later either.
                    JobKind::SingleBolus => self.boluses.single_done = self.committed.number,
                    _ => {}
                }
            }
            Work::Path(before) => self.path = before,
            Work::Refills(before) => self.refills = before,
            Work::Care(before) => self.undo_care(now, before),
            Work::Commissioning(before) => {
                self.adopt_commissioning(now, before, actions);
                if before.is_none() {
                    // There is no form of it that says so. One that lands late is what the next boot goes by, and nothing was programmed.
                    self.dirty.remove(StateKind::Commissioning);
                }
            }
            Work::Library(before) => self.library = before,
            Work::Keys(change) => self.access.undo(change),
        }
        if let Some(Asker { session, id, .. }) = pending.asked {
            let outcome = Outcome::Refused(Refused::NotDone);
            actions.answer(session, super::answer(id, outcome));
        }
    }

    /// Of what is looked after only what an order had changed: what has happened meanwhile has happened.
    fn undo_care(&mut self, now: Now, before: CareRecord) {
        let powered = self.powered(now.pump);
        let care = &mut self.care;
        care.trial = before.trial;
        care.diary = before.diary;
        care.mri = before.mri;
        care.zone = before.zone;
        care.clinicians_zone = before.clinicians_zone;
        let new = care.alarms.sounding().without(before.alarms.sounding());
        if new == therapy::AlarmSet::NONE {
            care.alarms = before.alarms;
        } else if care.mri.until().is_none() {
            care.alarms.defer(powered, powered);
        }
    }

    // ---- boluses ----

    /// What stands in the way of a bolus.
    pub(super) fn situation(&self, kind: JobKind, volume: Volume) -> Situation {
        let program = self.prescription.as_ref();
        let order = JobOrder::new(self.next_job(), kind, 1, Duration::from_seconds(1));
        let rules = therapy::KindRules::of(self.kind);
        Situation {
            not_in_use: !rules.boluses
                || program.is_none()
                || kind == JobKind::PatientBolus
                    && program.is_none_or(|program| program.patient_rule().is_none()),
            stopped: self.basal.is_zero() && kind != JobKind::SingleBolus && !self.is_priming(),
            // An open refill and a journal that fails have words of their own below.
            alarm: self.care.alarms.forbids_boluses()
                || !self.response.allows_boluses()
                    && !self.refills.refill.is_open()
                    && self.faults & fault::STORAGE == 0,
            self_test: self.self_test_failed,
            refill_open: self.refills.refill.is_open(),
            priming: self.is_priming(),
            bridging: self.is_bridging(),
            mri_mode: self.care.mri.until().is_some(),
            reservoir_low: self
                .reservoir()
                .level()
                .is_some_and(|level| level < volume || level == Volume::ZERO),
            clock_lost: self.faults & fault::CLOCK != 0,
            journal_failing: self.faults & fault::STORAGE != 0,
            bolus_running: order.is_ok_and(|order| self.jobs.may_start(&order).is_err()),
        }
    }

    fn is_priming(&self) -> bool {
        self.jobs
            .running()
            .is_some_and(|job| job.order().kind() == JobKind::Prime)
    }

    /// What a volume of what is in the reservoir holds.
    fn masses(&self, volume: Volume) -> DrugMasses {
        let mut solution = heapless::Vec::<(Drug, Concentration), 4>::new();
        if let Some(program) = &self.prescription {
            for ingredient in program.mixture().ingredients() {
                // There are no more in a mixture.
                let _ = solution.push((ingredient.drug, ingredient.concentration));
            }
        }
        DrugMasses::in_volume(volume, &solution)
    }

    fn volume_of(&self, steps: u32) -> Volume {
        self.bounds
            .step_volume
            .volume_of(u64::from(steps))
            .unwrap_or(Volume::MAX)
    }

    /// Whether the patient could have a bolus now.
    pub(super) fn patient_grant(&self, now: Now) -> Result<(therapy::Grant, JobOrder), Denial> {
        let Some(program) = &self.prescription else {
            return Err(Denial::NotInUse);
        };
        let (Some(rule), Some(steps)) = (program.patient_rule(), program.patient_steps()) else {
            return Err(Denial::NotInUse);
        };
        let volume = self.volume_of(steps);
        let time = BolusTime {
            powered: self.powered(now.pump),
            minute_of_day: self
                .local(now.pump)
                .map(|local| local.minute_of_week().minute_of_day()),
        };
        let situation = self.situation(JobKind::PatientBolus, volume);
        let grant = self.boluses.window.request(
            rule,
            time,
            &situation,
            program.drug(),
            &self.masses(volume),
        )?;
        let order = JobOrder::new(
            self.next_job(),
            JobKind::PatientBolus,
            steps,
            rule.duration(),
        )
        .map_err(|_| Denial::NotInUse)?;
        Ok((grant, order))
    }

    fn patient_bolus(
        &mut self,
        now: Now,
        asked: Asker,
        number: u32,
        actions: &mut Actions,
    ) -> Option<Outcome> {
        match self.patient_grant(now) {
            Ok((grant, order)) => {
                let before = self.boluses.clone();
                self.boluses.window.record(&grant);
                self.spend(&order, Some((asked.caller.slot, number)));
                append(
                    Some(asked.session),
                    Record::BolusGranted { id: order.id() },
                    actions,
                );
                let work = Work::Start {
                    order,
                    number: Some(number),
                    prime: None,
                    granted: false,
                    before,
                };
                self.pend(StateKind::Boluses, Some(asked), work, now, actions);
                None
            }
            Err(denial) => {
                Some(self.deny(now, asked.session, number, wire_denial(&denial), actions))
            }
        }
    }

    fn deny(
        &mut self,
        now: Now,
        session: SessionId,
        number: u32,
        denial: BolusDenial,
        actions: &mut Actions,
    ) -> Outcome {
        append(
            Some(session),
            Record::BolusDenied {
                id: number,
                reason: denial,
            },
            actions,
        );
        let powered = self.powered(now.pump);
        if self.boluses.denied.denied(powered)
            && self.care.alarms.happened(AlarmKind::BolusesDenied, powered)
        {
            append(
                None,
                Record::AlarmOn {
                    alarm: AlarmKind::BolusesDenied,
                },
                actions,
            );
            self.dirty.insert(StateKind::Care);
        }
        // Not written for its own sake: a button that is pressed all day wears no flash.
        Outcome::BolusRefused { denial }
    }

    /// From here on it is spent, whether it is given or not.
    fn spend(&mut self, order: &JobOrder, number: Option<(u8, u32)>) {
        if let Some((slot, number)) = number {
            self.boluses
                .numbers
                .decided(slot, number, RequestOutcome::Granted { job: order.id() });
        }
        self.boluses.newest_job = order.id();
        self.boluses.suspended = self.jobs.running().map(|job| *job.order());
        self.boluses.job = Some((*order, self.totals.now(self.latest).at_most_steps));
    }

    fn clinician_bolus(
        &mut self,
        now: Now,
        asked: Asker,
        wanted: &BolusOrder,
        actions: &mut Actions,
    ) -> Result<Option<Outcome>, Refused> {
        let Some(program) = &self.prescription else {
            return Err(Refused::NotNow {
                why: NotNow::NotProgrammed,
            });
        };
        if !therapy::KindRules::of(self.kind).boluses {
            return Err(Refused::KindForbids { kind: self.kind });
        }
        let dose = Mass::from_nanograms(wanted.dose_ng);
        let duration = Duration::from_seconds(wanted.duration_s);
        // It lets a patient's go before it.
        let extended = duration > therapy::EXTENDED_FROM;
        let bolus =
            ClinicianBolus::new(dose, duration, extended).map_err(|refusal| match refusal {
                ClinicianBolusRefusal::Duration { .. } => {
                    bolus_seconds(u64::from(wanted.duration_s), 1)
                }
                _ => out_of(
                    Field::BolusNanograms,
                    wanted.dose_ng,
                    1,
                    u64::from(u32::MAX),
                ),
            })?;
        let steps = whole_steps(dose, program.concentration(), self.bounds.step_volume)
            .filter(|steps| *steps > 0)
            .ok_or(out_of(
                Field::BolusNanograms,
                wanted.dose_ng,
                1,
                u64::from(u32::MAX),
            ))?;
        let volume = self.volume_of(steps);
        let kind = JobKind::ClinicianBolus { extended };
        if let Some(denial) = self.situation(kind, volume).denial() {
            let denial = wire_denial(&denial);
            return Ok(Some(self.deny(
                now,
                asked.session,
                wanted.number,
                denial,
                actions,
            )));
        }
        let powered = self.powered(now.pump);
        let overridden = wanted.reason.is_some();
        bolus
            .check(
                &self.boluses.window,
                powered,
                overridden,
                program.highest_flow(),
                volume,
                &self.bounds,
            )
            .map_err(|refusal| match refusal {
                ClinicianBolusRefusal::TooSoon { remaining, .. } => Refused::TooSoon {
                    left_s: rounded_up(remaining),
                },
                ClinicianBolusRefusal::TooFast { shortest, .. } => bolus_seconds(
                    u64::from(wanted.duration_s),
                    shortest.map_or(86_400, Duration::seconds_rounded_down),
                ),
                _ => Refused::Busy,
            })?;
        self.check_bolus_limits(program, volume, powered, wanted.reason)?;
        let order = JobOrder::new(self.next_job(), kind, steps, duration)
            .map_err(|_| bolus_seconds(u64::from(wanted.duration_s), 1))?;
        let masses = self.masses(volume);
        let before = self.boluses.clone();
        self.boluses
            .window
            .record_other(CountedBolus::Clinician, powered, &masses);
        self.spend(&order, Some((asked.caller.slot, wanted.number)));
        append(
            Some(asked.session),
            Record::BolusGranted { id: order.id() },
            actions,
        );
        let work = Work::Start {
            order,
            number: Some(wanted.number),
            prime: None,
            granted: true,
            before,
        };
        self.pend(StateKind::Boluses, Some(asked), work, now, actions);
        Ok(None)
    }

    /// A clinician's bolus counts in the rolling total: program, boluses of the last 24 h and this one.
    fn check_bolus_limits(
        &self,
        program: &therapy::Prescription,
        volume: Volume,
        powered: units::PoweredTime,
        reason: Option<OverrideReason>,
    ) -> Result<(), Refused> {
        let given = Mass::from_nanograms(
            self.boluses
                .window
                .clinicians_nanograms(program.drug(), powered),
        );
        let concentration = program.concentration();
        let given_volume = whole_steps(given, concentration, self.bounds.step_volume)
            .map_or(Volume::ZERO, |steps| self.volume_of(steps));
        let largest_24h = program
            .worst_case()
            .one_day
            .saturating_add(given_volume)
            .saturating_add(volume);
        let asked = Asked {
            largest_24h,
            largest_bolus: Some(volume),
            boluses_per_day: program.boluses_a_day().saturating_add(1),
            change: None,
        };
        let findings = check(program.mixture(), &self.library, &asked)
            .map_err(|refusal| over_limit(&refusal))?;
        if findings.needs_reason() && reason.is_none() {
            return Err(Refused::ReasonNeeded);
        }
        Ok(())
    }

    fn start_prime(
        &mut self,
        now: Now,
        asked: Asker,
        wanted: &PrimeOrder,
        actions: &mut Actions,
    ) -> Result<Option<Outcome>, Refused> {
        let Some(record) = &self.path else {
            return Err(Refused::NoPath);
        };
        if let Some(why) = self.prime_is_in_the_way() {
            return Err(Refused::NotNow { why });
        }
        let powered = self.powered(now.pump);
        let mut path = record.path.clone();
        if wanted.catheter_aspirated {
            // What was drawn back is liquor from here on.
            path.aspirate(record.catheter.catheter_volume())
                .map_err(|_| Refused::TooManyChanges)?;
        }
        let situation = PrimeSituation {
            kind: self.kind,
            bounds: &self.bounds,
            catheter: &record.catheter,
            path: &path,
            last_start: self.boluses.last_prime,
            now: powered,
        };
        let prime = match self.boluses.interrupted_prime {
            Some(interrupted) if interrupted.kind() == wanted.kind => {
                Prime::complete(interrupted, wanted.disconnected, &situation)
            }
            _ => Prime::plan(
                PrimeRequest {
                    kind: wanted.kind,
                    disconnected: wanted.disconnected,
                    override_reason: wanted.reason,
                },
                &situation,
            ),
        }
        .map_err(|refusal| self.prime_refused(&refusal))?;
        let level = self.reservoir().level();
        if level.is_some_and(|level| level < prime.volume()) {
            return Err(Refused::NotNow { why: NotNow::Empty });
        }
        // Of a patient who is disconnected nothing leaves the tip into anybody.
        let reaches = !therapy::KindRules::of(self.kind).prime_disconnected;
        for (drug, mass) in prime.dose().iter().filter(|_| reaches) {
            let limit = self.library.effective(drug).bolus.hard;
            if mass > limit.mass() {
                return Err(Refused::OverLimit {
                    limit_kind: LimitKind::PrimeNanograms,
                    drug,
                    value: mass.nanograms_rounded_down().saturating_add(1),
                    limit: u64::from(limit.get()),
                });
            }
        }
        let steps = u32::try_from(prime.steps()).unwrap_or(u32::MAX);
        let order = JobOrder::new(self.next_job(), JobKind::Prime, steps, prime.duration())
            .map_err(|_| Refused::Busy)?;
        let before = self.boluses.clone();
        let masses = DrugMasses::of(prime.dose().iter().filter(|_| reaches));
        self.boluses
            .window
            .record_other(CountedBolus::Prime, powered, &masses);
        self.boluses.last_prime = Some(powered);
        self.boluses.interrupted_prime = Some(prime.interrupted(Volume::ZERO));
        self.spend(&order, Some((asked.caller.slot, wanted.number)));
        if wanted.catheter_aspirated
            && let Some(record) = &mut self.path
        {
            record.path = path;
            self.dirty.insert(StateKind::Path);
            self.discard_staged();
        }
        let work = Work::Start {
            order,
            number: Some(wanted.number),
            prime: Some(prime),
            granted: true,
            before,
        };
        self.pend(StateKind::Boluses, Some(asked), work, now, actions);
        Ok(None)
    }

    fn prime_is_in_the_way(&self) -> Option<NotNow> {
        if self.commissioning.is_none() {
            return Some(NotNow::NotCommissioned);
        }
        let storage = self.faults & fault::STORAGE != 0;
        [
            (self.is_priming(), NotNow::Priming),
            (self.is_bridging(), NotNow::Bridging),
            (self.refills.refill.is_open(), NotNow::RefillOpen),
            (self.response.is_stop() || self.faulted, NotNow::Alarm),
            (storage, NotNow::Storage),
        ]
        .into_iter()
        .find_map(|(holds, why)| holds.then_some(why))
    }

    fn prime_refused(&self, refusal: &PrimeRefusal) -> Refused {
        match *refusal {
            PrimeRefusal::ConstantRate | PrimeRefusal::WrongCatheter => {
                Refused::KindForbids { kind: self.kind }
            }
            PrimeRefusal::NotDisconnected => Refused::NotNow {
                why: NotNow::NotPrepared,
            },
            PrimeRefusal::TooFast => out_of(
                Field::BolusFlowNanolitresPerDay,
                24_000_000,
                0,
                self.bounds.highest.flow().per_day_nanolitres_rounded_down(),
            ),
            PrimeRefusal::TooMuch { volume, largest } => out_of(
                Field::PrimeNanolitres,
                u64::from(nanolitres(volume)),
                0,
                u64::from(nanolitres(largest)),
            ),
            PrimeRefusal::TooSoon { wait } => Refused::TooSoon {
                left_s: rounded_up(wait),
            },
            PrimeRefusal::Nothing => out_of(Field::PrimeNanolitres, 0, 3, 600_000),
        }
    }

    /// Starts a job whose record is durable.
    fn start_job(
        &mut self,
        now: Now,
        order: &JobOrder,
        prime: Option<Prime>,
        granted: bool,
        actions: &mut Actions,
    ) {
        self.settle_job(now);
        let Ok(endings) = self.jobs.on(JobEvent::Start(*order), now.pump) else {
            return;
        };
        self.tell_endings(&endings, actions);
        if granted {
            // With a little over: orders of two jobs share a window of 30 s.
            let within = order.duration().saturating_add(Duration::from_minutes(2));
            actions.push(Action::Grant {
                steps: order.steps(),
                within: within.min(Duration::from_hours(24)),
            });
        }
        if prime.is_some() {
            self.prime = prime;
        }
        self.job_before = 0;
        self.job_missed = 0;
        self.job_at_most = self.totals.now(now.pump).at_most_steps;
        self.drop_orders(now, actions);
        self.delivery.begin_finite(
            order.steps(),
            order.flow(self.bounds.step_volume),
            now.pump,
            &self.bounds,
        );
        append(
            None,
            Record::JobStarted {
                job: order.kind(),
                id: order.id(),
                volume_nl: nanolitres(order.volume(self.bounds.step_volume)),
            },
            actions,
        );
        self.checkpoint_at = self.checkpoint_at.min(now.pump);
        self.status_changed |= changed::DELIVERY;
    }

    /// Jobs that the program asks for fall due.
    pub(super) fn start_due_jobs(&mut self, now: Now, actions: &mut Actions) {
        if self.is_busy() || self.prescription.is_none() {
            return;
        }
        if let Some(order) = self.single_bolus_due() {
            self.start_single(&order, now, actions);
            return;
        }
        self.start_periodic(now, actions);
    }

    /// The bolus of a program of one: with its commit, or not at all.
    fn start_single(&mut self, order: &JobOrder, now: Now, actions: &mut Actions) {
        let volume = order.volume(self.bounds.step_volume);
        let powered = self.powered(now.pump);
        if let Some(denial) = self.situation(JobKind::SingleBolus, volume).denial() {
            let until = self
                .committed
                .at
                .saturating_add(therapy::SINGLE_BOLUS_WITHIN);
            if powered < until {
                actions.call_by(self.pump_time_of(until, now.pump));
                return;
            }
            self.boluses.single_done = self.committed.number;
            self.dirty.insert(StateKind::Boluses);
            deny(&denial, actions);
            return;
        }
        let before = self.boluses.clone();
        let masses = self.masses(volume);
        self.boluses
            .window
            .record_other(CountedBolus::Periodic, powered, &masses);
        self.boluses.single_done = self.committed.number;
        self.spend(order, None);
        let work = Work::Start {
            order: *order,
            number: None,
            prime: None,
            // It comes once, on top of what ran in the hour before.
            granted: true,
            before,
        };
        self.pend(StateKind::Boluses, None, work, now, actions);
    }

    fn start_periodic(&mut self, now: Now, actions: &mut Actions) {
        let powered = self.powered(now.pump);
        let Some(clock) = self.boluses.periodic else {
            return;
        };
        if !clock.is_due(powered) {
            actions.call_by(self.pump_time_of(clock.next_at(), now.pump));
            return;
        }
        let Some(program) = &self.prescription else {
            return;
        };
        let Some(periodic) = program.periodic().copied() else {
            return;
        };
        let (steps, duration) = (periodic.bolus_steps(), periodic.draft().duration);
        let order = JobOrder::new(self.next_job(), JobKind::PeriodicBolus, steps, duration);
        let volume = self.volume_of(steps);
        let denial = self.situation(JobKind::PeriodicBolus, volume).denial();
        let (Ok(order), None) = (order, denial) else {
            // Missed, never caught up: the next comes a whole interval later.
            self.count_periodic(now);
            if let Some(denial) = denial {
                deny(&denial, actions);
            }
            return;
        };
        let before = self.boluses.clone();
        let masses = self.masses(volume);
        self.boluses
            .window
            .record_other(CountedBolus::Periodic, powered, &masses);
        self.spend(&order, None);
        self.count_periodic(now);
        let work = Work::Start {
            order,
            number: None,
            prime: None,
            granted: false,
            before,
        };
        self.pend(StateKind::Boluses, None, work, now, actions);
    }

    /// A whole interval from now to the next periodic bolus.
    fn count_periodic(&mut self, now: Now) {
        let powered = self.powered(now.pump);
        self.boluses.last_periodic = Some(powered);
        if let (Some(clock), Some(periodic)) = (
            &mut self.boluses.periodic,
            self.prescription
                .as_ref()
                .and_then(|program| program.periodic()),
        ) {
            clock.count_from(powered, periodic);
        }
        self.dirty.insert(StateKind::Boluses);
    }

    /// Of a bolus or prime that waits for its record comes not one step: taking away never waits for the journal. Whether there was one.
    pub(super) fn void_waiting_bolus(&mut self) -> bool {
        match &mut self.pending {
            Some(pending) if matches!(pending.work, Work::Start { .. }) => {
                pending.cancelled = true;
                true
            }
            _ => false,
        }
    }

    /// A patient ends patient boluses only.
    fn cancel_bolus_for(&mut self, now: Now, role: Role, actions: &mut Actions) -> Said {
        let waiting = match self.pending.as_ref().map(|pending| &pending.work) {
            Some(Work::Start { order, .. }) => Some(order),
            _ => None,
        };
        let ended = waiting.or(self.jobs.running().map(therapy::Job::order));
        if role == Role::Patient && ended.is_some_and(|order| order.kind() != JobKind::PatientBolus)
        {
            return Err(Refused::NotAllowed {
                because: NotAllowed::Role { role },
            });
        }
        Ok(self.cancel_bolus(now, actions))
    }

    fn cancel_bolus(&mut self, now: Now, actions: &mut Actions) -> Outcome {
        if self.void_waiting_bolus() {
            return Outcome::Done;
        }
        let Some(job) = self.jobs.running() else {
            return Outcome::Done;
        };
        let (id, periodic) = (
            job.order().id(),
            job.order().kind() == JobKind::PeriodicBolus,
        );
        self.settle_job(now);
        if let Ok(endings) = self.jobs.on(JobEvent::Cancel { id }, now.pump) {
            self.tell_endings(&endings, actions);
            self.drop_orders(now, actions);
            self.delivery.end_finite();
            self.after_job(now, actions);
            if periodic {
                self.count_periodic(now);
            }
        }
        Outcome::Done
    }

    // ---- refill, catheter ----

    fn open_refill(
        &mut self,
        now: Now,
        session: SessionId,
        actions: &mut Actions,
    ) -> Result<(), Refused> {
        let powered = self.powered(now.pump);
        let reservoir = self.reservoir();
        self.refills.refill =
            self.refills
                .refill
                .opened(powered, &reservoir)
                .map_err(|refused| Refused::WrongOrder {
                    expected: match refused.stage {
                        RefillStage::Open => RefillStep::Aspirated,
                        RefillStage::Aspirated | RefillStage::Closed => RefillStep::Confirm,
                    },
                })?;
        append(
            Some(session),
            Record::RefillOpened {
                expected_nl: reservoir.level().map(nanolitres),
            },
            actions,
        );
        self.cancel_jobs(CancelReason::Refill, now, actions);
        Ok(())
    }

    fn set_catheter(
        &mut self,
        now: Now,
        session: SessionId,
        wanted: &WireCatheter,
        actions: &mut Actions,
    ) -> Result<(), Refused> {
        if self.is_bridging() {
            return Err(Refused::NotNow {
                why: NotNow::Bridging,
            });
        }
        let external = self.kind == units::PumpKind::ExternalTrial;
        let catheter = Catheter::new(CatheterRecord {
            model: wanted.model,
            upstream: if external {
                Upstream::ExternalLine {
                    line_nanolitres: wanted.tubing_nl,
                    port_nanolitres: wanted.port_nl,
                }
            } else {
                Upstream::PumpTubing {
                    nanolitres: wanted.tubing_nl,
                }
            },
            implanted_millimetres: wanted.length_mm,
            trimmed_millimetres: 0,
            nanolitres_per_centimetre: wanted.nl_per_cm,
            tip: None,
        })
        .map_err(|refusal| catheter_refused(&refusal))?;
        let volume = catheter.path_volume();
        // Of a pump that has never delivered the path is inert. Of one that has, it is full of what is in the reservoir: were it taken
        // for inert, a change of concentration would not be bridged.
        let content = self.prescription.as_ref().and_then(content_of);
        let inert = [(volume, Content::Inert)];
        let path = match content {
            Some(content) => Path::new(volume, &[], content),
            None => Path::new(volume, &inert, Content::Inert),
        };
        let path = path.map_err(|_| Refused::TooManyChanges)?;
        self.path = Some(PathRecord {
            program_number: self.committed.number,
            catheter,
            path,
            at_most_steps: self.totals.now(now.pump).at_most_steps,
        });
        append(
            Some(session),
            Record::CatheterSet {
                path_nl: nanolitres(volume),
            },
            actions,
        );
        Ok(())
    }

    // ---- alarms, clock, MRI, trial, emergency ----

    fn care_order(
        &mut self,
        now: Now,
        asked: Asker,
        command: &Command,
        actions: &mut Actions,
    ) -> Result<(), Refused> {
        let session = asked.session;
        let powered = self.powered(now.pump);
        match command {
            Command::AcknowledgeAlarm { alarm } => {
                if self.care.alarms.state(*alarm) == AlarmState::Inactive {
                    return Err(Refused::NotNow {
                        why: NotNow::NoAlarm,
                    });
                }
                if *alarm == AlarmKind::MemoryLost {
                    self.state_lost = false;
                }
                if self.care.alarms.acknowledge(*alarm) {
                    append(
                        Some(session),
                        Record::AlarmAcknowledged { alarm: *alarm },
                        actions,
                    );
                }
            }
            Command::SilenceAlarm { alarm } => {
                self.care
                    .alarms
                    .silence(*alarm, therapy::LONGEST_SILENCE, powered)
                    .map_err(|refusal| match refusal {
                        therapy::AlarmRefusal::Implant => Refused::KindForbids { kind: self.kind },
                        _ => Refused::NotNow {
                            why: NotNow::NoAlarm,
                        },
                    })?;
                append(
                    Some(session),
                    Record::AlarmSilenced { alarm: *alarm },
                    actions,
                );
            }
            Command::SetAlarmIntervals(wanted) => {
                self.set_intervals(now, session, wanted, actions)?
            }
            Command::MriMode { minutes: 0 } => {
                if self.care.mri.end() {
                    append(Some(session), Record::MriMode { on: false }, actions);
                }
                self.care.alarms.defer(powered, powered);
            }
            Command::MriMode { minutes } => {
                let length = Duration::from_minutes(u32::from(*minutes));
                self.care.mri.set(length, powered).map_err(|_| {
                    out_of(
                        Field::MriMinutes,
                        u64::from(*minutes),
                        0,
                        therapy::MRI_LONGEST.seconds_rounded_down() / 60,
                    )
                })?;
                self.care
                    .alarms
                    .defer(powered.saturating_add(length), powered);
                append(Some(session), Record::MriMode { on: true }, actions);
            }
            Command::SetZone(wanted) => self.set_zone(asked, wanted, actions)?,
            Command::DiaryEntry(entry) => self.diary(session, entry, actions)?,
            Command::ExtendTrial { days } => {
                let Some(trial) = self.care.trial else {
                    return Err(Refused::NotNow {
                        why: NotNow::NoTrial,
                    });
                };
                let by = Duration::from_days(u32::from(*days));
                let trial = trial.extended(powered, by).map_err(|_| {
                    let longest = u64::from(therapy::LONGEST_TRIAL_DAYS);
                    out_of(Field::TrialDays, u64::from(*days), 1, longest)
                })?;
                self.care.trial = Some(trial);
                append(
                    Some(session),
                    Record::TrialExtended { days: *days },
                    actions,
                );
            }
            // Everything else was dealt with before.
            _ => {
                return Err(Refused::NotAllowed {
                    because: NotAllowed::Role {
                        role: asked.caller.role,
                    },
                });
            }
        }
        Ok(())
    }

    fn set_intervals(
        &mut self,
        now: Now,
        session: SessionId,
        wanted: &WireIntervals,
        actions: &mut Actions,
    ) -> Result<(), Refused> {
        let critical = u8::try_from(wanted.critical_min).unwrap_or(u8::MAX);
        let hours = u8::try_from(wanted.other_min / 60).unwrap_or(u8::MAX);
        let whole = wanted.other_min.is_multiple_of(60);
        let intervals = AlarmIntervals::new(critical, hours).ok().filter(|_| whole);
        let Some(intervals) = intervals else {
            let critical_is_good = (10..=120).contains(&wanted.critical_min);
            return Err(if critical_is_good {
                out_of(
                    Field::OtherIntervalMinutes,
                    u64::from(wanted.other_min),
                    60,
                    1_440,
                )
            } else {
                out_of(
                    Field::CriticalIntervalMinutes,
                    u64::from(wanted.critical_min),
                    10,
                    120,
                )
            });
        };
        let powered = self.powered(now.pump);
        self.care.alarms.set_intervals(intervals, powered);
        append(
            Some(session),
            Record::IntervalsSet {
                critical_min: wanted.critical_min,
                other_min: wanted.other_min,
            },
            actions,
        );
        Ok(())
    }

    fn set_zone(
        &mut self,
        asked: Asker,
        wanted: &SetZone,
        actions: &mut Actions,
    ) -> Result<(), Refused> {
        // Counted from the westernmost.
        let lowest = 720_i32;
        let from_lowest =
            |minutes: i16| u64::try_from(i32::from(minutes).saturating_add(lowest)).unwrap_or(0);
        let out_of_range = |low: i16, high: i16| {
            out_of(
                Field::ZoneMinutesFromLowest,
                from_lowest(wanted.offset_min),
                from_lowest(low),
                from_lowest(high),
            )
        };
        let zone =
            ZoneOffset::from_minutes(wanted.offset_min).map_err(|_| out_of_range(-720, 840))?;
        // The same again, as a programmer that sets the clock sends it, moves nothing and needs no reason.
        if zone == self.care.zone && wanted.reason.is_none() {
            return Ok(());
        }
        let change = ClockChange::Offset {
            from: self.care.zone,
            to: zone,
            clinicians: self.care.clinicians_zone,
        };
        // A reason is a clinician's. Without one, and on a patient's phone, only summer time's hour.
        let clinician = asked.caller.role == Role::Clinician;
        let by = if clinician {
            ClockSetter::Clinician
        } else {
            ClockSetter::Patient
        };
        judge_correction(change, Duration::ZERO, by, wanted.reason).map_err(
            |refusal| match refusal {
                ClockRefusal::NotSummerTime { .. } | ClockRefusal::TooFarFromClinicians { .. } => {
                    // An hour either way, unless that is too far from the clinician's.
                    let hour = 60_i16;
                    let (present, centre) = (
                        self.care.zone.minutes(),
                        self.care.clinicians_zone.minutes(),
                    );
                    let near = |zone: &i16| zone.abs_diff(centre) <= hour.unsigned_abs();
                    let back = Some(present.saturating_sub(hour)).filter(near);
                    let on = Some(present.saturating_add(hour)).filter(near);
                    out_of_range(back.or(on).unwrap_or(centre), on.or(back).unwrap_or(centre))
                }
                _ => Refused::ReasonNeeded,
            },
        )?;
        append(
            Some(asked.session),
            Record::TimeZoneChanged {
                before_min: self.care.zone.minutes(),
                after_min: zone.minutes(),
            },
            actions,
        );
        self.care.zone = zone;
        if clinician && wanted.reason.is_some() {
            self.care.clinicians_zone = zone;
        }
        self.status_changed |= changed::CLOCK;
        Ok(())
    }

    fn diary(
        &mut self,
        session: SessionId,
        entry: &DiaryEntry,
        actions: &mut Actions,
    ) -> Result<(), Refused> {
        if self.care.trial.is_none() {
            return Err(Refused::NotNow {
                why: NotNow::NoTrial,
            });
        }
        let period = if entry.baseline {
            DiaryPeriod::Baseline
        } else {
            DiaryPeriod::Trial
        };
        self.care
            .diary
            .record(period, entry.score)
            .map_err(|_| out_of(Field::Score, u64::from(entry.score), 0, 10))?;
        append(
            Some(session),
            Record::Diary {
                baseline: entry.baseline,
                score: entry.score,
            },
            actions,
        );
        Ok(())
    }

    /// Minimum rate at once, latched and heard; recorded after, because less drug never waits.
    fn emergency(&mut self, session: SessionId, now: Now, actions: &mut Actions) -> Outcome {
        if self.commissioning.is_none() || self.prescription.is_none() {
            return Outcome::Refused(Refused::NotNow {
                why: NotNow::NotProgrammed,
            });
        }
        self.latch(Fault::EmergencyMinimumRate, true);
        self.cancel_jobs(CancelReason::Fault, now, actions);
        append(Some(session), Record::Emergency {}, actions);
        Outcome::Done
    }

    // ---- commissioning, library ----

    fn commission(
        &mut self,
        now: Now,
        session: SessionId,
        wanted: &Commissioning,
        actions: &mut Actions,
    ) -> Result<(), Refused> {
        let known = self.commissioning.is_some() && self.faults & fault::COMMISSIONING == 0;
        if known || self.committed.number > 0 || self.committed.lost {
            return Err(Refused::NotNow {
                why: NotNow::Commissioned,
            });
        }
        let record = CommissioningRecord {
            kind: wanted.kind,
            step_volume_fl: wanted.step_volume_fl,
            capacity_nl: wanted.capacity_nl,
            fixed_rate_nl_per_day: wanted.fixed_rate_nl_per_day,
            trial_days: wanted.trial_days,
        };
        record
            .bounds()
            .map_err(|refusal| commissioning_refused(wanted, refusal))?;
        self.adopt_commissioning(now, Some(record), actions);
        let powered = self.powered(now.pump);
        self.care = super::new_care(record.kind, powered, &record);
        self.care.service = therapy::ServiceLife::begin(powered);
        self.dirty.insert(StateKind::Care);
        // What was said of another kind of pump's path means nothing.
        self.path = None;
        append(Some(session), Record::Commissioned { record }, actions);
        Ok(())
    }

    fn adopt_commissioning(
        &mut self,
        now: Now,
        record: Option<CommissioningRecord>,
        actions: &mut Actions,
    ) {
        self.commissioning = record;
        let record = record.unwrap_or(CommissioningRecord::NOMINAL);
        self.kind = record.kind;
        if let Ok(bounds) = record.bounds() {
            self.bounds = bounds;
        }
        self.care.alarms.set_pump(self.kind);
        // Nothing runs on a pump that was never programmed.
        self.stand_still(now, actions);
        if self.commissioning.is_some() {
            self.clear(fault::COMMISSIONING);
        } else {
            self.raise(fault::COMMISSIONING);
        }
    }

    fn load_library(
        &mut self,
        now: Now,
        asked: Asker,
        part: &LibraryPart,
        actions: &mut Actions,
    ) -> Result<Option<Outcome>, Refused> {
        let invalid = |fault| Refused::LibraryInvalid { fault };
        if usize::from(part.total) > LIBRARY_BYTES {
            return Err(invalid(LibraryFault::TooLong {
                most: u16::try_from(LIBRARY_BYTES).unwrap_or(u16::MAX),
            }));
        }
        if part.offset == 0 || part.version != self.library_parts.version {
            self.library_parts = LibraryParts::new();
            self.library_parts.version = part.version;
        }
        let there = u16::try_from(self.library_parts.bytes.len()).unwrap_or(u16::MAX);
        if part.offset != there {
            return Err(invalid(LibraryFault::OutOfOrder { expected: there }));
        }
        if self
            .library_parts
            .bytes
            .extend_from_slice(&part.part)
            .is_err()
        {
            return Err(invalid(LibraryFault::Format));
        }
        if self.library_parts.bytes.len() < usize::from(part.total) {
            return Ok(Some(Outcome::Done));
        }
        let parts = core::mem::replace(&mut self.library_parts, LibraryParts::new());
        let library = match postcard::take_from_bytes::<HospitalLibrary>(&parts.bytes) {
            Ok((library, [])) if library.version == part.version => library,
            Ok(_) | Err(_) => return Err(invalid(LibraryFault::Format)),
        };
        let before = self.library.clone();
        let powered = self.powered(now.pump);
        self.library
            .load(&library, part.checksum, powered)
            .map_err(|refusal| {
                invalid(match refusal {
                    LibraryRefusal::Checksum { .. } => LibraryFault::Checksum,
                    LibraryRefusal::VersionNotHigher { loaded, .. } => {
                        LibraryFault::OldVersion { in_force: loaded }
                    }
                    LibraryRefusal::Looser { drug, .. } => LibraryFault::Looser { drug },
                    _ => LibraryFault::Format,
                })
            })?;
        append(
            Some(asked.session),
            Record::LibraryLoaded {
                version: part.version,
                checksum: part.checksum,
            },
            actions,
        );
        self.pend(
            StateKind::Library,
            Some(asked),
            Work::Library(before),
            now,
            actions,
        );
        Ok(None)
    }
}

/// A bolus that the program asked for and that does not come.
fn deny(denial: &Denial, actions: &mut Actions) {
    append(
        None,
        Record::BolusDenied {
            id: 0,
            reason: wire_denial(denial),
        },
        actions,
    );
}

pub(super) fn out_of(field: Field, value: u64, lowest: u64, highest: u64) -> Refused {
    Refused::OutOfRange {
        field,
        value,
        lowest,
        highest,
    }
}

/// Seconds, rounded up: a wait that is told never ends too early.
pub(super) fn rounded_up(duration: Duration) -> u32 {
    u32::try_from(duration.micros().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

/// A denial on the wire.
pub(super) fn wire_denial(denial: &Denial) -> BolusDenial {
    match *denial {
        Denial::NotInUse => BolusDenial::NotProgrammed,
        Denial::Stopped => BolusDenial::Stopped,
        Denial::Alarm => BolusDenial::Alarm,
        Denial::SelfTest => BolusDenial::SelfTest,
        Denial::RefillOpen => BolusDenial::RefillOpen,
        Denial::Priming => BolusDenial::Priming,
        Denial::Bridging => BolusDenial::Bridging,
        Denial::MriMode => BolusDenial::MriMode,
        Denial::ReservoirLow => BolusDenial::Empty,
        Denial::ClockLost => BolusDenial::ClockLost,
        Denial::JournalFailing => BolusDenial::Storage,
        Denial::BolusRunning => BolusDenial::BusyJob,
        Denial::AboveRule => BolusDenial::DayMass { left_s: 86_400 },
        Denial::Lockout { remaining } => BolusDenial::Lockout {
            left_s: rounded_up(remaining),
        },
        Denial::Number { remaining } => BolusDenial::DayCount {
            left_s: rounded_up(remaining),
        },
        Denial::Mass { remaining } => BolusDenial::DayMass {
            left_s: rounded_up(remaining),
        },
        Denial::Period { .. } => BolusDenial::PeriodCount,
    }
}

fn catheter_refused(refusal: &CatheterRefusal) -> Refused {
    fn of<T: Into<u64> + Copy>(field: Field, value: T, range: &RangeInclusive<T>) -> Refused {
        out_of(
            field,
            value.into(),
            (*range.start()).into(),
            (*range.end()).into(),
        )
    }
    match *refusal {
        CatheterRefusal::Tubing { nanolitres } => {
            of(Field::TubingNanolitres, nanolitres, &allowed::TUBING)
        }
        CatheterRefusal::Line { nanolitres } => {
            of(Field::TubingNanolitres, nanolitres, &allowed::LINE)
        }
        CatheterRefusal::Port { nanolitres } => {
            of(Field::PortNanolitres, nanolitres, &allowed::PORT)
        }
        CatheterRefusal::Length { millimetres } => {
            of(Field::CatheterMillimetres, millimetres, &allowed::LENGTH)
        }
        CatheterRefusal::PerCentimetre { nanolitres } => of(
            Field::CatheterNanolitresPerCentimetre,
            nanolitres,
            &allowed::PER_CENTIMETRE,
        ),
        CatheterRefusal::PathTooLarge { path, largest } => out_of(
            Field::PrimeNanolitres,
            u64::from(nanolitres(path)),
            0,
            u64::from(nanolitres(largest)),
        ),
    }
}

fn commissioning_refused(wanted: &Commissioning, refusal: Option<CalibrationRefusal>) -> Refused {
    match refusal {
        None => out_of(
            Field::TrialDays,
            u64::from(wanted.trial_days.unwrap_or(0)),
            u64::from(wanted.kind == units::PumpKind::ExternalTrial),
            if wanted.kind == units::PumpKind::ExternalTrial {
                u64::from(therapy::LONGEST_TRIAL_DAYS)
            } else {
                0
            },
        ),
        Some(CalibrationRefusal::Step {
            femtolitres,
            lowest,
            highest,
        }) => out_of(
            Field::StepVolumeFemtolitres,
            u64::from(femtolitres),
            u64::from(lowest),
            u64::from(highest),
        ),
        Some(CalibrationRefusal::Capacity { capacity, most }) => out_of(
            Field::CapacityNanolitres,
            u64::from(nanolitres(capacity)),
            5_000_000,
            u64::from(nanolitres(most)),
        ),
        Some(CalibrationRefusal::FixedRate {
            lowest, highest, ..
        }) => out_of(
            Field::FixedRateNanolitresPerDay,
            u64::from(wanted.fixed_rate_nl_per_day.unwrap_or(0)),
            lowest.flow().per_day_nanolitres_rounded_down(),
            highest.flow().per_day_nanolitres_rounded_down(),
        ),
        Some(CalibrationRefusal::NoFixedRate) => {
            out_of(Field::FixedRateNanolitresPerDay, 0, 300_000, 3_400_000)
        }
        Some(CalibrationRefusal::FixedRateUnused { .. }) => out_of(
            Field::FixedRateNanolitresPerDay,
            u64::from(wanted.fixed_rate_nl_per_day.unwrap_or(0)),
            0,
            0,
        ),
    }
}
