//! The service life: replacement due (ERI), replace now, end of service (EOS).
//!
//! | number | source |
//! |---|---|
//! | 7 years of 365 days, then it stops | \[S12\] clinical reference 1.13 |
//! | from ERI 90 days, then it stops | \[S12\] clinical reference 1.13 |
//! | replace by EOS - 14 days | \[P\] clinical reference 2.13 |
//! | ERI below 2.6 V, collapse below 2.4 V, of a 3 V cell | \[P\] |
//! | three readings in a row | \[P\] |
//! | 72 h after a collapse it stops | \[P\] |
//!
//! | in | 3 readings below 2.6 V | 3 readings below 2.4 V | life - 90 days | EOS - 14 days | EOS |
//! |---|---|---|---|---|---|
//! | normal | ERI | replace now, shortened | ERI | | |
//! | ERI | | replace now, shortened | | replace now | end of service |
//! | replace now | | shortened, if that is earlier | | | end of service |
//! | end of service | | | | | |
//!
//! It never goes back: a battery that recovers, a clock behind its last checkpoint and a reset leave it as it is. EOS is the earliest of
//! ERI + 90 days, commissioning + life and collapse + 72 h; a collapse may take from the 14 days between "replace now" and the end, and
//! says so. All of this runs on powered time: without power nothing is delivered, and a battery lasts.

use core::fmt;

use serde::{Deserialize, Serialize};
use units::{Date, Duration, PoweredTime, WallTime};

/// From ERI to EOS, at most.
pub const ERI_TO_EOS: Duration = Duration::from_days(90);
/// From replace-by to EOS.
pub const REPLACE_MARGIN: Duration = Duration::from_days(14);
/// From a collapse of the voltage to EOS, at most. Longer than that nobody can promise.
pub const COLLAPSE_TO_EOS: Duration = Duration::from_hours(72);
/// So many readings in a row must be low: one may be taken while the motor draws current.
const READINGS_IN_A_ROW: u8 = 3;
/// Over how long readings are averaged.
const DAY: Duration = Duration::from_days(1);

/// The limits of a kind of pump and its battery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceLimits {
    life: Duration,
    eri_millivolts: u16,
    collapse_millivolts: u16,
}

impl ServiceLimits {
    /// An implant with a 3 V cell; the numbers of the module's table.
    pub const IMPLANT: Self = Self {
        life: Duration::from_days(7 * 365),
        eri_millivolts: 2_600,
        collapse_millivolts: 2_400,
    };

    /// `life` counts from commissioning; a reading below `eri_millivolts` is low, one below `collapse_millivolts` a collapse.
    ///
    /// # Errors
    /// [`ServiceLimitsRefused`] when the life is shorter than from ERI to EOS, or the collapse not below ERI.
    pub fn new(
        life: Duration,
        eri_millivolts: u16,
        collapse_millivolts: u16,
    ) -> Result<Self, ServiceLimitsRefused> {
        if life < ERI_TO_EOS {
            return Err(ServiceLimitsRefused::LifeTooShort { life });
        }
        if collapse_millivolts >= eri_millivolts {
            return Err(ServiceLimitsRefused::CollapseNotBelow {
                eri_millivolts,
                collapse_millivolts,
            });
        }
        Ok(Self {
            life,
            eri_millivolts,
            collapse_millivolts,
        })
    }
}

impl ServiceLimits {
    /// The service life from commissioning on.
    #[must_use]
    pub const fn life(&self) -> Duration {
        self.life
    }
}

/// Why limits of a service life are not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceLimitsRefused {
    /// There would be no 90 days of notice.
    LifeTooShort {
        /// What was asked for.
        life: Duration,
    },
    /// The battery would collapse before it is low.
    CollapseNotBelow {
        /// What is low, in millivolts.
        eri_millivolts: u16,
        /// What is a collapse, in millivolts.
        collapse_millivolts: u16,
    },
}

impl fmt::Display for ServiceLimitsRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LifeTooShort { life } => {
                write!(
                    f,
                    "a service life of {life} is too short: at least {ERI_TO_EOS}"
                )
            }
            Self::CollapseNotBelow {
                eri_millivolts,
                collapse_millivolts,
            } => write!(
                f,
                "a collapse at {collapse_millivolts} mV is not below replacement at {eri_millivolts} mV"
            ),
        }
    }
}

impl core::error::Error for ServiceLimitsRefused {}

/// How far the service life has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ServicePhase {
    /// Nothing to do.
    Normal,
    /// Replacement is due (ERI).
    Eri,
    /// The pump has to be replaced now: critical.
    Replace,
    /// The end of service (EOS): every drug stops.
    Eos,
}

/// Why replacement is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EriCause {
    /// The battery is low.
    Voltage,
    /// The service life ends in 90 days.
    Age,
}

/// What is latched at ERI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Latched {
    eri: PoweredTime,
    cause: EriCause,
    collapse: Option<PoweredTime>,
    /// The furthest so far, never [`ServicePhase::Normal`] once polled.
    phase: ServicePhase,
}

/// The battery readings of a day so far, and the mean of the last whole one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Readings {
    since: PoweredTime,
    sum: u32,
    count: u16,
    mean_millivolts: Option<u16>,
    low_in_a_row: u8,
    collapsed_in_a_row: u8,
}

/// The service life of one pump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceLife {
    commissioned: PoweredTime,
    latched: Option<Latched>,
    readings: Readings,
}

/// The days of a service life, all valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceDates {
    /// When replacement became due, or will at the latest.
    pub eri: Date,
    /// By when to replace the pump.
    pub replace_by: Date,
    /// When it stops: never later than [`ServiceDates::eri`] + 90 days.
    pub eos: Date,
}

impl ServiceDates {
    /// The day that a refill must not be later than: ERI, and once that has come the day by which the pump is replaced.
    #[must_use]
    pub fn refill_cap(&self, phase: ServicePhase) -> Date {
        match phase {
            ServicePhase::Normal => self.eri,
            ServicePhase::Eri | ServicePhase::Replace | ServicePhase::Eos => self.replace_by,
        }
    }
}

/// The moments of a service life on powered time.
struct Moments {
    eri: PoweredTime,
    replace_by: PoweredTime,
    eos: PoweredTime,
}

impl ServiceLife {
    /// A pump that is commissioned now.
    #[must_use]
    pub const fn begin(now: PoweredTime) -> Self {
        Self {
            commissioned: now,
            latched: None,
            readings: Readings {
                since: now,
                sum: 0,
                count: 0,
                mean_millivolts: None,
                low_in_a_row: 0,
                collapsed_in_a_row: 0,
            },
        }
    }

    /// The moment at which the life ends whatever the battery says.
    fn life_ends(&self, limits: &ServiceLimits) -> PoweredTime {
        self.commissioned.saturating_add(limits.life)
    }

    /// The moments as they stand; before ERI, those of a battery that lasts.
    fn moments(&self, limits: &ServiceLimits) -> Moments {
        let life_ends = self.life_ends(limits);
        let by_age = life_ends.saturating_sub(ERI_TO_EOS);
        let eri = self.latched.map_or(by_age, |latched| latched.eri);
        let collapse = self.latched.and_then(|latched| latched.collapse);
        let mut eos = life_ends.min(eri.saturating_add(ERI_TO_EOS));
        // "Replace by" a day that had passed when it was first said would help nobody.
        let mut told = eri;
        if let Some(collapse) = collapse {
            eos = eos.min(collapse.saturating_add(COLLAPSE_TO_EOS));
            told = eri.max(collapse);
        }
        Moments {
            eri,
            replace_by: eos.saturating_sub(REPLACE_MARGIN).max(told).min(eos),
            eos,
        }
    }

    /// Takes a reading of the battery, in millivolts, hourly or more often. The phase that is entered by it, once.
    #[must_use = "a phase that is entered raises an alarm, and has to be stored"]
    pub fn reading(
        &mut self,
        now: PoweredTime,
        millivolts: u16,
        limits: &ServiceLimits,
    ) -> Option<ServicePhase> {
        let readings = &mut self.readings;
        readings.average(now, millivolts);
        let count = |in_a_row: &mut u8, below: u16| {
            *in_a_row = if millivolts < below {
                in_a_row.saturating_add(1).min(READINGS_IN_A_ROW)
            } else {
                0
            };
            *in_a_row == READINGS_IN_A_ROW
        };
        let low = count(&mut readings.low_in_a_row, limits.eri_millivolts);
        let collapsed = count(&mut readings.collapsed_in_a_row, limits.collapse_millivolts);
        // What comes by age came before this reading.
        let by_age = self.poll(now, limits);
        if low {
            self.latch(now, EriCause::Voltage);
        }
        if let (true, Some(latched)) = (collapsed, &mut self.latched) {
            latched.collapse.get_or_insert(now);
        }
        self.poll(now, limits).or(by_age)
    }

    /// The phase that is entered now, once; `None` while nothing changes. To be called at least daily.
    #[must_use = "a phase that is entered raises an alarm, and has to be stored"]
    pub fn poll(&mut self, now: PoweredTime, limits: &ServiceLimits) -> Option<ServicePhase> {
        let by_age = self.life_ends(limits).saturating_sub(ERI_TO_EOS);
        if now >= by_age {
            // The moment that was due, not the one at which somebody looked.
            self.latch(by_age, EriCause::Age);
        }
        let moments = self.moments(limits);
        let latched = self.latched.as_mut()?;
        let phase = if now >= moments.eos {
            ServicePhase::Eos
        } else if now >= moments.replace_by {
            ServicePhase::Replace
        } else {
            ServicePhase::Eri
        };
        if phase <= latched.phase {
            return None;
        }
        latched.phase = phase;
        Some(phase)
    }

    /// Latches ERI, once for ever.
    fn latch(&mut self, eri: PoweredTime, cause: EriCause) {
        self.latched.get_or_insert(Latched {
            eri,
            cause,
            collapse: None,
            phase: ServicePhase::Normal,
        });
    }

    /// How far it has gone, as of the last call.
    #[must_use]
    pub fn phase(&self) -> ServicePhase {
        self.latched
            .map_or(ServicePhase::Normal, |latched| latched.phase)
    }

    /// Why replacement is due; `None` while it is not.
    #[must_use]
    pub fn cause(&self) -> Option<EriCause> {
        self.latched.map(|latched| latched.cause)
    }

    /// Whether a collapse of the voltage has brought EOS forward.
    #[must_use]
    pub fn is_shortened(&self, limits: &ServiceLimits) -> bool {
        self.latched.is_some_and(|latched| {
            let without = Self {
                latched: Some(Latched {
                    collapse: None,
                    ..latched
                }),
                ..*self
            };
            self.moments(limits).eos < without.moments(limits).eos
        })
    }

    /// What is left until EOS, at most; needs no time of day. Nothing once it is over.
    #[must_use]
    pub fn time_left(&self, now: PoweredTime, limits: &ServiceLimits) -> Duration {
        match self.phase() {
            ServicePhase::Eos => Duration::ZERO,
            _ => self.moments(limits).eos.saturating_since(now),
        }
    }

    /// The mean of the readings of the last whole day, in millivolts rounded down; `None` before there is one.
    #[must_use]
    pub const fn daily_mean_millivolts(&self) -> Option<u16> {
        self.readings.mean_millivolts
    }

    /// The days, where local time is `offset_minutes` ahead of UTC; `None` when the time of day is unknown. Days outside the calendar
    /// are its first or last one.
    #[must_use]
    pub fn dates(
        &self,
        now: PoweredTime,
        wall: Option<WallTime>,
        offset_minutes: i16,
        limits: &ServiceLimits,
    ) -> Option<ServiceDates> {
        let wall = wall?;
        // Both ways rounded down to a millisecond, so that no two of them come to lie further apart than they are.
        let date = |moment: PoweredTime| {
            let ahead = moment.saturating_since(now);
            let ago = now.saturating_since(moment).millis_rounded_down();
            let wall = wall.saturating_add(ahead).millis().saturating_sub(ago);
            Date::saturating_of(WallTime::from_millis(wall), offset_minutes)
        };
        let moments = self.moments(limits);
        Some(ServiceDates {
            eri: date(moments.eri),
            replace_by: date(moments.replace_by),
            eos: date(moments.eos),
        })
    }
}

impl Readings {
    /// Adds a reading to those of its day.
    fn average(&mut self, now: PoweredTime, millivolts: u16) {
        if now.saturating_since(self.since) >= DAY {
            let mean = self.sum.checked_div(u32::from(self.count));
            // A mean of 16-bit numbers has 16 bits; a day without readings leaves that before.
            if let Some(mean) = mean.and_then(|mean| u16::try_from(mean).ok()) {
                self.mean_millivolts = Some(mean);
            }
            (self.since, self.sum, self.count) = (now, 0, 0);
        }
        // The day's first 65,535 readings count.
        if let Some(count) = self.count.checked_add(1) {
            self.count = count;
            self.sum = self.sum.saturating_add(u32::from(millivolts));
        }
    }
}

#[cfg(test)]
mod tests;
