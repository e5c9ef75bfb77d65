//! Bridges: what is given while the old liquid still leaves the tip.
//!
//! When the drug or its concentration in the reservoir changes, the path still holds the old liquid, and the new program's flow would
//! give a wrong dose of it: at half the concentration twice the dose, for days. A bridge is one constant flow that carries a chosen
//! dose of the *old* primary drug until the old liquid has passed (clinical reference, 2.3).
//!
//! A [`Bridge`] is the plan that is shown and committed. What runs is the queue of slugs in [`Path`], each with its own [`Target`]:
//!
//! | event | what happens |
//! |---|---|
//! | change of drug or concentration | `path.change(new, Some(bridge.target()))`: a slug is appended, those before it keep their targets |
//! | delivery | `path.advance(volume)`; at the end of a slug the flow is that of the next one, after the last the program's |
//! | change of dose alone | no bridge: the program changes, the queue does not |
//! | another dose wanted during the bridge | `path.set_target(target)`, planned with [`Bridge::retarget`] |
//! | stall, stop, empty reservoir | nothing: volume is counted, not time |
//! | reset | the stored path goes on where it was |
//! | queue lost | [`flow_when_lost`] |

use core::fmt;
use core::num::NonZeroU64;

use units::{Concentration, DoseRate, Duration, Flow, Mass, Per, PumpKind, Volume};

use crate::bounds::Bounds;
use crate::path::{Content, Path, PathRefusal};

/// What the reservoir must hold beyond a bridge without a warning: seven days of the new program (docs/therapy.md, "Bridge and tip").
pub const RESERVE: Duration = Duration::from_days(7);

/// Zeptograms in a nanogram.
const NANOGRAM: u128 = 1_000_000_000_000;
/// The largest target, 10 g an hour or a day \[P\]: beyond every pump, and five bytes where it is stored.
const LARGEST_TARGET_NANOGRAMS: u64 = 10_000_000_000;

/// The dose of the primary drug that a bridge gives while a slug is at the tip: whole nanograms an hour or a day, never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    nanograms: NonZeroU64,
    per: Per,
}

impl Target {
    /// A dose as entered.
    ///
    /// # Errors
    /// [`BridgeRefusal::DoseZero`], [`BridgeRefusal::DoseTooFine`], [`BridgeRefusal::DoseTooLarge`].
    pub fn new(dose: DoseRate) -> Result<Self, BridgeRefusal> {
        let nanograms = dose
            .amount()
            .nanograms_exact()
            .ok_or(BridgeRefusal::DoseTooFine)?;
        let nanograms = NonZeroU64::new(nanograms).ok_or(BridgeRefusal::DoseZero)?;
        if nanograms.get() > LARGEST_TARGET_NANOGRAMS {
            return Err(BridgeRefusal::DoseTooLarge);
        }
        Ok(Self {
            nanograms,
            per: dose.per(),
        })
    }

    /// The dose as entered.
    #[must_use]
    pub const fn dose(self) -> DoseRate {
        DoseRate::new(Mass::from_nanograms(self.nanograms.get()), self.per)
    }

    /// The flow of a solution that carries it.
    #[must_use]
    pub fn flow(self, concentration: Concentration) -> Flow {
        self.dose().flow(concentration)
    }
}

/// How a slug stores its target: nothing is 0, else twice the nanograms, and one more when they are for a day.
pub(crate) mod optional_target {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{DoseRate, Mass, Per, Target};

    #[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
    pub fn serialize<S: Serializer>(
        target: &Option<Target>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let stored = target.map_or(0, |target| {
            // At most 35 bits.
            let twice = target.nanograms.get().saturating_mul(2);
            match target.per {
                Per::Hour => twice,
                Per::Day => twice.saturating_add(1),
            }
        });
        stored.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Target>, D::Error> {
        let stored = u64::deserialize(deserializer)?;
        if stored == 0 {
            return Ok(None);
        }
        let per = if stored & 1 == 0 { Per::Hour } else { Per::Day };
        Target::new(DoseRate::new(Mass::from_nanograms(stored / 2), per))
            .map(Some)
            .map_err(serde::de::Error::custom)
    }
}

/// Whether a change of the reservoir's content to `new` needs a bridge.
///
/// It does when the liquid that enters the path now is a solution and another one than `new`. A change of dose alone never does; nor
/// does a constant-rate pump, the rate of which cannot change, nor a path into which nothing of the old content has entered.
#[must_use]
pub fn is_bridge_needed(path: &Path, new: &Content, kind: PumpKind) -> bool {
    kind != PumpKind::ConstantRate
        && path.reservoir().primary().is_some()
        && path.rest() != Volume::ZERO
        && !path.reservoir().is_same_liquid(new)
}

/// The flow when the bridge queue is lost: the lower of the bridge's and the new program's (docs/therapy.md, "Fault table"). Nobody
/// knows which liquid is at the tip then; too little is the lesser harm of an unknown time.
#[must_use]
pub fn flow_when_lost(bridge: Flow, program: Flow) -> Flow {
    bridge.min(program)
}

/// A bridge as planned: what is shown before it is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bridge {
    target: Target,
    flow: Flow,
    volume: Volume,
    until_end: Volume,
    duration: Duration,
}

impl Bridge {
    /// Plans the bridge for a change of the reservoir's content to `new`, giving `dose` of the old primary drug.
    ///
    /// # Errors
    /// [`BridgeRefusal::NotNeeded`] when [`is_bridge_needed`] says so; [`BridgeRefusal::FlowTooLow`] and [`BridgeRefusal::FlowTooHigh`] with the doses that would be
    /// possible; [`BridgeRefusal::Path`] when the change itself is refused; the errors of [`Target::new`].
    pub fn plan(
        path: &Path,
        new: &Content,
        dose: DoseRate,
        bounds: &Bounds,
        kind: PumpKind,
    ) -> Result<Self, BridgeRefusal> {
        if !is_bridge_needed(path, new, kind) {
            return Err(BridgeRefusal::NotNeeded);
        }
        let primary = path.reservoir().primary().ok_or(BridgeRefusal::NotNeeded)?;
        let (target, flow) = checked_target(dose, primary.concentration, bounds)?;
        let mut after = path.clone();
        after
            .change(new.clone(), Some(target))
            .map_err(BridgeRefusal::Path)?;
        Self::of(&after, target, flow, path.rest())
    }

    /// Plans another dose for the slug whose target is in force: commit it with `path.set_target(bridge.target())`.
    ///
    /// # Errors
    /// [`BridgeRefusal::Path`] without a bridge; otherwise those of [`Bridge::plan`].
    pub fn retarget(path: &Path, dose: DoseRate, bounds: &Bounds) -> Result<Self, BridgeRefusal> {
        const NONE: BridgeRefusal = BridgeRefusal::Path(PathRefusal::NoBridge);
        let slug = path
            .slugs()
            .find(|slug| slug.target().is_some())
            .ok_or(NONE)?;
        let primary = slug.content().primary().ok_or(NONE)?;
        let (target, flow) = checked_target(dose, primary.concentration, bounds)?;
        let mut after = path.clone();
        after.set_target(target).map_err(BridgeRefusal::Path)?;
        Self::of(&after, target, flow, slug.volume())
    }

    fn of(after: &Path, target: Target, flow: Flow, volume: Volume) -> Result<Self, BridgeRefusal> {
        Ok(Self {
            target,
            flow,
            volume,
            until_end: after.until_bridge_end(),
            // Every flow was within the bounds of the pump, so that 4 mL never take longer than the clock.
            duration: after.bridge_time_left().unwrap_or(Duration::MAX),
        })
    }

    /// The dose of the old primary drug, to be given to [`Path::change`].
    #[must_use]
    pub const fn target(&self) -> Target {
        self.target
    }

    /// The constant flow: that dose over the old concentration.
    #[must_use]
    pub const fn flow(&self) -> Flow {
        self.flow
    }

    /// The old liquid this bridge is for.
    #[must_use]
    pub const fn volume(&self) -> Volume {
        self.volume
    }

    /// What has to be delivered until the new program begins, slugs of earlier changes included.
    #[must_use]
    pub const fn until_end(&self) -> Volume {
        self.until_end
    }

    /// How long that takes if nothing stops it; for display.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        self.duration
    }

    /// The mass of a drug that the bridge's own liquid holds.
    #[must_use]
    pub fn mass(&self, concentration: Concentration) -> Mass {
        Mass::in_volume(self.volume, concentration)
    }

    /// Whether the bridge and seven days of the new program take more than the reservoir holds: a reason to warn.
    #[must_use]
    pub fn exceeds(&self, level: Volume, program: Flow) -> bool {
        level
            .checked_sub(self.until_end)
            .and_then(|left| Flow::of_volume_over(left, RESERVE))
            .is_none_or(|lasts| program > lasts)
    }
}

/// What would happen without a bridge: the old liquid at the flow of the new program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unbridged {
    /// What leaves the tip of the old primary drug in 24 hours, rounded down; for display.
    pub per_day: Mass,
    /// How long, rounded down; for display.
    pub duration: Duration,
}

impl Unbridged {
    /// What would happen at the flow of the new program; `None` when the path holds no old drug, or nothing flows.
    #[must_use]
    pub fn of(path: &Path, program: Flow) -> Option<Self> {
        Some(Self {
            per_day: path.reservoir().primary()?.per_day_rounded_down(program)?,
            duration: program.time_for(path.rest())?,
        })
    }

    /// That dose in percent of the intended one, rounded to the nearest; `None` for an intended dose of zero. For display.
    #[must_use]
    pub fn percent_of(&self, intended: Mass) -> Option<u128> {
        let intended = intended.zeptograms();
        self.per_day
            .zeptograms()
            .checked_mul(100)?
            .checked_add(intended / 2)?
            .checked_div(intended)
    }
}

/// The target and its flow, if the pump can give it.
fn checked_target(
    dose: DoseRate,
    concentration: Concentration,
    bounds: &Bounds,
) -> Result<(Target, Flow), BridgeRefusal> {
    let target = Target::new(dose)?;
    let flow = target.flow(concentration);
    let possible = || possible_doses(concentration, dose.per(), bounds);
    if flow < bounds.lowest.flow() {
        let possible = possible();
        return Err(BridgeRefusal::FlowTooLow { flow, possible });
    }
    if flow > bounds.highest.flow() || !bounds.can_step_for(flow) {
        let possible = possible();
        return Err(BridgeRefusal::FlowTooHigh { flow, possible });
    }
    Ok((target, flow))
}

/// The lowest and the highest dose in whole nanograms that the pump can give of a solution; `None` when it can give none.
fn possible_doses(
    concentration: Concentration,
    per: Per,
    bounds: &Bounds,
) -> Option<(DoseRate, DoseRate)> {
    /// Thousandths: the motor's limit is in millihertz.
    const THOUSAND: u128 = 1_000;
    const SECONDS_A_DAY: u128 = 86_400;
    let nanograms_per_millilitre = u128::from(concentration.nanograms_per_millilitre());
    // Everything below is in thousandths of a zeptogram a day.
    let unit = NANOGRAM
        .checked_mul(THOUSAND)?
        .checked_mul(u128::from(per.times_a_day()))?;
    let thousandths = |volume: Volume| {
        u128::from(volume.femtolitres())
            .checked_mul(THOUSAND)?
            .checked_mul(nanograms_per_millilitre)
    };
    let stepped = u128::from(bounds.step_volume.femtolitres())
        .checked_mul(u128::from(bounds.binding_step_rate_millihertz()))?
        .checked_mul(SECONDS_A_DAY)?
        .checked_mul(nanograms_per_millilitre)?;
    let lowest = thousandths(bounds.lowest.per_day()?)?.div_ceil(unit);
    let highest = thousandths(bounds.highest.per_day()?)?
        .min(stepped)
        .checked_div(unit)?;
    if lowest > highest {
        return None;
    }
    let dose = |nanograms: u128| {
        let nanograms = u64::try_from(nanograms).ok()?;
        Some(DoseRate::new(Mass::from_nanograms(nanograms), per))
    };
    Some((dose(lowest)?, dose(highest)?))
}

/// Why a bridge is not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BridgeRefusal {
    /// The new liquid is the old one, or nothing of the old one is in the path, or the pump cannot change its rate.
    NotNeeded,
    /// A dose of nothing.
    DoseZero,
    /// A dose that is no whole number of nanograms.
    DoseTooFine,
    /// A dose beyond every pump.
    DoseTooLarge,
    /// This dose needs less than the pump's lowest therapeutic rate.
    FlowTooLow {
        /// What was asked for.
        flow: Flow,
        /// The lowest and the highest dose that would be possible; `None` when there is none.
        possible: Option<(DoseRate, DoseRate)>,
    },
    /// This dose needs more than the pump's highest rate, or than its motor makes.
    FlowTooHigh {
        /// What was asked for.
        flow: Flow,
        /// The lowest and the highest dose that would be possible; `None` when there is none.
        possible: Option<(DoseRate, DoseRate)>,
    },
    /// The path cannot take the change.
    Path(PathRefusal),
}

impl fmt::Display for BridgeRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNeeded => f.write_str(
                "no bridge is needed: no other drug or concentration is in the path, or the rate of the pump cannot change",
            ),
            Self::DoseZero => f.write_str(
                "the dose during the bridge is zero: it must be more than zero; to give nothing, stop the pump",
            ),
            Self::DoseTooFine => {
                f.write_str("the dose during the bridge is no whole number of nanograms")
            }
            Self::DoseTooLarge => write!(
                f,
                "the dose during the bridge is too large: at most {}",
                Mass::from_nanograms(LARGEST_TARGET_NANOGRAMS)
            ),
            Self::FlowTooLow { flow, possible } => {
                write!(f, "the dose during the bridge needs {flow}")?;
                write_possible(f, possible.as_ref())
            }
            Self::FlowTooHigh { flow, possible } => {
                write!(f, "the dose during the bridge needs {flow:#}")?;
                write_possible(f, possible.as_ref())
            }
            Self::Path(refusal) => refusal.fmt(f),
        }
    }
}

fn write_possible(
    f: &mut fmt::Formatter<'_>,
    possible: Option<&(DoseRate, DoseRate)>,
) -> fmt::Result {
    f.write_str(" of the old solution, which this pump cannot deliver: ")?;
    match possible {
        Some((lowest, highest)) => write!(f, "{lowest} to {highest} is possible"),
        None => f.write_str("no dose is possible"),
    }
}

impl core::error::Error for BridgeRefusal {}

#[cfg(test)]
mod tests;
