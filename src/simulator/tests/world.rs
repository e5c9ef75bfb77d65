//! The virtual pump itself: delivery waits for nobody, and nothing that happens around it makes two runs of the same thing differ.

use journal::{Tear, Timing, VirtualFlash};
use protocol::{
    Client, ClientEvent, Command, Component, Digest, Dose, Mode, Mtu, Outcome, Program, Status,
};
use pump::CommissioningRecord;
use simulator::world::{Build, Carrier, Pushed, World};
use therapy::Accumulator;
use units::{CarrierTime, Drug, Duration, FlowRate, Per, PumpTime, StepVolume};

const BUILD: Build = Build {
    commissioning: CommissioningRecord::NOMINAL,
    seed: 1,
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

/// A phone, over an MTU.
struct Phone(Client);

impl Phone {
    fn connect(world: &mut World, mtu: u16) -> Self {
        let mtu = Mtu::new(mtu).expect("an MTU");
        assert!(world.connect(mtu));
        let mut client = Client::new();
        client.opened(mtu);
        Self(client)
    }

    fn ask(&mut self, world: &mut World, command: &Command) -> Outcome {
        self.0
            .request(world.carrier_time(), command)
            .expect("a request");
        for _ in 0..10_000 {
            for frame in self.0.frames() {
                world.write_command(&frame);
            }
            world.advance_to(world.now());
            for pushed in world.take_pushed() {
                let Pushed::Response(fragment) = pushed else {
                    continue;
                };
                match self.0.receive(world.carrier_time(), &fragment) {
                    ClientEvent::Nothing => {}
                    ClientEvent::Answer(answer) => return answer.outcome,
                    ClientEvent::Ended(ended) => panic!("{ended}"),
                }
            }
            world.advance_to(world.now().saturating_add(Duration::from_millis(1)));
        }
        panic!("no answer");
    }

    fn status(&mut self, world: &mut World) -> Status {
        match self.ask(world, &Command::Interrogate) {
            Outcome::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    fn program(&mut self, world: &mut World, program: &Program) {
        let number = self.status(world).program_number + 1;
        let Outcome::Staged(staged) = self.ask(world, &Command::Stage(program.clone())) else {
            panic!("not staged")
        };
        assert_eq!(staged.digest, Digest::of(program, number));
        let committed = self.ask(world, &Command::Commit(staged.commit(None)));
        assert_eq!(
            committed,
            Outcome::Committed {
                program_number: number
            }
        );
    }
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
        let mut phone = Phone::connect(&mut world, mtu);
        phone.program(&mut world, &morphine(2_500_000));
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
    let mut phone = Phone::connect(&mut world, 247);
    phone.program(&mut world, &morphine(2_500_000));
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
    assert_eq!(phone.status(&mut world).deficit_steps, 0);
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
fn delivery_does_not_notice_a_phone_that_talks_all_the_time() {
    let run = |talkative: bool| {
        let mut world = world(VirtualFlash::nrf52840());
        let mut phone = Phone::connect(&mut world, 247);
        phone.program(&mut world, &morphine(2_500_000));
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
                phone = Phone::connect(&mut world, 23);
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
    let mut phone = Phone::connect(&mut world, 247);
    phone.program(&mut world, &morphine(2_500_000));
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
        let mut phone = Phone::connect(&mut world, 247);
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
    let mut phone = Phone::connect(&mut world, 247);
    let Outcome::Staged(staged) = phone.ask(&mut world, &Command::Stage(morphine(2_500_000)))
    else {
        panic!("not staged")
    };
    let mut phone = Phone::connect(&mut world, 247);
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
    let mut phone = Phone::connect(&mut world, 247);
    let Outcome::Staged(staged) = phone.ask(&mut world, &Command::Stage(morphine(2_500_000)))
    else {
        panic!("not staged")
    };
    world.set_carrier_time(CarrierTime::from_micros(119_000_000));
    world.advance_to(Duration::from_days(100));
    let committed = phone.ask(&mut world, &Command::Commit(staged.commit(None)));
    assert_eq!(committed, Outcome::Committed { program_number: 1 });
    let Outcome::Staged(staged) = phone.ask(&mut world, &Command::Stage(morphine(2_600_000)))
    else {
        panic!("not staged")
    };
    world.set_carrier_time(CarrierTime::from_micros(240_000_000));
    let refused = phone.ask(&mut world, &Command::Commit(staged.commit(None)));
    assert_eq!(refused, Outcome::Refused(protocol::Refused::StageExpired));
}

#[test]
fn flags_that_change_are_notified_and_every_connection_has_its_own_nonce() {
    let mut world = world(VirtualFlash::nrf52840());
    let mut phone = Phone::connect(&mut world, 247);
    world.advance_to(minutes(1));
    let first = world.info();
    let before = world.status_changed();
    assert_ne!(
        before & protocol::status::changed::OPERATION,
        0,
        "it has just started"
    );
    let asked = phone.0.request(
        world.carrier_time(),
        &Command::ResetStatusChanged { mask: before },
    );
    asked.expect("a request");
    for frame in phone.0.frames() {
        world.write_command(&frame);
    }
    world.advance_to(world.now());
    assert!(world.take_pushed().contains(&Pushed::StatusChanged(0)));
    assert_eq!(world.status_changed(), 0);
    let _ = Phone::connect(&mut world, 247);
    let second = world.info();
    assert_ne!(first, second);
}

#[test]
fn an_interrogation_tells_what_has_been_delivered_by_then() {
    let mut world = world(VirtualFlash::nrf52840());
    let mut phone = Phone::connect(&mut world, 247);
    phone.program(&mut world, &morphine(2_500_000));
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
    let (mut kept, mut refused) = (0, 0);
    for operations in 0..240 {
        let mut flash = VirtualFlash::nrf52840();
        flash.cut_after(operations, Tear::NotBegun);
        let mut world = world(flash);
        let mut phone = Phone::connect(&mut world, 247);
        let Outcome::Staged(staged) = phone.ask(&mut world, &Command::Stage(morphine(2_500_000)))
        else {
            panic!("not staged")
        };
        match phone.ask(&mut world, &Command::Commit(staged.commit(None))) {
            Outcome::Committed { program_number: 1 } => kept += 1,
            Outcome::Refused(protocol::Refused::NotDone) => refused += 1,
            other => panic!("{other:?}"),
        }
        let status = phone.status(&mut world);
        world.advance_to(world.now().saturating_add(minutes(60)));
        // The program delivers 4,166 steps in an hour; a pump that could not read its flash at boot runs at minimum rate: 100.
        let expected = match status.program_number {
            1 => 4_160..=4_167,
            _ if status.faults & protocol::status::fault::PROGRAM_LOST != 0 => 99..=101,
            _ => 0..=0,
        };
        let turned = world.turned_steps();
        assert!(
            expected.contains(&turned),
            "cut after {operations}: {turned} steps, {status:?}"
        );
    }
    assert!(kept > 0 && refused > 0, "{kept} kept, {refused} refused");
}
