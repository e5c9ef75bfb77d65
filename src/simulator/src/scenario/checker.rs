//! Checks a scenario's fields against limits and against each other, and against what the pump allows.

use super::error::ScenarioError;
use super::{Expectation, Expected, Happening, Programmed, Scenario, ScenarioEvent, file};
use pump::{CommissioningRecord, ResetCause};
use std::path::Path;
use therapy::{Bounds, CalibrationRefusal};
use units::{
    AlarmKind, DoseRate, Duration, FaultPolicy, FlowRate, Mass, OverrideReason, Per, PrimeKind,
    PumpKind, Volume, WallTime,
};

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

/// An expectation that is a text.
type OfText = fn(String) -> Expected;

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
        let program = self.program("program", &file.program, &bounds, commissioning.kind, false)?;
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
                refused: event.refused.clone(),
            });
        }
        let zone = match &file.zone {
            Some(zone) => self.zone("zone", zone)?,
            None => 0,
        };
        let clock = match &file.time {
            Some(time) => Some((self.wall("time", time)?, zone)),
            None => None,
        };
        let catheter = match &file.catheter {
            Some(catheter) => Some(protocol::Catheter {
                model: 0,
                tubing_nl: self.nanolitres("catheter.tubing", catheter.tubing)?,
                length_mm: catheter.length_mm,
                nl_per_cm: u16::try_from(self.nanolitres("catheter.per_cm", catheter.per_cm)?)
                    .unwrap_or(u16::MAX),
                port_nl: match catheter.port {
                    Some(port) => self.nanolitres("catheter.port", port)?,
                    None => 0,
                },
            }),
            None => None,
        };
        let expectations = self.expectations(&file.expect, duration)?;
        Ok(Scenario {
            clock,
            catheter,
            expectations,
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
        may_be_refused: bool,
    ) -> Result<Programmed, ScenarioError> {
        let mode = self.mode(field, program)?;
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
                top_up: program.top_up.unwrap_or(false),
            });
        }
        for (index, other) in program.with.iter().enumerate() {
            let component = protocol::Component {
                drug: other.drug,
                concentration_ng_per_ml: other.concentration.nanograms_per_millilitre(),
            };
            if wanted.secondaries.push(component).is_err() {
                return self.refuse(
                    &format!("{field}.with[{index}]"),
                    "a mixture has at most 4 drugs",
                );
            }
        }
        if let Some(bolus) = &program.patient_bolus {
            let of = |name: &str| format!("{field}.patient_bolus.{name}");
            wanted.patient_bolus = Some(protocol::PatientBolus {
                dose_ng: self.nanograms(&of("dose"), bolus.dose)?,
                duration_s: self.seconds(&of("over"), bolus.over)?,
                lockout_min: u16::try_from(self.minutes(&of("lockout"), bolus.lockout)?)
                    .unwrap_or(u16::MAX),
                per_day: bolus.per_day,
                day_cap_ng: match bolus.day_cap {
                    Some(cap) => Some(self.nanograms(&of("day_cap"), cap)?),
                    None => None,
                },
                periods: protocol::List::new(),
            });
        }
        if let Some(bridge) = program.bridge {
            wanted.bridge = Some(self.dose(field, bridge)?);
        }
        if let Some(low_mark) = program.low_mark {
            wanted.low_mark_nl = Some(self.nanolitres(&format!("{field}.low_mark"), low_mark)?);
        }
        wanted.fault_policy = program.on_fault.map(|policy| match policy {
            file::Policy::HoldLast => FaultPolicy::HoldLast,
            file::Policy::Stop => FaultPolicy::Stop,
        });
        // The pump decides; it is asked beforehand, so that a scenario does not stop in its middle.
        match pump::to_prescription(&wanted, bounds, kind) {
            Err(refused) if !may_be_refused => self.refuse(
                &format!("{field}.{}", field_of(&refused)),
                format_args!("the pump refuses it: {refused}"),
            ),
            Ok(_) | Err(_) => Ok(Programmed {
                program: wanted,
                reason: program.reason.map(OverrideReason::from),
            }),
        }
    }

    fn mode(&self, field: &str, program: &file::Program) -> Result<protocol::Mode, ScenarioError> {
        let missing = |name: &str, why: &str| {
            self.refuse(&format!("{field}.{name}"), format_args!("missing; {why}"))
        };
        let dose = match program.dose {
            Some(dose) => Some(self.dose(field, dose)?),
            None => None,
        };
        Ok(match (program.mode, dose) {
            (file::Mode::Stopped, None) => protocol::Mode::Stopped,
            (file::Mode::Stopped, Some(_)) => {
                return self.refuse(
                    &format!("{field}.dose"),
                    "a stopped pump has no dose; leave it out",
                );
            }
            (file::Mode::MinimumRate, _) => protocol::Mode::MinimumRate,
            (file::Mode::SimpleContinuous, Some(dose)) => protocol::Mode::SimpleContinuous { dose },
            (file::Mode::SimpleContinuous, None) => {
                return missing(
                    "dose",
                    "mode \"simple continuous\" needs a dose such as \"250 mcg/day\"",
                );
            }
            (file::Mode::Flex, _) => protocol::Mode::Flex {
                week: self.week(field, &program.week)?,
            },
            (file::Mode::PeriodicBolus | file::Mode::SingleBolus, basal) => {
                let (Some(bolus), Some(over)) = (program.bolus, program.over) else {
                    return missing("bolus", "a bolus needs `bolus` and `over`");
                };
                let bolus_ng = self.nanograms(&format!("{field}.bolus"), bolus)?;
                let duration_s = self.seconds(&format!("{field}.over"), over)?;
                match (program.mode, program.every) {
                    (file::Mode::SingleBolus, _) => protocol::Mode::SingleBolus {
                        dose_ng: bolus_ng,
                        duration_s,
                    },
                    (_, Some(every)) => protocol::Mode::PeriodicBolus(protocol::PeriodicBolus {
                        bolus_ng,
                        duration_s,
                        interval_min: self.minutes(&format!("{field}.every"), every)?,
                        basal,
                        first_after_min: match program.first_after {
                            Some(first) => {
                                Some(self.minutes(&format!("{field}.first_after"), first)?)
                            }
                            None => None,
                        },
                    }),
                    (_, None) => return missing("every", "the time from start to start"),
                }
            }
        })
    }

    fn week(
        &self,
        field: &str,
        patterns: &[file::Pattern],
    ) -> Result<protocol::FlexWeek, ScenarioError> {
        let mut week = protocol::FlexWeek::new(Per::Hour);
        let mut per = None;
        let mut told = [false; 7];
        for (number, pattern) in patterns.iter().enumerate() {
            let field = format!("{field}.week[{number}]");
            for day in &pattern.days {
                let day = *day as usize;
                if std::mem::replace(&mut told[day], true) {
                    return self.refuse(&format!("{field}.days"), "each day has one pattern");
                }
                week.days[day] = u8::try_from(number).unwrap_or(u8::MAX);
            }
            let mut steps = Vec::new();
            for (index, text) in pattern.steps.iter().enumerate() {
                let field = format!("{field}.steps[{index}]");
                let step = text.split_once(' ').and_then(|(time, dose)| {
                    let from = minutes_of_day(time)?;
                    if dose == "minimum rate" {
                        return Some((from, 0));
                    }
                    let dose: DoseRate = dose.parse().ok()?;
                    if *per.get_or_insert(dose.per()) != dose.per() {
                        return None;
                    }
                    let nanograms = dose.amount().nanograms_exact()?;
                    Some((from, u32::try_from(nanograms).ok()?))
                });
                match step {
                    Some(step) => steps.push(step),
                    None => {
                        return self.refuse(
                            &field,
                            "a time of day and a dose, such as \"06:00 40 mcg/h\" or \"22:00 minimum rate\", all an hour or all a day",
                        );
                    }
                }
            }
            if week.push_pattern(steps).is_none() {
                return self.refuse(
                    &format!("{field}.steps"),
                    "steps begin at 00:00 and stand in order of time",
                );
            }
        }
        if told != [true; 7] {
            return self.refuse(
                &format!("{field}.week"),
                "every day from Mon to Sun needs a pattern",
            );
        }
        week.per = per.unwrap_or(Per::Hour);
        Ok(week)
    }

    fn nanograms(&self, field: &str, mass: Mass) -> Result<u64, ScenarioError> {
        match mass.nanograms_exact() {
            Some(nanograms) => Ok(nanograms),
            None => self.refuse(field, "a pump takes a whole number of nanograms"),
        }
    }

    fn seconds(&self, field: &str, duration: Duration) -> Result<u32, ScenarioError> {
        self.whole(field, duration, Duration::from_seconds(1), "seconds")
    }

    fn minutes(&self, field: &str, duration: Duration) -> Result<u32, ScenarioError> {
        self.whole(field, duration, Duration::from_minutes(1), "minutes")
    }

    fn whole(
        &self,
        field: &str,
        duration: Duration,
        one: Duration,
        unit: &str,
    ) -> Result<u32, ScenarioError> {
        match u32::try_from(duration.micros() / one.micros()) {
            Ok(count) if duration.micros().is_multiple_of(one.micros()) => Ok(count),
            Ok(_) | Err(_) => self.refuse(
                field,
                format_args!("a pump takes whole {unit}, less than 2^32"),
            ),
        }
    }

    fn zone(&self, field: &str, text: &str) -> Result<i16, ScenarioError> {
        let offset = text.split_at_checked(1).and_then(|(sign, time)| {
            let minutes = i16::try_from(minutes_of_day(time)?).ok()?;
            match sign {
                "+" => Some(minutes),
                "-" => Some(-minutes),
                _ => None,
            }
        });
        match offset {
            Some(minutes) => Ok(minutes),
            None => self.refuse(field, "local time minus UTC, such as \"+01:00\""),
        }
    }

    fn alarm(&self, field: &str, name: &str) -> Result<AlarmKind, ScenarioError> {
        match AlarmKind::ALL.iter().find(|kind| kind.name() == name) {
            Some(kind) => Ok(*kind),
            None => {
                let names: Vec<_> = AlarmKind::ALL.iter().map(|kind| kind.name()).collect();
                self.refuse(
                    field,
                    format_args!("no alarm; one of: {}", names.join(", ")),
                )
            }
        }
    }

    fn expectations(
        &self,
        file: &[file::Expect],
        duration: Duration,
    ) -> Result<Vec<Expectation>, ScenarioError> {
        let mut expectations = Vec::new();
        for (index, expect) in file.iter().enumerate() {
            let field = format!("expect[{index}]");
            self.check_between(&format!("{field}.at"), expect.at, Duration::ZERO, duration)?;
            let mut all = Vec::new();
            if let Some([least, most]) = expect.volume {
                all.push(("volume", Expected::Volume(least, most)));
            }
            match (expect.drug, expect.mass) {
                (Some(drug), Some([least, most])) => {
                    all.push(("mass", Expected::Mass(drug, least, most)));
                }
                (None, None) => {}
                (Some(_), None) | (None, Some(_)) => {
                    return self.refuse(&field, "`drug` and `mass` stand together");
                }
            }
            for (names, on) in [(&expect.alarms_on, true), (&expect.alarms_off, false)] {
                let name = if on { "alarms_on" } else { "alarms_off" };
                for alarm in names {
                    let kind = self.alarm(&format!("{field}.{name}"), alarm)?;
                    all.push((name, Expected::Alarm(kind, on)));
                }
            }
            if let Some(flow) = expect.flow {
                let flow = flow.flow().per_day_nanolitres_rounded_down();
                all.push(("flow", Expected::Flow(flow)));
            }
            let texts: [(_, &Option<String>, OfText); 6] = [
                ("delivery", &expect.delivery, Expected::Delivery),
                ("response", &expect.response, Expected::Response),
                ("tip", &expect.tip, Expected::Tip),
                ("job", &expect.job, Expected::Job),
                ("refill_date", &expect.refill_date, Expected::RefillDate),
                ("bolus_denied", &expect.bolus_denied, Expected::BolusDenied),
            ];
            for (name, text, expected) in texts {
                if let Some(text) = text {
                    all.push((name, expected(text.clone())));
                }
            }
            if all.is_empty() {
                return self.refuse(&field, "nothing is expected");
            }
            expectations.extend(all.into_iter().map(|(name, expected)| Expectation {
                at: expect.at,
                field: format!("{field}.{name}"),
                expected,
            }));
        }
        expectations.sort_by_key(|expectation| expectation.at);
        Ok(expectations)
    }

    /// What a phone orders.
    fn order(
        &self,
        field: &str,
        event: &file::Event,
        action: file::Action,
    ) -> Result<Happening, ScenarioError> {
        use protocol::Command;
        let of = |name: &str| format!("{field}.{name}");
        let reason = event.reason.map(OverrideReason::from);
        let needs = |name: &str| self.refuse(&of(name), "missing; this action needs it");
        let command = match action {
            file::Action::SetZone => match &event.zone {
                Some(zone) => Command::SetZone(protocol::SetZone {
                    offset_min: self.zone(&of("zone"), zone)?,
                    reason,
                }),
                None => return needs("zone"),
            },
            file::Action::OpenRefill => Command::OpenRefill,
            file::Action::DrawOut => match event.volume {
                Some(volume) => Command::RefillAspirated {
                    volume_nl: self.nanolitres(&of("volume"), volume)?,
                },
                None => return needs("volume"),
            },
            file::Action::NothingChanged => Command::CloseRefill,
            file::Action::PatientBolus => Command::PatientBolus { number: 0 },
            file::Action::ClinicianBolus => match (event.dose, event.over) {
                (Some(dose), Some(over)) => Command::ClinicianBolus(protocol::ClinicianBolus {
                    number: 0,
                    dose_ng: self.nanograms(&of("dose"), dose)?,
                    duration_s: self.seconds(&of("over"), over)?,
                    reason,
                }),
                _ => return needs("dose"),
            },
            file::Action::CancelBolus => Command::CancelBolus,
            file::Action::Prime => Command::Prime(protocol::Prime {
                number: 0,
                kind: match event.fills {
                    Some(file::Fills::PumpAndCatheter) => PrimeKind::PumpAndCatheter,
                    Some(file::Fills::PumpOnly) => PrimeKind::PumpOnly,
                    Some(file::Fills::CatheterOnly) => PrimeKind::CatheterOnly,
                    None => return needs("fills"),
                },
                catheter_aspirated: event.aspirated.unwrap_or(false),
                disconnected: event.disconnected.unwrap_or(false),
                reason,
            }),
            file::Action::AcknowledgeAlarm | file::Action::SilenceAlarm => {
                let Some(name) = &event.alarm else {
                    return needs("alarm");
                };
                let alarm = self.alarm(&of("alarm"), name)?;
                if action == file::Action::SilenceAlarm {
                    Command::SilenceAlarm { alarm }
                } else {
                    Command::AcknowledgeAlarm { alarm }
                }
            }
            file::Action::MriMode => Command::MriMode {
                minutes: match event.over {
                    Some(over) => {
                        u16::try_from(self.minutes(&of("over"), over)?).unwrap_or(u16::MAX)
                    }
                    None => 0,
                },
            },
            file::Action::Emergency => Command::EmergencyMinimumRate,
            file::Action::ExtendTrial => match event.days {
                Some(days) => Command::ExtendTrial { days },
                None => return needs("days"),
            },
            file::Action::Diary => match event.score {
                Some(score) => Command::DiaryEntry(protocol::DiaryEntry {
                    baseline: event.baseline.unwrap_or(false),
                    score,
                }),
                None => return needs("score"),
            },
            file::Action::Reverse => return Ok(Happening::Reverse),
            file::Action::LosePulses => {
                return Ok(Happening::LosePulses {
                    one_in: self.one_in(field, event.one_in)?,
                });
            }
            file::Action::Runaway => match event.every {
                Some(every) => return Ok(Happening::Runaway { every }),
                None => return needs("every"),
            },
            file::Action::Jam => match event.level {
                Some(level @ 2..=3) => return Ok(Happening::Jam { level }),
                _ => return self.refuse(&of("level"), "the drive level it gives way to: 2 or 3"),
            },
            file::Action::Battery => match event.millivolts {
                Some(millivolts) => return Ok(Happening::Battery { millivolts }),
                None => return needs("millivolts"),
            },
            _ => return Ok(Happening::RepairMotor),
        };
        Ok(Happening::Order(Box::new(command)))
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
        let wall = self.wall(&field_time, text)?;
        let uncertainty = event.uncertainty.unwrap_or(USUAL_UNCERTAINTY);
        self.check_between(
            &format!("{field}.uncertainty"),
            uncertainty,
            Duration::ZERO,
            pump::TRUSTED_UNCERTAINTY,
        )?;
        Ok(Happening::SetClock {
            wall,
            uncertainty,
            reason: event.reason.map(OverrideReason::from),
        })
    }

    fn wall(&self, field: &str, text: &str) -> Result<WallTime, ScenarioError> {
        let millis = match text.parse::<jiff::Timestamp>() {
            Ok(time) => u64::try_from(time.as_millisecond()).ok(),
            Err(_) => None,
        };
        let wall = millis.map(WallTime::from_millis);
        match wall.filter(|wall| (pump::EARLIEST..pump::END).contains(wall)) {
            Some(wall) => Ok(wall),
            None => self.refuse(
                field,
                format_args!(
                    "not a time of day that a pump can be set to; one from \"{}\" to before \"{}\", with a zone such as Z",
                    pump::EARLIEST,
                    pump::END
                ),
            ),
        }
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
                event.refused.is_some(),
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
            (None, Some(action)) => self.order(field, event, action)?,
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
                matches!(
                    happening,
                    Happening::Slip { .. } | Happening::LosePulses { .. }
                ),
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

/// Minutes from midnight of `06:30`.
fn minutes_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
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
