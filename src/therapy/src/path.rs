//! What lies between the reservoir and the tip, and what leaves the tip.
//!
//! The patient gets what is at the tip, not what is in the reservoir: after a change of drug or concentration the old liquid goes on
//! leaving until a whole path volume has been delivered. A [`Path`] keeps that queue in exact femtolitres, as plug flow: each
//! liquid follows the one before without mixing. It is an estimate and must be shown as one, because sharp fronts do not exist in
//! tubing (docs/therapy.md, "Bridge and tip").
//!
//! # The model
//!
//! ```text
//! reservoir |  rest: the reservoir's content  | slug | slug | tip
//!           |<----------------- path volume ---------------->|
//! ```
//!
//! Slugs are what is *not* the reservoir's content. The rest of the path needs no entry, so that volumes add up to the path volume by
//! construction and delivering without a change takes no memory.
//!
//! | event | what happens |
//! |---|---|
//! | [`Path::advance`] | everything moves toward the tip by a volume; what passed the tip is reported; emptied slugs are gone |
//! | [`Path::change`] | the rest becomes a slug, the reservoir has another content; refused when there are [`MAXIMUM_SLUGS`] already |
//! | [`Path::change`] to the same liquid | nothing: a change of dose has no latency, the liquid cannot be compressed |
//! | [`Path::change`] with no rest | no slug: nothing of the old content has entered the path |
//! | [`Path::change`] back to what the last slug holds | that slug is the reservoir's content again and is gone |
//! | [`Path::aspirate`] | the end at the tip becomes inert |
//! | [`Path::set_target`] | the slug at the tip gets another dose |
//! | stall, stop, empty reservoir | nothing: what is not delivered does not advance |

use core::fmt;

use heapless::Vec;
use serde::{Deserialize, Serialize};
use units::{Concentration, Drug, Duration, Flow, Mass, Ratio, StepVolume, Volume};

use crate::bridge::Target;
use crate::catheter::LARGEST_EXTERNAL_PATH;

/// How many slugs a path holds besides the reservoir's content \[P\]: four changes of drug or concentration within one path volume.
pub const MAXIMUM_SLUGS: usize = 4;
/// How many drugs a solution holds: a primary and three more (clinical reference, 1.6).
pub const MAXIMUM_DRUGS: usize = 4;
/// No solution is more concentrated, 250 mg/mL \[P\]: ten times the strongest in use, and four bytes where it is stored.
pub const HIGHEST_CONCENTRATION_NANOGRAMS_PER_MILLILITRE: u32 = 250_000_000;

/// One drug of a solution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// The drug.
    pub drug: Drug,
    /// Its concentration, as on the label.
    pub concentration: Concentration,
}

impl Component {
    /// How fast this drug leaves at a flow, in zeptograms per microsecond, exactly; `None` when that cannot be held.
    #[must_use]
    pub fn dose_rate(&self, flow: Flow) -> Option<Ratio> {
        let concentration = u128::from(self.concentration.nanograms_per_millilitre());
        let zeptograms = flow.numerator().checked_mul(concentration)?;
        Some(Ratio::new(zeptograms, flow.ratio().denominator()))
    }

    /// What leaves at a flow within 24 hours, rounded down to a whole femtolitre of solution; for display. Compare with a limit by
    /// [`Component::exceeds`].
    #[must_use]
    pub fn per_day_rounded_down(&self, flow: Flow) -> Option<Mass> {
        let volume = flow.volume_in(Duration::from_days(1))?;
        Some(Mass::in_volume(volume, self.concentration))
    }

    /// Whether more than `limit` leaves at a flow within 24 hours, exactly.
    #[must_use]
    pub fn exceeds(&self, flow: Flow, limit: Mass) -> bool {
        let largest = units::DoseRate::new(limit, units::Per::Day).flow(self.concentration);
        flow > largest
    }
}

/// The drugs of a solution, the primary first and the others in the order of [`Drug`].
type Components = Vec<Component, MAXIMUM_DRUGS>;

/// A solution of one to four drugs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solution(Components);

impl Solution {
    /// A solution of a primary drug and up to three others, in any order.
    ///
    /// # Errors
    /// [`SolutionRefusal`]: a drug is named twice, there are more than four, or one is more concentrated than
    /// [`HIGHEST_CONCENTRATION_NANOGRAMS_PER_MILLILITRE`].
    pub fn new(primary: Component, others: &[Component]) -> Result<Self, SolutionRefusal> {
        let mut solution = Self(Components::new());
        solution.add(primary)?;
        for &other in others {
            solution.add(other)?;
        }
        if let Some((_, others)) = solution.0.split_first_mut() {
            others.sort_unstable_by_key(|component| component.drug);
        }
        Ok(solution)
    }

    /// One drug alone.
    ///
    /// # Errors
    /// [`SolutionRefusal::TooConcentrated`].
    pub fn of(drug: Drug, concentration: Concentration) -> Result<Self, SolutionRefusal> {
        let component = Component {
            drug,
            concentration,
        };
        Self::new(component, &[])
    }

    fn add(&mut self, component: Component) -> Result<(), SolutionRefusal> {
        let concentration = component.concentration;
        if concentration.nanograms_per_millilitre() > HIGHEST_CONCENTRATION_NANOGRAMS_PER_MILLILITRE
        {
            return Err(SolutionRefusal::TooConcentrated { concentration });
        }
        if self.concentration(component.drug).is_some() {
            return Err(SolutionRefusal::Twice {
                drug: component.drug,
            });
        }
        self.0
            .push(component)
            .map_err(|_| SolutionRefusal::TooManyDrugs)
    }

    /// Its drugs, the primary first.
    #[must_use]
    pub fn components(&self) -> &[Component] {
        &self.0
    }

    /// The drug its dose is stated in; `None` never occurs.
    #[must_use]
    pub fn primary(&self) -> Option<&Component> {
        self.0.first()
    }

    /// The concentration of a drug; `None` when it is not in here.
    #[must_use]
    pub fn concentration(&self, drug: Drug) -> Option<Concentration> {
        self.0
            .iter()
            .find(|component| component.drug == drug)
            .map(|component| component.concentration)
    }
}

/// Why a solution is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SolutionRefusal {
    /// It names a drug twice.
    Twice {
        /// Which.
        drug: Drug,
    },
    /// It names more than four drugs.
    TooManyDrugs,
    /// A drug is more concentrated than any solution is.
    TooConcentrated {
        /// What was asked for.
        concentration: Concentration,
    },
}

impl fmt::Display for SolutionRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twice { drug } => write!(f, "{drug} is named twice: name each drug once"),
            Self::TooManyDrugs => write!(
                f,
                "more than {MAXIMUM_DRUGS} drugs are in the solution: at most {MAXIMUM_DRUGS}"
            ),
            Self::TooConcentrated { concentration } => write!(
                f,
                "a concentration of {concentration} is not possible: at most {} mg/mL",
                HIGHEST_CONCENTRATION_NANOGRAMS_PER_MILLILITRE / 1_000_000
            ),
        }
    }
}

impl core::error::Error for SolutionRefusal {}

/// What a part of the path holds. Stored as a list of drugs, empty for inert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Components", into = "Components")]
pub enum Content {
    /// Saline, cerebrospinal fluid or air: no drug.
    Inert,
    /// A solution of drugs.
    Solution(Solution),
}

impl Content {
    /// Its drugs, the primary first; none when inert.
    #[must_use]
    pub fn components(&self) -> &[Component] {
        match self {
            Self::Inert => &[],
            Self::Solution(solution) => solution.components(),
        }
    }

    /// The drug its dose is stated in; `None` when inert.
    #[must_use]
    pub fn primary(&self) -> Option<&Component> {
        self.components().first()
    }

    /// Whether both are the same liquid: the same drugs at the same concentrations, whichever is called primary.
    #[must_use]
    pub fn is_same_liquid(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.components(), other.components());
        // No drug stands twice in either.
        ours.len() == theirs.len() && ours.iter().all(|component| theirs.contains(component))
    }
}

impl From<Content> for Components {
    fn from(content: Content) -> Self {
        match content {
            Content::Inert => Self::new(),
            Content::Solution(solution) => solution.0,
        }
    }
}

impl TryFrom<Components> for Content {
    type Error = SolutionRefusal;

    fn try_from(components: Components) -> Result<Self, SolutionRefusal> {
        match components.split_first() {
            None => Ok(Self::Inert),
            Some((&primary, others)) => Solution::new(primary, others).map(Self::Solution),
        }
    }
}

/// A part of the path that holds something else than the reservoir does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slug {
    volume: Volume,
    content: Content,
    #[serde(with = "crate::bridge::optional_target")]
    target: Option<Target>,
}

impl Slug {
    /// What is left of it in the path; never zero.
    #[must_use]
    pub const fn volume(&self) -> Volume {
        self.volume
    }

    /// What it holds.
    #[must_use]
    pub const fn content(&self) -> &Content {
        &self.content
    }

    /// The dose of its primary drug that a bridge gives while it is at the tip.
    #[must_use]
    pub const fn target(&self) -> Option<Target> {
        self.target
    }

    /// The flow that carries its own target.
    fn own_flow(&self) -> Option<Flow> {
        Some(self.target?.flow(self.content.primary()?.concentration))
    }
}

/// What left the tip: a mass for every drug.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TipDose([Mass; Drug::ALL.len()]);

impl TipDose {
    /// The mass of one drug.
    #[must_use]
    pub fn of(&self, drug: Drug) -> Mass {
        self.iter()
            .find(|&(other, _)| other == drug)
            .map_or(Mass::ZERO, |(_, mass)| mass)
    }

    /// Every drug that left, and how much of it.
    pub fn iter(&self) -> impl Iterator<Item = (Drug, Mass)> + '_ {
        Drug::ALL
            .into_iter()
            .zip(self.0)
            .filter(|&(_, mass)| mass != Mass::ZERO)
    }

    /// Whether no drug left.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Adds what a volume of a content holds.
    fn add(&mut self, content: &Content, volume: Volume) {
        for component in content.components() {
            let more = Mass::in_volume(volume, component.concentration);
            for (drug, mass) in Drug::ALL.into_iter().zip(&mut self.0) {
                if drug == component.drug {
                    // 64 + 32 bits at a time: 2^32 times that would still fit.
                    *mass = mass.checked_add(more).unwrap_or(*mass);
                }
            }
        }
    }
}

/// One slug on its way through the tip: what leaves, how much of it, and at which flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage<'a> {
    /// What leaves.
    pub content: &'a Content,
    /// How much of it.
    pub volume: Volume,
    /// The flow in force meanwhile.
    pub flow: Flow,
}

/// What lies between the reservoir and the tip. Its largest stored form has 156 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Path {
    volume: Volume,
    /// From the reservoir to the tip: the last one leaves first.
    slugs: Vec<Slug, MAXIMUM_SLUGS>,
    reservoir: Content,
}

/// A path as it is stored, unchecked.
#[derive(Deserialize)]
struct Stored {
    volume: Volume,
    slugs: Vec<Slug, MAXIMUM_SLUGS>,
    reservoir: Content,
}

impl TryFrom<Stored> for Path {
    type Error = PathRefusal;

    fn try_from(stored: Stored) -> Result<Self, PathRefusal> {
        Self {
            volume: stored.volume,
            slugs: stored.slugs,
            reservoir: stored.reservoir,
        }
        .checked()
    }
}

impl Path {
    /// A path that holds `contents`, given from the tip to the reservoir, and for the rest what the reservoir holds.
    ///
    /// | situation | `contents` |
    /// |---|---|
    /// | new pump on a new catheter | the whole path, inert |
    /// | new pump on a filled catheter | the catheter with its drug, then the tubing, inert |
    /// | new catheter on a filled pump | the catheter, inert |
    /// | everything filled | nothing |
    ///
    /// # Errors
    /// [`PathRefusal`]: the path is of no size or larger than [`LARGEST_EXTERNAL_PATH`], a part is empty, the parts are too many or
    /// hold more than the path.
    pub fn new(
        volume: Volume,
        contents: &[(Volume, Content)],
        reservoir: Content,
    ) -> Result<Self, PathRefusal> {
        let mut slugs = Vec::new();
        for (volume, content) in contents.iter().rev() {
            let slug = Slug {
                volume: *volume,
                content: content.clone(),
                target: None,
            };
            slugs.push(slug).map_err(|_| PathRefusal::TooManyParts)?;
        }
        let mut path = Self {
            volume,
            slugs,
            reservoir,
        }
        .checked()?;
        path.absorb();
        Ok(path)
    }

    fn checked(self) -> Result<Self, PathRefusal> {
        let volume = self.volume;
        if volume == Volume::ZERO || volume > LARGEST_EXTERNAL_PATH {
            return Err(PathRefusal::Size { volume });
        }
        let mut sum = Volume::ZERO;
        for slug in &self.slugs {
            if slug.volume == Volume::ZERO {
                return Err(PathRefusal::PartEmpty);
            }
            if slug.target.is_some() && slug.content == Content::Inert {
                return Err(PathRefusal::InertTarget);
            }
            sum = sum.saturating_add(slug.volume);
        }
        if sum > volume {
            return Err(PathRefusal::PartsTooLarge { sum, volume });
        }
        Ok(self)
    }

    /// The volume from reservoir to tip.
    #[must_use]
    pub const fn volume(&self) -> Volume {
        self.volume
    }

    /// What is in the reservoir and enters the path next.
    #[must_use]
    pub const fn reservoir(&self) -> &Content {
        &self.reservoir
    }

    /// What is not the reservoir's content, from the tip on.
    pub fn slugs(&self) -> impl Iterator<Item = &Slug> {
        self.slugs.iter().rev()
    }

    /// How much of the path the reservoir's content fills.
    #[must_use]
    pub fn rest(&self) -> Volume {
        self.volume.saturating_sub(self.slugs_volume())
    }

    /// What has to be delivered until the reservoir's content reaches the tip; zero when it is there.
    #[must_use]
    pub fn slugs_volume(&self) -> Volume {
        self.slugs
            .iter()
            .fold(Volume::ZERO, |sum, slug| sum.saturating_add(slug.volume))
    }

    /// What is at the tip now.
    #[must_use]
    pub fn tip(&self) -> &Content {
        self.slugs
            .last()
            .map_or(&self.reservoir, |slug| &slug.content)
    }

    /// What has to be delivered until another slug, or the reservoir's content, is at the tip; `None` when the reservoir's content is
    /// there already.
    #[must_use]
    pub fn until_change(&self) -> Option<Volume> {
        self.slugs.last().map(|slug| slug.volume)
    }

    /// The same in whole steps, rounded up: the step that crosses the border is the last of the old content.
    #[must_use]
    pub fn steps_until_change(&self, step: StepVolume) -> Option<u64> {
        let femtolitres = self.until_change()?.femtolitres();
        Some(femtolitres.div_ceil(u64::from(step.femtolitres())))
    }

    /// How long the liquid that enters the path now takes to the tip at a flow, rounded down; `None` when nothing flows (clinical
    /// reference, 2.9). It is the delay of a change of drug or concentration, never of a change of dose.
    #[must_use]
    pub fn latency(&self, flow: Flow) -> Option<Duration> {
        flow.time_for(self.volume)
    }

    /// What leaves the tip while `volume` is delivered, in order.
    pub fn leaving(&self, volume: Volume) -> impl Iterator<Item = (&Content, Volume)> {
        let rest = volume.saturating_sub(self.slugs_volume());
        let mut left = volume;
        self.slugs()
            .map(move |slug| {
                let out = slug.volume.min(left);
                left = left.saturating_sub(out);
                (&slug.content, out)
            })
            .chain(core::iter::once((&self.reservoir, rest)))
            .filter(|&(_, out)| out != Volume::ZERO)
    }

    /// The drugs that leave the tip while `volume` is delivered.
    #[must_use]
    pub fn dose_leaving(&self, volume: Volume) -> TipDose {
        let mut dose = TipDose::default();
        for (content, out) in self.leaving(volume) {
            dose.add(content, out);
        }
        dose
    }

    /// The drugs that leave the reservoir while `volume` is delivered.
    #[must_use]
    pub fn dose_entering(&self, volume: Volume) -> TipDose {
        let mut dose = TipDose::default();
        dose.add(&self.reservoir, volume);
        dose
    }

    /// Moves everything toward the tip by a delivered volume, and gives what left.
    pub fn advance(&mut self, volume: Volume) -> TipDose {
        let dose = self.dose_leaving(volume);
        let mut left = volume;
        while let Some(slug) = self.slugs.last_mut() {
            let out = slug.volume.min(left);
            slug.volume = slug.volume.saturating_sub(out);
            left = left.saturating_sub(out);
            if slug.volume != Volume::ZERO {
                break;
            }
            self.slugs.pop();
        }
        dose
    }

    /// The reservoir now holds something else; `target` is the dose a bridge gives of what it held before, `None` for no bridge.
    /// The new content is compared as a liquid: if it is the same, nothing has to pass first.
    ///
    /// # Errors
    /// [`PathRefusal::TooManyChanges`] when the path already holds [`MAXIMUM_SLUGS`] others; nothing has changed then.
    /// [`PathRefusal::InertTarget`] for a bridge over a content without a drug.
    pub fn change(&mut self, new: Content, target: Option<Target>) -> Result<(), PathRefusal> {
        let rest = self.rest();
        let stays = self.reservoir.is_same_liquid(&new);
        if !stays && rest != Volume::ZERO {
            if target.is_some() && self.reservoir == Content::Inert {
                return Err(PathRefusal::InertTarget);
            }
            let wait = self.until_change().unwrap_or(Volume::ZERO);
            let slug = Slug {
                volume: rest,
                content: self.reservoir.clone(),
                target,
            };
            self.slugs
                .insert(0, slug)
                .map_err(|_| PathRefusal::TooManyChanges { wait })?;
        }
        self.reservoir = new;
        self.absorb();
        Ok(())
    }

    /// Slugs next to the reservoir's content and of the same liquid belong to it.
    fn absorb(&mut self) {
        let others = self
            .slugs
            .iter()
            .skip_while(|slug| slug.content.is_same_liquid(&self.reservoir));
        let keep = others.count();
        // `retain` sees them from the reservoir on.
        let mut drop = self.slugs.len().saturating_sub(keep);
        self.slugs.retain(|_| {
            let kept = drop == 0;
            drop = drop.saturating_sub(1);
            kept
        });
    }

    /// The catheter was aspirated: the end at the tip, of this volume, holds no drug any more.
    ///
    /// # Errors
    /// [`PathRefusal::PartsTooLarge`] for more than the path holds, [`PathRefusal::TooManyChanges`] when the path holds
    /// [`MAXIMUM_SLUGS`] slugs of which the aspirated end replaces none; nothing has changed then.
    pub fn aspirate(&mut self, catheter: Volume) -> Result<(), PathRefusal> {
        if catheter > self.volume {
            return Err(PathRefusal::PartsTooLarge {
                sum: catheter,
                volume: self.volume,
            });
        }
        if catheter == Volume::ZERO {
            return Ok(());
        }
        let wait = self.until_change().unwrap_or(Volume::ZERO);
        let mut aspirated = self.clone();
        aspirated.advance(catheter);
        let slug = Slug {
            volume: catheter,
            content: Content::Inert,
            target: None,
        };
        aspirated
            .slugs
            .push(slug)
            .map_err(|_| PathRefusal::TooManyChanges { wait })?;
        aspirated.absorb();
        *self = aspirated;
        Ok(())
    }

    /// How much has to be delivered before a drug leaves the tip: the inert contents at the tip. The whole path when it is all inert
    /// together with the reservoir.
    #[must_use]
    pub fn inert_at_tip(&self) -> Volume {
        let mut parts = self.leaving(self.volume);
        let mut inert = Volume::ZERO;
        while let Some((Content::Inert, volume)) = parts.next() {
            inert = inert.saturating_add(volume);
        }
        inert
    }

    /// Whether a bridge is under way: flex, periodic and every bolus are suspended, and the program has not begun.
    #[must_use]
    pub fn is_bridging(&self) -> bool {
        self.slugs.iter().any(|slug| slug.target.is_some())
    }

    /// The flow a bridge gives now; `None` when the program runs.
    ///
    /// It is that of the slug at the tip: its target over its concentration. A slug without a target of its own (inert, or one whose
    /// bridge was declined) flows like the next behind it that has one.
    #[must_use]
    pub fn bridge_flow(&self) -> Option<Flow> {
        self.slugs().find_map(Slug::own_flow)
    }

    /// Every slug with the flow at which it will pass the tip, from the tip on, when `program` runs after the bridge. Limits must hold
    /// for each.
    pub fn passages(&self, program: Flow) -> impl Iterator<Item = Passage<'_>> {
        self.slugs()
            .enumerate()
            .map(move |(position, slug)| Passage {
                content: &slug.content,
                volume: slug.volume,
                flow: self
                    .slugs()
                    .skip(position)
                    .find_map(Slug::own_flow)
                    .unwrap_or(program),
            })
    }

    /// What has to be delivered until the bridge ends and the program begins; zero without a bridge.
    #[must_use]
    pub fn until_bridge_end(&self) -> Volume {
        self.bridged()
            .fold(Volume::ZERO, |sum, slug| sum.saturating_add(slug.volume))
    }

    /// How long the bridge still takes if nothing stops it, rounded down by at most a microsecond a slug. For display: a bridge ends on
    /// volume, never on time.
    #[must_use]
    pub fn bridge_time_left(&self) -> Option<Duration> {
        let slugs = self.bridged().count();
        self.passages(Flow::ZERO)
            .take(slugs)
            .try_fold(Duration::ZERO, |sum, passage| {
                sum.checked_add(passage.flow.time_for(passage.volume)?)
            })
    }

    /// The slugs up to the last one with a target, from the reservoir's side.
    fn bridged(&self) -> impl Iterator<Item = &Slug> {
        self.slugs.iter().skip_while(|slug| slug.target.is_none())
    }

    /// Gives the bridge that is in force another dose: the slug whose target sets the flow now keeps this one to its end.
    ///
    /// # Errors
    /// [`PathRefusal::NoBridge`] when none is under way.
    pub fn set_target(&mut self, target: Target) -> Result<(), PathRefusal> {
        let slug = self
            .slugs
            .iter_mut()
            .rev()
            .find(|slug| slug.target.is_some())
            .ok_or(PathRefusal::NoBridge)?;
        slug.target = Some(target);
        Ok(())
    }
}

/// Why a path cannot be so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathRefusal {
    /// A path of no size, or of more than any pump has.
    Size {
        /// What was asked for.
        volume: Volume,
    },
    /// A part of the path is of no size.
    PartEmpty,
    /// More parts than are kept.
    TooManyParts,
    /// The parts hold more than the path.
    PartsTooLarge {
        /// What they hold.
        sum: Volume,
        /// What the path holds.
        volume: Volume,
    },
    /// A dose of a content without a drug.
    InertTarget,
    /// Too many changes of drug or concentration within one path volume.
    TooManyChanges {
        /// What has to be delivered until there is room for one more.
        wait: Volume,
    },
    /// No bridge is under way.
    NoBridge,
}

impl fmt::Display for PathRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { volume } => write!(
                f,
                "{volume} from reservoir to tip is not possible: more than nothing and at most {LARGEST_EXTERNAL_PATH}"
            ),
            Self::PartEmpty => f.write_str("a part of the path holds nothing: leave it out"),
            Self::TooManyParts => write!(f, "the path has too many parts: at most {MAXIMUM_SLUGS}"),
            Self::PartsTooLarge { sum, volume } => {
                write!(f, "{sum} is more than the path holds: at most {volume}")
            }
            Self::InertTarget => {
                f.write_str("a liquid without a drug has no dose: leave the dose out")
            }
            Self::TooManyChanges { wait } => write!(
                f,
                "too many changes of drug or concentration are on their way to the tip: at most {MAXIMUM_SLUGS}; there is room for one more when {wait} has been delivered"
            ),
            Self::NoBridge => f.write_str("no bridge is under way: change the dose of the program"),
        }
    }
}

impl core::error::Error for PathRefusal {}

#[cfg(test)]
mod tests;
