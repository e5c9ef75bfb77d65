//! The command line of `thecal`.

use crate::programming::arguments::{
    AlarmsArguments, BolusArguments, CardArguments, CatheterArguments, ClockArguments,
    CommissionArguments, EnrollArguments, KeyArguments, KeysArguments, MinimumRateArguments,
    PackArguments, PrimeArguments, ProgramArguments, RefillArguments, STATUS, link_address,
};
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
    /// Open a session with a pump and say who it is, in which role you speak, and what to look at
    #[command(after_help = STATUS)]
    Connect(KeyArguments),
    /// Show what a pump does, and what it says of its therapy
    #[command(after_help = STATUS)]
    Status(KeyArguments),
    /// Send a program to a pump, show what the pump reads back, and put it into force when that is confirmed
    #[command(after_help = STATUS)]
    Program(Box<ProgramArguments>),
    /// Give a bolus: a clinician's with its dose, a patient's as the program allots it
    #[command(after_help = STATUS)]
    Bolus(BolusArguments),
    /// Show a pump's alarms, take note of one, or keep one quiet
    #[command(after_help = STATUS)]
    Alarms(AlarmsArguments),
    /// Set a pump's clock and time zone to this computer's
    #[command(after_help = STATUS)]
    Clock(ClockArguments),
    /// Show what is in the path to the catheter's tip, or tell the pump its catheter
    #[command(after_help = STATUS)]
    Catheter(CatheterArguments),
    /// The steps of a refill: open it, store what was aspirated, or close one in which nothing was changed
    #[command(after_help = STATUS)]
    Refill(RefillArguments),
    /// Fill a pump's tubing or catheter
    #[command(after_help = STATUS)]
    Prime(PrimeArguments),
    /// Make a pump that is new from the factory one of a kind, once
    #[command(after_help = STATUS)]
    Commission(CommissionArguments),
    /// In an emergency: go to minimum rate at once, and stay there until the pump is programmed again
    #[command(after_help = STATUS)]
    MinimumRate(MinimumRateArguments),
    /// Make a key and let a pump know it, with the text of its sterile pack or implant card, while the magnet's window is open
    #[command(after_help = STATUS)]
    Enroll(EnrollArguments),
    /// Show the keys that a pump lets in, grant one, or revoke one
    #[command(after_help = STATUS)]
    Keys(KeysArguments),
    /// Read a pump's emergency card, without a key, while the magnet's window is open
    #[command(after_help = STATUS)]
    Card(CardArguments),
    /// Make the identity of a new pump, as its production line does
    #[command(after_help = STATUS)]
    Pack(PackArguments),
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
    #[arg(long, value_name = "ADDRESS", conflicts_with = "source", value_parser = link_address)]
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
