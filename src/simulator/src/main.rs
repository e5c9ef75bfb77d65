//! `thecal`: the virtual pump, and a programmer of pumps, on the command line.

use clap::Parser;
use simulator::command_line::{Command, CommandLine};
use simulator::programming;
use simulator::programming::arguments::{SECRET, is_secret};
use simulator::programming::ended::Stopped;
use std::process::ExitCode;

/// The status of a log that was read and is not whole.
const NOT_WHOLE: u8 = 3;
/// As of everything that is wrong with arguments.
const WRONG_ARGUMENTS: u8 = 2;

fn main() -> ExitCode {
    if is_secret(std::env::args_os()) {
        eprintln!("error: {SECRET}");
        return ExitCode::from(WRONG_ARGUMENTS);
    }
    // Wrong arguments end here with status 2.
    let done = match CommandLine::parse().command {
        Command::Serve(arguments) => simulator::commands::serve(&arguments).map(|()| true),
        Command::Run(arguments) => simulator::commands::run(&arguments).map(|()| true),
        Command::Log(arguments) => simulator::commands::log(&arguments).inspect_err(|error| {
            if arguments.json {
                println!("{}", Stopped::not_done(format!("{error:#}")).json());
            }
        }),
        Command::Connect(arguments) => return programming::connect(&arguments),
        Command::Status(arguments) => return programming::status(&arguments),
        Command::Program(arguments) => return programming::program(&arguments),
        Command::Bolus(arguments) => return programming::bolus(&arguments),
        Command::Alarms(arguments) => return programming::alarms(&arguments),
        Command::Clock(arguments) => return programming::clock(&arguments),
        Command::Catheter(arguments) => return programming::catheter(&arguments),
        Command::Refill(arguments) => return programming::refill(&arguments),
        Command::Prime(arguments) => return programming::prime(&arguments),
        Command::Commission(arguments) => return programming::commission(&arguments),
        Command::MinimumRate(arguments) => return programming::minimum_rate(&arguments),
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
