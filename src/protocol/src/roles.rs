//! Who may do what: one table, and whatever is not in it is denied.
//!
//! Reading a log changes nothing, but it is the patient's history: for the clinician and the technical service alone.
//! The table says who may ask; what the pump then bounds (a patient's phone moves the time zone by one hour at most and ends no bolus but
//! the patient's own) stands with the commands.
use crate::info::Lifecycle;
use crate::message::CommandKind;

/// In which role somebody speaks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Role {
    /// Nobody in particular.
    Unauthenticated,
    /// Programs the pump.
    Clinician,
    /// Asks, and takes boluses within what the clinician set.
    Patient,
    /// Holder of the wallet card's key, with presence.
    Emergency,
    /// Technical service: makes a new pump one of a kind; never therapy.
    Service,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 5] = [
        Role::Unauthenticated,
        Role::Clinician,
        Role::Patient,
        Role::Emergency,
        Role::Service,
    ];

    /// The name used in texts and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Unauthenticated => "unauthenticated",
            Role::Clinician => "clinician",
            Role::Patient => "patient",
            Role::Emergency => "emergency",
            Role::Service => "service",
        }
    }
}

impl core::fmt::Display for Role {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.pad(self.name())
    }
}

/// What a permission may depend on besides the role: facts about the pump at this moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Situation {
    /// Where in its life the pump is.
    pub lifecycle: Lifecycle,
    /// The presence window is open.
    pub armed: bool,
}

/// Presence that a [`Rule`] asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    /// With or without presence.
    Any,
    /// Only while the presence window is open.
    Required,
}

/// Permissions of one role.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Who.
    pub role: Role,
    /// What.
    pub commands: &'static [CommandKind],
    /// In which lifecycles.
    pub lifecycles: &'static [Lifecycle],
    /// With presence or regardless.
    pub presence: Presence,
}

const ALWAYS: &[Lifecycle] = &Lifecycle::ALL;
/// At the end of service every drug stops and nothing can bring the pump back.
const WHILE_SERVING: &[Lifecycle] = &[Lifecycle::Factory, Lifecycle::InService];
const FACTORY: &[Lifecycle] = &[Lifecycle::Factory];

/// Every permission there is.
///
/// The flags of "status changed" are the clinician's to clear: a patient's phone that cleared them would hide from the clinic what happened.
pub const TABLE: &[Rule] = &[
    Rule {
        role: Role::Unauthenticated,
        commands: &[CommandKind::Interrogate],
        lifecycles: ALWAYS,
        presence: Presence::Any,
    },
    Rule {
        role: Role::Clinician,
        commands: &[
            CommandKind::Interrogate,
            CommandKind::Cancel,
            CommandKind::ResetStatusChanged,
            CommandKind::ReadLog,
            CommandKind::SignLog,
            CommandKind::SetClock,
            CommandKind::SetZone,
            CommandKind::CancelBolus,
            CommandKind::SetCatheter,
            CommandKind::OpenRefill,
            CommandKind::RefillAspirated,
            CommandKind::CloseRefill,
            CommandKind::AcknowledgeAlarm,
            CommandKind::SilenceAlarm,
            CommandKind::SetAlarmIntervals,
            CommandKind::TestTone,
            CommandKind::MriMode,
            CommandKind::LoadLibrary,
            CommandKind::ReadTherapy,
            CommandKind::ReadPath,
            CommandKind::ReadLibrary,
            CommandKind::ReadRefills,
            CommandKind::DiaryEntry,
        ],
        lifecycles: ALWAYS,
        presence: Presence::Any,
    },
    Rule {
        role: Role::Clinician,
        commands: &[
            CommandKind::Stage,
            CommandKind::ReadBack,
            CommandKind::Commit,
            CommandKind::ClinicianBolus,
            CommandKind::PatientBolus,
            CommandKind::Prime,
            CommandKind::EmergencyMinimumRate,
            CommandKind::ExtendTrial,
        ],
        lifecycles: WHILE_SERVING,
        presence: Presence::Any,
    },
    Rule {
        role: Role::Clinician,
        commands: &[CommandKind::Commission],
        lifecycles: FACTORY,
        presence: Presence::Any,
    },
    Rule {
        role: Role::Patient,
        commands: &[
            CommandKind::Interrogate,
            CommandKind::SetZone,
            CommandKind::CancelBolus,
            CommandKind::ReadTherapy,
            CommandKind::DiaryEntry,
        ],
        lifecycles: ALWAYS,
        presence: Presence::Any,
    },
    Rule {
        role: Role::Patient,
        commands: &[CommandKind::PatientBolus],
        lifecycles: WHILE_SERVING,
        presence: Presence::Any,
    },
    Rule {
        role: Role::Emergency,
        commands: &[CommandKind::Interrogate],
        lifecycles: ALWAYS,
        presence: Presence::Required,
    },
    Rule {
        role: Role::Emergency,
        commands: &[CommandKind::EmergencyMinimumRate],
        lifecycles: WHILE_SERVING,
        presence: Presence::Required,
    },
    Rule {
        role: Role::Service,
        commands: &[
            CommandKind::Interrogate,
            CommandKind::ReadLog,
            CommandKind::SignLog,
            CommandKind::ReadTherapy,
            CommandKind::ReadPath,
            CommandKind::ReadLibrary,
            CommandKind::ReadRefills,
        ],
        lifecycles: ALWAYS,
        presence: Presence::Any,
    },
    Rule {
        role: Role::Service,
        commands: &[CommandKind::Commission],
        lifecycles: FACTORY,
        presence: Presence::Any,
    },
];

/// Whether `role` may do `command` in this `situation`: when a rule of the [`TABLE`] says so, and never otherwise.
pub fn permits(role: Role, command: CommandKind, situation: &Situation) -> bool {
    TABLE.iter().any(|rule| {
        rule.role == role
            && rule.commands.contains(&command)
            && rule.lifecycles.contains(&situation.lifecycle)
            && match rule.presence {
                Presence::Any => true,
                Presence::Required => situation.armed,
            }
    })
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::String;

    use super::*;

    /// Commands by what they do, written down independently of the table.
    enum Does {
        /// Tells the summary.
        Summary,
        /// Tells the history.
        Log,
        /// Tells about therapy.
        Tells,
        /// Tells what a patient sees too.
        TellsPatient,
        /// May bring drug to the patient.
        GivesDrug,
        /// Brings drug within what a clinician allotted.
        GivesAllotted,
        /// Less drug, or only the patient's own data.
        PatientToo,
        /// Falls back to minimum rate.
        Emergency,
        /// Makes a new pump one of a kind.
        Commissions,
        /// Changes something that gives no drug by itself.
        Clinical,
    }

    fn does(command: CommandKind) -> Does {
        match command {
            CommandKind::Interrogate => Does::Summary,
            CommandKind::ReadLog | CommandKind::SignLog => Does::Log,
            CommandKind::ReadPath | CommandKind::ReadLibrary | CommandKind::ReadRefills => {
                Does::Tells
            }
            CommandKind::ReadTherapy => Does::TellsPatient,
            CommandKind::Stage
            | CommandKind::ReadBack
            | CommandKind::Commit
            | CommandKind::ClinicianBolus
            | CommandKind::Prime
            | CommandKind::ExtendTrial => Does::GivesDrug,
            CommandKind::PatientBolus => Does::GivesAllotted,
            CommandKind::SetZone | CommandKind::CancelBolus | CommandKind::DiaryEntry => {
                Does::PatientToo
            }
            CommandKind::EmergencyMinimumRate => Does::Emergency,
            CommandKind::Commission => Does::Commissions,
            CommandKind::Cancel
            | CommandKind::ResetStatusChanged
            | CommandKind::SetClock
            | CommandKind::SetCatheter
            | CommandKind::OpenRefill
            | CommandKind::RefillAspirated
            | CommandKind::CloseRefill
            | CommandKind::AcknowledgeAlarm
            | CommandKind::SilenceAlarm
            | CommandKind::SetAlarmIntervals
            | CommandKind::TestTone
            | CommandKind::MriMode
            | CommandKind::LoadLibrary => Does::Clinical,
        }
    }

    /// Every cell of role x command x lifecycle x presence: who is not named is denied.
    #[test]
    fn the_whole_table_is_as_decided() {
        let mut permissions = 0;
        for role in Role::ALL {
            for command in CommandKind::ALL {
                for lifecycle in Lifecycle::ALL {
                    for armed in [false, true] {
                        let serving = lifecycle != Lifecycle::EndOfService;
                        let new = lifecycle == Lifecycle::Factory;
                        let expected = match (role, does(*command)) {
                            (Role::Emergency, Does::Summary) => armed,
                            (Role::Emergency, Does::Emergency) => armed && serving,
                            (Role::Emergency, _) => false,
                            (_, Does::Summary) => true,
                            (Role::Clinician | Role::Service, Does::Commissions) => new,
                            (
                                Role::Clinician,
                                Does::GivesDrug | Does::GivesAllotted | Does::Emergency,
                            ) => serving,
                            (Role::Clinician, _) => true,
                            (Role::Patient, Does::GivesAllotted) => serving,
                            (Role::Patient, Does::TellsPatient | Does::PatientToo) => true,
                            (Role::Service, Does::Log | Does::Tells | Does::TellsPatient) => true,
                            (Role::Unauthenticated | Role::Patient | Role::Service, _) => false,
                        };
                        let permitted = permits(role, *command, &Situation { lifecycle, armed });
                        assert_eq!(
                            permitted, expected,
                            "{role}, {command}, {lifecycle}, armed: {armed}"
                        );
                        permissions += u32::from(permitted);
                    }
                }
            }
        }
        // Unauthenticated 6; clinician 23 x 6 + 8 x 4 + 2; patient 5 x 6 + 4; emergency 3 + 2; service 7 x 6 + 2; of 5 x 32 x 6.
        assert_eq!(permissions, 6 + 172 + 34 + 5 + 44);
    }

    #[test]
    fn nobody_but_a_clinician_gives_drug_beyond_what_was_allotted() {
        for rule in TABLE.iter().filter(|rule| rule.role != Role::Clinician) {
            assert!(
                !rule
                    .commands
                    .iter()
                    .any(|command| matches!(does(*command), Does::GivesDrug | Does::Clinical)),
                "{rule:?}"
            );
        }
    }

    #[test]
    fn no_permission_is_written_twice() {
        let all = || {
            TABLE
                .iter()
                .flat_map(|rule| rule.commands.iter().map(|command| (rule.role, *command)))
        };
        let once: std::collections::BTreeSet<_> = all().collect();
        assert_eq!(once.len(), all().count());
    }

    #[test]
    fn every_name_differs() {
        let names: String = Role::ALL.iter().map(|role| format!("{role}/")).collect();
        assert_eq!(
            names,
            "unauthenticated/clinician/patient/emergency/service/"
        );
    }
}
