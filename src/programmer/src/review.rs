//! The review: what the pump read back, beside the program in force and against what was entered.
//!
//! Everything shown as new comes from the pump's answer. It is compared with the entry and added up again here; one
//! difference, and there is nothing to confirm. A commit then says what was shown: [`Staged::shown`].
use protocol::{Component, Program, Staged, Status};
use serde::Serialize;
use therapy::Prescription;
use units::{Drug, Flow, PumpKind, Volume};

use crate::change::Change;
use crate::form::{in_force, reservoir_after};
use crate::reckon::{PumpLimits, day_total_nanograms, emptying_flow};
use crate::{settings, text};

/// One line: a setting before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What it is.
    pub label: &'static str,
    /// In force now; several lines for a schedule.
    pub old: String,
    /// As the pump read it back.
    pub new: String,
    /// The two differ.
    pub changed: bool,
}

/// What is shown before a program is confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Review {
    /// Every setting, changed or not.
    pub rows: Vec<Row>,
    /// The drug by its name, for the heading.
    pub drug: &'static str,
    /// The 24-hour total now, by the pump's sum; `none` when there was no program.
    pub old_total: String,
    /// The 24-hour total to come.
    pub new_total: String,
    /// The change between them.
    pub change: String,
    /// The ratio of the two, when it is large.
    pub times: Option<String>,
    /// How long the reservoir lasts when everything allotted is given.
    pub lasts: Option<String>,
    /// Soft limits that the program goes over, in the pump's words.
    pub findings: Vec<String>,
    /// A reason has to be chosen.
    pub needs_reason: bool,
    /// What a clinician should think of before confirming.
    pub notes: Vec<String>,
    /// Where the read-back is not what was entered. Anything here and the program must not be confirmed.
    pub differences: Vec<String>,
    /// There is no difference.
    pub confirmable: bool,
    /// Carrier time left until the pump discards the staged program, in ms.
    pub expires_in_ms: u32,
}

impl Review {
    /// From the pump's answer to Stage, what was entered, and the status and the kind from before.
    #[must_use]
    pub fn of(staged: &Staged, entered: &Program, before: &Status, kind: PumpKind) -> Self {
        let new = &staged.program;
        let drug = new.primary.drug;
        let limits = PumpLimits::of(&before.limits, kind);
        let prescription = limits.and_then(|limits| limits.prescription(new).ok());
        let old = limits.and_then(|limits| in_force(before, &limits));
        let change = Change::of(old, (drug, staged.new_day_total_ng));
        let differences = differences(staged, entered, before, prescription.as_ref(), old);
        Self {
            rows: rows(staged, before),
            drug: drug.name(),
            old_total: old_total(staged, before),
            new_total: text::mass(staged.new_day_total_ng, drug),
            change: change.text(),
            times: change.times(),
            lasts: prescription.and_then(|prescription| {
                let volume = reservoir_after(new, before)?;
                let time = emptying_flow(&prescription).time_for(volume)?;
                Some(text::time(time.millis_rounded_down()))
            }),
            findings: staged
                .findings
                .iter()
                .map(|finding| text::sentence(&finding.to_string()))
                .collect(),
            needs_reason: staged.needs_reason,
            notes: notes(staged, before, change),
            confirmable: differences.is_empty(),
            differences,
            expires_in_ms: staged.expires_in_ms,
        }
    }
}

fn none() -> String {
    "none".to_owned()
}

/// The old total in the pump's words.
fn old_total(staged: &Staged, before: &Status) -> String {
    match (&before.program, staged.old_day_total_ng) {
        (Some(old), Some(total)) => text::mass(total, old.primary.drug),
        (_, _) => none(),
    }
}

fn row(label: &'static str, old: Option<String>, new: String) -> Row {
    let old = old.unwrap_or_else(none);
    Row {
        changed: old != new,
        label,
        old,
        new,
    }
}

fn rows(staged: &Staged, before: &Status) -> Vec<Row> {
    let new = &staged.program;
    let old = before.program.as_ref();
    let concentration =
        |Component {
             drug,
             concentration_ng_per_ml,
         }| text::concentration(concentration_ng_per_ml, drug);
    let mut rows = vec![
        row(
            "Drug",
            old.map(|old| old.primary.drug.name().to_owned()),
            new.primary.drug.name().to_owned(),
        ),
        row(
            "Concentration",
            old.map(|old| concentration(old.primary)),
            concentration(new.primary),
        ),
        row(
            "Mode",
            old.map(|old| text::mode(&old.mode).to_owned()),
            text::mode(&new.mode).to_owned(),
        ),
        row("Dose", old.map(settings::dose), settings::dose(new)),
        row(
            "24-hour total",
            old.map(|_| old_total(staged, before)),
            text::mass(staged.new_day_total_ng, new.primary.drug),
        ),
        row(
            "Flow",
            old.map(|_| text::flow(u64::from(before.flow_nl_per_day))),
            text::flow(u64::from(staged.flow_nl_per_day)),
        ),
    ];
    // What neither of the two has is left out.
    let old_drug = old.map(|old| old.primary.drug);
    let optional = [
        (
            "Mixed with",
            old.and_then(settings::mixed_with),
            settings::mixed_with(new),
        ),
        (
            "Patient bolus",
            old.and_then(settings::patient_bolus),
            settings::patient_bolus(new),
        ),
        ("Bridge", None, settings::bridge(new, old_drug)),
        (
            "On a fault",
            old.and_then(settings::fault_policy),
            settings::fault_policy(new),
        ),
        (
            "Low mark",
            old.and_then(settings::low_mark),
            settings::low_mark(new),
        ),
    ];
    for (label, old, new) in optional {
        if old.is_some() || new.is_some() {
            rows.push(row(label, old, new.unwrap_or_else(none)));
        }
    }
    rows.push(reservoir_row(new, before));
    rows
}

fn reservoir_row(new: &Program, before: &Status) -> Row {
    let old = before.reservoir_fl.map_or_else(
        || "not known".to_owned(),
        |left| format!("{} left", text::level(Volume::from_femtolitres(left))),
    );
    Row {
        label: "Reservoir",
        old,
        new: new
            .fill
            .map_or_else(|| "not refilled".to_owned(), settings::fill),
        changed: new.fill.is_some(),
    }
}

/// Every way in which the pump's answer is not what was entered, or does not add up.
fn differences(
    staged: &Staged,
    entered: &Program,
    before: &Status,
    prescription: Option<&Prescription>,
    old: Option<(Drug, u64)>,
) -> Vec<String> {
    let old_drug = before.program.as_ref().map(|old| old.primary.drug);
    let mut found = unlike_entry(entered, &staged.program, old_drug);
    match prescription {
        Some(prescription) => found.extend(unlike_sums(staged, prescription, old)),
        None => found.push(
            "By this programmer's reckoning, what the pump read back is no program for this pump"
                .to_owned(),
        ),
    }
    let totals_known = before.program.is_some() == old.is_some();
    if !staged.is_consistent(before.program_number)
        || staged.old_day_total_ng.is_some() != before.program.is_some()
        || !totals_known
    {
        found.push(
            "The program in force has changed since the pump was read out, or the read-back is damaged: send it again"
                .to_owned(),
        );
    }
    found
}

/// Where the pump holds something else than was entered.
fn unlike_entry(entered: &Program, read: &Program, old: Option<Drug>) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, same: bool, entered: String, read: String| {
        if !same {
            found.push(format!(
                "{what}: entered {entered}, the pump read back {read}"
            ));
        }
    };
    let one_line = |words: String| words.replace('\n', ", ");
    let or_none = |words: Option<String>| one_line(words.unwrap_or_else(none));
    compare(
        "Drug",
        read.primary.drug == entered.primary.drug,
        entered.primary.drug.name().to_owned(),
        read.primary.drug.name().to_owned(),
    );
    compare(
        "Concentration",
        read.primary.concentration_ng_per_ml == entered.primary.concentration_ng_per_ml,
        text::concentration(
            entered.primary.concentration_ng_per_ml,
            entered.primary.drug,
        ),
        text::concentration(read.primary.concentration_ng_per_ml, read.primary.drug),
    );
    compare(
        "Mixed with",
        read.secondaries == entered.secondaries,
        or_none(settings::mixed_with(entered)),
        or_none(settings::mixed_with(read)),
    );
    let mode = |program: &Program| match settings::headline(program) {
        Some(_) => one_line(settings::dose(program)),
        None => text::mode(&program.mode).to_owned(),
    };
    compare(
        "Mode and dose",
        read.mode == entered.mode,
        mode(entered),
        mode(read),
    );
    compare(
        "Patient bolus",
        read.patient_bolus == entered.patient_bolus,
        or_none(settings::patient_bolus(entered)),
        or_none(settings::patient_bolus(read)),
    );
    compare(
        "On a fault",
        read.fault_policy == entered.fault_policy,
        or_none(settings::fault_policy(entered)),
        or_none(settings::fault_policy(read)),
    );
    compare(
        "Bridge",
        read.bridge == entered.bridge,
        or_none(settings::bridge(entered, old)),
        or_none(settings::bridge(read, old)),
    );
    let fill = |program: &Program| {
        program
            .fill
            .map_or_else(|| "no refill".to_owned(), settings::fill)
    };
    compare(
        "Reservoir",
        read.fill == entered.fill,
        fill(entered),
        fill(read),
    );
    compare(
        "Low mark",
        read.low_mark_nl == entered.low_mark_nl,
        or_none(settings::low_mark(entered)),
        or_none(settings::low_mark(read)),
    );
    found
}

/// The sums of both sides come from the same code; where they differ, one side is not what it seems.
fn unlike_sums(
    staged: &Staged,
    prescription: &Prescription,
    old: Option<(Drug, u64)>,
) -> Vec<String> {
    let drug = staged.program.primary.drug;
    let mut found = Vec::new();
    let mut compare = |what: &str, same: bool, here: String, there: String| {
        if !same {
            found.push(format!(
                "{what}: {here} by this programmer's sum, {there} by the pump's"
            ));
        }
    };
    let total = day_total_nanograms(prescription);
    compare(
        "24-hour total",
        staged.new_day_total_ng == total,
        text::mass(total, drug),
        text::mass(staged.new_day_total_ng, drug),
    );
    if let (Some((old_drug, here)), Some(there)) = (old, staged.old_day_total_ng) {
        compare(
            "24-hour total in force now",
            here == there,
            text::mass(here, old_drug),
            text::mass(there, old_drug),
        );
    }
    let change = Change::of(old, (drug, total)).tenths();
    let percent = |tenths: Option<i32>| tenths.map_or_else(none, text::tenths_percent);
    compare(
        "Change",
        staged.change_tenths_percent == change,
        percent(change),
        percent(staged.change_tenths_percent),
    );
    // What a week means now depends on the pump's clock, a single bolus on whether it runs already.
    let of_day = |flow: Flow| flow.per_day_nanolitres_rounded_down();
    let (lowest, highest) = (
        of_day(prescription.flow()),
        of_day(prescription.highest_flow()),
    );
    let there = u64::from(staged.flow_nl_per_day);
    let any_flow = prescription.single_bolus().is_some();
    compare(
        "Flow",
        any_flow || (lowest..=highest).contains(&there),
        if lowest == highest {
            text::flow(lowest)
        } else {
            format!("{} to {}", text::flow(lowest), text::flow(highest))
        },
        text::flow(there),
    );
    found
}

/// What is not wrong but wants a thought. Sources: clinical reference, 2.3 and 3.4.
fn notes(staged: &Staged, before: &Status, change: Change) -> Vec<String> {
    let new = &staged.program;
    let mut notes = Vec::new();
    if let Some(plan) = &staged.bridge {
        notes.push(format!(
            "Bridge: the old solution, {}, is led out of the path first, at {}, in {}. Boluses are refused meanwhile.",
            text::fill(plan.volume_nl),
            text::flow(u64::from(plan.flow_nl_per_day)),
            text::time(u64::from(plan.duration_s).saturating_mul(1_000))
        ));
    }
    if let Some(old) = &before.program {
        let solution_changes = old.primary != new.primary || old.secondaries != new.secondaries;
        if solution_changes && staged.bridge.is_none() {
            notes.push(
                "Drug or concentration changes: the tubing and the catheter still hold the old solution, which will be \
                 delivered first, at the new flow."
                    .to_owned(),
            );
        }
        if solution_changes && new.fill.is_none() {
            notes.push("Drug or concentration changes, but no refill was entered.".to_owned());
        }
        let drug = old.primary.drug;
        if let Some(warning) = withdrawal(drug).filter(|_| {
            change.drops_by_more_than_a_fifth()
                || (change == Change::OtherDrug && drug != new.primary.drug)
        }) {
            notes.push(warning.to_owned());
        }
    }
    if new.patient_bolus.is_some() && staged.lockout_binds {
        notes.push(format!(
            "The lockout keeps the patient to {} boluses in 24 h, not the number allotted.",
            staged.boluses_per_day
        ));
    }
    if !new.secondaries.is_empty() {
        let totals: Vec<_> = staged
            .largest_24h
            .iter()
            .map(|total| {
                format!(
                    "{} {}",
                    total.drug.name(),
                    text::mass(total.total_ng, total.drug)
                )
            })
            .collect();
        notes.push(format!("At most in any 24 h: {}.", totals.join(", ")));
    }
    if reservoir_after(new, before).is_none() {
        notes.push(
            "The reservoir's content is not known, so the pump cannot tell when it will be empty."
                .to_owned(),
        );
    }
    notes
}

/// What an abrupt stop of a drug does (clinical reference, 3.4), for the drugs where it is dangerous.
const fn withdrawal(drug: Drug) -> Option<&'static str> {
    match drug {
        Drug::Baclofen => Some(
            "Less baclofen by more than 20 %: abrupt withdrawal can be life-threatening (fever, rigidity, organ failure).",
        ),
        Drug::Clonidine => Some(
            "Less clonidine by more than 20 %: abrupt withdrawal can raise blood pressure and heart rate severely.",
        ),
        Drug::Morphine | Drug::Hydromorphone | Drug::Fentanyl | Drug::Sufentanil => None,
        Drug::Bupivacaine | Drug::Ziconotide => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_pump::{
        KIND, baclofen, flex, fresh_status, honest, running_status, with_patient_bolus,
    };
    use protocol::{BridgePlan, Digest, Dose, Finding, LimitKind, Mode};
    use units::Per;

    fn review(staged: &Staged, entered: &Program, before: &Status) -> Review {
        Review::of(staged, entered, before, KIND)
    }

    /// What a lie changes in a `T`, and the difference that must be told.
    type Lie<T> = (&'static str, fn(&mut T));

    #[test]
    fn old_and_new_stand_side_by_side() {
        let before = running_status(baclofen(None, 450_000));
        let entered = baclofen(Some(18_000_000), 540_000);
        let review = review(&honest(&entered, &before), &entered, &before);
        assert!(review.confirmable);
        assert_eq!(review.change, "+20.0 %");
        assert_eq!(
            (review.old_total.as_str(), review.new_total.as_str()),
            ("450 mcg", "540 mcg")
        );
        let row = |label: &str| {
            let row = review.rows.iter().find(|row| row.label == label).unwrap();
            (row.old.as_str(), row.new.as_str(), row.changed)
        };
        assert_eq!(row("Drug"), ("baclofen", "baclofen", false));
        assert_eq!(
            row("Concentration"),
            ("2,000 mcg/mL", "2,000 mcg/mL", false)
        );
        assert_eq!(row("Dose"), ("450 mcg/day", "540 mcg/day", true));
        assert_eq!(row("Flow"), ("0.225 mL/day", "0.27 mL/day", true));
        assert_eq!(row("Reservoir"), ("19.997 mL left", "filled: 18 mL", true));
        assert_eq!(review.lasts.as_deref(), Some("66 days"));
        assert_eq!(review.notes, Vec::<String>::new());
    }

    #[test]
    fn any_difference_between_entry_and_read_back_refuses() {
        let before = running_status(baclofen(None, 450_000));
        let entered = baclofen(Some(18_000_000), 540_000);
        let lies: [Lie<Program>; 6] = [
            (
                "Mode and dose: entered 540 mcg/day, the pump read back 541 mcg/day",
                |program| {
                    program.mode = Mode::SimpleContinuous {
                        dose: Dose {
                            nanograms: 541_000,
                            per: Per::Day,
                        },
                    };
                },
            ),
            (
                "Mode and dose: entered 540 mcg/day, the pump read back 540 mcg/h",
                |program| {
                    program.mode = Mode::SimpleContinuous {
                        dose: Dose {
                            nanograms: 540_000,
                            per: Per::Hour,
                        },
                    };
                },
            ),
            (
                "Mode and dose: entered 540 mcg/day, the pump read back stopped",
                |program| {
                    program.mode = Mode::Stopped;
                },
            ),
            (
                "Drug: entered baclofen, the pump read back clonidine",
                |program| {
                    program.primary.drug = Drug::Clonidine;
                },
            ),
            (
                "Concentration: entered 2,000 mcg/mL, the pump read back 2,000.001 mcg/mL",
                |program| program.primary.concentration_ng_per_ml += 1,
            ),
            (
                "Reservoir: entered filled: 18 mL, the pump read back no refill",
                |program| {
                    program.fill = None;
                },
            ),
        ];
        for (expected, lie) in lies {
            let mut lied = entered.clone();
            lie(&mut lied);
            let review = review(&honest(&lied, &before), &entered, &before);
            assert!(!review.confirmable, "{expected}");
            assert_eq!(review.differences, [expected]);
        }
    }

    #[test]
    fn a_read_back_that_does_not_add_up_refuses() {
        let before = running_status(baclofen(None, 450_000));
        let entered = baclofen(None, 540_000);
        let lies: [Lie<Staged>; 5] = [
            ("24-hour total", |staged| staged.new_day_total_ng += 1),
            ("Flow", |staged| staged.flow_nl_per_day -= 1),
            ("The program in force has changed", |staged| {
                staged.old_day_total_ng = None
            }),
            ("The program in force has changed", |staged| {
                staged.digest.0[31] ^= 1
            }),
            ("The program in force has changed", |staged| {
                staged.digest = Digest::of(&staged.program, 5);
            }),
        ];
        for (expected, lie) in lies {
            let mut staged = honest(&entered, &before);
            lie(&mut staged);
            let review = review(&staged, &entered, &before);
            assert!(!review.confirmable, "{expected}");
            assert_eq!(review.differences.len(), 1);
            assert!(review.differences[0].starts_with(expected));
        }
    }

    #[test]
    fn the_change_and_the_old_total_are_reckoned_anew() {
        let before = running_status(baclofen(None, 450_000));
        let entered = baclofen(None, 540_000);
        let lies: [Lie<Staged>; 3] = [
            (
                "Change: +20.0 % by this programmer's sum, +20.1 %",
                |staged| {
                    staged.change_tenths_percent = Some(201);
                },
            ),
            ("Change: +20.0 % by this programmer's sum, none", |staged| {
                staged.change_tenths_percent = None;
            }),
            ("24-hour total in force now", |staged| {
                staged.old_day_total_ng = Some(450_001);
            }),
        ];
        for (expected, lie) in lies {
            let mut staged = honest(&entered, &before);
            lie(&mut staged);
            let review = review(&staged, &entered, &before);
            assert!(!review.confirmable, "{expected}");
            assert!(
                review.differences[0].starts_with(expected),
                "{:?}",
                review.differences
            );
        }
    }

    #[test]
    fn every_setting_of_either_program_is_compared() {
        let before = running_status(with_patient_bolus(250_000));
        let entered = flex();
        let mut staged = honest(&entered, &before);
        // A week means another flow at another hour.
        staged.flow_nl_per_day = 240_000;
        let shown = review(&staged, &entered, &before);
        assert_eq!(shown.differences, Vec::<String>::new());
        let row = |label: &str| shown.rows.iter().find(|row| row.label == label);
        let patient = row("Patient bolus").unwrap();
        assert!(patient.old.starts_with("10 mcg") && patient.new == "none" && patient.changed);
        assert!(row("Dose").unwrap().new.contains("08:00 20 mcg/h"));
        assert!(row("Bridge").is_none());
        staged.flow_nl_per_day = 240_001;
        assert!(!review(&staged, &entered, &before).confirmable);
        let lies: [Lie<Program>; 6] = [
            ("Mixed with", |program| {
                let mut morphine = program.primary;
                morphine.drug = Drug::Morphine;
                program.secondaries.push(morphine).unwrap();
            }),
            ("Patient bolus", |program| {
                program.patient_bolus = with_patient_bolus(1).patient_bolus;
            }),
            ("On a fault", |program| {
                program.fault_policy = Some(units::FaultPolicy::Stop);
            }),
            ("Bridge", |program| {
                program.bridge = Some(Dose {
                    nanograms: 1,
                    per: Per::Day,
                });
            }),
            ("Low mark", |program| program.low_mark_nl = Some(1)),
            ("Mode and dose", |program| program.mode = Mode::MinimumRate),
        ];
        for (expected, lie) in lies {
            let mut lied = entered.clone();
            lie(&mut lied);
            let review = review(&honest(&lied, &before), &entered, &before);
            assert!(review.differences[0].starts_with(expected), "{expected}");
            assert!(!review.confirmable, "{expected}");
        }
    }

    #[test]
    fn findings_and_the_bridge_are_told_in_words() {
        let before = running_status(baclofen(None, 450_000));
        let entered = baclofen(None, 540_000);
        let mut staged = honest(&entered, &before);
        staged.needs_reason = true;
        let finding = Finding {
            limit_kind: LimitKind::IncreaseTenthsPercent,
            drug: Drug::Baclofen,
            value: protocol::Amount::new(200).unwrap(),
            limit: protocol::Amount::new(150).unwrap(),
        };
        staged.findings.push(finding).unwrap();
        staged.bridge = Some(BridgePlan {
            flow_nl_per_day: 120_000,
            volume_nl: 184_000,
            duration_s: 132_480,
        });
        let review = review(&staged, &entered, &before);
        assert!(review.confirmable && review.needs_reason);
        assert_eq!(review.findings, ["Baclofen: increase 20 %, at most 15 %"]);
        assert!(review.notes[0].contains("0.184 mL") && review.notes[0].contains("1 day 12 h"));
    }

    #[test]
    fn a_first_program_starts_from_nothing() {
        let before = fresh_status();
        let entered = baclofen(Some(20_000_000), 250_000);
        let review = review(&honest(&entered, &before), &entered, &before);
        assert!(review.confirmable);
        assert_eq!(review.old_total, "none");
        assert_eq!(review.change, "new start");
        assert!(review.rows.iter().all(|row| row.changed));
        assert_eq!(review.lasts.as_deref(), Some("160 days"));
        assert_eq!(review.notes, Vec::<String>::new());
    }

    #[test]
    fn a_clinician_is_told_what_to_think_of() {
        let notes = |before: &Status, new: &Program| {
            review(&honest(new, before), new, before).notes.join("\n")
        };
        let before = running_status(baclofen(None, 500_000));
        assert_eq!(notes(&before, &baclofen(None, 400_000)), "");
        assert!(notes(&before, &baclofen(None, 399_000)).contains("withdrawal"));
        let mut stopped = baclofen(None, 0);
        stopped.mode = Mode::Stopped;
        assert!(notes(&before, &stopped).contains("withdrawal"));
        let mut other = baclofen(Some(20_000_000), 500_000);
        other.primary.drug = Drug::Morphine;
        let other = notes(&before, &other);
        assert!(other.contains("catheter") && other.contains("withdrawal"));
        assert!(!other.contains("no refill"));
        let mut stronger = baclofen(None, 500_000);
        stronger.primary.concentration_ng_per_ml *= 2;
        let stronger = notes(&before, &stronger);
        assert!(stronger.contains("catheter") && stronger.contains("no refill"));
        assert!(notes(&fresh_status(), &baclofen(None, 500_000)).contains("not known"));
    }
}
