#![allow(clippy::arithmetic_side_effects)]

use std::collections::VecDeque;
use std::string::ToString;

use proptest::prelude::*;
use units::{DoseRate, FlowRate, Per};

use super::*;

fn component(drug: Drug, concentration: &str) -> Component {
    Component {
        drug,
        concentration: concentration.parse().unwrap(),
    }
}

fn solution(drug: Drug, concentration: &str) -> Content {
    Content::Solution(Solution::of(drug, concentration.parse().unwrap()).unwrap())
}

fn morphine(concentration: &str) -> Content {
    solution(Drug::Morphine, concentration)
}

fn mixture() -> Content {
    let others = [
        component(Drug::Clonidine, "200 mcg/mL"),
        component(Drug::Bupivacaine, "20 mg/mL"),
    ];
    Content::Solution(Solution::new(component(Drug::Morphine, "10 mg/mL"), &others).unwrap())
}

fn volume(text: &str) -> Volume {
    text.parse().unwrap()
}

fn flow(text: &str) -> Flow {
    text.parse::<FlowRate>().unwrap().flow()
}

fn target(dose: &str) -> Target {
    Target::new(dose.parse().unwrap()).unwrap()
}

/// The reference case: 0.3182 mL, filled with what the reservoir holds.
fn filled(content: Content) -> Path {
    Path::new(volume("0.3182 mL"), &[], content).unwrap()
}

fn fl(femtolitres: u64) -> Volume {
    Volume::from_femtolitres(femtolitres)
}

/// Clinical reference, 2.9: 30.5 h at 0.25 mL/day, 2.55 d at 0.125, 6.63 d at 0.048.
///
/// Requirement: CALC-9
#[test]
fn the_latency_gives_the_worked_examples() {
    let path = filled(morphine("10 mg/mL"));
    for (rate, micros) in [
        ("0.25 mL/day", 109_969_920_000),
        ("0.125 mL/day", 219_939_840_000),
        ("0.048 mL/day", 572_760_000_000),
    ] {
        let latency = path.latency(flow(rate)).unwrap();
        assert_eq!(latency, Duration::from_micros(micros), "{rate}");
    }
    assert_eq!(path.latency(Flow::ZERO), None);
}

/// Clinical reference, 2.7: 0.25 mL/day of the mixture carry 2.5 mg, 5.0 mg and 50 mcg a day.
#[test]
fn the_tip_gives_every_drug_of_the_mixture() {
    let path = filled(mixture());
    let rate = flow("0.25 mL/day");
    let doses: std::vec::Vec<_> = path
        .tip()
        .components()
        .iter()
        .map(|component| {
            let mass = component.per_day_rounded_down(rate).unwrap();
            assert!(!component.exceeds(rate, mass));
            let less = Mass::from_zeptograms(mass.zeptograms() - 1);
            assert!(component.exceeds(rate, less));
            let exact = component.dose_rate(rate).unwrap();
            let day = exact.numerator() * 86_400_000_000 / exact.denominator().get();
            assert_eq!(day, mass.zeptograms());
            (component.drug, mass.to_string())
        })
        .collect();
    assert_eq!(
        doses,
        [
            (Drug::Morphine, "2.5 mg".to_string()),
            (Drug::Bupivacaine, "5 mg".to_string()),
            (Drug::Clonidine, "50 mcg".to_string()),
        ]
    );
}

#[test]
fn what_leaves_is_what_was_at_the_tip() {
    let mut path = filled(morphine("10 mg/mL"));
    assert_eq!(
        (path.until_change(), path.slugs_volume()),
        (None, Volume::ZERO)
    );
    path.change(mixture(), None).unwrap();
    assert_eq!(path.rest(), Volume::ZERO);
    assert_eq!(path.tip(), &morphine("10 mg/mL"));
    assert_eq!(path.until_change(), Some(volume("0.3182 mL")));
    let step = StepVolume::NOMINAL;
    assert_eq!(path.steps_until_change(step), Some(127_280));

    let dose = path.advance(volume("0.3 mL"));
    assert_eq!(dose.of(Drug::Morphine).to_string(), "3 mg");
    assert_eq!(dose.iter().count(), 1);
    assert_eq!(path.until_change(), Some(volume("0.0182 mL")));
    assert_eq!(path.rest(), volume("0.3 mL"));

    // Over the border: 18.2 uL of the old and 1.8 uL of the new.
    let dose = path.advance(volume("0.02 mL"));
    assert_eq!(dose.of(Drug::Morphine).to_string(), "200 mcg");
    assert_eq!(dose.of(Drug::Bupivacaine).to_string(), "36 mcg");
    assert_eq!(dose.of(Drug::Clonidine).to_string(), "360 ng");
    assert_eq!(dose.of(Drug::Baclofen), Mass::ZERO);
    assert_eq!((path.tip(), path.until_change()), (&mixture(), None));
}

#[test]
fn the_last_femtolitre_of_a_slug_is_still_its_own() {
    let mut path = Path::new(fl(10), &[(fl(4), Content::Inert)], morphine("1 mg/mL")).unwrap();
    let step = |size| StepVolume::new(size).unwrap();
    assert_eq!(path.steps_until_change(step(4)), Some(1));
    assert_eq!(path.steps_until_change(step(3)), Some(2));
    assert!(path.advance(fl(3)).is_zero());
    assert_eq!(path.tip(), &Content::Inert);
    assert!(path.advance(fl(1)).is_zero());
    assert_eq!(path.tip(), &morphine("1 mg/mL"));
    assert!(!path.advance(fl(1)).is_zero());
    assert!(path.advance(Volume::ZERO).is_zero());
}

#[test]
fn more_than_the_path_can_be_delivered_at_once() {
    let mut path = Path::new(fl(10), &[(fl(10), Content::Inert)], morphine("1 ng/mL")).unwrap();
    let dose = path.advance(Volume::MAX);
    assert_eq!(
        dose.of(Drug::Morphine).zeptograms(),
        u128::from(u64::MAX) - 10
    );
    assert_eq!(path.until_change(), None);
}

/// Requirement: AC-13
#[test]
fn a_change_of_dose_alone_leaves_no_trace() {
    let mut path = filled(mixture());
    let before = path.clone();
    let same = [
        component(Drug::Bupivacaine, "20 mg/mL"),
        component(Drug::Clonidine, "200 mcg/mL"),
    ];
    let same = Solution::new(component(Drug::Morphine, "10 mg/mL"), &same).unwrap();
    path.change(Content::Solution(same), Some(target("1 mg/day")))
        .unwrap();
    assert_eq!(path, before);
    assert!(!path.is_bridging());
}

#[test]
fn another_primary_is_still_the_same_liquid() {
    let (a, b) = (
        component(Drug::Morphine, "10 mg/mL"),
        component(Drug::Clonidine, "200 mcg/mL"),
    );
    let first = Content::Solution(Solution::new(a, &[b]).unwrap());
    let second = Content::Solution(Solution::new(b, &[a]).unwrap());
    assert!(first.is_same_liquid(&second) && first != second);
    assert!(!first.is_same_liquid(&morphine("10 mg/mL")));
    assert!(!morphine("10 mg/mL").is_same_liquid(&first));
    assert!(!morphine("10 mg/mL").is_same_liquid(&morphine("10.001 mg/mL")));
    assert!(!Content::Inert.is_same_liquid(&first));
    assert!(Content::Inert.is_same_liquid(&Content::Inert));
    let mut path = filled(first);
    path.change(second.clone(), None).unwrap();
    assert_eq!(path.slugs().count(), 0);
    assert_eq!(path.reservoir(), &second);
}

#[test]
fn what_never_entered_the_path_leaves_no_slug() {
    let mut path = filled(morphine("10 mg/mL"));
    path.change(morphine("20 mg/mL"), Some(target("2.5 mg/day")))
        .unwrap();
    path.change(morphine("5 mg/mL"), Some(target("1 mg/day")))
        .unwrap();
    let slugs: std::vec::Vec<_> = path.slugs().collect();
    assert_eq!(slugs.len(), 1);
    assert_eq!(slugs[0].content(), &morphine("10 mg/mL"));
    assert_eq!(slugs[0].target(), Some(target("2.5 mg/day")));
    let same = [(volume("0.1 mL"), morphine("10 mg/mL"))];
    let same = Path::new(volume("0.3182 mL"), &same, morphine("10 mg/mL")).unwrap();
    assert_eq!(same, filled(morphine("10 mg/mL")));
    // And back: the path is as it was.
    path.change(morphine("10 mg/mL"), None).unwrap();
    assert_eq!(path, filled(morphine("10 mg/mL")));
}

#[test]
fn a_fifth_change_within_one_path_volume_is_refused() {
    let mut path = filled(morphine("1 mg/mL"));
    for concentration in ["2 mg/mL", "3 mg/mL", "4 mg/mL", "5 mg/mL"] {
        path.change(morphine(concentration), None).unwrap();
        path.advance(volume("0.01 mL"));
    }
    let before = path.clone();
    path.change(morphine("5 mg/mL"), Some(target("1 mg/day")))
        .unwrap();
    assert_eq!(path, before, "a change of dose alone needs no place");
    let refusal = path.change(morphine("6 mg/mL"), None).unwrap_err();
    assert_eq!(path, before);
    assert_eq!(
        refusal.to_string(),
        "too many changes of drug or concentration are on their way to the tip: at most 4; there is room for one more when 0.2782 mL has been delivered"
    );
    path.advance(volume("0.2782 mL"));
    path.change(morphine("6 mg/mL"), None).unwrap();
    let order: std::vec::Vec<_> = path
        .slugs()
        .map(|slug| (slug.content().clone(), slug.volume().to_string()))
        .collect();
    assert_eq!(
        order,
        [
            (morphine("2 mg/mL"), "0.01 mL".to_string()),
            (morphine("3 mg/mL"), "0.01 mL".to_string()),
            (morphine("4 mg/mL"), "0.01 mL".to_string()),
            (morphine("5 mg/mL"), "0.2882 mL".to_string()),
        ]
    );
}

#[test]
fn an_aspirated_catheter_is_inert() {
    let mut path = filled(morphine("10 mg/mL"));
    assert_eq!(path.inert_at_tip(), Volume::ZERO);
    path.change(morphine("20 mg/mL"), Some(target("2.5 mg/day")))
        .unwrap();
    path.aspirate(volume("0.1782 mL")).unwrap();
    assert_eq!(path.inert_at_tip(), volume("0.1782 mL"));
    let parts: std::vec::Vec<_> = path.slugs().map(|slug| slug.volume().to_string()).collect();
    assert_eq!(parts, ["0.1782 mL", "0.14 mL"]);
    // What is inert flows like what follows it.
    assert_eq!(path.bridge_flow(), Some(flow("0.25 mL/day")));
    path.aspirate(Volume::ZERO).unwrap();
    assert_eq!(path.slugs().count(), 2);
    let whole = path.volume();
    assert_eq!(
        path.aspirate(whole.saturating_add(fl(1))),
        Err(PathRefusal::PartsTooLarge {
            sum: whole.saturating_add(fl(1)),
            volume: whole
        })
    );
    path.aspirate(whole).unwrap();
    assert_eq!((path.inert_at_tip(), path.slugs().count()), (whole, 1));
    assert!(!path.is_bridging());
    let mut inert = filled(Content::Inert);
    assert_eq!(inert.inert_at_tip(), whole);
    inert.aspirate(volume("0.1 mL")).unwrap();
    assert_eq!(inert, filled(Content::Inert));
}

#[test]
fn aspirating_needs_a_place_for_one_slug() {
    let mut path = filled(morphine("1 mg/mL"));
    for concentration in ["2 mg/mL", "3 mg/mL", "4 mg/mL", "5 mg/mL"] {
        path.change(morphine(concentration), None).unwrap();
        path.advance(volume("0.01 mL"));
    }
    let before = path.clone();
    let wait = path.until_change().unwrap();
    assert_eq!(
        path.aspirate(volume("0.2 mL")),
        Err(PathRefusal::TooManyChanges { wait })
    );
    assert_eq!(path, before);
    path.aspirate(volume("0.2782 mL")).unwrap();
    assert_eq!(path.slugs().count(), 4);
}

#[test]
fn a_slug_without_a_target_flows_like_the_next_that_has_one() {
    let contents = [(fl(2), Content::Inert), (fl(3), morphine("20 mg/mL"))];
    let mut path = Path::new(fl(10), &contents, morphine("10 mg/mL")).unwrap();
    let program = flow("1 mL/day");
    assert_eq!(path.bridge_flow(), None);
    assert!(
        path.passages(program)
            .all(|passage| passage.flow == program)
    );
    assert_eq!(path.until_bridge_end(), Volume::ZERO);
    assert_eq!(path.bridge_time_left(), Some(Duration::ZERO));
    path.change(morphine("5 mg/mL"), Some(target("2.5 mg/day")))
        .unwrap();
    assert!(
        path.passages(program)
            .all(|passage| passage.flow == flow("0.25 mL/day"))
    );
    path.advance(fl(6));
    path.change(Content::Inert, Some(target("2.5 mg/day")))
        .unwrap();
    // 4 fL of 10 mg/mL at 0.25 mL/day, 6 fL of 5 mg/mL at 0.5 mL/day.
    let passages: std::vec::Vec<_> = path
        .passages(program)
        .map(|passage| (passage.volume, passage.flow))
        .collect();
    assert_eq!(
        passages,
        [(fl(4), flow("0.25 mL/day")), (fl(6), flow("0.5 mL/day"))]
    );
    assert_eq!(path.until_bridge_end(), fl(10));
    path.advance(fl(3));
    assert_eq!(path.bridge_flow(), Some(flow("0.25 mL/day")));
    path.set_target(target("5 mg/day")).unwrap();
    assert_eq!(path.bridge_flow(), Some(flow("0.5 mL/day")));
    path.advance(fl(1));
    assert_eq!(path.bridge_flow(), Some(flow("0.5 mL/day")));
    path.set_target(target("5 mg/day")).unwrap();
    assert_eq!(path.bridge_flow(), Some(flow("1 mL/day")));
    assert!(path.is_bridging());
    path.advance(fl(6));
    assert!(!path.is_bridging());
    assert_eq!(
        path.set_target(target("5 mg/day")),
        Err(PathRefusal::NoBridge)
    );
}

#[test]
fn the_bridge_ends_where_the_last_target_ends() {
    let mut path = filled(morphine("10 mg/mL"));
    path.change(morphine("20 mg/mL"), Some(target("2.5 mg/day")))
        .unwrap();
    path.advance(volume("0.1 mL"));
    path.change(morphine("5 mg/mL"), None).unwrap();
    assert_eq!(path.slugs_volume(), volume("0.3182 mL"));
    assert_eq!(path.until_bridge_end(), volume("0.2182 mL"));
    let passages: std::vec::Vec<_> = path
        .passages(Flow::ZERO)
        .map(|passage| passage.flow)
        .collect();
    assert_eq!(passages, [flow("0.25 mL/day"), Flow::ZERO]);
    assert_eq!(
        path.bridge_time_left(),
        flow("0.25 mL/day").time_for(volume("0.2182 mL"))
    );
}

#[test]
fn impossible_paths_are_refused() {
    let inert = |volume| (volume, Content::Inert);
    let reservoir = || morphine("1 mg/mL");
    for (result, refusal) in [
        (
            Path::new(Volume::ZERO, &[], reservoir()),
            PathRefusal::Size {
                volume: Volume::ZERO,
            },
        ),
        (
            Path::new(volume("4.000000000001 mL"), &[], reservoir()),
            PathRefusal::Size {
                volume: volume("4.000000000001 mL"),
            },
        ),
        (
            Path::new(fl(5), &[inert(Volume::ZERO)], reservoir()),
            PathRefusal::PartEmpty,
        ),
        (
            Path::new(fl(5), &[inert(fl(3)), inert(fl(3))], reservoir()),
            PathRefusal::PartsTooLarge {
                sum: fl(6),
                volume: fl(5),
            },
        ),
        (
            Path::new(fl(5), &[0; 5].map(|_| inert(fl(1))), reservoir()),
            PathRefusal::TooManyParts,
        ),
        (
            Path::new(
                fl(5),
                &[inert(Volume::MAX), inert(Volume::MAX)],
                reservoir(),
            ),
            PathRefusal::PartsTooLarge {
                sum: Volume::MAX,
                volume: fl(5),
            },
        ),
    ] {
        assert!(!refusal.to_string().is_empty());
        assert_eq!(result, Err(refusal));
    }
    assert!(Path::new(LARGEST_EXTERNAL_PATH, &[], reservoir()).is_ok());
    assert!(Path::new(fl(5), &[inert(fl(5))], reservoir()).is_ok());
    assert_eq!(
        filled(Content::Inert).change(reservoir(), Some(target("1 mg/day"))),
        Err(PathRefusal::InertTarget)
    );
}

#[test]
fn impossible_solutions_are_refused() {
    let named = Drug::ALL.map(|drug| component(drug, "1 mg/mL"));
    let [first, others @ ..] = named;
    assert!(Solution::new(first, &others[..3]).is_ok());
    assert_eq!(
        Solution::new(first, &others[..4]),
        Err(SolutionRefusal::TooManyDrugs)
    );
    assert_eq!(
        Solution::new(first, &[others[0], first]),
        Err(SolutionRefusal::Twice { drug: first.drug })
    );
    let strong = |text: &str| Solution::of(Drug::Morphine, text.parse().unwrap());
    assert!(strong("250 mg/mL").is_ok());
    assert_eq!(
        strong("250.000001 mg/mL").unwrap_err().to_string(),
        "a concentration of 250.000001 mg/mL is not possible: at most 250 mg/mL"
    );
    let mixed = Solution::new(others[2], &[others[5], others[0]]).unwrap();
    let order: std::vec::Vec<_> = mixed.components().iter().map(|part| part.drug).collect();
    assert_eq!(order, [others[2].drug, others[0].drug, others[5].drug]);
    assert_eq!(mixed.primary(), Some(&others[2]));
    assert_eq!(mixed.concentration(first.drug), None);
}

/// The largest state: four slugs and the reservoir, each of four drugs at the highest concentration, each with the largest target.
#[test]
fn the_stored_form_has_at_most_156_bytes() {
    let strongest = |last: Drug| {
        let part = |drug| component(drug, "250 mg/mL");
        let others = [Drug::Hydromorphone, Drug::Fentanyl, last].map(part);
        Content::Solution(Solution::new(part(Drug::Morphine), &others).unwrap())
    };
    let mut path = Path::new(LARGEST_EXTERNAL_PATH, &[], strongest(Drug::Baclofen)).unwrap();
    let largest = target("10000 mg/day");
    for drug in [
        Drug::Sufentanil,
        Drug::Bupivacaine,
        Drug::Clonidine,
        Drug::Ziconotide,
    ] {
        path.change(strongest(drug), Some(largest)).unwrap();
        path.advance(volume("0.9 mL"));
    }
    assert_eq!(path.slugs().count(), MAXIMUM_SLUGS);
    let mut buffer = [0; 256];
    let bytes = postcard::to_slice(&path, &mut buffer).unwrap();
    assert_eq!(bytes.len(), 156);
    assert_eq!(postcard::from_bytes(bytes), Ok(path));
    let common = filled(morphine("10 mg/mL"));
    assert_eq!(
        postcard::to_slice(&common, &mut [0; 256]).unwrap().len(),
        13
    );
}

#[test]
fn a_stored_path_is_checked_again() {
    let stored = |volume, slugs: &[Slug]| {
        let path = Path {
            volume,
            slugs: Vec::from_slice(slugs).unwrap(),
            reservoir: morphine("1 mg/mL"),
        };
        let mut buffer = [0; 256];
        let bytes = postcard::to_slice(&path, &mut buffer).unwrap();
        postcard::from_bytes::<Path>(bytes)
    };
    let slug = |volume, content, target| Slug {
        volume,
        content,
        target,
    };
    let inert = |volume| slug(volume, Content::Inert, None);
    assert!(stored(fl(9), &[inert(fl(4)), inert(fl(5))]).is_ok());
    assert!(stored(fl(8), &[inert(fl(4)), inert(fl(5))]).is_err());
    assert!(stored(fl(8), &[inert(Volume::ZERO)]).is_err());
    assert!(stored(Volume::ZERO, &[]).is_err());
    let wrong = slug(fl(4), Content::Inert, Some(target("1 mg/day")));
    assert!(stored(fl(8), &[wrong]).is_err());
    // A drug twice: two components of drug 0 at 1 ng/mL.
    assert!(postcard::from_bytes::<Content>(&[2, 0, 1, 0, 1]).is_err());
    assert_eq!(postcard::from_bytes(&[0]), Ok(Content::Inert));
}

#[derive(Clone, Debug)]
enum Deed {
    Advance(u64),
    Change(usize, bool),
    Aspirate(u64),
    Reset,
}

fn contents() -> [Content; 5] {
    [
        Content::Inert,
        morphine("10 mg/mL"),
        morphine("20 mg/mL"),
        solution(Drug::Baclofen, "2 mg/mL"),
        mixture(),
    ]
}

fn deed(path: u64) -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (0..=path).prop_map(Deed::Advance),
        4 => (0..5_usize, any::<bool>()).prop_map(|(content, bridge)| Deed::Change(content, bridge)),
        1 => (0..=path).prop_map(Deed::Aspirate),
        1 => Just(Deed::Reset),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Against tubing of which every femtolitre is written down by itself: the same leaves, drug by drug, at every deed.
    ///
    /// Requirement: TH-bridge
    #[test]
    fn moves_like_tubing_of_single_femtolitres(size in 1_u64..40, deeds in prop::collection::vec(deed(45), 0..60)) {
        let contents = contents();
        let mut path = Path::new(fl(size), &[], contents[1].clone()).unwrap();
        // From the reservoir to the tip.
        let mut tubing: VecDeque<usize> = (0..size).map(|_| 1).collect();
        let mut reservoir = 1;
        for deed in deeds {
            match deed {
                Deed::Advance(volume) => {
                    let mut left = TipDose::default();
                    for _ in 0..volume {
                        tubing.push_front(reservoir);
                        left.add(&contents[tubing.pop_back().unwrap()], fl(1));
                    }
                    prop_assert_eq!(path.advance(fl(volume)), left);
                }
                Deed::Change(content, bridge) => {
                    let bridge = (bridge && reservoir != 0).then(|| target("1 mg/day"));
                    match path.change(contents[content].clone(), bridge) {
                        Ok(()) => reservoir = content,
                        Err(refusal) => {
                            let full = matches!(refusal, PathRefusal::TooManyChanges { .. });
 prop_assert!(full);
                            prop_assert_eq!(path.slugs().count(), MAXIMUM_SLUGS);
                        }
                    }
                }
                Deed::Aspirate(volume) => {
                    if path.aspirate(fl(volume)).is_ok() {
                        prop_assert!(volume <= size);
                        for cell in tubing.iter_mut().rev().take(usize::try_from(volume).unwrap()) {
                            *cell = 0;
                        }
                    }
                }
                Deed::Reset => {
                    let mut buffer = [0; 160];
                    let bytes = postcard::to_slice(&path, &mut buffer).unwrap();
                    prop_assert_eq!(&postcard::from_bytes::<Path>(bytes).unwrap(), &path);
                }
            }
            prop_assert_eq!(path.tip(), &contents[*tubing.back().unwrap()]);
            let inert = tubing.iter().rev().take_while(|&&cell| cell == 0).count();
            prop_assert_eq!(path.inert_at_tip(), fl(u64::try_from(inert).unwrap()));
            // What is in the path, cell by cell.
            let mut held = TipDose::default();
            for &cell in &tubing {
                held.add(&contents[cell], fl(1));
            }
            prop_assert_eq!(path.dose_leaving(path.volume()), held);
            prop_assert_eq!(path.rest().checked_add(path.slugs_volume()), Some(path.volume()));
            prop_assert_eq!(path.is_bridging(), path.bridge_flow().is_some());
            prop_assert_eq!(path.passages(Flow::ZERO).next().map(|passage| passage.flow).filter(|flow| !flow.is_zero()), path.bridge_flow());
        }
    }

    /// Real volumes, any sequence: what went in is what is in the path and what went out, to the zeptogram.
    #[test]
    fn no_drug_appears_or_is_lost(size in 1_u64..=4_000_000_000_000, deeds in prop::collection::vec(deed(4_000_000_000_000), 0..40)) {
        let contents = contents();
        let mut path = Path::new(fl(size), &[], contents[4].clone()).unwrap();
        let mut entered = Drug::ALL.map(|drug| path.dose_leaving(path.volume()).of(drug).zeptograms());
        for deed in deeds {
            match deed {
                Deed::Advance(volume) => {
                    let (came, left) = (path.dose_entering(fl(volume)), path.advance(fl(volume)));
                    for (drug, total) in Drug::ALL.into_iter().zip(&mut entered) {
                        *total = *total + came.of(drug).zeptograms() - left.of(drug).zeptograms();
                    }
                }
                Deed::Change(content, _) => {
                    let _ = path.change(contents[content].clone(), None);
                }
                Deed::Aspirate(_) | Deed::Reset => {}
            }
            let held = path.dose_leaving(path.volume());
            prop_assert_eq!(Drug::ALL.map(|drug| held.of(drug).zeptograms()), entered);
        }
    }

    /// Any bytes: a path or an error, and what is a path can be used.
    #[test]
    fn any_bytes_are_decided(bytes in prop::collection::vec(any::<u8>(), 0..160), volume in any::<u64>()) {
        if let Ok(mut path) = postcard::from_bytes::<Path>(&bytes) {
            let _ = path.bridge_time_left();
            path.advance(fl(volume));
        }
    }

    #[test]
    fn targets_read_back(nanograms in 1_u64..=10_000_000_000, hourly in any::<bool>()) {
        let per = if hourly { Per::Hour } else { Per::Day };
        let dose = DoseRate::new(Mass::from_nanograms(nanograms), per);
        let mut path = filled(morphine("10 mg/mL"));
        path.change(Content::Inert, Some(Target::new(dose).unwrap())).unwrap();
        let mut buffer = [0; 160];
        let bytes = postcard::to_slice(&path, &mut buffer).unwrap();
        let read: Path = postcard::from_bytes(bytes).unwrap();
        prop_assert_eq!(read.slugs().next().unwrap().target().unwrap().dose(), dose);
    }
}
