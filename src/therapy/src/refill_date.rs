//! When to refill: by basal alone, with all patient boluses, and in the worst case.
//!
//! Everything here is a pure function of the level, the flows and now, and is computed afresh whenever one of them changes: at every
//! change of rate and at the start of every bolus (clinical reference, 2.5).
//!
//! | number | source |
//! |---|---|
//! | worst case 1.145 times the flow | \[S11\] clinical reference 2.4 |
//! | how long a drug keeps | the drug library |

use core::num::NonZeroU128;

use units::{Date, Drug, Duration, Flow, Volume, WallTime};

use crate::library::{DrugEntry, Fill};

/// The worst case in lowest terms: 229 / 200 = 1.145.
const WORST_CASE_NUMERATOR: NonZeroU128 = match NonZeroU128::new(229) {
    Some(numerator) => numerator,
    None => NonZeroU128::MIN,
};
const WORST_CASE_DENOMINATOR: u64 = 200;
/// Microseconds in a day.
const DAY: u64 = 86_400_000_000;

/// How long a level lasts at one flow, rounded down to a microsecond. `None` is for ever: nothing flows, or more than 584,542 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    /// Until the low mark is reached; no time when it is.
    pub to_low_mark: Option<Duration>,
    /// Until the reservoir is empty; no time when it is.
    pub to_empty: Option<Duration>,
}

/// How long a level lasts, three ways. Needs no time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// At the basal flow.
    pub basal_only: Course,
    /// At the basal flow with all allotted patient boluses.
    pub with_boluses: Course,
    /// At 1.145 times the flow with all boluses.
    pub worst_case: Course,
}

/// Days that a refill must not be later than.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefillCaps {
    /// The drug is stable until then; `None` when no fill is known.
    pub stability: Option<Date>,
    /// The pump is due for replacement then ([`crate::ServiceDates::refill_cap`]).
    pub replacement: Option<Date>,
}

/// What binds a date of refill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefillLimit {
    /// The low mark is reached.
    LowMark,
    /// The drug is stable no longer.
    Stability,
    /// The pump is due for replacement.
    Replacement,
    /// The pump's calendar ends: the level would last beyond [`Date::LAST`], or for ever.
    Calendar,
}

/// A day by which to refill, always valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefillDate {
    /// The day: today at the earliest, [`Date::LAST`] at the latest.
    pub date: Date,
    /// What binds it. Of two that bind on the same day, the one that comes first in [`RefillLimit`].
    pub limit: RefillLimit,
}

/// Days by which to refill, three ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefillDates {
    /// At the basal flow.
    pub basal_only: RefillDate,
    /// At the basal flow with all allotted patient boluses.
    pub with_boluses: RefillDate,
    /// At 1.145 times the flow with all boluses.
    pub worst_case: RefillDate,
}

impl Course {
    /// For a flow as it is.
    #[must_use]
    pub fn new(level: Volume, low_mark: Volume, flow: Flow) -> Self {
        Self::by(level, low_mark, |volume| flow.time_for(volume))
    }

    /// For 1.145 times a flow.
    #[must_use]
    pub fn worst_case(level: Volume, low_mark: Volume, flow: Flow) -> Self {
        Self::by(level, low_mark, |volume| {
            let Some(slower) = flow.ratio().inverse()?.divided_by(WORST_CASE_NUMERATOR) else {
                // A flow of more than 10^36 fL/us: no time.
                return Some(Duration::ZERO);
            };
            // Above 92 litres this errs to the early side.
            let volume = volume.femtolitres().saturating_mul(WORST_CASE_DENOMINATOR);
            slower.times_rounded_down(volume).map(Duration::from_micros)
        })
    }

    fn by(level: Volume, low_mark: Volume, time_for: impl Fn(Volume) -> Option<Duration>) -> Self {
        // No volume is gone at once even when nothing flows.
        let time = |volume| match volume {
            Volume::ZERO => Some(Duration::ZERO),
            volume => time_for(volume),
        };
        Self {
            to_low_mark: time(level.saturating_sub(low_mark)),
            to_empty: time(level),
        }
    }

    /// The day by which to refill: today + whole days to the low mark, rounded down, and no later than the caps. A day that has passed
    /// becomes today, one beyond the calendar its last.
    #[must_use]
    pub fn refill_date(&self, today: Date, caps: RefillCaps) -> RefillDate {
        let days = self.to_low_mark.map(|time| time.micros() / DAY);
        let by_level = days
            .and_then(|days| u32::try_from(days).ok())
            .and_then(|days| today.checked_add_days(days));
        let candidates = [
            (by_level, RefillLimit::LowMark),
            (caps.stability, RefillLimit::Stability),
            (caps.replacement, RefillLimit::Replacement),
        ];
        let mut earliest = RefillDate {
            date: Date::LAST,
            limit: RefillLimit::Calendar,
        };
        for (date, limit) in candidates {
            let Some(date) = date.map(|date| date.max(today)) else {
                continue;
            };
            if date < earliest.date || earliest.limit == RefillLimit::Calendar {
                earliest = RefillDate { date, limit };
            }
        }
        earliest
    }
}

impl Forecast {
    /// From the level above the residual, the low mark, and the mean flows. Where a schedule has stronger and weaker days, the flow is
    /// that of the strongest, so that dates err to the early side.
    #[must_use]
    pub fn new(level: Volume, low_mark: Volume, basal: Flow, with_boluses: Flow) -> Self {
        Self {
            basal_only: Course::new(level, low_mark, basal),
            with_boluses: Course::new(level, low_mark, with_boluses),
            worst_case: Course::worst_case(level, low_mark, with_boluses),
        }
    }

    /// The days, where local time is `offset_minutes` ahead of UTC. A time of day outside the calendar counts as its nearest day.
    #[must_use]
    pub fn refill_dates(
        &self,
        now: WallTime,
        offset_minutes: i16,
        caps: RefillCaps,
    ) -> RefillDates {
        let today = Date::saturating_of(now, offset_minutes);
        RefillDates {
            basal_only: self.basal_only.refill_date(today, caps),
            with_boluses: self.with_boluses.refill_date(today, caps),
            worst_case: self.worst_case.refill_date(today, caps),
        }
    }
}

impl RefillDates {
    /// The day to book: that with all boluses, and the worst case, which is never later, when more than 1.05 times what was programmed
    /// left the reservoir before the last refill (clinical reference, 2.4; [`crate::Trend::last_is_high`]).
    #[must_use]
    pub const fn book(&self, last_ratio_is_high: bool) -> RefillDate {
        if last_ratio_is_high {
            self.worst_case
        } else {
            self.with_boluses
        }
    }
}

/// How long a drug stands in the pump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// Days after the first fill of a pump.
    pub first_fill_days: u16,
    /// Days after every later one.
    pub later_days: u16,
}

impl Keeping {
    /// Where nothing else is known: mixtures, unless the pharmacy says otherwise.
    pub const OTHERWISE: Self = Self {
        first_fill_days: 90,
        later_days: 90,
    };

    /// One drug, as supplied or diluted, by the drug library.
    #[must_use]
    pub fn of(drug: Drug, diluted: bool) -> Self {
        let stability = &DrugEntry::of(drug).stability;
        let days = |fill| u16::try_from(stability.of(fill).micros() / DAY).unwrap_or(u16::MAX);
        Self {
            first_fill_days: days(Fill::First),
            later_days: days(if diluted {
                Fill::LaterDiluted
            } else {
                Fill::Later
            }),
        }
    }

    /// The shorter of two: a mixture stands no longer than any of its drugs.
    #[must_use]
    pub fn shorter(self, other: Self) -> Self {
        Self {
            first_fill_days: self.first_fill_days.min(other.first_fill_days),
            later_days: self.later_days.min(other.later_days),
        }
    }

    /// The last day on which a fill may be used; at most [`Date::LAST`].
    #[must_use]
    pub fn until(self, filled: Date, first_fill: bool) -> Date {
        let days = if first_fill {
            self.first_fill_days
        } else {
            self.later_days
        };
        filled.saturating_add_days(u32::from(days))
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use std::string::ToString;

    use proptest::prelude::*;
    use units::FlowRate;

    use super::*;
    use crate::reservoir::LOW_MARK;

    const FULL: Volume = Volume::from_millilitres(20);

    fn flow(text: &str) -> Flow {
        text.parse::<FlowRate>().unwrap().flow()
    }

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn by(date: Date, limit: RefillLimit) -> RefillDate {
        RefillDate { date, limit }
    }

    /// 2026-01-05 10:00 UTC.
    fn start() -> WallTime {
        WallTime::from_millis(date("2026-01-05").begins(0).millis() + 10 * 3_600_000)
    }

    fn example() -> Forecast {
        Forecast::new(FULL, LOW_MARK, flow("0.25 mL/day"), flow("0.35 mL/day"))
    }

    /// Clinical reference, 2.4.
    ///
    /// Requirement: AC-17, CALC-4
    #[test]
    fn three_dates_give_the_worked_example() {
        let forecast = example();
        let dates = forecast.refill_dates(start(), 0, RefillCaps::default());
        let limit = RefillLimit::LowMark;
        assert_eq!(dates.basal_only, by(date("2026-03-18"), limit));
        assert_eq!(dates.with_boluses, by(date("2026-02-25"), limit));
        assert_eq!(dates.worst_case, by(date("2026-02-18"), limit));
        assert_eq!(dates.book(false), dates.with_boluses);
        assert_eq!(dates.book(true), dates.worst_case);
        assert_eq!(
            forecast.basal_only.to_low_mark,
            Some(Duration::from_days(72))
        );
        let instant = |course: Course| {
            let text = start()
                .saturating_add(course.to_low_mark.unwrap())
                .to_string();
            text.split_at(16).0.replace('T', " ")
        };
        assert_eq!(instant(forecast.with_boluses), "2026-02-25 20:17");
        assert_eq!(instant(forecast.worst_case), "2026-02-19 07:58");
    }

    /// Clinical reference, 2.5: hundredths of a day.
    ///
    /// Requirement: CALC-5
    #[test]
    fn the_times_to_the_alarm_and_to_empty_give_the_worked_example() {
        let level = "7.35 mL".parse().unwrap();
        let course = Course::new(level, LOW_MARK, flow("0.35 mL/day"));
        let (alarm, empty) = (course.to_low_mark.unwrap(), course.to_empty.unwrap());
        let hundredths = |time: Duration| (time.micros() * 100 + DAY / 2) / DAY;
        assert_eq!(hundredths(alarm), 15_29);
        assert_eq!(hundredths(empty.checked_sub(alarm).unwrap()), 5_71);
        assert_eq!(empty, Duration::from_days(21));
    }

    /// Clinical reference, 2.14.
    ///
    /// Requirement: CALC-14
    #[test]
    fn a_constant_rate_gives_the_worked_example() {
        let course = Course::new(FULL, LOW_MARK, flow("0.5 mL/day"));
        assert_eq!(course.to_low_mark, Some(Duration::from_days(36)));
        assert_eq!(course.to_empty, Some(Duration::from_days(40)));
    }

    #[test]
    fn whole_days_are_rounded_down() {
        let today = Date::FIRST;
        let due = |micros| {
            let course = Course {
                to_low_mark: Some(Duration::from_micros(micros)),
                to_empty: None,
            };
            course
                .refill_date(today, RefillCaps::default())
                .date
                .days_since(today)
        };
        assert_eq!(
            (due(0), due(DAY - 1), due(DAY), due(2 * DAY - 1)),
            (0, 0, 1, 1)
        );
    }

    #[test]
    fn the_earliest_cap_binds_and_says_so() {
        let course = example().basal_only;
        let today = date("2026-01-05");
        let due = |stability: &str, replacement: &str| {
            let caps = RefillCaps {
                stability: stability.parse().ok(),
                replacement: replacement.parse().ok(),
            };
            let due = course.refill_date(today, caps);
            (due.date.to_string(), due.limit)
        };
        let expect = |text: &str, limit| (text.to_string(), limit);
        assert_eq!(
            due("2026-03-18", "2026-03-18"),
            expect("2026-03-18", RefillLimit::LowMark)
        );
        assert_eq!(
            due("2026-03-17", "2026-03-17"),
            expect("2026-03-17", RefillLimit::Stability)
        );
        assert_eq!(
            due("2026-03-17", "2026-03-16"),
            expect("2026-03-16", RefillLimit::Replacement)
        );
        assert_eq!(
            due("", "2026-03-16"),
            expect("2026-03-16", RefillLimit::Replacement)
        );
        assert_eq!(
            due("2025-12-31", "2099-12-31"),
            expect("2026-01-05", RefillLimit::Stability)
        );
        assert_eq!(
            due("2026-03-19", ""),
            expect("2026-03-18", RefillLimit::LowMark)
        );
    }

    #[test]
    fn what_lasts_for_ever_ends_with_the_calendar() {
        let nothing = Course::new(FULL, LOW_MARK, Flow::ZERO);
        assert_eq!((nothing.to_low_mark, nothing.to_empty), (None, None));
        let today = date("2026-01-05");
        let none = RefillCaps::default();
        assert_eq!(
            nothing.refill_date(today, none),
            by(Date::LAST, RefillLimit::Calendar)
        );
        let stability = RefillCaps {
            stability: Some(Date::LAST),
            ..none
        };
        assert_eq!(
            nothing.refill_date(today, stability),
            by(Date::LAST, RefillLimit::Stability)
        );
        // 9,000 days from 2080.
        let slow = Course::new(FULL, LOW_MARK, flow("0.002 mL/day"));
        assert_eq!(
            slow.refill_date(date("2080-01-01"), none),
            by(Date::LAST, RefillLimit::Calendar)
        );
        assert_eq!(
            slow.refill_date(Date::LAST.saturating_sub_days(9_000), none),
            by(Date::LAST, RefillLimit::LowMark)
        );
    }

    #[test]
    fn at_the_low_mark_it_is_due_today_whatever_flows() {
        for flow in [Flow::ZERO, flow("0.25 mL/day")] {
            for course in [
                Course::new(LOW_MARK, LOW_MARK, flow),
                Course::worst_case(LOW_MARK, LOW_MARK, flow),
            ] {
                assert_eq!(course.to_low_mark, Some(Duration::ZERO));
                let due = course.refill_date(date("2026-01-05"), RefillCaps::default());
                assert_eq!(due, by(date("2026-01-05"), RefillLimit::LowMark));
            }
            assert_eq!(
                Course::new(Volume::ZERO, LOW_MARK, flow).to_empty,
                Some(Duration::ZERO)
            );
        }
        let above = LOW_MARK.saturating_add(Volume::from_femtolitres(1));
        assert_eq!(Course::new(above, LOW_MARK, Flow::ZERO).to_low_mark, None);
    }

    #[test]
    fn the_day_is_the_patients() {
        let late = WallTime::from_millis(date("2026-01-05").begins(0).millis() + 23 * 3_600_000);
        let dates = |offset| {
            example()
                .refill_dates(late, offset, RefillCaps::default())
                .basal_only
                .date
        };
        assert_eq!(
            (dates(0), dates(60)),
            (date("2026-03-18"), date("2026-03-19"))
        );
    }

    #[test]
    fn stability_gives_the_reference() {
        let filled = date("2026-01-05");
        let days = |stability: Keeping, first| stability.until(filled, first).days_since(filled);
        let ziconotide = Keeping::of(Drug::Ziconotide, false);
        let diluted = Keeping::of(Drug::Ziconotide, true);
        assert_eq!((days(ziconotide, true), days(ziconotide, false)), (14, 84));
        assert_eq!((days(diluted, true), days(diluted, false)), (14, 40));
        let morphine = Keeping::of(Drug::Morphine, true);
        assert_eq!((days(morphine, true), days(morphine, false)), (90, 90));
        assert_eq!(morphine.shorter(diluted), diluted);
        assert_eq!(diluted.shorter(morphine), diluted);
        assert_eq!(morphine.until(Date::LAST, true), Date::LAST);
    }

    proptest! {
        /// (V - V_alarm) / R and (V - V_alarm) / (1.145 R) by big integers, and the order of the three.
        ///
        /// Requirement: AC-17
        #[test]
        fn the_times_are_exact_and_the_dates_valid(
            level in 0_u64..60_000_000_000_000, mark in 0_u64..5_000_000_000_000,
            basal in 0_u64..24_000_000_000_000, boluses in 0_u64..5_000_000_000_000,
            millis in any::<u64>(), shift in 0_u32..64, offset in any::<i16>(),
        ) {
            let rate = |rate: u64| FlowRate::new(rate.into(), units::Per::Day).flow();
            let total = basal + boluses;
            let forecast = Forecast::new(level.into(), mark.into(), rate(basal), rate(total));
            let oracle = |volume: u64, rate: u64, thousandths: u128| {
                if volume == 0 {
                    return Some(0);
                }
                let per = u128::from(rate) * thousandths;
                let micros = (u128::from(volume) * u128::from(DAY) * 1_000).checked_div(per)?;
                u64::try_from(micros).ok()
            };
            for (course, rate, thousandths) in [
                (forecast.basal_only, basal, 1_000),
                (forecast.with_boluses, total, 1_000),
                (forecast.worst_case, total, 1_145),
            ] {
                let above = level.saturating_sub(mark);
                prop_assert_eq!(course.to_low_mark.map(Duration::micros), oracle(above, rate, thousandths));
                prop_assert_eq!(course.to_empty.map(Duration::micros), oracle(level, rate, thousandths));
            }
            let now = WallTime::from_millis(millis >> shift);
            let dates = forecast.refill_dates(now, offset, RefillCaps::default());
            let today = Date::saturating_of(now, offset);
            prop_assert!(today <= dates.worst_case.date);
            prop_assert!(dates.worst_case.date <= dates.with_boluses.date);
            prop_assert!(dates.with_boluses.date <= dates.basal_only.date);
            prop_assert!(dates.basal_only.date <= Date::LAST);
        }
    }
}
