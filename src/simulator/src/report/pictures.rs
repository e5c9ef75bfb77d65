//! The page's pictures: rate, dose and reservoir over time.

use super::chart::{Chart, Line, Role, TimeAxis, ratio};
use super::table;
use crate::run::{Outcome, Sample};
use crate::scenario::Scenario;
use anyhow::Result;
use std::fmt::Write;
use units::{Drug, Mass};

const NANOLITRES_IN_MILLILITRE: u128 = 1_000_000;
const FEMTOLITRES_IN_MILLILITRE: u128 = 1_000_000_000_000;

/// Adds the pictures to the page.
pub(super) fn pictures(page: &mut String, scenario: &Scenario, outcome: &Outcome) -> Result<()> {
    let time = TimeAxis::of(scenario.duration);
    let marks: Vec<f64> = scenario
        .events
        .iter()
        .map(|event| time.place(event.at))
        .collect();
    let album = Album {
        end: time.place(scenario.duration),
        time,
        samples: &outcome.samples,
        marks,
    };
    page.push_str("<section class=\"pictures\">\n<h2>Over time</h2>\n");
    if !album.marks.is_empty() {
        page.push_str(
            "<p class=\"note\">Dashed upright lines mark the events of the scenario.</p>\n",
        );
    }
    album.rate(page)?;
    album.dose(page)?;
    let capacity = scenario.bounds.capacity.femtolitres();
    album.reservoir(page, ratio(capacity.into(), FEMTOLITRES_IN_MILLILITRE))?;
    page.push_str("</section>\n");
    Ok(())
}

/// What the pictures have in common.
struct Album<'a> {
    time: TimeAxis,
    end: f64,
    samples: &'a [Sample],
    marks: Vec<f64>,
}

impl Album<'_> {
    fn rate(&self, page: &mut String) -> Result<()> {
        let delivered = Line {
            role: Role::Delivered,
            filled: false,
            points: self.delivered_rate(),
        };
        // Drawn last: its dashes show where both are the same.
        let prescribed = Line {
            role: Role::Prescribed,
            filled: false,
            points: self.prescribed_rate(),
        };
        let svg = self
            .chart("mL/day", 0.0, vec![delivered, prescribed])
            .svg("Rate of infusion over time, in millilitres a day")?;
        let legend = [
            key(Role::Delivered, "delivered in each interval"),
            key(Role::Prescribed, "prescribed"),
        ];
        figure(page, "Rate", &legend, &svg)
    }

    fn dose(&self, page: &mut String) -> Result<()> {
        let drugs: Vec<(Drug, Mass)> = match self.samples.last() {
            Some(last) => last
                .dose
                .iter()
                .map(|(drug, dose)| (*drug, *dose))
                .collect(),
            None => Vec::new(),
        };
        let milligram = Mass::from_nanograms(1_000_000);
        let (unit, one) = if drugs.iter().any(|(_, dose)| *dose >= milligram) {
            ("mg", milligram)
        } else {
            ("mcg", Mass::from_nanograms(1_000))
        };
        let mut legend = Vec::new();
        let mut lines = Vec::new();
        for (index, (drug, _)) in drugs.iter().enumerate() {
            let role = if index == 0 {
                Role::Delivered
            } else {
                Role::Further
            };
            legend.push(key(role, drug.name()));
            lines.push(Line {
                role,
                filled: drugs.len() == 1,
                points: self.points(|sample| {
                    let dose = sample.dose.get(drug)?;
                    Some(ratio(dose.zeptograms(), one.zeptograms()))
                }),
            });
        }
        let svg = self
            .chart(unit, 0.0, lines)
            .svg("Cumulative dose over time")?;
        figure(page, "Dose delivered so far", &legend, &svg)
    }

    fn reservoir(&self, page: &mut String, capacity: f64) -> Result<()> {
        let left = Line {
            role: Role::Delivered,
            filled: true,
            points: self.points(|sample| {
                let left = sample.pump.as_ref()?.reservoir_fl?;
                Some(ratio(left.into(), FEMTOLITRES_IN_MILLILITRE))
            }),
        };
        let svg = self
            .chart("mL", capacity, vec![left])
            .svg("Volume left in the reservoir over time, in millilitres")?;
        let legend = [key(
            Role::Delivered,
            "deliverable volume left, as the pump reckons it",
        )];
        figure(page, "Reservoir", &legend, &svg)
    }

    fn chart<'a>(&'a self, unit: &'a str, at_least: f64, lines: Vec<Line>) -> Chart<'a> {
        Chart {
            time_unit: self.time.unit,
            end: self.end,
            unit,
            at_least,
            lines,
            marks: &self.marks,
        }
    }

    /// One point a sample that has a value.
    fn points(&self, value: impl Fn(&Sample) -> Option<f64>) -> Vec<(f64, f64)> {
        let place = |sample: &Sample| Some((self.time.place(sample.at), value(sample)?));
        self.samples.iter().filter_map(place).collect()
    }

    /// A level line for each interval between two samples.
    fn delivered_rate(&self) -> Vec<(f64, f64)> {
        let mut points = Vec::new();
        for (before, after) in self.samples.iter().zip(self.samples.iter().skip(1)) {
            let rate = table::rate(before, after);
            let rate = ratio(rate.into(), NANOLITRES_IN_MILLILITRE);
            points.push((self.time.place(before.at), rate));
            points.push((self.time.place(after.at), rate));
        }
        points
    }

    /// Level until the sample at which another rate is prescribed.
    fn prescribed_rate(&self) -> Vec<(f64, f64)> {
        let mut points: Vec<(f64, f64)> = Vec::new();
        for sample in self.samples {
            let rate = sample.prescribed.per_day_nanolitres_rounded_down();
            let rate = ratio(rate.into(), NANOLITRES_IN_MILLILITRE);
            let at = self.time.place(sample.at);
            if let Some((_, before)) = points.last().copied() {
                points.push((at, before));
            }
            points.push((at, rate));
        }
        points
    }
}

/// One entry of a legend.
fn key(role: Role, text: &str) -> String {
    format!("<span class=\"key {}\"></span>{text}", role.class())
}

fn figure(page: &mut String, title: &str, legend: &[String], svg: &str) -> Result<()> {
    writeln!(
        page,
        "<figure>\n<figcaption><strong>{title}</strong><span class=\"legend\">{}</span></figcaption>\n{svg}\n</figure>",
        legend.join(" ")
    )?;
    Ok(())
}
