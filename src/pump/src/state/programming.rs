//! Programs: staged, read back, committed; and what a commit changes.

use super::{COMMIT_WINDOW, PERSIST_LIMIT, Pump, answer, append, content_of, dosing, target_of};
use crate::actions::Actions;
use crate::counters::Counters;
use crate::event::Ticket;
use crate::kept::{FillRecord, ProgramRecord, StateKind};
use crate::program::{
    check_fill, check_low_mark, nanolitres, over_limit, per_day, rate, seconds, to_prescription,
    to_wire,
};
use crate::record::{ModeName, PROGRAM_PART_BYTES, Record};
use protocol::program::{Amount, BridgePlan, DrugTotal, FINDINGS, Finding as WireFinding};
use protocol::status::{changed, fault};
use protocol::{
    Bytes, Commit as CommitOrder, Digest, Fill, LimitKind, List, NotNow, Outcome, Program,
    RefillStep, Refused, SessionId, Shown, Staged,
};
use therapy::{
    Bridge, BridgeRefusal, CancelReason, Change, Fault, Faults, Finding, JobKind, JobOrder,
    KindRules, Overfill, PathRefusal, PercentChange, PeriodicClock, Prescription, RefillStage,
    Severity, SoftFindings, Titration, binding_volume_24h, is_bridge_needed,
};
use units::{
    CarrierTime, Drug, Duration, Flow, Mass, Now, OverrideReason, PoweredTime, PumpTime, Volume,
};

/// A program that waits for its commit.
#[derive(Clone, Debug)]
pub(super) struct Proposal {
    session: SessionId,
    number: u32,
    prescription: Prescription,
    /// In the pump's own words.
    program: Program,
    staged: Judged,
    digest: Digest,
    expires: CarrierTime,
    /// The faults that lasted when it was staged: those its clinician can have seen.
    latched: Faults,
}

/// What the pump makes of a program.
#[derive(Clone, Debug)]
struct Judged {
    findings: List<WireFinding, FINDINGS>,
    needs_reason: bool,
    shown: Shown,
    bridge: Option<Bridge>,
}

/// A commit that waits for the journal.
#[derive(Clone, Debug)]
pub(super) struct Commit {
    ticket: Ticket,
    session: SessionId,
    request: u32,
    proposal: Proposal,
    reason: Option<OverrideReason>,
    pub(super) record: ProgramRecord,
    deadline: PumpTime,
}

/// Where programming stands.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one of it, and no heap")]
pub(super) enum Programming {
    Idle,
    Staged(Proposal),
    Committing(Commit),
}

impl Pump {
    pub(super) fn stage(&mut self, now: Now, session: SessionId, program: &Program) -> Outcome {
        if matches!(self.programming, Programming::Committing(_)) {
            return Outcome::Refused(Refused::Busy);
        }
        // A refused program leaves nothing staged: what would be committed is always what was staged last.
        self.programming = Programming::Idle;
        match self.propose(now, session, program) {
            Ok(proposal) => {
                let outcome = self.describe(now, &proposal);
                self.programming = Programming::Staged(proposal);
                outcome
            }
            Err(refused) => Outcome::Refused(refused),
        }
    }

    #[inline(never)]
    fn propose(
        &self,
        now: Now,
        session: SessionId,
        program: &Program,
    ) -> Result<Proposal, Refused> {
        if self.commissioning.is_none() {
            return Err(Refused::NotNow {
                why: NotNow::NotCommissioned,
            });
        }
        let prescription = to_prescription(program, &self.bounds, self.kind)?;
        if prescription.week().is_some() && self.clock.read(now.pump) == units::Clock::Lost {
            // A schedule that cannot be followed would begin with a fault.
            return Err(Refused::NotNow {
                why: NotNow::ClockLost,
            });
        }
        check_low_mark(program.low_mark_nl, &self.bounds)?;
        self.check_refill(program.fill.as_ref(), prescription.is_stopped())?;
        let mut program = to_wire(&prescription, program);
        let bridge = self.plan_bridge(&program, &prescription)?;
        if bridge.is_none() {
            program.bridge = None;
        }
        let judged = self.judge(now, &program, &prescription, bridge)?;
        let number = self.committed.number.saturating_add(1);
        Ok(Proposal {
            session,
            number,
            digest: Digest::of(&program, number),
            prescription,
            program,
            staged: judged,
            expires: now.carrier.saturating_add(COMMIT_WINDOW),
            latched: self.care.latched,
        })
    }

    /// A fill comes at the end of a guided refill: opened, aspirated, filled. Only a reservoir of which nothing is known is filled without.
    fn check_refill(&self, fill: Option<&Fill>, stops: bool) -> Result<(), Refused> {
        let Some(fill) = fill else {
            // What was taken out has to be made good, or the pump stopped.
            return if self.refills.refill.stage() == RefillStage::Aspirated && !stops {
                Err(Refused::WrongOrder {
                    expected: RefillStep::Confirm,
                })
            } else {
                Ok(())
            };
        };
        check_fill(fill, self.reservoir().level(), &self.bounds)?;
        let wrong = |expected| Err(Refused::WrongOrder { expected });
        match (self.refills.refill.stage(), fill.top_up) {
            (RefillStage::Closed, false) if self.committed.fill.is_none() => Ok(()),
            (RefillStage::Closed, _) => wrong(RefillStep::Open),
            (RefillStage::Open, false) => wrong(RefillStep::Aspirated),
            (RefillStage::Aspirated, true) => wrong(RefillStep::Confirm),
            (RefillStage::Open, true) if self.reservoir().level().is_none() => {
                wrong(RefillStep::Aspirated)
            }
            (RefillStage::Open, true) | (RefillStage::Aspirated, false) => Ok(()),
        }
    }

    /// Whether the change has to be bridged, and how.
    fn plan_bridge(
        &self,
        program: &Program,
        prescription: &Prescription,
    ) -> Result<Option<Bridge>, Refused> {
        let Some(content) = content_of(prescription) else {
            return Err(Refused::TooManyChanges);
        };
        let Some(record) = &self.path else {
            let changes = self
                .prescription
                .as_ref()
                .and_then(content_of)
                .is_some_and(|old| !old.is_same_liquid(&content));
            // Nobody knows how long the old liquid still flows: the catheter has to be told first.
            return if changes && KindRules::of(self.kind).bridge {
                Err(Refused::NoPath)
            } else {
                Ok(None)
            };
        };
        // What a stop names enters the path with the start behind it ([`Pump::change_path`]), and is bridged then.
        if prescription.is_stopped() || !is_bridge_needed(&record.path, &content, self.kind) {
            return Ok(None);
        }
        let Some(dose) = program.bridge else {
            return Err(self.bridge_needed(&record.path));
        };
        match Bridge::plan(&record.path, &content, rate(dose), &self.bounds, self.kind) {
            Ok(bridge) => Ok(Some(bridge)),
            Err(BridgeRefusal::NotNeeded) => Ok(None),
            Err(BridgeRefusal::Path(PathRefusal::TooManyChanges { .. })) => {
                Err(Refused::TooManyChanges)
            }
            Err(_) => Err(self.bridge_needed(&record.path)),
        }
    }

    /// The doses of the old primary drug that this pump can give as a bridge.
    fn bridge_needed(&self, path: &therapy::Path) -> Refused {
        let possible = |flow: Flow, up: bool| {
            let concentration = path.reservoir().primary()?.concentration;
            let volume = flow.volume_in(Duration::from_days(1))?;
            let mass = Mass::in_volume(volume, concentration);
            let whole = mass.nanograms_rounded_down();
            Some(if up && mass.nanograms_exact().is_none() {
                whole.saturating_add(1)
            } else {
                whole
            })
        };
        Refused::BridgeNeeded {
            lowest_ng_per_day: possible(self.bounds.lowest.flow(), true).unwrap_or(0),
            highest_ng_per_day: possible(self.bounds.highest.flow(), false).unwrap_or(0),
        }
    }

    fn judge(
        &self,
        now: Now,
        program: &Program,
        prescription: &Prescription,
        bridge: Option<Bridge>,
    ) -> Result<Judged, Refused> {
        let powered = self.powered(now.pump);
        let change =
            self.in_force
                .totals
                .change_to(prescription.drug(), prescription.day_total(), powered);
        // A stop asks nobody: it never has to wait, and its reason is not worth the minute.
        let soft = if prescription.is_stopped() {
            SoftFindings::default()
        } else {
            prescription
                .judge(&self.library, Some(change))
                .map_err(|refusal| over_limit(&refusal))?
        };
        if let (Some(bridge), Some(record)) = (&bridge, &self.path) {
            self.check_passages(&record.path, bridge, prescription)?;
        }
        let mut findings = soft
            .iter()
            .map(|finding| wire_finding(finding, &change))
            .collect::<heapless::Vec<_, 24>>();
        let mut needs_reason = soft.needs_reason();
        self.find_more(
            program,
            prescription,
            bridge.as_ref(),
            &mut findings,
            &mut needs_reason,
        );
        Ok(Judged {
            findings: List::of(findings),
            needs_reason,
            shown: self.shown(prescription),
            bridge,
        })
    }

    /// Every drug that reaches the tip stays below its hard limit, at the flow at which it does.
    fn check_passages(
        &self,
        path: &therapy::Path,
        bridge: &Bridge,
        prescription: &Prescription,
    ) -> Result<(), Refused> {
        let mut after = path.clone();
        if let Some(content) = content_of(prescription)
            && after.change(content, Some(bridge.target())).is_err()
        {
            return Err(Refused::TooManyChanges);
        }
        for passage in after.passages(prescription.highest_flow()) {
            for component in passage.content.components() {
                let limit = self.library.effective(component.drug).day.hard;
                if component.exceeds(passage.flow, limit.mass()) {
                    return Err(Refused::OverLimit {
                        limit_kind: LimitKind::DayNanograms,
                        drug: component.drug,
                        value: component
                            .per_day_rounded_down(passage.flow)
                            .map_or(u64::MAX, |mass| {
                                mass.nanograms_rounded_down().saturating_add(1)
                            }),
                        limit: u64::from(limit.get()),
                    });
                }
            }
        }
        Ok(())
    }

    fn find_more(
        &self,
        program: &Program,
        prescription: &Prescription,
        bridge: Option<&Bridge>,
        findings: &mut heapless::Vec<WireFinding, 24>,
        needs_reason: &mut bool,
    ) {
        let drug = prescription.drug();
        let mut add = |limit_kind, value: u64, limit: u64| {
            // There is room for all there can be.
            let _ = findings.push(WireFinding {
                limit_kind,
                drug,
                value: amount(value),
                limit: amount(limit),
            });
            *needs_reason = true;
        };
        if let Some(bridge) = bridge
            && let Some(level) = program
                .fill
                .map(|fill| Volume::from_nanolitres(fill.volume_nl))
                .or(self.reservoir().level())
            && bridge.exceeds(level, prescription.mean_flow())
        {
            let week = prescription
                .mean_flow()
                .volume_in(therapy::RESERVE)
                .unwrap_or(Volume::MAX);
            add(
                LimitKind::BridgeAndWeekNanolitres,
                u64::from(nanolitres(bridge.until_end().saturating_add(week))),
                u64::from(nanolitres(level)),
            );
        }
        if let Some(fill) = program.fill.filter(|fill| !fill.top_up)
            && let Some(expected) = self.refills.refill.expected()
            && let Some(aspirated) = self.refills.refill.volume_aspirated()
            && let Some(overfill) = Overfill::check(
                expected,
                aspirated,
                Volume::from_nanolitres(fill.volume_nl),
                Volume::ZERO,
                self.bounds.capacity,
            )
        {
            add(
                LimitKind::OverfillNanolitres,
                u64::from(nanolitres(overfill.would_hold)),
                u64::from(nanolitres(overfill.capacity)),
            );
        }
    }

    /// What a programmer has to show: the totals before and after, and the change between the two.
    fn shown(&self, prescription: &Prescription) -> Shown {
        let old = self.prescription.as_ref();
        let total = |prescription: &Prescription| prescription.day_total().nanograms_rounded_down();
        let (before, after) = (old.map(total), total(prescription));
        let same_drug = old.is_some_and(|old| old.drug() == prescription.drug());
        Shown {
            old_day_total_ng: before,
            new_day_total_ng: after,
            change_tenths_percent: before
                .filter(|before| same_drug && *before > 0)
                .map(|before| {
                    let (old, new) = (Mass::from_nanograms(before), Mass::from_nanograms(after));
                    let limit = if after < before { i32::MIN } else { i32::MAX };
                    tenths_of_percent(PercentChange::new(old, new)).unwrap_or(limit)
                }),
        }
    }

    pub(super) fn read_back(&self, now: Now, session: SessionId) -> Outcome {
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

    #[inline(never)]
    fn describe(&self, now: Now, proposal: &Proposal) -> Outcome {
        let prescription = &proposal.prescription;
        let left = proposal.expires.saturating_since(now.carrier);
        let largest = prescription.worst_case().one_day;
        let (flow, _) = self.program_flow(prescription, now.pump);
        Outcome::Staged(Staged {
            program: proposal.program.clone(),
            flow_nl_per_day: per_day(flow),
            old_day_total_ng: proposal.staged.shown.old_day_total_ng,
            new_day_total_ng: proposal.staged.shown.new_day_total_ng,
            change_tenths_percent: proposal.staged.shown.change_tenths_percent,
            largest_24h: List::of(prescription.mixture().ingredients().map(|ingredient| {
                DrugTotal {
                    drug: ingredient.drug,
                    total_ng: Mass::in_volume(largest, ingredient.concentration)
                        .nanograms_rounded_down(),
                }
            })),
            binding: Some(
                binding_volume_24h(prescription.mixture(), &self.library, Severity::Hard).drug,
            ),
            findings: proposal.staged.findings.clone(),
            needs_reason: proposal.staged.needs_reason,
            bridge: proposal.staged.bridge.map(|bridge| BridgePlan {
                flow_nl_per_day: per_day(bridge.flow()),
                volume_nl: nanolitres(bridge.volume()),
                duration_s: seconds(bridge.duration()),
            }),
            boluses_per_day: prescription.allotment().map_or(0, |allotment| {
                u16::try_from(allotment.most_in_a_day()).unwrap_or(u16::MAX)
            }),
            lockout_binds: prescription
                .binding()
                .is_some_and(|binding| binding == therapy::AllotmentLimit::Lockout),
            digest: proposal.digest,
            expires_in_ms: milliseconds(left),
        })
    }

    pub(super) fn cancel(&mut self, session: SessionId) -> Outcome {
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

    /// What was staged has to be staged anew.
    pub(super) fn discard_staged(&mut self) {
        if matches!(self.programming, Programming::Staged(_)) {
            self.programming = Programming::Idle;
        }
    }

    pub(super) fn link_closed(&mut self, session: SessionId) {
        match &self.programming {
            Programming::Staged(proposal) if proposal.session == session => {
                self.programming = Programming::Idle;
            }
            // A commit that has begun ends by itself; the phone asks for the program number when it is back.
            Programming::Staged(_) | Programming::Committing(_) | Programming::Idle => {}
        }
    }

    /// Answers at once with a refusal, or with nothing while the journal works.
    #[inline(never)]
    pub(super) fn commit(
        &mut self,
        now: Now,
        session: SessionId,
        request: u32,
        order: &CommitOrder,
        actions: &mut Actions,
    ) -> Option<Outcome> {
        let refused = |refused| Some(Outcome::Refused(refused));
        let proposal = match &self.programming {
            Programming::Committing(_) => return refused(Refused::Busy),
            Programming::Staged(proposal) if proposal.session == session => proposal.clone(),
            Programming::Staged(_) | Programming::Idle => return refused(Refused::NothingStaged),
        };
        if self.pending.is_some() && !proposal.prescription.is_stopped() {
            // Only a stop waits for nothing.
            return refused(Refused::Busy);
        }
        let mut give_up = |why| {
            self.programming = Programming::Idle;
            Some(Outcome::Refused(why))
        };
        if now.carrier >= proposal.expires {
            return give_up(Refused::StageExpired);
        }
        if order.digest != proposal.digest {
            return give_up(Refused::DigestMismatch);
        }
        if order.shown != proposal.staged.shown {
            return give_up(Refused::ShownDiffers {
                shown: order.shown,
                pump: proposal.staged.shown,
            });
        }
        if proposal.staged.needs_reason && order.reason.is_none() {
            // It stays staged: the reason is all that is missing.
            return refused(Refused::ReasonNeeded);
        }
        let record = self.record_of(now, &proposal);
        self.write_numbers(now, actions);
        let ticket = self.persist(StateKind::Program, actions);
        let stops = proposal.prescription.is_stopped();
        if stops {
            // A stop never waits for the journal (docs/therapy.md, "Durability, asymmetric").
            self.void_waiting_bolus();
            self.cancel_jobs(CancelReason::Stop, now, actions);
            self.prescription = Some(proposal.prescription.clone());
            self.programs = self.programs.wrapping_add(1);
        }
        self.programming = Programming::Committing(Commit {
            ticket,
            session,
            request,
            proposal,
            reason: order.reason,
            record,
            deadline: now.pump.saturating_add(PERSIST_LIMIT),
        });
        None
    }

    fn record_of(&self, now: Now, proposal: &Proposal) -> ProgramRecord {
        let at_most_steps = self.totals.now(now.pump).at_most_steps;
        let at = self.powered(now.pump);
        let fill = match proposal.program.fill {
            Some(Fill { volume_nl, top_up }) => {
                let there = if top_up {
                    self.reservoir().level().unwrap_or(Volume::ZERO)
                } else {
                    Volume::ZERO
                };
                let volume = there.saturating_add(Volume::from_nanolitres(volume_nl));
                Some(FillRecord {
                    volume_fl: volume.femtolitres(),
                    at_most_steps,
                    // A top-up makes nothing in the reservoir younger.
                    at: self
                        .committed
                        .fill
                        .filter(|_| top_up)
                        .map_or(at, |fill| fill.at),
                })
            }
            None => self.committed.fill,
        };
        let old = self
            .path
            .as_ref()
            .and_then(|record| record.path.reservoir().primary().copied());
        ProgramRecord {
            number: proposal.number,
            // With the fill as it was committed: a phone whose answer was lost compares the digest of exactly this.
            program: Some(proposal.program.clone()),
            fill,
            lost: false,
            at_most_steps,
            at,
            bridge: match (proposal.program.bridge, old) {
                (Some(dose), Some(old)) => {
                    Some((dose, old.concentration.nanograms_per_millilitre()))
                }
                _ => self.committed.bridge.filter(|_| self.is_bridging()),
            },
        }
    }

    pub(super) fn is_bridging(&self) -> bool {
        self.path
            .as_ref()
            .is_some_and(|record| record.path.is_bridging())
    }

    pub(super) fn commit_persisted(&mut self, now: Now, ticket: Ticket, actions: &mut Actions) {
        let commit = match core::mem::replace(&mut self.programming, Programming::Idle) {
            Programming::Committing(commit) if commit.ticket == ticket => commit,
            other => {
                self.programming = other;
                return;
            }
        };
        // This one is behind whatever else there was.
        self.unrecorded_stop = None;
        self.dirty.remove(StateKind::Program);
        self.put_into_force(now, commit, actions);
    }

    #[inline(never)]
    fn put_into_force(&mut self, now: Now, commit: Commit, actions: &mut Actions) {
        let Commit {
            session,
            request,
            proposal,
            reason,
            record,
            ..
        } = commit;
        let Proposal {
            prescription,
            program,
            staged,
            latched,
            ..
        } = proposal;
        self.end_faults(latched, now);
        let before_ng = staged.shown.old_day_total_ng;
        let changed = self.prescription.as_ref() != Some(&prescription);
        let bridged = staged.bridge.is_some();
        let powered = record.at;
        if changed || bridged || self.faults & fault::PROGRAM_LOST != 0 {
            let reason = if bridged {
                CancelReason::Bridge
            } else {
                CancelReason::Commit
            };
            self.cancel_jobs(reason, now, actions);
            let last = self.boluses.last_periodic;
            self.boluses.periodic = prescription.periodic().map(|periodic| {
                let start = match &program.mode {
                    protocol::Mode::PeriodicBolus(wanted) => wanted
                        .first_after_min
                        .map(|minutes| powered.saturating_add(Duration::from_minutes(minutes))),
                    _ => None,
                };
                PeriodicClock::committed(powered, periodic, last, start)
            });
        }
        if changed || program.fill.is_some() {
            // One lockout after any programming or refill.
            self.boluses.window.programmed(powered);
            self.dirty.insert(StateKind::Boluses);
        }
        self.in_force
            .totals
            .committed(prescription.drug(), prescription.day_total(), powered);
        self.in_force.program_number = record.number;
        self.dirty.insert(StateKind::InForce);
        self.change_path(&record, &prescription, actions);
        if let Some(fill) = program.fill {
            self.close_refill(powered, &fill, actions);
            self.clear(fault::EMPTY);
            self.status_changed |= changed::RESERVOIR;
        } else if self.refills.refill.is_open() {
            self.refill_without_fill(actions);
        }
        if !self.refills.refill.is_open() {
            self.latch(Fault::RefillNotConfirmed, false);
        }
        self.clear(fault::PROGRAM_LOST);
        self.state_lost = false;
        self.status_changed |= changed::PROGRAM;
        self.programming = Programming::Idle;
        actions.answer(
            session,
            answer(
                request,
                Outcome::Committed {
                    program_number: record.number,
                },
            ),
        );
        Counters::count(&mut self.counters.commits);
        self.tell_commit(
            Some(session),
            &record,
            before_ng,
            &prescription,
            reason,
            program.fill.is_some(),
            actions,
        );
        let ran = self
            .prescription
            .as_ref()
            .is_some_and(|old| !old.is_stopped());
        self.prescription = Some(prescription);
        self.programs = self.programs.wrapping_add(1);
        self.committed = record;
        if changed && ran {
            let hour_before = self.armed.map_or(0, |(hour, _)| hour);
            self.grant_overlap(hour_before, actions);
        }
    }

    /// A clinician has decided: what lasted when the program was staged is over.
    fn end_faults(&mut self, seen: Faults, now: Now) {
        if self.faulted && self.start_stopped {
            // The interlock is open again since this boot.
            self.faulted = false;
            self.start_stopped = false;
            self.latched.interlock_tripped = false;
            self.clear(fault::INTERLOCK);
        }
        let powered = self.powered(now.pump);
        let stops = [Fault::OverDelivery, Fault::ReverseDelivery];
        let unseen = |fault: Fault| self.care.latched.contains(fault) && !seen.contains(fault);
        if stops.iter().any(|fault| seen.contains(*fault))
            && !stops.iter().any(|fault| unseen(*fault))
        {
            self.supervision.clear_stop(powered);
        }
        if seen.contains(Fault::ResumedAtMinimum) {
            self.supervision.clear_resumed_at_minimum();
        }
        for fault in dosing::LATCHING {
            if fault != Fault::RefillNotConfirmed && seen.contains(fault) {
                self.latch(fault, false);
            }
        }
        self.bridge_lost = false;
        self.faults_now.set(Fault::BridgeLost, false);
    }

    /// What is in the reservoir from now on enters the path behind what is there.
    fn change_path(
        &mut self,
        record: &ProgramRecord,
        prescription: &Prescription,
        actions: &mut Actions,
    ) {
        let Some(path) = &mut self.path else {
            return;
        };
        path.program_number = record.number;
        if let Some(content) = super::content_that_flows(prescription) {
            let was = path.path.is_bridging();
            // It was possible when it was staged; nothing has entered the path since that was not there then.
            let _ = path.path.change(content, target_of(record));
            if !was && path.path.is_bridging() {
                append(
                    None,
                    Record::BridgeStarted {
                        volume_nl: nanolitres(path.path.until_bridge_end()),
                        flow_nl_per_day: path.path.bridge_flow().map_or(0, per_day),
                    },
                    actions,
                );
            }
        }
        self.dirty.insert(StateKind::Path);
    }

    fn close_refill(&mut self, powered: PoweredTime, fill: &Fill, actions: &mut Actions) {
        let refill = self.refills.refill;
        let filled = Volume::from_nanolitres(fill.volume_nl);
        let mut told = (None, None);
        if fill.top_up {
            if let Ok(closed) = refill.topped_up(powered) {
                told.0 = refill.expected().map(nanolitres);
                self.refills.refill = closed;
            }
        } else if let Ok((closed, done)) = refill.filled(powered, filled) {
            told = (
                refill.expected().map(nanolitres),
                Some(nanolitres(done.aspirated)),
            );
            if let Some(discrepancy) = &done.discrepancy {
                self.refills.trend.record(discrepancy);
            }
            self.refills.refill = closed;
        }
        self.dirty.insert(StateKind::Refills);
        append(
            None,
            Record::Refill {
                expected_nl: told.0,
                aspirated_nl: told.1,
                filled_nl: fill.volume_nl,
            },
            actions,
        );
    }

    /// A commit without a fill says of an open refill that nothing was changed, as far as nothing was aspirated.
    fn refill_without_fill(&mut self, actions: &mut Actions) {
        if let Ok(closed) = self.refills.refill.nothing_changed() {
            self.refills.refill = closed;
            self.dirty.insert(StateKind::Refills);
            append(None, Record::RefillClosed {}, actions);
        }
    }

    pub(super) fn commit_failed(&mut self, ticket: Ticket, actions: &mut Actions) {
        match &self.programming {
            Programming::Committing(commit) if commit.ticket == ticket => self.abandon(actions),
            Programming::Committing(_) | Programming::Staged(_) | Programming::Idle => {}
        }
    }

    pub(super) fn expire_commit(&mut self, now: Now, actions: &mut Actions) {
        match &self.programming {
            Programming::Committing(commit) if now.pump >= commit.deadline => {
                self.storage_failed();
                self.abandon(actions);
            }
            Programming::Committing(commit) => actions.call_by(commit.deadline),
            Programming::Staged(_) | Programming::Idle => {}
        }
    }

    /// A commit that was not done. One bank may already hold it, so what is in force is written again: a record that
    /// lands late is void. A stop is in force although it was not recorded, and is recorded until it is.
    fn abandon(&mut self, actions: &mut Actions) {
        let Programming::Committing(commit) =
            core::mem::replace(&mut self.programming, Programming::Idle)
        else {
            return;
        };
        let stops = commit.proposal.prescription.is_stopped();
        self.dirty.insert(StateKind::Program);
        actions.answer(
            commit.session,
            answer(
                commit.request,
                if stops {
                    Outcome::StoppedNotRecorded
                } else {
                    Outcome::Refused(Refused::NotDone)
                },
            ),
        );
        append(
            Some(commit.session),
            Record::CommitNotDone {
                number: commit.record.number,
            },
            actions,
        );
        if stops {
            self.unrecorded_stop = Some(commit.record);
        }
    }

    /// A stop has been recorded at last.
    pub(super) fn record_stop(&mut self, actions: &mut Actions) {
        let Some(record) = self.unrecorded_stop.take() else {
            return;
        };
        self.status_changed |= changed::PROGRAM;
        Counters::count(&mut self.counters.commits);
        if let Some(prescription) = self.prescription.take() {
            self.in_force.totals.committed(
                prescription.drug(),
                prescription.day_total(),
                record.at,
            );
            self.in_force.program_number = record.number;
            self.dirty.insert(StateKind::InForce);
            self.tell_commit(None, &record, None, &prescription, None, false, actions);
            self.prescription = Some(prescription);
        }
        self.committed = record;
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what one record says, of one caller's knowledge"
    )]
    fn tell_commit(
        &mut self,
        session: Option<SessionId>,
        record: &ProgramRecord,
        before_ng: Option<u64>,
        prescription: &Prescription,
        reason: Option<OverrideReason>,
        filled: bool,
        actions: &mut Actions,
    ) {
        let Some(program) = &record.program else {
            return;
        };
        append(
            session,
            Record::ProgramCommitted {
                number: record.number,
                drug: prescription.drug(),
                concentration_ng_per_ml: program.primary.concentration_ng_per_ml,
                mode: ModeName::from(&program.mode),
                before_ng,
                total_ng: prescription.day_total().nanograms_rounded_down(),
                filled_nl: record
                    .fill
                    .filter(|_| filled)
                    .map(|fill| nanolitres(Volume::from_femtolitres(fill.volume_fl))),
                reason,
            },
            actions,
        );
        self.parts_told = Some(0);
    }

    /// Tells the log the whole program, a part a second: the queue to the flash is short.
    pub(super) fn record_program(&mut self, actions: &mut Actions) {
        let (Some(offset), Some(program)) = (self.parts_told, &self.committed.program) else {
            return;
        };
        if self.latest < self.part_at {
            actions.call_by(self.part_at);
            return;
        }
        self.part_at = self.latest.saturating_add(Duration::from_seconds(1));
        let mut buffer = [0; crate::kept::STATE_BYTES];
        let bytes = postcard::to_slice(program, &mut buffer).map_or(&[][..], |used| &*used);
        let rest = bytes.get(usize::from(offset)..).unwrap_or(&[]);
        let part = rest.get(..PROGRAM_PART_BYTES).unwrap_or(rest);
        if part.is_empty() {
            self.parts_told = None;
            return;
        }
        if let Some(part) = Bytes::new(part) {
            append(
                None,
                Record::ProgramPart {
                    number: self.committed.number,
                    offset,
                    part,
                },
                actions,
            );
        }
        let told = u16::try_from(part.len()).unwrap_or(u16::MAX);
        self.parts_told = Some(offset.saturating_add(told));
        actions.call_by(self.part_at);
    }

    /// The single bolus of the program in force, if it was not spent yet.
    pub(super) fn single_bolus_due(&self) -> Option<JobOrder> {
        let (steps, duration) = self.prescription.as_ref()?.single_bolus()?;
        if self.boluses.single_done >= self.committed.number {
            return None;
        }
        JobOrder::new(self.next_job(), JobKind::SingleBolus, steps, duration).ok()
    }
}

/// A change in tenths of a percent, to the nearest, halves away from zero; none where nothing can be compared or it cannot be held.
fn tenths_of_percent(change: PercentChange) -> Option<i32> {
    let (old, new) = (change.old().zeptograms(), change.to().zeptograms());
    let divisor = core::num::NonZeroU128::new(old)?;
    let ratio = units::Ratio::new(new.abs_diff(old), divisor);
    let twentieths = ratio.times_rounded_down(2_000)?;
    let tenths = i32::try_from(twentieths.div_ceil(2)).ok()?;
    Some(if new < old {
        tenths.saturating_neg()
    } else {
        tenths
    })
}

fn wire_finding(finding: &Finding, change: &Change) -> WireFinding {
    let percent = |change| u64::from(tenths_of_percent(change).unwrap_or(i32::MAX).unsigned_abs());
    let of = |limit_kind, drug: Drug, value: u64, limit: u64| WireFinding {
        limit_kind,
        drug,
        value: amount(value),
        limit: amount(limit),
    };
    let ng = |limit: therapy::Nanograms| u64::from(limit.get());
    match *finding {
        Finding::Day {
            drug,
            asked_ng,
            limit,
        } => of(LimitKind::DayNanograms, drug, asked_ng, ng(limit)),
        Finding::Concentration { drug, asked, limit } => of(
            LimitKind::ConcentrationNanogramsPerMillilitre,
            drug,
            u64::from(asked.nanograms_per_millilitre()),
            u64::from(limit.nanograms_per_millilitre()),
        ),
        Finding::Bolus {
            drug,
            asked_ng,
            limit,
        } => of(LimitKind::BolusNanograms, drug, asked_ng, ng(limit)),
        Finding::Start {
            drug,
            asked_ng,
            limit,
        } => of(LimitKind::StartNanograms, drug, asked_ng, ng(limit)),
        Finding::Titration {
            drug,
            rise_ng,
            limit: Titration::PerDay(limit),
        } => of(LimitKind::IncreaseNanograms, drug, rise_ng, ng(limit)),
        Finding::Titration {
            drug,
            limit: Titration::Percent(limit),
            ..
        } => of(
            LimitKind::IncreaseTenthsPercent,
            drug,
            percent(change.rise()),
            u64::from(limit).saturating_mul(10),
        ),
        Finding::Doubled {
            drug,
            asked_ng,
            lowest_ng,
        } => of(
            LimitKind::DoubledNanograms,
            drug,
            asked_ng,
            lowest_ng.saturating_mul(2),
        ),
        Finding::RiseTooSoon {
            drug,
            since,
            interval,
        } => of(
            LimitKind::IncreaseIntervalHours,
            drug,
            since.seconds_rounded_down() / 3_600,
            interval.seconds_rounded_down() / 3_600,
        ),
        Finding::Drop {
            drug,
            percent: limit,
            ..
        } => of(
            LimitKind::DecreaseTenthsPercent,
            drug,
            percent(change.drop()),
            u64::from(limit).saturating_mul(10),
        ),
        Finding::ManyBoluses { asked, limit } => of(
            LimitKind::BolusesPerDay,
            Drug::Morphine,
            u64::from(asked),
            u64::from(limit),
        ),
        Finding::OffLabel { drug } => of(LimitKind::OffLabel, drug, 0, 0),
    }
}

fn amount(value: u64) -> Amount {
    Amount::new(value).unwrap_or(Amount::LARGEST)
}

fn milliseconds(duration: Duration) -> u32 {
    let whole = duration.micros().checked_div(1000).unwrap_or(0);
    u32::try_from(whole).unwrap_or(u32::MAX)
}
