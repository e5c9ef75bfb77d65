//! What the records cost on the nRF52840's layout: room, wear, time.

use std::println;

use units::{Clock, Duration, PumpTime, WallTime};

use super::model::{EVENT, TOTALS, envelope};
use crate::{Envelope, Journal, Kind, Log, PAGE, Partition, Record, Stamp, VirtualFlash};

/// Erase cycles the nRF52840 guarantees (reference/protocol.md 3.2).
const CYCLES: u32 = 10_000;

/// A stamp as of a pump three years into a boot, its monotonic time in whole seconds and `more`.
fn stamp(more: Duration) -> Stamp {
    Stamp {
        boot: 200,
        monotonic: PumpTime::from_micros(3 * 365 * 86_400 * 1_000_000).saturating_add(more),
        wall: Clock::Known {
            wall: WallTime::from_millis(1_767_607_200_000),
            uncertainty: Duration::from_seconds(2),
        },
    }
}

const WHOLE_SECONDS: Duration = Duration::from_micros(0);

/// What a call cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    words: u64,
    erases: u32,
    busy: Duration,
}

fn cost(
    journal: &mut Journal<VirtualFlash>,
    call: impl FnOnce(&mut Journal<VirtualFlash>),
) -> Cost {
    let counts = |journal: &Journal<VirtualFlash>| {
        let pages = || {
            Partition::ALL
                .into_iter()
                .flat_map(|partition| journal.flash().wear(partition))
        };
        (
            pages().map(|page| page.words_written).sum::<u64>(),
            pages().map(|page| page.erases).sum::<u32>(),
        )
    };
    let before = counts(journal);
    journal.flash_mut().take_busy();
    call(journal);
    let after = counts(journal);
    Cost {
        words: after.0 - before.0,
        erases: after.1 - before.1,
        busy: journal.flash_mut().take_busy(),
    }
}

/// Pages of each partition on the boards there are, in the order of [`Partition::ALL`] (boards/partitions_*.dtsi).
const BOARDS: [(&str, [u32; 4]); 2] = [
    ("nRF52840, native_sim", [96, 8, 2, 2]),
    ("nRF52833, nRF52832", [24, 8, 2, 2]),
];

/// A body of so many bytes in an envelope with these times.
fn detailed(body: &[u8], more: Duration) -> Envelope<'_> {
    Envelope {
        kind: EVENT,
        version: 1,
        stamp: stamp(more),
        body,
    }
}

/// What a ring holds of one kind of record.
struct Kept {
    /// Words of flash for a record that bears no anchor, with the item's header.
    words: u64,
    /// The fewest that there ever were: when the oldest page has just been erased.
    least: u32,
    most: u32,
}

/// Goes round the ring once more than it holds, and then looks after each record of two pages how many there are.
fn kept(
    sizes: [u32; 4],
    event: &Envelope<'_>,
    log: Log,
    push: impl Fn(&mut Journal<VirtualFlash>, &Envelope<'_>),
) -> Kept {
    let flash = VirtualFlash::with_sizes(sizes.map(|pages| pages * PAGE));
    let (mut journal, _) = Journal::open(flash).unwrap();
    let critical = crate::critical_pages(sizes[0]);
    let pages = match log {
        Log::Events => sizes[0] - critical,
        Log::Critical => critical,
    };
    let newest = |journal: &Journal<VirtualFlash>| {
        journal
            .position(log)
            .map_or(0, |position| position.sequence)
    };
    // Sequence numbers of three bytes begin at 16,384.
    let rounds = 16_384 + (pages + 1) * 4088 / 36;
    while newest(&journal) < rounds {
        push(&mut journal, event);
    }
    let mut kept = Kept {
        words: u64::MAX,
        least: u32::MAX,
        most: 0,
    };
    let mut oldest = None;
    let mut turns = 0;
    while turns < 3 {
        let one = cost(&mut journal, |journal| push(journal, event));
        let mut buffer = [0; 600];
        let part = journal.read_from(log, 0, &mut buffer).unwrap();
        assert!(part.used > 0);
        let length = usize::from(u16::from_le_bytes([buffer[0], buffer[1]]));
        let first = Record::decode(&buffer[2..2 + length]).unwrap().sequence;
        let count = newest(&journal) - first + 1;
        kept.most = kept.most.max(count);
        if oldest.is_some_and(|oldest| oldest != first) {
            turns += 1;
            kept.least = kept.least.min(count);
        } else if one.erases == 0 {
            kept.words = kept.words.min(one.words);
        }
        oldest = Some(first);
    }
    kept
}

/// 10,000 detailed events fit on the nRF52840 (issue 3): those of at most nine words of flash, which are bodies of 6 bytes when times are
/// in whole seconds, and of 4 with milliseconds. Twenty-two bytes are the number (3 from 16,384 on), the extension with the link (3), kind,
/// version, boot (2 from 128 on), times, seconds of this boot (4 from 24 days on), wall time (5), uncertainty and the body's length.
#[test]
fn ten_thousand_events_fit() {
    let append = |journal: &mut Journal<VirtualFlash>, event: &Envelope<'_>| {
        journal.append(event).unwrap();
    };
    for (length, more, words) in [
        (6, WHOLE_SECONDS, 9),
        (4, Duration::from_millis(1), 9),
        (7, WHOLE_SECONDS, 10),
        (8, Duration::from_micros(1), 11),
        (38, WHOLE_SECONDS, 17),
    ] {
        let body = [0x5A; 40];
        let event = detailed(&body[..length], more);
        for (board, sizes) in BOARDS {
            let kept = kept(sizes, &event, Log::Events, append);
            println!(
                "{board}: event with {length} bytes of body, {} words of flash: {} to {} kept",
                kept.words, kept.least, kept.most
            );
            assert_eq!(kept.words, words);
            let wanted = if sizes[0] == 96 { 10_000 } else { 1_900 };
            assert!(kept.least >= wanted || words > 9, "{}", kept.least);
        }
    }
}

/// The log of critical events holds the last 400 of up to 48 bytes of flash each (44 are asked for), on every board.
#[test]
fn four_hundred_critical_events_fit() {
    let append = |journal: &mut Journal<VirtualFlash>, event: &Envelope<'_>| {
        journal.append_critical(event).unwrap();
    };
    for (length, words) in [(14, 11), (18, 12), (50, 20)] {
        let body = [0x5A; 50];
        let event = detailed(&body[..length], WHOLE_SECONDS);
        for (board, sizes) in BOARDS {
            let kept = kept(sizes, &event, Log::Critical, append);
            // Both logs take it, with the same words.
            assert_eq!(kept.words, 2 * words);
            println!(
                "{board}: critical event with {length} bytes of body, {words} words of flash: {} to {} kept",
                kept.least, kept.most
            );
            assert!(kept.least >= 400 || words > 12, "{}", kept.least);
        }
    }
}

/// The tests stop at an overflow although the crate is compiled with optimisation for them (Cargo.toml).
#[test]
fn overflow_checks_and_debug_assertions_are_on() {
    std::panic::catch_unwind(|| debug_assert!(core::hint::black_box(false))).unwrap_err();
    let most = core::hint::black_box(u8::MAX);
    std::panic::catch_unwind(|| most + 1).unwrap_err();
}

/// The checkpoint of the delivered totals every minute wears the critical partition for more than ten years.
#[test]
fn a_checkpoint_every_minute_wears_for_more_than_ten_years() {
    let (mut journal, _) = Journal::open(VirtualFlash::nrf52840()).unwrap();
    // Two totals of 34 bits (ten years at 24 mL/day), a reservoir of 45 bits, a program number: 21 bytes as varints.
    let totals = Envelope {
        kind: TOTALS,
        version: 0,
        stamp: stamp(WHOLE_SECONDS),
        body: &[0x5A; 21],
    };
    let days = 20_u32;
    for _ in 0..days * 24 * 60 {
        journal.checkpoint(&totals).unwrap();
    }
    let one = cost(&mut journal, |journal| journal.checkpoint(&totals).unwrap());
    let worst = journal
        .flash()
        .wear(Partition::Critical)
        .iter()
        .map(|page| page.erases)
        .max()
        .unwrap();
    let life_days = CYCLES * days / worst;
    println!(
        "checkpoint of 21 bytes: {} words, {worst} erases of the worst page in {days} days: {} years",
        one.words,
        life_days / 365
    );
    assert!(life_days > 10 * 366, "{life_days} days");
}

/// What a put costs, at best and when both banks make room; and that nothing takes longer.
#[test]
fn a_put_takes_at_most_two_erases() {
    let (mut journal, _) = Journal::open(VirtualFlash::nrf52840()).unwrap();
    // What the issues to come keep: a dozen kinds of 40 to 400 bytes.
    for kind in 20..32 {
        let length = if kind == 20 { 400 } else { 40 };
        let body = [0x11; 400];
        journal
            .put(&envelope(Kind(kind), 1, &body[..length]))
            .unwrap();
    }
    let program = Envelope {
        kind: Kind(16),
        version: 0,
        stamp: stamp(WHOLE_SECONDS),
        body: &[0x22; 36],
    };
    let mut least = u64::MAX;
    let mut worst = Duration::from_micros(0);
    let mut erases = 0;
    let puts = 500_u32;
    for _ in 0..puts {
        let one = cost(&mut journal, |journal| journal.put(&program).unwrap());
        assert!(one.erases <= 2);
        least = least.min(one.words);
        worst = worst.max(one.busy);
        erases += one.erases;
    }
    println!(
        "put of 36 bytes beside 12 other kinds: {least} words at best, {erases} erases in {puts} puts, {worst} at worst"
    );
    assert!(worst < Duration::from_millis(300));
    let (journal, _) = Journal::open(journal.into_flash()).unwrap();
    let boot = cost(&mut journal.clone(), |journal| {
        let flash = journal.flash().clone();
        *journal = Journal::open(flash).unwrap().0;
    });
    let reads = |flash: &VirtualFlash| -> u64 {
        Partition::ALL
            .into_iter()
            .flat_map(|partition| flash.wear(partition))
            .map(|page| page.reads)
            .sum()
    };
    let before = reads(journal.flash());
    let (journal, _) = Journal::open(journal.into_flash()).unwrap();
    println!(
        "open: {} words, {} reads",
        boot.words,
        reads(journal.flash()) - before
    );
}
