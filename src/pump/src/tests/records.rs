//! Every kind of record: there and back, its longest, and what is no record.

use super::*;
use crate::record::{
    BolusDenial, FillRecord, Job, JobEnd, LatchedRecord, Placement, RECORD_BYTES, RepairsRecord,
    UpdateStep,
};
use crate::{CommissioningRecord, Counters, TotalsSource};
use journal::Kind;
use std::collections::BTreeSet;
use units::{Clock, WallTime};

const KNOWN: Clock = Clock::Known {
    wall: WallTime::from_millis(u64::MAX),
    uncertainty: Duration::MAX,
};

/// One of each kind, each field at its longest.
fn longest() -> Vec<Record> {
    let program = Program {
        concentration_ng_per_ml: u32::MAX,
        fill_nl: Some(u32::MAX),
        ..continuous(u64::MAX)
    };
    let record = record::ProgramRecord {
        number: u32::MAX,
        program: Some(program.clone()),
        fill: Some(FillRecord {
            volume_fl: u64::MAX,
            at_most_steps: u64::MAX,
        }),
        lost: true,
    };
    let most = u32::MAX;
    vec![
        Record::Boot {
            cause: ResetCause::Fatal { reason: most },
            clock: KNOWN,
            totals: TotalsSource::Lost,
            counted_steps: i64::MIN,
            at_most_steps: u64::MAX,
        },
        Record::ProgramCommitted {
            before: Some(program),
            record: record.clone(),
        },
        Record::CommitNotDone { number: most },
        Record::Deficit { steps: u64::MAX },
        Record::OrderRefused {
            order: most,
            refusal: OrderRefusal::Failed,
        },
        Record::MotorFault {
            interlock_tripped: true,
            driver_failed: true,
        },
        Record::SessionOpened {},
        Record::SessionClosed {},
        Record::FlagsCleared { mask: u16::MAX },
        Record::ClockSet {
            before: KNOWN,
            after: KNOWN,
        },
        Record::AlarmRaised { faults: u16::MAX },
        Record::AlarmCleared { faults: u16::MAX },
        Record::MemoryRepaired {
            repairs: RepairsRecord {
                copies: most,
                banks: most,
                pages_sealed: most,
                pages_erased: most,
                pages_retired: most,
            },
        },
        Record::MemoryLost {
            program: true,
            totals: true,
            kinds: u8::MAX,
            log: true,
        },
        Record::RecordsLost { records: most },
        Record::DeliveryChanged {
            delivery: DeliveryState::Faulted,
            flow_nl_per_day: u64::MAX,
        },
        Record::SelfTest { failed: u16::MAX },
        Record::Refill {
            expected_nl: most,
            aspirated_nl: most,
            filled_nl: most,
        },
        Record::JobStarted {
            job: Job::Bridge,
            id: most,
            volume_nl: most,
        },
        Record::JobEnded {
            job: Job::Bridge,
            id: most,
            end: JobEnd::Fault,
            counted_steps: most,
            at_most_steps: most,
        },
        Record::BolusGranted { id: most },
        Record::BolusDenied {
            id: most,
            reason: BolusDenial::Memory,
        },
        Record::AlarmSounded { faults: u16::MAX },
        Record::AlarmSilenced { faults: u16::MAX },
        Record::Stall { steps: most },
        Record::StallRecovered {
            missed_steps: u64::MAX,
        },
        Record::ReservoirLow { left_nl: most },
        Record::ServiceLife {
            over: true,
            stops_at: Some(WallTime::from_millis(u64::MAX)),
        },
        Record::TubeSetRisk {
            stopped_h: u16::MAX,
        },
        Record::TimeZoneChanged {
            before_min: i16::MIN,
            after_min: i16::MAX,
        },
        Record::AuthenticationFailed {
            slot: u8::MAX,
            times: u16::MAX,
        },
        Record::LockedOut { seconds: most },
        Record::FirmwareUpdate {
            step: UpdateStep::Reverted,
            version: (u8::MAX, u8::MAX, u16::MAX),
        },
        Record::MriMode { on: true },
        Record::Battery {
            millivolts: u16::MAX,
        },
        Record::Program { record },
        Record::Totals {
            totals: TotalsRecord {
                counted_steps: i64::MIN,
                at_most_steps: u64::MAX,
                deficit_steps: u64::MAX,
                powered_s: u64::MAX,
                ahead_steps: u64::MAX,
            },
        },
        Record::Counters {
            counters: Counters {
                restarts_by_fault: most,
                sessions: most,
                commits: most,
                alarms: most,
                repairs: most,
                records_lost: most,
            },
        },
        Record::Latched {
            record: LatchedRecord {
                interlock_tripped: true,
                clock_was_set: true,
                checkpoints_failing: true,
            },
        },
        Record::Commissioning {
            record: CommissioningRecord {
                step_volume_fl: most,
                capacity_nl: most,
                ..CommissioningRecord::UNCALIBRATED
            },
        },
    ]
}

fn encode(record: &Record, session: Option<SessionId>) -> Vec<u8> {
    let mut buffer = [0; RECORD_BYTES];
    record
        .encode(session, &mut buffer)
        .expect("RECORD_BYTES always suffices")
        .to_vec()
}

#[test]
fn every_kind_comes_back_with_its_session_and_nothing_else_is_taken_for_it() {
    let all = longest();
    assert_eq!(all.len(), Record::TABLE.len(), "one of each kind");
    for record in all {
        let (kind, version) = (record.kind(), record.version());
        let names_session = matches!(record.placement(), Placement::Event | Placement::Critical);
        for session in [None, Some(SessionId(1)), Some(SessionId(u32::MAX))] {
            let body = encode(&record, session);
            let kept = session.filter(|_| names_session);
            assert_eq!(
                Record::decode(kind, version, &body),
                Ok((kept, record.clone()))
            );
            assert_eq!(
                Record::decode(kind, version + 1, &body),
                Err(RecordError::UnknownVersion)
            );
            let mut longer = body.clone();
            longer.push(0);
            assert_eq!(
                Record::decode(kind, version, &longer),
                Err(RecordError::Malformed)
            );
            for length in 0..body.len() {
                assert_eq!(
                    Record::decode(kind, version, &body[..length]),
                    Err(RecordError::Malformed),
                    "{record:?} cut to {length}"
                );
                assert_eq!(
                    record.encode(session, &mut vec![0; length]),
                    Err(RecordError::BufferTooSmall)
                );
            }
        }
    }
    assert_eq!(
        Record::decode(Kind(999), 1, &[0]),
        Err(RecordError::UnknownKind)
    );
}

/// What a log holds leaves the pump in one piece (protocol, `LogPart`): with the longest stamp, link and session.
#[test]
fn the_longest_record_of_a_log_fits_into_one_part() {
    for record in longest() {
        let body = encode(&record, Some(SessionId(u32::MAX))).len();
        assert!(body <= RECORD_BYTES, "{record:?}: {body}");
    }
    // Sequence 5, link 19, kind 3, version 1, boot 5, times 31, length 2, and the length before it 2.
    const { assert!(5 + 19 + 3 + 1 + 5 + 31 + 2 + 2 + RECORD_BYTES <= protocol::LOG_PART_BYTES) };
}

#[test]
fn no_number_and_no_name_is_used_twice() {
    let numbers: BTreeSet<_> = Record::TABLE.iter().map(|(kind, _, _)| kind.0).collect();
    let titles: BTreeSet<_> = Record::TABLE.iter().map(|(_, _, title)| *title).collect();
    assert_eq!(numbers.len(), Record::TABLE.len());
    assert_eq!(titles.len(), Record::TABLE.len());
    for (kind, placement, _) in Record::TABLE {
        let state = matches!(placement, Placement::State | Placement::Checkpoint);
        assert_eq!((16..32).contains(&kind.0), state, "{kind:?}");
    }
}

/// These bytes are in pumps.
#[test]
fn the_bytes_of_some_records_are_pinned() {
    let program = baclofen();
    for (record, session, bytes) in [
        (
            Record::Boot {
                cause: ResetCause::Fatal { reason: 4 },
                clock: Clock::Lost,
                totals: TotalsSource::Checkpoint,
                counted_steps: -1,
                at_most_steps: 300,
            },
            None,
            vec![0, 2, 4, 2, 2, 1, 0xAC, 2],
        ),
        (
            Record::AlarmRaised { faults: 0b10_0000 },
            Some(SessionId(7)),
            vec![7, 0x20],
        ),
        (
            Record::Totals {
                totals: TotalsRecord {
                    counted_steps: 998,
                    at_most_steps: 1_000,
                    deficit_steps: 1,
                    powered_s: 60,
                    ahead_steps: 5,
                },
            },
            None,
            vec![0xE8, 7, 4, 1, 60, 5],
        ),
        (
            Record::Program {
                record: record::ProgramRecord {
                    number: 1,
                    program: Some(program),
                    fill: None,
                    lost: false,
                },
            },
            None,
            vec![
                1, 1, 7, 0x80, 0x89, 0x7A, 1, 0x80, 0xDA, 0xC4, 9, 1, 0x90, 0xA1, 0x0F, 1, 0, 0,
            ],
        ),
    ] {
        assert_eq!(encode(&record, session), bytes, "{record:?}");
    }
}

proptest! {
    #[test]
    fn noise_is_a_record_or_none_and_never_panics(
        row in 0..Record::TABLE.len(), body in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let (kind, _, _) = Record::TABLE[row];
        let _ = Record::decode(kind, 1, &body);
    }
}

/// docs/memory.md has the same table.
#[test]
fn the_table_in_the_docs_is_this_one() {
    let page = include_str!("../../../../docs/memory.md");
    let (_, rest) = page.split_once("<!-- table: Record::TABLE -->\n").unwrap();
    let (table, _) = rest.split_once("<!-- end of table -->").unwrap();
    let mut expected = std::string::String::from("| kind | kept in | what |\n|---|---|---|\n");
    for (kind, placement, title) in Record::TABLE {
        let place = match placement {
            Placement::State => "state banks",
            Placement::Checkpoint => "checkpoints",
            Placement::Event => "event log",
            Placement::Critical => "critical log",
        };
        expected.push_str(&std::format!("| {} | {place} | {title} |\n", kind.0));
    }
    assert_eq!(table, expected);
}

/// What the features to come will keep in the state banks, at its longest, fits: put, replaced, and there after a restart.
#[test]
fn the_state_of_the_finished_pump_fits() {
    use journal::{Envelope, Stamp, VirtualFlash};
    let mut lengths = vec![
        260, // program: 24 steps of a flex day of 10 bytes, and 20
        20,  // commissioning
        400, // drug library: eight drugs of 50 bytes
        40,  // catheter
        330, // reservoir: 40 refills of 8 bytes, and 10
        160, // bridge queue: four slugs of 40 bytes
        60,  // alarms
        48,  // command numbers of eight slots
        16,  // clock: zone and corrections
    ];
    // Key slots: public key, pre-shared key, role.
    lengths.extend([66; 8]);
    let (mut journal, _) = journal::Journal::open(VirtualFlash::nrf52840()).unwrap();
    journal.make_key(&[7; 32]).unwrap();
    for round in 0..3_u8 {
        for (kind, length) in (1_000..).map(Kind).zip(&lengths) {
            let body = vec![round; *length];
            let envelope = Envelope {
                kind,
                version: 1,
                stamp: Stamp {
                    boot: u32::MAX,
                    monotonic: PumpTime::MAX,
                    wall: KNOWN,
                },
                body: &body,
            };
            journal
                .put(&envelope)
                .unwrap_or_else(|error| panic!("{length} bytes in round {round}: {error}"));
        }
    }
    let (mut journal, _) = journal::Journal::open(journal.into_flash()).unwrap();
    let mut body = [0; journal::BODY_BYTES];
    for (kind, length) in (1_000..).map(Kind).zip(&lengths) {
        let found = journal.get(kind, &mut body).unwrap().unwrap();
        assert_eq!(found.body, vec![2; *length]);
    }
}
