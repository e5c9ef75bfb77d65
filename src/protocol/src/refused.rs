//! Refusals: not done, and why, in words a clinician can act on.
use core::fmt;

use serde::{Deserialize, Serialize};
use units::{Duration, WallTime};

use crate::codec::Malformed;

/// Why a request was not done. Each one but [`Refused::StaleIdentifier`] is certain: nothing has changed, and nothing will.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum Refused {
    /// This link or role may not do that, or not in the pump's present state.
    NotAllowed,
    /// Nothing is staged, so there is nothing to show or commit.
    NothingStaged,
    /// The digest is not that of the staged program.
    DigestMismatch,
    /// The staged program was older than 120 s (carrier time) and has been discarded.
    StageExpired,
    /// The pump's storage failed or was silent for 5 s.
    NotDone,
    /// The pump is still busy with an earlier command.
    Busy,
    /// A value lies outside of what this pump allows.
    OutOfRange {
        /// Which value; also fixes the unit of the three numbers.
        field: Field,
        /// The value asked for (a flow is rounded towards the bound it passes).
        value: u64,
        /// The lowest allowed.
        lowest: u64,
        /// The highest allowed.
        highest: u64,
    },
    /// The message could not be understood.
    BadMessage(Malformed),
    /// The message is of a protocol version the pump does not speak.
    UnknownVersion {
        /// The version of the message.
        version: u8,
        /// The version the pump speaks.
        known: u8,
    },
    /// The request's number was used before on this connection: not done now, perhaps done then. A phone that counts up never sees it.
    StaleIdentifier {
        /// The highest number received on this connection.
        last: u32,
    },
}

/// A value that can be out of range. The name fixes the unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum Field {
    /// Concentration, in ng/mL.
    ConcentrationNanogramsPerMillilitre,
    /// Flow that follows from dose and concentration, in nL/day.
    FlowNanolitresPerDay,
    /// Fill volume, in nL.
    FillNanolitres,
    /// Dose, in ng per the time it was given for.
    DoseNanograms,
    /// Flags to reset, as a number.
    StatusChangedMask,
    /// A time of day, in ms since 1970-01-01T00:00:00Z.
    WallMilliseconds,
    /// How far off a time of day may be, in us.
    UncertaintyMicroseconds,
}

impl Field {
    /// Every field, in wire order.
    pub const ALL: [Field; 7] = [
        Field::ConcentrationNanogramsPerMillilitre,
        Field::FlowNanolitresPerDay,
        Field::FillNanolitres,
        Field::DoseNanograms,
        Field::StatusChangedMask,
        Field::WallMilliseconds,
        Field::UncertaintyMicroseconds,
    ];

    /// What a clinician calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Field::ConcentrationNanogramsPerMillilitre => "concentration",
            Field::FlowNanolitresPerDay => "flow",
            Field::FillNanolitres => "reservoir fill",
            Field::DoseNanograms => "dose",
            Field::StatusChangedMask => "flag mask",
            Field::WallMilliseconds => "time of day",
            Field::UncertaintyMicroseconds => "uncertainty of the time of day",
        }
    }

    /// `value` of this field as text with its unit, exact, in the unit that suits its size.
    pub const fn quantity(self, value: u64) -> Quantity {
        Quantity { field: self, value }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// A value with the [`Field`] that fixes its unit; its `Display` is exact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quantity {
    field: Field,
    value: u64,
}

const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000_000;

impl fmt::Display for Quantity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value;
        match self.field {
            Field::ConcentrationNanogramsPerMillilitre => mass(out, value, "/mL"),
            Field::DoseNanograms => mass(out, value, ""),
            Field::FlowNanolitresPerDay => scaled(out, value, MILLI, " mL/day"),
            Field::FillNanolitres => scaled(out, value, MILLI, " mL"),
            Field::StatusChangedMask => write!(out, "{value}"),
            Field::WallMilliseconds => WallTime::from_millis(value).fmt(out),
            Field::UncertaintyMicroseconds => Duration::from_micros(value).fmt(out),
        }
    }
}

/// Writes nanograms as ng, mcg or mg ("µg" is never written: in a hand it reads as mg), with what stands behind the unit.
fn mass(out: &mut fmt::Formatter<'_>, nanograms: u64, after: &str) -> fmt::Result {
    if nanograms >= MILLI {
        scaled(out, nanograms, MILLI, " mg")?;
    } else if nanograms >= MICRO {
        scaled(out, nanograms, MICRO, " mcg")?;
    } else {
        write!(out, "{nanograms} ng")?;
    }
    out.write_str(after)
}

/// Writes `value / scale` in full, without trailing zeros: a leading zero stays, a trailing one never appears (0.5, never .5 or 5.0).
fn scaled(out: &mut fmt::Formatter<'_>, value: u64, scale: u64, unit: &str) -> fmt::Result {
    let whole = value.checked_div(scale).unwrap_or(0);
    let mut rest = value.checked_rem(scale).unwrap_or(0);
    write!(out, "{whole}")?;
    if rest != 0 {
        out.write_str(".")?;
    }
    let mut place = scale;
    while rest != 0 {
        place = place.checked_div(10).unwrap_or(0);
        write!(out, "{}", rest.checked_div(place).unwrap_or(0))?;
        rest = rest.checked_rem(place).unwrap_or(0);
    }
    out.write_str(unit)
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::NotAllowed => out.write_str("not allowed on this link, for this role or in the pump's present state"),
            Refused::NothingStaged => out.write_str("no program is staged: stage it first"),
            Refused::DigestMismatch => {
                out.write_str("the program confirmed is not the one staged in the pump: stage it and compare again")
            }
            Refused::StageExpired => {
                out.write_str("more than 120 s passed since the program was staged, so the pump has discarded it: stage it again")
            }
            Refused::NotDone => out.write_str("not done: the pump could not store the change; the program in force is unchanged"),
            Refused::Busy => out.write_str("not done: the pump is still busy with an earlier command; try again"),
            Refused::OutOfRange { field, value, lowest, highest } => write!(
                out,
                "{field} {} is outside of what this pump allows: {} to {}",
                field.quantity(*value),
                field.quantity(*lowest),
                field.quantity(*highest)
            ),
            Refused::BadMessage(reason) => write!(out, "the pump could not understand the message: {reason}"),
            Refused::UnknownVersion { version, known } => {
                write!(out, "the message is of protocol version {version}; the pump speaks version {known} only")
            }
            Refused::StaleIdentifier { last } => {
                write!(out, "the request's number was used before on this connection (highest so far: {last})")
            }
        }
    }
}

impl core::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn quantities_are_exact_and_bear_their_unit() {
        let cases = [
            (Field::FlowNanolitresPerDay, 48_000, "0.048 mL/day"),
            (Field::FlowNanolitresPerDay, 24_000_000, "24 mL/day"),
            (Field::FlowNanolitresPerDay, 1, "0.000001 mL/day"),
            (Field::FlowNanolitresPerDay, 1_000_001, "1.000001 mL/day"),
            (Field::FillNanolitres, 20_000_000, "20 mL"),
            (Field::FillNanolitres, 20_500_000, "20.5 mL"),
            (Field::FillNanolitres, 0, "0 mL"),
            (
                Field::ConcentrationNanogramsPerMillilitre,
                2_000_000,
                "2 mg/mL",
            ),
            (
                Field::ConcentrationNanogramsPerMillilitre,
                500_000,
                "500 mcg/mL",
            ),
            (
                Field::ConcentrationNanogramsPerMillilitre,
                999_999,
                "999.999 mcg/mL",
            ),
            (Field::ConcentrationNanogramsPerMillilitre, 999, "999 ng/mL"),
            (Field::DoseNanograms, 250_000, "250 mcg"),
            (Field::DoseNanograms, 1_250_000, "1.25 mg"),
            (Field::DoseNanograms, 0, "0 ng"),
            (Field::DoseNanograms, u64::MAX, "18446744073709.551615 mg"),
            (Field::StatusChangedMask, 65_535, "65535"),
            (
                Field::WallMilliseconds,
                1_767_607_200_000,
                "2026-01-05T10:00:00.000Z",
            ),
            (Field::UncertaintyMicroseconds, 2_000_000, "2 s"),
        ];
        for (field, value, text) in cases {
            assert_eq!(field.quantity(value).to_string(), text);
        }
    }

    #[test]
    fn out_of_range_names_field_value_and_what_is_allowed() {
        let refused = Refused::OutOfRange {
            field: Field::FlowNanolitresPerDay,
            value: 30_000,
            lowest: 48_000,
            highest: 24_000_000,
        };
        assert_eq!(
            refused.to_string(),
            "flow 0.03 mL/day is outside of what this pump allows: 0.048 mL/day to 24 mL/day"
        );
    }

    #[test]
    fn every_refusal_has_a_text_of_its_own() {
        let all = [
            Refused::NotAllowed,
            Refused::NothingStaged,
            Refused::DigestMismatch,
            Refused::StageExpired,
            Refused::NotDone,
            Refused::Busy,
            Refused::OutOfRange {
                field: Field::DoseNanograms,
                value: 0,
                lowest: 1,
                highest: 2,
            },
            Refused::BadMessage(Malformed::Undecodable),
            Refused::BadMessage(Malformed::TrailingBytes),
            Refused::BadMessage(Malformed::NotCanonical),
            Refused::BadMessage(Malformed::UnknownCommand { number: 77 }),
            Refused::BadMessage(Malformed::IdentifierZero),
            Refused::UnknownVersion {
                version: 9,
                known: 0,
            },
            Refused::StaleIdentifier { last: 3 },
        ];
        let texts: std::collections::BTreeSet<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), all.len());
        assert!(texts.iter().any(|text| text.contains("77")));
    }
}
