//! A user at a terminal: sees what `thecal` says, and types.

use rexpect::process::WaitStatus;
use rexpect::session::{PtySession, spawn_command};
use std::process::Command;
use std::time::Duration;

/// A `thecal` in a terminal.
pub struct Terminal {
    session: PtySession,
    /// All that was shown.
    seen: String,
}

impl Terminal {
    /// Starts a program with these arguments in a terminal that shows what is typed, unless the program turns that off.
    pub fn start(
        program: &str,
        arguments: &[&str],
        setting: impl FnOnce(&mut Command),
        patience: Duration,
    ) -> Self {
        // `rexpect` gives a terminal that shows nothing.
        let mut command = Command::new("sh");
        command.args(["-c", "stty echo && exec \"$0\" \"$@\"", program]);
        command.args(arguments);
        setting(&mut command);
        let patience = u64::try_from(patience.as_millis()).expect("short");
        Self {
            session: spawn_command(command, Some(patience)).expect("a terminal"),
            seen: String::new(),
        }
    }

    /// Waits until this is shown.
    pub fn sees(&mut self, words: &str) {
        match self.session.exp_string(words) {
            Ok(before) => {
                self.seen.push_str(&before);
                self.seen.push_str(words);
            }
            Err(error) => panic!("{words}: {error}; seen before: {}", self.seen),
        }
    }

    pub fn types(&mut self, line: &str) {
        self.session.send_line(line).expect("it reads");
    }

    /// Waits for the end: the exit status, and all that was seen.
    pub fn ends(mut self) -> (i32, String) {
        self.seen.push_str(&self.session.exp_eof().expect("an end"));
        match self.session.process().wait().expect("a status") {
            WaitStatus::Exited(_, status) => (status, self.seen),
            other => panic!("{other:?}: {}", self.seen),
        }
    }
}
