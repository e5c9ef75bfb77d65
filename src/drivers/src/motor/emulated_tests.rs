//! What the wrapper adds to the C core's own tests (tests/drivers/motor): numbers arrive, results have names, all of
//! it behaves as one object.

use std::vec::Vec;

use super::super::{
    EndedOrder, Faults, Interlock, LONGEST_GRANT, MAXIMUM_STEPS, REMEMBERED_OF_AN_HOUR,
    RunningOrder,
};
use super::*;

const SECOND_US: u64 = 1_000_000;

fn at(micros: u64) -> PumpTime {
    PumpTime::from_micros(micros)
}

/// Booted, and armed with nothing but the hard ceiling.
fn armed(configuration: &MotorConfiguration, rotor: &RotorParameters) -> EmulatedMotor {
    let mut motor = EmulatedMotor::new(configuration, rotor, at(0)).unwrap();
    motor.arm(at(0), Allowance::HARD_CEILING_ALONE).unwrap();
    motor
}

fn motor() -> EmulatedMotor {
    armed(
        &MotorConfiguration::PROGRAMMABLE_IMPLANT,
        &RotorParameters::faultless(1),
    )
}

/// 0.25 mL/day: a step every 864 ms (clinical.md 2.10).
fn order(id: u32, first_at_us: u64, steps: u32) -> Order {
    Order {
        first_at: at(first_at_us),
        period_ns: 864_000_000,
        id,
        steps,
        level: DriveLevel::Nominal,
    }
}

#[test]
fn an_order_is_made_and_counted() {
    let mut motor = motor();
    assert_eq!(motor.next_event(), None);
    assert_eq!(motor.order_end(), None);
    motor.submit(at(0), &order(7, SECOND_US, 30)).unwrap();
    assert_eq!(motor.next_event(), Some(at(SECOND_US)));
    assert_eq!(
        motor.order_end(),
        Some(at(SECOND_US + 29 * 864_000 + 3_000))
    );

    let begun = motor.status(at(SECOND_US));
    assert_eq!(begun.commanded_steps, 1);
    assert_eq!(begun.counted_pulses, 0, "the pulse has only begun");
    assert_eq!(
        begun.running,
        Some(RunningOrder {
            id: 7,
            steps_left: 29
        })
    );
    assert_eq!(begun.room(), 1);

    let ended = motor.status(motor.order_end().unwrap());
    assert_eq!(ended.at, at(SECOND_US + 29 * 864_000 + 3_000));
    assert_eq!(ended.commanded_steps, 30);
    assert_eq!(ended.counted_steps(), 30);
    assert_eq!(ended.running, None);
    assert_eq!(ended.last, Some(EndedOrder { id: 7, steps: 30 }));
    assert_eq!(ended.interlock, Interlock::Open);
    assert!(ended.faults.is_empty());
    assert_eq!(motor.turned_steps(), 30);
    assert_eq!(motor.next_event(), None);
}

#[test]
fn every_refusal_has_its_name() {
    let mut motor = motor();
    assert_eq!(
        motor.submit(at(0), &order(1, 0, 0)),
        Err(MotorError::Invalid)
    );
    assert_eq!(
        motor.submit(at(0), &order(1, 0, MAXIMUM_STEPS + 1)),
        Err(MotorError::Invalid)
    );
    motor.submit(at(0), &order(1, 0, 2)).unwrap();
    assert_eq!(
        motor.submit(at(0), &order(2, 0, 2)),
        Err(MotorError::Busy),
        "overlap"
    );
    motor.submit(at(0), &order(2, 2_000_000, 2)).unwrap();
    assert_eq!(
        motor.submit(at(0), &order(3, 9_000_000, 2)),
        Err(MotorError::Busy),
        "full"
    );
    motor.off(at(10));
    assert_eq!(
        motor.submit(at(10), &order(4, 10, 2)),
        Err(MotorError::Closed)
    );
    assert_eq!(motor.status(at(10)).interlock, Interlock::Off);

    let low = MotorConfiguration {
        ceiling_steps: 10,
        ..MotorConfiguration::PROGRAMMABLE_IMPLANT
    };
    let mut motor = armed(&low, &RotorParameters::faultless(1));
    assert_eq!(
        motor.submit(at(0), &order(1, 0, 11)),
        Err(MotorError::Ceiling)
    );
    motor.submit(at(0), &order(1, 0, 10)).unwrap();

    let broken = MotorConfiguration {
        phase_time_us: 0,
        ..low
    };
    let refused = EmulatedMotor::new(&broken, &RotorParameters::faultless(1), at(0));
    assert_eq!(refused.err(), Some(MotorError::Invalid));
}

#[test]
fn cancel_tells_what_was_made() {
    let mut motor = motor();
    motor.submit(at(0), &order(1, 0, 20)).unwrap();
    motor.submit(at(0), &order(2, 20 * 864_000, 20)).unwrap();
    assert_eq!(motor.cancel(at(3 * 864_000 + 100)), 4);
    let status = motor.status(at(60 * SECOND_US));
    assert_eq!(status.commanded_steps, 4);
    assert_eq!(
        status.counted_pulses, 4,
        "the pulse that had begun was finished"
    );
    assert_eq!(status.orders_ended, 2);
    assert_eq!(status.last, Some(EndedOrder { id: 1, steps: 4 }));
}

#[test]
fn a_reboot_keeps_the_rotor_and_nothing_else() {
    let mut motor = motor();
    motor.submit(at(0), &order(1, 0, 3)).unwrap();
    motor.advance_to(at(10 * SECOND_US));
    motor.off(at(10 * SECOND_US));
    motor.reboot(at(0)).unwrap();
    let status = motor.status(at(0));
    assert_eq!((status.commanded_steps, status.counted_pulses), (0, 0));
    assert_eq!(status.interlock, Interlock::Open);
    assert!(!status.armed);
    assert_eq!(motor.turned_steps(), 3);
    motor.arm(at(0), Allowance::HARD_CEILING_ALONE).unwrap();
    // Three steps left the rotor where phase A pulls it: the first pulse does not turn it.
    motor.submit(at(0), &order(2, 0, 4)).unwrap();
    let status = motor.status(at(10 * SECOND_US));
    assert_eq!((status.commanded_steps, status.counted_pulses), (4, 3));
    assert_eq!(motor.turned_steps(), 6);
}

#[test]
fn rotor_faults_reach_the_rotor() {
    let mut stalled = motor();
    let faultless = RotorParameters::faultless(1);
    stalled.change_rotor(
        at(0),
        &RotorParameters {
            stalled: true,
            ..faultless
        },
    );
    let mut reversed = motor();
    reversed.change_rotor(
        at(0),
        &RotorParameters {
            reversed: true,
            ..faultless
        },
    );
    let mut running = motor();
    running.change_rotor(
        at(0),
        &RotorParameters {
            runaway_period_us: SECOND_US,
            ..faultless
        },
    );
    let mut slipping = motor();
    slipping.change_rotor(
        at(0),
        &RotorParameters {
            slip_one_in: 2,
            ..faultless
        },
    );
    let mut blind = motor();
    blind.change_rotor(
        at(0),
        &RotorParameters {
            lost_pulse_one_in: 1,
            ..faultless
        },
    );
    let mut stuttering = motor();
    stuttering.change_rotor(
        at(0),
        &RotorParameters {
            double_pulse_one_in: 1,
            ..faultless
        },
    );
    let mut eager = motor();
    eager.change_rotor(
        at(0),
        &RotorParameters {
            extra_one_in: 1,
            ..faultless
        },
    );

    let outcome = |motor: &mut EmulatedMotor| {
        motor.submit(at(0), &order(1, 0, 20)).unwrap();
        let status = motor.status(at(20 * SECOND_US));
        assert_eq!(status.commanded_steps, 20);
        assert_eq!(status.faults, Faults::default());
        (status.counted_pulses, motor.turned_steps())
    };
    assert_eq!(outcome(&mut stalled), (0, 0));
    assert_eq!(outcome(&mut reversed), (-20, -20));
    assert_eq!(outcome(&mut running), (60, 60));
    assert_eq!(outcome(&mut blind), (0, 20));
    assert_eq!(outcome(&mut stuttering), (40, 20));
    assert_eq!(outcome(&mut eager), (60, 60));
    let (counted, turned) = outcome(&mut slipping);
    assert_eq!(counted, turned);
    assert!((2..=18).contains(&turned), "{turned}");
}

#[test]
fn without_an_allowance_no_order_is_taken() {
    let configuration = MotorConfiguration::PROGRAMMABLE_IMPLANT;
    let mut motor =
        EmulatedMotor::new(&configuration, &RotorParameters::faultless(1), at(0)).unwrap();
    assert_eq!(
        motor.submit(at(0), &order(1, 0, 1)),
        Err(MotorError::NotArmed)
    );
    assert_eq!(
        motor.grant(at(0), 1, LONGEST_GRANT),
        Err(MotorError::NotArmed)
    );
    assert_eq!(
        motor.arm(
            at(0),
            Allowance {
                hour_steps: 2,
                day_steps: 1
            }
        ),
        Err(MotorError::Invalid)
    );
    assert!(!motor.status(at(0)).armed);
    motor.arm(at(0), Allowance::HARD_CEILING_ALONE).unwrap();
    assert!(motor.status(at(0)).armed);
    motor.submit(at(0), &order(1, 0, 1)).unwrap();
}

#[test]
fn an_allowance_is_kept_over_a_restart_and_a_grant_adds_to_it() {
    let mut motor = motor();
    let ten = Allowance {
        hour_steps: 10,
        day_steps: 10,
    };
    let mut fresh = EmulatedMotor::new(
        &MotorConfiguration::PROGRAMMABLE_IMPLANT,
        &RotorParameters::faultless(1),
        at(0),
    )
    .unwrap();
    fresh.arm(at(0), ten).unwrap();
    fresh.submit(at(0), &order(1, 0, 8)).unwrap();
    fresh.advance_to(at(10 * SECOND_US));
    assert_eq!(
        fresh.submit(at(10 * SECOND_US), &order(2, 10 * SECOND_US, 3)),
        Err(MotorError::Allowance)
    );
    fresh.off(at(10 * SECOND_US));
    fresh.restart(at(0)).unwrap();
    assert!(fresh.status(at(0)).armed);
    // As the pump does at every boot: nothing is forgotten by it.
    fresh.arm(at(0), ten).unwrap();
    assert_eq!(
        fresh.submit(at(0), &order(3, 0, 3)),
        Err(MotorError::Allowance)
    );
    fresh
        .grant(at(0), 1, Duration::from_micros(60 * SECOND_US))
        .unwrap();
    fresh.submit(at(0), &order(3, 0, 3)).unwrap();
    assert_eq!(fresh.status(at(10 * SECOND_US)).commanded_steps, 3);
    assert_eq!(
        fresh.grant(
            at(0),
            1,
            LONGEST_GRANT.saturating_add(Duration::from_micros(1))
        ),
        Err(MotorError::Invalid)
    );
    // What the hour remembers has gone; the day's has not.
    let later = at(REMEMBERED_OF_AN_HOUR.micros() + 70 * SECOND_US);
    assert_eq!(
        fresh.submit(later, &order(4, later.micros(), 1)),
        Err(MotorError::Allowance)
    );
    // Without power nothing is known, and nothing goes without being armed.
    fresh.reboot(at(0)).unwrap();
    assert_eq!(
        fresh.submit(at(0), &order(5, 0, 1)),
        Err(MotorError::NotArmed)
    );

    // A lower allowance than before waits for the steps of the higher one.
    motor.arm(at(0), ten).unwrap();
    motor.submit(at(0), &order(1, 0, 11)).unwrap();
}

/// Each level is a longer pulse: what gives way to it gives way to the next as well.
#[test]
fn a_jam_gives_way_to_its_level_and_above() {
    let configuration = MotorConfiguration::PROGRAMMABLE_IMPLANT;
    assert_eq!(
        DriveLevel::ALL.map(|level| configuration.pulse_us(level)),
        [3_000, 4_500, 6_000]
    );
    for jam in DriveLevel::ALL {
        for level in DriveLevel::ALL {
            let mut motor = motor();
            let jammed = RotorParameters {
                jammed_below: Some(jam),
                ..RotorParameters::faultless(1)
            };
            motor.change_rotor(at(0), &jammed);
            let order = Order {
                level,
                ..order(1, 0, 20)
            };
            motor.submit(at(0), &order).unwrap();
            assert_eq!(
                motor.order_end(),
                Some(at(19 * 864_000 + u64::from(configuration.pulse_us(level))))
            );
            let turned = if level >= jam { 20 } else { 0 };
            let status = motor.status(at(20 * SECOND_US));
            assert_eq!(
                (status.commanded_steps, status.counted_pulses),
                (20, turned)
            );
        }
    }
    // The rest between pulses stays what it is, so the shortest interval grows with the pulse.
    for (level, shortest_ns) in DriveLevel::ALL
        .into_iter()
        .zip([5_000_000, 6_500_000, 8_000_000])
    {
        let order = |period_ns| Order {
            level,
            period_ns,
            ..order(1, 0, 2)
        };
        assert_eq!(
            motor().submit(at(0), &order(shortest_ns - 1)),
            Err(MotorError::Invalid)
        );
        motor().submit(at(0), &order(shortest_ns)).unwrap();
    }
}

/// The same seed and the same calls give the same run, whatever the steps in which time moves.
#[test]
fn a_run_can_be_repeated() {
    let run = |step_us: u64| -> Vec<(u64, i64)> {
        let rotor = RotorParameters {
            slip_one_in: 7,
            lost_pulse_one_in: 5,
            extra_one_in: 11,
            ..RotorParameters::faultless(42)
        };
        let configuration = MotorConfiguration::PROGRAMMABLE_IMPLANT;
        let mut motor = armed(&configuration, &rotor);
        let mut seen = Vec::new();
        for window in 0..20_u64 {
            let start = window * 30 * SECOND_US;
            motor.submit(at(start), &order(0, start, 34)).unwrap();
            let mut now = start;
            while now < start + 30 * SECOND_US {
                motor.advance_to(at(now));
                now += step_us;
            }
            let status = motor.status(at(start + 30 * SECOND_US - 1));
            seen.push((status.commanded_steps, status.counted_pulses));
        }
        seen
    };
    let coarse = run(29 * SECOND_US);
    assert_eq!(coarse, run(1_000));
    assert_eq!(coarse, run(864_000));
    assert_eq!(coarse.last().unwrap().0, 680);
}

/// A copy goes its own way: the object is plain data.
#[test]
fn a_copy_is_independent() {
    let mut original = motor();
    original.submit(at(0), &order(1, 1, 20)).unwrap();
    let mut copy = original.clone();
    copy.off(at(0));
    assert_eq!(copy.status(at(60 * SECOND_US)).commanded_steps, 0);
    assert_eq!(original.status(at(60 * SECOND_US)).commanded_steps, 20);
}

/// bindgen asserts every offset when this is compiled; these are the sizes that Zephyr's side asserts too.
#[test]
fn layouts_are_those_of_the_header() {
    assert_eq!(size_of::<bindings::thecal_motor_order>(), 32);
    assert_eq!(size_of::<bindings::thecal_motor_status>(), 56);
    assert_eq!(size_of::<bindings::thecal_motor_config>(), 20);
    assert_eq!(size_of::<bindings::thecal_rotor_parameters>(), 48);
    assert_eq!(align_of::<bindings::thecal_motor_order>(), 8);
    assert_eq!(align_of::<bindings::thecal_motor_status>(), 8);
}
