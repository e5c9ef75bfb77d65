//! The link's binary messages: one attribute byte, then the value (`docs/virtual-pump.md`).

use protocol::{Mtu, uuid};

/// A characteristic, by the low byte of its UUID's 16-bit part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Attribute {
    Info = low_byte(uuid::INFO),
    Command = low_byte(uuid::COMMAND),
    Response = low_byte(uuid::RESPONSE),
    StatusChanged = low_byte(uuid::STATUS_CHANGED),
    EmergencyCard = low_byte(uuid::EMERGENCY_CARD),
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "one byte is what is wanted"
)]
const fn low_byte(uuid: u128) -> u8 {
    (uuid >> 96) as u8
}

/// What a phone asks of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked<'a> {
    Read(Attribute),
    WriteCommand(&'a [u8]),
}

/// What GATT would have answered; codes of the Attribute Protocol (Bluetooth Core Specification, Vol 3, Part F, 3.4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AttributeError {
    attribute: u8,
    code: u8,
}

const READ_NOT_PERMITTED: u8 = 0x02;
const WRITE_NOT_PERMITTED: u8 = 0x03;
const INVALID_MESSAGE: u8 = 0x04;
const NOT_FOUND: u8 = 0x0A;
const INVALID_LENGTH: u8 = 0x0D;

impl AttributeError {
    /// The emergency card is not shown now. Not "insufficient authentication", upon which a phone would begin to pair.
    pub(super) fn card_not_shown() -> Self {
        Self {
            attribute: Attribute::EmergencyCard as u8,
            code: READ_NOT_PERMITTED,
        }
    }

    /// The message that tells the phone.
    pub(super) fn message(self) -> Vec<u8> {
        vec![0, self.attribute, self.code]
    }
}

/// Takes a phone's message apart.
pub(super) fn read(message: &[u8], mtu: Mtu) -> Result<Asked<'_>, AttributeError> {
    let Some((&attribute, value)) = message.split_first() else {
        return Err(AttributeError {
            attribute: 0,
            code: INVALID_MESSAGE,
        });
    };
    let error = |code| Err(AttributeError { attribute, code });
    let known = [
        Attribute::Info,
        Attribute::Command,
        Attribute::Response,
        Attribute::StatusChanged,
        Attribute::EmergencyCard,
    ];
    let Some(found) = known.into_iter().find(|known| *known as u8 == attribute) else {
        return error(NOT_FOUND);
    };
    match (found, value) {
        (Attribute::Command, []) => error(READ_NOT_PERMITTED),
        (Attribute::Command, frame) if frame.len() > mtu.frame_length() => error(INVALID_LENGTH),
        (Attribute::Command, frame) => Ok(Asked::WriteCommand(frame)),
        (_, []) => Ok(Asked::Read(found)),
        (_, _) => error(WRITE_NOT_PERMITTED),
    }
}

/// A message to the phone.
pub(super) fn message(attribute: Attribute, value: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(1 + value.len());
    message.push(attribute as u8);
    message.extend_from_slice(value);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(message: &[u8]) -> Vec<u8> {
        read(message, Mtu::LOWEST).expect_err("an error").message()
    }

    #[test]
    fn attribute_bytes_are_the_published_ones() {
        assert_eq!(Attribute::Info as u8, 2);
        assert_eq!(Attribute::Command as u8, 3);
        assert_eq!(Attribute::Response as u8, 4);
        assert_eq!(Attribute::StatusChanged as u8, 6);
        assert_eq!(Attribute::EmergencyCard as u8, 7);
    }

    #[test]
    fn reads_and_writes_are_told_apart() {
        assert_eq!(read(&[2], Mtu::LOWEST), Ok(Asked::Read(Attribute::Info)));
        assert_eq!(
            read(&[4], Mtu::LOWEST),
            Ok(Asked::Read(Attribute::Response))
        );
        assert_eq!(
            read(&[6], Mtu::LOWEST),
            Ok(Asked::Read(Attribute::StatusChanged))
        );
        assert_eq!(
            read(&[3, 9, 8], Mtu::LOWEST),
            Ok(Asked::WriteCommand(&[9, 8]))
        );
    }

    #[test]
    fn what_gatt_would_refuse_is_refused_with_its_code() {
        assert_eq!(refused(&[]), [0, 0, 0x04]);
        assert_eq!(refused(&[3]), [0, 3, 0x02]);
        for attribute in [2, 4, 6, 7] {
            assert_eq!(refused(&[attribute, 1]), [0, attribute, 0x03]);
        }
        for attribute in [0, 1, 5, 8, 255] {
            assert_eq!(refused(&[attribute]), [0, attribute, 0x0A]);
        }
    }

    #[test]
    fn a_frame_fits_into_the_mtu_or_is_refused() {
        let frame = |length: usize| [&[3][..], &vec![1; length]].concat();
        assert!(read(&frame(20), Mtu::LOWEST).is_ok());
        assert_eq!(refused(&frame(21)), [0, 3, 0x0D]);
        assert!(read(&frame(244), Mtu::HIGHEST).is_ok());
        assert!(read(&frame(245), Mtu::HIGHEST).is_err());
    }
}
