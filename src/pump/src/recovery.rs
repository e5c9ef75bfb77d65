//! From what the journal holds at boot to what the pump starts with.
//!
//! The shell calls [`Recovered::from_journal`] once, before there is a pump, on the thread that has the flash. The pump itself never
//! touches it.

use crate::commissioning::{Commissioned, CommissioningRecord, ONE_TIME_BYTES};
use crate::counters::Counters;
use crate::record::{LatchedRecord, Placement, ProgramRecord, Record, kind};
use crate::state::Recovery;
use crate::storage::StorageReport;
use crate::totals::TotalsRecord;
use journal::{BODY_BYTES, Flash, Journal, Kind, Opening, RingCondition, StateCondition};
use serde::{Deserialize, Serialize};
use units::Clock;

/// What was found on flash at boot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recovered {
    /// This boot's number; 0 when the flash cannot be used.
    pub boot: u32,
    /// The commissioning record to go by.
    pub commissioning: CommissioningRecord,
    /// The committed program.
    pub program: Recovery<ProgramRecord>,
    /// The last checkpoint of delivered totals.
    pub totals: Recovery<TotalsRecord>,
    /// The boot that wrote it; 0 when there is none.
    pub totals_boot: u32,
    /// The counters as they were last kept.
    pub counters: Recovery<Counters>,
    /// What outlasts a reset.
    pub latched: LatchedRecord,
    /// In what condition the flash is.
    pub storage: StorageReport,
}

impl Recovered {
    /// A pump that has never been programmed.
    #[must_use]
    pub fn new_pump() -> Self {
        Self {
            boot: 1,
            commissioning: CommissioningRecord::UNCALIBRATED,
            program: Recovery::Absent,
            totals: Recovery::Absent,
            totals_boot: 0,
            counters: Recovery::Absent,
            latched: LatchedRecord::default(),
            storage: StorageReport::default(),
        }
    }

    /// A pump whose flash cannot be used. Whatever cannot be read for certain is lost, never absent: a pump that was programmed must not
    /// take itself for a new one.
    #[must_use]
    pub fn without_flash() -> Self {
        Self {
            boot: 0,
            program: Recovery::Lost,
            totals: Recovery::Lost,
            counters: Recovery::Lost,
            storage: StorageReport {
                failing: true,
                commissioning_doubtful: true,
                ..StorageReport::default()
            },
            ..Self::new_pump()
        }
    }

    /// Reads everything the pump starts with. `one_time` is what one-time memory holds, where there is any.
    ///
    /// Also says what is to be written to one-time memory. The state banks are brought up to date with the commissioning record here.
    #[must_use]
    pub fn from_journal<F: Flash>(
        journal: &mut Journal<F>,
        opening: &Opening,
        one_time: Option<&[u8; ONE_TIME_BYTES]>,
    ) -> (Self, Option<[u8; ONE_TIME_BYTES]>) {
        let commissioned = Commissioned::settle(
            find(journal, kind::COMMISSIONING),
            one_time.map(CommissioningRecord::from_one_time),
        );
        let mut put_failed = false;
        if commissioned.put {
            put_failed = put_commissioning(journal, opening.boot, commissioned.record).is_none();
        }
        let program = match find(journal, kind::PROGRAM) {
            Recovery::Good(ProgramRecord { lost: true, .. }) => Recovery::Lost,
            found => found,
        };
        let (last_checkpoint, totals_boot) = find_with_boot(journal, kind::TOTALS);
        let totals = match last_checkpoint {
            // No checkpoint, but a ring that had something and does not show it; or a program, which comes later than the first checkpoint.
            Recovery::Absent
                if !shows_everything(opening.checkpoints) || program != Recovery::Absent =>
            {
                Recovery::Lost
            }
            found => found,
        };
        let counters = find(journal, kind::COUNTERS);
        let latched = match find(journal, kind::LATCHED) {
            Recovery::Good(latched) => latched,
            Recovery::Absent => LatchedRecord::default(),
            // On the safe side of what it can have said, but for the stop, which must not come from nowhere: the fault tells.
            Recovery::Lost => LatchedRecord {
                interlock_tripped: false,
                clock_was_set: true,
                checkpoints_failing: true,
            },
        };
        let storage = StorageReport {
            repairs: journal.repairs().into(),
            kinds_lost: opening.kinds_lost,
            log_lost: !opening.chained
                || !shows_everything(opening.events)
                || !shows_everything(opening.critical),
            commissioning_doubtful: commissioned.doubtful,
            failing: put_failed
                || !opening.boot_kept
                || !opening.redundant
                || matches!(
                    opening.state,
                    StateCondition::Doubtful
                        | StateCondition::Incomplete
                        | StateCondition::Unreadable
                ),
        };
        let recovered = Self {
            boot: opening.boot,
            commissioning: commissioned.record,
            program,
            totals,
            totals_boot,
            counters,
            latched,
            storage,
        };
        let burn = commissioned
            .burn
            .then(|| commissioned.record.to_one_time())
            .flatten();
        (recovered, burn)
    }
}

fn shows_everything(condition: RingCondition) -> bool {
    match condition {
        RingCondition::Blank | RingCondition::Good | RingCondition::Repaired => true,
        RingCondition::Unreadable | RingCondition::Failing => false,
    }
}

/// What the newest record of a kind holds.
///
/// Not through [`Record::decode`], which reads every kind there is: the image has no room for what only a reader of logs needs.
fn find<F: Flash, T: for<'a> Deserialize<'a>>(journal: &mut Journal<F>, kind: Kind) -> Recovery<T> {
    find_with_boot(journal, kind).0
}

/// And the boot that wrote it, 0 if there is none.
fn find_with_boot<F: Flash, T: for<'a> Deserialize<'a>>(
    journal: &mut Journal<F>,
    kind: Kind,
) -> (Recovery<T>, u32) {
    let mut body = [0; BODY_BYTES];
    let found = if Record::placement_of(kind) == Some(Placement::Checkpoint) {
        journal.latest_checkpoint(kind, &mut body)
    } else {
        journal.get(kind, &mut body)
    };
    match found {
        Ok(None) => (Recovery::Absent, 0),
        Ok(Some(envelope)) => (
            Record::decode_contents(envelope.version, envelope.body)
                .map_or(Recovery::Lost, Recovery::Good),
            envelope.stamp.boot,
        ),
        Err(_) => (Recovery::Lost, 0),
    }
}

fn put_commissioning<F: Flash>(
    journal: &mut Journal<F>,
    boot: u32,
    record: CommissioningRecord,
) -> Option<()> {
    let record = Record::Commissioning { record };
    let mut body = [0; crate::RECORD_BYTES];
    let envelope = journal::Envelope {
        kind: record.kind(),
        version: record.version(),
        stamp: journal::Stamp {
            boot,
            monotonic: units::PumpTime::ZERO,
            wall: Clock::Lost,
        },
        body: record.encode(None, &mut body).ok()?,
    };
    journal.put(&envelope).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RECORD_BYTES;
    use crate::storage;
    use journal::{Envelope, Partition, Stamp, VirtualFlash};
    use units::{Duration, PumpTime, WallTime};

    const KNOWN: Clock = Clock::Known {
        wall: WallTime::from_millis(1_767_607_200_000),
        uncertainty: Duration::from_seconds(2),
    };

    fn keep(journal: &mut Journal<VirtualFlash>, record: &Record, wall: Clock) {
        let mut body = [0; RECORD_BYTES];
        let envelope = Envelope {
            kind: record.kind(),
            version: record.version(),
            stamp: Stamp {
                boot: 1,
                monotonic: PumpTime::ZERO,
                wall,
            },
            body: record.encode(None, &mut body).unwrap(),
        };
        storage::keep(journal, &envelope).unwrap();
    }

    fn recover(flash: VirtualFlash) -> Recovered {
        let (mut journal, opening) = Journal::open(flash).unwrap();
        Recovered::from_journal(&mut journal, &opening, None).0
    }

    fn program() -> ProgramRecord {
        ProgramRecord {
            number: 3,
            ..ProgramRecord::default()
        }
    }

    fn used() -> VirtualFlash {
        let (mut journal, _) = Journal::open(VirtualFlash::nrf52840()).unwrap();
        keep(&mut journal, &Record::Program { record: program() }, KNOWN);
        let totals = TotalsRecord {
            counted_steps: 5,
            at_most_steps: 6,
            deficit_steps: 1,
            powered_s: 60,
            ahead_steps: 7,
        };
        keep(&mut journal, &Record::Totals { totals }, KNOWN);
        let counters = Counters {
            commits: 3,
            ..Counters::default()
        };
        keep(&mut journal, &Record::Counters { counters }, KNOWN);
        journal.into_flash()
    }

    #[test]
    fn a_blank_flash_is_a_new_pump() {
        assert_eq!(recover(VirtualFlash::nrf52840()), Recovered::new_pump());
    }

    #[test]
    fn what_was_kept_comes_back() {
        let found = recover(used());
        assert_eq!(found.boot, 2);
        assert_eq!(found.program, Recovery::Good(program()));
        assert_eq!(
            found.totals,
            Recovery::Good(TotalsRecord {
                counted_steps: 5,
                at_most_steps: 6,
                deficit_steps: 1,
                powered_s: 60,
                ahead_steps: 7
            })
        );
        assert!(matches!(
            found.counters,
            Recovery::Good(Counters { commits: 3, .. })
        ));
        assert_eq!(found.storage, StorageReport::default());
    }

    #[test]
    fn what_cannot_be_read_is_lost_and_never_absent() {
        let mut flash = used();
        for partition in [Partition::StateA, Partition::StateB, Partition::Critical] {
            flash.damage(partition, 4, &[0x55; 4000]);
        }
        let found = recover(flash);
        assert_eq!(
            (found.program, found.totals, found.counters),
            (Recovery::Lost, Recovery::Lost, Recovery::Absent)
        );
        assert!(found.storage.failing && found.storage.commissioning_doubtful);
    }

    #[test]
    fn bytes_that_no_pump_wrote_are_lost() {
        let (mut journal, _) = Journal::open(VirtualFlash::nrf52840()).unwrap();
        journal
            .put(&Envelope {
                kind: kind::PROGRAM,
                version: 1,
                stamp: Stamp {
                    boot: 1,
                    monotonic: PumpTime::ZERO,
                    wall: Clock::Lost,
                },
                body: &[0xFF; 9],
            })
            .unwrap();
        assert_eq!(recover(journal.into_flash()).program, Recovery::Lost);
    }

    #[test]
    fn one_bad_copy_is_repaired_and_told() {
        let mut flash = used();
        flash.damage(Partition::StateB, 0, &[0; 0x1000]);
        let found = recover(flash);
        assert_eq!(found.program, Recovery::Good(program()));
        assert!(found.storage.repairs.copies > 0);
        assert_eq!(found.storage.kinds_lost, 0);
        assert!(!found.storage.failing);
    }

    #[test]
    fn the_third_copy_of_the_commissioning_record_comes_back_from_one_time_memory() {
        let record = CommissioningRecord {
            step_volume_fl: 2_437_519,
            ..CommissioningRecord::UNCALIBRATED
        };
        let one_time = record.to_one_time().unwrap();
        let (mut journal, opening) = Journal::open(used()).unwrap();
        let (found, burn) = Recovered::from_journal(&mut journal, &opening, Some(&one_time));
        assert_eq!((found.commissioning, burn), (record, None));
        // It is in the banks again.
        assert_eq!(recover(journal.into_flash()).commissioning, record);
    }

    #[test]
    fn a_calibrated_commissioning_record_is_burnt_once() {
        let blank = [0xFF; ONE_TIME_BYTES];
        let (mut journal, opening) = Journal::open(VirtualFlash::nrf52840()).unwrap();
        let (_, burn) = Recovered::from_journal(&mut journal, &opening, Some(&blank));
        assert_eq!(
            burn, None,
            "an uncalibrated record is not worth the one time"
        );
        let record = CommissioningRecord {
            step_volume_fl: 2_437_519,
            ..CommissioningRecord::UNCALIBRATED
        };
        keep(&mut journal, &Record::Commissioning { record }, KNOWN);
        let (mut journal, opening) = Journal::open(journal.into_flash()).unwrap();
        let (_, burn) = Recovered::from_journal(&mut journal, &opening, Some(&blank));
        let burn = burn.unwrap();
        assert_eq!(
            CommissioningRecord::from_one_time(&burn),
            Recovery::Good(record)
        );
        let (mut journal, opening) = Journal::open(journal.into_flash()).unwrap();
        let (_, again) = Recovered::from_journal(&mut journal, &opening, Some(&burn));
        assert_eq!(again, None);
    }
}
