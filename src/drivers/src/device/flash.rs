//! The partitions of the journal, and the production line's page.

use super::{DriverError, driver_result};
use crate::bindings;

/// A partition, by the node label of the device tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// `journal`: events.
    Journal,
    /// `critical`: checkpoints.
    Critical,
    /// `state_a`: state, first copy.
    StateA,
    /// `state_b`: state, second copy.
    StateB,
    /// `pack`: one page with the identity that the production line gave the pump, until the pump has taken it.
    Pack,
}

impl Partition {
    const fn number(self) -> u32 {
        match self {
            Self::Journal => bindings::THECAL_FLASH_JOURNAL,
            Self::Critical => bindings::THECAL_FLASH_CRITICAL,
            Self::StateA => bindings::THECAL_FLASH_STATE_A,
            Self::StateB => bindings::THECAL_FLASH_STATE_B,
            Self::Pack => bindings::THECAL_FLASH_PACK,
        }
    }
}

/// Opens the partitions and checks their geometry (words of 4 bytes, pages of 4096). Journal thread only, as all below.
///
/// # Errors
///
/// The driver's.
pub fn start() -> Result<(), DriverError> {
    // SAFETY: takes nothing, gives a number; called by one thread.
    driver_result(unsafe { bindings::thecal_flash_start() })
}

/// Size of a partition in bytes.
#[must_use]
pub fn size(partition: Partition) -> u32 {
    // SAFETY: takes and gives plain numbers.
    let size = unsafe { bindings::thecal_flash_size(partition.number()) };
    // Never negative for a number that exists.
    u32::try_from(size).unwrap_or(0)
}

/// Fills `bytes` from `offset` on.
///
/// # Errors
///
/// -EINVAL outside the partition or before [`start`], or the driver's.
pub fn read(partition: Partition, offset: u32, bytes: &mut [u8]) -> Result<(), DriverError> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    // SAFETY: `length` bytes at `bytes` are writable and nobody else's for the time of the call.
    driver_result(unsafe {
        bindings::thecal_flash_read(partition.number(), offset, bytes.as_mut_ptr(), length)
    })
}

/// Writes whole words.
///
/// # Errors
///
/// As [`read`], also for what is not whole words; some of the words may have been written then.
pub fn write(partition: Partition, offset: u32, bytes: &[u8]) -> Result<(), DriverError> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    // SAFETY: `length` bytes at `bytes` are readable; C is done with them when it returns.
    driver_result(unsafe {
        bindings::thecal_flash_write(partition.number(), offset, bytes.as_ptr(), length)
    })
}

/// Erases whole pages.
///
/// # Errors
///
/// As [`read`], also for what is not whole pages; anything may be in them then.
pub fn erase(partition: Partition, offset: u32, length: u32) -> Result<(), DriverError> {
    // SAFETY: takes and gives plain numbers.
    driver_result(unsafe { bindings::thecal_flash_erase(partition.number(), offset, length) })
}
