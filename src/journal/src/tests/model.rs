//! What the journal promises, as lists and maps.

use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

use units::{Clock, Duration, PumpTime, WallTime};

use crate::{
    BODY_BYTES, Envelope, Finding, Flash, Journal, JournalError, Kind, Log, Opening, Partition,
    Position, Record, Stamp, StateCondition, Verifier, VirtualFlash,
};

pub(crate) const EVENT: Kind = Kind(1);
pub(crate) const TOTALS: Kind = Kind(17);

/// SplitMix64, as in the virtual flash.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// One call to the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Append(Vec<u8>),
    Critical(Vec<u8>),
    Checkpoint(Vec<u8>),
    Put(Kind, Vec<u8>),
    Key([u8; 32]),
    Reopen,
}

impl Step {
    /// Any step, with a body that no other step has.
    pub(crate) fn random(random: &mut Random, number: u32) -> Self {
        let length = usize::try_from(random.below(60)).unwrap();
        // Erased flash looks like 0xFF: bodies full of it are the unkind ones.
        let filler = [0xFF, 0xFF, 0x00, 0x5A][usize::try_from(random.below(4)).unwrap()];
        let mut body = number.to_le_bytes().to_vec();
        body.resize(4 + length, filler);
        match random.below(10) {
            0..=2 => Self::Append(body),
            3..=4 => Self::Critical(body),
            5..=6 => Self::Checkpoint(body),
            7..=8 if random.below(20) == 0 => {
                let mut key = [filler; 32];
                key[..4].copy_from_slice(&number.to_le_bytes());
                Self::Key(key)
            }
            7..=8 => {
                body.resize(4 + length + 30, filler);
                Self::Put(Kind(16 + u16::try_from(random.below(4)).unwrap()), body)
            }
            _ => Self::Reopen,
        }
    }
}

/// What must be on the flash.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) boot: u32,
    pub(crate) events: Vec<Vec<u8>>,
    pub(crate) critical: Vec<Vec<u8>>,
    pub(crate) checkpoints: Vec<Vec<u8>>,
    pub(crate) values: BTreeMap<Kind, Vec<u8>>,
    /// Every value ever put.
    pub(crate) history: Vec<(Kind, Vec<u8>)>,
    /// What signs the heads of the logs.
    pub(crate) key: Option<[u8; 32]>,
    /// Pages that may be out of use: of the events, the critical events, the checkpoints.
    pub(crate) worn: [u32; 3],
    /// Whether a bank may be out of use.
    pub(crate) single: bool,
}

impl Model {
    /// Takes over what was acknowledged.
    pub(crate) fn acknowledge(&mut self, step: &Step) {
        match step {
            Step::Append(body) => self.events.push(body.clone()),
            Step::Critical(body) => {
                self.critical.push(body.clone());
                self.events.push(body.clone());
            }
            Step::Checkpoint(body) => self.checkpoints.push(body.clone()),
            Step::Put(kind, body) => {
                self.values.insert(*kind, body.clone());
                self.history.push((*kind, body.clone()));
            }
            Step::Key(key) => self.key = Some(*key),
            Step::Reopen => {}
        }
    }

    /// Checks everything that can be read against the model. `pending` was begun and not acknowledged: it may be there, whole, or not;
    /// if it is, the model takes it over.
    pub(crate) fn check<F: Flash>(&mut self, journal: &mut Journal<F>, pending: Option<&Step>) {
        let pages = |partition| journal.flash().size(partition) / crate::PAGE;
        let (journal_pages, checkpoint_pages) =
            (pages(Partition::Journal), pages(Partition::Critical));
        let critical_pages = crate::critical_pages(journal_pages);
        let event_pages = journal_pages - critical_pages;
        let mut found = bodies(journal, Log::Critical);
        let begun = match pending {
            Some(Step::Critical(body)) => Some(body),
            _ => None,
        };
        let landed = check_ring(
            "critical events",
            &mut self.critical,
            &found,
            begun,
            critical_pages - self.worn[1],
        );
        found = bodies(journal, Log::Events);
        let begun = match pending {
            Some(Step::Append(body)) => Some(body),
            // Its own log comes first.
            Some(Step::Critical(body)) if landed => Some(body),
            _ => None,
        };
        check_ring(
            "events",
            &mut self.events,
            &found,
            begun,
            event_pages - self.worn[0],
        );

        found.clear();
        journal
            .read_checkpoints(|record| found.push(record.envelope.body.to_vec()))
            .unwrap();
        let begun = match pending {
            Some(Step::Checkpoint(body)) => Some(body),
            _ => None,
        };
        check_ring(
            "checkpoints",
            &mut self.checkpoints,
            &found,
            begun,
            checkpoint_pages - self.worn[2],
        );
        let mut body = [0; BODY_BYTES];
        let latest = journal
            .latest_checkpoint(TOTALS, &mut body)
            .unwrap()
            .map(|envelope| envelope.body.to_vec());
        assert_eq!(
            latest,
            self.checkpoints.last().cloned(),
            "latest checkpoint"
        );

        if let Some(Step::Key(key)) = pending
            && journal.key() == Ok(Some(*key))
        {
            self.key = Some(*key);
        }
        assert_eq!(journal.key(), Ok(self.key));
        for kind in (16..24).map(Kind) {
            let found = journal
                .get(kind, &mut body)
                .unwrap_or_else(|error| panic!("{kind:?}: {error}"))
                .map(|envelope| envelope.body.to_vec());
            match pending {
                Some(Step::Put(pending_kind, new))
                    if *pending_kind == kind && found.as_ref() == Some(new) =>
                {
                    self.values.insert(kind, new.clone());
                }
                _ => assert_eq!(found.as_ref(), self.values.get(&kind), "{kind:?}"),
            }
        }
    }

    /// Checks the chains of both logs, their heads and the key after nothing but power cuts. At the front, where a cut erase can have left
    /// some records of a page, numbers may be missing; nothing else is ever found.
    pub(crate) fn check_chains<F: Flash>(&self, journal: &mut Journal<F>) {
        for log in Log::ALL {
            let all = records(journal, log);
            let (findings, position) = verify(Verifier::new(), &all);
            let acknowledged = match log {
                Log::Events => &self.events,
                Log::Critical => &self.critical,
            };
            // Behind the last gap stands everything that must be kept.
            let mut kept = all.len();
            for finding in findings {
                match finding {
                    Finding::Missing { to, .. } => {
                        let behind = all
                            .iter()
                            .filter(|bytes| Record::decode(bytes).unwrap().sequence > to);
                        kept = behind.count();
                    }
                    finding => panic!("{log}: {finding}"),
                }
            }
            let newest = all.iter().rev().zip(acknowledged.iter().rev());
            let followed = newest
                .take_while(|(bytes, body)| Record::decode(bytes).unwrap().envelope.body == **body)
                .count();
            assert!(kept >= followed, "{log}: a gap among the newest");
            assert_eq!(journal.position(log), position, "{log}");
            let head = journal.head(log).unwrap();
            assert_eq!(head.is_some(), self.key.is_some() && position.is_some());
            if let (Some(head), Some(position), Some(key)) = (head, position, self.key) {
                assert!(head.is_signed_with(&key));
                assert_eq!(
                    (head.log, head.sequence, Some(head.state), head.boot),
                    (log, position.sequence, position.state, self.boot)
                );
            }
        }
    }

    /// Checks what opening reports when nothing but power cuts has happened.
    pub(crate) fn check_opening(&mut self, opening: &Opening) {
        assert!(opening.boot > self.boot, "boot {opening:?}");
        assert!(opening.boot_kept, "{opening:?}");
        assert!(opening.redundant || self.single, "{opening:?}");
        assert!(
            matches!(
                opening.state,
                StateCondition::Blank | StateCondition::Good | StateCondition::Repaired
            ),
            "{opening:?}"
        );
        assert_eq!(opening.kinds_lost, 0, "{opening:?}");
        assert!(opening.chained, "{opening:?}");
        let worn: u32 = self.worn.iter().sum();
        assert!(u32::from(opening.pages_retired) <= worn, "{opening:?}");
        self.boot = opening.boot;
    }
}

/// The found records are the newest of the acknowledged ones without a gap, and the begun one behind them or not. Before them there may be
/// leftovers of a page whose erase was cut, in order. Whether the begun one is there.
fn check_ring(
    name: &str,
    acknowledged: &mut Vec<Vec<u8>>,
    found: &[Vec<u8>],
    begun: Option<&Vec<u8>>,
    pages: u32,
) -> bool {
    let mut found = found;
    let mut landed = false;
    if let Some(begun) = begun
        && let Some((last, rest)) = found.split_last()
        && last == begun
    {
        landed = true;
        found = rest;
    }
    let newest = found
        .iter()
        .rev()
        .zip(acknowledged.iter().rev())
        .take_while(|(found, acknowledged)| found == acknowledged)
        .count();
    let mut older = acknowledged[..acknowledged.len() - newest].iter();
    for record in &found[..found.len() - newest] {
        assert!(
            older.any(|older| older == record),
            "{name}: found {:?}, acknowledged {:?}",
            tail(found),
            tail(acknowledged)
        );
    }
    // All pages but the one being filled are kept. Every record takes at most its body and 40 bytes, and a page can end in a gap of
    // one record.
    let mut kept_bytes = usize::try_from(pages - 1).unwrap() * (4088 - 150);
    let must_be_kept = acknowledged
        .iter()
        .rev()
        .take_while(|body| {
            let item = body.len() + 40;
            let fits = kept_bytes >= item;
            kept_bytes = kept_bytes.saturating_sub(item);
            fits
        })
        .count();
    assert!(
        newest >= must_be_kept,
        "{name}: {newest} of {} acknowledged left, {must_be_kept} must be",
        acknowledged.len()
    );
    if landed {
        acknowledged.extend(begun.cloned());
    }
    landed
}

/// The bodies of a log.
pub(crate) fn bodies<F: Flash>(journal: &mut Journal<F>, log: Log) -> Vec<Vec<u8>> {
    let mut bodies = vec![];
    journal
        .read(log, |record| bodies.push(record.envelope.body.to_vec()))
        .unwrap();
    bodies
}

fn tail(records: &[Vec<u8>]) -> Vec<Vec<u8>> {
    records[records.len().saturating_sub(3)..]
        .iter()
        .map(|body| body[..4].to_vec())
        .collect()
}

/// A journal on a small flash, with its model.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) journal: Journal<VirtualFlash>,
    pub(crate) model: Model,
}

impl World {
    /// Two pages of checkpoints, and three for each other.
    pub(crate) fn small() -> Self {
        Self::on(VirtualFlash::with_sizes([0x5000, 0x2000, 0x3000, 0x3000]))
    }

    pub(crate) fn on(flash: VirtualFlash) -> Self {
        let (journal, opening) = Journal::open(flash).unwrap();
        assert_eq!(opening.state, StateCondition::Blank);
        let mut model = Model::default();
        model.check_opening(&opening);
        Self { journal, model }
    }

    /// Does a step; a reopening that finds no power is an error too.
    pub(crate) fn call(&mut self, step: &Step) -> Result<(), JournalError> {
        call(&mut self.journal, self.model.boot, step)?;
        if *step == Step::Reopen {
            let flash = self.journal.flash().clone();
            let (journal, opening) = Journal::open(flash)?;
            if journal.flash().is_off() {
                self.journal = journal;
                return Err(JournalError::Undecided);
            }
            self.model.check_opening(&opening);
            self.journal = journal;
        }
        Ok(())
    }

    /// Does a step that must succeed.
    pub(crate) fn apply(&mut self, step: &Step) {
        self.call(step).unwrap();
        self.model.acknowledge(step);
    }

    /// Whether this was ever the value of a kind.
    pub(crate) fn ever_put(&self, kind: Kind, body: &[u8]) -> bool {
        self.model
            .history
            .iter()
            .any(|(put, value)| *put == kind && value == body)
    }

    /// The flash as it is, with power.
    pub(crate) fn flash(&self) -> VirtualFlash {
        let mut flash = self.journal.flash().clone();
        flash.power_on();
        flash
    }

    /// Operations on the flash so far.
    pub(crate) fn operations(&self) -> u64 {
        self.journal.flash().operations()
    }
}

/// Does what a step says, but a reopening.
pub(crate) fn call<F: Flash>(
    journal: &mut Journal<F>,
    boot: u32,
    step: &Step,
) -> Result<(), JournalError> {
    match step {
        Step::Append(body) => journal.append(&envelope(EVENT, boot, body)),
        Step::Critical(body) => journal.append_critical(&envelope(EVENT, boot, body)),
        Step::Checkpoint(body) => journal.checkpoint(&envelope(TOTALS, boot, body)),
        Step::Put(kind, body) => journal.put(&envelope(*kind, boot, body)),
        Step::Key(key) => journal.make_key(key),
        Step::Reopen => Ok(()),
    }
}

/// Every record of a log as it is stored.
pub(crate) fn records<F: Flash>(journal: &mut Journal<F>, log: Log) -> Vec<Vec<u8>> {
    let mut records = vec![];
    journal
        .read(log, |record| records.push(record.bytes.to_vec()))
        .unwrap();
    records
}

/// What a verifier finds in records, and where it stands behind them.
pub(crate) fn verify<'r>(
    verifier: Verifier,
    records: impl IntoIterator<Item = &'r Vec<u8>>,
) -> (Vec<Finding>, Option<Position>) {
    let mut verifier = verifier;
    let mut findings = vec![];
    for bytes in records {
        let record = Record::decode(bytes).unwrap();
        verifier.take(&record, |finding| findings.push(finding));
    }
    (findings, verifier.position())
}

/// An envelope as the pump would make it.
pub(crate) fn envelope(kind: Kind, boot: u32, body: &[u8]) -> Envelope<'_> {
    Envelope {
        kind,
        version: 1,
        stamp: Stamp {
            boot,
            monotonic: PumpTime::from_micros(3_600_000_000),
            wall: Clock::Known {
                wall: WallTime::from_millis(1_767_607_200_000),
                uncertainty: Duration::from_seconds(1),
            },
        },
        body,
    }
}

/// A run of random steps.
pub(crate) fn steps(seed: u64, count: u32) -> Vec<Step> {
    let mut random = Random(seed);
    let mut steps = vec![];
    for number in 0..count {
        steps.push(Step::random(&mut random, number));
    }
    steps
}

/// How many seeds a test tries: `usual`, or as many times that as the environment variable `JOURNAL_EFFORT` says.
pub(crate) fn seeds(usual: u64) -> core::ops::Range<u64> {
    let effort = std::env::var("JOURNAL_EFFORT")
        .ok()
        .and_then(|effort| effort.parse().ok())
        .unwrap_or(1);
    0..usual * effort
}
