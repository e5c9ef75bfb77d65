//! Boluses and primes.

use super::*;

const STARTED: Option<Outcome> = Some(Outcome::BolusStarted { number: 1 });

/// Requirement: TH-jobs
#[test]
fn a_patient_bolus_gives_its_whole_steps_beside_basal_and_ends() {
    let mut bench = at_home();
    let before = bench.made();
    assert_eq!(bench.patient(1), STARTED);
    bench.run(Duration::from_minutes(20));
    // Basal of 20 min are 2,777.8 steps.
    let made = bench.made() - before;
    let expected = 2_777 + u64::from(BOLUS_STEPS);
    assert!(made.abs_diff(expected) <= 2, "{made}");
    assert_eq!(
        bench.ended(),
        [(JobKind::PatientBolus, 1, JobEnd::Completed, BOLUS_STEPS)]
    );
    assert_eq!(bench.status().deficit_steps, 0);
}

/// Requirement: AC-8, TH-durability
#[test]
fn no_step_of_a_bolus_is_ordered_before_its_record_is_durable() {
    let mut bench = at_home();
    bench.journal = Journal::Silent;
    let before = bench.made();
    assert_eq!(bench.patient(1), None);
    assert!(bench.therapy().storing);
    assert_eq!(
        refused(bench.patient(1)),
        Refused::Busy,
        "it is not refused for good while nobody knows"
    );
    bench.run(Duration::from_millis(4_990));
    assert!(bench.made() - before <= 13, "basal goes on, and no more");
    assert_eq!(bench.started_jobs(), []);
    bench.run(Duration::from_seconds(1));
    assert_eq!(bench.started_jobs(), []);
    assert_eq!(bench.therapy().last_number, 0, "certainly not done");
    assert_eq!(bench.therapy().bolus.unwrap().taken_in_24h, 0);
}

/// Once a number was granted it never gives another, before and behind a reset.
///
/// Requirement: AC-7, AC-8
#[test]
fn a_number_gives_one_bolus_over_resets() {
    for cut in [false, true] {
        let mut bench = at_home();
        assert_eq!(bench.patient(1), STARTED);
        bench.run(Duration::from_minutes(3));
        for _ in 0..3 {
            assert_eq!(bench.patient(1), Some(Outcome::AlreadyDone { number: 1 }));
        }
        let mut bench = if cut {
            bench.power_cut()
        } else {
            bench.reset(ResetCause::Watchdog)
        };
        assert_eq!(bench.therapy().job, None, "never resumed");
        let ended = bench.ended();
        assert_eq!(ended.len(), 1);
        let (kind, id, end, at_most) = ended[0];
        assert_eq!(
            (kind, id, end),
            (JobKind::PatientBolus, 1, JobEnd::Interrupted)
        );
        // Three of ten minutes were given, and basal beside it counts on the safe side.
        assert!((2_400..=BOLUS_STEPS).contains(&at_most), "{at_most}");
        assert_eq!(bench.patient(1), Some(Outcome::AlreadyDone { number: 1 }));
        bench.run(Duration::from_minutes(20));
        assert_eq!(bench.started_jobs(), []);
        assert_eq!(bench.therapy().bolus.unwrap().taken_in_24h, 1, "spent");
        let again = bench.reset(ResetCause::Software);
        assert_eq!(again.ended(), [], "told once");
    }
}

/// The record has landed, and nobody heard of it: it is spent, was not given, and is told so.
///
/// Requirement: AC-8
#[test]
fn a_bolus_whose_record_landed_before_a_reset_is_spent() {
    let mut bench = at_home();
    bench.journal = Journal::Mute;
    assert_eq!(bench.patient(1), None);
    let mut bench = bench.reset(ResetCause::Watchdog);
    assert_eq!(bench.ended().len(), 1);
    assert_eq!(bench.patient(1), Some(Outcome::AlreadyDone { number: 1 }));
    assert_eq!(bench.therapy().bolus.unwrap().taken_in_24h, 1);
}

#[test]
fn numbers_come_one_after_the_other() {
    let mut bench = at_home();
    for number in [0, 2, u32::MAX] {
        let refused = refused(bench.patient(number));
        assert_eq!(
            refused,
            Refused::OutOfRange {
                field: Field::JobNumber,
                value: u64::from(number),
                lowest: 1,
                highest: 1
            }
        );
    }
    assert_eq!(bench.patient(1), STARTED);
    bench.run(Duration::from_hours(1));
    assert_eq!(bench.patient(2), Some(Outcome::BolusStarted { number: 2 }));
    assert_eq!(
        refused(bench.patient(1)),
        Refused::NotNow {
            why: NotNow::NumberUsed
        }
    );
}

/// Requirement: AC-9
#[test]
fn the_lockout_runs_from_programming_and_from_start_to_start_and_to_the_second() {
    let mut bench = Bench::on_monday();
    bench.program(&with_boluses());
    assert_eq!(
        denied(bench.patient(1)),
        BolusDenial::Lockout { left_s: 3_600 }
    );
    bench.run(Duration::from_seconds(3_599));
    assert_eq!(denied(bench.patient(1)), BolusDenial::Lockout { left_s: 1 });
    bench.run(Duration::from_seconds(1));
    assert_eq!(bench.patient(1), STARTED);
    bench.run(Duration::from_seconds(3_599));
    assert!(matches!(
        denied(bench.patient(2)),
        BolusDenial::Lockout { left_s: 1 }
    ));
    bench.run(Duration::from_seconds(1));
    assert_eq!(bench.patient(2), Some(Outcome::BolusStarted { number: 2 }));
}

/// Number and lockout hold whatever the clock is set to, and over a power cut.
///
/// Requirement: AC-9
#[test]
fn neither_the_clock_nor_a_cut_gives_a_fifth_bolus() {
    let mut bench = at_home();
    for number in 1..=4 {
        assert_eq!(
            bench.patient(number),
            Some(Outcome::BolusStarted { number })
        );
        bench.run(Duration::from_hours(1));
    }
    let later = MONDAY.saturating_add(Duration::from_days(3));
    let set = Command::SetClock(SetClock {
        wall: later,
        uncertainty: Duration::ZERO,
        reason: Some(OverrideReason::InNotes),
    });
    bench.ask(set.clone());
    assert!(matches!(
        denied(bench.patient(5)),
        BolusDenial::DayCount { .. }
    ));
    let mut bench = bench.power_cut();
    bench.ask(set);
    bench.run(Duration::from_hours(1));
    assert!(matches!(
        denied(bench.patient(5)),
        BolusDenial::DayCount { .. }
    ));
    bench.run(Duration::from_hours(19));
    assert_eq!(bench.patient(5), Some(Outcome::BolusStarted { number: 5 }));
}

/// Requirement: TH-denials, AC-9
#[test]
fn every_reason_against_a_bolus_is_told() {
    let mut bench = Bench::fresh();
    bench.program(&morphine());
    assert_eq!(denied(bench.patient(1)), BolusDenial::NotProgrammed);

    let mut bench = at_home();
    assert_eq!(bench.ask(Command::OpenRefill), Some(Outcome::Done));
    // An open refill leaves basal alone, and that is an answer of its own.
    assert!(matches!(
        denied(bench.patient(1)),
        BolusDenial::RefillOpen | BolusDenial::Alarm
    ));

    let mut bench = at_home();
    assert_eq!(
        bench.ask(Command::MriMode { minutes: 30 }),
        Some(Outcome::Done)
    );
    assert_eq!(denied(bench.patient(1)), BolusDenial::MriMode);
    assert_eq!(
        bench.ask(Command::MriMode { minutes: 0 }),
        Some(Outcome::Done)
    );
    assert_eq!(bench.patient(1), STARTED);
    bench.run(Duration::from_hours(1));

    assert_eq!(
        bench.ask(Command::EmergencyMinimumRate),
        Some(Outcome::Done)
    );
    assert_eq!(denied(bench.patient(2)), BolusDenial::Alarm);

    let mut bench = at_home();
    bench.event(Event::AppendFailed);
    assert!(matches!(
        denied(bench.patient(1)),
        BolusDenial::Storage | BolusDenial::Alarm
    ));

    let mut bench = at_home().power_cut();
    assert!(matches!(
        denied(bench.patient(1)),
        BolusDenial::ClockLost | BolusDenial::Alarm
    ));

    let mut bench = at_home();
    let outcome = bench.ask(Command::ClinicianBolus(ClinicianBolus {
        number: 1,
        dose_ng: 200_000,
        duration_s: 600,
        reason: None,
    }));
    assert_eq!(outcome, STARTED);
    assert_eq!(denied(bench.patient(2)), BolusDenial::BusyJob);

    let mut bench = at_home();
    bench.catheter();
    // Told late, the path is full of drug: the catheter has to be aspirated first.
    let mut order = prime(1, PrimeKind::PumpAndCatheter);
    if let Command::Prime(order) = &mut order {
        assert!(matches!(
            bench.ask(Command::Prime(*order)),
            Some(Outcome::Refused(Refused::OverLimit { .. }))
        ));
        order.catheter_aspirated = true;
    }
    assert_eq!(bench.ask(order), STARTED);
    assert_eq!(denied(bench.patient(2)), BolusDenial::Priming);
    let log = bench.log();
    assert!(log.contains(&&Record::BolusDenied {
        id: 2,
        reason: BolusDenial::Priming
    }));
}

/// Requirement: TH-denials
#[test]
fn three_denials_in_a_day_are_told_to_the_clinic() {
    let mut bench = Bench::on_monday();
    bench.program(&with_boluses());
    for _ in 0..2 {
        denied(bench.patient(1));
    }
    assert!(!bench.has_alarm(AlarmKind::BolusesDenied));
    denied(bench.patient(1));
    assert!(bench.log().contains(&&Record::AlarmOn {
        alarm: AlarmKind::BolusesDenied
    }));
}

#[test]
fn a_bolus_that_could_not_be_recorded_is_as_if_never_asked_for() {
    let mut bench = at_home();
    bench.journal = Journal::Fails;
    assert_eq!(refused(bench.patient(1)), Refused::NotDone);
    bench.journal = Journal::Keeps;
    bench.run(Duration::from_seconds(20));
    bench.tell(Event::Storage(StorageReport::default()));
    bench.run(Duration::from_minutes(2));
    bench.tell(Event::Storage(StorageReport::default()));
    let therapy = bench.therapy();
    assert_eq!((therapy.last_number, therapy.job), (0, None));
    assert_eq!(therapy.bolus.unwrap().taken_in_24h, 0);
    let kept: BolusRecord = bench.kept(StateKind::Boluses).unwrap();
    assert_eq!(kept.job, None, "flash was told");
    // The alarm of the failing memory has to be acknowledged first.
    let alarm = AlarmKind::MemoryRepaired;
    bench.ask(Command::AcknowledgeAlarm { alarm });
    assert_eq!(bench.patient(1), STARTED);
}

/// Requirement: TH-clinician-bolus
#[test]
fn a_clinicians_bolus_is_granted_counts_and_is_limited() {
    let bolus = |number, dose_ng, reason| {
        Command::ClinicianBolus(ClinicianBolus {
            number,
            dose_ng,
            duration_s: 600,
            reason,
        })
    };
    let mut bench = at_home();
    assert_eq!(bench.ask(bolus(1, 200_000, None)), STARTED);
    assert!(bench.actions.iter().any(|action| matches!(
        action,
        Action::Grant { steps: BOLUS_STEPS, within } if *within >= Duration::from_minutes(10)
    )));
    bench.run(Duration::from_minutes(59));
    assert!(matches!(
        refused(bench.ask(bolus(2, 200_000, None))),
        Refused::TooSoon { left_s: 60 }
    ));
    let reason = Some(OverrideReason::InNotes);
    let outcome = bench.ask(bolus(2, 200_000, reason));
    assert_eq!(outcome, Some(Outcome::BolusStarted { number: 2 }));
    bench.run(Duration::from_hours(2));
    // A hard limit: nobody goes over it.
    assert!(matches!(
        refused(bench.ask(bolus(3, 40_000_000, reason))),
        Refused::OverLimit { .. } | Refused::OutOfRange { .. }
    ));
    let status = bench.therapy();
    assert_eq!(status.last_number, 2);
    assert_eq!(status.mass_24h[0].total_ng, 400_000);
}

/// Requirement: TH-jobs
#[test]
fn an_extended_bolus_lets_a_normal_one_go_first_and_resumes() {
    let mut bench = at_home();
    let outcome = bench.ask(Command::ClinicianBolus(ClinicianBolus {
        number: 1,
        dose_ng: 400_000,
        duration_s: 7_200,
        reason: None,
    }));
    assert_eq!(outcome, STARTED);
    bench.run(Duration::from_minutes(30));
    assert_eq!(bench.patient(2), Some(Outcome::BolusStarted { number: 2 }));
    bench.run(Duration::from_minutes(11));
    let job = bench.therapy().job.expect("resumed");
    assert_eq!(job.number, 1);
    let extended = JobKind::ClinicianBolus { extended: true };
    bench.run(Duration::from_minutes(91));
    assert_eq!(
        bench.ended(),
        [
            (JobKind::PatientBolus, 2, JobEnd::Completed, BOLUS_STEPS),
            (extended, 1, JobEnd::Completed, 2 * BOLUS_STEPS),
        ]
    );
}

/// Both are told when a reset interrupts a normal one over an extended one.
///
/// Requirement: AC-7
#[test]
fn a_reset_interrupts_both_of_two_boluses() {
    let mut bench = at_home();
    bench.ask(Command::ClinicianBolus(ClinicianBolus {
        number: 1,
        dose_ng: 400_000,
        duration_s: 7_200,
        reason: None,
    }));
    bench.run(Duration::from_minutes(30));
    bench.patient(2);
    bench.run(Duration::from_minutes(1));
    let bench = bench.reset(ResetCause::Watchdog);
    let ended: Vec<_> = bench
        .ended()
        .into_iter()
        .map(|(_, id, end, _)| (id, end))
        .collect();
    assert_eq!(ended, [(2, JobEnd::Interrupted), (1, JobEnd::Interrupted)]);
}

#[test]
fn cancelling_ends_the_running_bolus_at_once() {
    let mut bench = at_home();
    bench.patient(1);
    bench.run(Duration::from_minutes(5));
    let made = bench.made();
    assert_eq!(bench.ask(Command::CancelBolus), Some(Outcome::Done));
    bench.run(Duration::from_minutes(10));
    // Ten minutes of basal.
    let made = bench.made() - made;
    assert!(made.abs_diff(1_389) <= 2, "{made}");
    let (_, _, end, delivered) = bench.ended()[0];
    assert_eq!(end, JobEnd::Cancelled);
    assert!(delivered.abs_diff(BOLUS_STEPS / 2) <= 2, "{delivered}");
    assert_eq!(bench.ask(Command::CancelBolus), Some(Outcome::Done));
}

/// Cancelling does not wait for the journal either, and its record is no bolus that begins behind it.
#[test]
fn a_bolus_that_is_cancelled_before_it_is_durable_never_begins() {
    let mut bench = at_home();
    bench.journal = Journal::Silent;
    assert_eq!(bench.patient(1), None);
    let id = bench.request;
    assert_eq!(bench.ask(Command::CancelBolus), Some(Outcome::Done));
    let ticket = bench.offered.last().expect("offered").0;
    bench.journal = Journal::Keeps;
    bench.tell(Event::Persisted(ticket));
    assert_eq!(bench.answered(PHONE, id), Some(Outcome::Cancelled));
    let before = bench.made();
    bench.run(Duration::from_minutes(10));
    assert!((bench.made() - before).abs_diff(1_389) <= 2);
    assert_eq!(
        bench.ended(),
        [(JobKind::PatientBolus, 1, JobEnd::Cancelled, 0)]
    );
    assert_eq!(bench.patient(1), Some(Outcome::AlreadyDone { number: 1 }));
}

/// A stop takes away what waits for its record, too: the record lands behind the stop, and not one step comes of it.
///
/// Requirement: TH-durability, TH-jobs
#[test]
fn a_stop_voids_a_bolus_that_waits_for_its_record() {
    let clinicians = Command::ClinicianBolus(ClinicianBolus {
        number: 1,
        dose_ng: 200_000,
        duration_s: 600,
        reason: None,
    });
    let bench_with_path = || {
        let mut bench = at_home();
        bench.catheter();
        bench
    };
    let ticket = |bench: &Bench, of: StateKind| {
        let newest = bench.offered.iter().rfind(|(_, state, _)| *state == of);
        newest.expect("a record").0
    };
    let of_the_program = || {
        let mut bench = Bench::on_monday();
        bench.program(&periodic());
        bench.run(Duration::from_seconds(7_190));
        bench
    };
    for (kind, mut bench, order) in [
        (
            JobKind::PatientBolus,
            at_home(),
            Some(Command::PatientBolus { number: 1 }),
        ),
        (
            JobKind::ClinicianBolus { extended: false },
            at_home(),
            Some(clinicians),
        ),
        (
            JobKind::Prime,
            bench_with_path(),
            Some(Command::Prime(Prime {
                number: 1,
                kind: PrimeKind::PumpOnly,
                catheter_aspirated: true,
                disconnected: false,
                reason: Some(OverrideReason::InNotes),
            })),
        ),
        (JobKind::PeriodicBolus, of_the_program(), None),
    ] {
        bench.journal = Journal::Silent;
        match order {
            Some(order) => assert_eq!(bench.ask(order), None, "{kind:?}"),
            None => bench.run(Duration::from_seconds(12)),
        }
        let bolus = ticket(&bench, StateKind::Boluses);
        let stop = bench.stage(&Program {
            mode: Mode::Stopped,
            ..morphine_at(10_000_000, 1)
        });
        assert_eq!(bench.commit(&stop), None, "{kind:?}");
        let program = ticket(&bench, StateKind::Program);
        let made = bench.made();
        bench.journal = Journal::Keeps;
        bench.tell(Event::Persisted(bolus));
        bench.tell(Event::Persisted(program));
        bench.run(Duration::from_hours(1));
        assert_eq!(bench.made(), made, "{kind:?}");
        assert_eq!(bench.ended(), [(kind, 1, JobEnd::Cancelled, 0)]);
        assert!(
            !bench
                .actions
                .iter()
                .any(|action| matches!(action, Action::Grant { .. })),
            "nothing is granted to what does not come: {kind:?}"
        );
    }
}

fn periodic() -> Program {
    Program {
        mode: Mode::PeriodicBolus(PeriodicBolus {
            bolus_ng: 200_000,
            duration_s: 600,
            interval_min: 120,
            basal: None,
            first_after_min: None,
        }),
        ..morphine()
    }
}

/// Requirement: TH-periodic, TH-no-catching-up
#[test]
fn periodic_boluses_come_a_whole_interval_apart_and_are_never_caught_up() {
    let mut bench = Bench::fresh();
    bench.program(&periodic());
    bench.run(Duration::from_seconds(7_199));
    assert_eq!(bench.started_jobs(), []);
    bench.run(Duration::from_seconds(2));
    assert_eq!(bench.started_jobs(), [(JobKind::PeriodicBolus, 1)]);
    bench.run(Duration::from_hours(2));
    assert_eq!(bench.started_jobs().len(), 2);
    // The next falls due while a refill is open.
    bench.ask(Command::OpenRefill);
    bench.run(Duration::from_minutes(50));
    bench.ask(Command::CloseRefill);
    bench.run(Duration::from_minutes(60));
    bench.ask(Command::OpenRefill);
    bench.run(Duration::from_minutes(30));
    assert_eq!(bench.started_jobs().len(), 2);
    bench.ask(Command::CloseRefill);
    bench.run(Duration::from_minutes(60));
    assert_eq!(bench.started_jobs().len(), 2, "not caught up");
    bench.run(Duration::from_minutes(50));
    assert_eq!(bench.started_jobs().len(), 3);
    // Nor does a power cut bring one forward.
    bench.run(Duration::from_minutes(60));
    let mut bench = bench.power_cut();
    bench.run(Duration::from_minutes(49));
    assert_eq!(bench.started_jobs(), []);
    bench.run(Duration::from_minutes(3));
    assert_eq!(bench.started_jobs().len(), 1);
}

/// Requirement: TH-periodic
#[test]
fn a_refill_of_the_same_therapy_moves_no_periodic_bolus() {
    let mut bench = Bench::fresh();
    bench.program(&periodic());
    bench.run(Duration::from_minutes(90));
    assert!(matches!(
        bench.refill(&periodic()),
        Some(Outcome::Committed { .. })
    ));
    bench.run(Duration::from_minutes(29));
    assert_eq!(bench.started_jobs(), []);
    bench.run(Duration::from_minutes(2));
    assert_eq!(bench.started_jobs().len(), 1);
}

/// Requirement: AC-8
#[test]
fn a_single_bolus_is_given_once_over_resets_and_the_pump_stops() {
    let single = Program {
        mode: Mode::SingleBolus {
            dose_ng: 200_000,
            duration_s: 600,
        },
        ..morphine()
    };
    let mut bench = Bench::fresh();
    bench.program(&single);
    bench.run(Duration::from_minutes(30));
    assert_eq!(bench.made(), u64::from(BOLUS_STEPS));
    assert_eq!(bench.status().delivery, DeliveryState::Stopped);
    let mut bench = bench.power_cut();
    bench.run(Duration::from_days(1));
    assert_eq!(bench.made(), 0);
    // And one that a reset has interrupted neither.
    let mut bench = Bench::fresh();
    bench.program(&single);
    bench.run(Duration::from_minutes(2));
    let mut bench = bench.reset(ResetCause::Watchdog);
    bench.run(Duration::from_hours(1));
    assert_eq!(bench.made(), 0);
    assert_eq!(bench.ended()[0].2, JobEnd::Interrupted);
    // The same program again is another commit, and another bolus.
    let again = Program {
        fill: None,
        ..single
    };
    bench.program(&again);
    bench.run(Duration::from_hours(1));
    assert_eq!(bench.made(), u64::from(BOLUS_STEPS));
}

/// A single bolus starts with its commit or not at all: what forbade it must not end hours later with a bolus that nobody looks at.
///
/// Requirement: TH-denials
#[test]
fn a_single_bolus_that_is_denied_does_not_come_later() {
    let single = Program {
        mode: Mode::SingleBolus {
            dose_ng: 200_000,
            duration_s: 600,
        },
        ..morphine()
    };
    let mut bench = Bench::on_monday();
    bench.ask(Command::MriMode { minutes: 60 });
    bench.program(&single);
    bench.run(Duration::from_hours(5));
    assert_eq!(bench.made(), 0);
    let denied = |record: &&&Record| {
        matches!(
            record,
            Record::BolusDenied {
                id: 0,
                reason: BolusDenial::MriMode
            }
        )
    };
    assert_eq!(bench.log().iter().filter(denied).count(), 1);
    // Nor when its record was not kept: that was certainly not done.
    let mut bench = Bench::on_monday();
    let staged = bench.stage(&single);
    bench.journal = Journal::Mute;
    bench.commit(&staged);
    let program = bench.offered.last().expect("a record").0;
    bench.tell(Event::Persisted(program));
    bench.run(Duration::from_minutes(2));
    bench.journal = Journal::Keeps;
    bench.event(Event::Storage(StorageReport::default()));
    bench.run(Duration::from_days(2));
    assert_eq!(bench.made(), 0);
}

/// What is lost of boluses is taken for given.
///
/// Requirement: AC-20
#[test]
fn lost_boluses_are_taken_for_given() {
    let lost = |bench: Bench| {
        let mut flash = bench.flash();
        flash.set(StateKind::Boluses, Recovery::Lost);
        let mut bench = Bench::new(flash);
        bench.set_clock();
        assert!(bench.has_alarm(AlarmKind::MemoryLost));
        bench
    };
    let mut bench = Bench::on_monday();
    bench.program(&Program {
        mode: Mode::SingleBolus {
            dose_ng: 200_000,
            duration_s: 600,
        },
        ..morphine()
    });
    bench.run(Duration::from_hours(1));
    assert_eq!(bench.made(), u64::from(BOLUS_STEPS));
    let mut bench = lost(bench);
    bench.run(Duration::from_days(2));
    assert_eq!(bench.made(), 0, "not a second time");

    let mut bench = Bench::on_monday();
    bench.program(&periodic());
    bench.run(Duration::from_hours(3));
    let mut bench = lost(bench);
    bench.ask(Command::AcknowledgeAlarm {
        alarm: AlarmKind::MemoryLost,
    });
    bench.run(Duration::from_minutes(119));
    assert_eq!(bench.started_jobs(), []);
    bench.run(Duration::from_minutes(2));
    assert_eq!(
        bench.started_jobs().len(),
        1,
        "they go on, a whole interval later"
    );

    let mut bench = lost(at_home());
    bench.ask(Command::AcknowledgeAlarm {
        alarm: AlarmKind::MemoryLost,
    });
    bench.run(Duration::from_hours(24));
    assert!(matches!(
        denied(bench.patient(1)),
        BolusDenial::Lockout { .. }
    ));
    bench.run(Duration::from_hours(1));
    assert_eq!(bench.patient(1), STARTED);
}

/// The last boundary of what a commit cancels.
#[test]
fn a_commit_of_another_therapy_and_a_stop_cancel_a_bolus_for_ever() {
    for program in [
        Program {
            mode: Mode::Stopped,
            ..morphine_at(10_000_000, 1)
        },
        morphine_at(10_000_000, 6_000_000),
    ] {
        let mut bench = at_home();
        bench.patient(1);
        bench.run(Duration::from_minutes(1));
        bench.program(&program);
        assert_eq!(bench.ended()[0].2, JobEnd::Cancelled);
        assert_eq!(bench.therapy().job, None);
    }
    // The same therapy again is not another.
    let mut bench = at_home();
    bench.patient(1);
    bench.run(Duration::from_minutes(1));
    bench.program(&Program {
        fill: None,
        ..with_boluses()
    });
    assert!(bench.therapy().job.is_some());
}

const PRIME: Prime = Prime {
    number: 2,
    kind: PrimeKind::PumpAndCatheter,
    catheter_aspirated: false,
    disconnected: false,
    reason: None,
};

pub(super) fn prime(number: u32, kind: PrimeKind) -> Command {
    Command::Prime(Prime {
        number,
        kind,
        ..PRIME
    })
}

/// Requirement: AC-14
#[test]
fn a_prime_gives_the_path_to_a_step_once_in_a_day() {
    let mut bench = Bench::fresh();
    assert_eq!(
        refused(bench.ask(prime(1, PrimeKind::PumpAndCatheter))),
        Refused::NoPath
    );
    bench.catheter();
    assert_eq!(bench.ask(prime(1, PrimeKind::PumpAndCatheter)), STARTED);
    assert_eq!(bench.status().delivery, DeliveryState::Priming);
    bench.run(Duration::from_minutes(30));
    // 0.3006 mL down to a whole step of 2.5 nL.
    assert_eq!(bench.made(), 120_240);
    assert_eq!(bench.ended()[0].2, JobEnd::Completed);
    bench.run(Duration::from_hours(23));
    assert!(matches!(
        refused(bench.ask(prime(2, PrimeKind::PumpAndCatheter))),
        Refused::TooSoon { .. }
    ));
    let outcome = bench.ask(Command::Prime(Prime {
        reason: Some(OverrideReason::Procedure),
        ..PRIME
    }));
    assert_eq!(outcome, Some(Outcome::BolusStarted { number: 2 }));
}

/// Requirement: AC-14
#[test]
fn a_prime_that_a_reset_interrupts_is_completed_by_a_command_only() {
    let mut bench = Bench::fresh();
    bench.catheter();
    bench.ask(prime(1, PrimeKind::PumpAndCatheter));
    bench.run(Duration::from_minutes(5));
    let mut bench = bench.reset(ResetCause::Watchdog);
    bench.run(Duration::from_hours(1));
    assert_eq!(bench.made(), 0);
    assert_eq!(bench.ended()[0].2, JobEnd::Interrupted);
    // What is missing can be given: nothing has reached the tip.
    let outcome = bench.ask(prime(2, PrimeKind::PumpAndCatheter));
    assert_eq!(outcome, Some(Outcome::BolusStarted { number: 2 }));
    bench.run(Duration::from_hours(1));
    assert!(bench.made() <= 120_240, "{}", bench.made());
}

/// What was drawn back from the catheter is no drug: a prime of the pump's part alone gives none.
///
/// Requirement: TH-prime-dose
#[test]
fn an_aspirated_catheter_makes_a_prime_give_no_drug() {
    let program = morphine();
    let drug_given = |aspirated: bool| {
        let mut bench = Bench::fresh();
        bench.catheter();
        bench.program(&program);
        // The path is full of morphine.
        bench.run(Duration::from_days(2));
        let before = bench.therapy().mass_24h[0].total_ng;
        let outcome = bench.ask(Command::Prime(Prime {
            number: 1,
            kind: PrimeKind::PumpOnly,
            catheter_aspirated: aspirated,
            ..PRIME
        }));
        (outcome, bench.therapy().mass_24h[0].total_ng - before)
    };
    let (outcome, given) = drug_given(true);
    assert_eq!((outcome, given), (STARTED, 0));
    let (_, given) = drug_given(false);
    // 0.14 mL of 10 mg/mL would leave the tip.
    assert!(given >= 1_390_000, "{given}");
}

/// What a bolus changed is undone when it could not be recorded, but not what had ended meanwhile.
#[test]
fn undoing_a_bolus_does_not_bring_back_one_that_has_ended() {
    let mut bench = at_home();
    let outcome = bench.ask(Command::ClinicianBolus(ClinicianBolus {
        number: 1,
        dose_ng: 400_000,
        duration_s: 7_200,
        reason: None,
    }));
    assert_eq!(outcome, STARTED);
    bench.run(Duration::from_seconds(7_199));
    bench.journal = Journal::Silent;
    assert_eq!(bench.patient(2), None);
    bench.run(Duration::from_seconds(4));
    assert_eq!(bench.ended().len(), 1);
    bench.journal = Journal::Keeps;
    bench.run(Duration::from_seconds(20));
    let kept: BolusRecord = bench.kept(StateKind::Boluses).unwrap();
    assert_eq!((kept.job, kept.suspended), (None, None));
}
