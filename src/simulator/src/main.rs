//! `thecal`: the virtual pump on the command line.

use clap::Parser;
use simulator::command_line::{Command, CommandLine};
use std::process::ExitCode;

fn main() -> ExitCode {
    // Wrong arguments end here with status 2.
    let done = match CommandLine::parse().command {
        Command::Serve(arguments) => simulator::commands::serve(&arguments),
        Command::Run(arguments) => simulator::commands::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
