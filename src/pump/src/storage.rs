//! What the pump asks of its journal while it runs, and in what condition it finds it.
//!
//! For the shell, on the thread that has the flash. The pump itself never touches it: it asks by [`crate::Action`]s and is answered by events.

use crate::record::{Placement, Record, RepairsRecord};
use journal::{
    BODY_BYTES, Envelope, Flash, Journal, JournalError, Log, Partition, Repairs, StateCondition,
};
use protocol::{LOG_PART_BYTES, LogBytes, LogHead, LogName, LogPart, Outcome, Refused};
use serde::{Deserialize, Serialize};

/// In what condition the flash is, as a look at all of it has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageReport {
    /// What was repaired since the report before; none of it is lost.
    pub repairs: RepairsRecord,
    /// Kinds of state that have no good copy left.
    pub kinds_lost: u8,
    /// Records of a log are lost, so that its chain begins anew.
    pub log_lost: bool,
    /// The commissioning record is lost, or two copies of it differ.
    pub commissioning_doubtful: bool,
    /// Something cannot be written, or only once.
    pub failing: bool,
}

impl StorageReport {
    /// A value was kept, but only once: told at once, and not at the next look.
    #[must_use]
    pub fn kept_once() -> Self {
        Self {
            failing: true,
            ..Self::default()
        }
    }

    /// Looks at every copy of everything and repairs what it can; tells of everything repaired since `before`.
    #[must_use]
    pub fn scrub<F: Flash>(journal: &mut Journal<F>, before: Repairs) -> Self {
        let condition = journal.scrub();
        let lost = matches!(
            condition,
            StateCondition::Incomplete | StateCondition::Unreadable
        );
        Self {
            repairs: RepairsRecord::from(journal.repairs()).since(before.into()),
            kinds_lost: u8::from(lost),
            log_lost: false,
            commissioning_doubtful: false,
            failing: !journal.redundant(),
        }
    }
}

/// Keeps a record where its kind belongs. What the journal leaves undecided is settled here, so that an answer stays true.
///
/// # Errors
/// Those of the journal, [`JournalError::Undecided`] only if the flash cannot be read either; [`JournalError::StateLost`] for a record of boot 0, which began without this flash because it had not answered in
/// time, and knows nothing of what it holds: that is to be there after the next reset as it was.
pub fn keep<F: Flash>(
    journal: &mut Journal<F>,
    envelope: &Envelope<'_>,
) -> Result<(), JournalError> {
    if envelope.stamp.boot == 0 {
        return Err(JournalError::StateLost {
            kind: envelope.kind,
        });
    }
    match Record::placement_of(envelope.kind) {
        Some(Placement::State) => match journal.put(envelope) {
            Err(JournalError::Undecided) => settle(journal, envelope),
            decided => decided,
        },
        Some(Placement::Checkpoint) => journal.checkpoint(envelope),
        Some(Placement::Critical) => journal.append_critical(envelope),
        Some(Placement::Event) | None => journal.append(envelope),
    }
}

/// What has become of a value that the journal left undecided: what reading it once says stays.
#[inline(never)]
fn settle<F: Flash>(journal: &mut Journal<F>, envelope: &Envelope<'_>) -> Result<(), JournalError> {
    let mut body = [0; BODY_BYTES];
    let found = journal.get(envelope.kind, &mut body);
    match found {
        Ok(Some(found)) if found == *envelope => Ok(()),
        Ok(_) => Err(JournalError::Damaged {
            partition: Partition::StateA,
        }),
        Err(_) => Err(JournalError::Undecided),
    }
}

/// The answer to [`protocol::Command::ReadLog`].
#[must_use]
pub fn read_log<F: Flash>(journal: &mut Journal<F>, log: LogName, from: u32) -> Outcome {
    let mut buffer = [0; LOG_PART_BYTES];
    let part = journal
        .read_from(log_of(log), from, &mut buffer)
        .ok()
        .and_then(|part| {
            Some(LogPart {
                next: part.next,
                newest: part.newest,
                records: LogBytes::new(buffer.get(..part.used)?)?,
            })
        });
    part.map_or(Outcome::Refused(Refused::NotDone), Outcome::LogPart)
}

/// The answer to [`protocol::Command::SignLog`].
#[must_use]
pub fn sign_log<F: Flash>(journal: &mut Journal<F>, log: LogName) -> Outcome {
    match journal.head(log_of(log)) {
        Ok(head) => Outcome::LogHead {
            head: head.map(|head| LogHead {
                sequence: head.sequence,
                state: head.state,
                boot: head.boot,
                signature: head.signature,
            }),
        },
        Err(_) => Outcome::Refused(Refused::NotDone),
    }
}

const fn log_of(name: LogName) -> Log {
    match name {
        LogName::Events => Log::Events,
        LogName::Critical => Log::Critical,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;
    use crate::kept::{Kept, ProgramRecord, STATE_BYTES, StateKind, Value};
    use crate::record::kind;
    use crate::{RECORD_BYTES, Recovered, Recovery, TotalsRecord};
    use journal::{FlashError, Stamp, VirtualFlash};
    use units::{Clock, PumpTime};

    fn kept<F: Flash>(
        journal: &mut Journal<F>,
        boot: u32,
        record: &Record,
    ) -> Result<(), JournalError> {
        let mut body = [0; RECORD_BYTES];
        let envelope = Envelope {
            kind: record.kind(),
            version: record.version(),
            stamp: Stamp {
                boot,
                monotonic: PumpTime::ZERO,
                wall: Clock::Lost,
            },
            body: record.encode(None, &mut body).unwrap(),
        };
        keep(journal, &envelope)
    }

    fn put<F: Flash>(journal: &mut Journal<F>, boot: u32, number: u32) -> Result<(), JournalError> {
        let record = ProgramRecord {
            number,
            ..ProgramRecord::default()
        };
        let mut buffer = [0; STATE_BYTES];
        let value = Value::Program(&record);
        let kept = Kept::new(StateKind::Program, value, &mut buffer).unwrap();
        let envelope = Envelope {
            kind: kept.kind,
            version: kept.version,
            stamp: Stamp {
                boot,
                monotonic: PumpTime::ZERO,
                wall: Clock::Lost,
            },
            body: kept.body,
        };
        keep(journal, &envelope)
    }

    #[test]
    fn a_record_goes_where_its_kind_belongs() {
        let (mut journal, _) = Journal::open(VirtualFlash::nrf52840()).unwrap();
        let totals = TotalsRecord::default();
        put(&mut journal, 1, 3).unwrap();
        kept(&mut journal, 1, &Record::Totals { totals }).unwrap();
        kept(&mut journal, 1, &Record::RecordsLost { records: 2 }).unwrap();
        let mut body = [0; journal::BODY_BYTES];
        assert!(
            journal
                .get(StateKind::Program.kind(), &mut body)
                .unwrap()
                .is_some()
        );
        let found = journal.latest_checkpoint(kind::TOTALS, &mut body);
        assert!(found.unwrap().is_some());
        let Outcome::LogPart(part) = read_log(&mut journal, LogName::Events, 0) else {
            panic!("no log")
        };
        assert_eq!(part.newest, Some(0), "one record, and it is in the log");
    }

    /// Bank B takes nothing; the rest fails once, after so many operations.
    struct Failing {
        flash: VirtualFlash,
        once_in: Option<u32>,
        bank: bool,
    }

    impl Failing {
        fn fails(&mut self, partition: Partition) -> Result<(), FlashError> {
            let failed = Err(FlashError::Failed(-5));
            match &mut self.once_in {
                _ if self.bank && partition == Partition::StateB => return failed,
                Some(0) => {
                    self.once_in = None;
                    return failed;
                }
                Some(left) => *left = left.saturating_sub(1),
                None => {}
            }
            Ok(())
        }
    }

    impl Flash for Failing {
        fn size(&self, partition: Partition) -> u32 {
            self.flash.size(partition)
        }
        fn read(&mut self, partition: Partition, at: u32, to: &mut [u8]) -> Result<(), FlashError> {
            self.flash.read(partition, at, to)
        }
        fn write(&mut self, partition: Partition, at: u32, from: &[u8]) -> Result<(), FlashError> {
            for (at, word) in (at..).step_by(4).zip(from.chunks(4)) {
                self.fails(partition)?;
                self.flash.write(partition, at, word)?;
            }
            Ok(())
        }
        fn erase(&mut self, partition: Partition, from: u32, to: u32) -> Result<(), FlashError> {
            self.fails(partition)?;
            self.flash.erase(partition, from, to)
        }
    }

    /// With one bank left and a driver that fails anywhere in the write: the answer is what the next boot finds.
    #[test]
    fn an_answer_stays_true_also_where_the_journal_leaves_it_undecided() {
        let (mut done, mut not_done) = (0, 0);
        for once_in in 0..60 {
            let flash = Failing {
                flash: VirtualFlash::nrf52840(),
                once_in: None,
                bank: false,
            };
            let (mut journal, _) = Journal::open(flash).unwrap();
            put(&mut journal, 1, 3).unwrap();
            journal.flash_mut().bank = true;
            put(&mut journal, 1, 4).unwrap();
            journal.flash_mut().once_in = Some(once_in);
            let expected = match put(&mut journal, 1, 5) {
                Ok(()) => 5,
                Err(error) => {
                    assert_ne!(error, JournalError::Undecided);
                    4
                }
            };
            let mut flash = journal.into_flash();
            if flash.once_in.take().is_none() {
                // It has failed.
                match expected {
                    5 => done += 1,
                    _ => not_done += 1,
                }
            }
            let (mut journal, opening) = Journal::open(flash).unwrap();
            let (recovered, _) = Recovered::from_journal(&mut journal, &opening, None);
            let Recovery::Good(found) = recovered.program else {
                panic!("{:?}", recovered.program)
            };
            assert_eq!(found.number, expected, "{once_in}");
        }
        assert!(done > 5 && not_done > 5, "{done} {not_done}");
    }

    #[test]
    fn a_boot_that_began_without_its_flash_changes_nothing_on_it() {
        let (mut journal, _) = Journal::open(VirtualFlash::nrf52840()).unwrap();
        put(&mut journal, 1, 3).unwrap();
        let record = Record::RecordsLost { records: 2 };
        let lost = |kind| Err(JournalError::StateLost { kind });
        let refused = kept(&mut journal, 0, &record);
        assert_eq!(refused, lost(record.kind()));
        let refused = put(&mut journal, 0, 1);
        assert_eq!(refused, lost(StateKind::Program.kind()));
        let (mut journal, opening) = Journal::open(journal.into_flash()).unwrap();
        let (recovered, _) = Recovered::from_journal(&mut journal, &opening, None);
        let Recovery::Good(found) = recovered.program else {
            panic!("{:?}", recovered.program)
        };
        assert_eq!(found.number, 3);
        assert!(opening.chained);
    }
}
