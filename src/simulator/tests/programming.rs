//! `thecal` as a programmer, against a virtual pump that is running: what a clinician and a patient do with it, and how it ends.

mod serving;

use serde_json::Value;
use serving::Server;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What arms a pump takes 3 s of the link's time.
const LONG_ENOUGH: Duration = Duration::from_secs(60);

/// A user with a folder, a configuration folder in it, and a virtual pump on the desk.
struct Desk {
    folder: TempDir,
    server: Server,
}

/// How a `thecal` ended.
struct Ended {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let server = Server::start(
            Command::new(env!("CARGO_BIN_EXE_thecal"))
                .args(["serve", "--port", "0"])
                .current_dir(folder.path()),
        );
        Self { folder, server }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str], input: &str) -> Ended {
        let mut child = Command::new(env!("CARGO_BIN_EXE_thecal"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env("XDG_CONFIG_HOME", self.path("config"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("thecal runs");
        // It may not want to read.
        let _ = child
            .stdin
            .take()
            .expect("its input")
            .write_all(input.as_bytes());
        let output = child.wait_with_output().expect("thecal ends");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Ended {
            status: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// With the pump's address, and JSON; ends with this status.
    fn thecal(&self, status: i32, arguments: &[&str]) -> Value {
        self.fed(status, arguments, "")
    }

    fn fed(&self, status: i32, arguments: &[&str], input: &str) -> Value {
        let address = format!("127.0.0.1:{}", self.server.port);
        let arguments = [arguments, &["--json", "--connect", &address]].concat();
        let ended = self.run(&arguments, input);
        assert_eq!(
            ended.status,
            Some(status),
            "{arguments:?}: {} {}",
            ended.stdout,
            ended.stderr
        );
        for secret in ["THECAL1:", "THECAL2:", "THECAL3:"] {
            assert!(!ended.stdout.contains(secret), "{arguments:?}");
            assert!(
                !ended.stderr.contains(&format!("{secret}0")),
                "{arguments:?}"
            );
        }
        serde_json::from_str(&ended.stdout).expect("JSON")
    }

    fn simulation(&self, request: &str, body: &str) -> Value {
        let mut socket = TcpStream::connect(("127.0.0.1", self.server.port)).expect("a connection");
        write!(
            socket,
            "{request} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.server.port,
            body.len()
        )
        .expect("asked");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("answered");
        let body = answer.split("\r\n\r\n").nth(1).expect("a body");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// The text that lies beside the pump.
    fn paper(&self) -> String {
        let answer = self.simulation("GET /simulation/pack", "");
        answer["text"].as_str().expect("a text").to_owned()
    }

    fn hold_magnet(&self) {
        self.simulation("POST /simulation", "{\"magnet\": true}");
        let began = Instant::now();
        while self.simulation("GET /simulation", "")["armed"] != true {
            assert!(began.elapsed() < LONG_ENOUGH, "not armed");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn enrol(&self) -> Value {
        self.hold_magnet();
        self.fed(0, &["enroll"], &self.paper())
    }
}

/// The pump rests after a connection on which nobody was let in.
fn rest() {
    std::thread::sleep(Duration::from_secs(4));
}

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
    assert!(
        none["error"]
            .as_str()
            .expect("words")
            .contains("thecal enroll")
    );
    assert_eq!(desk.thecal(1, &["card"])["outcome"], "not done");
    rest();
    // Whoever reads the card without a session has come for nothing: the pump rests for a second.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let not_armed = desk.fed(1, &["enroll"], &desk.paper());
    assert!(
        not_armed["error"]
            .as_str()
            .expect("words")
            .contains("magnet")
    );

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
    assert!(
        unconfirmed["error"]
            .as_str()
            .expect("words")
            .contains("--yes")
    );
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
    assert!(
        refused["error"]
            .as_str()
            .expect("words")
            .starts_with("--dose: "),
        "{refused}"
    );
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
    assert!(
        revoked["error"]
            .as_str()
            .expect("words")
            .contains("revoked")
    );
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
    rest();
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
    assert!(
        refused["error"]
            .as_str()
            .expect("words")
            .contains("chmod 600"),
        "{refused}"
    );
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
