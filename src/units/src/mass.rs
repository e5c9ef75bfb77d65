//! Masses of drug.

use core::fmt;
use core::num::NonZeroU128;
use core::str::FromStr;

use crate::concentration::Concentration;
use crate::error::{Quantity, QuantityError};
use crate::text;
use crate::volume::Volume;

/// Zeptograms in a nanogram.
const NANOGRAM: NonZeroU128 = match NonZeroU128::new(1_000_000_000_000) {
    Some(nanogram) => nanogram,
    None => NonZeroU128::MIN,
};

/// A mass of drug in whole zeptograms (10^-21 g).
///
/// One femtolitre of one nanogram per millilitre holds exactly one zeptogram, so that the mass in a volume is a product and never
/// rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "schema", derive(postcard_schema::Schema))]
pub struct Mass(u128);

impl Mass {
    /// No mass.
    pub const ZERO: Self = Self(0);

    /// From whole zeptograms.
    #[must_use]
    pub const fn from_zeptograms(zeptograms: u128) -> Self {
        Self(zeptograms)
    }

    /// From whole nanograms. Always exact: 2^64 ng fit many times.
    #[must_use]
    #[expect(
        clippy::as_conversions,
        reason = "u64 widens to u128; From is not const"
    )]
    pub const fn from_nanograms(nanograms: u64) -> Self {
        Self((nanograms as u128).saturating_mul(NANOGRAM.get()))
    }

    /// In zeptograms, exactly.
    #[must_use]
    pub const fn zeptograms(self) -> u128 {
        self.0
    }

    /// In nanograms; `None` when that is not a whole number or does not fit.
    #[must_use]
    pub fn nanograms_exact(self) -> Option<u64> {
        if self.0 % NANOGRAM == 0 {
            u64::try_from(self.0 / NANOGRAM).ok()
        } else {
            None
        }
    }

    /// In whole nanograms, rounded down, at most `u64::MAX`; for display and for wire fields of totals in nanograms.
    #[must_use]
    pub fn nanograms_rounded_down(self) -> u64 {
        u64::try_from(self.0 / NANOGRAM).unwrap_or(u64::MAX)
    }

    /// The mass of drug in a volume of a solution. Always exact and always fits: 64 + 32 bits of 128.
    #[must_use]
    pub fn in_volume(volume: Volume, concentration: Concentration) -> Self {
        Self(
            u128::from(volume.femtolitres())
                .saturating_mul(u128::from(concentration.nanograms_per_millilitre())),
        )
    }

    /// The sum; `None` when it cannot be held.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference; `None` when it would be negative.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// `factor` times this; `None` when it cannot be held.
    #[must_use]
    #[expect(
        clippy::as_conversions,
        reason = "u64 widens to u128; From is not const"
    )]
    pub const fn checked_mul(self, factor: u64) -> Option<Self> {
        match self.0.checked_mul(factor as u128) {
            Some(product) => Some(Self(product)),
            None => None,
        }
    }
}

impl From<Mass> for u128 {
    fn from(mass: Mass) -> Self {
        mass.0
    }
}

impl From<u128> for Mass {
    fn from(zeptograms: u128) -> Self {
        Self(zeptograms)
    }
}

impl fmt::Display for Mass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(f, self.0, &text::MASSES, "")
    }
}

impl FromStr for Mass {
    type Err = QuantityError;

    /// Reads `250 mcg`; units ng, mcg, mg.
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        text::read(text, &text::MASSES, Quantity::Mass).map(Self)
    }
}

text::serde_as_text_or!(Mass, u128, "a mass with its unit, such as \"250 mcg\"");

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_femtolitre_of_a_nanogram_per_millilitre_is_a_zeptogram() {
        let concentration = Concentration::from_nanograms_per_millilitre(1).unwrap();
        assert_eq!(
            Mass::in_volume(Volume::from_femtolitres(1), concentration).zeptograms(),
            1
        );
    }

    /// Clinical reference, 2.1: 0.25 mL of 10 mg/mL are 2.5 mg. 2.2: 0.3182 mL hold 3.182 mg.
    ///
    /// Requirement: CALC-1
    #[test]
    fn volume_times_concentration_gives_the_worked_examples() {
        let concentration = "10 mg/mL".parse().unwrap();
        assert_eq!(
            Mass::in_volume("0.25 mL".parse().unwrap(), concentration).to_string(),
            "2.5 mg"
        );
        assert_eq!(
            Mass::in_volume("0.3182 mL".parse().unwrap(), concentration).to_string(),
            "3.182 mg"
        );
    }

    #[test]
    fn the_largest_volume_and_concentration_fit() {
        let concentration = Concentration::from_nanograms_per_millilitre(u32::MAX).unwrap();
        let mass = Mass::in_volume(Volume::MAX, concentration);
        assert_eq!(
            mass.zeptograms(),
            u128::from(u64::MAX)
                .checked_mul(u128::from(u32::MAX))
                .unwrap()
        );
    }

    #[test]
    fn nanograms_convert_exactly_or_not() {
        assert_eq!(Mass::from_nanograms(1).zeptograms(), 1_000_000_000_000);
        assert_eq!(
            Mass::from_nanograms(u64::MAX).nanograms_exact(),
            Some(u64::MAX)
        );
        let odd = Mass::from_zeptograms(1_999_999_999_999);
        assert_eq!(
            (odd.nanograms_exact(), odd.nanograms_rounded_down()),
            (None, 1)
        );
        let large = Mass::from_zeptograms(u128::MAX);
        assert_eq!(
            (large.nanograms_exact(), large.nanograms_rounded_down()),
            (None, u64::MAX)
        );
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        let (one, all) = (Mass::from_zeptograms(1), Mass::from_zeptograms(u128::MAX));
        assert_eq!(
            (
                all.checked_add(one),
                Mass::ZERO.checked_sub(one),
                all.checked_mul(2)
            ),
            (None, None, None)
        );
        assert_eq!(
            one.checked_add(one).and_then(|two| two.checked_sub(one)),
            Some(one)
        );
        assert_eq!(one.checked_mul(24), Some(Mass::from_zeptograms(24)));
    }

    #[test]
    fn reads_and_prints_every_unit() {
        for (text, zeptograms, printed) in [
            ("2.5 mg", 2_500_000_000_000_000_000, "2.5 mg"),
            ("0.25 mg", 250_000_000_000_000_000, "250 mcg"),
            ("1000 mcg", 1_000_000_000_000_000_000, "1 mg"),
            ("19.2 mcg", 19_200_000_000_000_000, "19.2 mcg"),
            ("5 ng", 5_000_000_000_000, "5 ng"),
            ("0.000000000001 ng", 1, "0.000000000001 ng"),
            ("0 mcg", 0, "0 mg"),
        ] {
            assert_eq!(
                text.parse(),
                Ok(Mass::from_zeptograms(zeptograms)),
                "{text}"
            );
            assert_eq!(Mass::from_zeptograms(zeptograms).to_string(), printed);
        }
    }

    #[test]
    fn serde_carries_all_128_bits() {
        let mass = Mass::from_zeptograms(u128::MAX);
        let mut buffer = [0; 32];
        let bytes = postcard::to_slice(&mass, &mut buffer).unwrap();
        assert_eq!(postcard::from_bytes(bytes), Ok(mass));
        let json = serde_json::to_string(&mass).unwrap();
        assert_eq!(json, "\"340282366920938463463.374607431768211455 mg\"");
        assert_eq!(serde_json::from_str::<Mass>(&json).unwrap(), mass);
    }

    proptest! {
        #[test]
        fn text_reads_back(bits in any::<u128>(), shift in 0_u32..128) {
            let mass = Mass::from_zeptograms(bits >> shift);
            prop_assert_eq!(mass.to_string().parse(), Ok(mass));
        }
    }
}
