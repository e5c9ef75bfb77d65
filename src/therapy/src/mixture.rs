//! What is in the reservoir: one drug that is dosed, and those that come with it.

use core::fmt;
use core::num::{NonZeroU32, NonZeroU64};

use heapless::Vec;
use serde::{Deserialize, Serialize};
use units::{Concentration, Drug, Duration, FaultPolicy, Mass, Volume};

use crate::library::{DrugEntry, Fill, Withdrawal};

/// How many drugs may come with the primary one.
pub const MAXIMUM_SECONDARIES: usize = 3;

/// A drug at a concentration, as on the label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ingredient {
    /// The drug.
    pub drug: Drug,
    /// Its concentration in the mixture.
    pub concentration: Concentration,
}

/// What is in the reservoir: the primary drug, which is dosed, and up to three secondary ones, whose doses follow from it and are never
/// entered. No drug is in it twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Mixture {
    primary: Ingredient,
    secondaries: Vec<Ingredient, MAXIMUM_SECONDARIES>,
}

/// A mixture as it comes from memory or over the air.
#[derive(Deserialize)]
struct Unchecked {
    primary: Ingredient,
    secondaries: Vec<Ingredient, MAXIMUM_SECONDARIES>,
}

impl TryFrom<Unchecked> for Mixture {
    type Error = MixtureError;

    fn try_from(unchecked: Unchecked) -> Result<Self, MixtureError> {
        Self::new(unchecked.primary, &unchecked.secondaries)
    }
}

/// Why there is no such mixture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MixtureError {
    /// A drug is in it twice.
    DrugTwice(Drug),
    /// It has more drugs than can be accounted for.
    TooManySecondaries {
        /// How many come with the primary one; at most [`MAXIMUM_SECONDARIES`].
        secondaries: usize,
    },
}

impl fmt::Display for MixtureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DrugTwice(drug) => write!(
                f,
                "{drug} is in the mixture twice: a drug has one concentration"
            ),
            Self::TooManySecondaries { secondaries } => write!(
                f,
                "{secondaries} drugs come with the primary one: at most {MAXIMUM_SECONDARIES}"
            ),
        }
    }
}

impl core::error::Error for MixtureError {}

impl Mixture {
    /// A primary drug with others, in this order.
    ///
    /// # Errors
    /// [`MixtureError::TooManySecondaries`], [`MixtureError::DrugTwice`].
    pub fn new(primary: Ingredient, secondaries: &[Ingredient]) -> Result<Self, MixtureError> {
        let mut mixture = Self::of(primary);
        for secondary in secondaries {
            if mixture.concentration_of(secondary.drug).is_some() {
                return Err(MixtureError::DrugTwice(secondary.drug));
            }
            mixture
                .secondaries
                .push(*secondary)
                .map_err(|_| MixtureError::TooManySecondaries {
                    secondaries: secondaries.len(),
                })?;
        }
        Ok(mixture)
    }

    /// One drug alone.
    #[must_use]
    pub const fn of(drug: Ingredient) -> Self {
        Self {
            primary: drug,
            secondaries: Vec::new(),
        }
    }

    /// The drug that is dosed.
    #[must_use]
    pub const fn primary(&self) -> Ingredient {
        self.primary
    }

    /// The drugs that come with it.
    #[must_use]
    pub fn secondaries(&self) -> &[Ingredient] {
        &self.secondaries
    }

    /// Every drug, the primary one first.
    pub fn ingredients(&self) -> impl Iterator<Item = Ingredient> + '_ {
        core::iter::once(self.primary).chain(self.secondaries.iter().copied())
    }

    /// The concentration of a drug; `None` when it is not in the mixture.
    #[must_use]
    pub fn concentration_of(&self, drug: Drug) -> Option<Concentration> {
        self.ingredients()
            .find(|ingredient| ingredient.drug == drug)
            .map(|ingredient| ingredient.concentration)
    }

    /// The mass of a drug in a volume of the mixture, exactly; no mass when it is not in the mixture.
    #[must_use]
    pub fn mass_of(&self, drug: Drug, volume: Volume) -> Mass {
        self.concentration_of(drug)
            .map_or(Mass::ZERO, |concentration| {
                Mass::in_volume(volume, concentration)
            })
    }

    /// The dose of a drug that comes with a dose of the primary one: dose x concentration / primary concentration (clinical reference,
    /// 2.7). For display: rounded up to a whole zeptogram; checks go by volume. No mass when the drug is not in the mixture, `None`
    /// when the dose cannot be held.
    #[must_use]
    pub fn dose_with(&self, drug: Drug, primary_dose: Mass) -> Option<Mass> {
        let Some(concentration) = self.concentration_of(drug) else {
            return Some(Mass::ZERO);
        };
        let product =
            primary_dose.checked_mul(u64::from(concentration.nanograms_per_millilitre()))?;
        Some(Mass::from_zeptograms(divide_rounding_up(
            product.zeptograms(),
            self.primary.concentration.into(),
        )))
    }

    /// What the pump does about a fault that leaves the mixture deliverable: it goes on if losing any of the drugs is the greater danger.
    #[must_use]
    pub fn fault_policy(&self) -> FaultPolicy {
        if self
            .entries()
            .any(|entry| entry.fault_policy.value == FaultPolicy::HoldLast)
        {
            FaultPolicy::HoldLast
        } else {
            FaultPolicy::Stop
        }
    }

    /// How long the mixture keeps: as long as the drug that keeps shortest. In a mixture every later fill is a diluted one.
    #[must_use]
    pub fn stability(&self, fill: Fill) -> Duration {
        let fill = match fill {
            Fill::Later if !self.secondaries.is_empty() => Fill::LaterDiluted,
            fill => fill,
        };
        self.shortest(|entry| entry.stability.of(fill))
    }

    /// After how long without delivery the mixture must not come back by itself: the shortest of its drugs.
    #[must_use]
    pub fn unattended_resume(&self) -> Duration {
        self.shortest(|entry| entry.unattended_resume.value)
    }

    /// What happens when the mixture suddenly stops: the worst of its drugs.
    #[must_use]
    pub fn withdrawal(&self) -> Withdrawal {
        self.entries()
            .map(|entry| entry.withdrawal.value)
            .fold(Withdrawal::None, Withdrawal::max)
    }

    /// What is built in about every drug.
    fn entries(&self) -> impl Iterator<Item = &'static DrugEntry> + '_ {
        self.ingredients()
            .map(|ingredient| DrugEntry::of(ingredient.drug))
    }

    fn shortest(&self, of: impl Fn(&'static DrugEntry) -> Duration) -> Duration {
        // A mixture has a primary drug: there is always one.
        self.entries().map(of).min().unwrap_or(Duration::ZERO)
    }
}

/// Long division, a byte at a time: dividing 128 bits at once takes a kilobyte of code wherever it is written.
fn divide_rounding_up(dividend: u128, divisor: NonZeroU32) -> u128 {
    let divisor = NonZeroU64::from(divisor);
    let (mut quotient, mut rest) = (0_u128, 0_u64);
    for byte in dividend.to_be_bytes() {
        // The rest is below 2^32: nothing is shifted out, and the digit is below 256.
        rest = (rest << 8) | u64::from(byte);
        quotient = (quotient << 8) | u128::from(rest / divisor);
        rest %= divisor;
    }
    quotient.saturating_add(u128::from(rest != 0))
}

#[cfg(test)]
mod tests;
