//! The journal's flash port over the C driver.

use drivers::device::DriverError;
use drivers::device::flash as device;
use journal::{Flash, FlashError, PAGE, Partition, WORD};

/// The flash of this machine. There is one, and the journal thread has it.
pub struct DeviceFlash(());

impl DeviceFlash {
    /// Opens it.
    pub fn start() -> Result<Self, DriverError> {
        device::start().map(|()| Self(()))
    }
}

const fn partition_of(partition: Partition) -> device::Partition {
    match partition {
        Partition::Journal => device::Partition::Journal,
        Partition::Critical => device::Partition::Critical,
        Partition::StateA => device::Partition::StateA,
        Partition::StateB => device::Partition::StateB,
    }
}

/// The driver has tried again whatever trying again can mend.
fn failed(error: DriverError) -> FlashError {
    FlashError::Failed(error.number())
}

impl DeviceFlash {
    fn check(
        &self,
        partition: Partition,
        from: u32,
        length: u32,
        unit: u32,
    ) -> Result<(), FlashError> {
        let end = from.checked_add(length).ok_or(FlashError::OutOfRange)?;
        if end > self.size(partition) {
            return Err(FlashError::OutOfRange);
        }
        if from.checked_rem(unit) != Some(0) || length.checked_rem(unit) != Some(0) {
            return Err(FlashError::Misaligned);
        }
        Ok(())
    }
}

impl Flash for DeviceFlash {
    fn size(&self, partition: Partition) -> u32 {
        device::size(partition_of(partition))
    }

    fn read(
        &mut self,
        partition: Partition,
        offset: u32,
        bytes: &mut [u8],
    ) -> Result<(), FlashError> {
        let length = u32::try_from(bytes.len()).map_err(|_| FlashError::OutOfRange)?;
        self.check(partition, offset, length, 1)?;
        device::read(partition_of(partition), offset, bytes).map_err(failed)
    }

    fn write(&mut self, partition: Partition, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let length = u32::try_from(bytes.len()).map_err(|_| FlashError::OutOfRange)?;
        self.check(partition, offset, length, WORD)?;
        device::write(partition_of(partition), offset, bytes).map_err(failed)
    }

    fn erase(&mut self, partition: Partition, from: u32, to: u32) -> Result<(), FlashError> {
        let length = to.checked_sub(from).ok_or(FlashError::OutOfRange)?;
        self.check(partition, from, length, PAGE)?;
        device::erase(partition_of(partition), from, length).map_err(failed)
    }
}
