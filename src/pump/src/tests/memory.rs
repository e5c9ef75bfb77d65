//! What the pump remembers over a reset, and what it does when its memory fails.

use super::*;
use crate::record::RepairsRecord;
use crate::{
    COUNTERS_INTERVAL, Counters, RETAINED_BYTES, Retained, SCRUB_INTERVAL, StorageReport,
    TotalsSource,
};
use units::{Clock, WallTime};

pub(super) const MONDAY: WallTime = WallTime::from_millis(1_767_607_200_000);

pub(super) fn set_clock(wall: WallTime, uncertainty: Duration) -> Command {
    Command::SetClock(SetClock {
        wall,
        uncertainty,
        reason: None,
    })
}

impl Bench {
    /// A reset of the processor that keeps power: flash and retained memory stay.
    pub(super) fn reset(self, cause: ResetCause) -> Self {
        let mut buffer = [0; RETAINED_BYTES];
        let retained = self.pump.retained();
        let bytes = retained.encode(&mut buffer).unwrap();
        let start = Start {
            cause,
            retained: Retained::decode(bytes),
        };
        Self::started(self.flash(), start)
    }

    fn boot_record(&self) -> (TotalsSource, i64, u64) {
        match self.log()[0] {
            Record::Boot {
                totals,
                counted_steps,
                at_most_steps,
                ..
            } => (*totals, *counted_steps, *at_most_steps),
            other => panic!("{other:?}"),
        }
    }
}

/// Between two calls too: what was handed to the motor by then is all it can have made.
#[test]
fn after_a_reset_the_totals_are_an_interval_that_holds_the_truth() {
    for (program, most) in [(baclofen(), 80), (fastest(), 14_000)] {
        for after_us in [
            1,
            999_999,
            30_000_000,
            59_999_999,
            3_600_123_456,
            36_047_000_000,
        ] {
            let mut bench = Bench::fresh();
            bench.program(&program);
            // Not a call of the pump at the end: the reset comes between two.
            bench.run(Duration::from_micros(after_us / 2));
            let end = bench.now + after_us / 2;
            while bench.next_call < end {
                bench.now = bench.next_call;
                let motor = bench.motor();
                bench.event(Event::Tick(motor));
            }
            bench.now = end;
            let truth = bench.made();
            let bench = bench.reset(ResetCause::Watchdog);
            let (source, counted, at_most) = bench.boot_record();
            assert_eq!(source, TotalsSource::Retained);
            assert!(
                counted as u64 <= truth && truth <= at_most,
                "{counted} <= {truth} <= {at_most} of {program:?} after {after_us} us"
            );
            assert!(at_most - counted as u64 <= most, "{counted} to {at_most}");
        }
    }
}

#[test]
fn what_is_retained_counts_only_if_power_was_there_and_it_is_newer_than_the_checkpoint() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    bench.run(Duration::from_hours(1));
    let retained = bench.pump.retained();
    let flash = bench.flash();
    let source = |cause, retained, flash: &Recovered| {
        let start = Start { cause, retained };
        Bench::started(flash.clone(), start).boot_record().0
    };
    for cause in [
        ResetCause::External,
        ResetCause::Fatal { reason: 3 },
        ResetCause::Watchdog,
        ResetCause::BrownOut,
        ResetCause::Software,
    ] {
        assert_eq!(
            source(cause, Some(retained), &flash),
            TotalsSource::Retained
        );
        assert_eq!(source(cause, None, &flash), TotalsSource::Checkpoint);
    }
    assert_eq!(
        source(ResetCause::PowerOn, Some(retained), &flash),
        TotalsSource::Checkpoint
    );
    // Of a later boot than this one, or older than the checkpoint: not of this pump's last hour.
    let with_boot = |boot| Some(Retained { boot, ..retained });
    assert_eq!(
        source(ResetCause::Watchdog, with_boot(3), &flash),
        TotalsSource::Checkpoint
    );
    // A flash that takes nothing any more gives every boot the same number.
    assert_eq!(
        source(ResetCause::Watchdog, with_boot(2), &flash),
        TotalsSource::Retained
    );
    let mut older = retained;
    older.totals.at_most_steps = 5;
    assert_eq!(
        source(ResetCause::Watchdog, Some(older), &flash),
        TotalsSource::Checkpoint
    );
    // Flash that cannot be read at all does not take away what RAM has kept.
    let start = Start {
        cause: ResetCause::Watchdog,
        retained: Some(retained),
    };
    let bench = Bench::started(Recovered::without_flash(), start);
    assert_eq!(bench.boot_record().0, TotalsSource::Retained);
}

#[test]
fn a_hundred_resets_in_a_row_never_forget_a_step() {
    let mut bench = Bench::fresh();
    bench.program(&fastest());
    let mut truth = 0;
    for number in 0..100_u64 {
        bench.run(Duration::from_micros(number * 70_001));
        truth += bench.made();
        bench = bench.reset(ResetCause::Software);
        let (_, counted, at_most) = bench.boot_record();
        assert!(counted as u64 <= truth && truth <= at_most);
    }
}

#[test]
fn powered_time_goes_on_over_resets_and_never_counts_time_without_power() {
    let mut bench = Bench::fresh();
    bench.run(Duration::from_seconds(3_630));
    let mut bench = bench.reset(ResetCause::Software);
    bench.run(Duration::from_seconds(90));
    assert_eq!(bench.status().powered_s, 3_720);
    let mut bench = bench.power_cut();
    // As of the last checkpoint: at 60 s of the second boot.
    assert_eq!(bench.status().powered_s, 3_690);
    bench.run(Duration::from_seconds(10));
    assert_eq!(bench.status().powered_s, 3_700);
}

#[test]
fn the_clock_is_set_within_its_limits_and_told_to_the_log() {
    let mut bench = Bench::fresh();
    assert_eq!(bench.status().clock, Clock::Lost);
    let two = Duration::from_seconds(2);
    let set = |bench: &mut Bench, wall, uncertainty| bench.ask(set_clock(wall, uncertainty));
    for millis in [1_577_836_799_999, 4_102_444_800_000, 0, u64::MAX] {
        assert_eq!(
            set(&mut bench, WallTime::from_millis(millis), two),
            Some(Outcome::Refused(Refused::OutOfRange {
                field: protocol::Field::WallMilliseconds,
                value: millis,
                lowest: 1_577_836_800_000,
                highest: 4_102_444_799_999,
            }))
        );
    }
    assert_eq!(
        set(&mut bench, MONDAY, Duration::from_micros(1_800_000_001)),
        Some(Outcome::Refused(Refused::OutOfRange {
            field: protocol::Field::UncertaintyMicroseconds,
            value: 1_800_000_001,
            lowest: 0,
            highest: 1_800_000_000,
        }))
    );
    assert_eq!(bench.status().clock, Clock::Lost, "nothing has changed");
    let now = Clock::Known {
        wall: MONDAY,
        uncertainty: two,
    };
    assert_eq!(
        set(&mut bench, MONDAY, two),
        Some(Outcome::ClockSet { clock: now })
    );
    assert!(bench.log().contains(&&Record::ClockSet {
        before: Clock::Lost,
        after: now
    }));
    assert_eq!(
        bench.status().status_changed & changed::CLOCK,
        changed::CLOCK
    );
    bench.run(Duration::from_hours(1));
    assert_eq!(
        bench.status().clock.wall(),
        Some(MONDAY.saturating_add(Duration::from_hours(1)))
    );
}

#[test]
fn a_clock_that_was_set_and_is_lost_is_a_fault_until_it_is_set_again() {
    let mut bench = Bench::fresh();
    let set = set_clock(MONDAY, Duration::ZERO);
    bench.ask(set.clone());
    bench.run(Duration::from_hours(1));
    let mut warm = bench.pump.clone();
    assert!(matches!(warm.clock(warm_time(&bench)), Clock::Known { .. }));
    // With power: known.
    let flash = bench.flash();
    let reset = bench.reset(ResetCause::Software);
    warm = reset.pump;
    assert!(matches!(warm.clock(PumpTime::ZERO), Clock::Known { .. }));
    let mut cold = Bench::new(flash);
    for _ in 0..2 {
        assert_eq!(cold.status().clock, Clock::Lost);
        assert_eq!(cold.status().faults & fault::CLOCK, fault::CLOCK);
        // A reset does not make it go away.
        cold = cold.power_cut();
    }
    cold.ask(set);
    assert_eq!(cold.status().faults & fault::CLOCK, 0);
    assert!(cold.log().contains(&&Record::AlarmCleared {
        faults: fault::CLOCK
    }));
}

fn warm_time(bench: &Bench) -> PumpTime {
    PumpTime::from_micros(bench.now)
}

#[test]
fn a_restart_by_a_fault_is_an_alarm_until_somebody_has_seen_it() {
    for (cause, alarm) in [
        (ResetCause::Fatal { reason: 4 }, true),
        (ResetCause::Watchdog, true),
        (ResetCause::BrownOut, true),
        (ResetCause::PowerOn, false),
        (ResetCause::External, false),
        (ResetCause::Software, false),
    ] {
        let start = Start {
            cause,
            retained: None,
        };
        let mut bench = Bench::started(Recovered::new_pump(CommissioningRecord::NOMINAL), start);
        let raised = |bench: &mut Bench| bench.status().faults & fault::RESTARTED_BY_FAULT != 0;
        assert_eq!(raised(&mut bench), alarm, "{cause:?}");
        bench.ask(Command::ResetStatusChanged {
            mask: changed::DELIVERY,
        });
        assert_eq!(raised(&mut bench), alarm, "{cause:?}");
        bench.ask(Command::ResetStatusChanged {
            mask: changed::OPERATION,
        });
        assert!(!raised(&mut bench));
    }
}

#[test]
fn records_that_are_lost_are_counted_alarmed_and_told_and_delivery_goes_on() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    bench.run(Duration::from_seconds(30));
    for _ in 0..3 {
        bench.event(Event::AppendFailed);
    }
    // Nothing is wrong with the flash itself; but what was lost has not been told yet.
    bench.event(Event::Storage(StorageReport::default()));
    let status = bench.status();
    assert_eq!(status.records_lost, 3);
    assert_eq!(status.faults & fault::STORAGE, fault::STORAGE);
    bench.run(Duration::from_seconds(60));
    // With the alarms there are, because the record of one can be among the lost.
    let told: Vec<_> = bench.log().into_iter().rev().take(2).cloned().collect();
    assert_eq!(
        told,
        [
            Record::AlarmRaised {
                faults: fault::STORAGE
            },
            Record::RecordsLost { records: 3 },
        ]
    );
    // A look at the flash follows soon; whether the alarm ends depends on what it finds.
    bench.run(Duration::from_seconds(600));
    assert!(bench.actions.contains(&Action::Scrub));
    bench.event(Event::Storage(StorageReport {
        failing: true,
        ..StorageReport::default()
    }));
    assert_eq!(bench.status().faults & fault::STORAGE, fault::STORAGE);
    bench.event(Event::Storage(StorageReport::default()));
    assert_eq!(bench.status().faults & fault::STORAGE, 0);
    bench.run(Duration::from_days(1));
    assert_eq!(
        bench.made(),
        50_399,
        "the steps are those of an undisturbed pump"
    );
}

#[test]
fn the_flash_is_looked_at_every_day_and_what_was_repaired_is_told() {
    let mut bench = Bench::fresh();
    bench.run(SCRUB_INTERVAL);
    bench.run(SCRUB_INTERVAL);
    let looks = bench
        .actions
        .iter()
        .filter(|action| **action == Action::Scrub)
        .count();
    assert_eq!(looks, 2);
    let repairs = RepairsRecord {
        copies: 2,
        ..RepairsRecord::default()
    };
    bench.event(Event::Storage(StorageReport {
        repairs,
        ..StorageReport::default()
    }));
    assert!(bench.log().contains(&&Record::MemoryRepaired { repairs }));
    bench.event(Event::Storage(StorageReport {
        kinds_lost: 1,
        ..StorageReport::default()
    }));
    assert!(bench.log().contains(&&Record::MemoryLost {
        program: false,
        totals: false,
        kinds: 1,
        log: false
    }));
    assert_eq!(bench.status().faults & fault::STORAGE, fault::STORAGE);
}

#[test]
fn counters_never_roll_off_and_are_kept_every_hour() {
    let mut bench = Bench::fresh();
    let kept = |bench: &Bench| -> Vec<Counters> {
        bench
            .actions
            .iter()
            .filter_map(|action| match action {
                Action::Checkpoint(Record::Counters { counters }) => Some(*counters),
                _ => None,
            })
            .collect()
    };
    bench.program(&baclofen());
    bench.run(COUNTERS_INTERVAL);
    bench.run(COUNTERS_INTERVAL);
    bench.run(Duration::from_seconds(60));
    let all = kept(&bench);
    // At the start, a minute after the program, and then every hour.
    assert_eq!(all.len(), 4, "{all:?}");
    let last = *all.last().unwrap();
    assert_eq!((last.commits, last.sessions), (1, 1));
    let mut flash = bench.flash();
    flash.basis.counters = Recovery::Good(last);
    let mut bench = Bench::started(
        flash,
        Start {
            cause: ResetCause::Watchdog,
            retained: None,
        },
    );
    bench.program(&dose(250_000));
    bench.run(Duration::from_seconds(60));
    let last = *kept(&bench).last().unwrap();
    assert_eq!(
        (last.commits, last.sessions, last.restarts_by_fault),
        (2, 2, 1)
    );
}

#[test]
fn a_session_is_in_the_log_from_its_first_request_to_its_end() {
    let mut bench = Bench::fresh();
    bench.event(Event::LinkClosed { session: PHONE });
    assert!(!bench.log().contains(&&Record::SessionClosed {}));
    bench.program(&baclofen());
    bench.event(Event::LinkClosed { session: PHONE });
    bench.event(Event::LinkClosed { session: PHONE });
    let of_phone: Vec<_> = bench
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::Append {
                session: Some(session),
                record,
            } if *session == PHONE => Some(Record::title(record.kind()).unwrap()),
            _ => None,
        })
        .collect();
    assert_eq!(
        of_phone,
        ["session opened", "program committed", "session closed"]
    );
}

#[test]
fn reading_and_signing_a_log_is_the_journals_work() {
    let mut bench = Bench::fresh();
    let log = protocol::LogName::Critical;
    assert_eq!(bench.ask(Command::ReadLog { log, from: 7 }), None);
    assert_eq!(bench.ask(Command::SignLog { log }), None);
    for expected in [
        Action::ReadLog {
            session: PHONE,
            id: 1,
            log,
            from: 7,
        },
        Action::SignLog {
            session: PHONE,
            id: 2,
            log,
        },
    ] {
        assert!(bench.actions.contains(&expected));
    }
}

#[test]
fn what_is_delivered_and_what_is_wrong_is_in_the_log() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    bench.run(Duration::from_hours(1));
    bench.program(&stopped());
    let mut motor = bench.motor();
    motor.faults.driver_failed = true;
    bench.event(Event::Tick(motor));
    let told: Vec<_> = bench
        .log()
        .into_iter()
        .filter(|record| {
            matches!(
                record,
                Record::DeliveryChanged { .. }
                    | Record::AlarmRaised { .. }
                    | Record::MotorFault { .. }
            )
        })
        .cloned()
        .collect();
    assert_eq!(
        told,
        [
            Record::DeliveryChanged {
                delivery: DeliveryState::Running,
                flow_nl_per_day: 125_000
            },
            Record::DeliveryChanged {
                delivery: DeliveryState::Stopped,
                flow_nl_per_day: 0
            },
            Record::MotorFault {
                interlock_tripped: false,
                driver_failed: true
            },
            Record::AlarmRaised {
                faults: fault::MOTOR
            },
            Record::DeliveryChanged {
                delivery: DeliveryState::HoldLast,
                flow_nl_per_day: 0
            },
        ]
    );
}

#[test]
fn a_lost_memory_is_told_once_a_boot() {
    let mut lost = Recovered::new_pump(CommissioningRecord::NOMINAL);
    lost.program = Recovery::Lost;
    lost.basis.totals = Recovery::Lost;
    lost.basis.storage = StorageReport {
        kinds_lost: 2,
        log_lost: true,
        ..StorageReport::default()
    };
    let mut bench = Bench::new(lost);
    // Looking again every day or every ten minutes is no news.
    for _ in 0..3 {
        bench.event(Event::Storage(StorageReport::default()));
    }
    let lost: Vec<_> = bench
        .log()
        .into_iter()
        .filter(|record| matches!(record, Record::MemoryLost { .. }))
        .collect();
    assert_eq!(
        lost,
        [&Record::MemoryLost {
            program: true,
            totals: true,
            kinds: 2,
            log: true
        }]
    );
}

/// What has been delivered, in a bench that knows the truth, against what the next boot makes of a loss of power now.
fn assert_honest_after_power_loss(bench: Bench) -> Bench {
    let truth = bench.made();
    let bench = bench.power_cut();
    let (_, counted, at_most) = bench.boot_record();
    assert!(
        counted as u64 <= truth && truth <= at_most,
        "{counted} <= {truth} <= {at_most}"
    );
    bench
}

#[test]
fn a_loss_of_power_right_after_a_change_of_rate_forgets_no_step() {
    let slow = weak(2_500);
    let fast = weak(1_200_000);
    let stop = Program {
        mode: Mode::Stopped,
        ..weak(1)
    };
    for (first, then) in [
        (&fast, vec![&slow]),
        (&fast, vec![&stop]),
        (&slow, vec![&fast]),
        (&slow, vec![&fast, &slow]),
    ] {
        let mut bench = Bench::fresh();
        bench.program(first);
        bench.run(Duration::from_seconds(3_600 + 59));
        for program in then {
            bench.program(program);
            bench.run(Duration::from_seconds(20));
        }
        assert_honest_after_power_loss(bench);
    }
}

#[test]
fn a_checkpoint_that_was_lost_is_covered_and_tried_again_soon() {
    let mut bench = Bench::fresh();
    bench.program(&fastest());
    bench.run(Duration::from_hours(1));
    let kept = bench.totals;
    bench.run(Duration::from_seconds(62));
    // The last one has become unreadable: the one before counts.
    bench.totals = kept;
    bench.run(Duration::from_seconds(50));
    bench.totals = kept;
    assert_honest_after_power_loss(bench);

    // The rate has changed since, and with it the last one was lost: what the flow of then prescribed counts.
    let mut bench = Bench::fresh();
    bench.program(&fastest());
    bench.run(Duration::from_hours(1));
    let kept = bench.totals;
    bench.run(Duration::from_seconds(50));
    bench.program(&weak(2_500));
    bench.totals = kept;
    assert_honest_after_power_loss(bench);

    let mut bench = Bench::fresh();
    bench.run(Duration::from_seconds(61));
    bench.event(Event::CheckpointFailed);
    let before = bench.actions.len();
    bench.run(Duration::from_seconds(6));
    let again = bench.actions[before..]
        .iter()
        .any(|action| matches!(action, Action::Checkpoint(Record::Totals { .. })));
    assert!(again);
    let status = bench.status();
    assert_eq!(status.faults & fault::STORAGE, fault::STORAGE);
    assert_eq!(
        status.records_lost, 0,
        "a checkpoint is no record of the log"
    );
}

#[test]
fn checkpoints_that_fail_for_long_make_the_reservoir_unknown() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    bench.run(Duration::from_hours(1));
    let kept = bench.totals;
    for _ in 0..4 {
        bench.event(Event::CheckpointFailed);
        bench.run(Duration::from_seconds(5));
    }
    assert!(bench.latched().checkpoints_failing);
    bench.totals = kept;
    let mut bench = bench.power_cut();
    let status = bench.status();
    assert_eq!(status.reservoir_fl, None);
    assert_eq!(status.faults & fault::STORAGE, fault::STORAGE);
    // It goes when one was kept.
    bench.run(Duration::from_seconds(130));
    assert!(!bench.latched().checkpoints_failing);
}

#[test]
fn a_lost_program_stays_lost_until_one_is_committed() {
    let mut bench = Bench::new(Recovered {
        program: Recovery::Lost,
        ..Recovered::new_pump(CommissioningRecord::NOMINAL)
    });
    bench.journal = Journal::Silent;
    bench.program(&baclofen());
    bench.run(Duration::from_seconds(5));
    bench.journal = Journal::Keeps;
    bench.run(Duration::from_seconds(20));
    let record = bench
        .kept_program()
        .expect("written behind the one that was not done");
    assert!(record.lost && record.program.is_none());
    bench.program(&baclofen());
    assert!(!bench.kept_program().expect("committed").lost);
}

#[test]
fn lost_totals_are_not_believed_after_the_next_reset() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    bench.run(Duration::from_days(9));
    let mut lost = bench.flash();
    lost.basis.totals = Recovery::Lost;
    let mut bench = Bench::new(lost);
    assert_eq!(bench.status().reservoir_fl, None);
    assert_eq!(bench.kept_program().expect("restored").fill, None);
    bench.run(Duration::from_hours(1));
    let mut bench = bench.power_cut();
    assert_eq!(bench.status().reservoir_fl, None);
    // Even if that could not be written: a total below that of the fill is not one.
    let mut first = Bench::fresh();
    first.run(Duration::from_seconds(10));
    first.program(&fastest());
    first.run(Duration::from_hours(6));
    first.refill(&fastest());
    let mut older = first.flash();
    older.basis.totals = Recovery::Good(TotalsRecord::default());
    let mut bench = Bench::new(older);
    assert_eq!(bench.status().reservoir_fl, None);
    assert_eq!(bench.status().faults & fault::STORAGE, fault::STORAGE);
}

#[test]
fn what_a_boot_without_flash_delivered_is_added_to_what_was_before() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    bench.run(Duration::from_hours(1));
    let (flash, before) = (bench.flash(), bench.made());
    let mut blind = Bench::new(Recovered::without_flash());
    blind.run(Duration::from_days(7));
    let truth = before + blind.made();
    let retained = blind.pump.retained();
    assert!(retained.relative);
    let start = Start {
        cause: ResetCause::Watchdog,
        retained: Some(retained),
    };
    let bench = Bench::started(flash, start);
    let (source, counted, at_most) = bench.boot_record();
    assert_eq!(source, TotalsSource::Retained);
    assert!(
        counted as u64 <= truth && truth <= at_most,
        "{counted} {truth} {at_most}"
    );
}

#[test]
fn the_old_program_is_written_until_it_is_behind_the_one_that_was_not_done() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    bench.run(Duration::from_hours(1));
    bench.journal = Journal::Fails;
    let outcome = bench.program(&dose(500_000));
    assert_eq!(outcome, Some(Outcome::Refused(Refused::NotDone)));
    let tries = |bench: &Bench| {
        bench
            .programs_offered()
            .iter()
            .filter(|number| **number == 1)
            .count()
    };
    let before = tries(&bench);
    bench.run(Duration::from_minutes(1));
    assert!(tries(&bench) >= before + 10, "{before}, {}", tries(&bench));
    bench.flash.remove(&StateKind::Program);
    bench.journal = Journal::Keeps;
    bench.run(Duration::from_seconds(6));
    assert_eq!(bench.kept_program().expect("written").number, 1);
    let before = tries(&bench);
    bench.run(Duration::from_minutes(1));
    assert_eq!(tries(&bench), before, "once it is there, no more");
    assert_eq!(
        bench.program(&dose(500_000)),
        Some(Outcome::Committed { program_number: 2 })
    );
}

#[test]
fn a_tripped_interlock_stops_over_resets_until_a_clinician_commits() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    bench.run(Duration::from_hours(1));
    let mut motor = bench.motor();
    motor.faults.interlock_tripped = true;
    bench.event(Event::Tick(motor));
    assert!(bench.latched().interlock_tripped);
    for reset in [false, true] {
        bench = if reset {
            bench.reset(ResetCause::Watchdog)
        } else {
            bench.power_cut()
        };
        bench.run(Duration::from_hours(1));
        assert_eq!(bench.made(), 0);
        let status = bench.status();
        assert_eq!(status.delivery, DeliveryState::Faulted);
        assert_eq!(status.faults & fault::INTERLOCK, fault::INTERLOCK);
    }
    assert_eq!(
        bench.program(&dose(250_000)),
        Some(Outcome::Committed { program_number: 2 })
    );
    bench.run(Duration::from_seconds(60));
    assert!(bench.made() > 0 && !bench.latched().interlock_tripped);
    assert_eq!(bench.status().faults & fault::INTERLOCK, 0);
}

/// The flash could not be told of it before the reset: retained memory was.
#[test]
fn a_tripped_interlock_that_flash_could_not_keep_stops_all_the_same() {
    for journal in [Journal::Fails, Journal::Silent] {
        for flash_works in [true, false] {
            let mut bench = Bench::fresh();
            bench.program(&baclofen());
            bench.run(Duration::from_hours(1));
            bench.journal = journal;
            let mut motor = bench.motor();
            motor.faults.interlock_tripped = true;
            bench.event(Event::Tick(motor));
            assert!(!bench.latched().interlock_tripped, "flash does not know it");
            let retained = Some(bench.pump.retained());
            let recovered = if flash_works {
                bench.flash()
            } else {
                Recovered::without_flash()
            };
            let cause = ResetCause::Watchdog;
            let mut bench = Bench::started(recovered, Start { cause, retained });
            bench.run(Duration::from_hours(1));
            assert_eq!((bench.made(), bench.handed_out), (0, 0));
            assert_eq!(bench.status().faults & fault::INTERLOCK, fault::INTERLOCK);
            assert!(bench.latched().interlock_tripped, "and is told now");
        }
    }
}

/// A stop acts at once and is recorded after, however long that takes: no reset starts the old program again once it is there.
#[test]
fn a_stop_is_recorded_when_the_journal_works_again() {
    for journal in [Journal::Fails, Journal::Silent] {
        let mut bench = Bench::fresh();
        bench.program(&baclofen());
        bench.run(Duration::from_hours(1));
        bench.journal = journal;
        bench.program(&stopped());
        bench.run(Duration::from_minutes(10));
        let status = bench.status();
        assert_eq!((status.program_number, status.flow_nl_per_day), (1, 0));
        assert_eq!(bench.kept_program().expect("the old one").number, 1);
        bench.journal = Journal::Keeps;
        bench.run(Duration::from_seconds(11));
        assert_eq!(bench.status().program_number, 2);
        assert!(
            bench
                .log()
                .iter()
                .any(|record| matches!(record, Record::ProgramCommitted { number: 2, .. }))
        );
        let mut bench = bench.power_cut();
        bench.run(Duration::from_hours(1));
        assert_eq!(bench.status().delivery, DeliveryState::Stopped);
        assert_eq!(bench.handed_out, 0);
    }
}

/// Nor does a later program that could not be recorded bring the old one back.
#[test]
fn a_program_that_was_not_done_leaves_an_unrecorded_stop_in_force() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    bench.run(Duration::from_hours(1));
    bench.journal = Journal::Fails;
    assert_eq!(bench.program(&stopped()), Some(Outcome::StoppedNotRecorded));
    let outcome = bench.program(&dose(500_000));
    assert_eq!(outcome, Some(Outcome::Refused(Refused::NotDone)));
    bench.journal = Journal::Keeps;
    bench.run(Duration::from_seconds(11));
    let record = bench.kept_program().expect("recorded");
    assert_eq!(
        record.program.map(|program| program.mode),
        Some(Mode::Stopped)
    );
}

/// Answers to another ticket than that of the commit on its way say nothing of it.
#[test]
fn a_late_answer_decides_nothing_about_the_next_commit() {
    for late in [
        Event::Persisted as fn(Ticket) -> Event,
        Event::PersistFailed,
    ] {
        let mut bench = Bench::fresh();
        bench.program(&baclofen());
        bench.journal = Journal::Silent;
        let ticket = |bench: &Bench| bench.offered.last().expect("offered").0;
        bench.program(&dose(500_000));
        let first = ticket(&bench);
        bench.run(Duration::from_seconds(5));
        bench.program(&dose(1_000_000));
        let second = ticket(&bench);
        assert_ne!(first, second);
        bench.tell(late(first));
        let status = bench.status();
        assert!(status.committing);
        assert_eq!(
            (status.program_number, status.flow_nl_per_day),
            (1, 125_000)
        );
        bench.tell(Event::Persisted(second));
        let status = bench.status();
        assert_eq!(
            (status.program_number, status.flow_nl_per_day),
            (2, 500_000)
        );
    }
}

#[test]
fn checkpoints_that_fail_for_a_day_are_one_alarm() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    for _ in 0..24 * 60 * 12 {
        let before = bench.actions.len();
        bench.run(Duration::from_seconds(5));
        let list = bench.actions.split_off(before);
        for action in &list {
            match action {
                Action::Checkpoint(Record::Totals { .. }) => {
                    bench.event(Event::CheckpointFailed);
                }
                // The banks are as they should be.
                Action::Scrub => {
                    bench.event(Event::Storage(StorageReport::default()));
                }
                _ => {}
            }
        }
        bench.actions.extend(list);
    }
    let alarms = bench
        .log()
        .into_iter()
        .filter(|record| {
            matches!(
                record,
                Record::AlarmRaised { .. } | Record::AlarmCleared { .. }
            )
        })
        .count();
    assert_eq!(alarms, 1);
    bench.run(Duration::from_minutes(12));
    bench.event(Event::Storage(StorageReport::default()));
    assert_eq!(bench.status().faults & fault::STORAGE, 0, "and it goes");
}

/// A boot that lost the totals counts from nothing. What it kept itself is not added to what it retained; what it could not keep is.
#[test]
fn totals_of_a_boot_that_lost_them_count_once() {
    let mut first = Bench::fresh();
    first.program(&baclofen());
    first.run(Duration::from_days(1));
    let (flash, before) = (first.flash(), first.made());
    let mut lost = first.flash();
    lost.basis.totals = Recovery::Lost;
    lost.basis.totals_boot = 0;
    let mut bench = Bench::new(lost);
    bench.run(Duration::from_days(2));
    let made = bench.made();
    let start = Start {
        cause: ResetCause::Watchdog,
        retained: Some(bench.pump.retained()),
    };
    let (_, counted, at_most) = Bench::started(bench.flash(), start).boot_record();
    assert!(
        counted as u64 <= made && made <= at_most,
        "{counted} {made} {at_most}"
    );
    // Its checkpoints failed, and those from before let themselves be read again.
    let mut older = flash;
    older.basis.boot = 3;
    let (_, counted, at_most) = Bench::started(older, start).boot_record();
    let truth = before + made;
    assert!(
        counted as u64 <= truth && truth <= at_most,
        "{counted} {truth} {at_most}"
    );
}

#[test]
fn telling_of_lost_records_never_floods_the_log() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    for _ in 0..24 * 60 {
        bench.run(Duration::from_seconds(60));
        bench.event(Event::AppendFailed);
    }
    let told = bench
        .log()
        .into_iter()
        .filter(|record| {
            matches!(
                record,
                Record::RecordsLost { .. } | Record::AlarmRaised { .. }
            )
        })
        .count();
    assert!(told <= 50, "{told}");
    assert_eq!(bench.status().records_lost, 24 * 60);
}

#[test]
fn a_smaller_reservoir_than_was_filled_does_not_undo_the_therapy() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    let mut flash = bench.flash();
    flash.basis.commissioning = Some(CommissioningRecord {
        capacity_nl: 5_000_000,
        ..CommissioningRecord::NOMINAL
    });
    let mut bench = Bench::new(flash);
    assert_eq!(bench.status().delivery, DeliveryState::Running);
}
