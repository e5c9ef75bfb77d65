//! Dosing control: prescriptions, delivery, reservoir.
//!
//! A [`Draft`] is what somebody wants; a [`Prescription`] is a draft that has passed every check against the [`Bounds`] of the pump,
//! and there is no other way to hold one. A [`Delivery`] turns a prescription into [`StepOrder`]s against the clock of therapy through
//! an [`Accumulator`] that never rounds. A [`Reservoir`] keeps account of what was filled and what was drawn.
//!
//! Nothing here reads a clock or moves a motor: time comes in as an argument, orders go out as values, and the same calls give the
//! same answers on every machine.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod accumulator;
mod bounds;
mod bridge;
mod catheter;
mod delivery;
mod dilution;
mod order;
mod path;
mod prescription;
mod prime;
mod refusal;
mod reservoir;

pub use accumulator::Accumulator;
pub use bounds::{Bounds, FASTEST_STEP_RATE_MILLIHERTZ};
pub use bridge::{
    Bridge, BridgeRefusal, RESERVE, Target, Unbridged, flow_when_lost, is_bridge_needed,
};
pub use catheter::{
    Catheter, CatheterRecord, CatheterRefusal, LARGEST_EXTERNAL_PATH, LARGEST_IMPLANT_PATH,
    TipLevel, Upstream,
};
pub use delivery::{Delivery, HANDOVER, HORIZON, MAXIMUM_STEPS_PER_ORDER, WINDOW};
pub use dilution::Dilution;
pub use order::StepOrder;
pub use path::{
    Component, Content, HIGHEST_CONCENTRATION_NANOGRAMS_PER_MILLILITRE, MAXIMUM_DRUGS,
    MAXIMUM_SLUGS, Passage, Path, PathRefusal, Slug, Solution, SolutionRefusal, TipDose,
};
pub use prescription::{Draft, Mode, Prescription};
pub use prime::{
    Interrupted, PRIME_RATE, PRIME_WINDOW, Prime, PrimeRefusal, PrimeRequest, PrimeSituation,
};
pub use refusal::Refusal;
pub use reservoir::Reservoir;
