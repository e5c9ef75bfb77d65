//! Why a text is not a quantity.

use core::fmt;

/// The quantities that have a text form, for error messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quantity {
    /// [`crate::Volume`].
    Volume,
    /// [`crate::StepVolume`].
    StepVolume,
    /// [`crate::Mass`].
    Mass,
    /// [`crate::Concentration`].
    Concentration,
    /// [`crate::DoseRate`].
    DoseRate,
    /// [`crate::FlowRate`].
    FlowRate,
    /// [`crate::Duration`].
    Duration,
}

impl Quantity {
    /// What a sentence calls it, with its article: `a volume`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Volume => "a volume",
            Self::StepVolume => "a step volume",
            Self::Mass => "a mass",
            Self::Concentration => "a concentration",
            Self::DoseRate => "a dose rate",
            Self::FlowRate => "a flow rate",
            Self::Duration => "a duration",
        }
    }

    /// The units it may be written in, as a list for a sentence.
    #[must_use]
    pub const fn units(self) -> &'static str {
        match self {
            Self::Volume | Self::StepVolume => "fL, nL, uL or mL",
            Self::Mass => "ng, mcg or mg",
            Self::Concentration => "ng/mL, mcg/mL or mg/mL",
            Self::DoseRate => "ng/h, mcg/h, mg/h, ng/day, mcg/day or mg/day",
            Self::FlowRate => "nL/h, uL/h, mL/h, nL/day, uL/day or mL/day",
            Self::Duration => "us, ms, s, min, h or days",
        }
    }

    /// A text that would be accepted.
    #[must_use]
    pub const fn example(self) -> &'static str {
        match self {
            Self::Volume => "20 mL",
            Self::StepVolume => "2.5 nL",
            Self::Mass => "250 mcg",
            Self::Concentration => "2 mg/mL",
            Self::DoseRate => "250 mcg/day",
            Self::FlowRate => "0.25 mL/day",
            Self::Duration => "90 days",
        }
    }

    /// The smallest amount it is counted in.
    #[must_use]
    pub const fn resolution(self) -> &'static str {
        match self {
            Self::Volume | Self::StepVolume => "1 fL",
            Self::Mass => "1 zg (10^-12 ng)",
            Self::Concentration => "1 ng/mL",
            Self::DoseRate => "1 zg (10^-12 ng) per hour or day",
            Self::FlowRate => "1 fL (10^-6 nL) per hour or day",
            Self::Duration => "1 us",
        }
    }

    /// The largest value it can hold.
    #[must_use]
    pub const fn largest(self) -> &'static str {
        match self {
            Self::Volume => "18446744.073709551615 mL",
            Self::StepVolume => "4294.967295 nL",
            Self::Mass => "340282366920938463463.374607431768211455 mg",
            Self::Concentration => "4294.967295 mg/mL",
            Self::DoseRate => "340282366920938463463.374607431768211455 mg per hour or day",
            Self::FlowRate => "18446744.073709551615 mL per hour or day",
            Self::Duration => "18446744073709.551615 s",
        }
    }
}

/// Why a text is not the quantity that was asked for. `Display` says what is wrong and what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuantityError {
    /// Nothing but blanks.
    Empty(Quantity),
    /// A number stands alone.
    MissingUnit(Quantity),
    /// A unit stands alone.
    MissingNumber(Quantity),
    /// The unit is none that is known anywhere; capitals matter, and `ug` is not `mcg`.
    UnknownUnit(Quantity),
    /// The unit belongs to another quantity.
    UnitOfAnother {
        /// What was asked for.
        wanted: Quantity,
        /// What the unit measures.
        found: Quantity,
    },
    /// The number is not digits with at most one decimal point.
    NotANumber(Quantity),
    /// `.5`: a lost point would be a tenfold error, a zero belongs before it.
    LeadingPoint(Quantity),
    /// `5.`: a lost point would be a tenfold error, nothing may end in one.
    TrailingPoint(Quantity),
    /// A plus or minus sign.
    Signed(Quantity),
    /// More decimals than can be held exactly; nothing is rounded.
    TooPrecise(Quantity),
    /// More than the type can hold.
    TooLarge(Quantity),
    /// Zero, where that has no meaning (a concentration, a step volume).
    Zero(Quantity),
}

impl QuantityError {
    /// The quantity that was asked for.
    #[must_use]
    pub const fn wanted(self) -> Quantity {
        match self {
            Self::Empty(wanted)
            | Self::MissingUnit(wanted)
            | Self::MissingNumber(wanted)
            | Self::UnknownUnit(wanted)
            | Self::UnitOfAnother { wanted, .. }
            | Self::NotANumber(wanted)
            | Self::LeadingPoint(wanted)
            | Self::TrailingPoint(wanted)
            | Self::Signed(wanted)
            | Self::TooPrecise(wanted)
            | Self::TooLarge(wanted)
            | Self::Zero(wanted) => wanted,
        }
    }
}

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = self.wanted();
        match self {
            Self::Empty(_) => f.write_str("nothing is written")?,
            Self::MissingUnit(_) => f.write_str("the unit is missing")?,
            Self::MissingNumber(_) => f.write_str("the number is missing")?,
            Self::UnknownUnit(_) => {
                f.write_str("the unit is unknown (small and capital letters matter)")?
            }
            Self::UnitOfAnother { found, .. } => write!(f, "the unit is that of {}", found.name())?,
            Self::NotANumber(_) => {
                f.write_str("this is not a number (digits with at most one decimal point, no comma, no exponent)")?;
            }
            Self::LeadingPoint(_) => {
                f.write_str("the number begins with a decimal point (write a zero before it)")?
            }
            Self::TrailingPoint(_) => {
                f.write_str("the number ends in a decimal point (leave it out)")?
            }
            Self::Signed(_) => f.write_str("the number has a sign (quantities have none)")?,
            Self::TooPrecise(_) => {
                return write!(
                    f,
                    "the number has more decimals than can be held exactly: {} is counted in steps of {}",
                    wanted.name(),
                    wanted.resolution()
                );
            }
            Self::TooLarge(_) => {
                return write!(
                    f,
                    "the number is too large: {} is at most {}",
                    wanted.name(),
                    wanted.largest()
                );
            }
            Self::Zero(_) => return write!(f, "{} must be more than zero", wanted.name()),
        }
        write!(
            f,
            ": {} is written with a number and {}, such as {}",
            wanted.name(),
            wanted.units(),
            wanted.example()
        )
    }
}

impl core::error::Error for QuantityError {}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn every_error_names_the_quantity() {
        let wanted = Quantity::FlowRate;
        for error in [
            QuantityError::Empty(wanted),
            QuantityError::MissingUnit(wanted),
            QuantityError::MissingNumber(wanted),
            QuantityError::UnknownUnit(wanted),
            QuantityError::UnitOfAnother {
                wanted,
                found: Quantity::Mass,
            },
            QuantityError::NotANumber(wanted),
            QuantityError::LeadingPoint(wanted),
            QuantityError::TrailingPoint(wanted),
            QuantityError::Signed(wanted),
            QuantityError::TooPrecise(wanted),
            QuantityError::TooLarge(wanted),
            QuantityError::Zero(wanted),
        ] {
            assert_eq!(error.wanted(), wanted);
            assert!(error.to_string().contains("a flow rate"), "{error}");
        }
    }
}
