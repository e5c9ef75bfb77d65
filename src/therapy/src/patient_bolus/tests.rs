#![allow(clippy::arithmetic_side_effects)]

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng};
use std::collections::VecDeque;
use std::string::{String, ToString};
use std::vec;

use super::*;

const HOUR: u32 = 3_600;
const FINE: Situation = Situation {
    not_in_use: false,
    stopped: false,
    alarm: false,
    self_test: false,
    refill_open: false,
    priming: false,
    bridging: false,
    mri_mode: false,
    reservoir_low: false,
    clock_lost: false,
    journal_failing: false,
    bolus_running: false,
};

fn mass(text: &str) -> Mass {
    text.parse().unwrap()
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_seconds(seconds)
}

fn at(seconds: u32) -> PoweredTime {
    at_second(seconds)
}

/// Clinical reference, 2.12: four boluses of 0.25 mg, lockout 6 h.
fn draft() -> PatientBolusDraft {
    PatientBolusDraft {
        dose: mass("0.25 mg"),
        duration: seconds(600),
        lockout: seconds(6 * HOUR),
        per_day: 4,
        daily_cap: None,
        periods: Vec::new(),
    }
}

fn rule(change: impl FnOnce(&mut PatientBolusDraft)) -> PatientBolusRule {
    let mut draft = draft();
    change(&mut draft);
    PatientBolusRule::new(&draft).unwrap()
}

fn morphine(nanograms: u32) -> DrugMasses {
    let mut masses = DrugMasses::default();
    masses.add(Drug::Morphine, nanograms);
    masses
}

/// Asks at noon, at a second of powered time, for a whole dose.
fn ask(window: &BolusWindow, rule: &PatientBolusRule, second: u32) -> Result<Grant, Denial> {
    ask_at(window, rule, second, 720)
}

fn ask_at(
    window: &BolusWindow,
    rule: &PatientBolusRule,
    second: u32,
    minute: u16,
) -> Result<Grant, Denial> {
    let now = BolusTime {
        powered: at(second),
        minute_of_day: Some(minute),
    };
    let masses = morphine(rule.dose_nanograms);
    window.request(rule, now, &FINE, Drug::Morphine, &masses)
}

/// Asks and gives.
fn give(window: &mut BolusWindow, rule: &PatientBolusRule, second: u32) {
    let grant = ask(window, rule, second).unwrap();
    window.record(&grant);
}

fn lockout(left: u32) -> Result<Grant, Denial> {
    let remaining = seconds(left);
    Err(Denial::Lockout { remaining })
}

fn number(left: u32) -> Result<Grant, Denial> {
    let remaining = seconds(left);
    Err(Denial::Number { remaining })
}

fn too_much(left: u32) -> Result<Grant, Denial> {
    let remaining = seconds(left);
    Err(Denial::Mass { remaining })
}

fn written<T: Serialize>(value: &T) -> std::vec::Vec<u8> {
    let mut buffer = [0; 2_048];
    postcard::to_slice(value, &mut buffer).unwrap().to_vec()
}

fn read<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<T, postcard::Error> {
    postcard::from_bytes(bytes)
}

// The rule.

#[test]
fn every_value_of_a_rule_has_its_bounds() {
    let new = |change: &dyn Fn(&mut PatientBolusDraft)| {
        let mut draft = draft();
        change(&mut draft);
        PatientBolusRule::new(&draft).map(|_| ())
    };
    let nanogram = 1_000_000_000_000_u128;
    for (zeptograms, allowed) in [
        (0, false),
        (nanogram - 1, false),
        (nanogram, true),
        (nanogram + 1, false),
        (4_294_967_294 * nanogram, true),
        (4_294_967_295 * nanogram, false),
        (u128::MAX, false),
    ] {
        let dose = Mass::from_zeptograms(zeptograms);
        let expected = if allowed {
            Ok(())
        } else {
            Err(RuleRefusal::Dose { dose })
        };
        assert_eq!(new(&|draft| draft.dose = dose), expected);
    }
    for (micros, allowed) in [
        (0, false),
        (999_999, false),
        (1_000_000, true),
        (1_000_001, false),
        (86_400_000_000, true),
        (86_401_000_000, false),
        (u64::MAX, false),
    ] {
        let duration = Duration::from_micros(micros);
        let expected = if allowed {
            Ok(())
        } else {
            Err(RuleRefusal::Duration { duration })
        };
        let lockout = seconds(24 * HOUR);
        assert_eq!(
            new(&|draft| (draft.duration, draft.lockout) = (duration, lockout)),
            expected
        );
    }
    for (micros, allowed) in [
        (0, false),
        (599_000_000, false),
        (600_000_000, true),
        (600_000_001, false),
        (86_400_000_000, true),
        (86_401_000_000, false),
    ] {
        let lockout = Duration::from_micros(micros);
        let duration = seconds(600);
        let expected = if allowed {
            Ok(())
        } else {
            Err(RuleRefusal::Lockout { lockout, duration })
        };
        assert_eq!(new(&|draft| draft.lockout = lockout), expected);
    }
    for (per_day, allowed) in [(0, false), (1, true), (24, true), (25, false)] {
        let expected = if allowed {
            Ok(())
        } else {
            Err(RuleRefusal::PerDay { per_day })
        };
        assert_eq!(new(&|draft| draft.per_day = per_day), expected);
    }
    for (cap, allowed) in [
        ("249999 ng", false),
        ("250000 ng", true),
        ("4294967294 ng", true),
        ("4294967295 ng", false),
    ] {
        let (cap, dose) = (mass(cap), mass("0.25 mg"));
        let expected = if allowed {
            Ok(())
        } else {
            Err(RuleRefusal::DailyCap { cap, dose })
        };
        assert_eq!(new(&|draft| draft.daily_cap = Some(cap)), expected);
    }
}

#[test]
fn a_part_of_the_day_is_two_different_minutes() {
    for (from, to, allowed) in [
        (0, 1_439, true),
        (1_439, 0, true),
        (0, 0, false),
        (600, 600, false),
        (0, 1_440, false),
        (1_440, 0, false),
        (u16::MAX, 1, false),
    ] {
        let cap = PeriodCap::new(from, to, 2);
        assert_eq!(cap.is_ok(), allowed, "{from} {to}");
        let bytes = written(&(from, to, 2_u8));
        assert_eq!(read::<PeriodCap>(&bytes).ok(), cap.ok());
    }
    let night = PeriodCap::new(1_320, 360, 2).unwrap();
    assert_eq!((night.from(), night.to(), night.most()), (1_320, 360, 2));
    assert_eq!(night.minutes(), 480);
    for (minute, inside) in [
        (1_319, false),
        (1_320, true),
        (1_439, true),
        (0, true),
        (359, true),
        (360, false),
    ] {
        assert_eq!(night.contains(minute), inside, "{minute}");
    }
}

/// Clinical reference, 2.12: n = 4 with L = 6 h just fits, n = 4 with L = 8 h gives 3.
///
/// Requirement: CALC-12, TH-what-binds
#[test]
fn says_which_limit_binds() {
    let of = |per_day, lockout_seconds, cap: Option<&str>| {
        rule(|draft| {
            draft.per_day = per_day;
            draft.lockout = seconds(lockout_seconds);
            draft.daily_cap = cap.map(mass);
        })
        .binding()
    };
    assert_eq!(of(4, 6 * HOUR, None), (Binding::Number, 4));
    assert_eq!(of(4, 6 * HOUR + 1, None), (Binding::Lockout, 4));
    assert_eq!(of(4, 8 * HOUR, None), (Binding::Lockout, 3));
    assert_eq!(of(4, 8 * HOUR - 1, None), (Binding::Lockout, 4));
    assert_eq!(of(1, 24 * HOUR, None), (Binding::Number, 1));
    assert_eq!(of(2, 24 * HOUR, None), (Binding::Lockout, 1));
    assert_eq!(of(24, HOUR, None), (Binding::Number, 24));
    assert_eq!(of(24, 600, None), (Binding::Number, 24));
    assert_eq!(of(4, 6 * HOUR, Some("1 mg")), (Binding::Number, 4));
    assert_eq!(of(4, 6 * HOUR, Some("0.999999 mg")), (Binding::Mass, 3));
    assert_eq!(of(4, 8 * HOUR, Some("0.75 mg")), (Binding::Lockout, 3));
    assert_eq!(of(4, 8 * HOUR, Some("0.5 mg")), (Binding::Mass, 2));
}

/// What [`PatientBolusRule::binding`] says is what a patient who asks all the time gets.
#[test]
fn the_number_that_binds_is_the_number_that_is_given() {
    for (per_day, hours, cap) in [
        (4, 6, None),
        (4, 8, None),
        (4, 7, None),
        (24, 1, None),
        (3, 1, None),
        (5, 1, Some("0.8 mg")),
        (2, 24, None),
    ] {
        let rule = rule(|draft| {
            draft.per_day = per_day;
            draft.lockout = seconds(hours * HOUR);
            draft.daily_cap = cap.map(mass);
        });
        let mut window = BolusWindow::default();
        let mut most = 0;
        for minute in 0..4 * 1_440 {
            if let Ok(grant) = ask(&window, &rule, 60 * minute) {
                window.record(&grant);
            }
            most = most.max(window.number(at(60 * minute)));
        }
        assert_eq!((most, rule.largest_daily_dose()), {
            let (_, boluses) = rule.binding();
            (
                boluses,
                mass("0.25 mg").checked_mul(u64::from(boluses)).unwrap(),
            )
        });
    }
}

/// Clinical reference, 2.12: 2.5 + 4 x 0.25 = 3.5 mg in 24 h.
///
/// Requirement: CALC-12
#[test]
fn the_ceiling_of_a_day_is_the_worked_example() {
    let boluses = rule(|_| ()).largest_daily_dose();
    let ceiling = mass("2.5 mg").checked_add(boluses).unwrap();
    assert_eq!(ceiling, mass("3.5 mg"));
}

#[test]
fn a_rule_tells_its_values_and_is_written_small() {
    let periods = [(0, 1_439), (1_438, 1_437), (1_437, 1_436), (1_436, 1_435)]
        .map(|(from, to)| PeriodCap::new(from, to, 255).unwrap());
    let largest = rule(|draft| {
        draft.dose = Mass::from_nanograms(4_294_967_294);
        draft.duration = seconds(24 * HOUR);
        draft.lockout = seconds(24 * HOUR);
        draft.per_day = 24;
        draft.daily_cap = Some(draft.dose);
        draft.periods = periods.into_iter().collect();
    });
    let bytes = written(&largest);
    // Dose 5, duration 3, lockout 3, number 1, cap 6, periods 1 + 4 x 5.
    assert_eq!(bytes.len(), 38);
    assert_eq!(read(&bytes), Ok(largest.clone()));
    assert_eq!(largest.dose(), Mass::from_nanograms(4_294_967_294));
    assert_eq!(largest.daily_cap(), Some(largest.dose()));
    assert_eq!(largest.duration(), seconds(24 * HOUR));
    assert_eq!(largest.lockout(), seconds(24 * HOUR));
    assert_eq!(largest.per_day(), 24);
    assert_eq!(largest.periods(), periods);
    let none = written(&(0_u32, 1_u32, 1_u32, 1_u8, None::<u32>, 0_u8));
    assert!(read::<PatientBolusRule>(&none).is_err(), "read as checked");
}

#[test]
fn refusals_of_a_rule_are_sentences() {
    let second = seconds(1);
    for (refusal, text) in [
        (
            RuleRefusal::Dose { dose: Mass::ZERO },
            "a bolus of 0 mg is not allowed: it must be a whole number of nanograms from 1 ng to 4294.967294 mg",
        ),
        (
            RuleRefusal::Duration {
                duration: Duration::ZERO,
            },
            "a bolus over 0 s is not allowed: it must take whole seconds from 1 s to 24 h",
        ),
        (
            RuleRefusal::Lockout {
                lockout: Duration::ZERO,
                duration: second,
            },
            "a lockout of 0 s is not allowed: it must be whole seconds, at least the 1 s a bolus takes, at most 24 h",
        ),
        (
            RuleRefusal::PerDay { per_day: 25 },
            "25 boluses in 24 hours are not allowed: from 1 to 24",
        ),
        (
            RuleRefusal::DailyCap {
                cap: Mass::ZERO,
                dose: mass("1 mg"),
            },
            "a cap of 0 mg in 24 hours is not allowed: it must be whole nanograms, at least the 1 mg of one bolus, below 4294.967295 mg",
        ),
        (
            RuleRefusal::Period { from: 7, to: 7 },
            "a part of the day from minute 7 to minute 7 is not allowed: two different minutes from 0 to 1439",
        ),
    ] {
        assert_eq!(refusal.to_string(), text);
    }
}

// Masses.

#[test]
fn masses_are_rounded_up_to_a_nanogram() {
    let concentration = |text: &str| text.parse::<Concentration>().unwrap();
    let solution = [
        (Drug::Morphine, concentration("25 mg/mL")),
        (Drug::Clonidine, concentration("999 ng/mL")),
    ];
    // 2.5 nL hold 62.5 ng and 0.0024975 ng.
    let masses = DrugMasses::in_volume(Volume::from_femtolitres(2_500_000), &solution);
    assert_eq!(masses.nanograms(Drug::Morphine), 63);
    assert_eq!(masses.nanograms(Drug::Clonidine), 1);
    assert_eq!(masses.nanograms(Drug::Baclofen), 0);
    let shares: std::vec::Vec<_> = masses.shares().collect();
    assert_eq!(shares, [(Drug::Morphine, 63), (Drug::Clonidine, 1)]);
    assert_eq!(written(&masses), [2, 0, 63, 5, 1]);
    assert_eq!(read(&[2, 0, 63, 5, 1]), Ok(masses));
    let much = DrugMasses::in_volume(Volume::MAX, &solution);
    assert_eq!(much.nanograms(Drug::Morphine), u32::MAX);
    assert_eq!(much.sum(&much).nanograms(Drug::Morphine), u32::MAX);
}

// The limits.

/// Start to start, and a refusal does not restart it.
///
/// Requirement: AC-9
#[test]
fn the_lockout_runs_from_start_to_start() {
    let rule = rule(|_| ());
    let mut window = BolusWindow::default();
    give(&mut window, &rule, 100);
    let end = 100 + 6 * HOUR;
    for second in [100, 101, end - 1] {
        assert_eq!(ask(&window, &rule, second), lockout(end - second));
    }
    assert_eq!(window.lockout_left(rule.lockout(), at(end)), None);
    give(&mut window, &rule, end);
    assert_eq!(ask(&window, &rule, end), lockout(6 * HOUR));
}

#[test]
fn a_start_within_a_second_counts_from_its_end() {
    let rule = rule(|_| ());
    let mut window = BolusWindow::default();
    let now = BolusTime {
        powered: PoweredTime::from_micros(100_000_001),
        minute_of_day: Some(0),
    };
    let grant = window.request(&rule, now, &FINE, Drug::Morphine, &morphine(1));
    window.record(&grant.unwrap());
    assert_eq!(grant.unwrap().start(), at(101));
    assert_eq!(grant.unwrap().masses(), &morphine(1));
    assert_eq!(ask(&window, &rule, 100 + 6 * HOUR), lockout(1));
}

/// The window is (t - 24 h, t].
///
/// Requirement: AC-9
#[test]
fn the_number_is_of_any_24_hours() {
    let rule = rule(|draft| (draft.lockout, draft.per_day) = (seconds(600), 3));
    let mut window = BolusWindow::default();
    for second in [1_000, 2_000, 5_000] {
        give(&mut window, &rule, second);
    }
    assert_eq!(window.number(at(5_000)), 3);
    assert_eq!(ask(&window, &rule, 6_000), number(81_400));
    assert_eq!(ask(&window, &rule, 87_399), number(1));
    give(&mut window, &rule, 87_400);
    assert_eq!(window.number(at(87_400)), 3);
    assert_eq!(ask(&window, &rule, 88_399), number(1));
    assert_eq!(ask(&window, &rule, 88_400).map(|_| ()), Ok(()));
    // Boluses of other kinds do not count in number.
    for kind in [
        CountedBolus::Clinician,
        CountedBolus::Periodic,
        CountedBolus::Prime,
    ] {
        window.record_other(kind, at(88_400), &morphine(1));
    }
    give(&mut window, &rule, 88_400);
    // A commit that allots fewer is held against what was given.
    let fewer = super::tests::rule(|draft| (draft.lockout, draft.per_day) = (seconds(600), 1));
    assert_eq!(ask(&window, &fewer, 90_000), number(84_800));
}

#[test]
fn recording_forgets_nothing_within_the_second() {
    let rule = rule(|draft| (draft.lockout, draft.per_day) = (seconds(600), 24));
    let mut window = BolusWindow::default();
    give(&mut window, &rule, 0);
    let now = PoweredTime::from_micros(86_399_500_000);
    let time = BolusTime {
        powered: now,
        minute_of_day: Some(0),
    };
    let grant = window.request(&rule, time, &FINE, Drug::Morphine, &morphine(1));
    window.record(&grant.unwrap());
    assert_eq!(window.number(now), 2);
    assert_eq!(window.number(at(86_400)), 1);
}

/// The cap itself is allowed, a nanogram more is not; boluses of every kind count, and only of the drug.
///
/// Requirement: AC-9
#[test]
fn the_mass_is_of_boluses_of_every_kind() {
    let cap = |nanograms| {
        rule(|draft| {
            draft.lockout = seconds(600);
            draft.daily_cap = Some(Mass::from_nanograms(nanograms));
        })
    };
    let mut window = BolusWindow::default();
    window.record_other(CountedBolus::Periodic, at(1_000), &morphine(250_000));
    give(&mut window, &cap(500_000), 2_000);
    window.record_other(CountedBolus::Clinician, at(3_000), &morphine(100_000));
    let mut clonidine = DrugMasses::default();
    clonidine.add(Drug::Clonidine, 1_000_000);
    window.record_other(CountedBolus::Prime, at(3_500), &clonidine);
    assert_eq!(window.nanograms(Drug::Morphine, at(3_500)), 600_000);
    assert_eq!(window.nanograms(Drug::Clonidine, at(3_500)), 1_000_000);
    assert_eq!(ask(&window, &cap(850_000), 4_000).map(|_| ()), Ok(()));
    // The first, then the first two, then all three have to leave.
    assert_eq!(ask(&window, &cap(849_999), 4_000), too_much(83_400));
    assert_eq!(ask(&window, &cap(600_000), 4_000), too_much(83_400));
    assert_eq!(ask(&window, &cap(599_999), 4_000), too_much(84_400));
    assert_eq!(ask(&window, &cap(349_999), 4_000), too_much(85_400));
    assert_eq!(ask(&window, &cap(600_000), 87_399), too_much(1));
    assert_eq!(ask(&window, &cap(600_000), 87_400).map(|_| ()), Ok(()));
    assert_eq!(window.nanograms(Drug::Morphine, at(87_399)), 600_000);
    assert_eq!(window.nanograms(Drug::Morphine, at(87_400)), 350_000);
}

#[test]
fn a_part_of_the_day_has_its_own_number() {
    // From 22:00 to 6:00 at most two; at 0 s of powered time it is 22:00.
    let night = PeriodCap::new(1_320, 360, 2).unwrap();
    let rule = rule(|draft| {
        draft.lockout = seconds(600);
        draft.per_day = 24;
        draft.periods.push(night).unwrap();
    });
    let minute = |second: u32| u16::try_from((1_320 + second / 60) % 1_440).unwrap();
    let mut window = BolusWindow::default();
    let period = |minutes| {
        Err(Denial::Period {
            remaining: Duration::from_minutes(minutes),
        })
    };
    for second in [0, 7 * HOUR] {
        let grant = ask_at(&window, &rule, second, minute(second)).unwrap();
        window.record(&grant);
    }
    assert_eq!(
        ask_at(&window, &rule, 7 * HOUR + 660, minute(7 * HOUR + 660)),
        period(49)
    );
    assert_eq!(
        ask_at(&window, &rule, 8 * HOUR - 1, minute(8 * HOUR - 1)),
        period(1)
    );
    // The day is free, and what is given there does not count in the night.
    for hours in [8, 23] {
        let grant = ask_at(&window, &rule, hours * HOUR, minute(hours * HOUR)).unwrap();
        window.record(&grant);
    }
    for second in [24 * HOUR, 24 * HOUR + 600] {
        let grant = ask_at(&window, &rule, second, minute(second)).unwrap();
        window.record(&grant);
    }
    assert_eq!(
        ask_at(&window, &rule, 25 * HOUR, minute(25 * HOUR)),
        period(420)
    );
}

/// A clock that is set back over the beginning does not open a part of the day anew.
///
/// Requirement: AC-9, TH-ledger
#[test]
fn setting_the_clock_opens_no_part_of_the_day_anew() {
    let night = PeriodCap::new(1_320, 360, 1).unwrap();
    let rule = rule(|draft| {
        draft.lockout = seconds(600);
        draft.per_day = 24;
        draft.periods.push(night).unwrap();
    });
    let mut window = BolusWindow::default();
    let grant = ask_at(&window, &rule, 0, 1_380).unwrap();
    window.record(&grant);
    // Two hours later the clock is set back to 22:10: only ten minutes seem to have passed since 22:00.
    for (second, refused) in [(2 * HOUR, true), (8 * HOUR - 1, true), (8 * HOUR, false)] {
        let asked = ask_at(&window, &rule, second, 1_330);
        assert_eq!(asked.is_err(), refused, "{second}");
    }
    // Left alone, the clock shows 5:59 then, and the night goes on.
    assert!(ask_at(&window, &rule, 7 * HOUR - 60, 359).is_err());
}

#[test]
fn no_bolus_at_all_may_be_allowed_in_a_part_of_the_day() {
    let rule = rule(|draft| {
        draft
            .periods
            .push(PeriodCap::new(700, 730, 0).unwrap())
            .unwrap()
    });
    let window = BolusWindow::default();
    let remaining = Duration::from_minutes(10);
    assert_eq!(ask(&window, &rule, 0), Err(Denial::Period { remaining }));
    assert!(ask_at(&window, &rule, 0, 699).is_ok());
    assert!(ask_at(&window, &rule, 0, 730).is_ok());
}

/// A part of the day longer than 12 hours counts nothing of the day before.
#[test]
fn a_long_part_of_the_day_is_new_every_day() {
    let day = PeriodCap::new(360, 1_320, 1).unwrap();
    let rule = rule(|draft| {
        draft.lockout = seconds(600);
        draft.per_day = 24;
        draft.periods.push(day).unwrap();
    });
    let mut window = BolusWindow::default();
    // Given at 6:00:00, asked again at 21:59:59.
    let grant = ask_at(&window, &rule, 0, 360).unwrap();
    window.record(&grant);
    assert!(ask_at(&window, &rule, 16 * HOUR - 1, 1_319).is_err());
    window = BolusWindow::default();
    // Given at 21:59:59, asked again at 5:59 and 6:00.
    let grant = ask_at(&window, &rule, 16 * HOUR - 1, 1_319).unwrap();
    window.record(&grant);
    assert!(ask_at(&window, &rule, 24 * HOUR - 1, 359).is_ok());
    assert!(ask_at(&window, &rule, 24 * HOUR, 360).is_ok());
    assert!(
        ask_at(&window, &rule, 24 * HOUR - 2, 360).is_err(),
        "the clock runs ahead"
    );
}

#[test]
fn a_lost_powered_time_starts_one_lockout_and_no_more() {
    let rule = rule(|_| ());
    let mut window = BolusWindow::default();
    give(&mut window, &rule, 1_000_000);
    window.record_other(CountedBolus::Periodic, at(1_000_001), &morphine(7));
    window.restart_lockout(at(500));
    assert_eq!(ask(&window, &rule, 500), lockout(6 * HOUR));
    assert_eq!(ask(&window, &rule, 500 + 6 * HOUR).map(|_| ()), Ok(()));
    assert_eq!(
        window.nanograms(Drug::Morphine, at(500 + 24 * HOUR - 1)),
        250_007
    );
    assert_eq!(window.nanograms(Drug::Morphine, at(500 + 24 * HOUR)), 0);
}

/// One lockout after any programming \[S32\].
#[test]
fn programming_starts_a_lockout() {
    let rule = rule(|_| ());
    let mut window = BolusWindow::default();
    assert!(ask(&window, &rule, 0).is_ok());
    window.programmed(at(1_000));
    assert_eq!(ask(&window, &rule, 1_000), lockout(6 * HOUR));
    assert_eq!(ask(&window, &rule, 1_000 + 6 * HOUR - 1), lockout(1));
    // It outlives what is recorded in between, and an earlier one does not shorten it.
    window.record_other(CountedBolus::Periodic, at(2_000), &morphine(1));
    window.programmed(at(500));
    assert_eq!(ask(&window, &rule, 2_000), lockout(6 * HOUR - 1_000));
    give(&mut window, &rule, 1_000 + 6 * HOUR);
    window.record_other(CountedBolus::Periodic, at(1_000 + 24 * HOUR), &morphine(1));
    assert_eq!(window.locked_from, None, "forgotten");
}

#[test]
fn a_powered_time_that_stepped_back_only_prolongs() {
    let rule = rule(|_| ());
    let mut window = BolusWindow::default();
    give(&mut window, &rule, 100_060);
    assert_eq!(ask(&window, &rule, 100_000), lockout(6 * HOUR + 60));
    window.record_other(CountedBolus::Periodic, at(100_050), &morphine(1));
    window.record_other(CountedBolus::Periodic, at(100_000), &morphine(1));
    assert_eq!(window.other.last().unwrap().start, 100_050, "in order");
}

#[test]
fn a_grant_that_never_became_durable_is_taken_back() {
    let rule = rule(|_| ());
    let mut window = BolusWindow::default();
    give(&mut window, &rule, 0);
    let before = window.clone();
    let grant = ask(&window, &rule, 6 * HOUR).unwrap();
    window.record(&grant);
    assert!(ask(&window, &rule, 6 * HOUR).is_err());
    window.withdraw(&grant);
    assert_eq!(window, before);
    let other = Grant { minute: 1, ..grant };
    window.withdraw(&other);
    window.withdraw(&grant);
    assert_eq!(window, before, "it is not the newest");
}

// Reasons.

/// Requirement: TH-denials
#[test]
fn the_situation_is_told_in_the_order_of_its_fields() {
    let rule = rule(|_| ());
    let mut window = BolusWindow::default();
    give(&mut window, &rule, 0);
    let mut situation = Situation {
        not_in_use: true,
        stopped: true,
        alarm: true,
        self_test: true,
        refill_open: true,
        priming: true,
        bridging: true,
        mri_mode: true,
        reservoir_low: true,
        clock_lost: true,
        journal_failing: true,
        bolus_running: true,
    };
    let now = BolusTime {
        powered: at(1),
        minute_of_day: None,
    };
    type Clear = fn(&mut Situation);
    let orders: [(Clear, Denial); 12] = [
        (|it| it.not_in_use = false, Denial::NotInUse),
        (|it| it.stopped = false, Denial::Stopped),
        (|it| it.alarm = false, Denial::Alarm),
        (|it| it.self_test = false, Denial::SelfTest),
        (|it| it.refill_open = false, Denial::RefillOpen),
        (|it| it.priming = false, Denial::Priming),
        (|it| it.bridging = false, Denial::Bridging),
        (|it| it.mri_mode = false, Denial::MriMode),
        (|it| it.reservoir_low = false, Denial::ReservoirLow),
        (|it| it.clock_lost = false, Denial::ClockLost),
        (|it| it.journal_failing = false, Denial::JournalFailing),
        (|it| it.bolus_running = false, Denial::BolusRunning),
    ];
    let dose = morphine(250_000);
    for (clear, expected) in orders {
        let asked = window.request(&rule, now, &situation, Drug::Morphine, &dose);
        assert_eq!(asked, Err(expected));
        assert_eq!(expected.remaining(), None);
        clear(&mut situation);
    }
    // Then a time of day that is not there or is none, a dose above the rule, and at last the limits.
    let request = |minute_of_day, nanograms| {
        let now = BolusTime {
            minute_of_day,
            ..now
        };
        window.request(&rule, now, &FINE, Drug::Morphine, &morphine(nanograms))
    };
    assert_eq!(request(None, 250_001), Err(Denial::ClockLost));
    assert_eq!(request(Some(1_440), 250_001), Err(Denial::ClockLost));
    assert_eq!(request(Some(1_439), 250_001), Err(Denial::AboveRule));
    assert_eq!(request(Some(1_439), 250_000), lockout(6 * HOUR - 1));
}

/// The limit that lasts longest is told; of two that last equally the first.
///
/// Requirement: TH-denials
#[test]
fn the_limit_that_lasts_longest_is_told() {
    let rule = |lockout_hours, per_day, cap: Option<&str>, period: Option<(u16, u16)>| {
        rule(|draft| {
            draft.lockout = seconds(lockout_hours * HOUR);
            draft.per_day = per_day;
            draft.daily_cap = cap.map(mass);
            if let Some((from, to)) = period {
                draft
                    .periods
                    .push(PeriodCap::new(from, to, 1).unwrap())
                    .unwrap();
            }
        })
    };
    let mut window = BolusWindow::default();
    give(&mut window, &rule(6, 1, None, None), 0);
    let remaining = seconds(24 * HOUR);
    let hour = Duration::from_hours(1);
    for (rule, denial) in [
        (
            rule(24, 1, Some("0.25 mg"), None),
            Denial::Lockout { remaining },
        ),
        (
            rule(6, 1, Some("0.25 mg"), None),
            Denial::Number { remaining },
        ),
        (
            rule(6, 4, Some("0.25 mg"), None),
            Denial::Mass { remaining },
        ),
        (
            rule(6, 4, None, None),
            Denial::Lockout {
                remaining: hour.saturating_mul(6),
            },
        ),
        (
            rule(6, 4, None, Some((700, 1_140))),
            Denial::Period {
                remaining: hour.saturating_mul(7),
            },
        ),
        (
            rule(7, 4, None, Some((700, 1_140))),
            Denial::Lockout {
                remaining: hour.saturating_mul(7),
            },
        ),
    ] {
        assert_eq!(ask(&window, &rule, 0), Err(denial));
    }
}

#[test]
fn denials_are_sentences_for_a_patient() {
    let remaining = |micros| Denial::Lockout {
        remaining: Duration::from_micros(micros),
    };
    let early = "It is too early for the next bolus. The next one is possible in ";
    for (micros, text) in [
        (1, "1 min."),
        (60_000_000, "1 min."),
        (60_000_001, "2 min."),
        (3_540_000_001, "1 h."),
        (3_600_000_001, "1 h 1 min."),
        (86_400_000_000, "24 h."),
    ] {
        assert_eq!(remaining(micros).to_string(), String::from(early) + text);
    }
    let hour = Duration::from_hours(1);
    for denial in [
        Denial::NotInUse,
        Denial::Stopped,
        Denial::Alarm,
        Denial::SelfTest,
        Denial::RefillOpen,
        Denial::Priming,
        Denial::Bridging,
        Denial::MriMode,
        Denial::ReservoirLow,
        Denial::ClockLost,
        Denial::JournalFailing,
        Denial::BolusRunning,
        Denial::AboveRule,
        Denial::Lockout { remaining: hour },
        Denial::Number { remaining: hour },
        Denial::Mass { remaining: hour },
        Denial::Period { remaining: hour },
    ] {
        let text = denial.to_string();
        assert!(text.ends_with('.'), "{text}");
        assert_eq!(
            text.contains(" possible in 1 h."),
            denial.remaining().is_some()
        );
        let bytes = written(&denial);
        assert!(bytes.len() <= 6, "logged small");
        assert_eq!(read(&bytes), Ok(denial));
    }
}

/// Clinical reference 4.3, row 1.4.12.
///
/// Requirement: TH-denials
#[test]
fn the_third_denial_within_a_day_raises_the_alarm() {
    let mut denied = DeniedRequests::default();
    let mut alarm = |second| denied.denied(at(second));
    assert!(!alarm(0));
    assert!(!alarm(1_000));
    assert!(!alarm(86_400), "a day after the first");
    assert!(alarm(87_399));
    assert!(!alarm(200_000));
    assert!(!alarm(200_001));
    assert!(alarm(200_002));
    assert!(alarm(200_003), "at least three");
    let bytes = written(&DeniedRequests {
        last: (Some(u32::MAX), Some(u32::MAX)),
    });
    assert_eq!(bytes.len(), 12);
    assert_eq!(read(&written(&denied)), Ok(denied));
}

// Requests that come twice.

/// Requirement: AC-8, R-20, R-21
#[test]
fn the_same_request_a_thousand_times_gives_one_bolus() {
    let rule = rule(|draft| (draft.lockout, draft.per_day) = (seconds(600), 24));
    let mut numbers = RequestNumbers::default();
    let mut window = BolusWindow::default();
    let mut boluses = 0;
    for attempt in 0..1_000_u32 {
        // An hour apart: no limit stands in the way of a second one.
        let now = attempt * HOUR;
        match numbers.look_up(3, 77) {
            RequestNumber::New => {
                let grant = ask(&window, &rule, now).unwrap();
                window.record(&grant);
                numbers.decided(3, 77, RequestOutcome::Granted { job: 5 });
                boluses += 1;
            }
            outcome => assert_eq!(
                outcome,
                RequestNumber::Already(RequestOutcome::Granted { job: 5 })
            ),
        }
        // A reset: only what was written is left.
        numbers = read(&written(&numbers)).unwrap();
        window = read(&written(&window)).unwrap();
    }
    assert_eq!(boluses, 1);
}

#[test]
fn every_key_has_its_numbers() {
    let granted = |job| RequestOutcome::Granted { job };
    let mut numbers = RequestNumbers::default();
    assert_eq!(numbers.look_up(0, 0), RequestNumber::New);
    numbers.decided(0, 10, granted(1));
    numbers.decided(1, 5, RequestOutcome::Denied);
    for (slot, number, expected) in [
        (0, 9, RequestNumber::Refused),
        (0, 10, RequestNumber::Already(granted(1))),
        (0, 11, RequestNumber::New),
        (1, 4, RequestNumber::Refused),
        (1, 5, RequestNumber::Already(RequestOutcome::Denied)),
        (1, 6, RequestNumber::New),
        (7, 0, RequestNumber::New),
        (8, 0, RequestNumber::Refused),
        (255, 0, RequestNumber::Refused),
    ] {
        assert_eq!(numbers.look_up(slot, number), expected, "{slot} {number}");
    }
    // What is not new is not decided again.
    for number in [9, 10] {
        numbers.decided(0, number, RequestOutcome::Denied);
    }
    numbers.decided(8, 1, RequestOutcome::Denied);
    assert_eq!(numbers.look_up(0, 10), RequestNumber::Already(granted(1)));
    numbers.new_key(0);
    numbers.new_key(8);
    assert_eq!(numbers.look_up(0, 1), RequestNumber::New);
    assert_eq!(numbers.look_up(1, 4), RequestNumber::Refused);
    let full = RequestNumbers([Some((u32::MAX, granted(u32::MAX))); KEY_SLOTS]);
    assert_eq!(written(&full).len(), 96);
    assert_eq!(read(&written(&full)), Ok(full));
}

/// Clinical reference 4.5, row 23: one request for one press; held 60 s raises an alarm and gives no second bolus.
///
#[test]
fn a_line_that_is_held_asks_once() {
    let mut line = RequestLine::default();
    let mut level = |pressed, second| line.level(pressed, PumpTime::from_micros(second * SECOND));
    // Held when power comes: nobody has pressed.
    assert_eq!(level(true, 0), None);
    assert_eq!(level(true, 59), None);
    assert_eq!(level(true, 60), Some(LineEvent::Stuck));
    assert_eq!(level(false, 61), None);
    assert_eq!(level(false, 62), None);
    assert_eq!(level(true, 63), Some(LineEvent::Request));
    assert_eq!(level(true, 122), None);
    assert_eq!(level(true, 123), Some(LineEvent::Stuck));
    assert_eq!(level(true, 200), None, "once");
    assert_eq!(level(false, 201), None);
    assert_eq!(level(true, 202), Some(LineEvent::Request));
    assert_eq!(level(false, 203), None);
}

// The ledger when it is full, and as it is written.

/// A dose of `count` drugs near the most of any day, different for every `seed`.
fn heavy(count: usize, seed: u32) -> DrugMasses {
    let mut masses = DrugMasses::default();
    for drug in Drug::ALL.into_iter().take(count) {
        masses.add(drug, 200_000_000 + seed);
    }
    masses
}

#[test]
fn the_largest_window_fits_a_record() {
    // 24 of the patient over a day, 28 others with every way to spread them, six doses of four drugs, after 130 years.
    let mut window = BolusWindow::default();
    let start = u32::MAX - 2 * DAY_SECONDS;
    window.programmed(at(start));
    for number in 0..24 {
        let grant = Grant {
            start: start + number * 3_599,
            minute: 1_439,
            masses: heavy(4, number % 3),
        };
        window.record(&grant);
    }
    for number in 0..28 {
        let at = at(start + number * 3_085);
        window.record_other(CountedBolus::Clinician, at, &heavy(4, 3 + number % 3));
    }
    assert_eq!((window.patient.len(), window.other.len()), (24, 28));
    let bytes = written(&window);
    // Newest 5, lock 6, patient 1 + 24 x 4, others 1 + 28 x 3 (the newest takes 2), doses 1 + 6 x 21.
    assert_eq!(bytes.len(), 319);
    assert_eq!(read(&bytes), Ok(window.clone()));
    // No value at all makes it larger: a day has room for 5 times of three bytes in each list, only the last dose can be of more than
    // four drugs, a mass takes five bytes at most. A value of state holds 400 (docs/journal.md).
    let doses = 1 + 5 * (1 + 4 * 6) + (1 + 8 * 6);
    let largest = 5 + 6 + (1 + 24 * 4 + 5) + (1 + 28 * 3 + 5) + doses;
    assert_eq!(largest, 378);
}

#[test]
fn the_window_is_small_in_memory() {
    assert!(
        size_of::<BolusWindow>() <= 640,
        "{}",
        size_of::<BolusWindow>()
    );
}

#[test]
fn a_foreign_window_is_refused() {
    let dose = [1_u8, 0, 1];
    let window = |patient: &[u8], other: &[u8]| {
        let bytes = [&[10, 0], patient, other, &[1], &dose].concat();
        read::<BolusWindow>(&bytes)
    };
    // Tags: minute x 8 + place, clinicians x 8 + place.
    assert!(window(&[0], &[0]).is_ok());
    assert!(
        window(&[1, 10, 0x80, 0x5A], &[1, 10, 0x78]).is_ok(),
        "minute 1440, 15 clinicians"
    );
    assert!(window(&[1, 11, 0], &[0]).is_err(), "before the beginning");
    assert!(window(&[0], &[1, 11, 0]).is_err());
    assert!(window(&[1, 0, 1], &[0]).is_err(), "no such dose");
    assert!(window(&[0], &[1, 0, 1]).is_err());
    assert!(window(&[1, 0, 0x88, 0x5A], &[0]).is_err(), "minute 1441");
    assert!(window(&[0], &[1, 0, 0x80, 0x01]).is_err(), "16 clinicians");
    assert!(ForeignWindow.to_string().contains("contradicts"));
}

/// Requirement: TH-ledger
#[test]
fn a_full_ledger_joins_the_oldest() {
    let mut window = BolusWindow::default();
    for number in 0..30 {
        window.record_other(CountedBolus::Clinician, at(number * 10), &morphine(100));
    }
    assert_eq!(window.other.len(), OTHER_ENTRIES);
    assert_eq!(
        window.nanograms(Drug::Morphine, at(300)),
        3_000,
        "none is lost"
    );
    assert_eq!(
        window.other.first().unwrap().start,
        20,
        "the later time is kept"
    );
    assert_eq!(window.other.first().unwrap().clinician, 3);
    assert!(window.clinician_left(30, DAY, at(300)).is_some());
    assert!(window.clinician_left(31, DAY, at(300)).is_none());
    for number in 30..50 {
        window.record_other(CountedBolus::Clinician, at(number * 10), &morphine(100));
    }
    assert_eq!(
        window.other.first().unwrap().clinician,
        MOST_CLINICIAN_COUNT
    );
    for number in 0..26 {
        let grant = Grant {
            start: 500 + number * 10,
            minute: u16::try_from(number).unwrap(),
            masses: morphine(200),
        };
        window.record(&grant);
    }
    assert_eq!(window.number(at(800)), 24);
    assert_eq!(window.nanograms(Drug::Morphine, at(800)), 5_000 + 26 * 200);
    assert_eq!(window.patient.first().unwrap().minute, ANY_MINUTE);
    assert_eq!(read(&written(&window)), Ok(window));
}

#[test]
fn more_doses_than_there_is_room_for_never_count_less() {
    let mut window = BolusWindow::default();
    let mut sum = 0;
    for number in 1..=20 {
        // Larger and smaller ones in turn.
        let nanograms = 100 * (number * 7 % 20 + 1);
        sum += u64::from(nanograms);
        window.record_other(CountedBolus::Periodic, at(number), &morphine(nanograms));
        assert!(window.nanograms(Drug::Morphine, at(number)) >= sum);
    }
    // Places are free again when what names them has left.
    window.record_other(CountedBolus::Periodic, at(2 * DAY_SECONDS), &morphine(7));
    assert_eq!(window.nanograms(Drug::Morphine, at(2 * DAY_SECONDS)), 7);
    for number in 1..=5 {
        let at = at(2 * DAY_SECONDS + number);
        window.record_other(CountedBolus::Periodic, at, &morphine(number));
    }
    let now = at(2 * DAY_SECONDS + 5);
    assert_eq!(window.nanograms(Drug::Morphine, now), 7 + 15, "exact");
}

// A million requests against somebody who keeps everything.

/// What was given: all of the last two days, exact.
struct Given {
    /// Powered microseconds.
    start: u64,
    /// Of the patient.
    patient: bool,
    /// Minute of the local day.
    minute: u16,
    /// How often the clock had been set.
    clock: u32,
    /// Local days, as the clock showed them.
    day: i64,
    nanograms: u64,
}

struct Oracle {
    micros: u64,
    /// Local clock less powered time, in minutes.
    offset: i64,
    clock: u32,
    locked_from: Option<u64>,
    given: VecDeque<Given>,
}

const DAY_MICROS: u64 = 86_400_000_000;

impl Oracle {
    fn local_minutes(&self) -> i64 {
        i64::try_from(self.micros / 60_000_000).unwrap() + self.offset
    }

    fn minute(&self) -> u16 {
        u16::try_from(self.local_minutes().rem_euclid(1_440)).unwrap()
    }

    /// The number of an occurrence of a part of the day: the day it began.
    fn occurrence(local_minutes: i64, cap: PeriodCap) -> i64 {
        (local_minutes - i64::from(cap.from)).div_euclid(1_440)
    }

    fn within(&self, micros: u64) -> impl Iterator<Item = &Given> {
        let now = self.micros;
        self.given
            .iter()
            .rev()
            .take_while(move |given| now - given.start < micros)
    }

    fn give(&mut self, patient: bool, nanograms: u64) {
        while self
            .given
            .front()
            .is_some_and(|given| self.micros - given.start > DAY_MICROS)
        {
            self.given.pop_front();
        }
        self.given.push_back(Given {
            start: self.micros,
            patient,
            minute: self.minute(),
            clock: self.clock,
            day: self.local_minutes(),
            nanograms,
        });
    }

    /// Nothing that the rule forbids: by the exact times and masses of everything.
    fn allows(&self, rule: &PatientBolusRule) {
        let lockout = rule.lockout().micros();
        let last = self.given.iter().rev().find(|given| given.patient);
        if let Some(start) = last.map(|given| given.start).max(self.locked_from) {
            assert!(self.micros - start >= lockout, "lockout");
        }
        let number = self
            .within(DAY_MICROS)
            .filter(|given| given.patient)
            .count();
        assert!(number < usize::from(rule.per_day), "number");
        if let Some(cap) = rule.daily_cap_nanograms {
            let sum: u64 = self.within(DAY_MICROS).map(|given| given.nanograms).sum();
            assert!(
                sum + u64::from(rule.dose_nanograms) <= u64::from(cap),
                "mass"
            );
        }
        let (minute, now) = (self.minute(), self.local_minutes());
        for &cap in rule.periods() {
            if !cap.contains(minute) {
                continue;
            }
            let most = usize::from(cap.most);
            let in_it = |given: &&Given| given.patient && cap.contains(given.minute);
            let this_time = self
                .within(DAY_MICROS)
                .filter(in_it)
                .filter(|given| given.clock == self.clock)
                .filter(|given| Self::occurrence(given.day, cap) == Self::occurrence(now, cap));
            assert!(this_time.count() < most, "in this occurrence");
            let length = u64::from(cap.minutes());
            let rolling = length.min(1_440 - length) * 60_000_000;
            assert!(
                self.within(rolling).filter(in_it).count() < most,
                "whatever the clock"
            );
        }
    }

    /// The reason is a true one, to the second by which starts are rounded. Not for masses where doses were joined.
    fn denies(&self, rule: &PatientBolusRule, denial: Denial, exact_masses: bool) {
        let second = 1_000_000;
        let patient = |given: &&Given| given.patient;
        match denial {
            Denial::Lockout { .. } => {
                let last = self
                    .given
                    .iter()
                    .rev()
                    .find(patient)
                    .map(|given| given.start);
                let from = last.max(self.locked_from).unwrap();
                assert!(self.micros < from + rule.lockout().micros() + second);
            }
            Denial::Number { .. } => {
                let number = self.within(DAY_MICROS + second).filter(patient).count();
                assert!(number >= usize::from(rule.per_day));
            }
            Denial::Mass { .. } => {
                let sum: u64 = self
                    .within(DAY_MICROS + second)
                    .map(|given| given.nanograms)
                    .sum();
                let cap = u64::from(rule.daily_cap_nanograms.unwrap());
                assert!(!exact_masses || sum + u64::from(rule.dose_nanograms) > cap);
            }
            Denial::Period { .. } => {
                let full = rule.periods().iter().any(|cap| {
                    let in_it = |given: &&Given| given.patient && cap.contains(given.minute);
                    cap.contains(self.minute())
                        && self.within(DAY_MICROS).filter(in_it).count() >= usize::from(cap.most)
                });
                assert!(full);
            }
            denial => panic!("{denial:?}"),
        }
    }
}

fn random_rule(rng: &mut TestRng, doses: u32) -> PatientBolusRule {
    let minutes = [600, 1_800, 3_600, 7_200, 21_600, 28_800, 86_400];
    let mut draft = draft();
    draft.duration = seconds(60);
    draft.dose = Mass::from_nanograms(u64::from(1_000 * rng.random_range(1..=doses)));
    draft.lockout = seconds(minutes[rng.random_range(0..minutes.len())]);
    draft.per_day = rng.random_range(1..=24);
    if rng.random_range(0..2) == 0 {
        let times = rng.random_range(1..=30);
        draft.daily_cap = draft.dose.checked_mul(times);
    }
    for _ in 0..rng.random_range(0..=2) {
        let (from, to) = (rng.random_range(0..1_440), rng.random_range(0..1_440));
        if let Ok(cap) = PeriodCap::new(from, to, rng.random_range(0..=4)) {
            draft.periods.push(cap).unwrap();
        }
    }
    PatientBolusRule::new(&draft).unwrap()
}

/// `requests` requests with resets, clock changes, commits and other boluses in between; how many were granted.
fn run(seed: u8, requests: u32, doses: u32) -> (u32, [u32; 4]) {
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut oracle = Oracle {
        micros: 0,
        offset: 0,
        clock: 0,
        locked_from: None,
        given: VecDeque::new(),
    };
    let mut window = BolusWindow::default();
    let mut rule = random_rule(&mut rng, doses);
    let (mut granted, mut denied) = (0, [0; 4]);
    for _ in 0..requests {
        let micros = match rng.random_range(0..8) {
            0 => 0,
            1..=3 => rng.random_range(1..600_000_000),
            4..=6 => rng.random_range(0..4_000) * 1_000_000,
            _ => rng.random_range(0..30_000_000_000),
        };
        oracle.micros += micros;
        let powered = PoweredTime::from_micros(oracle.micros);
        match rng.random_range(0..100) {
            // A reset: what was written comes back.
            0..=2 => {
                let mut buffer = [0; 512];
                let bytes = postcard::to_slice(&window, &mut buffer).unwrap();
                let read: BolusWindow = postcard::from_bytes(bytes).unwrap();
                assert_eq!(read, window);
                window = read;
            }
            // The clock is set, by up to a day.
            3..=5 => {
                oracle.offset += rng.random_range(-1_440..=1_440);
                oracle.clock += 1;
            }
            // A commit of another rule, with its lockout.
            6 => {
                rule = random_rule(&mut rng, doses);
                window.programmed(powered);
                oracle.locked_from = Some(oracle.micros);
            }
            // A commit without one.
            7 => rule = random_rule(&mut rng, doses),
            8 => {
                window.restart_lockout(powered);
                oracle.locked_from = Some(oracle.micros);
            }
            9..=14 => {
                let nanograms = 1_000 * rng.random_range(1..=doses);
                window.record_other(CountedBolus::Periodic, powered, &morphine(nanograms));
                oracle.give(false, u64::from(nanograms));
            }
            _ => {}
        }
        let now = BolusTime {
            powered,
            minute_of_day: Some(oracle.minute()),
        };
        let masses = morphine(rule.dose_nanograms);
        match window.request(&rule, now, &FINE, Drug::Morphine, &masses) {
            Ok(grant) => {
                oracle.allows(&rule);
                oracle.give(true, u64::from(rule.dose_nanograms));
                window.record(&grant);
                granted += 1;
            }
            Err(denial) => {
                oracle.denies(&rule, denial, doses <= 3);
                let kind = match denial {
                    Denial::Lockout { .. } => 0,
                    Denial::Number { .. } => 1,
                    Denial::Mass { .. } => 2,
                    _ => 3,
                };
                denied[kind] += 1;
            }
        }
    }
    (granted, denied)
}

/// A million requests: no violation, and no refusal without a reason. Three doses never fill the places; twenty do.
///
/// Requirement: AC-9
#[test]
fn a_million_random_requests_violate_nothing() {
    for (seed, doses) in [(1, 3), (2, 20)] {
        let (granted, denied) = run(seed, 500_000, doses);
        assert!(granted > 20_000, "{granted}");
        assert!(denied.iter().all(|&count| count > 5_000), "{denied:?}");
    }
}

proptest! {
    #![proptest_config(Config::with_cases(300))]

    /// Whatever is entered, in whatever order of times, is never counted less and reads back as it was.
    ///
    /// Requirement: TH-ledger
    #[test]
    fn a_ledger_never_counts_less(entries in prop::collection::vec((0_u32..100_000, any::<bool>(), 0_u32..40), 0..120)) {
        let mut window = BolusWindow::default();
        let mut given = vec![];
        let mut newest = 0;
        for (second, patient, nanograms) in entries {
            // Times may step back by what a reset loses.
            let second = second.max(newest - newest.min(60));
            newest = newest.max(second);
            if patient {
                window.record(&Grant { start: second, minute: 0, masses: morphine(nanograms) });
            } else {
                window.record_other(CountedBolus::Periodic, at(second), &morphine(nanograms));
            }
            given.push((second, u64::from(nanograms)));
            let counted = window.nanograms(Drug::Morphine, at(second));
            // What has once left the window has left it, although the time has stepped back since.
            given.retain(|&(start, _)| start + DAY_SECONDS > second);
            let exact: u64 = given.iter().map(|&(_, mass)| mass).sum();
            prop_assert!(counted >= exact);
            let bytes = written(&window);
            prop_assert_eq!(read::<BolusWindow>(&bytes), Ok(window.clone()));
        }
    }

    /// Any bytes are read as a window that contradicts nothing, or refused.
    #[test]
    fn any_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(window) = read::<BolusWindow>(&bytes) {
            prop_assert_eq!(read::<BolusWindow>(&written(&window)), Ok(window));
        }
        let _ = read::<PatientBolusRule>(&bytes);
        let _ = read::<RequestNumbers>(&bytes);
    }
}

#[test]
fn the_random_requests_are_the_same_every_time() {
    assert_eq!(run(9, 2_000, 3), run(9, 2_000, 3));
}
