//! The C drivers as Rust sees them: the only crate with unsafe code.
//!
//! `include/thecal/*.h` is the contract; `build.rs` makes the bindings from it and checks every layout. What this crate
//! gives out is safe: plain numbers and [`units`] types in, enums with a documented meaning out.
//!
//! * [`motor`]: orders, status and errors of the motor; on hosts also the emulated motor as an object.
//! * `device`: the drivers of the machine this runs on, for the firmware alone (`target_os = "none"`).
//!
//! The C cores are compiled here on hosts only; on the device Zephyr's build brings them.
#![no_std]
#![cfg_attr(
    target_family = "wasm",
    allow(dead_code, reason = "a browser has no motor, real or emulated")
)]

#[cfg(test)]
extern crate std;

#[cfg(target_os = "none")]
pub mod device;
pub mod motor;

/// What bindgen makes of the headers. Not public: a raw structure says nothing about what its numbers may be.
#[allow(
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    dead_code,
    unsafe_op_in_unsafe_fn,
    clippy::all,
    clippy::restriction,
    reason = "generated"
)]
mod bindings {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}
