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
mod clinician_bolus;
mod delivery;
mod job;
mod order;
mod patient_bolus;
mod prescription;
mod refusal;
mod reservoir;

pub use accumulator::Accumulator;
pub use bounds::{Bounds, FASTEST_STEP_RATE_MILLIHERTZ};
pub use clinician_bolus::{
    CLINICIAN_BOLUS_LIMITS, ClinicianBolus, ClinicianBolusRefusal, check_total_flow,
};
pub use delivery::{Delivery, HANDOVER, HORIZON, MAXIMUM_STEPS_PER_ORDER, WINDOW};
pub use job::{
    CancelReason, Ended, Endings, How, Job, JobEvent, JobKind, JobOrder, JobRefusal, Jobs,
    whole_steps,
};
pub use order::StepOrder;
pub use patient_bolus::{
    Binding, BolusTime, BolusWindow, CountedBolus, Denial, DeniedRequests, DrugMasses,
    ForeignWindow, Grant, KEY_SLOTS, LONGEST_BOLUS, LineEvent, MOST_BOLUSES_PER_DAY, MOST_PERIODS,
    PatientBolusDraft, PatientBolusRule, PeriodCap, RequestLine, RequestNumber, RequestNumbers,
    RequestOutcome, RuleRefusal, STUCK_AFTER, Situation,
};
pub use prescription::{Draft, Mode, Prescription};
pub use refusal::Refusal;
pub use reservoir::Reservoir;
