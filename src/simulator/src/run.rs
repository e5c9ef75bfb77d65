//! A scenario from its beginning to its end.

mod timeline;

use crate::ledger::{Contents, Ledger};
use crate::phone::{NotDone, Phone, Programmed};
use crate::scenario::{self, Expectation, Expected, Happening, Scenario, ScenarioEvent};
use crate::words::{component_words, listed};
use crate::world::{Build, Carrier, Chance, LogEntry, Usage, Wear, World};
use anyhow::{Context, Result, anyhow};
use drivers::motor::{DriveLevel, RotorParameters};
use journal::VirtualFlash;
use protocol::{Command, Mtu, SetZone, Status};
use std::collections::BTreeMap;
use therapy::Bounds;
use timeline::{Step, timeline};
use units::{Date, Drug, Duration, Flow, Mass, OverrideReason, Volume};

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
    /// What was expected, and whether it held.
    pub judged: Vec<Judged>,
}

/// An expectation, and whether it held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// When.
    pub at: Duration,
    /// The field of the file.
    pub field: String,
    /// What was expected, in words.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// Whether that is it.
    pub holds: bool,
}

impl Judged {
    /// In one line.
    #[must_use]
    pub fn in_words(&self) -> String {
        format!(
            "{}, after {}: expected {}, found {}",
            self.field, self.at, self.expected, self.found
        )
    }
}

/// Runs a scenario. `progress` is told how far it has come.
///
/// # Errors
/// When the pump refuses what the scenario programs, or its hardware fails in a way that no scenario asks for.
pub fn run(scenario: &Scenario, mut progress: impl FnMut(Duration)) -> Result<Outcome> {
    let build = Build {
        commissioning: scenario.commissioning,
        seed: scenario.seed,
        chance: Chance::Seeded,
    };
    let mut world = World::new(build, VirtualFlash::nrf52840(), Carrier::Simulated)?;
    world.power_on()?;
    let pack = build.pack().text();
    let phone = Phone::enrol(&mut world, &build, &pack, Mtu::HIGHEST).context("enrolment")?;
    let mut run = Run {
        world,
        phone,
        ledger: Ledger::new(scenario.bounds.step_volume),
        bounds: scenario.bounds,
        judged: Vec::new(),
    };
    run.prepare(scenario)?;
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
            Step::Expect(expectation) => run.judge(expectation)?,
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
        judged: run.judged,
    })
}

struct Run {
    world: World,
    phone: Phone,
    ledger: Ledger,
    bounds: Bounds,
    judged: Vec<Judged>,
}

impl Run {
    /// What a clinician tells a new pump before it is programmed.
    fn prepare(&mut self, scenario: &Scenario) -> Result<()> {
        let (phone, world) = (&mut self.phone, &mut self.world);
        if let Some((wall, offset_min)) = scenario.clock {
            let uncertainty = Duration::from_seconds(2);
            phone.set_clock(world, wall, uncertainty, None)?;
            let zone = SetZone {
                offset_min,
                reason: Some(OverrideReason::InNotes),
            };
            phone
                .order(world, &Command::SetZone(zone))
                .context("zone")?;
        }
        if let Some(catheter) = scenario.catheter {
            phone
                .order(world, &Command::SetCatheter(catheter))
                .context("catheter")?;
        }
        Ok(())
    }

    /// What happens, and whether the pump refuses it if that is expected.
    fn happen(&mut self, event: &ScenarioEvent) -> Result<()> {
        let done = self.do_it(event);
        let Some(expected) = &event.refused else {
            return done;
        };
        let found = match done {
            Ok(()) => "done".to_owned(),
            Err(error) => match error.downcast::<NotDone>() {
                Ok(NotDone(why)) => why,
                Err(other) => return Err(other),
            },
        };
        self.judged.push(Judged {
            at: self.world.now(),
            field: format!("{}.refused", event.field),
            holds: found.contains(expected.as_str()),
            expected: format!("refused: {expected}"),
            found,
        });
        Ok(())
    }

    fn order(&mut self, command: &Command) -> Result<()> {
        let phone = &mut self.phone;
        let mut command = command.clone();
        match &mut command {
            Command::PatientBolus { number } => *number = phone.next_number(&mut self.world)?,
            Command::ClinicianBolus(order) => order.number = phone.next_number(&mut self.world)?,
            Command::Prime(order) => order.number = phone.next_number(&mut self.world)?,
            _ => {}
        }
        phone.order(&mut self.world, &command)
    }

    /// Looks whether something that is expected holds.
    fn judge(&mut self, expectation: &Expectation) -> Result<()> {
        let world = &mut self.world;
        self.ledger.reckon(world.turned_steps());
        let phone = &mut self.phone;
        let (expected, found, holds) = match &expectation.expected {
            Expected::Volume(least, most) => {
                let volume = self.ledger.delivered();
                let holds = (*least..=*most).contains(&volume);
                let expected = format!("{least} to {most} delivered");
                (expected, volume.to_string(), holds)
            }
            Expected::Mass(drug, least, most) => {
                let dose = self.ledger.dose().get(drug).copied();
                let mass = dose.unwrap_or(Mass::from_zeptograms(0));
                let holds = (*least..=*most).contains(&mass);
                let expected = format!("{least} to {most} of {drug} delivered");
                (expected, mass.to_string(), holds)
            }
            Expected::Alarm(alarm, on) => {
                let alarms = phone.therapy(world)?.alarms;
                let there = alarms.iter().any(|state| state.alarm == *alarm);
                let names = listed(alarms.iter().map(|state| state.alarm));
                let expected = format!("alarm {} \"{alarm}\"", if *on { "on" } else { "off" });
                let found = if names.is_empty() {
                    "none is on".to_owned()
                } else {
                    format!("on: {names}")
                };
                (expected, found, there == *on)
            }
            Expected::Delivery(text) => {
                let found = phone.interrogate(world)?.delivery.text().to_owned();
                (format!("delivery: {text}"), found.clone(), found == *text)
            }
            Expected::Response(text) => {
                let found = phone.therapy(world)?.response.text().to_owned();
                (format!("response: {text}"), found.clone(), found == *text)
            }
            Expected::Flow(flow) => {
                let found = phone.interrogate(world)?.flow_nl_per_day;
                let expected = format!("flow: {flow} nL/day");
                (
                    expected,
                    format!("{found} nL/day"),
                    u64::from(found) == *flow,
                )
            }
            Expected::Tip(text) => {
                let path = phone.path(world)?;
                let found = path.slugs.first().map_or_else(
                    || "unknown".to_owned(),
                    |slug| {
                        if slug.components.is_empty() {
                            "no drug".to_owned()
                        } else {
                            listed(slug.components.iter().map(component_words))
                        }
                    },
                );
                (format!("at the tip: {text}"), found.clone(), found == *text)
            }
            Expected::Job(text) => {
                let job = phone.therapy(world)?.job;
                let found = job.map_or("none", |job| job.kind.name()).to_owned();
                (format!("job: {text}"), found.clone(), found == *text)
            }
            Expected::RefillDate(text) => {
                let dates = phone.therapy(world)?.refill;
                let found = dates
                    .and_then(|dates| dates.with_boluses_day)
                    .map_or_else(|| "unknown".to_owned(), day_words);
                (format!("refill by {text}"), found.clone(), found == *text)
            }
            Expected::BolusDenied(text) => {
                let bolus = phone.therapy(world)?.bolus;
                let denial = bolus.and_then(|bolus| bolus.denial);
                let found = denial.map_or_else(|| "no".to_owned(), |denial| denial.to_string());
                (
                    format!("bolus denied: {text}"),
                    found.clone(),
                    found.contains(text.as_str()),
                )
            }
        };
        self.judged.push(Judged {
            at: expectation.at,
            field: expectation.field.clone(),
            expected,
            found,
            holds,
        });
        Ok(())
    }

    fn do_it(&mut self, event: &ScenarioEvent) -> Result<()> {
        match &event.happening {
            Happening::Program(program) => self.program(program)?,
            Happening::Restart { .. } => {
                self.ledger.power_off(self.world.now());
                self.world.power_off();
            }
            Happening::Reset { cause } => {
                self.ledger.power_off(self.world.now());
                self.world.reset(*cause)?;
                self.ledger.power_on(self.world.now());
            }
            Happening::SetClock {
                wall,
                uncertainty,
                reason,
            } => {
                let phone = &mut self.phone;
                phone.set_clock(&mut self.world, *wall, *uncertainty, *reason)?;
            }
            Happening::Order(command) => self.order(command)?,
            Happening::Reverse => self.world.change_rotor(|rotor| rotor.reversed = true),
            Happening::LosePulses { one_in } => self
                .world
                .change_rotor(|rotor| rotor.lost_pulse_one_in = *one_in),
            Happening::Runaway { every } => self
                .world
                .change_rotor(|rotor| rotor.runaway_period_us = every.micros()),
            Happening::Jam { level } => self
                .world
                .change_rotor(|rotor| rotor.jammed_below = DriveLevel::from_number(*level)),
            Happening::RepairMotor => self
                .world
                .change_rotor(|rotor| *rotor = RotorParameters::faultless(rotor.seed)),
            Happening::Battery { millivolts } => self.world.set_supply(*millivolts),
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
        Ok(())
    }

    fn program(&mut self, wanted: &scenario::Programmed) -> Result<()> {
        let scenario::Programmed { program, reason } = wanted;
        let phone = &mut self.phone;
        let Programmed { sent, confirmed } = phone.program(&mut self.world, program, *reason)?;
        let kind = self.world.commissioning().kind;
        let prescription = pump::to_prescription(program, &self.bounds, kind)
            .map_err(|refused| anyhow!("{refused}"))?;
        // Of a week the mean: boluses and the hours of the day are the pump's own.
        let flow = match prescription.week() {
            Some(_) => prescription.mean_flow(),
            None => prescription.flow(),
        };
        self.ledger
            .prescribe(if flow > Flow::ZERO { confirmed } else { sent }, flow);
        let contents: Contents = prescription
            .mixture()
            .ingredients()
            .map(|ingredient| (ingredient.drug, ingredient.concentration))
            .collect();
        let fill = program.fill.map(|fill| {
            let there = if fill.top_up {
                self.ledger.left().unwrap_or(Volume::ZERO)
            } else {
                Volume::ZERO
            };
            there.saturating_add(Volume::from_nanolitres(fill.volume_nl))
        });
        self.ledger.fill(self.world.turned_steps(), contents, fill);
        Ok(())
    }

    fn sample(&mut self) -> Result<Sample> {
        let at = self.world.now();
        let turned_steps = self.world.turned_steps();
        self.ledger.reckon(turned_steps);
        let pump = if self.world.has_power() {
            Some(self.phone.interrogate(&mut self.world)?)
        } else {
            None
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

/// A day that the wire counts from 2020-01-01.
pub(crate) fn day_words(day: u16) -> String {
    let (year, month, day) = Date::FIRST.saturating_add_days(day.into()).year_month_day();
    format!("{year:04}-{month:02}-{day:02}")
}
