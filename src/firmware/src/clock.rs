//! Every clock there is.

use drivers::device::system;
use units::{CarrierTime, Now, PumpTime};

/// The moment. Therapy and link run on the same clock here; the time of day is the pump's to know.
pub fn now() -> Now {
    let pump = system::uptime();
    Now {
        pump,
        carrier: carrier(pump),
    }
}

/// The link's clock at that moment.
pub fn carrier(pump: PumpTime) -> CarrierTime {
    CarrierTime::from_micros(pump.micros())
}

/// Rounded down to seconds, as records bear it: finer would cost room for one event in twenty (journal, `envelope`), and their order is told by
/// their numbers.
pub fn for_records(time: PumpTime) -> PumpTime {
    let micros = time.micros();
    PumpTime::from_micros(micros.saturating_sub(micros % 1_000_000))
}

/// Whole milliseconds, for log lines: the units' own texts are exact and cost room on the board.
pub const fn milliseconds(time: PumpTime) -> u64 {
    time.micros() / 1_000
}
