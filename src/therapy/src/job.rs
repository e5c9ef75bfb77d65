//! Jobs: everything the pump gives beside basal, one at a time.
//!
//! A job is bound to its number and to a number of whole steps; it ends when these are made, and never makes more. Basal goes on beside
//! it and is none of its business. The only pair that suspends and resumes is a normal bolus over an extended one (GIP 1.4.5 to 1.4.8).
//! What was cancelled cannot come back: its number has been used (clinical reference 4.5, rows 20 and 21).
//!
//! # Transitions
//!
//! *Normal* is any job but an extended bolus. *Short* is a patient's, a clinician's normal or a periodic bolus. "Refused" changes
//! nothing. A start is refused in every state if its number is not larger than every number before it.
//!
//! | event | idle | normal | extended | normal over extended |
//! |---|---|---|---|---|
//! | start short | normal | refused | normal over extended | refused |
//! | start extended | extended | refused | refused | refused |
//! | start single, then stop | normal | refused | refused | refused |
//! | start prime | normal | both cancelled, normal | both cancelled, normal | both cancelled, normal |
//! | start prime while priming | - | refused | - | - |
//! | steps, some left | - | normal | extended | normal over extended |
//! | steps, none left | - | completed, idle | completed, idle | completed, **extended resumes** |
//! | cancel the running one | - | idle | idle | **extended resumes** |
//! | cancel the suspended one | - | - | - | normal |
//! | cancel another number | - | - | - | - |
//! | cancel all (prime, bridge, refill, commit, fault, stop, reset) | - | idle | idle | both cancelled, idle |
//! | commit without a change of therapy | - | - | - | - |

use core::fmt;

use heapless::Vec;
use serde::{Deserialize, Serialize};
use units::{Concentration, Duration, Flow, Mass, PumpTime, StepVolume, Volume};

use crate::accumulator::Accumulator;
use crate::patient_bolus::LONGEST_BOLUS;

/// The shortest job.
const SHORTEST: Duration = Duration::from_seconds(1);

/// The whole motor steps in a dose of a solution's drug, rounded down; `None` for more than a job can have.
#[must_use]
pub fn whole_steps(
    dose: Mass,
    concentration: Concentration,
    step_volume: StepVolume,
) -> Option<u32> {
    let concentration = u128::from(concentration.nanograms_per_millilitre());
    let femtolitres = dose.zeptograms().checked_div(concentration)?;
    let volume = Volume::from_femtolitres(u64::try_from(femtolitres).ok()?);
    u32::try_from(step_volume.steps_in(volume)).ok()
}

/// The bolus of a program of one starts so long after its commit at the latest \[P\]: what forbids it may go with the commit itself. Later it
/// is missed, because nobody looks at the patient any more.
pub const SINGLE_BOLUS_WITHIN: Duration = Duration::from_minutes(1);

/// What kind of job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobKind {
    /// A bolus the patient asked for.
    PatientBolus,
    /// A bolus a clinician gives.
    ClinicianBolus {
        /// Whether normal ones go before it.
        extended: bool,
    },
    /// A bolus of a periodic program.
    PeriodicBolus,
    /// A program of one bolus, after which the pump stops. The commit that brings it has cancelled what was before.
    SingleBolus,
    /// A prime.
    Prime,
}

impl JobKind {
    /// Whether it is an extended bolus.
    #[must_use]
    pub const fn is_extended(self) -> bool {
        matches!(self, Self::ClinicianBolus { extended: true })
    }

    /// Whether it may suspend an extended bolus.
    const fn is_short(self) -> bool {
        matches!(
            self,
            Self::PatientBolus | Self::ClinicianBolus { extended: false } | Self::PeriodicBolus
        )
    }
}

/// A job that is to start. Checked: at least one step, 1 s to 24 h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    try_from = "(u32, JobKind, u32, Duration)",
    into = "(u32, JobKind, u32, Duration)"
)]
pub struct JobOrder {
    id: u32,
    kind: JobKind,
    steps: u32,
    duration: Duration,
}

impl JobOrder {
    /// Job number `id`: `steps` whole steps, spread evenly over `duration`.
    ///
    /// # Errors
    ///
    /// [`JobRefusal::Empty`] without a step, [`JobRefusal::Duration`] below 1 s or above 24 h (GIP 1.4.9).
    pub fn new(id: u32, kind: JobKind, steps: u32, duration: Duration) -> Result<Self, JobRefusal> {
        if steps == 0 {
            return Err(JobRefusal::Empty);
        }
        if !(SHORTEST..=LONGEST_BOLUS).contains(&duration) {
            return Err(JobRefusal::Duration { duration });
        }
        Ok(Self {
            id,
            kind,
            steps,
            duration,
        })
    }

    /// Its number.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> JobKind {
        self.kind
    }

    /// All its steps; never 0.
    #[must_use]
    pub const fn steps(&self) -> u32 {
        self.steps
    }

    /// How long it takes when nothing is in between.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        self.duration
    }

    /// What it displaces.
    #[must_use]
    pub fn volume(&self, step_volume: StepVolume) -> Volume {
        // 32 and 32 bits fit.
        step_volume
            .volume_of(u64::from(self.steps))
            .unwrap_or(Volume::ZERO)
    }

    /// Its flow, exactly; it adds to basal.
    #[must_use]
    pub fn flow(&self, step_volume: StepVolume) -> Flow {
        // The duration is not zero.
        Flow::of_volume_over(self.volume(step_volume), self.duration).unwrap_or(Flow::ZERO)
    }
}

impl From<JobOrder> for (u32, JobKind, u32, Duration) {
    fn from(order: JobOrder) -> Self {
        (order.id, order.kind, order.steps, order.duration)
    }
}

impl TryFrom<(u32, JobKind, u32, Duration)> for JobOrder {
    type Error = JobRefusal;

    fn try_from(
        (id, kind, steps, duration): (u32, JobKind, u32, Duration),
    ) -> Result<Self, JobRefusal> {
        Self::new(id, kind, steps, duration)
    }
}

/// A job that has started: also its durable record, written before the first step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    order: JobOrder,
    started: PumpTime,
    /// The start, or the end of the last suspension.
    running_since: PumpTime,
    /// Steps made before `running_since`.
    before: u32,
    /// Steps made since.
    since: u32,
}

impl Job {
    const fn new(order: JobOrder, at: PumpTime) -> Self {
        Self {
            order,
            started: at,
            running_since: at,
            before: 0,
            since: 0,
        }
    }

    /// What it is.
    #[must_use]
    pub const fn order(&self) -> &JobOrder {
        &self.order
    }

    /// When it started, on the clock of that boot.
    #[must_use]
    pub const fn started(&self) -> PumpTime {
        self.started
    }

    /// Steps made; at most all its steps.
    #[must_use]
    pub const fn delivered_steps(&self) -> u32 {
        self.before.saturating_add(self.since)
    }

    /// Steps still to make: never order more.
    #[must_use]
    pub const fn steps_left(&self) -> u32 {
        self.order.steps.saturating_sub(self.delivered_steps())
    }

    /// Steps due since it last began to run, at most those that were left then. A suspension drops what was due of the next step: the
    /// job ends up to one period later for it, with every one of its steps.
    #[must_use]
    pub fn due_by(&self, step_volume: StepVolume, at: PumpTime) -> u32 {
        let due = self.accumulator(step_volume).due_by(at);
        u32::try_from(due)
            .unwrap_or(u32::MAX)
            .min(self.order.steps.saturating_sub(self.before))
    }

    /// The exact count of its steps since it last began to run, without an end.
    #[must_use]
    pub fn accumulator(&self, step_volume: StepVolume) -> Accumulator {
        Accumulator::new(
            self.order.flow(step_volume),
            step_volume,
            self.running_since,
        )
    }

    /// The end of a job whose record a reset has left: it is never resumed. Between `at_least` (counted by the last checkpoint) and
    /// `at_most` (with all that was prescribed since, and a step) steps were made; neither less than the record says nor more than all.
    #[must_use]
    pub fn interrupted(&self, at_least: u32, at_most: u32) -> Ended {
        let delivered_steps = at_least.max(self.delivered_steps()).min(self.order.steps);
        let at_most_steps = at_most.max(delivered_steps).min(self.order.steps);
        Ended {
            id: self.order.id,
            kind: self.order.kind,
            how: How::Interrupted { at_most_steps },
            delivered_steps,
        }
    }

    /// Adds steps, at most those that are left.
    fn step(&mut self, steps: u32) {
        self.since = self.since.saturating_add(steps.min(self.steps_left()));
    }

    /// From here on it waits.
    fn suspended(mut self) -> Self {
        self.before = self.delivered_steps();
        self.since = 0;
        self
    }

    /// From `at` on it runs again.
    fn resumed(mut self, at: PumpTime) -> Self {
        self.running_since = at;
        self
    }

    const fn ended(&self, how: How) -> Ended {
        Ended {
            id: self.order.id,
            kind: self.order.kind,
            how,
            delivered_steps: self.delivered_steps(),
        }
    }
}

/// Why jobs were cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CancelReason {
    /// Somebody cancelled this very job.
    Requested,
    /// A prime began.
    Prime,
    /// A bridge began.
    Bridge,
    /// A refill was opened.
    Refill,
    /// Another therapy was committed.
    Commit,
    /// A fault.
    Fault,
    /// Delivery was stopped.
    Stop,
    /// A reset that was asked for.
    Reset,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// With all its steps.
    Completed,
    /// For ever, and what was delivered counts.
    Cancelled(CancelReason),
    /// By a reset: between the delivered steps and these.
    Interrupted {
        /// At most so many steps were made.
        at_most_steps: u32,
    },
}

/// The end of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Its number.
    pub id: u32,
    /// Its kind.
    pub kind: JobKind,
    /// How it ended.
    pub how: How,
    /// Steps made; after a reset at least so many.
    pub delivered_steps: u32,
}

/// Jobs that an event has ended, the running one first.
pub type Endings = Vec<Ended, 2>;

/// Why a job does not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobRefusal {
    /// Less than one step.
    Empty,
    /// Shorter than 1 s or longer than 24 h.
    Duration {
        /// What was asked for.
        duration: Duration,
    },
    /// A job with this number or a later one has been.
    NumberUsed {
        /// What was asked for.
        id: u32,
        /// The newest number there was.
        newest: u32,
    },
    /// Another job is in the way.
    Busy {
        /// Its number.
        running: u32,
    },
}

impl fmt::Display for JobRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("less than one motor step cannot be given"),
            Self::Duration { duration } => {
                write!(
                    f,
                    "a duration of {duration} is not allowed: from 1 s to 24 h"
                )
            }
            Self::NumberUsed { id, newest } => write!(
                f,
                "job {id} has been: a new one needs a number above {newest}"
            ),
            Self::Busy { running } => write!(f, "job {running} has to end first"),
        }
    }
}

impl core::error::Error for JobRefusal {}

/// What happens to the jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobEvent {
    /// A job whose record is durable starts.
    Start(JobOrder),
    /// So many steps of the running job were made.
    Stepped(u32),
    /// Somebody cancels one job.
    Cancel {
        /// Its number.
        id: u32,
    },
    /// Something cancels all jobs for ever.
    CancelAll(CancelReason),
    /// A commit that changes no therapy: touches nothing.
    CommitWithoutChange,
}

/// The jobs there are: at most one runs and one waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jobs {
    running: Option<Job>,
    /// An extended bolus, and only while another job runs.
    suspended: Option<Job>,
    newest: u32,
}

impl Jobs {
    /// No job. `newest` is the largest number any job had before this boot, 0 for none: what was interrupted cannot start again.
    #[must_use]
    pub const fn new(newest: u32) -> Self {
        Self {
            running: None,
            suspended: None,
            newest,
        }
    }

    /// The job that runs.
    #[must_use]
    pub const fn running(&self) -> Option<&Job> {
        self.running.as_ref()
    }

    /// The extended bolus that waits for it.
    #[must_use]
    pub const fn suspended(&self) -> Option<&Job> {
        self.suspended.as_ref()
    }

    /// The largest number any job had.
    #[must_use]
    pub const fn newest(&self) -> u32 {
        self.newest
    }

    /// The flow of the running job, to add to basal; nothing when none runs.
    #[must_use]
    pub fn flow(&self, step_volume: StepVolume) -> Flow {
        self.running
            .map_or(Flow::ZERO, |job| job.order.flow(step_volume))
    }

    /// Whether a job would start now. Ask before its record is written, too: what is written is spent.
    ///
    /// # Errors
    ///
    /// [`JobRefusal::NumberUsed`] or [`JobRefusal::Busy`].
    pub fn may_start(&self, order: &JobOrder) -> Result<(), JobRefusal> {
        if order.id <= self.newest {
            return Err(JobRefusal::NumberUsed {
                id: order.id,
                newest: self.newest,
            });
        }
        let Some(running) = &self.running else {
            return Ok(());
        };
        let makes_room = if order.kind == JobKind::Prime {
            running.order.kind != JobKind::Prime
        } else {
            order.kind.is_short() && running.order.kind.is_extended()
        };
        if makes_room {
            Ok(())
        } else {
            Err(JobRefusal::Busy {
                running: running.order.id,
            })
        }
    }

    /// Takes an event at `at` and says which jobs it has ended (module documentation, "Transitions").
    ///
    /// # Errors
    ///
    /// As [`Jobs::may_start`]; nothing has changed then.
    pub fn on(&mut self, event: JobEvent, at: PumpTime) -> Result<Endings, JobRefusal> {
        let mut endings = Endings::new();
        match event {
            JobEvent::Start(order) => {
                self.may_start(&order)?;
                if order.kind == JobKind::Prime {
                    endings = self.cancel_all(CancelReason::Prime);
                }
                // Only an extended bolus can still be running here.
                self.suspended = self.running.map(Job::suspended);
                self.running = Some(Job::new(order, at));
                self.newest = order.id;
            }
            JobEvent::Stepped(steps) => {
                if let Some(job) = &mut self.running {
                    job.step(steps);
                    if job.steps_left() == 0 {
                        let ended = job.ended(How::Completed);
                        self.end_running(ended, at, &mut endings);
                    }
                }
            }
            JobEvent::Cancel { id } => {
                let how = How::Cancelled(CancelReason::Requested);
                let is_it = |job: &Job| job.order.id == id;
                if let Some(job) = self.running.filter(is_it) {
                    self.end_running(job.ended(how), at, &mut endings);
                } else if let Some(job) = self.suspended.filter(is_it) {
                    self.suspended = None;
                    note(&mut endings, job.ended(how));
                }
            }
            JobEvent::CancelAll(reason) => endings = self.cancel_all(reason),
            JobEvent::CommitWithoutChange => {}
        }
        Ok(endings)
    }

    fn cancel_all(&mut self, reason: CancelReason) -> Endings {
        let how = How::Cancelled(reason);
        let jobs = [self.running.take(), self.suspended.take()];
        jobs.into_iter()
            .flatten()
            .map(|job| job.ended(how))
            .collect()
    }

    /// The running job has ended; what waited for it goes on.
    fn end_running(&mut self, ended: Ended, at: PumpTime, endings: &mut Endings) {
        self.running = self.suspended.take().map(|job| job.resumed(at));
        note(endings, ended);
    }
}

/// Adds an ending: there are never more than two jobs.
fn note(endings: &mut Endings, ended: Ended) {
    let _ = endings.push(ended);
}

#[cfg(test)]
mod tests;
