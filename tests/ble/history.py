"""The pump's event log, read and checked from its document and not from its code (docs/journal.md, docs/log.md)."""

import hashlib
from dataclasses import dataclass

import paths  # noqa: F401
from thecal import messages, postcard
from thecal.messages import Command

ResetCause = messages.choice(
    "ResetCause",
    {"PowerOn": {}, "External": {}, "Fatal": {"reason": "u32"}, "Watchdog": {}, "BrownOut": {}, "Software": {}},
)
# What a job is, with what the log knows of it beyond the protocol's JobKind.
Job = messages.choice(
    "Job",
    {"PatientBolus": {}, "ClinicianBolus": {"extended": "bool"}, "PeriodicBolus": {}, "SingleBolus": {}, "Prime": {}},
)
messages.struct(
    "Repairs",
    {"copies": "u32", "banks": "u32", "pages_sealed": "u32", "pages_erased": "u32", "pages_retired": "u32"},
)
messages.struct("ImageVersion", {"major": "u8", "minor": "u8", "patch": "u16"})
for name, names in {
    "TotalsSource": ("New", "Retained", "Checkpoint", "Lost"),
    "ModeName": messages.Mode.cases,
    "OrderRefusal": ("Invalid", "Busy", "InterlockClosed", "OverCeiling", "Failed", "NotArmed"),
    "JobEnd": ("Completed", "Cancelled", "Interrupted", "Fault"),
    "UpdateStep": ("Started", "Accepted", "Refused", "Confirmed", "Reverted"),
}.items():
    messages.choice(name, dict.fromkeys(names, {}))


@dataclass(frozen=True)
class Kind:
    """A kind of record: its title, whether it is in the critical log too, and its fields behind the session."""

    title: str
    critical: bool
    fields: dict

    def read(self, body):
        """(session, fields) of a whole body."""
        reader = postcard.Reader(body)
        session = postcard.U32.decode(reader)
        values = {name: messages.codec(of).decode(reader) for name, of in self.fields.items()}
        reader.end()
        return session, values


def event(title, **named):
    return Kind(title, False, named)


def critical(title, **named):
    return Kind(title, True, named)


KINDS = {
    1: critical(
        "pump started",
        cause="ResetCause",
        clock="Clock",
        totals="TotalsSource",
        counted_steps="i64",
        at_most_steps="u64",
    ),
    2: critical(
        "program committed",
        number="u32",
        drug="Drug",
        concentration_ng_per_ml="u32",
        mode="ModeName",
        before_ng="option of u64",
        total_ng="u64",
        filled_nl="option of u32",
        reason="option of OverrideReason",
    ),
    3: critical("commit not done", number="u32"),
    4: event("steps missed", steps="u64"),
    5: event("motor order refused", order="u32", refusal="OrderRefusal"),
    6: critical("motor fault", interlock_tripped="bool", driver_failed="bool"),
    7: event("session opened without a key"),
    8: event("session closed"),
    9: event("status flags cleared", mask="u16"),
    10: event("clock set", before="Clock", after="Clock"),
    11: critical("alarm raised", faults="u16"),
    12: critical("alarm cleared", faults="u16"),
    13: critical("memory repaired", repairs="Repairs"),
    14: critical("memory lost", program="bool", totals="bool", kinds="u8", log="bool"),
    15: critical("records lost", records="u32"),
    32: event("delivery changed", delivery="DeliveryState", flow_nl_per_day="u64"),
    33: event("self-test", failed="u16"),
    34: critical("refill", expected_nl="option of u32", aspirated_nl="option of u32", filled_nl="u32"),
    35: event("job started", job="Job", id="u32", volume_nl="u32"),
    36: event("job ended", job="Job", id="u32", end="JobEnd", counted_steps="u32", at_most_steps="u32"),
    37: event("bolus granted", id="u32"),
    38: event("bolus denied", id="u32", reason="BolusDenial"),
    39: event("alarm sounded", alarm="AlarmKind"),
    40: event("alarm silenced", alarm="AlarmKind"),
    41: critical("motor stalled", steps="u32"),
    42: critical("motor turns again", missed_steps="u64"),
    43: critical("reservoir low", left_nl="u32"),
    44: critical("service life", over="bool", stops_at="option of WallTime"),
    45: critical("tube-set risk", stopped_h="u16"),
    46: event("time zone changed", before_min="i16", after_min="i16"),
    47: event("authentication failed", slot="u8", times="u16"),
    48: critical("link locked", seconds="u32"),
    49: critical("firmware update", step="UpdateStep", version="ImageVersion"),
    50: critical("MRI mode", on="bool"),
    51: event("battery", millivolts="u16"),
    52: critical("alarm on", alarm="AlarmKind"),
    53: critical("alarm off", alarm="AlarmKind"),
    54: critical("alarm acknowledged", alarm="AlarmKind"),
    55: event("program, in parts", number="u32", offset="u16", part="bytes, at most 80"),
    56: critical("bridge started", volume_nl="u32", flow_nl_per_day="u32"),
    57: critical("bridge ended"),
    58: critical("refill opened", expected_nl="option of u32"),
    59: critical("refill closed"),
    60: critical("catheter set", path_nl="u32"),
    61: critical("commissioned", record="Commissioning"),
    62: critical("drug library loaded", version="u32", checksum="u32"),
    63: critical("emergency minimum rate"),
    64: event("diary entry", baseline="bool", score="u8"),
    65: critical("trial extended", days="u8"),
    66: event("alarm intervals set", critical_min="u16", other_min="u16"),
    67: critical("key granted", slot="u8", role="Role", fingerprint="Fingerprint"),
    68: critical("key revoked", slot="u8"),
    69: event("session opened", slot="u8", role="Role"),
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

        def next_value(text):
            return messages.codec(text).decode(reader)

        sequence = next_value("u32")
        extension = reader.take(next_value("u32"))
        kind, version, boot, times = (next_value(text) for text in ("u16", "u8", "u32", "u8"))
        monotonic = next_value("u64") * (1, 10**3, 10**6)[times >> 2 & 3]
        clock = ("Lost", "Suspect", "Known")[times & 3]
        said = []
        if clock != "Lost":
            said.append(next_value("u64") * (1, 10**3)[times >> 4 & 1])
        if clock == "Known":
            said.append(next_value("u64") * (1, 10**3, 10**6)[times >> 5 & 3])
        body = reader.take(next_value("u32"))
        reader.end()
        of_day = getattr(messages.Clock, clock)
        anchor = extension[2:18] if len(extension) >= 18 else None
        return Record(sequence, extension[:2], anchor, kind, version, boot, monotonic, of_day(*said) if said else of_day, body)

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
        part = await phone.command(Command.ReadLog(log, first))
        trips += 1
        assert isinstance(part, messages.LogPart), part
        records += [chain.take(data) for data in messages.records(part)]
        first = part.next
        if part.newest is None or first > part.newest:
            # Every body down to its last byte, of a kind and version that the documents know.
            assert all(record.version == 1 and record.said is not None for record in records)
            return records, trips
        assert part.records, "the pump says there is more, and sends nothing"


def of(records, title):
    """What the records of one kind say, in order."""
    return [record.said for record in records if record.title == title]
