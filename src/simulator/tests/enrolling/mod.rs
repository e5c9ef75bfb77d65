//! A clinician's phone in simulated time, for tests: enrols with a world's pump once, then opens sessions and asks.

#![allow(dead_code, reason = "not every test needs all of it")]

use protocol::presence::HOLD;
use protocol::{
    Client, ClientEvent, Command, Credentials, ENROLMENT_SLOT, Ended, Info, KeyGrant, KeyText, Mtu,
    Outcome, Role, Secret, Status, Welcome,
};
use simulator::world::{Build, Pushed, World};
use units::Duration;

/// The key of the clinician in slot 0, which every test phone has.
pub fn key(build: &Build) -> KeyText {
    KeyText {
        pump: build.pack().private.public_key(),
        private: Secret::new([7; 32]),
        preshared: Secret::new([8; 32]),
        slot: 0,
    }
}

/// What a clinician asks for itself, or for somebody else.
pub fn grant(slot: u8, role: Role, key: &KeyText) -> Command {
    Command::GrantKey(KeyGrant {
        slot,
        role,
        public_key: key.private.public_key(),
        preshared: key.preshared.clone(),
    })
}

/// Somebody holds a magnet over the pump for long enough, and takes it away. Takes the link's time and no other.
pub fn hold_magnet(world: &mut World) {
    world.magnet(true);
    world.settle();
    world.pass_link_time(HOLD);
    world.magnet(false);
    world.settle();
}

/// What opens an enrolment with the sterile pack of such a pump.
pub fn pack_credentials(build: &Build) -> Credentials {
    let pack = build.pack();
    Credentials::new(
        ENROLMENT_SLOT,
        Secret::new([7; 32]),
        pack.one_time.clone(),
        pack.private.public_key(),
    )
}

/// Lets the clinician of [`key`] in, with presence and the sterile pack.
pub fn enrol(world: &mut World, build: &Build) {
    hold_magnet(world);
    let mut phone =
        Phone::open(world, &pack_credentials(build), Mtu::HIGHEST).expect("an enrolment");
    let granted = phone.ask(world, &grant(0, Role::Clinician, &key(build)));
    assert_eq!(granted, Outcome::Done);
    world.disconnect();
    world.settle();
    world.take_pushed();
}

/// A phone in a session.
pub struct Phone {
    pub client: Client,
    pub welcome: Welcome,
}

impl Phone {
    /// Connects as the clinician, who enrols if nobody has.
    pub fn connect(world: &mut World, build: &Build, mtu: u16) -> Self {
        if !world.is_enrolled() {
            enrol(world, build);
        }
        let mtu = Mtu::new(mtu).expect("an MTU");
        Self::open(world, &key(build).credentials(), mtu).expect("a session")
    }

    /// Connects and opens a session with these credentials, or not.
    pub fn open(
        world: &mut World,
        credentials: &Credentials,
        mtu: Mtu,
    ) -> Result<Self, Option<Ended>> {
        assert!(world.connect(mtu), "the pump shows itself");
        world.settle();
        world.take_pushed();
        let info = Info::decode(&world.info()).expect("an Info");
        let mut client = Client::new();
        client.opened(mtu);
        client
            .open(
                world.carrier_time(),
                &info,
                credentials,
                Secret::new([9; 32]),
            )
            .expect("a Hello");
        match event(world, &mut client) {
            ClientEvent::Welcome(welcome) => Ok(Self { client, welcome }),
            ClientEvent::Ended(ended) => Err(Some(ended)),
            ClientEvent::Answer(_) | ClientEvent::Nothing => Err(None),
        }
    }

    pub fn ask(&mut self, world: &mut World, command: &Command) -> Outcome {
        match self.try_ask(world, command) {
            ClientEvent::Answer(answer) => answer.outcome,
            other => panic!("{other:?}"),
        }
    }

    /// What becomes of a request; nothing when nothing is heard of it for ten seconds.
    pub fn try_ask(&mut self, world: &mut World, command: &Command) -> ClientEvent {
        self.client
            .request(world.carrier_time(), command)
            .expect("a request");
        event(world, &mut self.client)
    }

    pub fn status(&mut self, world: &mut World) -> Status {
        match self.ask(world, &Command::Interrogate) {
            Outcome::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }
}

fn event(world: &mut World, client: &mut Client) -> ClientEvent {
    for _ in 0..10_000 {
        for frame in client.frames() {
            world.write_command(&frame);
        }
        world.advance_to(world.now());
        for pushed in world.take_pushed() {
            let Pushed::Response(fragment) = pushed else {
                continue;
            };
            match client.receive(world.carrier_time(), &fragment) {
                ClientEvent::Nothing => {}
                event => {
                    // The acknowledgement of the last fragment.
                    for frame in client.frames() {
                        world.write_command(&frame);
                    }
                    world.advance_to(world.now());
                    return event;
                }
            }
        }
        world.advance_to(world.now().saturating_add(Duration::from_millis(1)));
    }
    ClientEvent::Nothing
}
