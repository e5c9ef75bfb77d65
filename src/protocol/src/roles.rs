//! Who may do what: one table, and whatever is not in it is denied.
//!
//! Reading a log changes nothing, but it is the patient's history: for the clinician and the technical service alone.
use crate::info::Lifecycle;
use crate::message::CommandKind;

/// In which role somebody speaks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Role {
    /// Nobody in particular.
    Unauthenticated,
    /// Programs the pump.
    Clinician,
    /// Asks, and later takes boluses within what the clinician set.
    Patient,
    /// Holder of the wallet card's key, with presence.
    Emergency,
    /// Technical service: never therapy.
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

/// One permission.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Who.
    pub role: Role,
    /// What.
    pub command: CommandKind,
    /// In which lifecycles.
    pub lifecycles: &'static [Lifecycle],
    /// With presence or regardless.
    pub presence: Presence,
}

const ALWAYS: &[Lifecycle] = &Lifecycle::ALL;
/// At the end of service every drug stops and no program can bring the pump back.
const WHILE_SERVING: &[Lifecycle] = &[Lifecycle::Factory, Lifecycle::InService];

/// Every permission there is.
///
/// The flags of "status changed" are the clinician's to clear: a patient's phone that cleared them would hide from the clinic what happened.
pub const TABLE: &[Rule] = &[
    allow(
        Role::Unauthenticated,
        CommandKind::Interrogate,
        ALWAYS,
        Presence::Any,
    ),
    allow(
        Role::Clinician,
        CommandKind::Interrogate,
        ALWAYS,
        Presence::Any,
    ),
    allow(
        Role::Clinician,
        CommandKind::Stage,
        WHILE_SERVING,
        Presence::Any,
    ),
    allow(
        Role::Clinician,
        CommandKind::ReadBack,
        WHILE_SERVING,
        Presence::Any,
    ),
    allow(
        Role::Clinician,
        CommandKind::Commit,
        WHILE_SERVING,
        Presence::Any,
    ),
    allow(Role::Clinician, CommandKind::Cancel, ALWAYS, Presence::Any),
    allow(
        Role::Clinician,
        CommandKind::ResetStatusChanged,
        ALWAYS,
        Presence::Any,
    ),
    allow(Role::Clinician, CommandKind::ReadLog, ALWAYS, Presence::Any),
    allow(Role::Clinician, CommandKind::SignLog, ALWAYS, Presence::Any),
    allow(
        Role::Clinician,
        CommandKind::SetClock,
        ALWAYS,
        Presence::Any,
    ),
    allow(
        Role::Patient,
        CommandKind::Interrogate,
        ALWAYS,
        Presence::Any,
    ),
    allow(
        Role::Emergency,
        CommandKind::Interrogate,
        ALWAYS,
        Presence::Required,
    ),
    allow(
        Role::Service,
        CommandKind::Interrogate,
        ALWAYS,
        Presence::Any,
    ),
    allow(Role::Service, CommandKind::ReadLog, ALWAYS, Presence::Any),
    allow(Role::Service, CommandKind::SignLog, ALWAYS, Presence::Any),
];

const fn allow(
    role: Role,
    command: CommandKind,
    lifecycles: &'static [Lifecycle],
    presence: Presence,
) -> Rule {
    Rule {
        role,
        command,
        lifecycles,
        presence,
    }
}

/// Whether `role` may do `command` in this `situation`: when a rule of the [`TABLE`] says so, and never otherwise.
pub fn permits(role: Role, command: CommandKind, situation: &Situation) -> bool {
    TABLE.iter().any(|rule| {
        rule.role == role
            && rule.command == command
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

    /// Every cell of role x command x lifecycle x presence, written down independently of the table: who is not named is denied.
    #[test]
    fn the_whole_table_is_as_decided() {
        let mut denied = 0;
        for role in Role::ALL {
            for command in CommandKind::ALL {
                for lifecycle in Lifecycle::ALL {
                    for armed in [false, true] {
                        let expected = match (role, command) {
                            (
                                Role::Clinician,
                                CommandKind::Stage | CommandKind::ReadBack | CommandKind::Commit,
                            ) => lifecycle != Lifecycle::EndOfService,
                            (Role::Clinician, _) => true,
                            (Role::Emergency, CommandKind::Interrogate) => armed,
                            (
                                Role::Unauthenticated | Role::Patient | Role::Service,
                                CommandKind::Interrogate,
                            ) => true,
                            (Role::Service, CommandKind::ReadLog | CommandKind::SignLog) => true,
                            _ => false,
                        };
                        let permitted = permits(role, command, &Situation { lifecycle, armed });
                        assert_eq!(
                            permitted, expected,
                            "{role}, {command}, {lifecycle}, armed: {armed}"
                        );
                        denied += u32::from(!permitted);
                    }
                }
            }
        }
        assert_eq!(denied, 270 - 81);
    }

    #[test]
    fn nobody_but_a_clinician_changes_anything() {
        for rule in TABLE.iter().filter(|rule| {
            !matches!(
                rule.command,
                CommandKind::Interrogate | CommandKind::ReadLog | CommandKind::SignLog
            )
        }) {
            assert_eq!(rule.role, Role::Clinician, "{rule:?}");
        }
    }

    #[test]
    fn no_rule_is_written_twice() {
        for (position, rule) in TABLE.iter().enumerate() {
            let again = TABLE
                .iter()
                .skip(position + 1)
                .any(|other| other.role == rule.role && other.command == rule.command);
            assert!(!again, "{rule:?}");
        }
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
