//! Schedules by the time of day and the day of the week (clinical reference, 2.6, 2.8, 2.16).

use clap::Args;
use therapy::{
    BasalPlan, Bounds, Ingredient, Mixture, WEEK_STEPS, Week, WeekDraft, WeekStep, Weekday,
    clock_drift, worst_case,
};
use units::{Concentration, DoseRate, Drug, Duration, Mass, Per};

use crate::Error;
use crate::exact::{ratio, times};
use crate::judge::judge;
use crate::output::{FlowUnit, MassUnit, Output, flow as show_flow};
use crate::rate::show_change;
use crate::read::{Given, PartsPerMillion, Pattern, positive};

/// Days of the year that a drift is shown for.
const YEAR: Duration = Duration::from_days(365);
/// A whole day.
const DAY: Duration = Duration::from_days(1);

/// Arguments of `thecal calc flex`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example: thecal calc flex --concentration \"2000 mcg/mL\" --drug baclofen --pattern \"mon-fri: 00:00=15 mcg/h, 06:00=40 mcg/h, 09:00=20 mcg/h\" --pattern \"sat-sun: 00:00=20 mcg/h\""
)]
pub(crate) struct Arguments {
    /// Days and steps; once for every different day. A step lasts until the next one or 24:00; "minimum" is the pump's minimum rate
    #[arg(long = "pattern", value_name = "DAYS: TIME=DOSE, ...", required = true)]
    patterns: Vec<Given<Pattern>>,
    /// Concentration as on the label
    #[arg(long, value_name = "CONCENTRATION")]
    concentration: Given<Concentration>,
    /// The drug: its unit is shown and its limits are checked
    #[arg(long, value_name = "DRUG")]
    drug: Option<Drug>,
    /// The former total of 24 h: by how much does it change? Zero for a new start
    #[arg(long, value_name = "DOSE")]
    old_total: Option<Given<DoseRate>>,
    /// The most that the patient's boluses add in 24 h: shows the change with them, too
    #[arg(long, value_name = "MASS", requires = "old_total", value_parser = positive::<Mass>)]
    patient_total: Option<Given<Mass>>,
    /// How far the pump's clock may be off, such as "20 ppm": how far do the times of day drift?
    #[arg(long, value_name = "PPM")]
    clock_error: Option<Given<PartsPerMillion>>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Output, Error> {
    let mut output = Output::new("flex", "Flex schedule");
    let patterns: Vec<_> = arguments.patterns.iter().map(Given::text).collect();
    output.input("patterns", patterns.join("; "));
    output.input("concentration", &arguments.concentration);
    output.input_if("drug", arguments.drug);
    output.input_if("old_total", arguments.old_total.as_ref());
    let draft = draft(arguments)?;
    let unit = MassUnit::of_drug_or(arguments.drug, &first_dose(arguments));
    let bounds = Bounds::PROGRAMMABLE_IMPLANT;
    let concentration = arguments.concentration.value;
    let week = Week::new(draft, concentration, &bounds).map_err(Error::refused)?;
    totals(&week, unit, &mut output)?;
    for pattern in &arguments.patterns {
        day_formula(&pattern.value, &week, unit, &mut output)?;
    }
    output.formula(format!(
        "rate = dose / concentration = dose / {}",
        arguments.concentration
    ));
    windows(&week, unit, &mut output)?;
    if let Some(drug) = arguments.drug {
        let mixture = Mixture::of(Ingredient {
            drug,
            concentration,
        });
        let worst = worst_case(&BasalPlan::Week(&week), None).ok_or_else(Error::too_large)?;
        output.warnings(judge(&mixture, &worst, None, 0)?);
    }
    if let Some(old) = &arguments.old_total {
        let old = old.value.per_day().ok_or_else(Error::too_large)?;
        let new = largest(&week, DAY)?;
        show_change(
            old,
            new,
            unit,
            arguments.patient_total.as_ref(),
            &mut output,
        )?;
    }
    if let Some(error) = &arguments.clock_error {
        drift(error, &mut output);
    }
    Ok(output)
}

/// The first dose as it was given, for its unit.
fn first_dose(arguments: &Arguments) -> String {
    let patterns = arguments.patterns.iter();
    let mut doses =
        patterns.flat_map(|pattern| pattern.text().split(['=', ',']).skip(1).step_by(2));
    let dose = doses.find(|dose| dose.trim() != "minimum");
    dose.unwrap_or_default().to_owned()
}

/// The patterns as a week of the pump: every day once.
fn draft(arguments: &Arguments) -> Result<WeekDraft, Error> {
    let mut days = [None; 7];
    let mut steps = Vec::new();
    for (number, given) in arguments.patterns.iter().enumerate() {
        let number = u8::try_from(number).map_err(|_| Error::too_large())?;
        for day in &given.value.days {
            let place = days.get_mut(usize::from(day.days_since_monday()));
            if let Some(place) = place
                && place.replace(number).is_some()
            {
                return Err(Error::Input(format!(
                    "{day} is in two patterns: a day follows one"
                )));
            }
        }
        steps.extend(given.value.steps.iter().copied());
    }
    let mut followed = [0; 7];
    for ((place, day), pattern) in followed.iter_mut().zip(Weekday::ALL).zip(days) {
        *place = pattern.ok_or_else(|| {
            Error::Input(format!(
                "{day} is in no pattern: every day of the week follows one"
            ))
        })?;
    }
    let mut doses = steps.iter().filter_map(|(_, dose)| *dose);
    let per = doses.next().map_or(Per::Hour, DoseRate::per);
    if doses.any(|dose| dose.per() != per) {
        return Err(Error::Input(
            "some doses are per hour and some per day: all of them must be over the same time"
                .into(),
        ));
    }
    let steps = steps
        .into_iter()
        .map(|(from_minute, dose)| week_step(from_minute, dose))
        .collect::<Result<Vec<_>, _>>()?;
    let mut draft = WeekDraft {
        per,
        days: followed,
        steps: Default::default(),
    };
    for step in steps {
        draft.steps.push(step).map_err(|_| {
            Error::Refused(format!(
                "a week has at most {WEEK_STEPS} steps in all of its patterns"
            ))
        })?;
    }
    Ok(draft)
}

/// A step in whole nanograms.
fn week_step(from_minute: u16, dose: Option<DoseRate>) -> Result<WeekStep, Error> {
    let nanograms = dose.map_or(Some(0), |dose| {
        let nanograms = u32::try_from(dose.amount().nanograms_exact()?).ok()?;
        (nanograms > 0).then_some(nanograms)
    });
    Ok(WeekStep {
        from_minute,
        dose_nanograms: nanograms.ok_or_else(|| {
            Error::Input("the dose of a step is whole nanograms, from 1 ng to 4.29 g".into())
        })?,
    })
}

fn totals(week: &Week, unit: MassUnit, output: &mut Output) -> Result<(), Error> {
    for day in Weekday::ALL {
        let total = unit.over(week.day_total(day), "/day")?;
        output.result_of("day_total", day, day.name(), total);
    }
    let text = output.result("week_total", "Week", unit.over(week.week_total(), "/week")?);
    let mean = output.result(
        "mean_day",
        "  mean day",
        unit.parts(week.mean_day(), "/day")?,
    );
    output.formula(format!("mean day = week / 7 = {text} / 7 = {mean}"));
    let an_hour = times(week.mean_day(), ratio(1_u8, 24_u8)?)?;
    output.result("mean_hour", "  mean hour", unit.parts(an_hour, "/h")?);
    let rate = show_flow(week.mean_flow(), FlowUnit::MillilitresADay)?;
    output.result("mean_rate", "  mean rate", rate);
    for (name, label, flow) in [
        ("peak_rate", "Peak rate", week.highest()),
        ("trough_rate", "Trough rate", week.lowest()),
    ] {
        output.result(name, label, show_flow(flow, FlowUnit::MillilitresADay)?);
    }
    Ok(())
}

/// The sum of a pattern's first day, step by step.
fn day_formula(
    pattern: &Pattern,
    week: &Week,
    unit: MassUnit,
    output: &mut Output,
) -> Result<(), Error> {
    let Some(day) = pattern.days.first() else {
        return Ok(());
    };
    let ends = pattern.steps.iter().skip(1).map(|(from, _)| *from);
    let steps = pattern.steps.iter().zip(ends.chain([24 * 60]));
    let parts: Vec<_> = steps
        .map(|((from, dose), to)| {
            let length = match Duration::from_minutes(u32::from(to.saturating_sub(*from))) {
                DAY => "24 h".to_owned(),
                length => length.to_string(),
            };
            let dose = dose.map_or("minimum rate".to_owned(), |dose| dose.to_string());
            format!("{dose} x {length}")
        })
        .collect();
    let total = unit.mass(week.day_total(*day))?;
    output.formula(format!("{day} = {} = {total}", parts.join(" + ")));
    Ok(())
}

fn largest(week: &Week, window: Duration) -> Result<Mass, Error> {
    week.largest_mass_in_window(window)
        .ok_or_else(Error::too_large)
}

fn windows(week: &Week, unit: MassUnit, output: &mut Output) -> Result<(), Error> {
    let day = largest(week, DAY)?;
    let hour = largest(week, Duration::from_hours(1))?;
    output.result("largest_24h", "Largest 24 h, rolling", unit.mass(day)?);
    output.result("largest_1h", "Largest 1 h, rolling", unit.mass(hour)?);
    if Weekday::ALL
        .into_iter()
        .all(|weekday| week.day_total(weekday) < day)
    {
        output.warning("The largest 24 h lie across a midnight and are more than any day's total: limits are held against them.");
    }
    Ok(())
}

/// How far the times of day drift.
fn drift(error: &Given<PartsPerMillion>, output: &mut Output) {
    let PartsPerMillion(parts) = error.value;
    output.input("clock_error", error);
    let day = clock_drift(DAY, parts);
    let text = output.result("drift_per_day", "Clock drift in a day", day);
    output.formula(format!("drift = time x error = 1 day x {error} = {text}"));
    output.result("drift_per_year", "  in 365 days", clock_drift(YEAR, parts));
    output.warning("The drift shifts the times of the steps; what is given in a day does not change noticeably. Set the clock at every session.");
}
