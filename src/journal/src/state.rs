//! Two banks of state that heal each other, and the index that says which value is the newest.
//!
//! # Writing
//!
//! [`State::put`] writes the value and then the index to bank A, and only when both are there the same to bank B. So at any instant at
//! least one bank is whole, and a value counts from the moment the index that names it is whole in bank A. A value that no index names
//! is one whose call did not succeed.
//!
//! A bank that cannot be written is passed over, and the other one goes on alone if it is *fit*: it holds every newest value, and its pages are
//! as the library leaves them between its operations, so that no repair of the library's can touch the only copies. When the first bank
//! comes back with what it held then, its index is the older one. A value counts then from the moment its index is whole in bank B.
//!
//! # Reading
//!
//! Of each kind the copy with the sequence number that the newest index names counts, in whichever bank. If neither bank has it, it was
//! acknowledged and is lost: the kind is then reported as lost, and an older value is not used in its place.
//!
//! # Healing
//!
//! A value behind the newest index, which does not name it, is one whose put was cut or failed undecided. It does not count and is dropped
//! with the bank's rewriting; with two exceptions, in which it is *adopted*: the bank cannot be rewritten because the other one is dead, or the
//! library, making room between such a value and its index, has kept it instead of the one that the index names.
//!
//! A bank that lacks a newest value gets it from the other one. A bank with anything in it that is no whole value, or with pages that
//! are not as the library leaves them, is erased and written anew, after the other one has taken over what only this one had. Only
//! when both are in that condition can something readable be lost; one cut cannot do that.

use heapless::Vec;

use crate::bank::Bank;
use crate::envelope::{BODY_BYTES, Envelope, Kind, Stamp};
use crate::error::JournalError;
use crate::flash::{Flash, FlashError, Partition};
use crate::frame::{Frame, ITEM_BYTES, KEY_BYTES};
use crate::index::{INDEX_BYTES, INDEX_VERSION, Index, KINDS, RETIRED_PAGES, Retired};
use crate::opening::{Repairs, StateCondition};
use crate::record::Link;
use crate::scan::FIRST_ITEM_END;

/// What fits into a page beside its two markers, bytes.
const PAGE_CAPACITY_BYTES: usize = 4088;

/// The header the library puts before every item, bytes.
const ITEM_HEADER_BYTES: usize = 8;

/// Every kind, and the index.
const VALUES: usize = KINDS.saturating_add(1);

/// What is known of one kind's copies.
#[derive(Clone, Copy, Debug)]
struct Value {
    kind: Kind,
    /// Newest sequence number in bank A.
    a: Option<u32>,
    /// Newest sequence number in bank B.
    b: Option<u32>,
    /// Length of the newest frame in bytes.
    length: usize,
}

impl Value {
    fn newest(&self) -> Option<u32> {
        self.a.max(self.b)
    }

    fn in_bank(&self, side: Side) -> Option<u32> {
        match side {
            Side::A => self.a,
            Side::B => self.b,
        }
    }

    fn set_bank(&mut self, side: Side, sequence: Option<u32>) {
        match side {
            Side::A => self.a = sequence,
            Side::B => self.b = sequence,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    A,
    B,
}

impl Side {
    const fn bank(self) -> Bank {
        match self {
            Self::A => Bank {
                partition: Partition::StateA,
            },
            Self::B => Bank {
                partition: Partition::StateB,
            },
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// A whole value behind the newest index, which does not name it.
#[derive(Clone, Copy, Debug)]
struct Unnamed {
    kind: Kind,
    side: Side,
    sequence: u32,
    length: usize,
}

/// How many of these are looked at. A put that is cut or fails leaves one in each bank, and the next call or opening deals with it; a page turn
/// that is cut too leaves it twice. One more is too many.
const UNNAMED: usize = 5;
/// How often a bank is read that does not let itself be read.
const READS: u32 = 3;

/// What a bank says before its values are looked at.
#[derive(Clone, Copy, Debug)]
struct Survey {
    /// Nothing but whole values and erased flash, in pages as the library leaves them.
    in_order: bool,
    /// Whether there is an index.
    indexed: bool,
    /// The largest sequence number.
    newest: Option<u32>,
}

/// The buffers of the journal, lent for one call.
pub(crate) struct Buffers<'b> {
    /// Holds one frame.
    pub(crate) frame: &'b mut [u8; ITEM_BYTES],
    /// For the library and for reading pages.
    pub(crate) scratch: &'b mut [u8; ITEM_BYTES],
}

/// Reads until it works, a few times.
fn read_again<T>(mut read: impl FnMut() -> Result<T, FlashError>) -> Result<T, FlashError> {
    let mut result = read();
    for _ in 1..READS {
        if result.is_ok() {
            break;
        }
        result = read();
    }
    result
}

/// State in two banks.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The newest index there is, and what has been found beside it.
    index: Index,
    /// Its sequence number.
    index_sequence: Option<u32>,
    values: Vec<Value, VALUES>,
    next_sequence: Option<u32>,
    condition: StateCondition,
    /// Whether something happened after which the banks must be looked at before they are used again.
    stale: bool,
    /// Why nothing could be read. That is not the same as nothing being there: it is read again before it is erased.
    unread: Option<JournalError>,
    /// Which banks hold everything and can be written to as they are: A, B.
    fit: [bool; 2],
}

impl State {
    pub(crate) fn new() -> Self {
        Self {
            index: Index::default(),
            index_sequence: None,
            values: Vec::new(),
            next_sequence: Some(1),
            condition: StateCondition::Blank,
            stale: true,
            unread: None,
            fit: [false; 2],
        }
    }

    /// The largest boot number that any copy of the index names.
    pub(crate) const fn boot(&self) -> u32 {
        self.index.boot
    }

    pub(crate) const fn condition(&self) -> StateCondition {
        self.condition
    }

    /// Whether both banks hold everything.
    pub(crate) const fn redundant(&self) -> bool {
        matches!(self.fit, [true, true]) && !self.stale
    }

    const fn is_fit(&self, side: Side) -> bool {
        let [a, b] = self.fit;
        match side {
            Side::A => a,
            Side::B => b,
        }
    }

    const fn set_fit(&mut self, side: Side, fit: bool) {
        let [a, b] = &mut self.fit;
        match side {
            Side::A => *a = fit,
            Side::B => *b = fit,
        }
    }

    /// Kinds that were acknowledged and have no good copy left.
    pub(crate) fn lost(&self) -> impl Iterator<Item = Kind> + '_ {
        self.index
            .entries
            .iter()
            .filter(|entry| self.newest(entry.kind) < Some(entry.sequence))
            .map(|entry| entry.kind)
    }

    /// Records that there was state before, when blank banks meet a log that is not.
    pub(crate) fn forget(&mut self) {
        self.index.forgotten = true;
        self.condition = StateCondition::Unreadable;
    }

    /// Reads both banks and makes both whole as far as possible. Never fails: what could not be done shows in
    /// [`State::condition`] and [`State::redundant`].
    pub(crate) fn recover<F: Flash>(
        &mut self,
        flash: &mut F,
        buffers: &mut Buffers<'_>,
        repairs: &mut Repairs,
    ) {
        // One after the other, so that their stacks are not on top of each other.
        if let Some((side, unnamed)) = self.heal_both(flash, buffers, repairs) {
            self.adopt(flash, side, &unnamed, buffers);
        }
    }

    /// Heals both banks. If only one is fit and could not be written anew: which, and the values that no index names.
    #[inline(never)]
    fn heal_both<F: Flash>(
        &mut self,
        flash: &mut F,
        buffers: &mut Buffers<'_>,
        repairs: &mut Repairs,
    ) -> Option<(Side, Vec<Unnamed, UNNAMED>)> {
        let before = *repairs;
        self.unread = None;
        self.values.clear();
        let survey_a = self.survey(flash, Side::A, buffers);
        let survey_b = self.survey(flash, Side::B, buffers);
        self.next_sequence = [&survey_a, &survey_b]
            .into_iter()
            .filter_map(|survey| survey.as_ref().ok().and_then(|survey| survey.newest))
            .chain(self.index.entries.iter().map(|entry| entry.sequence))
            .max()
            .map_or(Some(1), |newest| newest.checked_add(1));
        let order_a = survey_a.map(|survey| survey.in_order);
        let order_b = survey_b.map(|survey| survey.in_order);
        // If one bank is in order no index is missing there, and a value that none names does not count. Otherwise the index that names it
        // may have been lost, and the value is taken for what it is.
        let trusted = [survey_a, survey_b]
            .into_iter()
            .any(|survey| survey.is_ok_and(|survey| survey.in_order && survey.indexed));
        let mut unnamed = Vec::new();
        let unnamed_a = self.collect(flash, Side::A, trusted, &mut unnamed, buffers);
        let unnamed_b = self.collect(flash, Side::B, trusted, &mut unnamed, buffers);
        for one in &unnamed {
            let named = self.index.sequence(one.kind);
            if named.is_some() && self.newest(one.kind) < named {
                self.note(one.kind, one.side, one.sequence, one.length);
            }
        }
        for value in &self.values {
            if let Some(newest) = value.newest().filter(|_| value.kind != Kind::INDEX)
                && self.index.note(value.kind, newest).is_none()
            {
                self.index.forgotten = true;
            }
        }

        if self.values.is_empty() {
            // Bank B is first written when bank A is whole. So without a value anywhere, an unused bank A and a blank bank B are a first
            // start, cut or not.
            let never_written = [(Side::A, FIRST_ITEM_END), (Side::B, 0)]
                .into_iter()
                .all(|(side, from)| matches!(side.bank().is_blank_from(flash, from), Ok(true)));
            self.condition = if self.condition == StateCondition::Blank
                && never_written
                && !self.index.forgotten
            {
                StateCondition::Blank
            } else {
                StateCondition::Unreadable
            };
            self.fit = [self.condition == StateCondition::Blank; 2];
            if self.condition == StateCondition::Blank && order_a != Ok(true) {
                // What a cut in the very first write has left.
                let erased = self.erase(flash, Side::A, repairs).is_ok();
                self.set_fit(Side::A, erased);
            }
            self.unread = unread(Side::A, order_a).or(unread(Side::B, order_b));
            self.stale = self.unread.is_some();
            return None;
        }

        // A cut spoils one bank, and the next opening puts it right.
        let damaged = |side: Side, order| {
            order != Ok(true)
                || self
                    .values
                    .iter()
                    .all(|value| value.in_bank(side).is_none())
        };
        let both_damaged = damaged(Side::A, order_a) && damaged(Side::B, order_b);
        // The index is there before any value. Without one, nobody knows which values there were.
        self.index.forgotten |= self.newest(Kind::INDEX).is_none();

        let whole_a = order_a == Ok(true) && unnamed_a == Ok(false);
        let whole_b = order_b == Ok(true) && unnamed_b == Ok(false);
        let [first, second] = match (whole_a, whole_b) {
            (true, true) => [(Side::A, false), (Side::B, false)],
            (true, false) => [(Side::A, false), (Side::B, true)],
            (false, true) => [(Side::B, false), (Side::A, true)],
            // The better one is kept until the other one has everything.
            (false, false) => {
                let keep = match (order_a, order_b) {
                    (Ok(true), Ok(false) | Err(_)) => Side::A,
                    (Ok(false) | Err(_), Ok(true)) => Side::B,
                    _ => self.richer(),
                };
                [(keep.other(), true), (keep, true)]
            }
        };
        // What could not be read may hold newer values than all that was: it is left alone until it can be.
        let unread_a = order_a.is_err() || unnamed_a.is_err();
        let unread_b = order_b.is_err() || unnamed_b.is_err();
        let unread = |side: Side| match side {
            Side::A => unread_a,
            Side::B => unread_b,
        };
        let (side, anew) = first;
        let healed = !unread(side) && self.heal(flash, side, anew, buffers, repairs).is_ok();
        self.set_fit(side, healed);
        let (side, anew) = second;
        let fit = if unread(side) {
            false
        } else if healed || !anew {
            self.heal(flash, side, anew, buffers, repairs).is_ok()
        } else {
            // What only this bank has would be gone.
            self.make_do(flash, side, &unnamed, buffers, repairs)
        };
        self.set_fit(side, fit);
        let whole = self.fit == [true; 2];
        self.stale = unread_a || unread_b;

        let complete = self.lost().next().is_none() && !self.index.forgotten;
        self.condition = if !complete {
            StateCondition::Incomplete
        } else if both_damaged {
            StateCondition::Doubtful
        } else if *repairs != before || !whole {
            StateCondition::Repaired
        } else {
            StateCondition::Good
        };
        (!healed && fit).then_some((side, unnamed))
    }

    /// Keeps a value. `Ok` means it is on the flash, in both banks unless [`State::redundant`] says otherwise. An error means that it
    /// certainly is not, except [`JournalError::Undecided`].
    pub(crate) fn put<F: Flash>(
        &mut self,
        flash: &mut F,
        envelope: &Envelope<'_>,
        buffers: &mut Buffers<'_>,
        repairs: &mut Repairs,
    ) -> Result<(), JournalError> {
        self.refresh(flash, buffers, repairs)?;
        let sequence = self.next_sequence.ok_or(JournalError::SequenceExhausted)?;
        let frame = Frame {
            sequence,
            link: Link::Missing,
            envelope: *envelope,
        };
        let length = frame
            .encode_state(buffers.frame)
            .ok_or(JournalError::BodyTooLong)?
            .len();
        let mut index = self.index.clone();
        index.forgotten |= self.condition == StateCondition::Unreadable;
        index
            .note(envelope.kind, sequence)
            .ok_or(JournalError::TooManyKinds)?;
        let pages = [Side::A, Side::B].map(|side| side.bank().pages(flash));
        let fewest = pages.into_iter().min().unwrap_or_default();
        if !self.has_room(fewest, envelope.kind, length) {
            return Err(JournalError::StateFull);
        }
        self.write(flash, Some(envelope), index, buffers)
    }

    /// Takes this boot's number, and keeps it unless the banks are unreadable, which leaves them alone. Errors as for [`State::put`].
    pub(crate) fn put_boot<F: Flash>(
        &mut self,
        flash: &mut F,
        boot: u32,
        buffers: &mut Buffers<'_>,
    ) -> Result<(), JournalError> {
        self.index.boot = boot;
        if self.condition == StateCondition::Unreadable {
            return Err(JournalError::StateLost { kind: Kind::INDEX });
        }
        self.write(flash, None, self.index.clone(), buffers)
    }

    /// The pages of the rings that are out of use.
    pub(crate) fn retired(&self) -> &[Retired] {
        &self.index.retired
    }

    /// Remembers which pages of the rings are out of use. Errors as for [`State::put`].
    pub(crate) fn put_retired<F: Flash>(
        &mut self,
        flash: &mut F,
        retired: Vec<Retired, RETIRED_PAGES>,
        buffers: &mut Buffers<'_>,
        repairs: &mut Repairs,
    ) -> Result<(), JournalError> {
        self.refresh(flash, buffers, repairs)?;
        let index = Index {
            retired,
            ..self.index.clone()
        };
        self.write(flash, None, index, buffers)
    }

    /// Looks at the banks again if need be, before something is written to them.
    fn refresh<F: Flash>(
        &mut self,
        flash: &mut F,
        buffers: &mut Buffers<'_>,
        repairs: &mut Repairs,
    ) -> Result<(), JournalError> {
        if self.stale {
            self.recover(flash, buffers, repairs);
        }
        match self.unread {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Forgets that there were values that are lost. Errors as for [`State::put`].
    pub(crate) fn accept_loss<F: Flash>(
        &mut self,
        flash: &mut F,
        buffers: &mut Buffers<'_>,
        repairs: &mut Repairs,
    ) -> Result<(), JournalError> {
        self.refresh(flash, buffers, repairs)?;
        let mut index = self.index.clone();
        index.forgotten = false;
        index
            .entries
            .retain(|entry| self.newest(entry.kind) >= Some(entry.sequence));
        self.write(flash, None, index, buffers)?;
        // Older values of those kinds are still whole on the pages, and no index names them any more: out with them.
        self.recover(flash, buffers, repairs);
        Ok(())
    }

    /// Copies the body of the newest value of a kind into `body`.
    pub(crate) fn get<'b, F: Flash>(
        &mut self,
        flash: &mut F,
        kind: Kind,
        body: &'b mut [u8],
        buffers: &mut Buffers<'_>,
        repairs: &mut Repairs,
    ) -> Result<Option<Envelope<'b>>, JournalError> {
        if self.stale {
            self.recover(flash, buffers, repairs);
        }
        let mut length = None;
        if let Some(sequence) = self.acknowledged(kind) {
            length = self.fetch_both(flash, kind, sequence, buffers, repairs);
        }
        let Some(length) = length else {
            let known = self.index.sequence(kind).is_some();
            let unknown = self.index.forgotten || self.condition == StateCondition::Unreadable;
            return if known || unknown {
                Err(JournalError::StateLost { kind })
            } else {
                Ok(None)
            };
        };
        let envelope = buffers
            .frame
            .get(..length)
            .and_then(Frame::decode_state)
            .ok_or(JournalError::StateLost { kind })?
            .envelope;
        let needed = envelope.body.len();
        let body = body
            .get_mut(..needed)
            .ok_or(JournalError::BufferTooSmall { needed })?;
        body.copy_from_slice(envelope.body);
        Ok(Some(Envelope {
            kind: envelope.kind,
            version: envelope.version,
            stamp: envelope.stamp,
            body,
        }))
    }

    /// Brings the newest value into the frame buffer, having looked at both copies; its length. A bad copy is written anew.
    fn fetch_both<F: Flash>(
        &mut self,
        flash: &mut F,
        kind: Kind,
        sequence: u32,
        buffers: &mut Buffers<'_>,
        repairs: &mut Repairs,
    ) -> Option<usize> {
        let mut fetch = |side: Side| {
            side.bank()
                .fetch(flash, kind, sequence, buffers.scratch, buffers.frame)
                .ok()
                .flatten()
        };
        let b = fetch(Side::B);
        let a = fetch(Side::A);
        if a.is_some() && b.is_some() || self.fit != [true; 2] {
            return a.or(b);
        }
        self.recover(flash, buffers, repairs);
        let sequence = self.acknowledged(kind)?;
        [Side::A, Side::B].into_iter().find_map(|side| {
            side.bank()
                .fetch(flash, kind, sequence, buffers.scratch, buffers.frame)
                .ok()
                .flatten()
        })
    }

    /// Writes a value, if any, and the index to bank A and then to bank B.
    fn write<F: Flash>(
        &mut self,
        flash: &mut F,
        envelope: Option<&Envelope<'_>>,
        index: Index,
        buffers: &mut Buffers<'_>,
    ) -> Result<(), JournalError> {
        let sequence = self.next_sequence.ok_or(JournalError::SequenceExhausted)?;
        let index_sequence = if envelope.is_some() {
            sequence
                .checked_add(1)
                .ok_or(JournalError::SequenceExhausted)?
        } else {
            sequence
        };
        // The number is used up even if the write fails: what may be on the flash by then must not share it with another value.
        self.next_sequence = index_sequence.checked_add(1);

        // What cannot be read is in the way.
        let reclaim = self.condition == StateCondition::Unreadable;
        let mut body = [0; INDEX_BYTES];
        let index_envelope = Envelope {
            kind: Kind::INDEX,
            version: INDEX_VERSION,
            stamp: Stamp {
                boot: index.boot,
                monotonic: units::PumpTime::from_micros(0),
                wall: units::Clock::Lost,
            },
            body: index.encode(&mut body).ok_or(JournalError::TooManyKinds)?,
        };
        let value = envelope.map(|envelope| Frame {
            sequence,
            link: Link::Missing,
            envelope: *envelope,
        });
        let index_frame = Frame {
            sequence: index_sequence,
            link: Link::Missing,
            envelope: index_envelope,
        };
        let mut kept = false;
        let mut failure = Err(JournalError::Damaged {
            partition: Partition::StateA,
        });
        for side in [Side::A, Side::B] {
            if !reclaim && !self.is_fit(side) {
                // It can be healed at the next call.
                self.stale = true;
                continue;
            }
            let result = write_bank(flash, side, value, index_frame, reclaim, buffers);
            self.set_fit(side, result.is_ok());
            if let Err(error) = result {
                self.stale = true;
                // It may have both although its answer was bad.
                match is_there(flash, side, index_frame, buffers) {
                    Ok(there) => kept |= there,
                    Err(undecided) => failure = Err(undecided),
                }
                if let Err(JournalError::Damaged { .. }) = failure {
                    failure = Err(error);
                }
            } else {
                kept = true;
            }
        }
        if !kept {
            for side in [Side::A, Side::B] {
                // It may be adopted.
                if let Some(value) = value
                    && is_there(flash, side, value, buffers)?
                {
                    return Err(JournalError::Undecided);
                }
            }
            return failure;
        }
        for frame in [value, Some(index_frame)].into_iter().flatten() {
            let length = frame.encode_state(buffers.frame).map_or(0, <[u8]>::len);
            for side in [Side::A, Side::B] {
                if self.is_fit(side) {
                    self.note(frame.envelope.kind, side, frame.sequence, length);
                }
            }
        }
        self.index = index;
        self.index_sequence = Some(index_sequence);
        if reclaim {
            self.condition = StateCondition::Incomplete;
        }
        Ok(())
    }

    /// Reads the index out of one bank.
    fn survey<F: Flash>(
        &mut self,
        flash: &mut F,
        side: Side,
        buffers: &mut Buffers<'_>,
    ) -> Result<Survey, FlashError> {
        let mut newest = None;
        let mut indexed = false;
        let in_order = read_again(|| {
            side.bank().scan(flash, buffers.scratch, |found| {
                let frame = &found.frame;
                newest = newest.max(Some(frame.sequence));
                if frame.envelope.kind == Kind::INDEX
                    && let Some(index) = Index::decode(frame.envelope.body)
                {
                    indexed = true;
                    if self.index_sequence < Some(frame.sequence) {
                        let boot = self.index.boot.max(index.boot);
                        self.index = Index { boot, ..index };
                        self.index_sequence = Some(frame.sequence);
                    }
                }
            })
        })?;
        Ok(Survey {
            in_order,
            indexed,
            newest,
        })
    }

    /// Reads one bank into [`State::values`], without the values that the newest index does not name although it is newer, or, if `trusted`,
    /// although no index is missing. Whether there are such; those behind the newest index are added to `unnamed`.
    fn collect<F: Flash>(
        &mut self,
        flash: &mut F,
        side: Side,
        trusted: bool,
        unnamed: &mut Vec<Unnamed, UNNAMED>,
        buffers: &mut Buffers<'_>,
    ) -> Result<bool, FlashError> {
        let mut any = false;
        let others = unnamed.len();
        read_again(|| {
            unnamed.truncate(others);
            side.bank().scan(flash, buffers.scratch, |found| {
                let Envelope { kind, .. } = found.frame.envelope;
                let sequence = found.frame.sequence;
                let length = found.bytes.len();
                let behind = self.index_sequence < Some(sequence);
                if kind == Kind::INDEX
                    || self.index.sequence(kind) >= Some(sequence)
                    || behind && !trusted
                {
                    self.note(kind, side, sequence, length);
                    return;
                }
                any = true;
                if behind {
                    let one = Unnamed {
                        kind,
                        side,
                        sequence,
                        length,
                    };
                    // More than can be held make the bank unfit.
                    let _ = unnamed.push(one);
                }
            })
        })?;
        Ok(any)
    }

    /// Notes that a bank holds a value.
    fn note(&mut self, kind: Kind, side: Side, sequence: u32, length: usize) {
        let value = match self.values.iter_mut().find(|value| value.kind == kind) {
            Some(value) => value,
            None => {
                let value = Value {
                    kind,
                    a: None,
                    b: None,
                    length: 0,
                };
                if self.values.push(value).is_err() {
                    return;
                }
                match self.values.last_mut() {
                    Some(value) => value,
                    None => return,
                }
            }
        };
        if value.newest().is_none_or(|newest| sequence >= newest) {
            value.length = length;
        }
        value.set_bank(side, value.in_bank(side).max(Some(sequence)));
    }

    /// A bank that is not as it should be, and the only one there is to write to: whether it holds every newest value, or one that can be adopted,
    /// and can go on. Pages that a cut has left in a wrong state are erased if another page has everything.
    fn make_do<F: Flash>(
        &self,
        flash: &mut F,
        side: Side,
        unnamed: &[Unnamed],
        buffers: &mut Buffers<'_>,
        repairs: &mut Repairs,
    ) -> bool {
        let adoptable = |kind: Kind| {
            unnamed
                .iter()
                .filter(|one| one.side == side && one.kind == kind)
                .map(|one| one.sequence)
                .max()
        };
        let known = |kind: Kind| self.values.iter().position(|value| value.kind == kind);
        let place = |kind: Kind| {
            unnamed
                .iter()
                .position(|one| one.side == side && one.kind == kind)
        };
        let complete = self
            .values
            .iter()
            .all(|value| value.in_bank(side) == value.newest() || adoptable(value.kind).is_some());
        // Values by their place, and behind them what can be adopted of kinds that have none.
        let wanted = |frame: &Frame<'_>| {
            let kind = frame.envelope.kind;
            let newest = adoptable(kind).or_else(|| self.newest(kind));
            if newest != Some(frame.sequence) {
                return None;
            }
            known(kind).or_else(|| self.values.len().checked_add(place(kind)?))
        };
        let new_kinds = unnamed
            .iter()
            .enumerate()
            .filter(|(number, one)| {
                one.side == side && known(one.kind).is_none() && place(one.kind) == Some(*number)
            })
            .count();
        let count = self.values.len().saturating_add(new_kinds);
        complete
            && matches!(
                side.bank()
                    .make_usable(flash, buffers.scratch, wanted, count, repairs),
                Ok(true)
            )
    }

    /// In the only bank there is to write to, the values that no index names stand behind those that count, and the library would keep them
    /// instead. So from now on they are the ones that count: each is whole, and what a put that was cut leaves may be the new value.
    /// Without success the bank is not fit.
    #[inline(never)]
    fn adopt<F: Flash>(
        &mut self,
        flash: &mut F,
        side: Side,
        unnamed: &[Unnamed],
        buffers: &mut Buffers<'_>,
    ) {
        let mut index = self.index.clone();
        let here = || unnamed.iter().filter(|one| one.side == side);
        for one in here() {
            index.note(one.kind, one.sequence);
        }
        let any = here().next().is_some();
        if unnamed.len() == UNNAMED || any && self.write(flash, None, index, buffers).is_err() {
            self.set_fit(side, false);
        } else {
            for one in here() {
                self.note(one.kind, side, one.sequence, one.length);
            }
        }
        self.stale = false;
    }

    /// Gives a bank every newest value that it lacks, after erasing it if `anew`.
    fn heal<F: Flash>(
        &mut self,
        flash: &mut F,
        side: Side,
        anew: bool,
        buffers: &mut Buffers<'_>,
        repairs: &mut Repairs,
    ) -> Result<(), JournalError> {
        let mut anew = anew;
        loop {
            if anew {
                self.erase(flash, side, repairs)?;
            }
            match self.complete(flash, side, buffers, repairs) {
                Ok(()) => return Ok(()),
                // Damage that only shows when the library makes room. The other bank is whole by now, or both would be lost anyway.
                Err(JournalError::Damaged { .. }) if !anew => anew = true,
                Err(error) => return Err(error),
            }
        }
    }

    fn erase<F: Flash>(
        &mut self,
        flash: &mut F,
        side: Side,
        repairs: &mut Repairs,
    ) -> Result<(), JournalError> {
        let bank = side.bank();
        let mut erases = bank.every_page(flash);
        for value in &mut self.values {
            value.set_bank(side, None);
        }
        repairs.banks = repairs.banks.saturating_add(1);
        bank.erase(flash, &mut erases)
            .map_err(|error| JournalError::flash(bank.partition, error))
    }

    fn complete<F: Flash>(
        &mut self,
        flash: &mut F,
        side: Side,
        buffers: &mut Buffers<'_>,
        repairs: &mut Repairs,
    ) -> Result<(), JournalError> {
        let bank = side.bank();
        let source = side.other().bank();
        for value in &mut self.values {
            let Some(sequence) = value.newest() else {
                continue;
            };
            if value.in_bank(side) == Some(sequence) {
                continue;
            }
            let fetched = source
                .fetch(flash, value.kind, sequence, buffers.scratch, buffers.frame)
                .map_err(|error| JournalError::flash(source.partition, error))?;
            let Some(frame) = fetched.and_then(|length| buffers.frame.get(..length)) else {
                continue;
            };
            let mut erases = bank.every_page(flash);
            bank.store(flash, value.kind, frame, buffers.scratch, &mut erases)?;
            value.set_bank(side, Some(sequence));
            repairs.copies = repairs.copies.saturating_add(1);
        }
        Ok(())
    }

    /// The bank that has more of the newest values.
    fn richer(&self) -> Side {
        let count = |side: Side| {
            self.values
                .iter()
                .filter(|value| value.in_bank(side) == value.newest())
                .count()
        };
        if count(Side::B) > count(Side::A) {
            Side::B
        } else {
            Side::A
        }
    }

    fn newest(&self, kind: Kind) -> Option<u32> {
        self.values
            .iter()
            .find(|value| value.kind == kind)
            .and_then(Value::newest)
    }

    /// The sequence number of the value that may be handed out: whole, and the one that the index names.
    fn acknowledged(&self, kind: Kind) -> Option<u32> {
        self.index
            .sequence(kind)
            .filter(|sequence| self.newest(kind) == Some(*sequence))
    }

    /// Whether there is room for a frame of this length: now, beside all that is live until it is written; and afterwards for
    /// replacing any value, so that none is ever stuck.
    ///
    /// One page of a bank is always free: what is live on the oldest of the others is copied there when the page in use is full, and then the next oldest.
    /// So an item finds its place unless every one of the others is so full of what is live that it does not fit beside it. Nobody knows how what is live
    /// is spread; on the emptiest page is no more than its share of it.
    fn has_room(&self, pages: u32, kind: Kind, length: usize) -> bool {
        let new = item_bytes(length);
        let mut others = 0_usize;
        let mut replaced = 0;
        let mut largest = new;
        for value in &self.values {
            let item = item_bytes(value.length);
            if value.kind == kind {
                replaced = item;
            } else {
                others = others.saturating_add(item);
                largest = largest.max(item);
            }
        }
        let index = item_bytes(LONGEST_INDEX_BYTES);
        let spread = usize::try_from(pages).unwrap_or(0).saturating_sub(1);
        // The last item beside all that is live before it: the value itself, and the largest one when this is there.
        let now = replaced.saturating_add(new.saturating_mul(spread));
        let later = new.saturating_add(largest.saturating_mul(spread));
        others.saturating_add(index).saturating_add(now.max(later))
            <= PAGE_CAPACITY_BYTES.saturating_mul(spread)
    }
}

/// The longest frame of an index, bytes: sequence 5, extension 1, envelope's head with times of 1 byte 15, body, check 4.
const LONGEST_INDEX_BYTES: usize = INDEX_BYTES.saturating_add(25);
const _: () = assert!(INDEX_BYTES <= BODY_BYTES, "the index fits into an envelope");

fn unread(side: Side, read: Result<bool, FlashError>) -> Option<JournalError> {
    let Bank { partition } = side.bank();
    read.err()
        .map(|error| JournalError::flash(partition, error))
}

/// What a frame takes up in a bank, bytes.
fn item_bytes(frame: usize) -> usize {
    frame
        .saturating_add(KEY_BYTES)
        .checked_next_multiple_of(4)
        .unwrap_or(usize::MAX)
        .saturating_add(ITEM_HEADER_BYTES)
}

/// Whether a bank has this frame; [`JournalError::Undecided`] if it cannot be read.
fn is_there<F: Flash>(
    flash: &mut F,
    side: Side,
    frame: Frame<'_>,
    buffers: &mut Buffers<'_>,
) -> Result<bool, JournalError> {
    side.bank()
        .fetch(
            flash,
            frame.envelope.kind,
            frame.sequence,
            buffers.scratch,
            buffers.frame,
        )
        .map(|length| length.is_some())
        .map_err(|_| JournalError::Undecided)
}

/// Writes a value, if any, and the index behind it to one bank.
fn write_bank<F: Flash>(
    flash: &mut F,
    side: Side,
    value: Option<Frame<'_>>,
    index: Frame<'_>,
    reclaim: bool,
    buffers: &mut Buffers<'_>,
) -> Result<(), JournalError> {
    let bank = side.bank();
    let mut erases = bank.every_page(flash);
    if reclaim {
        bank.erase(flash, &mut erases)
            .map_err(|error| JournalError::flash(bank.partition, error))?;
    }
    for frame in [value, Some(index)].into_iter().flatten() {
        let mut erases = bank.every_page(flash);
        let bytes = frame
            .encode_state(buffers.frame)
            .ok_or(JournalError::BodyTooLong)?;
        bank.store(
            flash,
            frame.envelope.kind,
            bytes,
            buffers.scratch,
            &mut erases,
        )?;
    }
    Ok(())
}
