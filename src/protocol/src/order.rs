//! What the commands of therapy bear: everything a clinician, a patient or the technical service orders beside a program.
use serde::{Deserialize, Serialize};
use units::{Duration, OverrideReason, PrimeKind, PumpKind, WallTime};

use crate::list::Bytes;
use crate::program::Digest;

/// Most bytes of a hospital library in one [`HospitalLibrary`].
pub const LIBRARY_PART_BYTES: usize = 160;

/// Puts the staged program into force.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Commit {
    /// Digest of exactly the staged program, from the [`crate::Staged`] that the user confirmed.
    pub digest: Digest,
    /// What the user saw when confirming.
    pub shown: Shown,
    /// Why soft limits are gone over; may be left out unless [`crate::Staged::needs_reason`].
    pub reason: Option<OverrideReason>,
}

/// The numbers a programmer showed. The pump takes a commit only when they are its own: a programmer that reckons otherwise
/// shows a patient's dose that is not the one delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Shown {
    /// Largest mass in any 24 h before, in ng of the old primary drug, rounded down; `None` when nothing was ever programmed.
    pub old_day_total_ng: Option<u64>,
    /// Largest mass in any 24 h after, in ng of the new primary drug, rounded down.
    pub new_day_total_ng: u64,
    /// The change between the two in tenths of a percent, rounded to the nearest, halves away from zero (450 to 540 mcg is 200, 540 to 450
    /// is -167); `None` when there was nothing, or another drug.
    pub change_tenths_percent: Option<i32>,
}

/// Sets the time of day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct SetClock {
    /// The time of day now, UTC.
    pub wall: WallTime,
    /// How far off that may be, either way.
    pub uncertainty: Duration,
    /// Needed for a correction of more than two minutes.
    pub reason: Option<OverrideReason>,
}

/// Sets the difference of local time from UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct SetZone {
    /// Local time minus UTC, in min, -720 to 840 in steps of 15.
    pub offset_min: i16,
    /// A clinician's; without one the offset moves by one hour exactly, for summer time, and no further than one hour from the last that a
    /// clinician has set with a reason.
    pub reason: Option<OverrideReason>,
}

/// A bolus by a clinician.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct ClinicianBolus {
    /// One more than [`crate::TherapyStatus::last_number`], so that a repetition gives nothing again.
    pub number: u32,
    /// Its dose, in ng of the primary drug.
    pub dose_ng: u64,
    /// The time over which it is given, in s.
    pub duration_s: u32,
    /// Why soft limits are gone over.
    pub reason: Option<OverrideReason>,
}

/// Fills tubing or catheter, or both.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Prime {
    /// One more than [`crate::TherapyStatus::last_number`], so that a repetition gives nothing again.
    pub number: u32,
    /// What is to be filled.
    pub kind: PrimeKind,
    /// The catheter was aspirated before: what is in it is liquor and no drug.
    pub catheter_aspirated: bool,
    /// The patient is disconnected (external pumps).
    pub disconnected: bool,
    /// Needed for a second one in 24 h.
    pub reason: Option<OverrideReason>,
}

/// The path from the pump to the tip.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Catheter {
    /// The model, as a number of the manufacturer's list; 0: another one.
    pub model: u16,
    /// Volume of the pump's internal tubing, in nL.
    pub tubing_nl: u32,
    /// Implanted length, in mm.
    pub length_mm: u16,
    /// Volume of the catheter per length, in nL/cm.
    pub nl_per_cm: u16,
    /// Volume of a subcutaneous port, in nL; 0 without.
    pub port_nl: u32,
}

/// How often an alarm repeats.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct AlarmIntervals {
    /// Of critical alarms, in min.
    pub critical_min: u16,
    /// Of all others, in min.
    pub other_min: u16,
}

/// What a pump is: the record it is made a pump of a kind by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Commissioning {
    /// The kind.
    pub kind: PumpKind,
    /// Calibrated volume of one step, in fL; 2,500,000 (2.5 nL) nominal.
    pub step_volume_fl: u32,
    /// Deliverable volume of a full reservoir, in nL.
    pub capacity_nl: u32,
    /// The one rate of a constant-rate pump, in nL/day; `None` for the others.
    pub fixed_rate_nl_per_day: Option<u32>,
    /// Length of a trial, in days; `None` for pumps that are not for one.
    pub trial_days: Option<u8>,
}

/// A part of a hospital's drug library (docs/protocol.md has its content). Parts come in order, the first at offset 0; the library is in
/// force once the last was taken.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct HospitalLibrary {
    /// The library's own version, higher than that in force.
    pub version: u32,
    /// Where this part begins, in bytes.
    pub offset: u16,
    /// Length of the whole, in bytes.
    pub total: u16,
    /// CRC-32 (ISO HDLC) of the whole.
    pub checksum: u32,
    /// The part.
    pub part: Bytes<LIBRARY_PART_BYTES>,
}

/// One entry of the trial's diary.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct DiaryEntry {
    /// From before the trial.
    pub baseline: bool,
    /// Pain or spasticity, 0 (none) to 10.
    pub score: u8,
}
