#![allow(clippy::arithmetic_side_effects)]

use std::string::ToString;

use proptest::prelude::*;

use super::*;

const CAPACITY: Volume = Volume::from_millilitres(20);
const OPENED: PoweredTime = PoweredTime::from_micros(1_000_000_000);

fn volume(text: &str) -> Volume {
    text.parse().unwrap()
}

/// Filled with 20 mL, 4.2 mL left.
fn reservoir() -> Reservoir {
    let mut reservoir = Reservoir::unknown();
    reservoir.fill(CAPACITY, CAPACITY).unwrap();
    reservoir.draw(volume("15.8 mL"));
    reservoir
}

fn open() -> Refill {
    Refill::CLOSED.opened(OPENED, &reservoir()).unwrap()
}

fn aspirated() -> Refill {
    open().aspirated(volume("2 mL"), &reservoir()).unwrap()
}

fn checking() -> Refill {
    aspirated().filled(OPENED, CAPACITY).unwrap().0
}

fn after(minutes: u32) -> PoweredTime {
    OPENED.saturating_add(Duration::from_minutes(minutes))
}

fn just_before(time: PoweredTime) -> PoweredTime {
    time.saturating_sub(Duration::from_micros(1))
}

/// Every event from every state: the table of the module.
///
/// Requirement: AC-16, R-10
#[test]
fn every_step_from_every_state() {
    use RefillStage::{Aspirated, Closed, Open};
    let steps = [
        RefillStep::Open,
        RefillStep::Aspirate,
        RefillStep::Fill,
        RefillStep::TopUp,
        RefillStep::NothingChanged,
        RefillStep::PatientCheck,
    ];
    let refused = None;
    for (from, expected) in [
        (
            Refill::CLOSED,
            [Some(Open), refused, refused, refused, refused, refused],
        ),
        (
            checking(),
            [Some(Open), refused, refused, refused, refused, Some(Closed)],
        ),
        (
            open(),
            [
                refused,
                Some(Aspirated),
                refused,
                Some(Closed),
                Some(Closed),
                refused,
            ],
        ),
        (
            aspirated(),
            [
                refused,
                Some(Aspirated),
                Some(Closed),
                refused,
                refused,
                refused,
            ],
        ),
    ] {
        for (step, expected) in steps.into_iter().zip(expected) {
            let next = match step {
                RefillStep::Open => from.opened(after(1), &reservoir()),
                RefillStep::Aspirate => from.aspirated(volume("1.8 mL"), &reservoir()),
                RefillStep::Fill => from.filled(after(1), CAPACITY).map(|(next, _)| next),
                RefillStep::TopUp => from.topped_up(after(1)),
                RefillStep::NothingChanged => from.nothing_changed(),
                RefillStep::PatientCheck => from.patient_checked(),
            };
            let stage = from.stage();
            match expected {
                Some(expected) => assert_eq!(next.map(|next| next.stage()), Ok(expected)),
                None => assert_eq!(next, Err(RefillRefused { asked: step, stage })),
            }
        }
    }
}

#[test]
fn a_refusal_names_what_is_expected() {
    let text = |refused: Result<Refill, RefillRefused>| refused.unwrap_err().to_string();
    assert_eq!(
        text(open().filled(OPENED, CAPACITY).map(|(next, _)| next)),
        "a filled volume cannot be entered: a refill is open, expected is the aspirated volume, a top-up or \"nothing was changed\""
    );
    assert_eq!(
        text(aspirated().nothing_changed()),
        "\"nothing was changed\" cannot be entered: the reservoir was emptied, expected is the filled volume"
    );
    assert_eq!(
        text(Refill::CLOSED.aspirated(CAPACITY, &reservoir())),
        "an aspirated volume cannot be entered: no refill is open, open one first"
    );
    assert_eq!(
        text(Refill::default().patient_checked()),
        "a check on the patient cannot be entered: none is outstanding"
    );
}

#[test]
fn a_refill_done_says_what_came_out_against_the_account_of_that_moment() {
    let open = open();
    assert_eq!(
        (open.expected(), open.since()),
        (Some(volume("4.2 mL")), Some(OPENED))
    );
    let mut later = reservoir();
    later.draw(volume("0.2 mL"));
    let aspirated = open.aspirated(volume("2 mL"), &later).unwrap();
    assert_eq!(aspirated.expected(), Some(volume("4 mL")));
    // A correction keeps the account of the moment of aspiration.
    let corrected = aspirated
        .aspirated(volume("1 mL"), &Reservoir::unknown())
        .unwrap();
    let (closed, done) = corrected.filled(after(5), volume("18 mL")).unwrap();
    assert_eq!(
        done,
        RefillDone {
            aspirated: volume("1 mL"),
            filled: volume("18 mL"),
            discrepancy: Some(Discrepancy::new(
                volume("4 mL"),
                volume("1 mL"),
                volume("16 mL")
            )),
        }
    );
    assert_eq!((closed.expected(), closed.since()), (None, None));
}

#[test]
fn an_unknown_reservoir_has_no_discrepancy() {
    let open = Refill::CLOSED
        .opened(OPENED, &Reservoir::unknown())
        .unwrap();
    assert_eq!(open.expected(), None);
    let (_, done) = open
        .aspirated(volume("2 mL"), &Reservoir::unknown())
        .unwrap()
        .filled(after(5), CAPACITY)
        .unwrap();
    assert_eq!(done.discrepancy, None);
}

#[test]
fn boluses_wait_while_one_is_open() {
    assert!(!Refill::CLOSED.is_open() && !checking().is_open());
    assert!(open().is_open() && aspirated().is_open());
}

/// Requirement: TH-refill-not-confirmed
#[test]
fn without_a_confirmation_it_is_overdue_once_at_60_minutes() {
    assert_eq!(Refill::CLOSED.became_overdue(PoweredTime::MAX), None);
    assert_eq!(checking().became_overdue(PoweredTime::MAX), None);
    for refill in [open(), aspirated()] {
        assert_eq!(refill.became_overdue(just_before(after(60))), None);
        // A clock a little behind its last checkpoint.
        assert_eq!(refill.became_overdue(PoweredTime::ZERO), None);
        assert!(!refill.is_overdue());
        let overdue = refill.became_overdue(after(60)).unwrap();
        assert!(overdue.is_overdue() && overdue.is_open());
        assert_eq!(overdue.stage(), refill.stage());
        assert_eq!(overdue.became_overdue(PoweredTime::MAX), None);
    }
    let overdue = open().became_overdue(after(90)).unwrap();
    assert!(!overdue.nothing_changed().unwrap().is_overdue());
    let late = overdue
        .aspirated(volume("2 mL"), &Reservoir::unknown())
        .unwrap();
    assert!(late.is_overdue());
    assert_eq!(late.became_overdue(PoweredTime::MAX), None);
    assert!(late.filled(after(95), CAPACITY).is_ok());
}

#[test]
fn the_patient_is_checked_30_minutes_after_the_needle_was_used() {
    for refill in [checking(), open().topped_up(OPENED).unwrap()] {
        assert!(!refill.patient_check_is_due(just_before(after(30))));
        assert!(refill.patient_check_is_due(after(30)));
        assert!(
            !refill
                .patient_checked()
                .unwrap()
                .patient_check_is_due(PoweredTime::MAX)
        );
    }
    for refill in [
        Refill::CLOSED,
        open(),
        aspirated(),
        open().nothing_changed().unwrap(),
    ] {
        assert!(!refill.patient_check_is_due(PoweredTime::MAX));
    }
}

#[test]
fn a_refill_survives_a_reset_in_at_most_43_bytes() {
    let longest = Refill(State::Aspirated {
        opening: Opening {
            since: PoweredTime::MAX,
            overdue: true,
        },
        aspirated: Volume::MAX,
        account: Some(Account {
            expected: Volume::MAX,
            programmed_out: Volume::MAX,
        }),
    });
    for refill in [Refill::CLOSED, checking(), open(), aspirated(), longest] {
        let mut buffer = [0; 43];
        let bytes = postcard::to_slice(&refill, &mut buffer).unwrap();
        assert_eq!(postcard::from_bytes(bytes), Ok(refill));
        assert!(refill != longest || bytes.len() == 43);
    }
}

/// Clinical reference, 2.11: 20 mL filled, 4.2 mL expected, 15.8 mL out.
///
/// Requirement: CALC-11, TH-discrepancy
#[test]
fn the_discrepancy_gives_the_worked_examples() {
    use DiscrepancyVerdict::{OverInfusion, UnderInfusion, Within};
    for (aspirated, text, verdict) in [
        ("2.00 mL", "+13.9 % (reading error 3.2 %)", Within),
        ("1.80 mL", "+15.2 % (reading error 3.2 %)", OverInfusion),
        ("6.90 mL", "-17.1 % (reading error 3.2 %)", UnderInfusion),
        ("4.20 mL", "0.0 % (reading error 3.2 %)", Within),
    ] {
        let discrepancy = Discrepancy::new(volume("4.2 mL"), volume(aspirated), volume("15.8 mL"));
        assert_eq!(
            (discrepancy.to_string().as_str(), discrepancy.verdict()),
            (text, verdict)
        );
        assert_eq!(discrepancy.is_over(), text.starts_with('+'));
    }
    let share =
        |aspirated, out| Discrepancy::new(volume("4.2 mL"), volume(aspirated), volume(out)).share();
    // 2.2 / 15.8 and 2.7 / 15.8.
    let parts = NonZeroU128::new(158).unwrap();
    assert_eq!(share("2 mL", "15.8 mL"), Some(Ratio::new(22, parts)));
    assert_eq!(share("6.9 mL", "15.8 mL"), Some(Ratio::new(27, parts)));
    assert_eq!(share("2 mL", "0 mL"), None);
}

/// Requirement: AC-16, TH-discrepancy
#[test]
fn only_more_than_14_5_per_cent_is_flagged() {
    use DiscrepancyVerdict::{OverInfusion, UnderInfusion, Within};
    let (expected, out) = (volume("4 mL"), volume("10 mL"));
    for (aspirated, verdict) in [
        (2_550_000_000_000, Within),
        (2_549_999_999_999, OverInfusion),
        (5_450_000_000_000, Within),
        (5_450_000_000_001, UnderInfusion),
    ] {
        let discrepancy = Discrepancy::new(expected, Volume::from_femtolitres(aspirated), out);
        assert_eq!(discrepancy.verdict(), verdict, "{aspirated}");
        assert_eq!(discrepancy.tenths_of_per_cent(), Some(145));
    }
}

/// Requirement: AC-16
#[test]
fn less_than_5_millilitres_are_not_classified() {
    use DiscrepancyVerdict::{NotClassified, OverInfusion};
    let of = |out| {
        Discrepancy::new(
            volume("15 mL"),
            volume("10 mL"),
            Volume::from_femtolitres(out),
        )
    };
    assert_eq!(of(4_999_999_999_999).verdict(), NotClassified);
    assert_eq!(of(5_000_000_000_000).verdict(), OverInfusion);
    assert_eq!(of(0).verdict(), NotClassified);
    assert_eq!(
        of(0).to_string(),
        "no percentage: nothing was programmed out"
    );
    assert_eq!(of(1).tenths_of_per_cent(), Some(5_000_000_000_000_000));
}

#[test]
fn the_ratio_is_high_above_1_05() {
    let of = |aspirated| {
        let aspirated = Volume::from_femtolitres(aspirated);
        Discrepancy::new(volume("4 mL"), aspirated, volume("10 mL")).ratio_is_high()
    };
    assert!(!of(3_500_000_000_000), "1.05 itself");
    assert!(of(3_499_999_999_999));
    assert!(!of(4_000_000_000_000));
    assert!(!of(9_000_000_000_000), "under-infusion");
}

#[test]
fn the_trend_is_made_of_what_left_the_reservoir() {
    let mut trend = Trend::new();
    assert_eq!(
        (trend.last_ratio(), trend.mean_ratio(), trend.last_is_high()),
        (None, None, false)
    );
    let record = |trend: &mut Trend, expected, aspirated, out| {
        trend.record(&Discrepancy::new(
            volume(expected),
            volume(aspirated),
            volume(out),
        ));
    };
    let ratio = |numerator, denominator| {
        Some(Ratio::new(
            numerator,
            NonZeroU128::new(denominator).unwrap(),
        ))
    };
    record(&mut trend, "4.2 mL", "2 mL", "15.8 mL");
    assert_eq!(
        (trend.last_ratio(), trend.last_is_high()),
        (ratio(180, 158), true)
    );
    record(&mut trend, "2 mL", "2.2 mL", "2 mL");
    assert_eq!(
        (trend.last_ratio(), trend.last_is_high()),
        (ratio(9, 10), false)
    );
    assert_eq!(trend.mean_ratio(), ratio(180 + 18, 158 + 20));
    record(&mut trend, "2 mL", "1 mL", "0 mL");
    assert_eq!((trend.last_ratio(), trend.last_is_high()), (None, true));
    assert_eq!(trend.mean_ratio(), ratio(180 + 18 + 10, 158 + 20));
    record(&mut trend, "2 mL", "20 mL", "4 mL");
    assert_eq!(
        trend.last_ratio(),
        Some(Ratio::ZERO),
        "no less than nothing"
    );
    assert_eq!(trend.newest_first().count(), 4);
    assert_eq!(
        trend.newest_first().last().unwrap().actually_out(),
        volume("18 mL")
    );
    assert_eq!(
        trend.newest_first().last().unwrap().programmed_out(),
        volume("15.8 mL")
    );
}

/// Requirement: R-13
#[test]
fn the_trend_keeps_the_last_40_in_at_most_242_bytes() {
    let mut trend = Trend::new();
    for out in 1..=42 {
        assert!(trend.newest_first().count() < out);
        let out = Volume::from_millilitres(u16::try_from(out).unwrap());
        trend.record(&Discrepancy::new(out, out, out));
    }
    let kept: std::vec::Vec<_> = trend
        .newest_first()
        .map(TrendEntry::programmed_out)
        .collect();
    let expected: std::vec::Vec<_> = (3..=42).rev().map(Volume::from_millilitres).collect();
    assert_eq!(kept, expected);
    for _ in 0..TREND_REFILLS {
        trend.record(&Discrepancy::new(Volume::MAX, Volume::ZERO, Volume::MAX));
    }
    let mut buffer = [0; 242];
    let bytes = postcard::to_slice(&trend, &mut buffer).unwrap();
    assert_eq!(bytes.len(), 242);
    assert_eq!(postcard::from_bytes(bytes), Ok(trend));
    assert!(size_of::<Trend>() <= 330, "{}", size_of::<Trend>());
    assert_eq!(size_of::<TrendEntry>(), 8);
}

#[test]
fn trended_volumes_are_rounded_to_the_nearest_microlitre() {
    let of = |femtolitres| {
        let out = Volume::from_femtolitres(femtolitres);
        TrendEntry::new(&Discrepancy::new(out, out, out)).programmed_out
    };
    assert_eq!((of(1_499_999_999), of(1_500_000_000)), (1, 2));
    assert_eq!(
        (of(2_097_151_000_000_000), of(2_097_152_000_000_000)),
        (2_097_151, 2_097_151)
    );
}

proptest! {
    /// Against the definition in wide integers: err = (expected - aspirated) / out.
    #[test]
    fn the_verdict_is_the_definition(
        expected in 0_u64..50_000_000_000_000, aspirated in 0_u64..50_000_000_000_000, out in 0_u64..50_000_000_000_000,
    ) {
        let discrepancy = Discrepancy::new(expected.into(), aspirated.into(), out.into());
        let error = (i128::from(expected) - i128::from(aspirated)) * 1_000;
        let limit = i128::from(out) * 145;
        let verdict = match discrepancy.verdict() {
            DiscrepancyVerdict::NotClassified => out < 5_000_000_000_000,
            DiscrepancyVerdict::Within => (-limit..=limit).contains(&error),
            DiscrepancyVerdict::OverInfusion => error > limit,
            DiscrepancyVerdict::UnderInfusion => error < -limit,
        };
        prop_assert!(verdict);
        let actual = i128::from(out) + i128::from(expected) - i128::from(aspirated);
        prop_assert_eq!(i128::from(discrepancy.actually_out().femtolitres()), actual.max(0));
        prop_assert_eq!(discrepancy.ratio_is_high(), actual * 100 > i128::from(out) * 105);
    }

    /// No sequence of steps loses an open refill, reports it twice or never, or lets a fill come before an aspiration.
    #[test]
    fn an_open_refill_is_reported_once(steps in prop::collection::vec((0_u8..7, 0_u32..100), 0..60)) {
        let mut refill = Refill::CLOSED;
        let mut now = OPENED;
        let mut since = None;
        let mut emptied = false;
        let mut reported = false;
        for (step, minutes) in steps {
            now = now.saturating_add(Duration::from_minutes(minutes));
            if let Some(next) = refill.became_overdue(now) {
                prop_assert!(!reported);
                reported = true;
                refill = next;
            }
            let late = since.is_some_and(|since| now.saturating_since(since) >= CONFIRMATION_TIME);
            prop_assert_eq!(reported, late);
            let next = match step {
                0 => refill.opened(now, &reservoir()),
                1 => refill.aspirated(volume("2 mL"), &reservoir()),
                2 => refill.filled(now, CAPACITY).map(|(next, _)| next),
                3 => refill.topped_up(now),
                4 => refill.nothing_changed(),
                5 => refill.patient_checked(),
                _ => Ok(refill),
            };
            let closes = match step {
                2 => emptied,
                3 | 4 => since.is_some() && !emptied,
                _ => false,
            };
            if let Ok(next) = next {
                refill = next;
            }
            if step == 0 && since.is_none() {
                since = Some(now);
            }
            emptied |= step == 1 && since.is_some();
            if closes {
                (since, emptied, reported) = (None, false, false);
            }
            prop_assert_eq!(refill.since(), since);
            prop_assert_eq!(refill.stage() == RefillStage::Aspirated, emptied);
            prop_assert_eq!(refill.is_open(), since.is_some());
        }
    }
}
