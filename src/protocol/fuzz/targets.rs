//! What each fuzz target does with its bytes; also run on stable by `tests/fuzz_targets.rs`.
//!
//! The bytes are a script: every step takes what it needs from the front, and an exhausted script reads as zeros. A panic
//! (also one of the assertions here) is a finding.
#![allow(dead_code, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use fuzzing::Script;
use protocol::codec::{decode, encode};
use protocol::fragmenter::Fragmenter;
use protocol::frame::{
    CHECK_LENGTH, FRAME_LIMIT, MESSAGE_LIMIT, MESSAGE_MINIMUM, Parsed, check_of,
};
use protocol::reassembler::{Progress, Reassembler, SILENCE};
use protocol::{
    Answer, Client, ClientEvent, Command, Component, Credentials, Digest, Fate, FlexStep, FlexWeek,
    Info, Keyring, Lifecycle, Mode, Mtu, Outcome, Program, Received, Refused, Request, Role,
    Session, SessionId, Situation, from_minutes, permission,
};
use units::{CarrierTime, Drug, Duration, Per};

#[path = "../tests/samples/mod.rs"]
pub mod samples;

/// Frames in any order and shape: a message that comes out is one whose frames went in, whole, in order and in time.
pub fn frames(data: &[u8]) {
    let mut script = Script::new(data);
    let mut reassembler = Reassembler::new(Some(SILENCE));
    let mut fragmenter = Fragmenter::new();
    let mut now = CarrierTime::from_micros(0);
    // What has been accepted since the last first frame, kept independently.
    let mut collected: Vec<u8> = Vec::new();
    let mut announced = None;
    let mut expected_next = None;
    let mut last_at = now;
    while !script.is_over() {
        let frame = match script.byte() {
            // A frame of a proper message of any length; the message goes on until it ends or another is begun.
            operation @ 0..=127 => {
                let mtu = Mtu::clamped(u16::from(script.byte()));
                if operation < 32 {
                    let length = usize::from(script.short() % 1100);
                    let fill = script.byte();
                    fragmenter.load(|buffer| {
                        buffer.fill(fill);
                        Some(length)
                    });
                }
                fragmenter.next_frame(mtu).map(|frame| frame.to_vec())
            }
            // Any bytes.
            128..=191 => {
                let length = usize::from(script.byte());
                Some(script.take(length).to_vec())
            }
            // A frame is lost.
            192..=223 => {
                fragmenter.next_frame(Mtu::LOWEST);
                None
            }
            // Time passes.
            224..=255 => {
                now = now.saturating_add(Duration::from_millis(u64::from(script.short())));
                None
            }
        };
        let Some(frame) = frame else { continue };
        let expired = reassembler.expire(now).is_some();
        let Ok(Parsed::Data(part)) = Parsed::from_bytes(&frame) else {
            continue;
        };
        assert!(frame.len() <= FRAME_LIMIT);
        if expired {
            announced = None;
        }
        let taken = reassembler.receive(now, &part);
        if taken == Ok(Progress::Repeated) {
            continue;
        }
        if let Some(total) = part.total {
            announced = Some(usize::from(total));
            collected.clear();
        } else if taken.is_ok() {
            assert_eq!(Some(part.sequence), expected_next, "in order");
            assert!(now.saturating_since(last_at) < SILENCE, "in time");
        }
        collected.extend_from_slice(part.payload);
        expected_next = Some(part.sequence.wrapping_add(1));
        last_at = now;
        match taken {
            Ok(Progress::Complete) => {
                assert!(part.last);
                assert_eq!(announced, Some(collected.len()));
                assert!((MESSAGE_MINIMUM..=MESSAGE_LIMIT).contains(&collected.len()));
                let (message, check) = collected.split_at(collected.len() - CHECK_LENGTH);
                assert_eq!(check, check_of(message));
                assert_eq!(reassembler.message(), message);
                announced = None;
            }
            Ok(Progress::Partial) => {
                assert!(announced.is_some_and(|total| collected.len() < total));
                assert!(reassembler.message().is_empty());
            }
            Ok(Progress::Repeated) | Err(_) => {
                announced = None;
                assert!(!reassembler.is_collecting());
            }
        }
    }
}

/// Any bytes as a request: refused, or encoded again to exactly the same bytes.
pub fn request(data: &[u8]) {
    if let Ok(request) = decode::<Request>(data) {
        let mut buffer = [0; MESSAGE_LIMIT];
        assert_eq!(encode(&request, &mut buffer), Some(data));
        if let Command::Stage(program) = &request.command {
            assert_ne!(
                Digest::of(program, request.id),
                Digest::of(program, request.id.wrapping_add(1))
            );
            if let Mode::Flex { week } = &program.mode {
                again(week);
            }
        }
    }
}

/// Patterns that fill their days go in again as they came out.
fn again(week: &FlexWeek) {
    for pattern in (0..7).map_while(|number| week.pattern(number)) {
        let mut other = FlexWeek::new(week.per);
        if other.push_pattern(from_minutes(pattern)).is_some() {
            let lasts = |steps: &[FlexStep]| {
                steps
                    .iter()
                    .map(|step| u32::from(step.lasts_min()))
                    .sum::<u32>()
            };
            assert_eq!(lasts(&other.steps), 1_440);
            if lasts(pattern) == 1_440 {
                assert_eq!(*other.steps, *pattern);
            }
        }
    }
}

/// Any bytes as an answer and as an Info: refused, or encoded again to exactly the same bytes.
pub fn answer(data: &[u8]) {
    let mut buffer = [0; MESSAGE_LIMIT];
    if let Ok(answer) = decode::<Answer>(data) {
        assert_eq!(encode(&answer, &mut buffer), Some(data));
        if let Outcome::Refused(refused) = &answer.outcome {
            assert!(!refused.to_string().is_empty());
            assert_ne!(answer.outcome.fate(), Fate::Done);
        }
        if let Outcome::BolusRefused { denial } = &answer.outcome {
            assert!(!denial.to_string().is_empty());
        }
        if let Outcome::Staged(staged) = &answer.outcome {
            for finding in &staged.findings {
                assert!(!finding.to_string().is_empty());
            }
        }
    }
    match Info::decode(data) {
        Ok(info) => assert_eq!(info.encode(&mut buffer), Some(data)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// One of the commands; a program and a digest are the script's.
fn some_command(script: &mut Script<'_>) -> Command {
    let commands = samples::commands();
    let number = usize::from(script.byte()) % commands.len();
    match commands.into_iter().nth(number) {
        Some(Command::Stage(_)) => Command::Stage(some_program(script)),
        Some(Command::Commit(_)) => samples::commit(Digest([script.byte(); 32])),
        Some(command) => command,
        None => Command::Interrogate,
    }
}

fn some_program(script: &mut Script<'_>) -> Program {
    let nanograms = u64::from(script.short()) << 40;
    let primary = Component {
        drug: Drug::Clonidine,
        concentration_ng_per_ml: u32::from(script.short()) << 12,
    };
    Program::new(primary, samples::continuous(nanograms, Per::Day))
}

fn some_outcome(script: &mut Script<'_>) -> Outcome {
    match script.byte() % 4 {
        0 => Outcome::Cancelled,
        1 => Outcome::Committed {
            program_number: u32::from(script.short()),
        },
        2 => Outcome::Refused(Refused::Busy),
        _ => Outcome::Staged(samples::staged(some_program(script), 9)),
    }
}

const SERVING: Situation = Situation {
    lifecycle: Lifecycle::InService,
    armed: false,
    alarm: false,
};

/// Opens a session over a carrier that does nothing wrong.
fn shake_hands(
    session: &mut Session,
    client: &mut Client,
    now: CarrierTime,
    info: &Info,
    role: Role,
) {
    client
        .open(now, info, credentials(role), samples::secret(88))
        .unwrap();
    for _ in 0..40 {
        while let Some(frame) = client.next_frame() {
            session.receive(now, &frame);
        }
        if let ClientEvent::Welcome(welcome) = client.receive(now, session.response()) {
            assert_eq!(welcome.role, role);
            break;
        }
    }
    while let Some(frame) = client.next_frame() {
        session.receive(now, &frame);
    }
    assert!(session.caller().is_some() && client.request_possible().is_ok());
}

/// The pump's keys and the phones', reckoned once: their public halves take longer than all that a script does.
static KEYRING: LazyLock<Keyring> = LazyLock::new(samples::keyring);
static CREDENTIALS: LazyLock<[Credentials; 5]> =
    LazyLock::new(|| Role::ALL.map(samples::credentials));

fn credentials(role: Role) -> &'static Credentials {
    let place = Role::ALL.into_iter().position(|known| known == role);
    &CREDENTIALS[place.unwrap()]
}

/// A handshake whose messages are changed on the way: whoever is let in has said exactly what a holder of the key says.
pub fn handshake(data: &[u8]) {
    let mut script = Script::new(data);
    let role = [Role::Clinician, Role::Enrolling, Role::Emergency][usize::from(script.byte() % 3)];
    let mut session = Session::new(Situation {
        armed: true,
        ..SERVING
    });
    *session.keyring() = KEYRING.clone();
    let info = samples::info(1);
    let now = CarrierTime::from_micros(0);
    session.opened(SessionId(1), Mtu::HIGHEST, &info, samples::secret(77));
    let mut client = Client::new();
    client.opened(Mtu::HIGHEST);
    client
        .open(now, &info, credentials(role), samples::secret(88))
        .unwrap();
    let hello = client.next_frame().unwrap().to_vec();
    let changed = change(&mut script, &hello);
    let received = session.receive(now, &changed);
    let intact = changed == hello;
    assert_eq!(matches!(received, Received::Opened(_)), intact);
    assert_eq!(session.caller().is_some(), intact);
    let welcome = session.response().to_vec();
    if welcome.is_empty() {
        return;
    }
    let changed = change(&mut script, &welcome);
    let event = client.receive(now, &changed);
    assert_eq!(
        matches!(event, ClientEvent::Welcome(_)),
        intact && changed == welcome
    );
}

/// The message in a frame, changed as the script says and framed anew, so that neither length nor checksum betrays it.
fn change(script: &mut Script<'_>, frame: &[u8]) -> Vec<u8> {
    let Ok(Parsed::Data(part)) = Parsed::from_bytes(frame) else {
        return frame.to_vec();
    };
    let mut message = part.payload[..part.payload.len() - CHECK_LENGTH].to_vec();
    match script.byte() % 4 {
        0 => {}
        1 => {
            let place = usize::from(script.byte()) % message.len();
            message[place] ^= script.byte();
        }
        2 => message.truncate(usize::from(script.byte()) % message.len()),
        _ => {
            let length = usize::from(script.byte());
            let front = message.len().min(2);
            message.truncate(front);
            message.extend_from_slice(script.take(length));
        }
    }
    let mut fragmenter = Fragmenter::new();
    fragmenter.load(|buffer| {
        buffer.get_mut(..message.len())?.copy_from_slice(&message);
        Some(message.len())
    });
    let mut framed = fragmenter
        .next_frame(Mtu::HIGHEST)
        .map_or_else(Vec::new, |framed| framed.to_vec());
    if framed.len() > 1 {
        framed[1] = frame[1];
    }
    framed
}

/// A client and a session over a carrier that does what the script says, with a stranger who writes frames to the pump.
pub fn session(data: &[u8]) {
    let mut script = Script::new(data);
    let role = if script.byte() & 1 == 0 {
        Role::Clinician
    } else {
        Role::Patient
    };
    let mut situation = SERVING;
    let mut session = Session::new(situation);
    *session.keyring() = KEYRING.clone();
    let mut client = Client::new();
    let mut now = CarrierTime::from_micros(0);
    let mut connection = SessionId(0);
    let mut highest = 0;
    let mut waiting: Vec<u32> = Vec::new();
    let mut answered: BTreeMap<u32, Outcome> = BTreeMap::new();
    while !script.is_over() {
        let operation = script.byte();
        let mut arriving: Vec<(Vec<u8>, bool)> = Vec::new();
        match operation % 12 {
            0 => {
                connection = SessionId(connection.0 + 1);
                let mtu = Mtu::clamped(u16::from(script.byte()));
                let info = samples::info(1);
                session.opened(connection, mtu, &info, samples::secret(77));
                client.opened(mtu);
                // A handshake costs too much for every connection of a script.
                if connection.0 == 1 {
                    shake_hands(&mut session, &mut client, now, &info, role);
                }
                highest = 0;
                waiting.clear();
                answered.clear();
            }
            1 => {
                let _ = client.request(now, &some_command(&mut script));
            }
            // The phone's next frame: carried, lost, repeated or damaged.
            2..=4 => {
                if let Some(frame) = client.next_frame() {
                    let frame = frame.to_vec();
                    match script.byte() % 8 {
                        0 => {}
                        1 => arriving.extend([(frame.clone(), false), (frame, false)]),
                        2 => {
                            let mut damaged = frame.clone();
                            let place = usize::from(script.byte()) % damaged.len();
                            damaged[place] ^= script.byte();
                            let changed = damaged != frame;
                            arriving.push((damaged, changed));
                        }
                        _ => arriving.push((frame, false)),
                    }
                }
            }
            // A stranger's frame.
            5 => {
                let length = usize::from(script.byte() % 32);
                arriving.push((script.take(length).to_vec(), true));
            }
            // The pump answers.
            6 => {
                if let Some(id) = waiting.pop() {
                    let outcome = some_outcome(&mut script);
                    let to = SessionId(connection.0 - u32::from(script.byte() & 1));
                    if session
                        .answer(
                            to,
                            &Answer {
                                id,
                                outcome: outcome.clone(),
                            },
                        )
                        .is_ok()
                    {
                        assert_eq!(to, connection);
                        assert!(answered.insert(id, outcome).is_none(), "answered twice");
                    }
                }
            }
            // The phone reads; the read may fail.
            7..=9 => {
                let fragment = if operation & 1 == 0 {
                    session.response().to_vec()
                } else {
                    session.indication().map(<[u8]>::to_vec).unwrap_or_default()
                };
                if !script.byte().is_multiple_of(8) {
                    match client.receive(now, &fragment) {
                        ClientEvent::Answer(Answer {
                            outcome: Outcome::Refused(_),
                            ..
                        })
                        | ClientEvent::Nothing => {}
                        ClientEvent::Answer(Answer { id, outcome }) => {
                            assert_eq!(answered.get(&id), Some(&outcome), "not what the pump said");
                        }
                        ClientEvent::Ended(ended) => assert_ne!(ended.fate, Fate::Done),
                        ClientEvent::Welcome(welcome) => panic!("{welcome:?} unasked for"),
                    }
                }
            }
            10 => {
                now = now.saturating_add(Duration::from_millis(u64::from(script.short() % 4096)));
                session.tick(now);
                session.hang_up(now);
                client.tick(now);
            }
            _ => {
                let mtu = Mtu::clamped(u16::from(script.byte()));
                session.set_mtu(mtu);
                client.set_mtu(mtu);
                let lifecycle = Lifecycle::ALL[usize::from(script.byte()) % Lifecycle::ALL.len()];
                situation = Situation {
                    lifecycle,
                    armed: operation & 128 != 0,
                    alarm: operation & 64 != 0,
                };
                session.set_situation(situation);
            }
        }
        for (frame, strange) in arriving {
            let before = session.id();
            if let Received::Request(request) = session.receive(now, &frame) {
                assert!(before.is_some(), "without a connection");
                assert!(request.id > highest, "a number used before");
                assert!(permission(role, request.command.kind(), &situation).is_ok());
                assert!(!strange, "nobody can forge a request");
                highest = request.id;
                waiting.push(request.id);
            }
        }
        assert!(session.response().len() <= FRAME_LIMIT);
        if !session.response().is_empty() {
            assert!(Parsed::from_bytes(session.response()).is_ok());
        }
    }
}

/// A client that is fed anything: what it tells is about its own request, once, and what it writes fits.
pub fn client(data: &[u8]) {
    let mut script = Script::new(data);
    let mut client = Client::new();
    let mut session = Session::new(SERVING);
    *session.keyring() = KEYRING.clone();
    let mut opened = 0;
    let mut pump = Fragmenter::new();
    let mut now = CarrierTime::from_micros(0);
    let mut mtu = Mtu::LOWEST;
    while !script.is_over() {
        let before = client.under_way();
        let event = match script.byte() % 10 {
            0 => {
                mtu = Mtu::clamped(u16::from(script.byte()));
                pump.reset();
                let event = client
                    .opened(mtu)
                    .map_or(ClientEvent::Nothing, ClientEvent::Ended);
                opened += 1;
                if opened == 1 {
                    let info = samples::info(1);
                    session.opened(SessionId(opened), mtu, &info, samples::secret(77));
                    shake_hands(&mut session, &mut client, now, &info, Role::Clinician);
                    for _ in 0..20 {
                        pump.take_sequence();
                    }
                }
                event
            }
            1 => {
                let asked = client.request(now, &some_command(&mut script));
                assert!(asked.is_err() || before.is_none());
                ClientEvent::Nothing
            }
            2 => client
                .closed()
                .map_or(ClientEvent::Nothing, ClientEvent::Ended),
            3 => client
                .abandon()
                .map_or(ClientEvent::Nothing, ClientEvent::Ended),
            4 => {
                now = now.saturating_add(Duration::from_millis(u64::from(script.short() % 8192)));
                client.tick(now)
            }
            // A message of a pump: any version and bytes, or an answer.
            5 => {
                let version = 1 - script.byte() % 4 / 3;
                let kind = script.byte() % 6;
                let id = u32::from(script.byte() % 4);
                let answer = Answer {
                    id,
                    outcome: some_outcome(&mut script),
                };
                let raw = script.byte().is_multiple_of(4);
                let bytes = if raw { script.take(20) } else { &[] };
                pump.load(|buffer| {
                    let (first, payload) = buffer.split_first_chunk_mut()?;
                    *first = [version, kind];
                    let length = if raw {
                        payload.get_mut(..bytes.len())?.copy_from_slice(bytes);
                        bytes.len()
                    } else {
                        encode(&answer, payload)?.len()
                    };
                    Some(length + 2)
                });
                ClientEvent::Nothing
            }
            6 | 7 => match pump.next_frame(mtu) {
                Some(frame) => client.receive(now, &frame),
                None => ClientEvent::Nothing,
            },
            8 => {
                let length = usize::from(script.byte());
                client.receive(now, script.take(length))
            }
            _ => {
                if let Some(frame) = client.next_frame() {
                    assert!(frame.len() <= FRAME_LIMIT);
                    assert!(Parsed::from_bytes(&frame).is_ok());
                }
                ClientEvent::Nothing
            }
        };
        match event {
            ClientEvent::Nothing => {}
            ClientEvent::Answer(answer) => panic!("{answer:?}, which nobody can forge"),
            ClientEvent::Welcome(welcome) => panic!("{welcome:?}, which nobody can forge"),
            ClientEvent::Ended(ended) => {
                assert_eq!(Some(ended.id), before);
                assert_eq!(client.under_way(), None);
                assert_ne!(ended.fate, Fate::Done);
            }
        }
    }
}
