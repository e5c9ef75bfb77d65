//! The carrier between a phone and the pump. Link thread only, but for [`wake`].

use super::{DriverError, driver_result};
use crate::bindings;

/// Longest frame, bytes.
pub const FRAME_BYTES: usize = 244;
const _: () = assert!(
    bindings::THECAL_LINK_FRAME_BYTES == 244,
    "link.h says otherwise"
);

/// Level of LE security mode 1: authenticated Secure Connections with keys of 16 bytes.
pub const AUTHENTICATED: u8 = 4;

/// Something that happened on the link. Sessions number the connections of this boot from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEvent<'a> {
    /// A phone is there.
    Connected {
        /// Its connection.
        session: u32,
        /// The attribute MTU so far.
        mtu: u16,
        /// Its address is that of a bonded phone. Anybody can send an address: proven by [`LinkEvent::Security`] alone.
        bonded: bool,
    },
    /// It is gone.
    Disconnected {
        /// The connection that was.
        session: u32,
    },
    /// The attribute MTU has changed.
    Mtu {
        /// The connection.
        session: u32,
        /// What it is now.
        mtu: u16,
    },
    /// One write to Command.
    Frame {
        /// The connection.
        session: u32,
        /// What was written.
        bytes: &'a [u8],
    },
    /// Frames were lost because nobody took them in time.
    Overflow {
        /// The connection.
        session: u32,
    },
    /// The connection is encrypted with the keys of a bond, or the phone has paired.
    Security {
        /// The connection.
        session: u32,
        /// Level of LE security mode 1: 1 for none, [`AUTHENTICATED`]. There is nothing between.
        level: u8,
        /// The pump keeps the keys of this phone.
        bonded: bool,
    },
    /// How often the two meet: at the beginning of a connection, and when it changes.
    Paced {
        /// The connection.
        session: u32,
        /// From one connection event to the next, in us.
        interval_us: u32,
    },
    /// A magnet has come or gone. Of no session.
    Magnet {
        /// It is there.
        held: bool,
    },
    /// C said something that it is not known to say.
    Unknown,
}

/// How the pump shows itself while no phone is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advertising {
    /// Not at all.
    Off,
    /// To everybody, slowly. Strangers' scan requests get no answer.
    Slow,
    /// To everybody, and often: somebody stands beside it.
    Fast,
    /// Slowly, and only phones with a bond are let in; without a bond not at all.
    BondedOnly,
}

impl Advertising {
    const fn number(self) -> u32 {
        match self {
            Self::Off => bindings::THECAL_LINK_ADVERTISE_OFF,
            Self::Slow => bindings::THECAL_LINK_ADVERTISE_SLOW,
            Self::Fast => bindings::THECAL_LINK_ADVERTISE_FAST,
            Self::BondedOnly => bindings::THECAL_LINK_ADVERTISE_BONDED,
        }
    }
}

/// Longest emergency card, bytes.
pub const CARD_BYTES: usize = 512;
const _: () = assert!(
    bindings::THECAL_LINK_CARD_BYTES == 512,
    "link.h says otherwise"
);

/// The unit of connection intervals, us (Core Specification, Vol 4, Part E, 7.7.65.1).
const INTERVAL_UNIT_US: u32 = 1_250;

/// Where C puts an event; reused, because it is large.
#[derive(Default)]
pub struct EventBuffer(bindings::thecal_link_event);

/// Starts the radio, registers the service and advertises. Once.
///
/// # Errors
///
/// The Bluetooth host's.
pub fn start() -> Result<(), DriverError> {
    // SAFETY: takes nothing, gives a number; called by one thread.
    driver_result(unsafe { bindings::thecal_link_start() })
}

/// Waits for the next event, at most so long; `None` when there was none in time, or after [`wake`].
pub fn receive(buffer: &mut EventBuffer, milliseconds: u32) -> Option<LinkEvent<'_>> {
    let event = &mut buffer.0;
    // SAFETY: a live structure of bindgen's layout, which C writes before it returns.
    if unsafe { bindings::thecal_link_receive(&raw mut *event, milliseconds) } != 0 {
        return None;
    }
    let session = event.session;
    Some(match u32::from(event.kind) {
        bindings::THECAL_LINK_CONNECTED => LinkEvent::Connected {
            session,
            mtu: event.mtu,
            bonded: event.bonded,
        },
        bindings::THECAL_LINK_DISCONNECTED => LinkEvent::Disconnected { session },
        bindings::THECAL_LINK_MTU => LinkEvent::Mtu {
            session,
            mtu: event.mtu,
        },
        bindings::THECAL_LINK_FRAME => match event.bytes.get(..usize::from(event.length)) {
            Some(bytes) => LinkEvent::Frame { session, bytes },
            None => LinkEvent::Unknown,
        },
        bindings::THECAL_LINK_OVERFLOW => LinkEvent::Overflow { session },
        bindings::THECAL_LINK_SECURITY => LinkEvent::Security {
            session,
            level: event.security,
            bonded: event.bonded,
        },
        bindings::THECAL_LINK_PACED => LinkEvent::Paced {
            session,
            interval_us: INTERVAL_UNIT_US.saturating_mul(u32::from(event.interval)),
        },
        bindings::THECAL_LINK_MAGNET => LinkEvent::Magnet { held: event.held },
        _ => LinkEvent::Unknown,
    })
}

/// Ends the link thread's present wait, or its next one. Any thread.
pub fn wake() {
    // SAFETY: takes and gives nothing; C's contract allows any caller.
    unsafe { bindings::thecal_link_wake() }
}

/// Sets what Response holds and indicates it.
///
/// # Errors
///
/// The session is gone, or the bytes are longer than its MTU allows.
pub fn set_response(session: u32, bytes: &[u8]) -> Result<(), DriverError> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    // SAFETY: `length` bytes at `bytes` are readable; C copies them before it returns.
    driver_result(unsafe { bindings::thecal_link_set_response(session, bytes.as_ptr(), length) })
}

/// Sets what Info holds.
///
/// # Errors
///
/// The bytes are too long.
pub fn set_info(bytes: &[u8]) -> Result<(), DriverError> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    // SAFETY: `length` bytes at `bytes` are readable; C copies them before it returns.
    driver_result(unsafe { bindings::thecal_link_set_info(bytes.as_ptr(), length) })
}

/// Sets the flags of Status changed and notifies them when they differ.
pub fn set_status_changed(flags: u16) {
    // SAFETY: takes a plain value.
    unsafe { bindings::thecal_link_set_status_changed(flags) }
}

/// Whether phones may pair and the emergency card answers: somebody who stands beside the pump has asked for it.
pub fn set_armed(armed: bool) {
    // SAFETY: takes a plain value.
    unsafe { bindings::thecal_link_set_armed(armed) }
}

/// Sets the passkey with which phones pair, 1 to 999,999; without one nobody can.
///
/// # Errors
///
/// It is none; then there is none.
pub fn set_passkey(passkey: Option<u32>) -> Result<(), DriverError> {
    let number = passkey.unwrap_or(bindings::THECAL_LINK_NO_PASSKEY);
    // SAFETY: takes and gives plain numbers.
    driver_result(unsafe { bindings::thecal_link_set_passkey(number) })
}

/// How the pump shows itself from now on.
///
/// # Errors
///
/// The Bluetooth host's.
pub fn set_advertising(how: Advertising) -> Result<(), DriverError> {
    // SAFETY: takes and gives plain numbers.
    driver_result(unsafe { bindings::thecal_link_set_advertising(how.number()) })
}

/// Sets what the emergency card says. An empty one is not read.
///
/// # Errors
///
/// It is longer than [`CARD_BYTES`].
pub fn set_card(bytes: &[u8]) -> Result<(), DriverError> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    // SAFETY: `length` bytes at `bytes` are readable; C copies them before it returns.
    driver_result(unsafe { bindings::thecal_link_set_card(bytes.as_ptr(), length) })
}

/// Sets what the Battery Service says; it tells tens of a percent of 100, rounded down.
///
/// # Errors
///
/// More than 100.
pub fn set_battery(percent: u8) -> Result<(), DriverError> {
    // SAFETY: takes and gives plain numbers.
    driver_result(unsafe { bindings::thecal_link_set_battery(u32::from(percent)) })
}

/// How many phones the pump has a bond with.
#[must_use]
pub fn bonds() -> u32 {
    // SAFETY: takes nothing, gives a number.
    unsafe { bindings::thecal_link_bonds() }
}

/// Ends a connection, if it is still there.
///
/// # Errors
///
/// It is not.
pub fn disconnect(session: u32) -> Result<(), DriverError> {
    // SAFETY: takes and gives plain numbers.
    driver_result(unsafe { bindings::thecal_link_disconnect(session) })
}
