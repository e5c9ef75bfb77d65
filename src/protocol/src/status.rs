//! What the pump tells about itself, and the flags it latches.
use serde::{Deserialize, Serialize};
use units::Clock;

use crate::program::Program;

/// Everything an interrogation shows.
///
/// Steps are motor steps of [`Status::step_volume_fl`]; step totals are over the pump's whole life.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Status {
    /// How many times the pump has started, this time included; 1 or more.
    pub boot: u32,
    /// Time since this boot on the pump's therapy clock, in ms.
    pub pump_time_ms: u64,
    /// Wall time, and whether it can be believed; for display only.
    pub clock: Clock,
    /// Number of the program in force, 0 when there has never been one; goes up by one with every commit.
    pub program_number: u32,
    /// The program in force as it was committed, with its [`Program::fill`] and [`Program::bridge`]: leave these out of a program that is
    /// made from it. `None` when there has never been one.
    pub program: Option<Program>,
    /// What the pump is doing.
    pub delivery: DeliveryState,
    /// Flow now prescribed, in nL/day, rounded down (for display); 0 when stopped.
    pub flow_nl_per_day: u32,
    /// Steps seen by the encoder: the proof of delivery. Signed, because a rotor can be turned backwards.
    pub counted_steps: i64,
    /// Steps that may have been made at most (the larger of commanded and counted): what limits and the reservoir reckon with.
    pub at_most_steps: u64,
    /// Steps prescribed but not made because of a stall, reset or late start; never caught up.
    pub deficit_steps: u64,
    /// Calibrated volume of one step, in fL; 2,500,000 (2.5 nL) nominal.
    pub step_volume_fl: u32,
    /// Deliverable volume left above the residual, in fL; `None` when no fill was ever told or confirmed.
    pub reservoir_fl: Option<u64>,
    /// Deliverable volume right after the last fill, in fL; `None` like [`Status::reservoir_fl`].
    pub filled_fl: Option<u64>,
    /// Volume that may have been delivered at most since the last fill, in fL.
    pub delivered_since_fill_fl: u64,
    /// A program is staged and waits for its commit.
    pub staged: bool,
    /// A commit is being stored and its outcome not yet known: ask again (see [`crate::client::resolve_commit`]).
    pub committing: bool,
    /// Latched flags, see [`changed`].
    pub status_changed: u16,
    /// What this pump can be programmed to.
    pub limits: Limits,
    /// Present faults, see [`fault`].
    pub faults: u16,
    /// Time the pump has had power over its whole life, in s: what lockouts and the service life run on. Counts what is certain; after a loss
    /// of power up to 65 s less than there were.
    pub powered_s: u64,
    /// Records that found no room in the queue to the flash or could not be written, over the pump's whole life.
    pub records_lost: u32,
}

/// What this pump can be programmed to: the bounds a program is checked against first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Limits {
    /// Lowest therapeutic flow, in nL/day; 48,000 (0.048 mL/day) on implants.
    pub lowest_nl_per_day: u32,
    /// Highest flow, in nL/day; 24,000,000 (24 mL/day) on implants.
    pub highest_nl_per_day: u32,
    /// Deliverable volume of a full reservoir, in nL; 20,000,000 (20 mL) on implants.
    pub capacity_nl: u32,
    /// Calibrated volume of one step, in fL.
    pub step_volume_fl: u32,
}

/// What the pump is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum DeliveryState {
    /// There has never been a program.
    NotProgrammed,
    /// The program in force says: nothing.
    Stopped,
    /// Delivering as programmed.
    Running,
    /// A program is in force but a fault keeps the pump from following it; see [`Status::faults`].
    Faulted,
    /// At minimum rate, as programmed or because of a fault or an emergency ([`crate::TherapyStatus::response`] tells).
    MinimumRate,
    /// Leading the old mixture out of the path.
    Bridging,
    /// Filling tubing or catheter.
    Priming,
    /// At the mean basal rate of 24 h, because the schedule or the clock is lost.
    HoldLast,
}

impl DeliveryState {
    /// A word or two for a screen.
    pub const fn text(self) -> &'static str {
        match self {
            DeliveryState::NotProgrammed => "not programmed",
            DeliveryState::Stopped => "stopped",
            DeliveryState::Running => "running",
            DeliveryState::Faulted => "faulted",
            DeliveryState::MinimumRate => "minimum rate",
            DeliveryState::Bridging => "bridging",
            DeliveryState::Priming => "priming",
            DeliveryState::HoldLast => "holding the last rate",
        }
    }
}

impl core::fmt::Display for DeliveryState {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.pad(self.text())
    }
}

/// "Status changed" flags: latched, cleared only by [`crate::Command::ResetStatusChanged`], so that a phone that was away still learns.
///
/// The scheme, and bits 0 to 7, are those of the Bluetooth Insulin Delivery Service 1.0.2. The characteristic of the same
/// name holds the 16 bits as two bytes, little-endian.
pub mod changed {
    /// [`crate::Status::delivery`] has changed.
    pub const DELIVERY: u16 = 1 << 0;
    /// The pump has restarted, or its lifecycle has changed.
    pub const OPERATION: u16 = 1 << 1;
    /// The reservoir was filled, or its level has crossed a mark.
    pub const RESERVOIR: u16 = 1 << 2;
    /// An alarm or reminder has appeared or gone.
    pub const ANNUNCIATION: u16 = 1 << 3;
    /// The 24-hour total has changed.
    pub const DAY_TOTAL: u16 = 1 << 4;
    /// Another program has come into force.
    pub const PROGRAM: u16 = 1 << 5;
    /// A bolus has begun or ended.
    pub const BOLUS: u16 = 1 << 6;
    /// There is a new record in the history.
    pub const HISTORY: u16 = 1 << 7;
    /// [`crate::Status::faults`] has changed.
    pub const FAULTS: u16 = 1 << 8;
    /// The clock was set, or is no longer to be believed.
    pub const CLOCK: u16 = 1 << 9;

    /// Every flag with its text. Bits 10 to 15 are zero in this version.
    pub const ALL: [(u16, &str); 10] = [
        (DELIVERY, "delivery state changed"),
        (OPERATION, "pump restarted or its lifecycle changed"),
        (RESERVOIR, "reservoir level changed"),
        (ANNUNCIATION, "alarm or reminder changed"),
        (DAY_TOTAL, "24-hour total changed"),
        (PROGRAM, "new program in force"),
        (BOLUS, "bolus began or ended"),
        (HISTORY, "new history record"),
        (FAULTS, "faults changed"),
        (CLOCK, "clock changed"),
    ];

    /// The texts of the flags set in `flags`, lowest bit first.
    pub fn texts(flags: u16) -> impl Iterator<Item = &'static str> {
        super::texts(&ALL, flags)
    }
}

/// Fault flags: set while the fault is present; the rows of the therapy's fault table that a pump can be in.
pub mod fault {
    /// The motor was commanded but the encoder did not move.
    pub const STALL: u16 = 1 << 0;
    /// More was counted than commanded.
    pub const OVER_DELIVERY: u16 = 1 << 1;
    /// Less was counted than prescribed.
    pub const UNDER_DELIVERY: u16 = 1 << 2;
    /// The rotor turned backwards.
    pub const REVERSE: u16 = 1 << 3;
    /// The interlock has closed.
    pub const INTERLOCK: u16 = 1 << 4;
    /// The reservoir is computed empty.
    pub const EMPTY: u16 = 1 << 5;
    /// Both copies of the program are lost.
    pub const PROGRAM_LOST: u16 = 1 << 6;
    /// The commissioning record is absent or contradictory.
    pub const COMMISSIONING: u16 = 1 << 7;
    /// The clock is lost.
    pub const CLOCK: u16 = 1 << 8;
    /// Flash does not store: commits are refused, delivery continues.
    pub const STORAGE: u16 = 1 << 9;
    /// The motor driver refused an order or does not answer.
    pub const MOTOR: u16 = 1 << 10;
    /// The pump's service life is over.
    pub const END_OF_SERVICE: u16 = 1 << 11;
    /// The last restart was caused by a fault in the firmware or by the supply.
    pub const RESTARTED_BY_FAULT: u16 = 1 << 12;

    /// Every flag with its text. Bits 13 to 15 are zero in this version.
    pub const ALL: [(u16, &str); 13] = [
        (STALL, "motor stalled"),
        (OVER_DELIVERY, "over-delivery"),
        (UNDER_DELIVERY, "under-delivery"),
        (REVERSE, "rotor turned backwards"),
        (INTERLOCK, "motor interlock closed"),
        (EMPTY, "reservoir empty"),
        (PROGRAM_LOST, "stored program lost"),
        (
            COMMISSIONING,
            "commissioning record absent or contradictory",
        ),
        (CLOCK, "clock lost"),
        (STORAGE, "storage failing"),
        (MOTOR, "motor driver failing"),
        (END_OF_SERVICE, "end of service life"),
        (RESTARTED_BY_FAULT, "restarted by a fault"),
    ];

    /// The texts of the flags set in `flags`, lowest bit first.
    pub fn texts(flags: u16) -> impl Iterator<Item = &'static str> {
        super::texts(&ALL, flags)
    }
}

fn texts(all: &'static [(u16, &'static str)], flags: u16) -> impl Iterator<Item = &'static str> {
    all.iter()
        .filter(move |(flag, _)| flags & flag != 0)
        .map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::{changed, fault};

    #[test]
    fn flags_are_single_bits_in_order_without_gaps() {
        for all in [&changed::ALL[..], &fault::ALL[..]] {
            for (position, (flag, text)) in all.iter().enumerate() {
                assert_eq!(*flag, 1 << position, "{text}");
            }
        }
    }

    #[test]
    fn texts_are_those_of_the_flags_set() {
        let texts: Vec<_> = fault::texts(fault::STALL | fault::CLOCK).collect();
        assert_eq!(texts, ["motor stalled", "clock lost"]);
        assert_eq!(changed::texts(0).count(), 0);
        assert_eq!(changed::texts(u16::MAX).count(), changed::ALL.len());
    }
}
