//! A scenario from its beginning to its end.

mod timeline;

use crate::ledger::{Contents, Ledger};
use crate::phone::{Phone, Programmed};
use crate::scenario::{self, Happening, Scenario, ScenarioEvent};
use crate::world::{Build, Carrier, LogEntry, Usage, Wear, World};
use anyhow::{Context, Result, anyhow};
use journal::VirtualFlash;
use protocol::{Mtu, Status};
use std::collections::BTreeMap;
use therapy::Bounds;
use timeline::{Step, timeline};
use units::{Drug, Duration, Flow, Mass, Volume};

/// How often progress is told in a run, at least.
const STRIDES: u64 = 500;

/// The state of things at one time.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Since power-on.
    pub at: Duration,
    /// The flow prescribed.
    pub prescribed: Flow,
    /// Whole steps prescribed by now.
    pub prescribed_steps: u64,
    /// Steps that the rotor has really turned.
    pub turned_steps: u64,
    /// What they delivered: their volume, until the reservoir is empty.
    pub volume: Volume,
    /// What that held of each drug.
    pub dose: BTreeMap<Drug, Mass>,
    /// What the pump says; none while it has no power.
    pub pump: Option<Status>,
}

/// A run that has come to its end.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// At the start, at every sample interval, and at the end.
    pub samples: Vec<Sample>,
    /// The pump's journal, oldest first.
    pub log: Vec<LogEntry>,
    /// How often the pump has started.
    pub boots: u32,
    /// What the flash went through.
    pub flash: Usage,
    /// The same for each partition.
    pub wear: Vec<Wear>,
}

/// Runs a scenario. `progress` is told how far it has come.
///
/// # Errors
/// When the pump refuses what the scenario programs, or its hardware fails in a way that no scenario asks for.
pub fn run(scenario: &Scenario, mut progress: impl FnMut(Duration)) -> Result<Outcome> {
    let build = Build {
        commissioning: scenario.commissioning,
        seed: scenario.seed,
    };
    let mut run = Run {
        world: World::new(build, VirtualFlash::nrf52840(), Carrier::Simulated)?,
        phone: None,
        ledger: Ledger::new(scenario.bounds.step_volume),
        bounds: scenario.bounds,
    };
    run.world.power_on()?;
    run.connect()?;
    run.program(&scenario.program).context("program")?;
    let mut samples = vec![run.sample()?];
    let stride = Duration::from_micros(scenario.duration.micros() / STRIDES);
    for (at, step) in timeline(scenario) {
        while run.world.now() < at {
            run.world
                .advance_to(run.world.now().saturating_add(stride).min(at));
            progress(run.world.now());
        }
        match step {
            Step::Event(event) => run.happen(event).with_context(|| event.field.clone())?,
            Step::PowerOn => run.power_on()?,
            Step::Sample => {
                samples.push(run.sample()?);
            }
        }
    }
    Ok(Outcome {
        samples,
        log: run.world.log()?,
        boots: run.world.boots(),
        flash: run.world.flash_usage(),
        wear: run.world.wear(),
    })
}

struct Run {
    world: World,
    /// None while the pump has no power.
    phone: Option<Phone>,
    ledger: Ledger,
    bounds: Bounds,
}

impl Run {
    fn connect(&mut self) -> Result<()> {
        self.phone = Some(Phone::connect(&mut self.world, Mtu::HIGHEST)?);
        Ok(())
    }

    fn happen(&mut self, event: &ScenarioEvent) -> Result<()> {
        match &event.happening {
            Happening::Program(program) => self.program(program)?,
            Happening::Restart { .. } => {
                self.phone = None;
                self.ledger.power_off(self.world.now());
                self.world.power_off();
            }
            Happening::Reset { cause } => {
                self.phone = None;
                self.ledger.power_off(self.world.now());
                self.world.reset(*cause)?;
                self.ledger.power_on(self.world.now());
                self.connect()?;
            }
            Happening::SetClock { wall, uncertainty } => {
                let phone = self.phone.as_mut().context("the pump has no power")?;
                phone.set_clock(&mut self.world, *wall, *uncertainty, None)?;
            }
            Happening::Stall => self.world.change_rotor(|rotor| rotor.stalled = true),
            Happening::ClearStall => self.world.change_rotor(|rotor| rotor.stalled = false),
            Happening::Slip { one_in } => {
                self.world.change_rotor(|rotor| rotor.slip_one_in = *one_in)
            }
            Happening::ClearSlip => self.world.change_rotor(|rotor| rotor.slip_one_in = 0),
        }
        Ok(())
    }

    fn power_on(&mut self) -> Result<()> {
        self.world.power_on()?;
        self.ledger.power_on(self.world.now());
        self.connect()
    }

    fn program(&mut self, wanted: &scenario::Programmed) -> Result<()> {
        let scenario::Programmed { program, reason } = wanted;
        let phone = self.phone.as_mut().context("the pump has no power")?;
        let Programmed { sent, confirmed } = phone.program(&mut self.world, program, *reason)?;
        let kind = self.world.commissioning().kind;
        let prescription = pump::to_prescription(program, &self.bounds, kind)
            .map_err(|refused| anyhow!("{refused}"))?;
        let flow = prescription.flow();
        self.ledger
            .prescribe(if flow > Flow::ZERO { confirmed } else { sent }, flow);
        let contents: Contents = prescription
            .mixture()
            .ingredients()
            .map(|ingredient| (ingredient.drug, ingredient.concentration))
            .collect();
        let fill = program
            .fill
            .map(|fill| Volume::from_nanolitres(fill.volume_nl));
        self.ledger.fill(self.world.turned_steps(), contents, fill);
        Ok(())
    }

    fn sample(&mut self) -> Result<Sample> {
        let at = self.world.now();
        let turned_steps = self.world.turned_steps();
        self.ledger.reckon(turned_steps);
        let pump = match &mut self.phone {
            Some(phone) => Some(phone.interrogate(&mut self.world)?),
            None => None,
        };
        Ok(Sample {
            at,
            prescribed: self.ledger.flow(),
            prescribed_steps: self.ledger.prescribed(at),
            turned_steps,
            volume: self.ledger.delivered(),
            dose: self.ledger.dose().clone(),
            pump,
        })
    }
}
