//! The virtual pump itself: delivery waits for nobody, and nothing that happens around it makes two runs of the same thing differ.

mod enrolling;

use enrolling::{Phone, enrol, grant, hold_magnet, key, pack_credentials};
use journal::{Tear, Timing, VirtualFlash};
use protocol::presence::{HOLD, WINDOW};
use protocol::session::IDLE_LIMIT;
use protocol::{
    ClientEvent, Command, Component, Credentials, Denied, Digest, Dose, EmergencyCard, Fate,
    HangUp, Info, KeyText, Mode, Mtu, NotAllowed, Outcome, Program, RECOVERY_SLOT, Reason, Refused,
    Role, Secret,
};
use pump::CommissioningRecord;
use simulator::world::{Build, Carrier, Chance, Over, PackPage, Peer, Pushed, World};
use therapy::Accumulator;
use units::{CarrierTime, Drug, Duration, FlowRate, Per, PumpTime, StepVolume};

const BUILD: Build = Build {
    commissioning: CommissioningRecord::NOMINAL,
    seed: 1,
    chance: Chance::Seeded,
};

fn world(flash: VirtualFlash) -> World {
    let mut world = World::new(BUILD, flash, Carrier::Simulated).expect("a world");
    world.power_on().expect("a pump");
    world
}

/// Morphine 10 mg/mL.
fn morphine(nanograms: u64) -> Program {
    let primary = Component {
        drug: Drug::Morphine,
        concentration_ng_per_ml: 10_000_000,
    };
    let dose = Dose {
        nanograms,
        per: Per::Day,
    };
    Program::new(primary, Mode::SimpleContinuous { dose })
}

fn connect(world: &mut World, mtu: u16) -> Phone {
    Phone::connect(world, &BUILD, mtu)
}

fn program(phone: &mut Phone, world: &mut World, program: &Program) {
    let number = phone.status(world).program_number + 1;
    let Outcome::Staged(staged) = phone.ask(world, &Command::Stage(program.clone())) else {
        panic!("not staged")
    };
    assert_eq!(staged.digest, Digest::of(program, number));
    let committed = phone.ask(world, &Command::Commit(staged.commit(None)));
    assert_eq!(
        committed,
        Outcome::Committed {
            program_number: number
        }
    );
}

fn minutes(minutes: u32) -> Duration {
    Duration::from_minutes(minutes)
}

/// What 0.25 mL/day prescribes from one time to another.
fn prescribed(from: Duration, to: Duration) -> i64 {
    let time = |at: Duration| PumpTime::from_micros(at.micros());
    let flow = "0.25 mL/day".parse::<FlowRate>().expect("a rate").flow();
    let due = Accumulator::new(flow, StepVolume::NOMINAL, time(from)).due_by(time(to));
    i64::try_from(due).expect("small")
}

fn turned(world: &World) -> i64 {
    i64::try_from(world.turned_steps()).expect("small")
}

#[test]
fn a_new_pump_does_not_move() {
    let mut world = world(VirtualFlash::nrf52840());
    world.advance_to(Duration::from_days(30));
    assert_eq!(world.turned_steps(), 0);
    assert_eq!(world.boots(), 1);
}

#[test]
fn every_mtu_programs_the_pump() {
    for mtu in [23, 24, 27, 50, 185, 247] {
        let mut world = world(VirtualFlash::nrf52840());
        let mut phone = connect(&mut world, mtu);
        program(&mut phone, &mut world, &morphine(2_500_000));
        assert_eq!(phone.status(&mut world).program_number, 1, "{mtu}");
    }
}

#[test]
fn a_flash_that_takes_its_time_delays_no_step() {
    // A page erase of 20 s halts the processor 200 times longer than a real one does; orders reach further than that. Words take 25 times
    // longer: a commit, after which several values are kept, must not outlast the first step.
    let mut flash = VirtualFlash::nrf52840();
    flash.set_timing(Timing {
        word_write: Duration::from_millis(1),
        page_erase: Duration::from_seconds(20),
    });
    let mut world = world(flash);
    let mut phone = connect(&mut world, 247);
    program(&mut phone, &mut world, &morphine(2_500_000));
    let from = world.now();
    for minute in 1..3_000 {
        let at = from.saturating_add(minutes(minute));
        world.advance_to(at);
        let behind = prescribed(from, at) - turned(&world);
        assert!(
            (0..=1).contains(&behind),
            "{behind} steps behind after {minute} min"
        );
    }
    assert!(
        world.flash_usage().page_erases > 10,
        "{:?}",
        world.flash_usage()
    );
    world.advance_to(world.now().saturating_add(minutes(1)));
    // The session of before has ended in its time.
    assert_eq!(connect(&mut world, 247).status(&mut world).deficit_steps, 0);
}

#[test]
fn a_busy_flash_delays_the_pump_by_as_long_as_it_is_busy() {
    let mut flash = VirtualFlash::nrf52840();
    flash.set_timing(Timing {
        word_write: Duration::from_seconds(1),
        page_erase: Duration::ZERO,
    });
    let world = world(flash);
    // Opening wrote the boot number: the processor is away for that long before it sees the first event.
    let words = u32::try_from(world.flash_usage().words_written).expect("few");
    assert!(words > 0);
    assert_eq!(world.next_event(), Some(Duration::from_seconds(words)));
}

#[test]
fn what_is_said_to_a_phone_that_has_gone_does_not_reach_the_next() {
    let mut flash = VirtualFlash::nrf52840();
    flash.set_timing(Timing {
        word_write: Duration::from_millis(1),
        page_erase: Duration::ZERO,
    });
    let mut world = world(flash);
    let mut phone = connect(&mut world, 247);
    let Outcome::Staged(staged) = phone.ask(&mut world, &Command::Stage(morphine(2_500_000)))
    else {
        panic!("not staged")
    };
    phone
        .client
        .request(world.carrier_time(), &Command::Commit(staged.commit(None)))
        .expect("a request");
    for frame in phone.client.frames() {
        world.write_command(&frame);
    }
    world.advance_to(world.now());
    // The processor waits for its flash, and has yet to answer, when another phone comes, which says nothing.
    assert!(world.connect(Mtu::HIGHEST));
    world.take_pushed();
    let until = world.now().saturating_add(Duration::from_seconds(2));
    while world.now() < until {
        world.advance_to(world.now().saturating_add(Duration::from_millis(1)));
        assert!(world.response().is_empty());
        for pushed in world.take_pushed() {
            assert!(!matches!(pushed, Pushed::Response(_)), "{pushed:?}");
        }
    }
    let status = connect(&mut world, 247).status(&mut world);
    assert_eq!(status.program_number, 1, "it was done all the same");
}

#[test]
fn delivery_does_not_notice_a_phone_that_talks_all_the_time() {
    let run = |talkative: bool| {
        let mut world = world(VirtualFlash::nrf52840());
        let mut phone = connect(&mut world, 247);
        program(&mut phone, &mut world, &morphine(2_500_000));
        let start = world.now();
        let mut steps = Vec::new();
        for minute in 1..240 {
            if talkative {
                for _ in 0..5 {
                    phone.status(&mut world);
                    phone.ask(&mut world, &Command::Stage(morphine(9_000_000)));
                    phone.ask(&mut world, &Command::Cancel);
                    world.write_command(&[0xFF; 300]);
                }
                phone = connect(&mut world, 23);
            }
            world.advance_to(start.saturating_add(minutes(minute)));
            steps.push(world.turned_steps());
        }
        steps
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn power_cuts_at_any_time_leave_a_pump_that_delivers_and_an_honest_interval() {
    let mut world = world(VirtualFlash::nrf52840());
    let mut phone = connect(&mut world, 247);
    program(&mut phone, &mut world, &morphine(2_500_000));
    let mut began = world.now();
    for cut in 1..120_u32 {
        let before = turned(&world);
        // From a tenth of a second to some hours, never in step with anything.
        let running = Duration::from_micros(u64::from(cut).pow(3) * 1_234_567 / 1000 + 100_000);
        world.advance_to(world.now().saturating_add(running));
        let made = turned(&world) - before;
        let due = prescribed(began, world.now());
        assert!(
            (due - 2..=due).contains(&made),
            "boot {cut}: {made} steps in {running}, {due} prescribed"
        );
        world.power_off();
        assert_eq!(world.next_event(), None);
        let still = world.turned_steps();
        world.advance_to(world.now().saturating_add(Duration::from_seconds(cut)));
        assert_eq!(world.turned_steps(), still, "no step without power");
        // What the boot itself keeps on flash takes its time, and so does the phone.
        began = world.now();
        world.power_on().expect("a pump");
        let mut phone = connect(&mut world, 247);
        let status = phone.status(&mut world);
        assert_eq!((status.boot, status.program_number), (cut + 1, 1));
        assert!(
            status.counted_steps <= turned(&world),
            "boot {cut}: {status:?}"
        );
        assert!(
            status.at_most_steps >= world.turned_steps(),
            "boot {cut}: {status:?}"
        );
    }
}

#[test]
fn what_was_staged_is_gone_when_the_phone_goes() {
    let mut world = world(VirtualFlash::nrf52840());
    let mut phone = connect(&mut world, 247);
    let Outcome::Staged(staged) = phone.ask(&mut world, &Command::Stage(morphine(2_500_000)))
    else {
        panic!("not staged")
    };
    let mut phone = connect(&mut world, 247);
    assert!(!phone.status(&mut world).staged);
    let refused = phone.ask(&mut world, &Command::Commit(staged.commit(None)));
    assert_eq!(refused, Outcome::Refused(protocol::Refused::NothingStaged));
}

#[test]
fn a_carrier_that_runs_on_real_time_keeps_the_commit_window_open_however_fast_the_pump_runs() {
    let mut world = World::new(
        BUILD,
        VirtualFlash::nrf52840(),
        Carrier::Real(CarrierTime::ZERO),
    )
    .expect("a world");
    world.power_on().expect("a pump");
    let mut phone = connect(&mut world, 247);
    let Outcome::Staged(staged) = phone.ask(&mut world, &Command::Stage(morphine(2_500_000)))
    else {
        panic!("not staged")
    };
    let staged_at = world.carrier_time();
    world.set_carrier_time(staged_at.saturating_add(Duration::from_seconds(119)));
    world.advance_to(Duration::from_days(100));
    let committed = phone.ask(&mut world, &Command::Commit(staged.commit(None)));
    assert_eq!(committed, Outcome::Committed { program_number: 1 });
    let Outcome::Staged(staged) = phone.ask(&mut world, &Command::Stage(morphine(2_600_000)))
    else {
        panic!("not staged")
    };
    let staged_at = world.carrier_time();
    world.set_carrier_time(staged_at.saturating_add(Duration::from_seconds(120)));
    let refused = phone.ask(&mut world, &Command::Commit(staged.commit(None)));
    assert_eq!(refused, Outcome::Refused(protocol::Refused::StageExpired));
}

#[test]
fn flags_that_change_are_notified_and_every_connection_has_its_own_nonce() {
    let mut world = world(VirtualFlash::nrf52840());
    let mut phone = connect(&mut world, 247);
    world.advance_to(minutes(1));
    let first = world.info();
    let before = world.status_changed();
    assert_ne!(
        before & protocol::status::changed::OPERATION,
        0,
        "it has just started"
    );
    let asked = phone.client.request(
        world.carrier_time(),
        &Command::ResetStatusChanged { mask: before },
    );
    asked.expect("a request");
    for frame in phone.client.frames() {
        world.write_command(&frame);
    }
    world.advance_to(world.now());
    assert!(world.take_pushed().contains(&Pushed::StatusChanged(0)));
    assert_eq!(world.status_changed(), 0);
    let _ = connect(&mut world, 247);
    let second = world.info();
    assert_ne!(first, second);
}

#[test]
fn an_interrogation_tells_what_has_been_delivered_by_then() {
    let mut world = world(VirtualFlash::nrf52840());
    let mut phone = connect(&mut world, 247);
    program(&mut phone, &mut world, &morphine(2_500_000));
    for second in 1..100 {
        world.advance_to(Duration::from_seconds(10 * second + 1));
        let before = turned(&world);
        let status = phone.status(&mut world);
        assert!(
            (before..=turned(&world)).contains(&status.counted_steps),
            "{status:?}"
        );
    }
}

#[test]
fn what_the_flash_did_not_keep_is_not_delivered() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = folder.path().join("pump.bin");
    let mut enrolled = world(VirtualFlash::create_image(&image).expect("an image"));
    enrol(&mut enrolled, &BUILD);
    enrolled.power_off();
    drop(enrolled);
    let image = VirtualFlash::open_image(&image).expect("an image");
    let (mut kept, mut refused, mut unreachable) = (0, 0, 0);
    // Each third one: a pump without flash takes its time to say so.
    for operations in (0..240).step_by(3) {
        let mut flash = image.clone();
        flash.cut_after(operations, Tear::NotBegun);
        let mut world = world(flash);
        let mut expected = 0..=0;
        match Phone::open(&mut world, &key(&BUILD).credentials(), Mtu::HIGHEST) {
            Ok(mut phone) => {
                let Outcome::Staged(staged) =
                    phone.ask(&mut world, &Command::Stage(morphine(2_500_000)))
                else {
                    panic!("not staged")
                };
                match phone.ask(&mut world, &Command::Commit(staged.commit(None))) {
                    Outcome::Committed { program_number: 1 } => kept += 1,
                    Outcome::Refused(Refused::NotDone) => refused += 1,
                    other => panic!("{other:?}"),
                }
                let status = phone.status(&mut world);
                // The program delivers 4,166 steps in an hour.
                if status.program_number == 1 {
                    expected = 4_160..=4_167;
                } else if status.faults & protocol::status::fault::PROGRAM_LOST != 0 {
                    expected = 99..=101;
                }
            }
            // A pump that could not read its flash at boot knows nobody, and runs at minimum rate: 100.
            Err(_) => {
                unreachable += 1;
                expected = 99..=101;
            }
        }
        world.advance_to(world.now().saturating_add(minutes(60)));
        let turned = world.turned_steps();
        assert!(
            expected.contains(&turned),
            "cut after {operations}: {turned} steps"
        );
    }
    assert!(
        kept > 0 && refused > 0 && unreachable > 0,
        "{kept} kept, {refused} refused, {unreachable} unreachable"
    );
}

fn denied(result: Result<Phone, Option<protocol::Ended>>) -> Denied {
    match result {
        Ok(phone) => panic!("let in: {:?}", phone.welcome),
        Err(Some(ended)) => match (ended.fate, ended.reason) {
            (Fate::CertainlyNot, Reason::Denied(denied)) => denied,
            other => panic!("{other:?}"),
        },
        Err(None) => panic!("no answer"),
    }
}

fn hung_up(world: &mut World) -> Option<Over> {
    let mut over = world
        .take_pushed()
        .into_iter()
        .filter_map(|pushed| match pushed {
            Pushed::HungUp(over) => Some(over),
            Pushed::Response(_) | Pushed::StatusChanged(_) => None,
        });
    over.next()
}

fn pass_link_time(world: &mut World, time: Duration) {
    world.pass_link_time(time);
    world.advance_to(world.now());
}

/// Nobody is let in before somebody has enrolled, and nobody enrols without presence.
#[test]
fn a_pump_that_nobody_has_enrolled_with_tells_info_and_nothing_else() {
    let mut world = world(VirtualFlash::nrf52840());
    world.settle();
    assert!(!world.is_enrolled());
    let clinician = key(&BUILD).credentials();
    assert_eq!(
        denied(Phone::open(&mut world, &clinician, Mtu::HIGHEST)),
        Denied::NotAdmitted
    );
    let info = Info::decode(&world.info()).expect("an Info");
    assert!(!info.armed);
    assert_eq!(world.card(), None);
    // Whoever was denied is hung up upon, and the pump rests. Before, it writes down that somebody failed.
    world.advance_to(world.now().saturating_add(Duration::from_millis(50)));
    pass_link_time(&mut world, Duration::from_seconds(2));
    assert_eq!(hung_up(&mut world), Some(Over::Session(HangUp::Denied)));
    assert!(!world.is_connected() && !world.shows_itself(Peer::Stranger));
    pass_link_time(&mut world, Duration::from_seconds(1));
    assert_eq!(
        denied(Phone::open(
            &mut world,
            &pack_credentials(&BUILD),
            Mtu::HIGHEST
        )),
        Denied::NotArmed
    );
    world.disconnect();
    world.settle();
    assert!(!world.shows_itself(Peer::Stranger));
    // Presence makes good for all of it.
    enrol(&mut world, &BUILD);
    assert!(world.is_enrolled());
    assert_eq!(connect(&mut world, 247).welcome.role, Role::Clinician);
}

/// The one-time secret opens one enrolment, also over a loss of power; the recovery secret opens any number.
#[test]
fn the_sterile_pack_enrols_once_and_the_implant_card_again() {
    let mut world = world(VirtualFlash::nrf52840());
    enrol(&mut world, &BUILD);
    world.power_off();
    world.power_on().expect("a pump");
    assert!(world.is_enrolled());
    hold_magnet(&mut world);
    assert_eq!(
        denied(Phone::open(
            &mut world,
            &pack_credentials(&BUILD),
            Mtu::HIGHEST
        )),
        Denied::NotAdmitted
    );
    let pack = BUILD.pack();
    let mut other = key(&BUILD);
    other.private = Secret::new([17; 32]);
    other.slot = 5;
    let card = Credentials::new(
        RECOVERY_SLOT,
        other.private.clone(),
        pack.recovery.clone(),
        other.pump,
    );
    let mut phone = Phone::open(&mut world, &card, Mtu::HIGHEST).expect("a recovery");
    assert_eq!(phone.welcome.role, Role::Enrolling);
    assert!(matches!(
        phone.ask(&mut world, &Command::Interrogate),
        Outcome::Refused(Refused::NotAllowed {
            because: NotAllowed::Role { .. }
        })
    ));
    let granted = phone.ask(&mut world, &grant(5, Role::Clinician, &other));
    assert_eq!(granted, Outcome::Done);
    let phone = Phone::open(&mut world, &other.credentials(), Mtu::HIGHEST).expect("a session");
    assert_eq!(phone.welcome.role, Role::Clinician);
}

#[test]
fn the_emergency_card_is_there_only_while_the_pump_is_armed() {
    let mut world = world(VirtualFlash::nrf52840());
    let mut phone = connect(&mut world, 247);
    program(&mut phone, &mut world, &morphine(2_500_000));
    world.disconnect();
    pass_link_time(&mut world, WINDOW);
    assert!(!world.is_armed());
    assert_eq!(world.card(), None);
    world.magnet(true);
    world.settle();
    pass_link_time(&mut world, HOLD.saturating_sub(Duration::from_micros(1)));
    assert_eq!(world.card(), None);
    pass_link_time(&mut world, Duration::from_micros(1));
    // Without a connection and without a key.
    let card = EmergencyCard::decode(&world.card().expect("a card")).expect("readable");
    assert_eq!(card.pump, key(&BUILD).pump.fingerprint());
    assert_eq!(card.flow_nl_per_day, 250_000);
    assert_eq!(card.drugs.iter().count(), 1);
    pass_link_time(&mut world, WINDOW.saturating_sub(Duration::from_micros(1)));
    assert!(world.card().is_some());
    pass_link_time(&mut world, Duration::from_micros(1));
    assert_eq!(world.card(), None);
}

/// A wallet card is worth nothing without presence, and its session ends with it.
#[test]
fn an_emergency_session_ends_with_presence() {
    let mut world = world(VirtualFlash::nrf52840());
    let mut clinician = connect(&mut world, 247);
    program(&mut clinician, &mut world, &morphine(2_500_000));
    let wallet = KeyText {
        private: Secret::new([27; 32]),
        preshared: Secret::new([28; 32]),
        slot: 3,
        ..key(&BUILD)
    };
    let granted = clinician.ask(&mut world, &grant(3, Role::Emergency, &wallet));
    assert_eq!(granted, Outcome::Done);
    world.disconnect();
    pass_link_time(&mut world, WINDOW);
    let credentials = wallet.credentials();
    assert_eq!(
        denied(Phone::open(&mut world, &credentials, Mtu::HIGHEST)),
        Denied::NotArmed
    );
    hold_magnet(&mut world);
    let mut phone = Phone::open(&mut world, &credentials, Mtu::HIGHEST).expect("a session");
    assert_eq!(phone.welcome.role, Role::Emergency);
    let done = phone.ask(&mut world, &Command::EmergencyMinimumRate);
    assert_eq!(done, Outcome::Done);
    // Asked now and then, it is not idle.
    pass_link_time(&mut world, Duration::from_seconds(200));
    phone.status(&mut world);
    pass_link_time(&mut world, Duration::from_seconds(100));
    assert!(!world.is_armed());
    let end = phone.try_ask(&mut world, &Command::Interrogate);
    let ClientEvent::Ended(ended) = end else {
        panic!("{end:?}")
    };
    assert_eq!(ended.reason, Reason::Denied(Denied::NoSession));
    pass_link_time(&mut world, Duration::from_seconds(2));
    assert_eq!(
        hung_up(&mut world),
        Some(Over::Session(HangUp::PresenceOver))
    );
    assert!(!world.is_connected());
    // What it did lasts.
    assert_eq!(
        connect(&mut world, 247).status(&mut world).program_number,
        1
    );
}

#[test]
fn a_revoked_key_opens_no_session() {
    let mut world = world(VirtualFlash::nrf52840());
    let mut clinician = connect(&mut world, 247);
    let patient = KeyText {
        private: Secret::new([37; 32]),
        preshared: Secret::new([38; 32]),
        slot: 1,
        ..key(&BUILD)
    };
    let granted = clinician.ask(&mut world, &grant(1, Role::Patient, &patient));
    assert_eq!(granted, Outcome::Done);
    let phone = Phone::open(&mut world, &patient.credentials(), Mtu::HIGHEST);
    assert_eq!(phone.expect("a session").welcome.role, Role::Patient);
    let mut clinician = connect(&mut world, 247);
    let revoked = clinician.ask(&mut world, &Command::RevokeKey { slot: 1 });
    assert_eq!(revoked, Outcome::Done);
    assert_eq!(
        denied(Phone::open(
            &mut world,
            &patient.credentials(),
            Mtu::HIGHEST
        )),
        Denied::NotAdmitted
    );
}

/// Everything about the link runs on the carrier's time, however fast therapy's does.
#[test]
fn the_carriers_time_decides_and_not_the_simulations() {
    let carrier = Carrier::Real(CarrierTime::ZERO);
    let mut world = World::new(BUILD, VirtualFlash::nrf52840(), carrier).expect("a world");
    world.power_on().expect("a pump");
    world.settle();
    let tell = |world: &mut World, micros: u64| {
        world.set_carrier_time(CarrierTime::from_micros(micros));
        world.advance_to(world.now());
    };
    // A magnet that is held for days of therapy, and less than 3 s of the link's time.
    world.magnet(true);
    world.advance_to(Duration::from_days(2));
    tell(&mut world, HOLD.micros() - 1);
    assert!(!world.is_armed());
    tell(&mut world, HOLD.micros());
    assert!(world.is_armed());
    world.magnet(false);
    // The window and the session last for as long as the link's time says.
    world.advance_to(Duration::from_days(3));
    assert!(world.is_armed());
    enrol(&mut world, &BUILD);
    let mut phone = connect(&mut world, 247);
    let opened = world.carrier_time().micros();
    world.advance_to(Duration::from_days(4));
    phone.status(&mut world);
    assert!(world.is_connected());
    tell(&mut world, opened + IDLE_LIMIT.micros() - 1);
    world.advance_to(Duration::from_days(5));
    assert!(world.is_connected());
    tell(&mut world, opened + IDLE_LIMIT.micros() + 1);
    tell(&mut world, opened + IDLE_LIMIT.micros() + 2_000_001);
    assert_eq!(hung_up(&mut world), Some(Over::Session(HangUp::Idle)));
    assert!(!world.is_connected());
    // Whoever says nothing is ended in the link's time too; presence is long over.
    assert!(world.connect(Mtu::HIGHEST));
    world.advance_to(Duration::from_days(6));
    assert!(world.is_connected());
    let connected = world.carrier_time().micros();
    tell(&mut world, connected + 4_999_999);
    assert!(world.is_connected());
    tell(&mut world, connected + 5_000_000);
    assert_eq!(hung_up(&mut world), Some(Over::NoSession));
    assert!(!world.is_connected());
}

/// The power can go at any moment between the production line and the first session.
#[test]
fn an_identity_comes_through_a_loss_of_power_and_the_page_goes_when_it_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("page");
    for cut in 0..60 {
        let _ = std::fs::remove_file(&page);
        let flash_path = folder.path().join(format!("{cut}.bin"));
        let start = || {
            let flash = VirtualFlash::open_or_create_image(&flash_path).expect("an image");
            let page = PackPage::open(&page).expect("a page");
            let carrier = Carrier::Simulated;
            let mut world = World::with_pack(BUILD, flash, page, carrier).expect("a world");
            world.power_on().expect("a pump");
            world
        };
        drop(PackPage::create(&page, BUILD.pack()).expect("a page"));
        let mut world = start();
        world.advance_to(Duration::from_micros(cut * 500));
        world.power_off();
        drop(world);
        let mut world = start();
        world.settle();
        enrol(&mut world, &BUILD);
        world.advance_to(world.now().saturating_add(minutes(1)));
        assert!(!page.exists(), "cut after {cut}");
    }
}
