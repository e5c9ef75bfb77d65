//! What came out at a refill against what should have come out (clinical reference, 2.11).

use clap::Args;
use therapy::{Discrepancy, DiscrepancyVerdict, READING_UNCERTAINTY};
use units::Volume;

use crate::Error;
use crate::exact::ratio;
use crate::output::{Output, Quantity, per_cent, volume};
use crate::read::{Given, positive};

/// Arguments of `thecal calc discrepancy`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example: thecal calc discrepancy --fill \"20 mL\" --expected \"4.20 mL\" --aspirated \"1.80 mL\""
)]
pub(crate) struct Arguments {
    /// Volume of the last fill
    #[arg(long, value_name = "VOLUME", value_parser = positive::<Volume>)]
    fill: Given<Volume>,
    /// What the pump says is left
    #[arg(long, value_name = "VOLUME")]
    expected: Given<Volume>,
    /// What came out
    #[arg(long, value_name = "VOLUME")]
    aspirated: Given<Volume>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Output, Error> {
    let mut output = Output::new("discrepancy", "Refill discrepancy");
    let Arguments {
        fill,
        expected,
        aspirated,
    } = arguments;
    output.input("fill", fill);
    output.input("expected", expected);
    output.input("aspirated", aspirated);
    let out = fill.value.checked_sub(expected.value).ok_or_else(|| {
        Error::Input(format!(
            "{expected} expected is more than the {fill} that were filled in"
        ))
    })?;
    let discrepancy = Discrepancy::new(expected.value, aspirated.value, out);
    let share = discrepancy.share().ok_or_else(|| {
        Error::Input("nothing was programmed out since the fill: there is no percentage".into())
    })?;
    let sign = match expected.value.cmp(&aspirated.value) {
        std::cmp::Ordering::Greater => "+",
        std::cmp::Ordering::Equal => "",
        std::cmp::Ordering::Less => "-",
    };
    let text = output.result("error", "Discrepancy", per_cent(share)?.signed(sign));
    let reading = per_cent(ratio(READING_UNCERTAINTY.femtolitres(), out.femtolitres())?)?;
    let reading = output.result("reading_error", "  a reading error makes", reading);
    output.result("verdict", "Verdict", verdict(&discrepancy));
    let shown = volume(out)?;
    let shown = output.result("programmed_out", "Programmed out", shown);
    let actual = discrepancy.actually_out();
    output.result("actually_out", "Actually out", volume(actual)?);
    let quotient = ratio(actual.femtolitres(), out.femtolitres())?;
    output.result("ratio", "  ratio", Quantity::new(quotient, "times", 3)?);
    output.formula(format!(
        "error = (expected - aspirated) / programmed out = ({expected} - {aspirated}) / ({fill} - {expected}) = ({expected} - {aspirated}) / {shown} = {text}"
    ));
    output.formula(format!(
        "a reading error of {READING_UNCERTAINTY} makes {READING_UNCERTAINTY} / {shown} = {reading}"
    ));
    advice(&discrepancy, &mut output);
    Ok(output)
}

fn verdict(discrepancy: &Discrepancy) -> &'static str {
    match discrepancy.verdict() {
        DiscrepancyVerdict::NotClassified => "not classified",
        DiscrepancyVerdict::Within => "within 14.5 %",
        DiscrepancyVerdict::OverInfusion => "over-infusion",
        DiscrepancyVerdict::UnderInfusion => "under-infusion",
    }
}

fn advice(discrepancy: &Discrepancy, output: &mut Output) {
    match discrepancy.verdict() {
        DiscrepancyVerdict::NotClassified => output.warning(
            "Less than 5 mL was programmed out: a reading error would decide. Follow the trend.",
        ),
        DiscrepancyVerdict::Within => {}
        DiscrepancyVerdict::OverInfusion => output.warning(
            "More than 14.5 % too little came out: too much was delivered, or drug has leaked.",
        ),
        DiscrepancyVerdict::UnderInfusion => output.warning(
            "More than 14.5 % too much came out: too little was delivered (stall, blocked catheter), or the needle was elsewhere.",
        ),
    }
    if discrepancy.ratio_is_high() {
        output.warning("The ratio is above 1.05: book the next refill by the worst case.");
    }
}
