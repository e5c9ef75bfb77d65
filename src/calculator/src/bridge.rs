//! Bridges (clinical reference, 2.3): what to give while the old liquid is still in the path.

use clap::Args;
use therapy::{
    BasalPlan, Bounds, Bridge, Content, Dilution, Ingredient, Path, PercentChange, Unbridged,
    ZoneOffset, check_flow, is_bridge_needed, worst_case,
};
use units::{DoseRate, Flow, Mass, PumpKind, Volume};

use crate::Error;
use crate::judge::judge;
use crate::output::{
    FlowUnit, MassUnit, Output, Quantity, Value, change_in_per_cent, flow as show_flow, per_cent,
};
use crate::read::{DayAndTime, Given, Liquid, positive, zone};

/// The most rinses that are offered.
const MOST_RINSES: u8 = 5;

/// Arguments of `thecal calc bridge`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example: thecal calc bridge --old \"morphine 10 mg/mL\" --new \"morphine 20 mg/mL\" --dose \"2.5 mg/day\" --path \"0.3182 mL\""
)]
pub(crate) struct Arguments {
    /// What the path holds, the primary drug first, such as "morphine 10 mg/mL, bupivacaine 20 mg/mL"
    #[arg(long, value_name = "LIQUID")]
    old: Given<Liquid>,
    /// What is filled in
    #[arg(long, value_name = "LIQUID")]
    new: Given<Liquid>,
    /// Dose of the new primary drug after the bridge
    #[arg(long, value_name = "DOSE", value_parser = positive::<DoseRate>)]
    dose: Given<DoseRate>,
    /// Dose of the old primary drug during the bridge [default: --dose, where the drug stays the same]
    #[arg(long, value_name = "DOSE", value_parser = positive::<DoseRate>)]
    bridge_dose: Option<Given<DoseRate>>,
    /// Volume from reservoir to tip
    #[arg(long, value_name = "VOLUME", value_parser = positive::<Volume>)]
    path: Given<Volume>,
    /// When the bridge starts, in local time: when does it end?
    #[arg(long, value_name = "DATE TIME")]
    start: Option<Given<DayAndTime>>,
    /// How far local time is ahead of universal time
    #[arg(long, value_name = "OFFSET", default_value = "+00:00", value_parser = zone, allow_hyphen_values = true)]
    zone: ZoneOffset,
    /// Volume that could not be aspirated before the fill, a number of the pump's model: how much does it dilute?
    #[arg(long, value_name = "VOLUME", value_parser = positive::<Volume>, requires = "fill")]
    residual: Option<Given<Volume>>,
    /// Volume filled in: checked against the bridge and seven days after it
    #[arg(long, value_name = "VOLUME", value_parser = positive::<Volume>)]
    fill: Option<Given<Volume>>,
    /// How often the reservoir is rinsed with the new liquid before, 0 to 5
    #[arg(long, value_name = "N", default_value_t = 0, requires = "residual",
          value_parser = clap::value_parser!(u8).range(0..=i64::from(MOST_RINSES)))]
    rinses: u8,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Output, Error> {
    let mut output = Output::new("bridge", "Bridge bolus");
    inputs(arguments, &mut output);
    let (old, new) = (
        arguments.old.value.primary()?,
        arguments.new.value.primary()?,
    );
    let (before, after) = (
        arguments.old.value.content()?,
        arguments.new.value.content()?,
    );
    let bounds = Bounds::PROGRAMMABLE_IMPLANT;
    let path = Path::new(arguments.path.value, &[], before).map_err(Error::refused)?;
    let program = arguments.dose.value.flow(new.concentration);
    check_flow(program, &bounds)
        .map_err(|refusal| Error::Refused(format!("after the bridge: {refusal}")))?;
    limits(&arguments.new.value, program, &mut output)?;
    if is_bridge_needed(&path, &after, PumpKind::ProgrammableImplant) {
        bridged(arguments, &path, &after, program, &bounds, &mut output)?;
    } else {
        output.result("bridge", "Bridge", "not needed");
        output.warning(
            "The liquid stays the same. A change of the dose alone has no latency: the tip sees the new rate at once.",
        );
    }
    let text = output.result(
        "rate_after",
        "Rate after it",
        show_flow(program, FlowUnit::MillilitresADay)?,
    );
    output.formula(format!(
        "rate after = dose / new concentration = {} / {} = {text}",
        arguments.dose, new.concentration
    ));
    if old.drug == new.drug {
        dilution(arguments, old, new, &mut output)?;
    } else if arguments.residual.is_some() {
        output.warning(
            "The dilution is that of one drug: with another drug no mixed concentration is given.",
        );
    }
    Ok(output)
}

fn inputs(arguments: &Arguments, output: &mut Output) {
    output.input("old", &arguments.old);
    output.input("new", &arguments.new);
    output.input("dose", &arguments.dose);
    output.input_if("bridge_dose", arguments.bridge_dose.as_ref());
    output.input("path", &arguments.path);
    if let Some(start) = &arguments.start {
        output.input("start", start);
        output.input("zone", arguments.zone);
    }
    output.input_if("residual", arguments.residual.as_ref());
    output.input_if("fill", arguments.fill.as_ref());
    if arguments.residual.is_some() {
        output.input("rinses", arguments.rinses);
    }
}

/// The library's limits for every drug of a liquid at a flow.
fn limits(liquid: &Liquid, flow: Flow, output: &mut Output) -> Result<(), Error> {
    let worst = worst_case(&BasalPlan::Continuous(flow), None).ok_or_else(Error::too_large)?;
    let mixture = liquid.mixture()?;
    output.warnings(judge(&mixture, &worst, None, 0)?);
    Ok(())
}

fn bridged(
    arguments: &Arguments,
    path: &Path,
    after: &Content,
    program: Flow,
    bounds: &Bounds,
    output: &mut Output,
) -> Result<(), Error> {
    let (old, new) = (
        arguments.old.value.primary()?,
        arguments.new.value.primary()?,
    );
    let dose = match &arguments.bridge_dose {
        Some(dose) => dose,
        None if old.drug == new.drug => &arguments.dose,
        None => {
            return Err(Error::Input(format!(
                "the primary drug changes from {} to {}: say with --bridge-dose which dose of {} is given meanwhile",
                old.drug, new.drug, old.drug
            )));
        }
    };
    let bridge = Bridge::plan(
        path,
        after,
        dose.value,
        bounds,
        PumpKind::ProgrammableImplant,
    )
    .map_err(Error::refused)?;
    limits(&arguments.old.value, bridge.flow(), output)?;
    let rate = show_flow(bridge.flow(), FlowUnit::MillilitresADay)?;
    let rate = output.result("bridge_rate", "Bridge rate", rate);
    let old_concentration = old.concentration;
    output.formula(format!(
        "bridge rate = bridge dose / old concentration = {dose} / {old_concentration} = {rate}"
    ));
    let time = output.result("bridge_duration", "  for", bridge.duration());
    output.formula(format!(
        "duration = path x old concentration / bridge dose = {} x {old_concentration} / {dose} = {time}",
        arguments.path
    ));
    if let Some(start) = &arguments.start {
        let end = start
            .value
            .wall(arguments.zone)
            .saturating_add(bridge.duration());
        let label = "  until, if nothing stops it";
        output.result("bridge_end", label, Value::Moment(end, arguments.zone));
    }
    for ingredient in &arguments.old.value.0 {
        let mass = bridge.mass(ingredient.concentration);
        let mass = MassUnit::of(ingredient.drug).mass(mass)?;
        let label = format!("  gives {}", ingredient.drug);
        let text = output.result_of("bridge_content", ingredient.drug, label, mass);
        output.formula(format!(
            "content = path x concentration of {} = {} x {} = {text}",
            ingredient.drug, arguments.path, ingredient.concentration
        ));
    }
    for ingredient in &arguments.new.value.0 {
        let holds = |other: &Ingredient| other.drug == ingredient.drug;
        if !arguments.old.value.0.iter().any(holds) {
            let none = MassUnit::of(ingredient.drug).mass(Mass::ZERO)?;
            let label = format!("  gives {}", ingredient.drug);
            output.result_of("bridge_content", ingredient.drug, label, none);
        }
    }
    unbridged(dose, old, path, program, output)?;
    if let Some(fill) = &arguments.fill
        && bridge.exceeds(fill.value, program)
    {
        output.warning(format!(
            "The bridge and seven days of the new rate take more than the {fill} that are filled in."
        ));
    }
    output.warning(
        "Every bolus and schedule is suspended during the bridge. It ends on delivered volume, never on time; the contents of the tip are an estimate, because sharp fronts do not exist in tubing.",
    );
    Ok(())
}

/// What would happen without a bridge.
fn unbridged(
    dose: &Given<DoseRate>,
    old: Ingredient,
    path: &Path,
    program: Flow,
    output: &mut Output,
) -> Result<(), Error> {
    let Some(without) = Unbridged::of(path, program) else {
        return Ok(());
    };
    let per_day = MassUnit::of(old.drug).over(without.per_day, "/day")?;
    let label = format!("Without a bridge: {}", old.drug);
    let per_day = output.result_of("unbridged_dose", old.drug, label, per_day);
    let time = output.result("unbridged_duration", "  for", without.duration);
    let intended = dose.value.per_day().ok_or_else(Error::too_large)?;
    let change = PercentChange::new(intended, without.per_day);
    let quotient = change.ratio().ok_or_else(Error::too_large)?;
    let share = per_cent(quotient)?;
    let share = output.result("unbridged_share", "  of what is intended", share);
    output.formula(format!(
        "without a bridge = rate after x old concentration = {} x {} = {per_day}, {share} of {dose}",
        show_flow(program, FlowUnit::MillilitresADay)?,
        old.concentration
    ));
    let shown = change_in_per_cent(quotient)?;
    if change.rises_by_more_than(0) {
        output.warning(format!(
            "Without a bridge the patient would get too much {}: {per_day} ({shown}) for {time}. This is the deadly direction.",
            old.drug
        ));
    } else if change.drops_by_more_than(0) {
        output.warning(format!(
            "Without a bridge the patient would get too little {}: {per_day} ({shown}) for {time}.",
            old.drug
        ));
    }
    Ok(())
}

/// What the residual makes of the new concentration.
fn dilution(
    arguments: &Arguments,
    old: Ingredient,
    new: Ingredient,
    output: &mut Output,
) -> Result<(), Error> {
    let (Some(residual), Some(fill)) = (&arguments.residual, &arguments.fill) else {
        return Ok(());
    };
    let dilution = Dilution {
        residual: residual.value,
        old: Some(old.concentration),
        fill: fill.value,
        label: Some(new.concentration),
    };
    let unit = MassUnit::of(new.drug);
    let mixed = dilution.mixed().ok_or_else(Error::too_large)?;
    let text = output.result(
        "mixed_concentration",
        "Mixed concentration",
        unit.concentration(mixed)?,
    );
    output.formula(format!(
        "mixed = (residual x old + fill x new) / (residual + fill) = ({residual} x {} + {fill} x {}) / ({residual} + {fill}) = {text}",
        old.concentration, new.concentration
    ));
    let sign = if old.concentration < new.concentration {
        "-"
    } else {
        "+"
    };
    let error = |rinses: u8| -> Result<Quantity, Error> {
        let error = dilution.error(rinses).ok_or_else(Error::too_large)?;
        Ok(per_cent(error)?.signed(sign))
    };
    output.result("mixed_error", "  off the label by", error(0)?);
    if arguments.rinses > 0 {
        let label = match arguments.rinses {
            1 => "  after 1 rinse".to_owned(),
            rinses => format!("  after {rinses} rinses"),
        };
        output.result("mixed_error_after_rinses", label, error(arguments.rinses)?);
        output.formula("every rinse leaves residual / (residual + fill) of the error");
    }
    output.warning("Doses use the label concentration; the mixed one is for information.");
    Ok(())
}
