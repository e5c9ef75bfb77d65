//! What the journal costs on the nRF52840's layout: opening, records, wear. Prints the tables of docs/performance.md.
//!
//!     cargo bench --package journal --features virtual-flash
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_types,
    clippy::float_arithmetic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark on a workstation"
)]

use std::time::Instant;

use journal::{
    Envelope, Flash, FlashError, Journal, Kind, Log, Partition, Stamp, Tear, Verifier, VirtualFlash,
};
use units::{Clock, Duration, PumpTime, WallTime};

/// Erase cycles the nRF52840 guarantees (reference: nRF52840 Product Specification, NVMC; general knowledge, to be verified).
const CYCLES: f64 = 10_000.0;
const DAYS_OF_A_YEAR: f64 = 365.25;

/// The virtual flash, and how much is read from it.
#[derive(Clone, Debug)]
struct Counting {
    flash: VirtualFlash,
    reads: u64,
    bytes_read: u64,
}

impl Flash for Counting {
    fn size(&self, partition: Partition) -> u32 {
        self.flash.size(partition)
    }
    fn read(&mut self, partition: Partition, at: u32, to: &mut [u8]) -> Result<(), FlashError> {
        self.reads += 1;
        self.bytes_read += to.len() as u64;
        self.flash.read(partition, at, to)
    }
    fn write(&mut self, partition: Partition, at: u32, from: &[u8]) -> Result<(), FlashError> {
        self.flash.write(partition, at, from)
    }
    fn erase(&mut self, partition: Partition, from: u32, to: u32) -> Result<(), FlashError> {
        self.flash.erase(partition, from, to)
    }
}

/// What something cost.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    reads: u64,
    bytes_read: u64,
    words: u64,
    erases: u64,
    flash: f64,
    host: f64,
}

impl Cost {
    /// Of what has been done to this flash so far.
    fn so_far(counting: &mut Counting) -> Self {
        let pages = || {
            Partition::ALL
                .into_iter()
                .flat_map(|partition| counting.flash.wear(partition))
        };
        let words = pages().map(|page| page.words_written).sum();
        let erases = pages().map(|page| u64::from(page.erases)).sum();
        Self {
            reads: counting.reads,
            bytes_read: counting.bytes_read,
            words,
            erases,
            flash: counting.flash.take_busy().micros() as f64 / 1000.0,
            host: 0.0,
        }
    }

    fn largest(self, other: Self) -> Self {
        Self {
            reads: self.reads.max(other.reads),
            bytes_read: self.bytes_read.max(other.bytes_read),
            words: self.words.max(other.words),
            erases: self.erases.max(other.erases),
            flash: self.flash.max(other.flash),
            host: self.host.max(other.host),
        }
    }

    fn print(&self, what: &str) {
        println!(
            "| {what} | {} | {:.1} | {} | {} | {:.1} | {:.2} |",
            self.reads,
            self.bytes_read as f64 / 1024.0,
            self.words,
            self.erases,
            self.flash,
            self.host
        );
    }
}

fn counting(flash: VirtualFlash) -> Counting {
    Counting {
        flash,
        reads: 0,
        bytes_read: 0,
    }
}

/// Opens, and what that cost.
fn open(flash: VirtualFlash) -> (Journal<Counting>, Cost) {
    let mut flash = counting(flash);
    let before = Cost::so_far(&mut flash);
    let began = Instant::now();
    let mut journal = Journal::open(flash).unwrap().0;
    let host = began.elapsed().as_secs_f64() * 1000.0;
    let after = Cost::so_far(journal.flash_mut());
    let cost = Cost {
        words: after.words - before.words,
        erases: after.erases - before.erases,
        host,
        ..after
    };
    (journal, cost)
}

/// Three years into a boot, times in whole seconds.
fn envelope(kind: u16, body: &[u8]) -> Envelope<'_> {
    Envelope {
        kind: Kind(kind),
        version: 1,
        stamp: Stamp {
            boot: 200,
            monotonic: PumpTime::from_micros(3 * 365 * 86_400 * 1_000_000),
            wall: Clock::Known {
                wall: WallTime::from_millis(1_767_607_200_000),
                uncertainty: Duration::from_seconds(2),
            },
        },
        body,
    }
}

const BODY: [u8; 400] = [0x5A; 400];

/// A pump with a dozen kinds of state, and logs that are as full as said.
fn pump(events: u32) -> VirtualFlash {
    let mut journal = Journal::open(VirtualFlash::nrf52840()).unwrap().0;
    journal.make_key(&[7; 32]).unwrap();
    for kind in 20..32 {
        let length = if kind == 20 { 400 } else { 40 };
        journal.put(&envelope(kind, &BODY[..length])).unwrap();
    }
    for number in 0..events {
        journal.append(&envelope(1, &BODY[..6])).unwrap();
        if number % 20 == 0 {
            journal.append_critical(&envelope(2, &BODY[..14])).unwrap();
        }
        if number % 10 == 0 {
            journal.checkpoint(&envelope(17, &BODY[..21])).unwrap();
        }
    }
    journal.into_flash()
}

type Call = fn(&mut Journal<VirtualFlash>);

fn append(journal: &mut Journal<VirtualFlash>) {
    journal.append(&envelope(1, &BODY[..6])).ok();
}

fn append_critical(journal: &mut Journal<VirtualFlash>) {
    journal.append_critical(&envelope(2, &BODY[..14])).ok();
}

fn checkpoint(journal: &mut Journal<VirtualFlash>) {
    journal.checkpoint(&envelope(17, &BODY[..21])).ok();
}

fn put(journal: &mut Journal<VirtualFlash>) {
    journal.put(&envelope(16, &BODY[..36])).ok();
}

/// Opening after a call that was cut: the most of everything over every fifth operation of it, torn.
fn after_cuts(flash: &VirtualFlash, call: Call, turn: bool) -> Cost {
    let mut journal = Journal::open(flash.clone()).unwrap().0;
    let erases = |journal: &Journal<VirtualFlash>| -> u32 {
        Partition::ALL
            .into_iter()
            .flat_map(|partition| journal.flash().wear(partition))
            .map(|page| page.erases)
            .sum()
    };
    loop {
        let mut whole = journal.clone();
        let before = (whole.flash().operations(), erases(&whole));
        call(&mut whole);
        let operations = whole.flash().operations() - before.0;
        if turn && erases(&whole) == before.1 {
            journal = whole;
            continue;
        }
        let mut most = Cost::default();
        for operation in (0..operations).step_by(if operations > 100 { 5 } else { 1 }) {
            let mut cut = journal.clone();
            cut.flash_mut().cut_after(operation, Tear::Torn(operation));
            call(&mut cut);
            let mut flash = cut.into_flash();
            flash.power_on();
            most = most.largest(open(flash).1);
        }
        return most;
    }
}

fn opening() {
    println!("\n## Opening\n");
    println!("| | reads | KiB read | words written | pages erased | flash busy, ms | host, ms |");
    println!("|---|---|---|---|---|---|---|");
    open(VirtualFlash::nrf52840()).1.print("first start");
    let full = pump(14_000);
    let few = pump(500);
    open(few).1.print("after a clean stop, 500 events");
    open(full.clone()).1.print("after a clean stop, full log");
    for (name, call, turn) in [
        ("after a cut in an event", append as Call, false),
        ("after a cut in a critical event", append_critical, false),
        ("after a cut in a checkpoint", checkpoint, false),
        ("after a cut in a put", put, false),
        ("after a cut in an event that erases a page", append, true),
        ("after a cut in a put that makes room", put, true),
    ] {
        after_cuts(&full, call, turn).print(name);
    }
    let mut journal = open(full).0;
    for (name, log) in [("events", Log::Events), ("critical events", Log::Critical)] {
        let before = (journal.flash().reads, journal.flash().bytes_read);
        let began = Instant::now();
        let mut verifier = Verifier::new();
        let mut records = 0;
        let mut findings = 0;
        journal
            .read(log, |record| {
                records += 1;
                verifier.take(record, |_| findings += 1);
            })
            .unwrap();
        assert_eq!(findings, 0);
        Cost {
            reads: journal.flash().reads - before.0,
            bytes_read: journal.flash().bytes_read - before.1,
            host: began.elapsed().as_secs_f64() * 1000.0,
            ..Cost::default()
        }
        .print(&format!("reading and verifying all {records} {name}"));
    }
}

fn records() {
    println!("\n## Records\n");
    println!(
        "| | bytes of body | of record | of flash | flash for each byte of record | for each of body | calls for an erase | flash busy, mean, ms | longest, ms |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let head = 19;
    for (name, call, body, record) in [
        ("event", append as Call, 6, head + 3 + 6),
        (
            "critical event, both logs",
            append_critical,
            14,
            head + 3 + 14,
        ),
        ("checkpoint", checkpoint, 21, head + 21),
        ("value, both banks, with the index", put, 36, head + 36),
    ] {
        let mut journal = Journal::open(pump(14_000)).unwrap().0;
        let rounds = 6_000_u32;
        let totals = |journal: &Journal<VirtualFlash>| {
            let pages = || {
                Partition::ALL
                    .into_iter()
                    .flat_map(|partition| journal.flash().wear(partition))
            };
            (
                pages().map(|page| page.words_written).sum::<u64>() as f64,
                pages().map(|page| f64::from(page.erases)).sum::<f64>(),
            )
        };
        let before = totals(&journal);
        let (mut busy, mut longest) = (0.0, 0.0_f64);
        journal.flash_mut().take_busy();
        for _ in 0..rounds {
            call(&mut journal);
            let one = journal.flash_mut().take_busy().micros() as f64 / 1000.0;
            busy += one;
            longest = longest.max(one);
        }
        let after = totals(&journal);
        let flash = (after.0 - before.0) * 4.0 / f64::from(rounds);
        println!(
            "| {name} | {body} | {record} | {flash:.1} | {:.2} | {:.1} | {:.0} | {:.2} | {longest:.1} |",
            flash / f64::from(record),
            flash / f64::from(body),
            f64::from(rounds) / (after.1 - before.1),
            busy / f64::from(rounds),
        );
    }
}

/// Erases of a page of a partition in so many calls of one kind, behind as many.
fn wear(partition: Partition, pages: core::ops::Range<usize>, calls: u32, call: Call) -> f64 {
    let mut journal = Journal::open(pump(0)).unwrap().0;
    let mut erases = |calls| {
        for _ in 0..calls {
            call(&mut journal);
        }
        let pages = &journal.flash().wear(partition)[pages.clone()];
        pages.iter().map(|page| page.erases).sum::<u32>()
    };
    // The first time round nothing has to be erased. Rings wear evenly: the mean of their pages is the worst in the long run.
    let before = erases(calls);
    f64::from(erases(calls) - before) / pages.len() as f64
}

fn wear_table() {
    println!("\n## Wear\n");
    println!("| pages | written by | erases of the worst page a year | years to 10,000 |");
    println!("|---|---|---|---|");
    for (name, partition, pages, call, calls, a_day, what) in [
        (
            "`journal`, events",
            Partition::Journal,
            0..90,
            append as Call,
            60_000,
            60.0,
            "60 events a day",
        ),
        (
            "`journal`, events",
            Partition::Journal,
            0..90,
            append,
            60_000,
            1_440.0,
            "an event a minute",
        ),
        (
            "`journal`, critical",
            Partition::Journal,
            90..96,
            append_critical,
            20_000,
            10.0,
            "10 critical events a day",
        ),
        (
            "`critical`",
            Partition::Critical,
            0..8,
            checkpoint,
            60_000,
            1_440.0,
            "a checkpoint a minute",
        ),
        (
            "`state_a`, `state_b`",
            Partition::StateA,
            0..2,
            put,
            20_000,
            24.0,
            "a put an hour",
        ),
        (
            "`state_a`, `state_b`",
            Partition::StateA,
            0..2,
            put,
            20_000,
            1_440.0,
            "a put a minute",
        ),
    ] {
        let erases = wear(partition, pages, calls, call);
        let a_year = erases / f64::from(calls) * a_day * DAYS_OF_A_YEAR;
        println!("| {name} | {what} | {a_year:.1} | {:.0} |", CYCLES / a_year);
    }
}

fn main() {
    opening();
    records();
    wear_table();
}
