//! The flash port: four partitions of words and pages.

use core::fmt;

use embedded_storage_async::nor_flash::{NorFlashError, NorFlashErrorKind};

/// Smallest unit of a write, bytes. The word of the nRF52's flash, and native_sim's `write-block-size`.
pub const WORD: u32 = 4;

/// Smallest unit of an erase, bytes. The page of the nRF52's flash.
pub const PAGE: u32 = 4096;

/// The partitions the journal owns. Offsets in a partition start at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Partition {
    /// The ring of events; 384 KiB on the nRF52840.
    Journal,
    /// The ring of checkpoints; 32 KiB on the nRF52840.
    Critical,
    /// The bank of state that is written first; 8 KiB.
    StateA,
    /// The bank of state that is written second; 8 KiB.
    StateB,
}

impl Partition {
    /// Every partition in the order of the flash layout.
    pub const ALL: [Self; 4] = [Self::Journal, Self::Critical, Self::StateA, Self::StateB];

    /// The partition's label in the device tree.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Critical => "critical",
            Self::StateA => "state_a",
            Self::StateB => "state_b",
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A NOR flash with four partitions.
///
/// Calls block until the flash has done the work. An erased bit reads 1; a write turns bits to 0; only an erase turns them back.
/// The journal writes a word once between erases; a second time only where a power cut tore the first write, and then only
/// with bits that the first one left. That keeps within the two writes a word that the nRF52 allows.
pub trait Flash {
    /// Size of the partition in bytes: a multiple of [`PAGE`], at least two pages; never changes.
    fn size(&self, partition: Partition) -> u32;

    /// Fills `bytes` from `offset` on. Any offset and length within the partition.
    ///
    /// # Errors
    /// [`FlashError::OutOfRange`] or what the hardware says; the content of `bytes` is then unspecified.
    fn read(
        &mut self,
        partition: Partition,
        offset: u32,
        bytes: &mut [u8],
    ) -> Result<(), FlashError>;

    /// Writes whole words, in ascending order, each wholly or, in a power cut, in part.
    ///
    /// # Errors
    /// [`FlashError::OutOfRange`], [`FlashError::Misaligned`], [`FlashError::Busy`] (nothing was written) or what the hardware
    /// says (some of the words may have been written).
    fn write(&mut self, partition: Partition, offset: u32, bytes: &[u8]) -> Result<(), FlashError>;

    /// Erases whole pages `from..to` to all ones. The journal never asks for more than one page at a time.
    ///
    /// # Errors
    /// As for [`Flash::write`]; an erase that fails may leave anything in the page.
    fn erase(&mut self, partition: Partition, from: u32, to: u32) -> Result<(), FlashError>;
}

impl<F: Flash> Flash for &mut F {
    fn size(&self, partition: Partition) -> u32 {
        (**self).size(partition)
    }

    fn read(
        &mut self,
        partition: Partition,
        offset: u32,
        bytes: &mut [u8],
    ) -> Result<(), FlashError> {
        (**self).read(partition, offset, bytes)
    }

    fn write(&mut self, partition: Partition, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        (**self).write(partition, offset, bytes)
    }

    fn erase(&mut self, partition: Partition, from: u32, to: u32) -> Result<(), FlashError> {
        (**self).erase(partition, from, to)
    }
}

/// Why the flash did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashError {
    /// The range does not lie in the partition.
    OutOfRange,
    /// A write that is not whole words or an erase that is not whole pages.
    Misaligned,
    /// The write would need bits that are no longer erased, or the page is not blank after its erase.
    NotErased,
    /// What was written does not read back: a worn or failing cell.
    NotKept,
    /// The driver had no turn beside the radio in time and has done nothing; try again.
    Busy,
    /// The call has used up its page erases; call again. Bounds the work of one call.
    OverBudget,
    /// The virtual flash has no power. Real flash does not answer this.
    NoPower,
    /// What the driver says, for example a negative errno.
    Failed(i32),
}

impl fmt::Display for FlashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange => f.write_str("outside the partition"),
            Self::Misaligned => f.write_str("not a whole word or page"),
            Self::NotErased => f.write_str("not erased"),
            Self::NotKept => f.write_str("written, but reads back differently"),
            Self::Busy => f.write_str("flash busy, nothing done"),
            Self::OverBudget => f.write_str("no page erase left in this call"),
            Self::NoPower => f.write_str("no power"),
            Self::Failed(code) => write!(f, "flash driver error {code}"),
        }
    }
}

impl core::error::Error for FlashError {}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::OutOfRange => NorFlashErrorKind::OutOfBounds,
            Self::Misaligned => NorFlashErrorKind::NotAligned,
            Self::NotErased
            | Self::NotKept
            | Self::Busy
            | Self::OverBudget
            | Self::NoPower
            | Self::Failed(_) => NorFlashErrorKind::Other,
        }
    }
}
