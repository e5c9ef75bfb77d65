//! What is asked on a terminal, and what comes of each answer.

use crate::desk::{Desk, LONG_ENOUGH};
use crate::terminal::Terminal;
use crate::{BACLOFEN, desk};
use std::ops::{Deref, DerefMut};

/// A user at a terminal at this desk.
pub struct Asked(Terminal);

impl Asked {
    pub fn start(desk: &Desk, arguments: &[&str]) -> Self {
        let address = desk.address();
        let arguments = [arguments, &["--connect", &address]].concat();
        let program = env!("CARGO_BIN_EXE_thecal");
        let set = |command: &mut std::process::Command| desk.set(command);
        Self(Terminal::start(program, &arguments, set, LONG_ENOUGH))
    }

    pub fn ends(self) -> (i32, String) {
        self.0.ends()
    }
}

impl Deref for Asked {
    type Target = Terminal;

    fn deref(&self) -> &Terminal {
        &self.0
    }
}

impl DerefMut for Asked {
    fn deref_mut(&mut self) -> &mut Terminal {
        &mut self.0
    }
}

#[test]
fn only_a_whole_yes_confirms() {
    let desk = Desk::new();
    desk.enrol();
    // Neither the beginning of a word, nor capitals, nor the end of the input.
    for answer in ["no", "y", "YES", "", "yes please"] {
        let mut asked = Asked::start(&desk, &BACLOFEN);
        asked.sees("Put this program into force? Type yes or no: ");
        asked.types(answer);
        let (status, seen) = asked.ends();
        assert_eq!(status, 1, "{answer}: {seen}");
        assert!(
            seen.contains("not confirmed: nothing was done"),
            "{answer}: {seen}"
        );
    }
    let status = desk.thecal(0, &["status"]);
    assert_eq!(status["status"]["program_number"], 0);
    assert_eq!(status["status"]["staged"], false);
    let mut asked = Asked::start(&desk, &BACLOFEN);
    asked.sees("100 mcg/day");
    asked.sees("Put this program into force? Type yes or no: ");
    asked.types("yes");
    let (status, seen) = asked.ends();
    assert_eq!(status, 0, "{seen}");
    assert!(seen.contains("Program No. 1 is in force."), "{seen}");
}

#[test]
fn the_text_of_the_sterile_pack_is_typed_and_not_shown() {
    let desk = Desk::new();
    let paper = desk.paper();
    desk.hold_magnet();
    let mut asked = Asked::start(&desk, &["enroll"]);
    asked.sees("(not shown): ");
    asked.types(&paper);
    let (status, seen) = asked.ends();
    assert_eq!(status, 0, "{seen}");
    assert!(seen.contains("Enrolled with pump"), "{seen}");
    assert!(!seen.contains("THECAL"), "the pack is shown");
    // A key is not taken away without a word.
    let granted = desk.thecal(0, &["keys", "grant", "patient", "--output", "patient.key"]);
    let mut asked = Asked::start(&desk, &["keys", "revoke", "1"]);
    asked.sees("Revoke the key in slot 1  patient");
    asked.sees("Type yes or no: ");
    asked.types("no");
    assert_eq!(asked.ends().0, 1);
    let keys = desk.thecal(0, &["keys"]);
    assert_eq!(
        keys["keys"][1]["fingerprint"],
        granted["granted"]["fingerprint"]
    );
    let unread = desk.thecal(1, &["keys", "revoke", "1"]);
    assert!(desk::error(&unread).contains("--yes"), "{unread}");
}
