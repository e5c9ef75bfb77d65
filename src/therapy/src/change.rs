//! How much a daily dose changes, and against what that is judged.
//!
//! A rise is judged against the *lowest* total that was in force in the last 24 hours, a drop against the *highest*: many small changes
//! are one large one, and do not slip past a limit. After a stop the last total of that drug counts, however long ago. Totals are
//! the 24-hour totals of the primary drug as committed by somebody; what a fault makes of the flow is not a change.

use core::cmp::Ordering;
use core::fmt;
use core::num::NonZeroU128;

use heapless::Vec;
use serde::{Deserialize, Serialize};
use units::{Drug, Duration, Mass, PoweredTime, Ratio};

/// A day of powered time.
const DAY: Duration = Duration::from_hours(24);

/// How many totals of the last 24 hours are kept apart \[P\]. Of more, the two oldest of a drug count as one that was as low as the lower
/// and as high as the higher for as long as both: more is asked about, never less. One for each drug, so that of one more two are of
/// one drug.
const KEPT: usize = Drug::ALL.len();

/// The change from one daily dose to another: exact, rounded only where it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PercentChange {
    old: Mass,
    new: Mass,
}

impl PercentChange {
    /// From `old` to `new`.
    #[must_use]
    pub const fn new(old: Mass, new: Mass) -> Self {
        Self { old, new }
    }

    /// The former dose.
    #[must_use]
    pub const fn old(self) -> Mass {
        self.old
    }

    /// The dose to come.
    #[must_use]
    pub const fn to(self) -> Mass {
        self.new
    }

    /// Whether there was no dose before, so that there is no percentage either.
    #[must_use]
    pub fn is_new_start(self) -> bool {
        self.old == Mass::ZERO
    }

    /// Whether the dose rises by more than so many per cent; exactly so many is not more. A new start never does.
    #[must_use]
    pub fn rises_by_more_than(self, percent: u32) -> bool {
        let limit = Ratio::new(u128::from(percent).saturating_add(100), nonzero_or_one(100));
        self.ratio().is_some_and(|ratio| ratio > limit)
    }

    /// Whether the dose drops by more than so many per cent; exactly so many is not more. A new start never does.
    #[must_use]
    pub fn drops_by_more_than(self, percent: u32) -> bool {
        let limit = Ratio::new(
            100_u128.saturating_sub(u128::from(percent)),
            nonzero_or_one(100),
        );
        self.ratio().is_some_and(|ratio| ratio < limit)
    }

    /// `new / old`, exactly; `None` for a new start.
    #[must_use]
    pub fn ratio(self) -> Option<Ratio> {
        let old = NonZeroU128::new(self.old.zeptograms())?;
        Some(Ratio::new(self.new.zeptograms(), old))
    }
}

fn nonzero_or_one(number: u128) -> NonZeroU128 {
    NonZeroU128::new(number).unwrap_or(NonZeroU128::MIN)
}

impl fmt::Display for PercentChange {
    /// `+20.0 %`, `-16.7 %`, rounded to the nearest tenth, halves away from zero; `new start`; `0.0 %` only for no change at all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(old) = NonZeroU128::new(self.old.zeptograms()) else {
            return f.write_str("new start");
        };
        let (old_mass, new_mass) = (self.old.zeptograms(), self.new.zeptograms());
        let sign = match new_mass.cmp(&old_mass) {
            Ordering::Equal => "",
            Ordering::Greater => "+",
            Ordering::Less => "-",
        };
        let change = Ratio::new(new_mass.abs_diff(old_mass), old);
        // Twentieths of a per cent, so that halves of a tenth are seen.
        match change.times_rounded_down(2_000) {
            Some(twentieths) => {
                let tenths = twentieths.div_ceil(2);
                write!(f, "{sign}{}.{} %", tenths / 10, tenths % 10)
            }
            None => write!(f, "over {sign}{} %", u64::MAX / 20),
        }
    }
}

/// A change of the primary drug's 24-hour total, with what it is judged against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    new: Mass,
    last: Mass,
    lowest: Mass,
    highest: Mass,
    since_rise: Option<Duration>,
}

impl Change {
    /// The total to come.
    #[must_use]
    pub const fn to(&self) -> Mass {
        self.new
    }

    /// The change from the last total that was not zero: the one to show.
    #[must_use]
    pub const fn shown(&self) -> PercentChange {
        PercentChange::new(self.last, self.new)
    }

    /// The change from the lowest total in force in the last 24 hours: what a rise is judged by.
    #[must_use]
    pub const fn rise(&self) -> PercentChange {
        PercentChange::new(self.lowest, self.new)
    }

    /// The change from the highest total in force in the last 24 hours: what a drop is judged by.
    #[must_use]
    pub const fn drop(&self) -> PercentChange {
        PercentChange::new(self.highest, self.new)
    }

    /// How long ago the total last rose, when it is about to rise again; `None` when it is not, or when it never rose.
    #[must_use]
    pub const fn since_rise(&self) -> Option<Duration> {
        self.since_rise
    }
}

/// A total that is or was in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct InForce {
    drug: Drug,
    /// The total; the lower of two that count as one.
    lowest: Mass,
    /// How much higher the higher of two is; none for a single one.
    spread: Mass,
    /// When it ended; `None` while it is in force.
    until: Option<PoweredTime>,
}

impl InForce {
    fn highest(&self) -> Mass {
        self.lowest.checked_add(self.spread).unwrap_or(self.lowest)
    }

    /// This and a later one as one.
    fn joined_with(&self, later: &Self) -> Self {
        let lowest = self.lowest.min(later.lowest);
        let highest = self.highest().max(later.highest());
        Self {
            drug: self.drug,
            lowest,
            spread: highest.checked_sub(lowest).unwrap_or(Mass::ZERO),
            until: later.until,
        }
    }
}

/// What is remembered of one drug for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    /// Its last total that was not zero; zero when it was never given.
    last: Mass,
    /// When its total last rose.
    risen_at: Option<PoweredTime>,
}

/// The totals in force in the last 24 hours of powered time, in bounded memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalsInForce {
    /// Totals other than zero, the oldest first.
    in_force: Vec<InForce, KEPT>,
    /// One for each drug, in wire order.
    remembered: [Remembered; 8],
}

impl TotalsInForce {
    /// Nothing was ever given.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a commit of `total` a day of `drug` would change.
    #[must_use]
    pub fn change_to(&self, drug: Drug, total: Mass, now: PoweredTime) -> Change {
        let remembered = self.remembered(drug);
        let mut lowest = None::<Mass>;
        let mut highest = None::<Mass>;
        for entry in self.in_force.iter().filter(|entry| entry.drug == drug) {
            if in_last_day(entry, now) {
                lowest = Some(lowest.map_or(entry.lowest, |lowest| lowest.min(entry.lowest)));
                highest =
                    Some(highest.map_or(entry.highest(), |highest| highest.max(entry.highest())));
            }
        }
        Change {
            new: total,
            last: remembered.last,
            lowest: lowest.unwrap_or(remembered.last),
            highest: highest.unwrap_or(remembered.last),
            since_rise: remembered
                .risen_at
                .filter(|_| total > remembered.last)
                .map(|risen_at| now.saturating_since(risen_at)),
        }
    }

    /// A total was committed: from now on it is in force; zero for a stop. Bounded work, whatever the history.
    pub fn committed(&mut self, drug: Drug, total: Mass, now: PoweredTime) {
        let new = InForce {
            drug,
            lowest: total,
            spread: Mass::ZERO,
            until: None,
        };
        if self.in_force.last() == Some(&new) {
            return;
        }
        for entry in &mut self.in_force {
            entry.until.get_or_insert(now);
        }
        self.in_force.retain(|entry| in_last_day(entry, now));
        if total == Mass::ZERO {
            return;
        }
        if let Some(remembered) = self.remembered_mut(drug) {
            if total > remembered.last {
                remembered.risen_at = Some(now);
            }
            remembered.last = total;
        }
        self.push(new);
    }

    /// Appends; when there is no room, the two oldest of a drug become one.
    fn push(&mut self, mut new: InForce) {
        if self.in_force.is_full() {
            self.join_two(&mut new);
        }
        // There is room now.
        let _ = self.in_force.push(new);
    }

    /// Of the first total that has a later one of its drug, `new` included, and that later one makes one, in the place of the later.
    fn join_two(&mut self, new: &mut InForce) {
        for position in 0..self.in_force.len() {
            let mut rest = self.in_force.iter_mut().skip(position);
            let Some(older) = rest.next() else { return };
            let mut later_ones = rest.chain(core::iter::once(&mut *new));
            let Some(later) = later_ones.find(|later| later.drug == older.drug) else {
                continue;
            };
            *later = older.joined_with(later);
            let mut at = 0..;
            self.in_force.retain(|_| at.next() != Some(position));
            return;
        }
    }

    fn remembered(&self, drug: Drug) -> Remembered {
        self.remembered
            .iter()
            .zip(Drug::ALL)
            .find(|(_, of)| *of == drug)
            .map_or(Remembered::default(), |(remembered, _)| *remembered)
    }

    fn remembered_mut(&mut self, drug: Drug) -> Option<&mut Remembered> {
        self.remembered
            .iter_mut()
            .zip(Drug::ALL)
            .find(|(_, of)| *of == drug)
            .map(|(remembered, _)| remembered)
    }
}

/// Whether a total was in force at any instant of (now - 24 h, now].
fn in_last_day(entry: &InForce, now: PoweredTime) -> bool {
    entry
        .until
        .is_none_or(|until| now.saturating_since(until) < DAY)
}

#[cfg(test)]
mod tests;
