//! A pump for tests: the real session on the wire, and behind it just enough to stage, commit and lie.
#![allow(clippy::arithmetic_side_effects)]
use std::collections::VecDeque;

use protocol::info::Lifecycle;
use protocol::keys::Slot;
use protocol::status::changed;
use protocol::{
    Answer, BolusDenial, Command, Commit, Component, DeliveryState, Digest, Dose, ENROLMENT_SLOT,
    Fill, FlexWeek, Info, KeyEntry, KeyText, Limits, List, Mode, Mtu, Outcome, Pack, PatientBolus,
    PeriodicBolus, Program, RECOVERY_SLOT, Received, Refused, Request, Response, Role, SLOTS,
    Secret, ServiceState, ServiceStatus, Session, SessionId, Situation, Staged, Status,
    TherapyStatus,
};
use therapy::Prescription;
use units::{CarrierTime, Clock, Drug, Duration, FaultPolicy, Per, PumpKind};

use crate::change::Change;
use crate::form::{Form, FormMode, in_force};
use crate::programmer::{Event, Programmer};
use crate::reckon::{PumpLimits, day_total_nanograms};

/// What every test pump is.
pub const KIND: PumpKind = PumpKind::ProgrammableImplant;

/// The pump's end. What a test changes in `tamper` and `deaf` makes it misbehave.
pub struct TestPump {
    session: Session,
    /// Connections so far.
    connections: u32,
    /// The private key of the phone that `connect` connects.
    phone: Secret,
    pump: Secret,
    armed: bool,
    pub status: Status,
    pub therapy: TherapyStatus,
    staged: Option<Staged>,
    /// Changes a read-back before it is sent.
    pub tamper: fn(&mut Staged),
    /// Refuses the next commit in this way.
    pub refuse_commit: Option<Refused>,
    /// Stops when a stop is committed, but fails to store it.
    pub fail_stop: bool,
    /// Denies the next bolus in this way.
    pub deny: Option<BolusDenial>,
    /// Does what it is told but its answers are lost.
    pub deaf: bool,
    /// Commits that have been carried out.
    pub commits: u32,
    /// The last commit that came.
    pub committed: Option<Commit>,
    /// The last command that was not a question.
    pub ordered: Option<Command>,
}

pub fn millis(milliseconds: u64) -> CarrierTime {
    CarrierTime::from_micros(0).saturating_add(Duration::from_millis(milliseconds))
}

/// So much a day of 2 mg/mL baclofen.
pub fn baclofen(fill_nl: Option<u32>, nanograms: u64) -> Program {
    let primary = Component {
        drug: Drug::Baclofen,
        concentration_ng_per_ml: 2_000_000,
    };
    let dose = Dose {
        nanograms,
        per: Per::Day,
    };
    Program {
        fill: fill_nl.map(|volume_nl| Fill {
            volume_nl,
            top_up: false,
        }),
        ..Program::new(primary, Mode::SimpleContinuous { dose })
    }
}

/// The same as typed.
pub fn baclofen_form(fill: &str, dose: &str) -> Form {
    Form {
        drug: "baclofen".to_owned(),
        concentration: "2 mg/mL".to_owned(),
        fill: fill.to_owned(),
        mode: FormMode::SimpleContinuous,
        dose: dose.to_owned(),
        ..Form::default()
    }
}

/// With four boluses of 10 mcg for the patient.
pub fn with_patient_bolus(nanograms: u64) -> Program {
    Program {
        patient_bolus: Some(PatientBolus {
            dose_ng: 10_000,
            duration_s: 300,
            lockout_min: 240,
            per_day: 4,
            day_cap_ng: None,
            periods: List::new(),
        }),
        ..baclofen(None, nanograms)
    }
}

/// 15 mcg/h, and 20 mcg/h from 08:00 on weekdays.
pub fn flex() -> Program {
    let mut week = FlexWeek::new(Per::Hour);
    week.push_pattern([(0, 15_000), (480, 20_000)]).unwrap();
    week.push_pattern([(0, 15_000)]).unwrap();
    week.days = [0, 0, 0, 0, 0, 1, 1];
    Program::new(baclofen(None, 1).primary, Mode::Flex { week })
}

/// 50 mcg every 4 h over minimum rate.
pub fn periodic() -> Program {
    let periodic = PeriodicBolus {
        bolus_ng: 50_000,
        duration_s: 600,
        interval_min: 240,
        basal: None,
        first_after_min: None,
    };
    Program::new(baclofen(None, 1).primary, Mode::PeriodicBolus(periodic))
}

/// Nothing to tell.
pub fn quiet_therapy() -> TherapyStatus {
    TherapyStatus {
        kind: KIND,
        response: Response::Normal,
        fault_policy: FaultPolicy::HoldLast,
        last_number: 0,
        storing: false,
        job: None,
        bolus: None,
        bridge: None,
        mass_24h: List::new(),
        alarms: List::new(),
        sounding: None,
        refill: None,
        refill_open_s: None,
        last_discrepancy_tenths_percent: None,
        service: ServiceStatus {
            state: ServiceState::Good,
            eri_day: None,
            replace_by_day: None,
            eos_day: None,
            days_left: None,
            shortened: false,
        },
        trial: None,
        mri_left_s: None,
        zone_min: 0,
        library_version: 0,
    }
}

/// A pump as it leaves the factory.
pub fn fresh_status() -> Status {
    Status {
        boot: 1,
        pump_time_ms: 90_061_000,
        clock: Clock::Lost,
        program_number: 0,
        program: None,
        delivery: DeliveryState::NotProgrammed,
        flow_nl_per_day: 0,
        counted_steps: 0,
        at_most_steps: 0,
        deficit_steps: 0,
        step_volume_fl: 2_500_000,
        reservoir_fl: None,
        filled_fl: None,
        delivered_since_fill_fl: 0,
        staged: false,
        committing: false,
        status_changed: changed::OPERATION,
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

/// A pump that delivers `program` as its third.
pub fn running_status(program: Program) -> Status {
    Status {
        program_number: 3,
        delivery: DeliveryState::Running,
        flow_nl_per_day: flow(&prescription(&program)),
        counted_steps: 1_000,
        at_most_steps: 1_000,
        reservoir_fl: Some(19_997_500_000_000),
        filled_fl: Some(20_000_000_000_000),
        delivered_since_fill_fl: 2_500_000_000,
        program: Some(program),
        ..fresh_status()
    }
}

fn prescription(program: &Program) -> Prescription {
    let limits = PumpLimits::of(&fresh_status().limits, KIND).unwrap();
    limits.prescription(program).unwrap()
}

fn flow(prescription: &Prescription) -> u32 {
    u32::try_from(prescription.flow().per_day_nanolitres_rounded_down()).unwrap()
}

/// What an honest pump answers to staging `program`.
pub fn honest(program: &Program, before: &Status) -> Staged {
    let prescription = prescription(program);
    let old = in_force(before, &PumpLimits::of(&before.limits, KIND).unwrap());
    let new_day_total_ng = day_total_nanograms(&prescription);
    Staged {
        flow_nl_per_day: flow(&prescription),
        old_day_total_ng: old.map(|(_, total)| total),
        new_day_total_ng,
        change_tenths_percent: Change::of(old, (program.primary.drug, new_day_total_ng)).tenths(),
        largest_24h: List::new(),
        binding: None,
        findings: List::new(),
        needs_reason: false,
        bridge: None,
        boluses_per_day: 0,
        lockout_binds: false,
        digest: Digest::of(program, before.program_number + 1),
        expires_in_ms: 120_000,
        program: program.clone(),
    }
}

pub fn secret(byte: u8) -> Secret {
    Secret::new([byte; 32])
}

fn info_of(armed: bool) -> Info {
    Info::new(0, [7; 8], Lifecycle::InService, armed)
}

pub fn info(armed: bool) -> Vec<u8> {
    let mut buffer = [0; Info::LIMIT];
    info_of(armed).encode(&mut buffer).unwrap().to_vec()
}

/// What a test pump carries from the production line.
fn pack() -> Pack {
    Pack {
        private: secret(0x11),
        one_time: secret(0x12),
        recovery: secret(0x13),
        passkey: 123_456,
    }
}

const fn situation(armed: bool) -> Situation {
    Situation {
        lifecycle: Lifecycle::InService,
        armed,
        alarm: false,
    }
}

impl TestPump {
    /// One that knows the phone's key as a clinician's, in place 0.
    pub fn new(status: Status) -> Self {
        Self::with(pack(), status)
    }

    /// Another pump, with another identity.
    pub fn another(status: Status) -> Self {
        let pack = Pack {
            private: secret(0x21),
            one_time: secret(0x22),
            recovery: secret(0x23),
            passkey: 654_321,
        };
        Self::with(pack, status)
    }

    fn with(pack: Pack, status: Status) -> Self {
        let mut session = Session::new(situation(false));
        let keyring = session.keyring();
        keyring.set_pump(pack.private.clone());
        for (slot, preshared) in [
            (ENROLMENT_SLOT, &pack.one_time),
            (RECOVERY_SLOT, &pack.recovery),
        ] {
            let door = Slot::new(Role::Enrolling, None, preshared.clone(), 0);
            keyring.set(slot, Some(door));
        }
        let mut pump = Self {
            session,
            connections: 0,
            phone: secret(0x31),
            pump: pack.private.clone(),
            armed: false,
            status,
            therapy: quiet_therapy(),
            staged: None,
            tamper: |_| {},
            refuse_commit: None,
            fail_stop: false,
            deny: None,
            deaf: false,
            commits: 0,
            committed: None,
            ordered: None,
        };
        pump.set_role(Role::Clinician);
        pump
    }

    pub fn pack_text() -> String {
        pack().text().to_string()
    }

    pub fn card_text() -> String {
        pack().text().implant_card().to_string()
    }

    /// The key of the phone that `connect` connects.
    pub fn key(&self) -> String {
        let key = KeyText {
            pump: self.pump.public_key(),
            private: self.phone.clone(),
            preshared: secret(0x32),
            slot: 0,
        };
        key.to_string()
    }

    /// What that phone may do.
    pub fn set_role(&mut self, role: Role) {
        let slot = Slot::new(role, Some(self.phone.public_key()), secret(0x32), 0);
        self.session.keyring().set(0, Some(slot));
    }

    /// That phone gets another key, for the same role.
    pub fn change_key(&mut self) {
        self.phone = secret(0x33);
        self.set_role(Role::Clinician);
    }

    /// The pump has lost the numbers of what it was told.
    pub fn forget_numbers(&mut self) {
        self.set_role(Role::Clinician);
    }

    pub fn revoke(&mut self, slot: u8) {
        self.session.keyring().set(slot, None);
        self.session.keys_changed(millis(0));
    }

    /// A magnet has been held over the pump, or that is long ago.
    pub fn arm(&mut self, armed: bool) {
        self.armed = armed;
        self.session.set_situation(situation(armed));
    }

    /// Connects a programmer, at the smallest MTU there is, and opens no session.
    pub fn connect_only(&mut self, programmer: &mut Programmer) {
        self.connections += 1;
        let (id, ephemeral) = (SessionId(self.connections), secret(0x41));
        self.session
            .opened(id, Mtu::LOWEST, &info_of(self.armed), ephemeral);
        self.staged = None;
        programmer.connected(&info(self.armed), 23).unwrap();
    }

    /// Connects the phone that the pump knows. What the pump said to it.
    pub fn connect(&mut self, programmer: &mut Programmer) -> Event {
        self.connect_only(programmer);
        programmer
            .open(millis(0), &self.key(), secret(0x51))
            .unwrap();
        self.exchange(programmer, millis(0))
    }

    /// Moves frames both ways until there is something to show, or nothing moves any more.
    pub fn exchange(&mut self, programmer: &mut Programmer, now: CarrierTime) -> Event {
        let mut quiet = 0;
        while quiet < 3 {
            let mut frames = VecDeque::new();
            while let Some(frame) = programmer.next_frame() {
                frames.push_back(frame);
            }
            quiet = if frames.is_empty() { quiet + 1 } else { 0 };
            for frame in frames {
                if let Received::Request(request) = self.session.receive(now, &frame) {
                    self.carry_out(request);
                }
            }
            if !self.deaf {
                let event = programmer.receive(now, self.session.response());
                if event != Event::Nothing {
                    // The last acknowledgement.
                    while let Some(frame) = programmer.next_frame() {
                        let _ = self.session.receive(now, &frame);
                    }
                    return event;
                }
            }
        }
        Event::Nothing
    }

    fn carry_out(&mut self, request: Request) {
        let outcome = match request.command {
            Command::Interrogate => Outcome::Status(self.status.clone()),
            Command::ReadTherapy => Outcome::Therapy(self.therapy.clone()),
            Command::ReadPath => Outcome::Path(protocol::PathStatus {
                path_nl: None,
                slugs: List::new(),
            }),
            Command::Stage(program) => {
                let mut staged = honest(&program, &self.status);
                (self.tamper)(&mut staged);
                self.staged = Some(staged.clone());
                Outcome::Staged(staged)
            }
            Command::Commit(commit) => match self.refuse_commit.take() {
                Some(refused) => Outcome::Refused(refused),
                None => self.commit(commit),
            },
            Command::Cancel => {
                self.staged = None;
                Outcome::Cancelled
            }
            Command::ResetStatusChanged { mask } => {
                self.status.status_changed &= !mask;
                Outcome::StatusChangedReset {
                    flags: self.status.status_changed,
                }
            }
            Command::ReadBack => Outcome::Refused(Refused::NothingStaged),
            Command::ClinicianBolus(bolus) => self.give(bolus.number),
            Command::PatientBolus { number } => self.give(number),
            Command::ReadKeys => Outcome::Keys(List::of(self.keys())),
            Command::GrantKey(grant) => {
                let slot = Slot::new(grant.role, Some(grant.public_key), grant.preshared, 0);
                self.session.keyring().set(grant.slot, Some(slot));
                Outcome::Done
            }
            Command::RevokeKey { slot } => {
                self.revoke(slot);
                Outcome::Done
            }
            Command::Prime(prime) => self.give(prime.number),
            Command::SetClock(_) => Outcome::ClockSet {
                clock: self.status.clock,
            },
            Command::ReadLog { .. } | Command::SignLog { .. } | Command::LoadLibrary(_) => {
                Outcome::Refused(Refused::NotDone)
            }
            command => {
                self.ordered = Some(command);
                Outcome::Done
            }
        };
        let answer = Answer {
            id: request.id,
            outcome,
        };
        let id = SessionId(self.connections);
        self.session.answer(id, &answer).unwrap();
    }

    fn keys(&mut self) -> Vec<KeyEntry> {
        let keyring = self.session.keyring();
        let entry = |slot| {
            let key = keyring.get(slot)?;
            Some(KeyEntry {
                slot,
                role: key.role,
                fingerprint: key.public_key?.fingerprint(),
                last_number: key.last_number,
            })
        };
        (0..SLOTS).filter_map(entry).collect()
    }

    fn give(&mut self, number: u32) -> Outcome {
        if let Some(denial) = self.deny.take() {
            return Outcome::BolusRefused { denial };
        }
        if number == self.therapy.last_number {
            return Outcome::AlreadyDone { number };
        }
        self.therapy.last_number = number;
        Outcome::BolusStarted { number }
    }

    fn commit(&mut self, commit: Commit) -> Outcome {
        self.committed = Some(commit);
        let number = self.status.program_number + 1;
        let Some(staged) = self.staged.take() else {
            return Outcome::Refused(Refused::NothingStaged);
        };
        if staged.needs_reason && commit.reason.is_none() {
            return Outcome::Refused(Refused::ReasonNeeded);
        }
        if commit.shown != staged.shown() {
            return Outcome::Refused(Refused::ShownDiffers {
                shown: commit.shown,
                pump: staged.shown(),
            });
        }
        let program = staged.program;
        if self.fail_stop && program.mode == Mode::Stopped {
            self.status.delivery = DeliveryState::Stopped;
            self.status.flow_nl_per_day = 0;
            return Outcome::StoppedNotRecorded;
        }
        if Digest::of(&program, number) != commit.digest {
            return Outcome::Refused(Refused::DigestMismatch);
        }
        self.commits += 1;
        let reservoir = program
            .fill
            .map(|fill| u64::from(fill.volume_nl) * 1_000_000);
        self.status = Status {
            program_number: number,
            reservoir_fl: reservoir.or(self.status.reservoir_fl),
            filled_fl: reservoir.or(self.status.filled_fl),
            ..running_status(program)
        };
        Outcome::Committed {
            program_number: number,
        }
    }
}
