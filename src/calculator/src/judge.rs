//! The limits of the drug library.

use therapy::{Asked, Finding, Library, Mixture, WorstCase, check};
use units::Volume;

use crate::Error;

/// What the built-in library says about the most a program gives: what needs a reason or should be known; refused is what nobody may give.
pub(crate) fn judge(
    mixture: &Mixture,
    worst: &WorstCase,
    largest_bolus: Option<Volume>,
    boluses_per_day: u32,
) -> Result<Vec<String>, Error> {
    let asked = Asked {
        largest_24h: worst.one_day,
        largest_bolus,
        boluses_per_day,
        change: None,
    };
    let findings = check(mixture, &Library::built_in(), &asked).map_err(Error::refused)?;
    let say = |finding: &Finding| {
        if finding.needs_reason() {
            format!("{finding} (the pump asks for a reason)")
        } else {
            finding.to_string()
        }
    };
    Ok(findings.iter().map(say).collect())
}
