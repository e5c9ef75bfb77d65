//! Loss, duplication, delay, damage, disconnection and loss of power at every frame of every command, to the pump itself: it is done at most
//! once, what the phone says of it is true, and what it does not know it finds out.
//!
//! The phone is the client of page and command line. What the pump has made of the command a second clinician sees, who looks at a copy
//! of the pump at the same moment: it must be as it was before the command, or as it is after one that nothing disturbed.

mod disturbed_line;
mod enrolling;
mod every_command;

use disturbed_line::{DISTURBANCES, Disturbance, LINKS, Line, Reading, Sent, days, without_power};
use enrolling::{Phone, hold_magnet};
use every_command::{CLINICIAN, Case, Pumps, WITNESS, key_at, open, titrated};
use journal::Tear;
use protocol::{
    BolusDenial, Command, CommandKind, ENROLMENT_SLOT, Ended, Fate, KeyEntry, LibraryEntry, Mtu,
    Outcome, Reason, Refills, Refused, SLOTS, Status, TherapyStatus,
};
use pump::kind as logged;
use simulator::world::World;
use std::collections::BTreeMap;
use units::{Clock, Drug, Duration, WallTime};

/// What is to be seen of a pump and does not change by itself within a minute.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    enrolled: bool,
    /// Nothing of a pump that the witness is not let in by.
    told: Option<Told>,
}

#[derive(Clone, Debug, PartialEq)]
struct Told {
    status: Status,
    therapy: TherapyStatus,
    path: (Option<u32>, usize),
    refills: Refills,
    library: LibraryEntry,
    keys: Vec<KeyEntry>,
    /// Why a change of the dose would not be taken; a refill in which something was aspirated is seen by nothing else.
    refuses: Option<Refused>,
}

/// How often each kind of record is in the log.
type Log = BTreeMap<u16, usize>;

/// What somebody finds who looks.
#[derive(Clone, Debug, PartialEq)]
struct Look {
    seen: Seen,
    log: Log,
    /// Tones that were heard since the pump started.
    tones: usize,
}

/// What a case can end as.
struct Ends {
    before: Look,
    after: Look,
}

/// Records that tell what somebody has ordered.
const ORDERED: [journal::Kind; 21] = [
    logged::PROGRAM_COMMITTED,
    logged::FLAGS_CLEARED,
    logged::CLOCK_SET,
    logged::JOB_STARTED,
    logged::BOLUS_GRANTED,
    logged::BOLUS_DENIED,
    logged::ALARM_SILENCED,
    logged::TIME_ZONE_CHANGED,
    logged::MRI_MODE,
    logged::ALARM_ACKNOWLEDGED,
    logged::REFILL_OPENED,
    logged::REFILL_CLOSED,
    logged::CATHETER_SET,
    logged::COMMISSIONED,
    logged::LIBRARY_LOADED,
    logged::EMERGENCY,
    logged::DIARY,
    logged::TRIAL_EXTENDED,
    logged::INTERVALS_SET,
    logged::KEY_GRANTED,
    logged::KEY_REVOKED,
];

/// Looks at a copy of the pump as it is now.
fn look(world: &World) -> Look {
    let mut world = world.clone();
    world.settle();
    let tones = world.heard().len();
    world.disconnect();
    world.advance_to(world.now().saturating_add(Duration::from_seconds(2)));
    let mut log = Log::new();
    for entry in world.log().expect("a log") {
        if ORDERED.contains(&journal::Kind(entry.kind)) {
            *log.entry(entry.kind).or_default() += 1;
        }
    }
    hold_magnet(&mut world);
    world.take_pushed();
    let enrolled = world.is_enrolled();
    let witness = key_at(world.build(), WITNESS).credentials();
    let told = match Phone::open(&mut world, &witness, Mtu::HIGHEST) {
        Ok(mut phone) => Some(told(&mut phone, &mut world)),
        Err(Some(Ended {
            reason: Reason::Denied(_),
            ..
        })) => None,
        Err(other) => panic!("{other:?}"),
    };
    Look {
        seen: Seen { enrolled, told },
        log,
        tones,
    }
}

fn told(phone: &mut Phone, world: &mut World) -> Told {
    let refuses = match phone.ask(world, &Command::Stage(titrated())) {
        Outcome::Staged(_) => None,
        Outcome::Refused(refused) => Some(refused),
        other => panic!("{other:?}"),
    };
    phone.ask(world, &Command::Cancel);
    let answers = [
        Command::Interrogate,
        Command::ReadTherapy,
        Command::ReadPath,
        Command::ReadRefills { from: 0 },
        Command::ReadLibrary {
            drug: Drug::Morphine,
        },
        Command::ReadKeys,
    ]
    .map(|command| phone.ask(world, &command));
    let [
        Outcome::Status(status),
        Outcome::Therapy(therapy),
        Outcome::Path(path),
        Outcome::Refills(refills),
        Outcome::Library(library),
        Outcome::Keys(keys),
    ] = answers
    else {
        panic!("{answers:?}")
    };
    Told {
        status: lasting_status(status),
        therapy: lasting_therapy(therapy),
        path: (path.path_nl, path.slugs.len()),
        refills,
        library,
        // The number is used up by a command that was not done, too.
        keys: keys
            .iter()
            .map(|key| KeyEntry {
                last_number: 0,
                ..*key
            })
            .collect(),
        refuses,
    }
}

/// Milliseconds.
const DAY: u64 = 86_400_000;

/// Without what moves by itself.
fn lasting_status(status: Status) -> Status {
    Status {
        boot: 0,
        pump_time_ms: 0,
        clock: match status.clock {
            Clock::Known { wall, .. } => Clock::Known {
                wall: WallTime::from_millis(wall.millis() / DAY * DAY),
                uncertainty: Duration::ZERO,
            },
            other => other,
        },
        counted_steps: 0,
        at_most_steps: 0,
        reservoir_fl: status.reservoir_fl.map(|_| 0),
        delivered_since_fill_fl: 0,
        powered_s: 0,
        ..status
    }
}

/// Without what moves by itself.
fn lasting_therapy(mut therapy: TherapyStatus) -> TherapyStatus {
    if let Some(job) = &mut therapy.job {
        (job.delivered_nl, job.left_s) = (0, 0);
    }
    if let Some(bolus) = &mut therapy.bolus {
        bolus.next_in_s = bolus.next_in_s.map(|_| 0);
        bolus.denial = bolus.denial.map(|denial| match denial {
            BolusDenial::Lockout { .. } => BolusDenial::Lockout { left_s: 0 },
            BolusDenial::AfterProgramming { .. } => BolusDenial::AfterProgramming { left_s: 0 },
            other => other,
        });
    }
    if let Some(refill) = &mut therapy.refill {
        (refill.alarm_in_s, refill.empty_in_s) = (None, None);
    }
    if let Some(trial) = &mut therapy.trial {
        trial.ends_in_s = days(trial.ends_in_s);
    }
    therapy.service.days_left = None;
    therapy.refill_open_s = therapy.refill_open_s.map(|_| 0);
    therapy.mri_left_s = therapy.mri_left_s.map(|_| 0);
    therapy
}

/// The pump before the command, and after one that nothing disturbed.
struct Reference {
    frames: usize,
    kept: Ends,
    /// The same, and then it lost its power.
    power_lost: Ends,
    /// It lost its power, and then the command came.
    given_later: Seen,
}

impl Reference {
    fn of(case: &Case, link: (Mtu, Reading)) -> Self {
        let mut before = case.world.clone();
        open(case, &mut before, link.0);
        let (line, sent) = Line::run(case, link, None, |_| {});
        assert_eq!(sent.fate(), Fate::Done, "{}: {:?}", case.name, sent.event);
        let kept = Ends {
            before: look(&before),
            after: look(&line.world),
        };
        assert_eq!(
            kept.before != kept.after,
            sent.number != 0 || sounds(&sent.command),
            "{}: a command that bears a number does something that is seen, and no other does",
            case.name
        );
        let later = Case {
            credentials: case.credentials.clone(),
            world: without_power(&case.world),
            ..*case
        };
        Self {
            frames: line.carried,
            power_lost: Ends {
                before: look(&without_power(&before)),
                after: look(&without_power(&line.world)),
            },
            given_later: look(&Line::run(&later, link, None, |_| {}).0.world).seen,
            kept,
        }
    }
}

/// What the phone says, against what the pump has done.
fn judge(line: &mut Line<'_>, sent: &Sent, reference: &Reference, what: &str) {
    let ends = if line.power_lost {
        &reference.power_lost
    } else {
        &reference.kept
    };
    let found = look(&line.world);
    // A loss of power between what is done and its record leaves no record, or one of something that was not done.
    let is = |end: &Look| {
        found.seen == end.seen
            && (line.power_lost || found.log == end.log)
            && (line.power_lost || !sounds(&sent.command) || found.tones == end.tones)
    };
    let (was_before, is_after) = (is(&ends.before), is(&ends.after));
    assert!(
        was_before || is_after,
        "{what}: neither as before nor as after:\n{found:#?}\nbefore:\n{:#?}\nafter:\n{:#?}",
        ends.before,
        ends.after
    );
    for (kind, times) in &found.log {
        let most = ends.after.log.get(kind).copied().unwrap_or_default();
        assert!(*times <= most, "{what}: record {kind} {times} times");
    }
    let agrees = |fate| match fate {
        Fate::Done => is_after,
        Fate::CertainlyNot => was_before,
        Fate::Unknown => true,
    };
    let fate = sent.fate();
    assert!(agrees(fate), "{what}: not {fate}");
    match fate {
        Fate::Done => assert_eq!(
            found.log, ends.after.log,
            "{what}: done, and not in the log"
        ),
        Fate::CertainlyNot => {}
        Fate::Unknown if sent.number == 0 => {
            // There is nothing to find out: what was staged has gone with its session.
            line.connect(&line.case.credentials).expect("a session");
            assert!(!line.status().staged, "{what}");
        }
        Fate::Unknown => {
            let (resolved, again) = line.resolve(sent);
            if again {
                let expected = if line.power_lost {
                    &reference.given_later
                } else {
                    &reference.kept.after.seen
                };
                assert_eq!(resolved, Fate::Done, "{what}: given again");
                assert_eq!(look(&line.world).seen, *expected, "{what}: given again");
            } else {
                assert_ne!(resolved, Fate::Unknown, "{what}");
                assert!(agrees(resolved), "{what}: resolved as {resolved}");
            }
        }
    }
}

fn sounds(command: &Command) -> bool {
    matches!(command, Command::TestTone { .. })
}

/// Every kind of command, and each of its cases.
fn each(mut run: impl FnMut(&Case) -> usize) {
    let pumps = Pumps::new();
    for kind in CommandKind::ALL {
        let cases = pumps.cases(*kind);
        assert!(!cases.is_empty(), "{kind}");
        for case in cases {
            let number = run(&case);
            println!("{}: {number}", case.name);
        }
    }
}

fn every_frame(link: (Mtu, Reading)) {
    each(|case| {
        let reference = Reference::of(case, link);
        for frame in 0..reference.frames {
            for disturbance in DISTURBANCES {
                let what = format!("{}, frame {frame}, {disturbance:?}", case.name);
                let (mut line, sent) = Line::run(case, link, Some((frame, disturbance)), |_| {});
                assert_eq!(line.disturbed, None, "{what}: did not happen");
                // The one-time secret is spent: the pump hangs up before the phone would repeat itself.
                let stands = matches!(
                    disturbance,
                    Disturbance::Lost
                        | Disturbance::Repeated
                        | Disturbance::Late
                        | Disturbance::Damaged
                ) && case.credentials.slot() != ENROLMENT_SLOT;
                if stands {
                    assert_eq!(sent.fate(), Fate::Done, "{what}: {:?}", sent.event);
                }
                judge(&mut line, &sent, &reference, &what);
                if stands && case.credentials.slot() == CLINICIAN {
                    let staged = matches!(sent.command, Command::Stage(_) | Command::ReadBack);
                    assert_eq!(line.status().staged, staged, "{what}");
                }
            }
        }
        reference.frames * DISTURBANCES.len()
    });
}

#[test]
fn every_frame_of_every_command_at_the_lowest_mtu() {
    every_frame(LINKS[0]);
}

#[test]
fn every_frame_of_every_command_at_the_highest_mtu() {
    every_frame(LINKS[1]);
}

/// Between a command's number, what it changes and its record.
///
/// Requirement: R-21
#[test]
fn power_fails_within_every_write_of_every_command() {
    let link = (Mtu::HIGHEST, Reading::Indications);
    each(|case| {
        let reference = Reference::of(case, link);
        let operations = |world: &World| {
            let usage = world.flash_usage();
            usage.words_written + usage.page_erases
        };
        let mut from = 0;
        let (line, _) = Line::run(case, link, None, |world| from = operations(world));
        let mut world = line.world;
        world.settle();
        let writes = operations(&world) - from;
        // Every record is longer than four words.
        for (cut, write) in (0..writes).step_by(4).enumerate() {
            let tear = [Tear::NotBegun, Tear::Torn(write), Tear::Done][cut % 3];
            let what = format!("{}, write {write}, {tear:?}", case.name);
            let (mut line, sent) = Line::run(case, link, None, |world| {
                world.fail_power_after(write, tear);
            });
            line.world.settle();
            line.advance(Duration::ZERO);
            assert!(line.power_lost, "{what}: did not happen");
            judge(&mut line, &sent, &reference, &what);
        }
        writes.div_ceil(4) as usize
    });
}

/// A phone that was told the last number before the command gives it again: its keys are those of the other session, because they do not
/// depend on what Welcome says.
#[test]
fn a_command_number_is_good_for_one_command() {
    let link = (Mtu::HIGHEST, Reading::Indications);
    each(|case| {
        let (line, sent) = Line::run(case, link, None, |_| {});
        assert_eq!(sent.fate(), Fate::Done, "{}: {:?}", case.name, sent.event);
        if sent.number == 0 || case.credentials.slot() >= SLOTS {
            return 0;
        }
        let mut forgetful = case.world.clone();
        open(case, &mut forgetful, link.0);
        let later = (without_power(&line.world), without_power(&forgetful));
        for (mut world, mut forgetful) in [(line.world, forgetful), later] {
            let before = look(&world);
            open(case, &mut world, link.0);
            let mut phone = open(case, &mut forgetful, link.0);
            assert_eq!(phone.welcome.last_number + 1, sent.number, "{}", case.name);
            let refused = Outcome::Refused(Refused::NumberUsed { last: sent.number });
            let answer = phone.ask(&mut world, &sent.command);
            assert_eq!(answer, refused, "{}", case.name);
            assert_eq!(look(&world), before, "{}", case.name);
        }
        2
    });
}
