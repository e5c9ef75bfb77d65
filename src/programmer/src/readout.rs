//! What the pump says of itself, as it is shown.
use protocol::{DeliveryState, Info, Mode, Program, Status, info::capability, status};
use serde::Serialize;
use units::{Clock, Concentration, Mass, PumpKind, Volume};

use crate::form::Form;
use crate::reckon::{PumpLimits, emptying_flow};
use crate::{settings, text};

/// What is known before anything is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct About {
    /// The protocol version.
    pub version: u8,
    /// Motor and flash are emulated.
    pub emulated: bool,
    /// Where in its life the pump is.
    pub lifecycle: &'static str,
    /// The presence window is open.
    pub armed: bool,
}

impl About {
    /// From the content of the Info characteristic.
    #[must_use]
    pub const fn of(info: &Info) -> Self {
        Self {
            version: info.version,
            emulated: info.capabilities & capability::VIRTUAL != 0,
            lifecycle: info.lifecycle.name(),
            armed: info.armed,
        }
    }
}

/// One read-out of the pump, every value as text. Where a test or a script needs the exact integer it stands beside it, as text too,
/// because JavaScript's numbers could not hold it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Readout {
    /// What the pump is doing, as a name for style sheets, such as `running` or `not-programmed`.
    pub state: &'static str,
    /// The same in words.
    pub state_text: String,
    /// What somebody must do something about, in a sentence.
    pub warning: Option<String>,
    /// Number of the program in force, 0 when there has never been one.
    pub program_number: u32,
    /// The program in force.
    pub program: Option<ProgramView>,
    /// The reservoir, when its content is known.
    pub reservoir: Option<ReservoirView>,
    /// Delivered volume.
    pub delivered: Delivered,
    /// Present faults, in words.
    pub faults: Vec<&'static str>,
    /// What has changed since somebody last took note, in words.
    pub changed: Vec<&'static str>,
    /// The flags behind `changed`.
    pub changed_flags: u16,
    /// A commit is being stored.
    pub committing: bool,
    /// The pump is not one of a kind yet: it has to be commissioned before it can be programmed.
    pub to_commission: bool,
    /// How often the pump has started.
    pub boot: String,
    /// Since when it runs.
    pub running_for: String,
    /// The same in milliseconds of the pump's own time.
    pub running_milliseconds: String,
    /// Its clock.
    pub clock: String,
    /// What can be programmed.
    pub limits: String,
    /// One motor step.
    pub step: String,
}

/// The program in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProgramView {
    /// The drug's name.
    pub drug: &'static str,
    /// Its concentration.
    pub concentration: String,
    /// The mode.
    pub mode: &'static str,
    /// The dose as prescribed, in a line; none when stopped.
    pub dose: Option<String>,
    /// What else is in the reservoir.
    pub mixed_with: Option<String>,
    /// What a dose that is not being given as programmed says so with.
    pub caveat: Option<&'static str>,
    /// The largest mass in any 24 hours, with every bolus allotted.
    pub day_total: String,
    /// The flow now.
    pub flow: String,
    /// The texts to start a new form from; none when the form cannot say this program.
    pub texts: Option<Form>,
}

/// The reservoir.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReservoirView {
    /// What is left.
    pub left: String,
    /// The same in femtolitres.
    pub left_femtolitres: String,
    /// What the last fill left in it.
    pub filled: String,
    /// What it holds at most.
    pub capacity: String,
    /// What is left, in thousandths of what it holds at most.
    pub per_mille: u32,
    /// How long it lasts when everything allotted is given; none when nothing flows.
    pub lasts: Option<String>,
    /// Volume delivered since the fill, at most.
    pub delivered: String,
    /// The drug in that volume, at the concentration now in force: what was in it under an earlier label the pump does not tell.
    pub delivered_mass: Option<String>,
}

/// Delivered volume over the pump's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivered {
    /// By the encoder: the proof.
    pub counted: String,
    /// The same in femtolitres; negative when the rotor was turned backwards.
    pub counted_femtolitres: String,
    /// At most: what limits and the reservoir reckon with.
    pub at_most: String,
    /// The same in femtolitres.
    pub at_most_femtolitres: String,
    /// The two differ.
    pub differ: bool,
    /// Prescribed and not delivered, never caught up; none when there is none.
    pub missed: Option<String>,
}

impl Readout {
    /// From a status of a pump of this kind.
    #[must_use]
    pub fn of(pump: &Status, kind: PumpKind) -> Self {
        let limits = PumpLimits::of(&pump.limits, kind);
        Self {
            state: state_name(pump.delivery),
            state_text: state_text(pump.delivery),
            warning: stands_still_unrecorded(pump).then(|| {
                "The pump was stopped but could not store that. After a reset it would deliver the program in force \
                 again: stop it once more."
                    .to_owned()
            }),
            program_number: pump.program_number,
            program: pump
                .program
                .as_ref()
                .map(|program| ProgramView::of(program, pump, limits.as_ref())),
            reservoir: ReservoirView::of(pump, limits.as_ref()),
            delivered: Delivered::of(pump),
            faults: status::fault::texts(pump.faults).collect(),
            changed: status::changed::texts(pump.status_changed).collect(),
            changed_flags: pump.status_changed,
            committing: pump.committing,
            to_commission: pump.faults & status::fault::COMMISSIONING != 0
                && pump.program_number == 0,
            boot: text::count(u64::from(pump.boot)),
            running_for: text::time(pump.pump_time_ms),
            running_milliseconds: pump.pump_time_ms.to_string(),
            clock: clock(pump.clock),
            limits: format!(
                "{} to {}",
                text::flow(u64::from(pump.limits.lowest_nl_per_day)),
                text::flow(u64::from(pump.limits.highest_nl_per_day))
            ),
            step: format!("{} nL", text::exact(u128::from(pump.step_volume_fl), 6)),
        }
    }
}

/// What a pump is doing, as a name for style sheets.
#[must_use]
pub const fn state_name(delivery: DeliveryState) -> &'static str {
    match delivery {
        DeliveryState::NotProgrammed => "not-programmed",
        DeliveryState::Stopped => "stopped",
        DeliveryState::Running => "running",
        DeliveryState::Faulted => "faulted",
        DeliveryState::MinimumRate => "minimum-rate",
        DeliveryState::Bridging => "bridging",
        DeliveryState::Priming => "priming",
        DeliveryState::HoldLast => "hold-last",
    }
}

/// What a pump is doing, in words.
#[must_use]
pub fn state_text(delivery: DeliveryState) -> String {
    text::sentence(match delivery {
        DeliveryState::Running => "delivering",
        other => other.text(),
    })
}

/// Stopped, although the program in force says otherwise: a stop that could not be stored.
#[must_use]
pub fn stands_still_unrecorded(pump: &Status) -> bool {
    let delivers = |program: &Program| program.mode != Mode::Stopped;
    pump.delivery == DeliveryState::Stopped && pump.program.as_ref().is_some_and(delivers)
}

impl ProgramView {
    fn of(program: &Program, pump: &Status, limits: Option<&PumpLimits>) -> Self {
        let drug = program.primary.drug;
        let total = limits.and_then(|limits| limits.day_total(program));
        Self {
            drug: drug.name(),
            concentration: text::concentration(program.primary.concentration_ng_per_ml, drug),
            mode: text::mode(&program.mode),
            dose: settings::headline(program),
            mixed_with: settings::mixed_with(program),
            caveat: caveat(program, pump.delivery),
            day_total: total.map_or_else(not_known, |(drug, total)| text::mass(total, drug)),
            flow: text::flow(u64::from(pump.flow_nl_per_day)),
            texts: Form::of(program),
        }
    }
}

fn not_known() -> String {
    "not known".to_owned()
}

/// A dose in large letters that is not being given would deceive.
fn caveat(program: &Program, delivery: DeliveryState) -> Option<&'static str> {
    match (delivery, &program.mode) {
        (_, Mode::Stopped) | (DeliveryState::Running, _) => None,
        (DeliveryState::MinimumRate, Mode::MinimumRate | Mode::SingleBolus { .. }) => None,
        (DeliveryState::Bridging, _) => Some("programmed; the old solution is led out first"),
        (DeliveryState::Priming, _) => Some("programmed; the pump is being primed"),
        (DeliveryState::HoldLast, _) => Some("programmed; the mean rate is being held"),
        (DeliveryState::MinimumRate, _) => Some("programmed; at minimum rate"),
        (DeliveryState::NotProgrammed | DeliveryState::Stopped | DeliveryState::Faulted, _) => {
            Some("programmed, not being delivered")
        }
    }
}

impl ReservoirView {
    fn of(pump: &Status, limits: Option<&PumpLimits>) -> Option<Self> {
        let left = pump.reservoir_fl?;
        let capacity = Volume::from_nanolitres(pump.limits.capacity_nl);
        let volume = Volume::from_femtolitres(left);
        let delivered = Volume::from_femtolitres(pump.delivered_since_fill_fl);
        Some(Self {
            left: text::level(volume),
            left_femtolitres: left.to_string(),
            filled: text::level(Volume::from_femtolitres(pump.filled_fl.unwrap_or(left))),
            capacity: text::fill(pump.limits.capacity_nl),
            per_mille: per_mille(volume, capacity),
            lasts: time_to_empty(pump, volume, limits),
            delivered: text::delivered(delivered),
            delivered_mass: pump.program.as_ref().and_then(|program| {
                let concentration = Concentration::from_nanograms_per_millilitre(
                    program.primary.concentration_ng_per_ml,
                )?;
                let mass = Mass::in_volume(delivered, concentration);
                Some(text::measured_mass(mass.zeptograms(), program.primary.drug))
            }),
        })
    }
}

/// At the prescribed flow with every bolus, when the pump follows it.
fn time_to_empty(pump: &Status, volume: Volume, limits: Option<&PumpLimits>) -> Option<String> {
    if pump.delivery != DeliveryState::Running {
        return None;
    }
    let prescription = limits?.prescription(pump.program.as_ref()?).ok()?;
    let time = emptying_flow(&prescription).time_for(volume)?;
    Some(text::time(time.millis_rounded_down()))
}

impl Delivered {
    fn of(pump: &Status) -> Self {
        let step = u128::from(pump.step_volume_fl);
        let counted = u128::from(pump.counted_steps.unsigned_abs()).saturating_mul(step);
        let at_most = u128::from(pump.at_most_steps).saturating_mul(step);
        let sign = if pump.counted_steps < 0 {
            "\u{2212}"
        } else {
            ""
        };
        let minus = if pump.counted_steps < 0 { "-" } else { "" };
        Self {
            counted: format!("{sign}{}", litres(counted)),
            counted_femtolitres: format!("{minus}{counted}"),
            at_most: litres(at_most),
            at_most_femtolitres: at_most.to_string(),
            differ: i128::from(pump.counted_steps) != i128::from(pump.at_most_steps),
            missed: (pump.deficit_steps > 0)
                .then(|| litres(u128::from(pump.deficit_steps).saturating_mul(step))),
        }
    }
}

/// A volume over the pump's life, which could be more than a [`Volume`] holds if the pump talked nonsense.
fn litres(femtolitres: u128) -> String {
    match u64::try_from(femtolitres) {
        Ok(femtolitres) => text::delivered(Volume::from_femtolitres(femtolitres)),
        Err(_) => "not believable".to_owned(),
    }
}

fn per_mille(part: Volume, whole: Volume) -> u32 {
    u128::from(part.femtolitres())
        .saturating_mul(1_000)
        .checked_div(u128::from(whole.femtolitres()))
        .and_then(|thousandths| u32::try_from(thousandths.min(1_000)).ok())
        .unwrap_or(0)
}

/// A clock, with how far it is to be trusted.
#[must_use]
pub fn clock(clock: Clock) -> String {
    let minutes = |wall: units::WallTime| {
        let text = wall.to_string();
        let (day, time) = text.split_once('T').unwrap_or((&text, ""));
        let time: String = time.chars().take(8).collect();
        format!("{day} {time} UTC")
    };
    match clock {
        Clock::Known { wall, uncertainty } => {
            let seconds = uncertainty.micros().div_ceil(1_000_000);
            format!("{}, \u{b1} {} s", minutes(wall), text::count(seconds))
        }
        Clock::Suspect { wall } => format!("{}, not reliable", minutes(wall)),
        Clock::Lost => "not set".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_pump::{baclofen, fresh_status, running_status};
    use units::{Duration, WallTime};

    fn read_out(status: &Status) -> Readout {
        Readout::of(status, PumpKind::ProgrammableImplant)
    }

    #[test]
    fn a_running_pump_is_read_out() {
        let mut status = running_status(baclofen(None, 250_000));
        status.at_most_steps = 1_001;
        status.deficit_steps = 4;
        status.faults = protocol::status::fault::STALL;
        let readout = read_out(&status);
        assert_eq!(
            (readout.state, readout.state_text.as_str()),
            ("running", "Delivering")
        );
        let program = readout.program.unwrap();
        assert_eq!(program.drug, "baclofen");
        assert_eq!(program.concentration, "2,000 mcg/mL");
        assert_eq!(program.dose.as_deref(), Some("250 mcg/day"));
        assert_eq!(program.flow, "0.125 mL/day");
        let reservoir = readout.reservoir.unwrap();
        assert_eq!(reservoir.left, "19.997 mL");
        assert_eq!(reservoir.left_femtolitres, "19997500000000");
        assert_eq!(reservoir.per_mille, 999);
        assert_eq!(reservoir.lasts.as_deref(), Some("159 days"));
        assert_eq!(reservoir.delivered, "0.002500 mL");
        assert_eq!(reservoir.delivered_mass.as_deref(), Some("5.00 mcg"));
        assert_eq!(readout.delivered.counted, "0.002500 mL");
        assert_eq!(readout.delivered.at_most, "0.002502 mL");
        assert_eq!(readout.delivered.at_most_femtolitres, "2502500000");
        assert!(readout.delivered.differ);
        assert_eq!(readout.delivered.missed.as_deref(), Some("0.000010 mL"));
        assert_eq!(readout.faults, ["motor stalled"]);
        assert_eq!(readout.running_for, "1 day 1 h");
        assert_eq!(readout.running_milliseconds, "90061000");
        assert_eq!(readout.step, "2.5 nL");
    }

    #[test]
    fn a_new_pump_claims_nothing() {
        let readout = read_out(&fresh_status());
        assert_eq!(readout.state_text, "Not programmed");
        assert_eq!(readout.program, None);
        assert_eq!(readout.reservoir, None);
        assert_eq!(readout.delivered.missed, None);
        assert_eq!(readout.clock, "not set");
    }

    #[test]
    fn a_stop_that_is_not_in_the_program_is_warned_of() {
        let mut status = running_status(baclofen(None, 250_000));
        assert_eq!(read_out(&status).warning, None);
        status.delivery = DeliveryState::Stopped;
        let warning = read_out(&status).warning;
        assert!(warning.is_some_and(|warning| warning.contains("stop it once more")));
    }

    #[test]
    fn a_dose_that_is_not_given_says_so() {
        let caveat = |delivery| {
            let mut status = running_status(baclofen(None, 250_000));
            status.delivery = delivery;
            read_out(&status).program.unwrap().caveat
        };
        assert_eq!(caveat(DeliveryState::Running), None);
        for delivery in [
            DeliveryState::Stopped,
            DeliveryState::Faulted,
            DeliveryState::MinimumRate,
            DeliveryState::Bridging,
            DeliveryState::Priming,
            DeliveryState::HoldLast,
        ] {
            assert!(caveat(delivery).is_some(), "{delivery}");
        }
    }

    #[test]
    fn a_factory_pump_is_to_be_commissioned() {
        let mut status = fresh_status();
        assert!(!read_out(&status).to_commission);
        status.faults = status::fault::COMMISSIONING;
        assert!(read_out(&status).to_commission);
        // A record lost later is a fault, and nothing that a new one would heal.
        status.program_number = 1;
        assert!(!read_out(&status).to_commission);
    }

    #[test]
    fn a_rotor_turned_backwards_is_shown_as_such() {
        let mut status = fresh_status();
        status.counted_steps = -2;
        let delivered = read_out(&status).delivered;
        assert_eq!(delivered.counted, "\u{2212}0.000005 mL");
        assert_eq!(delivered.counted_femtolitres, "-5000000");
        assert!(delivered.differ);
    }

    #[test]
    fn nonsense_is_not_shown_as_a_volume() {
        let mut status = running_status(baclofen(None, 250_000));
        status.at_most_steps = u64::MAX;
        status.reservoir_fl = Some(u64::MAX);
        status.limits.capacity_nl = 0;
        let readout = read_out(&status);
        assert_eq!(readout.delivered.at_most, "not believable");
        assert_eq!(readout.reservoir.unwrap().per_mille, 0);
    }

    #[test]
    fn the_clock_says_how_far_it_can_be_trusted() {
        let wall = WallTime::from_millis(1_767_607_200_000);
        let mut status = fresh_status();
        status.clock = Clock::Known {
            wall,
            uncertainty: Duration::from_millis(1_500),
        };
        assert_eq!(
            read_out(&status).clock,
            "2026-01-05 10:00:00 UTC, \u{b1} 2 s"
        );
        status.clock = Clock::Suspect { wall };
        assert_eq!(
            read_out(&status).clock,
            "2026-01-05 10:00:00 UTC, not reliable"
        );
    }
}
