#![allow(clippy::arithmetic_side_effects)]

use std::string::ToString;

use proptest::prelude::*;

use super::*;

const LIMITS: &ServiceLimits = &ServiceLimits::IMPLANT;
const BEGUN: PoweredTime = PoweredTime::from_micros(5_000_000);
const GOOD: u16 = 2_600;
const LOW: u16 = 2_599;
const COLLAPSED: u16 = 2_399;

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn after_days(days: u32) -> PoweredTime {
    BEGUN.saturating_add(Duration::from_days(days))
}

fn just_before(time: PoweredTime) -> PoweredTime {
    time.saturating_sub(Duration::from_micros(1))
}

/// Three readings in a row; what the last one says.
fn three(life: &mut ServiceLife, now: PoweredTime, millivolts: u16) -> Option<ServicePhase> {
    assert_eq!(life.reading(now, millivolts, LIMITS), None);
    assert_eq!(life.reading(now, millivolts, LIMITS), None);
    life.reading(now, millivolts, LIMITS)
}

/// ERI by voltage on day 100.
fn eri_on_day_100() -> ServiceLife {
    let mut life = ServiceLife::begin(BEGUN);
    assert_eq!(
        three(&mut life, after_days(100), LOW),
        Some(ServicePhase::Eri)
    );
    life
}

/// Clinical reference, 2.13.
///
/// Requirement: AC-18, CALC-13
#[test]
fn the_dates_give_the_worked_example() {
    let life = eri_on_day_100();
    let noon = WallTime::from_millis(date("2026-11-30").begins(0).millis() + 43_200_000);
    let dates = life.dates(after_days(100), Some(noon), 0, LIMITS).unwrap();
    assert_eq!(
        dates,
        ServiceDates {
            eri: date("2026-11-30"),
            replace_by: date("2027-02-14"),
            eos: date("2027-02-28"),
        }
    );
    // The same three weeks later.
    let later = noon.saturating_add(Duration::from_days(21));
    assert_eq!(
        life.dates(after_days(121), Some(later), 0, LIMITS),
        Some(dates)
    );
    assert_eq!(life.dates(after_days(121), None, 0, LIMITS), None);
    assert_eq!(
        life.time_left(after_days(121), LIMITS),
        Duration::from_days(69)
    );
}

#[test]
fn a_refill_is_due_before_the_pump_is() {
    let dates = ServiceDates {
        eri: date("2026-11-30"),
        replace_by: date("2027-02-14"),
        eos: date("2027-02-28"),
    };
    assert_eq!(dates.refill_cap(ServicePhase::Normal), dates.eri);
    for phase in [ServicePhase::Eri, ServicePhase::Replace, ServicePhase::Eos] {
        assert_eq!(dates.refill_cap(phase), dates.replace_by);
    }
}

#[test]
fn a_battery_that_lasts_ends_by_age() {
    let mut life = ServiceLife::begin(BEGUN);
    let wall = WallTime::from_millis(date("2026-01-01").begins(0).millis());
    let ahead = life.dates(BEGUN, Some(wall), 0, LIMITS).unwrap();
    assert_eq!(
        (ahead.eri, ahead.eos),
        (date("2032-10-01"), date("2032-12-30"))
    );
    assert_eq!(life.time_left(BEGUN, LIMITS), Duration::from_days(2_555));
    for (day, entered) in [
        (2_465, ServicePhase::Eri),
        (2_541, ServicePhase::Replace),
        (2_555, ServicePhase::Eos),
    ] {
        assert_eq!(life.poll(just_before(after_days(day)), LIMITS), None);
        assert_eq!(life.poll(after_days(day), LIMITS), Some(entered));
        assert_eq!(life.poll(after_days(day), LIMITS), None);
        assert_eq!((life.phase(), life.cause()), (entered, Some(EriCause::Age)));
    }
    assert!(!life.is_shortened(LIMITS));
    assert_eq!(life.time_left(PoweredTime::ZERO, LIMITS), Duration::ZERO);
}

#[test]
fn eri_by_age_is_latched_at_the_moment_it_was_due() {
    let mut life = ServiceLife::begin(BEGUN);
    assert_eq!(
        life.poll(after_days(2_500), LIMITS),
        Some(ServicePhase::Eri)
    );
    assert_eq!(
        life.time_left(after_days(2_500), LIMITS),
        Duration::from_days(55)
    );
}

/// Requirement: AC-18
#[test]
fn a_low_battery_brings_eri_forward_and_eos_with_it() {
    let mut life = eri_on_day_100();
    assert_eq!(life.cause(), Some(EriCause::Voltage));
    for (day, entered) in [(176, ServicePhase::Replace), (190, ServicePhase::Eos)] {
        assert_eq!(life.poll(just_before(after_days(day)), LIMITS), None);
        assert_eq!(life.poll(after_days(day), LIMITS), Some(entered));
    }
    assert!(!life.is_shortened(LIMITS));
}

#[test]
fn three_low_readings_in_a_row_are_needed() {
    let mut life = ServiceLife::begin(BEGUN);
    for millivolts in [LOW, LOW, GOOD, LOW, LOW, GOOD, GOOD] {
        assert_eq!(life.reading(BEGUN, millivolts, LIMITS), None);
    }
    assert_eq!((life.phase(), life.cause()), (ServicePhase::Normal, None));
    assert_eq!(three(&mut life, BEGUN, LOW), Some(ServicePhase::Eri));
}

/// Requirement: TH-service-life
#[test]
fn it_never_goes_back() {
    let mut life = eri_on_day_100();
    for _ in 0..9 {
        assert_eq!(life.reading(after_days(101), 3_000, LIMITS), None);
    }
    assert_eq!(life.phase(), ServicePhase::Eri);
    // A second row of low readings does not begin the 90 days again.
    for _ in 0..9 {
        assert_eq!(life.reading(after_days(150), LOW, LIMITS), None);
    }
    assert_eq!(
        life.time_left(after_days(150), LIMITS),
        Duration::from_days(40)
    );
    assert_eq!(
        life.poll(after_days(176), LIMITS),
        Some(ServicePhase::Replace)
    );
    assert_eq!(life.poll(after_days(99), LIMITS), None);
    assert_eq!(life.phase(), ServicePhase::Replace);
}

/// Requirement: TH-service-life
#[test]
fn a_collapse_shortens_and_says_so() {
    let mut life = ServiceLife::begin(BEGUN);
    let now = after_days(100);
    assert_eq!(
        three(&mut life, now, COLLAPSED),
        Some(ServicePhase::Replace)
    );
    assert_eq!(life.cause(), Some(EriCause::Voltage));
    assert!(life.is_shortened(LIMITS));
    assert_eq!(life.time_left(now, LIMITS), Duration::from_hours(72));
    let wall = WallTime::from_millis(date("2026-11-30").begins(0).millis());
    let dates = life.dates(now, Some(wall), 0, LIMITS).unwrap();
    assert_eq!(
        (dates.eri, dates.replace_by, dates.eos),
        (date("2026-11-30"), date("2026-11-30"), date("2026-12-03"))
    );
    // It does not begin again.
    assert_eq!(life.reading(after_days(101), COLLAPSED, LIMITS), None);
    assert_eq!(life.poll(just_before(after_days(103)), LIMITS), None);
    assert_eq!(life.poll(after_days(103), LIMITS), Some(ServicePhase::Eos));
}

#[test]
fn a_collapse_needs_three_readings_and_counts_from_eri_too() {
    let mut life = eri_on_day_100();
    for millivolts in [COLLAPSED, COLLAPSED, 2_400, COLLAPSED, COLLAPSED] {
        assert_eq!(life.reading(after_days(120), millivolts, LIMITS), None);
    }
    assert!(!life.is_shortened(LIMITS));
    let entered = life.reading(after_days(120), COLLAPSED, LIMITS);
    assert_eq!(entered, Some(ServicePhase::Replace));
    assert!(life.is_shortened(LIMITS));
    let wall = WallTime::from_millis(date("2026-12-20").begins(0).millis());
    let dates = life.dates(after_days(120), Some(wall), 0, LIMITS).unwrap();
    assert_eq!(
        (dates.eri, dates.replace_by, dates.eos),
        (date("2026-11-30"), date("2026-12-20"), date("2026-12-23"))
    );
    // Within the last 72 hours nothing becomes shorter.
    let mut late = eri_on_day_100();
    assert_eq!(
        late.poll(after_days(188), LIMITS),
        Some(ServicePhase::Replace)
    );
    assert_eq!(three(&mut late, after_days(188), COLLAPSED), None);
    assert!(!late.is_shortened(LIMITS));
    assert_eq!(late.poll(after_days(190), LIMITS), Some(ServicePhase::Eos));
}

#[test]
fn a_collapse_after_a_long_silence_counts_from_when_it_is_seen() {
    // ERI by age and the collapse come to light in one reading: the later phase is told.
    let mut life = ServiceLife::begin(BEGUN);
    let now = after_days(2_470);
    assert_eq!(
        life.reading(just_before(after_days(2_465)), COLLAPSED, LIMITS),
        None
    );
    assert_eq!(
        life.reading(just_before(after_days(2_465)), COLLAPSED, LIMITS),
        None
    );
    assert_eq!(
        life.reading(now, COLLAPSED, LIMITS),
        Some(ServicePhase::Replace)
    );
    assert_eq!(life.cause(), Some(EriCause::Age));
    assert_eq!(life.time_left(now, LIMITS), COLLAPSE_TO_EOS);
}

#[test]
fn readings_are_averaged_by_the_day() {
    let mut life = ServiceLife::begin(BEGUN);
    let mut read = |now, millivolts| {
        assert_eq!(life.reading(now, millivolts, LIMITS), None);
        life.daily_mean_millivolts()
    };
    assert_eq!(read(BEGUN, 3_000), None);
    assert_eq!(read(just_before(after_days(1)), 2_901), None);
    assert_eq!(read(after_days(1), 2_800), Some(2_950));
    assert_eq!(read(after_days(2), 2_700), Some(2_800));
    // A week of silence, then the mean of what was read before it.
    assert_eq!(read(after_days(9), 2_650), Some(2_700));
}

#[test]
fn more_readings_than_can_be_counted_do_no_harm() {
    let mut readings = Readings::default();
    for _ in 0..70_000 {
        readings.average(PoweredTime::ZERO, u16::MAX);
    }
    readings.average(PoweredTime::ZERO.saturating_add(DAY), 1);
    assert_eq!(readings.mean_millivolts, Some(u16::MAX));
}

#[test]
fn limits_leave_90_days_and_a_low_battery_before_a_collapse() {
    assert_eq!(
        ServiceLimits::new(Duration::from_days(2_555), 2_600, 2_400),
        Ok(ServiceLimits::IMPLANT)
    );
    assert_eq!(LIMITS.life(), Duration::from_days(2_555));
    assert!(ServiceLimits::new(ERI_TO_EOS, 2_401, 2_400).is_ok());
    let life = just_before(PoweredTime::ZERO.saturating_add(ERI_TO_EOS))
        .saturating_since(PoweredTime::ZERO);
    assert_eq!(
        ServiceLimits::new(life, 2_600, 2_400),
        Err(ServiceLimitsRefused::LifeTooShort { life })
    );
    assert_eq!(
        ServiceLimits::new(ERI_TO_EOS, 2_400, 2_400)
            .unwrap_err()
            .to_string(),
        "a collapse at 2400 mV is not below replacement at 2400 mV"
    );
}

#[test]
fn it_survives_a_reset_in_at_most_61_bytes() {
    let longest = ServiceLife {
        commissioned: PoweredTime::MAX,
        latched: Some(Latched {
            eri: PoweredTime::MAX,
            cause: EriCause::Age,
            collapse: Some(PoweredTime::MAX),
            phase: ServicePhase::Eos,
        }),
        readings: Readings {
            since: PoweredTime::MAX,
            sum: u32::MAX,
            count: u16::MAX,
            mean_millivolts: Some(u16::MAX),
            low_in_a_row: u8::MAX,
            collapsed_in_a_row: u8::MAX,
        },
    };
    let mut buffer = [0; 61];
    for life in [ServiceLife::begin(BEGUN), eri_on_day_100(), longest] {
        let bytes = postcard::to_slice(&life, &mut buffer).unwrap();
        assert_eq!(postcard::from_bytes(bytes), Ok(life));
        assert!(life != longest || bytes.len() == 58, "{}", bytes.len());
    }
}

/// Requirement: AC-18, R-3
#[test]
fn for_every_day_of_the_calendar_eos_is_valid_and_at_most_90_days_after_eri() {
    let life = eri_on_day_100();
    for days in Date::FIRST.days_since_1970()..=Date::LAST.days_since_1970() {
        let eri = Date::from_days_since_1970(days).unwrap();
        for (millis, offset) in [(0, 0), (86_399_999, 0), (40_000_000, -720), (1, 840)] {
            let wall = WallTime::from_millis(eri.begins(offset).millis() + millis);
            let dates = life
                .dates(after_days(100), Some(wall), offset, LIMITS)
                .unwrap();
            let after = dates.eos.days_since(dates.eri);
            assert_eq!(dates.eri, eri);
            assert!(after == 90 || (dates.eos == Date::LAST && (0..90).contains(&after)));
            assert!(dates.eri <= dates.replace_by && dates.replace_by <= dates.eos);
            assert_eq!(dates.eos.to_string().parse(), Ok(dates.eos));
        }
    }
}

proptest! {
    /// Any battery, any life, polled daily: EOS comes within 90 days of ERI and within the life, with 7 days' notice unless the voltage
    /// collapsed, and the dates are valid and in order at every moment.
    ///
    /// Requirement: AC-18
    #[test]
    fn therapy_never_ends_without_notice(
        days in 90_u32..400, low_from in 0_u32..400, collapsed_from in 0_u32..800, wall in any::<u64>(), shift in 0_u32..64,
        offset in any::<i16>(),
    ) {
        let limits = ServiceLimits::new(Duration::from_days(days), 2_600, 2_400).unwrap();
        let mut life = ServiceLife::begin(BEGUN);
        let mut entered = std::vec::Vec::new();
        let mut day = 0;
        while life.phase() != ServicePhase::Eos {
            prop_assert!(day <= days);
            let now = after_days(day);
            let millivolts = match day {
                day if day >= collapsed_from => 2_300,
                day if day >= low_from => 2_500,
                _ => 3_000,
            };
            if let Some(phase) = life.reading(now, millivolts, &limits) {
                entered.push((phase, day));
            }
            let wall = Some(WallTime::from_millis(wall >> shift));
            let dates = life.dates(now, wall, offset, &limits).unwrap();
            prop_assert!(dates.eri <= dates.replace_by && dates.replace_by <= dates.eos);
            prop_assert!(dates.eos.days_since(dates.eri) <= 90);
            day += 1;
        }
        prop_assert!(entered.is_sorted_by(|(before, _), (after, _)| before < after));
        let (first, last) = (entered[0].1, entered[entered.len() - 1].1);
        let notice = last - first;
        prop_assert!(notice <= 90 && last <= days);
        if life.is_shortened(&limits) {
            prop_assert_eq!(last, collapsed_from + 2 + 3);
        } else {
            prop_assert!(notice >= 7);
            if collapsed_from + 2 > last {
                prop_assert!(entered.contains(&(ServicePhase::Replace, last - 14)));
            }
        }
    }
}
