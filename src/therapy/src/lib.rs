//! Dosing control: prescriptions, delivery, reservoir.
//!
//! A [`Draft`] is what somebody wants; a [`Prescription`] is a draft that has passed every check against the [`Bounds`] of the pump,
//! and there is no other way to hold one. A [`Delivery`] turns a prescription into [`StepOrder`]s against the clock of therapy through
//! an [`Accumulator`] that never rounds. A [`Reservoir`] keeps account of what was filled and what was drawn, a [`Refill`] leads through
//! a refill and a [`Forecast`] says when the next one is due. A [`ServiceLife`] ends an implant in time, a [`Trial`] an external pump.
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
mod order;
mod prescription;
mod refill;
mod refill_date;
mod refusal;
mod reservoir;
mod service_life;
mod trial;

pub use accumulator::Accumulator;
pub use bounds::{Bounds, FASTEST_STEP_RATE_MILLIHERTZ};
pub use delivery::{Delivery, HANDOVER, HORIZON, MAXIMUM_STEPS_PER_ORDER, WINDOW};
pub use order::StepOrder;
pub use prescription::{Draft, Mode, Prescription};
pub use refill::{
    CONFIRMATION_TIME, Discrepancy, DiscrepancyVerdict, PATIENT_CHECK_TIME, READING_UNCERTAINTY,
    Refill, RefillDone, RefillRefused, RefillStage, RefillStep, TREND_REFILLS, Trend, TrendEntry,
};
pub use refill_date::{
    Course, Forecast, RefillCaps, RefillDate, RefillDates, RefillLimit, Stability,
};
pub use refusal::Refusal;
pub use reservoir::{LOW_MARK, Overfill, Reservoir, ReservoirState, TopUpRefused};
pub use service_life::{
    COLLAPSE_TO_EOS, ERI_TO_EOS, EriCause, REPLACE_MARGIN, ServiceDates, ServiceLife,
    ServiceLimits, ServiceLimitsRefused, ServicePhase,
};
pub use trial::{
    Diary, DiaryKind, DiaryPeriod, DiaryRefused, DiaryScale, LONGEST_TRIAL, TRIAL_LENGTH, Trial,
    TrialPhase, TrialRefused, TrialVerdict, flow_near_the_end,
};
