//! Whether the limits allow what is asked for: for every drug of the mixture, by exact volume times concentration.
//!
//! A hard limit refuses anyone. Everything else is a [`Finding`]: most need a reason, which goes into the log; some only inform. Every
//! limit itself is allowed. Masses in findings and refusals are in nanograms rounded up, so that what is above a limit also reads so.

use core::fmt;
use core::num::NonZeroU32;

use heapless::Vec;
use serde::{Deserialize, Serialize};
use units::{Concentration, Drug, Duration, Mass, Ratio, Volume};

use crate::change::{Change, PercentChange};
use crate::library::{
    DOUBLED, DrugEntry, Library, MANY_BOLUSES, Nanograms, Severity, SoftHard, Titration,
};
use crate::mixture::{Ingredient, MAXIMUM_SECONDARIES, Mixture};

/// Femtolitres in a millilitre.
const MILLILITRE: u64 = 1_000_000_000_000;

/// Findings there can be: day, concentration, bolus and label for each drug; start, titration, doubling, interval, drop and number of
/// boluses once.
const FINDINGS: usize = MAXIMUM_SECONDARIES
    .saturating_add(1)
    .saturating_mul(4)
    .saturating_add(6);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The largest volume in any rolling 24 h of the repeating week, with all allotted boluses.
    pub largest_24h: Volume,
    /// The largest single bolus, whether a patient's, periodic or a clinician's.
    pub largest_bolus: Option<Volume>,
    /// How many boluses there can be in 24 hours.
    pub boluses_per_day: u32,
    /// The change of the primary drug's 24-hour total; `None` when it stays.
    pub change: Option<Change>,
}

/// Something that goes over a soft limit, or that whoever confirms should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finding {
    /// More in 24 hours than the soft limit.
    Day {
        /// The drug.
        drug: Drug,
        /// What was asked for, in nanograms rounded up.
        asked_ng: u64,
        /// The limit.
        limit: Nanograms,
    },
    /// A higher concentration than the soft limit.
    Concentration {
        /// The drug.
        drug: Drug,
        /// What was asked for.
        asked: Concentration,
        /// The limit.
        limit: Concentration,
    },
    /// A larger single bolus than the soft limit.
    Bolus {
        /// The drug.
        drug: Drug,
        /// What was asked for, in nanograms rounded up.
        asked_ng: u64,
        /// The limit.
        limit: Nanograms,
    },
    /// A first prescription above the starting range. Informs: the patient may be used to it.
    Start {
        /// The drug.
        drug: Drug,
        /// What was asked for, in nanograms a day rounded up.
        asked_ng: u64,
        /// The top of the range.
        limit: Nanograms,
    },
    /// The daily dose rises at once by more than the titration rule says.
    Titration {
        /// The drug.
        drug: Drug,
        /// By how much it rises, in nanograms a day rounded up.
        rise_ng: u64,
        /// The rule.
        limit: Titration,
    },
    /// The daily dose more than doubles.
    Doubled {
        /// The drug.
        drug: Drug,
        /// What was asked for, in nanograms a day rounded up.
        asked_ng: u64,
        /// The lowest total in force in the last 24 hours, in nanograms a day rounded up.
        lowest_ng: u64,
    },
    /// The daily dose rises again too soon.
    RiseTooSoon {
        /// The drug.
        drug: Drug,
        /// How long ago it last rose.
        since: Duration,
        /// How long ago it should have.
        interval: Duration,
    },
    /// The daily dose drops at once by more than is safe without a plan: withdrawal.
    Drop {
        /// The drug.
        drug: Drug,
        /// By how much it drops, in nanograms a day rounded up.
        drop_ng: u64,
        /// What needs no reason, in per cent.
        percent: u8,
    },
    /// So many boluses a day that an interval may have been entered in the wrong unit.
    ManyBoluses {
        /// What was asked for.
        asked: u32,
        /// The limit.
        limit: u32,
    },
    /// The drug is not labelled for intrathecal infusion, or not in a mixture: no label covers one \[GK\]. Informs.
    OffLabel {
        /// The drug.
        drug: Drug,
    },
}

impl Finding {
    /// Whether it needs a reason; what does not informs only.
    #[must_use]
    pub const fn needs_reason(&self) -> bool {
        !matches!(self, Self::OffLabel { .. } | Self::Start { .. })
    }
}

/// What was found, at most one of each sort for each drug.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SoftFindings(Vec<Finding, FINDINGS>);

impl SoftFindings {
    /// Whether any of them needs a reason.
    #[must_use]
    pub fn needs_reason(&self) -> bool {
        self.0.iter().any(Finding::needs_reason)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, finding: Finding) {
        // There is room for all there can be.
        let _ = self.0.push(finding);
    }
}

/// Why nobody may give this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HardRefusal {
    /// The hospital does not use the drug.
    NotUsedHere {
        /// The drug.
        drug: Drug,
    },
    /// The concentration is above the hard limit.
    Concentration {
        /// The drug.
        drug: Drug,
        /// What was asked for.
        asked: Concentration,
        /// What is allowed at most.
        limit: Concentration,
    },
    /// The dose over 24 hours is above the hard limit of the drug that binds.
    Day {
        /// The drug that binds: none in the mixture allows less volume.
        drug: Drug,
        /// What was asked for, in nanograms rounded up.
        asked_ng: u64,
        /// What is allowed at most.
        limit: Nanograms,
        /// The volume of the mixture that is allowed at most.
        largest: Volume,
    },
    /// The single bolus is above the hard limit of the drug that binds.
    Bolus {
        /// The drug that binds: none in the mixture allows less volume.
        drug: Drug,
        /// What was asked for, in nanograms rounded up.
        asked_ng: u64,
        /// What is allowed at most.
        limit: Nanograms,
        /// The volume of the mixture that is allowed at most.
        largest: Volume,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mass = Mass::from_nanograms;
        match *self {
            Self::Day {
                drug,
                asked_ng,
                limit,
            } => write!(
                f,
                "{drug}: {} in 24 h is above the soft limit of {limit}",
                mass(asked_ng)
            ),
            Self::Concentration { drug, asked, limit } => write!(
                f,
                "{drug}: a concentration of {asked} is above the soft limit of {limit}"
            ),
            Self::Bolus {
                drug,
                asked_ng,
                limit,
            } => write!(
                f,
                "{drug}: a bolus of {} is above the soft limit of {limit}",
                mass(asked_ng)
            ),
            Self::Start {
                drug,
                asked_ng,
                limit,
            } => write!(
                f,
                "{drug}: a start with {} in 24 h is above the usual {limit}",
                mass(asked_ng)
            ),
            Self::Titration {
                drug,
                rise_ng,
                limit,
            } => write!(
                f,
                "{drug}: a rise by {} in 24 h is more than {limit} at once",
                mass(rise_ng)
            ),
            Self::Doubled {
                drug,
                asked_ng,
                lowest_ng,
            } => write!(
                f,
                "{drug}: {} in 24 h is more than double the {} of the last 24 h",
                mass(asked_ng),
                mass(lowest_ng)
            ),
            Self::RiseTooSoon {
                drug,
                since,
                interval,
            } => write!(
                f,
                "{drug}: the dose last rose {since} ago; between two rises there should be {interval}"
            ),
            Self::Drop {
                drug,
                drop_ng,
                percent,
            } => write!(
                f,
                "{drug}: a drop by {} in 24 h is more than {percent} % at once: there is a danger of withdrawal",
                mass(drop_ng)
            ),
            Self::ManyBoluses { asked, limit } => write!(
                f,
                "{asked} boluses in 24 h are more than {limit}: is the interval right?"
            ),
            Self::OffLabel { drug } => {
                write!(f, "{drug}: no label covers this use")
            }
        }
    }
}

impl fmt::Display for HardRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotUsedHere { drug } => {
                write!(f, "{drug}: the hospital's library says it is not used here")
            }
            Self::Concentration { drug, asked, limit } => write!(
                f,
                "{drug}: a concentration of {asked} is above the hard limit of {limit}"
            ),
            Self::Day {
                drug,
                asked_ng,
                limit,
                largest,
            } => write!(
                f,
                "{drug}: {} in 24 h is above the hard limit of {limit}; of this mixture at most {largest} in 24 h",
                Mass::from_nanograms(asked_ng)
            ),
            Self::Bolus {
                drug,
                asked_ng,
                limit,
                largest,
            } => write!(
                f,
                "{drug}: a bolus of {} is above the hard limit of {limit}; of this mixture at most {largest}",
                Mass::from_nanograms(asked_ng)
            ),
        }
    }
}

impl core::error::Error for HardRefusal {}

/// The limit of a mixture: that of the drug which allows the least volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The drug that binds; of several the first in the mixture.
    pub drug: Drug,
    /// Its limit.
    pub limit: Nanograms,
    /// The volume that carries the limit, rounded down.
    pub volume: Volume,
}

/// The largest volume in 24 hours that every drug's limit allows, and which drug binds: the smallest limit / concentration (clinical
/// reference, 2.7).
#[must_use]
pub fn binding_volume_24h(mixture: &Mixture, library: &Library, severity: Severity) -> Binding {
    binding(mixture, |drug| {
        of_severity(library.effective(drug).day, severity)
    })
}

/// The drug of which the limit allows the least volume. Compared by cross-multiplication: 32 times 32 bits are exact in 64.
fn binding(mixture: &Mixture, limit_of: impl Fn(Drug) -> Nanograms) -> Binding {
    let crossed = |limit: Nanograms, other: Ingredient| {
        u64::from(limit.get())
            .saturating_mul(u64::from(other.concentration.nanograms_per_millilitre()))
    };
    let mut binding = mixture.primary();
    let mut limit = limit_of(binding.drug);
    for secondary in mixture.secondaries() {
        let other = limit_of(secondary.drug);
        if crossed(other, binding) < crossed(limit, *secondary) {
            (binding, limit) = (*secondary, other);
        }
    }
    let concentration = NonZeroU32::from(binding.concentration);
    let millilitres = Ratio::new(u128::from(limit.get()), concentration.into());
    Binding {
        drug: binding.drug,
        limit,
        volume: millilitres
            .times_rounded_down(MILLILITRE)
            .map_or(Volume::MAX, Volume::from_femtolitres),
    }
}

const fn of_severity(limit: SoftHard<Nanograms>, severity: Severity) -> Nanograms {
    match severity {
        Severity::Soft => limit.soft,
        Severity::Hard => limit.hard,
    }
}

/// Judges what is asked for against the limits of every drug in the mixture.
///
/// # Errors
/// The first of these that applies: [`HardRefusal::NotUsedHere`], [`HardRefusal::Concentration`], [`HardRefusal::Day`],
/// [`HardRefusal::Bolus`].
pub fn check(
    mixture: &Mixture,
    library: &Library,
    asked: &Asked,
) -> Result<SoftFindings, HardRefusal> {
    refuse_hard(mixture, library, asked)?;
    let mut findings = SoftFindings::default();
    for ingredient in mixture.ingredients() {
        check_drug(ingredient, mixture, library, asked, &mut findings);
    }
    if let Some(change) = &asked.change {
        check_change(mixture.primary().drug, library, change, &mut findings);
    }
    if asked.boluses_per_day > MANY_BOLUSES.value {
        findings.add(Finding::ManyBoluses {
            asked: asked.boluses_per_day,
            limit: MANY_BOLUSES.value,
        });
    }
    Ok(findings)
}

fn refuse_hard(mixture: &Mixture, library: &Library, asked: &Asked) -> Result<(), HardRefusal> {
    for Ingredient {
        drug,
        concentration,
    } in mixture.ingredients()
    {
        let limits = library.effective(drug);
        if !limits.used {
            return Err(HardRefusal::NotUsedHere { drug });
        }
        let limit = limits.concentration.hard;
        if concentration > limit {
            return Err(HardRefusal::Concentration {
                drug,
                asked: concentration,
                limit,
            });
        }
    }
    // Whoever binds is exceeded first: the other drugs need not be looked at.
    let day = binding_volume_24h(mixture, library, Severity::Hard);
    if let Some(asked_ng) = above(mixture, &day, asked.largest_24h) {
        return Err(HardRefusal::Day {
            drug: day.drug,
            asked_ng,
            limit: day.limit,
            largest: day.volume,
        });
    }
    let bolus = binding(mixture, |drug| library.effective(drug).bolus.hard);
    if let Some(asked_ng) = above(mixture, &bolus, asked.largest_bolus.unwrap_or(Volume::ZERO)) {
        return Err(HardRefusal::Bolus {
            drug: bolus.drug,
            asked_ng,
            limit: bolus.limit,
            largest: bolus.volume,
        });
    }
    Ok(())
}

/// The mass of the drug that binds, when it is above its limit.
fn above(mixture: &Mixture, binding: &Binding, volume: Volume) -> Option<u64> {
    let mass = mixture.mass_of(binding.drug, volume);
    (mass > binding.limit.mass()).then(|| nanograms_rounded_up(mass))
}

/// What concerns each drug by itself.
fn check_drug(
    ingredient: Ingredient,
    mixture: &Mixture,
    library: &Library,
    asked: &Asked,
    findings: &mut SoftFindings,
) {
    let Ingredient {
        drug,
        concentration,
    } = ingredient;
    let limits = library.effective(drug);
    let day = Mass::in_volume(asked.largest_24h, concentration);
    if day > limits.day.soft.mass() {
        findings.add(Finding::Day {
            drug,
            asked_ng: nanograms_rounded_up(day),
            limit: limits.day.soft,
        });
    }
    if concentration > limits.concentration.soft {
        findings.add(Finding::Concentration {
            drug,
            asked: concentration,
            limit: limits.concentration.soft,
        });
    }
    let bolus = Mass::in_volume(asked.largest_bolus.unwrap_or(Volume::ZERO), concentration);
    if bolus > limits.bolus.soft.mass() {
        findings.add(Finding::Bolus {
            drug,
            asked_ng: nanograms_rounded_up(bolus),
            limit: limits.bolus.soft,
        });
    }
    if !mixture.secondaries().is_empty() || !DrugEntry::of(drug).labelled() {
        findings.add(Finding::OffLabel { drug });
    }
}

/// What concerns the change of the primary drug's total.
fn check_change(drug: Drug, library: &Library, change: &Change, findings: &mut SoftFindings) {
    let entry = DrugEntry::of(drug);
    let rise = change.rise();
    if rise.is_new_start() {
        let limit = entry.start.value.highest;
        if change.to() > limit.mass() {
            findings.add(Finding::Start {
                drug,
                asked_ng: nanograms_rounded_up(change.to()),
                limit,
            });
        }
        return;
    }
    let limit = library.effective(drug).titration;
    if above_titration(rise, limit) {
        findings.add(Finding::Titration {
            drug,
            rise_ng: difference(rise.to(), rise.old()),
            limit,
        });
    }
    let doubled = u32::from(DOUBLED.value.saturating_sub(1)).saturating_mul(100);
    if rise.rises_by_more_than(doubled) {
        findings.add(Finding::Doubled {
            drug,
            asked_ng: nanograms_rounded_up(rise.to()),
            lowest_ng: nanograms_rounded_up(rise.old()),
        });
    }
    let interval = entry.rise_interval.value;
    if let Some(since) = change.since_rise().filter(|since| *since < interval) {
        findings.add(Finding::RiseTooSoon {
            drug,
            since,
            interval,
        });
    }
    let drop = change.drop();
    if let Some(percent) = entry.drop_percent.map(|percent| percent.value)
        && drop.drops_by_more_than(u32::from(percent))
    {
        findings.add(Finding::Drop {
            drug,
            drop_ng: difference(drop.old(), drop.to()),
            percent,
        });
    }
}

fn above_titration(rise: PercentChange, limit: Titration) -> bool {
    match limit {
        Titration::Percent(percent) => rise.rises_by_more_than(u32::from(percent)),
        Titration::PerDay(mass) => rise
            .to()
            .checked_sub(rise.old())
            .is_some_and(|step| step > mass.mass()),
    }
}

/// `larger - smaller` in nanograms, rounded up.
fn difference(larger: Mass, smaller: Mass) -> u64 {
    nanograms_rounded_up(larger.checked_sub(smaller).unwrap_or(Mass::ZERO))
}

fn nanograms_rounded_up(mass: Mass) -> u64 {
    let down = mass.nanograms_rounded_down();
    down.saturating_add(u64::from(Mass::from_nanograms(down) < mass))
}

#[cfg(test)]
mod tests;
