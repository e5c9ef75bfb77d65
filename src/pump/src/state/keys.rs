//! Keys: who is let in, and which of their commands were given before.
//!
//! # Identity
//!
//! | at boot | the pump |
//! |---|---|
//! | identity in the state | goes by it; a page beside it is erased and not looked at |
//! | none, a page | takes the page into its state and erases it when that is durable |
//! | none, no page | lets nobody in, and delivers |
//!
//! The one-time secret counts until [`crate::KeysRecord::enrolled`] says otherwise, which is written in one piece with the key that it has
//! let in: a cut leaves the secret and no key, or the key and no secret. It is taken out of the identity afterwards.
//!
//! # Keys
//!
//! A change of the keys is an order like any other (`orders.rs`): durable, then answered, then in force; not durable in 5 s, undone. Until it is in force the
//! link is told the key before.
//!
//! | asks | grants | revokes |
//! |---|---|---|
//! | enrolling | one key in a session, a clinician's, in any slot | - |
//! | clinician | any role in any slot; in its own slot a clinician's | any slot but its own |
//!
//! So there is a clinician's key as soon as there was one: nobody can revoke or replace the last. And whatever became of the keys, the implant card's
//! secret lets a clinician enrol as long as the identity lives.
//!
//! # Once at most
//!
//! A command that changes something bears a number above the last of its slot, or it is refused: over connections and resets. The number
//! counts in RAM before the command is looked at. On its way to the flash it is ahead of everything that the command changes: the queue
//! to the journal is first in, first out, and an order writes its number before itself. So with every cut
//!
//! - before the number: neither is there, and the command can be given again, which does it once;
//! - between the two: the number is there and the command is not done; given again it is refused ([`Refused::NumberUsed`]), and a phone that
//!   reads the state sees that nothing was done;
//! - behind both: done, and refused when it is given again.
//!
//! If the number cannot be written, an order that waits is undone, although its own record could still be kept. A commit and a stop are not:
//! what is staged does not outlast a reset, and the digest names the program's number. What reduces drug acts before any of it is written.
//! A command that was refused changes nothing; its number goes to the flash with the next one that was not, so that a button that is pressed all day wears none.

use super::orders::{Asker, Work};
use super::{Pump, append};
use crate::actions::Actions;
use crate::kept::{IdentityRecord, Key, KeysRecord, NumbersRecord, StateKind, StateSet};
use crate::record::Record;
use crate::recovery::Basis;
use crate::state::Recovery;
use protocol::{
    Caller, ENROLMENT_SLOT, KeyEntry, KeyGrant, Keyring, List, NotAllowed, Outcome, PublicKey,
    RECOVERY_SLOT, Refused, Role, SessionId, Slot,
};
use therapy::KEY_SLOTS;
use units::{Duration, Now, PumpTime};

/// Who is let in.
#[derive(Clone, Debug)]
pub(super) struct Access {
    identity: Option<IdentityRecord>,
    /// Reckoned once: it costs as much as a Diffie-Hellman.
    public_key: Option<PublicKey>,
    /// There is a page `pack`.
    page: bool,
    /// The identity is that of the page, and not durable yet.
    taken: bool,
    keys: KeysRecord,
    numbers: NumbersRecord,
    /// The numbers as they were last handed to the flash.
    numbers_kept: NumbersRecord,
    /// The session in which somebody has enrolled.
    enrolled_in: Option<SessionId>,
    failures: Failures,
    version: u32,
}

/// Failed attempts to prove who somebody is. Not kept over a reset: what is not in the log then is forgotten.
#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    /// In whose name the last was.
    slot: u8,
    /// How many are not in the log.
    times: u16,
    /// When the log was last told.
    told_at: Option<PumpTime>,
}

/// Between two records of failures: whoever makes them chooses how many there are, and must not wear the flash or fill the log with them.
/// 1 h \[P\]: the most that an attacker writes are 24 records a day.
const BETWEEN_FAILURES: Duration = Duration::from_hours(1);

/// What a change of the keys has replaced, until it is durable.
#[derive(Clone, Debug)]
pub(super) struct KeyChange {
    slot: u8,
    before: Option<Key>,
    enrolled: bool,
}

impl Access {
    /// What was found at boot. Lost keys let nobody in, and a lost number is none: boluses and commits have numbers of their own.
    pub(super) fn after_boot(
        identity: Recovery<IdentityRecord>,
        keys: Recovery<KeysRecord>,
        numbers: Recovery<NumbersRecord>,
        basis: &Basis,
        dirty: &mut StateSet,
    ) -> Self {
        // What the journal knows to be gone is written anew, so that it is whole again. What it could not read may come back.
        let mut rewrite = |kind, lost| {
            if lost && basis.storage.kinds_lost > 0 {
                dirty.insert(kind);
            }
        };
        rewrite(StateKind::Identity, identity == Recovery::Lost);
        rewrite(StateKind::Keys, keys == Recovery::Lost);
        rewrite(StateKind::CommandNumbers, numbers == Recovery::Lost);
        let (mut identity, taken) = match identity {
            Recovery::Good(identity) => (Some(identity), false),
            Recovery::Absent | Recovery::Lost => {
                (basis.pack.as_ref().map(IdentityRecord::from), true)
            }
        };
        if taken && identity.is_some() {
            dirty.insert(StateKind::Identity);
        }
        let (mut keys, keys_lost) = keys.or_default();
        // Nobody knows whether somebody had enrolled.
        keys.enrolled |= keys_lost;
        if let Some(identity) = &mut identity
            && keys.enrolled
            && identity.one_time.take().is_some()
        {
            dirty.insert(StateKind::Identity);
        }
        let (numbers, _) = numbers.or_default();
        Self {
            public_key: identity
                .as_ref()
                .map(|identity| identity.private.public_key()),
            identity,
            page: basis.pack.is_some(),
            taken,
            keys,
            numbers,
            numbers_kept: numbers,
            enrolled_in: None,
            failures: Failures::default(),
            version: 1,
        }
    }

    pub(super) const fn identity(&self) -> Option<&IdentityRecord> {
        self.identity.as_ref()
    }

    pub(super) const fn keys(&self) -> &KeysRecord {
        &self.keys
    }

    pub(super) const fn numbers(&self) -> &NumbersRecord {
        &self.numbers
    }

    /// Uses up the number of a command. Enrolment and recovery have none: their one command is bounded by presence, and done once.
    pub(super) fn use_number(
        &mut self,
        caller: Caller,
        numbered: bool,
        number: u32,
    ) -> Result<(), Refused> {
        if !numbered || matches!(caller.slot, ENROLMENT_SLOT | RECOVERY_SLOT) {
            return Ok(());
        }
        let Some(last) = self.numbers.0.get_mut(usize::from(caller.slot)) else {
            return Err(NO_KEY);
        };
        if number <= *last {
            return Err(Refused::NumberUsed { last: *last });
        }
        *last = number;
        Ok(())
    }

    /// Whether the flash was not told of all numbers.
    pub(super) fn is_number_to_be_kept(&self) -> bool {
        self.numbers != self.numbers_kept
    }

    pub(super) const fn numbers_handed_out(&mut self) {
        self.numbers_kept = self.numbers;
    }

    pub(super) fn undo(&mut self, change: KeyChange) {
        self.keys.enrolled = change.enrolled;
        if let Some(place) = self.place(change.slot) {
            *place = change.before;
        }
    }

    /// Whether there is a page that nobody needs, because there is an identity in the state; said once.
    pub(super) fn page_is_of_no_use(&mut self, now_kept: bool) -> bool {
        self.taken &= !now_kept;
        self.identity.is_some() && !self.taken && core::mem::take(&mut self.page)
    }

    fn place(&mut self, slot: u8) -> Option<&mut Option<Key>> {
        self.keys.slots.get_mut(usize::from(slot))
    }
}

const NO_KEY: Refused = Refused::NotAllowed {
    because: NotAllowed::Key,
};

impl Pump {
    /// The keys in force, for the link: after every change of [`Pump::keys_version`]. A pump without an identity lets nobody in.
    #[inline(never)]
    pub fn fill_keyring(&self, keyring: &mut Keyring) {
        let Some(identity) = &self.access.identity else {
            *keyring = Keyring::new();
            return;
        };
        if let Some(public) = self.access.public_key {
            keyring.set_pump_pair(identity.private.clone(), public);
        }
        for (slot, key, last_number) in self.keys_in_force() {
            let key = key.map(|key| {
                Slot::new(
                    key.role,
                    Some(key.public_key),
                    key.preshared.clone(),
                    last_number,
                )
            });
            keyring.set(slot, key);
        }
        let door = |secret| Slot::new(Role::Enrolling, None, secret, 0);
        keyring.set(RECOVERY_SLOT, Some(door(identity.recovery.clone())));
        // Somebody is enrolling with it at this moment, maybe in vain: then it is let in again.
        let one_time = identity.one_time.clone().filter(|_| !self.is_enrolled());
        keyring.set(ENROLMENT_SLOT, one_time.map(door));
    }

    /// Goes up whenever the keys in force change: the link is then told them anew ([`Pump::fill_keyring`]).
    #[must_use]
    pub const fn keys_version(&self) -> u32 {
        self.access.version
    }

    /// The passkey for pairing; none of a pump without an identity.
    #[must_use]
    pub fn passkey(&self) -> Option<u32> {
        self.access
            .identity
            .as_ref()
            .map(|identity| identity.passkey)
    }

    /// The pump's public key; none of a pump without an identity.
    #[must_use]
    pub const fn public_key(&self) -> Option<PublicKey> {
        self.access.public_key
    }

    fn key_change(&self) -> Option<&KeyChange> {
        self.pending.as_ref()?.key_change()
    }

    /// Whether the one-time secret has certainly been spent.
    fn is_enrolled(&self) -> bool {
        self.key_change()
            .map_or(self.access.keys.enrolled, |change| change.enrolled)
    }

    /// Slots, their keys, and the numbers of their last commands.
    fn keys_in_force(&self) -> impl Iterator<Item = (u8, Option<&Key>, u32)> {
        let change = self.key_change();
        let keys = self.access.keys.slots.iter().zip(self.access.numbers.0);
        (0_u8..).zip(keys).map(move |(slot, (key, last_number))| {
            let key = match change {
                Some(change) if change.slot == slot => change.before.as_ref(),
                _ => key.as_ref(),
            };
            (slot, key, last_number)
        })
    }

    pub(super) fn keys_outcome(&self) -> Outcome {
        Outcome::Keys(List::of(self.keys_in_force().filter_map(
            |(slot, key, last_number)| {
                let key = key?;
                Some(KeyEntry {
                    slot,
                    role: key.role,
                    fingerprint: key.public_key.fingerprint(),
                    last_number,
                })
            },
        )))
    }

    pub(super) fn on_authentication_failed(&mut self, now: Now, slot: u8, actions: &mut Actions) {
        let failures = &mut self.access.failures;
        failures.slot = slot;
        failures.times = failures.times.saturating_add(1);
        let told = failures.told_at;
        if told.is_none_or(|told| now.pump.saturating_since(told) >= BETWEEN_FAILURES) {
            self.record_failures(now, actions);
        }
    }

    /// Tells the log of what it was not told yet: before somebody looks into it, in any case.
    pub(super) fn record_failures(&mut self, now: Now, actions: &mut Actions) {
        let failures = &mut self.access.failures;
        let (slot, times) = (failures.slot, failures.times);
        if times > 0 {
            failures.times = 0;
            failures.told_at = Some(now.pump);
            append(None, Record::AuthenticationFailed { slot, times }, actions);
        }
    }

    pub(super) fn grant_key(
        &mut self,
        now: Now,
        asked: Asker,
        grant: &KeyGrant,
        actions: &mut Actions,
    ) -> Result<Option<Outcome>, Refused> {
        let Caller { slot: own, role } = asked.caller;
        let to_clinician = grant.role == Role::Clinician;
        let may = match role {
            Role::Enrolling => {
                let spent = own == ENROLMENT_SLOT && self.access.keys.enrolled;
                to_clinician && !spent && self.access.enrolled_in != Some(asked.session)
            }
            Role::Clinician => {
                Role::GRANTED.contains(&grant.role) && (to_clinician || own != grant.slot)
            }
            Role::Patient | Role::Emergency | Role::Service => false,
        };
        if !may {
            return Err(NO_KEY);
        }
        let key = Key {
            role: grant.role,
            public_key: grant.public_key,
            preshared: grant.preshared.clone(),
        };
        self.change_key(now, asked, grant.slot, Some(key), actions)
    }

    pub(super) fn revoke_key(
        &mut self,
        now: Now,
        asked: Asker,
        slot: u8,
        actions: &mut Actions,
    ) -> Result<Option<Outcome>, Refused> {
        let Caller { slot: own, role } = asked.caller;
        if role != Role::Clinician || own == slot {
            return Err(NO_KEY);
        }
        self.change_key(now, asked, slot, None, actions)
    }

    fn change_key(
        &mut self,
        now: Now,
        asked: Asker,
        slot: u8,
        key: Option<Key>,
        actions: &mut Actions,
    ) -> Result<Option<Outcome>, Refused> {
        let enrolled = self.access.keys.enrolled;
        let enrols = asked.caller.role == Role::Enrolling;
        let place = self.access.place(slot).ok_or(NO_KEY)?;
        if *place == key && !enrols {
            // Done twice is done once.
            return Ok(Some(Outcome::Done));
        }
        let before = core::mem::replace(place, key);
        if asked.caller.slot == ENROLMENT_SLOT {
            self.access.keys.enrolled = true;
        }
        let change = KeyChange {
            slot,
            before,
            enrolled,
        };
        self.pend(
            StateKind::Keys,
            Some(asked),
            Work::Keys(change),
            now,
            actions,
        );
        Ok(None)
    }

    /// A change of the keys is durable, and in force.
    pub(super) fn keys_changed(
        &mut self,
        asked: Option<Asker>,
        change: &KeyChange,
        actions: &mut Actions,
    ) {
        let slot = change.slot;
        let access = &mut self.access;
        access.version = access.version.wrapping_add(1);
        let place = usize::from(slot);
        let key = access.keys.slots.get(place).and_then(Option::as_ref);
        let record = match key {
            Some(key) => {
                let another = |before: &Key| {
                    before.public_key != key.public_key || before.preshared != key.preshared
                };
                if change.before.as_ref().is_some_and(another)
                    && let Some(number) = access.numbers.0.get_mut(place)
                {
                    // Somebody else's numbers begin anew. Cut off before that is kept, they go on: nothing is done twice either way.
                    *number = 0;
                    self.boluses.numbers.new_key(slot);
                    self.dirty.insert(StateKind::CommandNumbers);
                    self.dirty.insert(StateKind::Boluses);
                }
                Record::KeyGranted {
                    slot,
                    role: key.role,
                    fingerprint: key.public_key.fingerprint(),
                }
            }
            None => Record::KeyRevoked { slot },
        };
        if let Some(asked) = asked.filter(|asked| asked.caller.role == Role::Enrolling) {
            access.enrolled_in = Some(asked.session);
        }
        if access.keys.enrolled
            && let Some(identity) = &mut access.identity
            && identity.one_time.take().is_some()
        {
            self.dirty.insert(StateKind::Identity);
        }
        super::append(asked.map(|asked| asked.session), record, actions);
    }
}

const _: () = assert!(
    KEY_SLOTS == 8,
    "as many as the protocol has, `protocol::SLOTS`"
);
