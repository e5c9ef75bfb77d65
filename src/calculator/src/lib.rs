//! A clinician's desk tool: `thecal calc`.
//!
//! Every sum is that of `therapy` and `units`, which the pump itself runs: no formula is written twice. What is here reads the inputs,
//! asks, and writes the answer, as text for people and as JSON for machines (docs/calc.md). Numbers are exact, and whatever had to be
//! rounded says so.
//!
//! ```
//! use clap::Parser;
//!
//! #[derive(Parser)]
//! struct CommandLine {
//!     #[command(flatten)]
//!     arguments: calculator::Arguments,
//! }
//!
//! let line = ["calc", "rate", "--dose", "2.5 mg/day", "--concentration", "10 mg/mL"];
//! let output = calculator::run(&CommandLine::parse_from(line).arguments).unwrap();
//! assert!(output.text().contains("0.25 mL/day"));
//! ```

mod bridge;
mod discrepancy;
mod error;
mod exact;
mod flex;
mod judge;
mod mixture;
mod output;
mod patient_bolus;
mod prime;
mod rate;
mod read;
mod refill;
mod service_life;

pub use error::Error;
pub use output::Output;

use clap::{Args, Subcommand};

/// Arguments of `thecal calc`.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// What to calculate.
    #[command(subcommand)]
    calculation: Calculation,
    /// Print one JSON object instead of text (docs/calc.md)
    #[arg(long, global = true)]
    json: bool,
}

impl Arguments {
    /// Whether JSON was asked for.
    #[must_use]
    pub const fn json(&self) -> bool {
        self.json
    }
}

/// What can be calculated.
#[derive(Clone, Debug, Subcommand)]
enum Calculation {
    /// Dose to rate and steps; the concentration of a constant-rate pump; a change in per cent
    Rate(rate::Arguments),
    /// Volume, drug, steps and time of a priming bolus
    Prime(prime::Arguments),
    /// What to give while the old drug or concentration is still in the path
    Bridge(bridge::Arguments),
    /// When to refill, three ways, and how long a reservoir lasts
    Refill(refill::Arguments),
    /// Totals of a schedule by time of day and day of the week
    Flex(flex::Arguments),
    /// Doses of the drugs that come with the primary one, and which limit binds
    Mixture(mixture::Arguments),
    /// What came out at a refill against what should have come out
    Discrepancy(discrepancy::Arguments),
    /// The most that a patient can add, and what limits it
    PatientBolus(patient_bolus::Arguments),
    /// When the pump has to be replaced
    ServiceLife(service_life::Arguments),
}

/// Calculates.
///
/// # Errors
/// [`Error::Input`] for arguments that do not fit together, [`Error::Refused`] for what the pump's rules refuse.
pub fn run(arguments: &Arguments) -> Result<Output, Error> {
    match &arguments.calculation {
        Calculation::Rate(arguments) => rate::run(arguments),
        Calculation::Prime(arguments) => prime::run(arguments),
        Calculation::Bridge(arguments) => bridge::run(arguments),
        Calculation::Refill(arguments) => refill::run(arguments),
        Calculation::Flex(arguments) => flex::run(arguments),
        Calculation::Mixture(arguments) => mixture::run(arguments),
        Calculation::Discrepancy(arguments) => discrepancy::run(arguments),
        Calculation::PatientBolus(arguments) => patient_bolus::run(arguments),
        Calculation::ServiceLife(arguments) => service_life::run(arguments),
    }
}
