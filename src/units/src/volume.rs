//! Volumes, and the volume one motor step displaces.

use core::fmt;
use core::num::NonZeroU32;
use core::str::FromStr;

use crate::error::{Quantity, QuantityError};
use crate::text;

/// Femtolitres in a nanolitre.
const NANOLITRE: u64 = 1_000_000;
/// Femtolitres in a microlitre.
const MICROLITRE: u64 = 1_000_000_000;
/// Femtolitres in a millilitre.
const MILLILITRE: u64 = 1_000_000_000_000;

/// A volume in whole femtolitres, up to some 18,447 litres.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "schema", derive(postcard_schema::Schema))]
pub struct Volume(u64);

impl Volume {
    /// No volume.
    pub const ZERO: Self = Self(0);
    /// The largest volume that can be held.
    pub const MAX: Self = Self(u64::MAX);

    /// From whole femtolitres.
    #[must_use]
    pub const fn from_femtolitres(femtolitres: u64) -> Self {
        Self(femtolitres)
    }

    /// From whole nanolitres. Always exact.
    #[must_use]
    #[expect(
        clippy::as_conversions,
        reason = "u32 widens to u64; From is not const"
    )]
    pub const fn from_nanolitres(nanolitres: u32) -> Self {
        Self((nanolitres as u64).saturating_mul(NANOLITRE))
    }

    /// From whole microlitres. Always exact.
    #[must_use]
    #[expect(
        clippy::as_conversions,
        reason = "u32 widens to u64; From is not const"
    )]
    pub const fn from_microlitres(microlitres: u32) -> Self {
        Self((microlitres as u64).saturating_mul(MICROLITRE))
    }

    /// From whole millilitres. Always exact: the argument is 16 bits wide because 2^32 mL would not fit.
    #[must_use]
    #[expect(
        clippy::as_conversions,
        reason = "u16 widens to u64; From is not const"
    )]
    pub const fn from_millilitres(millilitres: u16) -> Self {
        Self((millilitres as u64).saturating_mul(MILLILITRE))
    }

    /// In femtolitres, exactly.
    #[must_use]
    pub const fn femtolitres(self) -> u64 {
        self.0
    }

    /// In whole nanolitres, rounded down; for display and for wire fields in nanolitres.
    #[must_use]
    pub const fn nanolitres_rounded_down(self) -> u64 {
        self.0 / NANOLITRE
    }

    /// The sum; `None` when it cannot be held.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The sum, or [`Volume::MAX`].
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference; `None` when it would be negative.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// The difference, or zero when it would be negative.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// `factor` times this; `None` when it cannot be held.
    #[must_use]
    pub const fn checked_mul(self, factor: u64) -> Option<Self> {
        match self.0.checked_mul(factor) {
            Some(product) => Some(Self(product)),
            None => None,
        }
    }
}

impl From<Volume> for u64 {
    fn from(volume: Volume) -> Self {
        volume.0
    }
}

impl From<u64> for Volume {
    fn from(femtolitres: u64) -> Self {
        Self(femtolitres)
    }
}

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(f, u128::from(self.0), &text::VOLUMES, "")
    }
}

impl FromStr for Volume {
    type Err = QuantityError;

    /// Reads `20 mL`; units fL, nL, uL, mL.
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let value = text::read(text, &text::VOLUMES, Quantity::Volume)?;
        u64::try_from(value)
            .map(Self)
            .map_err(|_| QuantityError::TooLarge(Quantity::Volume))
    }
}

text::serde_as_text_or!(Volume, u64, "a volume with its unit, such as \"20 mL\"");

/// The volume one motor step displaces, from calibration, in femtolitres; never zero.
///
/// 32 bits of femtolitres resolve a nominal step to 0.4 ppm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "schema", derive(postcard_schema::Schema))]
pub struct StepVolume(NonZeroU32);

impl StepVolume {
    /// 2.5 nL: 2 motor steps a revolution, 1200:1 gear, 6.0 uL a roller-head revolution \[P\] (clinical reference, 2.10).
    pub const NOMINAL: Self = match Self::new(2_500_000) {
        Some(nominal) => nominal,
        None => Self(NonZeroU32::MIN),
    };

    /// From femtolitres; `None` for zero.
    #[must_use]
    pub const fn new(femtolitres: u32) -> Option<Self> {
        match NonZeroU32::new(femtolitres) {
            Some(femtolitres) => Some(Self(femtolitres)),
            None => None,
        }
    }

    /// In femtolitres, exactly.
    #[must_use]
    pub const fn femtolitres(self) -> u32 {
        self.0.get()
    }

    /// The same as a [`Volume`].
    #[must_use]
    pub fn volume(self) -> Volume {
        Volume(u64::from(self.0.get()))
    }

    /// What `steps` steps displace; `None` when it cannot be held.
    #[must_use]
    pub fn volume_of(self, steps: u64) -> Option<Volume> {
        self.volume().checked_mul(steps)
    }

    /// The whole steps in a volume, rounded down.
    #[must_use]
    pub fn steps_in(self, volume: Volume) -> u64 {
        // Widening a number other than zero leaves it so.
        volume.0.checked_div(u64::from(self.0.get())).unwrap_or(0)
    }
}

impl From<StepVolume> for NonZeroU32 {
    fn from(step: StepVolume) -> Self {
        step.0
    }
}

impl From<NonZeroU32> for StepVolume {
    fn from(femtolitres: NonZeroU32) -> Self {
        Self(femtolitres)
    }
}

impl fmt::Display for StepVolume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.volume(), f)
    }
}

impl FromStr for StepVolume {
    type Err = QuantityError;

    /// Reads `2.5 nL`; units as for [`Volume`]; zero is refused.
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let value = text::read(text, &text::VOLUMES, Quantity::StepVolume)?;
        let femtolitres =
            u32::try_from(value).map_err(|_| QuantityError::TooLarge(Quantity::StepVolume))?;
        Self::new(femtolitres).ok_or(QuantityError::Zero(Quantity::StepVolume))
    }
}

text::serde_as_text_or!(
    StepVolume,
    NonZeroU32,
    "a step volume with its unit, such as \"2.5 nL\""
);

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_are_powers_of_a_thousand() {
        assert_eq!(Volume::from_nanolitres(1).femtolitres(), 1_000_000);
        assert_eq!(Volume::from_microlitres(1), Volume::from_nanolitres(1_000));
        assert_eq!(Volume::from_millilitres(1), Volume::from_microlitres(1_000));
    }

    #[test]
    fn the_largest_arguments_are_exact() {
        assert_eq!(
            Volume::from_nanolitres(u32::MAX).femtolitres(),
            4_294_967_295_000_000
        );
        assert_eq!(
            Volume::from_microlitres(u32::MAX).femtolitres(),
            4_294_967_295_000_000_000
        );
        assert_eq!(
            Volume::from_millilitres(u16::MAX).femtolitres(),
            65_535_000_000_000_000
        );
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        let one = Volume::from_femtolitres(1);
        assert_eq!(Volume::MAX.checked_add(one), None);
        assert_eq!(Volume::MAX.saturating_add(one), Volume::MAX);
        assert_eq!(Volume::ZERO.checked_sub(one), None);
        assert_eq!(Volume::ZERO.saturating_sub(one), Volume::ZERO);
        assert_eq!(Volume::MAX.checked_mul(2), None);
        assert_eq!(
            one.checked_add(one).and_then(|two| two.checked_mul(3)),
            Some(Volume::from_femtolitres(6))
        );
        assert_eq!(
            Volume::from_femtolitres(5).checked_sub(one),
            Some(Volume::from_femtolitres(4))
        );
    }

    #[test]
    fn nanolitres_are_rounded_down() {
        assert_eq!(
            Volume::from_femtolitres(1_999_999).nanolitres_rounded_down(),
            1
        );
        assert_eq!(
            Volume::from_femtolitres(2_000_000).nanolitres_rounded_down(),
            2
        );
    }

    #[test]
    fn reads_every_unit() {
        for (text, femtolitres) in [
            ("20 mL", 20_000_000_000_000),
            ("0.25 mL", 250_000_000_000),
            ("3 uL", 3_000_000_000),
            ("2.5 nL", 2_500_000),
            ("7 fL", 7),
            ("  1.50mL ", 1_500_000_000_000),
            ("18446744.073709551615 mL", u64::MAX),
        ] {
            assert_eq!(
                text.parse(),
                Ok(Volume::from_femtolitres(femtolitres)),
                "{text}"
            );
        }
    }

    #[test]
    fn is_printed_in_its_natural_unit() {
        for (femtolitres, text) in [
            (0, "0 mL"),
            (20_000_000_000_000, "20 mL"),
            (250_000_000_000, "0.25 mL"),
            (1_000_000_000, "0.001 mL"),
            (999_999_999, "999.999999 nL"),
            (2_500_000, "2.5 nL"),
            (1_000_001, "1.000001 nL"),
            (999_999, "999999 fL"),
            (u64::MAX, "18446744.073709551615 mL"),
        ] {
            assert_eq!(Volume::from_femtolitres(femtolitres).to_string(), text);
        }
    }

    #[test]
    fn more_than_fits_is_refused() {
        for text in [
            "18446744.073709551616 mL",
            "18446744073709551616 fL",
            "1000000000000000000000000000000000000000 mL",
        ] {
            assert_eq!(
                text.parse::<Volume>(),
                Err(QuantityError::TooLarge(Quantity::Volume)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_step_volume_is_never_zero() {
        assert_eq!(StepVolume::new(0), None);
        assert_eq!(StepVolume::NOMINAL.femtolitres(), 2_500_000);
        assert_eq!(
            "0 nL".parse::<StepVolume>(),
            Err(QuantityError::Zero(Quantity::StepVolume))
        );
        assert_eq!("2.5 nL".parse(), Ok(StepVolume::NOMINAL));
        assert_eq!(StepVolume::NOMINAL.to_string(), "2.5 nL");
        assert_eq!(
            "4294.967296 nL".parse::<StepVolume>(),
            Err(QuantityError::TooLarge(Quantity::StepVolume))
        );
    }

    #[test]
    fn steps_make_volumes() {
        let step = StepVolume::NOMINAL;
        assert_eq!(step.volume_of(100_000), Some(Volume::from_microlitres(250)));
        assert_eq!(step.volume_of(u64::MAX), None);
        assert_eq!(step.steps_in(Volume::from_microlitres(250)), 100_000);
        assert_eq!(step.steps_in(Volume::from_femtolitres(2_499_999)), 0);
    }

    #[test]
    fn serde_writes_integers_for_machines_and_text_for_people() {
        let volume = Volume::from_millilitres(20);
        let mut buffer = [0; 16];
        let bytes = postcard::to_slice(&volume, &mut buffer).unwrap();
        let mut plain = [0; 16];
        assert_eq!(
            bytes,
            postcard::to_slice(&20_000_000_000_000_u64, &mut plain).unwrap()
        );
        assert_eq!(postcard::from_bytes(bytes), Ok(volume));
        assert_eq!(serde_json::to_string(&volume).unwrap(), "\"20 mL\"");
        assert_eq!(serde_json::from_str::<Volume>("\"20 mL\"").unwrap(), volume);
        assert!(serde_json::from_str::<Volume>("20").is_err());
        let error = serde_json::from_str::<Volume>("\"20 mg\"")
            .unwrap_err()
            .to_string();
        assert!(error.contains("fL, nL, uL or mL"), "{error}");
    }

    #[test]
    fn serde_refuses_a_step_volume_of_zero() {
        assert!(postcard::from_bytes::<StepVolume>(&[0]).is_err());
        assert_eq!(
            postcard::from_bytes::<StepVolume>(&[1]),
            Ok(StepVolume::new(1).unwrap())
        );
        assert!(serde_json::from_str::<StepVolume>("\"0 nL\"").is_err());
        assert_eq!(
            serde_json::from_str::<StepVolume>("\"2.5 nL\"").unwrap(),
            StepVolume::NOMINAL
        );
    }

    proptest! {
        #[test]
        fn text_reads_back(bits in any::<u64>(), shift in 0_u32..64) {
            let volume = Volume::from_femtolitres(bits >> shift);
            let text = volume.to_string();
            prop_assert_eq!(text.parse(), Ok(volume));
            prop_assert!(!text.contains('e'), "no exponent in {}", text);
            let json = serde_json::to_string(&volume).unwrap();
            prop_assert_eq!(serde_json::from_str::<Volume>(&json).unwrap(), volume);
        }

        #[test]
        fn step_volumes_read_back(femtolitres in 1_u32..) {
            let step = StepVolume::new(femtolitres).unwrap();
            prop_assert_eq!(step.to_string().parse(), Ok(step));
        }
    }
}
