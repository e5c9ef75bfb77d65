//! `report.html`: what a reader wants to know of a log, the verdict first.

use super::check::{Checked, HeadState};
use super::entry::Entry;
use super::finding::Finding;
use super::reading::Signature;
use crate::report::{STYLE, escape, grouped, spelled};
use crate::words::capitalised;
use anyhow::Result;
use journal::Log;
use std::collections::BTreeMap;
use std::fmt::Write;
use units::{Clock, Duration};

const OWN_STYLE: &str = include_str!("log.css");
/// Rows of the table of events; the rest is in `events.csv`.
const MOST_EVENTS: usize = 2000;

/// The page.
pub(super) fn html(log: Log, checked: &Checked) -> Result<String> {
    let mut page = String::new();
    let title = match log {
        Log::Events => "Log of all events",
        Log::Critical => "Log of critical events",
    };
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>\n{STYLE}{OWN_STYLE}</style>\n</head>\n<body>\n<main>\n"
    )?;
    header(&mut page, title, checked)?;
    verdict(&mut page, checked)?;
    head(&mut page, checked)?;
    notes(&mut page, checked)?;
    counts(&mut page, checked)?;
    events(&mut page, log, checked)?;
    readings(&mut page, checked)?;
    footer(&mut page)?;
    page.push_str("</main>\n</body>\n</html>\n");
    Ok(page)
}

fn header(page: &mut String, title: &str, checked: &Checked) -> Result<()> {
    writeln!(
        page,
        "<header>\n<p class=\"kind\">Thecal &middot; a pump&rsquo;s log as it was read</p>\n<h1>{title}</h1>"
    )?;
    let mut words = capitalised(&checked.range_in_words());
    if let Some((from, to)) = days(&checked.entries) {
        write!(words, ", {from} to {to}")?;
    }
    words.push('.');
    if let Some(reading) = checked.readings.last() {
        write!(
            words,
            " Read on {} from {}.",
            moment(&reading.at),
            reading.source
        )?;
    }
    writeln!(page, "<p class=\"about\">{}</p>\n</header>", escape(&words))?;
    Ok(())
}

/// The first and the last time of day that the pump knew.
fn days(entries: &[Entry]) -> Option<(String, String)> {
    let mut known = entries.iter().filter_map(Entry::wall);
    let first = known.next()?;
    let last = known.next_back().unwrap_or_else(|| first.clone());
    Some((moment(&first), moment(&last)))
}

/// `2026-01-05T10:00:00.950Z` as `2026-01-05 10:00:00 UTC`: no reader asks for less than a second, and the files have it.
fn moment(iso: &str) -> String {
    let (day, time) = iso.split_once('T').unwrap_or((iso, ""));
    let time = time.split_once('.').map_or(time, |(seconds, _)| seconds);
    format!("{day} {time} UTC")
}

/// A length of time in whole seconds.
fn length(time: Duration) -> String {
    spelled(Duration::from_millis(
        time.seconds_rounded_down().saturating_mul(1000),
    ))
}

fn verdict(page: &mut String, checked: &Checked) -> Result<()> {
    if checked.findings.is_empty() {
        let (title, words) = match checked.range() {
            None => (
                "Nothing was logged",
                "The log is empty, and nothing is wrong with it.".to_owned(),
            ),
            Some((first, last)) => (
                "The chain is whole",
                format!(
                    "No record from {first} to {last} is missing, and each follows the one before it."
                ),
            ),
        };
        writeln!(
            page,
            "<section class=\"verdict whole\">\n<h2>{title}</h2>\n<p>{words}</p>\n</section>"
        )?;
        return Ok(());
    }
    let count = checked.findings.len();
    writeln!(
        page,
        "<section class=\"verdict broken\" role=\"alert\">\n<h2>The log is not whole: {count} {}</h2>\n<ol>",
        if count == 1 { "finding" } else { "findings" }
    )?;
    for finding in &checked.findings {
        writeln!(
            page,
            "<li><strong>{}.</strong> {}</li>",
            escape(&capitalised(&finding.to_string())),
            escape(finding.meaning())
        )?;
    }
    page.push_str("</ol>\n</section>\n");
    Ok(())
}

fn head(page: &mut String, checked: &Checked) -> Result<()> {
    page.push_str("<section>\n<h2>The end of the log</h2>\n");
    let Some((head, signature, state)) = &checked.head else {
        page.push_str("<p>It is not signed. Nothing shows whether newer records were left away.</p>\n</section>\n");
        return Ok(());
    };
    let belongs = match state {
        HeadState::Same => match checked.vouched() {
            Some((from, to)) => format!(
                "and that is the end of records {from} to {to}; it says nothing of those before"
            ),
            None => "and that is the end of exactly these records".to_owned(),
        },
        HeadState::Other => "and that is <strong>not</strong> the end of these records".to_owned(),
        HeadState::Elsewhere => {
            "and that is <strong>not</strong> where these records end".to_owned()
        }
        HeadState::Unknown => {
            "which cannot be compared, because the chain before it is not known".to_owned()
        }
    };
    let signed = match signature {
        Signature::NotChecked => {
            "The signature was <strong>not checked</strong>: there was no key."
        }
        Signature::Good => {
            "The signature is good: it was made with the key that it was checked with."
        }
        Signature::Wrong => {
            "The signature was <strong>not</strong> made with the key that it was checked with."
        }
    };
    writeln!(
        page,
        "<p>Record {} was signed as the newest in boot {}, {belongs}. {signed}</p>\n</section>",
        head.sequence, head.boot
    )?;
    Ok(())
}

fn notes(page: &mut String, checked: &Checked) -> Result<()> {
    let notes = checked.notes();
    if notes.is_empty() {
        return Ok(());
    }
    page.push_str("<section>\n<h2>Worth knowing</h2>\n<ul>\n");
    for note in notes {
        writeln!(page, "<li>{}.</li>", escape(&capitalised(&note)))?;
    }
    page.push_str("</ul>\n</section>\n");
    Ok(())
}

fn counts(page: &mut String, checked: &Checked) -> Result<()> {
    if checked.entries.is_empty() {
        return Ok(());
    }
    let mut counts: BTreeMap<(&str, bool), (u32, &Entry)> = BTreeMap::new();
    for entry in &checked.entries {
        let critical = entry.critical() == Some(true);
        let (count, last) = counts
            .entry((entry.event(), critical))
            .or_insert((0, entry));
        *count += 1;
        *last = entry;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|((event, critical), (count, _))| {
        (!critical, std::cmp::Reverse(*count), *event)
    });
    page.push_str("<section>\n<h2>What happened, and how often</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">Event</th><th scope=\"col\" class=\"number\">Times</th><th scope=\"col\">Last</th></tr></thead>\n<tbody>\n");
    for ((event, critical), (count, last)) in counts {
        writeln!(
            page,
            "<tr{}><th scope=\"row\">{}{}</th><td class=\"number\">{}</td><td>{}</td></tr>",
            row_class(critical),
            escape(&capitalised(event)),
            mark(critical),
            grouped(count.into()),
            when(last)
        )?;
    }
    page.push_str("</tbody>\n</table></div>\n</section>\n");
    Ok(())
}

const fn row_class(critical: bool) -> &'static str {
    if critical { " class=\"critical\"" } else { "" }
}

const fn mark(critical: bool) -> &'static str {
    if critical {
        " <span class=\"mark\">critical</span>"
    } else {
        ""
    }
}

fn since_start(entry: &Entry) -> Duration {
    Duration::from_micros(entry.monotonic.micros())
}

/// The time of day as far as it is known, else the time since the boot.
fn when(entry: &Entry) -> String {
    let since = || format!("boot {}, {}", entry.boot, length(since_start(entry)));
    let text = match (entry.clock, entry.wall()) {
        (Clock::Known { .. }, Some(wall)) => moment(&wall),
        (Clock::Suspect { .. }, Some(wall)) => format!("{} (doubtful)", moment(&wall)),
        (Clock::Lost, _) | (_, None) => since(),
    };
    escape(&text)
}

fn events(page: &mut String, log: Log, checked: &Checked) -> Result<()> {
    if checked.entries.is_empty() {
        return Ok(());
    }
    page.push_str("<section>\n<h2>Events, the newest first</h2>\n");
    if log == Log::Events {
        page.push_str("<p class=\"filter\"><label><input type=\"checkbox\" id=\"only\"> Critical events only</label></p>\n");
    }
    page.push_str("<div class=\"scroll\"><table class=\"events\">\n<thead><tr><th scope=\"col\" class=\"number\">Record</th><th scope=\"col\">When</th><th scope=\"col\">Since start</th><th scope=\"col\">What</th><th scope=\"col\" class=\"number\">Session</th></tr></thead>\n<tbody>\n");
    // A finding stands above the first record that it touches or, of missing ones, below the first behind them.
    let mut findings: Vec<&Finding> = checked
        .findings
        .iter()
        .filter(|finding| finding.at().is_some())
        .collect();
    findings.sort_by_key(|finding| finding.at());
    let mut boot = None;
    for entry in checked.entries.iter().rev().take(MOST_EVENTS) {
        while findings
            .last()
            .is_some_and(|finding| finding.at() > Some(entry.sequence))
        {
            if let Some(finding) = findings.pop() {
                finding_row(page, finding)?;
            }
        }
        if boot != Some(entry.boot) {
            writeln!(
                page,
                "<tr class=\"boot\"><td colspan=\"5\">Boot {}</td></tr>",
                entry.boot
            )?;
        }
        boot = Some(entry.boot);
        event_row(page, log, entry)?;
        while findings
            .last()
            .is_some_and(|finding| finding.at() == Some(entry.sequence))
        {
            if let Some(finding) = findings.pop() {
                finding_row(page, finding)?;
            }
        }
    }
    page.push_str("</tbody>\n</table></div>\n");
    let more = checked.entries.len().saturating_sub(MOST_EVENTS);
    if more > 0 {
        writeln!(
            page,
            "<p class=\"note\">{} older records are in events.csv and events.jsonl.</p>",
            grouped(u128::try_from(more).unwrap_or_default())
        )?;
    }
    page.push_str("</section>\n");
    Ok(())
}

fn event_row(page: &mut String, log: Log, entry: &Entry) -> Result<()> {
    let critical = entry.critical() == Some(true);
    let time = match entry.clock {
        Clock::Known { .. } => {
            let uncertainty = entry
                .uncertainty()
                .map(|uncertainty| {
                    format!(
                        " <span class=\"quiet\">&plusmn; {}</span>",
                        spelled(uncertainty)
                    )
                })
                .unwrap_or_default();
            format!("{}{uncertainty}", when(entry))
        }
        Clock::Suspect { .. } => when(entry),
        Clock::Lost => "<span class=\"quiet\">not known</span>".to_owned(),
    };
    writeln!(
        page,
        "<tr{}><td class=\"number\">{}</td><td>{time}</td><td>{}</td><td>{}{}</td><td class=\"number\">{}</td></tr>",
        row_class(critical && log == Log::Events),
        entry.sequence,
        length(since_start(entry)),
        escape(&entry.in_words()),
        mark(critical && log == Log::Events),
        entry
            .session()
            .map(|session| session.to_string())
            .unwrap_or_default()
    )?;
    Ok(())
}

fn finding_row(page: &mut String, finding: &Finding) -> Result<()> {
    writeln!(
        page,
        "<tr class=\"break\"><td colspan=\"5\">{}</td></tr>",
        escape(&capitalised(&finding.to_string()))
    )?;
    Ok(())
}

fn readings(page: &mut String, checked: &Checked) -> Result<()> {
    page.push_str("<section>\n<h2>Readings</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">When</th><th scope=\"col\">From</th><th scope=\"col\" class=\"number\">Up to record</th><th scope=\"col\">Signature</th></tr></thead>\n<tbody>\n");
    for reading in &checked.readings {
        let signature = match (&reading.head, reading.signature) {
            (None, _) => "none",
            (Some(_), Signature::NotChecked) => "not checked",
            (Some(_), Signature::Good) => "good",
            (Some(_), Signature::Wrong) => "wrong",
        };
        writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td class=\"number\">{}</td><td>{signature}</td></tr>",
            escape(&moment(&reading.at)),
            escape(&reading.source),
            reading.to.map(|to| to.to_string()).unwrap_or_default()
        )?;
    }
    page.push_str("</tbody>\n</table></div>\n</section>\n");
    Ok(())
}

fn footer(page: &mut String) -> Result<()> {
    writeln!(
        page,
        "<footer>\n<p>Made by thecal {}. Beside this page: <code>events.csv</code> and <code>events.jsonl</code> (every record), <code>verification.json</code> (the findings for programs) and <code>records.bin</code> (the records as the pump stored them: what counts, and what <code>thecal log</code> verifies again). A whole chain says that the log was not changed after it was written, not that what it says is true. Thecal is research software, not a cleared medical device.</p>\n</footer>",
        env!("CARGO_PKG_VERSION")
    )?;
    Ok(())
}
