//! `thecal run` as its user meets it: what it writes, what it never overwrites, and how it ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const SHORT: &str = r#"name = "short"
title = "An hour of morphine & <nothing else>"
duration = "1 h"
[pump]
kind = "programmable-implant"
[program]
drug = "morphine"
concentration = "10 mg/mL"
fill = "20 mL"
mode = "simple continuous"
dose = "2.5 mg/day"
"#;

const FILES: [&str; 4] = [
    "delivery.csv",
    "events.jsonl",
    "report.html",
    "summary.json",
];

/// A folder with a scenario, to run `thecal` in.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("short.toml"), SHORT).expect("a scenario");
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The status, standard output and standard error.
    fn thecal(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thecal"));
        let Output {
            status,
            stdout,
            stderr,
        } = command
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .expect("thecal runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (status.code(), text(stdout), text(stderr))
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let (status, stdout, stderr) = self.thecal(arguments);
        assert_eq!((status, stdout.as_str()), (Some(1), ""), "{stderr}");
        stderr
    }
}

/// What is in a folder, sorted; nothing hidden is left out.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("text")
        })
        .collect();
    names.sort();
    names
}

#[test]
fn a_report_has_its_four_files() {
    let desk = Desk::new();
    let (status, stdout, stderr) = desk.thecal(&["run", "short.toml", "--report", "deep/down"]);
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    assert!(stdout.contains("deep/down/report.html"), "{stdout}");
    let report = desk.path("deep/down");
    assert_eq!(names(&report), FILES);
    assert_eq!(
        names(&desk.path("deep")),
        ["down"],
        "nothing is left beside it"
    );

    let read = |name: &str| fs::read_to_string(report.join(name)).expect("a file");
    let summary: serde_json::Value = serde_json::from_str(&read("summary.json")).expect("JSON");
    assert_eq!(summary["steps"]["turned_minus_prescribed"], 0);
    assert_eq!(summary["delivered"]["volume"], "0.010415 mL");
    assert_eq!(summary["delivered"]["dose"]["morphine"], "104.15 mcg");
    assert_eq!(summary["reservoir"]["left"], "19.989585 mL");
    let events: Vec<serde_json::Value> = read("events.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let names: Vec<&str> = events
        .iter()
        .filter_map(|event| event["event"].as_str())
        .collect();
    assert_eq!(
        names[..7],
        [
            "pump started",
            // The enrolment.
            "session opened",
            "key granted",
            "session closed",
            "session opened",
            "refill",
            "program committed"
        ]
    );
    assert_eq!(events[6]["detail"]["total_ng"], 2_500_000);
    assert_eq!(events[6]["detail"]["before_ng"], serde_json::Value::Null);
    let table = read("delivery.csv");
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(
        rows[0],
        "time_s,prescribed_mL_per_day,rate_mL_per_day,volume_mL,morphine_mcg,reservoir_mL,prescribed_steps,turned_steps,counted_steps,at_most_steps"
    );
    assert_eq!(
        rows[rows.len() - 1],
        "3600,0.25,0.2484,0.010415,104.15,19.989585,4166,4166,4166,4166"
    );
    let page = read("report.html");
    assert!(page.contains("<h1>An hour of morphine &amp; &lt;nothing else&gt;</h1>"));
    assert_eq!(page.matches("<svg ").count(), 3);
    assert!(
        !page.contains("http://")
            || page.matches("http://").count() == page.matches("http://www.w3.org").count()
    );
    assert!(
        !page.contains("https://") && !page.contains("<script"),
        "self-contained"
    );
}

#[test]
fn a_report_is_never_written_over_something_else() {
    let desk = Desk::new();
    let run = ["run", "short.toml", "--report", "report"];
    assert_eq!(desk.thecal(&run).0, Some(0));
    let before = fs::read_to_string(desk.path("report/summary.json")).expect("a file");
    assert!(
        desk.refused(&run)
            .contains("report already holds a report; --force replaces it")
    );
    assert_eq!(
        fs::read_to_string(desk.path("report/summary.json")).expect("a file"),
        before
    );

    fs::write(desk.path("report/summary.json"), "old").expect("a file");
    assert_eq!(desk.thecal(&[&run[..], &["--force"]].concat()).0, Some(0));
    assert_eq!(
        fs::read_to_string(desk.path("report/summary.json")).expect("a file"),
        before
    );

    // Whatever is not a report is nobody's to replace.
    fs::write(desk.path("report/diary.txt"), "dear diary").expect("a file");
    for more in [&[][..], &["--force"]] {
        assert!(
            desk.refused(&[&run[..], more].concat())
                .contains("holds something else than a report; nothing was written")
        );
    }
    assert_eq!(
        fs::read_to_string(desk.path("report/diary.txt")).expect("a file"),
        "dear diary"
    );
    assert!(
        desk.refused(&["run", "short.toml", "--report", "short.toml", "--force"])
            .contains("is not a folder")
    );
    assert_eq!(
        fs::read_to_string(desk.path("short.toml")).expect("a file"),
        SHORT
    );
    fs::create_dir(desk.path("empty")).expect("a folder");
    assert_eq!(
        desk.thecal(&["run", "short.toml", "--report", "empty"]).0,
        Some(0)
    );
    assert_eq!(names(desk.0.path()), ["empty", "report", "short.toml"]);
}

#[test]
fn without_a_folder_the_next_free_one_is_taken() {
    let desk = Desk::new();
    for _ in 0..3 {
        assert_eq!(desk.thecal(&["run", "short.toml"]).0, Some(0));
    }
    assert_eq!(
        names(&desk.path("reports")),
        ["short", "short-2", "short-3"]
    );
}

#[test]
fn a_run_that_fails_leaves_nothing() {
    let desk = Desk::new();
    fs::write(desk.path("bad.toml"), SHORT.replace("2.5 mg/day", "2.5 mg")).expect("a file");
    let error = desk.refused(&["run", "bad.toml", "--report", "report"]);
    assert!(
        error.starts_with(
            "error: bad.toml, line 11: program.dose: \"2.5 mg\": the unit is that of a mass"
        ),
        "{error}"
    );
    assert_eq!(names(desk.0.path()), ["bad.toml", "short.toml"]);
}

#[test]
fn wrong_arguments_end_with_status_two_and_say_what_is_allowed() {
    let desk = Desk::new();
    for (arguments, says) in [
        (&["serve", "--speed", "0"][..], "1..=100000"),
        (&["serve", "--speed", "100001"], "1..=100000"),
        (&["serve", "--port", "65536"], "0..=65535"),
        (&["serve", "--sped", "5"], "--speed"),
        (&["run"], "<SCENARIO>"),
        (&["run", "short.toml", "--force"], "--report"),
        (&["ru", "short.toml"], "run"),
        (&[], "Usage: thecal"),
    ] {
        let (status, _, stderr) = desk.thecal(arguments);
        assert_eq!(status, Some(2), "{arguments:?}");
        assert!(stderr.contains(says), "{arguments:?}: {stderr}");
    }
    let (status, stdout, _) = desk.thecal(&["--version"]);
    assert_eq!(
        (status, stdout),
        (Some(0), format!("thecal {}\n", env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(desk.thecal(&["--help"]).0, Some(0));
}
