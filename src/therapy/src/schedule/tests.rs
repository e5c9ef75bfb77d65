//! The week against one written out minute by minute.
#![allow(clippy::arithmetic_side_effects)]

use std::string::ToString;
use std::vec;

use proptest::prelude::*;
use units::StepVolume;

use super::*;

const BOUNDS: Bounds = Bounds::PROGRAMMABLE_IMPLANT;
const MCG: u32 = 1_000;

fn two_milligrams() -> Concentration {
    "2 mg/mL".parse().unwrap()
}

fn step(from_minute: u16, dose_nanograms: u32) -> WeekStep {
    WeekStep {
        from_minute,
        dose_nanograms,
    }
}

fn draft(days: [u8; 7], steps: &[WeekStep]) -> WeekDraft {
    WeekDraft {
        per: Per::Hour,
        days,
        steps: Vec::from_slice(steps).unwrap(),
    }
}

fn checked(draft: WeekDraft) -> Result<Week, WeekRefusal> {
    Week::new(draft, two_milligrams(), &BOUNDS)
}

fn at(day: Weekday, minute: u16) -> MinuteOfWeek {
    MinuteOfWeek::midnight(day).plus(minute)
}

/// Clinical reference, 2.6, with a weekend of 500 mcg: 25 mcg/h until 04:00 and 20 mcg/h after.
fn example() -> Week {
    checked(draft(
        [0, 0, 0, 0, 0, 1, 1],
        &[
            step(0, 15 * MCG),
            step(360, 40 * MCG),
            step(540, 20 * MCG),
            step(1_080, 30 * MCG),
            step(1_320, 15 * MCG),
            step(0, 25 * MCG),
            step(240, 20 * MCG),
        ],
    ))
    .unwrap()
}

/// Requirement: CALC-6
#[test]
fn the_worked_example_to_the_digit() {
    let week = example();
    for day in Weekday::ALL {
        let weekend = matches!(day, Weekday::Saturday | Weekday::Sunday);
        let total = week.day_total(day).to_string();
        assert_eq!(total, if weekend { "500 mcg" } else { "540 mcg" }, "{day}");
    }
    assert_eq!(week.week_total().to_string(), "3.7 mg");
    let mcg = 1_000_000_000_000_000;
    let seven = NonZeroU128::new(7).unwrap();
    assert_eq!(week.mean_day(), Ratio::new(3_700 * mcg, seven));
    assert_eq!(
        week.mean_day().times_rounded_down(1),
        Some(528_571_428_571_428_571)
    );
    assert_eq!(
        (week.lowest().to_string(), week.highest().to_string()),
        ("0.18 mL/day".to_string(), "0.48 mL/day".to_string())
    );
    // 3,700 mcg a week at 2,000 mcg/mL are 1.85 mL.
    let week_of_seconds = Duration::from_days(7);
    let mean = Flow::of_volume_over("1.85 mL".parse().unwrap(), week_of_seconds).unwrap();
    assert_eq!(week.mean_flow(), mean);
    let weekdays_only = checked(WeekDraft {
        days: [0; 7],
        steps: week.draft().steps.iter().take(5).copied().collect(),
        ..*week.draft()
    })
    .unwrap();
    assert_eq!(weekdays_only.mean_flow().to_string(), "0.27 mL/day");
    assert_eq!(
        weekdays_only.mean_flow(),
        "11.25 uL/h".parse::<FlowRate>().unwrap().flow()
    );
}

#[test]
fn the_worst_windows_of_the_worked_example() {
    let week = example();
    let volume = |window| week.largest_volume_in_window(window).unwrap().to_string();
    // Three hours at 40 mcg/h make 20 uL an hour.
    assert_eq!(volume(Duration::from_hours(1)), "0.02 mL");
    assert_eq!(volume(Duration::from_hours(3)), "0.06 mL");
    assert_eq!(volume(Duration::ZERO), "0 mL");
    assert_eq!(volume(Duration::from_days(7)), "1.85 mL");
    // From Friday 06:00 to Saturday 06:00 the weekend's 25 and 20 mcg/h take the place of the night's 15: 4 x 10 + 2 x 5 mcg more.
    let day = Duration::from_days(1);
    assert_eq!(volume(day), "0.295 mL");
    assert_eq!(
        week.largest_mass_in_window(day).unwrap().to_string(),
        "590 mcg"
    );
    assert_eq!(volume(Duration::from_days(8)), "2.145 mL");
    // A broken minute counts as a whole one.
    assert_eq!(
        volume(Duration::from_micros(60_000_001)),
        volume(Duration::from_minutes(2))
    );
    assert_eq!(
        volume(Duration::from_micros(60_000_000)),
        volume(Duration::from_minutes(1))
    );
}

#[test]
fn a_minute_belongs_to_the_step_that_begins_in_it() {
    let week = example();
    for (day, minute, index, dose, ahead) in [
        (Weekday::Monday, 0, 0, "15 mcg/h", 360),
        (Weekday::Monday, 359, 0, "15 mcg/h", 1),
        (Weekday::Monday, 360, 1, "40 mcg/h", 180),
        (Weekday::Monday, 1_319, 3, "30 mcg/h", 1),
        // The night goes on at the same dose beyond midnight, but not into the weekend.
        (Weekday::Monday, 1_320, 4, "15 mcg/h", 480),
        (Weekday::Friday, 1_320, 4, "15 mcg/h", 120),
        (Weekday::Saturday, 0, 5, "25 mcg/h", 240),
        (Weekday::Saturday, 1_439, 6, "20 mcg/h", 1),
        (Weekday::Sunday, 239, 5, "25 mcg/h", 1),
        (Weekday::Sunday, 240, 6, "20 mcg/h", 1_200),
    ] {
        let moment = at(day, minute);
        let segment = week.segment_at(moment);
        let expected: DoseRate = dose.parse().unwrap();
        assert_eq!(
            (segment.index, segment.dose),
            (index, Some(expected)),
            "{moment}"
        );
        assert_eq!(segment.flow, expected.flow(two_milligrams()), "{moment}");
        assert_eq!(week.next_boundary(moment), Some(ahead), "{moment}");
    }
}

#[test]
fn a_week_of_one_dose_has_no_boundary() {
    let week = checked(draft(
        [0, 1, 0, 1, 0, 1, 0],
        &[step(0, 5_000), step(0, 5_000)],
    ))
    .unwrap();
    for minute in [0, 1, 10_079] {
        assert_eq!(week.next_boundary(MinuteOfWeek::new(minute).unwrap()), None);
    }
    assert_eq!(
        (week.lowest(), week.mean_flow()),
        (week.highest(), week.highest())
    );
}

/// 6 uL a day of 2,000 mcg/mL are 12 mcg.
#[test]
fn the_dose_of_the_minimum_rate_counts() {
    let week = checked(draft([0; 7], &[step(0, 0)])).unwrap();
    let segment = week.segment_at(MinuteOfWeek::MONDAY);
    assert_eq!(
        (segment.dose, segment.flow),
        (None, BOUNDS.minimum_rate.flow())
    );
    assert_eq!(week.day_total(Weekday::Sunday).to_string(), "12 mcg");
    assert_eq!(week.mean_flow(), BOUNDS.minimum_rate.flow());
    let half = checked(draft([0; 7], &[step(0, 0), step(720, 4_000)])).unwrap();
    assert_eq!(half.day_total(Weekday::Monday).to_string(), "54 mcg");
    assert_eq!(
        (half.lowest(), half.highest()),
        (BOUNDS.minimum_rate.flow(), BOUNDS.lowest.flow())
    );
}

#[test]
fn totals_that_are_no_whole_zeptograms_are_rounded_up() {
    let per_day = |minutes| WeekDraft {
        per: Per::Day,
        ..draft([0; 7], &[step(0, 100_001), step(minutes, 100_000)])
    };
    let total = |minutes| {
        let week = Week::new(per_day(minutes), two_milligrams(), &BOUNDS).unwrap();
        week.day_total(Weekday::Monday)
    };
    // One nanogram more a day for one minute is 10^12 / 1,440 = 694,444,444.4 zg.
    assert_eq!(total(1).zeptograms(), 100_000_000_694_444_445);
    // For 9 minutes it is a whole number.
    assert_eq!(total(9).zeptograms(), 100_000_006_250_000_000);
}

fn refusal(days: [u8; 7], steps: &[WeekStep]) -> WeekRefusal {
    checked(draft(days, steps)).unwrap_err()
}

fn place(day: Weekday, number: u8, from_minute: u16) -> StepPlace {
    StepPlace {
        day,
        number,
        from_minute,
    }
}

#[test]
fn patterns_and_days_must_match() {
    let one = [step(0, 5_000)];
    for (refused, expected, text) in [
        (
            refusal([0; 7], &[]),
            WeekRefusal::PatternMissing {
                day: Weekday::Monday,
                pattern: 0,
                patterns: 0,
            },
            "Monday follows day pattern 0: there are 0, counted from 0",
        ),
        (
            refusal([0, 0, 0, 0, 0, 0, 1], &one),
            WeekRefusal::PatternMissing {
                day: Weekday::Sunday,
                pattern: 1,
                patterns: 1,
            },
            "Sunday follows day pattern 1: there are 1, counted from 0",
        ),
        (
            refusal(
                [0, 0, 0, 2, 0, 0, 0],
                &[step(0, 5_000), step(0, 6_000), step(0, 7_000)],
            ),
            WeekRefusal::PatternUnused { pattern: 1 },
            "no day follows day pattern 1: a pattern must be followed or left out",
        ),
    ] {
        assert_eq!(refused, expected);
        assert_eq!(refused.to_string(), text);
    }
    let seven = [5_000, 6_000, 7_000, 8_000, 9_000, 10_000, 11_000].map(|dose| step(0, dose));
    let week = checked(draft([6, 5, 4, 3, 2, 1, 0], &seven)).unwrap();
    assert_eq!(week.day_total(Weekday::Monday).to_string(), "264 mcg");
    assert_eq!(week.day_total(Weekday::Sunday).to_string(), "120 mcg");
    let eight = [&seven[..], &[step(0, 12_000)]].concat();
    assert_eq!(
        refusal([6, 5, 4, 3, 2, 1, 0], &eight),
        WeekRefusal::PatternUnused { pattern: 7 }
    );
}

#[test]
fn steps_must_rise_within_the_day() {
    for (steps, expected, text) in [
        (
            &[step(1, 5_000)][..],
            WeekRefusal::StartsLate {
                at: place(Weekday::Monday, 1, 1),
            },
            "Monday, step 1 from 00:01: the first step of a day must be from 00:00",
        ),
        (
            &[step(1_439, 6_000), step(0, 5_000)],
            WeekRefusal::StartsLate {
                at: place(Weekday::Monday, 1, 1_439),
            },
            "Monday, step 1 from 23:59: the first step of a day must be from 00:00",
        ),
        (
            &[step(0, 5_000), step(390, 6_000), step(390, 7_000)],
            WeekRefusal::NotLater {
                at: place(Weekday::Monday, 3, 390),
                before: 390,
            },
            "Monday, step 3 from 06:30: a step must be later than the one before it, which is from 06:30",
        ),
        (
            &[step(0, 5_000), step(1_440, 6_000)],
            WeekRefusal::BeyondTheDay {
                at: place(Weekday::Monday, 2, 1_440),
            },
            "Monday, step 2 from 24:00: a step is from 23:59 at the latest",
        ),
        (
            &[step(0, 5_000), step(1, 5_000)],
            WeekRefusal::ChangesNothing {
                at: place(Weekday::Monday, 2, 1),
            },
            "Monday, step 2 from 00:01: the dose is that of the step before; a step must change it",
        ),
    ] {
        let refused = refusal([0; 7], steps);
        assert_eq!(refused, expected);
        assert_eq!(refused.to_string(), text);
    }
    assert!(
        checked(draft(
            [0; 7],
            &[
                step(0, 5_000),
                step(1, 6_000),
                step(2, 5_000),
                step(1_439, 0)
            ]
        ))
        .is_ok()
    );
    // The day named is the first that follows the pattern.
    let late = refusal(
        [0, 0, 1, 0, 1, 0, 0],
        &[step(0, 5_000), step(0, 6_000), step(5, 6_000)],
    );
    assert_eq!(
        late,
        WeekRefusal::ChangesNothing {
            at: place(Weekday::Wednesday, 2, 5)
        }
    );
}

fn alternating(steps: u16) -> std::vec::Vec<WeekStep> {
    (0..steps)
        .map(|number| step(number, 5_000 + u32::from(number % 2)))
        .collect()
}

#[test]
fn a_day_has_24_steps_and_a_week_96() {
    assert!(checked(draft([0; 7], &alternating(24))).is_ok());
    let refused = refusal([0; 7], &alternating(25));
    assert_eq!(
        refused,
        WeekRefusal::TooManySteps {
            at: place(Weekday::Monday, 25, 24)
        }
    );
    assert_eq!(
        refused.to_string(),
        "Monday, step 25 from 00:24: a day has at most 24 steps"
    );
    // The 13 periods on 7 days of \[S28\] are 91 steps.
    let thirteen = std::iter::repeat_n(alternating(13), 7)
        .flatten()
        .collect::<std::vec::Vec<_>>();
    assert!(checked(draft([0, 1, 2, 3, 4, 5, 6], &thirteen)).is_ok());
    let four = std::iter::repeat_n(alternating(24), 4)
        .flatten()
        .collect::<std::vec::Vec<_>>();
    let mut full = draft([0, 1, 2, 3, 3, 3, 3], &four);
    assert!(checked(full.clone()).is_ok());
    assert!(full.steps.push(step(0, 1)).is_err());
}

/// 4 mcg/h and 2 mg/h at 2,000 mcg/mL are exactly the lowest and the highest rate (clinical reference, 1.3).
#[test]
fn a_flow_is_the_minimum_rate_or_in_range_and_nothing_between() {
    let refused = |dose| refusal([0; 7], &[step(0, 5_000), step(60, dose)]);
    assert!(
        checked(draft(
            [0; 7],
            &[step(0, 4_000), step(60, 2_000_000), step(61, 0)]
        ))
        .is_ok()
    );
    // 500 ng/h are the minimum rate, which has a mark of its own.
    for dose in [1, 500, 3_999] {
        let WeekRefusal::Flow {
            at,
            why: Refusal::FlowBelowLowest { lowest, .. },
        } = refused(dose)
        else {
            panic!("{dose} ng/h is not refused as too low");
        };
        assert_eq!((at, lowest), (place(Weekday::Monday, 2, 60), BOUNDS.lowest));
    }
    assert_eq!(
        refused(500).to_string(),
        "Monday, step 2 from 01:00: the dose needs 0.006 mL/day at this concentration: the pump's lowest therapeutic rate is 0.048 mL/day, or its minimum rate"
    );
    assert_eq!(
        refused(2_000_001).to_string(),
        "Monday, step 2 from 01:00: the dose needs 24.000012 mL/day at this concentration: the pump's highest rate is 24 mL/day"
    );
    let slow = Bounds {
        maximum_step_rate_millihertz: 111_111,
        ..BOUNDS
    };
    let refused = Week::new(
        draft([0; 7], &[step(0, 2_000_000)]),
        two_milligrams(),
        &slow,
    )
    .unwrap_err();
    assert!(matches!(
        refused,
        WeekRefusal::Flow {
            why: Refusal::StepRateAboveMaximum { .. },
            ..
        }
    ));
}

#[test]
fn the_largest_draft_takes_684_bytes_and_reads_back() {
    let mut largest = draft([u8::MAX; 7], &[]);
    while largest.steps.push(step(1_439, u32::MAX)).is_ok() {}
    let mut buffer = [0; 1_024];
    // Per, seven days, length; two bytes of minute and five of dose for each step.
    assert_eq!(
        postcard::to_slice(&largest, &mut buffer).unwrap().len(),
        1 + 7 + 1 + 96 * 7
    );
    let example = example().draft().clone();
    let bytes = postcard::to_slice(&example, &mut buffer).unwrap();
    assert_eq!(postcard::from_bytes(bytes), Ok(example));
    // A step more than fits is refused when read.
    let bytes = postcard::to_slice(
        &(Per::Hour, [0_u8; 7], vec![(0_u16, 0_u32); 97].as_slice()),
        &mut buffer,
    )
    .unwrap();
    assert!(postcard::from_bytes::<WeekDraft>(bytes).is_err());
    assert!(size_of::<Week>() <= 96 * 8 + 64);
}

#[test]
fn absurd_numbers_are_answered() {
    let flood = FlowRate::new(Volume::MAX, Per::Hour);
    let bounds = Bounds {
        minimum_rate: flood,
        ..BOUNDS
    };
    let strongest = Concentration::from_nanograms_per_millilitre(u32::MAX).unwrap();
    let week = Week::new(draft([0; 7], &[step(0, 0)]), strongest, &bounds).unwrap();
    let hour = Mass::in_volume(Volume::MAX, strongest);
    assert_eq!(Some(week.week_total()), hour.checked_mul(168));
    assert_eq!(week.mean_flow(), flood.flow());
    assert_eq!(
        week.largest_volume_in_window(Duration::from_hours(1)),
        Some(Volume::MAX)
    );
    assert_eq!(
        week.largest_volume_in_window(Duration::from_minutes(61)),
        None
    );
    assert_eq!(week.largest_mass_in_window(Duration::MAX), None);
}

/// A week as it was drawn.
#[derive(Clone, Debug)]
struct Drawn {
    draft: WeekDraft,
    concentration: Concentration,
    step_volume: StepVolume,
}

impl Drawn {
    fn week(&self) -> Week {
        let bounds = Bounds {
            step_volume: self.step_volume,
            ..BOUNDS
        };
        Week::new(self.draft.clone(), self.concentration, &bounds).unwrap()
    }

    /// The steps of each pattern.
    fn patterns(&self) -> std::vec::Vec<std::vec::Vec<WeekStep>> {
        let mut patterns: std::vec::Vec<std::vec::Vec<WeekStep>> = vec![];
        for step in &self.draft.steps {
            if step.from_minute == 0 {
                patterns.push(vec![]);
            }
            patterns.last_mut().unwrap().push(*step);
        }
        patterns
    }

    /// What a step would give in a day, and in 1,440ths in a minute.
    fn zeptograms_a_day(&self, step: WeekStep) -> u128 {
        let times = if self.draft.per == Per::Hour { 24 } else { 1 };
        match step.dose_nanograms {
            // 0.006 mL a day in femtolitres, at so many zeptograms each.
            0 => 6_000_000_000 * u128::from(self.concentration.nanograms_per_millilitre()),
            dose => u128::from(dose) * 1_000_000_000_000 * times,
        }
    }

    /// What each minute gives, in 1,440ths of a zeptogram: the steps of each day laid over its minutes, the last one on top.
    fn minutes(&self) -> std::vec::Vec<u128> {
        let (patterns, mut minutes) = (self.patterns(), vec![0; 10_080]);
        for (day, pattern) in self.draft.days.iter().enumerate() {
            for step in &patterns[usize::from(*pattern)] {
                let range = day * 1_440 + usize::from(step.from_minute)..(day + 1) * 1_440;
                minutes[range].fill(self.zeptograms_a_day(*step));
            }
        }
        minutes
    }
}

/// One pattern: minutes from midnight, and doses that differ from one to the next; every eighth or so at minimum rate.
fn pattern(
    lowest: u32,
    highest: u32,
    most: usize,
) -> impl Strategy<Value = std::vec::Vec<WeekStep>> {
    let dose = prop_oneof![1 => Just(0_u32), 7 => lowest..=highest];
    (
        prop::collection::btree_set(1_u16..1_440, 0..most),
        prop::collection::vec(dose, most),
    )
        .prop_map(|(times, doses)| {
            let mut steps = vec![];
            for (from, dose) in std::iter::once(0).chain(times).zip(doses) {
                if steps
                    .last()
                    .is_none_or(|last: &WeekStep| last.dose_nanograms != dose)
                {
                    steps.push(step(from, dose));
                }
            }
            steps
        })
}

fn drawn() -> impl Strategy<Value = Drawn> {
    (
        any::<bool>(),
        25_000_u32..=20_000_000,
        2_250_000_u32..=2_750_000,
        1_usize..=7,
    )
        .prop_flat_map(|(hourly, concentration, step_volume, patterns)| {
            let (per, hours) = if hourly {
                (Per::Hour, 1_u64)
            } else {
                (Per::Day, 24)
            };
            // 2 uL/h to 1 mL/h.
            let at = |nanolitres: u64| u64::from(concentration) * nanolitres * hours;
            let lowest = u32::try_from(at(2_000).div_ceil(1_000_000)).unwrap();
            let highest = u32::try_from(at(1_000_000) / 1_000_000).unwrap();
            let most = (WEEK_STEPS / patterns).min(usize::from(DAY_STEPS));
            let steps = prop::collection::vec(pattern(lowest, highest, most), patterns);
            let days = prop::array::uniform7(0..u8::try_from(patterns).unwrap());
            (steps, days).prop_map(move |(steps, days)| {
                // Patterns that no day follows are left out.
                let mut used: std::vec::Vec<u8> = days.to_vec();
                used.sort_unstable();
                used.dedup();
                let place = |day: u8| u8::try_from(used.binary_search(&day).unwrap()).unwrap();
                Drawn {
                    draft: WeekDraft {
                        per,
                        days: days.map(place),
                        steps: used
                            .iter()
                            .flat_map(|pattern| steps[usize::from(*pattern)].iter().copied())
                            .collect(),
                    },
                    concentration: Concentration::from_nanograms_per_millilitre(concentration)
                        .unwrap(),
                    step_volume: StepVolume::new(step_volume).unwrap(),
                }
            })
        })
}

/// The most that any window of so many minutes holds.
fn brute_force(parts: &[u128], window: usize) -> u128 {
    let mut inside: u128 = parts[..window].iter().sum();
    let mut largest = inside;
    for start in 0..parts.len() {
        inside = inside + parts[(start + window) % parts.len()] - parts[start];
        largest = largest.max(inside);
    }
    largest
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Every schedule covers its days exactly: walked from boundary to boundary from anywhere, the week takes 10,080 minutes, each with
    /// its dose; the totals are the sums of the steps.
    ///
    /// Requirement: AC-15
    #[test]
    fn every_minute_of_the_week_comes_once(drawn in drawn(), start in 0_u16..10_080, probe in 0_u16..10_080) {
        let week = drawn.week();
        let patterns = drawn.patterns();
        let dose_in = |minute: u16| {
            let pattern = &patterns[usize::from(drawn.draft.days[usize::from(minute / 1_440)])];
            u64::from(pattern.iter().rfind(|step| step.from_minute <= minute % 1_440).unwrap().dose_nanograms)
        };
        let answered = |minute: MinuteOfWeek| {
            week.segment_at(minute).dose.map_or(0, |dose| dose.amount().nanograms_exact().unwrap())
        };
        prop_assert_eq!(answered(MinuteOfWeek::new(probe).unwrap()), dose_in(probe));
        let start = MinuteOfWeek::new(start).unwrap();
        let mut walked = 0_u16;
        while let Some(ahead) = week.next_boundary(start.plus(walked)) {
            let (first, last, next) = (start.plus(walked), start.plus(walked + ahead - 1), start.plus(walked + ahead));
            let dose = answered(first);
            prop_assert!(dose == dose_in(first.get()) && dose == dose_in(last.get()) && dose != dose_in(next.get()));
            walked += ahead;
            if walked >= 10_080 {
                break;
            }
        }
        // From the first boundary on, the walk comes back to it after a week.
        if let Some(first) = week.next_boundary(start) {
            let (mut around, from) = (0_u16, start.plus(first));
            while around < 10_080 {
                around += week.next_boundary(from.plus(around)).unwrap();
            }
            prop_assert_eq!(around, 10_080);
        }
        // To the zeptogram, which is 10^-9 of a picogram.
        let sums: std::vec::Vec<u128> = patterns.iter().map(|pattern| {
            let ends = pattern.iter().skip(1).map(|step| step.from_minute).chain([1_440]);
            pattern.iter().zip(ends).map(|(step, end)| drawn.zeptograms_a_day(*step) * u128::from(end - step.from_minute)).sum()
        }).collect();
        let days = drawn.draft.days.map(|pattern| sums[usize::from(pattern)]);
        for (day, sum) in Weekday::ALL.into_iter().zip(days) {
            prop_assert_eq!(week.day_total(day).zeptograms(), sum.div_ceil(1_440));
        }
        let sum = days.iter().sum::<u128>();
        prop_assert_eq!(week.week_total().zeptograms(), sum.div_ceil(1_440));
        prop_assert_eq!(week.mean_day(), Ratio::new(sum, NonZeroU128::new(10_080).unwrap()));
        // What the mean flow gives in seven weeks is what the week gives in seven.
        let concentration = u128::from(drawn.concentration.nanograms_per_millilitre());
        let seven = week.mean_flow().volume_in(Duration::from_days(49)).unwrap();
        prop_assert_eq!(u128::from(seven.femtolitres()), 7 * sum / 1_440 / concentration);
        let rates = || drawn.draft.steps.iter().map(|step| drawn.zeptograms_a_day(*step));
        let femtolitre_a_day = NonZeroU128::new(86_400_000_000 * concentration).unwrap();
        prop_assert_eq!(week.lowest().ratio(), Ratio::new(rates().min().unwrap(), femtolitre_a_day));
        prop_assert_eq!(week.highest().ratio(), Ratio::new(rates().max().unwrap(), femtolitre_a_day));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Requirement: TH-rolling-window
    #[test]
    fn the_worst_window_is_the_worst_of_every_minute(drawn in drawn(), window in 1_u32..10_080) {
        let week = drawn.week();
        let parts = drawn.minutes();
        let concentration = u128::from(drawn.concentration.nanograms_per_millilitre());
        for (day, minutes) in Weekday::ALL.into_iter().zip(parts.chunks(1_440)) {
            prop_assert_eq!(week.day_total(day).zeptograms(), minutes.iter().sum::<u128>().div_ceil(1_440));
        }
        for minutes in [60, 1_440, window] {
            let most = brute_force(&parts, usize::try_from(minutes).unwrap());
            let length = Duration::from_minutes(minutes);
            let mass = week.largest_mass_in_window(length).unwrap();
            prop_assert_eq!(mass.zeptograms(), most.div_ceil(1_440));
            let volume = week.largest_volume_in_window(length).unwrap();
            prop_assert_eq!(u128::from(volume.femtolitres()), most.div_ceil(1_440 * concentration));
            let longer = week.largest_mass_in_window(length.saturating_add(Duration::from_days(14))).unwrap();
            let weeks = 2 * parts.iter().sum::<u128>();
            prop_assert_eq!(longer.zeptograms(), (weeks + most).div_ceil(1_440));
        }
    }

    /// Any draft at all: a week or a refusal that can be said, and no panic.
    #[test]
    fn any_draft_is_answered(
        days in prop::array::uniform7(0_u8..4), steps in prop::collection::vec((0_u16..1_500, 0_u32..9_000), 0..30), minute in 0_u16..10_080,
    ) {
        let steps = steps.into_iter().map(|(from, dose)| step(from.saturating_sub(60), dose)).collect();
        match checked(WeekDraft { per: Per::Hour, days, steps }) {
            Ok(week) => {
                let _ = week.next_boundary(MinuteOfWeek::new(minute).unwrap());
            }
            Err(refusal) => prop_assert!(!refusal.to_string().is_empty()),
        }
    }
}
