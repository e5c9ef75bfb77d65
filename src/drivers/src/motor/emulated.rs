//! The emulated motor: the driver's own core with a modelled rotor, as an object.
//!
//! The same C code runs behind the Zephyr driver on `native_sim`. Time moves only by the `now` of a call; a call does
//! everything that was due by then, in order and at its own time.

use units::{Duration, PumpTime};

use super::{Allowance, DriveLevel, MotorError, MotorStatus, Order, motor_result, whole_seconds};
use crate::bindings;

/// How C says that an event will not come: the last time there is (bindgen cannot read the macro's 64 bits).
const NEVER: u64 = u64::MAX;

/// The motor's electrical bounds, which the device tree holds on a real pump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MotorConfiguration {
    /// Length of a pulse, microseconds.
    pub phase_time_us: u32,
    /// Most steps in a second.
    pub maximum_step_rate: u32,
    /// Most steps in any rolling `ceiling_window_ms`.
    pub ceiling_steps: u32,
    /// Length of that window, milliseconds.
    pub ceiling_window_ms: u32,
    /// Steps for one encoder pulse.
    pub steps_per_encoder_pulse: u32,
}

impl MotorConfiguration {
    /// The programmable implant, with the numbers of boards/native_sim_native_64.overlay.
    ///
    /// 24 mL/day at 2.5 nL a step is 111.1 steps/s (clinical.md 2.10) and 400,000 steps an hour. 200 steps/s leaves room
    /// for 10 % of calibration and for overdue steps; the ceiling is 24 mL/day plus 10 % for calibration \[P\]. The pulse
    /// of 3 ms is what a Lavet motor of a watch takes \[GK\].
    pub const PROGRAMMABLE_IMPLANT: Self = Self {
        phase_time_us: 3_000,
        maximum_step_rate: 200,
        ceiling_steps: 440_000,
        ceiling_window_ms: 3_600_000,
        steps_per_encoder_pulse: 1,
    };

    /// How long a pulse lasts on a level, microseconds.
    #[must_use]
    pub fn pulse_us(&self, level: DriveLevel) -> u32 {
        let bounds = self.to_c();
        // SAFETY: a live structure of bindgen's layout, which C only reads.
        unsafe {
            bindings::thecal_motor_core_pulse_us(&raw const bounds, u32::from(level.number()))
        }
    }

    fn to_c(self) -> bindings::thecal_motor_config {
        bindings::thecal_motor_config {
            phase_time_us: self.phase_time_us,
            maximum_step_rate: self.maximum_step_rate,
            ceiling_steps: self.ceiling_steps,
            ceiling_window_ms: self.ceiling_window_ms,
            steps_per_encoder_pulse: self.steps_per_encoder_pulse,
        }
    }
}

/// What the rotor is like; every field 0 or false but `minimum_pulse_us` is a faultless one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotorParameters {
    /// Where chance starts: the same seed gives the same run. Looked at by [`EmulatedMotor::new`] alone.
    pub seed: u64,
    /// Shorter pulses do not turn it, microseconds.
    pub minimum_pulse_us: u32,
    /// It does not turn at all.
    pub stalled: bool,
    /// It turns backward.
    pub reversed: bool,
    /// One pulse in so many fails to turn it, by chance (and the next, of the wrong phase then, with it); 0: none.
    pub slip_one_in: u32,
    /// One encoder pulse in so many is never seen, by chance; 0: none.
    pub lost_pulse_one_in: u32,
    /// One step in so many is followed by two more, by chance; 0: none.
    pub extra_one_in: u32,
    /// One encoder pulse in so many is seen twice, by chance; 0: none.
    pub double_pulse_one_in: u32,
    /// It is jammed, and gives way to pulses of this level and above; [`None`]: it is not.
    pub jammed_below: Option<DriveLevel>,
    /// It runs by itself, two steps every so many microseconds; 0: it does not.
    pub runaway_period_us: u64,
}

impl RotorParameters {
    /// A faultless rotor that needs 2 ms of current \[GK\].
    #[must_use]
    pub const fn faultless(seed: u64) -> Self {
        Self {
            seed,
            minimum_pulse_us: 2_000,
            stalled: false,
            reversed: false,
            slip_one_in: 0,
            lost_pulse_one_in: 0,
            extra_one_in: 0,
            double_pulse_one_in: 0,
            jammed_below: None,
            runaway_period_us: 0,
        }
    }

    fn to_c(self, configuration: &MotorConfiguration) -> bindings::thecal_rotor_parameters {
        // To a rotor, a level is nothing but the length of its pulses.
        let to_give_way = self
            .jammed_below
            .map_or(0, |level| configuration.pulse_us(level));
        bindings::thecal_rotor_parameters {
            seed: self.seed,
            runaway_period_us: self.runaway_period_us,
            minimum_pulse_us: self.minimum_pulse_us.max(to_give_way),
            steps_per_encoder_pulse: configuration.steps_per_encoder_pulse,
            slip_one_in: self.slip_one_in,
            lost_pulse_one_in: self.lost_pulse_one_in,
            extra_one_in: self.extra_one_in,
            double_pulse_one_in: self.double_pulse_one_in,
            stalled: u8::from(self.stalled),
            reversed: u8::from(self.reversed),
            reserved: [0; 6],
        }
    }
}

/// The driver's core, its interlock, a rotor and an encoder: everything of the motor but the hardware.
///
/// It is plain data: it can be moved, cloned to try something out, and compared.
#[derive(Clone, Debug)]
pub struct EmulatedMotor {
    configuration: MotorConfiguration,
    raw: bindings::thecal_motor_emulated,
}

impl EmulatedMotor {
    /// Boots a motor with a new rotor; its interlock is open with the configured ceiling, and not armed.
    ///
    /// # Errors
    ///
    /// [`MotorError::Invalid`] if a bound is 0 or a pulse does not fit into the shortest step interval.
    pub fn new(
        configuration: &MotorConfiguration,
        rotor: &RotorParameters,
        now: PumpTime,
    ) -> Result<Self, MotorError> {
        let mut raw = bindings::thecal_motor_emulated::default();
        let bounds = configuration.to_c();
        let parameters = rotor.to_c(configuration);
        // SAFETY: three references to live structures of bindgen's layout; C keeps none of them.
        let answer = unsafe {
            bindings::thecal_motor_emulated_init(
                &raw mut raw,
                &raw const bounds,
                &raw const parameters,
                now.micros(),
            )
        };
        motor_result(answer)?;
        Ok(Self {
            configuration: *configuration,
            raw,
        })
    }

    /// Boots again with the rotor that is there, after a loss of power: orders, totals and the interlock's account are lost,
    /// the rotor's angle is not. `now` may be
    /// anything: a boot starts the pump's clock again.
    ///
    /// The first pulse after a boot is of phase A. A rotor that stands where A pulls it does not turn: one step is
    /// commanded and not counted, as on the real motor.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn reboot(&mut self, now: PumpTime) -> Result<(), MotorError> {
        // SAFETY: a live structure that thecal_motor_emulated_init() has made.
        motor_result(unsafe {
            bindings::thecal_motor_emulated_reboot(&raw mut self.raw, now.micros())
        })
    }

    /// Boots again as [`Self::reboot`] does, but with power all the time: the interlock goes on with its account of steps,
    /// allowances and grants. With nothing if it was not armed, or its words disagree.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn restart(&mut self, now: PumpTime) -> Result<(), MotorError> {
        // SAFETY: a live structure that thecal_motor_emulated_init() has made.
        motor_result(unsafe {
            bindings::thecal_motor_emulated_restart(&raw mut self.raw, now.micros())
        })
    }

    /// Arms the interlock with what the prescription in force needs: at every boot, and with every new one.
    ///
    /// # Errors
    ///
    /// [`MotorError::Invalid`] if the day's allowance is less than the hour's, [`MotorError::Closed`] if the interlock is.
    pub fn arm(&mut self, now: PumpTime, allowance: Allowance) -> Result<(), MotorError> {
        // SAFETY: a live structure that thecal_motor_emulated_init() has made.
        motor_result(unsafe {
            bindings::thecal_motor_emulated_arm(
                &raw mut self.raw,
                now.micros(),
                allowance.hour_steps,
                allowance.day_steps,
            )
        })
    }

    /// Allows the steps of one authorised bolus or prime beside the allowance, until those made `within` the time given
    /// have left the windows.
    ///
    /// # Errors
    ///
    /// [`MotorError::Busy`] if too many are in force, [`MotorError::Invalid`] for no steps or more than
    /// [`LONGEST_GRANT`](super::LONGEST_GRANT), [`MotorError::NotArmed`], [`MotorError::Closed`].
    pub fn grant(&mut self, now: PumpTime, steps: u32, within: Duration) -> Result<(), MotorError> {
        // SAFETY: a live structure that thecal_motor_emulated_init() has made.
        motor_result(unsafe {
            bindings::thecal_motor_emulated_grant(
                &raw mut self.raw,
                now.micros(),
                steps,
                whole_seconds(within),
            )
        })
    }

    /// Hands over an order.
    ///
    /// # Errors
    ///
    /// [`MotorError`] but `Absent`; nothing has changed then.
    pub fn submit(&mut self, now: PumpTime, order: &Order) -> Result<(), MotorError> {
        let order = order.to_c();
        // SAFETY: live structures, the motor made by thecal_motor_emulated_init(); C copies the order.
        motor_result(unsafe {
            bindings::thecal_motor_emulated_submit(
                &raw mut self.raw,
                now.micros(),
                &raw const order,
            )
        })
    }

    /// Drops all orders and says how many steps of them were really made. A pulse that has begun is finished.
    pub fn cancel(&mut self, now: PumpTime) -> u32 {
        // SAFETY: a live structure that thecal_motor_emulated_init() has made.
        unsafe { bindings::thecal_motor_emulated_cancel(&raw mut self.raw, now.micros()) }
    }

    /// Cuts the current and closes the interlock until [`Self::reboot`].
    pub fn off(&mut self, now: PumpTime) {
        // SAFETY: a live structure that thecal_motor_emulated_init() has made.
        unsafe { bindings::thecal_motor_emulated_off(&raw mut self.raw, now.micros()) }
    }

    /// Runs everything that is due by `now`.
    pub fn advance_to(&mut self, now: PumpTime) {
        // SAFETY: a live structure that thecal_motor_emulated_init() has made.
        unsafe { bindings::thecal_motor_emulated_advance_to(&raw mut self.raw, now.micros()) }
    }

    /// Runs everything that is due by `now` and tells what was done since boot.
    pub fn status(&mut self, now: PumpTime) -> MotorStatus {
        let mut status = bindings::thecal_motor_status::default();
        // SAFETY: live structures, the motor made by thecal_motor_emulated_init(); C writes the status and keeps none.
        unsafe {
            bindings::thecal_motor_emulated_status(
                &raw mut self.raw,
                now.micros(),
                &raw mut status,
            );
        }
        MotorStatus::from_c(&status)
    }

    /// When something next happens by itself: a pulse begins or ends, or the rotor runs by itself. `None` if nothing
    /// will.
    #[must_use]
    pub fn next_event(&self) -> Option<PumpTime> {
        // SAFETY: a live structure that thecal_motor_emulated_init() has made; it is only read.
        let time = unsafe { bindings::thecal_motor_emulated_next_event_us(&raw const self.raw) };
        (time != NEVER).then_some(PumpTime::from_micros(time))
    }

    /// When the running order will have ended with its last pulse: the one wake-up an order needs. `None` without one.
    /// Always later than the last `now`.
    #[must_use]
    pub fn order_end(&self) -> Option<PumpTime> {
        // SAFETY: a live structure that thecal_motor_emulated_init() has made; it is only read.
        let time = unsafe { bindings::thecal_motor_emulated_order_end_us(&raw const self.raw) };
        (time != NEVER).then_some(PumpTime::from_micros(time))
    }

    /// Runs everything that is due by `now` and changes what the rotor is like from then on.
    pub fn change_rotor(&mut self, now: PumpTime, rotor: &RotorParameters) {
        let parameters = rotor.to_c(&self.configuration);
        // SAFETY: live structures, the motor made by thecal_motor_emulated_init(); C copies the parameters.
        unsafe {
            bindings::thecal_motor_emulated_change_rotor(
                &raw mut self.raw,
                now.micros(),
                &raw const parameters,
            );
        }
    }

    /// Steps the rotor has really turned since [`Self::new`], forward minus backward, over all boots: the physical truth
    /// that no driver or encoder fault touches.
    #[must_use]
    pub fn turned_steps(&self) -> i64 {
        // SAFETY: a live structure that thecal_motor_emulated_init() has made; it is only read.
        unsafe { bindings::thecal_motor_emulated_position(&raw const self.raw) }
    }
}

#[cfg(test)]
#[path = "emulated_tests.rs"]
mod tests;
