//! Attackers against the running pump. Beside the pump that is attacked runs one that is left alone, the same in all else: at every moment the
//! rotors of both have turned by the same steps, and in the end both have the same state, byte for byte. Whatever the attacker
//! did without a key costs at most 2 % of a day's charge, by the figures of `protocol::admission::energy` and the connections that the pump
//! really held.
//!
//! What an attacker can do is what radio gives: connect under any address and at any interval, write any frame, and record, hold back, change and
//! repeat what a phone writes.

mod enrolling;
#[path = "../../protocol/tests/samples/mod.rs"]
mod samples;

use enrolling::{Phone, enrol, grant, hold_magnet, key};
use journal::VirtualFlash;
use protocol::admission::energy::{
    ADVERTISING_EVENT, CLOSING_EVENTS, CONNECTION_EVENT, ELECTRONICS_DAY, FORGED_GATE,
};
use protocol::admission::{FIRST_EVENTS, GATE_EVENTS, GATE_TIME};
use protocol::fragmenter::Fragmenter;
use protocol::frame::{CHECK_LENGTH, Parsed};
use protocol::reassembler::{Progress, Reassembler};
use protocol::session::{HANG_UP_AFTER, IDLE_LIMIT};
use protocol::{
    AlarmIntervals, Client, ClientEvent, Command, Component, Credentials, Denied, Dose, HangUp,
    Info, KeyText, Lifecycle, Mode, Mtu, Outcome, Over, PatientBolus, Program, RECOVERY_SLOT,
    Refused, Role, Secret, Situation, codec, permission,
};
use pump::{CommissioningRecord, StateKind};
use simulator::world::{Build, Carrier, Chance, Peer, Pushed, World};
use units::{CarrierTime, Drug, Duration, Per};

const BUILD: Build = Build {
    commissioning: CommissioningRecord::NOMINAL,
    seed: 5,
    chance: Chance::Seeded,
};

const DAY: Duration = Duration::from_days(1);
const SECOND: Duration = Duration::from_seconds(1);
/// The shortest that there is (Bluetooth Core, connInterval): the most that a second of a connection can cost.
const SHORTEST: Duration = Duration::from_micros(7_500);
/// One that phones choose.
const USUAL: Duration = Duration::from_millis(30);

// ---- Who has a key ----

/// The slots of those whom the clinician has let in.
const GRANTED: [(u8, Role); 3] = [(1, Role::Patient), (2, Role::Service), (7, Role::Emergency)];

fn key_of(slot: u8) -> KeyText {
    KeyText {
        pump: BUILD.pack().private.public_key(),
        private: Secret::new([slot + 7; 32]),
        preshared: Secret::new([slot + 80; 32]),
        slot,
    }
}

fn credentials(role: Role) -> Credentials {
    let granted = GRANTED.into_iter().find(|(_, other)| *other == role);
    match (role, granted) {
        (_, Some((slot, _))) => key_of(slot).credentials(),
        // Who has lost every key, and has the implant card.
        (Role::Enrolling, None) => {
            let (pack, private) = (BUILD.pack(), Secret::new([99; 32]));
            let pump = pack.private.public_key();
            Credentials::new(RECOVERY_SLOT, private, pack.recovery.clone(), pump)
        }
        (_, None) => key(&BUILD).credentials(),
    }
}

/// A pump in service that delivers 0.25 mL of morphine a day, everybody enrolled, nobody connected.
fn prepared() -> World {
    let flash = VirtualFlash::nrf52840();
    let mut world = World::new(BUILD, flash, Carrier::Simulated).expect("a world");
    world.power_on().expect("a pump");
    enrol(&mut world, &BUILD);
    let mut phone = Phone::connect(&mut world, &BUILD, 247);
    for (slot, role) in GRANTED {
        let granted = phone.ask(&mut world, &grant(slot, role, &key_of(slot)));
        assert_eq!(granted, Outcome::Done);
    }
    let primary = Component {
        drug: Drug::Morphine,
        concentration_ng_per_ml: 10_000_000,
    };
    let dose = Dose {
        nanograms: 2_500_000,
        per: Per::Day,
    };
    let program = Program {
        patient_bolus: Some(PatientBolus {
            dose_ng: 50_000,
            duration_s: 600,
            lockout_min: 60,
            per_day: 4,
            day_cap_ng: None,
            periods: protocol::List::new(),
        }),
        ..Program::new(primary, Mode::SimpleContinuous { dose })
    };
    let Outcome::Staged(staged) = phone.ask(&mut world, &Command::Stage(program)) else {
        panic!("not staged")
    };
    let committed = phone.ask(&mut world, &Command::Commit(staged.commit(None)));
    assert_eq!(committed, Outcome::Committed { program_number: 1 });
    leave(&mut world);
    // The window in which everybody was enrolled is over.
    world.pass_link_time(Duration::from_minutes(10));
    world.settle();
    world
}

fn leave(world: &mut World) {
    world.disconnect();
    world.settle();
    world.take_pushed();
}

// ---- The trial ----

/// A pump that is attacked, and one that is not.
struct Trial {
    pump: World,
    undisturbed: World,
    /// What the attacker's connections cost, in nanocoulombs, and when they began.
    costs: Vec<(CarrierTime, u64)>,
    /// The attacker's connection.
    link: Option<Link>,
    frames: Fragmenter,
}

struct Link {
    since: CarrierTime,
    interval: Duration,
    messages: u64,
}

impl Trial {
    fn new() -> Self {
        let trial = Self {
            pump: prepared(),
            undisturbed: prepared(),
            costs: Vec::new(),
            link: None,
            frames: Fragmenter::new(),
        };
        trial.compare();
        trial
    }

    /// Both pumps have turned the same and know the same. Care has in it when the pump last saw that something was delivered, and the end of a
    /// connection is an occasion to look: what it is about is compared by asking, in [`Trial::end`].
    fn compare(&self) {
        self.compare_steps();
        let both = self.pump.state().into_iter().zip(self.undisturbed.state());
        for (attacked, undisturbed) in both.filter(|((kind, _), _)| *kind != StateKind::Care) {
            assert_eq!(attacked, undisturbed);
        }
    }

    fn compare_steps(&self) {
        let turned = self.pump.turned_steps();
        assert_eq!(
            turned,
            self.undisturbed.turned_steps(),
            "at {}",
            self.pump.now()
        );
    }

    /// All that the attack has left in the log is that somebody failed, at most once an hour.
    fn compare_log(&mut self) {
        let kinds = |world: &mut World| {
            let log = world.log().expect("a log");
            log.into_iter().map(|entry| entry.kind).collect::<Vec<_>>()
        };
        let mut attacked = kinds(&mut self.pump);
        let all = attacked.len();
        attacked.retain(|kind| *kind != pump::kind::AUTHENTICATION_FAILED.0);
        assert_eq!(attacked, kinds(&mut self.undisturbed));
        let hours = self.pump.now().micros() / Duration::from_hours(1).micros();
        let failures = u64::try_from(all - attacked.len()).expect("few");
        assert!(failures <= hours + 1, "{failures} in {hours} h");
    }

    /// Lets time pass for both.
    fn pass(&mut self, time: Duration) {
        self.pump.advance_to(self.pump.now().saturating_add(time));
        self.follow();
    }

    /// The pump that is left alone comes to where the other is.
    fn follow(&mut self) {
        self.pump.settle();
        self.undisturbed.advance_to(self.pump.now());
        self.compare_steps();
        if !self.pump.is_connected() {
            self.count();
        }
    }

    /// Does the same with both, as a phone that has a key does. What comes of it is the same.
    fn both<T: PartialEq + std::fmt::Debug>(&mut self, mut act: impl FnMut(&mut World) -> T) -> T {
        let come = act(&mut self.pump);
        assert_eq!(come, act(&mut self.undisturbed));
        let now = self.pump.now().max(self.undisturbed.now());
        self.pump.advance_to(now);
        self.undisturbed.advance_to(now);
        self.follow();
        come
    }

    /// The attacker's connection is over: what it cost.
    fn count(&mut self) {
        if let Some(link) = self.link.take() {
            let held = self.pump.carrier_time().saturating_since(link.since);
            let events = held.micros().div_ceil(link.interval.micros());
            let charge = ADVERTISING_EVENT
                + (events + CLOSING_EVENTS) * CONNECTION_EVENT
                + link.messages * FORGED_GATE;
            self.costs.push((link.since, charge));
        }
    }

    /// The attacker connects, if the pump shows itself to it.
    fn try_connect(&mut self, peer: Peer, interval: Duration) -> bool {
        assert!(self.link.is_none());
        let connected = self.pump.connect_as(peer, Mtu::HIGHEST, Some(interval));
        if connected {
            if peer == Peer::Bonded {
                self.pump.encrypt();
            }
            self.link = Some(Link {
                since: self.pump.carrier_time(),
                interval,
                messages: 0,
            });
            self.frames = Fragmenter::new();
            self.follow();
        }
        connected
    }

    /// The attacker connects as soon as the pump shows itself to it.
    fn connect(&mut self, peer: Peer, interval: Duration) {
        while !self.try_connect(peer, interval) {
            self.pass(SECOND);
        }
    }

    /// The attacker writes these bytes to Command as they are.
    fn write(&mut self, frame: &[u8]) {
        self.pump.write_command(frame);
        self.follow();
    }

    /// The attacker says something, correctly cut into frames.
    fn say(&mut self, message: &[u8]) {
        if let Some(link) = &mut self.link {
            link.messages += 1;
        }
        let loaded = self.frames.load(|buffer| {
            buffer.get_mut(..message.len())?.copy_from_slice(message);
            Some(message.len())
        });
        assert!(loaded);
        while let Some(frame) = self.frames.next_frame(Mtu::HIGHEST) {
            self.write(&frame);
        }
    }

    /// The attacker holds the connection for as long as the pump bears it: how long that was.
    fn hold(&mut self) -> Duration {
        let Some(Link {
            interval, since, ..
        }) = self.link
        else {
            return Duration::ZERO;
        };
        while self.pump.is_connected() {
            self.pass(interval);
            let held = self.pump.carrier_time().saturating_since(since);
            assert!(held <= GATE_TIME.saturating_add(interval), "{held}");
        }
        self.pump.carrier_time().saturating_since(since)
    }

    /// The attacker goes.
    fn go(&mut self) {
        self.pump.disconnect();
        self.follow();
    }

    fn info(&self) -> Info {
        Info::decode(&self.pump.info()).expect("an Info")
    }

    /// A phone with a key opens a session with the pump that is attacked, as soon as that shows itself.
    fn phone(&mut self, role: Role) -> Tapped {
        while !self.pump.shows_itself(Peer::Stranger) {
            self.pass(SECOND);
        }
        let mut phone = Tapped::connect(&mut self.pump);
        phone.open(&mut self.pump, &credentials(role));
        self.follow();
        phone
    }

    /// Somebody says something in the session of a phone: what the pump denies then.
    fn injects(&mut self, phone: &mut Tapped, message: &[u8]) -> Option<Denied> {
        phone.deliver(&mut self.pump, message);
        let denied = phone.overhears(&mut self.pump);
        self.follow();
        denied
    }

    /// What the pump has said since this was last asked.
    fn heard(&mut self) -> Vec<Pushed> {
        self.pump.take_pushed()
    }

    /// The most that the attacker cost in any 24 hours, in nanocoulombs.
    fn worst_day(&self) -> u64 {
        let from = |first: usize| {
            let rest = &self.costs[first..];
            let day = rest
                .iter()
                .take_while(|(since, _)| since.saturating_since(rest[0].0) <= DAY);
            day.map(|(_, charge)| charge).sum()
        };
        (0..self.costs.len()).map(from).max().unwrap_or(0)
    }

    /// The attack is over. Nothing is other than without it, it was cheap, and who stands at the bed is let in.
    fn end(mut self) -> u64 {
        self.go();
        self.heard();
        self.compare();
        let charge = self.worst_day();
        assert!(charge * 100 <= 2 * ELECTRONICS_DAY, "{charge} nC a day");
        self.both(hold_magnet);
        let owner = credentials(Role::Clinician);
        self.compare_log();
        let (status, _) = self.both(|world| {
            let mut phone = Phone::open(world, &owner, Mtu::HIGHEST).expect("a session");
            let status = phone.status(world);
            let therapy = phone.ask(world, &Command::ReadTherapy);
            leave(world);
            (status, therapy)
        });
        assert_eq!(status.deficit_steps, 0);
        self.pass(Duration::from_hours(1));
        self.compare();
        charge
    }
}

// ---- Flood ----

/// A Hello that nobody with a key has made.
fn forged(slot: u8) -> Vec<u8> {
    let mut message = vec![protocol::VERSION, HELLO, slot];
    message.extend([0x5a; 64]);
    message
}

/// Who floods: under which addresses.
fn flood(peers: &[Peer], days: u32) -> (usize, u64) {
    let mut trial = Trial::new();
    let until = trial.pump.now().saturating_add(Duration::from_days(days));
    while trial.pump.now() < until {
        let connected = peers.iter().any(|&peer| trial.try_connect(peer, SHORTEST));
        if connected {
            trial.say(&forged(0));
            trial.hold();
        } else {
            trial.pass(SECOND);
        }
    }
    (trial.costs.len(), trial.end())
}

/// Strangers who come back as soon as they can, hold on as long as they can at the worst interval, and forge a gate each time.
///
/// Requirement: AC-22, R-17
#[test]
fn a_flood_of_strangers() {
    let (connections, charge) = flood(&[Peer::Stranger], 2);
    // A full bucket, and what comes in two days.
    assert!((25..=30).contains(&connections), "{connections}");
    assert!(charge > 5_000_000, "{charge} nC: no attack at all");
}

/// The same by phones with a bond and without a key, and by both.
#[test]
fn a_flood_of_bonded_phones() {
    let (connections, charge) = flood(&[Peer::Bonded, Peer::Stranger], 2);
    // As strangers too, when their own quota is used up.
    assert!(connections >= 45, "{connections}");
    assert!(charge > 13_000_000, "{charge} nC: no attack at all");
}

/// Who does not let go of a connection that the pump has ended: it lasts until the radio gives up, 32 s at most. One costs more than all the others of a
/// day; it is paid for, and over the days the attack stays in the budget.
#[test]
fn a_flood_of_those_who_do_not_let_go() {
    let days = 20;
    let mut trial = Trial::new();
    trial.pump.cling(Duration::from_seconds(32));
    let until = trial.pump.now().saturating_add(Duration::from_days(days));
    while trial.pump.now() < until {
        let connected = [Peer::Bonded, Peer::Stranger]
            .iter()
            .any(|&peer| trial.try_connect(peer, SHORTEST));
        if connected {
            while trial.pump.is_connected() {
                trial.pass(Duration::from_millis(500));
            }
        } else {
            trial.pass(Duration::from_minutes(1));
        }
    }
    let all: u64 = trial.costs.iter().map(|(_, charge)| charge).sum();
    assert!(
        (2..=10).contains(&trial.costs.len()),
        "{}",
        trial.costs.len()
    );
    assert!(
        all * 100 <= 2 * u64::from(days) * ELECTRONICS_DAY,
        "{all} nC"
    );
    // One is 4,267 events; two of them are not within a single day's budget.
    assert!(trial.worst_day() > 25_000_000);
    trial.costs.clear();
    trial.end();
}

/// Ten thousand connections in a day, each dropped at once by whoever made it: most of them are not even made.
///
/// Requirement: AC-22, R-17
#[test]
fn ten_thousand_reconnects() {
    for peer in [Peer::Stranger, Peer::Bonded] {
        let mut trial = Trial::new();
        let mut made = 0;
        for _ in 0..10_000 {
            if trial.try_connect(peer, SHORTEST) {
                trial.go();
                made += 1;
            }
            trial.pass(Duration::from_micros(DAY.micros() / 10_000));
        }
        assert!((15..=40).contains(&made), "{peer:?}: {made}");
        trial.end();
    }
}

/// Ten thousand sessions in a day, by somebody who has a key: nothing of them is written to flash, and none is refused. What they cost is not
/// bounded: who has a key may come.
#[test]
fn ten_thousand_sessions() {
    let mut trial = Trial::new();
    let owner = credentials(Role::Clinician);
    let before = trial.undisturbed.flash_usage().words_written;
    for _ in 0..10_000 {
        Phone::open(&mut trial.pump, &owner, Mtu::HIGHEST).expect("a session");
        leave(&mut trial.pump);
        trial.pass(Duration::from_seconds(8));
    }
    let written = trial.pump.flash_usage().words_written;
    assert_eq!(written, trial.undisturbed.flash_usage().words_written);
    assert!(written >= before);
    trial.end();
}

/// Whoever says nothing, or says it slowly, has five seconds, or fewer when the connection is dear.
#[test]
fn a_slow_sender_without_a_key() {
    for (peer, interval, longest) in [
        (
            Peer::Stranger,
            SHORTEST,
            SHORTEST.saturating_mul(FIRST_EVENTS),
        ),
        (Peer::Bonded, SHORTEST, SHORTEST.saturating_mul(GATE_EVENTS)),
        (Peer::Bonded, Duration::from_millis(400), GATE_TIME),
    ] {
        let mut trial = Trial::new();
        trial.connect(peer, interval);
        // The first byte of a Hello; the rest follows, a byte each 50 ms.
        trial.write(&[1, 0, 71, 0, protocol::VERSION]);
        let mut sequence = 0;
        while trial.pump.is_connected() && sequence < 200 {
            trial.pass(Duration::from_millis(50));
            sequence += 1;
            trial.write(&[0, sequence, 1]);
        }
        let held = u64::from(sequence) * 50_000;
        assert!(held <= longest.micros() + 50_000, "{peer:?}: {held} us");
        let told = trial.heard();
        assert!(told.contains(&Pushed::HungUp(Over::NoSession)), "{told:?}");
        trial.end();
    }
}

// ---- Between a phone and the pump ----

/// A phone with a key, and somebody who holds back, changes and repeats what it says.
struct Tapped {
    client: Client,
    frames: Fragmenter,
}

/// What is in these frames, without its check.
fn message_of(frames: &[protocol::Frame]) -> Vec<u8> {
    let mut message = Vec::new();
    for (place, frame) in frames.iter().enumerate() {
        let header = if place == 0 { 4 } else { 2 };
        message.extend_from_slice(&frame[header..]);
    }
    message.truncate(message.len() - CHECK_LENGTH);
    message
}

impl Tapped {
    /// Connects, and has said nothing.
    fn connect(world: &mut World) -> Self {
        assert!(world.connect(Mtu::HIGHEST), "the pump shows itself");
        world.settle();
        world.take_pushed();
        Self::on_connection()
    }

    /// On a connection that there is.
    fn on_connection() -> Self {
        let mut client = Client::new();
        client.opened(Mtu::HIGHEST);
        Self {
            client,
            frames: Fragmenter::new(),
        }
    }

    /// What the phone says who wants to open a session with the pump that showed it this Info.
    fn hello(&mut self, world: &World, info: &Info, credentials: &Credentials) -> Vec<u8> {
        let now = world.carrier_time();
        let opened = self
            .client
            .open(now, info, credentials, Secret::new([9; 32]));
        opened.expect("a Hello");
        message_of(&self.client.frames().collect::<Vec<_>>())
    }

    /// What the phone says who asks for this.
    fn request(&mut self, world: &World, command: &Command) -> Vec<u8> {
        let asked = self.client.request(world.carrier_time(), command);
        asked.expect("a request");
        message_of(&self.client.frames().collect::<Vec<_>>())
    }

    /// Lets the pump have a message.
    fn deliver(&mut self, world: &mut World, message: &[u8]) {
        let loaded = self.frames.load(|buffer| {
            buffer.get_mut(..message.len())?.copy_from_slice(message);
            Some(message.len())
        });
        assert!(loaded);
        while let Some(frame) = self.frames.next_frame(Mtu::HIGHEST) {
            world.write_command(&frame);
        }
        world.settle();
    }

    /// Lets the phone have what the pump says, until something comes of it.
    fn hear(&mut self, world: &mut World) -> ClientEvent {
        for _ in 0..100 {
            for pushed in world.take_pushed() {
                let Pushed::Response(fragment) = pushed else {
                    continue;
                };
                let event = self.client.receive(world.carrier_time(), &fragment);
                for frame in self.client.frames() {
                    world.write_command(&frame);
                }
                if event != ClientEvent::Nothing {
                    return event;
                }
            }
            world.advance_to(world.now().saturating_add(Duration::from_millis(10)));
        }
        ClientEvent::Nothing
    }

    /// Opens a session, with nobody between. What the phone said.
    fn open(&mut self, world: &mut World, credentials: &Credentials) -> Vec<u8> {
        let info = Info::decode(&world.info()).expect("an Info");
        let hello = self.hello(world, &info, credentials);
        self.deliver(world, &hello);
        let event = self.hear(world);
        assert!(matches!(event, ClientEvent::Welcome(_)), "{event:?}");
        hello
    }

    /// Asks, with nobody between. What the phone said, and what the pump answered.
    fn ask(&mut self, world: &mut World, command: &Command) -> (Vec<u8>, Outcome) {
        let request = self.request(world, command);
        self.deliver(world, &request);
        match self.hear(world) {
            ClientEvent::Answer(answer) => (request, answer.outcome),
            other => panic!("{other:?}"),
        }
    }

    /// What the pump denies next, whether or not the phone waits for something.
    fn overhears(&mut self, world: &mut World) -> Option<Denied> {
        let mut incoming = Reassembler::new(None);
        for pushed in world.take_pushed() {
            let Pushed::Response(fragment) = pushed else {
                continue;
            };
            let Ok(Parsed::Data(part)) = Parsed::from_bytes(&fragment) else {
                continue;
            };
            if incoming.receive(world.carrier_time(), &part) == Ok(Progress::Complete)
                && let [protocol::VERSION, DENIED, body @ ..] = incoming.message()
            {
                return Some(codec::decode(body).expect("a Denied"));
            }
        }
        None
    }
}

/// The kinds of a message that an attacker makes up or looks for (docs/protocol.md).
const HELLO: u8 = 1;
const SEALED: u8 = 3;
const DENIED: u8 = 4;

/// Somebody recorded a whole session, a bolus in it, and says all of it again: on connections of his own, and in the middle of another's session.
///
/// Requirement: AC-21, R-15
#[test]
fn replay() {
    let mut trial = Trial::new();
    let patient = credentials(Role::Patient);
    let recorded = trial.both(|world| {
        let mut phone = Tapped::connect(world);
        let mut said = vec![phone.open(world, &patient)];
        for command in [
            Command::Interrogate,
            Command::PatientBolus { number: 1 },
            Command::CancelBolus,
            Command::ReadTherapy,
        ] {
            let (request, outcome) = phone.ask(world, &command);
            assert!(!matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
            said.push(request);
        }
        leave(world);
        said
    });
    // All of it on one connection, and each message on its own.
    for peer in [Peer::Stranger, Peer::Bonded] {
        trial.connect(peer, USUAL);
        for message in &recorded {
            trial.say(message);
        }
        trial.hold();
        for message in &recorded {
            trial.connect(peer, USUAL);
            trial.say(message);
            trial.hold();
        }
    }
    // In somebody else's session, and in the same patient's next: one message and the session is over.
    for role in [Role::Clinician, Role::Patient] {
        for message in &recorded {
            let mut phone = trial.phone(role);
            assert_ne!(trial.injects(&mut phone, message), None);
            trial.go();
        }
    }
    trial.end();
}

/// Of two commands the second comes first: the first is refused then, and only the second has happened.
///
/// Requirement: AC-21
#[test]
fn reorder() {
    let intervals = |critical_min| {
        Command::SetAlarmIntervals(AlarmIntervals {
            critical_min,
            other_min: 60,
        })
    };
    let mut trial = Trial::new();
    let (mut phone, held_back) = {
        let mut made = [&mut trial.pump, &mut trial.undisturbed].map(|world| {
            let mut phone = Tapped::connect(world);
            phone.open(world, &credentials(Role::Clinician));
            let held_back = phone.request(world, &intervals(10));
            phone.client.abandon();
            let _ = phone.client.frames().count();
            let (_, outcome) = phone.ask(world, &intervals(15));
            assert_eq!(outcome, Outcome::Done);
            (phone, held_back)
        });
        std::mem::replace(&mut made[0], (Tapped::on_connection(), Vec::new()))
    };
    trial.follow();
    let denied = trial.injects(&mut phone, &held_back);
    assert_eq!(denied, Some(Denied::Repeated { last: 2 }));
    // The session lives on.
    let (_, outcome) = phone.ask(&mut trial.pump, &Command::Interrogate);
    assert!(matches!(outcome, Outcome::Status(_)), "{outcome:?}");
    trial.undisturbed.disconnect();
    trial.end();
}

/// Of a Hello that a phone with a key has made for this very connection, a byte is changed, or the end is missing: nobody is let in.
#[test]
fn a_changed_or_shortened_hello() {
    let mut trial = Trial::new();
    let mut length = 0;
    let mut places = 0..;
    while let Some(place) = places.next()
        && (length == 0 || place < 2 * length)
    {
        let peer = [Peer::Stranger, Peer::Bonded][place % 2];
        trial.connect(peer, USUAL);
        let (mut phone, info) = (Tapped::on_connection(), trial.info());
        let mut hello = phone.hello(&trial.pump, &info, &credentials(Role::Clinician));
        length = hello.len();
        match place.checked_sub(length) {
            None => hello[place] ^= 1 << (place % 8),
            Some(end) => hello.truncate(end),
        }
        trial.say(&hello);
        let told = trial.heard();
        assert!(!told.is_empty(), "{place}: the pump says why");
        trial.hold();
        let told = trial.heard();
        let ended = told
            .iter()
            .any(|pushed| matches!(pushed, Pushed::HungUp(_)));
        assert!(ended, "{place}: {told:?}");
    }
    assert_eq!(length, 67);
    trial.end();
}

/// The same with what is said in a session. Until its phone says it as it was, nothing is done.
#[test]
fn a_changed_or_shortened_request() {
    let mut trial = Trial::new();
    let command = Command::EmergencyMinimumRate;
    let length = {
        let mut phone = trial.phone(Role::Clinician);
        let request = phone.request(&trial.pump, &command);
        trial.go();
        request.len()
    };
    for place in 0..2 * length {
        let mut phone = trial.phone(Role::Clinician);
        let mut request = phone.request(&trial.pump, &command);
        match place.checked_sub(length) {
            None => request[place] ^= 1 << (place % 8),
            Some(end) => request.truncate(end),
        }
        let denied = trial.injects(&mut phone, &request);
        // What is shorter than a message can be is dropped as a frame.
        assert_eq!(denied.is_some(), request.len() > 1, "{place}");
        trial.go();
        trial.heard();
    }
    trial.compare();
    // The attack was on something: unchanged it would have been done.
    let mut phone = trial.phone(Role::Clinician);
    let (_, outcome) = phone.ask(&mut trial.pump, &command);
    assert_eq!(outcome, Outcome::Done);
    assert_ne!(trial.pump.state(), trial.undisturbed.state());
}

/// What was said in one session is said in another, and under another slot's name.
///
/// Requirement: AC-21, R-15
#[test]
fn splicing() {
    let mut trial = Trial::new();
    let command = Command::EmergencyMinimumRate;
    let mut first = trial.phone(Role::Clinician);
    let request = first.request(&trial.pump, &command);
    trial.go();
    // The same clinician's next session, and the patient's.
    for role in [Role::Clinician, Role::Patient, Role::Service] {
        let mut phone = trial.phone(role);
        let denied = trial.injects(&mut phone, &request);
        assert_eq!(denied, Some(Denied::NotSealed), "{role}");
        // The session is over with it: nobody has a second try.
        trial.pass(HANG_UP_AFTER);
        assert!(!trial.pump.is_connected());
    }
    // And the patient's own words in a clinician's session.
    let mut patient = trial.phone(Role::Patient);
    let request = patient.request(&trial.pump, &Command::PatientBolus { number: 1 });
    trial.go();
    let mut phone = trial.phone(Role::Clinician);
    let denied = trial.injects(&mut phone, &request);
    assert_eq!(denied, Some(Denied::NotSealed));
    trial.go();
    // A patient who would be somebody else.
    for slot in (0..=u8::MAX).filter(|slot| *slot != 1 && *slot < 10 || *slot > 252) {
        trial.connect(Peer::Bonded, USUAL);
        let (mut phone, info) = (Tapped::on_connection(), trial.info());
        let mut hello = phone.hello(&trial.pump, &info, &credentials(Role::Patient));
        hello[2] = slot;
        let denied = trial.injects(&mut phone, &hello);
        let bears_key = slot >= RECOVERY_SLOT;
        let expected = if bears_key {
            Denied::Malformed
        } else {
            Denied::NotAdmitted
        };
        assert_eq!(denied, Some(expected), "{slot}");
        trial.hold();
    }
    trial.end();
}

/// A Hello that was made for an earlier connection, with the bytes that the pump showed there.
#[test]
fn a_stale_nonce() {
    let mut trial = Trial::new();
    trial.connect(Peer::Bonded, USUAL);
    let stale = trial.info();
    trial.go();
    for role in [Role::Clinician, Role::Patient, Role::Service] {
        trial.connect(Peer::Bonded, USUAL);
        assert_ne!(trial.info().nonce, stale.nonce);
        let mut phone = Tapped::on_connection();
        let hello = phone.hello(&trial.pump, &stale, &credentials(role));
        let denied = trial.injects(&mut phone, &hello);
        assert_eq!(denied, Some(Denied::NotAdmitted));
        trial.hold();
    }
    trial.end();
}

/// Another version, another kind of message, another Info: no side is talked into anything weaker.
#[test]
fn downgrade() {
    let mut trial = Trial::new();
    for version in [0, 2, 3, 0x7f, 0xff] {
        trial.connect(Peer::Bonded, USUAL);
        let (mut phone, info) = (Tapped::on_connection(), trial.info());
        let mut hello = phone.hello(&trial.pump, &info, &credentials(Role::Clinician));
        hello[0] = version;
        let denied = trial.injects(&mut phone, &hello);
        let known = protocol::VERSION;
        assert_eq!(denied, Some(Denied::UnknownVersion { version, known }));
        trial.hold();
    }
    for kind in [0, 2, SEALED, DENIED, 5, 0xff] {
        trial.connect(Peer::Bonded, USUAL);
        let (mut phone, info) = (Tapped::on_connection(), trial.info());
        let mut hello = phone.hello(&trial.pump, &info, &credentials(Role::Clinician));
        hello[1] = kind;
        let denied = trial.injects(&mut phone, &hello);
        let expected = match kind {
            SEALED => Denied::NoSession,
            _ => Denied::Malformed,
        };
        assert_eq!(denied, Some(expected), "{kind}");
        trial.hold();
    }
    // What the phone reads is not what the pump shows: the two do not understand each other.
    let changes: [fn(&mut Info); 3] = [
        |info| info.version = 0,
        |info| info.schema_hash ^= 1,
        |info| info.capabilities ^= 1,
    ];
    for change in changes {
        trial.connect(Peer::Bonded, USUAL);
        let (mut phone, mut info) = (Tapped::on_connection(), trial.info());
        change(&mut info);
        let hello = phone.hello(&trial.pump, &info, &credentials(Role::Clinician));
        let denied = trial.injects(&mut phone, &hello);
        assert_eq!(denied, Some(Denied::NotAdmitted));
        trial.hold();
    }
    trial.end();
}

/// Every command, by everybody who may not give it, with and without presence: refused, and nothing else.
#[test]
fn every_command_in_the_wrong_role() {
    let mut refused = 0;
    for armed in [false, true] {
        let mut trial = Trial::new();
        for role in Role::ALL {
            if role.needs_presence() && !armed {
                continue;
            }
            if armed {
                trial.both(hold_magnet);
            }
            let mut phone = trial.phone(role);
            for command in samples::commands() {
                let situation = Situation {
                    lifecycle: Lifecycle::InService,
                    armed,
                    alarm: false,
                };
                let Err(because) = permission(role, command.kind(), &situation) else {
                    continue;
                };
                let (_, outcome) = phone.ask(&mut trial.pump, &command);
                let expected = Outcome::Refused(Refused::NotAllowed { because });
                assert_eq!(outcome, expected, "{role}: {}", command.kind());
                refused += 1;
                trial.follow();
                trial.compare();
            }
            trial.go();
            trial.heard();
        }
        trial.end();
    }
    assert!(refused > 150, "{refused}");
}

/// A session does not last for being spoken in slowly.
#[test]
fn a_slow_sender_in_a_session() {
    let mut trial = Trial::new();
    let mut phone = trial.phone(Role::Clinician);
    let request = phone.request(&trial.pump, &Command::EmergencyMinimumRate);
    let total = u16::try_from(request.len() + CHECK_LENGTH).expect("short");
    let mut first = vec![1, 1];
    first.extend(total.to_le_bytes());
    trial.write(&first);
    let mut seconds = 0;
    for (byte, sequence) in request.iter().cycle().zip((0..=u8::MAX).cycle().skip(2)) {
        if !trial.pump.is_connected() {
            break;
        }
        trial.write(&[0, sequence, *byte]);
        trial.pass(SECOND);
        seconds += 1;
    }
    let limit = IDLE_LIMIT.micros() / SECOND.micros();
    assert!((limit..limit + 5).contains(&seconds), "{seconds} s");
    let told = trial.heard();
    let idle = Pushed::HungUp(Over::Session(HangUp::Idle));
    assert!(told.contains(&idle), "{told:?}");
    trial.end();
}

/// Any bytes, before a session and in one.
#[test]
fn noise() {
    let mut trial = Trial::new();
    // Knuth's generator: the same bytes each time.
    let mut state = 1_u64;
    let mut random = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).to_le_bytes()
    };
    for session in [false, true] {
        for _ in 0..10 {
            let mut frames = 0;
            if session {
                trial.phone(Role::Clinician);
            } else {
                trial.connect(Peer::Bonded, USUAL);
            }
            while trial.pump.is_connected() && frames < 200 {
                let [length, flags, ..] = random();
                let mut frame = Vec::new();
                while frame.len() < usize::from(length) % 245 {
                    frame.extend_from_slice(&random()[..3]);
                }
                // Mostly flags that there are, and numbers that follow each other.
                if let [first, second, ..] = frame.as_mut_slice()
                    && flags < 200
                {
                    *first &= 7;
                    *second = frames;
                }
                trial.write(&frame);
                trial.pass(Duration::from_millis(5));
                frames += 1;
            }
            trial.go();
            trial.heard();
        }
    }
    trial.end();
}
