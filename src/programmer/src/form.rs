//! The form: texts in, a program out, each fault beside the field it belongs to.
//!
//! A program that passes here passes in the pump: texts are read by `units`, the prescription is checked by `therapy` against
//! the limits that this very pump gave in its status. The pump checks again all the same, and it decides.
use protocol::{Dose, Limits, Mode, Program, Status};
use serde::{Deserialize, Serialize};
use therapy::{Bounds, Draft, Prescription, Refusal, Reservoir};
use units::{Concentration, DoseRate, Drug, Flow, FlowRate, Mass, Per, StepVolume, Volume};

use crate::change::Change;
use crate::text;

/// What stands in the fields, as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// A drug's name; empty while none is chosen.
    pub drug: String,
    /// With its unit, such as `2 mg/mL`.
    pub concentration: String,
    /// Volume after a refill with its unit, such as `20 mL`; empty when the reservoir was not refilled.
    pub fill: String,
    /// How to deliver.
    pub mode: FormMode,
    /// With its unit, such as `250 mcg/day`; not read while stopped.
    pub dose: String,
}

/// The mode chosen in the form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FormMode {
    /// One rate without end.
    #[default]
    SimpleContinuous,
    /// Nothing.
    Stopped,
}

/// What is wrong, by field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Errors {
    /// About the drug.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drug: Option<String>,
    /// About the concentration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concentration: Option<String>,
    /// About the reservoir fill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fill: Option<String>,
    /// About the dose, or about the flow that dose and concentration give together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dose: Option<String>,
}

/// What the entries mean, each in the drug's own unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Meaning {
    /// The concentration, once it and the drug are readable.
    pub concentration: Option<String>,
    /// The volume after the refill.
    pub fill: Option<String>,
    /// The dose, once it and the drug are readable.
    pub dose: Option<String>,
    /// The flow.
    pub flow: Option<String>,
    /// The mass in 24 hours.
    pub day_total: Option<String>,
    /// The change of that against the program in force.
    pub change: Option<String>,
    /// The ratio of the two, when it is large.
    pub times: Option<String>,
    /// How long the reservoir lasts at that flow.
    pub lasts: Option<String>,
}

/// A form that has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The program can be sent to the pump.
    pub ready: bool,
    /// What is wrong.
    pub errors: Errors,
    /// What is understood.
    pub meaning: Meaning,
    /// The program, when nothing is wrong.
    #[serde(skip)]
    pub program: Option<Program>,
}

/// The texts that a program would be entered with: for starting from the one in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Texts {
    drug: &'static str,
    concentration: String,
    mode: &'static str,
    dose: String,
}

impl Texts {
    /// Those of a program. Its fill is left out: a refill is an act of its own.
    #[must_use]
    pub fn of(program: &Program) -> Self {
        // Without the commas that belong on a screen and are refused in an entry.
        let entry = |shown: String| shown.replace(',', "");
        let (mode, dose) = match &program.mode {
            Mode::Stopped => ("stopped", String::new()),
            Mode::SimpleContinuous { dose } => {
                ("simple-continuous", entry(text::dose(*dose, program.drug)))
            }
        };
        Self {
            drug: program.drug.name(),
            concentration: entry(text::concentration(
                program.concentration_ng_per_ml,
                program.drug,
            )),
            mode,
            dose,
        }
    }
}

/// The wire's dose as a dose rate.
#[must_use]
pub const fn dose_rate(dose: Dose) -> DoseRate {
    DoseRate::new(Mass::from_nanograms(dose.nanograms), dose.per)
}

/// The flow that a program means; zero when stopped, and when its concentration is none.
#[must_use]
pub fn flow_of(program: &Program) -> Flow {
    match (
        &program.mode,
        Concentration::from_nanograms_per_millilitre(program.concentration_ng_per_ml),
    ) {
        (Mode::SimpleContinuous { dose }, Some(concentration)) => {
            dose_rate(*dose).flow(concentration)
        }
        (Mode::Stopped, _) | (_, None) => Flow::ZERO,
    }
}

/// The 24-hour total of a program in nanograms, at most what can be held.
#[must_use]
pub fn day_total_nanograms(program: &Program) -> u64 {
    match &program.mode {
        Mode::Stopped => 0,
        Mode::SimpleContinuous { dose } => dose_rate(*dose)
            .per_day()
            .map_or(u64::MAX, Mass::nanograms_rounded_down),
    }
}

/// The bounds of a pump from the limits it gives; `None` when they make no sense.
fn bounds(limits: &Limits) -> Option<Bounds> {
    let per_day = |nanolitres| FlowRate::new(Volume::from_nanolitres(nanolitres), Per::Day);
    Some(Bounds {
        step_volume: StepVolume::new(limits.step_volume_fl)?,
        lowest: per_day(limits.lowest_nl_per_day),
        highest: per_day(limits.highest_nl_per_day),
        capacity: Volume::from_nanolitres(limits.capacity_nl),
        ..Bounds::PROGRAMMABLE_IMPLANT
    })
}

impl Form {
    /// Reads the form against the pump's last status.
    #[must_use]
    pub fn check(&self, status: &Status) -> Checked {
        let mut checked = Checked::default();
        let drug = read_drug(&self.drug, &mut checked.errors);
        let concentration = keep(
            self.concentration.parse::<Concentration>(),
            &mut checked.errors.concentration,
        );
        if let (Some(drug), Some(concentration)) = (drug, concentration) {
            checked.meaning.concentration = Some(text::concentration(
                concentration.nanograms_per_millilitre(),
                drug,
            ));
        }
        let Some(bounds) = bounds(&status.limits) else {
            checked.errors.dose =
                Some("the limits that this pump gives for itself make no sense".to_owned());
            return checked;
        };
        let fill = self.read_fill(&bounds, &mut checked);
        let mode = self.read_mode(drug, &mut checked);
        let (Some(drug), Some(concentration), Some((mode, wire_mode))) =
            (drug, concentration, mode)
        else {
            return checked;
        };
        let draft = Draft {
            drug,
            concentration,
            mode,
        };
        let prescription = match Prescription::new(draft, &bounds) {
            Ok(prescription) => prescription,
            Err(refusal) => {
                checked.errors.dose = Some(refusal.to_string());
                return checked;
            }
        };
        let program = Program {
            drug,
            concentration_ng_per_ml: concentration.nanograms_per_millilitre(),
            fill_nl: fill.unwrap_or(None),
            mode: wire_mode,
        };
        checked.explain(&program, &prescription, status);
        // A field that is wrong keeps its error; only a form without any is a program.
        if checked.errors == Errors::default() && fill.is_some() {
            checked.ready = true;
            checked.program = Some(program);
        }
        checked
    }

    /// `Some(None)`: not refilled. `None`: there is an error.
    fn read_fill(&self, bounds: &Bounds, checked: &mut Checked) -> Option<Option<u32>> {
        if self.fill.trim().is_empty() {
            return Some(None);
        }
        let fill = keep(self.fill.parse::<Volume>(), &mut checked.errors.fill)?;
        match check_fill(fill, bounds.capacity) {
            Ok(nanolitres) => {
                checked.meaning.fill = Some(text::fill(nanolitres));
                Some(Some(nanolitres))
            }
            Err(message) => {
                checked.errors.fill = Some(message);
                None
            }
        }
    }

    fn read_mode(
        &self,
        drug: Option<Drug>,
        checked: &mut Checked,
    ) -> Option<(therapy::Mode, Mode)> {
        if self.mode == FormMode::Stopped {
            return Some((therapy::Mode::Stopped, Mode::Stopped));
        }
        let rate = keep(self.dose.parse::<DoseRate>(), &mut checked.errors.dose)?;
        let Some(nanograms) = rate.amount().nanograms_exact() else {
            let reason = "a dose is counted in steps of 1 ng, at most 18,446,744,073 mg";
            checked.errors.dose = Some(reason.to_owned());
            return None;
        };
        let dose = Dose {
            nanograms,
            per: rate.per(),
        };
        checked.meaning.dose = drug.map(|drug| text::dose(dose, drug));
        Some((
            therapy::Mode::SimpleContinuous(rate),
            Mode::SimpleContinuous { dose },
        ))
    }
}

impl Checked {
    /// Writes down what a program that passed the checks means beside the one in force.
    fn explain(&mut self, program: &Program, prescription: &Prescription, status: &Status) {
        let total = prescription.day_total().nanograms_rounded_down();
        let change = Change::of(in_force(status), (program.drug, total));
        let volume = match program.fill_nl {
            Some(fill) => Some(Volume::from_nanolitres(fill)),
            None => status.reservoir_fl.map(Volume::from_femtolitres),
        };
        self.meaning.flow = Some(text::flow(
            prescription.flow().per_day_nanolitres_rounded_down(),
        ));
        self.meaning.day_total = Some(text::mass(total, program.drug));
        self.meaning.change = Some(change.text());
        self.meaning.times = change.times();
        self.meaning.lasts = volume
            .and_then(|volume| prescription.flow().time_for(volume))
            .map(|time| text::time(time.millis_rounded_down()));
    }
}

/// The drug and the 24-hour total of the program in force.
#[must_use]
pub fn in_force(status: &Status) -> Option<(Drug, u64)> {
    let program = status.program.as_ref()?;
    Some((program.drug, day_total_nanograms(program)))
}

fn read_drug(name: &str, errors: &mut Errors) -> Option<Drug> {
    if name.trim().is_empty() {
        errors.drug = Some("choose the drug in the reservoir".to_owned());
        return None;
    }
    keep(name.parse::<Drug>(), &mut errors.drug)
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

/// The value, or its error put where it is shown.
fn keep<T, E: core::fmt::Display>(read: Result<T, E>, error: &mut Option<String>) -> Option<T> {
    match read {
        Ok(value) => Some(value),
        Err(reason) => {
            *error = Some(reason.to_string());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_pump::{baclofen, baclofen_form, fresh_status, running_status};

    fn checked(change: impl FnOnce(&mut Form)) -> Checked {
        let mut form = baclofen_form("20 mL", "250 mcg/day");
        change(&mut form);
        form.check(&fresh_status())
    }

    #[test]
    fn a_good_form_is_a_program_and_says_what_it_means() {
        let checked = checked(|_| {});
        assert!(checked.ready);
        assert_eq!(checked.errors, Errors::default());
        assert_eq!(checked.program, Some(baclofen(Some(20_000_000), 250_000)));
        let meaning = checked.meaning;
        assert_eq!(meaning.concentration.as_deref(), Some("2,000 mcg/mL"));
        assert_eq!(meaning.fill.as_deref(), Some("20 mL"));
        assert_eq!(meaning.dose.as_deref(), Some("250 mcg/day"));
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
        };
        let checked = form.check(&fresh_status());
        assert_eq!(checked.meaning.flow.as_deref(), Some("0.25 mL/day"));
        assert_eq!(checked.meaning.lasts, None);
        assert!(checked.ready);
    }

    #[test]
    fn the_change_is_against_the_program_in_force() {
        let status = running_status(baclofen(None, 450_000));
        let up = baclofen_form("", "540 mcg/day").check(&status).meaning;
        assert_eq!(up.change.as_deref(), Some("+20.0 %"));
        assert_eq!(up.times, None);
        let hourly = baclofen_form("", "450 mcg/h").check(&status).meaning;
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
            let message = checked.errors.dose.expect("an error beside the dose");
            assert!(message.contains("mcg/day"), "{message}");
            assert_eq!(checked.errors.concentration, None);
        }
        for concentration in ["2", "2 mg", "2 mg/day", "2 g/mL", "2,000 mcg/mL"] {
            let checked = checked(|form| form.concentration = concentration.to_owned());
            assert!(!checked.ready, "{concentration} was taken");
            assert!(checked.errors.concentration.is_some());
        }
        for fill in ["20", "20 mg", "20 ml", "21 mL", "0 mL", "0.0000000001 mL"] {
            let checked = checked(|form| form.fill = fill.to_owned());
            assert!(!checked.ready, "{fill} was taken");
            assert!(checked.errors.fill.is_some(), "{fill}");
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
            assert_eq!(checked.errors.dose.is_none(), taken, "{dose}");
        }
        let mut status = fresh_status();
        status.limits.highest_nl_per_day = 124_999;
        let checked = baclofen_form("", "250 mcg/day").check(&status);
        assert!(!checked.ready);
        status.limits.step_volume_fl = 0;
        assert!(!baclofen_form("", "250 mcg/day").check(&status).ready);
    }

    #[test]
    fn a_dose_finer_than_the_wire_can_say_is_refused() {
        let checked = checked(|form| form.dose = "250.0000001 mcg/day".to_owned());
        assert!(
            checked
                .errors
                .dose
                .is_some_and(|error| error.contains("1 ng"))
        );
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
        assert!(
            checked
                .errors
                .drug
                .is_some_and(|error| error.contains("ziconotide"))
        );
    }

    #[test]
    fn the_texts_of_a_program_make_the_same_program() {
        for drug in Drug::ALL {
            for per in [Per::Hour, Per::Day] {
                let program = Program {
                    drug,
                    concentration_ng_per_ml: 12_345_678,
                    fill_nl: None,
                    mode: Mode::SimpleContinuous {
                        dose: Dose {
                            nanograms: 1_234_567,
                            per,
                        },
                    },
                };
                let texts = Texts::of(&program);
                let form = Form {
                    drug: texts.drug.to_owned(),
                    concentration: texts.concentration,
                    fill: String::new(),
                    mode: FormMode::SimpleContinuous,
                    dose: texts.dose,
                };
                assert_eq!(form.check(&fresh_status()).program, Some(program));
            }
        }
    }
}
