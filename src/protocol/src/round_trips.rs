//! Every message comes back as it went, at any MTU, and no two byte strings mean the same message.
//!
//! The messages are made from the schema: any values of any type that a message can hold, also of one added tomorrow.
#![allow(clippy::arithmetic_side_effects, reason = "tests may panic")]

use postcard_schema::Schema;
use postcard_schema::schema::{DataModelType, DataModelVariant, NamedType};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::vec::Vec;
use units::CarrierTime;

use crate::codec::{decode, encode};
use crate::fragmenter::Fragmenter;
use crate::frame::{MESSAGE_LIMIT, Parsed};
use crate::reassembler::{Progress, Reassembler};
use crate::schema::bound;
use crate::{Amount, Answer, Digest, FlexStep, Info, Lifecycle, Mtu, Program, Request};

/// Bytes of any value of a type, drawn from a list of numbers; an exhausted one gives zeros.
struct Draw {
    numbers: std::vec::IntoIter<u64>,
    bytes: Vec<u8>,
}

impl Draw {
    fn number(&mut self) -> u64 {
        self.numbers.next().unwrap_or(0)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.number() % u64::try_from(bound).unwrap()).unwrap()
    }

    /// A varint of at most `bits` bits, of any length.
    fn varint(&mut self, bits: u32) {
        let shift = 64 - bits + u32::try_from(self.below(usize::try_from(bits).unwrap())).unwrap();
        let number = self.number() >> shift;
        self.push(&number);
    }

    fn push(&mut self, value: &impl Serialize) {
        let mut buffer = [0; 16];
        self.bytes.extend(encode(value, &mut buffer).unwrap());
    }

    fn draw(&mut self, named: &NamedType) {
        if named == FlexStep::SCHEMA {
            let lasts = u16::try_from(self.below(1_441)).unwrap();
            let dose = u32::try_from(self.number() >> 36).unwrap();
            return self.push(&FlexStep::new(lasts, dose).unwrap());
        }
        if named == Amount::SCHEMA {
            return self.varint(42);
        }
        match named.ty {
            DataModelType::Bool => {
                let set = self.below(2) == 1;
                self.push(&set);
            }
            DataModelType::U8 => {
                let number = u8::try_from(self.below(256)).unwrap();
                self.bytes.push(number);
            }
            DataModelType::U16 | DataModelType::I16 => self.varint(16),
            DataModelType::U32 | DataModelType::I32 => self.varint(32),
            DataModelType::U64 | DataModelType::I64 => self.varint(64),
            DataModelType::ByteArray => {
                let length = self.below(bound(named) + 1);
                self.push(&length);
                self.bytes.resize(self.bytes.len() + length, 0x5a);
            }
            DataModelType::Seq(inner) => {
                let length = self.below(bound(named) + 1);
                self.push(&length);
                (0..length).for_each(|_| self.draw(inner));
            }
            DataModelType::Option(inner) => {
                let some = self.below(2) == 1;
                self.push(&some);
                if some {
                    self.draw(inner);
                }
            }
            DataModelType::NewtypeStruct(inner) => self.draw(inner),
            DataModelType::Tuple(items) => items.iter().for_each(|item| self.draw(item)),
            DataModelType::Struct(fields) => fields.iter().for_each(|field| self.draw(field.ty)),
            DataModelType::Enum(variants) => {
                let number = self.below(variants.len());
                self.push(&number);
                match variants[number].ty {
                    DataModelVariant::UnitVariant => {}
                    DataModelVariant::NewtypeVariant(inner) => self.draw(inner),
                    DataModelVariant::TupleVariant(items) => {
                        items.iter().for_each(|item| self.draw(item));
                    }
                    DataModelVariant::StructVariant(fields) => {
                        fields.iter().for_each(|field| self.draw(field.ty));
                    }
                }
            }
            other => panic!("{other:?} has no place in a message"),
        }
    }
}

/// Any message of type `T`, with its bytes.
fn any_message<T: Schema + DeserializeOwned + Serialize + core::fmt::Debug>()
-> impl Strategy<Value = (T, Vec<u8>)> {
    prop::collection::vec(any::<u64>(), 0..400).prop_map(|numbers| {
        let mut draw = Draw {
            numbers: numbers.into_iter(),
            bytes: Vec::new(),
        };
        draw.draw(T::SCHEMA);
        (decode(&draw.bytes).unwrap(), draw.bytes)
    })
}

/// There and back, through frames at `mtu`.
fn travel(bytes: &[u8], mtu: Mtu) -> Vec<u8> {
    let mut fragmenter = Fragmenter::new();
    assert!(fragmenter.load(|buffer| {
        buffer[..bytes.len()].copy_from_slice(bytes);
        Some(bytes.len())
    }));
    let mut reassembler = Reassembler::new(None);
    let mut progress = Progress::Partial;
    while let Some(frame) = fragmenter.next_frame(mtu) {
        assert_eq!(progress, Progress::Partial);
        let Ok(Parsed::Data(part)) = Parsed::from_bytes(&frame) else {
            panic!("{frame:?}")
        };
        progress = reassembler
            .receive(CarrierTime::from_micros(0), &part)
            .unwrap();
    }
    assert_eq!(progress, Progress::Complete);
    reassembler.message().to_vec()
}

fn comes_back<T: Serialize>(value: &T, bytes: &[u8], mtu: u16) {
    let mut buffer = [0; MESSAGE_LIMIT];
    assert_eq!(encode(value, &mut buffer), Some(bytes));
    assert_eq!(travel(bytes, Mtu::new(mtu).unwrap()), bytes);
}

/// Whatever decodes, encodes to exactly the same bytes.
fn is_canonical<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    if let Ok(value) = decode::<T>(bytes) {
        let mut buffer = [0; MESSAGE_LIMIT];
        assert_eq!(encode(&value, &mut buffer), Some(bytes));
    }
}

proptest! {
    #[test]
    fn requests_come_back((request, bytes) in any_message::<Request>(), mtu in 23_u16..=247) {
        comes_back(&request, &bytes, mtu);
    }

    #[test]
    fn answers_come_back((answer, bytes) in any_message::<Answer>(), mtu in 23_u16..=247) {
        comes_back(&answer, &bytes, mtu);
    }

    #[test]
    fn infos_come_back(capabilities in any::<u32>(), nonce in any::<[u8; 8]>(), armed in any::<bool>()) {
        for lifecycle in Lifecycle::ALL {
            let info = Info::new(capabilities, nonce, lifecycle, armed);
            let mut buffer = [0; Info::LIMIT];
            prop_assert_eq!(Info::decode(info.encode(&mut buffer).unwrap()), Ok(info));
        }
    }

    #[test]
    fn messages_of_any_length_come_back(bytes in prop::collection::vec(any::<u8>(), 2..=1020), mtu in 23_u16..=247) {
        prop_assert_eq!(travel(&bytes, Mtu::new(mtu).unwrap()), bytes);
    }

    #[test]
    fn a_changed_byte_is_another_message_or_none(
        (answer, mut bytes) in any_message::<Answer>(),
        place in any::<prop::sample::Index>(),
        change in 1_u8..=255,
    ) {
        *place.get_mut(&mut bytes[..]) ^= change;
        is_canonical::<Answer>(&bytes);
        prop_assert_ne!(decode::<Answer>(&bytes), Ok(answer));
    }

    #[test]
    fn a_digest_names_one_program_and_number(
        (a, _) in any_message::<Program>(),
        (b, _) in any_message::<Program>(),
        number in any::<u32>(),
    ) {
        prop_assert_eq!(Digest::of(&a, number) == Digest::of(&b, number), a == b);
        prop_assert_ne!(Digest::of(&a, number), Digest::of(&a, number.wrapping_add(1)));
    }

    /// A digest depends on every byte of the program, and so on every field.
    #[test]
    fn a_digest_depends_on_every_field(
        (program, mut bytes) in any_message::<Program>(),
        place in any::<prop::sample::Index>(),
        change in 1_u8..=255,
    ) {
        *place.get_mut(&mut bytes[..]) ^= change;
        if let Ok(other) = decode::<Program>(&bytes) {
            prop_assert_ne!(Digest::of(&program, 7), Digest::of(&other, 7));
        }
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        is_canonical::<Request>(&bytes);
        is_canonical::<Answer>(&bytes);
    }
}
