//! The fields of every command's JSON, as `tests/golden/command-line.json` has them: they are what other programs read.

use crate::BACLOFEN;
use crate::desk::Desk;
use crate::orders::{CATHETER, CLOCK};
use serde_json::{Map, Value, json};
use std::path::Path;

/// What kind of value each field has; of a list, each kind that is in it. Null is a kind: the field is there and has no value now.
fn kinds(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => json!("boolean"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("string"),
        Value::Array(values) => {
            let mut found: Vec<Value> = Vec::new();
            for kind in values.iter().map(kinds) {
                if !found.contains(&kind) {
                    found.push(kind);
                }
            }
            Value::Array(found)
        }
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.clone(), kinds(value)));
            Value::Object(fields.collect())
        }
    }
}

/// Every command once, in an order in which all can be done, and what each can end with beside that.
fn commands(desk: &Desk) -> Map<String, Value> {
    let mut found = Map::new();
    let mut keep = |name: &str, answer: Value| {
        found.insert(name.to_owned(), kinds(&answer));
    };
    keep("not done", desk.thecal(1, &["status"]));
    let gone = desk.run(&["card", "--json", "--connect", "127.0.0.1:1"], "");
    keep(
        "no connection",
        serde_json::from_str(&gone.stdout).expect("JSON"),
    );
    let pack = [
        "pack", "new", "--page", "p.bin", "--text", "p.txt", "--json",
    ];
    let made = desk.run(&pack, "");
    keep(
        "pack new",
        serde_json::from_str(&made.stdout).expect("JSON"),
    );
    keep("enroll", desk.enrol());
    keep("wrong arguments", desk.thecal(2, &["bolus", "--yes"]));
    keep("status, never programmed", desk.thecal(0, &["status"]));
    keep("clock", desk.thecal(0, CLOCK));
    keep(
        "program --check",
        desk.thecal(0, &[&BACLOFEN[..], &["--check"]].concat()),
    );
    keep(
        "program",
        desk.thecal(0, &[&BACLOFEN[..], &["--yes"]].concat()),
    );
    keep("connect", desk.thecal(0, &["connect"]));
    keep("status", desk.thecal(0, &["status"]));
    keep("card", desk.thecal(0, &["card"]));
    let set = [CATHETER, &["--yes"]].concat();
    keep("catheter set", desk.thecal(0, &set));
    keep("catheter show", desk.thecal(0, &["catheter", "show"]));
    let bolus = ["bolus", "--dose", "20 mcg", "--duration", "5 min", "--yes"];
    keep("bolus", desk.thecal(0, &bolus));
    keep("status, bolus under way", desk.thecal(0, &["status"]));
    keep("bolus --cancel", desk.thecal(0, &["bolus", "--cancel"]));
    let prime = ["prime", "pump only", "--aspirated", "no", "--yes"];
    keep("prime", desk.thecal(0, &prime));
    desk.thecal(0, &["bolus", "--cancel"]);
    keep("refill open", desk.thecal(0, &["refill", "open"]));
    keep("refill close", desk.thecal(0, &["refill", "close"]));
    desk.thecal(0, &["refill", "open"]);
    let aspirated = ["refill", "aspirated", "19 mL"];
    keep("refill aspirated", desk.thecal(0, &aspirated));
    keep("minimum-rate", desk.thecal(0, &["minimum-rate", "--yes"]));
    keep("alarms", desk.thecal(0, &["alarms"]));
    keep(
        "alarms acknowledge",
        desk.thecal(0, &["alarms", "acknowledge", "emergency minimum rate"]),
    );
    let grant = ["keys", "grant", "patient", "--output", "patient.key"];
    keep("keys grant", desk.thecal(0, &grant));
    keep("keys list", desk.thecal(0, &["keys"]));
    keep(
        "keys revoke",
        desk.thecal(0, &["keys", "revoke", "1", "--yes"]),
    );
    keep("log", desk.thecal(0, &["log", "--output", "export"]));
    found
}

#[test]
fn every_field_of_every_command_is_the_one_that_is_kept() {
    let desk = Desk::new();
    let found = Value::Object(commands(&desk));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/command-line.json");
    if std::env::var_os("THECAL_UPDATE_GOLDEN").is_some() {
        let text = serde_json::to_string_pretty(&found).expect("text");
        std::fs::write(&path, format!("{text}\n")).expect("the golden is written");
    }
    let kept: Value =
        serde_json::from_str(&std::fs::read_to_string(&path).expect("a golden")).expect("JSON");
    for (command, fields) in found.as_object().expect("commands") {
        assert_eq!(fields, &kept[command], "{command}");
    }
    assert_eq!(
        found.as_object().map(Map::len),
        kept.as_object().map(Map::len)
    );
}
