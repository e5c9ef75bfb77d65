//! Somebody is at the patient's side: a magnet held over the pump.
//!
//! A Hall switch that reports a magnet for [`HOLD`] without a break opens a window of [`WINDOW`]. Whoever passes by, or listens
//! from across the street, cannot open it; a clinician, a nurse in an emergency or the patient can, without any key.
//!
//! | magnet | event | then | window |
//! |---|---|---|---|
//! | away | reported away | away | |
//! | away | reported held | held, from now | |
//! | held | reported held, time passes, less than [`HOLD`] | held | |
//! | held | reported away before [`HOLD`] | away | |
//! | held | anything at or after [`HOLD`] | spent, then as below | opens, or is prolonged: [`WINDOW`] from the end of the hold |
//! | spent | reported held, time passes | spent | |
//! | spent | reported away | away | |
//! | any | anything at or after the window's end | as above | closes |
//!
//! A hold opens once. A switch that is stuck, or a patient who lies in the field of an MRI scanner, therefore opens one window and no more.
//!
//! The window counts from the moment at which the hold was long enough, not from the call that noticed it. A late call can
//! shorten what is left of a window, never lengthen it.
use units::{CarrierTime, Duration};

/// How long a magnet must be held, without a break: 3 s \[P\], reference for the protocol, 2.3, point 7 ("hold >= 3 s").
pub const HOLD: Duration = Duration::from_seconds(3);

/// How long the window is open: 5 min \[P\], reference for the protocol, 2.3, point 7 ("opens a 5-min window").
pub const WINDOW: Duration = Duration::from_minutes(5);

/// What the switch sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Magnet {
    Away,
    Held {
        since: CarrierTime,
    },
    /// Held long enough, and still there: this hold has had its effect.
    Spent,
}

/// Follows the magnet and says whether the window is open. 32 bytes, no heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Presence {
    magnet: Magnet,
    opened: Option<CarrierTime>,
}

impl Presence {
    /// No magnet, no window: what a pump is after a reset.
    #[must_use]
    pub const fn new() -> Presence {
        Presence {
            magnet: Magnet::Away,
            opened: None,
        }
    }

    /// The switch reports that a magnet is there, or is not. Report both edges; repeating what was reported changes nothing.
    ///
    /// True when the window has opened, closed or been prolonged, be it by time alone: as [`Presence::tick`].
    pub fn magnet(&mut self, now: CarrierTime, held: bool) -> bool {
        let changed = self.tick(now);
        self.magnet = match (self.magnet, held) {
            (_, false) => Magnet::Away,
            (Magnet::Away, true) => Magnet::Held { since: now },
            (unchanged @ (Magnet::Held { .. } | Magnet::Spent), true) => unchanged,
        };
        changed
    }

    /// Time has passed. To be called at [`Presence::next`]; more often does no harm.
    ///
    /// True when the window has opened, closed or been prolonged. [`Presence::is_open`] tells which: open now means that it opened or was
    /// prolonged.
    pub fn tick(&mut self, now: CarrierTime) -> bool {
        let before = self.opened;
        if let Magnet::Held { since } = self.magnet
            && now.saturating_since(since) >= HOLD
        {
            self.magnet = Magnet::Spent;
            self.opened = Some(since.saturating_add(HOLD));
        }
        if !self.is_open(now) {
            self.opened = None;
        }
        self.opened != before
    }

    /// The window is open. It closes by itself, whether or not [`Presence::tick`] is called; it never opens by itself.
    #[must_use]
    pub fn is_open(&self, now: CarrierTime) -> bool {
        self.opened
            .is_some_and(|opened| now.saturating_since(opened) < WINDOW)
    }

    /// When [`Presence::tick`] is due: the end of a hold or of the window, whichever comes first.
    #[must_use]
    pub fn next(&self) -> Option<CarrierTime> {
        let opens = match self.magnet {
            Magnet::Held { since } => since.checked_add(HOLD),
            Magnet::Away | Magnet::Spent => None,
        };
        let closes = self.opened.and_then(|opened| opened.checked_add(WINDOW));
        match (opens, closes) {
            (Some(opens), Some(closes)) => Some(opens.min(closes)),
            (one, other) => one.or(other),
        }
    }
}

impl Default for Presence {
    fn default() -> Presence {
        Presence::new()
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use proptest::prelude::*;
    use std::vec::Vec;

    use super::*;

    const SECOND: u64 = 1_000_000;
    const THREE: u64 = 3 * SECOND;
    const FIVE_MINUTES: u64 = 300 * SECOND;

    fn at(micros: u64) -> CarrierTime {
        CarrierTime::from_micros(micros)
    }

    /// Magnet held at 0, window opened at 3 s, magnet taken away.
    fn opened() -> Presence {
        let mut presence = Presence::new();
        assert!(!presence.magnet(at(0), true));
        assert!(presence.tick(at(THREE)));
        assert!(!presence.magnet(at(THREE + 1), false));
        presence
    }

    #[test]
    fn is_closed_at_first() {
        let mut presence = Presence::new();
        assert_eq!(presence, Presence::default());
        assert!(!presence.is_open(at(0)));
        assert_eq!(presence.next(), None);
        assert!(!presence.tick(at(u64::MAX)));
        assert!(!presence.magnet(at(u64::MAX), false));
        assert!(!presence.is_open(at(u64::MAX)));
    }

    #[test]
    fn three_seconds_open_and_a_microsecond_less_does_not() {
        for (held, opens) in [(THREE - 1, false), (THREE, true), (THREE + 1, true)] {
            let mut presence = Presence::new();
            assert!(!presence.magnet(at(10), true));
            assert_eq!(presence.next(), Some(at(10 + THREE)));
            let mut released = presence;
            assert_eq!(presence.tick(at(10 + held)), opens, "{held}");
            assert_eq!(presence.is_open(at(10 + held)), opens, "{held}");
            // The same when nobody ticks and the release is what comes next.
            assert_eq!(released.magnet(at(10 + held), false), opens, "{held}");
            assert_eq!(released.is_open(at(10 + held)), opens, "{held}");
        }
    }

    #[test]
    fn the_window_is_five_minutes_to_the_microsecond() {
        let mut presence = opened();
        let end = THREE + FIVE_MINUTES;
        assert_eq!(presence.next(), Some(at(end)));
        assert!(!presence.tick(at(end - 1)));
        assert!(presence.is_open(at(end - 1)));
        assert!(!presence.is_open(at(end)), "closes without a tick");
        assert!(presence.tick(at(end)));
        assert!(!presence.is_open(at(end)));
        assert_eq!(presence.next(), None);
        assert!(!presence.tick(at(end)), "told once");
    }

    #[test]
    fn counts_from_the_end_of_the_hold_however_late_the_call() {
        let mut presence = Presence::new();
        assert!(!presence.magnet(at(0), true));
        assert!(presence.tick(at(10 * SECOND)));
        assert_eq!(presence.next(), Some(at(THREE + FIVE_MINUTES)));

        let mut late = Presence::new();
        assert!(!late.magnet(at(0), true));
        assert!(!late.tick(at(THREE + FIVE_MINUTES)), "opened and closed");
        assert_eq!(late.next(), None, "and spent");
    }

    #[test]
    fn a_break_begins_anew() {
        let mut presence = Presence::new();
        assert!(!presence.magnet(at(0), true));
        assert!(!presence.magnet(at(THREE - 1), false));
        assert_eq!(presence.next(), None);
        assert!(!presence.magnet(at(THREE - 1), true));
        assert!(!presence.tick(at(2 * THREE - 2)));
        assert!(presence.tick(at(2 * THREE - 1)));
    }

    #[test]
    fn repeated_reports_neither_break_nor_begin_a_hold() {
        let mut presence = Presence::new();
        assert!(!presence.magnet(at(0), true));
        assert!(!presence.magnet(at(THREE - 1), true));
        assert!(presence.magnet(at(THREE), true));
        assert!(!presence.magnet(at(THREE + 1), true));
        assert_eq!(presence.next(), Some(at(THREE + FIVE_MINUTES)));
    }

    #[test]
    fn a_stuck_switch_opens_one_window() {
        let mut presence = Presence::new();
        assert!(!presence.magnet(at(0), true));
        let changes = (1..100_000)
            .filter(|second| presence.magnet(at(second * SECOND), true))
            .count();
        assert_eq!(changes, 2, "opened and closed");
        assert!(!presence.is_open(at(100_000 * SECOND)));
        // Mended, it opens again.
        assert!(!presence.magnet(at(100_000 * SECOND), false));
        assert!(!presence.magnet(at(100_000 * SECOND), true));
        assert!(presence.tick(at(100_003 * SECOND)));
        assert!(presence.is_open(at(100_003 * SECOND)));
    }

    #[test]
    fn a_new_hold_prolongs_and_an_unfinished_one_does_not() {
        let mut presence = opened();
        assert!(!presence.magnet(at(100 * SECOND), true));
        assert_eq!(presence.next(), Some(at(103 * SECOND)));
        let mut unfinished = presence;
        assert!(presence.tick(at(103 * SECOND)), "prolonged");
        assert_eq!(presence.next(), Some(at(403 * SECOND)));
        assert!(presence.is_open(at(403 * SECOND - 1)));
        assert!(!presence.is_open(at(403 * SECOND)));

        assert!(!unfinished.magnet(at(103 * SECOND - 1), false));
        assert_eq!(unfinished.next(), Some(at(THREE + FIVE_MINUTES)));
    }

    #[test]
    fn the_window_may_end_before_the_hold() {
        let mut presence = opened();
        let end = THREE + FIVE_MINUTES;
        assert!(!presence.magnet(at(end - 1), true));
        assert_eq!(presence.next(), Some(at(end)));
        assert!(presence.tick(at(end)));
        assert_eq!(presence.next(), Some(at(end - 1 + THREE)));
        assert!(presence.tick(at(end - 1 + THREE)));
    }

    #[test]
    fn a_clock_that_runs_backwards_opens_nothing_early() {
        let mut presence = Presence::new();
        assert!(!presence.magnet(at(THREE), true));
        assert!(!presence.tick(at(0)));
        assert!(presence.tick(at(2 * THREE)));
        assert!(presence.is_open(at(0)));
        assert!(!presence.is_open(at(2 * THREE + FIVE_MINUTES)));
    }

    #[test]
    fn the_end_of_time_is_no_panic() {
        let mut presence = Presence::new();
        assert!(!presence.magnet(at(u64::MAX), true));
        assert_eq!(presence.next(), None, "never due");
        assert!(!presence.tick(at(u64::MAX)));

        let mut last = Presence::new();
        assert!(!last.magnet(at(u64::MAX - THREE), true));
        assert_eq!(last.next(), Some(at(u64::MAX)));
        assert!(last.tick(at(u64::MAX)));
        assert!(last.is_open(at(u64::MAX)));
        assert_eq!(last.next(), None, "its end cannot be held");
    }

    /// What an observer with a notebook would say: the window's end after these reports, had every call come in time.
    fn notebook(reports: &[(u64, bool)], now: u64) -> Option<u64> {
        let (mut since, mut end) = (None, None);
        let ends = reports.iter().skip(1).map(|&(time, _)| time).chain([now]);
        for (&(time, held), until) in reports.iter().zip(ends) {
            match (since, held) {
                (None, true) => since = Some(time),
                (_, false) => since = None,
                (Some(_), true) => {}
            }
            // The hold's end falls between this report and the next.
            if let Some(full) = since.map(|since| since + THREE)
                && time < full
                && full <= until
            {
                end = Some(full + FIVE_MINUTES);
            }
        }
        end.filter(|&end| now < end)
    }

    proptest! {
        /// Any reports, any ticks between them: open exactly when an observer would say so, and never without a hold.
        #[test]
        fn is_open_as_an_observer_would_say(
            steps in prop::collection::vec((1..400 * SECOND, any::<bool>(), any::<bool>()), 0..40),
            short in prop::collection::vec((1..5 * SECOND, any::<bool>(), any::<bool>()), 0..40),
        ) {
            let (mut presence, mut now, mut reports) = (Presence::new(), 0, Vec::new());
            for (pause, held, ticked) in steps.into_iter().chain(short) {
                now += pause;
                let before = presence.opened;
                let changed = if ticked {
                    presence.tick(at(now))
                } else {
                    reports.push((now, held));
                    presence.magnet(at(now), held)
                };
                prop_assert_eq!(changed, presence.opened != before);
                let end = notebook(&reports, now);
                prop_assert_eq!(presence.is_open(at(now)), end.is_some());
                prop_assert_eq!(presence.opened, end.map(|end| at(end - FIVE_MINUTES)));
            }
        }

        /// Wherever the clock jumps, a magnet taken away and held for three seconds opens the window.
        #[test]
        fn always_reopens(
            steps in prop::collection::vec((any::<u64>(), any::<bool>()), 0..20),
            now in 0..u64::MAX - THREE,
        ) {
            let mut presence = Presence::new();
            for (time, held) in steps {
                presence.magnet(at(time), held);
                presence.tick(at(time));
                let _ = presence.next();
            }
            presence.magnet(at(now), false);
            presence.magnet(at(now), true);
            prop_assert!(presence.next() <= Some(at(now + THREE)) || presence.next().is_none());
            presence.tick(at(now + THREE));
            prop_assert!(presence.is_open(at(now + THREE)));
        }

        /// A caller that sleeps until `next` misses nothing: between two such moments nothing changes.
        #[test]
        fn sleeping_until_next_misses_nothing(hold in 0..10 * SECOND, early in any::<u64>()) {
            let mut presence = Presence::new();
            presence.magnet(at(0), true);
            if hold < THREE {
                presence.magnet(at(hold), false);
            }
            let mut now = hold.min(THREE - 1);
            while let Some(next) = presence.next() {
                prop_assert!(next > at(now));
                let between = now + early % (next.micros() - now);
                let mut early = presence;
                prop_assert!(!early.tick(at(between)));
                prop_assert!(presence.tick(next));
                now = next.micros();
            }
        }
    }
}
