//! Programs: what a commit compares, refuses and wants a reason for; flex and the clock; refills; commissioning; the library.

use super::*;

/// Requirement: AC-12
#[test]
fn a_commit_of_other_numbers_than_the_pumps_is_refused() {
    let mut bench = Bench::fresh();
    bench.program(&morphine());
    let wanted = morphine_at(10_000_000, 6_000_000);
    let staged = bench.stage(&wanted);
    let shown = staged.shown();
    assert_eq!(
        shown,
        Shown {
            old_day_total_ng: Some(5_000_000),
            new_day_total_ng: 6_000_000,
            change_tenths_percent: Some(200),
        }
    );
    let commit = staged.commit(Some(OverrideReason::Titration));
    for wrong in [
        Shown {
            old_day_total_ng: None,
            ..shown
        },
        Shown {
            new_day_total_ng: 6_000_001,
            ..shown
        },
        Shown {
            change_tenths_percent: Some(201),
            ..shown
        },
    ] {
        bench.stage(&wanted);
        let outcome = bench.ask(Command::Commit(protocol::Commit {
            shown: wrong,
            ..commit
        }));
        assert_eq!(
            refused(outcome),
            Refused::ShownDiffers {
                shown: wrong,
                pump: shown
            }
        );
        assert_eq!(
            refused(bench.ask(Command::Commit(commit))),
            Refused::NothingStaged,
            "it has to be looked at again"
        );
    }
    bench.stage(&wanted);
    assert_eq!(
        bench.ask(Command::Commit(commit)),
        Some(Outcome::Committed { program_number: 2 })
    );
}

/// Requirement: AC-11, TH-titration
#[test]
fn over_a_soft_limit_a_reason_is_all_that_is_missing() {
    let mut bench = Bench::fresh();
    bench.program(&morphine());
    bench.run(Duration::from_days(2));
    // More than double.
    let staged = bench.stage(&morphine_at(10_000_000, 10_000_001));
    assert!(staged.needs_reason);
    assert_eq!(
        refused(bench.ask(Command::Commit(staged.commit(None)))),
        Refused::ReasonNeeded
    );
    assert_eq!(
        bench.commit(&staged),
        Some(Outcome::Committed { program_number: 2 })
    );
    assert!(bench.log().iter().any(|record| matches!(
        record,
        Record::ProgramCommitted {
            reason: Some(OverrideReason::InNotes),
            ..
        }
    )));
}

/// Two rises that are each below the double and together above: the second wants a reason.
///
/// Requirement: TH-salami
#[test]
fn two_small_rises_do_not_slip_past_the_double() {
    let doubled = |staged: &Staged| {
        staged
            .findings
            .iter()
            .any(|finding| finding.limit_kind == protocol::LimitKind::DoubledNanograms)
    };
    let mut bench = Bench::fresh();
    bench.program(&morphine_at(10_000_000, 1_000_000));
    bench.run(Duration::from_hours(25));
    let staged = bench.stage(&morphine_at(10_000_000, 1_900_000));
    assert!(!doubled(&staged));
    bench.commit(&staged);
    let mut bench = bench.power_cut();
    assert!(!doubled(&bench.stage(&morphine_at(10_000_000, 2_000_000))));
    assert!(doubled(&bench.stage(&morphine_at(10_000_000, 2_000_001))));
}

/// Requirement: AC-11
#[test]
fn no_reason_opens_a_hard_limit() {
    let mut bench = Bench::fresh();
    bench.stage(&Program {
        fill: FULL,
        ..morphine_at(10_000_000, 30_000_000)
    });
    assert_eq!(
        refused(bench.ask(Command::Stage(morphine_at(10_000_000, 30_000_001)))),
        Refused::OverLimit {
            limit_kind: protocol::LimitKind::DayNanograms,
            drug: Drug::Morphine,
            value: 30_000_001,
            limit: 30_000_000,
        }
    );
}

/// 100 mcg/h and 200 mcg/h of morphine 10 mg/mL: 4,000 and 8,000 steps an hour.
fn day_and_night() -> Program {
    Program {
        fill: FULL,
        mode: flex(
            Per::Hour,
            &[&[(0, 100_000), (360, 200_000), (1_320, 100_000)]],
            [0; 7],
        ),
        ..morphine_at(10_000_000, 1)
    }
}

fn wall(bench: &Bench) -> units::WallTime {
    bench.pump.clock(bench.clock().pump).wall().expect("known")
}

/// Monday is 10:00 UTC.
///
/// Requirement: AC-15, TH-one-step
#[test]
fn flex_changes_its_rate_at_the_minute_and_a_day_is_the_sum_of_its_steps() {
    let mut bench = Bench::on_monday();
    bench.program(&day_and_night());
    assert_eq!(bench.status().flow_nl_per_day, 480_000);
    bench.run(Duration::from_seconds(12 * 3_600));
    assert!(bench.made().abs_diff(96_000) <= 1, "{}", bench.made());
    assert_eq!(bench.status().flow_nl_per_day, 240_000, "22:00");
    bench.run(Duration::from_seconds(12 * 3_600));
    // 16 h at 8,000 and 8 h at 4,000.
    assert!(bench.made().abs_diff(160_000) <= 1, "{}", bench.made());
    assert_eq!(bench.status().deficit_steps, 0);
}

/// A minute that is skipped is not caught up, one that comes twice is not made up for: what counts is the step in force and powered time.
///
/// Requirement: AC-15, TH-flex-clock, TH-no-catching-up
#[test]
fn flex_follows_the_clock_and_the_zone_at_once_and_catches_nothing_up() {
    let mut bench = Bench::on_monday();
    bench.program(&day_and_night());
    bench.run(Duration::from_hours(1));
    // 11:00 becomes 23:00.
    let outcome = bench.ask(Command::SetClock(SetClock {
        wall: wall(&bench).saturating_add(Duration::from_hours(12)),
        uncertainty: Duration::ZERO,
        reason: Some(OverrideReason::InNotes),
    }));
    assert!(matches!(outcome, Some(Outcome::ClockSet { .. })));
    assert_eq!(bench.status().flow_nl_per_day, 240_000);
    let made = bench.made();
    assert!(made.abs_diff(8_000) <= 1, "{made}");
    bench.run(Duration::from_hours(1));
    assert!((bench.made() - made).abs_diff(4_000) <= 1);
    // Midnight, and eight hours on: 08:00.
    let outcome = bench.ask(Command::SetZone(SetZone {
        offset_min: 480,
        reason: Some(OverrideReason::InNotes),
    }));
    assert_eq!(outcome, Some(Outcome::Done));
    assert_eq!(bench.status().flow_nl_per_day, 480_000);
    let made = bench.made();
    bench.run(Duration::from_seconds(14 * 3_600));
    assert!((bench.made() - made).abs_diff(14 * 8_000) <= 1);
    assert_eq!(bench.status().flow_nl_per_day, 240_000, "22:00 again");
    assert_eq!(bench.status().deficit_steps, 0);
}

/// Requirement: TH-clock
#[test]
fn without_a_reason_the_zone_moves_by_summer_times_hour_only() {
    let mut bench = Bench::on_monday();
    let zone = |offset_min, reason| Command::SetZone(SetZone { offset_min, reason });
    let refused_within = |bench: &mut Bench, offset_min, lowest, highest| {
        let field = Field::ZoneMinutesFromLowest;
        let value = u64::try_from(720 + i32::from(offset_min)).unwrap();
        let expected = Refused::OutOfRange {
            field,
            value,
            lowest,
            highest,
        };
        assert_eq!(refused(bench.ask(zone(offset_min, None))), expected);
    };
    refused_within(&mut bench, 120, 660, 780);
    assert_eq!(bench.ask(zone(0, None)), Some(Outcome::Done), "as it is");
    assert_eq!(bench.ask(zone(60, None)), Some(Outcome::Done));
    assert_eq!(bench.ask(zone(60, None)), Some(Outcome::Done), "as it is");
    // Only back, now: a further hour would be two from the clinician's.
    refused_within(&mut bench, 120, 720, 720);
    let reason = Some(OverrideReason::InNotes);
    assert_eq!(bench.ask(zone(120, reason)), Some(Outcome::Done));
    assert_eq!(bench.ask(zone(60, None)), Some(Outcome::Done));
    assert_eq!(bench.therapy().zone_min, 60);
    assert_eq!(bench.power_cut().therapy().zone_min, 60);
}

/// Requirement: AC-16
#[test]
fn a_refill_keeps_its_order() {
    let mut bench = Bench::fresh();
    let aspirated = Command::RefillAspirated {
        volume_nl: 1_000_000,
    };
    assert_eq!(
        refused(bench.ask(aspirated.clone())),
        Refused::WrongOrder {
            expected: RefillStep::Open
        }
    );
    bench.program(&morphine());
    bench.run(Duration::from_days(4));
    let refused_stage = |bench: &mut Bench| refused(bench.ask(Command::Stage(morphine())));
    assert_eq!(
        refused_stage(&mut bench),
        Refused::WrongOrder {
            expected: RefillStep::Open
        }
    );
    assert_eq!(bench.ask(Command::OpenRefill), Some(Outcome::Done));
    assert_eq!(
        refused_stage(&mut bench),
        Refused::WrongOrder {
            expected: RefillStep::Aspirated
        }
    );
    // A reset leaves it open.
    let mut bench = bench.power_cut();
    assert!(bench.therapy().refill_open_s.is_some());
    assert_eq!(bench.ask(aspirated), Some(Outcome::Done));
    assert_eq!(
        refused(bench.ask(Command::CloseRefill)),
        Refused::WrongOrder {
            expected: RefillStep::Confirm
        },
        "drug was taken out"
    );
    assert_eq!(
        bench.program(&morphine()),
        Some(Outcome::Committed { program_number: 2 })
    );
    let therapy = bench.therapy();
    assert_eq!(therapy.refill_open_s, None);
    // 18 mL expected, 1 mL there, of 2 mL programmed: not classified, but kept.
    let Some(Outcome::Refills(refills)) = bench.ask(Command::ReadRefills { from: 0 }) else {
        panic!("no refills")
    };
    assert_eq!(refills.known, 1);
    assert_eq!(bench.status().filled_fl, Some(20_000_000_000_000));
}

/// Requirement: AC-16
#[test]
fn a_top_up_adds_to_what_is_there() {
    let mut bench = Bench::fresh();
    bench.program(&morphine());
    bench.run(Duration::from_days(20));
    let left = bench.status().reservoir_fl.expect("known");
    assert_eq!(left, 10_000_000_000_000);
    bench.ask(Command::OpenRefill);
    let top_up = |volume_nl| Program {
        fill: Some(Fill {
            volume_nl,
            top_up: true,
        }),
        ..morphine()
    };
    assert!(matches!(
        refused(bench.ask(Command::Stage(top_up(10_000_001)))),
        Refused::OutOfRange {
            field: Field::FillNanolitres,
            highest: 10_000_000,
            ..
        }
    ));
    bench.program(&top_up(10_000_000));
    assert_eq!(
        bench.status().reservoir_fl,
        Some(20_000_000_000_000),
        "not a step more"
    );
}

/// Requirement: TH-refill-not-confirmed
#[test]
fn a_refill_that_is_not_confirmed_in_an_hour_leaves_the_reservoir_unknown() {
    for reset in [false, true] {
        let mut bench = Bench::fresh();
        bench.program(&morphine());
        bench.run(Duration::from_hours(1));
        bench.ask(Command::OpenRefill);
        bench.run(Duration::from_seconds(3_599));
        assert!(!bench.has_alarm(AlarmKind::RefillNotConfirmed));
        assert!(bench.status().reservoir_fl.is_some());
        bench.run(Duration::from_seconds(62));
        if reset {
            bench = bench.reset(ResetCause::Software);
        }
        assert!(bench.has_alarm(AlarmKind::RefillNotConfirmed));
        assert_eq!(bench.status().reservoir_fl, None);
        assert_eq!(bench.status().flow_nl_per_day, 500_000, "basal goes on");
        // Nobody can say that nothing was changed and have it undone by a memory that fails.
        bench.journal = Journal::Fails;
        assert_eq!(refused(bench.ask(Command::CloseRefill)), Refused::NotDone);
        bench.journal = Journal::Keeps;
        bench.run(Duration::from_seconds(10));
        assert!(bench.has_alarm(AlarmKind::RefillNotConfirmed));
        assert!(bench.therapy().refill_open_s.is_some());
        bench.ask(Command::RefillAspirated { volume_nl: 0 });
        bench.program(&morphine());
        assert_eq!(bench.status().reservoir_fl, Some(20_000_000_000_000));
        assert_eq!(bench.therapy().refill_open_s, None);
    }
}

/// What was staged was judged by a path and a refill that are no longer so.
#[test]
fn another_order_discards_what_was_staged() {
    let mut bench = Bench::fresh();
    let staged = bench.stage(&morphine());
    bench.catheter();
    assert_eq!(refused(bench.commit(&staged)), Refused::NothingStaged);
    let staged = bench.stage(&morphine());
    bench.ask(Command::OpenRefill);
    assert_eq!(refused(bench.commit(&staged)), Refused::NothingStaged);
}

fn commissioning(kind: PumpKind) -> Commissioning {
    let external = kind == PumpKind::ExternalTrial;
    Commissioning {
        kind,
        step_volume_fl: if external { 25_000_000 } else { 2_500_000 },
        capacity_nl: if external { 100_000_000 } else { 20_000_000 },
        fixed_rate_nl_per_day: (kind == PumpKind::ConstantRate).then_some(500_000),
        trial_days: external.then_some(7),
    }
}

pub(super) fn of_kind(kind: PumpKind) -> Bench {
    let mut bench = never_commissioned();
    let outcome = bench.ask(Command::Commission(commissioning(kind)));
    assert_eq!(outcome, Some(Outcome::Done));
    bench
}

fn never_commissioned() -> Bench {
    let mut recovered = Recovered::new_pump(CommissioningRecord::NOMINAL);
    recovered.basis.commissioning = None;
    Bench::new(recovered)
}

/// Requirement: TH-kinds, AC-24
#[test]
fn a_pump_that_was_never_commissioned_stays_stopped_and_takes_no_program() {
    let mut bench = never_commissioned();
    let why = NotNow::NotCommissioned;
    assert_eq!(
        refused(bench.ask(Command::Stage(morphine()))),
        Refused::NotNow { why }
    );
    bench.run(Duration::from_hours(1));
    assert_eq!(bench.handed_out, 0);
    assert_eq!(
        bench.status().faults & fault::COMMISSIONING,
        fault::COMMISSIONING
    );
    assert!(bench.has_alarm(AlarmKind::Commissioning));
    let implant = commissioning(PumpKind::ProgrammableImplant);
    let wrong = Commissioning {
        step_volume_fl: 2_249_999,
        ..implant
    };
    assert!(matches!(
        refused(bench.ask(Command::Commission(wrong))),
        Refused::OutOfRange {
            field: Field::StepVolumeFemtolitres,
            lowest: 2_250_000,
            ..
        }
    ));
    // Not durable: not commissioned.
    bench.journal = Journal::Fails;
    assert_eq!(
        refused(bench.ask(Command::Commission(implant))),
        Refused::NotDone
    );
    assert_eq!(
        refused(bench.ask(Command::Stage(morphine()))),
        Refused::NotNow { why }
    );
    bench.journal = Journal::Keeps;
    assert_eq!(bench.ask(Command::Commission(implant)), Some(Outcome::Done));
    assert_eq!(bench.status().faults & fault::COMMISSIONING, 0);
    assert_eq!(
        refused(bench.ask(Command::Commission(implant))),
        Refused::NotNow {
            why: NotNow::Commissioned
        },
        "once"
    );
    bench.program(&morphine());
    bench.run(Duration::from_hours(1));
    assert!(bench.made() > 8_000);
    let mut bench = bench.power_cut();
    assert_eq!(
        refused(bench.ask(Command::Commission(implant))),
        Refused::NotNow {
            why: NotNow::Commissioned
        }
    );
}

/// Power fails when the record of what the pump is was kept, and that of its trial not yet.
#[test]
fn a_pump_for_a_trial_has_a_trial_whenever_power_fails() {
    let mut bench = never_commissioned();
    bench.run(Duration::from_hours(1));
    let before = bench.kept::<CareRecord>(StateKind::Care);
    let wanted = commissioning(PumpKind::ExternalTrial);
    assert_eq!(bench.ask(Command::Commission(wanted)), Some(Outcome::Done));
    let mut recovered = bench.flash();
    recovered.care = before.map_or(Recovery::Absent, Recovery::Good);
    let mut bench = Bench::new(recovered);
    let trial = bench.therapy().trial.expect("a trial");
    assert!(
        (6 * 86_400..=7 * 86_400).contains(&trial.ends_in_s),
        "{trial:?}"
    );
    // As it was made a pump of this kind: nothing is left of what it was before.
    assert!(!bench.has_alarm(AlarmKind::Commissioning));
    let bench = &mut bench.power_cut();
    assert!(bench.therapy().trial.is_some());
}

/// Every command that a kind forbids, on every kind.
///
/// Requirement: AC-24, TH-kinds
#[test]
fn what_is_not_a_kinds_own_no_command_reaches() {
    for kind in PumpKind::ALL.iter().copied() {
        let rules = therapy::KindRules::of(kind);
        let mut bench = of_kind(kind);
        bench.set_clock();
        let rate = |bench: &mut Bench, per_day: u64| {
            bench.program(&Program {
                fill: FULL,
                ..morphine_at(1_000_000, per_day)
            })
        };
        // 0.5 mL/day on the implants, 0.1 mL/h on the external pump.
        let per_day = if kind == PumpKind::ExternalTrial {
            2_400_000
        } else {
            500_000
        };
        assert!(
            matches!(rate(&mut bench, per_day), Some(Outcome::Committed { .. })),
            "{kind}"
        );
        let forbids = Refused::KindForbids { kind };
        let mut modes = vec![(Mode::MinimumRate, rules.minimum_rate)];
        modes.push((flex(Per::Hour, &[&[(0, 100_000)]], [0; 7]), rules.schedules));
        modes.push((
            Mode::PeriodicBolus(PeriodicBolus {
                bolus_ng: 20_000,
                duration_s: 600,
                interval_min: 120,
                basal: None,
                first_after_min: None,
            }),
            rules.schedules,
        ));
        modes.push((
            Mode::SingleBolus {
                dose_ng: 20_000,
                duration_s: 600,
            },
            rules.schedules,
        ));
        for (mode, allowed) in modes {
            let outcome = bench.ask(Command::Stage(Program {
                mode,
                ..morphine_at(1_000_000, 1)
            }));
            if allowed {
                assert!(
                    matches!(outcome, Some(Outcome::Staged(_))),
                    "{kind}: {outcome:?}"
                );
            } else {
                assert_eq!(refused(outcome), forbids, "{kind}");
            }
        }
        let with_rule = Program {
            patient_bolus: Some(PatientBolus {
                dose_ng: 20_000,
                ..RULE
            }),
            ..morphine_at(1_000_000, per_day)
        };
        let outcome = bench.ask(Command::Stage(with_rule));
        assert_eq!(
            matches!(outcome, Some(Outcome::Staged(_))),
            rules.boluses,
            "{kind}: {outcome:?}"
        );
        let outcome = bench.ask(Command::ClinicianBolus(ClinicianBolus {
            number: 1,
            dose_ng: 20_000,
            duration_s: 600,
            reason: None,
        }));
        if rules.boluses {
            assert_eq!(outcome, Some(Outcome::BolusStarted { number: 1 }), "{kind}");
            bench.run(Duration::from_minutes(11));
        } else {
            assert_eq!(refused(outcome), forbids, "{kind}");
        }
        let external = kind == PumpKind::ExternalTrial;
        let outcome = bench.ask(Command::SetCatheter(if external {
            WireCatheter {
                tubing_nl: 2_000_000,
                port_nl: 0,
                ..catheter()
            }
        } else {
            catheter()
        }));
        assert_eq!(outcome, Some(Outcome::Done), "{kind}");
        let number = bench.therapy().last_number + 1;
        let outcome = bench.ask(Command::Prime(Prime {
            number,
            kind: PrimeKind::PumpAndCatheter,
            catheter_aspirated: true,
            disconnected: true,
            reason: None,
        }));
        if rules.prime {
            assert_eq!(outcome, Some(Outcome::BolusStarted { number }), "{kind}");
        } else {
            assert_eq!(refused(outcome), forbids, "{kind}");
        }
        let outcome = bench.ask(Command::ExtendTrial { days: 1 });
        if rules.trial {
            assert_eq!(outcome, Some(Outcome::Done), "{kind}");
        } else {
            assert_eq!(
                refused(outcome),
                Refused::NotNow {
                    why: NotNow::NoTrial
                },
                "{kind}"
            );
        }
        let silence = Command::SilenceAlarm {
            alarm: AlarmKind::LowReservoir,
        };
        let outcome = refused(bench.ask(silence));
        assert_eq!(outcome == forbids, !external, "{kind}: {outcome:?}");
    }
}

/// Requirement: AC-24
#[test]
fn a_constant_rate_pump_runs_at_its_one_rate() {
    let mut bench = of_kind(PumpKind::ConstantRate);
    assert!(matches!(
        refused(bench.ask(Command::Stage(morphine_at(1_000_000, 500_001)))),
        Refused::OutOfRange { .. }
    ));
    bench.program(&Program {
        fill: FULL,
        ..morphine_at(1_000_000, 500_000)
    });
    bench.run(Duration::from_days(1));
    assert_eq!(bench.made(), 200_000);
}

/// Requirement: TH-library
#[test]
fn a_library_comes_in_parts_and_its_limits_refuse() {
    let limits = |hard: u32| {
        let mut library = silent(1);
        library.drugs[0].day.hard = therapy::Nanograms::new(hard);
        library.drugs[0].day.soft = therapy::Nanograms::new(hard);
        library
    };
    let mut bench = Bench::fresh();
    bench.stage(&morphine());
    let library = limits(4_000_000);
    let parts = in_parts(&library);
    assert!(parts.len() > 1 || parts[0].part.len() <= 160);
    // Out of order.
    if let Some(second) = parts.get(1) {
        assert!(matches!(
            refused(bench.ask(Command::LoadLibrary(second.clone()))),
            Refused::LibraryInvalid { .. }
        ));
    }
    for part in parts {
        assert_eq!(bench.ask(Command::LoadLibrary(part)), Some(Outcome::Done));
    }
    assert_eq!(bench.therapy().library_version, 1);
    assert!(matches!(
        refused(bench.ask(Command::Stage(morphine()))),
        Refused::OverLimit {
            limit: 4_000_000,
            ..
        }
    ));
    let mut bench = bench.power_cut();
    assert_eq!(bench.therapy().library_version, 1);
    // The same version again is no newer one.
    let load = |bench: &mut Bench, library: &therapy::HospitalLibrary| {
        let parts = in_parts(library).into_iter();
        refused(parts.fold(None, |_, part| bench.ask(Command::LoadLibrary(part))))
    };
    assert!(matches!(
        load(&mut bench, &library),
        Refused::LibraryInvalid { .. }
    ));
    // And one that could not be kept is not in force.
    let mut next = limits(3_000_000);
    next.version = 2;
    bench.journal = Journal::Fails;
    assert_eq!(load(&mut bench, &next), Refused::NotDone);
    assert_eq!(bench.therapy().library_version, 1);
}

/// A library that says nothing of any drug.
fn silent(version: u32) -> therapy::HospitalLibrary {
    let bytes: Vec<u8> = std::iter::once(version as u8)
        .chain(std::iter::repeat_n(0, 64))
        .collect();
    postcard::from_bytes(&bytes).expect("as it is written")
}

fn in_parts(library: &therapy::HospitalLibrary) -> Vec<protocol::order::HospitalLibrary> {
    let mut buffer = [0; 400];
    let bytes = postcard::to_slice(library, &mut buffer).unwrap();
    let total = bytes.len() as u16;
    (0_u16..)
        .step_by(40)
        .zip(bytes.chunks(40))
        .map(|(offset, part)| protocol::order::HospitalLibrary {
            version: library.version,
            offset,
            total,
            checksum: library.checksum(),
            part: protocol::Bytes::new(part).unwrap(),
        })
        .collect()
}

/// A mark of nothing would be reached together with empty, one above the capacity by every fill.
#[test]
fn a_low_mark_lies_in_the_reservoir() {
    let mut bench = Bench::on_monday();
    let marked = |low_mark_nl| Program {
        low_mark_nl: Some(low_mark_nl),
        ..morphine()
    };
    for value in [0, 20_000_001] {
        assert_eq!(
            refused(bench.ask(Command::Stage(marked(value)))),
            Refused::OutOfRange {
                field: Field::LowMarkNanolitres,
                value: u64::from(value),
                lowest: 1,
                highest: 20_000_000
            }
        );
    }
    for value in [1, 20_000_000] {
        bench.stage(&marked(value));
    }
}
