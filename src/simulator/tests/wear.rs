//! The write budget: what a typical and a worst therapy write and erase, by the pump's own write path, and how long the flash lasts.
//!
//! `cargo test -p simulator --test wear -- --nocapture` prints the table of docs/memory.md.

use simulator::run::{Outcome, run};
use simulator::scenario::Scenario;
use std::fmt::Write as _;
use std::path::Path;

/// Erase cycles that the nRF52840 guarantees (reference/protocol.md 3.2).
const CYCLES: u64 = 10_000;
/// What the flash has to last, with a reserve over the seven years of a pump.
const YEARS: u64 = 10;
/// Bytes of a page beside its two markers.
const PAGE: u64 = 4088;

/// Pages of each ring, in the order of the flash: events and critical events share a partition.
const PARTS: [(&str, &str, std::ops::Range<usize>); 5] = [
    ("events", "journal", 0..90),
    ("critical events", "journal", 90..96),
    ("checkpoints", "critical", 0..8),
    ("state, bank A", "state_a", 0..3),
    ("state, bank B", "state_b", 0..3),
];

fn play(text: &str) -> Outcome {
    let scenario = Scenario::parse(Path::new("wear.toml"), text).expect("a scenario");
    run(&scenario, |_| {}).expect("a run")
}

fn scenario(days: u32, dose: &str, events: &str) -> String {
    format!(
        r#"name = "wear"
title = "Wear"
duration = "{days} days"
sample_interval = "{days} days"
[pump]
kind = "programmable-implant"
[program]
drug = "baclofen"
concentration = "50 mcg/mL"
fill = "20 mL"
mode = "simple continuous"
dose = "{dose}"
reason = "in notes"
{events}"#
    )
}

/// Every `hours` something, over `days`; what happens changes from time to time.
fn every(hours: usize, days: u32, happening: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    let hours_in_all = 24 * usize::try_from(days).expect("small");
    for (number, hour) in (hours..hours_in_all).step_by(hours).enumerate() {
        write!(
            text,
            "[[event]]\nat = \"{hour} h\"\n{}\n",
            happening(number)
        )
        .expect("text");
    }
    text
}

fn program(micrograms: usize) -> String {
    format!(
        "program = {{ drug = \"baclofen\", concentration = \"50 mcg/mL\", mode = \"simple continuous\", dose = \"{micrograms} mcg/day\", reason = \"in notes\" }}"
    )
}

const SET_CLOCK: &str =
    "action = \"set clock\"\nreason = \"in notes\"\ntime = \"2026-01-05T10:00:00Z\"";

/// Days until the page that is used most has been erased 10,000 times, the least of all parts.
fn days_of_life(outcome: &Outcome, days: u32, what: &str) -> u64 {
    let days = u64::from(days);
    let mut least = u64::MAX;
    println!("{what}:");
    for (name, partition, pages) in PARTS {
        let wear = outcome
            .wear
            .iter()
            .find(|wear| wear.partition == partition)
            .expect("a partition");
        let pages = &wear.pages[pages];
        let bytes: u64 = pages.iter().map(|page| page.words_written * 4).sum();
        let most = pages.iter().map(|page| page.erases).max().unwrap_or(0);
        let count = u64::try_from(pages.len()).expect("small");
        // A ring that has not gone round yet will be erased for every page that is written; and no page less often than was seen.
        let by_bytes = CYCLES * PAGE * count * days / bytes.max(1);
        let by_count = (CYCLES * days).checked_div(u64::from(most.saturating_sub(1)));
        let life = by_count.map_or(by_bytes, |by_count| by_count.min(by_bytes));
        println!(
            "  {name:16} {:7} bytes a day, {:8} years",
            bytes / days,
            life / 365
        );
        least = least.min(life);
    }
    least
}

/// A stable implant: 0.25 mL/day, a session a day that sets the clock, a change of dose a week.
#[test]
fn a_typical_therapy_wears_for_more_than_ten_years() {
    let days = 60;
    let events = every(24, days, |number| match number % 7 {
        0 => program(12 + number % 3),
        _ => SET_CLOCK.to_owned(),
    });
    let outcome = play(&scenario(days, "12.5 mcg/day", &events));
    assert_eq!(outcome.boots, 1);
    let life = days_of_life(&outcome, days, "typical");
    assert!(life > YEARS * 366, "{life} days");
}

/// The highest rate, eight changes of dose and as many clocks set a day, and the processor reset four times a day.
#[test]
fn a_worst_therapy_wears_for_more_than_ten_years() {
    let days = 8;
    let events = every(1, days, |number| match number % 6 {
        0 | 3 => program(1_150 + number % 40),
        5 => "action = \"reset\"\ncause = \"software\"".to_owned(),
        _ => SET_CLOCK.to_owned(),
    });
    let outcome = play(&scenario(days, "1195 mcg/day", &events));
    assert!(outcome.boots > 30, "{}", outcome.boots);
    let life = days_of_life(&outcome, days, "worst");
    assert!(life > YEARS * 366, "{life} days");
}
