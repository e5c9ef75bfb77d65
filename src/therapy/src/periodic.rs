//! Periodic bolus: the same bolus again and again, on powered time.
//!
//! A [`PeriodicDraft`] is what somebody wants, a [`Periodic`] what has passed every check. The basal flow runs on below each bolus, at
//! the rate it has between them; "without basal" is the pump's minimum rate, whose dose counts. The interval is one value with its
//! unit: minutes typed where hours were meant have killed (clinical reference, 4.5 row 1), so what a screen shows is what follows from
//! it, [`Periodic::boluses_a_day`] and [`Periodic::day_total`].
//!
//! | number | source |
//! |---|---|
//! | duration and interval in whole minutes | \[P\] the grid of flex, clinical reference, 2.6 |
//! | interval of 7 days at most | \[P\] |
//! | more than 24 boluses a day need a second confirmation | \[P\] clinical reference, 4.5 row 1 |
//!
//! # When one falls due
//!
//! [`PeriodicClock`] holds one powered time, persisted beside the program. Intervals run from start to start. The wall clock has no say,
//! and nothing missed is caught up.
//!
//! | event | next one |
//! |---|---|
//! | program committed, none given before | one interval after the commit, or at the later start |
//! | program committed, one given before | one interval after the last was started, cancelled or missed, or at the later start; where the former is past, as if none had been given |
//! | commit that changes no therapy | stays |
//! | bolus started | one interval after its start |
//! | bolus cancelled while it ran | one interval after that |
//! | fell due and was refused (stopped, fault, session) | one interval after that |
//! | reset, power lost and back, clock changed | stays: powered time does not count time without power |

use core::fmt;
use core::num::{NonZeroU32, NonZeroU128};

use serde::{Deserialize, Serialize};
use units::{
    Concentration, DoseRate, Duration, Flow, FlowRate, Mass, PoweredTime, Ratio, StepVolume, Volume,
};

use crate::bounds::Bounds;
use crate::refusal::Refusal;
use crate::schedule::{check_flow, mass_rate, parts_a_femtolitre};

/// The longest interval \[P\].
pub const LONGEST_INTERVAL: Duration = Duration::from_days(7);

/// Microseconds in a minute.
const MINUTE: u64 = 60_000_000;
/// Minutes in a day.
const DAY: u64 = 1_440;

/// A periodic bolus somebody wants, unchecked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeriodicDraft {
    /// The drug in one bolus.
    pub bolus: Mass,
    /// How long one takes.
    pub duration: Duration,
    /// From the start of one to the start of the next.
    pub interval: Duration,
    /// What runs between and below them; `None` for the pump's minimum rate ("without basal").
    pub basal: Option<DoseRate>,
}

/// A periodic bolus, checked: whoever holds one may deliver it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Periodic {
    draft: PeriodicDraft,
    concentration: Concentration,
    minimum_rate: FlowRate,
    bolus_steps: u32,
}

impl Periodic {
    /// Checks a draft against the bounds of the pump.
    ///
    /// # Errors
    /// The first [`PeriodicRefusal`] that applies, in their order. Every limit is allowed itself.
    pub fn new(
        draft: PeriodicDraft,
        concentration: Concentration,
        bounds: &Bounds,
    ) -> Result<Self, PeriodicRefusal> {
        let PeriodicDraft {
            bolus,
            duration,
            interval,
            basal,
        } = draft;
        let duration_minutes =
            whole_minutes(duration).ok_or(PeriodicRefusal::DurationNotWholeMinutes { duration })?;
        whole_minutes(interval).ok_or(PeriodicRefusal::IntervalNotWholeMinutes { interval })?;
        if interval < duration {
            return Err(PeriodicRefusal::IntervalBelowDuration { interval, duration });
        }
        if interval > LONGEST_INTERVAL {
            return Err(PeriodicRefusal::IntervalTooLong { interval });
        }
        if let Some(basal) = basal {
            check_flow(basal.flow(concentration), bounds).map_err(PeriodicRefusal::Basal)?;
        }
        let bolus_steps = whole_steps(bolus, concentration, bounds.step_volume)
            .ok_or(PeriodicRefusal::Bolus(Refusal::DoseTooLarge))?;
        if bolus_steps == 0 {
            return Err(PeriodicRefusal::BolusBelowStep {
                bolus,
                step: Mass::in_volume(bounds.step_volume.volume(), concentration),
            });
        }
        let periodic = Self {
            draft,
            concentration,
            minimum_rate: bounds.minimum_rate,
            bolus_steps,
        };
        let both = periodic
            .flow_during_bolus(duration_minutes)
            .ok_or(PeriodicRefusal::Bolus(Refusal::DoseTooLarge))?;
        check_flow(both, bounds).map_err(PeriodicRefusal::Bolus)?;
        Ok(periodic)
    }

    /// The program as entered.
    #[must_use]
    pub const fn draft(&self) -> &PeriodicDraft {
        &self.draft
    }

    /// The whole steps of one bolus, rounded down; never 0.
    #[must_use]
    pub const fn bolus_steps(&self) -> u32 {
        self.bolus_steps
    }

    /// The flow between and below the boluses.
    #[must_use]
    pub fn basal_flow(&self) -> Flow {
        self.draft.basal.map_or_else(
            || self.minimum_rate.flow(),
            |basal| basal.flow(self.concentration),
        )
    }

    /// How many boluses can start in any rolling 24 hours at most: 24 h / interval, rounded up.
    #[must_use]
    pub fn boluses_a_day(&self) -> u32 {
        let boluses = Ratio::new(1, wide(self.draft.interval.micros()))
            .times_rounded_up(Duration::from_days(1).micros());
        // At most one a minute.
        boluses
            .and_then(|boluses| u32::try_from(boluses).ok())
            .unwrap_or(u32::MAX)
    }

    /// The largest mass in any rolling 24 hours: basal and every bolus that can start in them, as entered and whole; `None` when it
    /// cannot be held.
    #[must_use]
    pub fn day_total(&self) -> Option<Mass> {
        let boluses = self
            .draft
            .bolus
            .checked_mul(u64::from(self.boluses_a_day()))?;
        self.basal_a_day().checked_add(boluses)
    }

    /// The volume that holds [`Periodic::day_total`], rounded up to a femtolitre; `None` when it cannot be held.
    #[must_use]
    pub fn day_volume(&self) -> Option<Volume> {
        let concentration = NonZeroU128::from(NonZeroU32::from(self.concentration));
        Ratio::new(self.day_total()?.zeptograms(), concentration)
            .times_rounded_up(1)
            .map(Volume::from_femtolitres)
    }

    /// The largest volume in any rolling window of this length, rounded up to a femtolitre; `None` when it cannot be held.
    ///
    /// The window is rounded up to whole minutes and counts what flows in it: of a bolus longer than the window, the part that fits.
    #[must_use]
    pub fn largest_volume_in_window(&self, window: Duration) -> Option<Volume> {
        let minutes = window.micros().div_ceil(MINUTE);
        let interval = self.draft.interval.micros() / MINUTE;
        let duration = self.draft.duration.micros() / MINUTE;
        // The worst window begins with a bolus: whole intervals, each with its bolus, and what is left holds the start of another.
        let intervals = minutes.checked_div(interval)?;
        let begun = minutes.checked_rem(interval)?.min(duration);
        let bolus_minutes = intervals.checked_mul(duration)?.checked_add(begun)?;
        self.volume(minutes, bolus_minutes, duration)
            .and_then(|femtolitres| femtolitres.times_rounded_up(1))
            .map(Volume::from_femtolitres)
    }

    /// What basal gives in 24 hours; a dose that has passed the checks fits, as does a minimum rate.
    fn basal_a_day(&self) -> Mass {
        let (amount, per) = self.draft.basal.map_or_else(
            || mass_rate(self.minimum_rate, self.concentration),
            |basal| (basal.amount(), basal.per()),
        );
        Mass::from_zeptograms(
            amount
                .zeptograms()
                .saturating_mul(u128::from(per.times_a_day())),
        )
    }

    /// Basal and bolus together, while one runs.
    fn flow_during_bolus(&self, duration: u64) -> Option<Flow> {
        let femtolitres = self.volume(duration, duration, duration)?;
        let micros = wide(self.draft.duration.micros());
        femtolitres.divided_by(micros).and_then(Flow::of_ratio)
    }

    /// Femtolitres that flow in some minutes, in so many of which one bolus or another runs, for `duration` minutes each.
    fn volume(&self, minutes: u64, bolus_minutes: u64, duration: u64) -> Option<Ratio> {
        // In 1,440ths of a zeptogram and `duration` times over, so that both are whole numbers.
        let basal = self
            .basal_a_day()
            .checked_mul(minutes)?
            .checked_mul(duration)?;
        let boluses = self
            .draft
            .bolus
            .checked_mul(DAY)?
            .checked_mul(bolus_minutes)?;
        let denominator = parts_a_femtolitre(self.concentration).checked_mul(wide(duration))?;
        Some(Ratio::new(
            basal.checked_add(boluses)?.zeptograms(),
            denominator,
        ))
    }
}

/// When the next periodic bolus falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PeriodicClock {
    next_at: PoweredTime,
}

impl PeriodicClock {
    /// Starts with a commit. `last` is when the last periodic bolus was started, cancelled or missed; `start` what a clinician has
    /// chosen, which can only make it later.
    #[must_use]
    pub fn committed(
        at: PoweredTime,
        periodic: &Periodic,
        last: Option<PoweredTime>,
        start: Option<PoweredTime>,
    ) -> Self {
        let interval = periodic.draft.interval;
        // One that would be overdue has been missed. A bolus never follows a commit at once.
        let next_at = last
            .map(|last| last.saturating_add(interval))
            .filter(|next| *next > at)
            .unwrap_or(at.saturating_add(interval));
        Self {
            next_at: start.map_or(next_at, |start| start.max(next_at)),
        }
    }

    /// When the next one falls due.
    #[must_use]
    pub const fn next_at(&self) -> PoweredTime {
        self.next_at
    }

    /// Whether one is due.
    #[must_use]
    pub fn is_due(&self, now: PoweredTime) -> bool {
        now >= self.next_at
    }

    /// Counts a whole interval from the moment a bolus was started, cancelled or missed.
    pub fn count_from(&mut self, at: PoweredTime, periodic: &Periodic) {
        self.next_at = at.saturating_add(periodic.draft.interval);
    }
}

/// As a divisor; a checked duration or interval is never 0.
fn wide(number: u64) -> NonZeroU128 {
    NonZeroU128::new(u128::from(number)).unwrap_or(NonZeroU128::MIN)
}

/// The minutes of a time that is a whole number of them and not none.
fn whole_minutes(time: Duration) -> Option<u64> {
    let minutes = time.micros() / MINUTE;
    (minutes != 0 && time.micros().is_multiple_of(MINUTE)).then_some(minutes)
}

/// The whole steps that a dose comes to, rounded down; `None` when they cannot be counted.
fn whole_steps(dose: Mass, concentration: Concentration, step: StepVolume) -> Option<u32> {
    let step = NonZeroU128::new(Mass::in_volume(step.volume(), concentration).zeptograms())?;
    Ratio::new(dose.zeptograms(), step)
        .times_rounded_down(1)
        .and_then(|steps| u32::try_from(steps).ok())
}

/// Why a periodic bolus is not allowed. `Display` gives the value and what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeriodicRefusal {
    /// A bolus takes no time, or a broken number of minutes.
    DurationNotWholeMinutes {
        /// What was asked for.
        duration: Duration,
    },
    /// The interval is none, or a broken number of minutes.
    IntervalNotWholeMinutes {
        /// What was asked for.
        interval: Duration,
    },
    /// The next bolus would start before the last has ended.
    IntervalBelowDuration {
        /// What was asked for.
        interval: Duration,
        /// How long a bolus takes.
        duration: Duration,
    },
    /// The interval is longer than allowed.
    IntervalTooLong {
        /// What was asked for.
        interval: Duration,
    },
    /// The pump cannot run at the flow between the boluses.
    Basal(Refusal),
    /// A bolus is less than one step of the motor.
    BolusBelowStep {
        /// What was asked for.
        bolus: Mass,
        /// What one step holds.
        step: Mass,
    },
    /// The pump cannot run at the flow of basal and bolus together.
    Bolus(Refusal),
}

impl fmt::Display for PeriodicRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DurationNotWholeMinutes { duration } => write!(
                f,
                "a bolus over {duration}: allowed are whole minutes, at least one"
            ),
            Self::IntervalNotWholeMinutes { interval } => write!(
                f,
                "a bolus every {interval}: allowed are whole minutes, at least one"
            ),
            Self::IntervalBelowDuration { interval, duration } => write!(
                f,
                "a bolus every {interval}: each takes {duration}, and they must not overlap"
            ),
            Self::IntervalTooLong { interval } => write!(
                f,
                "a bolus every {interval}: allowed are {LONGEST_INTERVAL} at most"
            ),
            Self::Basal(why) => write!(f, "between the boluses: {why}, or no basal"),
            Self::BolusBelowStep { bolus, step } => write!(
                f,
                "a bolus of {bolus}: one step of the motor holds {step}, and less cannot be given"
            ),
            Self::Bolus(why) => write!(f, "basal and bolus together: {why}"),
        }
    }
}

impl core::error::Error for PeriodicRefusal {}

#[cfg(test)]
mod tests;
