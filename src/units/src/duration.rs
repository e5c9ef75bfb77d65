//! Lengths of time.

use core::fmt;
use core::str::FromStr;

use crate::error::{Quantity, QuantityError};
use crate::text;

/// Microseconds in a millisecond.
const MILLISECOND: u64 = 1_000;
/// Microseconds in a second.
const SECOND: u64 = 1_000_000;
/// Microseconds in a minute.
const MINUTE: u64 = 60_000_000;
/// Microseconds in an hour.
const HOUR: u64 = 3_600_000_000;
/// Microseconds in 24 hours.
const DAY: u64 = 86_400_000_000;

/// A length of time in whole microseconds, up to some 584,542 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "schema", derive(postcard_schema::Schema))]
pub struct Duration(u64);

/// `count` of a unit, at the most what can be held.
#[expect(
    clippy::as_conversions,
    reason = "u32 widens to u64; From is not const"
)]
const fn units_of(count: u32, unit: u64) -> Duration {
    // The largest product, 2^32 days, is 3.7 x 10^20 us and would not fit; 213,503,982 days do.
    Duration((count as u64).saturating_mul(unit))
}

impl Duration {
    /// No time.
    pub const ZERO: Self = Self(0);
    /// The longest that can be held.
    pub const MAX: Self = Self(u64::MAX);

    /// From microseconds.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// From milliseconds; [`Duration::MAX`] when that cannot be held.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(MILLISECOND))
    }

    /// From seconds. Always exact.
    #[must_use]
    pub const fn from_seconds(seconds: u32) -> Self {
        units_of(seconds, SECOND)
    }

    /// From minutes. Always exact.
    #[must_use]
    pub const fn from_minutes(minutes: u32) -> Self {
        units_of(minutes, MINUTE)
    }

    /// From hours. Always exact.
    #[must_use]
    pub const fn from_hours(hours: u32) -> Self {
        units_of(hours, HOUR)
    }

    /// From days of 24 hours; [`Duration::MAX`] above 213,503,982 days.
    #[must_use]
    pub const fn from_days(days: u32) -> Self {
        units_of(days, DAY)
    }

    /// In microseconds, exactly.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// In whole milliseconds, rounded down.
    #[must_use]
    pub const fn millis_rounded_down(self) -> u64 {
        self.0 / MILLISECOND
    }

    /// In whole seconds, rounded down.
    #[must_use]
    pub const fn seconds_rounded_down(self) -> u64 {
        self.0 / SECOND
    }

    /// The sum; `None` when it cannot be held.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The sum, or [`Duration::MAX`].
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference; `None` when it would be negative.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// The difference, or zero when it would be negative.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// `factor` times this; `None` when it cannot be held.
    #[must_use]
    pub const fn checked_mul(self, factor: u64) -> Option<Self> {
        match self.0.checked_mul(factor) {
            Some(product) => Some(Self(product)),
            None => None,
        }
    }

    /// `factor` times this, or [`Duration::MAX`].
    #[must_use]
    pub const fn saturating_mul(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

impl From<Duration> for u64 {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl From<u64> for Duration {
    fn from(micros: u64) -> Self {
        Self(micros)
    }
}

impl fmt::Display for Duration {
    /// Whole days, hours or minutes where it is some, else seconds, milliseconds or microseconds with the decimals they need: thirds
    /// of a minute have no end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            DAY => f.write_str("1 day"),
            time if time != 0 && time % DAY == 0 => write!(f, "{} days", time / DAY),
            time if time != 0 && time % HOUR == 0 => write!(f, "{} h", time / HOUR),
            time if time != 0 && time % MINUTE == 0 => write!(f, "{} min", time / MINUTE),
            0 => f.write_str("0 s"),
            time => text::write(f, u128::from(time), &text::DURATIONS, ""),
        }
    }
}

impl FromStr for Duration {
    type Err = QuantityError;

    /// Reads `90 days`; units us, ms, s, min, h, day, days.
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let value = text::read(text, &text::DURATIONS, Quantity::Duration)?;
        u64::try_from(value)
            .map(Self)
            .map_err(|_| QuantityError::TooLarge(Quantity::Duration))
    }
}

text::serde_as_text_or!(
    Duration,
    u64,
    "a duration with its unit, such as \"90 days\""
);

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_follow_from_each_other() {
        assert_eq!(Duration::from_millis(1), Duration::from_micros(1_000));
        assert_eq!(Duration::from_seconds(1), Duration::from_millis(1_000));
        assert_eq!(Duration::from_minutes(1), Duration::from_seconds(60));
        assert_eq!(Duration::from_hours(1), Duration::from_minutes(60));
        assert_eq!(Duration::from_days(1), Duration::from_hours(24));
    }

    #[test]
    fn large_arguments_are_exact_or_the_longest() {
        assert_eq!(
            Duration::from_hours(u32::MAX).micros(),
            15_461_882_262_000_000_000
        );
        assert_eq!(
            Duration::from_days(213_503_982).micros(),
            18_446_744_044_800_000_000
        );
        assert_eq!(Duration::from_days(213_503_983), Duration::MAX);
        assert_eq!(Duration::from_millis(u64::MAX), Duration::MAX);
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        let one = Duration::from_micros(1);
        assert_eq!(Duration::MAX.checked_add(one), None);
        assert_eq!(Duration::MAX.saturating_add(one), Duration::MAX);
        assert_eq!(Duration::ZERO.checked_sub(one), None);
        assert_eq!(Duration::ZERO.saturating_sub(one), Duration::ZERO);
        assert_eq!(Duration::MAX.checked_mul(2), None);
        assert_eq!(Duration::MAX.saturating_mul(2), Duration::MAX);
        assert_eq!(
            one.checked_mul(3).and_then(|three| three.checked_sub(one)),
            Some(Duration::from_micros(2))
        );
        assert_eq!(one.checked_add(one), Some(Duration::from_micros(2)));
        assert_eq!(Duration::from_micros(2_999_999).seconds_rounded_down(), 2);
        assert_eq!(Duration::from_micros(2_999).millis_rounded_down(), 2);
    }

    #[test]
    fn reads_and_prints_every_unit() {
        for (text, micros, printed) in [
            ("90 days", 90 * 86_400_000_000, "90 days"),
            ("1 day", 86_400_000_000, "1 day"),
            ("0.5 days", 43_200_000_000, "12 h"),
            ("36 h", 129_600_000_000, "36 h"),
            ("1.5 h", 5_400_000_000, "90 min"),
            ("0.1 min", 6_000_000, "6 s"),
            ("1.5 s", 1_500_000, "1.5 s"),
            ("100 s", 100_000_000, "100 s"),
            ("85 ms", 85_000, "85 ms"),
            ("0.25 ms", 250, "250 us"),
            ("86400.000001 s", 86_400_000_001, "86400.000001 s"),
            ("0 min", 0, "0 s"),
            (
                "18446744073709.551615 s",
                u64::MAX,
                "18446744073709.551615 s",
            ),
        ] {
            assert_eq!(text.parse(), Ok(Duration::from_micros(micros)), "{text}");
            assert_eq!(Duration::from_micros(micros).to_string(), printed);
        }
        assert_eq!(
            "0.1 us".parse::<Duration>(),
            Err(QuantityError::TooPrecise(Quantity::Duration))
        );
        assert_eq!(
            "18446744073709.551616 s".parse::<Duration>(),
            Err(QuantityError::TooLarge(Quantity::Duration))
        );
        assert_eq!(
            "1 month".parse::<Duration>(),
            Err(QuantityError::UnknownUnit(Quantity::Duration))
        );
    }

    proptest! {
        #[test]
        fn text_reads_back(bits in any::<u64>(), shift in 0_u32..64, unit in 0_usize..6) {
            let micros = bits >> shift;
            // Whole minutes, hours and days come up too seldom by chance.
            let unit = [1, MILLISECOND, SECOND, MINUTE, HOUR, DAY].into_iter().nth(unit).unwrap();
            for micros in [micros, micros.saturating_sub(micros.checked_rem(unit).unwrap())] {
                let duration = Duration::from_micros(micros);
                prop_assert_eq!(duration.to_string().parse(), Ok(duration));
            }
        }
    }
}
