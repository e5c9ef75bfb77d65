//! The motor: orders in, status out, errors with names.
//!
//! An [`Order`] is made by the C driver without further help; what came of it is in the [`MotorStatus`]. At most two
//! orders are held, the running one and the next ([`MotorStatus::room`] says how many more may be handed over).

#[cfg(not(any(target_os = "none", target_family = "wasm")))]
mod emulated;
mod error;
mod status;

use units::PumpTime;

use crate::bindings;

#[cfg(not(any(target_os = "none", target_family = "wasm")))]
pub use emulated::{EmulatedMotor, MotorConfiguration, RotorParameters};
pub use error::{MotorError, motor_result};
pub use status::{EndedOrder, Faults, Interlock, MotorStatus, RunningOrder};

/// Most steps of one order: a hardware quadrature counter of 11 bits read once an order cannot saturate.
pub const MAXIMUM_STEPS: u32 = bindings::THECAL_MOTOR_MAXIMUM_STEPS;

/// Orders held at once: the running one and the next.
pub const ORDERS: u32 = bindings::THECAL_MOTOR_ORDERS;

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
}

impl Order {
    /// The structure that C reads.
    pub(crate) fn to_c(self) -> bindings::thecal_motor_order {
        bindings::thecal_motor_order {
            first_at_us: self.first_at.micros(),
            period_ns: self.period_ns,
            id: self.id,
            steps: self.steps,
        }
    }
}
