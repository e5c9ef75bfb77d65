//! `thecal clock`, `catheter`, `refill`, `prime`, `commission` and `minimum-rate`: what is ordered beside a program, in the words of the
//! phone page ([`Act`]).

use super::desk::{
    ASKED_AGAIN, Desk, Lost, STORING, Session, certainly_not, confirmed, look_again, open, order,
};
use super::ended::{Done, Report, Stopped, reason_needed, unlike};
use super::lines::Lines;
use super::look::{self, look, merge, now_millis, who};
use crate::session::Failure;
use jiff::ZonedDateTime;
use programmer::Act;
use programmer::act::done_text;
use programmer::therapy_view::PathView;
use protocol::client::resolve_order;
use protocol::{BolusDenial, Command, CommandKind, Fate, KeyText, Outcome, Refused, TherapyStatus};
use serde_json::json;
use std::thread::sleep;
use units::OverrideReason;

/// What tells what came of a bolus or prime that nobody could find out about.
const ASK_THERAPY: &str = "when the pump can be reached, `thecal status` shows what is under way and `thecal log` every bolus; do not give it again before";
/// The same of a clock.
const ASK_CLOCK: &str =
    "`thecal status` shows the pump's clock; set it again if it is wrong: that takes the time anew";

/// Gives a bolus or a prime: described, confirmed, sent once. Its number, and the description.
pub(super) fn numbered(
    desk: &mut dyn Desk,
    key: &KeyText,
    session: Session,
    act: &Act,
    yes: bool,
) -> Result<(u32, String), Stopped> {
    let mut session = session;
    let looked = look(&mut session)?;
    let therapy = match looked.therapy {
        Some(therapy) => therapy,
        // Refused in the pump's own words.
        None => look::therapy(&mut session)?,
    };
    let number = therapy
        .last_number
        .checked_add(1)
        .ok_or_else(|| Stopped::not_done("the pump has no numbers left for orders"))?;
    let command = act.command(number).map_err(Stopped::usage)?;
    let what = act
        .description(number, &looked.status)
        .map_err(Stopped::not_done)?;
    desk.show(&format!("{what}\n"));
    confirmed(desk, yes, "Give it?")?;
    let given = match session.ask(&command) {
        Ok(Outcome::BolusStarted { number } | Outcome::AlreadyDone { number }) => number,
        Ok(Outcome::BolusRefused { denial }) => return Err(denied(denial)),
        Ok(Outcome::Refused(Refused::ReasonNeeded)) => return Err(reason_needed()),
        Ok(other) => return Err(unlike(other)),
        Err(failure) if failure.fate() == Fate::Unknown => {
            drop(session);
            order_lost(desk, key, number, &failure)?
        }
        Err(failure) => return Err(failure.into()),
    };
    Ok((given, what))
}

fn denied(denial: BolusDenial) -> Stopped {
    Stopped::not_done(denial.to_string())
}

/// What became of a bolus or prime whose answer was lost.
fn order_lost(
    desk: &mut dyn Desk,
    key: &KeyText,
    number: u32,
    failure: &Failure,
) -> Result<u32, Stopped> {
    let unknown = |words: String| Err(Stopped::unknown(words, ASK_THERAPY));
    desk.show("The answer was lost: the pump is asked what became of it.\n");
    let mut session = match look_again(desk, &key.credentials(), failure.number()) {
        Lost::NotDone => return Err(certainly_not(failure)),
        Lost::Unreachable => return unknown(failure.to_string()),
        Lost::Ask(session) => session,
    };
    for _ in 0..ASKED_AGAIN {
        let therapy: TherapyStatus = match look::therapy(&mut session) {
            Ok(therapy) => therapy,
            Err(_) => return unknown(failure.to_string()),
        };
        match resolve_order(number, &therapy) {
            Fate::Done => return Ok(number),
            Fate::CertainlyNot => {
                return Err(Stopped::not_done(
                    "the answer was lost; asked again, the pump has not given it: certainly not done",
                ));
            }
            Fate::Unknown if therapy.storing => sleep(STORING),
            Fate::Unknown => {
                return unknown(format!(
                    "the answer was lost, and order No. {} has come since",
                    therapy.last_number
                ));
            }
        }
    }
    unknown("the pump is still storing".to_owned())
}

/// `thecal prime`.
pub(super) fn prime(desk: &mut dyn Desk, key: &KeyText, act: &Act, yes: bool) -> Done {
    let session = open(desk, &key.credentials())?;
    let mut json = who(key, session.role(), session.info());
    let (number, what) = numbered(desk, key, session, act, yes)?;
    merge(&mut json, json!({ "prime_number": number, "what": what }));
    Ok(Report::new(
        format!("Prime No. {number} is stored and has begun.\n"),
        json,
    ))
}

/// An order that may be given twice. `question` is asked where somebody has to confirm what is going to be done.
pub(super) fn give(
    desk: &mut dyn Desk,
    key: &KeyText,
    act: &Act,
    command: &Command,
    question: Option<(&str, bool)>,
) -> Done {
    let credentials = key.credentials();
    let mut session = open(desk, &credentials)?;
    let mut json = who(key, session.role(), session.info());
    let status = look::status_of(&mut session)?;
    let what = act.description(0, &status).map_err(Stopped::not_done)?;
    if let Some((question, yes)) = question {
        desk.show(&format!("{what}\n"));
        confirmed(desk, yes, question)?;
    }
    order(desk, &credentials, session, command)?;
    merge(&mut json, json!({ "what": what }));
    Ok(Report::new(
        format!("{}\n", done_text(command.kind())),
        json,
    ))
}

/// `thecal catheter show`.
pub(super) fn path(desk: &mut dyn Desk, key: &KeyText) -> Done {
    let mut session = open(desk, &key.credentials())?;
    let path = match session.ask(&Command::ReadPath)? {
        Outcome::Path(path) => path,
        other => return Err(unlike(other)),
    };
    let view = PathView::of(&path);
    let mut lines = Lines::default();
    lines.add("At the tip", view.tip.clone());
    lines.some("Volume", view.volume.clone());
    if !view.slugs.is_empty() {
        lines.add("From the tip", view.slugs.join("\n"));
    }
    let mut json = who(key, session.role(), session.info());
    merge(
        &mut json,
        json!({ "path": path, "words": { "path": view } }),
    );
    Ok(Report::new(lines.text(), json))
}

/// `thecal clock`: this computer's time, and its zone.
pub(super) fn clock(desk: &mut dyn Desk, key: &KeyText, reason: Option<OverrideReason>) -> Done {
    let credentials = key.credentials();
    let mut session = open(desk, &credentials)?;
    let mut json = who(key, session.role(), session.info());
    let reason = reason.map_or_else(String::new, |reason| reason.name().to_owned());
    let zone = Act::Zone {
        minutes: zone_minutes(),
        reason: reason.clone(),
    };
    let set = Act::Clock {
        milliseconds: now_millis(),
        reason,
    };
    let clock = match session.ask(&set.command(0).map_err(Stopped::usage)?) {
        Ok(Outcome::ClockSet { clock }) => clock,
        Ok(Outcome::Refused(Refused::ReasonNeeded)) => return Err(reason_needed()),
        Ok(other) => return Err(unlike(other)),
        Err(failure) if failure.fate() == Fate::Unknown => {
            return Err(Stopped::unknown(failure.to_string(), ASK_CLOCK));
        }
        Err(failure) => return Err(failure.into()),
    };
    let command = zone.command(0).map_err(Stopped::usage)?;
    let said = format!(
        "{}\n{}\n",
        done_text(CommandKind::SetClock),
        done_text(CommandKind::SetZone)
    );
    order(desk, &credentials, session, &command).map_err(|stopped| Stopped {
        words: format!("the clock is set; the time zone: {}", stopped.words),
        // Without a reason it moves by one hour only.
        next: reason_needed().next,
        ..stopped
    })?;
    merge(
        &mut json,
        json!({ "clock": clock, "zone_min": zone_minutes() }),
    );
    Ok(Report::new(said, json))
}

/// Local time minus UTC, in min: that of this computer, or of `TZ`.
fn zone_minutes() -> i16 {
    i16::try_from(ZonedDateTime::now().offset().seconds() / 60).unwrap_or_default()
}
