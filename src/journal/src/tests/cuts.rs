//! Power cuts at every operation, and a second one during the recovery from the first.

use std::println;
use std::vec::Vec;

use super::model::{Random, Step, World, seeds, steps};
use crate::{Journal, Kind, Tear, VirtualFlash};

/// How often the power was cut, and what the flash noticed.
#[derive(Default)]
struct Tally {
    cuts: u64,
    second_cuts: u64,
    landed: u64,
}

/// The ways an operation can be cut, with a seed that differs from cut to cut.
fn tears(operation: u64) -> [Tear; 4] {
    [
        Tear::NotBegun,
        Tear::Torn(operation.wrapping_mul(3)),
        Tear::Torn(operation.wrapping_mul(3).wrapping_add(1)),
        Tear::Done,
    ]
}

/// After any cut: opens, checks against the model, and goes on working.
fn recover_and_check(world: &World, flash: VirtualFlash, begun: Option<&Step>, tally: &mut Tally) {
    let mut model = world.model.clone();
    let known = model.events.len() + model.critical.len() + model.checkpoints.len();
    let (mut journal, opening) = Journal::open(flash).unwrap();
    model.check_opening(&opening);
    model.check(&mut journal, begun);
    model.check_chains(&mut journal);
    let landed = model.events.len() + model.critical.len() + model.checkpoints.len();
    tally.landed += u64::from(landed > known);

    let mut world = World { journal, model };
    for step in [
        Step::Critical(b"next event".to_vec()),
        Step::Checkpoint(b"next checkpoint".to_vec()),
        Step::Put(Kind(16), b"next value".to_vec()),
    ] {
        world.apply(&step);
    }
    world.model.check_chains(&mut world.journal);
    // What was found once stays: the one that was begun may not come and go.
    if (tally.cuts + tally.second_cuts).is_multiple_of(4) {
        world.apply(&Step::Reopen);
        world.model.check(&mut world.journal, None);
        world.model.check_chains(&mut world.journal);
    }
    assert_eq!(world.journal.flash().refused(), 0, "a forbidden operation");
}

/// Cuts a step at each of its operations in each way.
fn cut_everywhere(world: &World, step: &Step, tally: &mut Tally, second_cut_every: u64) {
    cut_at(world, step, tally, second_cut_every, |_| true);
}

/// Cuts a step at some of its operations in each way.
fn cut_at(
    world: &World,
    step: &Step,
    tally: &mut Tally,
    second_cut_every: u64,
    mut at: impl FnMut(u64) -> bool,
) {
    let mut whole = world.clone();
    whole.apply(step);
    let operations = whole.operations() - world.operations();
    for operation in (0..operations).filter(|operation| at(*operation)) {
        for tear in tears(world.operations() + operation) {
            let mut cut = world.clone();
            cut.journal.flash_mut().cut_after(operation, tear);
            // A put whose second copy fails has succeeded, but nobody gets to know.
            cut.call(step).ok();
            assert!(cut.journal.flash().is_off());
            tally.cuts += 1;
            let flash = cut.flash();
            if tally.cuts.is_multiple_of(second_cut_every) {
                cut_recovery(world, &flash, step, tally);
            }
            recover_and_check(world, flash, Some(step), tally);
        }
    }
}

/// Cuts the opening after a cut at a sample of its operations.
fn cut_recovery(world: &World, flash: &VirtualFlash, step: &Step, tally: &mut Tally) {
    let before = flash.operations();
    let (journal, _) = Journal::open(flash.clone()).unwrap();
    let operations = journal.flash().operations() - before;
    // A recovery that copies a bank has hundreds of operations: the first and last ones, and some between.
    let stride = operations.div_ceil(40).max(1);
    for operation in 0..operations {
        if operation > 12 && operation + 12 < operations && !operation.is_multiple_of(stride) {
            continue;
        }
        for tear in tears(operation) {
            let mut flash = flash.clone();
            flash.cut_after(operation, tear);
            let mut flash = Journal::open(flash).unwrap().0.into_flash();
            assert!(flash.is_off());
            flash.power_on();
            tally.second_cuts += 1;
            recover_and_check(world, flash, Some(step), tally);
        }
    }
}

/// A world after random steps, as far along as to have turned every page once.
fn world_after(seed: u64, count: u32) -> World {
    let mut world = World::small();
    world.apply(&Step::Key([u8::try_from(seed % 256).unwrap(); 32]));
    for step in steps(seed, count) {
        world.apply(&step);
    }
    world
}

#[test]
fn first_start_survives_a_cut_at_every_operation() {
    let blank = VirtualFlash::with_sizes([0x5000, 0x2000, 0x3000, 0x3000]);
    let (journal, _) = Journal::open(blank.clone()).unwrap();
    let operations = journal.flash().operations();
    assert!(operations > 10);
    let mut cuts = 0;
    for operation in 0..operations {
        for seed in 0..40 {
            for tear in tears(seed * 1000 + operation) {
                let mut flash = blank.clone();
                flash.cut_after(operation, tear);
                let mut flash = Journal::open(flash).unwrap().0.into_flash();
                flash.power_on();
                let (journal, opening) = Journal::open(flash).unwrap();
                assert!(opening.boot == 1 || opening.boot == 2, "{opening:?}");
                let mut world = World {
                    journal,
                    model: super::model::Model::default(),
                };
                world.model.check_opening(&opening);
                world.model.check(&mut world.journal, None);
                world.apply(&Step::Put(Kind(16), b"value".to_vec()));
                world.apply(&Step::Critical(b"event".to_vec()));
                world.apply(&Step::Key([7; 32]));
                world.apply(&Step::Reopen);
                world.model.check(&mut world.journal, None);
                world.model.check_chains(&mut world.journal);
                cuts += 1;
            }
        }
    }
    println!("{cuts} cuts during the first start");
}

/// The scenario: random mixed steps until every partition has gone round, then a stretch cut at every operation in four ways.
///
/// Requirement: AC-5, R-7
#[test]
fn a_cut_at_every_operation_leaves_old_or_new() {
    let mut tally = Tally::default();
    for seed in seeds(5) {
        let mut world = world_after(seed, 400);
        for step in steps(seed + 100, 12) {
            cut_everywhere(&world, &step, &mut tally, 100);
            world.apply(&step);
        }
    }
    println!(
        "{} cuts and {} second cuts of mixed steps; {} begun records landed",
        tally.cuts, tally.second_cuts, tally.landed
    );
    assert!(tally.cuts > 6_000 && tally.second_cuts > 4_000 && tally.landed > 0);
}

/// The steps in which a page is erased or a bank makes room: each cut at every operation, and second cuts during recovery.
#[test]
fn a_cut_at_every_operation_of_a_page_turn_leaves_old_or_new() {
    let mut tally = Tally::default();
    let mut turns = [0_u64; 4];
    let mut world = world_after(50, 300);
    let mut random = Random(7);
    let mut number = 10_000;
    // In a bank of three pages a turn moves what is live on the oldest only: less to cut, so more of them.
    let wanted = seeds(2).end;
    while turns != [wanted; 4] {
        number += 1;
        let step = Step::random(&mut random, number);
        let turn = match &step {
            Step::Append(_) => &mut turns[0],
            Step::Checkpoint(_) => &mut turns[1],
            Step::Put(..) => &mut turns[2],
            Step::Critical(_) => &mut turns[3],
            Step::Key(_) | Step::Reopen => continue,
        };
        let before = erases(&world);
        let mut after = world.clone();
        after.apply(&step);
        if erases(&after) > before && *turn < wanted {
            *turn += 1;
            cut_everywhere(&world, &step, &mut tally, 130);
        }
        world = after;
    }
    println!(
        "{} cuts and {} second cuts of page turns",
        tally.cuts, tally.second_cuts
    );
    assert!(tally.cuts > 1_000 && tally.second_cuts > 1_000);
}

/// Torn erases in many more mixtures than one seed gives.
#[test]
fn torn_erases_of_every_mixture_are_recovered_from() {
    let mut tally = Tally::default();
    let mut world = world_after(60, 300);
    let mut random = Random(8);
    let mut seen = [0; 4];
    let mut number = 20_000;
    while seen != [1; 4] {
        number += 1;
        let step = Step::random(&mut random, number);
        let place = match &step {
            Step::Append(_) => 0,
            Step::Checkpoint(_) => 1,
            Step::Put(..) => 2,
            Step::Critical(_) => 3,
            Step::Key(_) | Step::Reopen => continue,
        };
        for operation in erase_operations(&world, &step) {
            seen[place] = 1;
            for seed in seeds(50) {
                let mut cut = world.clone();
                cut.journal
                    .flash_mut()
                    .cut_after(operation, Tear::Torn(seed));
                cut.call(&step).ok();
                tally.cuts += 1;
                recover_and_check(&world, cut.flash(), Some(&step), &mut tally);
            }
        }
        world.apply(&step);
    }
    println!("{} torn erases", tally.cuts);
}

fn erases(world: &World) -> u32 {
    crate::Partition::ALL
        .into_iter()
        .flat_map(|partition| world.journal.flash().wear(partition))
        .map(|page| page.erases)
        .sum()
}

/// Which operations of a step are page erases.
fn erase_operations(world: &World, step: &Step) -> Vec<u64> {
    let mut whole = world.clone();
    whole.apply(step);
    if erases(&whole) == erases(world) {
        return Vec::new();
    }
    (0..whole.operations() - world.operations())
        .filter(|operation| {
            let mut before = world.clone();
            before
                .journal
                .flash_mut()
                .cut_after(*operation, Tear::NotBegun);
            before.call(step).ok();
            let mut after = world.clone();
            after.journal.flash_mut().cut_after(*operation, Tear::Done);
            after.call(step).ok();
            erases(&after) > erases(&before)
        })
        .collect()
}

/// More than a page of state, as a finished pump has it: what is live is on two pages, and making room moves one of them or both. A page
/// turn has thousands of operations here: around every erase and every page's marks, and some between.
///
/// Requirement: AC-5, R-7
#[test]
fn a_cut_in_a_page_turn_of_a_large_state_leaves_old_or_new() {
    let mut world = World::on(VirtualFlash::with_sizes([0x5000, 0x2000, 0x3000, 0x3000]));
    let mut random = Random(11);
    let lengths = [
        700, 700, 700, 600, 500, 500, 400, 400, 300, 300, 200, 19, 4, 40,
    ];
    let mut put = |world: &World, number: u32| {
        let place = usize::try_from(random.below(14)).unwrap();
        let filler = [0xFF, 0x00][usize::try_from(random.below(2)).unwrap()];
        let mut body = number.to_le_bytes().to_vec();
        body.resize(lengths[place], filler);
        let step = Step::Put(Kind(16 + u16::try_from(place).unwrap()), body);
        let mut after = world.clone();
        after.apply(&step);
        (step, after)
    };
    let mut number = 0;
    let mut next = |world: &World| {
        number += 1;
        put(world, number)
    };
    for _ in 0..100 {
        (_, world) = next(&world);
    }
    let mut tally = Tally::default();
    let effort = seeds(1).end;
    // One page is moved in each bank, or both.
    let mut turns = [0, 0];
    while turns.iter().any(|turn| *turn < effort) {
        let (step, after) = next(&world);
        let erased = erases(&after) - erases(&world);
        let turn = &mut turns[usize::from(erased > 2)];
        if erased > 0 && *turn < effort {
            *turn += 1;
            let near = erase_operations(&world, &step);
            let stride = 61;
            cut_at(&world, &step, &mut tally, 150, |operation| {
                operation.is_multiple_of(stride)
                    || near.iter().any(|erase| erase.abs_diff(operation) <= 3)
            });
        }
        world = after;
        assert!(world.model.history.len() < 3_000, "{turns:?}");
    }
    println!(
        "{} cuts and {} second cuts of a large state",
        tally.cuts, tally.second_cuts
    );
    assert!(tally.cuts > 200 && tally.second_cuts > 100);
}
