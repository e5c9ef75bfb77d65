//! What the commands of `thecal` do.

use crate::command_line::{RunArguments, ServeArguments};
use crate::progress::Progress;
use crate::report::{self, Destination, FILES};
use crate::scenario::Scenario;
use crate::{run, serve};
use anyhow::{Context, Result};
use std::path::Path;

/// `thecal run`.
///
/// # Errors
/// A scenario that is wrong, a folder that is taken, a run that fails.
pub fn run(arguments: &RunArguments) -> Result<()> {
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
