//! A log over a link: piece by piece in a session, then its signed end.

use super::archive::Archive;
use super::reading::Trouble;
use super::source::Facts;
use crate::carrier::Carrier;
use crate::session::Conversation;
use anyhow::{Result, bail};
use journal::{Head, Log, Record};
use protocol::{Command, Credentials, LogHead, LogName, LogPart, Outcome};

/// How many known records are asked for once more, to see that they are still the same: about as many as one answer holds.
const OVERLAP: usize = 4;

/// Reads what is behind the last records of `known`, these again included.
pub(super) fn read(
    carrier: &mut dyn Carrier,
    credentials: &Credentials,
    source: String,
    log: Log,
    known: Option<&Archive>,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<Facts> {
    let mut phone = Phone(Conversation::open(carrier, credentials)?);
    let mut reader = Reader {
        log: match log {
            Log::Events => LogName::Events,
            Log::Critical => LogName::Critical,
        },
        next: known.map_or(0, overlap),
        newest: None,
        records: Vec::new(),
    };
    reader.read_on(&mut phone, None, progress)?;
    let head = phone.head(reader.log)?;
    if let Some(signed) = &head
        && signed.sequence >= reader.next
    {
        // The log has grown since: the reading itself is an event.
        reader.read_on(&mut phone, Some(signed.sequence), progress)?;
        reader.leave_out_behind(signed.sequence);
    }
    let mut trouble = Vec::new();
    if let Some(newest) = reader.newest
        && head.is_none()
    {
        trouble.push(Trouble::NotSigned);
        if reader.next <= newest {
            trouble.push(Trouble::NotGivenOut { newest });
        }
    }
    Ok(Facts {
        log,
        source,
        records: reader.records,
        round_trips: Some(phone.0.round_trips()),
        head: head.map(|head| Head {
            log,
            sequence: head.sequence,
            state: head.state,
            boot: head.boot,
            signature: head.signature,
        }),
        trouble,
        notes: Vec::new(),
    })
}

/// Where to begin: a few records before the end of what is known.
fn overlap(known: &Archive) -> u32 {
    let numbers: Vec<u32> = known
        .records()
        .filter_map(Record::decode)
        .map(|record| record.sequence)
        .collect();
    let first = numbers.len().saturating_sub(OVERLAP);
    numbers.get(first).copied().unwrap_or_default()
}

/// How far a log has been read.
struct Reader {
    log: LogName,
    next: u32,
    newest: Option<u32>,
    records: Vec<Vec<u8>>,
}

impl Reader {
    /// Reads to `end`, or to what is the newest then.
    fn read_on(
        &mut self,
        phone: &mut Phone<'_>,
        end: Option<u32>,
        progress: &mut dyn FnMut(u32, u32),
    ) -> Result<()> {
        loop {
            let part = phone.part(self.log, self.next)?;
            self.newest = part.newest;
            self.records
                .extend(part.records.records().map(<[u8]>::to_vec));
            // A pump that does not go on would be asked for ever.
            let stuck = part.next <= self.next;
            self.next = part.next.max(self.next);
            let Some(end) = end.or(part.newest) else {
                return Ok(());
            };
            progress(self.next, end);
            if stuck || self.next > end {
                return Ok(());
            }
        }
    }

    /// What was written after the end was signed comes with the next reading.
    fn leave_out_behind(&mut self, end: u32) {
        self.records
            .retain(|bytes| Record::decode(bytes).is_none_or(|record| record.sequence <= end));
    }
}

/// The session, asked for a log.
struct Phone<'c>(Conversation<&'c mut dyn Carrier>);

impl Phone<'_> {
    fn part(&mut self, log: LogName, from: u32) -> Result<LogPart> {
        match self.0.ask(&Command::ReadLog { log, from })? {
            Outcome::LogPart(part) => Ok(part),
            Outcome::Refused(refused) => bail!("the pump does not give out its log: {refused}"),
            other => bail!("the pump answered the reading of its log with {other:?}"),
        }
    }

    fn head(&mut self, log: LogName) -> Result<Option<LogHead>> {
        match self.0.ask(&Command::SignLog { log })? {
            Outcome::LogHead { head } => Ok(head),
            Outcome::Refused(refused) => bail!("the pump does not sign its log: {refused}"),
            other => bail!("the pump answered the signing of its log with {other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::check::{Checked, check};
    use crate::test_pump::{TestPump, connect};
    use journal::{Envelope, Journal, Kind, Stamp, VirtualFlash};
    use protocol::{LogBytes, Role};
    use units::{Clock, PumpTime};

    /// Reads from a pump that answers so, as the technical service.
    fn read_from(mut answer: impl FnMut(&Command) -> Outcome) -> Result<Facts> {
        let pump = TestPump::new(Role::Service, |_, command| answer(command));
        let credentials = pump.borrow().credentials();
        let source = "a test".to_owned();
        let mut line = connect(&pump);
        read(
            &mut line,
            &credentials,
            source,
            Log::Events,
            None,
            &mut |_, _| {},
        )
    }

    fn journal(records: u32) -> Journal<VirtualFlash> {
        let (mut journal, _) = Journal::open(VirtualFlash::nrf52840()).expect("a journal");
        journal.make_key(&[7; 32]).expect("a key");
        for number in 0..records {
            append(&mut journal, number);
        }
        journal
    }

    fn append(journal: &mut Journal<VirtualFlash>, number: u32) {
        journal
            .append(&Envelope {
                kind: Kind(999),
                version: 1,
                stamp: Stamp {
                    boot: 1,
                    monotonic: PumpTime::ZERO,
                    wall: Clock::Lost,
                },
                body: &number.to_le_bytes(),
            })
            .expect("appended");
    }

    fn part(journal: &mut Journal<VirtualFlash>, from: u32) -> LogPart {
        let mut buffer = [0; protocol::LOG_PART_BYTES];
        let part = journal
            .read_from(Log::Events, from, &mut buffer)
            .expect("a part");
        LogPart {
            next: part.next,
            newest: part.newest,
            records: LogBytes::new(&buffer[..part.used]).expect("short"),
        }
    }

    fn signed(journal: &mut Journal<VirtualFlash>) -> Outcome {
        let head = journal.head(Log::Events).expect("a head");
        Outcome::LogHead {
            head: head.map(|head| LogHead {
                sequence: head.sequence,
                state: head.state,
                boot: head.boot,
                signature: head.signature,
            }),
        }
    }

    /// What an honest pump answers.
    fn honest(journal: &mut Journal<VirtualFlash>, command: &Command) -> Outcome {
        match command {
            Command::ReadLog { from, .. } => Outcome::LogPart(part(journal, *from)),
            Command::SignLog { .. } => signed(journal),
            other => panic!("{other:?}"),
        }
    }

    fn checked(facts: Facts) -> Checked {
        check(&facts.archive(Some(&[7; 32])), Some(&[7; 32]))
    }

    fn kinds(checked: &Checked) -> Vec<&'static str> {
        checked
            .findings
            .iter()
            .map(crate::history::Finding::kind)
            .collect()
    }

    #[test]
    fn a_log_is_read_whole_over_the_smallest_mtu() {
        let mut journal = journal(300);
        let facts = read_from(|command| honest(&mut journal, command)).expect("read");
        assert!(facts.round_trips > Some(20));
        let checked = checked(facts);
        assert!(checked.findings.is_empty());
        assert_eq!(checked.range(), Some((0, 299)));
        assert!(checked.head_in_words().contains("signature good"));
    }

    #[test]
    fn a_log_that_grows_while_it_is_read_ends_where_it_was_signed() {
        let mut journal = journal(100);
        let facts = read_from(|command| {
            let outcome = honest(&mut journal, command);
            // Behind every answer, the signed end too, something more happens.
            for number in 0..3 {
                append(&mut journal, number);
            }
            outcome
        });
        let checked = checked(facts.expect("read"));
        assert!(checked.findings.is_empty(), "{:?}", checked.findings);
        let (head, _, _) = checked.head.expect("a head");
        assert_eq!(checked.range(), Some((0, head.sequence)));
        assert!(head.sequence > 100);
    }

    #[test]
    fn a_head_that_is_not_the_end_is_a_finding() {
        let (mut long, mut short) = (journal(50), journal(40));
        let facts = read_from(|command| match command {
            Command::SignLog { .. } => signed(&mut short),
            other => honest(&mut long, other),
        });
        assert_eq!(kinds(&checked(facts.expect("read"))), ["head_elsewhere"]);
        // And one of records that the pump does not give out.
        let facts = read_from(|command| match command {
            Command::SignLog { .. } => signed(&mut long),
            other => honest(&mut short, other),
        });
        assert_eq!(kinds(&checked(facts.expect("read"))), ["head_elsewhere"]);
    }

    #[test]
    fn an_end_that_is_not_signed_is_a_finding_unless_there_is_nothing_to_sign() {
        let mut journal = journal(5);
        let facts = read_from(|command| match command {
            Command::SignLog { .. } => Outcome::LogHead { head: None },
            other => honest(&mut journal, other),
        });
        assert_eq!(kinds(&checked(facts.expect("read"))), ["not_signed"]);
        let mut empty = self::journal(0);
        let facts = read_from(|command| honest(&mut empty, command));
        assert!(kinds(&checked(facts.expect("read"))).is_empty());
    }

    #[test]
    fn a_pump_that_does_not_go_on_is_not_asked_for_ever() {
        let mut journal = journal(50);
        let mut asked = 0;
        let facts = read_from(|command| {
            asked += 1;
            match command {
                Command::ReadLog { .. } => Outcome::LogPart(LogPart {
                    next: 0,
                    newest: Some(49),
                    records: LogBytes::default(),
                }),
                other => honest(&mut journal, other),
            }
        });
        let checked = checked(facts.expect("read"));
        assert_eq!(kinds(&checked), ["head_elsewhere"]);
        assert_eq!(asked, 3);
    }

    #[test]
    fn a_refusal_and_another_schema_are_errors_in_words() {
        // A patient's key reads no log.
        let refused = |role, schema_hash| {
            let pump = TestPump::new(role, |_, _| Outcome::Cancelled);
            pump.borrow_mut().schema_hash = schema_hash;
            let credentials = pump.borrow().credentials();
            let mut line = connect(&pump);
            let source = "a test".to_owned();
            read(
                &mut line,
                &credentials,
                source,
                Log::Events,
                None,
                &mut |_, _| {},
            )
            .map(|_| ())
            .expect_err("refused")
            .to_string()
        };
        let error = refused(Role::Patient, protocol::SCHEMA_HASH);
        assert!(
            error.starts_with("the pump does not give out its log: "),
            "{error}"
        );
        let error = refused(Role::Service, protocol::SCHEMA_HASH ^ 1);
        assert!(error.contains("use matching versions"), "{error}");
        let error = refused(Role::Service, protocol::SCHEMA_HASH);
        assert!(error.contains("Cancelled"), "{error}");
    }
}
