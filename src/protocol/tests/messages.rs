//! Every message comes back as it went, at any MTU, and no two byte strings mean the same message.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may panic"
)]

use proptest::prelude::*;
use protocol::codec::{decode, encode};
use protocol::fragmenter::Fragmenter;
use protocol::frame::{MESSAGE_LIMIT, Parsed};
use protocol::info::Info;
use protocol::reassembler::{Progress, Reassembler};
use protocol::{
    Answer, Command, DeliveryState, Digest, Dose, Field, LOG_PART_BYTES, Lifecycle, Limits,
    LogBytes, LogHead, LogName, LogPart, Malformed, Mode, Mtu, Outcome, Program, Refused, Request,
    Staged, Status,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use units::{CarrierTime, Clock, Drug, Duration, Per, WallTime};

/// Numbers of every length, not only the longest.
fn number64() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0_u32..64).prop_map(|(number, shift)| number >> shift)
}

fn number32() -> impl Strategy<Value = u32> {
    (any::<u32>(), 0_u32..32).prop_map(|(number, shift)| number >> shift)
}

fn per() -> impl Strategy<Value = Per> {
    prop_oneof![Just(Per::Hour), Just(Per::Day)]
}

fn program() -> impl Strategy<Value = Program> {
    let dose = (number64(), per()).prop_map(|(nanograms, per)| Mode::SimpleContinuous {
        dose: Dose { nanograms, per },
    });
    let mode = prop_oneof![Just(Mode::Stopped), dose];
    (
        prop::sample::select(Drug::ALL.to_vec()),
        number32(),
        prop::option::of(number32()),
        mode,
    )
        .prop_map(|(drug, concentration_ng_per_ml, fill_nl, mode)| Program {
            drug,
            concentration_ng_per_ml,
            fill_nl,
            mode,
        })
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn log() -> impl Strategy<Value = LogName> {
    prop_oneof![Just(LogName::Events), Just(LogName::Critical)]
}

fn log_part() -> impl Strategy<Value = LogPart> {
    (
        number32(),
        prop::option::of(number32()),
        prop::collection::vec(any::<u8>(), 0..=LOG_PART_BYTES),
    )
        .prop_map(|(next, newest, records)| LogPart {
            next,
            newest,
            records: LogBytes::new(&records).unwrap(),
        })
}

fn log_head() -> impl Strategy<Value = LogHead> {
    (number32(), any::<[u8; 16]>(), number32(), any::<[u8; 16]>()).prop_map(
        |(sequence, state, boot, signature)| LogHead {
            sequence,
            state,
            boot,
            signature,
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        Just(Command::Interrogate),
        program().prop_map(Command::Stage),
        Just(Command::ReadBack),
        digest().prop_map(|digest| Command::Commit { digest }),
        Just(Command::Cancel),
        any::<u16>().prop_map(|mask| Command::ResetStatusChanged { mask }),
        (log(), number32()).prop_map(|(log, from)| Command::ReadLog { log, from }),
        log().prop_map(|log| Command::SignLog { log }),
        (number64(), number64()).prop_map(|(wall, uncertainty)| Command::SetClock {
            wall: WallTime::from_millis(wall),
            uncertainty: Duration::from_micros(uncertainty),
        }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    (number32(), command()).prop_map(|(id, command)| Request { id, command })
}

fn clock() -> impl Strategy<Value = Clock> {
    let wall = || number64().prop_map(WallTime::from_millis);
    let known = (wall(), number64()).prop_map(|(wall, uncertainty)| Clock::Known {
        wall,
        uncertainty: Duration::from_micros(uncertainty),
    });
    prop_oneof![
        known,
        wall().prop_map(|wall| Clock::Suspect { wall }),
        Just(Clock::Lost)
    ]
}

fn delivery() -> impl Strategy<Value = DeliveryState> {
    prop::sample::select(vec![
        DeliveryState::NotProgrammed,
        DeliveryState::Stopped,
        DeliveryState::Running,
        DeliveryState::Faulted,
    ])
}

fn limits() -> impl Strategy<Value = Limits> {
    (number32(), number32(), number32(), number32()).prop_map(
        |(lowest_nl_per_day, highest_nl_per_day, capacity_nl, step_volume_fl)| Limits {
            lowest_nl_per_day,
            highest_nl_per_day,
            capacity_nl,
            step_volume_fl,
        },
    )
}

fn status() -> impl Strategy<Value = Status> {
    let who = (
        number32(),
        number64(),
        clock(),
        number32(),
        prop::option::of(program()),
        delivery(),
    );
    let steps = (number64(), any::<i64>(), number64(), number64(), number32());
    let volumes = (
        prop::option::of(number64()),
        prop::option::of(number64()),
        number64(),
    );
    let rest = (
        any::<bool>(),
        any::<bool>(),
        any::<u16>(),
        limits(),
        any::<u16>(),
        number64(),
        number32(),
    );
    (who, steps, volumes, rest).prop_map(|(who, steps, volumes, rest)| Status {
        boot: who.0,
        pump_time_ms: who.1,
        clock: who.2,
        program_number: who.3,
        program: who.4,
        delivery: who.5,
        flow_nl_per_day: steps.0,
        counted_steps: steps.1,
        at_most_steps: steps.2,
        deficit_steps: steps.3,
        step_volume_fl: steps.4,
        reservoir_fl: volumes.0,
        filled_fl: volumes.1,
        delivered_since_fill_fl: volumes.2,
        staged: rest.0,
        committing: rest.1,
        status_changed: rest.2,
        limits: rest.3,
        faults: rest.4,
        powered_s: rest.5,
        records_lost: rest.6,
    })
}

fn staged() -> impl Strategy<Value = Staged> {
    (
        program(),
        number64(),
        prop::option::of(number64()),
        number64(),
        digest(),
        number32(),
    )
        .prop_map(
            |(
                program,
                flow_nl_per_day,
                old_day_total_ng,
                new_day_total_ng,
                digest,
                expires_in_ms,
            )| Staged {
                program,
                flow_nl_per_day,
                old_day_total_ng,
                new_day_total_ng,
                digest,
                expires_in_ms,
            },
        )
}

fn refused() -> impl Strategy<Value = Refused> {
    let out_of_range = (
        prop::sample::select(Field::ALL.to_vec()),
        number64(),
        number64(),
        number64(),
    )
        .prop_map(|(field, value, lowest, highest)| Refused::OutOfRange {
            field,
            value,
            lowest,
            highest,
        });
    let malformed = prop_oneof![
        Just(Malformed::Undecodable),
        Just(Malformed::TrailingBytes),
        Just(Malformed::NotCanonical),
        number32().prop_map(|number| Malformed::UnknownCommand { number }),
        Just(Malformed::IdentifierZero),
    ];
    prop_oneof![
        Just(Refused::NotAllowed),
        Just(Refused::NothingStaged),
        Just(Refused::DigestMismatch),
        Just(Refused::StageExpired),
        Just(Refused::NotDone),
        Just(Refused::Busy),
        out_of_range,
        malformed.prop_map(Refused::BadMessage),
        any::<(u8, u8)>().prop_map(|(version, known)| Refused::UnknownVersion { version, known }),
        number32().prop_map(|last| Refused::StaleIdentifier { last }),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        status().prop_map(Outcome::Status),
        staged().prop_map(Outcome::Staged),
        number32().prop_map(|program_number| Outcome::Committed { program_number }),
        Just(Outcome::Cancelled),
        any::<u16>().prop_map(|flags| Outcome::StatusChangedReset { flags }),
        refused().prop_map(Outcome::Refused),
        Just(Outcome::StoppedNotRecorded),
        log_part().prop_map(Outcome::LogPart),
        prop::option::of(log_head()).prop_map(|head| Outcome::LogHead { head }),
        clock().prop_map(|clock| Outcome::ClockSet { clock }),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    (number32(), outcome()).prop_map(|(id, outcome)| Answer { id, outcome })
}

/// There and back, through frames at `mtu`.
fn travel(bytes: &[u8], mtu: Mtu) -> Vec<u8> {
    let mut fragmenter = Fragmenter::new();
    assert!(fragmenter.load(|buffer| {
        buffer[..bytes.len()].copy_from_slice(bytes);
        Some(bytes.len())
    }));
    let mut reassembler = Reassembler::new(None);
    let mut progress = Progress::Partial;
    while let Some(frame) = fragmenter.next_frame(mtu) {
        assert_eq!(progress, Progress::Partial);
        let Ok(Parsed::Data(part)) = Parsed::from_bytes(&frame) else {
            panic!("{frame:?}")
        };
        progress = reassembler
            .receive(CarrierTime::from_micros(0), &part)
            .unwrap();
    }
    assert_eq!(progress, Progress::Complete);
    reassembler.message().to_vec()
}

fn comes_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T, mtu: u16) {
    let mut buffer = [0; MESSAGE_LIMIT];
    let bytes = encode(value, &mut buffer).unwrap();
    assert_eq!(decode::<T>(bytes).as_ref(), Ok(value));
    assert_eq!(travel(bytes, Mtu::new(mtu).unwrap()), bytes);
}

/// Whatever decodes, encodes to exactly the same bytes.
fn is_canonical<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    if let Ok(value) = decode::<T>(bytes) {
        let mut buffer = [0; MESSAGE_LIMIT];
        assert_eq!(encode(&value, &mut buffer), Some(bytes));
    }
}

proptest! {
    #[test]
    fn requests_come_back(request in request(), mtu in 23_u16..=247) {
        comes_back(&request, mtu);
    }

    #[test]
    fn answers_come_back(answer in answer(), mtu in 23_u16..=247) {
        comes_back(&answer, mtu);
    }

    #[test]
    fn infos_come_back(capabilities in any::<u32>(), nonce in any::<[u8; 8]>(), armed in any::<bool>()) {
        for lifecycle in Lifecycle::ALL {
            let info = Info::new(capabilities, nonce, lifecycle, armed);
            let mut buffer = [0; Info::LIMIT];
            prop_assert_eq!(Info::decode(info.encode(&mut buffer).unwrap()), Ok(info));
        }
    }

    #[test]
    fn messages_of_any_length_come_back(bytes in prop::collection::vec(any::<u8>(), 2..=1020), mtu in 23_u16..=247) {
        prop_assert_eq!(travel(&bytes, Mtu::new(mtu).unwrap()), bytes);
    }

    #[test]
    fn a_changed_byte_is_another_message_or_none(
        answer in answer(),
        place in any::<prop::sample::Index>(),
        change in 1_u8..=255,
    ) {
        let mut buffer = [0; MESSAGE_LIMIT];
        let mut bytes = encode(&answer, &mut buffer).unwrap().to_vec();
        *place.get_mut(&mut bytes[..]) ^= change;
        is_canonical::<Answer>(&bytes);
        prop_assert_ne!(decode::<Answer>(&bytes), Ok(answer));
    }

    #[test]
    fn a_digest_names_one_program_and_number(a in program(), b in program(), number in any::<u32>()) {
        prop_assert_eq!(Digest::of(&a, number) == Digest::of(&b, number), a == b);
        prop_assert_ne!(Digest::of(&a, number), Digest::of(&a, number.wrapping_add(1)));
    }
}
