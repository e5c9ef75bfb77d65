//! The link between a phone and the pump: messages, frames, session, roles.
//!
//! The phone and the pump compile this same crate: the pump drives a [`Session`], the phone a [`Client`], and whatever
//! carries frames between them (Bluetooth, a socket, a test) knows nothing of either. From the inside out:
//!
//! | layer | here | wire |
//! |---|---|---|
//! | commands and answers | [`message`], [`program`], [`order`], [`status`], [`therapy`], [`history`], [`refused`] | canonical postcard |
//! | who may do what | [`roles`] | |
//! | who may connect, when, and until when; somebody is at hand | [`reception`], [`admission`], [`presence`] | |
//! | who is speaking | [`envelope`], [`noise`], [`seal`], [`keys`] | Noise_KKpsk0, ChaCha20-Poly1305 |
//! | one message | [`frame`], [`reassembler`], [`fragmenter`] | CRC-32, frames |
//!
//! Time is [`units::CarrierTime`] throughout: the pump's therapy may run on a faster virtual clock, the link never does.
//!
//! ```
//! use protocol::{Answer, Client, ClientEvent, Command, Credentials, Info, Lifecycle, Mtu, Outcome, Received, Role, Secret, Session};
//! use protocol::{SessionId, Situation, Slot};
//! use units::CarrierTime;
//!
//! // Who knows whom: a clinician's key in slot 0.
//! let (pump_key, key, preshared) = (Secret::new([1; 32]), Secret::new([2; 32]), Secret::new([3; 32]));
//! let credentials = Credentials::new(0, key, preshared.clone(), pump_key.public_key());
//! let situation = Situation { lifecycle: Lifecycle::InService, armed: false, alarm: false };
//! let mut pump = Session::new(situation);
//! pump.keyring().set_pump(pump_key);
//! pump.keyring().set(0, Some(Slot::new(Role::Clinician, Some(*credentials.public()), preshared, 0)));
//!
//! // A connection; its random bytes come from the pump's generator, and the phone reads Info.
//! let (now, id) = (CarrierTime::from_micros(0), SessionId(1));
//! let info = Info::new(0, *b"eight by", Lifecycle::InService, false);
//! let mut phone = Client::new();
//! pump.opened(id, Mtu::HIGHEST, &info, Secret::new([4; 32]));
//! phone.opened(Mtu::HIGHEST);
//!
//! phone.open(now, &info, &credentials, Secret::new([5; 32])).unwrap();
//! while let Some(frame) = phone.next_frame() {
//!     pump.receive(now, &frame);
//! }
//! assert!(matches!(phone.receive(now, pump.response()), ClientEvent::Welcome(_)));
//!
//! phone.request(now, &Command::Cancel).unwrap();
//! while let Some(frame) = phone.next_frame() {
//!     // The carrier writes each frame to Command; the pump hears of the whole request and answers it.
//!     if let Received::Request(request) = pump.receive(now, &frame) {
//!         pump.answer(id, &Answer { id: request.id, outcome: Outcome::Cancelled }).unwrap();
//!     }
//! }
//! // The phone reads Response, or has it indicated.
//! let event = phone.receive(now, pump.response());
//! assert_eq!(event, ClientEvent::Answer(Answer { id: 1, outcome: Outcome::Cancelled }));
//! ```
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate self as protocol;
#[cfg(test)]
extern crate std;

pub mod admission;
mod buffer;
pub mod card;
pub mod client;
pub mod codec;
#[cfg(test)]
mod documentation;
pub mod envelope;
pub mod fragmenter;
pub mod frame;
pub mod history;
pub mod info;
pub mod keys;
pub mod list;
pub mod message;
pub mod noise;
pub mod order;
pub mod pack;
pub mod presence;
pub mod program;
pub mod reassembler;
pub mod reception;
pub mod refused;
pub mod roles;
#[cfg(test)]
mod round_trips;
#[cfg(test)]
#[path = "../tests/samples/mod.rs"]
mod samples;
#[cfg(test)]
mod schema;
pub mod seal;
pub mod session;
pub mod status;
pub mod therapy;
pub mod uuid;
#[cfg(test)]
mod vectors;

pub use admission::{Admission, Advertise};
pub use card::{CARD_ALARMS, CARD_BYTES, CardBolus, EmergencyCard};
pub use client::{Client, ClientEvent, Ended, Fate, Reason, RequestError};
pub use codec::Malformed;
pub use envelope::{Denied, Welcome};
pub use frame::{Dropped, Frame, MESSAGE_LIMIT, Mtu};
pub use history::{LOG_PART_BYTES, LogBytes, LogHead, LogName, LogPart};
pub use info::{Info, InfoError, Lifecycle};
pub use keys::{
    Credentials, ENROLMENT_SLOT, Fingerprint, KeyEntry, KeyGrant, Keyring, PublicKey,
    RECOVERY_SLOT, SLOTS, Secret, Slot,
};
pub use list::{Bytes, List};
pub use message::{Answer, Command, CommandKind, KEYS, Outcome, Request, WhenUnknown};
pub use order::{
    AlarmIntervals, Catheter, ClinicianBolus, Commissioning, Commit, DiaryEntry, HospitalLibrary,
    LIBRARY_PART_BYTES, Prime, SetClock, SetZone, Shown,
};
pub use pack::{ImplantCard, KeyText, Pack, PackText, TextError};
pub use presence::Presence;
pub use program::{
    Amount, BridgePlan, Component, DRUGS, Digest, Dose, DrugTotal, FINDINGS, FLEX_STEPS, Fill,
    Finding, FlexStep, FlexWeek, Mode, PATTERNS, PERIODS, PatientBolus, PeriodCap, PeriodicBolus,
    Program, SECONDARIES, Staged, from_minutes,
};
pub use reception::{Over, Reception};
pub use refused::{
    Field, LibraryFault, LimitKind, NotAllowed, NotNow, RefillStep, Refused, ScheduleFault,
};
pub use roles::{Caller, Role, Situation, permission};
pub use session::{AnswerError, HangUp, Received, Session, SessionId};
pub use status::{DeliveryState, Limits, Status};
pub use therapy::{
    ALARMS, AlarmState, BolusAvailability, BolusDenial, BridgeStatus, JobKind, JobStatus,
    LibraryEntry, PathStatus, REFILLS_PART, Refill, RefillDates, RefillLimit, Refills, Response,
    SLUGS, ServiceState, ServiceStatus, Slug, TherapyStatus, TrialStatus,
};

/// The protocol version this crate speaks, the first byte of [`Info`] and of every message.
///
/// 0 was the wire before there were authenticated sessions, and is refused like every version that a build does not know: a refusal,
/// never a guess. Recorded vectors of every message are kept from version 1 on.
pub const VERSION: u8 = 1;

/// Fingerprint of every message's shape: names, order and types of all fields and variants.
///
/// The first eight bytes, big-endian, of the SHA-256 of `src/protocol/schema.txt`, which a test derives from the types
/// themselves. Units are part of field names, so a change of unit is a change of this number. It travels in [`Info`].
pub const SCHEMA_HASH: u64 = 0x0c41_157f_2264_2988;
