//! What the pump tells about therapy: jobs, alarms, boluses, the path to the tip, refills, the trial, and its drug library.
use core::fmt;

use serde::{Deserialize, Serialize};
use units::{AlarmKind, Drug, FaultPolicy, PumpKind};

use crate::list::List;
use crate::program::{Component, DRUGS, DrugTotal};

/// Alarms there are.
pub const ALARMS: usize = 29;
/// Slugs in the path at most.
pub const SLUGS: usize = 5;
/// Refills in one [`Refills`].
pub const REFILLS_PART: usize = 8;

/// What therapy is doing, to [`crate::Command::ReadTherapy`]. Days are counted from 2020-01-01, local; such dates are the earliest that fit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct TherapyStatus {
    /// What the pump is.
    pub kind: PumpKind,
    /// How the pump follows its program now.
    pub response: Response,
    /// What it does about a fault: the program's policy, or the library's for its drugs.
    pub fault_policy: FaultPolicy,
    /// Number of the last bolus or prime that was ordered with the key that asks, and durably stored; 0 before the first. The next order
    /// bears one more.
    pub last_number: u32,
    /// The order after it is being stored and its outcome not yet known: ask again (see [`crate::client::resolve_order`]).
    pub storing: bool,
    /// The bolus or prime under way.
    pub job: Option<JobStatus>,
    /// What the patient may ask for; `None` when the program allots nothing.
    pub bolus: Option<BolusAvailability>,
    /// The bridge under way.
    pub bridge: Option<BridgeStatus>,
    /// Mass of each drug that boluses may have given at most in the last 24 h; basal is not in it.
    pub mass_24h: List<DrugTotal, DRUGS>,
    /// Alarms that are active, or latched and not acknowledged yet.
    pub alarms: List<AlarmState, ALARMS>,
    /// The one that is heard.
    pub sounding: Option<AlarmKind>,
    /// When to refill; `None` while the level or the rate is unknown.
    pub refill: Option<RefillDates>,
    /// How long a refill has been open, in s; `None` when none is.
    pub refill_open_s: Option<u32>,
    /// By how much less was aspirated at the last refill than expected, in tenths of a percent of what was delivered: positive when the pump
    /// gave more than it reckoned.
    pub last_discrepancy_tenths_percent: Option<i32>,
    /// The service life.
    pub service: ServiceStatus,
    /// The trial; `None` for implants.
    pub trial: Option<TrialStatus>,
    /// Time left of MRI mode, in s; `None` when it is off.
    pub mri_left_s: Option<u32>,
    /// Local time minus UTC, in min.
    pub zone_min: i16,
    /// Version of the hospital's library; 0 when only the built-in one is in force.
    pub library_version: u32,
}

/// How the pump follows its program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum Response {
    /// As programmed; also when that is: stopped.
    Normal,
    /// At the mean basal rate of 24 h, without boluses, because the schedule or the clock is lost.
    HoldLast,
    /// At minimum rate, because of a fault or an emergency.
    MinimumRate,
    /// Not at all, because of a fault.
    Stopped,
    /// At the rate that keeps the vein open, because an external reservoir is nearly empty.
    KeepOpen,
}

impl Response {
    /// A few words for a screen.
    pub const fn text(self) -> &'static str {
        match self {
            Response::Normal => "as programmed",
            Response::HoldLast => "holding the last basal rate",
            Response::MinimumRate => "minimum rate because of a fault or an emergency",
            Response::Stopped => "stopped by a fault",
            Response::KeepOpen => "keeping the catheter open until the reservoir is empty",
        }
    }
}

impl fmt::Display for Response {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.text())
    }
}

/// A bolus or prime under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct JobStatus {
    /// The number it was ordered with; 0 for one that the program asks for.
    pub number: u32,
    /// What it is.
    pub kind: JobKind,
    /// Volume that may have been given at most, in nL.
    pub delivered_nl: u32,
    /// Its whole volume, in nL.
    pub volume_nl: u32,
    /// Time until it ends, in s.
    pub left_s: u32,
}

/// What a job is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum JobKind {
    /// Asked for by the patient.
    PatientBolus,
    /// Ordered by a clinician.
    ClinicianBolus,
    /// [`crate::Mode::PeriodicBolus`].
    PeriodicBolus,
    /// [`crate::Mode::SingleBolus`].
    SingleBolus,
    /// Filling tubing or catheter.
    Prime,
}

impl JobKind {
    /// The name used in texts.
    pub const fn name(self) -> &'static str {
        match self {
            JobKind::PatientBolus => "patient bolus",
            JobKind::ClinicianBolus => "clinician bolus",
            JobKind::PeriodicBolus => "periodic bolus",
            JobKind::SingleBolus => "single bolus",
            JobKind::Prime => "prime",
        }
    }
}

impl fmt::Display for JobKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// What the patient may ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct BolusAvailability {
    /// Patient boluses in the last 24 h.
    pub taken_in_24h: u8,
    /// Patient boluses allowed in 24 h.
    pub per_day: u8,
    /// Time until the next is possible, in s; 0: now; `None` when that does not depend on time alone.
    pub next_in_s: Option<u32>,
    /// Why one would be denied now.
    pub denial: Option<BolusDenial>,
}

/// Why a bolus was not given. Nothing has changed, and a lockout is not prolonged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum BolusDenial {
    /// Too soon after the last.
    Lockout {
        /// Time until it ends, in s.
        left_s: u32,
    },
    /// The number allowed in 24 h has been given.
    DayCount {
        /// Time until the oldest leaves the 24 h, in s.
        left_s: u32,
    },
    /// The mass allowed in 24 h would be passed.
    DayMass {
        /// Time until enough has left the 24 h, in s.
        left_s: u32,
    },
    /// The number allowed in this period of the day has been given.
    PeriodCount,
    /// A critical alarm is active.
    Alarm,
    /// A prime is under way.
    Priming,
    /// A bridge is under way.
    Bridging,
    /// A refill is open.
    RefillOpen,
    /// MRI mode is on.
    MriMode,
    /// Too soon after a program came into force.
    AfterProgramming {
        /// Time until one is possible, in s.
        left_s: u32,
    },
    /// The pump is stopped or at minimum rate.
    Stopped,
    /// The reservoir is empty or does not hold a bolus.
    Empty,
    /// The time of day is lost.
    ClockLost,
    /// The pump cannot store that it was given.
    Storage,
    /// Another bolus is under way.
    BusyJob,
    /// There is no program, or none that allots boluses.
    NotProgrammed,
    /// This kind of pump has none.
    Kind,
    /// A self-test is running or has failed.
    SelfTest,
    /// Clinician boluses come too often.
    Frequency {
        /// Time until one is possible, in s.
        left_s: u32,
    },
}

impl BolusDenial {
    /// Time until the reason is gone by itself, in s; `None` when it does not go by time.
    pub const fn left_s(self) -> Option<u32> {
        match self {
            BolusDenial::Lockout { left_s }
            | BolusDenial::DayCount { left_s }
            | BolusDenial::DayMass { left_s }
            | BolusDenial::AfterProgramming { left_s }
            | BolusDenial::Frequency { left_s } => Some(left_s),
            _ => None,
        }
    }
}

impl fmt::Display for BolusDenial {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            BolusDenial::Lockout { .. } => "too soon after the last bolus",
            BolusDenial::DayCount { .. } => "the boluses allowed in 24 hours have been given",
            BolusDenial::DayMass { .. } => "the drug allowed in 24 hours would be exceeded",
            BolusDenial::PeriodCount => {
                "the boluses allowed in this part of the day have been given"
            }
            BolusDenial::Alarm => "a critical alarm is active",
            BolusDenial::Priming => "the pump is being primed",
            BolusDenial::Bridging => "the old drug is still being led out of the catheter",
            BolusDenial::RefillOpen => "a refill has not been finished",
            BolusDenial::MriMode => "MRI mode is on",
            BolusDenial::AfterProgramming { .. } => "too soon after programming",
            BolusDenial::Stopped => "the pump is stopped or at minimum rate",
            BolusDenial::Empty => "the reservoir does not hold a bolus",
            BolusDenial::ClockLost => "the pump has lost the time of day",
            BolusDenial::Storage => "the pump cannot record a bolus",
            BolusDenial::BusyJob => "another bolus is under way",
            BolusDenial::NotProgrammed => "no boluses are programmed",
            BolusDenial::Kind => "this kind of pump gives no boluses",
            BolusDenial::SelfTest => "a self-test is running or has failed",
            BolusDenial::Frequency { .. } => "too soon after the last clinician boluses",
        })?;
        match self.left_s() {
            Some(left_s) => write!(out, ": possible in {}", Left(left_s)),
            None => Ok(()),
        }
    }
}

/// Seconds as a person reads them: "1 h 20 min", "5 min", "40 s"; rounded up to the minute from two minutes on, so that nobody comes too early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Left(pub u32);

impl fmt::Display for Left {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Left(seconds) = *self;
        if seconds < 120 {
            return write!(out, "{seconds} s");
        }
        let minutes = seconds.div_ceil(60);
        match (minutes / 60, minutes % 60) {
            (0, minutes) => write!(out, "{minutes} min"),
            (hours, 0) => write!(out, "{hours} h"),
            (hours, minutes) => write!(out, "{hours} h {minutes} min"),
        }
    }
}

/// The bridge under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct BridgeStatus {
    /// Volume of the old mixture still to be led out, in nL.
    pub left_nl: u32,
    /// How long that takes at the present flow, in s.
    pub left_s: u32,
    /// Its flow, in nL/day, rounded down (for display).
    pub flow_nl_per_day: u32,
}

/// One alarm.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct AlarmState {
    /// Which.
    pub alarm: AlarmKind,
    /// Its cause is there; otherwise it is latched.
    pub active: bool,
    /// A clinician has acknowledged it.
    pub acknowledged: bool,
}

/// When to refill, from the present level and program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct RefillDates {
    /// At the basal rate alone: the latest.
    pub basal_only_day: Option<u16>,
    /// With every bolus allotted: the one to book.
    pub with_boluses_day: Option<u16>,
    /// With every bolus, and the pump delivering as fast as its accuracy allows.
    pub worst_case_day: Option<u16>,
    /// What sets these dates.
    pub limited_by: RefillLimit,
    /// Time until the low mark, in s; 0 below it.
    pub alarm_in_s: Option<u32>,
    /// Time until the reservoir is empty, in s.
    pub empty_in_s: Option<u32>,
}

/// What sets the refill date.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum RefillLimit {
    /// The volume.
    Volume,
    /// How long the drug keeps.
    Stability,
    /// The pump's own replacement.
    Replacement,
}

impl RefillLimit {
    /// A word or two for a screen.
    pub const fn text(self) -> &'static str {
        match self {
            RefillLimit::Volume => "volume",
            RefillLimit::Stability => "stability of the drug",
            RefillLimit::Replacement => "replacement of the pump",
        }
    }
}

impl fmt::Display for RefillLimit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.text())
    }
}

/// The service life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct ServiceStatus {
    /// Where in it the pump is.
    pub state: ServiceState,
    /// Elective replacement is due from this day.
    pub eri_day: Option<u16>,
    /// The pump has to be replaced by this day.
    pub replace_by_day: Option<u16>,
    /// Delivery ends on this day.
    pub eos_day: Option<u16>,
    /// Whole days until delivery ends.
    pub days_left: Option<u16>,
    /// The supply may fail before: the dates are no promise.
    pub shortened: bool,
}

/// Where in its service life a pump is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum ServiceState {
    /// Nothing to do.
    Good,
    /// Replacement is due (ERI).
    ReplacementDue,
    /// The pump has to be replaced now.
    ReplaceNow,
    /// Over (EOS): nothing is delivered.
    Ended,
}

impl ServiceState {
    /// A few words for a screen.
    pub const fn text(self) -> &'static str {
        match self {
            ServiceState::Good => "good",
            ServiceState::ReplacementDue => "replacement due",
            ServiceState::ReplaceNow => "replace now",
            ServiceState::Ended => "ended",
        }
    }
}

impl fmt::Display for ServiceState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.text())
    }
}

/// A trial.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct TrialStatus {
    /// Time until it ends, in s; 0 when it is over.
    pub ends_in_s: u32,
    /// Whether the score fell by half or more; `None` while there are no scores of both, or the baseline is 0.
    pub verdict: Option<bool>,
    /// Scores from before.
    pub baseline_scores: u16,
    /// Scores since it began.
    pub trial_scores: u16,
}

/// What is in the path from the reservoir to the tip, as a plug-flow estimate, to [`crate::Command::ReadPath`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct PathStatus {
    /// Volume of the path, in nL; `None` when no catheter was ever told.
    pub path_nl: Option<u32>,
    /// What is in it, the one at the tip first.
    pub slugs: List<Slug, SLUGS>,
}

/// A stretch of the path filled with one mixture.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Slug {
    /// Its volume still in the path, in nL.
    pub left_nl: u32,
    /// What it holds; empty: no drug.
    pub components: List<Component, DRUGS>,
}

/// What the drug library in force says about one drug, to [`crate::Command::ReadLibrary`]. Soft limits need a reason, hard ones refuse anyone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct LibraryEntry {
    /// Version of the hospital's library; 0 when only the built-in one is in force.
    pub version: u32,
    /// The drug.
    pub drug: Drug,
    /// Soft limit of the concentration, in ng/mL.
    pub concentration_soft_ng_per_ml: Option<u32>,
    /// Hard limit of the concentration, in ng/mL.
    pub concentration_hard_ng_per_ml: u32,
    /// Soft limit of the first dose in 24 h, in ng.
    pub start_soft_ng: Option<u64>,
    /// Soft limit in any 24 h, in ng.
    pub day_soft_ng: Option<u64>,
    /// Hard limit in any 24 h, in ng.
    pub day_hard_ng: u64,
    /// Soft limit of one bolus, in ng.
    pub bolus_soft_ng: Option<u64>,
    /// Hard limit of one bolus, in ng.
    pub bolus_hard_ng: u64,
    /// Soft limit of an increase, in tenths of a percent.
    pub increase_soft_tenths_percent: Option<u16>,
    /// Hard limit of an increase, in tenths of a percent.
    pub increase_hard_tenths_percent: Option<u16>,
    /// A decrease by more needs a reason, in tenths of a percent.
    pub decrease_soft_tenths_percent: Option<u16>,
    /// Soft limit of the time between two increases, in h.
    pub increase_interval_h: Option<u16>,
    /// How long the drug keeps in the pump, in days.
    pub stability_days: u16,
    /// What the pump does about a fault when the program does not say.
    pub fault_policy: FaultPolicy,
    /// After a longer loss of delivery the pump comes back at minimum rate, in h.
    pub unattended_resume_h: u16,
}

/// Refills, newest first, to [`crate::Command::ReadRefills`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Refills {
    /// How many the pump still knows.
    pub known: u8,
    /// Those asked for, as many as fit; none behind the oldest.
    pub entries: List<Refill, REFILLS_PART>,
}

/// One refill.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Refill {
    /// Volume that the pump reckoned to have delivered since the refill before, in nL.
    pub programmed_nl: u32,
    /// Volume that was delivered as the aspirated volume tells, in nL.
    pub delivered_nl: u32,
    /// The difference, in tenths of a percent like [`TherapyStatus::last_discrepancy_tenths_percent`].
    pub discrepancy_tenths_percent: Option<i32>,
}
