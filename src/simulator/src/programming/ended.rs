//! How a command ends: what it says, to people and to programs, and its exit status.

use crate::session::Failure;
use protocol::{Fate, Outcome, Reason, Refused, WhenUnknown};
use serde_json::{Value, json};
use units::OverrideReason;

/// What a command that was done says.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// In lines.
    pub text: String,
    /// An object.
    pub json: Value,
}

/// Why a command was not done, or is not known to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// How it ends.
    pub status: Status,
    /// Why, in a sentence; the pump's own words if it is the pump that refuses.
    pub words: String,
    /// What to do now.
    pub next: Option<String>,
}

/// The exit statuses beside 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Refused, or certainly not done.
    NotDone = 1,
    /// Wrong arguments.
    Usage = 2,
    /// Nobody on this side can know whether it was done.
    Unknown = 3,
    /// There is no connection, and nothing was changed.
    NoConnection = 4,
}

impl Status {
    /// For a program to read.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotDone => "not done",
            Self::Usage => "wrong arguments",
            Self::Unknown => "unknown",
            Self::NoConnection => "no connection",
        }
    }

    /// What the program ends with.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::NotDone => 1,
            Self::Usage => 2,
            Self::Unknown => 3,
            Self::NoConnection => 4,
        }
    }
}

/// What comes of a command.
pub type Done = Result<Report, Stopped>;

impl Report {
    /// `outcome` is added to the fields of an object.
    pub(super) fn new(text: String, mut json: Value) -> Self {
        if let Value::Object(fields) = &mut json {
            fields.insert("outcome".to_owned(), json!("done"));
        }
        Self { text, json }
    }
}

impl Stopped {
    pub(super) fn new(status: Status, words: impl Into<String>) -> Self {
        Self {
            status,
            words: words.into(),
            next: None,
        }
    }

    /// Refused, or certainly not done, and why.
    pub fn not_done(words: impl Into<String>) -> Self {
        Self::new(Status::NotDone, words)
    }

    pub(super) fn usage(words: impl Into<String>) -> Self {
        Self::new(Status::Usage, words)
    }

    pub(super) fn no_connection(error: &anyhow::Error) -> Self {
        Self::new(Status::NoConnection, format!("{error:#}"))
    }

    pub(super) fn unknown(words: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            next: Some(next.into()),
            ..Self::new(Status::Unknown, words)
        }
    }

    pub(super) fn with_next(self, next: impl Into<String>) -> Self {
        Self {
            next: Some(next.into()),
            ..self
        }
    }

    /// For a program.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({ "outcome": self.status.name(), "error": self.words, "next": self.next })
    }
}

/// Of files and the like: certainly not done.
impl From<anyhow::Error> for Stopped {
    fn from(error: anyhow::Error) -> Self {
        Self::not_done(format!("{error:#}"))
    }
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        let words = failure.to_string();
        match failure {
            Failure::NoConnection(_) => Self::new(Status::NoConnection, words),
            Failure::NotLetIn(_) | Failure::NotSent(..) => Self::not_done(words),
            Failure::Ended {
                number,
                ended,
                command,
                ..
            } => match ended.fate {
                // A question that was not answered has changed nothing.
                Fate::Unknown | Fate::Done if number == 0 => Self::new(
                    match ended.reason {
                        Reason::Closed | Reason::Silence | Reason::Dropped(_) => {
                            Status::NoConnection
                        }
                        _ => Status::NotDone,
                    },
                    words,
                ),
                Fate::Unknown | Fate::Done => Self::unknown(
                    words,
                    match command.when_unknown() {
                        WhenUnknown::Repeat => "do it again: twice is as good as once",
                        WhenUnknown::AskStatus => {
                            "`thecal status` shows the program in force and its number"
                        }
                        WhenUnknown::AskTherapy => {
                            "`thecal status` shows the number of the last bolus and what is under way; `thecal log` shows all"
                        }
                    },
                ),
                Fate::CertainlyNot => Self::not_done(words),
            },
        }
    }
}

/// A soft limit is gone over.
pub(super) fn reason_needed() -> Stopped {
    let names: Vec<&str> = OverrideReason::ALL
        .iter()
        .map(|reason| reason.name())
        .collect();
    Stopped::not_done(Refused::ReasonNeeded.to_string())
        .with_next(format!("--reason with one of: {}", names.join(", ")))
}

/// An answer that is not the one wanted.
pub(super) fn unlike(outcome: Outcome) -> Stopped {
    let fate = outcome.fate();
    let words = match outcome {
        Outcome::Refused(refused) => refused.to_string(),
        Outcome::BolusRefused { denial } => denial.to_string(),
        _ => "the pump answered something else than was asked".to_owned(),
    };
    match fate {
        Fate::CertainlyNot => Stopped::not_done(words),
        Fate::Done | Fate::Unknown => Stopped::unknown(
            words,
            "`thecal status` and `thecal log` show what the pump does and did",
        ),
    }
}
