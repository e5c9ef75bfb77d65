//! Counters that never roll off: what the logs can no longer tell when their oldest pages are gone.

use serde::{Deserialize, Serialize};

/// How often things have happened over the pump's life. Saturating.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Starts of the processor that were caused by a fault of the firmware or of the supply.
    pub restarts_by_fault: u32,
    /// Sessions in which something was asked.
    pub sessions: u32,
    /// Programs committed.
    pub commits: u32,
    /// Alarms raised.
    pub alarms: u32,
    /// Times the memory was repaired.
    pub repairs: u32,
    /// Records that found no room in the queue to the flash or could not be written.
    pub records_lost: u32,
}

impl Counters {
    /// Adds one to a counter.
    pub(crate) fn count(counter: &mut u32) {
        *counter = counter.saturating_add(1);
    }
}
