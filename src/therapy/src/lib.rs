//! Dosing control: prescriptions, delivery, reservoir.
//!
//! A [`Draft`] is what somebody wants; a [`Prescription`] is a draft that has passed every check against the [`Bounds`] of the pump,
//! and there is no other way to hold one. A [`Delivery`] turns a prescription into [`StepOrder`]s against the clock of therapy through
//! an [`Accumulator`] that never rounds. A [`Reservoir`] keeps account of what was filled and what was drawn.
//!
//! [`Supervision`] holds what the encoder counts against what was commanded, [`respond`] says what is delivered while something is
//! wrong, [`Alarms`] what sounds, and [`Mri`] watches over a scan.
//!
//! Nothing here reads a clock or moves a motor: time comes in as an argument, orders go out as values, and the same calls give the
//! same answers on every machine.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod accumulator;
mod alarm;
mod bounds;
mod delivery;
mod fault;
mod mri;
mod order;
mod prescription;
mod refusal;
mod reservoir;
mod supervision;

pub use accumulator::Accumulator;
pub use alarm::{
    Alarm, AlarmClass, AlarmIntervals, AlarmRefusal, AlarmSet, AlarmState, Alarms, Ending,
    LONGEST_DEFERRAL, LONGEST_SILENCE, Sound, Tone, Urgency,
};
pub use bounds::{Bounds, FASTEST_STEP_RATE_MILLIHERTZ};
pub use delivery::{Delivery, HANDOVER, HORIZON, MAXIMUM_STEPS_PER_ORDER, WINDOW};
pub use fault::{
    Fault, Faults, KEEP_VEIN_OPEN, KEEP_VEIN_OPEN_BELOW, LINK_RESETS, LINK_RESETS_WITHIN, Response,
    is_overdrawn, respond,
};
pub use mri::{
    MRI_CHECK_PULSES, MRI_CHECK_STEPS, MRI_DEFAULT, MRI_LONGEST, Mri, MriOutcome, MriRefusal,
    MriState,
};
pub use order::StepOrder;
pub use prescription::{Draft, Mode, Prescription};
pub use refusal::Refusal;
pub use reservoir::Reservoir;
pub use supervision::{
    FIRST_RETRIES, FIRST_RETRIES_EVERY, Findings, OBSERVE_EVERY, OVER_DELIVERY_STEPS, Observation,
    RETRIES_EVERY, RETRY_STEPS, REVERSE_PULSES, Recovered, Retry, STALL_STEPS, Stall, Supervision,
    SupervisionRecord, TUBE_SET_LIMIT, Tolerance,
};
