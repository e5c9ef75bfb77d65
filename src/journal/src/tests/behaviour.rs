//! What each call promises, on a flash that works and on one that fails.

use proptest::prelude::*;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

use super::model::{EVENT, Model, Step, TOTALS, World, bodies, call, envelope, seeds, steps};
use crate::{
    BODY_BYTES, Flash, FlashError, Journal, JournalError, KINDS, Kind, Log, Opening, PAGE,
    Partition, RingCondition, StateCondition, VirtualFlash,
};

const SMALL: [u32; 4] = [0x4000, 0x2000, 0x2000, 0x2000];
const PROGRAM: Kind = Kind(16);

fn open<F: Flash>(flash: F) -> (Journal<F>, Opening) {
    Journal::open(flash).unwrap()
}

fn value<F: Flash>(journal: &mut Journal<F>, kind: Kind) -> Result<Option<Vec<u8>>, JournalError> {
    let mut body = [0; BODY_BYTES];
    Ok(journal
        .get(kind, &mut body)?
        .map(|envelope| envelope.body.to_vec()))
}

fn events<F: Flash>(journal: &mut Journal<F>) -> Vec<Vec<u8>> {
    bodies(journal, Log::Events)
}

#[test]
fn first_start_is_blank_and_every_boot_has_a_larger_number() {
    let (journal, opening) = open(VirtualFlash::nrf52840());
    assert_eq!(
        opening,
        Opening {
            boot: 1,
            boot_kept: true,
            state: StateCondition::Blank,
            kinds_lost: 0,
            redundant: true,
            events: RingCondition::Blank,
            critical: RingCondition::Blank,
            checkpoints: RingCondition::Blank,
            chained: true,
            pages_retired: 0,
            repairs: crate::Repairs::default(),
        }
    );
    let mut flash = journal.into_flash();
    for boot in 2..20 {
        let (journal, opening) = open(flash);
        assert_eq!(opening.boot, boot);
        assert_eq!(opening.state, StateCondition::Good);
        assert!(opening.repairs.is_empty());
        flash = journal.into_flash();
    }
    assert_eq!(flash.refused(), 0);
}

#[test]
fn events_come_back_whole_with_numbers_and_stamps() {
    let (mut journal, _) = open(VirtualFlash::with_sizes(SMALL));
    journal.append(&envelope(EVENT, 1, b"first")).unwrap();
    journal
        .append(&envelope(Kind(999), 1, b"of a later version"))
        .unwrap();
    let (mut journal, opening) = open(journal.into_flash());
    assert_eq!(opening.events, RingCondition::Good);
    journal.append(&envelope(EVENT, 2, &[0xFF; 400])).unwrap();
    let mut seen = 0;
    journal
        .read(Log::Events, |record| {
            assert_eq!(record.sequence, seen);
            let (kind, boot, body) = [
                (EVENT, 1, &b"first"[..]),
                (Kind(999), 1, b"of a later version"),
                (EVENT, 2, &[0xFF; 400]),
            ][usize::try_from(seen).unwrap()];
            assert_eq!(record.envelope, envelope(kind, boot, body));
            seen += 1;
        })
        .unwrap();
    assert_eq!(seen, 3);
}

#[test]
fn the_oldest_page_goes_and_an_append_erases_at_most_one() {
    let (mut journal, _) = open(VirtualFlash::with_sizes([0x6000, 0x2000, 0x2000, 0x2000]));
    let erases = |journal: &Journal<VirtualFlash>| -> u32 {
        journal
            .flash()
            .wear(Partition::Journal)
            .iter()
            .map(|page| page.erases)
            .sum()
    };
    for number in 0..2000_u32 {
        let (erased, operations) = (erases(&journal), journal.flash().operations());
        journal
            .append(&envelope(EVENT, 1, &number.to_le_bytes()))
            .unwrap();
        let erased = erases(&journal) - erased;
        assert!(erased <= 1);
        let operations = journal.flash().operations() - operations;
        let mut record = [0; 64];
        let part = journal.read_from(Log::Events, number, &mut record).unwrap();
        let item = u64::try_from((part.used - 2).div_ceil(4)).unwrap() + 2;
        // A page turn: one end marker, one start marker, and once the ring is full an erase.
        let turn = operations - item - u64::from(erased);
        assert!(
            turn == 0 && erased == 0 || turn == 2 || number == 0 && turn == 1,
            "event {number}: {operations} operations, {erased} erases"
        );
    }
    let kept = events(&mut journal);
    assert_eq!(kept.last().unwrap(), &1999_u32.to_le_bytes());
    for (one, next) in kept.iter().zip(&kept[1..]) {
        let number = |body: &Vec<u8>| u32::from_le_bytes(body[..].try_into().unwrap());
        assert_eq!(number(one) + 1, number(next));
    }
    // Three full pages of the four, and what the youngest holds: of 4,088 bytes, 32 for an event and 16 more for each of two anchors.
    let page = (4088 - 32) / 32;
    assert!(
        kept.len() > 3 * page && kept.len() <= 4 * (page + 1),
        "{}",
        kept.len()
    );
    let wear: Vec<_> = journal.flash().wear(Partition::Journal)[..4]
        .iter()
        .map(|page| page.erases)
        .collect();
    assert!(
        wear.iter().max().unwrap() - wear.iter().min().unwrap() <= 1,
        "{wear:?}"
    );
}

#[test]
fn latest_checkpoint_is_the_newest_of_its_kind() {
    let (mut journal, _) = open(VirtualFlash::with_sizes(SMALL));
    let mut body = [0; BODY_BYTES];
    assert_eq!(journal.latest_checkpoint(TOTALS, &mut body), Ok(None));
    for number in 0..500_u32 {
        let bytes = number.to_le_bytes();
        journal.checkpoint(&envelope(TOTALS, 1, &bytes)).unwrap();
        let latest = journal.latest_checkpoint(TOTALS, &mut body).unwrap();
        assert_eq!(latest, Some(envelope(TOTALS, 1, &bytes)));
    }
    // Many of another kind behind it, on another page.
    for _ in 0..80 {
        journal
            .checkpoint(&envelope(Kind(18), 1, b"other"))
            .unwrap();
    }
    let latest = journal.latest_checkpoint(TOTALS, &mut body).unwrap();
    assert_eq!(latest.unwrap().body, 499_u32.to_le_bytes());
    assert_eq!(
        journal.latest_checkpoint(Kind(18), &mut [0; 4]),
        Err(JournalError::BufferTooSmall { needed: 5 })
    );
    assert_eq!(journal.latest_checkpoint(Kind(19), &mut body), Ok(None));
}

#[test]
fn state_is_the_newest_value_of_each_kind() {
    let (mut journal, _) = open(VirtualFlash::with_sizes(SMALL));
    assert_eq!(value(&mut journal, PROGRAM), Ok(None));
    for number in 0..300_u32 {
        let kind = Kind(16 + u16::try_from(number % 3).unwrap());
        let body = [&number.to_le_bytes()[..], &[0xFF; 60]].concat();
        journal.put(&envelope(kind, 1, &body)).unwrap();
        assert_eq!(value(&mut journal, kind), Ok(Some(body)));
    }
    let (mut journal, opening) = open(journal.into_flash());
    assert_eq!(opening.state, StateCondition::Good);
    for (kind, number) in [(16, 297_u32), (17, 298), (18, 299)] {
        let body = value(&mut journal, Kind(kind)).unwrap().unwrap();
        assert_eq!(body[..4], number.to_le_bytes());
    }
    assert_eq!(value(&mut journal, Kind(19)), Ok(None));
    assert_eq!(
        journal.get(PROGRAM, &mut [0; 63]),
        Err(JournalError::BufferTooSmall { needed: 64 })
    );
    assert_eq!(journal.flash().refused(), 0);
}

#[test]
fn mistakes_of_the_caller_change_nothing() {
    let (mut journal, _) = open(VirtualFlash::with_sizes(SMALL));
    let operations = journal.flash().operations();
    let long = [0; BODY_BYTES + 1];
    let too_long = envelope(EVENT, 1, &long);
    assert_eq!(journal.append(&too_long), Err(JournalError::BodyTooLong));
    assert_eq!(
        journal.checkpoint(&too_long),
        Err(JournalError::BodyTooLong)
    );
    assert_eq!(journal.put(&too_long), Err(JournalError::BodyTooLong));
    let reserved = envelope(Kind::INDEX, 1, b"");
    assert_eq!(journal.append(&reserved), Err(JournalError::ReservedKind));
    assert_eq!(
        journal.checkpoint(&reserved),
        Err(JournalError::ReservedKind)
    );
    assert_eq!(journal.put(&reserved), Err(JournalError::ReservedKind));
    assert_eq!(journal.flash().operations(), operations);
}

#[test]
fn full_banks_refuse_and_keep_what_they_have() {
    full_banks(SMALL, 10);
    // What is live is on two pages.
    full_banks([0x4000, 0x2000, 0x3000, 0x3000], 20);
}

fn full_banks(sizes: [u32; 4], least: u16) {
    let (mut journal, _) = open(VirtualFlash::with_sizes(sizes));
    let mut kept = 0;
    let error = loop {
        let body = [u8::try_from(kept).unwrap(); 300];
        match journal.put(&envelope(Kind(kept), 1, &body)) {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, JournalError::StateFull);
    assert!(kept >= least, "{kept} values of 300 bytes");
    // Every one of them can still be replaced, as often as wanted.
    for round in 0..20_u8 {
        for kind in 0..kept {
            let body = [round; 300];
            journal.put(&envelope(Kind(kind), 1, &body)).unwrap();
        }
    }
    let (mut journal, opening) = open(journal.into_flash());
    assert_eq!(opening.state, StateCondition::Good);
    for kind in 0..kept {
        assert_eq!(value(&mut journal, Kind(kind)), Ok(Some(vec![19; 300])));
    }
}

#[test]
fn a_33rd_kind_is_refused() {
    let (mut journal, _) = open(VirtualFlash::with_sizes(SMALL));
    for kind in 0..u16::try_from(KINDS).unwrap() {
        journal.put(&envelope(Kind(kind), 1, b"x")).unwrap();
    }
    assert_eq!(
        journal.put(&envelope(Kind(100), 1, b"x")),
        Err(JournalError::TooManyKinds)
    );
    let (mut journal, opening) = open(journal.into_flash());
    assert_eq!(opening.state, StateCondition::Good);
    assert_eq!(value(&mut journal, Kind(31)), Ok(Some(b"x".to_vec())));
    assert_eq!(value(&mut journal, Kind(100)), Ok(None));
}

#[test]
fn sizes_that_cannot_work_are_refused() {
    #[derive(Debug)]
    struct Odd(Partition, u32);
    impl Flash for Odd {
        fn size(&self, partition: Partition) -> u32 {
            if partition == self.0 { self.1 } else { 0x4000 }
        }
        fn read(&mut self, _: Partition, _: u32, _: &mut [u8]) -> Result<(), FlashError> {
            panic!("read")
        }
        fn write(&mut self, _: Partition, _: u32, _: &[u8]) -> Result<(), FlashError> {
            panic!("write")
        }
        fn erase(&mut self, _: Partition, _: u32, _: u32) -> Result<(), FlashError> {
            panic!("erase")
        }
    }
    // Two pages are enough for any partition but that of the logs, which needs two for each.
    let too_small = |partition| match partition {
        Partition::Journal => 3 * PAGE,
        _ => PAGE,
    };
    for partition in Partition::ALL {
        let least = too_small(partition);
        for size in [0, PAGE, least, least + PAGE + 4, u32::MAX] {
            let error = Journal::open(Odd(partition, size)).unwrap_err();
            assert_eq!(error, JournalError::UnsupportedSize { partition, size });
            let text = error.to_string();
            assert!(
                text.contains(partition.name()) && text.contains(&(least + PAGE).to_string()),
                "{text}"
            );
        }
        let mut sizes = [0x4000; 4];
        let place = Partition::ALL.iter().position(|one| *one == partition);
        sizes[place.unwrap()] = least + PAGE;
        Journal::open(VirtualFlash::with_sizes(sizes)).unwrap();
    }
}

/// A flash whose driver fails: once, after so many operations, or for ever in one partition.
#[derive(Clone, Debug)]
struct Failing {
    flash: VirtualFlash,
    once_in: Option<(u64, FlashError)>,
    always: Option<Partition>,
    /// One bit of a word that stays erased whatever is written, and nobody is told.
    worn: Option<(Partition, u32)>,
    /// Whether the banks cannot be read.
    mute: bool,
    /// So many reads of this partition fail from now on.
    unreadable: Option<(Partition, u32)>,
    /// After so many that do not.
    readable_before: u32,
    /// This partition takes so many operations more.
    dies_in: Option<(Partition, u64)>,
    /// Whether the banks cannot be written.
    dead_banks: bool,
}

impl Failing {
    fn new(flash: VirtualFlash) -> Self {
        Self {
            flash,
            once_in: None,
            always: None,
            worn: None,
            mute: false,
            unreadable: None,
            readable_before: 0,
            dies_in: None,
            dead_banks: false,
        }
    }

    /// Whether this word write or erase fails.
    fn fails(&mut self, partition: Partition) -> Result<(), FlashError> {
        let bank = matches!(partition, Partition::StateA | Partition::StateB);
        if self.always == Some(partition) || self.dead_banks && bank {
            return Err(FlashError::Failed(-5));
        }
        if let Some((dying, left)) = &mut self.dies_in
            && *dying == partition
        {
            *left = left.checked_sub(1).ok_or(FlashError::Failed(-5))?;
        }
        match &mut self.once_in {
            Some((0, error)) => {
                let error = *error;
                self.once_in = None;
                Err(error)
            }
            Some((left, _)) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Flash for Failing {
    fn size(&self, partition: Partition) -> u32 {
        self.flash.size(partition)
    }
    fn read(&mut self, partition: Partition, at: u32, to: &mut [u8]) -> Result<(), FlashError> {
        if self.mute && matches!(partition, Partition::StateA | Partition::StateB) {
            return Err(FlashError::Failed(-116));
        }
        if let Some((unreadable, left @ 1..)) = &mut self.unreadable
            && *unreadable == partition
        {
            if self.readable_before > 0 {
                self.readable_before -= 1;
                return self.flash.read(partition, at, to);
            }
            *left -= 1;
            return Err(FlashError::Failed(-116));
        }
        self.flash.read(partition, at, to)
    }
    fn write(&mut self, partition: Partition, at: u32, from: &[u8]) -> Result<(), FlashError> {
        for (at, word) in (at..).step_by(4).zip(from.chunks(4)) {
            self.fails(partition)?;
            if self.worn == Some((partition, at)) {
                self.flash
                    .write(partition, at, &[word[0] | 4, word[1], word[2], word[3]])?;
            } else {
                self.flash.write(partition, at, word)?;
            }
        }
        Ok(())
    }
    fn erase(&mut self, partition: Partition, from: u32, to: u32) -> Result<(), FlashError> {
        self.fails(partition)?;
        self.flash.erase(partition, from, to)
    }
}

/// The driver fails once, at any operation of any step: `Ok` means done, an error means certainly not done, and the next call works.
#[test]
fn an_error_means_certainly_not_done_and_the_next_call_works() {
    let mut world = World::small();
    for step in steps(3, 150) {
        world.apply(&step);
    }
    let mut failures = 0;
    let mut retried = 0;
    let mut halves = 0;
    for step in steps(4, 60) {
        if step == Step::Reopen {
            continue;
        }
        let operations = {
            let (mut journal, opening) = open(world.flash());
            let before = journal.flash().operations();
            call(&mut journal, opening.boot, &step).unwrap();
            journal.flash().operations() - before
        };
        for operation in (0..operations).step_by(if operations > 300 { 7 } else { 1 }) {
            let (mut journal, opening) = open(Failing::new(world.flash()));
            let mut model = world.model.clone();
            model.boot = opening.boot;
            journal.flash_mut().once_in = Some((operation, FlashError::Failed(-5)));
            match call(&mut journal, opening.boot, &step) {
                Ok(()) => {
                    model.acknowledge(&step);
                    retried += 1;
                }
                Err(error) => {
                    assert!(matches!(error, JournalError::Flash { .. }), "{error}");
                    failures += 1;
                    if let Step::Critical(body) = &step {
                        // One of the two logs may have it.
                        let critical = bodies(&mut journal, Log::Critical).last() == Some(body);
                        let events = bodies(&mut journal, Log::Events).last() == Some(body);
                        assert!(!(critical && events));
                        model.critical.extend(critical.then(|| body.clone()));
                        model.events.extend(events.then(|| body.clone()));
                        halves += 1;
                    }
                }
            }
            // Both for this boot and for the next one.
            model.check(&mut journal, None);
            for step in [
                Step::Append(b"next event".to_vec()),
                Step::Put(PROGRAM, b"next value".to_vec()),
            ] {
                call(&mut journal, opening.boot, &step).unwrap();
                model.acknowledge(&step);
            }
            assert!(journal.redundant());
            let flash = journal.into_flash().flash;
            assert_eq!(flash.refused(), 0);
            let (mut journal, opening) = open(flash);
            model.check_opening(&opening);
            model.check(&mut journal, None);
        }
    }
    assert!(
        failures > 200 && retried > 200 && halves > 50,
        "{failures} {retried} {halves}"
    );
}

#[test]
fn a_busy_driver_is_asked_again() {
    let (mut journal, _) = open(Failing::new(VirtualFlash::with_sizes(SMALL)));
    journal.flash_mut().once_in = Some((0, FlashError::Busy));
    journal.append(&envelope(EVENT, 1, b"event")).unwrap();
    journal.flash_mut().once_in = Some((0, FlashError::Busy));
    journal.put(&envelope(PROGRAM, 1, b"program")).unwrap();
    assert!(journal.redundant() && journal.repairs().is_empty());
}

/// A worn cell: what was written does not read back. The event goes behind it, the value into the other page.
#[test]
fn a_cell_that_does_not_take_a_bit_is_noticed() {
    for word in 1..20 {
        let (mut journal, _) = open(Failing::new(VirtualFlash::with_sizes(SMALL)));
        journal.flash_mut().worn = Some((Partition::Journal, 4 * word));
        let mut kept = vec![];
        for number in 0..10_u8 {
            match journal.append(&envelope(EVENT, 1, &[number; 4])) {
                Ok(()) => kept.push(vec![number; 4]),
                Err(error) => assert_eq!(
                    error,
                    JournalError::Flash {
                        partition: Partition::Journal,
                        error: FlashError::NotKept
                    }
                ),
            }
        }
        assert!(kept.len() >= 9);
        assert_eq!(events(&mut journal), kept);

        journal.flash_mut().worn = Some((Partition::StateA, 100 + 4 * word));
        let mut program = None;
        for number in 0..10_u8 {
            match journal.put(&envelope(PROGRAM, 1, &[number; 4])) {
                Ok(()) => program = Some(vec![number; 4]),
                Err(error) => assert!(error.to_string().contains("reads back"), "{error}"),
            }
            assert_eq!(value(&mut journal, PROGRAM), Ok(program.clone()));
        }
        assert!(program.is_some());
    }
}

#[test]
fn a_dead_second_bank_costs_the_second_copy_only() {
    let (mut journal, _) = open(Failing::new(VirtualFlash::with_sizes(SMALL)));
    journal.put(&envelope(PROGRAM, 1, b"old")).unwrap();
    journal.flash_mut().always = Some(Partition::StateB);
    journal.put(&envelope(PROGRAM, 1, b"new")).unwrap();
    assert!(!journal.redundant());
    assert_eq!(value(&mut journal, PROGRAM), Ok(Some(b"new".to_vec())));
    let (mut journal, opening) = open(journal.into_flash());
    assert!(!opening.redundant && opening.boot_kept);
    assert_eq!(opening.state, StateCondition::Repaired);
    assert_eq!(value(&mut journal, PROGRAM), Ok(Some(b"new".to_vec())));
    journal.put(&envelope(PROGRAM, 1, b"newer")).unwrap();
    // It comes back to life.
    journal.flash_mut().always = None;
    let (mut journal, opening) = open(journal.into_flash());
    assert!(opening.redundant);
    assert_eq!(value(&mut journal, PROGRAM), Ok(Some(b"newer".to_vec())));
}

/// The second bank goes on alone, and what it has outlives the return of the first with what that had.
#[test]
fn a_dead_first_bank_costs_the_first_copy_only() {
    let (mut journal, _) = open(Failing::new(VirtualFlash::with_sizes(SMALL)));
    journal.put(&envelope(PROGRAM, 1, b"old")).unwrap();
    journal.flash_mut().always = Some(Partition::StateA);
    for number in 0..200_u8 {
        journal.put(&envelope(PROGRAM, 1, &[number; 30])).unwrap();
        assert!(!journal.redundant());
        assert_eq!(value(&mut journal, PROGRAM), Ok(Some(vec![number; 30])));
    }
    journal.append(&envelope(EVENT, 1, b"event")).unwrap();
    for boot in 2..5 {
        let opening;
        (journal, opening) = open(journal.into_flash());
        assert_eq!(opening.boot, boot);
        assert!(opening.boot_kept && !opening.redundant);
        assert_eq!(opening.state, StateCondition::Repaired);
        assert_eq!(value(&mut journal, PROGRAM), Ok(Some(vec![199; 30])));
    }
    journal.flash_mut().always = None;
    let (mut journal, opening) = open(journal.into_flash());
    assert_eq!(opening.state, StateCondition::Repaired);
    assert!(opening.redundant);
    assert_eq!(value(&mut journal, PROGRAM), Ok(Some(vec![199; 30])));
    let (_, opening) = open(journal.into_flash());
    assert_eq!(opening.state, StateCondition::Good);
}

/// With one bank dead the other one fails once: an error still means certainly not kept, but for the value that was left whole without its index. Of
/// that nobody says that it is not there, and what is read first stays.
#[test]
fn a_value_left_without_its_index_is_undecided() {
    let (mut undecided, mut certain, mut kept) = (0, 0, 0);
    for bank in [Partition::StateA, Partition::StateB] {
        for operation in 0..60 {
            let (mut journal, _) = open(Failing::new(VirtualFlash::with_sizes(SMALL)));
            journal.put(&envelope(PROGRAM, 1, b"old")).unwrap();
            journal.flash_mut().always = Some(bank);
            journal.put(&envelope(PROGRAM, 1, b"newer")).unwrap();
            journal.flash_mut().once_in = Some((operation, FlashError::Failed(-5)));
            let old = Ok(Some(b"newer".to_vec()));
            let new = Ok(Some(b"newest".to_vec()));
            let result = journal.put(&envelope(PROGRAM, 1, b"newest"));
            let found = value(&mut journal, PROGRAM);
            match result {
                Ok(()) => {
                    assert_eq!(found, new);
                    kept += 1;
                }
                Err(JournalError::Undecided) => {
                    assert!(found == old || found == new, "{found:?}");
                    undecided += 1;
                }
                Err(_) => {
                    assert_eq!(found, old, "{operation}");
                    certain += 1;
                }
            }
            journal.flash_mut().once_in = None;
            assert_eq!(value(&mut journal, PROGRAM), found);
            let (mut journal, _) = open(journal.into_flash());
            assert_eq!(value(&mut journal, PROGRAM), found);
        }
    }
    assert!(undecided > 10 && certain > 10 && kept > 10);
}

/// The last bank takes the value and then nothing more: what was acknowledged is still there, now and after any number of resets.
#[test]
fn a_last_bank_that_dies_before_the_index_keeps_what_was_acknowledged() {
    let mut undecided = 0;
    for bank in [Partition::StateA, Partition::StateB] {
        let other = if bank == Partition::StateA {
            Partition::StateB
        } else {
            Partition::StateA
        };
        for operation in 0..60 {
            let (mut journal, _) = open(Failing::new(VirtualFlash::with_sizes(SMALL)));
            journal.put(&envelope(PROGRAM, 1, b"old")).unwrap();
            journal.flash_mut().always = Some(bank);
            journal.put(&envelope(PROGRAM, 1, b"newer")).unwrap();
            journal.flash_mut().dies_in = Some((other, operation));
            if journal.put(&envelope(PROGRAM, 1, b"newest")) != Err(JournalError::Undecided) {
                continue;
            }
            undecided += 1;
            for _ in 0..3 {
                let found = value(&mut journal, PROGRAM);
                assert_eq!(found, Ok(Some(b"newer".to_vec())), "{bank:?} {operation}");
                (journal, _) = open(journal.into_flash());
            }
        }
    }
    assert!(undecided > 10, "{undecided}");
}

/// A bank that does not let itself be read for a while is not written over with what the other one has: that can be older.
#[test]
fn a_bank_that_cannot_be_read_for_a_while_is_not_written_over() {
    for (bank, other) in [
        (Partition::StateA, Partition::StateB),
        (Partition::StateB, Partition::StateA),
    ] {
        for reads in 1..4 {
            for skipped in [0, 1, 5, 40] {
                let (mut journal, _) = open(Failing::new(VirtualFlash::with_sizes(SMALL)));
                journal.put(&envelope(PROGRAM, 1, b"old")).unwrap();
                journal.flash_mut().always = Some(other);
                journal.put(&envelope(PROGRAM, 1, b"newer")).unwrap();
                let mut flash = journal.into_flash();
                flash.always = None;
                flash.unreadable = Some((bank, reads));
                flash.readable_before = skipped;
                let (mut journal, _) = open(flash);
                journal.flash_mut().unreadable = None;
                let found = value(&mut journal, PROGRAM);
                assert_eq!(
                    found,
                    Ok(Some(b"newer".to_vec())),
                    "{bank:?} {reads} {skipped}"
                );
                let (mut journal, opening) = open(journal.into_flash());
                assert!(opening.redundant);
                assert_eq!(value(&mut journal, PROGRAM), Ok(Some(b"newer".to_vec())));
            }
        }
    }
}

/// With both banks dead nothing is acknowledged and nothing changes.
#[test]
fn two_dead_banks_refuse_puts_and_keep_the_old() {
    let (mut journal, _) = open(Failing::new(VirtualFlash::with_sizes(SMALL)));
    journal.put(&envelope(PROGRAM, 1, b"old")).unwrap();
    journal.flash_mut().dead_banks = true;
    for _ in 0..3 {
        let error = journal.put(&envelope(PROGRAM, 1, b"new")).unwrap_err();
        assert!(!matches!(error, JournalError::Undecided), "{error}");
        assert!(!journal.redundant());
        assert_eq!(value(&mut journal, PROGRAM), Ok(Some(b"old".to_vec())));
    }
    // Events and checkpoints do not care, and boot numbers go on.
    journal.append(&envelope(EVENT, 1, b"event")).unwrap();
    for boot in 2..5 {
        let opening;
        (journal, opening) = open(journal.into_flash());
        assert_eq!(opening.boot, boot);
        assert!(opening.boot_kept && !opening.redundant);
        assert_eq!(value(&mut journal, PROGRAM), Ok(Some(b"old".to_vec())));
    }
}

#[test]
fn a_dead_ring_does_not_stop_the_rest() {
    let mut flash = Failing::new(VirtualFlash::with_sizes(SMALL));
    flash.always = Some(Partition::Journal);
    let (mut journal, opening) = open(flash);
    assert!(opening.boot_kept);
    assert!(journal.append(&envelope(EVENT, 1, b"event")).is_err());
    journal.put(&envelope(PROGRAM, 1, b"program")).unwrap();
    journal.checkpoint(&envelope(TOTALS, 1, b"totals")).unwrap();
    journal.flash_mut().always = None;
    journal.append(&envelope(EVENT, 1, b"again")).unwrap();
    assert_eq!(events(&mut journal), [b"again"]);
}

#[test]
fn a_flash_that_gives_no_answer_still_opens() {
    let mut flash = VirtualFlash::with_sizes(SMALL);
    flash.cut_after(0, crate::Tear::NotBegun);
    flash.erase(Partition::Journal, 0, PAGE).unwrap_err();
    let (mut journal, opening) = open(flash);
    assert_eq!(opening.state, StateCondition::Unreadable);
    assert_eq!(opening.events, RingCondition::Failing);
    assert!(!opening.boot_kept && !opening.redundant);
    assert_eq!(
        value(&mut journal, PROGRAM),
        Err(JournalError::StateLost { kind: PROGRAM })
    );
}

#[test]
fn banks_that_cannot_be_read_for_a_while_are_not_erased() {
    let mut flash = Failing::new(used());
    flash.mute = true;
    let (mut journal, opening) = open(flash);
    assert_eq!(opening.state, StateCondition::Unreadable);
    assert_eq!((opening.boot, opening.boot_kept), (2, true));
    let error = JournalError::Flash {
        partition: Partition::StateA,
        error: FlashError::Failed(-116),
    };
    assert_eq!(journal.put(&envelope(PROGRAM, 2, b"anew")), Err(error));
    assert_eq!(journal.accept_loss(), Err(error));
    assert_eq!(
        value(&mut journal, PROGRAM),
        Err(JournalError::StateLost { kind: PROGRAM })
    );
    journal.flash_mut().mute = false;
    for kind in [PROGRAM, Kind(20)] {
        assert_eq!(value(&mut journal, kind), Ok(Some(b"then!".to_vec())));
    }
    journal.put(&envelope(PROGRAM, 2, b"anew")).unwrap();
    let (mut journal, opening) = open(journal.into_flash());
    assert_eq!((opening.boot, opening.state), (3, StateCondition::Good));
    assert_eq!(value(&mut journal, PROGRAM), Ok(Some(b"anew".to_vec())));
}

/// Fills every partition a little and gives the flash back.
fn used() -> VirtualFlash {
    let (mut journal, opening) = open(VirtualFlash::with_sizes(SMALL));
    for body in [b"first", b"then!"] {
        let boot = opening.boot;
        journal.put(&envelope(PROGRAM, boot, body)).unwrap();
        journal.put(&envelope(Kind(20), boot, body)).unwrap();
        journal.append(&envelope(EVENT, boot, body)).unwrap();
        journal.checkpoint(&envelope(TOTALS, boot, body)).unwrap();
    }
    journal.into_flash()
}

#[test]
fn unreadable_state_is_said_and_left_alone_until_something_is_put() {
    let mut flash = used();
    for bank in [Partition::StateA, Partition::StateB] {
        for offset in (0..2 * PAGE).step_by(16) {
            flash.damage(bank, offset, &[0x33; 8]);
        }
    }
    let evidence: Vec<_> = [Partition::StateA, Partition::StateB]
        .map(|bank| flash.contents(bank).to_vec())
        .into();
    let mut boot = 1;
    let mut journal;
    for _ in 0..3 {
        let opening;
        (journal, opening) = open(flash);
        assert_eq!(opening.state, StateCondition::Unreadable);
        assert!(opening.boot > boot && opening.boot_kept, "{opening:?}");
        boot = opening.boot;
        for kind in [PROGRAM, Kind(20), Kind(21)] {
            assert_eq!(
                value(&mut journal, kind),
                Err(JournalError::StateLost { kind })
            );
        }
        journal.append(&envelope(EVENT, boot, b"event")).unwrap();
        journal
            .checkpoint(&envelope(TOTALS, boot, b"total"))
            .unwrap();
        let mut body = [0; BODY_BYTES];
        let latest = journal.latest_checkpoint(TOTALS, &mut body).unwrap();
        assert_eq!(latest.unwrap().body, b"total");
        flash = journal.into_flash();
        assert_eq!(flash.contents(Partition::StateA), evidence[0]);
        assert_eq!(flash.contents(Partition::StateB), evidence[1]);
    }
    // A clinician programs the pump anew.
    (journal, _) = open(flash);
    journal.put(&envelope(PROGRAM, boot, b"anew")).unwrap();
    for _ in 0..2 {
        assert_eq!(value(&mut journal, PROGRAM), Ok(Some(b"anew".to_vec())));
        // What else there was is still lost, not "never there".
        assert_eq!(
            value(&mut journal, Kind(20)),
            Err(JournalError::StateLost { kind: Kind(20) })
        );
        let opening;
        (journal, opening) = open(journal.into_flash());
        assert_eq!(opening.state, StateCondition::Incomplete);
        assert!(opening.redundant);
    }
}

#[test]
fn blank_banks_beside_a_log_are_a_loss_and_not_a_first_start() {
    let mut flash = used();
    for bank in [Partition::StateA, Partition::StateB] {
        flash.erase(bank, 0, 2 * PAGE).unwrap();
    }
    let (mut journal, opening) = open(flash);
    assert_eq!(opening.state, StateCondition::Unreadable);
    assert_eq!(opening.boot, 2);
    assert_eq!(
        value(&mut journal, PROGRAM),
        Err(JournalError::StateLost { kind: PROGRAM })
    );
    let (mut journal, opening) = open(journal.into_flash());
    assert_eq!((opening.boot, opening.boot_kept), (3, true));
    journal.put(&envelope(PROGRAM, 3, b"anew")).unwrap();
    let (mut journal, opening) = open(journal.into_flash());
    assert_eq!((opening.boot, opening.boot_kept), (4, true));
    assert_eq!(opening.state, StateCondition::Incomplete);
    assert_eq!(value(&mut journal, PROGRAM), Ok(Some(b"anew".to_vec())));
}

#[test]
fn one_whole_bank_is_enough() {
    for bank in [Partition::StateA, Partition::StateB] {
        for blank in [true, false] {
            let mut flash = used();
            if blank {
                flash.erase(bank, 0, 2 * PAGE).unwrap();
            } else {
                flash.damage(bank, 0, &[0x5A; 0x2000]);
            }
            let (mut journal, opening) = open(flash);
            assert_eq!(opening.state, StateCondition::Repaired);
            assert!(opening.redundant && !opening.repairs.is_empty());
            assert_eq!(opening.boot, 2);
            for kind in [PROGRAM, Kind(20)] {
                assert_eq!(value(&mut journal, kind), Ok(Some(b"then!".to_vec())));
            }
            let (_, opening) = open(journal.into_flash());
            assert_eq!(opening.state, StateCondition::Good);
            assert!(opening.repairs.is_empty());
        }
    }
}

#[test]
fn an_older_value_never_takes_the_place_of_a_lost_one() {
    // Both copies of the newest program go bad; "first" is still whole on both pages.
    let mut flash = used();
    for bank in [Partition::StateA, Partition::StateB] {
        let at = last_position(flash.contents(bank), b"then!", PROGRAM);
        flash.flip_bit(bank, at, 3);
    }
    let (mut journal, opening) = open(flash);
    assert_eq!(opening.state, StateCondition::Incomplete);
    assert_eq!(opening.kinds_lost, 1);
    assert_eq!(
        value(&mut journal, PROGRAM),
        Err(JournalError::StateLost { kind: PROGRAM })
    );
    assert_eq!(value(&mut journal, Kind(20)), Ok(Some(b"then!".to_vec())));
    // It stays lost over boots, until there is a new one.
    let (mut journal, opening) = open(journal.into_flash());
    assert_eq!(opening.state, StateCondition::Incomplete);
    journal.put(&envelope(PROGRAM, 3, b"newer")).unwrap();
    assert_eq!(value(&mut journal, PROGRAM), Ok(Some(b"newer".to_vec())));
    let (_, opening) = open(journal.into_flash());
    assert_eq!(opening.state, StateCondition::Good);
}

#[test]
fn loss_is_reported_until_it_is_accepted() {
    // One kind lost, or everything unreadable.
    for everything in [false, true] {
        let mut flash = used();
        for bank in [Partition::StateA, Partition::StateB] {
            if everything {
                flash.damage(bank, 0, &[0x5A; 0x2000]);
            } else {
                let at = last_position(flash.contents(bank), b"then!", PROGRAM);
                flash.flip_bit(bank, at, 7);
            }
        }
        for _ in 0..2 {
            let (journal, opening) = open(flash);
            assert_eq!(
                opening.state,
                if everything {
                    StateCondition::Unreadable
                } else {
                    StateCondition::Incomplete
                }
            );
            flash = journal.into_flash();
        }
        let (mut journal, _) = open(flash);
        journal.accept_loss().unwrap();
        for _ in 0..3 {
            assert_eq!(value(&mut journal, PROGRAM), Ok(None));
            let other = (!everything).then(|| b"then!".to_vec());
            assert_eq!(value(&mut journal, Kind(20)), Ok(other));
            let opening;
            (journal, opening) = open(journal.into_flash());
            assert_eq!(opening.state, StateCondition::Good);
            assert_eq!(opening.kinds_lost, 0);
        }
    }
}

#[test]
fn a_copy_that_goes_bad_at_run_time_is_repaired_when_it_is_read() {
    for bank in [Partition::StateA, Partition::StateB] {
        let (mut journal, _) = open(used());
        let at = last_position(journal.flash().contents(bank), b"then!", PROGRAM);
        journal.flash_mut().flip_bit(bank, at, 0);
        assert_eq!(value(&mut journal, PROGRAM), Ok(Some(b"then!".to_vec())));
        assert_eq!(journal.repairs().banks, 1);
        assert!(journal.redundant());
        assert_eq!(journal.scrub(), StateCondition::Good);
    }
}

/// Where the newest body of a kind lies in a bank: the last place where it follows an item of that kind.
fn last_position(contents: &[u8], body: &[u8], kind: Kind) -> u32 {
    let key = kind.0.to_le_bytes();
    let found = contents
        .windows(body.len())
        .enumerate()
        .filter(|(at, window)| {
            *window == body
                && contents[at.saturating_sub(24)..*at]
                    .windows(2)
                    .any(|two| two == key)
        })
        .map(|(at, _)| at)
        .next_back()
        .unwrap();
    u32::try_from(found).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(u32::try_from(seeds(40).end).unwrap()))]

    /// Random steps on partitions of random sizes, reopened now and then.
    #[test]
    fn any_partition_that_is_large_enough_works(
        seed: u64,
        pages in [4..9_u32, 2..4_u32, 2..5_u32, 2..5_u32],
    ) {
        let mut world = World::on(VirtualFlash::with_sizes(pages.map(|pages| pages * PAGE)));
        for (number, step) in steps(seed, 150).iter().enumerate() {
            world.apply(step);
            if number.is_multiple_of(50) {
                world.model.check(&mut world.journal, None);
            }
        }
        world.apply(&Step::Reopen);
        world.model.check(&mut world.journal, None);
        prop_assert_eq!(world.journal.flash().refused(), 0);
        prop_assert_eq!(world.journal.flash().rewritten(), 0);
    }
}

#[test]
fn a_model_of_nothing_matches_a_blank_journal() {
    let (mut journal, _) = open(VirtualFlash::with_sizes(SMALL));
    Model::default().check(&mut journal, None);
}
