//! The fields of a scenario file, before anything is checked against anything else.

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use std::fmt;
use units::{
    Concentration, DoseRate, Drug, Duration, FlowRate, Mass, OverrideReason, PumpKind, StepVolume,
    Volume,
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
    pub(super) time: Option<String>,
    pub(super) zone: Option<String>,
    pub(super) catheter: Option<Catheter>,
    pub(super) pump: Pump,
    pub(super) program: Program,
    #[serde(default)]
    pub(super) event: Vec<Event>,
    #[serde(default)]
    pub(super) expect: Vec<Expect>,
}

/// The path from the pump to the tip.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Catheter {
    pub(super) tubing: Volume,
    pub(super) length_mm: u16,
    pub(super) per_cm: Volume,
    pub(super) port: Option<Volume>,
}

/// What has to hold at a time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    pub(super) at: Duration,
    pub(super) volume: Option<[Volume; 2]>,
    pub(super) drug: Option<Drug>,
    pub(super) mass: Option<[Mass; 2]>,
    #[serde(default)]
    pub(super) alarms_on: Vec<String>,
    #[serde(default)]
    pub(super) alarms_off: Vec<String>,
    pub(super) delivery: Option<String>,
    pub(super) response: Option<String>,
    pub(super) flow: Option<FlowRate>,
    pub(super) tip: Option<String>,
    pub(super) job: Option<String>,
    pub(super) refill_date: Option<String>,
    pub(super) bolus_denied: Option<String>,
}

/// Another drug of a mixture.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Secondary {
    pub(super) drug: Drug,
    pub(super) concentration: Concentration,
}

/// A pattern of a flex week.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pattern {
    pub(super) days: Vec<Day>,
    /// Each a time of day and a dose: `06:00 40 mcg/h`.
    pub(super) steps: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// What the patient may add.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PatientBolus {
    pub(super) dose: Mass,
    pub(super) over: Duration,
    pub(super) lockout: Duration,
    pub(super) per_day: u8,
    pub(super) day_cap: Option<Mass>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum Policy {
    #[serde(rename = "hold last")]
    HoldLast,
    #[serde(rename = "stop")]
    Stop,
}

/// What a prime fills.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum Fills {
    #[serde(rename = "pump and catheter")]
    PumpAndCatheter,
    #[serde(rename = "pump only")]
    PumpOnly,
    #[serde(rename = "catheter only")]
    CatheterOnly,
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
    #[serde(default)]
    pub(super) with: Vec<Secondary>,
    #[serde(default)]
    pub(super) week: Vec<Pattern>,
    pub(super) bolus: Option<Mass>,
    pub(super) over: Option<Duration>,
    pub(super) every: Option<Duration>,
    pub(super) first_after: Option<Duration>,
    pub(super) patient_bolus: Option<PatientBolus>,
    pub(super) bridge: Option<DoseRate>,
    pub(super) top_up: Option<bool>,
    pub(super) low_mark: Option<Volume>,
    pub(super) on_fault: Option<Policy>,
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
    #[serde(rename = "minimum rate")]
    MinimumRate,
    #[serde(rename = "flex")]
    Flex,
    #[serde(rename = "periodic bolus")]
    PeriodicBolus,
    #[serde(rename = "single bolus")]
    SingleBolus,
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
    /// The pump refuses it, and says this among other things.
    pub(super) refused: Option<String>,
    pub(super) reason: Option<Reason>,
    pub(super) zone: Option<String>,
    pub(super) volume: Option<Volume>,
    pub(super) dose: Option<Mass>,
    pub(super) over: Option<Duration>,
    pub(super) alarm: Option<String>,
    pub(super) fills: Option<Fills>,
    pub(super) aspirated: Option<bool>,
    pub(super) disconnected: Option<bool>,
    pub(super) days: Option<u8>,
    pub(super) score: Option<u8>,
    pub(super) baseline: Option<bool>,
    pub(super) millivolts: Option<u16>,
    pub(super) level: Option<u8>,
    pub(super) every: Option<Duration>,
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
    #[serde(rename = "reverse")]
    Reverse,
    #[serde(rename = "lose pulses")]
    LosePulses,
    #[serde(rename = "runaway")]
    Runaway,
    #[serde(rename = "jam")]
    Jam,
    #[serde(rename = "repair motor")]
    RepairMotor,
    #[serde(rename = "battery")]
    Battery,
    #[serde(rename = "set zone")]
    SetZone,
    #[serde(rename = "open refill")]
    OpenRefill,
    #[serde(rename = "draw out")]
    DrawOut,
    #[serde(rename = "nothing changed")]
    NothingChanged,
    #[serde(rename = "patient bolus")]
    PatientBolus,
    #[serde(rename = "clinician bolus")]
    ClinicianBolus,
    #[serde(rename = "cancel bolus")]
    CancelBolus,
    #[serde(rename = "prime")]
    Prime,
    #[serde(rename = "acknowledge alarm")]
    AcknowledgeAlarm,
    #[serde(rename = "silence alarm")]
    SilenceAlarm,
    #[serde(rename = "MRI mode")]
    MriMode,
    #[serde(rename = "emergency minimum rate")]
    Emergency,
    #[serde(rename = "extend trial")]
    ExtendTrial,
    #[serde(rename = "diary")]
    Diary,
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
