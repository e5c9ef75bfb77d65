//! Primes: filling tubing and catheter at speed, once.
//!
//! # Events
//!
//! | event | what happens |
//! |---|---|
//! | prime commanded | [`Prime::plan`]: volume from the catheter record, dose from the [`Path`]; refused for the reasons of [`PrimeRefusal`] |
//! | steps counted | `path.advance(volume)` and the reservoir's account, as for any other delivery |
//! | all steps made | over; the next within 24 hours of powered time needs an override |
//! | stop, fault, reset, cancel | over for ever: [`Interrupted`] says what was delivered |
//! | completion commanded | [`Prime::complete`]: a new command, for the inert remainder only |
//!
//! The dose of a prime is what leaves the tip by the slug queue (docs/therapy.md, "Prime"): nothing on a new system, the catheter's drug
//! when only the pump is new. Ask whether the catheter was aspirated first, and tell the path ([`Path::aspirate`]).

use core::fmt;

use serde::{Deserialize, Serialize};
use units::{
    Duration, Flow, FlowRate, OverrideReason, Per, PoweredTime, PrimeKind, PumpKind, StepVolume,
    Volume,
};

use crate::bounds::Bounds;
use crate::catheter::Catheter;
use crate::path::{Path, TipDose};

/// 1 mL/h, the only rate of a prime (docs/therapy.md, "Prime").
pub const PRIME_RATE: FlowRate = FlowRate::new(Volume::from_millilitres(1), Per::Hour);
/// Within this time from start to start a second prime needs an override (clinical reference, criterion 14).
pub const PRIME_WINDOW: Duration = Duration::from_hours(24);

/// What somebody wants primed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrimeRequest {
    /// What to fill.
    pub kind: PrimeKind,
    /// The patient is disconnected; asked for an external pump only.
    pub disconnected: bool,
    /// Why a second one within 24 hours is right.
    pub override_reason: Option<OverrideReason>,
}

/// The pump that is to prime, as it is now.
#[derive(Clone, Copy, Debug)]
pub struct PrimeSituation<'a> {
    /// Its kind.
    pub kind: PumpKind,
    /// Its limits.
    pub bounds: &'a Bounds,
    /// Its catheter.
    pub catheter: &'a Catheter,
    /// What lies between its reservoir and the tip.
    pub path: &'a Path,
    /// When the last prime began, if there was one.
    pub last_start: Option<PoweredTime>,
    /// Now.
    pub now: PoweredTime,
}

/// A prime that has passed every check: whole steps at [`PRIME_RATE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prime {
    kind: PrimeKind,
    steps: u64,
    volume: Volume,
    dose: TipDose,
}

impl Prime {
    /// Plans a prime: the volume of the catheter record, down to a whole step.
    ///
    /// # Errors
    /// The first of these that applies: [`PrimeRefusal::ConstantRate`], [`PrimeRefusal::WrongCatheter`],
    /// [`PrimeRefusal::NotDisconnected`], [`PrimeRefusal::TooFast`], [`PrimeRefusal::TooMuch`], [`PrimeRefusal::TooSoon`],
    /// [`PrimeRefusal::Nothing`]. Exactly 24 hours after the last start is allowed.
    pub fn plan(
        request: PrimeRequest,
        situation: &PrimeSituation<'_>,
    ) -> Result<Self, PrimeRefusal> {
        check(situation, request.disconnected)?;
        let (volume, largest) = (
            situation.catheter.prime_volume(request.kind),
            situation.catheter.largest_path(),
        );
        // No catheter record holds more; a prime must not depend on that.
        if volume > largest {
            return Err(PrimeRefusal::TooMuch { volume, largest });
        }
        if let Some(last_start) = situation.last_start
            && request.override_reason.is_none()
        {
            let since = situation.now.saturating_since(last_start);
            if since < PRIME_WINDOW {
                return Err(PrimeRefusal::TooSoon {
                    wait: PRIME_WINDOW.saturating_sub(since),
                });
            }
        }
        Self::of(request.kind, volume, situation)
    }

    /// Plans the completion of an interrupted prime: what is missing of it, and no further than the inert contents at the tip, so that
    /// it never gives a dose. It needs no override, and takes the interrupted prime with it: a completion that is interrupted in turn
    /// is an [`Interrupted`] of its own.
    ///
    /// # Errors
    /// As [`Prime::plan`], without [`PrimeRefusal::TooSoon`] and [`PrimeRefusal::TooMuch`]; [`PrimeRefusal::Nothing`] when nothing
    /// inert is left or less than a step.
    pub fn complete(
        interrupted: Interrupted,
        disconnected: bool,
        situation: &PrimeSituation<'_>,
    ) -> Result<Self, PrimeRefusal> {
        check(situation, disconnected)?;
        let volume = interrupted.inert_remainder(situation.path);
        Self::of(interrupted.kind, volume, situation)
    }

    fn of(
        kind: PrimeKind,
        volume: Volume,
        situation: &PrimeSituation<'_>,
    ) -> Result<Self, PrimeRefusal> {
        let step: StepVolume = situation.bounds.step_volume;
        let steps = step.steps_in(volume);
        if steps == 0 {
            return Err(PrimeRefusal::Nothing);
        }
        let volume = step.volume_of(steps).ok_or(PrimeRefusal::Nothing)?;
        Ok(Self {
            kind,
            steps,
            volume,
            dose: situation.path.dose_leaving(volume),
        })
    }

    /// What it fills.
    #[must_use]
    pub const fn kind(&self) -> PrimeKind {
        self.kind
    }

    /// Its steps; never zero.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// What those displace: by so much the reservoir falls.
    #[must_use]
    pub const fn volume(&self) -> Volume {
        self.volume
    }

    /// What leaves the tip meanwhile, as plug flow: what counts as the patient's dose. Because of mixing, up to what
    /// [`Prime::drawn`] says may reach the patient early; show both.
    #[must_use]
    pub const fn dose(&self) -> &TipDose {
        &self.dose
    }

    /// What it draws from the reservoir, by drug.
    #[must_use]
    pub fn drawn(&self, path: &Path) -> TipDose {
        path.dose_entering(self.volume)
    }

    /// How long it takes, in whole microseconds rounded down.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Self::flow().time_for(self.volume).unwrap_or(Duration::MAX)
    }

    /// The flow of every prime.
    #[must_use]
    pub fn flow() -> Flow {
        PRIME_RATE.flow()
    }

    /// What is kept of it when it ends before all of its steps are made.
    #[must_use]
    pub const fn interrupted(&self, delivered: Volume) -> Interrupted {
        Interrupted {
            kind: self.kind,
            missing: self.volume.saturating_sub(delivered),
        }
    }
}

/// What does not depend on the volume.
fn check(situation: &PrimeSituation<'_>, disconnected: bool) -> Result<(), PrimeRefusal> {
    match situation.kind {
        PumpKind::ProgrammableImplant => {}
        PumpKind::ConstantRate => return Err(PrimeRefusal::ConstantRate),
        PumpKind::ExternalTrial => {
            if !disconnected {
                return Err(PrimeRefusal::NotDisconnected);
            }
        }
    }
    if !situation.catheter.fits(situation.kind) {
        return Err(PrimeRefusal::WrongCatheter);
    }
    let (flow, bounds) = (Prime::flow(), situation.bounds);
    if flow > bounds.highest.flow() || !bounds.can_step_for(flow) {
        return Err(PrimeRefusal::TooFast);
    }
    Ok(())
}

/// A prime that ended early. Only a new command completes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interrupted {
    kind: PrimeKind,
    missing: Volume,
}

impl Interrupted {
    /// What it was to fill.
    #[must_use]
    pub const fn kind(&self) -> PrimeKind {
        self.kind
    }

    /// What is missing of it.
    #[must_use]
    pub const fn missing(&self) -> Volume {
        self.missing
    }

    /// What may still be completed: what is missing, and no further than the inert contents at the tip of the path as it is now.
    #[must_use]
    pub fn inert_remainder(&self, path: &Path) -> Volume {
        self.missing.min(path.inert_at_tip())
    }
}

/// Why a prime is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrimeRefusal {
    /// A constant-rate pump has one rate.
    ConstantRate,
    /// The catheter record is that of another kind of pump.
    WrongCatheter,
    /// The patient is connected to an external pump.
    NotDisconnected,
    /// The pump cannot deliver 1 mL/h.
    TooFast,
    /// More than one prime may fill.
    TooMuch {
        /// What was asked for.
        volume: Volume,
        /// What is allowed at most.
        largest: Volume,
    },
    /// The last prime began less than 24 hours ago.
    TooSoon {
        /// How long still.
        wait: Duration,
    },
    /// Less than one step is left to be filled.
    Nothing,
}

impl fmt::Display for PrimeRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConstantRate => f.write_str("a constant-rate pump cannot prime: it has one rate"),
            Self::WrongCatheter => f.write_str(
                "the catheter record is that of another kind of pump: record the catheter of this one",
            ),
            Self::NotDisconnected => {
                f.write_str("the patient is connected: disconnect the line before a prime")
            }
            Self::TooFast => write!(f, "this pump cannot deliver {PRIME_RATE}, the rate of a prime"),
            Self::TooMuch { volume, largest } => {
                write!(f, "a prime of {volume} is too much: at most {largest}")
            }
            Self::TooSoon { wait } => write!(
                f,
                "the last prime began less than 24 hours ago: wait {wait}, or override with a reason"
            ),
            Self::Nothing => f.write_str("nothing is left to prime"),
        }
    }
}

impl core::error::Error for PrimeRefusal {}

#[cfg(test)]
mod tests;
