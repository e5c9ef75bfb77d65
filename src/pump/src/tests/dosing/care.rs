//! Alarms, tones, MRI mode, the diary.

use super::*;
use protocol::order::{AlarmIntervals, DiaryEntry};
use therapy::Sound;

impl Bench {
    fn tones(&self) -> usize {
        self.actions
            .iter()
            .filter(|action| matches!(action, Action::Tone(_)))
            .count()
    }

    /// With a critical alarm whose cause has gone: a refill that was confirmed too late.
    fn alarmed() -> Self {
        let mut bench = Self::fresh();
        bench.program(&morphine());
        bench.ask(Command::EmergencyMinimumRate);
        bench.run(Duration::from_seconds(1));
        bench
    }
}

/// Requirement: AC-19
#[test]
fn a_critical_alarm_sounds_within_five_seconds_and_every_ten_minutes() {
    let mut bench = Bench::fresh();
    bench.program(&morphine());
    bench.ask(Command::EmergencyMinimumRate);
    bench.run(Duration::from_seconds(5));
    assert!(bench.actions.contains(&Action::Tone(Sound::TwoTone)));
    let alarm = AlarmKind::EmergencyMinimumRate;
    assert!(bench.log().contains(&&Record::AlarmSounded { alarm }));
    let before = bench.tones();
    bench.run(Duration::from_hours(1));
    assert_eq!(bench.tones() - before, 6);
    // Told once, however often it sounds.
    let told = bench
        .log()
        .into_iter()
        .filter(|record| **record == Record::AlarmSounded { alarm })
        .count();
    assert_eq!(told, 1);
}

/// Requirement: AC-19, TH-alarm-table
#[test]
fn what_is_present_is_acknowledged_and_not_silent() {
    let mut bench = Bench::alarmed();
    let alarm = AlarmKind::EmergencyMinimumRate;
    assert_eq!(
        bench.ask(Command::AcknowledgeAlarm { alarm }),
        Some(Outcome::Done)
    );
    assert!(bench.log().contains(&&Record::AlarmAcknowledged { alarm }));
    let before = bench.tones();
    bench.run(Duration::from_hours(1));
    assert!(bench.tones() > before);
    assert_eq!(
        refused(bench.ask(Command::AcknowledgeAlarm {
            alarm: AlarmKind::MotorStall
        })),
        Refused::NotNow {
            why: NotNow::NoAlarm
        }
    );
    assert_eq!(
        refused(bench.ask(Command::SilenceAlarm { alarm })),
        Refused::KindForbids {
            kind: PumpKind::ProgrammableImplant
        }
    );
    // Its cause gone and acknowledged before: over.
    bench.program(&morphine_at(10_000_000, 5_000_000));
    assert!(!bench.has_alarm(alarm));
    assert!(bench.log().contains(&&Record::AlarmOff { alarm }));
}

/// Requirement: AC-19
#[test]
fn an_alarm_that_is_not_acknowledged_sounds_on_over_its_cause_and_a_reset() {
    let mut bench = Bench::alarmed();
    bench.program(&morphine_at(10_000_000, 5_000_000));
    let alarm = AlarmKind::EmergencyMinimumRate;
    assert!(bench.alarms().contains(&(alarm, false)));
    let mut bench = bench.power_cut();
    bench.run(Duration::from_seconds(5));
    assert!(bench.alarms().contains(&(alarm, false)));
    assert!(bench.tones() > 0);
    // What was not recorded was not acknowledged.
    bench.journal = Journal::Fails;
    assert_eq!(
        refused(bench.ask(Command::AcknowledgeAlarm { alarm })),
        Refused::NotDone
    );
    assert!(bench.log().contains(&&Record::AlarmOn {
        alarm: AlarmKind::MemoryRepaired
    }));
}

/// Requirement: AC-19
#[test]
fn intervals_are_set_within_their_ranges() {
    let mut bench = Bench::alarmed();
    let intervals = |critical_min, other_min| {
        Command::SetAlarmIntervals(AlarmIntervals {
            critical_min,
            other_min,
        })
    };
    for (critical, other, field) in [
        (9, 60, Field::CriticalIntervalMinutes),
        (121, 60, Field::CriticalIntervalMinutes),
        (10, 59, Field::OtherIntervalMinutes),
        (10, 1_441, Field::OtherIntervalMinutes),
    ] {
        match refused(bench.ask(intervals(critical, other))) {
            Refused::OutOfRange { field: of, .. } => assert_eq!(of, field),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bench.ask(intervals(120, 1_440)), Some(Outcome::Done));
    let before = bench.tones();
    bench.run(Duration::from_hours(4));
    assert_eq!(bench.tones() - before, 2);
    let mut bench = bench.power_cut();
    bench.run(Duration::from_seconds(10));
    let before = bench.tones();
    bench.run(Duration::from_hours(4));
    assert_eq!(bench.tones() - before, 2, "kept");
}

/// Requirement: TH-mri
#[test]
fn mri_mode_defers_tones_goes_on_delivering_and_ends_by_itself() {
    let mut bench = Bench::on_monday();
    bench.program(&morphine());
    assert_eq!(
        refused(bench.ask(Command::MriMode { minutes: 121 })),
        Refused::OutOfRange {
            field: Field::MriMinutes,
            value: 121,
            lowest: 0,
            highest: 120
        }
    );
    bench.ask(Command::MriMode { minutes: 60 });
    bench.jam(true);
    let before = bench.tones();
    bench.run(Duration::from_minutes(55));
    assert!(bench.has_alarm(AlarmKind::MotorStall));
    assert_eq!(bench.tones(), before, "deferred");
    bench.run(Duration::from_minutes(6));
    assert!(bench.tones() > before);
    assert_eq!(bench.therapy().mri_left_s, None);

    let mut bench = Bench::on_monday();
    bench.program(&morphine());
    bench.ask(Command::MriMode { minutes: 60 });
    let mut bench = bench.power_cut();
    assert!(bench.therapy().mri_left_s.is_some(), "over a reset");
    bench.run(Duration::from_minutes(62));
    assert_eq!(bench.therapy().mri_left_s, None);
    assert!(bench.log().contains(&&Record::MriMode { on: false }));
    assert_eq!(bench.status().flow_nl_per_day, 500_000);
}

#[test]
fn a_test_tone_sounds_and_changes_nothing() {
    let mut bench = Bench::fresh();
    for (critical, sound) in [(true, Sound::TwoTone), (false, Sound::SingleTone)] {
        let before = bench.actions.len();
        assert_eq!(
            bench.ask(Command::TestTone { critical }),
            Some(Outcome::Done)
        );
        assert!(bench.actions[before..].contains(&Action::Tone(sound)));
    }
    assert_eq!(bench.alarms(), []);
}

/// Requirement: TH-trial-verdict
#[test]
fn the_diary_of_a_trial_gives_a_verdict_that_a_reset_keeps() {
    let entry = |baseline, score| Command::DiaryEntry(DiaryEntry { baseline, score });
    assert_eq!(
        refused(Bench::fresh().ask(entry(true, 8))),
        Refused::NotNow {
            why: NotNow::NoTrial
        }
    );
    let mut bench = super::programs::of_kind(PumpKind::ExternalTrial);
    assert!(matches!(
        refused(bench.ask(entry(true, 11))),
        Refused::OutOfRange {
            field: Field::Score,
            highest: 10,
            ..
        }
    ));
    for (baseline, score) in [(true, 8), (true, 8), (false, 4)] {
        assert_eq!(bench.ask(entry(baseline, score)), Some(Outcome::Done));
    }
    let mut bench = bench.power_cut();
    let trial = bench.therapy().trial.expect("a trial");
    assert_eq!(
        (trial.verdict, trial.baseline_scores, trial.trial_scores),
        (Some(true), 2, 1)
    );
}

/// Requirement: AC-17, TH-what-binds
#[test]
fn the_clock_and_the_battery_are_looked_after() {
    let mut bench = Bench::on_monday();
    bench.program(&morphine());
    let dates = bench.therapy().refill.expect("dates");
    // 18 mL to the low mark at 0.5 mL/day: 36 days.
    assert_eq!(dates.alarm_in_s, Some(36 * 86_400));
    assert!(dates.basal_only_day.is_some());
    for hour in 0..72 {
        bench.tell(Event::Supply {
            millivolts: if hour < 24 { 3_000 } else { 2_590 },
        });
        bench.run(Duration::from_hours(1));
    }
    bench.tell(Event::Supply { millivolts: 2_590 });
    assert!(
        bench
            .log()
            .iter()
            .any(|record| matches!(record, Record::Battery { millivolts: 3_000 }))
    );
}
