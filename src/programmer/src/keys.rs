//! Keys: the code that enrols a phone, the key that a phone keeps, and those that are granted to somebody else.
//!
//! A key travels and is kept as the text of a [`KeyText`]. Whoever reads that text has the key: a browser can keep it from other sites, but
//! not from whoever uses this phone, and JavaScript cannot wipe it.
use protocol::{
    Credentials, ENROLMENT_SLOT, ImplantCard, KeyEntry, KeyText, PackText, PublicKey,
    RECOVERY_SLOT, Role, SLOTS, Secret,
};
use serde::Serialize;

/// What somebody pasted or scanned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// Enrols the first clinician.
    Pack(PackText),
    /// Enrols a clinician when all keys are lost.
    Card(ImplantCard),
    /// Somebody's key: a wallet card, or one that a clinician has granted.
    Key(KeyText),
}

/// What a code is, as it is shown. Nothing secret but the passkey, which the phone's own dialogue will ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CodeView {
    /// `pack`, `card` or `key`.
    pub kind: &'static str,
    /// The same in words.
    pub text: &'static str,
    /// Fingerprint of the pump's public key.
    pub pump: String,
    /// For pairing over Bluetooth, six digits.
    pub passkey: Option<String>,
}

impl Code {
    /// Reads a code.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let name = text.trim().split(':').next().unwrap_or_default();
        let is = |expected: &str| name.eq_ignore_ascii_case(expected);
        if is(PackText::NAME) {
            PackText::parse(text)
                .map(Self::Pack)
                .map_err(|error| format!("the code of a sterile pack: {error}"))
        } else if is(ImplantCard::NAME) {
            ImplantCard::parse(text)
                .map(Self::Card)
                .map_err(|error| format!("the code of an implant card: {error}"))
        } else if is(KeyText::NAME) {
            KeyText::parse(text)
                .map(Self::Key)
                .map_err(|error| format!("a key: {error}"))
        } else {
            Err(format!(
                "it has to begin with {}: (sterile pack), {}: (implant card) or {}: (wallet card or another key)",
                PackText::NAME,
                ImplantCard::NAME,
                KeyText::NAME
            ))
        }
    }

    /// What to show of it.
    #[must_use]
    pub fn view(&self) -> CodeView {
        let (kind, text, passkey) = match self {
            Self::Pack(pack) => ("pack", "sterile pack", Some(pack.passkey)),
            Self::Card(card) => ("card", "implant card", Some(card.passkey)),
            Self::Key(_) => ("key", "key", None),
        };
        CodeView {
            kind,
            text,
            pump: self.pump().fingerprint().to_string(),
            passkey: passkey.map(|passkey| format!("{passkey:06}")),
        }
    }

    const fn pump(&self) -> &PublicKey {
        match self {
            Self::Pack(pack) => &pack.pump,
            Self::Card(card) => &card.pump,
            Self::Key(key) => &key.pump,
        }
    }

    /// What opens a session for enrolling the phone whose key is `private`.
    ///
    /// # Errors
    /// When it is a key already.
    pub fn enrolment(self, private: Secret) -> Result<Credentials, String> {
        match self {
            Self::Pack(pack) => Ok(Credentials::new(
                ENROLMENT_SLOT,
                private,
                pack.one_time,
                pack.pump,
            )),
            Self::Card(card) => Ok(Credentials::new(
                RECOVERY_SLOT,
                private,
                card.recovery,
                card.pump,
            )),
            Self::Key(_) => {
                Err("this is a key already: a session is opened with it at once".to_owned())
            }
        }
    }
}

/// A key that the pump lets in, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyView {
    /// Its place, 0 to 7.
    pub slot: u8,
    /// What its holder may do.
    pub role: &'static str,
    /// Fingerprint of its public key.
    pub fingerprint: String,
    /// Number of the last command given with it.
    pub last_number: u32,
    /// It is the one that asks.
    pub own: bool,
}

impl KeyView {
    /// From what the pump tells; `own` is the place of the key that asks.
    #[must_use]
    pub fn of(entry: &KeyEntry, own: u8) -> Self {
        Self {
            slot: entry.slot,
            role: entry.role.name(),
            fingerprint: entry.fingerprint.to_string(),
            last_number: entry.last_number,
            own: entry.slot == own,
        }
    }
}

/// The places that hold no key.
#[must_use]
pub fn free_places(keys: &[KeyEntry]) -> Vec<u8> {
    (0..SLOTS)
        .filter(|place| keys.iter().all(|key| key.slot != *place))
        .collect()
}

/// The place for one more key: the one that was chosen, else the first that is free.
///
/// # Errors
/// When all are taken and none was chosen, when there is no such place, and when it is that of the key that asks.
pub fn place(chosen: Option<u8>, keys: &[KeyEntry], own: u8) -> Result<u8, String> {
    match chosen {
        Some(slot) if slot == own => {
            Err("that is the place of the key in use: choose another one".to_owned())
        }
        Some(slot) if slot < SLOTS => Ok(slot),
        Some(_) => Err("places are numbered from 0 to 7".to_owned()),
        None => free_places(keys)
            .first()
            .copied()
            .ok_or_else(|| "all places are taken: choose the key that is replaced".to_owned()),
    }
}

/// The role of this name that a key can be granted for.
///
/// # Errors
/// The list of roles.
pub fn role_named(name: &str) -> Result<Role, String> {
    let found = Role::GRANTED.into_iter().find(|role| role.name() == name);
    found.ok_or_else(|| {
        let names = Role::GRANTED.map(Role::name);
        format!("role: choose one of {}", names.join(", "))
    })
}

/// A secret from random bytes. All zeros are no random bytes, but an array that nobody has filled.
///
/// # Errors
/// When they are not 32, or all zero.
pub fn secret(random: &[u8]) -> Result<Secret, String> {
    <[u8; 32]>::try_from(random)
        .ok()
        .filter(|bytes| *bytes != [0; 32])
        .map(Secret::new)
        .ok_or_else(|| "32 random bytes are needed".to_owned())
}

#[cfg(test)]
mod tests {
    use protocol::Pack;

    use super::*;

    fn pack() -> PackText {
        Pack {
            private: Secret::new([1; 32]),
            one_time: Secret::new([2; 32]),
            recovery: Secret::new([3; 32]),
            passkey: 42,
        }
        .text()
    }

    fn entry(slot: u8) -> KeyEntry {
        KeyEntry {
            slot,
            role: Role::Patient,
            fingerprint: pack().pump.fingerprint(),
            last_number: 0,
        }
    }

    #[test]
    fn a_code_is_known_by_its_name_and_its_passkey_has_six_digits() {
        let found = Code::parse(&pack().to_string()).unwrap().view();
        assert_eq!(
            (found.kind, found.passkey.as_deref()),
            ("pack", Some("000042"))
        );
        assert_eq!(found.pump, pack().pump.fingerprint().to_string());
        let card = pack().implant_card().to_string().to_lowercase();
        assert_eq!(
            Code::parse(&format!(" {card}\n")).unwrap().view().kind,
            "card"
        );
    }

    #[test]
    fn what_is_wrong_with_a_code_is_said_in_words() {
        let text = pack().to_string();
        let error = |text: &str| Code::parse(text).unwrap_err();
        assert!(error("").contains("THECAL1: (sterile pack)"));
        assert!(error("THECAL4:00").contains("THECAL1: (sterile pack)"));
        assert!(error(&format!("{text}0")).contains("208 digits"));
        assert!(error(&format!("{text}?")).contains("0 to 9 and A to F"));
        assert!(error(&text.replacen('0', "1", 1)).contains("checksum"));
        let key = Code::parse("THECAL3:").unwrap_err();
        assert!(key.starts_with("a key: "), "{key}");
    }

    #[test]
    fn a_key_enrols_nobody() {
        let key = Code::Key(KeyText {
            pump: pack().pump,
            private: Secret::new([4; 32]),
            preshared: Secret::new([5; 32]),
            slot: 0,
        });
        assert!(key.enrolment(Secret::new([6; 32])).is_err());
        let enrolment = Code::Pack(pack()).enrolment(Secret::new([6; 32])).unwrap();
        assert_eq!(enrolment.slot(), ENROLMENT_SLOT);
        let recovery = Code::Card(pack().implant_card());
        let recovery = recovery.enrolment(Secret::new([6; 32])).unwrap();
        assert_eq!(recovery.slot(), RECOVERY_SLOT);
        assert_eq!(recovery.preshared(), &Secret::new([3; 32]));
    }

    #[test]
    fn the_first_free_place_is_taken_and_never_ones_own() {
        let keys: Vec<_> = [0, 1, 3].map(entry).into();
        assert_eq!(free_places(&keys), [2, 4, 5, 6, 7]);
        assert_eq!(place(None, &keys, 0), Ok(2));
        assert_eq!(place(Some(7), &keys, 0), Ok(7));
        assert_eq!(place(Some(3), &keys, 0), Ok(3));
        assert!(place(Some(8), &keys, 0).is_err());
        assert!(place(Some(0), &keys, 0).is_err());
        let all: Vec<_> = (0..SLOTS).map(entry).collect();
        assert!(place(None, &all, 0).unwrap_err().contains("all places"));
    }

    #[test]
    fn nobody_is_granted_the_role_that_enrols() {
        assert_eq!(role_named("emergency"), Ok(Role::Emergency));
        assert!(
            role_named("enrolling")
                .unwrap_err()
                .contains("clinician, patient")
        );
    }

    #[test]
    fn an_array_that_nobody_filled_is_no_secret() {
        assert!(secret(&[0; 32]).is_err());
        assert!(secret(&[1; 31]).is_err());
        assert!(secret(&[1; 32]).is_ok());
    }
}
