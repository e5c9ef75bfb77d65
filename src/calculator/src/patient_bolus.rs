//! The most that a patient can add (clinical reference, 2.12).

use clap::Args;
use therapy::{Binding, Bounds, Draft, Ingredient, Mixture, Mode, PatientBolusDraft, Prescription};
use units::{Concentration, DoseRate, Drug, Duration, Flow, Mass, PumpKind, PumpTime};

use crate::Error;
use crate::exact::{ratio, times};
use crate::judge::judge;
use crate::output::{MassUnit, Output, Quantity, count, volume};
use crate::read::{Given, positive};

/// Arguments of `thecal calc patient-bolus`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example: thecal calc patient-bolus --drug morphine --concentration \"10 mg/mL\" --basal \"2.5 mg/day\" --bolus \"0.25 mg\" --duration \"10 min\" --boluses 4 --lockout \"6 h\""
)]
pub(crate) struct Arguments {
    /// The drug
    #[arg(long, value_name = "DRUG")]
    drug: Drug,
    /// Its concentration as on the label
    #[arg(long, value_name = "CONCENTRATION")]
    concentration: Given<Concentration>,
    /// Basal dose
    #[arg(long, value_name = "DOSE", value_parser = positive::<DoseRate>)]
    basal: Given<DoseRate>,
    /// Dose of one bolus
    #[arg(long, value_name = "MASS", value_parser = positive::<Mass>)]
    bolus: Given<Mass>,
    /// How long one takes, in whole seconds up to 24 h
    #[arg(long, value_name = "TIME", value_parser = positive::<Duration>)]
    duration: Given<Duration>,
    /// Boluses allotted in any 24 h, 1 to 24
    #[arg(long, value_name = "N")]
    boluses: u8,
    /// From the start of one bolus to the start of the next
    #[arg(long, value_name = "TIME", value_parser = positive::<Duration>)]
    lockout: Given<Duration>,
    /// The most of the drug that boluses may give in any 24 h
    #[arg(long, value_name = "MASS", value_parser = positive::<Mass>)]
    daily_cap: Option<Given<Mass>>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Output, Error> {
    let mut output = Output::new("patient-bolus", "Patient boluses");
    inputs(arguments, &mut output);
    let prescription = prescription(arguments)?;
    let (Some(rule), Some(allotment), Some(steps)) = (
        prescription.patient_rule(),
        prescription.allotment(),
        prescription.patient_steps(),
    ) else {
        return Err(Error::too_large());
    };
    let unit = MassUnit::of(arguments.drug);
    let (binding, most) = rule.binding();
    let basal = arguments
        .basal
        .value
        .per_day()
        .ok_or_else(Error::too_large)?;
    let boluses = rule.largest_daily_dose();
    let total = basal.checked_add(boluses).ok_or_else(Error::too_large)?;
    let total = output.result("largest_24h", "Most in any 24 h", unit.mass(total)?);
    let basal = output.result("basal", "  basal", unit.mass(basal)?);
    output.result("boluses_24h", "  boluses", unit.mass(boluses)?);
    output.result("most_boluses", "  so many", count(most, "boluses")?);
    output.result("binding", "  bound by", word(binding));
    output.formula(format!(
        "most in 24 h = basal + boluses x dose = {basal} + {most} x {} = {total}",
        arguments.bolus
    ));
    output.formula(format!(
        "the lockout binds when boluses x lockout is more than 24 h: {} x {} = {}",
        arguments.boluses,
        arguments.lockout,
        rule.lockout().saturating_mul(u64::from(arguments.boluses))
    ));
    let text = output.result("bolus_volume", "One bolus", volume(allotment.volume)?);
    output.result("bolus_steps", "  motor steps", count(steps, "steps")?);
    let over = Flow::of_volume_over(allotment.volume, allotment.duration);
    let over = over.ok_or_else(Error::too_large)?;
    let step = Bounds::PROGRAMMABLE_IMPLANT.step_volume;
    let pace = therapy::Accumulator::new(over, step, PumpTime::ZERO).steps_per_microsecond();
    let pace = times(pace, ratio(1_000_000_u32, 1_u8)?)?;
    output.result(
        "bolus_steps_per_second",
        "  in a second",
        Quantity::new(pace, "steps/s", 2)?,
    );
    output.formula(format!(
        "volume = dose / concentration, down to a whole motor step = {} / {} = {text}",
        arguments.bolus, arguments.concentration
    ));
    let bolus = prescription.largest_bolus();
    let (worst, a_day) = (prescription.worst_case(), prescription.boluses_a_day());
    output.warnings(judge(prescription.mixture(), &worst, bolus, a_day)?);
    output.warning(
        "The window is any 24 h, not a calendar day. The pump enforces all limits itself.",
    );
    Ok(output)
}

fn inputs(arguments: &Arguments, output: &mut Output) {
    output.input("drug", arguments.drug);
    output.input("concentration", &arguments.concentration);
    output.input("basal", &arguments.basal);
    output.input("bolus", &arguments.bolus);
    output.input("duration", &arguments.duration);
    output.input("boluses", arguments.boluses);
    output.input("lockout", &arguments.lockout);
    output.input_if("daily_cap", arguments.daily_cap.as_ref());
}

/// The program that the pump would be asked for: it checks everything.
fn prescription(arguments: &Arguments) -> Result<Prescription, Error> {
    let draft = Draft {
        mixture: Mixture::of(Ingredient {
            drug: arguments.drug,
            concentration: arguments.concentration.value,
        }),
        mode: Mode::SimpleContinuous(arguments.basal.value),
        patient: Some(PatientBolusDraft {
            dose: arguments.bolus.value,
            duration: arguments.duration.value,
            lockout: arguments.lockout.value,
            per_day: arguments.boluses,
            daily_cap: arguments.daily_cap.as_ref().map(|cap| cap.value),
            periods: Default::default(),
        }),
        policy: None,
    };
    let bounds = Bounds::PROGRAMMABLE_IMPLANT;
    Prescription::new(draft, &bounds, PumpKind::ProgrammableImplant).map_err(Error::refused)
}

const fn word(binding: Binding) -> &'static str {
    match binding {
        Binding::Number => "number",
        Binding::Lockout => "lockout",
        Binding::Mass => "daily cap",
    }
}
