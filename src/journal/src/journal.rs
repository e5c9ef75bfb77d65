//! The journal: the one owner of the four partitions.

use core::ops::ControlFlow;

use heapless::Vec;

use crate::area::Area;
use crate::chain::{Head, KEY_BYTES, Log, Position};
use crate::envelope::{BODY_BYTES, Envelope, Kind, Stamp};
use crate::error::JournalError;
use crate::flash::{Flash, PAGE, Partition};
use crate::frame::ITEM_BYTES;
use crate::index::Retired;
use crate::opening::{Opening, Repairs, RingCondition, StateCondition};
use crate::record::Record;
use crate::ring::{Ring, Survey};
use crate::state::{Buffers, State};
use units::{Clock, PumpTime};

/// Smallest partition, bytes: the library needs a page to write to and one to fall back on.
const SMALLEST_PARTITION: u32 = PAGE.saturating_mul(2);
/// The partition of the logs holds two rings.
const SMALLEST_JOURNAL: u32 = PAGE.saturating_mul(4);

/// How the state sees the flash.
static WHOLE: Area = Area::none();

/// Length of the number before each record that [`Journal::read_from`] gives out, bytes.
const LENGTH_BYTES: usize = 2;

/// Pages at the end of the `journal` partition that belong to the log of critical events: six hold the last 400 of up to 48 bytes of flash
/// each (`tests::measure`), smaller flashes give a quarter.
#[must_use]
pub const fn critical_pages(journal_pages: u32) -> u32 {
    match journal_pages / 4 {
        0..=2 => 2,
        quarter @ 3..=6 => quarter,
        7.. => 6,
    }
}

/// What [`Journal::read_from`] has put into the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Bytes used: records one after another, each with its length as two bytes, little-endian, before it.
    pub used: usize,
    /// Where to go on: the number behind the last record given out, or `from` if there was none. Whoever has got number [`Part::newest`] has all.
    pub next: u32,
    /// Number of the newest record; none in an empty log.
    pub newest: Option<u32>,
}

/// The event log, the checkpoints and the state.
///
/// Calls block until the flash has done the work and belong in one thread. No call panics, and each does bounded work:
///
/// | call | page erases, at most | word writes, at most |
/// |---|---|---|
/// | [`Journal::append`], [`Journal::checkpoint`] | 1 | 4 + the frame's words |
/// | [`Journal::append_critical`] | 2 | twice that |
/// | [`Journal::put`], room on the page | 0 | 2 x (6 + the value's and the index's words) |
/// | [`Journal::put`], page full | 1 for each bank | the same, and 2 x 1024 to copy what is live |
/// | [`Journal::get`], both copies good; [`Journal::read`], [`Journal::latest_checkpoint`] | 0 | 0 |
///
/// After a failed call the next one first looks at the pages again, and repairs them: in a ring two word writes a page, in a bank
/// at most an erase of each of its pages and a copy of what is live. A page that does not erase costs two attempts, once, and its ring goes
/// on without it, which is kept in the state as by a [`Journal::put`]; no call takes more than two such pages out of a ring.
///
/// Nothing is cached: a call reads two words of every page of its partition and the headers on the page in use.
#[derive(Clone, Debug)]
pub struct Journal<F> {
    flash: F,
    events: Ring,
    critical: Ring,
    checkpoints: Ring,
    state: State,
    boot: u32,
    repairs: Repairs,
    /// Of the retired pages among the repairs, how many the state was told of.
    retired_remembered: u32,
    frame: [u8; ITEM_BYTES],
    scratch: [u8; ITEM_BYTES],
}

impl<F: Flash> Journal<F> {
    /// Takes over the flash, repairs what a cut or damage left, and gives this boot a number that no earlier one had.
    ///
    /// A blank flash is a first start. Damage of any kind still opens, and is reported; nothing that can be read is erased unless it
    /// is whole elsewhere, and state of which nothing can be read is left untouched until the next [`Journal::put`]. A power cut
    /// during opening only costs a boot number.
    ///
    /// # Errors
    /// [`JournalError::UnsupportedSize`]. A flash that fails still opens: see [`Opening::boot_kept`], [`Opening::redundant`],
    /// [`RingCondition::Failing`] and [`StateCondition::Unreadable`].
    pub fn open(flash: F) -> Result<(Self, Opening), JournalError> {
        for partition in Partition::ALL {
            let size = flash.size(partition);
            let smallest = if partition == Partition::Journal {
                SMALLEST_JOURNAL
            } else {
                SMALLEST_PARTITION
            };
            if size < smallest || !size.is_multiple_of(PAGE) {
                return Err(JournalError::UnsupportedSize { partition, size });
            }
        }
        let journal_pages = flash.size(Partition::Journal) / PAGE;
        let critical = critical_pages(journal_pages);
        let events = journal_pages.saturating_sub(critical);
        let checkpoints = flash.size(Partition::Critical) / PAGE;
        let mut journal = Self {
            flash,
            events: Ring::new(Area::new(Partition::Journal, 0, events), true),
            critical: Ring::new(Area::new(Partition::Journal, events, critical), true),
            checkpoints: Ring::new(Area::new(Partition::Critical, 0, checkpoints), false),
            state: State::new(),
            boot: 0,
            repairs: Repairs::default(),
            retired_remembered: 0,
            frame: [0; ITEM_BYTES],
            scratch: [0; ITEM_BYTES],
        };
        // First, because it says which pages the rings are to leave alone.
        journal.recover();
        journal.leave_out_retired_pages();
        let [events, critical, checkpoints] = RingOf::ALL.map(|ring| journal.survey(ring));
        let surveys = [events, critical, checkpoints];
        let unused = surveys
            .iter()
            .all(|survey| survey.condition == RingCondition::Blank);
        if journal.state.condition() == StateCondition::Blank && !unused {
            // State is written before anything else: blank banks beside a ring that is not have lost theirs.
            journal.state.forget();
        }
        let state = journal.state.condition();
        let boot = surveys
            .iter()
            .map(|survey| survey.boot)
            .fold(journal.state.boot(), u32::max)
            .saturating_add(1);
        journal.boot = boot;
        let boot_kept = journal.keep_boot(boot);
        let continued = |ring: &Ring, survey: &Survey| {
            survey.condition == RingCondition::Blank
                || ring
                    .position()
                    .is_some_and(|position| position.state.is_some())
        };
        let opening = Opening {
            boot,
            boot_kept,
            state,
            kinds_lost: u8::try_from(journal.state.lost().count()).unwrap_or(u8::MAX),
            redundant: journal.state.redundant(),
            events: events.condition,
            critical: critical.condition,
            checkpoints: checkpoints.condition,
            chained: continued(&journal.events, &events) && continued(&journal.critical, &critical),
            pages_retired: journal.pages_retired(),
            repairs: journal.repairs,
        };
        Ok((journal, opening))
    }

    /// Adds an event to the log. When the log is full the page with the oldest events is erased.
    ///
    /// # Errors
    /// The event certainly is not in the log, and can be appended again; except with [`JournalError::Undecided`], when the flash
    /// cannot be read either.
    pub fn append(&mut self, envelope: &Envelope<'_>) -> Result<(), JournalError> {
        check(envelope)?;
        self.push(RingOf::Events, envelope)
    }

    /// Adds a critical event to both logs: to its own, where only other critical events can take its place, and then to that of all events.
    ///
    /// # Errors
    /// As for [`Journal::append`], for at least one of the two. A power cut between the two leaves it in its own alone.
    pub fn append_critical(&mut self, envelope: &Envelope<'_>) -> Result<(), JournalError> {
        check(envelope)?;
        let critical = self.push(RingOf::Critical, envelope);
        let events = self.push(RingOf::Events, envelope);
        critical.and(events)
    }

    /// Adds a checkpoint. When the partition is full the page with the oldest checkpoints is erased.
    ///
    /// # Errors
    /// As for [`Journal::append`].
    pub fn checkpoint(&mut self, envelope: &Envelope<'_>) -> Result<(), JournalError> {
        check(envelope)?;
        self.push(RingOf::Checkpoints, envelope)
    }

    /// Keeps the newest value of its kind, twice.
    ///
    /// A power cut leaves the old value or the new one, whole. All values together, the largest of them a second time, the index and 348 bytes for
    /// the next one must fit into the pages of a bank less one, where one of n bytes of body takes about n + 40. So a value that was accepted can always be
    /// replaced by one of its size.
    ///
    /// # Errors
    /// The old value holds, for certain, also after the next [`Journal::open`]; except with [`JournalError::Undecided`]. If only one
    /// of the two copies failed the value is kept, and [`Journal::redundant`] tells.
    pub fn put(&mut self, envelope: &Envelope<'_>) -> Result<(), JournalError> {
        check(envelope)?;
        self.put_value(envelope)
    }

    /// The newest value of a kind, its body copied into `body`; `None` if there never was one. Both copies are looked at, and a bad one
    /// is written anew ([`Journal::repairs`]).
    ///
    /// # Errors
    /// [`JournalError::StateLost`] when a value was acknowledged (or, after the loss of everything, may have been) and no good
    /// copy of it is left: never an older value in its place. [`JournalError::BufferTooSmall`]; [`BODY_BYTES`] are always enough.
    pub fn get<'b>(
        &mut self,
        kind: Kind,
        body: &'b mut [u8],
    ) -> Result<Option<Envelope<'b>>, JournalError> {
        let mut buffers = Buffers {
            frame: &mut self.frame,
            scratch: &mut self.scratch,
        };
        self.state.get(
            &mut WHOLE.view(&mut self.flash),
            kind,
            body,
            &mut buffers,
            &mut self.repairs,
        )
    }

    /// Ends the reporting of lost state: kinds without a value count as never put from now on. For when somebody who may has set up the pump
    /// anew; until then every opening is [`StateCondition::Incomplete`] or [`StateCondition::Unreadable`]. Unreadable banks are erased.
    ///
    /// # Errors
    /// As for [`Journal::put`]: nothing is changed.
    pub fn accept_loss(&mut self) -> Result<(), JournalError> {
        let mut buffers = Buffers {
            frame: &mut self.frame,
            scratch: &mut self.scratch,
        };
        self.state.accept_loss(
            &mut WHOLE.view(&mut self.flash),
            &mut buffers,
            &mut self.repairs,
        )
    }

    /// The newest checkpoint of a kind that is whole, its body copied into `body`.
    ///
    /// # Errors
    /// [`JournalError::Flash`]; [`JournalError::BufferTooSmall`]; [`BODY_BYTES`] are always enough.
    pub fn latest_checkpoint<'b>(
        &mut self,
        kind: Kind,
        body: &'b mut [u8],
    ) -> Result<Option<Envelope<'b>>, JournalError> {
        let mut copy = [0; BODY_BYTES];
        let mut newest: Option<(u8, Stamp, usize)> = None;
        self.checkpoints
            .newest(
                &mut self.flash,
                &mut self.scratch,
                |envelope| envelope.kind == kind,
                |record| {
                    let envelope = &record.envelope;
                    if let Some(copy) = copy.get_mut(..envelope.body.len()) {
                        copy.copy_from_slice(envelope.body);
                        newest = Some((envelope.version, envelope.stamp, envelope.body.len()));
                    }
                },
            )
            .map_err(|error| JournalError::flash(Partition::Critical, error))?;
        let Some((version, stamp, needed)) = newest else {
            return Ok(None);
        };
        let body = body
            .get_mut(..needed)
            .ok_or(JournalError::BufferTooSmall { needed })?;
        if let Some(copy) = copy.get(..needed) {
            body.copy_from_slice(copy);
        }
        Ok(Some(Envelope {
            kind,
            version,
            stamp,
            body,
        }))
    }

    /// Calls `each` with every record of a log that can be read, from the oldest to the newest.
    ///
    /// # Errors
    /// [`JournalError::Flash`] when the flash cannot be read; `each` may have been called by then.
    pub fn read(
        &mut self,
        log: Log,
        mut each: impl FnMut(&Record<'_>),
    ) -> Result<(), JournalError> {
        self.read_ring(RingOf::of(log), 0, |record| {
            each(record);
            ControlFlow::Continue(())
        })
    }

    /// Copies whole records of a log into `buffer`, from number `from` on, as many as fit: what a phone asks for piece by piece. A record
    /// that is missing is passed over. A record longer than the buffer is passed over too if it comes first; a buffer of
    /// [`crate::RECORD_BYTES`] and two more holds every record.
    ///
    /// # Errors
    /// As for [`Journal::read`].
    pub fn read_from(
        &mut self,
        log: Log,
        from: u32,
        buffer: &mut [u8],
    ) -> Result<Part, JournalError> {
        let mut used = 0_usize;
        let mut next = from;
        self.read_ring(RingOf::of(log), from, |record| {
            let length = u16::try_from(record.bytes.len()).unwrap_or(u16::MAX);
            let start = used.saturating_add(LENGTH_BYTES);
            let end = start.saturating_add(record.bytes.len());
            if let Some((before, place)) = buffer
                .get_mut(used..end)
                .and_then(|place| place.split_at_mut_checked(LENGTH_BYTES))
            {
                before.copy_from_slice(&length.to_le_bytes());
                place.copy_from_slice(record.bytes);
                used = end;
            } else if used > 0 {
                return ControlFlow::Break(());
            }
            next = record.sequence.saturating_add(1);
            ControlFlow::Continue(())
        })?;
        Ok(Part {
            used,
            next,
            newest: self.position(log).map(|position| position.sequence),
        })
    }

    /// Where the chain of a log stands; none in an empty one.
    #[must_use]
    pub fn position(&self, log: Log) -> Option<Position> {
        match log {
            Log::Events => self.events.position(),
            Log::Critical => self.critical.position(),
        }
    }

    /// The end of a log, signed; none while there is no key ([`Journal::make_key`]), no record, or after a break no anchor yet.
    ///
    /// # Errors
    /// [`JournalError::StateLost`] when the key was lost.
    pub fn head(&mut self, log: Log) -> Result<Option<Head>, JournalError> {
        let (Some(key), Some(position)) = (self.key()?, self.position(log)) else {
            return Ok(None);
        };
        Ok(position
            .state
            .map(|state| Head::sign(&key, log, position.sequence, state, self.boot)))
    }

    /// The key that signs heads; none if there has never been one.
    ///
    /// # Errors
    /// [`JournalError::StateLost`].
    pub fn key(&mut self) -> Result<Option<[u8; KEY_BYTES]>, JournalError> {
        let mut body = [0; BODY_BYTES];
        let found = self.get(Kind::KEY, &mut body)?;
        Ok(found.and_then(|envelope| envelope.body.first_chunk().copied()))
    }

    /// Sets the key that signs heads, out of numbers nobody can foresee. Once in a pump's life, and again after it was lost.
    ///
    /// # Errors
    /// As for [`Journal::put`].
    pub fn make_key(&mut self, key: &[u8; KEY_BYTES]) -> Result<(), JournalError> {
        self.put_value(&Envelope {
            kind: Kind::KEY,
            version: 0,
            stamp: self.own_stamp(),
            body: key,
        })
    }

    /// Calls `each` with every checkpoint that can be read, from the oldest to the newest.
    ///
    /// # Errors
    /// As for [`Journal::read`].
    pub fn read_checkpoints(
        &mut self,
        mut each: impl FnMut(&Record<'_>),
    ) -> Result<(), JournalError> {
        self.read_ring(RingOf::Checkpoints, 0, |record| {
            if record.envelope.kind != Kind::INDEX {
                each(record);
            }
            ControlFlow::Continue(())
        })
    }

    /// Looks at every copy of every value and writes bad ones anew, as [`Journal::open`] does.
    pub fn scrub(&mut self) -> StateCondition {
        self.recover();
        self.state.condition()
    }

    /// What was repaired since opening, including then.
    #[must_use]
    pub const fn repairs(&self) -> Repairs {
        self.repairs
    }

    /// How many pages of the rings no longer erase and are out of use.
    #[must_use]
    pub fn pages_retired(&self) -> u8 {
        let retired = [&self.events, &self.critical, &self.checkpoints]
            .map(|ring| ring.area().retired().len())
            .into_iter()
            .fold(0_usize, usize::saturating_add);
        u8::try_from(retired).unwrap_or(u8::MAX)
    }

    /// Whether both banks hold every value, as far as is known since they were last written or read.
    #[must_use]
    pub const fn redundant(&self) -> bool {
        self.state.redundant()
    }

    /// The flash below. Writing to it behind the journal's back is damage.
    #[must_use]
    pub const fn flash(&self) -> &F {
        &self.flash
    }

    /// As [`Journal::flash`], to be changed: for a flash whose model or driver has settings of its own.
    #[must_use]
    pub const fn flash_mut(&mut self) -> &mut F {
        &mut self.flash
    }

    /// Gives the flash back.
    #[must_use]
    pub fn into_flash(self) -> F {
        self.flash
    }

    fn put_value(&mut self, envelope: &Envelope<'_>) -> Result<(), JournalError> {
        let mut buffers = Buffers {
            frame: &mut self.frame,
            scratch: &mut self.scratch,
        };
        self.state.put(
            &mut WHOLE.view(&mut self.flash),
            envelope,
            &mut buffers,
            &mut self.repairs,
        )
    }

    /// A ring and what its calls work with.
    fn parts(&mut self, ring: RingOf) -> Parts<'_, F> {
        Parts {
            ring: match ring {
                RingOf::Events => &mut self.events,
                RingOf::Critical => &mut self.critical,
                RingOf::Checkpoints => &mut self.checkpoints,
            },
            flash: &mut self.flash,
            frame: &mut self.frame,
            scratch: &mut self.scratch,
            repairs: &mut self.repairs,
        }
    }

    fn push(&mut self, ring: RingOf, envelope: &Envelope<'_>) -> Result<(), JournalError> {
        let result = self.push_alone(ring, envelope);
        if self.repairs.pages_retired != self.retired_remembered {
            // Also those that opening has found: there it would take a stack that is deep enough already.
            self.retired_remembered = self.repairs.pages_retired;
            self.remember_retired_pages();
        }
        result
    }

    fn push_alone(&mut self, ring: RingOf, envelope: &Envelope<'_>) -> Result<(), JournalError> {
        let Parts {
            ring,
            flash,
            frame,
            scratch,
            repairs,
        } = self.parts(ring);
        ring.push(flash, envelope, frame, scratch, repairs)
    }

    fn read_ring(
        &mut self,
        ring: RingOf,
        from: u32,
        each: impl FnMut(&Record<'_>) -> ControlFlow<()>,
    ) -> Result<(), JournalError> {
        let Parts {
            ring,
            flash,
            scratch,
            ..
        } = self.parts(ring);
        let partition = ring.area().partition;
        ring.read(flash, scratch, from, each)
            .map_err(|error| JournalError::flash(partition, error))
    }

    fn survey(&mut self, ring: RingOf) -> Survey {
        let Parts {
            ring,
            flash,
            scratch,
            repairs,
            ..
        } = self.parts(ring);
        ring.survey(flash, scratch, repairs).unwrap_or(Survey {
            condition: RingCondition::Failing,
            newest: None,
            boot: 0,
        })
    }

    fn recover(&mut self) {
        let mut buffers = Buffers {
            frame: &mut self.frame,
            scratch: &mut self.scratch,
        };
        self.state.recover(
            &mut WHOLE.view(&mut self.flash),
            &mut buffers,
            &mut self.repairs,
        );
    }

    /// Takes out of use what the state says no longer erases.
    fn leave_out_retired_pages(&mut self) {
        for retired in self.state.retired() {
            let ring = match RingOf::from_number(retired.ring) {
                Some(RingOf::Events) => &mut self.events,
                Some(RingOf::Critical) => &mut self.critical,
                Some(RingOf::Checkpoints) => &mut self.checkpoints,
                None => continue,
            };
            ring.area_mut().retire(u32::from(retired.page));
        }
    }

    /// Has the state remember what no longer erases. If it cannot, the page is tried once more after the next reset.
    #[inline(never)]
    fn remember_retired_pages(&mut self) {
        let mut retired = Vec::new();
        for number in RingOf::ALL {
            for page in self.parts(number).ring.area().retired() {
                // More than can be remembered are tried again after the next reset.
                let _ = retired.push(Retired {
                    ring: number.number(),
                    page: *page,
                });
            }
        }
        if retired == self.state.retired() || self.state.condition() == StateCondition::Unreadable {
            return;
        }
        let mut buffers = Buffers {
            frame: &mut self.frame,
            scratch: &mut self.scratch,
        };
        let _ = self.state.put_retired(
            &mut WHOLE.view(&mut self.flash),
            retired,
            &mut buffers,
            &mut self.repairs,
        );
    }

    /// Writes the boot number: to the banks, or to the checkpoints if the banks are evidence or fail.
    fn keep_boot(&mut self, boot: u32) -> bool {
        let mut buffers = Buffers {
            frame: &mut self.frame,
            scratch: &mut self.scratch,
        };
        if self
            .state
            .put_boot(&mut WHOLE.view(&mut self.flash), boot, &mut buffers)
            .is_ok()
        {
            return true;
        }
        let note = Envelope {
            kind: Kind::INDEX,
            version: 0,
            stamp: self.own_stamp(),
            body: &[],
        };
        self.push_alone(RingOf::Checkpoints, &note).is_ok()
    }

    /// For records of the journal's own.
    const fn own_stamp(&self) -> Stamp {
        Stamp {
            boot: self.boot,
            monotonic: PumpTime::ZERO,
            wall: Clock::Lost,
        }
    }
}

/// A ring and what its calls work with.
struct Parts<'j, F> {
    ring: &'j mut Ring,
    flash: &'j mut F,
    frame: &'j mut [u8; ITEM_BYTES],
    scratch: &'j mut [u8; ITEM_BYTES],
    repairs: &'j mut Repairs,
}

/// The rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RingOf {
    Events,
    Critical,
    Checkpoints,
}

impl RingOf {
    const ALL: [Self; 3] = [Self::Events, Self::Critical, Self::Checkpoints];

    const fn of(log: Log) -> Self {
        match log {
            Log::Events => Self::Events,
            Log::Critical => Self::Critical,
        }
    }

    /// By which the index names it.
    const fn number(self) -> u8 {
        match self {
            Self::Events => 0,
            Self::Critical => 1,
            Self::Checkpoints => 2,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|ring| ring.number() == number)
    }
}

/// Refuses what is the caller's mistake before anything is written.
fn check(envelope: &Envelope<'_>) -> Result<(), JournalError> {
    if envelope.kind == Kind::INDEX || envelope.kind == Kind::KEY {
        Err(JournalError::ReservedKind)
    } else if envelope.body.len() > BODY_BYTES {
        Err(JournalError::BodyTooLong)
    } else {
        Ok(())
    }
}
