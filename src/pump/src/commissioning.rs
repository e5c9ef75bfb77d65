//! The commissioning record: what kind of pump this is, and its calibration. Kept in both state banks, and a third time in one-time memory
//! where the chip has it, because nothing else can bring it back in a body.

use crate::state::Recovery;
use crc::{CRC_32_ISO_HDLC, Crc};
use serde::{Deserialize, Serialize};
use therapy::{Bounds, Calibration, CalibrationRefusal};
use units::{FlowRate, Per, PumpKind, StepVolume, Volume};

/// Length of the one-time memory that is used, bytes.
pub const ONE_TIME_BYTES: usize = 32;

/// What stands first in one-time memory; another number, another layout.
const MAGIC: [u8; 4] = *b"ThC1";
/// Length of the CRC at the end, bytes.
const CHECK_BYTES: usize = 4;
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// What is settled once, when the pump is commissioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommissioningRecord {
    /// The kind.
    pub kind: PumpKind,
    /// What one motor step displaces, from calibration, femtolitres.
    pub step_volume_fl: u32,
    /// The largest deliverable volume that the reservoir takes, nanolitres.
    pub capacity_nl: u32,
    /// The one rate of a constant-rate pump, nL/day; none for the others.
    pub fixed_rate_nl_per_day: Option<u32>,
    /// Length of a trial, days; none for pumps that are not for one.
    pub trial_days: Option<u8>,
}

impl CommissioningRecord {
    /// A programmable implant with nominal numbers: what a pump goes by that has lost its own.
    pub const NOMINAL: Self = Self {
        kind: PumpKind::ProgrammableImplant,
        step_volume_fl: StepVolume::NOMINAL.femtolitres(),
        capacity_nl: 20_000_000,
        fixed_rate_nl_per_day: None,
        trial_days: None,
    };

    /// The bounds that follow.
    ///
    /// # Errors
    /// Why no pump is so; [`None`] of a trial that another kind has, or that the external kind lacks.
    pub fn bounds(&self) -> Result<Bounds, Option<CalibrationRefusal>> {
        let possible = match self.trial_days {
            Some(days) => {
                self.kind == PumpKind::ExternalTrial
                    && (1..=therapy::LONGEST_TRIAL_DAYS).contains(&u32::from(days))
            }
            None => self.kind != PumpKind::ExternalTrial,
        };
        if !possible {
            return Err(None);
        }
        let step_volume = StepVolume::new(self.step_volume_fl).ok_or(None)?;
        Bounds::of(&Calibration {
            kind: self.kind,
            step_volume,
            capacity: Volume::from_nanolitres(self.capacity_nl),
            fixed_rate: self
                .fixed_rate_nl_per_day
                .map(|rate| FlowRate::new(Volume::from_nanolitres(rate), Per::Day)),
        })
        .map_err(Some)
    }

    /// The bytes of the third copy: magic, length, record, and over all of it a CRC-32 at the end; `None` if they were too many.
    #[must_use]
    pub fn to_one_time(&self) -> Option<[u8; ONE_TIME_BYTES]> {
        let mut bytes = [0; ONE_TIME_BYTES];
        let (contents, check) = bytes.split_last_chunk_mut::<CHECK_BYTES>()?;
        let (magic, rest) = contents.split_first_chunk_mut()?;
        *magic = MAGIC;
        let (length, body) = rest.split_first_mut()?;
        *length = u8::try_from(postcard::to_slice(self, body).ok()?.len()).ok()?;
        *check = CRC.checksum(contents).to_le_bytes();
        Some(bytes)
    }

    /// Reads the third copy.
    #[must_use]
    pub fn from_one_time(bytes: &[u8; ONE_TIME_BYTES]) -> Recovery<Self> {
        if bytes.iter().all(|byte| *byte == u8::MAX) {
            return Recovery::Absent;
        }
        Self::read(bytes).map_or(Recovery::Lost, Recovery::Good)
    }

    fn read(bytes: &[u8; ONE_TIME_BYTES]) -> Option<Self> {
        let (contents, check) = bytes.split_last_chunk::<CHECK_BYTES>()?;
        let (magic, rest) = contents.split_first_chunk()?;
        let (length, body) = rest.split_first()?;
        if *magic != MAGIC || CRC.checksum(contents) != u32::from_le_bytes(*check) {
            return None;
        }
        postcard::from_bytes(body.get(..usize::from(*length))?).ok()
    }
}

/// What came of looking for the commissioning record in all its places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commissioned {
    /// The record to go by; none for a pump that was never commissioned.
    pub record: Option<CommissioningRecord>,
    /// Whether no good copy was left, or two that differ: bounds from nominal values or the state banks, and a fault.
    pub doubtful: bool,
    /// Write the record to the state banks.
    pub put: bool,
    /// Write the record to one-time memory.
    pub burn: bool,
}

impl Commissioned {
    /// Settles what counts of what `state` (both banks) and `one_time` memory hold; none of the latter where the chip has none.
    ///
    /// A pump on which nothing was ever written is not commissioned, and stays stopped. A record that is lost later never
    /// stops the pump (docs/therapy.md, "Fault table").
    #[must_use]
    pub fn settle(
        state: Recovery<CommissioningRecord>,
        one_time: Option<Recovery<CommissioningRecord>>,
    ) -> Self {
        let good = |found: Recovery<CommissioningRecord>| match found {
            Recovery::Good(record) if record.bounds().is_ok() => Some(record),
            Recovery::Good(_) | Recovery::Absent | Recovery::Lost => None,
        };
        let never_written = state == Recovery::Absent
            && one_time
                .as_ref()
                .is_none_or(|found| *found == Recovery::Absent);
        let blank = one_time == Some(Recovery::Absent);
        let third = one_time.and_then(good);
        match (good(state), third) {
            (Some(record), third) => Self {
                record: Some(record),
                doubtful: third.is_some_and(|third| third != record),
                put: false,
                burn: blank,
            },
            (None, Some(record)) => Self {
                record: Some(record),
                doubtful: false,
                put: true,
                burn: false,
            },
            (None, None) => Self {
                record: (!never_written).then_some(CommissioningRecord::NOMINAL),
                doubtful: !never_written,
                put: false,
                burn: false,
            },
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    const OTHER: CommissioningRecord = CommissioningRecord {
        kind: PumpKind::ProgrammableImplant,
        step_volume_fl: 2_437_519,
        capacity_nl: 40_000_000,
        fixed_rate_nl_per_day: None,
        trial_days: None,
    };
    const IMPOSSIBLE: CommissioningRecord = CommissioningRecord {
        step_volume_fl: 0,
        ..OTHER
    };

    #[test]
    fn a_nominal_implant_has_the_bounds_of_its_kind_and_what_is_impossible_has_none() {
        assert_eq!(
            CommissioningRecord::NOMINAL.bounds(),
            Ok(Bounds::PROGRAMMABLE_IMPLANT)
        );
        assert_eq!(IMPOSSIBLE.bounds(), Err(None));
    }

    /// A trial has a length, and nothing else has.
    #[test]
    fn only_an_external_pump_is_for_a_trial_and_it_must_be() {
        let external = CommissioningRecord {
            kind: PumpKind::ExternalTrial,
            step_volume_fl: 25_000_000,
            capacity_nl: 100_000_000,
            fixed_rate_nl_per_day: None,
            trial_days: Some(7),
        };
        assert!(external.bounds().is_ok());
        for trial_days in [None, Some(0), Some(31), Some(u8::MAX)] {
            let record = CommissioningRecord {
                trial_days,
                ..external
            };
            assert_eq!(record.bounds(), Err(None));
        }
        let implant = CommissioningRecord {
            trial_days: Some(7),
            ..OTHER
        };
        assert_eq!(implant.bounds(), Err(None));
    }

    #[test]
    fn the_third_copy_comes_back_and_every_flipped_bit_is_noticed() {
        let bytes = OTHER.to_one_time().unwrap();
        assert_eq!(
            CommissioningRecord::from_one_time(&bytes),
            Recovery::Good(OTHER)
        );
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                CommissioningRecord::from_one_time(&damaged),
                Recovery::Lost,
                "bit {bit}"
            );
        }
        assert_eq!(
            CommissioningRecord::from_one_time(&[0xFF; ONE_TIME_BYTES]),
            Recovery::Absent
        );
    }

    /// Every combination of what two places can hold.
    #[test]
    fn what_counts_is_settled_for_every_combination() {
        use Recovery::{Absent, Good, Lost};
        let settled = |record, doubtful, put, burn| Commissioned {
            record,
            doubtful,
            put,
            burn,
        };
        let nominal = CommissioningRecord::NOMINAL;
        let never = None;
        let other = Some(OTHER);
        let lost = Some(nominal);
        for (state, one_time, expected) in [
            (Absent, None, settled(never, false, false, false)),
            (Absent, Some(Absent), settled(never, false, false, false)),
            (
                Absent,
                Some(Good(OTHER)),
                settled(other, false, true, false),
            ),
            (Absent, Some(Lost), settled(lost, true, false, false)),
            (Good(OTHER), None, settled(other, false, false, false)),
            (
                Good(OTHER),
                Some(Absent),
                settled(other, false, false, true),
            ),
            (
                Good(nominal),
                Some(Absent),
                settled(Some(nominal), false, false, true),
            ),
            (
                Good(OTHER),
                Some(Good(OTHER)),
                settled(other, false, false, false),
            ),
            (
                Good(OTHER),
                Some(Good(nominal)),
                settled(other, true, false, false),
            ),
            (Good(OTHER), Some(Lost), settled(other, false, false, false)),
            (Lost, None, settled(lost, true, false, false)),
            (Lost, Some(Absent), settled(lost, true, false, false)),
            (Lost, Some(Good(OTHER)), settled(other, false, true, false)),
            (Lost, Some(Lost), settled(lost, true, false, false)),
            (
                Good(IMPOSSIBLE),
                Some(Good(OTHER)),
                settled(other, false, true, false),
            ),
            (
                Good(IMPOSSIBLE),
                Some(Good(IMPOSSIBLE)),
                settled(lost, true, false, false),
            ),
        ] {
            assert_eq!(
                Commissioned::settle(state, one_time),
                expected,
                "{state:?}, {one_time:?}"
            );
        }
    }
}
