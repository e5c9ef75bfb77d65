//! Our Noise against the public vectors, and against `snow`, which is nobody's kin.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests may panic"
)]

use proptest::prelude::*;
use protocol::noise::{Initiator, Responder};
use protocol::{PublicKey, Secret};
use snow::Builder;

const NAME: &str = "Noise_KKpsk0_25519_ChaChaPoly_SHA256";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn secret(hex: &str) -> Secret {
    Secret::new(bytes(hex).try_into().unwrap())
}

/// A payload with the room that its message needs around it.
fn around(payload: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 32];
    message.extend(payload);
    message.resize(32 + payload.len() + 16, 0);
    message
}

/// The vector of this pattern in cacophony's collection (github.com/haskell-cryptography/cacophony, vectors/cacophony.txt).
#[test]
fn the_public_vector_comes_out() {
    let prologue = b"John Galt";
    let preshared = secret("54686973206973206d7920417573747269616e20706572737065637469766521");
    let phone = secret("e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1");
    let phone_ephemeral =
        secret("893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a");
    let pump = secret("4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893");
    let pump_ephemeral = secret("bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b");
    let (phone_public, pump_public) = (phone.public_key(), pump.public_key());
    assert_eq!(
        pump_public.0.to_vec(),
        bytes("31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62")
    );
    assert_eq!(
        phone_public.0.to_vec(),
        bytes("6bc3822a2aa7f4e6981d6538692b3cdf3e6df9eea6ed269eb41d93c22757b75a")
    );

    let mut first = around(b"Ludwig von Mises");
    let initiator = Initiator::begin(
        prologue,
        (&phone, &phone_public),
        &pump_public,
        &preshared,
        phone_ephemeral,
        &mut first,
    )
    .unwrap();
    assert_eq!(
        first,
        bytes(
            "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c794423f19812300a6051f02195db0722909fc920796814cfc886ab3a8083c66a5961"
        )
    );
    let responder = Responder::read(
        prologue,
        (&pump, &pump_public),
        &phone_public,
        &preshared,
        &mut first,
    )
    .unwrap();
    assert_eq!(&first[32..48], b"Ludwig von Mises");

    let mut second = around(b"Murray Rothbard");
    let pumps = responder.answer(&pump_ephemeral, &mut second).unwrap();
    assert_eq!(
        second,
        bytes(
            "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f14480884320acfe866b4ede922f007d89dbf507216d6aa8646c7fba098da374b1784d4b"
        )
    );
    let (phones, payload) = initiator.finish(&mut second).unwrap();
    assert_eq!(payload, b"Murray Rothbard");

    for (counter, from_phone, text, sealed) in [
        (
            0,
            true,
            "F. A. Hayek",
            "d213fdd768eeef05ee236c6d2983b2029bb472567a5831f4ff592c",
        ),
        (
            0,
            false,
            "Carl Menger",
            "facf98016edcfc2566b16866935329b4da833dcd3bbb4173cf638e",
        ),
        (
            1,
            true,
            "Jean-Baptiste Say",
            "f46e7b19ebc94d697afc64b7f7d78d9b89276a6fbd438985d68c5d0261f4d4b774",
        ),
        (
            1,
            false,
            "Eugen Böhm von Bawerk",
            "84119bc1a1a5f97a338c7affb30242cf3111e95c41a07d5e289b160015156a93cb70e8e73d",
        ),
    ] {
        let (writes, reads) = if from_phone {
            (&phones.requests, &pumps.requests)
        } else {
            (&pumps.answers, &phones.answers)
        };
        // In the vector a letter is a byte (ISO 8859-1).
        let plain: Vec<u8> = text
            .chars()
            .map(|letter| u8::try_from(letter).unwrap())
            .collect();
        let mut buffer = plain.clone();
        buffer.resize(plain.len() + 16, 0);
        writes.seal(counter, &mut buffer, plain.len()).unwrap();
        assert_eq!(buffer, bytes(sealed));
        assert_eq!(reads.open(counter, &mut buffer), Some(&plain[..]));
    }
}

fn key() -> impl Strategy<Value = [u8; 32]> {
    any::<[u8; 32]>()
}

proptest! {
    /// Either side may be `snow`: it takes our messages and we take its, in both roles, and what is sealed afterwards.
    #[test]
    fn snow_understands_us_and_we_it(
        phone in key(), pump in key(), preshared in key(), ours in key(),
        prologue in prop::collection::vec(any::<u8>(), 0..40),
        payload in prop::collection::vec(any::<u8>(), 0..60),
        counter in 0_u32..1_000_000,
    ) {
        let (phone, pump, preshared) = (Secret::new(phone), Secret::new(pump), Secret::new(preshared));
        let (phone_public, pump_public) = (phone.public_key(), pump.public_key());
        let builder = || Builder::new(NAME.parse().unwrap()).prologue(&prologue).unwrap().psk(0, preshared.bytes()).unwrap();
        let mut buffer = vec![0; 200];

        // We are the phone.
        let mut snow = builder()
            .local_private_key(pump.bytes()).unwrap()
            .remote_public_key(&phone_public.0).unwrap()
            .build_responder().unwrap();
        let mut first = around(&payload);
        let initiator = Initiator::begin(
            &prologue, (&phone, &phone_public), &pump_public, &preshared, Secret::new(ours), &mut first,
        ).unwrap();
        let length = snow.read_message(&first, &mut buffer).unwrap();
        prop_assert_eq!(&buffer[..length], &payload[..]);
        let length = snow.write_message(&payload, &mut buffer).unwrap();
        let (split, read) = initiator.finish(&mut buffer[..length]).unwrap();
        prop_assert_eq!(read, &payload[..]);
        let snow = snow.into_stateless_transport_mode().unwrap();
        let mut sealed = payload.clone();
        sealed.resize(payload.len() + 16, 0);
        split.requests.seal(counter, &mut sealed, payload.len()).unwrap();
        let length = snow.read_message(counter.into(), &sealed, &mut buffer).unwrap();
        prop_assert_eq!(&buffer[..length], &payload[..]);
        let length = snow.write_message(counter.into(), &payload, &mut buffer).unwrap();
        prop_assert_eq!(split.answers.open(counter, &mut buffer[..length]).unwrap(), &payload[..]);

        // We are the pump.
        let mut snow = builder()
            .local_private_key(phone.bytes()).unwrap()
            .remote_public_key(&pump_public.0).unwrap()
            .build_initiator().unwrap();
        let length = snow.write_message(&payload, &mut buffer).unwrap();
        let responder = Responder::read(
            &prologue, (&pump, &pump_public), &phone_public, &preshared, &mut buffer[..length],
        ).unwrap();
        prop_assert_eq!(&buffer[32..length - 16], &payload[..]);
        let mut second = around(&payload);
        let split = responder.answer(&Secret::new(ours), &mut second).unwrap();
        let length = snow.read_message(&second, &mut buffer).unwrap();
        prop_assert_eq!(&buffer[..length], &payload[..]);
        let snow = snow.into_stateless_transport_mode().unwrap();
        let length = snow.write_message(counter.into(), &payload, &mut buffer).unwrap();
        prop_assert_eq!(split.requests.open(counter, &mut buffer[..length]).unwrap(), &payload[..]);
    }

    /// Anything else than what the other side holds leads nowhere: each key, the shared secret, the prologue, any bit of a message.
    #[test]
    fn whatever_differs_ends_the_handshake(
        keys in any::<[[u8; 32]; 6]>(), wrong in 0_usize..4, bit in 0_usize..48 * 8, second_bit in 0_usize..50 * 8,
    ) {
        let [phone, pump, preshared, other, ours, theirs] = keys.map(Secret::new);
        prop_assume!(other != phone && other != preshared);
        let (phone_public, pump_public) = (phone.public_key(), pump.public_key());
        let begin = |message: &mut [u8]| Initiator::begin(
            b"p", (&phone, &phone_public), &pump_public, &preshared, ours.clone(), message,
        ).unwrap();
        let mut first = around(b"");
        begin(&mut first);
        let read = |prologue: &[u8], phone: &PublicKey, preshared: &Secret, message: &mut [u8]| {
            Responder::read(prologue, (&pump, &pump_public), phone, preshared, message)
        };
        let other_public = other.public_key();
        let refused = match wrong {
            0 => read(b"q", &phone_public, &preshared, &mut first.clone()),
            1 => read(b"p", &other_public, &preshared, &mut first.clone()),
            2 => read(b"p", &phone_public, &other, &mut first.clone()),
            _ => Responder::read(b"p", (&other, &other_public), &phone_public, &preshared, &mut first.clone()),
        };
        prop_assert!(refused.is_none(), "{wrong}");
        let mut flipped = first.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        // X25519 ignores the highest bit of a key, but the hash of the handshake does not.
        prop_assert!(read(b"p", &phone_public, &preshared, &mut flipped).is_none());
        for length in 0..48 {
            prop_assert!(read(b"p", &phone_public, &preshared, &mut first.clone()[..length]).is_none());
        }

        let responder = read(b"p", &phone_public, &preshared, &mut first.clone()).unwrap();
        let mut second = around(b"ok");
        responder.answer(&theirs, &mut second).unwrap();
        let mut message = around(b"");
        prop_assert!(begin(&mut message).finish(&mut second.clone()).is_some());
        second[second_bit / 8] ^= 1 << (second_bit % 8);
        prop_assert!(begin(&mut message).finish(&mut second).is_none());
    }
}
