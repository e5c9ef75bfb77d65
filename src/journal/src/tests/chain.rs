//! The chain over the logs: what it shows, and where it says that it is.

use std::format;
use std::println;
use std::string::String;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::model::{EVENT, Random, Step, World, envelope, records, seeds, steps, verify};
use crate::Finding::{AnchorMismatch, BeginsAnew, Missing, NotFollowing, OutOfOrder, Unlinked};
use crate::frame::Frame;
use crate::{
    ANCHOR_EVERY, Envelope, Flash, FlashError, Head, Journal, Kind, Link, Log, PAGE, Partition,
    Position, RECORD_BYTES, Record, RingCondition, Verifier, VirtualFlash,
};

const KEY: [u8; 32] = *b"a key of 32 bytes, for the tests";
const SMALL: [u32; 4] = [0x6000, 0x2000, 0x2000, 0x2000];

/// The records of a log of so many events, without a flash; every 128th bears an anchor.
fn chain(count: u32) -> Vec<Vec<u8>> {
    chain_of((0..count).map(|number| number.to_le_bytes().to_vec()))
}

/// The records of a log of events with these bodies.
fn chain_of(bodies: impl IntoIterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let mut records: Vec<Vec<u8>> = vec![];
    let mut position = None;
    for (sequence, body) in (0_u32..).zip(bodies) {
        let link = Position::next_link(position, sequence.is_multiple_of(ANCHOR_EVERY));
        let bytes = encode(sequence, link, envelope(EVENT, 1, &body));
        let record = Record::decode(&bytes).unwrap();
        position = Some(Position::behind(position, &record));
        records.push(bytes);
    }
    records
}

fn encode(sequence: u32, link: Link, envelope: Envelope<'_>) -> Vec<u8> {
    let frame = Frame {
        sequence,
        link,
        envelope,
    };
    frame.encode(&mut [0; RECORD_BYTES]).unwrap().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where the chain stands behind these records.
fn end(records: &[Vec<u8>]) -> Position {
    verify(Verifier::new(), records).1.unwrap()
}

/// The last anchor at or before a record of a log that was read from `first` on.
fn anchor_before(sequence: u32, first: u32) -> u32 {
    (sequence / ANCHOR_EVERY * ANCHOR_EVERY).max(first)
}

fn anchor_behind(sequence: u32) -> u32 {
    (sequence / ANCHOR_EVERY + 1) * ANCHOR_EVERY
}

fn at(number: u32) -> usize {
    usize::try_from(number).unwrap()
}

/// Bytes that are in pumps, for whoever writes a reader of their own (docs/journal.md). Made with Python's hashlib, not with this crate.
#[test]
fn the_chain_is_pinned() {
    let records = chain_of((0..=ANCHOR_EVERY).map(|number| match number {
        0 => b"first".to_vec(),
        1 => vec![],
        _ => number.to_le_bytes().to_vec(),
    }));
    for (number, bytes, link, state) in [
        (
            0,
            "00120000000000000000000000000000000000000101015a901ca097eeca0601056669727374",
            "f615",
            "3df933c2788abe94ce6c7c40e15152e2",
        ),
        (
            1,
            "0102f6150101015a901ca097eeca060100",
            "6c95",
            "a3ffcb9a5bc567e644d8c3ccaf8d1399",
        ),
        (
            2,
            "02026c950101015a901ca097eeca06010402000000",
            "cdab",
            "21f1799f50ef963d1d045a2855202209",
        ),
        (
            128,
            "800112d17322e94195c99b1932022b9e99c9c15da90101015a901ca097eeca06010480000000",
            "a5e0",
            "8c98c50ab6b500b2f3eec9cfe790eeb7",
        ),
    ] {
        assert_eq!(hex(&records[number]), bytes, "record {number}");
        let position = end(&records[..=number]);
        assert_eq!(hex(&position.link), link, "behind record {number}");
        assert_eq!(hex(&position.state.unwrap()), state, "behind {number}");
    }
    let state = end(&records).state.unwrap();
    let head = Head::sign(&KEY, Log::Critical, ANCHOR_EVERY, state, 7);
    assert_eq!(hex(&head.signature), "c18d0e5420d66df0623d95f12c4d85d8");
}

/// What the journal writes is that chain, over page turns and resets, in both logs, and its anchors are where the rule wants them.
#[test]
fn the_journal_writes_the_chain() {
    for length in [1, 30, 200, 400] {
        let (mut journal, _) = Journal::open(VirtualFlash::with_sizes(SMALL)).unwrap();
        let body = |number: u32| vec![u8::try_from(number % 251).unwrap(); length];
        let mut written: Vec<Vec<u8>> = vec![];
        let mut position = None;
        // Records and bytes since the last anchor, and whether its page may have been left before the last reset.
        let (mut since, mut bytes) = (0, 0);
        let mut anchors = 0;
        for number in 0..500_u32 {
            let reset = number % 190 == 189;
            if reset {
                journal = Journal::open(journal.into_flash()).unwrap().0;
            }
            let body = body(number);
            let event = envelope(EVENT, 1, &body);
            journal.append_critical(&event).unwrap();
            for log in Log::ALL {
                let newest = records(&mut journal, log).pop().unwrap();
                let record = Record::decode(&newest).unwrap();
                let anchored = matches!(record.link, Link::Anchor { .. });
                if log == Log::Critical {
                    assert!(anchored || since < ANCHOR_EVERY && bytes < 3_000);
                    assert!(
                        !anchored
                            || reset
                            || number == 0
                            || since >= ANCHOR_EVERY
                            || bytes >= 3_000
                    );
                    anchors += u32::from(anchored);
                    if anchored {
                        (since, bytes) = (0, 0);
                    }
                    since += 1;
                    bytes += newest.len().next_multiple_of(4) + 8;
                    let link = Position::next_link(position, anchored);
                    assert_eq!(newest, encode(number, link, event));
                    position = Some(Position::behind(position, &record));
                    written.push(newest);
                }
            }
            assert_eq!(journal.position(Log::Critical), position);
        }
        assert!(anchors > 4, "{anchors}");
        let kept = records(&mut journal, Log::Critical);
        assert_eq!(kept, written[500 - kept.len()..]);
    }
}

/// A ring of two pages is reset while only one of them holds records: its chain goes on, whatever the length of the records.
#[test]
fn one_full_page_is_enough_to_go_on_with() {
    for length in (0..400).step_by(13) {
        let mut world = World::on(VirtualFlash::with_sizes([0x4000, 0x2000, 0x2000, 0x2000]));
        let mut random = Random(length);
        for _ in 0..400 {
            let length = match length % 3 {
                0 => length,
                _ => random.below(length + 1),
            };
            let body = vec![0x5A; usize::try_from(length).unwrap()];
            world.apply(&Step::Critical(body));
            let mut flash = world.flash();
            // The older page of each ring, as after an erase and before the next write.
            for ring in 0..2 {
                let page = |page: u32| (2 * ring + page) * PAGE;
                let full = |page| flash.word_state(Partition::Journal, page + PAGE - 4);
                for one in [page(0), page(1)] {
                    if full(one) == Some(crate::WordState::Written) {
                        let other = page(0) + page(1) - one;
                        flash
                            .erase(Partition::Journal, other, other + PAGE)
                            .unwrap();
                        break;
                    }
                }
            }
            let (_, opening) = Journal::open(flash).unwrap();
            assert!(opening.chained, "{length}");
        }
    }
}

/// Whatever its length, and from whichever record it is read.
#[test]
fn an_undisturbed_log_has_no_findings_wherever_reading_begins() {
    let records = chain(2 * ANCHOR_EVERY + 50);
    for from in 0..records.len() {
        let (findings, position) = verify(Verifier::new(), &records[from..]);
        assert_eq!(findings, [], "from {from}");
        let whole = end(&records);
        let position = position.unwrap();
        assert_eq!(
            (position.sequence, position.link),
            (whole.sequence, whole.link)
        );
        // From the first anchor on the state is known again.
        let anchored = from <= at(2 * ANCHOR_EVERY);
        assert_eq!(position.state, whole.state.filter(|_| anchored), "{from}");
    }
    // And every length, through a journal whose pages turn, from the start of every page that is kept.
    let (mut journal, _) = Journal::open(VirtualFlash::with_sizes(SMALL)).unwrap();
    let mut checked = 0;
    for number in 0..900_u32 {
        let body = vec![0xFF; at(number % 9)];
        journal.append(&envelope(EVENT, 1, &body)).unwrap();
        if number % 7 != 0 {
            continue;
        }
        let kept = self::records(&mut journal, Log::Events);
        let (findings, position) = verify(Verifier::new(), &kept);
        assert_eq!(findings, [], "{number}");
        assert_eq!(position, journal.position(Log::Events), "{number}");
        checked += 1;
    }
    assert!(checked > 100);
}

#[test]
fn a_removed_record_is_missing_where_it_was() {
    let records = chain(300);
    for number in 0..300 {
        let mut cut = records.clone();
        cut.remove(at(number));
        let (findings, position) = verify(Verifier::new(), &cut);
        let removed = Missing {
            from: number,
            to: number,
        };
        match number {
            // A log that begins later, and one that ends earlier: nobody can tell who has not seen its head or more of it.
            0 | 299 => assert_eq!(findings, []),
            _ => assert_eq!(findings, [removed], "{number}"),
        }
        // The next anchor takes the chain up again.
        let taken_up = number < 2 * ANCHOR_EVERY || number == 299;
        assert_eq!(position.unwrap().state.is_some(), taken_up, "{number}");
        assert_eq!(position == Some(end(&records)), taken_up && number != 299);
    }
}

/// Any byte of any record changed so that it still is a record. The finding is at the record itself or at the one behind it, whose link
/// it breaks, and again at the next anchor.
#[test]
fn a_changed_record_is_shown_where_it_is() {
    let records = chain(300);
    let whole = end(&records);
    let mut random = Random(1);
    let mut changes = 0;
    let mut lost = 0;
    for number in 0..300_u32 {
        let original = &records[at(number)];
        let before = Record::decode(original).unwrap();
        for place in 0..original.len() {
            for round in 0..6 {
                let mut bytes = original.clone();
                bytes[place] ^= match round {
                    0 => 1,
                    1 => 0x80,
                    _ => u8::try_from(1 + random.below(255)).unwrap(),
                };
                let Some(changed) = Record::decode(&bytes) else {
                    // Not a record any more: no reader gets to see it, and it is missing.
                    lost += 1;
                    continue;
                };
                changes += 1;
                let what = format!("record {number}, byte {place}, {changed:?}");
                let mut all = records.clone();
                all[at(number)].clone_from(&bytes);
                let (findings, position) = verify(Verifier::new(), &all);
                if number == 299 {
                    // The newest: the head tells.
                    assert_ne!(position, Some(whole), "{what}");
                }
                if changed.sequence != number {
                    let expected = if changed.sequence > number {
                        Some(Missing {
                            from: number,
                            to: changed.sequence - 1,
                        })
                    } else {
                        Some(OutOfOrder {
                            sequence: changed.sequence,
                            after: number.saturating_sub(1),
                        })
                    };
                    if number > 0 {
                        assert_eq!(findings.first(), expected.as_ref(), "{what}");
                    } else {
                        assert!(!findings.is_empty(), "{what}");
                    }
                    continue;
                }
                let link = |record: &Record<'_>| match record.link {
                    Link::Missing => None,
                    Link::After(link) | Link::Anchor { link, .. } => Some(link),
                };
                let state = |record: &Record<'_>| match record.link {
                    Link::Anchor { state, .. } => Some(state),
                    _ => None,
                };
                let mut expected = vec![];
                if link(&changed).is_none() {
                    expected.push(Unlinked { sequence: number });
                } else if number > 0 && link(&changed) != link(&before) {
                    expected.push(NotFollowing { sequence: number });
                }
                if number > 0 && state(&changed).is_some() && state(&changed) != state(&before) {
                    expected.push(AnchorMismatch {
                        from: anchor_before(number - 1, 0),
                        sequence: number,
                    });
                }
                if number < 299 {
                    expected.push(NotFollowing {
                        sequence: number + 1,
                    });
                    if anchor_behind(number) < 300 {
                        expected.push(AnchorMismatch {
                            from: anchor_before(number, 0),
                            sequence: anchor_behind(number),
                        });
                    }
                }
                // One hash in 65,536 begins with the same two bytes. None of these does, or the anchor alone would tell.
                assert_eq!(findings, expected, "{what}");
            }
        }
    }
    println!("{changes} changed records that are records, {lost} that are none");
    assert!(changes > 20_000);
}

#[test]
fn an_unlinked_record_and_an_anchor_of_nothing_are_said() {
    let records = chain(200);
    let replaced = |number: u32, link: Link| {
        let mut all = records.clone();
        let body = number.to_le_bytes();
        all[at(number)] = encode(number, link, envelope(EVENT, 1, &body));
        verify(Verifier::new(), &all).0
    };
    assert_eq!(
        replaced(50, Link::Missing),
        [
            Unlinked { sequence: 50 },
            NotFollowing { sequence: 51 },
            AnchorMismatch {
                from: 0,
                sequence: 128
            }
        ]
    );
    let beginning = Link::Anchor {
        link: end(&records[..50]).link,
        state: [0; 16],
    };
    assert_eq!(
        replaced(50, beginning),
        [
            BeginsAnew { sequence: 50 },
            NotFollowing { sequence: 51 },
            AnchorMismatch {
                from: 50,
                sequence: 128
            }
        ]
    );
}

#[test]
fn exchanged_records_are_shown() {
    let records = chain(300);
    for (one, other) in [
        (0, 1),
        (10, 11),
        (10, 40),
        (100, 200),
        (127, 128),
        (298, 299),
    ] {
        // In each other's places.
        let mut all = records.clone();
        all.swap(at(one), at(other));
        let mut expected = vec![];
        if one > 0 {
            expected.push(Missing {
                from: one,
                to: other - 1,
            });
        }
        expected.extend((one + 1..other).chain([one]).map(|sequence| OutOfOrder {
            sequence,
            after: other,
        }));
        assert_eq!(verify(Verifier::new(), &all).0, expected, "{one} {other}");

        // With each other's numbers too, as somebody would who can write a CRC.
        let mut all = records.clone();
        for (place, from) in [(one, other), (other, one)] {
            let record = Record::decode(&records[at(from)]).unwrap();
            all[at(place)] = encode(place, record.link, record.envelope);
        }
        let (findings, position) = verify(Verifier::new(), &all);
        let first = if one == 0 {
            // The anchor of number 0 in another place.
            BeginsAnew { sequence: 1 }
        } else {
            NotFollowing { sequence: one }
        };
        assert_eq!(findings.first(), Some(&first), "{one} {other}");
        if other < 299 {
            assert!(findings.contains(&NotFollowing {
                sequence: other + 1
            }));
        }
        // An anchor behind both takes up what was written there.
        assert_eq!(position == Some(end(&records)), other < 256);
    }
}

#[test]
fn a_run_of_records_played_again_is_shown() {
    let records = chain(300);
    for (from, to) in [(0, 0), (10, 20), (100, 140), (250, 299)] {
        let mut all = records.clone();
        let run = all[from..=to].to_vec();
        all.splice(to + 1..to + 1, run);
        let (findings, position) = verify(Verifier::new(), &all);
        let after = u32::try_from(to).unwrap();
        let expected: Vec<_> = (u32::try_from(from).unwrap()..=after)
            .map(|sequence| OutOfOrder { sequence, after })
            .collect();
        assert_eq!(findings, expected);
        assert_eq!(position, Some(end(&records)), "what follows still follows");
    }
}

/// A shorter log is a whole log: only a head that was seen before shows that there was more.
#[test]
fn a_tail_that_was_cut_is_shown_by_the_head() {
    let records = chain(300);
    let whole = end(&records);
    let head = Head::sign(&KEY, Log::Events, 299, whole.state.unwrap(), 1);
    for length in 1..300 {
        let (findings, position) = verify(Verifier::new(), &records[..length]);
        assert_eq!(findings, []);
        let position = position.unwrap();
        assert!(position.sequence < head.sequence);
        assert_ne!(position.state, Some(head.state));
    }
    assert_eq!(whole.sequence, head.sequence);
    assert_eq!(whole.state, Some(head.state));
}

#[test]
fn reading_goes_on_where_it_was_left() {
    let records = chain(300);
    for kept in [1, 64, 127, 128, 129, 200] {
        let behind = || Verifier::behind(end(&records[..kept]));
        let number = u32::try_from(kept).unwrap();
        let (findings, position) = verify(behind(), &records[kept..]);
        assert_eq!((findings, position), (vec![], Some(end(&records))));
        assert_eq!(
            verify(behind(), &records[kept + 3..]).0,
            [Missing {
                from: number,
                to: number + 2
            }]
        );
        assert_eq!(
            verify(behind(), &records[kept - 1..kept]).0,
            [OutOfOrder {
                sequence: number - 1,
                after: number - 1
            }]
        );
        // Another pump's records, or these after somebody has rewritten all that was there.
        let other = chain_of((0..300_u32).map(|number| vec![u8::try_from(number % 251).unwrap()]));
        let anchored = number.is_multiple_of(ANCHOR_EVERY);
        let mut expected = vec![NotFollowing { sequence: number }];
        let anchor = if anchored {
            number
        } else {
            anchor_behind(number)
        };
        if anchor < 300 {
            expected.push(AnchorMismatch {
                from: number,
                sequence: anchor,
            });
        }
        assert_eq!(verify(behind(), &other[kept..]).0, expected, "{kept}");
    }
}

/// A reader that knows nothing of a kind, of a version or of what a later firmware puts behind the link still checks the chain, and this
/// firmware goes on with the chain of a later one.
#[test]
fn what_a_later_version_writes_is_chained_too() {
    let mut records: Vec<Vec<u8>> = vec![];
    let mut position = None;
    for sequence in 0..300_u32 {
        let link = Position::next_link(position, sequence.is_multiple_of(ANCHOR_EVERY));
        let body = sequence.to_le_bytes();
        let later = Envelope {
            version: 255,
            ..envelope(Kind(60_000), 1, &body)
        };
        let mut bytes = encode(sequence, link, later);
        let extended = sequence % 3;
        if extended > 0 {
            // Behind the anchor, or a link with an anchor that this version reads as one.
            let place = if sequence < 128 { 1 } else { 2 };
            let length = usize::from(bytes[place]);
            let behind = place + 1 + length;
            if length == 18 {
                bytes.splice(behind..behind, [0xEE; 9]);
                bytes[place] += 9;
            } else if extended == 1 {
                bytes.splice(behind..behind, [0xEE; 2]);
                bytes[place] += 2;
            }
        }
        let record = Record::decode(&bytes).unwrap();
        assert_eq!(record.link, link);
        assert_eq!(record.envelope, later);
        position = Some(Position::behind(position, &record));
        records.push(bytes);
    }
    assert_eq!(verify(Verifier::new(), &records), (vec![], position));

    let mut flash = VirtualFlash::with_sizes([0x1_0000, 0x2000, 0x2000, 0x2000]);
    for bytes in &records {
        push_raw(&mut flash, 12, bytes);
    }
    let (mut journal, opening) = Journal::open(flash).unwrap();
    assert!(opening.chained);
    assert_eq!(journal.position(Log::Events), position);
    journal.append(&envelope(EVENT, 1, b"older")).unwrap();
    let all = self::records(&mut journal, Log::Events);
    assert_eq!(all.len(), 301);
    assert_eq!(verify(Verifier::new(), &all).0, []);
}

/// Writes an item into the log of events, in so many pages, as a later firmware may.
fn push_raw(flash: &mut VirtualFlash, pages: u32, bytes: &[u8]) {
    use sequential_storage::cache::Cache;
    use sequential_storage::queue::{QueueConfig, QueueStorage};
    let mut erases = crate::port::Erases::allow(1);
    let region = crate::port::Region::new(flash, Partition::Journal, &mut erases);
    let config = QueueConfig::try_new(0..pages * PAGE).unwrap();
    let mut queue = QueueStorage::new(region, config, Cache::new_uncached());
    embassy_futures::block_on(queue.push(bytes, true)).unwrap();
}

#[test]
fn a_head_vouches_for_one_log_at_one_place_under_one_key() {
    let mut world = World::on(VirtualFlash::with_sizes(SMALL));
    let journal = &mut world.journal;
    assert_eq!(journal.head(Log::Events), Ok(None), "no key, no record");
    journal
        .append_critical(&envelope(EVENT, 1, b"one"))
        .unwrap();
    assert_eq!(journal.head(Log::Events), Ok(None), "no key");
    journal.make_key(&KEY).unwrap();
    assert_eq!(journal.key(), Ok(Some(KEY)));
    for number in 0..200_u8 {
        journal.append(&envelope(EVENT, 1, &[number])).unwrap();
    }
    for log in Log::ALL {
        let head = journal.head(log).unwrap().unwrap();
        let position = journal.position(log).unwrap();
        assert_eq!(
            (head.log, head.sequence, Some(head.state), head.boot),
            (log, position.sequence, position.state, 1)
        );
        let kept = records(journal, log);
        assert_eq!(verify(Verifier::new(), &kept).1, Some(position));
        assert!(head.is_signed_with(&KEY));
        for bit in 0..256 {
            let mut other = KEY;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!head.is_signed_with(&other), "key bit {bit}");
        }
        let other_log = match log {
            Log::Events => Log::Critical,
            Log::Critical => Log::Events,
        };
        let mut forged = vec![Head {
            log: other_log,
            ..head
        }];
        for bit in 0..32 {
            forged.push(Head {
                sequence: head.sequence ^ (1 << bit),
                ..head
            });
            forged.push(Head {
                boot: head.boot ^ (1 << bit),
                ..head
            });
        }
        for bit in 0..128 {
            let (mut state, mut signature) = (head.state, head.signature);
            state[bit / 8] ^= 1 << (bit % 8);
            signature[bit / 8] ^= 1 << (bit % 8);
            forged.push(Head { state, ..head });
            forged.push(Head { signature, ..head });
        }
        for forged in forged {
            assert!(!forged.is_signed_with(&KEY), "{forged:?}");
        }
    }
    // The key and the chain outlive a reset; the head says in which boot it was signed.
    let before = journal.head(Log::Events).unwrap().unwrap();
    let (mut journal, _) = Journal::open(world.flash()).unwrap();
    let after = journal.head(Log::Events).unwrap().unwrap();
    assert_eq!(
        (after.sequence, after.state),
        (before.sequence, before.state)
    );
    assert_eq!(after.boot, 2);
    assert!(after.is_signed_with(&KEY));
    assert_ne!(after.signature, before.signature);
}

/// One record of each log damaged at rest. The chain begins anew only if nothing that can be read ties its end to what was before: the
/// damaged record is the last anchor or lies behind it, and is not the newest. The newest is no more there for the pump than a
/// write that was cut: its number is given again, and only a head tells.
#[test]
fn the_chain_begins_anew_after_real_damage_and_only_then() {
    let mut anew = 0;
    for newest in [3_u32, 85, 86, 100, 130, 190, 210, 299] {
        let mut world = World::on(VirtualFlash::with_sizes([0x8000, 0x2000, 0x2000, 0x2000]));
        world.journal.make_key(&KEY).unwrap();
        for number in 0..=newest {
            let body = [&number.to_le_bytes()[..], b"body"].concat();
            world.journal.append(&envelope(EVENT, 1, &body)).unwrap();
        }
        let head = world.journal.head(Log::Events).unwrap().unwrap();
        let mut last_anchor = 0;
        world
            .journal
            .read(Log::Events, |record| {
                if matches!(record.link, Link::Anchor { .. }) {
                    last_anchor = record.sequence;
                }
            })
            .unwrap();
        for damaged in 0..=newest {
            if damaged % 5 != 0 && damaged + 5 < last_anchor {
                continue;
            }
            let mut flash = world.flash();
            let body = [&damaged.to_le_bytes()[..], b"body"].concat();
            let contents = flash.contents(Partition::Journal);
            let place = contents.windows(8).position(|bytes| bytes == body);
            flash.flip_bit(
                Partition::Journal,
                u32::try_from(place.unwrap()).unwrap(),
                2,
            );
            let (mut journal, opening) = Journal::open(flash).unwrap();
            let what = format!("record {damaged} of {newest}");
            let broken = damaged >= last_anchor && damaged < newest;
            assert_eq!(opening.chained, !broken, "{what}");
            assert_eq!(journal.head(Log::Events).unwrap().is_none(), broken);
            for _ in 0..2 {
                journal.append(&envelope(EVENT, 2, b"next")).unwrap();
                assert!(journal.head(Log::Events).unwrap().is_some());
            }
            let kept = records(&mut journal, Log::Events);
            let mut expected = vec![];
            if damaged < newest && damaged > 0 {
                expected.push(Missing {
                    from: damaged,
                    to: damaged,
                });
            }
            if broken {
                anew += 1;
                expected.push(BeginsAnew {
                    sequence: newest + 1,
                });
            }
            assert_eq!(verify(Verifier::new(), &kept).0, expected, "{what}");
            // Against the head from before the damage.
            let mut verifier = Verifier::new();
            let mut vouched = false;
            for bytes in &kept {
                let record = Record::decode(bytes).unwrap();
                verifier.take(&record, |_| ());
                if record.sequence == head.sequence {
                    vouched = verifier.position().unwrap().state == Some(head.state);
                }
            }
            // What was damaged before the last anchor is missing, and the rest is as it was; or the head's state is not reached.
            assert_eq!(vouched, damaged < last_anchor, "{what}");
            // The next boot has a chain to go on with.
            let (_, opening) = Journal::open(journal.into_flash()).unwrap();
            assert!(opening.chained, "{what}");
        }
    }
    println!("{anew} chains begun anew");
    assert!(anew > 100);
}

/// A log of which nothing can be read is not one that can be continued, although it begins at number 0.
#[test]
fn an_unreadable_log_is_not_continued() {
    let mut world = World::on(VirtualFlash::with_sizes(SMALL));
    world.apply(&Step::Critical(b"event".to_vec()));
    for offset in [0, 0x4000] {
        let mut flash = world.flash();
        flash.damage(Partition::Journal, offset, &[0x5A; 1_000]);
        let (_, opening) = Journal::open(flash).unwrap();
        let unreadable =
            [opening.events, opening.critical].map(|one| one == RingCondition::Unreadable);
        assert_eq!(unreadable, [offset == 0, offset > 0]);
        assert!(!opening.chained);
    }
}

/// Collects a log piece by piece.
fn collect(
    journal: &mut Journal<VirtualFlash>,
    log: Log,
    from: u32,
    buffer: usize,
) -> Vec<Vec<u8>> {
    let mut collected = vec![];
    let mut from = from;
    loop {
        let mut buffer = vec![0; buffer];
        let part = journal.read_from(log, from, &mut buffer).unwrap();
        assert_eq!(part.newest, journal.position(log).map(|end| end.sequence));
        let mut rest = &buffer[..part.used];
        while !rest.is_empty() {
            let (length, behind) = rest.split_first_chunk::<2>().unwrap();
            let (record, behind) = behind.split_at(usize::from(u16::from_le_bytes(*length)));
            collected.push(record.to_vec());
            rest = behind;
        }
        if part.used == 0 {
            return collected;
        }
        assert!(part.next > from);
        from = part.next;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(u32::try_from(seeds(60).end).unwrap()))]

    /// Every record that can be read and fits the buffer, once and in order, from any number, whatever turns and damage there were.
    #[test]
    fn a_log_is_read_piece_by_piece(
        seed: u64,
        count in 0..400_u32,
        damaged in prop::collection::vec((0..0x6000_u32, 0..8_u32), 0..4),
        buffers in prop::collection::vec(prop_oneof![20..200_usize, Just(RECORD_BYTES + 2)], 1..4),
        share in 0..110_u32,
    ) {
        let mut world = World::on(VirtualFlash::with_sizes(SMALL));
        for step in steps(seed, count) {
            world.apply(&step);
        }
        let mut flash = world.flash();
        for (place, bit) in damaged {
            flash.flip_bit(Partition::Journal, place, bit);
        }
        let (mut journal, _) = Journal::open(flash).unwrap();
        for log in Log::ALL {
            let all = records(&mut journal, log);
            let newest = journal.position(log).map_or(0, |end| end.sequence);
            let from = newest * share / 100;
            for buffer in &buffers {
                let expected: Vec<_> = all
                    .iter()
                    .filter(|bytes| Record::decode(bytes).unwrap().sequence >= from)
                    .filter(|bytes| bytes.len() + 2 <= *buffer)
                    .cloned()
                    .collect();
                prop_assert_eq!(collect(&mut journal, log, from, *buffer), expected);
            }
        }
    }
}

/// Reading from a number looks at the first record of each page and then at the pages from there on, not at the whole log.
#[test]
fn reading_from_a_number_begins_at_its_page() {
    let (mut journal, _) = Journal::open(VirtualFlash::nrf52840()).unwrap();
    for number in 0..9_000_u32 {
        let body = number.to_le_bytes();
        journal.append(&envelope(EVENT, 1, &body)).unwrap();
    }
    let reads = |journal: &Journal<VirtualFlash>| -> u64 {
        let wear = journal.flash().wear(Partition::Journal);
        wear.iter().map(|page| page.reads).sum()
    };
    let mut cost = |from: u32| {
        let before = reads(&journal);
        let part = journal.read_from(Log::Events, from, &mut [0; 100]).unwrap();
        assert!(part.used > 0 && part.next > from);
        reads(&journal) - before
    };
    let (oldest, newest) = (cost(0), cost(8_999));
    println!("{oldest} reads to read from the start, {newest} from the end");
    assert!(newest < oldest + 4 * 128 * 3, "{oldest} {newest}");
}

/// A flash that fails does not pass for an empty log.
#[test]
fn a_log_that_cannot_be_read_is_an_error() {
    let mut world = World::on(VirtualFlash::with_sizes(SMALL));
    world.apply(&Step::Critical(b"event".to_vec()));
    world
        .journal
        .flash_mut()
        .cut_after(0, crate::Tear::NotBegun);
    world.call(&Step::Append(b"no power".to_vec())).unwrap_err();
    for log in Log::ALL {
        let error = world.journal.read_from(log, 0, &mut [0; 600]).unwrap_err();
        let expected = crate::JournalError::Flash {
            partition: Partition::Journal,
            error: FlashError::NoPower,
        };
        assert_eq!(error, expected);
    }
}
