//! The pump against a bench: a clock, a perfect motor, and a journal that does as it is told.
#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use crate::kept::{read, *};
use crate::record::JobEnd;
use crate::recovery::Basis;
use crate::*;
use proptest::prelude::*;
use protocol::status::{changed, fault};
use protocol::{
    Answer, Caller, Command, Component, DeliveryState, Digest, Dose, Field, Fill, Mode, Outcome,
    Program, Refused, Request, Role, SessionId, SetClock, Staged, Status,
};
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;
use therapy::{Accumulator, Bounds, StepOrder};
use units::{CarrierTime, Concentration, Drug, Duration, Mass, Now, OverrideReason, Per, PumpTime};

mod dosing;
mod keys;
mod memory;
mod records;

const PHONE: SessionId = SessionId(7);
/// Who speaks unless a test says otherwise.
const CLINICIAN: Caller = Caller {
    slot: 0,
    role: Role::Clinician,
};

/// How the bench's journal answers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Journal {
    Keeps,
    Fails,
    Silent,
    /// Keeps, and its answer is lost.
    Mute,
}

struct Bench {
    pump: Pump,
    start: CommissioningRecord,
    boot: u32,
    now: u64,
    next_call: u64,
    journal: Journal,
    /// Orders that the motor has not finished.
    orders: Vec<StepOrder>,
    /// The newest order's last step.
    newest_ends: u64,
    /// Orders handed out so far.
    handed_out: usize,
    /// Steps of finished orders.
    finished: u64,
    /// Steps of orders that were cancelled before they were made.
    cancelled: u64,
    /// Steps made without a pulse, and those commanded when the rotor stood still.
    slipped: u64,
    jammed_at: Option<u64>,
    /// It turns backwards and does not stand still.
    backwards: bool,
    /// Pulses beyond those commanded.
    extra: i64,
    actions: Vec<Action>,
    answers: Vec<(SessionId, Answer)>,
    /// What was handed out to be made durable.
    offered: Vec<(Ticket, StateKind, Vec<u8>)>,
    /// The state banks.
    flash: BTreeMap<StateKind, Vec<u8>>,
    totals: Option<TotalsRecord>,
    totals_boot: u32,
    request: u32,
    /// Calls at one and the same moment.
    again: u32,
}

fn micros(duration: Duration) -> u64 {
    duration.micros()
}

fn step_time(order: &StepOrder, k: u32) -> u64 {
    order.first_at.micros() + u64::from(k) * order.period_ns / 1000
}

/// Steps of one order made by `now`.
fn steps_by(order: &StepOrder, now: u64) -> u64 {
    match now.checked_sub(order.first_at.micros()) {
        None => 0,
        Some(_) if order.steps == 1 => 1,
        Some(since) => (((since + 1) * 1000 - 1) / order.period_ns + 1).min(u64::from(order.steps)),
    }
}

impl Bench {
    fn new(recovered: Recovered) -> Self {
        Self::started(recovered, Start::default())
    }

    fn started(recovered: Recovered, start: Start) -> Self {
        let basis = recovered.basis.clone();
        let mut bench = Self {
            flash: as_kept(&recovered),
            pump: Pump::new(recovered, start),
            start: basis.commissioning.unwrap_or(CommissioningRecord::NOMINAL),
            boot: basis.boot,
            now: 0,
            next_call: 0,
            journal: Journal::Keeps,
            orders: Vec::new(),
            newest_ends: 0,
            handed_out: 0,
            finished: 0,
            cancelled: 0,
            slipped: 0,
            jammed_at: None,
            backwards: false,
            extra: 0,
            actions: Vec::new(),
            answers: Vec::new(),
            offered: Vec::new(),
            totals: match basis.totals {
                Recovery::Good(totals) => Some(totals),
                Recovery::Absent | Recovery::Lost => None,
            },
            totals_boot: basis.totals_boot,
            request: 0,
            again: 0,
        };
        bench.event(Event::Boot);
        bench.tick();
        bench
    }

    fn fresh() -> Self {
        Self::new(Recovered::new_pump(CommissioningRecord::NOMINAL))
    }

    fn clock(&self) -> Now {
        Now {
            pump: PumpTime::from_micros(self.now),
            carrier: CarrierTime::from_micros(self.now),
        }
    }

    /// Steps made by a perfect motor until now.
    fn made(&self) -> u64 {
        self.finished
            + self
                .orders
                .iter()
                .map(|order| steps_by(order, self.now))
                .sum::<u64>()
    }

    /// Moves orders that are done out of the list, so that no call costs more as the history grows.
    fn finish_orders(&mut self) {
        let now = self.now;
        self.finished += self
            .orders
            .iter()
            .filter(|order| steps_by(order, now) == u64::from(order.steps))
            .map(|order| u64::from(order.steps))
            .sum::<u64>();
        self.orders
            .retain(|order| steps_by(order, now) < u64::from(order.steps));
    }

    /// Pulses until now.
    fn counted(&self) -> i64 {
        let standing = self.jammed_at.map_or(0, |from| self.made() - from);
        let back = if self.backwards { standing as i64 } else { 0 };
        (self.made() - self.slipped - standing) as i64 + self.extra - back
    }

    /// The rotor stands still from now on, or turns again.
    fn jam(&mut self, stands: bool) {
        match (stands, self.jammed_at) {
            (true, None) => self.jammed_at = Some(self.made()),
            (false, Some(from)) => {
                self.slipped += self.made() - from;
                self.jammed_at = None;
            }
            _ => {}
        }
    }

    fn motor(&self) -> MotorStatus {
        MotorStatus {
            commanded_steps: self.made(),
            counted_steps: self.counted(),
            faults: MotorFaults::default(),
        }
    }

    fn tick(&mut self) {
        let motor = self.motor();
        self.event(Event::Tick(motor));
    }

    /// What has happened, behind a tick as the shell puts it.
    fn tell(&mut self, event: Event) -> Vec<Action> {
        self.tick();
        self.event(event)
    }

    fn event(&mut self, event: Event) -> Vec<Action> {
        let actions = self.pump.handle(self.clock(), event);
        self.next_call = actions.next_call().micros();
        let list: Vec<Action> = actions.iter().cloned().collect();
        self.actions.extend(list.iter().cloned());
        self.answers.extend(actions.answers().cloned());
        let mut written = Vec::new();
        for action in &list {
            match action {
                Action::Order { order, level } => {
                    assert!((1..=3).contains(level));
                    assert!(
                        step_time(order, 0) > self.newest_ends,
                        "{order:?} overlaps the one before"
                    );
                    self.finish_orders();
                    assert!(
                        self.orders.len() < 2,
                        "a third order was handed to the driver"
                    );
                    self.newest_ends = step_time(order, order.steps - 1);
                    self.handed_out += 1;
                    self.orders.push(*order);
                }
                Action::CancelOrders => {
                    self.finish_orders();
                    let made = self.made();
                    self.cancelled += self
                        .orders
                        .iter()
                        .map(|order| u64::from(order.steps))
                        .sum::<u64>();
                    self.cancelled -= made - self.finished;
                    self.finished = made;
                    self.orders.clear();
                    // One may begin at once.
                    self.newest_ends = self.now.saturating_sub(1);
                }
                Action::Checkpoint(Record::Totals { totals }) => {
                    self.totals = Some(*totals);
                    self.totals_boot = self.boot;
                }
                Action::Persist { ticket, state } => {
                    let mut buffer = [0; STATE_BYTES];
                    let kept = self.pump.kept(*state, &mut buffer);
                    let body = kept.expect("there, and not too long").body.to_vec();
                    self.offered.push((*ticket, *state, body.clone()));
                    written.push((*ticket, *state, body));
                }
                _ => {}
            }
        }
        for (ticket, state, body) in written {
            if matches!(self.journal, Journal::Keeps | Journal::Mute) {
                self.flash.insert(state, body);
            }
            match self.journal {
                Journal::Keeps => self.event(Event::Persisted(ticket)),
                Journal::Fails => self.event(Event::PersistFailed(ticket)),
                Journal::Silent | Journal::Mute => Vec::new(),
            };
        }
        list
    }

    fn step_to(&mut self, time: u64) {
        self.again = if time > self.now { 0 } else { self.again + 1 };
        assert!(
            self.again < 30,
            "the pump asks for the same moment for ever"
        );
        self.now = time.max(self.now);
        self.tick();
    }

    fn run(&mut self, duration: Duration) {
        let end = self.now + micros(duration);
        while self.next_call < end {
            self.step_to(self.next_call);
        }
        self.step_to(end);
        while self.next_call <= self.now {
            self.step_to(self.now);
        }
    }

    fn ask(&mut self, command: Command) -> Option<Outcome> {
        self.ask_from(PHONE, command)
    }

    fn ask_from(&mut self, session: SessionId, command: Command) -> Option<Outcome> {
        self.ask_as(session, CLINICIAN, command)
    }

    /// With the next number of the slot.
    fn ask_as(&mut self, session: SessionId, caller: Caller, command: Command) -> Option<Outcome> {
        let number = match command.kind().is_numbered() {
            true => self.pump.last_command(caller.slot) + 1,
            false => 0,
        };
        self.ask_numbered(session, caller, number, command)
    }

    fn ask_numbered(
        &mut self,
        session: SessionId,
        caller: Caller,
        number: u32,
        command: Command,
    ) -> Option<Outcome> {
        self.request += 1;
        let id = self.request;
        self.tell(Event::Request {
            session,
            caller,
            request: Request {
                id,
                number,
                command,
            },
        });
        // What was dropped begins again when the driver has said where it was.
        while self.next_call <= self.now {
            self.step_to(self.now);
        }
        self.answered(session, id)
    }

    fn answered(&self, to: SessionId, id: u32) -> Option<Outcome> {
        self.answers
            .iter()
            .find(|(session, answer)| *session == to && answer.id == id)
            .map(|(_, answer)| answer.outcome.clone())
    }

    fn stage(&mut self, program: &Program) -> Staged {
        match self.ask(Command::Stage(program.clone())) {
            Some(Outcome::Staged(staged)) => staged,
            other => panic!("not staged: {other:?}"),
        }
    }

    /// Commits what was staged, with a reason.
    fn commit(&mut self, staged: &Staged) -> Option<Outcome> {
        self.ask(Command::Commit(
            staged.commit(Some(OverrideReason::InNotes)),
        ))
    }

    fn program(&mut self, program: &Program) -> Option<Outcome> {
        let staged = self.stage(program);
        self.commit(&staged)
    }

    /// The reservoir was emptied: what a program with a fill comes after.
    fn empty(&mut self) {
        assert_eq!(self.ask(Command::OpenRefill), Some(Outcome::Done));
        let volume_nl = 1_000_000;
        assert_eq!(
            self.ask(Command::RefillAspirated { volume_nl }),
            Some(Outcome::Done)
        );
    }

    fn refill(&mut self, program: &Program) -> Option<Outcome> {
        self.empty();
        self.program(program)
    }

    fn status(&mut self) -> Status {
        match self.ask(Command::Interrogate) {
            Some(Outcome::Status(status)) => status,
            other => panic!("no status: {other:?}"),
        }
    }

    /// Loses all memory but flash.
    fn power_cut(self) -> Self {
        Self::new(self.flash())
    }

    /// What the next boot finds on flash.
    fn flash(&self) -> Recovered {
        let mut recovered = Recovered::of(Basis {
            boot: self.boot + 1,
            commissioning: match self.kept::<CommissioningRecord>(StateKind::Commissioning) {
                Some(record) => Some(record),
                None => Some(self.start),
            },
            totals: self.totals.map_or(Recovery::Absent, Recovery::Good),
            totals_boot: self.totals_boot,
            counters: Recovery::Absent,
            storage: StorageReport::default(),
            pack: None,
        });
        for (state, body) in &self.flash {
            recovered.set(*state, Recovery::Good((1, body)));
        }
        recovered
    }

    /// A piece of state as it is on flash.
    fn kept<T: serde::de::DeserializeOwned>(&self, state: StateKind) -> Option<T> {
        self.flash
            .get(&state)
            .map(|body| read(1, body).expect("as it was written"))
    }

    /// Numbers of the programs that were handed out to be made durable.
    fn programs_offered(&self) -> Vec<u32> {
        self.offered
            .iter()
            .filter(|(_, state, _)| *state == StateKind::Program)
            .map(|(_, _, body)| read::<ProgramRecord>(1, body).unwrap().number)
            .collect()
    }

    fn latched(&self) -> LatchedRecord {
        self.kept(StateKind::Latched).unwrap_or_default()
    }

    fn kept_program(&self) -> Option<ProgramRecord> {
        self.kept(StateKind::Program)
    }

    /// What was appended to the logs, in order.
    fn log(&self) -> Vec<&Record> {
        self.actions
            .iter()
            .filter_map(|action| match action {
                Action::Append { record, .. } => Some(record),
                _ => None,
            })
            .collect()
    }
}

/// What was found on flash, as bytes.
fn as_kept(recovered: &Recovered) -> BTreeMap<StateKind, Vec<u8>> {
    fn bytes<T: serde::Serialize>(found: &Recovery<T>) -> Option<Vec<u8>> {
        let mut buffer = [0; STATE_BYTES];
        match found {
            Recovery::Good(value) => Some(postcard::to_slice(value, &mut buffer).unwrap().to_vec()),
            Recovery::Absent | Recovery::Lost => None,
        }
    }
    fn optional<T: Clone>(found: &Recovery<T>) -> Recovery<Option<T>> {
        match found {
            Recovery::Good(value) => Recovery::Good(Some(value.clone())),
            Recovery::Absent => Recovery::Absent,
            Recovery::Lost => Recovery::Lost,
        }
    }
    [
        (StateKind::Program, bytes(&recovered.program)),
        (
            StateKind::Latched,
            bytes(&Recovery::Good(recovered.latched)),
        ),
        (StateKind::Path, bytes(&optional(&recovered.path))),
        (StateKind::Boluses, bytes(&recovered.boluses)),
        (StateKind::InForce, bytes(&recovered.in_force)),
        (StateKind::Refills, bytes(&recovered.refills)),
        (StateKind::Care, bytes(&recovered.care)),
        (StateKind::Library, bytes(&optional(&recovered.library))),
        (StateKind::LibraryHistory, bytes(&recovered.library_history)),
        (StateKind::Identity, bytes(&optional(&recovered.identity))),
        (StateKind::Keys, bytes(&recovered.keys)),
        (StateKind::CommandNumbers, bytes(&recovered.numbers)),
    ]
    .into_iter()
    .filter_map(|(state, bytes)| Some((state, bytes?)))
    .collect()
}

const FULL: Option<Fill> = Some(Fill {
    volume_nl: 20_000_000,
    top_up: false,
});

/// Baclofen 2 mg/mL at one rate, behind a refill of 20 mL.
fn continuous(nanograms_per_day: u64) -> Program {
    Program {
        fill: FULL,
        ..dose(nanograms_per_day)
    }
}

/// The same without a refill.
fn dose(nanograms_per_day: u64) -> Program {
    Program::new(
        Component {
            drug: Drug::Baclofen,
            concentration_ng_per_ml: 2_000_000,
        },
        Mode::SimpleContinuous {
            dose: Dose {
                nanograms: nanograms_per_day,
                per: Per::Day,
            },
        },
    )
}

/// Baclofen 50 mcg/mL: 24 mL/day are 1.2 mg/day, within what may be given.
fn weak(nanograms_per_day: u64) -> Program {
    Program {
        primary: Component {
            drug: Drug::Baclofen,
            concentration_ng_per_ml: 50_000,
        },
        ..dose(nanograms_per_day)
    }
}

/// The fastest there is, 24 mL/day, behind a refill.
fn fastest() -> Program {
    Program {
        fill: FULL,
        ..weak(1_200_000)
    }
}

/// Baclofen 2 mg/mL, 250 mcg/day: 0.125 mL/day, 50,000 steps a day.
fn baclofen() -> Program {
    continuous(250_000)
}

fn stopped() -> Program {
    Program {
        mode: Mode::Stopped,
        ..dose(1)
    }
}

#[test]
fn new_pump_orders_nothing_and_says_so() {
    let mut bench = Bench::fresh();
    bench.run(Duration::from_days(1));
    assert_eq!(bench.orders, []);
    let status = bench.status();
    assert_eq!(status.delivery, DeliveryState::NotProgrammed);
    assert_eq!(status.program_number, 0);
    assert_eq!(status.program, None);
    assert_eq!(status.reservoir_fl, None);
}

#[test]
fn a_committed_program_delivers_the_day_that_was_prescribed() {
    let mut bench = Bench::fresh();
    let staged = bench.stage(&baclofen());
    assert_eq!(staged.program, baclofen());
    assert_eq!(staged.flow_nl_per_day, 125_000);
    assert_eq!(staged.old_day_total_ng, None);
    assert_eq!(staged.new_day_total_ng, 250_000);
    assert_eq!(staged.expires_in_ms, 120_000);
    assert!(bench.orders.is_empty(), "staging delivers nothing");
    let outcome = bench.commit(&staged);
    assert_eq!(outcome, Some(Outcome::Committed { program_number: 1 }));
    bench.run(Duration::from_days(1));
    assert_eq!(bench.made(), 50_000);
    let status = bench.status();
    assert_eq!(status.delivery, DeliveryState::Running);
    assert_eq!(
        (status.counted_steps, status.at_most_steps),
        (50_000, 50_000)
    );
    // 20 mL less 50,000 steps of 2.5 nL.
    assert_eq!(status.reservoir_fl, Some(19_875_000_000_000));
    assert_eq!(status.delivered_since_fill_fl, 125_000_000_000);
    assert_eq!(status.filled_fl, Some(20_000_000_000_000));
}

/// Requirement: TH-durability
#[test]
fn nothing_is_ordered_before_the_program_is_durable() {
    let mut bench = Bench::fresh();
    bench.journal = Journal::Silent;
    let staged = bench.stage(&baclofen());
    assert_eq!(bench.ask(Command::Commit(staged.commit(None))), None);
    assert!(bench.status().committing);
    bench.run(Duration::from_millis(4_999));
    assert!(bench.orders.is_empty());
    assert!(bench.status().committing);
}

#[test]
fn a_silent_journal_means_certainly_not_done_after_five_seconds() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    bench.run(Duration::from_hours(1));
    bench.journal = Journal::Silent;
    let before = bench.programs_offered().len();
    let staged = bench.stage(&dose(500_000));
    let id = bench.request + 1;
    assert_eq!(bench.commit(&staged), None);
    bench.run(Duration::from_seconds(5));
    assert_eq!(
        bench.answered(PHONE, id),
        Some(Outcome::Refused(Refused::NotDone))
    );
    // The late record is void: what is in force goes to flash again behind it.
    assert_eq!(bench.programs_offered()[before..], [2, 1]);
    let status = bench.status();
    assert_eq!(
        (status.program_number, status.flow_nl_per_day),
        (1, 125_000)
    );
    assert_eq!(status.faults & fault::STORAGE, fault::STORAGE);
    // The late answer changes nothing.
    let late = bench.offered.iter().find(|(_, state, body)| {
        *state == StateKind::Program && read::<ProgramRecord>(1, body).unwrap().number == 2
    });
    let ticket = late.expect("offered").0;
    bench.tell(Event::Persisted(ticket));
    assert_eq!(bench.status().program_number, 1);
}

#[test]
fn a_failing_journal_leaves_the_old_program_delivering() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    bench.run(Duration::from_hours(12));
    bench.journal = Journal::Fails;
    let outcome = bench.program(&dose(500_000));
    assert_eq!(outcome, Some(Outcome::Refused(Refused::NotDone)));
    bench.run(Duration::from_hours(12));
    assert_eq!(bench.made(), 50_000);
    assert_eq!(bench.status().program_number, 1);
}

#[test]
fn commit_needs_the_digest_the_session_and_the_time() {
    let mut bench = Bench::fresh();
    let staged = bench.stage(&baclofen());
    assert_eq!(bench.ask(Command::Cancel), Some(Outcome::Cancelled));
    let other = || {
        Command::Commit(protocol::Commit {
            digest: Digest([0; 32]),
            ..staged.commit(None)
        })
    };
    assert_eq!(
        bench.ask(other()),
        Some(Outcome::Refused(Refused::NothingStaged))
    );
    bench.stage(&baclofen());
    assert_eq!(
        bench.ask(other()),
        Some(Outcome::Refused(Refused::DigestMismatch))
    );
    let staged = bench.stage(&baclofen());
    assert_eq!(
        bench.ask_from(SessionId(8), Command::Commit(staged.commit(None))),
        Some(Outcome::Refused(Refused::NothingStaged)),
        "another session cannot commit it"
    );
    bench.run(Duration::from_millis(120_000));
    assert_eq!(
        bench.ask(Command::Commit(staged.commit(None))),
        Some(Outcome::Refused(Refused::StageExpired))
    );
    let staged = bench.stage(&baclofen());
    bench.run(Duration::from_millis(119_999));
    assert_eq!(
        bench.ask(Command::Commit(staged.commit(None))),
        Some(Outcome::Committed { program_number: 1 })
    );
}

#[test]
fn a_digest_serves_once() {
    let mut bench = Bench::fresh();
    let staged = bench.stage(&baclofen());
    bench.commit(&staged);
    assert_eq!(
        bench.commit(&staged),
        Some(Outcome::Refused(Refused::NothingStaged))
    );
    bench.stage(&dose(250_000));
    assert_eq!(
        bench.ask(Command::Commit(staged.commit(None))),
        Some(Outcome::Refused(Refused::DigestMismatch))
    );
    assert_eq!(bench.status().program_number, 1);
}

#[test]
fn cancel_and_a_closed_link_discard_what_was_staged() {
    for close in [false, true] {
        let mut bench = Bench::fresh();
        let staged = bench.stage(&baclofen());
        if close {
            bench.event(Event::LinkClosed {
                session: SessionId(8),
            });
            assert!(bench.status().staged, "another link's end touches nothing");
            bench.event(Event::LinkClosed { session: PHONE });
        } else {
            assert_eq!(bench.ask(Command::Cancel), Some(Outcome::Cancelled));
        }
        assert!(!bench.status().staged);
        assert_eq!(
            bench.ask(Command::Commit(staged.commit(None))),
            Some(Outcome::Refused(Refused::NothingStaged))
        );
    }
}

#[test]
fn a_refused_program_leaves_nothing_staged_and_names_the_field() {
    let mut bench = Bench::fresh();
    let staged = bench.stage(&baclofen());
    // 95 mcg/day at 2 mg/mL is 0.0475 mL/day, below the lowest therapeutic rate of 0.048.
    assert_eq!(
        bench.ask(Command::Stage(continuous(95_000))),
        Some(Outcome::Refused(Refused::OutOfRange {
            field: Field::FlowNanolitresPerDay,
            value: 47_500,
            lowest: 48_000,
            highest: 24_000_000,
        }))
    );
    assert_eq!(
        bench.ask(Command::Commit(staged.commit(None))),
        Some(Outcome::Refused(Refused::NothingStaged))
    );
    // One nanogram a day over 24 mL/day.
    assert_eq!(
        bench.ask(Command::Stage(weak(1_200_001))),
        Some(Outcome::Refused(Refused::OutOfRange {
            field: Field::FlowNanolitresPerDay,
            value: 24_000_020,
            lowest: 48_000,
            highest: 24_000_000,
        }))
    );
    let overfull = Program {
        fill: Some(Fill {
            volume_nl: 20_000_001,
            top_up: false,
        }),
        ..baclofen()
    };
    assert_eq!(
        bench.ask(Command::Stage(overfull)),
        Some(Outcome::Refused(Refused::OutOfRange {
            field: Field::FillNanolitres,
            value: 20_000_001,
            lowest: 0,
            highest: 20_000_000,
        }))
    );
    let water = Program {
        primary: Component {
            concentration_ng_per_ml: 0,
            ..baclofen().primary
        },
        ..baclofen()
    };
    assert!(matches!(
        bench.ask(Command::Stage(water)),
        Some(Outcome::Refused(Refused::OutOfRange {
            field: Field::ConcentrationNanogramsPerMillilitre,
            value: 0,
            lowest: 1,
            ..
        }))
    ));
    for allowed in [dose(96_000), fastest()] {
        bench.stage(&allowed);
    }
}

/// Requirement: TH-durability
#[test]
fn a_stop_does_not_wait_for_the_journal() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    bench.run(Duration::from_hours(1));
    bench.journal = Journal::Silent;
    let made = bench.made();
    assert_eq!(bench.program(&stopped()), None);
    bench.run(Duration::from_hours(1));
    assert_eq!(bench.made(), made, "not one step after the stop");
    assert!(
        bench.cancelled > 0,
        "orders were in the driver and had to be cancelled"
    );
}

#[test]
fn a_stop_that_could_not_be_recorded_says_so() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    bench.run(Duration::from_hours(1));
    bench.journal = Journal::Fails;
    assert_eq!(bench.program(&stopped()), Some(Outcome::StoppedNotRecorded));
    let status = bench.status();
    assert_eq!(status.flow_nl_per_day, 0);
    assert_eq!(status.delivery, DeliveryState::Stopped);
}

#[test]
fn a_refill_with_the_same_therapy_touches_no_order() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    bench.run(Duration::from_days(2));
    let before = bench.actions.len();
    assert_eq!(
        bench.refill(&baclofen()),
        Some(Outcome::Committed { program_number: 2 })
    );
    assert!(!bench.actions[before..].contains(&Action::CancelOrders));
    assert_eq!(bench.status().reservoir_fl, Some(20_000_000_000_000));
    bench.run(Duration::from_days(2));
    assert_eq!(bench.made(), 200_000);
    assert_eq!(bench.status().delivered_since_fill_fl, 250_000_000_000);
}

#[test]
fn a_change_of_dose_without_refill_keeps_the_reservoir() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    bench.run(Duration::from_days(1));
    let staged = bench.stage(&dose(500_000));
    assert_eq!(
        (staged.old_day_total_ng, staged.new_day_total_ng),
        (Some(250_000), 500_000)
    );
    bench.commit(&staged);
    bench.run(Duration::from_days(1));
    assert_eq!(bench.status().reservoir_fl, Some(19_625_000_000_000));
}

#[test]
fn after_a_power_cut_the_program_runs_and_the_totals_are_an_honest_interval() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    bench.run(Duration::from_seconds(10 * 3600 + 47));
    let true_steps = bench.made();
    let mut bench = bench.power_cut();
    let status = bench.status();
    assert_eq!(status.delivery, DeliveryState::Running);
    assert_eq!((status.boot, status.program_number), (2, 1));
    assert!(status.counted_steps as u64 <= true_steps);
    assert!(status.at_most_steps >= true_steps);
    // Two checkpoint intervals and the journal's limit at 50,000 steps a day, and one step: 72 + 1.
    assert!(status.at_most_steps - status.counted_steps as u64 <= 73);
    assert_eq!(
        status.status_changed & changed::OPERATION,
        changed::OPERATION
    );
    bench.run(Duration::from_seconds(60));
    assert!(bench.made() > 0, "basal is back within 60 s");
}

#[test]
fn a_lost_program_runs_at_minimum_rate_and_is_a_fault() {
    let mut bench = Bench::new(Recovered {
        program: Recovery::Lost,
        ..Recovered::new_pump(CommissioningRecord::NOMINAL)
    });
    bench.run(Duration::from_days(1));
    // 0.006 mL/day are 2,400 steps of 2.5 nL.
    assert_eq!(bench.made(), 2_400);
    let status = bench.status();
    assert_eq!(status.faults & fault::PROGRAM_LOST, fault::PROGRAM_LOST);
    assert_eq!(status.delivery, DeliveryState::Faulted);
    assert_eq!(status.flow_nl_per_day, 6_000);
    bench.program(&baclofen());
    let status = bench.status();
    assert_eq!(status.faults & fault::PROGRAM_LOST, 0);
    assert_eq!(status.delivery, DeliveryState::Running);
}

#[test]
fn a_program_this_pump_may_not_deliver_counts_as_lost() {
    let record = ProgramRecord {
        number: 9,
        program: Some(continuous(u64::MAX)),
        ..ProgramRecord::default()
    };
    let mut bench = Bench::new(Recovered {
        program: Recovery::Good(record),
        ..Recovered::new_pump(CommissioningRecord::NOMINAL)
    });
    assert_eq!(bench.status().flow_nl_per_day, 6_000);
    assert_eq!(
        bench.status().program_number,
        9,
        "its number is never used again"
    );
}

#[test]
fn lost_totals_make_the_reservoir_unknown() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    bench.run(Duration::from_days(1));
    let mut lost = bench.flash();
    lost.basis.totals = Recovery::Lost;
    let mut bench = Bench::new(lost);
    let status = bench.status();
    assert_eq!(status.reservoir_fl, None);
    assert_eq!(status.faults & fault::STORAGE, fault::STORAGE);
}

#[test]
fn a_tripped_interlock_stops_for_this_boot() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    bench.run(Duration::from_hours(1));
    let mut motor = bench.motor();
    motor.faults.interlock_tripped = true;
    let actions = bench.event(Event::Tick(motor));
    assert!(actions.contains(&Action::CancelOrders));
    let made = bench.made();
    bench.run(Duration::from_days(1));
    bench.program(&dose(500_000));
    bench.run(Duration::from_days(1));
    assert_eq!(bench.made(), made);
    let status = bench.status();
    assert_eq!(status.delivery, DeliveryState::Faulted);
    assert_eq!(status.faults & fault::INTERLOCK, fault::INTERLOCK);
}

#[test]
fn a_starved_pump_counts_a_deficit_and_never_catches_up() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    bench.run(Duration::from_hours(1));
    // Nobody calls the pump for an hour.
    bench.now += micros(Duration::from_hours(1));
    bench.next_call = bench.now;
    bench.run(Duration::from_hours(1));
    let status = bench.status();
    let whole = Accumulator::new(
        units::DoseRate::new(Mass::from_nanograms(250_000), Per::Day)
            .flow(Concentration::from_nanograms_per_millilitre(2_000_000).unwrap()),
        Bounds::PROGRAMMABLE_IMPLANT.step_volume,
        PumpTime::from_micros(0),
    )
    .due_by(PumpTime::from_micros(bench.now));
    assert!(status.deficit_steps > 1_900, "{}", status.deficit_steps);
    let accounted = bench.made() + status.deficit_steps;
    assert!(
        whole.abs_diff(accounted) <= 1,
        "{whole} prescribed, {accounted} accounted for"
    );
    assert!(bench.actions.iter().any(|action| matches!(
        action,
        Action::Append {
            record: Record::Deficit { .. },
            ..
        }
    )));
}

#[test]
fn a_refused_order_is_told_and_the_next_ones_follow() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    let order = bench.orders[0];
    bench.orders.retain(|held| held.id != order.id);
    bench.tell(Event::OrderRefused {
        order: order.id,
        refusal: OrderRefusal::OverCeiling,
    });
    let status = bench.status();
    assert_eq!(status.faults & fault::MOTOR, fault::MOTOR);
    assert_eq!(
        status.deficit_steps,
        u64::from(order.steps),
        "its steps are missed, not delivered later"
    );
    bench.run(Duration::from_hours(1));
    assert!(bench.handed_out > 10);
}

#[test]
fn flags_are_latched_until_they_are_reset() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    let flags = bench.status().status_changed;
    assert_eq!(flags & changed::PROGRAM, changed::PROGRAM);
    bench.run(Duration::from_hours(1));
    assert_eq!(
        bench.status().status_changed & changed::PROGRAM,
        changed::PROGRAM
    );
    let outcome = bench.ask(Command::ResetStatusChanged {
        mask: changed::PROGRAM,
    });
    assert_eq!(
        outcome,
        Some(Outcome::StatusChangedReset {
            flags: flags & !changed::PROGRAM
        })
    );
    assert_eq!(bench.status().status_changed, flags & !changed::PROGRAM);
}

#[derive(Clone, Debug)]
enum Act {
    Run(u64),
    Stage(u64, Option<u32>),
    Stop,
    Commit,
    Cancel,
    Close,
    Journal(u8),
    Motor(u64, i64),
    Starve(u64),
    Ticket(u32, bool),
    Reset(u16),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1..7_200_000_000u64).prop_map(Act::Run),
        3 => (any::<u32>(), any::<Option<u32>>()).prop_map(|(dose, fill)| Act::Stage(u64::from(dose) % 3_000_000, fill.map(|fill| fill % 25_000_000))),
        1 => Just(Act::Stop),
        4 => Just(Act::Commit),
        1 => Just(Act::Cancel),
        1 => Just(Act::Close),
        1 => (0..3u8).prop_map(Act::Journal),
        1 => (any::<u64>(), any::<i64>()).prop_map(|(commanded, counted)| Act::Motor(commanded, counted)),
        1 => any::<u32>().prop_map(|micros| Act::Starve(u64::from(micros))),
        1 => (any::<u32>(), any::<bool>()).prop_map(|(ticket, kept)| Act::Ticket(ticket % 20, kept)),
        1 => any::<u16>().prop_map(Act::Reset),
    ]
}

/// Does what the list says; returns everything the pump answered with.
fn play(acts: &[Act]) -> Bench {
    let mut bench = Bench::fresh();
    let mut newest = None;
    for act in acts {
        match act {
            Act::Run(micros) => bench.run(Duration::from_micros(*micros)),
            Act::Stage(nanograms, fill) => {
                let program = Program {
                    fill: fill.map(|volume_nl| Fill {
                        volume_nl,
                        top_up: false,
                    }),
                    ..dose(*nanograms)
                };
                if let Some(Outcome::Staged(staged)) = bench.ask(Command::Stage(program)) {
                    newest = Some(staged);
                }
            }
            Act::Stop => {
                if let Some(Outcome::Staged(staged)) = bench.ask(Command::Stage(stopped())) {
                    newest = Some(staged);
                }
            }
            Act::Commit => {
                if let Some(staged) = &newest {
                    bench.commit(staged);
                }
            }
            Act::Cancel => {
                bench.ask(Command::Cancel);
            }
            Act::Close => {
                bench.event(Event::LinkClosed { session: PHONE });
            }
            Act::Journal(0) => bench.journal = Journal::Keeps,
            Act::Journal(1) => bench.journal = Journal::Fails,
            Act::Journal(_) => bench.journal = Journal::Silent,
            Act::Motor(commanded, counted) => {
                bench.event(Event::Tick(MotorStatus {
                    commanded_steps: *commanded,
                    counted_steps: *counted,
                    faults: MotorFaults::default(),
                }));
            }
            Act::Starve(micros) => {
                bench.now += micros;
                bench.next_call = bench.next_call.max(bench.now);
            }
            Act::Ticket(ticket, kept) => {
                let ticket = Ticket(*ticket);
                bench.event(if *kept {
                    Event::Persisted(ticket)
                } else {
                    Event::PersistFailed(ticket)
                });
            }
            Act::Reset(mask) => {
                bench.ask(Command::ResetStatusChanged { mask: *mask });
            }
        }
    }
    bench
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// No sequence of events panics, overlaps orders or hands the driver a third one (the bench asserts the last two), and
    /// the same sequence gives the same actions.
    #[test]
    fn any_sequence_of_events_is_survived_and_repeats(acts in proptest::collection::vec(act(), 1..40)) {
        prop_assert_eq!(play(&acts).actions, play(&acts).actions);
    }

    /// While a program runs undisturbed, the motor is never more than one step from it, whatever the dose and whenever one looks.
    #[test]
    fn delivery_is_never_more_than_one_step_from_the_prescription(
        rate in 2_400..1_200_000u64,
        looks in proptest::collection::vec(1..600_000_000u64, 1..6),
    ) {
        let mut bench = Bench::fresh();
        bench.program(&Program { fill: FULL, ..weak(rate) });
        let flow = units::DoseRate::new(Mass::from_nanograms(rate), Per::Day)
            .flow(Concentration::from_nanograms_per_millilitre(50_000).unwrap());
        let prescribed = Accumulator::new(flow, Bounds::PROGRAMMABLE_IMPLANT.step_volume, PumpTime::from_micros(0));
        for look in looks {
            bench.run(Duration::from_micros(look));
            let due = prescribed.due_by(PumpTime::from_micros(bench.now));
            prop_assert!(bench.made().abs_diff(due) <= 1, "{} made, {} due", bench.made(), due);
            prop_assert_eq!(bench.status().deficit_steps, 0);
        }
    }
}

#[test]
fn a_commit_whose_answer_was_lost_can_be_resolved_by_asking() {
    let mut bench = Bench::fresh();
    let before = bench.status().program_number;
    let staged = bench.stage(&baclofen());
    let digest = staged.digest;
    assert_eq!(
        protocol::client::resolve_commit(&digest, before, &bench.status()),
        protocol::Fate::CertainlyNot
    );
    bench.ask(Command::Commit(staged.commit(None)));
    assert_eq!(
        protocol::client::resolve_commit(&digest, before, &bench.status()),
        protocol::Fate::Done
    );
}

#[test]
fn after_an_unrecorded_stop_the_old_program_can_be_started_again() {
    let mut bench = Bench::fresh();
    bench.program(&baclofen());
    bench.run(Duration::from_hours(1));
    bench.journal = Journal::Fails;
    bench.program(&stopped());
    bench.journal = Journal::Keeps;
    let made = bench.made();
    assert_eq!(
        bench.program(&dose(250_000)),
        Some(Outcome::Committed { program_number: 2 })
    );
    bench.run(Duration::from_days(1));
    assert_eq!(bench.made() - made, 50_000);
}
