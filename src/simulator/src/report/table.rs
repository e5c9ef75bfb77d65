//! `delivery.csv`: one row a sample, exact decimals, the unit in the column's name.

use crate::run::Sample;
use crate::words::{decimal, micrograms, millilitres};
use units::{Drug, Volume};

/// The table as text. A dose column for each drug that was delivered.
pub(super) fn csv(samples: &[Sample]) -> String {
    let drugs: Vec<Drug> = samples
        .last()
        .map_or_else(Vec::new, |last| last.dose.keys().copied().collect());
    let mut table = "time_s,prescribed_mL_per_day,rate_mL_per_day,volume_mL".to_owned();
    for drug in &drugs {
        table.push_str(&format!(",{drug}_mcg"));
    }
    table.push_str(",reservoir_mL,prescribed_steps,turned_steps,counted_steps,at_most_steps\n");
    let mut before: Option<&Sample> = None;
    for sample in samples {
        let mut row = vec![
            decimal(u128::from(sample.at.micros()), 6),
            decimal(
                u128::from(sample.prescribed.per_day_nanolitres_rounded_down()),
                6,
            ),
            decimal(
                u128::from(before.map_or(0, |before| rate(before, sample))),
                6,
            ),
            millilitres(sample.volume),
        ];
        for drug in &drugs {
            row.push(
                sample
                    .dose
                    .get(drug)
                    .map_or_else(|| "0".to_owned(), |dose| micrograms(*dose)),
            );
        }
        let pump = sample.pump.as_ref();
        let reservoir = pump
            .and_then(|pump| pump.reservoir_fl)
            .map(Volume::from_femtolitres);
        row.push(reservoir.map(millilitres).unwrap_or_default());
        row.push(sample.prescribed_steps.to_string());
        row.push(sample.turned_steps.to_string());
        row.push(
            pump.map(|pump| pump.counted_steps.to_string())
                .unwrap_or_default(),
        );
        row.push(
            pump.map(|pump| pump.at_most_steps.to_string())
                .unwrap_or_default(),
        );
        table.push_str(&row.join(","));
        table.push('\n');
        before = Some(sample);
    }
    table
}

/// What the rotor delivered between two samples, in nL/day, rounded down.
pub(super) fn rate(before: &Sample, after: &Sample) -> u64 {
    let volume = after.volume.saturating_sub(before.volume);
    let time = after.at.saturating_sub(before.at);
    units::Flow::of_volume_over(volume, time)
        .map_or(0, units::Flow::per_day_nanolitres_rounded_down)
}
