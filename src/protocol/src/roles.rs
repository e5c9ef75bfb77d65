//! Who may do what: one table, and whatever is not in it is denied.
//!
//! Reading a log changes nothing, but it is the patient's history: for the clinician and the technical service alone.
//! The table says who may ask; what the pump then bounds (a patient's phone moves the time zone by one hour at most and ends no bolus but
//! the patient's own) stands with the commands.
use serde::{Deserialize, Serialize};

use crate::info::Lifecycle;
use crate::message::CommandKind;
use crate::refused::NotAllowed;

/// In which role somebody speaks. Whoever has no key has no role, and nothing to say.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum Role {
    /// Knows the secret of the sterile pack or of the implant card, and grants one clinician's key with it, with presence.
    Enrolling,
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
    /// Every role, in wire order.
    pub const ALL: [Role; 5] = [
        Role::Enrolling,
        Role::Clinician,
        Role::Patient,
        Role::Emergency,
        Role::Service,
    ];

    /// The roles that a key can be granted for.
    pub const GRANTED: [Role; 4] = [
        Role::Clinician,
        Role::Patient,
        Role::Emergency,
        Role::Service,
    ];

    /// The name used in texts and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Enrolling => "enrolling",
            Role::Clinician => "clinician",
            Role::Patient => "patient",
            Role::Emergency => "emergency",
            Role::Service => "service",
        }
    }

    /// Whether a session in this role is there only while the presence window is open. Said once, here and in the [`TABLE`].
    pub fn needs_presence(self) -> bool {
        TABLE
            .iter()
            .all(|rule| rule.role != self || rule.presence == Presence::Required)
    }
}

impl core::fmt::Display for Role {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.pad(self.name())
    }
}

/// Who gives a command: what the pump's own rules need of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub struct Caller {
    /// The slot of the key, or [`crate::keys::ENROLMENT_SLOT`], [`crate::keys::RECOVERY_SLOT`].
    pub slot: u8,
    /// The role it speaks in.
    pub role: Role,
}

/// What a permission may depend on besides the role: facts about the pump at this moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Situation {
    /// Where in its life the pump is.
    pub lifecycle: Lifecycle,
    /// The presence window is open.
    pub armed: bool,
    /// A critical alarm is active.
    pub alarm: bool,
}

/// Presence that a [`Rule`] asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    /// With or without presence.
    Any,
    /// Only while the presence window is open.
    Required,
}

/// Quiet that a [`Rule`] asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alarm {
    /// With or without a critical alarm.
    Any,
    /// Only while no critical alarm is active.
    NoneCritical,
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
    /// During a critical alarm or not.
    pub alarm: Alarm,
}

const ALWAYS: &[Lifecycle] = &Lifecycle::ALL;
/// At the end of service every drug stops and nothing can bring the pump back.
const WHILE_SERVING: &[Lifecycle] = &[Lifecycle::Factory, Lifecycle::InService];
const FACTORY: &[Lifecycle] = &[Lifecycle::Factory];

/// Every permission there is.
///
/// A test tone must not be taken for a critical alarm, nor the other way round. The flags of "status changed" are the clinician's to clear: a patient's phone that cleared them would hide from the clinic what happened.
pub const TABLE: &[Rule] = &[
    Rule {
        role: Role::Enrolling,
        commands: &[CommandKind::GrantKey, CommandKind::ReadKeys],
        lifecycles: ALWAYS,
        presence: Presence::Required,
        alarm: Alarm::Any,
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
            CommandKind::MriMode,
            CommandKind::LoadLibrary,
            CommandKind::ReadTherapy,
            CommandKind::ReadPath,
            CommandKind::ReadLibrary,
            CommandKind::ReadRefills,
            CommandKind::DiaryEntry,
            CommandKind::GrantKey,
            CommandKind::RevokeKey,
            CommandKind::ReadKeys,
        ],
        lifecycles: ALWAYS,
        presence: Presence::Any,
        alarm: Alarm::Any,
    },
    Rule {
        role: Role::Clinician,
        commands: &[CommandKind::TestTone],
        lifecycles: ALWAYS,
        presence: Presence::Any,
        alarm: Alarm::NoneCritical,
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
        alarm: Alarm::Any,
    },
    Rule {
        role: Role::Clinician,
        commands: &[CommandKind::Commission],
        lifecycles: FACTORY,
        presence: Presence::Any,
        alarm: Alarm::Any,
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
        alarm: Alarm::Any,
    },
    Rule {
        role: Role::Patient,
        commands: &[CommandKind::PatientBolus],
        lifecycles: WHILE_SERVING,
        presence: Presence::Any,
        alarm: Alarm::Any,
    },
    Rule {
        role: Role::Emergency,
        commands: &[CommandKind::Interrogate],
        lifecycles: ALWAYS,
        presence: Presence::Required,
        alarm: Alarm::Any,
    },
    Rule {
        role: Role::Emergency,
        commands: &[CommandKind::EmergencyMinimumRate],
        lifecycles: WHILE_SERVING,
        presence: Presence::Required,
        alarm: Alarm::Any,
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
        alarm: Alarm::Any,
    },
    Rule {
        role: Role::Service,
        commands: &[CommandKind::Commission],
        lifecycles: FACTORY,
        presence: Presence::Any,
        alarm: Alarm::Any,
    },
];

/// Whether `role` may do `command` in this `situation`: when a rule of the [`TABLE`] says so, and never otherwise.
///
/// # Errors
/// What stands in the way, the most lasting first.
pub fn permission(
    role: Role,
    command: CommandKind,
    situation: &Situation,
) -> Result<(), NotAllowed> {
    let mut why = NotAllowed::Role { role };
    let rules = TABLE
        .iter()
        .filter(|rule| rule.role == role && rule.commands.contains(&command));
    for rule in rules {
        why = if !rule.lifecycles.contains(&situation.lifecycle) {
            NotAllowed::Lifecycle {
                lifecycle: situation.lifecycle,
            }
        } else if rule.presence == Presence::Required && !situation.armed {
            NotAllowed::Presence
        } else if rule.alarm == Alarm::NoneCritical && situation.alarm {
            NotAllowed::Alarm
        } else {
            return Ok(());
        };
    }
    Err(why)
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
        /// Sounds like an alarm.
        Sounds,
        /// Lets keys in, or tells which are.
        Enrols,
        /// Lets a key in no more.
        Revokes,
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
            CommandKind::TestTone => Does::Sounds,
            CommandKind::GrantKey | CommandKind::ReadKeys => Does::Enrols,
            CommandKind::RevokeKey => Does::Revokes,
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
            | CommandKind::MriMode
            | CommandKind::LoadLibrary => Does::Clinical,
        }
    }

    /// What stands in the way, written down independently of the table.
    fn expected(role: Role, command: CommandKind, situation: &Situation) -> Result<(), NotAllowed> {
        let Situation {
            lifecycle,
            armed,
            alarm,
        } = *situation;
        let never = Err(NotAllowed::Role { role });
        let when = |condition: bool, otherwise| if condition { Ok(()) } else { Err(otherwise) };
        let serving = when(
            lifecycle != Lifecycle::EndOfService,
            NotAllowed::Lifecycle { lifecycle },
        );
        let new = when(
            lifecycle == Lifecycle::Factory,
            NotAllowed::Lifecycle { lifecycle },
        );
        let present = when(armed, NotAllowed::Presence);
        match (role, does(command)) {
            (Role::Enrolling, Does::Enrols) => present,
            (Role::Enrolling, _) => never,
            (Role::Emergency, Does::Summary) => present,
            (Role::Emergency, Does::Emergency) => serving.and(present),
            (Role::Emergency, _) => never,
            (_, Does::Summary) => Ok(()),
            (Role::Clinician | Role::Service, Does::Commissions) => new,
            (Role::Clinician, Does::GivesDrug | Does::GivesAllotted | Does::Emergency) => serving,
            (Role::Clinician, Does::Sounds) => when(!alarm, NotAllowed::Alarm),
            (Role::Clinician, _) => Ok(()),
            (Role::Patient, Does::GivesAllotted) => serving,
            (Role::Patient, Does::TellsPatient | Does::PatientToo) => Ok(()),
            (Role::Service, Does::Log | Does::Tells | Does::TellsPatient) => Ok(()),
            (Role::Patient | Role::Service, _) => never,
        }
    }

    /// Every cell of role x command x lifecycle x presence x alarm: who is not named is denied.
    #[test]
    fn the_whole_table_is_as_decided() {
        let mut permissions = 0;
        for role in Role::ALL {
            for command in CommandKind::ALL {
                for lifecycle in Lifecycle::ALL {
                    for [armed, alarm] in
                        [[false, false], [false, true], [true, false], [true, true]]
                    {
                        let situation = Situation {
                            lifecycle,
                            armed,
                            alarm,
                        };
                        let found = permission(role, *command, &situation);
                        assert_eq!(
                            found,
                            expected(role, *command, &situation),
                            "{role}, {command}, {situation:?}"
                        );
                        permissions += u32::from(found.is_ok());
                    }
                }
            }
        }
        // Enrolling 2 x 3 x 2; clinician 25 x 12 + 1 x 6 + 8 x 8 + 4; patient 5 x 12 + 8; emergency 6 + 4; service 7 x 12 + 4.
        assert_eq!(permissions, 12 + 374 + 68 + 10 + 88);
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
    fn only_enrolment_and_emergency_end_with_presence() {
        let needing: std::vec::Vec<Role> = Role::ALL
            .into_iter()
            .filter(|role| role.needs_presence())
            .collect();
        assert_eq!(needing, [Role::Enrolling, Role::Emergency]);
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
        assert_eq!(names, "enrolling/clinician/patient/emergency/service/");
    }
}
