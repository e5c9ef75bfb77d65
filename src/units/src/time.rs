//! Points in time on the pump's two monotonic clocks.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::duration::Duration;

/// A monotonic timestamp in microseconds: the same arithmetic on types that cannot be mixed up.
macro_rules! timestamp {
    ($(#[$documentation:meta])* $name:ident) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(postcard_schema::Schema))]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// The moment the clock began.
            pub const ZERO: Self = Self(0);
            /// The last moment that can be held, some 584,542 years on.
            pub const MAX: Self = Self(u64::MAX);

            /// From microseconds since the clock began.
            #[must_use]
            pub const fn from_micros(micros: u64) -> Self {
                Self(micros)
            }

            /// Microseconds since the clock began.
            #[must_use]
            pub const fn micros(self) -> u64 {
                self.0
            }

            /// A later moment; `None` when it cannot be held.
            #[must_use]
            pub const fn checked_add(self, duration: Duration) -> Option<Self> {
                match self.0.checked_add(duration.micros()) {
                    Some(later) => Some(Self(later)),
                    None => None,
                }
            }

            /// A later moment, at most the last one that can be held.
            #[must_use]
            pub const fn saturating_add(self, duration: Duration) -> Self {
                Self(self.0.saturating_add(duration.micros()))
            }

            /// An earlier moment, at the earliest the clock's beginning.
            #[must_use]
            pub const fn saturating_sub(self, duration: Duration) -> Self {
                Self(self.0.saturating_sub(duration.micros()))
            }

            /// The time since `earlier`; `None` when that is in fact later.
            #[must_use]
            pub const fn checked_since(self, earlier: Self) -> Option<Duration> {
                match self.0.checked_sub(earlier.0) {
                    Some(micros) => Some(Duration::from_micros(micros)),
                    None => None,
                }
            }

            /// The time since `earlier`; none when that is in fact later.
            #[must_use]
            pub const fn saturating_since(self, earlier: Self) -> Duration {
                Duration::from_micros(self.0.saturating_sub(earlier.0))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&Duration::from_micros(self.0), f)
            }
        }
    };
}

timestamp! {
    /// Powered time since this boot, in microseconds: the clock of therapy. Time without power does not count.
    PumpTime
}

timestamp! {
    /// Time of the link since this boot, in microseconds: for time-outs of frames, sessions and commits only.
    ///
    /// It differs from [`PumpTime`] where a virtual clock runs faster than real: a person still has two minutes to confirm.
    CarrierTime
}

timestamp! {
    /// Time with power over the pump's whole life, in microseconds: persisted, and never set by anybody. Lockouts, caps, periodic
    /// intervals, service life and trial expiry run on it (docs/therapy.md, "Clock"); time without power counts as none.
    PoweredTime
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn arithmetic_stops_at_the_ends() {
        let (second, start) = (Duration::from_seconds(1), PumpTime::from_micros(5));
        assert_eq!(
            start.checked_add(second).map(PumpTime::micros),
            Some(1_000_005)
        );
        assert_eq!(
            start.saturating_add(second),
            PumpTime::from_micros(1_000_005)
        );
        assert_eq!(PumpTime::MAX.checked_add(second), None);
        assert_eq!(PumpTime::MAX.saturating_add(second), PumpTime::MAX);
        assert_eq!(start.saturating_sub(second), PumpTime::ZERO);
        assert_eq!(
            PumpTime::from_micros(1_000_005).saturating_sub(second),
            start
        );
    }

    #[test]
    fn the_time_since_is_never_negative() {
        let (early, late) = (
            CarrierTime::from_micros(5),
            CarrierTime::from_micros(1_000_005),
        );
        assert_eq!(late.saturating_since(early), Duration::from_seconds(1));
        assert_eq!(early.saturating_since(late), Duration::ZERO);
        assert_eq!(late.checked_since(early), Some(Duration::from_seconds(1)));
        assert_eq!(early.checked_since(late), None);
    }

    #[test]
    fn is_an_integer_for_machines_and_for_people() {
        let time = PumpTime::from_micros(300);
        let mut buffer = [0; 16];
        assert_eq!(
            postcard::to_slice(&time, &mut buffer).unwrap(),
            [0xAC, 0x02]
        );
        assert_eq!(serde_json::to_string(&time).unwrap(), "300");
        assert_eq!(time.to_string(), "300 us");
    }
}
