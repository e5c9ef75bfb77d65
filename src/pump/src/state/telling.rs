//! What the pump tells: its status, and what therapy is doing.

use super::Pump;
use super::orders::{out_of, rounded_up, wire_denial};
use super::programming::Programming;
use crate::program::{nanolitres, per_day, seconds};
use protocol::program::DrugTotal;
use protocol::status::fault;
use protocol::therapy::{
    AlarmState as WireAlarm, BolusAvailability, BridgeStatus, JobKind as WireJob, JobStatus,
    LibraryEntry, PathStatus, RefillDates, RefillLimit, Refills, Response as WireResponse,
    ServiceState, ServiceStatus, Slug, TherapyStatus, TrialStatus,
};
use protocol::{
    CardBolus, Component, DeliveryState, EmergencyCard, Field, Fingerprint, Lifecycle, Limits,
    List, Outcome, Refused, Status,
};
use therapy::{
    Alarm, AlarmClass, AlarmSet, AlarmState, DiaryPeriod, DrugEntry, Fault, Fill, Forecast,
    JobKind, KindRules, RefillCaps, RefillLimit as Limit, Response, ServiceLimits, ServicePhase,
    Titration,
};
use units::{AlarmKind, Date, Drug, Duration, Flow, Mass, Now, PumpKind, Volume};

impl Pump {
    /// Deliverable volume left, by `at_most`; none while no fill is known.
    pub(super) fn reservoir_level(&self) -> Option<Volume> {
        self.reservoir().level()
    }

    /// Where in its life the pump is: what a role may do depends on it.
    #[must_use]
    pub fn lifecycle(&self) -> Lifecycle {
        if self.faults_now.contains(Fault::EndOfService) {
            Lifecycle::EndOfService
        } else if self.committed.number == 0 && !self.committed.lost {
            Lifecycle::Factory
        } else {
            Lifecycle::InService
        }
    }

    /// Everything a programmer shows.
    #[inline(never)]
    pub(super) fn status_outcome(&self, now: Now) -> Outcome {
        let totals = self.totals.now(now.pump);
        let bounds = &self.bounds;
        Outcome::Status(Status {
            boot: self.boot,
            pump_time_ms: now.pump.micros().checked_div(1000).unwrap_or(0),
            clock: self.clock.read(now.pump),
            program_number: self.committed.number,
            program: self.committed.program.clone(),
            delivery: self.delivery_state(),
            flow_nl_per_day: per_day(self.basal),
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
                lowest_nl_per_day: per_day(bounds.lowest.flow()),
                highest_nl_per_day: per_day(bounds.highest.flow()),
                capacity_nl: nanolitres(bounds.capacity),
                step_volume_fl: bounds.step_volume.femtolitres(),
            },
            faults: self.faults,
            powered_s: totals.powered_s,
            records_lost: self.counters.records_lost,
        })
    }

    pub(super) fn delivery_state(&self) -> DeliveryState {
        if self.faulted || self.response.is_stop() || self.faults & fault::PROGRAM_LOST != 0 {
            return DeliveryState::Faulted;
        }
        let running = self.jobs.running().map(|job| job.order().kind());
        match (running, self.response) {
            (Some(JobKind::Prime), _) => DeliveryState::Priming,
            _ if self.is_bridging() && !self.basal.is_zero() => DeliveryState::Bridging,
            (_, Response::MinimumRate) => DeliveryState::MinimumRate,
            (_, Response::HoldLast) => DeliveryState::HoldLast,
            (Some(_), _) => DeliveryState::Running,
            _ if self.basal == self.bounds.minimum_rate.flow()
                && KindRules::of(self.kind).minimum_rate =>
            {
                DeliveryState::MinimumRate
            }
            _ if self.basal > Flow::ZERO => DeliveryState::Running,
            _ if self.committed.program.is_some() => DeliveryState::Stopped,
            _ => DeliveryState::NotProgrammed,
        }
    }

    /// What therapy is doing.
    #[inline(never)]
    pub(super) fn therapy_outcome(&self, now: Now, slot: u8) -> Outcome {
        let powered = self.powered(now.pump);
        let mri = self.care.mri.until();
        Outcome::Therapy(TherapyStatus {
            kind: self.kind,
            response: match self.response {
                Response::StopLatched | Response::EndOfService | Response::Stop => {
                    WireResponse::Stopped
                }
                Response::MinimumRate => WireResponse::MinimumRate,
                Response::KeepVeinOpen => WireResponse::KeepOpen,
                Response::HoldLast
                | Response::LowerOfBridgeAndMean
                | Response::LowerOfBridgeAndNew => WireResponse::HoldLast,
                Response::BasalOnly | Response::Normal => WireResponse::Normal,
            },
            fault_policy: self.policy(),
            last_number: self.last_number(slot),
            storing: self.storing(),
            job: self.job_status(now),
            bolus: self.availability(now),
            bridge: self.bridge_status(),
            mass_24h: List::of(self.prescription.iter().flat_map(|program| {
                program.mixture().ingredients().map(|ingredient| DrugTotal {
                    drug: ingredient.drug,
                    total_ng: self.boluses.window.nanograms(ingredient.drug, powered),
                })
            })),
            alarms: List::of(AlarmKind::ALL.iter().filter_map(|alarm| {
                let (active, acknowledged) = match self.care.alarms.state(*alarm) {
                    AlarmState::Inactive => return None,
                    AlarmState::Active => (true, false),
                    AlarmState::Latched => (false, false),
                    AlarmState::Acknowledged => (true, true),
                };
                Some(WireAlarm {
                    alarm: *alarm,
                    active,
                    acknowledged,
                })
            })),
            sounding: self.care.alarms.sounding().highest(),
            refill: self.refill_dates(now),
            refill_open_s: self
                .refills
                .refill
                .since()
                .map(|since| seconds(powered.saturating_since(since))),
            last_discrepancy_tenths_percent: self.last_discrepancy(),
            service: self.service_status(now),
            trial: self.care.trial.map(|trial| TrialStatus {
                ends_in_s: seconds(trial.time_left(powered)),
                verdict: self.care.diary.verdict().map(|verdict| verdict.successful),
                baseline_scores: self.care.diary.count(DiaryPeriod::Baseline),
                trial_scores: self.care.diary.count(DiaryPeriod::Trial),
            }),
            mri_left_s: mri.map(|until| rounded_up(until.saturating_since(powered))),
            zone_min: self.care.zone.minutes(),
            library_version: self.library.hospital().map_or(0, |library| library.version),
        })
    }

    fn job_status(&self, now: Now) -> Option<JobStatus> {
        let job = self.jobs.running()?;
        let step = self.bounds.step_volume;
        let since = self.delivery.finite_steps(now.pump).unwrap_or(0);
        let delivered = u64::from(self.job_before)
            .saturating_add(since)
            .min(u64::from(job.order().steps()));
        let left = self
            .delivery
            .finite_ends()
            .map_or(Duration::ZERO, |end| end.saturating_since(now.pump));
        Some(JobStatus {
            number: job.order().id(),
            kind: match job.order().kind() {
                JobKind::PatientBolus => WireJob::PatientBolus,
                JobKind::ClinicianBolus { .. } => WireJob::ClinicianBolus,
                JobKind::PeriodicBolus => WireJob::PeriodicBolus,
                JobKind::SingleBolus => WireJob::SingleBolus,
                JobKind::Prime => WireJob::Prime,
            },
            delivered_nl: nanolitres(step.volume_of(delivered).unwrap_or(Volume::MAX)),
            volume_nl: nanolitres(job.order().volume(step)),
            left_s: rounded_up(left),
        })
    }

    fn availability(&self, now: Now) -> Option<BolusAvailability> {
        let rule = self.prescription.as_ref()?.patient_rule()?;
        let powered = self.powered(now.pump);
        let denial = self.patient_grant(now).err();
        Some(BolusAvailability {
            taken_in_24h: self.boluses.window.number(powered),
            per_day: rule.per_day(),
            next_in_s: match &denial {
                None => Some(0),
                Some(denial) => denial.remaining().map(rounded_up),
            },
            denial: denial.as_ref().map(wire_denial),
        })
    }

    fn bridge_status(&self) -> Option<BridgeStatus> {
        let path = &self.path.as_ref()?.path;
        let flow = path.bridge_flow()?;
        Some(BridgeStatus {
            left_nl: nanolitres(path.until_bridge_end()),
            left_s: path.bridge_time_left().map_or(u32::MAX, seconds),
            flow_nl_per_day: per_day(flow),
        })
    }

    /// By how much the newest of the refills differed, in tenths of a percent of what was delivered: positive when the pump gave more.
    fn last_discrepancy(&self) -> Option<i32> {
        self.refills
            .trend
            .newest_first()
            .next()
            .and_then(difference)
    }

    fn refill_dates(&self, now: Now) -> Option<RefillDates> {
        let program = self.prescription.as_ref()?;
        let level = self.reservoir_level()?;
        let day = Duration::from_days(1);
        let basal = program.basal_plan().largest_volume_in_window(day)?;
        let all = program.worst_case().one_day;
        let flow = |volume| Flow::of_volume_over(volume, day);
        let forecast = Forecast::new(level, self.low_mark(), flow(basal)?, flow(all)?);
        let worst = forecast.with_boluses;
        let mut dates = RefillDates {
            basal_only_day: None,
            with_boluses_day: None,
            worst_case_day: None,
            limited_by: RefillLimit::Volume,
            alarm_in_s: worst.to_low_mark.map(seconds),
            empty_in_s: worst.to_empty.map(seconds),
        };
        if let Some(wall) = self.clock.read(now.pump).wall() {
            let zone = self.care.zone.minutes();
            let powered = self.powered(now.pump);
            let limits = &ServiceLimits::IMPLANT;
            let replacement = (self.kind != PumpKind::ExternalTrial)
                .then(|| self.care.service.dates(powered, Some(wall), zone, limits))
                .flatten()
                .map(|dates| dates.refill_cap(self.care.service.phase()));
            let stable = program.mixture().stability(Fill::Later);
            let stability = self.committed.fill.map(|fill| {
                let left = fill.at.saturating_add(stable).saturating_since(powered);
                Date::saturating_of(wall.saturating_add(left), zone)
            });
            let caps = RefillCaps {
                stability,
                replacement,
            };
            let found = forecast.refill_dates(wall, zone, caps);
            dates.basal_only_day = day_number(found.basal_only.date);
            dates.with_boluses_day = day_number(found.with_boluses.date);
            dates.worst_case_day = day_number(found.worst_case.date);
            dates.limited_by = match found.with_boluses.limit {
                Limit::LowMark | Limit::Calendar => RefillLimit::Volume,
                Limit::Stability => RefillLimit::Stability,
                Limit::Replacement => RefillLimit::Replacement,
            };
        }
        Some(dates)
    }

    fn service_status(&self, now: Now) -> ServiceStatus {
        let powered = self.powered(now.pump);
        let limits = &ServiceLimits::IMPLANT;
        let service = &self.care.service;
        let wall = self.clock.read(now.pump).wall();
        let dates = service.dates(powered, wall, self.care.zone.minutes(), limits);
        let left = service.time_left(powered, limits).seconds_rounded_down() / 86_400;
        ServiceStatus {
            state: match service.phase() {
                ServicePhase::Normal => ServiceState::Good,
                ServicePhase::Eri => ServiceState::ReplacementDue,
                ServicePhase::Replace => ServiceState::ReplaceNow,
                ServicePhase::Eos => ServiceState::Ended,
            },
            eri_day: dates.and_then(|dates| day_number(dates.eri)),
            replace_by_day: dates.and_then(|dates| day_number(dates.replace_by)),
            eos_day: dates.and_then(|dates| day_number(dates.eos)),
            days_left: u16::try_from(left).ok(),
            shortened: service.is_shortened(limits),
        }
    }

    /// Whether a critical alarm is active: a test tone must not be taken for it.
    #[must_use]
    pub fn critical_alarm(&self) -> bool {
        self.care
            .alarms
            .sounding()
            .iter()
            .any(|alarm| Alarm::of(alarm).class == AlarmClass::Critical)
    }

    /// What whoever treats the patient must know, readable by presence alone.
    #[inline(never)]
    #[must_use]
    pub fn card(&self, now: Now) -> EmergencyCard {
        let powered = self.powered(now.pump);
        let program = self.prescription.as_ref();
        let day = self
            .basal
            .volume_in(Duration::from_days(1))
            .unwrap_or(Volume::MAX);
        let dose = program.map(|program| Mass::in_volume(day, program.concentration()));
        let mut left = self.care.alarms.sounding();
        EmergencyCard {
            version: protocol::VERSION,
            pump: self
                .public_key()
                .map_or(Fingerprint([0; 8]), |key| key.fingerprint()),
            delivery: self.delivery_state(),
            drugs: List::of(program.iter().flat_map(|program| {
                program.mixture().ingredients().map(|ingredient| Component {
                    drug: ingredient.drug,
                    concentration_ng_per_ml: ingredient.concentration.nanograms_per_millilitre(),
                })
            })),
            flow_nl_per_day: nanolitres(day.saturating_add(HALF_NANOLITRE)),
            dose_ng_per_day: dose.map_or(0, nearest_nanograms),
            reservoir_nl: self.reservoir_level().map(nanolitres),
            last_bolus: program.and_then(|program| {
                let (at, dose_ng) = self.boluses.window.newest(program.drug())?;
                Some(CardBolus {
                    dose_ng: u64::from(dose_ng),
                    ago_min: seconds(powered.saturating_since(at)) / 60,
                })
            }),
            alarms: List::of(core::iter::from_fn(|| {
                let highest = left.highest()?;
                left = left.without(AlarmSet::of(highest));
                Some(highest)
            })),
            clock: self.clock.read(now.pump),
        }
    }

    /// What is in the path, the content at the tip first.
    pub(super) fn path_outcome(&self) -> Outcome {
        let mut status = PathStatus {
            path_nl: None,
            slugs: List::new(),
        };
        if let Some(record) = &self.path {
            status.path_nl = Some(nanolitres(record.path.volume()));
            let slug = |volume, components: &[therapy::Component]| Slug {
                left_nl: nanolitres(volume),
                components: List::of(components.iter().map(|component| Component {
                    drug: component.drug,
                    concentration_ng_per_ml: component.concentration.nanograms_per_millilitre(),
                })),
            };
            for part in record.path.slugs() {
                // There are no more in a path.
                let _ = status
                    .slugs
                    .push(slug(part.volume(), part.content().components()));
            }
            let rest = record.path.rest();
            if rest != Volume::ZERO {
                let _ = status
                    .slugs
                    .push(slug(rest, record.path.reservoir().components()));
            }
        }
        Outcome::Path(status)
    }

    /// The limits in force for a drug.
    pub(super) fn library_outcome(&self, drug: Drug) -> Outcome {
        let limits = self.library.effective(drug);
        let entry = DrugEntry::of(drug);
        let ng = |limit: therapy::Nanograms| u64::from(limit.get());
        let tenths = |percent: u8| u16::from(percent).saturating_mul(10);
        Outcome::Library(LibraryEntry {
            version: self.library.hospital().map_or(0, |library| library.version),
            drug,
            concentration_soft_ng_per_ml: Some(
                limits.concentration.soft.nanograms_per_millilitre(),
            ),
            concentration_hard_ng_per_ml: limits.concentration.hard.nanograms_per_millilitre(),
            start_soft_ng: Some(ng(entry.start.value.highest)),
            day_soft_ng: Some(ng(limits.day.soft)),
            day_hard_ng: ng(limits.day.hard),
            bolus_soft_ng: Some(ng(limits.bolus.soft)),
            bolus_hard_ng: ng(limits.bolus.hard),
            increase_soft_tenths_percent: match limits.titration {
                Titration::Percent(percent) => Some(tenths(percent)),
                Titration::PerDay(_) => None,
            },
            increase_hard_tenths_percent: None,
            decrease_soft_tenths_percent: entry.drop_percent.map(|percent| tenths(percent.value)),
            increase_interval_h: u16::try_from(
                entry.rise_interval.value.seconds_rounded_down() / 3_600,
            )
            .ok(),
            stability_days: u16::try_from(
                entry.stability.of(Fill::Later).seconds_rounded_down() / 86_400,
            )
            .unwrap_or(u16::MAX),
            fault_policy: entry.fault_policy.value,
            unattended_resume_h: u16::try_from(
                entry.unattended_resume.value.seconds_rounded_down() / 3_600,
            )
            .unwrap_or(u16::MAX),
        })
    }

    /// A few refills, newest first.
    pub(super) fn refills_outcome(&self, from: u8) -> Result<Outcome, Refused> {
        let known = u8::try_from(self.refills.trend.newest_first().count()).unwrap_or(u8::MAX);
        if from > known {
            return Err(out_of(
                Field::RefillNumber,
                u64::from(from),
                0,
                u64::from(known),
            ));
        }
        let entries = self
            .refills
            .trend
            .newest_first()
            .skip(usize::from(from))
            .map(|entry| protocol::therapy::Refill {
                programmed_nl: nanolitres(entry.programmed_out()),
                delivered_nl: nanolitres(entry.actually_out()),
                discrepancy_tenths_percent: difference(entry),
            });
        Ok(Outcome::Refills(Refills {
            known,
            entries: List::of(entries),
        }))
    }
}

const HALF_NANOLITRE: Volume = Volume::from_femtolitres(500_000);

/// A mass in whole nanograms, to the nearest.
fn nearest_nanograms(mass: Mass) -> u64 {
    let nanogram = Mass::from_nanograms(1).zeptograms();
    let half = nanogram.checked_div(2).unwrap_or_default();
    let whole = mass
        .zeptograms()
        .saturating_add(half)
        .checked_div(nanogram)
        .unwrap_or_default();
    u64::try_from(whole).unwrap_or(u64::MAX)
}

/// Actual less programmed, in tenths of a percent of the programmed, to the nearest.
fn difference(entry: &therapy::TrendEntry) -> Option<i32> {
    let programmed = i64::try_from(entry.programmed_out().nanolitres_rounded_down()).ok()?;
    let actual = i64::try_from(entry.actually_out().nanolitres_rounded_down()).ok()?;
    let tenths = actual
        .checked_sub(programmed)?
        .checked_mul(1_000)?
        .checked_div(programmed)?;
    i32::try_from(tenths).ok()
}

/// A day as the wire counts it, from 2020-01-01.
fn day_number(date: Date) -> Option<u16> {
    u16::try_from(date.days_since(Date::FIRST)).ok()
}
