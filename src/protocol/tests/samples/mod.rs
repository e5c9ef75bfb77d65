//! One of every message, and the largest ones; for the unit tests, those of the link and the seeds of the fuzz targets.
#![allow(
    dead_code,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "each user takes what it needs"
)]

use std::vec::Vec;

use protocol::{
    AlarmIntervals, AlarmState, Amount, BolusAvailability, BolusDenial, BridgePlan, BridgeStatus,
    Bytes, Catheter, ClinicianBolus, Command, Commissioning, Commit, Component, Credentials,
    DeliveryState, Denied, DiaryEntry, Digest, Dose, DrugTotal, ENROLMENT_SLOT, Field, Fill,
    Finding, Fingerprint, FlexStep, FlexWeek, HospitalLibrary, Info, JobKind, JobStatus, KeyEntry,
    KeyGrant, Keyring, LibraryEntry, LibraryFault, Lifecycle, LimitKind, Limits, List, LogBytes,
    LogName, LogPart, Malformed, Mode, NotAllowed, NotNow, Outcome, PathStatus, PatientBolus,
    PeriodCap, Prime, Program, PublicKey, Refill, RefillDates, RefillLimit, RefillStep, Refills,
    Refused, Response, Role, ScheduleFault, Secret, ServiceState, ServiceStatus, SetClock, SetZone,
    Shown, Slot, Slug, Staged, Status, TherapyStatus, TrialStatus,
};
use units::{
    AlarmKind, Clock, Drug, Duration, FaultPolicy, OverrideReason, Per, PrimeKind, PumpKind,
    WallTime,
};

/// A secret that tests can write down.
pub fn secret(byte: u8) -> Secret {
    Secret::new([byte; 32])
}

/// What a phone reads on a connection whose random bytes are these.
pub fn info(nonce: u8) -> Info {
    Info::new(0, [nonce; 8], Lifecycle::InService, false)
}

/// The slot of each role in the [`keyring`].
fn slot_of(role: Role) -> u8 {
    match role {
        Role::Enrolling => ENROLMENT_SLOT,
        Role::Clinician => 0,
        Role::Patient => 1,
        Role::Emergency => 2,
        Role::Service => 3,
    }
}

/// What a phone in this role holds; its pump holds the [`keyring`].
pub fn credentials(role: Role) -> Credentials {
    let slot = slot_of(role);
    Credentials::new(
        slot,
        secret(slot.wrapping_add(10)),
        secret(slot.wrapping_add(50)),
        secret(1).public_key(),
    )
}

/// A key for every role.
pub fn keyring() -> Keyring {
    let mut keyring = Keyring::new();
    keyring.set_pump(secret(1));
    for role in Role::ALL {
        let credentials = credentials(role);
        let public_key = (role != Role::Enrolling).then_some(*credentials.public());
        let slot = Slot::new(role, public_key, credentials.preshared().clone(), 0);
        keyring.set(credentials.slot(), Some(slot));
    }
    keyring
}

pub const BACLOFEN: Component = Component {
    drug: Drug::Baclofen,
    concentration_ng_per_ml: 2_000_000,
};

pub fn continuous(nanograms: u64, per: Per) -> Mode {
    Mode::SimpleContinuous {
        dose: Dose { nanograms, per },
    }
}

/// Baclofen 2 mg/mL, 250 mcg/day, reservoir filled with 20 mL.
pub fn program() -> Program {
    Program {
        fill: Some(Fill {
            volume_nl: 20_000_000,
            top_up: false,
        }),
        ..Program::new(BACLOFEN, continuous(250_000, Per::Day))
    }
}

/// A week of one pattern with 24 steps of an hour.
pub fn one_pattern(per: Per, dose_ng: impl Fn(u16) -> u32) -> FlexWeek {
    let mut week = FlexWeek::new(per);
    week.push_pattern((0..24).map(|hour| (60 * hour, dose_ng(hour))))
        .unwrap();
    week
}

/// Every number of the program as large as it can be.
pub fn largest_program() -> Program {
    let component = Component {
        drug: Drug::Baclofen,
        concentration_ng_per_ml: u32::MAX,
    };
    let dose = Dose {
        nanograms: u64::MAX,
        per: Per::Day,
    };
    let cap = PeriodCap {
        from_min: u16::MAX,
        to_min: u16::MAX,
        boluses: u8::MAX,
    };
    Program {
        primary: component,
        secondaries: List::of([component; 3]),
        mode: Mode::Flex {
            week: FlexWeek {
                per: Per::Day,
                days: [u8::MAX; 7],
                patterns: List::of([u8::MAX; 7]),
                steps: List::of(
                    [FlexStep::new(FlexStep::LONGEST_MIN, FlexStep::LARGEST_NG).unwrap(); 96],
                ),
            },
        },
        patient_bolus: Some(PatientBolus {
            dose_ng: u64::MAX,
            duration_s: u32::MAX,
            lockout_min: u16::MAX,
            per_day: u8::MAX,
            day_cap_ng: Some(u64::MAX),
            periods: List::of([cap; 4]),
        }),
        fault_policy: Some(FaultPolicy::Stop),
        bridge: Some(dose),
        fill: Some(Fill {
            volume_nl: u32::MAX,
            top_up: true,
        }),
        low_mark_nl: Some(u32::MAX),
    }
}

/// `program` read back with the digest for program number `number`, and nothing else to tell.
pub fn staged(program: Program, number: u32) -> Staged {
    Staged {
        digest: Digest::of(&program, number),
        program,
        flow_nl_per_day: 125_000,
        old_day_total_ng: Some(200_000),
        new_day_total_ng: 250_000,
        change_tenths_percent: Some(250),
        largest_24h: List::of([DrugTotal {
            drug: Drug::Baclofen,
            total_ng: 250_000,
        }]),
        binding: None,
        findings: List::new(),
        needs_reason: false,
        bridge: None,
        boluses_per_day: 0,
        lockout_binds: false,
        expires_in_ms: 120_000,
    }
}

/// Every number as large as it can be, and as many findings as there can be.
pub fn largest_staged() -> Staged {
    let total = DrugTotal {
        drug: Drug::Baclofen,
        total_ng: u64::MAX,
    };
    let finding = Finding {
        limit_kind: LimitKind::PrimesPerDay,
        drug: Drug::Baclofen,
        value: Amount::LARGEST,
        limit: Amount::LARGEST,
    };
    Staged {
        program: largest_program(),
        flow_nl_per_day: u32::MAX,
        old_day_total_ng: Some(u64::MAX),
        new_day_total_ng: u64::MAX,
        change_tenths_percent: Some(i32::MIN),
        largest_24h: List::of([total; 4]),
        binding: Some(Drug::Baclofen),
        findings: List::of([finding; 12]),
        needs_reason: true,
        bridge: Some(BridgePlan {
            flow_nl_per_day: u32::MAX,
            volume_nl: u32::MAX,
            duration_s: u32::MAX,
        }),
        boluses_per_day: u16::MAX,
        lockout_binds: true,
        digest: Digest([u8::MAX; 32]),
        expires_in_ms: u32::MAX,
    }
}

pub fn status(program_number: u32, program: Option<Program>) -> Status {
    Status {
        boot: 3,
        pump_time_ms: 86_400_000,
        clock: Clock::Known {
            wall: WallTime::from_millis(1_795_000_000_000),
            uncertainty: Duration::from_seconds(2),
        },
        program_number,
        program,
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

pub fn therapy(last_number: u32) -> TherapyStatus {
    TherapyStatus {
        kind: PumpKind::ProgrammableImplant,
        response: Response::Normal,
        fault_policy: FaultPolicy::HoldLast,
        last_number,
        storing: false,
        job: Some(JobStatus {
            number: last_number,
            kind: JobKind::PatientBolus,
            delivered_nl: 12_000,
            volume_nl: 25_000,
            left_s: 180,
        }),
        bolus: Some(BolusAvailability {
            taken_in_24h: 1,
            per_day: 4,
            next_in_s: Some(7_200),
            denial: Some(BolusDenial::Lockout { left_s: 7_200 }),
        }),
        bridge: Some(BridgeStatus {
            left_nl: 100_000,
            left_s: 86_400,
            flow_nl_per_day: 100_000,
        }),
        mass_24h: List::of([DrugTotal {
            drug: Drug::Baclofen,
            total_ng: 250_000,
        }]),
        alarms: List::of([AlarmState {
            alarm: AlarmKind::LowReservoir,
            active: true,
            acknowledged: false,
        }]),
        sounding: Some(AlarmKind::LowReservoir),
        refill: Some(RefillDates {
            basal_only_day: Some(2_268),
            with_boluses_day: Some(2_247),
            worst_case_day: Some(2_240),
            limited_by: RefillLimit::Volume,
            alarm_in_s: Some(1_321_056),
            empty_in_s: Some(1_814_400),
        }),
        refill_open_s: None,
        last_discrepancy_tenths_percent: Some(139),
        service: ServiceStatus {
            state: ServiceState::Good,
            eri_day: Some(4_700),
            replace_by_day: Some(4_776),
            eos_day: Some(4_790),
            days_left: Some(2_555),
            shortened: false,
        },
        trial: Some(TrialStatus {
            ends_in_s: 518_400,
            verdict: Some(true),
            baseline_scores: 5,
            trial_scores: 7,
        }),
        mri_left_s: None,
        zone_min: 60,
        library_version: 3,
    }
}

/// One of every command, in wire order.
pub fn commands() -> Vec<Command> {
    let reason = Some(OverrideReason::Titration);
    Vec::from([
        Command::Interrogate,
        Command::Stage(program()),
        Command::ReadBack,
        Command::Commit(staged(program(), 3).commit(reason)),
        Command::Cancel,
        Command::ResetStatusChanged { mask: 0b10_0101 },
        Command::ReadLog {
            log: LogName::Events,
            from: 70_000,
        },
        Command::SignLog {
            log: LogName::Critical,
        },
        Command::SetClock(SetClock {
            wall: WallTime::from_millis(1_767_607_200_000),
            uncertainty: Duration::from_seconds(2),
            reason: None,
        }),
        Command::SetZone(SetZone {
            offset_min: -60,
            reason: None,
        }),
        Command::ClinicianBolus(ClinicianBolus {
            number: 8,
            dose_ng: 50_000,
            duration_s: 120,
            reason,
        }),
        Command::PatientBolus { number: 9 },
        Command::CancelBolus,
        Command::Prime(Prime {
            number: 10,
            kind: PrimeKind::PumpOnly,
            catheter_aspirated: true,
            disconnected: false,
            reason: None,
        }),
        Command::SetCatheter(Catheter {
            model: 7,
            tubing_nl: 140_000,
            length_mm: 810,
            nl_per_cm: 2_200,
            port_nl: 0,
        }),
        Command::OpenRefill,
        Command::RefillAspirated {
            volume_nl: 2_000_000,
        },
        Command::CloseRefill,
        Command::AcknowledgeAlarm {
            alarm: AlarmKind::MotorStall,
        },
        Command::SilenceAlarm {
            alarm: AlarmKind::LowReservoir,
        },
        Command::SetAlarmIntervals(AlarmIntervals {
            critical_min: 10,
            other_min: 60,
        }),
        Command::TestTone { critical: true },
        Command::MriMode { minutes: 90 },
        Command::EmergencyMinimumRate,
        Command::Commission(Commissioning {
            kind: PumpKind::ExternalTrial,
            step_volume_fl: 2_500_000,
            capacity_nl: 50_000_000,
            fixed_rate_nl_per_day: None,
            trial_days: Some(7),
        }),
        Command::LoadLibrary(HospitalLibrary {
            version: 4,
            offset: 160,
            total: 200,
            checksum: 0xdead_beef,
            part: Bytes::new(&[7; 40]).unwrap(),
        }),
        Command::ReadTherapy,
        Command::ReadPath,
        Command::ReadLibrary {
            drug: Drug::Ziconotide,
        },
        Command::ReadRefills { from: 8 },
        Command::DiaryEntry(DiaryEntry {
            baseline: true,
            score: 6,
        }),
        Command::ExtendTrial { days: 3 },
        Command::GrantKey(KeyGrant {
            slot: 1,
            role: Role::Patient,
            public_key: PublicKey([6; 32]),
            preshared: secret(7),
        }),
        Command::RevokeKey { slot: 1 },
        Command::ReadKeys,
    ])
}

/// Everything the pump denies.
pub fn denied() -> Vec<Denied> {
    Vec::from([
        Denied::UnknownVersion {
            version: 0,
            known: 1,
        },
        Denied::Malformed,
        Denied::NotAdmitted,
        Denied::NotArmed,
        Denied::ConnectionUsed,
        Denied::NoSession,
        Denied::NotSealed,
        Denied::Repeated { last: 3 },
    ])
}

pub fn shown() -> Shown {
    staged(program(), 3).shown()
}

/// One of every refusal, in wire order, and every text of those that have several.
pub fn refusals() -> Vec<Refused> {
    let mut refusals = Vec::from([
        Refused::NotAllowed {
            because: NotAllowed::Role {
                role: Role::Patient,
            },
        },
        Refused::NothingStaged,
        Refused::DigestMismatch,
        Refused::StageExpired,
        Refused::NotDone,
        Refused::Busy,
        Refused::OutOfRange {
            field: Field::FlowNanolitresPerDay,
            value: 30_000,
            lowest: 48_000,
            highest: 24_000_000,
        },
        Refused::BadMessage(Malformed::Undecodable),
        Refused::NumberUsed { last: 3 },
        Refused::OverLimit {
            limit_kind: LimitKind::DayNanograms,
            drug: Drug::Morphine,
            value: 31_000_000,
            limit: 30_000_000,
        },
        Refused::ReasonNeeded,
        Refused::ShownDiffers {
            shown: shown(),
            pump: Shown {
                old_day_total_ng: None,
                new_day_total_ng: 1,
                change_tenths_percent: None,
            },
        },
        Refused::WrongOrder {
            expected: RefillStep::Open,
        },
        Refused::KindForbids {
            kind: PumpKind::ConstantRate,
        },
        Refused::TooSoon { left_s: 4_000 },
        Refused::NotNow {
            why: NotNow::NotProgrammed,
        },
        Refused::NoPath,
        Refused::BridgeNeeded {
            lowest_ng_per_day: 480_000,
            highest_ng_per_day: 240_000_000,
        },
        Refused::TooManyChanges,
        Refused::ScheduleInvalid {
            pattern: 2,
            step: 11,
            fault: ScheduleFault::NotADay,
        },
        Refused::LibraryInvalid {
            fault: LibraryFault::Checksum,
        },
    ]);
    refusals.extend(
        [
            NotAllowed::Lifecycle {
                lifecycle: Lifecycle::EndOfService,
            },
            NotAllowed::Presence,
            NotAllowed::Alarm,
            NotAllowed::Key,
        ]
        .map(|because| Refused::NotAllowed { because }),
    );
    refusals.extend(
        [
            Malformed::TrailingBytes,
            Malformed::NotCanonical,
            Malformed::UnknownCommand { number: 77 },
            Malformed::Identifier,
            Malformed::Numbered,
        ]
        .map(Refused::BadMessage),
    );
    refusals.extend(
        [RefillStep::Aspirated, RefillStep::Confirm]
            .map(|expected| Refused::WrongOrder { expected }),
    );
    let others = NotNow::ALL.into_iter().skip(1);
    refusals.extend(others.map(|why| Refused::NotNow { why }));
    let faults = ScheduleFault::ALL.into_iter();
    refusals.extend(
        faults
            .filter(|fault| *fault != ScheduleFault::NotADay)
            .map(|fault| Refused::ScheduleInvalid {
                pattern: 2,
                step: 11,
                fault,
            }),
    );
    refusals.extend(
        [
            LibraryFault::OutOfOrder { expected: 160 },
            LibraryFault::TooLong { most: 2_048 },
            LibraryFault::OldVersion { in_force: 6 },
            LibraryFault::Format,
            LibraryFault::Looser {
                drug: Drug::Fentanyl,
            },
        ]
        .map(|fault| Refused::LibraryInvalid { fault }),
    );
    refusals
}

/// Every reason for which a bolus is denied, in wire order.
pub fn denials() -> Vec<BolusDenial> {
    let left_s = 4_801;
    Vec::from([
        BolusDenial::Lockout { left_s },
        BolusDenial::DayCount { left_s },
        BolusDenial::DayMass { left_s },
        BolusDenial::PeriodCount,
        BolusDenial::Alarm,
        BolusDenial::Priming,
        BolusDenial::Bridging,
        BolusDenial::RefillOpen,
        BolusDenial::MriMode,
        BolusDenial::AfterProgramming { left_s },
        BolusDenial::Stopped,
        BolusDenial::Empty,
        BolusDenial::ClockLost,
        BolusDenial::Storage,
        BolusDenial::BusyJob,
        BolusDenial::NotProgrammed,
        BolusDenial::Kind,
        BolusDenial::SelfTest,
        BolusDenial::Frequency { left_s },
    ])
}

/// One of every outcome, in wire order.
pub fn outcomes() -> Vec<Outcome> {
    let slug = Slug {
        left_nl: 178_200,
        components: List::of([BACLOFEN]),
    };
    let refill = Refill {
        programmed_nl: 15_800_000,
        delivered_nl: 18_000_000,
        discrepancy_tenths_percent: Some(139),
    };
    Vec::from([
        Outcome::Status(status(2, Some(program()))),
        Outcome::Staged(staged(program(), 3)),
        Outcome::Committed { program_number: 3 },
        Outcome::Cancelled,
        Outcome::StatusChangedReset { flags: 1 },
        Outcome::Refused(Refused::Busy),
        Outcome::StoppedNotRecorded,
        Outcome::LogPart(LogPart {
            next: 70_001,
            newest: Some(70_000),
            records: LogBytes::new(&[2, 0, 7, 8]).unwrap(),
        }),
        Outcome::LogHead { head: None },
        Outcome::ClockSet { clock: Clock::Lost },
        Outcome::BolusStarted { number: 8 },
        Outcome::BolusRefused {
            denial: BolusDenial::Lockout { left_s: 7_200 },
        },
        Outcome::Done,
        Outcome::Therapy(therapy(8)),
        Outcome::Path(PathStatus {
            path_nl: Some(318_200),
            slugs: List::of([slug]),
        }),
        Outcome::Library(LibraryEntry {
            version: 0,
            drug: Drug::Morphine,
            concentration_soft_ng_per_ml: Some(20_000_000),
            concentration_hard_ng_per_ml: 40_000_000,
            start_soft_ng: Some(500_000),
            day_soft_ng: Some(15_000_000),
            day_hard_ng: 30_000_000,
            bolus_soft_ng: Some(500_000),
            bolus_hard_ng: 1_500_000,
            increase_soft_tenths_percent: Some(200),
            increase_hard_tenths_percent: Some(500),
            decrease_soft_tenths_percent: None,
            increase_interval_h: Some(168),
            stability_days: 90,
            fault_policy: FaultPolicy::Stop,
            unattended_resume_h: 48,
        }),
        Outcome::Refills(Refills {
            known: 1,
            entries: List::of([refill]),
        }),
        Outcome::AlreadyDone { number: 8 },
        Outcome::Keys(List::of([KeyEntry {
            slot: 0,
            role: Role::Clinician,
            fingerprint: Fingerprint([1, 2, 3, 4, 5, 6, 7, 8]),
            last_number: 12,
        }])),
    ])
}

/// What a programmer sends after [`staged`].
pub fn commit(digest: Digest) -> Command {
    Command::Commit(Commit {
        digest,
        shown: shown(),
        reason: None,
    })
}
