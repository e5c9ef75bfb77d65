//! The virtual pump: the pump's own core on virtual hardware, and the `thecal` command line.
//!
//! - [`world`]: pump, link session, journal, motor core and rotor in C, flash, and the loop that runs them in order of time.
//! - [`scenario`], [`run`], [`report`]: from a TOML file to a folder with totals, events, a table and a page.
//! - [`serve`]: the same world paced against real time, for the phone page.
//!
//! Nothing below `world` knows that it is simulated.

pub mod command_line;
pub mod commands;
mod ledger;
mod phone;
mod progress;
mod record_words;
pub mod report;
pub mod run;
pub mod scenario;
pub mod serve;
mod words;
pub mod world;
