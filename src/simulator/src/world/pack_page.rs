//! The flash partition `pack`: one page, which the production line writes and the pump erases when it has taken what is on it.
//!
//! No part of the image file, which ends before it. Where the image is kept in a file, so is the page, in one of its own; when the page is
//! erased, the file goes.

use crate::key_file;
use anyhow::{Context, Result};
use protocol::Pack;
use protocol::pack::PAGE_BYTES;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The page as it is at the moment. Cloning one that is kept in a file gives an independent one in memory.
#[derive(Debug)]
pub struct PackPage {
    pack: Option<Pack>,
    file: Option<PathBuf>,
}

impl Clone for PackPage {
    fn clone(&self) -> Self {
        Self {
            pack: self.pack.clone(),
            file: None,
        }
    }
}

impl PackPage {
    /// An erased one.
    #[must_use]
    pub const fn erased() -> Self {
        Self {
            pack: None,
            file: None,
        }
    }

    /// One that is lost with the world.
    #[must_use]
    pub const fn in_memory(pack: Pack) -> Self {
        Self {
            pack: Some(pack),
            file: None,
        }
    }

    /// Writes a page to a new file that only its owner can read.
    ///
    /// # Errors
    /// When there is such a file, or it cannot be written.
    pub fn create(path: &Path, pack: Pack) -> Result<Self> {
        key_file::secret(path, &Zeroizing::new(pack.page())[..])?;
        Ok(Self {
            pack: Some(pack),
            file: Some(path.to_owned()),
        })
    }

    /// The page in a file; an erased one when there is no such file. What is no page is none for the pump either.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = match OpenOptions::new().read(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::erased()),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let mut page = Zeroizing::new([u8::MAX; PAGE_BYTES]);
        let mut length = 0;
        while length < page.len() {
            match file.read(&mut page[length..]) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(error) => return Err(error).with_context(|| path.display().to_string()),
            }
        }
        Ok(Self {
            pack: Pack::from_page(&*page),
            file: Some(path.to_owned()),
        })
    }

    /// What is on it.
    #[must_use]
    pub const fn pack(&self) -> Option<&Pack> {
        self.pack.as_ref()
    }

    /// The pump has taken it. A file that cannot be removed stays, and the pump erases it at its next start.
    pub(super) fn erase(&mut self) {
        self.pack = None;
        if let Some(path) = &self.file {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    eprintln!("{}: {error}", path.display());
                }
                Ok(()) | Err(_) => self.file = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::random::{Chance, Random};

    #[test]
    fn a_page_is_there_until_it_is_erased() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pump.bin.page");
        assert_eq!(PackPage::open(&path).expect("none").pack(), None);
        let pack = Random::new(Chance::Seeded, 1).pack();
        let page = PackPage::create(&path, pack.clone()).expect("a page");
        assert_eq!(page.pack(), Some(&pack));
        assert!(
            PackPage::create(&path, pack.clone()).is_err(),
            "never over another"
        );
        let mut again = PackPage::open(&path).expect("a page");
        assert_eq!(again.pack(), Some(&pack));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path)
                .expect("there")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        again.erase();
        assert_eq!(again.pack(), None);
        assert!(!path.exists());
        assert_eq!(PackPage::open(&path).expect("none").pack(), None);
    }

    #[test]
    fn half_a_page_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pump.bin.page");
        let pack = Random::new(Chance::Seeded, 1).pack();
        std::fs::write(&path, &pack.page()[..PAGE_BYTES - 1]).expect("written");
        assert_eq!(PackPage::open(&path).expect("read").pack(), None);
    }
}
