//! A pump that `thecal` alone has enrolled, brought to deliver; and what its patient may have of it.

use crate::desk::{Desk, error};
use serde_json::Value;

/// Baclofen with boluses for the patient.
const WITH_BOLUSES: &[&str] = &[
    "program",
    "--drug",
    "baclofen",
    "--concentration",
    "2 mg/mL",
    "--mode",
    "simple-continuous",
    "--dose",
    "250 mcg/day",
    "--patient-dose",
    "10 mcg",
    "--patient-duration",
    "5 min",
    "--patient-lockout",
    "4 h",
    "--patient-per-day",
    "4",
    "--fill",
    "20 mL",
    "--reason",
    "titration",
    "--yes",
];

pub const CLOCK: &[&str] = &["clock", "--reason", "procedure"];

pub const CATHETER: &[&str] = &[
    "catheter",
    "set",
    "--tubing",
    "0.1 mL",
    "--length",
    "45.5 cm",
    "--per-length",
    "0.0022 mL/cm",
];

fn counted(desk: &Desk) -> u64 {
    let status = desk.thecal(0, &["status"]);
    status["status"]["counted_steps"].as_u64().expect("steps")
}

#[test]
fn a_new_pump_is_brought_to_deliver_by_the_command_line_alone() {
    let desk = Desk::new();
    desk.enrol();
    let look_at = |desk: &Desk| desk.thecal(0, &["connect"])["look_at"].to_string();
    assert!(look_at(&desk).contains("clock: not set"));
    // Two hours at once want a reason.
    let refused = desk.thecal(1, &["clock"]);
    assert!(error(&refused).contains("UTC+02:00"), "{refused}");
    assert!(
        refused["next"].to_string().contains("--reason"),
        "{refused}"
    );
    let clock = desk.thecal(0, CLOCK);
    assert_eq!(clock["zone_min"], 120);
    assert!(clock["clock"]["known"].is_object(), "{clock}");
    assert!(!look_at(&desk).contains("clock: "));
    // Set again, it moves by less than what wants a reason, and the zone by nothing.
    desk.thecal(0, &["clock"]);
    let status = desk.thecal(0, &["status"]);
    assert_eq!(status["therapy"]["zone_min"], 120);

    // The factory has made it what it is.
    let again = desk.thecal(
        1,
        &[
            "commission",
            "programmable implant",
            "--step",
            "2.5 nL",
            "--capacity",
            "20 mL",
            "--yes",
        ],
    );
    assert_eq!(again["outcome"], "not done");

    assert_eq!(
        desk.thecal(0, &["catheter"])["path"]["path_nl"],
        Value::Null
    );
    let unconfirmed = desk.thecal(1, CATHETER);
    assert!(error(&unconfirmed).contains("--yes"), "{unconfirmed}");
    desk.thecal(0, &[CATHETER, &["--yes"]].concat());
    let path = desk.thecal(0, &["catheter", "show"]);
    // 0.1 mL and 45.5 cm of 2.2 uL.
    assert_eq!(path["path"]["path_nl"], 200_100, "{path}");

    desk.thecal(0, WITH_BOLUSES);
    let primed = desk.thecal(
        0,
        &["prime", "pump and catheter", "--aspirated", "yes", "--yes"],
    );
    assert_eq!(primed["prime_number"], 1, "{primed}");
    let status = desk.thecal(0, &["status"]);
    assert_eq!(status["therapy"]["last_number"], 1);
    assert!(status["therapy"]["job"].is_object(), "{status}");
    desk.thecal(0, &["bolus", "--cancel"]);

    // It delivers: 50,000 steps a day, faster than real.
    let before = counted(&desk);
    desk.simulation("POST /simulation", "{\"speed\": 1000}");
    crate::desk::until("nothing is delivered", || counted(&desk) > before);
    desk.simulation("POST /simulation", "{\"speed\": 1}");

    // A refill, and one in which nothing was changed.
    desk.thecal(0, &["refill", "open"]);
    let denied = desk.thecal(
        1,
        &["bolus", "--dose", "20 mcg", "--duration", "5 min", "--yes"],
    );
    assert!(error(&denied).contains("refill"), "{denied}");
    desk.thecal(0, &["refill", "close"]);
    desk.thecal(0, &["refill", "open"]);
    desk.thecal(0, &["refill", "aspirated", "19 mL"]);
    let filled = desk.thecal(0, &["program", "--change", "--fill", "19 mL", "--yes"]);
    assert_eq!(filled["program_number"], 2, "{filled}");
    let status = desk.thecal(0, &["status"]);
    assert_eq!(status["therapy"]["refill_open_s"], Value::Null);
}

#[test]
fn a_patient_has_the_boluses_that_are_allotted_and_no_more() {
    let desk = Desk::new();
    desk.enrol();
    desk.thecal(0, CLOCK);
    desk.thecal(0, WITH_BOLUSES);
    desk.thecal(0, &["keys", "grant", "patient", "--output", "patient.key"]);
    let own = |status: i32, arguments: &[&str]| {
        desk.thecal(status, &[arguments, &["--key", "patient.key"]].concat())
    };
    let status = own(0, &["status"]);
    assert_eq!(status["role"], "patient");
    let words = &status["words"]["therapy"]["patient_bolus"];
    assert!(
        words.as_str().expect("words").starts_with("0 of 4 taken"),
        "{words}"
    );
    // Whatever was given before, nobody knows: the first one is locked out as if it had followed another.
    let locked_at_first = own(1, &["bolus", "--yes"]);
    assert!(
        error(&locked_at_first).contains("possible in 4 h"),
        "{locked_at_first}"
    );
    desk.simulation("POST /simulation", "{\"speed\": 10000}");
    crate::desk::until("the first bolus is locked out for ever", || {
        own(0, &["status"])["therapy"]["bolus"]["next_in_s"] == 0
    });
    desk.simulation("POST /simulation", "{\"speed\": 1}");
    let given = own(0, &["bolus", "--yes"]);
    assert_eq!(given["bolus_number"], 1);
    assert_eq!(
        given["what"],
        "Give the patient bolus now: 10 mcg of baclofen over 5 min."
    );
    let status = own(0, &["status"]);
    assert_eq!(status["therapy"]["job"]["kind"], "PatientBolus", "{status}");
    // The next one is locked out, also when the patient ends this one.
    own(0, &["bolus", "--cancel"]);
    let locked = own(1, &["bolus", "--yes"]);
    assert!(
        error(&locked).starts_with("too soon after the last bolus: possible in "),
        "{locked}"
    );
    assert_eq!(own(0, &["status"])["therapy"]["last_number"], 1);
    // What is the clinician's stays the clinician's.
    for arguments in [
        WITH_BOLUSES,
        &[CATHETER, &["--yes"]].concat(),
        &["refill", "open"],
        &["prime", "pump only", "--aspirated", "no", "--yes"],
        &["clock"],
        &["minimum-rate", "--yes"],
        &["keys"],
        &["log", "--output", "export"],
    ] {
        let refused = own(1, arguments);
        assert!(
            error(&refused).contains("the role patient may not do that"),
            "{arguments:?}: {refused}"
        );
    }
}

#[test]
fn the_wallet_card_takes_a_pump_to_minimum_rate_with_presence_only() {
    let desk = Desk::new();
    desk.enrol();
    desk.thecal(0, WITH_BOLUSES);
    desk.thecal(0, &["keys", "grant", "emergency", "--output", "card.key"]);
    let with_card = ["minimum-rate", "--yes", "--key", "card.key"];
    let done = desk.thecal(0, &with_card);
    assert!(
        done["what"]
            .as_str()
            .expect("words")
            .contains("minimum rate")
    );
    let status = desk.thecal(0, &["status"]);
    assert_eq!(status["status"]["delivery"], "MinimumRate", "{status}");
}
