//! The phone page's logic: what may be entered, what is shown, and the dialogue that programs a pump.
//!
//! The page compiles the pump's own crates to WebAssembly, so that a dose is read, checked and added up by the same code on
//! both sides; JavaScript moves bytes and texts and never does arithmetic on a dose. Nothing here reads a clock or touches a
//! carrier: a [`Programmer`] is driven by its caller, on a phone (`page.rs`) and in a test alike.
//!
//! | module | what it does |
//! |---|---|
//! | [`form`] | reads the texts of the form into a program, with the pump's own checks |
//! | [`readout`] | turns the pump's status into what is shown |
//! | [`review`] | sets the pump's read-back beside the program in force and against what was entered |
//! | [`programmer`] | interrogate, stage, review, commit, and what became of the commit |
//! | [`text`], [`change`] | exact decimals in the unit a drug is spoken of; percent change |

pub mod change;
pub mod form;
pub mod page;
pub mod programmer;
pub mod readout;
pub mod review;
pub mod text;

#[cfg(test)]
mod test_pump;

pub use form::{Checked, Form};
pub use programmer::{Event, Pending, Programmer};
pub use readout::Readout;
pub use review::Review;
