#![allow(clippy::arithmetic_side_effects)]

use std::vec::Vec;

use proptest::prelude::*;

use super::energy::{
    ADVERTISING_EVENT, BATTERY, CLOSING_EVENTS, CONNECTION_EVENT, ELECTRONICS_DAY, FORGED_GATE,
    LIFE_DAYS,
};
use super::*;

const MILLISECOND: u64 = 1_000;
const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

fn at(micros: u64) -> CarrierTime {
    CarrierTime::from_micros(micros)
}

/// A connection at `now` that passes, or not, and is gone at once. True when it was admitted.
fn visit(admission: &mut Admission, now: u64, bonded: bool, passes: bool) -> bool {
    admission.connected(at(now), bonded);
    let admitted = !admission.expired(at(now));
    if passes {
        admission.passed(at(now));
    }
    admission.closed(at(now));
    admitted
}

/// Failures one after the other, each as soon as the quota is ready. When the last was.
fn attack(admission: &mut Admission, bonded: bool, times: usize) -> u64 {
    let mut now = 0;
    for _ in 0..times {
        let quota = if bonded {
            admission.bonded
        } else {
            admission.strangers
        };
        now = quota.ready_at().micros().max(now);
        assert!(visit(admission, now, bonded, false));
    }
    now
}

// ---- Deadline ----

#[test]
fn a_new_pump_advertises_to_everybody() {
    let admission = Admission::new();
    assert_eq!(admission, Admission::default());
    assert_eq!(admission.advertise(at(0)), Advertise::Slow);
    assert_eq!(admission.deadline(), None);
    assert_eq!(admission.next(at(0)), None);
    assert!(!admission.expired(at(u64::MAX)));
}

#[test]
fn five_seconds_to_the_gate() {
    let mut admission = Admission::new();
    admission.connected(at(7), false);
    assert_eq!(admission.advertise(at(7)), Advertise::No);
    assert_eq!(admission.deadline(), Some(at(7 + 5 * SECOND)));
    assert_eq!(admission.next(at(7)), Some(at(7 + 5 * SECOND)));
    assert!(!admission.expired(at(6 + 5 * SECOND)));
    assert!(admission.expired(at(7 + 5 * SECOND)));

    let mut in_time = admission;
    in_time.passed(at(6 + 5 * SECOND));
    assert_eq!(in_time.deadline(), None);
    assert_eq!(in_time.next(at(8)), None);
    assert!(!in_time.expired(at(DAY)));
    assert_eq!(in_time.advertise(at(DAY)), Advertise::No, "one phone");
    let mut again = in_time;
    again.passed(at(DAY));
    assert_eq!(again, in_time);

    admission.passed(at(7 + 5 * SECOND));
    assert!(admission.expired(at(7 + 5 * SECOND)), "too late");
    admission.closed(at(7 + 5 * SECOND));
    assert_eq!(
        admission.advertise(at(7 + 5 * SECOND)),
        Advertise::BondedOnly
    );
}

#[test]
fn a_short_interval_leaves_less_time() {
    for (interval, time) in [
        (0, 48 * 7_500),
        (7_499, 48 * 7_500),
        (7_500, 48 * 7_500),
        (7_501, 48 * 7_501),
        (30 * MILLISECOND, 1_440 * MILLISECOND),
        (104_166, 48 * 104_166),
        (104_167, 5 * SECOND),
        (4 * SECOND, 5 * SECOND),
        (u64::MAX, 5 * SECOND),
    ] {
        let mut admission = Admission::new();
        admission.connected(at(7), false);
        admission.paced(at(7), Duration::from_micros(interval));
        assert_eq!(admission.deadline(), Some(at(7 + time)), "{interval}");
    }
}

/// The keys of a bond give more events, once, and to nobody who only has the address of a bonded phone, or paid as a stranger.
#[test]
fn encryption_gives_the_events_of_a_bond() {
    let interval = 10 * MILLISECOND;
    let mut admission = Admission::new();
    admission.connected(at(7), true);
    admission.paced(at(7), Duration::from_micros(interval));
    assert_eq!(admission.deadline(), Some(at(7 + 48 * interval)));
    for _ in 0..2 {
        admission.secured();
        assert_eq!(admission.deadline(), Some(at(7 + 96 * interval)));
    }
    admission.paced(at(7), Duration::from_millis(100));
    assert_eq!(admission.deadline(), Some(at(7 + 5 * SECOND)));

    // Its own quota rests: this one is paid by a stranger's token.
    admission.closed(at(8));
    admission.connected(at(9), true);
    admission.paced(at(9), Duration::from_micros(interval));
    admission.secured();
    assert_eq!(admission.deadline(), Some(at(9 + 48 * interval)));
}

#[test]
fn events_count_across_a_change_of_interval() {
    // After 40 events of 10 ms, and none, one or all but one microseconds of the next, the interval becomes 20 ms.
    for (more, left) in [(0, 8), (1, 7), (9_999, 7), (10_000, 7), (10_001, 6)] {
        let mut admission = Admission::new();
        admission.connected(at(0), false);
        admission.paced(at(0), Duration::from_millis(10));
        let now = 400 * MILLISECOND + more;
        admission.paced(at(now), Duration::from_millis(20));
        assert_eq!(
            admission.deadline(),
            Some(at(now + left * 20 * MILLISECOND)),
            "{more}"
        );
    }
    // None are left.
    let mut admission = Admission::new();
    admission.connected(at(0), false);
    admission.paced(at(0), Duration::from_micros(7_500));
    admission.paced(at(SECOND), Duration::from_millis(40));
    assert!(admission.expired(at(SECOND)));
}

#[test]
fn one_forged_gate_and_out() {
    let mut admission = Admission::new();
    admission.connected(at(0), false);
    admission.failed(at(SECOND));
    assert_eq!(admission.deadline(), Some(at(SECOND)));
    assert!(admission.expired(at(SECOND)));
    admission.failed(at(2 * SECOND));
    assert_eq!(admission.deadline(), Some(at(SECOND)), "since the first");
    admission.passed(at(SECOND - 1));
    assert!(admission.expired(at(SECOND)), "no second attempt");
    admission.paced(at(SECOND), Duration::from_seconds(9));
    assert!(admission.expired(at(SECOND)));
    admission.closed(at(SECOND));
    assert_eq!(admission.strangers.rests_until, at(2 * SECOND));
    assert_eq!(admission.strangers.full_at, at(144 * MINUTE));
}

/// A phone that does not let go of a connection that is over pays for what that costs, a token for what one token buys, and is out of
/// quota for as long as that takes.
#[test]
fn whoever_holds_on_to_the_end_pays_for_it() {
    let interval = 10 * MILLISECOND;
    let pays = |bonded: bool, beyond: u64| {
        let mut admission = Admission::new();
        admission.connected(at(0), bonded);
        admission.paced(at(0), Duration::from_micros(interval));
        if bonded {
            admission.secured();
        }
        let end = admission.deadline().unwrap().micros();
        admission.closed(at(end + beyond * interval));
        let (quota, refill) = if bonded {
            (admission.bonded, BONDED.refill)
        } else {
            (admission.strangers, STRANGERS.refill)
        };
        // The first is paid at the beginning, the others at the end.
        quota.full_at.micros() / refill.micros()
    };
    for (events, strangers, bonded) in [
        (0, 1, 1),
        (2, 1, 1),
        (3, 2, 2),
        (50, 2, 2),
        (51, 3, 2),
        (98, 3, 2),
        (99, 4, 3),
    ] {
        assert_eq!(pays(false, events), strangers, "{events}");
        assert_eq!(pays(true, events), bonded, "{events}");
    }
    // 32 s at 7.5 ms, the most that the radio's own rules allow.
    let mut admission = Admission::new();
    admission.connected(at(0), false);
    admission.paced(at(0), Duration::from_micros(7_500));
    admission.failed(at(0));
    admission.closed(at(32 * SECOND));
    let shut = admission.strangers.ready_at().micros();
    assert!(shut > 8 * DAY, "{shut}");
    assert_eq!(admission.advertise(at(8 * DAY)), Advertise::BondedOnly);
    // The magnet reopens all the same.
    admission.presence_opened(at(DAY));
    assert_eq!(admission.advertise(at(DAY)), Advertise::Fast);
}

/// Whoever passes the gate and fails at the handshake has cost more than others, and pays.
#[test]
fn failing_after_the_gate_costs_a_token() {
    let mut admission = Admission::new();
    admission.connected(at(0), false);
    admission.passed(at(1));
    admission.failed(at(2));
    assert!(admission.expired(at(2)));
    admission.closed(at(2));
    assert_eq!(admission.strangers.full_at, at(144 * MINUTE));
    assert_eq!(admission.strangers.rests_until, at(SECOND + 2));
}

#[test]
fn without_a_connection_nothing_happens() {
    let mut admission = Admission::new();
    admission.passed(at(1));
    admission.failed(at(2));
    admission.paced(at(3), Duration::from_seconds(1));
    admission.closed(at(4));
    assert_eq!(admission, Admission::new());
}

#[test]
fn a_connection_whose_end_went_unsaid_ends_with_the_next() {
    let mut admission = Admission::new();
    admission.connected(at(0), false);
    admission.connected(at(SECOND), false);
    assert!(admission.expired(at(SECOND)), "the quota rests");
    admission.closed(at(SECOND));
    assert_eq!(admission.strangers.rests_until, at(2 * SECOND));
    assert_eq!(admission.strangers.full_at, at(144 * MINUTE), "one token");
}

// ---- Quotas ----

#[test]
fn ten_strangers_and_then_one_each_144_minutes() {
    let mut admission = Admission::new();
    let last = attack(&mut admission, false, 10);
    // 1 + 2 + ... + 256 s of back-off.
    assert_eq!(last, 511 * SECOND);
    let ready = 144 * MINUTE;
    assert_eq!(admission.advertise(at(ready - 1)), Advertise::BondedOnly);
    assert_eq!(admission.next(at(last)), Some(at(ready)));
    assert_eq!(admission.advertise(at(ready)), Advertise::Slow);
    let mut early = admission;
    assert!(!visit(&mut early, ready - 1, false, false));
    assert_eq!(early, admission, "who is not admitted changes nothing");
    assert!(visit(&mut admission, ready, false, false));
    assert_eq!(
        admission.advertise(at(2 * ready - 1)),
        Advertise::BondedOnly
    );
    assert_eq!(admission.advertise(at(2 * ready)), Advertise::Slow);
}

/// A full bucket and no more, however long nobody came.
#[test]
fn a_full_bucket_is_its_tokens_without_any_back_off() {
    for (bonded, tokens, start) in [
        (false, 10, 0),
        (false, 10, 7 * DAY),
        (true, 9, 0),
        (true, 9, 7 * DAY),
    ] {
        let mut admission = Admission::new();
        for _ in 0..tokens {
            assert!(visit(&mut admission, start, bonded, false));
            // As if another phone had passed meanwhile.
            admission.strangers.rests_until = at(0);
            admission.bonded.rests_until = at(0);
        }
        let quota = if bonded {
            &admission.bonded
        } else {
            &admission.strangers
        };
        let refill = quota.limit.refill.micros();
        assert!(!quota.is_ready(at(start)));
        assert!(!quota.is_ready(at(start + refill - 1)));
        assert!(quota.is_ready(at(start + refill)));
    }
}

/// The numbers of the design: at most 20 and 18 in a day, full bucket and refill together.
#[test]
fn bucket_and_refill_make_the_number_of_a_day() {
    for (limit, number) in [(STRANGERS, 20), (BONDED, 18)] {
        assert_eq!(limit.tokens + DAY / limit.refill.micros(), number);
        assert_eq!(DAY % limit.refill.micros(), 0);
    }
}

#[test]
fn strangers_cannot_lock_out_a_bonded_phone() {
    let mut admission = Admission::new();
    let now = attack(&mut admission, false, 10);
    assert_eq!(admission.advertise(at(now)), Advertise::BondedOnly);
    for second in 0..1_000 {
        assert!(visit(&mut admission, now + second, true, true));
        assert_eq!(admission.advertise(at(now + second)), Advertise::BondedOnly);
    }
}

#[test]
fn a_bonded_phone_without_quota_draws_on_the_strangers() {
    let mut admission = Admission::new();
    assert!(visit(&mut admission, 0, true, false));
    assert_eq!(admission.strangers, Quota::new(STRANGERS));
    assert_eq!(admission.advertise(at(0)), Advertise::Slow);
    assert!(visit(&mut admission, 0, true, false), "its own rests");
    assert_eq!(admission.advertise(at(0)), Advertise::No, "both rest");
    assert_eq!(admission.next(at(0)), Some(at(SECOND)));
    assert!(!visit(&mut admission, 0, true, true));
    assert!(visit(&mut admission, SECOND, true, true));
}

#[test]
fn whoever_passes_pays_nothing() {
    for bonded in [false, true] {
        let mut admission = Admission::new();
        let before = attack(&mut admission, bonded, 3);
        let ready = before + 4 * SECOND;
        let full_at = (admission.strangers.full_at, admission.bonded.full_at);
        for visits in 0..100 {
            assert!(visit(&mut admission, ready + visits, bonded, true));
        }
        assert_eq!(
            (admission.strangers.full_at, admission.bonded.full_at),
            full_at
        );
        // A token that was not missing is not given back either.
        let mut fresh = Admission::new();
        assert!(visit(&mut fresh, DAY, bonded, true));
        for quota in [fresh.strangers, fresh.bonded] {
            assert!(quota.full_at <= at(DAY));
        }
    }
}

#[test]
fn the_back_off_doubles_up_to_an_hour() {
    let mut quota = Quota::new(STRANGERS);
    for seconds in [
        1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600,
    ] {
        quota.failed(at(5));
        quota.full_at = at(0);
        assert_eq!(quota.rests_until, at(5 + seconds * SECOND));
        assert!(!quota.is_ready(at(4 + seconds * SECOND)));
        assert!(quota.is_ready(at(5 + seconds * SECOND)));
    }
    quota.passed();
    quota.failed(at(5));
    assert_eq!(quota.rests_until, at(5 + SECOND), "begins anew");
}

#[test]
fn the_back_off_counts_from_the_end() {
    let mut admission = Admission::new();
    admission.connected(at(0), true);
    admission.closed(at(5 * SECOND));
    assert!(!admission.bonded.is_ready(at(6 * SECOND - 1)));
    assert!(admission.bonded.is_ready(at(6 * SECOND)));
    assert!(admission.strangers.is_ready(at(5 * SECOND)), "not theirs");
}

// ---- Presence ----

#[test]
fn presence_reopens_and_advertises_fast_for_five_minutes() {
    let mut admission = Admission::new();
    let now = attack(&mut admission, true, 9).max(attack(&mut admission, false, 10));
    admission.presence_opened(at(now));
    let end = now + 5 * MINUTE;
    assert_eq!(admission.advertise(at(now)), Advertise::Fast);
    assert_eq!(admission.next(at(now)), Some(at(end)));
    assert_eq!(admission.advertise(at(end - 1)), Advertise::Fast);
    assert_eq!(admission.advertise(at(end)), Advertise::Slow);
    assert_eq!(admission.strangers, Quota::new(STRANGERS));
    assert_eq!(admission.bonded, Quota::new(BONDED));
    // And is prolonged.
    admission.presence_opened(at(end - 1));
    assert_eq!(admission.next(at(end)), Some(at(end - 1 + 5 * MINUTE)));
}

#[test]
fn nobody_at_the_bed_is_refused_whatever_strangers_do() {
    let mut admission = Admission::new();
    admission.presence_opened(at(0));
    for visits in 0..1_000 {
        assert!(visit(&mut admission, visits, visits % 2 == 0, false));
        assert_eq!(admission.advertise(at(visits)), Advertise::Fast);
    }
    assert_eq!(admission.strangers, Quota::new(STRANGERS));
    assert_eq!(admission.bonded, Quota::new(BONDED));
    // The last one in the window, the first one after it.
    assert!(visit(&mut admission, 5 * MINUTE - 1, false, false));
    assert_eq!(admission.strangers, Quota::new(STRANGERS));
    assert!(visit(&mut admission, 5 * MINUTE, false, false));
    assert_ne!(admission.strangers, Quota::new(STRANGERS));
}

#[test]
fn a_minute_to_the_gate_while_the_window_is_open() {
    let end = 5 * MINUTE;
    for (since, deadline) in [
        (0, 60 * SECOND),
        (240 * SECOND, end),
        (240 * SECOND + 1, end),
        (295 * SECOND, end),
        (295 * SECOND + 1, end + 1),
        (end, end + 5 * SECOND),
    ] {
        let mut admission = Admission::new();
        admission.presence_opened(at(0));
        admission.connected(at(since), false);
        assert_eq!(admission.deadline(), Some(at(deadline)), "{since}");
        assert!(!admission.expired(at(deadline - 1)));
        assert!(admission.expired(at(deadline)));
    }
}

#[test]
fn presence_forgives_a_connection_under_way() {
    for passes in [false, true] {
        let mut admission = Admission::new();
        admission.connected(at(0), false);
        admission.presence_opened(at(SECOND));
        assert_eq!(admission.deadline(), Some(at(60 * SECOND)));
        assert_eq!(admission.next(at(SECOND)), Some(at(60 * SECOND)));
        if passes {
            admission.passed(at(2 * SECOND));
        }
        admission.closed(at(2 * SECOND));
        assert_eq!(admission.strangers, Quota::new(STRANGERS));
        assert_eq!(admission.bonded, Quota::new(BONDED));
    }
}

// ---- Energy ----

/// Who attacks, and how.
#[derive(Clone, Copy)]
struct Attacker {
    strangers: bool,
    /// With a bond but no key; an honest bonded phone then passes each time the bonded quota could rest.
    bonded: bool,
    interval: Duration,
}

/// The charge of one connection: the event it began with, `events` and those that close it, and a forged gate at the last moment.
fn charge_of(events: u64) -> u64 {
    ADVERTISING_EVENT + (events + CLOSING_EVENTS) * CONNECTION_EVENT + FORGED_GATE
}

/// Connects as soon as it may, holds to the deadline, forges a gate just before it. When, and what it cost.
fn simulate(attacker: Attacker, days: u64) -> Vec<(u64, u64)> {
    let (mut admission, mut now, mut costs) = (Admission::new(), 0, Vec::new());
    // The owner's phone passes as soon as it can, and so ends the back-off for the attacker.
    let mut owner_waits = false;
    while now < days * DAY {
        let ready = admission.bonded.is_ready(at(now));
        if owner_waits && ready {
            assert!(visit(&mut admission, now, true, true));
            owner_waits = false;
        }
        let bonded = attacker.bonded && ready;
        let advertised = admission.advertise(at(now));
        if !(bonded || attacker.strangers && advertised == Advertise::Slow) {
            let next = admission.next(at(now)).unwrap().micros();
            assert!(next > now);
            now = next;
            continue;
        }
        assert_ne!(advertised, Advertise::No);
        admission.connected(at(now), bonded);
        admission.paced(at(now), attacker.interval);
        if attacker.bonded {
            admission.secured();
        }
        let deadline = admission.deadline().unwrap().micros();
        assert!(deadline > now, "was advertised to");
        let events = (deadline - now).div_ceil(attacker.interval.micros());
        costs.push((now, charge_of(events)));
        assert!(costs.len() < 1_000, "without limit");
        admission.failed(at(deadline - 1));
        assert!(admission.expired(at(deadline - 1)));
        admission.closed(at(deadline));
        now = deadline;
        owner_waits = owner_waits || bonded;
    }
    costs
}

/// The most in any 24 hours that include both ends: connections, and charge in nanocoulombs.
fn worst_day(costs: &[(u64, u64)]) -> (usize, u64) {
    let days = costs.iter().enumerate().map(|(first, &(start, _))| {
        costs[first..]
            .iter()
            .take_while(|&&(time, _)| time - start <= DAY)
            .fold((0, 0), |(number, sum), &(_, cost)| (number + 1, sum + cost))
    });
    days.reduce(|a, b| (a.0.max(b.0), a.1.max(b.1))).unwrap()
}

const BATTERY_DAY: u64 = BATTERY / LIFE_DAYS;

/// From the shortest interval to the longest, those at which events or seconds decide among them.
const INTERVALS: [u64; 9] = [
    7_500, 8_750, 15_000, 30_000, 36_250, 37_500, 38_750, 100_000, 4_000_000,
];

/// A day of any attack that needs no key costs at most 2 % of the day's charge: the lines of the table in the documentation.
#[test]
fn attacks_cost_at_most_two_percent_of_a_day() {
    let by_strangers = 20 * charge_of(FIRST_EVENTS);
    let by_bonded = 18 * charge_of(GATE_EVENTS);
    for (strangers, bonded, number, charge) in [
        (true, false, 20, by_strangers),
        (false, true, 18, by_bonded),
        (true, true, 38, by_strangers + by_bonded),
    ] {
        let (connections, most) = INTERVALS
            .map(|interval| {
                worst_day(&simulate(
                    Attacker {
                        strangers,
                        bonded,
                        interval: Duration::from_micros(interval),
                    },
                    4,
                ))
            })
            .into_iter()
            .reduce(|a, b| (a.0.max(b.0), a.1.max(b.1)))
            .unwrap();
        assert!(connections <= number, "{connections}");
        assert!(most <= charge, "{most}");
        assert!(charge * 100 <= 2 * ELECTRONICS_DAY, "{charge}");
        assert!(charge * 100 <= 2 * BATTERY_DAY, "{charge}");
        // The simulated attack comes near its bound.
        assert!(connections + 3 >= number, "{connections}");
    }
    assert_eq!((by_strangers, by_bonded), (6_258_600, 10_816_740));
    let of = |charge: u64, day: u64| charge * 10_000 / day;
    assert_eq!(of(by_strangers, ELECTRONICS_DAY), 72);
    assert_eq!(of(by_bonded, ELECTRONICS_DAY), 125);
    assert_eq!(of(by_strangers + by_bonded, ELECTRONICS_DAY), 197);
    assert_eq!(of(by_strangers, BATTERY_DAY), 44);
    assert_eq!(of(by_bonded, BATTERY_DAY), 76);
    assert_eq!(of(by_strangers + by_bonded, BATTERY_DAY), 121);
    // One bonded connection more would be too many.
    assert!((by_strangers + by_bonded + charge_of(GATE_EVENTS)) * 100 > 2 * ELECTRONICS_DAY);
}

/// Clinical reference, criterion 22: 10,000 reconnections a day cost at most 0.05 % of the battery.
#[test]
fn ten_thousand_reconnections_are_mostly_not_answered() {
    let (mut admission, mut admitted, mut answered) = (Admission::new(), 0, 0);
    for attempt in 0..10_000 {
        let now = attempt * DAY / 10_000;
        if admission.advertise(at(now)) == Advertise::Slow {
            answered += 1;
            admitted += u64::from(visit(&mut admission, now, false, false));
        }
    }
    assert_eq!((admitted, answered), (19, 19), "one more at 24 hours");
    assert!(admitted * charge_of(FIRST_EVENTS) * 10_000 <= 5 * BATTERY);
}

#[test]
fn advertising_is_what_the_documentation_says() {
    assert_eq!(Advertise::No.interval(), None);
    assert_eq!(Advertise::Slow.interval(), Some(Duration::from_seconds(4)));
    assert_eq!(Advertise::BondedOnly.interval(), Some(SLOW_INTERVAL));
    assert_eq!(Advertise::Fast.interval(), Some(FAST_INTERVAL));
    // In units of 0.625 ms, as the controller takes them.
    assert_eq!(SLOW_INTERVAL.micros() % 625, 0);
    assert_eq!(FAST_INTERVAL.micros() % 625, 0);
    assert_eq!(
        DAY / SLOW_INTERVAL.micros() * ADVERTISING_EVENT,
        250_560_000
    );
    let window = |interval: u64| WINDOW.micros().div_ceil(interval) * ADVERTISING_EVENT;
    assert!(window(FAST_INTERVAL.micros()) * 100 <= 2 * ELECTRONICS_DAY);
    assert!(window(152_500) * 100 > 2 * ELECTRONICS_DAY);
}

// ---- Properties ----

/// Something that happens, after a pause.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Connected(bool),
    Paced(u64),
    Secured,
    Passed,
    Failed,
    Closed,
    Presence,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => any::<bool>().prop_map(Happening::Connected),
        1 => prop_oneof![0..100_000_u64, any::<u64>()].prop_map(Happening::Paced),
        1 => Just(Happening::Secured),
        2 => Just(Happening::Passed),
        1 => Just(Happening::Failed),
        4 => Just(Happening::Closed),
        1 => Just(Happening::Presence),
    ]
}

fn pause() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..SECOND,
        0..10 * SECOND,
        0..10 * MINUTE,
        0..3 * HOUR,
        Just(144 * MINUTE),
        Just(HOUR)
    ]
}

fn happen(admission: &mut Admission, now: u64, happening: Happening) {
    match happening {
        Happening::Connected(bonded) => admission.connected(at(now), bonded),
        Happening::Paced(interval) => admission.paced(at(now), Duration::from_micros(interval)),
        Happening::Secured => admission.secured(),
        Happening::Passed => admission.passed(at(now)),
        Happening::Failed => admission.failed(at(now)),
        Happening::Closed => admission.closed(at(now)),
        Happening::Presence => admission.presence_opened(at(now)),
    }
}

/// The greatest number of moments in 24 hours, both ends included.
fn most_in_a_day(moments: &[u64]) -> usize {
    let day_from = |first: usize| {
        moments[first..]
            .iter()
            .take_while(|&&moment| moment - moments[first] <= DAY)
            .count()
    };
    (0..moments.len()).map(day_from).max().unwrap_or(0)
}

proptest! {
    /// Whatever happens, without presence: at most 20 strangers in any 24 hours who were admitted and did not pass, 38 with those of bonded address.
    #[test]
    fn never_more_than_the_number_in_any_day(
        steps in prop::collection::vec((pause(), happening()), 0..400),
        burst in prop::collection::vec((0..4 * MINUTE, any::<bool>()), 0..400),
    ) {
        let burst = burst.into_iter().flat_map(|(pause, bonded)| {
            [(pause, Happening::Connected(bonded)), (0, Happening::Closed)]
        });
        let (mut admission, mut now) = (Admission::new(), 0);
        let (mut strangers, mut all) = (Vec::new(), Vec::new());
        let mut current: Option<(u64, bool)> = None;
        for (pause, happening) in steps.into_iter().chain(burst) {
            now += pause;
            match happening {
                Happening::Presence => continue,
                Happening::Connected(_) | Happening::Closed => {
                    if let (Some((since, bonded)), Some(Connection { stage: Stage::Waiting | Stage::Over(_), .. })) =
                        (current.take(), admission.connection)
                    {
                        all.push(since);
                        if !bonded {
                            strangers.push(since);
                        }
                    }
                }
                Happening::Passed | Happening::Failed | Happening::Paced(_) | Happening::Secured => {}
            }
            happen(&mut admission, now, happening);
            if let Happening::Connected(bonded) = happening
                && !admission.expired(at(now))
            {
                current = Some((now, bonded));
            }
        }
        prop_assert!(most_in_a_day(&strangers) <= 20);
        prop_assert!(most_in_a_day(&all) <= 38);
    }

    /// However the interval is changed, at most 48 events happen, 96 with the keys of a bond, before the deadline, and it is never later than 5 s.
    #[test]
    fn never_more_than_the_events(
        changes in prop::collection::vec((1..40_u64, 7_500..100_000_u64, 0..7_500_u64), 1..20),
        secured_at in prop::option::of(0..20_usize),
    ) {
        let mut admission = Admission::new();
        admission.connected(at(0), true);
        let (mut now, mut events) = (0, 0_usize);
        for (place, (count, interval, offset)) in changes.into_iter().enumerate() {
            if secured_at == Some(place) {
                admission.secured();
            }
            admission.paced(at(now), Duration::from_micros(interval));
            // Events at `now + offset + k * interval`; the next change comes somewhere before the next one.
            let first = now + offset;
            let deadline = admission.deadline().unwrap().micros();
            events += (0..count).filter(|k| first + k * interval < deadline).count();
            now = first + (count - 1) * interval + 1;
        }
        let limit = if secured_at.is_some() { GATE_EVENTS } else { FIRST_EVENTS };
        prop_assert!(u64::try_from(events).unwrap() <= limit);
        prop_assert!(admission.deadline().unwrap() <= at(5 * SECOND));
    }

    /// Presence reopens, whatever has happened, wherever the clock has jumped.
    #[test]
    fn presence_always_reopens(
        steps in prop::collection::vec((any::<u64>(), happening()), 0..100),
        now in 0..u64::MAX - DAY,
    ) {
        let mut admission = Admission::new();
        for (time, happening) in steps {
            happen(&mut admission, time, happening);
        }
        admission.presence_opened(at(now));
        admission.closed(at(now));
        prop_assert_eq!(admission.advertise(at(now)), Advertise::Fast);
        prop_assert!(visit(&mut admission, now, false, false));
        prop_assert_eq!(admission.advertise(at(now + 5 * MINUTE)), Advertise::Slow);
    }

    /// Between now and `next` no answer changes; at `next` of a connection it is to be dropped.
    #[test]
    fn sleeping_until_next_misses_nothing(
        steps in prop::collection::vec((pause(), happening()), 0..60),
        fraction in any::<u64>(),
    ) {
        let (mut admission, mut now) = (Admission::new(), 0);
        for (pause, happening) in steps {
            now += pause;
            happen(&mut admission, now, happening);
            let until = admission.next(at(now)).map_or(u64::MAX, CarrierTime::micros);
            if until <= now {
                prop_assert!(admission.expired(at(now)));
                continue;
            }
            let between = now + fraction % (until - now);
            for moment in [between, until - 1] {
                prop_assert_eq!(admission.advertise(at(moment)), admission.advertise(at(now)));
                prop_assert_eq!(admission.expired(at(moment)), admission.expired(at(now)));
            }
            if admission.connection.is_some() && until < u64::MAX {
                prop_assert!(admission.expired(at(until)));
            }
        }
    }

    /// A pump that nobody visits until all is paid, and no longer than three days beyond, is as open as a new one but for the back-off, which one
    /// pass ends.
    #[test]
    fn quotas_fill_again(steps in prop::collection::vec((pause(), happening()), 0..100)) {
        let (mut admission, mut now) = (Admission::new(), 0);
        for (pause, happening) in steps {
            now += pause;
            happen(&mut admission, now, happening);
        }
        admission.closed(at(now));
        let paid = admission.strangers.full_at.max(admission.bonded.full_at);
        now = now.max(paid.micros()) + 3 * DAY;
        prop_assert_eq!(admission.advertise(at(now)), Advertise::Slow);
        prop_assert!(admission.strangers.full_at <= at(now));
        prop_assert!(admission.bonded.full_at <= at(now));
    }

    /// Any times in any order, the ends of the clock among them: no panic, and the answers agree with each other.
    #[test]
    fn any_times_in_any_order(
        steps in prop::collection::vec(
            (prop_oneof![any::<u64>(), 0..10_u64, u64::MAX - 10..=u64::MAX], happening()),
            0..200,
        ),
    ) {
        let mut admission = Admission::new();
        for (now, happening) in steps {
            happen(&mut admission, now, happening);
            let expired = admission.expired(at(now));
            prop_assert_eq!(expired, admission.deadline().is_some_and(|deadline| at(now) >= deadline));
            if admission.connection.is_some() {
                prop_assert_eq!(admission.advertise(at(now)), Advertise::No);
                prop_assert_eq!(admission.next(at(now)), admission.deadline());
            } else {
                prop_assert!(admission.next(at(now)).is_none_or(|next| next > at(now)));
            }
        }
    }
}
