//! Where somebody sits in front of a pump: how it is reached, what is shown, who is asked.

use super::arguments::LinkArguments;
use super::ended::{Stopped, unlike};
use crate::carrier::{Carrier, Loopback};
use crate::session::{Conversation, Failure};
use protocol::client::resolve_repetition;
use protocol::{Command, Credentials, Fate, Outcome, WhenUnknown};
use std::io::{self, IsTerminal, Write};
use std::thread::sleep;
use std::time::Duration;

/// What commands need beside their arguments.
pub(crate) trait Desk {
    /// Connects to the pump, anew each time.
    fn connect(&mut self) -> anyhow::Result<Box<dyn Carrier>>;

    /// Shows something before the end.
    fn show(&mut self, text: &str);

    /// Whether somebody agrees; none when nobody can be asked.
    fn confirm(&mut self, question: &str) -> Option<bool>;
}

/// How often connecting again is tried: a pump has one link, and may not have noticed yet that it is free.
const ATTEMPTS: u32 = 10;
/// The time between.
const BETWEEN: Duration = Duration::from_millis(400);

/// How often a pump that is still storing is asked what came of it.
pub(super) const ASKED_AGAIN: u32 = 12;
/// The time between: the pump stores or gives up within 5 s.
pub(super) const STORING: Duration = Duration::from_millis(500);

pub(super) type Session = Conversation<Box<dyn Carrier>>;

/// Connects and opens a session.
pub(super) fn open(desk: &mut dyn Desk, credentials: &Credentials) -> Result<Session, Stopped> {
    let carrier = desk
        .connect()
        .map_err(|error| Stopped::no_connection(&error))?;
    Ok(Conversation::open(carrier, credentials)?)
}

/// As [`open`], after another connection.
pub(super) fn open_again(
    desk: &mut dyn Desk,
    credentials: &Credentials,
) -> Result<Session, Failure> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let opened = match desk.connect() {
            Ok(carrier) => Conversation::open(carrier, credentials),
            Err(error) => Err(Failure::NoConnection(error)),
        };
        match opened {
            Err(Failure::NoConnection(_)) if attempt < ATTEMPTS => sleep(BETWEEN),
            opened => return opened,
        }
    }
}

/// What became of a command whose answer was lost.
pub(super) enum Lost {
    /// Certainly not done: the pump has never had its number.
    NotDone,
    /// The pump has had its number; here is a session to ask it in.
    Ask(Box<Session>),
    /// The pump cannot be reached.
    Unreachable,
}

/// Connects anew to find out.
pub(super) fn look_again(desk: &mut dyn Desk, credentials: &Credentials, number: u32) -> Lost {
    match open_again(desk, credentials) {
        Ok(session) if session.last_number() < number => Lost::NotDone,
        Ok(session) => Lost::Ask(Box::new(session)),
        Err(_) => Lost::Unreachable,
    }
}

/// Says that nothing was done, although the answer was lost.
pub(super) fn certainly_not(failure: &Failure) -> Stopped {
    Stopped::not_done(format!(
        "{failure}; asked again, the pump has not had the command: certainly not done"
    ))
}

/// Gives a command that is answered by [`Outcome::Done`]: when its answer is lost, once more on a new connection, if it may be done twice.
pub(super) fn order(
    desk: &mut dyn Desk,
    credentials: &Credentials,
    session: Session,
    command: &Command,
) -> Result<(), Stopped> {
    let mut session = session;
    let lost = match session.ask(command) {
        Ok(outcome) => return done(outcome),
        Err(failure) if failure.fate() == Fate::Unknown => failure,
        Err(failure) => return Err(failure.into()),
    };
    drop(session);
    let Ok(mut session) = open_again(desk, credentials) else {
        return Err(lost.into());
    };
    let first_was_not_done = session.last_number() < lost.number();
    if command.kind().when_unknown() != WhenUnknown::Repeat {
        return Err(if first_was_not_done {
            certainly_not(&lost)
        } else {
            lost.into()
        });
    }
    let again = match session.ask(command) {
        // There is nothing left to do, because it was done then.
        Ok(outcome)
            if !first_was_not_done && resolve_repetition(command, &outcome) == Fate::Done =>
        {
            Ok(())
        }
        Ok(outcome) => done(outcome),
        Err(failure) => Err(failure.into()),
    };
    match again {
        // What stands against it now says nothing about then.
        Err(again) if !first_was_not_done => Err(Stopped::unknown(
            format!("{lost}; given once more: {}", again.words),
            "do it again: twice is as good as once",
        )),
        again => again,
    }
}

fn done(outcome: Outcome) -> Result<(), Stopped> {
    match outcome {
        Outcome::Done => Ok(()),
        other => Err(unlike(other)),
    }
}

/// The desk of a user at a computer.
pub(super) struct Terminal<'a> {
    pub(super) link: &'a LinkArguments,
}

impl Desk for Terminal<'_> {
    fn connect(&mut self) -> anyhow::Result<Box<dyn Carrier>> {
        #[cfg(feature = "bluetooth")]
        if let Some(name) = &self.link.bluetooth {
            return Ok(Box::new(crate::carrier::Bluetooth::connect(name)?));
        }
        Ok(Box::new(Loopback::connect(&self.link.connect)?))
    }

    fn show(&mut self, text: &str) {
        // Standard output belongs to the JSON object. Whoever reads has read enough.
        let _ = if self.link.json {
            io::stderr().write_all(text.as_bytes())
        } else {
            io::stdout().write_all(text.as_bytes())
        };
    }

    fn confirm(&mut self, question: &str) -> Option<bool> {
        if !io::stdin().is_terminal() {
            return None;
        }
        eprint!("{question} Type yes or no: ");
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).ok()?;
        Some(answer.trim() == "yes")
    }
}

/// Asks unless `yes` says so already.
pub(super) fn confirmed(desk: &mut dyn Desk, yes: bool, question: &str) -> Result<(), Stopped> {
    if yes {
        return Ok(());
    }
    match desk.confirm(question) {
        Some(true) => Ok(()),
        Some(false) => Err(Stopped::not_done("not confirmed: nothing was done")),
        None => Err(Stopped::not_done(
            "not confirmed: there is no terminal to ask on, and --yes was not given; nothing was done",
        )),
    }
}
