#![allow(clippy::arithmetic_side_effects)]

use std::string::ToString;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_seconds(1);
const MINUTE: Duration = Duration::from_minutes(1);

fn at(seconds: u64) -> PoweredTime {
    PoweredTime::from_micros(seconds * 1_000_000)
}

fn implant() -> Alarms {
    Alarms::new(PumpKind::ProgrammableImplant)
}

fn external() -> Alarms {
    Alarms::new(PumpKind::ExternalTrial)
}

/// Runs from one second to another, calling only when asked to, and tells which tones came when.
fn run(alarms: &mut Alarms, from: u64, to: u64) -> Vec<(u64, AlarmKind)> {
    let mut tones = Vec::new();
    let mut now = at(from);
    while now <= at(to) {
        if let Some(tone) = alarms.tick(now) {
            tones.push((now.micros() / 1_000_000, tone.kind));
        }
        match alarms.next_call() {
            Some(next) => now = next.max(now.saturating_add(Duration::from_micros(1))),
            None => break,
        }
    }
    tones
}

/// Clinical reference, 1.9, and the fault table of docs/therapy.md: what is critical, and nothing else.
const CRITICAL: [AlarmKind; 22] = [
    AlarmKind::OverDelivery,
    AlarmKind::ReverseDelivery,
    AlarmKind::Interlock,
    AlarmKind::MotorDriver,
    AlarmKind::EndOfService,
    AlarmKind::EmptyReservoir,
    AlarmKind::MotorStall,
    AlarmKind::UnderDelivery,
    AlarmKind::ProgramLost,
    AlarmKind::Commissioning,
    AlarmKind::ClockLost,
    AlarmKind::RefillNotConfirmed,
    AlarmKind::StoppedTooLong,
    AlarmKind::DeliveryLost,
    AlarmKind::ResumedAtMinimum,
    AlarmKind::EmergencyMinimumRate,
    AlarmKind::BridgeLost,
    AlarmKind::Restarted,
    AlarmKind::MemoryLost,
    AlarmKind::SelfTest,
    AlarmKind::ReplaceNow,
    AlarmKind::TrialExpired,
];

/// Each kind alone: class, sound, at once, again at exactly its interval, for ever.
///
/// Requirement: AC-19, R-19
#[test]
fn every_kind_sounds_at_once_and_at_its_interval() {
    for kind in AlarmKind::ALL.iter().copied() {
        let critical = CRITICAL.contains(&kind);
        for pump in PumpKind::ALL.iter().copied() {
            let mut alarms = Alarms::new(pump);
            assert_eq!(alarms.next_call(), None);
            assert!(alarms.raise(kind, at(1_000)), "it belongs in the log");
            assert!(!alarms.raise(kind, at(1_000)));
            assert!(alarms.next_call().unwrap() <= at(1_000));
            let tone = alarms.tick(at(1_000)).unwrap();
            assert_eq!(tone.kind, kind);
            assert_eq!(tone.class == AlarmClass::Critical, critical, "{kind}");
            let (sound, interval, seconds) = match (pump, critical) {
                (PumpKind::ExternalTrial, true) => (tone.sound, 10, 3),
                (PumpKind::ExternalTrial, false) => (Sound::Burst(Urgency::Low), 30, 3),
                (_, true) => (Sound::TwoTone, 600, 3),
                (_, false) => (Sound::SingleTone, 3_600, 1),
            };
            assert_eq!(tone.sound, sound);
            assert_eq!(
                sound == Sound::Burst(Urgency::Low),
                pump == PumpKind::ExternalTrial && !critical
            );
            assert_eq!(sound.duration(), Duration::from_seconds(seconds));
            for round in 1..100 {
                let due = at(1_000 + round * interval);
                assert_eq!(alarms.next_call(), Some(due));
                assert_eq!(
                    alarms.tick(due.saturating_sub(Duration::from_micros(1))),
                    None
                );
                assert_eq!(alarms.tick(due).unwrap().kind, kind);
            }
        }
    }
}

#[test]
fn commissioned_as_another_kind_it_sounds_as_that() {
    let mut alarms = Alarms::new(PumpKind::ProgrammableImplant);
    alarms.set_pump(PumpKind::ExternalTrial);
    assert!(alarms.raise(AlarmKind::ALL[0], at(1)));
    let tone = alarms.tick(at(1)).unwrap();
    assert!(matches!(tone.sound, Sound::Burst(_)), "{tone:?}");
}

/// However many are raised at once, the highest sounds within 5 s, also into the tone of another, and critical before the rest.
///
/// Requirement: AC-19
#[test]
fn the_highest_goes_first_and_the_others_wait_their_turn() {
    let mut alarms = implant();
    alarms.raise(AlarmKind::BolusesDenied, at(0));
    assert_eq!(alarms.tick(at(0)).unwrap().kind, AlarmKind::BolusesDenied);
    for kind in AlarmKind::ALL {
        alarms.raise(*kind, at(0));
    }
    let tones = run(&mut alarms, 0, 599);
    assert_eq!(tones.len(), 28);
    assert_eq!(tones[0], (2, AlarmKind::OverDelivery));
    for (place, (second, kind)) in (1_u8..).zip(&tones) {
        assert_eq!(Alarm::of(*kind).priority, place);
        assert_eq!(CRITICAL.contains(kind), place <= 22);
        let seconds = u64::from(place) - 1;
        assert_eq!(
            *second,
            2 + 4 * seconds.min(22) + 2 * seconds.saturating_sub(22)
        );
    }
}

#[test]
fn the_tone_that_plays_is_played_to_its_end() {
    let mut alarms = implant();
    alarms.raise(AlarmKind::MotorStall, at(0));
    alarms.tick(at(0)).unwrap();
    alarms.raise(AlarmKind::OverDelivery, at(1));
    assert_eq!(alarms.next_call(), Some(at(4)));
    assert_eq!(
        alarms.tick(at(4).saturating_sub(Duration::from_micros(1))),
        None
    );
    assert_eq!(alarms.tick(at(4)).unwrap().kind, AlarmKind::OverDelivery);
}

/// Requirement: TH-alarm-table
#[test]
fn all_transitions_are_those_of_the_table() {
    use AlarmState::{Acknowledged, Active, Inactive, Latched};
    for kind in AlarmKind::ALL.iter().copied() {
        let latches = Alarm::of(kind).ending != Ending::WithCondition;
        let sounds_latched = Alarm::of(kind).ending == Ending::SoundsUntilAcknowledged;
        let gone = if latches { Latched } else { Inactive };
        let mut alarms = implant();
        assert!(!alarms.clear(kind) && !alarms.acknowledge(kind));
        assert_eq!(alarms.state(kind), Inactive);
        assert!(alarms.raise(kind, at(0)));
        assert_eq!(alarms.state(kind), Active);
        alarms.tick(at(0)).unwrap();
        assert!(alarms.clear(kind));
        assert_eq!(alarms.state(kind), gone);
        assert_eq!(alarms.sounding().contains(kind), sounds_latched);
        assert_eq!(alarms.next_call().is_some(), sounds_latched);
        assert!(!alarms.clear(kind));
        assert_eq!(alarms.state(kind), gone);
        assert!(alarms.raise(kind, at(5)), "back again");
        assert_eq!(alarms.tick(at(5)).unwrap().kind, kind, "and at once");
        assert!(alarms.acknowledge(kind));
        assert!(!alarms.acknowledge(kind));
        assert_eq!(alarms.state(kind), Acknowledged);
        assert!(alarms.sounding().contains(kind));
        assert!(!alarms.raise(kind, at(6)));
        assert_eq!(alarms.state(kind), Acknowledged);
        assert!(
            !run(&mut alarms, 6, 4_000).is_empty(),
            "never silent for good"
        );
        assert!(alarms.clear(kind));
        assert_eq!(alarms.state(kind), Inactive);
        assert_eq!(alarms.next_call(), None);
        // Latched, then acknowledged.
        assert!(alarms.happened(kind, at(5_000)));
        assert_eq!(alarms.acknowledge(kind), latches);
        assert_eq!(alarms.state(kind), Inactive);
        assert_eq!(alarms.tick(at(5_000)), None);
    }
}

#[test]
fn what_happened_sounds_until_it_is_acknowledged() {
    let mut alarms = implant();
    assert!(alarms.happened(AlarmKind::Restarted, at(0)));
    assert!(!alarms.forbids_boluses());
    assert_eq!(run(&mut alarms, 0, 1_200).len(), 3);
    alarms.acknowledge(AlarmKind::Restarted);
    assert_eq!(run(&mut alarms, 1_201, 9_000), []);
}

/// GIP 1.4.11: no bolus while an alarm sounds that says so.
///
/// Requirement: TH-alarm-table
#[test]
fn critical_alarms_forbid_boluses_with_two_exceptions() {
    for kind in AlarmKind::ALL.iter().copied() {
        let forbids = CRITICAL.contains(&kind)
            && ![AlarmKind::Restarted, AlarmKind::ReplaceNow].contains(&kind);
        let mut alarms = implant();
        alarms.raise(kind, at(0));
        assert_eq!(alarms.forbids_boluses(), forbids, "{kind}");
        alarms.acknowledge(kind);
        assert_eq!(alarms.forbids_boluses(), forbids, "{kind}");
        alarms.clear(kind);
        assert!(!alarms.forbids_boluses());
    }
}

#[test]
fn intervals_have_floors_and_ceilings() {
    for (minutes, hours, allowed) in [
        (10, 1, true),
        (120, 24, true),
        (9, 1, false),
        (121, 1, false),
        (10, 0, false),
        (10, 25, false),
    ] {
        assert_eq!(AlarmIntervals::new(minutes, hours).is_ok(), allowed);
    }
    assert_eq!(
        AlarmIntervals::default(),
        AlarmIntervals::new(10, 1).unwrap()
    );
    assert_eq!(
        AlarmIntervals::new(0, 1).unwrap_err().to_string(),
        "critical alarms cannot sound every 0 min: the interval must be from 10 to 120 min"
    );
    assert_eq!(
        AlarmIntervals::new(10, 25).unwrap_err().to_string(),
        "non-critical alarms cannot sound every 25 h: the interval must be from 1 to 24 h"
    );
    // A record that says never is not believed.
    let damaged: AlarmIntervals = postcard::from_bytes(&[255, 255]).unwrap();
    assert_eq!(
        damaged.of(AlarmClass::Critical),
        Duration::from_minutes(120)
    );
    assert_eq!(
        damaged.of(AlarmClass::NonCritical),
        Duration::from_hours(24)
    );
    let damaged: AlarmIntervals = postcard::from_bytes(&[0, 0]).unwrap();
    assert_eq!(damaged.of(AlarmClass::Critical), Duration::from_minutes(10));
    assert_eq!(damaged.of(AlarmClass::NonCritical), Duration::from_hours(1));
}

#[test]
fn a_new_interval_cuts_the_one_that_runs_and_lengthens_the_next() {
    let mut alarms = implant();
    alarms.set_intervals(AlarmIntervals::new(120, 24).unwrap(), at(0));
    alarms.raise(AlarmKind::MotorStall, at(0));
    alarms.raise(AlarmKind::LowReservoir, at(0));
    run(&mut alarms, 0, 100);
    assert_eq!(alarms.next_call(), Some(at(7_200)));
    alarms.set_intervals(AlarmIntervals::DEFAULT, at(100));
    assert_eq!(alarms.next_call(), Some(at(700)));
    alarms.set_intervals(AlarmIntervals::new(30, 1).unwrap(), at(100));
    assert_eq!(
        run(&mut alarms, 100, 4_000),
        [
            (700, AlarmKind::MotorStall),
            (2_500, AlarmKind::MotorStall),
            (3_700, AlarmKind::LowReservoir),
        ]
    );
}

/// Requirement: AC-19
#[test]
fn an_implant_is_not_silenced() {
    let mut alarms = implant();
    alarms.raise(AlarmKind::MotorStall, at(0));
    alarms.tick(at(0));
    assert_eq!(
        alarms.silence(AlarmKind::MotorStall, SECOND, at(1)),
        Err(AlarmRefusal::Implant)
    );
    assert_eq!(
        AlarmRefusal::Implant.to_string(),
        "an implanted pump is not silenced: a clinician can set the interval of its alarms"
    );
}

/// GIP 3.2.1, 3.2.2: two minutes at most, and never permanent.
///
/// Requirement: AC-19
#[test]
fn a_silence_lasts_two_minutes_at_most() {
    let kind = AlarmKind::MotorStall;
    let mut alarms = external();
    assert_eq!(
        alarms.silence(kind, SECOND, at(0)),
        Err(AlarmRefusal::NotSounding { kind })
    );
    alarms.raise(kind, at(0));
    let refusal = AlarmRefusal::NotYetHeard { kind };
    assert_eq!(alarms.silence(kind, SECOND, at(0)), Err(refusal));
    assert_eq!(
        refusal.to_string(),
        "the alarm \"motor stall\" has not sounded yet: it can be silenced after its tone"
    );
    alarms.tick(at(0)).unwrap();
    let silence = LONGEST_SILENCE.saturating_add(Duration::from_micros(1));
    let refusal = AlarmRefusal::SilenceTooLong { silence };
    assert_eq!(alarms.silence(kind, silence, at(5)), Err(refusal));
    assert_eq!(
        refusal.to_string(),
        "an alarm cannot be silenced for 120.000001 s: at most 2 min are allowed"
    );
    assert_eq!(alarms.silence(kind, LONGEST_SILENCE, at(5)), Ok(()));
    // A second one changes nothing, and one at its very end does not go on from it.
    assert_eq!(alarms.silence(kind, LONGEST_SILENCE, at(100)), Ok(()));
    assert_eq!(run(&mut alarms, 100, 124), []);
    assert_eq!(
        alarms.silence(kind, LONGEST_SILENCE, at(125)),
        Err(AlarmRefusal::NotYetHeard { kind })
    );
    assert_eq!(
        run(&mut alarms, 125, 140),
        [(125, kind), (130, kind), (140, kind)]
    );
}

#[test]
fn a_second_silence_ends_with_the_first() {
    let (first, second) = (AlarmKind::MotorStall, AlarmKind::LowReservoir);
    let mut alarms = external();
    alarms.raise(first, at(0));
    alarms.raise(second, at(0));
    run(&mut alarms, 0, 5);
    alarms.silence(first, MINUTE, at(6)).unwrap();
    alarms.silence(second, LONGEST_SILENCE, at(8)).unwrap();
    assert_eq!(run(&mut alarms, 8, 65), []);
    assert_eq!(run(&mut alarms, 66, 71), [(66, first), (70, second)]);
}

#[test]
fn a_new_alarm_sounds_through_a_silence() {
    let (first, second) = (AlarmKind::MotorStall, AlarmKind::LowReservoir);
    let mut alarms = external();
    alarms.raise(first, at(0));
    alarms.tick(at(0));
    alarms.silence(first, LONGEST_SILENCE, at(4)).unwrap();
    alarms.raise(second, at(5));
    assert_eq!(alarms.tick(at(5)).unwrap().kind, second);
    // So does the silenced one when it comes back.
    alarms.clear(first);
    alarms.raise(first, at(9));
    assert_eq!(alarms.tick(at(9)).unwrap().kind, first);
}

#[test]
fn mri_mode_defers_what_comes_after_it() {
    let mut alarms = implant();
    alarms.raise(AlarmKind::LowReservoir, at(0));
    alarms.defer(at(3_600), at(0));
    assert_eq!(
        alarms.tick(at(0)).unwrap().kind,
        AlarmKind::LowReservoir,
        "it was there before"
    );
    alarms.raise(AlarmKind::MotorStall, at(60));
    assert_eq!(
        run(&mut alarms, 60, 3_650),
        [
            (3_600, AlarmKind::MotorStall),
            (3_604, AlarmKind::LowReservoir)
        ]
    );
}

#[test]
fn an_alarm_that_comes_and_goes_in_mri_mode_is_deferred() {
    let kind = AlarmKind::MotorStall;
    let mut alarms = implant();
    alarms.defer(at(3_600), at(0));
    alarms.raise(kind, at(10));
    alarms.clear(kind);
    assert_eq!(alarms.next_call(), None);
    alarms.raise(kind, at(20));
    assert_eq!(run(&mut alarms, 20, 3_610), [(3_600, kind)]);
}

#[test]
fn a_deferral_is_two_hours_at_most_and_not_lengthened() {
    let kind = AlarmKind::MotorStall;
    let mut alarms = implant();
    alarms.raise(kind, at(0));
    alarms.tick(at(0));
    alarms.defer(PoweredTime::MAX, at(10));
    alarms.defer(PoweredTime::MAX, at(3_600));
    assert_eq!(run(&mut alarms, 10, 7_209), []);
    // At its end another may begin, but the tone goes first.
    alarms.defer(PoweredTime::MAX, at(7_210));
    assert_eq!(run(&mut alarms, 7_210, 14_409), [(7_210, kind)]);
    alarms.defer(at(14_409), at(14_409));
    assert_eq!(alarms.tick(at(14_409)).unwrap().kind, kind, "ended early");
    for end in [14_409, 14_420] {
        alarms.defer(at(end), at(14_420));
        assert!(
            !alarms.deferring,
            "an end that is not to come begins nothing"
        );
    }
}

/// Requirement: AC-19
#[test]
fn latched_alarms_come_back_after_a_reset() {
    let mut alarms = implant();
    alarms.raise(AlarmKind::OverDelivery, at(0));
    alarms.raise(AlarmKind::MotorStall, at(0));
    alarms.clear(AlarmKind::MotorStall);
    alarms.happened(AlarmKind::MemoryLost, at(0));
    run(&mut alarms, 0, 100);
    alarms.defer(at(5_000), at(100));
    let mut buffer = [0; 32];
    let bytes = postcard::to_slice(&alarms, &mut buffer).unwrap();
    let mut alarms: Alarms = postcard::from_bytes(bytes).unwrap();
    assert_eq!(alarms.state(AlarmKind::MotorStall), AlarmState::Latched);
    // Powered time may be a minute behind after a loss of power.
    assert_eq!(
        run(&mut alarms, 40, 100),
        [(40, AlarmKind::OverDelivery), (44, AlarmKind::MemoryLost)]
    );
}

#[test]
fn it_is_small() {
    assert!(size_of::<Alarms>() <= 60);
    let mut alarms = implant();
    for kind in AlarmKind::ALL {
        alarms.raise(*kind, at(0));
    }
    alarms.intervals = AlarmIntervals::new(120, 24).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(postcard::to_slice(&alarms, &mut buffer).unwrap().len(), 13);
}

#[test]
fn every_refusal_says_what_is_allowed() {
    let kind = AlarmKind::LowReservoir;
    assert_eq!(
        AlarmRefusal::NotSounding { kind }.to_string(),
        "the alarm \"low reservoir\" does not sound: there is nothing to silence"
    );
}

#[test]
fn sets_hold_what_was_put_in() {
    let (first, second) = (
        AlarmSet::of(AlarmKind::MotorStall),
        AlarmSet::of(AlarmKind::DrugExpired),
    );
    let both = first.with(second);
    assert!(
        both.iter()
            .eq([AlarmKind::MotorStall, AlarmKind::DrugExpired])
    );
    assert_eq!(both.highest(), Some(AlarmKind::MotorStall));
    assert_eq!((both.without(first), both.and(first)), (second, first));
    assert_eq!(AlarmSet::NONE.highest(), None);
    assert!(AlarmSet::NONE.is_empty() && !both.is_empty());
}

#[test]
fn an_update_touches_only_what_is_judged() {
    let (first, second) = (AlarmKind::MotorStall, AlarmKind::UnderDelivery);
    let judged = AlarmSet::of(first).with(AlarmSet::of(second));
    let mut alarms = implant();
    alarms.raise(AlarmKind::LowReservoir, at(0));
    alarms.raise(second, at(0));
    assert_eq!(
        alarms.update(judged, AlarmSet::of(first), at(1)),
        AlarmSet::of(first)
    );
    assert_eq!(
        alarms.update(judged, AlarmSet::of(first), at(2)),
        AlarmSet::NONE
    );
    assert_eq!(
        alarms.present(),
        AlarmSet::of(first).with(AlarmSet::of(AlarmKind::LowReservoir))
    );
}

#[derive(Clone, Copy, Debug)]
enum Deed {
    Raise(AlarmKind),
    Clear(AlarmKind),
    Acknowledge(AlarmKind),
    Silence(AlarmKind, u64),
    Defer(u64),
    Intervals(u8, u8),
    Reset,
}

fn deed() -> impl Strategy<Value = Deed> {
    // Few kinds, so that they meet.
    let kind = prop::sample::select(std::vec![
        AlarmKind::OverDelivery,
        AlarmKind::MotorStall,
        AlarmKind::Restarted,
        AlarmKind::LowReservoir,
        AlarmKind::MemoryRepaired,
    ]);
    prop_oneof![
        4 => kind.clone().prop_map(Deed::Raise),
        2 => kind.clone().prop_map(Deed::Clear),
        2 => kind.clone().prop_map(Deed::Acknowledge),
        3 => (kind, 0_u64..130).prop_map(|(kind, seconds)| Deed::Silence(kind, seconds)),
        2 => (0_u64..10_000).prop_map(Deed::Defer),
        1 => (10_u8..=20, 1_u8..=3).prop_map(|(minutes, hours)| Deed::Intervals(minutes, hours)),
        1 => Just(Deed::Reset),
    ]
}

proptest! {
    /// A critical condition that is present is never silent for longer than its interval, one mute, and the tones before it.
    ///
    /// Requirement: AC-19, R-19
    #[test]
    fn what_is_present_is_never_silent_for_good(
        outside in any::<bool>(),
        deeds in prop::collection::vec((0_u64..3_000, deed()), 1..80),
    ) {
        let mut alarms = if outside { external() } else { implant() };
        let mut now = 0_u64;
        // Since when each kind has sounded without having been heard.
        let mut quiet_since = [None::<u64>; 29];
        let mut previous_tone = None::<u64>;
        let mut longest_deferral = 0;
        for (wait, deed) in deeds {
            let end = now + wait;
            // Called when asked to, and once at the end.
            while now < end {
                if let Some(tone) = alarms.tick(at(now)) {
                    prop_assert!(alarms.sounding().contains(tone.kind));
                    prop_assert!(previous_tone.is_none_or(|previous| previous + 2 <= now));
                    previous_tone = Some(now);
                    for (kind, since) in AlarmKind::ALL.iter().zip(&mut quiet_since) {
                        if *kind == tone.kind {
                            *since = Some(now);
                        }
                    }
                }
                for (kind, since) in AlarmKind::ALL.iter().zip(&mut quiet_since) {
                    let class = Alarm::of(*kind).class;
                    if alarms.sounding().contains(*kind) {
                        let longest_interval = match (outside, class) {
                            (true, AlarmClass::Critical) => 10,
                            (true, AlarmClass::NonCritical) => 30,
                            (false, AlarmClass::Critical) => 20 * 60,
                            (false, AlarmClass::NonCritical) => 3 * 3_600,
                        };
                        let tones = 5 * 4;
                        let quiet = now - *since.get_or_insert(now);
                        prop_assert!(
                            quiet <= longest_interval + longest_deferral + tones + u64::from(outside) * 120,
                            "{kind} silent for {quiet} s"
                        );
                    } else {
                        *since = None;
                    }
                }
                now = match alarms.next_call() {
                    Some(next) => next.micros().div_ceil(1_000_000).clamp(now + 1, end.max(now + 1)),
                    None => end,
                };
            }
            match deed {
                Deed::Raise(kind) => { alarms.raise(kind, at(now)); }
                Deed::Clear(kind) => { alarms.clear(kind); }
                Deed::Acknowledge(kind) => { alarms.acknowledge(kind); }
                Deed::Silence(kind, seconds) => {
                    let before = alarms;
                    let silence = SECOND.saturating_mul(seconds);
                    if alarms.silence(kind, silence, at(now)).is_err() {
                        prop_assert_eq!(before.sounding(), alarms.sounding());
                    }
                }
                Deed::Defer(seconds) => {
                    alarms.defer(at(now + seconds), at(now));
                    longest_deferral = longest_deferral.max(seconds.min(7_200));
                }
                Deed::Intervals(minutes, hours) =>
                    alarms.set_intervals(AlarmIntervals::new(minutes, hours).unwrap(), at(now)),
                Deed::Reset => {
                    let mut buffer = [0; 32];
                    let bytes = postcard::to_slice(&alarms, &mut buffer).unwrap();
                    alarms = postcard::from_bytes(bytes).unwrap();
                    previous_tone = None;
                }
            }
        }
    }
}
