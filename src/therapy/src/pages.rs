//! Tables in docs that are made from the tables in the code, so that what is read is what runs.
//!
//! A table stands between `<!-- table: its name -->` and `<!-- end of table -->`. `THECAL_UPDATE_GOLDEN=1 cargo test -p therapy` writes
//! them.

use std::format;
use std::path::PathBuf;
use std::string::{String, ToString};

use units::{AlarmKind, FaultPolicy, PumpKind};

use crate::alarm::{Alarm, AlarmClass, Ending, Sound, Urgency};
use crate::fault::{Fault, Faults, Response, respond};
use crate::kind::KindRules;

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Whether what is kept is to be written anew.
pub(crate) fn are_to_be_updated() -> bool {
    std::env::var_os("THECAL_UPDATE_GOLDEN").is_some()
}

/// A page's tables, by name, are these. One call for all of a page: tests run at the same time, and each would write the whole page.
pub(crate) fn hold_tables(page: &str, tables: &[(&str, String)]) {
    let path = repository().join(page);
    let kept = std::fs::read_to_string(&path).expect("the page");
    let mut made = kept.clone();
    for (name, table) in tables {
        let begin = format!("<!-- table: {name} -->\n");
        let (before, rest) = made.split_once(&begin).expect("the beginning of the table");
        let (_, after) = rest
            .split_once("<!-- end of table -->")
            .expect("the end of the table");
        made = format!("{before}{begin}{table}<!-- end of table -->{after}");
    }
    if are_to_be_updated() {
        std::fs::write(&path, made).expect("the page is written");
    } else {
        assert_eq!(kept, made, "{page}: THECAL_UPDATE_GOLDEN=1 writes it");
    }
}

fn row<const CELLS: usize>(table: &mut String, cells: [&str; CELLS]) {
    table.push_str(&format!("| {} |\n", cells.join(" | ")));
}

fn head<const CELLS: usize>(cells: [&str; CELLS]) -> String {
    let mut table = String::new();
    row(&mut table, cells);
    table.push_str(&format!("|{}\n", "---|".repeat(CELLS)));
    table
}

const fn yes(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// What each kind of pump may do.
fn kinds() -> String {
    let mut table = head([
        "",
        "programmable implant",
        "constant rate",
        "external trial",
    ]);
    let [implant, constant, external] = [
        PumpKind::ProgrammableImplant,
        PumpKind::ConstantRate,
        PumpKind::ExternalTrial,
    ]
    .map(KindRules::of);
    // Taken apart without `..`, so that a new rule must be listed here, too.
    let cells = |rules: KindRules| {
        let KindRules {
            minimum_rate,
            schedules,
            boluses,
            prime,
            largest_prime,
            prime_disconnected,
            bridge,
            trial,
        } = rules;
        [
            ("minimum rate as a program", yes(minimum_rate).to_string()),
            (
                "flex, periodic and single bolus",
                yes(schedules).to_string(),
            ),
            ("boluses by patient and clinician", yes(boluses).to_string()),
            ("prime", yes(prime).to_string()),
            (
                "largest prime",
                if prime {
                    largest_prime.to_string()
                } else {
                    "-".to_string()
                },
            ),
            (
                "patient disconnected for a prime",
                yes(prime_disconnected).to_string(),
            ),
            ("bridge", yes(bridge).to_string()),
            ("trial that ends by itself", yes(trial).to_string()),
        ]
    };
    for (((rule, implant), (_, constant)), (_, external)) in cells(implant)
        .into_iter()
        .zip(cells(constant))
        .zip(cells(external))
    {
        row(&mut table, [rule, &implant, &constant, &external]);
    }
    table
}

const fn urgency(urgency: Urgency) -> &'static str {
    match urgency {
        Urgency::High => "high",
        Urgency::Medium => "medium",
        Urgency::Low => "low",
    }
}

/// Every alarm, the highest priority first.
fn alarms() -> String {
    let mut table = head([
        "priority", "alarm", "class", "implant", "external", "ends", "boluses",
    ]);
    let mut kinds: std::vec::Vec<AlarmKind> = AlarmKind::ALL.to_vec();
    kinds.sort_by_key(|kind| Alarm::of(*kind).priority);
    for kind in kinds {
        let alarm = Alarm::of(kind);
        row(
            &mut table,
            [
                &alarm.priority.to_string(),
                kind.name(),
                match alarm.class {
                    AlarmClass::Critical => "critical",
                    AlarmClass::NonCritical => "not critical",
                },
                match alarm.sound(PumpKind::ProgrammableImplant) {
                    Sound::TwoTone => "two tones, 3 s",
                    Sound::SingleTone => "one tone, 1 s",
                    Sound::Burst(_) => "burst",
                },
                urgency(alarm.urgency),
                match alarm.ending {
                    Ending::WithCondition => "with its condition",
                    Ending::Latched => "acknowledged",
                    Ending::SoundsUntilAcknowledged => "acknowledged, sounds till then",
                },
                if alarm.forbids_boluses {
                    "refused"
                } else {
                    "allowed"
                },
            ],
        );
    }
    table
}

const fn fault(fault: Fault) -> &'static str {
    match fault {
        Fault::OverDelivery => "over-delivery",
        Fault::ReverseDelivery => "reverse delivery",
        Fault::InterlockTripped => "interlock tripped",
        Fault::EndOfService => "end of service (EOS)",
        Fault::TrialExpired => "trial expired",
        Fault::CommissioningAbsent => {
            "commissioning record absent or contradictory at commissioning"
        }
        Fault::Empty => "reservoir empty, as computed",
        Fault::Overdrawn => "overdrawn by more than 10 % of the last fill",
        Fault::NearlyEmpty => "less than 1 mL left",
        Fault::ProgramLost => "both copies of the program lost",
        Fault::EmergencyMinimumRate => "emergency minimum rate",
        Fault::ResumedAtMinimum => "delivery back after the unattended resume limit",
        Fault::BridgeLost => "bridge queue lost",
        Fault::ClockLost => "schedule or clock lost, basal intact",
        Fault::MotorDriver => "motor driver fails",
        Fault::SelfTest => "self-test failed",
        Fault::MotorStall => "motor stall",
        Fault::UnderDelivery => "under-delivery",
        Fault::RefillOpen => "refill open",
        Fault::RefillNotConfirmed => "refill not confirmed in time",
        Fault::StorageFailing => "journal full or failing",
        Fault::CommissioningLost => "commissioning record lost in service",
        Fault::RecordRepaired => "one copy of a record bad, repaired",
        Fault::Restarted => "restarted by a panic, a hard fault or a brown-out",
    }
}

const fn response(response: Response) -> &'static str {
    match response {
        Response::StopLatched => "**stop, latched**",
        Response::EndOfService => "**stop for good**",
        Response::Stop => "**stop**",
        Response::MinimumRate => "minimum rate",
        Response::KeepVeinOpen => "keep vein open",
        Response::LowerOfBridgeAndMean => "lower of bridge and mean",
        Response::LowerOfBridgeAndNew => "lower of bridge and new rate",
        Response::HoldLast => "24-hour mean",
        Response::BasalOnly => "program without boluses",
        Response::Normal => "program",
    }
}

/// What the pump does about each fault alone.
fn faults() -> String {
    let mut table = head([
        "fault",
        "alarm",
        "implant, hold last",
        "implant, stop",
        "external, hold last",
        "external, stop",
    ]);
    for kind in Fault::ALL {
        let alone = |policy, pump| response(respond(Faults::NONE.with(kind), policy, pump));
        let implant = |policy| alone(policy, PumpKind::ProgrammableImplant);
        let external = |policy| alone(policy, PumpKind::ExternalTrial);
        row(
            &mut table,
            [
                fault(kind),
                kind.alarm().map_or("-", AlarmKind::name),
                implant(FaultPolicy::HoldLast),
                implant(FaultPolicy::Stop),
                external(FaultPolicy::HoldLast),
                external(FaultPolicy::Stop),
            ],
        );
    }
    table
}

/// docs/therapy.md shows kinds, alarms and faults as they are in the code.
///
/// Requirement: TH-fault-table, TH-alarm-table
#[test]
fn the_tables_of_the_page_on_therapy_are_those_of_the_code() {
    hold_tables(
        "docs/therapy.md",
        &[
            ("kinds", kinds()),
            ("alarms", alarms()),
            ("faults", faults()),
        ],
    );
}

/// One column serves both implants.
#[test]
fn a_constant_rate_implant_answers_faults_as_a_programmable_one() {
    for kind in Fault::ALL {
        for policy in [FaultPolicy::HoldLast, FaultPolicy::Stop] {
            assert_eq!(
                kind.response(policy, PumpKind::ConstantRate),
                kind.response(policy, PumpKind::ProgrammableImplant)
            );
        }
    }
}
