//! From what the journal reads at boot to what the pump starts with. Pure: firmware and simulator do the reading.

use crate::record::Record;
use crate::state::{Recovered, Recovery};
use journal::{Envelope, JournalError, Opening, RingCondition};

/// What the journal answered when it was asked for a kind of record.
pub type Found<'a> = Result<Option<Envelope<'a>>, JournalError>;

impl Recovered {
    /// What was found of the pump's state.
    ///
    /// `program` is the journal's answer for [`crate::kind::PROGRAM`], `totals` its latest checkpoint of
    /// [`crate::kind::TOTALS`]. Whatever cannot be read for certain is lost, never absent: a pump that was programmed must not
    /// take itself for a new one.
    #[must_use]
    pub fn from_journal(opening: &Opening, program: Found<'_>, totals: Found<'_>) -> Self {
        let program = match decode(program) {
            Recovery::Good(Record::Program(record)) => Recovery::Good(record),
            Recovery::Absent => Recovery::Absent,
            Recovery::Good(_) | Recovery::Lost => Recovery::Lost,
        };
        let totals = match (decode(totals), opening.critical) {
            (Recovery::Good(Record::Totals(record)), _) => Recovery::Good(record),
            (
                Recovery::Absent,
                RingCondition::Blank | RingCondition::Good | RingCondition::Repaired,
            ) => Recovery::Absent,
            // No checkpoint, but a ring that had something and does not show it.
            (Recovery::Absent, RingCondition::Unreadable | RingCondition::Failing) => {
                Recovery::Lost
            }
            (Recovery::Good(_) | Recovery::Lost, _) => Recovery::Lost,
        };
        Self {
            boot: opening.boot,
            program,
            totals,
        }
    }
}

fn decode(found: Found<'_>) -> Recovery<Record> {
    match found {
        Ok(None) => Recovery::Absent,
        Ok(Some(envelope)) => {
            match Record::decode(envelope.kind, envelope.version, envelope.body) {
                Ok(record) => Recovery::Good(record),
                Err(_) => Recovery::Lost,
            }
        }
        Err(_) => Recovery::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{ProgramRecord, RECORD_BYTES, kind};
    use crate::totals::TotalsRecord;
    use journal::{Kind, Repairs, Stamp, StateCondition};
    use units::{Clock, PumpTime};

    const OPENING: Opening = Opening {
        boot: 7,
        boot_kept: true,
        state: StateCondition::Good,
        kinds_lost: 0,
        redundant: true,
        journal: RingCondition::Good,
        critical: RingCondition::Good,
        repairs: Repairs {
            copies: 0,
            banks: 0,
            pages_sealed: 0,
            pages_erased: 0,
        },
    };

    fn envelope(kind: Kind, body: &[u8]) -> Envelope<'_> {
        Envelope {
            kind,
            version: 1,
            stamp: Stamp {
                boot: 6,
                monotonic: PumpTime::from_micros(0),
                wall: Clock::Lost,
            },
            body,
        }
    }

    #[test]
    fn a_blank_flash_is_a_new_pump() {
        let found = Recovered::from_journal(&OPENING, Ok(None), Ok(None));
        assert_eq!(
            found,
            Recovered {
                boot: 7,
                ..Recovered::new_pump()
            }
        );
    }

    #[test]
    fn what_was_kept_comes_back() {
        let (mut one, mut other) = ([0; RECORD_BYTES], [0; RECORD_BYTES]);
        let program = ProgramRecord {
            number: 3,
            ..ProgramRecord::default()
        };
        let totals = TotalsRecord {
            counted_steps: 5,
            at_most_steps: 6,
            deficit_steps: 1,
        };
        let program_body = Record::Program(program.clone())
            .encode(&mut one)
            .expect("fits");
        let totals_body = Record::Totals(totals).encode(&mut other).expect("fits");
        let found = Recovered::from_journal(
            &OPENING,
            Ok(Some(envelope(kind::PROGRAM, program_body))),
            Ok(Some(envelope(kind::TOTALS, totals_body))),
        );
        assert_eq!(found.program, Recovery::Good(program));
        assert_eq!(found.totals, Recovery::Good(totals));
    }

    #[test]
    fn what_cannot_be_read_is_lost_and_never_absent() {
        let lost = || {
            Err(JournalError::StateLost {
                kind: kind::PROGRAM,
            })
        };
        let found = Recovered::from_journal(&OPENING, lost(), lost());
        assert_eq!(
            (found.program, found.totals),
            (Recovery::Lost, Recovery::Lost)
        );

        // Bytes that no pump wrote, and the bytes of another kind of record.
        let found = Recovered::from_journal(
            &OPENING,
            Ok(Some(envelope(kind::PROGRAM, &[0xFF; 9]))),
            Ok(Some(envelope(kind::DEFICIT, &[4]))),
        );
        assert_eq!(
            (found.program, found.totals),
            (Recovery::Lost, Recovery::Lost)
        );

        for critical in [RingCondition::Unreadable, RingCondition::Failing] {
            let opening = Opening {
                critical,
                ..OPENING
            };
            assert_eq!(
                Recovered::from_journal(&opening, Ok(None), Ok(None)).totals,
                Recovery::Lost
            );
        }
    }
}
