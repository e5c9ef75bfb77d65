//! Quantities and shared identifiers: exact integers with their units.
//!
//! Every quantity is its own type over an integer small enough to be exact and large enough never to be the limit: volumes in
//! femtolitres, masses in zeptograms, concentrations in nanograms per millilitre, times in microseconds. One femtolitre of one
//! nanogram per millilitre is exactly one zeptogram, so that dose = volume x concentration needs no rounding. Rates are kept as they
//! were entered, an amount over a stated time, and become an exact fraction ([`Flow`]) where they are used.
//!
//! # Text
//!
//! Text always bears its unit: `250 mcg/day`, `2 mg/mL`, `20 mL`, `90 days`. [`core::str::FromStr`] refuses a missing, unknown or
//! mixed unit, and anything that could not be held exactly; [`core::fmt::Display`] writes the exact value, without exponent and
//! without trailing zeros, so that text made here always reads back as the same value.
//!
//! # Serde
//!
//! In formats for machines (postcard) a quantity is its integer. In formats for people (JSON, TOML) it is its text with the unit; a
//! bare number is refused there. Timestamps ([`PumpTime`], [`CarrierTime`], [`WallTime`]) are plain integers everywhere.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod clock;
mod concentration;
mod date;
mod drug;
mod duration;
mod error;
mod flow;
mod identifiers;
mod mass;
mod rate;
mod ratio;
mod text;
mod time;
mod volume;

pub use clock::{Clock, Now, WallTime};
pub use concentration::Concentration;
pub use date::{Date, DateError};
pub use drug::{Drug, UnknownDrug};
pub use duration::Duration;
pub use error::{Quantity, QuantityError};
pub use flow::Flow;
pub use identifiers::{AlarmKind, FaultPolicy, OverrideReason, PrimeKind, PumpKind};
pub use mass::Mass;
pub use rate::{DoseRate, FlowRate, Per};
pub use ratio::Ratio;
pub use time::{CarrierTime, PoweredTime, PumpTime};
pub use volume::{StepVolume, Volume};
