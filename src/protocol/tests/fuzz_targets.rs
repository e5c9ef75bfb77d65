//! The fuzz targets on stable: every seed, and many scripts made from them and from nothing.
//!
//! The seeds in `fuzz/corpus` are written by this test: `THECAL_KEEP_CORPUS=1 cargo test -p protocol --test fuzz_targets`.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may panic"
)]

use std::path::Path;

use fuzzing::{Suite, Target};

use protocol::codec::encode;
use protocol::{Answer, Command, Info, Lifecycle, Mode, Outcome, Program, Request};
use targets::samples;
use units::Per;

#[path = "../fuzz/targets.rs"]
mod targets;

static TARGETS: [(&str, Target, u32); 6] = [
    ("frames", targets::frames, CASES),
    ("request", targets::request, CASES),
    ("answer", targets::answer, CASES),
    ("session", targets::session, CASES / 4),
    ("client", targets::client, CASES / 4),
    ("handshake", targets::handshake, CASES / 20),
];

/// Scripts for each target; 20,000 cases, 5,000 where each has a handshake in it, and 1,000 handshakes.
const CASES: u32 = 20_000;

/// The seeds: one of every message, and scripts that walk through everything a link does.
fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let mut seeds: Vec<(&'static str, &'static str, Vec<u8>)> = Vec::new();
    let mut buffer = [0; 1024];
    let mut keep = |target, name: String, message: &[u8]| {
        seeds.push((target, &*name.leak(), message.to_vec()));
    };
    let flex = Mode::Flex {
        week: samples::one_pattern(Per::Hour, |hour| 15_000 + 1_000 * u32::from(hour)),
    };
    let flex = Command::Stage(Program::new(samples::BACLOFEN, flex));
    let largest = Command::Stage(samples::largest_program());
    let requests = samples::commands().into_iter().map(|command| {
        let name = command.kind().name().replace(' ', "-");
        (name, command)
    });
    let more = [("stage-flex", flex), ("stage-largest", largest)];
    for (name, command) in requests.chain(more.map(|(name, command)| (name.to_string(), command))) {
        let number = if command.kind().is_numbered() { 7 } else { 0 };
        let request = Request {
            id: 300,
            number,
            command,
        };
        keep("request", name, encode(&request, &mut buffer).unwrap());
    }
    let mut outcomes: Vec<(String, Outcome)> = Vec::new();
    for outcome in samples::outcomes() {
        let debug = format!("{outcome:?}");
        let name = debug.split(|c: char| !c.is_alphanumeric()).next();
        outcomes.push((name.unwrap().to_lowercase(), outcome));
    }
    let largest = Outcome::Staged(samples::largest_staged());
    outcomes.push(("staged-largest".to_string(), largest));
    for (number, refused) in samples::refusals().into_iter().take(21).enumerate() {
        outcomes.push((format!("refused-{number:02}"), Outcome::Refused(refused)));
    }
    for (name, outcome) in outcomes {
        let answer = Answer { id: 300, outcome };
        keep("answer", name, encode(&answer, &mut buffer).unwrap());
    }
    let info = Info::new(7, *b"eight by", Lifecycle::InService, false);
    keep(
        "answer",
        "info".to_string(),
        info.encode(&mut buffer).unwrap(),
    );

    // Load 40 bytes at MTU 23, three frames; load 1,020 bytes at MTU 247, five frames, the third one lost.
    seeds.push((
        "frames",
        "whole",
        [&[0, 23, 40, 0, 7][..], &[64, 23].repeat(2)].concat(),
    ));
    seeds.push((
        "frames",
        "gap",
        [&[0, 247, 252, 3, 7, 64, 247, 192][..], &[64, 247].repeat(2)].concat(),
    ));
    seeds.push((
        "frames",
        "silence",
        vec![0, 23, 40, 0, 7, 224, 208, 7, 64, 23, 64, 23],
    ));
    seeds.push((
        "frames",
        "raw",
        vec![
            128, 10, 3, 0, 6, 0, 1, 2, 3, 4, 5, 6, 128, 2, 4, 1, 128, 4, 8, 1, 5, 0,
        ],
    ));

    // Open, stage, carry three frames, answer at length, read and acknowledge it all.
    let mut whole = vec![0, 0, 23, 1, 1, 1, 2, 3, 4];
    whole.extend([2, 7].repeat(4));
    whole.extend([6, 3, 1, 2, 3, 4, 0]);
    whole.extend([8, 1, 2, 7].repeat(12));
    seeds.push(("session", "whole", whole.clone()));
    let lost = [
        &[0, 0, 23, 1, 3, 9][..],
        &[2, 7, 2, 0, 2, 7, 8, 1, 10, 184, 11],
        &[2, 7].repeat(5),
    ]
    .concat();
    seeds.push(("session", "lost", lost));
    let stranger = [
        &whole[..],
        &[5, 9, 3, 99, 9, 0, 0, 1, 0, 1, 2, 10, 208, 7, 11, 247, 2],
    ]
    .concat();
    seeds.push(("session", "stranger", stranger));

    for (name, script) in [
        ("whole", &[0, 0, 0, 0][..]),
        ("enrolment", &[1, 0, 0, 0]),
        ("bit", &[0, 1, 40, 3, 1, 9, 9]),
        ("cut", &[2, 2, 20, 0, 0]),
        ("raw", &[0, 3, 70, 1, 2, 3]),
    ] {
        seeds.push(("handshake", name, script.to_vec()));
    }

    let asked = [0, 23, 1, 1, 1, 2, 3, 4, 9, 9, 9, 9];
    seeds.push((
        "client",
        "answered",
        [&asked[..], &[5, 0, 1, 3, 1, 2, 3, 4, 1], &[6, 9].repeat(12)].concat(),
    ));
    seeds.push((
        "client",
        "silent",
        [&asked[..], &[4, 184, 11, 9, 9, 9].repeat(5), &[2]].concat(),
    ));
    seeds.push((
        "client",
        "aborted",
        [&asked[..], &[8, 4, 8, 0, 5, 1, 9, 9, 9, 9, 3, 9]].concat(),
    ));
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

#[test]
fn frames() {
    suite().exercise("frames", 1);
}

#[test]
fn request() {
    suite().exercise("request", 1);
}

#[test]
fn answer() {
    suite().exercise("answer", 1);
}

#[test]
fn session() {
    suite().exercise("session", 1);
}

#[test]
fn client() {
    suite().exercise("client", 1);
}

#[test]
fn handshake() {
    suite().exercise("handshake", 1);
}
