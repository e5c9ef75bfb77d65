//! A pump's flash in a file: only ever read, and opened as a copy in memory.

use super::reading::Trouble;
use super::source::Facts;
use anyhow::{Context, Result, bail, ensure};
use journal::{
    Journal, JournalError, KEY_BYTES, Log, Opening, Partition, RingCondition, StateCondition,
    VirtualFlash,
};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// Where the four partitions lie in a file.
struct Layout {
    what: &'static str,
    size: u64,
    /// What is longer is the same chip with something behind it.
    or_longer: bool,
    /// Start and length of each, in the order of [`Partition::ALL`] (docs/architecture.md, boards/partitions_*.dtsi).
    places: [(u32, u32); 4],
}

const LAYOUTS: [Layout; 3] = [
    Layout {
        what: "the image of a virtual pump",
        size: 0x6_E000,
        or_longer: false,
        places: [
            (0, 0x6_0000),
            (0x6_0000, 0x8000),
            (0x6_8000, 0x3000),
            (0x6_B000, 0x3000),
        ],
    },
    Layout {
        what: "the flash of a chip with 512 KB",
        size: 0x8_0000,
        or_longer: false,
        places: [
            (0x5_8000, 0x1_8000),
            (0x7_0000, 0x8000),
            (0x7_8000, 0x2000),
            (0x7_A000, 0x2000),
        ],
    },
    Layout {
        what: "the flash of an nRF52840 or of native_sim",
        size: 0x10_0000,
        or_longer: true,
        places: [
            (0x8_C000, 0x6_0000),
            (0xE_C000, 0x8000),
            (0xF_4000, 0x3000),
            (0xF_7000, 0x3000),
        ],
    },
];

/// As much of a file as any layout needs.
const MOST: u64 = 0x10_0000;
/// How often a file is read that changes while it is read.
const ATTEMPTS: u8 = 5;

/// Reads a log and, if there is one, the key that signs it.
pub(super) fn read(path: &Path, log: Log) -> Result<(Facts, Option<[u8; KEY_BYTES]>)> {
    let (bytes, size, settled) = still(path)?;
    let layout = layout(path, size)?;
    let (mut journal, opening) = Journal::open(flash(layout, &bytes))
        .with_context(|| format!("{}: the journal", path.display()))?;
    check(path, layout, &opening)?;
    let mut records = Vec::new();
    journal
        .read(log, |record| records.push(record.bytes.to_vec()))
        .with_context(|| format!("{}: the log of {log}", path.display()))?;
    let mut trouble = Vec::new();
    let condition = match log {
        Log::Events => opening.events,
        Log::Critical => opening.critical,
    };
    if condition == RingCondition::Unreadable {
        trouble.push(Trouble::LogUnreadable);
    }
    let key = match journal.key() {
        Ok(key) => key,
        Err(JournalError::StateLost { .. }) => {
            trouble.push(Trouble::KeyLost);
            None
        }
        Err(error) => return Err(error).with_context(|| format!("{}: the key", path.display())),
    };
    let head = match key {
        Some(_) => journal
            .head(log)
            .with_context(|| format!("{}: the log's end", path.display()))?,
        None => None,
    };
    if key.is_some() && head.is_none() && !records.is_empty() {
        trouble.push(Trouble::NotSigned);
    }
    let mut notes = notes(&opening);
    if head.is_some() {
        notes.push("the head was signed here, with the key in the flash file: it protects this export, and says nothing of what was done to the flash before".to_owned());
    } else if key.is_none() && trouble.is_empty() {
        notes.push(
            "the flash file holds no log key, so the end of the log is not signed".to_owned(),
        );
    }
    if !settled {
        notes.push("a pump was writing to the file while it was read; what it was writing may be missing or seem damaged".to_owned());
    }
    let name = path.file_name().unwrap_or(path.as_os_str());
    Ok((
        Facts {
            log,
            source: format!("flash file {}, {}", name.to_string_lossy(), layout.what),
            records,
            round_trips: None,
            head,
            trouble,
            notes,
        },
        key,
    ))
}

/// The file's content, its length, and whether it was the same twice: a pump may be writing to it.
fn still(path: &Path) -> Result<(Vec<u8>, u64, bool)> {
    let (mut bytes, mut size) = whole(path)?;
    for _ in 1..ATTEMPTS {
        let again = whole(path)?;
        if again == (bytes.clone(), size) {
            return Ok((bytes, size, true));
        }
        (bytes, size) = again;
    }
    Ok((bytes, size, false))
}

fn whole(path: &Path) -> Result<(Vec<u8>, u64)> {
    let reading = || path.display().to_string();
    // Before it is opened: a pipe would wait for a writer.
    let metadata = fs::metadata(path).with_context(reading)?;
    ensure!(metadata.is_file(), "{} is no ordinary file", path.display());
    let file = File::open(path).with_context(reading)?;
    let mut bytes = Vec::new();
    file.take(MOST)
        .read_to_end(&mut bytes)
        .with_context(reading)?;
    Ok((bytes, metadata.len()))
}

fn layout(path: &Path, size: u64) -> Result<&'static Layout> {
    let fits = |layout: &&Layout| size == layout.size || (layout.or_longer && size > layout.size);
    if let Some(layout) = LAYOUTS.iter().find(fits) {
        return Ok(layout);
    }
    let allowed: Vec<String> = LAYOUTS
        .iter()
        .map(|layout| {
            let more = if layout.or_longer { " or more" } else { "" };
            format!("{}{more} ({})", layout.size, layout.what)
        })
        .collect();
    bail!(
        "{}: {size} bytes long, which no pump's flash is; allowed are {}",
        path.display(),
        allowed.join(", ")
    )
}

/// A flash in memory with what the file holds.
fn flash(layout: &Layout, bytes: &[u8]) -> VirtualFlash {
    let mut flash = VirtualFlash::with_sizes(layout.places.map(|(_, size)| size));
    for (partition, (start, size)) in Partition::ALL.into_iter().zip(layout.places) {
        let range = usize::try_from(start)
            .ok()
            .zip(usize::try_from(start.saturating_add(size)).ok());
        if let Some(content) = range.and_then(|(start, end)| bytes.get(start..end)) {
            flash.damage(partition, 0, content);
        }
    }
    flash
}

/// Refuses what is no pump's flash: nothing in it can be read.
fn check(path: &Path, layout: &Layout, opening: &Opening) -> Result<()> {
    let unreadable = |ring| matches!(ring, RingCondition::Unreadable | RingCondition::Failing);
    let nothing = [opening.events, opening.critical, opening.checkpoints]
        .into_iter()
        .all(|ring| unreadable(ring) || ring == RingCondition::Blank);
    let something_there = [opening.events, opening.critical, opening.checkpoints]
        .into_iter()
        .any(unreadable);
    ensure!(
        !(nothing && something_there && opening.state == StateCondition::Unreadable),
        "{}: has the length of {}, and nothing in it can be read: it is no pump's flash, or is damaged all over",
        path.display(),
        layout.what
    );
    Ok(())
}

/// What opening has put right in the copy, as a pump would on its own flash.
fn notes(opening: &Opening) -> Vec<String> {
    let mut notes = Vec::new();
    let blank = |ring| ring == RingCondition::Blank;
    if opening.state == StateCondition::Blank
        && [opening.events, opening.critical, opening.checkpoints]
            .into_iter()
            .all(blank)
    {
        notes.push("the flash is blank: no pump has started from it yet".to_owned());
    }
    match opening.state {
        StateCondition::Blank | StateCondition::Good | StateCondition::Repaired => {}
        StateCondition::Doubtful => notes.push("both copies of the pump's state are damaged; whether a newer one was lost, nobody can say".to_owned()),
        StateCondition::Incomplete => notes.push(format!(
            "{} kinds of the pump's state are lost",
            opening.kinds_lost
        )),
        StateCondition::Unreadable => notes.push("the pump's state cannot be read".to_owned()),
    }
    let repairs = &opening.repairs;
    let done: Vec<String> = [
        (repairs.copies, "copies of state written anew"),
        (repairs.banks, "banks of state written anew"),
        (
            repairs.pages_sealed,
            "pages taken out of use until the log comes round",
        ),
        (repairs.pages_erased, "pages erased"),
        (repairs.pages_retired, "pages taken out of use for good"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    if !done.is_empty() {
        notes.push(format!(
            "a pump that starts from this flash would repair it ({}); the file was not changed",
            done.join(", ")
        ));
    }
    if opening.pages_retired > 0 {
        notes.push(format!(
            "{} pages of the logs no longer erase and are out of use",
            opening.pages_retired
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_lies_in_its_file_without_overlap() {
        for layout in &LAYOUTS {
            let mut end = layout.places[0].0;
            for (start, size) in layout.places {
                assert_eq!(start, end, "{}", layout.what);
                end = start + size;
            }
            assert!(u64::from(end) <= layout.size, "{}", layout.what);
            assert!(layout.size <= MOST, "{}", layout.what);
        }
    }

    #[test]
    fn other_lengths_are_refused_with_those_allowed() {
        for size in [0, 1, 450_559, 450_561, 524_287, 524_289, 1_048_575] {
            let error = layout(Path::new("x.bin"), size)
                .map(|layout| layout.what)
                .expect_err("refused")
                .to_string();
            for allowed in ["x.bin", "442368", "524288", "1048576 or more"] {
                assert!(error.contains(allowed), "{error}");
            }
        }
        for (size, what) in [
            (450_560, "virtual"),
            (524_288, "512"),
            (1_052_672, "native"),
        ] {
            let layout = layout(Path::new("x.bin"), size).expect("a layout");
            assert!(layout.what.contains(what));
        }
    }
}
