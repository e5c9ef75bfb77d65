//! Answers that are lost: `thecal` asks the pump what became of what it sent, says honestly when it cannot, and sends nothing twice.

use crate::BACLOFEN;
use crate::asked::Asked;
use crate::cutter::Lose;
use crate::desk::{Desk, error, until};

/// A clinician about to confirm a first program.
fn reviewed(desk: &Desk) -> Asked {
    let mut asked = Asked::start(desk, &BACLOFEN);
    asked.sees("read back by the pump");
    asked.sees("Put this program into force? Type yes or no: ");
    asked
}

/// A clinician about to confirm a bolus.
fn described(desk: &Desk) -> Asked {
    let mut asked = Asked::start(desk, &["bolus", "--dose", "20 mcg", "--duration", "5 min"]);
    asked.sees("Give 20 mcg of baclofen over 5 min now.");
    asked.sees("Give it? Type yes or no: ");
    asked
}

fn program_number(desk: &Desk) -> u64 {
    let status = desk.thecal(0, &["status"]);
    status["status"]["program_number"].as_u64().expect("one")
}

fn last_order(desk: &Desk) -> u64 {
    let status = desk.thecal(0, &["status"]);
    status["therapy"]["last_number"].as_u64().expect("one")
}

#[test]
fn a_commit_whose_answer_was_lost_is_found_done() {
    let mut desk = Desk::new();
    let cutter = desk.cutter();
    desk.enrol();
    let mut asked = reviewed(&desk);
    cutter.lose(Lose::Answer, true);
    asked.types("yes");
    let (status, seen) = asked.ends();
    assert!(cutter.has_lost());
    assert_eq!(status, 0, "{seen}");
    assert!(
        seen.contains("The answer was lost: the pump is asked"),
        "{seen}"
    );
    assert!(seen.contains("Program No. 1 is in force."), "{seen}");
    assert_eq!(program_number(&desk), 1);
}

#[test]
fn a_commit_that_never_arrived_is_found_not_done() {
    let mut desk = Desk::new();
    let cutter = desk.cutter();
    desk.enrol();
    let mut asked = reviewed(&desk);
    cutter.lose(Lose::Request, true);
    asked.types("yes");
    let (status, seen) = asked.ends();
    assert!(cutter.has_lost());
    assert_eq!(status, 1, "{seen}");
    assert!(seen.contains("certainly not done"), "{seen}");
    assert_eq!(program_number(&desk), 0);
}

#[test]
fn a_commit_that_nobody_could_ask_about_is_unknown_until_the_pump_can_be_asked() {
    let mut desk = Desk::new();
    let cutter = desk.cutter();
    desk.enrol();
    let mut asked = reviewed(&desk);
    cutter.lose(Lose::Answer, false);
    asked.types("yes");
    let (status, seen) = asked.ends();
    assert_eq!(status, 3, "{seen}");
    assert!(
        seen.contains("`thecal status` shows the number of the program in force"),
        "{seen}"
    );
    assert!(!seen.contains("is in force."), "{seen}");
    cutter.mend();
    // It may still be storing.
    until("the commit came to nothing", || program_number(&desk) == 1);
}

#[test]
fn a_bolus_whose_answer_was_lost_is_given_once() {
    let mut desk = Desk::new();
    let cutter = desk.cutter();
    desk.enrol();
    desk.thecal(0, &[&BACLOFEN[..], &["--yes"]].concat());
    let mut asked = described(&desk);
    cutter.lose(Lose::Answer, true);
    asked.types("yes");
    let (status, seen) = asked.ends();
    assert!(cutter.has_lost());
    assert_eq!(status, 0, "{seen}");
    assert!(
        seen.contains("Bolus No. 1 is stored and has begun."),
        "{seen}"
    );
    assert_eq!(last_order(&desk), 1);
    // One that never arrived was not given; the one under way does not stand for it.
    desk.thecal(0, &["bolus", "--cancel"]);
    let mut asked = described(&desk);
    cutter.lose(Lose::Request, true);
    asked.types("yes");
    let (status, seen) = asked.ends();
    assert_eq!(status, 1, "{seen}");
    assert!(seen.contains("certainly not done"), "{seen}");
    assert_eq!(last_order(&desk), 1);
}

#[test]
fn each_exit_status_is_reached() {
    let mut desk = Desk::new();
    desk.enrol();
    let done = desk.thecal(0, &["connect"]);
    assert_eq!(done["outcome"], "done");
    let not_done = desk.thecal(1, &BACLOFEN);
    assert_eq!(not_done["outcome"], "not done");
    assert_eq!(error(&not_done).split(':').next(), Some("not confirmed"));
    let wrong = desk.thecal(2, &["bolus", "--yes"]);
    assert_eq!(wrong["outcome"], "wrong arguments");
    let gone = desk.run(&["status", "--json", "--connect", "127.0.0.1:1"], "");
    assert_eq!(gone.status, Some(4), "{}", gone.stderr);
    assert!(gone.stdout.contains("\"outcome\":\"no connection\""));
    // Nor is there one that breaks before anything was asked for.
    let cutter = desk.cutter();
    cutter.lose(Lose::Answer, false);
    let closed = desk.thecal(4, &["status"]);
    assert_eq!(closed["outcome"], "no connection");
    cutter.mend();
    // Nobody was let in on that connection: the pump may rest first.
    desk.thecal(0, &["connect"]);
    let mut asked = reviewed(&desk);
    cutter.lose(Lose::Answer, false);
    asked.types("yes");
    assert_eq!(asked.ends().0, 3);
}
