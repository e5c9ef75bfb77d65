//! The one chosen motor (device tree: `chosen { thecal,motor = ...; }`).

use units::Duration;

use crate::bindings;
use crate::motor::{Allowance, MotorError, MotorStatus, Order, motor_result, whole_seconds};

/// Hands over an order; the driver makes it without further help. Delivery thread only, as all that changes what is kept
/// over a reset.
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

/// What came through the reset of the interlock's own account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// It goes on with the steps, allowances and grants from before the reset.
    Armed,
    /// It knows of no steps, and waits for [`arm`]: power was lost, or nothing whole was kept.
    Empty,
}

/// At boot, before [`arm`] and the first order: lets the interlock go on with its account, if power was there all the time
/// (`warm`); forgets it for good if not, because RAM may be whole after a short loss of power.
///
/// # Errors
///
/// [`MotorError`] if the interlock is not open, or armed already.
pub fn resume(warm: bool) -> Result<Resumed, MotorError> {
    // SAFETY: takes and gives plain numbers; C takes its own lock. Called by one thread.
    match motor_result(unsafe { bindings::thecal_motor_resume(u32::from(warm)) }) {
        Ok(()) => Ok(Resumed::Armed),
        Err(MotorError::NotArmed) => Ok(Resumed::Empty),
        Err(error) => Err(error),
    }
}

/// Arms the interlock with what the prescription in force needs: at every boot, and with every new one.
///
/// # Errors
///
/// [`MotorError::Invalid`] if the day's allowance is less than the hour's, [`MotorError::Closed`] if the interlock is.
pub fn arm(allowance: Allowance) -> Result<(), MotorError> {
    // SAFETY: takes and gives plain numbers; C takes its own lock. Called by one thread.
    motor_result(unsafe { bindings::thecal_motor_arm(allowance.hour_steps, allowance.day_steps) })
}

/// Allows the steps of one authorised bolus or prime beside the allowance, until those made `within` the time given have
/// left the windows.
///
/// # Errors
///
/// [`MotorError::Busy`] if too many are in force, [`MotorError::Invalid`] for no steps or more than
/// [`LONGEST_GRANT`](crate::motor::LONGEST_GRANT), [`MotorError::NotArmed`], [`MotorError::Closed`].
pub fn grant(steps: u32, within: Duration) -> Result<(), MotorError> {
    // SAFETY: takes and gives plain numbers; C takes its own lock. Called by one thread.
    motor_result(unsafe { bindings::thecal_motor_grant(steps, whole_seconds(within)) })
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
