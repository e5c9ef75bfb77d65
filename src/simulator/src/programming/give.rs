//! `thecal program`, `bolus` and `alarms`: what changes the therapy. Staged or described first, confirmed, and sent once.

use super::arguments::{AlarmAct, FieldArguments, ProgramArguments};
use super::desk::{
    ASKED_AGAIN, Desk, Lost, STORING, Session, certainly_not, confirmed, look_again, open, order,
};
use super::ended::{Done, Report, Stopped, reason_needed, unlike};
use super::lines::Lines;
use super::look::{self, Looked, alarm_words, look, merge, who};
use super::orders::numbered;
use crate::session::Failure;
use programmer::readout::stands_still_unrecorded;
use programmer::therapy_view::TherapyView;
use programmer::{Act, Form, Review};
use protocol::client::resolve_commit;
use protocol::{Command, Fate, KeyText, Outcome, Refused, Role, Staged, Status};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::thread::sleep;
use units::OverrideReason;

/// How the steps of a day are written in an argument.
const LISTED: &str = "steps separated by commas";

/// What tells what came of a commit that nobody could find out about.
const ASK_STATUS: &str = "when the pump can be reached, `thecal status` shows the number of the program in force; do not send the program again before";

/// What `thecal program` was asked for.
#[derive(Debug, Default)]
pub(crate) struct Programming {
    /// Start from the program in force.
    pub(crate) change: bool,
    /// Start from this file.
    pub(crate) form: Option<PathBuf>,
    pub(crate) fields: FieldArguments,
    pub(crate) reason: Option<OverrideReason>,
    pub(crate) yes: bool,
    /// Stage, show and discard.
    pub(crate) check: bool,
}

impl Programming {
    /// What the arguments ask for.
    pub(super) fn of(arguments: &ProgramArguments) -> Self {
        Self {
            change: arguments.change,
            form: arguments.form.clone(),
            fields: arguments.fields.clone(),
            reason: arguments.reason,
            yes: arguments.yes,
            check: arguments.check,
        }
    }

    /// What is to be programmed, as typed.
    fn form(&self, looked: &Looked) -> Result<Form, Stopped> {
        let mut form = if self.change {
            let program =
                looked.status.program.as_ref().ok_or_else(|| {
                    Stopped::not_done("--change: the pump has never been programmed")
                })?;
            Form::of(program).ok_or_else(|| {
                Stopped::not_done(
                    "--change: the program in force says something that these arguments cannot; nothing of it may be left out",
                )
            })?
        } else if let Some(path) = &self.form {
            let name = path.display();
            let text = std::fs::read_to_string(path)
                .map_err(|error| Stopped::usage(format!("--form: {name}: {error}")))?;
            serde_json::from_str(&text)
                .map_err(|error| Stopped::usage(format!("--form: {name}: {error}")))?
        } else {
            Form::default()
        };
        self.fields.write(&mut form);
        Ok(form)
    }
}

/// `thecal program`.
pub(super) fn program(desk: &mut dyn Desk, key: &KeyText, wanted: &Programming) -> Done {
    let credentials = key.credentials();
    let mut session = open(desk, &credentials)?;
    let looked = look(&mut session)?;
    let form = wanted.form(&looked)?;
    let checked = form.check(&looked.status, looked.kind());
    let Some(program) = checked.program else {
        let errors: Vec<String> = checked
            .errors
            .iter()
            // The page's field has lines.
            .map(|(field, error)| (argument(field), error.replace("a step a line", LISTED)))
            .map(|(argument, error)| format!("--{argument}: {error}"))
            .collect();
        return Err(Stopped::not_done(if errors.is_empty() {
            "the program is not complete".to_owned()
        } else {
            errors.join("\n")
        })
        .with_next("nothing was sent to the pump"));
    };
    let staged = match session.ask(&Command::Stage(program.clone())) {
        Ok(Outcome::Staged(staged)) => staged,
        Ok(Outcome::Refused(refused)) => return Err(Stopped::not_done(refused.to_string())),
        Ok(other) => return Err(unlike(other)),
        Err(failure) => return Err(failure.into()),
    };
    let review = Review::of(&staged, &program, &looked.status, looked.kind());
    desk.show(&review_text(&review));
    let mut json = who(key, session.role(), session.info());
    merge(
        &mut json,
        json!({ "review": review, "staged": staged_json(&staged) }),
    );
    let agreed = if !review.confirmable {
        Err(Stopped::not_done(format!(
            "what the pump read back is not what was entered: {}",
            review.differences.join("; ")
        )))
    } else if wanted.check {
        Ok(false)
    } else if review.needs_reason && wanted.reason.is_none() {
        Err(reason_needed())
    } else {
        confirmed(desk, wanted.yes, "Put this program into force?").map(|()| true)
    };
    match agreed {
        Ok(true) => {}
        Ok(false) => {
            discard(&mut session);
            merge(&mut json, json!({ "committed": false }));
            return Ok(Report::new(
                "Checked and discarded: nothing was changed.\n".to_owned(),
                json,
            ));
        }
        Err(stopped) => {
            discard(&mut session);
            return Err(stopped);
        }
    }
    let number = match session.ask(&Command::Commit(staged.commit(wanted.reason))) {
        Ok(outcome) => committed(outcome)?,
        Err(failure) if failure.fate() == Fate::Unknown => {
            drop(session);
            commit_lost(desk, key, &staged, &looked.status, &failure)?
        }
        Err(failure) => return Err(failure.into()),
    };
    merge(
        &mut json,
        json!({ "committed": true, "program_number": number }),
    );
    Ok(Report::new(
        format!("Program No. {number} is in force.\n"),
        json,
    ))
}

/// The argument that belongs to a field.
fn argument(field: &programmer::form::Field) -> String {
    json!(field).as_str().unwrap_or("form").replace('_', "-")
}

/// Leaves nothing staged. It would end with the session anyway.
fn discard(session: &mut Session) {
    let _ = session.ask(&Command::Cancel);
}

fn committed(outcome: Outcome) -> Result<u32, Stopped> {
    match outcome {
        Outcome::Committed { program_number } => Ok(program_number),
        Outcome::StoppedNotRecorded => Err(not_recorded()),
        Outcome::Refused(Refused::ReasonNeeded) => Err(reason_needed()),
        other => Err(unlike(other)),
    }
}

fn not_recorded() -> Stopped {
    Stopped::unknown(
        "the pump stands still, but could not store that: after a reset it would deliver the program in force before",
        "stop it once more: thecal program --change --mode stopped",
    )
}

/// What became of a commit whose answer was lost.
fn commit_lost(
    desk: &mut dyn Desk,
    key: &KeyText,
    staged: &Staged,
    before: &Status,
    failure: &Failure,
) -> Result<u32, Stopped> {
    let unknown = |words: String| Err(Stopped::unknown(words, ASK_STATUS));
    desk.show("The answer was lost: the pump is asked what became of it.\n");
    let mut session = match look_again(desk, &key.credentials(), failure.number()) {
        Lost::NotDone => return Err(certainly_not(failure)),
        Lost::Unreachable => return unknown(failure.to_string()),
        Lost::Ask(session) => session,
    };
    for _ in 0..ASKED_AGAIN {
        let status = match session.ask(&Command::Interrogate) {
            Ok(Outcome::Status(status)) => status,
            Ok(_) | Err(_) => return unknown(failure.to_string()),
        };
        match resolve_commit(&staged.digest, before.program_number, &status) {
            Fate::Done => return Ok(status.program_number),
            Fate::CertainlyNot if stands_still_unrecorded(&status) => return Err(not_recorded()),
            Fate::CertainlyNot => {
                return Err(Stopped::not_done(
                    "the answer was lost; asked again, the pump has not done it: certainly not done",
                ));
            }
            Fate::Unknown if status.committing => sleep(STORING),
            Fate::Unknown => {
                return unknown(format!(
                    "the answer was lost, and another program, No. {}, has come into force since",
                    status.program_number
                ));
            }
        }
    }
    unknown("the pump is still storing".to_owned())
}

/// The exact numbers behind the review.
fn staged_json(staged: &Staged) -> Value {
    let mut value = json!(staged);
    let digest: String = staged
        .digest
        .0
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    look::set(&mut value, "digest", json!(digest));
    value
}

/// The pump's read-back beside the old values.
fn review_text(review: &Review) -> String {
    let mut rows: Vec<[String; 4]> = vec![[
        String::new(),
        String::new(),
        "in force".to_owned(),
        "read back by the pump".to_owned(),
    ]];
    for row in &review.rows {
        let height = row.old.lines().count().max(row.new.lines().count()).max(1);
        for line in 0..height {
            let part = |text: &str| text.lines().nth(line).unwrap_or_default().to_owned();
            rows.push([
                if row.changed && line == 0 { "*" } else { "" }.to_owned(),
                if line == 0 { row.label } else { "" }.to_owned(),
                part(&row.old),
                part(&row.new),
            ]);
        }
    }
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths = [1, width(1), width(2)];
    let mut text = String::new();
    for row in &rows {
        let [mark, label, old, new] = row;
        let line = format!(
            "{mark:w0$} {label:w1$}  {old:w2$}  {new}",
            w0 = widths[0],
            w1 = widths[1],
            w2 = widths[2]
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let mut lines = Lines::default();
    lines.add("Change", review.change.clone());
    lines.some("", review.times.clone());
    lines.some("Reservoir lasts", review.lasts.clone());
    for finding in &review.findings {
        lines.add("Soft limit", finding.clone());
    }
    for note in &review.notes {
        lines.add("Note", note.clone());
    }
    for difference in &review.differences {
        lines.add("DIFFERENCE", difference.clone());
    }
    text.push_str(&lines.text());
    text
}

/// What `thecal bolus` was asked for.
#[derive(Debug, Default)]
pub(crate) struct Bolus {
    /// A clinician's: mass and time.
    pub(crate) dose: Option<(String, String)>,
    pub(crate) reason: Option<OverrideReason>,
    /// End the one under way.
    pub(crate) cancel: bool,
    pub(crate) yes: bool,
}

impl Bolus {
    fn act(&self, role: Role) -> Result<Act, Stopped> {
        match (role, &self.dose) {
            (Role::Patient, None) => Ok(Act::PatientBolus),
            (Role::Patient, Some(_)) => Err(Stopped::usage(
                "--dose: a patient's bolus has the dose that the program allots",
            )),
            (_, Some((dose, duration))) => Ok(Act::Bolus {
                dose: dose.clone(),
                duration: duration.clone(),
                reason: self
                    .reason
                    .map_or_else(String::new, |reason| reason.name().to_owned()),
            }),
            (_, None) => Err(Stopped::usage(format!(
                "--dose and --duration: the role {role} says what to give"
            ))),
        }
    }
}

/// `thecal bolus`.
pub(super) fn bolus(desk: &mut dyn Desk, key: &KeyText, wanted: &Bolus) -> Done {
    let credentials = key.credentials();
    let session = open(desk, &credentials)?;
    let mut json = who(key, session.role(), session.info());
    if wanted.cancel {
        order(desk, &credentials, session, &Command::CancelBolus)?;
        return Ok(Report::new(
            "No bolus or prime is under way any more.
"
            .to_owned(),
            json,
        ));
    }
    let act = wanted.act(session.role())?;
    let (number, what) = numbered(desk, key, session, &act, wanted.yes)?;
    merge(&mut json, json!({ "bolus_number": number, "what": what }));
    Ok(Report::new(
        format!("Bolus No. {number} is stored and has begun.\n"),
        json,
    ))
}

/// `thecal alarms`.
pub(super) fn alarms(desk: &mut dyn Desk, key: &KeyText, act: AlarmAct) -> Done {
    let credentials = key.credentials();
    let mut session = open(desk, &credentials)?;
    let mut json = who(key, session.role(), session.info());
    let (command, said) = match act {
        AlarmAct::List => {
            let view = TherapyView::of(&look::therapy(&mut session)?);
            let mut text: String = view
                .alarms
                .iter()
                .map(|alarm| format!("{}\n", alarm_words(alarm)))
                .collect();
            if text.is_empty() {
                text = "No alarms.\n".to_owned();
            }
            merge(&mut json, json!({ "alarms": view.alarms }));
            return Ok(Report::new(text, json));
        }
        AlarmAct::Acknowledge { alarm } => (
            Command::AcknowledgeAlarm { alarm },
            format!("Noted: {alarm}.\n"),
        ),
        AlarmAct::Silence { alarm } => (
            Command::SilenceAlarm { alarm },
            format!("Quiet until its next repetition: {alarm}.\n"),
        ),
    };
    order(desk, &credentials, session, &command)?;
    Ok(Report::new(said, json))
}
