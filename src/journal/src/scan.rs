//! Reading the records of one page, in whatever state the page is.
//!
//! The library reads a partition as a whole and repairs on the way, which can erase a page. Here every page is shown to it alone and
//! read-only, as a queue of one page that is still being filled: its reading of items and their checks are used, its page states and
//! repairs are not. Damage in the page costs the damaged records, not those behind them.
//!
//! Of the library's format this relies on its documented page states (first and last word) and on queue and map
//! storing the same items; the format only changes with its major version, and `tests::library_format` notices.

use core::cell::Cell;
use core::ops::ControlFlow;

use embassy_futures::block_on;
use embedded_storage_async::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use sequential_storage::Error;
use sequential_storage::cache::Cache;
use sequential_storage::queue::{QueueConfig, QueueStorage};

use crate::flash::{Flash, FlashError, PAGE, Partition, WORD};
use crate::frame::ITEM_BYTES;
use crate::port::{PAGE_BYTES, WORD_BYTES, advance, attempt, first_written, read_word};

/// Length of the header before every item, bytes.
const HEADER_BYTES: u32 = 8;

/// Where a page's last word begins.
pub(crate) const END_MARK: u32 = PAGE.saturating_sub(WORD);

/// Up to where the first item of a page can reach: the marker, the item's header, the longest item.
pub(crate) const FIRST_ITEM_END: u32 = 4 + 8 + 944;
const _: () = assert!(ITEM_BYTES <= 944, "FIRST_ITEM_END covers the longest item");

/// The state of a page by its first and last word, as the library sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marks {
    /// Neither word is written: erased, or meant to be.
    Open,
    /// The first word is written: in use, not full.
    Partial,
    /// Both are written: full.
    Closed,
    /// Only the last word is written: an erase that was cut.
    Broken,
}

/// A marker counts as written from four cleared bits on, so that neither a torn write nor a flipped bit decides; the library's rule.
fn is_written(word: u32) -> bool {
    word.count_zeros() >= 4
}

/// Where a page begins in its partition.
pub(crate) fn page_offset(page: u32) -> Result<u32, FlashError> {
    page.checked_mul(PAGE).ok_or(FlashError::OutOfRange)
}

/// The state of a page.
pub(crate) fn marks<F: Flash>(
    flash: &mut F,
    partition: Partition,
    page: u32,
) -> Result<Marks, FlashError> {
    let start = page_offset(page)?;
    let end = start.checked_add(END_MARK).ok_or(FlashError::OutOfRange)?;
    let first = is_written(read_word(flash, partition, start)?);
    let last = is_written(read_word(flash, partition, end)?);
    Ok(match (first, last) {
        (false, false) => Marks::Open,
        (true, false) => Marks::Partial,
        (true, true) => Marks::Closed,
        (false, true) => Marks::Broken,
    })
}

/// Whether everything between the two markers is erased.
pub(crate) fn interior_is_blank<F: Flash>(
    flash: &mut F,
    partition: Partition,
    page: u32,
) -> Result<bool, FlashError> {
    let start = page_offset(page)?;
    let from = start.checked_add(WORD).ok_or(FlashError::OutOfRange)?;
    let to = start.checked_add(END_MARK).ok_or(FlashError::OutOfRange)?;
    crate::port::is_blank(flash, partition, from, to)
}

/// What reading a page came across beside its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Whether everything behind the last item is erased, so that the library can go on writing there.
    pub(crate) blank: bool,
    /// Whether something between the items or behind them is none: a write that was cut, or damage.
    pub(crate) spoiled: bool,
    /// Where in the page that is, if `blank`.
    pub(crate) free: u32,
}

/// What an item takes up on the flash, with its header and padding, bytes.
pub(crate) fn item_bytes(item: &[u8]) -> usize {
    item.len().saturating_add(8).next_multiple_of(WORD_BYTES)
}

/// Calls `each` with every whole item of a page, in the order they were written, until it breaks.
///
/// `buffer` must hold [`crate::frame::ITEM_BYTES`]. The tail is only known if `each` never breaks.
pub(crate) fn scan_page<F: Flash>(
    flash: &mut F,
    partition: Partition,
    page: u32,
    buffer: &mut [u8],
    mut each: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<Tail, FlashError> {
    let page_start = page_offset(page)?;
    let mut tail = Tail {
        blank: true,
        spoiled: false,
        free: WORD,
    };
    // What the whole items take up, with their headers and padding.
    let mut items = 0_u32;
    let mut count = |item: &[u8]| {
        items = items.saturating_add(u32::try_from(item_bytes(item)).unwrap_or(PAGE));
        each(item)
    };
    let mut from = WORD;
    // Each turn begins at least one word behind the one before, so that there are at most as many as a page has words.
    while from < END_MARK {
        let last_read = Cell::new(LastRead::default());
        let lens = Lens {
            flash: &mut *flash,
            partition,
            page_start,
            from,
            last_read: &last_read,
        };
        let outcome = block_on(scan_lens(lens, buffer, &mut count))?;
        let last = last_read.get();
        from = match outcome {
            Outcome::Broken => return Ok(tail),
            Outcome::Oversized { length } => {
                tail.spoiled = true;
                // The last thing read was the header of that item.
                let behind = last.offset.checked_add(HEADER_BYTES);
                advance(behind.ok_or(FlashError::OutOfRange)?, length)?
            }
            // Nothing follows, the library says. If something does, an item's header is damaged and what looked like free space
            // was its content: go on behind that, and do not let the library write there.
            Outcome::Finished => {
                let free = if last.blank { last.offset } else { END_MARK };
                tail.free = free;
                let from_here = page_start.checked_add(free).ok_or(FlashError::OutOfRange)?;
                let to = page_start
                    .checked_add(END_MARK)
                    .ok_or(FlashError::OutOfRange)?;
                match first_written(flash, partition, from_here, to)? {
                    None => {
                        let between = free.saturating_sub(WORD).saturating_sub(items);
                        // At the end of a page there can be a word left, too small for a header.
                        let least = if last.blank { WORD } else { HEADER_BYTES };
                        tail.spoiled |= between >= least;
                        return Ok(tail);
                    }
                    Some(offset) => {
                        tail.blank = false;
                        tail.spoiled = true;
                        offset.saturating_sub(page_start)
                    }
                }
            }
        };
    }
    Ok(tail)
}

/// How the reading of a lens ended.
enum Outcome {
    /// The caller has enough.
    Broken,
    /// No further item.
    Finished,
    /// An item longer than the buffer, in whole words.
    Oversized { length: usize },
}

async fn scan_lens<F: Flash>(
    lens: Lens<'_, F>,
    buffer: &mut [u8],
    each: &mut impl FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<Outcome, FlashError> {
    let config = QueueConfig::try_new(0..PAGE).map_err(|_| FlashError::OutOfRange)?;
    let mut storage = QueueStorage::new(lens, config, Cache::new_uncached());
    let mut items = match storage.iter().await {
        Ok(items) => items,
        Err(error) => return outcome(&error),
    };
    loop {
        match items.next(buffer).await {
            Ok(Some(item)) => {
                if each(&item.into_buf()[..]).is_break() {
                    return Ok(Outcome::Broken);
                }
            }
            Ok(None) => return Ok(Outcome::Finished),
            Err(error) => return outcome(&error),
        }
    }
}

fn outcome(error: &Error<FlashError>) -> Result<Outcome, FlashError> {
    match error {
        Error::Storage { value, .. } => Err(*value),
        Error::BufferTooSmall(length) => Ok(Outcome::Oversized { length: *length }),
        // The enumeration is the library's and may grow; a lens gives no cause for any other.
        _ => Ok(Outcome::Finished),
    }
}

/// What the library read last from the items' part of the page.
#[derive(Clone, Copy, Default)]
struct LastRead {
    /// Where, from the start of the page.
    offset: u32,
    /// Whether all of it was erased.
    blank: bool,
}

/// A page as a queue of one page that is in use and not full, whose items begin at `from`. Read-only.
struct Lens<'f, F> {
    flash: &'f mut F,
    partition: Partition,
    page_start: u32,
    from: u32,
    last_read: &'f Cell<LastRead>,
}

impl<F: Flash> Lens<'_, F> {
    fn look(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        bytes.fill(u8::MAX);
        if offset < WORD {
            bytes.fill(0);
            return Ok(());
        }
        let in_page = offset
            .checked_sub(WORD)
            .and_then(|offset| offset.checked_add(self.from))
            .ok_or(FlashError::OutOfRange)?;
        // Behind the items of the real page, and at the last word of the lens, everything reads as erased.
        let left = usize::try_from(END_MARK.saturating_sub(in_page)).unwrap_or_default();
        let length = bytes.len().min(left);
        if offset < END_MARK
            && let Some(real) = bytes.get_mut(..length)
            && !real.is_empty()
        {
            let start = self
                .page_start
                .checked_add(in_page)
                .ok_or(FlashError::OutOfRange)?;
            attempt(|| self.flash.read(self.partition, start, real))?;
        }
        if offset < END_MARK {
            self.last_read.set(LastRead {
                offset: in_page,
                blank: bytes.iter().all(|byte| *byte == u8::MAX),
            });
        }
        Ok(())
    }
}

impl<F: Flash> ErrorType for Lens<'_, F> {
    type Error = FlashError;
}

impl<F: Flash> ReadNorFlash for Lens<'_, F> {
    const READ_SIZE: usize = WORD_BYTES;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.look(offset, bytes)
    }

    fn capacity(&self) -> usize {
        PAGE_BYTES
    }
}

impl<F: Flash> NorFlash for Lens<'_, F> {
    const WRITE_SIZE: usize = WORD_BYTES;
    const ERASE_SIZE: usize = PAGE_BYTES;

    async fn erase(&mut self, _from: u32, _to: u32) -> Result<(), FlashError> {
        Err(FlashError::OverBudget)
    }

    async fn write(&mut self, _offset: u32, _bytes: &[u8]) -> Result<(), FlashError> {
        Err(FlashError::OverBudget)
    }
}
