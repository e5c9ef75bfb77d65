//! The flash image of `--flash`: opened only if it can be a pump's, and left as it is if not.

use anyhow::{Context, Result, bail};
use journal::{Journal, RingCondition, StateCondition, VirtualFlash};
use std::path::Path;

/// Opens an image, or makes a blank one.
///
/// A file of the right length is first looked at in memory, because the journal repairs what it opens. Damage that a pump would
/// meet and mend is let through; a file of which nothing can be read is something else than a pump's flash.
pub(super) fn open(path: &Path) -> Result<VirtualFlash> {
    let flash = VirtualFlash::open_or_create_image(path).context("--flash")?;
    let (_, found) = Journal::open(flash.clone()).context("--flash")?;
    let parts = [
        ("state", found.state == StateCondition::Unreadable),
        ("event log", found.events == RingCondition::Unreadable),
        ("critical log", found.critical == RingCondition::Unreadable),
        (
            "checkpoints",
            found.checkpoints == RingCondition::Unreadable,
        ),
    ];
    let unreadable: Vec<&str> = parts
        .iter()
        .filter(|(_, bad)| *bad)
        .map(|(name, _)| *name)
        .collect();
    if !unreadable.is_empty() {
        bail!(
            "--flash: {} is no flash image of a pump, or is damaged beyond reading ({}); nothing was changed. \
             Name another file, or move this one away to start with a new pump",
            path.display(),
            unreadable.join(", ")
        );
    }
    Ok(flash)
}
