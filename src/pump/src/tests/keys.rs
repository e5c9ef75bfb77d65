//! Who is let in, and which commands were given before.

use super::*;
use protocol::{
    ENROLMENT_SLOT, KeyEntry, KeyGrant, Keyring, NotAllowed, NotNow, Pack, RECOVERY_SLOT, Secret,
    SetZone,
};
use units::WallTime;

const ENROLLING: Caller = Caller {
    slot: ENROLMENT_SLOT,
    role: Role::Enrolling,
};
const RECOVERING: Caller = Caller {
    slot: RECOVERY_SLOT,
    role: Role::Enrolling,
};
const PATIENT: Caller = Caller {
    slot: 2,
    role: Role::Patient,
};
const DONE: Option<Outcome> = Some(Outcome::Done);
const NO_KEY: Option<Outcome> = Some(Outcome::Refused(Refused::NotAllowed {
    because: NotAllowed::Key,
}));

fn secret(byte: u8) -> Secret {
    Secret::new([byte; 32])
}

fn pack() -> Pack {
    Pack {
        private: secret(1),
        one_time: secret(2),
        recovery: secret(3),
        passkey: 123_456,
    }
}

/// A pump as it comes from the production line.
fn with_page() -> Recovered {
    let mut recovered = Recovered::new_pump(CommissioningRecord::NOMINAL);
    recovered.basis.pack = Some(pack());
    recovered
}

/// And after its first start.
fn new() -> Bench {
    let mut bench = Bench::new(with_page());
    assert!(bench.actions.contains(&Action::ErasePack));
    bench.run(Duration::from_seconds(1));
    bench
}

/// The key of whoever is known by a byte.
fn grant(slot: u8, role: Role, who: u8) -> KeyGrant {
    KeyGrant {
        slot,
        role,
        public_key: secret(who).public_key(),
        preshared: secret(who + 100),
    }
}

fn enrolled() -> Bench {
    let mut bench = new();
    let grant = grant(0, Role::Clinician, 10);
    let session = SessionId(1);
    assert_eq!(
        bench.ask_as(session, ENROLLING, Command::GrantKey(grant)),
        DONE
    );
    bench.tell(Event::LinkClosed { session });
    bench
}

fn keyring(bench: &Bench) -> Keyring {
    let mut keyring = Keyring::new();
    bench.pump.fill_keyring(&mut keyring);
    keyring
}

/// Slots that let somebody in.
fn doors(bench: &Bench) -> Vec<u8> {
    let keyring = keyring(bench);
    (0..=u8::MAX)
        .filter(|slot| keyring.get(*slot).is_some())
        .collect()
}

fn keys(bench: &mut Bench) -> Vec<KeyEntry> {
    match bench.ask(Command::ReadKeys) {
        Some(Outcome::Keys(keys)) => keys.iter().copied().collect(),
        other => panic!("no keys: {other:?}"),
    }
}

#[test]
fn a_page_becomes_the_identity_and_is_erased_when_that_is_durable() {
    let mut bench = Bench::new(with_page());
    assert_eq!(bench.pump.passkey(), Some(123_456));
    assert_eq!(bench.pump.public_key(), Some(secret(1).public_key()));
    assert_eq!(doors(&bench), [RECOVERY_SLOT, ENROLMENT_SLOT]);
    let at =
        |bench: &Bench, wanted: &dyn Fn(&Action) -> bool| bench.actions.iter().position(wanted);
    let persist = at(&bench, &|action| {
        matches!(
            action,
            Action::Persist {
                state: StateKind::Identity,
                ..
            }
        )
    });
    let erase = at(&bench, &|action| *action == Action::ErasePack);
    assert!(persist.is_some() && persist < erase);
    bench.run(Duration::from_hours(1));
    let erased = |bench: &Bench| {
        let is_it = |action: &&Action| **action == Action::ErasePack;
        bench.actions.iter().filter(is_it).count()
    };
    assert_eq!(erased(&bench), 1);
    // A page that is still there, or another: the identity in the state counts.
    let mut flash = bench.flash();
    let mut other = pack();
    other.private = secret(9);
    flash.basis.pack = Some(other);
    let bench = Bench::new(flash);
    assert_eq!(bench.pump.public_key(), Some(secret(1).public_key()));
    assert_eq!(erased(&bench), 1);
}

#[test]
fn a_page_is_not_erased_while_the_identity_is_not_durable() {
    let mut recovered = with_page();
    recovered.basis.boot = 1;
    let mut bench = Bench::new(Recovered::new_pump(CommissioningRecord::NOMINAL));
    bench.pump = Pump::new(recovered, Start::default());
    bench.journal = Journal::Fails;
    bench.actions.clear();
    bench.event(Event::Boot);
    bench.run(Duration::from_minutes(1));
    assert!(!bench.actions.contains(&Action::ErasePack));
    assert_eq!(doors(&bench), [RECOVERY_SLOT, ENROLMENT_SLOT]);
    bench.journal = Journal::Keeps;
    bench.run(Duration::from_minutes(1));
    assert!(bench.actions.contains(&Action::ErasePack));
}

#[test]
fn a_pump_without_identity_lets_nobody_in_and_delivers() {
    let mut bench = enrolled();
    bench.program(&baclofen());
    let mut flash = bench.flash();
    flash.set(StateKind::Identity, Recovery::Lost);
    flash.basis.storage.kinds_lost = 1;
    let mut bench = Bench::new(flash);
    assert_eq!(
        (bench.pump.passkey(), bench.pump.public_key()),
        (None, None)
    );
    assert_eq!(doors(&bench), []);
    let before = bench.made();
    bench.run(Duration::from_hours(1));
    assert!(bench.made() > before);
    // The journal is whole again; a page made anew brings it back.
    let mut flash = bench.flash();
    assert_eq!(flash.identity, Recovery::Absent);
    flash.basis.pack = Some(pack());
    let bench = Bench::new(flash);
    assert_eq!(doors(&bench), [0, RECOVERY_SLOT], "the secret stays spent");
}

#[test]
fn lost_keys_let_nobody_in_but_by_the_card() {
    let bench = enrolled();
    let mut flash = bench.flash();
    flash.set(StateKind::Keys, Recovery::Lost);
    flash.basis.storage.kinds_lost = 1;
    let bench = Bench::new(flash);
    assert_eq!(doors(&bench), [RECOVERY_SLOT]);
    let mut bench = bench.power_cut();
    assert_eq!(doors(&bench), [RECOVERY_SLOT]);
    let grant = grant(4, Role::Clinician, 11);
    let asked = bench.ask_as(PHONE, RECOVERING, Command::GrantKey(grant));
    assert_eq!(asked, DONE);
    assert_eq!(doors(&bench), [4, RECOVERY_SLOT]);
}

#[test]
fn lost_numbers_begin_anew() {
    let mut bench = enrolled();
    bench.ask(Command::ResetStatusChanged { mask: 1 });
    let mut flash = bench.flash();
    flash.set(StateKind::CommandNumbers, Recovery::Lost);
    let mut bench = Bench::new(flash);
    assert_eq!(keys(&mut bench)[0].last_number, 0);
}

#[test]
fn an_enrolment_lets_one_clinician_in_and_spends_the_secret() {
    let mut bench = new();
    let version = bench.pump.keys_version();
    let session = SessionId(1);
    let mut ask = |caller, grant| bench.ask_as(session, caller, Command::GrantKey(grant));
    for role in [
        Role::Patient,
        Role::Service,
        Role::Emergency,
        Role::Enrolling,
    ] {
        assert_eq!(ask(ENROLLING, grant(0, role, 10)), NO_KEY);
    }
    assert_eq!(ask(ENROLLING, grant(8, Role::Clinician, 10)), NO_KEY);
    assert_eq!(ask(ENROLLING, grant(3, Role::Clinician, 10)), DONE);
    assert_eq!(ask(ENROLLING, grant(4, Role::Clinician, 11)), NO_KEY);
    assert_ne!(bench.pump.keys_version(), version);
    assert_eq!(doors(&bench), [3, RECOVERY_SLOT]);
    let entry = KeyEntry {
        slot: 3,
        role: Role::Clinician,
        fingerprint: secret(10).public_key().fingerprint(),
        last_number: 0,
    };
    assert_eq!(keys(&mut bench), [entry]);
    assert!(bench.log().contains(&&Record::KeyGranted {
        slot: 3,
        role: Role::Clinician,
        fingerprint: entry.fingerprint,
    }));
    let identity: Option<IdentityRecord> = bench.kept(StateKind::Identity).unwrap();
    assert_eq!(identity.unwrap().one_time, None);
    assert_eq!(doors(&bench.power_cut()), [3, RECOVERY_SLOT]);
}

/// The link lets nobody in with it any more; and were somebody in, the pump would grant nothing.
#[test]
fn a_secret_that_is_spent_grants_nothing_in_another_session() {
    let mut bench = enrolled();
    let second = Command::GrantKey(grant(1, Role::Clinician, 11));
    assert_eq!(
        bench.ask_as(SessionId(2), ENROLLING, second.clone()),
        NO_KEY
    );
    assert_eq!(keys(&mut bench).len(), 1);
    assert_eq!(bench.ask_as(SessionId(3), RECOVERING, second), DONE);
}

#[test]
fn recovery_lets_one_clinician_in_and_stays() {
    let mut bench = enrolled();
    let grant_in = |bench: &mut Bench, session, who| {
        let grant = grant(5, Role::Clinician, who);
        bench.ask_as(SessionId(session), RECOVERING, Command::GrantKey(grant))
    };
    assert_eq!(grant_in(&mut bench, 2, 20), DONE);
    assert_eq!(grant_in(&mut bench, 2, 21), NO_KEY);
    assert_eq!(grant_in(&mut bench, 3, 21), DONE);
    assert_eq!(doors(&bench), [0, 5, RECOVERY_SLOT]);
}

/// Whatever a power cut leaves of an enrolment: nothing, or a key. Never a spent secret and no key.
#[test]
fn a_cut_leaves_a_secret_or_a_key() {
    let mut bench = new();
    bench.journal = Journal::Silent;
    let before = bench.offered.len();
    let command = Command::GrantKey(grant(0, Role::Clinician, 10));
    assert_eq!(bench.ask_as(SessionId(1), ENROLLING, command), None);
    assert_eq!(
        doors(&bench),
        [RECOVERY_SLOT, ENROLMENT_SLOT],
        "not in force"
    );
    let mut seen = Vec::new();
    for step in 0..4 {
        let reset = Bench::new(bench.flash());
        seen.push(doors(&reset));
        let Some((ticket, state, body)) = bench.offered.get(before + step).cloned() else {
            break;
        };
        bench.flash.insert(state, body);
        let reset = Bench::new(bench.flash());
        seen.push(doors(&reset));
        bench.event(Event::Persisted(ticket));
    }
    assert_eq!(seen[0], [RECOVERY_SLOT, ENROLMENT_SLOT]);
    assert_eq!(seen[1..].iter().max(), Some(&vec![0, RECOVERY_SLOT]));
    assert_eq!(seen[1..].iter().min(), Some(&vec![0, RECOVERY_SLOT]));
    assert_eq!(bench.answered(SessionId(1), bench.request), DONE);
}

#[test]
fn a_key_that_is_not_durable_was_never_granted() {
    let mut bench = new();
    bench.journal = Journal::Fails;
    let version = bench.pump.keys_version();
    let command = Command::GrantKey(grant(0, Role::Clinician, 10));
    let not_done = Some(Outcome::Refused(Refused::NotDone));
    assert_eq!(
        bench.ask_as(SessionId(1), ENROLLING, command.clone()),
        not_done
    );
    assert_eq!(doors(&bench), [RECOVERY_SLOT, ENROLMENT_SLOT]);
    assert_eq!(bench.pump.keys_version(), version);
    bench.journal = Journal::Keeps;
    assert_eq!(bench.ask_as(SessionId(1), ENROLLING, command), DONE);
}

#[test]
fn a_clinician_grants_and_revokes_all_but_its_own() {
    let mut bench = enrolled();
    let mut ask = |command| bench.ask(command);
    assert_eq!(ask(Command::GrantKey(grant(0, Role::Patient, 10))), NO_KEY);
    assert_eq!(
        ask(Command::GrantKey(grant(1, Role::Enrolling, 11))),
        NO_KEY
    );
    assert_eq!(ask(Command::RevokeKey { slot: 0 }), NO_KEY);
    assert_eq!(ask(Command::RevokeKey { slot: 8 }), NO_KEY);
    assert_eq!(ask(Command::GrantKey(grant(7, Role::Patient, 12))), DONE);
    assert_eq!(ask(Command::GrantKey(grant(7, Role::Patient, 12))), DONE);
    assert_eq!(ask(Command::RevokeKey { slot: 6 }), DONE, "there was none");
    // Its own key, exchanged.
    assert_eq!(ask(Command::GrantKey(grant(0, Role::Clinician, 13))), DONE);
    assert_eq!(ask(Command::RevokeKey { slot: 7 }), DONE);
    assert!(bench.log().contains(&&Record::KeyRevoked { slot: 7 }));
    assert_eq!(doors(&bench), [0, RECOVERY_SLOT]);
    let key = keyring(&bench).get(0).cloned().unwrap();
    assert_eq!(key.public_key, Some(secret(13).public_key()));
    for role in [Role::Patient, Role::Service, Role::Emergency] {
        let caller = Caller { slot: 3, role };
        for command in [
            Command::RevokeKey { slot: 0 },
            Command::GrantKey(grant(3, Role::Clinician, 14)),
        ] {
            assert_eq!(bench.ask_as(PHONE, caller, command), NO_KEY);
        }
    }
}

#[test]
fn another_key_begins_its_numbers_anew_and_the_same_does_not() {
    let mut bench = enrolled();
    let last = |bench: &mut Bench| {
        keys(bench)
            .iter()
            .find(|key| key.slot == 2)
            .unwrap()
            .last_number
    };
    assert_eq!(
        bench.ask(Command::GrantKey(grant(2, Role::Patient, 30))),
        DONE
    );
    bench.ask_as(PHONE, PATIENT, Command::CancelBolus);
    assert_eq!(last(&mut bench), 1);
    assert_eq!(
        bench.ask(Command::GrantKey(grant(2, Role::Clinician, 30))),
        DONE
    );
    assert_eq!(last(&mut bench), 1);
    // Taken away and granted again is the same key.
    assert_eq!(bench.ask(Command::RevokeKey { slot: 2 }), DONE);
    assert_eq!(
        bench.ask(Command::GrantKey(grant(2, Role::Patient, 30))),
        DONE
    );
    assert_eq!(last(&mut bench), 1);
    assert_eq!(
        bench.ask(Command::GrantKey(grant(2, Role::Patient, 31))),
        DONE
    );
    assert_eq!(last(&mut bench), 0);
    let mut bench = bench.power_cut();
    assert_eq!(last(&mut bench), 0);
    // Another secret is another key: so somebody who had a copy and used up all numbers has used up those of his copy.
    bench.tell(Event::Request {
        session: PHONE,
        caller: PATIENT,
        request: Request {
            id: 1,
            number: u32::MAX,
            command: Command::CancelBolus,
        },
    });
    assert_eq!(last(&mut bench), u32::MAX);
    let mut again = grant(2, Role::Patient, 31);
    again.preshared = secret(200);
    assert_eq!(bench.ask(Command::GrantKey(again)), DONE);
    assert_eq!(last(&mut bench), 0);
}

#[test]
fn a_number_counts_once_over_connections_and_resets() {
    let mut bench = enrolled();
    let extend = || Command::ResetStatusChanged { mask: u16::MAX };
    let used = |last| Some(Outcome::Refused(Refused::NumberUsed { last }));
    let mut ask =
        |session, number| bench.ask_numbered(SessionId(session), CLINICIAN, number, extend());
    assert_eq!(ask(1, 0), used(0));
    assert!(matches!(
        ask(1, 5),
        Some(Outcome::StatusChangedReset { .. })
    ));
    assert_eq!(ask(1, 5), used(5));
    assert_eq!(ask(2, 4), used(5));
    let mut bench = bench.power_cut();
    let asked = bench.ask_numbered(SessionId(1), CLINICIAN, 5, extend());
    assert_eq!(asked, used(5));
    assert_eq!(keyring(&bench).get(0).unwrap().last_number, 5);
    // Another slot has numbers of its own.
    let other = Caller {
        slot: 1,
        role: Role::Clinician,
    };
    let asked = bench.ask_numbered(SessionId(1), other, 1, extend());
    assert!(matches!(asked, Some(Outcome::StatusChangedReset { .. })));
    // No such slot.
    let nobody = Caller { slot: 8, ..other };
    let asked = bench.ask_numbered(SessionId(1), nobody, 1, extend());
    assert_eq!(asked, NO_KEY);
}

/// Between the number and what the command changes: not done, and refused when it comes again.
#[test]
fn a_cut_between_number_and_effect_does_nothing_twice() {
    let mut bench = enrolled();
    bench.journal = Journal::Silent;
    let before = bench.offered.len();
    let command = Command::OpenRefill;
    let number = bench.pump.last_command(0) + 1;
    let asked = bench.ask_numbered(PHONE, CLINICIAN, number, command.clone());
    assert_eq!(asked, None);
    let written: Vec<_> = bench.offered[before..].to_vec();
    let kinds: Vec<_> = written.iter().map(|(_, state, _)| *state).collect();
    assert_eq!(kinds, [StateKind::CommandNumbers, StateKind::Refills]);
    for kept in 0..=written.len() {
        let mut flash = bench.flash();
        for (_, state, body) in &written[..kept] {
            flash.set(*state, Recovery::Good((1, body)));
        }
        let mut reset = Bench::new(flash);
        let opened = reset.therapy().refill_open_s.is_some();
        assert_eq!(opened, kept == 2);
        let again = reset.ask_numbered(PHONE, CLINICIAN, number, command.clone());
        let used = Outcome::Refused(Refused::NumberUsed { last: number });
        match kept {
            0 => assert_eq!(again, DONE),
            _ => assert_eq!(again, Some(used)),
        }
    }
}

#[test]
fn an_order_whose_number_is_not_durable_is_not_done() {
    let mut bench = enrolled();
    bench.journal = Journal::Silent;
    let before = bench.offered.len();
    assert_eq!(bench.ask(Command::OpenRefill), None);
    let (number, order) = (bench.offered[before].0, bench.offered[before + 1].0);
    bench.event(Event::PersistFailed(number));
    let not_done = Some(Outcome::Refused(Refused::NotDone));
    assert_eq!(bench.answered(PHONE, bench.request), not_done);
    // It lands nevertheless, and what is in force is behind it.
    let late = bench.offered[before + 1].clone();
    bench.flash.insert(late.1, late.2);
    bench.event(Event::Persisted(order));
    for (_, state, body) in bench.offered.iter().skip(before + 2) {
        bench.flash.insert(*state, body.clone());
    }
    assert_eq!(bench.power_cut().therapy().refill_open_s, None);
}

/// A stop acts before anything is written.
#[test]
fn a_stop_waits_for_no_number() {
    let mut bench = enrolled();
    bench.program(&baclofen());
    bench.run(Duration::from_hours(1));
    let staged = bench.stage(&stopped());
    bench.journal = Journal::Silent;
    assert_eq!(bench.ask(Command::Commit(staged.commit(None))), None);
    let made = bench.made();
    bench.run(Duration::from_seconds(4));
    assert_eq!(bench.made(), made);
}

#[test]
fn a_refused_command_wears_no_flash() {
    let mut bench = enrolled();
    bench.run(Duration::from_minutes(1));
    let before = bench.offered.len();
    for _ in 0..20 {
        let asked = bench.ask(Command::CloseRefill);
        assert!(matches!(asked, Some(Outcome::Refused(_))));
    }
    assert_eq!(bench.offered.len(), before);
}

#[test]
fn a_patients_phone_moves_the_zone_by_an_hour_and_ends_the_patients_own_boluses() {
    let mut bench = enrolled();
    let zone = |offset_min, reason| Command::SetZone(SetZone { offset_min, reason });
    let reason = Some(OverrideReason::InNotes);
    assert_eq!(bench.ask(zone(120, reason)), DONE);
    let mut ask = |command| bench.ask_as(PHONE, PATIENT, command);
    assert_eq!(ask(zone(60, None)), DONE);
    // A reason makes no clinician.
    let refused = ask(zone(-300, reason));
    assert!(matches!(
        refused,
        Some(Outcome::Refused(Refused::OutOfRange { .. }))
    ));
    assert_eq!(ask(zone(120, reason)), DONE);
    assert_eq!(ask(Command::CancelBolus), DONE, "there is none");
}

#[test]
fn orders_are_numbered_by_slot() {
    let mut bench = enrolled();
    bench.program(&baclofen());
    let command = Command::PatientBolus { number: 2 };
    let expected = Refused::OutOfRange {
        field: Field::JobNumber,
        value: 2,
        lowest: 1,
        highest: 1,
    };
    let asked = bench.ask_as(PHONE, PATIENT, command);
    assert_eq!(asked, Some(Outcome::Refused(expected)));
    let nobody = bench.ask_as(PHONE, ENROLLING, Command::PatientBolus { number: 1 });
    let used = Refused::NotNow {
        why: NotNow::NumberUsed,
    };
    assert_eq!(nobody, Some(Outcome::Refused(used)));
}

#[test]
fn the_card_shows_what_the_pump_does() {
    let mut bench = enrolled();
    let card = bench.pump.card(bench.clock());
    assert_eq!(card.pump, secret(1).public_key().fingerprint());
    assert_eq!(card.delivery, DeliveryState::NotProgrammed);
    assert_eq!((card.drugs.len(), card.reservoir_nl), (0, None));
    bench.program(&baclofen());
    bench.run(Duration::from_hours(1));
    let card = bench.pump.card(bench.clock());
    assert_eq!(card.delivery, DeliveryState::Running);
    assert_eq!(card.drugs.first(), Some(&baclofen().primary));
    assert_eq!(
        (card.flow_nl_per_day, card.dose_ng_per_day),
        (125_000, 250_000)
    );
    assert_eq!(card.reservoir_nl, Some(19_994_792));
    assert_eq!(card.last_bolus, None);
    let wall = WallTime::from_millis(1_767_607_200_000);
    bench.ask(Command::SetClock(SetClock {
        wall,
        uncertainty: Duration::from_seconds(1),
        reason: None,
    }));
    let card = bench.pump.card(bench.clock());
    assert_eq!(card.clock.wall(), Some(wall));
    let mut buffer = [0; protocol::CARD_BYTES];
    assert!(card.encode(&mut buffer).is_some());
}

/// One thing that happens to the keys.
#[derive(Clone, Debug)]
enum Happens {
    Grant {
        by: u8,
        slot: u8,
        role: usize,
        who: u8,
    },
    Revoke {
        by: u8,
        slot: u8,
    },
    Command {
        slot: u8,
        number: u32,
    },
    /// A power cut, when so many of what was handed to the flash have landed.
    Cut {
        landed: usize,
    },
}

fn happens() -> impl Strategy<Value = Happens> {
    let by = prop_oneof![0_u8..8, Just(ENROLMENT_SLOT), Just(RECOVERY_SLOT)];
    prop_oneof![
        3 => (by.clone(), 0_u8..9, 0_usize..4, 0_u8..5)
            .prop_map(|(by, slot, role, who)| Happens::Grant { by, slot, role, who }),
        1 => (by, 0_u8..9).prop_map(|(by, slot)| Happens::Revoke { by, slot }),
        3 => (0_u8..8, 1_u32..12).prop_map(|(slot, number)| Happens::Command { slot, number }),
        2 => (0_usize..6).prop_map(|landed| Happens::Cut { landed }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is granted, revoked and cut off: the card's secret lets in, a clinician's key stays where there was one, the one-time
    /// secret is spent with a key only, and no number is taken twice.
    #[test]
    fn there_is_always_a_way_in_and_no_number_counts_twice(
        sequence in proptest::collection::vec(happens(), 1..40)
    ) {
        let mut bench = new();
        // Numbers that did something, by slot and key.
        let mut done = std::collections::BTreeSet::new();
        let mut had_clinician = false;
        for (at, happens) in sequence.into_iter().enumerate() {
            let session = SessionId(100 + at as u32);
            let by = |bench: &Bench, slot: u8| {
                keyring(bench).get(slot).map(|key| Caller { slot, role: key.role })
            };
            let before = bench.flash.clone();
            let offered = bench.offered.len();
            match happens {
                Happens::Grant { by: slot, slot: to, role, who } => {
                    if let Some(caller) = by(&bench, slot) {
                        let replaced = keyring(&bench).get(to).and_then(|key| key.public_key);
                        let grant = grant(to, Role::GRANTED[role], 40 + who);
                        let other = replaced.is_some_and(|key| key != grant.public_key);
                        let asked = bench.ask_as(session, caller, Command::GrantKey(grant));
                        if asked == DONE && other {
                            done.retain(|(slot, _)| *slot != to);
                        }
                    }
                }
                Happens::Revoke { by: slot, slot: to } => {
                    if let Some(caller) = by(&bench, slot) {
                        bench.ask_as(session, caller, Command::RevokeKey { slot: to });
                    }
                }
                Happens::Command { slot, number } => {
                    if let Some(caller) = by(&bench, slot) {
                        let mask = u16::MAX;
                        let command = Command::ResetStatusChanged { mask };
                        let asked = bench.ask_numbered(session, caller, number, command);
                        if let Some(Outcome::StatusChangedReset { .. }) = asked {
                            prop_assert!(done.insert((slot, number)), "{slot} {number}");
                        }
                    }
                }
                Happens::Cut { landed } => {
                    // A grant under way, of which some has landed.
                    let mut flash = before;
                    if let Some(caller) = by(&bench, ENROLMENT_SLOT).or(by(&bench, RECOVERY_SLOT)) {
                        let grant = grant(7, Role::Clinician, 50);
                        let replaced = keyring(&bench).get(7).and_then(|key| key.public_key);
                        bench.ask_as(session, caller, Command::GrantKey(grant.clone()));
                        if replaced.is_some_and(|key| key != grant.public_key) && landed > 0 {
                            done.retain(|(slot, _)| *slot != 7);
                        }
                        for (_, state, body) in bench.offered[offered..].iter().take(landed) {
                            flash.insert(*state, body.clone());
                        }
                    }
                    bench.flash = flash;
                    bench = bench.power_cut();
                    had_clinician = false;
                }
            }
            let keyring = keyring(&bench);
            prop_assert!(keyring.get(RECOVERY_SLOT).is_some());
            let clinician = (0..8).any(|slot| {
                keyring.get(slot).is_some_and(|key| key.role == Role::Clinician)
            });
            prop_assert!(clinician || !had_clinician);
            prop_assert!(clinician || keyring.get(ENROLMENT_SLOT).is_some(), "a spent secret and no key");
            had_clinician = clinician;
        }
    }
}

// ---- Those who are not let in ----

/// Every failure is in the log, and however many there are, an hour has one record, and a session that opens one ahead of its own.
#[test]
fn failures_are_counted_and_recorded_once_an_hour() {
    let mut bench = enrolled();
    bench.actions.clear();
    let failures = |bench: &Bench| {
        let failure = |action: &Action| match action {
            Action::Append {
                session: None,
                record: Record::AuthenticationFailed { slot, times },
            } => Some((*slot, *times)),
            _ => None,
        };
        bench.actions.iter().filter_map(failure).collect::<Vec<_>>()
    };
    let fail = |bench: &mut Bench, slot| bench.tell(Event::AuthenticationFailed { slot });
    fail(&mut bench, 3);
    assert_eq!(failures(&bench), [(3, 1)], "the first at once");
    for slot in 0..100 {
        fail(&mut bench, slot);
    }
    bench.run(Duration::from_minutes(60).saturating_sub(Duration::from_millis(1)));
    fail(&mut bench, 7);
    assert_eq!(failures(&bench), [(3, 1)], "not an hour yet");
    bench.run(Duration::from_millis(1));
    fail(&mut bench, 9);
    assert_eq!(failures(&bench), [(3, 1), (9, 102)]);
    // Who opens a session reads of those that have come since.
    fail(&mut bench, 5);
    bench.ask_as(SessionId(9), PATIENT, Command::Interrogate);
    assert_eq!(failures(&bench), [(3, 1), (9, 102), (5, 1)]);
    let opened = bench.actions.iter().position(|action| {
        matches!(
            action,
            Action::Append {
                record: Record::SessionOpened { .. },
                ..
            }
        )
    });
    let told = bench.actions.iter().rposition(|action| {
        matches!(
            action,
            Action::Append {
                record: Record::AuthenticationFailed { .. },
                ..
            }
        )
    });
    assert!(told < opened, "ahead of the session");
    bench.ask_as(SessionId(10), PATIENT, Command::Interrogate);
    assert_eq!(failures(&bench).len(), 3, "nothing to tell");
}
