//! Where two rules meet: what a clinician and a patient order, through the whole pump.

use super::memory::{MONDAY, set_clock};
use super::*;
use protocol::order::{
    Catheter as WireCatheter, ClinicianBolus, Commissioning, Prime, SetZone, Shown,
};
use protocol::program::{FlexWeek, PatientBolus, PeriodicBolus};
use protocol::therapy::{BolusDenial, TherapyStatus};
use protocol::{List, NotNow, RefillStep};
use therapy::JobKind;
use units::{AlarmKind, FaultPolicy, PrimeKind, PumpKind};

mod boluses;
mod bridges;
mod care;
mod faults;
mod programs;
mod sequences;

impl Bench {
    pub(super) fn therapy(&mut self) -> TherapyStatus {
        match self.ask(Command::ReadTherapy) {
            Some(Outcome::Therapy(status)) => status,
            other => panic!("no therapy: {other:?}"),
        }
    }

    /// The time of day is known.
    fn on_monday() -> Self {
        let mut bench = Self::fresh();
        bench.set_clock();
        bench
    }

    fn set_clock(&mut self) {
        let set = set_clock(MONDAY, Duration::ZERO);
        assert!(matches!(self.ask(set), Some(Outcome::ClockSet { .. })));
    }

    fn patient(&mut self, number: u32) -> Option<Outcome> {
        self.ask(Command::PatientBolus { number })
    }

    fn ended(&self) -> Vec<(JobKind, u32, JobEnd, u32)> {
        self.log()
            .into_iter()
            .filter_map(|record| match record {
                Record::JobEnded {
                    job,
                    id,
                    end,
                    at_most_steps,
                    ..
                } => Some((*job, *id, *end, *at_most_steps)),
                _ => None,
            })
            .collect()
    }

    fn started_jobs(&self) -> Vec<(JobKind, u32)> {
        self.log()
            .into_iter()
            .filter_map(|record| match record {
                Record::JobStarted { job, id, .. } => Some((*job, *id)),
                _ => None,
            })
            .collect()
    }

    fn catheter(&mut self) {
        let outcome = self.ask(Command::SetCatheter(catheter()));
        assert_eq!(outcome, Some(Outcome::Done));
    }

    fn alarms(&mut self) -> Vec<(AlarmKind, bool)> {
        let alarms = self.therapy().alarms;
        alarms
            .iter()
            .map(|state| (state.alarm, state.active))
            .collect()
    }

    fn has_alarm(&mut self, alarm: AlarmKind) -> bool {
        self.alarms().iter().any(|(kind, _)| *kind == alarm)
    }

    fn cut_and_go_on(self) -> Self {
        let mut bench = self.power_cut();
        bench.set_clock();
        bench
    }
}

/// Clinical reference, 2.2: a path of 0.3006 mL.
fn catheter() -> WireCatheter {
    WireCatheter {
        model: 1,
        tubing_nl: 140_000,
        length_mm: 730,
        nl_per_cm: 2_200,
        port_nl: 0,
    }
}

fn morphine_at(concentration_ng_per_ml: u32, ng_per_day: u64) -> Program {
    Program::new(
        Component {
            drug: Drug::Morphine,
            concentration_ng_per_ml,
        },
        Mode::SimpleContinuous {
            dose: Dose {
                nanograms: ng_per_day,
                per: Per::Day,
            },
        },
    )
}

/// Morphine 10 mg/mL, 5 mg/day: 0.5 mL/day, 200,000 steps a day.
fn morphine() -> Program {
    Program {
        fill: FULL,
        ..morphine_at(10_000_000, 5_000_000)
    }
}

const RULE: PatientBolus = PatientBolus {
    dose_ng: 200_000,
    duration_s: 600,
    lockout_min: 60,
    per_day: 4,
    day_cap_ng: None,
    periods: List::new(),
};

/// Steps of a bolus of [`RULE`]: 0.02 mL.
const BOLUS_STEPS: u32 = 8_000;

/// With boluses of 200 mcg over 10 min, 4 in 24 h, one an hour.
fn with_boluses() -> Program {
    Program {
        patient_bolus: Some(RULE),
        ..morphine()
    }
}

/// A pump at home: programmed, the lockout after programming over.
fn at_home() -> Bench {
    let mut bench = Bench::on_monday();
    bench.program(&with_boluses());
    bench.run(Duration::from_hours(1));
    bench
}

fn flex(per: Per, patterns: &[&[(u16, u32)]], days: [u8; 7]) -> Mode {
    let mut week = FlexWeek::new(per);
    week.days = days;
    for pattern in patterns {
        week.push_pattern(pattern.iter().copied()).expect("a day");
    }
    Mode::Flex { week }
}

fn refused(outcome: Option<Outcome>) -> Refused {
    match outcome {
        Some(Outcome::Refused(refused)) => refused,
        other => panic!("not refused: {other:?}"),
    }
}

fn denied(outcome: Option<Outcome>) -> BolusDenial {
    match outcome {
        Some(Outcome::BolusRefused { denial }) => denial,
        other => panic!("not denied: {other:?}"),
    }
}
