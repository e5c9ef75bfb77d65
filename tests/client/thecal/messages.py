"""Every message of protocol version 1 (docs/messages.md).

    request = Request(7, 0, Command("Stage", continuous("Baclofen", 2_000_000, 250_000)))
    data = encode(Request, request)
    assert decode(Request, data) == request
"""

import hashlib
from dataclasses import dataclass

from thecal.postcard import (
    Array,
    Boolean,
    Choice,
    Integer,
    Named,
    Octets,
    Option,
    Several,
    Struct,
    Union,
    WireError,
    decode,
    encode,
    varint,
)

VERSION = 1

U8, U16, U32, U64 = (Integer(bits) for bits in (8, 16, 32, 64))
I16, I32, I64 = (Integer(bits, signed=True) for bits in (16, 32, 64))
BOOL = Boolean()

WALL_TIME = Named("WallTime", U64)  # ms since 1970
DURATION = Named("Duration", U64)  # us
AMOUNT = Named("Amount", Integer(64, most=(1 << 42) - 1))
DIGEST = Named("Digest", Array(32))


# ---- programs ----

DRUG = Choice(
    "Drug", ("Morphine", "Hydromorphone", "Fentanyl", "Sufentanil", "Bupivacaine", "Clonidine", "Ziconotide", "Baclofen")
)
PER = Choice("Per", ("Hour", "Day"))
FAULT_POLICY = Choice("FaultPolicy", ("HoldLast", "Stop"))
OVERRIDE_REASON = Choice(
    "OverrideReason", ("Titration", "Tolerance", "EndOfLife", "SideEffects", "DrugChange", "Procedure", "InNotes")
)


@dataclass(frozen=True)
class Component(Struct):
    drug: DRUG
    concentration_ng_per_ml: U32


@dataclass(frozen=True)
class Dose(Struct):
    nanograms: U64
    per: PER = "Day"


@dataclass(frozen=True)
class FlexStep(Struct):
    lasts_min: Integer(16, most=1_440)
    dose_ng: Integer(32, most=(1 << 28) - 1)


@dataclass(frozen=True)
class FlexWeek(Struct):
    per: PER
    # The pattern of each day, Monday first.
    days: Array(7)
    # How many steps each pattern has.
    patterns: Several(U8, 7)
    steps: Several(FlexStep, 96)


@dataclass(frozen=True)
class PeriodicBolus(Struct):
    bolus_ng: U64
    duration_s: U32
    interval_min: U32
    basal: Option(Dose) = None
    first_after_min: Option(U32) = None


class Mode(Union):
    CASES = {
        "Stopped": None,
        "MinimumRate": None,
        "SimpleContinuous": {"dose": Dose},
        "Flex": {"week": FlexWeek},
        "PeriodicBolus": PeriodicBolus,
        "SingleBolus": {"dose_ng": U64, "duration_s": U32},
    }


@dataclass(frozen=True)
class PeriodCap(Struct):
    from_min: U16
    to_min: U16
    boluses: U8


@dataclass(frozen=True)
class PatientBolus(Struct):
    dose_ng: U64
    duration_s: U32
    lockout_min: U16
    per_day: U8
    day_cap_ng: Option(U64) = None
    periods: Several(PeriodCap, 4) = ()


@dataclass(frozen=True)
class Fill(Struct):
    volume_nl: U32
    top_up: BOOL = False


@dataclass(frozen=True)
class Program(Struct):
    primary: Component
    secondaries: Several(Component, 3) = ()
    mode: Mode = Mode("Stopped")
    patient_bolus: Option(PatientBolus) = None
    fault_policy: Option(FAULT_POLICY) = None
    # A dose of the old primary drug.
    bridge: Option(Dose) = None
    fill: Option(Fill) = None
    low_mark_nl: Option(U32) = None

    def digest(self, number):
        """SHA-256 of the program and the number it would bear."""
        return hashlib.sha256(encode(Program, self) + varint(number)).digest()

    def steps_per_second(self, step_fl):
        """Exact motor steps a second of a simple continuous program, as (numerator, denominator)."""
        seconds = 3600 if self.mode.dose.per == "Hour" else 86400
        # ng / (ng/mL) = mL; 1 mL = 10^12 fL.
        return self.mode.dose.nanograms * 10**12, self.primary.concentration_ng_per_ml * step_fl * seconds


def continuous(drug, concentration_ng_per_ml, dose_ng, per="Day", *, fill_nl=None, **others):
    """One drug at one rate; `fill_nl` is what an emptied reservoir was filled with."""
    fill = None if fill_nl is None else Fill(fill_nl)
    mode = Mode("SimpleContinuous", dose=Dose(dose_ng, per))
    return Program(Component(drug, concentration_ng_per_ml), mode=mode, fill=fill, **others)


def stopped(program):
    """The same drug, and nothing of it."""
    return Program(program.primary, program.secondaries)


def every_day(per, pattern):
    """A flex week of one pattern: (where a step begins in min from midnight, its dose in ng) each."""
    ends = [begins for begins, _ in pattern[1:]] + [1_440]
    steps = tuple(FlexStep(until - begins, dose_ng) for (begins, dose_ng), until in zip(pattern, ends, strict=True))
    return Mode("Flex", week=FlexWeek(per, bytes(7), (len(steps),), steps))


@dataclass(frozen=True)
class Shown(Struct):
    old_day_total_ng: Option(U64)
    new_day_total_ng: U64
    change_tenths_percent: Option(I32)


@dataclass(frozen=True)
class Commit(Struct):
    digest: DIGEST
    shown: Shown
    reason: Option(OVERRIDE_REASON) = None


# ---- orders ----

LOG_NAME = Choice("LogName", ("Events", "Critical"))
PRIME_KIND = Choice("PrimeKind", ("PumpAndCatheter", "PumpOnly", "CatheterOnly"))
PUMP_KIND = Choice("PumpKind", ("ProgrammableImplant", "ConstantRate", "ExternalTrial"))
ALARM_KIND = Choice(
    "AlarmKind",
    (
        "OverDelivery",
        "ReverseDelivery",
        "Interlock",
        "MotorDriver",
        "EndOfService",
        "EmptyReservoir",
        "MotorStall",
        "UnderDelivery",
        "ProgramLost",
        "Commissioning",
        "ClockLost",
        "RefillNotConfirmed",
        "StoppedTooLong",
        "DeliveryLost",
        "ResumedAtMinimum",
        "EmergencyMinimumRate",
        "BridgeLost",
        "Restarted",
        "MemoryLost",
        "SelfTest",
        "ReplaceNow",
        "TrialExpired",
        "LowReservoir",
        "ReplacementDue",
        "MemoryRepaired",
        "ClockSuspect",
        "TrialEnding",
        "BolusesDenied",
        "DrugExpired",
    ),
)


@dataclass(frozen=True)
class SetClock(Struct):
    wall: WALL_TIME
    uncertainty: DURATION = 0
    reason: Option(OVERRIDE_REASON) = None


@dataclass(frozen=True)
class SetZone(Struct):
    offset_min: I16
    reason: Option(OVERRIDE_REASON) = None


@dataclass(frozen=True)
class ClinicianBolus(Struct):
    number: U32
    dose_ng: U64
    duration_s: U32
    reason: Option(OVERRIDE_REASON) = None


@dataclass(frozen=True)
class Prime(Struct):
    number: U32
    kind: PRIME_KIND
    catheter_aspirated: BOOL
    disconnected: BOOL
    reason: Option(OVERRIDE_REASON) = None


@dataclass(frozen=True)
class Catheter(Struct):
    model: U16
    tubing_nl: U32
    length_mm: U16
    nl_per_cm: U16
    port_nl: U32

    @property
    def path_nl(self):
        """From the pump to the tip; exact where the length is whole centimetres."""
        return self.tubing_nl + self.length_mm * self.nl_per_cm // 10 + self.port_nl


@dataclass(frozen=True)
class AlarmIntervals(Struct):
    critical_min: U16
    other_min: U16


@dataclass(frozen=True)
class Commissioning(Struct):
    kind: PUMP_KIND
    step_volume_fl: U32
    capacity_nl: U32
    fixed_rate_nl_per_day: Option(U32) = None
    trial_days: Option(U8) = None


@dataclass(frozen=True)
class HospitalLibrary(Struct):
    version: U32
    offset: U16
    total: U16
    checksum: U32
    part: Octets(160)


@dataclass(frozen=True)
class DiaryEntry(Struct):
    baseline: BOOL
    score: U8


ROLE = Choice("Role", ("Enrolling", "Clinician", "Patient", "Emergency", "Service"))
PUBLIC_KEY = Named("PublicKey", Array(32))
SECRET = Named("Secret", Array(32))
FINGERPRINT = Named("Fingerprint", Array(8))


@dataclass(frozen=True)
class KeyGrant(Struct):
    slot: U8
    role: ROLE
    public_key: PUBLIC_KEY
    preshared: SECRET


class Command(Union):
    CASES = {
        "Interrogate": None,
        "Stage": Program,
        "ReadBack": None,
        "Commit": Commit,
        "Cancel": None,
        "ResetStatusChanged": {"mask": U16},
        "ReadLog": {"log": LOG_NAME, "from": U32},
        "SignLog": {"log": LOG_NAME},
        "SetClock": SetClock,
        "SetZone": SetZone,
        "ClinicianBolus": ClinicianBolus,
        "PatientBolus": {"number": U32},
        "CancelBolus": None,
        "Prime": Prime,
        "SetCatheter": Catheter,
        "OpenRefill": None,
        "RefillAspirated": {"volume_nl": U32},
        "CloseRefill": None,
        "AcknowledgeAlarm": {"alarm": ALARM_KIND},
        "SilenceAlarm": {"alarm": ALARM_KIND},
        "SetAlarmIntervals": AlarmIntervals,
        "TestTone": {"critical": BOOL},
        "MriMode": {"minutes": U16},
        "EmergencyMinimumRate": None,
        "Commission": Commissioning,
        "LoadLibrary": HospitalLibrary,
        "ReadTherapy": None,
        "ReadPath": None,
        "ReadLibrary": {"drug": DRUG},
        "ReadRefills": {"from": U8},
        "DiaryEntry": DiaryEntry,
        "ExtendTrial": {"days": U8},
        "GrantKey": KeyGrant,
        "RevokeKey": {"slot": U8},
        "ReadKeys": None,
    }

    # What changes nothing that outlasts the session bears no command number (docs/roles.md).
    UNNUMBERED = {
        "Interrogate",
        "Stage",
        "ReadBack",
        "Cancel",
        "ReadLog",
        "SignLog",
        "TestTone",
        "ReadTherapy",
        "ReadPath",
        "ReadLibrary",
        "ReadRefills",
        "ReadKeys",
    }

    @property
    def is_numbered(self):
        return self.case not in self.UNNUMBERED


@dataclass(frozen=True)
class Request(Struct):
    id: U32
    number: U32
    command: Command


def set_clock(wall_ms, uncertainty_us=0, reason=None):
    return Command("SetClock", SetClock(wall_ms, uncertainty_us, reason))


def read_log(log, first):
    return Command("ReadLog", log=log, **{"from": first})


# ---- answers ----


class Clock(Union):
    CASES = {"Known": {"wall": WALL_TIME, "uncertainty": DURATION}, "Suspect": {"wall": WALL_TIME}, "Lost": None}


DELIVERY_STATE = Choice(
    "DeliveryState",
    ("NotProgrammed", "Stopped", "Running", "Faulted", "MinimumRate", "Bridging", "Priming", "HoldLast"),
)


@dataclass(frozen=True)
class Limits(Struct):
    lowest_nl_per_day: U32
    highest_nl_per_day: U32
    capacity_nl: U32
    step_volume_fl: U32


@dataclass(frozen=True)
class Status(Struct):
    boot: U32
    pump_time_ms: U64
    clock: Clock
    program_number: U32
    program: Option(Program)
    delivery: DELIVERY_STATE
    flow_nl_per_day: U32
    counted_steps: I64
    at_most_steps: U64
    deficit_steps: U64
    step_volume_fl: U32
    reservoir_fl: Option(U64)
    filled_fl: Option(U64)
    delivered_since_fill_fl: U64
    staged: BOOL
    committing: BOOL
    status_changed: U16
    limits: Limits
    faults: U16
    powered_s: U64
    records_lost: U32


@dataclass(frozen=True)
class DrugTotal(Struct):
    drug: DRUG
    total_ng: U64


LIMIT_KIND = Choice(
    "LimitKind",
    (
        "ConcentrationNanogramsPerMillilitre",
        "StartNanograms",
        "DayNanograms",
        "BolusNanograms",
        "PrimeNanograms",
        "IncreaseTenthsPercent",
        "DecreaseTenthsPercent",
        "IncreaseNanograms",
        "IncreaseIntervalHours",
        "LockoutMinutes",
        "BolusesPerDay",
        "BridgeAndWeekNanolitres",
        "OverfillNanolitres",
        "PrimesPerDay",
        "DoubledNanograms",
        "OffLabel",
    ),
)


@dataclass(frozen=True)
class Finding(Struct):
    limit_kind: LIMIT_KIND
    drug: DRUG
    value: AMOUNT
    limit: AMOUNT


@dataclass(frozen=True)
class BridgePlan(Struct):
    flow_nl_per_day: U32
    volume_nl: U32
    duration_s: U32


@dataclass(frozen=True)
class Staged(Struct):
    program: Program
    flow_nl_per_day: U32
    old_day_total_ng: Option(U64)
    new_day_total_ng: U64
    change_tenths_percent: Option(I32)
    largest_24h: Several(DrugTotal, 4)
    binding: Option(DRUG)
    findings: Several(Finding, 12)
    needs_reason: BOOL
    bridge: Option(BridgePlan)
    boluses_per_day: U16
    lockout_binds: BOOL
    digest: DIGEST
    expires_in_ms: U32

    def commit(self, reason=None):
        """The commit by somebody who was shown exactly this."""
        shown = Shown(self.old_day_total_ng, self.new_day_total_ng, self.change_tenths_percent)
        return Command("Commit", Commit(self.digest, shown, reason))


FIELD = Choice(
    "Field",
    (
        "ConcentrationNanogramsPerMillilitre",
        "FlowNanolitresPerDay",
        "FillNanolitres",
        "DoseNanograms",
        "StatusChangedMask",
        "WallMilliseconds",
        "UncertaintyMicroseconds",
        "BolusNanograms",
        "BolusSeconds",
        "BolusFlowNanolitresPerDay",
        "IntervalMinutes",
        "FirstAfterMinutes",
        "LockoutMinutes",
        "BolusesPerDay",
        "DayCapNanograms",
        "MinuteOfDay",
        "BridgeFlowNanolitresPerDay",
        "LowMarkNanolitres",
        "Drugs",
        "ZoneMinutesFromLowest",
        "CorrectionMilliseconds",
        "JobNumber",
        "PrimeNanolitres",
        "TubingNanolitres",
        "CatheterMillimetres",
        "CatheterNanolitresPerCentimetre",
        "PortNanolitres",
        "AspiratedNanolitres",
        "CriticalIntervalMinutes",
        "OtherIntervalMinutes",
        "MriMinutes",
        "StepVolumeFemtolitres",
        "CapacityNanolitres",
        "FixedRateNanolitresPerDay",
        "TrialDays",
        "Score",
        "RefillNumber",
    ),
)


class Malformed(Union):
    CASES = {
        "Undecodable": None,
        "TrailingBytes": None,
        "NotCanonical": None,
        "UnknownCommand": {"number": U32},
        "Identifier": None,
        "Numbered": None,
    }


REFILL_STEP = Choice("RefillStep", ("Open", "Aspirated", "Confirm"))
NOT_NOW = Choice(
    "NotNow",
    (
        "NotProgrammed",
        "Stopped",
        "Bolus",
        "Priming",
        "Bridging",
        "RefillOpen",
        "MriMode",
        "Alarm",
        "NoAlarm",
        "AlarmActive",
        "Empty",
        "ClockLost",
        "Storage",
        "SelfTest",
        "NotPrepared",
        "NumberUsed",
        "NoTrial",
        "Commissioned",
        "NotCommissioned",
    ),
)
SCHEDULE_FAULT = Choice(
    "ScheduleFault",
    (
        "NoPattern",
        "Unused",
        "NoSteps",
        "Lengths",
        "EmptyStep",
        "NotADay",
        "TooManySteps",
        "NothingButMinimum",
        "ChangesNothing",
    ),
)


class LibraryFault(Union):
    CASES = {
        "OutOfOrder": {"expected": U16},
        "TooLong": {"most": U16},
        "OldVersion": {"in_force": U32},
        "Checksum": None,
        "Format": None,
        "Looser": {"drug": DRUG},
    }


LIFECYCLE = Choice("Lifecycle", ("Factory", "InService", "EndOfService"))


class NotAllowed(Union):
    CASES = {
        "Role": {"role": ROLE},
        "Lifecycle": {"lifecycle": LIFECYCLE},
        "Presence": None,
        "Alarm": None,
        "Key": None,
    }


class Refused(Union):
    CASES = {
        "NotAllowed": {"because": NotAllowed},
        "NothingStaged": None,
        "DigestMismatch": None,
        "StageExpired": None,
        "NotDone": None,
        "Busy": None,
        "OutOfRange": {"field": FIELD, "value": U64, "lowest": U64, "highest": U64},
        "BadMessage": Malformed,
        "NumberUsed": {"last": U32},
        "OverLimit": {"limit_kind": LIMIT_KIND, "drug": DRUG, "value": U64, "limit": U64},
        "ReasonNeeded": None,
        "ShownDiffers": {"shown": Shown, "pump": Shown},
        "WrongOrder": {"expected": REFILL_STEP},
        "KindForbids": {"kind": PUMP_KIND},
        "TooSoon": {"left_s": U32},
        "NotNow": {"why": NOT_NOW},
        "NoPath": None,
        "BridgeNeeded": {"lowest_ng_per_day": U64, "highest_ng_per_day": U64},
        "TooManyChanges": None,
        "ScheduleInvalid": {"pattern": U8, "step": U8, "fault": SCHEDULE_FAULT},
        "LibraryInvalid": {"fault": LibraryFault},
    }


NOT_COMMISSIONED = Refused("NotNow", why="NotCommissioned")


@dataclass(frozen=True)
class LogPart(Struct):
    next: U32
    newest: Option(U32)
    records: Octets(168)

    def split(self):
        """The records, each by itself."""
        records, rest = [], self.records
        while rest:
            length = int.from_bytes(rest[:2], "little")
            if len(rest) < 2 + length:
                raise WireError("a record that ends early")
            records.append(rest[2 : 2 + length])
            rest = rest[2 + length :]
        return records


@dataclass(frozen=True)
class LogHead(Struct):
    sequence: U32
    state: Array(16)
    boot: U32
    signature: Array(16)


class BolusDenial(Union):
    CASES = {
        "Lockout": {"left_s": U32},
        "DayCount": {"left_s": U32},
        "DayMass": {"left_s": U32},
        "PeriodCount": None,
        "Alarm": None,
        "Priming": None,
        "Bridging": None,
        "RefillOpen": None,
        "MriMode": None,
        "AfterProgramming": {"left_s": U32},
        "Stopped": None,
        "Empty": None,
        "ClockLost": None,
        "Storage": None,
        "BusyJob": None,
        "NotProgrammed": None,
        "Kind": None,
        "SelfTest": None,
        "Frequency": {"left_s": U32},
    }


RESPONSE = Choice("Response", ("Normal", "HoldLast", "MinimumRate", "Stopped", "KeepOpen"))
JOB_KIND = Choice("JobKind", ("PatientBolus", "ClinicianBolus", "PeriodicBolus", "SingleBolus", "Prime"))
REFILL_LIMIT = Choice("RefillLimit", ("Volume", "Stability", "Replacement"))
SERVICE_STATE = Choice("ServiceState", ("Good", "ReplacementDue", "ReplaceNow", "Ended"))


@dataclass(frozen=True)
class JobStatus(Struct):
    number: U32
    kind: JOB_KIND
    delivered_nl: U32
    volume_nl: U32
    left_s: U32


@dataclass(frozen=True)
class BolusAvailability(Struct):
    taken_in_24h: U8
    per_day: U8
    next_in_s: Option(U32)
    denial: Option(BolusDenial)


@dataclass(frozen=True)
class BridgeStatus(Struct):
    left_nl: U32
    left_s: U32
    flow_nl_per_day: U32


@dataclass(frozen=True)
class AlarmState(Struct):
    alarm: ALARM_KIND
    active: BOOL
    acknowledged: BOOL


@dataclass(frozen=True)
class RefillDates(Struct):
    basal_only_day: Option(U16)
    with_boluses_day: Option(U16)
    worst_case_day: Option(U16)
    limited_by: REFILL_LIMIT
    alarm_in_s: Option(U32)
    empty_in_s: Option(U32)


@dataclass(frozen=True)
class ServiceStatus(Struct):
    state: SERVICE_STATE
    eri_day: Option(U16)
    replace_by_day: Option(U16)
    eos_day: Option(U16)
    days_left: Option(U16)
    shortened: BOOL


@dataclass(frozen=True)
class TrialStatus(Struct):
    ends_in_s: U32
    verdict: Option(BOOL)
    baseline_scores: U16
    trial_scores: U16


@dataclass(frozen=True)
class TherapyStatus(Struct):
    kind: PUMP_KIND
    response: RESPONSE
    fault_policy: FAULT_POLICY
    last_number: U32
    storing: BOOL
    job: Option(JobStatus)
    bolus: Option(BolusAvailability)
    bridge: Option(BridgeStatus)
    mass_24h: Several(DrugTotal, 4)
    alarms: Several(AlarmState, 29)
    sounding: Option(ALARM_KIND)
    refill: Option(RefillDates)
    refill_open_s: Option(U32)
    last_discrepancy_tenths_percent: Option(I32)
    service: ServiceStatus
    trial: Option(TrialStatus)
    mri_left_s: Option(U32)
    zone_min: I16
    library_version: U32


@dataclass(frozen=True)
class Slug(Struct):
    left_nl: U32
    components: Several(Component, 4)


@dataclass(frozen=True)
class PathStatus(Struct):
    path_nl: Option(U32)
    slugs: Several(Slug, 5)


@dataclass(frozen=True)
class LibraryEntry(Struct):
    version: U32
    drug: DRUG
    concentration_soft_ng_per_ml: Option(U32)
    concentration_hard_ng_per_ml: U32
    start_soft_ng: Option(U64)
    day_soft_ng: Option(U64)
    day_hard_ng: U64
    bolus_soft_ng: Option(U64)
    bolus_hard_ng: U64
    increase_soft_tenths_percent: Option(U16)
    increase_hard_tenths_percent: Option(U16)
    decrease_soft_tenths_percent: Option(U16)
    increase_interval_h: Option(U16)
    stability_days: U16
    fault_policy: FAULT_POLICY
    unattended_resume_h: U16


@dataclass(frozen=True)
class Refill(Struct):
    programmed_nl: U32
    delivered_nl: U32
    discrepancy_tenths_percent: Option(I32)


@dataclass(frozen=True)
class Refills(Struct):
    known: U8
    entries: Several(Refill, 8)


@dataclass(frozen=True)
class KeyEntry(Struct):
    slot: U8
    role: ROLE
    fingerprint: FINGERPRINT
    last_number: U32


class Outcome(Union):
    CASES = {
        "Status": Status,
        "Staged": Staged,
        "Committed": {"program_number": U32},
        "Cancelled": None,
        "StatusChangedReset": {"flags": U16},
        "Refused": Refused,
        "StoppedNotRecorded": None,
        "LogPart": LogPart,
        "LogHead": {"head": Option(LogHead)},
        "ClockSet": {"clock": Clock},
        "BolusStarted": {"number": U32},
        "BolusRefused": {"denial": BolusDenial},
        "Done": None,
        "Therapy": TherapyStatus,
        "Path": PathStatus,
        "Library": LibraryEntry,
        "Refills": Refills,
        "AlreadyDone": {"number": U32},
        "Keys": Several(KeyEntry, 8),
    }

    @property
    def value(self):
        """An outcome that is one value is that value, every other itself."""
        return self.content if isinstance(self.CASES[self.case], type) else self


DONE = Outcome("Done")


@dataclass(frozen=True)
class Answer(Struct):
    id: U32
    outcome: Outcome


@dataclass(frozen=True)
class Info(Struct):
    version: U8
    schema_hash: U64
    capabilities: U32
    nonce: Array(8)
    lifecycle: LIFECYCLE
    armed: BOOL


# ---- outside of a seal ----


@dataclass(frozen=True)
class Welcome(Struct):
    role: ROLE
    last_number: U32


class Denied(Union):
    CASES = {
        "UnknownVersion": {"version": U8, "known": U8},
        "Malformed": None,
        "NotAdmitted": None,
        "NotArmed": None,
        "ConnectionUsed": None,
        "NoSession": None,
        "NotSealed": None,
        "Repeated": {"last": U32},
    }


@dataclass(frozen=True)
class CardBolus(Struct):
    dose_ng: U64
    ago_min: U32


@dataclass(frozen=True)
class EmergencyCard(Struct):
    version: U8
    pump: FINGERPRINT
    delivery: DELIVERY_STATE
    drugs: Several(Component, 4)
    flow_nl_per_day: U32
    dose_ng_per_day: U64
    reservoir_nl: Option(U32)
    last_bolus: Option(CardBolus)
    alarms: Several(ALARM_KIND, 8)
    clock: Clock
