//! The built-in numbers (clinical reference, 3.1 to 3.5; docs/therapy.md, "Limits" and "Fault table").
//!
//! How each column was chosen where the sources leave a choice:
//!
//! - Day, soft: the PACC maximum; of bupivacaine's 15 to 20 mg the lower, for which clinical reference 2.7 is worked out.
//! - Concentration, soft: the PACC maximum, for baclofen the label's; hard: twice that.
//! - Bolus, soft: the top of the PACC 2017 range for trial boluses, for baclofen the third screening dose; hard: three times that. That a
//!   trial dose makes a limit is itself a proposal, so that no mark here is better than `[P]` or `[GK]`.
//! - Titration: 20 %; baclofen too, whose label says 5 to 40 % by origin and phase, which the pump is not told. A hospital may say less.
//! - Start: PACC 2017, for ziconotide its figure in `[S10]`; for baclofen one to two times `[S72]` a screening dose of 50 to 100 mcg `[S71]`.
//! - Time between rises of ziconotide: a third of a week, of at most two to three steps a week `[S70]`.
//! - Stability: where nothing is stated, the 90 days of a mixture; ziconotide in a mixture is diluted.

use units::{Concentration, Drug, Duration, FaultPolicy};

use super::{
    DoseUnit, DrugEntry, Nanograms, SoftHard, Source, Sourced, Stability, StartingRange, Titration,
    Withdrawal,
};

/// More boluses a day than this, itself allowed, need a reason: a minute was entered as an hour before (clinical reference, 4.5, row 1).
pub const MANY_BOLUSES: Sourced<u32> = p(24);

/// A rise to more than this many times the former daily total, itself allowed, needs a reason (clinical reference, 4.5, rows 1 and 2).
pub const DOUBLED: Sourced<u8> = p(2);

/// General knowledge.
const fn gk<T: Copy>(value: T) -> Sourced<T> {
    Sourced {
        value,
        source: Source::GeneralKnowledge,
    }
}

/// A proposal.
const fn p<T: Copy>(value: T) -> Sourced<T> {
    Sourced {
        value,
        source: Source::Proposal,
    }
}

/// From a source of section 10 of the clinical reference.
const fn s<T: Copy>(number: u8, value: T) -> Sourced<T> {
    Sourced {
        value,
        source: Source::Reference(number),
    }
}

#[expect(
    clippy::expect_used,
    reason = "in a table made by the compiler: a zero does not compile"
)]
const fn ng(nanograms: u32) -> Nanograms {
    Nanograms::new(nanograms).expect("a limit is not zero")
}

const fn mcg(micrograms: u32) -> Nanograms {
    ng(micrograms.saturating_mul(1_000))
}

const fn mg(milligrams: u32) -> Nanograms {
    ng(milligrams.saturating_mul(1_000_000))
}

#[expect(
    clippy::expect_used,
    reason = "in a table made by the compiler: a zero does not compile"
)]
const fn mcg_per_ml(micrograms: u32) -> Concentration {
    Concentration::from_nanograms_per_millilitre(micrograms.saturating_mul(1_000))
        .expect("a concentration is not zero")
}

const fn mg_per_ml(milligrams: u32) -> Concentration {
    mcg_per_ml(milligrams.saturating_mul(1_000))
}

const fn range(lowest: Nanograms, highest: Nanograms) -> StartingRange {
    StartingRange { lowest, highest }
}

const fn days(days: u32) -> Duration {
    Duration::from_days(days)
}

/// The same after every fill.
const fn keeps(time: Sourced<Duration>) -> Stability {
    Stability {
        first: time,
        later: time,
        later_diluted: time,
    }
}

/// The built-in entry of a drug.
pub(super) fn entry(drug: Drug) -> &'static DrugEntry {
    let [
        morphine,
        hydromorphone,
        fentanyl,
        sufentanil,
        bupivacaine,
        clonidine,
        ziconotide,
        baclofen,
    ] = &TABLE;
    match drug {
        Drug::Morphine => morphine,
        Drug::Hydromorphone => hydromorphone,
        Drug::Fentanyl => fentanyl,
        Drug::Sufentanil => sufentanil,
        Drug::Bupivacaine => bupivacaine,
        Drug::Clonidine => clonidine,
        Drug::Ziconotide => ziconotide,
        Drug::Baclofen => baclofen,
    }
}

/// One entry for each drug, in wire order.
static TABLE: [DrugEntry; 8] = [
    DrugEntry {
        drug: Drug::Morphine,
        unit: gk(DoseUnit::Milligram),
        labelled_for_pain: s(69, true),
        labelled_for_spasticity: gk(false),
        start: gk(range(mcg(100), mcg(500))),
        day: SoftHard {
            soft: gk(mg(15)),
            hard: p(mg(30)),
        },
        concentration: SoftHard {
            soft: gk(mg_per_ml(20)),
            hard: p(mg_per_ml(40)),
        },
        bolus: SoftHard {
            soft: gk(mcg(500)),
            hard: p(mcg(1_500)),
        },
        titration: p(Titration::Percent(20)),
        rise_interval: p(days(7)),
        drop_percent: None,
        stability: keeps(gk(days(90))),
        withdrawal: s(76, Withdrawal::Syndrome),
        fault_policy: p(FaultPolicy::Stop),
        unattended_resume: p(Duration::from_hours(48)),
    },
    DrugEntry {
        drug: Drug::Hydromorphone,
        unit: gk(DoseUnit::Milligram),
        labelled_for_pain: s(23, false),
        labelled_for_spasticity: gk(false),
        start: gk(range(mcg(10), mcg(150))),
        day: SoftHard {
            soft: gk(mg(10)),
            hard: p(mg(30)),
        },
        concentration: SoftHard {
            soft: gk(mg_per_ml(15)),
            hard: p(mg_per_ml(30)),
        },
        bolus: SoftHard {
            soft: gk(mcg(100)),
            hard: p(mcg(300)),
        },
        titration: p(Titration::Percent(20)),
        rise_interval: p(days(7)),
        drop_percent: None,
        stability: keeps(p(days(90))),
        withdrawal: s(76, Withdrawal::Syndrome),
        fault_policy: p(FaultPolicy::Stop),
        unattended_resume: p(Duration::from_hours(48)),
    },
    DrugEntry {
        drug: Drug::Fentanyl,
        unit: gk(DoseUnit::Microgram),
        labelled_for_pain: s(23, false),
        labelled_for_spasticity: gk(false),
        start: gk(range(mcg(25), mcg(75))),
        day: SoftHard {
            soft: gk(mg(1)),
            hard: p(mg(2)),
        },
        concentration: SoftHard {
            soft: gk(mg_per_ml(10)),
            hard: p(mg_per_ml(20)),
        },
        bolus: SoftHard {
            soft: gk(mcg(75)),
            hard: p(mcg(225)),
        },
        titration: p(Titration::Percent(20)),
        rise_interval: p(days(7)),
        drop_percent: None,
        stability: keeps(p(days(90))),
        withdrawal: s(76, Withdrawal::Syndrome),
        fault_policy: p(FaultPolicy::Stop),
        unattended_resume: p(Duration::from_hours(48)),
    },
    DrugEntry {
        drug: Drug::Sufentanil,
        unit: gk(DoseUnit::Microgram),
        labelled_for_pain: gk(false),
        labelled_for_spasticity: gk(false),
        start: gk(range(mcg(10), mcg(20))),
        day: SoftHard {
            soft: gk(mcg(500)),
            hard: p(mg(1)),
        },
        concentration: SoftHard {
            soft: gk(mg_per_ml(5)),
            hard: p(mg_per_ml(10)),
        },
        bolus: SoftHard {
            soft: gk(mcg(20)),
            hard: p(mcg(60)),
        },
        titration: p(Titration::Percent(20)),
        rise_interval: p(days(7)),
        drop_percent: None,
        stability: keeps(p(days(90))),
        withdrawal: s(76, Withdrawal::Syndrome),
        fault_policy: p(FaultPolicy::Stop),
        unattended_resume: p(Duration::from_hours(48)),
    },
    DrugEntry {
        drug: Drug::Bupivacaine,
        unit: gk(DoseUnit::Milligram),
        labelled_for_pain: s(23, false),
        labelled_for_spasticity: gk(false),
        start: gk(range(mcg(10), mg(4))),
        day: SoftHard {
            soft: gk(mg(15)),
            hard: p(mg(40)),
        },
        concentration: SoftHard {
            soft: gk(mg_per_ml(30)),
            hard: p(mg_per_ml(60)),
        },
        bolus: SoftHard {
            soft: gk(mcg(2_500)),
            hard: p(mcg(7_500)),
        },
        titration: p(Titration::Percent(20)),
        rise_interval: p(days(7)),
        drop_percent: None,
        stability: keeps(p(days(90))),
        withdrawal: s(76, Withdrawal::None),
        fault_policy: p(FaultPolicy::Stop),
        unattended_resume: p(Duration::from_hours(48)),
    },
    DrugEntry {
        drug: Drug::Clonidine,
        unit: gk(DoseUnit::Microgram),
        labelled_for_pain: s(23, false),
        labelled_for_spasticity: gk(false),
        start: gk(range(mcg(20), mcg(100))),
        day: SoftHard {
            soft: gk(mcg(600)),
            hard: p(mg(2)),
        },
        concentration: SoftHard {
            soft: gk(mg_per_ml(1)),
            hard: p(mg_per_ml(2)),
        },
        bolus: SoftHard {
            soft: gk(mcg(20)),
            hard: p(mcg(60)),
        },
        titration: p(Titration::Percent(20)),
        rise_interval: p(days(7)),
        drop_percent: Some(p(20)),
        stability: keeps(p(days(90))),
        withdrawal: s(76, Withdrawal::Rebound),
        fault_policy: p(FaultPolicy::HoldLast),
        unattended_resume: p(Duration::from_hours(48)),
    },
    DrugEntry {
        drug: Drug::Ziconotide,
        unit: gk(DoseUnit::Microgram),
        labelled_for_pain: s(70, true),
        labelled_for_spasticity: gk(false),
        start: s(10, range(ng(500), ng(1_200))),
        day: SoftHard {
            soft: s(70, ng(19_200)),
            hard: p(ng(19_200)),
        },
        concentration: SoftHard {
            soft: gk(mcg_per_ml(100)),
            hard: p(mcg_per_ml(200)),
        },
        bolus: SoftHard {
            soft: gk(mcg(5)),
            hard: p(mcg(15)),
        },
        titration: s(70, Titration::PerDay(ng(2_400))),
        rise_interval: p(Duration::from_hours(56)),
        drop_percent: None,
        stability: Stability {
            first: gk(days(14)),
            later: gk(days(84)),
            later_diluted: gk(days(40)),
        },
        withdrawal: s(76, Withdrawal::None),
        fault_policy: p(FaultPolicy::Stop),
        unattended_resume: p(Duration::from_hours(48)),
    },
    DrugEntry {
        drug: Drug::Baclofen,
        unit: gk(DoseUnit::Microgram),
        labelled_for_pain: gk(false),
        labelled_for_spasticity: s(72, true),
        start: p(range(mcg(50), mcg(200))),
        day: SoftHard {
            soft: s(72, mg(1)),
            hard: p(mg(2)),
        },
        concentration: SoftHard {
            soft: s(71, mg_per_ml(2)),
            hard: p(mg_per_ml(4)),
        },
        bolus: SoftHard {
            soft: p(mcg(100)),
            hard: p(mcg(300)),
        },
        titration: p(Titration::Percent(20)),
        rise_interval: s(72, Duration::from_hours(24)),
        drop_percent: Some(p(20)),
        stability: keeps(gk(days(90))),
        withdrawal: s(5, Withdrawal::LifeThreatening),
        fault_policy: p(FaultPolicy::HoldLast),
        unattended_resume: p(Duration::from_hours(48)),
    },
];
