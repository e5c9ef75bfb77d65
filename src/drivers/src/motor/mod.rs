//! The motor: orders in, status out, errors with names.
//!
//! An [`Order`] is made by the C driver without further help; what came of it is in the [`MotorStatus`]. At most two
//! orders are held, the running one and the next ([`MotorStatus::room`] says how many more may be handed over).

mod allowance;
#[cfg(not(any(target_os = "none", target_family = "wasm")))]
mod emulated;
mod error;
mod status;

use units::PumpTime;

use crate::bindings;

pub(crate) use allowance::whole_seconds;
pub use allowance::{Allowance, LONGEST_GRANT, REMEMBERED_OF_A_DAY, REMEMBERED_OF_AN_HOUR};
#[cfg(not(any(target_os = "none", target_family = "wasm")))]
pub use emulated::{EmulatedMotor, MotorConfiguration, RotorParameters};
pub use error::{MotorError, motor_result};
pub use status::{EndedOrder, Faults, Interlock, MotorStatus, RunningOrder};

/// Most steps of one order: a hardware quadrature counter of 11 bits read once an order cannot saturate.
pub const MAXIMUM_STEPS: u32 = bindings::THECAL_MOTOR_MAXIMUM_STEPS;

/// Orders held at once: the running one and the next.
pub const ORDERS: u32 = bindings::THECAL_MOTOR_ORDERS;

/// How hard the rotor is driven. A pulse on level n lasts (n + 1) / 2 of the motor's phase time.
///
/// A longer pulse is what a two-phase rotor without current control has to raise. A rotor that did not turn (a crystal, a
/// cold tube) is tried again on a higher level; each costs charge in proportion, so the nominal one is for all else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum DriveLevel {
    /// The phase time itself.
    #[default]
    Nominal = 1,
    /// One and a half of it.
    Raised = 2,
    /// Twice.
    Highest = 3,
}

impl DriveLevel {
    /// All, from the lowest.
    pub const ALL: [Self; 3] = [Self::Nominal, Self::Raised, Self::Highest];

    /// 1 to 3, as motor.h numbers them.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Nominal => 1,
            Self::Raised => 2,
            Self::Highest => 3,
        }
    }

    /// The level of that number; none for any but 1 to 3.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Nominal),
            2 => Some(Self::Raised),
            3 => Some(Self::Highest),
            0 | 4..=u8::MAX => None,
        }
    }
}

/// Steps to be made: step k, counted from 0, at `first_at` + k * `period_ns` / 1000, rounded down to the microsecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// When the first step is due; at most one second in the past.
    pub first_at: PumpTime,
    /// Time between two steps, nanoseconds. Not looked at when there is one step.
    pub period_ns: u64,
    /// Comes back in the status. Any number.
    pub id: u32,
    /// 1 to [`MAXIMUM_STEPS`]; the last at most 60 s from now.
    pub steps: u32,
    /// Above the nominal level the shortest step interval is longer, by what the pulse is.
    pub level: DriveLevel,
}

impl Order {
    /// The structure that C reads.
    pub(crate) fn to_c(self) -> bindings::thecal_motor_order {
        bindings::thecal_motor_order {
            first_at_us: self.first_at.micros(),
            period_ns: self.period_ns,
            id: self.id,
            steps: self.steps,
            level: self.level.number(),
            reserved: [0; 7],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_numbered_as_in_the_header() {
        for (level, number) in DriveLevel::ALL.into_iter().zip([
            bindings::THECAL_MOTOR_LEVEL_NOMINAL,
            bindings::THECAL_MOTOR_LEVEL_RAISED,
            bindings::THECAL_MOTOR_LEVEL_HIGHEST,
        ]) {
            assert_eq!(u32::from(level.number()), number);
            assert_eq!(DriveLevel::from_number(level.number()), Some(level));
        }
        for number in [0, 4, u8::MAX] {
            assert_eq!(DriveLevel::from_number(number), None);
        }
        assert_eq!(DriveLevel::default(), DriveLevel::Nominal);
        assert!(
            DriveLevel::Nominal < DriveLevel::Raised && DriveLevel::Raised < DriveLevel::Highest
        );
    }
}
