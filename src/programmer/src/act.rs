//! What a clinician orders beside a program: texts in, a command out, or a sentence that says what is wrong.
//!
//! What gives drug, or cannot be taken back, is described in a sentence first ([`Act::description`]), and sent when that was confirmed.
use core::fmt::Display;
use core::str::FromStr;

use protocol::{
    Catheter, ClinicianBolus, Command, CommandKind, Commissioning, DiaryEntry, Prime, SetClock,
    SetZone, Status,
};
use serde::Deserialize;
use units::{
    AlarmKind, Duration, FlowRate, Mass, OverrideReason, PrimeKind, PumpKind, Volume, WallTime,
};

use crate::text;

/// An order as entered. Every value bears its unit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Act {
    /// Somebody has taken note of an alarm.
    Acknowledge {
        /// The alarm's name.
        alarm: String,
    },
    /// A bolus, now.
    Bolus {
        /// Mass of the primary drug, such as `20 mcg`.
        dose: String,
        /// Such as `5 min`.
        duration: String,
        /// Why a soft limit is gone over; empty for none.
        reason: String,
    },
    /// The end of the bolus or prime under way.
    CancelBolus,
    /// One of the boluses that the program allots to the patient, now.
    PatientBolus,
    /// A score for the diary of a trial.
    Diary {
        /// 0 (none) to 10.
        score: String,
        /// From before the trial.
        baseline: bool,
    },
    /// The path from the pump to the tip.
    Catheter {
        /// Volume of the pump's tubing, or of the line, such as `0.1 mL`.
        tubing: String,
        /// Implanted length, such as `45.5 cm`.
        length: String,
        /// Volume per length, such as `0.0022 mL/cm`.
        per_length: String,
        /// Volume of a port; empty without.
        port: String,
    },
    /// Filling tubing or catheter.
    Prime {
        /// The name of what is to be filled.
        kind: String,
        /// Whether the catheter was aspirated; not answered: `None`.
        aspirated: Option<bool>,
        /// The patient is disconnected (external pumps).
        disconnected: bool,
        /// Why a second one in 24 h; empty for none.
        reason: String,
    },
    /// A needle is about to enter the reservoir.
    OpenRefill,
    /// What came out of it.
    Aspirated {
        /// Such as `2.1 mL`.
        volume: String,
    },
    /// Nothing was changed.
    CloseRefill,
    /// What this pump is.
    Commission {
        /// The kind's name.
        kind: String,
        /// Calibrated volume of one step, such as `0.0000025 mL`, or `2.5 nL`.
        step: String,
        /// Deliverable volume of a full reservoir, such as `20 mL`.
        capacity: String,
        /// The one rate of a constant-rate pump, such as `0.5 mL/day`; empty for the others.
        rate: String,
        /// Length of a trial, such as `7 days`; empty for implants.
        trial: String,
    },
    /// The phone's time of day.
    Clock {
        /// In ms since 1970-01-01T00:00:00Z.
        milliseconds: u64,
        /// Why it moves by more than two minutes; empty for none.
        reason: String,
    },
    /// The phone's time zone.
    Zone {
        /// Local time minus UTC, in min.
        minutes: i16,
        /// A clinician's reason; empty for none.
        reason: String,
    },
    /// Minimum rate at once.
    MinimumRate,
}

/// How far off a phone's clock may be \[P\]: phones keep time by the network.
const PHONE_CLOCK: Duration = Duration::from_seconds(5);

impl Act {
    /// The command. `number` is that of the next order.
    ///
    /// # Errors
    /// Which entry is wrong, and what is allowed.
    pub fn command(&self, number: u32) -> Result<Command, String> {
        Ok(match self {
            Self::Acknowledge { alarm } => Command::AcknowledgeAlarm {
                alarm: named("alarm", alarm, AlarmKind::ALL, AlarmKind::name)?,
            },
            Self::Bolus {
                dose,
                duration,
                reason,
            } => Command::ClinicianBolus(ClinicianBolus {
                number,
                dose_ng: value::<Mass>("dose", dose)?
                    .nanograms_exact()
                    .filter(|nanograms| *nanograms > 0)
                    .ok_or("dose: a whole number of nanograms, 1 ng or more")?,
                duration_s: seconds("duration", duration)?,
                reason: reason_named(reason)?,
            }),
            Self::CancelBolus => Command::CancelBolus,
            Self::PatientBolus => Command::PatientBolus { number },
            Self::Diary { score, baseline } => Command::DiaryEntry(DiaryEntry {
                baseline: *baseline,
                score: score
                    .trim()
                    .parse()
                    .ok()
                    .filter(|score| *score <= 10)
                    .ok_or("score: a whole number from 0 (none) to 10")?,
            }),
            Self::Catheter {
                tubing,
                length,
                per_length,
                port,
            } => Command::SetCatheter(Catheter {
                model: 0,
                tubing_nl: nanolitres("tubing", tubing)?,
                length_mm: length_mm(length)?,
                nl_per_cm: nl_per_cm(per_length)?,
                port_nl: match port.trim() {
                    "" => 0,
                    port => nanolitres("port", port)?,
                },
            }),
            Self::Prime {
                kind,
                aspirated,
                disconnected,
                reason,
            } => Command::Prime(Prime {
                number,
                kind: named("what to fill", kind, PrimeKind::ALL, PrimeKind::name)?,
                catheter_aspirated: aspirated
                    .ok_or("was the catheter aspirated? What is in it reaches the patient")?,
                disconnected: *disconnected,
                reason: reason_named(reason)?,
            }),
            Self::OpenRefill => Command::OpenRefill,
            Self::Aspirated { volume } => Command::RefillAspirated {
                volume_nl: nanolitres("aspirated", volume)?,
            },
            Self::CloseRefill => Command::CloseRefill,
            Self::Commission {
                kind,
                step,
                capacity,
                rate,
                trial,
            } => Command::Commission(Commissioning {
                kind: named("kind", kind, PumpKind::ALL, PumpKind::name)?,
                step_volume_fl: step_femtolitres(step)?,
                capacity_nl: nanolitres("capacity", capacity)?,
                fixed_rate_nl_per_day: match rate.trim() {
                    "" => None,
                    rate => Some(rate_nl_per_day(rate)?),
                },
                trial_days: match trial.trim() {
                    "" => None,
                    trial => Some(days(trial)?),
                },
            }),
            Self::Clock {
                milliseconds,
                reason,
            } => Command::SetClock(SetClock {
                wall: WallTime::from_millis(*milliseconds),
                uncertainty: PHONE_CLOCK,
                reason: reason_named(reason)?,
            }),
            Self::Zone { minutes, reason } => Command::SetZone(SetZone {
                offset_min: *minutes,
                reason: reason_named(reason)?,
            }),
            Self::MinimumRate => Command::EmergencyMinimumRate,
        })
    }

    /// It bears the number of an order, which is one more than that of the last ([`protocol::TherapyStatus::last_number`]).
    #[must_use]
    pub const fn is_numbered(&self) -> bool {
        matches!(
            self,
            Self::Bolus { .. } | Self::Prime { .. } | Self::PatientBolus
        )
    }

    /// What is going to happen, to be confirmed before it is sent. The numbers are those of the command, not the texts as typed.
    ///
    /// # Errors
    /// As [`Act::command`].
    pub fn description(&self, number: u32, status: &Status) -> Result<String, String> {
        Ok(match self.command(number)? {
            Command::ClinicianBolus(bolus) => {
                let program = status
                    .program
                    .as_ref()
                    .ok_or("the pump has never been programmed: nobody knows what is in it")?;
                let drug = program.primary.drug;
                format!(
                    "Give {} of {} over {} now.",
                    text::mass(bolus.dose_ng, drug),
                    drug.name(),
                    text::seconds(bolus.duration_s)
                )
            }
            Command::PatientBolus { .. } => {
                let program = status.program.as_ref();
                let (program, bolus) = program
                    .and_then(|program| Some((program, program.patient_bolus.as_ref()?)))
                    .ok_or("the program in force allots no boluses to the patient")?;
                let drug = program.primary.drug;
                format!(
                    "Give the patient bolus now: {} of {} over {}.",
                    text::mass(bolus.dose_ng, drug),
                    drug.name(),
                    text::seconds(bolus.duration_s)
                )
            }
            Command::Prime(prime) => {
                let aspirated = if prime.catheter_aspirated {
                    "The catheter was aspirated: what is in it is no drug."
                } else {
                    "The catheter was not aspirated: what is in it reaches the patient, and counts as a dose."
                };
                let connected = if prime.disconnected {
                    " The patient is disconnected."
                } else {
                    ""
                };
                format!(
                    "Prime {} at 1 mL/h now. {aspirated}{connected}",
                    prime.kind.name()
                )
            }
            Command::SetCatheter(catheter) => format!(
                "Path to the tip: tubing {}, catheter {} cm of {} mL/cm, port {}.",
                text::fill(catheter.tubing_nl),
                text::exact(u128::from(catheter.length_mm), 1),
                text::exact(u128::from(catheter.nl_per_cm), 6),
                match catheter.port_nl {
                    0 => "none".to_owned(),
                    port => text::fill(port),
                }
            ),
            Command::Commission(record) => {
                let rate = record
                    .fixed_rate_nl_per_day
                    .map_or_else(String::new, |rate| {
                        format!(", one rate of {}", text::flow(u64::from(rate)))
                    });
                let trial = record
                    .trial_days
                    .map_or_else(String::new, |days| format!(", trial of {days} days"));
                format!(
                    "Make this pump a {}: {} nL a step, reservoir of {}{rate}{trial}. This is done once.",
                    record.kind.name(),
                    text::exact(u128::from(record.step_volume_fl), 6),
                    text::fill(record.capacity_nl),
                )
            }
            Command::EmergencyMinimumRate => {
                "Go to minimum rate at once. The pump stays there, with an alarm, until it is programmed again.".to_owned()
            }
            command => text::sentence(command.kind().name()),
        })
    }
}

/// What to say of an order that is done.
#[must_use]
pub const fn done_text(kind: CommandKind) -> &'static str {
    match kind {
        CommandKind::AcknowledgeAlarm => "Acknowledged: the alarm goes when its cause has gone.",
        CommandKind::CancelBolus => "Nothing of a bolus or prime is given any more.",
        CommandKind::SetCatheter => "The pump knows the path to the tip.",
        CommandKind::OpenRefill => "The refill is open: boluses are refused. The needle may enter.",
        CommandKind::RefillAspirated => {
            "The aspirated volume is stored. Enter what was injected in the program and commit it."
        }
        CommandKind::CloseRefill => "The refill is closed: nothing was changed.",
        CommandKind::Commission => "The pump is commissioned and can be programmed.",
        CommandKind::DiaryEntry => "The score is in the diary.",
        CommandKind::GrantKey => "The pump lets this key in from now on.",
        CommandKind::RevokeKey => "The pump lets this key in no more.",
        CommandKind::EmergencyMinimumRate => "The pump is at minimum rate.",
        CommandKind::SetClock => "The clock is set.",
        CommandKind::SetZone => "The time zone is set.",
        _ => "Done.",
    }
}

/// The reason with this name; `None` for an empty text.
///
/// # Errors
/// The list of reasons.
pub fn reason_named(name: &str) -> Result<Option<OverrideReason>, String> {
    if name.trim().is_empty() {
        return Ok(None);
    }
    named("reason", name, OverrideReason::ALL, OverrideReason::name).map(Some)
}

fn named<T: Copy>(
    what: &str,
    name: &str,
    all: &[T],
    name_of: fn(T) -> &'static str,
) -> Result<T, String> {
    let found = all.iter().copied().find(|one| name_of(*one) == name.trim());
    found.ok_or_else(|| {
        let names: Vec<_> = all.iter().copied().map(name_of).collect();
        format!("{what}: choose one of {}", names.join(", "))
    })
}

fn value<T: FromStr<Err: Display>>(what: &str, entered: &str) -> Result<T, String> {
    entered
        .parse()
        .map_err(|error: T::Err| format!("{what}: {error}"))
}

fn nanolitres(what: &str, entered: &str) -> Result<u32, String> {
    let volume: Volume = value(what, entered)?;
    u32::try_from(volume.nanolitres_rounded_down())
        .ok()
        .filter(|nanolitres| Volume::from_nanolitres(*nanolitres) == volume)
        .ok_or_else(|| format!("{what}: a volume is counted in steps of 1 nL, at most 4,294 mL"))
}

fn seconds(what: &str, entered: &str) -> Result<u32, String> {
    let duration: Duration = value(what, entered)?;
    u32::try_from(duration.seconds_rounded_down())
        .ok()
        .filter(|seconds| Duration::from_seconds(*seconds) == duration)
        .ok_or_else(|| format!("{what}: a whole number of seconds, 1 s to 24 h"))
}

/// A length of a catheter, in tenths of a centimetre: the only length there is, so `units` has none.
fn length_mm(entered: &str) -> Result<u16, String> {
    let reason = "length: centimetres with at most one decimal and their unit, such as 45.5 cm";
    let number = entered.trim().strip_suffix("cm").ok_or(reason)?;
    decimal(number, 1)
        .and_then(|millimetres| u16::try_from(millimetres).ok())
        .ok_or_else(|| reason.to_owned())
}

/// A volume per length in nanolitres a centimetre.
fn nl_per_cm(entered: &str) -> Result<u16, String> {
    let reason = "volume per length: in mL/cm with at most six decimals, such as 0.0022 mL/cm";
    let number = entered.trim().strip_suffix("mL/cm").ok_or(reason)?;
    decimal(number, 6)
        .and_then(|nanolitres| u16::try_from(nanolitres).ok())
        .ok_or_else(|| reason.to_owned())
}

/// A step's volume in femtolitres: `2.5 nL`.
fn step_femtolitres(entered: &str) -> Result<u32, String> {
    let reason = "step volume: in nL with at most six decimals, such as 2.5 nL";
    let number = entered.trim().strip_suffix("nL").ok_or(reason)?;
    decimal(number, 6)
        .and_then(|femtolitres| u32::try_from(femtolitres).ok())
        .filter(|femtolitres| *femtolitres > 0)
        .ok_or_else(|| reason.to_owned())
}

fn rate_nl_per_day(entered: &str) -> Result<u32, String> {
    let rate: FlowRate = value("rate", entered)?;
    rate.per_day()
        .and_then(|volume| {
            u32::try_from(volume.nanolitres_rounded_down())
                .ok()
                .filter(|nanolitres| Volume::from_nanolitres(*nanolitres) == volume)
        })
        .ok_or_else(|| "rate: a whole number of nanolitres a day, such as 0.5 mL/day".to_owned())
}

fn days(entered: &str) -> Result<u8, String> {
    let duration: Duration = value("trial", entered)?;
    u8::try_from(duration.seconds_rounded_down() / 86_400)
        .ok()
        .filter(|days| Duration::from_days(u32::from(*days)) == duration)
        .ok_or_else(|| "trial: a whole number of days, such as 7 days".to_owned())
}

/// `number x 10^decimals`, when it has no more decimals than that: digits, at most one point, digits on both sides of it.
fn decimal(number: &str, decimals: usize) -> Option<u64> {
    let number = number.trim();
    let (whole, fraction) = match number.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (number, ""),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > decimals {
        return None;
    }
    format!("{whole}{fraction:0<decimals$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_pump::{baclofen, fresh_status, running_status};

    fn bolus(dose: &str, duration: &str) -> Act {
        Act::Bolus {
            dose: dose.to_owned(),
            duration: duration.to_owned(),
            reason: String::new(),
        }
    }

    #[test]
    fn a_bolus_is_what_was_entered() {
        let command = bolus("20 mcg", "5 min").command(7).unwrap();
        let expected = ClinicianBolus {
            number: 7,
            dose_ng: 20_000,
            duration_s: 300,
            reason: None,
        };
        assert_eq!(command, Command::ClinicianBolus(expected));
        let status = running_status(baclofen(None, 250_000));
        assert_eq!(
            bolus("0.02 mg", "300 s").description(7, &status).unwrap(),
            "Give 20 mcg of baclofen over 5 min now."
        );
        assert!(
            bolus("20 mcg", "5 min")
                .description(7, &fresh_status())
                .is_err()
        );
    }

    #[test]
    fn an_entry_without_its_unit_is_refused_with_its_name() {
        for (act, name) in [
            (bolus("20", "5 min"), "dose: "),
            (bolus("20 mcg", "5"), "duration: "),
            (bolus("0 mcg", "5 min"), "dose: "),
            (bolus("20 mcg", "0.5 s"), "duration: "),
        ] {
            let refused = act.command(1).unwrap_err();
            assert!(refused.starts_with(name), "{refused}");
        }
        let aspirated = Act::Aspirated {
            volume: "2.1".to_owned(),
        };
        assert!(aspirated.command(1).unwrap_err().contains("mL"));
    }

    fn catheter(tubing: &str, length: &str, per_length: &str) -> Act {
        Act::Catheter {
            tubing: tubing.to_owned(),
            length: length.to_owned(),
            per_length: per_length.to_owned(),
            port: String::new(),
        }
    }

    #[test]
    fn a_catheter_is_told_in_its_own_units() {
        let act = catheter("0.1 mL", "45.5 cm", "0.0022 mL/cm");
        let expected = Catheter {
            model: 0,
            tubing_nl: 100_000,
            length_mm: 455,
            nl_per_cm: 2_200,
            port_nl: 0,
        };
        assert_eq!(act.command(1).unwrap(), Command::SetCatheter(expected));
        assert_eq!(
            act.description(1, &fresh_status()).unwrap(),
            "Path to the tip: tubing 0.1 mL, catheter 45.5 cm of 0.0022 mL/cm, port none."
        );
        for (length, per_length) in [
            ("45.55 cm", "0.0022 mL/cm"),
            ("455 mm", "0.0022 mL/cm"),
            ("45", "0.0022 mL/cm"),
            ("45 cm", "0.0022"),
            ("45 cm", "0.00000022 mL/cm"),
            ("45 cm", "1 mL/cm"),
            ("7000 cm", "0.0022 mL/cm"),
        ] {
            let act = catheter("0.1 mL", length, per_length);
            assert!(act.command(1).is_err(), "{length} {per_length}");
        }
    }

    #[test]
    fn a_prime_wants_its_question_answered() {
        let prime = |aspirated| Act::Prime {
            kind: "pump only".to_owned(),
            aspirated,
            disconnected: false,
            reason: "procedure".to_owned(),
        };
        assert!(prime(None).command(1).unwrap_err().contains("aspirated?"));
        let status = fresh_status();
        let said = prime(Some(false)).description(1, &status).unwrap();
        assert!(said.contains("counts as a dose"), "{said}");
        match prime(Some(true)).command(4).unwrap() {
            Command::Prime(prime) => {
                assert_eq!((prime.number, prime.kind), (4, PrimeKind::PumpOnly));
                assert_eq!(prime.reason, Some(OverrideReason::Procedure));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_pump_is_commissioned_by_its_record() {
        let record = |kind: &str, rate: &str, trial: &str| Act::Commission {
            kind: kind.to_owned(),
            step: "2.5 nL".to_owned(),
            capacity: "20 mL".to_owned(),
            rate: rate.to_owned(),
            trial: trial.to_owned(),
        };
        let implant = Commissioning {
            kind: PumpKind::ProgrammableImplant,
            step_volume_fl: 2_500_000,
            capacity_nl: 20_000_000,
            fixed_rate_nl_per_day: None,
            trial_days: None,
        };
        let act = record("programmable implant", "", "");
        assert_eq!(act.command(1).unwrap(), Command::Commission(implant));
        assert_eq!(
            act.description(1, &fresh_status()).unwrap(),
            "Make this pump a programmable implant: 2.5 nL a step, reservoir of 20 mL. This is done once."
        );
        match record("constant-rate implant", "0.5 mL/day", "7 days")
            .command(1)
            .unwrap()
        {
            Command::Commission(record) => {
                assert_eq!(record.fixed_rate_nl_per_day, Some(500_000));
                assert_eq!(record.trial_days, Some(7));
            }
            other => panic!("{other:?}"),
        }
        assert!(
            record("implant", "", "")
                .command(1)
                .unwrap_err()
                .contains("external trial pump")
        );
        assert!(
            record("programmable implant", "1 mL/h", "7 h")
                .command(1)
                .is_err()
        );
    }

    #[test]
    fn names_find_their_values() {
        let acknowledge = |alarm: &str| Act::Acknowledge {
            alarm: alarm.to_owned(),
        };
        for alarm in AlarmKind::ALL {
            let command = acknowledge(alarm.name()).command(1).unwrap();
            assert_eq!(command, Command::AcknowledgeAlarm { alarm: *alarm });
        }
        assert!(acknowledge("fire").command(1).is_err());
        assert_eq!(reason_named(" "), Ok(None));
        assert_eq!(
            reason_named("tolerance"),
            Ok(Some(OverrideReason::Tolerance))
        );
        assert!(reason_named("because").is_err());
    }

    #[test]
    fn decimals_are_read_exactly_or_not_at_all() {
        assert_eq!(decimal("45.5 ", 1), Some(455));
        assert_eq!(decimal("45", 1), Some(450));
        assert_eq!(decimal("0.000001", 6), Some(1));
        for wrong in [
            "",
            ".5",
            "5.",
            "-1",
            "1e3",
            "1,000",
            "1.23",
            "18446744073709551616",
        ] {
            assert_eq!(decimal(wrong, 1), None, "{wrong}");
        }
    }

    #[test]
    fn orders_come_as_json() {
        let act: Act = serde_json::from_str(r#"{"act":"aspirated","volume":"2.1 mL"}"#).unwrap();
        assert_eq!(
            act.command(1).unwrap(),
            Command::RefillAspirated {
                volume_nl: 2_100_000
            }
        );
        let act: Act = serde_json::from_str(r#"{"act":"cancel-bolus"}"#).unwrap();
        assert_eq!(act.command(1).unwrap(), Command::CancelBolus);
        assert!(serde_json::from_str::<Act>(r#"{"act":"aspirated"}"#).is_err());
    }
}
