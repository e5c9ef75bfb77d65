//! `report.html`: one self-contained page that a clinician can read.

use super::log;
use super::pictures::pictures;
use super::summary::Summary;
use super::text::{grouped, rounded_mass, rounded_volume, signed, spelled, times};
use crate::record_words::cause_words;
use crate::run::Outcome;
use crate::scenario::{Happening, Scenario, ScenarioEvent};
use crate::words::capitalised;
use crate::words::{self, ProgramText};
use anyhow::Result;
use std::fmt::Write;
use units::{Duration, Flow, StepVolume, Volume};

/// What the pages look like.
pub(crate) const STYLE: &str = include_str!("report.css");
/// Rows of the table of events; the rest is in `events.jsonl`.
const MOST_EVENTS: usize = 100;

/// Text as it may stand in a page.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The page.
pub(super) fn html(scenario: &Scenario, outcome: &Outcome, summary: &Summary) -> Result<String> {
    let mut page = String::new();
    let title = escape(&scenario.title);
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
    )?;
    header(&mut page, scenario, &title)?;
    figures(&mut page, scenario, outcome, summary)?;
    pictures(&mut page, scenario, outcome)?;
    totals(&mut page, scenario.bounds.step_volume, outcome, summary)?;
    happenings(&mut page, scenario)?;
    expectations(&mut page, outcome)?;
    journal(&mut page, outcome)?;
    footer(&mut page, scenario)?;
    page.push_str("</main>\n</body>\n</html>\n");
    Ok(page)
}

fn header(page: &mut String, scenario: &Scenario, title: &str) -> Result<()> {
    writeln!(
        page,
        "<header>\n<p class=\"kind\">Thecal &middot; simulated infusion, not a patient&rsquo;s record</p>\n<h1>{title}</h1>"
    )?;
    if !scenario.description.trim().is_empty() {
        writeln!(
            page,
            "<p class=\"about\">{}</p>",
            escape(scenario.description.trim())
        )?;
    }
    writeln!(
        page,
        "<p class=\"program\">{}</p>\n</header>",
        escape(&in_words(scenario))
    )?;
    Ok(())
}

/// The first program as a sentence.
fn in_words(scenario: &Scenario) -> String {
    format!(
        "{} For {}.",
        program_in_words(&scenario.program.program),
        spelled(scenario.duration)
    )
}

fn program_in_words(program: &protocol::Program) -> String {
    let text = ProgramText::of(program);
    let mut words = capitalised(&text.in_words());
    if let Some(fill) = text.fill {
        words.push_str(&format!("; reservoir filled with {fill}"));
    }
    words.push('.');
    words
}

fn figures(
    page: &mut String,
    scenario: &Scenario,
    outcome: &Outcome,
    summary: &Summary,
) -> Result<()> {
    page.push_str("<section class=\"figures\" aria-label=\"At a glance\">\n");
    for (drug, dose) in &summary.delivered.dose {
        figure(
            page,
            &format!("{} delivered", capitalised(drug.name())),
            &rounded_mass(*dose),
            "",
        )?;
    }
    figure(
        page,
        "Volume delivered",
        &rounded_volume(summary.delivered.volume),
        &format!("in {}", spelled(scenario.duration)),
    )?;
    let left = summary
        .reservoir
        .left
        .map_or_else(|| "unknown".to_owned(), rounded_volume);
    let lasting = match (summary.reservoir.left, outcome.samples.last()) {
        (Some(left), Some(last)) if last.prescribed > Flow::ZERO => {
            last.prescribed.time_for(left).map(|time| {
                format!(
                    "enough for {} days more",
                    time.micros() / Duration::from_days(1).micros()
                )
            })
        }
        _ => None,
    };
    figure(
        page,
        "Left in the reservoir",
        &left,
        &lasting.unwrap_or_default(),
    )?;
    let off = summary.steps.turned_minus_prescribed;
    figure(
        page,
        "Beside the basal rate",
        &if off == 0 {
            "0".to_owned()
        } else {
            signed(off)
        },
        &format!(
            "of {} motor steps; boluses, primes and bridges count here",
            grouped(summary.steps.prescribed.into())
        ),
    )?;
    page.push_str("</section>\n");
    if !summary.faults.is_empty() {
        writeln!(
            page,
            "<p class=\"alarm\" role=\"alert\"><strong>At the end the pump reports:</strong> {}.</p>",
            escape(&summary.faults.join(", "))
        )?;
    }
    Ok(())
}

fn figure(page: &mut String, label: &str, value: &str, note: &str) -> Result<()> {
    writeln!(
        page,
        "<div><p class=\"label\">{}</p><p class=\"value\">{}</p><p class=\"note\">{}</p></div>",
        escape(label),
        escape(value),
        escape(note)
    )?;
    Ok(())
}

fn totals(
    page: &mut String,
    step_volume: StepVolume,
    outcome: &Outcome,
    summary: &Summary,
) -> Result<()> {
    let steps = &summary.steps;
    let volume = |count| words::millilitres(step_volume.volume_of(count).unwrap_or(Volume::MAX));
    page.push_str("<section>\n<h2>Totals</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">What</th><th scope=\"col\" class=\"number\">Motor steps</th><th scope=\"col\" class=\"number\">Volume, mL</th><th scope=\"col\">Meaning</th></tr></thead>\n<tbody>\n");
    let counted = u64::try_from(steps.counted).unwrap_or(0);
    let rows = [
        (
            "Prescribed",
            steps.prescribed,
            "the basal rate that the program asks for, reckoned apart from the pump",
        ),
        (
            "Delivered",
            steps.turned,
            "what the rotor has really turned",
        ),
        (
            "Counted",
            counted,
            "what the pump&rsquo;s encoder has seen; after a loss of power from the last checkpoint on",
        ),
        (
            "At most",
            steps.at_most,
            "what may have been delivered; reservoir and limits reckon with it",
        ),
        (
            "Missed",
            steps.missed,
            "prescribed, not delivered and never caught up, as the pump says",
        ),
    ];
    for (what, count, meaning) in rows {
        writeln!(
            page,
            "<tr><th scope=\"row\">{what}</th><td class=\"number\">{}</td><td class=\"number\">{}</td><td>{meaning}</td></tr>",
            grouped(count.into()),
            volume(count)
        )?;
    }
    writeln!(
        page,
        "</tbody>\n</table></div>\n<p class=\"note\">The pump started {} and is {} at the end.</p>\n</section>",
        times(outcome.boots),
        escape(summary.delivery)
    )?;
    Ok(())
}

fn happenings(page: &mut String, scenario: &Scenario) -> Result<()> {
    if scenario.events.is_empty() {
        return Ok(());
    }
    page.push_str("<section>\n<h2>What the scenario does</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">After</th><th scope=\"col\">What happens</th></tr></thead>\n<tbody>\n");
    for event in &scenario.events {
        writeln!(
            page,
            "<tr><td>{}</td><td>{}</td></tr>",
            spelled(event.at),
            escape(&happening_in_words(event))
        )?;
    }
    page.push_str("</tbody>\n</table></div>\n</section>\n");
    Ok(())
}

fn happening_in_words(event: &ScenarioEvent) -> String {
    match &event.happening {
        Happening::Program(wanted) => {
            let mut words = format!("A phone programs: {}", program_in_words(&wanted.program));
            if let Some(reason) = wanted.reason {
                words.push_str(&format!(" Reason: {reason}."));
            }
            words
        }
        Happening::Restart { off } => format!(
            "The pump loses power for {} and starts again.",
            spelled(*off)
        ),
        Happening::Reset { cause } => format!(
            "The processor is reset ({}), and keeps its power.",
            cause_words(*cause)
        ),
        Happening::SetClock {
            wall, uncertainty, ..
        } => {
            format!("A phone sets the clock to {wall}, give or take {uncertainty}.")
        }
        Happening::Order(command) => order_in_words(command),
        Happening::Reverse => "The motor turns backwards from now on.".to_owned(),
        Happening::LosePulses { one_in } => {
            format!("One encoder pulse in {one_in} is lost from now on.")
        }
        Happening::Runaway { every } => {
            format!("The motor runs by itself, two steps every {every}.")
        }
        Happening::Jam { level } => {
            format!("The rotor is jammed and gives way to drive level {level}.")
        }
        Happening::RepairMotor => "The motor is without fault again.".to_owned(),
        Happening::Battery { millivolts } => {
            format!(
                "The battery gives {} V.",
                words::decimal((*millivolts).into(), 3)
            )
        }
        Happening::Stall => "The rotor stalls.".to_owned(),
        Happening::ClearStall => "The rotor turns again.".to_owned(),
        Happening::Slip { one_in } => format!("From now on one step in {one_in} slips, by chance."),
        Happening::ClearSlip => "Steps slip no more.".to_owned(),
    }
}

/// What a phone orders, as a sentence.
fn order_in_words(command: &protocol::Command) -> String {
    use protocol::Command;
    match command {
        Command::SetZone(zone) => {
            format!(
                "A phone sets local time to {} min from UTC.",
                zone.offset_min
            )
        }
        Command::OpenRefill => "A clinician opens a refill.".to_owned(),
        Command::RefillAspirated { volume_nl } => format!(
            "{} are drawn out of the reservoir.",
            Volume::from_nanolitres(*volume_nl)
        ),
        Command::CloseRefill => "The refill is ended with nothing changed.".to_owned(),
        Command::PatientBolus { .. } => "The patient asks for a bolus.".to_owned(),
        Command::ClinicianBolus(order) => format!(
            "A clinician orders a bolus of {} over {}.",
            units::Mass::from_nanograms(order.dose_ng),
            Duration::from_seconds(order.duration_s)
        ),
        Command::CancelBolus => "A clinician cancels the bolus.".to_owned(),
        Command::Prime(order) => format!("A clinician primes the {}.", order.kind),
        Command::AcknowledgeAlarm { alarm } => {
            format!("A clinician takes note of the alarm \"{alarm}\".")
        }
        Command::SilenceAlarm { alarm } => format!("The alarm \"{alarm}\" is silenced."),
        Command::MriMode { minutes } => {
            format!("A clinician sets MRI mode for {minutes} min.")
        }
        Command::EmergencyMinimumRate => "Emergency: minimum rate.".to_owned(),
        Command::ExtendTrial { days } => format!("The trial is extended by {days} days."),
        Command::DiaryEntry(entry) => format!(
            "The patient enters a score of {}{}.",
            entry.score,
            if entry.baseline {
                " from before the trial"
            } else {
                ""
            }
        ),
        other => format!("A phone orders: {}.", other.kind()),
    }
}

/// What was expected and what was found.
fn expectations(page: &mut String, outcome: &Outcome) -> Result<()> {
    if outcome.judged.is_empty() {
        return Ok(());
    }
    page.push_str("<section>\n<h2>What is expected</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">After</th><th scope=\"col\">Expected</th><th scope=\"col\">Found</th><th scope=\"col\">Holds</th></tr></thead>\n<tbody>\n");
    for judged in &outcome.judged {
        writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            spelled(judged.at),
            escape(&judged.expected),
            escape(&judged.found),
            if judged.holds {
                "yes"
            } else {
                "<strong>no</strong>"
            }
        )?;
    }
    page.push_str("</tbody>\n</table></div>\n</section>\n");
    Ok(())
}

fn journal(page: &mut String, outcome: &Outcome) -> Result<()> {
    page.push_str("<section>\n<h2>The pump&rsquo;s journal</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">Boot</th><th scope=\"col\">Time since boot</th><th scope=\"col\">Event</th></tr></thead>\n<tbody>\n");
    for entry in outcome.log.iter().take(MOST_EVENTS) {
        writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
            entry.boot,
            escape(&spelled(Duration::from_micros(entry.at.micros()))),
            escape(&log::in_words(entry))
        )?;
    }
    page.push_str("</tbody>\n</table></div>\n");
    let more = outcome.log.len().saturating_sub(MOST_EVENTS);
    if more > 0 {
        writeln!(
            page,
            "<p class=\"note\">{more} more records are in events.jsonl.</p>"
        )?;
    }
    page.push_str("</section>\n");
    Ok(())
}

fn footer(page: &mut String, scenario: &Scenario) -> Result<()> {
    writeln!(
        page,
        "<footer>\n<p>Made by thecal {} from scenario <code>{}</code>, seed {}. Beside this page: <code>summary.json</code> (totals), <code>delivery.csv</code> (the numbers behind the pictures), <code>events.jsonl</code> (the pump&rsquo;s journal). Thecal is research software, not a cleared medical device.</p>\n</footer>",
        env!("CARGO_PKG_VERSION"),
        escape(&scenario.name),
        scenario.seed
    )?;
    Ok(())
}
