//! Where a log is read from, and what a reading brings.

use super::archive::Archive;
use super::flash_file;
use super::folder;
use super::link;
use super::reading::{HeadText, Reading, Signature, Trouble};
use crate::carrier::{Carrier, Loopback};
use anyhow::{Context, Result};
use journal::{Head, KEY_BYTES, Log, Record};
use protocol::Credentials;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use units::WallTime;

/// Where a log is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file with a pump's flash.
    FlashFile(PathBuf),
    /// The folder of an earlier export.
    Export(PathBuf),
    /// A virtual pump's loopback link, `HOST:PORT`.
    Loopback(String),
    /// A pump over Bluetooth, its name or address.
    #[cfg(feature = "bluetooth")]
    Bluetooth(String),
}

/// What a reading brings.
pub(super) struct Batch {
    pub(super) archive: Archive,
    /// The log key, if the source holds one.
    pub(super) key: Option<[u8; KEY_BYTES]>,
}

/// One reading before it is written down.
pub(super) struct Facts {
    pub(super) log: Log,
    pub(super) source: String,
    pub(super) records: Vec<Vec<u8>>,
    pub(super) round_trips: Option<u32>,
    pub(super) head: Option<Head>,
    pub(super) trouble: Vec<Trouble>,
    pub(super) notes: Vec<String>,
}

impl Facts {
    /// As an archive. With a key the signature is judged.
    pub(super) fn archive(self, key: Option<&[u8; KEY_BYTES]>) -> Archive {
        let last = self
            .records
            .iter()
            .rev()
            .find_map(|bytes| Record::decode(bytes));
        let mut reading = Reading {
            at: now(),
            thecal: env!("CARGO_PKG_VERSION").to_owned(),
            source: self.source,
            to: last.map(|record| record.sequence),
            round_trips: self.round_trips,
            head: self.head.as_ref().map(HeadText::of),
            signature: Signature::NotChecked,
            trouble: self.trouble,
            notes: self.notes,
        };
        if let Some(key) = key {
            reading.judge(self.log, key);
        }
        Archive::new(self.log, self.records, reading)
    }
}

impl Source {
    /// A file or a folder, whichever is there.
    #[must_use]
    pub fn of_path(path: &Path) -> Self {
        if path.is_dir() {
            Self::Export(path.to_path_buf())
        } else {
            Self::FlashFile(path.to_path_buf())
        }
    }

    /// What an export is called after it; none for what is one already.
    pub(super) fn name(&self) -> Option<String> {
        match self {
            Self::FlashFile(path) => Some(
                path.file_stem()
                    .map_or_else(|| "flash".to_owned(), |name| plain(&name.to_string_lossy())),
            ),
            Self::Export(_) => None,
            Self::Loopback(address) => Some(plain(address)),
            #[cfg(feature = "bluetooth")]
            Self::Bluetooth(name) => Some(plain(name)),
        }
    }

    /// Reads what is behind `known`; from a file, all there is.
    ///
    /// # Errors
    /// When it cannot be read; a link wants `credentials`.
    pub(super) fn read(
        &self,
        credentials: Option<&Credentials>,
        log: Log,
        known: Option<&Archive>,
        key: Option<&[u8; KEY_BYTES]>,
        progress: &mut dyn FnMut(u32, u32),
    ) -> Result<Batch> {
        let over = |mut carrier: Box<dyn Carrier>, name: String, progress| {
            let credentials = credentials.context("a pump's log is read with a key")?;
            let facts = link::read(carrier.as_mut(), credentials, name, log, known, progress)?;
            Ok(Batch {
                archive: facts.archive(key),
                key: None,
            })
        };
        match self {
            Self::FlashFile(path) => {
                let (facts, own_key) = flash_file::read(path, log)?;
                Ok(Batch {
                    archive: facts.archive(key),
                    key: own_key,
                })
            }
            Self::Export(path) => Ok(Batch {
                archive: folder::load(path)?,
                key: None,
            }),
            Self::Loopback(address) => {
                let carrier = Loopback::connect(address).context("--connect")?;
                over(
                    Box::new(carrier),
                    format!("virtual pump at {address}"),
                    progress,
                )
            }
            #[cfg(feature = "bluetooth")]
            Self::Bluetooth(name) => {
                let carrier = crate::carrier::Bluetooth::connect(name).context("--bluetooth")?;
                over(
                    Box::new(carrier),
                    format!("pump {name} over Bluetooth"),
                    progress,
                )
            }
        }
    }
}

/// Text as it may stand in the name of a folder anywhere.
fn plain(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|letter| match letter {
            letter if letter.is_alphanumeric() => letter,
            letter @ ('.' | '_' | '-') => letter,
            _ => '-',
        })
        .collect();
    let plain = plain.trim_matches(['.', '-']);
    if plain.is_empty() {
        "pump".to_owned()
    } else {
        plain.to_owned()
    }
}

fn now() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    WallTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_named_after_its_source() {
        let name = |source: Source| source.name();
        let file = |path: &str| name(Source::FlashFile(PathBuf::from(path)));
        assert_eq!(file("/a/my pump.bin").as_deref(), Some("my-pump"));
        assert_eq!(file("..bin").as_deref(), Some("pump"));
        assert_eq!(
            name(Source::Loopback("127.0.0.1:8480".to_owned())).as_deref(),
            Some("127.0.0.1-8480")
        );
        assert_eq!(
            name(Source::Loopback("[::1]:8480".to_owned())).as_deref(),
            Some("1--8480")
        );
        assert_eq!(name(Source::Export(PathBuf::from("logs/x"))), None);
    }
}
