//! Requests and answers: what a phone may ask and what a pump may say.
//!
//! Both enumerations grow only at the end, so that a number on the wire never changes its meaning.
use core::fmt;

use serde::{Deserialize, Serialize};
use units::{Clock, Duration, WallTime};

use crate::history::{LogHead, LogName, LogPart};
use crate::program::{Digest, Program, Staged};
use crate::refused::Refused;
use crate::status::Status;

/// One command with the number by which its answer is recognised.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Request {
    /// Chosen by the phone, 1 or more, strictly increasing within a connection. The last one may be repeated when its answer was
    /// lost: the pump repeats the answer and does nothing again. An older one is refused ([`Refused::StaleIdentifier`]).
    pub id: u32,
    /// What is asked.
    pub command: Command,
}

/// What a phone can ask of the pump.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum Command {
    /// Tell everything that can be known without changing anything; answered by [`Outcome::Status`].
    Interrogate,
    /// Validate this program and keep it aside, answered by [`Outcome::Staged`]. Changes nothing in the delivery.
    /// A program staged before is discarded, also when this one is refused.
    Stage(Program),
    /// Show the staged program once more; answered by [`Outcome::Staged`]. Does not prolong its life.
    ReadBack,
    /// Put the staged program into force; answered by [`Outcome::Committed`] when it is durably stored.
    Commit {
        /// Digest of exactly the staged program, from the [`Staged`] that the user confirmed.
        digest: Digest,
    },
    /// Discard the staged program; answered by [`Outcome::Cancelled`], also when nothing was staged.
    Cancel,
    /// Clear latched "status changed" flags; answered by [`Outcome::StatusChangedReset`].
    ResetStatusChanged {
        /// The flags to clear, from [`crate::status::changed`]. A phone clears those it has shown to somebody, so that a flag latched
        /// meanwhile stays.
        mask: u16,
    },
    /// Read records of a log; answered by [`Outcome::LogPart`]. What a reader has already it need not ask for again: it begins behind it.
    ReadLog {
        /// Which log.
        log: LogName,
        /// The first record wanted, by its number.
        from: u32,
    },
    /// Sign the present end of a log; answered by [`Outcome::LogHead`].
    SignLog {
        /// Which log.
        log: LogName,
    },
    /// Set the time of day; answered by [`Outcome::ClockSet`].
    SetClock {
        /// The time of day now, UTC.
        wall: WallTime,
        /// How far off that may be, either way.
        uncertainty: Duration,
    },
}

/// The kind of a [`Command`], without its contents: what roles are granted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum CommandKind {
    /// [`Command::Interrogate`].
    Interrogate,
    /// [`Command::Stage`].
    Stage,
    /// [`Command::ReadBack`].
    ReadBack,
    /// [`Command::Commit`].
    Commit,
    /// [`Command::Cancel`].
    Cancel,
    /// [`Command::ResetStatusChanged`].
    ResetStatusChanged,
    /// [`Command::ReadLog`].
    ReadLog,
    /// [`Command::SignLog`].
    SignLog,
    /// [`Command::SetClock`].
    SetClock,
}

impl CommandKind {
    /// Every kind, in wire order: the position is the number on the wire.
    pub const ALL: [CommandKind; 9] = [
        CommandKind::Interrogate,
        CommandKind::Stage,
        CommandKind::ReadBack,
        CommandKind::Commit,
        CommandKind::Cancel,
        CommandKind::ResetStatusChanged,
        CommandKind::ReadLog,
        CommandKind::SignLog,
        CommandKind::SetClock,
    ];

    /// The name used in texts and tables.
    pub const fn name(self) -> &'static str {
        match self {
            CommandKind::Interrogate => "interrogate",
            CommandKind::Stage => "stage",
            CommandKind::ReadBack => "read back",
            CommandKind::Commit => "commit",
            CommandKind::Cancel => "cancel",
            CommandKind::ResetStatusChanged => "reset status changed",
            CommandKind::ReadLog => "read log",
            CommandKind::SignLog => "sign log",
            CommandKind::SetClock => "set clock",
        }
    }
}

impl fmt::Display for CommandKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

impl Command {
    /// The kind of this command.
    pub const fn kind(&self) -> CommandKind {
        match self {
            Command::Interrogate => CommandKind::Interrogate,
            Command::Stage(_) => CommandKind::Stage,
            Command::ReadBack => CommandKind::ReadBack,
            Command::Commit { .. } => CommandKind::Commit,
            Command::Cancel => CommandKind::Cancel,
            Command::ResetStatusChanged { .. } => CommandKind::ResetStatusChanged,
            Command::ReadLog { .. } => CommandKind::ReadLog,
            Command::SignLog { .. } => CommandKind::SignLog,
            Command::SetClock { .. } => CommandKind::SetClock,
        }
    }
}

/// The pump's answer to the request with the same number.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Answer {
    /// The number of the request answered; 0 when the request could not be read far enough to know it.
    pub id: u32,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a request. Everything but [`Outcome::Refused`] means: done ([`Outcome::fate`]).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum Outcome {
    /// The pump's state, to [`Command::Interrogate`].
    Status(Status),
    /// The program as the pump understood it, to [`Command::Stage`] and [`Command::ReadBack`].
    Staged(Staged),
    /// The staged program is durably stored and in force.
    Committed {
        /// The number of the program now in force; goes up by one with every commit.
        program_number: u32,
    },
    /// Nothing is staged any more.
    Cancelled,
    /// The named flags have been cleared.
    StatusChangedReset {
        /// The flags that are still latched, from [`crate::status::changed`].
        flags: u16,
    },
    /// Not done, and why; see [`Outcome::fate`] for how certain that is.
    Refused(Refused),
    /// Delivery stopped at once, as a commit of [`crate::Mode::Stopped`] asks, but storing that failed: after a reset the
    /// program in force before would be delivered again. Commit the stop once more.
    StoppedNotRecorded,
    /// Records of a log, to [`Command::ReadLog`].
    LogPart(LogPart),
    /// The signed end of a log, to [`Command::SignLog`].
    LogHead {
        /// `None` in an empty log, and behind a break until the chain has a beginning again.
        head: Option<LogHead>,
    },
    /// The clock has been set.
    ClockSet {
        /// What it says now.
        clock: Clock,
    },
}
