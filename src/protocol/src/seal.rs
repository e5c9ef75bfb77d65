//! ChaCha20-Poly1305 (RFC 8439) with Noise's nonces: what a session's messages are sealed with.
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};

use crate::keys::Secret;

/// Bytes of a tag.
pub const TAG_BYTES: usize = 16;

/// Noise's nonce: four zeros and the counter as 64 bits, little-endian (12.3).
fn nonce(counter: u32) -> [u8; 12] {
    let [a, b, c, d] = counter.to_le_bytes();
    [0, 0, 0, 0, a, b, c, d, 0, 0, 0, 0]
}

/// Encrypts `text` where it is and gives its tag.
pub(crate) fn encrypt(
    key: &Secret,
    counter: u32,
    associated: &[u8],
    text: &mut [u8],
) -> Option<[u8; TAG_BYTES]> {
    let cipher = ChaCha20Poly1305::new(key.bytes().into());
    let tag = cipher.encrypt_inout_detached(&nonce(counter).into(), associated, text.into());
    tag.ok().map(Into::into)
}

/// Decrypts `text` where it is, if the tag is right; otherwise it is left as it was.
pub(crate) fn decrypt(
    key: &Secret,
    counter: u32,
    associated: &[u8],
    text: &mut [u8],
    tag: &[u8; TAG_BYTES],
) -> Option<()> {
    let cipher = ChaCha20Poly1305::new(key.bytes().into());
    let opened = cipher.decrypt_inout_detached(
        &nonce(counter).into(),
        associated,
        text.into(),
        &(*tag).into(),
    );
    opened.ok()
}

/// One direction of a session.
#[derive(Clone, Debug)]
pub struct Sealer(Secret);

impl Sealer {
    /// One with this key.
    pub const fn new(key: Secret) -> Sealer {
        Sealer(key)
    }

    /// The key, for the vectors.
    #[cfg(test)]
    pub(crate) const fn key(&self) -> &[u8; 32] {
        self.0.bytes()
    }

    /// Seals the first `length` bytes of `buffer`; the tag follows them. The length of both, `None` when it does not fit. A counter is used once.
    pub fn seal(&self, counter: u32, buffer: &mut [u8], length: usize) -> Option<usize> {
        let (text, rest) = buffer.split_at_mut_checked(length)?;
        let place = rest.first_chunk_mut()?;
        *place = encrypt(&self.0, counter, &[], text)?;
        length.checked_add(TAG_BYTES)
    }

    /// What was sealed, opened where it is.
    pub fn open<'b>(&self, counter: u32, sealed: &'b mut [u8]) -> Option<&'b [u8]> {
        let (text, tag) = sealed.split_last_chunk_mut::<TAG_BYTES>()?;
        decrypt(&self.0, counter, &[], text, tag)?;
        Some(text)
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
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_counter_alone_and_only_whole() {
        let sealer = Sealer::new(Secret::new([3; 32]));
        let mut sealed = [0; 24];
        sealed[..8].copy_from_slice(b"morphine");
        assert_eq!(sealer.seal(7, &mut sealed, 8), Some(24));
        assert_ne!(&sealed[..8], b"morphine");
        for counter in [6, 8, 7 + (1 << 16)] {
            assert_eq!(sealer.open(counter, &mut sealed.clone()), None);
        }
        for bit in 0..24 * 8 {
            let mut flipped = sealed;
            flipped[bit / 8] ^= 1 << (bit % 8);
            let before = flipped;
            assert_eq!(sealer.open(7, &mut flipped), None);
            assert_eq!(flipped, before, "nothing is given out that was not checked");
        }
        for length in 0..24 {
            let mut cut = sealed;
            assert_eq!(sealer.open(7, &mut cut[..length]), None);
        }
        assert_eq!(
            Sealer::new(Secret::new([4; 32])).open(7, &mut sealed.clone()),
            None
        );
        assert_eq!(sealer.open(7, &mut sealed), Some(&b"morphine"[..]));
    }

    #[test]
    fn what_does_not_fit_is_not_sealed() {
        let sealer = Sealer::new(Secret::new([3; 32]));
        assert_eq!(sealer.seal(1, &mut [0; 23], 8), None);
        assert_eq!(sealer.seal(1, &mut [0; 4], 5), None);
        assert_eq!(sealer.seal(1, &mut [0; 16], 0), Some(16));
    }
}
