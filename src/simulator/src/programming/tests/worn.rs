//! The commands against the virtual pump itself, in this process, when its flash is at the end of its life.

use super::super::desk::Desk;
use super::super::ended::{Done, Status as Ended};
use super::super::{admit, give, look};
use crate::carrier::Carrier;
use crate::command_line::{Command, CommandLine};
use crate::key_file;
use crate::world::{Build, Carrier as Time, Chance, Pushed, World};
use anyhow::{Result, ensure};
use clap::Parser;
use journal::{Partition, VirtualFlash, Worn};
use protocol::presence::HOLD;
use protocol::{KeyText, Mtu};
use pump::CommissioningRecord;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use units::Duration as PumpDuration;

/// Somebody at the bed of a pump.
struct Bedside {
    world: Rc<RefCell<World>>,
}

/// A connection to it.
struct Line {
    world: Rc<RefCell<World>>,
}

impl Desk for Bedside {
    fn connect(&mut self) -> Result<Box<dyn Carrier>> {
        ensure!(self.world.borrow_mut().connect(Mtu::HIGHEST), "not shown");
        let world = Rc::clone(&self.world);
        Ok(Box::new(Line { world }))
    }

    fn show(&mut self, _: &str) {}

    fn confirm(&mut self, _: &str) -> Option<bool> {
        None
    }
}

impl Carrier for Line {
    fn mtu(&self) -> Mtu {
        Mtu::HIGHEST
    }

    fn info(&mut self) -> Result<Vec<u8>> {
        Ok(self.world.borrow().info())
    }

    fn write(&mut self, frame: &[u8]) -> Result<()> {
        let world = &mut *self.world.borrow_mut();
        world.write_command(frame);
        world.settle();
        Ok(())
    }

    fn response(&mut self, patience: Duration) -> Result<Option<Vec<u8>>> {
        let world = &mut *self.world.borrow_mut();
        let until = u64::try_from(patience.as_micros())?;
        world.advance_to(world.now().saturating_add(PumpDuration::from_micros(until)));
        let mut fragments = world
            .take_pushed()
            .into_iter()
            .filter_map(|pushed| match pushed {
                Pushed::Response(fragment) => Some(fragment),
                Pushed::StatusChanged(_) | Pushed::HungUp(_) => None,
            });
        Ok(fragments.next_back())
    }

    fn card(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(self.world.borrow().card())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let world = &mut *self.world.borrow_mut();
        world.disconnect();
        world.settle();
        // Nobody is there to hear it.
        let _ = world.take_pushed();
    }
}

/// A new pump whose pages of state can be written once and not erased, and a magnet over it.
fn worn() -> (Bedside, String) {
    let build = Build {
        commissioning: CommissioningRecord::NOMINAL,
        seed: 1,
        chance: Chance::Seeded,
    };
    let mut flash = VirtualFlash::nrf52840();
    for bank in [Partition::StateA, Partition::StateB] {
        for page in 0..2 {
            flash.wear_out(bank, page, Some(Worn::Refusing));
        }
    }
    let mut world = World::new(build, flash, Time::Simulated).expect("a pump");
    world.power_on().expect("it starts");
    world.magnet(true);
    world.settle();
    world.pass_link_time(HOLD);
    world.magnet(false);
    world.settle();
    let bedside = Bedside {
        world: Rc::new(RefCell::new(world)),
    };
    (bedside, build.pack().text().to_string())
}

/// What a command line asks of it.
fn program(bedside: &mut Bedside, key: &KeyText, arguments: &[&str]) -> Done {
    let line = [
        &["thecal", "program", "--yes", "--reason", "titration"],
        arguments,
    ]
    .concat();
    match CommandLine::parse_from(line).command {
        Command::Program(arguments) => {
            give::program(bedside, key, &give::Programming::of(&arguments))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stop_that_a_worn_flash_could_not_store_is_told_as_what_it_is() {
    let (mut bedside, text) = worn();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("own.key");
    let wanted = admit::Enrolment {
        key: Some(path.clone()),
        ..admit::Enrolment::default()
    };
    admit::enroll(&mut bedside, &text, &wanted).expect("let in");
    let key = key_file::load(&path).expect("a key");
    let first = [
        "--drug",
        "baclofen",
        "--concentration",
        "2 mg/mL",
        "--mode",
        "simple-continuous",
        "--dose",
        "100 mcg/day",
        "--fill",
        "20 mL",
    ];
    program(&mut bedside, &key, &first).expect("in force");
    // Until nothing more can be stored.
    let not_stored = (101..1_000)
        .find_map(|dose| {
            let dose = format!("{dose} mcg/day");
            program(&mut bedside, &key, &["--change", "--dose", &dose]).err()
        })
        .expect("flash without end");
    assert_eq!(not_stored.status, Ended::NotDone, "{not_stored:?}");

    // A stop is in force all the same, and nobody is told that it is certain, nor that it was not done.
    let stopped =
        program(&mut bedside, &key, &["--change", "--mode", "stopped"]).expect_err("told");
    assert_eq!(stopped.status, Ended::Unknown);
    assert!(
        stopped.words.contains("could not store that"),
        "{}",
        stopped.words
    );
    assert!(stopped.next.expect("what to do").contains("--mode stopped"));
    let status = look::status(&mut bedside, &key).expect("told").json;
    assert_eq!(status["status"]["flow_nl_per_day"], 0, "{status}");
    assert_ne!(status["status"]["program"]["mode"], "Stopped", "{status}");
}
