//! A log over a link: piece by piece, then its signed end.

use super::archive::Archive;
use super::reading::Trouble;
use super::source::Facts;
use crate::carrier::Carrier;
use anyhow::{Context, Result, bail};
use journal::{Head, Log, Record};
use protocol::{Client, ClientEvent, Command, Info, LogHead, LogName, LogPart, Outcome};
use std::time::{Duration, Instant};
use units::CarrierTime;

/// How many known records are asked for once more, to see that they are still the same: about as many as one answer holds.
const OVERLAP: usize = 4;
/// How long the client sleeps at most before it looks at its own time-outs.
const PATIENCE: Duration = Duration::from_millis(250);

/// Reads what is behind the last records of `known`, these again included.
pub(super) fn read(
    carrier: &mut dyn Carrier,
    source: String,
    log: Log,
    known: Option<&Archive>,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<Facts> {
    Info::decode(&carrier.info()?)?;
    let mut phone = Phone::new(carrier);
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
        round_trips: Some(phone.round_trips),
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

/// The phone's end of the link, in real time.
struct Phone<'c> {
    client: Client,
    carrier: &'c mut dyn Carrier,
    began: Instant,
    round_trips: u32,
}

impl<'c> Phone<'c> {
    fn new(carrier: &'c mut dyn Carrier) -> Self {
        let mut client = Client::new();
        client.opened(carrier.mtu());
        Self {
            client,
            carrier,
            began: Instant::now(),
            round_trips: 0,
        }
    }

    fn part(&mut self, log: LogName, from: u32) -> Result<LogPart> {
        match self.ask(&Command::ReadLog { log, from })? {
            Outcome::LogPart(part) => Ok(part),
            Outcome::Refused(refused) => bail!("the pump does not give out its log: {refused}"),
            other => bail!("the pump answered the reading of its log with {other:?}"),
        }
    }

    fn head(&mut self, log: LogName) -> Result<Option<LogHead>> {
        match self.ask(&Command::SignLog { log })? {
            Outcome::LogHead { head } => Ok(head),
            Outcome::Refused(refused) => bail!("the pump does not sign its log: {refused}"),
            other => bail!("the pump answered the signing of its log with {other:?}"),
        }
    }

    fn ask(&mut self, command: &Command) -> Result<Outcome> {
        let kind = command.kind();
        self.round_trips = self.round_trips.saturating_add(1);
        self.client
            .request(self.now(), command)
            .with_context(|| format!("{kind} could not be sent"))?;
        loop {
            self.write()?;
            let mut event = match self.carrier.response(PATIENCE)? {
                Some(fragment) => self.client.receive(self.now(), &fragment),
                None => ClientEvent::Nothing,
            };
            if event == ClientEvent::Nothing {
                event = self.client.tick(self.now());
            }
            match event {
                ClientEvent::Nothing => {}
                ClientEvent::Answer(answer) => {
                    // The acknowledgement of the last fragment.
                    self.write()?;
                    return Ok(answer.outcome);
                }
                ClientEvent::Ended(ended) => bail!("{kind}: {ended}"),
            }
        }
    }

    fn write(&mut self) -> Result<()> {
        while let Some(frame) = self.client.next_frame() {
            self.carrier.write(&frame)?;
        }
        Ok(())
    }

    fn now(&self) -> CarrierTime {
        let micros = self.began.elapsed().as_micros();
        CarrierTime::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::archive::Archive;
    use crate::history::check::{Checked, check};
    use journal::{Envelope, Journal, Kind, Stamp, VirtualFlash};
    use protocol::{
        Answer, LogBytes, Mtu, Policy, Received, Refused, Session, SessionId, Situation,
    };
    use units::{Clock, PumpTime};

    const SESSION: SessionId = SessionId(1);

    /// A pump that answers what a test wants.
    struct Pump<'t> {
        session: Session,
        info: Vec<u8>,
        fragment: Option<Vec<u8>>,
        answer: Box<dyn FnMut(&Command) -> Outcome + 't>,
    }

    impl<'t> Pump<'t> {
        fn new(answer: impl FnMut(&Command) -> Outcome + 't) -> Self {
            let situation = Situation {
                lifecycle: protocol::Lifecycle::InService,
                armed: false,
            };
            let mut session = Session::new(Policy::Insecure, situation);
            session.opened(SESSION, Mtu::LOWEST);
            let mut buffer = [0; Info::LIMIT];
            let info = Info::new(0, [0; 8], situation.lifecycle, false);
            Self {
                session,
                info: info.encode(&mut buffer).expect("short").to_vec(),
                fragment: None,
                answer: Box::new(answer),
            }
        }

        fn read(mut self, known: Option<&Archive>) -> Result<Facts> {
            let source = "a test".to_owned();
            super::read(&mut self, source, Log::Events, known, &mut |_, _| {})
        }
    }

    impl Carrier for Pump<'_> {
        fn mtu(&self) -> Mtu {
            Mtu::LOWEST
        }

        fn info(&mut self) -> Result<Vec<u8>> {
            Ok(self.info.clone())
        }

        fn write(&mut self, frame: &[u8]) -> Result<()> {
            let now = CarrierTime::from_micros(0);
            if let Received::Request(request) = self.session.receive(now, frame) {
                let outcome = (self.answer)(&request.command);
                let answer = Answer {
                    id: request.id,
                    outcome,
                };
                self.session.answer(SESSION, &answer).expect("an answer");
            }
            self.fragment = Some(self.session.response().to_vec());
            Ok(())
        }

        fn response(&mut self, _: Duration) -> Result<Option<Vec<u8>>> {
            Ok(self.fragment.take())
        }
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
        let facts = Pump::new(|command| honest(&mut journal, command))
            .read(None)
            .expect("read");
        assert!(facts.round_trips > Some(20));
        let checked = checked(facts);
        assert!(checked.findings.is_empty());
        assert_eq!(checked.range(), Some((0, 299)));
        assert!(checked.head_in_words().contains("signature good"));
    }

    #[test]
    fn a_log_that_grows_while_it_is_read_ends_where_it_was_signed() {
        let mut journal = journal(100);
        let pump = Pump::new(|command| {
            let outcome = honest(&mut journal, command);
            // Behind every answer, the signed end too, something more happens.
            for number in 0..3 {
                append(&mut journal, number);
            }
            outcome
        });
        let checked = checked(pump.read(None).expect("read"));
        assert!(checked.findings.is_empty(), "{:?}", checked.findings);
        let (head, _, _) = checked.head.expect("a head");
        assert_eq!(checked.range(), Some((0, head.sequence)));
        assert!(head.sequence > 100);
    }

    #[test]
    fn a_head_that_is_not_the_end_is_a_finding() {
        let (mut long, mut short) = (journal(50), journal(40));
        let pump = Pump::new(|command| match command {
            Command::SignLog { .. } => signed(&mut short),
            other => honest(&mut long, other),
        });
        assert_eq!(
            kinds(&checked(pump.read(None).expect("read"))),
            ["head_elsewhere"]
        );
        // And one of records that the pump does not give out.
        let pump = Pump::new(|command| match command {
            Command::SignLog { .. } => signed(&mut long),
            other => honest(&mut short, other),
        });
        assert_eq!(
            kinds(&checked(pump.read(None).expect("read"))),
            ["head_elsewhere"]
        );
    }

    #[test]
    fn an_end_that_is_not_signed_is_a_finding_unless_there_is_nothing_to_sign() {
        let mut journal = journal(5);
        let pump = Pump::new(|command| match command {
            Command::SignLog { .. } => Outcome::LogHead { head: None },
            other => honest(&mut journal, other),
        });
        assert_eq!(
            kinds(&checked(pump.read(None).expect("read"))),
            ["not_signed"]
        );
        let mut empty = self::journal(0);
        let pump = Pump::new(|command| honest(&mut empty, command));
        assert!(kinds(&checked(pump.read(None).expect("read"))).is_empty());
    }

    #[test]
    fn a_pump_that_does_not_go_on_is_not_asked_for_ever() {
        let mut journal = journal(50);
        let mut asked = 0;
        let pump = Pump::new(|command| {
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
        let checked = checked(pump.read(None).expect("read"));
        assert_eq!(kinds(&checked), ["head_elsewhere"]);
        assert_eq!(asked, 3);
    }

    #[test]
    fn a_refusal_and_another_schema_are_errors_in_words() {
        let pump = Pump::new(|_| Outcome::Refused(Refused::NotAllowed));
        let error = pump.read(None).map(|_| ()).expect_err("refused");
        assert!(
            error
                .to_string()
                .starts_with("the pump does not give out its log: ")
        );
        let mut pump = Pump::new(|_| Outcome::Cancelled);
        pump.info[3] ^= 1;
        let error = pump.read(None).map(|_| ()).expect_err("refused");
        assert!(
            error.to_string().contains("use matching versions"),
            "{error}"
        );
        let pump = Pump::new(|_| Outcome::Cancelled);
        let error = pump.read(None).map(|_| ()).expect_err("refused");
        assert!(error.to_string().contains("Cancelled"), "{error}");
    }
}
