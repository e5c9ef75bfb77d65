//! Alarms: the table of what each is, and the state machine that decides which one sounds now.
//!
//! # A kind of alarm
//!
//! Two things are kept of each kind: whether its condition is present, and whether an alarm of it waits to be acknowledged.
//!
//! | state | raise | clear | acknowledge |
//! |---|---|---|---|
//! | inactive | active, sounds at once | inactive | inactive |
//! | active: present, not acknowledged | active | latched; inactive where it [ends by itself](Ending::WithCondition) | acknowledged |
//! | latched: gone, not acknowledged | active, sounds at once | latched | inactive |
//! | acknowledged: present, and a clinician knows | acknowledged | inactive | acknowledged |
//!
//! An acknowledged alarm goes on sounding at its interval: what is present is never silent for good. A latched one is silent, its
//! condition being gone, except where the table says [`Ending::SoundsUntilAcknowledged`].
//!
//! # Sound
//!
//! | event | effect on sound |
//! |---|---|
//! | raise | the kind waits for its tone, also if it was silenced |
//! | clear, acknowledge | a kind that no longer sounds does not wait either |
//! | interval of a class over, none waits | every kind of it that sounds waits for its tone |
//! | tick, no tone running | the waiting kind of highest priority that is not muted sounds; the others wait their turn |
//! | silence (external pump) | the kind is muted, at most [`LONGEST_SILENCE`] and never before it has sounded |
//! | defer (MRI) | what waits now sounds first; then everything is muted, at most [`LONGEST_DEFERRAL`] |
//! | mute over | what waits sounds |
//! | reset | mutes are over; everything that sounds waits for its tone |
//!
//! A mute that runs is never lengthened by another; and what has waited through one sounds before the next begins. So nothing present
//! is silent for longer than its interval and one mute, and the tones that go before it.

use core::fmt;

use serde::{Deserialize, Serialize};
use units::{AlarmKind, Duration, PoweredTime, PumpKind};

/// The longest silence of an external pump: GIP 3.2.1 \[S31\].
pub const LONGEST_SILENCE: Duration = Duration::from_minutes(2);

/// The longest that MRI mode defers tones \[P\].
pub const LONGEST_DEFERRAL: Duration = Duration::from_hours(2);

/// Between two tones \[P\]: with the longest tone, less than the 5 s within which an alarm sounds (clinical reference, criterion 19).
const PAUSE: Duration = Duration::from_seconds(1);

/// A critical tone of an implant \[S41\], and a burst of an external pump \[GK\].
const LONG_TONE: Duration = Duration::from_seconds(3);

/// A non-critical tone of an implant \[S41\].
const SHORT_TONE: Duration = Duration::from_seconds(1);

/// How often a critical alarm of an external pump sounds \[P\]: within the 15 s between bursts of high and the 30 s of medium priority
/// that IEC 60601-1-8 allows \[GK\].
const EXTERNAL_CRITICAL: Duration = Duration::from_seconds(10);

/// How often a non-critical alarm of an external pump sounds \[P\]: IEC 60601-1-8 wants more than 15 s between bursts of low priority
/// \[GK\].
const EXTERNAL_NON_CRITICAL: Duration = Duration::from_seconds(30);

/// A set of kinds of alarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlarmSet(u32);

impl AlarmSet {
    /// Every alarm.
    pub const ALL: Self = Self((1 << AlarmKind::ALL.len()) - 1);
    /// No kind.
    pub const NONE: Self = Self(0);

    /// A single kind.
    #[must_use]
    #[expect(
        clippy::as_conversions,
        reason = "the number of a kind, at most 28; an enum has no From"
    )]
    pub const fn of(kind: AlarmKind) -> Self {
        Self(1_u32.wrapping_shl(kind as u32))
    }

    /// What is in either.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether the kind is in it.
    #[must_use]
    pub const fn contains(self, kind: AlarmKind) -> bool {
        !self.and(Self::of(kind)).is_empty()
    }

    /// Whether no kind is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its kinds, in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = AlarmKind> {
        AlarmKind::ALL
            .iter()
            .copied()
            .filter(move |kind| self.contains(*kind))
    }

    /// Its kind of highest priority.
    #[must_use]
    pub fn highest(self) -> Option<AlarmKind> {
        self.iter().min_by_key(|kind| Alarm::of(*kind).priority)
    }
}

/// How bad an alarm is on an implant (clinical reference, 1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlarmClass {
    /// Therapy is at risk.
    Critical,
    /// Something is to be done in days.
    NonCritical,
}

/// How urgent an alarm is on an external pump: the priorities of IEC 60601-1-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Urgency {
    /// Somebody has to act at once.
    High,
    /// Somebody has to act promptly.
    Medium,
    /// Somebody has to know.
    Low,
}

/// What a beeper or loudspeaker plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sound {
    /// 3 s of two tones by turns: an implant, critical \[S41\].
    TwoTone,
    /// 1 s of a single tone: an implant, not critical \[S41\].
    SingleTone,
    /// A burst of IEC 60601-1-8: an external pump.
    Burst(Urgency),
}

impl Sound {
    /// How long it lasts.
    #[must_use]
    pub const fn duration(self) -> Duration {
        match self {
            Self::SingleTone => SHORT_TONE,
            Self::TwoTone | Self::Burst(_) => LONG_TONE,
        }
    }
}

/// When an alarm ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// With its condition.
    WithCondition,
    /// When its condition is gone and a clinician has acknowledged it; silent once the condition is gone.
    Latched,
    /// As [`Ending::Latched`], and it sounds until it is acknowledged: what has happened is not undone by being over.
    SoundsUntilAcknowledged,
}

/// A row of the alarm table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Its class.
    pub class: AlarmClass,
    /// Its place among all alarms: 1 is the highest, and no two have the same.
    pub priority: u8,
    /// Its urgency on an external pump.
    pub urgency: Urgency,
    /// When it ends.
    pub ending: Ending,
    /// Whether boluses are refused while it sounds: GIP 1.4.11 \[S31\].
    pub forbids_boluses: bool,
}

impl Alarm {
    /// The row of a kind.
    ///
    /// Classes are those of clinical.md 1.9 \[S25\]\[S41\]\[S53\] and of docs/therapy.md, "Fault table"; priorities, urgencies and
    /// endings are \[P\]: too much drug before too little, both before what is only known less well.
    #[must_use]
    pub const fn of(kind: AlarmKind) -> Self {
        use Ending::{Latched, SoundsUntilAcknowledged as Sounds, WithCondition};
        use Urgency::{High, Medium};
        match kind {
            AlarmKind::OverDelivery => Self::critical(1, High, Sounds),
            AlarmKind::ReverseDelivery => Self::critical(2, High, Sounds),
            AlarmKind::Interlock => Self::critical(3, High, Sounds),
            // 10 mg/mL replaced by 20 mg/mL and not entered is twice the dose.
            AlarmKind::RefillNotConfirmed => Self::critical(4, High, Latched),
            AlarmKind::DeliveryLost => Self::critical(5, High, Latched),
            AlarmKind::EndOfService => Self::critical(6, High, Latched),
            AlarmKind::EmptyReservoir => Self::critical(7, High, Latched),
            AlarmKind::MotorStall => Self::critical(8, High, Latched),
            AlarmKind::MotorDriver => Self::critical(9, High, Sounds),
            AlarmKind::ProgramLost => Self::critical(10, High, Sounds),
            AlarmKind::Commissioning => Self::critical(11, High, Sounds),
            AlarmKind::SelfTest => Self::critical(12, High, Sounds),
            AlarmKind::StoppedTooLong => Self::critical(13, Medium, Latched),
            AlarmKind::UnderDelivery => Self::critical(14, Medium, Latched),
            AlarmKind::ResumedAtMinimum => Self::critical(15, Medium, Sounds),
            AlarmKind::EmergencyMinimumRate => Self::critical(16, Medium, Sounds),
            AlarmKind::ClockLost => Self::critical(17, Medium, Latched),
            AlarmKind::BridgeLost => Self::critical(18, Medium, Sounds),
            AlarmKind::MemoryLost => Self::critical(19, Medium, Sounds),
            AlarmKind::TrialExpired => Self::critical(20, Medium, Latched),
            // Basal is back and lockouts are whole: a patient in pain need not wait for a session.
            AlarmKind::Restarted => Self::critical(21, Medium, Sounds).with_boluses(),
            AlarmKind::ReplaceNow => Self::critical(22, Medium, Latched).with_boluses(),
            AlarmKind::LowReservoir => Self::non_critical(23, WithCondition),
            AlarmKind::ClockSuspect => Self::non_critical(24, WithCondition),
            AlarmKind::MemoryRepaired => Self::non_critical(25, Sounds),
            AlarmKind::ReplacementDue => Self::non_critical(26, Latched),
            AlarmKind::TrialEnding => Self::non_critical(27, WithCondition),
            AlarmKind::DrugExpired => Self::non_critical(28, WithCondition),
            AlarmKind::BolusesDenied => Self::non_critical(29, WithCondition),
        }
    }

    const fn critical(priority: u8, urgency: Urgency, ending: Ending) -> Self {
        Self {
            class: AlarmClass::Critical,
            priority,
            urgency,
            ending,
            forbids_boluses: true,
        }
    }

    const fn non_critical(priority: u8, ending: Ending) -> Self {
        Self {
            class: AlarmClass::NonCritical,
            priority,
            urgency: Urgency::Low,
            ending,
            forbids_boluses: false,
        }
    }

    const fn with_boluses(mut self) -> Self {
        self.forbids_boluses = false;
        self
    }

    /// What it sounds like on a kind of pump.
    #[must_use]
    pub const fn sound(self, pump: PumpKind) -> Sound {
        match (pump, self.class) {
            (PumpKind::ExternalTrial, _) => Sound::Burst(self.urgency),
            (_, AlarmClass::Critical) => Sound::TwoTone,
            (_, AlarmClass::NonCritical) => Sound::SingleTone,
        }
    }
}

/// The table by columns.
struct Columns {
    critical: AlarmSet,
    latching: AlarmSet,
    sounding_latched: AlarmSet,
    forbidding_boluses: AlarmSet,
}

/// The columns, and the proof that priorities are unique and follow the class: a table that breaks this does not build.
const TABLE: Columns = {
    let mut columns = Columns {
        critical: AlarmSet::NONE,
        latching: AlarmSet::NONE,
        sounding_latched: AlarmSet::NONE,
        forbidding_boluses: AlarmSet::NONE,
    };
    let (mut taken, mut last_critical, mut first_other) = (0_u64, u8::MIN, u8::MAX);
    let mut kinds = AlarmKind::ALL;
    while let [kind, rest @ ..] = kinds {
        let (alarm, this) = (Alarm::of(*kind), AlarmSet::of(*kind));
        assert!(
            1 <= alarm.priority && alarm.priority < 64,
            "priorities are from 1 to 63"
        );
        let place = 1_u64 << alarm.priority;
        assert!(taken & place == 0, "two alarms have the same priority");
        taken |= place;
        if matches!(alarm.class, AlarmClass::Critical) {
            columns.critical = columns.critical.with(this);
            if alarm.priority > last_critical {
                last_critical = alarm.priority;
            }
        } else if alarm.priority < first_other {
            first_other = alarm.priority;
        }
        if !matches!(alarm.ending, Ending::WithCondition) {
            columns.latching = columns.latching.with(this);
        }
        if matches!(alarm.ending, Ending::SoundsUntilAcknowledged) {
            columns.sounding_latched = columns.sounding_latched.with(this);
        }
        if alarm.forbids_boluses {
            columns.forbidding_boluses = columns.forbidding_boluses.with(this);
        }
        kinds = rest;
    }
    assert!(
        last_critical < first_other,
        "a critical alarm goes before every other"
    );
    // A critical alarm is latched until a clinician acknowledges it in a session (clinical reference, 1.9).
    assert!(
        columns.critical.without(columns.latching).is_empty(),
        "every critical alarm latches"
    );
    columns
};

/// How often an implant's alarms sound. There is no value that means never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmIntervals {
    critical_minutes: u8,
    non_critical_hours: u8,
}

impl AlarmIntervals {
    /// Minutes allowed for critical alarms \[P\].
    pub const CRITICAL_MINUTES: core::ops::RangeInclusive<u8> = 10..=120;
    /// Hours allowed for the others \[P\].
    pub const NON_CRITICAL_HOURS: core::ops::RangeInclusive<u8> = 1..=24;
    /// 10 min \[GK\] and 1 h \[S52\].
    pub const DEFAULT: Self = Self {
        critical_minutes: 10,
        non_critical_hours: 1,
    };

    /// Intervals of [`AlarmIntervals::CRITICAL_MINUTES`] and [`AlarmIntervals::NON_CRITICAL_HOURS`].
    ///
    /// # Errors
    /// [`AlarmRefusal::CriticalInterval`], [`AlarmRefusal::NonCriticalInterval`].
    pub fn new(critical_minutes: u8, non_critical_hours: u8) -> Result<Self, AlarmRefusal> {
        if !Self::CRITICAL_MINUTES.contains(&critical_minutes) {
            return Err(AlarmRefusal::CriticalInterval {
                minutes: critical_minutes,
            });
        }
        if !Self::NON_CRITICAL_HOURS.contains(&non_critical_hours) {
            return Err(AlarmRefusal::NonCriticalInterval {
                hours: non_critical_hours,
            });
        }
        Ok(Self {
            critical_minutes,
            non_critical_hours,
        })
    }

    /// The interval of a class. It is inside its limits whatever a record said.
    #[must_use]
    pub fn of(self, class: AlarmClass) -> Duration {
        match class {
            AlarmClass::Critical => Duration::from_minutes(u32::from(self.critical_minutes.clamp(
                *Self::CRITICAL_MINUTES.start(),
                *Self::CRITICAL_MINUTES.end(),
            ))),
            AlarmClass::NonCritical => {
                Duration::from_hours(u32::from(self.non_critical_hours.clamp(
                    *Self::NON_CRITICAL_HOURS.start(),
                    *Self::NON_CRITICAL_HOURS.end(),
                )))
            }
        }
    }
}

impl Default for AlarmIntervals {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why an alarm is not silenced, or an interval not set. `Display` gives the value and what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmRefusal {
    /// An interval of critical alarms out of its range.
    CriticalInterval {
        /// What was asked for, in minutes.
        minutes: u8,
    },
    /// An interval of other alarms out of its range.
    NonCriticalInterval {
        /// What was asked for, in hours.
        hours: u8,
    },
    /// An implant is not silenced: its alarms have intervals.
    Implant,
    /// A silence that is too long.
    SilenceTooLong {
        /// What was asked for.
        silence: Duration,
    },
    /// The alarm does not sound, so there is nothing to silence.
    NotSounding {
        /// The alarm.
        kind: AlarmKind,
    },
    /// The alarm has not sounded yet, or not since the last silence.
    NotYetHeard {
        /// The alarm.
        kind: AlarmKind,
    },
}

impl fmt::Display for AlarmRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CriticalInterval { minutes } => write!(
                f,
                "critical alarms cannot sound every {minutes} min: the interval must be from 10 to 120 min"
            ),
            Self::NonCriticalInterval { hours } => write!(
                f,
                "non-critical alarms cannot sound every {hours} h: the interval must be from 1 to 24 h"
            ),
            Self::Implant => f.write_str(
                "an implanted pump is not silenced: a clinician can set the interval of its alarms",
            ),
            Self::SilenceTooLong { silence } => write!(
                f,
                "an alarm cannot be silenced for {silence}: at most {LONGEST_SILENCE} are allowed"
            ),
            Self::NotSounding { kind } => {
                write!(
                    f,
                    "the alarm \"{kind}\" does not sound: there is nothing to silence"
                )
            }
            Self::NotYetHeard { kind } => write!(
                f,
                "the alarm \"{kind}\" has not sounded yet: it can be silenced after its tone"
            ),
        }
    }
}

impl core::error::Error for AlarmRefusal {}

/// How an alarm stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlarmState {
    /// Nothing is the matter.
    Inactive,
    /// The condition is present and not acknowledged.
    Active,
    /// The condition is gone and was not acknowledged.
    Latched,
    /// The condition is present and a clinician has acknowledged it.
    Acknowledged,
}

/// A tone to play now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tone {
    /// The class of the alarm.
    pub class: AlarmClass,
    /// The alarm.
    pub kind: AlarmKind,
    /// What to play.
    pub sound: Sound,
}

/// All alarms of a pump.
///
/// What is stored is what is present, what waits to be acknowledged, and the intervals. Silence and deferral are not: after a reset
/// everything that sounds does so at the first [`Alarms::tick`], and whoever judges a condition has to say whether it is still present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarms {
    present: AlarmSet,
    unacknowledged: AlarmSet,
    intervals: AlarmIntervals,
    pump: PumpKind,
    /// Muted is everything, not only what was silenced.
    #[serde(skip)]
    deferring: bool,
    /// Waiting for a tone.
    #[serde(skip)]
    waiting: AlarmSet,
    /// Not to sound until `muted_until`.
    #[serde(skip)]
    muted: AlarmSet,
    #[serde(skip)]
    muted_until: PoweredTime,
    /// When all critical alarms wait for their tone again; long past when none sounds.
    #[serde(skip)]
    next_critical: PoweredTime,
    /// The same of the others.
    #[serde(skip)]
    next_non_critical: PoweredTime,
    /// Until when a tone and the pause after it last.
    #[serde(skip)]
    busy_until: PoweredTime,
}

impl Alarms {
    /// No alarm.
    #[must_use]
    pub const fn new(pump: PumpKind) -> Self {
        Self {
            present: AlarmSet::NONE,
            unacknowledged: AlarmSet::NONE,
            intervals: AlarmIntervals::DEFAULT,
            pump,
            deferring: false,
            waiting: AlarmSet::NONE,
            muted: AlarmSet::NONE,
            muted_until: PoweredTime::ZERO,
            next_critical: PoweredTime::ZERO,
            next_non_critical: PoweredTime::ZERO,
            busy_until: PoweredTime::ZERO,
        }
    }

    /// The condition of an alarm is present. It may be said again and again. True when that is new, which belongs in the log.
    pub fn raise(&mut self, kind: AlarmKind, now: PoweredTime) -> bool {
        if self.present.contains(kind) {
            return false;
        }
        self.catch_up(now);
        let (class, this) = (Alarm::of(kind).class, AlarmSet::of(kind));
        if self.sounding_of(class).is_empty() {
            self.start_interval(class, now);
        }
        self.present = self.present.with(this);
        self.unacknowledged = self.unacknowledged.with(this);
        self.waiting = self.waiting.with(this);
        if !self.deferring {
            self.muted = self.muted.without(this);
        }
        true
    }

    /// The condition of an alarm is gone. It may be said again and again. True when that is new.
    pub fn clear(&mut self, kind: AlarmKind) -> bool {
        if !self.present.contains(kind) {
            return false;
        }
        let this = AlarmSet::of(kind);
        self.present = self.present.without(this);
        if !TABLE.latching.contains(kind) {
            self.unacknowledged = self.unacknowledged.without(this);
        }
        self.quieten(this);
        true
    }

    /// Raises those of `judged` that are present and clears the others. Tells which raised ones are new.
    pub fn update(&mut self, judged: AlarmSet, present: AlarmSet, now: PoweredTime) -> AlarmSet {
        let mut raised = AlarmSet::NONE;
        for kind in judged.iter() {
            if !present.contains(kind) {
                self.clear(kind);
            } else if self.raise(kind, now) {
                raised = raised.with(AlarmSet::of(kind));
            }
        }
        raised
    }

    /// A condition that is over as soon as it is noticed, such as a restart: [`Alarms::raise`], then [`Alarms::clear`]. True when it
    /// was not known.
    pub fn happened(&mut self, kind: AlarmKind, now: PoweredTime) -> bool {
        let raised = self.raise(kind, now);
        self.clear(kind);
        raised
    }

    /// A clinician has acknowledged an alarm in a session; the caller has checked the role. True when it was not acknowledged before.
    ///
    /// What is present stays, and goes on sounding at its interval.
    pub fn acknowledge(&mut self, kind: AlarmKind) -> bool {
        if !self.unacknowledged.contains(kind) {
            return false;
        }
        let this = AlarmSet::of(kind);
        self.unacknowledged = self.unacknowledged.without(this);
        self.quieten(this);
        true
    }

    /// Silences an alarm of an external pump for a while. A silence that runs already is joined and not lengthened.
    ///
    /// # Errors
    /// [`AlarmRefusal`]; nothing has changed then.
    pub fn silence(
        &mut self,
        kind: AlarmKind,
        silence: Duration,
        now: PoweredTime,
    ) -> Result<(), AlarmRefusal> {
        if self.pump != PumpKind::ExternalTrial {
            return Err(AlarmRefusal::Implant);
        }
        if silence > LONGEST_SILENCE {
            return Err(AlarmRefusal::SilenceTooLong { silence });
        }
        if !self.sounding().contains(kind) {
            return Err(AlarmRefusal::NotSounding { kind });
        }
        self.end_mute(now);
        if self.muted.contains(kind) {
            return Ok(());
        }
        if self.waiting.contains(kind) {
            return Err(AlarmRefusal::NotYetHeard { kind });
        }
        let until = now.saturating_add(silence);
        self.muted_until = if self.muted.is_empty() {
            until
        } else {
            self.muted_until.min(until)
        };
        self.muted = self.muted.with(AlarmSet::of(kind));
        Ok(())
    }

    /// Defers all tones until `until`, and never for longer than [`LONGEST_DEFERRAL`]: MRI mode has begun. What waits for its tone now
    /// still sounds. A deferral that runs already is not lengthened; `until` in the past ends it.
    pub fn defer(&mut self, until: PoweredTime, now: PoweredTime) {
        self.catch_up(now);
        let until = until.min(now.saturating_add(LONGEST_DEFERRAL));
        if self.deferring {
            self.muted_until = self.muted_until.min(until);
        } else {
            // A silence that runs ends here: what it held back goes first.
            self.muted_until = now;
        }
        self.end_mute(now);
        if !self.deferring && now < until {
            self.deferring = true;
            self.muted = AlarmSet(!self.waiting.0);
            self.muted_until = until;
        }
    }

    /// Sets how often an implant's alarms sound; intervals that run are cut to the new ones. An external pump has its own.
    pub fn set_intervals(&mut self, intervals: AlarmIntervals, now: PoweredTime) {
        self.intervals = intervals;
        self.next_critical = self
            .next_critical
            .min(now.saturating_add(self.interval(AlarmClass::Critical)));
        self.next_non_critical = self
            .next_non_critical
            .min(now.saturating_add(self.interval(AlarmClass::NonCritical)));
    }

    /// The pump was commissioned as another kind.
    pub const fn set_pump(&mut self, pump: PumpKind) {
        self.pump = pump;
    }

    /// The tone to play now, if one is due. Call after every change, and at [`Alarms::next_call`].
    pub fn tick(&mut self, now: PoweredTime) -> Option<Tone> {
        self.catch_up(now);
        if now < self.busy_until {
            return None;
        }
        let kind = self.audible().highest()?;
        let (alarm, this) = (Alarm::of(kind), AlarmSet::of(kind));
        self.waiting = self.waiting.without(this);
        if self.deferring {
            self.muted = self.muted.with(this);
        }
        let sound = alarm.sound(self.pump);
        self.busy_until = now.saturating_add(sound.duration()).saturating_add(PAUSE);
        Some(Tone {
            class: alarm.class,
            kind,
            sound,
        })
    }

    /// When to call [`Alarms::tick`] again; `None` when nothing sounds. A moment that is already past means now.
    #[must_use]
    pub fn next_call(&self) -> Option<PoweredTime> {
        if !self.audible().is_empty() {
            return Some(self.busy_until);
        }
        let held_back = if self.deferring {
            self.waiting.and(self.muted)
        } else {
            self.muted
        };
        let unmuted = (!held_back.is_empty()).then_some(self.muted_until);
        let due = |class, next| (!self.sounding_of(class).is_empty()).then_some(next);
        [
            unmuted,
            due(AlarmClass::Critical, self.next_critical),
            due(AlarmClass::NonCritical, self.next_non_critical),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// How an alarm stands.
    #[must_use]
    pub const fn state(&self, kind: AlarmKind) -> AlarmState {
        match (
            self.present.contains(kind),
            self.unacknowledged.contains(kind),
        ) {
            (false, false) => AlarmState::Inactive,
            (true, true) => AlarmState::Active,
            (false, true) => AlarmState::Latched,
            (true, false) => AlarmState::Acknowledged,
        }
    }

    /// Alarms whose condition is present.
    #[must_use]
    pub const fn present(&self) -> AlarmSet {
        self.present
    }

    /// Alarms that a clinician has yet to acknowledge.
    #[must_use]
    pub const fn unacknowledged(&self) -> AlarmSet {
        self.unacknowledged
    }

    /// Alarms that sound at their interval.
    #[must_use]
    pub const fn sounding(&self) -> AlarmSet {
        self.present
            .with(self.unacknowledged.and(TABLE.sounding_latched))
    }

    /// Whether an alarm that sounds forbids boluses.
    #[must_use]
    pub const fn forbids_boluses(&self) -> bool {
        !self.sounding().and(TABLE.forbidding_boluses).is_empty()
    }

    /// How often alarms of a class sound.
    #[must_use]
    pub fn interval(&self, class: AlarmClass) -> Duration {
        match (self.pump, class) {
            (PumpKind::ExternalTrial, AlarmClass::Critical) => EXTERNAL_CRITICAL,
            (PumpKind::ExternalTrial, AlarmClass::NonCritical) => EXTERNAL_NON_CRITICAL,
            _ => self.intervals.of(class),
        }
    }

    /// Alarms that wait for their tone and are not muted.
    const fn audible(&self) -> AlarmSet {
        self.waiting.without(self.muted)
    }

    const fn sounding_of(&self, class: AlarmClass) -> AlarmSet {
        match class {
            AlarmClass::Critical => self.sounding().and(TABLE.critical),
            AlarmClass::NonCritical => self.sounding().without(TABLE.critical),
        }
    }

    fn start_interval(&mut self, class: AlarmClass, now: PoweredTime) {
        let next = now.saturating_add(self.interval(class));
        match class {
            AlarmClass::Critical => self.next_critical = next,
            AlarmClass::NonCritical => self.next_non_critical = next,
        }
    }

    /// Ends the mute and the intervals that are over. Nothing sounds again while another still waits for its turn: many high ones would
    /// else keep a low one silent for good.
    fn catch_up(&mut self, now: PoweredTime) {
        self.end_mute(now);
        if !self.audible().is_empty() {
            return;
        }
        for (class, next) in [
            (AlarmClass::Critical, self.next_critical),
            (AlarmClass::NonCritical, self.next_non_critical),
        ] {
            let sounding = self.sounding_of(class);
            if next <= now && !sounding.is_empty() {
                self.waiting = self.waiting.with(sounding);
                self.start_interval(class, now);
            }
        }
    }

    fn end_mute(&mut self, now: PoweredTime) {
        if self.muted_until <= now {
            // What was silenced sounds now, and not only when its interval is over.
            if !self.deferring {
                self.waiting = self.waiting.with(self.muted.and(self.sounding()));
            }
            self.muted = AlarmSet::NONE;
            self.deferring = false;
        }
    }

    /// Takes kinds that no longer sound out of what waits.
    fn quieten(&mut self, kinds: AlarmSet) {
        let silent = kinds.without(self.sounding());
        self.waiting = self.waiting.without(silent);
        if !self.deferring {
            self.muted = self.muted.without(silent);
        }
    }
}

#[cfg(test)]
mod tests;
