//! What a refill mixes with what could not be aspirated.
//!
//! Doses use the label concentration; the mixed one is shown (docs/therapy.md, "Reservoir and refill").

use core::num::NonZeroU128;

use units::{Concentration, Mass, Ratio, Volume};

/// A new solution filled onto a residual of an old one, of the same drug. A drug that only one of them holds is at `None` in the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dilution {
    /// What could not be aspirated: some 1.4 mL \[GK\], a number of the pump's model.
    pub residual: Volume,
    /// What it holds of the drug.
    pub old: Option<Concentration>,
    /// What is filled in.
    pub fill: Volume,
    /// What that holds of the drug, as on the label.
    pub label: Option<Concentration>,
}

impl Dilution {
    fn total(&self) -> Option<NonZeroU128> {
        let total = self.residual.checked_add(self.fill)?;
        NonZeroU128::new(u128::from(total.femtolitres()))
    }

    /// The concentration in the reservoir in nanograms per millilitre, exactly; `None` when it is empty.
    #[must_use]
    pub fn mixed(&self) -> Option<Ratio> {
        let mass = |volume, concentration: Option<Concentration>| {
            concentration.map_or(Mass::ZERO, |concentration| {
                Mass::in_volume(volume, concentration)
            })
        };
        let sum = mass(self.residual, self.old).checked_add(mass(self.fill, self.label))?;
        Some(Ratio::new(sum.zeptograms(), self.total()?))
    }

    /// The concentration in the reservoir, rounded down to a nanogram per millilitre; `None` when it holds nothing of the drug, or is
    /// empty. For display.
    #[must_use]
    pub fn mixed_rounded_down(&self) -> Option<Concentration> {
        let mixed = u32::try_from(self.mixed()?.times_rounded_down(1)?).ok()?;
        Concentration::from_nanograms_per_millilitre(mixed)
    }

    /// How far the mixed concentration is off the label as a share of the label, exactly and without its sign, after `rinses`: filling
    /// this volume of the new solution and aspirating it again before the fill that stays. `None` without a label or when it cannot be
    /// held.
    ///
    /// Every rinse leaves `residual / (residual + fill)` of the error (clinical reference, 2.3).
    #[must_use]
    pub fn error(&self, rinses: u8) -> Option<Ratio> {
        let in_nanograms = |concentration: Option<Concentration>| {
            concentration.map_or(0, Concentration::nanograms_per_millilitre)
        };
        let label = in_nanograms(self.label);
        let difference = u128::from(label.abs_diff(in_nanograms(self.old)));
        let factor = Ratio::new(u128::from(self.residual.femtolitres()), self.total()?);
        let mut error = Ratio::new(difference, NonZeroU128::new(u128::from(label))?);
        for _ in 0..=rinses {
            let numerator = error.numerator().checked_mul(factor.numerator())?;
            let denominator = error.denominator().checked_mul(factor.denominator())?;
            error = Ratio::new(numerator, denominator);
        }
        Some(error)
    }

    /// [`Dilution::error`] in thousandths, rounded up, so that an error never reads as none. For display.
    #[must_use]
    pub fn error_permille_rounded_up(&self, rinses: u8) -> Option<u64> {
        /// Thousandths.
        const PERMILLE: u64 = 1_000;
        self.error(rinses)?.times_rounded_up(PERMILLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dilution(old: Option<&str>, label: Option<&str>) -> Dilution {
        Dilution {
            residual: "1.4 mL".parse().unwrap(),
            old: old.map(|text| text.parse().unwrap()),
            fill: "18.6 mL".parse().unwrap(),
            label: label.map(|text| text.parse().unwrap()),
        }
    }

    /// Clinical reference, 2.3: 19.3 mg/mL (-3.5 %), and every rinse leaves 7 % of the error.
    ///
    /// Requirement: CALC-3
    #[test]
    fn mixes_as_in_the_worked_example() {
        let up = dilution(Some("10 mg/mL"), Some("20 mg/mL"));
        assert_eq!(up.mixed_rounded_down(), "19.3 mg/mL".parse().ok());
        assert_eq!(up.error_permille_rounded_up(0), Some(35));
        assert_eq!(
            up.error(1),
            NonZeroU128::new(100_000).map(|parts| Ratio::new(245, parts))
        );
        // 2.45 and 0.1715 thousandths.
        assert_eq!(up.error_permille_rounded_up(1), Some(3));
        assert_eq!(up.error_permille_rounded_up(2), Some(1));
        let down = dilution(Some("20 mg/mL"), Some("10 mg/mL"));
        assert_eq!(down.mixed_rounded_down(), "10.7 mg/mL".parse().ok());
        assert_eq!(down.error_permille_rounded_up(0), Some(70));
    }

    #[test]
    fn an_old_drug_stays_and_a_new_one_is_diluted() {
        let old = dilution(Some("10 mg/mL"), None);
        assert_eq!(old.mixed_rounded_down(), "0.7 mg/mL".parse().ok());
        assert_eq!(old.error_permille_rounded_up(0), None);
        let new = dilution(None, Some("10 mg/mL"));
        assert_eq!(new.mixed_rounded_down(), "9.3 mg/mL".parse().ok());
        assert_eq!(new.error_permille_rounded_up(0), Some(70));
        assert_eq!(dilution(None, None).mixed_rounded_down(), None);
    }

    #[test]
    fn nothing_is_said_of_an_empty_reservoir_or_beyond_all_counting() {
        let same = dilution(Some("10 mg/mL"), Some("10 mg/mL"));
        assert_eq!(same.error_permille_rounded_up(0), Some(0));
        let empty = Dilution {
            residual: Volume::ZERO,
            fill: Volume::ZERO,
            ..same
        };
        assert_eq!(empty.mixed_rounded_down(), None);
        assert_eq!(empty.error_permille_rounded_up(0), None);
        let odd = Dilution {
            residual: Volume::from_femtolitres(999_999_999_989),
            ..dilution(Some("10 mg/mL"), Some("20 mg/mL"))
        };
        assert_eq!(odd.error_permille_rounded_up(200), None);
    }
}
