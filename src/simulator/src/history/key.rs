//! The log key in a file: 64 hexadecimal digits.

use super::reading::{hex, unhex};
use anyhow::{Context, Result, anyhow, bail};
use journal::KEY_BYTES;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

/// Longest key file that is looked at: digits and a few blanks.
const LONGEST: u64 = 200;

/// Reads a key file. Its content is in no error.
pub(super) fn load(path: &Path) -> Result<[u8; KEY_BYTES]> {
    let mut text = String::new();
    let file = fs::File::open(path).with_context(|| format!("--log-key: {}", path.display()))?;
    file.take(LONGEST)
        .read_to_string(&mut text)
        .with_context(|| format!("--log-key: {} cannot be read", path.display()))?;
    unhex(text.trim_ascii()).with_context(|| {
        format!(
            "--log-key: {} holds no log key: exactly {} hexadecimal digits are wanted, as --save-log-key writes them",
            path.display(),
            2 * KEY_BYTES
        )
    })
}

/// Writes a key file that only its owner can read, and never over another file.
pub(super) fn save(path: &Path, key: &[u8; KEY_BYTES]) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // The same key once more is no reason to stop.
            if load(path).is_ok_and(|there| there == *key) {
                return Ok(());
            }
            bail!(
                "--save-log-key: {} exists already and holds something else; name a file that does not exist",
                path.display()
            );
        }
        Err(error) => {
            return Err(anyhow!(error).context(format!("--save-log-key: {}", path.display())));
        }
    };
    file.write_all(format!("{}\n", hex(key)).as_bytes())
        .with_context(|| format!("--save-log-key: {} cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_kept_and_never_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        save(&path, &[0xAB; 32]).expect("saved");
        assert_eq!(load(&path).expect("a key"), [0xAB; 32]);
        save(&path, &[0xAB; 32]).expect("the same once more");
        let error = save(&path, &[1; 32]).expect_err("another").to_string();
        assert!(error.contains("exists already"), "{error}");
        assert_eq!(load(&path).expect("a key"), [0xAB; 32]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&path).expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        for text in ["", "ab", &"a".repeat(63), &"a".repeat(65), &"g".repeat(64)] {
            fs::write(&path, text).expect("a file");
            let error = format!("{:#}", load(&path).expect_err("no key"));
            assert!(error.contains("exactly 64 hexadecimal digits"), "{error}");
            assert!(text.len() < 10 || !error.contains(text), "{error}");
        }
        fs::write(&path, format!("  {}\r\n", "0F".repeat(32))).expect("a file");
        assert_eq!(load(&path).expect("a key"), [0x0F; 32]);
    }
}
