//! One bank of state: the library's map over a partition, and what can be read of it in any condition.
//!
//! The library's map writes. Reading goes page by page (`scan`) and the newest sequence number of a kind counts, so that a bank that
//! was cut in the middle of making room is still read completely: the library copies every live value to the next page before it
//! erases the old one.

use core::ops::ControlFlow;

use embassy_futures::block_on;
use heapless::Vec;
use sequential_storage::cache::Cache;
use sequential_storage::map::{MapConfig, MapStorage};

use crate::envelope::Kind;
use crate::error::JournalError;
use crate::flash::{Flash, FlashError, PAGE, Partition};
use crate::frame::{Frame, ITEM_BYTES, KEY_BYTES};
use crate::index::KINDS;
use crate::opening::Repairs;
use crate::port::{Erases, Region, is_blank};
use crate::scan::{Marks, interior_is_blank, marks, page_offset, scan_page};

/// One of the two banks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bank {
    pub(crate) partition: Partition,
}

/// A whole value found in a bank.
pub(crate) struct Found<'a> {
    pub(crate) frame: Frame<'a>,
    /// The frame's bytes.
    pub(crate) bytes: &'a [u8],
}

impl Bank {
    /// Calls `each` with every whole value, superseded ones too, in no particular order. Whether the bank is in order: nothing but whole
    /// values and erased flash, and pages as the library leaves them between its operations.
    pub(crate) fn scan<F: Flash>(
        self,
        flash: &mut F,
        scratch: &mut [u8; ITEM_BYTES],
        mut each: impl FnMut(&Found<'_>),
    ) -> Result<bool, FlashError> {
        let mut in_order = true;
        for page in 0..self.pages(flash) {
            let tail = scan_page(flash, self.partition, page, scratch, |item| {
                match read_item(item) {
                    Some(found) => each(&found),
                    None => in_order = false,
                }
                ControlFlow::Continue(())
            })?;
            in_order &= !tail.spoiled;
        }
        Ok(in_order && self.pages_in_order(flash)?)
    }

    /// Copies the whole value of this kind and sequence number into `copy`; its length.
    pub(crate) fn fetch<F: Flash>(
        self,
        flash: &mut F,
        kind: Kind,
        sequence: u32,
        scratch: &mut [u8; ITEM_BYTES],
        copy: &mut [u8; ITEM_BYTES],
    ) -> Result<Option<usize>, FlashError> {
        let key = kind.0.to_le_bytes();
        let mut length = None;
        for page in 0..self.pages(flash) {
            scan_page(flash, self.partition, page, scratch, |item| {
                if item.starts_with(&key)
                    && let Some(found) = read_item(item)
                    && found.frame.sequence == sequence
                    && let Some(target) = copy.get_mut(..found.bytes.len())
                {
                    target.copy_from_slice(found.bytes);
                    length = Some(found.bytes.len());
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            })?;
            if length.is_some() {
                break;
            }
        }
        Ok(length)
    }

    /// Writes a frame as the newest value of its kind. Without enough room on the page in use the library copies what is live
    /// to the next one and erases the old one, and again if that is still not enough: one page erase for each, and one more after a write that failed.
    pub(crate) fn store<F: Flash>(
        self,
        flash: &mut F,
        kind: Kind,
        frame: &[u8],
        scratch: &mut [u8; ITEM_BYTES],
        erases: &mut Erases,
    ) -> Result<(), JournalError> {
        let size = flash.size(self.partition);
        let config = MapConfig::try_new(0..size).map_err(|_| JournalError::UnsupportedSize {
            partition: self.partition,
            size,
        })?;
        let region = Region::new(flash, self.partition, erases);
        let mut storage = MapStorage::<u16, _, _>::new(region, config, Cache::new_uncached());
        block_on(storage.store_item(scratch, &kind.0, &frame))
            .map_err(|error| JournalError::library(self.partition, &error))
    }

    /// Erases every page that is not blank.
    pub(crate) fn erase<F: Flash>(
        self,
        flash: &mut F,
        erases: &mut Erases,
    ) -> Result<(), FlashError> {
        for page in 0..self.pages(flash) {
            let start = page_offset(page)?;
            let end = start.checked_add(PAGE).ok_or(FlashError::OutOfRange)?;
            if !is_blank(flash, self.partition, start, end)? {
                Region::new(flash, self.partition, erases).erase_page(start)?;
            }
        }
        Ok(())
    }

    /// Makes the pages such that the library can write without repairing them, if nothing is lost by it: unless they are, one page is erased
    /// without which all `count` wanted values, which `wanted` numbers, are still there; or all but one page that has them all. Whether the
    /// library can write.
    pub(crate) fn make_usable<F: Flash>(
        self,
        flash: &mut F,
        scratch: &mut [u8; ITEM_BYTES],
        wanted: impl Fn(&Frame<'_>) -> Option<usize>,
        count: usize,
        repairs: &mut Repairs,
    ) -> Result<bool, FlashError> {
        if self.is_usable(flash, scratch)? {
            return Ok(true);
        }
        for page in 0..self.pages(flash) {
            if self.can_spare(flash, page, scratch, &wanted, count)? {
                let mut erases = Erases::allow(1);
                Region::new(flash, self.partition, &mut erases).erase_page(page_offset(page)?)?;
                repairs.pages_erased = repairs.pages_erased.saturating_add(1);
                return Ok(true);
            }
        }
        let mut best = None;
        for page in 0..self.pages(flash) {
            let mut has = Vec::<usize, { KINDS + 1 }>::new();
            let tail = scan_page(flash, self.partition, page, scratch, |item| {
                if let Some(number) = read_item(item).and_then(|found| wanted(&found.frame))
                    && !has.contains(&number)
                {
                    let _ = has.push(number);
                }
                ControlFlow::Continue(())
            })?;
            let state = marks(flash, self.partition, page)?;
            // The library goes on behind the last value of a page in use, or copies a full one as after a cut in a page turn.
            let usable = state == Marks::Closed || state == Marks::Partial && tail.blank;
            if has.len() == count && usable && (best.is_none() || state == Marks::Partial) {
                best = Some(page);
            }
        }
        let Some(best) = best else {
            return Ok(false);
        };
        let mut erases = self.every_page(flash);
        for page in 0..self.pages(flash) {
            let start = page_offset(page)?;
            let end = start.checked_add(PAGE).ok_or(FlashError::OutOfRange)?;
            if page != best && !is_blank(flash, self.partition, start, end)? {
                Region::new(flash, self.partition, &mut erases).erase_page(start)?;
                repairs.pages_erased = repairs.pages_erased.saturating_add(1);
            }
        }
        Ok(true)
    }

    /// Whether everything that is wanted is there without a page that is not blank, and the rest of the pages are as they are in the middle of
    /// a page turn: one in use with an open one behind it, or none in use and one behind the full ones.
    fn can_spare<F: Flash>(
        self,
        flash: &mut F,
        spared: u32,
        scratch: &mut [u8; ITEM_BYTES],
        wanted: &impl Fn(&Frame<'_>) -> Option<usize>,
        count: usize,
    ) -> Result<bool, FlashError> {
        let pages = self.pages(flash);
        let mut has = Vec::<usize, { KINDS + 1 }>::new();
        let mut open = 0_u32;
        let mut in_use = None;
        for page in 0..pages {
            let state = if page == spared {
                Marks::Open
            } else {
                marks(flash, self.partition, page)?
            };
            match state {
                Marks::Open
                    if page == spared || interior_is_blank(flash, self.partition, page)? =>
                {
                    open = open.saturating_add(1);
                    continue;
                }
                Marks::Partial if in_use.is_none() => in_use = Some(page),
                Marks::Closed => {}
                Marks::Open | Marks::Partial | Marks::Broken => return Ok(false),
            }
            let tail = scan_page(flash, self.partition, page, scratch, |item| {
                if let Some(number) = read_item(item).and_then(|found| wanted(&found.frame))
                    && !has.contains(&number)
                {
                    let _ = has.push(number);
                }
                ControlFlow::Continue(())
            })?;
            if in_use == Some(page) && !tail.blank {
                return Ok(false);
            }
        }
        let behind = |page: u32| page.checked_add(1)?.checked_rem(pages);
        let ready = match in_use.and_then(behind) {
            Some(next) => next == spared || marks(flash, self.partition, next)? == Marks::Open,
            // The library goes on with the first open page.
            None => open == 1,
        };
        Ok(ready && has.len() == count)
    }

    /// Whether the library can write without repairing anything: pages in order, and nothing behind the last value of the one in use.
    fn is_usable<F: Flash>(
        self,
        flash: &mut F,
        scratch: &mut [u8; ITEM_BYTES],
    ) -> Result<bool, FlashError> {
        let mut usable = self.pages_in_order(flash)?;
        for page in 0..self.pages(flash) {
            let tail = scan_page(flash, self.partition, page, scratch, |_| {
                ControlFlow::Continue(())
            })?;
            usable &= tail.blank || marks(flash, self.partition, page)? == Marks::Closed;
        }
        Ok(usable)
    }

    /// Whether nothing from this offset on has ever been written.
    pub(crate) fn is_blank_from<F: Flash>(
        self,
        flash: &mut F,
        from: u32,
    ) -> Result<bool, FlashError> {
        is_blank(flash, self.partition, from, flash.size(self.partition))
    }

    /// Number of pages.
    pub(crate) fn pages<F: Flash>(self, flash: &F) -> u32 {
        flash.size(self.partition) / PAGE
    }

    /// Enough page erases to write the bank anew.
    pub(crate) fn every_page<F: Flash>(self, flash: &F) -> Erases {
        Erases::allow(self.pages(flash))
    }

    /// Whether the pages are in one of the two states between the library's operations: all open, or one partial with an open one
    /// behind it; and the open ones blank. Anything else is what a cut or damage left, and its repair by the library can erase the page
    /// with the only copies.
    fn pages_in_order<F: Flash>(self, flash: &mut F) -> Result<bool, FlashError> {
        let pages = self.pages(flash);
        let mut partial = None;
        let mut partials = 0_u32;
        let mut used = 0_u32;
        for page in 0..pages {
            match marks(flash, self.partition, page)? {
                Marks::Open => {
                    if !interior_is_blank(flash, self.partition, page)? {
                        return Ok(false);
                    }
                }
                Marks::Partial => {
                    partial = Some(page);
                    partials = partials.saturating_add(1);
                    used = used.saturating_add(1);
                }
                Marks::Closed => used = used.saturating_add(1),
                Marks::Broken => return Ok(false),
            }
        }
        match (partial, partials) {
            (Some(page), 1) => {
                let behind = page
                    .checked_add(1)
                    .and_then(|next| next.checked_rem(pages))
                    .unwrap_or_default();
                Ok(marks(flash, self.partition, behind)? == Marks::Open)
            }
            _ => Ok(used == 0),
        }
    }
}

/// A value out of an item of the map: the key must be the kind within.
fn read_item(item: &[u8]) -> Option<Found<'_>> {
    let (key, bytes) = item.split_first_chunk::<KEY_BYTES>()?;
    let frame = Frame::decode_state(bytes)?;
    (u16::from_le_bytes(*key) == frame.envelope.kind.0).then_some(Found { frame, bytes })
}
