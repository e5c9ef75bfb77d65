//! The one chosen motor (device tree: `chosen { thecal,motor = ...; }`).

use crate::bindings;
use crate::motor::{MotorError, MotorStatus, Order, motor_result};

/// Hands over an order; the driver makes it without further help. Callable from any thread.
///
/// # Errors
///
/// [`MotorError`]; nothing has changed then.
pub fn submit(order: &Order) -> Result<(), MotorError> {
    let order = order.to_c();
    // SAFETY: a live structure of bindgen's layout, which C copies before it returns; C takes its own lock.
    motor_result(unsafe { bindings::thecal_motor_submit(&raw const order) })
}

/// Drops all orders and says how many steps of them were really made. A pulse that has begun is finished.
#[must_use]
pub fn cancel() -> u32 {
    // SAFETY: takes and gives plain numbers; C takes its own lock.
    unsafe { bindings::thecal_motor_cancel() }
}

/// Tells what was done since boot.
///
/// # Errors
///
/// [`MotorError::Absent`] if there is no motor or it did not start.
pub fn status() -> Result<MotorStatus, MotorError> {
    let mut status = bindings::thecal_motor_status::default();
    // SAFETY: a live structure of bindgen's layout, which C writes before it returns; C takes its own lock.
    motor_result(unsafe { bindings::thecal_motor_status(&raw mut status) })?;
    Ok(MotorStatus::from_c(&status))
}

/// Cuts the current at once and closes the interlock until the next boot. Callable from anywhere, more than once.
pub fn off() {
    // SAFETY: takes and gives nothing; C's contract allows any caller, also with interrupts locked.
    unsafe { bindings::thecal_motor_off() }
}
