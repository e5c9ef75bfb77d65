//! Refusals: not done, and why, in words a clinician can act on.
use core::fmt;

use serde::{Deserialize, Serialize};
use units::{Drug, Duration, PumpKind, WallTime};

use crate::codec::Malformed;
use crate::info::Lifecycle;
use crate::order::Shown;
use crate::roles::Role;
use crate::therapy::Left;

/// Why a request was not done. Each one but [`Refused::NumberUsed`] is certain: nothing has changed, and nothing will.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum Refused {
    /// The holder of this key may not do that, or not now.
    NotAllowed {
        /// What stands in the way.
        because: NotAllowed,
    },
    /// Nothing is staged, so there is nothing to show or commit.
    NothingStaged,
    /// The digest is not that of the staged program, which has been discarded.
    DigestMismatch,
    /// The staged program was older than 120 s (carrier time) and has been discarded.
    StageExpired,
    /// The pump's storage failed or was silent for 5 s.
    NotDone,
    /// The pump is still busy with an earlier command.
    Busy,
    /// A value lies outside of what this pump allows.
    OutOfRange {
        /// Which value; also fixes the unit of the three numbers.
        field: Field,
        /// The value asked for (a flow is rounded towards the bound it passes).
        value: u64,
        /// The lowest allowed.
        lowest: u64,
        /// The highest allowed.
        highest: u64,
    },
    /// The message could not be understood.
    BadMessage(Malformed),
    /// A command with this number, or a later one, was here before, on whatever connection: not done now, perhaps done then.
    NumberUsed {
        /// The last number of this key.
        last: u32,
    },
    /// A hard limit that no reason opens.
    OverLimit {
        /// Which limit; also fixes the unit of the two numbers.
        limit_kind: LimitKind,
        /// Of which drug.
        drug: Drug,
        /// What was asked for.
        value: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A soft limit is gone over, or a clinician's word is needed: give a reason. What was staged is still there.
    ReasonNeeded,
    /// What the programmer showed is not what the pump reckons. What was staged has been discarded.
    ShownDiffers {
        /// What was shown.
        shown: Shown,
        /// What the pump reckons.
        pump: Shown,
    },
    /// A guided refill goes step by step.
    WrongOrder {
        /// The step that comes next.
        expected: RefillStep,
    },
    /// This kind of pump cannot do that.
    KindForbids {
        /// What the pump is.
        kind: PumpKind,
    },
    /// Too soon after something before.
    TooSoon {
        /// Time until it is possible, in s.
        left_s: u32,
    },
    /// Not while the pump is in this state.
    NotNow {
        /// Which state.
        why: NotNow,
    },
    /// No catheter was told, so nothing can be said about the path to the tip.
    NoPath,
    /// Drug or concentration changes and the path is full of the old one: a bridge dose in this range is needed.
    BridgeNeeded {
        /// The lowest dose of the old primary drug that this pump can deliver as a bridge, in ng/day.
        lowest_ng_per_day: u64,
        /// The highest, in ng/day.
        highest_ng_per_day: u64,
    },
    /// The path holds as many mixtures as the pump can follow.
    TooManyChanges,
    /// A flex week that is none.
    ScheduleInvalid {
        /// The pattern, counted from 0; of [`ScheduleFault::NoPattern`] the day, Monday 0.
        pattern: u8,
        /// The step in it, counted from 0.
        step: u8,
        /// What is wrong.
        fault: ScheduleFault,
    },
    /// A hospital library, or a part of one, that cannot be taken. The one in force stays.
    LibraryInvalid {
        /// What is wrong.
        fault: LibraryFault,
    },
}

/// Why somebody may not do something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum NotAllowed {
    /// Nobody in this role ever may.
    Role {
        /// The role.
        role: Role,
    },
    /// Not at this point of the pump's life.
    Lifecycle {
        /// Where in its life it is.
        lifecycle: Lifecycle,
    },
    /// Only while the presence window is open.
    Presence,
    /// Not while a critical alarm is active.
    Alarm,
    /// An enrolling phone grants one key, and that of a clinician; nobody revokes the key that asks, or grants another in its place or the
    /// role enrolling; slots are 0 to 7.
    Key,
}

impl fmt::Display for NotAllowed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotAllowed::Role { role } => write!(out, "the role {role} may not do that"),
            NotAllowed::Lifecycle { lifecycle } => {
                write!(out, "not with a pump whose lifecycle is: {lifecycle}")
            }
            NotAllowed::Presence => out.write_str(
                "hold the magnet over the pump for 3 s; then it is possible for 5 min",
            ),
            NotAllowed::Alarm => out.write_str("not while a critical alarm is active"),
            NotAllowed::Key => out.write_str(
                "an enrolling phone grants one clinician's key; nobody revokes the key in use; slots are 0 to 7",
            ),
        }
    }
}

/// The steps of a guided refill.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum RefillStep {
    /// [`crate::Command::OpenRefill`].
    Open,
    /// [`crate::Command::RefillAspirated`].
    Aspirated,
    /// A program with [`crate::Program::fill`], staged and committed, or [`crate::Command::CloseRefill`].
    Confirm,
}

/// Why something cannot be done now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum NotNow {
    /// There has never been a program.
    NotProgrammed,
    /// The pump is stopped.
    Stopped,
    /// A bolus is under way.
    Bolus,
    /// A prime is under way.
    Priming,
    /// A bridge is under way.
    Bridging,
    /// A refill is open.
    RefillOpen,
    /// MRI mode is on.
    MriMode,
    /// A critical alarm is active.
    Alarm,
    /// That alarm is not active.
    NoAlarm,
    /// The cause of that alarm is still there.
    AlarmActive,
    /// The reservoir is empty, or its level unknown.
    Empty,
    /// The time of day is lost.
    ClockLost,
    /// Flash does not store.
    Storage,
    /// A self-test is running or has failed.
    SelfTest,
    /// The catheter was not aspirated, or the patient is not disconnected.
    NotPrepared,
    /// The number was used before: for an order that was not given, or for one before the last.
    NumberUsed,
    /// There is no trial, or it is over.
    NoTrial,
    /// The pump is commissioned already.
    Commissioned,
    /// The pump is not commissioned.
    NotCommissioned,
}

impl NotNow {
    /// Every one, in wire order.
    pub const ALL: [NotNow; 19] = [
        NotNow::NotProgrammed,
        NotNow::Stopped,
        NotNow::Bolus,
        NotNow::Priming,
        NotNow::Bridging,
        NotNow::RefillOpen,
        NotNow::MriMode,
        NotNow::Alarm,
        NotNow::NoAlarm,
        NotNow::AlarmActive,
        NotNow::Empty,
        NotNow::ClockLost,
        NotNow::Storage,
        NotNow::SelfTest,
        NotNow::NotPrepared,
        NotNow::NumberUsed,
        NotNow::NoTrial,
        NotNow::Commissioned,
        NotNow::NotCommissioned,
    ];

    /// What to say after "not done: ".
    pub const fn text(self) -> &'static str {
        match self {
            NotNow::NotProgrammed => "the pump has never been programmed",
            NotNow::Stopped => "the pump is stopped",
            NotNow::Bolus => "a bolus is under way; wait for its end or cancel it",
            NotNow::Priming => "the pump is being primed; wait for the end or cancel it",
            NotNow::Bridging => "the old drug is still being led out of the catheter",
            NotNow::RefillOpen => {
                "a refill is open; commit the new fill or say that nothing was changed"
            }
            NotNow::MriMode => "MRI mode is on; end it first",
            NotNow::Alarm => "a critical alarm is active",
            NotNow::NoAlarm => "that alarm is not active",
            NotNow::AlarmActive => "the cause of the alarm is still there",
            NotNow::Empty => "the reservoir is empty, or its level unknown",
            NotNow::ClockLost => "the pump has lost the time of day; set the clock first",
            NotNow::Storage => "the pump's storage fails",
            NotNow::SelfTest => "a self-test is running or has failed",
            NotNow::NotPrepared => "aspirate the catheter, or disconnect the patient, first",
            NotNow::NumberUsed => {
                "its number was used for another order; read the therapy status again"
            }
            NotNow::NoTrial => "there is no trial, or it is over",
            NotNow::Commissioned => "the pump is commissioned already",
            NotNow::NotCommissioned => "the pump is not commissioned",
        }
    }
}

impl fmt::Display for NotNow {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.text())
    }
}

/// What is wrong with a flex week.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum ScheduleFault {
    /// A day names a pattern that there is not.
    NoPattern,
    /// A pattern is not used by any day.
    Unused,
    /// A pattern without steps.
    NoSteps,
    /// The lengths of the patterns do not add up to the steps.
    Lengths,
    /// A step lasts no time.
    EmptyStep,
    /// The steps end before the day or after it.
    NotADay,
    /// More steps in a day than this pump takes.
    TooManySteps,
    /// Every dose is 0: that is minimum rate.
    NothingButMinimum,
    /// A step has the dose of the one before.
    ChangesNothing,
}

impl ScheduleFault {
    /// Every one, in wire order.
    pub const ALL: [ScheduleFault; 9] = [
        ScheduleFault::NoPattern,
        ScheduleFault::Unused,
        ScheduleFault::NoSteps,
        ScheduleFault::Lengths,
        ScheduleFault::EmptyStep,
        ScheduleFault::NotADay,
        ScheduleFault::TooManySteps,
        ScheduleFault::NothingButMinimum,
        ScheduleFault::ChangesNothing,
    ];

    /// What is wrong, and what is allowed.
    pub const fn text(self) -> &'static str {
        match self {
            ScheduleFault::NoPattern => "the day names a pattern that does not exist",
            ScheduleFault::Unused => "no day uses the pattern",
            ScheduleFault::NoSteps => "a pattern needs at least one step",
            ScheduleFault::Lengths => "the lengths of the patterns do not add up to the steps",
            ScheduleFault::EmptyStep => "a step has to last at least 1 min",
            ScheduleFault::NotADay => "the steps of a pattern have to fill the day, 24 h, exactly",
            ScheduleFault::TooManySteps => "a day has at most 24 steps",
            ScheduleFault::NothingButMinimum => {
                "at least one step needs a dose; otherwise program minimum rate"
            }
            ScheduleFault::ChangesNothing => {
                "the step has the dose of the one before; make one of the two"
            }
        }
    }
}

impl fmt::Display for ScheduleFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.text())
    }
}

/// What is wrong with a hospital library.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum LibraryFault {
    /// This part does not begin where the last one ended.
    OutOfOrder {
        /// Where the next has to begin, in bytes; 0: from the start.
        expected: u16,
    },
    /// It is too long for this pump.
    TooLong {
        /// Most bytes the pump takes.
        most: u16,
    },
    /// The version is not above the one in force.
    OldVersion {
        /// The version in force.
        in_force: u32,
    },
    /// What arrived is not what the checksum says.
    Checksum,
    /// It is no library of this pump.
    Format,
    /// It allows more than the built-in one, which a hospital may only tighten.
    Looser {
        /// Of which drug.
        drug: Drug,
    },
}

impl fmt::Display for LibraryFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LibraryFault::OutOfOrder { expected } => {
                write!(
                    out,
                    "the pump expects the part that begins at byte {expected}"
                )
            }
            LibraryFault::TooLong { most } => {
                write!(out, "it is too long: the pump takes at most {most} bytes")
            }
            LibraryFault::OldVersion { in_force } => {
                write!(
                    out,
                    "its version has to be above {in_force}, the one in force"
                )
            }
            LibraryFault::Checksum => {
                out.write_str("it arrived damaged: send it again from the start")
            }
            LibraryFault::Format => {
                out.write_str("it is not a drug library that this pump can read")
            }
            LibraryFault::Looser { drug } => write!(
                out,
                "it allows more {drug} than the built-in library, which a hospital can only tighten"
            ),
        }
    }
}

/// A limit of the drug library. Soft or hard: that is told by where it stands ([`crate::Finding`], [`Refused::OverLimit`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum LimitKind {
    /// Concentration, in ng/mL.
    ConcentrationNanogramsPerMillilitre,
    /// First dose of a drug, in ng in any 24 h.
    StartNanograms,
    /// Dose in any 24 h, with every bolus allotted, in ng.
    DayNanograms,
    /// One bolus, in ng.
    BolusNanograms,
    /// Content of a prime that reaches the patient, in ng.
    PrimeNanograms,
    /// Increase, in tenths of a percent.
    IncreaseTenthsPercent,
    /// Decrease, in tenths of a percent.
    DecreaseTenthsPercent,
    /// Increase in any 24 h, in ng.
    IncreaseNanograms,
    /// Time since the last increase, in h; the limit is the least.
    IncreaseIntervalHours,
    /// Lockout of the patient bolus, in min; the limit is the least.
    LockoutMinutes,
    /// Boluses in 24 h.
    BolusesPerDay,
    /// Volume needed for the bridge and seven days, in nL; the limit is what the reservoir holds.
    BridgeAndWeekNanolitres,
    /// Volume in the reservoir after the fill with what should have been left, in nL; the limit is the capacity.
    OverfillNanolitres,
    /// Primes in 24 h.
    PrimesPerDay,
    /// Dose in any 24 h, against twice the lowest that was in force in the last 24 h, in ng.
    DoubledNanograms,
    /// The drug is off label here; both numbers are 0, and it asks for no reason.
    OffLabel,
}

impl LimitKind {
    /// Every one, in wire order.
    pub const ALL: [LimitKind; 16] = [
        LimitKind::ConcentrationNanogramsPerMillilitre,
        LimitKind::StartNanograms,
        LimitKind::DayNanograms,
        LimitKind::BolusNanograms,
        LimitKind::PrimeNanograms,
        LimitKind::IncreaseTenthsPercent,
        LimitKind::DecreaseTenthsPercent,
        LimitKind::IncreaseNanograms,
        LimitKind::IncreaseIntervalHours,
        LimitKind::LockoutMinutes,
        LimitKind::BolusesPerDay,
        LimitKind::BridgeAndWeekNanolitres,
        LimitKind::OverfillNanolitres,
        LimitKind::PrimesPerDay,
        LimitKind::DoubledNanograms,
        LimitKind::OffLabel,
    ];

    /// What a clinician calls it.
    pub const fn name(self) -> &'static str {
        match self {
            LimitKind::ConcentrationNanogramsPerMillilitre => "concentration",
            LimitKind::StartNanograms => "first dose in 24 h",
            LimitKind::DayNanograms => "dose in 24 h",
            LimitKind::BolusNanograms => "bolus",
            LimitKind::PrimeNanograms => "dose in the prime",
            LimitKind::IncreaseTenthsPercent | LimitKind::IncreaseNanograms => "increase",
            LimitKind::DecreaseTenthsPercent => "decrease",
            LimitKind::IncreaseIntervalHours => "time since the last increase",
            LimitKind::LockoutMinutes => "lockout",
            LimitKind::BolusesPerDay => "boluses in 24 h",
            LimitKind::BridgeAndWeekNanolitres => "volume for the bridge and seven days",
            LimitKind::OverfillNanolitres => "volume after the fill",
            LimitKind::PrimesPerDay => "primes in 24 h",
            LimitKind::DoubledNanograms => "more than double in 24 h",
            LimitKind::OffLabel => "off label",
        }
    }

    /// The limit is the least allowed, not the most.
    pub const fn is_least(self) -> bool {
        matches!(
            self,
            LimitKind::IncreaseIntervalHours | LimitKind::LockoutMinutes
        )
    }

    /// `value` as text with its unit, exact.
    fn write(self, out: &mut fmt::Formatter<'_>, value: u64) -> fmt::Result {
        match self {
            LimitKind::ConcentrationNanogramsPerMillilitre => mass(out, value, "/mL"),
            LimitKind::StartNanograms
            | LimitKind::DayNanograms
            | LimitKind::BolusNanograms
            | LimitKind::PrimeNanograms
            | LimitKind::DoubledNanograms
            | LimitKind::IncreaseNanograms => mass(out, value, ""),
            LimitKind::OffLabel => Ok(()),
            LimitKind::IncreaseTenthsPercent | LimitKind::DecreaseTenthsPercent => {
                scaled(out, value, 10, " %")
            }
            LimitKind::IncreaseIntervalHours => write!(out, "{value} h"),
            LimitKind::LockoutMinutes => write!(out, "{value} min"),
            LimitKind::BolusesPerDay | LimitKind::PrimesPerDay => write!(out, "{value}"),
            LimitKind::BridgeAndWeekNanolitres | LimitKind::OverfillNanolitres => {
                scaled(out, value, MILLI, " mL")
            }
        }
    }

    /// "morphine: dose in 24 h 16 mg, at most 15 mg".
    pub(crate) fn exceeded(
        self,
        out: &mut fmt::Formatter<'_>,
        drug: Drug,
        value: u64,
        limit: u64,
    ) -> fmt::Result {
        if self == LimitKind::OffLabel {
            return write!(out, "{drug}: off label");
        }
        write!(out, "{drug}: {} ", self.name())?;
        self.write(out, value)?;
        out.write_str(if self.is_least() {
            ", at least "
        } else {
            ", at most "
        })?;
        self.write(out, limit)
    }
}

impl fmt::Display for LimitKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

fn shown(out: &mut fmt::Formatter<'_>, shown: &Shown) -> fmt::Result {
    match shown.old_day_total_ng {
        Some(old) => mass(out, old, "")?,
        None => out.write_str("nothing")?,
    }
    out.write_str(" to ")?;
    mass(out, shown.new_day_total_ng, " in 24 h")?;
    let Some(change) = shown.change_tenths_percent else {
        return Ok(());
    };
    out.write_str(if change < 0 { ", -" } else { ", +" })?;
    scaled(out, u64::from(change.unsigned_abs()), 10, " %")
}

/// A value that can be out of range. The name fixes the unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum Field {
    /// Concentration, in ng/mL.
    ConcentrationNanogramsPerMillilitre,
    /// Flow that follows from dose and concentration, in nL/day.
    FlowNanolitresPerDay,
    /// Fill volume, in nL.
    FillNanolitres,
    /// Dose, in ng per the time it was given for.
    DoseNanograms,
    /// Flags to reset, as a number.
    StatusChangedMask,
    /// A time of day, in ms since 1970-01-01T00:00:00Z.
    WallMilliseconds,
    /// How far off a time of day may be, in us.
    UncertaintyMicroseconds,
    /// Dose of a bolus, in ng.
    BolusNanograms,
    /// Duration of a bolus, in s.
    BolusSeconds,
    /// Flow during a bolus on top of the basal one, in nL/day.
    BolusFlowNanolitresPerDay,
    /// Interval of periodic boluses, in min.
    IntervalMinutes,
    /// Time until the first periodic bolus, in min.
    FirstAfterMinutes,
    /// Lockout of the patient bolus, in min.
    LockoutMinutes,
    /// Patient boluses in 24 h.
    BolusesPerDay,
    /// Cap of the mass in 24 h, in ng.
    DayCapNanograms,
    /// A time of day, in min from midnight.
    MinuteOfDay,
    /// Flow of a bridge, in nL/day.
    BridgeFlowNanolitresPerDay,
    /// Low mark of the reservoir, in nL.
    LowMarkNanolitres,
    /// Drugs in the mixture; a drug that is there twice counts as one too many.
    Drugs,
    /// Difference of local time from UTC, in min, counted from -720: UTC is 720. What is further west is told as 0.
    ZoneMinutesFromLowest,
    /// Correction of the clock, in ms, either way.
    CorrectionMilliseconds,
    /// Number of a bolus or prime.
    JobNumber,
    /// Volume of a prime, in nL.
    PrimeNanolitres,
    /// Volume of the pump's tubing, in nL.
    TubingNanolitres,
    /// Length of the catheter, in mm.
    CatheterMillimetres,
    /// Volume of the catheter per length, in nL/cm.
    CatheterNanolitresPerCentimetre,
    /// Volume of a port, in nL.
    PortNanolitres,
    /// Aspirated volume, in nL.
    AspiratedNanolitres,
    /// Interval of critical alarms, in min.
    CriticalIntervalMinutes,
    /// Interval of other alarms, in min.
    OtherIntervalMinutes,
    /// Duration of MRI mode, in min.
    MriMinutes,
    /// Volume of one step, in fL.
    StepVolumeFemtolitres,
    /// Capacity of the reservoir, in nL.
    CapacityNanolitres,
    /// The one rate of a constant-rate pump, in nL/day.
    FixedRateNanolitresPerDay,
    /// Length of a trial, in days.
    TrialDays,
    /// A score of the diary.
    Score,
    /// Position in the list of refills.
    RefillNumber,
}

impl Field {
    /// Every field, in wire order.
    pub const ALL: [Field; 37] = [
        Field::ConcentrationNanogramsPerMillilitre,
        Field::FlowNanolitresPerDay,
        Field::FillNanolitres,
        Field::DoseNanograms,
        Field::StatusChangedMask,
        Field::WallMilliseconds,
        Field::UncertaintyMicroseconds,
        Field::BolusNanograms,
        Field::BolusSeconds,
        Field::BolusFlowNanolitresPerDay,
        Field::IntervalMinutes,
        Field::FirstAfterMinutes,
        Field::LockoutMinutes,
        Field::BolusesPerDay,
        Field::DayCapNanograms,
        Field::MinuteOfDay,
        Field::BridgeFlowNanolitresPerDay,
        Field::LowMarkNanolitres,
        Field::Drugs,
        Field::ZoneMinutesFromLowest,
        Field::CorrectionMilliseconds,
        Field::JobNumber,
        Field::PrimeNanolitres,
        Field::TubingNanolitres,
        Field::CatheterMillimetres,
        Field::CatheterNanolitresPerCentimetre,
        Field::PortNanolitres,
        Field::AspiratedNanolitres,
        Field::CriticalIntervalMinutes,
        Field::OtherIntervalMinutes,
        Field::MriMinutes,
        Field::StepVolumeFemtolitres,
        Field::CapacityNanolitres,
        Field::FixedRateNanolitresPerDay,
        Field::TrialDays,
        Field::Score,
        Field::RefillNumber,
    ];

    /// What a clinician calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Field::ConcentrationNanogramsPerMillilitre => "concentration",
            Field::FlowNanolitresPerDay => "flow",
            Field::FillNanolitres => "reservoir fill",
            Field::DoseNanograms => "dose",
            Field::StatusChangedMask => "flag mask",
            Field::WallMilliseconds => "time of day",
            Field::UncertaintyMicroseconds => "uncertainty of the time of day",
            Field::BolusNanograms => "bolus dose",
            Field::BolusSeconds => "bolus duration",
            Field::BolusFlowNanolitresPerDay => "flow during the bolus",
            Field::IntervalMinutes => "interval between boluses",
            Field::FirstAfterMinutes => "time until the first bolus",
            Field::LockoutMinutes => "lockout",
            Field::BolusesPerDay => "boluses in 24 h",
            Field::DayCapNanograms => "cap of the dose in 24 h",
            Field::MinuteOfDay => "time of the period",
            Field::BridgeFlowNanolitresPerDay => "flow of the bridge",
            Field::LowMarkNanolitres => "low mark of the reservoir",
            Field::Drugs => "number of drugs",
            Field::ZoneMinutesFromLowest => "time zone",
            Field::CorrectionMilliseconds => "correction of the clock",
            Field::JobNumber => "number of the order",
            Field::PrimeNanolitres => "prime",
            Field::TubingNanolitres => "tubing volume",
            Field::CatheterMillimetres => "catheter length",
            Field::CatheterNanolitresPerCentimetre => "catheter volume per length",
            Field::PortNanolitres => "port volume",
            Field::AspiratedNanolitres => "aspirated volume",
            Field::CriticalIntervalMinutes => "interval of critical alarms",
            Field::OtherIntervalMinutes => "interval of other alarms",
            Field::MriMinutes => "duration of MRI mode",
            Field::StepVolumeFemtolitres => "step volume",
            Field::CapacityNanolitres => "reservoir capacity",
            Field::FixedRateNanolitresPerDay => "fixed rate",
            Field::TrialDays => "length of the trial",
            Field::Score => "score",
            Field::RefillNumber => "position in the list of refills",
        }
    }

    /// `value` of this field as text with its unit, exact, in the unit that suits its size.
    pub const fn quantity(self, value: u64) -> Quantity {
        Quantity { field: self, value }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// A value with the [`Field`] that fixes its unit; its `Display` is exact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quantity {
    field: Field,
    value: u64,
}

const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000_000;

impl fmt::Display for Quantity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value;
        match self.field {
            Field::ConcentrationNanogramsPerMillilitre => mass(out, value, "/mL"),
            Field::DoseNanograms | Field::BolusNanograms | Field::DayCapNanograms => {
                mass(out, value, "")
            }
            Field::FlowNanolitresPerDay
            | Field::BolusFlowNanolitresPerDay
            | Field::BridgeFlowNanolitresPerDay
            | Field::FixedRateNanolitresPerDay => scaled(out, value, MILLI, " mL/day"),
            Field::FillNanolitres
            | Field::LowMarkNanolitres
            | Field::PrimeNanolitres
            | Field::TubingNanolitres
            | Field::PortNanolitres
            | Field::AspiratedNanolitres
            | Field::CapacityNanolitres => scaled(out, value, MILLI, " mL"),
            Field::StatusChangedMask
            | Field::BolusesPerDay
            | Field::Drugs
            | Field::JobNumber
            | Field::Score
            | Field::RefillNumber => write!(out, "{value}"),
            Field::BolusSeconds => write!(out, "{value} s"),
            Field::IntervalMinutes
            | Field::FirstAfterMinutes
            | Field::LockoutMinutes
            | Field::CriticalIntervalMinutes
            | Field::OtherIntervalMinutes
            | Field::MriMinutes => write!(out, "{value} min"),
            Field::TrialDays => write!(out, "{value} days"),
            Field::CatheterMillimetres => scaled(out, value, 10, " cm"),
            Field::CatheterNanolitresPerCentimetre => scaled(out, value, MILLI, " mL/cm"),
            Field::StepVolumeFemtolitres => scaled(out, value, MILLI, " nL"),
            Field::CorrectionMilliseconds => scaled(out, value, 1_000, " s"),
            Field::MinuteOfDay => write!(out, "{:02}:{:02}", value / 60, value % 60),
            Field::ZoneMinutesFromLowest => zone(out, value),
            Field::WallMilliseconds => WallTime::from_millis(value).fmt(out),
            Field::UncertaintyMicroseconds => Duration::from_micros(value).fmt(out),
        }
    }
}

/// Writes nanograms as ng, mcg or mg ("µg" is never written: in a hand it reads as mg), with what stands behind the unit.
fn mass(out: &mut fmt::Formatter<'_>, nanograms: u64, after: &str) -> fmt::Result {
    if nanograms >= MILLI {
        scaled(out, nanograms, MILLI, " mg")?;
    } else if nanograms >= MICRO {
        scaled(out, nanograms, MICRO, " mcg")?;
    } else {
        write!(out, "{nanograms} ng")?;
    }
    out.write_str(after)
}

/// Writes `value / scale` in full, without trailing zeros: a leading zero stays, a trailing one never appears (0.5, never .5 or 5.0).
fn scaled(out: &mut fmt::Formatter<'_>, value: u64, scale: u64, unit: &str) -> fmt::Result {
    let whole = value.checked_div(scale).unwrap_or(0);
    let mut rest = value.checked_rem(scale).unwrap_or(0);
    write!(out, "{whole}")?;
    if rest != 0 {
        out.write_str(".")?;
    }
    let mut place = scale;
    while rest != 0 {
        place = place.checked_div(10).unwrap_or(0);
        write!(out, "{}", rest.checked_div(place).unwrap_or(0))?;
        rest = rest.checked_rem(place).unwrap_or(0);
    }
    out.write_str(unit)
}

/// Minutes from -720 as "UTC+02:00".
fn zone(out: &mut fmt::Formatter<'_>, value: u64) -> fmt::Result {
    const UTC: u64 = 720;
    let sign = if value < UTC { '-' } else { '+' };
    let offset = value.abs_diff(UTC);
    write!(out, "UTC{sign}{:02}:{:02}", offset / 60, offset % 60)
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::NotAllowed { because } => write!(out, "{because}"),
            Refused::NothingStaged => out.write_str("no program is staged: stage it first"),
            Refused::DigestMismatch => {
                out.write_str("the program confirmed is not the one staged in the pump: stage it and compare again")
            }
            Refused::StageExpired => {
                out.write_str("more than 120 s passed since the program was staged, so the pump has discarded it: stage it again")
            }
            Refused::NotDone => out.write_str("not done: the pump could not store the change; the program in force is unchanged"),
            Refused::Busy => out.write_str("not done: the pump is still busy with an earlier command; try again"),
            Refused::OutOfRange { field, value, lowest, highest } => write!(
                out,
                "{field} {} is outside of what this pump allows: {} to {}",
                field.quantity(*value),
                field.quantity(*lowest),
                field.quantity(*highest)
            ),
            Refused::BadMessage(reason) => write!(out, "the pump could not understand the message: {reason}"),
            Refused::NumberUsed { last } => {
                write!(out, "a command with this number was given before (the last was {last})")
            }
            Refused::OverLimit { limit_kind, drug, value, limit } => {
                limit_kind.exceeded(out, *drug, *value, *limit)?;
                out.write_str("; no reason opens this limit")
            }
            Refused::ReasonNeeded => out.write_str("a reason is needed: choose one and confirm again"),
            Refused::ShownDiffers { shown: phone, pump } => {
                out.write_str("the programmer showed ")?;
                shown(out, phone)?;
                out.write_str(" but the pump reckons ")?;
                shown(out, pump)?;
                out.write_str(": stage the program and compare again")
            }
            Refused::WrongOrder { expected } => out.write_str(match expected {
                RefillStep::Open => "no refill is open: open one first",
                RefillStep::Aspirated => "tell first how much was aspirated",
                RefillStep::Confirm => "commit the new fill first, or say that nothing was changed",
            }),
            Refused::KindForbids { kind } => write!(out, "this pump cannot do that: it is a {kind}"),
            Refused::TooSoon { left_s } => write!(out, "too soon: possible in {}", Left(*left_s)),
            Refused::NotNow { why } => write!(out, "not done: {why}"),
            Refused::NoPath => out.write_str("no catheter is entered: enter tubing and catheter first"),
            Refused::BridgeNeeded { lowest_ng_per_day, highest_ng_per_day } => {
                out.write_str("the catheter still holds the old drug: a bridge is needed, of ")?;
                mass(out, *lowest_ng_per_day, "/day")?;
                out.write_str(" to ")?;
                mass(out, *highest_ng_per_day, "/day of the old drug")
            }
            Refused::TooManyChanges => out.write_str(
                "the catheter holds as many different mixtures as the pump can follow: wait until one has left it",
            ),
            Refused::ScheduleInvalid { pattern, step, fault } => write!(
                out,
                "the schedule cannot be used: {fault} ({} {}, step {})",
                if matches!(fault, ScheduleFault::NoPattern) { "day" } else { "pattern" },
                u16::from(*pattern).saturating_add(1),
                u16::from(*step).saturating_add(1)
            ),
            Refused::LibraryInvalid { fault } => write!(out, "the drug library was not taken: {fault}"),
        }
    }
}

impl core::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::string::ToString;

    use super::*;
    use crate::samples::refusals;

    #[test]
    fn quantities_are_exact_and_bear_their_unit() {
        let cases = [
            (Field::FlowNanolitresPerDay, 48_000, "0.048 mL/day"),
            (Field::FlowNanolitresPerDay, 24_000_000, "24 mL/day"),
            (Field::FlowNanolitresPerDay, 1, "0.000001 mL/day"),
            (Field::FlowNanolitresPerDay, 1_000_001, "1.000001 mL/day"),
            (Field::FillNanolitres, 20_000_000, "20 mL"),
            (Field::FillNanolitres, 20_500_000, "20.5 mL"),
            (Field::FillNanolitres, 0, "0 mL"),
            (
                Field::ConcentrationNanogramsPerMillilitre,
                2_000_000,
                "2 mg/mL",
            ),
            (
                Field::ConcentrationNanogramsPerMillilitre,
                500_000,
                "500 mcg/mL",
            ),
            (
                Field::ConcentrationNanogramsPerMillilitre,
                999_999,
                "999.999 mcg/mL",
            ),
            (Field::ConcentrationNanogramsPerMillilitre, 999, "999 ng/mL"),
            (Field::DoseNanograms, 250_000, "250 mcg"),
            (Field::DoseNanograms, 1_250_000, "1.25 mg"),
            (Field::DoseNanograms, 0, "0 ng"),
            (Field::DoseNanograms, u64::MAX, "18446744073709.551615 mg"),
            (Field::StatusChangedMask, 65_535, "65535"),
            (
                Field::WallMilliseconds,
                1_767_607_200_000,
                "2026-01-05T10:00:00.000Z",
            ),
            (Field::UncertaintyMicroseconds, 2_000_000, "2 s"),
            (Field::BolusNanograms, 25_000, "25 mcg"),
            (Field::BolusSeconds, 90, "90 s"),
            (Field::LockoutMinutes, 480, "480 min"),
            (Field::MinuteOfDay, 1_439, "23:59"),
            (Field::MinuteOfDay, 61, "01:01"),
            (Field::ZoneMinutesFromLowest, 0, "UTC-12:00"),
            (Field::ZoneMinutesFromLowest, 719, "UTC-00:01"),
            (Field::ZoneMinutesFromLowest, 720, "UTC+00:00"),
            (Field::ZoneMinutesFromLowest, 1_560, "UTC+14:00"),
            (Field::CorrectionMilliseconds, 120_000, "120 s"),
            (Field::CatheterMillimetres, 810, "81 cm"),
            (Field::CatheterMillimetres, 815, "81.5 cm"),
            (
                Field::CatheterNanolitresPerCentimetre,
                2_200,
                "0.0022 mL/cm",
            ),
            (Field::StepVolumeFemtolitres, 2_500_000, "2.5 nL"),
            (Field::TrialDays, 7, "7 days"),
            (Field::JobNumber, 9, "9"),
        ];
        for (field, value, text) in cases {
            assert_eq!(field.quantity(value).to_string(), text);
        }
    }

    #[test]
    fn out_of_range_names_field_value_and_what_is_allowed() {
        let refused = Refused::OutOfRange {
            field: Field::FlowNanolitresPerDay,
            value: 30_000,
            lowest: 48_000,
            highest: 24_000_000,
        };
        assert_eq!(
            refused.to_string(),
            "flow 0.03 mL/day is outside of what this pump allows: 0.048 mL/day to 24 mL/day"
        );
    }

    #[test]
    fn every_refusal_has_a_text_of_its_own() {
        let all = refusals();
        let texts: BTreeSet<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), all.len());
        assert!(texts.iter().any(|text| text.contains("77")));
    }

    #[test]
    fn refusals_are_in_wire_order_and_all_there() {
        let mut buffer = [0; 64];
        for (number, refused) in refusals().iter().take(21).enumerate() {
            let wire = crate::codec::encode(refused, &mut buffer).unwrap();
            assert_eq!(usize::from(wire[0]), number);
        }
        assert!(crate::codec::decode::<Refused>(&[21]).is_err());
    }

    #[test]
    fn every_field_and_limit_has_a_number_a_name_and_a_quantity() {
        let mut buffer = [0; 4];
        for (number, field) in Field::ALL.into_iter().enumerate() {
            let wire = crate::codec::encode(&field, &mut buffer).unwrap();
            assert_eq!(usize::from(wire[0]), number);
            assert!(!field.quantity(u64::MAX).to_string().is_empty());
        }
        for (number, kind) in LimitKind::ALL.into_iter().enumerate() {
            let wire = crate::codec::encode(&kind, &mut buffer).unwrap();
            assert_eq!(usize::from(wire[0]), number);
        }
        let names: BTreeSet<_> = Field::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), Field::ALL.len());
        let number = |count: usize| [u8::try_from(count).unwrap()];
        assert!(crate::codec::decode::<Field>(&number(Field::ALL.len())).is_err());
        assert!(crate::codec::decode::<LimitKind>(&number(LimitKind::ALL.len())).is_err());
        assert!(crate::codec::decode::<NotNow>(&number(NotNow::ALL.len())).is_err());
        assert!(crate::codec::decode::<ScheduleFault>(&number(ScheduleFault::ALL.len())).is_err());
    }

    #[test]
    fn refusals_say_what_is_allowed() {
        let cases = [
            (
                Refused::OverLimit {
                    limit_kind: LimitKind::DayNanograms,
                    drug: Drug::Baclofen,
                    value: 2_000_001,
                    limit: 2_000_000,
                },
                "baclofen: dose in 24 h 2.000001 mg, at most 2 mg; no reason opens this limit",
            ),
            (
                Refused::OverLimit {
                    limit_kind: LimitKind::LockoutMinutes,
                    drug: Drug::Morphine,
                    value: 9,
                    limit: 10,
                },
                "morphine: lockout 9 min, at least 10 min; no reason opens this limit",
            ),
            (
                Refused::OverLimit {
                    limit_kind: LimitKind::IncreaseTenthsPercent,
                    drug: Drug::Morphine,
                    value: 505,
                    limit: 500,
                },
                "morphine: increase 50.5 %, at most 50 %; no reason opens this limit",
            ),
            (
                Refused::ShownDiffers {
                    shown: Shown {
                        old_day_total_ng: Some(540_000),
                        new_day_total_ng: 450_000,
                        change_tenths_percent: Some(-167),
                    },
                    pump: Shown {
                        old_day_total_ng: None,
                        new_day_total_ng: 450_000,
                        change_tenths_percent: None,
                    },
                },
                "the programmer showed 540 mcg to 450 mcg in 24 h, -16.7 % but the pump reckons nothing to 450 mcg in 24 h: \
                 stage the program and compare again",
            ),
            (
                Refused::BridgeNeeded {
                    lowest_ng_per_day: 480_000,
                    highest_ng_per_day: 240_000_000,
                },
                "the catheter still holds the old drug: a bridge is needed, of 480 mcg/day to 240 mg/day of the old drug",
            ),
            (
                Refused::ScheduleInvalid {
                    pattern: 0,
                    step: 4,
                    fault: ScheduleFault::NotADay,
                },
                "the schedule cannot be used: the steps of a pattern have to fill the day, 24 h, exactly (pattern 1, step 5)",
            ),
            (
                Refused::ScheduleInvalid {
                    pattern: 6,
                    step: 0,
                    fault: ScheduleFault::NoPattern,
                },
                "the schedule cannot be used: the day names a pattern that does not exist (day 7, step 1)",
            ),
            (
                Refused::KindForbids {
                    kind: PumpKind::ConstantRate,
                },
                "this pump cannot do that: it is a constant-rate implant",
            ),
            (
                Refused::TooSoon { left_s: 3_601 },
                "too soon: possible in 1 h 1 min",
            ),
        ];
        for (refused, text) in cases {
            assert_eq!(refused.to_string(), text);
        }
    }
}
