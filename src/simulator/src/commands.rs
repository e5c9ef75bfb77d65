//! What the commands of `thecal` do.

use crate::command_line::{LogArguments, LogChoice, RunArguments, ServeArguments};
use crate::history::{self, Output, Source};
use crate::progress::{Progress, Reading};
use crate::report::{self, Destination, FILES};
use crate::scenario::Scenario;
use crate::{key_file, run, serve};
use anyhow::{Context, Result, bail};
use journal::Log;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

/// `thecal run`.
///
/// # Errors
/// A scenario that is wrong, a folder that is taken, a run that fails.
pub fn run(arguments: &RunArguments) -> Result<()> {
    // An expectation that does not hold is an error, told when the report is written.
    let scenario = Scenario::load(&arguments.scenario)?;
    let destination = match &arguments.report {
        Some(path) => Destination::Folder {
            path: path.clone(),
            replace: arguments.force,
        },
        None => Destination::NextFree {
            path: Path::new("reports").join(&scenario.name),
        },
    };
    let folder = destination.find()?;
    let mut progress = Progress::new(scenario.duration);
    let outcome = run::run(&scenario, |reached| progress.reached(reached));
    progress.end();
    let outcome = outcome.with_context(|| arguments.scenario.display().to_string())?;
    let summary = report::write(&folder, &scenario, &outcome)?;
    println!("{}", scenario.title);
    println!("{}", summary.in_short());
    for name in FILES {
        println!("  {}", folder.join(name).display());
    }
    let broken: Vec<String> = outcome
        .judged
        .iter()
        .filter(|judged| !judged.holds)
        .map(run::Judged::in_words)
        .collect();
    if !broken.is_empty() {
        bail!(
            "{} of {} expectations do not hold: {}",
            broken.len(),
            outcome.judged.len(),
            broken.join("; ")
        );
    }
    Ok(())
}

/// `thecal serve`.
///
/// # Errors
/// A port that is taken, a page that is not there, a flash image that cannot be used.
pub fn serve(arguments: &ServeArguments) -> Result<()> {
    serve::serve(serve::Options {
        port: arguments.port,
        speed: arguments.speed,
        page: arguments.page.clone(),
        flash: arguments.flash.clone(),
    })
}

/// `thecal log`. Whether the log is whole.
///
/// # Errors
/// A source that cannot be read, a folder that cannot take the export.
pub fn log(arguments: &LogArguments) -> Result<bool> {
    let output = match &arguments.output {
        Some(folder) => Output::Folder(folder.clone()),
        None if arguments.check => Output::Nowhere,
        None => Output::ByName,
    };
    let source = source(arguments)?;
    let credentials = match &source {
        Source::FlashFile(_) | Source::Export(_) => None,
        _ => {
            Some(key_file::find(arguments.key.as_deref(), arguments.pump.as_deref())?.credentials())
        }
    };
    let options = history::Options {
        source,
        credentials,
        log: arguments.log.map(|log| match log {
            LogChoice::Events => Log::Events,
            LogChoice::Critical => Log::Critical,
        }),
        output,
        key: arguments.log_key.clone(),
        save_key: arguments.save_log_key.clone(),
    };
    let mut progress = Reading::new();
    let report = history::run(&options, &mut |done, of| progress.reached(done, of));
    progress.end();
    let report = report?;
    let mut text = if arguments.json {
        serde_json::to_string(&report.json())?
    } else {
        report.in_words()
    };
    if arguments.json {
        text.push('\n');
    }
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever reads has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        written => written.context("standard output")?,
    }
    Ok(report.is_whole())
}

/// `thecal calc`. Its statuses are its own: a refusal by the pump's rules is no wrong argument.
#[must_use]
pub fn calc(arguments: &calculator::Arguments) -> ExitCode {
    match calculator::run(arguments) {
        Ok(output) => {
            let text = output.render(arguments.json());
            // Whoever reads has read enough.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn source(arguments: &LogArguments) -> Result<Source> {
    #[cfg(feature = "bluetooth")]
    if let Some(name) = &arguments.bluetooth {
        return Ok(Source::Bluetooth(name.clone()));
    }
    match (&arguments.connect, &arguments.source) {
        (Some(address), _) => Ok(Source::Loopback(address.clone())),
        (None, Some(path)) => Ok(Source::of_path(path)),
        (None, None) => bail!("a flash file, an export or a link is wanted"),
    }
}
