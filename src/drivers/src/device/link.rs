//! The carrier between a phone and the pump. Link thread only, but for [`wake`].

use super::{DriverError, driver_result};
use crate::bindings;

/// Longest frame, bytes.
pub const FRAME_BYTES: usize = 244;
const _: () = assert!(
    bindings::THECAL_LINK_FRAME_BYTES == 244,
    "link.h says otherwise"
);

/// Something that happened on the link. Sessions number the connections of this boot from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEvent<'a> {
    /// A phone is there.
    Connected {
        /// Its connection.
        session: u32,
        /// The attribute MTU so far.
        mtu: u16,
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
    /// C said something that it is not known to say.
    Unknown,
}

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
///
/// # Errors
///
/// The Bluetooth host's.
pub fn set_status_changed(flags: u16) -> Result<(), DriverError> {
    // SAFETY: takes and gives plain numbers.
    driver_result(unsafe { bindings::thecal_link_set_status_changed(flags) })
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
