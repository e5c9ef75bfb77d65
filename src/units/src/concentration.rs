//! Drug concentrations.

use core::fmt;
use core::num::NonZeroU32;
use core::str::FromStr;

use crate::error::{Quantity, QuantityError};
use crate::text;

/// A drug concentration in whole nanograms per millilitre, 1 ng/mL to some 4,295 mg/mL; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "schema", derive(postcard_schema::Schema))]
pub struct Concentration(NonZeroU32);

impl Concentration {
    /// From nanograms per millilitre; `None` for zero.
    #[must_use]
    pub const fn from_nanograms_per_millilitre(nanograms_per_millilitre: u32) -> Option<Self> {
        match NonZeroU32::new(nanograms_per_millilitre) {
            Some(concentration) => Some(Self(concentration)),
            None => None,
        }
    }

    /// In nanograms per millilitre, exactly.
    #[must_use]
    pub const fn nanograms_per_millilitre(self) -> u32 {
        self.0.get()
    }
}

impl From<Concentration> for NonZeroU32 {
    fn from(concentration: Concentration) -> Self {
        concentration.0
    }
}

impl From<NonZeroU32> for Concentration {
    fn from(nanograms_per_millilitre: NonZeroU32) -> Self {
        Self(nanograms_per_millilitre)
    }
}

impl fmt::Display for Concentration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(f, u128::from(self.0.get()), &text::CONCENTRATIONS, "")
    }
}

impl FromStr for Concentration {
    type Err = QuantityError;

    /// Reads `2 mg/mL`; units ng/mL, mcg/mL, mg/mL; zero is refused.
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let value = text::read(text, &text::CONCENTRATIONS, Quantity::Concentration)?;
        let value =
            u32::try_from(value).map_err(|_| QuantityError::TooLarge(Quantity::Concentration))?;
        Self::from_nanograms_per_millilitre(value)
            .ok_or(QuantityError::Zero(Quantity::Concentration))
    }
}

text::serde_as_text_or!(
    Concentration,
    NonZeroU32,
    "a concentration with its unit, such as \"2 mg/mL\""
);

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use proptest::prelude::*;

    use super::*;

    fn nanograms(nanograms: u32) -> Concentration {
        Concentration::from_nanograms_per_millilitre(nanograms).unwrap()
    }

    #[test]
    fn is_never_zero() {
        assert_eq!(Concentration::from_nanograms_per_millilitre(0), None);
        assert_eq!(
            "0 mg/mL".parse::<Concentration>(),
            Err(QuantityError::Zero(Quantity::Concentration))
        );
        assert!(postcard::from_bytes::<Concentration>(&[0]).is_err());
        assert!(serde_json::from_str::<Concentration>("\"0.0 mcg/mL\"").is_err());
        assert_eq!(postcard::from_bytes(&[5]), Ok(nanograms(5)));
    }

    #[test]
    fn reads_and_prints_every_unit() {
        for (text, expected, printed) in [
            ("2 mg/mL", 2_000_000, "2 mg/mL"),
            ("2000 mcg/mL", 2_000_000, "2 mg/mL"),
            ("0.5 mg/mL", 500_000, "500 mcg/mL"),
            ("25 mcg/mL", 25_000, "25 mcg/mL"),
            ("1500 ng/mL", 1_500, "1.5 mcg/mL"),
            ("999 ng/mL", 999, "999 ng/mL"),
            ("4294.967295 mg/mL", u32::MAX, "4294.967295 mg/mL"),
        ] {
            assert_eq!(text.parse(), Ok(nanograms(expected)), "{text}");
            assert_eq!(nanograms(expected).to_string(), printed);
        }
    }

    #[test]
    fn what_cannot_be_held_is_refused() {
        assert_eq!(
            "4294.967296 mg/mL".parse::<Concentration>(),
            Err(QuantityError::TooLarge(Quantity::Concentration))
        );
        assert_eq!(
            "0.5 ng/mL".parse::<Concentration>(),
            Err(QuantityError::TooPrecise(Quantity::Concentration))
        );
    }

    proptest! {
        #[test]
        fn text_reads_back(bits in 1_u32.., shift in 0_u32..32) {
            let concentration = nanograms((bits >> shift).max(1));
            prop_assert_eq!(concentration.to_string().parse(), Ok(concentration));
        }
    }
}
