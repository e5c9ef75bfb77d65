//! When to refill, and how long a reservoir lasts (clinical reference, 2.4, 2.5, 2.14).

use clap::Args;
use therapy::{
    Allotment, BasalPlan, Bounds, Course, Forecast, Ingredient, Keeping, LOW_MARK, Mixture,
    RefillCaps, RefillDate, RefillLimit, Reservoir, ReservoirState, WorstCase, ZoneOffset,
    check_flow, whole_steps, worst_case,
};
use units::{Concentration, Date, DoseRate, Drug, Duration, Flow, FlowRate, Mass, Volume};

use crate::Error;
use crate::judge::judge;
use crate::output::{FlowUnit, Output, Value, flow as show_flow, volume};
use crate::read::{DayAndTime, Given, positive, zone};

/// Arguments of `thecal calc refill`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example: thecal calc refill --fill \"20 mL\" --dose \"2.5 mg/day\" --concentration \"10 mg/mL\" --bolus \"0.25 mg\" --boluses 4 --start \"2026-01-05 10:00\""
)]
pub(crate) struct Arguments {
    /// Volume filled in
    #[arg(long, value_name = "VOLUME", value_parser = positive::<Volume>)]
    fill: Given<Volume>,
    /// What is in the reservoir now [default: the fill]
    #[arg(long, value_name = "VOLUME")]
    level: Option<Given<Volume>>,
    /// Level at which the alarm sounds [default: 2 mL]
    #[arg(long, value_name = "VOLUME")]
    low_mark: Option<Given<Volume>>,
    /// The most the reservoir takes [default: 20 mL]
    #[arg(long, value_name = "VOLUME", value_parser = positive::<Volume>)]
    capacity: Option<Given<Volume>>,
    /// Basal dose; of a schedule that of the strongest day
    #[arg(long, value_name = "DOSE", value_parser = positive::<DoseRate>,
          required_unless_present = "rate", requires = "concentration")]
    dose: Option<Given<DoseRate>>,
    /// Concentration as on the label
    #[arg(long, value_name = "CONCENTRATION")]
    concentration: Option<Given<Concentration>>,
    /// Basal rate instead of a dose, as of a constant-rate pump
    #[arg(long, value_name = "RATE", value_parser = positive::<FlowRate>, conflicts_with = "dose")]
    rate: Option<Given<FlowRate>>,
    /// Dose of one patient bolus
    #[arg(long, value_name = "MASS", value_parser = positive::<Mass>, requires_all = ["boluses", "concentration"])]
    bolus: Option<Given<Mass>>,
    /// Patient boluses allotted in 24 h
    #[arg(long, value_name = "N", requires = "bolus",
          value_parser = clap::value_parser!(u8).range(1..=i64::from(therapy::MOST_BOLUSES_PER_DAY)))]
    boluses: Option<u8>,
    /// When this level is or was in the reservoir, in local time: gives dates
    #[arg(long, value_name = "DATE TIME")]
    start: Option<Given<DayAndTime>>,
    /// How far local time is ahead of universal time
    #[arg(long, value_name = "OFFSET", default_value = "+00:00", value_parser = zone, allow_hyphen_values = true)]
    zone: ZoneOffset,
    /// The drug: how long it keeps caps the dates, and its limits are checked
    #[arg(long, value_name = "DRUG")]
    drug: Option<Drug>,
    /// It is the first fill of the pump with this drug
    #[arg(long, requires = "drug")]
    first_fill: bool,
    /// The drug is diluted
    #[arg(long, requires = "drug")]
    diluted: bool,
    /// When it was filled in, if that was not at the start
    #[arg(long, value_name = "DATE", requires_all = ["drug", "start"])]
    filled: Option<Date>,
    /// When the pump is due for replacement (ERI)
    #[arg(long, value_name = "DATE", requires = "start")]
    eri: Option<Date>,
    /// More than 1.05 times what was programmed had left the reservoir at the last refill
    #[arg(long, requires = "start")]
    last_ratio_high: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Output, Error> {
    let mut output = Output::new("refill", "Refill");
    let low_mark = arguments.low_mark.clone();
    let low_mark = low_mark.unwrap_or_else(|| Given::default(LOW_MARK));
    let capacity = arguments.capacity.clone();
    let capacity =
        capacity.unwrap_or_else(|| Given::default(Bounds::PROGRAMMABLE_IMPLANT.capacity));
    let level = arguments.level.as_ref().unwrap_or(&arguments.fill);
    inputs(arguments, level, &low_mark, &capacity, &mut output);
    let reservoir = reservoir(arguments, level, capacity.value)?;
    match reservoir.state(low_mark.value) {
        ReservoirState::Low => output.warning("The level is at or below the low mark already."),
        ReservoirState::Empty | ReservoirState::Overdrawn => {
            output.warning("The reservoir is empty.");
        }
        ReservoirState::Unknown | ReservoirState::Normal => {}
    }
    let (basal, with_boluses) = flows(arguments, &mut output)?;
    let forecast = Forecast::new(level.value, low_mark.value, basal, with_boluses);
    courses(
        arguments,
        level,
        &low_mark,
        &forecast,
        [basal, with_boluses],
        &mut output,
    )?;
    if let Some(start) = &arguments.start {
        dates(arguments, start, &forecast, &mut output);
    }
    Ok(output)
}

fn inputs(
    arguments: &Arguments,
    level: &Given<Volume>,
    low_mark: &Given<Volume>,
    capacity: &Given<Volume>,
    output: &mut Output,
) {
    output.input("fill", &arguments.fill);
    output.input("level", level);
    output.input("low_mark", low_mark);
    output.input("capacity", capacity);
    output.input_if("dose", arguments.dose.as_ref());
    output.input_if("concentration", arguments.concentration.as_ref());
    output.input_if("rate", arguments.rate.as_ref());
    output.input_if("bolus", arguments.bolus.as_ref());
    output.input_if("boluses", arguments.boluses);
    if let Some(start) = &arguments.start {
        output.input("start", start);
        output.input("zone", arguments.zone);
    }
    output.input_if("drug", arguments.drug);
    if arguments.drug.is_some() {
        output.input(
            "first_fill",
            if arguments.first_fill { "yes" } else { "no" },
        );
        output.input("diluted", if arguments.diluted { "yes" } else { "no" });
    }
    output.input_if("filled", arguments.filled);
    output.input_if("eri", arguments.eri);
    if arguments.start.is_some() {
        output.input(
            "last_ratio_high",
            if arguments.last_ratio_high {
                "yes"
            } else {
                "no"
            },
        );
    }
}

/// The account of the reservoir: fill and level must be possible.
fn reservoir(
    arguments: &Arguments,
    level: &Given<Volume>,
    capacity: Volume,
) -> Result<Reservoir, Error> {
    let mut reservoir = Reservoir::unknown();
    reservoir
        .fill(arguments.fill.value, capacity)
        .map_err(Error::refused)?;
    let drawn = arguments
        .fill
        .value
        .checked_sub(level.value)
        .ok_or_else(|| {
            Error::Input(format!(
                "a level of {level} is more than the {} that were filled in",
                arguments.fill
            ))
        })?;
    reservoir.draw(drawn);
    Ok(reservoir)
}

/// The basal flow, and that with every allotted bolus.
fn flows(arguments: &Arguments, output: &mut Output) -> Result<(Flow, Flow), Error> {
    let bounds = Bounds::PROGRAMMABLE_IMPLANT;
    let concentration = arguments.concentration.as_ref();
    let basal = match (&arguments.rate, &arguments.dose, concentration) {
        (Some(rate), _, _) => rate.value.flow(),
        (None, Some(dose), Some(concentration)) => dose.value.flow(concentration.value),
        _ => {
            return Err(Error::Input(
                "a dose with its concentration, or a rate, is wanted".into(),
            ));
        }
    };
    check_flow(basal, &bounds).map_err(Error::refused)?;
    let shown = show_flow(basal, FlowUnit::MillilitresADay)?;
    let shown = output.result("basal_rate", "Basal rate", shown);
    if let (Some(dose), Some(concentration)) = (&arguments.dose, concentration) {
        output.formula(format!(
            "rate = dose / concentration = {dose} / {concentration} = {shown}"
        ));
    }
    let allotment = allotment(arguments, &bounds)?;
    let worst = worst_case(&BasalPlan::Continuous(basal), allotment.as_ref())
        .ok_or_else(Error::too_large)?;
    if let (Some(drug), Some(concentration)) = (arguments.drug, concentration) {
        library(
            drug,
            concentration.value,
            &worst,
            allotment.as_ref(),
            output,
        )?;
    }
    let Some(allotment) = allotment else {
        return Ok((basal, basal));
    };
    let day = Duration::from_days(1);
    let with_boluses = Flow::of_volume_over(worst.one_day, day).ok_or_else(Error::too_large)?;
    let text = show_flow(with_boluses, FlowUnit::MillilitresADay)?;
    let text = output.result("rate_with_boluses", "  with all boluses", text);
    output.formula(format!(
        "with all boluses = {shown} + {} x {} a day = {text}",
        allotment.per_day, allotment.volume
    ));
    Ok((basal, with_boluses))
}

/// The boluses as volumes: whole steps, as the pump gives them.
fn allotment(arguments: &Arguments, bounds: &Bounds) -> Result<Option<Allotment>, Error> {
    let (Some(bolus), Some(per_day), Some(concentration)) = (
        &arguments.bolus,
        arguments.boluses,
        &arguments.concentration,
    ) else {
        return Ok(None);
    };
    let steps = whole_steps(bolus.value, concentration.value, bounds.step_volume);
    let volume = steps
        .filter(|steps| *steps > 0)
        .and_then(|steps| bounds.step_volume.volume_of(u64::from(steps)))
        .ok_or_else(|| {
            Error::Refused(format!(
                "a bolus of {bolus} is less than one motor step of this concentration, or too much to count"
            ))
        })?;
    Ok(Some(Allotment {
        volume,
        // Every one that is allotted counts: the lockout can only leave fewer.
        duration: Duration::ZERO,
        lockout: Duration::ZERO,
        per_day: u32::from(per_day),
    }))
}

fn library(
    drug: Drug,
    concentration: Concentration,
    worst: &WorstCase,
    allotment: Option<&Allotment>,
    output: &mut Output,
) -> Result<(), Error> {
    let mixture = Mixture::of(Ingredient {
        drug,
        concentration,
    });
    let bolus = allotment.map(|allotment| allotment.volume);
    let boluses = allotment.map_or(0, |allotment| allotment.per_day);
    output.warnings(judge(&mixture, worst, bolus, boluses)?);
    Ok(())
}

/// Names and labels of the three ways.
const WAYS: [(&str, &str); 3] = [
    ("basal_only", "basal only"),
    ("with_boluses", "with all boluses"),
    ("worst_case", "worst case, x 1.145"),
];

/// How long the level lasts, three ways.
fn courses(
    arguments: &Arguments,
    level: &Given<Volume>,
    low_mark: &Given<Volume>,
    forecast: &Forecast,
    [basal, with_boluses]: [Flow; 2],
    output: &mut Output,
) -> Result<(), Error> {
    let usable = volume(level.value.saturating_sub(low_mark.value))?;
    for ((way, words), course) in WAYS.into_iter().zip(three(forecast)) {
        let Course {
            to_low_mark,
            to_empty,
        } = course;
        let text = output.result_of("time_to_alarm", way, format!("Alarm, {words}"), to_low_mark);
        output.result_of("time_to_empty", way, "  empty", to_empty);
        let between = to_empty
            .zip(to_low_mark)
            .and_then(|(empty, alarm)| empty.checked_sub(alarm));
        output.result_of("alarm_to_empty", way, "  from alarm to empty", between);
        let flow = show_flow(
            if way == "basal_only" {
                basal
            } else {
                with_boluses
            },
            FlowUnit::MillilitresADay,
        )?;
        let factor = if way == "worst_case" { " x 1.145" } else { "" };
        output.formula(format!(
            "time to the alarm, {words} = (level - low mark) / rate = ({level} - {low_mark}) / ({flow}{factor}) = {usable} / ({flow}{factor}) = {text}"
        ));
    }
    if arguments.bolus.is_none() {
        output.warning(
            "No patient boluses were given: \"with all boluses\" is the basal rate alone.",
        );
    }
    Ok(())
}

const fn three(forecast: &Forecast) -> [Course; 3] {
    [
        forecast.basal_only,
        forecast.with_boluses,
        forecast.worst_case,
    ]
}

fn dates(
    arguments: &Arguments,
    start: &Given<DayAndTime>,
    forecast: &Forecast,
    output: &mut Output,
) {
    let now = start.value.wall(arguments.zone);
    let stability = arguments.drug.map(|drug| {
        let filled = arguments.filled.unwrap_or(start.value.date);
        Keeping::of(drug, arguments.diluted).until(filled, arguments.first_fill)
    });
    if let Some(stability) = stability {
        output.result("stable_until", "The drug keeps until", stability);
    }
    let caps = RefillCaps {
        stability,
        replacement: arguments.eri,
    };
    let dates = forecast.refill_dates(now, arguments.zone.minutes(), caps);
    let three_dates = [dates.basal_only, dates.with_boluses, dates.worst_case];
    for (((way, words), course), date) in WAYS.into_iter().zip(three(forecast)).zip(three_dates) {
        output.result_of("refill_by", way, format!("Refill by, {words}"), date.date);
        output.result_of("refill_by_limit", way, "  because of", limit(date));
        if let Some(time) = course.to_low_mark {
            let alarm = Value::Moment(now.saturating_add(time), arguments.zone);
            output.result_of("alarm_at", way, "  alarm", alarm);
        }
    }
    output.formula("refill by = start + whole days to the alarm, and no later than the drug keeps or the pump is due for replacement");
    let book = dates.book(arguments.last_ratio_high);
    output.result("book", "Book the refill for", book.date);
    output.warning(if arguments.last_ratio_high {
        "Booked by the worst case, because more than 1.05 times what was programmed had left the reservoir at the last refill."
    } else {
        "Booked with all patient boluses. If the last refill had a ratio above 1.05, add --last-ratio-high: no later than the worst case then."
    });
}

const fn limit(date: RefillDate) -> &'static str {
    match date.limit {
        RefillLimit::LowMark => "low mark",
        RefillLimit::Stability => "stability",
        RefillLimit::Replacement => "replacement",
        RefillLimit::Calendar => "end of the calendar",
    }
}
