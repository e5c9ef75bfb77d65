//! The virtual pump: the pump's own core on virtual hardware, and the `thecal` command line.
//!
//! - [`world`]: pump, link session, journal, motor core and rotor in C, flash, and the loop that runs them in order of time.
//! - [`scenario`], [`run`], [`report`]: from a TOML file to a folder with totals, events, a table and a page.
//! - [`serve`]: the same world paced against real time, for the phone page.
//! - [`history`]: a pump's log, read from its flash or over a [`carrier`], verified and exported.
//!
//! Nothing below `world` knows that it is simulated.

pub mod carrier;
pub mod command_line;
pub mod commands;
pub mod history;
pub mod key_file;
mod ledger;
mod phone;
mod progress;
mod record_words;
pub mod report;
pub mod run;
pub mod scenario;
pub mod serve;
pub mod session;
#[cfg(test)]
mod test_pump;
mod words;
pub mod world;
