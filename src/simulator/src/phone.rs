//! The phone of a scenario: the same client as the phone page's, over the virtual pump's link.

use crate::world::{Pushed, World};
use anyhow::{Context, Result, bail, ensure};
use protocol::{Client, ClientEvent, Command, Digest, Mtu, Outcome, Program, Staged, Status};
use units::{Duration, WallTime};

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

    /// Programs the pump: stage, read back, compare, commit.
    pub(crate) fn program(&mut self, world: &mut World, program: &Program) -> Result<Programmed> {
        let number = self.interrogate(world)?.program_number + 1;
        let staged = staged(self.ask(world, &Command::Stage(program.clone()))?)?;
        let read_back = staged_again(self.ask(world, &Command::ReadBack)?)?;
        for answer in [&staged, &read_back] {
            ensure!(
                answer.program == *program,
                "the pump understood another program: asked for {program:?}, read back {:?}",
                answer.program
            );
            ensure!(
                answer.digest == Digest::of(program, number),
                "the pump's digest is not that of the program read back"
            );
        }
        let sent = world.now();
        match self.ask(
            world,
            &Command::Commit {
                digest: staged.digest,
            },
        )? {
            Outcome::Committed { program_number } if program_number == number => Ok(Programmed {
                sent,
                confirmed: world.now(),
            }),
            Outcome::Refused(refused) => bail!("the pump refused the commit: {refused}"),
            other => bail!("the pump answered a commit of program {number} with {other:?}"),
        }
    }

    /// Sets the pump's clock.
    pub(crate) fn set_clock(
        &mut self,
        world: &mut World,
        wall: WallTime,
        uncertainty: Duration,
    ) -> Result<()> {
        match self.ask(world, &Command::SetClock { wall, uncertainty })? {
            Outcome::ClockSet { .. } => Ok(()),
            Outcome::Refused(refused) => bail!("the pump refused the time of day: {refused}"),
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
        Outcome::Refused(refused) => bail!("the pump refused the program: {refused}"),
        other => bail!("the pump answered a program with {other:?}"),
    }
}

fn staged_again(outcome: Outcome) -> Result<Staged> {
    match outcome {
        Outcome::Staged(staged) => Ok(staged),
        other => bail!("the pump did not read the program back: {other:?}"),
    }
}
