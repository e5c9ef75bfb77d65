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
use protocol::{
    Answer, Command, DeliveryState, Digest, Dose, Field, Info, Lifecycle, Limits, LogName, Mode,
    Outcome, Program, Refused, Request, Staged, Status,
};
use units::{Clock, Drug, Duration, Per, WallTime};

#[path = "../fuzz/targets.rs"]
mod targets;

static TARGETS: [(&str, Target, u32); 5] = [
    ("frames", targets::frames, CASES),
    ("request", targets::request, CASES),
    ("answer", targets::answer, CASES),
    ("session", targets::session, CASES),
    ("client", targets::client, CASES),
];

/// Scripts for each target; 5 x 20,000 cases in all.
const CASES: u32 = 20_000;

fn program() -> Program {
    Program {
        drug: Drug::Baclofen,
        concentration_ng_per_ml: 2_000_000,
        fill_nl: Some(20_000_000),
        mode: Mode::SimpleContinuous {
            dose: Dose {
                nanograms: 250_000,
                per: Per::Day,
            },
        },
    }
}

fn status() -> Status {
    Status {
        boot: 3,
        pump_time_ms: 86_400_000,
        clock: Clock::Known {
            wall: WallTime::from_millis(1_795_000_000_000),
            uncertainty: Duration::from_seconds(2),
        },
        program_number: 2,
        program: Some(program()),
        delivery: DeliveryState::Running,
        flow_nl_per_day: 125_000,
        counted_steps: 49_999,
        at_most_steps: 50_000,
        deficit_steps: 0,
        step_volume_fl: 2_500_000,
        reservoir_fl: Some(19_875_000_000_000),
        filled_fl: Some(20_000_000_000_000),
        delivered_since_fill_fl: 125_000_000_000,
        staged: false,
        committing: false,
        status_changed: 0b10_0101,
        limits: Limits {
            lowest_nl_per_day: 48_000,
            highest_nl_per_day: 24_000_000,
            capacity_nl: 20_000_000,
            step_volume_fl: 2_500_000,
        },
        faults: 0,
        powered_s: 90_000,
        records_lost: 0,
    }
}

/// The seeds: one of every message, and scripts that walk through everything a link does.
fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let mut seeds = Vec::new();
    let mut buffer = [0; 512];
    let requests = [
        ("interrogate", Command::Interrogate),
        ("stage", Command::Stage(program())),
        (
            "commit",
            Command::Commit {
                digest: Digest::of(&program(), 3),
            },
        ),
        ("reset", Command::ResetStatusChanged { mask: 0b10_0101 }),
        (
            "read-log",
            Command::ReadLog {
                log: LogName::Events,
                from: 70_000,
            },
        ),
        (
            "sign-log",
            Command::SignLog {
                log: LogName::Critical,
            },
        ),
        (
            "set-clock",
            Command::SetClock {
                wall: WallTime::from_millis(1_767_607_200_000),
                uncertainty: Duration::from_seconds(2),
            },
        ),
    ];
    for (name, command) in requests {
        seeds.push((
            "request",
            name,
            encode(&Request { id: 300, command }, &mut buffer)
                .unwrap()
                .to_vec(),
        ));
    }
    let staged = Staged {
        program: program(),
        flow_nl_per_day: 125_000,
        old_day_total_ng: Some(200_000),
        new_day_total_ng: 250_000,
        digest: Digest::of(&program(), 3),
        expires_in_ms: 120_000,
    };
    let refused = Refused::OutOfRange {
        field: Field::FlowNanolitresPerDay,
        value: 30_000,
        lowest: 48_000,
        highest: 24_000_000,
    };
    let answers = [
        ("status", Outcome::Status(status())),
        ("staged", Outcome::Staged(staged)),
        ("committed", Outcome::Committed { program_number: 3 }),
        ("refused", Outcome::Refused(refused)),
    ];
    for (name, outcome) in answers {
        seeds.push((
            "answer",
            name,
            encode(&Answer { id: 300, outcome }, &mut buffer)
                .unwrap()
                .to_vec(),
        ));
    }
    let info = Info::new(7, *b"eight by", Lifecycle::InService, false);
    seeds.push(("answer", "info", info.encode(&mut buffer).unwrap().to_vec()));

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
    whole.extend([6, 3, 1, 2, 3, 4, 5, 6, 0]);
    whole.extend([8, 1, 2, 7].repeat(7));
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

    let asked = [0, 23, 1, 1, 1, 2, 3, 4, 9, 9, 9, 9];
    seeds.push((
        "client",
        "answered",
        [
            &asked[..],
            &[5, 0, 1, 3, 1, 2, 3, 4, 5, 6, 1],
            &[6, 9].repeat(7),
        ]
        .concat(),
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
