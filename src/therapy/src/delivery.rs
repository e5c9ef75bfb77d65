//! Delivery: one running job, turned into orders of steps.
//!
//! # Exactness
//!
//! Step `k` of a job is due at the real instant `T(k)`: `k` steps after the start. Orders place it at or after `T(k)`, never before, and
//! less than 1.5 us after: the first step of an order is `T(k)` rounded up to a microsecond, and the period is rounded up to a
//! nanosecond over at most 499 periods. So the steps made are never ahead of the prescription, and never more than one step behind it
//! (and what flows in those 1.5 us, at most 1/5000 of a step at 125 steps/s). The next order starts from its own `T(k)` again: no lag
//! is handed on.
//!
//! # What was missed
//!
//! A step that is already past when the next order is asked for is left out and counted as a deficit. It is never caught up: a thread
//! that was starved for a minute does not fire a minute's steps at once.
//!
//! # Pace
//!
//! The motor driver holds two orders, the running one and the next. So [`Delivery::next_order`] holds the third back until the second
//! has begun, and [`Delivery::next_call`] says when that is: at moderate rates one call every 30 s, with another 30 s in hand.

use units::{Duration, Flow, PumpTime, StepVolume};

use crate::accumulator::Accumulator;
use crate::bounds::{Bounds, FASTEST_STEP_RATE_MILLIHERTZ};
use crate::order::StepOrder;
use crate::prescription::Prescription;

/// The longest an order lasts from its first step to its last \[P\].
pub const WINDOW: Duration = Duration::from_seconds(30);

/// The furthest ahead of the call any step of an order lies (architecture, "Steps, interrupts, flash").
pub const HORIZON: Duration = Duration::from_seconds(60);

/// The most steps in an order \[P\]: a hardware counter of 11 bits that is read once an order cannot saturate.
pub const MAXIMUM_STEPS_PER_ORDER: u32 = 500;

/// How long after an order's first step the order before it is certainly out of the driver's queue \[P\]: a flash page erase (85 ms) may
/// hold up the handover.
pub const HANDOVER: Duration = Duration::from_millis(100);

/// [`HORIZON`] in nanoseconds, the longest period an order bears.
const LONGEST_PERIOD_NS: u64 = HORIZON.saturating_mul(1_000).micros();

/// The period of [`FASTEST_STEP_RATE_MILLIHERTZ`] in nanoseconds, the shortest an order bears.
#[expect(
    clippy::as_conversions,
    reason = "u32 widens to u64; From is not const"
)]
const SHORTEST_PERIOD_NS: u64 = 1_000_000_000_000 / FASTEST_STEP_RATE_MILLIHERTZ as u64;

/// A job being delivered, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    job: Option<Job>,
    next_order_id: u32,
}

/// A job that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Job {
    accumulator: Accumulator,
    period_ns: u64,
    /// The first step, counted from 1 at the start of the job, that is neither ordered nor left out.
    next_step: u64,
    /// Steps left out so far.
    deficit: u64,
    /// The last step of the newest order.
    newest_ends: Option<PumpTime>,
    /// Until when the driver's queue has no place.
    full_until: PumpTime,
}

impl Delivery {
    /// Nothing to deliver. The first order of a job started from here on may have any number.
    #[must_use]
    pub const fn stopped() -> Self {
        Self {
            job: None,
            next_order_id: 1,
        }
    }

    /// Starts delivering a prescription at `at`; the first step comes one whole period later. A stopped prescription gives no order.
    ///
    /// `next_order_id` numbers the first order (0 becomes 1): hand on [`Delivery::next_order_id`] of the job before, so that no number
    /// comes twice. A flow faster than [`FASTEST_STEP_RATE_MILLIHERTZ`] with this step volume, which no prescription checked against
    /// the same bounds has, is delivered at that rate and the rest becomes a deficit.
    #[must_use]
    pub fn start(
        prescription: &Prescription,
        bounds: &Bounds,
        at: PumpTime,
        next_order_id: u32,
    ) -> Self {
        Self::run(prescription.flow(), bounds.step_volume, at, next_order_id)
    }

    /// Starts delivering at the pump's minimum rate, which needs no prescription; otherwise as [`Delivery::start`].
    #[must_use]
    pub fn start_minimum_rate(bounds: &Bounds, at: PumpTime, next_order_id: u32) -> Self {
        Self::run(
            bounds.minimum_rate.flow(),
            bounds.step_volume,
            at,
            next_order_id,
        )
    }

    /// Starts delivering any flow.
    fn run(flow: Flow, step_volume: StepVolume, at: PumpTime, next_order_id: u32) -> Self {
        let accumulator = Accumulator::new(flow, step_volume, at);
        let job = Job {
            accumulator,
            period_ns: accumulator
                .period_nanoseconds_rounded_up()
                .clamp(SHORTEST_PERIOD_NS, LONGEST_PERIOD_NS),
            next_step: 1,
            deficit: 0,
            newest_ends: None,
            full_until: PumpTime::ZERO,
        };
        Self {
            job: (!flow.is_zero()).then_some(job),
            next_order_id: next_order_id.max(1),
        }
    }

    /// The next order for the motor driver, or `None` when it has enough for now. Call again until `None`, then not before
    /// [`Delivery::next_call`].
    ///
    /// Steps that are past at `now` and in no order are left out here and count as [`Delivery::deficit`].
    pub fn next_order(&mut self, now: PumpTime) -> Option<StepOrder> {
        let job = self.job.as_mut()?;
        let (first_at, steps) = job.next_steps(now)?;
        let order = StepOrder {
            id: self.next_order_id,
            first_at,
            period_ns: job.period_ns,
            steps,
        };
        job.ordered(&order, now);
        // Numbers start again from 1 after 2^32 orders, some 600 years at the fastest.
        self.next_order_id = self.next_order_id.checked_add(1).unwrap_or(1);
        Some(order)
    }

    /// When to call [`Delivery::next_order`] again; `None` when there is nothing more to order, ever. A moment that is already past
    /// means now.
    #[must_use]
    pub fn next_call(&self) -> Option<PumpTime> {
        let job = self.job.as_ref()?;
        let first_at = job.next_step_at()?;
        Some(first_at.saturating_sub(HORIZON).max(job.full_until))
    }

    /// Whole steps this job has prescribed by `at`, rounded down, whether made or not; 0 when stopped.
    #[must_use]
    pub fn prescribed(&self, at: PumpTime) -> u64 {
        self.job.map_or(0, |job| job.accumulator.due_by(at))
    }

    /// Steps this job has left out because they were past when asked for. They are never caught up.
    #[must_use]
    pub fn deficit(&self) -> u64 {
        self.job.map_or(0, |job| job.deficit)
    }

    /// Steps in this job's orders so far.
    #[must_use]
    pub fn ordered(&self) -> u64 {
        self.job.map_or(0, |job| {
            job.next_step.saturating_sub(1).saturating_sub(job.deficit)
        })
    }

    /// The number the next order will bear; never 0.
    #[must_use]
    pub const fn next_order_id(&self) -> u32 {
        self.next_order_id
    }

    /// Whether a job is running.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.job.is_some()
    }
}

impl Job {
    /// The first step and the number of steps of the next order, if it is time for one.
    fn next_steps(&mut self, now: PumpTime) -> Option<(PumpTime, u32)> {
        if now < self.full_until {
            return None;
        }
        // Nothing before now, and nothing before the newest order has ended.
        let earliest = match self.newest_ends {
            Some(end) => now.max(end.saturating_add(Duration::from_micros(1))),
            None => now,
        };
        self.leave_out_before(earliest);
        let first_at = self.next_step_at()?;
        let latest = now
            .saturating_add(HORIZON)
            .min(first_at.saturating_add(WINDOW));
        let span = latest.checked_since(first_at)?;
        let periods = span
            .saturating_mul(1_000)
            .micros()
            .checked_div(self.period_ns)
            .unwrap_or(0);
        let steps = u32::try_from(periods.saturating_add(1))
            .unwrap_or(u32::MAX)
            .min(MAXIMUM_STEPS_PER_ORDER);
        Some((first_at, steps))
    }

    /// When the next step is due; `None` when the clock or the count of steps ends first, or has ended with the newest order.
    fn next_step_at(&self) -> Option<PumpTime> {
        if self.next_step == u64::MAX || self.newest_ends == Some(PumpTime::MAX) {
            return None;
        }
        self.accumulator.time_of_step(self.next_step)
    }

    /// Leaves out the steps due before `earliest`.
    fn leave_out_before(&mut self, earliest: PumpTime) {
        let Some(before) = earliest.micros().checked_sub(1) else {
            return;
        };
        let first_in_time = self
            .accumulator
            .due_by(PumpTime::from_micros(before))
            .saturating_add(1);
        let left_out = first_in_time.saturating_sub(self.next_step);
        self.deficit = self.deficit.saturating_add(left_out);
        self.next_step = self.next_step.saturating_add(left_out);
    }

    /// Remembers an order that was given out at `now`.
    fn ordered(&mut self, order: &StepOrder, now: PumpTime) {
        // With the order before still running, the driver now holds two.
        if self.newest_ends.is_some_and(|end| end >= now) {
            self.full_until = order.first_at.saturating_add(HANDOVER);
        }
        self.newest_ends = Some(order.last_at());
        self.next_step = self.next_step.saturating_add(u64::from(order.steps));
    }
}

#[cfg(test)]
mod tests;
