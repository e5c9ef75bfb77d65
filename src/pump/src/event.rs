//! What can happen to a pump: everything it is ever told.

use crate::storage::StorageReport;
use protocol::{Caller, Request, SessionId};
use serde::{Deserialize, Serialize};

/// Names one record handed out to be made durable; the answer bears the same ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(pub u32);

/// Faults that the motor driver itself has seen, as latched bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MotorFaults {
    /// The interlock in C found its own state inconsistent and has closed until the next reset.
    pub interlock_tripped: bool,
    /// The driver could not be read or answered nonsense.
    pub driver_failed: bool,
}

/// What the motor driver has counted since this boot. Counters never go back within a boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MotorStatus {
    /// Steps really commanded to the coils since boot.
    pub commanded_steps: u64,
    /// Signed encoder pulses since boot, one a step; forward is positive.
    pub counted_steps: i64,
    /// Latched faults.
    pub faults: MotorFaults,
}

/// Why the driver did not take an order. Mirrors the driver's errors without depending on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderRefusal {
    /// The order itself is impossible: no steps, too long, too fast, or in the past.
    Invalid,
    /// Both places of the driver's queue are taken.
    Busy,
    /// The interlock is closed.
    InterlockClosed,
    /// The order would exceed one of the interlock's ceilings.
    OverCeiling,
    /// The driver failed otherwise.
    Failed,
    /// The interlock was not told what the program can need.
    NotArmed,
}

/// Why the processor last started, as far as the hardware and retained memory can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResetCause {
    /// Power came back, or nothing is known.
    #[default]
    PowerOn,
    /// The reset pin or a debugger.
    External,
    /// The firmware reset itself after a fatal error; the number is the kernel's reason.
    Fatal {
        /// The kernel's fatal-error reason (Zephyr `k_fatal_error_reason`).
        reason: u32,
    },
    /// The hardware watchdog was not fed.
    Watchdog,
    /// The supply fell below the brown-out level.
    BrownOut,
    /// The firmware asked for a reset.
    Software,
}

/// One thing that happened. There is no other way to reach the pump.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and no heap")]
pub enum Event {
    /// First event of a boot: start what the recovered state says.
    Boot,
    /// Time has passed, and this is what the motor has done by now.
    Tick(MotorStatus),
    /// An authorised command from a link session.
    Request {
        /// The session it came in.
        session: SessionId,
        /// Who gives it: the slot and the role with which the session was opened.
        caller: Caller,
        /// The command with its number.
        request: Request,
    },
    /// Somebody failed to prove on the link who they are: no such key, a forged message, or one that was changed on the way.
    AuthenticationFailed {
        /// The slot of the key in whose name.
        slot: u8,
    },
    /// A link session ended; what it staged is discarded.
    LinkClosed {
        /// The session that ended.
        session: SessionId,
    },
    /// The record with this ticket is durable.
    Persisted(Ticket),
    /// The record with this ticket is not durable and never will be.
    PersistFailed(Ticket),
    /// The driver did not take an order.
    OrderRefused {
        /// The order's identifier.
        order: u32,
        /// Why.
        refusal: OrderRefusal,
    },
    /// An event found no room in the queue to the journal, or could not be written.
    AppendFailed,
    /// A checkpoint found no room in the queue to the journal, or could not be written.
    CheckpointFailed,
    /// A reading of the battery, hourly or more often.
    Supply {
        /// Its voltage, mV.
        millivolts: u16,
    },
    /// A self-test has ended.
    SelfTest {
        /// The tests that failed, as bits; 0 when all passed.
        failed: u16,
    },
    /// What a look at all of the flash has found, asked for by [`crate::Action::Scrub`].
    Storage(StorageReport),
}
