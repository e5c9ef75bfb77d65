//! The emergency card, as it is shown. It is read without a key and without a session, so that it proves nothing about who made it.
use protocol::EmergencyCard;
use serde::Serialize;
use therapy::{Alarm, AlarmClass};

use crate::readout::{clock, state_name, state_text};
use crate::text;

/// What whoever treats the patient must know, every value as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CardView {
    /// Which pump: as printed on the implant card.
    pub pump: String,
    /// What it is doing, as a name for style sheets.
    pub state: &'static str,
    /// The same in words.
    pub state_text: String,
    /// What is in the reservoir, the primary drug first; empty before the first program.
    pub drugs: Vec<String>,
    /// Dose of the primary drug at the present rate.
    pub dose: Option<String>,
    /// The present rate of the mixture.
    pub flow: String,
    /// What is left in the reservoir.
    pub reservoir: String,
    /// The last bolus or prime.
    pub last_bolus: String,
    /// Active alarms, the most urgent first.
    pub alarms: Vec<CardAlarm>,
    /// The pump's clock.
    pub clock: String,
}

/// An alarm on the card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CardAlarm {
    /// Its name, for the beginning of a line.
    pub title: String,
    /// It is a critical one.
    pub critical: bool,
}

impl CardView {
    /// From the content of the card's characteristic.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn of(bytes: &[u8]) -> Result<Self, String> {
        let Some(&protocol::VERSION) = bytes.first() else {
            return Err(match bytes.first() {
                None => "the card is empty".to_owned(),
                Some(version) => format!(
                    "the card is of version {version}; this programmer knows version {} only",
                    protocol::VERSION
                ),
            });
        };
        let card = EmergencyCard::decode(bytes)
            .map_err(|error| format!("the card cannot be read: {error}"))?;
        let primary = card.drugs.first().map(|component| component.drug);
        let mass = |nanograms| match primary {
            Some(drug) => text::mass(nanograms, drug),
            None => format!("{} ng", text::count(nanograms)),
        };
        Ok(Self {
            pump: card.pump.to_string(),
            state: state_name(card.delivery),
            state_text: state_text(card.delivery),
            drugs: card.drugs.iter().map(text::component).collect(),
            dose: primary.map(|drug| format!("{}/day", text::mass(card.dose_ng_per_day, drug))),
            flow: text::flow(u64::from(card.flow_nl_per_day)),
            reservoir: card
                .reservoir_nl
                .map_or_else(|| "not known".to_owned(), text::fill),
            last_bolus: card.last_bolus.map_or_else(
                || "none".to_owned(),
                |bolus| {
                    let ago = u64::from(bolus.ago_min).saturating_mul(60_000);
                    format!("{}, {} ago", mass(bolus.dose_ng), text::time(ago))
                },
            ),
            alarms: card
                .alarms
                .iter()
                .map(|alarm| CardAlarm {
                    title: text::sentence(alarm.name()),
                    critical: Alarm::of(*alarm).class == AlarmClass::Critical,
                })
                .collect(),
            clock: clock(card.clock),
        })
    }
}

#[cfg(test)]
mod tests {
    use protocol::{CARD_BYTES, CardBolus, Component, DeliveryState, Fingerprint, List};
    use units::{AlarmKind, Clock, Drug};

    use super::*;

    fn card() -> EmergencyCard {
        EmergencyCard {
            version: protocol::VERSION,
            pump: Fingerprint([0xab; 8]),
            delivery: DeliveryState::Running,
            drugs: List::of([Component {
                drug: Drug::Baclofen,
                concentration_ng_per_ml: 2_000_000,
            }]),
            flow_nl_per_day: 125_000,
            dose_ng_per_day: 250_000,
            reservoir_nl: Some(18_500_000),
            last_bolus: Some(CardBolus {
                dose_ng: 20_000,
                ago_min: 65,
            }),
            alarms: List::of([AlarmKind::LowReservoir]),
            clock: Clock::Lost,
        }
    }

    fn view(card: &EmergencyCard) -> CardView {
        CardView::of(card.encode(&mut [0; CARD_BYTES]).unwrap()).unwrap()
    }

    #[test]
    fn whoever_treats_the_patient_reads_drug_dose_and_last_bolus() {
        let view = view(&card());
        assert_eq!(view.pump, "abab-abab-abab-abab");
        assert_eq!(view.state_text, "Delivering");
        assert_eq!(view.drugs, ["baclofen 2,000 mcg/mL"]);
        assert_eq!(view.dose.as_deref(), Some("250 mcg/day"));
        assert_eq!(view.flow, "0.125 mL/day");
        assert_eq!(view.reservoir, "18.5 mL");
        assert_eq!(view.last_bolus, "20 mcg, 1 h 5 min ago");
        assert_eq!(view.alarms.len(), 1);
    }

    #[test]
    fn a_pump_that_was_never_programmed_says_so_little() {
        let new = EmergencyCard {
            delivery: DeliveryState::NotProgrammed,
            drugs: List::default(),
            flow_nl_per_day: 0,
            dose_ng_per_day: 0,
            reservoir_nl: None,
            last_bolus: None,
            alarms: List::default(),
            ..card()
        };
        let view = view(&new);
        assert_eq!((view.dose, view.reservoir.as_str()), (None, "not known"));
        assert_eq!(view.last_bolus, "none");
    }

    #[test]
    fn what_is_no_card_is_not_shown() {
        assert!(CardView::of(&[]).unwrap_err().contains("empty"));
        assert!(CardView::of(&[9]).unwrap_err().contains("version 9"));
        let mut buffer = [0; CARD_BYTES];
        let bytes = card().encode(&mut buffer).unwrap().to_vec();
        assert!(CardView::of(&bytes[..bytes.len() - 1]).is_err());
    }
}
