//! Checks a scenario's fields against limits and against each other, and against what the pump allows.

use super::error::ScenarioError;
use super::{Happening, Programmed, Scenario, ScenarioEvent, file};
use pump::{CommissioningRecord, ResetCause};
use std::path::Path;
use therapy::{Bounds, CalibrationRefusal};
use units::{DoseRate, Duration, FlowRate, OverrideReason, PumpKind, Volume, WallTime};

/// Where chance starts in a scenario that does not say.
const USUAL_SEED: u64 = 1;
/// Longest scenario.
const LONGEST: Duration = Duration::from_days(3660);
/// Shortest scenario.
const SHORTEST: Duration = Duration::from_minutes(1);
/// Most rows of `delivery.csv`.
const MOST_SAMPLES: u64 = 100_000;
/// How many samples a scenario without a sample interval has at most, unless it is longer than half a year.
const USUAL_SAMPLES: u64 = 360;
/// Longest time without power, where a scenario restarts the pump.
const LONGEST_OFF: Duration = Duration::from_days(365);
/// Time without power of a restart that does not say how long.
const USUAL_OFF: Duration = Duration::from_seconds(1);
/// How far off a time of day may be that a scenario sets without saying: a phone's.
const USUAL_UNCERTAINTY: Duration = Duration::from_seconds(2);

/// Step of an external pump's larger drive `[P]`, femtolitres.
const EXTERNAL_STEP_FEMTOLITRES: u32 = 25_000_000;
/// Length of a trial that does not say.
const USUAL_TRIAL_DAYS: u8 = 7;

/// Checks fields against limits and against each other.
pub(super) struct Checker<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl Checker<'_> {
    fn refuse<T>(&self, field: &str, reason: impl std::fmt::Display) -> Result<T, ScenarioError> {
        Err(ScenarioError::of_field(self.path, self.text, field, reason))
    }

    pub(super) fn scenario(&self, file: file::File) -> Result<Scenario, ScenarioError> {
        self.check_name(&file.name)?;
        self.check_text("title", &file.title, 1, 100)?;
        self.check_text("description", &file.description, 0, 2000)?;
        let duration = file.duration;
        self.check_between("duration", duration, SHORTEST, LONGEST)?;
        let sample_interval = match file.sample_interval {
            Some(interval) => self.sample_interval(interval, duration)?,
            None => usual_sample_interval(duration),
        };
        let (commissioning, bounds) = self.commissioning(&file.pump)?;
        let program = self.program("program", &file.program, &bounds, commissioning.kind)?;
        let mut events = Vec::new();
        let mut latest = Duration::from_micros(0);
        for (index, event) in file.event.iter().enumerate() {
            let field = format!("event[{index}]");
            let at = event.at;
            if at >= duration {
                return self.refuse(
                    &format!("{field}.at"),
                    format_args!("not before the scenario's end at {duration}"),
                );
            }
            if at < latest {
                return self.refuse(
                    &format!("{field}.at"),
                    format_args!("before the end of the event above it at {latest}; events stand in order of time"),
                );
            }
            latest = at;
            let happening = self.happening(&field, event, &bounds, commissioning.kind)?;
            if let Happening::Restart { off } = happening {
                latest = at.saturating_add(off);
                if latest >= duration {
                    return self.refuse(
                        &format!("{field}.off"),
                        format_args!("the power would be off until {latest}, not before the scenario's end at {duration}"),
                    );
                }
            }
            events.push(ScenarioEvent {
                at,
                field,
                happening,
            });
        }
        Ok(Scenario {
            name: file.name,
            title: file.title,
            description: file.description,
            duration,
            seed: file.seed.map_or(USUAL_SEED, |seed| seed.0),
            sample_interval,
            commissioning,
            bounds,
            program,
            events,
        })
    }

    fn check_name(&self, name: &str) -> Result<(), ScenarioError> {
        let allowed =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if name.is_empty() || name.len() > 64 || name.starts_with('-') || !name.chars().all(allowed)
        {
            return self.refuse(
                "name",
                format_args!(
                    "1 to 64 lower-case letters, digits and hyphens, not beginning with a hyphen (it names the report's folder)"
                ),
            );
        }
        Ok(())
    }

    fn check_text(
        &self,
        field: &str,
        text: &str,
        least: usize,
        most: usize,
    ) -> Result<(), ScenarioError> {
        let length = text.trim().chars().count();
        if (least..=most).contains(&length) {
            Ok(())
        } else {
            self.refuse(
                field,
                format_args!("{length} characters; {least} to {most} are allowed"),
            )
        }
    }

    fn check_between<T: PartialOrd + std::fmt::Display>(
        &self,
        field: &str,
        value: T,
        least: T,
        most: T,
    ) -> Result<(), ScenarioError> {
        if least <= value && value <= most {
            Ok(())
        } else {
            self.refuse(field, format_args!("not allowed; {least} to {most}"))
        }
    }

    fn sample_interval(
        &self,
        interval: Duration,
        duration: Duration,
    ) -> Result<Duration, ScenarioError> {
        let field = "sample_interval";
        self.check_between(field, interval, Duration::from_seconds(1), duration)?;
        let samples = duration.micros() / interval.micros();
        if samples > MOST_SAMPLES {
            return self.refuse(
                field,
                format_args!(
                    "gives {samples} samples in {duration}; at most {MOST_SAMPLES} are allowed"
                ),
            );
        }
        Ok(interval)
    }

    fn commissioning(
        &self,
        pump: &file::Pump,
    ) -> Result<(CommissioningRecord, Bounds), ScenarioError> {
        let nominal = CommissioningRecord::NOMINAL;
        let kind = match pump.kind {
            file::Kind::ProgrammableImplant => PumpKind::ProgrammableImplant,
            file::Kind::ConstantRate => PumpKind::ConstantRate,
            file::Kind::ExternalTrial => PumpKind::ExternalTrial,
        };
        let usual_step = match kind {
            PumpKind::ProgrammableImplant | PumpKind::ConstantRate => nominal.step_volume_fl,
            PumpKind::ExternalTrial => EXTERNAL_STEP_FEMTOLITRES,
        };
        let capacity_nl = match pump.capacity {
            Some(capacity) => self.nanolitres("pump.capacity", capacity)?,
            None => nominal.capacity_nl,
        };
        let record = CommissioningRecord {
            kind,
            step_volume_fl: pump
                .step_volume
                .map_or(usual_step, |volume| volume.femtolitres()),
            capacity_nl,
            fixed_rate_nl_per_day: match pump.rate {
                Some(rate) => Some(self.rate("pump.rate", rate)?),
                None => None,
            },
            trial_days: match (pump.trial_days, kind) {
                (None, PumpKind::ExternalTrial) => Some(USUAL_TRIAL_DAYS),
                (days, _) => days,
            },
        };
        match record.bounds() {
            Ok(bounds) => Ok((record, bounds)),
            Err(refusal) => {
                let field = match refusal {
                    Some(CalibrationRefusal::Capacity { .. }) => "capacity",
                    Some(CalibrationRefusal::Step { .. }) => "step_volume",
                    Some(
                        CalibrationRefusal::FixedRate { .. }
                        | CalibrationRefusal::NoFixedRate
                        | CalibrationRefusal::FixedRateUnused { .. },
                    ) => "rate",
                    None => "trial_days",
                };
                let reason = refusal.map_or_else(
                    || "belongs to an \"external-trial\" pump, and is 1 or more there".to_owned(),
                    |refusal| refusal.to_string(),
                );
                self.refuse(&format!("pump.{field}"), reason)
            }
        }
    }

    fn program(
        &self,
        field: &str,
        program: &file::Program,
        bounds: &Bounds,
        kind: PumpKind,
    ) -> Result<Programmed, ScenarioError> {
        let mode = match (program.mode, program.dose) {
            (file::Mode::Stopped, None) => protocol::Mode::Stopped,
            (file::Mode::SimpleContinuous, Some(dose)) => protocol::Mode::SimpleContinuous {
                dose: self.dose(field, dose)?,
            },
            (file::Mode::Stopped, Some(_)) => {
                return self.refuse(
                    &format!("{field}.dose"),
                    "a stopped pump has no dose; leave it out",
                );
            }
            (file::Mode::SimpleContinuous, None) => {
                return self.refuse(
                    &format!("{field}.dose"),
                    "missing; mode \"simple continuous\" needs a dose such as \"250 mcg/day\"",
                );
            }
        };
        let primary = protocol::Component {
            drug: program.drug,
            concentration_ng_per_ml: program.concentration.nanograms_per_millilitre(),
        };
        let mut wanted = protocol::Program::new(primary, mode);
        if let Some(fill) = program.fill {
            self.check_between(
                &format!("{field}.fill"),
                fill,
                Volume::ZERO,
                bounds.capacity,
            )?;
            wanted.fill = Some(protocol::Fill {
                volume_nl: self.nanolitres(&format!("{field}.fill"), fill)?,
                top_up: false,
            });
        }
        // The pump decides; it is asked beforehand, so that a scenario does not stop in its middle.
        match pump::to_prescription(&wanted, bounds, kind) {
            Ok(_) => Ok(Programmed {
                program: wanted,
                reason: program.reason.map(OverrideReason::from),
            }),
            Err(refused) => self.refuse(
                &format!("{field}.{}", field_of(&refused)),
                format_args!("the pump refuses it: {refused}"),
            ),
        }
    }

    fn dose(&self, field: &str, dose: DoseRate) -> Result<protocol::Dose, ScenarioError> {
        match dose.amount().nanograms_exact() {
            Some(nanograms) => Ok(protocol::Dose {
                nanograms,
                per: dose.per(),
            }),
            None => self.refuse(
                &format!("{field}.dose"),
                "a pump takes a whole number of nanograms, less than 2^64",
            ),
        }
    }

    /// A rate in whole nanolitres a day.
    fn rate(&self, field: &str, rate: FlowRate) -> Result<u32, ScenarioError> {
        let day = rate.flow().volume_in(Duration::from_days(1));
        self.nanolitres(field, day.unwrap_or(Volume::MAX))
    }

    fn nanolitres(&self, field: &str, volume: Volume) -> Result<u32, ScenarioError> {
        match u32::try_from(volume.nanolitres_rounded_down()) {
            Ok(nanolitres) if Volume::from_nanolitres(nanolitres) == volume => Ok(nanolitres),
            Ok(_) | Err(_) => self.refuse(
                field,
                "a pump takes a whole number of nanolitres, less than 2^32",
            ),
        }
    }

    fn one_in(&self, field: &str, one_in: Option<file::Whole>) -> Result<u32, ScenarioError> {
        match one_in.map(|one_in| u32::try_from(one_in.0)) {
            Some(Ok(one_in)) if one_in > 0 => Ok(one_in),
            Some(_) => self.refuse(
                &format!("{field}.one_in"),
                format_args!("not allowed; 1 to {}", u32::MAX),
            ),
            None => self.refuse(
                &format!("{field}.one_in"),
                "missing; of action \"slip\": one step in so many slips",
            ),
        }
    }

    fn cause(&self, field: &str, cause: Option<file::Cause>) -> Result<ResetCause, ScenarioError> {
        match cause {
            Some(file::Cause::Watchdog) => Ok(ResetCause::Watchdog),
            // K_ERR_KERNEL_PANIC: what a Rust panic is to Zephyr.
            Some(file::Cause::FatalError) => Ok(ResetCause::Fatal { reason: 4 }),
            Some(file::Cause::LowSupply) => Ok(ResetCause::BrownOut),
            Some(file::Cause::External) => Ok(ResetCause::External),
            Some(file::Cause::Software) => Ok(ResetCause::Software),
            None => self.refuse(
                &format!("{field}.cause"),
                "missing; of action \"reset\": \"watchdog\", \"fatal error\", \"low supply\", \"external\" or \"software\"",
            ),
        }
    }

    fn set_clock(&self, field: &str, event: &file::Event) -> Result<Happening, ScenarioError> {
        let field_time = format!("{field}.time");
        let Some(text) = &event.time else {
            return self.refuse(
                &field_time,
                "missing; of action \"set clock\": a time of day such as \"2026-01-05T10:00:00Z\"",
            );
        };
        let millis = match text.parse::<jiff::Timestamp>() {
            Ok(time) => u64::try_from(time.as_millisecond()).ok(),
            Err(_) => None,
        };
        let wall = millis.map(WallTime::from_millis);
        let Some(wall) = wall.filter(|wall| (pump::EARLIEST..pump::END).contains(wall)) else {
            return self.refuse(
                &field_time,
                format_args!(
                    "not a time of day that a pump can be set to; one from \"{}\" to before \"{}\", with a zone such as Z",
                    pump::EARLIEST,
                    pump::END
                ),
            );
        };
        let uncertainty = event.uncertainty.unwrap_or(USUAL_UNCERTAINTY);
        self.check_between(
            &format!("{field}.uncertainty"),
            uncertainty,
            Duration::ZERO,
            pump::TRUSTED_UNCERTAINTY,
        )?;
        Ok(Happening::SetClock { wall, uncertainty })
    }

    fn happening(
        &self,
        field: &str,
        event: &file::Event,
        bounds: &Bounds,
        kind: PumpKind,
    ) -> Result<Happening, ScenarioError> {
        let happening = match (&event.program, event.action) {
            (Some(program), None) => Happening::Program(self.program(
                &format!("{field}.program"),
                program,
                bounds,
                kind,
            )?),
            (None, Some(file::Action::Restart)) => {
                let off = event.off.unwrap_or(USUAL_OFF);
                self.check_between(
                    &format!("{field}.off"),
                    off,
                    Duration::from_micros(1),
                    LONGEST_OFF,
                )?;
                Happening::Restart { off }
            }
            (None, Some(file::Action::Reset)) => Happening::Reset {
                cause: self.cause(field, event.cause)?,
            },
            (None, Some(file::Action::SetClock)) => self.set_clock(field, event)?,
            (None, Some(file::Action::Stall)) => Happening::Stall,
            (None, Some(file::Action::ClearStall)) => Happening::ClearStall,
            (None, Some(file::Action::Slip)) => Happening::Slip {
                one_in: self.one_in(field, event.one_in)?,
            },
            (None, Some(file::Action::ClearSlip)) => Happening::ClearSlip,
            (Some(_), Some(_)) | (None, None) => {
                return self.refuse(
                    field,
                    "an event has either a `program` or an `action`, and one of them",
                );
            }
        };
        if event.off.is_some() && !matches!(happening, Happening::Restart { .. }) {
            return self.refuse(
                &format!("{field}.off"),
                "belongs to action \"restart\" only",
            );
        }
        let belongs = [
            (
                "one_in",
                event.one_in.is_some(),
                matches!(happening, Happening::Slip { .. }),
                "slip",
            ),
            (
                "cause",
                event.cause.is_some(),
                matches!(happening, Happening::Reset { .. }),
                "reset",
            ),
            (
                "time",
                event.time.is_some(),
                matches!(happening, Happening::SetClock { .. }),
                "set clock",
            ),
            (
                "uncertainty",
                event.uncertainty.is_some(),
                matches!(happening, Happening::SetClock { .. }),
                "set clock",
            ),
        ];
        for (name, there, wanted, action) in belongs {
            if there && !wanted {
                return self.refuse(
                    &format!("{field}.{name}"),
                    format_args!("belongs to action \"{action}\" only"),
                );
            }
        }
        Ok(happening)
    }
}

/// The scenario's field that a refusal of the pump is about.
fn field_of(refused: &protocol::Refused) -> &'static str {
    use protocol::{Field, Refused};
    match refused {
        Refused::OutOfRange {
            field: Field::ConcentrationNanogramsPerMillilitre,
            ..
        } => "concentration",
        Refused::OutOfRange {
            field: Field::FillNanolitres,
            ..
        } => "fill",
        _ => "dose",
    }
}

/// The shortest round interval that gives at most [`USUAL_SAMPLES`] samples.
fn usual_sample_interval(duration: Duration) -> Duration {
    let round = [
        // Shorter ones show single steps as a rate that jumps.
        Duration::from_minutes(1),
        Duration::from_minutes(5),
        Duration::from_minutes(15),
        Duration::from_hours(1),
        Duration::from_hours(2),
        Duration::from_hours(6),
        Duration::from_hours(12),
    ];
    let wanted = duration.micros() / USUAL_SAMPLES;
    round
        .into_iter()
        .find(|interval| interval.micros() >= wanted)
        .unwrap_or(Duration::from_days(1))
}
