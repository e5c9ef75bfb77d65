//! Orders of steps, as the motor driver times them.

use units::{Duration, PumpTime};

/// Nanoseconds in a microsecond.
const NANOSECONDS: u64 = 1_000;

/// A row of evenly spaced motor steps. The driver times it and ends it by itself, and stops when no order follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepOrder {
    /// Its number; never 0, one more than that of the order before.
    pub id: u32,
    /// When the first step is due.
    pub first_at: PumpTime,
    /// From one step to the next, in nanoseconds. An order of a single step bears at most 60 s here, and it means nothing.
    pub period_ns: u64,
    /// How many steps; never 0.
    pub steps: u32,
}

impl StepOrder {
    /// When the last step is due, rounded up to a microsecond; at most [`PumpTime::MAX`].
    #[must_use]
    pub fn last_at(&self) -> PumpTime {
        let span = self
            .period_ns
            .saturating_mul(u64::from(self.steps.saturating_sub(1)));
        self.first_at
            .saturating_add(Duration::from_micros(span.div_ceil(NANOSECONDS)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(first_at: u64, period_ns: u64, steps: u32) -> StepOrder {
        StepOrder {
            id: 1,
            first_at: PumpTime::from_micros(first_at),
            period_ns,
            steps,
        }
    }

    #[test]
    fn the_last_step_is_a_period_less_than_there_are_steps_away() {
        assert_eq!(order(10, 9_000_000, 1).last_at().micros(), 10);
        assert_eq!(order(10, 9_000_000, 3).last_at().micros(), 18_010);
        assert_eq!(order(10, 1_001, 2).last_at().micros(), 12, "rounded up");
        assert_eq!(order(u64::MAX, 1_000, 2).last_at(), PumpTime::MAX);
        assert_eq!(
            order(0, u64::MAX, u32::MAX).last_at().micros(),
            u64::MAX.div_ceil(1_000)
        );
    }
}
