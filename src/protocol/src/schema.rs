//! Tests that write down the shape of every message and pin it.
use postcard_schema::Schema;
use postcard_schema::schema::{DataModelType, DataModelVariant, NamedType, NamedValue};
use serde::Serialize;
use sha2::Digest as _;
use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use units::{Drug, Per};

use crate::codec::encode;
use crate::envelope::{COUNTER_BYTES, HEADER_BYTES, HELLO_BYTES, WELCOME_BYTES};
use crate::frame::{CHECK_LENGTH, MESSAGE_LIMIT};
use crate::samples;
use crate::seal::TAG_BYTES;
use crate::{
    Amount, Answer, CARD_BYTES, Command, Component, Denied, EmergencyCard, Fill, FlexStep, Info,
    Mode, Program, Refused, Request, SCHEMA_HASH, Staged, VERSION, Welcome,
};

const KEPT: &str = include_str!("../schema.txt");

/// The most items or bytes of a sequence; its name says.
pub(crate) fn bound(named: &NamedType) -> usize {
    named
        .name
        .parse()
        .expect("a sequence with a bound: it needs a name in list.rs")
}

/// The name by which a field refers to a type: a type of its own gets a paragraph, everything else is spelled out.
pub(crate) fn reference(named: &NamedType) -> String {
    match named.ty {
        DataModelType::Bool => "bool".into(),
        DataModelType::U8 => "u8".into(),
        DataModelType::U16 => "u16".into(),
        DataModelType::U32 => "u32".into(),
        DataModelType::U64 => "u64".into(),
        DataModelType::I16 => "i16".into(),
        DataModelType::I32 => "i32".into(),
        DataModelType::I64 => "i64".into(),
        DataModelType::ByteArray => format!("bytes, at most {}", bound(named)),
        DataModelType::Seq(inner) => {
            format!("list of {}, at most {}", reference(inner), bound(named))
        }
        DataModelType::Option(inner) => format!("option of {}", reference(inner)),
        DataModelType::Tuple(items) => {
            let first = items.first().expect("no empty tuples");
            assert!(items.iter().all(|item| item == first), "arrays only");
            format!("{} of {}", items.len(), reference(first))
        }
        DataModelType::NewtypeStruct(_)
        | DataModelType::TupleStruct(_)
        | DataModelType::Struct(_)
        | DataModelType::Enum(_) => named.name.to_string(),
        other => panic!(
            "{other:?} has no place in a message: its size is unbounded or its encoding unfixed"
        ),
    }
}

fn fields(fields: &[&NamedValue], indent: &str) -> String {
    fields
        .iter()
        .map(|field| format!("{indent}{}: {}\n", field.name, reference(field.ty)))
        .collect()
}

/// Writes the paragraph of `named` and, before it, those of all types it refers to.
fn describe(named: &NamedType, seen: &mut BTreeSet<&'static str>, out: &mut String) {
    match named.ty {
        DataModelType::Option(inner) | DataModelType::Seq(inner) => describe(inner, seen, out),
        DataModelType::Tuple(items) => items.iter().for_each(|item| describe(item, seen, out)),
        DataModelType::NewtypeStruct(inner) => {
            if seen.insert(named.name) {
                describe(inner, seen, out);
                out.push_str(&format!("{}\n  {}\n\n", named.name, reference(inner)));
            }
        }
        DataModelType::Struct(values) => {
            if seen.insert(named.name) {
                values
                    .iter()
                    .for_each(|value| describe(value.ty, seen, out));
                out.push_str(&format!("{}\n{}\n", named.name, fields(values, "  ")));
            }
        }
        DataModelType::Enum(variants) => {
            if seen.insert(named.name) {
                let mut text = format!("{}\n", named.name);
                for (number, variant) in variants.iter().enumerate() {
                    text.push_str(&format!("  {number} {}", variant.name));
                    match variant.ty {
                        DataModelVariant::UnitVariant => text.push('\n'),
                        DataModelVariant::NewtypeVariant(inner) => {
                            describe(inner, seen, out);
                            text.push_str(&format!(": {}\n", reference(inner)));
                        }
                        DataModelVariant::StructVariant(values) => {
                            values
                                .iter()
                                .for_each(|value| describe(value.ty, seen, out));
                            text.push_str(&format!("\n{}", fields(values, "      ")));
                        }
                        DataModelVariant::TupleVariant(_) => {
                            panic!("fields need names: the name bears the unit")
                        }
                    }
                }
                out.push_str(&text);
                out.push('\n');
            }
        }
        _ => {
            reference(named);
        }
    }
}

/// What travels: in a session, and outside of one.
pub(crate) const ROOTS: [&NamedType; 6] = [
    Request::SCHEMA,
    Answer::SCHEMA,
    Info::SCHEMA,
    Welcome::SCHEMA,
    Denied::SCHEMA,
    EmergencyCard::SCHEMA,
];

fn schema() -> String {
    let mut out = format!(
        "Thecal protocol, version {VERSION}: every message, in postcard. Written by the tests of src/protocol.\n\n"
    );
    let mut seen = BTreeSet::new();
    for root in ROOTS {
        describe(root, &mut seen, &mut out);
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn varint(bits: usize) -> usize {
    bits.div_ceil(7)
}

/// A length and as many items as there can be, of `item` bytes each.
fn sequence(named: &NamedType, item: usize) -> usize {
    let bound = bound(named);
    let length = if bound < 128 { 1 } else { 2 };
    bound.saturating_mul(item).saturating_add(length)
}

fn length(message: &impl Serialize) -> usize {
    let mut buffer = [0; MESSAGE_LIMIT];
    encode(message, &mut buffer).unwrap().len()
}

/// The most bytes postcard can need for a type.
pub(crate) fn largest(named: &NamedType) -> usize {
    match named.ty {
        DataModelType::Bool | DataModelType::U8 => 1,
        DataModelType::U16 | DataModelType::I16 => varint(16),
        DataModelType::U32 | DataModelType::I32 => varint(32),
        DataModelType::U64 | DataModelType::I64 => varint(64),
        DataModelType::ByteArray => sequence(named, 1),
        DataModelType::Seq(inner) => sequence(named, largest(inner)),
        DataModelType::Struct(_) if named == FlexStep::SCHEMA => {
            let (longest, most) = (FlexStep::LONGEST_MIN, FlexStep::LARGEST_NG);
            length(&FlexStep::new(longest, most).unwrap())
        }
        DataModelType::NewtypeStruct(_) if named == Amount::SCHEMA => length(&Amount::LARGEST),
        DataModelType::Option(inner) => largest(inner).saturating_add(1),
        DataModelType::NewtypeStruct(inner) => largest(inner),
        DataModelType::Tuple(items) => items.iter().map(|item| largest(item)).sum(),
        DataModelType::Struct(values) => values.iter().map(|value| largest(value.ty)).sum(),
        DataModelType::Enum(variants) => {
            assert!(variants.len() <= 128, "one byte of discriminant");
            let contents = variants.iter().map(|variant| match variant.ty {
                DataModelVariant::UnitVariant => 0,
                DataModelVariant::NewtypeVariant(inner) => largest(inner),
                DataModelVariant::TupleVariant(items) => {
                    items.iter().map(|item| largest(item)).sum()
                }
                DataModelVariant::StructVariant(values) => {
                    values.iter().map(|value| largest(value.ty)).sum()
                }
            });
            contents.max().unwrap_or(0).saturating_add(1)
        }
        other => panic!("{other:?} has no largest size"),
    }
}

#[test]
fn schema_and_its_hash_are_the_kept_ones() {
    let schema = schema();
    let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = sha2::Sha256::digest(schema.as_bytes()).into();
    let hash = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    if std::env::var_os("THECAL_KEEP_SCHEMA").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/schema.txt"), &schema).unwrap();
    } else {
        assert_eq!(
            schema, KEPT,
            "a message has changed its shape: if that is meant, keep the new one with \
             THECAL_KEEP_SCHEMA=1 cargo test -p protocol schema (and set SCHEMA_HASH to {hash:#018x})"
        );
    }
    assert_eq!(
        SCHEMA_HASH, hash,
        "set SCHEMA_HASH in lib.rs to {hash:#018x}"
    );
}

/// Header, counter, tag and check included. Pinned, because a page of documentation and the choice of MTU rest on them.
#[test]
fn the_longest_messages_fit() {
    let message = |named| HEADER_BYTES + COUNTER_BYTES + largest(named) + TAG_BYTES + CHECK_LENGTH;
    assert_eq!(
        (message(Request::SCHEMA), message(Answer::SCHEMA)),
        (743, 1044)
    );
    const { assert!(MESSAGE_LIMIT == 1056) };
    assert!(message(Request::SCHEMA) <= MESSAGE_LIMIT);
    assert!(message(Answer::SCHEMA) <= MESSAGE_LIMIT);
    assert!(largest(Info::SCHEMA) <= Info::LIMIT);
    assert!(largest(Welcome::SCHEMA) <= WELCOME_BYTES);
    assert!(largest(EmergencyCard::SCHEMA) <= CARD_BYTES);
    const { assert!(HELLO_BYTES == 97) };
}

/// What the bounds of the types allow is what the largest messages of the pump's making need: nothing is reckoned too small.
#[test]
fn the_largest_samples_are_as_long_as_the_types_allow() {
    let program = samples::largest_program();
    assert_eq!(length(&program), largest(Program::SCHEMA));
    assert_eq!(length(&samples::largest_staged()), largest(Staged::SCHEMA));
    let request = Request {
        id: u32::MAX,
        number: u32::MAX,
        command: Command::Stage(program),
    };
    assert_eq!(length(&request), largest(Request::SCHEMA));
}

/// Asked for: a day of 24 steps goes over the air in 130 bytes, for every drug up to its hard limit.
#[test]
fn a_program_of_24_steps_is_short() {
    let request = |per, dose_ng: u32, concentration_ng_per_ml| {
        let primary = Component {
            drug: Drug::Morphine,
            concentration_ng_per_ml,
        };
        let week = samples::one_pattern(per, |hour| dose_ng + u32::from(hour));
        let fill = Fill {
            volume_nl: 40_000_000,
            top_up: false,
        };
        length(&Request {
            id: 300,
            number: 0,
            command: Command::Stage(Program {
                fill: Some(fill),
                ..Program::new(primary, Mode::Flex { week })
            }),
        })
    };
    // Baclofen, 40 mcg/h of 2 mg/mL.
    assert_eq!(request(Per::Hour, 40_000, 2_000_000), 127);
    // Morphine, 25 mg/mL, at an average of 48 mg/day.
    assert_eq!(request(Per::Hour, 2_000_000, 25_000_000), 128);
    // Told per day, doses of 2.1 mg and more take four bytes.
    assert_eq!(request(Per::Day, 30_000_000, 25_000_000), 152);
}

/// What a pump has in its memory while it works on a message. Pinned, because stacks are sized by it.
#[test]
fn the_sizes_in_memory_are_known() {
    let sizes = (
        size_of::<Program>(),
        size_of::<Request>(),
        size_of::<Answer>(),
        size_of::<Refused>(),
    );
    assert_eq!(sizes, (752, 760, 1_224, 64));
}
