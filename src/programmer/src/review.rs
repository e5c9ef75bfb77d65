//! The review: what the pump read back, beside the program in force and against what was entered.
//!
//! Everything shown as new comes from the pump's answer. It is compared with the entry and added up again here; one
//! difference, and there is nothing to confirm.
use protocol::{Digest, Mode, Program, Staged, Status};
use serde::Serialize;
use units::{Drug, Volume};

use crate::change::Change;
use crate::form::{day_total_nanograms, flow_of, in_force};
use crate::text;

/// One line: a setting before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What it is.
    pub label: &'static str,
    /// In force now.
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
    /// The 24-hour total now; `none` when there was no program.
    pub old_total: String,
    /// The 24-hour total to come.
    pub new_total: String,
    /// The change between them.
    pub change: String,
    /// The ratio of the two, when it is large.
    pub times: Option<String>,
    /// How long the reservoir lasts at the new flow.
    pub lasts: Option<String>,
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
    /// From the pump's answer to Stage, what was entered, and the status from before.
    #[must_use]
    pub fn of(staged: &Staged, entered: &Program, before: &Status) -> Self {
        let new = &staged.program;
        let new_total = staged.new_day_total_ng;
        let change = Change::of(in_force(before), (new.drug, new_total));
        let differences = differences(staged, entered, before);
        Self {
            rows: rows(staged, before),
            drug: new.drug.name(),
            old_total: before
                .program
                .as_ref()
                .map_or_else(none, |old| text::mass(day_total_nanograms(old), old.drug)),
            new_total: text::mass(new_total, new.drug),
            change: change.text(),
            times: change.times(),
            lasts: reservoir_after(new, before)
                .and_then(|volume| flow_of(new).time_for(volume))
                .map(|time| text::time(time.millis_rounded_down())),
            notes: notes(new, before, change),
            confirmable: differences.is_empty(),
            differences,
            expires_in_ms: staged.expires_in_ms,
        }
    }
}

fn none() -> String {
    "none".to_owned()
}

fn rows(staged: &Staged, before: &Status) -> Vec<Row> {
    let new = &staged.program;
    let old = before.program.as_ref();
    let row = |label, old: Option<String>, new: String| {
        let old = old.unwrap_or_else(none);
        Row {
            changed: old != new,
            label,
            old,
            new,
        }
    };
    vec![
        row(
            "Drug",
            old.map(|old| old.drug.name().to_owned()),
            new.drug.name().to_owned(),
        ),
        row(
            "Concentration",
            old.map(|old| text::concentration(old.concentration_ng_per_ml, old.drug)),
            text::concentration(new.concentration_ng_per_ml, new.drug),
        ),
        row(
            "Mode",
            old.map(|old| text::mode(&old.mode).to_owned()),
            text::mode(&new.mode).to_owned(),
        ),
        row("Dose", old.and_then(dose), dose(new).unwrap_or_else(none)),
        row(
            "24-hour total",
            old.map(|old| text::mass(day_total_nanograms(old), old.drug)),
            text::mass(staged.new_day_total_ng, new.drug),
        ),
        row(
            "Flow",
            old.map(|_| text::flow(before.flow_nl_per_day)),
            text::flow(staged.flow_nl_per_day),
        ),
        reservoir_row(new, before),
    ]
}

fn dose(program: &Program) -> Option<String> {
    match &program.mode {
        Mode::Stopped => None,
        Mode::SimpleContinuous { dose } => Some(text::dose(*dose, program.drug)),
    }
}

fn reservoir_row(new: &Program, before: &Status) -> Row {
    let old = before.reservoir_fl.map_or_else(
        || "not known".to_owned(),
        |left| format!("{} left", text::level(Volume::from_femtolitres(left))),
    );
    match new.fill_nl {
        Some(fill) => Row {
            label: "Reservoir",
            old,
            new: format!("filled: {}", text::fill(fill)),
            changed: true,
        },
        None => Row {
            label: "Reservoir",
            old,
            new: "not refilled".to_owned(),
            changed: false,
        },
    }
}

fn reservoir_after(new: &Program, before: &Status) -> Option<Volume> {
    match new.fill_nl {
        Some(fill) => Some(Volume::from_nanolitres(fill)),
        None => before.reservoir_fl.map(Volume::from_femtolitres),
    }
}

/// Every way in which the pump's answer is not what was entered, or does not add up.
fn differences(staged: &Staged, entered: &Program, before: &Status) -> Vec<String> {
    let read = &staged.program;
    let mut found = Vec::new();
    let mut compare = |what: &str, same: bool, entered: String, read: String| {
        if !same {
            found.push(format!(
                "{what}: entered {entered}, the pump read back {read}"
            ));
        }
    };
    compare(
        "Drug",
        read.drug == entered.drug,
        entered.drug.name().to_owned(),
        read.drug.name().to_owned(),
    );
    compare(
        "Concentration",
        read.concentration_ng_per_ml == entered.concentration_ng_per_ml,
        text::concentration(entered.concentration_ng_per_ml, entered.drug),
        text::concentration(read.concentration_ng_per_ml, read.drug),
    );
    compare(
        "Mode and dose",
        read.mode == entered.mode,
        dose(entered).unwrap_or_else(|| text::mode(&entered.mode).to_owned()),
        dose(read).unwrap_or_else(|| text::mode(&read.mode).to_owned()),
    );
    let fill = |fill: Option<u32>| fill.map_or_else(|| "no refill".to_owned(), text::fill);
    compare(
        "Reservoir fill",
        read.fill_nl == entered.fill_nl,
        fill(entered.fill_nl),
        fill(read.fill_nl),
    );
    // The sums of both sides come from the same code; where they differ, one side is not what it seems.
    let total = day_total_nanograms(read);
    if staged.new_day_total_ng != total {
        found.push(sum(
            "24-hour total",
            text::mass(total, read.drug),
            text::mass(staged.new_day_total_ng, read.drug),
        ));
    }
    let flow = flow_of(read).per_day_nanolitres_rounded_down();
    if staged.flow_nl_per_day != flow {
        found.push(sum(
            "Flow",
            text::flow(flow),
            text::flow(staged.flow_nl_per_day),
        ));
    }
    let old_total = in_force(before).map(|(_, total)| total);
    let number = before.program_number.checked_add(1);
    let digest = number.map(|number| Digest::of(read, number));
    if staged.old_day_total_ng != old_total || digest != Some(staged.digest) {
        found.push(
            "The program in force has changed since the pump was read out, or the read-back is damaged: send it again"
                .to_owned(),
        );
    }
    found
}

fn sum(what: &str, here: String, there: String) -> String {
    format!("{what}: {here} by this programmer's sum, {there} by the pump's")
}

/// What is not wrong but wants a thought. Sources: clinical reference, 2.3 and 3.4.
fn notes(new: &Program, before: &Status, change: Change) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(old) = &before.program {
        let solution_changes =
            old.drug != new.drug || old.concentration_ng_per_ml != new.concentration_ng_per_ml;
        if solution_changes {
            notes.push(
                "Drug or concentration changes: the tubing and the catheter still hold the old solution, which will be \
                 delivered first, at the new flow. This version has no bridge bolus."
                    .to_owned(),
            );
        }
        if solution_changes && new.fill_nl.is_none() {
            notes.push("Drug or concentration changes, but no refill was entered.".to_owned());
        }
        if let Some(warning) = withdrawal(old.drug).filter(|_| {
            change.drops_by_more_than_a_fifth()
                || (change == Change::OtherDrug && old.drug != new.drug)
        }) {
            notes.push(warning.to_owned());
        }
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
    use crate::test_pump::{baclofen, fresh_status, honest, running_status};
    use protocol::Dose;
    use units::Per;

    fn review(staged: &Staged, entered: &Program, before: &Status) -> Review {
        Review::of(staged, entered, before)
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
                    program.drug = Drug::Clonidine;
                },
            ),
            (
                "Concentration: entered 2,000 mcg/mL, the pump read back 2,000.001 mcg/mL",
                |program| program.concentration_ng_per_ml += 1,
            ),
            (
                "Reservoir fill: entered 18 mL, the pump read back no refill",
                |program| {
                    program.fill_nl = None;
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
        other.drug = Drug::Morphine;
        let other = notes(&before, &other);
        assert!(other.contains("catheter") && other.contains("withdrawal"));
        assert!(!other.contains("no refill"));
        let mut stronger = baclofen(None, 500_000);
        stronger.concentration_ng_per_ml *= 2;
        let stronger = notes(&before, &stronger);
        assert!(stronger.contains("catheter") && stronger.contains("no refill"));
        assert!(notes(&fresh_status(), &baclofen(None, 500_000)).contains("not known"));
    }
}
