//! The command line of `thecal`.

use crate::serve::{HIGHEST_SPEED, LOWEST_SPEED};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// A virtual intrathecal pump: the pump's own firmware on virtual hardware.
///
/// Research software, not a cleared medical device.
#[derive(Debug, Parser)]
#[command(name = "thecal", version, max_term_width = 100)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `thecal` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a virtual pump that a phone page can talk to; stops on Ctrl-C
    Serve(ServeArguments),
    /// Run a scenario to its end and write a report
    Run(RunArguments),
}

/// Arguments of `thecal serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArguments {
    /// Port on 127.0.0.1; 0 takes any free one
    #[arg(long, default_value_t = 8480, value_name = "PORT")]
    pub port: u16,
    /// How many times faster than real the pump's time runs, 1 to 100000
    #[arg(long, default_value_t = LOWEST_SPEED, value_name = "N",
          value_parser = clap::value_parser!(u32).range(i64::from(LOWEST_SPEED)..=i64::from(HIGHEST_SPEED)))]
    pub speed: u32,
    /// Folder with the files of the phone page
    #[arg(long, value_name = "DIR")]
    pub page: Option<PathBuf>,
    /// Flash image that is kept across runs, made if it is not there; without it the pump forgets everything at the end
    #[arg(long, value_name = "FILE")]
    pub flash: Option<PathBuf>,
}

/// Arguments of `thecal run`.
#[derive(Clone, Debug, Args)]
pub struct RunArguments {
    /// Scenario file (docs/scenarios.md)
    #[arg(value_name = "SCENARIO")]
    pub scenario: PathBuf,
    /// Folder for the report [default: reports/NAME of the scenario, numbered if that is taken]
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Replace an earlier report in the folder named by --report
    #[arg(long, requires = "report")]
    pub force: bool,
}
