//! What the pump may have made by its own authority: the armed ceiling of the interlock.

use units::Duration;

use crate::bindings;

/// How long the interlock may remember a step in the hour's window: 62.5 min. [`Allowance::hour_steps`] is for as long.
pub const REMEMBERED_OF_AN_HOUR: Duration = seconds(bindings::THECAL_INTERLOCK_HOUR_REMEMBERED_S);

/// How long the interlock may remember a step in the day's window: 25 h. [`Allowance::day_steps`] is for as long.
pub const REMEMBERED_OF_A_DAY: Duration = seconds(bindings::THECAL_INTERLOCK_DAY_REMEMBERED_S);

/// The longest time that a grant may be for: a day.
pub const LONGEST_GRANT: Duration = seconds(bindings::THECAL_INTERLOCK_LONGEST_GRANT_S);

#[allow(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    reason = "no conversion in const otherwise; 32 bits of seconds are fewer than 64 of microseconds"
)]
const fn seconds(number: u32) -> Duration {
    Duration::from_micros(number as u64 * 1_000_000)
}

/// Most steps that the prescription in force needs, with all boluses a patient may have.
///
/// An order that would pass one of them is refused; a step that would is not made, and the interlock trips. Steps made
/// before are not forgotten when another allowance is handed over: a lower one takes the place of a higher one when what
/// was made under the higher one has left the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// In any [`REMEMBERED_OF_AN_HOUR`].
    pub hour_steps: u32,
    /// In any [`REMEMBERED_OF_A_DAY`]; not fewer than in the hour.
    pub day_steps: u32,
}

impl Allowance {
    /// Whatever the hard ceiling lets through: for a pump that does not say what it needs.
    pub const HARD_CEILING_ALONE: Self = Self {
        hour_steps: u32::MAX,
        day_steps: u32::MAX,
    };
}

/// Whole seconds, rounded up: a grant does not end before what it is for.
pub(crate) fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.micros().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_a_twenty_fourth_more() {
        let twenty_fourths = |hours: u64| Duration::from_micros(hours * 3_600_000_000 / 24 * 25);
        assert_eq!(REMEMBERED_OF_AN_HOUR, twenty_fourths(1));
        assert_eq!(REMEMBERED_OF_A_DAY, twenty_fourths(24));
        assert_eq!(LONGEST_GRANT, Duration::from_micros(86_400_000_000));
    }

    #[test]
    fn seconds_are_rounded_up() {
        for (micros, whole) in [(0, 0), (1, 1), (1_000_000, 1), (1_000_001, 2)] {
            assert_eq!(whole_seconds(Duration::from_micros(micros)), whole);
        }
        assert_eq!(whole_seconds(Duration::from_micros(u64::MAX)), u32::MAX);
    }
}
