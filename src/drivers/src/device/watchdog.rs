//! The hardware watchdog. Delivery thread only.

use super::{DriverError, driver_result};
use crate::bindings;

/// Whether there is a watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watchdog {
    /// It runs and cannot be stopped again.
    Runs,
    /// There is no hardware for it (native_sim).
    Absent,
}

/// Starts it.
///
/// # Errors
///
/// The driver's.
pub fn start() -> Result<Watchdog, DriverError> {
    // SAFETY: takes nothing, gives a number; called by one thread.
    let answer = unsafe { bindings::thecal_watchdog_start() };
    if u32::try_from(answer) == Ok(bindings::THECAL_WATCHDOG_ABSENT) {
        return Ok(Watchdog::Absent);
    }
    driver_result(answer).map(|()| Watchdog::Runs)
}

/// Feeds it; nothing where there is none.
pub fn feed() {
    // SAFETY: takes and gives nothing; called by one thread.
    unsafe { bindings::thecal_watchdog_feed() }
}
