//! The journal thread: the only one that touches flash.
//!
//! First it recovers what delivery needs to start; then it keeps what delivery hands over, and says what became of it.

use drivers::device::queue::{QUEUE_BYTES, Queue};
use journal::{Envelope, FlashError, Journal, JournalError, Opening, Partition, StateCondition};
use pump::{Recovered, Recovery, kind};

use crate::flash::DeviceFlash;
use crate::log_sink::say;
use crate::message::{self, FromJournal, Keep};

/// The thread.
// What is done once at boot is not merged into this function, so that it leaves the stack again.
pub fn run() {
    let mut journal = open();
    match &journal {
        Ok((_, opening)) => report(opening),
        Err(error) => say!(error, "journal cannot be opened: {error}"),
    }
    hand_over(recover(&mut journal));
    let mut buffer = [0; QUEUE_BYTES];
    loop {
        let Some((keep, envelope)) = message::receive_record(&mut buffer) else {
            continue;
        };
        let kept = match &mut journal {
            Ok((journal, _)) => keep_in(journal, keep, &envelope),
            Err(error) => Err(*error),
        };
        if let Err(error) = kept {
            say!(error, "record of kind {}: {error}", envelope.kind.0);
        }
        match (keep, kept) {
            (Keep::State { ticket }, Ok(())) => tell(&FromJournal::Persisted { ticket }),
            (Keep::State { ticket }, Err(_)) => tell(&FromJournal::PersistFailed { ticket }),
            (Keep::Event | Keep::Checkpoint, Ok(())) => {}
            (Keep::Event | Keep::Checkpoint, Err(_)) => tell(&FromJournal::AppendFailed),
        }
    }
}

/// The journal of this boot, and what opening it found; or why there is none, for all of this boot.
type Opened = Result<(Journal<DeviceFlash>, Opening), JournalError>;

#[inline(never)]
fn hand_over(recovered: Recovered) {
    let boot = recovered.boot;
    if message::send(Queue::Results, &FromJournal::Recovered(recovered.into())).is_err() {
        say!(error, "the recovered state is too long to be handed over");
        tell(&FromJournal::Recovered(lost(boot).into()));
    }
}

/// The queue has room for the result of every record that can wait (asserted in queue.c), so nothing is lost here.
fn tell(result: &FromJournal) {
    if message::send(Queue::Results, result).is_err() {
        say!(error, "no room for a result of the journal");
    }
}

#[inline(never)]
fn keep_in(
    journal: &mut Journal<DeviceFlash>,
    keep: Keep,
    envelope: &Envelope<'_>,
) -> Result<(), JournalError> {
    match keep {
        Keep::State { .. } => journal.put(envelope),
        Keep::Event => journal.append(envelope),
        Keep::Checkpoint => journal.checkpoint(envelope),
    }
}

/// What a pump starts from whose flash cannot be used.
fn lost(boot: u32) -> Recovered {
    Recovered {
        boot,
        program: Recovery::Lost,
        totals: Recovery::Lost,
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
            "journal repaired: {} copies, {} banks, {} pages sealed, {} pages erased",
            opening.repairs.copies,
            opening.repairs.banks,
            opening.repairs.pages_sealed,
            opening.repairs.pages_erased
        );
    }
    let doubtful = opening.state == StateCondition::Doubtful;
    if doubtful || !opening.boot_kept || !opening.redundant || opening.kinds_lost > 0 {
        say!(
            error,
            "journal: boot number kept {}, both banks whole {}, state doubtful {doubtful}, kinds of state lost {}",
            opening.boot_kept,
            opening.redundant,
            opening.kinds_lost
        );
    }
}

#[inline(never)]
fn recover(opened: &mut Opened) -> Recovered {
    let Ok((journal, opening)) = opened else {
        return lost(0);
    };
    let mut program = [0; journal::BODY_BYTES];
    let program = journal.get(kind::PROGRAM, &mut program);
    let mut totals = [0; journal::BODY_BYTES];
    let totals = journal.latest_checkpoint(kind::TOTALS, &mut totals);
    for (what, error) in [
        ("program", program.as_ref().err()),
        ("totals", totals.as_ref().err()),
    ] {
        if let Some(error) = error {
            say!(error, "{what}: {error}");
        }
    }
    Recovered::from_journal(opening, program, totals)
}
