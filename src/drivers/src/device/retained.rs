//! Bytes that survive a reset of the processor but not a loss of power. Delivery thread only.

use super::{DriverError, driver_result};
use crate::bindings;

/// Most bytes that can be kept.
pub const RETAINED_BYTES: usize = 96;
const _: () = assert!(
    bindings::THECAL_RETAINED_BYTES == 96,
    "retained.h says otherwise"
);

/// Keeps `bytes` in place of what was kept before; a reset in the midst of it leaves the old ones whole. Cheap: for every tick.
///
/// # Errors
///
/// -EINVAL for more than [`RETAINED_BYTES`], -ENODEV where there is no such memory.
pub fn write(bytes: &[u8]) -> Result<(), DriverError> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    // SAFETY: `length` bytes at `bytes` are readable; C copies them before it returns. Called by one thread.
    driver_result(unsafe { bindings::thecal_retained_write(bytes.as_ptr(), length) })
}

/// The newest bytes that were kept whole; `None` when there are none, because power was lost or nothing was ever kept.
pub fn read(buffer: &mut [u8; RETAINED_BYTES]) -> Option<&[u8]> {
    let capacity = bindings::THECAL_RETAINED_BYTES;
    // SAFETY: `capacity` bytes at `buffer` are writable and nobody else's for the time of the call. Called by one thread.
    let length = unsafe { bindings::thecal_retained_read(buffer.as_mut_ptr(), capacity) };
    buffer.get(..usize::try_from(length).ok()?)
}
