//! The journal's own value of state: the boot number, and which value of each kind is the newest.
//!
//! The index is written behind every value. Without it, a value whose two copies have both gone bad would silently give way to the
//! older value that is still on the page, and the pump would run an older program than the one it acknowledged.

use heapless::Vec;

use crate::envelope::Kind;
use crate::wire::{Reader, Writer};

/// Most kinds of state that can be kept.
pub const KINDS: usize = 32;

/// Version of the index's body.
pub(crate) const INDEX_VERSION: u8 = 0;

/// Longest body of the index, bytes: boot 5, forgotten 1, count 1, and 3 + 5 for each kind.
pub(crate) const INDEX_BYTES: usize = KINDS.saturating_mul(8).saturating_add(7);

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

    /// Writes the body: boot, forgotten, number of entries, then kind and sequence of each.
    pub(crate) fn encode<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let mut writer = Writer::new(buffer);
        writer.put(&self.boot)?;
        writer.put(&self.forgotten)?;
        writer.put(&self.entries.len())?;
        for entry in &self.entries {
            writer.put(&entry.kind.0)?;
            writer.put(&entry.sequence)?;
        }
        let used = writer.used();
        buffer.get(..used)
    }

    /// Reads a body of this version; `None` for anything else.
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
        reader.rest().is_empty().then_some(Self {
            boot,
            forgotten,
            entries,
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
            entries: Vec::new(),
        };
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
