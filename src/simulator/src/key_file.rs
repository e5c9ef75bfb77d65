//! A programmer's key in a file: one line, `THECAL3:...` ([`KeyText`]), that only its owner can read.
//!
//! Kept as `thecal/keys/FINGERPRINT.key` in the user's configuration folder, FINGERPRINT being the pump's. What a file holds is in no error.

use anyhow::{Context, Result, anyhow, bail, ensure};
use protocol::{Fingerprint, KeyText};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longest file that is looked at: twice a key's text, for blanks.
const LONGEST: u64 = 500;
/// How the name of a key file ends.
const EXTENSION: &str = "key";

/// Reads a key file.
///
/// # Errors
/// When it cannot be read, holds no key, or can be read by others.
pub fn load(path: &Path) -> Result<KeyText> {
    let name = path.display();
    let file = File::open(path).with_context(|| name.to_string())?;
    let about = file.metadata().with_context(|| name.to_string())?;
    ensure!(!about.is_dir(), "{name} is a folder; a key file is wanted");
    private(path, &about)?;
    let mut text = Zeroizing::new(String::new());
    file.take(LONGEST)
        .read_to_string(&mut text)
        .map_err(|error| match error.kind() {
            ErrorKind::InvalidData => anyhow!("{name} holds no key: it is no text"),
            _ => anyhow!(error).context(name.to_string()),
        })?;
    KeyText::parse(&text).map_err(|error| anyhow!("{name} holds no key: {error}"))
}

/// A key that others can read is nobody's any more.
#[cfg(unix)]
fn private(path: &Path, about: &fs::Metadata) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = about.permissions().mode() & 0o777;
    ensure!(
        mode & 0o077 == 0,
        "{name} can be read or changed by others (mode {mode:04o}), so the key in it may be known to them; have it revoked, or, if you are sure that it is not known, take the right from them: chmod 600 {name}",
        name = path.display()
    );
    Ok(())
}

#[cfg(not(unix))]
fn private(_: &Path, _: &fs::Metadata) -> Result<()> {
    Ok(())
}

/// Writes a key file, never over another file.
///
/// # Errors
/// When there is something of this name, or it cannot be written.
pub fn save(path: &Path, key: &KeyText) -> Result<()> {
    secret(path, Zeroizing::new(format!("{key}\n")))
}

/// Writes a secret to a new file that only its owner can read. It is on the disk when this returns.
///
/// # Errors
/// When there is something of this name, or it cannot be written.
pub fn secret(path: &Path, contents: impl AsRef<[u8]>) -> Result<()> {
    let name = path.display();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            anyhow!("{name} exists already; name a file that does not exist")
        }
        _ => anyhow!(error).context(format!("{name} cannot be made")),
    })?;
    file.write_all(contents.as_ref())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("{name} cannot be written"))
}

/// The folder in which keys are kept.
///
/// # Errors
/// When the environment does not tell the user's folders.
pub fn folder() -> Result<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CONFIG_HOME")
        .or_else(|| Some(absolute("HOME").or_else(|| absolute("APPDATA"))?.join(".config")))
        .map(|folder| folder.join("thecal").join("keys"))
        .context("neither XDG_CONFIG_HOME nor HOME tells where keys are kept; name the key file: --key FILE")
}

/// Where the key for a pump is kept, its folder made if it is not there.
///
/// # Errors
/// When there is no such folder and it cannot be made.
pub fn place(pump: Fingerprint) -> Result<PathBuf> {
    let folder = folder()?;
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(&folder)
        .with_context(|| folder.display().to_string())?;
    Ok(folder.join(format!("{pump}.{EXTENSION}")))
}

/// The key to use: the one in `file`; otherwise the one kept for the pump whose fingerprint begins with `pump`; otherwise the only one that is
/// kept. A pump does not say who it is before somebody has shown a key, and every wrong key counts against its quota, so none is just tried.
///
/// # Errors
/// When it is not clear which is meant, or that one cannot be read.
pub fn find(file: Option<&Path>, pump: Option<&str>) -> Result<KeyText> {
    if let Some(path) = file {
        return load(path);
    }
    let folder = folder()?;
    let pumps = kept(&folder)?;
    let meant: Vec<&String> = pumps
        .iter()
        .filter(|kept| pump.is_none_or(|pump| kept.starts_with(&pump.to_ascii_lowercase())))
        .collect();
    match (meant.as_slice(), pump) {
        ([one], _) => load(&folder.join(format!("{one}.{EXTENSION}"))),
        ([], Some(pump)) => bail!(
            "no key is kept for a pump {pump}, but for: {}",
            if pumps.is_empty() {
                "none".to_owned()
            } else {
                pumps.join(", ")
            }
        ),
        ([], None) => bail!(
            "no key is kept in {}; `thecal enroll` makes one, and --key FILE names another file",
            folder.display()
        ),
        (_, _) => bail!(
            "keys are kept for several pumps; say which with --pump: {}",
            meant
                .iter()
                .map(|pump| pump.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}

/// The pumps for which a key is kept.
fn kept(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| folder.display().to_string()),
    };
    let mut pumps = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| folder.display().to_string())?.path();
        if path.extension().is_some_and(|end| end == EXTENSION)
            && let Some(name) = path.file_stem().and_then(|name| name.to_str())
        {
            pumps.push(name.to_owned());
        }
    }
    pumps.sort();
    Ok(pumps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{PublicKey, Secret};

    fn key() -> KeyText {
        KeyText {
            pump: PublicKey([0xAB; 32]),
            private: Secret::new([1; 32]),
            preshared: Secret::new([2; 32]),
            slot: 3,
        }
    }

    fn refused(path: &Path) -> String {
        format!("{:#}", load(path).expect_err("refused"))
    }

    #[test]
    fn a_key_is_kept_for_its_owner_alone_and_never_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.key");
        save(&path, &key()).expect("saved");
        assert_eq!(load(&path).expect("a key"), key());
        let error = format!("{:#}", save(&path, &key()).expect_err("taken"));
        assert!(error.contains("exists already"), "{error}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode));
            let about = fs::metadata(&path).expect("a file").permissions().mode();
            assert_eq!(about & 0o777, 0o600);
            for others in [0o640, 0o604, 0o620, 0o601, 0o666] {
                mode(others).expect("changed");
                let error = refused(&path);
                assert!(error.contains("chmod 600"), "{error}");
                assert!(error.contains(&format!("{others:04o}")), "{error}");
            }
            mode(0o400).expect("changed");
            assert_eq!(load(&path).expect("a key"), key());
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.key");
        let good = key().to_string();
        let mistyped = good.replace("AB", "AC");
        let pack = good.replace("THECAL3", "THECAL1");
        for (text, reason) in [
            ("", "begin with THECAL3:"),
            (pack.as_str(), "begin with THECAL3:"),
            (mistyped.as_str(), "checksum"),
            (&good[..100], "digits"),
        ] {
            let _ = fs::remove_file(&path);
            secret(&path, text).expect("a file");
            let error = refused(&path);
            assert!(error.contains(reason), "{error}");
            assert!(
                !error.contains("ABABAB") && !error.contains("ACACAC"),
                "{error}"
            );
        }
        assert!(refused(folder.path()).contains("folder"));
    }
}
