//! The folder of a report: whole or not there, and never over something else.

use anyhow::{Context, Result, bail};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where to write, and what may be in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A folder that was asked for: it must not exist, or be empty, or (`replace`) hold an earlier report.
    Folder {
        /// The folder.
        path: PathBuf,
        /// An earlier report may be replaced.
        replace: bool,
    },
    /// The first free one of `path`, `path-2`, `path-3` and so on.
    NextFree {
        /// The folder without its number.
        path: PathBuf,
    },
}

/// The files of a report.
pub const FILES: [&str; 4] = [
    "summary.json",
    "events.jsonl",
    "delivery.csv",
    "report.html",
];

impl Destination {
    /// Finds the folder, before any work is done. Nothing is made yet.
    ///
    /// # Errors
    /// When something is in the way, or cannot be looked at.
    pub fn find(&self) -> Result<PathBuf> {
        match self {
            Self::Folder { path, replace } => {
                match state(path)? {
                    State::Free => {}
                    State::Report if *replace => {}
                    State::Report => bail!(
                        "{} already holds a report; --force replaces it, or choose another folder with --report",
                        path.display()
                    ),
                    State::Other(why) => bail!(
                        "{} {why}; nothing was written. Choose another folder with --report",
                        path.display()
                    ),
                }
                Ok(path.clone())
            }
            Self::NextFree { path } => {
                let name = path
                    .file_name()
                    .context("the report's folder has no name")?
                    .to_owned();
                for number in 1..10_000 {
                    let mut name = name.clone();
                    if number > 1 {
                        name.push(format!("-{number}"));
                    }
                    let candidate = path.with_file_name(name);
                    if matches!(state(&candidate)?, State::Free) {
                        return Ok(candidate);
                    }
                }
                bail!(
                    "{} and 9998 numbered folders beside it exist already",
                    path.display()
                );
            }
        }
    }
}

enum State {
    /// Not there, or an empty folder.
    Free,
    /// A folder with the files of a report and nothing else.
    Report,
    /// Something else, and what.
    Other(&'static str),
}

fn state(path: &Path) -> Result<State> {
    let looking = || format!("{} cannot be looked at", path.display());
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(State::Free),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return Ok(State::Other("is not a folder"));
        }
        Err(error) => return Err(error).with_context(looking),
    };
    let mut empty = true;
    for entry in entries {
        let entry = entry.with_context(looking)?;
        empty = false;
        let known = entry
            .file_name()
            .to_str()
            .is_some_and(|name| FILES.contains(&name));
        if !known || !entry.file_type().with_context(looking)?.is_file() {
            return Ok(State::Other("holds something else than a report"));
        }
    }
    Ok(if empty { State::Free } else { State::Report })
}

/// Writes all files into a folder beside `folder` and renames it into place.
///
/// # Errors
/// When the disk does not take them; then `folder` is as it was.
pub fn write(folder: &Path, files: &[(&str, &str)]) -> Result<()> {
    let name = folder
        .file_name()
        .context("the report's folder has no name")?;
    let parent = match folder.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    };
    fs::create_dir_all(parent).with_context(|| format!("{} cannot be made", parent.display()))?;
    let beside = |suffix: &str| {
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{suffix}-{}", std::process::id()));
        parent.join(hidden)
    };
    let fresh = beside("new");
    let written =
        write_files(&fresh, files).and_then(|()| put_in_place(&fresh, folder, &beside("old")));
    if written.is_err() {
        // Ours alone, by its name; what is wrong has been said already.
        let _ = fs::remove_dir_all(&fresh);
    }
    written
}

fn write_files(folder: &Path, files: &[(&str, &str)]) -> Result<()> {
    fs::create_dir(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

fn put_in_place(fresh: &Path, folder: &Path, old: &Path) -> Result<()> {
    let failed = || format!("{} cannot be put in place", folder.display());
    match state(folder)? {
        State::Free => fs::rename(fresh, folder).with_context(failed),
        State::Report => {
            fs::rename(folder, old).with_context(failed)?;
            if let Err(error) = fs::rename(fresh, folder) {
                fs::rename(old, folder).with_context(failed)?;
                return Err(error).with_context(failed);
            }
            fs::remove_dir_all(old).with_context(|| format!("{} cannot be removed", old.display()))
        }
        State::Other(why) => bail!("{} {why}; nothing was written", folder.display()),
    }
}
