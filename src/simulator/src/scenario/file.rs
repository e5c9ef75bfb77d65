//! The fields of a scenario file, before anything is checked against anything else.

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use std::fmt;
use units::{
    Concentration, DoseRate, Drug, Duration, FlowRate, OverrideReason, PumpKind, StepVolume, Volume,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) title: String,
    #[serde(default)]
    pub(super) description: String,
    pub(super) duration: Duration,
    pub(super) seed: Option<Whole>,
    pub(super) sample_interval: Option<Duration>,
    pub(super) pump: Pump,
    pub(super) program: Program,
    #[serde(default)]
    pub(super) event: Vec<Event>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pump {
    pub(super) kind: Kind,
    pub(super) step_volume: Option<StepVolume>,
    pub(super) capacity: Option<Volume>,
    /// The one rate of a constant-rate pump.
    pub(super) rate: Option<FlowRate>,
    /// Length of a trial.
    pub(super) trial_days: Option<u8>,
}

/// A kind of pump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// Implanted, with every mode.
    ProgrammableImplant,
    /// Implanted, with one rate.
    ConstantRate,
    /// Worn outside during a trial.
    ExternalTrial,
}

/// A kind of pump as a scenario names it.
#[must_use]
pub const fn kind_name(kind: PumpKind) -> &'static str {
    match kind {
        PumpKind::ProgrammableImplant => "programmable-implant",
        PumpKind::ConstantRate => "constant-rate",
        PumpKind::ExternalTrial => "external-trial",
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Program {
    pub(super) drug: Drug,
    pub(super) concentration: Concentration,
    pub(super) fill: Option<Volume>,
    pub(super) mode: Mode,
    pub(super) dose: Option<DoseRate>,
    pub(super) reason: Option<Reason>,
}

/// Why somebody goes over a soft limit.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum Reason {
    #[serde(rename = "titration")]
    Titration,
    #[serde(rename = "tolerance")]
    Tolerance,
    #[serde(rename = "end of life")]
    EndOfLife,
    #[serde(rename = "side effects")]
    SideEffects,
    #[serde(rename = "drug change")]
    DrugChange,
    #[serde(rename = "procedure")]
    Procedure,
    #[serde(rename = "in notes")]
    InNotes,
}

impl From<Reason> for OverrideReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Titration => Self::Titration,
            Reason::Tolerance => Self::Tolerance,
            Reason::EndOfLife => Self::EndOfLife,
            Reason::SideEffects => Self::SideEffects,
            Reason::DrugChange => Self::DrugChange,
            Reason::Procedure => Self::Procedure,
            Reason::InNotes => Self::InNotes,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum Mode {
    #[serde(rename = "simple continuous")]
    SimpleContinuous,
    #[serde(rename = "stopped")]
    Stopped,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Event {
    pub(super) at: Duration,
    pub(super) program: Option<Program>,
    pub(super) action: Option<Action>,
    pub(super) off: Option<Duration>,
    pub(super) one_in: Option<Whole>,
    pub(super) cause: Option<Cause>,
    pub(super) time: Option<String>,
    pub(super) uncertainty: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Action {
    #[serde(rename = "restart")]
    Restart,
    #[serde(rename = "reset")]
    Reset,
    #[serde(rename = "set clock")]
    SetClock,
    #[serde(rename = "stall")]
    Stall,
    #[serde(rename = "clear stall")]
    ClearStall,
    #[serde(rename = "slip")]
    Slip,
    #[serde(rename = "clear slip")]
    ClearSlip,
}

/// Why a processor is reset that keeps its power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Cause {
    #[serde(rename = "watchdog")]
    Watchdog,
    #[serde(rename = "fatal error")]
    FatalError,
    #[serde(rename = "low supply")]
    LowSupply,
    #[serde(rename = "external")]
    External,
    #[serde(rename = "software")]
    Software,
}

/// A whole number, 0 or more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole(pub(super) u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = Whole;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "a whole number from 0 to {}", i64::MAX)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Whole, E> {
                u64::try_from(number)
                    .map(Whole)
                    .map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
            }
        }

        deserializer.deserialize_i64(Reader)
    }
}
