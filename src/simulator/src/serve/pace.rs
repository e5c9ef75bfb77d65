//! How virtual time follows real time: the integral of the speed.

use std::time::Duration as RealTime;
use units::Duration;

/// Slowest speed: real time.
pub const LOWEST_SPEED: u32 = 1;
/// Fastest speed: 28 simulated hours a second.
pub const HIGHEST_SPEED: u32 = 100_000;

/// Virtual time as a function of real time, straight between two changes of speed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    speed: u32,
    since_real: RealTime,
    since_virtual: Duration,
}

impl Pace {
    /// Starts at virtual time 0, real time 0. The speed is held to what is allowed.
    pub(super) fn new(speed: u32) -> Self {
        Self {
            speed: speed.clamp(LOWEST_SPEED, HIGHEST_SPEED),
            since_real: RealTime::ZERO,
            since_virtual: Duration::ZERO,
        }
    }

    pub(super) fn speed(&self) -> u32 {
        self.speed
    }

    /// Virtual time at this real time.
    pub(super) fn at(&self, real: RealTime) -> Duration {
        let passed = real.saturating_sub(self.since_real).as_micros();
        let passed = passed.saturating_mul(u128::from(self.speed));
        let passed = Duration::from_micros(u64::try_from(passed).unwrap_or(u64::MAX));
        self.since_virtual.saturating_add(passed)
    }

    /// Another speed from now on.
    pub(super) fn change(&mut self, real: RealTime, speed: u32) {
        self.since_virtual = self.at(real);
        self.since_real = real;
        self.speed = speed.clamp(LOWEST_SPEED, HIGHEST_SPEED);
    }

    /// Virtual time has only come so far: it goes on from there, and what is missing is not caught up.
    pub(super) fn fall_back(&mut self, real: RealTime, reached: Duration) {
        self.since_virtual = reached;
        self.since_real = real;
    }

    /// Real time to wait until virtual time `then`.
    pub(super) fn wait(&self, real: RealTime, then: Duration) -> RealTime {
        let left = then.saturating_sub(self.at(real)).micros();
        RealTime::from_micros(left.div_ceil(u64::from(self.speed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: RealTime = RealTime::from_secs(1);

    #[test]
    fn virtual_time_is_the_integral_of_the_speed() {
        let mut pace = Pace::new(10);
        assert_eq!(pace.at(SECOND), Duration::from_seconds(10));
        pace.change(SECOND, 100);
        assert_eq!(pace.at(SECOND), Duration::from_seconds(10));
        assert_eq!(pace.at(SECOND * 3), Duration::from_seconds(210));
        pace.change(SECOND * 3, 1);
        assert_eq!(pace.at(SECOND * 4), Duration::from_seconds(211));
    }

    #[test]
    fn real_time_that_goes_back_leaves_virtual_time_where_it_was() {
        let mut pace = Pace::new(10);
        pace.change(SECOND, 10);
        assert_eq!(pace.at(RealTime::ZERO), Duration::from_seconds(10));
    }

    #[test]
    fn a_wait_ends_no_earlier_than_the_time_waited_for() {
        let pace = Pace::new(7);
        for micros in 0..1000 {
            let then = Duration::from_micros(micros);
            let wait = pace.wait(RealTime::ZERO, then);
            assert!(pace.at(wait) >= then);
            assert!(micros == 0 || pace.at(wait - RealTime::from_micros(1)) < then);
        }
    }

    #[test]
    fn a_speed_is_held_to_what_is_allowed() {
        assert_eq!(Pace::new(0).speed(), LOWEST_SPEED);
        assert_eq!(Pace::new(u32::MAX).speed(), HIGHEST_SPEED);
    }

    #[test]
    fn what_was_missed_is_not_caught_up() {
        let mut pace = Pace::new(100_000);
        pace.fall_back(SECOND, Duration::from_seconds(5));
        assert_eq!(pace.at(SECOND), Duration::from_seconds(5));
        assert_eq!(pace.at(SECOND * 2), Duration::from_seconds(100_005));
    }
}
