//! Changes: per cent to the tenth, and that many small ones are one large one.
#![allow(clippy::arithmetic_side_effects)]

use std::string::ToString;
use std::vec::Vec as List;

use num_bigint::BigUint;
use proptest::prelude::*;

use super::*;

fn mcg(micrograms: u64) -> Mass {
    Mass::from_nanograms(micrograms * 1_000)
}

fn change(old: u64, new: u64) -> PercentChange {
    PercentChange::new(mcg(old), mcg(new))
}

fn at(minutes: u64) -> PoweredTime {
    PoweredTime::from_micros(minutes * 60_000_000)
}

/// Clinical reference, 2.8.
///
/// Requirement: AC-12, CALC-8
#[test]
fn the_worked_examples_of_per_cent() {
    for (old, new, text) in [
        (450, 540, "+20.0 %"),
        (540, 450, "-16.7 %"),
        (0, 450, "new start"),
        (0, 0, "new start"),
        (450, 450, "0.0 %"),
        (450, 0, "-100.0 %"),
        (60, 1_440, "+2300.0 %"),
        // Halves of a tenth go away from zero, less than half does not.
        (2_000, 2_001, "+0.1 %"),
        (2_001, 2_002, "+0.0 %"),
        (2_000, 1_999, "-0.1 %"),
        (2_001, 2_000, "-0.0 %"),
    ] {
        assert_eq!(change(old, new).to_string(), text, "{old} to {new}");
    }
    assert_eq!(
        change(450, 540).ratio(),
        Some(Ratio::new(6, nonzero_or_one(5)))
    );
    assert_eq!(change(0, 450).ratio(), None);
    let monstrous = PercentChange::new(Mass::from_zeptograms(1), Mass::from_zeptograms(u128::MAX));
    assert_eq!(monstrous.to_string(), "over +922337203685477580 %");
    assert!(monstrous.rises_by_more_than(u32::MAX));
}

#[test]
fn a_limit_in_per_cent_is_allowed_itself() {
    assert!(!change(450, 540).rises_by_more_than(20));
    let more = PercentChange::new(
        mcg(450),
        mcg(540).checked_add(Mass::from_zeptograms(1)).unwrap(),
    );
    assert!(more.rises_by_more_than(20));
    assert!(!more.drops_by_more_than(0));
    assert!(!change(450, 360).drops_by_more_than(20));
    let less = PercentChange::new(
        mcg(450),
        mcg(360).checked_sub(Mass::from_zeptograms(1)).unwrap(),
    );
    assert!(less.drops_by_more_than(20));
    assert!(!less.rises_by_more_than(0));
    assert!(!change(0, 450).rises_by_more_than(0));
    assert!(!change(0, 0).drops_by_more_than(0));
    assert!(change(450, 0).drops_by_more_than(99));
    assert!(!change(450, 0).drops_by_more_than(100));
}

/// Two rises of 1.9 within a day are one of 3.61.
///
/// Requirement: TH-salami
#[test]
fn a_rise_is_judged_by_the_lowest_total_of_24_hours() {
    let mut totals = TotalsInForce::new();
    totals.committed(Drug::Baclofen, mcg(100), at(0));
    totals.committed(Drug::Baclofen, mcg(190), at(6_000));
    let next = totals.change_to(Drug::Baclofen, mcg(361), at(6_000 + 1_439));
    assert!(next.rise().rises_by_more_than(100));
    assert_eq!(next.rise().old(), mcg(100));
    assert_eq!(next.shown().old(), mcg(190));
    assert_eq!(next.to(), mcg(361));
    // The lower one ended 24 hours ago: it no longer counts.
    let later = totals.change_to(Drug::Baclofen, mcg(361), at(6_000 + 1_440));
    assert_eq!(later.rise().old(), mcg(190));
    assert!(!later.rise().rises_by_more_than(100));
}

/// Requirement: TH-drop
#[test]
fn a_drop_is_judged_by_the_highest_total_of_24_hours() {
    let mut totals = TotalsInForce::new();
    totals.committed(Drug::Clonidine, mcg(100), at(0));
    totals.committed(Drug::Clonidine, mcg(81), at(10));
    let next = totals.change_to(Drug::Clonidine, mcg(66), at(20));
    assert!(!next.shown().drops_by_more_than(20));
    assert!(next.drop().drops_by_more_than(20));
    assert_eq!(next.drop().old(), mcg(100));
    let later = totals.change_to(Drug::Clonidine, mcg(66), at(10 + 1_440));
    assert!(!later.drop().drops_by_more_than(20));
}

#[test]
fn after_a_stop_the_last_total_of_that_drug_counts_however_long_ago() {
    let mut totals = TotalsInForce::new();
    let new = totals.change_to(Drug::Morphine, mcg(500), at(0));
    assert!(new.rise().is_new_start() && new.drop().is_new_start());
    assert_eq!(new.since_rise(), None);
    totals.committed(Drug::Morphine, mcg(500), at(0));
    totals.committed(Drug::Morphine, Mass::ZERO, at(100));
    totals.committed(Drug::Hydromorphone, mcg(80), at(100));
    assert!(
        totals
            .change_to(Drug::Baclofen, mcg(50), at(100))
            .rise()
            .is_new_start()
    );
    for minutes in [101, 100 + 1_440, 1_000_000] {
        let back = totals.change_to(Drug::Morphine, mcg(1_001), at(minutes));
        assert_eq!(back.rise().old(), mcg(500));
        assert_eq!(back.drop().old(), mcg(500));
        assert!(back.rise().rises_by_more_than(100));
        let other = totals.change_to(Drug::Hydromorphone, mcg(160), at(minutes));
        assert_eq!(other.rise().old(), mcg(80));
    }
}

#[test]
fn only_a_rise_starts_the_time_between_rises() {
    let mut totals = TotalsInForce::new();
    totals.committed(Drug::Baclofen, mcg(100), at(0));
    totals.committed(Drug::Baclofen, mcg(90), at(10));
    totals.committed(Drug::Baclofen, Mass::ZERO, at(20));
    totals.committed(Drug::Baclofen, mcg(90), at(30));
    let since = |total, minutes| {
        totals
            .change_to(Drug::Baclofen, mcg(total), at(minutes))
            .since_rise()
    };
    assert_eq!(
        since(91, 60),
        Some(Duration::from_hours(1)),
        "from the start"
    );
    assert_eq!(since(90, 60), None, "no rise");
    assert_eq!(since(80, 60), None, "a drop");
    totals.committed(Drug::Baclofen, mcg(91), at(60));
    let next = totals.change_to(Drug::Baclofen, mcg(92), at(90));
    assert_eq!(next.since_rise(), Some(Duration::from_minutes(30)));
}

#[test]
fn a_commit_of_the_same_total_takes_no_room() {
    let mut totals = TotalsInForce::new();
    totals.committed(Drug::Baclofen, mcg(100), at(0));
    let before = totals.clone();
    totals.committed(Drug::Baclofen, mcg(100), at(700));
    assert_eq!(totals, before);
}

/// Nine totals of eight drugs: two of one drug become one; nine drugs there are not.
#[test]
fn when_there_is_no_room_two_become_one_as_low_and_as_high_as_both() {
    let mut totals = TotalsInForce::new();
    for (minutes, drug) in (0..).zip(Drug::ALL) {
        totals.committed(drug, mcg(100), at(minutes));
    }
    totals.committed(Drug::Ziconotide, mcg(300), at(20));
    assert_eq!(totals.in_force.len(), KEPT);
    let next = totals.change_to(Drug::Ziconotide, mcg(250), at(5_000));
    assert_eq!(next.rise().old(), mcg(100));
    assert_eq!(next.drop().old(), mcg(300));
    assert_eq!(next.shown().old(), mcg(300));
    // Every other drug is still known for itself.
    let next = totals.change_to(Drug::Morphine, mcg(100), at(21));
    assert_eq!(next.rise().old(), mcg(100));
}

#[test]
fn eight_totals_within_a_day_are_kept_apart_and_of_the_ninth_the_oldest_two_are_joined() {
    let mut totals = TotalsInForce::new();
    for minutes in 0..8 {
        totals.committed(Drug::Baclofen, mcg(100 + minutes), at(minutes));
    }
    // The first ended at minute 1.
    let lowest = |totals: &TotalsInForce, minutes| {
        let change = totals.change_to(Drug::Baclofen, mcg(100), at(minutes));
        change.rise().old()
    };
    assert_eq!(lowest(&totals, 1_440), mcg(100));
    assert_eq!(lowest(&totals, 1_441), mcg(101));
    totals.committed(Drug::Baclofen, mcg(108), at(8));
    // The joined one ended at minute 2, as low as the first.
    assert_eq!(totals.in_force.len(), KEPT);
    assert_eq!(lowest(&totals, 1_441), mcg(100));
    assert_eq!(lowest(&totals, 1_442), mcg(102));
    // And once more: as low as the first and as high as the third, until minute 3, when the third ended.
    totals.committed(Drug::Baclofen, mcg(99), at(9));
    let joined = totals.in_force.first().unwrap();
    assert_eq!((joined.lowest, joined.highest()), (mcg(100), mcg(102)));
    assert_eq!(joined.until, Some(at(3)));
    let mut alone = totals.clone();
    alone.in_force.truncate(1);
    assert_eq!(lowest(&alone, 1_442), mcg(100));
    assert_eq!(lowest(&alone, 1_443), mcg(99), "the last one");
    // A commit makes room.
    totals.committed(Drug::Baclofen, mcg(109), at(1_442));
    assert_eq!(totals.in_force.len(), 8);
    totals.committed(Drug::Baclofen, mcg(110), at(1_442 + 1_440));
    assert_eq!(totals.in_force.len(), 2);
}

#[test]
fn what_is_kept_fits_into_a_record() {
    let mut totals = TotalsInForce::new();
    // 40 mg, the highest daily limit there is, and a thousand years of powered time.
    let most = Mass::from_nanograms(40_000_000);
    let years = |part: u64| PoweredTime::from_micros(31_557_600_000_000_000 + part);
    for (part, drug) in (0..).zip(Drug::ALL) {
        totals.committed(drug, Mass::from_nanograms(1), years(part));
        totals.committed(drug, most, years(part));
    }
    let mut buffer = [0; 400];
    let bytes = postcard::to_slice(&totals, &mut buffer).unwrap();
    assert_eq!(bytes.len(), 353);
    assert_eq!(postcard::from_bytes(bytes), Ok(totals));
}

/// Without bounds on memory: every total with its beginning and end.
#[derive(Default)]
struct Oracle {
    commits: List<(u64, Drug, Mass)>,
}

impl Oracle {
    /// Lowest and highest total of a drug in force in (now - 24 h, now], else the last one.
    fn range(&self, drug: Drug, now: u64) -> (Mass, Mass) {
        let ends = self
            .commits
            .iter()
            .skip(1)
            .map(|(at, ..)| *at)
            .chain([u64::MAX]);
        let totals: List<Mass> = self
            .commits
            .iter()
            .zip(ends)
            .filter(|((_, of, total), end)| {
                *of == drug && *total != Mass::ZERO && end.saturating_add(1_440) > now
            })
            .map(|((_, _, total), _)| *total)
            .collect();
        let last = self
            .commits
            .iter()
            .rev()
            .find(|(_, of, total)| *of == drug && *total != Mass::ZERO)
            .map_or(Mass::ZERO, |(_, _, total)| *total);
        (
            totals.iter().copied().min().unwrap_or(last),
            totals.iter().copied().max().unwrap_or(last),
        )
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// With few commits a day the bounded memory knows what the unbounded one knows; with many it asks more, never less. And
    /// whoever commits only what is not found to more than double never more than doubles anything within 24 hours.
    ///
    /// Requirement: TH-salami
    #[test]
    fn many_small_rises_are_one_large_one(
        steps in proptest::collection::vec((0_u64..700, 0_usize..4, 0_u64..6, 1_u64..250), 1..60),
        pace in 1_u64..40,
    ) {
        let (mut totals, mut oracle) = (TotalsInForce::new(), Oracle::default());
        let mut now = 0;
        let mut last = mcg(100);
        for (pause, drug, stop, percent) in steps {
            now += pause / pace;
            // Mostly one drug.
            let drug = if drug == 0 { Drug::Clonidine } else { Drug::Morphine };
            let total = if stop == 0 {
                Mass::ZERO
            } else {
                Mass::from_nanograms((last.nanograms_rounded_down() * percent / 100).clamp(1, 1 << 40))
            };
            let change = totals.change_to(drug, total, at(now));
            let (lowest, highest) = oracle.range(drug, now);
            prop_assert!(change.rise().old() <= lowest);
            prop_assert!(change.drop().old() >= highest);
            prop_assert_eq!(lowest == Mass::ZERO, change.rise().is_new_start());
            // Nothing was joined: exactly the same.
            if totals.in_force.iter().all(|kept| kept.spread == Mass::ZERO) {
                prop_assert_eq!((change.rise().old(), change.drop().old()), (lowest, highest));
            }
            if change.rise().rises_by_more_than(100) {
                continue;
            }
            if lowest != Mass::ZERO {
                prop_assert!(total <= lowest.checked_mul(2).unwrap());
            }
            totals.committed(drug, total, at(now));
            oracle.commits.push((now, drug, total));
            if total != Mass::ZERO {
                last = total;
            }
        }
    }

    #[test]
    fn comparisons_are_those_of_big_integers(
        old in any::<u128>(), new in any::<u128>(), shifts in (0_u32..128, 0_u32..128), percent in 0_u32..300,
    ) {
        let (old, new) = (old >> shifts.0, new >> shifts.1);
        let change = PercentChange::new(Mass::from_zeptograms(old), Mass::from_zeptograms(new));
        let (hundredfold, old_big) = (BigUint::from(new) * 100_u32, BigUint::from(old));
        prop_assert_eq!(change.rises_by_more_than(percent), old != 0 && hundredfold > &old_big * (100 + percent));
        let percent = percent % 101;
        prop_assert_eq!(change.drops_by_more_than(percent), hundredfold < old_big * (100 - percent));
    }
}
