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
mod delivery;
mod local_time;
mod order;
mod periodic;
mod prescription;
mod refusal;
mod reservoir;
mod schedule;
mod worst;

pub use accumulator::Accumulator;
pub use bounds::{Bounds, FASTEST_STEP_RATE_MILLIHERTZ};
pub use delivery::{Delivery, HANDOVER, HORIZON, MAXIMUM_STEPS_PER_ORDER, WINDOW};
pub use local_time::{
    AUTOMATIC_CORRECTION, ClockChange, ClockRefusal, ClockSetter, LocalTime, MinuteOfWeek, Weekday,
    ZoneOffset, judge_correction,
};
pub use order::StepOrder;
pub use periodic::{
    BOLUSES_A_DAY_UNCONFIRMED, LONGEST_INTERVAL, Periodic, PeriodicClock, PeriodicDraft,
    PeriodicRefusal,
};
pub use prescription::{Draft, Mode, Prescription};
pub use refusal::Refusal;
pub use reservoir::Reservoir;
pub use schedule::{
    DAY_STEPS, Segment, StepPlace, WEEK_STEPS, Week, WeekDraft, WeekRefusal, WeekStep,
};
pub use worst::{Allotment, BasalPlan, Binding, WorstCase, interlock_allowance, worst_case};
