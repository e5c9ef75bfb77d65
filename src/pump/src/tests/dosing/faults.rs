//! Rows of the fault table, through the pump.

use super::*;

impl Bench {
    fn flow(&mut self) -> u32 {
        self.status().flow_nl_per_day
    }

    /// The rotor gives so many pulses more than it was ordered.
    fn runs_ahead(&mut self, pulses: i64) {
        self.extra += pulses;
        self.tick();
        self.run(Duration::from_minutes(16));
    }
}

/// Requirement: AC-3, TH-fault-table
#[test]
fn over_delivery_stops_over_resets_until_a_commit() {
    for cut in [false, true] {
        let mut bench = at_home();
        bench.runs_ahead(500);
        assert!(bench.has_alarm(AlarmKind::OverDelivery));
        assert_eq!(bench.flow(), 0);
        let made = bench.made();
        bench.run(Duration::from_hours(1));
        assert_eq!(bench.made(), made);
        let mut bench = if cut {
            bench.cut_and_go_on()
        } else {
            bench.reset(ResetCause::Watchdog)
        };
        bench.run(Duration::from_hours(1));
        assert_eq!(bench.made(), 0);
        assert!(bench.has_alarm(AlarmKind::OverDelivery));
        // Acknowledging starts nothing.
        let alarm = AlarmKind::OverDelivery;
        assert_eq!(
            bench.ask(Command::AcknowledgeAlarm { alarm }),
            Some(Outcome::Done)
        );
        bench.run(Duration::from_hours(1));
        assert_eq!(bench.made(), 0);
        bench.program(&morphine_at(10_000_000, 5_000_000));
        bench.run(Duration::from_hours(1));
        assert!(bench.made().abs_diff(8_333) <= 1, "{}", bench.made());
    }
}

/// What is latched after a program was staged its clinician has not seen: that commit does not end it, and the next one does.
///
/// Requirement: TH-fault-table
#[test]
fn a_commit_ends_only_the_faults_that_were_there_when_it_was_staged() {
    let mut bench = at_home();
    let staged = bench.stage(&morphine_at(10_000_000, 6_000_000));
    bench.journal = Journal::Silent;
    assert_eq!(bench.commit(&staged), None);
    let ticket = bench.offered.last().expect("a record").0;
    bench.journal = Journal::Keeps;
    assert_eq!(
        bench.ask_from(SessionId(9), Command::EmergencyMinimumRate),
        Some(Outcome::Done)
    );
    assert_eq!(bench.flow(), 6_000);
    bench.tell(Event::Persisted(ticket));
    bench.run(Duration::from_minutes(1));
    assert_eq!(bench.flow(), 6_000);
    assert!(bench.has_alarm(AlarmKind::EmergencyMinimumRate));
    bench.program(&morphine_at(10_000_000, 5_000_000));
    assert_eq!(bench.flow(), 500_000);
}

/// Faults are latched on flash. Where that is lost in both copies, nobody knows which there were.
///
/// Requirement: AC-20, TH-fault-table
#[test]
fn lost_latches_are_minimum_rate_until_a_commit() {
    for over in [false, true] {
        let mut bench = at_home();
        if over {
            bench.runs_ahead(500);
            assert_eq!(bench.flow(), 0);
        }
        let mut flash = bench.flash();
        flash.set(StateKind::Care, Recovery::Lost);
        let mut bench = Bench::new(flash);
        bench.set_clock();
        assert_eq!(bench.flow(), 6_000);
        assert!(bench.has_alarm(AlarmKind::MemoryLost));
        let mut bench = bench.cut_and_go_on();
        assert_eq!(bench.flow(), 6_000);
        bench.program(&morphine_at(10_000_000, 5_000_000));
        assert_eq!(bench.flow(), 500_000);
    }
}

/// A refill that may have been open when its record was lost was not confirmed.
///
/// Requirement: AC-20, TH-refill-not-confirmed
#[test]
fn a_lost_refill_was_not_confirmed() {
    let mut bench = at_home();
    bench.empty();
    let mut flash = bench.flash();
    flash.set(StateKind::Refills, Recovery::Lost);
    let mut bench = Bench::new(flash);
    bench.set_clock();
    assert!(bench.has_alarm(AlarmKind::RefillNotConfirmed));
    assert_eq!(bench.status().reservoir_fl, None);
    assert_eq!(denied(bench.patient(1)), BolusDenial::Alarm);
}

/// Requirement: AC-2
#[test]
fn a_rotor_that_turns_backwards_stops_the_pump_within_ten_seconds() {
    let stopped = Action::Append {
        session: None,
        record: Record::AlarmOn {
            alarm: AlarmKind::ReverseDelivery,
        },
    };
    let mut bench = at_home();
    bench.run(Duration::from_minutes(7));
    // Each step goes back one pulse instead of forward.
    bench.jam(true);
    bench.backwards = true;
    let (from, made) = (bench.now, bench.made());
    while bench.handed_out > 0 && !bench.actions.contains(&stopped) {
        bench.step_to(bench.next_call);
    }
    // 2.3 steps a second: three of them are back after 1.3 s.
    assert!(bench.now - from <= 10_000_000, "{} us", bench.now - from);
    assert!(bench.made() - made <= 24);
    assert!(bench.has_alarm(AlarmKind::ReverseDelivery));
    assert_eq!(bench.flow(), 0);
}

/// Requirement: AC-4, TH-retries, TH-no-catching-up
#[test]
fn a_rotor_that_stands_still_gets_retries_only_and_comes_back_by_itself() {
    let mut bench = at_home();
    bench.jam(true);
    bench.run(Duration::from_minutes(2));
    assert!(bench.has_alarm(AlarmKind::MotorStall));
    let made = bench.made();
    bench.run(Duration::from_hours(5));
    let tried = bench.made() - made;
    assert!((40..=40 * 33).contains(&tried), "{tried}");
    let levels: Vec<u8> = bench
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::Order { level, .. } if *level > 1 => Some(*level),
            _ => None,
        })
        .collect();
    assert!(levels.contains(&2) && levels.contains(&3), "{levels:?}");
    assert_eq!(denied(bench.patient(1)), BolusDenial::Alarm);
    bench.jam(false);
    let before = bench.made();
    bench.run(Duration::from_minutes(40));
    assert!(
        bench
            .log()
            .iter()
            .any(|record| matches!(record, Record::StallRecovered { .. }))
    );
    let made = bench.made() - before;
    // 40 min of basal are 5,556 steps; nothing of five hours comes behind.
    assert!((4_000..=5_600).contains(&made), "{made}");
    let status = bench.status();
    assert!(status.deficit_steps > 40_000, "{}", status.deficit_steps);
}

/// A stall lasts over a reset, and so do the retries.
///
/// Requirement: AC-4
#[test]
fn a_stall_is_no_better_after_a_reset() {
    let mut bench = at_home();
    bench.jam(true);
    bench.run(Duration::from_minutes(10));
    let mut bench = bench.cut_and_go_on();
    bench.jam(true);
    bench.run(Duration::from_minutes(30));
    assert!(bench.made() <= 40 * 12, "{}", bench.made());
    bench.jam(false);
    bench.run(Duration::from_minutes(30));
    assert!(bench.made() > 2_000, "{}", bench.made());
}

/// Requirement: TH-unattended-resume
#[test]
fn delivery_that_comes_back_after_two_days_is_minimum_rate_until_a_clinician_comes() {
    let mut bench = at_home();
    bench.jam(true);
    bench.run(Duration::from_hours(49));
    bench.jam(false);
    bench.run(Duration::from_minutes(30));
    assert!(bench.has_alarm(AlarmKind::ResumedAtMinimum));
    assert_eq!(bench.flow(), 6_000);
    let mut bench = bench.cut_and_go_on();
    assert_eq!(bench.flow(), 6_000);
    bench.program(&morphine_at(10_000_000, 5_000_000));
    assert_eq!(bench.flow(), 500_000);
}

/// Requirement: AC-20, TH-fault-table
#[test]
fn a_clock_that_is_lost_holds_the_mean_or_stops_what_needs_it() {
    for (policy, flow) in [(FaultPolicy::HoldLast, 400_000), (FaultPolicy::Stop, 0)] {
        let mut bench = Bench::on_monday();
        bench.program(&Program {
            fill: FULL,
            fault_policy: Some(policy),
            mode: flex(Per::Hour, &[&[(0, 100_000), (480, 200_000)]], [0; 7]),
            ..morphine_at(10_000_000, 1)
        });
        bench.run(Duration::from_hours(1));
        assert_eq!(bench.flow(), 480_000);
        let mut bench = bench.power_cut();
        assert!(bench.has_alarm(AlarmKind::ClockLost));
        // 8 h of 0.24 and 16 h of 0.48 mL/day.
        assert_eq!(bench.flow(), flow, "{policy}");
        bench.set_clock();
        assert_eq!(bench.flow(), 480_000);
    }
    // One rate needs no time of day.
    let mut bench = at_home().power_cut();
    assert_eq!(bench.flow(), 500_000);
}

/// Requirement: AC-17, TH-fault-table
#[test]
fn an_empty_reservoir_goes_on_or_stops_as_the_drug_wants() {
    for (policy, flow, overdrawn) in [
        (FaultPolicy::HoldLast, 5_000_000, 6_000),
        (FaultPolicy::Stop, 0, 0),
    ] {
        let mut bench = Bench::fresh();
        let program = Program {
            fill: Some(Fill {
                volume_nl: 5_000_000,
                top_up: false,
            }),
            fault_policy: Some(policy),
            ..morphine_at(1_000_000, 5_000_000)
        };
        bench.program(&program);
        bench.run(Duration::from_hours(14));
        assert!(!bench.has_alarm(AlarmKind::LowReservoir));
        bench.run(Duration::from_minutes(30));
        assert!(bench.has_alarm(AlarmKind::LowReservoir), "2 mL left");
        bench.run(Duration::from_hours(9));
        assert_eq!(bench.flow(), 5_000_000);
        bench.run(Duration::from_minutes(31));
        assert!(bench.has_alarm(AlarmKind::EmptyReservoir));
        assert_eq!(bench.flow(), flow, "{policy}");
        bench.run(Duration::from_hours(3));
        assert_eq!(bench.flow(), overdrawn, "{policy}");
        bench.refill(&program);
        assert_eq!(bench.flow(), 5_000_000);
    }
}

/// Requirement: TH-fault-table
#[test]
fn emergency_minimum_rate_is_latched_over_resets_and_needs_no_journal() {
    let mut bench = at_home();
    bench.patient(1);
    bench.run(Duration::from_minutes(1));
    bench.journal = Journal::Silent;
    assert_eq!(
        bench.ask(Command::EmergencyMinimumRate),
        Some(Outcome::Done)
    );
    assert_eq!(bench.flow(), 6_000);
    assert_eq!(bench.ended()[0].2, JobEnd::Cancelled);
    bench.journal = Journal::Keeps;
    bench.run(Duration::from_seconds(30));
    let mut bench = bench.cut_and_go_on();
    assert_eq!(bench.flow(), 6_000);
    assert!(bench.has_alarm(AlarmKind::EmergencyMinimumRate));
    bench.program(&morphine_at(10_000_000, 5_000_000));
    assert_eq!(bench.flow(), 500_000);
    // What was never programmed has no minimum rate.
    assert_eq!(
        refused(Bench::fresh().ask(Command::EmergencyMinimumRate)),
        Refused::NotNow {
            why: NotNow::NotProgrammed
        }
    );
}

/// Another order that could not be recorded takes nothing of an emergency back.
#[test]
fn an_order_that_was_not_done_undoes_no_emergency() {
    let mut bench = at_home();
    bench.journal = Journal::Silent;
    assert_eq!(bench.ask(Command::MriMode { minutes: 30 }), None);
    bench.ask(Command::EmergencyMinimumRate);
    bench.run(Duration::from_seconds(6));
    assert_eq!(bench.therapy().mri_left_s, None, "undone");
    assert_eq!(bench.flow(), 6_000);
    assert!(bench.has_alarm(AlarmKind::EmergencyMinimumRate));
}

/// Requirement: TH-fault-table
#[test]
fn no_response_starts_what_is_stopped() {
    let single = Program {
        mode: Mode::SingleBolus {
            dose_ng: 200_000,
            duration_s: 600,
        },
        ..morphine()
    };
    let stop = Program {
        mode: Mode::Stopped,
        ..morphine()
    };
    for program in [single, stop] {
        let mut bench = Bench::on_monday();
        bench.program(&program);
        bench.run(Duration::from_minutes(30));
        let made = bench.made();
        bench.ask(Command::EmergencyMinimumRate);
        bench.run(Duration::from_hours(2));
        assert_eq!(bench.made(), made, "{program:?}");
        let mut motor = bench.motor();
        motor.faults.driver_failed = true;
        bench.event(Event::Tick(motor));
        assert_eq!(bench.flow(), 0);
    }
}

/// Requirement: TH-fault-table
#[test]
fn a_motor_driver_that_fails_follows_the_policy() {
    for (policy, flow) in [(FaultPolicy::HoldLast, 500_000), (FaultPolicy::Stop, 0)] {
        let mut bench = Bench::fresh();
        bench.program(&Program {
            fault_policy: Some(policy),
            ..morphine()
        });
        let mut motor = bench.motor();
        motor.faults.driver_failed = true;
        bench.event(Event::Tick(motor));
        let now = bench.clock();
        let actions = bench.pump.handle(now, Event::Tick(motor));
        drop(actions);
        let Some((
            Record::DeliveryChanged {
                flow_nl_per_day, ..
            },
            _,
        )) = bench
            .log()
            .into_iter()
            .rev()
            .find(|record| matches!(record, Record::DeliveryChanged { .. }))
            .map(|record| (record.clone(), ()))
        else {
            panic!("not told")
        };
        assert_eq!(flow_nl_per_day, flow, "{policy}");
    }
}

/// The end of service wins over everything, and is in force after seven years whatever the battery says.
///
/// Requirement: AC-18, TH-service-life
#[test]
fn the_end_of_service_is_announced_and_stops_every_drug() {
    let day = 86_400;
    let minute_before = |days_left: u64| {
        let mut recovered = Recovered::new_pump(CommissioningRecord::NOMINAL);
        recovered.basis.totals = Recovery::Good(TotalsRecord {
            powered_s: (7 * 365 - days_left) * day - 60,
            ..TotalsRecord::default()
        });
        let mut bench = Bench::new(recovered);
        bench.program(&baclofen());
        bench
    };
    let stages = [
        (90, None, AlarmKind::ReplacementDue),
        (14, Some(AlarmKind::ReplacementDue), AlarmKind::ReplaceNow),
    ];
    for (days_left, before, alarm) in stages {
        let mut bench = minute_before(days_left);
        assert!(before.is_none_or(|before| bench.has_alarm(before)));
        assert!(!bench.has_alarm(alarm));
        bench.run(Duration::from_minutes(2));
        assert!(bench.has_alarm(alarm), "{alarm}");
        assert_eq!(bench.flow(), 125_000);
    }
    let mut bench = minute_before(0);
    bench.run(Duration::from_minutes(2));
    assert_eq!(bench.flow(), 0);
    assert!(bench.has_alarm(AlarmKind::EndOfService));
    let mut bench = bench.power_cut();
    bench.run(Duration::from_hours(1));
    assert_eq!(bench.made(), 0);
    // Not even a commit.
    bench.program(&dose(300_000));
    bench.run(Duration::from_hours(1));
    assert_eq!(bench.made(), 0);
}

/// Requirement: TH-trial-expiry
#[test]
fn a_trial_stops_by_itself_and_does_not_come_back_by_itself() {
    let mut bench = programs::of_kind(PumpKind::ExternalTrial);
    let program = Program {
        fill: Some(Fill {
            volume_nl: 100_000_000,
            top_up: false,
        }),
        ..morphine_at(1_000_000, 2_400_000)
    };
    bench.program(&program);
    bench.run(Duration::from_days(6));
    bench.run(Duration::from_hours(1));
    assert!(bench.has_alarm(AlarmKind::TrialEnding));
    assert_eq!(bench.flow(), 2_400_000);
    bench.run(Duration::from_hours(23));
    assert!(bench.has_alarm(AlarmKind::TrialExpired));
    assert_eq!(bench.flow(), 0);
    let mut bench = bench.power_cut();
    bench.run(Duration::from_hours(1));
    assert_eq!(bench.made(), 0);
    assert_eq!(
        bench.ask(Command::ExtendTrial { days: 2 }),
        Some(Outcome::Done)
    );
    bench.run(Duration::from_hours(1));
    assert_eq!(bench.made(), 0, "delivery does not come back by itself");
    bench.program(&Program {
        fill: None,
        ..program
    });
    bench.run(Duration::from_hours(1));
    assert!(bench.made() > 0);
}

/// Requirement: TH-keep-open
#[test]
fn an_external_pump_keeps_the_vein_open_with_its_last_millilitre() {
    let mut bench = programs::of_kind(PumpKind::ExternalTrial);
    bench.program(&Program {
        fill: Some(Fill {
            volume_nl: 5_000_000,
            top_up: false,
        }),
        fault_policy: Some(FaultPolicy::HoldLast),
        // 1 mL/h.
        ..morphine_at(100_000, 2_400_000)
    });
    bench.run(Duration::from_minutes(239));
    assert_eq!(bench.flow(), 24_000_000);
    bench.run(Duration::from_minutes(2));
    assert_eq!(bench.flow(), 2_400_000, "0.1 mL/h");
    bench.run(Duration::from_hours(10));
    assert_eq!(bench.flow(), 0, "empty");
}
