//! A phone and a pump over a carrier that loses, repeats, delays, damages and breaks, many times in one command, and a pump that takes its time: at
//! most once, and an honest fate. One such fault at every frame of every command, to the pump itself: src/simulator/tests/every_frame.rs.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::large_enum_variant,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may panic"
)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use protocol::client::{resolve_commit, resolve_order};
use protocol::frame::{CHECK_LENGTH, check_of};
use protocol::{
    Answer, Client, ClientEvent, Command, Digest, Ended, Fate, Lifecycle, Mtu, Outcome, Program,
    Received, Refused, Request, Role, Session, SessionId, Situation, Status, TherapyStatus,
};
use units::{CarrierTime, Duration};

mod samples;

/// What happens to one frame on its way, in either direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    Pass,
    Lose,
    Repeat,
    /// Arrives behind the next frame of its direction.
    Delay,
    /// One bit of the last byte, always a message's, is flipped (frames of at most four bytes carry no message and pass).
    Damage,
    /// The connection breaks before the frame arrives.
    CutBefore,
    /// The connection breaks right after it has arrived.
    CutAfter,
}

/// How the phone learns of fragments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reading {
    Polling,
    Indications,
}

/// What the pump is storing.
enum Stores {
    Program(Box<Program>),
    Bolus(u32),
}

/// The pump behind the session, as far as programming and boluses go; storing takes a while.
#[derive(Default)]
struct Pump {
    program_number: u32,
    program: Option<Program>,
    staged: Option<Program>,
    storing: Option<(CarrierTime, SessionId, u32, Stores)>,
    /// Number of the last bolus; each is given once.
    last_number: u32,
    /// What was done for each request, by connection and number.
    done: BTreeMap<(SessionId, u32), Option<Answer>>,
}

const STORING: Duration = Duration::from_millis(4_000);

impl Pump {
    fn handle(&mut self, now: CarrierTime, from: SessionId, request: Request) -> Option<Answer> {
        let id = request.id;
        assert!(
            !self.done.contains_key(&(from, id)),
            "{request:?} happened twice"
        );
        let outcome = match request.command {
            Command::Interrogate => Outcome::Status(self.status()),
            Command::Stage(program) => {
                self.staged = Some(program.clone());
                Outcome::Staged(samples::staged(program, self.program_number + 1))
            }
            Command::ReadBack => match self.staged.clone() {
                Some(program) => Outcome::Staged(samples::staged(program, self.program_number + 1)),
                None => Outcome::Refused(Refused::NothingStaged),
            },
            Command::Commit(commit) => match self.staged.take() {
                _ if self.storing.is_some() => Outcome::Refused(Refused::Busy),
                None => Outcome::Refused(Refused::NothingStaged),
                Some(program) if Digest::of(&program, self.program_number + 1) != commit.digest => {
                    Outcome::Refused(Refused::DigestMismatch)
                }
                Some(program) => {
                    return self.store(now, from, id, Stores::Program(Box::new(program)));
                }
            },
            Command::ReadTherapy => Outcome::Therapy(TherapyStatus {
                storing: matches!(self.storing, Some((.., Stores::Bolus(_)))),
                ..samples::therapy(self.last_number)
            }),
            Command::PatientBolus { .. } if self.storing.is_some() => {
                Outcome::Refused(Refused::Busy)
            }
            Command::PatientBolus { number } if number <= self.last_number => {
                Outcome::AlreadyDone { number }
            }
            Command::PatientBolus { number } => {
                assert_eq!(number, self.last_number + 1);
                return self.store(now, from, id, Stores::Bolus(number));
            }
            other => panic!("{other:?} is not sent here"),
        };
        Some(self.answered(from, Answer { id, outcome }))
    }

    fn store(
        &mut self,
        now: CarrierTime,
        from: SessionId,
        id: u32,
        what: Stores,
    ) -> Option<Answer> {
        self.storing = Some((now.saturating_add(STORING), from, id, what));
        self.done.insert((from, id), None);
        None
    }

    fn answered(&mut self, to: SessionId, answer: Answer) -> Answer {
        self.done.insert((to, answer.id), Some(answer.clone()));
        answer
    }

    fn stored(&mut self, now: CarrierTime) -> Option<(SessionId, Answer)> {
        let (due, from, id, what) = self.storing.take()?;
        if now < due {
            self.storing = Some((due, from, id, what));
            return None;
        }
        let outcome = match what {
            Stores::Program(program) => {
                self.program_number += 1;
                self.program = Some(*program);
                Outcome::Committed {
                    program_number: self.program_number,
                }
            }
            Stores::Bolus(number) => {
                self.last_number = number;
                Outcome::BolusStarted { number }
            }
        };
        Some((from, self.answered(from, Answer { id, outcome })))
    }

    fn status(&self) -> Status {
        Status {
            staged: self.staged.is_some(),
            committing: matches!(self.storing, Some((.., Stores::Program(_)))),
            ..samples::status(self.program_number, self.program.clone())
        }
    }
}

struct World {
    client: Client,
    session: Session,
    pump: Pump,
    now: CarrierTime,
    mtu: Mtu,
    reading: Reading,
    faults: Vec<Fault>,
    /// Frames carried so far, in both directions.
    carried: usize,
    delayed_up: Option<Vec<u8>>,
    delayed_down: Option<Vec<u8>>,
    connections: u32,
    /// The highest command number that the pump has had.
    highest_number: u32,
    /// The end of the request that a broken connection brought about.
    broken: Option<Ended>,
    /// Every request's number and connection with what the client said about it.
    said: Vec<(SessionId, u32, Fate)>,
}

/// What the client said in the end.
#[derive(Debug)]
enum Said {
    Answer(Outcome),
    Ended(Ended),
}

impl World {
    fn new(mtu: u16, reading: Reading, faults: Vec<Fault>) -> World {
        let situation = Situation {
            lifecycle: Lifecycle::InService,
            armed: false,
            alarm: false,
        };
        let mut session = Session::new(situation);
        *session.keyring() = samples::keyring();
        World {
            client: Client::new(),
            session,
            pump: Pump::default(),
            now: CarrierTime::from_micros(1),
            mtu: Mtu::new(mtu).unwrap(),
            reading,
            faults,
            carried: 0,
            delayed_up: None,
            delayed_down: None,
            connections: 0,
            highest_number: 0,
            broken: None,
            said: Vec::new(),
        }
    }

    /// Connects until there is a session.
    fn connect(&mut self) {
        for _ in 0..100 {
            self.connections += 1;
            let nonce = u8::try_from(self.connections % 256).unwrap();
            let info = samples::info(nonce);
            let random = samples::secret(nonce);
            let connection = SessionId(self.connections);
            self.session
                .opened(connection, self.mtu, &info, random.clone());
            self.client.opened(self.mtu);
            self.broken = None;
            let credentials = samples::credentials(Role::Clinician);
            self.client
                .open(self.now, &info, &credentials, random)
                .unwrap();
            for _ in 0..2_000 {
                match (self.step(), self.broken.take()) {
                    (ClientEvent::Welcome(welcome), _) => {
                        assert_eq!(welcome.role, Role::Clinician);
                        assert!(welcome.last_number >= self.highest_number, "forgotten");
                        if self.session.caller().is_some() {
                            return;
                        }
                        break;
                    }
                    (ClientEvent::Ended(_), _) | (ClientEvent::Nothing, Some(_)) => break,
                    (ClientEvent::Nothing, None) => {}
                    (ClientEvent::Answer(answer), _) => panic!("{answer:?} to a Hello"),
                }
            }
            self.cut();
        }
        panic!("never let in");
    }

    fn cut(&mut self) {
        self.session.closed();
        self.pump.staged = None;
        self.broken = self.client.closed();
        (self.delayed_up, self.delayed_down) = (None, None);
    }

    fn fault(&mut self) -> Fault {
        let fault = self
            .faults
            .get(self.carried)
            .copied()
            .unwrap_or(Fault::Pass);
        self.carried += 1;
        fault
    }

    /// The frames that arrive when `frame` is sent, and whether the connection breaks then.
    fn carry(
        &mut self,
        frame: &[u8],
        delayed: impl Fn(&mut World) -> &mut Option<Vec<u8>>,
    ) -> (Vec<Vec<u8>>, bool) {
        let mut frame = frame.to_vec();
        let mut cut = false;
        let mut arrived = Vec::new();
        match self.fault() {
            Fault::Pass => arrived.push(frame),
            Fault::Lose => {}
            Fault::Repeat => arrived.extend([frame.clone(), frame]),
            Fault::Delay => {
                if let Some(before) = delayed(self).replace(frame) {
                    arrived.push(before);
                }
                return (arrived, false);
            }
            Fault::Damage => {
                if frame.len() > 4 {
                    *frame.last_mut().unwrap() ^= 0x10;
                }
                arrived.push(frame);
            }
            Fault::CutBefore => return (arrived, true),
            Fault::CutAfter => {
                arrived.push(frame);
                cut = true;
            }
        }
        arrived.extend(delayed(self).take());
        (arrived, cut)
    }

    fn up(&mut self) {
        while let Some(frame) = self.client.next_frame() {
            let (arrived, cut) = self.carry(&frame, |world| &mut world.delayed_up);
            for frame in arrived {
                let received = self.session.receive(self.now, &frame);
                if let Received::Request(request) = received {
                    if request.command.kind().is_numbered() {
                        assert!(request.number > self.highest_number, "{request:?} again");
                        self.highest_number = request.number;
                    }
                    let from = self.session.id().unwrap();
                    if let Some(answer) = self.pump.handle(self.now, from, request) {
                        self.session.answer(from, &answer).unwrap();
                    }
                }
            }
            if cut {
                self.cut();
            }
        }
    }

    fn down(&mut self) -> ClientEvent {
        let fragment = match self.reading {
            Reading::Polling => Some(self.session.response().to_vec()),
            Reading::Indications => self.session.indication().map(<[u8]>::to_vec),
        };
        let Some(fragment) = fragment.filter(|fragment| !fragment.is_empty()) else {
            return ClientEvent::Nothing;
        };
        assert!(fragment.len() <= self.mtu.frame_length());
        let (arrived, cut) = self.carry(&fragment, |world| &mut world.delayed_down);
        let mut event = ClientEvent::Nothing;
        for fragment in arrived {
            match self.client.receive(self.now, &fragment) {
                ClientEvent::Nothing => {}
                told => {
                    assert_eq!(event, ClientEvent::Nothing, "told twice");
                    event = told;
                }
            }
        }
        if cut {
            self.cut();
        }
        event
    }

    /// 50 ms of the world.
    fn step(&mut self) -> ClientEvent {
        self.now = self.now.saturating_add(Duration::from_millis(50));
        self.up();
        if let Some((to, answer)) = self.pump.stored(self.now) {
            // Nobody may be waiting any more.
            let _ = self.session.answer(to, &answer);
        }
        let event = self.down();
        self.session.tick(self.now);
        if event == ClientEvent::Nothing {
            self.client.tick(self.now)
        } else {
            event
        }
    }

    /// Asks, and checks that the answer is the one the pump gave to exactly this request.
    fn ask(&mut self, command: &Command) -> Said {
        if self.session.caller().is_none() || self.client.request_possible().is_err() {
            self.connect();
        }
        let connection = self.session.id().unwrap();
        let id = self.client.request(self.now, command).unwrap();
        for _ in 0..2_000 {
            let event = self.step();
            let said = match (event, self.broken.take()) {
                (ClientEvent::Answer(answer), _) => {
                    assert_eq!(answer.id, id);
                    assert_eq!(
                        self.pump.done.get(&(connection, id)),
                        Some(&Some(answer.clone())),
                        "a wrong message"
                    );
                    self.said.push((connection, id, answer.outcome.fate()));
                    return Said::Answer(answer.outcome);
                }
                (ClientEvent::Ended(ended), _) | (ClientEvent::Nothing, Some(ended)) => ended,
                (ClientEvent::Nothing, None) => continue,
                (ClientEvent::Welcome(welcome), _) => panic!("{welcome:?} to a request"),
            };
            assert_eq!(said.id, id);
            assert_ne!(said.fate, Fate::Done);
            self.said.push((connection, id, said.fate));
            return Said::Ended(said);
        }
        panic!("{command:?} never ended");
    }

    fn interrogate(&mut self) -> Status {
        for _ in 0..200 {
            if let Said::Answer(Outcome::Status(status)) = self.ask(&Command::Interrogate) {
                return status;
            }
        }
        panic!("no status");
    }

    /// Programs as a good programmer does, until it is done, and resolves what is unknown by asking.
    /// Gives how often it had to begin again.
    fn program(&mut self, program: &Program) -> u32 {
        'again: for attempt in 0..100 {
            let before = self.interrogate();
            let truth_before = self.pump.program_number;
            if before.committing {
                continue;
            }
            let Said::Answer(Outcome::Staged(_)) = self.ask(&Command::Stage(program.clone()))
            else {
                continue;
            };
            let Said::Answer(Outcome::Staged(staged)) = self.ask(&Command::ReadBack) else {
                continue;
            };
            assert!(staged.is_consistent(before.program_number));
            assert_eq!(staged.program, *program);
            let mut fate = match self.ask(&Command::Commit(staged.commit(None))) {
                Said::Answer(outcome) => outcome.fate(),
                Said::Ended(ended) => ended.fate,
            };
            while fate == Fate::Unknown {
                let status = self.interrogate();
                fate = resolve_commit(&staged.digest, before.program_number, &status);
            }
            if fate == Fate::CertainlyNot {
                continue 'again;
            }
            assert_eq!(
                self.pump.program_number,
                truth_before + 1,
                "said to be done"
            );
            return attempt;
        }
        panic!("never programmed");
    }

    fn therapy(&mut self) -> TherapyStatus {
        for _ in 0..200 {
            if let Said::Answer(Outcome::Therapy(therapy)) = self.ask(&Command::ReadTherapy) {
                return therapy;
            }
        }
        panic!("no therapy status");
    }

    /// Asks for one bolus until it is given, and resolves what is unknown by asking.
    fn bolus(&mut self) {
        for _ in 0..100 {
            let before = self.therapy();
            if before.storing {
                continue;
            }
            let number = before.last_number + 1;
            let mut fate = match self.ask(&Command::PatientBolus { number }) {
                Said::Answer(outcome) => outcome.fate(),
                Said::Ended(ended) => ended.fate,
            };
            while fate == Fate::Unknown {
                fate = resolve_order(number, &self.therapy());
            }
            if fate == Fate::Done {
                assert_eq!(self.pump.last_number, number, "said to be given");
                return;
            }
        }
        panic!("never given");
    }

    /// Lets everything still on its way arrive, then holds every word the client said against what the pump did.
    fn judge(&mut self) {
        for _ in 0..300 {
            self.step();
        }
        for (connection, id, fate) in &self.said {
            let done = self.pump.done.get(&(*connection, *id));
            match fate {
                Fate::Done => assert!(
                    matches!(done, Some(Some(_))),
                    "request {id} was said to be done"
                ),
                Fate::CertainlyNot => match done {
                    None => {}
                    Some(Some(Answer {
                        outcome: Outcome::Refused(_),
                        ..
                    })) => {}
                    Some(other) => {
                        panic!("request {id} was certainly not done, and yet: {other:?}")
                    }
                },
                Fate::Unknown => {}
            }
        }
        let commits = self
            .pump
            .done
            .values()
            .flatten()
            .filter(|answer| matches!(answer.outcome, Outcome::Committed { .. }));
        assert_eq!(
            u32::try_from(commits.count()).unwrap(),
            self.pump.program_number
        );
    }
}

/// A Hello whose handshake is right and whose gate is not: nobody reaches the costly part of a handshake without the gate.
#[test]
fn every_bit_of_the_gate_counts() {
    // Version, kind and slot go before it.
    const GATE: std::ops::Range<usize> = 3..19;
    let now = CarrierTime::from_micros(0);
    let info = samples::info(1);
    let mut client = Client::new();
    client.opened(Mtu::HIGHEST);
    client
        .open(
            now,
            &info,
            &samples::credentials(Role::Clinician),
            samples::secret(88),
        )
        .unwrap();
    let right = client.next_frame().unwrap().to_vec();
    let opens = |frame: &[u8]| {
        let mut session = Session::new(Situation {
            lifecycle: Lifecycle::InService,
            armed: false,
            alarm: false,
        });
        *session.keyring() = samples::keyring();
        session.opened(SessionId(1), Mtu::HIGHEST, &info, samples::secret(77));
        matches!(session.receive(now, frame), Received::Opened(_))
    };
    assert!(opens(&right));
    for bit in GATE.start * 8..GATE.end * 8 {
        let header = 4;
        let mut frame = right.clone();
        frame[header + bit / 8] ^= 1 << (bit % 8);
        let checked = frame.len() - CHECK_LENGTH;
        let check = check_of(&frame[header..checked]);
        frame[checked..].copy_from_slice(&check);
        assert!(!opens(&frame), "bit {bit}");
    }
}

const MTUS: [u16; 4] = [23, 24, 185, 247];
const READINGS: [Reading; 2] = [Reading::Polling, Reading::Indications];

#[test]
fn an_undisturbed_link_programs_at_once() {
    for mtu in MTUS {
        for reading in READINGS {
            let mut world = World::new(mtu, reading, vec![]);
            assert_eq!(world.program(&samples::largest_program()), 0);
            world.judge();
            assert!(world.said.iter().all(|(_, _, fate)| *fate == Fate::Done));
            assert_eq!(world.session.counters().drops.total(), 0);
            assert_eq!(world.client.drops().total(), 0);
            // One repetition: storing takes longer than the three seconds after which the client repeats itself.
            assert_eq!(world.session.counters().repeated, 1);
        }
    }
}

fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        12 => Just(Fault::Pass),
        3 => Just(Fault::Lose),
        3 => Just(Fault::Repeat),
        2 => Just(Fault::Delay),
        2 => Just(Fault::Damage),
        1 => Just(Fault::CutBefore),
        1 => Just(Fault::CutAfter),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// A bolus asked for over a bad link is given once, whatever the phone could hear of it.
    #[test]
    fn a_bolus_is_given_once(
        mtu in prop::sample::select(MTUS.to_vec()),
        reading in prop::sample::select(READINGS.to_vec()),
        faults in prop::collection::vec(any_fault(), 0..100),
    ) {
        let mut world = World::new(mtu, reading, faults);
        world.bolus();
        world.judge();
        prop_assert_eq!(world.pump.last_number, 1);
    }

    #[test]
    fn many_faults_do_no_harm(
        mtu in prop::sample::select(MTUS.to_vec()),
        reading in prop::sample::select(READINGS.to_vec()),
        faults in prop::collection::vec(any_fault(), 0..300),
    ) {
        let mut world = World::new(mtu, reading, faults);
        world.program(&samples::program());
        world.judge();
        prop_assert_eq!(world.pump.program_number, 1);
    }
}
