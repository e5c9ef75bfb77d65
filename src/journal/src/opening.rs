//! What opening the journal found and repaired.

/// What [`crate::Journal::open`] found. Everything but `boot` is worth an event when it is not the ordinary case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// This boot's number: larger than that of any record on the flash, 1 on the first start.
    pub boot: u32,
    /// Whether the number was written, so that the next boot gets a larger one even if nothing else is written.
    pub boot_kept: bool,
    /// The state banks.
    pub state: StateCondition,
    /// How many kinds of state were acknowledged once and have no good copy left: [`crate::Journal::get`] names each.
    pub kinds_lost: u8,
    /// Whether both banks hold every value; if not, one of them cannot be written.
    pub redundant: bool,
    /// The log of events.
    pub events: RingCondition,
    /// The log of critical events.
    pub critical: RingCondition,
    /// The ring of checkpoints.
    pub checkpoints: RingCondition,
    /// Whether each log's chain can be continued; if not, the next record begins a new one, and says so.
    pub chained: bool,
    /// Pages of the rings that no longer erase and are out of use.
    pub pages_retired: u8,
    /// What was repaired.
    pub repairs: Repairs,
}

/// The two banks of state, taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateCondition {
    /// Never written: a first start (which may have been cut before it got far).
    Blank,
    /// Both banks whole.
    Good,
    /// A bad copy, or a write that was cut; both banks are whole again and nothing acknowledged is lost.
    Repaired,
    /// Both banks were damaged: all values that the newest readable index names were found and both banks are whole again, but nobody can
    /// say that there was no newer index. One power cut cannot do this. Said once: the next opening finds two good banks.
    Doubtful,
    /// Some values are whole, but at least one that was acknowledged has no good copy left.
    Incomplete,
    /// There was state and none of it can be read. The banks were left as they are; the next [`crate::Journal::put`] erases them.
    Unreadable,
}

/// One ring of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingCondition {
    /// No record yet.
    Blank,
    /// Records, and pages as they should be.
    Good,
    /// Records, and pages that a cut or damage had left in a wrong state, put right without erasing a record.
    Repaired,
    /// Not blank, and no record can be read.
    Unreadable,
    /// The flash fails: records can neither be trusted to be complete nor be added now.
    Failing,
}

/// Counts of what was put right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Copies of values written anew because a bank had none, an older or a bad one.
    pub copies: u32,
    /// Banks erased and written anew from the other one.
    pub banks: u32,
    /// Pages of a ring taken out of use until the ring comes round, with what they hold.
    pub pages_sealed: u32,
    /// Pages of a ring erased because no other was left to write to, and of the only bank left to write to because a cut had spoiled them.
    pub pages_erased: u32,
    /// Pages of a ring that did not erase and are out of use from now on.
    pub pages_retired: u32,
}

impl Repairs {
    /// Whether nothing was repaired.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.copies == 0
            && self.banks == 0
            && self.pages_sealed == 0
            && self.pages_erased == 0
            && self.pages_retired == 0
    }
}
