#![allow(clippy::arithmetic_side_effects)]

use proptest::prelude::*;
use std::string::ToString;
use std::vec::Vec;

use super::*;

const START: PumpTime = PumpTime::from_micros(1_000);
const EXTENDED: JobKind = JobKind::ClinicianBolus { extended: true };
const NORMAL: JobKind = JobKind::ClinicianBolus { extended: false };
const SHORT: [JobKind; 3] = [JobKind::PatientBolus, NORMAL, JobKind::PeriodicBolus];
const KINDS: [JobKind; 6] = [
    JobKind::PatientBolus,
    NORMAL,
    EXTENDED,
    JobKind::PeriodicBolus,
    JobKind::SingleBolus,
    JobKind::Prime,
];
const REASONS: [CancelReason; 7] = [
    CancelReason::Prime,
    CancelReason::Bridge,
    CancelReason::Refill,
    CancelReason::Commit,
    CancelReason::Fault,
    CancelReason::Stop,
    CancelReason::Reset,
];

fn order(id: u32, kind: JobKind) -> JobOrder {
    JobOrder::new(id, kind, 10, Duration::from_seconds(100)).unwrap()
}

fn at(seconds: u32) -> PumpTime {
    START.saturating_add(Duration::from_seconds(seconds))
}

fn ended(id: u32, kind: JobKind, how: How, delivered_steps: u32) -> Ended {
    Ended {
        id,
        kind,
        how,
        delivered_steps,
    }
}

/// Jobs in which `kinds` were started one after the other with numbers from 1, each with 3 steps made after its start.
fn jobs(kinds: &[JobKind]) -> Jobs {
    let mut jobs = Jobs::new(0);
    for (id, &kind) in (1..).zip(kinds) {
        let endings = jobs.on(JobEvent::Start(order(id, kind)), at(id)).unwrap();
        assert!(endings.is_empty());
        assert!(jobs.on(JobEvent::Stepped(3), at(id)).unwrap().is_empty());
    }
    jobs
}

fn ids(jobs: &Jobs) -> (Option<u32>, Option<u32>) {
    (
        jobs.running().map(|job| job.order().id()),
        jobs.suspended().map(|job| job.order().id()),
    )
}

/// Every state of the table: idle, normal of every kind, extended, every short over extended.
fn every_state() -> Vec<(Vec<JobKind>, Jobs)> {
    let mut states = std::vec![std::vec![]];
    states.extend(KINDS.map(|kind| std::vec![kind]));
    states.extend(SHORT.map(|kind| std::vec![EXTENDED, kind]));
    states
        .into_iter()
        .map(|kinds| (kinds.clone(), jobs(&kinds)))
        .collect()
}

#[test]
fn starts_as_the_table_says() {
    for (kinds, before) in every_state() {
        for kind in KINDS {
            let mut after = before;
            let new = order(9, kind);
            let result = after.on(JobEvent::Start(new), at(9));
            let running = kinds.last().copied();
            let expected = match (running, kind) {
                (None, _) => Some((Some(9), None)),
                (Some(JobKind::Prime), JobKind::Prime) => None,
                (Some(_), JobKind::Prime) => Some((Some(9), None)),
                (Some(EXTENDED), kind) if SHORT.contains(&kind) => Some((Some(9), Some(1))),
                (Some(_), _) => None,
            };
            let Some(expected) = expected else {
                let running = u32::try_from(kinds.len()).unwrap();
                assert_eq!(
                    result,
                    Err(JobRefusal::Busy { running }),
                    "{kinds:?} {kind:?}"
                );
                assert_eq!(after, before);
                continue;
            };
            assert_eq!(ids(&after), expected, "{kinds:?} {kind:?}");
            assert_eq!(after.newest(), 9);
            assert_eq!(after.running().unwrap().started(), at(9));
            let endings = result.unwrap();
            if kind == JobKind::Prime {
                let how = How::Cancelled(CancelReason::Prime);
                assert_eq!(endings.as_slice(), all_ended(&kinds, how));
            } else {
                assert!(endings.is_empty());
            }
        }
    }
}

/// The ends of all of `kinds`, the running one first.
fn all_ended(kinds: &[JobKind], how: How) -> Vec<Ended> {
    let mut endings: Vec<_> = (1..)
        .zip(kinds)
        .map(|(id, &kind)| ended(id, kind, how, 3))
        .collect();
    endings.reverse();
    endings
}

/// Requirement: AC-8, R-20
#[test]
fn a_number_that_has_been_is_refused_in_every_state() {
    for (_, before) in every_state() {
        let newest = before.newest();
        for id in 0..=newest {
            let mut after = before;
            let result = after.on(JobEvent::Start(order(id, JobKind::PatientBolus)), at(9));
            assert_eq!(result, Err(JobRefusal::NumberUsed { id, newest }));
            assert_eq!(after, before);
        }
    }
    let fresh = Jobs::new(7);
    let may = |id| fresh.may_start(&order(id, JobKind::Prime));
    assert_eq!(may(7), Err(JobRefusal::NumberUsed { id: 7, newest: 7 }));
    assert_eq!(may(8), Ok(()));
}

#[test]
fn steps_as_the_table_says() {
    for (kinds, before) in every_state() {
        for (steps, completes) in [
            (0, false),
            (1, false),
            (6, false),
            (7, true),
            (8, true),
            (u32::MAX, true),
        ] {
            let mut after = before;
            let endings = after.on(JobEvent::Stepped(steps), at(50)).unwrap();
            let Some(&kind) = kinds.last() else {
                assert!(endings.is_empty());
                assert_eq!(after, before);
                continue;
            };
            let id = u32::try_from(kinds.len()).unwrap();
            if completes {
                assert_eq!(endings.as_slice(), [ended(id, kind, How::Completed, 10)]);
                let resumed = (kinds.len() == 2).then_some(1);
                assert_eq!(ids(&after), (resumed, None));
                if let Some(job) = after.running() {
                    assert_eq!((job.delivered_steps(), job.steps_left()), (3, 7));
                    assert_eq!(job.started(), at(1));
                }
            } else {
                assert!(endings.is_empty());
                assert_eq!(ids(&after), ids(&before));
                assert_eq!(after.running().unwrap().delivered_steps(), 3 + steps);
            }
        }
    }
}

#[test]
fn one_is_cancelled_as_the_table_says() {
    let how = How::Cancelled(CancelReason::Requested);
    for (kinds, before) in every_state() {
        let mut after = before;
        assert!(
            after
                .on(JobEvent::Cancel { id: 0 }, at(9))
                .unwrap()
                .is_empty()
        );
        assert!(
            after
                .on(JobEvent::Cancel { id: 3 }, at(9))
                .unwrap()
                .is_empty()
        );
        assert_eq!(after, before);
        for (id, &kind) in (1..).zip(&kinds) {
            let mut after = before;
            let endings = after.on(JobEvent::Cancel { id }, at(9)).unwrap();
            assert_eq!(endings.as_slice(), [ended(id, kind, how, 3)]);
            let other = (kinds.len() == 2).then_some(3 - id);
            assert_eq!(ids(&after), (other, None));
        }
    }
}

/// Requirement: R-20, TH-jobs
#[test]
fn all_are_cancelled_for_ever_as_the_table_says() {
    for (kinds, before) in every_state() {
        for reason in REASONS {
            let mut after = before;
            let endings = after.on(JobEvent::CancelAll(reason), at(9)).unwrap();
            let how = How::Cancelled(reason);
            assert_eq!(endings.as_slice(), all_ended(&kinds, how));
            assert_eq!(after, Jobs::new(before.newest()), "idle");
        }
    }
}

#[test]
fn a_commit_without_change_touches_nothing() {
    for (_, before) in every_state() {
        let mut after = before;
        assert!(
            after
                .on(JobEvent::CommitWithoutChange, at(9))
                .unwrap()
                .is_empty()
        );
        assert_eq!(after, before);
    }
}

/// GIP 1.4.5 to 1.4.7: the extended bolus goes on evenly where it was, with every step it has.
#[test]
fn an_extended_bolus_resumes_at_its_rate() {
    let step = StepVolume::NOMINAL;
    // 10 steps over 100 s, one every 10 s, the first after 10 s.
    let mut jobs = Jobs::new(0);
    jobs.on(JobEvent::Start(order(1, EXTENDED)), at(0)).unwrap();
    assert_eq!(jobs.running().unwrap().due_by(step, at(39)), 3);
    jobs.on(JobEvent::Stepped(3), at(39)).unwrap();
    let short = JobOrder::new(2, NORMAL, 4, Duration::from_seconds(2)).unwrap();
    jobs.on(JobEvent::Start(short), at(39)).unwrap();
    assert_eq!(
        jobs.flow(step),
        Flow::of_volume_over(Volume::from_nanolitres(10), Duration::from_seconds(2)).unwrap()
    );
    assert_eq!(jobs.running().unwrap().due_by(step, at(41)), 4);
    assert_eq!(
        jobs.running().unwrap().due_by(step, PumpTime::MAX),
        4,
        "never more"
    );
    jobs.on(JobEvent::Stepped(4), at(41)).unwrap();
    let resumed = *jobs.running().unwrap();
    assert_eq!(resumed.order().id(), 1);
    assert_eq!(jobs.flow(step), resumed.order().flow(step));
    assert_eq!(resumed.due_by(step, at(50)), 0);
    assert_eq!(resumed.due_by(step, at(51)), 1);
    assert_eq!(resumed.due_by(step, at(111)), 7);
    assert_eq!(resumed.due_by(step, PumpTime::MAX), 7, "never more");
    assert_eq!(resumed.accumulator(step).time_of_step(1), Some(at(51)));
    jobs.on(JobEvent::Stepped(7), at(111)).unwrap();
    assert_eq!(jobs, Jobs::new(2));
    assert_eq!(jobs.flow(step), Flow::ZERO);
}

#[test]
fn an_order_has_steps_and_a_duration() {
    let new =
        |steps, micros| JobOrder::new(1, JobKind::Prime, steps, Duration::from_micros(micros));
    assert_eq!(new(0, 1_000_000), Err(JobRefusal::Empty));
    for micros in [0, 999_999, 86_400_000_001] {
        let duration = Duration::from_micros(micros);
        assert_eq!(new(1, micros), Err(JobRefusal::Duration { duration }));
    }
    assert!(new(1, 1_000_000).is_ok());
    let longest = new(u32::MAX, 86_400_000_000).unwrap();
    assert_eq!(longest.steps(), u32::MAX);
    let widest = StepVolume::new(u32::MAX).unwrap();
    assert_eq!(
        longest.volume(widest),
        widest.volume_of(u64::from(u32::MAX)).unwrap()
    );
    // 0.199 mL at 1 mL/h (clinical reference, 2.2): 716.4 s.
    let prime = new(79_600, 716_400_000).unwrap();
    assert_eq!(
        prime.volume(StepVolume::NOMINAL),
        Volume::from_microlitres(199)
    );
    assert_eq!(
        prime.flow(StepVolume::NOMINAL),
        "1 mL/h".parse::<units::FlowRate>().unwrap().flow()
    );
}

/// Rounded down to a whole step: clinical reference, 2.10 and 2.12.
#[test]
fn a_dose_is_whole_steps_rounded_down() {
    let concentration = |text: &str| text.parse::<Concentration>().unwrap();
    let steps = |dose: &str, solution| {
        whole_steps(
            dose.parse().unwrap(),
            concentration(solution),
            StepVolume::NOMINAL,
        )
    };
    // 0.25 mg of 25 mg/mL are 10 uL.
    assert_eq!(steps("0.25 mg", "25 mg/mL"), Some(4_000));
    assert_eq!(steps("249.999999 mcg", "25 mg/mL"), Some(3_999));
    assert_eq!(steps("62 ng", "25 mg/mL"), Some(0));
    assert_eq!(steps("63 ng", "25 mg/mL"), Some(1));
    assert_eq!(steps("4000 mg", "1 ng/mL"), None, "more than fits");
    assert_eq!(steps("30000 mg", "1 mg/mL"), None, "more than a job has");
}

/// Requirement: AC-7, R-21
#[test]
fn what_a_reset_left_is_reported_between_two_counts() {
    let mut jobs = jobs(&[EXTENDED, NORMAL]);
    let report = |job: &Job, low, high| {
        let Ended {
            id,
            kind,
            how,
            delivered_steps,
        } = job.interrupted(low, high);
        assert_eq!((id, kind), (job.order().id(), job.order().kind()));
        let How::Interrupted { at_most_steps } = how else {
            panic!("{how:?}")
        };
        (delivered_steps, at_most_steps)
    };
    let running = jobs.running().unwrap();
    assert_eq!(report(running, 4, 6), (4, 6));
    assert_eq!(
        report(running, 0, 0),
        (3, 3),
        "never less than the record says"
    );
    assert_eq!(report(running, 6, 4), (6, 6));
    assert_eq!(
        report(running, 11, u32::MAX),
        (10, 10),
        "never more than all"
    );
    assert_eq!(report(jobs.suspended().unwrap(), 0, 4), (3, 4));
    // It cannot come back: its number has been.
    let old = *running.order();
    jobs = Jobs::new(jobs.newest());
    assert!(jobs.on(JobEvent::Start(old), at(0)).is_err());
}

#[test]
fn records_are_small_and_read_checked() {
    let mut order = order(u32::MAX, EXTENDED);
    order.steps = u32::MAX;
    order.duration = LONGEST_BOLUS;
    let job = Job {
        order,
        started: PumpTime::MAX,
        running_since: PumpTime::MAX,
        before: u32::MAX,
        since: u32::MAX,
    };
    let mut buffer = [0; 64];
    let bytes = postcard::to_slice(&job, &mut buffer).unwrap();
    // Number 5, kind 2, steps 5, duration 6, times 10 + 10, steps made 5 + 5.
    assert_eq!(bytes.len(), 48);
    assert_eq!(postcard::from_bytes(bytes), Ok(job));
    assert!(postcard::from_bytes::<JobOrder>(&[1, 0, 0, 1]).is_err());
    let ended = job.interrupted(u32::MAX, u32::MAX);
    let bytes = postcard::to_slice(&ended, &mut buffer).unwrap();
    assert_eq!(bytes.len(), 18);
    assert_eq!(postcard::from_bytes(bytes), Ok(ended));
}

#[test]
fn refusals_are_sentences() {
    for (refusal, text) in [
        (
            JobRefusal::Empty,
            "less than one motor step cannot be given",
        ),
        (
            JobRefusal::Duration {
                duration: Duration::ZERO,
            },
            "a duration of 0 s is not allowed: from 1 s to 24 h",
        ),
        (
            JobRefusal::NumberUsed { id: 3, newest: 4 },
            "job 3 has been: a new one needs a number above 4",
        ),
        (JobRefusal::Busy { running: 4 }, "job 4 has to end first"),
    ] {
        assert_eq!(refusal.to_string(), text);
    }
}

/// What every sequence of events must leave true.
#[derive(Clone, Copy)]
struct Ledger {
    /// Steps made, by number.
    delivered: [u32; 8],
    over: [bool; 8],
    next: u32,
}

const STEPS: u32 = 2;

fn explore(jobs: Jobs, ledger: Ledger, depth: u32, count: &mut u64) {
    if depth == 0 {
        return;
    }
    let start = |kind| {
        let duration = Duration::from_seconds(1);
        JobEvent::Start(JobOrder {
            id: ledger.next,
            kind,
            steps: STEPS,
            duration,
        })
    };
    let (running, suspended) = ids(&jobs);
    let events = [
        start(JobKind::PatientBolus),
        start(NORMAL),
        start(EXTENDED),
        start(JobKind::PeriodicBolus),
        start(JobKind::SingleBolus),
        start(JobKind::Prime),
        // What has been, as a confused caller starts it again.
        JobEvent::Start(order(ledger.next - 1, JobKind::PatientBolus)),
        JobEvent::Stepped(1),
        JobEvent::Stepped(STEPS + 1),
        JobEvent::Cancel {
            id: running.unwrap_or(0),
        },
        JobEvent::Cancel {
            id: suspended.unwrap_or(99),
        },
        JobEvent::CancelAll(CancelReason::Fault),
        JobEvent::CommitWithoutChange,
    ];
    for event in events {
        *count += 1;
        let (mut jobs, mut ledger) = (jobs, ledger);
        let Ok(endings) = jobs.on(event, START) else {
            continue;
        };
        match event {
            JobEvent::Start(_) => ledger.next += 1,
            JobEvent::Stepped(steps) => {
                if let Some(id) = running {
                    let made = &mut ledger.delivered[usize::try_from(id).unwrap()];
                    *made = STEPS.min(*made + steps);
                }
            }
            JobEvent::CommitWithoutChange => assert!(endings.is_empty()),
            _ => {}
        }
        for ended in &endings {
            let id = usize::try_from(ended.id).unwrap();
            assert!(!ledger.over[id], "ended twice");
            ledger.over[id] = true;
            assert_eq!(ended.delivered_steps, ledger.delivered[id]);
            assert_eq!(ended.how == How::Completed, ended.delivered_steps == STEPS);
        }
        for job in [jobs.running(), jobs.suspended()].into_iter().flatten() {
            let id = usize::try_from(job.order().id()).unwrap();
            assert!(!ledger.over[id], "what has ended is back");
            assert_eq!(job.delivered_steps(), ledger.delivered[id]);
            assert!(job.steps_left() > 0);
        }
        if let Some(waiting) = jobs.suspended() {
            let running = jobs.running().expect("nothing to wait for");
            assert!(waiting.order().kind().is_extended());
            assert!(running.order().kind().is_short());
            assert!(running.order().id() > waiting.order().id());
        }
        let there = usize::from(jobs.running().is_some()) + usize::from(jobs.suspended().is_some());
        let gone = ledger.over.iter().filter(|&&over| over).count();
        assert_eq!(
            usize::try_from(ledger.next).unwrap(),
            1 + there + gone,
            "none is lost"
        );
        explore(jobs, ledger, depth - 1, count);
    }
}

/// Every sequence of six events: never more than a job's steps, nothing that has ended comes back, one runs and one waits.
///
/// Requirement: TH-jobs, R-20
#[test]
fn no_interleaving_of_events_breaks_a_rule() {
    let ledger = Ledger {
        delivered: [0; 8],
        over: [false; 8],
        next: 1,
    };
    let mut count = 0;
    explore(Jobs::new(0), ledger, 6, &mut count);
    assert!(count > 300_000, "{count}");
}

proptest! {
    /// The steps due never run ahead of the exact line, nor past the end.
    #[test]
    fn due_steps_follow_the_flow(steps in 1_u32..100_000, seconds in 1_u32..=86_400, elapsed in 0_u64..200_000_000_000, step in 1_u32..) {
        let order = JobOrder::new(1, NORMAL, steps, Duration::from_seconds(seconds)).unwrap();
        let job = Job::new(order, START);
        let now = START.saturating_add(Duration::from_micros(elapsed));
        let exact = u128::from(steps) * u128::from(elapsed) / (u128::from(seconds) * 1_000_000);
        let due = job.due_by(StepVolume::new(step).unwrap(), now);
        prop_assert_eq!(u128::from(due), exact.min(u128::from(steps)));
    }
}
