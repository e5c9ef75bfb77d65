//! A ring of records over a partition: the newest are kept, the page with the oldest is erased when room is needed.
//!
//! The library's queue writes. Before its first write, and again after any failed one, the ring is surveyed: which page is the
//! youngest is told by the sequence numbers in the records, and every page whose state contradicts that is *sealed*, that is,
//! marked as full with all it holds. A sealed page is still read, costs no erase, and is used again when the ring comes round. So a
//! torn erase or a damaged marker neither stops the ring nor destroys what could be evidence.

use core::ops::ControlFlow;

use embassy_futures::block_on;
use sequential_storage::cache::Cache;
use sequential_storage::queue::{QueueConfig, QueueStorage};

use crate::envelope::Envelope;
use crate::error::JournalError;
use crate::flash::{Flash, FlashError, PAGE, Partition};
use crate::frame::{Frame, ITEM_BYTES};
use crate::opening::{Repairs, RingCondition};
use crate::port::{Region, is_blank};
use crate::scan::{
    END_MARK, FIRST_ITEM_END, Marks, interior_is_blank, marks, page_offset, scan_page,
};

/// Most page erases of one call.
const ERASES: u32 = 1;

/// One ring.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    partition: Partition,
    /// The sequence number the next record gets; none when they are used up.
    next_sequence: Option<u32>,
    /// Whether the pages are known to be as the library needs them.
    surveyed: bool,
}

/// What a survey found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Survey {
    pub(crate) condition: RingCondition,
    /// Sequence number of the newest record.
    pub(crate) newest: Option<u32>,
    /// Largest boot number seen in the newest page.
    pub(crate) boot: u32,
}

impl Ring {
    pub(crate) const fn new(partition: Partition) -> Self {
        Self {
            partition,
            next_sequence: Some(0),
            surveyed: false,
        }
    }

    /// Adds a record. `Ok` means it is on the flash; an error means that it certainly is not, except
    /// [`JournalError::Undecided`], when the flash cannot even be read.
    pub(crate) fn push<F: Flash>(
        &mut self,
        flash: &mut F,
        envelope: &Envelope<'_>,
        item: &mut [u8; ITEM_BYTES],
        scratch: &mut [u8; ITEM_BYTES],
        repairs: &mut Repairs,
    ) -> Result<(), JournalError> {
        let mut erases = ERASES;
        if !self.surveyed {
            self.survey(flash, scratch, repairs, &mut erases)
                .map_err(|error| JournalError::flash(self.partition, error))?;
        }
        let sequence = self.next_sequence.ok_or(JournalError::SequenceExhausted)?;
        let bytes = Frame {
            sequence,
            envelope: *envelope,
        }
        .encode(item)
        .ok_or(JournalError::BodyTooLong)?;
        match self.push_bytes(flash, bytes, &mut erases) {
            Ok(()) => {
                self.next_sequence = sequence.checked_add(1);
                Ok(())
            }
            // Some of it may have been written, or all of it and only the answer was bad: look.
            Err(error) => match self.survey(flash, scratch, repairs, &mut erases) {
                Ok(survey) if survey.newest == Some(sequence) => Ok(()),
                Ok(_) => Err(error),
                Err(FlashError::OverBudget) => {
                    self.surveyed = false;
                    Err(error)
                }
                Err(_) => {
                    self.surveyed = false;
                    Err(JournalError::Undecided)
                }
            },
        }
    }

    fn push_bytes<F: Flash>(
        &mut self,
        flash: &mut F,
        bytes: &[u8],
        erases: &mut u32,
    ) -> Result<(), JournalError> {
        let size = flash.size(self.partition);
        let config = QueueConfig::try_new(0..size).map_err(|_| JournalError::UnsupportedSize {
            partition: self.partition,
            size,
        })?;
        let region = Region::new(flash, self.partition, erases);
        // No cache: a cache can disagree with the flash after a failed write, and some of the library's panic on pages
        // in a wrong order. The reads it would save are from memory-mapped flash.
        let mut storage = QueueStorage::new(region, config, Cache::new_uncached());
        block_on(storage.push(bytes, true))
            .map_err(|error| JournalError::library(self.partition, &error))
    }

    /// Calls `each` with every record from the oldest to the newest.
    pub(crate) fn read<F: Flash>(
        &self,
        flash: &mut F,
        scratch: &mut [u8; ITEM_BYTES],
        mut each: impl FnMut(&Frame<'_>),
    ) -> Result<(), FlashError> {
        let pages = self.pages(flash);
        let youngest = self.youngest(flash, scratch)?.map_or(0, |found| found.page);
        for step in 1..=pages {
            let page = wrap(youngest, step, pages);
            scan_page(flash, self.partition, page, scratch, |bytes| {
                if let Some(frame) = Frame::decode(bytes) {
                    each(&frame);
                }
                ControlFlow::Continue(())
            })?;
        }
        Ok(())
    }

    /// Finds the newest record that `wanted` accepts and hands it to `take`; whether there is one.
    pub(crate) fn newest<F: Flash>(
        &self,
        flash: &mut F,
        scratch: &mut [u8; ITEM_BYTES],
        wanted: impl Fn(&Envelope<'_>) -> bool,
        mut take: impl FnMut(&Frame<'_>),
    ) -> Result<bool, FlashError> {
        let pages = self.pages(flash);
        let Some(youngest) = self.youngest(flash, scratch)? else {
            return Ok(false);
        };
        for step in (1..=pages).rev() {
            let page = wrap(youngest.page, step, pages);
            let mut found = false;
            scan_page(flash, self.partition, page, scratch, |bytes| {
                if let Some(frame) = Frame::decode(bytes)
                    && wanted(&frame.envelope)
                {
                    take(&frame);
                    found = true;
                }
                ControlFlow::Continue(())
            })?;
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes the pages what the library needs: `Closed` ones, then at most one `Partial`, then `Open` and blank ones, at least one of
    /// the last two, in ring order and with the newest record at the end of the closed ones or in the partial one.
    pub(crate) fn survey<F: Flash>(
        &mut self,
        flash: &mut F,
        scratch: &mut [u8; ITEM_BYTES],
        repairs: &mut Repairs,
        erases: &mut u32,
    ) -> Result<Survey, FlashError> {
        self.surveyed = false;
        let pages = self.pages(flash);
        let before = *repairs;
        let youngest = self.youngest(flash, scratch)?;
        let mut survey = Survey {
            condition: RingCondition::Good,
            newest: None,
            boot: 0,
        };
        let anchor = match youngest {
            Some(found) => {
                scan_page(flash, self.partition, found.page, scratch, |bytes| {
                    if let Some(frame) = Frame::decode(bytes) {
                        survey.newest = survey.newest.max(Some(frame.sequence));
                        survey.boot = survey.boot.max(frame.envelope.stamp.boot);
                    }
                    ControlFlow::Continue(())
                })?;
                survey.newest = survey.newest.max(Some(found.sequence));
                survey.boot = survey.boot.max(found.boot);
                found.page
            }
            None => {
                survey.condition = self.condition_without_records(flash)?;
                self.anchor_without_records(flash)?
            }
        };

        let mut current = false;
        if youngest.is_some() {
            current = self.settle_current(flash, anchor, scratch, repairs, erases)?;
        }
        // The pages after the youngest, and last, if it holds no record, that page itself.
        let last = pages.saturating_sub(u32::from(youngest.is_some()));
        let mut open = 0_u32;
        let mut closed = false;
        for step in 1..=last {
            let page = wrap(anchor, step, pages);
            match marks(flash, self.partition, page)? {
                Marks::Closed => closed = true,
                Marks::Open => {
                    if !closed && interior_is_blank(flash, self.partition, page)? {
                        open = open.saturating_add(1);
                    } else {
                        // An erase that was cut, or a hole in the ring.
                        self.seal(flash, page, repairs, erases)?;
                        closed = true;
                    }
                }
                // The page after a full one, with no whole record yet.
                Marks::Partial if step == 1 && !current => {
                    current = self.settle_current(flash, page, scratch, repairs, erases)?;
                    closed |= !current;
                }
                Marks::Partial | Marks::Broken => {
                    self.seal(flash, page, repairs, erases)?;
                    closed = true;
                }
            }
        }
        if !current && open == 0 {
            // Every page is full or sealed: the oldest has to go, or nothing more can be kept.
            let page = wrap(anchor, 1, pages);
            Region::new(flash, self.partition, erases).erase_page(page_offset(page)?)?;
            repairs.pages_erased = repairs.pages_erased.saturating_add(1);
        }

        if survey.condition == RingCondition::Good && *repairs != before {
            survey.condition = RingCondition::Repaired;
        }
        self.next_sequence = survey
            .newest
            .map_or(Some(0), |newest| newest.checked_add(1));
        self.surveyed = true;
        Ok(survey)
    }

    /// Whether the page can be the one that is written to: in use, not full, and erased behind its last record. If it holds something
    /// and cannot, it is sealed.
    fn settle_current<F: Flash>(
        &self,
        flash: &mut F,
        page: u32,
        scratch: &mut [u8; ITEM_BYTES],
        repairs: &mut Repairs,
        erases: &mut u32,
    ) -> Result<bool, FlashError> {
        match marks(flash, self.partition, page)? {
            Marks::Closed => Ok(false),
            Marks::Partial => {
                let tail = scan_page(flash, self.partition, page, scratch, |_| {
                    ControlFlow::Continue(())
                })?;
                if !tail.blank {
                    self.seal(flash, page, repairs, erases)?;
                }
                Ok(tail.blank)
            }
            Marks::Open | Marks::Broken => {
                self.seal(flash, page, repairs, erases)?;
                Ok(false)
            }
        }
    }

    /// Marks a page as full by writing those of its two marker words that are not.
    fn seal<F: Flash>(
        &self,
        flash: &mut F,
        page: u32,
        repairs: &mut Repairs,
        erases: &mut u32,
    ) -> Result<(), FlashError> {
        let start = page_offset(page)?;
        let end = start.checked_add(END_MARK).ok_or(FlashError::OutOfRange)?;
        let state = marks(flash, self.partition, page)?;
        let mut region = Region::new(flash, self.partition, erases);
        if matches!(state, Marks::Open | Marks::Broken) {
            region.write_words(start, &[0; 4])?;
        }
        if matches!(state, Marks::Open | Marks::Partial) {
            region.write_words(end, &[0; 4])?;
        }
        repairs.pages_sealed = repairs.pages_sealed.saturating_add(1);
        Ok(())
    }

    /// The page with the newest records, by the first record of each page.
    fn youngest<F: Flash>(
        &self,
        flash: &mut F,
        scratch: &mut [u8; ITEM_BYTES],
    ) -> Result<Option<Youngest>, FlashError> {
        let mut youngest: Option<Youngest> = None;
        for page in 0..self.pages(flash) {
            let mut first = None;
            scan_page(
                flash,
                self.partition,
                page,
                scratch,
                |bytes| match Frame::decode(bytes) {
                    Some(frame) => {
                        first = Some(Youngest {
                            page,
                            sequence: frame.sequence,
                            boot: frame.envelope.stamp.boot,
                        });
                        ControlFlow::Break(())
                    }
                    None => ControlFlow::Continue(()),
                },
            )?;
            if let Some(first) = first
                && youngest.is_none_or(|youngest| first.sequence > youngest.sequence)
            {
                youngest = Some(first);
            }
        }
        Ok(youngest)
    }

    /// A ring without a record is blank if at most the first record's write was cut.
    fn condition_without_records<F: Flash>(
        &self,
        flash: &mut F,
    ) -> Result<RingCondition, FlashError> {
        let size = flash.size(self.partition);
        let blank = is_blank(flash, self.partition, FIRST_ITEM_END, size)?;
        Ok(if blank {
            RingCondition::Blank
        } else {
            RingCondition::Unreadable
        })
    }

    /// The page before the one that the library would write to, when no record says which is the youngest.
    fn anchor_without_records<F: Flash>(&self, flash: &mut F) -> Result<u32, FlashError> {
        let pages = self.pages(flash);
        let before_first = pages.saturating_sub(1);
        for page in 0..pages {
            if marks(flash, self.partition, page)? == Marks::Partial {
                return Ok(wrap(page, before_first, pages));
            }
        }
        for page in 0..pages {
            if marks(flash, self.partition, page)? != Marks::Open
                && marks(flash, self.partition, wrap(page, 1, pages))? == Marks::Open
            {
                return Ok(page);
            }
        }
        Ok(before_first)
    }

    fn pages<F: Flash>(&self, flash: &F) -> u32 {
        flash.size(self.partition) / PAGE
    }
}

/// The first record of a page.
#[derive(Clone, Copy)]
struct Youngest {
    page: u32,
    sequence: u32,
    boot: u32,
}

/// The page `step` pages further on.
fn wrap(page: u32, step: u32, pages: u32) -> u32 {
    page.checked_add(step)
        .and_then(|sum| sum.checked_rem(pages))
        .unwrap_or_default()
}
