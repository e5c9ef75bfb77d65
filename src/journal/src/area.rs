//! The pages of a partition that one ring has for itself, without those that no longer erase.

use heapless::Vec;

use crate::flash::{Flash, FlashError, PAGE, Partition};

/// Most pages of one ring that are left out of use. More, and the flash as a whole is at its end.
pub(crate) const RETIRED: usize = 8;

/// Fewest pages that a ring can work with: one to write to and one to fall back on.
const FEWEST_PAGES: u32 = 2;

/// A run of pages of one partition. Pages are counted from its beginning, past those that are out of use.
#[derive(Clone, Debug)]
pub(crate) struct Area {
    pub(crate) partition: Partition,
    /// Where it begins, in pages of the partition.
    first: u32,
    /// Its length in pages, with those that are out of use.
    pages: u32,
    /// Pages of the partition that are out of use, ascending.
    retired: Vec<u16, RETIRED>,
}

impl Area {
    /// Nothing of its own: a view of it shows every partition as it is, but for [`Partition::Journal`], in which it has no page.
    pub(crate) const fn none() -> Self {
        Self::new(Partition::Journal, 0, 0)
    }

    pub(crate) const fn new(partition: Partition, first: u32, pages: u32) -> Self {
        Self {
            partition,
            first,
            pages,
            retired: Vec::new(),
        }
    }

    /// The flash as this area's ring sees it: one partition with nothing else in it.
    pub(crate) fn view<'f, F: Flash>(&'f self, flash: &'f mut F) -> View<'f, F> {
        View { flash, area: self }
    }

    /// Pages in use.
    fn in_use(&self) -> u32 {
        let retired = u32::try_from(self.retired.len()).unwrap_or(u32::MAX);
        self.pages.saturating_sub(retired)
    }

    /// The page of the partition that is page `page` of this area.
    pub(crate) fn in_partition(&self, page: u32) -> u32 {
        let mut found = self.first.saturating_add(page);
        for retired in &self.retired {
            if u32::from(*retired) <= found {
                found = found.saturating_add(1);
            }
        }
        found
    }

    /// Takes a page of the partition out of use. False if it is not in this area, or too few would be left; nothing changes then.
    pub(crate) fn retire(&mut self, page: u32) -> bool {
        let Ok(number) = u16::try_from(page) else {
            return false;
        };
        let inside = page >= self.first && page.saturating_sub(self.first) < self.pages;
        if !inside || self.in_use() <= FEWEST_PAGES || self.retired.contains(&number) {
            return false;
        }
        let place = self
            .retired
            .iter()
            .position(|retired| *retired > number)
            .unwrap_or(self.retired.len());
        self.retired.insert(place, number).is_ok()
    }

    /// The pages of the partition that are out of use.
    pub(crate) fn retired(&self) -> &[u16] {
        &self.retired
    }
}

/// An area as a partition of its own: offsets begin at 0 and skip what is out of use. Other partitions are as they are.
///
/// Everything that reads and writes goes through a view, also where there is nothing to skip: two types of flash would be two copies of
/// the library in the image.
pub(crate) struct View<'f, F> {
    flash: &'f mut F,
    area: &'f Area,
}

impl<F: Flash> View<'_, F> {
    /// Where it is in the partition, if it lies in pages that follow each other there.
    fn place(&self, offset: u32, length: usize) -> Result<u32, FlashError> {
        let length = u32::try_from(length).map_err(|_| FlashError::OutOfRange)?;
        let end = offset.checked_add(length).ok_or(FlashError::OutOfRange)?;
        if end > self.size(self.area.partition) {
            return Err(FlashError::OutOfRange);
        }
        let first = offset / PAGE;
        let last = end.saturating_sub(u32::from(length > 0)) / PAGE;
        let start = self.area.in_partition(first);
        let straight = self.area.in_partition(last).checked_sub(start) == last.checked_sub(first);
        start
            .checked_mul(PAGE)
            .and_then(|start| start.checked_add(offset % PAGE))
            .filter(|_| straight)
            .ok_or(FlashError::OutOfRange)
    }
}

impl<F: Flash> Flash for View<'_, F> {
    fn size(&self, partition: Partition) -> u32 {
        if partition == self.area.partition {
            self.area.in_use().saturating_mul(PAGE)
        } else {
            self.flash.size(partition)
        }
    }

    fn read(
        &mut self,
        partition: Partition,
        offset: u32,
        bytes: &mut [u8],
    ) -> Result<(), FlashError> {
        if partition != self.area.partition {
            return self.flash.read(partition, offset, bytes);
        }
        let mut offset = offset;
        let mut rest = bytes;
        while !rest.is_empty() {
            let left = PAGE.saturating_sub(offset % PAGE);
            let length = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let (part, behind) = rest.split_at_mut(length);
            let place = self.place(offset, length)?;
            self.flash.read(partition, place, part)?;
            offset = offset.saturating_add(left);
            rest = behind;
        }
        Ok(())
    }

    fn write(&mut self, partition: Partition, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let place = if partition == self.area.partition {
            self.place(offset, bytes.len())?
        } else {
            offset
        };
        self.flash.write(partition, place, bytes)
    }

    fn erase(&mut self, partition: Partition, from: u32, to: u32) -> Result<(), FlashError> {
        let length = to.checked_sub(from).ok_or(FlashError::OutOfRange)?;
        let place = if partition == self.area.partition {
            self.place(from, usize::try_from(length).unwrap_or(usize::MAX))?
        } else {
            from
        };
        let end = place.checked_add(length).ok_or(FlashError::OutOfRange)?;
        self.flash.erase(partition, place, end)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::VirtualFlash;

    fn area() -> Area {
        Area::new(Partition::Journal, 2, 6)
    }

    fn pages(area: &Area) -> Vec<u32> {
        (0..area.in_use())
            .map(|page| area.in_partition(page))
            .collect()
    }

    #[test]
    fn retired_pages_are_skipped_and_the_rest_keep_their_order() {
        let mut area = area();
        assert_eq!(pages(&area), [2, 3, 4, 5, 6, 7]);
        assert!(area.retire(4));
        assert_eq!(pages(&area), [2, 3, 5, 6, 7]);
        assert!(area.retire(2));
        assert!(area.retire(3));
        assert_eq!(pages(&area), [5, 6, 7]);
        assert!(area.retire(7));
        assert_eq!(pages(&area), [5, 6]);
    }

    #[test]
    fn pages_elsewhere_twice_or_the_last_two_are_not_retired() {
        let mut area = area();
        for page in [0, 1, 8, 70_000] {
            assert!(!area.retire(page), "{page}");
        }
        for page in [3, 5, 6, 7] {
            assert!(area.retire(page), "{page}");
            assert!(!area.retire(page), "{page} again");
        }
        assert!(!area.retire(2));
        assert_eq!(pages(&area), [2, 4]);
    }

    #[test]
    fn a_view_reads_and_writes_its_own_pages_and_no_other() {
        let mut flash = VirtualFlash::with_sizes([0xA000, 0x2000, 0x2000, 0x2000]);
        let mut area = area();
        area.retire(3);
        let mut view = area.view(&mut flash);
        assert_eq!(view.size(Partition::Journal), 5 * PAGE);
        for page in 0..5 {
            view.write(Partition::Journal, page * PAGE + 8, &[0xAB; 4])
                .unwrap();
        }
        assert_eq!(
            view.write(Partition::Journal, 5 * PAGE, &[0; 4]),
            Err(FlashError::OutOfRange)
        );
        // From page 2 into page 4: to be read, but not one piece of flash to be written or erased.
        let mut bytes = [0; 24];
        view.read(Partition::Journal, PAGE - 8, &mut bytes).unwrap();
        assert_eq!(bytes[16..20], [0xAB; 4]);
        assert_eq!(
            view.write(Partition::Journal, PAGE - 4, &[0; 8]),
            Err(FlashError::OutOfRange)
        );
        assert_eq!(
            view.erase(Partition::Journal, 0, 2 * PAGE),
            Err(FlashError::OutOfRange)
        );
        view.erase(Partition::Journal, PAGE, 2 * PAGE).unwrap();
        let written: Vec<usize> = (0..10)
            .filter(|page| flash.contents(Partition::Journal)[page * 4096 + 8] == 0xAB)
            .collect();
        assert_eq!(written, [2, 5, 6, 7]);
    }
}
