//! A record of the event log for people and for programs: its name, its contents as JSON, and both in a line of words.

use crate::words::{capitalised, component_words, decimal, time_of_day};
use protocol::status::{changed, fault};
use pump::{JobEnd, Record, ResetCause};
use serde_json::{Value, json};
use therapy::JobKind;
use units::{Clock, Mass, Volume};

/// What happened, in a few words.
pub(crate) fn name(record: &Record) -> &'static str {
    Record::title(record.kind()).unwrap_or("unknown")
}

/// What a record says beside its name. Numbers bear their unit in the name of the field.
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
        Record::AlarmRaised { faults } | Record::AlarmCleared { faults } => {
            json!({ "alarms": fault::texts(*faults).collect::<Vec<_>>() })
        }
        Record::AlarmSounded { alarm }
        | Record::AlarmSilenced { alarm }
        | Record::AlarmOn { alarm }
        | Record::AlarmOff { alarm }
        | Record::AlarmAcknowledged { alarm } => json!({ "alarm": alarm.name() }),
        Record::FlagsCleared { mask } => {
            json!({ "flags": changed::texts(*mask).collect::<Vec<_>>() })
        }
        Record::ProgramPart {
            number,
            offset,
            part,
        } => json!({ "number": number, "offset": offset, "bytes": part.len() }),
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

fn millilitres(nanolitres: u32) -> String {
    Volume::from_nanolitres(nanolitres).to_string()
}

fn nanograms(nanograms: u64) -> String {
    Mass::from_nanograms(nanograms).to_string()
}

fn or_unknown(nanolitres: Option<u32>) -> String {
    nanolitres.map_or_else(|| "an unknown volume".to_owned(), millilitres)
}

fn job_words(job: JobKind) -> &'static str {
    match job {
        JobKind::PatientBolus => "patient bolus",
        JobKind::ClinicianBolus { extended: false } => "clinician bolus",
        JobKind::ClinicianBolus { extended: true } => "extended clinician bolus",
        JobKind::PeriodicBolus => "periodic bolus",
        JobKind::SingleBolus => "single bolus",
        JobKind::Prime => "prime",
    }
}

fn end_words(end: JobEnd) -> &'static str {
    match end {
        JobEnd::Completed => "completed",
        JobEnd::Cancelled => "cancelled",
        JobEnd::Interrupted => "interrupted by a restart",
        JobEnd::Fault => "ended by a fault",
    }
}

fn offset_words(minutes: i16) -> String {
    let sign = if minutes < 0 { '\u{2212}' } else { '+' };
    format!("UTC{sign}{}", time_of_day(minutes.unsigned_abs()))
}

/// A record for a reader, in one line.
pub(crate) fn in_words(record: &Record) -> String {
    let more = match record {
        Record::Boot { cause, clock, .. } => {
            format!("{}, clock {}", cause_words(*cause), clock_words(*clock))
        }
        Record::ProgramCommitted {
            number,
            drug,
            concentration_ng_per_ml,
            mode,
            before_ng,
            total_ng,
            filled_nl,
            reason,
        } => {
            let component = protocol::Component {
                drug: *drug,
                concentration_ng_per_ml: *concentration_ng_per_ml,
            };
            let mut words = format!(
                "number {number}, {}, {}, {} in 24 h",
                component_words(&component),
                mode.name(),
                nanograms(*total_ng)
            );
            words.push_str(&before_ng.map_or_else(
                || ", none before it".to_owned(),
                |before| format!(", {} before it", nanograms(before)),
            ));
            if let Some(filled) = filled_nl {
                words.push_str(&format!(", filled with {}", millilitres(*filled)));
            }
            if let Some(reason) = reason {
                words.push_str(&format!(", because of {reason}"));
            }
            words
        }
        Record::ProgramPart { number, offset, .. } => {
            format!("number {number}, from byte {offset} on")
        }
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
        Record::Refill {
            expected_nl,
            aspirated_nl,
            filled_nl,
        } => match aspirated_nl {
            Some(aspirated) => format!(
                "{} expected, {} drawn out, {} filled in",
                or_unknown(*expected_nl),
                millilitres(*aspirated),
                millilitres(*filled_nl)
            ),
            None => format!(
                "{} expected, {} filled in",
                or_unknown(*expected_nl),
                millilitres(*filled_nl)
            ),
        },
        Record::RefillOpened { expected_nl } => {
            format!("{} expected", or_unknown(*expected_nl))
        }
        Record::JobStarted { job, id, volume_nl } => {
            format!("{} {id}, {}", job_words(*job), millilitres(*volume_nl))
        }
        Record::JobEnded {
            job,
            id,
            end,
            counted_steps,
            at_most_steps,
        } => {
            let steps = if counted_steps == at_most_steps {
                format!("{counted_steps} steps")
            } else {
                format!("{counted_steps} to {at_most_steps} steps")
            };
            format!("{} {id} {} after {steps}", job_words(*job), end_words(*end))
        }
        Record::BolusGranted { id } => format!("number {id}"),
        Record::BolusDenied { reason, .. } => reason.to_string(),
        Record::AlarmSounded { alarm }
        | Record::AlarmSilenced { alarm }
        | Record::AlarmOn { alarm }
        | Record::AlarmOff { alarm }
        | Record::AlarmAcknowledged { alarm } => alarm.name().to_owned(),
        Record::Stall { steps } => format!("{steps} steps ordered without a pulse"),
        Record::StallRecovered { missed_steps } => format!("{missed_steps} steps missed"),
        Record::ReservoirLow { left_nl } => format!("{} left", millilitres(*left_nl)),
        Record::ServiceLife { over, stops_at } => match (over, stops_at) {
            (true, _) => "over, nothing is delivered any more".to_owned(),
            (false, Some(at)) => format!("nears its end, delivery stops at {at}"),
            (false, None) => "nears its end".to_owned(),
        },
        Record::TimeZoneChanged {
            before_min,
            after_min,
        } => format!(
            "from {} to {}",
            offset_words(*before_min),
            offset_words(*after_min)
        ),
        Record::MriMode { on } => if *on { "on" } else { "off" }.to_owned(),
        Record::Battery { millivolts } => format!("{} V", decimal(u128::from(*millivolts), 3)),
        Record::BridgeStarted {
            volume_nl,
            flow_nl_per_day,
        } => format!(
            "{} at {} mL/day",
            millilitres(*volume_nl),
            decimal(u128::from(*flow_nl_per_day), 6)
        ),
        Record::CatheterSet { path_nl } => {
            format!("{} from the pump to the tip", millilitres(*path_nl))
        }
        Record::Commissioned { record } => record.kind.name().to_owned(),
        Record::LibraryLoaded { version, .. } => format!("version {version}"),
        Record::Diary { baseline, score } => format!(
            "{score} of 10{}",
            if *baseline { ", before the trial" } else { "" }
        ),
        Record::TrialExtended { days } => format!("by {days} days"),
        Record::IntervalsSet {
            critical_min,
            other_min,
        } => format!("critical every {critical_min} min, others every {other_min} min"),
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
