//! The emergency card: what whoever treats the patient must know, readable by presence alone.
//!
//! The pump makes it out of what it shows anyway and hands it to the link as bytes. Nothing comes back: there is no way from the card's
//! characteristic to a command.
use serde::{Deserialize, Serialize};
use units::{AlarmKind, Clock};

use crate::codec::{self, Malformed};
use crate::keys::Fingerprint;
use crate::list::List;
use crate::program::{Component, SECONDARIES};
use crate::status::DeliveryState;

/// Most alarms on a card: the most urgent ones.
pub const CARD_ALARMS: usize = 8;

/// The longest encoded card, bytes: it is read whole at any MTU in a few reads (the longest attribute value is 512).
pub const CARD_BYTES: usize = 160;

/// The content of the Emergency card characteristic.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct EmergencyCard {
    /// The protocol version, as in [`crate::Info`].
    pub version: u8,
    /// Which pump this is: the fingerprint of its public key, as printed on the implant card.
    pub pump: Fingerprint,
    /// What the pump is doing.
    pub delivery: DeliveryState,
    /// What is in the reservoir, first the primary drug; empty before the first program.
    pub drugs: List<Component, DRUGS_ON_CARD>,
    /// The present rate of the mixture, in nL/day, rounded to the nearest.
    pub flow_nl_per_day: u32,
    /// Dose of the primary drug at that rate, in ng/day, rounded to the nearest.
    pub dose_ng_per_day: u64,
    /// What is left in the reservoir, in nL, rounded down; none while it is not known.
    pub reservoir_nl: Option<u32>,
    /// The last bolus or prime that began.
    pub last_bolus: Option<CardBolus>,
    /// The active alarms, the most urgent first.
    pub alarms: List<AlarmKind, CARD_ALARMS>,
    /// The pump's clock.
    pub clock: Clock,
}

/// Most drugs in a mixture: the primary and its secondaries.
pub const DRUGS_ON_CARD: usize = 1 + SECONDARIES;

/// The last bolus on an [`EmergencyCard`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct CardBolus {
    /// The primary drug in it, in ng, as ordered.
    pub dose_ng: u64,
    /// How long ago it began, in min, rounded down.
    pub ago_min: u32,
}

impl EmergencyCard {
    /// Writes it to the front of `buffer`.
    pub fn encode<'b>(&self, buffer: &'b mut [u8; CARD_BYTES]) -> Option<&'b [u8]> {
        codec::encode(self, buffer)
    }

    /// Reads a card.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<EmergencyCard, Malformed> {
        codec::decode(bytes)
    }
}
