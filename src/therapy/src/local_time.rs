//! The local time of day that flex runs on, and who may change it by how much.
//!
//! The pump keeps universal time and one fixed offset from it. It knows no summer time: no day of 23 or 25 hours ever occurs inside
//! the pump (clinical reference, 2.6). Summer time is a change of the offset that somebody makes.
//!
//! # What a change does to flex
//!
//! Whoever integrates [`crate::Week`] keeps to three rules (docs/therapy.md, "Clock"); a model test in this module holds them.
//!
//! 1. The segment in force is that of the local time now: `week.segment_at(LocalTime::new(wall, offset).minute_of_week())`. It is looked
//!    up anew at every boundary, at every change of the time or the offset, and after a reset.
//! 2. What is delivered is the flow in force times *powered* time. A change of the clock ends one segment and starts another at that
//!    powered moment; the carried remainder of a step goes along, and nothing else does.
//! 3. No difference of two times of day is ever turned into volume. A local minute that is skipped is not caught up; one that comes
//!    twice is not made up for. Every powered minute is delivered once.
//!
//! # Who may change the clock
//!
//! | | at most | source |
//! |---|---|---|
//! | automatic correction of the time | 2 min a session, all corrections added | \[P\] docs/therapy.md, "Clock" |
//! | offset, by the patient's phone | exactly 1 h from the one in force, and 1 h from the clinician's | \[P\] docs/therapy.md, "Clock" |
//! | anything, by a clinician | with a reason | \[P\] docs/therapy.md, "Clock" |
//! | setting a lost clock | a clinician; there is nothing to go over, so no reason is asked | \[P\] |

use core::fmt;
use core::num::NonZeroU128;

use serde::{Deserialize, Serialize};
use units::{Duration, OverrideReason, Ratio, WallTime};

/// Minutes in a day.
pub(crate) const MINUTES_A_DAY: u16 = 1_440;
/// Minutes in a week.
pub(crate) const MINUTES_A_WEEK: u16 = 10_080;
/// Milliseconds in a minute.
const MINUTE: u64 = 60_000;
/// Milliseconds in a week.
const WEEK: u64 = 604_800_000;
/// From the Monday before to the Unix epoch, a Thursday, in milliseconds.
const MONDAY_TO_EPOCH: u64 = 3 * 86_400_000;

/// The most that is corrected without anybody deciding it, all corrections of a session added up.
pub const AUTOMATIC_CORRECTION: Duration = Duration::from_minutes(2);

/// Minutes that summer time moves the offset by.
const SUMMER_TIME: u16 = 60;

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Weekday {
    /// Monday, with which a week begins.
    Monday,
    /// Tuesday.
    Tuesday,
    /// Wednesday.
    Wednesday,
    /// Thursday.
    Thursday,
    /// Friday.
    Friday,
    /// Saturday.
    Saturday,
    /// Sunday.
    Sunday,
}

impl Weekday {
    /// All seven, from Monday.
    pub const ALL: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];

    /// Days since Monday, 0 to 6.
    #[must_use]
    pub const fn days_since_monday(self) -> u8 {
        match self {
            Self::Monday => 0,
            Self::Tuesday => 1,
            Self::Wednesday => 2,
            Self::Thursday => 3,
            Self::Friday => 4,
            Self::Saturday => 5,
            Self::Sunday => 6,
        }
    }

    /// The name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Monday => "Monday",
            Self::Tuesday => "Tuesday",
            Self::Wednesday => "Wednesday",
            Self::Thursday => "Thursday",
            Self::Friday => "Friday",
            Self::Saturday => "Saturday",
            Self::Sunday => "Sunday",
        }
    }
}

impl fmt::Display for Weekday {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A minute of the local week, 0 (Monday 00:00) to 10,079 (Sunday 23:59).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MinuteOfWeek(u16);

impl MinuteOfWeek {
    /// Monday 00:00.
    pub const MONDAY: Self = Self(0);

    /// From minutes since Monday 00:00; `None` above 10,079.
    #[must_use]
    pub const fn new(minute: u16) -> Option<Self> {
        if minute < MINUTES_A_WEEK {
            Some(Self(minute))
        } else {
            None
        }
    }

    /// Midnight with which a day begins.
    #[must_use]
    pub fn midnight(day: Weekday) -> Self {
        Self(u16::from(day.days_since_monday()).saturating_mul(MINUTES_A_DAY))
    }

    /// Minutes since Monday 00:00.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The day it is part of.
    #[must_use]
    pub const fn day(self) -> Weekday {
        match self.0 / MINUTES_A_DAY {
            0 => Weekday::Monday,
            1 => Weekday::Tuesday,
            2 => Weekday::Wednesday,
            3 => Weekday::Thursday,
            4 => Weekday::Friday,
            5 => Weekday::Saturday,
            _ => Weekday::Sunday,
        }
    }

    /// Minutes since midnight, 0 to 1,439.
    #[must_use]
    pub const fn minute_of_day(self) -> u16 {
        self.0 % MINUTES_A_DAY
    }

    /// So many minutes later; Monday follows Sunday.
    #[must_use]
    pub const fn plus(self, minutes: u16) -> Self {
        // Both parts are below a week: the sum fits 16 bits.
        Self(self.0.saturating_add(minutes % MINUTES_A_WEEK) % MINUTES_A_WEEK)
    }
}

impl fmt::Display for MinuteOfWeek {
    /// `Monday 06:30`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.day(), HourAndMinute(self.minute_of_day()))
    }
}

/// A minute of the day as people write it: `06:30`. 1,440 is `24:00`.
pub(crate) struct HourAndMinute(pub(crate) u16);

impl fmt::Display for HourAndMinute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// How far local time is ahead of universal time: -12 h to +14 h in quarters of an hour, as all time zones are \[GK\].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "i16", into = "i16")]
pub struct ZoneOffset(i16);

impl ZoneOffset {
    /// Universal time.
    pub const UTC: Self = Self(0);

    /// From minutes ahead of universal time.
    ///
    /// # Errors
    /// [`ClockRefusal::NoSuchOffset`].
    pub const fn from_minutes(minutes: i16) -> Result<Self, ClockRefusal> {
        if minutes >= -720 && minutes <= 840 && minutes % 15 == 0 {
            Ok(Self(minutes))
        } else {
            Err(ClockRefusal::NoSuchOffset { minutes })
        }
    }

    /// Minutes ahead of universal time.
    #[must_use]
    pub const fn minutes(self) -> i16 {
        self.0
    }
}

impl TryFrom<i16> for ZoneOffset {
    type Error = ClockRefusal;

    fn try_from(minutes: i16) -> Result<Self, ClockRefusal> {
        Self::from_minutes(minutes)
    }
}

impl From<ZoneOffset> for i16 {
    fn from(offset: ZoneOffset) -> Self {
        offset.0
    }
}

impl fmt::Display for ZoneOffset {
    /// As ISO 8601: `+05:45`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        write!(f, "{sign}{}", HourAndMinute(self.0.unsigned_abs()))
    }
}

/// A moment of the local week, to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalTime {
    /// Since Monday 00:00, below a week.
    millis_of_week: u64,
}

impl LocalTime {
    /// Universal time at a fixed offset.
    #[must_use]
    pub fn new(wall: WallTime, offset: ZoneOffset) -> Self {
        let away = u64::from(offset.minutes().unsigned_abs()).saturating_mul(MINUTE);
        // Behind universal time is a week less that much ahead.
        let ahead = if offset.minutes() < 0 {
            WEEK.saturating_sub(away)
        } else {
            away
        };
        let millis = (wall.millis() % WEEK)
            .saturating_add(MONDAY_TO_EPOCH)
            .saturating_add(ahead);
        Self {
            millis_of_week: millis % WEEK,
        }
    }

    /// The minute it is part of.
    #[must_use]
    pub fn minute_of_week(self) -> MinuteOfWeek {
        // Below a week by construction.
        MinuteOfWeek(u16::try_from(self.millis_of_week / MINUTE).unwrap_or(0))
    }

    /// How long until the start of the minute that is `minutes` after the one this is part of. For 0 that has been: no time.
    ///
    /// With [`crate::Week::next_boundary`] it says when the segment ends, as long as nobody changes the clock.
    #[must_use]
    pub fn until_minutes_ahead(self, minutes: u16) -> Duration {
        let into_minute = Duration::from_millis(self.millis_of_week % MINUTE);
        Duration::from_minutes(u32::from(minutes)).saturating_sub(into_minute)
    }
}

impl fmt::Display for LocalTime {
    /// `Monday 06:30`, rounded down to the minute.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.minute_of_week().fmt(f)
    }
}

/// How far a clock may drift in a time when its crystal is off by so many parts in a million, rounded up (clinical reference, 2.16).
#[must_use]
pub fn clock_drift(over: Duration, parts_per_million: u32) -> Duration {
    /// Parts in one.
    const MILLION: NonZeroU128 = match NonZeroU128::new(1_000_000) {
        Some(million) => million,
        None => NonZeroU128::MIN,
    };
    Ratio::new(u128::from(parts_per_million), MILLION)
        .times_rounded_up(over.micros())
        .map_or(Duration::MAX, Duration::from_micros)
}

/// A change of the clock that somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockChange {
    /// A lost clock, or one never set, gets a time and an offset.
    Set,
    /// The time moves by this much, forwards or back.
    Time(Duration),
    /// The offset becomes another; the time stays.
    Offset {
        /// The one in force.
        from: ZoneOffset,
        /// The one asked for.
        to: ZoneOffset,
        /// The last one that a clinician has set.
        clinicians: ZoneOffset,
    },
}

/// Who changes the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockSetter {
    /// A clinician, in a session.
    Clinician,
    /// The patient, who has agreed to it on the phone.
    Patient,
    /// A phone or programmer by itself, in anybody's session.
    Automatic,
}

/// Why a change of the clock is not allowed. `Display` gives the value and what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockRefusal {
    /// No time zone has this offset.
    NoSuchOffset {
        /// What was asked for, in minutes.
        minutes: i16,
    },
    /// A lost clock is a clinician's to set.
    SettingNeedsClinician,
    /// The corrections of this session add up to too much.
    CorrectionTooLarge {
        /// This one and all before it in the session.
        in_this_session: Duration,
    },
    /// The offset moves by something other than summer time.
    NotSummerTime {
        /// The one in force.
        from: ZoneOffset,
        /// The one asked for.
        to: ZoneOffset,
    },
    /// The offset gets too far from the clinician's.
    TooFarFromClinicians {
        /// The one asked for.
        to: ZoneOffset,
        /// The clinician's.
        clinicians: ZoneOffset,
    },
    /// Nobody has agreed to a change of the offset.
    OffsetNeedsPerson,
}

impl fmt::Display for ClockRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchOffset { minutes } => write!(
                f,
                "an offset of {minutes} min is no time zone's: allowed are -12:00 to +14:00 in steps of 15 min"
            ),
            Self::SettingNeedsClinician => {
                f.write_str("the clock is lost: only a clinician may set it")
            }
            Self::CorrectionTooLarge { in_this_session } => write!(
                f,
                "the time would be corrected by {in_this_session} in this session: allowed are {AUTOMATIC_CORRECTION}, or a clinician's reason"
            ),
            Self::NotSummerTime { from, to } => write!(
                f,
                "the offset would change from {from} to {to}: allowed is one hour for summer time, or a clinician's reason"
            ),
            Self::TooFarFromClinicians { to, clinicians } => write!(
                f,
                "the offset would be {to}: allowed is one hour from the clinician's {clinicians}, or a clinician's reason"
            ),
            Self::OffsetNeedsPerson => f.write_str(
                "the offset is not changed automatically: the patient or a clinician has to agree",
            ),
        }
    }
}

impl core::error::Error for ClockRefusal {}

/// Judges a change of the clock.
///
/// `corrected_in_this_session` is the sum of all corrections of the time so far, each taken as positive, whoever made them. A reason
/// counts only from a clinician.
///
/// # Errors
/// Every [`ClockRefusal`] but [`ClockRefusal::NoSuchOffset`].
pub fn judge_correction(
    change: ClockChange,
    corrected_in_this_session: Duration,
    by: ClockSetter,
    reason: Option<OverrideReason>,
) -> Result<(), ClockRefusal> {
    let clinician = by == ClockSetter::Clinician;
    if clinician && reason.is_some() {
        return Ok(());
    }
    match change {
        ClockChange::Set if clinician => Ok(()),
        ClockChange::Set => Err(ClockRefusal::SettingNeedsClinician),
        ClockChange::Time(by) => {
            let in_this_session = corrected_in_this_session.saturating_add(by);
            if in_this_session > AUTOMATIC_CORRECTION {
                return Err(ClockRefusal::CorrectionTooLarge { in_this_session });
            }
            Ok(())
        }
        ClockChange::Offset { .. } if by == ClockSetter::Automatic => {
            Err(ClockRefusal::OffsetNeedsPerson)
        }
        ClockChange::Offset {
            from,
            to,
            clinicians,
        } => {
            if to.minutes().abs_diff(from.minutes()) != SUMMER_TIME {
                return Err(ClockRefusal::NotSummerTime { from, to });
            }
            if to.minutes().abs_diff(clinicians.minutes()) > SUMMER_TIME {
                return Err(ClockRefusal::TooFarFromClinicians { to, clinicians });
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
