//! Who may connect, and when: a defence of the battery.
//!
//! A radio that answers everybody is a drain that anybody can open. (Abbott's pacemakers could be woken without limit, CVE-2017-12714; 465,000
//! were recalled.) Each connection that does not pass the gate therefore costs a token, and without tokens the pump does not
//! advertise. One that passes costs nothing: an enrolled phone may come as often as it likes.
//!
//! - **Two quotas**: [`STRANGERS`], at most 20 connections in any 24 hours, and [`BONDED`], at most 18. Strangers cannot touch the
//!   second, so they cannot lock out a phone that is bonded: when their own is used up, the pump advertises to its bonded phones only
//!   ([`Advertise::BondedOnly`]). A bonded phone whose quota is used up may draw on the strangers'.
//! - **A limit**: a connection that has not passed [`GATE_TIME`] or [`FIRST_EVENTS`] connection events after it began is dropped; one that failed, at once.
//!   The events are counted because whoever connects chooses their interval, 7.5 ms if he likes. A bonded phone has [`GATE_EVENTS`] once the connection is
//!   encrypted with the keys of its bond: anybody can send its address, but only it can do that.
//! - **Back-off**: after a connection that ended without passing its quota rests for 1 s, then 2 s, 4 s, ... 1 h; after one that passed, it begins anew.
//!   All radios count as one, for addresses cost an attacker nothing.
//! - **Presence** reopens everything: full quotas, no back-off, and while the window is open (see [`presence`](crate::presence)) no connection
//!   costs a token. Whoever stands at the bed with a magnet is let in, whatever has been going on.
//!
//! # Why buckets of half the number
//! A bucket that holds `c` tokens and gains one each `r` gives at most `c + 24 h / r` in 24 hours: what it held, and what came. A
//! bucket of 20 with 20 a day is therefore one of 40. Half in the bucket and half as refill is exactly 20 in *every* 24 hours. A list of
//! the last 20 moments would be exact too, but after a burst it shuts for the rest of the day; a bucket opens after
//! one refill. The bucket is a single moment, that at which it will be full: whole microseconds, nothing is rounded.
//!
//! It is not kept across a reset: a reset fills the buckets, and the bound is then the tokens spent before and 20 after.
//!
//! # Transitions
//! | connection | event | then |
//! |---|---|---|
//! | none | connected, window open | waiting, pays nothing |
//! | none | connected, bonded, bonded quota ready | waiting, pays a bonded token |
//! | none | connected, strangers' quota ready | waiting, pays a stranger's token |
//! | none | connected otherwise: it came while advertising was being stopped | over |
//! | waiting | passed before the deadline | passed |
//! | waiting, over | passed at or after the deadline | as it was: to be dropped |
//! | waiting, passed | failed | over |
//! | passed | passed | passed |
//! | over | failed | over |
//! | passed | closed | none: the token is given back, the back-off begins anew |
//! | waiting, over | closed | none: the token is kept, the quota rests; one more for each [`FIRST_EVENTS`] that it lasted beyond its end |
//! | waiting, passed, over | connected | as closed, then as from none |
//! | waiting, pays a bonded token | secured | waiting, with the events of a bond |
//! | waiting, pays something else | secured | the same |
//! | waiting, passed, over | presence opened | the same, pays nothing; both quotas full, no back-off |
//! | none | presence opened | none; both quotas full, no back-off |
//! | none | passed, failed, closed, paced, secured | none |
//! | waiting | paced | waiting, the rest of its events at the new interval |
//! | passed, over | paced, secured | the same |
//!
//! # What an attack costs
//! The figures are in [`energy`], and the tests simulate the attacks. A day's charge is taken to be the smallest of those in the
//! reference, the 864 mC of the electronics without the motor; 2 % of it are 17.28 mC.
//!
//! | attack, a day of it | charge | of 864 mC | of 1,408 mC (1 Ah in 7 years) |
//! |---|---|---|---|
//! | strangers: 20 connections held to the end, at the worst interval, a forged gate each | 6.26 mC | 0.72 % | 0.44 % |
//! | bonded phone without a key: 18 connections, encrypted, held to the end | 10.82 mC | 1.25 % | 0.77 % |
//! | both, that is everything that can be had without a key | 17.07 mC | 1.97 % | 1.21 % |
//! | for comparison: advertising each 4 s, undisturbed | 250.56 mC | 29.0 % | 17.8 % |
//!
//! While it is connected or shut the pump does not advertise; that saving is not subtracted. Not in the table, because nothing here can
//! bound it:
//! - an attacker who fills the connection events. The figure for an event holds for one packet each way; a receiver that runs through, 6.4 mA, takes 32 mC in
//!   5 s. The controller would have to limit the length of events before the gate.
//! - a peer that does not acknowledge the end of the connection: the controller then waits for the supervision time-out, at most 32 s, which the peer has chosen. At
//!   7.5 ms that is 25.6 mC, once: it pays 89 tokens, with which strangers are shut out for nine days, so that the average stays below 2 %.
//! - who has a key: a session may last, and be opened again, as long as its holder likes.
//! - the window: with a magnet, 16.5 mC of advertising, and up to 244 mC of connection events at 7.5 ms in 305 s.
use units::{CarrierTime, Duration};

use crate::presence::WINDOW;
use energy::CLOSING_EVENTS;

/// A number of connections: a bucket of tokens that fills steadily.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// Tokens in a full bucket; at least 1.
    pub tokens: u64,
    /// The time in which one token comes.
    pub refill: Duration,
}

/// Connections of strangers: 10 at once, 10 a day; in any 24 hours at most 20 \[P\] (reference for the protocol, 2.3, point 9: "<= 20
/// unauthenticated connections/day").
pub const STRANGERS: Limit = Limit {
    tokens: 10,
    refill: Duration::from_minutes(144),
};

/// Connections of bonded phones that do not pass: 9 at once, 9 a day; in any 24 hours at most 18 \[P\], the most for which both quotas
/// together stay within 2 % of a day. A phone at the edge of its range uses them up in 9 minutes; then it comes nearer, or the magnet does.
pub const BONDED: Limit = Limit {
    tokens: 9,
    refill: Duration::from_minutes(160),
};

/// From connection to a passed gate: 5 s \[P\] (design of the protocol, "Energy as a defence"; the reference proposes 10 s, twice the charge).
pub const GATE_TIME: Duration = Duration::from_seconds(5);

/// The same while the presence window is open: 60 s \[P\]. Pairing with a passkey is possible only then, and a person types slowly.
pub const GATE_TIME_ARMED: Duration = Duration::from_seconds(60);

/// Connection events from connection to a passed gate, of somebody who has not shown that he has a bond: 48 \[P\], 1.44 s at 30 ms, 0.36 s at 7.5 ms. Outside
/// the presence window a stranger can read Info and nothing else. A bonded phone has the attribute table in its cache and begins by encrypting: some 12 events \[GK\].
pub const FIRST_EVENTS: u64 = 48;

/// The same once the connection is encrypted with the keys of a bond: 96 \[P\], the first ones among them. 2.88 s at 30 ms. Discovery and Hello need some 60 \[GK\], a
/// number of events and not a time.
pub const GATE_EVENTS: u64 = 96;

/// The first pause after a connection that did not pass: 1 s \[P\] (reference for the protocol, 2.3, point 9).
pub const BACK_OFF_FIRST: Duration = Duration::from_seconds(1);

/// The longest: 1 h \[P\] (same place).
pub const BACK_OFF_LONGEST: Duration = Duration::from_hours(1);

/// Between two advertising events: 4 s \[P\].
///
/// The idle budget of the reference, 10 uA, has 2.9 uA for advertising at 4 s. 1,022.5 ms, which phones find sooner, would take 11.3 uA: 696
/// of 1,000 mAh in seven years, more than the whole budget. 10.24 s would save another 1.8 uA, but a phone that scans a tenth of the time would look for minutes.
/// Who is in a hurry has the magnet.
pub const SLOW_INTERVAL: Duration = Duration::from_millis(4_000);

/// The same while the presence window is open: 211.25 ms \[GK\], one of the intervals that Apple recommends.
/// The window's 1,421 events are 16.5 mC, less than 2 % of a day; 152.5 ms would be more.
pub const FAST_INTERVAL: Duration = Duration::from_micros(211_250);

/// The shortest connection interval there is: 7.5 ms (Bluetooth Core, connInterval) \[GK\].
const SHORTEST_INTERVAL: Duration = Duration::from_micros(7_500);

/// An interval at which [`FIRST_EVENTS`] last [`GATE_TIME`]: 5 s / 48 rounded up. Taken until the real one is told.
const UNTOLD_INTERVAL: Duration = Duration::from_micros(104_167);

/// What things cost, in nanocoulombs at the battery.
pub mod energy {
    /// One advertising event, connectable: 11.6 uC (reference for the protocol, 5.1: Nordic's profiler, mynewt-nimble issue 868).
    pub const ADVERTISING_EVENT: u64 = 11_600;
    /// One connection event, a packet each way: 6 uC, the upper end of "4-6 uC" \[GK\] (reference for the protocol, 5.1).
    pub const CONNECTION_EVENT: u64 = 6_000;
    /// Connection events from the wish to end a connection to its end, with a peer that acknowledges: 2 \[GK\].
    pub const CLOSING_EVENTS: u64 = 2;
    /// Refusing a forged gate: 19,151 instructions (`docs/performance.md`) at 0.9 uC for 13 thousand (reference for the protocol, 2.5), 1.33 uC.
    pub const FORGED_GATE: u64 = 1_330;
    /// The electronics for a day without the motor: 10 uA x 86,400 s = 864 mC (reference for the protocol, 5.3, metrics 1 and 2).
    pub const ELECTRONICS_DAY: u64 = 864_000_000;
    /// The battery: 1 Ah = 3,600 C \[P\] (clinical reference, 2.15: 10,800 J at 3 V).
    pub const BATTERY: u64 = 3_600_000_000_000;
    /// The days it is to last: 7 years of 365.25 days (reference for the protocol, 7, goal 1), rounded up.
    pub const LIFE_DAYS: u64 = 2_557;
}

/// What to advertise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Advertise {
    /// Nothing: there is a phone, or nobody may come.
    No,
    /// For bonded phones only, by the filter accept list, each [`SLOW_INTERVAL`].
    BondedOnly,
    /// For everybody, each [`SLOW_INTERVAL`].
    Slow,
    /// For everybody, each [`FAST_INTERVAL`]: the presence window is open.
    Fast,
}

impl Advertise {
    /// The advertising interval; none when there is nothing to advertise.
    #[must_use]
    pub const fn interval(self) -> Option<Duration> {
        match self {
            Advertise::No => None,
            Advertise::BondedOnly | Advertise::Slow => Some(SLOW_INTERVAL),
            Advertise::Fast => Some(FAST_INTERVAL),
        }
    }
}

/// The state of one [`Limit`], with its back-off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Quota {
    limit: Limit,
    /// When the bucket is full; each missing token puts it off by one refill.
    full_at: CarrierTime,
    rests_until: CarrierTime,
    back_off: Duration,
}

impl Quota {
    const fn new(limit: Limit) -> Quota {
        Quota {
            limit,
            full_at: CarrierTime::ZERO,
            rests_until: CarrierTime::ZERO,
            back_off: BACK_OFF_FIRST,
        }
    }

    /// From when on there is a token and no rest.
    fn ready_at(&self) -> CarrierTime {
        // One token is there when all others may be missing.
        let others = self
            .limit
            .refill
            .saturating_mul(self.limit.tokens.saturating_sub(1));
        self.full_at.saturating_sub(others).max(self.rests_until)
    }

    fn is_ready(&self, now: CarrierTime) -> bool {
        now >= self.ready_at()
    }

    fn take(&mut self, now: CarrierTime) {
        self.full_at = self.full_at.max(now).saturating_add(self.limit.refill);
    }

    /// Tokens for what a connection has cost beyond its own. There need not be so many: then it is long until there is one again.
    fn take_more(&mut self, now: CarrierTime, tokens: u64) {
        if tokens > 0 {
            let more = self.limit.refill.saturating_mul(tokens);
            self.full_at = self.full_at.max(now).saturating_add(more);
        }
    }

    /// A connection that passed: as if it had never taken its token.
    fn passed(&mut self) {
        self.full_at = self.full_at.saturating_sub(self.limit.refill);
        self.back_off = BACK_OFF_FIRST;
    }

    /// A connection that ended without passing.
    fn failed(&mut self, now: CarrierTime) {
        self.rests_until = now.saturating_add(self.back_off);
        self.back_off = self.back_off.saturating_mul(2).min(BACK_OFF_LONGEST);
    }
}

/// Whose token a connection has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pays {
    Nothing,
    Strangers,
    Bonded,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Waiting,
    Passed,
    /// Failed, or was never admitted: to be dropped since that moment.
    Over(CarrierTime),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Connection {
    since: CarrierTime,
    pays: Pays,
    /// Encrypted with the keys of a bond.
    secured: bool,
    stage: Stage,
    pace: Pace,
}

impl Connection {
    /// When it is to be dropped, if nothing else happens and no window is open.
    fn usual_end(&self) -> CarrierTime {
        self.since.saturating_add(GATE_TIME).min(self.pace.end())
    }
}

/// The connection events that are left, from when on, and how far apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Pace {
    from: CarrierTime,
    events: u64,
    interval: Duration,
}

impl Pace {
    /// The moment of the first event too many.
    fn end(&self) -> CarrierTime {
        self.from
            .saturating_add(self.interval.saturating_mul(self.events))
    }

    /// Connection events from one moment to another at the present interval, those begun included.
    fn between(&self, from: CarrierTime, to: CarrierTime) -> u64 {
        let elapsed = to.saturating_since(from).micros();
        elapsed
            .saturating_add(self.interval.micros().saturating_sub(1))
            .checked_div(self.interval.micros())
            .unwrap_or(u64::MAX)
    }

    /// Another interval from `now` on. An interval begun counts as an event, so changing to and fro gains nothing.
    fn change(&mut self, now: CarrierTime, interval: Duration) {
        let begun = self.between(self.from, now);
        *self = Pace {
            from: now,
            events: self.events.saturating_sub(begun),
            interval: interval.max(SHORTEST_INTERVAL),
        };
    }
}

/// Decides about connections. One at a time; some 200 bytes, no heap, every call in constant time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Admission {
    strangers: Quota,
    bonded: Quota,
    armed_until: CarrierTime,
    connection: Option<Connection>,
}

impl Admission {
    /// Full quotas, nobody connected.
    #[must_use]
    pub const fn new() -> Admission {
        Admission {
            strangers: Quota::new(STRANGERS),
            bonded: Quota::new(BONDED),
            armed_until: CarrierTime::ZERO,
            connection: None,
        }
    }

    /// Somebody has connected; `bonded`: the address resolved to a phone on the filter accept list.
    pub fn connected(&mut self, now: CarrierTime, bonded: bool) {
        // Should the end of the last connection have gone unsaid, it ends here.
        self.closed(now);
        let (pays, stage) = if self.is_armed(now) {
            (Pays::Nothing, Stage::Waiting)
        } else if bonded && self.bonded.is_ready(now) {
            self.bonded.take(now);
            (Pays::Bonded, Stage::Waiting)
        } else if self.strangers.is_ready(now) {
            self.strangers.take(now);
            (Pays::Strangers, Stage::Waiting)
        } else {
            (Pays::Nothing, Stage::Over(now))
        };
        self.connection = Some(Connection {
            since: now,
            pays,
            secured: false,
            stage,
            pace: Pace {
                from: now,
                events: FIRST_EVENTS,
                interval: UNTOLD_INTERVAL,
            },
        });
    }

    /// The connection interval, right after [`Admission::connected`] and whenever it changes. A peer that has chosen a short one has less time.
    pub fn paced(&mut self, now: CarrierTime, interval: Duration) {
        if let Some(connection) = &mut self.connection {
            connection.pace.change(now, interval);
        }
    }

    /// The connection is encrypted with the keys of a bond: whoever it is has the bond, and not only its address. What was paid with a stranger's token
    /// stays a stranger's.
    pub fn secured(&mut self) {
        if let Some(connection) = &mut self.connection
            && connection.pays == Pays::Bonded
            && !connection.secured
        {
            connection.secured = true;
            let more = GATE_EVENTS.saturating_sub(FIRST_EVENTS);
            connection.pace.events = connection.pace.events.saturating_add(more);
        }
    }

    /// The phone has passed the gate. Too late, after the deadline, it counts for nothing: [`Admission::expired`] stays true.
    pub fn passed(&mut self, now: CarrierTime) {
        let expired = self.expired(now);
        if let Some(connection) = &mut self.connection
            && connection.stage == Stage::Waiting
            && !expired
        {
            connection.stage = Stage::Passed;
        }
    }

    /// The gate or what came after it was forged. The connection is to be dropped now; one attempt each.
    pub fn failed(&mut self, now: CarrierTime) {
        if let Some(connection) = &mut self.connection {
            connection.stage = match connection.stage {
                Stage::Waiting | Stage::Passed => Stage::Over(now),
                over @ Stage::Over(_) => over,
            };
        }
    }

    /// The connection is gone, whoever ended it.
    pub fn closed(&mut self, now: CarrierTime) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        let usual = connection.usual_end();
        let quota = match connection.pays {
            Pays::Nothing => return,
            Pays::Strangers => &mut self.strangers,
            Pays::Bonded => &mut self.bonded,
        };
        let end = match connection.stage {
            Stage::Passed => {
                quota.passed();
                return;
            }
            Stage::Over(moment) => moment,
            Stage::Waiting => usual,
        };
        quota.failed(now);
        let beyond = connection.pace.between(end, now);
        let per_token = if connection.secured {
            GATE_EVENTS
        } else {
            FIRST_EVENTS
        };
        quota.take_more(
            now,
            beyond.saturating_sub(CLOSING_EVENTS).div_ceil(per_token),
        );
    }

    /// The presence window has opened or was prolonged: it lasts [`WINDOW`] from now.
    pub fn presence_opened(&mut self, now: CarrierTime) {
        self.strangers = Quota::new(STRANGERS);
        self.bonded = Quota::new(BONDED);
        self.armed_until = now.saturating_add(WINDOW);
        if let Some(connection) = &mut self.connection {
            connection.pays = Pays::Nothing;
        }
    }

    /// What to advertise now.
    #[must_use]
    pub fn advertise(&self, now: CarrierTime) -> Advertise {
        if self.connection.is_some() {
            Advertise::No
        } else if self.is_armed(now) {
            Advertise::Fast
        } else if self.strangers.is_ready(now) {
            Advertise::Slow
        } else if self.bonded.is_ready(now) {
            Advertise::BondedOnly
        } else {
            Advertise::No
        }
    }

    /// When the connection is to be dropped unless it passes before; none when there is none, or it has passed.
    ///
    /// A connection of the presence window has [`GATE_TIME_ARMED`], but when the window closes no more than others.
    #[must_use]
    pub fn deadline(&self) -> Option<CarrierTime> {
        let connection = self.connection?;
        match connection.stage {
            Stage::Passed => None,
            Stage::Over(moment) => Some(moment),
            Stage::Waiting => {
                let usual = connection.usual_end();
                let armed = connection
                    .since
                    .saturating_add(GATE_TIME_ARMED)
                    .min(self.armed_until);
                Some(usual.max(armed))
            }
        }
    }

    /// The connection is to be dropped now.
    #[must_use]
    pub fn expired(&self, now: CarrierTime) -> bool {
        self.deadline().is_some_and(|deadline| now >= deadline)
    }

    /// When to ask again though nothing has happened: [`Admission::advertise`] and [`Admission::expired`] answer the same until then.
    #[must_use]
    pub fn next(&self, now: CarrierTime) -> Option<CarrierTime> {
        if self.connection.is_some() {
            return self.deadline();
        }
        [
            self.armed_until,
            self.strangers.ready_at(),
            self.bonded.ready_at(),
        ]
        .into_iter()
        .filter(|&moment| moment > now)
        .min()
    }

    fn is_armed(&self, now: CarrierTime) -> bool {
        now < self.armed_until
    }
}

impl Default for Admission {
    fn default() -> Admission {
        Admission::new()
    }
}

#[cfg(test)]
mod tests;
