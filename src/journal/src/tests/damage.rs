//! Flipped bits and noise.

use proptest::prelude::*;
use std::println;
use std::vec;
use std::vec::Vec;

use super::model::{EVENT, Random, Step, TOTALS, World, envelope, records, seeds, steps, verify};
use crate::{
    BODY_BYTES, Finding, Head, Journal, JournalError, Kind, Log, Opening, PAGE, Partition, Record,
    RingCondition, StateCondition, Verifier, VirtualFlash,
};

const PROGRAM: Kind = Kind(16);

/// A world with two values and their history, and the place of the newest program and the index behind it in both banks.
fn world_with_program() -> (World, core::ops::Range<u32>) {
    let mut world = World::on(VirtualFlash::with_sizes([0x4000, 0x2000, 0x2000, 0x2000]));
    for body in [&b"the first program"[..], b"a second program"] {
        world.apply(&Step::Put(Kind(20), body.to_vec()));
        world.apply(&Step::Put(PROGRAM, body.to_vec()));
    }
    let used = |world: &World| {
        let contents = world.journal.flash().contents(Partition::StateA);
        u32::try_from(contents.iter().rposition(|byte| *byte != 0xFF).unwrap() / 4 * 4 + 4).unwrap()
    };
    let start = used(&world);
    world.apply(&Step::Put(
        PROGRAM,
        b"the newest program, in force".to_vec(),
    ));
    (world.clone(), start..used(&world))
}

/// Every bit of the record's item (header, key, frame, check, padding) and of the index behind it, in either bank.
///
/// Requirement: AC-20
#[test]
fn every_single_bit_of_a_state_record_is_repaired_from_the_other_bank() {
    let (world, place) = world_with_program();
    let mut flips = 0;
    let mut repaired = 0;
    for bank in [Partition::StateA, Partition::StateB] {
        for bit in place.start * 8..place.end * 8 {
            let mut world = world.clone();
            let mut flash = world.flash();
            flash.flip_bit(bank, bit / 8, bit % 8);
            let (journal, opening) = Journal::open(flash).unwrap();
            world.journal = journal;
            world.model.check_opening(&opening);
            world.model.check(&mut world.journal, None);
            repaired += u32::from(!opening.repairs.is_empty());
            // Both copies are good again: the other one can go bad now.
            let other = if bank == Partition::StateA {
                Partition::StateB
            } else {
                Partition::StateA
            };
            let mut flash = world.flash();
            flash.damage(other, 0, &[0; 0x2000]);
            let (journal, opening) = Journal::open(flash).unwrap();
            world.journal = journal;
            world.model.check_opening(&opening);
            world.model.check(&mut world.journal, None);
            flips += 1;
        }
    }
    println!("{flips} flipped bits of state, {repaired} repaired (the rest is padding)");
    assert!(flips > 1000 && repaired * 100 > flips * 90);
}

/// The same while the journal is open: what is read is right, and both copies are good afterwards.
#[test]
fn a_bit_that_flips_at_run_time_is_repaired_when_read() {
    let (world, place) = world_with_program();
    for bank in [Partition::StateA, Partition::StateB] {
        for bit in (place.start * 8..place.end * 8).step_by(5) {
            let mut world = world.clone();
            world.journal.flash_mut().flip_bit(bank, bit / 8, bit % 8);
            world.model.check(&mut world.journal, None);
            world.apply(&Step::Put(Kind(21), b"more".to_vec()));
            world.model.check(&mut world.journal, None);
            world.apply(&Step::Reopen);
            world.model.check(&mut world.journal, None);
        }
    }
}

/// One flipped bit in the log costs at most the record it hits, whatever the records hold, and the ring goes on.
#[test]
fn a_flipped_bit_in_the_log_costs_one_record() {
    let mut world = World::on(VirtualFlash::with_sizes([0x4000, 0x2000, 0x2000, 0x2000]));
    let bodies: Vec<Vec<u8>> = (0..30_u8)
        .map(|number| {
            let mut body = vec![number; 3];
            body.resize(20, if number % 2 == 0 { 0xFF } else { number });
            body
        })
        .collect();
    for body in &bodies {
        world.apply(&Step::Append(body.clone()));
    }
    let mut sealed = 0;
    // Records 9, 10 and 11 lie here.
    for bit in 420 * 8..590 * 8 {
        let mut flash = world.flash();
        flash.flip_bit(Partition::Journal, bit / 8, bit % 8);
        let (mut journal, opening) = Journal::open(flash).unwrap();
        assert!(
            matches!(
                opening.events,
                RingCondition::Good | RingCondition::Repaired
            ),
            "{opening:?}"
        );
        sealed += opening.repairs.pages_sealed;
        journal
            .append(&envelope(EVENT, opening.boot, b"next"))
            .unwrap();
        let mut found = vec![];
        journal
            .read(Log::Events, |record| {
                found.push(record.envelope.body.to_vec())
            })
            .unwrap();
        assert_eq!(found.pop().unwrap(), b"next");
        let missing: Vec<_> = bodies.iter().filter(|body| !found.contains(body)).collect();
        assert!(missing.len() <= 1, "bit {bit}: {missing:?}");
        found.extend(missing.into_iter().cloned());
        found.sort();
        assert_eq!(found, bodies, "bit {bit}");
        assert_eq!(journal.flash().refused(), 0);
    }
    // The unkind case was among them: a damaged header before a body that looks like free space.
    assert!(sealed > 0);
}

/// The same while the journal is open: the next record goes behind the damage or onto another page, never into it.
#[test]
fn a_bit_that_flips_at_run_time_in_the_log_costs_one_record() {
    for length in [20, 90] {
        let mut world = World::on(VirtualFlash::with_sizes([0x4000, 0x2000, 0x2000, 0x2000]));
        for number in 0..12_u8 {
            let mut body = vec![number; 3];
            body.resize(length, 0xFF);
            world.apply(&Step::Append(body));
        }
        let contents = world.journal.flash().contents(Partition::Journal);
        let end = contents[..4092].iter().rposition(|byte| *byte != 0xFF);
        let end = u32::try_from(end.unwrap()).unwrap() + 1;
        let originals = records(&mut world.journal, Log::Events);
        let mut sealed = 0;
        for bit in 4 * 8..(end + 60) * 8 {
            let mut journal = world.journal.clone();
            let flash = journal.flash_mut();
            flash.flip_bit(Partition::Journal, bit / 8, bit % 8);
            for body in [[7_u8; 40], [8; 40]] {
                journal.append(&envelope(EVENT, 1, &body)).unwrap();
            }
            sealed += journal.repairs().pages_sealed;
            let check = |journal: &mut Journal<VirtualFlash>| {
                let all = records(journal, Log::Events);
                let (old, new) = all.split_at(all.len() - 2);
                for (bytes, body) in new.iter().zip([[7; 40], [8; 40]]) {
                    assert_eq!(Record::decode(bytes).unwrap().envelope.body, body);
                }
                let missing: Vec<_> = originals.iter().filter(|one| !old.contains(one)).collect();
                assert!(
                    missing.len() <= 1 && old.len() + missing.len() == 12,
                    "bit {bit}"
                );
                let (findings, position) = verify(Verifier::new(), &all);
                let (position, known) = (position.unwrap(), journal.position(Log::Events).unwrap());
                assert_eq!(
                    (position.sequence, position.link),
                    (known.sequence, known.link)
                );
                assert!(
                    position.state.is_none() || position.state == known.state,
                    "bit {bit}"
                );
                // In RAM the chain is known to the end, so that nothing begins anew.
                for finding in findings {
                    let number = missing
                        .first()
                        .map(|bytes| Record::decode(bytes).unwrap().sequence);
                    let number = number.unwrap();
                    let expected = [
                        Finding::Missing {
                            from: number,
                            to: number,
                        },
                        Finding::BeginsAnew { sequence: 12 },
                    ];
                    assert!(expected.contains(&finding), "bit {bit}: {finding}");
                }
            };
            check(&mut journal);
            assert_eq!(journal.flash().refused(), 0, "bit {bit}");
            check(&mut Journal::open(journal.into_flash()).unwrap().0);
        }
        assert!(sealed > 0, "{length}");
    }
}

/// A pump's state: a program, settings, a library of drugs, counters; a dozen kinds of 8 to 400 bytes, their history, and the key.
fn world_of_a_pump() -> World {
    let mut world = World::on(VirtualFlash::with_sizes([0x4000, 0x2000, 0x2000, 0x2000]));
    world.apply(&Step::Key(*b"the key that signs heads, 32 byt"));
    let lengths = [60_u16, 44, 400, 8, 12, 33, 70, 20, 24, 150, 16, 90];
    for round in 0..2_u8 {
        for (kind, length) in (16..).zip(lengths) {
            if round == 0 || length < 100 {
                world.apply(&Step::Put(
                    Kind(kind),
                    vec![round ^ length.to_le_bytes()[0]; usize::from(length)],
                ));
            }
        }
    }
    for number in 0..8_u8 {
        world.apply(&Step::Critical(vec![number; 12]));
        world.apply(&Step::Checkpoint(vec![number; 21]));
    }
    world
}

/// Where a partition has been written, as bits, without the page markers.
fn written(flash: &VirtualFlash, partition: Partition, from: u32) -> core::ops::Range<u32> {
    let contents = &flash.contents(partition)[usize::try_from(from).unwrap()..][..4092];
    let end = contents.iter().rposition(|byte| *byte != 0xFF).unwrap();
    (from + 4) * 8..(from + u32::try_from(end).unwrap() + 4) / 4 * 32
}

/// Every bit of everything that is in the banks: values of all kinds, older ones too, every index, the key.
///
/// Requirement: AC-20
#[test]
fn every_single_bit_of_a_pumps_state_is_repaired() {
    let world = world_of_a_pump();
    let mut flips = 0;
    for bank in [Partition::StateA, Partition::StateB] {
        let place = written(world.journal.flash(), bank, 0);
        assert!(place.end > 1500 * 8);
        for bit in place {
            let mut world = world.clone();
            let mut flash = world.flash();
            flash.flip_bit(bank, bit / 8, bit % 8);
            let (journal, opening) = Journal::open(flash).unwrap();
            world.journal = journal;
            world.model.check_opening(&opening);
            world.model.check(&mut world.journal, None);
            flips += 1;
        }
    }
    println!("{flips} flipped bits of a pump's state");
}

/// Every bit of every checkpoint: at most that one is gone, and the latest that is whole is the latest.
#[test]
fn every_single_bit_of_a_checkpoint_costs_that_one() {
    let world = world_of_a_pump();
    for bit in written(world.journal.flash(), Partition::Critical, 0) {
        let mut flash = world.flash();
        flash.flip_bit(Partition::Critical, bit / 8, bit % 8);
        let (mut journal, _) = Journal::open(flash).unwrap();
        let mut found = vec![];
        journal
            .read_checkpoints(|record| found.push(record.envelope.body.to_vec()))
            .unwrap();
        let all = &world.model.checkpoints;
        assert!(found.len() + 1 >= all.len() && found.iter().all(|one| all.contains(one)));
        let mut body = [0; BODY_BYTES];
        let latest = journal.latest_checkpoint(TOTALS, &mut body).unwrap();
        assert_eq!(latest.unwrap().body, found.last().unwrap());
    }
}

/// Every bit of every record of either log: that record is missing there, the verifier or the head says so, and a critical event is still in
/// the other log.
///
/// Requirement: AC-20
#[test]
fn every_single_bit_of_a_critical_event_is_noticed_and_the_other_log_has_it() {
    let mut world = world_of_a_pump();
    let originals = Log::ALL.map(|log| records(&mut world.journal, log));
    let heads = Log::ALL.map(|log| world.journal.head(log).unwrap().unwrap());
    let mut lost = 0;
    // Two pages of the four are the critical log's.
    for (log, other, place) in [
        (0, 1, written(world.journal.flash(), Partition::Journal, 0)),
        (
            1,
            0,
            written(world.journal.flash(), Partition::Journal, 0x2000),
        ),
    ] {
        for bit in place {
            let mut flash = world.flash();
            flash.flip_bit(Partition::Journal, bit / 8, bit % 8);
            let (mut journal, _) = Journal::open(flash).unwrap();
            assert_eq!(records(&mut journal, Log::ALL[other]), originals[other]);
            let found = records(&mut journal, Log::ALL[log]);
            let missing = originals[log].iter().filter(|one| !found.contains(one));
            let missing = missing.count();
            assert!(missing <= 1 && found.len() + missing == originals[log].len());
            assert_eq!(vouched(&found, &heads[log]), missing == 0, "bit {bit}");
            lost += missing;
        }
    }
    assert!(lost > 4500, "{lost}");
}

/// Whether a verifier has nothing to say of these records and comes by the head.
fn vouched(records: &[Vec<u8>], head: &Head) -> bool {
    let mut verifier = Verifier::new();
    let mut good = true;
    let mut reached = false;
    for bytes in records {
        let record = Record::decode(bytes).unwrap();
        verifier.take(&record, |_| good = false);
        let position = verifier.position().unwrap();
        reached |= (position.sequence, position.state) == (head.sequence, Some(head.state));
    }
    good && reached
}

/// Makes a mess of a partition.
fn damage(flash: &mut VirtualFlash, partition: Partition, random: &mut Random) {
    let size = flash.contents(partition).len() as u64;
    let pages = size / u64::from(PAGE);
    let noise = |random: &mut Random, length: usize| -> Vec<u8> {
        (0..length)
            .map(|_| random.next().to_le_bytes()[0])
            .collect()
    };
    for _ in 0..=random.below(3) {
        let page = u32::try_from(random.below(pages)).unwrap() * PAGE;
        match random.below(9) {
            0 => {
                let bytes = noise(random, 4096);
                flash.damage(partition, page, &bytes);
            }
            1 => flash.damage(partition, page, &[0; 4096]),
            2 => flash.damage(partition, page, &[0xFF; 4096]),
            // Markers.
            3 => flash.damage(partition, page, &[0xFF; 4]),
            4 => flash.damage(partition, page + PAGE - 4, &[0; 4]),
            5 => flash.damage(partition, page + PAGE - 4, &[0xFF; 4]),
            6 => {
                for _ in 0..random.below(200) {
                    let bit = u32::try_from(random.below(size * 8)).unwrap();
                    flash.flip_bit(partition, bit / 8, bit % 8);
                }
            }
            7 => {
                let length = usize::try_from(random.below(600)).unwrap();
                let at = u32::try_from(random.below(size - 600)).unwrap();
                let bytes = noise(random, length);
                flash.damage(partition, at, &bytes);
            }
            // One page copied over another: whole records where they do not belong.
            _ => {
                let from = usize::try_from(random.below(pages)).unwrap() * 4096;
                let copy = flash.contents(partition)[from..from + 4096].to_vec();
                flash.damage(partition, page, &copy);
            }
        }
    }
}

/// After any damage: opens, says something, hands out only what was once stored, and works again.
fn open_damaged(world: &World, flash: VirtualFlash) -> Opening {
    let mut before = world.journal.clone();
    let (mut journal, opening) = Journal::open(flash).unwrap();
    for log in Log::ALL {
        let originals = records(&mut before, log);
        let found = records(&mut journal, log);
        // A page of one log can have been copied into the other's.
        let any = Log::ALL.map(|log| records(&mut before, log)).concat();
        assert!(
            found.iter().all(|one| any.contains(one)),
            "{log}: never stored"
        );
        // A log that a verifier accepts and that comes by its old head is the old log, but for pages lost at its front.
        if let Some(position) = before.position(log)
            && let Some(state) = position.state
        {
            let head = Head {
                log,
                sequence: position.sequence,
                state,
                boot: 1,
                signature: [0; 16],
            };
            let whole = originals.ends_with(&found);
            assert!(
                whole || !vouched(&found, &head),
                "{log}: damage that nobody notices"
            );
        }
    }
    let mut body = [0; BODY_BYTES];
    let ever = |model_bodies: &[Vec<u8>], body: &[u8]| model_bodies.iter().any(|one| one == body);
    let mut events = vec![];
    journal
        .read(Log::Events, |record| {
            events.push(record.envelope.body.to_vec())
        })
        .unwrap();
    for event in &events {
        assert!(
            ever(&world.model.events, event),
            "{event:?} was never stored"
        );
    }
    if let Some(latest) = journal.latest_checkpoint(TOTALS, &mut body).unwrap() {
        assert!(ever(&world.model.checkpoints, latest.body));
    }
    for kind in (16..20).map(Kind) {
        match journal.get(kind, &mut body) {
            // Where both banks are damaged a value may be an older one: both copies of the newest and both of the index that names it
            // can be gone.
            Ok(Some(found))
                if matches!(
                    opening.state,
                    StateCondition::Incomplete | StateCondition::Doubtful
                ) =>
            {
                assert!(
                    world.ever_put(kind, found.body),
                    "{kind:?} was never stored"
                );
            }
            Ok(found) => assert_eq!(
                found.map(|envelope| envelope.body),
                world.model.values.get(&kind).map(|body| &body[..]),
                "{kind:?} {opening:?}"
            ),
            Err(JournalError::StateLost { .. }) => assert!(
                matches!(
                    opening.state,
                    StateCondition::Incomplete | StateCondition::Unreadable
                ),
                "{opening:?}"
            ),
            Err(error) => panic!("{error}"),
        }
    }
    // And it works again.
    for number in 0..150_u32 {
        let body = number.to_le_bytes();
        journal
            .append_critical(&envelope(EVENT, opening.boot, &body))
            .unwrap();
        journal
            .checkpoint(&envelope(TOTALS, opening.boot, &body))
            .unwrap();
    }
    for number in 0..12_u16 {
        journal
            .put(&envelope(Kind(16 + number % 4), opening.boot, &[0xFF; 300]))
            .unwrap();
    }
    assert!(journal.redundant());
    let (mut journal, again) = Journal::open(journal.into_flash()).unwrap();
    assert!(again.boot > opening.boot && again.boot_kept && again.redundant);
    assert!(
        matches!(again.events, RingCondition::Good | RingCondition::Repaired),
        "{again:?}"
    );
    events.clear();
    journal
        .read(Log::Events, |record| {
            events.push(record.envelope.body.to_vec())
        })
        .unwrap();
    assert_eq!(events.last().unwrap(), &149_u32.to_le_bytes());
    assert!(again.chained);
    for log in Log::ALL {
        let all = records(&mut journal, log);
        let newest = Record::decode(all.last().unwrap()).unwrap();
        assert_eq!(newest.envelope.body, 149_u32.to_le_bytes());
        // The last hundred were written behind the damage.
        let (findings, position) = verify(Verifier::new(), &all[all.len() - 100..]);
        assert_eq!(findings, [], "{log}");
        assert_eq!(position.unwrap().link, journal.position(log).unwrap().link);
    }
    assert_eq!(
        journal
            .latest_checkpoint(TOTALS, &mut body)
            .unwrap()
            .unwrap()
            .body,
        149_u32.to_le_bytes()
    );
    for kind in (16..20).map(Kind) {
        assert_eq!(
            journal.get(kind, &mut body).unwrap().unwrap().body,
            [0xFF; 300]
        );
    }
    opening
}

/// Any mess in any partitions.
#[test]
fn a_damaged_image_opens_with_a_report_and_works_again() {
    let mut world = World::small();
    for step in steps(5, 200) {
        world.apply(&step);
    }
    let mut conditions = std::collections::BTreeMap::new();
    for seed in seeds(400) {
        let mut random = Random(seed);
        let mut flash = world.flash();
        for partition in Partition::ALL {
            if random.below(3) > 0 {
                damage(&mut flash, partition, &mut random);
            }
        }
        let opening = open_damaged(&world, flash);
        *conditions
            .entry(std::format!("{:?}", opening.state))
            .or_insert(0) += 1;
    }
    println!("{conditions:?}");
    assert!(conditions.len() >= 3, "{conditions:?}");
}

/// Nothing but noise, of any density.
#[test]
fn noise_everywhere_opens_as_unreadable_and_works_again() {
    let world = World::small();
    for seed in seeds(60) {
        let mut random = Random(seed);
        let mut flash = VirtualFlash::with_sizes([0x5000, 0x2000, 0x2000, 0x2000]);
        let density = random.below(5);
        for partition in Partition::ALL {
            let noise: Vec<u8> = (0..flash.contents(partition).len())
                .map(|_| {
                    if random.below(4) < density {
                        random.next().to_le_bytes()[0]
                    } else {
                        0xFF
                    }
                })
                .collect();
            flash.damage(partition, 0, &noise);
        }
        let opening = open_damaged(&world, flash);
        if density == 0 {
            assert_eq!(opening.state, StateCondition::Blank);
            assert_eq!(opening.events, RingCondition::Blank);
        } else {
            assert_eq!(opening.state, StateCondition::Unreadable);
            assert_eq!(opening.events, RingCondition::Unreadable);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(u32::try_from(seeds(60).end).unwrap()))]

    /// Bytes anywhere on a flash that has been used for a while.
    #[test]
    fn any_bytes_anywhere_open(
        places in prop::collection::vec((0..4_usize, 0..0x1F00_u32, prop::collection::vec(any::<u8>(), 0..200)), 0..6)
    ) {
        let mut world = World::on(VirtualFlash::with_sizes([0x4000, 0x2000, 0x2000, 0x2000]));
        for step in steps(9, 40) {
            world.apply(&step);
        }
        let mut flash = world.flash();
        for (partition, offset, bytes) in &places {
            flash.damage(Partition::ALL[*partition], *offset, bytes);
        }
        open_damaged(&world, flash);
    }
}

/// The header of the last record damaged, and its body looks like free space: found by the property above.
#[test]
fn a_last_record_that_looks_like_free_space_does_not_stop_the_ring() {
    let mut world = World::on(VirtualFlash::with_sizes([0x4000, 0x2000, 0x2000, 0x2000]));
    for _ in 0..5 {
        world.apply(&Step::Append(vec![0xFF; 40]));
    }
    let contents = world.journal.flash().contents(Partition::Journal);
    let end = contents.iter().rposition(|byte| *byte != 0xFF).unwrap();
    let header = u32::try_from(end / 4 * 4 - 24).unwrap();
    for bytes in [20, 24, 28, 32] {
        let mut flash = world.flash();
        flash.damage(Partition::Journal, header, &[0; 32][..bytes]);
        open_damaged(&world, flash);
    }
}
