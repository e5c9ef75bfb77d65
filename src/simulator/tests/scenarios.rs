//! Scenarios from beginning to end: the shipped ones against their goldens, and what faults and power cuts leave true.

use simulator::report::Summary;
use simulator::run::{Outcome, Sample, run};
use simulator::scenario::Scenario;
use std::path::{Path, PathBuf};

/// `tests/` of the repository.
fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests")
}

fn play(scenario: &Scenario) -> Outcome {
    run(scenario, |_| {}).expect("a run")
}

fn summary(scenario: &Scenario, outcome: &Outcome) -> String {
    Summary::new(scenario, outcome)
        .and_then(|summary| summary.json())
        .expect("a summary")
}

/// Runs a shipped scenario, holds it to the golden, and looks at every sample.
fn golden(name: &str) {
    let scenario =
        Scenario::load(&tests().join(format!("scenarios/{name}.toml"))).expect("a scenario");
    assert_eq!(scenario.name, name);
    let outcome = play(&scenario);
    // A reset starts the steps anew from where the rotor is: each may cost one.
    let boots = i64::from(outcome.boots);
    for sample in &outcome.samples {
        assert!(behind(sample).abs() <= boots, "{sample:?}");
    }
    hold_to_golden(name, &summary(&scenario, &outcome));
}

/// Runs a shipped scenario that says itself what has to hold, and holds it to the golden.
fn expected(name: &str) {
    let scenario =
        Scenario::load(&tests().join(format!("scenarios/{name}.toml"))).expect("a scenario");
    assert_eq!(scenario.name, name);
    let outcome = play(&scenario);
    assert!(!outcome.judged.is_empty());
    let broken: Vec<String> = outcome
        .judged
        .iter()
        .filter(|judged| !judged.holds)
        .map(simulator::run::Judged::in_words)
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
    hold_to_golden(name, &summary(&scenario, &outcome));
}

fn hold_to_golden(name: &str, found: &str) {
    let path = tests().join(format!("golden/{name}.summary.json"));
    if std::env::var_os("THECAL_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).expect("the golden is written");
    }
    let kept = std::fs::read_to_string(&path).expect("a golden");
    assert_eq!(found, kept, "see docs/scenarios.md, \"Goldens\"");
}

/// Steps that the rotor has turned beyond the prescription.
fn behind(sample: &Sample) -> i64 {
    i64::try_from(sample.turned_steps).expect("small")
        - i64::try_from(sample.prescribed_steps).expect("small")
}

fn last(outcome: &Outcome) -> &Sample {
    outcome.samples.last().expect("samples")
}

/// A day or more of 0.25 mL/day (100,000 steps a day) with some events.
fn morphine(duration: &str, seed: u64, events: &str) -> Scenario {
    let text = format!(
        r#"name = "morphine"
title = "Morphine"
duration = "{duration}"
seed = {seed}
sample_interval = "1 h"
[pump]
kind = "programmable-implant"
[program]
drug = "morphine"
concentration = "10 mg/mL"
fill = "20 mL"
mode = "simple continuous"
dose = "2.5 mg/day"
{events}"#
    );
    Scenario::parse(Path::new("morphine.toml"), &text).expect("a scenario")
}

#[test]
fn baclofen_90_days() {
    golden("baclofen-90-days");
}

/// Resets with power and without: what the pump's log says of each, and that the totals hold the truth at every sample.
#[test]
fn resets_3_days() {
    let name = "resets-3-days";
    let scenario =
        Scenario::load(&tests().join(format!("scenarios/{name}.toml"))).expect("a scenario");
    let outcome = play(&scenario);
    for sample in &outcome.samples {
        let Some(pump) = &sample.pump else { continue };
        let turned = sample.turned_steps;
        let counted = u64::try_from(pump.counted_steps).expect("forward");
        assert!(
            counted <= turned && turned <= pump.at_most_steps,
            "{sample:?}"
        );
        // A reset with power leaves what was handed to the motor for the next minute in doubt, 36 steps and one; the loss of power
        // before the fifth boot 125 s, 74 steps and one.
        let resets = u64::from(pump.boot) - 1;
        let losses = u64::from(pump.boot >= 5);
        let doubt = 37 * (resets - losses) + 75 * losses + 1;
        assert!(pump.at_most_steps - counted <= doubt, "{sample:?}");
        assert_eq!(pump.deficit_steps, 0);
    }
    let boots: Vec<String> = outcome
        .log
        .iter()
        .filter_map(|entry| match &entry.record {
            Ok(pump::Record::Boot {
                cause,
                clock,
                totals,
                ..
            }) => {
                let clock = match clock {
                    units::Clock::Known { .. } => "known",
                    units::Clock::Suspect { .. } => "suspect",
                    units::Clock::Lost => "lost",
                };
                Some(format!("{cause:?} {totals:?} {clock}"))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        boots,
        [
            "PowerOn New lost",
            "Watchdog Retained known",
            "Fatal { reason: 4 } Retained known",
            "BrownOut Retained suspect",
            "PowerOn Checkpoint lost",
            "Software Retained known",
        ]
    );
    golden(name);
}

#[test]
fn morphine_30_days() {
    golden("morphine-30-days");
}

#[test]
fn lowest_rate_10_days() {
    golden("lowest-rate-10-days");
}

/// Rates follow the local time of the week, weekend apart.
#[test]
fn flex_week() {
    expected("flex-week");
}

/// A periodic bolus that falls due in a refill is missed and not made up for.
///
/// Requirement: TH-periodic
#[test]
fn periodic_bolus() {
    expected("periodic-bolus");
}

/// Lockout, number in 24 h, and a bolus that a reset ends for good.
#[test]
fn patient_boluses() {
    expected("patient-boluses");
}

/// A change of concentration is bridged, also over a reset.
///
/// Requirement: TH-bridge, AC-13
#[test]
fn bridge_10_to_20() {
    expected("bridge-10-to-20");
}

/// A discrepancy at a refill, and a refill that nobody confirms.
///
/// Requirement: TH-refill-not-confirmed
#[test]
fn refill_with_discrepancy() {
    expected("refill-with-discrepancy");
}

/// A stall in a scanner, and delivery that comes back.
///
/// Requirement: TH-mri, TH-no-catching-up
#[test]
fn stall_in_mri() {
    expected("stall-in-mri");
}

/// More counted than ordered stops the pump for good.
#[test]
fn over_delivery() {
    expected("over-delivery");
}

/// A trial that ends by itself.
///
/// Requirement: TH-trial-expiry
#[test]
fn external_trial() {
    expected("external-trial");
}

/// One rate, and no bolus.
///
/// Requirement: TH-kinds
#[test]
fn constant_rate() {
    expected("constant-rate");
}

/// Emergency minimum rate lasts over a reset until a program is committed.
///
/// Requirement: TH-emergency
#[test]
fn emergency() {
    expected("emergency");
}

/// The drug of a mixture whose limit is smaller binds.
///
/// Requirement: TH-mixture
#[test]
fn mixture() {
    expected("mixture");
}

/// A low battery is told for weeks before delivery ends.
///
/// Requirement: TH-service-life
#[test]
fn end_of_service() {
    expected("end-of-service");
}

#[test]
fn every_shipped_scenario_has_a_golden() {
    for entry in std::fs::read_dir(tests().join("scenarios")).expect("scenarios") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("a name")
            .to_owned();
        assert!(
            tests()
                .join(format!("golden/{name}.summary.json"))
                .is_file(),
            "{name}"
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_does_not() {
    let events = "[[event]]\nat = \"2 h\"\naction = \"slip\"\none_in = 10\n";
    let bytes = |seed| {
        let folder = tempfile::tempdir().expect("a folder");
        let scenario = morphine("1 day", seed, events);
        let report = folder.path().join("report");
        simulator::report::write(&report, &scenario, &play(&scenario)).expect("a report");
        [
            "events.jsonl",
            "delivery.csv",
            "summary.json",
            "report.html",
        ]
        .map(|name| std::fs::read_to_string(report.join(name)).expect("a file"))
    };
    assert_eq!(bytes(1), bytes(1));
    assert_ne!(bytes(1)[1], bytes(2)[1]);
}

#[test]
fn a_restart_keeps_the_program_and_leaves_an_honest_interval() {
    let scenario = morphine(
        "2 days",
        1,
        "[[event]]\nat = \"30 h\"\naction = \"restart\"\noff = \"6 h\"\n",
    );
    let outcome = play(&scenario);
    assert_eq!(outcome.boots, 2);
    for sample in &outcome.samples {
        // Every boot may lose its first step to the rotor's angle, and the second one starts within the boot's own milliseconds.
        assert!((-2..=1).contains(&behind(sample)), "{sample:?}");
        let Some(pump) = &sample.pump else { continue };
        assert_eq!(pump.program_number, 1);
        assert!(
            pump.counted_steps <= i64::try_from(sample.turned_steps).expect("small"),
            "{sample:?}"
        );
        assert!(pump.at_most_steps >= sample.turned_steps, "{sample:?}");
    }
    // 42 h with power, and none of what the other 6 h would have been.
    let end = last(&outcome);
    assert_eq!(end.prescribed_steps, 174_999);
    let pump = end.pump.as_ref().expect("power");
    assert_eq!(pump.delivery.text(), "running");
    // Lost: at most the minute since the last checkpoint, 69 steps; at most: the 125 s in which it may be superseded, 145 steps and two.
    let turned = i64::try_from(end.turned_steps).expect("small");
    assert!(
        (turned - 70..=turned).contains(&pump.counted_steps),
        "{end:?}"
    );
    assert!(
        (end.turned_steps..=end.turned_steps + 147).contains(&pump.at_most_steps),
        "{end:?}"
    );
    let off = outcome
        .samples
        .iter()
        .filter(|sample| sample.pump.is_none())
        .count();
    assert_eq!(off, 6);
}

#[test]
fn a_stall_leaves_the_count_behind_and_is_never_caught_up() {
    let events = "[[event]]\nat = \"6 h\"\naction = \"stall\"\n[[event]]\nat = \"12 h\"\naction = \"clear stall\"\n";
    let outcome = play(&morphine("1 day", 1, events));
    let end = last(&outcome);
    // A quarter of the day is missing, and at most ten minutes until the retry that finds the rotor turning again: 695 steps.
    assert!((-25_700..=-24_999).contains(&behind(end)), "{end:?}");
    let pump = end.pump.as_ref().expect("power");
    assert_eq!(
        pump.counted_steps,
        i64::try_from(end.turned_steps).expect("small")
    );
    // Steps of the stall and of the retries in it may have been made, as far as the pump can know.
    assert!(
        (end.turned_steps + 50..end.turned_steps + 2_000).contains(&pump.at_most_steps),
        "{end:?}"
    );
    assert!(
        pump.deficit_steps + end.turned_steps + 70 >= end.prescribed_steps,
        "{end:?}"
    );
    let told = |title: &str| {
        outcome.log.iter().any(|entry| {
            entry
                .record
                .as_ref()
                .is_ok_and(|record| pump::Record::title(record.kind()) == Some(title))
        })
    };
    assert!(told("motor stalled") && told("motor turns again"));
}

#[test]
fn a_new_program_takes_over_at_its_time_and_a_stop_stops() {
    let program = |dose: &str| {
        format!("program = {{ drug = \"morphine\", concentration = \"10 mg/mL\", {dose} }}\n")
    };
    let events = [
        "[[event]]\nat = \"6 h\"\n".to_owned(),
        program("mode = \"simple continuous\", dose = \"5 mg/day\", reason = \"titration\""),
        "[[event]]\nat = \"12 h\"\n".to_owned(),
        program("mode = \"stopped\""),
    ]
    .concat();
    let outcome = play(&morphine("1 day", 1, &events));
    let at = |hour: u64| {
        outcome
            .samples
            .iter()
            .find(|sample| sample.at.seconds_rounded_down() == hour * 3600)
            .expect("a sample")
    };
    for sample in &outcome.samples {
        assert!(behind(sample).abs() <= 2, "{sample:?}");
    }
    // 6 h at 100,000 steps a day, 6 h at 200,000, then nothing.
    assert!((24_998..=25_001).contains(&at(6).turned_steps));
    assert!((74_996..=75_001).contains(&at(12).turned_steps));
    assert_eq!(at(13).turned_steps, at(23).turned_steps);
    assert_eq!(
        last(&outcome).pump.as_ref().expect("power").program_number,
        3
    );
}

#[test]
fn dose_is_what_the_rotor_moved_of_what_was_in_the_reservoir() {
    // A bridge at the rate of before and after, so that the rotor goes on as it did.
    let events = r#"
[catheter]
tubing = "0.1 mL"
length_mm = 500
per_cm = "2200 nL"
[[event]]
at = "12 h"
program = { drug = "baclofen", concentration = "2 mg/mL", fill = "20 mL", mode = "simple continuous", dose = "500 mcg/day", bridge = "2.5 mg/day", reason = "drug change" }
"#;
    let outcome = play(&morphine("1 day", 1, events));
    let end = last(&outcome);
    let dose: Vec<String> = end
        .dose
        .iter()
        .map(|(drug, dose)| format!("{drug} {dose}"))
        .collect();
    // 0.25 mL/day all day: 50,000 steps of either, less what went in the first moments; 25 mcg and 5 mcg a 1000 steps.
    assert_eq!(dose, ["morphine 1.249975 mg", "baclofen 250 mcg"]);
}

#[test]
fn an_empty_reservoir_gives_nothing_and_the_pump_says_that_it_is_empty() {
    let mut scenario = morphine("1 day", 1, "");
    scenario.program.program.fill = Some(protocol::Fill {
        volume_nl: 100_000,
        top_up: false,
    });
    let outcome = play(&scenario);
    let end = last(&outcome);
    assert_eq!(end.volume.to_string(), "0.1 mL");
    assert_eq!(
        end.dose.values().next().map(ToString::to_string).as_deref(),
        Some("1 mg")
    );
    let pump = end.pump.as_ref().expect("power");
    assert_eq!(pump.reservoir_fl, Some(0));
    assert_ne!(pump.faults & protocol::status::fault::EMPTY, 0);
}
