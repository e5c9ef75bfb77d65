//! The most a whole program can give, and what the interlock in C allows for it.
//!
//! The 24-hour total is judged, and the interlock armed, with the worst rolling window of the basal part and all the boluses a patient
//! is allotted (docs/therapy.md, "Limits", "The interlock in C"). Clinician boluses and primes add their own allowance when they are
//! authorised. Both parts are taken at their worst wherever they fall: a patient presses when they please.
//!
//! | number | source |
//! |---|---|
//! | windows of 1 h and 24 h | \[P\] docs/therapy.md, "The interlock in C" |
//! | allowance: 1.05 times the worst window, and 20 steps | \[P\] docs/therapy.md, "The interlock in C" |

use core::num::NonZeroU128;

use serde::{Deserialize, Serialize};
use units::{Duration, Flow, Ratio, StepVolume, Volume};

use crate::periodic::Periodic;
use crate::schedule::Week;

/// The short window.
const HOUR: Duration = Duration::from_hours(1);
/// The long window.
const DAY: Duration = Duration::from_days(1);

/// What runs without anybody asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BasalPlan<'a> {
    /// One flow: simple continuous, minimum rate, or none when stopped.
    Continuous(Flow),
    /// Flex.
    Week(&'a Week),
    /// Periodic boluses over a basal flow.
    Periodic(&'a Periodic),
}

impl BasalPlan<'_> {
    /// The largest volume in any rolling window of this length, rounded up to a femtolitre; `None` when it cannot be held.
    #[must_use]
    pub fn largest_volume_in_window(&self, window: Duration) -> Option<Volume> {
        match self {
            Self::Continuous(flow) => flow
                .ratio()
                .times_rounded_up(window.micros())
                .map(Volume::from_femtolitres),
            Self::Week(week) => week.largest_volume_in_window(window),
            Self::Periodic(periodic) => periodic.largest_volume_in_window(window),
        }
    }

    /// The same for 24 hours, with every bolus that can start in them taken whole.
    fn largest_in_a_day(&self) -> Option<Volume> {
        match self {
            Self::Continuous(_) | Self::Week(_) => self.largest_volume_in_window(DAY),
            Self::Periodic(periodic) => periodic.day_volume(),
        }
    }
}

/// The boluses a patient is allotted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allotment {
    /// The volume of one.
    pub volume: Volume,
    /// How long one takes.
    pub duration: Duration,
    /// From the start of one to the start of the next at least.
    pub lockout: Duration,
    /// How many may start in any rolling 24 hours.
    pub per_day: u32,
}

/// What keeps a patient from more boluses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Binding {
    /// The number allotted: they fit into 24 hours with their lockouts.
    Count,
    /// The lockout: so many of them take more than 24 hours.
    Lockout,
}

impl Allotment {
    /// Which of the two limits binds over time: the lockout where `per_day` lockouts are longer than 24 hours (clinical reference,
    /// 2.12).
    #[must_use]
    pub fn binding(&self) -> Binding {
        let all = self.spacing().saturating_mul(u64::from(self.per_day));
        if all > DAY {
            Binding::Lockout
        } else {
            Binding::Count
        }
    }

    /// How many can start in any rolling 24 hours: the number allotted, or 24 h / lockout rounded up if that is less.
    ///
    /// The window is open at one end, (t - 24 h, t]: with 8 h between them 3 start in it, not 4. With 7 h it is 4 in the worst window,
    /// although the lockout binds over time.
    #[must_use]
    pub fn most_in_a_day(&self) -> u32 {
        NonZeroU128::new(u128::from(self.spacing().micros()))
            .and_then(|spacing| Ratio::new(1, spacing).times_rounded_up(DAY.micros()))
            .and_then(|boluses| u32::try_from(boluses).ok())
            .map_or(self.per_day, |boluses| boluses.min(self.per_day))
    }

    /// From start to start at least: none starts while another runs.
    fn spacing(&self) -> Duration {
        self.lockout.max(self.duration)
    }

    /// What all that can start in 24 hours come to, each taken whole.
    fn largest_in_a_day(&self) -> Option<Volume> {
        self.volume.checked_mul(u64::from(self.most_in_a_day()))
    }

    /// The most that flows in any window of up to 24 hours, rounded up to a femtolitre.
    ///
    /// The worst window begins with a bolus: whole spacings, each with its bolus, and what is left holds the start of another. A bolus
    /// that began before the window has as much outside it as a last one can have inside, so that the number allotted in 24 hours
    /// bounds the volume, too.
    fn largest_in(&self, window: Duration) -> Option<Volume> {
        let all = self.volume.checked_mul(u64::from(self.per_day))?;
        let spacing = self.spacing().micros();
        let (Some(whole), Some(rest), Some(duration)) = (
            window.micros().checked_div(spacing),
            window.micros().checked_rem(spacing),
            NonZeroU128::new(u128::from(self.duration.micros())),
        ) else {
            // Neither lockout nor duration to go by, or a bolus that takes no time.
            return self.largest_in_a_day();
        };
        let inside = u128::from(rest.min(self.duration.micros()));
        let begun = Ratio::new(inside, duration)
            .times_rounded_up(self.volume.femtolitres())
            .map(Volume::from_femtolitres)?;
        let most = self.volume.checked_mul(whole)?.checked_add(begun)?;
        Some(most.min(all))
    }
}

/// The most a program can give in any rolling window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorstCase {
    /// In any hour: what flows in it.
    pub one_hour: Volume,
    /// In any 24 hours: basal, and every bolus that can start in them, taken whole.
    pub one_day: Volume,
}

/// The most a program can give; `None` when it cannot be held, which no pump can deliver.
#[must_use]
pub fn worst_case(basal: &BasalPlan<'_>, patient: Option<&Allotment>) -> Option<WorstCase> {
    let mut worst = WorstCase {
        one_hour: basal.largest_volume_in_window(HOUR)?,
        one_day: basal.largest_in_a_day()?,
    };
    if let Some(allotment) = patient {
        worst.one_hour = worst.one_hour.checked_add(allotment.largest_in(HOUR)?)?;
        worst.one_day = worst.one_day.checked_add(allotment.largest_in_a_day()?)?;
    }
    Some(worst)
}

/// The most a program can give in any window: for the interlock, whose windows are a little longer than an hour and a day. `None` when it cannot be
/// held.
#[must_use]
pub fn worst_in(
    basal: &BasalPlan<'_>,
    patient: Option<&Allotment>,
    window: Duration,
) -> Option<Volume> {
    let of_basal = basal.largest_volume_in_window(window)?;
    let Some(allotment) = patient else {
        return Some(of_basal);
    };
    let beyond = window.saturating_sub(DAY);
    let of_patient = if beyond == Duration::ZERO {
        allotment.largest_in(window)?
    } else {
        allotment
            .largest_in_a_day()?
            .checked_add(allotment.largest_in(beyond)?)?
    };
    of_basal.checked_add(of_patient)
}

/// The steps the interlock allows for a volume: 1.05 times it, rounded up to a step, and 20 more \[P\]. `None` when it cannot be held.
#[must_use]
pub fn interlock_allowance(volume: Volume, step_volume: StepVolume) -> Option<u32> {
    /// 1.05, in twentieths.
    const SHARE: u128 = 21;
    /// Twentieths in one.
    const WHOLE: NonZeroU128 = match NonZeroU128::new(20) {
        Some(whole) => whole,
        None => NonZeroU128::MIN,
    };
    /// Steps on top, which matter at low rates.
    const EXTRA: u32 = 20;
    let twentieths = u128::from(volume.femtolitres()).checked_mul(SHARE)?;
    let step = NonZeroU128::new(u128::from(step_volume.femtolitres()))?.checked_mul(WHOLE)?;
    let steps = Ratio::new(twentieths, step).rounded_up();
    u32::try_from(steps).ok()?.checked_add(EXTRA)
}

#[cfg(test)]
mod tests;
