//! Keys: what a pump and its programmers hold, and the texts in which they travel outside of the link.
//!
//! A secret is wiped when it is dropped, compared in constant time, and never printed. Whoever holds one more copy than need be is a bug.
use core::fmt;

use hmac::KeyInit;
use hmac::block_api::HmacCore;
use hmac::digest::Output;
use hmac::digest::block_api::{Buffer, FixedOutputCore, UpdateCore};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::codec::Malformed;
use crate::refused::Refused;
use crate::roles::Role;

/// Bytes of a key of either kind.
pub const KEY_BYTES: usize = 32;

/// Keys that a pump can hold at a time \[P\]: clinic, ward, patient, wallet card, service, and room for a change of each.
pub const SLOTS: u8 = 8;
const SLOT_COUNT: usize = 8;

/// The slot number of a session that begins with the implant card's secret.
pub const RECOVERY_SLOT: u8 = 0xfe;
/// The slot number of a session that begins with the sterile pack's one-time secret.
pub const ENROLMENT_SLOT: u8 = 0xff;

/// A secret: a private key or a shared one.
#[derive(Clone, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Secret([u8; KEY_BYTES]);

impl Secret {
    /// From random bytes, or from where it is kept.
    pub const fn new(bytes: [u8; KEY_BYTES]) -> Secret {
        Secret(bytes)
    }

    /// The bytes, for whoever keeps them.
    pub const fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// The public key that belongs to this private one. Costs as much as a Diffie-Hellman.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(x25519(self.0, X25519_BASEPOINT_BYTES))
    }

    /// The X25519 shared secret with somebody's public key; `None` when it is all zeros, which only a key that is none leads to
    /// (RFC 7748, 6.1).
    pub(crate) fn diffie_hellman(&self, other: &PublicKey) -> Option<Secret> {
        let shared = Secret(x25519(self.0, other.0));
        let nothing: bool = shared.0.ct_eq(&[0; KEY_BYTES]).into();
        (!nothing).then_some(shared)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(..)")
    }
}

/// A key of HMAC-SHA-256 with which the hash has begun: two of its blocks depend on nothing else, and need not be hashed for each message.
#[derive(Clone)]
pub(crate) struct CodeKey(HmacCore<Sha256>);

impl CodeKey {
    /// From its secret.
    pub(crate) fn new(key: &Secret) -> CodeKey {
        // A key shorter than the hash's block is padded with zeros (RFC 2104), which makes it one block: no error to handle.
        let mut block = [0; 64];
        if let Some(front) = block.first_chunk_mut() {
            *front = key.0;
        }
        let begun = HmacCore::new(&block.into());
        block.zeroize();
        CodeKey(begun)
    }

    /// The code of the parts one behind the other.
    pub(crate) fn code(&self, parts: &[&[u8]]) -> [u8; KEY_BYTES] {
        let mut hmac = self.0.clone();
        let mut buffer = Buffer::<HmacCore<Sha256>>::default();
        for part in parts {
            buffer.digest_blocks(part, |blocks| hmac.update_blocks(blocks));
        }
        let mut code = Output::<HmacCore<Sha256>>::default();
        hmac.finalize_fixed_core(&mut buffer, &mut code);
        code.into()
    }
}

impl fmt::Debug for CodeKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("CodeKey(..)")
    }
}

/// HMAC-SHA-256 over the parts one behind the other.
pub(crate) fn code(key: &Secret, parts: &[&[u8]]) -> [u8; KEY_BYTES] {
    CodeKey::new(key).code(parts)
}

/// An X25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct PublicKey(pub [u8; KEY_BYTES]);

impl PublicKey {
    /// The first eight bytes of its SHA-256, by which people compare keys.
    pub fn fingerprint(&self) -> Fingerprint {
        use sha2::Digest;
        let [a, b, c, d, e, f, g, h, ..]: [u8; KEY_BYTES] = Sha256::digest(self.0).into();
        Fingerprint([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PublicKey({})", self.fingerprint())
    }
}

/// Eight bytes that stand for a public key where people look at it. Not a proof of anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Fingerprint(pub [u8; 8]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f, g, h] = self.0;
        write!(
            out,
            "{a:02x}{b:02x}-{c:02x}{d:02x}-{e:02x}{f:02x}-{g:02x}{h:02x}"
        )
    }
}

/// A key as a clinician gives it to somebody.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct KeyGrant {
    /// Where it goes, 0 to 7. What was there is gone.
    pub slot: u8,
    /// What its holder may do.
    pub role: Role,
    /// The holder's public key.
    pub public_key: PublicKey,
    /// What holder and pump both know.
    pub preshared: Secret,
}

/// A key as the pump tells of it: never a secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct KeyEntry {
    /// Where it is.
    pub slot: u8,
    /// What its holder may do.
    pub role: Role,
    /// Which public key it is.
    pub fingerprint: Fingerprint,
    /// Number of the last command of this slot.
    pub last_number: u32,
}

/// What a session needs of one slot.
#[derive(Clone, Debug)]
pub struct Slot {
    /// What its holder may do.
    pub role: Role,
    /// The holder's public key; for enrolment and recovery the phone tells it.
    pub public_key: Option<PublicKey>,
    /// What holder and pump both know.
    pub preshared: Secret,
    /// The key of the gate, which follows from what both know: kept so that a forgery costs three blocks of the hash and not nine.
    pub(crate) gate: CodeKey,
    /// Number of the last command of this slot.
    pub last_number: u32,
}

impl Slot {
    /// A slot as the session uses it.
    pub fn new(
        role: Role,
        public_key: Option<PublicKey>,
        preshared: Secret,
        last_number: u32,
    ) -> Slot {
        let gate = gate_key(&preshared);
        Slot {
            role,
            public_key,
            preshared,
            gate,
            last_number,
        }
    }
}

impl Slot {
    /// Whether it is the key of the same holder, for the same; its number may differ.
    pub(crate) fn is_same_key(&self, other: &Slot) -> bool {
        self.role == other.role
            && self.public_key == other.public_key
            && self.preshared == other.preshared
    }
}

impl PartialEq for Slot {
    fn eq(&self, other: &Slot) -> bool {
        self.is_same_key(other) && self.last_number == other.last_number
    }
}

impl Eq for Slot {}

/// The key of the gate that belongs to a shared secret.
pub(crate) fn gate_key(preshared: &Secret) -> CodeKey {
    CodeKey::new(&gate_secret(preshared))
}

/// The same as it is before the hash begins with it.
pub(crate) fn gate_secret(preshared: &Secret) -> Secret {
    Secret(code(preshared, &[b"Thecal gate"]))
}

/// What a slot is made from again: the gate's key follows from it.
type SlotForm = (Role, Option<PublicKey>, Secret, u32);

impl Serialize for Slot {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (
            self.role,
            self.public_key,
            &self.preshared,
            self.last_number,
        )
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Slot {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (role, public_key, preshared, last_number) = SlotForm::deserialize(deserializer)?;
        Ok(Slot::new(role, public_key, preshared, last_number))
    }
}

/// The longest encoded [`Keyring`], bytes: from one thread of a pump to another, never on the air.
pub const KEYRING_BYTES: usize = 1 + 2 * KEY_BYTES + 10 * (1 + 1 + 1 + 2 * KEY_BYTES + 5);

/// Everything by which a pump tells who is speaking. Empty until the pump has told its keys: then nobody gets in.
///
/// It is long: whoever gets one encoded reads it where it is to be ([`Keyring::read`]).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Keyring {
    pump: Option<(Secret, PublicKey)>,
    slots: [Option<Slot>; SLOT_COUNT],
    recovery: Option<Slot>,
    enrolment: Option<Slot>,
}

impl Keyring {
    /// One that lets nobody in.
    pub const fn new() -> Keyring {
        Keyring {
            pump: None,
            slots: [const { None }; SLOT_COUNT],
            recovery: None,
            enrolment: None,
        }
    }

    /// Becomes the encoded one, a slot at a time.
    ///
    /// # Errors
    /// It cannot be read; then nobody gets in.
    #[inline(never)] // the keys are to leave the stack
    pub fn read(&mut self, encoded: &[u8]) -> Result<(), Malformed> {
        let read = self.try_read(encoded);
        if read.is_none() {
            self.pump = None;
            self.all().for_each(|slot| *slot = None);
        }
        read.ok_or(Malformed::Undecodable)
    }

    // The fields in their order, each as postcard has it.
    fn try_read(&mut self, encoded: &[u8]) -> Option<()> {
        let mut rest;
        (self.pump, rest) = postcard::take_from_bytes(encoded).ok()?;
        for slot in self.all() {
            let known: Option<Slot>;
            (known, rest) = postcard::take_from_bytes(rest).ok()?;
            let used = match (&known, &*slot) {
                // A number that a request has used here meanwhile is used, whatever whoever wrote this knew of it.
                (Some(new), Some(old)) if new.is_same_key(old) => old.last_number,
                _ => 0,
            };
            *slot = known;
            if let Some(slot) = slot {
                slot.last_number = slot.last_number.max(used);
            }
        }
        rest.is_empty().then_some(())
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Option<Slot>> {
        let doors = [&mut self.recovery, &mut self.enrolment];
        self.slots.iter_mut().chain(doors)
    }

    /// The pump's own key. Its public half is reckoned once, here.
    pub fn set_pump(&mut self, private: Secret) {
        if self
            .pump
            .as_ref()
            .is_none_or(|(known, _)| *known != private)
        {
            let public = private.public_key();
            self.pump = Some((private, public));
        }
    }

    /// As [`Keyring::set_pump`], where the public half is known.
    pub fn set_pump_pair(&mut self, private: Secret, public: PublicKey) {
        self.pump = Some((private, public));
    }

    /// Puts a key where it belongs, or takes it away: slots 0 to 7, [`RECOVERY_SLOT`], [`ENROLMENT_SLOT`]. Others do not exist.
    pub fn set(&mut self, slot: u8, key: Option<Slot>) {
        let place = match slot {
            RECOVERY_SLOT => Some(&mut self.recovery),
            ENROLMENT_SLOT => Some(&mut self.enrolment),
            _ => self.slots.get_mut(usize::from(slot)),
        };
        if let Some(place) = place {
            *place = key;
        }
    }

    /// The key at a slot.
    pub fn get(&self, slot: u8) -> Option<&Slot> {
        match slot {
            RECOVERY_SLOT => self.recovery.as_ref(),
            ENROLMENT_SLOT => self.enrolment.as_ref(),
            _ => self.slots.get(usize::from(slot))?.as_ref(),
        }
    }

    /// Uses up a command number of a slot.
    ///
    /// # Errors
    /// [`Refused::NumberUsed`] when it is not above the last.
    pub(crate) fn use_number(&mut self, slot: u8, number: u32) -> Result<(), Refused> {
        let place = match slot {
            // Their one command is bounded by presence and by being done once.
            RECOVERY_SLOT | ENROLMENT_SLOT => return Ok(()),
            _ => self.slots.get_mut(usize::from(slot)),
        };
        let known = place.and_then(Option::as_mut).ok_or(Refused::NotDone)?;
        if number <= known.last_number {
            return Err(Refused::NumberUsed {
                last: known.last_number,
            });
        }
        known.last_number = number;
        Ok(())
    }

    /// The pump's own key pair, once it is known.
    pub(crate) fn pump(&self) -> Option<&(Secret, PublicKey)> {
        self.pump.as_ref()
    }
}

/// What a programmer needs to open a session with one pump.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credentials {
    slot: u8,
    private: Secret,
    public: PublicKey,
    preshared: Secret,
    pump: PublicKey,
}

impl Credentials {
    /// Those of the key in `slot`, or of an enrolment ([`ENROLMENT_SLOT`], [`RECOVERY_SLOT`]) with the secret of pack or card as `preshared`.
    pub fn new(slot: u8, private: Secret, preshared: Secret, pump: PublicKey) -> Credentials {
        let public = private.public_key();
        Credentials {
            slot,
            private,
            public,
            preshared,
            pump,
        }
    }

    /// The slot whose key this is.
    pub const fn slot(&self) -> u8 {
        self.slot
    }

    /// The programmer's public key.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The programmer's private key.
    pub const fn private(&self) -> &Secret {
        &self.private
    }

    /// The shared secret.
    pub const fn preshared(&self) -> &Secret {
        &self.preshared
    }

    /// The pump's public key.
    pub const fn pump(&self) -> &PublicKey {
        &self.pump
    }
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests may panic"
)]
mod tests {
    use std::format;

    use super::*;

    fn secret(byte: u8) -> Secret {
        Secret::new([byte; KEY_BYTES])
    }

    #[test]
    fn a_secret_is_not_printed_and_is_equal_to_itself_alone() {
        assert_eq!(format!("{:?}", secret(7)), "Secret(..)");
        assert_eq!(secret(7), secret(7));
        let mut other = [7; KEY_BYTES];
        other[31] = 6;
        assert_ne!(secret(7), Secret::new(other));
        let grant = KeyGrant {
            slot: 0,
            role: Role::Patient,
            public_key: secret(9).public_key(),
            preshared: secret(7),
        };
        assert!(
            format!("{grant:?}").ends_with("preshared: Secret(..) }"),
            "{grant:?}"
        );
    }

    #[test]
    fn both_sides_find_the_same_secret_and_a_point_of_small_order_none() {
        let (alice, bob) = (secret(0x11), secret(0x5d));
        assert!(alice.diffie_hellman(&bob.public_key()).is_some());
        assert_eq!(
            alice.diffie_hellman(&bob.public_key()),
            bob.diffie_hellman(&alice.public_key())
        );
        // Points of small order lead to nothing.
        assert_eq!(alice.diffie_hellman(&PublicKey([0; 32])), None);
        let mut one = [0; 32];
        one[0] = 1;
        assert_eq!(alice.diffie_hellman(&PublicKey(one)), None);
    }

    /// RFC 4231, test case 2: a key shorter than a block.
    #[test]
    fn the_code_is_hmac_sha_256() {
        let mut key = [0; KEY_BYTES];
        key[..4].copy_from_slice(b"Jefe");
        let found = code(&Secret::new(key), &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(found[..8], [0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e]);
        let begun = CodeKey::new(&Secret::new(key));
        for _ in 0..2 {
            assert_eq!(begun.code(&[b"what do ya want for nothing?"]), found);
        }
    }

    #[test]
    fn a_keyring_goes_from_thread_to_thread() {
        let mut keyring = Keyring::new();
        keyring.set_pump(secret(1));
        for slot in (0..SLOTS).chain([RECOVERY_SLOT, ENROLMENT_SLOT]) {
            let key = Slot::new(
                Role::Service,
                Some(secret(2).public_key()),
                secret(slot),
                u32::MAX,
            );
            keyring.set(slot, Some(key));
        }
        let mut buffer = [0; KEYRING_BYTES];
        let bytes = postcard::to_slice(&keyring, &mut buffer).unwrap();
        assert_eq!(bytes.len(), KEYRING_BYTES);
        let mut read = Keyring::new();
        assert_eq!(read.read(bytes), Ok(()));
        assert_eq!(read, keyring);
        // One less is read over one with more.
        keyring.set(3, None);
        let bytes = postcard::to_slice(&keyring, &mut buffer).unwrap();
        assert_eq!(read.read(bytes), Ok(()));
        assert_eq!(read, keyring);
    }

    #[test]
    fn a_number_that_was_used_stays_used_as_long_as_the_key_is_the_same() {
        let mut keyring = Keyring::new();
        let slot = |preshared, last| Some(Slot::new(Role::Patient, None, secret(preshared), last));
        keyring.set(7, slot(2, 9));
        for (told, preshared, expected) in [(8, 2, 9), (10, 2, 10), (3, 4, 3)] {
            let mut told_keyring = Keyring::new();
            told_keyring.set(7, slot(preshared, told));
            let mut buffer = [0; KEYRING_BYTES];
            let bytes = postcard::to_slice(&told_keyring, &mut buffer).unwrap();
            assert_eq!(keyring.read(bytes), Ok(()));
            assert_eq!(keyring.get(7).unwrap().last_number, expected);
        }
    }

    #[test]
    fn a_keyring_that_cannot_be_read_lets_nobody_in() {
        let mut whole = Keyring::new();
        whole.set_pump(secret(1));
        whole.set(7, Some(Slot::new(Role::Patient, None, secret(2), 5)));
        whole.set(
            ENROLMENT_SLOT,
            Some(Slot::new(Role::Enrolling, None, secret(3), 0)),
        );
        let mut buffer = [0; KEYRING_BYTES];
        let mut bytes = postcard::to_slice(&whole, &mut buffer).unwrap().to_vec();
        for length in 0..bytes.len() {
            let mut keyring = whole.clone();
            assert_eq!(keyring.read(&bytes[..length]), Err(Malformed::Undecodable));
            assert_eq!(keyring, Keyring::new(), "{length}");
        }
        bytes.push(0);
        assert_eq!(whole.read(&bytes), Err(Malformed::Undecodable));
        assert_eq!(whole, Keyring::new());
    }

    #[test]
    fn a_keyring_has_eight_slots_and_two_doors() {
        let mut keyring = Keyring::new();
        let slot = || Some(Slot::new(Role::Clinician, None, secret(1), 0));
        for number in 0..=u8::MAX {
            keyring.set(number, slot());
        }
        let held: std::vec::Vec<u8> = (0..=u8::MAX)
            .filter(|number| keyring.get(*number).is_some())
            .collect();
        assert_eq!(
            held,
            [0, 1, 2, 3, 4, 5, 6, 7, RECOVERY_SLOT, ENROLMENT_SLOT]
        );
        keyring.set(3, None);
        assert_eq!(keyring.get(3), None);
    }
}
