//! What JavaScript sees: bytes and JSON, nothing else.
//!
//! wasm-bindgen's macro writes `unsafe` code around these functions; nobody else in this crate does.
#![allow(unsafe_code)]

use protocol::{Role, uuid};
use serde::Serialize;
use serde::de::DeserializeOwned;
use units::{CarrierTime, Drug, Duration, OverrideReason, PrimeKind, PumpKind};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::act::{Act, reason_named};
use crate::card_view::CardView;
use crate::form::Form;
use crate::keys::{Code, secret};
use crate::programmer::{Pending, Programmer};
use crate::qr;

/// The page's one [`Programmer`]. Times are milliseconds on any clock that only goes forward.
#[wasm_bindgen]
#[derive(Default)]
pub struct Page {
    programmer: Programmer,
}

#[wasm_bindgen]
impl Page {
    /// One that has met no pump yet.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The Bluetooth identifiers, as JSON.
    #[must_use]
    pub fn identifiers() -> String {
        json(&Identifiers {
            service: hyphenated(uuid::SERVICE),
            info: hyphenated(uuid::INFO),
            command: hyphenated(uuid::COMMAND),
            response: hyphenated(uuid::RESPONSE),
            status_changed: hyphenated(uuid::STATUS_CHANGED),
            emergency_card: hyphenated(uuid::EMERGENCY_CARD),
        })
    }

    /// The names of the drugs, as JSON.
    #[must_use]
    pub fn drugs() -> String {
        json(&Drug::ALL.map(Drug::name))
    }

    /// What can be chosen from, by name, as JSON: reasons, kinds of pump, what a prime fills, roles.
    #[must_use]
    pub fn choices() -> String {
        json(&Choices {
            reasons: names(OverrideReason::ALL, OverrideReason::name),
            kinds: names(PumpKind::ALL, PumpKind::name),
            primes: names(PrimeKind::ALL, PrimeKind::name),
            roles: names(&Role::GRANTED, Role::name),
        })
    }

    /// See [`Programmer::connected`]; the answer is JSON.
    ///
    /// # Errors
    /// As there.
    pub fn connected(&mut self, info: &[u8], mtu: u16) -> Result<String, String> {
        self.programmer
            .connected(info, mtu)
            .map(|about| json(&about))
    }

    /// What a code is that somebody pasted or scanned, as JSON.
    ///
    /// # Errors
    /// What is wrong with it.
    #[wasm_bindgen(js_name = readCode)]
    pub fn read_code(text: &str) -> Result<String, String> {
        Code::parse(text).map(|code| json(&code.view()))
    }

    /// See [`qr::read`].
    #[wasm_bindgen(js_name = readQr)]
    #[must_use]
    pub fn read_qr(pixels: &[u8], width: u32) -> Option<String> {
        qr::read(pixels, width)
    }

    /// The content of the emergency card's characteristic, as JSON.
    ///
    /// # Errors
    /// Why it cannot be read.
    #[wasm_bindgen(js_name = readCard)]
    pub fn read_card(bytes: &[u8]) -> Result<String, String> {
        CardView::of(bytes).map(|card| json(&card))
    }

    /// See [`Programmer::open`]; `random` are 32 bytes.
    ///
    /// # Errors
    /// As there.
    #[wasm_bindgen(js_name = openSession)]
    pub fn open_session(&mut self, now: u64, key: &str, random: &[u8]) -> Result<(), String> {
        self.programmer.open(at(now), key, secret(random)?)
    }

    /// See [`Programmer::is_open`].
    #[wasm_bindgen(js_name = isOpen)]
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.programmer.is_open()
    }

    /// See [`Programmer::enrol`]; `private` and `random` are 32 bytes each.
    ///
    /// # Errors
    /// As there.
    pub fn enrol(
        &mut self,
        now: u64,
        code: &str,
        private: &[u8],
        random: &[u8],
    ) -> Result<(), String> {
        self.programmer
            .enrol(at(now), code, secret(private)?, secret(random)?)
    }

    /// See [`Programmer::read_keys`].
    ///
    /// # Errors
    /// As there.
    #[wasm_bindgen(js_name = readKeys)]
    pub fn read_keys(&mut self, now: u64) -> Result<(), String> {
        self.programmer.read_keys(at(now))
    }

    /// See [`Programmer::grant_own`]; `preshared` are 32 random bytes.
    ///
    /// # Errors
    /// As there.
    #[wasm_bindgen(js_name = grantOwn)]
    pub fn grant_own(
        &mut self,
        now: u64,
        slot: Option<u8>,
        preshared: &[u8],
    ) -> Result<String, String> {
        self.programmer.grant_own(at(now), slot, secret(preshared)?)
    }

    /// See [`Programmer::grant`]; `private` and `preshared` are 32 random bytes each.
    ///
    /// # Errors
    /// As there.
    pub fn grant(
        &mut self,
        now: u64,
        role: &str,
        slot: Option<u8>,
        private: &[u8],
        preshared: &[u8],
    ) -> Result<String, String> {
        self.programmer
            .grant(at(now), role, slot, secret(private)?, secret(preshared)?)
    }

    /// See [`Programmer::revoke`].
    ///
    /// # Errors
    /// As there.
    pub fn revoke(&mut self, now: u64, slot: u8) -> Result<(), String> {
        self.programmer.revoke(at(now), slot)
    }

    /// See [`Programmer::disconnected`].
    pub fn disconnected(&mut self) -> String {
        json(&self.programmer.disconnected())
    }

    /// See [`Programmer::check`]; the form is JSON, the answer too.
    ///
    /// # Errors
    /// When the form is not the JSON of one.
    pub fn check(&self, form: &str) -> Result<String, String> {
        Ok(json(&self.programmer.check(&read::<Form>(form)?)))
    }

    /// See [`Programmer::interrogate`].
    ///
    /// # Errors
    /// As there.
    pub fn interrogate(&mut self, now: u64) -> Result<(), String> {
        self.programmer.interrogate(at(now))
    }

    /// See [`Programmer::stage`].
    ///
    /// # Errors
    /// As there, and when the form is not the JSON of one.
    pub fn stage(&mut self, now: u64, form: &str) -> Result<(), String> {
        self.programmer.stage(at(now), &read::<Form>(form)?)
    }

    /// See [`Programmer::read_therapy`].
    ///
    /// # Errors
    /// As there.
    #[wasm_bindgen(js_name = readTherapy)]
    pub fn read_therapy(&mut self, now: u64) -> Result<(), String> {
        self.programmer.read_therapy(at(now))
    }

    /// See [`Programmer::read_path`].
    ///
    /// # Errors
    /// As there.
    #[wasm_bindgen(js_name = readPath)]
    pub fn read_path(&mut self, now: u64) -> Result<(), String> {
        self.programmer.read_path(at(now))
    }

    /// See [`Programmer::commit`]; the reason by its name, empty for none.
    ///
    /// # Errors
    /// As there, and when there is no such reason.
    pub fn commit(&mut self, now: u64, reason: &str) -> Result<(), String> {
        let reason = reason_named(reason)?;
        self.programmer.commit(at(now), reason)
    }

    /// See [`Programmer::describe`]; the order is the JSON of an [`Act`].
    ///
    /// # Errors
    /// As there, and when it is not the JSON of one.
    pub fn describe(&self, act: &str) -> Result<String, String> {
        self.programmer.describe(&read::<Act>(act)?)
    }

    /// See [`Programmer::order`]; the order is the JSON of an [`Act`].
    ///
    /// # Errors
    /// As there, and when it is not the JSON of one.
    pub fn order(&mut self, now: u64, act: &str) -> Result<(), String> {
        self.programmer.order(at(now), &read::<Act>(act)?)
    }

    /// See [`Programmer::cancel`].
    ///
    /// # Errors
    /// As there.
    pub fn cancel(&mut self, now: u64) -> Result<(), String> {
        self.programmer.cancel(at(now))
    }

    /// See [`Programmer::reset_flags`].
    ///
    /// # Errors
    /// As there.
    #[wasm_bindgen(js_name = resetFlags)]
    pub fn reset_flags(&mut self, now: u64, mask: u16) -> Result<(), String> {
        self.programmer.reset_flags(at(now), mask)
    }

    /// See [`Programmer::next_frame`].
    #[wasm_bindgen(js_name = nextFrame)]
    pub fn next_frame(&mut self) -> Option<Vec<u8>> {
        self.programmer
            .next_frame()
            .map(|frame| frame.as_slice().to_vec())
    }

    /// See [`Programmer::receive`].
    pub fn receive(&mut self, now: u64, fragment: &[u8]) -> String {
        json(&self.programmer.receive(at(now), fragment))
    }

    /// See [`Programmer::tick`].
    pub fn tick(&mut self, now: u64) -> String {
        json(&self.programmer.tick(at(now)))
    }

    /// See [`Programmer::pending`], as JSON to be kept.
    #[must_use]
    pub fn pending(&self) -> Option<String> {
        self.programmer.pending().map(json)
    }

    /// See [`Programmer::resume`]. What cannot be read is refused.
    ///
    /// # Errors
    /// When it is not what [`Page::pending`] gave.
    pub fn resume(&mut self, pending: &str) -> Result<(), String> {
        let pending: Pending = serde_json::from_str(pending).map_err(|error| error.to_string())?;
        self.programmer.resume(pending);
        Ok(())
    }

    /// See [`Programmer::set_pending_aside`].
    #[wasm_bindgen(js_name = setPendingAside)]
    pub fn set_pending_aside(&mut self) {
        self.programmer.set_pending_aside();
    }
}

/// What can be chosen from.
#[derive(Serialize)]
struct Choices {
    reasons: Vec<&'static str>,
    kinds: Vec<&'static str>,
    primes: Vec<&'static str>,
    roles: Vec<&'static str>,
}

fn names<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().copied().map(name).collect()
}

/// The Bluetooth identifiers as the browser wants them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identifiers {
    service: String,
    info: String,
    command: String,
    response: String,
    status_changed: String,
    emergency_card: String,
}

/// `6a3e0001-1f0d-4b59-9c1e-7d5a0c9be4f2`
fn hyphenated(uuid: u128) -> String {
    let mut text = String::new();
    for (position, digit) in format!("{uuid:032x}").chars().enumerate() {
        if matches!(position, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

fn at(milliseconds: u64) -> CarrierTime {
    CarrierTime::from_micros(0).saturating_add(Duration::from_millis(milliseconds))
}

fn read<T: DeserializeOwned>(entered: &str) -> Result<T, String> {
    serde_json::from_str(entered).map_err(|error| error.to_string())
}

/// Everything shown is made of texts, small numbers and lists: there is nothing that cannot be written as JSON.
fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_those_of_the_protocol() {
        assert_eq!(
            hyphenated(uuid::SERVICE),
            "6a3e0001-1f0d-4b59-9c1e-7d5a0c9be4f2"
        );
        assert!(Page::identifiers().contains("6a3e0006-1f0d-4b59-9c1e-7d5a0c9be4f2"));
        assert!(Page::identifiers().contains("6a3e0007-1f0d-4b59-9c1e-7d5a0c9be4f2"));
    }

    #[test]
    fn a_form_with_an_unknown_field_is_refused() {
        let page = Page::new();
        assert!(page.check(r#"{"drug":"baclofen","colour":"red"}"#).is_err());
        assert!(
            page.check(
                r#"{"drug":"","concentration":"","fill":"","mode":"simple-continuous","dose":""}"#
            )
            .is_ok()
        );
    }
}
