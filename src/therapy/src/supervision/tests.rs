#![allow(clippy::arithmetic_side_effects)]

use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const DAY: u64 = 86_400_000_000;
const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// Steps a day at 0.25 mL/day and at minimum rate, 0.006 mL/day (clinical reference, 2.10).
const THERAPEUTIC: u64 = 100_000;
const MINIMUM: u64 = 2_400;

const BACLOFEN: Tolerance = Tolerance::of(Drug::Baclofen);
const MORPHINE: Tolerance = Tolerance::of(Drug::Morphine);

/// What the rotor and the encoder make of commanded steps.
#[derive(Clone, Copy, Debug)]
enum Rotor {
    Perfect,
    Blocked,
    /// So many more pulses in a thousand steps.
    Over(i64),
    /// So many fewer.
    Lossy(i64),
    Backwards,
}

/// A motor under supervision, observed every 10 s, ordered as the pump would: retries only while it is stalled.
struct Bench {
    supervision: Supervision,
    tolerance: Tolerance,
    now: u64,
    /// In millionths of a step and days.
    prescribed: u64,
    since_retry: u64,
    commanded: u64,
    /// In thousandths of a pulse.
    counted: i64,
    retries: Vec<(u64, Retry)>,
    recovered: Vec<(u64, Recovered)>,
}

impl Bench {
    fn new(tolerance: Tolerance) -> Self {
        Self {
            supervision: Supervision::start(
                SupervisionRecord::default(),
                PoweredTime::from_micros(7 * DAY),
                0,
                0,
            ),
            tolerance,
            now: 7 * DAY,
            prescribed: 0,
            since_retry: 0,
            commanded: 0,
            counted: 0,
            retries: Vec::new(),
            recovered: Vec::new(),
        }
    }

    fn at(&self) -> PoweredTime {
        PoweredTime::from_micros(self.now)
    }

    fn make(&mut self, steps: u64, rotor: Rotor) {
        self.commanded += steps;
        let steps = i64::try_from(steps).unwrap();
        self.counted += steps
            * match rotor {
                Rotor::Perfect => 1_000,
                Rotor::Blocked => 0,
                Rotor::Over(permille) => 1_000 + permille,
                Rotor::Lossy(permille) => 1_000 - permille,
                Rotor::Backwards => -1_000,
            };
    }

    fn observe(&mut self, running: bool) -> Findings {
        let findings = self.supervision.observe(
            &Observation {
                now: self.at(),
                commanded: self.commanded,
                counted: self.counted.div_euclid(1_000),
                running,
            },
            &self.tolerance,
        );
        if let Some(recovered) = findings.recovered {
            self.recovered.push((self.now, recovered));
        }
        findings
    }

    /// Goes on for `micros`, or until an alarm of `until` is there; tells how long that was.
    fn run(
        &mut self,
        micros: u64,
        rate: u64,
        rotor: Rotor,
        until: Option<AlarmKind>,
    ) -> (u64, AlarmSet) {
        let began = self.now;
        loop {
            self.now += 10 * SECOND;
            self.prescribed += rate * 10 * SECOND;
            let steps = self.prescribed / DAY;
            self.prescribed %= DAY;
            self.since_retry += steps;
            if self.supervision.is_stalled() {
                if let Some(retry) = self.supervision.retry(self.since_retry, self.at()) {
                    assert!(u64::from(retry.steps) <= self.since_retry);
                    self.since_retry = 0;
                    self.retries.push((self.now, retry));
                    self.make(u64::from(retry.steps), rotor);
                }
            } else {
                self.since_retry = 0;
                if !self.supervision.record().is_stopped() {
                    self.make(steps, rotor);
                }
            }
            let alarms = self.observe(rate > 0).alarms;
            if until.is_some_and(|kind| alarms.contains(kind)) || self.now - began >= micros {
                return (self.now - began, alarms);
            }
        }
    }
}

/// Requirement: AC-4, R-5
#[test]
fn a_blocked_rotor_is_found_in_time() {
    for (rate, limit) in [(THERAPEUTIC, 5 * MINUTE), (MINIMUM, HOUR)] {
        let mut bench = Bench::new(BACLOFEN);
        let (_, alarms) = bench.run(DAY, rate, Rotor::Perfect, None);
        assert_eq!(alarms, AlarmSet::NONE);
        let (after, alarms) = bench.run(DAY, rate, Rotor::Blocked, Some(AlarmKind::MotorStall));
        assert_eq!(alarms, AlarmSet::of(AlarmKind::MotorStall));
        assert!(after <= limit, "{after} us");
    }
}

#[test]
fn fifty_steps_without_a_pulse_are_a_stall_and_forty_nine_are_not() {
    let mut bench = Bench::new(MORPHINE);
    bench.make(10, Rotor::Perfect);
    bench.observe(true);
    bench.make(49, Rotor::Blocked);
    assert_eq!(bench.observe(true).alarms, AlarmSet::NONE);
    let mut late = bench.supervision.clone();
    bench.make(1, Rotor::Blocked);
    assert!(bench.observe(true).alarms.contains(AlarmKind::MotorStall));
    // With a pulse the count begins anew.
    late.observe(
        &Observation {
            now: bench.at(),
            commanded: 60,
            counted: 11,
            running: true,
        },
        &MORPHINE,
    );
    assert!(!late.is_stalled());
}

/// A field of 60 min: three retries within 10 min at rising level, then one every 10 min; delivery is back 10 min after it at the
/// latest without anybody, and what was missed is told.
///
/// Requirement: AC-4, R-5, R-6, R-14
#[test]
fn delivery_comes_back_by_itself_after_a_field() {
    let mut bench = Bench::new(BACLOFEN);
    bench.run(HOUR, THERAPEUTIC, Rotor::Perfect, None);
    let field = bench.now;
    let (stall, _) = bench.run(
        HOUR,
        THERAPEUTIC,
        Rotor::Blocked,
        Some(AlarmKind::MotorStall),
    );
    let (_, alarms) = bench.run(HOUR - stall, THERAPEUTIC, Rotor::Blocked, None);
    assert!(alarms.contains(AlarmKind::MotorStall));
    let plan: Vec<_> = bench
        .retries
        .iter()
        .map(|(at, retry)| ((at - field - stall) / MINUTE, retry.level, retry.steps))
        .collect();
    assert_eq!(
        plan,
        [
            (3, 1, 40),
            (6, 2, 40),
            (9, 3, 40),
            (19, 3, 40),
            (29, 3, 40),
            (39, 3, 40),
            (49, 3, 40),
            (59, 3, 40),
        ]
    );
    let ended = bench.now;
    let missed = bench.commanded - u64::try_from(bench.counted / 1_000).unwrap();
    bench.run(HOUR, THERAPEUTIC, Rotor::Perfect, None);
    let [(back, recovered)] = bench.recovered[..] else {
        panic!("once")
    };
    assert!(back - ended <= 10 * MINUTE);
    assert_eq!(recovered.missed, missed);
    assert!(recovered.stood.micros() >= HOUR);
    assert!(recovered.stood.micros() <= HOUR + 10 * MINUTE + 10 * SECOND);
    assert_eq!(bench.observe(true).alarms, AlarmSet::NONE);
}

/// Requirement: AC-4, R-14, TH-retries
#[test]
fn retries_go_on_for_ever_and_never_deliver_more_than_basal() {
    for rate in [THERAPEUTIC, MINIMUM] {
        let mut bench = Bench::new(MORPHINE);
        bench.run(HOUR, rate, Rotor::Perfect, None);
        let before = bench.commanded;
        bench.run(10 * DAY, rate, Rotor::Blocked, None);
        assert!(bench.retries.len() > 6 * 24 * 9);
        assert!(bench.commanded - before < 10 * rate);
        assert_eq!(bench.supervision.record().stall().unwrap().retries, 255);
        for pair in bench.retries[3..].windows(2) {
            assert_eq!(pair[1].0 - pair[0].0, 10 * MINUTE);
        }
    }
}

#[test]
fn half_a_retry_has_to_turn() {
    for (pulses, back) in [(20_000, true), (19_000, false)] {
        let mut bench = Bench::new(MORPHINE);
        bench.run(
            HOUR,
            THERAPEUTIC,
            Rotor::Blocked,
            Some(AlarmKind::MotorStall),
        );
        bench.now += 3 * MINUTE;
        let retry = bench.supervision.retry(1_000, bench.at()).unwrap();
        bench.commanded += u64::from(retry.steps) - 1;
        bench.counted += pulses;
        assert_eq!(bench.observe(true).recovered, None, "not all steps made");
        bench.commanded += 1;
        assert_eq!(bench.observe(true).recovered.is_some(), back);
        assert_eq!(bench.supervision.is_stalled(), !back);
    }
}

/// A rotor that swung back a pulse and then turned is not at once stalled again.
#[test]
fn a_rotor_that_swung_back_recovers_too() {
    let mut bench = Bench::new(MORPHINE);
    bench.run(HOUR, THERAPEUTIC, Rotor::Perfect, None);
    bench.run(
        HOUR,
        THERAPEUTIC,
        Rotor::Blocked,
        Some(AlarmKind::MotorStall),
    );
    bench.counted -= 1_000;
    bench.observe(true);
    bench.now += 3 * MINUTE;
    let retry = bench.supervision.retry(2, bench.at()).unwrap();
    bench.commanded += u64::from(retry.steps);
    bench.counted += 1_000;
    let findings = bench.observe(true);
    assert!(findings.recovered.is_some());
    assert_eq!(findings.alarms, AlarmSet::NONE);
}

#[test]
fn a_retry_is_made_only_when_it_is_due_and_something_is_prescribed() {
    let mut bench = Bench::new(MORPHINE);
    assert_eq!(bench.supervision.retry(9, bench.at()), None, "it turns");
    bench.run(
        HOUR,
        THERAPEUTIC,
        Rotor::Blocked,
        Some(AlarmKind::MotorStall),
    );
    let due = bench.supervision.next_retry().unwrap();
    assert_eq!(due, bench.at().saturating_add(FIRST_RETRIES_EVERY));
    bench.now = due.micros() - 1;
    assert_eq!(bench.supervision.retry(9, bench.at()), None);
    bench.now = due.micros();
    // Not while it is stopped.
    bench.observe(false);
    assert_eq!(bench.supervision.next_retry(), None);
    assert_eq!(bench.supervision.retry(9, bench.at()), None);
    bench.observe(true);
    assert_eq!(bench.supervision.retry(0, bench.at()), None);
    assert_eq!(bench.supervision.record().stall().unwrap().retries, 0);
    bench.now += 3 * MINUTE;
    assert_eq!(
        bench.supervision.retry(9, bench.at()),
        Some(Retry { steps: 9, level: 1 })
    );
    bench.now += 3 * MINUTE;
    assert_eq!(
        bench.supervision.retry(41, bench.at()),
        Some(Retry {
            steps: 40,
            level: 2
        })
    );
}

/// Beyond 48 h delivery comes back at minimum rate until a clinician decides; at 48 h it does not.
///
/// Requirement: AC-4, TH-unattended-resume
#[test]
fn after_the_unattended_limit_delivery_resumes_at_minimum() {
    for (more, at_minimum) in [(0, false), (1, true)] {
        let mut bench = Bench::new(MORPHINE);
        bench.run(HOUR, THERAPEUTIC, Rotor::Perfect, None);
        bench.run(
            HOUR,
            THERAPEUTIC,
            Rotor::Blocked,
            Some(AlarmKind::MotorStall),
        );
        let since = bench.supervision.record().stall().unwrap().since;
        assert_eq!(
            since.micros(),
            7 * DAY + HOUR,
            "since the last pulse was seen"
        );
        bench.now = since.micros() + 48 * HOUR + more;
        let retry = bench.supervision.retry(1_000, bench.at()).unwrap();
        bench.make(u64::from(retry.steps), Rotor::Perfect);
        let findings = bench.observe(true);
        assert!(findings.recovered.is_some());
        assert_eq!(
            findings.alarms.contains(AlarmKind::ResumedAtMinimum),
            at_minimum
        );
        // It outlasts a reset, and ends in a session.
        let mut after = Supervision::start(bench.supervision.record(), bench.at(), 0, 0);
        bench.commanded = 0;
        bench.counted = 0;
        core::mem::swap(&mut after, &mut bench.supervision);
        assert_eq!(
            bench
                .observe(true)
                .alarms
                .contains(AlarmKind::ResumedAtMinimum),
            at_minimum
        );
        bench.supervision.clear_resumed_at_minimum();
        assert_eq!(bench.observe(true).alarms, AlarmSet::NONE);
    }
}

#[test]
fn a_restart_after_a_long_stop_is_not_an_unattended_resume() {
    let mut bench = Bench::new(MORPHINE);
    bench.run(HOUR, THERAPEUTIC, Rotor::Perfect, None);
    let (_, alarms) = bench.run(60 * HOUR, 0, Rotor::Perfect, None);
    assert_eq!(alarms, AlarmSet::of(AlarmKind::StoppedTooLong));
    bench.run(
        HOUR,
        THERAPEUTIC,
        Rotor::Blocked,
        Some(AlarmKind::MotorStall),
    );
    let (_, alarms) = bench.run(HOUR, THERAPEUTIC, Rotor::Perfect, None);
    assert_eq!(bench.recovered.len(), 1);
    assert_eq!(alarms, AlarmSet::NONE);
}

/// Delivery lost for more than 4 h is critical for baclofen and clonidine, whatever the cause; the limit itself is not.
///
/// Requirement: TH-delivery-lost
#[test]
fn four_hours_without_delivery_are_allowed_and_more_are_not() {
    for (tolerance, more, lost) in [
        (BACLOFEN, 0, false),
        (BACLOFEN, 1, true),
        (MORPHINE, 1, false),
        (Tolerance::of(Drug::Clonidine), 1, true),
        (MORPHINE.mixed_with(BACLOFEN), 1, true),
        (BACLOFEN.mixed_with(MORPHINE), 1, true),
    ] {
        for running in [true, false] {
            let mut bench = Bench::new(tolerance);
            bench.run(HOUR, THERAPEUTIC, Rotor::Perfect, None);
            bench.now += 4 * HOUR + more;
            let alarms = bench.observe(running).alarms;
            assert_eq!(alarms.contains(AlarmKind::DeliveryLost), lost);
            assert!(!alarms.contains(AlarmKind::StoppedTooLong));
            // A reset does not begin it anew; the first delivery ends it.
            let record = bench.supervision.record();
            bench.supervision = Supervision::start(record, bench.at(), 0, 0);
            (bench.commanded, bench.counted) = (0, 0);
            let alarms = bench.observe(running).alarms;
            assert_eq!(alarms.contains(AlarmKind::DeliveryLost), lost);
            bench.make(1, Rotor::Perfect);
            assert_eq!(bench.observe(true).alarms, AlarmSet::NONE);
        }
    }
    let mix = MORPHINE.mixed_with(Tolerance {
        unattended_resume_limit: Duration::from_hours(1),
        delivery_lost_after: None,
    });
    assert_eq!(mix.unattended_resume_limit, Duration::from_hours(1));
    assert_eq!(mix.delivery_lost_after, None);
}

#[test]
fn a_tube_may_stand_for_48_hours() {
    for (more, too_long) in [(0, false), (1, true)] {
        let mut bench = Bench::new(MORPHINE);
        bench.run(HOUR, THERAPEUTIC, Rotor::Perfect, None);
        bench.now += 48 * HOUR + more;
        assert_eq!(
            bench
                .observe(false)
                .alarms
                .contains(AlarmKind::StoppedTooLong),
            too_long
        );
    }
    // A pump that was never to deliver anything stands for years.
    let mut bench = Bench::new(BACLOFEN);
    bench.now += 1_000 * DAY;
    assert_eq!(bench.observe(false).alarms, AlarmSet::NONE);
    // But one that was to and never did has lost delivery.
    bench.observe(true);
    bench.now += 4 * HOUR + 1;
    assert_eq!(
        bench.observe(true).alarms,
        AlarmSet::of(AlarmKind::DeliveryLost)
    );
}

/// 12 % and 10.1 % over, at any rate at which 15 min of it are more than 20 steps; and runaway while stopped.
///
/// Requirement: AC-3, R-13
#[test]
fn over_delivery_stops_within_fifteen_and_a_half_minutes() {
    for rate in [19_200, THERAPEUTIC, 400_000, 9_600_000] {
        for permille in [101, 120, 500, 1_000] {
            if rate / 96 * permille / 1_000 <= 20 {
                continue;
            }
            // The onset anywhere in a slice of 30 s.
            for seconds in [0, 10, 20] {
                let mut bench = Bench::new(BACLOFEN);
                let (_, alarms) = bench.run(HOUR + seconds * SECOND, rate, Rotor::Perfect, None);
                assert_eq!(alarms, AlarmSet::NONE);
                let (after, alarms) = bench.run(
                    HOUR,
                    rate,
                    Rotor::Over(i64::try_from(permille).unwrap()),
                    Some(AlarmKind::OverDelivery),
                );
                assert!(
                    alarms.contains(AlarmKind::OverDelivery),
                    "{rate} {permille}"
                );
                assert!(
                    after <= 15 * MINUTE + 30 * SECOND,
                    "{rate} {permille} {after}"
                );
            }
        }
    }
}

/// 9 % over for a day is inside the tolerance.
#[test]
fn nine_percent_over_is_allowed() {
    for rate in [MINIMUM, 19_200, THERAPEUTIC, 9_600_000] {
        let mut bench = Bench::new(BACLOFEN);
        let (_, alarms) = bench.run(DAY, rate, Rotor::Over(90), None);
        assert_eq!(alarms, AlarmSet::NONE, "{rate}");
    }
}

/// Requirement: AC-3
#[test]
fn twenty_steps_too_many_are_allowed_and_twenty_one_stop_also_while_stopped() {
    let mut bench = Bench::new(MORPHINE);
    bench.run(HOUR, THERAPEUTIC, Rotor::Perfect, None);
    bench.run(HOUR, 0, Rotor::Perfect, None);
    bench.counted += 20_000;
    assert_eq!(bench.observe(false).alarms, AlarmSet::NONE);
    bench.now += 14 * MINUTE;
    bench.counted += 1_000;
    assert_eq!(
        bench.observe(false).alarms,
        AlarmSet::of(AlarmKind::OverDelivery)
    );
    assert!(bench.supervision.record().is_stopped());
    // Latched: over a reset, and until a clinician clears it.
    let record = bench.supervision.record();
    let mut buffer = [0; 32];
    let bytes = postcard::to_slice(&record, &mut buffer).unwrap();
    let record = postcard::from_bytes(bytes).unwrap();
    bench.supervision = Supervision::start(record, bench.at(), 0, 0);
    (bench.commanded, bench.counted) = (0, 0);
    bench.now += HOUR;
    assert_eq!(
        bench.observe(false).alarms,
        AlarmSet::of(AlarmKind::OverDelivery)
    );
    bench.supervision.clear_stop(bench.at());
    assert_eq!(bench.observe(false).alarms, AlarmSet::NONE);
}

#[test]
fn what_is_more_than_fifteen_and_a_half_minutes_apart_is_not_added_up() {
    let mut bench = Bench::new(MORPHINE);
    for _ in 0..100 {
        bench.counted += 20_000;
        assert_eq!(bench.observe(false).alarms, AlarmSet::NONE);
        bench.now += 15 * MINUTE + 30 * SECOND;
    }
}

/// 10 % of what was commanded are allowed, a step more is not.
#[test]
fn a_tenth_too_many_is_allowed_and_one_more_stops() {
    for (more, stops) in [(0, false), (1_000, true)] {
        let mut bench = Bench::new(MORPHINE);
        bench.make(1_000, Rotor::Perfect);
        bench.counted += 100_000 + more;
        assert_eq!(
            bench.observe(true).alarms.contains(AlarmKind::OverDelivery),
            stops
        );
    }
}

/// An excess that is hidden by steps missed before it is found all the same.
#[test]
fn what_was_missed_before_does_not_hide_an_excess() {
    let mut bench = Bench::new(MORPHINE);
    for _ in 0..10 {
        bench.make(40, Rotor::Lossy(975));
        bench.observe(true);
    }
    // In two pieces of the same slice.
    bench.counted += 20_000;
    assert_eq!(bench.observe(true).alarms, AlarmSet::NONE);
    bench.counted += 21_000;
    assert!(bench.observe(true).alarms.contains(AlarmKind::OverDelivery));
}

/// A thousand steps allow a hundred too many for 15 min and no longer.
#[test]
fn what_was_commanded_allows_an_excess_for_fifteen_minutes() {
    for (later, stops) in [(15 * MINUTE - 1, false), (15 * MINUTE, true)] {
        let mut bench = Bench::new(MORPHINE);
        bench.make(1_000, Rotor::Perfect);
        bench.observe(true);
        bench.now += later;
        bench.counted += 21_000;
        assert_eq!(
            bench.observe(true).alarms.contains(AlarmKind::OverDelivery),
            stops
        );
    }
}

/// Two pulses back are a rotor that swings, three are not; forward pulses between them do not help.
///
/// Requirement: AC-2
#[test]
fn two_pulses_backwards_are_allowed_and_three_stop() {
    let mut bench = Bench::new(MORPHINE);
    bench.run(HOUR, THERAPEUTIC, Rotor::Perfect, None);
    for pulses in [-2_000, 1_000, -1_000] {
        bench.counted += pulses;
        assert_eq!(bench.observe(true).alarms, AlarmSet::NONE);
    }
    bench.counted -= 1_000;
    assert_eq!(
        bench.observe(true).alarms,
        AlarmSet::of(AlarmKind::ReverseDelivery)
    );
    assert!(bench.supervision.record().is_stopped());
    bench.counted += 100_000;
    assert!(
        bench
            .observe(true)
            .alarms
            .contains(AlarmKind::ReverseDelivery)
    );
    bench.supervision.clear_stop(bench.at());
    bench.now += DAY;
    assert!(
        !bench
            .observe(true)
            .alarms
            .contains(AlarmKind::ReverseDelivery)
    );
}

/// Phases swapped: stopped as soon as three pulses are back, seen at the next observation, 10 s later at most.
///
/// Requirement: AC-2
#[test]
fn reverse_delivery_stops_within_ten_seconds() {
    for rate in [THERAPEUTIC, 9_600_000] {
        let mut bench = Bench::new(MORPHINE);
        bench.run(HOUR, rate, Rotor::Perfect, None);
        let (after, _) = bench.run(
            HOUR,
            rate,
            Rotor::Backwards,
            Some(AlarmKind::ReverseDelivery),
        );
        assert!(after <= 10 * SECOND);
    }
}

#[test]
fn no_retries_once_stopped_for_good() {
    let mut bench = Bench::new(MORPHINE);
    bench.run(
        HOUR,
        THERAPEUTIC,
        Rotor::Blocked,
        Some(AlarmKind::MotorStall),
    );
    bench.counted -= 3_000;
    bench.observe(true);
    bench.now += HOUR;
    assert_eq!(bench.supervision.next_retry(), None);
    assert_eq!(bench.supervision.retry(9, bench.at()), None);
}

/// 12 % lost is found over 15 min or 200 steps, 9 % is allowed; no stop, and it ends when the pulses are back.
#[test]
fn under_delivery_is_told_without_stopping() {
    for (rate, limit) in [
        (THERAPEUTIC, 20 * MINUTE),
        (9_600_000, 20 * MINUTE),
        (MINIMUM, 3 * HOUR),
    ] {
        let mut bench = Bench::new(MORPHINE);
        bench.run(6 * HOUR, rate, Rotor::Perfect, None);
        let (_, alarms) = bench.run(6 * HOUR, rate, Rotor::Lossy(90), None);
        assert_eq!(alarms, AlarmSet::NONE);
        let (after, alarms) = bench.run(
            6 * HOUR,
            rate,
            Rotor::Lossy(200),
            Some(AlarmKind::UnderDelivery),
        );
        assert_eq!(alarms, AlarmSet::of(AlarmKind::UnderDelivery));
        assert!(after <= limit, "{rate}: {after}");
        assert!(!bench.supervision.record().is_stopped());
        let (_, alarms) = bench.run(6 * HOUR, rate, Rotor::Perfect, None);
        assert_eq!(alarms, AlarmSet::NONE);
    }
}

/// Exactly 90 % of 225 + n steps in just 15 min and the running part.
#[test]
fn ninety_percent_is_allowed_and_a_step_less_is_not() {
    for (missed, under) in [(20, false), (21, true)] {
        let mut bench = Bench::new(MORPHINE);
        for part in 0..8 {
            bench.now += 112_500_000;
            bench.make(25, Rotor::Perfect);
            if part == 0 {
                bench.counted -= missed * 1_000;
            }
            let alarms = bench.observe(true).alarms;
            assert_eq!(
                alarms.contains(AlarmKind::UnderDelivery),
                under && part == 7
            );
        }
    }
    // A microsecond or a step less, and the window is not full.
    for (micros, steps) in [(112_499_999, 25), (112_500_000, 24)] {
        let mut bench = Bench::new(MORPHINE);
        for _ in 0..8 {
            bench.now += micros;
            bench.make(steps, Rotor::Lossy(500));
            assert_eq!(bench.observe(true).alarms, AlarmSet::NONE);
        }
    }
}

#[test]
fn a_stall_outlasts_a_reset_and_is_retried_at_once() {
    let mut bench = Bench::new(BACLOFEN);
    bench.run(HOUR, THERAPEUTIC, Rotor::Perfect, None);
    bench.run(5 * HOUR, THERAPEUTIC, Rotor::Blocked, None);
    let record = bench.supervision.record();
    let stall = record.stall().unwrap();
    bench.supervision = Supervision::start(record, bench.at(), 0, 0);
    (bench.commanded, bench.counted) = (0, 0);
    let alarms = bench.observe(true).alarms;
    assert!(alarms.contains(AlarmKind::MotorStall) && alarms.contains(AlarmKind::DeliveryLost));
    assert_eq!(bench.supervision.next_retry(), Some(bench.at()));
    let retry = bench.supervision.retry(5, bench.at()).unwrap();
    assert_eq!(retry, Retry { steps: 5, level: 3 });
    bench.make(5, Rotor::Perfect);
    let findings = bench.observe(true);
    assert_eq!(
        findings.recovered,
        Some(Recovered {
            stood: bench.at().saturating_since(stall.since),
            missed: 0
        })
    );
    assert_eq!(findings.alarms, AlarmSet::NONE);
}

#[test]
fn no_pulse_after_mri_is_a_stall_like_any_other() {
    let mut bench = Bench::new(MORPHINE);
    bench.run(HOUR, THERAPEUTIC, Rotor::Perfect, None);
    bench.supervision.no_pulse_after_mri(bench.at());
    assert!(bench.observe(true).alarms.contains(AlarmKind::MotorStall));
    let first = bench.supervision.next_retry();
    bench.now += MINUTE;
    bench.supervision.no_pulse_after_mri(bench.at());
    assert_eq!(bench.supervision.next_retry(), first);
    bench.run(HOUR, THERAPEUTIC, Rotor::Perfect, None);
    assert_eq!(bench.recovered.len(), 1);
}

/// A driver that forgets what it commanded cannot hide pulses.
#[test]
fn a_commanded_total_that_goes_back_is_not_believed() {
    let mut bench = Bench::new(MORPHINE);
    bench.make(1_000, Rotor::Perfect);
    bench.observe(true);
    bench.now += HOUR;
    bench.observe(true);
    bench.commanded = 500;
    bench.observe(true);
    bench.commanded = 521;
    bench.counted += 21_000;
    assert!(bench.observe(true).alarms.contains(AlarmKind::OverDelivery));
}

#[test]
fn counts_beyond_32_bits_are_the_furthest_that_fit() {
    for (steps, fits) in [
        (0, 0),
        (-1, -1),
        (2_147_483_647, i32::MAX),
        (2_147_483_648, i32::MAX),
        (-2_147_483_648, i32::MIN),
        (-2_147_483_649, i32::MIN),
    ] {
        assert_eq!(signed_clamped(steps), fits);
    }
}

#[test]
fn the_record_is_small() {
    let record = SupervisionRecord {
        over_delivery: true,
        reverse: true,
        resumed_at_minimum: true,
        stall: Some(Stall {
            since: PoweredTime::MAX,
            retries: 255,
        }),
        last_delivery: Some(PoweredTime::MAX),
    };
    assert_eq!(record.last_delivery(), Some(PoweredTime::MAX));
    let mut buffer = [0; 32];
    let bytes = postcard::to_slice(&record, &mut buffer).unwrap();
    assert_eq!(bytes.len(), 26);
    assert_eq!(postcard::from_bytes(bytes), Ok(record));
    assert!(
        size_of::<Supervision>() <= 680,
        "{}",
        size_of::<Supervision>()
    );
}

/// The rule itself, without slices: the largest rise of counted over commanded since any moment in the last 15 min, held against
/// what was commanded in them.
fn is_over(history: &[(u64, u64, i64)]) -> bool {
    let Some((now, commanded, counted)) = history.last().copied() else {
        return false;
    };
    let window = history
        .iter()
        .rev()
        .take_while(|(at, ..)| now - at <= 15 * MINUTE);
    let first = window.clone().last().unwrap().1;
    let allowed = ((commanded - first) / 10).max(20);
    window
        .map(|(_, then, pulses)| (counted - pulses) - i64::try_from(commanded - then).unwrap())
        .any(|excess| excess > i64::try_from(allowed).unwrap())
}

proptest! {
    /// A faultless encoder, which may be a step behind, never alarms, whatever the rates and pauses.
    ///
    /// Requirement: AC-3
    #[test]
    fn a_faultless_encoder_never_alarms(
        legs in prop::collection::vec((0_u64..9_600_000, any::<bool>(), 0_u32..8, 1_u64..120), 1..40),
        behind in prop::collection::vec(any::<bool>(), 120),
    ) {
        let mut bench = Bench::new(MORPHINE);
        for (rate, pause, shift, observations) in legs {
            let rate = if pause { 0 } else { (rate >> (2 * shift)).max(MINIMUM) };
            for observation in 0..observations {
                bench.now += 10 * SECOND;
                bench.prescribed += rate * 10 * SECOND;
                bench.commanded += bench.prescribed / DAY;
                bench.prescribed %= DAY;
                let index = usize::try_from(observation).unwrap();
                let lag = u64::from(behind[index]).min(bench.commanded);
                bench.counted = i64::try_from(bench.commanded - lag).unwrap() * 1_000;
                let findings = bench.observe(!pause);
                prop_assert_eq!(findings.alarms, AlarmSet::NONE);
                prop_assert_eq!(findings.recovered, None);
            }
        }
    }

    /// Whatever is counted, too much of it is never without its alarm.
    ///
    /// Requirement: AC-3
    #[test]
    fn an_excess_is_never_undetected(
        seen in prop::collection::vec((1_u64..60, 0_u64..60, -3_i64..4, 0_u32..30), 1..300),
    ) {
        let mut bench = Bench::new(MORPHINE);
        let mut history = std::vec![(bench.now, 0, 0)];
        for (seconds, steps, slip, rare) in seen {
            bench.now += seconds * SECOND;
            bench.commanded += steps;
            let slip = if rare == 0 { slip * 5 } else { slip.max(0) / 3 };
            bench.counted += (i64::try_from(steps).unwrap() + slip).max(0) * 1_000;
            let alarms = bench.observe(true).alarms;
            history.push((bench.now, bench.commanded, bench.counted / 1_000));
            if is_over(&history) {
                prop_assert!(alarms.contains(AlarmKind::OverDelivery));
                break;
            }
        }
    }
}
