//! The phone of a scenario: the same client as the phone page's, over the virtual pump's link.

use crate::world::{Pushed, World};
use anyhow::{Context, Result, bail, ensure};
use protocol::{
    Client, ClientEvent, Command, Mtu, Outcome, PathStatus, Program, Refused, SetClock, Staged,
    Status, TherapyStatus,
};
use std::fmt;
use units::{Duration, OverrideReason, WallTime};

/// Femtolitres of a nanolitre.
const FEMTOLITRES: u64 = 1_000_000;

/// How long the phone waits before it looks again, when the pump says nothing.
const PATIENCE: Duration = Duration::from_millis(100);

/// A phone that is connected.
pub(crate) struct Phone {
    client: Client,
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
    /// Connects to the pump.
    pub(crate) fn connect(world: &mut World, mtu: Mtu) -> Result<Self> {
        ensure!(world.connect(mtu), "the pump has no power");
        let info = protocol::Info::decode(&world.info()).context("the pump's Info")?;
        ensure!(
            info.capabilities & protocol::info::capability::PROGRAMMING != 0,
            "the pump does not take programs over this link"
        );
        let mut client = Client::new();
        client.opened(mtu);
        Ok(Self { client })
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
        let asked = self.client.request(world.carrier_time(), command);
        asked.with_context(|| format!("{kind} could not be sent"))?;
        loop {
            while let Some(frame) = self.client.next_frame() {
                world.write_command(&frame);
            }
            world.advance_to(world.now());
            let pushed = world.take_pushed();
            let mut event = ClientEvent::Nothing;
            for pushed in &pushed {
                match pushed {
                    Pushed::Response(fragment) if event == ClientEvent::Nothing => {
                        event = self.client.receive(world.carrier_time(), fragment);
                    }
                    Pushed::Response(_) | Pushed::StatusChanged(_) => {}
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
            match event {
                ClientEvent::Nothing => {}
                ClientEvent::Answer(answer) => {
                    // The acknowledgement of the last fragment.
                    while let Some(frame) = self.client.next_frame() {
                        world.write_command(&frame);
                    }
                    return Ok(answer.outcome);
                }
                ClientEvent::Ended(ended) => bail!("{kind}: {ended}"),
            }
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
