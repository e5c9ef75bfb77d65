"""The pump's event log, read and checked from its document and not from its code (docs/journal.md, docs/log.md)."""

import hashlib
from dataclasses import dataclass

import paths  # noqa: F401
from thecal import messages, postcard
from thecal.messages import BOOL, I16, U8, U16, U32, U64
from thecal.postcard import Choice, Octets, Option, Union


class ResetCause(Union):
    CASES = {
        "PowerOn": None,
        "External": None,
        "Fatal": {"reason": U32},
        "Watchdog": None,
        "BrownOut": None,
        "Software": None,
    }


class Job(Union):
    """What a job is, with what the log knows of it beyond messages.JOB_KIND."""

    CASES = {
        "PatientBolus": None,
        "ClinicianBolus": {"extended": BOOL},
        "PeriodicBolus": None,
        "SingleBolus": None,
        "Prime": None,
    }


@dataclass(frozen=True)
class Repairs(postcard.Struct):
    copies: U32
    banks: U32
    pages_sealed: U32
    pages_erased: U32
    pages_retired: U32


@dataclass(frozen=True)
class ImageVersion(postcard.Struct):
    major: U8
    minor: U8
    patch: U16


TOTALS_SOURCE = Choice("TotalsSource", ("New", "Retained", "Checkpoint", "Lost"))
MODE_NAME = Choice("ModeName", tuple(messages.Mode.CASES))
ORDER_REFUSAL = Choice("OrderRefusal", ("Invalid", "Busy", "InterlockClosed", "OverCeiling", "Failed", "NotArmed"))
JOB_END = Choice("JobEnd", ("Completed", "Cancelled", "Interrupted", "Fault"))
UPDATE_STEP = Choice("UpdateStep", ("Started", "Accepted", "Refused", "Confirmed", "Reverted"))


@dataclass(frozen=True)
class Kind:
    """A kind of record: its title, whether it is in the critical log too, and its fields behind the session."""

    title: str
    critical: bool
    fields: dict

    def read(self, body):
        """(session, fields) of a whole body."""
        reader = postcard.Reader(body)
        session = U32.read(reader)
        values = {name: of.read(reader) for name, of in self.fields.items()}
        reader.end()
        return session, values


def event(title, **named):
    return Kind(title, False, named)


def critical(title, **named):
    return Kind(title, True, named)


KINDS = {
    1: critical(
        "pump started",
        cause=ResetCause,
        clock=messages.Clock,
        totals=TOTALS_SOURCE,
        counted_steps=messages.I64,
        at_most_steps=U64,
    ),
    2: critical(
        "program committed",
        number=U32,
        drug=messages.DRUG,
        concentration_ng_per_ml=U32,
        mode=MODE_NAME,
        before_ng=Option(U64),
        total_ng=U64,
        filled_nl=Option(U32),
        reason=Option(messages.OVERRIDE_REASON),
    ),
    3: critical("commit not done", number=U32),
    4: event("steps missed", steps=U64),
    5: event("motor order refused", order=U32, refusal=ORDER_REFUSAL),
    6: critical("motor fault", interlock_tripped=BOOL, driver_failed=BOOL),
    7: event("session opened without a key"),
    8: event("session closed"),
    9: event("status flags cleared", mask=U16),
    10: event("clock set", before=messages.Clock, after=messages.Clock),
    11: critical("alarm raised", faults=U16),
    12: critical("alarm cleared", faults=U16),
    13: critical("memory repaired", repairs=Repairs),
    14: critical("memory lost", program=BOOL, totals=BOOL, kinds=U8, log=BOOL),
    15: critical("records lost", records=U32),
    32: event("delivery changed", delivery=messages.DELIVERY_STATE, flow_nl_per_day=U64),
    33: event("self-test", failed=U16),
    34: critical("refill", expected_nl=Option(U32), aspirated_nl=Option(U32), filled_nl=U32),
    35: event("job started", job=Job, id=U32, volume_nl=U32),
    36: event("job ended", job=Job, id=U32, end=JOB_END, counted_steps=U32, at_most_steps=U32),
    37: event("bolus granted", id=U32),
    38: event("bolus denied", id=U32, reason=messages.BolusDenial),
    39: event("alarm sounded", alarm=messages.ALARM_KIND),
    40: event("alarm silenced", alarm=messages.ALARM_KIND),
    41: critical("motor stalled", steps=U32),
    42: critical("motor turns again", missed_steps=U64),
    43: critical("reservoir low", left_nl=U32),
    44: critical("service life", over=BOOL, stops_at=Option(messages.WALL_TIME)),
    45: critical("tube-set risk", stopped_h=U16),
    46: event("time zone changed", before_min=I16, after_min=I16),
    47: event("authentication failed", slot=U8, times=U16),
    48: critical("link locked", seconds=U32),
    49: critical("firmware update", step=UPDATE_STEP, version=ImageVersion),
    50: critical("MRI mode", on=BOOL),
    51: event("battery", millivolts=U16),
    52: critical("alarm on", alarm=messages.ALARM_KIND),
    53: critical("alarm off", alarm=messages.ALARM_KIND),
    54: critical("alarm acknowledged", alarm=messages.ALARM_KIND),
    55: event("program, in parts", number=U32, offset=U16, part=Octets(80)),
    56: critical("bridge started", volume_nl=U32, flow_nl_per_day=U32),
    57: critical("bridge ended"),
    58: critical("refill opened", expected_nl=Option(U32)),
    59: critical("refill closed"),
    60: critical("catheter set", path_nl=U32),
    61: critical("commissioned", record=messages.Commissioning),
    62: critical("drug library loaded", version=U32, checksum=U32),
    63: critical("emergency minimum rate"),
    64: event("diary entry", baseline=BOOL, score=U8),
    65: critical("trial extended", days=U8),
    66: event("alarm intervals set", critical_min=U16, other_min=U16),
    67: critical("key granted", slot=U8, role=messages.ROLE, fingerprint=messages.FINGERPRINT),
    68: critical("key revoked", slot=U8),
    69: event("session opened", slot=U8, role=messages.ROLE),
}


@dataclass(frozen=True)
class Record:
    sequence: int
    link: bytes
    anchor: bytes | None
    kind: int
    version: int
    boot: int
    monotonic_us: int
    clock: messages.Clock
    body: bytes

    @staticmethod
    def decode(data):
        reader = postcard.Reader(data)
        sequence = reader.unsigned(32)
        extension = reader.raw(reader.unsigned(32))
        kind = reader.unsigned(16)
        version = reader.u8()
        boot = reader.unsigned(32)
        times = reader.u8()
        monotonic = reader.unsigned(64) * (1, 10**3, 10**6)[times >> 2 & 3]
        clock = ("Lost", "Suspect", "Known")[times & 3]
        said = {}
        if clock != "Lost":
            said["wall"] = reader.unsigned(64) * (1, 10**3)[times >> 4 & 1]
        if clock == "Known":
            said["uncertainty"] = reader.unsigned(64) * (1, 10**3, 10**6)[times >> 5 & 3]
        body = reader.raw(reader.unsigned(32))
        reader.end()
        anchor = extension[2:18] if len(extension) >= 18 else None
        return Record(
            sequence, extension[:2], anchor, kind, version, boot, monotonic, messages.Clock(clock, **said), body
        )

    @property
    def title(self):
        return KINDS[self.kind].title

    @property
    def session(self):
        """In which session it happened; 0 for none."""
        return KINDS[self.kind].read(self.body)[0]

    @property
    def said(self):
        """Its fields by their names."""
        return KINDS[self.kind].read(self.body)[1]


class Chain:
    """Follows the chain; raises at the first record that does not follow."""

    def __init__(self):
        self.sequence = None
        self.link = bytes(2)
        self.state = bytes(16)

    def take(self, data):
        record = Record.decode(data)
        expected = 0 if self.sequence is None else self.sequence + 1
        assert record.sequence == expected, f"record {record.sequence} instead of {expected}"
        assert record.link == self.link, f"record {record.sequence} does not follow the one before it"
        assert record.anchor is not None or record.sequence > 0
        if record.anchor is not None:
            assert record.anchor == self.state, f"the anchor of record {record.sequence} is wrong"
        digest = hashlib.sha256(data).digest()
        self.sequence = record.sequence
        self.link = digest[:2]
        self.state = hashlib.sha256(self.state + digest).digest()[:16]
        return record


async def read(phone, log, chain, first=0):
    """Everything from record `first` on, checked: (records, round trips)."""
    records = []
    trips = 0
    while True:
        part = await phone.command(messages.read_log(log, first))
        trips += 1
        assert isinstance(part, messages.LogPart), part
        records += [chain.take(data) for data in part.split()]
        first = part.next
        if part.newest is None or first > part.newest:
            # Every body down to its last byte, of a kind and version that the documents know.
            assert all(record.version == 1 and record.said is not None for record in records)
            return records, trips
        assert part.records, "the pump says there is more, and sends nothing"


def of(records, title):
    """What the records of one kind say, in order."""
    return [record.said for record in records if record.title == title]
