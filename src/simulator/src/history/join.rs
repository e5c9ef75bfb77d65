//! New records behind an export's old ones, if both are of the same log.

use super::archive::{Archive, Item};
use anyhow::{Result, bail};
use journal::Record;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The known archive with what is new in `fresh`.
///
/// # Errors
/// When nothing ties the two together; every record that both hold must be the same.
pub(super) fn join(known: Archive, fresh: Archive, folder: &Path) -> Result<Archive> {
    let folder = folder.display();
    if let Some(damage) = known.damage.first() {
        bail!(
            "{folder} was damaged or changed since it was written ({damage}); nothing was written. Keep it, and read into another folder with --output"
        );
    }
    let held: BTreeMap<u32, &[u8]> = known
        .records()
        .filter_map(Record::decode)
        .map(|record| (record.sequence, record.bytes))
        .collect();
    let last = known.last();
    let mut tied = last.is_none();
    for record in fresh.records().filter_map(Record::decode) {
        match held.get(&record.sequence) {
            Some(bytes) if *bytes == record.bytes => tied = true,
            Some(_) => bail!(
                "record {} is not the one that {folder} holds: another pump, or a log that was changed; nothing was written. Read into another folder with --output",
                record.sequence
            ),
            None => {}
        }
    }
    let newest = fresh.last();
    if let Some(last) = last
        && newest.is_none_or(|newest| newest < last)
    {
        let ends = newest.map_or_else(
            || "is empty".to_owned(),
            |newest| format!("ends with record {newest}"),
        );
        bail!(
            "the log {ends}, and {folder} holds records up to {last}: another pump, or a log that was cut off; nothing was written. Read into another folder with --output"
        );
    }
    if !tied {
        bail!(
            "the log holds none of the last records in {folder} any more, so nothing ties the two together; nothing was written. Read into another folder with --output"
        );
    }
    let first = fresh.records().find_map(Record::decode);
    let gone = first.map_or_else(Vec::new, |first| {
        let there: BTreeSet<u32> = fresh
            .records()
            .filter_map(Record::decode)
            .map(|record| record.sequence)
            .collect();
        held.range(first.sequence..)
            .map(|(sequence, _)| *sequence)
            .filter(|sequence| !there.contains(sequence))
            .collect()
    });
    let mut items = known.items;
    let mut behind = false;
    for item in fresh.items {
        match item {
            Item::Record(bytes) => {
                if let Some(record) = Record::decode(&bytes) {
                    behind = last.is_none_or(|last| record.sequence > last);
                }
                if behind {
                    items.push(Item::Record(bytes));
                }
            }
            Item::Other(..) => {}
            // What was said of fewer records than are known says nothing of these.
            Item::Reading(reading) if reading.to < last => {}
            Item::Reading(mut reading) => {
                reading.notes.extend(gone_in_words(&gone));
                let item = Item::Reading(reading);
                if !items.contains(&item) {
                    items.push(item);
                }
            }
        }
    }
    Ok(Archive {
        log: known.log,
        items,
        damage: Vec::new(),
    })
}

/// Records that an export holds and the pump no longer gives.
fn gone_in_words(gone: &[u32]) -> Option<String> {
    let named: Vec<String> = gone.iter().take(5).map(u32::to_string).collect();
    (!named.is_empty()).then(|| {
        let more = if gone.len() > named.len() {
            format!(" and {} more", gone.len() - named.len())
        } else {
            String::new()
        };
        format!(
            "the pump can no longer read what this export still holds: record {}{more}",
            named.join(", ")
        )
    })
}
