//! The time of day: set by a phone, carried on by the pump's clock, and what is left of it after a reset.
//!
//! | after | the clock is | because |
//! |---|---|---|
//! | a reset by the processor itself, with what was retained whole | known, less certain by [`RESET_TIME`] | nothing held it up |
//! | a fall of the supply or a reset from outside, with what was retained whole | suspect | nobody knows how long the processor stood still |
//! | a loss of power, or with what was retained damaged | lost | nothing counted meanwhile |
//!
//! It becomes suspect by itself when it may be more than [`TRUSTED_UNCERTAINTY`] off. Nothing in therapy runs on it but what is said there.

use crate::event::ResetCause;
use units::{Clock, Duration, PumpTime, WallTime};

/// Earliest time of day that can be set: 2020-01-01T00:00:00Z, and the first after the last, 2100-01-01T00:00:00Z (clinical.md 8, criterion 17:
/// dates are valid from 2020 to 2099).
pub const EARLIEST: WallTime = WallTime::from_millis(1_577_836_800_000);
/// See [`EARLIEST`].
pub const END: WallTime = WallTime::from_millis(4_102_444_800_000);
/// Longest time from what was retained last to the pump's next start: the call before is at most a minute ago, the watchdog takes 25 s, and
/// the start a few. \[P\]
pub const RESET_TIME: Duration = Duration::from_seconds(120);
/// From so much on the clock is suspect: the summer-time hour could no longer be told. \[P\]
pub const TRUSTED_UNCERTAINTY: Duration = Duration::from_seconds(1_800);
/// How far a crystal of 20 ppm, and as much again for its age and temperature, is off: parts per million. \[P\], clinical.md 2.16.
const DRIFT_PPM: u64 = 40;

/// A time of day that was known at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Anchor {
    at: PumpTime,
    wall: WallTime,
    uncertainty: Duration,
}

/// The pump's clock of the day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timekeeper {
    anchor: Option<Anchor>,
    suspect: bool,
}

impl Timekeeper {
    /// Behind a reset: `before` is what the clock said when it was last retained, some time before the reset.
    /// `boots` have begun since, this one included.
    pub(crate) fn after_reset(before: Option<Clock>, cause: ResetCause, boots: u32) -> Self {
        let start = PumpTime::ZERO;
        let (wall, uncertainty, suspect) = match before {
            None | Some(Clock::Lost) => return Self::default(),
            Some(Clock::Known { wall, uncertainty }) => (wall, uncertainty, false),
            Some(Clock::Suspect { wall }) => (wall, Duration::ZERO, true),
        };
        let held = match cause {
            ResetCause::PowerOn => return Self::default(),
            ResetCause::BrownOut | ResetCause::External => true,
            ResetCause::Fatal { .. } | ResetCause::Watchdog | ResetCause::Software => false,
        };
        Self {
            anchor: Some(Anchor {
                at: start,
                wall,
                uncertainty: uncertainty.saturating_add(Duration::from_micros(
                    RESET_TIME.micros().saturating_mul(u64::from(boots.max(1))),
                )),
            }),
            suspect: suspect || held,
        }
    }

    /// The time of day is this now.
    pub(crate) fn set(&mut self, now: PumpTime, wall: WallTime, uncertainty: Duration) {
        self.anchor = Some(Anchor {
            at: now,
            wall,
            uncertainty,
        });
        self.suspect = false;
    }

    /// Whether it may be wrong.
    pub(crate) fn is_suspect(&self, now: PumpTime) -> bool {
        matches!(self.read(now), Clock::Suspect { .. })
    }

    /// What the clock says.
    pub(crate) fn read(&self, now: PumpTime) -> Clock {
        let Some(anchor) = self.anchor else {
            return Clock::Lost;
        };
        let passed = now.saturating_since(anchor.at);
        let wall = anchor.wall.saturating_add(passed);
        let drift = passed
            .micros()
            .saturating_mul(DRIFT_PPM)
            .div_ceil(1_000_000);
        // Whole seconds, rounded up: finer would say more than anybody knows, and take more room in every record.
        let uncertainty = anchor
            .uncertainty
            .saturating_add(Duration::from_micros(drift))
            .micros()
            .div_ceil(1_000_000)
            .saturating_mul(1_000_000);
        let uncertainty = Duration::from_micros(uncertainty);
        if self.suspect || uncertainty > TRUSTED_UNCERTAINTY {
            Clock::Suspect { wall }
        } else {
            Clock::Known { wall, uncertainty }
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    const MONDAY: WallTime = WallTime::from_millis(1_767_607_200_000);

    fn at(seconds: u64) -> PumpTime {
        PumpTime::from_micros(seconds * 1_000_000)
    }

    fn known(seconds: u64, uncertainty: u64) -> Clock {
        Clock::Known {
            wall: MONDAY.saturating_add(Duration::from_millis(seconds * 1_000)),
            uncertainty: Duration::from_seconds(u32::try_from(uncertainty).unwrap()),
        }
    }

    #[test]
    fn a_clock_that_was_never_set_is_lost() {
        assert_eq!(Timekeeper::default().read(at(1_000)), Clock::Lost);
    }

    #[test]
    fn it_goes_with_the_pump_and_grows_less_certain() {
        let mut clock = Timekeeper::default();
        clock.set(at(100), MONDAY, Duration::from_seconds(2));
        assert_eq!(clock.read(at(100)), known(0, 2));
        // 40 ppm of a day are 3.456 s.
        assert_eq!(clock.read(at(100 + 86_400)), known(86_400, 6));
        // A time before it was set: as when it was set.
        assert_eq!(clock.read(at(5)), known(0, 2));
    }

    #[test]
    fn it_is_suspect_when_it_may_be_half_an_hour_off() {
        let mut clock = Timekeeper::default();
        clock.set(at(0), MONDAY, Duration::from_seconds(1_799));
        assert_eq!(clock.read(at(25_000)), known(25_000, 1_800));
        assert!(matches!(clock.read(at(25_001)), Clock::Suspect { .. }));
    }

    #[test]
    fn every_reset_leaves_what_the_table_says() {
        let before = known(50, 2);
        for (cause, expected) in [
            (ResetCause::PowerOn, Clock::Lost),
            (
                ResetCause::BrownOut,
                Clock::Suspect {
                    wall: MONDAY.saturating_add(Duration::from_seconds(50)),
                },
            ),
            (
                ResetCause::External,
                Clock::Suspect {
                    wall: MONDAY.saturating_add(Duration::from_seconds(50)),
                },
            ),
            (ResetCause::Fatal { reason: 4 }, known(50, 122)),
            (ResetCause::Watchdog, known(50, 122)),
            (ResetCause::Software, known(50, 122)),
        ] {
            let clock = Timekeeper::after_reset(Some(before), cause, 1);
            assert_eq!(clock.read(at(0)), expected, "{cause:?}");
            for lost in [None, Some(Clock::Lost)] {
                assert_eq!(
                    Timekeeper::after_reset(lost, cause, 1).read(at(0)),
                    Clock::Lost
                );
            }
        }
        // Each boot that came to nothing took its time too.
        let clock = Timekeeper::after_reset(Some(before), ResetCause::Software, 3);
        assert_eq!(clock.read(at(0)), known(50, 362));
        let suspect = Clock::Suspect { wall: MONDAY };
        let clock = Timekeeper::after_reset(Some(suspect), ResetCause::Software, 1);
        assert_eq!(clock.read(at(0)), suspect, "doubt does not go by itself");
    }
}
