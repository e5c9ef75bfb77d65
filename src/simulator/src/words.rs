//! Quantities of the wire as text with units.

use protocol::{Dose, Mode, Program};
use serde::Serialize;
use units::{Concentration, DoseRate, Drug, Flow, Mass, Volume};

/// With a capital first letter.
pub(crate) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// A program in words and quantities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProgramText {
    /// Which drug.
    pub drug: Drug,
    /// In the reservoir.
    pub concentration: Option<Concentration>,
    /// Filled with this program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fill: Option<Volume>,
    /// How it is delivered.
    pub mode: &'static str,
    /// The dose as prescribed; none when stopped.
    pub dose: Option<DoseRate>,
}

impl ProgramText {
    /// The text of a program of the wire.
    #[must_use]
    pub fn of(program: &Program) -> Self {
        let (mode, dose) = match &program.mode {
            Mode::Stopped => ("stopped", None),
            Mode::SimpleContinuous { dose } => ("simple continuous", Some(dose_rate(*dose))),
        };
        Self {
            drug: program.drug,
            concentration: concentration(program),
            fill: program.fill_nl.map(Volume::from_nanolitres),
            mode,
            dose,
        }
    }
}

/// The concentration of a program; none for 0, which no pump takes.
pub(crate) fn concentration(program: &Program) -> Option<Concentration> {
    Concentration::from_nanograms_per_millilitre(program.concentration_ng_per_ml)
}

/// The flow a program means.
pub(crate) fn flow(program: &Program) -> Flow {
    match (&program.mode, concentration(program)) {
        (Mode::SimpleContinuous { dose }, Some(concentration)) => {
            dose_rate(*dose).flow(concentration)
        }
        (Mode::SimpleContinuous { .. }, None) | (Mode::Stopped, _) => Flow::ZERO,
    }
}

fn dose_rate(dose: Dose) -> DoseRate {
    DoseRate::new(Mass::from_nanograms(dose.nanograms), dose.per)
}

/// `value / 10^places` as an exact decimal without idle zeros.
pub(crate) fn decimal(value: u128, places: usize) -> String {
    let digits = format!("{value:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        whole.to_owned()
    } else {
        format!("{whole}.{fraction}")
    }
}

/// A volume in millilitres.
pub(crate) fn millilitres(volume: Volume) -> String {
    decimal(u128::from(volume.femtolitres()), 12)
}

/// A mass in micrograms.
pub(crate) fn micrograms(mass: Mass) -> String {
    decimal(mass.zeptograms(), 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_and_have_no_idle_zeros() {
        assert_eq!(decimal(0, 12), "0");
        assert_eq!(decimal(1, 12), "0.000000000001");
        assert_eq!(decimal(20_000_000_000_000, 12), "20");
        assert_eq!(decimal(8_750_000_000_000, 12), "8.75");
        assert_eq!(decimal(7, 0), "7");
    }

    #[test]
    fn fixed_units_agree_with_the_quantities_own_text() {
        let volume: Volume = "11.25 mL".parse().expect("a volume");
        assert_eq!(millilitres(volume), "11.25");
        let mass: Mass = "22.5 mg".parse().expect("a mass");
        assert_eq!(micrograms(mass), "22500");
    }
}
