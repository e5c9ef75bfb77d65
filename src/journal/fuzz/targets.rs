//! What each fuzz target does with its bytes; also run on stable by `tests/fuzz_targets.rs`.
//!
//! The bytes are a script: every step takes what it needs from the front, and an exhausted script reads as zeros. A panic
//! (also one of the assertions here) is a finding.
#![allow(dead_code, clippy::arithmetic_side_effects)]

use std::sync::OnceLock;

use fuzzing::Script;
use journal::{
    BODY_BYTES, Envelope, Finding, Flash, Head, Journal, JournalError, Kind, Link, Log, PAGE,
    Partition, RECORD_BYTES, Record, Stamp, Tear, Verifier, VirtualFlash, Worn,
};
use units::{Clock, Duration, PumpTime, WallTime};

fn stamp(boot: u32) -> Stamp {
    Stamp {
        boot,
        monotonic: PumpTime::from_micros(3_600_000_000),
        wall: Clock::Known {
            wall: WallTime::from_millis(1_767_607_200_000),
            uncertainty: Duration::from_seconds(1),
        },
    }
}

fn envelope(kind: u16, boot: u32, body: &[u8]) -> Envelope<'_> {
    Envelope {
        kind: Kind(kind),
        version: 1,
        stamp: stamp(boot),
        body,
    }
}

/// Bytes as a record and as an envelope; then a run of records through a verifier, at once and in two pieces.
pub fn record(data: &[u8]) {
    if let Some(record) = Record::decode(data) {
        assert_eq!(record.bytes, data);
        assert!(record.envelope.body.len() <= BODY_BYTES);
        let mut longest = [0; RECORD_BYTES];
        let length = record.envelope.encode(&mut longest).unwrap();
        assert!(data.ends_with(&longest[..length]), "another wire form");
    }
    if let Ok(envelope) = Envelope::decode(data) {
        let mut longest = [0; RECORD_BYTES];
        let length = envelope.encode(&mut longest).unwrap();
        assert_eq!(&longest[..length], data, "another wire form");
    }

    let mut script = Script::new(data);
    let mut records: Vec<Vec<u8>> = Vec::new();
    let mut sequence = u32::from(script.byte());
    while !script.is_over() && records.len() < 40 {
        let mut bytes = match script.byte() {
            // The next number, another one, one that an earlier record had.
            step @ 0..=199 => {
                sequence = match step % 8 {
                    0 => sequence.wrapping_sub(u32::from(script.byte())),
                    1 => sequence.wrapping_add(u32::from(script.short())),
                    2 => u32::MAX - u32::from(script.byte()),
                    _ => sequence.wrapping_add(1),
                };
                let extension = match step / 8 % 4 {
                    0 => &[][..],
                    1 => script.take(2),
                    2 => script.take(18),
                    _ => &[0; 18],
                };
                let mut bytes = Vec::new();
                let mut rest = sequence;
                while rest >= 0x80 {
                    bytes.push(rest.to_le_bytes()[0] | 0x80);
                    rest >>= 7;
                }
                bytes.push(rest.to_le_bytes()[0]);
                bytes.push(u8::try_from(extension.len()).unwrap());
                bytes.extend(extension);
                let mut longest = [0; RECORD_BYTES];
                let length = envelope(1, 1, script.take(usize::from(step % 5)))
                    .encode(&mut longest)
                    .unwrap();
                bytes.extend(&longest[..length]);
                bytes
            }
            200..=229 => match records.last() {
                Some(last) => last.clone(),
                None => continue,
            },
            230..=255 => script.some().to_vec(),
        };
        if script.byte() == 7 && !bytes.is_empty() {
            let place = usize::from(script.byte()) % bytes.len();
            bytes[place] ^= script.byte();
        }
        if Record::decode(&bytes).is_some() {
            records.push(bytes);
        }
    }
    let run = |mut verifier: Verifier, records: &[Vec<u8>]| {
        let mut findings = Vec::new();
        for bytes in records {
            let record = Record::decode(bytes).unwrap();
            let before = verifier.position();
            let count = findings.len();
            verifier.take(&record, |finding| {
                assert!(!finding.to_string().is_empty());
                findings.push(finding);
            });
            assert!(findings.len() <= count + 3);
            let after = verifier.position().unwrap();
            assert!(before.is_none_or(|before| before.sequence <= after.sequence));
            if findings.len() == count && before.is_some_and(|before| before != after) {
                assert_eq!(after.sequence, record.sequence);
                assert_ne!(record.link, Link::Missing);
            }
        }
        (findings, verifier.position())
    };
    let whole = run(Verifier::new(), &records);
    let split = records.len() / 2;
    let (mut findings, position) = run(Verifier::new(), &records[..split]);
    if let Some(position) = position {
        let (more, position) = run(Verifier::behind(position), &records[split..]);
        // All but how far back an anchor can tell.
        let forget = |findings: Vec<Finding>| -> Vec<Finding> {
            let one = |finding| match finding {
                Finding::AnchorMismatch { sequence, .. } => {
                    Finding::AnchorMismatch { from: 0, sequence }
                }
                finding => finding,
            };
            findings.into_iter().map(one).collect()
        };
        findings.extend(more);
        assert_eq!((forget(findings), position), (forget(whole.0), whole.1));
    }
    let head = Head {
        log: Log::from_number(script.byte() % 2).unwrap(),
        sequence,
        state: [script.byte(); 16],
        boot: u32::from(script.byte()),
        signature: [script.byte(); 16],
    };
    assert!(!head.is_signed_with(&[9; 32]));
}

/// Sizes of the flash: two pages for each ring but the events, a third for them.
const SIZES: [u32; 4] = [0x5000, 0x2000, 0x2000, 0x2000];

/// Flashes that a pump has used: hardly, a while, until every page has been erased, and with a write that was cut.
fn bases() -> &'static [VirtualFlash] {
    static BASES: OnceLock<Vec<VirtualFlash>> = OnceLock::new();
    BASES.get_or_init(|| {
        let mut bases = vec![VirtualFlash::with_sizes(SIZES)];
        for rounds in [3_u16, 40, 400] {
            let mut journal = Journal::open(VirtualFlash::with_sizes(SIZES)).unwrap().0;
            journal.make_key(&[5; 32]).unwrap();
            for number in 0..rounds {
                let body = [&number.to_le_bytes()[..], &[0xFF; 40]].concat();
                journal.append(&envelope(1, 1, &body)).unwrap();
                journal.append_critical(&envelope(2, 1, &body)).unwrap();
                journal.checkpoint(&envelope(17, 1, &body)).unwrap();
                journal.put(&envelope(16 + number % 4, 1, &body)).unwrap();
            }
            let mut cut = journal.clone();
            bases.push(journal.into_flash());
            cut.flash_mut().cut_after(11, Tear::Torn(3));
            cut.put(&envelope(16, 1, &[0x77; 30])).ok();
            let mut flash = cut.into_flash();
            flash.power_on();
            bases.push(flash);
        }
        bases
    })
}

/// A whole item as the library stores it: the CRC-32C of the data, its length and the CRC-16 of that, the data, zeros up to a word.
fn item(data: &[u8]) -> Vec<u8> {
    let mut crc = 0xEEEE_EEEE_u32;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0x82F6_3B78 } else { 0 };
        }
    }
    let mut crc = !crc;
    if matches!(crc.to_le_bytes()[0], 0 | 0xFF) {
        crc ^= 1;
    }
    let length = u16::try_from(data.len()).unwrap().to_le_bytes();
    let mut check = 0xFFFF_u16;
    for byte in length {
        check ^= u16::from(byte);
        for _ in 0..8 {
            check = (check >> 1) ^ if check & 1 == 1 { 0x1A2E } else { 0 };
        }
    }
    check ^= 0xFFFF;
    if check == 0xFFFF {
        check = 0xFFFE;
    }
    let mut item = crc.to_le_bytes().to_vec();
    item.extend(length);
    item.extend(check.to_le_bytes());
    item.extend(data);
    item.resize(item.len().next_multiple_of(4), 0);
    item
}

/// The CRC-32 behind a value of state.
fn check_of_value(data: &[u8]) -> [u8; 4] {
    let mut crc = u32::MAX;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
        }
    }
    (!crc).to_le_bytes()
}

/// Whole items with content of the script's choice, where the next one would go.
fn plant(flash: &mut VirtualFlash, script: &mut Script<'_>) {
    let place = script.byte();
    let partition = Partition::ALL[usize::from(place % 4)];
    let page = u32::from(place / 4) % (flash.size(partition) / PAGE);
    // A number, a link or none, and an envelope of a known kind with a body from the script; or bytes from the script.
    let mut frame = match script.byte() {
        form @ 0..=199 => {
            let mut frame = match form % 5 {
                0 => vec![script.byte() & 0x7F],
                1 => vec![script.byte() | 0x80, script.byte() & 0x7F],
                2 => vec![0xFF, 0xFF, 0xFF, 0xFF, 0x0F],
                3 => vec![script.byte() | 0x80, 0xFF, 0xFF, 0xFF, 0x0F],
                _ => vec![script.byte() | 0x80, script.byte() | 0x80, 1],
            };
            let extension = [0, 2, 18, 30][usize::from(form / 5 % 4)];
            frame.push(extension);
            let link = script.take(usize::from(extension));
            frame.extend(link);
            frame.resize(frame.len() + usize::from(extension) - link.len(), 0);
            let kind = [1, 16, 17, 18, Kind::INDEX.0, Kind::KEY.0][usize::from(form / 20 % 6)];
            let mut longest = [0; RECORD_BYTES];
            let body = script.some();
            let length = envelope(kind, 1, body).encode(&mut longest).unwrap();
            frame.extend(&longest[..length]);
            frame
        }
        200..=255 => script.some().to_vec(),
    };
    if matches!(partition, Partition::StateA | Partition::StateB) {
        frame.extend(check_of_value(&frame));
        let kind = [16, 17, 18, Kind::INDEX.0, Kind::KEY.0][usize::from(script.byte() % 5)];
        frame.splice(0..0, kind.to_le_bytes());
    }
    let item = item(&frame);
    let start = usize::try_from(page * PAGE).unwrap();
    let contents = &flash.contents(partition)[start..start + 4092];
    let used = contents.iter().rposition(|byte| *byte != 0xFF);
    let at = used.map_or(4, |last| (last + 1).next_multiple_of(4).max(4));
    if at + item.len() <= 4092 {
        let offset = page * PAGE + u32::try_from(at).unwrap();
        flash.damage(partition, offset, &item);
        if used.is_none() {
            flash.damage(partition, page * PAGE, &[0; 4]);
        }
    }
}

/// Changes a flash in a way that a real one could be, or that somebody could make it. Whether a page has become one that no longer erases, so
/// that calls may fail.
fn mutate(flash: &mut VirtualFlash, script: &mut Script<'_>) -> bool {
    let mut worn = false;
    let operation = script.byte();
    let partition = Partition::ALL[usize::from(operation % 4)];
    let size = flash.size(partition);
    let pages = size / PAGE;
    let page = |script: &mut Script<'_>| u32::from(script.byte()) % pages;
    let offset = |script: &mut Script<'_>| u32::from(script.short()) % (size - 600);
    match operation / 4 % 10 {
        0 | 1 => {
            let at = offset(script);
            let byte = flash.contents(partition)[usize::try_from(at).unwrap()];
            flash.damage(partition, at, &[byte ^ (1 << (script.byte() % 8))]);
        }
        2 => {
            let at = offset(script);
            let bytes = script.some();
            flash.damage(partition, at, bytes);
        }
        // A marker.
        3 => {
            let at = page(script) * PAGE
                + if script.byte().is_multiple_of(2) {
                    0
                } else {
                    PAGE - 4
                };
            let word = [script.byte(); 4];
            flash.damage(partition, at, &word);
        }
        4 => {
            let at = page(script) * PAGE;
            let fill = script.byte();
            flash.damage(partition, at, &[fill; 4096]);
        }
        // A page of any partition over another.
        5 => {
            let other = Partition::ALL[usize::from(script.byte() % 4)];
            let from = u32::from(script.byte()) % (flash.size(other) / PAGE) * PAGE;
            let from = usize::try_from(from).unwrap();
            let copy = flash.contents(other)[from..from + 4096].to_vec();
            let at = page(script) * PAGE;
            flash.damage(partition, at, &copy);
        }
        // An older state of the partition.
        6 => {
            let older = &bases()[usize::from(script.byte()) % bases().len()];
            let contents = older.contents(partition).to_vec();
            flash.damage(partition, 0, &contents);
        }
        7 | 8 => plant(flash, script),
        _ => {
            let at = page(script);
            let way = match script.byte() {
                0 => Worn::Refusing,
                seed => Worn::Silently(u64::from(seed)),
            };
            flash.wear_out(partition, at, Some(way));
            worn = true;
        }
    }
    worn
}

/// What has been acknowledged.
#[derive(Default)]
struct Kept {
    event: Option<Vec<u8>>,
    critical: Option<Vec<u8>>,
    checkpoint: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    key: Option<[u8; 32]>,
}

/// Reads everything there is, in every way, and compares it with what was acknowledged.
fn read_everything(journal: &mut Journal<VirtualFlash>, kept: &Kept) {
    for log in Log::ALL {
        let mut verifier = Verifier::new();
        let mut all = Vec::new();
        journal
            .read(log, |record| {
                verifier.take(record, |finding| assert!(!finding.to_string().is_empty()));
                all.push((record.sequence, record.bytes.to_vec()));
            })
            .unwrap();
        assert!(all.is_sorted_by(|one, next| one.0 < next.0), "{log}");
        assert_eq!(
            verifier.position().map(|position| position.sequence),
            all.last().map(|last| last.0)
        );
        let newest = match log {
            Log::Events => &kept.event,
            Log::Critical => &kept.critical,
        };
        if let Some(newest) = newest {
            let last = Record::decode(&all.last().unwrap().1).unwrap();
            assert_eq!(last.envelope.body, newest, "{log}");
        }
        let mut pieces = 0;
        let mut from = 0;
        let mut buffer = [0; RECORD_BYTES + 2];
        loop {
            let part = journal.read_from(log, from, &mut buffer).unwrap();
            if part.used == 0 {
                break;
            }
            let mut rest = &buffer[..part.used];
            while let Some((length, behind)) = rest.split_first_chunk::<2>() {
                let (bytes, behind) = behind.split_at(usize::from(u16::from_le_bytes(*length)));
                assert_eq!(all[pieces].1, bytes, "{log}");
                pieces += 1;
                rest = behind;
            }
            if part.next == u32::MAX {
                // The last number there is: nothing can be behind it.
                break;
            }
            assert!(part.next > from);
            from = part.next;
        }
        assert_eq!(pieces, all.len(), "{log}");
        if let Ok(Some(head)) = journal.head(log) {
            let key = journal.key().unwrap().unwrap();
            assert!(head.is_signed_with(&key));
        }
    }
    journal.read_checkpoints(|_| ()).unwrap();
    let mut body = [0; BODY_BYTES];
    for kind in [17, 18, Kind::INDEX.0] {
        let latest = journal.latest_checkpoint(Kind(kind), &mut body).unwrap();
        if kind == 17 && kept.checkpoint.is_some() {
            assert_eq!(latest.map(|latest| latest.body.to_vec()), kept.checkpoint);
        }
    }
    for kind in (15..20).chain([Kind::KEY.0, Kind::INDEX.0]) {
        let found = journal.get(Kind(kind), &mut body);
        assert!(
            matches!(found, Ok(_) | Err(JournalError::StateLost { .. })),
            "{found:?}"
        );
        if kind == 16 && kept.value.is_some() {
            assert_eq!(found.unwrap().map(|found| found.body.to_vec()), kept.value);
        }
    }
    if kept.key.is_some() {
        assert_eq!(journal.key(), Ok(kept.key));
    }
}

/// A flash that a pump has used or noise, changed in many ways; opened, perhaps with a cut; read; written; opened again. Whatever is
/// on it: no panic, nothing forbidden is asked of the flash, and what is acknowledged is there afterwards.
pub fn image(data: &[u8]) {
    let mut script = Script::new(data);
    let mut flash = match script.byte() {
        base @ 0..=239 => bases()[usize::from(base) % bases().len()].clone(),
        // Noise of any density.
        density @ 240..=255 => {
            let mut flash = VirtualFlash::with_sizes(SIZES);
            let mut seed = u64::from(script.short()) + 1;
            for partition in Partition::ALL {
                let noise: Vec<u8> = flash
                    .contents(partition)
                    .iter()
                    .map(|_| {
                        seed ^= seed << 13;
                        seed ^= seed >> 7;
                        seed ^= seed << 17;
                        let [noise, chance, ..] = seed.to_le_bytes();
                        if chance % 16 <= density - 240 {
                            noise
                        } else {
                            0xFF
                        }
                    })
                    .collect();
                flash.damage(partition, 0, &noise);
            }
            flash
        }
    };
    let mut worn = false;
    for _ in 0..script.byte() % 12 {
        worn |= mutate(&mut flash, &mut script);
    }
    for _ in 0..script.byte() % 3 {
        let tear = match script.byte() {
            0..=63 => Tear::NotBegun,
            64..=127 => Tear::Done,
            seed => Tear::Torn(u64::from(seed)),
        };
        flash.cut_after(u64::from(script.short() % 700), tear);
        flash = Journal::open(flash).unwrap().0.into_flash();
        flash.power_on();
    }

    let mut kept = Kept::default();
    let (mut journal, opening) = Journal::open(flash).unwrap();
    read_everything(&mut journal, &kept);
    let acceptable = |error: JournalError| {
        let full = matches!(
            error,
            JournalError::SequenceExhausted | JournalError::StateFull | JournalError::TooManyKinds
        );
        assert!(full || worn, "{error}");
    };
    let boot = opening.boot;
    for round in 0..2 + script.byte() % 60 {
        let mut body = vec![round; 1 + usize::from(script.byte())];
        body[0] = round;
        match script.byte() % 6 {
            0 => match journal.append(&envelope(1, boot, &body)) {
                Ok(()) => kept.event = Some(body),
                Err(error) => acceptable(error),
            },
            1 => match journal.append_critical(&envelope(1, boot, &body)) {
                Ok(()) => {
                    kept.critical = Some(body.clone());
                    kept.event = Some(body);
                }
                Err(error) => {
                    // One of the two logs may have it.
                    (kept.event, kept.critical) = (None, None);
                    acceptable(error);
                }
            },
            2 => match journal.checkpoint(&envelope(17, boot, &body)) {
                Ok(()) => kept.checkpoint = Some(body),
                Err(error) => acceptable(error),
            },
            3 => match journal.put(&envelope(16, boot, &body)) {
                Ok(()) => kept.value = Some(body),
                Err(error) => {
                    if error == JournalError::Undecided {
                        kept.value = None;
                    }
                    acceptable(error);
                }
            },
            4 => match journal.make_key(&[round; 32]) {
                Ok(()) => kept.key = Some([round; 32]),
                Err(error) => {
                    if error == JournalError::Undecided {
                        kept.key = None;
                    }
                    acceptable(error);
                }
            },
            _ => {
                journal.scrub();
            }
        }
    }
    read_everything(&mut journal, &kept);
    let (mut journal, again) = Journal::open(journal.into_flash()).unwrap();
    assert!(again.boot > boot || !opening.boot_kept || boot == u32::MAX);
    read_everything(&mut journal, &kept);
    let lost = journal.accept_loss();
    assert!(
        lost.is_ok() || worn || lost == Err(JournalError::SequenceExhausted),
        "{lost:?}"
    );
    read_everything(&mut journal, &kept);
    assert_eq!(journal.flash().refused(), 0, "a forbidden operation");
}
