//! The account of the reservoir.
//!
//! | number | source |
//! |---|---|
//! | low mark 2 mL, settable | \[GK\] clinical reference 1.4, 2.4 |
//! | overdrawn beyond 10 % of the last fill | \[P\] docs/therapy.md, "Fault table" |

use core::fmt;

use serde::{Deserialize, Serialize};
use units::{Duration, Flow, Volume};

use crate::refusal::Refusal;

/// The level from which the reservoir counts as low, unless a clinician sets another.
pub const LOW_MARK: Volume = Volume::from_millilitres(2);

/// One part in so many of the last fill may be drawn beyond empty: what a measured flow may differ from a computed one.
const OVERDRAFT_PARTS: u64 = 10;

/// What was filled in and what was drawn since: the level is the difference, computed and not measured.
///
/// All volumes are deliverable ones above the residual; empty is a level of zero. What was drawn beyond that is kept as
/// [`Reservoir::overdrawn`], so that `filled + overdrawn = level + drawn` always. A top-up adds to what was filled: a reservoir overdrawn
/// by 1 mL and topped up with 3 mL holds 2 mL, so that an error of the account is not forgotten until the reservoir is emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservoir {
    /// What the last fill that emptied it first left in it; `None` while nobody knows.
    fill: Option<Volume>,
    /// What was added since without emptying it.
    topped_up: Volume,
    /// What was drawn since the last fill, or since the level became unknown.
    drawn: Volume,
}

impl Reservoir {
    /// A reservoir of which nothing is known.
    #[must_use]
    pub const fn unknown() -> Self {
        Self {
            fill: None,
            topped_up: Volume::ZERO,
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
            fill: Some(fill),
            ..Self::unknown()
        };
        Ok(())
    }

    /// Records a refill that did not empty the reservoir first: the volume adds to the level. `capacity` is the largest deliverable
    /// volume, as for [`Reservoir::fill`].
    ///
    /// # Errors
    /// [`TopUpRefused`]; the account is then unchanged.
    pub fn top_up(&mut self, top_up: Volume, capacity: Volume) -> Result<(), TopUpRefused> {
        let level = self.level().ok_or(TopUpRefused::LevelUnknown)?;
        if level
            .checked_add(top_up)
            .is_none_or(|level| level > capacity)
        {
            return Err(TopUpRefused::AboveCapacity {
                level,
                top_up,
                capacity,
            });
        }
        self.topped_up = self.topped_up.saturating_add(top_up);
        Ok(())
    }

    /// Makes the level unknown: what is in the reservoir can no longer be told from what was filled and drawn.
    pub const fn forget(&mut self) {
        *self = Self::unknown();
    }

    /// Records a volume drawn. What goes beyond empty is kept; an unknown reservoir is drawn from all the same. The account stops at
    /// [`Volume::MAX`], some 18,447 litres.
    pub fn draw(&mut self, volume: Volume) {
        self.drawn = self.drawn.saturating_add(volume);
    }

    /// What is left; zero when empty or overdrawn, `None` when unknown.
    #[must_use]
    pub fn level(&self) -> Option<Volume> {
        self.filled()
            .map(|filled| filled.saturating_sub(self.drawn))
    }

    /// What was filled in since it was last emptied, the fill and every top-up; `None` when unknown.
    #[must_use]
    pub fn filled(&self) -> Option<Volume> {
        self.fill.map(|fill| fill.saturating_add(self.topped_up))
    }

    /// What the last fill that emptied it first left in it, without top-ups; `None` when unknown.
    #[must_use]
    pub const fn last_fill(&self) -> Option<Volume> {
        self.fill
    }

    /// What was drawn since the last fill, or since the level became unknown.
    #[must_use]
    pub const fn drawn(&self) -> Volume {
        self.drawn
    }

    /// What was drawn beyond empty; `None` when unknown.
    #[must_use]
    pub fn overdrawn(&self) -> Option<Volume> {
        self.filled()
            .map(|filled| self.drawn.saturating_sub(filled))
    }

    /// What the level means, with the low mark in force. The mark itself is low.
    #[must_use]
    pub fn state(&self, low_mark: Volume) -> ReservoirState {
        let (Some(level), Some(overdrawn), Some(fill)) =
            (self.level(), self.overdrawn(), self.fill)
        else {
            return ReservoirState::Unknown;
        };
        if level > low_mark {
            return ReservoirState::Normal;
        }
        if level > Volume::ZERO {
            return ReservoirState::Low;
        }
        // Too much to be multiplied is beyond a tenth of anything.
        match overdrawn.checked_mul(OVERDRAFT_PARTS) {
            Some(tenfold) if tenfold <= fill => ReservoirState::Empty,
            _ => ReservoirState::Overdrawn,
        }
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

/// What the level of a reservoir means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReservoirState {
    /// Nobody knows the level.
    Unknown,
    /// Above the low mark.
    Normal,
    /// At or below the low mark, and not empty.
    Low,
    /// Empty as computed, and overdrawn by at most 10 % of the last fill.
    Empty,
    /// Drawn beyond empty by more than 10 % of the last fill: no error of the flow explains it, nothing is left.
    Overdrawn,
}

/// A refill after which the reservoir would hold more than it takes: to be confirmed by the clinician. Overfilling causes over-infusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overfill {
    /// What the reservoir would hold, residual included; at most [`Volume::MAX`].
    pub would_hold: Volume,
    /// What it takes, residual included.
    pub capacity: Volume,
}

impl Overfill {
    /// Expected - aspirated + filled + residual against the capacity of the pump's model, which includes the residual (docs/therapy.md,
    /// "Reservoir and refill"); `None` when it is not exceeded. Aspirating more than was expected does not make room: the reservoir
    /// is then taken as emptied, and no emptier.
    #[must_use]
    pub fn check(
        expected: Volume,
        aspirated: Volume,
        filled: Volume,
        residual: Volume,
        capacity: Volume,
    ) -> Option<Self> {
        let would_hold = expected
            .saturating_sub(aspirated)
            .saturating_add(filled)
            .saturating_add(residual);
        (would_hold > capacity).then_some(Self {
            would_hold,
            capacity,
        })
    }
}

impl fmt::Display for Overfill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the reservoir would hold {} with its residual: it takes {}; overfilling causes over-infusion, confirm the volumes",
            self.would_hold, self.capacity
        )
    }
}

/// Why a top-up is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopUpRefused {
    /// Nothing can be added to a level that nobody knows.
    LevelUnknown,
    /// The reservoir does not take so much on top of what is in it.
    AboveCapacity {
        /// What is in it.
        level: Volume,
        /// What was added.
        top_up: Volume,
        /// What is allowed at most, together.
        capacity: Volume,
    },
}

impl fmt::Display for TopUpRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LevelUnknown => f.write_str(
                "the level is unknown: empty the reservoir and enter a fill instead of a top-up",
            ),
            Self::AboveCapacity {
                level,
                top_up,
                capacity,
            } => write!(
                f,
                "a top-up of {top_up} on a level of {level} is more than the reservoir takes: at most {capacity} together"
            ),
        }
    }
}

impl core::error::Error for TopUpRefused {}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use std::string::ToString;

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
    ///
    /// Requirement: CALC-5
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
        assert_eq!(bytes, [0, 0, 3]);
        assert_eq!(postcard::from_bytes(bytes), Ok(reservoir));
        reservoir
            .fill(Volume::from_femtolitres(9), CAPACITY)
            .unwrap();
        let bytes = postcard::to_slice(&reservoir, &mut buffer).unwrap();
        assert_eq!(bytes, [1, 9, 0, 0]);
        assert_eq!(postcard::from_bytes(bytes), Ok(reservoir));
    }

    #[test]
    fn the_longest_account_is_stored_in_31_bytes() {
        let reservoir = Reservoir {
            fill: Some(Volume::MAX),
            topped_up: Volume::MAX,
            drawn: Volume::MAX,
        };
        let mut buffer = [0; 31];
        assert_eq!(
            postcard::to_slice(&reservoir, &mut buffer).unwrap().len(),
            31
        );
    }

    #[test]
    fn a_top_up_adds_to_the_level_up_to_the_capacity() {
        let mut reservoir = Reservoir::unknown();
        let top_up = Volume::from_millilitres(5);
        assert_eq!(
            reservoir.top_up(top_up, CAPACITY),
            Err(TopUpRefused::LevelUnknown)
        );
        reservoir.fill(CAPACITY, CAPACITY).unwrap();
        reservoir.draw(top_up);
        let before = reservoir;
        for more in [Volume::from_femtolitres(5_000_000_000_001), Volume::MAX] {
            let error = reservoir.top_up(more, CAPACITY).unwrap_err();
            assert_eq!(
                error,
                TopUpRefused::AboveCapacity {
                    level: Volume::from_millilitres(15),
                    top_up: more,
                    capacity: CAPACITY
                }
            );
            assert_eq!(reservoir, before);
        }
        reservoir.top_up(top_up, CAPACITY).unwrap();
        assert_eq!(reservoir.level(), Some(CAPACITY));
        assert_eq!(reservoir.filled(), Some(Volume::from_millilitres(25)));
        assert_eq!(reservoir.last_fill(), Some(CAPACITY));
        assert_eq!(reservoir.drawn(), top_up);
        reservoir.fill(top_up, CAPACITY).unwrap();
        assert_eq!(
            reservoir.filled(),
            Some(top_up),
            "a fill forgets the top-ups"
        );
        reservoir.forget();
        assert_eq!(reservoir, Reservoir::unknown());
    }

    /// Requirement: TH-overfill
    #[test]
    fn a_top_up_does_not_forgive_what_was_overdrawn() {
        let mut reservoir = Reservoir::unknown();
        reservoir.fill(CAPACITY, CAPACITY).unwrap();
        reservoir.draw(Volume::from_millilitres(21));
        reservoir
            .top_up(Volume::from_millilitres(3), CAPACITY)
            .unwrap();
        assert_eq!(reservoir.level(), Some(Volume::from_millilitres(2)));
        assert_eq!(reservoir.overdrawn(), Some(Volume::ZERO));
    }

    /// Low at the mark, empty at zero, overdrawn only beyond a tenth of the fill: each to the femtolitre.
    ///
    /// Requirement: AC-17
    #[test]
    fn the_state_changes_at_its_limits() {
        use ReservoirState::{Empty, Low, Normal, Overdrawn, Unknown};
        assert_eq!(Reservoir::unknown().state(LOW_MARK), Unknown);
        for (drawn, state) in [
            (0, Normal),
            (17_999_999_999_999, Normal),
            (18_000_000_000_000, Low),
            (19_999_999_999_999, Low),
            (20_000_000_000_000, Empty),
            (22_000_000_000_000, Empty),
            (22_000_000_000_001, Overdrawn),
            (u64::MAX, Overdrawn),
        ] {
            let mut reservoir = Reservoir::unknown();
            reservoir.fill(CAPACITY, CAPACITY).unwrap();
            reservoir.draw(Volume::from_femtolitres(drawn));
            assert_eq!(reservoir.state(LOW_MARK), state, "{drawn}");
        }
        let mut nothing = Reservoir::unknown();
        nothing.fill(Volume::ZERO, CAPACITY).unwrap();
        assert_eq!(nothing.state(Volume::ZERO), Empty);
    }

    /// Requirement: TH-overfill
    #[test]
    fn an_overfill_is_found_beyond_the_capacity() {
        let millilitres = Volume::from_millilitres;
        let check = |expected, aspirated, filled| {
            Overfill::check(expected, aspirated, filled, millilitres(1), CAPACITY)
        };
        assert_eq!(check(millilitres(4), millilitres(2), millilitres(17)), None);
        let more = Volume::from_femtolitres(17_000_000_000_001);
        let overfill = check(millilitres(4), millilitres(2), more).unwrap();
        assert_eq!(
            (overfill.would_hold.femtolitres(), overfill.capacity),
            (20_000_000_000_001, CAPACITY)
        );
        assert!(check(millilitres(2), millilitres(4), millilitres(19)).is_none());
        let emptied = check(millilitres(2), millilitres(4), millilitres(20)).unwrap();
        assert_eq!(
            emptied.to_string(),
            "the reservoir would hold 21 mL with its residual: it takes 20 mL; overfilling causes over-infusion, confirm the volumes"
        );
        assert!(check(Volume::MAX, Volume::ZERO, Volume::MAX).is_some());
    }

    proptest! {
        /// Any sequence of fills, top-ups and draws: level = filled - sum of what was drawn, and what that lacks is overdrawn.
        ///
        /// Requirement: AC-16
        #[test]
        fn the_account_always_balances(
            deeds in prop::collection::vec((0_u8..4, any::<u64>(), 0_u32..64), 0..64),
        ) {
            let wide = |volume: Volume| i128::from(volume.femtolitres());
            let mut reservoir = Reservoir::unknown();
            let mut filled = None;
            let mut drawn = 0_i128;
            for (deed, bits, shift) in deeds {
                let volume = Volume::from_femtolitres(bits >> shift);
                match deed {
                    0 => {
                        let allowed = reservoir.fill(volume, CAPACITY).is_ok();
                        prop_assert_eq!(allowed, volume <= CAPACITY);
                        if allowed {
                            (filled, drawn) = (Some(wide(volume)), 0);
                        }
                    }
                    1 => {
                        let room = filled.map(|filled| wide(CAPACITY) - (filled - drawn).max(0));
                        let allowed = reservoir.top_up(volume, CAPACITY).is_ok();
                        prop_assert_eq!(allowed, room.is_some_and(|room| wide(volume) <= room));
                        if allowed {
                            filled = filled.map(|filled| filled + wide(volume));
                        }
                    }
                    _ => {
                        reservoir.draw(volume);
                        drawn = (drawn + wide(volume)).min(i128::from(u64::MAX));
                    }
                }
                prop_assert_eq!(wide(reservoir.drawn()), drawn);
                prop_assert_eq!(reservoir.filled().map(wide), filled);
                prop_assert_eq!(reservoir.level().map(wide), filled.map(|filled| (filled - drawn).max(0)));
                prop_assert_eq!(reservoir.overdrawn().map(wide), filled.map(|filled| (drawn - filled).max(0)));
                prop_assert_eq!(reservoir.state(LOW_MARK) == ReservoirState::Unknown, filled.is_none());
            }
        }
    }
}
