//! Delivery against an oracle of big integers that shares no arithmetic with it.
#![allow(clippy::arithmetic_side_effects)]

use std::collections::VecDeque;
use std::vec::Vec;

use num_bigint::BigUint;
use proptest::prelude::*;
use units::{Concentration, DoseRate, Drug, FlowRate, Mass, Per, PumpKind, Volume};

use super::*;
use crate::prescription::{Draft, Mode};

const YEAR: u64 = 31_557_600_000_000;
const HOUR: u64 = 3_600_000_000;

impl Delivery {
    /// Whole steps that the basal rate has prescribed by `at`.
    fn prescribed(&self, at: PumpTime) -> u64 {
        self.basal.map_or(0, |track| track.accumulator.due_by(at))
    }
}

/// A dose over a concentration at a calibration, as plain numbers.
#[derive(Clone, Copy, Debug)]
struct Case {
    zeptograms: u128,
    per: Per,
    nanograms_per_millilitre: u32,
    femtolitres: u32,
}

impl Case {
    /// Water, so to speak: a flow rate at a nominal concentration of 1 ng/mL.
    fn flowing(rate: &str, femtolitres: u32) -> Self {
        let rate: FlowRate = rate.parse().unwrap();
        let zeptograms = u128::from(rate.volume().femtolitres());
        Self {
            zeptograms,
            per: rate.per(),
            nanograms_per_millilitre: 1,
            femtolitres,
        }
    }

    fn step_volume(self) -> StepVolume {
        StepVolume::new(self.femtolitres).unwrap()
    }

    fn flow(self) -> Flow {
        let concentration =
            Concentration::from_nanograms_per_millilitre(self.nanograms_per_millilitre).unwrap();
        DoseRate::new(Mass::from_zeptograms(self.zeptograms), self.per).flow(concentration)
    }

    fn start(self, at: u64) -> Delivery {
        Delivery::run(
            self.flow(),
            self.step_volume(),
            PumpTime::from_micros(at),
            1,
        )
    }
}

/// What the orders so far come to, held against the prescription in exact fractions, and the two places of the driver's queue.
struct Ledger {
    case: Case,
    start: u64,
    /// Every step ordered or left out.
    accounted: u64,
    last_end_ns: Option<BigUint>,
    next_id: u32,
    queue: VecDeque<StepOrder>,
}

impl Ledger {
    fn new(case: Case, start: u64) -> Self {
        Self {
            case,
            start,
            accounted: 0,
            last_end_ns: None,
            next_id: 1,
            queue: VecDeque::new(),
        }
    }

    /// Nanoseconds since the start at which `step` is due, times the zeptograms of the dose: `step` x denominator.
    fn due(&self, step: u64) -> BigUint {
        BigUint::from(self.case.per.micros())
            * 1_000_u32
            * self.case.nanograms_per_millilitre
            * self.case.femtolitres
            * step
    }

    /// Whole steps due by a moment in microseconds, by division of big integers.
    fn prescribed(&self, at: u64) -> u64 {
        let product =
            BigUint::from(at.saturating_sub(self.start)) * 1_000_u32 * self.case.zeptograms;
        u64::try_from(product / self.due(1)).unwrap()
    }

    /// Step `step` happens at `at_ns` nanoseconds of pump time: not before it is due, and less than 1.5 us after.
    fn check_step(&self, step: u64, at_ns: &BigUint) {
        let elapsed = at_ns - BigUint::from(self.start) * 1_000_u32;
        let due = self.due(step);
        assert!(
            &elapsed * self.case.zeptograms >= due,
            "step {step} of {:?} is ahead",
            self.case
        );
        assert!(
            elapsed * self.case.zeptograms < due + BigUint::from(1_500_u32) * self.case.zeptograms,
            "step {step} of {:?} is late",
            self.case
        );
    }

    /// Takes an order, given at `now` with `left_out` steps left out before it.
    fn take(&mut self, order: StepOrder, now: u64, left_out: u64) {
        let first_ns = BigUint::from(order.first_at.micros()) * 1_000_u32;
        let span_ns = BigUint::from(order.period_ns) * (order.steps - 1);
        let last_ns = &first_ns + &span_ns;
        assert_eq!(order.id, self.next_id);
        assert!(
            (1..=MAXIMUM_STEPS_PER_ORDER).contains(&order.steps),
            "{order:?}"
        );
        assert!(
            order.first_at.micros() >= now,
            "{order:?} begins before {now}"
        );
        assert!(
            span_ns <= BigUint::from(30_000_000_000_u64),
            "{order:?} is longer than the window"
        );
        assert!(
            last_ns <= BigUint::from(now) * 1_000_u32 + 60_000_000_000_u64,
            "{order:?} reaches beyond the horizon of {now}"
        );
        assert!(
            self.last_end_ns.as_ref().is_none_or(|end| first_ns > *end),
            "{order:?} overlaps the order before"
        );
        assert_eq!(
            BigUint::from(order.last_at().micros()),
            (&last_ns + 999_u32) / 1_000_u32
        );

        // Steps and their due times both grow evenly along an order: if its ends are right, all between are.
        let first = self.accounted + left_out + 1;
        let last = first + u64::from(order.steps) - 1;
        self.check_step(first, &first_ns);
        self.check_step(last, &last_ns);

        self.queue.retain(|queued| queued.last_at().micros() >= now);
        self.queue.push_back(order);
        assert!(
            self.queue.len() <= 2,
            "the driver holds two orders: {:?}",
            self.queue
        );

        self.accounted = last;
        self.last_end_ns = Some(last_ns);
        self.next_id += 1;
    }
}

/// Calls at `now` until there is no more, and says when to call next.
fn call(delivery: &mut Delivery, ledger: &mut Ledger, now: u64) -> u64 {
    let mut left_out = delivery.deficit();
    while let Some(order) = delivery.next_order(PumpTime::from_micros(now)) {
        ledger.take(order, now, delivery.deficit() - left_out);
        left_out = delivery.deficit();
        assert_eq!(delivery.ordered() + delivery.deficit(), ledger.accounted);
    }
    // Left out in a call that gave no order.
    ledger.accounted += delivery.deficit() - left_out;
    let next = delivery.next_call().unwrap().micros();
    assert!(next > now, "called again at once");
    next
}

/// Every rate of the clinical range, the prime-like ones and the ends of the calibration.
fn clinical_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for rate in [
        "0.006 mL/day",
        "0.048 mL/day",
        "0.0971 mL/day",
        "0.25 mL/day",
        "0.3333333 mL/day",
        "1 mL/day",
        "6.000011 mL/day",
        "23.999999 mL/day",
        "24 mL/day",
        "1 mL/h",
    ] {
        for femtolitres in [2_250_000, 2_499_997, 2_500_000, 2_718_281, 2_750_000] {
            cases.push(Case::flowing(rate, femtolitres));
        }
    }
    cases
}

/// Any dose that flows within the clinical range, whole in nothing.
fn awkward_case() -> impl Strategy<Value = Case> {
    (
        6_000_000_000_u64..=24_000_000_000_000,
        0_u32..12,
        any::<u32>(),
        any::<bool>(),
        1_u32..,
        2_250_000_u32..=2_750_000,
    )
        .prop_map(
            |(day, halvings, extra, hourly, nanograms_per_millilitre, femtolitres)| {
                let day = (day >> halvings).max(6_000_000_000);
                let a_day = u128::from(day) * u128::from(nanograms_per_millilitre);
                let (per, a_time) = if hourly {
                    (Per::Hour, a_day / 24)
                } else {
                    (Per::Day, a_day)
                };
                let zeptograms = a_time + u128::from(extra % nanograms_per_millilitre);
                Case {
                    zeptograms,
                    per,
                    nanograms_per_millilitre,
                    femtolitres,
                }
            },
        )
}

#[test]
fn on_time_nothing_is_left_out_and_every_step_is_where_it_belongs() {
    for case in clinical_cases() {
        let start = 12_345;
        let (mut delivery, mut ledger) = (case.start(start), Ledger::new(case, start));
        let mut now = start;
        for _ in 0..300 {
            now = call(&mut delivery, &mut ledger, now);
        }
        assert_eq!(delivery.deficit(), 0, "{case:?}");
        // All of the near future is ordered, and nothing but the near future.
        let ordered = delivery.ordered();
        assert!(ordered >= ledger.prescribed(now), "{case:?}");
        assert!(ordered <= ledger.prescribed(now + 60_000_000), "{case:?}");
    }
}

/// Requirement: AC-1, TH-one-step
#[test]
fn at_every_microsecond_the_steps_made_are_the_steps_due_or_one_less() {
    for rate in ["24 mL/day", "23.456789 mL/day"] {
        let case = Case::flowing(rate, 2_250_001);
        let (mut delivery, mut ledger) = (case.start(0), Ledger::new(case, 0));
        let (mut next_call, mut made, mut orders) = (0, 0, VecDeque::new());
        for now in 0..3_000_000_u64 {
            if now >= next_call {
                let before = ledger.queue.back().map(|order| order.id);
                next_call = call(&mut delivery, &mut ledger, now);
                orders.extend(
                    ledger
                        .queue
                        .iter()
                        .filter(|order| Some(order.id) > before)
                        .map(|order| (*order, 0)),
                );
            }
            while let Some((order, step)) = orders.front_mut() {
                if order.first_at.micros() * 1_000 + order.period_ns * u64::from(*step)
                    > now * 1_000
                {
                    break;
                }
                made += 1;
                *step += 1;
                if *step == order.steps {
                    orders.pop_front();
                }
            }
            let due = delivery.prescribed(PumpTime::from_micros(now));
            assert!(
                made == due || made + 1 == due,
                "{made} made, {due} due at {now}"
            );
            if now % 1_009 == 0 {
                assert_eq!(due, ledger.prescribed(now));
            }
        }
    }
}

/// Ten years without a jump, every order of them. The property tests below say the same in less time.
#[test]
#[ignore = "a minute in a release build: cargo test --release -p therapy -- --ignored"]
fn ten_years_order_by_order() {
    for (rate, femtolitres) in [
        ("0.25 mL/day", 2_718_281),
        ("0.006 mL/day", 2_499_997),
        ("23.999999 mL/day", 2_250_001),
    ] {
        let case = Case::flowing(rate, femtolitres);
        let (mut delivery, mut ledger) = (case.start(77), Ledger::new(case, 77));
        let mut now = 77;
        while now < 10 * YEAR {
            now = call(&mut delivery, &mut ledger, now);
        }
        assert_eq!(delivery.deficit(), 0);
        let due = ledger.prescribed(now);
        assert!((due..=ledger.prescribed(now + 60_000_000)).contains(&delivery.ordered()));
    }
}

#[test]
fn a_moderate_rate_is_one_call_every_half_minute() {
    let case = Case::flowing("0.25 mL/day", 2_500_000);
    let (mut delivery, mut ledger) = (case.start(0), Ledger::new(case, 0));
    let (mut now, mut calls) = (0, 0);
    while now < 24 * HOUR {
        now = call(&mut delivery, &mut ledger, now);
        calls += 1;
        assert!(calls <= 3_000, "{calls} calls by {now}");
    }
    assert!((2_800..=3_000).contains(&calls), "{calls} calls a day");
    assert!(ledger.next_id < 3_000, "{} orders a day", ledger.next_id);
}

#[test]
fn the_slowest_rate_has_one_step_an_order() {
    let case = Case::flowing("0.006 mL/day", 2_500_000);
    let mut delivery = case.start(0);
    let first = delivery.next_order(PumpTime::ZERO).unwrap();
    assert_eq!(
        (first.id, first.first_at.micros(), first.steps),
        (1, 36_000_000, 1)
    );
    assert_eq!(
        delivery.next_order(PumpTime::ZERO),
        None,
        "the second step is 72 s away"
    );
    assert_eq!(
        delivery.next_call(),
        Some(PumpTime::from_micros(12_000_000))
    );
    assert_eq!(delivery.next_order(PumpTime::from_micros(11_999_999)), None);
    let second = delivery
        .next_order(PumpTime::from_micros(12_000_000))
        .unwrap();
    assert_eq!(
        (second.id, second.first_at.micros(), second.steps),
        (2, 72_000_000, 1)
    );
    assert_eq!(delivery.deficit(), 0);
}

#[test]
fn the_fastest_rate_fills_an_order_with_500_steps() {
    let case = Case::flowing("24 mL/day", 2_500_000);
    let mut delivery = case.start(0);
    let first = delivery.next_order(PumpTime::ZERO).unwrap();
    assert_eq!(
        first,
        StepOrder {
            id: 1,
            first_at: PumpTime::from_micros(9_000),
            period_ns: 9_000_000,
            steps: 500
        }
    );
    let second = delivery.next_order(PumpTime::ZERO).unwrap();
    assert_eq!(
        second,
        StepOrder {
            id: 2,
            first_at: PumpTime::from_micros(4_509_000),
            ..first
        }
    );
    assert_eq!(
        delivery.next_order(PumpTime::ZERO),
        None,
        "the driver holds two"
    );
    // Held back until the second has begun, and the handover is certain.
    assert_eq!(delivery.next_call(), Some(PumpTime::from_micros(4_609_000)));
    assert_eq!(delivery.next_order(PumpTime::from_micros(4_608_999)), None);
    let third = delivery
        .next_order(PumpTime::from_micros(4_609_000))
        .unwrap();
    assert_eq!(
        third,
        StepOrder {
            id: 3,
            first_at: PumpTime::from_micros(9_009_000),
            ..first
        }
    );
    assert_eq!(delivery.ordered(), 1_500);
}

#[test]
fn an_order_holds_its_place_until_its_last_step_is_past() {
    let case = Case::flowing("24 mL/day", 2_500_000);
    for (now, orders) in [(4_500_000, 1), (4_500_001, 2)] {
        let mut delivery = case.start(0);
        let first = delivery.next_order(PumpTime::ZERO).unwrap();
        assert_eq!(first.last_at().micros(), 4_500_000);
        let now = PumpTime::from_micros(now);
        let more = core::iter::from_fn(|| delivery.next_order(now)).count();
        assert_eq!(more, orders, "called at {now}");
    }
}

#[test]
fn a_single_step_bears_at_most_the_horizon_as_its_period() {
    let case = Case::flowing("0.000001 nL/day", 2_500_000);
    let due = 2_500_000 * 24 * HOUR;
    let mut delivery = case.start(0);
    assert_eq!(delivery.next_order(PumpTime::ZERO), None);
    let next = delivery.next_call().unwrap();
    assert_eq!(next.micros(), due - 60_000_000);
    let order = delivery.next_order(next).unwrap();
    assert_eq!(
        (order.first_at.micros(), order.period_ns, order.steps),
        (due, 60_000_000_000, 1)
    );
}

/// Requirement: TH-no-catching-up
#[test]
fn a_late_call_leaves_out_what_is_past_and_never_catches_up() {
    let case = Case::flowing("24 mL/day", 2_500_000);
    let (mut delivery, mut ledger) = (case.start(0), Ledger::new(case, 0));
    call(&mut delivery, &mut ledger, 0);
    assert_eq!(delivery.ordered(), 1_000);
    // The thread hangs for an hour; the two orders run out after 9 s. 400,000 steps are due by then, the last of them just now.
    let late = HOUR;
    call(&mut delivery, &mut ledger, late);
    assert_eq!(delivery.prescribed(PumpTime::from_micros(late)), 400_000);
    assert_eq!(delivery.deficit(), 400_000 - 1 - 1_000);
    assert_eq!(
        ledger.queue.front().map(|order| order.first_at.micros()),
        Some(late),
        "the step due just now is made"
    );
    assert_eq!(
        delivery.ordered(),
        2_000,
        "both places of the queue are free again"
    );
    // From then on the pace is the prescribed one.
    let mut now = late;
    for _ in 0..100 {
        now = call(&mut delivery, &mut ledger, now);
    }
    assert_eq!(delivery.deficit(), 400_000 - 1 - 1_000);
    let ahead = ledger.accounted - delivery.prescribed(PumpTime::from_micros(now));
    assert!(ahead <= 1_000, "no burst: {ahead} steps are ordered ahead");
}

#[test]
fn a_step_due_a_microsecond_ago_is_left_out() {
    let case = Case::flowing("24 mL/day", 2_500_000);
    for (now, deficit, first_at) in [
        (9_000, 0, 9_000),
        (9_001, 1, 18_000),
        (18_000, 1, 18_000),
        (18_001, 2, 27_000),
    ] {
        let mut delivery = case.start(0);
        let order = delivery.next_order(PumpTime::from_micros(now)).unwrap();
        assert_eq!(
            (delivery.deficit(), order.first_at.micros()),
            (deficit, first_at),
            "called at {now}"
        );
        assert_eq!(order.id, 1, "what is left out takes no number");
    }
}

#[test]
fn late_within_the_orders_in_hand_nothing_is_left_out() {
    for case in clinical_cases() {
        let (mut delivery, mut ledger) = (case.start(0), Ledger::new(case, 0));
        let mut now = 0;
        for _ in 0..100 {
            // Two orders of 500 steps are 8 s at the fastest; the third is asked for 0.1 s into the second.
            now = call(&mut delivery, &mut ledger, now) + 3_500_000;
        }
        assert_eq!(delivery.deficit(), 0, "{case:?}");
    }
}

#[test]
fn a_stopped_pump_orders_nothing() {
    let mut delivery = Delivery::stopped();
    assert!(!delivery.is_running());
    assert_eq!(delivery.next_order(PumpTime::MAX), None);
    assert_eq!(delivery.next_call(), None);
    assert_eq!(
        (
            delivery.prescribed(PumpTime::MAX),
            delivery.deficit(),
            delivery.ordered()
        ),
        (0, 0, 0)
    );
    let draft = Draft::simple(Drug::Morphine, "2 mg/mL".parse().unwrap(), Mode::Stopped);
    let prescription = Prescription::new(
        draft,
        &Bounds::PROGRAMMABLE_IMPLANT,
        PumpKind::ProgrammableImplant,
    )
    .unwrap();
    let mut delivery = Delivery::start(
        &prescription,
        &Bounds::PROGRAMMABLE_IMPLANT,
        PumpTime::ZERO,
        7,
    );
    assert!(!delivery.is_running());
    assert_eq!(delivery.next_order(PumpTime::from_micros(HOUR)), None);
    assert_eq!(delivery.next_order_id(), 7, "the numbers go on");
}

#[test]
fn a_prescription_is_delivered_at_its_flow_and_the_calibration() {
    let mode = Mode::SimpleContinuous("2.5 mg/day".parse().unwrap());
    let draft = Draft::simple(Drug::Morphine, "10 mg/mL".parse().unwrap(), mode);
    let bounds = Bounds {
        step_volume: StepVolume::new(2_400_000).unwrap(),
        ..Bounds::PROGRAMMABLE_IMPLANT
    };
    let prescription = Prescription::new(draft, &bounds, PumpKind::ProgrammableImplant).unwrap();
    let start = PumpTime::from_micros(5);
    let mut delivery = Delivery::start(&prescription, &bounds, start, 41);
    assert!(delivery.is_running());
    // 0.25 mL / 2.4 nL.
    assert_eq!(
        delivery.prescribed(start.saturating_add(Duration::from_days(1))),
        104_166
    );
    let order = delivery.next_order(start).unwrap();
    assert_eq!(
        (order.id, order.first_at.micros(), order.period_ns),
        (41, 829_445, 829_440_000)
    );
    assert_eq!(delivery.next_order_id(), 42);
}

#[test]
fn the_minimum_rate_needs_no_prescription() {
    let delivery = Delivery::start_minimum_rate(&Bounds::PROGRAMMABLE_IMPLANT, PumpTime::ZERO, 1);
    assert_eq!(delivery.prescribed(PumpTime::from_micros(24 * HOUR)), 2_400);
}

#[test]
fn order_numbers_are_never_zero() {
    let case = Case::flowing("24 mL/day", 2_500_000);
    let mut delivery = Delivery::run(case.flow(), case.step_volume(), PumpTime::ZERO, 0);
    assert_eq!(
        delivery.next_order(PumpTime::ZERO).map(|order| order.id),
        Some(1)
    );
    let mut delivery = Delivery::run(case.flow(), case.step_volume(), PumpTime::ZERO, u32::MAX);
    assert_eq!(
        delivery.next_order(PumpTime::ZERO).map(|order| order.id),
        Some(u32::MAX)
    );
    assert_eq!(
        delivery.next_order(PumpTime::ZERO).map(|order| order.id),
        Some(1)
    );
}

#[test]
fn a_job_may_start_later_and_time_may_seem_to_go_back() {
    let case = Case::flowing("0.25 mL/day", 2_500_000);
    let start = HOUR;
    let (mut delivery, mut ledger) = (case.start(start), Ledger::new(case, start));
    let next = call(&mut delivery, &mut ledger, 0);
    assert_eq!((delivery.ordered(), next), (0, HOUR + 864_000 - 60_000_000));
    let next = call(&mut delivery, &mut ledger, next);
    assert!(delivery.ordered() > 0);
    assert_eq!(
        delivery.next_order(PumpTime::ZERO),
        None,
        "nothing is ordered twice"
    );
    call(&mut delivery, &mut ledger, next);
    assert_eq!(delivery.deficit(), 0);
}

#[test]
fn a_flow_faster_than_any_motor_runs_at_the_fastest_step_rate() {
    // 400 nL/us at 2.5 nL: 160,000 steps a millisecond.
    let case = Case::flowing("1440000 mL/h", 2_500_000);
    let mut delivery = case.start(0);
    let first = delivery.next_order(PumpTime::ZERO).unwrap();
    assert_eq!((first.period_ns, first.steps), (1_000_000, 500));
    let second = delivery.next_order(PumpTime::ZERO).unwrap();
    assert_eq!(
        second.first_at,
        first.last_at().saturating_add(Duration::from_millis(1))
    );
    assert_eq!(delivery.ordered(), 1_000);
    for _ in 0..4 {
        let now = delivery.next_call().unwrap();
        let _ = delivery.next_order(now).unwrap();
    }
    assert!(
        delivery.deficit() > 0,
        "what it lags behind by more than a second"
    );
}

#[test]
fn delivery_ends_with_the_clock() {
    let case = Case::flowing("24 mL/day", 2_500_000);
    let start = u64::MAX - 5_000_000;
    let mut delivery = case.start(start);
    let now = PumpTime::from_micros(start);
    let orders: Vec<StepOrder> = core::iter::from_fn(|| delivery.next_order(now)).collect();
    assert_eq!(orders.iter().map(|order| order.steps).sum::<u32>(), 555);
    assert!(orders.iter().all(|order| order.last_at() <= PumpTime::MAX));
    assert_eq!(delivery.next_order(PumpTime::MAX), None);
    assert_eq!(delivery.next_call(), None);
}

#[test]
fn a_last_step_at_the_end_of_the_clock_is_the_last() {
    let case = Case::flowing("24 mL/day", 2_500_000);
    let start = PumpTime::from_micros(u64::MAX - 90_000);
    let mut delivery = case.start(start.micros());
    let order = delivery.next_order(start).unwrap();
    assert_eq!((order.steps, order.last_at()), (10, PumpTime::MAX));
    for now in [start, PumpTime::MAX] {
        assert_eq!(
            (delivery.next_order(now), delivery.next_call()),
            (None, None)
        );
    }
}

#[test]
fn nothing_overlaps_a_last_step_at_the_end_of_the_clock() {
    // A motor too slow leaves steps out, and some of them are due at the last microsecond too.
    let case = Case::flowing("1440000 mL/h", 2_500_000);
    let start = PumpTime::from_micros(u64::MAX - 1 - 499_000);
    let mut delivery = case.start(start.micros());
    let order = delivery.next_order(start).unwrap();
    assert_eq!((order.steps, order.last_at()), (500, PumpTime::MAX));
    for now in [start, PumpTime::MAX] {
        assert_eq!(
            (delivery.next_order(now), delivery.next_call()),
            (None, None)
        );
    }
}

#[test]
fn a_count_beyond_64_bits_ends_the_delivery() {
    let case = Case {
        zeptograms: u128::MAX,
        per: Per::Hour,
        nanograms_per_millilitre: 1,
        femtolitres: 1,
    };
    let mut delivery = case.start(0);
    let now = PumpTime::from_micros(HOUR);
    assert_eq!(delivery.next_order(now), None);
    assert_eq!((delivery.next_call(), delivery.ordered()), (None, 0));
    assert_eq!(delivery.deficit(), u64::MAX - 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Ten years on time: the state after any number of orders is the one the next order starts from. So it is put there, at moments
    /// all over ten years, instead of being driven there through hundreds of millions of orders.
    ///
    /// Requirement: AC-1, TH-one-step
    #[test]
    fn ten_years_of_awkward_doses_stay_within_one_step(
        case in awkward_case(), start in 0..YEAR,
        visits in prop::collection::vec((0..10 * YEAR, prop::collection::vec(0_u64..3_000_000, 1..6)), 1..6),
    ) {
        for (elapsed, latenesses) in visits {
            let (mut delivery, mut ledger) = (case.start(start), Ledger::new(case, start));
            let mut now = start + elapsed;
            let track = delivery.basal.as_mut().unwrap();
            track.next_step = ledger.prescribed(now) + 1;
            ledger.accounted = track.next_step - 1;
            delivery.handed = ledger.accounted;
            for lateness in latenesses {
                now = call(&mut delivery, &mut ledger, now) + lateness;
                let accounted = delivery.ordered();
                prop_assert!(accounted <= ledger.prescribed(now + 60_000_000));
            }
            prop_assert_eq!(delivery.deficit(), 0);
        }
    }

    /// Hangs of any length at any moment: what is past is a deficit, counted exactly, and all else stays within one step.
    ///
    /// Requirement: R-21, TH-no-catching-up
    #[test]
    fn whatever_the_delays_made_and_left_out_add_up_to_the_prescription(
        case in awkward_case(), start in 0..YEAR,
        delays in prop::collection::vec(prop_oneof![
            Just(0_u64), 0_u64..100_000, 0_u64..120_000_000, 0_u64..48 * HOUR, 0..YEAR,
        ], 1..24),
    ) {
        let (mut delivery, mut ledger) = (case.start(start), Ledger::new(case, start));
        let twin = delivery;
        let mut now = start;
        let mut nows = Vec::new();
        for delay in delays {
            let next = call(&mut delivery, &mut ledger, now);
            nows.push(now);
            // What is due by now is ordered or left out, and of the future no more than a minute is.
            prop_assert!(ledger.accounted >= ledger.prescribed(now));
            prop_assert!(ledger.accounted <= ledger.prescribed(now + 60_000_000));
            prop_assert_eq!(delivery.prescribed(PumpTime::from_micros(now)), ledger.prescribed(now));
            let (ordered, left_out) = (ledger.accounted - delivery.deficit(), delivery.deficit());
            now = next.saturating_add(delay);
            // Just behind the last order in hand steps come late instead (`steps_behind_the_orders_in_hand_...`): not here.
            if let Some(end) = delivery.newest_ends.filter(|end| now > end.micros()) {
                now = now.max(end.max(delivery.full_until).saturating_add(HANDOVER).micros() + 1);
            }
            // A delay leaves out exactly the steps due while nothing was ordered for them.
            let mut probe = delivery;
            let first = probe.next_order(PumpTime::from_micros(now));
            let expected = ledger.prescribed(now - 1).saturating_sub(ordered + left_out);
            prop_assert_eq!(probe.deficit() - left_out, expected);
            prop_assert!(first.is_none_or(|order| order.first_at.micros() >= now));
        }
        // The same calls give the same answers.
        let mut twin = twin;
        for now in nows {
            while twin.next_order(PumpTime::from_micros(now)).is_some() {}
        }
        prop_assert_eq!(twin, delivery);
    }

    /// Any flow, any calibration, any clock, calls in any order of time: no panic, no overlap, no order without steps, in the past or
    /// beyond the horizon, no order number twice, and no end of calls at one moment.
    #[test]
    fn any_number_is_survived(
        zeptograms in any::<u128>(), shift in 0_u32..128, hourly in any::<bool>(), concentration in 1_u32..,
        femtolitres in 1_u32.., start in any::<u64>(), start_shift in 0_u32..64, id in any::<u32>(),
        nows in prop::collection::vec(prop_oneof![any::<u64>(), 0_u64..HOUR, u64::MAX - HOUR..=u64::MAX, Just(u64::MAX)], 1..8),
        follow in any::<bool>(),
    ) {
        let per = if hourly { Per::Hour } else { Per::Day };
        let case = Case { zeptograms: zeptograms >> shift, per, nanograms_per_millilitre: concentration, femtolitres };
        let mut delivery =
            Delivery::run(case.flow(), case.step_volume(), PumpTime::from_micros(start >> start_shift), id);
        prop_assert_eq!(delivery.is_running(), case.zeptograms > 0);
        let mut end: Option<PumpTime> = None;
        let mut number = id.max(1);
        for now in nows {
            let mut now = PumpTime::from_micros(now);
            for _ in 0..3 {
                let mut orders = 0;
                while let Some(order) = delivery.next_order(now) {
                    prop_assert!(order.steps >= 1 && order.steps <= MAXIMUM_STEPS_PER_ORDER);
                    prop_assert!(order.period_ns >= 1_000_000 && order.period_ns <= 60_000_000_000);
                    prop_assert!(order.first_at >= now);
                    prop_assert!(end.is_none_or(|end| order.first_at > end));
                    prop_assert!(order.last_at() <= now.saturating_add(HORIZON));
                    prop_assert_eq!(order.id, number);
                    number = number.checked_add(1).unwrap_or(1);
                    end = Some(order.last_at());
                    orders += 1;
                    prop_assert!(orders <= 2);
                }
                let next = delivery.next_call();
                prop_assert!(next.is_none_or(|next| next > now), "{:?} after {:?}", next, now);
                prop_assert!(delivery.next_order(now).is_none());
                let _ = (delivery.prescribed(now), delivery.deficit(), delivery.ordered());
                match next {
                    Some(next) if follow => now = next,
                    Some(_) | None => break,
                }
            }
        }
    }

    /// A real prescription, through the front door.
    ///
    /// Requirement: AC-1
    #[test]
    fn every_allowed_prescription_is_delivered(case in awkward_case(), at in 0..10 * YEAR) {
        let bounds = Bounds {
            step_volume: case.step_volume(),
            lowest: FlowRate::new(Volume::from_microlitres(6), Per::Day),
            ..Bounds::PROGRAMMABLE_IMPLANT
        };
        let concentration = Concentration::from_nanograms_per_millilitre(case.nanograms_per_millilitre).unwrap();
        let mode = Mode::SimpleContinuous(DoseRate::new(Mass::from_zeptograms(case.zeptograms), case.per));
        let draft = Draft::simple(Drug::Ziconotide, concentration, mode);
        // The awkward remainder lifts some just over the top.
        if let Ok(prescription) = Prescription::new(draft, &bounds, PumpKind::ProgrammableImplant) {
            let (mut delivery, mut ledger) = (Delivery::start(&prescription, &bounds, PumpTime::from_micros(at), 1), Ledger::new(case, at));
            let next = call(&mut delivery, &mut ledger, at);
            call(&mut delivery, &mut ledger, next);
            prop_assert_eq!(delivery.deficit(), 0);
        }
    }
}

/// A motor that makes every step of its orders at its time, and drops what it is told to drop.
#[derive(Default)]
struct Motor {
    /// Those that were dropped have only the steps that were made.
    orders: VecDeque<StepOrder>,
}

impl Motor {
    /// Steps made of an order by a time.
    fn of_order(order: &StepOrder, at: PumpTime) -> u32 {
        let since = at.checked_since(order.first_at);
        since.map_or(0, |since| {
            let steps = u128::from(since.micros()) * 1_000 / u128::from(order.period_ns) + 1;
            u32::try_from(steps).unwrap_or(u32::MAX).min(order.steps)
        })
    }

    fn made(&self, at: PumpTime) -> u64 {
        let made = self
            .orders
            .iter()
            .map(|order| u64::from(Self::of_order(order, at)));
        made.sum()
    }

    fn drop_orders(&mut self, at: PumpTime) {
        for order in &mut self.orders {
            order.steps = Self::of_order(order, at);
        }
        self.orders.retain(|order| order.steps > 0);
    }
}

/// Asks for orders until `until`, checks after each that nothing overlaps.
fn drive(delivery: &mut Delivery, motor: &mut Motor, from: PumpTime, until: PumpTime) {
    let mut now = from;
    let mut calls = 0;
    while now <= until {
        while let Some(order) = delivery.next_order(now) {
            assert!(order.first_at >= now);
            if let Some(before) = motor.orders.back() {
                assert!(order.first_at > before.last_at(), "{order:?} {before:?}");
            }
            motor.orders.push_back(order);
        }
        let Some(next) = delivery.next_call() else {
            break;
        };
        calls += 1;
        assert!(calls < 1_000_000, "asked for ever at {now}");
        now = next.max(PumpTime::from_micros(now.micros() + 1));
    }
}

/// So many steps over so many seconds.
fn bolus_flow(steps: u64, seconds: u32, step: StepVolume) -> Flow {
    Flow::of_volume_over(
        step.volume_of(steps).unwrap(),
        Duration::from_seconds(seconds),
    )
    .unwrap()
}

fn seconds(count: u64) -> PumpTime {
    PumpTime::from_micros(count * 1_000_000)
}

/// Steps of a flow by a time, rounded down, by big integers.
fn steps_of(flow: Flow, micros: u64, step: StepVolume) -> u64 {
    let ratio = flow.ratio();
    let steps = BigUint::from(ratio.numerator()) * micros
        / (BigUint::from(ratio.denominator().get()) * step.femtolitres());
    u64::try_from(steps).unwrap()
}

/// 25 uL over 10 minutes beside 0.25 mL/day (clinical reference, 2.10): 10,000 steps, and the basal rate's own.
#[test]
fn a_bolus_runs_beside_the_basal_rate_and_neither_loses_a_step() {
    let basal: FlowRate = "0.25 mL/day".parse().unwrap();
    let mut delivery = Delivery::run(basal.flow(), StepVolume::NOMINAL, PumpTime::ZERO, 1);
    let mut motor = Motor::default();
    let begin = seconds(1_000);
    drive(&mut delivery, &mut motor, PumpTime::ZERO, begin);
    motor.drop_orders(begin);
    delivery.cancelled(begin);
    assert_eq!(delivery.next_order(begin), None);
    delivery.begin_finite(
        10_000,
        bolus_flow(10_000, 600, StepVolume::NOMINAL),
        begin,
        &Bounds::PROGRAMMABLE_IMPLANT,
    );
    delivery.driver_says(motor.made(begin));
    drive(&mut delivery, &mut motor, begin, seconds(3_000));
    for second in 0..3_000 {
        let at = seconds(second);
        let of_basal = steps_of(basal.flow(), at.micros(), StepVolume::NOMINAL);
        let elapsed = second.saturating_sub(1_000).min(600);
        let of_bolus = 10_000 * elapsed / 600;
        let made = motor.made(at);
        assert!(
            made.abs_diff(of_basal + of_bolus) <= 2,
            "{made} steps at {second} s, {of_basal} + {of_bolus} prescribed"
        );
    }
    assert_eq!(delivery.deficit(), 0);
    assert_eq!(delivery.finite_ends(), Some(seconds(1_600)));
    assert_eq!(delivery.finite_steps(seconds(1_300)), Some(5_000));
    assert_eq!(delivery.finite_steps(seconds(1_600)), Some(10_000));
    assert_eq!(
        motor.made(seconds(2_900)),
        10_000 + steps_of(basal.flow(), 2_900_000_000, StepVolume::NOMINAL)
    );
}

/// A driver that drops its orders late has made more than was due: it is the bolus's while that has steps left, then the basal rate's.
#[test]
fn what_was_made_beyond_its_time_is_counted_to_the_faster_job() {
    let basal: FlowRate = "0.25 mL/day".parse().unwrap();
    let mut delivery = Delivery::run(basal.flow(), StepVolume::NOMINAL, PumpTime::ZERO, 1);
    let next = |delivery: &Delivery| {
        let (basal, finite) = (delivery.basal.unwrap(), delivery.finite.unwrap());
        (basal.next_step, finite.track.next_step)
    };
    delivery.begin_finite(
        1_000,
        bolus_flow(1_000, 100, StepVolume::NOMINAL),
        PumpTime::ZERO,
        &Bounds::PROGRAMMABLE_IMPLANT,
    );
    let mut motor = Motor::default();
    drive(&mut delivery, &mut motor, PumpTime::ZERO, seconds(10));
    assert!(!delivery.waits_for_driver());
    delivery.cancelled(seconds(10));
    assert!(delivery.waits_for_driver());
    // 11 of the basal rate and 100 of the bolus are due, and two more were made.
    delivery.driver_says(113);
    assert!(!delivery.waits_for_driver());
    assert_eq!(next(&delivery), (12, 103));
    // 115 and 999 are behind: with one step of the bolus left it is still the bolus's.
    let at = PumpTime::from_micros(99_950_000);
    delivery.leave_out_before(at);
    delivery.cancelled(at);
    delivery.driver_says(112);
    assert_eq!(next(&delivery), (116, 999));
    // With the bolus complete there is the basal rate only.
    delivery.leave_out_before(seconds(101));
    delivery.cancelled(seconds(101));
    delivery.driver_says(114);
    assert_eq!(next(&delivery), (119, 1_001));
}

/// A bolus of `steps` steps over so many seconds from the start, beside a basal rate.
fn beside(basal: &str, steps: u32, over: u32) -> Delivery {
    let mut delivery = Case::flowing(basal, 2_500_000).start(0);
    delivery.begin_finite(
        steps,
        bolus_flow(u64::from(steps), over, StepVolume::NOMINAL),
        PumpTime::ZERO,
        &Bounds::PROGRAMMABLE_IMPLANT,
    );
    delivery
}

#[test]
fn windows_of_two_jobs_are_of_a_like_length_and_hold_500_steps() {
    // 40 s are two windows of 20: 66.7 and 200 steps each.
    let mut delivery = beside("0.03 mL/h", 400, 40);
    for steps in [266, 267] {
        let order = delivery.next_order(PumpTime::ZERO).unwrap();
        assert_eq!(order.steps, steps);
    }
    // 500 in 30 s, the last of them 8 ms before the end: the next window may begin with a step.
    let order = beside("0.03 mL/h", 400, 30).next_order(PumpTime::ZERO);
    let order = order.unwrap();
    assert_eq!(order.first_at, PumpTime::from_micros(52_000));
    assert_eq!(order.period_ns, 60_000_000);
    for (steps, expected) in [(400, 500), (401, 250)] {
        let order = beside("0.03 mL/h", steps, 30).next_order(PumpTime::ZERO);
        assert_eq!(order.map(|order| order.steps), Some(expected));
    }
}

/// A step every 36 s and one every 40 s, none in the first window; every 108 s and every 100 s, none within the horizon.
#[test]
fn a_window_without_a_step_goes_on_to_the_horizon() {
    let order = beside("0.006 mL/day", 2, 80).next_order(PumpTime::ZERO);
    assert_eq!(order.map(|order| order.steps), Some(2));
    let mut delivery = beside("0.002 mL/day", 1, 100);
    assert_eq!(delivery.next_order(PumpTime::ZERO), None);
    assert_eq!(delivery.next_call(), Some(seconds(40)));
}

/// Also when time seems to go back. Two jobs that are faster than the motor always have a step that is due.
#[test]
fn a_window_begins_at_the_horizon_or_before() {
    let mut delivery = beside("0.45 mL/h", 40_000, 400);
    assert!(delivery.next_order(seconds(100)).is_some());
    let latest = delivery.free_from().saturating_sub(HORIZON);
    let before = latest.saturating_sub(Duration::from_micros(1));
    assert_eq!(delivery.next_order(before), None);
    let order = delivery.next_order(latest).unwrap();
    assert_eq!(order.first_at, latest.saturating_add(HORIZON));
}

/// What the driver says first is of the job before: this one counts from there.
#[test]
fn a_job_that_follows_dropped_orders_waits_and_counts_from_what_the_driver_says() {
    let mut delivery = Case::flowing("0.9 mL/h", 2_500_000).start(7_000_000);
    delivery.follows_cancelled(seconds(7));
    assert!(delivery.waits_for_driver());
    assert_eq!(delivery.next_order(seconds(7)), None);
    delivery.driver_says(703);
    let order = delivery.next_order(seconds(7)).unwrap();
    assert_eq!((order.steps, order.last_at()), (500, seconds(12)));
    delivery.cancelled(seconds(10));
    delivery.driver_says(703 + 300);
    assert_eq!(delivery.ordered(), 300);
    let order = delivery.next_order(seconds(10)).unwrap();
    assert_eq!(order.first_at, PumpTime::from_micros(10_010_000));
}

/// 100 steps/s in orders of 500: the second ends at 10 s.
fn two_orders_in_hand() -> Delivery {
    let mut delivery = Case::flowing("0.9 mL/h", 2_500_000).start(0);
    for last in [5, 10] {
        let order = delivery.next_order(PumpTime::ZERO).unwrap();
        assert_eq!(order.last_at(), seconds(last));
    }
    delivery
}

#[test]
fn steps_behind_the_orders_in_hand_are_left_out_once_they_are_past() {
    // Their last step is made at 10 s, the next one is due at 10.01 s: it is late from then on, and each 0.01 s another one.
    for (at, left_out) in [
        (10_000_000, 0),
        (10_010_000, 0),
        (10_010_001, 1),
        (10_100_000, 9),
        (10_100_001, 10),
    ] {
        let mut delivery = two_orders_in_hand();
        let order = delivery.next_order(PumpTime::from_micros(at));
        assert!(order.is_some_and(|order| order.first_at >= PumpTime::from_micros(at)));
        assert_eq!(delivery.deficit(), left_out, "{at}");
    }
}

/// A retry of a rotor that stands still lasts 4 s, and the rotor turns at once: the job goes on behind the retry.
#[test]
fn a_job_goes_on_behind_an_order_beside_it() {
    let mut delivery = Case::flowing("0.9 mL/h", 2_500_000).start(0);
    let retry = StepOrder {
        id: 7,
        first_at: seconds(1),
        period_ns: 100_000_000,
        steps: 40,
    };
    delivery.made_outside(&retry);
    assert_eq!(delivery.ordered(), 40);
    let order = delivery.next_order(seconds(2)).unwrap();
    assert_eq!(order.id, 8);
    // One shortest period behind the retry's last step.
    assert_eq!(order.first_at, PumpTime::from_micros(4_907_808));
}

#[test]
fn what_was_dropped_comes_again_within_a_second() {
    let dropped = |micros| {
        let mut delivery = two_orders_in_hand();
        delivery.cancelled(seconds(7));
        delivery.driver_says(700);
        assert!(delivery.next_order(PumpTime::from_micros(micros)).is_some());
        delivery.deficit()
    };
    assert_eq!(dropped(8_000_000), 0);
    assert_eq!(dropped(8_000_001), 100);
}

/// What is left is halved where a last order would otherwise be too short to have another behind it.
#[test]
fn a_job_alone_is_ordered_to_its_last_step_in_orders_of_a_like_length() {
    for (steps, orders) in [
        (1, [Some(1), None, None]),
        (500, [Some(500), None, None]),
        (501, [Some(251), Some(250), None]),
        (999, [Some(500), Some(499), None]),
        (1_000, [Some(500), Some(500), None]),
        (1_001, [Some(500), Some(251), Some(250)]),
    ] {
        let mut delivery = Delivery::stopped();
        delivery.begin_finite(
            steps,
            Case::flowing("0.9 mL/h", 2_500_000).flow(),
            PumpTime::ZERO,
            &Bounds::PROGRAMMABLE_IMPLANT,
        );
        let mut now = PumpTime::ZERO;
        for order in orders {
            assert_eq!(delivery.next_call().is_some(), order.is_some());
            assert_eq!(delivery.next_order(now).map(|order| order.steps), order);
            now = now.max(delivery.next_call().unwrap_or(now));
        }
    }
}

#[test]
fn a_rate_that_follows_takes_over_the_part_of_a_step() {
    let rate = |text: &str| text.parse::<FlowRate>().unwrap().flow();
    // 1.5 steps of 36 s in 54 s, and half a step carried: the next comes 18 s of the old pace, or 2.25 s of the new, later.
    let mut delivery = Delivery::run(rate("0.006 mL/day"), StepVolume::NOMINAL, PumpTime::ZERO, 1);
    delivery.follow_with(rate("0.048 mL/day"), seconds(54));
    assert_eq!(delivery.follows(), Some(seconds(54)));
    let first = delivery.next_order(PumpTime::ZERO).unwrap();
    assert_eq!((first.first_at, first.steps), (seconds(36), 1));
    let second = delivery.next_order(seconds(10)).unwrap();
    assert_eq!(second.first_at, PumpTime::from_micros(56_250_000));
    assert_eq!(delivery.follows(), None);
    // Dropped before the change, it is still to come, and may be another.
    delivery.cancelled(seconds(40));
    delivery.driver_says(1);
    assert_eq!(delivery.follows(), Some(seconds(54)));
    // 1.25 steps by 45 s; the other three quarters take 3.375 s.
    delivery.follow_with(rate("0.048 mL/day"), seconds(45));
    let third = delivery.next_order(seconds(40)).unwrap();
    assert_eq!(third.first_at, PumpTime::from_micros(48_375_000));
}

#[test]
fn a_rate_that_has_begun_when_orders_are_dropped_stays() {
    let rate = |text: &str| text.parse::<FlowRate>().unwrap().flow();
    let mut delivery = Delivery::run(rate("0.006 mL/day"), StepVolume::NOMINAL, PumpTime::ZERO, 1);
    delivery.follow_with(rate("0.048 mL/day"), seconds(54));
    assert!(delivery.next_order(PumpTime::ZERO).is_some());
    assert!(delivery.next_order(seconds(10)).is_some());
    delivery.cancelled(seconds(54));
    delivery.driver_says(1);
    assert_eq!(delivery.follows(), None);
    let order = delivery.next_order(seconds(54)).unwrap();
    assert_eq!(order.first_at, PumpTime::from_micros(56_250_000));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Rates that follow each other, boluses that begin and are ended at any time, orders dropped late by a driver: in the end the steps made are those
    /// prescribed, a step of each job at most away, and at no time more than two.
    #[test]
    fn any_course_of_rates_and_boluses_is_exact(
        deeds in prop::collection::vec((1_u64..7_200, 0_u8..4, 1_u64..20, 30_u32..3_600, 0_u64..3_000), 1..24),
        step in 2_250_000_u32..=2_750_000,
    ) {
        let step = StepVolume::new(step).unwrap();
        let bounds = Bounds { step_volume: step, ..Bounds::PROGRAMMABLE_IMPLANT };
        let flow = |tenths: u64| FlowRate::new(Volume::from_microlitres(u32::try_from(tenths).unwrap() * 48), Per::Day).flow();
        let mut delivery = Delivery::run(flow(2), step, PumpTime::ZERO, 1);
        let mut motor = Motor::default();
        let mut now = PumpTime::ZERO;
        // Of the basal rate: when it began, and what the rates before it came to, in steps x denominator.
        let mut basal = std::vec![(PumpTime::ZERO, flow(2))];
        let mut boluses: Vec<(PumpTime, Option<PumpTime>, u64, u32)> = Vec::new();
        let mut running: Option<(PumpTime, u64, u32)> = None;
        for (wait, deed, number, duration, late) in deeds {
            let until = now.saturating_add(Duration::from_seconds(u32::try_from(wait).unwrap()));
            drive(&mut delivery, &mut motor, now, until);
            now = until;
            if let Some((began, steps, seconds)) = running
                && now >= began.saturating_add(Duration::from_seconds(seconds)) {
                boluses.push((began, None, steps, seconds));
                running = None;
                delivery.end_finite();
            }
            match deed {
                0 => {
                    // Announced at least the horizon ahead, as a flex boundary is.
                    if delivery.follows().is_none() {
                        let at = now.saturating_add(Duration::from_seconds(120));
                        delivery.follow_with(flow(number), at);
                        basal.push((at, flow(number)));
                        drive(&mut delivery, &mut motor, now, at);
                        now = at;
                    }
                }
                1 if running.is_none() => {
                    let steps = number * 1_000;
                    // Within the pump's highest rate, as every bolus that is granted.
                    let duration = duration.max(u32::try_from(steps / 40).unwrap());
                    motor.drop_orders(now);
                    delivery.cancelled(now);
                    delivery.begin_finite(u32::try_from(steps).unwrap(), bolus_flow(steps, duration, step), now, &bounds);
                    delivery.driver_says(motor.made(now));
                    running = Some((now, steps, duration));
                }
                2 if running.is_some() => {
                    motor.drop_orders(now);
                    delivery.cancelled(now);
                    let (began, steps, duration) = running.take().unwrap();
                    boluses.push((began, Some(now), steps, duration));
                    delivery.driver_says(motor.made(now));
                    delivery.end_finite();
                }
                _ => {
                    // The driver drops its orders a little later than it is told: what it makes meanwhile counts.
                    let at = now;
                    let really = PumpTime::from_micros(now.micros() + late);
                    motor.drop_orders(really);
                    delivery.cancelled(at);
                    delivery.driver_says(motor.made(really));
                    now = really;
                }
            }
            let mut prescribed = BigUint::from(0_u32);
            let common = BigUint::from(86_400_000_000_u64) * step.femtolitres();
            for (index, (began, flow)) in basal.iter().enumerate() {
                let ended = basal.get(index + 1).map_or(now, |next| next.0);
                let ratio = flow.ratio();
                prescribed += BigUint::from(ratio.numerator()) * ended.saturating_since(*began).micros() * &common
                    / ratio.denominator().get();
            }
            let mut steps_prescribed = u64::try_from(prescribed / (&common * step.femtolitres())).unwrap();
            let open = running.map(|(began, steps, duration)| (began, None, steps, duration));
            for (began, ended, steps, duration) in boluses.iter().copied().chain(open) {
                let micros = ended.unwrap_or(now).saturating_since(began).micros().min(u64::from(duration) * 1_000_000);
                steps_prescribed += steps * micros / (u64::from(duration) * 1_000_000);
            }
            let made = motor.made(now);
            let jobs = 2 + u64::try_from(boluses.len()).unwrap();
            prop_assert!(made.abs_diff(steps_prescribed) <= jobs, "{} made, {} prescribed", made, steps_prescribed);
            prop_assert_eq!(delivery.deficit(), 0);
        }
    }
}
