//! When the pump has to be replaced (clinical reference, 2.13).

use clap::Args;
use therapy::{ERI_TO_EOS, EriCause, REPLACE_MARGIN, ServiceLife, ServiceLimits};
use units::{Date, Duration, PoweredTime};

use crate::Error;
use crate::output::Output;
use crate::read::{Given, positive};

/// A battery that is low and has not collapsed, and the limits on both sides of it, in millivolts: only the day on which it is low matters here.
const LOW_MILLIVOLTS: u16 = 2_500;
const ERI_MILLIVOLTS: u16 = 2_600;
const COLLAPSE_MILLIVOLTS: u16 = 2_400;
/// More readings than have to be low in a row.
const READINGS: u8 = 10;

/// Arguments of `thecal calc service-life`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example: thecal calc service-life --implanted 2021-01-15 --eri 2026-11-30")]
pub(crate) struct Arguments {
    /// Day on which the pump was commissioned
    #[arg(long, value_name = "DATE")]
    implanted: Date,
    /// Day on which the battery became low (ERI); without it the pump's age decides
    #[arg(long, value_name = "DATE")]
    eri: Option<Date>,
    /// Service life of the pump's kind [default: 2555 days]
    #[arg(long, value_name = "TIME", value_parser = positive::<Duration>)]
    life: Option<Given<Duration>>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Output, Error> {
    let mut output = Output::new("service-life", "Service life");
    let life = arguments
        .life
        .clone()
        .unwrap_or_else(|| Given::default(ServiceLimits::IMPLANT.life()));
    output.input("implanted", arguments.implanted);
    output.input_if("eri", arguments.eri);
    output.input("life", &life);
    let limits = ServiceLimits::new(life.value, ERI_MILLIVOLTS, COLLAPSE_MILLIVOLTS)
        .map_err(Error::refused)?;
    let mut service = ServiceLife::begin(PoweredTime::ZERO);
    let mut now = PoweredTime::ZERO;
    if let Some(eri) = arguments.eri {
        let days = u32::try_from(eri.days_since(arguments.implanted)).map_err(|_| {
            Error::Input(format!(
                "the battery cannot be low on {eri}, before the pump was implanted on {}",
                arguments.implanted
            ))
        })?;
        now = now.saturating_add(Duration::from_days(days));
        for _ in 0..READINGS {
            let _ = service.reading(now, LOW_MILLIVOLTS, &limits);
        }
    }
    let elapsed = now.saturating_since(PoweredTime::ZERO);
    let wall = arguments.implanted.begins(0).saturating_add(elapsed);
    let dates = service
        .dates(now, Some(wall), 0, &limits)
        .ok_or_else(Error::too_large)?;
    output.result("replace_by", "Replace by", dates.replace_by);
    let eos = output.result("eos", "End of service (EOS)", dates.eos);
    let eri = output.result("eri", "Replacement due (ERI)", dates.eri);
    output.result("eri_cause", "  because of", cause(service.cause()));
    output.formula(format!(
        "EOS = the earlier of ERI + {ERI_TO_EOS} and implant + life = {eri} + {ERI_TO_EOS} or {} + {life} = {eos}",
        arguments.implanted
    ));
    output.formula(format!(
        "replace by = EOS - {REPLACE_MARGIN} = {eos} - {REPLACE_MARGIN}"
    ));
    output
        .warning("At EOS every drug stops. A voltage that collapses ends the service within 72 h.");
    Ok(output)
}

/// Before ERI, age is what it will come from if the battery lasts.
const fn cause(cause: Option<EriCause>) -> &'static str {
    match cause {
        Some(EriCause::Voltage) => "voltage",
        Some(EriCause::Age) | None => "age",
    }
}
