//! The fault table: what the pump delivers while something is wrong.
//!
//! Each [`Fault`] that is present asks for a [`Response`]; the one that delivers least wins. That makes the order of precedence
//! (docs/therapy.md, "Fault table": over-delivery before EOS before empty before fault policy; stop before minimum rate before hold),
//! and it makes sure that one more fault never delivers more.
//!
//! | fault | implant, hold last | implant, stop | external |
//! |---|---|---|---|
//! | over-delivery, reverse, interlock tripped | stop latched | stop latched | stop latched |
//! | end of service | end of service | end of service | end of service |
//! | trial expired, commissioning contradictory at commissioning | stop | stop | stop |
//! | empty | basal only | stop | stop |
//! | overdrawn by 10 % of the last fill | minimum rate | stop | stop |
//! | less than 1 mL left | normal | normal | keep vein open |
//! | program lost, emergency, resumed after the unattended limit | minimum rate | minimum rate | minimum rate |
//! | bridge lost | lower of bridge and new rate | the same | the same |
//! | schedule or clock lost | hold last | stop | by policy |
//! | motor driver, self-test | hold last | stop | by policy |
//! | stall, under-delivery, refill open or not confirmed, storage failing | basal only | basal only | basal only |
//! | commissioning record lost in service, record repaired, restarted | normal | normal | normal |
//!
//! What the pump really delivers in a stall is up to [`crate::Supervision`]: its retries are all there is.

use serde::{Deserialize, Serialize};
use units::{AlarmKind, FaultPolicy, FlowRate, Per, PumpKind, Volume};

use crate::alarm::AlarmSet;

/// The rate that keeps an external line open, unless the program asks for less: 0.1 mL/h (docs/therapy.md, "Pump kinds") \[P\].
pub const KEEP_VEIN_OPEN: FlowRate = FlowRate::new(Volume::from_microlitres(100), Per::Hour);

/// Below this much an external pump keeps the vein open: 1 mL, R5.8.0(9) \[S43\].
pub const KEEP_VEIN_OPEN_BELOW: Volume = Volume::from_millilitres(1);

/// What may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// More was counted than commanded; latched until a clinician.
    OverDelivery,
    /// The rotor turned backwards; latched until a clinician.
    ReverseDelivery,
    /// The interlock has tripped; latched until a clinician.
    InterlockTripped,
    /// Service life is over.
    EndOfService,
    /// The trial is over; a clinician may extend it.
    TrialExpired,
    /// No commissioning record, two that differ or an unknown one, before the pump was ever commissioned.
    CommissioningAbsent,
    /// The reservoir is empty, as computed.
    Empty,
    /// More was drawn beyond empty than a tenth of the last fill. It makes the reservoir empty, whether that is said too or not.
    Overdrawn,
    /// An external pump has less than [`KEEP_VEIN_OPEN_BELOW`] left.
    NearlyEmpty,
    /// Both copies of the program are lost.
    ProgramLost,
    /// The emergency role has asked for minimum rate.
    EmergencyMinimumRate,
    /// Delivery came back after the unattended resume limit, and no session has been held since.
    ResumedAtMinimum,
    /// The bridge queue is lost.
    BridgeLost,
    /// The schedule or the clock is lost, the basal rate is not.
    ClockLost,
    /// The motor driver failed or answers nonsense.
    MotorDriver,
    /// A self-test failed.
    SelfTest,
    /// The rotor stands still.
    MotorStall,
    /// Less was counted than commanded.
    UnderDelivery,
    /// A refill is open: the reservoir may hold anything.
    RefillOpen,
    /// A refill was not confirmed in time.
    RefillNotConfirmed,
    /// The journal is full or failing.
    StorageFailing,
    /// The commissioning record was lost after commissioning: bounds come from the third copy.
    CommissioningLost,
    /// One copy of a record was bad and has been written anew.
    RecordRepaired,
    /// A panic, a hard fault or a brown-out has restarted the pump.
    Restarted,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 24] = [
        Self::OverDelivery,
        Self::ReverseDelivery,
        Self::InterlockTripped,
        Self::EndOfService,
        Self::TrialExpired,
        Self::CommissioningAbsent,
        Self::Empty,
        Self::Overdrawn,
        Self::NearlyEmpty,
        Self::ProgramLost,
        Self::EmergencyMinimumRate,
        Self::ResumedAtMinimum,
        Self::BridgeLost,
        Self::ClockLost,
        Self::MotorDriver,
        Self::SelfTest,
        Self::MotorStall,
        Self::UnderDelivery,
        Self::RefillOpen,
        Self::RefillNotConfirmed,
        Self::StorageFailing,
        Self::CommissioningLost,
        Self::RecordRepaired,
        Self::Restarted,
    ];

    /// What the pump does when this is all that is wrong.
    #[must_use]
    pub const fn response(self, policy: FaultPolicy, pump: PumpKind) -> Response {
        let by_policy = match policy {
            FaultPolicy::HoldLast => Response::HoldLast,
            FaultPolicy::Stop => Response::Stop,
        };
        match (self, policy, pump) {
            (Self::OverDelivery | Self::ReverseDelivery | Self::InterlockTripped, _, _) => {
                Response::StopLatched
            }
            (Self::EndOfService, _, _) => Response::EndOfService,
            (Self::TrialExpired | Self::CommissioningAbsent, _, _)
            | (Self::Empty | Self::Overdrawn, _, PumpKind::ExternalTrial)
            | (Self::Empty | Self::Overdrawn, FaultPolicy::Stop, _) => Response::Stop,
            (Self::Overdrawn, FaultPolicy::HoldLast, _)
            | (Self::ProgramLost | Self::EmergencyMinimumRate | Self::ResumedAtMinimum, _, _) => {
                Response::MinimumRate
            }
            (Self::NearlyEmpty, _, PumpKind::ExternalTrial) => Response::KeepVeinOpen,
            (Self::BridgeLost, _, _) => Response::LowerOfBridgeAndNew,
            (Self::ClockLost | Self::MotorDriver | Self::SelfTest, _, _) => by_policy,
            (
                Self::Empty
                | Self::MotorStall
                | Self::UnderDelivery
                | Self::RefillOpen
                | Self::RefillNotConfirmed
                | Self::StorageFailing,
                _,
                _,
            ) => Response::BasalOnly,
            (
                Self::NearlyEmpty
                | Self::CommissioningLost
                | Self::RecordRepaired
                | Self::Restarted,
                _,
                _,
            ) => Response::Normal,
        }
    }

    /// The alarm it raises; `None` for an open refill, which is no fault until it is not confirmed in time.
    #[must_use]
    pub const fn alarm(self) -> Option<AlarmKind> {
        Some(match self {
            Self::OverDelivery => AlarmKind::OverDelivery,
            Self::ReverseDelivery => AlarmKind::ReverseDelivery,
            Self::InterlockTripped => AlarmKind::Interlock,
            Self::EndOfService => AlarmKind::EndOfService,
            Self::TrialExpired => AlarmKind::TrialExpired,
            Self::CommissioningAbsent | Self::CommissioningLost => AlarmKind::Commissioning,
            Self::Empty | Self::Overdrawn => AlarmKind::EmptyReservoir,
            Self::NearlyEmpty => AlarmKind::LowReservoir,
            Self::ProgramLost => AlarmKind::ProgramLost,
            Self::EmergencyMinimumRate => AlarmKind::EmergencyMinimumRate,
            Self::ResumedAtMinimum => AlarmKind::ResumedAtMinimum,
            Self::BridgeLost => AlarmKind::BridgeLost,
            Self::ClockLost => AlarmKind::ClockLost,
            Self::MotorDriver => AlarmKind::MotorDriver,
            Self::SelfTest => AlarmKind::SelfTest,
            Self::MotorStall => AlarmKind::MotorStall,
            Self::UnderDelivery => AlarmKind::UnderDelivery,
            Self::RefillOpen => return None,
            Self::RefillNotConfirmed => AlarmKind::RefillNotConfirmed,
            Self::StorageFailing | Self::RecordRepaired => AlarmKind::MemoryRepaired,
            Self::Restarted => AlarmKind::Restarted,
        })
    }

    #[expect(
        clippy::as_conversions,
        reason = "the number of a fault, at most 23; an enum has no From"
    )]
    const fn bit(self) -> u32 {
        1_u32.wrapping_shl(self as u32)
    }
}

/// The faults that are present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Faults(u32);

impl Faults {
    /// Nothing is wrong.
    pub const NONE: Self = Self(0);

    /// Whether a fault is present.
    #[must_use]
    pub const fn contains(self, fault: Fault) -> bool {
        self.0 & fault.bit() != 0
    }

    /// Says whether a fault is present.
    pub const fn set(&mut self, fault: Fault, present: bool) {
        if present {
            self.0 |= fault.bit();
        } else {
            self.0 &= !fault.bit();
        }
    }

    /// The same and one more.
    #[must_use]
    pub const fn with(mut self, fault: Fault) -> Self {
        self.set(fault, true);
        self
    }

    /// The faults, in the order of [`Fault::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL
            .into_iter()
            .filter(move |fault| self.contains(*fault))
    }

    /// The alarms they raise.
    #[must_use]
    pub fn alarms(self) -> AlarmSet {
        self.iter()
            .filter_map(Fault::alarm)
            .fold(AlarmSet::NONE, |alarms, kind| {
                alarms.with(AlarmSet::of(kind))
            })
    }
}

/// What the pump does, from the least that is delivered to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Response {
    /// Stops at once and stays stopped, across resets, until a clinician starts it.
    StopLatched,
    /// Stops: the service life is over.
    EndOfService,
    /// Stops while the fault is present.
    Stop,
    /// Minimum rate, no boluses.
    MinimumRate,
    /// The lower of the basal rate (its 24-hour mean while the clock is lost) and [`KEEP_VEIN_OPEN`], no boluses.
    KeepVeinOpen,
    /// The lower of the bridge rate and the new program's 24-hour mean, no boluses: the clock is lost as well as the bridge.
    LowerOfBridgeAndMean,
    /// The lower of the bridge rate and the new program's rate, no boluses.
    LowerOfBridgeAndNew,
    /// The 24-hour mean of the last verified basal, no boluses.
    HoldLast,
    /// The program without boluses; one that runs ends.
    BasalOnly,
    /// The program.
    Normal,
}

impl Response {
    /// Whether nothing is delivered.
    #[must_use]
    pub const fn is_stop(self) -> bool {
        matches!(self, Self::StopLatched | Self::EndOfService | Self::Stop)
    }

    /// Whether boluses may be started and go on.
    #[must_use]
    pub const fn allows_boluses(self) -> bool {
        matches!(self, Self::Normal)
    }
}

/// What the pump does about all faults that are present.
///
/// `policy` is that of the drug in the pump; a mixture is [`FaultPolicy::HoldLast`] if any of its drugs is.
#[must_use]
pub fn respond(faults: Faults, policy: FaultPolicy, pump: PumpKind) -> Response {
    let least = faults
        .iter()
        .map(|fault| fault.response(policy, pump))
        .min()
        .unwrap_or(Response::Normal);
    match least {
        Response::LowerOfBridgeAndNew if faults.contains(Fault::ClockLost) => {
            Response::LowerOfBridgeAndMean
        }
        least => least,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::vec::Vec;

    use FaultPolicy::{HoldLast, Stop};

    use super::*;
    use crate::alarm::{Alarm, AlarmClass};

    const KINDS: [PumpKind; 3] = [
        PumpKind::ProgrammableImplant,
        PumpKind::ConstantRate,
        PumpKind::ExternalTrial,
    ];

    /// The table of docs/therapy.md, by hand: implant hold last, implant stop, external hold last, external stop.
    const TABLE: [(Fault, [Response; 4]); 24] = {
        use Response::{
            BasalOnly as B, EndOfService as E, HoldLast as H, KeepVeinOpen as K,
            LowerOfBridgeAndNew as L, MinimumRate as M, Normal as N, Stop as S, StopLatched as X,
        };
        [
            (Fault::OverDelivery, [X, X, X, X]),
            (Fault::ReverseDelivery, [X, X, X, X]),
            (Fault::InterlockTripped, [X, X, X, X]),
            (Fault::EndOfService, [E, E, E, E]),
            (Fault::TrialExpired, [S, S, S, S]),
            (Fault::CommissioningAbsent, [S, S, S, S]),
            (Fault::Empty, [B, S, S, S]),
            (Fault::Overdrawn, [M, S, S, S]),
            (Fault::NearlyEmpty, [N, N, K, K]),
            (Fault::ProgramLost, [M, M, M, M]),
            (Fault::EmergencyMinimumRate, [M, M, M, M]),
            (Fault::ResumedAtMinimum, [M, M, M, M]),
            (Fault::BridgeLost, [L, L, L, L]),
            (Fault::ClockLost, [H, S, H, S]),
            (Fault::MotorDriver, [H, S, H, S]),
            (Fault::SelfTest, [H, S, H, S]),
            (Fault::MotorStall, [B, B, B, B]),
            (Fault::UnderDelivery, [B, B, B, B]),
            (Fault::RefillOpen, [B, B, B, B]),
            (Fault::RefillNotConfirmed, [B, B, B, B]),
            (Fault::StorageFailing, [B, B, B, B]),
            (Fault::CommissioningLost, [N, N, N, N]),
            (Fault::RecordRepaired, [N, N, N, N]),
            (Fault::Restarted, [N, N, N, N]),
        ]
    };

    /// Requirement: TH-fault-table, AC-20
    #[test]
    fn every_row_alone_gives_what_the_table_says() {
        for (fault, [implant_hold, implant_stop, external_hold, external_stop]) in TABLE {
            for pump in KINDS {
                let [hold, stop] = match pump {
                    PumpKind::ExternalTrial => [external_hold, external_stop],
                    _ => [implant_hold, implant_stop],
                };
                let faults = Faults::NONE.with(fault);
                assert_eq!(respond(faults, HoldLast, pump), hold, "{fault:?}");
                assert_eq!(respond(faults, Stop, pump), stop, "{fault:?}");
            }
        }
        assert!(TABLE.iter().map(|(fault, _)| *fault).eq(Fault::ALL));
    }

    #[test]
    fn with_nothing_wrong_the_program_runs() {
        for pump in KINDS {
            for policy in [HoldLast, Stop] {
                assert_eq!(respond(Faults::NONE, policy, pump), Response::Normal);
            }
        }
        assert_eq!(Faults::NONE.alarms(), AlarmSet::NONE);
    }

    /// All combinations of all faults that ask for anything: the response is never more than that of any part of them, each response
    /// occurs, and only [`Response::Normal`] allows boluses.
    ///
    /// Requirement: TH-fault-table
    #[test]
    fn one_more_fault_never_delivers_more() {
        // Those that say the same in every column stand for each other; the table above has them all.
        const FAULTS: [Fault; 16] = [
            Fault::OverDelivery,
            Fault::InterlockTripped,
            Fault::EndOfService,
            Fault::TrialExpired,
            Fault::CommissioningAbsent,
            Fault::Empty,
            Fault::Overdrawn,
            Fault::NearlyEmpty,
            Fault::ProgramLost,
            Fault::EmergencyMinimumRate,
            Fault::BridgeLost,
            Fault::ClockLost,
            Fault::SelfTest,
            Fault::MotorStall,
            Fault::StorageFailing,
            Fault::RecordRepaired,
        ];
        let mut seen = BTreeSet::new();
        for pump in KINDS {
            for policy in [HoldLast, Stop] {
                let responses: Vec<Response> = (0_u32..1 << FAULTS.len())
                    .map(|combination| {
                        let faults = (0..)
                            .zip(FAULTS)
                            .filter(|(place, _)| combination & (1 << place) != 0)
                            .fold(Faults::NONE, |faults, (_, fault)| faults.with(fault));
                        respond(faults, policy, pump)
                    })
                    .collect();
                for (combination, response) in responses.iter().enumerate() {
                    seen.insert(*response);
                    for place in 0..FAULTS.len() {
                        assert!(responses[combination | (1 << place)] <= *response);
                    }
                }
            }
        }
        assert_eq!(seen.len(), 10, "every response is reachable");
    }

    /// Over-delivery > EOS > empty > fault policy; stop > minimum rate > hold.
    ///
    /// Requirement: TH-fault-table
    #[test]
    fn precedence_is_as_stated() {
        let implant = PumpKind::ProgrammableImplant;
        let mut faults = Faults::NONE;
        for (fault, hold, stop) in [
            (
                Fault::StorageFailing,
                Response::BasalOnly,
                Response::BasalOnly,
            ),
            (Fault::ClockLost, Response::HoldLast, Response::Stop),
            (
                Fault::BridgeLost,
                Response::LowerOfBridgeAndMean,
                Response::Stop,
            ),
            (Fault::Empty, Response::LowerOfBridgeAndMean, Response::Stop),
            (Fault::Overdrawn, Response::MinimumRate, Response::Stop),
            (
                Fault::EndOfService,
                Response::EndOfService,
                Response::EndOfService,
            ),
            (
                Fault::OverDelivery,
                Response::StopLatched,
                Response::StopLatched,
            ),
        ] {
            faults.set(fault, true);
            assert_eq!(respond(faults, HoldLast, implant), hold);
            assert_eq!(respond(faults, Stop, implant), stop);
        }
        faults.set(Fault::OverDelivery, false);
        assert_eq!(respond(faults, Stop, implant), Response::EndOfService);
    }

    #[test]
    fn only_the_program_itself_has_boluses_and_three_responses_stop() {
        for response in [
            Response::StopLatched,
            Response::EndOfService,
            Response::Stop,
            Response::MinimumRate,
            Response::KeepVeinOpen,
            Response::LowerOfBridgeAndMean,
            Response::LowerOfBridgeAndNew,
            Response::HoldLast,
            Response::BasalOnly,
            Response::Normal,
        ] {
            assert_eq!(response.is_stop(), response < Response::MinimumRate);
            assert_eq!(response.allows_boluses(), response == Response::Normal);
        }
    }

    /// A response that takes something away from the patient has a critical alarm, except where the table says otherwise.
    #[test]
    fn what_takes_delivery_away_is_critical() {
        for fault in Fault::ALL {
            let faults = Faults::NONE.with(fault);
            assert!(faults.iter().eq([fault]));
            assert!(faults.alarms().iter().eq(fault.alarm()));
            let critical = fault
                .alarm()
                .is_some_and(|kind| Alarm::of(kind).class == AlarmClass::Critical);
            let less = KINDS
                .into_iter()
                .any(|pump| fault.response(Stop, pump) < Response::BasalOnly);
            assert!(critical || !less || fault == Fault::NearlyEmpty);
        }
        let all = Fault::ALL.into_iter().fold(Faults::NONE, Faults::with);
        assert_eq!(all.alarms().iter().count(), 20);
    }

    #[test]
    fn faults_survive_being_stored() {
        let all = Fault::ALL.into_iter().fold(Faults::NONE, Faults::with);
        let mut buffer = [0; 8];
        let bytes = postcard::to_slice(&all, &mut buffer).unwrap();
        assert_eq!(bytes.len(), 4);
        assert_eq!(postcard::from_bytes(bytes), Ok(all));
        assert_eq!(KEEP_VEIN_OPEN, "0.1 mL/h".parse().unwrap());
    }
}
