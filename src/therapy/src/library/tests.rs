//! The library: its numbers, what is shown of them, and what a hospital may say.
#![allow(clippy::arithmetic_side_effects)]

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::*;
use units::PoweredTime;

use super::*;
use crate::pages;

fn ng(nanograms: u32) -> Nanograms {
    Nanograms::new(nanograms).unwrap()
}

fn per_ml(nanograms: u32) -> Concentration {
    Concentration::from_nanograms_per_millilitre(nanograms).unwrap()
}

fn yes_or_no(yes: bool) -> String {
    String::from(if yes { "yes" } else { "no" })
}

/// Every number of an entry: field, value as shown, mark. Taken apart without `..`, so that a new field must be listed here, too.
fn numbers(entry: &DrugEntry) -> Vec<(&'static str, String, Source)> {
    let DrugEntry {
        drug: _,
        unit,
        labelled_for_pain,
        labelled_for_spasticity,
        start,
        day,
        concentration,
        bolus,
        titration,
        rise_interval,
        drop_percent,
        stability:
            Stability {
                first,
                later,
                later_diluted,
            },
        withdrawal,
        fault_policy,
        unattended_resume,
    } = entry;
    let show = |mass: Nanograms| unit.value.show(mass).to_string();
    let mass = |mass: &Sourced<Nanograms>| (show(mass.value), mass.source);
    let time = |time: &Sourced<Duration>| (time.value.to_string(), time.source);
    let rule = match titration.value {
        Titration::Percent(percent) => format!("{percent} %"),
        Titration::PerDay(mass) => format!("{}/day", show(mass)),
    };
    let range = format!(
        "{} to {}",
        show(start.value.lowest),
        show(start.value.highest)
    );
    let mut numbers = Vec::new();
    let mut add = |field, (value, source)| numbers.push((field, value, source));
    add(
        "unit of doses",
        (unit.value.name().to_string(), unit.source),
    );
    for (field, label) in [
        ("labelled for pain", labelled_for_pain),
        ("labelled for spasticity", labelled_for_spasticity),
    ] {
        add(field, (yes_or_no(label.value), label.source));
    }
    add("start, per day", (range, start.source));
    add("per day, soft", mass(&day.soft));
    add("per day, hard", mass(&day.hard));
    for (field, limit) in [
        ("concentration, soft", concentration.soft),
        ("concentration, hard", concentration.hard),
    ] {
        add(field, (limit.value.to_string(), limit.source));
    }
    add("single bolus, soft", mass(&bolus.soft));
    add("single bolus, hard", mass(&bolus.hard));
    add("rise at once, soft", (rule, titration.source));
    add("time between rises, soft", time(rise_interval));
    if let Some(drop) = drop_percent {
        add(
            "drop at once, soft",
            (format!("{} %", drop.value), drop.source),
        );
    }
    add("stability, first fill", time(first));
    add("stability, later fills", time(later));
    add("stability, diluted or mixed", time(later_diluted));
    add(
        "sudden stop",
        (withdrawal.value.to_string(), withdrawal.source),
    );
    add(
        "at a fault",
        (fault_policy.value.to_string(), fault_policy.source),
    );
    add("resumes by itself within", time(unattended_resume));
    numbers
}

/// What holds for every drug.
fn common_numbers() -> [(&'static str, String, Source); 2] {
    [
        (
            "boluses a day, soft",
            MANY_BOLUSES.value.to_string(),
            MANY_BOLUSES.source,
        ),
        (
            "times the former total, soft",
            DOUBLED.value.to_string(),
            DOUBLED.source,
        ),
    ]
}

/// docs/clinical-review.md lists every number that a clinician must sign. `THECAL_UPDATE_GOLDEN=1 cargo test -p therapy` writes it.
#[test]
fn the_clinical_review_lists_every_number_that_must_be_signed() {
    let mut table =
        String::from("| drug | what | value | mark | signed |\n|---|---|---|---|---|\n");
    let mut add = |drug: &str, (field, value, source): (&str, String, Source)| {
        if source.must_be_signed() {
            table.push_str(&format!("| {drug} | {field} | {value} | {source} | |\n"));
        }
    };
    for drug in Drug::ALL {
        for number in numbers(DrugEntry::of(drug)) {
            add(drug.name(), number);
        }
    }
    for number in common_numbers() {
        add("every drug", number);
    }
    pages::hold_tables("docs/clinical-review.md", &[("library", table)]);
}

/// Each limit as shown is the one that is stored, of every drug: what was reviewed in the golden is what is checked against.
///
/// Requirement: R-29
#[test]
fn every_limit_is_shown_as_it_is_stored() {
    let library = Library::built_in();
    let mut shown = String::new();
    for drug in Drug::ALL {
        let entry = DrugEntry::of(drug);
        let limits = library.effective(drug);
        for mass in [
            limits.day.soft,
            limits.day.hard,
            limits.bolus.soft,
            limits.bolus.hard,
        ] {
            let text = entry.unit.value.show(mass).to_string();
            assert_eq!(text.parse(), Ok(mass.mass()), "{drug}: {text}");
            assert!(text.ends_with(entry.unit.value.name()), "{text}");
        }
        for limit in [limits.concentration.soft, limits.concentration.hard] {
            assert_eq!(limit.to_string().parse(), Ok(limit));
        }
        for (field, value, source) in numbers(entry) {
            shown.push_str(&format!("{drug}: {field}: {value} {source}\n"));
        }
    }
    for (field, value, source) in common_numbers() {
        shown.push_str(&format!("every drug: {field}: {value} {source}\n"));
    }
    let path = pages::repository().join("src/therapy/tests/golden/library.txt");
    if pages::are_to_be_updated() {
        std::fs::write(&path, &shown).expect("the golden is written");
    }
    assert_eq!(shown, std::fs::read_to_string(&path).expect("a golden"));
}

/// docs/therapy.md, "Limits", word for word.
///
/// Requirement: TH-library
#[test]
fn the_hard_limits_are_those_of_the_design() {
    for (drug, day, concentration, bolus) in [
        (Drug::Morphine, "30 mg", "40 mg/mL", "1.5 mg"),
        (Drug::Hydromorphone, "30 mg", "30 mg/mL", "0.3 mg"),
        (Drug::Fentanyl, "2 mg", "20 mg/mL", "225 mcg"),
        (Drug::Sufentanil, "1 mg", "10 mg/mL", "60 mcg"),
        (Drug::Bupivacaine, "40 mg", "60 mg/mL", "7.5 mg"),
        (Drug::Clonidine, "2 mg", "2 mg/mL", "60 mcg"),
        (Drug::Ziconotide, "19.2 mcg", "200 mcg/mL", "15 mcg"),
        (Drug::Baclofen, "2 mg", "4 mg/mL", "300 mcg"),
    ] {
        let limits = DrugEntry::of(drug).limits();
        assert_eq!(Ok(limits.day.hard.mass()), day.parse(), "{drug}");
        assert_eq!(Ok(limits.concentration.hard), concentration.parse());
        assert_eq!(Ok(limits.bolus.hard.mass()), bolus.parse(), "{drug}");
    }
}

#[test]
fn the_table_is_consistent() {
    for drug in Drug::ALL {
        let entry = DrugEntry::of(drug);
        assert_eq!(entry.drug, drug);
        let limits = entry.limits();
        assert!(limits.used);
        assert_eq!(
            entry.labelled(),
            matches!(drug, Drug::Morphine | Drug::Ziconotide | Drug::Baclofen),
            "{drug}"
        );
        assert!(limits.day.soft <= limits.day.hard);
        assert!(entry.start.value.lowest < entry.start.value.highest);
        assert!(entry.start.value.highest < limits.day.soft);
        let (soft, hard) = (limits.bolus.soft.get(), limits.bolus.hard.get());
        assert_eq!(soft.checked_mul(3), Some(hard), "three times the trial");
        let of = |limit: Concentration| limit.nanograms_per_millilitre();
        let concentration = limits.concentration;
        assert_eq!(
            of(concentration.soft).checked_mul(2),
            Some(of(concentration.hard))
        );
        // Whose withdrawal is dangerous is held, and asks for a reason when it drops.
        let dangerous = entry.withdrawal.value >= Withdrawal::Rebound;
        assert_eq!(entry.fault_policy.value == FaultPolicy::HoldLast, dangerous);
        assert_eq!(entry.drop_percent.is_some(), dangerous);
        assert_eq!(
            dangerous,
            matches!(drug, Drug::Baclofen | Drug::Clonidine),
            "{drug}"
        );
        assert!(entry.stability.first.value <= entry.stability.later.value);
        assert!(entry.stability.later_diluted.value <= entry.stability.later.value);
    }
}

#[test]
fn marks_are_written_as_in_the_reference() {
    assert_eq!(Source::Reference(5).to_string(), "[S05]");
    assert_eq!(Source::Reference(69).to_string(), "[S69]");
    assert_eq!(Source::GeneralKnowledge.to_string(), "[GK]");
    assert_eq!(Source::Proposal.to_string(), "[P]");
    assert!(!Source::Reference(69).must_be_signed());
}

/// A library that says nothing.
fn silent(version: u32) -> HospitalLibrary {
    HospitalLibrary {
        version,
        drugs: Default::default(),
    }
}

/// A library that says one thing about one drug.
fn about(drug: Drug, says: HospitalDrug) -> HospitalLibrary {
    let mut library = silent(1);
    for (slot, of) in library.drugs.iter_mut().zip(Drug::ALL) {
        if of == drug {
            *slot = says;
        }
    }
    library
}

fn load(library: &HospitalLibrary) -> Result<Library, LibraryRefusal> {
    let mut loaded = Library::built_in();
    loaded.load(library, library.checksum(), PoweredTime::ZERO)?;
    Ok(loaded)
}

/// Limits of one drug as a library that states all of them, each changed by `change` nanograms.
fn stated(limits: Limits, change: impl Fn(u32) -> u32) -> HospitalDrug {
    let mass = |limit: SoftHard<Nanograms>| Tightened {
        soft: Nanograms::new(change(limit.soft.get())),
        hard: Nanograms::new(change(limit.hard.get())),
    };
    let of = |limit: Concentration| {
        Concentration::from_nanograms_per_millilitre(change(limit.nanograms_per_millilitre()))
    };
    HospitalDrug {
        not_used: false,
        day: mass(limits.day),
        concentration: Tightened {
            soft: of(limits.concentration.soft),
            hard: of(limits.concentration.hard),
        },
        bolus: mass(limits.bolus),
        titration: Some(match limits.titration {
            Titration::Percent(percent) => {
                Titration::Percent(u8::try_from(change(percent.into())).unwrap())
            }
            Titration::PerDay(mass) => Titration::PerDay(ng(change(mass.get()))),
        }),
    }
}

#[test]
fn the_built_in_limit_itself_and_less_are_taken() {
    for drug in Drug::ALL {
        let built_in = DrugEntry::of(drug).limits();
        let same = load(&about(drug, stated(built_in, |value| value))).unwrap();
        assert_eq!(same.effective(drug), built_in);
        let less = load(&about(drug, stated(built_in, |value| value - 1))).unwrap();
        let limits = less.effective(drug);
        assert_eq!(limits.day.soft, ng(built_in.day.soft.get() - 1));
        assert_eq!(limits.day.hard, ng(built_in.day.hard.get() - 1));
        assert_eq!(limits.bolus.soft, ng(built_in.bolus.soft.get() - 1));
        assert_eq!(limits.bolus.hard, ng(built_in.bolus.hard.get() - 1));
        assert!(limits.concentration.soft < built_in.concentration.soft);
        assert!(limits.concentration.hard < built_in.concentration.hard);
        assert_ne!(limits.titration, built_in.titration);
        for other in Drug::ALL.into_iter().filter(|other| *other != drug) {
            assert_eq!(less.effective(other), DrugEntry::of(other).limits());
        }
    }
}

/// Requirement: TH-library
#[test]
fn one_nanogram_looser_is_refused_and_named() {
    for drug in Drug::ALL {
        let built_in = DrugEntry::of(drug).limits();
        let looser = stated(built_in, |value| value + 1);
        let soft = |limit| Tightened {
            soft: limit,
            hard: None,
        };
        let hard = |limit| Tightened {
            soft: None,
            hard: limit,
        };
        let nothing = HospitalDrug::default();
        let day = |day| HospitalDrug { day, ..nothing };
        let bolus = |bolus| HospitalDrug { bolus, ..nothing };
        let concentration = |tightened| HospitalDrug {
            concentration: tightened,
            ..nothing
        };
        for (says, field, severity) in [
            (day(soft(looser.day.soft)), LimitField::Day, Severity::Soft),
            (day(hard(looser.day.hard)), LimitField::Day, Severity::Hard),
            (
                bolus(soft(looser.bolus.soft)),
                LimitField::Bolus,
                Severity::Soft,
            ),
            (
                bolus(hard(looser.bolus.hard)),
                LimitField::Bolus,
                Severity::Hard,
            ),
            (
                concentration(Tightened {
                    hard: None,
                    ..looser.concentration
                }),
                LimitField::Concentration,
                Severity::Soft,
            ),
            (
                concentration(Tightened {
                    soft: None,
                    ..looser.concentration
                }),
                LimitField::Concentration,
                Severity::Hard,
            ),
            (
                HospitalDrug {
                    titration: looser.titration,
                    ..nothing
                },
                LimitField::Titration,
                Severity::Soft,
            ),
        ] {
            let refusal = load(&about(drug, says)).unwrap_err();
            let LibraryRefusal::Looser {
                drug: named,
                field: named_field,
                severity: named_severity,
                ..
            } = refusal
            else {
                panic!("{refusal}")
            };
            assert_eq!(
                (named, named_field, named_severity),
                (drug, field, severity)
            );
        }
    }
}

#[test]
fn a_refusal_names_drug_field_value_and_limit() {
    let says = HospitalDrug {
        day: Tightened {
            soft: None,
            hard: Some(ng(30_000_001)),
        },
        ..HospitalDrug::default()
    };
    assert_eq!(
        load(&about(Drug::Morphine, says)).unwrap_err().to_string(),
        "morphine, dose a day: the hard limit of 30.000001 mg is looser than the built-in 30 mg; a library can only tighten"
    );
    let says = HospitalDrug {
        titration: Some(Titration::Percent(21)),
        ..HospitalDrug::default()
    };
    assert_eq!(
        load(&about(Drug::Baclofen, says)).unwrap_err().to_string(),
        "baclofen, rise of the daily dose: the soft limit of 21 % is looser than the built-in 20 %; a library can only tighten"
    );
    assert_eq!(
        load(&about(Drug::Ziconotide, says)).unwrap_err(),
        LibraryRefusal::TitrationOfAnotherKind {
            drug: Drug::Ziconotide,
            built_in: Titration::PerDay(ng(2_400)),
        }
    );
}

#[test]
fn a_soft_limit_above_the_hard_one_is_a_mistake_and_a_hard_one_below_the_built_in_soft_lowers_both()
{
    let says = |soft, hard| HospitalDrug {
        bolus: Tightened { soft, hard },
        ..HospitalDrug::default()
    };
    assert_eq!(
        load(&about(
            Drug::Baclofen,
            says(Some(ng(50_001)), Some(ng(50_000)))
        ))
        .unwrap_err()
        .to_string(),
        "baclofen, single bolus: the soft limit of 50.001 mcg is above the hard limit of 50 mcg"
    );
    assert!(
        load(&about(
            Drug::Baclofen,
            says(Some(ng(50_000)), Some(ng(50_000)))
        ))
        .is_ok()
    );
    let lowered = load(&about(Drug::Baclofen, says(None, Some(ng(50_000))))).unwrap();
    let bolus = lowered.effective(Drug::Baclofen).bolus;
    assert_eq!((bolus.soft, bolus.hard), (ng(50_000), ng(50_000)));
}

#[test]
fn a_drug_that_is_not_used_stays_out_of_use_until_a_later_version() {
    let says = HospitalDrug {
        not_used: true,
        ..HospitalDrug::default()
    };
    let mut library = load(&about(Drug::Fentanyl, says)).unwrap();
    assert!(!library.effective(Drug::Fentanyl).used);
    assert!(library.effective(Drug::Morphine).used);
    let next = silent(2);
    library
        .load(&next, next.checksum(), PoweredTime::ZERO)
        .unwrap();
    assert!(library.effective(Drug::Fentanyl).used);
}

#[test]
fn the_version_rises_and_the_last_eight_are_remembered() {
    let mut library = Library::built_in();
    assert!(library.hospital().is_none());
    let zero = silent(0);
    assert_eq!(
        library.load(&zero, zero.checksum(), PoweredTime::ZERO),
        Err(LibraryRefusal::VersionNotHigher {
            version: 0,
            loaded: 0
        })
    );
    for version in 1..=9_u32 {
        let next = silent(version);
        let now = PoweredTime::from_micros(version.into());
        library.load(&next, next.checksum(), now).unwrap();
        assert_eq!(
            library.load(&next, next.checksum(), now),
            Err(LibraryRefusal::VersionNotHigher {
                version,
                loaded: version
            })
        );
        assert_eq!(library.hospital(), Some(&next));
    }
    let versions: Vec<_> = library
        .history()
        .iter()
        .map(|loaded| loaded.version)
        .collect();
    assert_eq!(versions, [2, 3, 4, 5, 6, 7, 8, 9]);
    let last = library.history().back().unwrap();
    assert_eq!(last.checksum, silent(9).checksum());
    assert_eq!(last.loaded_at, PoweredTime::from_micros(9));
    // The library is lost, its version is not.
    let mut restored = Library::restored(None, library.history().clone());
    let again = silent(9);
    assert!(
        restored
            .load(&again, again.checksum(), PoweredTime::ZERO)
            .is_err()
    );
    // The history is lost, the library is not.
    let mut restored = Library::restored(library.hospital().cloned(), heapless::Deque::new());
    assert!(
        restored
            .load(&again, again.checksum(), PoweredTime::ZERO)
            .is_err()
    );
}

#[test]
fn a_library_that_is_not_the_signed_one_changes_nothing() {
    let library = silent(3);
    let mut loaded = Library::built_in();
    let stated = library.checksum() ^ 1;
    assert_eq!(
        loaded.load(&library, stated, PoweredTime::ZERO),
        Err(LibraryRefusal::Checksum {
            stated,
            computed: library.checksum()
        })
    );
    assert!(loaded.hospital().is_none() && loaded.history().is_empty());
}

/// CRC-32 over the encoding, so that whoever writes libraries can compute it: here by zlib's crc32 of `01` and 64 zeros.
#[test]
fn the_checksum_is_pinned() {
    let mut buffer = [0; 400];
    let library = silent(1);
    let bytes = postcard::to_slice(&library, &mut buffer).unwrap();
    assert_eq!((bytes.len(), bytes.first()), (65, Some(&1)));
    assert!(bytes.iter().skip(1).all(|byte| *byte == 0));
    assert_eq!(library.checksum(), 0x9D27_A591);
}

#[test]
fn the_longest_library_fits() {
    let most = Nanograms::new(u32::MAX);
    let of = |value| Tightened {
        soft: value,
        hard: value,
    };
    let drug = HospitalDrug {
        not_used: true,
        day: of(most),
        concentration: Tightened {
            soft: Some(per_ml(u32::MAX)),
            hard: Some(per_ml(u32::MAX)),
        },
        bolus: of(most),
        titration: Some(Titration::PerDay(ng(u32::MAX))),
    };
    let mut buffer = [0; 400];
    assert_eq!(postcard::to_slice(&drug, &mut buffer).unwrap().len(), 44);
    let library = HospitalLibrary {
        version: u32::MAX,
        drugs: [drug; 8],
    };
    let bytes = postcard::to_slice(&library, &mut buffer).unwrap();
    assert_eq!(bytes.len(), 357);
    assert_eq!(
        postcard::from_bytes::<HospitalLibrary>(bytes),
        Ok(library.clone())
    );
    assert_ne!(library.checksum(), 0);
    let mut history = heapless::Deque::<LoadedVersion, 8>::new();
    while !history.is_full() {
        let _ = history.push_back(LoadedVersion {
            version: u32::MAX,
            checksum: u32::MAX,
            loaded_at: PoweredTime::MAX,
        });
    }
    let bytes = postcard::to_slice(&history, &mut buffer).unwrap();
    assert_eq!(bytes.len(), 161);
    // Of what may be loaded, the longest is shorter.
    let mut tightest = silent(u32::MAX);
    for (slot, drug) in tightest.drugs.iter_mut().zip(Drug::ALL) {
        *slot = stated(DrugEntry::of(drug).limits(), |value| value);
        assert!(postcard::to_slice(slot, &mut buffer).unwrap().len() <= 36);
    }
}

fn tightened_mass() -> impl Strategy<Value = Tightened<Nanograms>> {
    let limit = || proptest::option::of((1_u32.., 0_u32..32));
    (limit(), limit()).prop_map(|(soft, hard)| Tightened {
        soft: soft.map(|(bits, shift)| ng((bits >> shift).max(1))),
        hard: hard.map(|(bits, shift)| ng((bits >> shift).max(1))),
    })
}

fn hospital_drug() -> impl Strategy<Value = HospitalDrug> {
    let titration = prop_oneof![
        Just(None),
        any::<u8>().prop_map(|percent| Some(Titration::Percent(percent))),
        (1_u32..).prop_map(|mass| Some(Titration::PerDay(ng(mass)))),
    ];
    (
        any::<bool>(),
        tightened_mass(),
        tightened_mass(),
        tightened_mass(),
        titration,
    )
        .prop_map(|(not_used, day, concentration, bolus, titration)| {
            let of = |limit: Option<Nanograms>| limit.map(|limit| per_ml(limit.get()));
            HospitalDrug {
                not_used,
                day,
                concentration: Tightened {
                    soft: of(concentration.soft),
                    hard: of(concentration.hard),
                },
                bolus,
                titration,
            }
        })
}

fn is_no_looser<T: Ord>(limit: &SoftHard<T>, built_in: &SoftHard<T>) -> bool {
    limit.soft <= built_in.soft && limit.hard <= built_in.hard && limit.soft <= limit.hard
}

proptest! {
    /// Whatever memory holds, loaded or not, no limit is ever looser than what is built in.
    ///
    /// Requirement: TH-library
    #[test]
    fn nothing_loosens(says in hospital_drug(), drug in proptest::sample::select(&Drug::ALL[..])) {
        let hospital = about(drug, says);
        let library = Library::restored(Some(hospital.clone()), heapless::Deque::new());
        let (limits, built_in) = (library.effective(drug), DrugEntry::of(drug).limits());
        prop_assert!(is_no_looser(&limits.day, &built_in.day));
        prop_assert!(is_no_looser(&limits.concentration, &built_in.concentration));
        prop_assert!(is_no_looser(&limits.bolus, &built_in.bolus));
        match (limits.titration, built_in.titration) {
            (Titration::Percent(percent), Titration::Percent(limit)) => prop_assert!(percent <= limit),
            (Titration::PerDay(mass), Titration::PerDay(limit)) => prop_assert!(mass <= limit),
            mixed => prop_assert!(false, "{mixed:?}"),
        }
        // What is taken is in force to the digit.
        if let Ok(loaded) = load(&hospital) {
            let limits = loaded.effective(drug);
            prop_assert_eq!(limits.used, !says.not_used);
            for (limit, wanted) in [(limits.day, says.day), (limits.bolus, says.bolus)] {
                prop_assert!(wanted.hard.is_none_or(|hard| hard == limit.hard));
                prop_assert!(wanted.soft.is_none_or(|soft| soft.min(limit.hard) == limit.soft));
            }
        }
        let mut buffer = [0; 400];
        let bytes = postcard::to_slice(&hospital, &mut buffer).unwrap();
        prop_assert_eq!(postcard::from_bytes::<HospitalLibrary>(bytes), Ok(hospital));
    }

    #[test]
    fn masses_are_shown_exactly_in_the_unit_of_the_drug(bits in 1_u32.., shift in 0_u32..32) {
        let mass = ng((bits >> shift).max(1));
        for unit in [DoseUnit::Microgram, DoseUnit::Milligram] {
            let text = unit.show(mass).to_string();
            prop_assert_eq!(text.parse(), Ok(mass.mass()), "{}", text);
            let number = text.strip_suffix(unit.name()).unwrap().trim_end();
            prop_assert!(!number.contains('.') || !number.ends_with('0'), "{}", text);
        }
    }

    #[test]
    fn every_flipped_bit_changes_the_checksum(says in hospital_drug(), bit in 0_u32..32) {
        let library = about(Drug::Baclofen, says);
        let mut other = library.clone();
        other.version ^= 1 << bit;
        prop_assert_ne!(library.checksum(), other.checksum());
    }
}
