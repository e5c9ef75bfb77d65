//! What the pump keeps in its state banks: the newest value of each kind, in two banks, written whole.
//!
//! A kind is written as postcard behind its version. What must change in one piece with the program stands in [`ProgramRecord`]. What
//! follows from a commit and is kept apart ([`PathRecord`], [`InForceRecord`]) bears the number of the program that it has seen: a boot
//! that finds it one commit behind makes it up from the program's own record. So a cut between two writes leaves old or new, never neither.

use journal::Kind;
use protocol::{Dose, Pack, Program, PublicKey, Role, Secret};
use serde::{Deserialize, Serialize};
use therapy::{
    Alarms, BolusWindow, Catheter, DeniedRequests, Diary, Faults, HospitalLibrary, Interrupted,
    JobOrder, KEY_SLOTS, LoadedVersion, Mri, Path, PeriodicClock, Refill, RequestNumbers,
    ServiceLife, SupervisionRecord, TotalsInForce, Trend, Trial, ZoneOffset,
};
use units::PoweredTime;

use crate::commissioning::CommissioningRecord;

/// Largest encoded value of any kind of state, bytes.
pub const STATE_BYTES: usize = 800;

/// The version that this firmware writes, of every kind of state.
const VERSION: u8 = 1;

macro_rules! states {
    ($( $(#[$documentation:meta])* $number:literal $name:ident $title:literal, )*) => {
        /// A kind of state. Its numbers are those of [`crate::kind`], fixed for ever.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum StateKind {
            $( $(#[$documentation])* $name, )*
        }

        impl StateKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )* ];

            /// The journal's number for it.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $( Self::$name => Kind($number), )* }
            }

            /// What it is called.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $( Self::$name => $title, )* }
            }

            /// The kind with that number.
            #[must_use]
            pub fn of(kind: Kind) -> Option<Self> {
                Self::ALL.iter().copied().find(|state| state.kind() == kind)
            }
        }
    };
}

states! {
    /// [`ProgramRecord`].
    16 Program "program",
    /// [`CommissioningRecord`].
    19 Commissioning "commissioning",
    /// [`LatchedRecord`].
    20 Latched "latched",
    /// [`PathRecord`].
    21 Path "path to the tip",
    /// [`BolusRecord`].
    22 Boluses "boluses",
    /// [`InForceRecord`].
    23 InForce "totals in force",
    /// [`RefillRecord`].
    24 Refills "refills",
    /// [`CareRecord`].
    25 Care "alarms and service life",
    /// [`HospitalLibrary`].
    26 Library "hospital library",
    /// [`LibraryHistory`].
    27 LibraryHistory "library history",
    /// [`IdentityRecord`].
    28 Identity "identity",
    /// [`KeysRecord`].
    29 Keys "keys",
    /// [`NumbersRecord`].
    30 CommandNumbers "command numbers",
}

/// A number of [`StateKind`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StateSet(u16);

impl StateSet {
    #[expect(clippy::as_conversions, reason = "the number of a kind, below 16")]
    const fn bit(kind: StateKind) -> u16 {
        1_u16.wrapping_shl(kind as u32)
    }

    pub(crate) const fn insert(&mut self, kind: StateKind) {
        self.0 |= Self::bit(kind);
    }

    pub(crate) const fn remove(&mut self, kind: StateKind) {
        self.0 &= !Self::bit(kind);
    }

    pub(crate) const fn contains(self, kind: StateKind) -> bool {
        self.0 & Self::bit(kind) != 0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The reservoir as it was last filled, tied to the delivered total of that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillRecord {
    /// Deliverable volume after the fill, femtolitres.
    pub volume_fl: u64,
    /// The pump's `at_most` total at the fill, steps.
    pub at_most_steps: u64,
    /// When, on powered time: the drug keeps from then on.
    pub at: PoweredTime,
}

/// The committed program with all that must change in one piece with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProgramRecord {
    /// Counts commits over the pump's life; 0 before the first.
    pub number: u32,
    /// The program in its wire form; none before the first commit.
    pub program: Option<Program>,
    /// The last refill; none while the reservoir's content is unknown.
    pub fill: Option<FillRecord>,
    /// The program in force was lost: not the same as never having had one.
    pub lost: bool,
    /// The pump's `at_most` total at the commit, steps.
    pub at_most_steps: u64,
    /// The commit, on powered time.
    pub at: PoweredTime,
    /// A bridge began with this commit: the dose of the old primary drug and its concentration, ng/mL.
    pub bridge: Option<(Dose, u32)>,
}

/// What outlasts a reset until somebody has dealt with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatchedRecord {
    /// The interlock has tripped: no step until a clinician has committed a program in a later boot (docs/therapy.md, "Fault table").
    pub interlock_tripped: bool,
    /// The clock has been set once: losing it is a fault.
    pub clock_was_set: bool,
    /// Checkpoints cannot be written: the last one says too little.
    pub checkpoints_failing: bool,
}

/// The catheter, and what is in the path to its tip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PathRecord {
    /// The program that it has seen.
    pub program_number: u32,
    /// The catheter.
    pub catheter: Catheter,
    /// The path, as it was at `at_most_steps`.
    pub path: Path,
    /// The pump's `at_most` total, steps.
    pub at_most_steps: u64,
}

/// Boluses: what was given and what runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BolusRecord {
    /// What was given in the last 24 h.
    pub window: BolusWindow,
    /// What became of the requests of phones.
    pub numbers: RequestNumbers,
    /// Requests that were denied.
    pub denied: DeniedRequests,
    /// The job that is spent and has not ended, and the pump's `at_most` total when it began, steps.
    pub job: Option<(JobOrder, u64)>,
    /// The extended bolus that waits behind it.
    pub suspended: Option<JobOrder>,
    /// The largest number any job had.
    pub newest_job: u32,
    /// When the next periodic bolus is due.
    pub periodic: Option<PeriodicClock>,
    /// When the last periodic bolus was started, cancelled or missed.
    pub last_periodic: Option<PoweredTime>,
    /// The last program whose single bolus has been spent.
    pub single_done: u32,
    /// When the last prime began.
    pub last_prime: Option<PoweredTime>,
    /// A prime that ended early.
    pub interrupted_prime: Option<Interrupted>,
}

/// The 24-hour totals that changes are judged by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InForceRecord {
    /// The program that it has seen.
    pub program_number: u32,
    /// The totals.
    pub totals: TotalsInForce,
}

/// The refill that is open, and those before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RefillRecord {
    /// Where the refill stands.
    pub refill: Refill,
    /// How far volumes differed, over the last 40.
    pub trend: Trend,
}

/// Alarms, service life, trial: what is looked after beside the dose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CareRecord {
    /// Alarms.
    pub alarms: Alarms,
    /// Faults that last until a clinician has dealt with them.
    pub latched: Faults,
    /// The service life.
    pub service: ServiceLife,
    /// What supervision of the motor keeps.
    pub supervision: SupervisionRecord,
    /// The trial; none on implants.
    pub trial: Option<Trial>,
    /// Its diary.
    pub diary: Diary,
    /// MRI mode.
    pub mri: Mri,
    /// Local time.
    pub zone: ZoneOffset,
    /// Local time as a clinician last set it.
    pub clinicians_zone: ZoneOffset,
}

/// The versions of the hospital's library that were loaded, the newest last.
pub type LibraryHistory = heapless::Deque<LoadedVersion, 8>;

/// What makes this pump this one pump: made on the production line, taken from the pack's page once, and never written into a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityRecord {
    /// The pump's private key.
    pub private: Secret,
    /// Enrols the first clinician; none once it has ([`KeysRecord::enrolled`] decides).
    pub one_time: Option<Secret>,
    /// Enrols a clinician when all keys are lost: the implant card's.
    pub recovery: Secret,
    /// For pairing, six digits.
    pub passkey: u32,
}

impl From<&Pack> for IdentityRecord {
    fn from(pack: &Pack) -> Self {
        Self {
            private: pack.private.clone(),
            one_time: Some(pack.one_time.clone()),
            recovery: pack.recovery.clone(),
            passkey: pack.passkey,
        }
    }
}

/// A passkey is a secret, too.
impl core::fmt::Debug for IdentityRecord {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str("IdentityRecord(..)")
    }
}

/// Somebody's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// What its holder may do.
    pub role: Role,
    /// The holder's public key.
    pub public_key: PublicKey,
    /// What holder and pump both know.
    pub preshared: Secret,
}

/// The keys that are let in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysRecord {
    /// By slot.
    pub slots: [Option<Key>; KEY_SLOTS],
    /// Somebody has enrolled with the one-time secret, which counts no more. In one piece with the key that it let in: a cut leaves both or
    /// neither.
    pub enrolled: bool,
}

/// The number of the last command of each slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumbersRecord(pub [u32; KEY_SLOTS]);

/// What can be written as a value of state.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Program(&'a ProgramRecord),
    Latched(&'a LatchedRecord),
    /// None once it is unknown again.
    Path(Option<&'a PathRecord>),
    Boluses(&'a BolusRecord),
    InForce(&'a InForceRecord),
    Refills(&'a RefillRecord),
    Care(&'a CareRecord),
    Commissioning(&'a CommissioningRecord),
    /// None when the one that was to be loaded was not.
    Library(Option<&'a HospitalLibrary>),
    LibraryHistory(&'a LibraryHistory),
    /// None of a pump that has lost it.
    Identity(Option<&'a IdentityRecord>),
    Keys(&'a KeysRecord),
    CommandNumbers(&'a NumbersRecord),
}

impl Value<'_> {
    /// Writes it behind its version; none if it were too long, which a test rules out.
    pub(crate) fn encode<'b>(&self, buffer: &'b mut [u8; STATE_BYTES]) -> Option<&'b [u8]> {
        fn write<'b, T: Serialize>(value: &T, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
            postcard::to_slice(value, buffer).ok().map(|used| &*used)
        }
        match self {
            Self::Program(value) => write(value, buffer),
            Self::Latched(value) => write(value, buffer),
            Self::Path(value) => write(value, buffer),
            Self::Boluses(value) => write(value, buffer),
            Self::InForce(value) => write(value, buffer),
            Self::Refills(value) => write(value, buffer),
            Self::Care(value) => write(value, buffer),
            Self::Commissioning(value) => write(value, buffer),
            Self::Library(value) => write(value, buffer),
            Self::LibraryHistory(value) => write(value, buffer),
            Self::Identity(value) => write(value, buffer),
            Self::Keys(value) => write(value, buffer),
            Self::CommandNumbers(value) => write(value, buffer),
        }
    }
}

/// A value of state as it was written, ready for an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept<'a> {
    /// The journal's number of its kind.
    pub kind: Kind,
    /// The version of its form.
    pub version: u8,
    /// Its bytes.
    pub body: &'a [u8],
}

impl<'a> Kept<'a> {
    pub(crate) fn new(
        kind: StateKind,
        value: Value<'_>,
        buffer: &'a mut [u8; STATE_BYTES],
    ) -> Option<Self> {
        Some(Self {
            kind: kind.kind(),
            version: VERSION,
            body: value.encode(buffer)?,
        })
    }
}

/// Reads a value of state; none for another version, or bytes that are none of it.
pub(crate) fn read<'de, T: Deserialize<'de>>(version: u8, body: &'de [u8]) -> Option<T> {
    if version != VERSION {
        return None;
    }
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Some(value),
        Ok((_, _)) | Err(_) => None,
    }
}
