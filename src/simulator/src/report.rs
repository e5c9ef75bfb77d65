//! The report of a run: totals, events, a table, and a page for a clinician.

#[expect(
    clippy::disallowed_types,
    reason = "a picture is drawn in floats; no quantity comes back from it"
)]
mod chart;
mod folder;
mod log;
mod page;
#[expect(
    clippy::disallowed_types,
    reason = "a picture is drawn in floats; no quantity comes back from it"
)]
mod pictures;
mod summary;
mod table;
mod text;

pub use folder::{Destination, FILES};
pub(crate) use page::{STYLE, escape};
pub use summary::Summary;
pub(crate) use text::{grouped, spelled};

use crate::run::Outcome;
use crate::scenario::Scenario;
use anyhow::Result;
use std::path::Path;

/// Writes the report of a run into a folder that [`Destination::find`] has found.
///
/// # Errors
/// When it cannot be drawn or written; then the folder is as it was.
pub fn write(folder: &Path, scenario: &Scenario, outcome: &Outcome) -> Result<Summary> {
    let summary = Summary::new(scenario, outcome)?;
    let [summary_name, events_name, delivery_name, page_name] = FILES;
    folder::write(
        folder,
        &[
            (summary_name, &summary.json()?),
            (events_name, &log::jsonl(&outcome.log)?),
            (delivery_name, &table::csv(&outcome.samples)),
            (page_name, &page::html(scenario, outcome, &summary)?),
        ],
    )?;
    Ok(summary)
}
