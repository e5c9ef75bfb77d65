//! Pages that no longer erase, and banks that can no longer be written.

use std::println;
use std::vec;
use std::vec::Vec;

use super::model::{EVENT, Model, Random, Step, TOTALS, World, envelope, records, seeds, verify};
use crate::{
    Flash, FlashError, Journal, JournalError, Kind, Log, Partition, RingCondition, StateCondition,
    Tear, Verifier, VirtualFlash, Worn,
};

/// Four pages for the critical events (a quarter of 16), twelve for all, six for the checkpoints.
const SIZES: [u32; 4] = [0x1_0000, 0x6000, 0x2000, 0x2000];
/// The rings: partition, first page, pages.
const RINGS: [(Partition, u32, u32); 3] = [
    (Partition::Journal, 0, 12),
    (Partition::Journal, 12, 4),
    (Partition::Critical, 0, 6),
];
const WAYS: [Worn; 4] = [
    Worn::Silently(1),
    Worn::Silently(2),
    Worn::Silently(3),
    Worn::Refusing,
];

/// A step that uses one of the rings, with a body that no other step has.
fn step(ring: usize, number: u32) -> Step {
    let body = [&number.to_le_bytes()[..], &[0xFF; 60]].concat();
    match ring {
        0 => Step::Append(body),
        1 => Step::Critical(body),
        _ => Step::Checkpoint(body),
    }
}

fn erases(flash: &VirtualFlash, ring: usize) -> Vec<u32> {
    let (partition, first, pages) = RINGS[ring];
    let place = usize::try_from(first).unwrap()..usize::try_from(first + pages).unwrap();
    flash.wear(partition)[place]
        .iter()
        .map(|page| page.erases)
        .collect()
}

fn check(world: &mut World) {
    world.model.check(&mut world.journal, None);
    world.model.check_chains(&mut world.journal);
    assert_eq!(world.journal.flash().refused(), 0);
}

#[test]
fn a_ring_goes_on_without_a_page_that_no_longer_erases() {
    for (ring, (partition, first, pages)) in RINGS.into_iter().enumerate() {
        for (page, way) in (0..pages).flat_map(|page| WAYS.map(|way| (page, way))) {
            let mut world = World::on(VirtualFlash::with_sizes(SIZES));
            world.apply(&Step::Key([3; 32]));
            let mut number = 0;
            let go_on = |world: &mut World, number: &mut u32, rounds: u32| {
                for _ in 0..rounds * pages * 40 {
                    *number += 1;
                    world.apply(&step(ring, *number));
                }
            };
            go_on(&mut world, &mut number, 1);
            world
                .journal
                .flash_mut()
                .wear_out(partition, first + page, Some(way));
            world.model.worn[ring] = 1;
            go_on(&mut world, &mut number, 1);
            // It was its turn once, or twice when the first erase was before it wore out: two attempts and no more.
            go_on(&mut world, &mut number, 1);
            assert_eq!(
                world.journal.pages_retired(),
                1,
                "{partition} {page} {way:?}"
            );
            assert_eq!(world.journal.repairs().pages_retired, 1);
            check(&mut world);
            let tried = erases(world.journal.flash(), ring);
            // Remembered over resets.
            for _ in 0..2 {
                world.apply(&Step::Reopen);
                assert_eq!(world.journal.pages_retired(), 1);
                assert!(
                    world.journal.repairs().is_empty(),
                    "{:?}",
                    world.journal.repairs()
                );
                go_on(&mut world, &mut number, 1);
                check(&mut world);
            }
            let after = erases(world.journal.flash(), ring);
            for (one, (before, after)) in (0..).zip(tried.iter().zip(&after)) {
                assert_eq!(before == after, one == page, "{partition} {page} {way:?}");
            }
            assert!(world.journal.redundant());
        }
    }
}

/// A worn page that nobody remembers stands among younger ones with what it held: an older checkpoint is never taken for the latest, the logs are
/// read in their order, and their chains go on.
#[test]
fn a_worn_page_that_is_forgotten_does_not_bring_back_old_records() {
    for (ring, (partition, first, pages)) in RINGS.into_iter().enumerate() {
        let mut world = World::on(VirtualFlash::with_sizes(SIZES));
        let mut number = 0;
        while erases(world.journal.flash(), ring).iter().sum::<u32>() < pages + 1 {
            number += 1;
            world.apply(&step(ring, number));
        }
        // The page behind the youngest is the oldest; from now on it is worn.
        let worn = erases(world.journal.flash(), ring)
            .iter()
            .position(|erases| *erases == 1)
            .unwrap();
        let worn = first + u32::try_from(worn).unwrap();
        world
            .journal
            .flash_mut()
            .wear_out(partition, worn, Some(Worn::Refusing));
        world.model.worn[ring] = 1;
        let banks = [Partition::StateA, Partition::StateB]
            .map(|bank| (bank, world.journal.flash().contents(bank).to_vec()));
        let values = world.model.values.clone();
        while world.journal.pages_retired() == 0 {
            number += 1;
            world.apply(&step(ring, number));
        }
        // The youngest page holds the newest record alone; for the checkpoints one of another kind, too.
        let mut flash = world.flash();
        for (bank, contents) in banks {
            flash.damage(bank, 0, &contents);
        }
        world.model.values = values;
        let (mut journal, opening) = Journal::open(flash).unwrap();
        assert_eq!(opening.pages_retired, 0, "forgotten");
        assert!(opening.chained);
        world.model.boot = opening.boot;
        let mut body = [0; 400];
        let latest = journal.latest_checkpoint(TOTALS, &mut body).unwrap();
        assert_eq!(
            latest.map(|latest| latest.body.to_vec()),
            world.model.checkpoints.last().cloned()
        );
        world.journal = journal;
        check(&mut world);
        for _ in 0..pages * 60 {
            number += 1;
            world.apply(&step(ring, number));
        }
        assert_eq!(world.journal.pages_retired(), 1);
        check(&mut world);
    }
}

/// The same, and the youngest page has no checkpoint of the kind that is asked for.
#[test]
fn the_latest_checkpoint_is_looked_for_from_the_youngest_page_back() {
    let mut world = World::on(VirtualFlash::with_sizes(SIZES));
    let turned = |world: &World| erases(world.journal.flash(), 2).iter().sum::<u32>();
    let mut number = 0;
    while turned(&world) < 7 {
        number += 1;
        world.apply(&step(2, number));
    }
    let oldest = erases(world.journal.flash(), 2)
        .iter()
        .position(|erases| *erases == 1);
    let worn = u32::try_from(oldest.unwrap()).unwrap();
    world
        .journal
        .flash_mut()
        .wear_out(Partition::Critical, worn, Some(Worn::Refusing));
    let banks = [Partition::StateA, Partition::StateB]
        .map(|bank| (bank, world.journal.flash().contents(bank).to_vec()));
    let newest = number.to_le_bytes();
    while world.journal.pages_retired() == 0 {
        world
            .journal
            .checkpoint(&envelope(Kind(18), 1, &[0x11; 64]))
            .unwrap();
    }
    let mut flash = world.flash();
    for (bank, contents) in banks {
        flash.damage(bank, 0, &contents);
    }
    let (mut journal, _) = Journal::open(flash).unwrap();
    let mut body = [0; 400];
    let latest = journal
        .latest_checkpoint(TOTALS, &mut body)
        .unwrap()
        .unwrap();
    assert_eq!(latest.body[..4], newest);
}

/// Three neighbours at once: a call takes two of them out and fails, for certain; the next one takes the third and succeeds.
#[test]
fn a_call_takes_at_most_two_worn_pages_out_of_use() {
    for way in WAYS {
        let mut world = World::on(VirtualFlash::with_sizes(SIZES));
        for number in 0..12 * 60 {
            world.apply(&step(0, number));
        }
        for page in 0..12 {
            let worn = (8..11).contains(&page).then_some(way);
            world
                .journal
                .flash_mut()
                .wear_out(Partition::Journal, page, worn);
        }
        world.model.worn[0] = 3;
        let mut failed = 0;
        for number in 10_000..10_000 + 12 * 60 {
            let before: u32 = erases(world.journal.flash(), 0).iter().sum();
            let step = step(0, number);
            let result = world.call(&step);
            let attempts = erases(world.journal.flash(), 0).iter().sum::<u32>() - before;
            // Two for each page that is given up.
            assert!(attempts <= 6, "{attempts}");
            match result {
                Ok(()) => world.model.acknowledge(&step),
                Err(error) => {
                    assert!(matches!(error, JournalError::Flash { .. }), "{error}");
                    assert_eq!(world.journal.pages_retired(), 2);
                    check(&mut world);
                    failed += 1;
                }
            }
        }
        assert_eq!((failed, world.journal.pages_retired()), (1, 3), "{way:?}");
        world.apply(&Step::Reopen);
        assert_eq!(world.journal.pages_retired(), 3);
        check(&mut world);
    }
}

/// More worn pages than a ring can do without, or than can be remembered: what is acknowledged is there, and the rest of the journal works.
#[test]
fn more_worn_pages_than_can_be_remembered() {
    let sizes = [0x2_0000, 0x1_0000, 0x2000, 0x2000];
    for way in WAYS {
        let mut world = World::on(VirtualFlash::with_sizes(sizes));
        for number in 0..32 * 60 {
            world.apply(&step(usize::from(number % 3 == 0), number));
            world.apply(&step(2, 50_000 + number));
        }
        // Seven in each of the rings of 26 and 16 pages, three in that of six.
        for (partition, pages) in [
            (
                Partition::Journal,
                [1, 2, 3, 9, 15, 20, 25, 26, 28, 31].as_slice(),
            ),
            (Partition::Critical, &[0, 1, 4, 5, 8, 10, 15]),
        ] {
            for page in pages {
                world
                    .journal
                    .flash_mut()
                    .wear_out(partition, *page, Some(way));
            }
        }
        world.model.worn = [7, 3, 7];
        let mut failed = 0;
        let mut number = 100_000;
        for _ in 0..3 {
            for _ in 0..32 * 60 {
                number += 1;
                for step in [step(usize::from(number % 3 == 0), number), step(2, number)] {
                    match world.call(&step) {
                        Ok(()) => world.model.acknowledge(&step),
                        Err(_) => {
                            failed += 1;
                            // The other log of a critical event may have it: ask for it again.
                            if let Step::Critical(body) = &step {
                                let mut events = vec![];
                                world
                                    .journal
                                    .read(Log::Events, |record| {
                                        events.push(record.envelope.body.to_vec())
                                    })
                                    .unwrap();
                                if events.last() == Some(body) {
                                    world.model.events.push(body.clone());
                                }
                            }
                        }
                    }
                }
            }
            assert_eq!(world.journal.pages_retired(), 17);
            check(&mut world);
            world.apply(&Step::Reopen);
            // Those that were not remembered are found out again.
            assert_eq!(world.journal.pages_retired(), 12);
            check(&mut world);
            world.apply(&Step::Put(Kind(16), number.to_le_bytes().to_vec()));
        }
        println!("{way:?}: {failed} calls failed");
        assert!(failed < 30, "{failed}");
    }
}

/// A ring of which more pages are worn than it can leave out takes nothing more, and says so each time; what it has is read as before.
#[test]
fn a_ring_at_its_end_refuses_and_keeps_what_it_has() {
    let mut world = World::on(VirtualFlash::with_sizes(SIZES));
    for number in 0..12 * 60 {
        world.apply(&step(0, number));
    }
    for page in 0..12 {
        let worn = Some(WAYS[usize::try_from(page).unwrap() % 4]);
        world
            .journal
            .flash_mut()
            .wear_out(Partition::Journal, page, worn);
    }
    let mut number = 10_000;
    let mut refused = 0;
    while refused < 20 {
        number += 1;
        let step = step(0, number);
        match world.call(&step) {
            Ok(()) => world.model.acknowledge(&step),
            Err(error) => {
                assert!(matches!(error, JournalError::Flash { .. }), "{error}");
                refused += 1;
            }
        }
        world.apply(&Step::Checkpoint(number.to_le_bytes().to_vec()));
        world.apply(&Step::Put(Kind(16), number.to_le_bytes().to_vec()));
    }
    world.model.worn[0] = 10;
    assert!((8..=10).contains(&world.journal.pages_retired()));
    check(&mut world);
    let (mut journal, opening) = Journal::open(world.flash()).unwrap();
    assert_ne!(opening.events, RingCondition::Unreadable);
    // The youngest pages can be read although the ring cannot be written.
    assert!(!records(&mut journal, Log::Events).is_empty());
}

/// Every operation of the calls that take a page out of use is cut, in every ring and way.
#[test]
fn a_cut_while_a_page_is_taken_out_of_use_leaves_old_or_new() {
    let mut cuts = 0;
    for (ring, (partition, first, pages)) in RINGS.into_iter().enumerate() {
        for (number, way) in (0..).zip(WAYS) {
            let mut world = World::on(VirtualFlash::with_sizes(SIZES));
            world.apply(&Step::Key([4; 32]));
            for number in 0..pages * 60 {
                world.apply(&step(ring, number));
            }
            let worn = first + number % pages;
            world
                .journal
                .flash_mut()
                .wear_out(partition, worn, Some(way));
            world.model.worn[ring] = 1;
            let mut number = 10_000;
            let (step, operations) = loop {
                number += 1;
                let step = step(ring, number);
                let mut whole = world.clone();
                whole.apply(&step);
                if whole.journal.pages_retired() == 1 {
                    break (step, whole.operations() - world.operations());
                }
                world = whole;
            };
            for operation in 0..operations {
                for tear in [Tear::NotBegun, Tear::Torn(operation), Tear::Done] {
                    let mut cut = world.clone();
                    cut.journal.flash_mut().cut_after(operation, tear);
                    cut.call(&step).ok();
                    assert!(cut.journal.flash().is_off());
                    let mut model = world.model.clone();
                    let (mut journal, opening) = Journal::open(cut.flash()).unwrap();
                    model.check_opening(&opening);
                    model.check(&mut journal, Some(&step));
                    model.check_chains(&mut journal);
                    let mut world = World { journal, model };
                    for _ in 0..80 {
                        number += 1;
                        world.apply(&self::step(ring, number));
                    }
                    world.apply(&Step::Reopen);
                    check(&mut world);
                    cuts += 1;
                }
            }
        }
    }
    println!("{cuts} cuts while a page is taken out of use");
    assert!(cuts > 500);
}

/// A bank with a page that no longer erases cannot make room: the other bank goes on alone. Values are never mixed up, and both are good again
/// if the page is.
#[test]
fn a_bank_with_a_worn_page_leaves_the_other_alone() {
    for bank in [Partition::StateA, Partition::StateB] {
        for (page, way) in (0..2).flat_map(|page| WAYS.map(|way| (page, way))) {
            let mut world = World::on(VirtualFlash::with_sizes(SIZES));
            let mut random = Random(9);
            let put = |world: &mut World, random: &mut Random| {
                let kind = Kind(16 + u16::try_from(random.below(4)).unwrap());
                let body = random.next().to_le_bytes().repeat(1 + at(random.below(10)));
                world.apply(&Step::Put(kind, body));
            };
            for _ in 0..30 {
                put(&mut world, &mut random);
            }
            world.journal.flash_mut().wear_out(bank, page, Some(way));
            world.model.single = true;
            let mut single = 0;
            for number in 0..120 {
                put(&mut world, &mut random);
                single += u32::from(!world.journal.redundant());
                if number % 10 == 0 {
                    world.apply(&Step::Reopen);
                    check(&mut world);
                }
            }
            assert!(single > 50, "{bank} {page} {way:?}: {single}");
            world.journal.flash_mut().wear_out(bank, page, None);
            world.model.single = false;
            world.apply(&Step::Reopen);
            check(&mut world);
        }
    }
}

/// A flash on which one bank can be read and not written.
#[derive(Clone, Debug)]
struct OneBank {
    flash: VirtualFlash,
    dead: Option<Partition>,
}

impl Flash for OneBank {
    fn size(&self, partition: Partition) -> u32 {
        self.flash.size(partition)
    }
    fn read(&mut self, partition: Partition, at: u32, to: &mut [u8]) -> Result<(), FlashError> {
        self.flash.read(partition, at, to)
    }
    fn write(&mut self, partition: Partition, at: u32, from: &[u8]) -> Result<(), FlashError> {
        if self.dead == Some(partition) {
            return Err(FlashError::Failed(-5));
        }
        self.flash.write(partition, at, from)
    }
    fn erase(&mut self, partition: Partition, from: u32, to: u32) -> Result<(), FlashError> {
        if self.dead == Some(partition) {
            return Err(FlashError::Failed(-5));
        }
        self.flash.erase(partition, from, to)
    }
}

/// One bank is dead, from a moment at which it was whole or from one in the middle of a put, and every operation of many puts to the other one
/// is cut, page turns among them. What was acknowledged is there, what was begun is there whole or not at all and stays so, and that
/// holds too when the dead bank comes back with what it had.
#[test]
fn a_bank_alone_survives_a_cut_at_every_operation() {
    let mut cuts = 0;
    let (mut turns, mut torn_erases) = (0, 0);
    for bank in [Partition::StateA, Partition::StateB] {
        for torn in [false, true] {
            let mut world = World::on(VirtualFlash::with_sizes(SIZES));
            for number in 0..20_u16 {
                world.apply(&Step::Put(Kind(16 + number % 4), vec![0x5A; 20]));
            }
            if torn {
                // The dead bank is left with a write that was cut.
                let mut cut = world.clone();
                let step = Step::Put(Kind(16), vec![0x77; 20]);
                let mut whole = world.clone();
                whole.apply(&step);
                let operations = whole.operations() - world.operations();
                let after = if bank == Partition::StateA {
                    operations / 6
                } else {
                    operations * 4 / 6
                };
                cut.journal.flash_mut().cut_after(after, Tear::Torn(5));
                cut.call(&step).ok();
                assert!(cut.journal.flash().is_off());
                world.journal = Journal::open(cut.flash()).unwrap().0;
                world.model.check(&mut world.journal, Some(&step));
            }
            let mut model = world.model.clone();
            model.single = true;
            let (mut journal, opening) = Journal::open(OneBank {
                flash: world.flash(),
                dead: Some(bank),
            })
            .unwrap();
            model.check_opening(&opening);
            for number in 0..u16::try_from(seeds(160).end).unwrap() {
                let kind = Kind(16 + number * 7 % 5);
                let step = Step::Put(
                    kind,
                    vec![u8::try_from(number % 251).unwrap(); 25 + usize::from(number % 60)],
                );
                let before = journal.flash().flash.operations();
                let mut whole = journal.clone();
                super::model::call(&mut whole, model.boot, &step).unwrap();
                assert!(!whole.redundant());
                let operations = whole.flash().flash.operations() - before;
                turns += u32::from(operations > 100);
                let turn = operations > 100;
                let stride = if turn { 2 } else { 1 };
                let mut cut_at = |operation: u64, tear: Tear| {
                    cuts += 1;
                    cut_and_boot(&journal, &model, &step, (operation, tear), (bank, cuts));
                };
                // Every sixteenth put, and those that make room.
                let cut_here = if turn || number % 16 == 0 {
                    operations
                } else {
                    0
                };
                for operation in (0..cut_here).step_by(stride) {
                    for tear in [Tear::NotBegun, Tear::Torn(operation * 7), Tear::Done] {
                        cut_at(operation, tear);
                    }
                }
                // Making room ends with an erase of the page with the older copies.
                if turn {
                    for operation in erase_operations(&journal, model.boot, &step, operations) {
                        for seed in 0..50 {
                            cut_at(operation, Tear::Torn(seed));
                            torn_erases += 1;
                        }
                    }
                }
                super::model::call(&mut journal, model.boot, &step).unwrap();
                model.acknowledge(&step);
                model.check(&mut journal, None);
            }
        }
    }
    println!("{cuts} cuts with one bank alone, {turns} page turns, {torn_erases} torn erases");
    assert!(turns > 3 && cuts > 5_000 && torn_erases > 500);
}

/// The same with more than a page of state, as a finished pump has it, in a bank of three pages: what is live is on two of them, and making room
/// moves one. Around the erase of every page turn, and at some places between.
#[test]
fn a_bank_alone_survives_cuts_in_page_turns_of_a_large_state() {
    let lengths = [
        700, 700, 700, 600, 500, 500, 400, 400, 300, 300, 200, 19, 4, 40,
    ];
    let (mut cuts, mut turns) = (0, 0);
    for bank in [Partition::StateA, Partition::StateB] {
        let mut random = Random(21);
        let mut number = 0_u32;
        let mut step = || {
            let place = at(random.below(14));
            number += 1;
            let mut body = number.to_le_bytes().to_vec();
            body.resize(lengths[place], [0xFF, 0x00][at(random.below(2))]);
            Step::Put(Kind(16 + u16::try_from(place).unwrap()), body)
        };
        let mut world = World::on(VirtualFlash::with_sizes([0x5000, 0x2000, 0x3000, 0x3000]));
        for _ in 0..60 {
            world.apply(&step());
        }
        let mut model = world.model.clone();
        model.single = true;
        let (mut journal, opening) = Journal::open(OneBank {
            flash: world.flash(),
            dead: Some(bank),
        })
        .unwrap();
        model.check_opening(&opening);
        for _ in 0..seeds(30).end {
            let step = step();
            let before = journal.flash().flash.operations();
            let mut whole = journal.clone();
            super::model::call(&mut whole, model.boot, &step).unwrap();
            assert!(!whole.redundant());
            let operations = whole.flash().flash.operations() - before;
            let erases = erase_operations(&journal, model.boot, &step, operations);
            turns += erases.len();
            let worth = |operation: &u64| {
                let near = |erase: &u64| erase.abs_diff(*operation) <= 2;
                erases.iter().any(near) || !erases.is_empty() && operation.is_multiple_of(97)
            };
            for operation in (0..operations).filter(worth) {
                for tear in [Tear::NotBegun, Tear::Torn(operation * 7), Tear::Done] {
                    cuts += 1;
                    cut_and_boot(&journal, &model, &step, (operation, tear), (bank, cuts));
                }
            }
            super::model::call(&mut journal, model.boot, &step).unwrap();
            model.acknowledge(&step);
            model.check(&mut journal, None);
        }
    }
    println!("{cuts} cuts with one bank alone and a large state, {turns} page turns");
    assert!(cuts > 300 && turns > 10);
}

/// A value that was found not to count never counts later, also when by then no bank is in order: any newer index that does not name it says so.
#[test]
fn what_did_not_count_once_does_not_count_later() {
    let mut world = World::on(VirtualFlash::with_sizes(SIZES));
    for number in 0..8_u16 {
        world.apply(&Step::Put(Kind(16 + number % 4), vec![0x5A; 20]));
    }
    let begun = envelope(Kind(20), 1, &[0x77; 20]);
    let value = |journal: &mut Journal<OneBank>| {
        let mut body = [0; 400];
        let found = journal.get(Kind(20), &mut body).unwrap();
        found.map(|found| found.body.to_vec())
    };
    let mut seen = [0; 2];
    for (already_dead, operation) in [false, true]
        .into_iter()
        .flat_map(|dead| (0..80).map(move |operation| (dead, operation)))
    {
        // The first bank dies before the put, which then is cut in the second, or at the cut in the first.
        let one_bank = OneBank {
            flash: world.flash(),
            dead: already_dead.then_some(Partition::StateA),
        };
        let (journal, _) = Journal::open(one_bank).unwrap();
        for seed in 0..8 {
            let mut cut = journal.clone();
            let tear = if seed == 0 {
                Tear::Done
            } else {
                Tear::Torn(seed)
            };
            cut.flash_mut().flash.cut_after(operation, tear);
            cut.put(&begun).ok();
            if !cut.flash().flash.is_off() {
                continue;
            }
            let mut flash = cut.into_flash();
            flash.flash.power_on();
            flash.dead = Some(Partition::StateA);
            let (mut journal, _) = Journal::open(flash).unwrap();
            let first = value(&mut journal);
            seen[usize::from(first.is_some())] += 1;
            let mut flash = journal.into_flash();
            // The bank that was in order is damaged, too, and the dead one comes back.
            if already_dead {
                flash.flash.flip_bit(Partition::StateA, 60, 3);
            } else {
                flash.flash.flip_bit(Partition::StateB, 60, 3);
                flash.dead = None;
            }
            let (mut journal, _) = Journal::open(flash).unwrap();
            assert_eq!(value(&mut journal), first, "operation {operation}");
        }
    }
    assert!(seen[0] > 100 && seen[1] > 0, "{seen:?}");
}

/// Cuts a step at one of its operations, and boots what that leaves. The dead bank comes back for one of the boots, or for none: which, `cuts` decides.
fn cut_and_boot(
    journal: &Journal<OneBank>,
    model: &Model,
    step: &Step,
    (operation, tear): (u64, Tear),
    (bank, cuts): (Partition, u64),
) {
    let mut cut = journal.clone();
    cut.flash_mut().flash.cut_after(operation, tear);
    super::model::call(&mut cut, model.boot, step).ok();
    let mut flash = cut.into_flash();
    assert!(flash.flash.is_off());
    flash.flash.power_on();
    let mut dead = [Some(bank); 3];
    if let Some(back) = dead.get_mut(at(cuts % 4)) {
        *back = None;
    }
    boot_and_put(flash, dead, model.clone(), step);
}

/// Boots with or without the dead bank, and puts. What was begun is found at the first boot, whole, or never.
fn boot_and_put(flash: OneBank, dead: [Option<Partition>; 3], model: Model, begun: &Step) {
    let (mut flash, mut model) = (flash, model);
    let mut pending = Some(begun);
    for dead in dead {
        flash.dead = dead;
        let (mut journal, opening) = Journal::open(flash).unwrap();
        model.check_opening(&opening);
        assert_eq!(opening.redundant, dead.is_none());
        model.check(&mut journal, pending.take());
        for round in 0..2 {
            let other = Step::Put(Kind(16 + round), vec![0xEE; 30]);
            super::model::call(&mut journal, model.boot, &other).unwrap();
            model.acknowledge(&other);
        }
        model.check(&mut journal, None);
        flash = journal.into_flash();
    }
    assert_eq!(flash.flash.refused(), 0);
}

/// Which operations of a step are page erases.
fn erase_operations(
    journal: &Journal<OneBank>,
    boot: u32,
    step: &Step,
    operations: u64,
) -> Vec<u64> {
    let erased = |operation: u64, tear: Tear| -> u32 {
        let mut cut = journal.clone();
        cut.flash_mut().flash.cut_after(operation, tear);
        super::model::call(&mut cut, boot, step).ok();
        [Partition::StateA, Partition::StateB]
            .into_iter()
            .flat_map(|bank| cut.flash().flash.wear(bank))
            .map(|page| page.erases)
            .sum()
    };
    (0..operations)
        .filter(|operation| erased(*operation, Tear::Done) > erased(*operation, Tear::NotBegun))
        .collect()
}

fn at(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

/// Every page of the flash lasts a few erases only, and then the journal is used until hardly anything is accepted. Whatever was acknowledged is
/// there at every moment, and no call says other than it does.
#[test]
fn a_flash_used_to_its_end_keeps_what_it_has_acknowledged() {
    for seed in seeds(3) {
        let mut flash = VirtualFlash::with_sizes(SIZES);
        flash.set_endurance(3);
        let mut journal = Journal::open(flash).unwrap().0;
        let mut random = Random(seed);
        let mut events: Vec<Vec<u8>> = vec![];
        let mut values: std::collections::BTreeMap<Kind, Vec<u8>> =
            std::collections::BTreeMap::new();
        let mut refused = [0; 3];
        let (mut boot, mut kept) = (1, true);
        for number in 0..12_000_u32 {
            let body = [&number.to_le_bytes()[..], &[0x5A; 40]].concat();
            let (place, result) = match random.below(12) {
                0 => {
                    let kind = Kind(16 + u16::try_from(random.below(4)).unwrap());
                    let result = journal.put(&envelope(kind, boot, &body));
                    let mut found = [0; 400];
                    let found = journal
                        .get(kind, &mut found)
                        .map(|value| value.map(|value| value.body.to_vec()));
                    if result.is_ok() {
                        values.insert(kind, body);
                    }
                    // Undecided or not, it is the new one or the old one.
                    match (&result, found) {
                        (Err(JournalError::Undecided), Ok(Some(found))) => {
                            values.insert(kind, found);
                        }
                        (_, found) => assert_eq!(found, Ok(values.get(&kind).cloned())),
                    }
                    (0, result)
                }
                1..=3 => (1, journal.checkpoint(&envelope(TOTALS, boot, &body))),
                4..=11 if random.below(400) == 0 => {
                    let opening;
                    (journal, opening) = Journal::open(journal.into_flash()).unwrap();
                    assert!(opening.boot > boot || !kept, "{opening:?}");
                    (boot, kept) = (opening.boot, opening.boot_kept);
                    assert_ne!(opening.state, StateCondition::Unreadable);
                    for kind in (16..20).map(Kind) {
                        let mut found = [0; 400];
                        let found = journal.get(kind, &mut found).unwrap();
                        let found = found.map(|value| value.body.to_vec());
                        assert_eq!(found, values.get(&kind).cloned());
                    }
                    (0, Ok(()))
                }
                _ => {
                    let result = journal.append(&envelope(EVENT, boot, &body));
                    if result.is_ok() {
                        events.push(body);
                    }
                    (2, result)
                }
            };
            refused[place] += u32::from(result.is_err());
            if number % 500 == 0 {
                let all = records(&mut journal, Log::Events);
                let (findings, _) = verify(Verifier::new(), &all);
                assert!(
                    findings
                        .iter()
                        .all(|finding| matches!(finding, crate::Finding::Missing { .. })),
                    "{findings:?}"
                );
                let last = all
                    .last()
                    .map(|bytes| crate::Record::decode(bytes).unwrap().envelope.body.to_vec());
                assert_eq!(last, events.last().cloned());
            }
        }
        println!("refused at the end: {refused:?} puts, checkpoints, events");
        assert!(refused.iter().all(|refused| *refused > 0), "{refused:?}");
        assert_eq!(journal.flash().refused(), 0);
    }
}
