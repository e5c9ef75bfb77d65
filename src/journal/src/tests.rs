//! The journal against a simple model: cuts at every operation, flipped bits, noise, failing flash.
#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

mod behaviour;
mod chain;
mod cuts;
mod damage;
mod library_format;
mod measure;
mod model;
mod worn;
