//! When things happen in a scenario and when it is looked at.

use crate::scenario::{Expectation, Happening, Scenario, ScenarioEvent};
use units::Duration;

/// One stop on the way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    /// Something happens.
    Event(&'a ScenarioEvent),
    /// The end of a time without power.
    PowerOn,
    /// Something is expected.
    Expect(&'a Expectation),
    /// A row of `delivery.csv`.
    Sample,
}

/// Everything but the start, in order of time; at one time, what happens comes before what is looked at.
pub(super) fn timeline(scenario: &Scenario) -> Vec<(Duration, Step<'_>)> {
    let mut steps = Vec::new();
    for event in &scenario.events {
        steps.push((event.at, Step::Event(event)));
        if let Happening::Restart { off } = event.happening {
            steps.push((event.at.saturating_add(off), Step::PowerOn));
        }
    }
    for expectation in &scenario.expectations {
        steps.push((expectation.at, Step::Expect(expectation)));
    }
    let interval = scenario.sample_interval;
    let mut at = interval;
    while at < scenario.duration {
        steps.push((at, Step::Sample));
        at = at.saturating_add(interval);
    }
    steps.push((scenario.duration, Step::Sample));
    // Stable: what stands at one time keeps its order.
    steps.sort_by_key(|(at, _)| *at);
    steps
}
