//! The phone of a scenario: the same client as the phone page's, over the virtual pump's link.

use crate::world::{Build, Chance, Pushed, Random, World};
use anyhow::{Context, Result, bail, ensure};
use protocol::presence::HOLD;
use protocol::session::{HANG_UP_AFTER, IDLE_LIMIT};
use protocol::{
    Client, ClientEvent, Command, Credentials, ENROLMENT_SLOT, Info, KeyGrant, Mtu, Outcome,
    PackText, PathStatus, Program, Refused, Role, SetClock, Staged, Status, TherapyStatus, Welcome,
};
use std::fmt;
use units::{CarrierTime, Duration, OverrideReason, WallTime};

/// Femtolitres of a nanolitre.
const FEMTOLITRES: u64 = 1_000_000;

/// How long the phone waits before it looks again, when the pump says nothing.
const PATIENCE: Duration = Duration::from_millis(100);

/// Sets apart what the phone's chance and the world's begin with.
const PHONE: u64 = 0x0070_686f_6e65;

/// A clinician's phone. It connects when there is something to ask, and stays connected until the pump ends it.
pub(crate) struct Phone {
    client: Client,
    mtu: Mtu,
    credentials: Credentials,
    random: Random,
    /// When it last heard of the pump in its session; none without a session.
    heard: Option<CarrierTime>,
}

/// What came of programming.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Programmed {
    /// When the commit was sent: a stop takes effect then.
    pub(crate) sent: Duration,
    /// When its answer came: a rate takes effect then.
    pub(crate) confirmed: Duration,
}

/// The pump did not do what it was asked: what it says why.
#[derive(Clone, Debug)]
pub(crate) struct NotDone(pub(crate) String);

impl NotDone {
    fn refused(refused: &Refused) -> Self {
        Self(refused.to_string())
    }
}

impl fmt::Display for NotDone {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the pump refused it: {}", self.0)
    }
}

impl std::error::Error for NotDone {}

impl Phone {
    /// Enrols with a new pump as a clinician does: holds the magnet over it, says who it is with the one-time secret of the sterile pack, and
    /// grants itself a key. None of the therapy's time passes meanwhile but what the pump's flash needs.
    pub(crate) fn enrol(
        world: &mut World,
        build: &Build,
        pack: &PackText,
        mtu: Mtu,
    ) -> Result<Self> {
        let mut random = Random::new(Chance::Seeded, build.seed ^ PHONE);
        let (private, preshared) = (random.secret(), random.secret());
        let public_key = private.public_key();
        world.magnet(true);
        world.settle();
        world.pass_link_time(HOLD);
        world.magnet(false);
        world.settle();
        let mut phone = Self {
            client: Client::new(),
            mtu,
            credentials: Credentials::new(
                ENROLMENT_SLOT,
                private.clone(),
                pack.one_time.clone(),
                pack.pump,
            ),
            random,
            heard: None,
        };
        let grant = KeyGrant {
            slot: 0,
            role: Role::Clinician,
            public_key,
            preshared: preshared.clone(),
        };
        match phone.ask(world, &Command::GrantKey(grant))? {
            Outcome::Done => {}
            other => bail!("the pump answered an enrolment with {other:?}"),
        }
        phone.hang_up(world);
        phone.credentials = Credentials::new(0, private, preshared, pack.pump);
        Ok(phone)
    }

    fn hang_up(&mut self, world: &mut World) {
        self.heard = None;
        self.client.closed();
        world.disconnect();
        world.settle();
        // Nobody reads what was said on that connection.
        let _ = world.take_pushed();
    }

    /// Opens a session, if there is none that the pump would still go on with.
    fn open(&mut self, world: &mut World) -> Result<()> {
        // What the pump has locked and not ended yet is of no use.
        let lasting = IDLE_LIMIT.saturating_sub(HANG_UP_AFTER);
        let lasts = |heard| world.carrier_time().saturating_since(heard) < lasting;
        if world.is_connected() && self.heard.is_some_and(lasts) {
            return Ok(());
        }
        self.hang_up(world);
        ensure!(
            world.connect(self.mtu),
            "the pump has no power, or does not show itself"
        );
        world.advance_to(world.now());
        let info = Info::decode(&world.info()).context("the pump's Info")?;
        self.client.opened(self.mtu);
        self.client
            .open(
                world.carrier_time(),
                &info,
                &self.credentials,
                self.random.secret(),
            )
            .context("no session could be opened")?;
        match self.event(world) {
            ClientEvent::Welcome(Welcome { .. }) => Ok(()),
            ClientEvent::Ended(ended) => bail!("the pump opens no session: {ended}"),
            ClientEvent::Answer(_) | ClientEvent::Nothing => bail!("the pump opens no session"),
        }
    }

    /// Asks the pump everything.
    pub(crate) fn interrogate(&mut self, world: &mut World) -> Result<Status> {
        match self.ask(world, &Command::Interrogate)? {
            Outcome::Status(status) => Ok(status),
            other => bail!("the pump answered an interrogation with {other:?}"),
        }
    }

    /// Asks the pump what therapy is doing.
    pub(crate) fn therapy(&mut self, world: &mut World) -> Result<TherapyStatus> {
        match self.ask(world, &Command::ReadTherapy)? {
            Outcome::Therapy(status) => Ok(status),
            other => bail!("the pump answered a question about therapy with {other:?}"),
        }
    }

    /// Asks the pump what is in the path to the tip.
    pub(crate) fn path(&mut self, world: &mut World) -> Result<PathStatus> {
        match self.ask(world, &Command::ReadPath)? {
            Outcome::Path(status) => Ok(status),
            other => bail!("the pump answered a question about the path with {other:?}"),
        }
    }

    /// Orders something that the pump does or refuses.
    ///
    /// # Errors
    /// [`NotDone`] when it does not.
    pub(crate) fn order(&mut self, world: &mut World, command: &Command) -> Result<()> {
        match self.ask(world, command)? {
            Outcome::Done | Outcome::BolusStarted { .. } => Ok(()),
            Outcome::Refused(refused) => Err(NotDone::refused(&refused).into()),
            Outcome::BolusRefused { denial } => Err(NotDone(denial.to_string()).into()),
            other => bail!("the pump answered {} with {other:?}", command.kind()),
        }
    }

    /// Number of the next bolus or prime.
    pub(crate) fn next_number(&mut self, world: &mut World) -> Result<u32> {
        Ok(self.therapy(world)?.last_number.saturating_add(1))
    }

    /// Programs the pump: stage, read back, compare, commit with what the pump has shown. A reservoir that has been filled before is
    /// refilled as the pump asks for it, unless a refill is open already: opened, and all that it is expected to hold drawn out.
    ///
    /// # Errors
    /// [`NotDone`] when the pump refuses it.
    pub(crate) fn program(
        &mut self,
        world: &mut World,
        program: &Program,
        reason: Option<OverrideReason>,
    ) -> Result<Programmed> {
        let status = self.interrogate(world)?;
        if let (Some(fill), Some(level)) = (program.fill, status.reservoir_fl)
            && !fill.top_up
            && self.therapy(world)?.refill_open_s.is_none()
        {
            self.order(world, &Command::OpenRefill)?;
            // Rounded up: what is said to be left would count against the capacity.
            let volume_nl =
                u32::try_from(level.div_ceil(FEMTOLITRES)).context("the reservoir's level")?;
            self.order(world, &Command::RefillAspirated { volume_nl })?;
        }
        let staged = staged(self.ask(world, &Command::Stage(program.clone()))?)?;
        let read_back = match self.ask(world, &Command::ReadBack)? {
            Outcome::Staged(staged) => staged,
            other => bail!("the pump did not read the program back: {other:?}"),
        };
        let wanted = Program {
            // What needs no bridge has none.
            bridge: program.bridge.filter(|_| staged.bridge.is_some()),
            ..program.clone()
        };
        for answer in [&staged, &read_back] {
            ensure!(
                answer.program == wanted,
                "the pump understood another program: asked for {wanted:?}, read back {:?}",
                answer.program
            );
            ensure!(
                answer.is_consistent(status.program_number),
                "the pump's digest is not that of the program read back"
            );
        }
        let sent = world.now();
        match self.ask(world, &Command::Commit(staged.commit(reason)))? {
            Outcome::Committed { program_number }
                if program_number == status.program_number + 1 =>
            {
                Ok(Programmed {
                    sent,
                    confirmed: world.now(),
                })
            }
            Outcome::Refused(Refused::ReasonNeeded) => {
                let findings: Vec<String> =
                    staged.findings.iter().map(ToString::to_string).collect();
                let refused = Refused::ReasonNeeded;
                Err(NotDone(format!("{refused} ({})", findings.join("; "))).into())
            }
            Outcome::Refused(refused) => Err(NotDone::refused(&refused).into()),
            other => bail!("the pump answered a commit with {other:?}"),
        }
    }

    /// Sets the pump's clock.
    pub(crate) fn set_clock(
        &mut self,
        world: &mut World,
        wall: WallTime,
        uncertainty: Duration,
        reason: Option<OverrideReason>,
    ) -> Result<()> {
        let wanted = SetClock {
            wall,
            uncertainty,
            reason,
        };
        match self.ask(world, &Command::SetClock(wanted))? {
            Outcome::ClockSet { .. } => Ok(()),
            Outcome::Refused(refused) => Err(NotDone::refused(&refused).into()),
            other => bail!("the pump answered the setting of its clock with {other:?}"),
        }
    }

    fn ask(&mut self, world: &mut World, command: &Command) -> Result<Outcome> {
        let kind = command.kind();
        self.open(world)?;
        let asked = self.client.request(world.carrier_time(), command);
        asked.with_context(|| format!("{kind} could not be sent"))?;
        match self.event(world) {
            ClientEvent::Answer(answer) => Ok(answer.outcome),
            ClientEvent::Ended(ended) => bail!("{kind}: {ended}"),
            ClientEvent::Welcome(_) | ClientEvent::Nothing => bail!("{kind}: no answer"),
        }
    }

    /// Until something has come of what was asked.
    fn event(&mut self, world: &mut World) -> ClientEvent {
        loop {
            self.write(world);
            world.advance_to(world.now());
            let pushed = world.take_pushed();
            let mut event = ClientEvent::Nothing;
            for pushed in &pushed {
                match pushed {
                    Pushed::Response(fragment) if event == ClientEvent::Nothing => {
                        event = self.client.receive(world.carrier_time(), fragment);
                    }
                    Pushed::Response(_) | Pushed::StatusChanged(_) | Pushed::HungUp(_) => {}
                }
            }
            if event == ClientEvent::Nothing && pushed.is_empty() {
                let patience = world.now().saturating_add(PATIENCE);
                world.advance_to(
                    world
                        .next_event()
                        .map_or(patience, |next| next.min(patience)),
                );
                event = self.client.tick(world.carrier_time());
            }
            if event != ClientEvent::Nothing {
                // The acknowledgement of the last fragment.
                self.write(world);
                self.heard = Some(world.carrier_time());
                return event;
            }
        }
    }

    fn write(&mut self, world: &mut World) {
        while let Some(frame) = self.client.next_frame() {
            world.write_command(&frame);
        }
    }
}

fn staged(outcome: Outcome) -> Result<Staged> {
    match outcome {
        Outcome::Staged(staged) => Ok(staged),
        Outcome::Refused(refused) => Err(NotDone::refused(&refused).into()),
        other => bail!("the pump answered a program with {other:?}"),
    }
}
