//! What the motor has done since boot.

use units::PumpTime;

use crate::bindings;

/// State of the gate in C that counts steps for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interlock {
    /// Not opened since boot: no step.
    Closed,
    /// Steps are made up to the ceilings, if it is armed as well.
    Open,
    /// A stored word was damaged, or there were to be more steps than allowed: no step until the next boot.
    Tripped,
    /// The motor was switched off: no step until the next boot.
    Off,
}

impl Interlock {
    /// A number that C is not known to give is doubt, and doubt is closed for good.
    fn from_c(number: u16) -> Self {
        match u32::from(number) {
            bindings::THECAL_INTERLOCK_CLOSED => Self::Closed,
            bindings::THECAL_INTERLOCK_OPEN => Self::Open,
            bindings::THECAL_INTERLOCK_OFF => Self::Off,
            bindings::THECAL_INTERLOCK_TRIPPED..=u32::MAX => Self::Tripped,
        }
    }
}

/// Faults of the motor layer, latched until the next boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults(u16);

impl Faults {
    /// A step of an accepted order met the hard ceiling: the orders were dropped.
    pub const CEILING: Self = Self::from_flag(bindings::THECAL_MOTOR_FAULT_CEILING);
    /// The interlock tripped.
    pub const INTERLOCK: Self = Self::from_flag(bindings::THECAL_MOTOR_FAULT_INTERLOCK);
    /// Both encoder lines changed at once: a pulse of unknown direction was not counted.
    pub const ENCODER: Self = Self::from_flag(bindings::THECAL_MOTOR_FAULT_ENCODER);
    /// The hardware's encoder counter was full: pulses were lost.
    pub const ENCODER_FULL: Self = Self::from_flag(bindings::THECAL_MOTOR_FAULT_ENCODER_FULL);
    /// A step began more than 5 ms after its time.
    pub const LATE: Self = Self::from_flag(bindings::THECAL_MOTOR_FAULT_LATE);
    /// The step hardware made another number of steps than was ordered.
    pub const HARDWARE: Self = Self::from_flag(bindings::THECAL_MOTOR_FAULT_HARDWARE);
    /// A step of an accepted order met the armed allowance: the orders were dropped, and the interlock has tripped.
    pub const ALLOWANCE: Self = Self::from_flag(bindings::THECAL_MOTOR_FAULT_ALLOWANCE);

    #[allow(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        reason = "no conversion in const otherwise; the flags are 16 bits, asserted"
    )]
    const fn from_flag(flag: u32) -> Self {
        assert!(flag <= 0xFFFF, "a fault flag has 16 bits");
        Self(flag as u16)
    }

    /// The flags as motor.h numbers them.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether no fault is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and those.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The order that runs, or waits for its first step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunningOrder {
    /// Its identifier.
    pub id: u32,
    /// Steps still to be made.
    pub steps_left: u32,
}

/// The order that ended last: completed, cancelled or dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedOrder {
    /// Its identifier.
    pub id: u32,
    /// Steps really made of it.
    pub steps: u32,
}

/// What the motor has done since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MotorStatus {
    /// When this was true.
    pub at: PumpTime,
    /// Steps begun since boot.
    pub commanded_steps: u64,
    /// Encoder pulses since boot, forward minus backward.
    pub counted_pulses: i64,
    /// Steps for one encoder pulse.
    pub steps_per_encoder_pulse: u32,
    /// Orders that ended since boot.
    pub orders_ended: u32,
    /// Orders held: the running one and the next.
    pub orders_held: u16,
    /// The order that runs.
    pub running: Option<RunningOrder>,
    /// The order that ended last; of a cancel the one that was running.
    pub last: Option<EndedOrder>,
    /// The gate that counts steps for itself.
    pub interlock: Interlock,
    /// Whether the interlock has an allowance: it was armed, or it has gone on with one that survived a reset.
    pub armed: bool,
    /// Latched faults.
    pub faults: Faults,
}

impl MotorStatus {
    /// Steps the encoder saw since boot, forward minus backward; exact to one encoder pulse.
    #[must_use]
    pub const fn counted_steps(&self) -> i64 {
        #[allow(clippy::as_conversions, reason = "widens; i64::from is not const")]
        let steps_per_pulse = self.steps_per_encoder_pulse as i64;
        self.counted_pulses.saturating_mul(steps_per_pulse)
    }

    /// How many more orders the motor takes now.
    #[must_use]
    pub fn room(&self) -> u32 {
        bindings::THECAL_MOTOR_ORDERS.saturating_sub(u32::from(self.orders_held))
    }

    pub(crate) fn from_c(status: &bindings::thecal_motor_status) -> Self {
        Self {
            at: PumpTime::from_micros(status.at_us),
            commanded_steps: status.commanded_steps,
            counted_pulses: status.counted_pulses,
            steps_per_encoder_pulse: status.steps_per_encoder_pulse,
            orders_ended: status.orders_ended,
            orders_held: status.orders_held,
            running: (status.orders_held != 0).then_some(RunningOrder {
                id: status.running_order,
                steps_left: status.steps_left,
            }),
            last: (status.orders_ended != 0).then_some(EndedOrder {
                id: status.last_order,
                steps: status.last_order_steps,
            }),
            interlock: Interlock::from_c(status.interlock),
            armed: status.armed != 0,
            faults: Faults(status.faults),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_interlock_number_is_tripped() {
        assert_eq!(Interlock::from_c(0), Interlock::Closed);
        assert_eq!(Interlock::from_c(1), Interlock::Open);
        assert_eq!(Interlock::from_c(2), Interlock::Tripped);
        assert_eq!(Interlock::from_c(3), Interlock::Off);
        assert_eq!(Interlock::from_c(4), Interlock::Tripped);
        assert_eq!(Interlock::from_c(u16::MAX), Interlock::Tripped);
    }

    #[test]
    fn a_status_without_orders_names_none() {
        let mut raw = bindings::thecal_motor_status {
            running_order: 7,
            steps_left: 9,
            last_order: 5,
            last_order_steps: 3,
            steps_per_encoder_pulse: 4,
            counted_pulses: -6,
            ..Default::default()
        };
        let status = MotorStatus::from_c(&raw);
        assert_eq!(status.running, None);
        assert_eq!(status.last, None);
        assert!(!status.armed);
        assert_eq!(status.counted_steps(), -24);
        assert_eq!(status.room(), 2);

        raw.orders_held = 2;
        raw.orders_ended = 1;
        raw.armed = 1;
        let status = MotorStatus::from_c(&raw);
        assert_eq!(
            status.running,
            Some(RunningOrder {
                id: 7,
                steps_left: 9
            })
        );
        assert_eq!(status.last, Some(EndedOrder { id: 5, steps: 3 }));
        assert_eq!(status.room(), 0);
        assert!(status.armed);
    }

    #[test]
    fn the_flags_are_those_of_the_header() {
        let all = [
            Faults::CEILING,
            Faults::INTERLOCK,
            Faults::ENCODER,
            Faults::ENCODER_FULL,
            Faults::LATE,
            Faults::HARDWARE,
            Faults::ALLOWANCE,
        ];
        for (index, fault) in all.into_iter().enumerate() {
            assert_eq!(fault.bits(), 1 << index);
            assert!(Faults(0xFFFF).contains(fault));
            assert!(!Faults::default().contains(fault));
        }
    }
}
