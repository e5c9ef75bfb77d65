//! Every way in which a scenario can be wrong is refused, with the file, the line, the field, the value and what is allowed.

use simulator::scenario::Scenario;
use std::path::Path;

const GOOD: &str = r#"name = "good"
title = "Good"
duration = "10 days"

[pump]
kind = "programmable-implant"

[program]
drug = "baclofen"
concentration = "2 mg/mL"
fill = "20 mL"
mode = "simple continuous"
dose = "250 mcg/day"
"#;

fn error(text: &str) -> String {
    match Scenario::parse(Path::new("bad.toml"), text) {
        Ok(scenario) => panic!("taken: {scenario:?}"),
        Err(error) => error.to_string(),
    }
}

/// The good scenario with one part replaced.
fn changed(from: &str, to: &str) -> String {
    assert_eq!(GOOD.matches(from).count(), 1, "{from}");
    error(&GOOD.replacen(from, to, 1))
}

/// The good scenario with events.
fn with_event(event: &str) -> String {
    error(&format!("{GOOD}\n[[event]]\n{event}\n"))
}

fn is(found: String, expected: &str) {
    assert_eq!(found, format!("bad.toml, {expected}"));
}

#[test]
fn the_good_one_is_taken() {
    let scenario = Scenario::parse(Path::new("good.toml"), GOOD).expect("a good scenario");
    assert_eq!(scenario.seed, 1);
    assert_eq!(scenario.sample_interval.to_string(), "1 h");
}

#[test]
fn doses() {
    let dose = |dose: &str| changed("dose = \"250 mcg/day\"", dose);
    let units = "a dose rate is written with a number and ng/h, mcg/h, mg/h, ng/day, mcg/day or mg/day, such as 250 mcg/day";
    is(
        dose("dose = 250"),
        "line 13: program.dose: 250: expected a dose rate with its unit, such as \"250 mcg/day\"",
    );
    is(
        dose("dose = \"250\""),
        &format!("line 13: program.dose: \"250\": the unit is missing: {units}"),
    );
    is(
        dose("dose = \"250 mcg\""),
        &format!("line 13: program.dose: \"250 mcg\": the unit is that of a mass: {units}"),
    );
    is(
        dose("dose = \"250 ug/day\""),
        &format!(
            "line 13: program.dose: \"250 ug/day\": the unit is unknown (small and capital letters matter): {units}"
        ),
    );
    is(
        dose("dose = \"0.25 mL/day\""),
        &format!(
            "line 13: program.dose: \"0.25 mL/day\": the unit is that of a flow rate: {units}"
        ),
    );
    is(
        dose(""),
        "line 8: program.dose: missing; mode \"simple continuous\" needs a dose such as \"250 mcg/day\"",
    );
    is(
        dose("dose = \"0.0000001 ng/day\""),
        "line 13: program.dose: \"0.0000001 ng/day\": a pump takes a whole number of nanograms, less than 2^64",
    );
    is(
        dose("dosage = \"250 mcg/day\""),
        "line 13: program.dosage: unknown field, expected one of `drug`, `concentration`, `fill`, `mode`, `dose`, `reason`, `with`, `week`, `bolus`, `over`, `every`, `first_after`, `patient_bolus`, `bridge`, `top_up`, `low_mark`, `on_fault`",
    );
    is(
        dose("dose = \"10 mcg/day\""),
        "line 13: program.dose: \"10 mcg/day\": the pump refuses it: flow 0.005 mL/day is outside of what this pump allows: 0.048 mL/day to 24 mL/day",
    );
    is(
        dose("dose = \"90 mg/day\""),
        "line 13: program.dose: \"90 mg/day\": the pump refuses it: flow 45 mL/day is outside of what this pump allows: 0.048 mL/day to 24 mL/day",
    );
    assert!(dose("dose = \"0 mcg/day\"").starts_with(
        "bad.toml, line 13: program.dose: \"0 mcg/day\": the pump refuses it: dose 0 ng"
    ));
}

#[test]
fn drugs_concentrations_fills_and_modes() {
    is(
        changed("drug = \"baclofen\"", "drug = \"Baclofene\""),
        "line 9: program.drug: \"Baclofene\": expected one of `morphine`, `hydromorphone`, `fentanyl`, `sufentanil`, `bupivacaine`, `clonidine`, `ziconotide`, `baclofen`",
    );
    is(
        changed("drug = \"baclofen\"", ""),
        "line 8: program.drug: missing",
    );
    is(
        changed("concentration = \"2 mg/mL\"", ""),
        "line 8: program.concentration: missing",
    );
    is(
        changed("2 mg/mL", "2 mg"),
        "line 10: program.concentration: \"2 mg\": the unit is that of a mass: a concentration is written with a number and ng/mL, mcg/mL or mg/mL, such as 2 mg/mL",
    );
    is(
        changed("2 mg/mL", "0 mg/mL"),
        "line 10: program.concentration: \"0 mg/mL\": a concentration must be more than zero",
    );
    is(
        changed("20 mL", "21 mL"),
        "line 11: program.fill: \"21 mL\": not allowed; 0 mL to 20 mL",
    );
    is(
        changed("20 mL", "1 fL"),
        "line 11: program.fill: \"1 fL\": a pump takes a whole number of nanolitres, less than 2^32",
    );
    is(
        changed("\"simple continuous\"", "\"simple\""),
        "line 12: program.mode: \"simple\": expected one of `simple continuous`, `stopped`, `minimum rate`, `flex`, `periodic bolus`, `single bolus`",
    );
    is(
        changed("\"simple continuous\"", "\"stopped\""),
        "line 13: program.dose: \"250 mcg/day\": a stopped pump has no dose; leave it out",
    );
}

#[test]
fn pumps() {
    is(
        changed("[pump]", "[pmp]"),
        "line 5: pmp: unknown field, expected one of `name`, `title`, `description`, `duration`, `seed`, `sample_interval`, `time`, `zone`, `catheter`, `pump`, `program`, `event`, `expect`",
    );
    is(
        changed("programmable-implant", "external"),
        "line 6: pump.kind: \"external\": expected one of `programmable-implant`, `constant-rate`, `external-trial`",
    );
    let more = |more: &str| {
        changed(
            "\"programmable-implant\"",
            &format!("\"programmable-implant\"\n{more}"),
        )
    };
    is(
        more("step_volume = \"5 nL\""),
        "line 7: pump.step_volume: \"5 nL\": a step of 5000000 fL is no calibration of this kind of pump: 2250000 to 2750000 fL",
    );
    is(
        more("step_volume = \"0 nL\""),
        "line 7: pump.step_volume: \"0 nL\": a step volume must be more than zero",
    );
    is(
        more("capacity = \"60 mL\""),
        "line 7: pump.capacity: \"60 mL\": a reservoir of 60 mL is none of this kind of pump: 5 mL to 40 mL",
    );
    is(
        more("colour = \"blue\""),
        "line 7: pump.colour: unknown field, expected one of `kind`, `step_volume`, `capacity`, `rate`, `trial_days`",
    );
}

#[test]
fn the_head_of_the_file() {
    let duration = |duration: &str| changed("duration = \"10 days\"", duration);
    let units =
        "a duration is written with a number and us, ms, s, min, h or days, such as 90 days";
    is(
        duration("duration = \"10\""),
        &format!("line 3: duration: \"10\": the unit is missing: {units}"),
    );
    is(
        duration("duration = \"10 mL\""),
        &format!("line 3: duration: \"10 mL\": the unit is that of a volume: {units}"),
    );
    is(
        duration("duration = \"1 s\""),
        "line 3: duration: \"1 s\": not allowed; 1 min to 3660 days",
    );
    is(
        duration("duration = \"4000 days\""),
        "line 3: duration: \"4000 days\": not allowed; 1 min to 3660 days",
    );
    let more = |more: &str| duration(&format!("duration = \"10 days\"\n{more}"));
    is(
        more("seed = -1"),
        "line 4: seed: -1: expected a whole number from 0 to 9223372036854775807",
    );
    is(
        more("seed = 1.5"),
        "line 4: seed: 1.5: expected a whole number from 0 to 9223372036854775807",
    );
    is(
        more("sample_interval = \"1 s\""),
        "line 4: sample_interval: \"1 s\": gives 864000 samples in 10 days; at most 100000 are allowed",
    );
    is(
        more("sample_interval = \"11 days\""),
        "line 4: sample_interval: \"11 days\": not allowed; 1 s to 10 days",
    );
    let name = |name: &str| changed("name = \"good\"", name);
    let allowed = "1 to 64 lower-case letters, digits and hyphens, not beginning with a hyphen (it names the report's folder)";
    for bad in ["", "../escape", "-x", "a b", "Ä", "a/b", &"x".repeat(65)] {
        is(
            name(&format!("name = \"{bad}\"")),
            &format!("line 1: name: \"{bad}\": {allowed}"),
        );
    }
    is(name("name = 5"), "line 1: name: 5: expected a string");
    is(
        changed("title = \"Good\"", "title = \"\""),
        "line 2: title: \"\": 0 characters; 1 to 100 are allowed",
    );
    is(changed("title = \"Good\"\n", ""), "line 1: title: missing");
}

#[test]
fn events() {
    is(
        with_event("at = \"10 days\"\naction = \"stall\""),
        "line 16: event[0].at: \"10 days\": not before the scenario's end at 10 days",
    );
    is(
        with_event("at = \"1 day\"\naction = \"explode\""),
        "line 17: event[0].action: \"explode\": expected one of `restart`, `reset`, `set clock`, `stall`, `clear stall`, `slip`, `clear slip`, `reverse`, `lose pulses`, `runaway`, `jam`, `repair motor`, `battery`, `set zone`, `open refill`, `draw out`, `nothing changed`, `patient bolus`, `clinician bolus`, `cancel bolus`, `prime`, `acknowledge alarm`, `silence alarm`, `MRI mode`, `emergency minimum rate`, `extend trial`, `diary`",
    );
    is(
        with_event("action = \"stall\""),
        "line 15: event[0].at: missing",
    );
    is(
        with_event("at = \"1 day\""),
        "line 15: event[0]: an event has either a `program` or an `action`, and one of them",
    );
    is(
        with_event(
            "at = \"1 day\"\naction = \"stall\"\nprogram = { drug = \"morphine\", concentration = \"1 mg/mL\", mode = \"stopped\" }",
        ),
        "line 15: event[0]: an event has either a `program` or an `action`, and one of them",
    );
    is(
        with_event("at = \"1 day\"\naction = \"stall\"\noff = \"1 s\""),
        "line 18: event[0].off: \"1 s\": belongs to action \"restart\" only",
    );
    is(
        with_event("at = \"1 day\"\naction = \"stall\"\none_in = 3"),
        "line 18: event[0].one_in: 3: belongs to action \"slip\" only",
    );
    is(
        with_event("at = \"1 day\"\naction = \"slip\""),
        "line 15: event[0].one_in: missing; of action \"slip\": one step in so many slips",
    );
    is(
        with_event("at = \"1 day\"\naction = \"slip\"\none_in = 0"),
        "line 18: event[0].one_in: 0: not allowed; 1 to 4294967295",
    );
    is(
        with_event("at = \"1 day\"\naction = \"restart\"\noff = \"0 s\""),
        "line 18: event[0].off: \"0 s\": not allowed; 1 us to 365 days",
    );
    is(
        with_event("at = \"9 days\"\naction = \"restart\"\noff = \"2 days\""),
        "line 18: event[0].off: \"2 days\": the power would be off until 11 days, not before the scenario's end at 10 days",
    );
    for (event, reason) in [
        (
            "action = \"reset\"",
            "line 15: event[0].cause: missing; of action \"reset\": \"watchdog\", \"fatal error\", \"low supply\", \"external\" or \"software\"",
        ),
        (
            "action = \"stall\"\ncause = \"watchdog\"",
            "line 18: event[0].cause: \"watchdog\": belongs to action \"reset\" only",
        ),
        (
            "action = \"set clock\"",
            "line 15: event[0].time: missing; of action \"set clock\": a time of day such as \"2026-01-05T10:00:00Z\"",
        ),
        (
            "action = \"set clock\"\ntime = \"2026-01-05 10:00\"",
            "line 18: event[0].time: \"2026-01-05 10:00\": not a time of day that a pump can be set to; one from \"2020-01-01T00:00:00.000Z\" to before \"2100-01-01T00:00:00.000Z\", with a zone such as Z",
        ),
        (
            "action = \"set clock\"\ntime = \"2026-01-05T10:00:00Z\"\nuncertainty = \"31 min\"",
            "line 19: event[0].uncertainty: \"31 min\": not allowed; 0 s to 30 min",
        ),
    ] {
        is(with_event(&format!("at = \"1 day\"\n{event}")), reason);
    }
    is(
        with_event(
            "at = \"5 days\"\naction = \"stall\"\n\n[[event]]\nat = \"4 days\"\naction = \"clear stall\"",
        ),
        "line 20: event[1].at: \"4 days\": before the end of the event above it at 5 days; events stand in order of time",
    );
    is(
        with_event(
            "at = \"5 days\"\naction = \"restart\"\noff = \"1 h\"\n\n[[event]]\nat = \"5 days\"\naction = \"stall\"",
        ),
        "line 21: event[1].at: \"5 days\": before the end of the event above it at 121 h; events stand in order of time",
    );
    is(
        with_event(
            "at = \"1 day\"\nprogram = { drug = \"morphine\", concentration = \"1 mg\", mode = \"stopped\" }",
        ),
        "line 17: event[0].program.concentration: \"1 mg\": the unit is that of a mass: a concentration is written with a number and ng/mL, mcg/mL or mg/mL, such as 2 mg/mL",
    );
    is(
        with_event(
            "at = \"1 day\"\nprogram = { drug = \"morphine\", concentration = \"1 mg/mL\", mode = \"simple continuous\", dose = \"30 mg/h\" }",
        ),
        "line 17: event[0].program.dose: \"30 mg/h\": the pump refuses it: flow 720 mL/day is outside of what this pump allows: 0.048 mL/day to 24 mL/day",
    );
}

#[test]
fn what_is_no_toml() {
    assert!(error("name = \"x").starts_with("bad.toml, line 1: "));
    assert!(error("").contains("missing"));
    assert!(error("name = \"a\"\nname = \"b\"").starts_with("bad.toml, line 2: name: "));
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let load = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        let error = Scenario::load(&path).expect_err("an error").to_string();
        error
            .strip_prefix(&format!("{}: ", path.display()))
            .expect("names the file")
            .to_owned()
    };
    assert_eq!(
        load("latin1.toml", b"name = \"\xe4\""),
        "this is not text in UTF-8"
    );
    assert_eq!(
        load("huge.toml", &vec![b'#'; (1 << 20) + 1]),
        "1048577 bytes are too many for a scenario; at most 1048576"
    );
    let missing = Scenario::load(&folder.path().join("none.toml"))
        .expect_err("an error")
        .to_string();
    assert!(missing.contains("none.toml: No such file"), "{missing}");
}
