//! A ring of records over a partition: the newest are kept, the page with the oldest is erased when room is needed.
//!
//! The library's queue writes. Before its first write, and again after any failed one, the ring is surveyed: which page is the
//! youngest is told by the sequence numbers in the records, and every page whose state contradicts that is *sealed*, that is,
//! marked as full with all it holds. A sealed page is still read, costs no erase, and is used again when the ring comes round. So a
//! torn erase or a damaged marker neither stops the ring nor destroys what could be evidence. A page that no longer erases is *retired*:
//! the ring goes on without it.

use core::ops::ControlFlow;

use embassy_futures::block_on;
use sequential_storage::cache::Cache;
use sequential_storage::queue::{QueueConfig, QueueStorage};

use crate::area::Area;
use crate::chain::{AnchorDistance, Position};
use crate::envelope::Envelope;
use crate::error::JournalError;
use crate::flash::{Flash, FlashError, PAGE};
use crate::frame::{Frame, ITEM_BYTES};
use crate::opening::{Repairs, RingCondition};
use crate::port::{Erases, Region, is_blank};
use crate::record::{Link, Record};
use crate::scan::{
    END_MARK, FIRST_ITEM_END, Marks, interior_is_blank, item_bytes, marks, page_offset, scan_page,
};

/// Most page erases of one call, for each page that is not retired in it.
const ERASES: u32 = 1;
/// Most pages retired in one call: the bound of its work.
const RETIRED_IN_A_CALL: u32 = 2;

/// One ring.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    area: Area,
    /// Whether its records are tied together by a chain.
    chained: bool,
    /// The sequence number the next record gets; none when they are used up.
    next_sequence: Option<u32>,
    /// Where the chain stands.
    position: Option<Position>,
    /// How far back its last anchor is.
    anchor: AnchorDistance,
    /// Where the free part of the page in use begins, if that is known.
    free: Option<u32>,
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
    pub(crate) const fn new(area: Area, chained: bool) -> Self {
        Self {
            area,
            chained,
            next_sequence: Some(0),
            position: None,
            anchor: AnchorDistance::UNKNOWN,
            free: None,
            surveyed: false,
        }
    }

    pub(crate) const fn area(&self) -> &Area {
        &self.area
    }

    /// Another set of pages is out of use: everything has to be looked at again.
    pub(crate) fn area_mut(&mut self) -> &mut Area {
        self.surveyed = false;
        &mut self.area
    }

    /// Where the chain stands behind the newest record; none before the first record.
    pub(crate) const fn position(&self) -> Option<Position> {
        self.position
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
        let mut retired = 0;
        let mut again = true;
        loop {
            let area = self.area.clone();
            let mut erases = Erases::allow(ERASES);
            let result = self.push_once(
                &mut area.view(flash),
                envelope,
                item,
                scratch,
                repairs,
                &mut erases,
            );
            let certain = !matches!(result, Ok(()) | Err(JournalError::Undecided));
            if certain && self.retire(erases, &mut retired, repairs) {
                continue;
            }
            // A record on the page in use has gone bad since it was looked at. By now the page has been sealed.
            let not_erased = JournalError::flash(self.area.partition, FlashError::NotErased);
            if result == Err(not_erased) && erases.failed_page().is_none() && self.surveyed && again
            {
                again = false;
                continue;
            }
            return result;
        }
    }

    /// Makes the pages what the library needs, and finds the newest record.
    pub(crate) fn survey<F: Flash>(
        &mut self,
        flash: &mut F,
        scratch: &mut [u8; ITEM_BYTES],
        repairs: &mut Repairs,
    ) -> Result<Survey, FlashError> {
        let mut retired = 0;
        loop {
            let area = self.area.clone();
            let mut erases = Erases::allow(ERASES);
            let result = self.settle(&mut area.view(flash), scratch, repairs, &mut erases);
            if result.is_ok() || !self.retire(erases, &mut retired, repairs) {
                return result;
            }
        }
    }

    /// Takes the page out of use that would not erase, if there is one and it can be done without.
    fn retire(&mut self, erases: Erases, retired: &mut u32, repairs: &mut Repairs) -> bool {
        let Some(page) = erases.failed_page() else {
            return false;
        };
        let page = self.area.in_partition(page);
        if *retired >= RETIRED_IN_A_CALL || !self.area_mut().retire(page) {
            return false;
        }
        *retired = retired.saturating_add(1);
        repairs.pages_retired = repairs.pages_retired.saturating_add(1);
        true
    }

    fn push_once<F: Flash>(
        &mut self,
        flash: &mut F,
        envelope: &Envelope<'_>,
        item: &mut [u8; ITEM_BYTES],
        scratch: &mut [u8; ITEM_BYTES],
        repairs: &mut Repairs,
        erases: &mut Erases,
    ) -> Result<(), JournalError> {
        if !self.surveyed {
            self.settle(flash, scratch, repairs, erases)
                .map_err(|error| JournalError::flash(self.area.partition, error))?;
        }
        let sequence = self.next_sequence.ok_or(JournalError::SequenceExhausted)?;
        let link = if self.chained {
            Position::next_link(self.position, self.anchor.is_due())
        } else {
            Link::Missing
        };
        let frame = Frame {
            sequence,
            link,
            envelope: *envelope,
        };
        let bytes = frame.encode(item).ok_or(JournalError::BodyTooLong)?;
        match self.push_bytes(flash, bytes, erases) {
            Ok(()) => {
                self.next_sequence = sequence.checked_add(1);
                if self.chained {
                    let record = Record {
                        sequence,
                        link,
                        envelope: *envelope,
                        bytes,
                    };
                    self.position = Some(Position::behind(self.position, &record));
                    self.anchor.take(&link, item_bytes(bytes));
                }
                Ok(())
            }
            // Some of it may have been written, or all of it and only the answer was bad: look.
            Err(error) => match self.settle(flash, scratch, repairs, erases) {
                Ok(survey) if survey.newest == Some(sequence) => Ok(()),
                Ok(_) => Err(error),
                Err(FlashError::OverBudget) => {
                    self.surveyed = false;
                    Err(error)
                }
                Err(_) => {
                    self.surveyed = false;
                    Err(if erases.failed_page().is_some() {
                        error
                    } else {
                        JournalError::Undecided
                    })
                }
            },
        }
    }

    fn push_bytes<F: Flash>(
        &mut self,
        flash: &mut F,
        bytes: &[u8],
        erases: &mut Erases,
    ) -> Result<(), JournalError> {
        let size = flash.size(self.area.partition);
        let config = QueueConfig::try_new(0..size).map_err(|_| JournalError::UnsupportedSize {
            partition: self.area.partition,
            size,
        })?;
        let region = Region::new(flash, self.area.partition, erases).with_free(self.free);
        // No cache: a cache can disagree with the flash after a failed write, and some of the library's panic on pages
        // in a wrong order. The reads it would save are from memory-mapped flash.
        let mut storage = QueueStorage::new(region, config, Cache::new_uncached());
        let result = block_on(storage.push(bytes, true));
        let (region, _) = storage.destroy();
        self.free = region.free();
        result.map_err(|error| JournalError::library(self.area.partition, &error))
    }

    /// Calls `each` with every record whose number is `from` or higher, from the oldest to the newest and each once, until it breaks.
    pub(crate) fn read<F: Flash>(
        &self,
        flash: &mut F,
        scratch: &mut [u8; ITEM_BYTES],
        from: u32,
        mut each: impl FnMut(&Record<'_>) -> ControlFlow<()>,
    ) -> Result<(), FlashError> {
        let flash = &mut self.area.view(flash);
        let pages = self.pages(flash);
        let youngest = self.youngest(flash, scratch)?.map_or(0, |found| found.page);
        // Begin with the last page that begins at or before the record that is wanted; or with the first.
        let mut before: Option<First> = None;
        let mut oldest: Option<First> = None;
        let mut newest = None;
        let mut in_order = true;
        for step in 1..=pages {
            let page = wrap(youngest, step, pages);
            let Some(first) = self.first_record(flash, scratch, page)? else {
                continue;
            };
            in_order &= newest < Some(first.sequence);
            newest = newest.max(Some(first.sequence));
            if oldest.is_none_or(|oldest| first.place() < oldest.place()) {
                oldest = Some(first);
            }
            if first.sequence <= from && before.is_none_or(|before| first.place() > before.place())
            {
                before = Some(first);
            }
        }
        let mut last = from.checked_sub(1);
        let mut turn = before.or(oldest);
        while let Some(first) = turn {
            turn = if in_order {
                self.following(flash, scratch, first.page, youngest)?
            } else {
                // A page that was to be erased and does not, or one that somebody has copied, stands among younger ones.
                self.neighbour(flash, scratch, first, Towards::Newer)?
            };
            let end = turn.map(|behind| behind.sequence);
            let mut flow = ControlFlow::Continue(());
            scan_page(flash, self.area.partition, first.page, scratch, |bytes| {
                // A number from where the next page begins does not belong here: it would hide what does.
                if let Some(record) = Record::decode(bytes)
                    && last < Some(record.sequence)
                    && end.is_none_or(|end| record.sequence < end)
                {
                    last = Some(record.sequence);
                    flow = each(&record);
                }
                flow
            })?;
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The next page behind `page` that has records, up to the youngest.
    fn following<F: Flash>(
        &self,
        flash: &mut F,
        scratch: &mut [u8; ITEM_BYTES],
        page: u32,
        youngest: u32,
    ) -> Result<Option<First>, FlashError> {
        let pages = self.pages(flash);
        let mut page = page;
        while page != youngest {
            page = wrap(page, 1, pages);
            if let Some(first) = self.first_record(flash, scratch, page)? {
                return Ok(Some(first));
            }
        }
        Ok(None)
    }

    /// The page with the next older or newer records.
    fn neighbour<F: Flash>(
        &self,
        flash: &mut F,
        scratch: &mut [u8; ITEM_BYTES],
        of: First,
        towards: Towards,
    ) -> Result<Option<First>, FlashError> {
        let mut nearest: Option<First> = None;
        for page in 0..self.pages(flash) {
            let Some(first) = self.first_record(flash, scratch, page)? else {
                continue;
            };
            let nearer = match towards {
                Towards::Newer => {
                    first.place() > of.place()
                        && nearest.is_none_or(|nearest| first.place() < nearest.place())
                }
                Towards::Older => {
                    first.place() < of.place()
                        && nearest.is_none_or(|nearest| first.place() > nearest.place())
                }
            };
            if nearer {
                nearest = Some(first);
            }
        }
        Ok(nearest)
    }

    /// Finds the newest record that `wanted` accepts and hands it to `take`; whether there is one.
    pub(crate) fn newest<F: Flash>(
        &self,
        flash: &mut F,
        scratch: &mut [u8; ITEM_BYTES],
        wanted: impl Fn(&Envelope<'_>) -> bool,
        mut take: impl FnMut(&Record<'_>),
    ) -> Result<bool, FlashError> {
        let flash = &mut self.area.view(flash);
        let mut turn = self.youngest(flash, scratch)?;
        let mut end = None;
        while let Some(first) = turn {
            let mut newest = None;
            scan_page(flash, self.area.partition, first.page, scratch, |bytes| {
                if let Some(record) = Record::decode(bytes)
                    && wanted(&record.envelope)
                    && newest < Some(record.sequence)
                    && end.is_none_or(|end| record.sequence < end)
                {
                    take(&record);
                    newest = Some(record.sequence);
                }
                ControlFlow::Continue(())
            })?;
            if newest.is_some() {
                return Ok(true);
            }
            turn = self.neighbour(flash, scratch, first, Towards::Older)?;
            end = Some(first.sequence);
        }
        Ok(false)
    }

    /// Makes the pages what the library needs: `Closed` ones, then at most one `Partial`, then `Open` and blank ones, at least one of
    /// the last two, in ring order and with the newest record at the end of the closed ones or in the partial one.
    fn settle<F: Flash>(
        &mut self,
        flash: &mut F,
        scratch: &mut [u8; ITEM_BYTES],
        repairs: &mut Repairs,
        erases: &mut Erases,
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
                scan_page(flash, self.area.partition, found.page, scratch, |bytes| {
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

        self.free = None;
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
            match marks(flash, self.area.partition, page)? {
                Marks::Closed => closed = true,
                Marks::Open => {
                    if !closed && interior_is_blank(flash, self.area.partition, page)? {
                        open = open.saturating_add(1);
                    } else {
                        // An erase that was cut, or a hole in the ring.
                        self.seal(flash, page, repairs, erases)?;
                        closed = true;
                    }
                }
                // The page after a full one, with no whole record yet.
                Marks::Partial
                    if step == 1
                        && !current
                        && self.first_record(flash, scratch, page)?.is_none() =>
                {
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
            Region::new(flash, self.area.partition, erases).erase_page(page_offset(page)?)?;
            repairs.pages_erased = repairs.pages_erased.saturating_add(1);
        }

        if survey.condition == RingCondition::Good && *repairs != before {
            survey.condition = RingCondition::Repaired;
        }
        self.next_sequence = survey
            .newest
            .map_or(Some(0), |newest| newest.checked_add(1));
        (self.position, self.anchor) = match (self.chained, youngest) {
            (true, Some(youngest)) => {
                let (position, anchor) = self.follow(flash, youngest, scratch)?;
                let newest = |position: &Position| Some(position.sequence) == survey.newest;
                (position.filter(newest), anchor)
            }
            (true | false, _) => (None, AnchorDistance::UNKNOWN),
        };
        self.surveyed = true;
        Ok(survey)
    }

    /// Whether the page can be the one that is written to: in use, not full, and erased behind its last record. If it holds something
    /// and cannot, it is sealed.
    fn settle_current<F: Flash>(
        &mut self,
        flash: &mut F,
        page: u32,
        scratch: &mut [u8; ITEM_BYTES],
        repairs: &mut Repairs,
        erases: &mut Erases,
    ) -> Result<bool, FlashError> {
        match marks(flash, self.area.partition, page)? {
            Marks::Closed => Ok(false),
            Marks::Partial => {
                let tail = scan_page(flash, self.area.partition, page, scratch, |_| {
                    ControlFlow::Continue(())
                })?;
                if tail.blank {
                    self.free = page_offset(page)?.checked_add(tail.free);
                } else {
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
        erases: &mut Erases,
    ) -> Result<(), FlashError> {
        let start = page_offset(page)?;
        let end = start.checked_add(END_MARK).ok_or(FlashError::OutOfRange)?;
        let state = marks(flash, self.area.partition, page)?;
        let mut region = Region::new(flash, self.area.partition, erases);
        if matches!(state, Marks::Open | Marks::Broken) {
            region.write_words(start, &[0; 4])?;
        }
        if matches!(state, Marks::Open | Marks::Partial) {
            region.write_words(end, &[0; 4])?;
        }
        repairs.pages_sealed = repairs.pages_sealed.saturating_add(1);
        Ok(())
    }

    /// Follows the chain to its end, from the last page with an anchor on: where it stands behind the newest record, and how far back on the
    /// youngest page its last anchor is.
    fn follow<F: Flash>(
        &self,
        flash: &mut F,
        youngest: First,
        scratch: &mut [u8; ITEM_BYTES],
    ) -> Result<(Option<Position>, AnchorDistance), FlashError> {
        let mut oldest = youngest;
        loop {
            let mut anchored = false;
            scan_page(flash, self.area.partition, oldest.page, scratch, |bytes| {
                anchored = Record::decode(bytes)
                    .is_some_and(|record| matches!(record.link, Link::Anchor { .. }));
                if anchored {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })?;
            if anchored {
                break;
            }
            match self.neighbour(flash, scratch, oldest, Towards::Older)? {
                Some(older) => oldest = older,
                None => break,
            }
        }
        let mut position: Option<Position> = None;
        let mut turn = Some(oldest);
        loop {
            let Some(first) = turn else {
                return Ok((position, AnchorDistance::UNKNOWN));
            };
            let mut anchor = AnchorDistance::UNKNOWN;
            scan_page(flash, self.area.partition, first.page, scratch, |bytes| {
                if let Some(record) = Record::decode(bytes)
                    && position.is_none_or(|before| before.sequence < record.sequence)
                {
                    position = Some(Position::behind(position, &record));
                    anchor.take(&record.link, item_bytes(bytes));
                }
                ControlFlow::Continue(())
            })?;
            if first.page == youngest.page {
                return Ok((position, anchor));
            }
            turn = self.neighbour(flash, scratch, first, Towards::Newer)?;
        }
    }

    /// The page with the newest records, by the first record of each page.
    fn youngest<F: Flash>(
        &self,
        flash: &mut F,
        scratch: &mut [u8; ITEM_BYTES],
    ) -> Result<Option<First>, FlashError> {
        let mut youngest: Option<First> = None;
        for page in 0..self.pages(flash) {
            if let Some(first) = self.first_record(flash, scratch, page)?
                && youngest.is_none_or(|youngest| first.place() > youngest.place())
            {
                youngest = Some(first);
            }
        }
        Ok(youngest)
    }

    /// The first record of a page.
    fn first_record<F: Flash>(
        &self,
        flash: &mut F,
        scratch: &mut [u8; ITEM_BYTES],
        page: u32,
    ) -> Result<Option<First>, FlashError> {
        let mut first = None;
        scan_page(
            flash,
            self.area.partition,
            page,
            scratch,
            |bytes| match Frame::decode(bytes) {
                Some(frame) => {
                    first = Some(First {
                        page,
                        sequence: frame.sequence,
                        boot: frame.envelope.stamp.boot,
                    });
                    ControlFlow::Break(())
                }
                None => ControlFlow::Continue(()),
            },
        )?;
        Ok(first)
    }

    /// A ring without a record is blank if at most the first record's write was cut.
    fn condition_without_records<F: Flash>(
        &self,
        flash: &mut F,
    ) -> Result<RingCondition, FlashError> {
        let size = flash.size(self.area.partition);
        let blank = is_blank(flash, self.area.partition, FIRST_ITEM_END, size)?;
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
            if marks(flash, self.area.partition, page)? == Marks::Partial {
                return Ok(wrap(page, before_first, pages));
            }
        }
        for page in 0..pages {
            if marks(flash, self.area.partition, page)? != Marks::Open
                && marks(flash, self.area.partition, wrap(page, 1, pages))? == Marks::Open
            {
                return Ok(page);
            }
        }
        Ok(before_first)
    }

    fn pages<F: Flash>(&self, flash: &F) -> u32 {
        flash.size(self.area.partition) / PAGE
    }
}

/// The first record of a page.
#[derive(Clone, Copy)]
struct First {
    page: u32,
    sequence: u32,
    boot: u32,
}

impl First {
    /// By which pages are put in order, also two that begin with the same record.
    const fn place(&self) -> (u32, u32) {
        (self.sequence, self.page)
    }
}

/// Which neighbour of a page.
#[derive(Clone, Copy)]
enum Towards {
    Older,
    Newer,
}

/// The page `step` pages further on.
fn wrap(page: u32, step: u32, pages: u32) -> u32 {
    page.checked_add(step)
        .and_then(|sum| sum.checked_rem(pages))
        .unwrap_or_default()
}
