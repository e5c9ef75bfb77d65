//! The journal's own value of state: the boot number, and which value of each kind is the newest.
//!
//! The index is written behind every value. Without it, a value whose two copies have both gone bad would silently give way to the
//! older value that is still on the page, and the pump would run an older program than the one it acknowledged.

use heapless::Vec;

use crate::envelope::Kind;
use crate::wire::{Reader, Writer};

/// Most kinds of state that can be kept.
pub const KINDS: usize = 32;

/// Version of the index's body. 1 added the retired pages.
pub(crate) const INDEX_VERSION: u8 = 1;

/// Most pages out of use in all rings together that are remembered over a reset.
pub(crate) const RETIRED_PAGES: usize = 12;

/// Longest body of the index, bytes: boot 5, forgotten 1, count 1, 3 + 5 for each kind; count 1, and 1 + 3 for each retired page.
pub(crate) const INDEX_BYTES: usize = KINDS
    .saturating_mul(8)
    .saturating_add(RETIRED_PAGES.saturating_mul(4))
    .saturating_add(8);

/// A page that no longer erases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retired {
    /// Which ring's: 0 events, 1 critical events, 2 checkpoints.
    pub(crate) ring: u8,
    /// Its number in the partition.
    pub(crate) page: u16,
}

/// The newest value of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    /// Sequence number of its newest acknowledged value, or a newer one that is whole.
    pub(crate) sequence: u32,
}

/// What every bank says about itself, behind each value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    /// The last boot number given.
    pub(crate) boot: u32,
    /// Whether state was lost once so thoroughly that it is not known which kinds there were.
    pub(crate) forgotten: bool,
    pub(crate) entries: Vec<Entry, KINDS>,
    /// Pages of the rings that are out of use.
    pub(crate) retired: Vec<Retired, RETIRED_PAGES>,
}

impl Index {
    /// The newest acknowledged sequence number of a kind.
    pub(crate) fn sequence(&self, kind: Kind) -> Option<u32> {
        self.entries
            .iter()
            .find(|entry| entry.kind == kind)
            .map(|entry| entry.sequence)
    }

    /// Notes a newer value of a kind; `None` when there is no room for one more kind.
    pub(crate) fn note(&mut self, kind: Kind, sequence: u32) -> Option<()> {
        match self.entries.iter_mut().find(|entry| entry.kind == kind) {
            Some(entry) => {
                entry.sequence = entry.sequence.max(sequence);
                Some(())
            }
            None => self.entries.push(Entry { kind, sequence }).ok(),
        }
    }

    /// Writes the body: boot, forgotten, number of entries, kind and sequence of each; number of retired pages, ring and page of each.
    pub(crate) fn encode<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let mut writer = Writer::new(buffer);
        writer.put(&self.boot)?;
        writer.put(&self.forgotten)?;
        writer.put(&self.entries.len())?;
        for entry in &self.entries {
            writer.put(&entry.kind.0)?;
            writer.put(&entry.sequence)?;
        }
        writer.put(&self.retired.len())?;
        for retired in &self.retired {
            writer.put(&retired.ring)?;
            writer.put(&retired.page)?;
        }
        let used = writer.used();
        buffer.get(..used)
    }

    /// Reads a body of this version or of version 0, which ends before the retired pages; `None` for anything else.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let boot = reader.take()?;
        let forgotten = reader.take()?;
        let count: usize = reader.take()?;
        let mut entries = Vec::new();
        for _ in 0..count {
            entries
                .push(Entry {
                    kind: Kind(reader.take()?),
                    sequence: reader.take()?,
                })
                .ok()?;
        }
        let mut retired = Vec::new();
        if !reader.rest().is_empty() {
            let count: usize = reader.take()?;
            for _ in 0..count {
                retired
                    .push(Retired {
                        ring: reader.take()?,
                        page: reader.take()?,
                    })
                    .ok()?;
            }
        }
        reader.rest().is_empty().then_some(Self {
            boot,
            forgotten,
            entries,
            retired,
        })
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn longest_index_fits() {
        let mut index = Index {
            boot: u32::MAX,
            forgotten: true,
            ..Index::default()
        };
        for page in 0..12 {
            let retired = Retired {
                ring: u8::MAX,
                page: u16::MAX - page,
            };
            assert!(index.retired.push(retired).is_ok());
        }
        for kind in 0..32 {
            assert!(index.note(Kind(u16::MAX - kind), u32::MAX).is_some());
        }
        assert!(index.note(Kind(1), 1).is_none(), "33rd kind");
        let mut buffer = [0; INDEX_BYTES];
        let bytes = index.encode(&mut buffer).unwrap();
        assert!(bytes.len() <= INDEX_BYTES);
        assert_eq!(Index::decode(bytes), Some(index));
    }

    #[test]
    fn a_body_of_version_0_is_read() {
        let index = Index::decode(&[7, 1, 1, 16, 9]).unwrap();
        assert_eq!((index.boot, index.forgotten), (7, true));
        assert_eq!(index.sequence(Kind(16)), Some(9));
        assert!(index.retired.is_empty());
    }

    #[test]
    fn a_kind_is_named_once_with_its_newest_value() {
        let mut index = Index::default();
        index.note(Kind(1), 10);
        index.note(Kind(2), 20);
        index.note(Kind(1), 30);
        index.note(Kind(2), 15);
        assert_eq!(index.entries.len(), 2);
        assert_eq!(index.sequence(Kind(1)), Some(30));
        assert_eq!(index.sequence(Kind(2)), Some(20));
        assert_eq!(index.sequence(Kind(3)), None);
    }

    proptest! {
        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            Index::decode(&bytes);
        }
    }
}
