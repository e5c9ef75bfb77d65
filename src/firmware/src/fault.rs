//! Breaking the firmware on purpose, for tests on native_sim.

use core::hint::black_box;
use core::ops::ControlFlow;

use crate::log_sink::say;
use drivers::device::fault::{self, Fault};

/// Does what the command line asks for when its time has come; `Break` asks the thread to end.
pub fn strike() -> ControlFlow<()> {
    match fault::due() {
        Fault::None => ControlFlow::Continue(()),
        Fault::Overflow => {
            let sum = one_too_many(black_box(u64::MAX));
            say!(error, "the overflow went unnoticed: {sum}");
            ControlFlow::Continue(())
        }
        Fault::Assert => {
            fault::fail_assertion();
            say!(error, "the failed assertion went unnoticed");
            ControlFlow::Continue(())
        }
        Fault::Return => ControlFlow::Break(()),
    }
}

#[allow(clippy::arithmetic_side_effects, reason = "to see it trap")]
fn one_too_many(number: u64) -> u64 {
    number + 1
}
