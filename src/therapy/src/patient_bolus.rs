//! Boluses that the patient asks for: the rule, and the ledger of what was given that the rule is held against.
//!
//! The pump enforces every limit itself: a controller can be lost, cloned or replayed (clinical reference, 1.7).
//!
//! # What the limits mean
//!
//! All times but one are powered time: what passes without power does not count, so that a lockout can only become longer. The window is
//! `(t - 24 h, t]`: a bolus that began exactly 24 hours ago has left it. The lockout runs from start to start. A refusal changes neither.
//! Starts are kept in whole seconds, rounded up: a limit holds up to a second longer than it has to, never shorter. Masses are kept in
//! whole nanograms, rounded up; as a dose is a whole number of nanograms and a bolus never more than its dose, this costs nothing where
//! the cap is a multiple of the dose.
//!
//! The caps of parts of the day follow the wall clock, which a session may set. A bolus counts towards a part of the day
//!
//! - if it was given in that part, and since the part began as the clock shows it now; or
//! - if it was given in that part within the last `min(length, 24 h - length)` of powered time, whatever has happened to the clock.
//!
//! The second keeps a clock that is set back over the beginning from opening the part anew. With a clock that is left alone it counts
//! nothing that the first does not: two occurrences of the part lie that far apart.
//!
//! # Precedence
//!
//! One denial is given for many reasons: the first that holds in [`Situation`], in the order of its fields; then a bolus above its rule;
//! then, of lockout, number, mass and part of the day, the one that lasts longest, the first of these where they last equally. So the
//! time a patient is told is the time after which no limit stands in the way.
//!
//! # What the ledger never does
//!
//! It never counts less than was given. Where it is full, the two oldest boluses become one at the later of both times with the mass of
//! both; where there are more different doses than it holds, two of them become one that is at least as large as either. Commits,
//! refills and changes of the library do not touch it: it knows drugs, not programs.

use core::fmt;

use heapless::Vec;
use serde::{Deserialize, Serialize, Serializer};
use units::{Concentration, Drug, Duration, Mass, PoweredTime, PumpTime, Volume};

/// The window of numbers and masses.
const DAY: Duration = Duration::from_hours(24);
/// Seconds in a day.
const DAY_SECONDS: u32 = 86_400;
/// Minutes in a day.
const DAY_MINUTES: u16 = 1_440;
/// Microseconds in a second.
const SECOND: u64 = 1_000_000;

/// The most boluses a rule may allot in 24 hours \[P\].
pub const MOST_BOLUSES_PER_DAY: u8 = 24;
/// The longest a bolus may take (GIP 1.4.9), and the longest lockout \[P\].
pub const LONGEST_BOLUS: Duration = DAY;
/// The most parts of the day that may have a cap of their own \[P\].
pub const MOST_PERIODS: usize = 4;
/// A request line that is held this long is stuck (clinical reference 4.5, row 23).
pub const STUCK_AFTER: Duration = Duration::from_seconds(60);

/// Boluses of the patient that the ledger tells apart: as many as a rule may allot.
const PATIENT_ENTRIES: usize = 24;
/// Other boluses that the ledger tells apart: 24 periodic \[P\], 4 of a clinician.
const OTHER_ENTRIES: usize = 28;
/// Different doses that the ledger tells apart.
const DOSES: usize = 6;
/// The drugs there are.
const DRUGS: usize = Drug::ALL.len();

/// The mass of every drug in a bolus, in whole nanograms rounded up; at most `u32::MAX` (4.3 g, far above every cap).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Shares", from = "Shares")]
pub struct DrugMasses([u32; DRUGS]);

/// [`DrugMasses`] on the way to and from bytes: only drugs that are there.
type Shares = Vec<(Drug, u32), DRUGS>;

impl DrugMasses {
    /// What a volume of a solution holds. A drug that is named twice is added up.
    #[must_use]
    pub fn in_volume(volume: Volume, solution: &[(Drug, Concentration)]) -> Self {
        let mut masses = Self::default();
        for &(drug, concentration) in solution {
            masses.add(
                drug,
                nanograms_rounded_up(Mass::in_volume(volume, concentration)),
            );
        }
        masses
    }

    /// These masses, rounded up. A drug that is named twice is added up.
    #[must_use]
    pub fn of(doses: impl Iterator<Item = (Drug, Mass)>) -> Self {
        let mut masses = Self::default();
        for (drug, mass) in doses {
            masses.add(drug, nanograms_rounded_up(mass));
        }
        masses
    }

    /// Nanograms of one drug.
    #[must_use]
    pub fn nanograms(&self, drug: Drug) -> u32 {
        self.shares()
            .find(|&(there, _)| there == drug)
            .map_or(0, |(_, nanograms)| nanograms)
    }

    /// The drugs that are there, in wire order, with their nanograms.
    pub fn shares(&self) -> impl Iterator<Item = (Drug, u32)> + '_ {
        Drug::ALL
            .into_iter()
            .zip(self.0)
            .filter(|&(_, nanograms)| nanograms != 0)
    }

    fn add(&mut self, drug: Drug, nanograms: u32) {
        for (there, mass) in Drug::ALL.into_iter().zip(&mut self.0) {
            if there == drug {
                *mass = mass.saturating_add(nanograms);
            }
        }
    }

    /// Both together.
    fn sum(mut self, other: &Self) -> Self {
        for (mass, more) in self.0.iter_mut().zip(other.0) {
            *mass = mass.saturating_add(more);
        }
        self
    }

    /// At least either, drug by drug.
    fn at_least(mut self, other: &Self) -> Self {
        for (mass, more) in self.0.iter_mut().zip(other.0) {
            *mass = (*mass).max(more);
        }
        self
    }
}

impl From<DrugMasses> for Shares {
    fn from(masses: DrugMasses) -> Self {
        masses.shares().collect()
    }
}

impl From<Shares> for DrugMasses {
    fn from(shares: Shares) -> Self {
        let mut masses = Self::default();
        for (drug, nanograms) in shares {
            masses.add(drug, nanograms);
        }
        masses
    }
}

/// Whole nanograms, rounded up, at most `u32::MAX`.
fn nanograms_rounded_up(mass: Mass) -> u32 {
    /// Zeptograms in a nanogram.
    const NANOGRAM: u128 = 1_000_000_000_000;
    u32::try_from(mass.zeptograms().div_ceil(NANOGRAM)).unwrap_or(u32::MAX)
}

/// A mass that is a whole number of nanograms other than zero and below `u32::MAX`.
pub(crate) fn whole_nanograms(mass: Mass) -> Option<u32> {
    let nanograms = u32::try_from(mass.nanograms_exact()?).ok()?;
    (nanograms != 0 && nanograms != u32::MAX).then_some(nanograms)
}

/// A time that is a whole number of seconds from 1 s to 24 h.
pub(crate) fn whole_seconds(time: Duration) -> Option<u32> {
    let seconds = u32::try_from(time.seconds_rounded_down()).ok()?;
    (Duration::from_seconds(seconds) == time && (1..=DAY_SECONDS).contains(&seconds))
        .then_some(seconds)
}

/// A part of every day with a cap of its own: from a minute of the local day, itself included, to another, excluded; over midnight
/// where the second is the smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(u16, u16, u8)", into = "(u16, u16, u8)")]
pub struct PeriodCap {
    from: u16,
    to: u16,
    most: u8,
}

impl PeriodCap {
    /// At most `most` boluses, 0 allowed, from minute `from` to before minute `to` of the local day.
    ///
    /// # Errors
    ///
    /// A minute above 1439, or twice the same: what holds all day is the number per 24 hours.
    pub const fn new(from: u16, to: u16, most: u8) -> Result<Self, RuleRefusal> {
        if from >= DAY_MINUTES || to >= DAY_MINUTES || from == to {
            return Err(RuleRefusal::Period { from, to });
        }
        Ok(Self { from, to, most })
    }

    /// The first minute.
    #[must_use]
    pub const fn from(self) -> u16 {
        self.from
    }

    /// The minute it ends with, itself outside.
    #[must_use]
    pub const fn to(self) -> u16 {
        self.to
    }

    /// The most boluses in it.
    #[must_use]
    pub const fn most(self) -> u8 {
        self.most
    }

    /// Its length, 1 to 1439 minutes.
    const fn minutes(self) -> u16 {
        minutes_from(self.from, self.to)
    }

    /// Whether a minute of the day lies in it.
    const fn contains(self, minute: u16) -> bool {
        minutes_from(self.from, minute) < self.minutes()
    }

    /// How far back boluses count at `minute` in it (module documentation, "What the limits mean").
    fn reach(self, minute: u16) -> Duration {
        let length = self.minutes();
        let since_it_began = minutes_from(self.from, minute).saturating_add(1);
        let whatever_the_clock = length.min(DAY_MINUTES.saturating_sub(length));
        Duration::from_minutes(u32::from(since_it_began.max(whatever_the_clock)))
    }
}

impl From<PeriodCap> for (u16, u16, u8) {
    fn from(cap: PeriodCap) -> Self {
        (cap.from, cap.to, cap.most)
    }
}

impl TryFrom<(u16, u16, u8)> for PeriodCap {
    type Error = RuleRefusal;

    fn try_from((from, to, most): (u16, u16, u8)) -> Result<Self, RuleRefusal> {
        Self::new(from, to, most)
    }
}

/// Minutes from one minute of the day to the next time it is another.
const fn minutes_from(from: u16, to: u16) -> u16 {
    match to.checked_sub(from) {
        Some(minutes) => minutes,
        None => DAY_MINUTES.saturating_sub(from).saturating_add(to),
    }
}

/// What a clinician wants to allow a patient; becomes a [`PatientBolusRule`] when every check has passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatientBolusDraft {
    /// Mass of the primary drug in one bolus: whole nanograms, more than none, less than 4.29 g.
    pub dose: Mass,
    /// How long one bolus takes: whole seconds, 1 s to 24 h.
    pub duration: Duration,
    /// From the start of one bolus to the start of the next: whole seconds, at least `duration`, at most 24 h.
    pub lockout: Duration,
    /// Boluses allotted in any 24 hours, 1 to 24 \[P\].
    pub per_day: u8,
    /// The most of the primary drug in any 24 hours by boluses of every kind; whole nanograms, at least one dose.
    pub daily_cap: Option<Mass>,
    /// Parts of the day with a cap of their own.
    pub periods: Vec<PeriodCap, MOST_PERIODS>,
}

/// What a patient is allowed. Checked: every rule there is holds what [`PatientBolusDraft`] says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "EncodedRule", into = "EncodedRule")]
pub struct PatientBolusRule {
    dose_nanograms: u32,
    duration_seconds: u32,
    lockout_seconds: u32,
    per_day: u8,
    daily_cap_nanograms: Option<u32>,
    periods: Vec<PeriodCap, MOST_PERIODS>,
}

/// Dose, duration, lockout, number, cap and periods as they are written.
type EncodedRule = (u32, u32, u32, u8, Option<u32>, Vec<PeriodCap, MOST_PERIODS>);

/// What limits the number of boluses in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Binding {
    /// The number allotted.
    Number,
    /// The lockout: the number allotted times the lockout is more than 24 hours.
    Lockout,
    /// The cap on mass in 24 hours.
    Mass,
}

impl PatientBolusRule {
    /// Checks a draft.
    ///
    /// # Errors
    ///
    /// The first value that is not allowed, in the order of the fields.
    pub fn new(draft: &PatientBolusDraft) -> Result<Self, RuleRefusal> {
        let dose_nanograms =
            whole_nanograms(draft.dose).ok_or(RuleRefusal::Dose { dose: draft.dose })?;
        let duration_seconds = whole_seconds(draft.duration).ok_or(RuleRefusal::Duration {
            duration: draft.duration,
        })?;
        let lockout_seconds = whole_seconds(draft.lockout)
            .filter(|&lockout| lockout >= duration_seconds)
            .ok_or(RuleRefusal::Lockout {
                lockout: draft.lockout,
                duration: draft.duration,
            })?;
        if !(1..=MOST_BOLUSES_PER_DAY).contains(&draft.per_day) {
            return Err(RuleRefusal::PerDay {
                per_day: draft.per_day,
            });
        }
        let daily_cap_nanograms = match draft.daily_cap {
            None => None,
            Some(cap) => Some(
                whole_nanograms(cap)
                    .filter(|&nanograms| nanograms >= dose_nanograms)
                    .ok_or(RuleRefusal::DailyCap {
                        cap,
                        dose: draft.dose,
                    })?,
            ),
        };
        Ok(Self {
            dose_nanograms,
            duration_seconds,
            lockout_seconds,
            per_day: draft.per_day,
            daily_cap_nanograms,
            periods: draft.periods.clone(),
        })
    }

    /// Mass of the primary drug in one bolus.
    #[must_use]
    pub fn dose(&self) -> Mass {
        Mass::from_nanograms(u64::from(self.dose_nanograms))
    }

    /// How long one bolus takes.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        Duration::from_seconds(self.duration_seconds)
    }

    /// From the start of one bolus to the start of the next.
    #[must_use]
    pub const fn lockout(&self) -> Duration {
        Duration::from_seconds(self.lockout_seconds)
    }

    /// Boluses allotted in any 24 hours.
    #[must_use]
    pub const fn per_day(&self) -> u8 {
        self.per_day
    }

    /// The most of the primary drug in any 24 hours.
    #[must_use]
    pub fn daily_cap(&self) -> Option<Mass> {
        self.daily_cap_nanograms
            .map(|nanograms| Mass::from_nanograms(u64::from(nanograms)))
    }

    /// Parts of the day with a cap of their own.
    #[must_use]
    pub fn periods(&self) -> &[PeriodCap] {
        &self.periods
    }

    /// What binds, and the most boluses that this leaves in any 24 hours, at most the number allotted. Caps of parts of the day and
    /// boluses of other kinds can leave fewer.
    ///
    /// A mass cap that leaves fewer boluses than the others binds; else the lockout where the number allotted times the lockout is more
    /// than 24 hours.
    #[must_use]
    pub fn binding(&self) -> (Binding, u8) {
        // Starts a lockout apart: in a window that is open at one end there is one more for every part of a lockout.
        let by_lockout = u8::try_from(DAY_SECONDS.div_ceil(self.lockout_seconds.max(1)))
            .unwrap_or(u8::MAX)
            .min(self.per_day);
        let by_mass = self
            .daily_cap_nanograms
            .and_then(|cap| cap.checked_div(self.dose_nanograms))
            .and_then(|boluses| u8::try_from(boluses).ok())
            .unwrap_or(u8::MAX);
        if by_mass < by_lockout {
            (Binding::Mass, by_mass)
        } else if self.lockout_seconds.saturating_mul(u32::from(self.per_day)) > DAY_SECONDS {
            (Binding::Lockout, by_lockout)
        } else {
            (Binding::Number, by_lockout)
        }
    }

    /// The most of the primary drug that the patient's boluses can give in any 24 hours (clinical reference, 2.12).
    #[must_use]
    pub fn largest_daily_dose(&self) -> Mass {
        let (_, boluses) = self.binding();
        let nanograms = u64::from(self.dose_nanograms).saturating_mul(u64::from(boluses));
        Mass::from_nanograms(nanograms)
    }
}

impl From<PatientBolusRule> for EncodedRule {
    fn from(rule: PatientBolusRule) -> Self {
        (
            rule.dose_nanograms,
            rule.duration_seconds,
            rule.lockout_seconds,
            rule.per_day,
            rule.daily_cap_nanograms,
            rule.periods,
        )
    }
}

impl TryFrom<EncodedRule> for PatientBolusRule {
    type Error = RuleRefusal;

    fn try_from(
        (dose, duration, lockout, per_day, daily_cap, periods): EncodedRule,
    ) -> Result<Self, RuleRefusal> {
        let mass = |nanograms| Mass::from_nanograms(u64::from(nanograms));
        Self::new(&PatientBolusDraft {
            dose: mass(dose),
            duration: Duration::from_seconds(duration),
            lockout: Duration::from_seconds(lockout),
            per_day,
            daily_cap: daily_cap.map(mass),
            periods,
        })
    }
}

/// Why a rule for the patient's boluses is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleRefusal {
    /// The dose of one bolus.
    Dose {
        /// What was asked for.
        dose: Mass,
    },
    /// The duration of one bolus.
    Duration {
        /// What was asked for.
        duration: Duration,
    },
    /// The lockout.
    Lockout {
        /// What was asked for.
        lockout: Duration,
        /// The duration of a bolus, the least that is allowed.
        duration: Duration,
    },
    /// The number in 24 hours.
    PerDay {
        /// What was asked for.
        per_day: u8,
    },
    /// The cap on mass in 24 hours.
    DailyCap {
        /// What was asked for.
        cap: Mass,
        /// One dose, the least that is allowed.
        dose: Mass,
    },
    /// A part of the day.
    Period {
        /// Its first minute.
        from: u16,
        /// The minute it ends with.
        to: u16,
    },
}

impl fmt::Display for RuleRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dose { dose } => write!(
                f,
                "a bolus of {dose} is not allowed: it must be a whole number of nanograms from 1 ng to 4294.967294 mg"
            ),
            Self::Duration { duration } => write!(
                f,
                "a bolus over {duration} is not allowed: it must take whole seconds from 1 s to 24 h"
            ),
            Self::Lockout { lockout, duration } => write!(
                f,
                "a lockout of {lockout} is not allowed: it must be whole seconds, at least the {duration} a bolus takes, at most 24 h"
            ),
            Self::PerDay { per_day } => write!(
                f,
                "{per_day} boluses in 24 hours are not allowed: from 1 to {MOST_BOLUSES_PER_DAY}"
            ),
            Self::DailyCap { cap, dose } => write!(
                f,
                "a cap of {cap} in 24 hours is not allowed: it must be whole nanograms, at least the {dose} of one bolus, below 4294.967295 mg"
            ),
            Self::Period { from, to } => write!(
                f,
                "a part of the day from minute {from} to minute {to} is not allowed: two different minutes from 0 to 1439"
            ),
        }
    }
}

impl core::error::Error for RuleRefusal {}

/// What stands in the way of a bolus apart from its limits. The order of the fields is the order in which they are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Situation {
    /// This kind of pump, or this program, has no such bolus.
    pub not_in_use: bool,
    /// Delivery is stopped.
    pub stopped: bool,
    /// An alarm that forbids boluses is active.
    pub alarm: bool,
    /// A self-test is running.
    pub self_test: bool,
    /// A refill was opened and not closed.
    pub refill_open: bool,
    /// The pump is being primed.
    pub priming: bool,
    /// A bridge is running.
    pub bridging: bool,
    /// MRI mode is on.
    pub mri_mode: bool,
    /// The reservoir is empty, or does not hold the bolus.
    pub reservoir_low: bool,
    /// The time of day is lost.
    pub clock_lost: bool,
    /// The journal is full or fails: nothing that adds drug can be recorded.
    pub journal_failing: bool,
    /// A bolus is running that this one may not interrupt.
    pub bolus_running: bool,
}

impl Situation {
    /// The first reason that holds, in the order of the fields.
    #[must_use]
    pub fn denial(&self) -> Option<Denial> {
        [
            (self.not_in_use, Denial::NotInUse),
            (self.stopped, Denial::Stopped),
            (self.alarm, Denial::Alarm),
            (self.self_test, Denial::SelfTest),
            (self.refill_open, Denial::RefillOpen),
            (self.priming, Denial::Priming),
            (self.bridging, Denial::Bridging),
            (self.mri_mode, Denial::MriMode),
            (self.reservoir_low, Denial::ReservoirLow),
            (self.clock_lost, Denial::ClockLost),
            (self.journal_failing, Denial::JournalFailing),
            (self.bolus_running, Denial::BolusRunning),
        ]
        .into_iter()
        .find_map(|(holds, denial)| holds.then_some(denial))
    }
}

/// Why a patient gets no bolus now. `Display` is a sentence for the patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Denial {
    /// This kind of pump, or this program, has no such bolus.
    NotInUse,
    /// Delivery is stopped.
    Stopped,
    /// An alarm that forbids boluses is active.
    Alarm,
    /// A self-test is running.
    SelfTest,
    /// A refill was opened and not closed.
    RefillOpen,
    /// The pump is being primed.
    Priming,
    /// A bridge is running.
    Bridging,
    /// MRI mode is on.
    MriMode,
    /// The reservoir is empty, or does not hold the bolus.
    ReservoirLow,
    /// The time of day is lost.
    ClockLost,
    /// What adds drug cannot be recorded.
    JournalFailing,
    /// A bolus is running.
    BolusRunning,
    /// The bolus would be larger than its rule says. No correct caller gets this.
    AboveRule,
    /// The lockout after the last bolus, or after programming.
    Lockout {
        /// Until it ends.
        remaining: Duration,
    },
    /// As many boluses as are allotted in 24 hours were given.
    Number {
        /// Until one of them has left the window.
        remaining: Duration,
    },
    /// The most of the drug that is allowed in 24 hours would be exceeded.
    Mass {
        /// Until enough has left the window.
        remaining: Duration,
    },
    /// As many boluses as are allowed in this part of the day were given.
    Period {
        /// Until this part of the day ends.
        remaining: Duration,
    },
}

impl Denial {
    /// The time after which the limit no longer stands in the way; `None` where nobody can tell.
    #[must_use]
    pub const fn remaining(self) -> Option<Duration> {
        match self {
            Self::Lockout { remaining }
            | Self::Number { remaining }
            | Self::Mass { remaining }
            | Self::Period { remaining } => Some(remaining),
            _ => None,
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotInUse => "Boluses on request are not set up on this pump.",
            Self::Stopped => "The pump is stopped. Call your clinic.",
            Self::Alarm => "The pump has an alarm. Call your clinic.",
            Self::SelfTest => "The pump is testing itself. Try again in a minute.",
            Self::RefillOpen => "A refill has not been finished. Call your clinic.",
            Self::Priming => "The pump is being primed. Try again later.",
            Self::Bridging => {
                "The pump is changing to another drug or strength. Boluses come back by themselves."
            }
            Self::MriMode => "The pump is in MRI mode.",
            Self::ReservoirLow => "There is too little drug left in the pump. Call your clinic.",
            Self::ClockLost => "The pump has lost the time of day. Call your clinic.",
            Self::JournalFailing => "The pump cannot record a bolus. Call your clinic.",
            Self::BolusRunning => "A bolus is being given now.",
            Self::AboveRule => "The bolus would be larger than prescribed. Call your clinic.",
            Self::Lockout { .. } => "It is too early for the next bolus.",
            Self::Number { .. } => "All boluses for 24 hours have been given.",
            Self::Mass { .. } => "The most of your drug for 24 hours has been given.",
            Self::Period { .. } => "All boluses for this part of the day have been given.",
        })?;
        match self.remaining() {
            None => Ok(()),
            Some(remaining) => {
                // Up to a whole minute: nobody comes too early.
                let minutes = remaining.micros().div_ceil(60_000_000);
                let (hours, minutes) = (minutes / 60, minutes % 60);
                match (hours, minutes) {
                    (0, minutes) => write!(f, " The next one is possible in {minutes} min."),
                    (hours, 0) => write!(f, " The next one is possible in {hours} h."),
                    (hours, minutes) => {
                        write!(f, " The next one is possible in {hours} h {minutes} min.")
                    }
                }
            }
        }
    }
}

impl core::error::Error for Denial {}

/// A bolus that may be given: goes into the ledger with [`BolusWindow::record`] before anything moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Grant {
    start: u32,
    minute: u16,
    masses: DrugMasses,
}

impl Grant {
    /// When it starts, rounded up to a second.
    #[must_use]
    pub const fn start(&self) -> PoweredTime {
        at_second(self.start)
    }

    /// What it holds.
    #[must_use]
    pub const fn masses(&self) -> &DrugMasses {
        &self.masses
    }
}

/// Boluses that count in mass and not in number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CountedBolus {
    /// A clinician's, which also counts towards the clinicians' own limit of frequency.
    Clinician,
    /// One of a periodic program.
    Periodic,
    /// A prime, with what of it is a dose.
    Prime,
}

/// The clock readings a request is judged at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BolusTime {
    /// Powered time.
    pub powered: PoweredTime,
    /// Minute of the local day, 0 to 1439; `None` when the clock is lost.
    pub minute_of_day: Option<u16>,
}

/// A bolus of the patient in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PatientEntry {
    /// Powered seconds, rounded up.
    start: u32,
    /// Minute of the local day then; [`ANY_MINUTE`] counts towards every part of the day.
    minute: u16,
    /// Which of the window's doses.
    dose: u8,
}

/// A bolus of another kind in the ledger, or several that became one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OtherEntry {
    /// Powered seconds, rounded up.
    start: u32,
    /// How many of them a clinician gave, at most [`MOST_CLINICIAN_COUNT`].
    clinician: u8,
    /// Which of the window's doses.
    dose: u8,
}

/// Stands for a minute that is no longer known.
const ANY_MINUTE: u16 = DAY_MINUTES;
/// More than any limit of clinicians' boluses.
const MOST_CLINICIAN_COUNT: u8 = 15;

/// The ledger of boluses in the last 24 hours of powered time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "EncodedWindow")]
pub struct BolusWindow {
    /// A lockout runs from here too, in powered seconds.
    locked_from: Option<u32>,
    /// In order of their starts.
    patient: Vec<PatientEntry, PATIENT_ENTRIES>,
    /// In order of their starts.
    other: Vec<OtherEntry, OTHER_ENTRIES>,
    /// The different doses; those that no entry names are free.
    doses: Vec<DrugMasses, DOSES>,
}

impl BolusWindow {
    /// Whether the patient may have a bolus now, which would hold `masses`. Changes nothing: a refusal does not restart the lockout.
    ///
    /// # Errors
    ///
    /// The reason; which one of several is said in the module's documentation, "Precedence".
    pub fn request(
        &self,
        rule: &PatientBolusRule,
        now: BolusTime,
        situation: &Situation,
        primary: Drug,
        masses: &DrugMasses,
    ) -> Result<Grant, Denial> {
        if let Some(denial) = situation.denial() {
            return Err(denial);
        }
        let minute = now
            .minute_of_day
            .filter(|&minute| minute < DAY_MINUTES)
            .ok_or(Denial::ClockLost)?;
        let dose = masses.nanograms(primary);
        if dose > rule.dose_nanograms {
            return Err(Denial::AboveRule);
        }
        let powered = now.powered;
        let mut longest: Option<(Duration, Denial)> = None;
        for (wait, denial) in [
            self.lockout_left(rule.lockout(), powered)
                .map(|remaining| (remaining, Denial::Lockout { remaining })),
            self.number_left(rule.per_day, powered)
                .map(|remaining| (remaining, Denial::Number { remaining })),
            rule.daily_cap_nanograms
                .and_then(|cap| self.mass_left(cap, primary, dose, powered))
                .map(|remaining| (remaining, Denial::Mass { remaining })),
            self.period_left(&rule.periods, minute, powered)
                .map(|remaining| (remaining, Denial::Period { remaining })),
        ]
        .into_iter()
        .flatten()
        {
            if longest.is_none_or(|(longest, _)| wait > longest) {
                longest = Some((wait, denial));
            }
        }
        match longest {
            Some((_, denial)) => Err(denial),
            None => Ok(Grant {
                start: seconds_rounded_up(powered),
                minute,
                masses: *masses,
            }),
        }
    }

    /// Enters a bolus of the patient. It is spent from here on, whether it runs to its end or not.
    pub fn record(&mut self, grant: &Grant) {
        // The start is rounded up, and the second is not over.
        self.forget_before(at_second(grant.start.saturating_sub(1)));
        if self.patient.is_full() {
            self.join_oldest_of_patient();
        }
        let entry = PatientEntry {
            start: self
                .patient
                .last()
                .map_or(grant.start, |last| last.start.max(grant.start)),
            minute: grant.minute,
            dose: self.place_of(&grant.masses),
        };
        // There is room: see above.
        let _ = self.patient.push(entry);
    }

    /// Takes back the newest entry where it is this grant: its record certainly never became durable, and nothing moved.
    pub fn withdraw(&mut self, grant: &Grant) {
        let newest = self.patient.last().copied();
        let is_it = newest.is_some_and(|entry| {
            entry.start >= grant.start
                && entry.minute == grant.minute
                && self.dose(entry.dose) == grant.masses
        });
        if is_it {
            self.patient.pop();
        }
    }

    /// Enters a bolus that counts in mass and not in number.
    pub fn record_other(&mut self, kind: CountedBolus, at: PoweredTime, masses: &DrugMasses) {
        self.forget_before(at);
        if self.other.is_full() {
            self.join_oldest_of_others();
        }
        let start = seconds_rounded_up(at);
        let entry = OtherEntry {
            start: self
                .other
                .last()
                .map_or(start, |last| last.start.max(start)),
            clinician: u8::from(kind == CountedBolus::Clinician),
            dose: self.place_of(masses),
        };
        // There is room: see above.
        let _ = self.other.push(entry);
    }

    /// A lockout starts whole: the clock was lost, or a reset left the time unknown. What seems to have started after `at` did so at
    /// `at`, so that a powered time that was lost cannot block for longer than it should.
    pub fn restart_lockout(&mut self, at: PoweredTime) {
        let at = seconds_rounded_up(at);
        for entry in &mut self.patient {
            entry.start = entry.start.min(at);
        }
        for entry in &mut self.other {
            entry.start = entry.start.min(at);
        }
        self.locked_from = Some(at);
    }

    /// The window itself was lost: in doubt the patient has had all of it by `at`, so there is nothing for 24 hours and one lockout.
    pub fn lost(&mut self, at: PoweredTime) {
        self.locked_from = Some(seconds_rounded_up(at.saturating_add(DAY)));
    }

    /// One lockout after any programming or refill \[S32\].
    pub fn programmed(&mut self, at: PoweredTime) {
        let at = seconds_rounded_up(at);
        self.locked_from = self.locked_from.max(Some(at));
    }

    /// The newest bolus in the ledger, of any kind: its start and what of a drug was ordered, rounded up.
    #[must_use]
    pub fn newest(&self, drug: Drug) -> Option<(PoweredTime, u32)> {
        let (start, dose) = self.newest_first().next()?;
        Some((at_second(start), self.dose(dose).nanograms(drug)))
    }

    /// The lockout that is left; `None` when there is none.
    #[must_use]
    pub fn lockout_left(&self, lockout: Duration, now: PoweredTime) -> Option<Duration> {
        let last = self.patient.last().map(|entry| entry.start);
        until(last.max(self.locked_from)?, lockout, now)
    }

    /// Boluses of the patient in the window.
    #[must_use]
    pub fn number(&self, now: PoweredTime) -> u8 {
        let within = self
            .patient
            .iter()
            .filter(|entry| until(entry.start, DAY, now).is_some());
        u8::try_from(within.count()).unwrap_or(u8::MAX)
    }

    /// Nanograms of a drug in the window by entries that hold a clinician's bolus, rounded up.
    #[must_use]
    pub fn clinicians_nanograms(&self, drug: Drug, now: PoweredTime) -> u64 {
        let of_clinicians = self
            .other
            .iter()
            .filter(|entry| entry.clinician > 0 && until(entry.start, DAY, now).is_some());
        of_clinicians.fold(0, |sum, entry| {
            sum.saturating_add(u64::from(self.dose(entry.dose).nanograms(drug)))
        })
    }

    /// Nanograms of a drug in the window, by boluses of every kind, rounded up.
    #[must_use]
    pub fn nanograms(&self, drug: Drug, now: PoweredTime) -> u64 {
        self.newest_first()
            .take_while(|&(start, _)| until(start, DAY, now).is_some())
            .fold(0, |sum, (_, dose)| {
                sum.saturating_add(u64::from(self.dose(dose).nanograms(drug)))
            })
    }

    /// How long until there are fewer than `most` boluses of clinicians within `window` (at most 24 hours); `None` when there are.
    pub(crate) fn clinician_left(
        &self,
        most: u8,
        window: Duration,
        now: PoweredTime,
    ) -> Option<Duration> {
        let mut number = 0_u8;
        for entry in self.other.iter().rev() {
            number = number.saturating_add(entry.clinician);
            if number >= most {
                return until(entry.start, window, now);
            }
        }
        None
    }

    /// How long until fewer than `per_day` are in the window.
    fn number_left(&self, per_day: u8, now: PoweredTime) -> Option<Duration> {
        let newer = usize::from(per_day).checked_sub(1)?;
        let has_to_leave = self.patient.iter().rev().nth(newer)?;
        until(has_to_leave.start, DAY, now)
    }

    /// How long until another `dose` of a drug does not exceed `cap`: from the newest bolus back, the first that is too much has to
    /// leave.
    fn mass_left(&self, cap: u32, drug: Drug, dose: u32, now: PoweredTime) -> Option<Duration> {
        let mut room = cap.checked_sub(dose);
        for (start, place) in self.newest_first() {
            let remaining = until(start, DAY, now)?;
            room = room.and_then(|room| room.checked_sub(self.dose(place).nanograms(drug)));
            if room.is_none() {
                return Some(remaining);
            }
        }
        None
    }

    /// How long until no part of the day that is full goes on.
    fn period_left(
        &self,
        periods: &[PeriodCap],
        minute: u16,
        now: PoweredTime,
    ) -> Option<Duration> {
        periods
            .iter()
            .filter(|cap| cap.contains(minute))
            .filter(|cap| {
                let reach = cap.reach(minute);
                let given = self
                    .patient
                    .iter()
                    .filter(|entry| entry.minute == ANY_MINUTE || cap.contains(entry.minute))
                    .filter(|entry| until(entry.start, reach, now).is_some())
                    .count();
                given >= usize::from(cap.most)
            })
            .map(|cap| Duration::from_minutes(u32::from(minutes_from(minute, cap.to))))
            .max()
    }

    /// Starts and doses of everything, newest first.
    fn newest_first(&self) -> impl Iterator<Item = (u32, u8)> + '_ {
        let mut patient = self.patient.iter().rev().peekable();
        let mut other = self.other.iter().rev().peekable();
        core::iter::from_fn(move || {
            let newer_patient = patient.peek().map(|entry| entry.start);
            let newer_other = other.peek().map(|entry| entry.start);
            if newer_patient > newer_other {
                patient.next().map(|entry| (entry.start, entry.dose))
            } else {
                other.next().map(|entry| (entry.start, entry.dose))
            }
        })
    }

    /// A dose by its place. A place that is not there, which no window has, counts as more than any cap.
    fn dose(&self, place: u8) -> DrugMasses {
        self.doses
            .get(usize::from(place))
            .copied()
            .unwrap_or(DrugMasses([u32::MAX; DRUGS]))
    }

    /// The place of a dose: an equal one, a free one, or the last, which becomes as large as either.
    fn place_of(&mut self, masses: &DrugMasses) -> u8 {
        let mut used = [false; DOSES];
        let places = self.patient.iter().map(|entry| entry.dose);
        for place in places.chain(self.other.iter().map(|entry| entry.dose)) {
            if let Some(used) = used.get_mut(usize::from(place)) {
                *used = true;
            }
        }
        let equal = self.doses.iter().position(|dose| dose == masses);
        let free = || used.iter().position(|used| !used);
        let place = equal.or_else(free);
        match place.and_then(|place| self.doses.get_mut(place)) {
            Some(dose) => *dose = *masses,
            None => {
                if self.doses.push(*masses).is_err()
                    && let Some(last) = self.doses.last_mut()
                {
                    *last = last.at_least(masses);
                }
            }
        }
        // The first free place of those that were never used is the next one.
        let place = place.unwrap_or(DOSES.saturating_sub(1));
        u8::try_from(place).unwrap_or(u8::MAX)
    }

    /// Forgets what has left the window.
    fn forget_before(&mut self, now: PoweredTime) {
        self.patient
            .retain(|entry| until(entry.start, DAY, now).is_some());
        self.other
            .retain(|entry| until(entry.start, DAY, now).is_some());
        // A lockout is at most 24 hours.
        self.locked_from = self
            .locked_from
            .filter(|&from| until(from, LONGEST_BOLUS, now).is_some());
    }

    /// Makes one of the two oldest boluses of the patient. Their number falls by one, but only where it is as large as any rule allots,
    /// and it stays there until the later of both has left.
    fn join_oldest_of_patient(&mut self) {
        let mut oldest = self.patient.iter().copied();
        let (Some(first), Some(second)) = (oldest.next(), oldest.next()) else {
            return;
        };
        self.patient.remove(0);
        let sum = self.dose(first.dose).sum(&self.dose(second.dose));
        let dose = self.place_of(&sum);
        if let Some(joined) = self.patient.first_mut() {
            joined.dose = dose;
            if first.minute != second.minute {
                joined.minute = ANY_MINUTE;
            }
        }
    }

    /// Makes one of the two oldest of the others.
    fn join_oldest_of_others(&mut self) {
        let mut oldest = self.other.iter().copied();
        let (Some(first), Some(second)) = (oldest.next(), oldest.next()) else {
            return;
        };
        self.other.remove(0);
        let sum = self.dose(first.dose).sum(&self.dose(second.dose));
        let dose = self.place_of(&sum);
        if let Some(joined) = self.other.first_mut() {
            joined.dose = dose;
            joined.clinician = first
                .clinician
                .saturating_add(second.clinician)
                .min(MOST_CLINICIAN_COUNT);
        }
    }
}

/// The window as it is read: times as seconds before the one after, newest first, so that most take two bytes; what belongs to one entry
/// in one number, which takes two bytes for a patient's and one for another's.
#[derive(Deserialize)]
struct EncodedWindow {
    newest: u32,
    locked_from: Option<u32>,
    patient: Vec<(u32, u16), PATIENT_ENTRIES>,
    other: Vec<(u32, u8), OTHER_ENTRIES>,
    doses: Vec<DrugMasses, DOSES>,
}

/// The window as it is written: the same without a copy of it on the stack.
#[derive(Serialize)]
#[serde(rename = "EncodedWindow")]
struct WrittenWindow<'a> {
    newest: u32,
    locked_from: Option<u32>,
    patient: WrittenPatient<'a>,
    other: WrittenOther<'a>,
    doses: &'a Vec<DrugMasses, DOSES>,
}

/// The newest start of the window, and entries.
struct WrittenPatient<'a>(u32, &'a [PatientEntry]);
/// The newest start of the window, and entries.
struct WrittenOther<'a>(u32, &'a [OtherEntry]);

impl Serialize for WrittenPatient<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut later = self.0;
        serializer.collect_seq(self.1.iter().rev().map(|entry| {
            let tag = entry.minute.saturating_mul(WIDE_PLACES);
            let tag = tag.saturating_add(u16::from(entry.dose));
            (seconds_before(&mut later, entry.start), tag)
        }))
    }
}

impl Serialize for WrittenOther<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut later = self.0;
        serializer.collect_seq(self.1.iter().rev().map(|entry| {
            let tag = entry.clinician.saturating_mul(PLACES);
            let tag = tag.saturating_add(entry.dose);
            (seconds_before(&mut later, entry.start), tag)
        }))
    }
}

impl Serialize for BolusWindow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let newest = self.newest_first().next().map_or(0, |(start, _)| start);
        WrittenWindow {
            newest,
            locked_from: self.locked_from,
            patient: WrittenPatient(newest, &self.patient),
            other: WrittenOther(newest, &self.other),
            doses: &self.doses,
        }
        .serialize(serializer)
    }
}

/// Places of doses in an encoded entry: a power of two above [`DOSES`].
const PLACES: u8 = 8;
/// The same for entries of the patient, of 16 bits.
const WIDE_PLACES: u16 = 8;

/// How long before `later` a start is; the next one is counted from there.
const fn seconds_before(later: &mut u32, start: u32) -> u32 {
    let seconds = later.saturating_sub(start);
    *later = start;
    seconds
}

/// A ledger that no pump has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignWindow;

impl fmt::Display for ForeignWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ledger of boluses contradicts itself")
    }
}

impl core::error::Error for ForeignWindow {}

impl TryFrom<EncodedWindow> for BolusWindow {
    type Error = ForeignWindow;

    fn try_from(encoded: EncodedWindow) -> Result<Self, ForeignWindow> {
        let mut window = Self {
            locked_from: encoded.locked_from,
            doses: encoded.doses,
            ..Self::default()
        };
        let there = |place: u8| usize::from(place) < window.doses.len();
        let mut later = encoded.newest;
        for (seconds, tag) in encoded.patient {
            later = later.checked_sub(seconds).ok_or(ForeignWindow)?;
            let entry = PatientEntry {
                start: later,
                minute: tag / WIDE_PLACES,
                dose: u8::try_from(tag % WIDE_PLACES).unwrap_or(u8::MAX),
            };
            if entry.minute > ANY_MINUTE || !there(entry.dose) {
                return Err(ForeignWindow);
            }
            // As much room as in what it comes from.
            let _ = window.patient.push(entry);
        }
        later = encoded.newest;
        for (seconds, tag) in encoded.other {
            later = later.checked_sub(seconds).ok_or(ForeignWindow)?;
            let entry = OtherEntry {
                start: later,
                clinician: tag / PLACES,
                dose: tag % PLACES,
            };
            if entry.clinician > MOST_CLINICIAN_COUNT || !there(entry.dose) {
                return Err(ForeignWindow);
            }
            // As much room as in what it comes from.
            let _ = window.other.push(entry);
        }
        window.patient.reverse();
        window.other.reverse();
        Ok(window)
    }
}

/// Powered time in whole seconds, rounded up, at most `u32::MAX` (136 years).
fn seconds_rounded_up(at: PoweredTime) -> u32 {
    u32::try_from(at.micros().div_ceil(SECOND)).unwrap_or(u32::MAX)
}

/// The moment of a second of powered time.
const fn at_second(seconds: u32) -> PoweredTime {
    PoweredTime::ZERO.saturating_add(Duration::from_seconds(seconds))
}

/// How long until `span` after `start` has passed; `None` when it has, to the very moment.
fn until(start: u32, span: Duration, now: PoweredTime) -> Option<Duration> {
    at_second(start)
        .saturating_add(span)
        .checked_since(now)
        .filter(|&remaining| remaining != Duration::ZERO)
}

/// When requests were denied, as far as the alarm needs it: three within 24 hours raise it (GIP 1.4.12; the number \[P\], clinical
/// reference 4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeniedRequests {
    /// The two before the next one, in powered seconds rounded up, the older first.
    last: (Option<u32>, Option<u32>),
}

impl DeniedRequests {
    /// Notes a denial. Whether to raise the alarm: this is at least the third within 24 hours.
    pub fn denied(&mut self, now: PoweredTime) -> bool {
        let (before_last, last) = self.last;
        self.last = (last, Some(seconds_rounded_up(now)));
        before_last.is_some_and(|at| until(at, DAY, now).is_some())
    }
}

/// The keys whose requests are numbered.
pub const KEY_SLOTS: usize = 8;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestOutcome {
    /// A bolus, with the number of its job.
    Granted {
        /// The job's number.
        job: u32,
    },
    /// No bolus.
    Denied,
}

/// Whether a request is to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestNumber {
    /// It has not been seen: judge it, then say what became of it with [`RequestNumbers::decided`].
    New,
    /// It was judged: answer the same again, and do nothing.
    Already(RequestOutcome),
    /// A later one was judged, or there is no such key: refuse it and do nothing.
    Refused,
}

/// At most one bolus for one request: the newest number of every key that was judged, and what became of it. Durable before the bolus
/// starts, in the same record as the bolus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestNumbers([Option<(u32, RequestOutcome)>; KEY_SLOTS]);

impl RequestNumbers {
    /// The newest number of a key that was judged; 0 before the first.
    #[must_use]
    pub fn newest(&self, slot: u8) -> u32 {
        match self.0.get(usize::from(slot)) {
            Some(Some((newest, _))) => *newest,
            Some(None) | None => 0,
        }
    }

    /// Whether request `number` of the key in `slot` (0 to 7) is to be judged.
    #[must_use]
    pub fn look_up(&self, slot: u8, number: u32) -> RequestNumber {
        match self.0.get(usize::from(slot)) {
            None => RequestNumber::Refused,
            Some(None) => RequestNumber::New,
            Some(&Some((newest, outcome))) => match number.cmp(&newest) {
                core::cmp::Ordering::Less => RequestNumber::Refused,
                core::cmp::Ordering::Equal => RequestNumber::Already(outcome),
                core::cmp::Ordering::Greater => RequestNumber::New,
            },
        }
    }

    /// Notes what became of a request. One that is not new, or whose key is none, changes nothing.
    pub fn decided(&mut self, slot: u8, number: u32, outcome: RequestOutcome) {
        if self.look_up(slot, number) == RequestNumber::New
            && let Some(place) = self.0.get_mut(usize::from(slot))
        {
            *place = Some((number, outcome));
        }
    }

    /// A new key is in the slot, whose numbers begin anew.
    pub fn new_key(&mut self, slot: u8) {
        if let Some(place) = self.0.get_mut(usize::from(slot)) {
            *place = None;
        }
    }
}

/// A line that a patient presses for a bolus: one request for one press, however long it is held (clinical reference 4.5, row 23).
///
/// | state | pressed | released |
/// |---|---|---|
/// | not known (boot) | held since now, no request | released |
/// | released | held since now, **request** | - |
/// | held | after 60 s **stuck**, once | released |
/// | stuck | - | released |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestLine(LineState);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LineState {
    #[default]
    Unknown,
    Released,
    Held(PumpTime),
    Stuck,
}

/// What a request line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEvent {
    /// The patient asks for a bolus.
    Request,
    /// The line has been held for [`STUCK_AFTER`]: raise an alarm.
    Stuck,
}

impl RequestLine {
    /// The level of the line, debounced, at every change and at least every second while pressed.
    pub fn level(&mut self, pressed: bool, now: PumpTime) -> Option<LineEvent> {
        let (state, event) = match (self.0, pressed) {
            (_, false) => (LineState::Released, None),
            (LineState::Unknown, true) => (LineState::Held(now), None),
            (LineState::Released, true) => (LineState::Held(now), Some(LineEvent::Request)),
            (LineState::Held(since), true) if now.saturating_since(since) >= STUCK_AFTER => {
                (LineState::Stuck, Some(LineEvent::Stuck))
            }
            (state @ (LineState::Held(_) | LineState::Stuck), true) => (state, None),
        };
        self.0 = state;
        event
    }
}

#[cfg(test)]
mod tests;
