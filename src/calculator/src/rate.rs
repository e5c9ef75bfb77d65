//! Dose to rate and steps, and what follows from a rate (clinical reference, 1.3, 2.1, 2.8, 2.9, 2.10, 2.14).

use clap::Args;
use therapy::{
    Accumulator, BasalPlan, Bounds, Calibration, Ingredient, Mixture, Path, PercentChange,
    check_flow, constant_rate_concentration, worst_case,
};
use units::{
    Concentration, DoseRate, Drug, Duration, Flow, FlowRate, Mass, PumpKind, PumpTime, Ratio,
    StepVolume, Volume,
};

use crate::Error;
use crate::exact::{ratio, times};
use crate::judge::judge;
use crate::output::{FlowUnit, MassUnit, Output, Quantity, change_in_per_cent, flow as show_flow};
use crate::read::{Given, content_of, positive};

/// Fewer shots than this make no honest bolus \[P\] (clinical reference, 2.10).
const SHOTS_OF_A_BOLUS: u64 = 20;
/// Microseconds in 24 hours.
const DAY: u64 = 86_400_000_000;

/// Arguments of `thecal calc rate`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example: thecal calc rate --dose \"2.5 mg/day\" --concentration \"10 mg/mL\" --drug morphine --path \"0.3182 mL\""
)]
pub(crate) struct Arguments {
    /// Dose of the drug, such as "2.5 mg/day" or "15 mcg/h"
    #[arg(long, value_name = "DOSE", value_parser = positive::<DoseRate>)]
    dose: Given<DoseRate>,
    /// Concentration as on the label, such as "10 mg/mL"
    #[arg(
        long,
        value_name = "CONCENTRATION",
        required_unless_present = "fixed_rate"
    )]
    concentration: Option<Given<Concentration>>,
    /// The drug: its unit is shown and its limits are checked
    #[arg(long, value_name = "DRUG")]
    drug: Option<Drug>,
    /// Rate of a constant-rate pump instead of a concentration: which concentration carries the dose?
    #[arg(long, value_name = "RATE", value_parser = positive::<FlowRate>,
          conflicts_with_all = ["concentration", "step", "shot"])]
    fixed_rate: Option<Given<FlowRate>>,
    /// Volume of one motor step [default: 2.5 nL]
    #[arg(long, value_name = "VOLUME")]
    step: Option<Given<StepVolume>>,
    /// Volume of one shot, of a pump that is metered by a valve or a cassette
    #[arg(long, value_name = "VOLUME", value_parser = positive::<Volume>)]
    shot: Option<Given<Volume>>,
    /// Volume from reservoir to tip: how long does a new drug or concentration take to get there?
    #[arg(long, value_name = "VOLUME", value_parser = positive::<Volume>)]
    path: Option<Given<Volume>>,
    /// The former dose: by how much does it change? Zero for a new start
    #[arg(long, value_name = "DOSE")]
    old_dose: Option<Given<DoseRate>>,
    /// The most that the patient's boluses add in 24 h: shows the change with them, too
    #[arg(long, value_name = "MASS", requires = "old_dose")]
    patient_total: Option<Given<Mass>>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Output, Error> {
    let mut output = Output::new("rate", "Dose and rate");
    output.input("dose", &arguments.dose);
    output.input_if("concentration", arguments.concentration.as_ref());
    output.input_if("drug", arguments.drug);
    output.input_if("fixed_rate", arguments.fixed_rate.as_ref());
    let flow = match (&arguments.fixed_rate, &arguments.concentration) {
        (Some(rate), _) => fixed(arguments, rate, &mut output)?,
        (None, Some(concentration)) => programmed(arguments, concentration, &mut output)?,
        (None, None) => return Err(Error::Input("a concentration is wanted".into())),
    };
    if let Some(path) = &arguments.path {
        latency(path, flow, &mut output)?;
    }
    if let Some(old) = &arguments.old_dose {
        output.input("old_dose", old);
        let unit = MassUnit::of_drug_or(arguments.drug, arguments.dose.text());
        let (old, new) = (old.value.per_day(), arguments.dose.value.per_day());
        let (Some(old), Some(new)) = (old, new) else {
            return Err(Error::too_large());
        };
        show_change(
            old,
            new,
            unit,
            arguments.patient_total.as_ref(),
            &mut output,
        )?;
    }
    Ok(output)
}

/// A pump that is programmed: the rate follows from the concentration.
fn programmed(
    arguments: &Arguments,
    concentration: &Given<Concentration>,
    output: &mut Output,
) -> Result<Flow, Error> {
    let dose = &arguments.dose;
    let step = arguments.step.clone();
    let step = step.unwrap_or_else(|| Given::default(StepVolume::NOMINAL));
    // The rates of the pump count here, whatever its drive: one of larger shots makes fewer steps.
    let bounds = Bounds {
        step_volume: step.value,
        ..Bounds::PROGRAMMABLE_IMPLANT
    };
    let flow = dose.value.flow(concentration.value);
    let unit = MassUnit::of_drug_or(arguments.drug, dose.text());
    let possible = |rate: FlowRate| {
        let volume = rate.per_day().ok_or_else(Error::too_large)?;
        unit.over(Mass::in_volume(volume, concentration.value), "/day")
    };
    let (lowest, highest) = (possible(bounds.lowest)?, possible(bounds.highest)?);
    check_flow(flow, &bounds).map_err(|refusal| {
        Error::Refused(format!(
            "{refusal}; at this concentration from {lowest} to {highest} is possible"
        ))
    })?;
    if let Some(drug) = arguments.drug {
        let mixture = Mixture::of(Ingredient {
            drug,
            concentration: concentration.value,
        });
        let worst = worst_case(&BasalPlan::Continuous(flow), None).ok_or_else(Error::too_large)?;
        output.warnings(judge(&mixture, &worst, None, 0)?);
    }
    let shown = show_rate(flow, output)?;
    output.formula(format!(
        "rate = dose / concentration = {dose} / {concentration} = {shown}"
    ));
    output.input("step", &step);
    show_steps(flow, step.value, output)?;
    if let Some(shot) = &arguments.shot {
        show_shots(flow, shot, output)?;
    }
    let text = output.result("lowest_dose", "Lowest dose", lowest);
    output.formula(format!(
        "lowest dose = concentration x lowest rate = {concentration} x {} = {text}",
        bounds.lowest
    ));
    output.result("highest_dose", "Highest dose", highest);
    Ok(flow)
}

/// A pump whose rate is fixed: the concentration follows from the dose.
fn fixed(
    arguments: &Arguments,
    rate: &Given<FlowRate>,
    output: &mut Output,
) -> Result<Flow, Error> {
    let dose = &arguments.dose;
    Bounds::of(&Calibration {
        kind: PumpKind::ConstantRate,
        step_volume: StepVolume::NOMINAL,
        capacity: Bounds::PROGRAMMABLE_IMPLANT.capacity,
        fixed_rate: Some(rate.value),
    })
    .map_err(Error::refused)?;
    let unit = MassUnit::of_drug_or(arguments.drug, dose.text());
    let concentration =
        constant_rate_concentration(dose.value, rate.value).ok_or_else(Error::too_large)?;
    if let Some(drug) = arguments.drug {
        // The limit is in whole nanograms a millilitre: rounded up decides as the fraction would.
        let up = u32::try_from(concentration.rounded_up()).ok();
        let concentration = up.and_then(Concentration::from_nanograms_per_millilitre);
        let mixture = Mixture::of(Ingredient {
            drug,
            concentration: concentration.ok_or_else(Error::too_large)?,
        });
        let plan = BasalPlan::Continuous(rate.value.flow());
        let worst = worst_case(&plan, None).ok_or_else(Error::too_large)?;
        output.warnings(judge(&mixture, &worst, None, 0)?);
    }
    let shown = output.result(
        "concentration",
        "Concentration",
        unit.concentration(concentration)?,
    );
    output.formula(format!(
        "concentration = dose / fixed rate = {dose} / {rate} = {shown}"
    ));
    let flow = rate.value.flow();
    show_rate(flow, output)?;
    Ok(flow)
}

/// The rate in three units; its text a day.
fn show_rate(flow: Flow, output: &mut Output) -> Result<String, Error> {
    let shown = output.result("rate", "Rate", show_flow(flow, FlowUnit::MillilitresADay)?);
    let an_hour = show_flow(flow, FlowUnit::MicrolitresAnHour)?;
    output.result("rate_per_hour", "  in an hour", an_hour);
    let a_minute = show_flow(flow, FlowUnit::MicrolitresAMinute)?;
    output.result("rate_per_minute", "  in a minute", a_minute);
    Ok(shown)
}

fn show_steps(flow: Flow, step: StepVolume, output: &mut Output) -> Result<(), Error> {
    let steps = Accumulator::new(flow, step, PumpTime::ZERO).steps_per_microsecond();
    let a_day = times(steps, ratio(DAY, 1_u8)?)?;
    let a_day = output.result(
        "steps_per_day",
        format!("Steps of {step}"),
        Quantity::new(a_day, "steps/day", 2)?,
    );
    let a_second = times(steps, ratio(1_000_000_u32, 1_u8)?)?;
    output.result(
        "steps_per_second",
        "  in a second",
        Quantity::new(a_second, "steps/s", 2)?,
    );
    let interval = steps.inverse().ok_or_else(Error::too_large)?;
    output.result("step_interval", "  one every", interval_of(interval)?);
    let a_microlitre = ratio(1_000_000_000_u32, step.femtolitres())?;
    let a_microlitre = Quantity::new(a_microlitre, "steps/uL", 2)?;
    output.result("steps_per_microlitre", "  in a microlitre", a_microlitre);
    let rate = show_flow(flow, FlowUnit::MillilitresADay)?;
    output.formula(format!(
        "steps = rate / step volume = {rate} / {step} = {a_day}"
    ));
    Ok(())
}

/// Microseconds, shown in milliseconds below a second.
fn interval_of(micros: Ratio) -> Result<Quantity, Error> {
    if micros < ratio(1_000_000_u32, 1_u8)? {
        Quantity::new(times(micros, ratio(1_u8, 1_000_u16)?)?, "ms", 3)
    } else {
        Quantity::new(times(micros, ratio(1_u8, 1_000_000_u32)?)?, "s", 3)
    }
}

fn show_shots(flow: Flow, shot: &Given<Volume>, output: &mut Output) -> Result<(), Error> {
    output.input("shot", shot);
    let shots = times(flow.ratio(), ratio(DAY, shot.value.femtolitres())?)?;
    let label = format!("Shots of {shot}");
    output.result(
        "shots_per_day",
        label,
        Quantity::new(shots, "shots/day", 2)?,
    );
    let interval = flow.time_for(shot.value);
    let every = output.result("shot_interval", "  one every", interval);
    let rate = show_flow(flow, FlowUnit::MillilitresADay)?;
    output.formula(format!(
        "shot interval = shot / rate = {shot} / {rate} = {every}"
    ));
    let honest = shot
        .value
        .checked_mul(SHOTS_OF_A_BOLUS)
        .ok_or_else(Error::too_large)?;
    output.result(
        "smallest_bolus",
        "Smallest honest bolus",
        crate::output::volume(honest)?,
    );
    output.formula(format!(
        "smallest honest bolus = {SHOTS_OF_A_BOLUS} shots = {honest}"
    ));
    Ok(())
}

/// How long a new liquid takes to the tip.
fn latency(path: &Given<Volume>, flow: Flow, output: &mut Output) -> Result<(), Error> {
    output.input("path", path);
    let inert = content_of(None, None)?;
    let whole = Path::new(path.value, &[], inert).map_err(Error::refused)?;
    let time: Option<Duration> = whole.latency(flow);
    let text = output.result("latency", "New liquid at the tip after", time);
    output.formula(format!(
        "latency = path / rate = {path} / {} = {text}",
        show_flow(flow, FlowUnit::MillilitresADay)?
    ));
    output.warning(
        "The latency is that of another drug or concentration. A change of the dose alone has none: the liquid cannot be compressed.",
    );
    Ok(())
}

/// A change of the daily total, and once more with the patient's boluses on both sides.
pub(crate) fn show_change(
    old: Mass,
    new: Mass,
    unit: MassUnit,
    patient_total: Option<&Given<Mass>>,
    output: &mut Output,
) -> Result<(), Error> {
    let (before, after) = (unit.over(old, "/day")?, unit.over(new, "/day")?);
    let change = PercentChange::new(old, new);
    let Some(quotient) = change.ratio() else {
        output.result("change", "Change", "new start");
        output.formula("change: from nothing there is no percentage");
        return Ok(());
    };
    let text = output.result("change", "Change", change_in_per_cent(quotient)?);
    output.formula(format!(
        "change = (new - old) / old = ({after} - {before}) / {before} = {text}"
    ));
    let quotient = Quantity::new(quotient, "times", 2)?;
    output.result("ratio_to_old", "New over old", quotient);
    if change.rises_by_more_than(100) {
        output.warning(format!(
            "The new total is more than double the old one: {before} to {after}. Is the dose per day, and not per hour?"
        ));
    }
    if let Some(more) = patient_total {
        output.input("patient_total", more);
        let with = |total: Mass| total.checked_add(more.value).ok_or_else(Error::too_large);
        let (old, new) = (with(old)?, with(new)?);
        output.result(
            "total_with_boluses",
            "Total with all patient boluses",
            unit.over(new, "/day")?,
        );
        if let Some(quotient) = PercentChange::new(old, new).ratio() {
            let quotient = change_in_per_cent(quotient)?;
            output.result("change_with_boluses", "  its change", quotient);
        }
    }
    Ok(())
}
