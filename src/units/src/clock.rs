//! The time of day, which may be unknown, and the moment an event happens.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::date;
use crate::duration::Duration;
use crate::time::{CarrierTime, PumpTime};

/// Milliseconds in a day.
const DAY: u64 = 86_400_000;

/// Milliseconds since 1970-01-01T00:00:00 UTC without leap seconds. For display only; therapy runs on [`PumpTime`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(postcard_schema::Schema))]
#[serde(transparent)]
pub struct WallTime(u64);

impl WallTime {
    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// A later moment, in whole milliseconds rounded down, at most the last one that can be held.
    #[must_use]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.millis_rounded_down()))
    }

    /// The time since `earlier`; none when that is in fact later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for WallTime {
    /// As ISO 8601 in UTC: `2026-01-05T10:00:00.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date::civil(self.0 / DAY);
        let millis = self.0 % DAY;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
            millis / 3_600_000,
            millis / 60_000 % 60,
            millis / 1_000 % 60,
            millis % 1_000
        )
    }
}

/// What the pump knows about the time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(postcard_schema::Schema))]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// Set and running since.
    Known {
        /// The time of day.
        wall: WallTime,
        /// How far off it may be, either way.
        uncertainty: Duration,
    },
    /// A time of day that something contradicts.
    Suspect {
        /// The time of day, as far as it goes.
        wall: WallTime,
    },
    /// No idea: never set, or power was lost.
    Lost,
}

impl Clock {
    /// The time of day, trusted or not; `None` when lost.
    #[must_use]
    pub const fn wall(self) -> Option<WallTime> {
        match self {
            Self::Known { wall, .. } | Self::Suspect { wall } => Some(wall),
            Self::Lost => None,
        }
    }
}

/// The moment an event happens, on both clocks that only go forward. The time of day is the pump's own knowledge, not the shell's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Now {
    /// The clock of therapy.
    pub pump: PumpTime,
    /// The clock of the link's time-outs.
    pub carrier: CarrierTime,
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::ToString;

    use super::*;

    #[test]
    fn is_printed_as_iso_8601() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_767_607_200_000, "2026-01-05T10:00:00.000Z"),
            (4_102_444_799_999, "2099-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(WallTime::from_millis(millis).to_string(), text);
        }
    }

    /// Every day of two rounds of the calendar, against counting them on the fingers.
    #[test]
    fn every_day_of_800_years_has_its_date() {
        let (mut year, mut month, mut day) = (1970_u32, 1_u32, 1_u32);
        for number in 0_u64..292_194 {
            let text = WallTime::from_millis(number.saturating_mul(DAY)).to_string();
            assert_eq!(text, format!("{year}-{month:02}-{day:02}T00:00:00.000Z"));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let days = match month {
                2 if leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (year, month, day) = match (month, day) {
                (12, 31) => (year.saturating_add(1), 1, 1),
                (_, last) if last == days => (year, month.saturating_add(1), 1),
                (_, _) => (year, month, day.saturating_add(1)),
            };
        }
    }

    #[test]
    fn the_last_moment_can_be_printed() {
        assert_eq!(
            WallTime::from_millis(u64::MAX).to_string(),
            "584556019-04-03T14:25:51.615Z"
        );
    }

    #[test]
    fn moves_by_whole_milliseconds() {
        let time = WallTime::from_millis(10);
        assert_eq!(
            time.saturating_add(Duration::from_micros(1_999)),
            WallTime::from_millis(11)
        );
        assert_eq!(
            WallTime::from_millis(u64::MAX).saturating_add(Duration::MAX),
            WallTime::from_millis(u64::MAX)
        );
        assert_eq!(
            WallTime::from_millis(13).saturating_since(time),
            Duration::from_millis(3)
        );
        assert_eq!(
            time.saturating_since(WallTime::from_millis(13)),
            Duration::ZERO
        );
    }

    #[test]
    fn a_lost_clock_tells_no_time() {
        let wall = WallTime::from_millis(7);
        assert_eq!(Clock::Lost.wall(), None);
        assert_eq!(Clock::Suspect { wall }.wall(), Some(wall));
        assert_eq!(
            Clock::Known {
                wall,
                uncertainty: Duration::ZERO
            }
            .wall(),
            Some(wall)
        );
    }

    #[test]
    fn the_wire_form_is_fixed() {
        let known = Clock::Known {
            wall: WallTime::from_millis(1),
            uncertainty: Duration::from_micros(2),
        };
        for (clock, bytes) in [
            (known, [0, 1, 2].as_slice()),
            (
                Clock::Suspect {
                    wall: WallTime::from_millis(3),
                },
                [1, 3].as_slice(),
            ),
            (Clock::Lost, [2].as_slice()),
        ] {
            let mut buffer = [0; 8];
            assert_eq!(postcard::to_slice(&clock, &mut buffer).unwrap(), bytes);
            assert_eq!(postcard::from_bytes(bytes), Ok(clock));
        }
        assert_eq!(
            serde_json::to_string(&known).unwrap(),
            "{\"known\":{\"wall\":1,\"uncertainty\":\"2 us\"}}"
        );
    }
}
