//! Priming boluses (clinical reference, 2.2).

use clap::{Args, ValueEnum};
use therapy::{
    Bounds, Catheter, CatheterRecord, Content, Path, Prime, PrimeRequest, PrimeSituation, TipDose,
    Upstream,
};
use units::{
    Concentration, DoseRate, Drug, Mass, PoweredTime, PrimeKind, PumpKind, StepVolume, Volume,
};

use crate::Error;
use crate::exact::ratio;
use crate::output::{MassUnit, Output, count, per_cent, volume};
use crate::read::{Given, Millimetres, content_of, positive};

/// Arguments of `thecal calc prime`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example: thecal calc prime --tubing \"0.140 mL\" --length \"81.0 cm\" --per-cm \"0.0022 mL\" --drug morphine --concentration \"10 mg/mL\""
)]
pub(crate) struct Arguments {
    /// What is new, and to be filled
    #[arg(long, value_name = "WHAT", default_value = "both")]
    what: What,
    /// Volume of the tubing inside the pump, a number of its model, such as "0.140 mL"
    #[arg(long, value_name = "VOLUME", value_parser = positive::<Volume>)]
    tubing: Given<Volume>,
    /// Length of the catheter: what is implanted, or with --trimmed what it was before
    #[arg(long, value_name = "LENGTH")]
    length: Given<Millimetres>,
    /// Length that was cut off
    #[arg(long, value_name = "LENGTH")]
    trimmed: Option<Given<Millimetres>>,
    /// Volume of one centimetre of catheter, such as "0.0022 mL"
    #[arg(long, value_name = "VOLUME", value_parser = positive::<Volume>)]
    per_cm: Given<Volume>,
    /// The drug in the reservoir
    #[arg(long, value_name = "DRUG", requires = "concentration")]
    drug: Option<Drug>,
    /// Its concentration as on the label
    #[arg(long, value_name = "CONCENTRATION", requires = "drug")]
    concentration: Option<Given<Concentration>>,
    /// The catheter was aspirated: it holds no drug any more
    #[arg(long)]
    aspirated: bool,
    /// Volume of one motor step [default: 2.5 nL]
    #[arg(long, value_name = "VOLUME")]
    step: Option<Given<StepVolume>>,
    /// Another tubing volume to compare with: how much drug would it be more?
    #[arg(long, value_name = "VOLUME", value_parser = positive::<Volume>)]
    other_tubing: Option<Given<Volume>>,
    /// The daily dose, to compare the difference with
    #[arg(long, value_name = "DOSE", value_parser = positive::<DoseRate>, requires_all = ["other_tubing", "drug"])]
    dose: Option<Given<DoseRate>>,
}

/// What is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Pump and catheter: tubing and catheter are filled
    Both,
    /// The pump: its tubing is filled
    Pump,
    /// The catheter: it alone is filled
    Catheter,
}

impl What {
    const fn kind(self) -> PrimeKind {
        match self {
            Self::Both => PrimeKind::PumpAndCatheter,
            Self::Pump => PrimeKind::PumpOnly,
            Self::Catheter => PrimeKind::CatheterOnly,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Pump => "pump",
            Self::Catheter => "catheter",
        }
    }
}

/// A volume in whole nanolitres.
fn nanolitres<T: TryFrom<u64>>(given: &Given<Volume>) -> Result<T, Error> {
    let whole = given.value.nanolitres_rounded_down();
    let exact = whole.checked_mul(1_000_000) == Some(given.value.femtolitres());
    T::try_from(whole)
        .ok()
        .filter(|_| exact)
        .ok_or_else(|| {
            Error::Input(format!(
                "{given} is no volume of tubing or catheter: whole nanolitres are wanted, such as 0.140 mL"
            ))
        })
}

impl Arguments {
    fn catheter(&self, tubing: &Given<Volume>) -> Result<Catheter, Error> {
        let Millimetres(length) = self.length.value;
        let Millimetres(trimmed) = self
            .trimmed
            .as_ref()
            .map_or(Millimetres(0), |trimmed| trimmed.value);
        let implanted = length.checked_sub(trimmed).ok_or_else(|| {
            Error::Input(format!(
                "more was cut off than the catheter's {}",
                self.length
            ))
        })?;
        Catheter::new(CatheterRecord {
            model: 0,
            upstream: Upstream::PumpTubing {
                nanolitres: nanolitres(tubing)?,
            },
            implanted_millimetres: implanted,
            trimmed_millimetres: trimmed,
            nanolitres_per_centimetre: nanolitres(&self.per_cm)?,
            tip: None,
        })
        .map_err(Error::refused)
    }

    /// What lies between reservoir and tip before the prime.
    fn path(&self, catheter: &Catheter, reservoir: Content) -> Result<Path, Error> {
        let inert = |volume| (volume, Content::Inert);
        let contents = match self.what {
            What::Both => vec![inert(catheter.path_volume())],
            What::Catheter => vec![inert(catheter.catheter_volume())],
            What::Pump => {
                let held = if self.aspirated {
                    Content::Inert
                } else {
                    reservoir.clone()
                };
                let tubing = catheter.prime_volume(PrimeKind::PumpOnly);
                vec![(catheter.catheter_volume(), held), inert(tubing)]
            }
        };
        Path::new(catheter.path_volume(), &contents, reservoir).map_err(Error::refused)
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Output, Error> {
    let mut output = Output::new("prime", "Priming bolus");
    inputs(arguments, &mut output);
    let concentration = arguments.concentration.as_ref().map(|given| given.value);
    let reservoir = content_of(arguments.drug, concentration)?;
    let catheter = arguments.catheter(&arguments.tubing)?;
    let path = arguments.path(&catheter, reservoir)?;
    let step = arguments.step.as_ref();
    let bounds = Bounds {
        step_volume: step.map_or(StepVolume::NOMINAL, |step| step.value),
        ..Bounds::PROGRAMMABLE_IMPLANT
    };
    let request = PrimeRequest {
        kind: arguments.what.kind(),
        disconnected: false,
        override_reason: None,
    };
    let situation = PrimeSituation {
        kind: PumpKind::ProgrammableImplant,
        bounds: &bounds,
        catheter: &catheter,
        path: &path,
        last_start: None,
        now: PoweredTime::ZERO,
    };
    let prime = Prime::plan(request, &situation).map_err(Error::refused)?;
    let text = output.result("volume", "Prime", volume(prime.volume())?);
    output.formula(volume_formula(arguments, &catheter, &text));
    output.result("duration", "  takes, at 1 mL/h", prime.duration());
    output.result("steps", "  motor steps", count(prime.steps(), "steps")?);
    output.result(
        "catheter_volume",
        "Catheter",
        volume(catheter.catheter_volume())?,
    );
    output.result(
        "path_volume",
        "Reservoir to tip",
        volume(catheter.path_volume())?,
    );
    if let (Some(drug), Some(concentration)) = (arguments.drug, &arguments.concentration) {
        let drawn = prime.drawn(&path).of(drug);
        let label = format!("Drawn from the reservoir: {drug}");
        let text = output.result_of("contents", drug, label, MassUnit::of(drug).mass(drawn)?);
        output.formula(format!(
            "contents = prime x concentration = {} x {concentration} = {text}",
            prime.volume()
        ));
        counted(drug, prime.dose(), drawn, &mut output)?;
    }
    if let Some(other) = &arguments.other_tubing {
        compare(arguments, other, &catheter, &mut output)?;
    }
    output.warning("Prime under supervision. A second prime within 24 h needs a reason.");
    Ok(output)
}

fn inputs(arguments: &Arguments, output: &mut Output) {
    output.input("what", arguments.what.name());
    output.input("tubing", &arguments.tubing);
    output.input("length", &arguments.length);
    output.input_if("trimmed", arguments.trimmed.as_ref());
    output.input("per_cm", &arguments.per_cm);
    output.input_if("drug", arguments.drug);
    output.input_if("concentration", arguments.concentration.as_ref());
    output.input("aspirated", if arguments.aspirated { "yes" } else { "no" });
    let step = arguments.step.clone();
    output.input(
        "step",
        step.unwrap_or_else(|| Given::default(StepVolume::NOMINAL)),
    );
    output.input_if("other_tubing", arguments.other_tubing.as_ref());
    output.input_if("dose", arguments.dose.as_ref());
}

fn volume_formula(arguments: &Arguments, catheter: &Catheter, prime: &str) -> String {
    let length = arguments.trimmed.as_ref().map_or_else(
        || arguments.length.to_string(),
        |trimmed| format!("({} - {trimmed})", arguments.length),
    );
    let (tubing, per_cm) = (&arguments.tubing, &arguments.per_cm);
    let product = format!("{length} x {per_cm}/cm");
    match arguments.what {
        What::Both => format!(
            "prime = tubing + length x volume of a cm = {tubing} + {product} = {tubing} + {} = {prime}",
            catheter.catheter_volume()
        ),
        What::Pump => format!("prime = tubing = {prime}"),
        What::Catheter => format!("prime = length x volume of a cm = {product} = {prime}"),
    }
}

/// What the pump counts as the patient's dose, and what may come of it.
fn counted(drug: Drug, dose: &TipDose, drawn: Mass, output: &mut Output) -> Result<(), Error> {
    let unit = MassUnit::of(drug);
    let counted = unit.mass(dose.of(drug))?;
    output.result_of(
        "counted_dose",
        drug,
        format!("Counts as a dose of {drug}"),
        counted,
    );
    let early = unit.mass(drawn)?;
    if dose.is_zero() {
        output.warning(format!(
            "Nothing counts as a dose, because what leaves the tip is inert. Up to {early} of {drug} may reach the patient early because of mixing, and a weak period may follow: sharp fronts do not exist in tubing."
        ));
    } else {
        output.warning(format!(
            "The catheter holds {drug}: this prime is a dose. Was the catheter aspirated (--aspirated)?"
        ));
    }
    Ok(())
}

/// The same prime with another tubing volume.
fn compare(
    arguments: &Arguments,
    other: &Given<Volume>,
    catheter: &Catheter,
    output: &mut Output,
) -> Result<(), Error> {
    let kind = arguments.what.kind();
    let this = catheter.prime_volume(kind);
    let that = arguments.catheter(other)?.prime_volume(kind);
    output.result(
        "other_volume",
        format!("Prime with tubing of {other}"),
        volume(that)?,
    );
    let (difference, sign) = match that.checked_sub(this) {
        Some(more) => (more, "+"),
        None => (this.saturating_sub(that), "-"),
    };
    let text = output.result(
        "difference",
        "  difference",
        volume(difference)?.signed(sign),
    );
    output.formula(format!("difference = {that} - {this} = {text}"));
    let (Some(drug), Some(concentration)) = (arguments.drug, &arguments.concentration) else {
        return Ok(());
    };
    let mass = Mass::in_volume(difference, concentration.value);
    let shown = MassUnit::of(drug).mass(mass)?.signed(sign);
    let label = format!("  difference in {drug}");
    let shown = output.result_of("difference_mass", drug, label, shown);
    if let Some(dose) = &arguments.dose {
        let day = dose.value.per_day().ok_or_else(Error::too_large)?;
        let share = per_cent(ratio(mass.zeptograms(), day.zeptograms())?)?;
        let text = output.result("difference_share", "  of the daily dose", share);
        output.formula(format!(
            "share = difference / daily dose = {shown} / {dose} = {text}"
        ));
    }
    Ok(())
}
