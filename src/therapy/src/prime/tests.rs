#![allow(clippy::arithmetic_side_effects)]

use std::string::ToString;

use proptest::prelude::*;
use units::Drug;

use super::*;
use crate::catheter::{CatheterRecord, Upstream};
use crate::path::{Content, Solution};
use crate::reservoir::Reservoir;

const BOUNDS: Bounds = Bounds::PROGRAMMABLE_IMPLANT;
const NOW: PoweredTime = PoweredTime::from_micros(1_000_000_000_000);

fn morphine() -> Content {
    Content::Solution(Solution::of(Drug::Morphine, "10 mg/mL".parse().unwrap()).unwrap())
}

fn record(nanolitres: u32) -> CatheterRecord {
    CatheterRecord {
        model: 1,
        upstream: Upstream::PumpTubing { nanolitres },
        implanted_millimetres: 810,
        trimmed_millimetres: 0,
        nanolitres_per_centimetre: 2_200,
        tip: None,
    }
}

/// The reference case: 0.140 mL of tubing and 0.1782 mL of catheter.
fn reference() -> Catheter {
    Catheter::new(record(140_000)).unwrap()
}

fn external() -> Catheter {
    Catheter::new(CatheterRecord {
        upstream: Upstream::ExternalLine {
            line_nanolitres: 2_000_000,
            port_nanolitres: 0,
        },
        ..record(0)
    })
    .unwrap()
}

/// A path that is inert from reservoir to tip, with morphine behind it.
fn new_path(catheter: &Catheter) -> Path {
    let volume = catheter.path_volume();
    Path::new(volume, &[(volume, Content::Inert)], morphine()).unwrap()
}

fn filled_path(catheter: &Catheter) -> Path {
    Path::new(catheter.path_volume(), &[], morphine()).unwrap()
}

fn request(kind: PrimeKind) -> PrimeRequest {
    PrimeRequest {
        kind,
        disconnected: false,
        override_reason: None,
    }
}

fn situation<'a>(catheter: &'a Catheter, path: &'a Path) -> PrimeSituation<'a> {
    PrimeSituation {
        kind: PumpKind::ProgrammableImplant,
        bounds: &BOUNDS,
        catheter,
        path,
        last_start: None,
        now: NOW,
    }
}

/// Clinical reference, 2.2: 0.3182 mL, 3.182 mg, 19 min 5.5 s.
///
/// Requirement: AC-14, CALC-2, R-4
#[test]
fn a_new_system_gives_the_worked_example() {
    let catheter = reference();
    let path = new_path(&catheter);
    let prime = Prime::plan(
        request(PrimeKind::PumpAndCatheter),
        &situation(&catheter, &path),
    )
    .unwrap();
    assert_eq!(prime.volume().to_string(), "0.3182 mL");
    assert_eq!(prime.steps(), 127_280);
    assert_eq!(
        prime.drawn(&path).of(Drug::Morphine).to_string(),
        "3.182 mg"
    );
    assert!(prime.dose().is_zero(), "nothing leaves the tip");
    // 19 min 5.52 s.
    assert_eq!(prime.duration(), Duration::from_micros(1_145_520_000));
    assert_eq!(prime.kind(), PrimeKind::PumpAndCatheter);
}

/// Clinical reference, 2.2: with the old tubing volume 0.3772 mL were primed, of which 0.590 mg reached the patient.
#[test]
fn a_tubing_volume_too_large_is_a_dose() {
    let believed = Catheter::new(record(199_000)).unwrap();
    let truly = new_path(&reference());
    let prime = Prime::plan(
        request(PrimeKind::PumpAndCatheter),
        &situation(&believed, &truly),
    )
    .unwrap();
    assert_eq!(prime.volume().to_string(), "0.3772 mL");
    assert_eq!(prime.dose().of(Drug::Morphine).to_string(), "590 mcg");
}

/// A new pump on a filled catheter: what its tubing pushes out of the catheter is a dose, unless the catheter was aspirated.
///
/// Requirement: TH-prime-dose
#[test]
fn pump_only_into_a_filled_catheter_is_a_dose() {
    let catheter = reference();
    let contents = [
        (catheter.catheter_volume(), morphine()),
        (catheter.prime_volume(PrimeKind::PumpOnly), Content::Inert),
    ];
    let mut path = Path::new(catheter.path_volume(), &contents, morphine()).unwrap();
    let plan = |path: &Path| {
        Prime::plan(request(PrimeKind::PumpOnly), &situation(&catheter, path)).unwrap()
    };
    let prime = plan(&path);
    assert_eq!(prime.volume().to_string(), "0.14 mL");
    assert_eq!(prime.dose().of(Drug::Morphine).to_string(), "1.4 mg");
    path.aspirate(catheter.catheter_volume()).unwrap();
    assert!(plan(&path).dose().is_zero());
}

/// Requirement: AC-14
#[test]
fn what_is_primed_is_drawn_and_counted() {
    let catheter = reference();
    let mut path = new_path(&catheter);
    let capacity = BOUNDS.capacity;
    let mut reservoir = Reservoir::unknown();
    reservoir.fill(capacity, capacity).unwrap();
    let prime = Prime::plan(
        request(PrimeKind::PumpAndCatheter),
        &situation(&catheter, &path),
    )
    .unwrap();
    for _ in 0..prime.steps() {
        reservoir.draw(BOUNDS.step_volume.volume());
        path.advance(BOUNDS.step_volume.volume());
    }
    assert_eq!(reservoir.level(), capacity.checked_sub(prime.volume()));
    assert_eq!((path.tip(), path.until_change()), (&morphine(), None));
}

/// Requirement: AC-14, R-4
#[test]
fn a_second_prime_within_24_hours_needs_an_override() {
    let catheter = reference();
    let path = filled_path(&catheter);
    let plan = |ago: Duration, override_reason| {
        Prime::plan(
            PrimeRequest {
                override_reason,
                ..request(PrimeKind::CatheterOnly)
            },
            &PrimeSituation {
                last_start: Some(NOW.saturating_sub(ago)),
                ..situation(&catheter, &path)
            },
        )
    };
    let almost = PRIME_WINDOW.saturating_sub(Duration::from_micros(1));
    assert!(plan(PRIME_WINDOW, None).is_ok());
    assert_eq!(
        plan(almost, None),
        Err(PrimeRefusal::TooSoon {
            wait: Duration::from_micros(1)
        })
    );
    assert!(plan(almost, Some(OverrideReason::Procedure)).is_ok());
    assert_eq!(
        plan(Duration::ZERO, None),
        Err(PrimeRefusal::TooSoon { wait: PRIME_WINDOW })
    );
    // A last start that lies ahead is no licence.
    let ahead = PrimeSituation {
        last_start: Some(NOW.saturating_add(Duration::from_days(30))),
        ..situation(&catheter, &path)
    };
    assert!(Prime::plan(request(PrimeKind::CatheterOnly), &ahead).is_err());
}

/// Requirement: TH-prime-dose
#[test]
fn an_external_pump_primes_when_disconnected_only() {
    let catheter = external();
    let path = filled_path(&catheter);
    let pump = PrimeSituation {
        kind: PumpKind::ExternalTrial,
        ..situation(&catheter, &path)
    };
    let request = request(PrimeKind::PumpAndCatheter);
    assert_eq!(
        Prime::plan(request, &pump),
        Err(PrimeRefusal::NotDisconnected)
    );
    let disconnected = PrimeRequest {
        disconnected: true,
        ..request
    };
    let prime = Prime::plan(disconnected, &pump).unwrap();
    assert_eq!(prime.volume().to_string(), "2.1782 mL");
    assert_eq!(
        Prime::complete(prime.interrupted(Volume::ZERO), false, &pump),
        Err(PrimeRefusal::NotDisconnected)
    );
}

/// Requirement: AC-14
#[test]
fn the_largest_path_is_primed_at_once() {
    let catheter = Catheter::new(CatheterRecord {
        implanted_millimetres: 100,
        nanolitres_per_centimetre: 10_000,
        ..record(500_000)
    })
    .unwrap();
    let path = new_path(&catheter);
    let whole = request(PrimeKind::PumpAndCatheter);
    let prime = Prime::plan(whole, &situation(&catheter, &path)).unwrap();
    assert_eq!(prime.volume().to_string(), "0.6 mL");
}

#[test]
fn a_prime_must_suit_the_pump() {
    let (implant, line) = (reference(), external());
    let (path, line_path) = (filled_path(&implant), filled_path(&line));
    let pump = situation(&implant, &path);
    let plan = |situation: &PrimeSituation<'_>| {
        let request = PrimeRequest {
            disconnected: true,
            ..request(PrimeKind::PumpOnly)
        };
        Prime::plan(request, situation)
    };
    assert!(plan(&pump).is_ok());
    let constant = PrimeSituation {
        kind: PumpKind::ConstantRate,
        ..pump
    };
    assert_eq!(plan(&constant), Err(PrimeRefusal::ConstantRate));
    let other = situation(&line, &line_path);
    assert_eq!(plan(&other), Err(PrimeRefusal::WrongCatheter));
    // 1 mL/h at 2.5 nL are 111.1 steps/s.
    let with = |maximum_step_rate_millihertz, highest: &str| {
        let bounds = Bounds {
            maximum_step_rate_millihertz,
            highest: highest.parse().unwrap(),
            ..BOUNDS
        };
        plan(&PrimeSituation {
            bounds: &bounds,
            ..pump
        })
    };
    assert!(with(111_112, "24 mL/day").is_ok());
    assert_eq!(with(111_111, "24 mL/day"), Err(PrimeRefusal::TooFast));
    assert_eq!(
        with(125_000, "23.999999 mL/day"),
        Err(PrimeRefusal::TooFast)
    );
}

/// Requirement: AC-14, TH-prime-dose
#[test]
fn an_interrupted_prime_is_completed_as_far_as_it_is_inert() {
    let catheter = reference();
    let mut path = new_path(&catheter);
    fn just_primed<'a>(catheter: &'a Catheter, path: &'a Path) -> PrimeSituation<'a> {
        PrimeSituation {
            last_start: Some(NOW),
            ..situation(catheter, path)
        }
    }
    let first = Prime::plan(
        request(PrimeKind::PumpAndCatheter),
        &situation(&catheter, &path),
    )
    .unwrap();
    let delivered: Volume = "0.1 mL".parse().unwrap();
    path.advance(delivered);
    let interrupted = first.interrupted(delivered);
    assert_eq!(interrupted.missing().to_string(), "0.2182 mL");
    assert_eq!(interrupted.kind(), PrimeKind::PumpAndCatheter);
    assert!(
        Prime::plan(
            request(PrimeKind::PumpAndCatheter),
            &just_primed(&catheter, &path)
        )
        .is_err(),
        "the whole of it is a second prime"
    );
    let rest = Prime::complete(interrupted, false, &just_primed(&catheter, &path)).unwrap();
    assert_eq!(rest.volume(), interrupted.missing());
    assert!(rest.dose().is_zero());
    // Basal has brought the drug nearer meanwhile: less is inert than is missing.
    path.advance("0.2 mL".parse().unwrap());
    let rest = Prime::complete(interrupted, false, &just_primed(&catheter, &path)).unwrap();
    assert_eq!(rest.volume().to_string(), "0.0182 mL");
    assert!(rest.dose().is_zero());
    // Less than a step is inert, then nothing.
    path.advance("0.018197500001 mL".parse().unwrap());
    for _ in 0..2 {
        assert_eq!(
            Prime::complete(interrupted, false, &just_primed(&catheter, &path)),
            Err(PrimeRefusal::Nothing)
        );
        path.advance("0.1 mL".parse().unwrap());
    }
    // Everything delivered, and more counted than ordered.
    assert_eq!(first.interrupted(Volume::MAX).missing(), Volume::ZERO);
}

/// A filled catheter holds nothing inert at the tip: its interrupted prime cannot be completed, only ordered anew.
#[test]
fn what_would_give_a_dose_is_no_completion() {
    let catheter = reference();
    let path = filled_path(&catheter);
    let prime = Prime::plan(request(PrimeKind::PumpOnly), &situation(&catheter, &path)).unwrap();
    let interrupted = prime.interrupted("0.01 mL".parse().unwrap());
    assert_eq!(interrupted.inert_remainder(&path), Volume::ZERO);
}

#[test]
fn an_interrupted_prime_survives_being_stored() {
    let interrupted = Interrupted {
        kind: PrimeKind::CatheterOnly,
        missing: crate::catheter::LARGEST_EXTERNAL_PATH,
    };
    let mut buffer = [0; 16];
    let bytes = postcard::to_slice(&interrupted, &mut buffer).unwrap();
    assert_eq!(bytes.len(), 7);
    assert_eq!(postcard::from_bytes(bytes), Ok(interrupted));
}

#[test]
fn refusals_give_the_value_and_what_is_allowed() {
    for (refusal, text) in [
        (
            PrimeRefusal::ConstantRate,
            "a constant-rate pump cannot prime: it has one rate",
        ),
        (
            PrimeRefusal::TooFast,
            "this pump cannot deliver 1 mL/h, the rate of a prime",
        ),
        (
            PrimeRefusal::TooMuch {
                volume: "0.601 mL".parse().unwrap(),
                largest: "0.6 mL".parse().unwrap(),
            },
            "a prime of 0.601 mL is too much: at most 0.6 mL",
        ),
        (
            PrimeRefusal::TooSoon {
                wait: Duration::from_hours(2),
            },
            "the last prime began less than 24 hours ago: wait 2 h, or override with a reason",
        ),
        (PrimeRefusal::Nothing, "nothing is left to prime"),
    ] {
        assert_eq!(refusal.to_string(), text);
    }
    assert!(!PrimeRefusal::WrongCatheter.to_string().is_empty());
    assert!(!PrimeRefusal::NotDisconnected.to_string().is_empty());
}

proptest! {
    /// Any catheter and calibration: the stored path down to a whole step, never over the limit, and on a new system no dose.
    ///
    /// Requirement: AC-14
    #[test]
    fn a_prime_is_the_stored_path_to_a_step(
        tubing in 10_000_u32..=500_000, length in 10_u16..=1_200, per_centimetre in 500_u16..=10_000, step in 2_250_000_u32..=2_750_000,
        kind in 0_usize..3, delivered in any::<u64>(),
    ) {
        let record = CatheterRecord { implanted_millimetres: length, nanolitres_per_centimetre: per_centimetre, ..record(tubing) };
        let Ok(catheter) = Catheter::new(record) else {
            return Ok(());
        };
        let kind = PrimeKind::ALL[kind];
        let bounds = Bounds { step_volume: StepVolume::new(step).unwrap(), ..BOUNDS };
        let mut path = new_path(&catheter);
        let prime = Prime::plan(request(kind), &PrimeSituation { bounds: &bounds, ..situation(&catheter, &path) }).unwrap();
        let wanted = catheter.prime_volume(kind).femtolitres();
        let volume = prime.volume().femtolitres();
        prop_assert!(volume <= wanted && wanted - volume < u64::from(step));
        prop_assert_eq!(volume, prime.steps() * u64::from(step));
        prop_assert!(prime.volume() <= crate::catheter::LARGEST_IMPLANT_PATH);
        prop_assert!(prime.dose().is_zero());

        // Interrupted anywhere: what was delivered and what completes it never give a dose, and never more than was planned.
        let delivered = Volume::from_femtolitres(delivered % (volume + 1));
        path.advance(delivered);
        let remainder = prime.interrupted(delivered).inert_remainder(&path);
        prop_assert!(delivered.checked_add(remainder).unwrap() <= prime.volume());
        prop_assert!(path.dose_leaving(remainder).is_zero());
    }
}
