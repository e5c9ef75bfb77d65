//! The fuzz targets on stable: every seed, and many scripts made from them and from nothing.
//!
//! The seeds in `fuzz/corpus` are written by this test: `THECAL_KEEP_CORPUS=1 cargo test -p journal --all-features --test fuzz_targets`.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may panic"
)]

use std::path::Path;

use fuzzing::{Suite, Target};

#[path = "../fuzz/targets.rs"]
mod targets;

/// Scripts for each target.
static TARGETS: [(&str, Target, u32); 2] = [
    ("image", targets::image, 3_000),
    ("record", targets::record, 100_000),
];

/// The seeds: what the link can carry, and scripts that change a flash in each way.
fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let mut seeds = Vec::new();
    // The pinned records (docs/journal.md).
    let first = [
        &[0, 18][..],
        &[0; 18],
        &[
            1, 1, 1, 0x5A, 0x90, 0x1C, 0xA0, 0x97, 0xEE, 0xCA, 0x06, 1, 5,
        ],
        b"first",
    ]
    .concat();
    let second = [
        &[1, 2, 0xF6, 0x15][..],
        &[
            1, 1, 1, 0x5A, 0x90, 0x1C, 0xA0, 0x97, 0xEE, 0xCA, 0x06, 1, 0,
        ],
    ]
    .concat();
    seeds.push(("record", "first", first.clone()));
    seeds.push(("record", "second", second.clone()));
    seeds.push(("record", "envelope", first[20..].to_vec()));
    let run = |records: &[&[u8]]| {
        let mut script = vec![0];
        for record in records {
            script.extend([230, u8::try_from(record.len()).unwrap()]);
            script.extend(*record);
            script.push(0);
        }
        script
    };
    seeds.push(("record", "two", run(&[&first, &second])));
    seeds.push(("record", "exchanged", run(&[&second, &first])));
    seeds.push((
        "record",
        "made",
        [&[0, 24, 0][..], &[11, 1, 2, 0].repeat(9)].concat(),
    ));

    let write = [vec![10; 2], vec![3; 40]].concat();
    let script = |base: u8, mutations: &[&[u8]], rest: &[u8]| {
        let mut script = vec![base, u8::try_from(mutations.len()).unwrap()];
        script.extend(mutations.concat());
        script.extend(rest);
        script.extend(&write);
        script
    };
    seeds.push(("image", "blank", script(0, &[], &[0])));
    seeds.push(("image", "used", script(5, &[], &[0])));
    seeds.push(("image", "noise", [&[255, 1, 1, 0, 0][..], &write].concat()));
    seeds.push(("image", "sparse", [&[241, 7, 1, 0, 0][..], &write].concat()));
    seeds.push(("image", "cut", script(6, &[], &[2, 200, 9, 0, 64, 40, 0])));
    for (name, mutation) in [
        ("flipped", &[0, 100, 0, 3][..]),
        ("overwritten", &[8, 100, 1, 4, 9, 9, 9, 9]),
        ("marked", &[12, 1, 1, 0]),
        ("filled", &[16, 0, 0xFF]),
        ("copied", &[20, 0, 0, 1]),
        ("rolled-back", &[26, 3]),
        ("event-planted", &[28, 4, 1, 200, 10, 3, 1, 2, 3]),
        ("index-planted", &[28, 2, 82, 9, 9, 5, 7, 1, 1, 16, 9, 3]),
        ("worn", &[36, 0, 5]),
    ] {
        seeds.push(("image", name, script(5, &[mutation], &[0])));
    }
    // Found by coverage-guided fuzzing: two records with the last number there is.
    let found = b"\x00\x0a\x0a\x00\x01\x03\x03\x03\x00\x00\x03\x6c\x6c\x6c\x4c\x6b\x03\x03\x03\x03\x03\x00\x03\x03\x00\x05\x4b\x00\x00\xff\x02\x02\x02\x03\x2f\xdf\x6c\x6c\x4c\x6b\x03\x03\x03\x03\x03\x00\x03\x03\x00\x05\x4b\x00\x00\xff\x02\x02\x02\x03\x03\x6c\x6c";
    seeds.push(("image", "last-number-twice", found.to_vec()));
    seeds
}

fn suite() -> Suite {
    Suite {
        corpus: Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus"),
        targets: &TARGETS,
        seeds: seeds(),
    }
}

#[test]
fn every_seed_is_kept_and_passes() {
    suite().every_seed_is_kept_and_passes();
}

/// Runs a target, so many times as usual or as the environment variable JOURNAL_EFFORT times that.
fn exercise(name: &str) {
    let effort = std::env::var("JOURNAL_EFFORT").ok();
    let effort: u32 = effort.and_then(|effort| effort.parse().ok()).unwrap_or(1);
    suite().exercise(name, effort);
}

#[test]
fn image() {
    exercise("image");
}

#[test]
fn record() {
    exercise("record");
}
