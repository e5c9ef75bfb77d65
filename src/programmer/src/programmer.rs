//! The dialogue with a pump: interrogate, stage, review, commit, and an honest account of what became of the commit.
//!
//! A commit whose answer was lost is [`Pending`]. It is resolved by interrogating the same pump again, never by sending it once
//! more; until then nothing else can be programmed.
use protocol::client::resolve_commit;
use protocol::{
    Answer, Client, ClientEvent, Command, Digest, Ended, Fate, Frame, Info, Mtu, Outcome, Program,
    Staged, Status,
};
use serde::{Deserialize, Serialize};
use units::CarrierTime;

use crate::form::{Checked, Form};
use crate::readout::{About, Readout, stands_still_unrecorded};
use crate::review::Review;

/// Something the page has to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    /// Nothing yet.
    Nothing,
    /// The pump was read out.
    Status {
        /// What it said.
        readout: Box<Readout>,
        /// What this tells about a pending commit.
        resolved: Option<Resolved>,
    },
    /// The pump has staged a program; here is what it read back.
    Review {
        /// The pump's words beside the old values.
        review: Box<Review>,
    },
    /// The program is in force.
    Committed {
        /// Its number.
        program_number: u32,
    },
    /// The pump stands still at once, as was asked, but could not store that: after a reset it would deliver again.
    StoppedNotRecorded,
    /// Certainly not done.
    NotDone {
        /// Why.
        reason: String,
    },
    /// A commit was sent and nobody can know whether it was done, before the pump is asked.
    Unknown {
        /// Why.
        reason: String,
    },
    /// The staged program is discarded.
    Cancelled,
    /// The named flags are cleared.
    FlagsReset,
    /// An answer that was not an answer to the question, or none at all; nothing depends on it.
    Failed {
        /// Why.
        reason: String,
    },
}

/// What an interrogation tells about a pending commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fate", rename_all = "kebab-case")]
pub enum Resolved {
    /// It was done.
    Done {
        /// The number of the program that is now in force.
        program_number: u32,
    },
    /// It was certainly not done.
    NotDone,
    /// It was a stop: the pump stands still, but could not store that.
    StoppedNotRecorded,
    /// Yet another program has come into force since: whatever became of the commit, it is no longer what counts.
    Superseded {
        /// The number of the program that is now in force.
        program_number: u32,
    },
}

/// A commit that was sent and not answered. It outlives the connection, and the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Which pump: whatever the carrier knows it by.
    pub pump: String,
    digest: [u8; 32],
    number_before: u32,
}

/// What has been asked and not yet answered.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Status,
    Stage(Program),
    Commit(Pending),
    Cancel,
    ResetFlags,
}

/// A program that the pump has staged and the user may confirm.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Confirmable {
    digest: Digest,
    number_before: u32,
}

/// The clinician's side of one pump. Sans I/O: the caller moves the bytes and tells the time.
#[derive(Debug, Default)]
pub struct Programmer {
    client: Client,
    pump: String,
    about: Option<About>,
    status: Option<Status>,
    asked: Option<Asked>,
    confirmable: Option<Confirmable>,
    pending: Option<Pending>,
}

impl Programmer {
    /// One that has met no pump yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A connection to `pump`, whatever the carrier knows it by, has been made, and this was read from its Info. `mtu` is what the
    /// carrier can write at once, plus three.
    ///
    /// # Errors
    /// When the pump speaks another version: then there is nothing to talk about.
    pub fn connected(&mut self, pump: &str, info: &[u8], mtu: u16) -> Result<About, String> {
        let info = Info::decode(info).map_err(|error| error.to_string())?;
        let about = About::of(&info);
        if self.pump != pump {
            // What is known of one pump must not stand beside another.
            self.status = None;
        }
        pump.clone_into(&mut self.pump);
        self.about = Some(about.clone());
        self.asked = None;
        self.confirmable = None;
        self.client.opened(Mtu::clamped(mtu));
        Ok(about)
    }

    /// The connection is gone. What was staged is lost; what was being asked ends here.
    pub fn disconnected(&mut self) -> Event {
        self.about = None;
        self.confirmable = None;
        match self.client.closed() {
            Some(ended) => self.ended(ended),
            None => Event::Nothing,
        }
    }

    /// Reads the form against the last status; with none, nothing can be checked.
    #[must_use]
    pub fn check(&self, form: &Form) -> Checked {
        self.status
            .as_ref()
            .map_or_else(Checked::default, |status| form.check(status))
    }

    /// The commit whose fate is not known.
    #[must_use]
    pub const fn pending(&self) -> Option<&Pending> {
        self.pending.as_ref()
    }

    /// Takes up a pending commit from before the page was loaded anew.
    pub fn resume(&mut self, pending: Pending) {
        self.pending = Some(pending);
    }

    /// The user takes it upon himself to find out about the pending commit, for example because that pump is not here.
    pub fn set_pending_aside(&mut self) {
        self.pending = None;
    }

    /// Asks for the status.
    ///
    /// # Errors
    /// Why it could not be asked.
    pub fn interrogate(&mut self, now: CarrierTime) -> Result<(), String> {
        self.ask(now, &Command::Interrogate, Asked::Status)
    }

    /// Sends the program in the form to be staged.
    ///
    /// # Errors
    /// Why not: the form is not ready, the link takes no programs, or a commit is pending.
    pub fn stage(&mut self, now: CarrierTime, form: &Form) -> Result<(), String> {
        if !self.about.as_ref().is_some_and(|about| about.programming) {
            return Err("this pump takes no programs over this link".to_owned());
        }
        if self.pending.is_some() {
            return Err(
                "it is not yet known what became of the last program sent: the pump must be asked first"
                    .to_owned(),
            );
        }
        let program = self
            .check(form)
            .program
            .ok_or("the form is not complete or has an error")?;
        self.confirmable = None;
        self.ask(now, &Command::Stage(program.clone()), Asked::Stage(program))
    }

    /// Confirms exactly the program of the last [`Review`], which had no difference.
    ///
    /// # Errors
    /// When there is none.
    pub fn commit(&mut self, now: CarrierTime) -> Result<(), String> {
        let Some(confirmable) = self.confirmable.take() else {
            return Err(
                "there is no program to confirm: send it to the pump and review it first"
                    .to_owned(),
            );
        };
        let pending = Pending {
            pump: self.pump.clone(),
            digest: confirmable.digest.0,
            number_before: confirmable.number_before,
        };
        let command = Command::Commit {
            digest: confirmable.digest,
        };
        self.ask(now, &command, Asked::Commit(pending.clone()))?;
        // From here until the pump answers, or is asked, it counts as not known: the page may go at any moment.
        self.pending = Some(pending);
        Ok(())
    }

    /// Discards what is staged.
    ///
    /// # Errors
    /// Why it could not be sent.
    pub fn cancel(&mut self, now: CarrierTime) -> Result<(), String> {
        self.confirmable = None;
        self.ask(now, &Command::Cancel, Asked::Cancel)
    }

    /// Clears the named "status changed" flags, which somebody has seen.
    ///
    /// # Errors
    /// Why it could not be sent.
    pub fn reset_flags(&mut self, now: CarrierTime, mask: u16) -> Result<(), String> {
        self.ask(
            now,
            &Command::ResetStatusChanged { mask },
            Asked::ResetFlags,
        )
    }

    /// The next frame to write to Command; to be fetched when the one before was written, until there is none, after every other call.
    pub fn next_frame(&mut self) -> Option<Frame> {
        self.client.next_frame()
    }

    /// Takes what was read from Response or indicated.
    pub fn receive(&mut self, now: CarrierTime, fragment: &[u8]) -> Event {
        let event = self.client.receive(now, fragment);
        self.event(event)
    }

    /// Lets time pass; once a second or more often while something is asked.
    pub fn tick(&mut self, now: CarrierTime) -> Event {
        let event = self.client.tick(now);
        self.event(event)
    }

    fn ask(&mut self, now: CarrierTime, command: &Command, asked: Asked) -> Result<(), String> {
        self.client
            .request(now, command)
            .map_err(|error| error.to_string())?;
        self.asked = Some(asked);
        Ok(())
    }

    fn event(&mut self, event: ClientEvent) -> Event {
        match event {
            ClientEvent::Nothing => Event::Nothing,
            ClientEvent::Answer(answer) => self.answered(answer),
            ClientEvent::Ended(ended) => self.ended(ended),
        }
    }

    fn answered(&mut self, answer: Answer) -> Event {
        let fate = answer.outcome.fate();
        match (self.asked.take(), answer.outcome) {
            (Some(Asked::Status), Outcome::Status(status)) => self.learned(status),
            (Some(Asked::Stage(entered)), Outcome::Staged(staged)) => {
                self.staged(&entered, &staged)
            }
            (Some(Asked::Commit(_)), Outcome::Committed { program_number }) => {
                self.pending = None;
                Event::Committed { program_number }
            }
            (Some(Asked::Commit(_)), Outcome::StoppedNotRecorded) => {
                self.pending = None;
                Event::StoppedNotRecorded
            }
            (Some(Asked::Cancel), Outcome::Cancelled) => Event::Cancelled,
            (Some(Asked::ResetFlags), Outcome::StatusChangedReset { .. }) => Event::FlagsReset,
            (Some(asked), Outcome::Refused(refused)) => {
                self.not_answered(&asked, fate, refused.to_string())
            }
            (Some(asked), _) => self.not_answered(
                &asked,
                Fate::Unknown,
                "the pump answered another question than was asked".to_owned(),
            ),
            (None, _) => Event::Nothing,
        }
    }

    fn ended(&mut self, ended: Ended) -> Event {
        match self.asked.take() {
            Some(asked) => self.not_answered(&asked, ended.fate, ended.reason.to_string()),
            None => Event::Nothing,
        }
    }

    /// What is to be said when something asked did not happen, or nobody knows.
    fn not_answered(&mut self, asked: &Asked, fate: Fate, reason: String) -> Event {
        match (asked, fate) {
            (Asked::Commit(_), Fate::CertainlyNot) => {
                self.pending = None;
                Event::NotDone { reason }
            }
            (Asked::Commit(_), Fate::Unknown | Fate::Done) => Event::Unknown { reason },
            // Staging changes nothing in the delivery, whatever became of it.
            (Asked::Stage(_), _) => Event::NotDone { reason },
            (Asked::Status | Asked::Cancel | Asked::ResetFlags, _) => Event::Failed { reason },
        }
    }

    fn learned(&mut self, status: Status) -> Event {
        let resolved = self.resolve(&status);
        if resolved.is_some() {
            self.pending = None;
        }
        let readout = Box::new(Readout::of(&status));
        self.status = Some(status);
        Event::Status { readout, resolved }
    }

    /// Judges the pending commit, if it was sent to this pump.
    fn resolve(&self, status: &Status) -> Option<Resolved> {
        let pending = self
            .pending
            .as_ref()
            .filter(|pending| pending.pump == self.pump)?;
        let program_number = status.program_number;
        match resolve_commit(&Digest(pending.digest), pending.number_before, status) {
            Fate::Done => Some(Resolved::Done { program_number }),
            Fate::CertainlyNot if stands_still_unrecorded(status) => {
                Some(Resolved::StoppedNotRecorded)
            }
            Fate::CertainlyNot => Some(Resolved::NotDone),
            Fate::Unknown if status.committing => None,
            Fate::Unknown => Some(Resolved::Superseded { program_number }),
        }
    }

    fn staged(&mut self, entered: &Program, staged: &Staged) -> Event {
        let Some(before) = &self.status else {
            return Event::NotDone {
                reason: "the pump was not read out before".to_owned(),
            };
        };
        let review = Box::new(Review::of(staged, entered, before));
        self.confirmable = review.confirmable.then_some(Confirmable {
            digest: staged.digest,
            number_before: before.program_number,
        });
        Event::Review { review }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_pump::{
        TestPump, baclofen, baclofen_form, fresh_status, info, millis, running_status,
    };
    use protocol::Refused;
    use protocol::info::capability;

    /// A programmer that has read out a pump.
    fn acquainted(status: Status) -> (Programmer, TestPump) {
        let mut programmer = Programmer::new();
        let mut pump = TestPump::new(status);
        pump.connect(&mut programmer);
        read_out(&mut programmer, &mut pump);
        (programmer, pump)
    }

    fn read_out(programmer: &mut Programmer, pump: &mut TestPump) -> Option<Resolved> {
        programmer.interrogate(millis(0)).unwrap();
        match pump.exchange(programmer, millis(0)) {
            Event::Status { resolved, .. } => resolved,
            other => panic!("{other:?}"),
        }
    }

    fn staged(programmer: &mut Programmer, pump: &mut TestPump) -> Review {
        programmer
            .stage(millis(0), &baclofen_form("20 mL", "250 mcg/day"))
            .unwrap();
        match pump.exchange(programmer, millis(0)) {
            Event::Review { review } => *review,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_program_is_entered_reviewed_committed_and_read_out() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        assert!(staged(&mut programmer, &mut pump).confirmable);
        assert_eq!(pump.commits, 0);
        programmer.commit(millis(0)).unwrap();
        assert_eq!(
            pump.exchange(&mut programmer, millis(0)),
            Event::Committed { program_number: 1 }
        );
        assert_eq!(pump.commits, 1);
        assert_eq!(
            pump.status.program,
            Some(baclofen(Some(20_000_000), 250_000))
        );
        assert_eq!(read_out(&mut programmer, &mut pump), None);
        assert_eq!(programmer.pending(), None);
    }

    #[test]
    fn what_the_pump_read_back_wrongly_cannot_be_confirmed() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        pump.tamper = |staged| staged.program.concentration_ng_per_ml /= 10;
        assert!(!staged(&mut programmer, &mut pump).confirmable);
        assert!(programmer.commit(millis(0)).is_err());
        assert_eq!(programmer.next_frame(), None);
        assert_eq!(pump.commits, 0);
    }

    #[test]
    fn one_review_confirms_once() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        staged(&mut programmer, &mut pump);
        programmer.commit(millis(0)).unwrap();
        pump.exchange(&mut programmer, millis(0));
        assert!(programmer.commit(millis(0)).is_err());
        staged(&mut programmer, &mut pump);
        programmer.cancel(millis(0)).unwrap();
        assert_eq!(pump.exchange(&mut programmer, millis(0)), Event::Cancelled);
        assert!(programmer.commit(millis(0)).is_err());
        assert_eq!(pump.commits, 1);
    }

    #[test]
    fn a_form_with_an_error_is_never_sent() {
        let (mut programmer, _pump) = acquainted(fresh_status());
        assert!(
            programmer
                .stage(millis(0), &baclofen_form("", "250 mL/day"))
                .is_err()
        );
        assert_eq!(programmer.next_frame(), None);
    }

    #[test]
    fn a_refused_commit_is_certainly_not_done() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        staged(&mut programmer, &mut pump);
        pump.refuse_commit = Some(Refused::NotDone);
        programmer.commit(millis(0)).unwrap();
        match pump.exchange(&mut programmer, millis(0)) {
            Event::NotDone { reason } => assert!(reason.contains("unchanged"), "{reason}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(programmer.pending(), None);
    }

    #[test]
    fn a_stop_that_could_not_be_stored_is_told_as_such() {
        let (mut programmer, mut pump) = acquainted(running_status(baclofen(None, 100_000)));
        let mut stop = baclofen_form("", "");
        stop.mode = crate::form::FormMode::Stopped;
        pump.fail_stop = true;
        programmer.stage(millis(0), &stop).unwrap();
        pump.exchange(&mut programmer, millis(0));
        programmer.commit(millis(0)).unwrap();
        assert_eq!(
            pump.exchange(&mut programmer, millis(0)),
            Event::StoppedNotRecorded
        );
        assert_eq!(programmer.pending(), None);
        // The same when the answer is lost and the pump is asked.
        programmer.stage(millis(0), &stop).unwrap();
        pump.exchange(&mut programmer, millis(0));
        pump.deaf = true;
        programmer.commit(millis(0)).unwrap();
        pump.exchange(&mut programmer, millis(0));
        programmer.disconnected();
        pump.deaf = false;
        pump.connect(&mut programmer);
        assert_eq!(
            read_out(&mut programmer, &mut pump),
            Some(Resolved::StoppedNotRecorded)
        );
    }

    /// Commits while the pump's answers are lost, and then the connection.
    fn commit_into_silence(programmer: &mut Programmer, pump: &mut TestPump) {
        staged(programmer, pump);
        pump.deaf = true;
        programmer.commit(millis(0)).unwrap();
        assert_eq!(pump.exchange(programmer, millis(0)), Event::Nothing);
        assert!(matches!(programmer.disconnected(), Event::Unknown { .. }));
        assert!(programmer.pending().is_some());
        pump.deaf = false;
    }

    #[test]
    fn a_commit_whose_answer_was_lost_is_resolved_by_asking_and_never_sent_again() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        commit_into_silence(&mut programmer, &mut pump);
        pump.connect(&mut programmer);
        assert!(
            programmer
                .stage(millis(0), &baclofen_form("", "250 mcg/day"))
                .is_err()
        );
        pump.status.committing = true;
        assert_eq!(read_out(&mut programmer, &mut pump), None);
        assert!(programmer.pending().is_some());
        pump.status.committing = false;
        assert_eq!(
            read_out(&mut programmer, &mut pump),
            Some(Resolved::Done { program_number: 1 })
        );
        assert_eq!(programmer.pending(), None);
        assert_eq!(pump.commits, 1);
    }

    #[test]
    fn a_commit_that_was_lost_with_its_answer_is_found_not_done() {
        let (mut programmer, mut pump) = acquainted(running_status(baclofen(None, 100_000)));
        commit_into_silence(&mut programmer, &mut pump);
        pump.status = running_status(baclofen(None, 100_000));
        pump.connect(&mut programmer);
        assert_eq!(
            read_out(&mut programmer, &mut pump),
            Some(Resolved::NotDone)
        );
    }

    #[test]
    fn a_third_program_is_not_taken_for_ours() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        commit_into_silence(&mut programmer, &mut pump);
        pump.status = running_status(baclofen(None, 100_000));
        pump.connect(&mut programmer);
        assert_eq!(
            read_out(&mut programmer, &mut pump),
            Some(Resolved::Superseded { program_number: 3 })
        );
    }

    #[test]
    fn another_pump_tells_nothing_about_a_pending_commit() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        commit_into_silence(&mut programmer, &mut pump);
        let mut other = TestPump::new(fresh_status());
        other.connect(&mut programmer);
        programmer
            .connected("another", &info(capability::PROGRAMMING), 23)
            .unwrap();
        assert_eq!(read_out(&mut programmer, &mut other), None);
        assert!(
            programmer
                .stage(millis(0), &baclofen_form("20 mL", "250 mcg/day"))
                .is_err()
        );
        programmer.set_pending_aside();
        assert!(staged(&mut programmer, &mut other).confirmable);
    }

    #[test]
    fn a_pending_commit_outlives_the_page() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        commit_into_silence(&mut programmer, &mut pump);
        let kept = serde_json::to_string(programmer.pending().unwrap()).unwrap();
        let mut reloaded = Programmer::new();
        reloaded.resume(serde_json::from_str(&kept).unwrap());
        pump.connect(&mut reloaded);
        assert_eq!(
            read_out(&mut reloaded, &mut pump),
            Some(Resolved::Done { program_number: 1 })
        );
    }

    #[test]
    fn a_lost_answer_is_asked_for_again_and_the_pump_does_it_once() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        staged(&mut programmer, &mut pump);
        pump.deaf = true;
        programmer.commit(millis(0)).unwrap();
        pump.exchange(&mut programmer, millis(0));
        pump.deaf = false;
        assert_eq!(programmer.tick(millis(4_000)), Event::Nothing);
        assert_eq!(
            pump.exchange(&mut programmer, millis(4_000)),
            Event::Committed { program_number: 1 }
        );
        assert_eq!(pump.commits, 1);
    }

    #[test]
    fn every_fragment_is_acknowledged_or_nothing_longer_than_one_frame_arrives() {
        let (mut programmer, mut pump) = acquainted(running_status(baclofen(None, 100_000)));
        // At an MTU of 23 a status takes several fragments, and each waits for its acknowledgement.
        programmer.interrogate(millis(0)).unwrap();
        assert!(matches!(
            pump.exchange(&mut programmer, millis(0)),
            Event::Status { .. }
        ));
    }

    #[test]
    fn a_link_that_takes_no_programs_is_not_sent_any() {
        let (mut programmer, _pump) = acquainted(fresh_status());
        programmer.connected("test", &info(0), 23).unwrap();
        let refused = programmer.stage(millis(0), &baclofen_form("", "250 mcg/day"));
        assert!(refused.unwrap_err().contains("no programs"));
    }

    #[test]
    fn a_pump_of_another_version_is_refused() {
        let mut programmer = Programmer::new();
        let mut strange = info(0);
        strange[0] = 9;
        let refused = programmer.connected("test", &strange, 23).unwrap_err();
        assert!(refused.contains("version 9"), "{refused}");
        assert!(programmer.interrogate(millis(0)).is_err());
    }

    #[test]
    fn flags_are_cleared_by_name() {
        let (mut programmer, mut pump) = acquainted(fresh_status());
        let flags = pump.status.status_changed;
        programmer.reset_flags(millis(0), flags).unwrap();
        assert_eq!(pump.exchange(&mut programmer, millis(0)), Event::FlagsReset);
        assert_eq!(pump.status.status_changed, 0);
    }
}
