//! `thecal` as a programmer: `connect`, `status`, `program`, `bolus`, `alarms`, `enroll`, `keys`, `card`, `pack` and the orders beside a
//! program (`docs/command-line.md`).
//!
//! What may be entered and what is shown is the phone page's: both use the crate `programmer`. What is here reaches the pump, asks
//! the user, and says honestly what became of it ([`ended`]).

mod admit;
pub mod arguments;
mod desk;
pub mod ended;
mod give;
mod lines;
mod look;
mod orders;
mod pack;
mod secret;
#[cfg(test)]
mod tests;

use crate::key_file;
use arguments::{
    AlarmAct, AlarmsArguments, BolusArguments, CardArguments, CatheterAct, CatheterArguments,
    ClockArguments, CommissionArguments, EnrollArguments, KeyAct, KeyArguments, KeysArguments,
    LinkArguments, MinimumRateArguments, PackAct, PackArguments, PrimeArguments, ProgramArguments,
    RefillArguments,
};
use desk::{Desk, Terminal};
use ended::{Done, Stopped};
use protocol::KeyText;
use std::io::Write;
use std::process::ExitCode;

/// `thecal connect`.
#[must_use]
pub fn connect(arguments: &KeyArguments) -> ExitCode {
    with_key(arguments, |desk, key| look::connect(desk, &key))
}

/// `thecal status`.
#[must_use]
pub fn status(arguments: &KeyArguments) -> ExitCode {
    with_key(arguments, |desk, key| look::status(desk, &key))
}

/// `thecal card`.
#[must_use]
pub fn card(arguments: &CardArguments) -> ExitCode {
    at(&arguments.link, |desk| look::card(desk))
}

/// `thecal program`.
#[must_use]
pub fn program(arguments: &ProgramArguments) -> ExitCode {
    let wanted = give::Programming::of(arguments);
    with_key(&arguments.pump, |desk, key| {
        give::program(desk, &key, &wanted)
    })
}

/// `thecal bolus`.
#[must_use]
pub fn bolus(arguments: &BolusArguments) -> ExitCode {
    let wanted = give::Bolus {
        dose: arguments.dose.clone().zip(arguments.duration.clone()),
        reason: arguments.reason,
        cancel: arguments.cancel,
        yes: arguments.yes,
    };
    with_key(&arguments.pump, |desk, key| {
        give::bolus(desk, &key, &wanted)
    })
}

/// `thecal alarms`.
#[must_use]
pub fn alarms(arguments: &AlarmsArguments) -> ExitCode {
    let act = arguments.act.unwrap_or(AlarmAct::List);
    with_key(&arguments.pump, |desk, key| give::alarms(desk, &key, act))
}

/// `thecal clock`.
#[must_use]
pub fn clock(arguments: &ClockArguments) -> ExitCode {
    with_key(&arguments.pump, |desk, key| {
        orders::clock(desk, &key, arguments.reason)
    })
}

/// `thecal catheter`.
#[must_use]
pub fn catheter(arguments: &CatheterArguments) -> ExitCode {
    let act = arguments.act.as_ref();
    match (act.and_then(CatheterAct::order), act) {
        (Some(order), Some(CatheterAct::Set { yes, .. })) => {
            ordered(&arguments.pump, &order, Some(("Is this the path?", *yes)))
        }
        _ => with_key(&arguments.pump, |desk, key| orders::path(desk, &key)),
    }
}

/// `thecal refill`.
#[must_use]
pub fn refill(arguments: &RefillArguments) -> ExitCode {
    ordered(&arguments.pump, &arguments.act.order(), None)
}

/// `thecal prime`.
#[must_use]
pub fn prime(arguments: &PrimeArguments) -> ExitCode {
    with_key(&arguments.pump, |desk, key| {
        orders::prime(desk, &key, &arguments.order(), arguments.yes)
    })
}

/// `thecal commission`.
#[must_use]
pub fn commission(arguments: &CommissionArguments) -> ExitCode {
    let question = Some(("Make it that?", arguments.yes));
    ordered(&arguments.pump, &arguments.order(), question)
}

/// `thecal minimum-rate`.
#[must_use]
pub fn minimum_rate(arguments: &MinimumRateArguments) -> ExitCode {
    let question = Some(("Go there?", arguments.yes));
    ordered(&arguments.pump, &programmer::Act::MinimumRate, question)
}

/// An order that may be given twice. What is wrong with it is said before the pump is looked for.
fn ordered(pump: &KeyArguments, act: &programmer::Act, question: Option<(&str, bool)>) -> ExitCode {
    match act.command(0) {
        Ok(command) => with_key(pump, |desk, key| {
            orders::give(desk, &key, act, &command, question)
        }),
        Err(wrong) => end(Err(Stopped::usage(wrong)), pump.link.json),
    }
}

/// `thecal enroll`.
#[must_use]
pub fn enroll(arguments: &EnrollArguments) -> ExitCode {
    let wanted = admit::Enrolment {
        key: arguments.key.clone(),
        slot: arguments.slot,
        implant_card: arguments.implant_card.clone(),
    };
    at(&arguments.link, |desk| {
        let text = secret::read(arguments.text.as_deref())?;
        admit::enroll(desk, &text, &wanted)
    })
}

/// `thecal keys`.
#[must_use]
pub fn keys(arguments: &KeysArguments) -> ExitCode {
    let act = arguments.act.as_ref().unwrap_or(&KeyAct::List);
    with_key(&arguments.pump, |desk, key| admit::manage(desk, &key, act))
}

/// `thecal pack`.
#[must_use]
pub fn pack(arguments: &PackArguments) -> ExitCode {
    let PackAct::New { json, .. } = &arguments.act;
    end(pack::run(&arguments.act), *json)
}

fn at(link: &LinkArguments, command: impl FnOnce(&mut dyn Desk) -> Done) -> ExitCode {
    end(command(&mut Terminal { link }), link.json)
}

fn with_key(
    arguments: &KeyArguments,
    command: impl FnOnce(&mut dyn Desk, KeyText) -> Done,
) -> ExitCode {
    at(&arguments.link, |desk| {
        let key = key_file::find(arguments.key.as_deref(), arguments.pump.as_deref())
            .map_err(|error| Stopped::new(ended::Status::NotDone, format!("--key: {error:#}")))?;
        command(desk, key)
    })
}

/// Says what came of it. A JSON object comes in every case.
fn end(done: Done, json: bool) -> ExitCode {
    let (code, output) = match &done {
        Ok(report) if json => (0, format!("{}\n", report.json)),
        Ok(report) => (0, report.text.clone()),
        Err(stopped) => {
            eprintln!("error: {}", stopped.words);
            if let Some(next) = &stopped.next {
                eprintln!("{next}");
            }
            let output = if json {
                format!("{}\n", stopped.json())
            } else {
                String::new()
            };
            (stopped.status.code(), output)
        }
    };
    // Whoever reads has read enough.
    let _ = std::io::stdout().write_all(output.as_bytes());
    ExitCode::from(code)
}
