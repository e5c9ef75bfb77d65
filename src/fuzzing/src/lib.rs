//! What the fuzz targets of several crates share: how bytes are read as a script, and how a target is run on stable.
//!
//! A crate's targets are in its `fuzz/targets.rs`, for coverage-guided fuzzing (a workspace of its own) and for its `tests/fuzz_targets.rs`.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may panic"
)]

use std::fs;
use std::panic::{catch_unwind, resume_unwind};
use std::path::PathBuf;

/// A target: what it does with its bytes. A panic is a finding.
pub type Target = fn(&[u8]);

/// Bytes as a script: every step takes what it needs from the front, and an exhausted script reads as zeros.
#[derive(Debug)]
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    /// A script from its beginning.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// The next two bytes, little-endian.
    pub fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// So many bytes, or all that are left.
    pub fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// So many bytes as the next one says.
    pub fn some(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte());
        self.take(length)
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        self.take(usize::MAX)
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}

/// A crate's targets and where their seeds are kept.
#[derive(Debug)]
pub struct Suite {
    /// The folder that has one folder of seeds for each target.
    pub corpus: PathBuf,
    /// Name, body, and how many scripts make a run.
    pub targets: &'static [(&'static str, Target, u32)],
    /// Target, name and bytes of every seed.
    pub seeds: Vec<(&'static str, &'static str, Vec<u8>)>,
}

impl Suite {
    /// Runs every target with every file that is kept for it.
    ///
    /// # Panics
    /// If a target does, or if a seed is not kept as it is here. With `THECAL_KEEP_CORPUS` in the environment it is written first.
    pub fn every_seed_is_kept_and_passes(&self) {
        for (target, name, bytes) in &self.seeds {
            let folder = self.corpus.join(target);
            let path = folder.join(name);
            if std::env::var_os("THECAL_KEEP_CORPUS").is_some() {
                fs::create_dir_all(&folder).unwrap();
                fs::write(&path, bytes).unwrap();
            }
            assert!(
                fs::read(&path).is_ok_and(|kept| kept == *bytes),
                "{}: run with THECAL_KEEP_CORPUS=1",
                path.display()
            );
        }
        for (target, run, _) in self.targets {
            for file in fs::read_dir(self.corpus.join(target)).unwrap() {
                run(&fs::read(file.unwrap().path()).unwrap());
            }
        }
    }

    /// Runs a target with scripts made from its seeds and from nothing, `effort` times as many as make a run. They are the same every time.
    ///
    /// # Panics
    /// If the target does, after printing the script; or if there is no such target.
    pub fn exercise(&self, name: &str, effort: u32) {
        let (_, run, cases) = self
            .targets
            .iter()
            .find(|(target, _, _)| *target == name)
            .unwrap();
        let seeds: Vec<&[u8]> = self
            .seeds
            .iter()
            .filter(|(target, _, _)| *target == name)
            .map(|(_, _, bytes)| bytes.as_slice())
            .collect();
        let mut generator = Generator(1);
        for case in 0..cases * effort {
            let script = generator.script(&seeds);
            if let Err(panic) = catch_unwind(|| run(&script)) {
                println!("case {case} of {name}: {script:?}");
                resume_unwind(panic);
            }
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
    fn script(&mut self, seeds: &[&[u8]]) -> Vec<u8> {
        let mut script = seeds[self.below(seeds.len())].to_vec();
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
                let other = seeds[self.below(seeds.len())].to_vec();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exhausted_script_reads_as_zeros() {
        let mut script = Script::new(&[7, 1, 2, 3, 9, 8]);
        assert_eq!((script.byte(), script.short()), (7, 0x0201));
        assert_eq!(script.some(), [9, 8]);
        assert!(script.is_over());
        assert_eq!((script.byte(), script.short()), (0, 0));
        assert!(script.some().is_empty() && script.rest().is_empty());
    }

    fn refuses(bytes: &[u8]) {
        assert!(!bytes.ends_with(&[1, 2]));
    }

    fn suite() -> Suite {
        Suite {
            corpus: PathBuf::new(),
            targets: &[("refuses", refuses, 10_000)],
            seeds: vec![("refuses", "one", vec![1, 2, 3])],
        }
    }

    #[test]
    #[should_panic(expected = "ends_with")]
    fn a_target_that_panics_for_a_changed_seed_is_found() {
        suite().exercise("refuses", 1);
    }

    #[test]
    #[should_panic(expected = "THECAL_KEEP_CORPUS=1")]
    fn a_seed_that_is_not_kept_is_told() {
        suite().every_seed_is_kept_and_passes();
    }
}
