//! Bytes that can be written once and that no erase reaches. Journal thread only.

use super::{DriverError, driver_result};
use crate::bindings;

/// How many there are.
pub const ONE_TIME_BYTES: usize = 128;
const _: () = assert!(
    bindings::THECAL_ONE_TIME_BYTES == 128,
    "one_time.h says otherwise"
);

/// What a byte reads as that was never written.
pub const ERASED: u8 = 0xFF;

/// Fills `bytes` from the first one on.
///
/// # Errors
///
/// -EINVAL for more than [`ONE_TIME_BYTES`], or the driver's.
pub fn read(bytes: &mut [u8]) -> Result<(), DriverError> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    // SAFETY: `length` bytes at `bytes` are writable and nobody else's for the time of the call.
    driver_result(unsafe { bindings::thecal_one_time_read(bytes.as_mut_ptr(), length) })
}

/// Writes whole words of 4 bytes from the first byte on, once and for good. A loss of power in the midst leaves a part of them, and what is
/// missing cannot be written any more: a check belongs into the bytes.
///
/// # Errors
///
/// -EALREADY when one of the bytes was written before, and nothing is changed (who has to know that reads first: the numbers differ between
/// machines); -EINVAL for too many bytes or a part of a word; -EIO when they do not read back; or the driver's.
pub fn write(bytes: &[u8]) -> Result<(), DriverError> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    // SAFETY: `length` bytes at `bytes` are readable; C is done with them when it returns.
    driver_result(unsafe { bindings::thecal_one_time_write(bytes.as_ptr(), length) })
}
