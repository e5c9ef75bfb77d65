//! Dosing control: what may be given, what is given, and what is watched meanwhile.
//!
//! | subject | modules |
//! |---|---|
//! | what may be given | `prescription`, `kind`, `bounds`, `mixture`, `library`, `limits`, `change`, `schedule`, `periodic`, `worst`, `local_time` |
//! | boluses | `patient_bolus`, `clinician_bolus`, `job` |
//! | the way to the tip | `catheter`, `path`, `bridge`, `prime`, `dilution` |
//! | the reservoir | `reservoir`, `refill`, `refill_date` |
//! | steps | `accumulator`, `delivery`, `order` |
//! | what is watched | `supervision`, `fault`, `alarm`, `mri`, `service_life`, `trial` |
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
mod alarm;
mod bounds;
mod bridge;
mod catheter;
mod change;
mod clinician_bolus;
mod delivery;
mod dilution;
mod fault;
mod job;
mod kind;
mod library;
mod limits;
mod local_time;
mod mixture;
mod mri;
mod order;
mod path;
mod patient_bolus;
mod periodic;
mod prescription;
mod prime;
mod refill;
mod refill_date;
mod refusal;
mod reservoir;
mod schedule;
mod service_life;
mod supervision;
mod trial;
mod worst;

#[cfg(test)]
mod pages;

pub use accumulator::Accumulator;
pub use alarm::{
    Alarm, AlarmClass, AlarmIntervals, AlarmRefusal, AlarmSet, AlarmState, Alarms, Ending,
    LONGEST_DEFERRAL, LONGEST_SILENCE, Sound, Tone, Urgency,
};
pub use bounds::{Bounds, FASTEST_STEP_RATE_MILLIHERTZ};
pub use bridge::{
    Bridge, BridgeRefusal, RESERVE, Target, Unbridged, flow_when_lost, is_bridge_needed,
};
pub use catheter::{
    Catheter, CatheterRecord, CatheterRefusal, LARGEST_EXTERNAL_PATH, LARGEST_IMPLANT_PATH,
    TipLevel, Upstream, allowed,
};
pub use change::{Change, PercentChange, TotalsInForce};
pub use clinician_bolus::{
    CLINICIAN_BOLUS_LIMITS, ClinicianBolus, ClinicianBolusRefusal, EXTENDED_FROM, check_total_flow,
};
pub use delivery::{Delivery, HANDOVER, HORIZON, MAXIMUM_STEPS_PER_ORDER, WINDOW};
pub use dilution::Dilution;
pub use fault::{Fault, Faults, KEEP_VEIN_OPEN, KEEP_VEIN_OPEN_BELOW, Response, respond};
pub use job::{
    CancelReason, Ended, Endings, How, Job, JobEvent, JobKind, JobOrder, JobRefusal, Jobs,
    SINGLE_BOLUS_WITHIN, whole_steps,
};
pub use kind::{Calibration, CalibrationRefusal, KindRules, constant_rate_concentration};
pub use library::{
    DOUBLED, DoseUnit, DrugEntry, Fill, HospitalDrug, HospitalLibrary, Library, LibraryRefusal,
    LimitField, LimitValue, Limits, LoadedVersion, MANY_BOLUSES, Nanograms, Severity, SoftHard,
    Source, Sourced, Stability, StartingRange, Tightened, Titration, Withdrawal,
};
pub use limits::{Asked, Finding, HardRefusal, SoftFindings, binding_volume_24h, check};
pub use local_time::{
    AUTOMATIC_CORRECTION, ClockChange, ClockRefusal, ClockSetter, LocalTime, MinuteOfWeek, Weekday,
    ZoneOffset, clock_drift, judge_correction,
};
pub use mixture::{Ingredient, MAXIMUM_SECONDARIES, Mixture, MixtureError};
pub use mri::{
    MRI_CHECK_PULSES, MRI_CHECK_STEPS, MRI_DEFAULT, MRI_LONGEST, Mri, MriOutcome, MriRefusal,
    MriState,
};
pub use order::StepOrder;
pub use path::{
    Component, Content, HIGHEST_CONCENTRATION_NANOGRAMS_PER_MILLILITRE, MAXIMUM_DRUGS,
    MAXIMUM_SLUGS, Passage, Path, PathRefusal, Slug, Solution, SolutionRefusal, TipDose,
};
pub use patient_bolus::{
    Binding, BolusTime, BolusWindow, CountedBolus, Denial, DeniedRequests, DrugMasses,
    ForeignWindow, Grant, KEY_SLOTS, LONGEST_BOLUS, LineEvent, MOST_BOLUSES_PER_DAY, MOST_PERIODS,
    PatientBolusDraft, PatientBolusRule, PeriodCap, RequestLine, RequestNumber, RequestNumbers,
    RequestOutcome, RuleRefusal, STUCK_AFTER, Situation,
};
pub use periodic::{LONGEST_INTERVAL, Periodic, PeriodicClock, PeriodicDraft, PeriodicRefusal};
pub use prescription::{Draft, Mode, Prescription, ProgramRefusal, check_flow};
pub use prime::{
    Interrupted, PRIME_RATE, PRIME_WINDOW, Prime, PrimeRefusal, PrimeRequest, PrimeSituation,
};
pub use refill::{
    CONFIRMATION_TIME, Discrepancy, DiscrepancyVerdict, PATIENT_CHECK_TIME, READING_UNCERTAINTY,
    Refill, RefillDone, RefillRefused, RefillStage, RefillStep, TREND_REFILLS, Trend, TrendEntry,
};
pub use refill_date::{
    Course, Forecast, Keeping, RefillCaps, RefillDate, RefillDates, RefillLimit,
};
pub use refusal::Refusal;
pub use reservoir::{LOW_MARK, Overfill, Reservoir, ReservoirState, TopUpRefused};
pub use schedule::{
    DAY_STEPS, Segment, StepPlace, WEEK_STEPS, Week, WeekDraft, WeekRefusal, WeekStep,
};
pub use service_life::{
    COLLAPSE_TO_EOS, ERI_TO_EOS, EriCause, REPLACE_MARGIN, ServiceDates, ServiceLife,
    ServiceLimits, ServiceLimitsRefused, ServicePhase,
};
pub use supervision::{
    FIRST_RETRIES, FIRST_RETRIES_EVERY, Findings, OBSERVE_EVERY, OVER_DELIVERY_STEPS, Observation,
    RETRIES_EVERY, RETRY_STEPS, REVERSE_PULSES, Recovered, Retry, STALL_STEPS, Stall, Supervision,
    SupervisionRecord, TUBE_SET_LIMIT, Tolerance,
};
pub use trial::{
    Diary, DiaryKind, DiaryPeriod, DiaryRefused, DiaryScale, LONGEST_TRIAL, LONGEST_TRIAL_DAYS,
    TRIAL_LENGTH, Trial, TrialPhase, TrialRefused, TrialVerdict,
};
pub use worst::{
    Allotment, BasalPlan, Binding as AllotmentLimit, WorstCase, interlock_allowance, worst_case,
    worst_in,
};
