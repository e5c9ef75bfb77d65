//! What the pump keeps: every kind of record in one table, and its bytes.
//!
//! The journal stores `(kind, version, bytes)` in its envelope and knows nothing of the inside. A kind's number is never used again for
//! something else; a body that changes gets a new version, and old versions stay readable. A later feature adds a row to the table
//! below and nothing else: number, name, where it is kept, and its fields in the order in which they are written, as postcard.
//!
//! A body of an event begins with the session in which it happened, as a varint: 0 for none. Kinds that this firmware does not write yet
//! are in the table where the reference (clinical.md 1.10) asks for them, so that a reader of today can show the log of tomorrow.

use crate::commissioning::CommissioningRecord;
use crate::counters::Counters;
use crate::event::{OrderRefusal, ResetCause};
use crate::kept::StateKind;
use crate::totals::{TotalsRecord, TotalsSource};
use journal::{Kind, Repairs};
use protocol::therapy::BolusDenial;
use protocol::{Bytes, DeliveryState, Fingerprint, Mode, Role, SessionId};
use serde::{Deserialize, Serialize};
use therapy::JobKind;
use units::{AlarmKind, Clock, Drug, OverrideReason, WallTime};

/// Most bytes of a program in one [`Record::ProgramPart`].
pub(crate) const PROGRAM_PART_BYTES: usize = 80;

/// Largest encoded body of any record, bytes: a record of a log with it fits into one [`protocol::LogPart`].
pub const RECORD_BYTES: usize = 96;

/// The version that this firmware writes, of every kind.
const VERSION: u8 = 1;

/// Where a kind of record is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Placement {
    /// Its newest value, in both state banks.
    State,
    /// In the ring of checkpoints; the newest of its kind counts.
    Checkpoint,
    /// In the log of events.
    Event,
    /// In the log of events, and once more in that of critical events.
    Critical,
}

macro_rules! records {
    ($(
        $(#[$documentation:meta])*
        $number:literal $name:ident $variant:ident $placement:ident $title:literal {
            $( $(#[$field_documentation:meta])* $field:ident: $type:ty, )*
        }
    )*) => {
        /// The number of each kind of record. Fixed for ever.
        pub mod kind {
            use journal::Kind;

            $( $(#[$documentation])* pub const $name: Kind = Kind($number); )*
        }

        /// One record, typed. Fields bear their unit in their name.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        pub enum Record {
            $( $(#[$documentation])* $variant { $( $(#[$field_documentation])* $field: $type, )* }, )*
        }

        impl Record {
            /// Every kind of record: number, where it is kept, what it is called.
            pub const TABLE: &'static [(Kind, Placement, &'static str)] =
                &[ $( (kind::$name, Placement::$placement, $title), )* ];

            /// The journal's number for this kind of record.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self { $( Self::$variant { .. } => kind::$name, )* }
            }

            /// Where this kind of record is kept.
            #[must_use]
            pub fn placement(&self) -> Placement {
                match self { $( Self::$variant { .. } => Placement::$placement, )* }
            }

            fn encode_fields<'a>(&self, buffer: &'a mut [u8]) -> postcard::Result<&'a mut [u8]> {
                match self { $( Self::$variant { $( $field, )* } => postcard::to_slice(&($( $field, )*), buffer), )* }
            }

            fn decode_fields(kind: Kind, bytes: &[u8]) -> Result<Self, RecordError> {
                match kind {
                    $( kind::$name => {
                        let ($( $field, )*) = read(bytes)?;
                        Ok(Self::$variant { $( $field, )* })
                    } )*
                    _ => Err(RecordError::UnknownKind),
                }
            }
        }
    };
}

records! {
    // ---- events, 1 to 15 and from 32 on ----

    /// The processor started.
    1 BOOT Boot Critical "pump started" {
        /// Why.
        cause: ResetCause,
        /// What of the time of day has come through.
        clock: Clock,
        /// Where the totals came from.
        totals: TotalsSource,
        /// Steps that the encoder had certainly counted before this boot.
        counted_steps: i64,
        /// Steps that can have been delivered at most before this boot.
        at_most_steps: u64,
    }
    /// A program took effect. The whole of it is in the program parts behind it.
    2 PROGRAM_COMMITTED ProgramCommitted Critical "program committed" {
        /// Its number.
        number: u32,
        /// The primary drug.
        drug: Drug,
        /// Its concentration, ng/mL.
        concentration_ng_per_ml: u32,
        /// How it is given.
        mode: ModeName,
        /// The largest 24-hour total before, ng of the old primary drug; none before the first program.
        before_ng: Option<u64>,
        /// The largest 24-hour total from now on, ng.
        total_ng: u64,
        /// Deliverable volume after a fill that came with it, nL.
        filled_nl: Option<u32>,
        /// Why soft limits were gone over.
        reason: Option<OverrideReason>,
    }
    /// A commit was certainly not done.
    3 COMMIT_NOT_DONE CommitNotDone Critical "commit not done" {
        /// The program number that the commit would have made.
        number: u32,
    }
    /// Steps that were prescribed and not made in time; never caught up.
    4 DEFICIT Deficit Event "steps missed" {
        /// Steps missed since the last such record.
        steps: u64,
    }
    /// The motor driver refused an order.
    5 ORDER_REFUSED OrderRefused Event "motor order refused" {
        /// The order's identifier.
        order: u32,
        /// Why.
        refusal: OrderRefusal,
    }
    /// The motor driver reported a fault.
    6 MOTOR_FAULT MotorFault Critical "motor fault" {
        /// The interlock closed for good.
        interlock_tripped: bool,
        /// The driver could not be read.
        driver_failed: bool,
    }
    /// A session in which something was asked has begun, before there were keys. Not written any more.
    7 KEYLESS_SESSION KeylessSession Event "session opened without a key" {}
    /// A session in which something was asked has ended.
    8 SESSION_CLOSED SessionClosed Event "session closed" {}
    /// Latched flags of "status changed" were cleared.
    9 FLAGS_CLEARED FlagsCleared Event "status flags cleared" {
        /// Which, from [`protocol::status::changed`].
        mask: u16,
    }
    /// The clock was set.
    10 CLOCK_SET ClockSet Event "clock set" {
        /// What it said before.
        before: Clock,
        /// What it says from now on.
        after: Clock,
    }
    /// Faults have appeared.
    11 ALARM_RAISED AlarmRaised Critical "alarm raised" {
        /// Which, from [`protocol::status::fault`].
        faults: u16,
    }
    /// Faults have gone.
    12 ALARM_CLEARED AlarmCleared Critical "alarm cleared" {
        /// Which, from [`protocol::status::fault`].
        faults: u16,
    }
    /// The memory was damaged, and nothing that counts is lost.
    13 MEMORY_REPAIRED MemoryRepaired Critical "memory repaired" {
        /// What was done.
        repairs: RepairsRecord,
    }
    /// The memory was damaged, and something is lost.
    14 MEMORY_LOST MemoryLost Critical "memory lost" {
        /// The committed program.
        program: bool,
        /// The delivered totals.
        totals: bool,
        /// How many kinds of state have no good copy left, the program included.
        kinds: u8,
        /// Records of a log, so that its chain begins anew.
        log: bool,
    }
    /// Records found no room in the queue to the flash, or could not be written.
    15 RECORDS_LOST RecordsLost Critical "records lost" {
        /// How many over the pump's life: a record that is lost itself is made up for by the next.
        records: u32,
    }
    /// The pump delivers something else, or nothing any more.
    32 DELIVERY_CHANGED DeliveryChanged Event "delivery changed" {
        /// What it does now.
        delivery: DeliveryState,
        /// The flow from now on, nL/day, rounded down.
        flow_nl_per_day: u64,
    }
    /// A self-test has failed, or passes again.
    33 SELF_TEST SelfTest Event "self-test" {
        /// The tests that failed, as bits; 0 when all passed.
        failed: u16,
    }
    /// The reservoir was refilled.
    34 REFILL Refill Critical "refill" {
        /// Volume expected in the reservoir, nL; none when its level was not known.
        expected_nl: Option<u32>,
        /// Volume aspirated, nL; none of a top-up.
        aspirated_nl: Option<u32>,
        /// Volume filled, nL.
        filled_nl: u32,
    }
    /// A bolus, prime or bridge has begun.
    35 JOB_STARTED JobStarted Event "job started" {
        /// What it is.
        job: JobKind,
        /// Its number.
        id: u32,
        /// What it is to deliver, nL.
        volume_nl: u32,
    }
    /// A bolus, prime or bridge has ended.
    36 JOB_ENDED JobEnded Event "job ended" {
        /// What it is.
        job: JobKind,
        /// Its number.
        id: u32,
        /// How.
        end: JobEnd,
        /// Steps of it that the encoder has counted.
        counted_steps: u32,
        /// Steps of it that can have been delivered at most.
        at_most_steps: u32,
    }
    /// A patient asked for a bolus and gets it.
    37 BOLUS_GRANTED BolusGranted Event "bolus granted" {
        /// Its number.
        id: u32,
    }
    /// A patient asked for a bolus and does not get it.
    38 BOLUS_DENIED BolusDenied Event "bolus denied" {
        /// Its number.
        id: u32,
        /// Why.
        reason: BolusDenial,
    }
    /// An alarm sounded.
    39 ALARM_SOUNDED AlarmSounded Event "alarm sounded" {
        /// Which; told the first time it is heard.
        alarm: AlarmKind,
    }
    /// An alarm was silenced for a while.
    40 ALARM_SILENCED AlarmSilenced Event "alarm silenced" {
        /// Which.
        alarm: AlarmKind,
    }
    /// The rotor stands still although it is ordered to turn.
    41 STALL Stall Critical "motor stalled" {
        /// Steps commanded without a pulse.
        steps: u32,
    }
    /// The rotor turns again.
    42 STALL_RECOVERED StallRecovered Critical "motor turns again" {
        /// Steps missed since the stall began.
        missed_steps: u64,
    }
    /// The reservoir has reached its low mark, or is empty.
    43 RESERVOIR_LOW ReservoirLow Critical "reservoir low" {
        /// Deliverable volume left, nL.
        left_nl: u32,
    }
    /// The battery or the service life nears its end (ERI), or has reached it (EOS).
    44 SERVICE_LIFE ServiceLife Critical "service life" {
        /// Whether it is over.
        over: bool,
        /// When the pump stops, if the time of day is known.
        stops_at: Option<WallTime>,
    }
    /// The pump stands still for so long that its tubing takes a set. Not written yet.
    45 TUBE_SET_RISK TubeSetRisk Critical "tube-set risk" {
        /// How long it has been standing still, h.
        stopped_h: u16,
    }
    /// The time zone was changed.
    46 TIME_ZONE_CHANGED TimeZoneChanged Event "time zone changed" {
        /// Local time minus UTC before, min.
        before_min: i16,
        /// And from now on, min.
        after_min: i16,
    }
    /// Somebody failed to prove who they are. At most one an hour, and one ahead of the next session: what comes between is counted.
    47 AUTHENTICATION_FAILED AuthenticationFailed Event "authentication failed" {
        /// The key slot they claimed last.
        slot: u8,
        /// How often since the last such record.
        times: u16,
    }
    /// The link is closed for a while after too many failures. Not written yet.
    48 LOCKED_OUT LockedOut Critical "link locked" {
        /// For how long, s.
        seconds: u32,
    }
    /// A step of a firmware update. Not written yet.
    49 FIRMWARE_UPDATE FirmwareUpdate Critical "firmware update" {
        /// Which.
        step: UpdateStep,
        /// Version of the image: major, minor, patch, as in its header.
        version: (u8, u8, u16),
    }
    /// MRI mode has begun or ended.
    50 MRI_MODE MriMode Critical "MRI mode" {
        /// Whether it is on.
        on: bool,
    }
    /// A reading of the battery, daily.
    51 BATTERY Battery Event "battery" {
        /// Voltage, mV.
        millivolts: u16,
    }

    /// An alarm's condition has appeared.
    52 ALARM_ON AlarmOn Critical "alarm on" {
        /// Which.
        alarm: AlarmKind,
    }
    /// An alarm sounds no longer.
    53 ALARM_OFF AlarmOff Critical "alarm off" {
        /// Which.
        alarm: AlarmKind,
    }
    /// A clinician has taken note of an alarm.
    54 ALARM_ACKNOWLEDGED AlarmAcknowledged Critical "alarm acknowledged" {
        /// Which.
        alarm: AlarmKind,
    }
    /// A part of a program that took effect, as on the wire.
    55 PROGRAM_PART ProgramPart Event "program, in parts" {
        /// The program's number.
        number: u32,
        /// Where in the program the part begins, bytes.
        offset: u16,
        /// The part.
        part: Bytes<PROGRAM_PART_BYTES>,
    }
    /// A bridge has begun.
    56 BRIDGE_STARTED BridgeStarted Critical "bridge started" {
        /// What is to be led out, nL.
        volume_nl: u32,
        /// Its flow, nL/day, rounded down.
        flow_nl_per_day: u32,
    }
    /// The old solution has left the path, and the program runs.
    57 BRIDGE_ENDED BridgeEnded Critical "bridge ended" {}
    /// A refill was opened: a needle is about to enter the reservoir.
    58 REFILL_OPENED RefillOpened Critical "refill opened" {
        /// Volume expected in the reservoir, nL.
        expected_nl: Option<u32>,
    }
    /// A refill was ended, or nothing was changed.
    59 REFILL_CLOSED RefillClosed Critical "refill closed" {}
    /// The catheter was told.
    60 CATHETER_SET CatheterSet Critical "catheter set" {
        /// Volume of the path to the tip, nL.
        path_nl: u32,
    }
    /// The pump was commissioned.
    61 COMMISSIONED Commissioned Critical "commissioned" {
        /// As what.
        record: CommissioningRecord,
    }
    /// A hospital's drug library was loaded.
    62 LIBRARY_LOADED LibraryLoaded Critical "drug library loaded" {
        /// Its version.
        version: u32,
        /// Its checksum.
        checksum: u32,
    }
    /// Emergency minimum rate was asked for.
    63 EMERGENCY Emergency Critical "emergency minimum rate" {}
    /// A score of a trial's diary.
    64 DIARY Diary Event "diary entry" {
        /// From before the trial.
        baseline: bool,
        /// The score.
        score: u8,
    }
    /// A trial was extended.
    65 TRIAL_EXTENDED TrialExtended Critical "trial extended" {
        /// By so many days.
        days: u8,
    }
    /// Alarm intervals were set.
    66 INTERVALS_SET IntervalsSet Event "alarm intervals set" {
        /// Of critical alarms, min.
        critical_min: u16,
        /// Of others, min.
        other_min: u16,
    }
    /// A key is let in from now on.
    67 KEY_GRANTED KeyGranted Critical "key granted" {
        /// Where it is.
        slot: u8,
        /// What its holder may do.
        role: Role,
        /// Which public key it is.
        fingerprint: Fingerprint,
    }
    /// A key is let in no more.
    68 KEY_REVOKED KeyRevoked Critical "key revoked" {
        /// Where it was.
        slot: u8,
    }

    /// A session in which something was asked has begun.
    69 SESSION_OPENED SessionOpened Event "session opened" {
        /// The slot of its key.
        slot: u8,
        /// The role in which it speaks.
        role: Role,
    }

    // ---- checkpoints; 16 to 31 are theirs and those of state ----
    /// Delivered totals, every minute.
    17 TOTALS Totals Checkpoint "totals" {
        /// The totals.
        totals: TotalsRecord,
    }
    /// Counters that never roll off, when they have changed and at least every hour.
    18 COUNTERS Counters Checkpoint "counters" {
        /// The counters.
        counters: Counters,
    }
}

/// What the journal has repaired, [`Repairs`] as it is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairsRecord {
    /// Copies of values written anew.
    pub copies: u32,
    /// Banks erased and written anew from the other one.
    pub banks: u32,
    /// Pages of a ring taken out of use until the ring comes round.
    pub pages_sealed: u32,
    /// Pages of a ring erased because no other was left.
    pub pages_erased: u32,
    /// Pages out of use for good.
    pub pages_retired: u32,
}

impl From<Repairs> for RepairsRecord {
    fn from(repairs: Repairs) -> Self {
        Self {
            copies: repairs.copies,
            banks: repairs.banks,
            pages_sealed: repairs.pages_sealed,
            pages_erased: repairs.pages_erased,
            pages_retired: repairs.pages_retired,
        }
    }
}

impl RepairsRecord {
    /// Whether nothing was repaired.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What was repaired since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            copies: self.copies.saturating_sub(before.copies),
            banks: self.banks.saturating_sub(before.banks),
            pages_sealed: self.pages_sealed.saturating_sub(before.pages_sealed),
            pages_erased: self.pages_erased.saturating_sub(before.pages_erased),
            pages_retired: self.pages_retired.saturating_sub(before.pages_retired),
        }
    }
}

/// The mode of a program, without its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModeName {
    /// Not at all.
    Stopped,
    /// Minimum rate.
    MinimumRate,
    /// One rate.
    SimpleContinuous,
    /// By the time of day.
    Flex,
    /// A bolus again and again.
    PeriodicBolus,
    /// One bolus.
    SingleBolus,
}

impl ModeName {
    /// The name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::MinimumRate => "minimum rate",
            Self::SimpleContinuous => "simple continuous",
            Self::Flex => "flex",
            Self::PeriodicBolus => "periodic bolus",
            Self::SingleBolus => "single bolus",
        }
    }
}

impl From<&Mode> for ModeName {
    fn from(mode: &Mode) -> Self {
        match mode {
            Mode::Stopped => Self::Stopped,
            Mode::MinimumRate => Self::MinimumRate,
            Mode::SimpleContinuous { .. } => Self::SimpleContinuous,
            Mode::Flex { .. } => Self::Flex,
            Mode::PeriodicBolus(_) => Self::PeriodicBolus,
            Mode::SingleBolus { .. } => Self::SingleBolus,
        }
    }
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobEnd {
    /// All of it was delivered.
    Completed,
    /// Somebody cancelled it, or another job or a commit did.
    Cancelled,
    /// A reset ended it: never resumed.
    Interrupted,
    /// A fault ended it.
    Fault,
}

/// A step of a firmware update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpdateStep {
    /// An image begins to come in.
    Started,
    /// It is whole and its signature good.
    Accepted,
    /// It was refused.
    Refused,
    /// It runs, and has said that it is well.
    Confirmed,
    /// The one before runs again.
    Reverted,
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordError {
    /// The kind is not known to this firmware.
    UnknownKind = 1,
    /// The kind is known, its version is not.
    UnknownVersion = 2,
    /// The bytes do not decode, or not to the last one.
    Malformed = 3,
    /// The buffer is too small; [`RECORD_BYTES`] always suffices.
    BufferTooSmall = 4,
}

impl core::fmt::Display for RecordError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str(match self {
            Self::UnknownKind => "of a kind that this version does not know",
            Self::UnknownVersion => "in a form that this version does not know",
            Self::Malformed => "not what this kind of record holds",
            Self::BufferTooSmall => "too long for its place",
        })
    }
}

impl core::error::Error for RecordError {}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, RecordError> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, _)) | Err(_) => Err(RecordError::Malformed),
    }
}

impl Placement {
    /// Whether a record kept there says in which session it happened.
    const fn names_session(self) -> bool {
        match self {
            Self::Event | Self::Critical => true,
            Self::State | Self::Checkpoint => false,
        }
    }
}

impl Record {
    /// The version of the body that [`Record::encode`] writes.
    #[must_use]
    pub const fn version(&self) -> u8 {
        VERSION
    }

    /// Reads the body of a checkpoint, which has one field.
    pub(crate) fn decode_contents<'a, T: Deserialize<'a>>(
        version: u8,
        body: &'a [u8],
    ) -> Option<T> {
        if version != VERSION {
            return None;
        }
        read::<(T,)>(body).ok().map(|(contents,)| contents)
    }

    /// What a kind is called; none for one that this version does not know.
    #[must_use]
    pub fn title(kind: Kind) -> Option<&'static str> {
        Self::row(kind)
            .map(|(_, _, title)| *title)
            .or(StateKind::of(kind).map(StateKind::title))
    }

    /// Where a kind of record is kept; none for one that this version does not know.
    #[must_use]
    pub fn placement_of(kind: Kind) -> Option<Placement> {
        Self::row(kind)
            .map(|(_, placement, _)| *placement)
            .or(StateKind::of(kind).map(|_| Placement::State))
    }

    fn row(kind: Kind) -> Option<&'static (Kind, Placement, &'static str)> {
        Self::TABLE.iter().find(|(known, _, _)| *known == kind)
    }

    /// Writes the body into `buffer` and returns the part used. The session is written with events alone.
    ///
    /// # Errors
    /// [`RecordError::BufferTooSmall`]; [`RECORD_BYTES`] always suffices.
    pub fn encode<'a>(
        &self,
        session: Option<SessionId>,
        buffer: &'a mut [u8],
    ) -> Result<&'a [u8], RecordError> {
        let mut head = 0;
        if self.placement().names_session() {
            let number = session.map_or(0, |SessionId(number)| number);
            head = postcard::to_slice(&number, buffer)
                .map_err(|_| RecordError::BufferTooSmall)?
                .len();
        }
        let rest = buffer.get_mut(head..).ok_or(RecordError::BufferTooSmall)?;
        let fields = self
            .encode_fields(rest)
            .map_err(|_| RecordError::BufferTooSmall)?
            .len();
        let length = head.saturating_add(fields);
        buffer.get(..length).ok_or(RecordError::BufferTooSmall)
    }

    /// Reads a body back, and the session in which it happened.
    ///
    /// # Errors
    /// [`RecordError`], for any bytes that this firmware would not have written.
    pub fn decode(
        kind: Kind,
        version: u8,
        body: &[u8],
    ) -> Result<(Option<SessionId>, Self), RecordError> {
        let (_, placement, _) = Self::row(kind).ok_or(RecordError::UnknownKind)?;
        if version != VERSION {
            return Err(RecordError::UnknownVersion);
        }
        let (session, fields) = if placement.names_session() {
            postcard::take_from_bytes::<u32>(body).map_err(|_| RecordError::Malformed)?
        } else {
            (0, body)
        };
        let record = Self::decode_fields(kind, fields)?;
        Ok(((session != 0).then_some(SessionId(session)), record))
    }
}
