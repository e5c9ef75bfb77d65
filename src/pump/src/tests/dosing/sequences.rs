//! Any sequence of orders, failures and resets: what always holds.

use super::*;

#[derive(Clone, Debug)]
enum Act {
    Run(u64),
    Program(usize),
    Refill(bool),
    Patient,
    Clinician(bool),
    Prime(bool),
    CancelBolus,
    Catheter,
    Emergency,
    Acknowledge(usize),
    Mri,
    Clock(i32),
    Zone(i16),
    Journal(u8),
    Jam(bool),
    Ahead(u8),
    Reset(bool),
    Failed(u8),
    Late,
    Close,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (1..7_200_000_000_u64).prop_map(Act::Run),
        6 => (0..PROGRAMS).prop_map(Act::Program),
        2 => any::<bool>().prop_map(Act::Refill),
        4 => Just(Act::Patient),
        2 => any::<bool>().prop_map(Act::Clinician),
        1 => any::<bool>().prop_map(Act::Prime),
        1 => Just(Act::CancelBolus),
        1 => Just(Act::Catheter),
        1 => Just(Act::Emergency),
        2 => any::<usize>().prop_map(Act::Acknowledge),
        1 => Just(Act::Mri),
        2 => any::<i32>().prop_map(Act::Clock),
        1 => (-60..60_i16).prop_map(Act::Zone),
        3 => (0..5_u8).prop_map(Act::Journal),
        1 => any::<bool>().prop_map(Act::Jam),
        1 => any::<u8>().prop_map(Act::Ahead),
        2 => any::<bool>().prop_map(Act::Reset),
        1 => (0..3_u8).prop_map(Act::Failed),
        1 => Just(Act::Late),
        1 => Just(Act::Close),
    ]
}

const PROGRAMS: usize = 8;

fn some_program(number: usize) -> Program {
    match number {
        0 => with_boluses(),
        1 => Program {
            patient_bolus: Some(RULE),
            mode: flex(
                Per::Hour,
                &[&[(0, 100_000), (361, 200_000), (1_320, 100_000)]],
                [0; 7],
            ),
            ..morphine_at(10_000_000, 1)
        },
        2 => Program {
            mode: Mode::PeriodicBolus(PeriodicBolus {
                bolus_ng: 200_000,
                duration_s: 600,
                interval_min: 30,
                basal: None,
                first_after_min: Some(1),
            }),
            ..morphine_at(10_000_000, 1)
        },
        3 => Program {
            mode: Mode::SingleBolus {
                dose_ng: 200_000,
                duration_s: 600,
            },
            ..morphine_at(10_000_000, 1)
        },
        4 => Program {
            mode: Mode::Stopped,
            ..morphine_at(10_000_000, 1)
        },
        5 => Program {
            patient_bolus: Some(RULE),
            bridge: Some(Dose {
                nanograms: 5_000_000,
                per: Per::Day,
            }),
            ..morphine_at(20_000_000, 5_000_000)
        },
        6 => Program {
            mode: Mode::MinimumRate,
            ..morphine_at(10_000_000, 1)
        },
        _ => Program {
            bridge: Some(Dose {
                nanograms: 5_000_000,
                per: Per::Day,
            }),
            ..morphine_at(10_000_000, 6_000_000)
        },
    }
}

/// What is watched beside the bench's own checks (no overlap, no third order, not the same moment for ever).
#[derive(Default)]
struct Watch {
    /// What the motor has made before this boot.
    before: u64,
    /// Numbers of requests that were granted, over all boots.
    granted: Vec<u32>,
    /// Jobs that began, over all boots.
    began: Vec<u32>,
    seen: usize,
    answered: usize,
    /// Steps made by each moment of this boot.
    made: Vec<(u64, u64)>,
    /// The largest allowance that was in force within what the interlock remembers, and what was granted beside it.
    armed: Vec<(u64, u32)>,
    granted_steps: u64,
}

impl Watch {
    fn look(&mut self, bench: &Bench) {
        for action in &bench.actions[self.seen..] {
            match action {
                Action::Append {
                    record: Record::JobStarted { id, .. },
                    ..
                } => {
                    assert!(!self.began.contains(id), "job {id} began twice");
                    self.began.push(*id);
                }
                Action::Arm { hour_steps, .. } => self.armed.push((bench.now, *hour_steps)),
                Action::Grant { steps, .. } => self.granted_steps += u64::from(*steps),
                _ => {}
            }
        }
        self.seen = bench.actions.len();
        for (_, answer) in &bench.answers[self.answered..] {
            if let Outcome::BolusStarted { number } = answer.outcome {
                assert!(!self.granted.contains(&number), "{number} was given twice");
                self.granted.push(number);
            }
        }
        self.answered = bench.answers.len();
        assert!(bench.pump.jobs_are_one(), "two jobs run");
        // The totals hold what was made.
        let totals = bench.pump.retained().totals;
        let truth = self.before + bench.made();
        assert!(totals.at_most_steps >= truth, "{totals:?} {truth}");
        self.made.push((bench.now, bench.made()));
        // Since the first look of the last hour: never more than in the hour.
        let hour_ago = bench.now.saturating_sub(3_600_000_000);
        let then = self
            .made
            .iter()
            .find(|(at, _)| *at >= hour_ago)
            .map_or(0, |(_, made)| *made);
        let in_force = self.armed.partition_point(|(at, _)| *at <= hour_ago);
        let most = self.armed[in_force.saturating_sub(1)..]
            .iter()
            .map(|(_, steps)| u64::from(*steps))
            .max()
            .unwrap_or(0);
        let within = bench.made() - then;
        assert!(
            within <= most + self.granted_steps,
            "{within} steps in an hour, {most} allowed, {} granted",
            self.granted_steps
        );
    }

    fn reset(&mut self, bench: &Bench) {
        self.before += bench.made();
        (self.seen, self.answered) = (0, 0);
        self.made.clear();
        self.armed.clear();
        self.granted_steps = 0;
    }
}

impl Pump {
    /// The normal job over an extended one is the only pair there is.
    fn jobs_are_one(&self) -> bool {
        self.suspended_job()
            .is_none_or(|kind| kind.is_extended() && self.running_job().is_some())
    }
}

fn play(acts: &[Act]) -> Bench {
    let mut bench = Bench::on_monday();
    let mut watch = Watch::default();
    bench.program(&with_boluses());
    bench.run(Duration::from_hours(1));
    watch.look(&bench);
    for act in acts {
        match act {
            Act::Run(micros) => {
                // In parts, so that every hour is looked at.
                for _ in 0..4 {
                    bench.run(Duration::from_micros(micros / 4));
                    watch.look(&bench);
                }
            }
            Act::Program(number) => {
                let program = some_program(*number);
                if let Some(Outcome::Staged(staged)) = bench.ask(Command::Stage(program)) {
                    bench.commit(&staged);
                }
            }
            Act::Refill(close) => {
                bench.ask(Command::OpenRefill);
                if *close {
                    bench.ask(Command::CloseRefill);
                } else {
                    bench.ask(Command::RefillAspirated {
                        volume_nl: 1_000_000,
                    });
                    if let Some(Outcome::Staged(staged)) = bench.ask(Command::Stage(with_boluses()))
                    {
                        bench.commit(&staged);
                    }
                }
            }
            Act::Patient => {
                let number = bench.therapy().last_number + 1;
                bench.patient(number);
                // And a repetition.
                bench.patient(number);
            }
            Act::Clinician(extended) => {
                let number = bench.therapy().last_number + 1;
                bench.ask(Command::ClinicianBolus(ClinicianBolus {
                    number,
                    dose_ng: 200_000,
                    duration_s: if *extended { 7_200 } else { 600 },
                    reason: Some(OverrideReason::InNotes),
                }));
            }
            Act::Prime(catheter_aspirated) => {
                let number = bench.therapy().last_number + 1;
                bench.ask(Command::Prime(Prime {
                    number,
                    kind: PrimeKind::PumpAndCatheter,
                    catheter_aspirated: *catheter_aspirated,
                    disconnected: false,
                    reason: Some(OverrideReason::InNotes),
                }));
            }
            Act::CancelBolus => {
                bench.ask(Command::CancelBolus);
            }
            Act::Catheter => {
                bench.ask(Command::SetCatheter(catheter()));
            }
            Act::Emergency => {
                bench.ask(Command::EmergencyMinimumRate);
            }
            Act::Acknowledge(alarm) => {
                let alarm = AlarmKind::ALL[alarm % AlarmKind::ALL.len()];
                bench.ask(Command::AcknowledgeAlarm { alarm });
            }
            Act::Mri => {
                bench.ask(Command::MriMode { minutes: 20 });
            }
            Act::Clock(seconds) => {
                let wall =
                    MONDAY.saturating_add(Duration::from_seconds(seconds.unsigned_abs() / 8));
                bench.ask(Command::SetClock(SetClock {
                    wall,
                    uncertainty: Duration::ZERO,
                    reason: Some(OverrideReason::InNotes),
                }));
            }
            Act::Zone(offset_min) => {
                bench.ask(Command::SetZone(SetZone {
                    offset_min: *offset_min,
                    reason: Some(OverrideReason::InNotes),
                }));
            }
            Act::Journal(how) => {
                bench.journal = match how {
                    0 | 1 => Journal::Keeps,
                    2 => Journal::Fails,
                    3 => Journal::Silent,
                    _ => Journal::Mute,
                };
            }
            Act::Jam(stands) => bench.jam(*stands),
            Act::Ahead(pulses) => bench.extra += i64::from(*pulses / 64),
            Act::Reset(cut) => {
                watch.look(&bench);
                watch.reset(&bench);
                bench = if *cut {
                    bench.power_cut()
                } else {
                    bench.reset(ResetCause::Watchdog)
                };
            }
            Act::Failed(0) => {
                bench.tell(Event::AppendFailed);
            }
            Act::Failed(1) => {
                bench.tell(Event::CheckpointFailed);
            }
            Act::Failed(_) => {
                bench.tell(Event::Storage(StorageReport::default()));
            }
            Act::Late => {
                if let Some((ticket, state, body)) = bench.offered.last().cloned() {
                    bench.flash.insert(state, body);
                    bench.tell(Event::Persisted(ticket));
                }
            }
            Act::Close => {
                bench.tell(Event::LinkClosed { session: PHONE });
            }
        }
        let status = bench.status();
        if let (Some(filled), Some(left)) = (status.filled_fl, status.reservoir_fl) {
            let balance = filled.saturating_sub(status.delivered_since_fill_fl);
            assert_eq!(left, balance, "what was filled, less what was drawn");
        }
        watch.look(&bench);
    }
    bench
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Nothing panics; never two jobs but a normal one over an extended one; a number and a job at most once, over resets; totals that never
    /// say less than was made; no more steps in an hour than the interlock was told.
    ///
    /// Requirement: AC-7, AC-8, AC-16, TH-jobs, TH-interlock
    #[test]
    fn whatever_comes_what_must_hold_holds(acts in proptest::collection::vec(act(), 1..40)) {
        // What is on flash can be read, and starts a pump that goes on.
        let mut bench = play(&acts).power_cut();
        bench.run(Duration::from_minutes(5));
    }
}
