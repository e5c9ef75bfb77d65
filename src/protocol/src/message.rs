//! Requests and answers: what a phone may ask and what a pump may say.
//!
//! Both enumerations grow only at the end, so that a number on the wire never changes its meaning.
use core::fmt;

use serde::{Deserialize, Serialize};
use units::{AlarmKind, Clock, Drug};

use crate::history::{LogHead, LogName, LogPart};
use crate::keys::{KeyEntry, KeyGrant};
use crate::list::List;
use crate::order::{
    AlarmIntervals, Catheter, ClinicianBolus, Commissioning, Commit, DiaryEntry, HospitalLibrary,
    Prime, SetClock, SetZone,
};
use crate::program::{Program, Staged};
use crate::refused::Refused;
use crate::status::Status;
use crate::therapy::{BolusDenial, LibraryEntry, PathStatus, Refills, TherapyStatus};

/// One command with the number by which its answer is recognised.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Request {
    /// Chosen by the phone, 1 or more, strictly increasing within a session: the counter with which the request is sealed, and its answer.
    /// The last one may be repeated when its answer was lost: the pump repeats the answer and does nothing again.
    pub id: u32,
    /// The command number of the phone's key, for a command that changes something ([`CommandKind::is_numbered`]): above the last one it
    /// has ever used with this pump ([`crate::Welcome::last_number`]). 0 for every other. The pump remembers it over connections and
    /// resets, and does nothing for one that is not above it ([`Refused::NumberUsed`]).
    pub number: u32,
    /// What is asked.
    pub command: Command,
}

/// The commands: the enum, the kinds, and their names, in one list, whose order is the order on the wire.
macro_rules! commands {
    ($(
        $(#[$documentation:meta])*
        $command:ident $(($contents:ty))? $({ $( $(#[$field_documentation:meta])* $field:ident: $type:ty, )+ })? $name:literal,
    )+) => {
        /// What a phone can ask of the pump.
        #[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
        #[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
        #[expect(clippy::large_enum_variant, reason = "there is no heap to put it on")]
        pub enum Command {
            $( $(#[$documentation])* $command $(($contents))? $({ $( $(#[$field_documentation])* $field: $type, )+ })?, )+
        }

        /// The kind of a [`Command`], without its contents: what roles are granted.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
        pub enum CommandKind {
            $( #[doc = concat!("[`Command::", stringify!($command), "`].")] $command, )+
        }

        impl CommandKind {
            /// Every kind, in wire order: the position is the number on the wire.
            pub const ALL: &'static [CommandKind] = &[ $( CommandKind::$command, )+ ];

            /// The name used in texts and tables.
            pub const fn name(self) -> &'static str {
                match self { $( CommandKind::$command => $name, )+ }
            }
        }

        impl Command {
            /// The kind of this command.
            pub const fn kind(&self) -> CommandKind {
                match self { $( Command::$command { .. } => CommandKind::$command, )+ }
            }
        }
    };
}

commands! {
    /// Tell everything that can be known without changing anything; answered by [`Outcome::Status`].
    Interrogate "interrogate",
    /// Validate this program and keep it aside, answered by [`Outcome::Staged`]. Changes nothing in the delivery.
    /// A program staged before is discarded, also when this one is refused.
    Stage(Program) "stage",
    /// Show the staged program once more; answered by [`Outcome::Staged`]. Does not prolong its life.
    ReadBack "read back",
    /// Put the staged program into force; answered by [`Outcome::Committed`] when it is durably stored.
    Commit(Commit) "commit",
    /// Discard the staged program; answered by [`Outcome::Cancelled`], also when nothing was staged.
    Cancel "cancel",
    /// Clear latched "status changed" flags; answered by [`Outcome::StatusChangedReset`].
    ResetStatusChanged {
        /// The flags to clear, from [`crate::status::changed`]. A phone clears those it has shown to somebody, so that a flag latched
        /// meanwhile stays. Bits that are no flag are ignored.
        mask: u16,
    } "reset status changed",
    /// Read records of a log; answered by [`Outcome::LogPart`]. What a reader has already it need not ask for again: it begins behind it.
    ReadLog {
        /// Which log.
        log: LogName,
        /// The first record wanted, by its number.
        from: u32,
    } "read log",
    /// Sign the present end of a log; answered by [`Outcome::LogHead`].
    SignLog {
        /// Which log.
        log: LogName,
    } "sign log",
    /// Set the time of day; answered by [`Outcome::ClockSet`].
    SetClock(SetClock) "set clock",
    /// Set the difference of local time from UTC; answered by [`Outcome::Done`].
    SetZone(SetZone) "set time zone",
    /// Give a bolus; answered by [`Outcome::BolusStarted`] when it is durably stored, by [`Outcome::AlreadyDone`] when it was ordered
    /// before with the same number, or by [`Outcome::BolusRefused`].
    ClinicianBolus(ClinicianBolus) "clinician bolus",
    /// Give one of the boluses that the program allots to the patient; answered like [`Command::ClinicianBolus`].
    PatientBolus {
        /// One more than [`crate::TherapyStatus::last_number`], so that a repetition gives nothing again.
        number: u32,
    } "patient bolus",
    /// End the bolus or prime under way, for ever; answered by [`Outcome::Done`], also when there is none. A patient ends patient boluses only.
    CancelBolus "cancel bolus",
    /// Fill tubing or catheter; answered like [`Command::ClinicianBolus`].
    Prime(Prime) "prime",
    /// Tell the path from the pump to the tip; answered by [`Outcome::Done`].
    SetCatheter(Catheter) "set catheter",
    /// A needle is about to enter the reservoir; answered by [`Outcome::Done`] when that is durably stored. Boluses are refused from now on.
    OpenRefill "open refill",
    /// What came out of the reservoir; answered by [`Outcome::Done`]. What goes in is told by [`Program::fill`].
    RefillAspirated {
        /// The volume, in nL.
        volume_nl: u32,
    } "refill aspirated",
    /// End a refill in which nothing was changed; answered by [`Outcome::Done`]. Any other ends with the commit.
    CloseRefill "close refill",
    /// A clinician has taken note of an alarm: it goes when its cause has gone; answered by [`Outcome::Done`].
    AcknowledgeAlarm {
        /// Which.
        alarm: AlarmKind,
    } "acknowledge alarm",
    /// Keep an alarm quiet until its next repetition; answered by [`Outcome::Done`]. Of external pumps only: others refuse it
    /// ([`Refused::KindForbids`]).
    SilenceAlarm {
        /// Which.
        alarm: AlarmKind,
    } "silence alarm",
    /// How often alarms repeat; answered by [`Outcome::Done`].
    SetAlarmIntervals(AlarmIntervals) "set alarm intervals",
    /// Let a tone be heard; answered by [`Outcome::Done`].
    TestTone {
        /// That of a critical alarm, otherwise that of the others.
        critical: bool,
    } "test tone",
    /// Defer tones in a scanner; answered by [`Outcome::Done`]. Delivery goes on.
    MriMode {
        /// For how long, in min; 0: end it now.
        minutes: u16,
    } "MRI mode",
    /// Go to minimum rate at once, latched; answered by [`Outcome::Done`].
    EmergencyMinimumRate "emergency minimum rate",
    /// Make this pump one of a kind; answered by [`Outcome::Done`].
    Commission(Commissioning) "commission",
    /// Take a part of a hospital's drug library; answered by [`Outcome::Done`].
    LoadLibrary(HospitalLibrary) "load library",
    /// Tell what therapy is doing; answered by [`Outcome::Therapy`].
    ReadTherapy "read therapy",
    /// Tell what is in the path to the tip; answered by [`Outcome::Path`].
    ReadPath "read path",
    /// Tell the limits of a drug; answered by [`Outcome::Library`].
    ReadLibrary {
        /// Which.
        drug: Drug,
    } "read library",
    /// Tell the refills; answered by [`Outcome::Refills`].
    ReadRefills {
        /// How many of the newest to leave out.
        from: u8,
    } "read refills",
    /// Add a score to the diary of a trial; answered by [`Outcome::Done`].
    DiaryEntry(DiaryEntry) "diary entry",
    /// Let a trial last longer; answered by [`Outcome::Done`].
    ExtendTrial {
        /// By how many days.
        days: u8,
    } "extend trial",
    /// Let somebody's key in from now on; answered by [`Outcome::Done`] when it is durably stored. An enrolling phone grants its own, as a
    /// clinician's, and with it ends its session and, if it came with it, the one-time secret.
    GrantKey(KeyGrant) "grant key",
    /// Let a key in no more; answered by [`Outcome::Done`]. Its session, if it has one, ends. Nobody revokes the key that asks.
    RevokeKey {
        /// Where it is, 0 to 7.
        slot: u8,
    } "revoke key",
    /// Tell the keys that are let in; answered by [`Outcome::Keys`].
    ReadKeys "read keys",
}

/// What a phone does when the fate of a command stays unknown ([`crate::Fate::Unknown`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum WhenUnknown {
    /// Send it again: done twice is done once. The answer to that tells, [`crate::client::resolve_repetition`].
    Repeat,
    /// Read the status: [`crate::client::resolve_commit`], or the clock or the limits it shows.
    AskStatus,
    /// Read the therapy status: [`crate::client::resolve_order`], or the trial it shows.
    AskTherapy,
}

impl CommandKind {
    /// What to do when the fate of such a command stays unknown.
    pub const fn when_unknown(self) -> WhenUnknown {
        match self {
            CommandKind::Commit | CommandKind::SetClock | CommandKind::Commission => {
                WhenUnknown::AskStatus
            }
            CommandKind::ClinicianBolus
            | CommandKind::PatientBolus
            | CommandKind::Prime
            | CommandKind::DiaryEntry
            | CommandKind::ExtendTrial => WhenUnknown::AskTherapy,
            CommandKind::Interrogate
            | CommandKind::Stage
            | CommandKind::ReadBack
            | CommandKind::Cancel
            | CommandKind::ResetStatusChanged
            | CommandKind::ReadLog
            | CommandKind::SignLog
            | CommandKind::SetZone
            | CommandKind::CancelBolus
            | CommandKind::SetCatheter
            | CommandKind::OpenRefill
            | CommandKind::RefillAspirated
            | CommandKind::CloseRefill
            | CommandKind::AcknowledgeAlarm
            | CommandKind::SilenceAlarm
            | CommandKind::SetAlarmIntervals
            | CommandKind::TestTone
            | CommandKind::MriMode
            | CommandKind::EmergencyMinimumRate
            | CommandKind::LoadLibrary
            | CommandKind::ReadTherapy
            | CommandKind::ReadPath
            | CommandKind::ReadLibrary
            | CommandKind::ReadRefills
            | CommandKind::GrantKey
            | CommandKind::RevokeKey
            | CommandKind::ReadKeys => WhenUnknown::Repeat,
        }
    }

    /// Whether the command changes something that outlasts the session, so that it bears a number of its own ([`Request::number`]).
    pub const fn is_numbered(self) -> bool {
        match self {
            CommandKind::Interrogate
            | CommandKind::Stage
            | CommandKind::ReadBack
            | CommandKind::Cancel
            | CommandKind::ReadLog
            | CommandKind::SignLog
            | CommandKind::TestTone
            | CommandKind::ReadTherapy
            | CommandKind::ReadPath
            | CommandKind::ReadLibrary
            | CommandKind::ReadRefills
            | CommandKind::ReadKeys => false,
            CommandKind::Commit
            | CommandKind::ResetStatusChanged
            | CommandKind::SetClock
            | CommandKind::SetZone
            | CommandKind::ClinicianBolus
            | CommandKind::PatientBolus
            | CommandKind::CancelBolus
            | CommandKind::Prime
            | CommandKind::SetCatheter
            | CommandKind::OpenRefill
            | CommandKind::RefillAspirated
            | CommandKind::CloseRefill
            | CommandKind::AcknowledgeAlarm
            | CommandKind::SilenceAlarm
            | CommandKind::SetAlarmIntervals
            | CommandKind::MriMode
            | CommandKind::EmergencyMinimumRate
            | CommandKind::Commission
            | CommandKind::LoadLibrary
            | CommandKind::DiaryEntry
            | CommandKind::ExtendTrial
            | CommandKind::GrantKey
            | CommandKind::RevokeKey => true,
        }
    }
}

impl fmt::Display for CommandKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
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
#[expect(clippy::large_enum_variant, reason = "there is no heap to put it on")]
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
    /// A bolus or prime is durably stored and has begun.
    BolusStarted {
        /// Its number.
        number: u32,
    },
    /// No bolus, and why.
    BolusRefused {
        /// Why.
        denial: BolusDenial,
    },
    /// Done; there is nothing more to tell.
    Done,
    /// What therapy is doing, to [`Command::ReadTherapy`].
    Therapy(TherapyStatus),
    /// What is in the path, to [`Command::ReadPath`].
    Path(PathStatus),
    /// The limits of a drug, to [`Command::ReadLibrary`].
    Library(LibraryEntry),
    /// A few refills, to [`Command::ReadRefills`].
    Refills(Refills),
    /// With this number this key's last bolus or prime was ordered, and it was given: nothing is given again. The pump does not compare the
    /// two: what differs from the order of then has not been done.
    AlreadyDone {
        /// Its number.
        number: u32,
    },
    /// The keys that are let in, to [`Command::ReadKeys`].
    Keys(List<KeyEntry, KEYS>),
}

/// Most keys in [`Outcome::Keys`].
pub const KEYS: usize = 8;

impl Outcome {
    /// The number of [`Outcome::Refused`] on the wire. With it a refusal is written without an [`Answer`], which is large.
    pub(crate) const REFUSED: u8 = 5;
}
