//! The folder of an export: one writer at a time, `records.bin` before what is made of it, and never over something else.

use super::archive::Archive;
use super::check::Checked;
use super::{lines, page, table, verification};
use anyhow::{Context, Result, anyhow, bail};
use journal::Log;
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The file that counts.
const RECORDS: &str = "records.bin";

/// The files of an export, in the order in which they are put in place.
pub(super) const FILES: [&str; 5] = [
    RECORDS,
    "events.jsonl",
    "events.csv",
    "report.html",
    "verification.json",
];

/// What a file is called until it is whole.
const UNFINISHED: &str = ".unfinished";

/// What an export's files hold, in the order of [`FILES`].
pub(super) struct Files([Vec<u8>; 5]);

impl Files {
    /// Everything is made of the archive alone, so that anybody can make it again.
    pub(super) fn of(archive: &Archive, checked: &Checked) -> Result<Self> {
        let verification = verification::json(archive.log, checked);
        let mut verification =
            serde_json::to_vec_pretty(&verification).context("verification.json")?;
        verification.push(b'\n');
        Ok(Self([
            archive.encode()?,
            lines::jsonl(&checked.entries)?.into_bytes(),
            table::csv(&checked.entries)?.into_bytes(),
            page::html(archive.log, checked)?.into_bytes(),
            verification,
        ]))
    }

    fn each(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        FILES.into_iter().zip(self.0.iter().map(Vec::as_slice))
    }
}

/// A folder that this process alone writes to.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Ends with its closing; none while there is no folder.
    _lock: Option<File>,
}

impl Folder {
    /// Looks at a folder before anything is read. Nothing is made yet.
    ///
    /// # Errors
    /// When something else is there, or another process writes to it.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let looking = || format!("{} cannot be looked at", path.display());
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Self {
                    path: path.to_path_buf(),
                    _lock: None,
                });
            }
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                bail!(
                    "{} is not a folder; choose another with --output",
                    path.display()
                )
            }
            Err(error) => return Err(error).with_context(looking),
        };
        for entry in entries {
            let entry = entry.with_context(looking)?;
            let name = entry.file_name();
            if !is_ours(&name) || !entry.file_type().with_context(looking)?.is_file() {
                bail!(
                    "{} holds something else than an export ({}); nothing was written. Choose another folder with --output",
                    path.display(),
                    name.display()
                );
            }
        }
        Ok(Self {
            path: path.to_path_buf(),
            _lock: Some(lock(path)?),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The export of this log that is there; none yet in a folder that is fresh or empty.
    pub(super) fn archive(&self, log: Log) -> Result<Option<Archive>> {
        if !self.path.join(RECORDS).exists() {
            return Ok(None);
        }
        let archive = load(&self.path)?;
        if archive.log != log {
            bail!(
                "{} holds an export of the log \"{}\", not of \"{log}\"; choose another folder with --output",
                self.path.display(),
                archive.log
            );
        }
        Ok(Some(archive))
    }

    /// Writes what differs: everything beside its place first, then `records.bin` into it, then the rest. Whether anything differed.
    ///
    /// # Errors
    /// When the disk does not take it. Unless `records.bin` is in place already the export is as it was; if it is, the next reading puts
    /// the rest there.
    pub(super) fn write(&self, files: &Files) -> Result<bool> {
        fs::create_dir_all(&self.path)
            .with_context(|| format!("{} cannot be made", self.path.display()))?;
        let _lock = match self._lock {
            Some(_) => None,
            None => Some(lock(&self.path)?),
        };
        let mut different: Vec<(&str, &[u8])> = Vec::new();
        for (name, content) in files.each() {
            if !holds(&self.path.join(name), content)? {
                different.push((name, content));
            }
        }
        let written = different.iter().try_for_each(|(name, content)| {
            let path = self.unfinished(name);
            write_through(&path, content)
                .with_context(|| format!("{} cannot be written", path.display()))
        });
        let placed = written.and_then(|()| {
            different.iter().try_for_each(|(name, _)| {
                let path = self.path.join(name);
                fs::rename(self.unfinished(name), &path)
                    .with_context(|| format!("{} cannot be put in place", path.display()))
            })
        });
        for name in FILES {
            // What is wrong has been said already; of an earlier crash, it is ours.
            let _ = fs::remove_file(self.unfinished(name));
        }
        placed.map(|()| !different.is_empty())
    }

    fn unfinished(&self, name: &str) -> PathBuf {
        self.path.join(format!(".{name}{UNFINISHED}"))
    }
}

fn is_ours(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        let finished = name
            .strip_prefix('.')
            .and_then(|name| name.strip_suffix(UNFINISHED))
            .unwrap_or(name);
        FILES.contains(&finished)
    })
}

/// So that two readings do not take turns in one folder. Where a folder cannot be locked, nothing is.
fn lock(path: &Path) -> Result<File> {
    let folder = File::open(path).with_context(|| path.display().to_string())?;
    match folder.try_lock() {
        Err(TryLockError::WouldBlock) => bail!(
            "another thecal is writing to {}; wait for it, or choose another folder with --output",
            path.display()
        ),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(folder),
    }
}

/// Whether a file holds exactly this.
fn holds(path: &Path, content: &[u8]) -> Result<bool> {
    match fs::read(path) {
        Ok(there) => Ok(there == content),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

fn write_through(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Reads the export in a folder.
pub(super) fn load(path: &Path) -> Result<Archive> {
    let records = path.join(RECORDS);
    let bytes = fs::read(&records).map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow!(
            "{} is no export of a log: it holds no {RECORDS}",
            path.display()
        ),
        _ => anyhow!(error).context(records.display().to_string()),
    })?;
    Archive::decode(&bytes).with_context(|| path.display().to_string())
}

/// Files in a folder that are not what they should be; one that is not there at all is not amiss.
pub(super) fn differing(path: &Path, files: &Files) -> Result<Vec<&'static str>> {
    let mut differing = Vec::new();
    for (name, content) in files.each().filter(|(name, _)| *name != RECORDS) {
        let file = path.join(name);
        if file.exists() && !holds(&file, content)? {
            differing.push(name);
        }
    }
    Ok(differing)
}
