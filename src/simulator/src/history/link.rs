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
