//! What has been delivered over the pump's life: `counted`, `at_most`, and the deficit; and how that survives a reset.
//!
//! Two totals are kept because they serve two purposes (docs/therapy.md, "Running time and truth"): `counted`, from the
//! encoder, is the proof of delivery; `at_most`, the larger of commanded and counted, is what reservoir and limits use.
//!
//! After a reset the truth lies between them. What is known depends on what is left:
//!
//! | left | counted | at most |
//! |---|---|---|
//! | what was retained (a reset without loss of power) | as last counted | every step handed to the motor before the reset, and one |
//! | the last checkpoint | as of then | as of then, and every step prescribed until the next but one would have been written, and one |
//! | nothing | 0 | 0: the reservoir's content is unknown, and a fault says so |

use crate::event::MotorStatus;
use serde::{Deserialize, Serialize};
use therapy::Accumulator;
use units::{Clock, Duration, Flow, PumpTime, StepVolume};

/// Largest encoded [`Retained`], bytes; the retained memory of every board holds as much.
pub const RETAINED_BYTES: usize = 96;

/// The totals as they are kept on flash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Kept", from = "Kept")]
pub struct TotalsRecord {
    /// Encoder pulses over the pump's life, signed steps.
    pub counted_steps: i64,
    /// Steps that can have been delivered at most over the pump's life.
    pub at_most_steps: u64,
    /// Steps prescribed and missed over the pump's life; never caught up.
    pub deficit_steps: u64,
    /// Time with power over the pump's life that is certain, s.
    pub powered_s: u64,
    /// Steps that the flow in force makes at most until this is certainly superseded ([`UNTIL_SUPERSEDED`]).
    pub ahead_steps: u64,
}

/// [`TotalsRecord`] as it is written: the two totals are close to each other, and the difference takes less room.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Kept {
    at_most_steps: u64,
    at_most_less_counted: i64,
    deficit_steps: u64,
    powered_s: u64,
    ahead_steps: u64,
}

impl From<TotalsRecord> for Kept {
    fn from(totals: TotalsRecord) -> Self {
        Self {
            at_most_steps: totals.at_most_steps,
            // Two's complement: exact for any two numbers, and undone below.
            at_most_less_counted: totals
                .at_most_steps
                .cast_signed()
                .wrapping_sub(totals.counted_steps),
            deficit_steps: totals.deficit_steps,
            powered_s: totals.powered_s,
            ahead_steps: totals.ahead_steps,
        }
    }
}

impl From<Kept> for TotalsRecord {
    fn from(kept: Kept) -> Self {
        Self {
            counted_steps: kept
                .at_most_steps
                .cast_signed()
                .wrapping_sub(kept.at_most_less_counted),
            at_most_steps: kept.at_most_steps,
            deficit_steps: kept.deficit_steps,
            powered_s: kept.powered_s,
            ahead_steps: kept.ahead_steps,
        }
    }
}

/// How long a checkpoint may have to stand for: twice the interval, because the one behind it can have become unreadable or have been tried in
/// vain, and the journal's time.
pub const UNTIL_SUPERSEDED: Duration = Duration::from_seconds(125);
/// First byte of what is retained; another number, another layout: an image of another version may have written it.
const RETAINED_VERSION: u8 = 1;

/// Where the totals of earlier boots came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TotalsSource {
    /// There were none: a new pump.
    #[default]
    New,
    /// What was retained over a reset without loss of power.
    Retained,
    /// The last checkpoint on flash.
    Checkpoint,
    /// They are lost.
    Lost,
}

/// What survives a reset of the processor in RAM, but not a loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retained {
    /// The boot that wrote it.
    pub boot: u32,
    /// The totals; `at_most_steps` with every step that was handed to the motor by then, and one more for a pulse on its way.
    pub totals: TotalsRecord,
    /// The time of day.
    pub clock: Clock,
    /// The totals count from this boot on, because those before were lost.
    pub relative: bool,
    /// [`crate::LatchedRecord::interlock_tripped`]: flash may not have been told in time.
    pub interlock_tripped: bool,
}

impl Retained {
    /// Writes it; the part of the buffer used, `None` if it were too small.
    #[must_use]
    pub fn encode<'a>(&self, buffer: &'a mut [u8; RETAINED_BYTES]) -> Option<&'a [u8]> {
        let written = postcard::to_slice(&(RETAINED_VERSION, self), buffer);
        written.ok().map(|used| &*used)
    }

    /// Reads it; `None` for anything else. That the bytes are those that were written, a CRC below has shown.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match postcard::take_from_bytes(bytes) {
            Ok(((RETAINED_VERSION, retained), [])) => Some(retained),
            Ok((_, _)) | Err(_) => None,
        }
    }
}

/// Totals of earlier boots plus what the motor has done in this one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    before: TotalsRecord,
    deficit: u64,
    motor: MotorStatus,
    /// Steps handed to the motor in this boot, less those that it refused or dropped.
    ordered: u64,
    /// Steps handed to it when it was told to drop what it holds, until it has said what it had made by then.
    cancelled: Option<u64>,
}

impl Totals {
    /// Totals at the start of a boot.
    #[must_use]
    pub fn new(before: TotalsRecord) -> Self {
        Self {
            before,
            ..Self::default()
        }
    }

    /// What a checkpoint can still mean after a loss of power: everything that the flow in force then, or the one that is in force
    /// now, has prescribed until the next one is certain may have been delivered, and one step more.
    #[must_use]
    pub fn after_power_loss(
        checkpoint: TotalsRecord,
        flow: Flow,
        step_volume: StepVolume,
    ) -> TotalsRecord {
        let ahead = checkpoint
            .ahead_steps
            .max(Self::ahead(flow, step_volume))
            .saturating_add(1);
        TotalsRecord {
            at_most_steps: checkpoint.at_most_steps.saturating_add(ahead),
            ..checkpoint
        }
    }

    /// Steps that a flow prescribes while a checkpoint may have to stand.
    #[must_use]
    pub fn ahead(flow: Flow, step_volume: StepVolume) -> u64 {
        let start = PumpTime::ZERO;
        Accumulator::new(flow, step_volume, start).due_by(start.saturating_add(UNTIL_SUPERSEDED))
    }

    /// These and what was delivered in a boot that did not know them.
    #[must_use]
    pub fn with_boot(before: TotalsRecord, boot: TotalsRecord) -> TotalsRecord {
        TotalsRecord {
            counted_steps: before.counted_steps.saturating_add(boot.counted_steps),
            at_most_steps: before.at_most_steps.saturating_add(boot.at_most_steps),
            deficit_steps: before.deficit_steps.saturating_add(boot.deficit_steps),
            powered_s: before.powered_s.saturating_add(boot.powered_s),
            ahead_steps: before.ahead_steps.max(boot.ahead_steps),
        }
    }

    /// Time with power before this boot that is certain, s.
    #[must_use]
    pub const fn powered_before_s(&self) -> u64 {
        self.before.powered_s
    }

    /// Takes the motor's counters of this boot. Counters that went back are a driver fault, change nothing, and give false.
    pub fn update(&mut self, motor: MotorStatus) -> bool {
        let faults = motor.faults;
        let forward = motor.commanded_steps >= self.motor.commanded_steps;
        if forward {
            self.motor = motor;
            if let Some(ordered) = self.cancelled.take() {
                // What was handed over by then and not made was dropped, but for a step that had begun.
                let dropped = ordered.saturating_sub(motor.commanded_steps.saturating_add(1));
                self.ordered = self.ordered.saturating_sub(dropped);
            }
        }
        self.motor.faults = faults;
        forward
    }

    /// Steps were handed to the motor.
    pub fn order(&mut self, steps: u32) {
        self.ordered = self.ordered.saturating_add(u64::from(steps));
    }

    /// The motor did not take steps that were counted as handed to it.
    pub fn refuse(&mut self, steps: u32) {
        self.ordered = self.ordered.saturating_sub(u64::from(steps));
    }

    /// The motor is told to drop what it holds. How many of the steps it has made by then, it says next.
    pub fn cancel(&mut self) {
        self.cancelled = Some(self.ordered);
    }

    /// Adds steps that were prescribed and missed.
    pub fn miss(&mut self, steps: u64) {
        self.deficit = self.deficit.saturating_add(steps);
    }

    /// The totals over the pump's life, now.
    #[must_use]
    pub fn now(&self, time: PumpTime) -> TotalsRecord {
        self.with(self.motor.commanded_steps, time)
    }

    /// The totals as a reset at any later moment can leave them, until something else is ordered.
    #[must_use]
    pub fn if_reset(&self, time: PumpTime) -> TotalsRecord {
        let commanded = self.motor.commanded_steps.max(self.ordered);
        self.with(commanded.saturating_add(1), time)
    }

    fn with(&self, commanded: u64, time: PumpTime) -> TotalsRecord {
        let counted = u64::try_from(self.motor.counted_steps).unwrap_or(0);
        TotalsRecord {
            counted_steps: self
                .before
                .counted_steps
                .saturating_add(self.motor.counted_steps),
            at_most_steps: self
                .before
                .at_most_steps
                .saturating_add(commanded.max(counted)),
            deficit_steps: self.before.deficit_steps.saturating_add(self.deficit),
            powered_s: self
                .before
                .powered_s
                .saturating_add(time.micros() / 1_000_000),
            ahead_steps: 0,
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use units::WallTime;

    fn motor(commanded_steps: u64, counted_steps: i64) -> MotorStatus {
        MotorStatus {
            commanded_steps,
            counted_steps,
            ..MotorStatus::default()
        }
    }

    #[test]
    fn the_longest_that_is_retained_fits() {
        let retained = Retained {
            boot: u32::MAX,
            totals: TotalsRecord {
                counted_steps: i64::MIN,
                at_most_steps: u64::MAX,
                deficit_steps: u64::MAX,
                powered_s: u64::MAX,
                ahead_steps: u64::MAX,
            },
            clock: Clock::Known {
                wall: WallTime::from_millis(u64::MAX),
                uncertainty: Duration::MAX,
            },
            relative: true,
            interlock_tripped: true,
        };
        let mut buffer = [0; RETAINED_BYTES];
        let bytes = retained.encode(&mut buffer).unwrap();
        assert_eq!(Retained::decode(bytes), Some(retained));
        let longer = [bytes, &[0]].concat();
        assert_eq!(Retained::decode(&longer), None);
        assert_eq!(Retained::decode(&bytes[1..bytes.len() - 1]), None);
    }

    #[test]
    fn what_a_reset_leaves_holds_every_step_handed_over() {
        let time = PumpTime::from_micros(90_500_000);
        let mut totals = Totals::new(TotalsRecord {
            counted_steps: 1_000,
            at_most_steps: 1_010,
            deficit_steps: 3,
            powered_s: 7,
            ahead_steps: 99,
        });
        totals.order(60);
        totals.update(motor(20, 19));
        assert_eq!(
            totals.now(time),
            TotalsRecord {
                counted_steps: 1_019,
                at_most_steps: 1_030,
                deficit_steps: 3,
                powered_s: 97,
                ahead_steps: 0,
            }
        );
        assert_eq!(totals.if_reset(time).at_most_steps, 1_010 + 61);
        assert_eq!(totals.if_reset(time).counted_steps, 1_019);
        totals.refuse(10);
        assert_eq!(totals.if_reset(time).at_most_steps, 1_010 + 51);
        // Nobody knows yet how many of them were made: all can have been.
        totals.cancel();
        totals.order(5);
        assert_eq!(totals.if_reset(time).at_most_steps, 1_010 + 56);
        assert!(totals.update(motor(29, 29)));
        // Of 50 ordered before, 29 were made and one may be under way; and five after.
        assert_eq!(totals.if_reset(time).at_most_steps, 1_010 + 36);
        assert!(!totals.update(motor(28, 28)), "counters went back");
        assert!(totals.update(motor(70, 90)));
        assert_eq!(totals.if_reset(time).at_most_steps, 1_010 + 90);
    }

    proptest! {
        #[test]
        fn totals_come_back_exactly(
            counted_steps: i64, at_most_steps: u64, deficit_steps: u64, powered_s: u64, ahead_steps: u64,
        ) {
            let totals = TotalsRecord { counted_steps, at_most_steps, deficit_steps, powered_s, ahead_steps };
            let mut buffer = [0; 60];
            let bytes = postcard::to_slice(&totals, &mut buffer).unwrap();
            prop_assert_eq!(postcard::from_bytes::<TotalsRecord>(bytes), Ok(totals));
        }
    }
}
