//! The external trial: it ends by itself, its cassette ends gently, and its diary gives a verdict.
//!
//! | number | source |
//! |---|---|
//! | trial of 7 days | \[P\] clinical reference 5.3 |
//! | at most 30 days at once | \[P\] |
//! | warned 24 h and 2 h before | \[P\] docs/therapy.md, "Pump kinds" |
//! | 0.1 mL/h from 1 mL to empty | \[P\] docs/therapy.md, "Pump kinds" |
//! | success from 50 % | \[S100\]\[S101\] clinical reference 5.1 |
//!
//! | in | 24 h left | 2 h left | time is up | extended |
//! |---|---|---|---|---|
//! | running | ends within a day | ends within 2 h | expired | by the time then left |
//! | ends within a day | | ends within 2 h | expired | by the time then left |
//! | ends within 2 h | | | expired | by the time then left |
//! | expired | | | | by the time then left |
//!
//! Each is reported once as it is entered; without an extension none is ever left for an earlier one, and one that was slept through is skipped.

use core::fmt;

use serde::{Deserialize, Serialize};
use units::{Duration, PoweredTime};

/// How long a trial lasts unless a clinician says otherwise.
pub const TRIAL_LENGTH: Duration = Duration::from_days(7);
/// The longest that may lie ahead of a trial, days.
pub const LONGEST_TRIAL_DAYS: u32 = 30;
/// [`LONGEST_TRIAL_DAYS`] as a time.
pub const LONGEST_TRIAL: Duration = Duration::from_days(LONGEST_TRIAL_DAYS);
/// The first warning.
const DAY_BEFORE: Duration = Duration::from_hours(24);
/// The second warning.
const HOURS_BEFORE: Duration = Duration::from_hours(2);
/// How far a trial has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TrialPhase {
    /// More than 24 h are left.
    Running,
    /// At most 24 h are left: first warning.
    EndsWithinDay,
    /// At most 2 h are left: second warning.
    EndsWithinHours,
    /// The time is up: delivery stops. It does not come back by itself when the trial is extended.
    Expired,
}

/// The end of a trial, on powered time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    ends: PoweredTime,
    phase: TrialPhase,
}

impl Trial {
    /// A trial that begins now.
    ///
    /// # Errors
    /// [`TrialRefused`] for no time or more than [`LONGEST_TRIAL`].
    pub fn begin(now: PoweredTime, length: Duration) -> Result<Self, TrialRefused> {
        Self::ending(now, length)
    }

    /// The same trial with more time, from its end or, once that has passed, from now. Only a clinician extends.
    ///
    /// # Errors
    /// [`TrialRefused`] for no time, or when more than [`LONGEST_TRIAL`] would lie ahead.
    pub fn extended(self, now: PoweredTime, by: Duration) -> Result<Self, TrialRefused> {
        if by == Duration::ZERO {
            return Err(TrialRefused { length: by });
        }
        Self::ending(now, self.time_left(now).saturating_add(by))
    }

    fn ending(now: PoweredTime, length: Duration) -> Result<Self, TrialRefused> {
        if length == Duration::ZERO || length > LONGEST_TRIAL {
            return Err(TrialRefused { length });
        }
        Ok(Self {
            ends: now.saturating_add(length),
            phase: TrialPhase::Running,
        })
    }

    /// The phase that is entered now, once; `None` while nothing changes.
    pub fn poll(&mut self, now: PoweredTime) -> Option<TrialPhase> {
        let phase = match self.ends.saturating_since(now) {
            Duration::ZERO => TrialPhase::Expired,
            left if left <= HOURS_BEFORE => TrialPhase::EndsWithinHours,
            left if left <= DAY_BEFORE => TrialPhase::EndsWithinDay,
            _ => TrialPhase::Running,
        };
        if phase <= self.phase {
            return None;
        }
        self.phase = phase;
        Some(phase)
    }

    /// How far it has come, as of the last poll.
    #[must_use]
    pub const fn phase(&self) -> TrialPhase {
        self.phase
    }

    /// What is left; nothing once it has expired, even on a clock that came back a little behind.
    #[must_use]
    pub fn time_left(&self, now: PoweredTime) -> Duration {
        match self.phase {
            TrialPhase::Expired => Duration::ZERO,
            _ => self.ends.saturating_since(now),
        }
    }
}

/// A trial would have no time, or more than is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrialRefused {
    /// The time that would lie ahead.
    pub length: Duration,
}

impl fmt::Display for TrialRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the trial would last another {}: it must be more than none and at most {LONGEST_TRIAL}",
            self.length
        )
    }
}

impl core::error::Error for TrialRefused {}

/// What a diary is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DiaryKind {
    /// How much it hurts.
    Pain,
    /// How stiff the muscles are.
    Spasticity,
}

/// The scale of a diary; 0 is best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DiaryScale {
    /// 0 to 10.
    Ten,
    /// 0 to 100.
    Hundred,
}

impl DiaryScale {
    /// The worst score.
    #[must_use]
    pub const fn worst(self) -> u8 {
        match self {
            Self::Ten => 10,
            Self::Hundred => 100,
        }
    }
}

/// When a score was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiaryPeriod {
    /// Before the trial.
    Baseline,
    /// During the trial.
    Trial,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Scores {
    sum: u32,
    count: u16,
}

/// The scores of a trial and those before it, as sums and counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diary {
    kind: DiaryKind,
    scale: DiaryScale,
    baseline: Scores,
    trial: Scores,
}

/// What a diary says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrialVerdict {
    /// Whether the mean fell by at least 50 %, exactly.
    pub successful: bool,
    /// How far the mean fell, in whole per cent towards zero; negative when it rose. For display only.
    pub reduction_per_cent: i32,
}

impl Diary {
    /// An empty diary.
    #[must_use]
    pub const fn new(kind: DiaryKind, scale: DiaryScale) -> Self {
        let none = Scores { sum: 0, count: 0 };
        Self {
            kind,
            scale,
            baseline: none,
            trial: none,
        }
    }

    /// What it is about.
    #[must_use]
    pub const fn kind(&self) -> DiaryKind {
        self.kind
    }

    /// Its scale.
    #[must_use]
    pub const fn scale(&self) -> DiaryScale {
        self.scale
    }

    /// How many scores there are of a period.
    #[must_use]
    pub const fn count(&self, period: DiaryPeriod) -> u16 {
        match period {
            DiaryPeriod::Baseline => self.baseline.count,
            DiaryPeriod::Trial => self.trial.count,
        }
    }

    /// Adds a score.
    ///
    /// # Errors
    /// [`DiaryRefused`]; the diary is then unchanged.
    pub fn record(&mut self, period: DiaryPeriod, score: u8) -> Result<(), DiaryRefused> {
        let worst = self.scale.worst();
        if score > worst {
            return Err(DiaryRefused::AboveScale { score, worst });
        }
        let scores = match period {
            DiaryPeriod::Baseline => &mut self.baseline,
            DiaryPeriod::Trial => &mut self.trial,
        };
        scores.count = scores.count.checked_add(1).ok_or(DiaryRefused::Full)?;
        // 65,535 scores of 100 have 23 bits.
        scores.sum = scores.sum.saturating_add(u32::from(score));
        Ok(())
    }

    /// (baseline mean - trial mean) / baseline mean against 50 %; `None` without scores of both periods, or with a baseline of 0.
    #[must_use]
    pub fn verdict(&self) -> Option<TrialVerdict> {
        if self.trial.count == 0 {
            return None;
        }
        // Both means over the same denominator: sums of 32 bits times counts of 16.
        let product = |sum: u32, count: u16| i64::from(sum).saturating_mul(i64::from(count));
        let baseline = product(self.baseline.sum, self.trial.count);
        let trial = product(self.trial.sum, self.baseline.count);
        let reduction_per_cent = baseline
            .saturating_sub(trial)
            .saturating_mul(100)
            .checked_div(baseline)?;
        Some(TrialVerdict {
            successful: trial.saturating_mul(2) <= baseline,
            reduction_per_cent: i32::try_from(reduction_per_cent).unwrap_or(i32::MIN),
        })
    }
}

/// Why a score is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiaryRefused {
    /// Above the scale.
    AboveScale {
        /// What was given.
        score: u8,
        /// What is allowed at most.
        worst: u8,
    },
    /// 65,535 scores of this period are all there is room for.
    Full,
}

impl fmt::Display for DiaryRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AboveScale { score, worst } => {
                write!(f, "a score of {score} is above the scale: at most {worst}")
            }
            Self::Full => f.write_str("the diary is full: it holds 65535 scores of each period"),
        }
    }
}

impl core::error::Error for DiaryRefused {}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use std::string::ToString;

    use proptest::prelude::*;

    use super::*;

    const BEGUN: PoweredTime = PoweredTime::from_micros(77);

    fn week() -> Trial {
        Trial::begin(BEGUN, TRIAL_LENGTH).unwrap()
    }

    fn before_end(left: Duration) -> PoweredTime {
        BEGUN.saturating_add(TRIAL_LENGTH).saturating_sub(left)
    }

    fn longer(time: Duration) -> Duration {
        time.saturating_add(Duration::from_micros(1))
    }

    /// Requirement: TH-trial-expiry
    #[test]
    fn it_warns_twice_and_ends_once() {
        let mut trial = week();
        assert_eq!(trial.time_left(BEGUN), TRIAL_LENGTH);
        for (left, entered) in [
            (TRIAL_LENGTH, None),
            (longer(Duration::from_hours(24)), None),
            (Duration::from_hours(24), Some(TrialPhase::EndsWithinDay)),
            (Duration::from_hours(23), None),
            (longer(Duration::from_hours(2)), None),
            (Duration::from_hours(2), Some(TrialPhase::EndsWithinHours)),
            (Duration::from_micros(1), None),
            (Duration::ZERO, Some(TrialPhase::Expired)),
            (Duration::ZERO, None),
            // A clock that came back behind its last checkpoint.
            (Duration::from_hours(30), None),
        ] {
            assert_eq!(trial.poll(before_end(left)), entered, "{left}");
        }
        assert_eq!(trial.phase(), TrialPhase::Expired);
        assert_eq!(trial.time_left(BEGUN), Duration::ZERO);
    }

    #[test]
    fn a_warning_slept_through_is_skipped() {
        let mut trial = week();
        assert_eq!(trial.poll(PoweredTime::MAX), Some(TrialPhase::Expired));
        let mut short = Trial::begin(BEGUN, Duration::from_hours(3)).unwrap();
        assert_eq!(short.poll(BEGUN), Some(TrialPhase::EndsWithinDay));
    }

    #[test]
    fn an_extension_counts_from_the_end_or_from_now() {
        let day = Duration::from_days(1);
        let mut trial = week();
        trial.poll(before_end(day));
        let mut more = trial.extended(before_end(day), day).unwrap();
        assert_eq!(more.phase(), TrialPhase::Running);
        assert_eq!(more.time_left(before_end(day)), Duration::from_days(2));
        assert_eq!(
            more.poll(before_end(Duration::ZERO)),
            Some(TrialPhase::EndsWithinDay)
        );
        trial.poll(before_end(Duration::ZERO));
        let now = before_end(Duration::ZERO).saturating_add(day);
        let mut again = trial.extended(now, Duration::from_days(2)).unwrap();
        assert_eq!(
            (again.poll(now), again.time_left(now)),
            (None, Duration::from_days(2))
        );
    }

    #[test]
    fn a_trial_has_a_time_and_at_most_30_days_ahead() {
        assert!(Trial::begin(BEGUN, LONGEST_TRIAL).is_ok());
        for length in [Duration::ZERO, longer(LONGEST_TRIAL), Duration::MAX] {
            assert_eq!(Trial::begin(BEGUN, length), Err(TrialRefused { length }));
        }
        let trial = week();
        let room = LONGEST_TRIAL.checked_sub(TRIAL_LENGTH).unwrap();
        assert!(trial.extended(BEGUN, room).is_ok());
        let length = longer(LONGEST_TRIAL);
        assert_eq!(
            trial.extended(BEGUN, longer(room)),
            Err(TrialRefused { length })
        );
        assert!(trial.extended(BEGUN, Duration::ZERO).is_err());
        assert!(trial.extended(BEGUN, Duration::MAX).is_err());
        assert_eq!(
            TrialRefused {
                length: Duration::from_days(31)
            }
            .to_string(),
            "the trial would last another 31 days: it must be more than none and at most 30 days"
        );
    }

    #[test]
    fn both_survive_a_reset_in_a_few_bytes() {
        let mut buffer = [0; 32];
        let trial = Trial {
            ends: PoweredTime::MAX,
            phase: TrialPhase::Expired,
        };
        let bytes = postcard::to_slice(&trial, &mut buffer).unwrap();
        assert_eq!(bytes.len(), 11);
        assert_eq!(postcard::from_bytes(bytes), Ok(trial));
        let most = Scores {
            sum: u32::MAX,
            count: u16::MAX,
        };
        let diary = Diary {
            baseline: most,
            trial: most,
            ..Diary::new(DiaryKind::Spasticity, DiaryScale::Hundred)
        };
        let bytes = postcard::to_slice(&diary, &mut buffer).unwrap();
        assert_eq!(bytes.len(), 18);
        assert_eq!(postcard::from_bytes(bytes), Ok(diary));
    }

    fn diary(baseline: &[u8], trial: &[u8]) -> Diary {
        let mut diary = Diary::new(DiaryKind::Pain, DiaryScale::Hundred);
        for &score in baseline {
            diary.record(DiaryPeriod::Baseline, score).unwrap();
        }
        for &score in trial {
            diary.record(DiaryPeriod::Trial, score).unwrap();
        }
        diary
    }

    /// Requirement: TH-trial-verdict
    #[test]
    fn half_is_a_success_and_less_is_none() {
        for (baseline, trial, successful, reduction_per_cent) in [
            (&[80, 80][..], &[40][..], true, 50),
            (&[80, 80], &[40, 40, 41], false, 49),
            (&[80, 80], &[40, 40, 39], true, 50),
            (&[10], &[0], true, 100),
            (&[10], &[10], false, 0),
            (&[1], &[100], false, -9_900),
        ] {
            let verdict = TrialVerdict {
                successful,
                reduction_per_cent,
            };
            assert_eq!(diary(baseline, trial).verdict(), Some(verdict));
        }
        for (baseline, trial) in [
            (&[][..], &[][..]),
            (&[5], &[]),
            (&[], &[5]),
            (&[0, 0], &[5]),
        ] {
            assert_eq!(diary(baseline, trial).verdict(), None);
        }
    }

    #[test]
    fn a_score_keeps_to_its_scale_and_the_diary_to_its_room() {
        for scale in [DiaryScale::Ten, DiaryScale::Hundred] {
            let mut diary = Diary::new(DiaryKind::Spasticity, scale);
            let worst = scale.worst();
            assert_eq!(diary.record(DiaryPeriod::Trial, worst), Ok(()));
            let score = worst + 1;
            let error = DiaryRefused::AboveScale { score, worst };
            assert_eq!(diary.record(DiaryPeriod::Trial, score), Err(error));
            assert_eq!(
                (
                    diary.count(DiaryPeriod::Trial),
                    diary.count(DiaryPeriod::Baseline)
                ),
                (1, 0)
            );
            assert_eq!(
                (diary.kind(), diary.scale()),
                (DiaryKind::Spasticity, scale)
            );
        }
        let mut diary = diary(&[100], &[]);
        for _ in 0..u16::MAX {
            diary.record(DiaryPeriod::Trial, 50).unwrap();
        }
        let before = diary;
        assert_eq!(
            diary.record(DiaryPeriod::Trial, 50),
            Err(DiaryRefused::Full)
        );
        assert_eq!(diary, before);
        assert!(diary.verdict().unwrap().successful);
    }

    proptest! {
        /// Against the definition: (b - t) / b >= 1/2 with b and t as fractions.
        #[test]
        fn the_verdict_is_the_definition(
            baseline in prop::collection::vec(0_u8..=100, 0..30), trial in prop::collection::vec(0_u8..=100, 0..30),
        ) {
            let sum = |scores: &[u8]| scores.iter().map(|&score| i64::from(score)).sum::<i64>();
            let count = |scores: &[u8]| i64::try_from(scores.len()).unwrap();
            let (b, t) = (sum(&baseline) * count(&trial), sum(&trial) * count(&baseline));
            let expected = (b > 0).then(|| (2 * (b - t) >= b, (b - t) * 100 / b));
            let verdict = diary(&baseline, &trial).verdict();
            prop_assert_eq!(verdict.map(|verdict| (verdict.successful, i64::from(verdict.reduction_per_cent))), expected);
        }
    }
}
