//! A secret text from a file, from standard input, or typed without being shown.

use super::ended::Stopped;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use zeroize::Zeroizing;

/// Longest text that is looked at: twice the longest there is.
const LONGEST: u64 = 1_000;

/// Reads it. What it says is in no error.
pub(super) fn read(from: Option<&Path>) -> Result<Zeroizing<String>, Stopped> {
    let mut text = Zeroizing::new(String::with_capacity(1_024));
    let read = match from {
        Some(path) if path.as_os_str() != "-" => {
            std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text))
        }
        None if io::stdin().is_terminal() => {
            eprint!("Text of the sterile pack or the implant card (not shown): ");
            console::Term::stderr().read_secure_line().map(|line| {
                text = Zeroizing::new(line);
                text.len()
            })
        }
        Some(_) | None => io::stdin().take(LONGEST).read_to_string(&mut text),
    };
    match read {
        Ok(_) => Ok(text),
        Err(error) => Err(Stopped::usage(format!(
            "--text: {}: {error}",
            from.map_or_else(
                || "standard input".to_owned(),
                |path| path.display().to_string()
            )
        ))),
    }
}
