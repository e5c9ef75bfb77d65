//! What the pump says of therapy, as it is shown: alarms, boluses, bridge, refills, service life, the path to the tip.
use protocol::therapy::Left;
use protocol::{
    AlarmState, BolusAvailability, BridgeStatus, JobStatus, PathStatus, RefillDates, Response,
    ServiceState, ServiceStatus, Slug, TherapyStatus, TrialStatus,
};
use serde::Serialize;
use therapy::{Alarm, AlarmClass};
use units::AlarmKind;

use crate::text;

/// A discrepancy above this is flagged, in tenths of a percent (docs/therapy.md, "Reservoir and refill").
const DISCREPANCY_TENTHS: u32 = 145;

/// Therapy, every value as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TherapyView {
    /// What the pump is.
    pub kind: &'static str,
    /// How it follows its program.
    pub response: String,
    /// It follows it as programmed.
    pub as_programmed: bool,
    /// What it does about a fault.
    pub fault_policy: &'static str,
    /// Critical ones first, each class by its priority.
    pub alarms: Vec<AlarmView>,
    /// The bolus or prime under way.
    pub job: Option<Progress>,
    /// The bridge under way.
    pub bridge: Option<Progress>,
    /// What the patient may ask for now.
    pub patient_bolus: Option<String>,
    /// What may have been given at most in the last 24 h, a drug a line.
    pub last_day: Vec<String>,
    /// When to refill.
    pub refill: Option<RefillView>,
    /// A refill is open, and since when.
    pub refill_open: Option<String>,
    /// What the last refill said about the pump's accuracy.
    pub discrepancy: Option<String>,
    /// That is more than can be explained.
    pub discrepancy_flagged: bool,
    /// The service life.
    pub service: ServiceView,
    /// The trial.
    pub trial: Option<String>,
    /// MRI mode.
    pub mri: Option<String>,
    /// Local time against UTC.
    pub zone: String,
    /// The drug library in force.
    pub library: String,
}

/// An alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlarmView {
    /// The name to acknowledge it by.
    pub name: &'static str,
    /// The same, for the beginning of a line.
    pub title: String,
    /// It is a critical one.
    pub critical: bool,
    /// `active`, or `latched` when its cause has gone.
    pub state: &'static str,
    /// A clinician has acknowledged it.
    pub acknowledged: bool,
    /// It is the one that is heard.
    pub sounding: bool,
}

/// Something that runs to an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// What it is.
    pub name: String,
    /// How far it is.
    pub done: String,
    /// How long it takes still.
    pub left: String,
    /// Done in thousandths; none when the whole is not known.
    pub per_mille: Option<u32>,
}

/// When to refill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefillView {
    /// With every bolus allotted: the one to book.
    pub with_boluses: String,
    /// At the basal rate alone: the latest.
    pub basal_only: String,
    /// With every bolus, and the pump as fast as its accuracy allows.
    pub worst_case: String,
    /// What sets these dates.
    pub limited_by: &'static str,
    /// Time until the low reservoir alarm.
    pub alarm_in: Option<String>,
    /// Time until it is empty.
    pub empty_in: Option<String>,
}

/// The service life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceView {
    /// In a few words.
    pub state: String,
    /// Nothing has to be done.
    pub good: bool,
    /// Elective replacement.
    pub replacement_due: String,
    /// Delivery ends.
    pub ends: String,
    /// The dates are no promise.
    pub shortened: bool,
}

/// What is in the path from the reservoir to the tip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathView {
    /// What is at the tip, by estimate.
    pub tip: String,
    /// The volume of the path.
    pub volume: Option<String>,
    /// Everything in it, the one at the tip first.
    pub slugs: Vec<String>,
}

impl TherapyView {
    /// From the therapy status.
    #[must_use]
    pub fn of(therapy: &TherapyStatus) -> Self {
        let discrepancy = therapy.last_discrepancy_tenths_percent;
        Self {
            kind: therapy.kind.name(),
            response: text::sentence(therapy.response.text()),
            as_programmed: therapy.response == Response::Normal,
            fault_policy: therapy.fault_policy.name(),
            alarms: alarms(&therapy.alarms, therapy.sounding),
            job: therapy.job.as_ref().map(job),
            bridge: therapy.bridge.as_ref().map(bridge),
            patient_bolus: therapy.bolus.as_ref().map(patient_bolus),
            last_day: therapy
                .mass_24h
                .iter()
                .map(|total| format!("{} {}", total.drug.name(), text::mass(total.total_ng, total.drug)))
                .collect(),
            refill: therapy.refill.as_ref().map(refill),
            refill_open: therapy.refill_open_s.map(|seconds| {
                format!(
                    "A refill has been open for {}: boluses are refused. Commit the new fill, or say that nothing was changed.",
                    Left(seconds)
                )
            }),
            discrepancy: discrepancy.map(|tenths| {
                let side = match tenths {
                    0 => "",
                    1.. => ": more was given than reckoned",
                    _ => ": less was given than reckoned",
                };
                format!("{}{side}", text::tenths_percent(tenths))
            }),
            discrepancy_flagged: discrepancy
                .is_some_and(|tenths| tenths.unsigned_abs() > DISCREPANCY_TENTHS),
            service: service(&therapy.service),
            trial: therapy.trial.as_ref().map(trial),
            mri: therapy
                .mri_left_s
                .map(|seconds| format!("MRI mode: tones are deferred for {}", Left(seconds))),
            zone: zone(therapy.zone_min),
            library: match therapy.library_version {
                0 => "built-in limits only".to_owned(),
                version => format!("hospital library, version {}", text::count(u64::from(version))),
            },
        }
    }
}

fn alarms(alarms: &[AlarmState], sounding: Option<AlarmKind>) -> Vec<AlarmView> {
    let mut ordered = alarms.to_vec();
    ordered.sort_by_key(|state| {
        let alarm = Alarm::of(state.alarm);
        (alarm.class != AlarmClass::Critical, alarm.priority)
    });
    ordered
        .iter()
        .map(|state| AlarmView {
            name: state.alarm.name(),
            title: text::sentence(state.alarm.name()),
            critical: Alarm::of(state.alarm).class == AlarmClass::Critical,
            state: if state.active { "active" } else { "latched" },
            acknowledged: state.acknowledged,
            sounding: sounding == Some(state.alarm),
        })
        .collect()
}

fn job(job: &JobStatus) -> Progress {
    let done = u64::from(job.delivered_nl)
        .saturating_mul(1_000)
        .checked_div(u64::from(job.volume_nl));
    Progress {
        name: text::sentence(job.kind.name()),
        done: format!(
            "at most {} of {}",
            text::fill(job.delivered_nl),
            text::fill(job.volume_nl)
        ),
        left: Left(job.left_s).to_string(),
        per_mille: done.and_then(|done| u32::try_from(done.min(1_000)).ok()),
    }
}

fn bridge(bridge: &BridgeStatus) -> Progress {
    Progress {
        name: "Bridge".to_owned(),
        done: format!(
            "{} of the old solution left, at {}",
            text::fill(bridge.left_nl),
            text::flow(u64::from(bridge.flow_nl_per_day))
        ),
        left: Left(bridge.left_s).to_string(),
        per_mille: None,
    }
}

fn patient_bolus(bolus: &BolusAvailability) -> String {
    let taken = format!("{} of {} taken in 24 h", bolus.taken_in_24h, bolus.per_day);
    match (bolus.denial, bolus.next_in_s) {
        (Some(denial), _) => format!("{taken}; none now: {denial}"),
        (None, Some(0) | None) => format!("{taken}; the next is possible now"),
        (None, Some(seconds)) => format!("{taken}; the next is possible in {}", Left(seconds)),
    }
}

fn refill(dates: &RefillDates) -> RefillView {
    let left = |seconds: Option<u32>| {
        seconds.map(|seconds| text::time(u64::from(seconds).saturating_mul(1_000)))
    };
    RefillView {
        with_boluses: text::day(dates.with_boluses_day),
        basal_only: text::day(dates.basal_only_day),
        worst_case: text::day(dates.worst_case_day),
        limited_by: dates.limited_by.text(),
        alarm_in: left(dates.alarm_in_s),
        empty_in: left(dates.empty_in_s),
    }
}

fn service(service: &ServiceStatus) -> ServiceView {
    let left = service.days_left.map_or_else(String::new, |days| {
        format!(", {} days left", text::count(u64::from(days)))
    });
    ServiceView {
        state: format!("{}{left}", text::sentence(service.state.text())),
        good: service.state == ServiceState::Good,
        replacement_due: text::day(service.eri_day),
        ends: text::day(service.eos_day),
        shortened: service.shortened,
    }
}

fn trial(trial: &TrialStatus) -> String {
    let end = match trial.ends_in_s {
        0 => "the trial is over".to_owned(),
        seconds => format!("the trial ends in {}", Left(seconds)),
    };
    let verdict = match trial.verdict {
        Some(true) => "the score has fallen by half or more",
        Some(false) => "the score has not fallen by half",
        None => "no verdict yet",
    };
    format!(
        "{}; {verdict} ({} scores before, {} since)",
        text::sentence(&end),
        trial.baseline_scores,
        trial.trial_scores
    )
}

fn zone(minutes: i16) -> String {
    let sign = if minutes < 0 { "\u{2212}" } else { "+" };
    let away = minutes.unsigned_abs();
    format!("UTC{sign}{}", text::time_of_day(away))
}

impl PathView {
    /// From what the pump says of the path.
    #[must_use]
    pub fn of(path: &PathStatus) -> Self {
        let tip = match (path.path_nl, path.slugs.first()) {
            (None, _) => "not known: no catheter was told".to_owned(),
            (Some(_), None) => "not known".to_owned(),
            (Some(_), Some(slug)) => contents(slug),
        };
        Self {
            tip,
            volume: path.path_nl.map(text::fill),
            slugs: path
                .slugs
                .iter()
                .map(|slug| format!("{} of {}", text::fill(slug.left_nl), contents(slug)))
                .collect(),
        }
    }
}

fn contents(slug: &Slug) -> String {
    let drugs: Vec<_> = slug.components.iter().map(text::component).collect();
    if drugs.is_empty() {
        "no drug".to_owned()
    } else {
        drugs.join(" with ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_pump::{baclofen, quiet_therapy};
    use protocol::{BolusDenial, JobKind, List, RefillLimit};

    #[test]
    fn critical_alarms_stand_first() {
        let mut therapy = quiet_therapy();
        for alarm in [
            AlarmKind::LowReservoir,
            AlarmKind::ClockLost,
            AlarmKind::OverDelivery,
        ] {
            let state = AlarmState {
                alarm,
                active: alarm != AlarmKind::ClockLost,
                acknowledged: false,
            };
            therapy.alarms.push(state).unwrap();
        }
        therapy.sounding = Some(AlarmKind::OverDelivery);
        let alarms = TherapyView::of(&therapy).alarms;
        let shown: Vec<_> = alarms
            .iter()
            .map(|alarm| (alarm.name, alarm.critical, alarm.state, alarm.sounding))
            .collect();
        assert_eq!(
            shown,
            [
                ("over-delivery", true, "active", true),
                ("clock lost", true, "latched", false),
                ("low reservoir", false, "active", false),
            ]
        );
    }

    #[test]
    fn a_bolus_under_way_shows_how_far_it_is() {
        let mut therapy = quiet_therapy();
        therapy.job = Some(JobStatus {
            number: 3,
            kind: JobKind::ClinicianBolus,
            delivered_nl: 2_500,
            volume_nl: 10_000,
            left_s: 225,
        });
        let job = TherapyView::of(&therapy).job.unwrap();
        assert_eq!(job.name, "Clinician bolus");
        assert_eq!(job.done, "at most 0.0025 mL of 0.01 mL");
        assert_eq!(job.left, "4 min");
        assert_eq!(job.per_mille, Some(250));
        therapy.job = therapy.job.map(|job| JobStatus {
            volume_nl: 0,
            ..job
        });
        assert_eq!(TherapyView::of(&therapy).job.unwrap().per_mille, None);
    }

    #[test]
    fn a_patient_bolus_says_when_the_next_is_possible() {
        let bolus = |denial, next_in_s| BolusAvailability {
            taken_in_24h: 2,
            per_day: 4,
            next_in_s,
            denial,
        };
        assert_eq!(
            patient_bolus(&bolus(None, Some(0))),
            "2 of 4 taken in 24 h; the next is possible now"
        );
        assert_eq!(
            patient_bolus(&bolus(
                Some(BolusDenial::Lockout { left_s: 3_600 }),
                Some(3_600)
            )),
            "2 of 4 taken in 24 h; none now: too soon after the last bolus: possible in 1 h"
        );
    }

    #[test]
    fn three_refill_dates_and_what_sets_them() {
        let mut therapy = quiet_therapy();
        therapy.refill = Some(RefillDates {
            basal_only_day: Some(2_268),
            with_boluses_day: Some(2_258),
            worst_case_day: None,
            limited_by: RefillLimit::Stability,
            alarm_in_s: Some(86_400),
            empty_in_s: None,
        });
        let refill = TherapyView::of(&therapy).refill.unwrap();
        assert_eq!(refill.basal_only, "2026-03-18");
        assert_eq!(refill.with_boluses, "2026-03-08");
        assert_eq!(refill.worst_case, "not known");
        assert_eq!(refill.limited_by, "stability of the drug");
        assert_eq!(refill.alarm_in.as_deref(), Some("1 day 0 h"));
    }

    /// Flagged when it exceeds 14.5 %, and not at it.
    #[test]
    fn a_discrepancy_is_flagged_above_its_limit() {
        let flagged = |tenths| {
            let mut therapy = quiet_therapy();
            therapy.last_discrepancy_tenths_percent = Some(tenths);
            TherapyView::of(&therapy).discrepancy_flagged
        };
        assert!(!flagged(145));
        assert!(flagged(146));
        assert!(!flagged(-145));
        assert!(flagged(-146));
        assert!(flagged(i32::MIN));
    }

    #[test]
    fn the_response_in_force_is_told_in_words() {
        let mut therapy = quiet_therapy();
        let view = TherapyView::of(&therapy);
        assert_eq!(
            (view.response.as_str(), view.as_programmed),
            ("As programmed", true)
        );
        assert_eq!(view.kind, "programmable implant");
        therapy.response = Response::MinimumRate;
        let view = TherapyView::of(&therapy);
        assert!(view.response.contains("because of a fault"));
        assert!(!view.as_programmed);
    }

    #[test]
    fn zones_bear_their_sign() {
        assert_eq!(zone(0), "UTC+00:00");
        assert_eq!(zone(-210), "UTC\u{2212}03:30");
        assert_eq!(zone(840), "UTC+14:00");
    }

    #[test]
    fn the_tip_is_the_first_slug() {
        let unknown = PathStatus {
            path_nl: None,
            slugs: List::new(),
        };
        assert!(PathView::of(&unknown).tip.starts_with("not known"));
        let empty = Slug {
            left_nl: 100_000,
            components: List::new(),
        };
        let drug = Slug {
            left_nl: 84_000,
            components: List::of([baclofen(None, 1).primary]),
        };
        let path = PathStatus {
            path_nl: Some(184_000),
            slugs: List::of([empty, drug]),
        };
        let view = PathView::of(&path);
        assert_eq!(view.tip, "no drug");
        assert_eq!(
            view.slugs,
            ["0.1 mL of no drug", "0.084 mL of baclofen 2,000 mcg/mL"]
        );
    }
}
