//! Periodic boluses against a ruler with a mark for every minute.
#![allow(clippy::arithmetic_side_effects)]

use std::string::ToString;
use std::vec;

use proptest::prelude::*;

use super::*;

const BOUNDS: Bounds = Bounds::PROGRAMMABLE_IMPLANT;

fn ten_milligrams() -> Concentration {
    "10 mg/mL".parse().unwrap()
}

fn draft(bolus: &str, duration: &str, interval: &str, basal: Option<&str>) -> PeriodicDraft {
    PeriodicDraft {
        bolus: bolus.parse().unwrap(),
        duration: duration.parse().unwrap(),
        interval: interval.parse().unwrap(),
        basal: basal.map(|basal| basal.parse().unwrap()),
    }
}

fn checked(draft: PeriodicDraft) -> Result<Periodic, PeriodicRefusal> {
    Periodic::new(draft, ten_milligrams(), &BOUNDS)
}

/// 0.25 mg, 25 uL, over 30 min every 6 h, over 2.5 mg a day: the numbers of 2.12.
fn example() -> Periodic {
    checked(draft("0.25 mg", "30 min", "6 h", Some("2.5 mg/day"))).unwrap()
}

#[test]
fn what_follows_from_a_program() {
    let periodic = example();
    assert_eq!(periodic.boluses_a_day(), 4);
    assert_eq!(periodic.day_total().unwrap().to_string(), "3.5 mg");
    assert_eq!(periodic.day_volume().unwrap().to_string(), "0.35 mL");
    assert_eq!(periodic.bolus_steps(), 10_000);
    assert_eq!(periodic.basal_flow().to_string(), "0.25 mL/day");
    let volume = |window: &str| {
        let window = window.parse().unwrap();
        periodic
            .largest_volume_in_window(window)
            .unwrap()
            .to_string()
    };
    assert_eq!(volume("24 h"), "0.35 mL");
    // Half a bolus, and 250 uL x 15 / 1,440.
    assert_eq!(volume("15 min"), "0.015104166667 mL");
    assert_eq!(volume("6 h"), "0.0875 mL");
    assert_eq!(volume("6 h"), volume("21600 s"));
    assert_eq!(volume("0 min"), "0 mL");
    assert_eq!(volume("6.5 h"), "0.117708333334 mL");
}

/// 0.006 mL a day of 10 mg/mL are 60 mcg.
///
/// Requirement: TH-rates
#[test]
fn without_basal_the_minimum_rate_counts() {
    let periodic = checked(draft("0.25 mg", "30 min", "6 h", None)).unwrap();
    assert_eq!(periodic.basal_flow(), BOUNDS.minimum_rate.flow());
    assert_eq!(periodic.day_total().unwrap().to_string(), "1.06 mg");
}

/// Clinical reference, 4.5 row 1: an interval in minutes instead of hours.
///
/// Requirement: R-1
#[test]
fn an_interval_in_minutes_shows_in_every_number() {
    for (interval, boluses) in [
        ("7 days", 1),
        ("1441 min", 1),
        ("24 h", 1),
        ("1439 min", 2),
        ("7 h", 4),
        ("1 h", 24),
        ("59 min", 25),
        ("6 min", 240),
    ] {
        let periodic = checked(draft("10 mcg", "1 min", interval, None)).unwrap();
        assert_eq!(periodic.boluses_a_day(), boluses, "{interval}");
    }
}

#[test]
fn times_are_whole_minutes_in_their_range() {
    let refusal = |duration, interval| {
        checked(draft("10 mcg", duration, interval, None))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refusal("0 min", "1 h"),
        "a bolus over 0 s: allowed are whole minutes, at least one"
    );
    assert_eq!(
        refusal("61 s", "1 h"),
        "a bolus over 61 s: allowed are whole minutes, at least one"
    );
    assert_eq!(
        refusal("1 min", "0 min"),
        "a bolus every 0 s: allowed are whole minutes, at least one"
    );
    assert_eq!(
        refusal("1 min", "90 s"),
        "a bolus every 90 s: allowed are whole minutes, at least one"
    );
    assert_eq!(
        refusal("6 min", "5 min"),
        "a bolus every 5 min: each takes 6 min, and they must not overlap"
    );
    assert_eq!(
        refusal("6 min", "10081 min"),
        "a bolus every 10081 min: allowed are 7 days at most"
    );
    assert!(checked(draft("10 mcg", "1 min", "1 min", None)).is_ok());
    assert!(checked(draft("10 mcg", "1 min", "7 days", None)).is_ok());
}

/// Basal and bolus together are capped, when programmed (docs/therapy.md, "Rates").
#[test]
fn basal_and_bolus_together_stay_within_the_pump() {
    // 1 mL/h are 24 mL/day: 5 mg in half an hour without basal; the basal of 0.5 mL/h leaves 2.5 mg.
    assert!(checked(draft("2.5 mg", "30 min", "6 h", Some("5 mg/h"))).is_ok());
    let refused = checked(draft(
        "2.500000000000000001 mg",
        "30 min",
        "6 h",
        Some("5 mg/h"),
    ))
    .unwrap_err();
    assert!(matches!(
        refused,
        PeriodicRefusal::Bolus(Refusal::FlowAboveHighest { .. })
    ));
    assert_eq!(
        refused.to_string(),
        "basal and bolus together: the dose needs about 24.000001 mL/day at this concentration: the pump's highest rate is 24 mL/day"
    );
    // 2 uL/h at least: 6 uL/day of it is the minimum rate, the rest of 1 h are 1.75 uL.
    assert!(checked(draft("17.5 mcg", "1 h", "6 h", None)).is_ok());
    let refused = checked(draft("17.499 mcg", "1 h", "6 h", None)).unwrap_err();
    assert!(matches!(
        refused,
        PeriodicRefusal::Bolus(Refusal::FlowBelowLowest { .. })
    ));
    for basal in ["0 mg/day", "479.999 mcg/day"] {
        let refused = checked(draft("0.25 mg", "30 min", "6 h", Some(basal))).unwrap_err();
        assert!(
            matches!(
                refused,
                PeriodicRefusal::Basal(Refusal::FlowBelowLowest { .. })
            ),
            "{basal}"
        );
    }
    assert!(checked(draft("0.25 mg", "30 min", "6 h", Some("480 mcg/day"))).is_ok());
}

/// 2.5 nL of 10 mg/mL hold 25 ng.
#[test]
fn a_bolus_is_at_least_a_step_and_rounded_down_to_steps() {
    let steps = |bolus| {
        checked(draft(bolus, "1 min", "1 h", Some("1 mg/day")))
            .map(|periodic| periodic.bolus_steps())
    };
    assert_eq!(steps("25 ng"), Ok(1));
    assert_eq!(steps("49.999 ng"), Ok(1));
    assert_eq!(steps("50 ng"), Ok(2));
    let refused = steps("24.999 ng").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "a bolus of 24.999 ng: one step of the motor holds 25 ng, and less cannot be given"
    );
    assert!(matches!(
        steps("0 ng"),
        Err(PeriodicRefusal::BolusBelowStep { .. })
    ));
}

#[test]
fn absurd_doses_are_refused() {
    for bits in 0..=128 {
        let bolus = Mass::from_zeptograms(u128::MAX.checked_shr(bits).unwrap_or(0));
        let result = checked(PeriodicDraft {
            bolus,
            ..draft("1 mg", "1 h", "7 days", Some("1 mg/day"))
        });
        // A step of 25 ng at least; at most what 1 mg a day leaves of 10 mg an hour.
        let allowed = bolus >= "25 ng".parse().unwrap() && bolus < "9.9583 mg".parse().unwrap();
        assert_eq!(result.is_ok(), allowed, "{bits}");
    }
    let basal = DoseRate::new(Mass::from_zeptograms(u128::MAX), units::Per::Hour);
    let refused = checked(PeriodicDraft {
        basal: Some(basal),
        ..*example().draft()
    });
    assert!(matches!(
        refused,
        Err(PeriodicRefusal::Basal(Refusal::FlowAboveHighest { .. }))
    ));
}

const HOUR: u64 = 3_600_000_000;

fn hours(hours: u64) -> PoweredTime {
    PoweredTime::from_micros(hours * HOUR)
}

/// The table of the module, line by line.
///
/// Requirement: TH-periodic
#[test]
fn the_first_one_comes_a_whole_interval_later() {
    let periodic = example();
    let committed =
        |last, start| PeriodicClock::committed(hours(100), &periodic, last, start).next_at();
    assert_eq!(committed(None, None), hours(106));
    assert_eq!(committed(Some(hours(95)), None), hours(101));
    // It would be due at once, or long ago: it has been missed.
    assert_eq!(committed(Some(hours(94)), None), hours(106));
    assert_eq!(committed(Some(hours(1)), None), hours(106));
    let just = PoweredTime::from_micros(94 * HOUR + 1);
    assert_eq!(
        committed(Some(just), None),
        PoweredTime::from_micros(100 * HOUR + 1)
    );
    // A start chosen can only make it later.
    assert_eq!(committed(None, Some(hours(107))), hours(107));
    assert_eq!(committed(None, Some(hours(105))), hours(106));
    assert_eq!(committed(Some(hours(95)), Some(hours(103))), hours(103));
}

/// Requirement: TH-periodic
#[test]
fn every_event_counts_a_whole_interval() {
    let periodic = example();
    let mut clock = PeriodicClock::committed(hours(0), &periodic, None, None);
    assert!(!clock.is_due(PoweredTime::from_micros(6 * HOUR - 1)));
    assert!(clock.is_due(hours(6)));
    // Started late, cancelled later still: nothing is made up for.
    clock.count_from(hours(8), &periodic);
    assert_eq!(clock.next_at(), hours(14));
    clock.count_from(PoweredTime::MAX, &periodic);
    assert_eq!(clock.next_at(), PoweredTime::MAX);
}

#[test]
fn the_clock_takes_10_bytes_at_most() {
    let clock = PeriodicClock {
        next_at: PoweredTime::MAX,
    };
    let mut buffer = [0; 16];
    let bytes = postcard::to_slice(&clock, &mut buffer).unwrap();
    assert_eq!(bytes.len(), 10);
    assert_eq!(postcard::from_bytes(bytes), Ok(clock));
}

#[test]
fn the_largest_draft_takes_60_bytes_at_most() {
    let all = Mass::from_zeptograms(u128::MAX);
    let draft = PeriodicDraft {
        bolus: all,
        duration: Duration::MAX,
        interval: Duration::MAX,
        basal: Some(DoseRate::new(all, units::Per::Day)),
    };
    let mut buffer = [0; 64];
    let bytes = postcard::to_slice(&draft, &mut buffer).unwrap();
    assert_eq!(bytes.len(), 19 + 10 + 10 + 1 + 19 + 1);
    assert_eq!(postcard::from_bytes(bytes), Ok(draft));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Windows pushed over a ruler of minutes, boluses counted by their starts.
    #[test]
    fn the_worst_window_is_the_worst_of_every_minute(
        duration in 1_u32..60, gap in 0_u32..400, window in 1_u32..1_500, bolus in 1_000_u64..100_000, concentration in 3_000_000_u32..9_999_999, basal in prop::option::of(500_000_u64..9_000_000),
    ) {
        let interval = duration + gap;
        let draft = PeriodicDraft {
            // At most 0.1 mL/h for each ng/mL, at least a step.
            bolus: Mass::from_nanograms(bolus * u64::from(duration)),
            duration: Duration::from_minutes(duration),
            interval: Duration::from_minutes(interval),
            basal: basal.map(|basal| DoseRate::new(Mass::from_nanograms(basal), units::Per::Day)),
        };
        let solution = Concentration::from_nanograms_per_millilitre(concentration).unwrap();
        let Ok(periodic) = Periodic::new(draft, solution, &BOUNDS) else {
            // Only for the sum of both being out of range.
            let minimum = u64::from(concentration) * 6 / 1_000;
            let day = bolus * 1_440 + basal.unwrap_or(minimum);
            prop_assert!(day > u64::from(concentration) * 24 || basal.is_some_and(|basal| basal < u64::from(concentration) * 48 / 1_000 + 1));
            return Ok(());
        };
        // 1,440ths of a zeptogram in each minute of enough intervals.
        let given = u128::from(basal.unwrap_or(0)) * 1_000_000_000_000 + if basal.is_none() { 6_000_000_000 * u128::from(concentration) } else { 0 };
        let length = usize::try_from(window + 2 * interval).unwrap();
        let minutes: vec::Vec<u128> = (0..length)
            .map(|minute| {
                let runs = minute % usize::try_from(interval).unwrap() < usize::try_from(duration).unwrap();
                given + if runs { u128::from(bolus) * 1_000_000_000_000 * 1_440 } else { 0 }
            })
            .collect();
        let window_minutes = usize::try_from(window).unwrap();
        let most = minutes.windows(window_minutes).map(|window| window.iter().sum::<u128>()).max().unwrap();
        let volume = periodic.largest_volume_in_window(Duration::from_minutes(window)).unwrap();
        prop_assert_eq!(u128::from(volume.femtolitres()), most.div_ceil(1_440 * u128::from(concentration)));
        // Starts within half-open windows of a day.
        let starts = (0..1_440_u32).filter(|minute| minute.is_multiple_of(interval)).count();
        prop_assert_eq!(usize::try_from(periodic.boluses_a_day()).unwrap(), starts);
        let day = periodic.largest_volume_in_window(Duration::from_days(1)).unwrap();
        prop_assert!(day <= periodic.day_volume().unwrap());
    }

    /// Whatever happens when, two never start closer than the interval, and no rolling day holds more than are shown.
    #[test]
    fn starts_keep_their_distance(interval in 1_u32..2_000, delays in prop::collection::vec(0_u64..3 * HOUR, 40), cancel in prop::collection::vec(any::<bool>(), 40)) {
        let periodic = checked(PeriodicDraft { interval: Duration::from_minutes(interval), ..draft("10 mcg", "1 min", "7 days", None) }).unwrap();
        let mut clock = PeriodicClock::committed(hours(5), &periodic, None, None);
        let mut starts: vec::Vec<PoweredTime> = vec![];
        for (delay, cancelled) in delays.into_iter().zip(cancel) {
            let start = clock.next_at().saturating_add(Duration::from_micros(delay));
            prop_assert!(clock.is_due(start));
            starts.push(start);
            clock.count_from(start, &periodic);
            if cancelled {
                clock.count_from(start.saturating_add(Duration::from_seconds(30)), &periodic);
            }
        }
        for end in &starts {
            let within = starts.iter().filter(|start| *start <= end && end.saturating_since(**start) < Duration::from_days(1));
            prop_assert!(within.count() <= usize::try_from(periodic.boluses_a_day()).unwrap());
        }
        prop_assert!(starts.iter().zip(&starts[1..]).all(|(one, next)| next.saturating_since(*one) >= Duration::from_minutes(interval)));
    }
}
