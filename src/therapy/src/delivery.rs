//! Delivery: the running jobs, turned into orders of steps.
//!
//! A basal rate runs, or a bolus or prime, or both at once. Each is a track with an exact count of its own, and orders carry the steps of
//! both.
//!
//! # Exactness
//!
//! Step `k` of a job that runs alone is due at the real instant `T(k)`: `k` steps after the start. Orders place it at or after `T(k)`, never before, and
//! less than 1.5 us after: the first step of an order is `T(k)` rounded up to a microsecond, and the period is rounded up to a
//! nanosecond over at most 499 periods. So the steps made are never ahead of the prescription, and never more than one step behind it
//! (and what flows in those 1.5 us, at most 1/5000 of a step at 125 steps/s). The next order starts from its own `T(k)` again: no lag
//! is handed on.
//!
//! Where two run at once, an order covers a window and spreads evenly what both have become due by its end: at the end of every window the
//! steps are those of both prescriptions, rounded down, and within it no more than one step of each away from them.
//!
//! A rate that follows another at a known moment ([`Delivery::follow_with`]) takes over the part of a step that was due by then. When
//! orders are dropped, [`Delivery::cancelled`] waits for the driver to say how many of their steps were made, and goes on exactly behind them.
//!
//! # What was missed
//!
//! A step that is already past when the next order is asked for is left out and counted as a deficit. It is never caught up: a thread
//! that was starved for a minute does not fire a minute's steps at once.
//!
//! One exception: while the driver holds all it can, or was just told to drop its orders, steps of up to a second ago are not past. They are
//! delivery's own doing, and come late and at the motor's pace instead of being left out.
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

/// How far steps may lie behind their time because orders were dropped, or two jobs met, without being left out \[P\]: a driver that is told to
/// drop its orders has answered long before.
const LAG: Duration = Duration::from_seconds(1);

/// [`HORIZON`] in nanoseconds, the longest period an order bears.
const LONGEST_PERIOD_NS: u64 = HORIZON.saturating_mul(1_000).micros();

/// The period of [`FASTEST_STEP_RATE_MILLIHERTZ`] in nanoseconds, the shortest an order bears.
#[expect(
    clippy::as_conversions,
    reason = "u32 widens to u64; From is not const"
)]
const SHORTEST_PERIOD_NS: u64 =
    NANOSECONDS_A_THOUSAND_SECONDS / FASTEST_STEP_RATE_MILLIHERTZ as u64;

/// As many steps as a rate has millihertz take so long.
const NANOSECONDS_A_THOUSAND_SECONDS: u64 = 1_000_000_000_000;

/// What is being delivered, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    basal: Option<Track>,
    /// A bolus or prime: a track that ends.
    finite: Option<Finite>,
    step_volume: StepVolume,
    /// No two steps come closer, ns.
    shortest_period_ns: u64,
    next_order_id: u32,
    /// The last step of the newest order.
    newest_ends: Option<PumpTime>,
    /// Until when the driver's queue has no place.
    full_until: PumpTime,
    /// Steps in orders so far that were not taken back.
    handed: u64,
    /// Steps left out so far, by jobs that have ended too.
    left_out: u64,
    /// Orders were dropped at this time, and the driver has not yet said what it had made of them.
    dropped_at: Option<PumpTime>,
    /// Orders were dropped at this time, and none was given since.
    resumed_at: Option<PumpTime>,
    /// The driver's count when this began; none until it has said so.
    base: Option<u64>,
}

/// One count of steps against the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Track {
    accumulator: Accumulator,
    /// The rate before, while it may still be in force.
    before: Option<Accumulator>,
    /// The rate that follows, and when.
    then: Option<(PumpTime, Flow)>,
    /// The first step, counted from 1 at the start of the accumulator, that is neither ordered nor left out.
    next_step: u64,
}

/// A track that ends with a number of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Finite {
    track: Track,
    steps: u64,
    left_out: u64,
}

impl Delivery {
    /// Nothing to deliver. The first order of a job started from here on may have any number.
    #[must_use]
    pub const fn stopped() -> Self {
        Self {
            basal: None,
            finite: None,
            step_volume: StepVolume::NOMINAL,
            shortest_period_ns: SHORTEST_PERIOD_NS,
            next_order_id: 1,
            newest_ends: None,
            full_until: PumpTime::ZERO,
            handed: 0,
            left_out: 0,
            dropped_at: None,
            resumed_at: None,
            base: Some(0),
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

    /// Starts delivering any flow; otherwise as [`Delivery::start`].
    #[must_use]
    pub fn run(flow: Flow, step_volume: StepVolume, at: PumpTime, next_order_id: u32) -> Self {
        Self {
            basal: (!flow.is_zero()).then(|| Track::new(Accumulator::new(flow, step_volume, at))),
            step_volume,
            next_order_id: next_order_id.max(1),
            ..Self::stopped()
        }
    }

    /// What is to be delivered is another flow from `at` on: the part of a step that is due by then is carried over. Only one change is
    /// held; [`Delivery::follows`] says whether it is still to come. A stopped delivery begins at `at`.
    pub fn follow_with(&mut self, flow: Flow, at: PumpTime) {
        match &mut self.basal {
            Some(track) => track.then = Some((at, flow)),
            None => self.basal = Some(Track::new(Accumulator::new(flow, self.step_volume, at))),
        }
    }

    /// When the flow changes next, as far as it has been said and no order lies beyond.
    #[must_use]
    pub fn follows(&self) -> Option<PumpTime> {
        self.basal.and_then(|track| track.then).map(|(at, _)| at)
    }

    /// Delivers `steps` steps at a flow of their own from `at` on, beside the basal rate. A finite job that is under way is replaced. Orders that
    /// were given out must have been dropped ([`Delivery::cancelled`]).
    pub fn begin_finite(&mut self, steps: u32, flow: Flow, at: PumpTime, bounds: &Bounds) {
        self.shortest_period_ns = NANOSECONDS_A_THOUSAND_SECONDS
            .checked_div(u64::from(bounds.binding_step_rate_millihertz()))
            .unwrap_or(LONGEST_PERIOD_NS);
        self.end_finite();
        self.finite = Some(Finite {
            track: Track::new(Accumulator::new(flow, self.step_volume, at)),
            steps: u64::from(steps),
            left_out: 0,
        });
    }

    /// Ends a finite job before its time; what it has ordered by then and was made, it keeps. Orders must have been dropped.
    pub fn end_finite(&mut self) {
        if let (Some(at), Some(finite)) = (self.dropped_at, &mut self.finite) {
            // Of what the driver has dropped its steps are nobody's: basal must not make them good.
            let back = finite.track.rewind(at, finite.steps);
            self.handed = self.handed.saturating_sub(back);
        }
        self.finite = None;
    }

    /// Steps of the finite job that are due by `at` and were not left out; none when there is no such job.
    #[must_use]
    pub fn finite_steps(&self, at: PumpTime) -> Option<u64> {
        let finite = self.finite.as_ref()?;
        let due = finite.track.accumulator.due_by(at).min(finite.steps);
        Some(due.saturating_sub(finite.left_out))
    }

    /// When the last step of the finite job is due; none when there is no such job.
    #[must_use]
    pub fn finite_ends(&self) -> Option<PumpTime> {
        let finite = self.finite.as_ref()?;
        finite.track.accumulator.time_of_step(finite.steps)
    }

    /// The orders that were given out are dropped at `now`. No order comes before [`Delivery::driver_says`].
    pub fn cancelled(&mut self, now: PumpTime) {
        self.dropped_at = Some(now);
        self.newest_ends = None;
        self.full_until = PumpTime::ZERO;
    }

    /// As [`Delivery::cancelled`], for the orders of the job before this one.
    pub fn follows_cancelled(&mut self, now: PumpTime) {
        self.cancelled(now);
        self.base = None;
    }

    /// Whether the driver's count is waited for.
    #[must_use]
    pub const fn waits_for_driver(&self) -> bool {
        self.dropped_at.is_some()
    }

    /// An order was given to the driver beside what is delivered here, to a rotor that stands still: its steps are no steps of a job. What comes
    /// here next begins behind it, with a number of its own: the rotor may turn again before the order is over.
    pub fn made_outside(&mut self, order: &StepOrder) {
        self.handed = self.handed.saturating_add(u64::from(order.steps));
        self.newest_ends = self.newest_ends.max(Some(order.last_at()));
        self.next_order_id = order.id.checked_add(1).unwrap_or(1);
    }

    /// The driver's count of steps made, after it has dropped its orders. What it had made counts, and what it had not comes again.
    pub fn driver_says(&mut self, made: u64) {
        let Some(at) = self.dropped_at.take() else {
            return;
        };
        self.resumed_at = Some(at);
        let Some(base) = self.base else {
            self.base = Some(made);
            return;
        };
        if let Some(finite) = &mut self.finite {
            let back = finite.track.rewind(at, finite.steps);
            self.handed = self.handed.saturating_sub(back);
        }
        if let Some(track) = &mut self.basal {
            let back = track.rewind(at, u64::MAX);
            self.handed = self.handed.saturating_sub(back);
        }
        let made = made.saturating_sub(base);
        // A step that the driver had begun, or had not got to: it is of the track whose steps are close together.
        let more = made.saturating_sub(self.handed);
        let fewer = self.handed.saturating_sub(made);
        let track = match (&mut self.basal, &mut self.finite) {
            (_, Some(finite)) if finite.track.next_step <= finite.steps => Some(&mut finite.track),
            (Some(track), _) => Some(track),
            (None, Some(finite)) => Some(&mut finite.track),
            (None, None) => None,
        };
        if let Some(track) = track {
            let next = track.next_step.saturating_add(more).saturating_sub(fewer);
            track.next_step = next.max(1);
        }
        self.handed = made;
    }

    /// The next order for the motor driver, or `None` when it has enough for now. Call again until `None`, then not before
    /// [`Delivery::next_call`].
    ///
    /// Steps that are past at `now` and in no order are left out here and count as [`Delivery::deficit`].
    pub fn next_order(&mut self, now: PumpTime) -> Option<StepOrder> {
        if self.dropped_at.is_some() || now < self.full_until {
            return None;
        }
        if self.newest_ends == Some(PumpTime::MAX) {
            return None;
        }
        // What is past is left out, and what is so far behind the driver's pace that it never comes up.
        let in_hand = self.newest_ends.is_some_and(|end| {
            let held_back =
                self.full_until > end && now <= self.full_until.saturating_add(HANDOVER);
            now <= end || held_back
        });
        match (self.newest_ends, self.resumed_at.take()) {
            // The driver is in supply, or was until it had a place again: only what it can never catch up with is left out.
            (Some(end), _) if in_hand => self.leave_out_before(end.saturating_sub(LAG)),
            // What was dropped a moment ago comes again, and what it was behind with.
            (None, Some(at)) if now <= at.saturating_add(LAG) => {}
            (_, _) => self.leave_out_before(now),
        }
        let earliest = now.max(self.free_from());
        let finite = self
            .finite
            .as_mut()
            .filter(|finite| finite.track.next_step <= finite.steps);
        let order = match (&mut self.basal, finite) {
            (None, None) => None,
            (Some(track), None) => track.order(now, earliest, u64::MAX, self.shortest_period_ns),
            (None, Some(finite)) => {
                let end = finite.steps;
                finite
                    .track
                    .order(now, earliest, end, self.shortest_period_ns)
            }
            (Some(track), Some(finite)) => order_in_window(
                &mut [(track, u64::MAX), (&mut finite.track, finite.steps)],
                now,
                earliest,
                self.shortest_period_ns,
            ),
        };
        let (first_at, period_ns, steps) = order?;
        let order = StepOrder {
            id: self.next_order_id,
            first_at,
            period_ns,
            steps,
        };
        // With the order before still running, the driver now holds two.
        if self.newest_ends.is_some_and(|end| end >= now) {
            self.full_until = order.first_at.saturating_add(HANDOVER);
        }
        self.newest_ends = Some(order.last_at());
        self.handed = self.handed.saturating_add(u64::from(steps));
        // Numbers start again from 1 after 2^32 orders, some 600 years at the fastest.
        self.next_order_id = self.next_order_id.checked_add(1).unwrap_or(1);
        Some(order)
    }

    /// Leaves out the steps that are due before `now` and in no order. They count as a deficit and are never caught up.
    pub fn leave_out_before(&mut self, now: PumpTime) {
        if self.dropped_at.is_some() {
            return;
        }
        if let Some(track) = &mut self.basal {
            let left_out = track.leave_out_before(now, u64::MAX);
            self.left_out = self.left_out.saturating_add(left_out);
        }
        if let Some(finite) = &mut self.finite {
            let left_out = finite.track.leave_out_before(now, finite.steps);
            finite.left_out = finite.left_out.saturating_add(left_out);
            self.left_out = self.left_out.saturating_add(left_out);
        }
    }

    /// When to call [`Delivery::next_order`] again; `None` when there is nothing more to order, ever. A moment that is already past
    /// means now.
    #[must_use]
    pub fn next_call(&self) -> Option<PumpTime> {
        if self.newest_ends == Some(PumpTime::MAX) || self.dropped_at.is_some() {
            return None;
        }
        let basal = self.basal.and_then(|track| track.next_step_at(u64::MAX));
        let finite = self
            .finite
            .and_then(|finite| finite.track.next_step_at(finite.steps));
        let first_at = match (basal, finite) {
            (Some(basal), Some(finite)) => basal.min(finite),
            (Some(first), None) | (None, Some(first)) => first,
            (None, None) => return None,
        };
        let first_at = first_at.max(self.free_from());
        Some(first_at.saturating_sub(HORIZON).max(self.full_until))
    }

    /// The earliest that another step can come.
    fn free_from(&self) -> PumpTime {
        let period = Duration::from_micros(self.shortest_period_ns / 1_000);
        self.newest_ends
            .map_or(PumpTime::ZERO, |end| end.saturating_add(period))
    }

    /// Steps that were left out because they were past when asked for. They are never caught up.
    #[must_use]
    pub const fn deficit(&self) -> u64 {
        self.left_out
    }

    /// Steps in orders so far, without those that were dropped.
    #[must_use]
    pub const fn ordered(&self) -> u64 {
        self.handed
    }

    /// The number the next order will bear; never 0.
    #[must_use]
    pub const fn next_order_id(&self) -> u32 {
        self.next_order_id
    }

    /// Whether anything is being delivered.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.basal.is_some() || self.finite.is_some()
    }
}

impl Track {
    const fn new(accumulator: Accumulator) -> Self {
        Self {
            accumulator,
            before: None,
            then: None,
            next_step: 1,
        }
    }

    /// The last step that may be ordered: of this rate, and of the job.
    fn last_step(&self, end: u64) -> u64 {
        match self.then {
            Some((at, _)) => self.accumulator.due_by(at).min(end),
            None => end,
        }
    }

    /// Goes on to the rate that follows once every step of this one is ordered or left out.
    fn go_on(&mut self) {
        while let Some((at, flow)) = self.then
            && self.next_step > self.accumulator.due_by(at)
        {
            let (due, step_volume) = (self.accumulator.due_by(at), self.accumulator.step_volume());
            self.before = Some(self.accumulator);
            self.accumulator = self.accumulator.then(flow, step_volume, at);
            self.next_step = self.next_step.saturating_sub(due);
            self.then = None;
        }
    }

    /// When the next step is due; `None` when the clock or the count of steps ends first, or the job is complete.
    fn next_step_at(&self, end: u64) -> Option<PumpTime> {
        let mut track = *self;
        track.go_on();
        if track.next_step == u64::MAX || track.next_step > end {
            return None;
        }
        track.accumulator.time_of_step(track.next_step)
    }

    /// First step, period and number of the next order of this track alone, if it is time for one.
    fn order(
        &mut self,
        now: PumpTime,
        earliest: PumpTime,
        end: u64,
        shortest_period_ns: u64,
    ) -> Option<(PumpTime, u64, u32)> {
        self.go_on();
        let first_at = self.next_step_at(end)?;
        if first_at < earliest {
            // Behind, because two jobs met or orders were dropped: the window takes it up.
            return order_in_window(&mut [(self, end)], now, earliest, shortest_period_ns);
        }
        let period_ns = self
            .accumulator
            .period_nanoseconds_rounded_up()
            .clamp(SHORTEST_PERIOD_NS, LONGEST_PERIOD_NS);
        let latest = now
            .saturating_add(HORIZON)
            .min(first_at.saturating_add(WINDOW));
        let span = latest.checked_since(first_at)?;
        let periods = span
            .saturating_mul(1_000)
            .micros()
            .checked_div(period_ns)
            .unwrap_or(0);
        let left = self
            .last_step(end)
            .saturating_add(1)
            .saturating_sub(self.next_step);
        let most = periods
            .saturating_add(1)
            .min(u64::from(MAXIMUM_STEPS_PER_ORDER));
        // No order at the end so short that the driver has nothing behind it.
        let steps = if left > most && left < most.saturating_mul(2) {
            left.div_ceil(2)
        } else {
            left.min(most)
        };
        self.next_step = self.next_step.saturating_add(steps);
        let steps = u32::try_from(steps).unwrap_or(MAXIMUM_STEPS_PER_ORDER);
        Some((first_at, period_ns, steps))
    }

    /// Leaves out the steps due before `earliest`; how many.
    fn leave_out_before(&mut self, earliest: PumpTime, end: u64) -> u64 {
        let Some(before) = earliest.micros().checked_sub(1) else {
            return 0;
        };
        let before = PumpTime::from_micros(before);
        let mut left_out = 0_u64;
        loop {
            let until = self.then.map_or(before, |(at, _)| at.min(before));
            let first_in_time = self.accumulator.due_by(until).min(end).saturating_add(1);
            let here = first_in_time.saturating_sub(self.next_step);
            left_out = left_out.saturating_add(here);
            self.next_step = self.next_step.saturating_add(here);
            let follows = self.then.is_some();
            self.go_on();
            if !follows || self.then.is_some() {
                return left_out;
            }
        }
    }

    /// Goes back to the first step that is not due by `at`, to the rate before if that was still in force; how many steps are taken back.
    fn rewind(&mut self, at: PumpTime, end: u64) -> u64 {
        let mut back = 0;
        if self.accumulator.start() > at
            && let Some(before) = self.before.take()
        {
            let (began, flow) = (self.accumulator.start(), self.accumulator.flow());
            back = self.next_step.saturating_sub(1);
            self.accumulator = before;
            // Another rate may be to follow instead by now.
            self.then = self.then.or(Some((began, flow)));
            self.next_step = before.due_by(began).saturating_add(1);
        }
        let next = self.accumulator.due_by(at).min(end).saturating_add(1);
        back = self.next_step.saturating_sub(next).saturating_add(back);
        self.next_step = self.next_step.min(next);
        back
    }
}

/// An order of several tracks, each with its last step: what all have become due by the end of a window, spread evenly over it.
fn order_in_window(
    tracks: &mut [(&mut Track, u64)],
    now: PumpTime,
    earliest: PumpTime,
    shortest_period_ns: u64,
) -> Option<(PumpTime, u64, u32)> {
    let mut horizon = now.saturating_add(HORIZON);
    for (track, last) in tracks.iter_mut() {
        track.go_on();
        if let Some(ends) = track.accumulator.time_of_step(*last) {
            horizon = horizon.min(ends);
        }
        if let Some((at, _)) = track.then {
            horizon = horizon.min(at);
        }
    }
    if earliest > now.saturating_add(HORIZON) {
        return None;
    }
    let horizon = horizon.max(earliest);
    let left = horizon.saturating_since(earliest);
    let mut span = left.min(WINDOW);
    if left > span && left < span.saturating_mul(2) {
        // No order at the end so short that the driver has nothing behind it.
        span = Duration::from_micros(left.micros().div_ceil(2));
    }
    loop {
        let end = earliest.saturating_add(span);
        let steps = tracks.iter().fold(0_u64, |sum, (track, last)| {
            sum.saturating_add(steps_by(track, end, *last))
        });
        if steps == 0 && span < left {
            span = left;
            continue;
        }
        if steps == 0 {
            return None;
        }
        if steps > u64::from(MAXIMUM_STEPS_PER_ORDER) && span > Duration::ZERO {
            span = Duration::from_micros(span.micros().div_euclid(2));
            continue;
        }
        let steps = steps.min(u64::from(MAXIMUM_STEPS_PER_ORDER));
        let period_ns = span
            .saturating_mul(1_000)
            .micros()
            .checked_div(steps)
            .unwrap_or(0)
            .clamp(shortest_period_ns, LONGEST_PERIOD_NS);
        // A motor that is too slow makes what it can.
        let fit = left.saturating_mul(1_000).micros().checked_div(period_ns);
        let steps = steps.min(fit.unwrap_or(0).max(1));
        let mut room = steps;
        for (track, last) in tracks.iter_mut() {
            let of_track = steps_by(track, end, *last).min(room);
            room = room.saturating_sub(of_track);
            track.next_step = track.next_step.saturating_add(of_track);
        }
        // The pause behind the order before is in `earliest` already.
        let wait = Duration::from_micros(period_ns.saturating_sub(shortest_period_ns) / 1_000);
        let steps = u32::try_from(steps).unwrap_or(MAXIMUM_STEPS_PER_ORDER);
        return Some((earliest.saturating_add(wait), period_ns, steps));
    }
}

/// Steps of a track that are due by `end` and not yet ordered.
fn steps_by(track: &Track, end: PumpTime, last: u64) -> u64 {
    track
        .accumulator
        .due_by(end)
        .min(track.last_step(last))
        .saturating_add(1)
        .saturating_sub(track.next_step)
}

#[cfg(test)]
mod tests;
