//! `thecal`: the virtual pump, and a programmer of pumps, on the command line.

use clap::Parser;
use simulator::command_line::{Command, CommandLine};
use simulator::programming;
use std::process::ExitCode;

/// The status of a log that was read and is not whole.
const NOT_WHOLE: u8 = 3;

fn main() -> ExitCode {
    // Wrong arguments end here with status 2.
    let done = match CommandLine::parse().command {
        Command::Serve(arguments) => simulator::commands::serve(&arguments).map(|()| true),
        Command::Run(arguments) => simulator::commands::run(&arguments).map(|()| true),
        Command::Log(arguments) => simulator::commands::log(&arguments),
        Command::Connect(arguments) => return programming::connect(&arguments),
        Command::Status(arguments) => return programming::status(&arguments),
        Command::Program(arguments) => return programming::program(&arguments),
        Command::Bolus(arguments) => return programming::bolus(&arguments),
        Command::Alarms(arguments) => return programming::alarms(&arguments),
        Command::Enroll(arguments) => return programming::enroll(&arguments),
        Command::Keys(arguments) => return programming::keys(&arguments),
        Command::Card(arguments) => return programming::card(&arguments),
        Command::Pack(arguments) => return programming::pack(&arguments),
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
