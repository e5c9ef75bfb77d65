//! What a pump and its people carry from the production line: the page in the pump's flash, and the texts on paper.
//!
//! | what | where | holds |
//! |---|---|---|
//! | page | the pump's flash, until the pump has taken it into its state | all of it, the private key too |
//! | pack | QR code in the sterile pack | public key, one-time secret, recovery secret, passkey |
//! | implant card | kept with the patient's papers | public key, recovery secret, passkey |
//! | wallet card | carried by the patient | public key, and a key of its own for the role Emergency |
//!
//! A text is its name, `:` and upper-case hexadecimal, which a QR code holds in its alphanumeric mode; at its end a CRC-32 finds what was
//! mistyped. Spaces and line breaks in it, and lower case, are no mistake.
use core::fmt;

use zeroize::Zeroize;

use crate::frame::{CHECK_LENGTH, check_of};
use crate::keys::{Credentials, KEY_BYTES, PublicKey, Secret};

const MAGIC: &[u8; 8] = b"THECALPK";
const PAGE_VERSION: u8 = 1;

/// Bytes of the page that are used, from its start.
pub const PAGE_BYTES: usize = 8 + 4 + 3 * KEY_BYTES + 4 + CHECK_LENGTH;

/// Passkeys: six digits (Core Specification, Vol 3, Part H, 2.3.5.3), and not 0, which stands for none.
pub const PASSKEYS: core::ops::RangeInclusive<u32> = 1..=999_999;

/// Everything that makes a pump this one pump.
#[derive(Clone, PartialEq, Eq)]
pub struct Pack {
    /// The pump's private key.
    pub private: Secret,
    /// Enrols the first clinician.
    pub one_time: Secret,
    /// Enrols a clinician when all keys are lost.
    pub recovery: Secret,
    /// For pairing, six digits.
    pub passkey: u32,
}

impl fmt::Debug for Pack {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing of it but which pump it is: secrets and passkey are not for a log.
        write!(out, "Pack({})", self.private.public_key().fingerprint())
    }
}

impl Pack {
    /// Reads the front of the page; `None` when there is no pack, or not a whole one.
    pub fn from_page(page: &[u8]) -> Option<Pack> {
        let page = page.get(..PAGE_BYTES)?;
        let (checked, check) = page.split_last_chunk::<CHECK_LENGTH>()?;
        let rest = checked.strip_prefix(MAGIC)?;
        let rest = rest.strip_prefix(&[PAGE_VERSION, 0, 0, 0])?;
        let (private, rest) = rest.split_first_chunk()?;
        let (one_time, rest) = rest.split_first_chunk()?;
        let (recovery, rest) = rest.split_first_chunk()?;
        let passkey = u32::from_le_bytes(rest.try_into().ok()?);
        (*check == check_of(checked) && PASSKEYS.contains(&passkey)).then(|| Pack {
            private: Secret::new(*private),
            one_time: Secret::new(*one_time),
            recovery: Secret::new(*recovery),
            passkey,
        })
    }

    /// The bytes of the page.
    pub fn page(&self) -> [u8; PAGE_BYTES] {
        let mut page = [0; PAGE_BYTES];
        let checked = PAGE_BYTES.saturating_sub(CHECK_LENGTH);
        fill(
            &mut page,
            &[
                MAGIC,
                &[PAGE_VERSION, 0, 0, 0],
                self.private.bytes(),
                self.one_time.bytes(),
                self.recovery.bytes(),
                &self.passkey.to_le_bytes(),
            ],
        );
        if let Some((front, place)) = page.split_at_mut_checked(checked) {
            place.copy_from_slice(&check_of(front));
        }
        page
    }

    /// What goes into the sterile pack.
    pub fn text(&self) -> PackText {
        PackText {
            pump: self.private.public_key(),
            one_time: self.one_time.clone(),
            recovery: self.recovery.clone(),
            passkey: self.passkey,
        }
    }
}

/// Writes the parts one behind the other.
fn fill(place: &mut [u8], parts: &[&[u8]]) {
    let mut left = place;
    for part in parts {
        if let Some((front, rest)) = core::mem::take(&mut left).split_at_mut_checked(part.len()) {
            front.copy_from_slice(part);
            left = rest;
        }
    }
}

/// Why a text is none of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TextError {
    /// It does not begin with the name that was expected.
    Name {
        /// The name.
        expected: &'static str,
    },
    /// It has something else than hexadecimal digits.
    Digit,
    /// It is too short or too long.
    Length {
        /// Digits that it must have behind its name.
        expected: usize,
    },
    /// Something in it was mistyped.
    Check,
}

impl fmt::Display for TextError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TextError::Name { expected } => write!(out, "it has to begin with {expected}:"),
            TextError::Digit => {
                out.write_str("behind its name it has only the digits 0 to 9 and A to F")
            }
            TextError::Length { expected } => {
                write!(out, "it has to have {expected} digits behind its name")
            }
            TextError::Check => {
                out.write_str("its checksum is wrong: something was mistyped or is missing")
            }
        }
    }
}

impl core::error::Error for TextError {}

/// Bytes behind a name, their CRC-32 checked and taken off.
fn read<const N: usize>(name: &'static str, text: &str) -> Result<[u8; N], TextError> {
    let text = text.trim();
    let rest = text
        .get(..name.len())
        .filter(|front| front.eq_ignore_ascii_case(name))
        .and_then(|_| text.get(name.len()..))
        .and_then(|rest| rest.strip_prefix(':'))
        .ok_or(TextError::Name { expected: name })?;
    let mut bytes = [0; N];
    let mut digits = 0_usize;
    let expected = N.saturating_mul(2);
    for digit in rest.chars().filter(|character| !character.is_whitespace()) {
        let value = digit
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
            .ok_or(TextError::Digit)?;
        let place = bytes
            .get_mut(digits.div_euclid(2))
            .ok_or(TextError::Length { expected })?;
        *place = (*place << 4) | value;
        digits = digits.saturating_add(1);
    }
    if digits != expected {
        return Err(TextError::Length { expected });
    }
    match bytes.split_last_chunk::<CHECK_LENGTH>() {
        Some((checked, check)) if *check == check_of(checked) => Ok(bytes),
        Some(_) | None => Err(TextError::Check),
    }
}

fn write<const N: usize>(out: &mut fmt::Formatter<'_>, name: &str, parts: &[&[u8]]) -> fmt::Result {
    let mut bytes = [0; N];
    fill(&mut bytes, parts);
    if let Some((checked, place)) = bytes.split_last_chunk_mut::<CHECK_LENGTH>() {
        *place = check_of(checked);
    }
    write!(out, "{name}:")?;
    for byte in bytes {
        write!(out, "{byte:02X}")?;
    }
    bytes.zeroize();
    Ok(())
}

/// The text of a sterile pack.
#[derive(Clone, PartialEq, Eq)]
pub struct PackText {
    /// The pump's public key.
    pub pump: PublicKey,
    /// Enrols the first clinician.
    pub one_time: Secret,
    /// Enrols a clinician when all keys are lost.
    pub recovery: Secret,
    /// For pairing.
    pub passkey: u32,
}

impl fmt::Debug for PackText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing of it but which pump it is: secrets and passkey are not for a log.
        write!(out, "PackText({})", self.pump.fingerprint())
    }
}

impl PackText {
    /// The name at the front of the text.
    pub const NAME: &'static str = "THECAL1";
    const BYTES: usize = 3 * KEY_BYTES + 4 + CHECK_LENGTH;

    /// Reads a text.
    ///
    /// # Errors
    /// [`TextError`].
    pub fn parse(text: &str) -> Result<PackText, TextError> {
        let bytes = read::<{ PackText::BYTES }>(PackText::NAME, text)?;
        let (pump, rest) = take_key(&bytes)?;
        let (one_time, rest) = take_key(rest)?;
        let (recovery, rest) = take_key(rest)?;
        Ok(PackText {
            pump: PublicKey(pump),
            one_time: Secret::new(one_time),
            recovery: Secret::new(recovery),
            passkey: take_passkey(rest)?,
        })
    }

    /// What is kept when the pack is thrown away.
    pub fn implant_card(&self) -> ImplantCard {
        ImplantCard {
            pump: self.pump,
            recovery: self.recovery.clone(),
            passkey: self.passkey,
        }
    }
}

impl fmt::Display for PackText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write::<{ PackText::BYTES }>(
            out,
            PackText::NAME,
            &[
                &self.pump.0,
                self.one_time.bytes(),
                self.recovery.bytes(),
                &self.passkey.to_le_bytes(),
            ],
        )
    }
}

/// The text of an implant card.
#[derive(Clone, PartialEq, Eq)]
pub struct ImplantCard {
    /// The pump's public key.
    pub pump: PublicKey,
    /// Enrols a clinician when all keys are lost.
    pub recovery: Secret,
    /// For pairing.
    pub passkey: u32,
}

impl fmt::Debug for ImplantCard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing of it but which pump it is: secrets and passkey are not for a log.
        write!(out, "ImplantCard({})", self.pump.fingerprint())
    }
}

impl ImplantCard {
    /// The name at the front of the text.
    pub const NAME: &'static str = "THECAL2";
    const BYTES: usize = 2 * KEY_BYTES + 4 + CHECK_LENGTH;

    /// Reads a text.
    ///
    /// # Errors
    /// [`TextError`].
    pub fn parse(text: &str) -> Result<ImplantCard, TextError> {
        let bytes = read::<{ ImplantCard::BYTES }>(ImplantCard::NAME, text)?;
        let (pump, rest) = take_key(&bytes)?;
        let (recovery, rest) = take_key(rest)?;
        Ok(ImplantCard {
            pump: PublicKey(pump),
            recovery: Secret::new(recovery),
            passkey: take_passkey(rest)?,
        })
    }
}

impl fmt::Display for ImplantCard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write::<{ ImplantCard::BYTES }>(
            out,
            ImplantCard::NAME,
            &[
                &self.pump.0,
                self.recovery.bytes(),
                &self.passkey.to_le_bytes(),
            ],
        )
    }
}

/// The text of a wallet card, and of any other key that travels as text: everything its holder needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyText {
    /// The pump's public key.
    pub pump: PublicKey,
    /// The holder's private key.
    pub private: Secret,
    /// What holder and pump both know.
    pub preshared: Secret,
    /// Where the key is in the pump.
    pub slot: u8,
}

impl KeyText {
    /// The name at the front of the text.
    pub const NAME: &'static str = "THECAL3";
    const BYTES: usize = 3 * KEY_BYTES + 1 + CHECK_LENGTH;

    /// Reads a text.
    ///
    /// # Errors
    /// [`TextError`].
    pub fn parse(text: &str) -> Result<KeyText, TextError> {
        let bytes = read::<{ KeyText::BYTES }>(KeyText::NAME, text)?;
        let (pump, rest) = take_key(&bytes)?;
        let (private, rest) = take_key(rest)?;
        let (preshared, rest) = take_key(rest)?;
        let (slot, _) = rest.split_first().ok_or(TextError::Check)?;
        Ok(KeyText {
            pump: PublicKey(pump),
            private: Secret::new(private),
            preshared: Secret::new(preshared),
            slot: *slot,
        })
    }

    /// What opens a session.
    pub fn credentials(&self) -> Credentials {
        Credentials::new(
            self.slot,
            self.private.clone(),
            self.preshared.clone(),
            self.pump,
        )
    }
}

impl fmt::Display for KeyText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write::<{ KeyText::BYTES }>(
            out,
            KeyText::NAME,
            &[
                &self.pump.0,
                self.private.bytes(),
                self.preshared.bytes(),
                &[self.slot],
            ],
        )
    }
}

fn take_key(bytes: &[u8]) -> Result<([u8; KEY_BYTES], &[u8]), TextError> {
    let (key, rest) = bytes.split_first_chunk().ok_or(TextError::Check)?;
    Ok((*key, rest))
}

fn take_passkey(bytes: &[u8]) -> Result<u32, TextError> {
    let (passkey, _) = bytes.split_first_chunk().ok_or(TextError::Check)?;
    let passkey = u32::from_le_bytes(*passkey);
    if !PASSKEYS.contains(&passkey) {
        return Err(TextError::Check);
    }
    Ok(passkey)
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests may panic"
)]
mod tests {
    use std::string::ToString;

    use super::*;

    fn pack() -> Pack {
        Pack {
            private: Secret::new([1; KEY_BYTES]),
            one_time: Secret::new([2; KEY_BYTES]),
            recovery: Secret::new([3; KEY_BYTES]),
            passkey: 123_456,
        }
    }

    #[test]
    fn no_secret_is_printed() {
        let fingerprint = pack().text().pump.fingerprint();
        let (page, text) = (pack(), pack().text());
        let card = text.implant_card();
        assert_eq!(
            std::format!("{page:?}"),
            std::format!("Pack({fingerprint})")
        );
        assert_eq!(
            std::format!("{text:?}"),
            std::format!("PackText({fingerprint})")
        );
        assert_eq!(
            std::format!("{card:?}"),
            std::format!("ImplantCard({fingerprint})")
        );
    }

    #[test]
    fn a_page_comes_back_as_it_went_and_only_whole() {
        let page = pack().page();
        assert_eq!(Pack::from_page(&page), Some(pack()));
        let mut longer = page.to_vec();
        longer.resize(4096, 0xff);
        assert_eq!(
            Pack::from_page(&longer),
            Some(pack()),
            "the rest of the page is blank"
        );
        assert_eq!(Pack::from_page(&page[..PAGE_BYTES - 1]), None);
        assert_eq!(Pack::from_page(&[0xff; 4096]), None, "an erased one");
        for bit in 0..PAGE_BYTES * 8 {
            let mut flipped = page;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Pack::from_page(&flipped), None, "bit {bit}");
        }
        let long = Pack {
            passkey: PASSKEYS.end() + 1,
            ..pack()
        };
        assert_eq!(Pack::from_page(&long.page()), None);
        let none = Pack {
            passkey: 0,
            ..pack()
        };
        assert_eq!(Pack::from_page(&none.page()), None);
        let most = Pack {
            passkey: *PASSKEYS.end(),
            ..pack()
        };
        assert_eq!(Pack::from_page(&most.page()), Some(most));
    }

    #[test]
    fn texts_come_back_as_they_went() {
        let pack = pack().text();
        assert_eq!(PackText::parse(&pack.to_string()), Ok(pack.clone()));
        let card = pack.implant_card();
        assert_eq!(ImplantCard::parse(&card.to_string()), Ok(card.clone()));
        let key = KeyText {
            pump: pack.pump,
            private: Secret::new([4; KEY_BYTES]),
            preshared: Secret::new([5; KEY_BYTES]),
            slot: 7,
        };
        assert_eq!(KeyText::parse(&key.to_string()), Ok(key.clone()));
        let typed = key.to_string().to_lowercase();
        let (front, back) = typed.split_at(60);
        assert_eq!(
            KeyText::parse(&std::format!(" {front}\n {back}\n")),
            Ok(key)
        );
        let long = ImplantCard {
            passkey: PASSKEYS.end() + 1,
            ..card
        };
        assert_eq!(ImplantCard::parse(&long.to_string()), Err(TextError::Check));
    }

    #[test]
    fn what_is_wrong_with_a_text_is_said() {
        let text = pack().text().to_string();
        let name = Err(TextError::Name {
            expected: "THECAL1",
        });
        let length = Err(TextError::Length { expected: 208 });
        assert_eq!(PackText::parse(""), name);
        assert_eq!(PackText::parse(&text.replace("THECAL1", "THECAL2")), name);
        assert_eq!(PackText::parse(&text[..text.len() - 1]), length);
        assert_eq!(PackText::parse(&(text.clone() + "0")), length);
        assert_eq!(PackText::parse(&(text.clone() + "00")), length);
        assert_eq!(
            PackText::parse(&text.replace('0', "O")),
            Err(TextError::Digit)
        );
        for at in PackText::NAME.len() + 1..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[at] = if wrong[at] == b'7' { b'8' } else { b'7' };
            let wrong = std::string::String::from_utf8(wrong).unwrap();
            assert_eq!(PackText::parse(&wrong), Err(TextError::Check), "digit {at}");
        }
        assert_eq!(PackText::parse("THECAL1:\u{e9}"), Err(TextError::Digit));
        assert_eq!(PackText::parse("THECAL\u{e9}"), name);
    }
}
