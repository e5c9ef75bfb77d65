//! A program on the wire, its read-back, and the digest that binds the two.
use core::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;
use units::{Drug, FaultPolicy, OverrideReason, Per};

use crate::codec;
use crate::list::List;
use crate::order::{Commit, Shown};
use crate::refused::LimitKind;

/// Drugs of a mixture beside the primary one, at most.
pub const SECONDARIES: usize = 3;
/// Drugs of a mixture at most.
pub const DRUGS: usize = 4;
/// Patterns of a flex week at most: one for each day.
pub const PATTERNS: usize = 7;
/// Steps of all patterns of a flex week together, at most.
pub const FLEX_STEPS: usize = 96;
/// Periods of a day in which a patient's boluses are counted apart, at most.
pub const PERIODS: usize = 4;
/// Findings of one staged program at most.
pub const FINDINGS: usize = 12;

/// A program as it travels. Whether its values make a prescription is for the pump to decide.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Program {
    /// The drug by which doses are prescribed.
    pub primary: Component,
    /// The others of the mixture, which follow in the proportion of their concentrations.
    pub secondaries: List<Component, SECONDARIES>,
    /// How the drug is to be delivered. Its doses are of the primary drug.
    pub mode: Mode,
    /// What the patient may add; `None`: nothing.
    pub patient_bolus: Option<PatientBolus>,
    /// What to do about a fault that leaves the drug deliverable; `None`: what the drug library says.
    pub fault_policy: Option<FaultPolicy>,
    /// Dose of the *old* primary drug while the old mixture is still in the path; `None` when nothing is to be bridged.
    pub bridge: Option<Dose>,
    /// What the reservoir was filled with; `None` when it was not.
    pub fill: Option<Fill>,
    /// Volume at which the reservoir counts as low, in nL; `None`: the pump's default.
    pub low_mark_nl: Option<u32>,
}

impl Program {
    /// One drug in this mode: no boluses, no bridge, no fill, everything else as the library and the pump have it.
    pub const fn new(primary: Component, mode: Mode) -> Self {
        Self {
            primary,
            secondaries: List::new(),
            mode,
            patient_bolus: None,
            fault_policy: None,
            bridge: None,
            fill: None,
            low_mark_nl: None,
        }
    }
}

/// One drug of a mixture.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Component {
    /// Which.
    pub drug: Drug,
    /// Its concentration in ng/mL, 1 to 4,294,967,295 (4.29 g/mL); 2 mg/mL is 2,000,000.
    pub concentration_ng_per_ml: u32,
}

/// A refill.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Fill {
    /// Volume injected, in nL.
    pub volume_nl: u32,
    /// It was added to what was there. Otherwise the reservoir was emptied before.
    pub top_up: bool,
}

/// How the drug is to be delivered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
#[expect(clippy::large_enum_variant, reason = "there is no heap to put it on")]
pub enum Mode {
    /// Not at all; a prescription like any other.
    Stopped,
    /// The least flow that keeps the catheter open, 0.006 mL/day.
    MinimumRate,
    /// One rate without end.
    SimpleContinuous {
        /// The dose, as prescribed.
        dose: Dose,
    },
    /// Rates that follow the time of day and the day of the week.
    Flex {
        /// All of them.
        week: FlexWeek,
    },
    /// A bolus again and again.
    PeriodicBolus(PeriodicBolus),
    /// One bolus, then nothing.
    SingleBolus {
        /// Its dose, in ng.
        dose_ng: u64,
        /// The time over which it is given, in s.
        duration_s: u32,
    },
}

/// A dose over a stated time, kept as entered: 15 mcg/h is not turned into 360 mcg/day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Dose {
    /// Mass in ng, 1 or more, per [`Dose::per`].
    pub nanograms: u64,
    /// The time over which that mass is delivered.
    pub per: Per,
}

/// A bolus that comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct PeriodicBolus {
    /// Its dose, in ng.
    pub bolus_ng: u64,
    /// The time over which it is given, in s.
    pub duration_s: u32,
    /// From start to start, in min.
    pub interval_min: u32,
    /// The rate between and beneath; `None`: minimum rate.
    pub basal: Option<Dose>,
    /// The first one after this many minutes from the commit; `None`: one whole interval after the last one delivered or
    /// cancelled, or after the commit.
    pub first_after_min: Option<u32>,
}

/// A week of rates: a pattern of steps for each day.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct FlexWeek {
    /// The time over which every [`FlexStep::dose_ng`] is delivered.
    pub per: Per,
    /// The number of the pattern of each day, counted from 0, Monday first.
    pub days: [u8; 7],
    /// How many steps each pattern has.
    pub patterns: List<u8, PATTERNS>,
    /// The steps of all patterns, one pattern after another.
    pub steps: List<FlexStep, FLEX_STEPS>,
}

impl FlexWeek {
    /// No pattern yet, and every day follows the first.
    pub const fn new(per: Per) -> Self {
        Self {
            per,
            days: [0; 7],
            patterns: List::new(),
            steps: List::new(),
        }
    }

    /// The steps of the pattern numbered `pattern`; `None` when there is none, or steps are missing.
    pub fn pattern(&self, pattern: u8) -> Option<&[FlexStep]> {
        let mut rest = &self.steps[..];
        for (number, length) in (0_u8..).zip(&self.patterns) {
            let (steps, behind) = rest.split_at_checked(usize::from(*length))?;
            if number == pattern {
                return Some(steps);
            }
            rest = behind;
        }
        None
    }

    /// Adds a pattern from where its steps begin, in minutes from midnight, and their doses, as [`from_minutes`] gives them back.
    /// `None`, and nothing is added, when the first does not begin at midnight, one begins before another ends or after the day,
    /// a dose is too large for a [`FlexStep`], or there is no room.
    pub fn push_pattern(&mut self, steps: impl IntoIterator<Item = (u16, u32)>) -> Option<()> {
        let before = self.steps.len();
        let pushed = self.push_steps(steps.into_iter());
        let length = self.steps.len().saturating_sub(before);
        let counted = pushed
            .and_then(|()| u8::try_from(length).ok())
            .and_then(|length| self.patterns.push(length).ok());
        if counted.is_none() {
            self.steps.truncate(before);
        }
        counted
    }

    fn push_steps(&mut self, mut steps: impl Iterator<Item = (u16, u32)>) -> Option<()> {
        let (mut from, mut dose_ng) = steps.next()?;
        if from != 0 {
            return None;
        }
        loop {
            let next = steps.next();
            let until = next.map_or(MINUTES_PER_DAY, |(until, _)| until);
            if until > MINUTES_PER_DAY {
                return None;
            }
            let lasts_min = until.checked_sub(from).filter(|minutes| *minutes > 0)?;
            self.steps.push(FlexStep::new(lasts_min, dose_ng)?).ok()?;
            match next {
                Some(next) => (from, dose_ng) = next,
                None => return Some(()),
            }
        }
    }
}

/// Minutes of a day.
const MINUTES_PER_DAY: u16 = 1_440;

/// Where each step begins, in minutes from midnight, and its dose in ng.
pub fn from_minutes(steps: &[FlexStep]) -> impl Iterator<Item = (u16, u32)> + Clone + '_ {
    steps.iter().scan(0_u16, |from, step| {
        let begins = *from;
        *from = begins.saturating_add(step.lasts_min());
        Some((begins, step.dose_ng()))
    })
}

/// One step of a pattern. Told by how long it lasts and not by when it begins, so that steps can neither overlap nor leave a gap; those of a
/// pattern have to fill the day. In six bytes, because a week has many.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FlexStep {
    lasts_min: u16,
    /// Low half first.
    dose_ng: [u16; 2],
}

impl FlexStep {
    /// The longest, in min: a whole day.
    pub const LONGEST_MIN: u16 = MINUTES_PER_DAY;
    /// The largest dose, in ng: 268 mg, several times what any drug's hard limits allow in a day. In four bytes on the wire.
    pub const LARGEST_NG: u32 = (1 << 28) - 1;

    /// A step; `None` when it lasts longer than [`FlexStep::LONGEST_MIN`] or its dose is above [`FlexStep::LARGEST_NG`].
    pub fn new(lasts_min: u16, dose_ng: u32) -> Option<Self> {
        let low = u16::try_from(dose_ng & 0xffff).ok()?;
        let high = u16::try_from(dose_ng >> 16).ok()?;
        (lasts_min <= Self::LONGEST_MIN && dose_ng <= Self::LARGEST_NG).then_some(Self {
            lasts_min,
            dose_ng: [low, high],
        })
    }

    /// How long it lasts, in min.
    pub fn lasts_min(self) -> u16 {
        self.lasts_min
    }

    /// Its dose in ng per [`FlexWeek::per`]; 0: minimum rate.
    pub fn dose_ng(self) -> u32 {
        let [low, high] = self.dose_ng;
        u32::from(high) << 16 | u32::from(low)
    }
}

impl fmt::Debug for FlexStep {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ng for {} min", self.dose_ng(), self.lasts_min)
    }
}

impl Serialize for FlexStep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.lasts_min, self.dose_ng()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FlexStep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (lasts_min, dose_ng) = Deserialize::deserialize(deserializer)?;
        Self::new(lasts_min, dose_ng)
            .ok_or_else(|| D::Error::custom("a step longer than a day or of more than 268 mg"))
    }
}

#[cfg(any(test, feature = "schema"))]
impl postcard_schema::Schema for FlexStep {
    const SCHEMA: &'static postcard_schema::schema::NamedType = {
        use postcard_schema::schema::{DataModelType, NamedType, NamedValue};
        &NamedType {
            name: "FlexStep",
            ty: &DataModelType::Struct(&[
                &NamedValue {
                    name: "lasts_min",
                    ty: u16::SCHEMA,
                },
                &NamedValue {
                    name: "dose_ng",
                    ty: u32::SCHEMA,
                },
            ]),
        }
    };
}

/// What the patient may add.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct PatientBolus {
    /// Dose of one bolus, in ng of the primary drug.
    pub dose_ng: u64,
    /// The time over which it is given, in s.
    pub duration_s: u32,
    /// Least time from the start of one to the start of the next, in min.
    pub lockout_min: u16,
    /// Boluses in any 24 h.
    pub per_day: u8,
    /// Mass of the primary drug in any 24 h with everything that was given, in ng; `None`: not capped.
    pub day_cap_ng: Option<u64>,
    /// Periods of the day with a number of their own.
    pub periods: List<PeriodCap, PERIODS>,
}

/// A period of the day with its own number of patient boluses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct PeriodCap {
    /// Where it begins, in minutes from local midnight, 0 to 1,439.
    pub from_min: u16,
    /// Where it ends; before `from_min` when midnight lies within.
    pub to_min: u16,
    /// Boluses that may begin in it.
    pub boluses: u8,
}

/// A staged program in the pump's own words, for the user to compare before committing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Staged {
    /// The program as the pump holds it, written anew from what it validated, not an echo of what it received.
    pub program: Program,
    /// The flow this program means now, in nL/day, rounded down (for display); 0 when stopped.
    pub flow_nl_per_day: u32,
    /// Largest mass in any 24 h under the program now in force, in ng of its own primary drug, rounded down; `None` when nothing
    /// was ever programmed.
    pub old_day_total_ng: Option<u64>,
    /// Largest mass in any 24 h under the staged program, in ng of its primary drug, rounded down; 0 when stopped.
    pub new_day_total_ng: u64,
    /// The change between the two, rounded like [`Shown::change_tenths_percent`]; `None` when there is nothing to compare with.
    pub change_tenths_percent: Option<i32>,
    /// Largest mass of each drug in any 24 h, with every bolus allotted, in the order of the mixture.
    pub largest_24h: List<DrugTotal, DRUGS>,
    /// The drug whose limit comes first when the dose is raised.
    pub binding: Option<Drug>,
    /// Soft limits that the program goes over. When there are more than fit, those furthest over are kept.
    pub findings: List<Finding, FINDINGS>,
    /// [`crate::Commit::reason`] has to be given.
    pub needs_reason: bool,
    /// How the old mixture is led out of the path; `None` when there is nothing to bridge.
    pub bridge: Option<BridgePlan>,
    /// Patient boluses that fit into 24 h: the smaller of number and lockout.
    pub boluses_per_day: u16,
    /// It is the lockout that keeps them to that number.
    pub lockout_binds: bool,
    /// What [`crate::Command::Commit`] has to name.
    pub digest: Digest,
    /// Carrier time left until the staged program is discarded, in ms, at most 120,000.
    pub expires_in_ms: u32,
}

impl Staged {
    /// The digest is that of the program shown, as the next one after the program numbered `number_in_force`: what a programmer checks
    /// before it asks anybody to confirm.
    pub fn is_consistent(&self, number_in_force: u32) -> bool {
        number_in_force
            .checked_add(1)
            .is_some_and(|number| Digest::of(&self.program, number) == self.digest)
    }

    /// The commit of this program by a user who saw exactly these numbers.
    pub fn commit(&self, reason: Option<OverrideReason>) -> Commit {
        Commit {
            digest: self.digest,
            shown: self.shown(),
            reason,
        }
    }

    /// What a programmer that shows these numbers, and no others, has to say in its commit.
    pub fn shown(&self) -> Shown {
        Shown {
            old_day_total_ng: self.old_day_total_ng,
            new_day_total_ng: self.new_day_total_ng,
            change_tenths_percent: self.change_tenths_percent,
        }
    }
}

/// A mass of one drug.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct DrugTotal {
    /// Of which drug.
    pub drug: Drug,
    /// The mass, in ng, rounded down.
    pub total_ng: u64,
}

/// A bridge as it will run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct BridgePlan {
    /// Its constant flow, in nL/day, rounded down (for display).
    pub flow_nl_per_day: u32,
    /// Volume of the old mixture to be led out, in nL; the bridge ends when it has been counted.
    pub volume_nl: u32,
    /// How long that takes at that flow, in s.
    pub duration_s: u32,
}

/// A soft limit that a program or an order goes over: allowed with a reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Finding {
    /// Which limit; also fixes the unit of the two numbers.
    pub limit_kind: LimitKind,
    /// Of which drug.
    pub drug: Drug,
    /// What was asked for.
    pub value: Amount,
    /// What the limit is.
    pub limit: Amount,
}

/// A number of a [`Finding`]. Bounded, to keep the longest read-back within a message: 4.4 g is far beyond every limit that is soft.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Amount(u64);

impl Amount {
    /// The largest: in six bytes on the wire.
    pub const LARGEST: Self = Self((1 << 42) - 1);

    /// This number; `None` when it is above [`Amount::LARGEST`].
    pub const fn new(amount: u64) -> Option<Self> {
        if amount <= Self::LARGEST.0 {
            Some(Self(amount))
        } else {
            None
        }
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Deserialize::deserialize(deserializer)?)
            .ok_or_else(|| D::Error::custom("an amount of 2^42 or more"))
    }
}

#[cfg(any(test, feature = "schema"))]
impl postcard_schema::Schema for Amount {
    const SCHEMA: &'static postcard_schema::schema::NamedType =
        &postcard_schema::schema::NamedType {
            name: "Amount",
            ty: &postcard_schema::schema::DataModelType::NewtypeStruct(u64::SCHEMA),
        };
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.limit_kind
            .exceeded(out, self.drug, self.value.get(), self.limit.get())
    }
}

/// SHA-256 of a program and of the number it will bear.
///
/// The number is what makes each commit its own: a digest confirmed for one program number can never put the same
/// program into force a second time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `program` as the program numbered `program_number`: SHA-256 over the canonical postcard of the program
    /// followed by the postcard of the number (u32, as a varint).
    ///
    /// `program_number` is the one that a commit would give it: that of the program in force plus one.
    pub fn of(program: &Program, program_number: u32) -> Digest {
        let mut hasher = sha2::Sha256::new();
        codec::feed(&(program, program_number), &mut |bytes| {
            hasher.update(bytes)
        });
        Digest(hasher.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Digest({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::vec::Vec;

    use super::*;
    use crate::codec::{decode, encode};
    use crate::samples::{BACLOFEN, continuous, program, staged};

    /// The bytes are written out by hand, as an independent programmer would.
    #[test]
    fn digest_is_sha_256_over_canonical_postcard_of_program_and_number() {
        #[rustfmt::skip]
        let bytes = [
            7, 0x80, 0x89, 0x7a, // baclofen, 2,000,000 ng/mL
            0, // nothing beside it
            2, 0x90, 0xa1, 0x0f, 1, // simple continuous, 250,000 ng a day
            0, 0, 0, // no patient bolus, no fault policy, no bridge
            1, 0x80, 0xda, 0xc4, 0x09, 0, // filled with 20,000,000 nL, emptied before
            0, // no low mark
            0xac, 0x02, // program 300
        ];
        let expected: [u8; 32] = sha2::Sha256::digest(bytes).into();
        assert_eq!(Digest::of(&program(), 300), Digest(expected));
    }

    #[test]
    fn staged_is_consistent_for_the_next_number_only() {
        let staged = staged(program(), 5);
        assert!(staged.is_consistent(4));
        assert!(!staged.is_consistent(5));
        assert!(!staged.is_consistent(u32::MAX));
        let other = Staged {
            program: Program {
                fill: None,
                ..program()
            },
            ..staged
        };
        assert!(!other.is_consistent(4));
    }

    #[test]
    fn a_commit_names_what_was_read_back() {
        let staged = staged(program(), 5);
        let commit = staged.commit(Some(OverrideReason::Tolerance));
        assert_eq!(commit.digest, staged.digest);
        assert_eq!(commit.reason, Some(OverrideReason::Tolerance));
        assert_eq!(commit.shown.old_day_total_ng, Some(200_000));
        assert_eq!(commit.shown.new_day_total_ng, 250_000);
        assert_eq!(commit.shown.change_tenths_percent, Some(250));
    }

    #[test]
    fn digest_is_shown_in_hex() {
        assert_eq!(Digest([0x0a; 32]).to_string(), "0a".repeat(32));
    }

    /// The week of the clinical reference, 2.6: baclofen 15, 40, 20, 30, 15 mcg/h.
    const WEEKDAY: [(u16, u32); 5] = [
        (0, 15_000),
        (360, 40_000),
        (540, 20_000),
        (1_080, 30_000),
        (1_320, 15_000),
    ];

    #[test]
    fn patterns_go_in_and_come_out_by_their_beginnings() {
        let mut week = FlexWeek::new(Per::Hour);
        week.push_pattern(WEEKDAY).unwrap();
        week.push_pattern([(0, 0)]).unwrap();
        week.days = [0, 0, 0, 0, 0, 1, 1];
        assert_eq!(*week.patterns, [5, 1]);
        let back = |number| from_minutes(week.pattern(number).unwrap()).collect::<Vec<_>>();
        assert_eq!(back(0), WEEKDAY);
        assert_eq!(back(1), [(0, 0)]);
        assert_eq!(week.pattern(2), None);
        let lasts: Vec<_> = week.steps.iter().map(|step| step.lasts_min()).collect();
        assert_eq!(lasts, [360, 180, 540, 240, 120, 1_440]);
        let total: u64 = from_minutes(week.pattern(0).unwrap())
            .zip(&week.steps)
            .map(|((_, dose), step)| u64::from(dose) * u64::from(step.lasts_min()) / 60)
            .sum();
        assert_eq!(total, 540_000, "540 mcg/day");
    }

    #[test]
    fn a_pattern_that_is_no_day_adds_nothing() {
        let mut week = FlexWeek::new(Per::Hour);
        week.push_pattern([(0, 7)]).unwrap();
        let before = week.clone();
        let too_large = FlexStep::LARGEST_NG + 1;
        let bad: [&[(u16, u32)]; 7] = [
            &[],
            &[(1, 5)],
            &[(0, 5), (0, 6)],
            &[(0, 5), (60, 5), (59, 6)],
            &[(0, 5), (1_440, 6)],
            &[(0, 5), (1_441, 6)],
            &[(0, 5), (60, too_large)],
        ];
        for steps in bad {
            assert_eq!(week.push_pattern(steps.iter().copied()), None, "{steps:?}");
            assert_eq!(week, before);
        }
        assert_eq!(week.push_pattern([(0, 5), (1_439, 6)]), Some(()));
    }

    #[test]
    fn a_week_has_room_for_seven_patterns_and_96_steps() {
        let mut week = FlexWeek::new(Per::Day);
        for _ in 0..7 {
            week.push_pattern([(0, 1)]).unwrap();
        }
        assert_eq!(week.push_pattern([(0, 1)]), None);
        assert_eq!(week.steps.len(), 7);
        let mut week = FlexWeek::new(Per::Day);
        for _ in 0..4 {
            week.push_pattern((0..24).map(|hour| (hour * 60, 1)))
                .unwrap();
        }
        assert_eq!(week.push_pattern([(0, 1)]), None);
        assert_eq!((week.patterns.len(), week.steps.len()), (4, 96));
    }

    #[test]
    fn lengths_that_lie_give_no_pattern() {
        let mut week = FlexWeek::new(Per::Hour);
        week.push_pattern(WEEKDAY).unwrap();
        week.patterns.push(1).unwrap();
        assert_eq!(week.pattern(0).map(<[FlexStep]>::len), Some(5));
        assert_eq!(week.pattern(1), None);
    }

    #[test]
    fn a_step_keeps_its_numbers_within_its_bounds_and_takes_no_others() {
        let mut buffer = [0; 8];
        for dose in [0, 1, 0xffff, 0x1_0000, 0x1_2345, FlexStep::LARGEST_NG] {
            for lasts in [0, 1, 1_440] {
                let step = FlexStep::new(lasts, dose).unwrap();
                assert_eq!((step.lasts_min(), step.dose_ng()), (lasts, dose));
                let wire = encode(&step, &mut buffer).unwrap();
                assert_eq!(decode::<FlexStep>(wire), Ok(step));
            }
        }
        assert_eq!(FlexStep::new(1_441, 0), None);
        assert_eq!(FlexStep::new(0, FlexStep::LARGEST_NG + 1), None);
        for beyond in [(1_441_u16, 0_u32), (0, FlexStep::LARGEST_NG + 1)] {
            let wire = encode(&beyond, &mut buffer).unwrap();
            assert!(decode::<FlexStep>(wire).is_err(), "{beyond:?}");
        }
        assert_eq!(size_of::<FlexStep>(), 6);
    }

    #[test]
    fn a_finding_says_what_was_asked_for_and_what_is_allowed() {
        let finding = Finding {
            limit_kind: LimitKind::DayNanograms,
            drug: Drug::Morphine,
            value: Amount::new(16_000_000).unwrap(),
            limit: Amount::new(15_000_000).unwrap(),
        };
        assert_eq!(
            finding.to_string(),
            "morphine: dose in 24 h 16 mg, at most 15 mg"
        );
    }

    #[test]
    fn an_amount_of_2_to_the_42_does_not_travel() {
        let mut buffer = [0; 10];
        let wire = encode(&Amount::LARGEST, &mut buffer).unwrap();
        assert_eq!(wire.len(), 6);
        assert_eq!(decode::<Amount>(wire), Ok(Amount::LARGEST));
        assert_eq!(Amount::new(Amount::LARGEST.get()), Some(Amount::LARGEST));
        let beyond = Amount::LARGEST.get() + 1;
        assert_eq!(Amount::new(beyond), None);
        assert!(decode::<Amount>(encode(&beyond, &mut buffer).unwrap()).is_err());
    }

    #[test]
    fn a_plain_program_asks_for_nothing_more() {
        let mut buffer = [0; 32];
        let plain = Program::new(BACLOFEN, continuous(5, Per::Hour));
        assert_eq!(
            encode(&plain, &mut buffer).unwrap(),
            [7, 0x80, 0x89, 0x7a, 0, 2, 5, 0, 0, 0, 0, 0, 0]
        );
    }
}
