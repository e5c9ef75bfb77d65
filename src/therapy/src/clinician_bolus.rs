//! Boluses that a clinician gives (single, therapeutic bolus; clinical reference, 1.2 and 4.3 rows 1.4.1 to 1.4.9).
//!
//! A clinician's bolus is either normal or extended (square): that decides which one waits for the other, see [`crate::Jobs`]. Basal
//! goes on unchanged beside it (GIP 1.4.4), and both together stay within the pump's maximum (GIP 1.4.3): one that does not is refused
//! with the duration that would be possible, and never stretched.
//!
//! What a single dose may be is a matter of the drug library and is not judged here.

use core::fmt;
use core::num::NonZeroU128;

use serde::{Deserialize, Serialize};
use units::{Duration, Flow, Mass, PoweredTime, Ratio, Volume};

use crate::bounds::Bounds;
use crate::patient_bolus::{BolusWindow, whole_nanograms, whole_seconds};

/// A clinician's bolus longer than this is an extended one \[P\] (GIP 1.4.5: a square bolus gives way to a normal one).
pub const EXTENDED_FROM: Duration = Duration::from_minutes(30);
/// How often clinicians may give a bolus without an override: so many within so long \[P\] (docs/therapy.md, "Limits").
pub const CLINICIAN_BOLUS_LIMITS: [(u8, Duration); 2] =
    [(1, Duration::from_hours(1)), (4, Duration::from_hours(24))];

/// A clinician's bolus. Checked: there is a dose, and the duration is whole seconds from 1 s to 24 h (GIP 1.4.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(u32, u32, bool)", into = "(u32, u32, bool)")]
pub struct ClinicianBolus {
    dose_nanograms: u32,
    duration_seconds: u32,
    extended: bool,
}

impl ClinicianBolus {
    /// A bolus of `dose` of the primary drug, spread evenly over `duration`.
    ///
    /// # Errors
    ///
    /// A dose that is no whole number of nanograms from 1 ng to 4.29 g, or a duration that is no whole number of seconds from 1 s to
    /// 24 h.
    pub fn new(
        dose: Mass,
        duration: Duration,
        extended: bool,
    ) -> Result<Self, ClinicianBolusRefusal> {
        Ok(Self {
            dose_nanograms: whole_nanograms(dose).ok_or(ClinicianBolusRefusal::Dose { dose })?,
            duration_seconds: whole_seconds(duration)
                .ok_or(ClinicianBolusRefusal::Duration { duration })?,
            extended,
        })
    }

    /// Mass of the primary drug.
    #[must_use]
    pub fn dose(&self) -> Mass {
        Mass::from_nanograms(u64::from(self.dose_nanograms))
    }

    /// How long it takes.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        Duration::from_seconds(self.duration_seconds)
    }

    /// Whether it is extended: a normal one goes before it.
    #[must_use]
    pub const fn is_extended(&self) -> bool {
        self.extended
    }

    /// Whether it may be given now: how often, then how fast.
    ///
    /// `volume` is what it comes to in whole steps, `basal` the highest basal flow while it runs; `overridden` says that a reason for
    /// more than the frequency limit was given.
    ///
    /// # Errors
    ///
    /// [`ClinicianBolusRefusal::TooSoon`] or [`ClinicianBolusRefusal::TooFast`].
    pub fn check(
        &self,
        window: &BolusWindow,
        now: PoweredTime,
        overridden: bool,
        basal: Flow,
        volume: Volume,
        bounds: &Bounds,
    ) -> Result<(), ClinicianBolusRefusal> {
        if !overridden {
            for (most, within) in CLINICIAN_BOLUS_LIMITS {
                if let Some(remaining) = window.clinician_left(most, within, now) {
                    return Err(ClinicianBolusRefusal::TooSoon {
                        most,
                        within,
                        remaining,
                    });
                }
            }
        }
        check_total_flow(basal, volume, self.duration(), bounds).map_err(|shortest| {
            ClinicianBolusRefusal::TooFast {
                duration: self.duration(),
                shortest,
            }
        })
    }
}

impl From<ClinicianBolus> for (u32, u32, bool) {
    fn from(bolus: ClinicianBolus) -> Self {
        (bolus.dose_nanograms, bolus.duration_seconds, bolus.extended)
    }
}

impl TryFrom<(u32, u32, bool)> for ClinicianBolus {
    type Error = ClinicianBolusRefusal;

    fn try_from((dose, duration, extended): (u32, u32, bool)) -> Result<Self, Self::Error> {
        Self::new(
            Mass::from_nanograms(u64::from(dose)),
            Duration::from_seconds(duration),
            extended,
        )
    }
}

/// Whether a pump can give `volume` over `duration` on top of `basal`: its highest rate and the motor's pace, both themselves allowed.
/// For boluses of every kind; exact.
///
/// # Errors
///
/// The shortest duration in whole seconds that is possible; `None` where basal leaves nothing, or the time is more than 24 h.
pub fn check_total_flow(
    basal: Flow,
    volume: Volume,
    duration: Duration,
    bounds: &Bounds,
) -> Result<(), Option<Duration>> {
    let ceilings = bounds.flow_ceilings();
    let fits = |&(most, per): &(Volume, Duration)| {
        spare(most, per, volume, duration).is_some_and(|spare| basal.ratio() <= spare)
    };
    if ceilings.iter().all(fits) {
        return Ok(());
    }
    let mut shortest = Some(Duration::ZERO);
    for (most, per) in ceilings {
        let needed = shortest_duration(most, per, basal, volume);
        shortest = shortest.zip(needed).map(|(left, right)| left.max(right));
    }
    Err(shortest.filter(|&duration| duration <= crate::patient_bolus::LONGEST_BOLUS))
}

/// What a ceiling of `most` every `per` leaves beside `volume` over `duration`; `None` when that alone is more.
fn spare(most: Volume, per: Duration, volume: Volume, duration: Duration) -> Option<Ratio> {
    let wide = |left: u64, right: u64| u128::from(left).checked_mul(u128::from(right));
    let ceiling = wide(most.femtolitres(), duration.micros())?;
    let bolus = wide(volume.femtolitres(), per.micros())?;
    let denominator = NonZeroU128::new(wide(per.micros(), duration.micros())?)?;
    Some(Ratio::new(ceiling.checked_sub(bolus)?, denominator))
}

/// The shortest time in whole seconds for `volume` beside `basal` under a ceiling of `most` every `per`.
fn shortest_duration(most: Volume, per: Duration, basal: Flow, volume: Volume) -> Option<Duration> {
    let per = u128::from(per.micros());
    // The ceiling less basal, over a common denominator. What does not fit is no basal flow of a pump.
    let ceiling = u128::from(most.femtolitres()).checked_mul(basal.denominator())?;
    let left = ceiling.checked_sub(basal.numerator().checked_mul(per)?)?;
    let denominator = NonZeroU128::new(per.checked_mul(basal.denominator())?)?;
    let micros = Ratio::new(left, denominator)
        .inverse()?
        .times_rounded_up(volume.femtolitres())?;
    let seconds = u32::try_from(micros.div_ceil(1_000_000)).ok()?;
    Some(Duration::from_seconds(seconds))
}

/// Why a clinician's bolus is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClinicianBolusRefusal {
    /// The dose.
    Dose {
        /// What was asked for.
        dose: Mass,
    },
    /// The duration.
    Duration {
        /// What was asked for.
        duration: Duration,
    },
    /// There were others before; an override is possible.
    TooSoon {
        /// So many are allowed
        most: u8,
        /// within so long.
        within: Duration,
        /// Until another is possible without an override.
        remaining: Duration,
    },
    /// Basal and bolus together are more than the pump gives.
    TooFast {
        /// What was asked for.
        duration: Duration,
        /// The shortest that is possible; `None` when none is.
        shortest: Option<Duration>,
    },
}

impl fmt::Display for ClinicianBolusRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dose { dose } => write!(
                f,
                "a bolus of {dose} is not allowed: it must be a whole number of nanograms from 1 ng to 4294.967294 mg"
            ),
            Self::Duration { duration } => write!(
                f,
                "a bolus over {duration} is not allowed: it must take whole seconds from 1 s to 24 h"
            ),
            Self::TooSoon {
                most,
                within,
                remaining,
            } => write!(
                f,
                "at most {most} within {within} without an override: the next one is possible in {remaining}"
            ),
            Self::TooFast { duration, shortest } => {
                write!(
                    f,
                    "basal and the bolus over {duration} are more than the pump can give: "
                )?;
                match shortest {
                    Some(shortest) => write!(f, "it must take at least {shortest}"),
                    None => f.write_str("no duration is long enough"),
                }
            }
        }
    }
}

impl core::error::Error for ClinicianBolusRefusal {}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use proptest::prelude::*;
    use std::string::ToString;
    use units::{Concentration, FlowRate, StepVolume};

    use super::*;
    use crate::patient_bolus::{CountedBolus, DrugMasses};

    const BOUNDS: Bounds = Bounds::PROGRAMMABLE_IMPLANT;

    fn bolus(text: &str, seconds: u32) -> ClinicianBolus {
        ClinicianBolus::new(
            text.parse().unwrap(),
            Duration::from_seconds(seconds),
            false,
        )
        .unwrap()
    }

    fn at(seconds: u32) -> PoweredTime {
        PoweredTime::ZERO.saturating_add(Duration::from_seconds(seconds))
    }

    fn flow(text: &str) -> Flow {
        text.parse::<FlowRate>().unwrap().flow()
    }

    #[test]
    fn dose_and_duration_have_their_bounds() {
        let new = |dose: u128, micros| {
            ClinicianBolus::new(
                Mass::from_zeptograms(dose),
                Duration::from_micros(micros),
                false,
            )
        };
        let (nanogram, second) = (1_000_000_000_000_u128, 1_000_000);
        assert!(new(nanogram, second).is_ok());
        assert!(new(4_294_967_294 * nanogram, 86_400 * second).is_ok());
        for dose in [0, nanogram - 1, nanogram + 1, 4_294_967_295 * nanogram] {
            let dose_refused = ClinicianBolusRefusal::Dose {
                dose: Mass::from_zeptograms(dose),
            };
            assert_eq!(new(dose, second), Err(dose_refused));
        }
        for micros in [0, second - 1, second + 1, 86_401 * second, u64::MAX] {
            let duration = Duration::from_micros(micros);
            assert_eq!(
                new(nanogram, micros),
                Err(ClinicianBolusRefusal::Duration { duration })
            );
        }
    }

    /// Requirement: TH-clinician-bolus
    #[test]
    fn one_an_hour_and_four_a_day() {
        let bolus = bolus("250 mcg", 600);
        let masses = DrugMasses::default();
        let mut window = BolusWindow::default();
        let check = |window: &BolusWindow, now, overridden| {
            let volume = Volume::from_microlitres(10);
            bolus.check(window, at(now), overridden, Flow::ZERO, volume, &BOUNDS)
        };
        let too_soon = |(most, within), seconds| {
            Err(ClinicianBolusRefusal::TooSoon {
                most,
                within,
                remaining: Duration::from_seconds(seconds),
            })
        };
        let [hourly, daily] = CLINICIAN_BOLUS_LIMITS;
        for number in 0..4 {
            let now = 1_000 + number * 3_600;
            assert_eq!(check(&window, now, false), Ok(()), "{number}");
            window.record_other(CountedBolus::Clinician, at(now), &masses);
            // Others do not count.
            window.record_other(CountedBolus::Periodic, at(now), &masses);
            window.record_other(CountedBolus::Prime, at(now), &masses);
            assert_eq!(check(&window, now + 3_599, false), too_soon(hourly, 1));
            assert_eq!(check(&window, now, true), Ok(()), "overridden");
        }
        assert_eq!(
            check(&window, 1_000 + 4 * 3_600, false),
            too_soon(daily, 72_000)
        );
        assert_eq!(check(&window, 87_399, false), too_soon(daily, 1));
        assert_eq!(check(&window, 87_400, false), Ok(()));
    }

    /// GIP 1.4.3: the pump's maximum itself is allowed, one step more is refused with what is possible.
    ///
    /// Requirement: TH-rates
    #[test]
    fn basal_and_bolus_share_the_maximum() {
        // 24 mL/day are 1 mL/h; basal takes half, a bolus of 0.25 mL over half an hour the other half.
        let basal = flow("0.5 mL/h");
        let half_hour = Duration::from_minutes(30);
        let volume = Volume::from_microlitres(250);
        assert_eq!(check_total_flow(basal, volume, half_hour, &BOUNDS), Ok(()));
        let more = volume.checked_add(StepVolume::NOMINAL.volume()).unwrap();
        let longer = Duration::from_seconds(1_801);
        assert_eq!(
            check_total_flow(basal, more, half_hour, &BOUNDS),
            Err(Some(longer))
        );
        assert_eq!(check_total_flow(basal, more, longer, &BOUNDS), Ok(()));
        let second = Duration::from_seconds(1);
        assert_eq!(
            check_total_flow(flow("1 mL/h"), volume, second, &BOUNDS),
            Err(None)
        );
        assert_eq!(
            check_total_flow(flow("2 mL/h"), volume, second, &BOUNDS),
            Err(None)
        );
        // 25 mL would take more than a day even with no basal at all.
        let day = Duration::from_days(1);
        let of = |millilitres| {
            check_total_flow(
                Flow::ZERO,
                Volume::from_millilitres(millilitres),
                day,
                &BOUNDS,
            )
        };
        assert_eq!((of(24), of(25)), (Ok(()), Err(None)));
    }

    #[test]
    fn the_motors_pace_is_a_maximum_too() {
        // 10 steps/s of 2.5 nL are 25 nL/s.
        let slow = Bounds {
            maximum_step_rate_millihertz: 10_000,
            ..BOUNDS
        };
        let check = |nanolitres| {
            let volume = Volume::from_nanolitres(nanolitres);
            check_total_flow(Flow::ZERO, volume, Duration::from_seconds(10), &slow)
        };
        assert_eq!(check(250), Ok(()));
        assert_eq!(check(251), Err(Some(Duration::from_seconds(11))));
        let bolus = bolus("250 mcg", 10);
        let refused = bolus.check(
            &BolusWindow::default(),
            at(0),
            false,
            Flow::ZERO,
            Volume::from_nanolitres(251),
            &slow,
        );
        assert_eq!(
            refused.unwrap_err().to_string(),
            "basal and the bolus over 10 s are more than the pump can give: it must take at least 11 s"
        );
    }

    #[test]
    fn refusals_are_sentences() {
        for (refusal, text) in [
            (
                ClinicianBolusRefusal::TooSoon {
                    most: 1,
                    within: Duration::from_hours(1),
                    remaining: Duration::from_minutes(7),
                },
                "at most 1 within 1 h without an override: the next one is possible in 7 min",
            ),
            (
                ClinicianBolusRefusal::TooFast {
                    duration: Duration::from_seconds(1),
                    shortest: None,
                },
                "basal and the bolus over 1 s are more than the pump can give: no duration is long enough",
            ),
            (
                ClinicianBolusRefusal::Dose { dose: Mass::ZERO },
                "a bolus of 0 mg is not allowed: it must be a whole number of nanograms from 1 ng to 4294.967294 mg",
            ),
            (
                ClinicianBolusRefusal::Duration {
                    duration: Duration::ZERO,
                },
                "a bolus over 0 s is not allowed: it must take whole seconds from 1 s to 24 h",
            ),
        ] {
            assert_eq!(refusal.to_string(), text);
        }
    }

    #[test]
    fn is_written_small_and_read_checked() {
        let largest = ClinicianBolus::new(
            Mass::from_nanograms(4_294_967_294),
            Duration::from_days(1),
            true,
        )
        .unwrap();
        let mut buffer = [0; 32];
        let bytes = postcard::to_slice(&largest, &mut buffer).unwrap();
        assert_eq!(bytes.len(), 9);
        assert_eq!(postcard::from_bytes(bytes), Ok(largest));
        assert!(largest.is_extended());
        assert_eq!(largest.duration(), Duration::from_days(1));
        assert_eq!(largest.dose(), Mass::from_nanograms(4_294_967_294));
        let normal = postcard::from_bytes::<ClinicianBolus>(&[1, 1, 0]).unwrap();
        assert!(!normal.is_extended());
        assert!(postcard::from_bytes::<ClinicianBolus>(&[0, 1, 0]).is_err());
        assert!(postcard::from_bytes::<ClinicianBolus>(&[1, 0, 0]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// The shortest duration that is named is allowed, and a second less is not.
        #[test]
        fn what_is_named_as_possible_is_the_least(
            dose in 1_u64..2_000_000_000_000, concentration in 1_u32.., femtolitres in 1_u64..4_000_000_000_000,
            seconds in 1_u32..=86_400, step in 2_250_000_u32..2_750_000,
        ) {
            let concentration = Concentration::from_nanograms_per_millilitre(concentration).unwrap();
            let dose = units::DoseRate::new(Mass::in_volume(Volume::from_femtolitres(dose), concentration), units::Per::Hour);
            let bounds = Bounds { step_volume: StepVolume::new(step).unwrap(), ..BOUNDS };
            let check = |seconds| check_total_flow(
                dose.flow(concentration), Volume::from_femtolitres(femtolitres), Duration::from_seconds(seconds), &bounds,
            );
            if let Err(Some(shortest)) = check(seconds) {
                let shortest = u32::try_from(shortest.seconds_rounded_down()).unwrap();
                prop_assert!(shortest > seconds);
                prop_assert_eq!(check(shortest), Ok(()));
                prop_assert!(check(shortest - 1).is_err());
            }
        }
    }
}
