//! The journal: the one owner of the four partitions.

use crate::envelope::{BODY_BYTES, Envelope, Kind, Stamp};
use crate::error::JournalError;
use crate::flash::{Flash, FlashError, PAGE, Partition};
use crate::frame::ITEM_BYTES;
use crate::opening::{Opening, Repairs, RingCondition, StateCondition};
use crate::ring::{Ring, Survey};
use crate::state::{Buffers, State};

use units::{Clock, PumpTime};

/// Smallest partition, bytes: the library needs a page to write to and one to fall back on.
const SMALLEST_PARTITION: u32 = PAGE.saturating_mul(2);

/// A record of a ring with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Counts the records of the ring over the pump's life, without gaps. A missing number is a damaged record or, at the front,
    /// one that was overwritten.
    pub sequence: u32,
    /// The record.
    pub envelope: Envelope<'a>,
}

/// The event log, the checkpoints and the state.
///
/// Calls block until the flash has done the work and belong in one thread. No call panics, and each does bounded work:
///
/// | call | page erases, at most | word writes, at most |
/// |---|---|---|
/// | [`Journal::append`], [`Journal::checkpoint`] | 1 | 4 + the frame's words |
/// | [`Journal::put`], room on the page | 0 | 2 x (6 + the value's and the index's words) |
/// | [`Journal::put`], page full | 1 for each bank | the same, and 2 x 1024 to copy what is live |
/// | [`Journal::get`], both copies good; [`Journal::read`], [`Journal::latest_checkpoint`] | 0 | 0 |
///
/// After a failed call the next one first looks at the pages again, and repairs them: in a ring two word writes a page, in a bank
/// at most an erase of each of its pages and a copy of what is live.
///
/// Nothing is cached: a call reads two words of every page of its partition and the headers on the page in use.
#[derive(Clone, Debug)]
pub struct Journal<F> {
    flash: F,
    events: Ring,
    checkpoints: Ring,
    state: State,
    repairs: Repairs,
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
            if size < SMALLEST_PARTITION || !size.is_multiple_of(PAGE) {
                return Err(JournalError::UnsupportedSize { partition, size });
            }
        }
        let mut journal = Self {
            flash,
            events: Ring::new(Partition::Journal),
            checkpoints: Ring::new(Partition::Critical),
            state: State::new(),
            repairs: Repairs::default(),
            frame: [0; ITEM_BYTES],
            scratch: [0; ITEM_BYTES],
        };
        let events = journal.survey(Partition::Journal);
        let checkpoints = journal.survey(Partition::Critical);
        journal.recover();
        let unused = events.condition == RingCondition::Blank
            && checkpoints.condition == RingCondition::Blank;
        if journal.state.condition() == StateCondition::Blank && !unused {
            // State is written before anything else: blank banks beside a ring that is not have lost theirs.
            journal.state.forget();
        }
        let state = journal.state.condition();
        let boot = journal
            .state
            .boot()
            .max(events.boot)
            .max(checkpoints.boot)
            .saturating_add(1);
        let boot_kept = journal.keep_boot(boot);
        let opening = Opening {
            boot,
            boot_kept,
            state,
            kinds_lost: u8::try_from(journal.state.lost().count()).unwrap_or(u8::MAX),
            redundant: journal.state.redundant(),
            journal: events.condition,
            critical: checkpoints.condition,
            repairs: journal.repairs,
        };
        Ok((journal, opening))
    }

    /// Adds an event to the log. When the partition is full the page with the oldest events is erased.
    ///
    /// # Errors
    /// The event certainly is not in the log, and can be appended again; except with [`JournalError::Undecided`], when the flash
    /// cannot be read either.
    pub fn append(&mut self, envelope: &Envelope<'_>) -> Result<(), JournalError> {
        check(envelope)?;
        self.events.push(
            &mut self.flash,
            envelope,
            &mut self.frame,
            &mut self.scratch,
            &mut self.repairs,
        )
    }

    /// Adds a checkpoint. When the partition is full the page with the oldest checkpoints is erased.
    ///
    /// # Errors
    /// As for [`Journal::append`].
    pub fn checkpoint(&mut self, envelope: &Envelope<'_>) -> Result<(), JournalError> {
        check(envelope)?;
        self.push_checkpoint(envelope)
    }

    /// Keeps the newest value of its kind, twice.
    ///
    /// A power cut leaves the old value or the new one, whole. All values together, the largest of them a second time and 288 bytes for
    /// the index must fit into 4088 bytes, where one of n bytes of body takes about n + 40. So a value that was accepted can always be
    /// replaced by one of its size.
    ///
    /// # Errors
    /// The old value holds, for certain, also after the next [`Journal::open`]; except with [`JournalError::Undecided`]. If only the
    /// second copy failed the value is kept, and [`Journal::redundant`] tells.
    pub fn put(&mut self, envelope: &Envelope<'_>) -> Result<(), JournalError> {
        check(envelope)?;
        let mut buffers = Buffers {
            frame: &mut self.frame,
            scratch: &mut self.scratch,
        };
        self.state
            .put(&mut self.flash, envelope, &mut buffers, &mut self.repairs)
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
        self.state
            .get(&mut self.flash, kind, body, &mut buffers, &mut self.repairs)
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
        self.state
            .accept_loss(&mut self.flash, &mut buffers, &mut self.repairs)
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
                |frame| {
                    let envelope = &frame.envelope;
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

    /// Calls `each` with every event that can be read, from the oldest to the newest.
    ///
    /// # Errors
    /// [`JournalError::Flash`] when the flash cannot be read; `each` may have been called by then.
    pub fn read(&mut self, mut each: impl FnMut(&Envelope<'_>)) -> Result<(), JournalError> {
        self.read_records(|record| each(&record.envelope))
    }

    /// As [`Journal::read`], with each event's number.
    ///
    /// # Errors
    /// As for [`Journal::read`].
    pub fn read_records(&mut self, mut each: impl FnMut(&Record<'_>)) -> Result<(), JournalError> {
        self.events
            .read(&mut self.flash, &mut self.scratch, |frame| {
                each(&Record {
                    sequence: frame.sequence,
                    envelope: frame.envelope,
                });
            })
            .map_err(|error| JournalError::flash(Partition::Journal, error))
    }

    /// Calls `each` with every checkpoint that can be read, from the oldest to the newest.
    ///
    /// # Errors
    /// As for [`Journal::read`].
    pub fn read_checkpoints(
        &mut self,
        mut each: impl FnMut(&Record<'_>),
    ) -> Result<(), JournalError> {
        self.checkpoints
            .read(&mut self.flash, &mut self.scratch, |frame| {
                if frame.envelope.kind != Kind::INDEX {
                    each(&Record {
                        sequence: frame.sequence,
                        envelope: frame.envelope,
                    });
                }
            })
            .map_err(|error| JournalError::flash(Partition::Critical, error))
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

    fn survey(&mut self, partition: Partition) -> Survey {
        let ring = if partition == Partition::Journal {
            &mut self.events
        } else {
            &mut self.checkpoints
        };
        let mut erases = 1;
        let failing = |_: FlashError| Survey {
            condition: RingCondition::Failing,
            newest: None,
            boot: 0,
        };
        ring.survey(
            &mut self.flash,
            &mut self.scratch,
            &mut self.repairs,
            &mut erases,
        )
        .unwrap_or_else(failing)
    }

    fn recover(&mut self) {
        let mut buffers = Buffers {
            frame: &mut self.frame,
            scratch: &mut self.scratch,
        };
        self.state
            .recover(&mut self.flash, &mut buffers, &mut self.repairs);
    }

    /// Writes the boot number: to the banks, or to the checkpoints if the banks are evidence or fail.
    fn keep_boot(&mut self, boot: u32) -> bool {
        let mut buffers = Buffers {
            frame: &mut self.frame,
            scratch: &mut self.scratch,
        };
        if self
            .state
            .put_boot(&mut self.flash, boot, &mut buffers)
            .is_ok()
        {
            return true;
        }
        let note = Envelope {
            kind: Kind::INDEX,
            version: 0,
            stamp: Stamp {
                boot,
                monotonic: PumpTime::from_micros(0),
                wall: Clock::Lost,
            },
            body: &[],
        };
        self.push_checkpoint(&note).is_ok()
    }

    fn push_checkpoint(&mut self, envelope: &Envelope<'_>) -> Result<(), JournalError> {
        self.checkpoints.push(
            &mut self.flash,
            envelope,
            &mut self.frame,
            &mut self.scratch,
            &mut self.repairs,
        )
    }
}

/// Refuses what is the caller's mistake before anything is written.
fn check(envelope: &Envelope<'_>) -> Result<(), JournalError> {
    if envelope.kind == Kind::INDEX {
        Err(JournalError::ReservedKind)
    } else if envelope.body.len() > BODY_BYTES {
        Err(JournalError::BodyTooLong)
    } else {
        Ok(())
    }
}
