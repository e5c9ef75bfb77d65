//! Supervision of the motor: what the encoder counts against what was commanded.
//!
//! # The rotor
//!
//! | state | event | what follows |
//! |---|---|---|
//! | turning | a pulse forward | turning; delivery is noted |
//! | turning | [`STALL_STEPS`] commanded since the last pulse | stalled, no retry yet; the first after [`FIRST_RETRIES_EVERY`] |
//! | turning | MRI mode has ended and no pulse came | the same |
//! | turning | retry asked for | none |
//! | turning | reset | turning |
//! | stalled | retry due, the pump runs, something is prescribed | a [`Retry`]; the next after [`FIRST_RETRIES_EVERY`], after three of them after [`RETRIES_EVERY`], for ever |
//! | stalled | retry due, the pump runs, nothing is prescribed | none; the next after [`FIRST_RETRIES_EVERY`] |
//! | stalled | retry due, the pump does not run or has stopped for good | none; it stays due |
//! | stalled | the steps of a retry made, half of them or more counted | turning, [`Recovered`]; after the drug's unattended resume limit at minimum rate |
//! | stalled | the steps of a retry made, fewer counted | stalled |
//! | stalled | a pulse outside a retry, MRI mode has ended | stalled |
//! | stalled | reset | stalled, as many retries made; the next at once |
//!
//! While it is stalled no steps but those of retries may be ordered, and what is missed is never caught up.
//!
//! # Beside that, in both states
//!
//! | event | alarm | ends |
//! |---|---|---|
//! | counted exceeds commanded by more than 10 % and more than [`OVER_DELIVERY_STEPS`] within 15 min, stopped or not | over-delivery: stop, outlasts resets | [`Supervision::clear_stop`] |
//! | more than [`REVERSE_PULSES`] back from the furthest | reverse delivery: the same | [`Supervision::clear_stop`] |
//! | counted below 90 % over 15 min and 200 steps, whichever is longer; not in a stall | under-delivery | when it no longer is so, in a stall, with a reset |
//! | no delivery for longer than the drug stands | delivery lost | with the first delivery |
//! | no delivery for longer than [`TUBE_SET_LIMIT`] | stopped too long | with the first delivery |
//! | recovery after the unattended resume limit | resumed at minimum rate, outlasts resets | [`Supervision::clear_resumed_at_minimum`] |
//!
//! Everything runs on powered time. A call costs the same however long the pump has run.

use core::array;

use serde::{Deserialize, Serialize};
use units::{AlarmKind, Drug, Duration, PoweredTime};

use crate::alarm::AlarmSet;

/// The longest between two calls of [`Supervision::observe`], also while stopped: reverse delivery stops within 10 s (clinical
/// reference, criterion 2) \[P\].
pub const OBSERVE_EVERY: Duration = Duration::from_seconds(10);

/// Commanded steps without a pulse that make a stall \[P\]: 43 s at 0.25 mL/day, 30 min at minimum rate.
pub const STALL_STEPS: u64 = 50;

/// Between the first three retries, and before them \[P\]: three are made within 10 min (clinical reference, criterion 4).
pub const FIRST_RETRIES_EVERY: Duration = Duration::from_minutes(3);

/// Between retries after the first three (clinical reference, 4.5 row 14) \[P\].
pub const RETRIES_EVERY: Duration = Duration::from_minutes(10);

/// Retries at a rising drive level, and the highest level \[P\].
pub const FIRST_RETRIES: u8 = 3;

/// The most steps in a retry (docs/therapy.md, "Running time and truth") \[P\]: 0.1 uL.
pub const RETRY_STEPS: u32 = 40;

/// Steps counted beyond those commanded that are still no over-delivery, however little was commanded (docs/therapy.md) \[P\].
pub const OVER_DELIVERY_STEPS: u32 = 20;

/// Pulses backwards that are still no reverse delivery \[P\]: a rotor that swings back into place.
pub const REVERSE_PULSES: i64 = 2;

/// How long the tube of a peristaltic pump may be pressed at one place \[S26\].
pub const TUBE_SET_LIMIT: Duration = Duration::from_hours(48);

/// What a drug in the pump lets pass before its absence is a danger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// After a longer stall delivery comes back at minimum rate: the patient's tolerance is lost.
    pub unattended_resume_limit: Duration,
    /// A longer loss of delivery is a critical alarm, whatever the cause; `None` where no withdrawal is known to kill.
    pub delivery_lost_after: Option<Duration>,
}

impl Tolerance {
    /// That of a single drug: 48 h \[P\], and 4 h for baclofen \[S05\] and clonidine \[S76\] \[P\].
    #[must_use]
    pub const fn of(drug: Drug) -> Self {
        Self {
            unattended_resume_limit: Duration::from_hours(48),
            delivery_lost_after: match drug {
                Drug::Baclofen | Drug::Clonidine => Some(Duration::from_hours(4)),
                _ => None,
            },
        }
    }

    /// That of a mixture: the shorter of each.
    #[must_use]
    pub fn mixed_with(self, other: Self) -> Self {
        Self {
            unattended_resume_limit: self
                .unattended_resume_limit
                .min(other.unattended_resume_limit),
            delivery_lost_after: match (self.delivery_lost_after, other.delivery_lost_after) {
                (Some(one), Some(another)) => Some(one.min(another)),
                (one, another) => one.or(another),
            },
        }
    }
}

/// What the motor driver says at one moment. Its totals are those since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The moment.
    pub now: PoweredTime,
    /// Steps really commanded to the coils.
    pub commanded: u64,
    /// Signed pulses of the encoder, one a step; forward is positive.
    pub counted: i64,
    /// Whether anything is to be delivered.
    pub running: bool,
}

/// The rotor turns again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// How long nothing was delivered although something was to be.
    pub stood: Duration,
    /// Steps commanded in the meantime, since this boot, and not counted. What was prescribed and not commanded comes on top.
    pub missed: u64,
}

/// What an observation tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Findings {
    /// Which alarms of [`Findings::JUDGED`] are present; the others of them are not.
    pub alarms: AlarmSet,
    /// The rotor turns again: a new delivery is to be started from here, at minimum rate if the alarm says so.
    pub recovered: Option<Recovered>,
}

impl Findings {
    /// The alarms that supervision raises and clears.
    pub const JUDGED: AlarmSet = AlarmSet::of(AlarmKind::OverDelivery)
        .with(AlarmSet::of(AlarmKind::ReverseDelivery))
        .with(AlarmSet::of(AlarmKind::UnderDelivery))
        .with(AlarmSet::of(AlarmKind::MotorStall))
        .with(AlarmSet::of(AlarmKind::DeliveryLost))
        .with(AlarmSet::of(AlarmKind::StoppedTooLong))
        .with(AlarmSet::of(AlarmKind::ResumedAtMinimum));
}

/// Steps to order from a rotor that stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How many, 1 to [`RETRY_STEPS`].
    pub steps: u32,
    /// How hard the motor is driven, 1 to [`FIRST_RETRIES`].
    pub level: u8,
}

/// What of supervision outlasts a reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisionRecord {
    over_delivery: bool,
    reverse: bool,
    resumed_at_minimum: bool,
    stall: Option<Stall>,
    /// When something was last delivered, or was to be for the first time.
    last_delivery: Option<PoweredTime>,
}

/// A stall that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stall {
    /// Since when nothing was delivered although something was to be.
    pub since: PoweredTime,
    /// Retries made; it stops at 255.
    pub retries: u8,
}

impl SupervisionRecord {
    /// The stall that lasts, if one does: only retries may be ordered.
    #[must_use]
    pub const fn stall(self) -> Option<Stall> {
        self.stall
    }

    /// Whether the pump has stopped until a clinician clears it.
    #[must_use]
    pub const fn is_stopped(self) -> bool {
        self.over_delivery || self.reverse
    }

    /// When something was last delivered.
    #[must_use]
    pub const fn last_delivery(self) -> Option<PoweredTime> {
        self.last_delivery
    }
}

/// Supervision since this boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supervision {
    record: SupervisionRecord,
    commanded: u64,
    counted: i64,
    /// Since when anything is to be delivered, in this boot; `None` while nothing is.
    running_since: Option<PoweredTime>,
    /// The most that was ever counted, and what was commanded when that was first seen.
    furthest: Place,
    /// The furthest before the stall that lasts.
    before_stall: Place,
    /// Where the last retry began, and its steps; none made since boot.
    retry: Option<(Place, u32)>,
    next_retry: PoweredTime,
    over: OverWindow,
    under: UnderWindow,
}

/// What was commanded and counted at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    commanded: u64,
    counted: i64,
}

impl Supervision {
    /// Starts with what outlasted the reset, and the driver's totals, which are 0 after a boot.
    #[must_use]
    pub fn start(
        record: SupervisionRecord,
        now: PoweredTime,
        commanded: u64,
        counted: i64,
    ) -> Self {
        let here = Place { commanded, counted };
        Self {
            record,
            commanded,
            counted,
            running_since: None,
            furthest: here,
            before_stall: here,
            retry: None,
            next_retry: now,
            over: OverWindow::new(now),
            under: UnderWindow::new(now),
        }
    }

    /// What is to be kept over a reset. It changes with every delivery: keep it with the totals.
    #[must_use]
    pub const fn record(&self) -> SupervisionRecord {
        self.record
    }

    /// Whether the rotor stands still: only retries may be ordered.
    #[must_use]
    pub const fn is_stalled(&self) -> bool {
        self.record.stall.is_some()
    }

    /// Judges what the driver says. Call at least every [`OBSERVE_EVERY`].
    pub fn observe(&mut self, seen: &Observation, tolerance: &Tolerance) -> Findings {
        let now = seen.now;
        // A total that goes back is a driver that cannot be believed; what it counts beyond the old one is then an excess.
        let commanded_total = seen.commanded.max(self.commanded);
        let commanded = clamped(commanded_total.saturating_sub(self.commanded));
        let counted = signed_clamped(seen.counted.saturating_sub(self.counted));
        self.commanded = commanded_total;
        self.counted = seen.counted;
        self.running_since = match self.running_since {
            _ if !seen.running => None,
            None => Some(now),
            since => since,
        };
        if seen.running && self.record.last_delivery.is_none() {
            self.record.last_delivery = Some(now);
        }

        self.record.over_delivery |= self.over.add(now, commanded, counted);
        self.record.reverse |= self.furthest.counted.saturating_sub(self.counted) > REVERSE_PULSES;
        let recovered = if let Some(stall) = self.record.stall {
            self.follow_stall(now.saturating_since(stall.since), tolerance)
        } else {
            self.under.add(now, commanded, counted);
            None
        };
        if self.counted > self.furthest.counted {
            self.furthest = self.here();
            if !self.is_stalled() {
                self.record.last_delivery = Some(now);
            }
        } else if self.commanded.saturating_sub(self.furthest.commanded) >= STALL_STEPS {
            self.stalls(now);
        }
        Findings {
            alarms: self.alarms(now, tolerance),
            recovered,
        }
    }

    /// MRI mode has ended and no pulse has come: the stall need not be waited for again.
    pub fn no_pulse_after_mri(&mut self, now: PoweredTime) {
        self.stalls(now);
    }

    /// The retry to order now, if one is due. `prescribed` is what basal has prescribed since the last retry, or since the stall
    /// was found: a retry never delivers more.
    pub fn retry(&mut self, prescribed: u64, now: PoweredTime) -> Option<Retry> {
        if self.next_retry()? > now {
            return None;
        }
        let stall = self.record.stall.as_mut()?;
        let steps = clamped(prescribed).min(RETRY_STEPS);
        if steps == 0 {
            self.next_retry = now.saturating_add(FIRST_RETRIES_EVERY);
            return None;
        }
        let made = stall.retries.saturating_add(1);
        stall.retries = made;
        self.retry = Some((self.here(), steps));
        self.next_retry = now.saturating_add(if made < FIRST_RETRIES {
            FIRST_RETRIES_EVERY
        } else {
            RETRIES_EVERY
        });
        Some(Retry {
            steps,
            level: made.min(FIRST_RETRIES),
        })
    }

    /// When to ask for a retry; `None` while the rotor turns, nothing is to be delivered or the pump has stopped for good.
    #[must_use]
    pub const fn next_retry(&self) -> Option<PoweredTime> {
        if self.is_stalled() && self.running_since.is_some() && !self.record.is_stopped() {
            Some(self.next_retry)
        } else {
            None
        }
    }

    /// A clinician has cleared an over-delivery or a reverse delivery in a session: supervision begins anew from here.
    pub fn clear_stop(&mut self, now: PoweredTime) {
        self.record.over_delivery = false;
        self.record.reverse = false;
        self.over = OverWindow::new(now);
        self.under = UnderWindow::new(now);
        self.furthest = self.here();
    }

    /// A clinician has decided in a session at what rate delivery goes on.
    pub const fn clear_resumed_at_minimum(&mut self) {
        self.record.resumed_at_minimum = false;
    }

    const fn here(&self) -> Place {
        Place {
            commanded: self.commanded,
            counted: self.counted,
        }
    }

    /// How long nothing was delivered.
    fn stood(&self, now: PoweredTime) -> Duration {
        self.record
            .last_delivery
            .map_or(Duration::ZERO, |last| now.saturating_since(last))
    }

    fn stalls(&mut self, now: PoweredTime) {
        if self.is_stalled() {
            return;
        }
        // A clinician who restarts a pump that was stopped for days has chosen its rate: only the time since counts.
        let since = match (self.record.last_delivery, self.running_since) {
            (Some(last), Some(running)) => last.max(running),
            _ => now,
        };
        self.record.stall = Some(Stall { since, retries: 0 });
        self.before_stall = self.furthest;
        self.retry = None;
        self.next_retry = now.saturating_add(FIRST_RETRIES_EVERY);
        self.under = UnderWindow::new(now);
    }

    /// Looks whether the last retry has turned the rotor.
    fn follow_stall(&mut self, stood: Duration, tolerance: &Tolerance) -> Option<Recovered> {
        let (from, steps) = self.retry?;
        if self.commanded.saturating_sub(from.commanded) < u64::from(steps) {
            return None;
        }
        let turned = self.counted.saturating_sub(from.counted).saturating_mul(2);
        if turned < i64::from(steps) {
            return None;
        }
        self.record.stall = None;
        self.record.resumed_at_minimum |= stood > tolerance.unattended_resume_limit;
        self.retry = None;
        // The last steps of the retry may have found no pulse: the count of a new stall begins here.
        self.furthest.commanded = self.commanded;
        let counted = self.counted.saturating_sub(self.before_stall.counted);
        Some(Recovered {
            stood,
            missed: self
                .commanded
                .saturating_sub(self.before_stall.commanded)
                .saturating_sub(u64::try_from(counted).unwrap_or(0)),
        })
    }

    fn alarms(&self, now: PoweredTime, tolerance: &Tolerance) -> AlarmSet {
        let stood = self.stood(now);
        [
            (AlarmKind::OverDelivery, self.record.over_delivery),
            (AlarmKind::ReverseDelivery, self.record.reverse),
            (AlarmKind::UnderDelivery, self.under.is_under()),
            (AlarmKind::MotorStall, self.is_stalled()),
            (
                AlarmKind::DeliveryLost,
                tolerance
                    .delivery_lost_after
                    .is_some_and(|limit| stood > limit),
            ),
            (AlarmKind::StoppedTooLong, stood > TUBE_SET_LIMIT),
            (AlarmKind::ResumedAtMinimum, self.record.resumed_at_minimum),
        ]
        .into_iter()
        .filter(|(_, present)| *present)
        .fold(AlarmSet::NONE, |alarms, (kind, _)| {
            alarms.with(AlarmSet::of(kind))
        })
    }
}

/// At most what fits.
fn clamped(steps: u64) -> u32 {
    u32::try_from(steps).unwrap_or(u32::MAX)
}

/// At least and at most what fits.
fn signed_clamped(steps: i64) -> i32 {
    i32::try_from(steps).unwrap_or(if steps < 0 { i32::MIN } else { i32::MAX })
}

/// The last 15 min in slices of 30 s, newest first: whether more was counted than commanded.
///
/// The excess is the most it has risen by since any moment in all slices, which are 15 min and up to 30 s more. It is held against what
/// was commanded in all but the oldest, which is 15 min or up to 30 s less. So nothing that lies within 15 min is missed, and a
/// constant excess of more than 10 % is found in 15 min and one [`OBSERVE_EVERY`].
#[derive(Clone, Debug, PartialEq, Eq)]
struct OverWindow {
    /// Number of the newest slice since powered time began.
    newest: u64,
    slices: [Slice; 31],
}

/// What was observed in a slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slice {
    commanded: u32,
    /// Counted less commanded.
    excess: i32,
    /// The same since the moment of the slice from which it has risen most.
    rise: i32,
}

impl OverWindow {
    const SLICE: u64 = Duration::from_seconds(30).micros();

    fn new(now: PoweredTime) -> Self {
        Self {
            newest: now.micros() / Self::SLICE,
            slices: [Slice::default(); 31],
        }
    }

    /// Adds what came since the last call; true when that makes too much.
    fn add(&mut self, now: PoweredTime, commanded: u32, counted: i32) -> bool {
        let number = now.micros() / Self::SLICE;
        let passed = usize::try_from(number.saturating_sub(self.newest))
            .map_or(self.slices.len(), |passed| passed.min(self.slices.len()));
        self.newest = self.newest.max(number);
        self.slices.rotate_right(passed);
        for slice in self.slices.iter_mut().take(passed) {
            *slice = Slice::default();
        }
        let change = counted.saturating_sub_unsigned(commanded);
        let [newest, ..] = &mut self.slices;
        newest.commanded = newest.commanded.saturating_add(commanded);
        newest.excess = newest.excess.saturating_add(change);
        newest.rise = newest.rise.max(0).saturating_add(change);

        let (mut later, mut most) = (0_i32, 0_i32);
        for slice in &self.slices {
            most = most.max(later.saturating_add(slice.rise));
            later = later.saturating_add(slice.excess);
        }
        let [newer @ .., _] = &self.slices;
        let commanded = newer
            .iter()
            .fold(0_u32, |sum, slice| sum.saturating_add(slice.commanded));
        let most = most.unsigned_abs();
        most > OVER_DELIVERY_STEPS && u64::from(most).saturating_mul(10) > u64::from(commanded)
    }
}

/// At least 15 min and 200 steps, in eight parts of an eighth of each, and the part that runs, newest first: whether less was counted
/// than commanded.
#[derive(Clone, Debug, PartialEq, Eq)]
struct UnderWindow {
    began: PoweredTime,
    parts: [Part; 9],
    /// How many parts were begun, at most all.
    begun: u8,
}

/// What was commanded and counted in a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Part {
    commanded: u32,
    counted: i32,
}

impl UnderWindow {
    /// An eighth of 15 min.
    const PART: Duration = Duration::from_millis(112_500);
    /// An eighth of 200.
    const PART_STEPS: u32 = 25;

    fn new(now: PoweredTime) -> Self {
        Self {
            began: now,
            parts: array::from_fn(|_| Part::default()),
            begun: 1,
        }
    }

    /// Adds what came since the last call.
    fn add(&mut self, now: PoweredTime, commanded: u32, counted: i32) {
        let [running, ..] = &mut self.parts;
        running.commanded = running.commanded.saturating_add(commanded);
        running.counted = running.counted.saturating_add(counted);
        if running.commanded >= Self::PART_STEPS && now.saturating_since(self.began) >= Self::PART {
            self.parts.rotate_right(1);
            let [running, ..] = &mut self.parts;
            *running = Part::default();
            self.began = now;
            self.begun = self.begun.saturating_add(1).min(9);
        }
    }

    /// Whether less than 90 % was counted. Not known before the window is full once.
    fn is_under(&self) -> bool {
        let (commanded, counted) =
            self.parts
                .iter()
                .fold((0_i64, 0_i64), |(commanded, counted), part| {
                    (
                        commanded.saturating_add(i64::from(part.commanded)),
                        counted.saturating_add(i64::from(part.counted)),
                    )
                });
        self.begun == 9 && counted.saturating_mul(10) < commanded.saturating_mul(9)
    }
}

#[cfg(test)]
mod tests;
