//! The drivers of the machine this runs on. The C side is Zephyr's: these functions exist on the device alone.

pub mod fault;
pub mod flash;
pub mod link;
pub mod motor;
pub mod one_time;
pub mod queue;
pub mod retained;
pub mod system;
pub mod watchdog;

use core::fmt;

/// What a driver answered instead of 0: a negative errno of the C library this image is built with. For the log; the numbers differ
/// between machines, so nothing is decided by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriverError(i32);

impl DriverError {
    /// The number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for DriverError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "driver error {}", self.0)
    }
}

impl core::error::Error for DriverError {}

const fn driver_result(answer: i32) -> Result<(), DriverError> {
    match answer {
        0 => Ok(()),
        number => Err(DriverError(number)),
    }
}
