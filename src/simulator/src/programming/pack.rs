//! `thecal pack`: what makes a new pump this one pump, as its production line makes it.

use super::arguments::PackAct;
use super::ended::{Done, Report, Stopped};
use crate::key_file;
use crate::session::random;
use protocol::Pack;
use protocol::pack::{PAGE_BYTES, PASSKEYS};
use serde_json::json;
use std::path::Path;
use zeroize::{Zeroize, Zeroizing};

/// Bytes of a page of flash.
const PAGE: usize = 4096;
/// Where the partition `pack` begins in the flash of an nRF52840.
const ADDRESS: u32 = 0x000F_F000;
/// Bytes in a line of Intel HEX.
const LINE: usize = 16;

/// `thecal pack new`: all files, or none.
pub(super) fn run(act: &PackAct) -> Done {
    let PackAct::New {
        page,
        text,
        hex,
        implant_card,
        ..
    } = act;
    let pack = Pack {
        private: random()?,
        one_time: random()?,
        recovery: random()?,
        passkey: passkey()?,
    };
    let paper = pack.text();
    let mut bytes = Zeroizing::new([0xFF; PAGE]);
    let mut used = pack.page();
    if let Some(front) = bytes.first_chunk_mut() {
        *front = used;
    }
    let hexadecimal = Zeroizing::new(intel_hex(&used));
    used.zeroize();
    let card = Zeroizing::new(format!("{}\n", paper.implant_card()));
    let paper_text = Zeroizing::new(format!("{paper}\n"));
    let files: [(Option<&Path>, &[u8]); 4] = [
        (Some(page), bytes.as_slice()),
        (Some(text), paper_text.as_bytes()),
        (hex.as_deref(), hexadecimal.as_bytes()),
        (implant_card.as_deref(), card.as_bytes()),
    ];
    let mut made: Vec<&Path> = Vec::new();
    for (path, contents) in files {
        let Some(path) = path else { continue };
        if let Err(error) = key_file::secret(path, contents) {
            for path in made {
                let _ = std::fs::remove_file(path);
            }
            return Err(error.into());
        }
        made.push(path);
    }
    let fingerprint = paper.pump.fingerprint().to_string();
    let mut said = format!("New pump {fingerprint}:\n");
    for path in &made {
        said.push_str(&format!("  {}\n", path.display()));
    }
    Ok(Report::new(
        said,
        json!({ "pump": fingerprint, "page": page, "text": text, "hex": hex, "implant_card": implant_card }),
    ))
}

/// Six digits, each number that there is as likely as another.
fn passkey() -> Result<u32, Stopped> {
    let numbers = PASSKEYS.end() - PASSKEYS.start() + 1;
    // What is above the last whole multiple would make small numbers likelier.
    let fair = u32::MAX - u32::MAX % numbers;
    loop {
        let secret = random()?;
        let [a, b, c, d, ..] = *secret.bytes();
        let number = u32::from_le_bytes([a, b, c, d]);
        if number < fair {
            return Ok(PASSKEYS.start() + number % numbers);
        }
    }
}

/// The front of the page as Intel HEX at its address.
fn intel_hex(page: &[u8; PAGE_BYTES]) -> String {
    let [_, upper, high, low] = ADDRESS.to_be_bytes();
    let mut text = record(0x04, [0, 0], &[0, upper]);
    let mut address = u16::from_be_bytes([high, low]);
    for line in page.chunks(LINE) {
        text.push_str(&record(0x00, address.to_be_bytes(), line));
        address = address.wrapping_add(u16::try_from(line.len()).unwrap_or_default());
    }
    text.push_str(&record(0x01, [0, 0], &[]));
    text
}

/// A line: length, address, kind, data, checksum.
fn record(kind: u8, address: [u8; 2], data: &[u8]) -> String {
    let length = u8::try_from(data.len()).unwrap_or_default();
    let mut bytes = vec![length, address[0], address[1], kind];
    bytes.extend(data);
    let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    bytes.push(sum.wrapping_neg());
    let mut text = String::from(":");
    for byte in &bytes {
        text.push_str(&format!("{byte:02X}"));
    }
    bytes.zeroize();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{ImplantCard, PackText};
    use std::fs;

    #[test]
    fn a_new_pump_has_a_page_and_texts_that_belong_together() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| folder.path().join(name);
        let act = |page: &str, text: &str| PackAct::New {
            page: file(page),
            text: file(text),
            hex: Some(file("pack.hex")),
            implant_card: Some(file("card.txt")),
            json: false,
        };
        let report = run(&act("pack.bin", "pack.txt")).expect("made");
        let page = fs::read(file("pack.bin")).expect("a page");
        assert_eq!(page.len(), PAGE);
        assert!(page[PAGE_BYTES..].iter().all(|byte| *byte == 0xFF));
        let pack = Pack::from_page(&page).expect("a pack");
        let text = fs::read_to_string(file("pack.txt")).expect("a text");
        assert_eq!(PackText::parse(&text).expect("a pack's text"), pack.text());
        let card = fs::read_to_string(file("card.txt")).expect("a text");
        assert_eq!(
            ImplantCard::parse(&card).expect("a card's text"),
            pack.text().implant_card()
        );
        let fingerprint = pack.private.public_key().fingerprint().to_string();
        assert!(report.text.contains(&fingerprint));
        assert!(!report.text.contains("THECAL") && !report.json.to_string().contains("THECAL"));
        let hex = fs::read_to_string(file("pack.hex")).expect("a text");
        let lines: Vec<&str> = hex.lines().collect();
        assert_eq!(lines[0], ":02000004000FEB");
        assert!(lines[1].starts_with(":10F0000054484543414C504B01000000"));
        assert!(lines[8].starts_with(":04F07000"));
        assert_eq!(lines[9], ":00000001FF");
        #[cfg(unix)]
        for name in ["pack.bin", "pack.txt", "pack.hex", "card.txt"] {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(file(name))
                .expect("a file")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        // Nothing is written over, and nothing is left of what was begun.
        let stopped = run(&act("other.bin", "pack.txt")).expect_err("taken");
        assert!(
            stopped.words.contains("exists already"),
            "{}",
            stopped.words
        );
        assert!(!file("other.bin").exists());
        assert_eq!(fs::read(file("pack.bin")).expect("a page"), page);
    }

    #[test]
    fn a_passkey_has_six_digits() {
        for _ in 0..100 {
            assert!(PASSKEYS.contains(&passkey().expect("one")));
        }
    }
}
