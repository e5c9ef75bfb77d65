//! One picture: a quantity over time, as SVG. The only place where a quantity becomes a float.
//!
//! Each colour drawn is a key, which the page's style sheet maps to a colour for light or for dark.

use anyhow::{Context, Result};
use plotters::prelude::*;
use units::Duration;

/// The picture's size in its own units; the page scales it to its width.
const SIZE: (u32, u32) = (1920, 500);
/// Room for the numbers left of the picture, the same for all so that their time axes stand in line.
const LEFT: u32 = 150;

/// A colour's role; `report.css` gives it its colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// What was delivered.
    Delivered,
    /// The same of a further drug.
    Further,
    /// What was asked for.
    Prescribed,
    /// A limit or an event.
    Mark,
}

impl Role {
    /// The class of its key in the page.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Further => "further",
            Self::Prescribed => "prescribed",
            Self::Mark => "mark",
        }
    }

    const fn key(self) -> RGBColor {
        match self {
            Self::Delivered => RGBColor(0x11, 0x00, 0x01),
            Self::Further => RGBColor(0x11, 0x00, 0x02),
            Self::Prescribed => RGBColor(0x11, 0x00, 0x03),
            Self::Mark => RGBColor(0x11, 0x00, 0x04),
        }
    }
}

const AXIS: RGBColor = RGBColor(0x11, 0x00, 0x05);
const GRID: RGBColor = RGBColor(0x11, 0x00, 0x06);
const INK: RGBColor = RGBColor(0x11, 0x00, 0x07);

/// One line of a picture.
pub(super) struct Line {
    pub(super) role: Role,
    /// Whether what lies below is tinted.
    pub(super) filled: bool,
    pub(super) points: Vec<(f64, f64)>,
}

/// One picture.
pub(super) struct Chart<'a> {
    /// Unit of the time axis, written below it.
    pub(super) time_unit: &'a str,
    /// End of the time axis.
    pub(super) end: f64,
    /// Unit of the quantity, written beside it.
    pub(super) unit: &'a str,
    /// The axis reaches at least so far.
    pub(super) at_least: f64,
    pub(super) lines: Vec<Line>,
    /// Times of events, drawn as thin upright lines.
    pub(super) marks: &'a [f64],
}

impl Chart<'_> {
    /// Draws it; `description` is what a screen reader says.
    pub(super) fn svg(&self, description: &str) -> Result<String> {
        let mut svg = String::new();
        self.draw(&mut svg)
            .context("the picture could not be drawn")?;
        let opening = format!(
            "<svg class=\"chart\" role=\"img\" aria-label=\"{}\" ",
            super::page::escape(description)
        );
        Ok(svg.replacen("<svg ", &opening, 1))
    }

    fn draw(&self, svg: &mut String) -> Result<()> {
        let text = |size: u32| ("sans-serif", size).into_font().color(&INK);
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        let highest = self
            .lines
            .iter()
            .flat_map(|line| line.points.iter().map(|point| point.1))
            .fold(self.at_least, f64::max);
        let mut chart = ChartBuilder::on(&area)
            .margin_top(20)
            .margin_right(32)
            .set_label_area_size(LabelAreaPosition::Left, LEFT)
            .set_label_area_size(LabelAreaPosition::Bottom, 84)
            .build_cartesian_2d(0.0..self.end, 0.0..highest.max(f64::MIN_POSITIVE) * 1.08)?;
        chart
            .configure_mesh()
            .bold_line_style(GRID.stroke_width(2))
            .light_line_style(TRANSPARENT)
            .axis_style(AXIS.stroke_width(2))
            .x_labels(11)
            .y_labels(6)
            .x_label_style(text(30))
            .y_label_style(text(30))
            .axis_desc_style(text(30))
            .x_label_formatter(&|value| number(*value))
            .y_label_formatter(&|value| number(*value))
            .x_desc(self.time_unit)
            .y_desc(self.unit)
            .draw()?;
        for mark in self.marks {
            let upright = [(*mark, 0.0), (*mark, highest * 1.08)];
            chart.draw_series(LineSeries::new(upright, Role::Mark.key().stroke_width(2)))?;
        }
        for line in &self.lines {
            let colour = line.role.key();
            if line.filled {
                chart.draw_series(AreaSeries::new(
                    line.points.iter().copied(),
                    0.0,
                    colour.mix(0.12),
                ))?;
            }
            chart.draw_series(LineSeries::new(
                line.points.iter().copied(),
                colour.stroke_width(4),
            ))?;
        }
        area.present()?;
        Ok(())
    }
}

/// A number on an axis, without zeros that say nothing.
fn number(value: f64) -> String {
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}

/// One unit of a chart's time axis.
pub(super) struct TimeAxis {
    pub(super) unit: &'static str,
    one: Duration,
}

impl TimeAxis {
    /// Days, or for short runs hours or minutes.
    pub(super) fn of(duration: Duration) -> Self {
        if duration > Duration::from_days(3) {
            Self {
                unit: "days",
                one: Duration::from_days(1),
            }
        } else if duration > Duration::from_hours(3) {
            Self {
                unit: "hours",
                one: Duration::from_hours(1),
            }
        } else {
            Self {
                unit: "minutes",
                one: Duration::from_minutes(1),
            }
        }
    }

    /// Where a time stands on the axis.
    pub(super) fn place(&self, at: Duration) -> f64 {
        ratio(at.micros().into(), self.one.micros().into())
    }
}

/// A quantity in a unit, for a picture.
pub(super) fn ratio(value: u128, one: u128) -> f64 {
    value as f64 / one as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_number_has_no_idle_zeros() {
        assert_eq!(number(0.0), "0");
        assert_eq!(number(-0.0), "0");
        assert_eq!(number(20.0), "20");
        assert_eq!(number(0.125), "0.125");
        assert_eq!(number(0.1 + 0.2), "0.3");
    }

    #[test]
    fn a_picture_of_nothing_is_still_a_picture() {
        let chart = Chart {
            time_unit: "days",
            end: 1.0,
            unit: "mL",
            at_least: 0.0,
            lines: Vec::new(),
            marks: &[],
        };
        let svg = chart.svg("Nothing & nobody").expect("a picture");
        assert!(
            svg.starts_with(
                "<svg class=\"chart\" role=\"img\" aria-label=\"Nothing &amp; nobody\""
            )
        );
        assert!(svg.trim_end().ends_with("</svg>"));
    }
}
