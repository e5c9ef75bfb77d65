//! The functions that C calls: `rust_main` from Zephyr's `main`, the others from `threads.c`.
// Exporting a function by name is `unsafe` to the compiler, because two of one name would be one; the names are prefixed, and a test looks
// for doubles among all symbols. The only such attributes outside of the drivers' crate.
#![allow(unsafe_code, reason = "export by name")]

use crate::{log_sink, threads};

/// Zephyr's `main`: everything goes on in the threads.
#[unsafe(no_mangle)]
extern "C" fn rust_main() {
    log_sink::install();
    drivers::device::system::start_threads();
}

/// The delivery thread. Essential: returning is a fatal error.
#[unsafe(no_mangle)]
extern "C" fn thecal_rs_delivery() {
    threads::delivery::run();
}

/// The journal thread. Essential: returning is a fatal error.
#[unsafe(no_mangle)]
extern "C" fn thecal_rs_journal() {
    threads::journal::run();
}

/// The link thread. Essential: returning is a fatal error.
#[cfg(CONFIG_THECAL_LINK)]
#[unsafe(no_mangle)]
extern "C" fn thecal_rs_link() {
    threads::link::run();
}
