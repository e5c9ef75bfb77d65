//! What comes with the primary drug, and which limit binds (clinical reference, 2.7).

use clap::Args;
use therapy::{
    BasalPlan, Bounds, HospitalDrug, HospitalLibrary, Ingredient, Library, Mixture, Nanograms,
    Severity, Tightened, binding_volume_24h, check_flow, whole_steps, worst_case,
};
use units::{DoseRate, Drug, Duration, Flow, FlowRate, Mass, PoweredTime, Volume};

use crate::Error;
use crate::judge::judge;
use crate::output::{FlowUnit, MassUnit, Output, flow as show_flow, volume};
use crate::read::{Cap, Given, OneDrug, positive};

/// Arguments of `thecal calc mixture`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example: thecal calc mixture --primary \"morphine 10 mg/mL\" --secondary \"bupivacaine 20 mg/mL\" --secondary \"clonidine 200 mcg/mL\" --dose \"2.5 mg/day\" --bolus \"0.25 mg\""
)]
pub(crate) struct Arguments {
    /// The drug that is dosed, and its concentration
    #[arg(long, value_name = "DRUG CONCENTRATION")]
    primary: Given<OneDrug>,
    /// A drug that comes with it; up to three
    #[arg(long = "secondary", value_name = "DRUG CONCENTRATION")]
    secondaries: Vec<Given<OneDrug>>,
    /// Dose of the primary drug
    #[arg(long, value_name = "DOSE", value_parser = positive::<DoseRate>, required_unless_present = "rate")]
    dose: Option<Given<DoseRate>>,
    /// Rate of the mixture instead
    #[arg(long, value_name = "RATE", value_parser = positive::<FlowRate>, conflicts_with = "dose")]
    rate: Option<Given<FlowRate>>,
    /// Bolus of the primary drug
    #[arg(long, value_name = "MASS", value_parser = positive::<Mass>)]
    bolus: Option<Given<Mass>>,
    /// The most of a drug in 24 h, in place of the built-in hard limit, which it may only tighten
    #[arg(long = "cap", value_name = "DRUG=MASS")]
    caps: Vec<Given<Cap>>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Output, Error> {
    let mut output = Output::new("mixture", "Mixture");
    inputs(arguments, &mut output);
    let secondaries: Vec<Ingredient> = arguments
        .secondaries
        .iter()
        .map(|given| given.value.0)
        .collect();
    let primary = arguments.primary.value.0;
    let mixture = Mixture::new(primary, &secondaries).map_err(Error::refused)?;
    let flow = match (&arguments.rate, &arguments.dose) {
        (Some(rate), _) => rate.value.flow(),
        (None, Some(dose)) => dose.value.flow(primary.concentration),
        (None, None) => return Err(Error::Input("a dose or a rate is wanted".into())),
    };
    let bounds = Bounds::PROGRAMMABLE_IMPLANT;
    check_flow(flow, &bounds).map_err(Error::refused)?;
    let worst = worst_case(&BasalPlan::Continuous(flow), None).ok_or_else(Error::too_large)?;
    let bolus = arguments
        .bolus
        .as_ref()
        .map(|bolus| bolus_volume(bolus, primary, &bounds));
    let bolus = bolus.transpose()?;
    output.warnings(judge(&mixture, &worst, bolus, 0)?);
    doses(arguments, &mixture, flow, &mut output)?;
    if let (Some(given), Some(bolus)) = (&arguments.bolus, bolus) {
        boluses(given, bolus, &mixture, &mut output)?;
    }
    limits(arguments, &mixture, &mut output)?;
    Ok(output)
}

fn inputs(arguments: &Arguments, output: &mut Output) {
    output.input("primary", &arguments.primary);
    let join = |texts: Vec<&str>| texts.join(", ");
    let secondaries = arguments.secondaries.iter().map(Given::text).collect();
    output.input("secondaries", join(secondaries));
    output.input_if("dose", arguments.dose.as_ref());
    output.input_if("rate", arguments.rate.as_ref());
    output.input_if("bolus", arguments.bolus.as_ref());
    output.input(
        "caps",
        join(arguments.caps.iter().map(Given::text).collect()),
    );
}

fn bolus_volume(
    bolus: &Given<Mass>,
    primary: Ingredient,
    bounds: &Bounds,
) -> Result<Volume, Error> {
    whole_steps(bolus.value, primary.concentration, bounds.step_volume)
        .filter(|steps| *steps > 0)
        .and_then(|steps| bounds.step_volume.volume_of(u64::from(steps)))
        .ok_or_else(|| {
            Error::Refused(format!(
                "a bolus of {bolus} is less than one motor step of this concentration, or too much to count"
            ))
        })
}

/// What flows, and each drug in it.
fn doses(
    arguments: &Arguments,
    mixture: &Mixture,
    flow: Flow,
    output: &mut Output,
) -> Result<(), Error> {
    let rate = show_flow(flow, FlowUnit::MillilitresADay)?;
    let rate = output.result("rate", "Rate", rate);
    let primary = mixture.primary();
    let day = match &arguments.dose {
        Some(dose) => {
            output.formula(format!(
                "rate = dose / concentration = {dose} / {} = {rate}",
                primary.concentration
            ));
            dose.value.per_day().ok_or_else(Error::too_large)?
        }
        None => {
            let volume = flow.volume_in(Duration::from_days(1));
            mixture.mass_of(primary.drug, volume.ok_or_else(Error::too_large)?)
        }
    };
    let shown = MassUnit::of(primary.drug).over(day, "/day")?;
    let label = format!("{} (primary)", primary.drug);
    let shown = output.result_of("dose", primary.drug, label, shown);
    for secondary in mixture.secondaries() {
        let dose = mixture
            .dose_with(secondary.drug, day)
            .ok_or_else(Error::too_large)?;
        let dose = MassUnit::of(secondary.drug).over(dose, "/day")?;
        let text = output.result_of("dose", secondary.drug, secondary.drug.name(), dose);
        output.formula(format!(
            "{} = dose x concentration / primary concentration = {shown} x {} / {} = {text}",
            secondary.drug, secondary.concentration, primary.concentration
        ));
    }
    Ok(())
}

/// What a bolus carries.
fn boluses(
    given: &Given<Mass>,
    bolus: Volume,
    mixture: &Mixture,
    output: &mut Output,
) -> Result<(), Error> {
    let primary = mixture.primary();
    let text = output.result("bolus_volume", format!("Bolus of {given}"), volume(bolus)?);
    output.formula(format!(
        "bolus = dose / concentration, down to a whole motor step = {given} / {} = {text}",
        primary.concentration
    ));
    for Ingredient { drug, .. } in mixture.ingredients() {
        let mass = MassUnit::of(drug).mass(mixture.mass_of(drug, bolus))?;
        output.result_of("bolus_content", drug, format!("  {drug}"), mass);
    }
    Ok(())
}

/// Which limit binds: the caps that were given, or those of the built-in library.
fn limits(arguments: &Arguments, mixture: &Mixture, output: &mut Output) -> Result<(), Error> {
    let library = library(&arguments.caps)?;
    limit(mixture, &library, Severity::Hard, output)?;
    if arguments.caps.is_empty() {
        limit(mixture, &library, Severity::Soft, output)?;
    }
    output.formula("limit of the mixture = the least of limit / concentration over its drugs");
    Ok(())
}

/// The built-in library with the caps as a hospital's.
fn library(caps: &[Given<Cap>]) -> Result<Library, Error> {
    let mut library = Library::built_in();
    if caps.is_empty() {
        return Ok(library);
    }
    let mut hospital = HospitalLibrary {
        version: 1,
        drugs: [HospitalDrug::default(); 8],
    };
    for (drug, says) in Drug::ALL.into_iter().zip(&mut hospital.drugs) {
        let mut of_drug = caps.iter().filter(|cap| cap.value.drug == drug);
        let Some(cap) = of_drug.next() else {
            continue;
        };
        if of_drug.next().is_some() {
            return Err(Error::Input(format!("two caps for {drug}: one is allowed")));
        }
        let most = cap.value.most.nanograms_exact();
        let most = most.and_then(|most| Nanograms::new(u32::try_from(most).ok()?));
        says.day = Tightened {
            soft: None,
            hard: Some(most.ok_or_else(|| {
                Error::Input(format!(
                    "{cap}: a cap is whole nanograms, from 1 ng to 4.29 g"
                ))
            })?),
        };
    }
    let checksum = hospital.checksum();
    library
        .load(&hospital, checksum, PoweredTime::ZERO)
        .map_err(Error::refused)?;
    Ok(library)
}

fn limit(
    mixture: &Mixture,
    library: &Library,
    severity: Severity,
    output: &mut Output,
) -> Result<(), Error> {
    let [name, volume_name, of_name, binds_name, most_name] = match severity {
        Severity::Hard => [
            "Hard limit",
            "hard_limit_volume",
            "hard_limit_volume_of",
            "hard_limit_binds",
            "hard_limit_primary",
        ],
        Severity::Soft => [
            "Soft limit",
            "soft_limit_volume",
            "soft_limit_volume_of",
            "soft_limit_binds",
            "soft_limit_primary",
        ],
    };
    let a_day = |volume: Volume| {
        let day = Duration::from_days(1);
        let flow = Flow::of_volume_over(volume, day).ok_or_else(Error::too_large)?;
        show_flow(flow, FlowUnit::MillilitresADay)
    };
    let binding = binding_volume_24h(mixture, library, severity);
    output.result(
        volume_name,
        format!("{name} of the mixture"),
        a_day(binding.volume)?,
    );
    output.result(binds_name, "  binds", binding.drug.name());
    for ingredient in mixture.ingredients() {
        let alone = binding_volume_24h(&Mixture::of(ingredient), library, severity);
        let label = format!("  by {}, {}", ingredient.drug, alone.limit);
        output.result_of(of_name, ingredient.drug, label, a_day(alone.volume)?);
    }
    let primary = mixture.primary().drug;
    let most = mixture.mass_of(primary, binding.volume);
    let label = format!("  at most of {primary}");
    output.result_of(
        most_name,
        primary,
        label,
        MassUnit::of(primary).over(most, "/day")?,
    );
    Ok(())
}
