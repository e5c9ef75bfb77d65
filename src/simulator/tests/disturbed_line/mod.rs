//! A phone and a virtual pump, and a line between them on which something happens to one frame of a command. The phone repeats, gives up, comes back
//! and asks as docs/protocol.md says.

use crate::enrolling::hold_magnet;
use crate::every_command::{Case, key_at, open};
use protocol::client::{resolve_commit, resolve_order, resolve_repetition};
use protocol::status::fault;
use protocol::{
    Client, ClientEvent, Command, Credentials, Ended, Fate, Info, Mtu, Outcome, Reason, SLOTS,
    Secret, Status, TherapyStatus, Welcome, WhenUnknown,
};
use simulator::world::{Peer, Pushed, World};
use units::{CarrierTime, Clock, Duration};

/// What happens to one frame, in either direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disturbance {
    /// It does not arrive.
    Lost,
    /// Nor does any other on this connection.
    Silence,
    /// It arrives twice.
    Repeated,
    /// It arrives behind the next of its direction, if there is one.
    Late,
    /// A bit of it is another: of a frame that is part of a message.
    Damaged,
    /// The connection breaks before it arrives.
    CutBefore,
    /// And right after.
    CutAfter,
    /// The pump loses its power right after.
    PowerLost,
}

pub const DISTURBANCES: [Disturbance; 8] = [
    Disturbance::Lost,
    Disturbance::Silence,
    Disturbance::Repeated,
    Disturbance::Late,
    Disturbance::Damaged,
    Disturbance::CutBefore,
    Disturbance::CutAfter,
    Disturbance::PowerLost,
];

/// How the phone learns of fragments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reading {
    Polling,
    Indications,
}

/// The ends of what MTU can be.
pub const LINKS: [(Mtu, Reading); 2] = [
    (Mtu::LOWEST, Reading::Indications),
    (Mtu::HIGHEST, Reading::Polling),
];

/// Directions.
const UP: usize = 0;
const DOWN: usize = 1;

/// Acknowledgements and abort frames are no longer.
const SHORT: usize = 4;

/// Between two looks of the phone.
const PATIENCE: Duration = Duration::from_millis(50);

/// A phone, a pump, and what is between them.
pub struct Line<'a> {
    pub case: &'a Case,
    pub world: World,
    client: Client,
    mtu: Mtu,
    reading: Reading,
    /// The frame that something happens to, counted from the command's first in both directions, and what.
    pub disturbed: Option<(usize, Disturbance)>,
    pub carried: usize,
    silent: bool,
    /// What is late, by direction.
    late: [Option<Vec<u8>>; 2],
    /// What became of the request under way when the connection broke.
    broken: Option<Ended>,
    connections: u8,
    pub power_lost: bool,
}

/// What a command met with.
pub struct Sent {
    pub command: Command,
    /// Its command number; 0 for one that bears none.
    pub number: u32,
    /// What the phone had read before it.
    status: Option<Status>,
    therapy: Option<TherapyStatus>,
    /// What the client said of it.
    pub event: ClientEvent,
}

impl Sent {
    pub fn fate(&self) -> Fate {
        match &self.event {
            ClientEvent::Answer(answer) => answer.outcome.fate(),
            ClientEvent::Ended(ended) => ended.fate,
            ClientEvent::Welcome(_) | ClientEvent::Nothing => panic!("{:?}", self.event),
        }
    }
}

impl<'a> Line<'a> {
    /// Opens the session, asks what has to be known before, and gives the command.
    pub fn run(
        case: &'a Case,
        (mtu, reading): (Mtu, Reading),
        disturbed: Option<(usize, Disturbance)>,
        before: impl FnOnce(&mut World),
    ) -> (Self, Sent) {
        let mut world = case.world.clone();
        let mut phone = open(case, &mut world, mtu);
        let command = (case.ready)(&mut phone, &mut world);
        let kind = command.kind();
        assert_eq!(kind, case.kind, "{}", case.name);
        let (mut status, mut therapy) = (None, None);
        match kind.when_unknown() {
            WhenUnknown::AskStatus => status = Some(phone.status(&mut world)),
            WhenUnknown::AskTherapy => match phone.ask(&mut world, &Command::ReadTherapy) {
                Outcome::Therapy(read) => therapy = Some(read),
                other => panic!("{other:?}"),
            },
            WhenUnknown::Repeat => {}
        }
        before(&mut world);
        let mut line = Line {
            case,
            world,
            client: phone.client,
            mtu,
            reading,
            disturbed,
            carried: 0,
            silent: false,
            late: [None, None],
            broken: None,
            connections: 0,
            power_lost: false,
        };
        let event = line.ask(&command);
        let number = if kind.is_numbered() {
            line.client.last_number()
        } else {
            0
        };
        let sent = Sent {
            command,
            number,
            status,
            therapy,
            event,
        };
        (line, sent)
    }

    /// The phone's own clock.
    fn now(&self) -> CarrierTime {
        CarrierTime::from_micros(self.world.now().micros())
    }

    fn ask(&mut self, command: &Command) -> ClientEvent {
        let now = self.now();
        self.client.request(now, command).expect("a request");
        self.until_over()
    }

    fn asked(&mut self, command: &Command) -> Outcome {
        match self.ask(command) {
            ClientEvent::Answer(answer) => answer.outcome,
            other => panic!("{}: {other:?}", self.case.name),
        }
    }

    /// As a phone comes back.
    pub fn connect(&mut self, credentials: &Credentials) -> Result<Welcome, Ended> {
        self.silent = false;
        self.late = [None, None];
        self.client.closed();
        self.world.disconnect();
        self.world.settle();
        if self.case.presence {
            hold_magnet(&mut self.world);
        }
        while !self.world.shows_itself(Peer::Stranger) {
            self.advance(Duration::from_seconds(1));
        }
        assert!(self.world.connect(self.mtu));
        self.world.settle();
        self.world.take_pushed();
        let info = Info::decode(&self.world.info()).expect("an Info");
        self.connections += 1;
        let (now, random) = (self.now(), Secret::new([self.connections; 32]));
        self.client.opened(self.mtu);
        self.client
            .open(now, &info, credentials, random)
            .expect("a Hello");
        match self.until_over() {
            ClientEvent::Welcome(welcome) => Ok(welcome),
            ClientEvent::Ended(ended) => Err(ended),
            other => panic!("{}: {other:?}", self.case.name),
        }
    }

    fn until_over(&mut self) -> ClientEvent {
        for _ in 0..5_000 {
            let up = self.up();
            let (mut event, down) = self.down();
            if event == ClientEvent::Nothing
                && self.broken.is_none()
                && (self.reading == Reading::Polling || !up && !down)
            {
                self.advance(PATIENCE);
                event = self.client.tick(self.now());
            }
            if event != ClientEvent::Nothing {
                // The acknowledgement of the last fragment.
                self.up();
                return event;
            }
            if let Some(ended) = self.broken.take() {
                return ClientEvent::Ended(ended);
            }
        }
        panic!("{}: never over", self.case.name);
    }

    /// What the phone writes. Whether there was something.
    fn up(&mut self) -> bool {
        let mut written = false;
        while let Some(frame) = self.client.next_frame() {
            written = true;
            let (arrived, happens) = self.carry(&frame, UP);
            for frame in arrived {
                self.world.write_command(&frame);
                self.advance(Duration::ZERO);
            }
            self.then(happens);
        }
        written
    }

    /// What the pump says. Whether there was something.
    fn down(&mut self) -> (ClientEvent, bool) {
        let mut fragments = Vec::new();
        for pushed in self.world.take_pushed() {
            match pushed {
                Pushed::Response(fragment) if self.reading == Reading::Indications => {
                    fragments.push(fragment);
                }
                Pushed::HungUp(_) => self.broken = self.client.closed().or(self.broken),
                Pushed::Response(_) | Pushed::StatusChanged(_) => {}
            }
        }
        if self.reading == Reading::Polling {
            fragments.push(self.world.response());
        }
        let mut event = ClientEvent::Nothing;
        let mut heard = false;
        for fragment in fragments {
            // Nothing comes over a connection that is gone.
            if fragment.is_empty() || !self.world.is_connected() {
                continue;
            }
            heard = true;
            let (arrived, happens) = self.carry(&fragment, DOWN);
            for fragment in arrived {
                let now = self.now();
                match self.client.receive(now, &fragment) {
                    ClientEvent::Nothing => {}
                    told => {
                        assert_eq!(
                            event,
                            ClientEvent::Nothing,
                            "{}: told twice",
                            self.case.name
                        );
                        event = told;
                    }
                }
            }
            self.then(happens);
        }
        (event, heard)
    }

    /// What arrives when a frame is sent.
    fn carry(&mut self, frame: &[u8], to: usize) -> (Vec<Vec<u8>>, Option<Disturbance>) {
        let at = self.carried;
        self.carried += 1;
        let disturbed = self.disturbed.take_if(|(frame, _)| *frame == at);
        let happens = disturbed.map(|(_, disturbance)| disturbance);
        self.silent |= happens == Some(Disturbance::Silence);
        let mut frame = frame.to_vec();
        let mut arrived = Vec::new();
        match happens {
            _ if self.silent => return (arrived, happens),
            Some(Disturbance::Lost | Disturbance::Silence | Disturbance::CutBefore) => {
                return (arrived, happens);
            }
            Some(Disturbance::Late) => {
                self.late[to] = Some(frame);
                return (arrived, happens);
            }
            Some(Disturbance::Repeated) => arrived.push(frame.clone()),
            Some(Disturbance::Damaged) if frame.len() > SHORT => {
                *frame.last_mut().expect("a byte") ^= 0x10;
            }
            Some(Disturbance::Damaged | Disturbance::CutAfter | Disturbance::PowerLost) | None => {}
        }
        arrived.push(frame);
        arrived.extend(self.late[to].take());
        (arrived, happens)
    }

    fn then(&mut self, happens: Option<Disturbance>) {
        match happens {
            Some(Disturbance::CutBefore | Disturbance::CutAfter) => {
                self.broken = self.client.closed();
                self.world.disconnect();
                self.advance(Duration::ZERO);
            }
            Some(Disturbance::PowerLost) => {
                self.world.power_off();
                self.advance(Duration::ZERO);
            }
            Some(
                Disturbance::Lost
                | Disturbance::Silence
                | Disturbance::Repeated
                | Disturbance::Late
                | Disturbance::Damaged,
            )
            | None => {}
        }
    }

    pub fn advance(&mut self, time: Duration) {
        self.world.advance_to(self.world.now().saturating_add(time));
        if !self.world.has_power() {
            self.power_lost = true;
            self.broken = self.client.closed().or(self.broken);
            power_comes_back(&mut self.world);
        }
    }

    /// What became of a command of which the phone knows nothing, as docs/protocol.md says; and whether it had to be given again for that.
    pub fn resolve(&mut self, sent: &Sent) -> (Fate, bool) {
        let fate = self.ask_about(sent);
        let (Fate::Unknown, WhenUnknown::Repeat) = (fate, sent.command.kind().when_unknown())
        else {
            return (fate, false);
        };
        let again = self.asked(&sent.command);
        (resolve_repetition(&sent.command, &again), true)
    }

    fn ask_about(&mut self, sent: &Sent) -> Fate {
        let case = self.case;
        if case.credentials.slot() >= SLOTS
            && let Command::GrantKey(grant) = &sent.command
        {
            // The numbers of an enrolment are not counted; the new key itself tells.
            let new = key_at(case.world.build(), grant.slot).credentials();
            return match self.connect(&new) {
                Ok(_) => Fate::Done,
                Err(Ended {
                    reason: Reason::Denied(_),
                    ..
                }) => Fate::CertainlyNot,
                Err(other) => panic!("{}: {other}", case.name),
            };
        }
        let welcome = self.connect(&case.credentials).expect("a session");
        if welcome.last_number < sent.number {
            return Fate::CertainlyNot;
        }
        let done = match &sent.command {
            Command::Commit(commit) => {
                let before = sent.status.as_ref().expect("read").program_number;
                return self
                    .when_stored(|line| resolve_commit(&commit.digest, before, &line.status()));
            }
            Command::PatientBolus { number } => return self.resolve_order(*number),
            Command::ClinicianBolus(order) => return self.resolve_order(order.number),
            Command::Prime(order) => return self.resolve_order(order.number),
            Command::SetClock(wanted) => match self.status().clock {
                Clock::Known { wall, .. } => {
                    wall.saturating_since(wanted.wall) < Duration::from_minutes(1)
                }
                Clock::Suspect { .. } | Clock::Lost => false,
            },
            Command::Commission(wanted) => {
                let status = self.status();
                status.faults & fault::COMMISSIONING == 0
                    && status.limits.capacity_nl == wanted.capacity_nl
                    && status.limits.step_volume_fl == wanted.step_volume_fl
            }
            Command::DiaryEntry(_) | Command::ExtendTrial { .. } => {
                let trial = |therapy: &TherapyStatus| {
                    let trial = therapy.trial.expect("a trial");
                    (trial.baseline_scores, days(trial.ends_in_s))
                };
                trial(&self.therapy()) != trial(sent.therapy.as_ref().expect("read"))
            }
            _ => return Fate::Unknown,
        };
        if done { Fate::Done } else { Fate::CertainlyNot }
    }

    fn resolve_order(&mut self, number: u32) -> Fate {
        self.when_stored(|line| resolve_order(number, &line.therapy()))
    }

    /// Asks until it is known.
    fn when_stored(&mut self, ask: impl Fn(&mut Self) -> Fate) -> Fate {
        for _ in 0..20 {
            match ask(self) {
                Fate::Unknown => self.advance(Duration::from_millis(500)),
                fate => return fate,
            }
        }
        Fate::Unknown
    }

    pub fn status(&mut self) -> Status {
        match self.asked(&Command::Interrogate) {
            Outcome::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    fn therapy(&mut self) -> TherapyStatus {
        match self.asked(&Command::ReadTherapy) {
            Outcome::Therapy(therapy) => therapy,
            other => panic!("{other:?}"),
        }
    }
}

/// Rounded: no test takes half a day.
pub fn days(seconds: u32) -> u32 {
    (seconds + 43_200) / 86_400
}

fn power_comes_back(world: &mut World) {
    world.advance_to(world.now().saturating_add(Duration::from_seconds(1)));
    world.power_on().expect("a pump");
    world.settle();
}

/// The pump after a loss of power.
pub fn without_power(world: &World) -> World {
    let mut world = world.clone();
    world.power_off();
    power_comes_back(&mut world);
    world
}
