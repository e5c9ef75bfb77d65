//! A scenario: what is programmed and what happens, read from a TOML file and checked whole before anything runs.
//!
//! The file's format is described in `docs/scenarios.md`. Nothing here depends on the order of the fields in the file, on the
//! machine or on the time of day.

mod checker;
mod error;
mod file;

pub use error::ScenarioError;
pub use file::kind_name;

use checker::Checker;
use pump::{CommissioningRecord, ResetCause};
use std::path::Path;
use therapy::Bounds;
use units::{AlarmKind, Drug, Duration, Mass, OverrideReason, Volume, WallTime};

/// Largest scenario file, bytes.
const LARGEST_FILE: u64 = 1 << 20;

/// A scenario that can be run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Short name of letters, digits and hyphens; names the report's folder.
    pub name: String,
    /// One line for a reader.
    pub title: String,
    /// What the scenario is for; may be empty.
    pub description: String,
    /// From power-on to the end.
    pub duration: Duration,
    /// Where chance starts: the rotor's and the nonces'.
    pub seed: u64,
    /// Time between two rows of `delivery.csv`.
    pub sample_interval: Duration,
    /// What kind of pump, and its calibration.
    pub commissioning: CommissioningRecord,
    /// What that kind can do, with this pump's calibration.
    pub bounds: Bounds,
    /// What is programmed right after power-on.
    pub program: Programmed,
    /// What happens later, in order of time.
    pub events: Vec<ScenarioEvent>,
    /// The time of day at power-on, and local time minus UTC, minutes; none: the pump is not told.
    pub clock: Option<(WallTime, i16)>,
    /// The path from the pump to the tip; none: the pump is not told.
    pub catheter: Option<protocol::Catheter>,
    /// What has to hold, in order of time.
    pub expectations: Vec<Expectation>,
}

/// What has to hold at a time.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Since power-on; what happens at that time comes before.
    pub at: Duration,
    /// The field of the file that asks for it, for messages.
    pub field: String,
    /// What is expected.
    pub expected: Expected,
}

/// One thing that is expected.
#[derive(Clone, Debug)]
pub enum Expected {
    /// The rotor has delivered no less and no more.
    Volume(Volume, Volume),
    /// Of a drug, no less and no more.
    Mass(Drug, Mass, Mass),
    /// The alarm is there, or is not.
    Alarm(AlarmKind, bool),
    /// What the pump is doing, in the words of an interrogation.
    Delivery(String),
    /// How it follows its program.
    Response(String),
    /// The flow in force, nL/day, rounded down.
    Flow(u64),
    /// What is at the tip: drugs with concentrations, or `no drug`.
    Tip(String),
    /// The bolus or prime under way, or `none`.
    Job(String),
    /// The refill date to book, with boluses.
    RefillDate(String),
    /// Why a patient's bolus would be denied, in part, or `no`.
    BolusDenied(String),
}

/// A program, and why it goes over soft limits if it does.
#[derive(Clone, Debug)]
pub struct Programmed {
    /// The program.
    pub program: protocol::Program,
    /// The clinician's reason.
    pub reason: Option<OverrideReason>,
}

/// Something that happens at a time.
#[derive(Clone, Debug)]
pub struct ScenarioEvent {
    /// Since power-on.
    pub at: Duration,
    /// The field of the file that asks for it, for messages.
    pub field: String,
    /// What happens.
    pub happening: Happening,
    /// The pump refuses it, and says this among other things; none: it does it.
    pub refused: Option<String>,
}

/// What can happen in a scenario.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a scenario has few of them")]
pub enum Happening {
    /// A phone programs the pump.
    Program(Programmed),
    /// The pump loses power for a time and starts again from its flash.
    Restart {
        /// How long it is without power.
        off: Duration,
    },
    /// The processor is reset while it has power.
    Reset {
        /// Why.
        cause: ResetCause,
    },
    /// A phone sets the clock.
    SetClock {
        /// To this time of day.
        wall: WallTime,
        /// How far off that may be.
        uncertainty: Duration,
        /// Why it is corrected by more than two minutes.
        reason: Option<OverrideReason>,
    },
    /// A phone orders something. The number of a bolus or prime is filled in when it is ordered.
    Order(Box<protocol::Command>),
    /// The motor turns backwards.
    Reverse,
    /// One encoder pulse in so many is never seen.
    LosePulses {
        /// 1 or more.
        one_in: u32,
    },
    /// The motor runs by itself, two steps at a time.
    Runaway {
        /// Time between them.
        every: Duration,
    },
    /// The rotor is jammed, and gives way to a drive level.
    Jam {
        /// 2 or 3.
        level: u8,
    },
    /// The motor is without any fault again.
    RepairMotor,
    /// The battery gives another voltage.
    Battery {
        /// In mV.
        millivolts: u16,
    },
    /// The rotor no longer turns.
    Stall,
    /// The rotor turns again.
    ClearStall,
    /// One step in so many fails, by chance.
    Slip {
        /// 1 or more.
        one_in: u32,
    },
    /// No step fails by chance any more.
    ClearSlip,
}

impl Scenario {
    /// Reads and checks a scenario file.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place in the file.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let of_file = |reason: &dyn std::fmt::Display| ScenarioError::of_file(path, reason);
        let size = std::fs::metadata(path)
            .map_err(|error| of_file(&error))?
            .len();
        if size > LARGEST_FILE {
            return Err(of_file(&format_args!(
                "{size} bytes are too many for a scenario; at most {LARGEST_FILE}"
            )));
        }
        let bytes = std::fs::read(path).map_err(|error| of_file(&error))?;
        let text = String::from_utf8(bytes).map_err(|_| of_file(&"this is not text in UTF-8"))?;
        Self::parse(path, &text)
    }

    /// Checks the text of a scenario; `path` is named in errors only.
    ///
    /// # Errors
    /// As [`Scenario::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ScenarioError> {
        let parser = toml::Deserializer::parse(text)
            .map_err(|error| ScenarioError::of_parser(path, text, "", &error))?;
        let file: file::File = serde_path_to_error::deserialize(parser).map_err(|error| {
            ScenarioError::of_parser(path, text, &error.path().to_string(), error.inner())
        })?;
        Checker { path, text }.scenario(file)
    }
}
