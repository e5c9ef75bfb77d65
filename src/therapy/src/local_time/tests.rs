//! Local time, and what a change of it does to flex, against a pump that lives second by second.
#![allow(clippy::arithmetic_side_effects)]

use std::string::ToString;
use std::vec::Vec;

use proptest::prelude::*;
use units::{Concentration, Per};

use super::*;
use crate::bounds::Bounds;
use crate::schedule::{Week, WeekDraft, WeekStep};

fn zone(minutes: i16) -> ZoneOffset {
    ZoneOffset::from_minutes(minutes).unwrap()
}

fn wall(millis: u64) -> WallTime {
    WallTime::from_millis(millis)
}

/// 2026-01-05T10:00:00Z, a Monday.
const MONDAY_TEN: u64 = 1_767_607_200_000;

/// Clinical reference, 2.16: 1.73 s a day at 20 ppm, 43.2 s at 500.
#[test]
fn a_crystal_drifts_as_in_the_worked_example() {
    let day = Duration::from_days(1);
    assert_eq!(clock_drift(day, 20), Duration::from_millis(1_728));
    assert_eq!(clock_drift(day, 500), Duration::from_millis(43_200));
    assert_eq!(clock_drift(day, 0), Duration::ZERO);
    let micros = Duration::from_micros;
    assert_eq!(clock_drift(micros(1_000_000), 1), micros(1));
    assert_eq!(clock_drift(micros(1_000_001), 1), micros(2));
    assert_eq!(clock_drift(Duration::MAX, u32::MAX), Duration::MAX);
}

#[test]
fn known_moments_have_their_minute_of_the_week() {
    for (millis, offset, text) in [
        (0, 0, "Thursday 00:00"),
        (0, -720, "Wednesday 12:00"),
        (0, 840, "Thursday 14:00"),
        (951_782_400_000, 0, "Tuesday 00:00"),
        (MONDAY_TEN, 0, "Monday 10:00"),
        (MONDAY_TEN, -615, "Sunday 23:45"),
        (MONDAY_TEN, -600, "Monday 00:00"),
        (MONDAY_TEN, 345, "Monday 15:45"),
        (MONDAY_TEN, 840, "Tuesday 00:00"),
        (MONDAY_TEN + 59_999, 825, "Monday 23:45"),
        (MONDAY_TEN - 36_000_001, 0, "Sunday 23:59"),
    ] {
        let local = LocalTime::new(wall(millis), zone(offset));
        assert_eq!(local.to_string(), text, "{millis} {offset}");
    }
}

#[test]
fn a_boundary_is_so_many_minutes_away_less_what_has_passed() {
    let local = LocalTime::new(wall(MONDAY_TEN + 20_500), zone(0));
    assert_eq!(local.until_minutes_ahead(1), Duration::from_millis(39_500));
    assert_eq!(local.until_minutes_ahead(0), Duration::ZERO);
    assert_eq!(
        LocalTime::new(wall(MONDAY_TEN), zone(0)).until_minutes_ahead(10_079),
        Duration::from_minutes(10_079)
    );
}

#[test]
fn minutes_of_the_week_run_in_a_circle() {
    assert_eq!(MinuteOfWeek::new(10_080), None);
    let last = MinuteOfWeek::new(10_079).unwrap();
    assert_eq!(
        (last.to_string().as_str(), last.minute_of_day()),
        ("Sunday 23:59", 1_439)
    );
    assert_eq!(last.plus(1), MinuteOfWeek::MONDAY);
    assert_eq!(last.plus(10_080), last);
    assert_eq!(
        last.plus(u16::MAX).get(),
        (10_079 + u16::MAX % 10_080) % 10_080
    );
    for (days, day) in (0_u8..).zip(Weekday::ALL) {
        assert_eq!(day.days_since_monday(), days);
        let midnight = MinuteOfWeek::midnight(day);
        assert_eq!((midnight.day(), midnight.minute_of_day()), (day, 0));
        assert_eq!(midnight.plus(1_439).day(), day);
        assert_eq!(midnight.get(), u16::from(days) * 1_440);
    }
}

#[test]
fn offsets_are_those_of_time_zones() {
    for minutes in [-720, -210, 0, 15, 345, 765, 840] {
        assert_eq!(zone(minutes).minutes(), minutes);
    }
    for minutes in [-735, -721, -1, 1, 14, 841, 855, i16::MIN, i16::MAX] {
        assert_eq!(
            ZoneOffset::from_minutes(minutes),
            Err(ClockRefusal::NoSuchOffset { minutes })
        );
    }
    assert_eq!(
        (
            zone(-210).to_string().as_str(),
            zone(345).to_string().as_str()
        ),
        ("-03:30", "+05:45")
    );
    let mut buffer = [0; 4];
    let bytes = postcard::to_slice(&zone(840), &mut buffer).unwrap();
    assert_eq!(bytes.len(), 2);
    assert_eq!(postcard::from_bytes(bytes), Ok(zone(840)));
    let bytes = postcard::to_slice(&7_i16, &mut buffer).unwrap();
    assert!(postcard::from_bytes::<ZoneOffset>(bytes).is_err());
}

const REASON: Option<OverrideReason> = Some(OverrideReason::InNotes);
const EVERYBODY: [ClockSetter; 3] = [
    ClockSetter::Clinician,
    ClockSetter::Patient,
    ClockSetter::Automatic,
];

/// Requirement: TH-clock
#[test]
fn two_minutes_a_session_are_corrected_without_a_reason() {
    let limit = AUTOMATIC_CORRECTION;
    assert_eq!(limit.to_string(), "2 min");
    let (one, hour) = (Duration::from_micros(1), Duration::from_hours(1));
    for by in EVERYBODY {
        let judge = |change, before| judge_correction(ClockChange::Time(change), before, by, None);
        assert_eq!(judge(limit, Duration::ZERO), Ok(()));
        assert_eq!(
            judge(Duration::from_minutes(1), Duration::from_minutes(1)),
            Ok(())
        );
        assert_eq!(judge(Duration::ZERO, limit), Ok(()));
        let in_this_session = limit.saturating_add(one);
        for (change, before) in [
            (in_this_session, Duration::ZERO),
            (one, limit),
            (limit, one),
        ] {
            assert_eq!(
                judge(change, before),
                Err(ClockRefusal::CorrectionTooLarge { in_this_session })
            );
        }
        assert_eq!(
            judge(Duration::MAX, Duration::MAX),
            Err(ClockRefusal::CorrectionTooLarge {
                in_this_session: Duration::MAX
            })
        );
        let reasoned = judge_correction(ClockChange::Time(hour), limit, by, REASON);
        assert_eq!(reasoned.is_ok(), by == ClockSetter::Clinician, "{by:?}");
    }
    let refused = judge_correction(
        ClockChange::Time(hour),
        Duration::ZERO,
        ClockSetter::Automatic,
        None,
    )
    .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the time would be corrected by 1 h in this session: allowed are 2 min, or a clinician's reason"
    );
}

/// Requirement: TH-clock
#[test]
fn a_patient_moves_the_offset_by_summer_time_only() {
    let judge = |from, to, clinicians, by, reason| {
        let change = ClockChange::Offset {
            from: zone(from),
            to: zone(to),
            clinicians: zone(clinicians),
        };
        judge_correction(change, AUTOMATIC_CORRECTION, by, reason)
    };
    let patient = |from, to, clinicians| judge(from, to, clinicians, ClockSetter::Patient, None);
    assert_eq!(patient(60, 120, 60), Ok(()));
    assert_eq!(patient(120, 60, 60), Ok(()));
    assert_eq!(patient(60, 0, 60), Ok(()));
    assert_eq!(patient(-30, 30, 0), Ok(()));
    for to in [60, 75, 105, 135, 180, -60] {
        assert_eq!(
            patient(60, to, 60),
            Err(ClockRefusal::NotSummerTime {
                from: zone(60),
                to: zone(to)
            }),
            "{to}"
        );
    }
    let twice = ClockRefusal::TooFarFromClinicians {
        to: zone(180),
        clinicians: zone(60),
    };
    assert_eq!(patient(120, 180, 60), Err(twice));
    assert_eq!(
        twice.to_string(),
        "the offset would be +03:00: allowed is one hour from the clinician's +01:00, or a clinician's reason"
    );
    assert_eq!(
        patient(0, -60, 15),
        Err(ClockRefusal::TooFarFromClinicians {
            to: zone(-60),
            clinicians: zone(15)
        })
    );
    // A phone alone changes no offset, with a reason or without; a reason is a clinician's.
    for reason in [None, REASON] {
        assert_eq!(
            judge(60, 120, 60, ClockSetter::Automatic, reason),
            Err(ClockRefusal::OffsetNeedsPerson)
        );
        assert!(judge(0, 600, 0, ClockSetter::Patient, reason).is_err());
    }
    assert_eq!(judge(0, 600, 0, ClockSetter::Clinician, REASON), Ok(()));
    assert!(judge(0, 600, 0, ClockSetter::Clinician, None).is_err());
    assert_eq!(judge(0, 60, 0, ClockSetter::Clinician, None), Ok(()));
}

/// Requirement: TH-clock
#[test]
fn a_lost_clock_is_a_clinicians_to_set() {
    for by in EVERYBODY {
        let judged = judge_correction(ClockChange::Set, Duration::ZERO, by, None);
        assert_eq!(judged.is_ok(), by == ClockSetter::Clinician, "{by:?}");
    }
    let refused = judge_correction(
        ClockChange::Set,
        Duration::ZERO,
        ClockSetter::Patient,
        REASON,
    );
    assert_eq!(refused, Err(ClockRefusal::SettingNeedsClinician));
}

/// A week whose every step has its own dose; steps on the minute, by 2 mg/mL.
fn week(times: &[u16]) -> Week {
    let mut steps = heapless::Vec::new();
    for (pattern, times) in times.chunks(3).enumerate() {
        let mut times = times.to_vec();
        times.sort_unstable();
        times.dedup();
        for from_minute in std::iter::once(0).chain(times) {
            let dose_nanograms =
                5_000 + 1_440 * u32::try_from(pattern).unwrap() + u32::from(from_minute);
            steps
                .push(WeekStep {
                    from_minute,
                    dose_nanograms,
                })
                .unwrap();
        }
    }
    let draft = WeekDraft {
        per: Per::Hour,
        days: [0, 1, 2, 3, 4, 5, 6],
        steps,
    };
    let solution = Concentration::from_nanograms_per_millilitre(2_000_000).unwrap();
    Week::new(draft, solution, &Bounds::PROGRAMMABLE_IMPLANT).unwrap()
}

/// What somebody does to the clock, so many seconds after the last thing.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The time moves, in seconds.
    Time(i64),
    /// The offset becomes another, in minutes.
    Offset(i16),
    /// Power goes and comes back: the wall clock went on by so many seconds, powered time did not.
    Outage(u64),
}

fn event() -> impl Strategy<Value = (u64, Event)> {
    let event = prop_oneof![
        (-200_000_i64..200_000).prop_map(Event::Time),
        (-48_i16..=56).prop_map(|quarters| Event::Offset(quarters * 15)),
        (0_u64..100_000).prop_map(Event::Outage),
    ];
    (0_u64..100_000, event)
}

/// The wall clock and its offset.
#[derive(Clone, Copy)]
struct Clocks {
    seconds: u64,
    offset: ZoneOffset,
}

impl Clocks {
    fn local(self) -> LocalTime {
        LocalTime::new(wall(self.seconds * 1_000), self.offset)
    }

    fn change(&mut self, event: Event) {
        match event {
            Event::Time(by) => self.seconds = self.seconds.saturating_add_signed(by),
            Event::Offset(minutes) => self.offset = zone(minutes),
            Event::Outage(seconds) => self.seconds += seconds,
        }
    }
}

/// Nanograms that a dose in force for so many seconds gives, times 3,600.
fn given(week: &Week, at: MinuteOfWeek, seconds: u64) -> u64 {
    week.segment_at(at)
        .dose
        .unwrap()
        .amount()
        .nanograms_exact()
        .unwrap()
        * seconds
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Whatever is done to the clock, what is delivered is the segment of the local time in force, over powered time: from boundary to
    /// boundary as an integrator goes it comes to the same as second by second. Nothing is caught up, and no powered second counts twice.
    ///
    /// Requirement: AC-15, TH-flex-clock
    #[test]
    fn no_change_of_the_clock_misses_or_doubles_a_minute(
        times in prop::collection::vec(1_u16..1_440, 21), start in 0_u64..604_800, events in prop::collection::vec(event(), 1..12),
    ) {
        let week = week(&times);
        let mut clocks = Clocks { seconds: MONDAY_TEN / 1_000 + start, offset: ZoneOffset::UTC };
        let mut powered = 0_u64;
        let (mut delivered, mut lowest, mut highest) = (0_u64, 0_u64, 0_u64);
        let mut oracle = 0_u64;
        for (wait, event) in events {
            // Second by second; the segment is looked up once a minute, as it never changes within one.
            let mut minutes: Vec<(MinuteOfWeek, u64)> = Vec::new();
            for second in 0..wait {
                let at = (clocks.seconds + second) / 60 % 10_080;
                let local = i64::try_from(at).unwrap() + 3 * 1_440 + i64::from(clocks.offset.minutes());
                let minute = MinuteOfWeek::new(u16::try_from(local.rem_euclid(10_080)).unwrap()).unwrap();
                match minutes.last_mut() {
                    Some((last, seconds)) if *last == minute => *seconds += 1,
                    _ => minutes.push((minute, 1)),
                }
            }
            oracle += minutes.iter().map(|(minute, seconds)| given(&week, *minute, *seconds)).sum::<u64>();

            // From boundary to boundary.
            let mut left = wait;
            while left > 0 {
                let local = clocks.local();
                let until = week.next_boundary(local.minute_of_week()).map_or(u64::MAX, |minutes| local.until_minutes_ahead(minutes).micros() / 1_000_000);
                prop_assert!(until > 0);
                let stride = until.min(left);
                delivered += given(&week, local.minute_of_week(), stride);
                clocks.seconds += stride;
                powered += stride;
                left -= stride;
            }
            clocks.change(event);
            prop_assert_eq!(delivered, oracle);
            lowest = powered * 5_000;
            highest = powered * (5_000 + 7 * 1_440);
        }
        // Never a dose that the schedule does not have, over the time with power.
        prop_assert!((lowest..=highest).contains(&delivered));
    }

    #[test]
    fn local_time_is_what_a_calendar_says(millis in any::<u64>(), quarters in -48_i16..=56) {
        let local = LocalTime::new(wall(millis), zone(quarters * 15));
        let minutes = i128::from(millis / 60_000) + 3 * 1_440 + i128::from(quarters) * 15;
        prop_assert_eq!(i128::from(local.minute_of_week().get()), minutes.rem_euclid(10_080));
        let next = local.until_minutes_ahead(1);
        prop_assert_eq!(next, Duration::from_millis(60_000 - millis % 60_000));
    }
}
