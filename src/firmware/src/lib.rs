//! The Zephyr application: three threads between the C drivers and the pump.
//!
//! ```text
//!   link      frames <-> protocol::Session --commands--> delivery <--results-- journal
//!                                        <--answers---   |   |   ----records-->  |
//!                                                        |  pump::Pump         journal::Journal
//!                                                      motor                   flash
//! ```
//!
//! The threads share nothing but four bounded queues of bytes ([`message`]). Delivery never waits for another thread, takes no lock, calls no
//! Bluetooth and touches no flash; what does not fit into a queue is counted and told to the pump. The threads themselves, their
//! priorities and the fatal-error handler are C (`threads.c`, `fatal.c`), everything with `unsafe` is in the `drivers` crate.
//!
//! Order of a boot: journal recovers the state, delivery starts the motor with it, link starts the radio.
#![no_std]

// The panic handler, which ends in fatal.c.
use zephyr as _;

mod clock;
mod entry;
#[cfg(CONFIG_THECAL_FAULT_INJECTION)]
mod fault;
mod flash;
mod log_sink;
mod message;
mod threads;

/// Numbers of this image's Kconfig (build.rs).
mod kconfig {
    include!(concat!(env!("OUT_DIR"), "/kconfig.rs"));
}
