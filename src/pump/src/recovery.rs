//! From what the journal holds at boot to what the pump starts with.
//!
//! The shell calls [`Recovered::from_journal`] once, before there is a pump, on the thread that has the flash; or [`each_state`] there and
//! [`Recovered::set`] where the pump is made, when the two are on different threads. The pump itself never touches flash.

use crate::commissioning::{Commissioned, CommissioningRecord, ONE_TIME_BYTES};
use crate::counters::Counters;
use crate::kept::{
    self, BolusRecord, CareRecord, IdentityRecord, InForceRecord, Kept, KeysRecord, LatchedRecord,
    LibraryHistory, NumbersRecord, PathRecord, ProgramRecord, RefillRecord, STATE_BYTES, StateKind,
    Value,
};
use crate::record::{Record, kind};
use crate::state::Recovery;
use crate::storage::StorageReport;
use crate::totals::TotalsRecord;
use journal::{BODY_BYTES, Flash, Journal, Kind, Opening, RingCondition, StateCondition};
use protocol::{Pack, Secret};
use serde::{Deserialize, Serialize};
use therapy::HospitalLibrary;
use units::Clock;

/// What was found on flash at boot.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovered {
    /// What is small enough to be handed over in one piece.
    pub basis: Basis,
    /// The committed program.
    pub program: Recovery<ProgramRecord>,
    /// What outlasts a reset.
    pub latched: LatchedRecord,
    /// Catheter and path.
    pub path: Recovery<PathRecord>,
    /// Boluses.
    pub boluses: Recovery<BolusRecord>,
    /// The totals that changes are judged by.
    pub in_force: Recovery<InForceRecord>,
    /// Refills.
    pub refills: Recovery<RefillRecord>,
    /// Alarms, service life, trial.
    pub care: Recovery<CareRecord>,
    /// The hospital's library.
    pub library: Recovery<HospitalLibrary>,
    /// Its history.
    pub library_history: Recovery<LibraryHistory>,
    /// What makes it this one pump.
    pub identity: Recovery<IdentityRecord>,
    /// The keys that are let in.
    pub keys: Recovery<KeysRecord>,
    /// The last command of each.
    pub numbers: Recovery<NumbersRecord>,
}

/// What of it is not a value of state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Basis {
    /// This boot's number; 0 when the flash cannot be used.
    pub boot: u32,
    /// The commissioning record to go by; none for a pump that was never commissioned.
    pub commissioning: Option<CommissioningRecord>,
    /// The last checkpoint of delivered totals.
    pub totals: Recovery<TotalsRecord>,
    /// The boot that wrote it; 0 when there is none.
    pub totals_boot: u32,
    /// The counters as they were last kept.
    pub counters: Recovery<Counters>,
    /// In what condition the flash is.
    pub storage: StorageReport,
    /// What the flash page `pack` holds, while there is one ([`Pack::from_page`]). It is none of the journal's partitions: the shell puts it
    /// here.
    #[serde(with = "pack_as_parts")]
    pub pack: Option<Pack>,
}

/// A pack on its way from one thread to another.
mod pack_as_parts {
    use super::{Deserialize, Pack, Secret, Serialize};
    use serde::{Deserializer, Serializer};

    type Parts = Option<(Secret, Secret, Secret, u32)>;

    pub(super) fn serialize<S: Serializer>(
        pack: &Option<Pack>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        pack.as_ref()
            .map(|pack| (&pack.private, &pack.one_time, &pack.recovery, pack.passkey))
            .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Pack>, D::Error> {
        let parts = Parts::deserialize(deserializer)?;
        Ok(parts.map(|(private, one_time, recovery, passkey)| Pack {
            private,
            one_time,
            recovery,
            passkey,
        }))
    }
}

impl Recovered {
    /// A pump from the factory, commissioned and never programmed.
    #[must_use]
    pub fn new_pump(commissioning: CommissioningRecord) -> Self {
        Self::of(Basis {
            boot: 1,
            commissioning: Some(commissioning),
            totals: Recovery::Absent,
            totals_boot: 0,
            counters: Recovery::Absent,
            storage: StorageReport::default(),
            pack: None,
        })
    }

    /// A pump of which nothing but this is known: nothing of its state was ever written.
    #[must_use]
    pub fn of(basis: Basis) -> Self {
        Self {
            basis,
            program: Recovery::Absent,
            latched: LatchedRecord::default(),
            path: Recovery::Absent,
            boluses: Recovery::Absent,
            in_force: Recovery::Absent,
            refills: Recovery::Absent,
            care: Recovery::Absent,
            library: Recovery::Absent,
            library_history: Recovery::Absent,
            identity: Recovery::Absent,
            keys: Recovery::Absent,
            numbers: Recovery::Absent,
        }
    }

    /// A pump whose flash cannot be used. Whatever cannot be read for certain is lost, never absent: a pump that was programmed must not
    /// take itself for a new one.
    #[must_use]
    pub fn without_flash() -> Self {
        let mut lost = Self::of(Basis {
            boot: 0,
            commissioning: Some(CommissioningRecord::NOMINAL),
            totals: Recovery::Lost,
            totals_boot: 0,
            counters: Recovery::Lost,
            storage: StorageReport {
                failing: true,
                commissioning_doubtful: true,
                ..StorageReport::default()
            },
            pack: None,
        });
        for state in StateKind::ALL {
            lost.set(*state, Recovery::Lost);
        }
        lost
    }

    /// Takes what was found of one kind of state: the version of its form, and its bytes.
    pub fn set(&mut self, state: StateKind, found: Recovery<(u8, &[u8])>) {
        fn read<'a, T: Deserialize<'a>>(found: Recovery<(u8, &'a [u8])>) -> Recovery<T> {
            match found {
                Recovery::Absent => Recovery::Absent,
                Recovery::Lost => Recovery::Lost,
                Recovery::Good((version, body)) => {
                    kept::read(version, body).map_or(Recovery::Lost, Recovery::Good)
                }
            }
        }
        // What was made none again.
        fn there<T>(found: Recovery<Option<T>>) -> Recovery<T> {
            match found {
                Recovery::Good(Some(value)) => Recovery::Good(value),
                Recovery::Good(None) | Recovery::Absent => Recovery::Absent,
                Recovery::Lost => Recovery::Lost,
            }
        }
        match state {
            StateKind::Program => {
                self.program = match read(found) {
                    Recovery::Good(ProgramRecord { lost: true, .. }) => Recovery::Lost,
                    found => found,
                };
                // No checkpoint, but a program, which comes later than the first checkpoint.
                if self.program != Recovery::Absent && self.basis.totals == Recovery::Absent {
                    self.basis.totals = Recovery::Lost;
                }
            }
            StateKind::Latched => {
                self.latched = match read(found) {
                    Recovery::Good(latched) => latched,
                    Recovery::Absent => LatchedRecord::default(),
                    // On the safe side of what it can have said, but for the stop, which must not come from nowhere: the fault tells.
                    Recovery::Lost => LatchedRecord {
                        interlock_tripped: false,
                        clock_was_set: true,
                        checkpoints_failing: true,
                    },
                };
            }
            // Settled before, with the copy in one-time memory.
            StateKind::Commissioning => {}
            StateKind::Path => self.path = there(read(found)),
            StateKind::Boluses => self.boluses = read(found),
            StateKind::InForce => self.in_force = read(found),
            StateKind::Refills => self.refills = read(found),
            StateKind::Care => self.care = read(found),
            StateKind::Library => self.library = there(read(found)),
            StateKind::LibraryHistory => self.library_history = read(found),
            StateKind::Identity => self.identity = there(read(found)),
            StateKind::Keys => self.keys = read(found),
            StateKind::CommandNumbers => self.numbers = read(found),
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
        let (basis, burn) = Basis::from_journal(journal, opening, one_time);
        let mut recovered = Self::of(basis);
        each_state(journal, |state, found| recovered.set(state, found));
        (recovered, burn)
    }
}

/// Reads every kind of state in turn.
pub fn each_state<F: Flash>(
    journal: &mut Journal<F>,
    mut take: impl FnMut(StateKind, Recovery<(u8, &[u8])>),
) {
    let mut body = [0; BODY_BYTES];
    for state in StateKind::ALL {
        match journal.get(state.kind(), &mut body) {
            Ok(None) => take(*state, Recovery::Absent),
            Ok(Some(envelope)) => take(*state, Recovery::Good((envelope.version, envelope.body))),
            Err(_) => take(*state, Recovery::Lost),
        }
    }
}

impl Basis {
    /// Reads what is not a value of state; see [`Recovered::from_journal`].
    #[must_use]
    pub fn from_journal<F: Flash>(
        journal: &mut Journal<F>,
        opening: &Opening,
        one_time: Option<&[u8; ONE_TIME_BYTES]>,
    ) -> (Self, Option<[u8; ONE_TIME_BYTES]>) {
        let commissioned = Commissioned::settle(
            commissioning(journal),
            one_time.map(CommissioningRecord::from_one_time),
        );
        let put_failed = match commissioned.record {
            Some(record) if commissioned.put => {
                put_commissioning(journal, opening.boot, record).is_none()
            }
            _ => false,
        };
        let (last_checkpoint, totals_boot) = find(journal, kind::TOTALS);
        let totals = match last_checkpoint {
            // No checkpoint, but a ring that had something and does not show it.
            Recovery::Absent if !shows_everything(opening.checkpoints) => Recovery::Lost,
            found => found,
        };
        let (counters, _) = find(journal, kind::COUNTERS);
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
        let basis = Self {
            boot: opening.boot,
            commissioning: commissioned.record,
            totals,
            totals_boot,
            counters,
            storage,
            pack: None,
        };
        let burn = commissioned
            .record
            .filter(|_| commissioned.burn)
            .and_then(|record| record.to_one_time());
        (basis, burn)
    }
}

fn shows_everything(condition: RingCondition) -> bool {
    match condition {
        RingCondition::Blank | RingCondition::Good | RingCondition::Repaired => true,
        RingCondition::Unreadable | RingCondition::Failing => false,
    }
}

fn commissioning<F: Flash>(journal: &mut Journal<F>) -> Recovery<CommissioningRecord> {
    let mut body = [0; BODY_BYTES];
    match journal.get(StateKind::Commissioning.kind(), &mut body) {
        Ok(None) => Recovery::Absent,
        Ok(Some(envelope)) => {
            kept::read(envelope.version, envelope.body).map_or(Recovery::Lost, Recovery::Good)
        }
        Err(_) => Recovery::Lost,
    }
}

/// What the newest checkpoint of a kind holds, and the boot that wrote it, 0 if there is none.
///
/// Not through [`Record::decode`], which reads every kind there is: the image has no room for what only a reader of logs needs.
fn find<F: Flash, T: for<'a> Deserialize<'a>>(
    journal: &mut Journal<F>,
    kind: Kind,
) -> (Recovery<T>, u32) {
    let mut body = [0; BODY_BYTES];
    match journal.latest_checkpoint(kind, &mut body) {
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
    let mut buffer = [0; STATE_BYTES];
    let value = Value::Commissioning(&record);
    let Kept {
        kind,
        version,
        body,
    } = Kept::new(StateKind::Commissioning, value, &mut buffer)?;
    let envelope = journal::Envelope {
        kind,
        version,
        stamp: journal::Stamp {
            boot,
            monotonic: units::PumpTime::ZERO,
            wall: Clock::Lost,
        },
        body,
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

    fn put(journal: &mut Journal<VirtualFlash>, state: StateKind, value: Value<'_>) {
        let mut buffer = [0; STATE_BYTES];
        let kept = Kept::new(state, value, &mut buffer).unwrap();
        let envelope = Envelope {
            kind: kept.kind,
            version: kept.version,
            stamp: Stamp {
                boot: 1,
                monotonic: PumpTime::ZERO,
                wall: KNOWN,
            },
            body: kept.body,
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
        put(&mut journal, StateKind::Program, Value::Program(&program()));
        let nominal = CommissioningRecord::NOMINAL;
        put(
            &mut journal,
            StateKind::Commissioning,
            Value::Commissioning(&nominal),
        );
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
    fn a_blank_flash_is_a_pump_that_was_never_commissioned() {
        let mut expected = Recovered::new_pump(CommissioningRecord::NOMINAL);
        expected.basis.commissioning = None;
        assert_eq!(recover(VirtualFlash::nrf52840()), expected);
    }

    #[test]
    fn what_was_kept_comes_back() {
        let found = recover(used());
        assert_eq!(found.basis.boot, 2);
        assert_eq!(found.program, Recovery::Good(program()));
        assert_eq!(
            found.basis.totals,
            Recovery::Good(TotalsRecord {
                counted_steps: 5,
                at_most_steps: 6,
                deficit_steps: 1,
                powered_s: 60,
                ahead_steps: 7
            })
        );
        assert!(matches!(
            found.basis.counters,
            Recovery::Good(Counters { commits: 3, .. })
        ));
        assert_eq!(found.basis.storage, StorageReport::default());
    }

    #[test]
    fn what_cannot_be_read_is_lost_and_never_absent() {
        let mut flash = used();
        for partition in [Partition::StateA, Partition::StateB, Partition::Critical] {
            flash.damage(partition, 4, &[0x55; 4000]);
        }
        let found = recover(flash);
        assert_eq!(
            (found.program, found.basis.totals, found.basis.counters),
            (Recovery::Lost, Recovery::Lost, Recovery::Absent)
        );
        assert!(found.basis.storage.failing && found.basis.storage.commissioning_doubtful);
    }

    #[test]
    fn bytes_that_no_pump_wrote_are_lost() {
        let (mut journal, _) = Journal::open(VirtualFlash::nrf52840()).unwrap();
        journal
            .put(&Envelope {
                kind: StateKind::Program.kind(),
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
        assert!(found.basis.storage.repairs.copies > 0);
        assert_eq!(found.basis.storage.kinds_lost, 0);
        assert!(!found.basis.storage.failing);
    }

    #[test]
    fn the_third_copy_of_the_commissioning_record_comes_back_from_one_time_memory() {
        let record = CommissioningRecord {
            step_volume_fl: 2_437_519,
            ..CommissioningRecord::NOMINAL
        };
        let one_time = record.to_one_time().unwrap();
        let (mut journal, opening) = Journal::open(VirtualFlash::nrf52840()).unwrap();
        let (found, burn) = Recovered::from_journal(&mut journal, &opening, Some(&one_time));
        assert_eq!((found.basis.commissioning, burn), (Some(record), None));
        // It is in the banks again.
        assert_eq!(
            recover(journal.into_flash()).basis.commissioning,
            Some(record)
        );
    }

    #[test]
    fn a_calibrated_commissioning_record_is_burnt_once() {
        let blank = [0xFF; ONE_TIME_BYTES];
        let (mut journal, opening) = Journal::open(VirtualFlash::nrf52840()).unwrap();
        let (_, burn) = Recovered::from_journal(&mut journal, &opening, Some(&blank));
        assert_eq!(burn, None, "there is nothing to be burnt yet");
        let record = CommissioningRecord {
            step_volume_fl: 2_437_519,
            ..CommissioningRecord::NOMINAL
        };
        put(
            &mut journal,
            StateKind::Commissioning,
            Value::Commissioning(&record),
        );
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
