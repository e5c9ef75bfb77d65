//! MRI mode: delivery goes on, tones wait, and at its end the pump looks whether delivery has come back.
//!
//! The field stops the rotor, and that is no reason to stop the pump: a stop would only hide a stall that lasts \[S59\]. Supervision
//! goes on all through it; a stall in the field is found, logged and retried, and heard afterwards.
//!
//! | state | event | then |
//! |---|---|---|
//! | off | set | on |
//! | off | end, observation, reset | off |
//! | on | set | on, until the new end; tones that are deferred already are not deferred for longer ([`crate::Alarms::defer`]) |
//! | on | end | checking |
//! | on | observation before the end | on |
//! | on | observation at the end or later | checking, from there |
//! | on | reset | on |
//! | checking | set | on |
//! | checking | end | checking |
//! | checking | observation: [`MRI_CHECK_PULSES`] counted | off, [`MriOutcome::DeliveringAgain`] |
//! | checking | observation: [`MRI_CHECK_STEPS`] commanded and fewer pulses | off, [`MriOutcome::NoPulse`] |
//! | checking | any other observation | checking; a stopped pump is checked when it runs again |
//! | checking | reset | checking, from the next observation on |
//!
//! Who may set it is the caller's to check: a clinician.

use core::fmt;

use serde::{Deserialize, Serialize};
use units::{Duration, PoweredTime};

/// How long MRI mode lasts unless something else is said \[P\].
pub const MRI_DEFAULT: Duration = Duration::from_hours(1);

/// The longest MRI mode \[P\]: as long as tones may be deferred (docs/therapy.md, "Emergency, MRI").
pub const MRI_LONGEST: Duration = Duration::from_hours(2);

/// Pulses that show that delivery has come back \[P\]: more than a rotor gives that only rocks.
pub const MRI_CHECK_PULSES: i64 = 10;

/// Commanded steps within which they have to come \[P\]: as many as make a stall.
pub const MRI_CHECK_STEPS: u64 = 50;

/// Why MRI mode is not set. `Display` gives the value and what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MriRefusal {
    /// It would end as it begins.
    NoTime,
    /// It would last too long.
    TooLong {
        /// What was asked for.
        duration: Duration,
    },
}

impl fmt::Display for MriRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTime => write!(
                f,
                "MRI mode cannot last no time: more than zero and at most {MRI_LONGEST} are allowed"
            ),
            Self::TooLong { duration } => write!(
                f,
                "MRI mode cannot last {duration}: at most {MRI_LONGEST} are allowed"
            ),
        }
    }
}

impl core::error::Error for MriRefusal {}

/// What the check after MRI mode has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MriOutcome {
    /// Delivery has come back.
    DeliveringAgain,
    /// It has not: [`crate::Supervision::no_pulse_after_mri`].
    NoPulse,
}

/// Where MRI mode stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MriState {
    /// No scan.
    #[default]
    Off,
    /// A scan.
    On {
        /// When it ends by itself.
        until: PoweredTime,
    },
    /// The scan is over; whether delivery has come back is not yet known.
    Checking,
}

/// MRI mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mri {
    state: MriState,
    /// Commanded and counted when the check began; they are those of one boot.
    #[serde(skip)]
    from: Option<(u64, i64)>,
}

impl Mri {
    /// No scan.
    #[must_use]
    pub const fn off() -> Self {
        Self {
            state: MriState::Off,
            from: None,
        }
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> MriState {
        self.state
    }

    /// When it ends by itself; tones are deferred until then. `None` unless it is on.
    #[must_use]
    pub const fn until(&self) -> Option<PoweredTime> {
        match self.state {
            MriState::On { until } => Some(until),
            MriState::Off | MriState::Checking => None,
        }
    }

    /// Begins MRI mode, or gives the one that is on a new end.
    ///
    /// # Errors
    /// [`MriRefusal`]; nothing has changed then.
    pub fn set(&mut self, duration: Duration, now: PoweredTime) -> Result<(), MriRefusal> {
        if duration == Duration::ZERO {
            return Err(MriRefusal::NoTime);
        }
        if duration > MRI_LONGEST {
            return Err(MriRefusal::TooLong { duration });
        }
        *self = Self {
            state: MriState::On {
                until: now.saturating_add(duration),
            },
            from: None,
        };
        Ok(())
    }

    /// Ends MRI mode before its time. True when it was on.
    pub const fn end(&mut self) -> bool {
        let on = matches!(self.state, MriState::On { .. });
        if on {
            self.state = MriState::Checking;
        }
        on
    }

    /// Ends it when it is time, and then looks at the driver's totals, those since boot, until it is known whether delivery has come
    /// back. Call at [`Mri::until`] and with every [`crate::Observation`].
    pub fn observe(
        &mut self,
        now: PoweredTime,
        commanded: u64,
        counted: i64,
    ) -> Option<MriOutcome> {
        if self.until().is_some_and(|until| until <= now) {
            self.state = MriState::Checking;
        }
        if self.state != MriState::Checking {
            return None;
        }
        let (commanded_before, counted_before) = *self.from.get_or_insert((commanded, counted));
        let outcome = if counted.saturating_sub(counted_before) >= MRI_CHECK_PULSES {
            MriOutcome::DeliveringAgain
        } else if commanded.saturating_sub(commanded_before) >= MRI_CHECK_STEPS {
            MriOutcome::NoPulse
        } else {
            return None;
        };
        *self = Self::off();
        Some(outcome)
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    fn at(seconds: u64) -> PoweredTime {
        PoweredTime::from_micros(seconds.saturating_mul(1_000_000))
    }

    fn on() -> Mri {
        let mut mri = Mri::off();
        mri.set(MRI_DEFAULT, at(0)).unwrap();
        mri
    }

    fn checking() -> Mri {
        let mut mri = on();
        assert_eq!(mri.observe(at(3_600), 100, 100), None);
        assert_eq!(mri.state(), MriState::Checking);
        mri
    }

    #[test]
    fn it_lasts_two_hours_at_most() {
        let mut mri = Mri::default();
        let more = MRI_LONGEST.saturating_add(Duration::from_micros(1));
        for (refusal, duration, text) in [
            (
                MriRefusal::NoTime,
                Duration::ZERO,
                "MRI mode cannot last no time: more than zero and at most 2 h are allowed",
            ),
            (
                MriRefusal::TooLong { duration: more },
                more,
                "MRI mode cannot last 7200.000001 s: at most 2 h are allowed",
            ),
        ] {
            assert_eq!(mri.set(duration, at(0)), Err(refusal));
            assert_eq!(refusal.to_string(), text);
            assert_eq!(mri, Mri::off());
        }
        assert_eq!(mri.set(Duration::from_micros(1), at(0)), Ok(()));
        assert_eq!(mri.set(MRI_LONGEST, at(5)), Ok(()));
        assert_eq!(mri.until(), Some(at(7_205)));
        assert_eq!(MRI_LONGEST, crate::LONGEST_DEFERRAL);
    }

    #[test]
    fn off_it_stays_off() {
        let mut mri = Mri::off();
        assert!(!mri.end());
        for steps in [0, 1_000, 2_000] {
            assert_eq!(mri.observe(at(steps), steps, 0), None);
        }
        assert_eq!(mri, Mri::off());
        assert_eq!(mri.until(), None);
    }

    /// Requirement: TH-mri
    #[test]
    fn it_ends_by_itself_and_not_a_microsecond_before() {
        let mut mri = on();
        let before = at(3_600).saturating_sub(Duration::from_micros(1));
        // Nothing counts while it is on.
        assert_eq!(mri.observe(before, 1_000, 0), None);
        assert_eq!(mri.state(), MriState::On { until: at(3_600) });
        assert_eq!(mri.observe(at(3_600), 1_000, 0), None);
        assert_eq!(mri.state(), MriState::Checking);
        assert_eq!(mri.until(), None);
        assert_eq!(mri.observe(at(3_700), 1_049, 9), None);
        assert_eq!(
            mri.observe(at(3_701), 1_049, 10),
            Some(MriOutcome::DeliveringAgain)
        );
        assert_eq!(mri, Mri::off());
    }

    /// Requirement: TH-mri
    #[test]
    fn fifty_steps_without_ten_pulses_are_no_delivery() {
        for (pulses, outcome) in [
            (109, MriOutcome::NoPulse),
            (110, MriOutcome::DeliveringAgain),
        ] {
            let mut mri = checking();
            assert_eq!(mri.observe(at(3_650), 149, 100), None);
            assert_eq!(mri.observe(at(3_651), 150, pulses), Some(outcome));
            assert_eq!(mri, Mri::off());
        }
    }

    #[test]
    fn a_stopped_pump_is_checked_when_it_runs_again() {
        let mut mri = checking();
        assert_eq!(mri.observe(at(100_000), 100, 100), None);
        assert_eq!(
            mri.observe(at(100_060), 160, 160),
            Some(MriOutcome::DeliveringAgain)
        );
    }

    #[test]
    fn it_can_be_ended_early_and_set_again() {
        let mut mri = on();
        assert!(mri.end());
        assert!(!mri.end());
        assert_eq!(mri.state(), MriState::Checking);
        assert_eq!(mri.observe(at(10), 500, 500), None);
        mri.set(MRI_DEFAULT, at(20)).unwrap();
        assert_eq!(mri.observe(at(30), 900, 500), None, "on again");
        // The check begins where this one ends.
        assert_eq!(mri.observe(at(3_620), 3_000, 500), None);
        assert_eq!(mri.observe(at(3_650), 3_049, 500), None);
        assert_eq!(
            mri.observe(at(3_651), 3_050, 500),
            Some(MriOutcome::NoPulse)
        );
    }

    /// Requirement: TH-mri
    #[test]
    fn a_reset_forgets_neither_scan_nor_check() {
        let mut buffer = [0; 16];
        for (mri, length) in [(Mri::off(), 1), (on(), 6), (checking(), 1)] {
            let bytes = postcard::to_slice(&mri, &mut buffer).unwrap();
            assert_eq!(bytes.len(), length);
            let after: Mri = postcard::from_bytes(bytes).unwrap();
            assert_eq!(after.state(), mri.state());
            assert_eq!(after.from, None);
        }
        let longest = Mri {
            state: MriState::On {
                until: PoweredTime::MAX,
            },
            from: None,
        };
        assert_eq!(postcard::to_slice(&longest, &mut buffer).unwrap().len(), 11);
        // The totals begin anew with the boot.
        let mut buffer = [0; 16];
        let bytes = postcard::to_slice(&checking(), &mut buffer).unwrap();
        let mut after: Mri = postcard::from_bytes(bytes).unwrap();
        assert_eq!(after.observe(at(4_000), 0, 0), None);
        assert_eq!(
            after.observe(at(4_010), 12, 12),
            Some(MriOutcome::DeliveringAgain)
        );
    }
}
