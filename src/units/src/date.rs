//! Days of the calendar.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::clock::WallTime;

/// Milliseconds in a day.
const DAY: u64 = 86_400_000;
/// Milliseconds in a minute.
const MINUTE: i64 = 60_000;
/// Days from 1 March of year 0 to 1970-01-01.
const DAYS_BEFORE_1970: u64 = 719_468;
/// Days in 400 years: the calendar repeats.
const ERA: u64 = 146_097;

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Years are counted from 1 March of year 0, so that the leap day comes last, in eras of 400 years, after Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms" (civil_from_days). Nothing overflows below 5 x 10^16 days.
pub(crate) fn civil(days: u64) -> (u64, u64, u64) {
    let days = days.saturating_add(DAYS_BEFORE_1970);
    let era = days / ERA;
    let day_of_era = days % ERA;
    let year_of_era = day_of_era
        .saturating_sub(day_of_era / 1_460)
        .saturating_add(day_of_era / 36_524)
        .saturating_sub(day_of_era / 146_096)
        / 365;
    let day_of_year = day_of_era.saturating_sub(days_before(year_of_era));
    // Five months from March have 153 days, whichever five.
    let month_from_march = day_of_year.saturating_mul(5).saturating_add(2) / 153;
    let days_before_month = month_from_march.saturating_mul(153).saturating_add(2) / 5;
    let day = day_of_year
        .saturating_sub(days_before_month)
        .saturating_add(1);
    let (month, next_year) = match month_from_march {
        from_march @ 0..=9 => (from_march.saturating_add(3), 0),
        from_march => (from_march.saturating_sub(9), 1),
    };
    let year = era
        .saturating_mul(400)
        .saturating_add(year_of_era)
        .saturating_add(next_year);
    (year, month, day)
}

/// Days of the whole years before a year of an era.
fn days_before(year_of_era: u64) -> u64 {
    year_of_era
        .saturating_mul(365)
        .saturating_add(year_of_era / 4)
        .saturating_sub(year_of_era / 100)
}

/// The day counted from 1970-01-01 (days_from_civil, as above); `None` for a day that no calendar has, or before 1970.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let (from_march, year_from_march) = match month {
        0..=2 => (month.saturating_add(9), year.checked_sub(1)?),
        _ => (month.saturating_sub(3), year),
    };
    let days_before_month = from_march.checked_mul(153)?.saturating_add(2) / 5;
    let days = (year_from_march / 400)
        .checked_mul(ERA)?
        .checked_add(days_before(year_from_march % 400))?
        .checked_add(days_before_month)?
        .checked_add(day)?
        .checked_sub(DAYS_BEFORE_1970.saturating_add(1))?;
    // A month 0 or a 30 February comes back as another day.
    (civil(days) == (year, month, day)).then_some(days)
}

/// A day from 2020-01-01 to 2099-12-31, the pump's whole calendar (clinical reference, criterion 17): one that is held is always valid.
///
/// For display only; therapy runs on [`crate::PumpTime`] and [`crate::PoweredTime`]. A plain integer in every format, days since
/// 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(postcard_schema::Schema))]
#[serde(try_from = "u16", into = "u16")]
pub struct Date(u16);

impl Date {
    /// 2020-01-01.
    pub const FIRST: Self = Self(18_262);
    /// 2099-12-31.
    pub const LAST: Self = Self(47_481);

    /// From days since 1970-01-01; `None` outside [`Date::FIRST`] to [`Date::LAST`].
    #[must_use]
    pub const fn from_days_since_1970(days: u16) -> Option<Self> {
        if days < Self::FIRST.0 || days > Self::LAST.0 {
            return None;
        }
        Some(Self(days))
    }

    /// From year, month (1 to 12) and day (1 to 31).
    ///
    /// # Errors
    /// [`DateError::NoSuchDay`] for a day the calendar does not have, [`DateError::OutOfRange`] for one the pump does not have.
    pub fn new(year: u16, month: u8, day: u8) -> Result<Self, DateError> {
        let days = days_since_1970(u64::from(year), u64::from(month), u64::from(day));
        match days.map(u16::try_from) {
            Some(Ok(days)) => Self::from_days_since_1970(days).ok_or(DateError::OutOfRange),
            Some(Err(_)) => Err(DateError::OutOfRange),
            // Before 1970 no day is looked for.
            None if year < 1970 => Err(DateError::OutOfRange),
            None => Err(DateError::NoSuchDay),
        }
    }

    /// The day of a moment, where local time is `offset_minutes` ahead of UTC; `None` outside [`Date::FIRST`] to [`Date::LAST`].
    #[must_use]
    pub fn of(wall: WallTime, offset_minutes: i16) -> Option<Self> {
        let days = u16::try_from(local_days(wall, offset_minutes)).ok()?;
        Self::from_days_since_1970(days)
    }

    /// As [`Date::of`], but the nearest day there is for a moment outside the calendar.
    #[must_use]
    pub fn saturating_of(wall: WallTime, offset_minutes: i16) -> Self {
        Self::nearest(local_days(wall, offset_minutes))
    }

    /// The nearest day there is.
    fn nearest(days: u64) -> Self {
        let days = days.clamp(u64::from(Self::FIRST.0), u64::from(Self::LAST.0));
        // 16 bits hold both ends.
        u16::try_from(days).map_or(Self::LAST, Self)
    }

    /// The moment it begins, where local time is `offset_minutes` ahead of UTC.
    #[must_use]
    pub fn begins(self, offset_minutes: i16) -> WallTime {
        let local = u64::from(self.0).saturating_mul(DAY);
        let ahead = i64::from(offset_minutes).saturating_mul(MINUTE);
        WallTime::from_millis(local.saturating_add_signed(ahead.saturating_neg()))
    }

    /// Days since 1970-01-01: 18,262 to 47,481.
    #[must_use]
    pub const fn days_since_1970(self) -> u16 {
        self.0
    }

    /// Year (2020 to 2099), month (1 to 12) and day (1 to 31).
    #[must_use]
    pub fn year_month_day(self) -> (u16, u8, u8) {
        let (year, month, day) = civil(u64::from(self.0));
        // 2099, 12 and 31 at most.
        (
            u16::try_from(year).unwrap_or(u16::MAX),
            u8::try_from(month).unwrap_or(u8::MAX),
            u8::try_from(day).unwrap_or(u8::MAX),
        )
    }

    /// A later day; `None` after [`Date::LAST`].
    #[must_use]
    pub fn checked_add_days(self, days: u32) -> Option<Self> {
        let sum = u32::from(self.0).checked_add(days)?;
        Self::from_days_since_1970(u16::try_from(sum).ok()?)
    }

    /// A later day, at most [`Date::LAST`].
    #[must_use]
    pub fn saturating_add_days(self, days: u32) -> Self {
        Self::nearest(u64::from(self.0).saturating_add(u64::from(days)))
    }

    /// An earlier day, at least [`Date::FIRST`].
    #[must_use]
    pub fn saturating_sub_days(self, days: u32) -> Self {
        Self::nearest(u64::from(self.0).saturating_sub(u64::from(days)))
    }

    /// Days from `earlier` to this; negative when that is in fact later.
    #[must_use]
    pub fn days_since(self, earlier: Self) -> i32 {
        // The whole calendar has 29,220 days.
        i32::from(self.0).saturating_sub(i32::from(earlier.0))
    }
}

/// The day counted from 1970-01-01 on which a moment falls; day 0 for what would be before.
fn local_days(wall: WallTime, offset_minutes: i16) -> u64 {
    let ahead = i64::from(offset_minutes).saturating_mul(MINUTE);
    wall.millis().saturating_add_signed(ahead) / DAY
}

impl From<Date> for u16 {
    fn from(date: Date) -> Self {
        date.0
    }
}

impl TryFrom<u16> for Date {
    type Error = DateError;

    fn try_from(days: u16) -> Result<Self, DateError> {
        Self::from_days_since_1970(days).ok_or(DateError::OutOfRange)
    }
}

impl fmt::Display for Date {
    /// As ISO 8601: `2026-03-18`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.year_month_day();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Date {
    type Err = DateError;

    /// Reads `2026-03-18` and no other form: 3/4 is March in one country and April in the next.
    fn from_str(text: &str) -> Result<Self, DateError> {
        let mut parts = text.trim().split('-');
        let mut next = |length: usize| {
            let digits = parts.next().unwrap_or_default();
            let plain = digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then_some(digits).ok_or(DateError::NotADate)
        };
        let (year, month, day) = (next(4)?, next(2)?, next(2)?);
        if parts.next().is_some() {
            return Err(DateError::NotADate);
        }
        let small = |digits: &str| digits.parse().map_err(|_| DateError::NotADate);
        Self::new(
            year.parse().map_err(|_| DateError::NotADate)?,
            small(month)?,
            small(day)?,
        )
    }
}

/// Why something is not a date of the pump's calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DateError {
    /// The text is not of the form `2026-03-18`.
    NotADate,
    /// The calendar does not have this day.
    NoSuchDay,
    /// Before [`Date::FIRST`] or after [`Date::LAST`].
    OutOfRange,
}

impl fmt::Display for DateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotADate => "this is not a date: a date is written year-month-day, such as 2026-03-18",
            Self::NoSuchDay => "the calendar does not have this day: months go from 1 to 12, days to the end of the month",
            Self::OutOfRange => "the date is out of range: allowed are 2020-01-01 to 2099-12-31",
        })
    }
}

impl core::error::Error for DateError {}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use std::format;
    use std::string::ToString;

    use proptest::prelude::*;

    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    /// A calendar as a child counts it.
    fn next((year, month, day): (u64, u64, u64)) -> (u64, u64, u64) {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        match (month, day) {
            (12, 31) => (year + 1, 1, 1),
            (_, day) if day == length => (year, month + 1, 1),
            _ => (year, month, day + 1),
        }
    }

    /// 2000 is a leap year, 2100, 2200 and 2300 are none, 2400 is one again.
    #[test]
    fn every_day_from_1970_to_2400_agrees_with_counting() {
        let mut expected = (1970, 1, 1);
        let mut days = 0;
        while expected.0 <= 2400 {
            let (year, month, day) = expected;
            assert_eq!(civil(days), expected);
            assert_eq!(days_since_1970(year, month, day), Some(days));
            expected = next(expected);
            days += 1;
        }
        assert_eq!(days, 431 * 365 + 105);
    }

    /// Requirement: AC-17
    #[test]
    fn the_calendar_is_2020_to_2099_and_every_day_of_it_reads_back() {
        let mut days = 0;
        let mut before = None;
        for year in 0..=2_200 {
            for month in 0..=13 {
                for day in 0..=32 {
                    let Ok(date) = Date::new(year, month, day) else {
                        continue;
                    };
                    assert!((2020..=2099).contains(&year));
                    assert_eq!(date.year_month_day(), (year, month, day));
                    assert_eq!(date.to_string().parse(), Ok(date));
                    assert_eq!(date.to_string(), format!("{year:04}-{month:02}-{day:02}"));
                    assert_eq!(Date::of(date.begins(0), 0), Some(date));
                    if let Some(before) = before {
                        assert_eq!(date.days_since(before), 1);
                    }
                    before = Some(date);
                    days += 1;
                }
            }
        }
        assert_eq!(days, 80 * 365 + 20);
    }

    #[test]
    fn outside_it_there_is_no_date() {
        assert_eq!(Date::new(2020, 1, 1), Ok(Date::FIRST));
        assert_eq!(Date::new(2099, 12, 31), Ok(Date::LAST));
        assert_eq!(Date::FIRST.days_since_1970(), 18_262);
        assert_eq!(Date::LAST.days_since_1970(), 47_481);
        assert_eq!(Date::from_days_since_1970(18_261), None);
        assert_eq!(Date::from_days_since_1970(47_482), None);
        for (year, month, day, error) in [
            (2019, 12, 31, DateError::OutOfRange),
            (2100, 1, 1, DateError::OutOfRange),
            (1969, 12, 31, DateError::OutOfRange),
            (0, 1, 1, DateError::OutOfRange),
            (u16::MAX, 1, 1, DateError::OutOfRange),
            (2026, 2, 29, DateError::NoSuchDay),
            (2028, 2, 30, DateError::NoSuchDay),
            (2026, 4, 31, DateError::NoSuchDay),
            (2026, 0, 1, DateError::NoSuchDay),
            (2026, 13, 1, DateError::NoSuchDay),
            (2026, 1, 0, DateError::NoSuchDay),
            (2026, 255, 255, DateError::NoSuchDay),
        ] {
            assert_eq!(
                Date::new(year, month, day),
                Err(error),
                "{year}-{month}-{day}"
            );
        }
        assert!(Date::new(2028, 2, 29).is_ok());
    }

    #[test]
    fn text_has_one_form() {
        assert_eq!(date(" 2026-03-18 ").to_string(), "2026-03-18");
        for text in [
            "",
            "2026",
            "2026-03",
            "2026-3-18",
            "26-03-18",
            "2026-03-18-",
            "2026-03-18-01",
            "+026-03-18",
            "2026-+3-18",
            "18.03.2026",
            "2026/03/18",
            "2026-03-1x",
        ] {
            assert_eq!(text.parse::<Date>(), Err(DateError::NotADate), "{text}");
        }
        assert_eq!("2026-02-29".parse::<Date>(), Err(DateError::NoSuchDay));
        let text = DateError::OutOfRange.to_string();
        assert!(text.contains(&format!("{} to {}", Date::FIRST, Date::LAST)));
    }

    #[test]
    fn the_day_depends_on_the_zone() {
        // 2026-03-18T00:00:00Z.
        let midnight = date("2026-03-18").begins(0);
        assert_eq!(midnight.to_string(), "2026-03-18T00:00:00.000Z");
        let before = WallTime::from_millis(midnight.millis() - 1);
        assert_eq!(Date::of(before, 0), Some(date("2026-03-17")));
        assert_eq!(Date::of(midnight, -1), Some(date("2026-03-17")));
        assert_eq!(Date::of(before, 1), Some(date("2026-03-18")));
        assert_eq!(
            date("2026-03-18").begins(60).to_string(),
            "2026-03-17T23:00:00.000Z"
        );
        assert_eq!(
            date("2026-03-18").begins(-300).to_string(),
            "2026-03-18T05:00:00.000Z"
        );
    }

    #[test]
    fn moments_outside_have_the_nearest_day_only_when_asked_for() {
        let first = Date::FIRST.begins(0);
        let end = WallTime::from_millis(Date::LAST.begins(0).millis() + 86_400_000);
        let (before, last) = (first.millis() - 1, end.millis() - 1);
        assert_eq!(Date::of(WallTime::from_millis(before), 0), None);
        assert_eq!(Date::of(first, 0), Some(Date::FIRST));
        assert_eq!(Date::of(WallTime::from_millis(last), 0), Some(Date::LAST));
        assert_eq!(Date::of(end, 0), None);
        for (millis, nearest) in [
            (0, Date::FIRST),
            (before, Date::FIRST),
            (end.millis(), Date::LAST),
            (u64::MAX, Date::LAST),
        ] {
            let wall = WallTime::from_millis(millis);
            assert_eq!(Date::saturating_of(wall, 0), nearest);
            assert_eq!(Date::saturating_of(wall, -1), nearest);
        }
        assert_eq!(
            Date::saturating_of(WallTime::from_millis(u64::MAX), i16::MAX),
            Date::LAST
        );
        assert_eq!(
            Date::saturating_of(WallTime::from_millis(0), i16::MIN),
            Date::FIRST
        );
    }

    #[test]
    fn adding_days_stops_at_the_ends() {
        assert_eq!(
            date("2026-11-30").saturating_add_days(90),
            date("2027-02-28")
        );
        assert_eq!(
            date("2027-11-30").saturating_add_days(90),
            date("2028-02-28")
        );
        assert_eq!(
            date("2027-12-01").saturating_add_days(90),
            date("2028-02-29")
        );
        assert_eq!(
            date("2028-03-01").saturating_sub_days(1),
            date("2028-02-29")
        );
        assert_eq!(Date::LAST.saturating_add_days(1), Date::LAST);
        assert_eq!(Date::FIRST.saturating_add_days(u32::MAX), Date::LAST);
        assert_eq!(Date::FIRST.saturating_sub_days(1), Date::FIRST);
        assert_eq!(Date::LAST.saturating_sub_days(u32::MAX), Date::FIRST);
        assert_eq!(Date::LAST.checked_add_days(0), Some(Date::LAST));
        assert_eq!(Date::LAST.checked_add_days(1), None);
        assert_eq!(Date::FIRST.checked_add_days(29_219), Some(Date::LAST));
        assert_eq!(Date::FIRST.checked_add_days(u32::MAX), None);
        assert_eq!(Date::FIRST.days_since(Date::LAST), -29_219);
    }

    #[test]
    fn is_an_integer_for_machines_and_for_people() {
        let mut buffer = [0; 4];
        let bytes = postcard::to_slice(&Date::LAST, &mut buffer).unwrap();
        assert_eq!(bytes.len(), 3);
        assert_eq!(postcard::from_bytes(bytes), Ok(Date::LAST));
        assert_eq!(serde_json::to_string(&Date::FIRST).unwrap(), "18262");
        assert!(serde_json::from_str::<Date>("18261").is_err());
        assert!(serde_json::from_str::<Date>("47482").is_err());
    }

    proptest! {
        /// Every moment falls on the day that began last.
        #[test]
        fn a_moment_lies_within_its_day(millis in 1_577_923_200_000_u64..4_102_272_000_000, offset in -840_i16..=840) {
            let wall = WallTime::from_millis(millis);
            let date = Date::of(wall, offset).unwrap();
            prop_assert_eq!(Date::saturating_of(wall, offset), date);
            prop_assert!(date.begins(offset) <= wall);
            prop_assert!(date.saturating_add_days(1).begins(offset) > wall);
        }
    }
}
