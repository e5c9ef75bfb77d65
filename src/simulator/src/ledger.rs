//! What the prescription asks for and what the rotor really did: the simulator's own account, apart from the pump's.
//!
//! The pump counts its encoder and says so over the link. Here the same is reckoned from the scenario and from the rotor's
//! angle, so that a pump that deceives itself shows. An empty reservoir gives nothing, however far the rotor turns.

use std::collections::BTreeMap;
use therapy::Accumulator;
use units::{Concentration, Drug, Duration, Flow, Mass, PumpTime, StepVolume, Volume};

/// What is in the reservoir: each drug with its concentration.
pub(crate) type Contents = Vec<(Drug, Concentration)>;

/// The account of one run. Times are since the start of the simulation.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    step_volume: StepVolume,
    flow: Flow,
    job: Option<Accumulator>,
    prescribed_before: u64,
    contents: Contents,
    /// Volume in the reservoir; none as long as nobody has said, and then it does not end.
    left: Option<Volume>,
    delivered: Volume,
    /// Rotor's steps up to which the dose is reckoned.
    reckoned: u64,
    dose: BTreeMap<Drug, Mass>,
}

impl Ledger {
    /// Nothing is prescribed and nothing delivered.
    pub(crate) fn new(step_volume: StepVolume) -> Self {
        Self {
            step_volume,
            flow: Flow::ZERO,
            job: None,
            prescribed_before: 0,
            contents: Contents::new(),
            left: None,
            delivered: Volume::ZERO,
            reckoned: 0,
            dose: BTreeMap::new(),
        }
    }

    /// Another flow is in force from `at` on. The same flow again changes nothing: the job goes on.
    pub(crate) fn prescribe(&mut self, at: Duration, flow: Flow) {
        if flow != self.flow {
            self.restart(at, flow);
        }
    }

    /// Power is gone: nothing is prescribed until it is back.
    pub(crate) fn power_off(&mut self, at: Duration) {
        self.end_job(at);
    }

    /// Power is back and the program starts anew.
    pub(crate) fn power_on(&mut self, at: Duration) {
        self.restart(at, self.flow);
    }

    fn restart(&mut self, at: Duration, flow: Flow) {
        self.end_job(at);
        self.flow = flow;
        self.job = (flow > Flow::ZERO).then(|| Accumulator::new(flow, self.step_volume, time(at)));
    }

    fn end_job(&mut self, at: Duration) {
        if let Some(job) = self.job.take() {
            self.prescribed_before += job.due_by(time(at));
        }
    }

    /// Whole steps prescribed by now.
    pub(crate) fn prescribed(&self, at: Duration) -> u64 {
        self.prescribed_before + self.job.as_ref().map_or(0, |job| job.due_by(time(at)))
    }

    /// The flow now prescribed; none while the power is off.
    pub(crate) fn flow(&self) -> Flow {
        if self.job.is_some() {
            self.flow
        } else {
            Flow::ZERO
        }
    }

    /// The reservoir holds something else from now on, and is full to `volume` if that is said. `turned` is the rotor's position.
    pub(crate) fn fill(&mut self, turned: u64, contents: Contents, volume: Option<Volume>) {
        self.reckon(turned);
        self.contents = contents;
        self.left = volume.or(self.left);
    }

    /// Adds what the rotor has moved since this was last called.
    pub(crate) fn reckon(&mut self, turned: u64) {
        let steps = turned.saturating_sub(self.reckoned);
        self.reckoned = self.reckoned.max(turned);
        let moved = self.step_volume.volume_of(steps).unwrap_or(Volume::MAX);
        let moved = self.left.map_or(moved, |left| moved.min(left));
        self.left = self.left.map(|left| left.saturating_sub(moved));
        self.delivered = self.delivered.saturating_add(moved);
        for (drug, concentration) in &self.contents {
            let dose = Mass::in_volume(moved, *concentration);
            let total = self.dose.entry(*drug).or_insert(Mass::from_zeptograms(0));
            *total = total.checked_add(dose).unwrap_or(*total);
        }
    }

    /// Volume in the reservoir; none as long as nobody has said.
    pub(crate) fn left(&self) -> Option<Volume> {
        self.left
    }

    /// Volume delivered so far.
    pub(crate) fn delivered(&self) -> Volume {
        self.delivered
    }

    /// Dose delivered so far, of each drug.
    pub(crate) fn dose(&self) -> &BTreeMap<Drug, Mass> {
        &self.dose
    }
}

fn time(at: Duration) -> PumpTime {
    PumpTime::from_micros(at.micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(text: &str) -> Flow {
        text.parse::<units::FlowRate>().expect("a rate").flow()
    }

    fn hours(hours: u32) -> Duration {
        Duration::from_hours(hours)
    }

    #[test]
    fn prescribed_steps_add_up_over_jobs_and_pauses() {
        // 0.24 mL/day is 96,000 steps a day, 4,000 an hour.
        let mut ledger = Ledger::new(StepVolume::NOMINAL);
        assert_eq!(ledger.prescribed(hours(1)), 0);
        ledger.prescribe(hours(1), flow("0.24 mL/day"));
        assert_eq!(ledger.prescribed(hours(2)), 4_000);
        ledger.prescribe(hours(2), flow("0.24 mL/day"));
        assert_eq!(ledger.prescribed(hours(3)), 8_000);
        ledger.power_off(hours(3));
        assert_eq!(ledger.flow(), Flow::ZERO);
        assert_eq!(ledger.prescribed(hours(9)), 8_000);
        ledger.power_on(hours(9));
        assert_eq!(ledger.prescribed(hours(10)), 12_000);
        ledger.prescribe(hours(10), Flow::ZERO);
        assert_eq!(ledger.prescribed(hours(20)), 12_000);
    }

    #[test]
    fn a_dose_is_of_the_drug_that_was_in_the_reservoir() {
        let contents = |drug, nanograms| {
            let concentration =
                Concentration::from_nanograms_per_millilitre(nanograms).expect("not zero");
            vec![(drug, concentration)]
        };
        let mut ledger = Ledger::new(StepVolume::NOMINAL);
        ledger.reckon(100);
        assert!(ledger.dose().is_empty());
        ledger.fill(100, contents(Drug::Morphine, 10_000_000), None);
        // 400,000 steps are 1 mL.
        ledger.reckon(400_100);
        ledger.fill(400_100, contents(Drug::Baclofen, 2_000_000), None);
        ledger.reckon(200_100 + 400_000);
        ledger.reckon(5);
        assert_eq!(ledger.dose()[&Drug::Morphine].to_string(), "10 mg");
        assert_eq!(ledger.dose()[&Drug::Baclofen].to_string(), "1 mg");
    }

    #[test]
    fn an_empty_reservoir_gives_nothing() {
        let concentration =
            Concentration::from_nanograms_per_millilitre(10_000_000).expect("not zero");
        let contents = vec![(Drug::Morphine, concentration)];
        let mut ledger = Ledger::new(StepVolume::NOMINAL);
        ledger.fill(0, contents.clone(), Some(Volume::from_microlitres(100)));
        // 100 microlitres are 40,000 steps.
        ledger.reckon(39_000);
        ledger.reckon(41_000);
        ledger.reckon(90_000);
        assert_eq!(ledger.delivered().to_string(), "0.1 mL");
        assert_eq!(ledger.dose()[&Drug::Morphine].to_string(), "1 mg");
        // Another program without a refill finds it as empty; a refill is delivered again.
        ledger.fill(90_000, contents.clone(), None);
        ledger.reckon(95_000);
        assert_eq!(ledger.delivered().to_string(), "0.1 mL");
        ledger.fill(95_000, contents, Some(Volume::from_millilitres(1)));
        ledger.reckon(99_000);
        assert_eq!(ledger.delivered().to_string(), "0.11 mL");
    }
}
