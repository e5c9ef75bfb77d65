//! `thecal enroll` and `keys`: who is let in. A new key is on the disk before the pump hears of it: were its answer lost, the only
//! key of a pump could be lost with it.

use super::arguments::KeyAct;
use super::desk::{Desk, Session, confirmed, open, open_again, order};
use super::ended::{Done, Report, Stopped, unlike};
use super::look::{merge, who};
use crate::key_file;
use crate::session::{Failure, random};
use programmer::keys::Code;
use protocol::{
    Command, Credentials, ENROLMENT_SLOT, Fate, KeyEntry, KeyGrant, KeyText, Outcome, PublicKey,
    RECOVERY_SLOT, Role, SLOTS, Secret,
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What `thecal enroll` was asked for.
#[derive(Debug, Default)]
pub(crate) struct Enrolment {
    /// Where the key goes; none: where it is looked for.
    pub(crate) key: Option<PathBuf>,
    pub(crate) slot: Option<u8>,
    /// Where the text of the implant card goes.
    pub(crate) implant_card: Option<PathBuf>,
}

/// `thecal enroll`, with the text of the sterile pack or the implant card.
pub(super) fn enroll(desk: &mut dyn Desk, text: &str, wanted: &Enrolment) -> Done {
    if text.trim().is_empty() {
        return Err(Stopped::usage(
            "there is no text: name its file with --text FILE, give it on standard input, or type it on a terminal",
        ));
    }
    let (pump, slot, preshared, card) = match Code::parse(text).map_err(Stopped::usage)? {
        Code::Pack(pack) => (
            pack.pump,
            ENROLMENT_SLOT,
            pack.one_time.clone(),
            pack.implant_card(),
        ),
        Code::Card(card) => (card.pump, RECOVERY_SLOT, card.recovery.clone(), card),
        Code::Key(_) => {
            return Err(Stopped::usage(
                "this is a key, which is let in already: save it as a key file and use --key",
            ));
        }
    };
    let path = match &wanted.key {
        Some(path) => path.clone(),
        None => key_file::place(pump.fingerprint())?,
    };
    free(&path)?;
    let private = random()?;
    let credentials = Credentials::new(slot, private.clone(), preshared, pump);
    let mut session = open(desk, &credentials)?;
    let place = free_slot(&keys(&mut session)?, wanted.slot)?;
    let key = new_key(pump, private, place)?;
    // In this order, so that a file that is in the way stops it while nothing is done.
    if let Some(file) = &wanted.implant_card {
        key_file::secret(file, Zeroizing::new(format!("{card}\n")))?;
    }
    let withdraw = || {
        let _ = std::fs::remove_file(&path);
        if let Some(file) = &wanted.implant_card {
            let _ = std::fs::remove_file(file);
        }
    };
    if let Err(error) = key_file::save(&path, &key) {
        if let Some(file) = &wanted.implant_card {
            let _ = std::fs::remove_file(file);
        }
        return Err(error.into());
    }
    let granted = session.ask(&Command::GrantKey(grant(&key, Role::Clinician)));
    drop(session);
    match granted {
        Ok(Outcome::Done) => {}
        Ok(other) => {
            let stopped = unlike(other);
            if stopped.status != super::ended::Status::Unknown {
                withdraw();
            }
            return Err(stopped);
        }
        Err(failure) if failure.fate() == Fate::CertainlyNot => {
            withdraw();
            return Err(failure.into());
        }
        // The new key itself tells whether it was let in.
        Err(_) => {}
    }
    match open_again(desk, &key.credentials()) {
        Ok(session) => {
            let mut json = who(&key, session.role(), session.info());
            merge(
                &mut json,
                json!({ "key": path, "implant_card": wanted.implant_card }),
            );
            Ok(Report::new(
                format!(
                    "Enrolled with pump {} as {} in slot {place}, and let in with the new key.\nKey: {}\n",
                    pump.fingerprint(),
                    session.role(),
                    path.display()
                ),
                json,
            ))
        }
        // Nobody vouches for a denial. The file stays: it may be the only key there is.
        Err(failure) => {
            let what = match failure {
                Failure::NotLetIn(_) => "the new key is not let in",
                _ => "the pump cannot be asked whether the new key is let in",
            };
            Err(Stopped::unknown(
                format!("{what}: {failure}"),
                format!(
                    "thecal connect --key {0} tells whether it is; if it is not, delete {0} and enrol again",
                    path.display()
                ),
            ))
        }
    }
}

fn free(path: &Path) -> Result<(), Stopped> {
    if path.exists() {
        return Err(Stopped::not_done(format!(
            "{} exists already; if that key is of no use any more, move it away, or name another file",
            path.display()
        )));
    }
    Ok(())
}

fn new_key(pump: PublicKey, private: Secret, slot: u8) -> Result<KeyText, Stopped> {
    Ok(KeyText {
        pump,
        private,
        preshared: random()?,
        slot,
    })
}

fn grant(key: &KeyText, role: Role) -> KeyGrant {
    KeyGrant {
        slot: key.slot,
        role,
        public_key: key.private.public_key(),
        preshared: key.preshared.clone(),
    }
}

fn keys(session: &mut Session) -> Result<Vec<KeyEntry>, Stopped> {
    match session.ask(&Command::ReadKeys)? {
        Outcome::Keys(keys) => Ok(keys.iter().copied().collect()),
        other => Err(unlike(other)),
    }
}

fn free_slot(keys: &[KeyEntry], wanted: Option<u8>) -> Result<u8, Stopped> {
    wanted
        .or_else(|| (0..SLOTS).find(|slot| keys.iter().all(|key| key.slot != *slot)))
        .ok_or_else(|| {
            Stopped::not_done("all places for keys are taken").with_next(format!(
                "say with --slot which key to replace:\n{}",
                list(keys)
            ))
        })
}

fn line(key: &KeyEntry) -> String {
    format!(
        "slot {}  {:<9}  {}  last command No. {}",
        key.slot, key.role, key.fingerprint, key.last_number
    )
}

fn list(keys: &[KeyEntry]) -> String {
    keys.iter().map(|key| format!("{}\n", line(key))).collect()
}

fn entry(key: &KeyEntry) -> Value {
    json!({
        "slot": key.slot,
        "role": key.role.name(),
        "fingerprint": key.fingerprint.to_string(),
        "last_number": key.last_number,
    })
}

/// `thecal keys`.
pub(super) fn manage(desk: &mut dyn Desk, key: &KeyText, act: &KeyAct) -> Done {
    let credentials = key.credentials();
    let mut session = open(desk, &credentials)?;
    let json = who(key, session.role(), session.info());
    let known = keys(&mut session)?;
    match act {
        KeyAct::List => {
            let mut json = json;
            let entries: Vec<Value> = known.iter().map(entry).collect();
            merge(&mut json, json!({ "keys": entries }));
            Ok(Report::new(list(&known), json))
        }
        KeyAct::Grant {
            role,
            output,
            slot,
            yes,
        } => {
            free(output)?;
            let place = free_slot(&known, *slot)?;
            if let Some(there) = known.iter().find(|there| there.slot == place) {
                confirmed(desk, *yes, &format!("Replace the key in {}?", line(there)))?;
            }
            let granted = new_key(key.pump, random()?, place)?;
            key_file::save(output, &granted)?;
            let command = Command::GrantKey(grant(&granted, *role));
            let done = order(desk, &credentials, session, &command);
            give(done, json, *role, &granted, output)
        }
        KeyAct::Revoke { which, yes } => {
            let gone = *known
                .iter()
                .find(|key| key.slot.to_string() == *which || key.fingerprint.to_string() == *which)
                .ok_or_else(|| {
                    Stopped::not_done(format!(
                        "the pump lets in no key {which}, but:\n{}",
                        list(&known)
                    ))
                })?;
            confirmed(desk, *yes, &format!("Revoke the key in {}?", line(&gone)))?;
            let command = Command::RevokeKey { slot: gone.slot };
            order(desk, &credentials, session, &command)?;
            let mut json = json;
            merge(&mut json, json!({ "revoked": entry(&gone) }));
            Ok(Report::new(
                format!(
                    "Let in no more: {}
",
                    line(&gone)
                ),
                json,
            ))
        }
    }
}

/// What came of a grant. The file of a key that is certainly not let in is taken away again.
fn give(
    done: Result<(), Stopped>,
    mut json: Value,
    role: Role,
    granted: &KeyText,
    output: &Path,
) -> Done {
    let stopped = match done {
        Ok(()) => {
            let fingerprint = granted.private.public_key().fingerprint();
            merge(
                &mut json,
                json!({ "granted": {
                    "slot": granted.slot,
                    "role": role.name(),
                    "fingerprint": fingerprint.to_string(),
                }, "key": output }),
            );
            let wallet = if role == Role::Emergency {
                "Its line is the text of the wallet card; it opens the pump only with presence.\n"
            } else {
                ""
            };
            return Ok(Report::new(
                format!(
                    "Let in from now on: slot {}, {role}, {fingerprint}.\nKey: {}\n{wallet}",
                    granted.slot,
                    output.display()
                ),
                json,
            ));
        }
        Err(stopped) => stopped,
    };
    if stopped.status == super::ended::Status::NotDone {
        let _ = std::fs::remove_file(output);
    }
    Err(stopped)
}
