//! What each thread does. None of the functions returns.

pub mod delivery;
pub mod journal;
#[cfg(CONFIG_THECAL_LINK)]
pub mod link;
