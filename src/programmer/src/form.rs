//! The form: texts in, a program out, each fault beside the field it belongs to.
//!
//! A program that passes here passes in the pump: texts are read by `units`, the prescription is checked by `therapy` against
//! the limits that this very pump gave in its status. The pump checks again all the same, and it decides; the drug library is its own.
use std::collections::BTreeMap;

use core::fmt::Display;
use core::str::FromStr;

use protocol::{
    Component, Dose, Fill, FlexStep, FlexWeek, List, Mode, PatientBolus, PeriodicBolus, Program,
    Status, from_minutes,
};
use serde::{Deserialize, Serialize};
use therapy::{
    Binding, PatientBolusRule, PeriodicRefusal, Prescription, ProgramRefusal, Refusal, Reservoir,
    RuleRefusal, StepPlace, WeekRefusal, Weekday,
};
use units::{
    Concentration, DoseRate, Drug, Duration, Flow, Mass, Per, PumpKind, QuantityError, Volume,
};

use crate::change::Change;
use crate::reckon::{PumpLimits, Unfit, day_total_nanograms, emptying_flow};
use crate::text;

/// How the minimum rate is written among the steps of a flex day.
const MINIMUM_RATE: &str = "minimum rate";

/// What stands in the fields, as typed. Every value but a count bears its unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Form {
    /// A drug's name; empty while none is chosen. Doses are of this one.
    pub drug: String,
    /// Such as `2 mg/mL`.
    pub concentration: String,
    /// The name of a second drug in the reservoir; empty without.
    pub second_drug: String,
    /// Its concentration.
    pub second_concentration: String,
    /// How to deliver.
    pub mode: FormMode,
    /// Simple continuous: such as `250 mcg/day`.
    pub dose: String,
    /// Flex: a step a line, such as `06:00 15 mcg/h`, the first from 00:00.
    pub weekdays: String,
    /// The same for Saturday and Sunday; empty when they are like the other days.
    pub weekend: String,
    /// Periodic and single bolus: such as `50 mcg`.
    pub bolus_dose: String,
    /// The time over which it is given, such as `10 min`.
    pub bolus_duration: String,
    /// Periodic: from start to start, such as `4 h`.
    pub bolus_interval: String,
    /// Periodic: the dose between and beneath; empty for minimum rate.
    pub basal: String,
    /// The patient's bolus; empty, with the three fields behind it, when the patient may add nothing.
    pub patient_dose: String,
    /// The time over which it is given.
    pub patient_duration: String,
    /// From the start of one to the start of the next at least.
    pub patient_lockout: String,
    /// How many in any 24 h.
    pub patient_per_day: String,
    /// Dose of the drug before, while it is led out of the path; empty when nothing is to be bridged.
    pub bridge: String,
    /// Volume injected at a refill, such as `20 mL`; empty when the reservoir was not refilled.
    pub fill: String,
    /// It was added to what was left.
    pub top_up: bool,
}

/// The mode chosen in the form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FormMode {
    /// One rate without end.
    #[default]
    SimpleContinuous,
    /// Rates by the time of day.
    Flex,
    /// A bolus again and again.
    PeriodicBolus,
    /// One bolus.
    SingleBolus,
    /// What keeps the catheter open.
    MinimumRate,
    /// Nothing.
    Stopped,
}

/// The fields of a [`Form`] that can be wrong, each with the name it has there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "they are those of Form")]
pub enum Field {
    Drug,
    Concentration,
    SecondDrug,
    SecondConcentration,
    Mode,
    Dose,
    Weekdays,
    Weekend,
    BolusDose,
    BolusDuration,
    BolusInterval,
    Basal,
    PatientDose,
    PatientDuration,
    PatientLockout,
    PatientPerDay,
    Bridge,
    Fill,
}

/// A sentence beside a field.
pub type Beside = BTreeMap<Field, String>;

/// What the entries mean, each in the drug's own unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Meaning {
    /// What was understood in each field.
    pub fields: Beside,
    /// The flow; of flex from the lowest to the highest.
    pub flow: Option<String>,
    /// The largest mass in any 24 hours, with every bolus allotted.
    pub day_total: Option<String>,
    /// The change of that against the program in force.
    pub change: Option<String>,
    /// The ratio of the two, when it is large.
    pub times: Option<String>,
    /// How long the reservoir lasts when everything allotted is given.
    pub lasts: Option<String>,
}

/// A form that has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The program can be sent to the pump.
    pub ready: bool,
    /// What is wrong.
    pub errors: Beside,
    /// What is understood.
    pub meaning: Meaning,
    /// The program, when nothing is wrong.
    #[serde(skip)]
    pub program: Option<Program>,
}

impl Form {
    /// The texts that make `program` again, to start from the one in force; `None` when this form cannot say it. Fill and bridge are left
    /// out: each is an act of its own.
    #[must_use]
    pub fn of(program: &Program) -> Option<Self> {
        let drug = program.primary.drug;
        let mut form = Self {
            drug: drug.name().to_owned(),
            concentration: entry(text::concentration(
                program.primary.concentration_ng_per_ml,
                drug,
            )),
            ..Self::default()
        };
        if let Some(second) = program.secondaries.first() {
            second.drug.name().clone_into(&mut form.second_drug);
            form.second_concentration = entry(text::concentration(
                second.concentration_ng_per_ml,
                second.drug,
            ));
        }
        form.write_mode(&program.mode, drug)?;
        if let Some(patient) = &program.patient_bolus {
            form.patient_dose = entry(text::mass(patient.dose_ng, drug));
            form.patient_duration = text::seconds(patient.duration_s);
            form.patient_lockout = text::minutes(u32::from(patient.lockout_min));
            form.patient_per_day = patient.per_day.to_string();
        }
        // Only what comes back whole may be started from: a setting left out would be a setting changed.
        let mut same = program.clone();
        (same.fill, same.bridge) = (None, None);
        let (read, errors) = form.read();
        (read == Some(same) && errors.is_empty()).then_some(form)
    }

    fn write_mode(&mut self, mode: &Mode, drug: Drug) -> Option<()> {
        match mode {
            Mode::Stopped => self.mode = FormMode::Stopped,
            Mode::MinimumRate => self.mode = FormMode::MinimumRate,
            Mode::SimpleContinuous { dose } => {
                self.mode = FormMode::SimpleContinuous;
                self.dose = entry(text::dose(*dose, drug));
            }
            Mode::Flex { week } => {
                let [monday, _, _, _, _, saturday, _] = week.days;
                self.mode = FormMode::Flex;
                self.weekdays = lines(week, monday, drug)?;
                if saturday != monday {
                    self.weekend = lines(week, saturday, drug)?;
                }
            }
            Mode::PeriodicBolus(periodic) => {
                self.mode = FormMode::PeriodicBolus;
                self.bolus_dose = entry(text::mass(periodic.bolus_ng, drug));
                self.bolus_duration = text::seconds(periodic.duration_s);
                self.bolus_interval = text::minutes(periodic.interval_min);
                if let Some(basal) = periodic.basal {
                    self.basal = entry(text::dose(basal, drug));
                }
            }
            Mode::SingleBolus {
                dose_ng,
                duration_s,
            } => {
                self.mode = FormMode::SingleBolus;
                self.bolus_dose = entry(text::mass(*dose_ng, drug));
                self.bolus_duration = text::seconds(*duration_s);
            }
        }
        Some(())
    }

    /// Reads the form against the pump's last status.
    #[must_use]
    pub fn check(&self, status: &Status, kind: PumpKind) -> Checked {
        let (read, errors) = self.read();
        let mut checked = Checked {
            errors,
            ..Checked::default()
        };
        let Some(limits) = PumpLimits::of(&status.limits, kind) else {
            let reason = "the limits that this pump gives for itself make no sense";
            checked.errors.insert(Field::Mode, reason.to_owned());
            return checked;
        };
        self.explain_entries(&mut checked, status);
        let fill = self.read_fill(&limits, &mut checked);
        let Some(read) = read else {
            return checked;
        };
        let program = Program { fill, ..read };
        match limits.prescription(&program) {
            Ok(prescription) => {
                let old = in_force(status, &limits);
                checked.explain(&program, &prescription, status, old);
                // A field that is wrong keeps its error; only a form without any is a program.
                if checked.errors.is_empty() {
                    checked.ready = true;
                    checked.program = Some(program);
                }
            }
            Err(unfit) => {
                checked
                    .errors
                    .insert(self.field_of(&unfit), unfit.to_string());
            }
        }
        checked
    }

    /// The texts as a program without its fill, whatever the pump; `None` when something without which there is none cannot be read.
    fn read(&self) -> (Option<Program>, Beside) {
        let mut reader = Reader::default();
        let primary = self.read_primary(&mut reader);
        let second = self.read_second(&mut reader);
        let mode = self.read_mode(&mut reader);
        let patient = self.read_patient(&mut reader);
        let bridge = self.read_bridge(&mut reader);
        let read = primary.zip(mode).map(|(primary, mode)| Program {
            secondaries: List::of(second),
            patient_bolus: patient,
            bridge,
            ..Program::new(primary, mode)
        });
        (read, reader.errors)
    }

    fn read_primary(&self, reader: &mut Reader) -> Option<Component> {
        let drug = if self.drug.trim().is_empty() {
            reader.wrong(Field::Drug, "choose the drug in the reservoir")
        } else {
            reader.value(Field::Drug, &self.drug)
        };
        let concentration = reader.value(Field::Concentration, &self.concentration);
        Some(component(drug?, concentration?))
    }

    fn read_second(&self, reader: &mut Reader) -> Option<Component> {
        if self.second_drug.trim().is_empty() {
            if !self.second_concentration.trim().is_empty() {
                return reader.wrong(
                    Field::SecondDrug,
                    "choose the second drug, or clear its concentration",
                );
            }
            return None;
        }
        let drug = reader.value(Field::SecondDrug, &self.second_drug);
        let concentration = reader.value(Field::SecondConcentration, &self.second_concentration);
        Some(component(drug?, concentration?))
    }

    fn read_mode(&self, reader: &mut Reader) -> Option<Mode> {
        Some(match self.mode {
            FormMode::Stopped => Mode::Stopped,
            FormMode::MinimumRate => Mode::MinimumRate,
            FormMode::SimpleContinuous => Mode::SimpleContinuous {
                dose: reader.dose(Field::Dose, &self.dose)?,
            },
            FormMode::Flex => Mode::Flex {
                week: self.read_week(reader)?,
            },
            FormMode::PeriodicBolus => {
                let bolus_ng = reader.mass(Field::BolusDose, &self.bolus_dose);
                let duration_s = reader.seconds(Field::BolusDuration, &self.bolus_duration);
                let interval_min = reader.minutes(Field::BolusInterval, &self.bolus_interval);
                let basal = if self.basal.trim().is_empty() {
                    None
                } else {
                    Some(reader.dose(Field::Basal, &self.basal)?)
                };
                Mode::PeriodicBolus(PeriodicBolus {
                    bolus_ng: bolus_ng?,
                    duration_s: duration_s?,
                    interval_min: interval_min?,
                    basal,
                    first_after_min: None,
                })
            }
            FormMode::SingleBolus => {
                let dose_ng = reader.mass(Field::BolusDose, &self.bolus_dose);
                let duration_s = reader.seconds(Field::BolusDuration, &self.bolus_duration);
                Mode::SingleBolus {
                    dose_ng: dose_ng?,
                    duration_s: duration_s?,
                }
            }
        })
    }

    fn read_week(&self, reader: &mut Reader) -> Option<FlexWeek> {
        let weekdays = reader.day(Field::Weekdays, &self.weekdays);
        let weekend = if self.weekend.trim().is_empty() {
            None
        } else {
            Some(reader.day(Field::Weekend, &self.weekend)?)
        };
        let weekdays = weekdays?;
        let mut week = FlexWeek::new(weekdays.per);
        reader.push(Field::Weekdays, &mut week, &weekdays)?;
        if let Some(weekend) = weekend {
            if weekend.per != weekdays.per {
                return reader.wrong(
                    Field::Weekend,
                    "all steps are entered per h, or all per day: those of the weekdays are entered otherwise",
                );
            }
            reader.push(Field::Weekend, &mut week, &weekend)?;
            week.days = [0, 0, 0, 0, 0, 1, 1];
        }
        Some(week)
    }

    /// Whether the mode leaves room for what the patient adds.
    fn takes_patient_bolus(&self) -> bool {
        !matches!(self.mode, FormMode::Stopped | FormMode::SingleBolus)
    }

    fn read_patient(&self, reader: &mut Reader) -> Option<PatientBolus> {
        let entries = [
            &self.patient_dose,
            &self.patient_duration,
            &self.patient_lockout,
            &self.patient_per_day,
        ];
        if !self.takes_patient_bolus() || entries.iter().all(|entry| entry.trim().is_empty()) {
            return None;
        }
        let dose_ng = reader.mass(Field::PatientDose, &self.patient_dose);
        let duration_s = reader.seconds(Field::PatientDuration, &self.patient_duration);
        let lockout = reader.minutes(Field::PatientLockout, &self.patient_lockout);
        let per_day = match self.patient_per_day.trim().parse() {
            Ok(per_day) => Some(per_day),
            Err(_) => reader.wrong(
                Field::PatientPerDay,
                "a whole number of boluses in 24 h, 1 to 24",
            ),
        };
        let lockout_min = match lockout.map(u16::try_from) {
            Some(Ok(minutes)) => Some(minutes),
            Some(Err(_)) => reader.wrong(Field::PatientLockout, "a lockout is at most 24 h"),
            None => None,
        };
        Some(PatientBolus {
            dose_ng: dose_ng?,
            duration_s: duration_s?,
            lockout_min: lockout_min?,
            per_day: per_day?,
            day_cap_ng: None,
            periods: List::new(),
        })
    }

    fn read_bridge(&self, reader: &mut Reader) -> Option<Dose> {
        if self.bridge.trim().is_empty() {
            return None;
        }
        reader.dose(Field::Bridge, &self.bridge)
    }

    fn read_fill(&self, limits: &PumpLimits, checked: &mut Checked) -> Option<Fill> {
        if self.fill.trim().is_empty() {
            if self.top_up {
                let reason = "enter the volume that was added";
                checked.errors.insert(Field::Fill, reason.to_owned());
            }
            return None;
        }
        let fill = self
            .fill
            .parse::<Volume>()
            .map_err(|error| error.to_string())
            .and_then(|fill| check_fill(fill, limits.bounds.capacity));
        match fill {
            Ok(volume_nl) => {
                let added = if self.top_up { "added: " } else { "" };
                let meaning = format!("{added}{}", text::fill(volume_nl));
                checked.meaning.fields.insert(Field::Fill, meaning);
                Some(Fill {
                    volume_nl,
                    top_up: self.top_up,
                })
            }
            Err(error) => {
                checked.errors.insert(Field::Fill, error);
                None
            }
        }
    }

    /// What was understood, in the drug's own unit.
    fn explain_entries(&self, checked: &mut Checked, status: &Status) {
        let mut reader = Reader::default();
        let mut fields = Beside::new();
        let mut concentration = |field, drug: &str, entered: &str| {
            let drug = drug.parse::<Drug>().ok()?;
            let read = entered.parse::<Concentration>().ok()?;
            fields.insert(
                field,
                text::concentration(read.nanograms_per_millilitre(), drug),
            );
            Some(drug)
        };
        concentration(
            Field::SecondConcentration,
            &self.second_drug,
            &self.second_concentration,
        );
        concentration(Field::Concentration, &self.drug, &self.concentration);
        if let Ok(drug) = self.drug.parse::<Drug>() {
            for (field, entered) in [(Field::Dose, &self.dose), (Field::Basal, &self.basal)] {
                if let Some(dose) = reader.dose(field, entered) {
                    fields.insert(field, text::dose(dose, drug));
                }
            }
            for (field, entered) in [
                (Field::BolusDose, &self.bolus_dose),
                (Field::PatientDose, &self.patient_dose),
            ] {
                if let Some(mass) = reader.mass(field, entered) {
                    fields.insert(field, text::mass(mass, drug));
                }
            }
        }
        // A bridge is dosed by the drug that is in the path.
        if let Some(old) = &status.program
            && let Some(dose) = reader.dose(Field::Bridge, &self.bridge)
        {
            let drug = old.primary.drug;
            let meaning = format!("{} of {}", text::dose(dose, drug), drug.name());
            fields.insert(Field::Bridge, meaning);
        }
        checked.meaning.fields = fields;
    }

    /// The field a refusal belongs to.
    fn field_of(&self, unfit: &Unfit) -> Field {
        let bolus = |of_mode, of_patient| {
            if self.mode == FormMode::SingleBolus {
                of_mode
            } else {
                of_patient
            }
        };
        match unfit {
            Unfit::NoConcentration(_) => Field::Concentration,
            Unfit::Mixture(_) => Field::SecondDrug,
            Unfit::BrokenWeek => Field::Weekdays,
            Unfit::BrokenPeriods => Field::PatientDose,
            Unfit::Refused(refusal) => match refusal {
                ProgramRefusal::Kind { .. } => Field::Mode,
                ProgramRefusal::Flow(_) => Field::Dose,
                ProgramRefusal::Week(refusal) => field_of_week(refusal),
                ProgramRefusal::Periodic(refusal) => match refusal {
                    PeriodicRefusal::DurationNotWholeMinutes { .. } => Field::BolusDuration,
                    PeriodicRefusal::IntervalNotWholeMinutes { .. }
                    | PeriodicRefusal::IntervalBelowDuration { .. }
                    | PeriodicRefusal::IntervalTooLong { .. } => Field::BolusInterval,
                    PeriodicRefusal::Basal(_) => Field::Basal,
                    PeriodicRefusal::BolusBelowStep { .. } | PeriodicRefusal::Bolus(_) => {
                        Field::BolusDose
                    }
                },
                ProgramRefusal::Patient(refusal) => match refusal {
                    RuleRefusal::Dose { .. }
                    | RuleRefusal::DailyCap { .. }
                    | RuleRefusal::Period { .. } => Field::PatientDose,
                    RuleRefusal::Duration { .. } => Field::PatientDuration,
                    RuleRefusal::Lockout { .. } => Field::PatientLockout,
                    RuleRefusal::PerDay { .. } => Field::PatientPerDay,
                },
                ProgramRefusal::PatientWithoutBasal => Field::PatientDose,
                ProgramRefusal::BolusDose { .. } => bolus(Field::BolusDose, Field::PatientDose),
                ProgramRefusal::BolusDuration { .. } | ProgramRefusal::BolusTooFast { .. } => {
                    bolus(Field::BolusDuration, Field::PatientDuration)
                }
            },
        }
    }
}

/// A flex day as typed.
struct Day {
    per: Per,
    /// From which minute, and the dose in ng; 0: minimum rate.
    steps: Vec<(u16, u32)>,
}

/// Reads texts and keeps what is wrong with them.
#[derive(Default)]
struct Reader {
    errors: Beside,
}

impl Reader {
    fn wrong<T>(&mut self, field: Field, reason: impl Display) -> Option<T> {
        self.errors.insert(field, reason.to_string());
        None
    }

    fn value<T: FromStr<Err: Display>>(&mut self, field: Field, entered: &str) -> Option<T> {
        match entered.parse() {
            Ok(value) => Some(value),
            Err(error) => self.wrong(field, error),
        }
    }

    fn dose(&mut self, field: Field, entered: &str) -> Option<Dose> {
        let rate: DoseRate = self.value(field, entered)?;
        let nanograms = self.nanograms(field, rate.amount())?;
        Some(Dose {
            nanograms,
            per: rate.per(),
        })
    }

    fn mass(&mut self, field: Field, entered: &str) -> Option<u64> {
        let mass = self.value(field, entered)?;
        self.nanograms(field, mass)
    }

    fn nanograms(&mut self, field: Field, mass: Mass) -> Option<u64> {
        match mass.nanograms_exact() {
            Some(nanograms) => Some(nanograms),
            None => self.wrong(
                field,
                "a dose is counted in steps of 1 ng, at most 18,446,744,073 mg",
            ),
        }
    }

    fn seconds(&mut self, field: Field, entered: &str) -> Option<u32> {
        let duration: Duration = self.value(field, entered)?;
        let seconds = u32::try_from(duration.seconds_rounded_down()).ok();
        match seconds.filter(|seconds| Duration::from_seconds(*seconds) == duration) {
            Some(seconds) => Some(seconds),
            None => self.wrong(field, "a whole number of seconds, 1 s to 24 h"),
        }
    }

    fn minutes(&mut self, field: Field, entered: &str) -> Option<u32> {
        let duration: Duration = self.value(field, entered)?;
        let minutes = u32::try_from(duration.seconds_rounded_down() / 60).ok();
        match minutes.filter(|minutes| Duration::from_minutes(*minutes) == duration) {
            Some(minutes) => Some(minutes),
            None => self.wrong(field, "a whole number of minutes, at least 1 min"),
        }
    }

    /// The steps of a day, a line each. What the first dose is stated over holds for all.
    fn day(&mut self, field: Field, entered: &str) -> Option<Day> {
        let mut steps = Vec::new();
        let mut per = None;
        for (number, line) in (1_u32..).zip(entered.lines().filter(|line| !line.trim().is_empty()))
        {
            match step(line, &mut per) {
                Ok(step) => steps.push(step),
                Err(reason) => return self.wrong(field, format!("line {number}: {reason}")),
            }
        }
        if steps.is_empty() {
            return self.wrong(
                field,
                "a step a line, the first from 00:00, such as 00:00 15 mcg/h",
            );
        }
        let per = per.unwrap_or(Per::Hour);
        Some(Day { per, steps })
    }

    fn push(&mut self, field: Field, week: &mut FlexWeek, day: &Day) -> Option<()> {
        let pushed = week.push_pattern(day.steps.iter().copied());
        match pushed {
            Some(()) => Some(()),
            None => self.wrong(
                field,
                "the first step is from 00:00, each later than the one before, the last from 23:59 at the latest, at most 96 in all",
            ),
        }
    }
}

/// `06:00 15 mcg/h`, or `06:00 minimum rate`, whose dose is 0. `per` is what the doses before are stated over.
fn step(line: &str, per: &mut Option<Per>) -> Result<(u16, u32), String> {
    let (time, dose) = line
        .trim()
        .split_once(char::is_whitespace)
        .ok_or("a time and a dose, such as 06:00 15 mcg/h")?;
    let from = time_of_day(time).ok_or("a time from 00:00 to 23:59, such as 06:00")?;
    let dose = dose.trim();
    if dose == MINIMUM_RATE {
        return Ok((from, 0));
    }
    let rate: DoseRate = dose
        .parse()
        .map_err(|error: QuantityError| error.to_string())?;
    if *per.get_or_insert(rate.per()) != rate.per() {
        return Err("all steps are entered per h, or all per day".to_owned());
    }
    let nanograms = rate
        .amount()
        .nanograms_exact()
        .and_then(|nanograms| u32::try_from(nanograms).ok())
        .filter(|nanograms| (1..=FlexStep::LARGEST_NG).contains(nanograms))
        .ok_or("a dose is counted in steps of 1 ng, 1 ng to 268 mg; for the least flow write minimum rate")?;
    Ok((from, nanograms))
}

/// Minutes from midnight of `06:30`.
fn time_of_day(entered: &str) -> Option<u16> {
    let (hours, minutes) = entered.split_once(':')?;
    let two_digits = |digits: &str| {
        let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse::<u16>().ok()).flatten()
    };
    let hours = two_digits(hours).filter(|hours| *hours < 24)?;
    let minutes = two_digits(minutes).filter(|minutes| *minutes < 60)?;
    hours.checked_mul(60)?.checked_add(minutes)
}

/// The steps of a pattern as they are typed.
fn lines(week: &FlexWeek, pattern: u8, drug: Drug) -> Option<String> {
    let lines: Vec<_> = from_minutes(week.pattern(pattern)?)
        .map(|(from, dose_ng)| {
            let dose = match dose_ng {
                0 => MINIMUM_RATE.to_owned(),
                _ => entry(text::dose(
                    Dose {
                        nanograms: u64::from(dose_ng),
                        per: week.per,
                    },
                    drug,
                )),
            };
            format!("{} {dose}", text::time_of_day(from))
        })
        .collect();
    Some(lines.join("\n"))
}

/// Without the commas that belong on a screen and are refused in an entry.
fn entry(shown: String) -> String {
    shown.replace(',', "")
}

fn component(drug: Drug, concentration: Concentration) -> Component {
    Component {
        drug,
        concentration_ng_per_ml: concentration.nanograms_per_millilitre(),
    }
}

/// Weekdays or weekend, by the day the step belongs to.
fn field_of_week(refusal: &WeekRefusal) -> Field {
    let day = match refusal {
        WeekRefusal::PatternMissing { day, .. } => *day,
        WeekRefusal::PatternUnused { .. } => Weekday::Monday,
        WeekRefusal::StartsLate { at }
        | WeekRefusal::BeyondTheDay { at }
        | WeekRefusal::TooManySteps { at }
        | WeekRefusal::NotLater { at, .. }
        | WeekRefusal::ChangesNothing { at }
        | WeekRefusal::Flow { at, .. } => {
            let StepPlace { day, .. } = at;
            *day
        }
    };
    match day {
        Weekday::Saturday | Weekday::Sunday => Field::Weekend,
        _ => Field::Weekdays,
    }
}

impl Checked {
    /// Writes down what a program that passed the checks means beside the one in force.
    fn explain(
        &mut self,
        program: &Program,
        prescription: &Prescription,
        status: &Status,
        old: Option<(Drug, u64)>,
    ) {
        let drug = program.primary.drug;
        let total = day_total_nanograms(prescription);
        let change = Change::of(old, (drug, total));
        self.meaning.flow = Some(flow_range(prescription));
        self.meaning.day_total = Some(text::mass(total, drug));
        self.meaning.change = Some(change.text());
        self.meaning.times = change.times();
        self.meaning.lasts = reservoir_after(program, status)
            .and_then(|volume| emptying_flow(prescription).time_for(volume))
            .map(|time| text::time(time.millis_rounded_down()));
        if let Some(week) = prescription.week() {
            let mut day = |field, name: &str, day| {
                let total = text::mass(week.day_total(day).nanograms_rounded_down(), drug);
                self.meaning
                    .fields
                    .insert(field, format!("{total} on a {name}"));
            };
            day(Field::Weekdays, "Monday", Weekday::Monday);
            day(Field::Weekend, "Saturday", Weekday::Saturday);
        }
        if let Some((binding, most)) = prescription.patient_rule().map(PatientBolusRule::binding) {
            let binds = match binding {
                Binding::Lockout => "the lockout binds, not the number",
                Binding::Mass => "the cap of the dose binds, not the number",
                Binding::Number => "the number binds",
            };
            self.meaning.fields.insert(
                Field::PatientPerDay,
                format!("at most {most} in any 24 h: {binds}"),
            );
        }
    }
}

/// One flow, or the lowest and the highest of a week.
fn flow_range(prescription: &Prescription) -> String {
    let (lowest, highest) = (prescription.flow(), prescription.highest_flow());
    let shown = |flow: Flow| text::flow(flow.per_day_nanolitres_rounded_down());
    if lowest == highest {
        shown(lowest)
    } else {
        format!("{} to {}", shown(lowest), shown(highest))
    }
}

/// The drug and the 24-hour total of the program in force; `None` when there is none that this pump could give.
#[must_use]
pub fn in_force(status: &Status, limits: &PumpLimits) -> Option<(Drug, u64)> {
    limits.day_total(status.program.as_ref()?)
}

/// What will be in the reservoir.
#[must_use]
pub fn reservoir_after(program: &Program, status: &Status) -> Option<Volume> {
    let left = status.reservoir_fl.map(Volume::from_femtolitres);
    match program.fill {
        Some(Fill {
            volume_nl,
            top_up: true,
        }) => left?.checked_add(Volume::from_nanolitres(volume_nl)),
        Some(Fill { volume_nl, .. }) => Some(Volume::from_nanolitres(volume_nl)),
        None => left,
    }
}

/// The volume in whole nanolitres, when the reservoir takes it.
fn check_fill(fill: Volume, capacity: Volume) -> Result<u32, String> {
    if fill == Volume::ZERO {
        return Err(
            "a fill is more than nothing: leave the field empty when the reservoir was not refilled"
                .to_owned(),
        );
    }
    Reservoir::unknown()
        .fill(fill, capacity)
        .map_err(|refusal: Refusal| refusal.to_string())?;
    u32::try_from(fill.nanolitres_rounded_down())
        .ok()
        .filter(|nanolitres| Volume::from_nanolitres(*nanolitres) == fill)
        .ok_or_else(|| "a fill is counted in steps of 1 nL".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;
    use crate::test_pump::{
        KIND, baclofen, baclofen_form, flex, fresh_status, periodic, running_status,
        with_patient_bolus,
    };

    fn checked(change: impl FnOnce(&mut Form)) -> Checked {
        let mut form = baclofen_form("20 mL", "250 mcg/day");
        change(&mut form);
        form.check(&fresh_status(), KIND)
    }

    #[test]
    fn a_good_form_is_a_program_and_says_what_it_means() {
        let checked = checked(|_| {});
        assert!(checked.ready);
        assert_eq!(checked.errors, Beside::new());
        assert_eq!(checked.program, Some(baclofen(Some(20_000_000), 250_000)));
        let meaning = checked.meaning;
        assert_eq!(
            meaning
                .fields
                .get(&Field::Concentration)
                .map(String::as_str),
            Some("2,000 mcg/mL")
        );
        assert_eq!(
            meaning.fields.get(&Field::Fill).map(String::as_str),
            Some("20 mL")
        );
        assert_eq!(
            meaning.fields.get(&Field::Dose).map(String::as_str),
            Some("250 mcg/day")
        );
        assert_eq!(meaning.flow.as_deref(), Some("0.125 mL/day"));
        assert_eq!(meaning.day_total.as_deref(), Some("250 mcg"));
        assert_eq!(meaning.change.as_deref(), Some("new start"));
        assert_eq!(meaning.lasts.as_deref(), Some("160 days"));
    }

    #[test]
    fn the_reference_case_flows_a_quarter_of_a_millilitre() {
        let form = Form {
            drug: "morphine".to_owned(),
            concentration: "10 mg/mL".to_owned(),
            fill: String::new(),
            mode: FormMode::SimpleContinuous,
            dose: "2.5 mg/day".to_owned(),
            ..Form::default()
        };
        let checked = form.check(&fresh_status(), KIND);
        assert_eq!(checked.meaning.flow.as_deref(), Some("0.25 mL/day"));
        assert_eq!(checked.meaning.lasts, None);
        assert!(checked.ready);
    }

    #[test]
    fn the_change_is_against_the_program_in_force() {
        let status = running_status(baclofen(None, 450_000));
        let up = baclofen_form("", "540 mcg/day")
            .check(&status, KIND)
            .meaning;
        assert_eq!(up.change.as_deref(), Some("+20.0 %"));
        assert_eq!(up.times, None);
        let hourly = baclofen_form("", "450 mcg/h").check(&status, KIND).meaning;
        assert_eq!(hourly.change.as_deref(), Some("+2,300.0 %"));
        assert_eq!(hourly.times.as_deref(), Some("24 times the present total"));
        assert_eq!(hourly.day_total.as_deref(), Some("10,800 mcg"));
    }

    #[test]
    fn a_unit_that_is_missing_unknown_or_of_something_else_is_refused_beside_its_field() {
        for dose in [
            "250",
            "250 ug/day",
            "250 mcg",
            "0.125 mL/day",
            "250 mcg/d",
            "250 MCG/DAY",
        ] {
            let checked = checked(|form| form.dose = dose.to_owned());
            assert!(!checked.ready, "{dose} was taken");
            assert_eq!(checked.program, None);
            let message = &checked.errors[&Field::Dose];
            assert!(message.contains("mcg/day"), "{message}");
            assert_eq!(checked.errors.len(), 1);
        }
        for concentration in ["2", "2 mg", "2 mg/day", "2 g/mL", "2,000 mcg/mL"] {
            let checked = checked(|form| form.concentration = concentration.to_owned());
            assert!(!checked.ready, "{concentration} was taken");
            assert!(checked.errors.contains_key(&Field::Concentration));
        }
        for fill in ["20", "20 mg", "20 ml", "21 mL", "0 mL", "0.0000000001 mL"] {
            let checked = checked(|form| form.fill = fill.to_owned());
            assert!(!checked.ready, "{fill} was taken");
            assert!(checked.errors.contains_key(&Field::Fill), "{fill}");
            // What is right is explained all the same.
            assert_eq!(checked.meaning.flow.as_deref(), Some("0.125 mL/day"));
        }
    }

    #[test]
    fn the_pumps_own_limits_bind_including_their_ends() {
        for (dose, taken) in [
            ("96 mcg/day", true),
            ("95.999 mcg/day", false),
            ("48 mg/day", true),
            ("48.001 mg/day", false),
            ("0 mcg/day", false),
        ] {
            let checked = checked(|form| form.dose = dose.to_owned());
            assert_eq!(checked.ready, taken, "{dose}");
            assert_eq!(!checked.errors.contains_key(&Field::Dose), taken, "{dose}");
        }
        let mut status = fresh_status();
        status.limits.highest_nl_per_day = 124_999;
        let checked = baclofen_form("", "250 mcg/day").check(&status, KIND);
        assert!(!checked.ready);
        status.limits.step_volume_fl = 0;
        assert!(!baclofen_form("", "250 mcg/day").check(&status, KIND).ready);
    }

    #[test]
    fn a_dose_finer_than_the_wire_can_say_is_refused() {
        let checked = checked(|form| form.dose = "250.0000001 mcg/day".to_owned());
        assert!(checked.errors[&Field::Dose].contains("1 ng"));
    }

    #[test]
    fn stopped_needs_no_dose() {
        let checked = checked(|form| {
            form.mode = FormMode::Stopped;
            form.dose = "nonsense".to_owned();
        });
        assert!(checked.ready);
        assert_eq!(checked.meaning.flow.as_deref(), Some("0 mL/day"));
        assert_eq!(checked.meaning.lasts, None);
    }

    #[test]
    fn an_unknown_drug_is_refused_with_the_list() {
        let checked = checked(|form| form.drug = "aspirin".to_owned());
        assert!(checked.errors[&Field::Drug].contains("ziconotide"));
    }

    #[test]
    fn the_texts_of_a_program_make_the_same_program() {
        let mut programs = vec![
            baclofen(None, 250_000),
            with_patient_bolus(250_000),
            flex(),
            periodic(),
        ];
        for drug in Drug::ALL {
            for per in [Per::Hour, Per::Day] {
                let primary = Component {
                    drug,
                    concentration_ng_per_ml: 12_345_678,
                };
                let dose = Dose {
                    nanograms: 1_234_567,
                    per,
                };
                programs.push(Program::new(primary, Mode::SimpleContinuous { dose }));
            }
        }
        let primary = baclofen(None, 1).primary;
        for mode in [
            Mode::Stopped,
            Mode::MinimumRate,
            Mode::SingleBolus {
                dose_ng: 50_000,
                duration_s: 90,
            },
        ] {
            programs.push(Program::new(primary, mode));
        }
        let mut mixed = with_patient_bolus(250_000);
        let morphine = Component {
            drug: Drug::Morphine,
            concentration_ng_per_ml: 5_000_000,
        };
        mixed.secondaries.push(morphine).unwrap();
        programs.push(mixed);
        for program in programs {
            let form = Form::of(&program).expect("the form can say it");
            assert_eq!(form.check(&fresh_status(), KIND).program, Some(program));
        }
    }

    /// Starting from a program must not drop a setting that the form does not have.
    #[test]
    fn a_program_the_form_cannot_say_is_not_offered() {
        let mut marked = baclofen(None, 250_000);
        marked.low_mark_nl = Some(2_000_000);
        assert_eq!(Form::of(&marked), None);
        let mut capped = with_patient_bolus(250_000);
        if let Some(bolus) = &mut capped.patient_bolus {
            bolus.day_cap_ng = Some(30_000);
        }
        assert_eq!(Form::of(&capped), None);
        let mut sunday = flex();
        if let Mode::Flex { week } = &mut sunday.mode {
            week.days = [0, 0, 0, 0, 0, 0, 1];
        }
        assert_eq!(Form::of(&sunday), None);
        // A refill and a bridge are acts of their own, and never started from.
        let filled = baclofen(Some(20_000_000), 250_000);
        assert_eq!(Form::of(&filled), Form::of(&baclofen(None, 250_000)));
    }

    fn flex_form(weekdays: &str, weekend: &str) -> Form {
        Form {
            mode: FormMode::Flex,
            weekdays: weekdays.to_owned(),
            weekend: weekend.to_owned(),
            ..baclofen_form("", "")
        }
    }

    #[test]
    fn a_flex_day_is_typed_a_step_a_line() {
        let form = flex_form("00:00 15 mcg/h\n\n 08:00  20 mcg/h \n", "00:00 15 mcg/h");
        let checked = form.check(&fresh_status(), KIND);
        assert_eq!(checked.errors, Beside::new());
        assert_eq!(checked.program, Some(flex()));
        assert_eq!(checked.meaning.day_total.as_deref(), Some("440 mcg"));
        assert_eq!(
            checked.meaning.flow.as_deref(),
            Some("0.18 mL/day to 0.24 mL/day")
        );
        assert_eq!(
            checked.meaning.fields[&Field::Weekdays],
            "440 mcg on a Monday"
        );
        assert_eq!(
            checked.meaning.fields[&Field::Weekend],
            "360 mcg on a Saturday"
        );
    }

    #[test]
    fn what_is_wrong_with_a_flex_day_is_told_beside_it() {
        for (weekdays, weekend, field, word) in [
            ("", "", Field::Weekdays, "00:00"),
            ("06:00 15 mcg/h", "", Field::Weekdays, "00:00"),
            ("00:00 15", "", Field::Weekdays, "line 1"),
            (
                "00:00 15 mcg/h\n24:00 20 mcg/h",
                "",
                Field::Weekdays,
                "line 2",
            ),
            (
                "00:00 15 mcg/h\n8:00 20 mcg/h",
                "",
                Field::Weekdays,
                "line 2",
            ),
            (
                "00:00 15 mcg/h\n08:00 360 mcg/day",
                "",
                Field::Weekdays,
                "per h, or all per day",
            ),
            ("00:00 0 mcg/h", "", Field::Weekdays, "minimum rate"),
            (
                "00:00 15 mcg/h\n06:00 15 mcg/h",
                "",
                Field::Weekdays,
                "Monday",
            ),
            (
                "00:00 1 mcg/h",
                "",
                Field::Weekdays,
                "lowest therapeutic rate",
            ),
            (
                "00:00 15 mcg/h",
                "00:00 1 mcg/h",
                Field::Weekend,
                "lowest therapeutic rate",
            ),
            (
                "00:00 15 mcg/h",
                "00:00 360 mcg/day",
                Field::Weekend,
                "per day",
            ),
            ("00:00 15 mcg/h", "12:00 15 mcg/h", Field::Weekend, "00:00"),
        ] {
            let checked = flex_form(weekdays, weekend).check(&fresh_status(), KIND);
            assert!(!checked.ready, "{weekdays:?}");
            let error = checked.errors.get(&field);
            assert!(
                error.is_some_and(|error| error.contains(word)),
                "{weekdays:?} {weekend:?}: {:?}",
                checked.errors
            );
        }
    }

    #[test]
    fn a_step_may_be_minimum_rate() {
        let form = flex_form("00:00 minimum rate\n06:00 15 mcg/h", "");
        assert!(form.check(&fresh_status(), KIND).ready);
    }

    /// What a mistake changes, and the field it has to be told beside.
    type Mistake = (fn(&mut Form), Field);

    #[test]
    fn a_patient_bolus_is_whole_or_not_there() {
        let with = |change: fn(&mut Form)| {
            let mut form = Form::of(&with_patient_bolus(250_000)).unwrap();
            change(&mut form);
            form.check(&fresh_status(), KIND)
        };
        let whole = with(|_| {});
        assert_eq!(whole.program, Some(with_patient_bolus(250_000)));
        assert_eq!(whole.meaning.day_total.as_deref(), Some("290 mcg"));
        assert_eq!(
            whole.meaning.fields[&Field::PatientPerDay],
            "at most 4 in any 24 h: the number binds"
        );
        let binding = with(|form| form.patient_lockout = "8 h".to_owned());
        assert_eq!(
            binding.meaning.fields[&Field::PatientPerDay],
            "at most 3 in any 24 h: the lockout binds, not the number"
        );
        let mistakes: [Mistake; 7] = [
            (|form| form.patient_dose.clear(), Field::PatientDose),
            (|form| form.patient_duration.clear(), Field::PatientDuration),
            (|form| form.patient_lockout.clear(), Field::PatientLockout),
            (
                |form| form.patient_lockout = "1 min".to_owned(),
                Field::PatientLockout,
            ),
            (
                |form| form.patient_per_day = "4.5".to_owned(),
                Field::PatientPerDay,
            ),
            (
                |form| form.patient_per_day = "25".to_owned(),
                Field::PatientPerDay,
            ),
            (
                |form| form.patient_duration = "1 s".to_owned(),
                Field::PatientDuration,
            ),
        ];
        for (change, field) in mistakes {
            let checked = with(change);
            assert!(
                !checked.ready && checked.errors.contains_key(&field),
                "{field:?}"
            );
        }
        // Stopped, there is nothing beneath it.
        let stopped = with(|form| form.mode = FormMode::Stopped);
        assert!(
            stopped
                .program
                .is_some_and(|program| program.patient_bolus.is_none())
        );
    }

    #[test]
    fn periodic_and_single_boluses_are_read_with_their_units() {
        let mut form = Form::of(&periodic()).unwrap();
        form.bolus_interval = "240".to_owned();
        let checked = form.check(&fresh_status(), KIND);
        assert!(checked.errors.contains_key(&Field::BolusInterval));
        form.bolus_interval = "5 min".to_owned();
        let checked = form.check(&fresh_status(), KIND);
        assert!(checked.errors.contains_key(&Field::BolusInterval));
        form.bolus_interval = "4 h".to_owned();
        form.basal = "1 mcg/day".to_owned();
        let checked = form.check(&fresh_status(), KIND);
        assert!(checked.errors.contains_key(&Field::Basal));
        form.mode = FormMode::SingleBolus;
        form.bolus_duration = "1 s".to_owned();
        let checked = form.check(&fresh_status(), KIND);
        assert!(checked.errors.contains_key(&Field::BolusDuration));
    }

    #[test]
    fn a_second_drug_needs_its_concentration_and_is_no_drug_twice() {
        let with = |drug: &str, concentration: &str| {
            let form = Form {
                second_drug: drug.to_owned(),
                second_concentration: concentration.to_owned(),
                ..baclofen_form("", "250 mcg/day")
            };
            form.check(&fresh_status(), KIND)
        };
        let mixed = with("clonidine", "100 mcg/mL");
        assert!(mixed.ready);
        assert_eq!(mixed.program.unwrap().secondaries.len(), 1);
        assert!(
            with("clonidine", "100")
                .errors
                .contains_key(&Field::SecondConcentration)
        );
        assert!(
            with("", "100 mcg/mL")
                .errors
                .contains_key(&Field::SecondDrug)
        );
        assert!(
            with("baclofen", "1 mg/mL")
                .errors
                .contains_key(&Field::SecondDrug)
        );
    }

    #[test]
    fn a_top_up_adds_to_what_is_left() {
        let status = running_status(baclofen(None, 250_000));
        let form = Form {
            top_up: true,
            ..baclofen_form("0.002 mL", "250 mcg/day")
        };
        let checked = form.check(&status, KIND);
        let fill = checked.program.and_then(|program| program.fill);
        assert_eq!(
            fill,
            Some(Fill {
                volume_nl: 2_000,
                top_up: true
            })
        );
        assert_eq!(checked.meaning.fields[&Field::Fill], "added: 0.002 mL");
        assert_eq!(checked.meaning.lasts.as_deref(), Some("159 days"));
        let nothing = Form {
            fill: String::new(),
            ..form
        };
        assert!(
            nothing
                .check(&status, KIND)
                .errors
                .contains_key(&Field::Fill)
        );
    }

    #[test]
    fn a_bridge_is_a_dose_of_the_drug_before() {
        let form = Form {
            bridge: "200 mcg/day".to_owned(),
            drug: "morphine".to_owned(),
            concentration: "10 mg/mL".to_owned(),
            dose: "2.5 mg/day".to_owned(),
            ..Form::default()
        };
        let checked = form.check(&running_status(baclofen(None, 250_000)), KIND);
        assert_eq!(
            checked.meaning.fields[&Field::Bridge],
            "200 mcg/day of baclofen"
        );
        assert!(
            checked
                .program
                .is_some_and(|program| program.bridge.is_some())
        );
    }

    proptest! {
        /// Whatever its steps, a flex program is offered to start from and reads back as the same.
        #[test]
        fn any_flex_week_reads_back(
            first in 0..=FlexStep::LARGEST_NG,
            later in btree_map(1_u16..1_440, 0..=FlexStep::LARGEST_NG, 0..24),
            weekend in 0..=FlexStep::LARGEST_NG,
            per in prop::sample::select(vec![Per::Hour, Per::Day]),
            drug in prop::sample::select(Drug::ALL.to_vec()),
        ) {
            // Without any dose nothing says what they are stated over.
            prop_assume!(weekend != 0 && (first != 0 || later.values().any(|dose| *dose != 0)));
            let mut week = FlexWeek::new(per);
            week.push_pattern(core::iter::once((0, first)).chain(later)).unwrap();
            week.push_pattern([(0, weekend)]).unwrap();
            week.days = [0, 0, 0, 0, 0, 1, 1];
            let primary = Component { drug, concentration_ng_per_ml: 1 };
            let program = Program::new(primary, Mode::Flex { week });
            let form = Form::of(&program);
            prop_assert!(form.is_some());
            prop_assert_eq!(form.unwrap().read().0, Some(program));
        }

        /// Nothing that is typed breaks the form, and what is ready has no error.
        #[test]
        fn anything_may_be_typed(
            texts in prop::collection::vec("([0-9]{1,3}(:[0-9]{2})?( (mg|mcg|mL|min|h)(/(mL|day|h))?)?\n?|\\PC{0,12})", 16),
            mode in 0_usize..6,
            top_up: bool,
        ) {
            let modes = [
                FormMode::SimpleContinuous,
                FormMode::Flex,
                FormMode::PeriodicBolus,
                FormMode::SingleBolus,
                FormMode::MinimumRate,
                FormMode::Stopped,
            ];
            let mut texts = texts.into_iter();
            let mut next = || texts.next().unwrap_or_default();
            let form = Form {
                drug: "baclofen".to_owned(),
                concentration: next(),
                second_drug: next(),
                second_concentration: next(),
                mode: modes[mode],
                dose: next(),
                weekdays: next(),
                weekend: next(),
                bolus_dose: next(),
                bolus_duration: next(),
                bolus_interval: next(),
                basal: next(),
                patient_dose: next(),
                patient_duration: next(),
                patient_lockout: next(),
                patient_per_day: next(),
                bridge: next(),
                fill: next(),
                top_up,
            };
            let checked = form.check(&fresh_status(), KIND);
            prop_assert_eq!(checked.ready, checked.program.is_some());
            prop_assert_eq!(checked.ready, checked.errors.is_empty());
        }
    }
}
