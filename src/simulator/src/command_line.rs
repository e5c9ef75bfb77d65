//! The command line of `thecal`.

use crate::serve::{HIGHEST_SPEED, LOWEST_SPEED};
use clap::{Args, Parser, Subcommand, ValueEnum};
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
    /// Read a pump's log, verify its chain and export it
    ///
    /// Reads a flash file (of a virtual pump, of native_sim, or of a whole chip), a pump over its link, or an export made earlier, which is
    /// verified again. The export is a folder with records.bin, events.jsonl, events.csv, report.html and verification.json; a folder that
    /// holds an export of the same log gets what is new.
    #[command(after_help = LOG_STATUS)]
    Log(LogArguments),
    /// Do a clinician's sums: rate, prime, bridge, refill and the like, exactly and with the formula used (docs/calc.md)
    #[command(after_help = CALC_STATUS)]
    Calc(Box<calculator::Arguments>),
}

/// How `thecal calc` ends.
const CALC_STATUS: &str = "Exit status: 0 there is an answer; 1 the pump's rules refuse it; 2 wrong arguments (docs/calc.md)";

/// How `thecal log` ends.
const LOG_STATUS: &str = "Exit status: 0 the log is whole; 1 it could not be read or written; 2 wrong arguments; \
3 it was read, and something in it is not as the pump wrote it (docs/log.md)";

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

/// Arguments of `thecal log`.
#[derive(Clone, Debug, Args)]
pub struct LogArguments {
    /// Flash file, or folder of an export
    #[arg(value_name = "SOURCE", required_unless_present_any = LINKS)]
    pub source: Option<PathBuf>,
    /// Read a running virtual pump over its link instead
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "source", value_parser = host_and_port)]
    pub connect: Option<String>,
    /// Read a pump over Bluetooth instead, by its name or address
    #[cfg(feature = "bluetooth")]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["source", "connect"])]
    pub bluetooth: Option<String>,
    /// Which log [default: events, or what an export holds]
    #[arg(long, value_name = "LOG")]
    pub log: Option<LogChoice>,
    /// Folder for the export [default: logs/ and the name of the source; nothing for a source that is an export]
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Verify and write nothing
    #[arg(long, conflicts_with = "output")]
    pub check: bool,
    /// Programmer's key to read a pump over its link with [default: as for `thecal status`]
    #[arg(long, value_name = "FILE", conflicts_with = "source")]
    pub key: Option<PathBuf>,
    /// Take the key that is kept for the pump with this fingerprint, or the beginning of it
    #[arg(long, value_name = "FINGERPRINT", conflicts_with_all = ["source", "key"])]
    pub pump: Option<String>,
    /// Log key to check the signed end with: a file with 64 hexadecimal digits
    #[arg(long, value_name = "FILE")]
    pub log_key: Option<PathBuf>,
    /// Save the log key of a flash file to a new file that only its owner can read. Whoever has it can sign in the pump's name
    #[arg(long, value_name = "FILE", conflicts_with_all = LINKS)]
    pub save_log_key: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// The arguments that name a link.
#[cfg(feature = "bluetooth")]
const LINKS: [&str; 2] = ["connect", "bluetooth"];
#[cfg(not(feature = "bluetooth"))]
const LINKS: [&str; 1] = ["connect"];

/// A log by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogChoice {
    /// Every event, the newest some ten thousand
    Events,
    /// The critical events, at least the last 400
    Critical,
}

/// `HOST:PORT`, as text.
fn host_and_port(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port))
            if !host.is_empty()
                && !host.contains(['/', ' ', '@'])
                && port.parse::<u16>().is_ok_and(|port| port > 0) =>
        {
            Ok(text.to_owned())
        }
        Some(_) | None => Err(
            "HOST:PORT is wanted, with a port from 1 to 65535, for example 127.0.0.1:8480"
                .to_owned(),
        ),
    }
}
