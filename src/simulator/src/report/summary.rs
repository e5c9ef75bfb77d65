//! `summary.json`: the totals of a run. The same scenario gives the same bytes on every machine.

use crate::run::{Outcome, Sample};
use crate::scenario::{Scenario, kind_name};
use crate::words::ProgramText;
use crate::world::Usage;
use anyhow::{Context, Result};
use protocol::status::fault;
use serde::Serialize;
use std::collections::BTreeMap;
use units::{Drug, Duration, Mass, StepVolume, Volume};

/// Changes whenever a field changes its meaning.
const FORMAT: u32 = 1;

/// The totals of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    format: u32,
    scenario: About,
    pump: Built,
    program_number: u32,
    /// The program in force at the end, as the pump tells it.
    pub(super) program: Option<ProgramText>,
    pub(super) delivery: &'static str,
    pub(super) steps: Steps,
    pub(super) delivered: Delivered,
    pub(super) reservoir: Reservoir,
    pub(super) boots: u32,
    pub(super) faults: Vec<&'static str>,
    events: usize,
    journal_records: usize,
    flash: Usage,
}

#[derive(Clone, Debug, Serialize)]
struct About {
    name: String,
    title: String,
    duration: Duration,
    seed: u64,
}

#[derive(Clone, Debug, Serialize)]
struct Built {
    kind: &'static str,
    step_volume: StepVolume,
    capacity: Volume,
}

/// Motor steps over the whole run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Steps {
    /// By the program, reckoned apart from the pump.
    pub(super) prescribed: u64,
    /// By the rotor: what was really delivered.
    pub(super) turned: u64,
    /// By the pump's encoder, as the pump says; after a loss of power from its last checkpoint.
    pub(super) counted: i64,
    /// What the pump reckons with at most.
    pub(super) at_most: u64,
    /// Prescribed and missed, as the pump says.
    pub(super) missed: u64,
    pub(super) turned_minus_prescribed: i128,
    pub(super) counted_minus_prescribed: i128,
}

/// What the rotor really delivered.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Delivered {
    pub(super) volume: Volume,
    pub(super) dose: BTreeMap<Drug, Mass>,
}

/// As the pump says.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Reservoir {
    pub(super) filled: Option<Volume>,
    pub(super) left: Option<Volume>,
}

impl Summary {
    /// The totals of a run that has come to its end.
    ///
    /// # Errors
    /// When the run has no sample with power on.
    pub fn new(scenario: &Scenario, outcome: &Outcome) -> Result<Self> {
        let last: &Sample = outcome.samples.last().context("the run has no samples")?;
        let status = last
            .pump
            .as_ref()
            .context("the pump has no power at the end")?;
        let prescribed = i128::from(last.prescribed_steps);
        Ok(Self {
            format: FORMAT,
            scenario: About {
                name: scenario.name.clone(),
                title: scenario.title.clone(),
                duration: scenario.duration,
                seed: scenario.seed,
            },
            pump: Built {
                kind: kind_name(scenario.commissioning.kind),
                step_volume: scenario.bounds.step_volume,
                capacity: scenario.bounds.capacity,
            },
            program_number: status.program_number,
            program: status.program.as_ref().map(ProgramText::of),
            delivery: status.delivery.text(),
            steps: Steps {
                prescribed: last.prescribed_steps,
                turned: last.turned_steps,
                counted: status.counted_steps,
                at_most: status.at_most_steps,
                missed: status.deficit_steps,
                turned_minus_prescribed: i128::from(last.turned_steps) - prescribed,
                counted_minus_prescribed: i128::from(status.counted_steps) - prescribed,
            },
            delivered: Delivered {
                volume: last.volume,
                dose: last.dose.clone(),
            },
            reservoir: Reservoir {
                filled: status.filled_fl.map(Volume::from_femtolitres),
                left: status.reservoir_fl.map(Volume::from_femtolitres),
            },
            boots: outcome.boots,
            faults: fault::texts(status.faults).collect(),
            events: scenario.events.len(),
            journal_records: outcome.log.len(),
            flash: outcome.flash,
        })
    }

    /// The file's text.
    ///
    /// # Errors
    /// None that can be met: every field can be written.
    pub fn json(&self) -> Result<String> {
        let mut text = serde_json::to_string_pretty(self).context("summary.json")?;
        text.push('\n');
        Ok(text)
    }

    /// Two lines for a terminal.
    #[must_use]
    pub fn in_short(&self) -> String {
        let doses: Vec<String> = self
            .delivered
            .dose
            .iter()
            .map(|(drug, dose)| format!("{dose} {drug}"))
            .collect();
        format!(
            "  delivered {} in {} ({} steps, {} prescribed); left {}; {}",
            self.delivered.volume,
            doses.join(" and "),
            self.steps.turned,
            self.steps.prescribed,
            self.reservoir
                .left
                .map_or_else(|| "unknown".to_owned(), |left| left.to_string()),
            if self.faults.is_empty() {
                "no faults".to_owned()
            } else {
                self.faults.join(", ")
            }
        )
    }
}
