//! Flex: a week of steps that repeats.
//!
//! A [`WeekDraft`] is what somebody wants: up to seven day patterns and which day follows which. A [`Week`] is a draft that has passed
//! every check, and there is no other way to hold one.
//!
//! All patterns stand in one list. A step from 00:00 begins a pattern, and a step lasts until the next one or until 24:00: a pattern
//! covers its day exactly, without gap or overlap, because nothing else can be written.
//!
//! | number | source |
//! |---|---|
//! | 7 day patterns | clinical reference, 1.2: can differ by day of week \[S28\] |
//! | 24 steps a day on a grid of one minute | \[P\] clinical reference, 2.6 |
//! | 96 steps over all patterns | \[P\] 13 periods on 7 days are 91 \[S28\] |
//!
//! Two things are refused although they would do no harm. A pattern no day follows: what is stored, shown and signed is what runs. A
//! step with the dose of the one before it in the same pattern: it changes nothing, so it was meant to be something else. Two patterns
//! may be alike, and a day may begin with the dose with which the one before has ended, as they commonly do.
//!
//! # Arithmetic
//!
//! All steps share one concentration and one time their doses are stated over. Each is therefore a whole number of zeptograms a day,
//! and what it gives in a number of minutes a whole number of 1,440ths of a zeptogram (called parts here). All sums are made in parts,
//! exactly; only an answer in whole zeptograms or femtolitres is rounded, up. Rounding up to a whole number decides any comparison with
//! a whole number as the exact value would: `x <= limit` exactly when `x` rounded up `<= limit`. A zeptogram is two molecules.

use core::fmt;
use core::num::{NonZeroU32, NonZeroU128};

use heapless::Vec;
use serde::{Deserialize, Serialize};
use units::{Concentration, DoseRate, Duration, Flow, FlowRate, Mass, Per, Ratio, Volume};

use crate::bounds::Bounds;
use crate::local_time::{HourAndMinute, MINUTES_A_DAY, MINUTES_A_WEEK, MinuteOfWeek, Weekday};
use crate::refusal::Refusal;

/// The most steps of all patterns together.
pub const WEEK_STEPS: usize = 96;

/// The most steps of one pattern.
pub const DAY_STEPS: u8 = 24;

/// Microseconds in a minute.
const MINUTE: u64 = 60_000_000;

/// A step of a day pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeekStep {
    /// The minute of the day from which it holds, 0 to 1,439. One from 0 begins a pattern.
    pub from_minute: u16,
    /// The dose as entered, in nanograms over [`WeekDraft::per`]; 0 stands for the pump's minimum rate, whose dose counts.
    pub dose_nanograms: u32,
}

/// A week somebody wants, unchecked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeekDraft {
    /// What all doses are stated over.
    pub per: Per,
    /// The pattern each day follows, from Monday; the first pattern is 0.
    pub days: [u8; 7],
    /// The steps of all patterns, one pattern after the other.
    pub steps: Vec<WeekStep, WEEK_STEPS>,
}

impl WeekDraft {
    /// How many patterns there are, at most 96.
    fn patterns(&self) -> u8 {
        self.steps
            .iter()
            .filter(|step| step.from_minute == 0)
            .fold(0, |patterns, _| patterns.saturating_add(1))
    }

    /// The first day that follows a pattern.
    fn first_day_of(&self, pattern: u8) -> Option<Weekday> {
        Weekday::ALL
            .iter()
            .zip(self.days)
            .find(|(_, followed)| *followed == pattern)
            .map(|(day, _)| *day)
    }

    /// The dose of a step; `None` at minimum rate.
    fn dose(&self, step: WeekStep) -> Option<DoseRate> {
        (step.dose_nanograms != 0).then(|| {
            let amount = Mass::from_nanograms(u64::from(step.dose_nanograms));
            DoseRate::new(amount, self.per)
        })
    }

    /// Whether a week can be made of this.
    fn check(&self, concentration: Concentration, bounds: &Bounds) -> Result<(), WeekRefusal> {
        if let Some(first) = self.steps.first().filter(|step| step.from_minute != 0) {
            let at = StepPlace {
                day: self.first_day_of(0).unwrap_or(Weekday::Monday),
                number: 1,
                from_minute: first.from_minute,
            };
            return Err(WeekRefusal::StartsLate { at });
        }
        let patterns = self.patterns();
        for (day, pattern) in Weekday::ALL.into_iter().zip(self.days) {
            if pattern >= patterns {
                return Err(WeekRefusal::PatternMissing {
                    day,
                    pattern,
                    patterns,
                });
            }
        }
        // The first step makes it 0.
        let mut pattern: Option<u8> = None;
        let mut number = 0_u8;
        let mut before: Option<WeekStep> = None;
        for step in self.steps.iter().copied() {
            if step.from_minute == 0 {
                pattern = Some(pattern.map_or(0, |pattern| pattern.saturating_add(1)));
                number = 0;
                before = None;
            }
            number = number.saturating_add(1);
            let pattern = pattern.unwrap_or(0);
            let day = self
                .first_day_of(pattern)
                .ok_or(WeekRefusal::PatternUnused { pattern })?;
            let at = StepPlace {
                day,
                number,
                from_minute: step.from_minute,
            };
            if step.from_minute >= MINUTES_A_DAY {
                return Err(WeekRefusal::BeyondTheDay { at });
            }
            if number > DAY_STEPS {
                return Err(WeekRefusal::TooManySteps { at });
            }
            match before {
                Some(before) if step.from_minute <= before.from_minute => {
                    return Err(WeekRefusal::NotLater {
                        at,
                        before: before.from_minute,
                    });
                }
                Some(before) if step.dose_nanograms == before.dose_nanograms => {
                    return Err(WeekRefusal::ChangesNothing { at });
                }
                None | Some(_) => {}
            }
            if let Some(dose) = self.dose(step) {
                check_flow(dose.flow(concentration), bounds)
                    .map_err(|why| WeekRefusal::Flow { at, why })?;
            }
            before = Some(step);
        }
        Ok(())
    }
}

/// What holds from one boundary to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The step's place in [`WeekDraft::steps`].
    pub index: u8,
    /// The dose as entered; `None` at minimum rate.
    pub dose: Option<DoseRate>,
    /// The flow that carries it.
    pub flow: Flow,
}

/// A week, checked: whoever holds one may deliver it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Week {
    draft: WeekDraft,
    concentration: Concentration,
    minimum_rate: FlowRate,
}

/// A step where it meets a moment of the week.
struct Piece {
    index: u8,
    step: WeekStep,
    /// Minutes from the moment to the end of the step; at least 1, and never beyond midnight.
    left: u16,
}

impl Week {
    /// Checks a draft against the bounds of the pump.
    ///
    /// # Errors
    /// Any [`WeekRefusal`]; of several steps the first. Flows are compared exactly; both limits are allowed themselves. A dose below
    /// the lowest rate is refused even where it is that of the minimum rate: that one has a mark of its own.
    pub fn new(
        draft: WeekDraft,
        concentration: Concentration,
        bounds: &Bounds,
    ) -> Result<Self, WeekRefusal> {
        draft.check(concentration, bounds)?;
        Ok(Self {
            draft,
            concentration,
            minimum_rate: bounds.minimum_rate,
        })
    }

    /// The week as entered.
    #[must_use]
    pub const fn draft(&self) -> &WeekDraft {
        &self.draft
    }

    /// What is in force in a minute.
    #[must_use]
    pub fn segment_at(&self, at: MinuteOfWeek) -> Segment {
        let piece = self.piece(at);
        Segment {
            index: piece.index,
            dose: self.draft.dose(piece.step),
            flow: self.flow(piece.step),
        }
    }

    /// Minutes from the start of a minute to the start of the next one with another dose, 1 to 10,079; `None` when the dose is the same
    /// all week.
    #[must_use]
    pub fn next_boundary(&self, at: MinuteOfWeek) -> Option<u16> {
        let mut piece = self.piece(at);
        let dose = piece.step.dose_nanograms;
        let mut ahead = 0_u16;
        while ahead < MINUTES_A_WEEK {
            if piece.step.dose_nanograms != dose {
                return Some(ahead);
            }
            ahead = ahead.saturating_add(piece.left);
            piece = self.piece(at.plus(ahead));
        }
        None
    }

    /// The mass given on a day from 00:00 to 24:00, rounded up to a zeptogram.
    #[must_use]
    pub fn day_total(&self, day: Weekday) -> Mass {
        mass_of(self.parts_in(MinuteOfWeek::midnight(day), MINUTES_A_DAY))
    }

    /// The mass given in the whole week, rounded up to a zeptogram.
    #[must_use]
    pub fn week_total(&self) -> Mass {
        mass_of(self.week_parts())
    }

    /// The mass given on the mean day, a seventh of the week, in zeptograms, exactly.
    #[must_use]
    pub fn mean_day(&self) -> Ratio {
        let parts_a_zeptogram = NonZeroU128::from(PARTS_A_ZEPTOGRAM);
        let seven_days = parts_a_zeptogram.saturating_mul(DAYS_A_WEEK);
        Ratio::new(self.week_parts(), seven_days)
    }

    /// The flow that gives in a week what the week gives, evenly and exactly: what a drug is held at when the clock is lost.
    #[must_use]
    pub fn mean_flow(&self) -> Flow {
        /// Microseconds in a week.
        const WEEK: NonZeroU128 = match NonZeroU128::new(604_800_000_000) {
            Some(week) => week,
            None => NonZeroU128::MIN,
        };
        let denominator = parts_a_femtolitre(self.concentration).saturating_mul(WEEK);
        // 43 bits times 40: below what a flow takes.
        Flow::of_ratio(Ratio::new(self.week_parts(), denominator)).unwrap_or(Flow::ZERO)
    }

    /// The lowest flow of the week.
    #[must_use]
    pub fn lowest(&self) -> Flow {
        let flows = self.draft.steps.iter().map(|step| self.flow(*step));
        flows.min().unwrap_or(Flow::ZERO)
    }

    /// The highest flow of the week.
    #[must_use]
    pub fn highest(&self) -> Flow {
        let flows = self.draft.steps.iter().map(|step| self.flow(*step));
        flows.max().unwrap_or(Flow::ZERO)
    }

    /// The largest mass given in any window of this length, wherever in the repeating week it begins, rounded up to a zeptogram; `None`
    /// when it cannot be held.
    ///
    /// The window is rounded up to whole minutes.
    #[must_use]
    pub fn largest_mass_in_window(&self, window: Duration) -> Option<Mass> {
        self.largest_parts_in(window).map(mass_of)
    }

    /// The largest volume given in any window of this length, wherever in the repeating week it begins, rounded up to a femtolitre;
    /// `None` when it cannot be held.
    ///
    /// The window is rounded up to whole minutes.
    #[must_use]
    pub fn largest_volume_in_window(&self, window: Duration) -> Option<Volume> {
        let parts = self.largest_parts_in(window)?;
        let femtolitres = Ratio::new(parts, parts_a_femtolitre(self.concentration)).rounded_up();
        u64::try_from(femtolitres)
            .ok()
            .map(Volume::from_femtolitres)
    }

    /// The step in force in a minute.
    fn piece(&self, at: MinuteOfWeek) -> Piece {
        let minute = at.minute_of_day();
        let wanted = Weekday::ALL
            .iter()
            .zip(self.draft.days)
            .find(|(day, _)| **day == at.day())
            .map_or(0, |(_, pattern)| pattern);
        let mut started = 0_u8;
        // A checked week has a step for every minute; should it not, the minimum rate holds.
        let mut index = 0_u8;
        let mut found = WeekStep {
            from_minute: 0,
            dose_nanograms: 0,
        };
        let mut end = MINUTES_A_DAY;
        for (place, step) in (0_u8..).zip(&self.draft.steps) {
            if step.from_minute == 0 {
                started = started.saturating_add(1);
            }
            // The pattern is the one that `wanted` others have started before.
            if started <= wanted {
                continue;
            }
            if started > wanted.saturating_add(1) {
                break;
            }
            if step.from_minute > minute {
                end = step.from_minute;
                break;
            }
            (index, found) = (place, *step);
        }
        Piece {
            index,
            step: found,
            left: end.saturating_sub(minute).max(1),
        }
    }

    /// The flow of a step.
    fn flow(&self, step: WeekStep) -> Flow {
        self.draft.dose(step).map_or_else(
            || self.minimum_rate.flow(),
            |dose| dose.flow(self.concentration),
        )
    }

    /// What a step gives in some minutes.
    fn parts(&self, step: WeekStep, minutes: u16) -> u128 {
        let (amount, per) = self.draft.dose(step).map_or_else(
            || mass_rate(self.minimum_rate, self.concentration),
            |dose| (dose.amount(), dose.per()),
        );
        // A dose has 72 bits and a minimum rate 96; 5 for the hours of a day and 14 for the minutes always fit.
        amount
            .zeptograms()
            .saturating_mul(u128::from(per.times_a_day()))
            .saturating_mul(u128::from(minutes))
    }

    /// What the week gives in some minutes from the start of one; at most a week of them.
    fn parts_in(&self, start: MinuteOfWeek, minutes: u16) -> u128 {
        let mut parts = 0_u128;
        let mut done = 0_u16;
        while done < minutes {
            let piece = self.piece(start.plus(done));
            let stride = piece.left.min(minutes.saturating_sub(done));
            parts = parts.saturating_add(self.parts(piece.step, stride));
            done = done.saturating_add(stride);
        }
        parts
    }

    /// What the whole week gives.
    fn week_parts(&self) -> u128 {
        self.parts_in(MinuteOfWeek::MONDAY, MINUTES_A_WEEK)
    }

    /// The most that any window of this length holds; `None` when it cannot be held.
    fn largest_parts_in(&self, window: Duration) -> Option<u128> {
        let minutes = window.micros().div_ceil(MINUTE);
        let weeks = minutes.checked_div(u64::from(MINUTES_A_WEEK))?;
        let rest = minutes.checked_rem(u64::from(MINUTES_A_WEEK))?;
        let largest = self.largest_parts_within_a_week(u16::try_from(rest).unwrap_or(0));
        self.week_parts()
            .checked_mul(u128::from(weeks))?
            .checked_add(largest)
    }

    /// The most that any window of so many minutes holds; less than a week of them.
    ///
    /// The window is pushed once through the week, each time until either of its ends meets a boundary. Between two boundaries its
    /// content changes evenly, so that it is largest at one of them. 2 x 168 boundaries of a week are met at most.
    fn largest_parts_within_a_week(&self, minutes: u16) -> u128 {
        let mut inside = self.parts_in(MinuteOfWeek::MONDAY, minutes);
        let mut largest = inside;
        let mut pushed = 0_u16;
        while pushed < MINUTES_A_WEEK {
            let leaving = self.piece(MinuteOfWeek::MONDAY.plus(pushed));
            let entering = self.piece(MinuteOfWeek::MONDAY.plus(pushed).plus(minutes));
            // Neither reaches beyond a midnight: the push ends with the week at the latest.
            let stride = leaving.left.min(entering.left);
            inside = inside
                .saturating_add(self.parts(entering.step, stride))
                .saturating_sub(self.parts(leaving.step, stride));
            largest = largest.max(inside);
            pushed = pushed.saturating_add(stride);
        }
        largest
    }
}

/// Parts in a zeptogram: the minutes of a day.
const PARTS_A_ZEPTOGRAM: NonZeroU128 = match NonZeroU128::new(1_440) {
    Some(parts) => parts,
    None => NonZeroU128::MIN,
};

/// Days in a week, as a divisor.
const DAYS_A_WEEK: NonZeroU128 = match NonZeroU128::new(7) {
    Some(days) => days,
    None => NonZeroU128::MIN,
};

/// Parts in a femtolitre of a solution; at most 43 bits.
pub(crate) fn parts_a_femtolitre(concentration: Concentration) -> NonZeroU128 {
    PARTS_A_ZEPTOGRAM.saturating_mul(NonZeroU128::from(NonZeroU32::from(concentration)))
}

/// The mass, rounded up to a zeptogram.
fn mass_of(parts: u128) -> Mass {
    Mass::from_zeptograms(Ratio::new(parts, PARTS_A_ZEPTOGRAM).rounded_up())
}

/// The mass that a flow of a solution carries, over the flow's own time; at most 96 bits.
pub(crate) fn mass_rate(rate: FlowRate, concentration: Concentration) -> (Mass, Per) {
    (Mass::in_volume(rate.volume(), concentration), rate.per())
}

/// Whether a pump can run at a flow: within its therapeutic range, and with steps no faster than it makes them.
pub(crate) fn check_flow(flow: Flow, bounds: &Bounds) -> Result<(), Refusal> {
    if flow < bounds.lowest.flow() {
        return Err(Refusal::FlowBelowLowest {
            flow,
            lowest: bounds.lowest,
        });
    }
    if flow > bounds.highest.flow() {
        return Err(Refusal::FlowAboveHighest {
            flow,
            highest: bounds.highest,
        });
    }
    if !bounds.can_step_for(flow) {
        return Err(Refusal::StepRateAboveMaximum {
            flow,
            maximum_millihertz: bounds.binding_step_rate_millihertz(),
        });
    }
    Ok(())
}

/// A step of a week, named for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepPlace {
    /// The first day that follows its pattern.
    pub day: Weekday,
    /// Its number in the pattern, from 1.
    pub number: u8,
    /// The minute of the day from which it is to hold.
    pub from_minute: u16,
}

impl fmt::Display for StepPlace {
    /// `Monday, step 2 from 06:00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = HourAndMinute(self.from_minute);
        write!(f, "{}, step {} from {from}", self.day, self.number)
    }
}

/// Why a week is not allowed. `Display` gives day, step, value and what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeekRefusal {
    /// A day follows a pattern that is not there.
    PatternMissing {
        /// The day.
        day: Weekday,
        /// The pattern it is to follow.
        pattern: u8,
        /// How many there are.
        patterns: u8,
    },
    /// No day follows a pattern.
    PatternUnused {
        /// The pattern.
        pattern: u8,
    },
    /// The first step of all begins after 00:00.
    StartsLate {
        /// The step.
        at: StepPlace,
    },
    /// A step begins at 24:00 or later.
    BeyondTheDay {
        /// The step.
        at: StepPlace,
    },
    /// A pattern has too many steps.
    TooManySteps {
        /// The first that is too many.
        at: StepPlace,
    },
    /// A step begins no later than the one before.
    NotLater {
        /// The step.
        at: StepPlace,
        /// The minute of the day from which the one before holds.
        before: u16,
    },
    /// A step has the dose of the one before.
    ChangesNothing {
        /// The step.
        at: StepPlace,
    },
    /// The pump cannot run at a step's flow.
    Flow {
        /// The step.
        at: StepPlace,
        /// The flow and what is allowed.
        why: Refusal,
    },
}

impl fmt::Display for WeekRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PatternMissing {
                day,
                pattern,
                patterns,
            } => write!(
                f,
                "{day} follows day pattern {pattern}: there are {patterns}, counted from 0"
            ),
            Self::PatternUnused { pattern } => write!(
                f,
                "no day follows day pattern {pattern}: a pattern must be followed or left out"
            ),
            Self::StartsLate { at } => {
                write!(f, "{at}: the first step of a day must be from 00:00")
            }
            Self::BeyondTheDay { at } => write!(f, "{at}: a step is from 23:59 at the latest"),
            Self::TooManySteps { at } => {
                write!(f, "{at}: a day has at most {DAY_STEPS} steps")
            }
            Self::NotLater { at, before } => write!(
                f,
                "{at}: a step must be later than the one before it, which is from {}",
                HourAndMinute(*before)
            ),
            Self::ChangesNothing { at } => write!(
                f,
                "{at}: the dose is that of the step before; a step must change it"
            ),
            Self::Flow { at, why } => {
                write!(f, "{at}: {why}")?;
                match why {
                    Refusal::FlowBelowLowest { .. } => f.write_str(", or its minimum rate"),
                    _ => Ok(()),
                }
            }
        }
    }
}

impl core::error::Error for WeekRefusal {}

#[cfg(test)]
mod tests;
