//! Tests that write the kept vectors, `vectors/v1/*.txt`, and hold this code against them: whoever reads them reads what we write.
//!
//! A line is a name, a space and bytes in hexadecimal (in `texts.txt`: a text). `THECAL_WRITE_DOCS=1 cargo test -p protocol vectors` writes them. Once a
//! version is [`RELEASED`] its lines stay as they are for ever: new ones are added behind, and no kept one is written again.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests may panic"
)]

use std::collections::BTreeMap;
use std::format;
use std::path::PathBuf;
use std::string::{String, ToString};
use std::vec::Vec;

use serde::Serialize;
use serde::de::DeserializeOwned;
use units::{AlarmKind, CarrierTime, Clock, Duration, Per, WallTime};

use crate::codec::{decode, encode};
use crate::envelope::{self, Hello};
use crate::fragmenter::Fragmenter;
use crate::frame::{MESSAGE_LIMIT, Parsed, check_of};
use crate::info::capability;
use crate::keys::{self, Credentials};
use crate::noise::{FIRST_BYTES, Initiator, Responder};
use crate::reassembler::{Progress, Reassembler};
use crate::{
    Answer, CardBolus, Client, ClientEvent, Command, DeliveryState, Denied, ENROLMENT_SLOT,
    EmergencyCard, Info, KeyGrant, KeyText, Lifecycle, List, Mode, Mtu, Outcome, Pack, PackText,
    Program, PublicKey, Received, Request, Role, Secret, Session, SessionId, Situation, Slot,
    VERSION, Welcome, samples,
};
use samples::secret;

/// Whether a pump of this version has left the house.
const RELEASED: bool = false;

const NOW: CarrierTime = CarrierTime::from_micros(0);

/// A name and what it stands for.
pub(crate) type Line = (String, String);

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn line(name: impl ToString, value: &impl Serialize) -> Line {
    let mut buffer = [0; MESSAGE_LIMIT];
    (name.to_string(), hex(encode(value, &mut buffer).unwrap()))
}

/// One of every request, what is inside of their seal.
pub(crate) fn requests() -> Vec<Line> {
    let flex = Mode::Flex {
        week: samples::one_pattern(Per::Hour, |hour| 15_000 + 1_000 * u32::from(hour)),
    };
    let flex = Command::Stage(Program::new(samples::BACLOFEN, flex));
    let largest = Command::Stage(samples::largest_program());
    let named = samples::commands().into_iter().map(|command| {
        let name = command.kind().name().replace(' ', "-");
        (name, command)
    });
    let more = [("stage-flex", flex), ("stage-largest", largest)];
    named
        .chain(more.map(|(name, command)| (name.to_string(), command)))
        .map(|(name, command)| {
            let number = if command.kind().is_numbered() { 42 } else { 0 };
            let request = Request {
                id: 7,
                number,
                command,
            };
            line(name, &request)
        })
        .collect()
}

/// The name of the variant that is written first in a debug text.
pub(crate) fn variant(value: &impl core::fmt::Debug) -> String {
    let text = format!("{value:?}");
    let end = text.find(|c: char| !c.is_alphanumeric());
    text[..end.unwrap_or(text.len())].to_string()
}

/// One of every answer, what is inside of their seal.
pub(crate) fn answers() -> Vec<Line> {
    let mut outcomes: Vec<(String, Outcome)> = samples::outcomes()
        .into_iter()
        .map(|outcome| (variant(&outcome), outcome))
        .collect();
    let largest = Outcome::Staged(samples::largest_staged());
    outcomes.push(("Staged-largest".to_string(), largest));
    for (number, refused) in samples::refusals().into_iter().enumerate() {
        let name = format!("Refused-{number:02}-{}", variant(&refused));
        outcomes.push((name, Outcome::Refused(refused)));
    }
    for denial in samples::denials() {
        let name = format!("BolusRefused-{}", variant(&denial));
        outcomes.push((name, Outcome::BolusRefused { denial }));
    }
    outcomes
        .into_iter()
        .map(|(name, outcome)| line(name, &Answer { id: 7, outcome }))
        .collect()
}

fn info(armed: bool) -> Info {
    let nonce = *b"eight by";
    Info::new(capability::VIRTUAL, nonce, Lifecycle::InService, armed)
}

/// What travels outside of a seal, and the content of Welcome.
pub(crate) fn open_words() -> Vec<Line> {
    let denied = samples::denied();
    let welcomes = Role::ALL.map(|role| Welcome {
        role,
        last_number: 300,
    });
    let card = EmergencyCard {
        version: VERSION,
        pump: public(1).fingerprint(),
        delivery: DeliveryState::Running,
        drugs: List::of([samples::BACLOFEN]),
        flow_nl_per_day: 125_000,
        dose_ng_per_day: 250_000,
        reservoir_nl: Some(19_875_000),
        last_bolus: Some(CardBolus {
            dose_ng: 50_000,
            ago_min: 95,
        }),
        alarms: List::of([AlarmKind::LowReservoir]),
        clock: Clock::Known {
            wall: WallTime::from_millis(1_795_000_000_000),
            uncertainty: Duration::from_seconds(2),
        },
    };
    let blank = EmergencyCard {
        delivery: DeliveryState::NotProgrammed,
        drugs: List::new(),
        flow_nl_per_day: 0,
        dose_ng_per_day: 0,
        reservoir_nl: None,
        last_bolus: None,
        alarms: List::new(),
        clock: Clock::Lost,
        ..card.clone()
    };
    let mut lines = Vec::from([line("Info", &info(false)), line("Info-armed", &info(true))]);
    lines.extend(welcomes.map(|welcome| line(format!("Welcome-{}", welcome.role), &welcome)));
    lines.extend(
        denied
            .iter()
            .map(|denied| line(format!("Denied-{}", variant(denied)), denied)),
    );
    lines.push(line("EmergencyCard", &card));
    lines.push(line("EmergencyCard-blank", &blank));
    lines
}

fn public(byte: u8) -> PublicKey {
    secret(byte).public_key()
}

/// The message in one frame, its CRC taken off.
fn message_in(frame: &[u8]) -> Vec<u8> {
    assert_eq!(frame[0], 0b11, "in one frame");
    frame[4..frame.len() - 4].to_vec()
}

/// A handshake, a request and its answer, with keys that everybody knows.
fn conversation(name: &str, slot: u8, role: Role, command: Command, outcome: Outcome) -> Vec<Line> {
    let (pump, phone, preshared) = (secret(0x11), secret(0x22), secret(0x33));
    let (phone_ephemeral, pump_ephemeral) = (secret(0x44), secret(0x55));
    let armed = role.needs_presence();
    let info = info(armed);
    let last_number = if slot < 8 { 41 } else { 0 };

    let mut session = Session::new(Situation {
        lifecycle: Lifecycle::InService,
        armed,
        alarm: false,
    });
    session.keyring().set_pump(pump.clone());
    let known = (slot < 8).then(|| phone.public_key());
    let key = Slot::new(role, known, preshared.clone(), last_number);
    session.keyring().set(slot, Some(key));
    session.opened(SessionId(1), Mtu::HIGHEST, &info, pump_ephemeral.clone());
    let mut client = Client::new();
    client.opened(Mtu::HIGHEST);
    let credentials = Credentials::new(slot, phone.clone(), preshared.clone(), pump.public_key());

    client
        .open(NOW, &info, &credentials, phone_ephemeral.clone())
        .unwrap();
    let hello = client.next_frame().unwrap();
    assert!(matches!(session.receive(NOW, &hello), Received::Opened(_)));
    let welcome = session.response().to_vec();
    assert!(matches!(
        client.receive(NOW, &welcome),
        ClientEvent::Welcome(_)
    ));
    for frame in client.frames() {
        session.receive(NOW, &frame);
    }
    client.request(NOW, &command).unwrap();
    let asked = client.next_frame().unwrap();
    let Received::Request(request) = session.receive(NOW, &asked) else {
        panic!("the request of {name} was not taken");
    };
    let said = Answer {
        id: request.id,
        outcome,
    };
    session.answer(SessionId(1), &said).unwrap();
    let answered = session.response().to_vec();
    assert_eq!(
        client.receive(NOW, &answered),
        ClientEvent::Answer(said.clone())
    );

    // The same once more, piece by piece, for what does not travel.
    let hello = message_in(&hello);
    let greeting = Hello::from_bytes(&hello[2..]).unwrap();
    let prologue = envelope::prologue(&info);
    let own = (&pump, &pump.public_key());
    let mut noise = greeting.noise;
    let responder = Responder::read(&prologue, own, &phone.public_key(), &preshared, &mut noise);
    let payload = line("", &Welcome { role, last_number }).1;
    let mut body = [&[0; 32][..], &bytes(&payload), &[0; 16]].concat();
    let split = responder
        .unwrap()
        .answer(&pump_ephemeral, &mut body)
        .unwrap();
    assert_eq!(message_in(&welcome)[2..], body);

    let lines: [(&str, String); 22] = [
        ("slot", hex(&[slot])),
        ("pump_private", hex(pump.bytes())),
        ("pump_public", hex(&pump.public_key().0)),
        ("phone_private", hex(phone.bytes())),
        ("phone_public", hex(&phone.public_key().0)),
        ("preshared", hex(preshared.bytes())),
        ("phone_ephemeral_private", hex(phone_ephemeral.bytes())),
        ("pump_ephemeral_private", hex(pump_ephemeral.bytes())),
        ("info", line("", &info).1),
        ("prologue", hex(&prologue)),
        ("gate_key", hex(keys::gate_secret(&preshared).bytes())),
        ("gate", hex(&greeting.gate)),
        ("first_noise_message", hex(&greeting.noise)),
        ("hello", hex(&hello)),
        ("welcome_content", payload),
        ("welcome", hex(&message_in(&welcome))),
        ("requests_key", hex(split.requests.key())),
        ("answers_key", hex(split.answers.key())),
        ("request_content", line("", &request).1),
        ("request", hex(&message_in(&asked))),
        ("answer_content", line("", &said).1),
        ("answer", hex(&message_in(&answered))),
    ];
    lines
        .into_iter()
        .map(|(field, value)| (format!("{name}.{field}"), value))
        .collect()
}

fn handshakes() -> Vec<Line> {
    let grant = Command::GrantKey(KeyGrant {
        slot: 0,
        role: Role::Clinician,
        public_key: public(0x22),
        preshared: secret(0x66),
    });
    let status = Outcome::Status(samples::status(2, Some(samples::program())));
    [
        conversation("enrolled", 3, Role::Clinician, Command::Interrogate, status),
        conversation(
            "enrolment",
            ENROLMENT_SLOT,
            Role::Enrolling,
            grant,
            Outcome::Done,
        ),
    ]
    .concat()
}

/// Messages cut for the smallest and the largest MTU, numbered over the end of a byte.
fn frames() -> Vec<Line> {
    let mut lines = Vec::new();
    for (name, length, first) in [
        ("short", 2, 0),
        ("medium", 71, 254),
        ("longest", MESSAGE_LIMIT - 4, 9),
    ] {
        let message: Vec<u8> = (1..=250).cycle().take(length).collect();
        lines.push((format!("{name}.message"), hex(&message)));
        lines.push((format!("{name}.check"), hex(&check_of(&message))));
        for mtu in [Mtu::LOWEST, Mtu::HIGHEST] {
            let mut fragmenter = Fragmenter::new();
            for _ in 0..first {
                fragmenter.take_sequence();
            }
            assert!(fragmenter.load(|buffer| {
                buffer[..length].copy_from_slice(&message);
                Some(length)
            }));
            let mut number = 0;
            while let Some(frame) = fragmenter.next_frame(mtu) {
                let name = format!("{name}.mtu-{}.{number:02}", mtu.bytes());
                lines.push((name, hex(&frame)));
                number += 1;
            }
        }
    }
    lines
}

fn texts() -> Vec<Line> {
    let pack = Pack {
        private: secret(0x11),
        one_time: secret(0x77),
        recovery: secret(0x88),
        passkey: 123_456,
    };
    let text = pack.text();
    let key = KeyText {
        pump: text.pump,
        private: secret(0x22),
        preshared: secret(0x33),
        slot: 3,
    };
    Vec::from([
        ("page".to_string(), hex(&pack.page())),
        ("pack".to_string(), text.to_string()),
        ("implant-card".to_string(), text.implant_card().to_string()),
        ("key".to_string(), key.to_string()),
        (
            "fingerprint".to_string(),
            text.pump.fingerprint().to_string(),
        ),
    ])
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/v1"))
}

fn kept(file: &str) -> Vec<Line> {
    let path = folder().join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

fn hold(file: &str, heading: &str, made: &[Line]) {
    let before = kept(file);
    let known: BTreeMap<_, _> = before.iter().cloned().collect();
    assert_eq!(known.len(), before.len(), "{file}: a name twice");
    if std::env::var_os("THECAL_WRITE_DOCS").is_some() {
        let mut lines = if RELEASED { before } else { Vec::new() };
        let new = made
            .iter()
            .filter(|(name, _)| !RELEASED || !known.contains_key(name));
        lines.extend(new.cloned());
        let mut text = format!("# Thecal protocol, version {VERSION}: {heading}\n");
        for (name, value) in lines {
            text.push_str(&format!("{name} {value}\n"));
        }
        std::fs::create_dir_all(folder()).unwrap();
        std::fs::write(folder().join(file), text).unwrap();
        return;
    }
    for (name, value) in made {
        assert_eq!(
            Some(value),
            known.get(name),
            "{file}: {name} is not what was kept: if that is meant, THECAL_WRITE_DOCS=1 cargo test -p protocol vectors"
        );
    }
    assert!(
        RELEASED || known.len() == made.len(),
        "{file} has lines that nothing makes: THECAL_WRITE_DOCS=1 cargo test -p protocol vectors"
    );
}

#[test]
fn vectors_are_the_kept_ones() {
    hold(
        "requests.txt",
        "what is inside of a sealed request",
        &requests(),
    );
    hold(
        "answers.txt",
        "what is inside of a sealed answer",
        &answers(),
    );
    hold(
        "open.txt",
        "Info, the content of Welcome, the body of Denied, the emergency card",
        &open_words(),
    );
    hold(
        "handshakes.txt",
        "handshakes with keys that everybody knows",
        &handshakes(),
    );
    hold(
        "frames.txt",
        "messages without and with their CRC-32, and their frames",
        &frames(),
    );
    hold(
        "texts.txt",
        "the page of the flash, and the texts of pack and cards",
        &texts(),
    );
}

fn comes_back<T: Serialize + DeserializeOwned>(name: &str, kept: &str) {
    let value = decode::<T>(&bytes(kept)).unwrap_or_else(|why| panic!("{name}: {why}"));
    assert_eq!(line("", &value).1, kept, "{name}");
}

#[test]
fn vectors_decode_and_encode_again() {
    for (name, kept) in kept("requests.txt") {
        comes_back::<Request>(&name, &kept);
    }
    for (name, kept) in kept("answers.txt") {
        comes_back::<Answer>(&name, &kept);
    }
    for (name, kept) in kept("open.txt") {
        match name.split('-').next() {
            Some("Info") => comes_back::<Info>(&name, &kept),
            Some("Welcome") => comes_back::<Welcome>(&name, &kept),
            Some("Denied") => comes_back::<Denied>(&name, &kept),
            Some("EmergencyCard") => comes_back::<EmergencyCard>(&name, &kept),
            _ => panic!("{name}?"),
        }
    }
}

/// What was kept is enough for both sides: nothing of it comes from today's code but the arithmetic.
#[test]
fn vectors_of_handshakes_are_shaken_again() {
    let kept: BTreeMap<String, String> = kept("handshakes.txt").into_iter().collect();
    for name in ["enrolled", "enrolment"] {
        let field = |field: &str| bytes(&kept[&format!("{name}.{field}")]);
        let secret = |of: &str| Secret::new(field(of).try_into().unwrap());
        let public = |of: &str| PublicKey(field(of).try_into().unwrap());
        let (pump, phone) = (secret("pump_private"), secret("phone_private"));
        assert_eq!(pump.public_key(), public("pump_public"));
        assert_eq!(phone.public_key(), public("phone_public"));
        let prologue = field("prologue");
        let info: Info = decode(&field("info")).unwrap();
        assert_eq!(envelope::prologue(&info).as_slice(), prologue);
        let preshared = secret("preshared");
        let mut noise = [0; FIRST_BYTES];
        let initiator = Initiator::begin(
            &prologue,
            (&phone, &public("phone_public")),
            &public("pump_public"),
            &preshared,
            secret("phone_ephemeral_private"),
            &mut noise,
        )
        .unwrap();
        assert_eq!(noise.as_slice(), field("first_noise_message"));
        let hello = field("hello");
        let read = Hello::from_bytes(&hello[2..]).unwrap();
        assert_eq!((hello[0], read.noise), (VERSION, noise));
        assert!(read.passes(&keys::gate_key(&preshared), &info.nonce));
        let mut welcome = field("welcome");
        let (split, content) = initiator.finish(&mut welcome[2..]).unwrap();
        assert_eq!(content, field("welcome_content"));
        for (side, of) in [(&split.requests, "request"), (&split.answers, "answer")] {
            assert_eq!(side.key().as_slice(), field(&format!("{of}s_key")));
            let mut sealed = field(of);
            let counter = u32::from_le_bytes(sealed[2..6].try_into().unwrap());
            let content = side.open(counter, &mut sealed[6..]).unwrap();
            assert_eq!(content, field(&format!("{of}_content")));
        }
    }
}

#[test]
fn vectors_of_frames_are_put_together_again() {
    let kept = kept("frames.txt");
    let all: BTreeMap<String, String> = kept.iter().cloned().collect();
    for name in ["short", "medium", "longest"] {
        for mtu in ["mtu-23", "mtu-247"] {
            let front = format!("{name}.{mtu}.");
            let mut reassembler = Reassembler::new(None);
            let mut progress = Progress::Partial;
            for (_, frame) in kept.iter().filter(|(name, _)| name.starts_with(&front)) {
                let frame = bytes(frame);
                let Ok(Parsed::Data(part)) = Parsed::from_bytes(&frame) else {
                    panic!("{frame:?}");
                };
                progress = reassembler.receive(NOW, &part).unwrap();
            }
            assert_eq!(progress, Progress::Complete, "{front}");
            assert_eq!(
                hex(reassembler.message()),
                all[&format!("{name}.message")],
                "{front}"
            );
        }
    }
}

#[test]
fn vectors_of_texts_are_read_again() {
    let kept: BTreeMap<String, String> = kept("texts.txt").into_iter().collect();
    let pack = Pack::from_page(&bytes(&kept["page"])).unwrap();
    assert_eq!(hex(&pack.page()), kept["page"]);
    let text = PackText::parse(&kept["pack"]).unwrap();
    assert_eq!(
        (text.to_string(), &text),
        (kept["pack"].clone(), &pack.text())
    );
    let card = crate::ImplantCard::parse(&kept["implant-card"]).unwrap();
    assert_eq!(
        (card.to_string(), card),
        (kept["implant-card"].clone(), text.implant_card())
    );
    assert_eq!(
        KeyText::parse(&kept["key"]).unwrap().to_string(),
        kept["key"]
    );
    assert_eq!(
        pack.private.public_key().fingerprint().to_string(),
        kept["fingerprint"]
    );
}
