//! The drug library: what each drug's limits are, and where each number comes from.
//!
//! The built-in table ([`DrugEntry::of`]) has one entry for every drug, every number with its [`Source`] beside it. A hospital may load
//! a [`HospitalLibrary`] on top; it can only tighten. [`Library::effective`] gives the limits that count: of the two the tighter, always.
//!
//! A soft limit asks for a reason, a hard one refuses anyone. Every limit itself is allowed; one unit more is not.
//!
//! docs/clinical-review.md lists every number here that a clinician must sign, and is made from the table.

mod hospital;
mod table;

use core::fmt;
use core::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use units::{Concentration, Drug, Duration, FaultPolicy, Mass};

pub use hospital::{
    HospitalDrug, HospitalLibrary, Library, LibraryRefusal, LimitField, LimitValue, LoadedVersion,
    Severity, Tightened,
};
pub use table::{DOUBLED, MANY_BOLUSES};

/// Where a number comes from (clinical reference, 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A public source, by its number in section 10 of the clinical reference.
    Reference(u8),
    /// General knowledge: a clinician must verify and sign it.
    GeneralKnowledge,
    /// A proposal of this project: a clinician must sign it.
    Proposal,
}

impl Source {
    /// Whether a clinician must sign the number.
    #[must_use]
    pub const fn must_be_signed(self) -> bool {
        matches!(self, Self::GeneralKnowledge | Self::Proposal)
    }
}

impl fmt::Display for Source {
    /// As the clinical reference writes it: `[S69]`, `[GK]`, `[P]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reference(number) => write!(f, "[S{number:02}]"),
            Self::GeneralKnowledge => f.write_str("[GK]"),
            Self::Proposal => f.write_str("[P]"),
        }
    }
}

/// A number and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The number.
    pub value: T,
    /// Where it comes from.
    pub source: Source,
}

/// A mass in whole nanograms, 1 ng to 4.29 g; never zero. What limits are counted in: four bytes hold every one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanograms(NonZeroU32);

impl Nanograms {
    /// From nanograms; `None` for zero. A limit of nothing is none: a drug that may not be given is marked so.
    #[must_use]
    pub const fn new(nanograms: u32) -> Option<Self> {
        match NonZeroU32::new(nanograms) {
            Some(nanograms) => Some(Self(nanograms)),
            None => None,
        }
    }

    /// In nanograms.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// As a mass, exactly.
    #[must_use]
    #[expect(
        clippy::as_conversions,
        reason = "u32 widens to u64; From is not const"
    )]
    pub const fn mass(self) -> Mass {
        Mass::from_nanograms(self.0.get() as u64)
    }
}

impl fmt::Display for Nanograms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.mass(), f)
    }
}

/// The unit in which a drug's doses are shown, always the same one for a drug: two units on one screen kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoseUnit {
    /// Micrograms.
    Microgram,
    /// Milligrams.
    Milligram,
}

impl DoseUnit {
    /// As written after a number.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Microgram => "mcg",
            Self::Milligram => "mg",
        }
    }

    /// Shows a mass in this unit: exactly, without exponent and without trailing zeros.
    #[must_use]
    pub const fn show(self, amount: Nanograms) -> impl fmt::Display {
        Shown(self, amount)
    }
}

/// A mass in a unit chosen by the drug and not by the size of the number.
struct Shown(DoseUnit, Nanograms);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(unit, amount) = self;
        let amount = amount.get();
        let (whole, mut rest, mut place) = match unit {
            DoseUnit::Microgram => (amount / 1_000, amount % 1_000, 100),
            DoseUnit::Milligram => (amount / 1_000_000, amount % 1_000_000, 100_000),
        };
        write!(f, "{whole}")?;
        if rest != 0 {
            f.write_str(".")?;
        }
        while let (Some(step), true) = (NonZeroU32::new(place), rest != 0) {
            write!(f, "{}", rest / step)?;
            rest %= step;
            place /= 10;
        }
        write!(f, " {}", unit.name())
    }
}

/// A soft limit, which asks for a reason, and a hard one, which refuses anyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoftHard<T> {
    /// What needs no reason, itself included.
    pub soft: T,
    /// What anyone may give, itself included.
    pub hard: T,
}

/// A range of daily doses for a first prescription. A patient who is used to more is nobody's error: it informs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartingRange {
    /// The lowest, per day.
    pub lowest: Nanograms,
    /// The highest, per day.
    pub highest: Nanograms,
}

/// How far a dose may rise at once without a reason. Soft: a hard limit would stand in the way of whoever corrects a dose that was
/// programmed too low.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Titration {
    /// By so many per cent of the former daily dose.
    Percent(u8),
    /// By so much per day.
    PerDay(Nanograms),
}

impl fmt::Display for Titration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent} %"),
            Self::PerDay(mass) => write!(f, "{mass}/day"),
        }
    }
}

/// Which fill of the reservoir a stability is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fill {
    /// The first fill of a new pump with this drug: some of it is lost to the pump's surfaces.
    First,
    /// Any later one, as it comes from the manufacturer.
    Later,
    /// Any later one, diluted.
    LaterDiluted,
}

/// How long a drug keeps in the reservoir (clinical reference, 3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stability {
    /// After the first fill.
    pub first: Sourced<Duration>,
    /// After any later one, as it comes from the manufacturer.
    pub later: Sourced<Duration>,
    /// After any later one, diluted or mixed with another drug.
    pub later_diluted: Sourced<Duration>,
}

impl Stability {
    /// How long a fill keeps.
    #[must_use]
    pub const fn of(&self, fill: Fill) -> Duration {
        match fill {
            Fill::First => self.first.value,
            Fill::Later => self.later.value,
            Fill::LaterDiluted => self.later_diluted.value,
        }
    }
}

/// What happens when the drug suddenly stops (clinical reference, 3.4), the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Withdrawal {
    /// Nothing that is recognised.
    None,
    /// A withdrawal syndrome.
    Syndrome,
    /// Rebound hypertension, which can be severe.
    Rebound,
    /// Fever, rigidity, failing organs, death.
    LifeThreatening,
}

impl fmt::Display for Withdrawal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none recognised",
            Self::Syndrome => "withdrawal syndrome",
            Self::Rebound => "rebound hypertension",
            Self::LifeThreatening => "life-threatening",
        })
    }
}

/// What is built in about one drug. Every number bears its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrugEntry {
    /// The drug.
    pub drug: Drug,
    /// The unit its doses are shown in.
    pub unit: Sourced<DoseUnit>,
    /// Whether it is labelled for intrathecal infusion against pain.
    pub labelled_for_pain: Sourced<bool>,
    /// Whether it is labelled for intrathecal infusion against spasticity.
    pub labelled_for_spasticity: Sourced<bool>,
    /// Daily dose of a first prescription.
    pub start: Sourced<StartingRange>,
    /// Most over any 24 hours.
    pub day: SoftHard<Sourced<Nanograms>>,
    /// Highest concentration.
    pub concentration: SoftHard<Sourced<Concentration>>,
    /// Largest single bolus.
    pub bolus: SoftHard<Sourced<Nanograms>>,
    /// How far the daily dose may rise at once without a reason.
    pub titration: Sourced<Titration>,
    /// How long after a rise the next one needs a reason.
    pub rise_interval: Sourced<Duration>,
    /// How far the daily dose may drop at once without a reason, in per cent, itself included; `None` where dropping is harmless.
    pub drop_percent: Option<Sourced<u8>>,
    /// How long it keeps in the reservoir.
    pub stability: Stability,
    /// What happens when it suddenly stops.
    pub withdrawal: Sourced<Withdrawal>,
    /// What the pump does about a fault that leaves it deliverable.
    pub fault_policy: Sourced<FaultPolicy>,
    /// After how long without delivery it must not come back by itself: the patient is no longer used to it.
    pub unattended_resume: Sourced<Duration>,
}

impl DrugEntry {
    /// What is built in about a drug.
    #[must_use]
    pub fn of(drug: Drug) -> &'static Self {
        table::entry(drug)
    }

    /// Whether any label covers it alone.
    #[must_use]
    pub const fn labelled(&self) -> bool {
        self.labelled_for_pain.value || self.labelled_for_spasticity.value
    }

    /// Its built-in limits.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        Limits {
            used: true,
            day: SoftHard {
                soft: self.day.soft.value,
                hard: self.day.hard.value,
            },
            concentration: SoftHard {
                soft: self.concentration.soft.value,
                hard: self.concentration.hard.value,
            },
            bolus: SoftHard {
                soft: self.bolus.soft.value,
                hard: self.bolus.hard.value,
            },
            titration: self.titration.value,
        }
    }
}

/// The limits that count for one drug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Whether the hospital uses the drug at all.
    pub used: bool,
    /// Most over any 24 hours.
    pub day: SoftHard<Nanograms>,
    /// Highest concentration.
    pub concentration: SoftHard<Concentration>,
    /// Largest single bolus.
    pub bolus: SoftHard<Nanograms>,
    /// How far the daily dose may rise at once without a reason.
    pub titration: Titration,
}

#[cfg(test)]
mod tests;
