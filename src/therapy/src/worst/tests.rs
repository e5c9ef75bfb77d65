//! Worst cases against patients who press as soon as they may.
#![allow(clippy::arithmetic_side_effects)]

use std::string::ToString;
use std::vec;

use heapless::Vec;
use proptest::prelude::*;
use units::{Concentration, FlowRate, Per};

use super::*;
use crate::bounds::Bounds;
use crate::periodic::PeriodicDraft;
use crate::schedule::{WeekDraft, WeekStep};

fn allotment(per_day: u32, lockout: &str) -> Allotment {
    Allotment {
        volume: "0.025 mL".parse().unwrap(),
        duration: "10 min".parse().unwrap(),
        lockout: lockout.parse().unwrap(),
        per_day,
    }
}

fn continuous(rate: &str) -> BasalPlan<'static> {
    BasalPlan::Continuous(rate.parse::<FlowRate>().unwrap().flow())
}

/// Clinical reference, 2.12: 2.5 mg and four of 0.25 mg at 10 mg/mL are 3.5 mg, 0.35 mL.
#[test]
fn the_worked_example_to_the_digit() {
    let worst = worst_case(&continuous("0.25 mL/day"), Some(&allotment(4, "6 h"))).unwrap();
    assert_eq!(worst.one_day.to_string(), "0.35 mL");
    // 250 / 24 and one bolus.
    assert_eq!(worst.one_hour.to_string(), "0.035416666667 mL");
    let alone = worst_case(&continuous("0.25 mL/day"), None).unwrap();
    assert_eq!(
        (alone.one_day.to_string(), alone.one_hour.to_string()),
        ("0.25 mL".to_string(), "0.010416666667 mL".to_string())
    );
    let stopped = worst_case(&BasalPlan::Continuous(Flow::ZERO), None).unwrap();
    assert_eq!(
        (stopped.one_day, stopped.one_hour),
        (Volume::ZERO, Volume::ZERO)
    );
}

/// Clinical reference, 2.12: a lockout of 6 h with four just fits; 8 h gives three.
#[test]
fn the_limit_that_binds_is_named() {
    for (per_day, lockout, most, binding) in [
        (4, "6 h", 4, Binding::Count),
        (4, "21600000001 us", 4, Binding::Lockout),
        (4, "7 h", 4, Binding::Lockout),
        (4, "28799999999 us", 4, Binding::Lockout),
        (4, "8 h", 3, Binding::Lockout),
        (4, "5 h", 4, Binding::Count),
        (1, "24 h", 1, Binding::Count),
        (1, "48 h", 1, Binding::Lockout),
        (0, "6 h", 0, Binding::Count),
        (3, "0 h", 3, Binding::Count),
        // A bolus of 10 min keeps the next one away for as long.
        (145, "1 min", 144, Binding::Lockout),
    ] {
        let allotment = allotment(per_day, lockout);
        assert_eq!(
            (allotment.most_in_a_day(), allotment.binding()),
            (most, binding),
            "{per_day} every {lockout}"
        );
        let day = worst_case(&continuous("0 mL/day"), Some(&allotment))
            .unwrap()
            .one_day;
        assert_eq!(day.femtolitres(), 25_000_000_000 * u64::from(most));
    }
}

#[test]
fn an_hour_holds_what_flows_in_it() {
    let hour = |per_day, lockout, duration: &str| {
        let allotment = Allotment {
            duration: duration.parse().unwrap(),
            ..allotment(per_day, lockout)
        };
        worst_case(&continuous("0 mL/day"), Some(&allotment))
            .unwrap()
            .one_hour
            .to_string()
    };
    assert_eq!(hour(4, "1 h", "10 min"), "0.025 mL");
    assert_eq!(hour(4, "55 min", "10 min"), "0.0375 mL");
    assert_eq!(hour(4, "30 min", "10 min"), "0.05 mL");
    assert_eq!(hour(4, "10 min", "10 min"), "0.1 mL");
    assert_eq!(hour(9, "10 min", "10 min"), "0.15 mL");
    assert_eq!(hour(4, "6 h", "2 h"), "0.0125 mL");
    // No time at all: all of them at once.
    assert_eq!(hour(4, "0 h", "0 h"), "0.1 mL");
}

/// Requirement: TH-interlock
#[test]
fn every_basal_part_counts_at_its_worst() {
    let bounds = Bounds::PROGRAMMABLE_IMPLANT;
    let solution: Concentration = "2 mg/mL".parse().unwrap();
    let step = |from_minute, dose_nanograms| WeekStep {
        from_minute,
        dose_nanograms,
    };
    let draft = WeekDraft {
        per: Per::Hour,
        days: [0; 7],
        steps: Vec::from_slice(&[step(0, 15_000), step(1_380, 40_000)]).unwrap(),
    };
    let week = Week::new(draft, solution, &bounds).unwrap();
    let worst = worst_case(&BasalPlan::Week(&week), Some(&allotment(4, "6 h"))).unwrap();
    // 23 x 15 + 40 are 385 mcg, 192.5 uL; 40 mcg are 20 uL.
    assert_eq!(
        (worst.one_day.to_string(), worst.one_hour.to_string()),
        ("0.2925 mL".to_string(), "0.045 mL".to_string())
    );
    let draft = PeriodicDraft {
        bolus: "50 mcg".parse().unwrap(),
        duration: "2 h".parse().unwrap(),
        interval: "23 h".parse().unwrap(),
        basal: None,
    };
    let periodic = Periodic::new(draft, solution, &bounds).unwrap();
    let worst = worst_case(&BasalPlan::Periodic(&periodic), None).unwrap();
    // Two start within 24 h and count whole, although only half of the second flows in them.
    assert_eq!(
        (worst.one_day.to_string(), worst.one_hour.to_string()),
        ("0.056 mL".to_string(), "0.01275 mL".to_string())
    );
    assert_eq!(
        periodic.largest_volume_in_window(DAY).unwrap().to_string(),
        "0.0435 mL"
    );
}

#[test]
fn what_cannot_be_held_is_none() {
    let large = Allotment {
        volume: Volume::MAX,
        ..allotment(2, "6 h")
    };
    assert_eq!(worst_case(&continuous("0 mL/day"), Some(&large)), None);
    let once = Allotment {
        per_day: 1,
        ..large
    };
    assert!(worst_case(&continuous("0 mL/day"), Some(&once)).is_some());
    assert_eq!(worst_case(&continuous("1 mL/day"), Some(&once)), None);
    let flood = BasalPlan::Continuous(FlowRate::new(Volume::MAX, Per::Hour).flow());
    assert_eq!(worst_case(&flood, None), None);
}

/// Requirement: TH-interlock
#[test]
fn the_interlock_allows_a_twentieth_and_20_steps_more() {
    let steps = |volume: &str| interlock_allowance(volume.parse().unwrap(), StepVolume::NOMINAL);
    assert_eq!(steps("0 mL"), Some(20));
    assert_eq!(steps("1 fL"), Some(21));
    assert_eq!(steps("2.5 nL"), Some(22));
    // 100,000 steps (2.10) and 5,000.
    assert_eq!(steps("0.25 mL"), Some(105_020));
    assert_eq!(steps("250000.000001 nL"), Some(105_021));
    assert_eq!(steps("24 mL"), Some(10_080_020));
    let finest = StepVolume::new(1).unwrap();
    let most = u64::from(u32::MAX - 20) * 20 / 21;
    assert_eq!(
        interlock_allowance(Volume::from_femtolitres(most), finest),
        Some(u32::MAX)
    );
    assert_eq!(
        interlock_allowance(Volume::from_femtolitres(most + 1), finest),
        None
    );
    assert_eq!(interlock_allowance(Volume::MAX, finest), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Somebody presses whenever they please, at least a lockout apart and so many in any rolling day: no window holds more.
    ///
    /// Requirement: TH-interlock
    #[test]
    fn no_patient_gets_more(
        per_day in 1_u32..8, lockout in 0_u64..500, duration in 1_u64..200, eager in any::<bool>(), waits in prop::collection::vec(0_u64..300, 12),
    ) {
        let allotment = Allotment {
            volume: Volume::from_femtolitres(duration * 1_000),
            duration: Duration::from_micros(duration * 60_000_000),
            lockout: Duration::from_micros(lockout * 60_000_000),
            per_day,
        };
        // Starts by the minute, as the rules let them, each minute of a bolus giving 1,000 fL.
        let (mut starts, mut now) = (vec![], 0_u64);
        for wait in waits {
            now += if eager { 0 } else { wait };
            let allowed = |at: u64| {
                let within = starts.iter().filter(|start| at - **start < 1_440).count();
                let clear = starts.last().is_none_or(|last: &u64| at - last >= lockout.max(duration));
                clear && within < usize::try_from(per_day).unwrap()
            };
            let at = (now..).find(|at| allowed(*at)).unwrap();
            starts.push(at);
            now = at;
        }
        let end = usize::try_from(now + duration).unwrap();
        let mut minutes = vec![0_u64; end];
        for start in &starts {
            let start = usize::try_from(*start).unwrap();
            minutes[start..start + usize::try_from(duration).unwrap()].fill(1_000);
        }
        let worst = worst_case(&BasalPlan::Continuous(Flow::ZERO), Some(&allotment)).unwrap();
        let sums: vec::Vec<u64> = std::iter::once(0).chain(minutes.iter().scan(0, |sum, minute| { *sum += minute; Some(*sum) })).collect();
        let most = |window: usize| (0..sums.len()).map(|end| sums[end] - sums[end.saturating_sub(window)]).max().unwrap();
        prop_assert!(most(60) <= worst.one_hour.femtolitres());
        prop_assert!(most(1_440) <= worst.one_day.femtolitres());
        let counted = starts.iter().map(|end| starts.iter().filter(|start| *start <= end && end - **start < 1_440).count()).max().unwrap();
        prop_assert!(counted <= usize::try_from(allotment.most_in_a_day()).unwrap());
        if eager {
            // Who never waits reaches the bounds.
            prop_assert_eq!(counted, usize::try_from(allotment.most_in_a_day()).unwrap());
            prop_assert_eq!(most(60), worst.one_hour.femtolitres());
        }
    }
}
