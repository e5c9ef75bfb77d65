//! One partition of the flash port as the library sees it.

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

use crate::flash::{Flash, FlashError, PAGE, Partition, WORD};

/// How often an operation is tried that the driver had no turn for.
const ATTEMPTS: u8 = 3;

/// Page size where a `usize` is wanted.
pub(crate) const PAGE_BYTES: usize = 4096;
/// Word size where a `usize` is wanted.
pub(crate) const WORD_BYTES: usize = 4;

/// How many bytes are compared at a time.
const CHUNK_BYTES: usize = 256;

/// Offset of a page's last word.
const LAST_WORD: u32 = PAGE.saturating_sub(WORD);

/// What erased flash reads as.
const ERASED: [u8; CHUNK_BYTES] = [u8::MAX; CHUNK_BYTES];

/// A partition with the checks that the library does not make. Its futures are always ready.
///
/// - A write is refused where a bit is needed that is no longer erased: it would damage what is there.
/// - A write or erase that does not read back is an error.
/// - No more pages are erased than the call allows, which bounds how long it can take.
/// - If it is told where a page's last record ends, nothing is written before that: the content of a record with a damaged header can
///   look like free space.
pub(crate) struct Region<'f, F> {
    flash: &'f mut F,
    partition: Partition,
    erases: &'f mut Erases,
    /// Where the free part of the page in use begins, if known.
    free: Option<u32>,
}

/// The page erases of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Erases {
    /// How many are left.
    left: u32,
    /// The page that would not erase, if there was one.
    failed: Option<u32>,
}

impl Erases {
    /// So many at most.
    pub(crate) const fn allow(left: u32) -> Self {
        Self { left, failed: None }
    }

    /// The page that would not erase.
    pub(crate) const fn failed_page(&self) -> Option<u32> {
        self.failed
    }
}

impl<'f, F: Flash> Region<'f, F> {
    /// `erases` says how many pages may still be erased, and counts down.
    pub(crate) fn new(flash: &'f mut F, partition: Partition, erases: &'f mut Erases) -> Self {
        Self {
            flash,
            partition,
            erases,
            free: None,
        }
    }

    /// The same, where the free part of the page in use is known to begin at an offset.
    pub(crate) fn with_free(mut self, free: Option<u32>) -> Self {
        self.free = free;
        self
    }

    /// Where the free part of the page in use begins, after what was written.
    pub(crate) const fn free(&self) -> Option<u32> {
        self.free
    }

    pub(crate) fn write_words(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let marker = matches!(offset % PAGE, 0 | LAST_WORD);
        if !marker
            && let Some(free) = self.free
            && offset < free
            && offset / PAGE == free.saturating_sub(1) / PAGE
        {
            return Err(FlashError::NotErased);
        }
        self.compare(offset, bytes, FlashError::NotErased, |there, new| {
            is_erased(there)
                || there
                    .iter()
                    .zip(new)
                    .all(|(there, new)| there & new == *new)
        })?;
        attempt(|| self.flash.write(self.partition, offset, bytes))?;
        self.compare(offset, bytes, FlashError::NotKept, |there, new| {
            there == new
        })?;
        if !marker {
            self.free = Some(advance(offset, bytes.len())?);
        }
        Ok(())
    }

    /// A page that does not read back as erased is erased a second time before it is given up.
    pub(crate) fn erase_page(&mut self, offset: u32) -> Result<(), FlashError> {
        self.erases.left = self
            .erases
            .left
            .checked_sub(1)
            .ok_or(FlashError::OverBudget)?;
        let result = self.try_erase(offset).or_else(|error| match error {
            FlashError::NotErased | FlashError::Failed(_) => self.try_erase(offset),
            error => Err(error),
        });
        if let Err(FlashError::NotErased | FlashError::Failed(_)) = result {
            self.erases.failed = Some(offset / PAGE);
        }
        result
    }

    fn try_erase(&mut self, offset: u32) -> Result<(), FlashError> {
        let end = offset.checked_add(PAGE).ok_or(FlashError::OutOfRange)?;
        attempt(|| self.flash.erase(self.partition, offset, end))?;
        if is_blank(self.flash, self.partition, offset, end)? {
            Ok(())
        } else {
            Err(FlashError::NotErased)
        }
    }

    /// Compares what is on the flash with `bytes`, a chunk at a time.
    fn compare(
        &mut self,
        offset: u32,
        bytes: &[u8],
        error: FlashError,
        fits: impl Fn(&[u8], &[u8]) -> bool,
    ) -> Result<(), FlashError> {
        let mut buffer = [0; CHUNK_BYTES];
        let mut position = offset;
        for chunk in bytes.chunks(CHUNK_BYTES) {
            let there = buffer
                .get_mut(..chunk.len())
                .ok_or(FlashError::OutOfRange)?;
            attempt(|| self.flash.read(self.partition, position, there))?;
            if !fits(there, chunk) {
                return Err(error);
            }
            position = advance(position, chunk.len())?;
        }
        Ok(())
    }
}

impl<F: Flash> ErrorType for Region<'_, F> {
    type Error = FlashError;
}

impl<F: Flash> ReadNorFlash for Region<'_, F> {
    const READ_SIZE: usize = WORD_BYTES;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        attempt(|| self.flash.read(self.partition, offset, bytes))
    }

    fn capacity(&self) -> usize {
        usize::try_from(self.flash.size(self.partition)).unwrap_or_default()
    }
}

impl<F: Flash> NorFlash for Region<'_, F> {
    const WRITE_SIZE: usize = WORD_BYTES;
    const ERASE_SIZE: usize = PAGE_BYTES;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let mut page = from;
        while page < to {
            self.erase_page(page)?;
            page = page.checked_add(PAGE).ok_or(FlashError::OutOfRange)?;
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.write_words(offset, bytes)
    }
}

/// Tries again while the driver has no turn.
pub(crate) fn attempt(
    mut operation: impl FnMut() -> Result<(), FlashError>,
) -> Result<(), FlashError> {
    for _ in 1..ATTEMPTS {
        match operation() {
            Err(FlashError::Busy) => {}
            result => return result,
        }
    }
    operation()
}

/// Offset plus a length in memory.
pub(crate) fn advance(offset: u32, length: usize) -> Result<u32, FlashError> {
    u32::try_from(length)
        .ok()
        .and_then(|length| offset.checked_add(length))
        .ok_or(FlashError::OutOfRange)
}

/// Whether every bit is erased. Asked of every free byte at every opening, so compared in bulk.
fn is_erased(bytes: &[u8]) -> bool {
    ERASED.get(..bytes.len()).map_or_else(
        || bytes.iter().all(|byte| *byte == u8::MAX),
        |erased| bytes == erased,
    )
}

/// Reads one word.
pub(crate) fn read_word<F: Flash>(
    flash: &mut F,
    partition: Partition,
    offset: u32,
) -> Result<u32, FlashError> {
    let mut word = [0; WORD_BYTES];
    attempt(|| flash.read(partition, offset, &mut word))?;
    Ok(u32::from_le_bytes(word))
}

/// The first word in `from..to`, both multiples of the word size, that is not erased.
pub(crate) fn first_written<F: Flash>(
    flash: &mut F,
    partition: Partition,
    from: u32,
    to: u32,
) -> Result<Option<u32>, FlashError> {
    let mut buffer = [0; CHUNK_BYTES];
    let mut offset = from;
    while offset < to {
        let left = usize::try_from(to.saturating_sub(offset)).unwrap_or(CHUNK_BYTES);
        let chunk = buffer
            .get_mut(..left.min(CHUNK_BYTES))
            .ok_or(FlashError::OutOfRange)?;
        attempt(|| flash.read(partition, offset, chunk))?;
        if !is_erased(chunk)
            && let Some(position) = chunk.iter().position(|byte| *byte != u8::MAX)
        {
            let found = advance(offset, position)?;
            return Ok(Some(found.saturating_sub(found % WORD)));
        }
        offset = advance(offset, chunk.len())?;
    }
    Ok(None)
}

/// Whether every bit of `from..to` is erased.
pub(crate) fn is_blank<F: Flash>(
    flash: &mut F,
    partition: Partition,
    from: u32,
    to: u32,
) -> Result<bool, FlashError> {
    Ok(first_written(flash, partition, from, to)?.is_none())
}
