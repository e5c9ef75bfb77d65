//! The one translation between the wire's program and therapy's prescription.

use protocol::{Dose, Field, Mode as WireMode, Program, Refused};
use therapy::{Bounds, Draft, Mode, Prescription, Refusal};
use units::{Concentration, DoseRate, Mass, Volume};

/// Translates and validates a program as it came over the link.
///
/// # Errors
/// A [`Refused`] that names the field, its value and what is allowed.
pub fn to_prescription(program: &Program, bounds: &Bounds) -> Result<Prescription, Refused> {
    let Some(concentration) =
        Concentration::from_nanograms_per_millilitre(program.concentration_ng_per_ml)
    else {
        return Err(Refused::OutOfRange {
            field: Field::ConcentrationNanogramsPerMillilitre,
            value: u64::from(program.concentration_ng_per_ml),
            lowest: 1,
            highest: u64::from(u32::MAX),
        });
    };
    if let Some(fill_nl) = program.fill_nl {
        check_fill(fill_nl, bounds)?;
    }
    let mode = match program.mode {
        WireMode::Stopped => Mode::Stopped,
        WireMode::SimpleContinuous { dose } => Mode::SimpleContinuous(DoseRate::new(
            Mass::from_nanograms(dose.nanograms),
            dose.per,
        )),
    };
    let draft = Draft {
        drug: program.drug,
        concentration,
        mode,
    };
    Prescription::new(draft, bounds).map_err(|refusal| to_refused(program, bounds, refusal))
}

/// The program as the pump understood it: rebuilt from the prescription, not echoed.
#[must_use]
pub fn to_wire(prescription: &Prescription, fill: Option<Volume>) -> Program {
    let mode = match prescription.mode() {
        Mode::Stopped => WireMode::Stopped,
        Mode::SimpleContinuous(rate) => WireMode::SimpleContinuous {
            dose: Dose {
                // A prescription made by `to_prescription` holds whole nanograms.
                nanograms: rate.amount().nanograms_exact().unwrap_or(u64::MAX),
                per: rate.per(),
            },
        },
    };
    Program {
        drug: prescription.drug(),
        concentration_ng_per_ml: prescription.concentration().nanograms_per_millilitre(),
        fill_nl: fill.map(nanolitres),
        mode,
    }
}

/// Whole nanolitres of a volume, rounded down, at most what the wire can hold.
pub(crate) fn nanolitres(volume: Volume) -> u32 {
    u32::try_from(volume.nanolitres_rounded_down()).unwrap_or(u32::MAX)
}

fn check_fill(fill_nl: u32, bounds: &Bounds) -> Result<(), Refused> {
    let highest = nanolitres(bounds.capacity);
    if fill_nl > highest {
        return Err(Refused::OutOfRange {
            field: Field::FillNanolitres,
            value: u64::from(fill_nl),
            lowest: 0,
            highest: u64::from(highest),
        });
    }
    Ok(())
}

fn to_refused(program: &Program, bounds: &Bounds, refusal: Refusal) -> Refused {
    let nanograms = match program.mode {
        WireMode::Stopped => 0,
        WireMode::SimpleContinuous { dose } => dose.nanograms,
    };
    let lowest = bounds.lowest.flow().per_day_nanolitres_rounded_down();
    let highest = bounds.highest.flow().per_day_nanolitres_rounded_down();
    let out_of_flow_range = |value: u64| Refused::OutOfRange {
        field: Field::FlowNanolitresPerDay,
        value,
        lowest,
        highest,
    };
    match refusal {
        Refusal::DoseZero | Refusal::DoseTooLarge => Refused::OutOfRange {
            field: Field::DoseNanograms,
            value: nanograms,
            lowest: 1,
            highest: u64::MAX,
        },
        Refusal::FlowBelowLowest { flow, .. } => {
            out_of_flow_range(flow.per_day_nanolitres_rounded_down())
        }
        // Rounded up: 24.0000004 mL/day must not be shown as the 24 mL/day that would be allowed.
        Refusal::FlowAboveHighest { flow, .. } | Refusal::StepRateAboveMaximum { flow, .. } => {
            out_of_flow_range(
                flow.per_day_nanolitres_rounded_down()
                    .max(highest.saturating_add(1)),
            )
        }
        Refusal::FillAboveCapacity { fill, capacity } => Refused::OutOfRange {
            field: Field::FillNanolitres,
            value: u64::from(nanolitres(fill)),
            lowest: 0,
            highest: u64::from(nanolitres(capacity)),
        },
    }
}
