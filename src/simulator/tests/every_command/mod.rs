//! One of every command, with the pump that it is given to. A command that is not in [`cases`] does not compile.

use crate::enrolling::{Phone, enrol, grant, hold_magnet, key, pack_credentials};
use journal::VirtualFlash;
use protocol::{
    AlarmIntervals, Bytes, Catheter, ClinicianBolus, Command, CommandKind, Commissioning,
    Component, Credentials, DiaryEntry, Dose, Fill, HospitalLibrary, KeyText, LogName, Mode, Mtu,
    Outcome, PatientBolus, Prime, Program, RECOVERY_SLOT, Role, Secret, SetClock, SetZone, Staged,
};
use pump::CommissioningRecord;
use simulator::world::{Build, Carrier, Chance, World};
use units::{AlarmKind, Drug, Duration, OverrideReason, Per, PrimeKind, PumpKind, WallTime};

/// Whose keys the pump holds.
pub const CLINICIAN: u8 = 0;
const PATIENT: u8 = 1;
const WALLET_CARD: u8 = 2;
/// Nobody's yet.
const FREE: u8 = 3;
/// The clinician who looks at what became of it, and gives no command.
pub const WITNESS: u8 = 7;

const IMPLANT: Build = Build {
    commissioning: CommissioningRecord::NOMINAL,
    seed: 1,
    chance: Chance::Seeded,
};

const TRIAL: Build = Build {
    commissioning: CommissioningRecord {
        kind: PumpKind::ExternalTrial,
        step_volume_fl: 25_000_000,
        capacity_nl: 100_000_000,
        fixed_rate_nl_per_day: None,
        trial_days: Some(7),
    },
    ..IMPLANT
};

/// 2026-01-05, 10:00 UTC, and the same time two days later.
const MONDAY: WallTime = WallTime::from_millis(1_767_607_200_000);
const WEDNESDAY: WallTime = WallTime::from_millis(1_767_780_000_000);

const REASON: Option<OverrideReason> = Some(OverrideReason::Titration);

/// A command, and who gives it to which pump.
pub struct Case {
    pub kind: CommandKind,
    /// What it is called in a message.
    pub name: &'static str,
    /// The pump; nobody is connected.
    pub world: World,
    /// Whose key gives the command.
    pub credentials: Credentials,
    /// Its session needs presence.
    pub presence: bool,
    /// What is asked first in the same session, and then the command.
    pub ready: fn(&mut Phone, &mut World) -> Command,
}

/// The key at each place; that of place 0 is [`key`].
pub fn key_at(build: &Build, slot: u8) -> KeyText {
    let key = key(build);
    KeyText {
        private: Secret::new([7 + slot; 32]),
        preshared: Secret::new([8 + slot; 32]),
        slot,
        ..key
    }
}

/// The pumps that commands are given to, each made once.
pub struct Pumps {
    /// Keys, and nothing else.
    new: World,
    /// Delivers, with a filled reservoir, a catheter, and boluses for the patient, some time ago.
    running: World,
    /// An external pump for a trial, delivering.
    trial: World,
    /// Keys, and nobody has said what it is.
    uncommissioned: World,
    /// From the production line.
    sealed: World,
}

impl Pumps {
    pub fn new() -> Self {
        let sealed = powered(
            World::new(IMPLANT, VirtualFlash::nrf52840(), Carrier::Simulated).expect("a world"),
        );
        let uncommissioned =
            World::not_commissioned(IMPLANT, VirtualFlash::nrf52840(), Carrier::Simulated);
        let trial = World::new(TRIAL, VirtualFlash::nrf52840(), Carrier::Simulated);
        let new = with_keys(sealed.clone());
        Self {
            running: running(new.clone()),
            new,
            trial: trial_running(with_keys(powered(trial.expect("a world")))),
            uncommissioned: with_keys(powered(uncommissioned.expect("a world"))),
            sealed,
        }
    }

    /// One or more of each kind of command.
    pub fn cases(&self, kind: CommandKind) -> Vec<Case> {
        let of = |name, world: &World, ready| Case {
            kind,
            name,
            credentials: key_at(world.build(), CLINICIAN).credentials(),
            world: world.clone(),
            presence: false,
            ready,
        };
        let one = |world: &World, ready| vec![of(kind.name(), world, ready)];
        match kind {
            CommandKind::Interrogate => one(&self.running, |_, _| Command::Interrogate),
            CommandKind::Stage => one(&self.running, |_, _| Command::Stage(titrated())),
            CommandKind::ReadBack => one(&self.running, |phone, world| {
                stage(phone, world, titrated());
                Command::ReadBack
            }),
            CommandKind::Commit => vec![
                of("commit", &self.running, |phone, world| {
                    Command::Commit(stage(phone, world, titrated()).commit(REASON))
                }),
                of("commit of a stop", &self.running, |phone, world| {
                    let stop = Program::new(MORPHINE, Mode::Stopped);
                    Command::Commit(stage(phone, world, stop).commit(None))
                }),
            ],
            CommandKind::Cancel => one(&self.running, |phone, world| {
                stage(phone, world, titrated());
                Command::Cancel
            }),
            CommandKind::ResetStatusChanged => one(&self.running, |_, _| {
                Command::ResetStatusChanged { mask: u16::MAX }
            }),
            CommandKind::ReadLog => one(&self.running, |_, _| Command::ReadLog {
                log: LogName::Events,
                from: 0,
            }),
            CommandKind::SignLog => one(&self.running, |_, _| Command::SignLog {
                log: LogName::Critical,
            }),
            CommandKind::SetClock => one(&self.running, |_, _| set_clock(WEDNESDAY)),
            CommandKind::SetZone => one(&self.running, |_, _| {
                Command::SetZone(SetZone {
                    offset_min: 120,
                    reason: REASON,
                })
            }),
            CommandKind::ClinicianBolus => one(&self.running, clinician_bolus),
            CommandKind::PatientBolus => vec![Case {
                credentials: key_at(&IMPLANT, PATIENT).credentials(),
                ..of("patient bolus", &self.running, |phone, world| {
                    Command::PatientBolus {
                        number: next_number(phone, world),
                    }
                })
            }],
            CommandKind::CancelBolus => {
                let world = after(&self.running, |phone, world| {
                    let bolus = clinician_bolus(phone, world);
                    let number = next_number(phone, world);
                    assert_eq!(phone.ask(world, &bolus), Outcome::BolusStarted { number });
                });
                one(&world, |_, _| Command::CancelBolus)
            }
            CommandKind::Prime => {
                let world = after(&self.new, |phone, world| done(phone, world, &catheter()));
                one(&world, |phone, world| {
                    Command::Prime(Prime {
                        number: next_number(phone, world),
                        kind: PrimeKind::PumpOnly,
                        catheter_aspirated: false,
                        disconnected: false,
                        reason: None,
                    })
                })
            }
            CommandKind::SetCatheter => one(&self.new, |_, _| catheter()),
            CommandKind::OpenRefill => one(&self.running, |_, _| Command::OpenRefill),
            CommandKind::RefillAspirated => {
                one(&self.being_refilled(), |_, _| Command::RefillAspirated {
                    volume_nl: 19_000_000,
                })
            }
            CommandKind::CloseRefill => one(&self.being_refilled(), |_, _| Command::CloseRefill),
            CommandKind::AcknowledgeAlarm => {
                one(&self.in_emergency(), |_, _| Command::AcknowledgeAlarm {
                    alarm: AlarmKind::EmergencyMinimumRate,
                })
            }
            CommandKind::SilenceAlarm => {
                let world = after(&self.trial, emergency);
                one(&world, |_, _| Command::SilenceAlarm {
                    alarm: AlarmKind::EmergencyMinimumRate,
                })
            }
            CommandKind::SetAlarmIntervals => one(&self.running, |_, _| {
                Command::SetAlarmIntervals(AlarmIntervals {
                    critical_min: 30,
                    other_min: 120,
                })
            }),
            CommandKind::TestTone => {
                one(&self.running, |_, _| Command::TestTone { critical: false })
            }
            CommandKind::MriMode => one(&self.running, |_, _| Command::MriMode { minutes: 90 }),
            CommandKind::EmergencyMinimumRate => vec![
                of("emergency minimum rate", &self.running, |_, _| {
                    Command::EmergencyMinimumRate
                }),
                Case {
                    credentials: key_at(&IMPLANT, WALLET_CARD).credentials(),
                    presence: true,
                    ..of(
                        "emergency minimum rate with the wallet card",
                        &self.running,
                        |_, _| Command::EmergencyMinimumRate,
                    )
                },
            ],
            CommandKind::Commission => one(&self.uncommissioned, |_, _| {
                let CommissioningRecord {
                    kind,
                    step_volume_fl,
                    capacity_nl,
                    fixed_rate_nl_per_day,
                    trial_days,
                } = TRIAL.commissioning;
                Command::Commission(Commissioning {
                    kind,
                    step_volume_fl,
                    capacity_nl,
                    fixed_rate_nl_per_day,
                    trial_days,
                })
            }),
            CommandKind::LoadLibrary => one(&self.running, |_, _| library()),
            CommandKind::ReadTherapy => one(&self.running, |_, _| Command::ReadTherapy),
            CommandKind::ReadPath => one(&self.running, |_, _| Command::ReadPath),
            CommandKind::ReadLibrary => one(&self.running, |_, _| Command::ReadLibrary {
                drug: Drug::Morphine,
            }),
            CommandKind::ReadRefills => one(&self.running, |_, _| Command::ReadRefills { from: 0 }),
            CommandKind::DiaryEntry => one(&self.trial, |_, _| {
                Command::DiaryEntry(DiaryEntry {
                    baseline: true,
                    score: 6,
                })
            }),
            CommandKind::ExtendTrial => one(&self.trial, |_, _| Command::ExtendTrial { days: 3 }),
            CommandKind::GrantKey => vec![
                of("grant key", &self.running, |_, _| {
                    grant(FREE, Role::Patient, &key_at(&IMPLANT, FREE))
                }),
                Case {
                    credentials: pack_credentials(&IMPLANT),
                    presence: true,
                    ..of("enrol with the sterile pack", &self.sealed, |_, _| {
                        grant(WITNESS, Role::Clinician, &key_at(&IMPLANT, WITNESS))
                    })
                },
                Case {
                    credentials: implant_card(),
                    presence: true,
                    ..of("enrol with the implant card", &self.running, |_, _| {
                        grant(FREE, Role::Clinician, &key_at(&IMPLANT, FREE))
                    })
                },
            ],
            CommandKind::RevokeKey => {
                one(&self.running, |_, _| Command::RevokeKey { slot: PATIENT })
            }
            CommandKind::ReadKeys => one(&self.running, |_, _| Command::ReadKeys),
        }
    }

    fn being_refilled(&self) -> World {
        after(&self.running, |phone, world| {
            done(phone, world, &Command::OpenRefill);
        })
    }

    fn in_emergency(&self) -> World {
        after(&self.running, emergency)
    }
}

fn powered(mut world: World) -> World {
    world.power_on().expect("a pump");
    world.settle();
    world
}

/// A clinician has enrolled, and given everybody a key.
fn with_keys(mut world: World) -> World {
    let build = *world.build();
    enrol(&mut world, &build);
    after(&world, |phone, world| {
        for (slot, role) in [
            (PATIENT, Role::Patient),
            (WALLET_CARD, Role::Emergency),
            (WITNESS, Role::Clinician),
        ] {
            let build = *world.build();
            done(phone, world, &grant(slot, role, &key_at(&build, slot)));
        }
    })
}

/// The pump after what the clinician has done with it in a session.
fn after(world: &World, session: impl FnOnce(&mut Phone, &mut World)) -> World {
    let mut world = world.clone();
    let credentials = key_at(world.build(), CLINICIAN).credentials();
    let mut phone = Phone::open(&mut world, &credentials, Mtu::HIGHEST).expect("a session");
    session(&mut phone, &mut world);
    world.disconnect();
    pass(&mut world, Duration::from_seconds(5));
    world.take_pushed();
    world
}

fn pass(world: &mut World, time: Duration) {
    world.advance_to(world.now().saturating_add(time));
}

fn done(phone: &mut Phone, world: &mut World, command: &Command) {
    assert_eq!(phone.ask(world, command), Outcome::Done, "{command:?}");
}

const MORPHINE: Component = Component {
    drug: Drug::Morphine,
    concentration_ng_per_ml: 10_000_000,
};

fn morphine(nanograms: u64) -> Program {
    let dose = Dose {
        nanograms,
        per: Per::Day,
    };
    Program {
        patient_bolus: Some(PatientBolus {
            dose_ng: 50_000,
            duration_s: 600,
            lockout_min: 60,
            per_day: 4,
            day_cap_ng: None,
            periods: protocol::List::new(),
        }),
        ..Program::new(MORPHINE, Mode::SimpleContinuous { dose })
    }
}

/// A change of the dose.
pub fn titrated() -> Program {
    morphine(2_600_000)
}

fn stage(phone: &mut Phone, world: &mut World, program: Program) -> Staged {
    match phone.ask(world, &Command::Stage(program)) {
        Outcome::Staged(staged) => staged,
        other => panic!("{other:?}"),
    }
}

fn program(phone: &mut Phone, world: &mut World, wanted: Program) {
    let commit = stage(phone, world, wanted).commit(REASON);
    let committed = phone.ask(world, &Command::Commit(commit));
    assert!(
        matches!(committed, Outcome::Committed { .. }),
        "{committed:?}"
    );
}

fn running(world: World) -> World {
    after(&world, |phone, world| {
        done(phone, world, &catheter());
        let set = phone.ask(world, &set_clock(MONDAY));
        assert!(matches!(set, Outcome::ClockSet { .. }), "{set:?}");
        program(
            phone,
            world,
            Program {
                fill: Some(Fill {
                    volume_nl: 20_000_000,
                    top_up: false,
                }),
                ..morphine(2_500_000)
            },
        );
        // The lockout after programming.
        pass(world, Duration::from_minutes(70));
    })
}

fn trial_running(world: World) -> World {
    after(&world, |phone, world| {
        let primary = Component {
            concentration_ng_per_ml: 1_000_000,
            ..MORPHINE
        };
        let dose = Dose {
            nanograms: 2_400_000,
            per: Per::Day,
        };
        program(
            phone,
            world,
            Program::new(primary, Mode::SimpleContinuous { dose }),
        );
    })
}

/// Minimum rate, and its alarm is heard.
fn emergency(phone: &mut Phone, world: &mut World) {
    done(phone, world, &Command::EmergencyMinimumRate);
    pass(world, Duration::from_minutes(1));
}

fn catheter() -> Command {
    Command::SetCatheter(Catheter {
        model: 0,
        tubing_nl: 140_000,
        length_mm: 810,
        nl_per_cm: 2_200,
        port_nl: 0,
    })
}

fn set_clock(wall: WallTime) -> Command {
    Command::SetClock(SetClock {
        wall,
        uncertainty: Duration::from_seconds(2),
        reason: REASON,
    })
}

fn next_number(phone: &mut Phone, world: &mut World) -> u32 {
    match phone.ask(world, &Command::ReadTherapy) {
        Outcome::Therapy(therapy) => therapy.last_number + 1,
        other => panic!("{other:?}"),
    }
}

/// Lasts longer than any test.
fn clinician_bolus(phone: &mut Phone, world: &mut World) -> Command {
    Command::ClinicianBolus(ClinicianBolus {
        number: next_number(phone, world),
        dose_ng: 100_000,
        duration_s: 3_600,
        reason: REASON,
    })
}

/// A hospital's library that says nothing of any drug, in one part.
fn library() -> Command {
    let version = 4;
    let mut bytes = [0; 65];
    bytes[0] = version;
    let library: therapy::HospitalLibrary =
        protocol::codec::decode(&bytes).expect("as it is written");
    Command::LoadLibrary(HospitalLibrary {
        version: u32::from(version),
        offset: 0,
        total: 65,
        checksum: library.checksum(),
        part: Bytes::new(&bytes).expect("short"),
    })
}

fn implant_card() -> Credentials {
    let pack = IMPLANT.pack();
    Credentials::new(
        RECOVERY_SLOT,
        Secret::new([17; 32]),
        pack.recovery.clone(),
        pack.private.public_key(),
    )
}

/// Opens the case's session, with presence where it needs it.
pub fn open(case: &Case, world: &mut World, mtu: Mtu) -> Phone {
    if case.presence {
        hold_magnet(world);
    }
    Phone::open(world, &case.credentials, mtu).expect("a session")
}
