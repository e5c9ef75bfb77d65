//! `thecal connect`, `status` and `card`: looking, without changing anything.

use super::desk::{Desk, Session, open};
use super::ended::{Done, Report, Stopped, unlike};
use super::lines::Lines;
use programmer::card_view::CardView;
use programmer::readout::Readout;
use programmer::therapy_view::{AlarmView, TherapyView};
use protocol::{
    Command, CommandKind, Fingerprint, Info, KeyText, Outcome, Role, Situation, Status,
    TherapyStatus, permission,
};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use units::{Clock, PumpKind};

/// How far the pump's clock may be from this computer's beyond its own uncertainty \[P\].
const CLOCK_TOLERANCE_MS: u64 = 120_000;

/// What a pump says of itself to this role.
pub(super) struct Looked {
    pub(super) status: Status,
    pub(super) therapy: Option<TherapyStatus>,
}

impl Looked {
    /// What the pump is, as far as this role is told; limits differ between the kinds.
    pub(super) fn kind(&self) -> PumpKind {
        self.therapy
            .as_ref()
            .map_or(PumpKind::ProgrammableImplant, |therapy| therapy.kind)
    }
}

/// Reads status and, as far as the role may, therapy.
pub(super) fn look(session: &mut Session) -> Result<Looked, Stopped> {
    let status = status_of(session)?;
    let situation = Situation {
        lifecycle: session.info().lifecycle,
        armed: session.info().armed,
        alarm: false,
    };
    let therapy = match permission(session.role(), CommandKind::ReadTherapy, &situation) {
        Ok(()) => Some(therapy(session)?),
        Err(_) => None,
    };
    Ok(Looked { status, therapy })
}

/// Reads the status.
pub(super) fn status_of(session: &mut Session) -> Result<Status, Stopped> {
    match session.ask(&Command::Interrogate)? {
        Outcome::Status(status) => Ok(status),
        other => Err(unlike(other)),
    }
}

/// Reads therapy.
pub(super) fn therapy(session: &mut Session) -> Result<TherapyStatus, Stopped> {
    match session.ask(&Command::ReadTherapy)? {
        Outcome::Therapy(therapy) => Ok(therapy),
        other => Err(unlike(other)),
    }
}

/// Who speaks with whom.
pub(super) fn who(key: &KeyText, role: Role, info: &Info) -> Value {
    json!({
        "pump": key.pump.fingerprint().to_string(),
        "role": role.name(),
        "slot": key.slot,
        "lifecycle": info.lifecycle.name(),
        "armed": info.armed,
    })
}

fn who_lines(lines: &mut Lines, key: &KeyText, role: Role, info: &Info) {
    let armed = if info.armed { ", armed" } else { "" };
    lines.add(
        "Pump",
        format!("{} ({}{armed})", key.pump.fingerprint(), info.lifecycle),
    );
    lines.add("Role", format!("{role} (key in slot {})", key.slot));
}

/// `thecal connect`.
pub(super) fn connect(desk: &mut dyn Desk, key: &KeyText) -> Done {
    let mut session = open(desk, &key.credentials())?;
    let looked = look(&mut session)?;
    let (role, info) = (session.role(), session.info().clone());
    let notes = notes(&looked, now_millis());
    let readout = Readout::of(&looked.status, looked.kind());
    let mut lines = Lines::default();
    who_lines(&mut lines, key, role, &info);
    lines.add(
        "Link",
        format!(
            "protocol version {}, schema {:016x}; both sides have shown their keys",
            info.version, info.schema_hash
        ),
    );
    lines.add("State", readout.state_text.clone());
    lines.add("Program", program_line(&readout));
    lines.some(
        "Reservoir",
        readout
            .reservoir
            .as_ref()
            .map(|reservoir| reservoir.left.clone()),
    );
    for note in &notes {
        lines.add("Look at", note.clone());
    }
    if notes.is_empty() {
        lines.add("Look at", "nothing");
    }
    let mut json = who(key, role, &info);
    merge(
        &mut json,
        json!({
            "version": info.version,
            "schema": format!("{:016x}", info.schema_hash),
            "state": readout.state,
            "program_number": readout.program_number,
            "look_at": notes,
        }),
    );
    Ok(Report::new(lines.text(), json))
}

/// The program in force in a line.
fn program_line(readout: &Readout) -> String {
    let Some(program) = &readout.program else {
        return "none yet".to_owned();
    };
    let dose = program
        .dose
        .as_ref()
        .map_or_else(String::new, |dose| format!(", {dose}"));
    let caveat = program
        .caveat
        .map_or_else(String::new, |caveat| format!(" ({caveat})"));
    format!(
        "No. {}: {} {}, {}{dose}{caveat}",
        readout.program_number, program.drug, program.concentration, program.mode
    )
}

/// What somebody should look at.
fn notes(looked: &Looked, now_ms: u64) -> Vec<String> {
    let status = &looked.status;
    let mut notes: Vec<String> = protocol::status::fault::texts(status.faults)
        .map(|fault| format!("fault: {fault}"))
        .collect();
    if let Some(therapy) = &looked.therapy {
        notes.extend(
            TherapyView::of(therapy)
                .alarms
                .iter()
                .map(|alarm| format!("alarm: {}", alarm_words(alarm))),
        );
    }
    notes.extend(
        protocol::status::changed::texts(status.status_changed)
            .map(|change| format!("since somebody last took note: {change}")),
    );
    match status.clock {
        Clock::Known { wall, uncertainty } => {
            let apart = wall.millis().abs_diff(now_ms);
            let allowed = (uncertainty.micros() / 1_000).saturating_add(CLOCK_TOLERANCE_MS);
            if apart > allowed {
                notes.push(format!(
                    "clock: the pump's and this computer's are {} s apart",
                    apart / 1_000
                ));
            }
        }
        Clock::Suspect { .. } => notes.push("clock: not reliable".to_owned()),
        Clock::Lost => notes.push("clock: not set".to_owned()),
    }
    if status.records_lost > 0 {
        notes.push(format!("log: {} records lost", status.records_lost));
    }
    if status.committing {
        notes.push("a commit is being stored".to_owned());
    }
    notes
}

pub(super) fn now_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| u64::try_from(since.as_millis()).ok())
        .unwrap_or_default()
}

/// An alarm in a line.
pub(super) fn alarm_words(alarm: &AlarmView) -> String {
    let mut words = format!("{} ({}", alarm.name, alarm.state);
    for (is, word) in [
        (alarm.critical, "critical"),
        (alarm.acknowledged, "acknowledged"),
        (alarm.sounding, "sounding"),
    ] {
        if is {
            words.push_str(", ");
            words.push_str(word);
        }
    }
    words.push(')');
    words
}

/// `thecal status`.
pub(super) fn status(desk: &mut dyn Desk, key: &KeyText) -> Done {
    let mut session = open(desk, &key.credentials())?;
    let looked = look(&mut session)?;
    let (role, info) = (session.role(), session.info().clone());
    let readout = Readout::of(&looked.status, looked.kind());
    let view = looked.therapy.as_ref().map(TherapyView::of);
    let mut lines = Lines::default();
    who_lines(&mut lines, key, role, &info);
    status_lines(&mut lines, &readout);
    match &view {
        Some(view) => therapy_lines(&mut lines, view),
        None => lines.add("Therapy", format!("not told to the role {role}")),
    }
    let mut json = who(key, role, &info);
    merge(
        &mut json,
        json!({
            "status": looked.status,
            "therapy": looked.therapy,
            "words": { "status": readout, "therapy": view },
        }),
    );
    Ok(Report::new(lines.text(), json))
}

fn or_none(words: &[&str]) -> String {
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join("\n")
    }
}

fn status_lines(lines: &mut Lines, readout: &Readout) {
    lines.add("State", readout.state_text.clone());
    lines.some("Warning", readout.warning.clone());
    lines.add("Program", program_line(readout));
    if let Some(program) = &readout.program {
        lines.some("Mixed with", program.mixed_with.clone());
        lines.add("24-hour total", program.day_total.clone());
        lines.add("Flow", program.flow.clone());
    }
    match &readout.reservoir {
        Some(reservoir) => {
            let lasts = reservoir
                .lasts
                .as_ref()
                .map_or_else(String::new, |lasts| format!(", lasts {lasts}"));
            lines.add(
                "Reservoir",
                format!("{} of {}{lasts}", reservoir.left, reservoir.capacity),
            );
        }
        None => lines.add("Reservoir", "not known"),
    }
    lines.add("Delivered", readout.delivered.counted.clone());
    if readout.delivered.differ {
        lines.add("At most", readout.delivered.at_most.clone());
    }
    lines.some("Missed", readout.delivered.missed.clone());
    lines.add("Faults", or_none(&readout.faults));
    lines.add("Changed", or_none(&readout.changed));
    lines.add("Clock", readout.clock.clone());
    lines.add(
        "Running",
        format!("for {}, start No. {}", readout.running_for, readout.boot),
    );
}

fn therapy_lines(lines: &mut Lines, view: &TherapyView) {
    lines.add("Kind", view.kind);
    if !view.as_programmed {
        lines.add("Response", view.response.clone());
    }
    let alarms: Vec<String> = view.alarms.iter().map(alarm_words).collect();
    let alarms: Vec<&str> = alarms.iter().map(String::as_str).collect();
    lines.add("Alarms", or_none(&alarms));
    for progress in [&view.job, &view.bridge].into_iter().flatten() {
        lines.add(
            progress.name.clone(),
            format!("{}, {} left", progress.done, progress.left),
        );
    }
    lines.some("Patient bolus", view.patient_bolus.clone());
    if !view.last_day.is_empty() {
        lines.add("Last 24 h", view.last_day.join("\n"));
    }
    lines.some(
        "Refill",
        view.refill
            .as_ref()
            .map(|refill| refill.with_boluses.clone()),
    );
    lines.some("Refill open", view.refill_open.clone());
    lines.some("Trial", view.trial.clone());
    lines.some("MRI", view.mri.clone());
    lines.add("Service life", view.service.state.clone());
}

/// `thecal card`.
pub(super) fn card(desk: &mut dyn Desk) -> Done {
    let mut carrier = desk
        .connect()
        .map_err(|error| Stopped::no_connection(&error))?;
    let read = carrier
        .card()
        .map_err(|error| Stopped::no_connection(&error))?;
    let bytes = read.filter(|bytes| !bytes.is_empty()).ok_or_else(|| {
        Stopped::not_done("the pump does not show its emergency card")
            .with_next("hold the magnet over the pump for 3 s; then it is shown for 5 min")
    })?;
    let view = CardView::of(&bytes).map_err(Stopped::not_done)?;
    let card = protocol::EmergencyCard::decode(&bytes)
        .map_err(|error| Stopped::not_done(format!("the card cannot be read: {error}")))?;
    let mut lines = Lines::default();
    lines.add("Pump", view.pump.clone());
    lines.add("State", view.state_text.clone());
    lines.add(
        "Drugs",
        if view.drugs.is_empty() {
            "none yet".to_owned()
        } else {
            view.drugs.join("\n")
        },
    );
    lines.some("Dose", view.dose.clone());
    lines.add("Flow", view.flow.clone());
    lines.add("Reservoir", view.reservoir.clone());
    lines.add("Last bolus", view.last_bolus.clone());
    let alarms: Vec<String> = view
        .alarms
        .iter()
        .map(|alarm| {
            let critical = if alarm.critical { " (critical)" } else { "" };
            format!("{}{critical}", alarm.title)
        })
        .collect();
    let alarms: Vec<&str> = alarms.iter().map(String::as_str).collect();
    lines.add("Alarms", or_none(&alarms));
    lines.add("Clock", view.clock.clone());
    lines.add(
        "Note",
        "read without a key: nothing proves that it comes from the pump",
    );
    let mut values = json!(card);
    set(&mut values, "pump", fingerprint(card.pump));
    Ok(Report::new(
        lines.text(),
        json!({ "card": values, "words": view }),
    ))
}

/// A fingerprint as people compare it, not as its bytes.
pub(super) fn fingerprint(fingerprint: Fingerprint) -> Value {
    json!(fingerprint.to_string())
}

pub(super) fn set(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(fields) = object {
        fields.insert(name.to_owned(), value);
    }
}

/// Adds the fields of one object to another.
pub(super) fn merge(object: &mut Value, more: Value) {
    if let (Value::Object(fields), Value::Object(more)) = (object, more) {
        fields.extend(more);
    }
}
