//! The account of the reservoir.

use serde::{Deserialize, Serialize};
use units::{Duration, Flow, Volume};

use crate::refusal::Refusal;

/// What was filled in and what was drawn since: the level is the difference, computed and not measured.
///
/// All volumes are deliverable ones above the residual; empty is a level of zero. What was drawn beyond that is kept as
/// [`Reservoir::overdrawn`], so that `filled + overdrawn = level + drawn` always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservoir {
    /// What the last fill left in it; `None` while nobody knows.
    filled: Option<Volume>,
    /// What was drawn since the last fill, or since the level became unknown.
    drawn: Volume,
}

impl Reservoir {
    /// A reservoir of which nothing is known.
    #[must_use]
    pub const fn unknown() -> Self {
        Self {
            filled: None,
            drawn: Volume::ZERO,
        }
    }

    /// Records a refill that emptied the reservoir first: the level is the volume injected, whatever was in it before.
    ///
    /// # Errors
    /// [`Refusal::FillAboveCapacity`]; the account is then unchanged.
    pub fn fill(&mut self, fill: Volume, capacity: Volume) -> Result<(), Refusal> {
        if fill > capacity {
            return Err(Refusal::FillAboveCapacity { fill, capacity });
        }
        *self = Self {
            filled: Some(fill),
            drawn: Volume::ZERO,
        };
        Ok(())
    }

    /// Records a volume drawn. What goes beyond empty is kept; an unknown reservoir is drawn from all the same. The account stops at
    /// [`Volume::MAX`], some 18,447 litres.
    pub fn draw(&mut self, volume: Volume) {
        self.drawn = self.drawn.saturating_add(volume);
    }

    /// What is left; zero when empty or overdrawn, `None` when unknown.
    #[must_use]
    pub fn level(&self) -> Option<Volume> {
        self.filled.map(|filled| filled.saturating_sub(self.drawn))
    }

    /// What the last fill left in it; `None` when unknown.
    #[must_use]
    pub const fn filled(&self) -> Option<Volume> {
        self.filled
    }

    /// What was drawn since the last fill, or since the level became unknown.
    #[must_use]
    pub const fn drawn(&self) -> Volume {
        self.drawn
    }

    /// What was drawn beyond empty; `None` when unknown.
    #[must_use]
    pub fn overdrawn(&self) -> Option<Volume> {
        self.filled.map(|filled| self.drawn.saturating_sub(filled))
    }

    /// How long the level lasts at a flow, rounded down: dates err to the early side. `None` when the level is unknown, nothing flows,
    /// or the time cannot be held.
    #[must_use]
    pub fn time_to_empty(&self, flow: Flow) -> Option<Duration> {
        flow.time_for(self.level()?)
    }
}

impl Default for Reservoir {
    fn default() -> Self {
        Self::unknown()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use units::FlowRate;

    use super::*;

    const CAPACITY: Volume = Volume::from_millilitres(20);

    fn flow(text: &str) -> Flow {
        text.parse::<FlowRate>().unwrap().flow()
    }

    #[test]
    fn nothing_is_known_before_a_fill() {
        let mut reservoir = Reservoir::unknown();
        reservoir.draw(Volume::from_nanolitres(5));
        assert_eq!(
            (reservoir.level(), reservoir.filled(), reservoir.overdrawn()),
            (None, None, None)
        );
        assert_eq!(reservoir.drawn(), Volume::from_nanolitres(5));
        assert_eq!(reservoir.time_to_empty(flow("0.25 mL/day")), None);
        assert_eq!(Reservoir::default(), Reservoir::unknown());
    }

    #[test]
    fn the_level_is_what_was_filled_less_what_was_drawn() {
        let mut reservoir = Reservoir::unknown();
        reservoir.draw(Volume::from_millilitres(3));
        reservoir.fill(CAPACITY, CAPACITY).unwrap();
        assert_eq!(
            (reservoir.level(), reservoir.drawn()),
            (Some(CAPACITY), Volume::ZERO)
        );
        reservoir.draw("15.8 mL".parse().unwrap());
        assert_eq!(reservoir.level(), Some("4.2 mL".parse().unwrap()));
        assert_eq!(reservoir.filled(), Some(CAPACITY));
        assert_eq!(reservoir.overdrawn(), Some(Volume::ZERO));
    }

    #[test]
    fn what_is_drawn_beyond_empty_is_kept() {
        let mut reservoir = Reservoir::unknown();
        reservoir
            .fill(Volume::from_millilitres(1), CAPACITY)
            .unwrap();
        reservoir.draw(Volume::from_millilitres(1));
        assert_eq!(
            (reservoir.level(), reservoir.overdrawn()),
            (Some(Volume::ZERO), Some(Volume::ZERO))
        );
        reservoir.draw(Volume::from_femtolitres(7));
        assert_eq!(
            (reservoir.level(), reservoir.overdrawn()),
            (Some(Volume::ZERO), Some(Volume::from_femtolitres(7)))
        );
    }

    #[test]
    fn a_full_fill_is_allowed_and_a_femtolitre_more_changes_nothing() {
        let mut reservoir = Reservoir::unknown();
        reservoir.fill(CAPACITY, CAPACITY).unwrap();
        reservoir.draw(Volume::from_millilitres(2));
        let before = reservoir;
        let fill = CAPACITY.checked_add(Volume::from_femtolitres(1)).unwrap();
        assert_eq!(
            reservoir.fill(fill, CAPACITY),
            Err(Refusal::FillAboveCapacity {
                fill,
                capacity: CAPACITY
            })
        );
        assert_eq!(reservoir, before);
    }

    /// Clinical reference, 2.5 and 2.14: 7.35 mL at 0.350 mL/day last 21.0 days; 20 mL at 0.5 mL/day 40.0 days.
    #[test]
    fn the_time_to_empty_gives_the_worked_examples() {
        let mut reservoir = Reservoir::unknown();
        reservoir.fill(CAPACITY, CAPACITY).unwrap();
        assert_eq!(
            reservoir.time_to_empty(flow("0.5 mL/day")),
            Some(Duration::from_days(40))
        );
        reservoir.draw("12.65 mL".parse().unwrap());
        assert_eq!(
            reservoir.time_to_empty(flow("0.35 mL/day")),
            Some(Duration::from_days(21))
        );
        assert_eq!(
            reservoir.time_to_empty(flow("86.4 mL/day")),
            Some(Duration::from_micros(7_350_000_000))
        );
        assert_eq!(
            reservoir.time_to_empty(flow("86.400001 mL/day")),
            Some(Duration::from_micros(7_349_999_914))
        );
        assert_eq!(reservoir.time_to_empty(Flow::ZERO), None);
        reservoir.draw(CAPACITY);
        assert_eq!(
            reservoir.time_to_empty(flow("0.35 mL/day")),
            Some(Duration::ZERO)
        );
    }

    #[test]
    fn the_account_survives_being_stored() {
        let mut reservoir = Reservoir::unknown();
        reservoir.draw(Volume::from_femtolitres(3));
        let mut buffer = [0; 32];
        let bytes = postcard::to_slice(&reservoir, &mut buffer).unwrap();
        assert_eq!(bytes, [0, 3]);
        assert_eq!(postcard::from_bytes(bytes), Ok(reservoir));
        reservoir
            .fill(Volume::from_femtolitres(9), CAPACITY)
            .unwrap();
        let bytes = postcard::to_slice(&reservoir, &mut buffer).unwrap();
        assert_eq!(bytes, [1, 9, 0]);
        assert_eq!(postcard::from_bytes(bytes), Ok(reservoir));
    }

    proptest! {
        /// Any sequence of fills and draws: filled + overdrawn = level + drawn, and drawn is the sum of what was drawn.
        #[test]
        fn the_account_always_balances(
            deeds in prop::collection::vec((any::<bool>(), any::<u64>(), 0_u32..64), 0..64),
        ) {
            let mut reservoir = Reservoir::unknown();
            let mut filled = None;
            let mut drawn = 0_u128;
            for (fill, bits, shift) in deeds {
                let volume = Volume::from_femtolitres(bits >> shift);
                if fill {
                    let allowed = reservoir.fill(volume, CAPACITY).is_ok();
                    prop_assert_eq!(allowed, volume <= CAPACITY);
                    if allowed {
                        filled = Some(volume);
                        drawn = 0;
                    }
                } else {
                    reservoir.draw(volume);
                    drawn = drawn.saturating_add(u128::from(volume.femtolitres())).min(u128::from(u64::MAX));
                }
                prop_assert_eq!(u128::from(reservoir.drawn().femtolitres()), drawn);
                prop_assert_eq!(reservoir.filled(), filled);
                prop_assert_eq!(reservoir.level().is_some(), filled.is_some());
                if let (Some(level), Some(overdrawn), Some(filled)) = (reservoir.level(), reservoir.overdrawn(), filled) {
                    let wide = |volume: Volume| u128::from(volume.femtolitres());
                    prop_assert_eq!(wide(filled).checked_add(wide(overdrawn)), wide(level).checked_add(wide(reservoir.drawn())));
                    prop_assert!(level == Volume::ZERO || overdrawn == Volume::ZERO);
                }
            }
        }
    }
}
