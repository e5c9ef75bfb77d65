//! The guided refill: one step after another, and what came out against what should have come out.
//!
//! | in | opened | aspirated | filled | topped up | nothing changed | 60 min | patient checked |
//! |---|---|---|---|---|---|---|---|
//! | closed | open | refused | refused | refused | refused | | check ends; refused when none runs |
//! | open | refused | aspirated | refused | closed, check runs | closed | overdue, once | refused |
//! | aspirated | refused | aspirated, corrected | closed, check runs | refused | refused | overdue, once | refused |
//!
//! The end of a session, a reset and a loss of the link are no events: a refill stays open through all of them. Once drug has been taken
//! out, "nothing was changed" is not true any more; drug put back is a fill. Overdue does not close either: the volumes can still be
//! entered.
//!
//! Every event gives the next value. It is written down before it counts: the step at which the needle goes in may be shown only when
//! the opened value is durable.
//!
//! | number | source |
//! |---|---|
//! | 60 min to confirm | \[P\] docs/therapy.md, "Reservoir and refill" |
//! | check on the patient after 30 min | \[S46\] clinical reference 4.5, row 9 |
//! | discrepancy of more than 14.5 % | \[S11\] clinical reference 2.11 |
//! | not classified below 5 mL; reading error 0.5 mL | \[P\] clinical reference 2.11 |
//! | trend of 40 refills | \[P\] clinical reference 4.5, row 13 |
//! | ratio above 1.05 | \[P\] clinical reference 2.4 |

use core::fmt;
use core::num::NonZeroU128;

use heapless::Vec;
use serde::{Deserialize, Serialize};
use units::{Duration, PoweredTime, Ratio, Volume};

use crate::reservoir::Reservoir;

/// From opening a refill until it has to be confirmed.
pub const CONFIRMATION_TIME: Duration = Duration::from_minutes(60);
/// From a fill until somebody looks after the patient: drug beside the pump shows by then.
pub const PATIENT_CHECK_TIME: Duration = Duration::from_minutes(30);
/// A larger discrepancy is flagged, in thousandths of what was programmed out.
const DISCREPANCY_LIMIT_PER_MILLE: u128 = 145;
/// What a ratio above 1.05 exceeds 1 by, in thousandths.
const HIGH_RATIO_PER_MILLE: u128 = 50;
/// Below so much programmed out, a discrepancy is only trended.
const SMALLEST_CLASSIFIED: Volume = Volume::from_millilitres(5);
/// How far off a volume read from a syringe may be.
pub const READING_UNCERTAINTY: Volume = Volume::from_microlitres(500);
/// How many refills the trend goes back.
pub const TREND_REFILLS: usize = 40;
/// Femtolitres in a microlitre.
const MICROLITRE: u64 = 1_000_000_000;
/// The most a trend keeps of one refill, some 2 litres in microlitres: three bytes when stored.
const LARGEST_TRENDED: u32 = 2_097_151;

/// A guided refill, as far as it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refill(State);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Closed {
        /// When the needle was last used, while the check on the patient is outstanding.
        used: Option<PoweredTime>,
    },
    Open {
        opening: Opening,
        expected: Option<Volume>,
    },
    Aspirated {
        opening: Opening,
        aspirated: Volume,
        account: Option<Account>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Opening {
    since: PoweredTime,
    /// Whether it has been reported as overdue.
    overdue: bool,
}

/// What the pump's account said when the reservoir was emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Account {
    expected: Volume,
    programmed_out: Volume,
}

/// How far a refill has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefillStage {
    /// No refill is going on.
    Closed,
    /// The needle may be in; what comes out is expected next.
    Open,
    /// The reservoir is emptied; what goes in is expected next.
    Aspirated,
}

/// What can happen in a refill, beside time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefillStep {
    /// The refill is opened.
    Open,
    /// The reservoir was emptied, and the volume read.
    Aspirate,
    /// The emptied reservoir was filled.
    Fill,
    /// Something was added without emptying the reservoir.
    TopUp,
    /// The refill was opened for nothing.
    NothingChanged,
    /// Somebody looked after the patient.
    PatientCheck,
}

/// A refill that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefillDone {
    /// What was taken out.
    pub aspirated: Volume,
    /// What was put in.
    pub filled: Volume,
    /// What was taken out against what should have come out; `None` when the level was unknown.
    pub discrepancy: Option<Discrepancy>,
}

impl Refill {
    /// No refill is going on.
    pub const CLOSED: Self = Self(State::Closed { used: None });

    /// How far it has come.
    #[must_use]
    pub const fn stage(&self) -> RefillStage {
        match self.0 {
            State::Closed { .. } => RefillStage::Closed,
            State::Open { .. } => RefillStage::Open,
            State::Aspirated { .. } => RefillStage::Aspirated,
        }
    }

    /// Opens it. A check on the patient that was outstanding is dropped: somebody is with the patient.
    ///
    /// # Errors
    /// [`RefillRefused`] when one is open.
    pub fn opened(self, now: PoweredTime, reservoir: &Reservoir) -> Result<Self, RefillRefused> {
        match self.0 {
            State::Closed { .. } => Ok(Self(State::Open {
                opening: Opening {
                    since: now,
                    overdue: false,
                },
                expected: reservoir.level(),
            })),
            State::Open { .. } | State::Aspirated { .. } => Err(self.refused(RefillStep::Open)),
        }
    }

    /// Enters what was taken out, or corrects it. `reservoir` is the account at that moment: basal goes on while a refill is open.
    ///
    /// # Errors
    /// [`RefillRefused`] when none is open.
    pub fn aspirated(
        self,
        aspirated: Volume,
        reservoir: &Reservoir,
    ) -> Result<Self, RefillRefused> {
        let (opening, account) = match self.0 {
            State::Closed { .. } => return Err(self.refused(RefillStep::Aspirate)),
            State::Open { opening, .. } => (
                opening,
                reservoir.level().map(|expected| Account {
                    expected,
                    programmed_out: reservoir.drawn(),
                }),
            ),
            State::Aspirated {
                opening, account, ..
            } => (opening, account),
        };
        Ok(Self(State::Aspirated {
            opening,
            aspirated,
            account,
        }))
    }

    /// Enters what was put into the emptied reservoir, and closes the refill. The check on the patient begins.
    ///
    /// # Errors
    /// [`RefillRefused`] when nothing was taken out yet.
    pub fn filled(
        self,
        now: PoweredTime,
        filled: Volume,
    ) -> Result<(Self, RefillDone), RefillRefused> {
        match self.0 {
            State::Aspirated {
                aspirated, account, ..
            } => Ok((
                Self(State::Closed { used: Some(now) }),
                RefillDone {
                    aspirated,
                    filled,
                    discrepancy: account.map(|account| {
                        Discrepancy::new(account.expected, aspirated, account.programmed_out)
                    }),
                },
            )),
            State::Closed { .. } | State::Open { .. } => Err(self.refused(RefillStep::Fill)),
        }
    }

    /// Closes a refill in which something was added without emptying the reservoir. The check on the patient begins.
    ///
    /// # Errors
    /// [`RefillRefused`] when none is open, or the reservoir was emptied.
    pub fn topped_up(self, now: PoweredTime) -> Result<Self, RefillRefused> {
        match self.0 {
            State::Open { .. } => Ok(Self(State::Closed { used: Some(now) })),
            State::Closed { .. } | State::Aspirated { .. } => Err(self.refused(RefillStep::TopUp)),
        }
    }

    /// Closes a refill in which nothing was changed. A reservoir that became unknown because it was overdue stays so.
    ///
    /// # Errors
    /// [`RefillRefused`] when none is open, or the reservoir was emptied.
    pub fn nothing_changed(self) -> Result<Self, RefillRefused> {
        match self.0 {
            State::Open { .. } => Ok(Self::CLOSED),
            State::Closed { .. } | State::Aspirated { .. } => {
                Err(self.refused(RefillStep::NothingChanged))
            }
        }
    }

    /// Ends the check on the patient, due or not.
    ///
    /// # Errors
    /// [`RefillRefused`] when none runs.
    pub fn patient_checked(self) -> Result<Self, RefillRefused> {
        match self.0 {
            State::Closed { used: Some(_) } => Ok(Self::CLOSED),
            State::Closed { used: None } | State::Open { .. } | State::Aspirated { .. } => {
                Err(self.refused(RefillStep::PatientCheck))
            }
        }
    }

    /// The next value, once: at [`CONFIRMATION_TIME`] after the opening. "Refill not confirmed" is then latched and the reservoir is unknown.
    #[must_use]
    pub fn became_overdue(self, now: PoweredTime) -> Option<Self> {
        let late = |opening: Opening| {
            let late = now.saturating_since(opening.since) >= CONFIRMATION_TIME;
            (late && !opening.overdue).then_some(Opening {
                overdue: true,
                ..opening
            })
        };
        match self.0 {
            State::Closed { .. } => None,
            State::Open { opening, expected } => {
                late(opening).map(|opening| Self(State::Open { opening, expected }))
            }
            State::Aspirated {
                opening,
                aspirated,
                account,
            } => late(opening).map(|opening| {
                Self(State::Aspirated {
                    opening,
                    aspirated,
                    account,
                })
            }),
        }
    }

    /// Whether one is open: boluses are refused, basal goes on.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !matches!(self.0, State::Closed { .. })
    }

    /// Whether one is open and has been reported as overdue.
    #[must_use]
    pub const fn is_overdue(&self) -> bool {
        match self.0 {
            State::Closed { .. } => false,
            State::Open { opening, .. } | State::Aspirated { opening, .. } => opening.overdue,
        }
    }

    /// When it was opened; `None` when closed.
    #[must_use]
    pub const fn since(&self) -> Option<PoweredTime> {
        match self.0 {
            State::Closed { .. } => None,
            State::Open { opening, .. } | State::Aspirated { opening, .. } => Some(opening.since),
        }
    }

    /// What should come out, or should have; `None` when closed or when the level was unknown.
    #[must_use]
    pub fn expected(&self) -> Option<Volume> {
        match self.0 {
            State::Closed { .. } => None,
            State::Open { expected, .. } => expected,
            State::Aspirated { account, .. } => account.map(|account| account.expected),
        }
    }

    /// Whether the patient should be looked after now: from [`PATIENT_CHECK_TIME`] after a fill until that is entered.
    #[must_use]
    pub fn patient_check_is_due(&self, now: PoweredTime) -> bool {
        match self.0 {
            State::Closed { used: Some(used) } => now.saturating_since(used) >= PATIENT_CHECK_TIME,
            State::Closed { used: None } | State::Open { .. } | State::Aspirated { .. } => false,
        }
    }

    /// What was aspirated so far; `None` before that and when the refill is closed.
    #[must_use]
    pub const fn volume_aspirated(&self) -> Option<Volume> {
        match self.0 {
            State::Aspirated { aspirated, .. } => Some(aspirated),
            State::Closed { .. } | State::Open { .. } => None,
        }
    }

    const fn refused(&self, asked: RefillStep) -> RefillRefused {
        RefillRefused {
            asked,
            stage: self.stage(),
        }
    }
}

impl Default for Refill {
    fn default() -> Self {
        Self::CLOSED
    }
}

/// A step out of order. `Display` names what is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefillRefused {
    /// What was tried.
    pub asked: RefillStep,
    /// How far the refill has come.
    pub stage: RefillStage,
}

impl fmt::Display for RefillRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.asked {
            RefillStep::Open => "a refill cannot be opened",
            RefillStep::Aspirate => "an aspirated volume cannot be entered",
            RefillStep::Fill => "a filled volume cannot be entered",
            RefillStep::TopUp => "a top-up cannot be entered",
            RefillStep::NothingChanged => "\"nothing was changed\" cannot be entered",
            RefillStep::PatientCheck => "a check on the patient cannot be entered",
        })?;
        f.write_str(match (self.stage, self.asked) {
            (RefillStage::Closed, RefillStep::PatientCheck) => ": none is outstanding",
            (RefillStage::Closed, _) => ": no refill is open, open one first",
            (RefillStage::Open, _) => ": a refill is open, expected is the aspirated volume, a top-up or \"nothing was changed\"",
            (RefillStage::Aspirated, _) => ": the reservoir was emptied, expected is the filled volume",
        })
    }
}

impl core::error::Error for RefillRefused {}

/// What was taken out at a refill against what should have come out (clinical reference, 2.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discrepancy {
    expected: Volume,
    aspirated: Volume,
    programmed_out: Volume,
}

/// What a discrepancy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiscrepancyVerdict {
    /// Less than 5 mL was programmed out: a reading error would decide.
    NotClassified,
    /// At most 14.5 % either way.
    Within,
    /// More than 14.5 % less came out than expected: too much was delivered, or drug has leaked.
    OverInfusion,
    /// More than 14.5 % more came out than expected: too little was delivered, or the needle was elsewhere.
    UnderInfusion,
}

impl Discrepancy {
    /// `expected` and `aspirated` are levels above the residual; `programmed_out` is what the pump has delivered since it was last emptied.
    #[must_use]
    pub const fn new(expected: Volume, aspirated: Volume, programmed_out: Volume) -> Self {
        Self {
            expected,
            aspirated,
            programmed_out,
        }
    }

    /// What should have come out.
    #[must_use]
    pub const fn expected(&self) -> Volume {
        self.expected
    }

    /// What came out.
    #[must_use]
    pub const fn aspirated(&self) -> Volume {
        self.aspirated
    }

    /// What the pump has delivered since it was last emptied, as it knows.
    #[must_use]
    pub const fn programmed_out(&self) -> Volume {
        self.programmed_out
    }

    /// Whether it exceeds so many thousandths of what was programmed out, either way.
    fn exceeds(&self, per_mille: u128) -> bool {
        let difference = u128::from(self.difference().femtolitres());
        let programmed_out = u128::from(self.programmed_out.femtolitres());
        // 64 bits times 10 bits.
        difference.saturating_mul(1_000) > programmed_out.saturating_mul(per_mille)
    }

    /// The difference without its sign.
    fn difference(&self) -> Volume {
        // One of the two is zero.
        self.expected
            .saturating_sub(self.aspirated)
            .saturating_add(self.aspirated.saturating_sub(self.expected))
    }

    /// The difference over what was programmed out, exactly and without its sign; `None` when nothing was programmed out.
    #[must_use]
    pub fn share(&self) -> Option<Ratio> {
        ratio(
            self.difference().femtolitres(),
            self.programmed_out.femtolitres(),
        )
    }

    /// Whether less came out than expected: too much has left the reservoir.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.aspirated < self.expected
    }

    /// What it says. 14.5 % itself is within, 5 mL itself are classified.
    #[must_use]
    pub fn verdict(&self) -> DiscrepancyVerdict {
        if self.programmed_out < SMALLEST_CLASSIFIED {
            DiscrepancyVerdict::NotClassified
        } else if !self.exceeds(DISCREPANCY_LIMIT_PER_MILLE) {
            DiscrepancyVerdict::Within
        } else if self.is_over() {
            DiscrepancyVerdict::OverInfusion
        } else {
            DiscrepancyVerdict::UnderInfusion
        }
    }

    /// Whether more than 1.05 times what was programmed has left the reservoir, however little that was.
    #[must_use]
    pub fn ratio_is_high(&self) -> bool {
        self.is_over() && self.exceeds(HIGH_RATIO_PER_MILLE)
    }

    /// What has left the reservoir: programmed out + expected - aspirated, at least nothing.
    #[must_use]
    pub fn actually_out(&self) -> Volume {
        self.programmed_out
            .saturating_add(self.expected.saturating_sub(self.aspirated))
            .saturating_sub(self.aspirated.saturating_sub(self.expected))
    }

    /// In tenths of a per cent of what was programmed out, rounded to the nearest, without its sign; `None` when nothing was programmed
    /// out. For display only.
    #[must_use]
    pub fn tenths_of_per_cent(&self) -> Option<u64> {
        tenths_of_per_cent(self.difference(), self.programmed_out)
    }

    /// What an error in reading the volume makes, as [`Discrepancy::tenths_of_per_cent`]. For display only.
    #[must_use]
    pub fn uncertainty_tenths_of_per_cent(&self) -> Option<u64> {
        tenths_of_per_cent(READING_UNCERTAINTY, self.programmed_out)
    }
}

/// `part` of `whole`, rounded to the nearest tenth of a per cent and half up, at most `u64::MAX`.
fn tenths_of_per_cent(part: Volume, whole: Volume) -> Option<u64> {
    let whole = u128::from(whole.femtolitres());
    u128::from(part.femtolitres())
        .saturating_mul(2_000)
        .saturating_add(whole)
        .checked_div(whole.saturating_mul(2))
        .map(|tenths| u64::try_from(tenths).unwrap_or(u64::MAX))
}

impl fmt::Display for Discrepancy {
    /// With its sign and what a reading error makes: `+13.9 % (reading error 3.2 %)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(tenths), Some(uncertainty)) = (
            self.tenths_of_per_cent(),
            self.uncertainty_tenths_of_per_cent(),
        ) else {
            return f.write_str("no percentage: nothing was programmed out");
        };
        let sign = match tenths {
            0 => "",
            _ if self.is_over() => "+",
            _ => "-",
        };
        write!(
            f,
            "{sign}{}.{} % (reading error {}.{} %)",
            tenths / 10,
            tenths % 10,
            uncertainty / 10,
            uncertainty % 10
        )
    }
}

/// One refill of a trend, in microlitres rounded to the nearest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrendEntry {
    programmed_out: u32,
    actually_out: u32,
}

impl TrendEntry {
    fn new(discrepancy: &Discrepancy) -> Self {
        let microlitres = |volume: Volume| {
            let rounded = volume.femtolitres().saturating_add(MICROLITRE / 2) / MICROLITRE;
            u32::try_from(rounded).map_or(LARGEST_TRENDED, |some| some.min(LARGEST_TRENDED))
        };
        Self {
            programmed_out: microlitres(discrepancy.programmed_out),
            actually_out: microlitres(discrepancy.actually_out()),
        }
    }

    /// What was programmed out, to the microlitre and at most some 2 litres.
    #[must_use]
    pub const fn programmed_out(&self) -> Volume {
        Volume::from_microlitres(self.programmed_out)
    }

    /// What has left the reservoir, likewise.
    #[must_use]
    pub const fn actually_out(&self) -> Volume {
        Volume::from_microlitres(self.actually_out)
    }

    /// Actual over programmed; `None` when nothing was programmed out.
    #[must_use]
    pub fn ratio(&self) -> Option<Ratio> {
        ratio(self.actually_out.into(), self.programmed_out.into())
    }
}

fn ratio(actual: u64, programmed: u64) -> Option<Ratio> {
    let programmed = NonZeroU128::new(u128::from(programmed))?;
    Some(Ratio::new(u128::from(actual), programmed))
}

/// The last 40 refills: what an encoder cannot see (leak, worn tubing, catheter faults) shows here alone.
///
/// Small volumes are trended too. The mean is what has left the reservoir in all of them over what was programmed in all of them, so
/// that a small volume with its large reading error weighs little.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trend {
    /// The oldest first.
    refills: Vec<TrendEntry, TREND_REFILLS, u8>,
    last_is_high: bool,
}

impl Trend {
    /// No refills.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            refills: Vec::new(),
            last_is_high: false,
        }
    }

    /// Adds a refill, and drops the oldest of 41.
    pub fn record(&mut self, discrepancy: &Discrepancy) {
        if self.refills.is_full() {
            self.refills.remove(0);
        }
        // There is room now.
        let _ = self.refills.push(TrendEntry::new(discrepancy));
        self.last_is_high = discrepancy.ratio_is_high();
    }

    /// The refills, the newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &TrendEntry> {
        self.refills.iter().rev()
    }

    /// Actual over programmed in the last refill; `None` when there is none, or nothing was programmed out.
    #[must_use]
    pub fn last_ratio(&self) -> Option<Ratio> {
        self.refills.last()?.ratio()
    }

    /// Whether the last ratio was above 1.05, judged before anything was rounded: the next refill is then booked by the worst case.
    #[must_use]
    pub const fn last_is_high(&self) -> bool {
        self.last_is_high
    }

    /// Actual over programmed in all of them; `None` when nothing was programmed out.
    #[must_use]
    pub fn mean_ratio(&self) -> Option<Ratio> {
        let sum = |part: fn(&TrendEntry) -> u32| {
            self.refills
                .iter()
                .map(|entry| u64::from(part(entry)))
                .fold(0, u64::saturating_add)
        };
        ratio(
            sum(|entry| entry.actually_out),
            sum(|entry| entry.programmed_out),
        )
    }
}

#[cfg(test)]
mod tests;
