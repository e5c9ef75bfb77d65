//! Arguments of the commands that program a pump. None of them bears a secret: other users of a computer can read a command line.

use clap::{Args, Subcommand, ValueEnum};
use programmer::act::reason_named;
use programmer::form::FormMode;
use programmer::{Act, Form};
use protocol::{ImplantCard, KeyText, PackText, Role, SLOTS};
use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use units::{
    AlarmKind, Concentration, DoseRate, Drug, Duration, FlowRate, Mass, OverrideReason, PrimeKind,
    PumpKind, Volume,
};

/// How these commands end.
pub const STATUS: &str = "Exit status: 0 done; 1 refused, or certainly not done; 2 wrong arguments; \
3 unknown whether done, and what tells it; 4 no connection, nothing was changed (docs/command-line.md)";

/// What is said when one of the arguments is a secret.
pub const SECRET: &str = "a key, or the text of a sterile pack or an implant card, is on the command line, where it can be read by others; nothing was \
done with it. Write it to a file that only you can read, and name that: --text FILE or --key FILE";

/// Whether one of the arguments is a secret, which is then looked at no further: it would be repeated in what is said of a wrong argument.
pub fn is_secret(arguments: impl IntoIterator<Item = OsString>) -> bool {
    let names = [PackText::NAME, ImplantCard::NAME, KeyText::NAME].map(|name| format!("{name}:"));
    arguments.into_iter().any(|argument| {
        let argument = argument.to_string_lossy().to_ascii_uppercase();
        names.iter().any(|name| argument.contains(name))
    })
}

/// Which pump.
#[derive(Clone, Debug, Args)]
pub struct LinkArguments {
    /// A virtual pump: HOST:PORT, or the address of its link, ws://HOST:PORT/link
    #[arg(long, global = true, value_name = "ADDRESS", default_value = "127.0.0.1:8480", value_parser = link_address)]
    pub connect: String,
    /// A pump over Bluetooth, by its name or address
    #[cfg(feature = "bluetooth")]
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "connect")]
    pub bluetooth: Option<String>,
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    pub json: bool,
}

/// Which pump, and with which key.
#[derive(Clone, Debug, Args)]
pub struct KeyArguments {
    /// The pump.
    #[command(flatten)]
    pub link: LinkArguments,
    /// Key file [default: the one that is kept in thecal/keys of the configuration folder]
    #[arg(long, global = true, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Take the key that is kept for the pump with this fingerprint, or the beginning of it
    #[arg(
        long,
        global = true,
        value_name = "FINGERPRINT",
        conflicts_with = "key"
    )]
    pub pump: Option<String>,
}

/// Arguments of `thecal program`: the fields of the phone page's form.
#[derive(Clone, Debug, Args)]
pub struct ProgramArguments {
    /// Pump and key.
    #[command(flatten)]
    pub pump: KeyArguments,
    /// Start from the program in force, and change only what is said here
    #[arg(long, conflicts_with = "form")]
    pub change: bool,
    /// Start from a file: a JSON object with the fields below, `_` for `-`
    #[arg(long, value_name = "FILE")]
    pub form: Option<PathBuf>,
    /// The fields.
    #[command(flatten)]
    pub fields: FieldArguments,
    /// Why a soft limit is gone over
    #[arg(long, value_name = "REASON", value_parser = reason)]
    pub reason: Option<OverrideReason>,
    /// Commit without being asked
    #[arg(long)]
    pub yes: bool,
    /// Show what the pump reads back and discard it
    #[arg(long, conflicts_with = "yes")]
    pub check: bool,
}

/// The fields of a form; `none` empties one.
#[derive(Clone, Debug, Default, Args)]
pub struct FieldArguments {
    /// Drug in the reservoir
    #[arg(long, value_parser = entry::<Drug>, value_name = "DRUG")]
    drug: Option<String>,
    /// Such as "2 mg/mL"
    #[arg(long, value_parser = entry::<Concentration>, value_name = "CONCENTRATION")]
    concentration: Option<String>,
    /// A second drug in the reservoir
    #[arg(long, value_parser = entry::<Drug>, value_name = "DRUG")]
    second_drug: Option<String>,
    /// Its concentration
    #[arg(long, value_parser = entry::<Concentration>, value_name = "CONCENTRATION")]
    second_concentration: Option<String>,
    /// How to deliver
    #[arg(long, value_enum)]
    mode: Option<ModeArgument>,
    /// Simple continuous: such as "250 mcg/day"
    #[arg(long, value_parser = entry::<DoseRate>, value_name = "DOSE")]
    dose: Option<String>,
    /// Flex: steps of a day, the first from 00:00, such as "00:00 15 mcg/h, 06:00 20 mcg/h"
    #[arg(long, value_name = "STEPS")]
    weekdays: Option<String>,
    /// Flex: Saturday and Sunday, when they are unlike the other days
    #[arg(long, value_name = "STEPS")]
    weekend: Option<String>,
    /// Periodic and single bolus: such as "50 mcg"
    #[arg(long, value_parser = entry::<Mass>, value_name = "MASS")]
    bolus_dose: Option<String>,
    /// The time over which it is given, such as "10 min"
    #[arg(long, value_parser = entry::<Duration>, value_name = "TIME")]
    bolus_duration: Option<String>,
    /// Periodic: from start to start, such as "4 h"
    #[arg(long, value_parser = entry::<Duration>, value_name = "TIME")]
    bolus_interval: Option<String>,
    /// Periodic: the dose between and beneath; minimum rate without
    #[arg(long, value_parser = entry::<DoseRate>, value_name = "DOSE")]
    basal: Option<String>,
    /// The patient's bolus
    #[arg(long, value_parser = entry::<Mass>, value_name = "MASS")]
    patient_dose: Option<String>,
    /// The time over which it is given
    #[arg(long, value_parser = entry::<Duration>, value_name = "TIME")]
    patient_duration: Option<String>,
    /// From the start of one to the start of the next at least
    #[arg(long, value_parser = entry::<Duration>, value_name = "TIME")]
    patient_lockout: Option<String>,
    /// How many in any 24 h
    #[arg(long, value_name = "NUMBER")]
    patient_per_day: Option<String>,
    /// Dose of the drug before, while it is led out of the path
    #[arg(long, value_parser = entry::<DoseRate>, value_name = "DOSE")]
    bridge: Option<String>,
    /// Volume injected at a refill, such as "20 mL"
    #[arg(long, value_parser = entry::<Volume>, value_name = "VOLUME")]
    fill: Option<String>,
    /// It was added to what was left
    #[arg(long, requires = "fill")]
    top_up: bool,
}

impl FieldArguments {
    /// Writes what is said into a form.
    pub(super) fn write(&self, form: &mut Form) {
        let fields = [
            (&self.drug, &mut form.drug),
            (&self.concentration, &mut form.concentration),
            (&self.second_drug, &mut form.second_drug),
            (&self.second_concentration, &mut form.second_concentration),
            (&self.dose, &mut form.dose),
            (&self.weekdays, &mut form.weekdays),
            (&self.weekend, &mut form.weekend),
            (&self.bolus_dose, &mut form.bolus_dose),
            (&self.bolus_duration, &mut form.bolus_duration),
            (&self.bolus_interval, &mut form.bolus_interval),
            (&self.basal, &mut form.basal),
            (&self.patient_dose, &mut form.patient_dose),
            (&self.patient_duration, &mut form.patient_duration),
            (&self.patient_lockout, &mut form.patient_lockout),
            (&self.patient_per_day, &mut form.patient_per_day),
            (&self.bridge, &mut form.bridge),
            (&self.fill, &mut form.fill),
        ];
        for (said, field) in fields {
            match said.as_deref() {
                Some(NONE) => field.clear(),
                Some(said) => said.clone_into(field),
                None => {}
            }
        }
        for day in [&mut form.weekdays, &mut form.weekend] {
            *day = day.replace(',', "\n");
        }
        if let Some(mode) = self.mode {
            form.mode = mode.form();
        }
        form.top_up |= self.top_up;
    }
}

/// A mode by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModeArgument {
    /// One rate without end
    SimpleContinuous,
    /// Rates by the time of day
    Flex,
    /// A bolus again and again
    PeriodicBolus,
    /// One bolus
    SingleBolus,
    /// What keeps the catheter open
    MinimumRate,
    /// Nothing
    Stopped,
}

impl ModeArgument {
    const fn form(self) -> FormMode {
        match self {
            Self::SimpleContinuous => FormMode::SimpleContinuous,
            Self::Flex => FormMode::Flex,
            Self::PeriodicBolus => FormMode::PeriodicBolus,
            Self::SingleBolus => FormMode::SingleBolus,
            Self::MinimumRate => FormMode::MinimumRate,
            Self::Stopped => FormMode::Stopped,
        }
    }
}

/// Arguments of `thecal bolus`.
#[derive(Clone, Debug, Args)]
pub struct BolusArguments {
    /// Pump and key.
    #[command(flatten)]
    pub pump: KeyArguments,
    /// A clinician's: mass of the primary drug, such as "20 mcg"
    #[arg(long, value_parser = entry::<Mass>, value_name = "MASS", requires = "duration")]
    pub dose: Option<String>,
    /// A clinician's: the time over which it is given, such as "5 min"
    #[arg(long, value_parser = entry::<Duration>, value_name = "TIME", requires = "dose")]
    pub duration: Option<String>,
    /// A clinician's: why a soft limit is gone over
    #[arg(long, value_name = "REASON", value_parser = reason, requires = "dose")]
    pub reason: Option<OverrideReason>,
    /// End the bolus under way, for ever; a patient ends patient boluses only
    #[arg(long, conflicts_with_all = ["dose", "duration", "reason"])]
    pub cancel: bool,
    /// Give it without being asked
    #[arg(long)]
    pub yes: bool,
}

/// Arguments of `thecal alarms`.
#[derive(Clone, Debug, Args)]
pub struct AlarmsArguments {
    /// Pump and key.
    #[command(flatten)]
    pub pump: KeyArguments,
    /// What to do with them.
    #[command(subcommand)]
    pub act: Option<AlarmAct>,
}

/// What can be done with alarms.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum AlarmAct {
    /// Show the alarms that are active, or latched (also without a word)
    List,
    /// Take note of one, by its name in quotes: it goes when its cause has gone
    Acknowledge {
        /// Its name, as the list shows it
        #[arg(value_parser = alarm, value_name = "ALARM")]
        alarm: AlarmKind,
    },
    /// Keep one quiet until its next repetition
    Silence {
        /// Its name, as the list shows it
        #[arg(value_parser = alarm, value_name = "ALARM")]
        alarm: AlarmKind,
    },
}

/// Arguments of `thecal clock`.
#[derive(Clone, Debug, Args)]
pub struct ClockArguments {
    /// Pump and key.
    #[command(flatten)]
    pub pump: KeyArguments,
    /// Why it moves by more than two minutes, or the zone by more than one hour
    #[arg(long, value_name = "REASON", value_parser = reason)]
    pub reason: Option<OverrideReason>,
}

/// Arguments of `thecal catheter`.
#[derive(Clone, Debug, Args)]
pub struct CatheterArguments {
    /// Pump and key.
    #[command(flatten)]
    pub pump: KeyArguments,
    /// What to do with it.
    #[command(subcommand)]
    pub act: Option<CatheterAct>,
}

/// What can be done with the path to the tip.
#[derive(Clone, Debug, Subcommand)]
pub enum CatheterAct {
    /// Show what is in the path to the tip (also without a word)
    Show,
    /// Tell the pump its tubing, catheter and port, when that is confirmed
    Set {
        /// Volume of the pump's tubing, such as "0.1 mL"
        #[arg(long, value_parser = whole::<Volume>, value_name = "VOLUME")]
        tubing: String,
        /// Implanted length of the catheter, such as "45.5 cm"
        #[arg(long, value_name = "LENGTH")]
        length: String,
        /// Volume of the catheter per length, such as "0.0022 mL/cm"
        #[arg(long, value_name = "VOLUME")]
        per_length: String,
        /// Volume of a port, such as "0.5 mL" (external pumps)
        #[arg(long, value_parser = whole::<Volume>, value_name = "VOLUME")]
        port: Option<String>,
        /// Set it without being asked
        #[arg(long)]
        yes: bool,
    },
}

impl CatheterAct {
    /// What is ordered: nothing by showing.
    pub(super) fn order(&self) -> Option<Act> {
        let Self::Set {
            tubing,
            length,
            per_length,
            port,
            ..
        } = self
        else {
            return None;
        };
        Some(Act::Catheter {
            tubing: tubing.clone(),
            length: length.clone(),
            per_length: per_length.clone(),
            port: port.clone().unwrap_or_default(),
        })
    }
}

/// Arguments of `thecal refill`.
#[derive(Clone, Debug, Args)]
pub struct RefillArguments {
    /// Pump and key.
    #[command(flatten)]
    pub pump: KeyArguments,
    /// The step.
    #[command(subcommand)]
    pub act: RefillAct,
}

/// The steps of a refill. What was injected is the program's: `thecal program --change --fill`.
#[derive(Clone, Debug, Subcommand)]
pub enum RefillAct {
    /// A needle is about to enter the reservoir: boluses are refused from now on
    Open,
    /// Store what came out of it. What goes in is told with the program: thecal program --change --fill "20 mL"
    Aspirated {
        /// Such as "2.1 mL"
        #[arg(value_parser = whole::<Volume>, value_name = "VOLUME")]
        volume: String,
    },
    /// End a refill in which nothing was changed; any other ends with the program
    Close,
}

impl RefillAct {
    /// What is ordered.
    pub(super) fn order(&self) -> Act {
        match self {
            Self::Open => Act::OpenRefill,
            Self::Aspirated { volume } => Act::Aspirated {
                volume: volume.clone(),
            },
            Self::Close => Act::CloseRefill,
        }
    }
}

/// Arguments of `thecal prime`.
#[derive(Clone, Debug, Args)]
pub struct PrimeArguments {
    /// Pump and key.
    #[command(flatten)]
    pub pump: KeyArguments,
    /// What to fill, in quotes: "pump and catheter", "pump only" or "catheter only"
    #[arg(value_parser = prime_kind, value_name = "WHAT")]
    pub kind: PrimeKind,
    /// Whether the catheter was aspirated before. If not, what is in it reaches the patient, and counts as a dose
    #[arg(long, value_enum, value_name = "ANSWER")]
    pub aspirated: Answer,
    /// The patient is disconnected (external pumps)
    #[arg(long)]
    pub disconnected: bool,
    /// Why a second one in 24 h
    #[arg(long, value_name = "REASON", value_parser = reason)]
    pub reason: Option<OverrideReason>,
    /// Prime without being asked
    #[arg(long)]
    pub yes: bool,
}

/// An answer to a question that has to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Answer {
    /// It was
    Yes,
    /// It was not
    No,
}

impl PrimeArguments {
    /// What is ordered.
    pub(super) fn order(&self) -> Act {
        Act::Prime {
            kind: self.kind.name().to_owned(),
            aspirated: Some(self.aspirated == Answer::Yes),
            disconnected: self.disconnected,
            reason: self
                .reason
                .map_or_else(String::new, |reason| reason.name().to_owned()),
        }
    }
}

/// Arguments of `thecal commission`.
#[derive(Clone, Debug, Args)]
pub struct CommissionArguments {
    /// Pump and key.
    #[command(flatten)]
    pub pump: KeyArguments,
    /// What it is, in quotes: "programmable implant", "constant-rate implant" or "external trial pump"
    #[arg(value_parser = pump_kind, value_name = "KIND")]
    pub kind: PumpKind,
    /// Volume of one step, from calibration, such as "2.5 nL"
    #[arg(long, value_name = "VOLUME")]
    pub step: String,
    /// What can be delivered of a full reservoir, such as "20 mL"
    #[arg(long, value_parser = whole::<Volume>, value_name = "VOLUME")]
    pub capacity: String,
    /// The one rate of a constant-rate implant, such as "0.5 mL/day"
    #[arg(long, value_parser = whole::<FlowRate>, value_name = "RATE")]
    pub rate: Option<String>,
    /// Length of the trial of an external trial pump, such as "7 days"
    #[arg(long, value_parser = whole::<Duration>, value_name = "TIME")]
    pub trial: Option<String>,
    /// Commission it without being asked
    #[arg(long)]
    pub yes: bool,
}

impl CommissionArguments {
    /// What is ordered.
    pub(super) fn order(&self) -> Act {
        Act::Commission {
            kind: self.kind.name().to_owned(),
            step: self.step.clone(),
            capacity: self.capacity.clone(),
            rate: self.rate.clone().unwrap_or_default(),
            trial: self.trial.clone().unwrap_or_default(),
        }
    }
}

/// Arguments of `thecal minimum-rate`.
#[derive(Clone, Debug, Args)]
pub struct MinimumRateArguments {
    /// Pump and key.
    #[command(flatten)]
    pub pump: KeyArguments,
    /// Go there without being asked
    #[arg(long)]
    pub yes: bool,
}

/// Arguments of `thecal enroll`.
#[derive(Clone, Debug, Args)]
pub struct EnrollArguments {
    /// The pump.
    #[command(flatten)]
    pub link: LinkArguments,
    /// File with the text of the sterile pack (THECAL1:...) or the implant card (THECAL2:...); - reads standard input. Without it the text
    /// is asked for and not shown
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// New key file [default: thecal/keys/FINGERPRINT.key in the configuration folder]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Place of the key in the pump, 0 to 7; what was there is gone [default: the first that is free]
    #[arg(long, value_parser = slot)]
    pub slot: Option<u8>,
    /// Write the text of the implant card to a new file too: the sterile pack is of use once only
    #[arg(long, value_name = "FILE")]
    pub implant_card: Option<PathBuf>,
}

/// Arguments of `thecal keys`.
#[derive(Clone, Debug, Args)]
pub struct KeysArguments {
    /// Pump and key.
    #[command(flatten)]
    pub pump: KeyArguments,
    /// What to do with them.
    #[command(subcommand)]
    pub act: Option<KeyAct>,
}

/// What can be done with keys.
#[derive(Clone, Debug, Subcommand)]
pub enum KeyAct {
    /// Show the keys that the pump lets in (also without a word)
    List,
    /// Make a key for somebody and let it in
    Grant {
        /// What its holder may do: clinician, patient, emergency (the wallet card) or service
        #[arg(value_parser = role, value_name = "ROLE")]
        role: Role,
        /// New key file; its one line is also the text of a wallet card
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
        /// Place of the key in the pump, 0 to 7 [default: the first that is free]
        #[arg(long, value_parser = slot)]
        slot: Option<u8>,
        /// Replace a key that is there without being asked
        #[arg(long)]
        yes: bool,
    },
    /// Let a key in no more
    Revoke {
        /// Where it is, 0 to 7, or its fingerprint
        #[arg(value_name = "SLOT-OR-FINGERPRINT")]
        which: String,
        /// Revoke it without being asked
        #[arg(long)]
        yes: bool,
    },
}

/// Arguments of `thecal pack`.
#[derive(Clone, Debug, Args)]
pub struct PackArguments {
    /// What to make.
    #[command(subcommand)]
    pub act: PackAct,
}

/// What can be made for a pump on its production line.
#[derive(Clone, Debug, Subcommand)]
pub enum PackAct {
    /// Make the identity of one new pump, from this computer's randomness
    New {
        /// New file for the flash page `pack`, binary, 4096 bytes. It holds the pump's private key: delete it once it is in the pump
        #[arg(long, value_name = "FILE")]
        page: PathBuf,
        /// New file for the text of the sterile pack (THECAL1:...)
        #[arg(long, value_name = "FILE")]
        text: PathBuf,
        /// New file for the page as Intel HEX, at its address in the flash of an nRF52840
        #[arg(long, value_name = "FILE")]
        hex: Option<PathBuf>,
        /// New file for the text of the implant card (THECAL2:...)
        #[arg(long, value_name = "FILE")]
        implant_card: Option<PathBuf>,
        /// Print one JSON object instead of text
        #[arg(long)]
        json: bool,
    },
}

/// Arguments of `thecal card`.
#[derive(Clone, Debug, Args)]
pub struct CardArguments {
    /// The pump.
    #[command(flatten)]
    pub link: LinkArguments,
}

/// Empties a field.
const NONE: &str = "none";

/// A value of this kind, kept as typed.
fn entry<T: FromStr<Err: Display>>(text: &str) -> Result<String, String> {
    if text != NONE {
        text.parse::<T>().map_err(|error| error.to_string())?;
    }
    Ok(text.to_owned())
}

fn slot(text: &str) -> Result<u8, String> {
    let found = text.parse().ok().filter(|slot| *slot < SLOTS);
    found.ok_or_else(|| format!("a slot is a number from 0 to {}", SLOTS - 1))
}

fn reason(text: &str) -> Result<OverrideReason, String> {
    let known = OverrideReason::ALL
        .iter()
        .find(|known| known.name() == text);
    match known {
        Some(known) => Ok(*known),
        None => Err(reason_named(text)
            .err()
            .unwrap_or_else(|| "a reason is wanted".to_owned())),
    }
}

/// A value of this kind, kept as typed, where nothing can be emptied.
fn whole<T: FromStr<Err: Display>>(text: &str) -> Result<String, String> {
    text.parse::<T>().map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

fn prime_kind(text: &str) -> Result<PrimeKind, String> {
    named(text, PrimeKind::ALL, PrimeKind::name)
}

fn pump_kind(text: &str) -> Result<PumpKind, String> {
    named(text, PumpKind::ALL, PumpKind::name)
}

fn named<T: Copy>(text: &str, all: &[T], name: fn(T) -> &'static str) -> Result<T, String> {
    let known = all.iter().copied().find(|known| name(*known) == text);
    known.ok_or_else(|| {
        let names: Vec<&str> = all.iter().copied().map(name).collect();
        format!("one of: {}", names.join(", "))
    })
}

fn alarm(text: &str) -> Result<AlarmKind, String> {
    named(text, AlarmKind::ALL, AlarmKind::name)
}

fn role(text: &str) -> Result<Role, String> {
    named(text, &Role::GRANTED, Role::name)
}

/// `HOST:PORT`, from that or from the address of a link.
pub(crate) fn link_address(text: &str) -> Result<String, String> {
    let address = match text.strip_prefix("ws://") {
        Some(rest) => rest
            .strip_suffix("/link")
            .or_else(|| rest.strip_suffix('/'))
            .unwrap_or(rest),
        None => text,
    };
    match address.rsplit_once(':') {
        Some((host, port))
            if !host.is_empty()
                && !host.contains(['/', ' ', '@'])
                && port.parse::<u16>().is_ok_and(|port| port > 0) =>
        {
            Ok(address.to_owned())
        }
        Some(_) | None => Err(
            "HOST:PORT is wanted, with a port from 1 to 65535, for example 127.0.0.1:8480"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_named_by_host_and_port() {
        for text in [
            "127.0.0.1:8480",
            "ws://127.0.0.1:8480",
            "ws://127.0.0.1:8480/",
            "ws://127.0.0.1:8480/link",
        ] {
            assert_eq!(
                link_address(text).as_deref(),
                Ok("127.0.0.1:8480"),
                "{text}"
            );
        }
        for text in [
            "",
            "127.0.0.1",
            "host:0",
            ":1",
            "http://host:1",
            "wss://host:1",
            "ws://host:1/other",
            "a@b:1",
        ] {
            assert!(link_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn fields_said_replace_those_of_the_form_and_none_empties() {
        let mut form = Form {
            drug: "baclofen".to_owned(),
            dose: "1 mcg/day".to_owned(),
            bridge: "2 mcg/day".to_owned(),
            ..Form::default()
        };
        let fields = FieldArguments {
            dose: Some("3 mcg/day".to_owned()),
            bridge: Some("none".to_owned()),
            weekdays: Some("00:00 1 mcg/h, 06:00 2 mcg/h".to_owned()),
            mode: Some(ModeArgument::Flex),
            ..FieldArguments::default()
        };
        fields.write(&mut form);
        assert_eq!(
            (form.drug.as_str(), form.dose.as_str()),
            ("baclofen", "3 mcg/day")
        );
        assert_eq!((form.bridge.as_str(), form.mode), ("", FormMode::Flex));
        assert_eq!(form.weekdays.lines().count(), 2);
    }
}
