//! What this crate relies on in the library's format on flash, which only changes with its major version.

use units::{Clock, Duration, PumpTime, WallTime};

use super::model::{Step, World};
use crate::{Flash, PAGE, Partition, WordState};

/// The first word of a page is written when it comes into use, the last when it is full, both as zeros; items begin at the second word
/// with a header of two words.
#[test]
fn pages_are_marked_in_the_first_and_last_word() {
    let mut world = World::small();
    let state = |world: &World, offset| {
        world
            .journal
            .flash()
            .word_state(Partition::Journal, offset)
            .unwrap()
    };
    assert_eq!(state(&world, 0), WordState::Erased);
    world.apply(&Step::Append(std::vec![0x11; 100]));
    assert_eq!(state(&world, 0), WordState::Written);
    assert_eq!(state(&world, PAGE - 4), WordState::Erased);
    let page = &world.journal.flash().contents(Partition::Journal)[..64];
    assert_eq!(page[..4], [0; 4]);
    // Header: CRC-32C, length, CRC-16 of the length; then the frame, which begins with sequence 0 and an extension of 18 bytes: the link
    // to no record and the anchor at the beginning of the chain.
    let length = u16::from_le_bytes([page[8], page[9]]);
    assert_eq!(page[12..14], [0, 18]);
    assert_eq!(page[14..32], [0; 18]);
    assert_eq!(page[32], 1, "kind");
    assert_eq!(length, 2 + 18 + 13 + 100);

    while state(&world, PAGE) == WordState::Erased {
        world.apply(&Step::Append(std::vec![0x11; 100]));
    }
    assert_eq!(state(&world, PAGE - 4), WordState::Written);
    let contents = world.journal.flash().contents(Partition::Journal);
    assert_eq!(contents[4092..4100], [0; 8]);
}

/// A value in a bank is an item like those of a ring, with the kind as two bytes before the frame.
#[test]
fn values_are_items_with_the_kind_before_them() {
    let mut world = World::small();
    world.apply(&Step::Put(crate::Kind(0x1234), std::vec![0x22; 8]));
    for partition in [Partition::StateA, Partition::StateB] {
        assert_eq!(world.journal.flash_mut().size(partition), 3 * PAGE);
        let contents = world.journal.flash().contents(partition);
        assert_eq!(contents[..4], [0; 4]);
        let key = contents
            .windows(2)
            .position(|bytes| bytes == [0x34, 0x12])
            .unwrap();
        assert_eq!(key % 4, 0, "items begin at words");
        assert_eq!(contents[key + 2], 2, "sequence: 1 was the boot");
    }
}

/// The longest envelope.
fn longest() -> crate::Envelope<'static> {
    crate::Envelope {
        kind: crate::Kind(u16::MAX - 1),
        version: 9,
        stamp: crate::Stamp {
            boot: u32::MAX - 9,
            monotonic: PumpTime::from_micros(u64::MAX),
            wall: Clock::Known {
                wall: WallTime::from_millis(u64::MAX),
                uncertainty: Duration::from_micros(u64::MAX),
            },
        },
        body: &[0x77; 400],
    }
}

/// A record as a later version may write it, with the longest body, the longest times and the longest extension this version steps over:
/// 512 bytes.
#[test]
fn the_longest_record_of_a_later_version_is_read() {
    use sequential_storage::cache::Cache;
    use sequential_storage::queue::{QueueConfig, QueueStorage};
    let longest = longest();
    let mut record = std::vec![0xFE, 0xFF, 0xFF, 0xFF, 0x0F, 64];
    record.extend([0xEE; 64]);
    let mut buffer = [0; crate::ENVELOPE_BYTES];
    let length = longest.encode(&mut buffer).unwrap();
    record.extend(&buffer[..length]);

    let mut world = World::small();
    world.apply(&Step::Append(b"of this version".to_vec()));
    let mut flash = world.flash();
    let mut erases = crate::port::Erases::allow(0);
    let region = crate::port::Region::new(&mut flash, Partition::Journal, &mut erases);
    let config = QueueConfig::try_new(0..3 * PAGE).unwrap();
    let mut queue = QueueStorage::new(region, config, Cache::new_uncached());
    embassy_futures::block_on(queue.push(&record, true)).unwrap();

    let (mut journal, _) = crate::Journal::open(flash).unwrap();
    let mut seen = std::vec![];
    journal
        .read(crate::Log::Events, |record| {
            seen.push((record.sequence, record.envelope == longest))
        })
        .unwrap();
    assert_eq!(seen, [(0, false), (u32::MAX - 1, true)]);
    // One more number is left, and then none: said, not wrapped.
    let event = super::model::envelope(super::model::EVENT, 1, b"last");
    journal.append(&event).unwrap();
    assert_eq!(
        journal.append(&event),
        Err(crate::JournalError::SequenceExhausted)
    );
}

/// An item of the longest length there is, in a bank: key, frame with the longest extension, check; not a multiple of a word.
#[test]
fn the_longest_value_of_a_later_version_is_read() {
    use crate::frame::{Frame, ITEM_BYTES};
    use sequential_storage::cache::Cache;
    use sequential_storage::map::{MapConfig, MapStorage};

    let envelope = longest();
    let mut extended = std::vec![0xF0, 0xFF, 0xFF, 0xFF, 0x0F, 64];
    extended.extend([0xEE; 64]);
    let mut buffer = [0; crate::ENVELOPE_BYTES];
    let length = envelope.encode(&mut buffer).unwrap();
    extended.extend(&buffer[..length]);
    let check = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&extended);
    extended.extend(check.to_le_bytes());
    assert_eq!(Frame::decode_state(&extended).unwrap().envelope, envelope);
    assert_eq!(2 + extended.len(), 518);

    // The only value of a pump whose index does not know it: taken for what it is where nothing else can be trusted.
    let mut flash = crate::VirtualFlash::with_sizes([0x4000, 0x2000, 0x2000, 0x2000]);
    for partition in [Partition::StateA, Partition::StateB] {
        let mut erases = crate::port::Erases::allow(0);
        let region = crate::port::Region::new(&mut flash, partition, &mut erases);
        let config = MapConfig::try_new(0..2 * PAGE).unwrap();
        let mut map = MapStorage::<u16, _, _>::new(region, config, Cache::new_uncached());
        let mut scratch = [0; ITEM_BYTES];
        embassy_futures::block_on(map.store_item(&mut scratch, &envelope.kind.0, &&extended[..]))
            .unwrap();
    }
    let (mut journal, opening) = crate::Journal::open(flash).unwrap();
    assert_eq!(opening.state, crate::StateCondition::Incomplete);
    let mut body = [0; 400];
    let found = journal.get(envelope.kind, &mut body).unwrap();
    assert_eq!(found.unwrap().body, [0x77; 400]);
}
