//! Every kind of record: there and back, its longest, and what is no record.

use super::*;
use crate::record::{JobEnd, ModeName, Placement, RECORD_BYTES, RepairsRecord, UpdateStep};
use crate::{CommissioningRecord, Counters, TotalsSource};
use journal::Kind;
use protocol::Bytes;
use protocol::therapy::BolusDenial;
use std::collections::BTreeSet;
use therapy::JobKind;
use units::{AlarmKind, Clock, WallTime};

const KNOWN: Clock = Clock::Known {
    wall: WallTime::from_millis(u64::MAX),
    uncertainty: Duration::MAX,
};

fn longest_commissioning() -> CommissioningRecord {
    CommissioningRecord {
        kind: units::PumpKind::ExternalTrial,
        step_volume_fl: u32::MAX,
        capacity_nl: u32::MAX,
        fixed_rate_nl_per_day: Some(u32::MAX),
        trial_days: Some(u8::MAX),
    }
}

/// One of each kind, each field at its longest.
fn longest() -> Vec<Record> {
    let clinicians = JobKind::ClinicianBolus { extended: true };
    let alarm = *AlarmKind::ALL.last().unwrap();
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
            number: most,
            drug: Drug::Baclofen,
            concentration_ng_per_ml: most,
            mode: ModeName::SingleBolus,
            before_ng: Some(u64::MAX),
            total_ng: u64::MAX,
            filled_nl: Some(most),
            reason: Some(OverrideReason::InNotes),
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
        Record::KeylessSession {},
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
            expected_nl: Some(most),
            aspirated_nl: Some(most),
            filled_nl: most,
        },
        Record::JobStarted {
            job: clinicians,
            id: most,
            volume_nl: most,
        },
        Record::JobEnded {
            job: clinicians,
            id: most,
            end: JobEnd::Fault,
            counted_steps: most,
            at_most_steps: most,
        },
        Record::BolusGranted { id: most },
        Record::BolusDenied {
            id: most,
            reason: BolusDenial::Frequency { left_s: most },
        },
        Record::AlarmSounded { alarm },
        Record::AlarmSilenced { alarm },
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
        Record::AlarmOn { alarm },
        Record::AlarmOff { alarm },
        Record::AlarmAcknowledged { alarm },
        Record::ProgramPart {
            number: most,
            offset: u16::MAX,
            part: Bytes::new(&[u8::MAX; crate::record::PROGRAM_PART_BYTES]).unwrap(),
        },
        Record::BridgeStarted {
            volume_nl: most,
            flow_nl_per_day: most,
        },
        Record::BridgeEnded {},
        Record::RefillOpened {
            expected_nl: Some(most),
        },
        Record::RefillClosed {},
        Record::CatheterSet { path_nl: most },
        Record::Commissioned {
            record: longest_commissioning(),
        },
        Record::LibraryLoaded {
            version: most,
            checksum: most,
        },
        Record::Emergency {},
        Record::Diary {
            baseline: true,
            score: u8::MAX,
        },
        Record::TrialExtended { days: u8::MAX },
        Record::IntervalsSet {
            critical_min: u16::MAX,
            other_min: u16::MAX,
        },
        Record::KeyGranted {
            slot: u8::MAX,
            role: Role::Service,
            fingerprint: protocol::Fingerprint([u8::MAX; 8]),
        },
        Record::KeyRevoked { slot: u8::MAX },
        Record::SessionOpened {
            slot: u8::MAX,
            role: Role::Service,
        },
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
        let checkpoint = *placement == Placement::Checkpoint;
        assert_eq!((16..32).contains(&kind.0), checkpoint, "{kind:?}");
        assert_eq!(StateKind::of(*kind), None);
    }
    let kinds: BTreeSet<_> = StateKind::ALL.iter().map(|state| state.kind().0).collect();
    assert_eq!(kinds.len(), StateKind::ALL.len());
    for state in StateKind::ALL {
        assert!((16..32).contains(&state.kind().0), "{state:?}");
        assert_eq!(StateKind::of(state.kind()), Some(*state));
        assert_eq!(Record::placement_of(state.kind()), Some(Placement::State));
    }
}

/// These bytes are in pumps.
#[test]
fn the_bytes_of_some_records_are_pinned() {
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
    ] {
        assert_eq!(encode(&record, session), bytes, "{record:?}");
    }
    let record = ProgramRecord {
        number: 1,
        program: Some(baclofen()),
        ..ProgramRecord::default()
    };
    let mut buffer = [0; STATE_BYTES];
    let value = Value::Program(&record);
    let kept = Kept::new(StateKind::Program, value, &mut buffer).unwrap();
    assert_eq!((kept.kind, kept.version), (Kind(16), 1));
    #[rustfmt::skip]
    assert_eq!(
        kept.body,
        [
            1, // its number
            1, 7, 0x80, 0x89, 0x7A, 0, 2, 0x90, 0xA1, 0x0F, 1, // baclofen 2 mg/mL, 250,000 ng a day
            0, 0, 0, 1, 0x80, 0xDA, 0xC4, 9, 0, 0, // 20,000,000 nL
            0, 0, 0, 0, 0, // no fill on record, not lost, committed at the first step and moment, no bridge
        ]
    );
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
    let states = StateKind::ALL
        .iter()
        .map(|state| (state.kind(), Placement::State, state.title()));
    for (kind, placement, title) in Record::TABLE.iter().copied().chain(states) {
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

/// A value of state as it is written.
fn length(state: StateKind, value: Value<'_>) -> usize {
    let mut buffer = [0; STATE_BYTES];
    let kept = Kept::new(state, value, &mut buffer).expect("not too long");
    kept.body.len()
}

/// The longest program: 96 steps in seven patterns, four drugs, a patient's boluses in four parts of the day, and a bridge.
fn longest_program() -> ProgramRecord {
    let mut week = protocol::FlexWeek::new(Per::Day);
    week.days = [6; 7];
    for steps in [14_u16, 14, 14, 14, 14, 14, 12] {
        let step = |number| (number * 100, protocol::FlexStep::LARGEST_NG);
        week.push_pattern((0..steps).map(step)).unwrap();
    }
    let component = |drug| Component {
        drug,
        concentration_ng_per_ml: u32::MAX,
    };
    let most = Dose {
        nanograms: u64::MAX,
        per: Per::Day,
    };
    let period = protocol::PeriodCap {
        from_min: 1_439,
        to_min: 1_438,
        boluses: u8::MAX,
    };
    let mut program = Program::new(component(Drug::Baclofen), Mode::Flex { week });
    program.secondaries = protocol::List::of([Drug::Morphine; 3].map(component));
    program.patient_bolus = Some(protocol::PatientBolus {
        dose_ng: u64::MAX,
        duration_s: u32::MAX,
        lockout_min: u16::MAX,
        per_day: u8::MAX,
        day_cap_ng: Some(u64::MAX),
        periods: protocol::List::of([period; 4]),
    });
    program.fault_policy = Some(units::FaultPolicy::Stop);
    program.bridge = Some(most);
    program.fill = Some(Fill {
        volume_nl: u32::MAX,
        top_up: true,
    });
    program.low_mark_nl = Some(u32::MAX);
    ProgramRecord {
        number: u32::MAX,
        program: Some(program),
        fill: Some(FillRecord {
            volume_fl: u64::MAX,
            at_most_steps: u64::MAX,
            at: units::PoweredTime::MAX,
        }),
        lost: true,
        at_most_steps: u64::MAX,
        at: units::PoweredTime::MAX,
        bridge: Some((most, u32::MAX)),
    }
}

/// The longest path: four slugs and the reservoir, each of four drugs and with a target of its own (as `path.rs` has it).
fn longest_path() -> PathRecord {
    use therapy::{Content, Solution, Target};
    let strongest = |last| {
        let component = |drug| therapy::Component {
            drug,
            concentration: "250 mg/mL".parse().unwrap(),
        };
        let others = [Drug::Hydromorphone, Drug::Fentanyl, last].map(component);
        Content::Solution(Solution::new(component(Drug::Morphine), &others).unwrap())
    };
    let target = Target::new("10000 mg/day".parse().unwrap()).unwrap();
    let volume = therapy::LARGEST_EXTERNAL_PATH;
    let mut path = therapy::Path::new(volume, &[], strongest(Drug::Baclofen)).unwrap();
    for drug in [
        Drug::Sufentanil,
        Drug::Bupivacaine,
        Drug::Clonidine,
        Drug::Ziconotide,
    ] {
        path.change(strongest(drug), Some(target)).unwrap();
        path.advance(units::Volume::from_microlitres(900));
    }
    let catheter = therapy::Catheter::new(therapy::CatheterRecord {
        model: u16::MAX,
        upstream: therapy::Upstream::ExternalLine {
            line_nanolitres: 3_000_000,
            port_nanolitres: 300_000,
        },
        implanted_millimetres: 1_000,
        trimmed_millimetres: 0,
        nanolitres_per_centimetre: 4_000,
        tip: None,
    });
    PathRecord {
        program_number: u32::MAX,
        catheter: catheter.unwrap(),
        path,
        at_most_steps: u64::MAX,
    }
}

/// How long each kind of state can be at most.
fn longest_states() -> Vec<(StateKind, usize)> {
    use therapy::{JobKind, JobOrder};
    use units::{PoweredTime, Volume};
    let job = JobOrder::new(
        u32::MAX,
        JobKind::ClinicianBolus { extended: true },
        u32::MAX,
        Duration::from_hours(24),
    );
    let job = job.unwrap();
    let mut boluses = BolusRecord {
        job: Some((job, u64::MAX)),
        suspended: Some(job),
        newest_job: u32::MAX,
        last_periodic: Some(PoweredTime::MAX),
        single_done: u32::MAX,
        last_prime: Some(PoweredTime::MAX),
        ..BolusRecord::default()
    };
    for slot in 0..8 {
        let outcome = therapy::RequestOutcome::Granted { job: u32::MAX };
        boluses.numbers.decided(slot, u32::MAX, outcome);
    }
    for _ in 0..3 {
        boluses
            .denied
            .denied(PoweredTime::from_micros(u64::MAX / 8));
    }
    let empty_window = postcard::experimental::serialized_size(&boluses.window).unwrap();
    // The largest window is counted in `patient_bolus.rs`; the clock of periodic boluses and an interrupted prime have 10 and 11 bytes.
    let boluses =
        length(StateKind::Boluses, Value::Boluses(&boluses)) - empty_window + 378 + 10 + 11;

    let mut in_force = InForceRecord {
        program_number: u32::MAX,
        ..InForceRecord::default()
    };
    for (part, drug) in (0..).zip(Drug::ALL) {
        let at = PoweredTime::from_micros(31_557_600_000_000_000 + part);
        in_force.totals.committed(drug, Mass::from_nanograms(1), at);
        in_force
            .totals
            .committed(drug, Mass::from_nanograms(40_000_000), at);
    }

    let mut refills = RefillRecord::default();
    for _ in 0..40 {
        let out = therapy::Discrepancy::new(Volume::MAX, Volume::ZERO, Volume::MAX);
        refills.trend.record(&out);
    }
    let closed = postcard::experimental::serialized_size(&refills.refill).unwrap();
    let refills = length(StateKind::Refills, Value::Refills(&refills)) - closed + 43;

    let nanograms = therapy::Nanograms::new(u32::MAX);
    let masses = therapy::Tightened {
        soft: nanograms,
        hard: nanograms,
    };
    let concentration = Concentration::from_nanograms_per_millilitre(u32::MAX);
    let library = therapy::HospitalLibrary {
        version: u32::MAX,
        drugs: [therapy::HospitalDrug {
            not_used: true,
            day: masses,
            concentration: therapy::Tightened {
                soft: concentration,
                hard: concentration,
            },
            bolus: masses,
            titration: nanograms.map(therapy::Titration::PerDay),
        }; 8],
    };
    let mut history = LibraryHistory::new();
    while !history.is_full() {
        let _ = history.push_back(therapy::LoadedVersion {
            version: u32::MAX,
            checksum: u32::MAX,
            loaded_at: PoweredTime::MAX,
        });
    }
    let latched = LatchedRecord {
        interlock_tripped: true,
        clock_was_set: true,
        checkpoints_failing: true,
    };
    let secret = || protocol::Secret::new([u8::MAX; 32]);
    let identity = IdentityRecord {
        private: secret(),
        one_time: Some(secret()),
        recovery: secret(),
        passkey: 999_999,
    };
    let key = || Key {
        role: Role::Service,
        public_key: secret().public_key(),
        preshared: secret(),
    };
    let keys = KeysRecord {
        slots: core::array::from_fn(|_| Some(key())),
        enrolled: true,
    };
    let program = longest_program();
    let path = longest_path();
    // Alarms 13, faults 5, service life 61, supervision 40, trial 12, diary 18, MRI 11, twice a zone of 3: their own tests have them.
    let care = 13 + 5 + 61 + 40 + 12 + 18 + 11 + 6;
    vec![
        (
            StateKind::Program,
            length(StateKind::Program, Value::Program(&program)),
        ),
        (
            StateKind::Commissioning,
            length(
                StateKind::Commissioning,
                Value::Commissioning(&longest_commissioning()),
            ),
        ),
        (
            StateKind::Latched,
            length(StateKind::Latched, Value::Latched(&latched)),
        ),
        (
            StateKind::Path,
            length(StateKind::Path, Value::Path(Some(&path))),
        ),
        (StateKind::Boluses, boluses),
        (
            StateKind::InForce,
            length(StateKind::InForce, Value::InForce(&in_force)),
        ),
        (StateKind::Refills, refills),
        (StateKind::Care, care),
        (
            StateKind::Library,
            length(StateKind::Library, Value::Library(Some(&library))),
        ),
        (
            StateKind::LibraryHistory,
            length(StateKind::LibraryHistory, Value::LibraryHistory(&history)),
        ),
        (
            StateKind::Identity,
            length(StateKind::Identity, Value::Identity(Some(&identity))),
        ),
        (StateKind::Keys, length(StateKind::Keys, Value::Keys(&keys))),
        (
            StateKind::CommandNumbers,
            length(
                StateKind::CommandNumbers,
                Value::CommandNumbers(&NumbersRecord([u32::MAX; 8])),
            ),
        ),
    ]
}

#[test]
fn every_kind_of_state_fits_into_its_buffer() {
    let states = longest_states();
    assert_eq!(states.len(), StateKind::ALL.len());
    for (state, length) in &states {
        assert!(*length <= STATE_BYTES, "{state:?}: {length}");
    }
}

/// What a pump keeps in the state banks when everything is in use at once fits: put, replaced, and there after a restart. That is all of
/// [`longest_states`], but for what cannot come together: totals of more drugs in one day than a mixture has, a library longer than any that
/// may be loaded, requests of more keys than there are. Nothing else fits beside it.
#[test]
fn the_state_of_the_finished_pump_fits() {
    let mut in_force = InForceRecord {
        program_number: u32::MAX,
        ..InForceRecord::default()
    };
    let later = 1_577_880_000_000_000;
    for (drug, at) in Drug::ALL
        .iter()
        .copied()
        .zip([0, 0, 0, 0, later, later, later, later])
    {
        for part in 0..2 {
            let at = units::PoweredTime::from_micros(at + part);
            let most = Mass::from_nanograms(40_000_000 - part);
            in_force.totals.committed(drug, most, at);
        }
    }
    let mut lengths = longest_states();
    for (state, length) in &mut lengths {
        *length = match state {
            StateKind::InForce => self::length(*state, Value::InForce(&in_force)),
            // `library.rs`: eight drugs of 36 bytes, and six.
            StateKind::Library => 294,
            // Seven keys of 12 bytes, and what no window has that was filled (`patient_bolus.rs`: 319 bytes, and not 378).
            StateKind::Boluses => *length - 84 - 59,
            // Times of 8 bytes, for a century.
            StateKind::LibraryHistory => *length - 16,
            _ => *length,
        };
    }
    // As long as a pump lives: 50 years and a million resets, until the end of the calendar, as uncertain as a clock that counts as known can be.
    let stamp = journal::Stamp {
        boot: 1_000_000,
        monotonic: PumpTime::from_micros(later),
        wall: Clock::Known {
            wall: crate::END,
            uncertainty: crate::TRUSTED_UNCERTAINTY,
        },
    };
    let (mut journal, _) = journal::Journal::open(journal::VirtualFlash::nrf52840()).unwrap();
    journal.make_key(&[7; 32]).unwrap();
    for round in 0..3_u8 {
        for (state, length) in &lengths {
            let body = vec![round; *length];
            let envelope = journal::Envelope {
                kind: state.kind(),
                version: 1,
                stamp,
                body: &body,
            };
            journal
                .put(&envelope)
                .unwrap_or_else(|error| panic!("{state:?} in round {round}: {error}"));
        }
    }
    let (mut journal, _) = journal::Journal::open(journal.into_flash()).unwrap();
    let mut body = [0; journal::BODY_BYTES];
    for (state, length) in &lengths {
        let found = journal.get(state.kind(), &mut body).unwrap().unwrap();
        assert_eq!(found.body, vec![2; *length]);
    }
}
