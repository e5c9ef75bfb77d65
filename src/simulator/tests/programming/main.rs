//! `thecal` as a programmer, against a virtual pump that is running: what a clinician and a patient do with it, and how it ends.

#[cfg(unix)]
mod asked;
#[cfg(unix)]
mod cutter;
mod desk;
mod fields;
#[cfg(unix)]
mod lost;
mod orders;
#[path = "../serving/mod.rs"]
mod serving;
#[cfg(unix)]
mod terminal;

use clap::CommandFactory;
use desk::{Desk, error};
use simulator::command_line::CommandLine;
use std::fs;
use std::path::PathBuf;

/// A first program.
const BACLOFEN: [&str; 13] = [
    "program",
    "--drug",
    "baclofen",
    "--concentration",
    "2 mg/mL",
    "--mode",
    "simple-continuous",
    "--dose",
    "100 mcg/day",
    "--fill",
    "20 mL",
    "--reason",
    "titration",
];

#[test]
fn a_clinician_enrols_programs_and_gives_others_their_keys() {
    let desk = Desk::new();
    // Nobody is let in yet, and without presence nobody enrols.
    let none = desk.thecal(1, &["status"]);
    assert!(error(&none).contains("thecal enroll"));
    assert_eq!(desk.thecal(1, &["card"])["outcome"], "not done");
    let not_armed = desk.fed(1, &["enroll"], &desk.paper());
    assert!(error(&not_armed).contains("magnet"));

    let enrolled = desk.enrol();
    assert_eq!(
        (&enrolled["role"], &enrolled["slot"]),
        (&"clinician".into(), &0.into())
    );
    let key = PathBuf::from(enrolled["key"].as_str().expect("a path"));
    assert!(key.starts_with(desk.path("config/thecal/keys")));
    let pump = enrolled["pump"].as_str().expect("a fingerprint").to_owned();
    assert_eq!(key.file_name(), Some(format!("{pump}.key").as_ref()));
    let card = desk.thecal(0, &["card"]);
    assert_eq!(card["card"]["pump"], enrolled["pump"]);
    assert_eq!(card["card"]["delivery"], "NotProgrammed");

    let connected = desk.thecal(0, &["connect"]);
    assert_eq!(
        (&connected["role"], &connected["version"]),
        (&"clinician".into(), &1.into())
    );
    assert_eq!(connected["program_number"], 0);

    // Checked only; refused by nobody there; confirmed.
    let checked = desk.thecal(0, &[&BACLOFEN[..], &["--check"]].concat());
    assert_eq!(checked["committed"], false);
    assert_eq!(checked["review"]["confirmable"], true, "{checked}");
    assert_eq!(checked["staged"]["new_day_total_ng"], 100_000);
    let unconfirmed = desk.thecal(1, &BACLOFEN);
    assert!(error(&unconfirmed).contains("--yes"));
    assert_eq!(desk.thecal(0, &["status"])["status"]["program_number"], 0);
    let committed = desk.thecal(0, &[&BACLOFEN[..], &["--yes"]].concat());
    assert_eq!(
        (&committed["committed"], &committed["program_number"]),
        (&true.into(), &1.into())
    );
    let status = desk.thecal(0, &["status", "--pump", &pump[..6]]);
    assert_eq!(status["status"]["program_number"], 1);
    assert_eq!(status["words"]["status"]["program"]["dose"], "100 mcg/day");

    // Only what is said changes; the rest stays.
    let changed = desk.thecal(
        0,
        &[
            "program",
            "--change",
            "--dose",
            "110 mcg/day",
            "--patient-dose",
            "5 mcg",
            "--patient-duration",
            "5 min",
            "--patient-lockout",
            "4 h",
            "--patient-per-day",
            "2",
            "--reason",
            "titration",
            "--yes",
        ],
    );
    assert_eq!(changed["program_number"], 2);
    assert_eq!(changed["review"]["rows"][0]["changed"], false);

    // Refused in the pump's words, or before it is asked.
    let refused = desk.thecal(1, &["program", "--change", "--dose", "1 ng/day", "--yes"]);
    assert!(error(&refused).starts_with("--dose: "), "{refused}");
    let bolus = desk.thecal(
        1,
        &["bolus", "--dose", "900 mg", "--duration", "5 min", "--yes"],
    );
    assert_eq!(bolus["outcome"], "not done");

    // A patient's key.
    let granted = desk.thecal(0, &["keys", "grant", "patient", "--output", "patient.key"]);
    assert_eq!(granted["granted"]["role"], "patient");
    let keys = desk.thecal(0, &["keys"]);
    assert_eq!(keys["keys"].as_array().expect("a list").len(), 2);
    let own = ["--key", "patient.key"];
    let status = desk.thecal(0, &[&["status"][..], &own].concat());
    assert_eq!(status["role"], "patient");
    let not_allowed = desk.thecal(
        1,
        &[&["alarms", "acknowledge", "clock lost"][..], &own].concat(),
    );
    assert_eq!(not_allowed["error"], "the role patient may not do that");
    let dosed = ["bolus", "--dose", "1 mcg", "--duration", "1 min", "--yes"];
    assert_eq!(
        desk.thecal(2, &[&dosed[..], &own].concat())["outcome"],
        "wrong arguments"
    );
    let bolus = desk.thecal(1, &[&["bolus", "--yes"][..], &own].concat());
    assert_eq!(bolus["error"], "the pump has lost the time of day");
    desk.thecal(0, &[&["bolus", "--cancel"][..], &own].concat());
    desk.thecal(1, &["keys", "revoke", "5", "--yes"]);
    desk.thecal(0, &["keys", "revoke", "1", "--yes"]);

    desk.thecal(0, &["alarms"]);
    let log = desk.thecal(0, &["log", "--output", "export"]);
    assert_eq!(log["whole"], true);
    // Last: a pump rests after a key that it does not know.
    let revoked = desk.thecal(1, &[&["status"][..], &own].concat());
    assert!(error(&revoked).contains("revoked"));
}

#[test]
fn a_lost_key_is_replaced_with_the_implant_card_and_presence() {
    let desk = Desk::new();
    let pack = desk.paper();
    let first = desk.enrol();
    let key = PathBuf::from(first["key"].as_str().expect("a path"));
    fs::remove_file(&key).expect("lost");
    // The sterile pack is spent.
    desk.fed(1, &["enroll"], &pack);
    assert!(!key.exists());
    fs::write(desk.path("card.txt"), desk.paper()).expect("a file");
    let again = desk.thecal(0, &["enroll", "--text", "card.txt"]);
    assert_eq!(again["slot"], 1);
    assert_eq!(desk.thecal(0, &["connect"])["role"], "clinician");
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    let key = desk.enrol()["key"].as_str().expect("a path").to_owned();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("changed");
    let refused = desk.thecal(1, &["status"]);
    assert!(error(&refused).contains("chmod 600"), "{refused}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("changed");
    desk.thecal(0, &["status"]);
}

#[test]
fn nobody_there_and_wrong_arguments_are_different_ends() {
    let desk = Desk::new();
    desk.enrol();
    let gone = desk.run(&["status", "--json", "--connect", "127.0.0.1:1"], "");
    assert_eq!(gone.status, Some(4), "{}", gone.stderr);
    assert!(gone.stdout.contains("\"no connection\""), "{}", gone.stdout);
    for (arguments, words) in [
        (&["status", "--connect", "nowhere"][..], "HOST:PORT"),
        (&["program", "--dose", "300"], "unit"),
        (&["program", "--drug", "water"], "water"),
        (
            &["program", "--form", "none.json", "--change"],
            "cannot be used with",
        ),
        (&["bolus", "--dose", "20 mcg"], "--duration"),
        (&["alarms", "silence", "fire"], "clock lost"),
        (
            &["keys", "grant", "enrolling", "--output", "x"],
            "clinician",
        ),
        (&["keys", "grant", "patient"], "--output"),
        (&["enroll", "--slot", "8"], "8"),
        (&["program", "--reason", "because", "--yes"], "titration"),
    ] {
        let ended = desk.run(arguments, "");
        assert_eq!(ended.status, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(words),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
    let none = desk.run(&["enroll"], "");
    assert_eq!(none.status, Some(2));
    assert!(none.stderr.contains("--text FILE"), "{}", none.stderr);
    let flex = ["program", "--mode", "flex", "--connect", &desk.address()];
    let unset = desk.run(&flex, "");
    assert!(
        unset
            .stderr
            .contains("--weekdays: steps separated by commas"),
        "{}",
        unset.stderr
    );
    let text = desk.run(&["enroll"], "THECAL1:00");
    assert_eq!(text.status, Some(2), "{}", text.stderr);
}

#[test]
fn a_new_pump_has_a_page_and_its_papers() {
    let desk = Desk::new();
    let new = [
        "pack", "new", "--page", "pack.bin", "--text", "pack.txt", "--hex", "pack.hex", "--json",
    ];
    let made = desk.run(&new, "");
    assert_eq!(made.status, Some(0), "{}", made.stderr);
    assert!(!made.stdout.contains("THECAL1"));
    assert_eq!(fs::read(desk.path("pack.bin")).expect("a page").len(), 4096);
    let again = desk.run(&new, "");
    assert_eq!(again.status, Some(1));
    assert!(again.stderr.contains("exists already"), "{}", again.stderr);
}

/// Whoever is on the same computer can read a command line: wherever a secret stands on it, nothing is done with it, and it is not repeated.
#[test]
fn no_argument_of_any_command_takes_a_secret() {
    let desk = Desk::new();
    let commands = CommandLine::command();
    let mut tried = 0;
    for command in commands.get_subcommands() {
        let options = command
            .get_arguments()
            .filter_map(|argument| argument.get_long());
        let places = std::iter::once(String::new()).chain(options.map(|name| format!("--{name}=")));
        for place in places {
            for kind in ["THECAL1", "thecal2", "THECAL3"] {
                let secret = format!("{kind}:0123456789ABCDEF");
                let ended = desk.run(&[command.get_name(), &format!("{place}{secret}")], "");
                assert_eq!(ended.status, Some(2), "{} {place}", command.get_name());
                assert!(
                    ended.stderr.contains("can be read by others"),
                    "{}",
                    ended.stderr
                );
                assert!(!ended.stderr.contains("0123456789"), "{}", ended.stderr);
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "{tried}");
}
