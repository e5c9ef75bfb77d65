//! A NOR flash in memory or in an image file, which knows the state of every word.
//!
//! It refuses what a real flash would punish later (a second write to a word, a misaligned or out-of-range access), counts reads,
//! writes and erases for each page, cuts the power at any operation in several ways, and adds up the time the real flash would have
//! taken.
//!
//! # Image file
//!
//! The four partitions one after another in the order of [`Partition::ALL`], no header: 450,560 bytes, exactly the range 0x8C000 to
//! 0xFA000 of the nRF52840, so that a dump of the chip is an image and an image can be written to a chip. Every write and erase
//! goes through to the file. The file is locked as long as it is open, so that two processes cannot share it.

use std::boxed::Box;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::vec;
use std::vec::Vec;

use units::Duration;

use crate::flash::{Flash, FlashError, PAGE, Partition, WORD};

/// Sizes of the partitions on the nRF52840, bytes, in the order of [`Partition::ALL`] (docs/architecture.md, "Steps, interrupts, flash").
const NRF52840: [u32; 4] = [0x6_0000, 0x8000, 0x3000, 0x3000];

/// A page and a word where a `usize` is wanted.
const PAGE_BYTES: usize = 4096;
const WORD_BYTES: usize = 4;

/// How long the flash takes. The nRF52 halts its processor for so long when code runs from the same flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// To write one word.
    pub word_write: Duration,
    /// To erase one page.
    pub page_erase: Duration,
}

impl Timing {
    /// nRF52840 Product Specification, "NVMC, electrical specification": tWRITE 41 us, tERASEPAGE 85 ms (largest values; general
    /// knowledge, to be verified against the current revision, as reference/protocol.md 3.2 says).
    pub const NRF52840: Self = Self {
        word_write: Duration::from_micros(41),
        page_erase: Duration::from_millis(85),
    };
}

/// What has been done to a word since its page was last erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordState {
    /// Nothing.
    Erased,
    /// A write or an erase was cut at this word, or it was written as all ones, which nobody can tell from erased, or damaged or
    /// loaded from an image and its past is not known. It may be written once more, with bits it still has: the nRF52 allows two
    /// writes.
    Torn,
    /// It was written.
    Written,
}

/// How far the operation gets during which the power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tear {
    /// It does not begin.
    NotBegun,
    /// It stops on the way. Of a write a random part of the bits is done; of an erase a random part of the words is erased, unchanged or
    /// in between, in one of several mixtures. The number is the seed.
    Torn(u64),
    /// It ends, and nobody gets to know.
    Done,
}

/// How a page at the end of its life answers an erase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worn {
    /// As if all were well; one word keeps a bit, and others can keep more. The number is the seed.
    Silently(u64),
    /// With [`FlashError::Failed`], and nothing is erased.
    Refusing,
}

/// What one page has been through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageWear {
    /// Calls that read from it.
    pub reads: u64,
    /// Words written.
    pub words_written: u64,
    /// Times it was erased; the nRF52 guarantees 10,000.
    pub erases: u32,
}

/// Why an image file cannot be used. The file has not been changed.
#[derive(Debug)]
pub enum ImageError {
    /// The file cannot be opened, created or read.
    Io {
        /// Which file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// The file has the wrong length to be an image.
    WrongSize {
        /// Which file.
        path: PathBuf,
        /// Its length in bytes.
        found: u64,
        /// The length of an image in bytes.
        expected: u64,
    },
    /// Another process has the file open as an image.
    InUse {
        /// Which file.
        path: PathBuf,
    },
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, error } => {
                write!(f, "flash image {}: {error}", path.display())
            }
            Self::WrongSize {
                path,
                found,
                expected,
            } => write!(
                f,
                "flash image {}: {found} bytes long, but an image has exactly {expected} (nRF52840, 0x8C000 to 0xFA000); \
                 nothing was changed",
                path.display()
            ),
            Self::InUse { path } => write!(
                f,
                "flash image {}: in use by another virtual pump; stop it or name another file",
                path.display()
            ),
        }
    }
}

impl std::error::Error for ImageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            Self::WrongSize { .. } | Self::InUse { .. } => None,
        }
    }
}

/// Power that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    On,
    /// Fails during the operation after so many more.
    FailsAfter {
        operations: u64,
        tear: Tear,
    },
    Off,
}

/// The flash. Cloning one that writes to a file gives an independent one in memory.
#[derive(Debug)]
pub struct VirtualFlash {
    sizes: [u32; 4],
    /// Where each partition begins and ends in `bytes`.
    places: [core::ops::Range<usize>; 4],
    bytes: Vec<u8>,
    words: Vec<WordState>,
    wear: Vec<PageWear>,
    /// How each page that no longer erases fails.
    worn: Vec<Option<Worn>>,
    /// Erases after which a page no longer does.
    endurance: Option<u32>,
    power: Power,
    operations: u64,
    refused: u64,
    rewritten: u64,
    timing: Timing,
    busy: Duration,
    file: Option<Box<File>>,
}

impl Clone for VirtualFlash {
    fn clone(&self) -> Self {
        Self {
            sizes: self.sizes,
            places: self.places.clone(),
            bytes: self.bytes.clone(),
            words: self.words.clone(),
            wear: self.wear.clone(),
            worn: self.worn.clone(),
            endurance: self.endurance,
            power: self.power,
            operations: self.operations,
            refused: self.refused,
            rewritten: self.rewritten,
            timing: self.timing,
            busy: self.busy,
            file: None,
        }
    }
}

impl VirtualFlash {
    /// A blank flash in memory with the nRF52840's partitions.
    #[must_use]
    pub fn nrf52840() -> Self {
        Self::with_sizes(NRF52840)
    }

    /// A blank flash in memory with partitions of any whole number of pages, in bytes and in the order of [`Partition::ALL`]; a part of a
    /// page is left away.
    #[must_use]
    pub fn with_sizes(sizes: [u32; 4]) -> Self {
        let sizes = sizes.map(|size| size.saturating_sub(size % PAGE));
        let total = sizes.into_iter().fold(0_usize, |sum, size| {
            sum.saturating_add(usize::try_from(size).unwrap_or(usize::MAX))
        });
        Self::from_bytes(sizes, vec![u8::MAX; total])
    }

    /// Opens an existing image file.
    ///
    /// # Errors
    /// [`ImageError`]; the file is left as it is.
    pub fn open_image(path: impl AsRef<Path>) -> Result<Self, ImageError> {
        let path = path.as_ref();
        let io = |error| ImageError::Io {
            path: path.to_path_buf(),
            error,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(io)?;
        lock(&file, path)?;
        let expected = image_length();
        let found = file.metadata().map_err(io)?.len();
        if found != expected {
            return Err(ImageError::WrongSize {
                path: path.to_path_buf(),
                found,
                expected,
            });
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let mut flash = Self::from_bytes(NRF52840, bytes);
        flash.file = Some(Box::new(file));
        Ok(flash)
    }

    /// Creates a blank image file.
    ///
    /// # Errors
    /// [`ImageError::Io`], also when the file exists: it is left as it is.
    pub fn create_image(path: impl AsRef<Path>) -> Result<Self, ImageError> {
        let path = path.as_ref();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|error| ImageError::Io {
                path: path.to_path_buf(),
                error,
            })?;
        lock(&file, path)?;
        let mut flash = Self::nrf52840();
        file.write_all(&flash.bytes)
            .map_err(|error| ImageError::Io {
                path: path.to_path_buf(),
                error,
            })?;
        flash.file = Some(Box::new(file));
        Ok(flash)
    }

    /// Opens an image file, or creates a blank one where there is none.
    ///
    /// # Errors
    /// [`ImageError`]; an existing file is left as it is.
    pub fn open_or_create_image(path: impl AsRef<Path>) -> Result<Self, ImageError> {
        if path.as_ref().exists() {
            Self::open_image(path)
        } else {
            Self::create_image(path)
        }
    }

    fn from_bytes(sizes: [u32; 4], bytes: Vec<u8>) -> Self {
        let words = bytes
            .chunks_exact(WORD_BYTES)
            .map(|word| {
                if word.iter().all(|byte| *byte == u8::MAX) {
                    WordState::Erased
                } else {
                    WordState::Torn
                }
            })
            .collect();
        let wear: Vec<PageWear> = bytes
            .chunks_exact(PAGE_BYTES)
            .map(|_| PageWear::default())
            .collect();
        let mut end = 0_usize;
        let places = sizes.map(|size| {
            let start = end;
            end = end.saturating_add(usize::try_from(size).unwrap_or(usize::MAX));
            start..end
        });
        Self {
            sizes,
            places,
            bytes,
            words,
            worn: vec![None; wear.len()],
            wear,
            endurance: None,
            power: Power::On,
            operations: 0,
            refused: 0,
            rewritten: 0,
            timing: Timing::NRF52840,
            busy: Duration::from_micros(0),
            file: None,
        }
    }

    /// Lets the power fail during the write of a word or erase of a page after `operations` more of them. Reads do not count.
    pub fn cut_after(&mut self, operations: u64, tear: Tear) {
        self.power = Power::FailsAfter { operations, tear };
    }

    /// Gives power, and forgets a cut that has not come.
    pub fn power_on(&mut self) {
        self.power = Power::On;
    }

    /// Lets a page be at the end of its life: it can be read and what is erased can be written, but it no longer erases. Nothing outside the
    /// partition. `None` makes it good again.
    pub fn wear_out(&mut self, partition: Partition, page: u32, worn: Option<Worn>) {
        let place = self.place(partition);
        let page = usize::try_from(page).unwrap_or(usize::MAX);
        let number = (place.start / PAGE_BYTES).saturating_add(page);
        if number < place.end / PAGE_BYTES
            && let Some(one) = self.worn.get_mut(number)
        {
            *one = worn;
        }
    }

    /// Lets every page wear out after so many erases, each in a way of its own.
    pub fn set_endurance(&mut self, erases: u32) {
        self.endurance = Some(erases);
    }

    /// Whether the power has failed. Every call then answers [`FlashError::NoPower`].
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.power == Power::Off
    }

    /// Word writes and page erases so far, whole or torn.
    #[must_use]
    pub const fn operations(&self) -> u64 {
        self.operations
    }

    /// Calls refused so far for being out of range, misaligned or a second write.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// Second writes to words so far that a real flash allows ([`WordState::Torn`]). None without cuts and damage.
    #[must_use]
    pub const fn rewritten(&self) -> u64 {
        self.rewritten
    }

    /// What each page of a partition has been through since the flash was made or opened.
    #[must_use]
    pub fn wear(&self, partition: Partition) -> &[PageWear] {
        let place = self.place(partition);
        self.wear
            .get(place.start / PAGE_BYTES..place.end / PAGE_BYTES)
            .unwrap_or_default()
    }

    /// Sets how long the flash takes; [`Timing::NRF52840`] at first.
    pub fn set_timing(&mut self, timing: Timing) {
        self.timing = timing;
    }

    /// How long the flash has been busy since this was last asked.
    pub fn take_busy(&mut self) -> Duration {
        core::mem::replace(&mut self.busy, Duration::from_micros(0))
    }

    /// The state of the word at an offset; `None` outside the partition.
    #[must_use]
    pub fn word_state(&self, partition: Partition, offset: u32) -> Option<WordState> {
        let range = self.range(partition, offset, WORD_BYTES).ok()?;
        self.words.get(range.start / WORD_BYTES).copied()
    }

    /// What a partition holds.
    #[must_use]
    pub fn contents(&self, partition: Partition) -> &[u8] {
        self.bytes.get(self.place(partition)).unwrap_or_default()
    }

    /// Changes one bit (0 to 7) of a byte, as radiation or a leaking cell does. Nothing outside the partition.
    pub fn flip_bit(&mut self, partition: Partition, offset: u32, bit: u32) {
        if let Ok(range) = self.range(partition, offset, 1)
            && let Some(byte) = self.bytes.get_mut(range.start)
        {
            *byte ^= 1_u8.checked_shl(bit).unwrap_or_default();
            let start = range.start;
            self.write_through(start, 1).ok();
        }
    }

    /// Puts bytes there, whatever was there. Nothing if they do not fit into the partition.
    pub fn damage(&mut self, partition: Partition, offset: u32, bytes: &[u8]) {
        let Ok(range) = self.range(partition, offset, bytes.len()) else {
            return;
        };
        let start = range.start;
        if let Some(target) = self.bytes.get_mut(range.clone()) {
            target.copy_from_slice(bytes);
        }
        let first = range.start / WORD_BYTES;
        let last = range.end.div_ceil(WORD_BYTES);
        for word in first..last {
            let value = self.word(word);
            if let Some(state) = self.words.get_mut(word) {
                *state = if value == u32::MAX {
                    WordState::Erased
                } else {
                    WordState::Torn
                };
            }
        }
        self.write_through(start, bytes.len()).ok();
    }

    fn number(partition: Partition) -> usize {
        match partition {
            Partition::Journal => 0,
            Partition::Critical => 1,
            Partition::StateA => 2,
            Partition::StateB => 3,
        }
    }

    fn place(&self, partition: Partition) -> core::ops::Range<usize> {
        self.places
            .get(Self::number(partition))
            .cloned()
            .unwrap_or_default()
    }

    /// A range of a partition as one of `bytes`.
    fn range(
        &self,
        partition: Partition,
        offset: u32,
        length: usize,
    ) -> Result<core::ops::Range<usize>, FlashError> {
        let offset = usize::try_from(offset).map_err(|_| FlashError::OutOfRange)?;
        let place = self.place(partition);
        let start = place
            .start
            .checked_add(offset)
            .ok_or(FlashError::OutOfRange)?;
        let end = start.checked_add(length).ok_or(FlashError::OutOfRange)?;
        if end > place.end {
            return Err(FlashError::OutOfRange);
        }
        Ok(start..end)
    }

    fn word(&self, word: usize) -> u32 {
        self.bytes
            .get(word.saturating_mul(WORD_BYTES)..)
            .and_then(|bytes| bytes.first_chunk())
            .map_or(u32::MAX, |bytes| u32::from_le_bytes(*bytes))
    }

    fn set_word(&mut self, word: usize, value: u32, state: WordState) {
        if let Some(bytes) = self
            .bytes
            .get_mut(word.saturating_mul(WORD_BYTES)..)
            .and_then(|bytes| bytes.first_chunk_mut())
        {
            *bytes = value.to_le_bytes();
        }
        if let Some(known) = self.words.get_mut(word) {
            *known = state;
        }
    }

    /// Counts an operation; how far it gets.
    fn spend(&mut self, takes: Duration) -> Result<Tear, FlashError> {
        let tear = match &mut self.power {
            Power::Off => return Err(FlashError::NoPower),
            Power::On => None,
            Power::FailsAfter {
                operations: 0,
                tear,
            } => Some(*tear),
            Power::FailsAfter { operations, .. } => {
                *operations = operations.saturating_sub(1);
                None
            }
        };
        self.operations = self.operations.saturating_add(1);
        self.busy = self.busy.saturating_add(takes);
        Ok(match tear {
            None => Tear::Done,
            Some(tear) => {
                self.power = Power::Off;
                tear
            }
        })
    }

    /// An operation that the power left is one nobody is told about.
    fn answer(&self) -> Result<(), FlashError> {
        if self.is_off() {
            Err(FlashError::NoPower)
        } else {
            Ok(())
        }
    }

    fn refuse<T>(&mut self, error: FlashError) -> Result<T, FlashError> {
        self.refused = self.refused.saturating_add(1);
        Err(error)
    }

    fn write_word(&mut self, word: usize, value: u32) -> Result<(), FlashError> {
        let there = self.word(word);
        match self.words.get(word) {
            Some(WordState::Erased) => {}
            Some(WordState::Torn) if there & value == value => {
                self.rewritten = self.rewritten.saturating_add(1);
            }
            Some(WordState::Torn | WordState::Written) | None => {
                return self.refuse(FlashError::NotErased);
            }
        }
        match self.spend(self.timing.word_write)? {
            Tear::NotBegun => return Ok(()),
            Tear::Torn(seed) => {
                let undone = Random::new(seed, word).next_word();
                self.set_word(word, there & (value | undone), WordState::Torn);
            }
            Tear::Done if value == u32::MAX => self.set_word(word, there, WordState::Torn),
            Tear::Done => self.set_word(word, there & value, WordState::Written),
        }
        if let Some(wear) = self
            .wear
            .get_mut(word.saturating_mul(WORD_BYTES) / PAGE_BYTES)
        {
            wear.words_written = wear.words_written.saturating_add(1);
        }
        Ok(())
    }

    fn erase_page(&mut self, page: usize) -> Result<(), FlashError> {
        let first = page.saturating_mul(PAGE_BYTES / WORD_BYTES);
        let last = first.saturating_add(PAGE_BYTES / WORD_BYTES);
        let tear = self.spend(self.timing.page_erase)?;
        if tear != Tear::NotBegun
            && let Some(wear) = self.wear.get_mut(page)
        {
            wear.erases = wear.erases.saturating_add(1);
        }
        let erases = self.wear.get(page).map_or(0, |wear| wear.erases);
        if self.endurance.is_some_and(|endurance| erases > endurance)
            && let Some(worn @ None) = self.worn.get_mut(page)
        {
            let seed = u64::try_from(page).unwrap_or_default();
            *worn = Some(if page.is_multiple_of(2) {
                Worn::Silently(seed)
            } else {
                Worn::Refusing
            });
        }
        let worn = self.worn.get(page).copied().flatten();
        match tear {
            Tear::NotBegun => {}
            Tear::Torn(_) | Tear::Done if worn == Some(Worn::Refusing) => {
                self.answer()?;
                return Err(FlashError::Failed(-5));
            }
            Tear::Done if worn.is_none() => {
                for word in first..last {
                    self.set_word(word, u32::MAX, WordState::Erased);
                }
            }
            Tear::Torn(_) | Tear::Done => {
                let seed = match (tear, worn) {
                    (Tear::Torn(seed), _) | (_, Some(Worn::Silently(seed))) => seed,
                    _ => 0,
                };
                let mut random = Random::new(seed, page);
                // From hardly begun to nearly done; and the markers, on which the library's view hangs, in every combination.
                // The extremes, all unchanged or all erased between the markers, more often than the rest.
                let untouched = random.below(24).saturating_sub(4).min(16);
                let halfway = random.below(21).saturating_sub(4);
                for word in first..last {
                    let marker = word == first || word.saturating_add(1) == last;
                    let (untouched, halfway) = if marker { (5, 8) } else { (untouched, halfway) };
                    let there = self.word(word);
                    let value = if random.below(16) < untouched {
                        there
                    } else if random.below(16) < halfway {
                        there | random.next_word()
                    } else {
                        u32::MAX
                    };
                    self.set_word(word, value, WordState::Torn);
                }
                if worn.is_some() {
                    let words = u64::try_from(last.saturating_sub(first)).unwrap_or_default();
                    let stuck = usize::try_from(random.below(words)).unwrap_or_default();
                    let bit = u32::try_from(random.below(32)).unwrap_or_default();
                    let bits = 1_u32.checked_shl(bit).unwrap_or_default();
                    let word = first.saturating_add(stuck);
                    self.set_word(word, self.word(word) & !bits, WordState::Torn);
                }
            }
        }
        Ok(())
    }

    /// Copies a range of `bytes` to the file, if there is one.
    fn write_through(&mut self, start: usize, length: usize) -> Result<(), FlashError> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let end = start.saturating_add(length);
        let bytes = self.bytes.get(start..end).unwrap_or_default();
        let position = u64::try_from(start).map_err(|_| FlashError::OutOfRange)?;
        file.seek(SeekFrom::Start(position))
            .and_then(|_| file.write_all(bytes))
            .map_err(|error| FlashError::Failed(error.raw_os_error().unwrap_or(-1)))
    }
}

impl Flash for VirtualFlash {
    fn size(&self, partition: Partition) -> u32 {
        self.sizes
            .get(Self::number(partition))
            .copied()
            .unwrap_or_default()
    }

    fn read(
        &mut self,
        partition: Partition,
        offset: u32,
        bytes: &mut [u8],
    ) -> Result<(), FlashError> {
        if self.is_off() {
            return Err(FlashError::NoPower);
        }
        match self.range(partition, offset, bytes.len()) {
            Ok(range) => {
                if let Some(wear) = self.wear.get_mut(range.start / PAGE_BYTES) {
                    wear.reads = wear.reads.saturating_add(1);
                }
                if let Some(source) = self.bytes.get(range) {
                    bytes.copy_from_slice(source);
                }
                Ok(())
            }
            Err(error) => self.refuse(error),
        }
    }

    fn write(&mut self, partition: Partition, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        if self.is_off() {
            return Err(FlashError::NoPower);
        }
        let range = match self.range(partition, offset, bytes.len()) {
            Ok(range) => range,
            Err(error) => return self.refuse(error),
        };
        if !offset.is_multiple_of(WORD) || !bytes.len().is_multiple_of(WORD_BYTES) {
            return self.refuse(FlashError::Misaligned);
        }
        let first = range.start / WORD_BYTES;
        let mut result = Ok(());
        for (word, value) in (first..).zip(bytes.chunks_exact(WORD_BYTES)) {
            let value = value
                .first_chunk()
                .map_or(u32::MAX, |bytes| u32::from_le_bytes(*bytes));
            result = self.write_word(word, value).and_then(|()| self.answer());
            if result.is_err() {
                break;
            }
        }
        self.write_through(range.start, bytes.len())?;
        result
    }

    fn erase(&mut self, partition: Partition, from: u32, to: u32) -> Result<(), FlashError> {
        if self.is_off() {
            return Err(FlashError::NoPower);
        }
        let length = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
        let range = match self.range(partition, from, length) {
            Ok(range) if to >= from => range,
            Ok(_) => return self.refuse(FlashError::OutOfRange),
            Err(error) => return self.refuse(error),
        };
        if !from.is_multiple_of(PAGE) || !to.is_multiple_of(PAGE) {
            return self.refuse(FlashError::Misaligned);
        }
        let mut result = Ok(());
        for page in range.start / PAGE_BYTES..range.end / PAGE_BYTES {
            result = self.erase_page(page).and_then(|()| self.answer());
            if result.is_err() {
                break;
            }
        }
        self.write_through(range.start, length)?;
        result
    }
}

/// Length of an image file in bytes.
fn image_length() -> u64 {
    NRF52840.into_iter().map(u64::from).sum()
}

/// Takes the advisory lock, which ends with the file's closing.
fn lock(file: &File, path: &Path) -> Result<(), ImageError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => ImageError::InUse {
            path: path.to_path_buf(),
        },
        TryLockError::Error(error) => ImageError::Io {
            path: path.to_path_buf(),
            error,
        },
    })
}

/// SplitMix64 (Steele, Lea, Flood 2014): repeatable noise from a seed.
struct Random(u64);

impl Random {
    fn new(seed: u64, place: usize) -> Self {
        let place = u64::try_from(place).unwrap_or_default();
        Self(seed ^ place.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn next_word(&mut self) -> u32 {
        u32::try_from(self.next() >> 32).unwrap_or_default()
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next().checked_rem(end).unwrap_or_default()
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use std::string::ToString;

    use super::*;

    const WORD_OF_0S: [u8; 4] = [0; 4];

    fn small() -> VirtualFlash {
        VirtualFlash::with_sizes([0x2000; 4])
    }

    #[test]
    fn nrf52840_layout_is_440_kib_from_0x8c000_to_0xfa000() {
        let flash = VirtualFlash::nrf52840();
        let total: u32 = Partition::ALL.iter().map(|p| flash.size(*p)).sum();
        assert_eq!(total, 440 * 1024);
        assert_eq!(total, 0xF_A000 - 0x8_C000);
        assert_eq!(u64::from(total), image_length());
        assert_eq!(flash.size(Partition::Journal), 384 * 1024);
        assert_eq!(flash.size(Partition::Critical), 32 * 1024);
        assert_eq!(flash.size(Partition::StateA), 12 * 1024);
        assert_eq!(flash.size(Partition::StateB), 12 * 1024);
    }

    #[test]
    fn a_second_write_is_refused_and_counted() {
        let mut flash = small();
        flash.write(Partition::StateA, 8, &[1, 2, 3, 4]).unwrap();
        assert_eq!(
            flash.write(Partition::StateA, 8, &WORD_OF_0S),
            Err(FlashError::NotErased)
        );
        // All ones are a write too, but one that nobody can see: one more is allowed, and counted.
        flash.write(Partition::StateA, 12, &[0xFF; 4]).unwrap();
        flash.write(Partition::StateA, 12, &WORD_OF_0S).unwrap();
        assert_eq!(flash.rewritten(), 1);
        assert_eq!(
            flash.write(Partition::StateA, 12, &WORD_OF_0S),
            Err(FlashError::NotErased)
        );
        assert_eq!(flash.refused(), 2);
        flash.erase(Partition::StateA, 0, PAGE).unwrap();
        flash.write(Partition::StateA, 8, &WORD_OF_0S).unwrap();
        let mut read = [1; 4];
        flash.read(Partition::StateA, 8, &mut read).unwrap();
        assert_eq!(read, WORD_OF_0S);
    }

    #[test]
    fn misaligned_and_out_of_range_are_refused_and_counted() {
        let mut flash = small();
        let p = Partition::Critical;
        assert_eq!(flash.write(p, 2, &WORD_OF_0S), Err(FlashError::Misaligned));
        assert_eq!(flash.write(p, 0, &[0; 3]), Err(FlashError::Misaligned));
        assert_eq!(flash.erase(p, 0, 100), Err(FlashError::Misaligned));
        assert_eq!(flash.erase(p, 4, PAGE), Err(FlashError::Misaligned));
        assert_eq!(flash.erase(p, PAGE, 0), Err(FlashError::OutOfRange));
        assert_eq!(
            flash.write(p, 0x2000, &WORD_OF_0S),
            Err(FlashError::OutOfRange)
        );
        assert_eq!(flash.erase(p, 0, 0x3000), Err(FlashError::OutOfRange));
        assert_eq!(
            flash.read(p, 0x1FFF, &mut [0; 2]),
            Err(FlashError::OutOfRange)
        );
        assert_eq!(
            flash.read(p, u32::MAX, &mut [0; 2]),
            Err(FlashError::OutOfRange)
        );
        assert_eq!(flash.refused(), 9);
        assert_eq!(flash.operations(), 0);
        assert!(flash.contents(p).iter().all(|byte| *byte == 0xFF));
    }

    #[test]
    fn wear_and_time_add_up() {
        let mut flash = small();
        flash.write(Partition::StateB, PAGE, &[0; 12]).unwrap();
        flash.erase(Partition::StateB, PAGE, 2 * PAGE).unwrap();
        flash.read(Partition::StateB, PAGE, &mut [0; 10]).unwrap();
        assert_eq!(flash.wear(Partition::StateB)[0], PageWear::default());
        assert_eq!(
            flash.wear(Partition::StateB)[1],
            PageWear {
                reads: 1,
                words_written: 3,
                erases: 1
            }
        );
        assert_eq!(flash.take_busy(), Duration::from_micros(3 * 41 + 85_000));
        assert_eq!(flash.take_busy(), Duration::from_micros(0));
        assert_eq!(flash.operations(), 4);
    }

    #[test]
    fn a_torn_write_does_some_of_the_bits_and_can_be_completed_once() {
        let p = Partition::StateA;
        let mut some = false;
        for seed in 0..50 {
            let mut flash = small();
            flash.cut_after(1, Tear::Torn(seed));
            assert_eq!(flash.write(p, 0, &[0; 12]), Err(FlashError::NoPower));
            assert!(flash.is_off());
            assert_eq!(flash.read(p, 0, &mut [0; 4]), Err(FlashError::NoPower));
            assert_eq!(flash.erase(p, 0, PAGE), Err(FlashError::NoPower));
            flash.power_on();
            assert_eq!(flash.contents(p)[..4], WORD_OF_0S);
            assert_eq!(flash.contents(p)[8..12], [0xFF; 4]);
            assert_eq!(flash.word_state(p, 0), Some(WordState::Written));
            assert_eq!(flash.word_state(p, 4), Some(WordState::Torn));
            assert_eq!(flash.word_state(p, 8), Some(WordState::Erased));
            some |= flash.contents(p)[4..8] != [0; 4] && flash.contents(p)[4..8] != [0xFF; 4];
            assert_eq!(flash.write(p, 4, &[0xFF; 4]), Err(FlashError::NotErased));
            flash.write(p, 4, &WORD_OF_0S).unwrap();
            assert_eq!(flash.rewritten(), 1);
            assert_eq!(flash.write(p, 4, &WORD_OF_0S), Err(FlashError::NotErased));
        }
        assert!(some, "no write was torn in the middle");
    }

    #[test]
    fn cuts_come_before_or_after_the_operation() {
        let p = Partition::StateA;
        let mut flash = small();
        flash.cut_after(0, Tear::NotBegun);
        assert_eq!(flash.write(p, 0, &WORD_OF_0S), Err(FlashError::NoPower));
        flash.power_on();
        assert_eq!(flash.word_state(p, 0), Some(WordState::Erased));
        flash.cut_after(0, Tear::Done);
        assert_eq!(flash.write(p, 0, &WORD_OF_0S), Err(FlashError::NoPower));
        flash.power_on();
        assert_eq!(flash.word_state(p, 0), Some(WordState::Written));
        flash.cut_after(0, Tear::Done);
        assert_eq!(flash.erase(p, 0, PAGE), Err(FlashError::NoPower));
        flash.power_on();
        assert_eq!(flash.word_state(p, 0), Some(WordState::Erased));
    }

    #[test]
    fn a_worn_page_keeps_something_or_says_so() {
        let p = Partition::Critical;
        for seed in 0..200 {
            let mut flash = small();
            flash.wear_out(p, 1, Some(Worn::Silently(seed)));
            flash.write(p, PAGE, &[0x5A; 4096]).unwrap();
            flash.erase(p, PAGE, 2 * PAGE).unwrap();
            assert!(flash.contents(p)[4096..].iter().any(|byte| *byte != 0xFF));
            flash.wear_out(p, 1, None);
            flash.erase(p, PAGE, 2 * PAGE).unwrap();
            assert!(flash.contents(p).iter().all(|byte| *byte == 0xFF));
        }
        let mut flash = small();
        flash.wear_out(p, 0, Some(Worn::Refusing));
        flash.wear_out(p, 2, Some(Worn::Refusing));
        flash.write(p, 0, &WORD_OF_0S).unwrap();
        assert_eq!(flash.erase(p, 0, PAGE), Err(FlashError::Failed(-5)));
        assert_eq!(flash.contents(p)[..4], WORD_OF_0S);
        flash.erase(Partition::StateA, 0, PAGE).unwrap();
    }

    #[test]
    fn pages_last_as_long_as_their_endurance() {
        let mut flash = small();
        flash.set_endurance(3);
        for page in 0..2 {
            let (from, to) = (page * PAGE, (page + 1) * PAGE);
            for _ in 0..3 {
                flash.erase(Partition::StateB, from, to).unwrap();
                assert!(
                    flash
                        .contents(Partition::StateB)
                        .iter()
                        .all(|byte| *byte == 0xFF)
                );
            }
            let answer = flash.erase(Partition::StateB, from, to);
            let blank = flash.contents(Partition::StateB)[..8192]
                .iter()
                .all(|byte| *byte == 0xFF);
            assert!(answer.is_err() || !blank);
            flash.wear_out(Partition::StateB, page, None);
            flash.set_endurance(u32::MAX);
            flash.erase(Partition::StateB, from, to).unwrap();
            flash.set_endurance(3);
        }
    }

    #[test]
    fn torn_erases_leave_every_kind_of_page() {
        let p = Partition::StateA;
        let mut kinds = std::collections::BTreeSet::new();
        for seed in 0..1000 {
            let mut flash = small();
            flash.write(p, 0, &[0x5A; 4096]).unwrap();
            flash.cut_after(0, Tear::Torn(seed));
            flash.erase(p, 0, PAGE).unwrap_err();
            flash.power_on();
            let page = &flash.contents(p)[..4096];
            let marked = |word: &[u8]| word.iter().map(|byte| byte.count_zeros()).sum::<u32>() >= 4;
            let blank = page[4..4092].iter().all(|byte| *byte == 0xFF);
            let same = page[4..4092].iter().all(|byte| *byte == 0x5A);
            kinds.insert((marked(&page[..4]), marked(&page[4092..]), blank, same));
        }
        for first in [false, true] {
            for last in [false, true] {
                for (blank, same) in [(false, false), (true, false), (false, true)] {
                    assert!(kinds.contains(&(first, last, blank, same)), "{kinds:?}");
                }
            }
        }
    }

    struct TemporaryFile(PathBuf);

    impl TemporaryFile {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir()
                .join(std::format!("thecal-journal-{}-{name}", std::process::id()));
            std::fs::remove_file(&path).ok();
            Self(path)
        }
    }

    impl Drop for TemporaryFile {
        fn drop(&mut self) {
            std::fs::remove_file(&self.0).ok();
        }
    }

    #[test]
    fn an_image_keeps_what_was_written() {
        let file = TemporaryFile::new("kept");
        let mut flash = VirtualFlash::open_or_create_image(&file.0).unwrap();
        flash
            .write(Partition::StateB, 0x2FFC, &[1, 2, 3, 4])
            .unwrap();
        flash.write(Partition::Critical, 0, &[9; 8]).unwrap();
        flash.erase(Partition::Critical, 0, PAGE).unwrap();
        drop(flash);
        let bytes = std::fs::read(&file.0).unwrap();
        assert_eq!(bytes.len(), 450_560);
        assert_eq!(bytes[450_556..], [1, 2, 3, 4]);
        assert!(bytes[..450_556].iter().all(|byte| *byte == 0xFF));
        let flash = VirtualFlash::open_or_create_image(&file.0).unwrap();
        assert_eq!(
            flash.word_state(Partition::StateB, 0x2FFC),
            Some(WordState::Torn)
        );
    }

    #[test]
    fn an_image_in_use_is_refused() {
        let file = TemporaryFile::new("in-use");
        let first = VirtualFlash::create_image(&file.0).unwrap();
        let error = VirtualFlash::open_image(&file.0).unwrap_err();
        assert!(matches!(error, ImageError::InUse { .. }), "{error}");
        // A copy is in memory and needs no file.
        let copy = first.clone();
        drop(first);
        VirtualFlash::open_image(&file.0).unwrap();
        drop(copy);
    }

    #[test]
    fn a_wrong_size_is_refused_and_nothing_is_overwritten() {
        let file = TemporaryFile::new("wrong-size");
        std::fs::write(&file.0, b"not an image").unwrap();
        let error = VirtualFlash::open_or_create_image(&file.0).unwrap_err();
        let text = std::format!("{error}");
        assert!(
            text.contains("12 bytes") && text.contains("450560"),
            "{text}"
        );
        assert!(VirtualFlash::create_image(&file.0).is_err());
        assert_eq!(std::fs::read(&file.0).unwrap(), b"not an image");
        let folder = VirtualFlash::open_or_create_image(std::env::temp_dir()).unwrap_err();
        assert!(matches!(folder, ImageError::Io { .. }), "{folder}");
        let missing = VirtualFlash::open_image("/nonexistent/image").unwrap_err();
        assert!(missing.to_string().contains("/nonexistent/image"));
    }
}
