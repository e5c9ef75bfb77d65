//! Mixtures: the worked example, and what a mixture inherits from its drugs.
#![allow(clippy::arithmetic_side_effects)]

use std::string::ToString;
use std::vec::Vec as List;

use num_bigint::BigUint;
use proptest::prelude::*;

use super::*;

fn drug(drug: Drug, concentration: &str) -> Ingredient {
    Ingredient {
        drug,
        concentration: concentration.parse().unwrap(),
    }
}

/// Clinical reference, 2.7.
fn worked_example() -> Mixture {
    Mixture::new(
        drug(Drug::Morphine, "10 mg/mL"),
        &[
            drug(Drug::Bupivacaine, "20 mg/mL"),
            drug(Drug::Clonidine, "200 mcg/mL"),
        ],
    )
    .unwrap()
}

/// 0.25 mL/day carry 2.5 mg morphine, 5 mg bupivacaine, 50 mcg clonidine; a bolus of 0.25 mg carries 0.5 mg and 5 mcg.
///
/// Requirement: CALC-7
#[test]
fn secondary_doses_follow_as_in_the_worked_example() {
    let mixture = worked_example();
    let day = "0.25 mL".parse().unwrap();
    let bolus = "0.025 mL".parse().unwrap();
    for (of, in_a_day, in_a_bolus) in [
        (Drug::Morphine, "2.5 mg", "0.25 mg"),
        (Drug::Bupivacaine, "5 mg", "0.5 mg"),
        (Drug::Clonidine, "50 mcg", "5 mcg"),
        (Drug::Baclofen, "0 mg", "0 mg"),
    ] {
        assert_eq!(Ok(mixture.mass_of(of, day)), in_a_day.parse());
        assert_eq!(Ok(mixture.mass_of(of, bolus)), in_a_bolus.parse());
        let primary = "2.5 mg".parse().unwrap();
        assert_eq!(
            mixture.dose_with(of, primary),
            Some(in_a_day.parse().unwrap())
        );
        let primary = "0.25 mg".parse().unwrap();
        assert_eq!(
            mixture.dose_with(of, primary),
            Some(in_a_bolus.parse().unwrap())
        );
    }
}

#[test]
fn no_drug_is_in_it_twice_and_no_more_than_four_are() {
    let morphine = drug(Drug::Morphine, "10 mg/mL");
    let clonidine = drug(Drug::Clonidine, "200 mcg/mL");
    let error = Mixture::new(morphine, &[drug(Drug::Morphine, "20 mg/mL")]).unwrap_err();
    assert_eq!(error, MixtureError::DrugTwice(Drug::Morphine));
    assert!(error.to_string().contains("morphine"));
    assert_eq!(
        Mixture::new(morphine, &[clonidine, clonidine]),
        Err(MixtureError::DrugTwice(Drug::Clonidine))
    );
    let four = [
        clonidine,
        drug(Drug::Bupivacaine, "20 mg/mL"),
        drug(Drug::Ziconotide, "5 mcg/mL"),
    ];
    assert_eq!(
        Mixture::new(morphine, &four).unwrap().ingredients().count(),
        4
    );
    let mut five = List::from(four);
    five.push(drug(Drug::Baclofen, "1 mg/mL"));
    let error = Mixture::new(morphine, &five).unwrap_err();
    assert_eq!(error, MixtureError::TooManySecondaries { secondaries: 4 });
    assert!(error.to_string().contains("at most 3"));
}

/// Requirement: TH-mixture
#[test]
fn a_mixture_inherits_the_worst_of_its_drugs() {
    let alone = |of, concentration| Mixture::of(drug(of, concentration));
    let morphine = alone(Drug::Morphine, "10 mg/mL");
    assert_eq!(morphine.fault_policy(), FaultPolicy::Stop);
    assert_eq!(morphine.withdrawal(), Withdrawal::Syndrome);
    let mixture = worked_example();
    assert_eq!(mixture.fault_policy(), FaultPolicy::HoldLast);
    assert_eq!(mixture.withdrawal(), Withdrawal::Rebound);
    assert_eq!(mixture.unattended_resume(), Duration::from_hours(48));
    assert_eq!(
        alone(Drug::Baclofen, "2 mg/mL").withdrawal(),
        Withdrawal::LifeThreatening
    );
    assert_eq!(
        alone(Drug::Ziconotide, "25 mcg/mL").withdrawal(),
        Withdrawal::None
    );
}

/// Clinical reference, 3.5.
#[test]
fn the_drug_that_keeps_shortest_decides() {
    let ziconotide = drug(Drug::Ziconotide, "5 mcg/mL");
    let alone = Mixture::of(ziconotide);
    for (fill, days) in [
        (Fill::First, 14),
        (Fill::Later, 84),
        (Fill::LaterDiluted, 40),
    ] {
        assert_eq!(alone.stability(fill), Duration::from_days(days), "{fill:?}");
    }
    let mixed = Mixture::new(drug(Drug::Morphine, "10 mg/mL"), &[ziconotide]).unwrap();
    for (fill, days) in [
        (Fill::First, 14),
        (Fill::Later, 40),
        (Fill::LaterDiluted, 40),
    ] {
        assert_eq!(mixed.stability(fill), Duration::from_days(days), "{fill:?}");
    }
    assert_eq!(
        worked_example().stability(Fill::Later),
        Duration::from_days(90)
    );
}

#[test]
fn what_is_no_mixture_is_not_read_and_the_longest_has_25_bytes() {
    let most = |drug| Ingredient {
        drug,
        concentration: Concentration::from_nanograms_per_millilitre(u32::MAX).unwrap(),
    };
    let longest = Mixture::new(
        most(Drug::Morphine),
        &[
            most(Drug::Bupivacaine),
            most(Drug::Clonidine),
            most(Drug::Ziconotide),
        ],
    )
    .unwrap();
    let mut buffer = [0; 32];
    let bytes = postcard::to_slice(&longest, &mut buffer).unwrap();
    assert_eq!(bytes.len(), 25);
    assert_eq!(postcard::from_bytes(bytes), Ok(longest));
    // Morphine at 1 ng/mL, with clonidine at 2 ng/mL; with itself; with four others.
    assert_eq!(
        postcard::from_bytes::<Mixture>(&[0, 1, 1, 5, 2])
            .unwrap()
            .secondaries()
            .len(),
        1
    );
    assert!(postcard::from_bytes::<Mixture>(&[0, 1, 1, 0, 2]).is_err());
    assert!(postcard::from_bytes::<Mixture>(&[0, 1, 4, 1, 1, 2, 1, 3, 1, 4, 1]).is_err());
}

proptest! {
    #[test]
    fn derived_doses_are_exact_but_for_a_zeptogram_up(
        bits in any::<u128>(), shift in 0_u32..128, primary in 1_u32.., secondary in 1_u32..,
    ) {
        let of = |drug, concentration| Ingredient {
            drug,
            concentration: Concentration::from_nanograms_per_millilitre(concentration).unwrap(),
        };
        let mixture = Mixture::new(of(Drug::Morphine, primary), &[of(Drug::Clonidine, secondary)]).unwrap();
        let dose = bits >> shift;
        let product = BigUint::from(dose) * secondary;
        let expected = (&product + (primary - 1)) / primary;
        match mixture.dose_with(Drug::Clonidine, Mass::from_zeptograms(dose)) {
            Some(mass) => prop_assert_eq!(BigUint::from(mass.zeptograms()), expected),
            None => prop_assert!(product > BigUint::from(u128::MAX)),
        }
        // What a volume carries is in the same proportion, exactly.
        let volume = Volume::from_femtolitres(u64::try_from(dose >> 64).unwrap());
        let carried = mixture.mass_of(Drug::Morphine, volume);
        prop_assert_eq!(mixture.dose_with(Drug::Clonidine, carried), Some(mixture.mass_of(Drug::Clonidine, volume)));
    }
}
