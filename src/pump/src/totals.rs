//! What has been delivered over the pump's life: `counted`, `at_most`, and the deficit.
//!
//! Two totals are kept because they serve two purposes (docs/therapy.md, "Running time and truth"): `counted`, from the
//! encoder, is the proof of delivery; `at_most`, the larger of commanded and counted, is what reservoir and limits use.

use crate::event::MotorStatus;
use serde::{Deserialize, Serialize};
use therapy::Accumulator;
use units::{Flow, PumpTime, StepVolume};

/// The totals as they are kept on flash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalsRecord {
    /// Encoder pulses over the pump's life, signed steps.
    pub counted_steps: i64,
    /// Steps that can have been delivered at most over the pump's life.
    pub at_most_steps: u64,
    /// Steps prescribed and missed over the pump's life; never caught up.
    pub deficit_steps: u64,
}

/// Totals of earlier boots plus what the motor has done in this one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    before: TotalsRecord,
    deficit: u64,
    motor: MotorStatus,
}

impl Totals {
    /// Totals at the start of a boot.
    #[must_use]
    pub fn new(before: TotalsRecord) -> Self {
        Self {
            before,
            deficit: 0,
            motor: MotorStatus::default(),
        }
    }

    /// What a checkpoint can still mean after a loss of power: everything prescribed until the next one would have been
    /// written may have been delivered, and one step more.
    #[must_use]
    pub fn after_power_loss(
        checkpoint: TotalsRecord,
        flow: Flow,
        step_volume: StepVolume,
        until_next: units::Duration,
    ) -> TotalsRecord {
        let start = PumpTime::from_micros(0);
        let prescribed = Accumulator::new(flow, step_volume, start)
            .due_by(start.saturating_add(until_next))
            .saturating_add(1);
        TotalsRecord {
            at_most_steps: checkpoint.at_most_steps.saturating_add(prescribed),
            ..checkpoint
        }
    }

    /// Takes the motor's counters of this boot. Counters that went back are a driver fault and change nothing.
    pub fn update(&mut self, motor: MotorStatus) {
        let faults = motor.faults;
        if motor.commanded_steps >= self.motor.commanded_steps {
            self.motor = motor;
        }
        self.motor.faults = faults;
    }

    /// Adds steps that were prescribed and missed.
    pub fn miss(&mut self, steps: u64) {
        self.deficit = self.deficit.saturating_add(steps);
    }

    /// The totals over the pump's life, now.
    #[must_use]
    pub fn now(&self) -> TotalsRecord {
        let counted = u64::try_from(self.motor.counted_steps).unwrap_or(0);
        TotalsRecord {
            counted_steps: self
                .before
                .counted_steps
                .saturating_add(self.motor.counted_steps),
            at_most_steps: self
                .before
                .at_most_steps
                .saturating_add(self.motor.commanded_steps.max(counted)),
            deficit_steps: self.before.deficit_steps.saturating_add(self.deficit),
        }
    }
}
