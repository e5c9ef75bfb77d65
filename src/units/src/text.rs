//! Reading and writing exact decimal numbers with a unit.
//!
//! Shared by all quantities: the number is read as an integer with a power of ten, the unit as an integer factor, and the two
//! multiply to a whole number or the text is refused. Nothing is rounded in either direction.

use core::fmt;
use core::num::NonZeroU128;

use crate::error::{Quantity, QuantityError};
use crate::ratio::Ratio;

/// One way to write a quantity.
pub(crate) struct Unit {
    /// The unit as written.
    pub name: &'static str,
    /// How many of the smallest amounts make one. For units that are printed a power of ten, so that the decimals end.
    pub scale: NonZeroU128,
    /// The smallest value, in smallest amounts, that is printed in this unit; `u128::MAX` for read-only units.
    pub print_from: u128,
}

impl Unit {
    /// A unit that is printed from `print_from` smallest amounts up.
    pub const fn new(name: &'static str, scale: u128, print_from: u128) -> Self {
        let scale = match NonZeroU128::new(scale) {
            Some(scale) => scale,
            None => NonZeroU128::MIN,
        };
        Self {
            name,
            scale,
            print_from,
        }
    }

    /// A unit that is read but never chosen for printing.
    pub const fn read_only(name: &'static str, scale: u128) -> Self {
        Self::new(name, scale, u128::MAX)
    }
}

/// Volumes in femtolitres. Millilitres are printed from 0.001 mL up, because that is how reservoirs and daily rates are spoken of.
pub(crate) const VOLUMES: [Unit; 4] = [
    Unit::new("mL", 1_000_000_000_000, 1_000_000_000),
    Unit::read_only("uL", 1_000_000_000),
    Unit::new("nL", 1_000_000, 1_000_000),
    Unit::new("fL", 1, 0),
];

/// The volumes a flow rate may be written with, in femtolitres.
pub(crate) const FLOWED: [Unit; 3] = [
    Unit::new("mL", 1_000_000_000_000, 1_000_000_000),
    Unit::read_only("uL", 1_000_000_000),
    Unit::new("nL", 1_000_000, 0),
];

/// Masses in zeptograms.
pub(crate) const MASSES: [Unit; 3] = [
    Unit::new("mg", 1_000_000_000_000_000_000, 1_000_000_000_000_000_000),
    Unit::new("mcg", 1_000_000_000_000_000, 1_000_000_000_000_000),
    Unit::new("ng", 1_000_000_000_000, 0),
];

/// Concentrations in nanograms per millilitre.
pub(crate) const CONCENTRATIONS: [Unit; 3] = [
    Unit::new("mg/mL", 1_000_000, 1_000_000),
    Unit::new("mcg/mL", 1_000, 1_000),
    Unit::new("ng/mL", 1, 0),
];

/// Durations in microseconds; printing chooses among them in `duration.rs`.
pub(crate) const DURATIONS: [Unit; 7] = [
    Unit::read_only("days", 86_400_000_000),
    Unit::read_only("day", 86_400_000_000),
    Unit::read_only("h", 3_600_000_000),
    Unit::read_only("min", 60_000_000),
    Unit::new("s", 1_000_000, 1_000_000),
    Unit::new("ms", 1_000, 1_000),
    Unit::new("us", 1, 0),
];

/// A number and a unit, not yet put together.
pub(crate) struct Parts<'a> {
    /// The number without its point.
    mantissa: u128,
    /// How many of its digits stand after the point.
    decimals: u32,
    /// What follows the number, without blanks around it.
    pub unit: &'a str,
}

/// Takes a text apart into its number and its unit.
pub(crate) fn split(text: &str, wanted: Quantity) -> Result<Parts<'_>, QuantityError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(QuantityError::Empty(wanted));
    }
    if text.starts_with(['+', '-', '\u{2212}']) {
        return Err(QuantityError::Signed(wanted));
    }
    let end = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    if number.is_empty() {
        let error = if text.starts_with(char::is_alphabetic) {
            QuantityError::MissingNumber
        } else {
            QuantityError::NotANumber
        };
        return Err(error(wanted));
    }
    // `1,000 mL`, `1_000 mL` and `1e3 mL` go on where a unit would begin with a blank or a letter.
    let unit = rest.trim_start();
    let begins_with_unit = unit.is_empty() || unit.starts_with(char::is_alphabetic);
    let exponent = rest.strip_prefix(['e', 'E']).is_some_and(|after| {
        after.starts_with(|character: char| {
            character.is_ascii_digit() || matches!(character, '+' | '-')
        })
    });
    if !begins_with_unit || exponent {
        return Err(QuantityError::NotANumber(wanted));
    }
    let (whole, fraction) = match number.split_once('.') {
        None => (number, ""),
        Some((_, fraction)) if fraction.contains('.') => {
            return Err(QuantityError::NotANumber(wanted));
        }
        Some(("", _)) => return Err(QuantityError::LeadingPoint(wanted)),
        Some((_, "")) => return Err(QuantityError::TrailingPoint(wanted)),
        // Zeros at the end change nothing and would count as decimals.
        Some((whole, fraction)) => (whole, fraction.trim_end_matches('0')),
    };
    if unit.is_empty() {
        return Err(QuantityError::MissingUnit(wanted));
    }
    let mut mantissa = 0_u128;
    for digit in whole
        .chars()
        .chain(fraction.chars())
        .filter_map(|digit| digit.to_digit(10))
    {
        mantissa = mantissa
            .checked_mul(10)
            .and_then(|tens| tens.checked_add(u128::from(digit)))
            // So many digits are either too large a number or too fine a fraction: the whole part alone tells which.
            .ok_or(if fraction.is_empty() {
                QuantityError::TooLarge(wanted)
            } else {
                QuantityError::TooPrecise(wanted)
            })?;
    }
    let decimals = u32::try_from(fraction.len()).map_err(|_| QuantityError::TooPrecise(wanted))?;
    Ok(Parts {
        mantissa,
        decimals,
        unit,
    })
}

impl Parts<'_> {
    /// The value in smallest amounts, exactly.
    pub fn exact(&self, unit: &Unit, wanted: Quantity) -> Result<u128, QuantityError> {
        let power = 10_u128
            .checked_pow(self.decimals)
            .and_then(NonZeroU128::new)
            .ok_or(QuantityError::TooPrecise(wanted))?;
        // Reduced first, so that the product overflows only if the value itself does.
        let factor = Ratio::new(unit.scale.get(), power);
        if self.mantissa % factor.denominator() != 0 {
            return Err(QuantityError::TooPrecise(wanted));
        }
        (self.mantissa / factor.denominator())
            .checked_mul(factor.numerator())
            .ok_or(QuantityError::TooLarge(wanted))
    }
}

/// The unit of that name in a table.
pub(crate) fn find<'a>(units: &'a [Unit], name: &str) -> Option<&'a Unit> {
    units.iter().find(|unit| unit.name == name)
}

/// The error for a unit that is not one of the quantity wanted: it may belong to another one.
pub(crate) fn misplaced(unit: &str, wanted: Quantity) -> QuantityError {
    let per_time = |time: &str| matches!(time, "h" | "day");
    let found = if find(&VOLUMES, unit).is_some() {
        Some(Quantity::Volume)
    } else if find(&MASSES, unit).is_some() {
        Some(Quantity::Mass)
    } else if find(&CONCENTRATIONS, unit).is_some() {
        Some(Quantity::Concentration)
    } else if find(&DURATIONS, unit).is_some() {
        Some(Quantity::Duration)
    } else {
        match unit.split_once('/') {
            Some((amount, time)) if per_time(time) && find(&MASSES, amount).is_some() => {
                Some(Quantity::DoseRate)
            }
            Some((amount, time)) if per_time(time) && find(&FLOWED, amount).is_some() => {
                Some(Quantity::FlowRate)
            }
            Some(_) | None => None,
        }
    };
    match found {
        Some(found) if found != wanted => QuantityError::UnitOfAnother { wanted, found },
        Some(_) | None => QuantityError::UnknownUnit(wanted),
    }
}

/// Reads a quantity written in one of `units`, in smallest amounts.
pub(crate) fn read(text: &str, units: &[Unit], wanted: Quantity) -> Result<u128, QuantityError> {
    let parts = split(text, wanted)?;
    let unit = find(units, parts.unit).ok_or_else(|| misplaced(parts.unit, wanted))?;
    parts.exact(unit, wanted)
}

/// The unit a value is printed in: zero in the first of the table, anything else in the first it is large enough for.
fn printed_in(value: u128, units: &[Unit]) -> Option<&Unit> {
    if value == 0 {
        return units.first();
    }
    units.iter().find(|unit| value >= unit.print_from)
}

/// Writes a value in the unit chosen by the table, followed by `suffix` (`/day`, or nothing).
pub(crate) fn write(
    f: &mut fmt::Formatter<'_>,
    value: u128,
    units: &[Unit],
    suffix: &str,
) -> fmt::Result {
    let Some(unit) = printed_in(value, units) else {
        return Err(fmt::Error);
    };
    write_decimal(f, value, unit.scale)?;
    write!(f, " {}{suffix}", unit.name)
}

/// Writes `value / scale` as a decimal number without exponent or trailing zeros. `scale` is a power of ten.
pub(crate) fn write_decimal(
    f: &mut fmt::Formatter<'_>,
    value: u128,
    scale: NonZeroU128,
) -> fmt::Result {
    write!(f, "{}", value / scale)?;
    let mut rest = value % scale;
    let mut scale = scale.get();
    if rest != 0 {
        f.write_str(".")?;
    }
    while rest != 0 {
        // `scale` falls through the powers of ten to 1, where the rest is zero.
        let Some(next) = NonZeroU128::new(scale / 10) else {
            return Err(fmt::Error);
        };
        write!(f, "{}", rest / next)?;
        rest %= next;
        scale = next.get();
    }
    Ok(())
}

/// Serde for a quantity: its text in formats for people, its integer in formats for machines.
macro_rules! serde_as_text_or {
    ($quantity:ty, $raw:ty, $expecting:literal) => {
        impl serde::Serialize for $quantity {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serde::Serialize::serialize(&<$raw>::from(*self), serializer)
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $quantity {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;

                impl serde::de::Visitor<'_> for Text {
                    type Value = $quantity;

                    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                        f.write_str($expecting)
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$quantity, E> {
                        text.parse().map_err(E::custom)
                    }
                }

                if deserializer.is_human_readable() {
                    deserializer.deserialize_str(Text)
                } else {
                    <$raw as serde::Deserialize>::deserialize(deserializer).map(<$quantity>::from)
                }
            }
        }
    };
}
pub(crate) use serde_as_text_or;

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use std::string::ToString;

    use num_bigint::BigUint;
    use proptest::prelude::*;

    use super::*;
    use crate::{Concentration, DoseRate, Duration, FlowRate, Mass, StepVolume, Volume};

    /// Requirement: AC-10
    #[test]
    fn every_mistake_has_its_name() {
        use Quantity::Volume as Wanted;
        for (text, error) in [
            ("", QuantityError::Empty(Wanted)),
            ("  \t", QuantityError::Empty(Wanted)),
            ("20", QuantityError::MissingUnit(Wanted)),
            ("20 ", QuantityError::MissingUnit(Wanted)),
            ("mL", QuantityError::MissingNumber(Wanted)),
            ("mL 20", QuantityError::MissingNumber(Wanted)),
            ("20 ml", QuantityError::UnknownUnit(Wanted)),
            ("20 ML", QuantityError::UnknownUnit(Wanted)),
            ("20 \u{b5}L", QuantityError::UnknownUnit(Wanted)),
            ("20 L", QuantityError::UnknownUnit(Wanted)),
            ("20 mL mL", QuantityError::UnknownUnit(Wanted)),
            ("20 mL 3", QuantityError::UnknownUnit(Wanted)),
            ("20 mL/min", QuantityError::UnknownUnit(Wanted)),
            ("20 L/day", QuantityError::UnknownUnit(Wanted)),
            (
                "20 mg",
                QuantityError::UnitOfAnother {
                    wanted: Wanted,
                    found: Quantity::Mass,
                },
            ),
            (
                "20 mg/mL",
                QuantityError::UnitOfAnother {
                    wanted: Wanted,
                    found: Quantity::Concentration,
                },
            ),
            (
                "20 mL/day",
                QuantityError::UnitOfAnother {
                    wanted: Wanted,
                    found: Quantity::FlowRate,
                },
            ),
            (
                "20 mg/h",
                QuantityError::UnitOfAnother {
                    wanted: Wanted,
                    found: Quantity::DoseRate,
                },
            ),
            (
                "20 days",
                QuantityError::UnitOfAnother {
                    wanted: Wanted,
                    found: Quantity::Duration,
                },
            ),
            ("+20 mL", QuantityError::Signed(Wanted)),
            ("-20 mL", QuantityError::Signed(Wanted)),
            ("\u{2212}20 mL", QuantityError::Signed(Wanted)),
            (".5 mL", QuantityError::LeadingPoint(Wanted)),
            (". mL", QuantityError::LeadingPoint(Wanted)),
            ("5. mL", QuantityError::TrailingPoint(Wanted)),
            ("1.2.3 mL", QuantityError::NotANumber(Wanted)),
            ("1..2 mL", QuantityError::NotANumber(Wanted)),
            ("1,000 mL", QuantityError::NotANumber(Wanted)),
            ("0,5 mL", QuantityError::NotANumber(Wanted)),
            ("1_000 mL", QuantityError::NotANumber(Wanted)),
            ("1 000 mL", QuantityError::NotANumber(Wanted)),
            ("1e3 mL", QuantityError::NotANumber(Wanted)),
            ("1E-3 mL", QuantityError::NotANumber(Wanted)),
            ("1e+3 mL", QuantityError::NotANumber(Wanted)),
            ("1/2 mL", QuantityError::NotANumber(Wanted)),
            ("20 /mL", QuantityError::NotANumber(Wanted)),
            ("\u{0661} mL", QuantityError::NotANumber(Wanted)),
            ("0.5 fL", QuantityError::TooPrecise(Wanted)),
            ("0.0000000000001 mL", QuantityError::TooPrecise(Wanted)),
        ] {
            assert_eq!(text.parse::<Volume>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn zeros_after_the_last_decimal_change_nothing() {
        let zeros = "0".repeat(60);
        assert_eq!(
            std::format!("1.5{zeros} mL").parse::<Volume>(),
            "1.5 mL".parse()
        );
        assert_eq!(
            std::format!("{zeros}1.5 mL").parse::<Volume>(),
            "1.5 mL".parse()
        );
        let fine = std::format!("0.{zeros}1 mL");
        assert_eq!(
            fine.parse::<Volume>(),
            Err(QuantityError::TooPrecise(Quantity::Volume))
        );
        let long = std::format!("0.{} mL", "123456789".repeat(9));
        assert_eq!(
            long.parse::<Volume>(),
            Err(QuantityError::TooPrecise(Quantity::Volume))
        );
    }

    /// Only the units a message lists are read, and every one of them is.
    #[test]
    fn the_units_in_the_messages_are_the_units_that_are_read() {
        fn check<Q: core::str::FromStr<Err = QuantityError>>(quantity: Quantity) {
            let units = quantity.units().replace(" or ", ", ");
            for unit in units.split(", ") {
                let text = std::format!("1000 {unit}");
                // 1000 mL is too large a step, but not in the wrong unit.
                let error = text.parse::<Q>().err();
                assert!(
                    matches!(error, None | Some(QuantityError::TooLarge(_))),
                    "{text}: {error:?}"
                );
            }
            assert!(quantity.example().parse::<Q>().is_ok());
            let error = quantity.largest().parse::<Q>().err();
            assert!(
                quantity.largest().contains(" per ") || error.is_none(),
                "{error:?}"
            );
        }
        check::<Volume>(Quantity::Volume);
        check::<StepVolume>(Quantity::StepVolume);
        check::<Mass>(Quantity::Mass);
        check::<Concentration>(Quantity::Concentration);
        check::<DoseRate>(Quantity::DoseRate);
        check::<FlowRate>(Quantity::FlowRate);
        check::<Duration>(Quantity::Duration);
    }

    #[test]
    fn messages_say_what_is_wrong_and_what_is_allowed() {
        let message = |text: &str| text.parse::<DoseRate>().unwrap_err().to_string();
        assert_eq!(
            message("250"),
            "the unit is missing: a dose rate is written with a number and ng/h, mcg/h, mg/h, ng/day, mcg/day or mg/day, \
             such as 250 mcg/day"
        );
        assert!(
            message("250 mL/day")
                .starts_with("the unit is that of a flow rate: a dose rate is written with")
        );
        assert!(message("0.0000000000000000001 mg/day").contains("steps of 1 zg"));
        assert_eq!(
            "0 mg/mL".parse::<Concentration>().unwrap_err().to_string(),
            "a concentration must be more than zero"
        );
        assert!(
            "99999999 mL"
                .parse::<Volume>()
                .unwrap_err()
                .to_string()
                .contains("at most 18446744.073709551615 mL")
        );
    }

    /// What a text says, by the rules of the schoolroom: digits times unit, shifted by the decimals; `None` if that does not come out.
    fn oracle(whole: u64, fraction: &str, scale: u128) -> Option<BigUint> {
        let digits: BigUint = std::format!("{whole}{fraction}").parse().unwrap();
        let power = BigUint::from(10_u32).pow(u32::try_from(fraction.len()).unwrap());
        let product = digits * scale;
        (&product % &power == BigUint::ZERO).then(|| product / power)
    }

    proptest! {
        /// Any decimal in any unit is read exactly or refused, as with big integers.
        #[test]
        fn numbers_are_read_exactly(whole in any::<u64>(), shift in 0_u32..64, fraction in "[0-9]{1,22}", unit in 0_usize..4) {
            let whole = whole >> shift;
            let unit = VOLUMES.get(unit).unwrap();
            let read = std::format!("{whole}.{fraction} {}", unit.name).parse::<Volume>();
            let expected = oracle(whole, &fraction, unit.scale.get());
            match (read, expected) {
                (Ok(volume), Some(exact)) => prop_assert_eq!(BigUint::from(volume.femtolitres()), exact),
                (Err(QuantityError::TooLarge(_)), Some(exact)) => prop_assert!(exact > BigUint::from(u64::MAX)),
                (Err(QuantityError::TooPrecise(_)), None) => {}
                (read, expected) => prop_assert!(false, "{:?} but {:?}", read, expected),
            }
        }

        /// Anything at all may be typed: no text panics, and what is accepted reads back.
        ///
        /// Requirement: AC-10, R-18
        #[test]
        fn any_text_is_accepted_or_refused(text in "\\PC{0,24}") {
            fn check<Q: core::str::FromStr<Err = QuantityError> + ToString + PartialEq + core::fmt::Debug>(text: &str) {
                match text.parse::<Q>() {
                    Ok(quantity) => assert_eq!(quantity.to_string().parse::<Q>().ok(), Some(quantity)),
                    Err(error) => assert!(!error.to_string().is_empty()),
                }
            }
            check::<Volume>(&text);
            check::<StepVolume>(&text);
            check::<Mass>(&text);
            check::<Concentration>(&text);
            check::<DoseRate>(&text);
            check::<FlowRate>(&text);
            check::<Duration>(&text);
        }

        /// Texts that are nearly right reach further into the reader.
        ///
        /// Requirement: AC-10, R-18
        #[test]
        fn nearly_right_text_is_accepted_or_refused(text in "[+-]?[0-9.]{0,12} {0,2}(mg|mcg|ng|mL|nL|e3|,)?/?(day|h|mL)?") {
            if let Ok(rate) = text.parse::<DoseRate>() {
                prop_assert_eq!(rate.to_string().parse(), Ok(rate));
            }
            if let Ok(concentration) = text.parse::<Concentration>() {
                prop_assert_eq!(concentration.to_string().parse(), Ok(concentration));
            }
        }
    }
}
