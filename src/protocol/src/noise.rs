//! Noise_KKpsk0_25519_ChaChaPoly_SHA256: two messages, after which both sides know who the other is and share two keys.
//!
//! ```text
//! -> s, <- s (known beforehand)
//! -> psk, e, es, ss
//! <- e, ee, se
//! ```
//!
//! The one pattern of the Noise Protocol Framework (revision 34) that Thecal needs, on audited primitives. No library of it
//! both wipes its keys and never panics, so these lines are ours; they are held against the public vectors and against `snow` in
//! `tests/noise.rs`.
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::keys::{KEY_BYTES, PublicKey, Secret, code};
use crate::seal::{self, Sealer, TAG_BYTES};

/// Length of the first message without a payload: a public key and a tag.
pub const FIRST_BYTES: usize = KEY_BYTES + TAG_BYTES;

/// 36 bytes, more than a hash: the handshake begins with its SHA-256 (5.2).
const NAME: &[u8] = b"Noise_KKpsk0_25519_ChaChaPoly_SHA256";

/// The two keys in which a handshake ends.
#[derive(Debug)]
pub struct Split {
    /// Phone to pump.
    pub requests: Sealer,
    /// Pump to phone.
    pub answers: Sealer,
}

/// The state that both sides carry along (5.2).
#[derive(Zeroize, ZeroizeOnDrop)]
struct Symmetric {
    chaining: Secret,
    hash: [u8; KEY_BYTES],
    key: Secret,
    counter: u32,
}

impl Symmetric {
    fn new(prologue: &[u8], phone: &PublicKey, pump: &PublicKey) -> Symmetric {
        let hash: [u8; KEY_BYTES] = Sha256::digest(NAME).into();
        let mut state = Symmetric {
            chaining: Secret::new(hash),
            hash,
            key: Secret::new([0; KEY_BYTES]),
            counter: 0,
        };
        state.mix_hash(prologue);
        state.mix_hash(&phone.0);
        state.mix_hash(&pump.0);
        state
    }

    fn mix_hash(&mut self, data: &[u8]) {
        let mut hash = Sha256::new();
        hash.update(self.hash);
        hash.update(data);
        self.hash = hash.finalize().into();
    }

    fn mix_key(&mut self, input: &[u8]) {
        let extracted = Secret::new(code(&self.chaining, &[input]));
        self.chaining = Secret::new(code(&extracted, &[&[1]]));
        self.key = Secret::new(code(&extracted, &[self.chaining.bytes(), &[2]]));
        self.counter = 0;
    }

    fn mix_preshared(&mut self, preshared: &Secret) {
        let extracted = Secret::new(code(&self.chaining, &[preshared.bytes()]));
        self.chaining = Secret::new(code(&extracted, &[&[1]]));
        let hash = Secret::new(code(&extracted, &[self.chaining.bytes(), &[2]]));
        self.key = Secret::new(code(&extracted, &[hash.bytes(), &[3]]));
        self.counter = 0;
        self.mix_hash(hash.bytes());
    }

    /// With a shared secret every ephemeral key is mixed into the key too (9.2).
    fn mix_ephemeral(&mut self, ephemeral: &PublicKey) {
        self.mix_hash(&ephemeral.0);
        self.mix_key(&ephemeral.0);
    }

    fn mix_shared(&mut self, own: &Secret, other: &PublicKey) -> Option<()> {
        let shared = own.diffie_hellman(other)?;
        self.mix_key(shared.bytes());
        Some(())
    }

    /// Encrypts `text` where it is and gives its tag.
    fn encrypt(&mut self, text: &mut [u8]) -> Option<[u8; TAG_BYTES]> {
        let tag = seal::encrypt(&self.key, self.counter, &self.hash, text)?;
        self.advance(text, &tag);
        Some(tag)
    }

    /// Decrypts `text` where it is.
    fn decrypt(&mut self, text: &mut [u8], tag: &[u8; TAG_BYTES]) -> Option<()> {
        let before = self.hash;
        self.advance(text, tag);
        seal::decrypt(&self.key, self.counter.checked_sub(1)?, &before, text, tag)
    }

    fn advance(&mut self, cipher: &[u8], tag: &[u8; TAG_BYTES]) {
        let mut hash = Sha256::new();
        hash.update(self.hash);
        hash.update(cipher);
        hash.update(tag);
        self.hash = hash.finalize().into();
        self.counter = self.counter.saturating_add(1);
    }

    fn split(&self) -> Split {
        let extracted = Secret::new(code(&self.chaining, &[]));
        let first = Secret::new(code(&extracted, &[&[1]]));
        let second = Secret::new(code(&extracted, &[first.bytes(), &[2]]));
        Split {
            requests: Sealer::new(first),
            answers: Sealer::new(second),
        }
    }
}

/// The phone's side, between its message and the pump's.
pub struct Initiator {
    state: Symmetric,
    own: Secret,
    ephemeral: Secret,
}

impl Initiator {
    /// Begins: writes the first message around the payload, which lies in `message` from byte 32 to 16 before its end. `ephemeral` is fresh random
    /// bytes, used for this handshake only. `None` when `pump` is no key.
    pub fn begin(
        prologue: &[u8],
        own: (&Secret, &PublicKey),
        pump: &PublicKey,
        preshared: &Secret,
        ephemeral: Secret,
        message: &mut [u8],
    ) -> Option<Initiator> {
        let (key, rest) = message.split_first_chunk_mut::<KEY_BYTES>()?;
        let (payload, tag) = rest.split_last_chunk_mut::<TAG_BYTES>()?;
        let mut state = Symmetric::new(prologue, own.1, pump);
        let public = ephemeral.public_key();
        *key = public.0;
        state.mix_preshared(preshared);
        state.mix_ephemeral(&public);
        state.mix_shared(&ephemeral, pump)?;
        state.mix_shared(own.0, pump)?;
        *tag = state.encrypt(payload)?;
        Some(Initiator {
            state,
            own: own.0.clone(),
            ephemeral,
        })
    }

    /// Ends with the pump's message, whose payload is decrypted where it lies. `None` when it is not of the pump that was meant.
    pub fn finish(mut self, message: &mut [u8]) -> Option<(Split, &[u8])> {
        let (key, rest) = message.split_first_chunk_mut::<KEY_BYTES>()?;
        let (payload, tag) = rest.split_last_chunk_mut::<TAG_BYTES>()?;
        let pump = PublicKey(*key);
        self.state.mix_ephemeral(&pump);
        self.state.mix_shared(&self.ephemeral, &pump)?;
        self.state.mix_shared(&self.own, &pump)?;
        self.state.decrypt(payload, tag)?;
        Some((self.state.split(), payload))
    }
}

/// The pump's side in one go: reads the first message, and has read who it is from when this returns.
pub struct Responder {
    state: Symmetric,
    phone: PublicKey,
    phone_ephemeral: PublicKey,
}

impl Responder {
    /// Reads the phone's message, whose payload is decrypted where it lies. `None` when it is not of that phone.
    pub fn read(
        prologue: &[u8],
        own: (&Secret, &PublicKey),
        phone: &PublicKey,
        preshared: &Secret,
        message: &mut [u8],
    ) -> Option<Responder> {
        let (key, rest) = message.split_first_chunk_mut::<KEY_BYTES>()?;
        let (payload, tag) = rest.split_last_chunk_mut::<TAG_BYTES>()?;
        let mut state = Symmetric::new(prologue, phone, own.1);
        let ephemeral = PublicKey(*key);
        state.mix_preshared(preshared);
        state.mix_ephemeral(&ephemeral);
        state.mix_shared(own.0, &ephemeral)?;
        state.mix_shared(own.0, phone)?;
        state.decrypt(payload, tag)?;
        Some(Responder {
            state,
            phone: *phone,
            phone_ephemeral: ephemeral,
        })
    }

    /// Writes the pump's message around the payload, which lies in `message` from byte 32 to 16 before its end. `ephemeral` is fresh random
    /// bytes, used for this handshake only.
    pub fn answer(mut self, ephemeral: &Secret, message: &mut [u8]) -> Option<Split> {
        let (key, rest) = message.split_first_chunk_mut::<KEY_BYTES>()?;
        let (payload, place) = rest.split_last_chunk_mut::<TAG_BYTES>()?;
        let public = ephemeral.public_key();
        *key = public.0;
        self.state.mix_ephemeral(&public);
        self.state.mix_shared(ephemeral, &self.phone_ephemeral)?;
        self.state.mix_shared(ephemeral, &self.phone)?;
        *place = self.state.encrypt(payload)?;
        Some(self.state.split())
    }
}

/// Compares in a time that tells nothing.
pub(crate) fn equal(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}
