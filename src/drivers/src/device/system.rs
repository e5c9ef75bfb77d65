//! The kernel: time, waiting, log lines, randomness, resets.

use units::PumpTime;

use super::{DriverError, driver_result};
use crate::bindings;

/// Makes the three threads run. Once, from `rust_main`.
pub fn start_threads() {
    // SAFETY: takes and gives nothing; starts threads that the kernel made at boot, whose entry functions never return.
    unsafe { bindings::thecal_threads_start() }
}

/// Time since boot.
#[must_use]
pub fn uptime() -> PumpTime {
    // SAFETY: gives a plain number, from any context.
    PumpTime::from_micros(unsafe { bindings::thecal_system_uptime_us() })
}

/// Delivery thread only: waits until `time`, a wake-up, or the time to feed the watchdog, and never not at all.
pub fn wait_until(time: PumpTime) {
    // SAFETY: takes a plain number; the kernel puts this thread to sleep.
    unsafe { bindings::thecal_system_wait_until(time.micros()) }
}

/// Waits until delivery has begun, at most so long; says whether it has.
#[must_use]
pub fn wait_for_delivery(milliseconds: u32) -> bool {
    // SAFETY: takes and gives plain numbers; the kernel puts this thread to sleep.
    unsafe { bindings::thecal_system_wait_for_delivery(milliseconds) == 0 }
}

/// Delivery thread only: lets every [`wait_for_delivery`] return.
pub fn delivery_has_begun() {
    // SAFETY: takes and gives nothing.
    unsafe { bindings::thecal_system_delivery_has_begun() }
}

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something is odd.
    Warning,
    /// Something happened.
    Info,
    /// For whoever looks for a mistake.
    Debug,
}

/// Longest line of the log in bytes; what is longer is cut.
pub const LOG_BYTES: usize = 160;
const _: () = assert!(bindings::THECAL_LOG_BYTES == 160, "system.h says otherwise");

/// Puts one line into Zephyr's log.
pub fn log(level: LogLevel, line: &str) {
    let level = match level {
        LogLevel::Error => bindings::THECAL_LOG_ERROR,
        LogLevel::Warning => bindings::THECAL_LOG_WARNING,
        LogLevel::Info => bindings::THECAL_LOG_INFO,
        LogLevel::Debug => bindings::THECAL_LOG_DEBUG,
    };
    let length = u32::try_from(line.len()).unwrap_or(u32::MAX);
    // SAFETY: `length` bytes at `line` are readable; C copies what it keeps before it returns.
    unsafe { bindings::thecal_system_log(level, line.as_ptr(), length) }
}

/// Fills `bytes` with numbers nobody can foresee.
///
/// # Errors
///
/// The entropy driver's.
pub fn random(bytes: &mut [u8]) -> Result<(), DriverError> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    // SAFETY: `length` bytes at `bytes` are writable and nobody else's for the time of the call.
    driver_result(unsafe { bindings::thecal_system_random(bytes.as_mut_ptr(), length) })
}

/// Why the processor started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetCause {
    /// Power came back, or nothing is known.
    PowerOn,
    /// The reset pin or a debugger.
    External,
    /// The firmware, after a fatal error.
    Fatal {
        /// Zephyr's `k_fatal_error_reason`.
        reason: u32,
        /// Where, its low 32 bits; 0 when unknown.
        program_counter: u32,
    },
    /// The watchdog was not fed.
    Watchdog,
    /// The supply was too low.
    BrownOut,
    /// The firmware asked for it.
    Software,
}

/// Why this boot happened.
#[must_use]
pub fn reset_cause() -> ResetCause {
    let mut reset = bindings::thecal_reset::default();
    // SAFETY: a live structure of bindgen's layout, which C writes before it returns.
    unsafe { bindings::thecal_system_reset_cause(&raw mut reset) }
    match reset.cause {
        bindings::THECAL_RESET_EXTERNAL => ResetCause::External,
        bindings::THECAL_RESET_FATAL => ResetCause::Fatal {
            reason: reset.reason,
            program_counter: reset.program_counter,
        },
        bindings::THECAL_RESET_WATCHDOG => ResetCause::Watchdog,
        bindings::THECAL_RESET_BROWN_OUT => ResetCause::BrownOut,
        bindings::THECAL_RESET_SOFTWARE => ResetCause::Software,
        // Also whatever C is not known to say: nothing is known.
        _ => ResetCause::PowerOn,
    }
}
