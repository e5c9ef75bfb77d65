//! `thecal log` on real virtual pumps: what it reads, what it finds, what it never changes, and how it ends.

mod enrolling;
mod serving;

use enrolling::Phone;
use journal::{Envelope, Journal, Kind, Log, Partition, Stamp, VirtualFlash};
use pump::{CommissioningRecord, Record, ResetCause, TotalsSource};
use serde_json::Value;
use serving::Server;
use simulator::world::{Build, Carrier, Chance, World};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;
use units::{Clock, Duration, PumpTime, WallTime};

const FILES: [&str; 5] = [
    "events.csv",
    "events.jsonl",
    "records.bin",
    "report.html",
    "verification.json",
];

/// A folder with pumps, to run `thecal` in.
struct Desk(TempDir);

/// How a `thecal` ended.
struct Ended {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn thecal(&self, arguments: &[&str]) -> Ended {
        let output = Command::new(env!("CARGO_BIN_EXE_thecal"))
            .args(arguments)
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .expect("thecal runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Ended {
            status: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// `thecal log --json` that ends with this status.
    fn log(&self, status: i32, arguments: &[&str]) -> Value {
        let arguments = self.with_key(arguments);
        let ended = self.thecal(&[&["log", "--json"], &arguments[..]].concat());
        assert_eq!(
            (ended.status, ended.stderr.as_str()),
            (Some(status), ""),
            "{arguments:?}: {}",
            ended.stdout
        );
        serde_json::from_str(&ended.stdout).expect("JSON")
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let arguments = self.with_key(arguments);
        let ended = self.thecal(&[&["log"], &arguments[..]].concat());
        assert_eq!(
            (ended.status, ended.stdout.as_str()),
            (Some(1), ""),
            "{arguments:?}: {}",
            ended.stderr
        );
        ended.stderr
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("a file")
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.path(name), content).expect("a file");
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("text")
    }

    /// Every file of a folder.
    fn content(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        fs::read_dir(self.path(folder))
            .expect("a folder")
            .map(|entry| {
                let entry = entry.expect("an entry");
                let name = entry.file_name().into_string().expect("text");
                (name, fs::read(entry.path()).expect("a file"))
            })
            .collect()
    }

    /// A virtual pump on an image file.
    fn pump(&self, name: &str, seed: u64) -> World {
        let flash = VirtualFlash::open_or_create_image(self.path(name)).expect("an image");
        let mut world = World::new(build(seed), flash, Carrier::Simulated).expect("a world");
        world.power_on().expect("a pump");
        world
    }

    /// The arguments, and the key of the first clinician of `pump.bin` where a link wants one.
    fn with_key<'a>(&self, arguments: &[&'a str]) -> Vec<&'a str> {
        let mut arguments = arguments.to_vec();
        if arguments.contains(&"--connect") || arguments.contains(&"--bluetooth") {
            let key = self.path("clinician.key");
            if !key.exists() {
                simulator::key_file::save(&key, &enrolling::key(&build(1))).expect("a key file");
            }
            arguments.extend(["--key", "clinician.key"]);
        }
        arguments
    }

    /// The image of a pump with two records for every session, and those of its start and of its enrolment.
    fn pump_with_sessions(&self, name: &str, seed: u64, sessions: u32) {
        let mut world = self.pump(name, seed);
        for _ in 0..sessions {
            session(&mut world);
        }
        world.power_off();
    }
}

fn build(seed: u64) -> Build {
    Build {
        commissioning: CommissioningRecord::NOMINAL,
        seed,
        chance: Chance::Seeded,
    }
}

/// A phone asks something and goes.
fn session(world: &mut World) {
    let build = *world.build();
    let mut phone = Phone::connect(world, &build, 247);
    phone.status(world);
    world.disconnect();
    world.advance_to(world.now().saturating_add(Duration::from_minutes(7)));
}

/// A server of its own for each test.
fn serve(desk: &Desk, image: &str) -> (Server, String) {
    let server = Server::start(
        Command::new(env!("CARGO_BIN_EXE_thecal"))
            .args(["serve", "--port", "0", "--flash", image])
            .current_dir(desk.0.path()),
    );
    let address = format!("127.0.0.1:{}", server.port);
    (server, address)
}

/// Where it begins, its sort, its content.
type Item = (usize, u8, Vec<u8>);

/// The items of a `records.bin` as docs/log.md describes it.
fn items(records: &[u8]) -> Vec<Item> {
    assert_eq!(&records[..16], b"thecal records 1");
    let mut items = Vec::new();
    let mut at = 17;
    while at < records.len() {
        let length = usize::from(u16::from_le_bytes([records[at + 1], records[at + 2]]));
        items.push((at, records[at], records[at + 3..at + 3 + length].to_vec()));
        at += 3 + length;
    }
    items
}

fn raw_records(records: &[u8]) -> Vec<Vec<u8>> {
    items(records)
        .into_iter()
        .filter(|(_, sort, _)| *sort == 1)
        .map(|(_, _, content)| content)
        .collect()
}

fn rebuilt(before: &[u8], items: &[Item]) -> Vec<u8> {
    let mut records = before[..17].to_vec();
    for (_, sort, content) in items {
        records.push(*sort);
        records.extend(u16::try_from(content.len()).expect("short").to_le_bytes());
        records.extend(content);
    }
    records
}

/// The kinds of the findings, and the record each names.
fn findings(report: &Value) -> Vec<(String, Option<u64>)> {
    report["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|finding| {
            let place = ["record", "from", "offset"]
                .into_iter()
                .find_map(|name| finding[name].as_u64());
            (finding["finding"].as_str().expect("text").to_owned(), place)
        })
        .collect()
}

fn found(kind: &str, place: u64) -> (String, Option<u64>) {
    (kind.to_owned(), Some(place))
}

#[test]
fn a_file_in_use_and_the_link_give_the_same_records() {
    let desk = Desk::new();
    desk.pump_with_sessions("pump.bin", 1, 30);
    let (_server, address) = serve(&desk, "pump.bin");
    let over_link = desk.log(0, &["--connect", &address, "--output", "link"]);
    assert_eq!(over_link["whole"], true);
    assert_eq!(over_link["head"]["is_end_of_these_records"], true);
    let from_file = desk.log(0, &["pump.bin", "--output", "file"]);
    let (link, file) = (
        raw_records(&desk.read("link/records.bin")),
        raw_records(&desk.read("file/records.bin")),
    );
    assert!(link.len() > 60, "{}", link.len());
    assert_eq!(link[..], file[..link.len()]);
    assert!(
        desk.text("file/events.csv")
            .starts_with(&desk.text("link/events.csv"))
    );
    assert!(
        desk.text("file/events.jsonl")
            .starts_with(&desk.text("link/events.jsonl"))
    );
    assert!(from_file["records"]["last"].as_u64() >= over_link["records"]["last"].as_u64());
    assert_eq!(desk.content("link").into_keys().collect::<Vec<_>>(), FILES);

    // Both logs, each into a folder of its own.
    let critical = desk.log(0, &["--connect", &address, "--log", "critical"]);
    assert_eq!(critical["log"], "critical");
    assert_eq!(critical["records"]["count"], 3, "two starts and a key");
    let folder = format!("logs/{}-critical", address.replace(':', "-"));
    assert_eq!(critical["folder"], folder.as_str());
}

#[test]
fn the_second_reading_asks_for_what_is_new() {
    let desk = Desk::new();
    desk.pump_with_sessions("pump.bin", 1, 300);
    let (server, address) = serve(&desk, "pump.bin");
    let read = ["--connect", &address, "--output", "export"];
    let first = desk.log(0, &read);
    let round_trips = |report: &Value| {
        report["readings"]
            .as_array()
            .expect("a list")
            .last()
            .expect("one")["round_trips"]
            .as_u64()
            .expect("a number")
    };
    assert!(first["records"]["count"].as_u64() > Some(600));
    assert!(round_trips(&first) > 50, "{}", round_trips(&first));
    let before = desk.content("export");

    let second = desk.log(0, &read);
    assert!(round_trips(&second) <= 3, "{}", round_trips(&second));
    // The first reading itself: its session's end, and the second's beginning.
    assert_eq!(second["new_records"], 2);
    assert_eq!(second["whole"], true);
    let after = desk.content("export");
    for name in ["events.csv", "events.jsonl", "records.bin"] {
        assert!(after[name].starts_with(&before[name]), "{name}");
        assert!(after[name].len() > before[name].len(), "{name}");
    }
    // And from the file behind both.
    drop(server);
    let third = desk.log(0, &["pump.bin", "--output", "export"]);
    assert_eq!(third["new_records"], 1);
    assert_eq!(third["readings"].as_array().map(Vec::len), Some(3));
    assert_eq!(desk.log(0, &["export"])["whole"], true);
}

#[test]
fn a_flipped_bit_in_the_flash_is_named_by_its_record_and_the_file_is_left_as_it_was() {
    let desk = Desk::new();
    // So many that an anchor stands behind the break.
    desk.pump_with_sessions("pump.bin", 1, 100);
    desk.log(0, &["pump.bin", "--output", "good"]);
    let records = raw_records(&desk.read("good/records.bin"));
    let mut image = desk.read("pump.bin");
    let place = image
        .windows(records[41].len())
        .position(|window| window == records[41])
        .expect("the record");
    image[place + 4] ^= 0x10;
    desk.write("damaged.bin", &image);
    let report = desk.log(3, &["damaged.bin", "--output", "bad"]);
    assert_eq!(findings(&report), [found("missing", 41)]);
    assert_eq!(report["findings"][0]["text"], "record 41 is missing");
    assert_eq!(desk.read("damaged.bin"), image, "only read");
    let page = desk.text("bad/report.html");
    assert!(page.contains("The log is not whole: 1 finding"), "{page}");
    assert!(page.contains("Record 41 is missing"));
    // The chain goes on behind it, and the head still fits.
    assert_eq!(report["head"]["is_end_of_these_records"], true);
    // Verified again, and as text.
    let ended = desk.thecal(&["log", "bad"]);
    assert_eq!(ended.status, Some(3));
    assert!(
        ended
            .stdout
            .contains("NOT WHOLE. 1 finding:\n  - Record 41 is missing\n"),
        "{}",
        ended.stdout
    );
    // The good export does not forget what the pump can no longer read.
    let report = desk.log(0, &["damaged.bin", "--output", "good"]);
    assert_eq!(report["whole"], true);
    assert!(
        report["notes"]
            .to_string()
            .contains("still holds: record 41"),
        "{}",
        report["notes"]
    );
}

#[test]
fn records_changed_exchanged_or_taken_out_of_an_export_are_named() {
    let desk = Desk::new();
    desk.pump_with_sessions("pump.bin", 1, 100);
    let good = desk.log(0, &["pump.bin", "--output", "export"]);
    let last = good["records"]["last"].as_u64().expect("a number");
    assert!(last > 192);
    let original = desk.read("export/records.bin");
    let alter = |change: &dyn Fn(&mut Vec<Item>)| {
        let mut items = items(&original);
        change(&mut items);
        desk.write("export/records.bin", &rebuilt(&original, &items));
        let report = desk.log(3, &["export"]);
        let mut findings = findings(&report);
        // The other files were made of other records.
        findings.retain(|(kind, _)| kind != "derived");
        findings
    };
    // The number of a session, the last byte: the record decodes as before.
    let session = |item: &mut Item| {
        let byte = item.2.last_mut().expect("a byte");
        *byte ^= 1;
    };
    assert_eq!(
        alter(&|items| session(&mut items[100])),
        [
            found("not_following", 101),
            ("anchor_mismatch".to_owned(), Some(128))
        ]
    );
    assert_eq!(
        alter(&|items| items.swap(70, 71)),
        [found("missing", 70), found("out_of_order", 70)]
    );
    assert_eq!(
        alter(&|items| {
            items.remove(150);
        })[0],
        found("missing", 150)
    );
    // The last record is followed by none: only the signed head tells.
    let place = usize::try_from(last).expect("small");
    assert_eq!(
        alter(&|items| session(&mut items[place])),
        [found("head_state", last)]
    );
    assert_eq!(
        alter(&|items| {
            items.remove(place);
        }),
        [("head_elsewhere".to_owned(), None)]
    );
    // No record at all in its place.
    let offset = u64::try_from(items(&original)[90].0).expect("small");
    let noise = alter(&|items| items[90].2 = vec![0xFF; 12]);
    assert_eq!(
        noise[..2],
        [found("not_a_record", offset), found("missing", 90)]
    );
    desk.write("export/records.bin", &original);
    assert_eq!(desk.log(0, &["export"])["whole"], true);
}

#[test]
fn what_is_made_of_the_records_is_compared_with_them_and_made_anew() {
    let desk = Desk::new();
    desk.pump_with_sessions("pump.bin", 1, 3);
    desk.log(0, &["pump.bin", "--output", "export"]);
    let before = desk.content("export");
    for name in [
        "events.csv",
        "events.jsonl",
        "report.html",
        "verification.json",
    ] {
        let mut content = before[name].clone();
        content[20] ^= 1;
        desk.write(&format!("export/{name}"), &content);
        let report = desk.log(3, &["export"]);
        assert_eq!(
            report["findings"][0]["text"],
            format!("{name} is not what records.bin gives")
        );
        // The same records into the same folder: what differs is made anew.
        desk.log(0, &["export", "--output", "export"]);
        assert_eq!(desk.content("export"), before);
    }
    // A file that somebody took out is nothing that somebody changed.
    fs::remove_file(desk.path("export/report.html")).expect("removed");
    assert_eq!(desk.log(0, &["export"])["whole"], true);
    // Nothing is written when an export is verified.
    assert!(!desk.path("export/report.html").exists());
    // An export can be copied as what it is.
    desk.log(0, &["export", "--output", "copy"]);
    assert_eq!(desk.content("copy"), before);
}

#[test]
fn a_key_is_saved_for_its_owner_alone_and_checks_heads_from_anywhere() {
    let desk = Desk::new();
    desk.pump_with_sessions("pump.bin", 1, 3);
    desk.pump_with_sessions("other.bin", 2, 3);
    let ended = desk.thecal(&[
        "log",
        "pump.bin",
        "--save-log-key",
        "key",
        "--output",
        "export",
    ]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let key = desk.text("key");
    let digits = key.trim();
    assert_eq!(digits.len(), 64);
    assert!(!ended.stdout.contains(digits) && !ended.stderr.contains(digits));
    for (name, content) in desk.content("export") {
        assert!(
            !String::from_utf8_lossy(&content).contains(digits),
            "{name}"
        );
    }
    desk.log(0, &["other.bin", "--save-log-key", "other-key", "--check"]);
    assert_ne!(desk.text("other-key"), key);

    let (_server, address) = serve(&desk, "pump.bin");
    let connect = ["--connect", &address, "--check"];
    let unchecked = desk.log(0, &connect);
    assert_eq!(
        unchecked["head"]["signature_checked"],
        "not checked: no key"
    );
    let good = desk.log(0, &[&connect[..], &["--log-key", "key"]].concat());
    assert_eq!(good["head"]["signature_checked"], "good");
    let wrong = desk.log(3, &[&connect[..], &["--log-key", "other-key"]].concat());
    assert_eq!(wrong["head"]["signature_checked"], "wrong");
    assert_eq!(findings(&wrong)[0].0, "head_key");
    // An export that is written again says what the key said.
    desk.log(
        3,
        &["export", "--log-key", "other-key", "--output", "judged"],
    );
    assert!(
        desk.text("judged/report.html")
            .contains("<strong>not</strong> made with the key")
    );
    desk.log(0, &["export", "--log-key", "key", "--output", "judged"]);
    assert!(
        desk.text("judged/report.html")
            .contains("The signature is good")
    );
    assert!(desk.text("export/report.html").contains("not checked"));
    // And of an export, later.
    assert_eq!(
        desk.log(0, &["export", "--log-key", "key"])["head"]["signature_checked"],
        "good"
    );
    assert_eq!(
        findings(&desk.log(3, &["export", "--log-key", "other-key"]))[0].0,
        "head_key"
    );
    assert!(!desk.path("logs").exists(), "--check writes nothing");

    let error = desk.refused(&["pump.bin", "--check", "--save-log-key", "other-key"]);
    assert!(error.contains("other-key exists already"), "{error}");
    assert_ne!(desk.text("other-key"), key);
    desk.write("short", &key.as_bytes()[..60]);
    let error = desk.refused(&["pump.bin", "--log-key", "short"]);
    assert!(
        error.contains("exactly 64 hexadecimal digits") && !error.contains(&digits[..60]),
        "{error}"
    );
    assert!(
        desk.refused(&["pump.bin", "--log-key", "nothing"])
            .contains("nothing")
    );
    assert!(
        desk.refused(&["export", "--save-log-key", "new"])
            .contains("holds no key")
    );
    assert!(!desk.path("new").exists());
}

#[test]
fn an_export_that_was_cut_is_said_to_be_and_not_added_to() {
    let desk = Desk::new();
    desk.pump_with_sessions("pump.bin", 1, 20);
    desk.log(0, &["pump.bin", "--output", "export"]);
    let whole = desk.read("export/records.bin");
    let places = items(&whole);
    for (length, text) in [
        (whole.len() - 1, "ends in the middle of what begins at byte"),
        (places[30].0, "ends at byte"),
        (
            places[30].0 + 2,
            "ends in the middle of what begins at byte",
        ),
    ] {
        desk.write("export/records.bin", &whole[..length]);
        let report = desk.log(3, &["export"]);
        let first = report["findings"][0]["text"].as_str().expect("text");
        assert!(first.contains(text), "{first}");
        let before = desk.content("export");
        let error = desk.refused(&["pump.bin", "--output", "export"]);
        assert!(
            error.contains("was damaged or changed") && error.contains("nothing was written"),
            "{error}"
        );
        assert_eq!(desk.content("export"), before);
    }
    desk.write("export/records.bin", &whole[..10]);
    assert!(desk.refused(&["export"]).contains("no log of a pump"));
}

#[test]
fn another_pump_or_a_changed_log_is_never_added_to_an_export() {
    let desk = Desk::new();
    desk.pump_with_sessions("pump.bin", 1, 20);
    desk.pump_with_sessions("other.bin", 2, 40);
    desk.log(0, &["pump.bin", "--output", "export"]);
    let before = desk.content("export");
    {
        // Longer than the export, and its first records are alike but for their times.
        let mut world = desk.pump("older.bin", 1);
        world.advance_to(Duration::from_hours(5));
        for _ in 0..40 {
            session(&mut world);
        }
        world.power_off();
    }
    let error = desk.refused(&["older.bin", "--output", "export"]);
    assert!(error.contains("is not the one that export holds: another pump, or a log that was changed; nothing was written"), "{error}");
    // A shorter log.
    desk.pump_with_sessions("short.bin", 1, 5);
    let error = desk.refused(&["short.bin", "--output", "export"]);
    assert!(error.contains("holds records up to 43"), "{error}");
    // A blank one.
    desk.write("blank.bin", &[0xFF; 450_560]);
    let error = desk.refused(&["blank.bin", "--output", "export"]);
    assert!(
        error.contains("the log is empty, and export holds records up to 43"),
        "{error}"
    );
    // The other log of the same pump.
    let error = desk.refused(&["pump.bin", "--log", "critical", "--output", "export"]);
    assert!(
        error.contains("holds an export of the log \"events\", not of \"critical\""),
        "{error}"
    );
    // Over a link.
    {
        let (_server, address) = serve(&desk, "older.bin");
        let error = desk.refused(&["--connect", &address, "--output", "export"]);
        assert!(error.contains("nothing was written"), "{error}");
    }
    assert_eq!(desk.content("export"), before);
    // Pumps that were never alike by chance: seed 2 starts with the same records, so only its key tells.
    assert_eq!(desk.log(0, &["other.bin", "--check"])["whole"], true);
}

#[test]
fn a_folder_with_something_else_is_left_alone() {
    let desk = Desk::new();
    desk.pump_with_sessions("pump.bin", 1, 2);
    fs::create_dir(desk.path("diary")).expect("a folder");
    desk.write("diary/monday.txt", b"dear diary");
    let error = desk.refused(&["pump.bin", "--output", "diary"]);
    assert!(
        error.contains("holds something else than an export (monday.txt); nothing was written"),
        "{error}"
    );
    assert_eq!(desk.content("diary").len(), 1);
    assert!(
        desk.refused(&["pump.bin", "--output", "pump.bin"])
            .contains("is not a folder")
    );
    assert!(
        desk.refused(&["diary"])
            .contains("diary is no export of a log: it holds no records.bin")
    );

    // What a crash left is no hindrance, and does not stay.
    fs::create_dir(desk.path("crashed")).expect("a folder");
    desk.write("crashed/.records.bin.unfinished", b"thec");
    desk.write("crashed/.events.csv.unfinished", b"seq");
    desk.log(0, &["pump.bin", "--output", "crashed"]);
    assert_eq!(
        desk.content("crashed").into_keys().collect::<Vec<_>>(),
        FILES
    );

    // A crash behind records.bin: said when verified, mended by the next reading.
    let old = desk.content("crashed");
    {
        let mut world = desk.pump("pump.bin", 1);
        session(&mut world);
        world.power_off();
    }
    desk.log(0, &["pump.bin", "--output", "crashed"]);
    let new = desk.content("crashed");
    for name in ["events.csv", "report.html"] {
        desk.write(&format!("crashed/{name}"), &old[name]);
    }
    assert_eq!(
        desk.log(3, &["crashed"])["findings"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    desk.log(0, &["crashed", "--output", "crashed"]);
    assert_eq!(desk.content("crashed"), new);

    // Two at a time.
    let folder = fs::File::open(desk.path("crashed")).expect("a folder");
    folder.lock().expect("a lock");
    let error = desk.refused(&["pump.bin", "--output", "crashed"]);
    assert!(
        error.contains("another thecal is writing to crashed"),
        "{error}"
    );
}

/// A record as a pump writes it.
fn append(journal: &mut Journal<VirtualFlash>, kind: Kind, version: u8, stamp: Stamp, body: &[u8]) {
    journal
        .append(&Envelope {
            kind,
            version,
            stamp,
            body,
        })
        .expect("appended");
}

/// A tiny log with something of everything: clocks of every sort, a session, and records of a later version.
fn tiny(flash: VirtualFlash) -> VirtualFlash {
    let (mut journal, _) = Journal::open(flash).expect("a journal");
    let stamp = |micros, wall| Stamp {
        boot: 1,
        monotonic: PumpTime::from_micros(micros),
        wall,
    };
    let mut buffer = [0; 128];
    let boot = Record::Boot {
        cause: ResetCause::PowerOn,
        clock: Clock::Lost,
        totals: TotalsSource::New,
        counted_steps: 0,
        at_most_steps: 0,
    };
    let body = boot.encode(None, &mut buffer).expect("a body");
    append(&mut journal, boot.kind(), 1, stamp(0, Clock::Lost), body);
    let missed = Record::Deficit { steps: 12 };
    let body = missed
        .encode(Some(protocol::SessionId(3)), &mut buffer)
        .expect("a body");
    let wall = WallTime::from_millis(1_767_607_200_500);
    append(
        &mut journal,
        missed.kind(),
        1,
        stamp(3_600_000_001, Clock::Suspect { wall }),
        body,
    );
    let known = Clock::Known {
        wall,
        uncertainty: Duration::from_millis(1_500),
    };
    append(
        &mut journal,
        Kind(999),
        1,
        stamp(7_200_000_000, known),
        b"\x00\xFFnew",
    );
    append(
        &mut journal,
        Kind(4),
        9,
        stamp(7_200_500_000, known),
        &[1, 2],
    );
    append(
        &mut journal,
        Kind(4),
        1,
        stamp(7_200_500_000, known),
        &[1, 2, 3, 4],
    );
    journal.into_flash()
}

#[test]
fn a_tiny_log_has_exactly_these_lines_and_rows() {
    let desk = Desk::new();
    drop(tiny(
        VirtualFlash::create_image(desk.path("tiny.bin")).expect("an image"),
    ));
    let report = desk.log(3, &["tiny.bin", "--output", "export"]);
    assert_eq!(findings(&report), [found("body", 4)], "{report}");
    assert_eq!(
        desk.text("export/events.jsonl"),
        concat!(
            r#"{"sequence":0,"boot":1,"monotonic_s":0,"wall":null,"clock":"lost","uncertainty_s":null,"session":null,"kind":1,"version":1,"event":"pump started","critical":true,"detail":{"at_most_steps":0,"cause":"power on","clock":"lost","counted_steps":0,"totals":"New"},"log":"events"}"#,
            "\n",
            r#"{"sequence":1,"boot":1,"monotonic_s":3600.000001,"wall":"2026-01-05T10:00:00.500Z","clock":"suspect","uncertainty_s":null,"session":3,"kind":4,"version":1,"event":"steps missed","critical":false,"detail":{"steps":12},"log":"events"}"#,
            "\n",
            r#"{"sequence":2,"boot":1,"monotonic_s":7200,"wall":"2026-01-05T10:00:00.500Z","clock":"known","uncertainty_s":1.5,"session":null,"kind":999,"version":1,"event":"unknown","critical":null,"detail":{"body":"00ff6e6577"},"log":"events"}"#,
            "\n",
            r#"{"sequence":3,"boot":1,"monotonic_s":7200.5,"wall":"2026-01-05T10:00:00.500Z","clock":"known","uncertainty_s":1.5,"session":null,"kind":4,"version":9,"event":"unknown","critical":null,"detail":{"body":"0102"},"log":"events"}"#,
            "\n",
            r#"{"sequence":4,"boot":1,"monotonic_s":7200.5,"wall":"2026-01-05T10:00:00.500Z","clock":"known","uncertainty_s":1.5,"session":null,"kind":4,"version":1,"event":"unreadable","critical":null,"detail":{"body":"01020304"},"log":"events"}"#,
            "\n",
        )
    );
    assert_eq!(
        desk.text("export/events.csv"),
        concat!(
            "sequence,boot,monotonic_s,wall,clock,uncertainty_s,session,kind,version,event,critical,detail,log\r\n",
            "0,1,0,,lost,,,1,1,pump started,true,\"{\"\"at_most_steps\"\":0,\"\"cause\"\":\"\"power on\"\",\"\"clock\"\":\"\"lost\"\",\"\"counted_steps\"\":0,\"\"totals\"\":\"\"New\"\"}\",events\r\n",
            "1,1,3600.000001,2026-01-05T10:00:00.500Z,suspect,,3,4,1,steps missed,false,\"{\"\"steps\"\":12}\",events\r\n",
            "2,1,7200,2026-01-05T10:00:00.500Z,known,1.5,,999,1,unknown,,\"{\"\"body\"\":\"\"00ff6e6577\"\"}\",events\r\n",
            "3,1,7200.5,2026-01-05T10:00:00.500Z,known,1.5,,4,9,unknown,,\"{\"\"body\"\":\"\"0102\"\"}\",events\r\n",
            "4,1,7200.5,2026-01-05T10:00:00.500Z,known,1.5,,4,1,unreadable,,\"{\"\"body\"\":\"\"01020304\"\"}\",events\r\n",
        )
    );
    // No key was ever made.
    assert!(report["head"].is_null());
    assert!(report["notes"].to_string().contains("holds no log key"));
    assert!(
        report["notes"]
            .to_string()
            .contains("2 records are of a kind or version")
    );
}

/// The flash of a whole chip, with partitions at these places.
fn chip(flash: &VirtualFlash, size: usize, starts: [usize; 4]) -> Vec<u8> {
    let mut chip = vec![0xFF; size];
    chip[..64].copy_from_slice(&[0x5A; 64]);
    for (partition, start) in Partition::ALL.into_iter().zip(starts) {
        let content = flash.contents(partition);
        chip[start..start + content.len()].copy_from_slice(content);
    }
    chip
}

#[test]
fn dumps_of_whole_chips_are_read_where_their_logs_lie() {
    let desk = Desk::new();
    let small = tiny(VirtualFlash::with_sizes([0x1_8000, 0x8000, 0x2000, 0x2000]));
    let large = tiny(VirtualFlash::nrf52840());
    let starts = [0x8_C000, 0xE_C000, 0xF_4000, 0xF_6000];
    desk.write(
        "512.bin",
        &chip(&small, 512 * 1024, [0x5_8000, 0x7_0000, 0x7_8000, 0x7_A000]),
    );
    desk.write("1024.bin", &chip(&large, 1024 * 1024, starts));
    desk.write("native_sim.bin", &chip(&large, 1028 * 1024, starts));
    let mut exports = Vec::new();
    for (file, what) in [
        ("512.bin", "512 KB"),
        ("1024.bin", "nRF52840"),
        ("native_sim.bin", "nRF52840"),
    ] {
        let report = desk.log(3, &[file, "--output", &format!("{file}-export")]);
        assert_eq!(findings(&report), [found("body", 4)]);
        let source = report["readings"][0]["source"].as_str().expect("text");
        assert!(
            source.starts_with(&format!("flash file {file}")) && source.contains(what),
            "{source}"
        );
        exports.push(raw_records(
            &desk.read(&format!("{file}-export/records.bin")),
        ));
    }
    assert_eq!(exports[0].len(), 5);
    assert!(exports.iter().all(|export| *export == exports[0]));
    // The smaller log has its critical part elsewhere.
    let mut journal = Journal::open(small).expect("a journal").0;
    let mut count = 0;
    journal.read(Log::Critical, |_| count += 1).expect("read");
    assert_eq!(
        desk.log(0, &["512.bin", "--log", "critical"])["records"]["count"],
        count
    );
}

/// A chip of 512 KB with a key and this many small records.
fn filled_chip(records: u32) -> Vec<u8> {
    let flash = VirtualFlash::with_sizes([0x1_8000, 0x8000, 0x2000, 0x2000]);
    let (mut journal, _) = Journal::open(flash).expect("a journal");
    journal.make_key(&[9; 32]).expect("a key");
    let stamp = Stamp {
        boot: 1,
        monotonic: PumpTime::ZERO,
        wall: Clock::Lost,
    };
    for number in 0..records {
        append(&mut journal, Kind(999), 1, stamp, &number.to_le_bytes());
    }
    let places = [0x5_8000, 0x7_0000, 0x7_8000, 0x7_A000];
    chip(&journal.into_flash(), 512 * 1024, places)
}

#[test]
fn a_log_that_has_come_round_begins_where_it_begins_and_its_head_vouches_from_an_anchor_on() {
    let desk = Desk::new();
    desk.write("young.bin", &filled_chip(50));
    desk.write("old.bin", &filled_chip(6000));
    let young = desk.log(0, &["young.bin", "--output", "export"]);
    assert_eq!(young["vouched_for_from"], 0);
    let old = desk.log(0, &["old.bin", "--check"]);
    let first = old["records"]["first"].as_u64().expect("a number");
    assert!(first > 1000, "{first}");
    let from = old["vouched_for_from"].as_u64().expect("a number");
    assert!(
        (first..first + 128).contains(&from),
        "vouched for from {from}, and the log begins at {first}"
    );
    assert_eq!(old["head"]["is_end_of_these_records"], true);
    let note = format!("records 0 to {} are no longer there", first - 1);
    assert!(old["notes"].to_string().contains(&note), "{}", old["notes"]);
    // Nothing ties the two together any more.
    let before = desk.content("export");
    let error = desk.refused(&["old.bin", "--output", "export"]);
    assert!(
        error.contains("holds none of the last records in export any more"),
        "{error}"
    );
    assert_eq!(desk.content("export"), before);
}

/// Whatever the instant of a crash, the records are the old ones or the new ones, and the next reading makes the export whole.
#[test]
fn a_reading_that_is_killed_leaves_the_old_export_or_the_new_one() {
    let desk = Desk::new();
    desk.write("chip-0.bin", &filled_chip(100));
    desk.log(0, &["chip-0.bin", "--output", "export"]);
    let (mut old, mut new) = (0, 0);
    for round in 1..=25_u32 {
        let name = format!("chip-{round}.bin");
        desk.write(&name, &filled_chip(100 + round * 20));
        let before = desk.content("export");
        let mut child = Command::new(env!("CARGO_BIN_EXE_thecal"))
            .args(["log", &name, "--output", "export"])
            .current_dir(desk.0.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("thecal runs");
        std::thread::sleep(std::time::Duration::from_micros(u64::from(round) * 1400));
        child.kill().expect("killed");
        child.wait().expect("ended");
        let records = desk.read("export/records.bin");
        if records == before["records.bin"] {
            old += 1;
        } else {
            new += 1;
            assert!(raw_records(&records).len() > raw_records(&before["records.bin"]).len());
        }
        let report: Value =
            serde_json::from_str(&desk.thecal(&["log", "export", "--json"]).stdout).expect("JSON");
        assert!(
            findings(&report).iter().all(|(kind, _)| kind == "derived"),
            "{report}"
        );
        desk.log(0, &[&name, "--output", "export"]);
        assert_eq!(desk.log(0, &["export"])["whole"], true);
        assert_eq!(
            desk.content("export").into_keys().collect::<Vec<_>>(),
            FILES
        );
    }
    assert!(old > 0, "old {old}, new {new}");
}

#[test]
fn a_head_vouches_for_nothing_before_a_break() {
    let desk = Desk::new();
    desk.write("chip.bin", &filled_chip(200));
    desk.log(0, &["chip.bin", "--output", "export"]);
    let original = desk.read("export/records.bin");
    let mut items = items(&original);
    items.remove(70);
    desk.write("export/records.bin", &rebuilt(&original, &items));
    let report = desk.log(3, &["export"]);
    assert_eq!(findings(&report)[0], found("missing", 70));
    let from = report["vouched_for_from"].as_u64().expect("a number");
    // The first anchor behind the break: one in 128 records is one.
    assert!((71..71 + 128).contains(&from), "{from}");
    let text = desk.thecal(&["log", "export"]).stdout;
    assert!(
        text.contains(&format!(
            "the end of records {from} to 199, and says nothing of those before"
        )),
        "{text}"
    );
}

#[test]
fn what_is_no_flash_is_refused_with_what_is_allowed() {
    let desk = Desk::new();
    let mut noise = 1_u64;
    let mut noise = |length: usize| -> Vec<u8> {
        (0..length)
            .map(|_| {
                noise = noise
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                noise.to_le_bytes()[7]
            })
            .collect()
    };
    for (name, length) in [
        ("image", 450_560),
        ("512", 524_288),
        ("1024", 1_048_576),
        ("longer", 3_000_000),
    ] {
        desk.write(name, &noise(length));
        let error = desk.refused(&[name]);
        assert!(
            error.contains("it is no pump's flash, or is damaged all over"),
            "{name}: {error}"
        );
        desk.write(name, &vec![0; length]);
        let error = desk.refused(&[name]);
        assert!(
            error.contains("it is no pump's flash, or is damaged all over"),
            "{name}: {error}"
        );
    }
    for (name, content) in [
        ("empty", &b""[..]),
        ("text", b"not a flash image"),
        ("half", &[0xFF; 225_280]),
    ] {
        desk.write(name, content);
        let error = desk.refused(&[name]);
        for word in [
            "450560",
            "524288",
            "1048576 or more",
            &content.len().to_string(),
        ] {
            assert!(error.contains(word), "{name}: {error}");
        }
    }
    assert!(desk.refused(&["nothing.bin"]).contains("nothing.bin"));
    assert!(!desk.path("logs").exists(), "nothing was written");
    // A blank flash is one of a pump that has never started.
    desk.write("blank", &[0xFF; 450_560]);
    let report = desk.log(0, &["blank"]);
    assert_eq!(report["records"]["count"], 0);
    assert!(report["notes"].to_string().contains("the flash is blank"));
    assert_eq!(desk.log(0, &["logs/blank-events"])["records"]["count"], 0);
}

#[test]
fn a_log_damaged_all_over_beside_good_state_is_a_finding() {
    let desk = Desk::new();
    desk.pump_with_sessions("pump.bin", 1, 3);
    let mut image = desk.read("pump.bin");
    image[..0x5_A000].fill(0x33);
    desk.write("pump.bin", &image);
    let report = desk.log(3, &["pump.bin", "--output", "export"]);
    assert_eq!(findings(&report)[0].0, "log_unreadable");
    assert!(
        report["notes"].to_string().contains("would repair"),
        "{report}"
    );
    assert_eq!(desk.read("pump.bin"), image);
    assert_eq!(findings(&desk.log(3, &["export"]))[0].0, "log_unreadable");
}

#[test]
fn a_link_that_cannot_be_read_is_said_to_be_and_why() {
    let desk = Desk::new();
    desk.pump_with_sessions("pump.bin", 1, 1);
    let (server, address) = serve(&desk, "pump.bin");
    // Another phone has the link.
    let stream = std::net::TcpStream::connect(&address).expect("a connection");
    let (socket, _) = tungstenite::client(format!("ws://{address}/link"), stream).expect("a link");
    let error = desk.refused(&["--connect", &address]);
    assert!(error.contains("another phone is connected"), "{error}");
    drop(socket);
    drop(server);

    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    drop(silent);
    let error = desk.refused(&["--connect", &format!("127.0.0.1:{port}")]);
    assert!(
        error.contains("no virtual pump listens at 127.0.0.1") && error.contains("thecal serve"),
        "{error}"
    );
    let error = desk.refused(&["--connect", "no-such-host.invalid:1"]);
    assert!(
        error.contains("no-such-host.invalid:1 is no address"),
        "{error}"
    );

    // Something else listens, and then a pump of another version.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let stranger = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        std::io::Write::write_all(
            &mut stream,
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        )
        .expect("sent");
        drop(stream);
        let (stream, _) = listener.accept().expect("a connection");
        let mut socket = tungstenite::accept(stream).expect("a link");
        assert_eq!(socket.read().expect("a message").into_data()[..], [2]);
        let info = tungstenite::Message::Binary(vec![2, 9, 1, 2, 3].into());
        socket.send(info).expect("sent");
        // Until the other end hangs up.
        while socket.read().is_ok() {}
    });
    let error = desk.refused(&["--connect", &address]);
    assert!(error.contains("is no virtual pump"), "{error}");
    let error = desk.refused(&["--connect", &address]);
    assert!(
        error.contains("the pump speaks protocol version 9; this programmer knows version 1 only"),
        "{error}"
    );
    stranger.join().expect("a stranger");
    assert!(!desk.path("logs").exists());
}

#[test]
fn wrong_arguments_end_with_status_two_and_say_what_is_allowed() {
    let desk = Desk::new();
    desk.pump_with_sessions("pump.bin", 1, 1);
    for (arguments, says) in [
        (&[][..], "SOURCE"),
        (&["pump.bin", "--connect", "127.0.0.1:8480"], "--connect"),
        (&["--connect", "8480"], "HOST:PORT"),
        (&["--connect", "127.0.0.1:0"], "1 to 65535"),
        (&["--connect", "127.0.0.1:65536"], "1 to 65535"),
        (&["--connect", "http://127.0.0.1:8480"], "HOST:PORT"),
        (
            &["--connect", "127.0.0.1:8480", "--save-log-key", "key"],
            "--save-log-key",
        ),
        (&["pump.bin", "--log", "alarms"], "events, critical"),
        (&["pump.bin", "--check", "--output", "x"], "--output"),
        (&["pump.bin", "other.bin"], "other.bin"),
        (&["pump.bin", "--outptu", "x"], "--output"),
    ] {
        let ended = desk.thecal(&[&["log"], arguments].concat());
        assert_eq!(ended.status, Some(2), "{arguments:?}");
        assert!(
            ended.stderr.contains(says),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
    let help = desk.thecal(&["log", "--help"]);
    assert_eq!(help.status, Some(0));
    assert!(
        help.stdout.contains("Exit status: 0 the log is whole"),
        "{}",
        help.stdout
    );
}

#[test]
fn the_page_says_the_verdict_first_and_is_self_contained() {
    let desk = Desk::new();
    {
        let mut world = desk.pump("a pump <of mine> & yours.bin", 1);
        session(&mut world);
        world.power_off();
        world.power_on().expect("a pump");
        session(&mut world);
    }
    desk.log(0, &["a pump <of mine> & yours.bin"]);
    let page = desk.text("logs/a-pump--of-mine----yours-events/report.html");
    let verdict = page.find("The chain is whole").expect("a verdict");
    assert!(verdict < page.find("What happened, and how often").expect("counts"));
    assert!(page.contains("a pump &lt;of mine&gt; &amp; yours.bin") && !page.contains("<of mine>"));
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
    assert!(page.contains("<span class=\"mark\">critical</span>"));
    let (newest, oldest) = (
        page.find("<td class=\"number\">5</td>"),
        page.find("<td class=\"number\">0</td>"),
    );
    assert!(newest < oldest, "the newest first");
    assert!(Path::new(&desk.path("logs")).is_dir());
}

#[cfg(feature = "bluetooth")]
#[test]
fn without_bluetooth_the_reason_is_said() {
    let desk = Desk::new();
    let output = Command::new(env!("CARGO_BIN_EXE_thecal"))
        .args(desk.with_key(&["log", "--bluetooth", "Thecal", "--check"]))
        .current_dir(desk.0.path())
        .env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
        .output()
        .expect("thecal runs");
    let error = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.starts_with("error: --bluetooth: this computer's Bluetooth does not answer"),
        "{error}"
    );
    for arguments in [
        &["pump.bin", "--bluetooth", "Thecal"][..],
        &["--connect", "127.0.0.1:1", "--bluetooth", "Thecal"],
        &["--bluetooth", "Thecal", "--save-log-key", "key"],
    ] {
        assert_eq!(
            desk.thecal(&[&["log"], arguments].concat()).status,
            Some(2),
            "{arguments:?}"
        );
    }
}
