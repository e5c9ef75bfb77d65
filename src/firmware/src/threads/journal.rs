//! The journal thread: the only one that touches flash.
//!
//! First it recovers what delivery needs to start; then it keeps what delivery hands over, and says what became of it.

use drivers::device::queue::{QUEUE_BYTES, Queue};
use drivers::device::{flash, one_time, system};
use journal::{
    Envelope, FlashError, Journal, JournalError, KEY_BYTES, Opening, Partition, Repairs,
    StateCondition,
};
use protocol::pack::PAGE_BYTES;
use protocol::{Answer, LogName, Outcome, Pack, Refused, SessionId};
use pump::{
    Basis, ONE_TIME_BYTES, Placement, Record, Recovery, StorageReport, each_state, storage,
};

use crate::flash::DeviceFlash;
use crate::log_sink::say;
use crate::message::{self, Body, FromJournal, ToJournal, Wiped};

/// The thread.
// What is done once at boot is not merged into this function, so that it leaves the stack again.
pub fn run() {
    let mut opened = open();
    match &opened {
        Ok((_, opening)) => report(opening),
        Err(error) => say!(error, "journal cannot be opened: {error}"),
    }
    recover(&mut opened);
    let repairs_told = match &mut opened {
        Ok((journal, _)) => {
            have_key(journal);
            journal.repairs()
        }
        Err(_) => Repairs::default(),
    };
    serve(&mut opened, repairs_told)
}

/// Does what delivery asks for. Beside what was done at boot, not upon it: the longest message is on this stack from here on.
#[inline(never)]
fn serve(opened: &mut Opened, mut repairs_told: Repairs) -> ! {
    loop {
        // Nothing of one message is left while the next is waited for.
        let mut buffer = Wiped::<QUEUE_BYTES>::new();
        let Some((order, record)) = message::receive_for_journal(&mut buffer) else {
            continue;
        };
        match order {
            ToJournal::PersistState { ticket, .. } => {
                let redundant = is_redundant(opened);
                match keep(opened, record) {
                    Ok(()) => tell(&FromJournal::Persisted { ticket }),
                    Err(_) => tell(&FromJournal::PersistFailed { ticket }),
                }
                if redundant && !is_redundant(opened) {
                    // Kept, but only once.
                    tell(&FromJournal::Storage(StorageReport::kept_once()));
                }
            }
            ToJournal::Keep => {
                let kind = record.map(|record| record.kind);
                if keep(opened, record).is_err() {
                    let checkpoint =
                        kind.and_then(Record::placement_of) == Some(Placement::Checkpoint);
                    tell(if checkpoint {
                        &FromJournal::CheckpointFailed
                    } else {
                        &FromJournal::AppendFailed
                    });
                }
            }
            ToJournal::Scrub => {
                if let Ok((journal, _)) = opened {
                    let report = StorageReport::scrub(journal, repairs_told);
                    repairs_told = journal.repairs();
                    tell(&FromJournal::Storage(report));
                }
            }
            ToJournal::ErasePack => erase_pack(),
            ToJournal::ReadLog {
                session,
                id,
                log,
                from,
            } => answer(session, id, read_log(opened, log, from)),
            ToJournal::SignLog { session, id, log } => {
                answer(session, id, sign_log(opened, log));
            }
        }
    }
}

/// The journal of this boot, and what opening it found; or why there is none, for all of this boot.
type Opened = Result<(Journal<DeviceFlash>, Opening), JournalError>;

/// The queue has room for the result of every record that can wait (asserted in queue.c), so nothing is lost here.
fn tell(result: &FromJournal<'_>) {
    if message::send(Queue::Results, result).is_err() {
        say!(error, "no room for a result of the journal");
    }
}

fn is_redundant(opened: &Opened) -> bool {
    opened
        .as_ref()
        .is_ok_and(|(journal, _)| journal.redundant())
}

/// Keeps a record where its kind belongs.
#[inline(never)]
fn keep(opened: &mut Opened, record: Option<Envelope<'_>>) -> Result<(), JournalError> {
    let (journal, _) = opened.as_mut().map_err(|error| *error)?;
    let Some(envelope) = record else {
        // Not written by this build.
        return Err(JournalError::BodyTooLong);
    };
    let kept = storage::keep(journal, &envelope);
    if let Err(error) = kept {
        say!(error, "record of kind {}: {error}", envelope.kind.0);
    }
    kept
}

/// Answers a session past delivery, which has nothing to add.
fn answer(session: u32, id: u32, outcome: Outcome) {
    message::send_answer(SessionId(session), &Answer { id, outcome });
}

#[inline(never)]
fn read_log(opened: &mut Opened, log: LogName, from: u32) -> Outcome {
    match opened {
        Ok((journal, _)) => storage::read_log(journal, log, from),
        Err(_) => Outcome::Refused(Refused::NotDone),
    }
}

#[inline(never)]
fn sign_log(opened: &mut Opened, log: LogName) -> Outcome {
    match opened {
        Ok((journal, _)) => storage::sign_log(journal, log),
        Err(_) => Outcome::Refused(Refused::NotDone),
    }
}

/// Sees to it that there is a key to sign the ends of the logs with.
#[inline(never)]
fn have_key(journal: &mut Journal<DeviceFlash>) {
    if matches!(journal.key(), Ok(Some(_))) {
        return;
    }
    let mut key = Wiped::<KEY_BYTES>::new();
    let made = match system::random(&mut *key) {
        Ok(()) => journal.make_key(&key).is_ok(),
        Err(_) => false,
    };
    if !made {
        say!(error, "there is no key to sign the logs with");
    }
}

// The result goes straight to where the caller keeps it: it is too large to be moved about on a small stack.
#[inline(never)]
fn open() -> Opened {
    match DeviceFlash::start() {
        Ok(flash) => Journal::open(flash),
        Err(error) => Err(JournalError::Flash {
            partition: Partition::Journal,
            error: FlashError::Failed(error.number()),
        }),
    }
}

#[inline(never)]
fn report(opening: &Opening) {
    say!(info, "boot {}", opening.boot);
    if !opening.repairs.is_empty() {
        say!(
            warn,
            "journal repaired: {} copies, {} banks, {} pages sealed, {} erased, {} retired",
            opening.repairs.copies,
            opening.repairs.banks,
            opening.repairs.pages_sealed,
            opening.repairs.pages_erased,
            opening.repairs.pages_retired
        );
    }
    let doubtful = opening.state == StateCondition::Doubtful;
    if doubtful
        || !opening.boot_kept
        || !opening.redundant
        || !opening.chained
        || opening.kinds_lost > 0
    {
        say!(
            error,
            "journal: boot number kept {}, both banks whole {}, state doubtful {doubtful}, kinds of state lost {}, logs whole {}",
            opening.boot_kept,
            opening.redundant,
            opening.kinds_lost,
            opening.chained
        );
    }
}

/// What the production line gave, while it is there.
#[inline(never)]
fn pack() -> Option<Pack> {
    let mut page = Wiped::<PAGE_BYTES>::new();
    let read = flash::read(flash::Partition::Pack, 0, &mut *page);
    read.ok().and_then(|()| Pack::from_page(page.as_slice()))
}

/// What it gave is in the state now.
fn erase_pack() {
    let erased = flash::erase(
        flash::Partition::Pack,
        0,
        flash::size(flash::Partition::Pack),
    );
    match erased {
        Ok(()) => say!(info, "pack: taken into the state, page erased"),
        Err(error) => say!(error, "pack: page not erased: {error}"),
    }
}

/// Hands over what delivery needs to start, piece by piece: delivery goes first and takes each at once.
#[inline(never)]
fn recover(opened: &mut Opened) {
    let Ok((journal, opening)) = opened else {
        tell(&FromJournal::NoFlash);
        return;
    };
    let mut bytes = [0; ONE_TIME_BYTES];
    let one_time = one_time::read(&mut bytes).is_ok().then_some(&bytes);
    let (mut basis, burn) = Basis::from_journal(journal, opening, one_time);
    basis.pack = pack();
    tell(&FromJournal::Basis(basis));
    each_state(journal, |state, found| {
        let found = match found {
            Recovery::Absent => Recovery::Absent,
            Recovery::Lost => Recovery::Lost,
            Recovery::Good((version, bytes)) => Recovery::Good(Body { version, bytes }),
        };
        let kind = state.kind().0;
        tell(&FromJournal::State { kind, found });
    });
    tell(&FromJournal::Recovered);
    if let Some(burn) = burn
        && let Err(error) = one_time::write(&burn)
    {
        say!(error, "one-time memory: {error}");
    }
}
