//! `thecal`: the virtual pump on the command line.

use clap::Parser;
use simulator::command_line::{Command, CommandLine};
use std::process::ExitCode;

/// The status of a log that was read and is not whole.
const NOT_WHOLE: u8 = 3;

fn main() -> ExitCode {
    // Wrong arguments end here with status 2.
    let done = match CommandLine::parse().command {
        Command::Serve(arguments) => simulator::commands::serve(&arguments).map(|()| true),
        Command::Run(arguments) => simulator::commands::run(&arguments).map(|()| true),
        Command::Log(arguments) => simulator::commands::log(&arguments),
        Command::Calc(arguments) => return simulator::commands::calc(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOT_WHOLE),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
