//! A record of the event log for people and for programs: its name, its contents as JSON, and both in a line of words.

use crate::words::{ProgramText, capitalised, decimal};
use protocol::Program;
use protocol::status::{changed, fault};
use pump::{FillRecord, ProgramRecord, Record, ResetCause};
use serde_json::{Value, json};
use units::{Clock, Volume};

/// What happened, in a few words.
pub(crate) fn name(record: &Record) -> &'static str {
    Record::title(record.kind()).unwrap_or("unknown")
}

/// What a record says beside its name. Numbers bear their unit in the name of the field, quantities of a program in their text.
pub(crate) fn detail(record: &Record) -> Value {
    match record {
        Record::Boot {
            cause,
            clock,
            totals,
            counted_steps,
            at_most_steps,
        } => json!({
            "cause": cause_words(*cause),
            "clock": clock,
            "totals": totals,
            "counted_steps": counted_steps,
            "at_most_steps": at_most_steps,
        }),
        Record::ProgramCommitted { before, record } => {
            let mut detail = program(record);
            if let Value::Object(fields) = &mut detail {
                fields.insert("before".into(), json!(before.as_ref().map(ProgramText::of)));
            }
            detail
        }
        Record::Program { record } => program(record),
        Record::AlarmRaised { faults }
        | Record::AlarmCleared { faults }
        | Record::AlarmSounded { faults }
        | Record::AlarmSilenced { faults } => {
            json!({ "alarms": fault::texts(*faults).collect::<Vec<_>>() })
        }
        Record::FlagsCleared { mask } => {
            json!({ "flags": changed::texts(*mask).collect::<Vec<_>>() })
        }
        // Fields by their names; an enum of one variant is what serde makes of the record.
        other => match serde_json::to_value(other) {
            Ok(Value::Object(variant)) => variant
                .into_iter()
                .next()
                .map_or(Value::Null, |(_, fields)| fields),
            Ok(_) | Err(_) => Value::Null,
        },
    }
}

fn program(record: &ProgramRecord) -> Value {
    let fill = record.fill.map(
        |FillRecord {
             volume_fl,
             at_most_steps,
         }| {
            json!({
                "volume": Volume::from_femtolitres(volume_fl),
                "at_most_steps": at_most_steps,
            })
        },
    );
    json!({
        "number": record.number,
        "program": record.program.as_ref().map(ProgramText::of),
        "last_fill": fill,
    })
}

pub(crate) fn cause_words(cause: ResetCause) -> String {
    match cause {
        ResetCause::PowerOn => "power on".to_owned(),
        ResetCause::External => "external reset".to_owned(),
        ResetCause::Fatal { reason } => format!("fatal error, reason {reason}"),
        ResetCause::Watchdog => "watchdog".to_owned(),
        ResetCause::BrownOut => "low supply".to_owned(),
        ResetCause::Software => "software reset".to_owned(),
    }
}

/// A time of day in words.
pub(crate) fn clock_words(clock: Clock) -> String {
    match clock {
        Clock::Known { wall, uncertainty } => format!("{wall} (± {uncertainty})"),
        Clock::Suspect { wall } => format!("{wall} (suspect)"),
        Clock::Lost => "lost".to_owned(),
    }
}

/// A committed program in one line.
fn program_record_words(record: &ProgramRecord) -> String {
    let program = record
        .program
        .as_ref()
        .map_or_else(|| "none".to_owned(), program_words);
    format!("number {}, {program}", record.number)
}

fn program_words(program: &Program) -> String {
    let text = ProgramText::of(program);
    let mut words = text.drug.name().to_owned();
    if let Some(concentration) = text.concentration {
        words.push_str(&format!(" {concentration}"));
    }
    words.push_str(&format!(", {}", text.mode));
    if let Some(dose) = text.dose {
        words.push_str(&format!(" {dose}"));
    }
    if let Some(fill) = text.fill {
        words.push_str(&format!(", filled with {fill}"));
    }
    words
}

/// A record for a reader, in one line.
pub(crate) fn in_words(record: &Record) -> String {
    let more = match record {
        Record::Boot { cause, clock, .. } => {
            format!("{}, clock {}", cause_words(*cause), clock_words(*clock))
        }
        Record::ProgramCommitted { before, record } => {
            let before = before.as_ref().map_or_else(
                || "none before it".to_owned(),
                |before| format!("before it {}", program_words(before)),
            );
            format!("{}; {before}", program_record_words(record))
        }
        Record::Program { record } => program_record_words(record),
        Record::DeliveryChanged {
            delivery,
            flow_nl_per_day,
        } => format!(
            "{}, {} mL/day",
            delivery.text(),
            decimal(u128::from(*flow_nl_per_day), 6)
        ),
        Record::ClockSet { before, after } => {
            format!("from {} to {}", clock_words(*before), clock_words(*after))
        }
        other => fields_in_words(&detail(other)),
    };
    let name = capitalised(name(record));
    if more.is_empty() {
        name
    } else {
        format!("{name}: {more}")
    }
}

/// `{"missed_steps": 3, "on": true}` as `missed steps 3, on`.
fn fields_in_words(detail: &Value) -> String {
    let Value::Object(fields) = detail else {
        return String::new();
    };
    let mut words = Vec::new();
    for (name, value) in fields {
        let name = name.replace('_', " ");
        match value {
            Value::Null | Value::Bool(false) => {}
            Value::Bool(true) => words.push(name),
            Value::String(text) => words.push(format!("{name} {text}")),
            Value::Array(items) => words.push(
                items
                    .iter()
                    .map(|item| {
                        item.as_str()
                            .map_or_else(|| item.to_string(), str::to_owned)
                    })
                    .collect::<Vec<_>>()
                    .join(", "),
            ),
            Value::Object(_) => words.push(fields_in_words(value)),
            Value::Number(number) => words.push(format!("{name} {number}")),
        }
    }
    words.retain(|word| !word.is_empty());
    words.join(", ")
}
