//! Names that the wire, the therapy and the records share: closed lists whose numbers never change.

use core::fmt;

use serde::{Deserialize, Serialize};

/// A closed list of names: an enum, all its values in order, and the name of each for people.
macro_rules! identifiers {
    ($(#[$documentation:meta])* $name:ident { $( $(#[$value_documentation:meta])* $value:ident $text:literal, )* }) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(postcard_schema::Schema))]
        pub enum $name {
            $( $(#[$value_documentation])* $value, )*
        }

        impl $name {
            /// Every value, in the order of their numbers.
            pub const ALL: &'static [Self] = &[ $( Self::$value, )* ];

            /// The name for people.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Self::$value => $text, )* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

identifiers! {
    /// What kind of pump a commissioning record makes of this firmware (clinical reference, 5.3).
    PumpKind {
        /// Implanted, with every mode.
        ProgrammableImplant "programmable implant",
        /// Implanted, with one rate that is fixed when it is commissioned.
        ConstantRate "constant-rate implant",
        /// Worn outside during a trial.
        ExternalTrial "external trial pump",
    }
}

identifiers! {
    /// What the pump does about a fault that leaves the drug deliverable (docs/therapy.md, "Fault table").
    FaultPolicy {
        /// Goes on at the last verified basal rate, without boluses: losing the drug is the greater danger.
        HoldLast "hold last",
        /// Stops.
        Stop "stop",
    }
}

identifiers! {
    /// Why somebody goes over a soft limit; kept in the log.
    OverrideReason {
        /// The dose is being raised or lowered step by step.
        Titration "titration",
        /// The patient is used to a higher dose.
        Tolerance "tolerance",
        /// Comfort at the end of life.
        EndOfLife "end of life",
        /// Side effects ask for less.
        SideEffects "side effects",
        /// The drug or its concentration changes.
        DrugChange "drug change",
        /// The catheter or the pump was replaced or tested.
        Procedure "procedure",
        /// Something else, written in the patient's notes.
        InNotes "in the patient's notes",
    }
}

identifiers! {
    /// What a prime fills (clinical reference, 2.2).
    PrimeKind {
        /// Pump tubing and catheter: a new pump on a new catheter.
        PumpAndCatheter "pump and catheter",
        /// Pump tubing only: a new pump on a filled catheter.
        PumpOnly "pump only",
        /// Catheter only: a new catheter on a filled pump.
        CatheterOnly "catheter only",
    }
}

identifiers! {
    /// Conditions that raise an alarm. Class, tone, priority and the rest stand in therapy's alarm table.
    AlarmKind {
        /// The encoder has counted more steps than were ordered.
        OverDelivery "over-delivery",
        /// The rotor turned backwards.
        ReverseDelivery "reverse delivery",
        /// The interlock in the motor driver has tripped.
        Interlock "interlock tripped",
        /// The motor driver failed or refused an order.
        MotorDriver "motor driver",
        /// The service life is over (EOS).
        EndOfService "end of service",
        /// The reservoir is empty, as computed.
        EmptyReservoir "empty reservoir",
        /// The rotor stands still although it is ordered to turn.
        MotorStall "motor stall",
        /// The encoder has counted fewer steps than were ordered.
        UnderDelivery "under-delivery",
        /// No good copy of the program is left.
        ProgramLost "program lost",
        /// The commissioning record is absent, contradictory or lost.
        Commissioning "commissioning record",
        /// The time of day is lost.
        ClockLost "clock lost",
        /// A refill was opened and not confirmed in time.
        RefillNotConfirmed "refill not confirmed",
        /// Nothing is delivered for longer than the pump or the drug stands.
        StoppedTooLong "stopped too long",
        /// Delivery of a drug whose withdrawal is dangerous has failed for hours.
        DeliveryLost "delivery lost",
        /// Delivery came back after the unattended resume limit and runs at minimum rate.
        ResumedAtMinimum "resumed at minimum rate",
        /// The emergency role has set minimum rate.
        EmergencyMinimumRate "emergency minimum rate",
        /// The bridge queue was lost.
        BridgeLost "bridge lost",
        /// A fault restarted the pump.
        Restarted "restarted by a fault",
        /// Something the pump relies on was lost from memory.
        MemoryLost "memory lost",
        /// A self-test failed.
        SelfTest "self-test failed",
        /// The pump has to be replaced before a date that is close (EOS - 14 days).
        ReplaceNow "replace the pump now",
        /// The trial is over.
        TrialExpired "trial expired",
        /// The reservoir is at its low mark.
        LowReservoir "low reservoir",
        /// The elective replacement indicator (ERI).
        ReplacementDue "replacement due",
        /// Memory was damaged and has been repaired, or cannot be written.
        MemoryRepaired "memory repaired",
        /// The time of day may be wrong.
        ClockSuspect "clock suspect",
        /// The trial ends soon.
        TrialEnding "trial ends soon",
        /// Three requests for a bolus were denied within a day.
        BolusesDenied "boluses denied",
        /// The drug in the reservoir is past its stability.
        DrugExpired "drug past its stability",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::string::ToString;

    use super::*;

    /// A number that moves would make an old log say something else.
    #[test]
    fn the_numbers_are_fixed() {
        let mut buffer = [0; 4];
        for (number, alarm) in (0_u8..).zip(AlarmKind::ALL) {
            assert_eq!(postcard::to_slice(alarm, &mut buffer).unwrap(), [number]);
        }
        assert_eq!(AlarmKind::ALL.len(), 29);
        assert_eq!(
            postcard::to_slice(&PumpKind::ExternalTrial, &mut buffer).unwrap(),
            [2]
        );
        assert_eq!(
            postcard::to_slice(&FaultPolicy::Stop, &mut buffer).unwrap(),
            [1]
        );
        assert_eq!(
            postcard::to_slice(&OverrideReason::InNotes, &mut buffer).unwrap(),
            [6]
        );
        assert_eq!(
            postcard::to_slice(&PrimeKind::CatheterOnly, &mut buffer).unwrap(),
            [2]
        );
    }

    #[test]
    fn every_name_differs() {
        let names: BTreeSet<_> = AlarmKind::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), AlarmKind::ALL.len());
    }
}
