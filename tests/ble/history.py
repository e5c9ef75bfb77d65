"""The pump's event log, read and checked from its document and not from its code (docs/journal.md)."""

import hashlib
from dataclasses import dataclass

import wire


@dataclass(frozen=True)
class Record:
    sequence: int
    link: bytes
    anchor: bytes | None
    kind: int
    version: int
    boot: int
    monotonic_us: int
    clock: wire.Clock
    body: bytes

    @staticmethod
    def decode(data):
        reader = wire.Reader(data)
        sequence = reader.unsigned(32)
        extension = reader.raw(reader.unsigned(32))
        kind = reader.unsigned(16)
        version = reader.u8()
        boot = reader.unsigned(32)
        times = reader.u8()
        monotonic = reader.unsigned(64) * (1, 10**3, 10**6)[times >> 2 & 3]
        clock = ("lost", "suspect", "known")[times & 3]
        wall = reader.unsigned(64) * (1, 10**3)[times >> 4 & 1] if clock != "lost" else None
        uncertainty = reader.unsigned(64) * (1, 10**3, 10**6)[times >> 5 & 3] if clock == "known" else None
        body = reader.raw(reader.unsigned(32))
        reader.end()
        anchor = extension[2:18] if len(extension) >= 18 else None
        return Record(
            sequence, extension[:2], anchor, kind, version, boot, monotonic, wire.Clock(clock, wall, uncertainty), body
        )

    @property
    def session(self):
        """In which session it happened; 0 for none. Events begin with it."""
        return wire.Reader(self.body).unsigned(32)


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
        part = await phone.command(wire.read_log(log, first))
        trips += 1
        assert isinstance(part, wire.LogPart), part
        records += [chain.take(data) for data in part.records]
        first = part.next
        if part.newest is None or first > part.newest:
            return records, trips
        assert part.records, "the pump says there is more, and sends nothing"
