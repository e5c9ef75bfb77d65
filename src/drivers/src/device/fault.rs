//! Breaking the firmware on purpose: only in images with `CONFIG_THECAL_FAULT_INJECTION`, on native_sim.

use crate::bindings;

/// What the command line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing, or not yet.
    None,
    /// An addition that does not fit.
    Overflow,
    /// A failed assertion in C.
    Assert,
    /// The end of the thread that asks.
    Return,
}

/// What is to happen now; each fault is told once.
#[must_use]
pub fn due() -> Fault {
    // SAFETY: takes nothing and gives a plain number; called by one thread.
    match unsafe { bindings::thecal_fault_due() } {
        bindings::THECAL_FAULT_OVERFLOW => Fault::Overflow,
        bindings::THECAL_FAULT_ASSERT => Fault::Assert,
        bindings::THECAL_FAULT_RETURN => Fault::Return,
        _ => Fault::None,
    }
}

/// Fails an assertion in C.
pub fn fail_assertion() {
    // SAFETY: takes and gives nothing; ends in the fatal handler.
    unsafe { bindings::thecal_fault_assert() }
}
