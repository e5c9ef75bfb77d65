//! The phone page's logic: what may be entered, what is shown, and the dialogue that programs a pump.
//!
//! The page compiles the pump's own crates to WebAssembly, so that a dose is read, checked and added up by the same code on
//! both sides; JavaScript moves bytes and texts and never does arithmetic on a dose. Nothing here reads a clock or touches a
//! carrier: a [`Programmer`] is driven by its caller, on a phone (`page.rs`) and in a test alike.
//!
//! | module | what it does |
//! |---|---|
//! | [`form`] | reads the texts of the form into a program, with the pump's own checks |
//! | [`keys`] | reads the codes that enrol a phone; the keys of others |
//! | [`qr`] | reads such a code out of a camera's picture |
//! | [`act`] | reads the texts of every other order: bolus, refill, catheter, prime, commissioning |
//! | [`reckon`] | what a program means, by the pump's own crates: flows and 24-hour totals |
//! | [`readout`], [`therapy_view`] | turn the pump's status, and what it says of therapy, into what is shown |
//! | [`card_view`] | the emergency card |
//! | [`review`] | sets the pump's read-back beside the program in force and against what was entered |
//! | [`programmer`] | interrogate, stage, review, commit, order, and what became of each |
//! | [`settings`] | a program in words |
//! | [`text`], [`change`] | exact decimals in the unit a drug is spoken of; percent change |

pub mod act;
pub mod card_view;
pub mod change;
pub mod form;
pub mod keys;
pub mod page;
pub mod programmer;
pub mod qr;
pub mod readout;
pub mod reckon;
pub mod review;
pub mod settings;
pub mod text;
pub mod therapy_view;

#[cfg(test)]
mod test_pump;

pub use act::Act;
pub use form::{Checked, Form};
pub use programmer::{Event, Pending, Programmer};
pub use readout::Readout;
pub use review::Review;
