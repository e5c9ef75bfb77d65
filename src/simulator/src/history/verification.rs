//! `verification.json`: what verifying found, for programs.

use super::check::{Checked, HeadState};
use super::reading::{HeadText, Signature, hex};
use journal::Log;
use serde_json::{Value, json};

/// The findings and everything needed to judge and to go on.
pub(super) fn json(log: Log, checked: &Checked) -> Value {
    let head = checked.head.as_ref().map(|(head, signature, state)| {
        let text = HeadText::of(head);
        json!({
            "record": text.sequence,
            "state": text.state,
            "boot": text.boot,
            "signature": text.signature,
            "signature_checked": match signature {
                Signature::NotChecked => "not checked: no key",
                Signature::Good => "good",
                Signature::Wrong => "wrong",
            },
            "is_end_of_these_records": match state {
                HeadState::Same => Some(true),
                HeadState::Other | HeadState::Elsewhere => Some(false),
                HeadState::Unknown => None,
            },
        })
    });
    let position = checked.position.map(|position| {
        json!({
            "record": position.sequence,
            "link": hex(&position.link),
            "state": position.state.map(|state| hex(&state)),
        })
    });
    json!({
        "log": log.name(),
        "whole": checked.findings.is_empty(),
        "findings": checked.findings.iter().map(super::Finding::json).collect::<Vec<_>>(),
        "notes": checked.notes(),
        "records": {
            "count": checked.entries.len(),
            "first": checked.range().map(|(first, _)| first),
            "last": checked.range().map(|(_, last)| last),
        },
        "vouched_for_from": checked.vouched_from,
        "head": head,
        "position": position,
        "readings": checked.readings,
    })
}
