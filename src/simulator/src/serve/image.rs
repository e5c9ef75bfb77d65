//! What `--flash` keeps: the flash image, opened only if it can be a pump's and left as it is if not, and what belongs to it.
//!
//! | file | holds |
//! |---|---|
//! | `FILE` | the flash, without the partition `pack` |
//! | `FILE.page` | the partition `pack`, from the production line until the pump has taken it |
//! | `FILE.pack` | the text of the sterile pack, and of the implant card once somebody has enrolled with it |

use super::paper::Paper;
use crate::world::{Build, PackPage};
use anyhow::{Context, Result, bail};
use journal::{Journal, RingCondition, StateCondition, VirtualFlash};
use std::path::{Path, PathBuf};

/// A pump as it is kept.
pub(super) struct Kept {
    pub(super) flash: VirtualFlash,
    pub(super) pack_page: PackPage,
    pub(super) paper: Paper,
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Opens a pump that is kept, or makes a new one as the production line does: with a page, a sterile pack, and a blank flash, which comes
/// last, so that none is ever there without the others.
pub(super) fn open_or_make(path: &Path, build: &Build) -> Result<Kept> {
    let (page_path, paper_path) = (beside(path, ".page"), beside(path, ".pack"));
    let opened = || PackPage::open(&page_path).context("--flash");
    if path.exists() {
        return Ok(Kept {
            flash: open(path)?,
            pack_page: opened()?,
            paper: Paper::open(&paper_path).context("--flash")?,
        });
    }
    // The page of a pump that was never finished is as good as another.
    let mut pack_page = opened()?;
    if pack_page.pack().is_none() {
        pack_page = PackPage::create(&page_path, build.pack()).context("--flash")?;
    }
    let pack = pack_page.pack().context("--flash")?.text();
    let paper = Paper::keep(&paper_path, pack).context("--flash")?;
    let flash = open(path)?;
    // It is still blank: the pump's keys come later.
    for_owner_only(path).context("--flash")?;
    Ok(Kept {
        flash,
        pack_page,
        paper,
    })
}

#[cfg(unix)]
fn for_owner_only(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .with_context(|| path.display().to_string())
}

#[cfg(not(unix))]
fn for_owner_only(_: &Path) -> Result<()> {
    Ok(())
}

/// Opens an image, or makes a blank one.
///
/// A file of the right length is first looked at in memory, because the journal repairs what it opens. Damage that a pump would
/// meet and mend is let through; a file of which nothing can be read is something else than a pump's flash.
fn open(path: &Path) -> Result<VirtualFlash> {
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
