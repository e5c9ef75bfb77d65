//! The Bluetooth identifiers of the service and its characteristics.
//!
//! All are `6a3eXXXX-1f0d-4b59-9c1e-7d5a0c9be4f2`; a base drawn at random once, fixed for ever. Bluetooth sends them least
//! significant byte first: `SERVICE.to_le_bytes()`.

/// The pump service.
pub const SERVICE: u128 = number(0x0001);
/// Info: read. Content: [`crate::Info`].
pub const INFO: u128 = number(0x0002);
/// Command: write, write without response. Content: one frame to the pump.
pub const COMMAND: u128 = number(0x0003);
/// Response: read, indicate. Content: the current frame from the pump, empty when there is none.
pub const RESPONSE: u128 = number(0x0004);
/// Data: notify. Content: records of a many-record answer; none in version 1, whose longest answer is one message.
pub const DATA: u128 = number(0x0005);
/// Status changed: read, notify. Content: [`crate::status::changed`] flags, two bytes, little-endian.
pub const STATUS_CHANGED: u128 = number(0x0006);
/// Emergency card: read without encryption, only while armed. Content: [`crate::EmergencyCard`].
pub const EMERGENCY_CARD: u128 = number(0x0007);

const fn number(short: u16) -> u128 {
    const BASE: u128 = 0x6a3e_0000_1f0d_4b59_9c1e_7d5a_0c9b_e4f2;
    const SHIFT: u32 = 96;
    // `u128::from` is not yet callable in constants; widening loses nothing.
    #[allow(clippy::as_conversions)]
    let short = short as u128;
    BASE | short << SHIFT
}

#[cfg(test)]
mod tests {
    use std::format;

    #[test]
    fn identifiers_are_the_published_ones() {
        let all = [
            (super::SERVICE, "6a3e00011f0d4b599c1e7d5a0c9be4f2"),
            (super::INFO, "6a3e00021f0d4b599c1e7d5a0c9be4f2"),
            (super::COMMAND, "6a3e00031f0d4b599c1e7d5a0c9be4f2"),
            (super::RESPONSE, "6a3e00041f0d4b599c1e7d5a0c9be4f2"),
            (super::DATA, "6a3e00051f0d4b599c1e7d5a0c9be4f2"),
            (super::STATUS_CHANGED, "6a3e00061f0d4b599c1e7d5a0c9be4f2"),
            (super::EMERGENCY_CARD, "6a3e00071f0d4b599c1e7d5a0c9be4f2"),
        ];
        for (number, text) in all {
            assert_eq!(format!("{number:032x}"), text);
        }
    }
}
