//! The paper that comes with a virtual pump: the text of its sterile pack, and when that has done what it is for, of its implant card.
//!
//! It is the user's own pump on the user's own machine: what lies in a box beside a real one is printed, and shown to the page.

use crate::key_file;
use anyhow::{Context, Result, anyhow};
use protocol::{ImplantCard, PackText};
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What is on it.
#[derive(Debug)]
enum Text {
    Pack(PackText),
    Card(ImplantCard),
}

/// The paper, in memory or in a file that only its owner can read.
#[derive(Debug)]
pub(super) struct Paper {
    text: Option<Text>,
    file: Option<PathBuf>,
}

impl fmt::Display for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pack(pack) => write!(out, "{pack}"),
            Self::Card(card) => write!(out, "{card}"),
        }
    }
}

impl Paper {
    /// One that is lost with the pump.
    pub(super) fn in_memory(pack: PackText) -> Self {
        Self {
            text: Some(Text::Pack(pack)),
            file: None,
        }
    }

    /// Writes it to a file, over the one of a pump that is not there any more.
    pub(super) fn keep(path: &Path, pack: PackText) -> Result<Self> {
        let paper = Self {
            text: Some(Text::Pack(pack)),
            file: Some(path.to_owned()),
        };
        paper.write()?;
        Ok(paper)
    }

    /// Reads it from a file. It may have been put away somewhere else.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let name = path.display();
        let text = match fs::read_to_string(path) {
            Ok(text) => {
                let text = Zeroizing::new(text);
                let read = PackText::parse(&text)
                    .map(Text::Pack)
                    .or_else(|_| ImplantCard::parse(&text).map(Text::Card));
                Some(read.map_err(|error| {
                    anyhow!(
                        "{name} is neither a sterile pack's text nor an implant card's: {error}"
                    )
                })?)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| name.to_string()),
        };
        Ok(Self {
            text,
            file: Some(path.to_owned()),
        })
    }

    /// Somebody has enrolled: the pack is thrown away, the card is kept. Whether something has changed.
    pub(super) fn throw_pack_away(&mut self) -> Result<bool> {
        let Some(Text::Pack(pack)) = &self.text else {
            return Ok(false);
        };
        self.text = Some(Text::Card(pack.implant_card()));
        self.write()?;
        Ok(true)
    }

    /// The file is whole whenever somebody looks.
    fn write(&self) -> Result<()> {
        let (Some(text), Some(path)) = (&self.text, &self.file) else {
            return Ok(());
        };
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let new = PathBuf::from(new);
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| new.display().to_string());
            }
            Ok(()) | Err(_) => {}
        }
        key_file::secret(&new, Zeroizing::new(format!("{text}\n")).as_bytes())?;
        fs::rename(&new, path).with_context(|| path.display().to_string())
    }

    /// The text, if there is one.
    pub(super) fn text(&self) -> Option<String> {
        self.text.as_ref().map(ToString::to_string)
    }

    /// A line for whoever has started the pump.
    pub(super) fn line(&self) -> Option<String> {
        let name = match self.text.as_ref()? {
            Text::Pack(_) => "Sterile pack",
            Text::Card(_) => "Implant card",
        };
        Some(format!("{name}: {}", self.text()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Build, Chance};
    use pump::CommissioningRecord;

    fn pack() -> PackText {
        let build = Build {
            commissioning: CommissioningRecord::NOMINAL,
            seed: 1,
            chance: Chance::Seeded,
        };
        build.pack().text()
    }

    #[test]
    fn a_pack_is_kept_until_it_is_thrown_away_and_the_card_for_good() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pump.bin.pack");
        let mut paper = Paper::keep(&path, pack()).expect("kept");
        let text = Some(pack().to_string());
        assert_eq!(paper.text(), text);
        assert_eq!(Paper::open(&path).expect("read").text(), text);
        assert!(paper.throw_pack_away().expect("kept"));
        assert!(!paper.throw_pack_away().expect("nothing to do"));
        let text = Some(pack().implant_card().to_string());
        assert_eq!(paper.text(), text);
        assert_eq!(Paper::open(&path).expect("read").text(), text);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&path).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn paper_that_was_put_away_is_missing_and_something_else_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pump.bin.pack");
        let mut none = Paper::open(&path).expect("none");
        assert_eq!((none.text(), none.line()), (None, None));
        assert!(!none.throw_pack_away().expect("nothing to do"));
        fs::write(&path, "shopping list").expect("written");
        assert!(Paper::open(&path).is_err());
    }
}
