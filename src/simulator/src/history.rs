//! `thecal log`: a pump's log read, verified and exported (`docs/log.md`).
//!
//! ```text
//! flash_file ─┐                      ┌─ lines, table, page, verification
//! link ───────┼─> Batch ─> archive ─> check ─> folder
//! archive ────┘   records, reading   entries, findings
//! ```
//!
//! `records.bin` (`archive`) is the export: raw records and what was said of each reading. Everything else in the folder is made of it
//! and can be made again, so that an export is verified without the pump, and what was edited in it shows.

mod archive;
mod check;
mod entry;
mod finding;
mod flash_file;
mod folder;
mod join;
mod key;
mod lines;
mod link;
mod page;
mod reading;
mod source;
mod table;
mod verification;

pub use finding::Finding;
pub use reading::{Reading, Signature};
pub use source::Source;

use crate::words::capitalised;
use anyhow::{Context, Result, bail};
use archive::Archive;
use check::Checked;
use folder::Folder;
use journal::{KEY_BYTES, Log};
use protocol::Credentials;
use serde_json::{Value, json};
use source::Batch;
use std::path::{Path, PathBuf};

/// What `thecal log` was asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to read.
    pub source: Source,
    /// Which log; none takes the events, or what an export holds.
    pub log: Option<Log>,
    /// Where the export goes.
    pub output: Output,
    /// The programmer's key, which a link wants.
    pub credentials: Option<Credentials>,
    /// The log key to check signed ends with.
    pub key: Option<PathBuf>,
    /// Where the key of a flash file goes.
    pub save_key: Option<PathBuf>,
}

/// Where an export goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Nowhere: the log is only verified.
    Nowhere,
    /// Into this folder.
    Folder(PathBuf),
    /// Into a folder below `logs` with the name of the source; what is an export already is only verified.
    ByName,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    log: Log,
    checked: Checked,
    /// Records that were not known before.
    fresh: usize,
    /// The folder, and whether anything in it had to be written.
    folder: Option<(PathBuf, bool)>,
    saved_key: Option<PathBuf>,
}

/// Reads, verifies and exports. `progress` is told how many records of how many have come over a link.
///
/// # Errors
/// When the log cannot be read at all, or the folder cannot take it; then the folder is as it was.
pub fn run(options: &Options, progress: &mut dyn FnMut(u32, u32)) -> Result<Report> {
    let key = options.key.as_deref().map(key::load).transpose()?;
    if let (Some(_), Source::Export(path)) = (&options.save_key, &options.source) {
        bail!(
            "--save-log-key: {} is an export, which holds no key; a flash file does",
            path.display()
        );
    }
    let log = match (&options.source, options.log) {
        (Source::Export(path), wanted) => {
            let holds = folder::load(path)?.log;
            if let Some(wanted) = wanted.filter(|wanted| *wanted != holds) {
                bail!(
                    "--log: {} holds an export of the log \"{holds}\", not of \"{wanted}\"",
                    path.display()
                );
            }
            holds
        }
        (_, wanted) => wanted.unwrap_or(Log::Events),
    };
    let folder = match &options.output {
        Output::Nowhere => None,
        Output::Folder(path) => Some(path.clone()),
        Output::ByName => options
            .source
            .name()
            .map(|name| Path::new("logs").join(format!("{name}-{log}"))),
    };
    let folder = folder.map(|path| Folder::open(&path)).transpose()?;
    let known = match &folder {
        Some(folder) => folder.archive(log)?,
        None => None,
    };
    let batch = options.source.read(
        options.credentials.as_ref(),
        log,
        known.as_ref(),
        key.as_ref(),
        progress,
    )?;
    let saved_key = options
        .save_key
        .as_deref()
        .map(|path| save_key(path, &batch))
        .transpose()?;
    let mut report = match folder {
        Some(folder) => export(&folder, known, batch, key.as_ref())?,
        None => verify(&options.source, batch, key.as_ref())?,
    };
    report.saved_key = saved_key;
    Ok(report)
}

fn save_key(path: &Path, batch: &Batch) -> Result<PathBuf> {
    let key = batch.key.context(
        "--save-log-key: the flash file holds no log key: the pump that it belongs to has not made one yet, or has lost it",
    )?;
    key::save(path, &key)?;
    Ok(path.to_path_buf())
}

/// Adds what is new to the folder's export, or begins one.
fn export(
    folder: &Folder,
    known: Option<Archive>,
    batch: Batch,
    key: Option<&[u8; KEY_BYTES]>,
) -> Result<Report> {
    let before = known.as_ref().map_or(0, |known| known.records().count());
    let mut archive = match known {
        None => batch.archive,
        Some(known) => join::join(known, batch.archive, folder.path())?,
    };
    if let Some(key) = key {
        archive.judge(key);
    }
    let checked = check::check(&archive, key);
    let files = folder::Files::of(&archive, &check::check(&archive, None))?;
    let written = folder.write(&files)?;
    Ok(Report {
        log: archive.log,
        fresh: archive.records().count().saturating_sub(before),
        checked,
        folder: Some((folder.path().to_path_buf(), written)),
        saved_key: None,
    })
}

/// Verifies without writing; of an export, the files that were made of its records too.
fn verify(source: &Source, batch: Batch, key: Option<&[u8; KEY_BYTES]>) -> Result<Report> {
    let mut checked = check::check(&batch.archive, key);
    let mut fresh = batch.archive.records().count();
    if let Source::Export(path) = source {
        fresh = 0;
        let files = folder::Files::of(&batch.archive, &check::check(&batch.archive, None))?;
        for name in folder::differing(path, &files)? {
            checked.findings.push(Finding::Derived { name });
        }
    }
    Ok(Report {
        log: batch.archive.log,
        fresh,
        checked,
        folder: None,
        saved_key: None,
    })
}

impl Report {
    /// Whether nothing is wrong with the log.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.checked.findings.is_empty()
    }

    /// For a program.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut value = verification::json(self.log, &self.checked);
        if let Value::Object(fields) = &mut value {
            fields.insert("new_records".into(), json!(self.fresh));
            fields.insert("round_trips".into(), json!(self.checked.round_trips()));
            fields.insert(
                "folder".into(),
                json!(self.folder.as_ref().map(|(path, _)| path)),
            );
            fields.insert("saved_key".into(), json!(self.saved_key));
        }
        value
    }

    /// For a reader, in lines.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut text = String::new();
        let mut line = |words: String| {
            text.push_str(&words);
            text.push('\n');
        };
        line(format!(
            "Log of {}: {}; {} new.",
            match self.log {
                Log::Events => "all events",
                Log::Critical => "critical events",
            },
            self.checked.range_in_words(),
            self.fresh
        ));
        line(self.checked.verdict_in_words());
        for finding in &self.checked.findings {
            line(format!("  - {}", capitalised(&finding.to_string())));
        }
        line(self.checked.head_in_words());
        for note in self.checked.notes() {
            line(format!("Note: {note}."));
        }
        if let Some(round_trips) = self.checked.round_trips().filter(|_| self.fresh > 0) {
            line(format!("Read in {round_trips} round trips."));
        }
        if let Some(path) = &self.saved_key {
            line(format!("Log key saved to {}.", path.display()));
        }
        if let Some((path, written)) = &self.folder {
            line(format!(
                "{} {}:",
                if *written {
                    "Written to"
                } else {
                    "Nothing to change in"
                },
                path.display()
            ));
            for name in folder::FILES {
                line(format!("  {}", path.join(name).display()));
            }
        }
        text
    }
}
