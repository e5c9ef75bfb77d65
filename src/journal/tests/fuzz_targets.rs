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

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../fuzz/targets.rs"]
mod targets;

type Target = fn(&[u8]);

/// Scripts for each target.
const TARGETS: [(&str, Target, u32); 2] = [
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

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target)
}

#[test]
fn every_seed_is_kept_and_passes() {
    for (target, name, bytes) in seeds() {
        let path = corpus(target).join(name);
        if std::env::var_os("THECAL_KEEP_CORPUS").is_some() {
            fs::create_dir_all(corpus(target)).unwrap();
            fs::write(&path, &bytes).unwrap();
        }
        assert!(
            fs::read(&path).is_ok_and(|kept| kept == bytes),
            "{}: run with THECAL_KEEP_CORPUS=1",
            path.display()
        );
    }
    for (target, run, _) in TARGETS {
        for file in fs::read_dir(corpus(target)).unwrap() {
            run(&fs::read(file.unwrap().path()).unwrap());
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same scripts on every machine and in every run.
struct Generator(u64);

impl Generator {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.number()).unwrap_or(0) % limit.max(1)
    }

    fn byte(&mut self) -> u8 {
        self.number().to_le_bytes()[0]
    }

    /// A seed changed in a few places, two seeds one after the other, or bytes from nowhere.
    fn script(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut script = seeds[self.below(seeds.len())].clone();
        match self.below(4) {
            0 => {
                script.clear();
                let small = self.below(2) == 0;
                for _ in 0..self.below(200) {
                    let byte = self.byte();
                    script.push(if small { byte % 16 } else { byte });
                }
            }
            1 => {
                let other = seeds[self.below(seeds.len())].clone();
                script.truncate(self.below(script.len() + 1));
                script.extend(other);
            }
            _ => {}
        }
        for _ in 0..self.below(6) {
            let place = self.below(script.len() + 1);
            match self.below(3) {
                0 => script.insert(place, self.byte()),
                1 if place < script.len() => script[place] = self.byte(),
                _ if place < script.len() => drop(script.remove(place)),
                _ => {}
            }
        }
        script
    }
}

/// Runs a target, so many times as usual or as the environment variable JOURNAL_EFFORT times that.
fn exercise(name: &str) {
    let effort = std::env::var("JOURNAL_EFFORT").ok();
    let effort: u32 = effort.and_then(|effort| effort.parse().ok()).unwrap_or(1);
    let (_, run, cases) = TARGETS
        .into_iter()
        .find(|(target, _, _)| *target == name)
        .unwrap();
    let seeds: Vec<_> = seeds()
        .into_iter()
        .filter(|(target, _, _)| *target == name)
        .map(|(_, _, bytes)| bytes)
        .collect();
    let mut generator = Generator(1);
    for case in 0..cases * effort {
        let script = generator.script(&seeds);
        if let Err(panic) = std::panic::catch_unwind(|| run(&script)) {
            println!("case {case} of {name}: {script:?}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn image() {
    exercise("image");
}

#[test]
fn record() {
    exercise("record");
}
