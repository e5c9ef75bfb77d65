//! A pump for tests: the real session on the wire, and behind it just enough to stage, commit and lie.
#![allow(clippy::arithmetic_side_effects)]
use std::collections::VecDeque;

use protocol::info::{Lifecycle, capability};
use protocol::status::changed;
use protocol::{
    Answer, Command, DeliveryState, Digest, Dose, Info, Limits, Mode, Mtu, Outcome, Policy,
    Program, Received, Refused, Request, Session, SessionId, Situation, Staged, Status,
};
use units::{CarrierTime, Clock, Drug, Duration, Per};

use crate::form::{Form, FormMode, day_total_nanograms, flow_of};
use crate::programmer::{Event, Programmer};

/// The pump's end. What a test changes in `tamper` and `deaf` makes it misbehave.
pub struct TestPump {
    session: Session,
    pub status: Status,
    staged: Option<Program>,
    /// Changes a read-back before it is sent.
    pub tamper: fn(&mut Staged),
    /// Refuses the next commit in this way.
    pub refuse_commit: Option<Refused>,
    /// Stops when a stop is committed, but fails to store it.
    pub fail_stop: bool,
    /// Does what it is told but its answers are lost.
    pub deaf: bool,
    /// Requests that have been carried out.
    pub commits: u32,
}

pub fn millis(milliseconds: u64) -> CarrierTime {
    CarrierTime::from_micros(0).saturating_add(Duration::from_millis(milliseconds))
}

/// 250 mcg/day of 2 mg/mL baclofen.
pub fn baclofen(fill_nl: Option<u32>, nanograms: u64) -> Program {
    Program {
        drug: Drug::Baclofen,
        concentration_ng_per_ml: 2_000_000,
        fill_nl,
        mode: Mode::SimpleContinuous {
            dose: Dose {
                nanograms,
                per: Per::Day,
            },
        },
    }
}

/// The same as typed.
pub fn baclofen_form(fill: &str, dose: &str) -> Form {
    Form {
        drug: "baclofen".to_owned(),
        concentration: "2 mg/mL".to_owned(),
        fill: fill.to_owned(),
        mode: FormMode::SimpleContinuous,
        dose: dose.to_owned(),
    }
}

/// A pump as it leaves the factory.
pub fn fresh_status() -> Status {
    Status {
        boot: 1,
        pump_time_ms: 90_061_000,
        clock: Clock::Lost,
        program_number: 0,
        program: None,
        delivery: DeliveryState::NotProgrammed,
        flow_nl_per_day: 0,
        counted_steps: 0,
        at_most_steps: 0,
        deficit_steps: 0,
        step_volume_fl: 2_500_000,
        reservoir_fl: None,
        filled_fl: None,
        delivered_since_fill_fl: 0,
        staged: false,
        committing: false,
        status_changed: changed::OPERATION,
        limits: Limits {
            lowest_nl_per_day: 48_000,
            highest_nl_per_day: 24_000_000,
            capacity_nl: 20_000_000,
            step_volume_fl: 2_500_000,
        },
        faults: 0,
        powered_s: 90_000,
        records_lost: 0,
    }
}

/// A pump that delivers `program` as its third.
pub fn running_status(program: Program) -> Status {
    Status {
        program_number: 3,
        delivery: DeliveryState::Running,
        flow_nl_per_day: flow_of(&program).per_day_nanolitres_rounded_down(),
        counted_steps: 1_000,
        at_most_steps: 1_000,
        reservoir_fl: Some(19_997_500_000_000),
        filled_fl: Some(20_000_000_000_000),
        delivered_since_fill_fl: 2_500_000_000,
        program: Some(program),
        ..fresh_status()
    }
}

/// What an honest pump answers to staging `program`.
pub fn honest(program: &Program, before: &Status) -> Staged {
    Staged {
        flow_nl_per_day: flow_of(program).per_day_nanolitres_rounded_down(),
        old_day_total_ng: before.program.as_ref().map(day_total_nanograms),
        new_day_total_ng: day_total_nanograms(program),
        digest: Digest::of(program, before.program_number + 1),
        expires_in_ms: 120_000,
        program: program.clone(),
    }
}

pub fn info(capabilities: u32) -> Vec<u8> {
    let mut buffer = [0; Info::LIMIT];
    Info::new(capabilities, [7; 8], Lifecycle::InService, false)
        .encode(&mut buffer)
        .unwrap()
        .to_vec()
}

impl TestPump {
    pub fn new(status: Status) -> Self {
        let situation = Situation {
            lifecycle: Lifecycle::InService,
            armed: false,
        };
        Self {
            session: Session::new(Policy::Insecure, situation),
            status,
            staged: None,
            tamper: |_| {},
            refuse_commit: None,
            fail_stop: false,
            deaf: false,
            commits: 0,
        }
    }

    /// Connects a programmer, at the smallest MTU there is.
    pub fn connect(&mut self, programmer: &mut Programmer) {
        self.session.opened(SessionId(1), Mtu::LOWEST);
        self.staged = None;
        programmer
            .connected("test", &info(capability::PROGRAMMING), 23)
            .unwrap();
    }

    /// Moves frames both ways until there is something to show, or nothing moves any more.
    pub fn exchange(&mut self, programmer: &mut Programmer, now: CarrierTime) -> Event {
        let mut quiet = 0;
        while quiet < 3 {
            let mut frames = VecDeque::new();
            while let Some(frame) = programmer.next_frame() {
                frames.push_back(frame);
            }
            quiet = if frames.is_empty() { quiet + 1 } else { 0 };
            for frame in frames {
                if let Received::Request(request) = self.session.receive(now, &frame) {
                    self.carry_out(request);
                }
            }
            if !self.deaf {
                let event = programmer.receive(now, self.session.response());
                if event != Event::Nothing {
                    // The last acknowledgement.
                    while let Some(frame) = programmer.next_frame() {
                        let _ = self.session.receive(now, &frame);
                    }
                    return event;
                }
            }
        }
        Event::Nothing
    }

    fn carry_out(&mut self, request: Request) {
        let outcome = match request.command {
            Command::Interrogate => Outcome::Status(self.status.clone()),
            Command::Stage(program) => {
                let mut staged = honest(&program, &self.status);
                (self.tamper)(&mut staged);
                self.staged = Some(staged.program.clone());
                Outcome::Staged(staged)
            }
            Command::Commit { digest } => match self.refuse_commit.take() {
                Some(refused) => Outcome::Refused(refused),
                None => self.commit(digest),
            },
            Command::Cancel => {
                self.staged = None;
                Outcome::Cancelled
            }
            Command::ResetStatusChanged { mask } => {
                self.status.status_changed &= !mask;
                Outcome::StatusChangedReset {
                    flags: self.status.status_changed,
                }
            }
            Command::ReadBack => Outcome::Refused(Refused::NothingStaged),
            Command::ReadLog { .. } | Command::SignLog { .. } | Command::SetClock { .. } => {
                Outcome::Refused(Refused::NotAllowed)
            }
        };
        let answer = Answer {
            id: request.id,
            outcome,
        };
        self.session.answer(SessionId(1), &answer).unwrap();
    }

    fn commit(&mut self, digest: Digest) -> Outcome {
        let number = self.status.program_number + 1;
        match self.staged.take() {
            Some(program) if self.fail_stop && program.mode == Mode::Stopped => {
                self.status.delivery = DeliveryState::Stopped;
                self.status.flow_nl_per_day = 0;
                Outcome::StoppedNotRecorded
            }
            Some(program) if Digest::of(&program, number) == digest => {
                self.commits += 1;
                let reservoir = program.fill_nl.map(|fill| u64::from(fill) * 1_000_000);
                self.status = Status {
                    program_number: number,
                    reservoir_fl: reservoir.or(self.status.reservoir_fl),
                    filled_fl: reservoir.or(self.status.filled_fl),
                    ..running_status(program)
                };
                Outcome::Committed {
                    program_number: number,
                }
            }
            Some(_) => Outcome::Refused(Refused::DigestMismatch),
            None => Outcome::Refused(Refused::NothingStaged),
        }
    }
}
