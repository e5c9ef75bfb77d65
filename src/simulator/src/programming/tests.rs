//! The commands against a pump in this process: what is said, what is given, and what becomes of answers that are lost.

mod worn;

use super::arguments::{AlarmAct, KeyAct};
use super::desk::Desk;
use super::ended::{Done, Status as Ended, Stopped};
use super::{admit, give, look};
use crate::carrier::Carrier;
use crate::key_file;
use crate::test_pump::{TestPump, connect, secret};
use anyhow::bail;
use protocol::{
    AlarmState, BolusDenial, CARD_BYTES, Command, Component, DeliveryState, Dose, EmergencyCard,
    Fingerprint, KeyText, Limits, List, Mode, NotNow, Outcome, Pack, PatientBolus, Program,
    Refused, Response, Role, ServiceState, ServiceStatus, Slot, Status, TherapyStatus,
};
use std::cell::RefCell;
use std::fs;
use std::rc::Rc;
use units::{AlarmKind, Clock, Drug, FaultPolicy, Per, PumpKind};

/// A desk at a pump in this process.
struct Bench {
    pump: Rc<RefCell<TestPump<'static>>>,
    /// Connections that fail.
    unreachable: u32,
    /// Connections that work before those.
    reachable: u32,
    answer: Option<bool>,
    shown: String,
}

impl Desk for Bench {
    fn connect(&mut self) -> anyhow::Result<Box<dyn Carrier>> {
        if self.reachable == 0 && self.unreachable > 0 {
            self.unreachable -= 1;
            bail!("nobody is there");
        }
        self.reachable = self.reachable.saturating_sub(1);
        Ok(Box::new(connect(&self.pump)))
    }

    fn show(&mut self, text: &str) {
        self.shown.push_str(text);
    }

    fn confirm(&mut self, _: &str) -> Option<bool> {
        self.answer
    }
}

/// What the pump in the tests knows and has been told.
struct Insides {
    status: Status,
    therapy: TherapyStatus,
    given: Vec<Command>,
    denial: Option<BolusDenial>,
    /// Orders that are done before one is refused.
    orders_left: u32,
    /// And with what.
    refusal: Refused,
}

fn program() -> Program {
    let primary = Component {
        drug: Drug::Baclofen,
        concentration_ng_per_ml: 2_000_000,
    };
    let dose = Dose {
        nanograms: 250_000,
        per: Per::Day,
    };
    Program {
        patient_bolus: Some(PatientBolus {
            dose_ng: 10_000,
            duration_s: 300,
            lockout_min: 240,
            per_day: 4,
            day_cap_ng: None,
            periods: List::new(),
        }),
        ..Program::new(primary, Mode::SimpleContinuous { dose })
    }
}

fn insides() -> Rc<RefCell<Insides>> {
    let status = Status {
        boot: 1,
        pump_time_ms: 90_061_000,
        clock: Clock::Lost,
        program_number: 3,
        program: Some(program()),
        delivery: DeliveryState::Running,
        flow_nl_per_day: 125_000,
        counted_steps: 1_000,
        at_most_steps: 1_000,
        deficit_steps: 0,
        step_volume_fl: 2_500_000,
        reservoir_fl: Some(19_997_500_000_000),
        filled_fl: Some(20_000_000_000_000),
        delivered_since_fill_fl: 2_500_000_000,
        staged: false,
        committing: false,
        status_changed: 0,
        limits: Limits {
            lowest_nl_per_day: 48_000,
            highest_nl_per_day: 24_000_000,
            capacity_nl: 20_000_000,
            step_volume_fl: 2_500_000,
        },
        faults: 0,
        powered_s: 90_000,
        records_lost: 0,
    };
    let therapy = TherapyStatus {
        kind: PumpKind::ProgrammableImplant,
        response: Response::Normal,
        fault_policy: FaultPolicy::HoldLast,
        last_number: 7,
        storing: false,
        job: None,
        bolus: None,
        bridge: None,
        mass_24h: List::new(),
        alarms: List::of([AlarmState {
            alarm: AlarmKind::ClockLost,
            active: true,
            acknowledged: false,
        }]),
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
    };
    Rc::new(RefCell::new(Insides {
        status,
        therapy,
        given: Vec::new(),
        denial: None,
        orders_left: u32::MAX,
        refusal: Refused::Busy,
    }))
}

impl Insides {
    fn answer(&mut self, command: &Command) -> Outcome {
        match command {
            Command::Interrogate => Outcome::Status(self.status.clone()),
            Command::ReadTherapy => Outcome::Therapy(self.therapy.clone()),
            Command::ReadKeys => Outcome::Keys(List::new()),
            Command::ClinicianBolus(_) | Command::PatientBolus { .. } => {
                self.given.push(command.clone());
                if let Some(denial) = self.denial {
                    return Outcome::BolusRefused { denial };
                }
                self.therapy.last_number += 1;
                Outcome::BolusStarted {
                    number: self.therapy.last_number,
                }
            }
            _ if self.orders_left == 0 => Outcome::Refused(self.refusal),
            other => {
                self.orders_left -= 1;
                self.given.push(other.clone());
                Outcome::Done
            }
        }
    }
}

fn bench(role: Role) -> (Bench, KeyText, Rc<RefCell<Insides>>) {
    let insides = insides();
    let behind = Rc::clone(&insides);
    let pump = TestPump::new(role, move |_, command| behind.borrow_mut().answer(command));
    let key = pump.borrow().key();
    let bench = Bench {
        pump,
        unreachable: 0,
        reachable: 0,
        answer: Some(true),
        shown: String::new(),
    };
    (bench, key, insides)
}

fn stopped(done: Done) -> Stopped {
    done.expect_err("stopped")
}

fn clinician() -> give::Bolus {
    give::Bolus {
        dose: Some(("20 mcg".to_owned(), "5 min".to_owned())),
        ..give::Bolus::default()
    }
}

#[test]
fn status_says_who_speaks_and_what_the_pump_does() {
    let (mut bench, key, _) = bench(Role::Clinician);
    let report = look::status(&mut bench, &key).expect("told");
    for words in [
        "clinician (key in slot 0)",
        "baclofen 2,000 mcg/mL",
        "250 mcg/day",
        "clock lost",
    ] {
        assert!(report.text.contains(words), "{}", report.text);
    }
    assert_eq!(report.json["outcome"], "done");
    assert_eq!(report.json["role"], "clinician");
    assert_eq!(report.json["status"]["program_number"], 3);
    assert_eq!(report.json["therapy"]["last_number"], 7);
    let report = look::connect(&mut bench, &key).expect("told");
    assert!(report.text.contains("clock: not set"), "{}", report.text);
    // What a role is not told is not asked.
    let (mut bench, key, _) = self::bench(Role::Service);
    assert!(look::status(&mut bench, &key).is_ok());
    let (mut bench, key, _) = self::bench(Role::Emergency);
    let stopped = self::stopped(look::status(&mut bench, &key));
    assert_eq!(stopped.status, Ended::NotDone);
    assert!(stopped.words.contains("magnet"), "{}", stopped.words);
    bench.pump.borrow_mut().situation.armed = true;
    let report = look::status(&mut bench, &key).expect("told");
    assert_eq!(report.json["therapy"], serde_json::Value::Null);
}

#[test]
fn another_key_and_no_pump_are_different_ends() {
    let (mut bench, key, _) = bench(Role::Clinician);
    let other = KeyText {
        preshared: secret(9),
        ..key.clone()
    };
    let stopped = self::stopped(look::status(&mut bench, &other));
    assert_eq!(stopped.status, Ended::NotDone);
    assert!(stopped.words.contains("revoked"), "{}", stopped.words);
    bench.unreachable = 1;
    let stopped = self::stopped(look::status(&mut bench, &key));
    assert_eq!(
        (stopped.status, stopped.words.as_str()),
        (Ended::NoConnection, "nobody is there")
    );
    assert_eq!(stopped.json()["outcome"], "no connection");
}

#[test]
fn a_bolus_is_described_confirmed_and_given_by_the_role_of_the_key() {
    let (mut bench, key, insides) = bench(Role::Clinician);
    let report = give::bolus(&mut bench, &key, &clinician()).expect("given");
    assert_eq!(bench.shown, "Give 20 mcg of baclofen over 5 min now.\n");
    assert_eq!(report.json["bolus_number"], 8);
    assert!(matches!(
        insides.borrow().given[0],
        Command::ClinicianBolus(_)
    ));
    let without = give::Bolus::default();
    assert_eq!(
        stopped(give::bolus(&mut bench, &key, &without)).status,
        Ended::Usage
    );
    // Nobody agrees, or nobody is there to ask.
    for answer in [Some(false), None] {
        bench.answer = answer;
        let stopped = self::stopped(give::bolus(&mut bench, &key, &clinician()));
        assert_eq!(stopped.status, Ended::NotDone);
        assert!(
            stopped.words.starts_with("not confirmed"),
            "{}",
            stopped.words
        );
    }
    assert_eq!(insides.borrow().given.len(), 1);

    let (mut bench, key, insides) = self::bench(Role::Patient);
    let report = give::bolus(&mut bench, &key, &without).expect("given");
    assert!(report.text.contains("No. 8"), "{}", report.text);
    assert_eq!(
        insides.borrow().given,
        [Command::PatientBolus { number: 8 }]
    );
    assert_eq!(
        stopped(give::bolus(&mut bench, &key, &clinician())).status,
        Ended::Usage
    );
    insides.borrow_mut().denial = Some(BolusDenial::Lockout { left_s: 4_800 });
    let stopped = self::stopped(give::bolus(&mut bench, &key, &without));
    assert_eq!(
        stopped.words,
        "too soon after the last bolus: possible in 1 h 20 min"
    );
    assert_eq!(stopped.status, Ended::NotDone);
}

#[test]
fn a_lost_answer_is_found_out_about_and_nothing_is_given_twice() {
    let (mut bench, key, insides) = bench(Role::Clinician);
    bench.pump.borrow_mut().lost_answers = 1;
    let report = give::bolus(&mut bench, &key, &clinician()).expect("given");
    assert_eq!(report.json["bolus_number"], 8);
    assert_eq!(insides.borrow().given.len(), 1);
    // Not reached again: nobody knows, and how to find out is said.
    bench.pump.borrow_mut().lost_answers = 1;
    (bench.reachable, bench.unreachable) = (1, 99);
    let stopped = self::stopped(give::bolus(&mut bench, &key, &clinician()));
    assert_eq!(stopped.status, Ended::Unknown);
    assert!(stopped.next.expect("what to do").contains("thecal status"));
    assert_eq!(insides.borrow().given.len(), 2);
    // Taken, but not given: the pump's own count decides.
    (bench.reachable, bench.unreachable) = (0, 0);
    insides.borrow_mut().denial = Some(BolusDenial::Alarm);
    bench.pump.borrow_mut().lost_answers = 1;
    let stopped = self::stopped(give::bolus(&mut bench, &key, &clinician()));
    assert_eq!(stopped.status, Ended::NotDone);
    assert!(
        stopped.words.contains("certainly not done"),
        "{}",
        stopped.words
    );
}

#[test]
fn alarms_are_listed_and_taken_note_of_even_when_the_answer_is_lost() {
    let (mut bench, key, insides) = bench(Role::Clinician);
    let report = give::alarms(&mut bench, &key, AlarmAct::List).expect("told");
    assert!(
        report.text.starts_with("clock lost (active"),
        "{}",
        report.text
    );
    bench.pump.borrow_mut().lost_answers = 1;
    let alarm = AlarmKind::ClockLost;
    give::alarms(&mut bench, &key, AlarmAct::Acknowledge { alarm }).expect("noted");
    assert_eq!(insides.borrow().given.len(), 2, "twice is as good as once");
    give::alarms(&mut bench, &key, AlarmAct::Silence { alarm }).expect("quiet");
    // What stands against the repetition says nothing about what was done before it.
    bench.pump.borrow_mut().lost_answers = 1;
    insides.borrow_mut().orders_left = 1;
    let act = AlarmAct::Acknowledge { alarm };
    let stopped = self::stopped(give::alarms(&mut bench, &key, act));
    assert_eq!(stopped.status, Ended::Unknown);
    let stopped = self::stopped(give::alarms(&mut bench, &key, act));
    assert_eq!(stopped.status, Ended::NotDone);
    // Unless it is that there is nothing left to do.
    bench.pump.borrow_mut().lost_answers = 1;
    insides.borrow_mut().orders_left = 1;
    insides.borrow_mut().refusal = Refused::NotNow {
        why: NotNow::NoAlarm,
    };
    give::alarms(&mut bench, &key, act).expect("noted the first time");
    let stopped = self::stopped(give::alarms(&mut bench, &key, act));
    assert_eq!(stopped.status, Ended::NotDone, "there is no alarm");
    // A patient's key takes no note of alarms, in the pump's words.
    let (mut bench, key, _) = self::bench(Role::Patient);
    let stopped = self::stopped(give::alarms(&mut bench, &key, AlarmAct::Silence { alarm }));
    assert_eq!(stopped.words, "the role patient may not do that");
}

#[test]
fn the_card_is_read_without_a_key_while_it_is_shown() {
    let (mut bench, _, _) = bench(Role::Clinician);
    let stopped = self::stopped(look::card(&mut bench));
    assert_eq!(stopped.status, Ended::NotDone);
    assert!(stopped.next.expect("what to do").contains("magnet"));
    let card = EmergencyCard {
        version: protocol::VERSION,
        pump: Fingerprint([0xAB; 8]),
        delivery: DeliveryState::Running,
        drugs: List::of([program().primary]),
        flow_nl_per_day: 125_000,
        dose_ng_per_day: 250_000,
        reservoir_nl: Some(18_500_000),
        last_bolus: None,
        alarms: List::new(),
        clock: Clock::Lost,
    };
    let mut buffer = [0; CARD_BYTES];
    bench.pump.borrow_mut().card = card.encode(&mut buffer).map(<[u8]>::to_vec);
    let report = look::card(&mut bench).expect("shown");
    assert!(
        report.text.contains("baclofen 2,000 mcg/mL"),
        "{}",
        report.text
    );
    assert_eq!(report.json["card"]["pump"], "abab-abab-abab-abab");
    assert_eq!(report.json["card"]["dose_ng_per_day"], 250_000);
    bench.pump.borrow_mut().card = Some(vec![9, 9]);
    assert!(
        self::stopped(look::card(&mut bench))
            .words
            .contains("version 9")
    );
}

/// A pump with a sterile pack, which lets in what is granted.
fn new_pump() -> (Bench, Pack, Rc<RefCell<Insides>>) {
    let (bench, _, insides) = bench(Role::Clinician);
    let pack = Pack {
        private: secret(1),
        one_time: secret(5),
        recovery: secret(6),
        passkey: 123_456,
    };
    {
        let pump = &mut *bench.pump.borrow_mut();
        pump.situation.armed = true;
        pump.set_key(0, None);
        let slot = |secret| Some(Slot::new(Role::Enrolling, None, secret, 0));
        pump.set_key(protocol::ENROLMENT_SLOT, slot(secret(5)));
        pump.set_key(protocol::RECOVERY_SLOT, slot(secret(6)));
    }
    (bench, pack, insides)
}

#[test]
fn enrolling_leaves_a_key_that_has_been_tried() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, card, lost) in [("pack", false, 0), ("card", true, 0), ("lost", false, 1)] {
        let (mut bench, pack, _) = new_pump();
        bench.pump.borrow_mut().grants = true;
        bench.pump.borrow_mut().lost_answers = lost;
        let text = if card {
            pack.text().implant_card().to_string()
        } else {
            pack.text().to_string()
        };
        let wanted = admit::Enrolment {
            key: Some(folder.path().join(format!("{name}.key"))),
            implant_card: Some(folder.path().join(format!("{name}.txt"))),
            slot: None,
        };
        let report = admit::enroll(&mut bench, &text, &wanted).expect(name);
        assert_eq!(report.json["role"], "clinician", "{name}");
        assert!(!report.text.contains("THECAL3"));
        let path = wanted.key.as_deref().expect("a path");
        let key = key_file::load(path).expect("a key");
        assert!(look::status(&mut bench, &key).is_ok(), "{name}");
        // The file is in the way of another.
        let stopped = self::stopped(admit::enroll(&mut bench, &text, &wanted));
        assert!(
            stopped.words.contains("exists already"),
            "{}",
            stopped.words
        );
    }
}

#[test]
fn an_enrolment_that_fails_leaves_no_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let wanted = || admit::Enrolment {
        key: Some(folder.path().join("a.key")),
        ..admit::Enrolment::default()
    };
    let (mut bench, pack, _) = new_pump();
    let text = pack.text().to_string();
    let stopped = self::stopped(admit::enroll(&mut bench, &text[..40], &wanted()));
    assert_eq!(stopped.status, Ended::Usage);
    assert!(!stopped.words.contains(&text[8..40]), "{}", stopped.words);
    bench.pump.borrow_mut().situation.armed = false;
    let stopped = self::stopped(admit::enroll(&mut bench, &text, &wanted()));
    assert!(stopped.words.contains("magnet"), "{}", stopped.words);
    assert!(!folder.path().join("a.key").exists());
    // Lost for good: the key stays, and what tells is said.
    bench.pump.borrow_mut().situation.armed = true;
    bench.pump.borrow_mut().lost_answers = 1;
    (bench.reachable, bench.unreachable) = (1, 99);
    let stopped = self::stopped(admit::enroll(&mut bench, &text, &wanted()));
    assert_eq!(stopped.status, Ended::Unknown);
    assert!(
        stopped
            .next
            .expect("what to do")
            .contains("thecal connect --key")
    );
    assert!(folder.path().join("a.key").exists());
    // Done, says this one, but it does not let the new key in: nobody vouches for that.
    fs::remove_file(folder.path().join("a.key")).expect("there");
    (bench.reachable, bench.unreachable) = (0, 0);
    let stopped = self::stopped(admit::enroll(&mut bench, &text, &wanted()));
    assert_eq!(stopped.status, Ended::Unknown);
    assert!(folder.path().join("a.key").exists());
}

#[test]
fn a_key_is_granted_into_a_file_and_nowhere_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut bench, key, insides) = bench(Role::Clinician);
    let act = |role, name: &str| KeyAct::Grant {
        role,
        output: folder.path().join(name),
        slot: Some(3),
        yes: false,
    };
    let report =
        admit::manage(&mut bench, &key, &act(Role::Emergency, "card.key")).expect("granted");
    let granted = key_file::load(&folder.path().join("card.key")).expect("a key");
    assert_eq!((granted.slot, granted.pump), (3, key.pump));
    assert!(!report.text.contains("THECAL") && !report.json.to_string().contains("THECAL"));
    assert!(
        matches!(&insides.borrow().given[0], Command::GrantKey(grant) if grant.role == Role::Emergency && grant.public_key == granted.private.public_key())
    );
    // A patient grants none, and no file is left.
    let (mut bench, key, _) = self::bench(Role::Patient);
    let stopped = self::stopped(admit::manage(
        &mut bench,
        &key,
        &act(Role::Patient, "none.key"),
    ));
    assert_eq!(stopped.words, "the role patient may not do that");
    assert!(!folder.path().join("none.key").exists());
}
