#![allow(clippy::arithmetic_side_effects)]

use std::string::ToString;

use proptest::prelude::*;
use units::{Drug, FlowRate, PumpTime, StepVolume};

use super::*;
use crate::accumulator::Accumulator;
use crate::path::Solution;

const BOUNDS: Bounds = Bounds::PROGRAMMABLE_IMPLANT;
const IMPLANT: PumpKind = PumpKind::ProgrammableImplant;

fn solution(drug: Drug, concentration: &str) -> Content {
    Content::Solution(Solution::of(drug, concentration.parse().unwrap()).unwrap())
}

fn morphine(concentration: &str) -> Content {
    solution(Drug::Morphine, concentration)
}

/// The reference case: 0.3182 mL of a content from reservoir to tip.
fn path(content: Content) -> Path {
    Path::new("0.3182 mL".parse().unwrap(), &[], content).unwrap()
}

fn flow(text: &str) -> Flow {
    text.parse::<FlowRate>().unwrap().flow()
}

fn dose(text: &str) -> DoseRate {
    text.parse().unwrap()
}

fn plan(old: &str, new: &str, dose: &str) -> Result<Bridge, BridgeRefusal> {
    let new = morphine(new);
    Bridge::plan(
        &path(morphine(old)),
        &new,
        dose.parse().unwrap(),
        &BOUNDS,
        IMPLANT,
    )
}

/// To the whole second, as a person would say it.
fn said(duration: Duration) -> std::string::String {
    let seconds = (duration.micros() + 500_000) / 1_000_000;
    std::format!(
        "{} h {} min {} s",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// Clinical reference, 2.3: 10 to 20 mg/mL at 2.5 mg/day.
///
/// Requirement: AC-13, CALC-3
#[test]
fn a_stronger_solution_gives_the_worked_example() {
    let bridge = plan("10 mg/mL", "20 mg/mL", "2.5 mg/day").unwrap();
    assert_eq!(bridge.flow(), flow("0.25 mL/day"));
    assert_eq!(said(bridge.duration()), "30 h 32 min 50 s");
    assert_eq!(bridge.duration(), Duration::from_micros(109_969_920_000));
    let old = "10 mg/mL".parse().unwrap();
    assert_eq!(bridge.mass(old).to_string(), "3.182 mg");
    assert_eq!(bridge.volume().to_string(), "0.3182 mL");
    assert_eq!(bridge.until_end(), bridge.volume());
    assert_eq!(bridge.target().dose(), dose("2.5 mg/day"));

    // No bridge: 1.25 mg/day (50 %) for 2.5456 days.
    let program = dose("2.5 mg/day").flow("20 mg/mL".parse().unwrap());
    let unbridged = Unbridged::of(&path(morphine("10 mg/mL")), program).unwrap();
    assert_eq!(unbridged.per_day.to_string(), "1.25 mg");
    assert_eq!(unbridged.percent_of(dose("2.5 mg/day").amount()), Some(50));
    assert_eq!(
        unbridged.duration,
        Duration::from_micros(25_456 * 8_640_000)
    );
    assert_eq!(unbridged.percent_of(Mass::ZERO), None);
    let third = dose("1.875 mg/day").amount();
    assert_eq!(unbridged.percent_of(third), Some(67), "66.7 %");
}

/// Clinical reference, 2.3: 20 to 10 mg/mL at 2.5 mg/day. The deadly direction.
///
/// Requirement: AC-13, CALC-3
#[test]
fn a_weaker_solution_gives_the_worked_example() {
    let bridge = plan("20 mg/mL", "10 mg/mL", "2.5 mg/day").unwrap();
    assert_eq!(bridge.flow(), flow("0.125 mL/day"));
    assert_eq!(said(bridge.duration()), "61 h 5 min 40 s");
    assert_eq!(bridge.duration(), Duration::from_micros(25_456 * 8_640_000));

    // No bridge: 5.0 mg/day (200 %) for 30.55 h.
    let program = dose("2.5 mg/day").flow("10 mg/mL".parse().unwrap());
    let unbridged = Unbridged::of(&path(morphine("20 mg/mL")), program).unwrap();
    assert_eq!(unbridged.per_day.to_string(), "5 mg");
    assert_eq!(unbridged.percent_of(dose("2.5 mg/day").amount()), Some(200));
    assert_eq!(said(unbridged.duration), "30 h 32 min 50 s");
}

/// Requirement: AC-13
#[test]
fn a_bridge_is_needed_when_another_liquid_follows() {
    let ten = path(morphine("10 mg/mL"));
    let needed = |path: &Path, new: &Content| is_bridge_needed(path, new, IMPLANT);
    assert!(needed(&ten, &morphine("20 mg/mL")));
    assert!(needed(&ten, &solution(Drug::Baclofen, "10 mg/mL")));
    assert!(needed(&ten, &Content::Inert));
    assert!(!needed(&ten, &morphine("10 mg/mL")), "a dose alone");
    assert!(!needed(&path(Content::Inert), &morphine("10 mg/mL")));
    let new = morphine("20 mg/mL");
    assert!(is_bridge_needed(&ten, &new, PumpKind::ExternalTrial));
    assert!(!is_bridge_needed(&ten, &new, PumpKind::ConstantRate));
    let mut changed = ten.clone();
    changed.change(new.clone(), None).unwrap();
    assert!(!needed(&changed, &morphine("5 mg/mL")), "none has entered");
    for refused in [
        plan("10 mg/mL", "10 mg/mL", "2.5 mg/day"),
        Bridge::plan(
            &ten,
            &new,
            dose("2.5 mg/day"),
            &BOUNDS,
            PumpKind::ConstantRate,
        ),
    ] {
        assert_eq!(refused, Err(BridgeRefusal::NotNeeded));
    }
}

/// Requirement: TH-bridge
#[test]
fn a_rate_outside_the_range_is_refused_with_the_dose_that_is_possible() {
    // 0.048 and 24 mL/day of 10 mg/mL.
    for allowed in ["0.48 mg/day", "240 mg/day", "20 mcg/h", "10 mg/h"] {
        assert!(plan("10 mg/mL", "20 mg/mL", allowed).is_ok(), "{allowed}");
    }
    for (refused, text) in [
        (
            "0.479999 mg/day",
            "the dose during the bridge needs about 0.047999 mL/day of the old solution, which this pump cannot deliver: 480 mcg/day to 240 mg/day is possible",
        ),
        (
            "240.000001 mg/day",
            "the dose during the bridge needs about 24.000001 mL/day of the old solution, which this pump cannot deliver: 480 mcg/day to 240 mg/day is possible",
        ),
        (
            "19.999 mcg/h",
            "the dose during the bridge needs about 0.047997 mL/day of the old solution, which this pump cannot deliver: 20 mcg/h to 10 mg/h is possible",
        ),
    ] {
        let refusal = plan("10 mg/mL", "20 mg/mL", refused).unwrap_err();
        assert_eq!(refusal.to_string(), text);
    }
}

#[test]
fn the_motor_limits_the_possible_dose() {
    let of = |step, maximum_step_rate_millihertz| {
        let bounds = Bounds {
            step_volume: StepVolume::new(step).unwrap(),
            maximum_step_rate_millihertz,
            ..BOUNDS
        };
        let (old, new) = (path(morphine("10 mg/mL")), morphine("20 mg/mL"));
        Bridge::plan(&old, &new, dose("240 mg/day"), &bounds, IMPLANT)
    };
    // 100 steps/s x 2 nL are 17.28 mL/day.
    let BridgeRefusal::FlowTooHigh { possible, .. } = of(2_000_000, 100_000).unwrap_err() else {
        panic!("another refusal");
    };
    assert_eq!(possible, Some((dose("480 mcg/day"), dose("172.8 mg/day"))));
    let refusal = of(2_000_000, 1).unwrap_err();
    assert!(
        refusal.to_string().ends_with("no dose is possible"),
        "{refusal}"
    );
}

#[test]
fn a_dose_is_whole_nanograms_and_not_zero() {
    for (refused, refusal) in [
        ("0 mg/day", BridgeRefusal::DoseZero),
        ("1.0000001 mcg/day", BridgeRefusal::DoseTooFine),
        ("10000.000001 mg/h", BridgeRefusal::DoseTooLarge),
    ] {
        assert_eq!(Target::new(dose(refused)), Err(refusal));
        assert!(!refusal.to_string().is_empty());
    }
    assert!(Target::new(dose("10000 mg/h")).is_ok());
    assert!(Target::new(dose("1 ng/day")).is_ok());
}

#[test]
fn a_stored_target_reads_back() {
    let read = |stored: u64| {
        let mut buffer = [0; 10];
        let bytes = postcard::to_slice(&stored, &mut buffer).unwrap();
        optional_target::deserialize(&mut postcard::Deserializer::from_bytes(bytes))
    };
    assert_eq!(read(0), Ok(None));
    for (stored, text) in [
        (2, "1 ng/h"),
        (3, "1 ng/day"),
        (20_000_000_000, "10000 mg/h"),
    ] {
        assert_eq!(read(stored), Ok(Some(Target::new(dose(text)).unwrap())));
    }
    assert!(read(1).is_err());
}

/// 24 mL/day at 1 ng/mL is 1 ng/h, and half a nanogram would be too little: one dose is possible.
#[test]
fn one_possible_dose_is_one() {
    let bounds = Bounds {
        lowest: "12.000001 mL/day".parse().unwrap(),
        ..BOUNDS
    };
    let concentration = Concentration::from_nanograms_per_millilitre(1).unwrap();
    let one = dose("1 ng/h");
    assert_eq!(
        possible_doses(concentration, Per::Hour, &bounds),
        Some((one, one))
    );
}

/// Two bridges in the path: each slug keeps its own dose, and the end is that of both.
///
/// Requirement: TH-bridge
#[test]
fn a_second_change_waits_behind_the_first() {
    let mut path = path(morphine("10 mg/mL"));
    let first = plan("10 mg/mL", "20 mg/mL", "2.5 mg/day").unwrap();
    path.change(morphine("20 mg/mL"), Some(first.target()))
        .unwrap();
    path.advance("0.1182 mL".parse().unwrap());
    let baclofen = solution(Drug::Baclofen, "2 mg/mL");
    let second = Bridge::plan(&path, &baclofen, dose("5 mg/day"), &BOUNDS, IMPLANT).unwrap();
    assert_eq!(second.flow(), flow("0.25 mL/day"));
    assert_eq!(second.volume().to_string(), "0.1182 mL");
    assert_eq!(second.until_end().to_string(), "0.3182 mL");
    path.change(baclofen.clone(), Some(second.target()))
        .unwrap();
    assert_eq!(path.bridge_time_left(), Some(second.duration()));

    // Less of the one in force, while the other stays.
    let less = Bridge::retarget(&path, dose("1.25 mg/day"), &BOUNDS).unwrap();
    assert_eq!(less.volume().to_string(), "0.2 mL");
    path.set_target(less.target()).unwrap();
    let flows: std::vec::Vec<_> = path
        .passages(Flow::ZERO)
        .map(|passage| passage.flow)
        .collect();
    assert_eq!(flows, [flow("0.125 mL/day"), flow("0.25 mL/day")]);
    assert!(matches!(
        Bridge::retarget(&path, dose("1 mcg/day"), &BOUNDS),
        Err(BridgeRefusal::FlowTooLow { .. })
    ));
    path.advance("0.3182 mL".parse().unwrap());
    assert_eq!(
        Bridge::retarget(&path, dose("1 mg/day"), &BOUNDS),
        Err(BridgeRefusal::Path(PathRefusal::NoBridge))
    );
}

#[test]
fn a_change_too_many_is_refused_by_the_plan() {
    let mut path = path(morphine("1 mg/mL"));
    for concentration in ["2 mg/mL", "3 mg/mL", "4 mg/mL", "5 mg/mL"] {
        path.change(morphine(concentration), None).unwrap();
        path.advance("0.01 mL".parse().unwrap());
    }
    let new = morphine("6 mg/mL");
    let refusal = Bridge::plan(&path, &new, dose("5 mg/day"), &BOUNDS, IMPLANT).unwrap_err();
    assert!(matches!(
        refusal,
        BridgeRefusal::Path(PathRefusal::TooManyChanges { .. })
    ));
    assert!(refusal.to_string().starts_with("too many changes"));
}

/// Requirement: TH-bridge
#[test]
fn a_bridge_and_seven_days_should_be_in_the_reservoir() {
    let bridge = plan("10 mg/mL", "20 mg/mL", "2.5 mg/day").unwrap();
    let program = flow("0.125 mL/day");
    // 0.3182 mL + 7 x 0.125 mL.
    assert!(!bridge.exceeds("1.1932 mL".parse().unwrap(), program));
    assert!(bridge.exceeds("1.193199999999 mL".parse().unwrap(), program));
    assert!(bridge.exceeds("0.3181 mL".parse().unwrap(), Flow::ZERO));
    assert!(!bridge.exceeds("0.3182 mL".parse().unwrap(), Flow::ZERO));
}

/// Requirement: TH-bridge-queue-lost
#[test]
fn a_lost_queue_gives_the_lower_flow() {
    let (low, high) = (flow("0.125 mL/day"), flow("0.25 mL/day"));
    assert_eq!(flow_when_lost(low, high), low);
    assert_eq!(flow_when_lost(high, low), low);
}

/// A pump in a simulated patient. What is at the tip is worked out here again from the volume delivered, not asked of the path.
struct Simulation {
    old: u32,
    new: u32,
    path_volume: u64,
    step: StepVolume,
    path: Path,
    program: Flow,
    delivered: u64,
    now: PumpTime,
}

impl Simulation {
    /// Makes steps at the flow in force, and gives the mass that left the tip.
    fn run(&mut self, steps: u64) -> u128 {
        let flow = self.path.bridge_flow().unwrap_or(self.program);
        let steps = self
            .path
            .steps_until_change(self.step)
            .map_or(steps, |most| steps.min(most));
        let volume = self.step.volume_of(steps).unwrap();
        let dose = self.path.advance(volume).of(Drug::Morphine).zeptograms();
        self.now = Accumulator::new(flow, self.step, self.now)
            .time_of_step(steps)
            .unwrap();
        let end = self.delivered + volume.femtolitres();
        let old = end.min(self.path_volume) - self.delivered.min(self.path_volume);
        let new = volume.femtolitres() - old;
        self.delivered = end;
        let mass = u128::from(old) * u128::from(self.old) + u128::from(new) * u128::from(self.new);
        assert_eq!(dose, mass, "the path says what left the tip");
        mass
    }

    fn reset(&mut self) {
        let mut buffer = [0; 160];
        let bytes = postcard::to_slice(&self.path, &mut buffer).unwrap();
        self.path = postcard::from_bytes(bytes).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Whole motor steps in plug flow: over any 1,000 steps (2.5 uL) the tip gives the dose within 2 %, through the bridge, over the
    /// switch and beyond it; the switch comes with the step that crosses the border; resets change nothing.
    ///
    /// Requirement: AC-13
    #[test]
    fn the_tip_gives_the_dose_through_the_whole_bridge(
        old in 500_000_u32..=10_000_000, new in 500_000_u32..=10_000_000, share in 0_u64..=1_000_000,
        path_volume in 10_000_000_000_u64..=600_000_000_000, step in 2_250_000_u32..=2_750_000,
        chunks in prop::collection::vec((1_u64..=2_000, 0_u8..8), 16), single in 0_u8..20,
    ) {
        prop_assume!(old != new);
        // Every dose that both solutions can carry: 0.048 mL/day of the stronger to 24 mL/day of the weaker, in nanograms.
        let lowest = u64::from(old.max(new)).div_ceil(125) * 6;
        let highest = u64::from(old.min(new)) * 24;
        let nanograms = lowest + (highest - lowest) * share / 1_000_000;
        let dose = DoseRate::new(Mass::from_nanograms(nanograms), Per::Day);
        let concentration = |value| Concentration::from_nanograms_per_millilitre(value).unwrap();
        let content = |value| Content::Solution(Solution::of(Drug::Morphine, concentration(value)).unwrap());
        let step = StepVolume::new(step).unwrap();
        let bounds = Bounds { step_volume: step, ..BOUNDS };
        // Every twentieth path is small, and goes step by step.
        let (path_volume, most) = if single == 0 { (path_volume / 50, 1) } else { (path_volume, u64::MAX) };

        let mut path = Path::new(Volume::from_femtolitres(path_volume), &[], content(old)).unwrap();
        let bridge = Bridge::plan(&path, &content(new), dose, &bounds, IMPLANT).unwrap();
        path.change(content(new), Some(bridge.target())).unwrap();
        prop_assert!(path.is_bridging());
        let program = dose.flow(concentration(new));
        let mut pump = Simulation { old, new, path_volume, step, path, program, delivered: 0, now: PumpTime::ZERO };

        let (mut mass, mut since, mut steps) = (0_u128, pump.now, 0_u64);
        let mut after = 0;
        for &(chunk, reset) in chunks.iter().cycle() {
            let bridging = pump.path.is_bridging();
            prop_assert_eq!(bridging, pump.delivered < path_volume);
            if bridging {
                prop_assert_eq!(pump.path.bridge_flow(), Some(bridge.flow()));
            }
            let before = pump.delivered;
            mass += pump.run(chunk.min(most));
            steps += (pump.delivered - before) / u64::from(step.femtolitres());
            if bridging && !pump.path.is_bridging() {
                prop_assert!(pump.delivered >= path_volume && pump.delivered < path_volume + u64::from(step.femtolitres()));
                // At most a microsecond for every row of steps.
                let took = bridge.duration().micros();
                let more = pump.now.micros() - took;
                let a_step = bridge.flow().time_for(step.volume()).unwrap().micros();
                prop_assert!(more <= a_step + path_volume / u64::from(step.femtolitres()) + 2);
            }
            if reset == 0 {
                pump.reset();
            }
            if steps >= 1_000 {
                let intended = u128::from(nanograms) * NANOGRAM * u128::from(pump.now.micros() - since.micros());
                let given = mass * 86_400_000_000;
                prop_assert!(given.abs_diff(intended) * 50 <= intended, "{given} for {intended}");
                (mass, since, steps) = (0, pump.now, 0);
                if !pump.path.is_bridging() {
                    after += 1;
                }
            }
            if after == 3 {
                break;
            }
        }
    }

    /// The doses said to be possible are, and one nanogram less or more is not.
    #[test]
    fn the_possible_doses_are_the_limits(
        old in 1_000_u32..=250_000_000, hourly in any::<bool>(), step in 1_000_000_u32..=2_750_000, rate in 1_000_u32..=200_000,
    ) {
        let per = if hourly { Per::Hour } else { Per::Day };
        let bounds = Bounds { step_volume: StepVolume::new(step).unwrap(), maximum_step_rate_millihertz: rate, ..BOUNDS };
        let concentration = Concentration::from_nanograms_per_millilitre(old).unwrap();
        let possible = |nanograms: u64| {
            let dose = DoseRate::new(Mass::from_nanograms(nanograms), per);
            checked_target(dose, concentration, &bounds).is_ok()
        };
        if let Some((lowest, highest)) = possible_doses(concentration, per, &bounds) {
            let (lowest, highest) = (lowest.amount().nanograms_exact().unwrap(), highest.amount().nanograms_exact().unwrap());
            prop_assert!(possible(lowest) && possible(highest));
            prop_assert!(!possible(lowest - 1) && !possible(highest + 1));
        }
    }
}
