//! Limits: both sides of each, the drug that binds, and what needs a reason.
#![allow(clippy::arithmetic_side_effects)]

use std::string::ToString;
use std::vec::Vec as List;

use num_bigint::BigUint;
use proptest::prelude::*;
use units::PoweredTime;

use super::*;
use crate::change::TotalsInForce;
use crate::library::{HospitalDrug, HospitalLibrary};

fn ingredient(drug: Drug, concentration: &str) -> Ingredient {
    Ingredient {
        drug,
        concentration: concentration.parse().unwrap(),
    }
}

fn alone(drug: Drug, concentration: &str) -> Mixture {
    Mixture::of(ingredient(drug, concentration))
}

/// Clinical reference, 2.7.
fn worked_example() -> Mixture {
    Mixture::new(
        ingredient(Drug::Morphine, "10 mg/mL"),
        &[
            ingredient(Drug::Bupivacaine, "20 mg/mL"),
            ingredient(Drug::Clonidine, "200 mcg/mL"),
        ],
    )
    .unwrap()
}

const NOTHING: Asked = Asked {
    largest_24h: Volume::ZERO,
    largest_bolus: None,
    boluses_per_day: 0,
    change: None,
};

fn volume(text: &str) -> Volume {
    text.parse().unwrap()
}

fn more(volume: Volume) -> Volume {
    volume
        .checked_add(Volume::from_femtolitres(1))
        .expect("small")
}

fn found(mixture: &Mixture, asked: &Asked) -> List<Finding> {
    check(mixture, &Library::built_in(), asked)
        .unwrap()
        .iter()
        .copied()
        .collect()
}

/// 15 mg, 15 mg and 600 mcg allow 1.5, 0.75 and 3 mL/day: bupivacaine binds, and morphine reaches 7.5 mg.
///
/// Requirement: CALC-7
#[test]
fn the_drug_that_binds_in_the_worked_example() {
    let mixture = worked_example();
    let binding = binding_volume_24h(&mixture, &Library::built_in(), Severity::Soft);
    assert_eq!(binding.drug, Drug::Bupivacaine);
    assert_eq!(binding.limit.to_string(), "15 mg");
    assert_eq!(binding.volume, volume("0.75 mL"));
    assert_eq!(
        mixture.mass_of(Drug::Morphine, binding.volume).to_string(),
        "7.5 mg"
    );
    for (drug, concentration, expected) in [
        (Drug::Morphine, "10 mg/mL", "1.5 mL"),
        (Drug::Bupivacaine, "20 mg/mL", "0.75 mL"),
        (Drug::Clonidine, "200 mcg/mL", "3 mL"),
    ] {
        let binding = binding_volume_24h(
            &alone(drug, concentration),
            &Library::built_in(),
            Severity::Soft,
        );
        assert_eq!(binding.volume, volume(expected), "{drug}");
    }
    // Hard: 30, 40 and 2 mg allow 3, 2 and 10 mL/day.
    let binding = binding_volume_24h(&mixture, &Library::built_in(), Severity::Hard);
    assert_eq!(binding.drug, Drug::Bupivacaine);
    assert_eq!(binding.volume, volume("2 mL"));
}

#[test]
fn of_drugs_that_bind_alike_the_first_is_named() {
    // 30 mg at 30 mg/mL, 2 mg at 2 mg/mL: 1 mL/day each.
    let (morphine, clonidine) = (
        ingredient(Drug::Morphine, "30 mg/mL"),
        ingredient(Drug::Clonidine, "2 mg/mL"),
    );
    for (first, second) in [(morphine, clonidine), (clonidine, morphine)] {
        let mixture = Mixture::new(first, &[second]).unwrap();
        let binding = binding_volume_24h(&mixture, &Library::built_in(), Severity::Hard);
        assert_eq!((binding.drug, binding.volume), (first.drug, volume("1 mL")));
    }
}

/// They are made on the stack of whoever commits.
#[test]
fn findings_are_small() {
    assert!(size_of::<Finding>() <= 24);
    assert!(size_of::<SoftFindings>() <= 24 * FINDINGS + 8);
}

/// Each drug of the mixture, primary or not: the limit itself is allowed, a femtolitre more is not.
///
/// Requirement: AC-11, R-2
#[test]
fn the_hard_limit_of_a_day_holds_for_every_drug() {
    let library = Library::built_in();
    let mixture = worked_example();
    let asked = |largest_24h| Asked {
        largest_24h,
        ..NOTHING
    };
    let limit = volume("2 mL");
    assert!(check(&mixture, &library, &asked(limit)).is_ok());
    let refusal = check(&mixture, &library, &asked(more(limit))).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "bupivacaine: 40.000001 mg in 24 h is above the hard limit of 40 mg; of this mixture at most 2 mL in 24 h"
    );
    for drug in Drug::ALL {
        let mixture = Mixture::of(Ingredient {
            drug,
            concentration: DrugEntry::of(drug).limits().concentration.soft,
        });
        let binding = binding_volume_24h(&mixture, &library, Severity::Hard);
        assert!(check(&mixture, &library, &asked(binding.volume)).is_ok());
        assert!(matches!(
            check(&mixture, &library, &asked(more(binding.volume))),
            Err(HardRefusal::Day { drug: named, limit, largest, .. })
                if named == drug && limit == binding.limit && largest == binding.volume
        ));
    }
}

/// Requirement: AC-11
#[test]
fn the_hard_limits_of_concentration_and_bolus_hold_for_every_drug() {
    let library = Library::built_in();
    for drug in Drug::ALL {
        let limits = DrugEntry::of(drug).limits();
        let limit = limits.concentration.hard;
        let above =
            Concentration::from_nanograms_per_millilitre(limit.nanograms_per_millilitre() + 1)
                .unwrap();
        let of = |concentration| {
            Mixture::of(Ingredient {
                drug,
                concentration,
            })
        };
        assert!(check(&of(limit), &library, &NOTHING).is_ok());
        assert_eq!(
            check(&of(above), &library, &NOTHING),
            Err(HardRefusal::Concentration {
                drug,
                asked: above,
                limit
            })
        );
        // At 1 mcg/mL a microgram is a millilitre, and a limit in whole nanograms a whole number of femtolitres.
        let thin = of(Concentration::from_nanograms_per_millilitre(1_000).unwrap());
        let of_mass =
            |limit: Nanograms| Volume::from_femtolitres(u64::from(limit.get()) * 1_000_000_000);
        let asked = |bolus| Asked {
            largest_bolus: Some(bolus),
            ..NOTHING
        };
        let hard = of_mass(limits.bolus.hard);
        assert!(check(&thin, &library, &asked(hard)).is_ok());
        assert!(matches!(
            check(&thin, &library, &asked(more(hard))),
            Err(HardRefusal::Bolus { drug: named, largest, .. }) if named == drug && largest == hard
        ));
        // The soft ones, on both sides.
        let is_bolus = |finding: &Finding| matches!(finding, Finding::Bolus { limit, .. } if *limit == limits.bolus.soft);
        let soft = of_mass(limits.bolus.soft);
        assert!(!found(&thin, &asked(soft)).iter().any(is_bolus));
        assert!(found(&thin, &asked(more(soft))).iter().any(is_bolus));
        let is_day = |finding: &Finding| matches!(finding, Finding::Day { limit, .. } if *limit == limits.day.soft);
        let soft = of_mass(limits.day.soft);
        let asked = |largest_24h| Asked {
            largest_24h,
            ..NOTHING
        };
        assert!(!found(&thin, &asked(soft)).iter().any(is_day));
        if limits.day.soft < limits.day.hard {
            assert!(found(&thin, &asked(more(soft))).iter().any(is_day));
        }
        let is_strong = |finding: &Finding| matches!(finding, Finding::Concentration { limit, .. } if *limit == limits.concentration.soft);
        let soft = limits.concentration.soft;
        assert!(!found(&of(soft), &NOTHING).iter().any(is_strong));
        let above = soft.nanograms_per_millilitre() + 1;
        let above = of(Concentration::from_nanograms_per_millilitre(above).unwrap());
        assert!(found(&above, &NOTHING).iter().any(is_strong));
    }
}

#[test]
fn a_drug_that_is_not_used_here_is_refused_in_any_place() {
    let mut hospital = HospitalLibrary {
        version: 1,
        drugs: Default::default(),
    };
    // Clonidine.
    hospital.drugs[5] = HospitalDrug {
        not_used: true,
        ..HospitalDrug::default()
    };
    let mut library = Library::built_in();
    library
        .load(&hospital, hospital.checksum(), PoweredTime::ZERO)
        .unwrap();
    let refusal = check(&worked_example(), &library, &NOTHING).unwrap_err();
    assert_eq!(
        refusal,
        HardRefusal::NotUsedHere {
            drug: Drug::Clonidine
        }
    );
    assert!(refusal.to_string().contains("clonidine"));
    assert!(check(&alone(Drug::Morphine, "10 mg/mL"), &library, &NOTHING).is_ok());
}

/// Requirement: R-12
#[test]
fn off_label_informs_and_a_mixture_always_is() {
    assert_eq!(found(&alone(Drug::Morphine, "10 mg/mL"), &NOTHING), []);
    let off = |drug| Finding::OffLabel { drug };
    assert_eq!(
        found(&alone(Drug::Hydromorphone, "10 mg/mL"), &NOTHING),
        [off(Drug::Hydromorphone)]
    );
    assert_eq!(
        found(&worked_example(), &NOTHING),
        [
            off(Drug::Morphine),
            off(Drug::Bupivacaine),
            off(Drug::Clonidine)
        ]
    );
    let findings = |mixture: &Mixture| check(mixture, &Library::built_in(), &NOTHING).unwrap();
    assert!(!findings(&worked_example()).needs_reason());
    assert!(!findings(&worked_example()).is_empty());
    assert!(findings(&alone(Drug::Morphine, "10 mg/mL")).is_empty());
}

/// Requirement: AC-12, R-1
#[test]
fn many_boluses_need_a_reason() {
    let mixture = alone(Drug::Morphine, "10 mg/mL");
    let asked = |boluses_per_day| Asked {
        boluses_per_day,
        ..NOTHING
    };
    assert_eq!(found(&mixture, &asked(24)), []);
    let many = Finding::ManyBoluses {
        asked: 25,
        limit: 24,
    };
    assert_eq!(found(&mixture, &asked(25)), [many]);
    assert!(many.needs_reason());
}

/// A change `hours` after `old` began.
fn changed(drug: Drug, old: &str, new: Mass, hours: u32) -> Asked {
    let mut totals = TotalsInForce::new();
    totals.committed(drug, old.parse().unwrap(), PoweredTime::ZERO);
    let now = PoweredTime::ZERO.saturating_add(Duration::from_hours(hours));
    Asked {
        change: Some(totals.change_to(drug, new, now)),
        ..NOTHING
    }
}

fn mass(text: &str) -> Mass {
    text.parse().unwrap()
}

fn and_a_zeptogram(mass: Mass) -> Mass {
    mass.checked_add(Mass::from_zeptograms(1)).unwrap()
}

/// Requirement: AC-12, R-2
#[test]
fn exactly_double_is_not_more_than_double() {
    let morphine = alone(Drug::Morphine, "10 mg/mL");
    let doubled = |new| {
        found(&morphine, &changed(Drug::Morphine, "1 mg", new, 2_400))
            .into_iter()
            .find(|finding| matches!(finding, Finding::Doubled { .. }))
    };
    assert_eq!(doubled(mass("2 mg")), None);
    let finding = doubled(and_a_zeptogram(mass("2 mg"))).unwrap();
    assert!(finding.needs_reason());
    assert_eq!(
        finding.to_string(),
        "morphine: 2.000001 mg in 24 h is more than double the 1 mg of the last 24 h"
    );
}

/// Requirement: TH-titration
#[test]
fn titration_steps_are_allowed_to_the_limit() {
    let titrated = |drug, old, new| {
        found(&alone(drug, "25 mcg/mL"), &changed(drug, old, new, 2_400))
            .into_iter()
            .filter(|finding| matches!(finding, Finding::Titration { .. }))
            .count()
    };
    let twenty = mass("540 mcg");
    assert_eq!(titrated(Drug::Baclofen, "450 mcg", twenty), 0);
    assert_eq!(
        titrated(Drug::Baclofen, "450 mcg", and_a_zeptogram(twenty)),
        1
    );
    let step = mass("3.6 mcg");
    assert_eq!(titrated(Drug::Ziconotide, "1.2 mcg", step), 0);
    assert_eq!(
        titrated(Drug::Ziconotide, "1.2 mcg", and_a_zeptogram(step)),
        1
    );
    assert_eq!(titrated(Drug::Ziconotide, "10 mcg", mass("1 mcg")), 0);
}

#[test]
fn a_rise_waits_for_the_interval_of_the_drug() {
    for (drug, hours) in [
        (Drug::Baclofen, 24),
        (Drug::Ziconotide, 56),
        (Drug::Morphine, 168),
    ] {
        let rise = |hours| {
            found(
                &alone(drug, "25 mcg/mL"),
                &changed(drug, "10 mcg", mass("11 mcg"), hours),
            )
        };
        let too_soon = |finding: &Finding| matches!(finding, Finding::RiseTooSoon { .. });
        assert!(rise(hours - 1).iter().any(too_soon), "{drug}");
        assert!(!rise(hours).iter().any(too_soon), "{drug}");
    }
}

/// Requirement: TH-drop
#[test]
fn a_drop_of_a_drug_with_dangerous_withdrawal_needs_a_reason() {
    for drug in Drug::ALL {
        let dropped = |new: Mass| {
            found(
                &alone(drug, "25 mcg/mL"),
                &changed(drug, "10 mcg", new, 2_400),
            )
            .into_iter()
            .filter(|finding| matches!(finding, Finding::Drop { .. }))
            .count()
        };
        let eight = mass("8 mcg");
        let less = eight.checked_sub(Mass::from_zeptograms(1)).unwrap();
        assert_eq!(dropped(eight), 0);
        let dangerous = matches!(drug, Drug::Baclofen | Drug::Clonidine);
        assert_eq!(dropped(less), usize::from(dangerous), "{drug}");
    }
}

#[test]
fn a_new_start_has_no_per_cent_and_informs_above_the_range() {
    let start = |new: Mass| Asked {
        change: Some(TotalsInForce::new().change_to(Drug::Morphine, new, PoweredTime::ZERO)),
        ..NOTHING
    };
    let morphine = alone(Drug::Morphine, "10 mg/mL");
    let top = mass("0.5 mg");
    assert_eq!(found(&morphine, &start(top)), []);
    let above = found(&morphine, &start(and_a_zeptogram(top)));
    assert!(matches!(above[..], [Finding::Start { .. }]), "{above:?}");
    assert!(!above[0].needs_reason());
}

#[test]
fn a_finding_says_by_how_much_rounded_up() {
    let said = |drug, new| {
        found(
            &alone(drug, "25 mcg/mL"),
            &changed(drug, "10 mcg", new, 2_400),
        )
        .into_iter()
        .map(|finding| finding.to_string())
        .collect::<List<_>>()
    };
    let eight = mass("8 mcg");
    let less = eight.checked_sub(Mass::from_zeptograms(1)).unwrap();
    assert_eq!(
        said(Drug::Baclofen, less),
        [
            "baclofen: a drop by 2.001 mcg in 24 h is more than 20 % at once: there is a danger of withdrawal"
        ]
    );
    assert_eq!(
        said(Drug::Ziconotide, and_a_zeptogram(mass("12.4 mcg"))),
        ["ziconotide: a rise by 2.401 mcg in 24 h is more than 2.4 mcg/day at once"]
    );
}

/// Everything at once: four drugs over every soft limit, the primary one doubled too soon.
#[test]
fn there_is_room_for_every_finding() {
    let soft_plus_one = |drug| Ingredient {
        drug,
        concentration: Concentration::from_nanograms_per_millilitre(
            DrugEntry::of(drug)
                .limits()
                .concentration
                .soft
                .nanograms_per_millilitre()
                + 1,
        )
        .unwrap(),
    };
    let mixture = Mixture::new(
        soft_plus_one(Drug::Clonidine),
        &[
            soft_plus_one(Drug::Baclofen),
            soft_plus_one(Drug::Bupivacaine),
            soft_plus_one(Drug::Morphine),
        ],
    )
    .unwrap();
    let asked = Asked {
        largest_24h: volume("0.9 mL"),
        largest_bolus: Some(volume("0.055 mL")),
        boluses_per_day: 100,
        ..changed(Drug::Clonidine, "100 mcg", mass("900 mcg"), 1)
    };
    let findings = check(&mixture, &Library::built_in(), &asked).unwrap();
    assert!(findings.needs_reason());
    let texts: List<_> = findings.iter().map(ToString::to_string).collect();
    for text in &texts {
        assert!(text.contains(": ") || text.contains("boluses"), "{text}");
    }
    assert!(texts.len() <= FINDINGS);
    for drug in ["clonidine", "baclofen", "bupivacaine", "morphine"] {
        assert!(texts.iter().any(|text| text.starts_with(drug)));
    }
}

proptest! {
    /// Against big integers, drug by drug: refused exactly when some drug is above its limit, and the one named has the smallest
    /// limit / concentration.
    ///
    /// Requirement: AC-11
    #[test]
    fn the_binding_drug_decides(
        concentrations in proptest::array::uniform4(1_u32..1_000_000), femtolitres in 0_u64..100_000_000_000_000_000, shift in 0_u32..40,
    ) {
        let drugs = [Drug::Morphine, Drug::Bupivacaine, Drug::Clonidine, Drug::Fentanyl];
        let mut ingredients = List::new();
        for (drug, concentration) in drugs.into_iter().zip(concentrations) {
            ingredients.push(Ingredient { drug, concentration: Concentration::from_nanograms_per_millilitre(concentration).unwrap() });
        }
        let mixture = Mixture::new(ingredients[0], &ingredients[1..]).unwrap();
        let library = Library::built_in();
        let largest_24h = Volume::from_femtolitres(femtolitres >> shift);
        let above = |ingredient: &&Ingredient| {
            let limit = library.effective(ingredient.drug).day.hard;
            BigUint::from(largest_24h.femtolitres()) * ingredient.concentration.nanograms_per_millilitre()
                > BigUint::from(limit.get()) * 1_000_000_000_000_u64
        };
        let answer = check(&mixture, &library, &Asked { largest_24h, ..NOTHING });
        prop_assert_eq!(answer.is_err(), ingredients.iter().any(|ingredient| above(&ingredient)));
        let binding = binding_volume_24h(&mixture, &library, Severity::Hard);
        for ingredient in &ingredients {
            let limit = library.effective(ingredient.drug).day.hard;
            prop_assert!(Mass::in_volume(binding.volume, ingredient.concentration) <= limit.mass());
        }
        let one_more = Mass::in_volume(more(binding.volume), mixture.concentration_of(binding.drug).unwrap());
        prop_assert!(one_more > binding.limit.mass());
        if let Err(HardRefusal::Day { drug, .. }) = answer {
            prop_assert_eq!(drug, binding.drug);
        }
    }
}
