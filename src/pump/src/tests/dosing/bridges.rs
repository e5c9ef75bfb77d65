//! The path to the tip, and bridges over it.

use super::*;
use protocol::LimitKind;
use protocol::therapy::PathStatus;

impl Bench {
    fn path(&mut self) -> PathStatus {
        match self.ask(Command::ReadPath) {
            Some(Outcome::Path(path)) => path,
            other => panic!("no path: {other:?}"),
        }
    }

    /// With a catheter, a path full of morphine 10 mg/mL, 5 mg/day.
    fn with_full_path() -> Self {
        let mut bench = Self::on_monday();
        bench.catheter();
        bench.program(&morphine());
        bench.run(Duration::from_days(1));
        assert_eq!(bench.path().slugs.len(), 1);
        bench
    }
}

/// From 10 to 20 mg/mL, bridged at the old 5 mg/day.
fn stronger() -> Program {
    Program {
        fill: FULL,
        bridge: Some(Dose {
            nanograms: 5_000_000,
            per: Per::Day,
        }),
        ..morphine_at(20_000_000, 5_000_000)
    }
}

/// The path of 0.3006 mL at 0.5 mL/day: 120,240 steps of 14 h 25 min 44 s. Then half the flow of twice the concentration.
///
/// Requirement: AC-13, TH-bridge
#[test]
fn a_bridge_is_needed_runs_on_counted_volume_and_ends_by_itself() {
    let mut bench = Bench::with_full_path();
    bench.empty();
    assert!(matches!(
        refused(bench.ask(Command::Stage(Program {
            bridge: None,
            ..stronger()
        }))),
        Refused::BridgeNeeded {
            lowest_ng_per_day: 480_000,
            highest_ng_per_day: 240_000_000
        }
    ));
    let staged = bench.stage(&stronger());
    let plan = staged.bridge.expect("a bridge");
    assert_eq!((plan.flow_nl_per_day, plan.volume_nl), (500_000, 300_600));
    let made = bench.made();
    bench.commit(&staged);
    let status = bench.status();
    assert_eq!(status.delivery, DeliveryState::Bridging);
    assert_eq!(status.flow_nl_per_day, 500_000);
    while bench.status().delivery == DeliveryState::Bridging {
        bench.run(Duration::from_seconds(60));
    }
    assert_eq!(bench.status().flow_nl_per_day, 250_000);
    let bridged = bench.made() - made;
    assert!((120_240..=120_240 + 145).contains(&bridged), "{bridged}");
    assert!(bench.log().contains(&&Record::BridgeEnded {}));
    assert_eq!(bench.status().deficit_steps, 0);
}

/// Basal orders of a minute may lie beyond the end; but the rate changes at the tick that sees the volume gone.
///
/// Requirement: AC-13
#[test]
fn a_bridge_goes_on_where_it_was_after_a_reset() {
    let mut bench = Bench::with_full_path();
    bench.refill(&stronger());
    bench.run(Duration::from_hours(7));
    let left = bench.therapy().bridge.expect("bridging").left_nl;
    let mut bench = bench.cut_and_go_on();
    let after = bench.therapy().bridge.expect("bridging").left_nl;
    // Nothing is forgotten; what a checkpoint allows for may be counted too much.
    assert!(after <= left + 3 && left - after < 2_000, "{left} {after}");
    assert_eq!(bench.status().flow_nl_per_day, 500_000);
    bench.run(Duration::from_hours(8));
    assert_eq!(bench.status().flow_nl_per_day, 250_000);
    // Over for good.
    let mut bench = bench.cut_and_go_on();
    assert_eq!(bench.therapy().bridge, None);
    assert_eq!(bench.status().flow_nl_per_day, 250_000);
}

/// Power fails between the program's record and the path's: the path is made up for.
///
/// Requirement: AC-13, AC-5
#[test]
fn a_path_that_is_one_commit_behind_is_caught_up() {
    let mut bench = Bench::with_full_path();
    let behind = bench.flash[&StateKind::Path].clone();
    bench.refill(&stronger());
    bench.flash.insert(StateKind::Path, behind);
    let mut bench = bench.cut_and_go_on();
    let bridge = bench.therapy().bridge.expect("bridging");
    assert!((299_000..=300_600).contains(&bridge.left_nl), "{bridge:?}");
    assert_eq!(bridge.flow_nl_per_day, 500_000);
    let record: PathRecord = bench
        .kept::<Option<PathRecord>>(StateKind::Path)
        .unwrap()
        .unwrap();
    assert_eq!(record.program_number, 2);
}

/// Requirement: TH-bridge
#[test]
fn nobody_gets_a_bolus_during_a_bridge_and_a_flex_step_waits_for_its_end() {
    let mut bench = Bench::on_monday();
    bench.catheter();
    bench.program(&morphine());
    bench.run(Duration::from_days(1));
    bench.empty();
    let program = Program {
        mode: flex(
            Per::Hour,
            &[&[(0, 200_000), (360, 400_000), (1_320, 200_000)]],
            [0; 7],
        ),
        patient_bolus: Some(RULE),
        ..stronger()
    };
    // 10:00. The bridge of 14 h 25 min lasts beyond 22:00.
    bench.program(&program);
    bench.run(Duration::from_hours(13));
    assert_eq!(bench.status().flow_nl_per_day, 500_000);
    assert_eq!(denied(bench.patient(1)), BolusDenial::Bridging);
    let bolus = Command::ClinicianBolus(ClinicianBolus {
        number: 1,
        dose_ng: 200_000,
        duration_s: 600,
        reason: None,
    });
    assert_eq!(denied(bench.ask(bolus)), BolusDenial::Bridging);
    let prime = super::boluses::prime(1, PrimeKind::PumpAndCatheter);
    assert_eq!(
        refused(bench.ask(prime)),
        Refused::NotNow {
            why: NotNow::Bridging
        }
    );
    bench.run(Duration::from_hours(2));
    // 200 mcg/h of 20 mg/mL.
    assert_eq!(bench.status().flow_nl_per_day, 240_000);
}

/// Requirement: TH-bridge
#[test]
fn a_second_change_during_a_bridge_is_a_slug_with_a_dose_of_its_own() {
    let mut bench = Bench::with_full_path();
    bench.refill(&stronger());
    bench.run(Duration::from_hours(5));
    let second = Program {
        bridge: Some(Dose {
            nanograms: 4_000_000,
            per: Per::Day,
        }),
        ..morphine_at(15_000_000, 5_000_000)
    };
    bench.refill(&Program {
        fill: FULL,
        ..second
    });
    assert_eq!(bench.status().flow_nl_per_day, 500_000, "the first slug");
    // Nothing of the third has entered the path yet.
    assert_eq!(bench.path().slugs.len(), 2);
    bench.run(Duration::from_hours(10));
    // 4 mg/day of 20 mg/mL.
    assert_eq!(bench.status().flow_nl_per_day, 200_000);
    bench.run(Duration::from_days(2));
    assert_eq!(bench.therapy().bridge, None);
    assert!(bench.status().flow_nl_per_day.abs_diff(333_333) <= 1);
}

/// What is led to the tip meanwhile has its hard limit too: the limit itself is allowed, a nanogram more is not, and no reason opens it.
#[test]
fn a_bridge_that_leads_more_than_the_hard_limit_to_the_tip_is_refused() {
    let mut bench = Bench::with_full_path();
    bench.empty();
    let bridged_at = |nanograms| Program {
        bridge: Some(Dose {
            nanograms,
            per: Per::Day,
        }),
        ..stronger()
    };
    let drug = Drug::Morphine;
    let Some(Outcome::Library(entry)) = bench.ask(Command::ReadLibrary { drug }) else {
        panic!("no library");
    };
    let hard = entry.day_hard_ng;
    let found = refused(bench.ask(Command::Stage(bridged_at(hard + 1))));
    assert!(
        matches!(
            found,
            Refused::OverLimit { limit_kind: LimitKind::DayNanograms, drug: of, limit, .. }
                if of == drug && limit == hard
        ),
        "{found:?}"
    );
    assert_eq!(bench.stage(&bridged_at(hard)).program, bridged_at(hard));
}

/// Requirement: AC-13
#[test]
fn a_change_of_dose_alone_needs_no_bridge() {
    let mut bench = Bench::with_full_path();
    let staged = bench.stage(&morphine_at(10_000_000, 6_000_000));
    assert_eq!(staged.bridge, None);
    bench.commit(&staged);
    assert_eq!(bench.status().flow_nl_per_day, 600_000);
}

/// Requirement: TH-bridge-queue-lost
#[test]
fn a_bridge_that_is_lost_gives_the_lower_of_both_rates_until_a_commit() {
    for lost in [StateKind::Path, StateKind::Program] {
        let mut bench = Bench::with_full_path();
        bench.refill(&stronger());
        bench.run(Duration::from_hours(2));
        let mut flash = bench.flash();
        if lost == StateKind::Path {
            flash.set(StateKind::Path, Recovery::Lost);
        } else {
            // With the totals it is not known how far the old liquid has come.
            flash.basis.totals = Recovery::Lost;
        }
        let mut bench = Bench::new(flash);
        bench.set_clock();
        assert!(bench.has_alarm(AlarmKind::BridgeLost));
        // The bridge would have 0.5 mL/day.
        assert_eq!(bench.status().flow_nl_per_day, 250_000);
        bench.program(&morphine_at(20_000_000, 5_000_000));
        assert_eq!(bench.status().flow_nl_per_day, 250_000);
        bench.ask(Command::AcknowledgeAlarm {
            alarm: AlarmKind::BridgeLost,
        });
        assert!(!bench.has_alarm(AlarmKind::BridgeLost));
    }
}

/// Requirement: TH-bridge
#[test]
fn a_stop_freezes_a_bridge() {
    let mut bench = Bench::with_full_path();
    bench.refill(&stronger());
    bench.run(Duration::from_hours(2));
    bench.program(&Program {
        mode: Mode::Stopped,
        ..morphine_at(20_000_000, 1)
    });
    bench.run(Duration::from_hours(1));
    let left = bench.therapy().bridge.expect("frozen").left_nl;
    let made = bench.made();
    bench.run(Duration::from_days(1));
    assert_eq!(bench.made(), made);
    assert_eq!(bench.therapy().bridge.expect("frozen").left_nl, left);
    bench.program(&morphine_at(20_000_000, 5_000_000));
    assert_eq!(bench.status().flow_nl_per_day, 500_000);
}

/// A stop is never refused for what it names, and the start behind it is bridged: the path still holds what was there.
///
/// Requirement: AC-13, TH-bridge
#[test]
fn a_start_behind_a_stop_with_another_liquid_needs_the_bridge() {
    let stop = Program {
        mode: Mode::Stopped,
        bridge: None,
        ..stronger()
    };
    for cut in [false, true] {
        let mut bench = Bench::with_full_path();
        bench.refill(&stop);
        let made = bench.made();
        bench.run(Duration::from_days(1));
        assert_eq!(bench.made(), made);
        if cut {
            bench = bench.cut_and_go_on();
        }
        let start = Program {
            fill: None,
            ..stronger()
        };
        assert!(matches!(
            refused(bench.ask(Command::Stage(Program {
                bridge: None,
                ..start.clone()
            }))),
            Refused::BridgeNeeded { .. }
        ));
        bench.program(&start);
        let status = bench.status();
        assert_eq!(status.delivery, DeliveryState::Bridging);
        assert_eq!(
            status.flow_nl_per_day, 500_000,
            "the old one at the old dose"
        );
        bench.run(Duration::from_hours(15));
        assert_eq!(bench.status().flow_nl_per_day, 250_000);
    }
}

/// Without a catheter nobody knows how long the old liquid flows: not even a stop may name another one, for the start behind it would.
///
/// Requirement: TH-bridge
#[test]
fn without_a_catheter_a_stop_names_the_liquid_that_is_there() {
    let mut bench = Bench::on_monday();
    bench.program(&morphine());
    let stop = |of| Program {
        mode: Mode::Stopped,
        ..morphine_at(of, 1)
    };
    assert_eq!(
        refused(bench.ask(Command::Stage(stop(20_000_000)))),
        Refused::NoPath
    );
    bench.program(&stop(10_000_000));
    assert_eq!(bench.status().flow_nl_per_day, 0);
}

/// A catheter that could not be recorded is none, also when its record lands late.
#[test]
fn a_catheter_that_was_not_done_is_none_after_a_reset() {
    let mut bench = Bench::fresh();
    bench.journal = Journal::Mute;
    assert_eq!(bench.ask(Command::SetCatheter(catheter())), None);
    bench.run(Duration::from_seconds(5));
    assert_eq!(bench.path().path_nl, None);
    bench.journal = Journal::Keeps;
    bench.run(Duration::from_seconds(20));
    let mut bench = bench.power_cut();
    assert_eq!(bench.path().path_nl, None);
    bench.catheter();
    let mut bench = bench.power_cut();
    assert_eq!(bench.path().path_nl, Some(300_600));
}
