"""The bytes of protocol version 0, written from its documents and not from its code.

An independent hand: what the pump's Rust crate and this file agree on is what the documents say. Only what the tests need.
Messages are postcard (little-endian base-128 integers, one byte for a variant below 128), frames are docs/protocol.md's.
"""

import hashlib
import zlib
from dataclasses import dataclass

VERSION = 0

DRUGS = (
    "morphine",
    "hydromorphone",
    "fentanyl",
    "sufentanil",
    "bupivacaine",
    "clonidine",
    "ziconotide",
    "baclofen",
)
PER = ("hour", "day")
DELIVERY = ("not programmed", "stopped", "running", "faulted")
REFUSED = (
    "NotAllowed",
    "NothingStaged",
    "DigestMismatch",
    "StageExpired",
    "NotDone",
    "Busy",
    "OutOfRange",
    "BadMessage",
    "UnknownVersion",
    "StaleIdentifier",
)
MALFORMED = ("Undecodable", "TrailingBytes", "NotCanonical", "UnknownCommand", "IdentifierZero")
DROPPED = (
    "NotOpen",
    "Runt",
    "FrameTooLong",
    "Flags",
    "Length",
    "Gap",
    "Overrun",
    "Short",
    "Silence",
    "Interrupted",
    "NotStarted",
    "Checksum",
    "Abandoned",
)


class WireError(Exception):
    """Bytes that are not what the documents say."""


# ---- postcard ----


def varint(value):
    assert value >= 0
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Reader:
    """Takes values from the front of bytes; `end()` when there must be none left."""

    def __init__(self, data):
        self.data = bytes(data)
        self.at = 0

    def u8(self):
        if self.at >= len(self.data):
            raise WireError(f"ends after {self.at} bytes")
        self.at += 1
        return self.data[self.at - 1]

    def unsigned(self, bits):
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if value >> bits:
            raise WireError(f"{value} does not fit in {bits} bits")
        if shift > 7 and byte == 0:
            raise WireError("an integer is padded: not canonical")
        return value

    def signed(self, bits):
        value = self.unsigned(bits)
        return value >> 1 ^ -(value & 1)

    def boolean(self):
        return bool(self.variant(2))

    def variant(self, count):
        value = self.unsigned(32)
        if value >= count:
            raise WireError(f"variant {value} of {count}")
        return value

    def option(self, read):
        return read() if self.boolean() else None

    def raw(self, length):
        return bytes(self.u8() for _ in range(length))

    def end(self):
        if self.at != len(self.data):
            raise WireError(f"{len(self.data) - self.at} bytes too many")


# ---- messages ----


@dataclass(frozen=True)
class Program:
    """A drug, its concentration, the fill if there was one, and a dose; without a dose it is a stop."""

    drug: str
    concentration_ng_per_ml: int
    fill_nl: int | None = None
    dose_ng: int | None = None
    per: str = "day"

    def encode(self):
        out = varint(DRUGS.index(self.drug)) + varint(self.concentration_ng_per_ml)
        out += b"\0" if self.fill_nl is None else b"\1" + varint(self.fill_nl)
        if self.dose_ng is None:
            return out + b"\0"
        return out + b"\1" + varint(self.dose_ng) + varint(PER.index(self.per))

    @staticmethod
    def read(reader):
        drug = DRUGS[reader.variant(len(DRUGS))]
        concentration = reader.unsigned(32)
        fill = reader.option(lambda: reader.unsigned(32))
        if reader.variant(2) == 0:
            return Program(drug, concentration, fill)
        dose = reader.unsigned(64)
        return Program(drug, concentration, fill, dose, PER[reader.variant(len(PER))])

    def digest(self, number):
        """SHA-256 of the program and the number it would bear."""
        return hashlib.sha256(self.encode() + varint(number)).digest()

    def steps_per_second(self, step_fl):
        """Exact motor steps a second that this program means, as (numerator, denominator)."""
        if self.dose_ng is None:
            return 0, 1
        seconds = 3600 if self.per == "hour" else 86400
        # ng / (ng/mL) = mL; 1 mL = 10^12 fL.
        return self.dose_ng * 10**12, self.concentration_ng_per_ml * step_fl * seconds


def interrogate():
    return varint(0)


def stage(program):
    return varint(1) + program.encode()


def read_back():
    return varint(2)


def commit(digest):
    assert len(digest) == 32
    return varint(3) + digest


def cancel():
    return varint(4)


def reset_status_changed(mask):
    return varint(5) + varint(mask)


EVENTS, CRITICAL = 0, 1


def read_log(log, first):
    return varint(6) + varint(log) + varint(first)


def sign_log(log):
    return varint(7) + varint(log)


def set_clock(wall_ms, uncertainty_us):
    return varint(8) + varint(wall_ms) + varint(uncertainty_us)


@dataclass(frozen=True)
class Clock:
    """`kind` is known, suspect or lost."""

    kind: str
    wall_ms: int | None = None
    uncertainty_us: int | None = None

    @staticmethod
    def read(reader):
        kind = ("known", "suspect", "lost")[reader.variant(3)]
        wall = reader.unsigned(64) if kind != "lost" else None
        return Clock(kind, wall, reader.unsigned(64) if kind == "known" else None)


@dataclass(frozen=True)
class Status:
    boot: int
    pump_time_ms: int
    clock: Clock
    program_number: int
    program: Program | None
    delivery: str
    flow_nl_per_day: int
    counted_steps: int
    at_most_steps: int
    deficit_steps: int
    step_volume_fl: int
    reservoir_fl: int | None
    filled_fl: int | None
    delivered_since_fill_fl: int
    staged: bool
    committing: bool
    status_changed: int
    lowest_nl_per_day: int
    highest_nl_per_day: int
    capacity_nl: int
    faults: int
    powered_s: int
    records_lost: int

    @staticmethod
    def read(reader):
        values = [
            reader.unsigned(32),
            reader.unsigned(64),
            Clock.read(reader),
            reader.unsigned(32),
            reader.option(lambda: Program.read(reader)),
            DELIVERY[reader.variant(len(DELIVERY))],
            reader.unsigned(64),
            reader.signed(64),
            reader.unsigned(64),
            reader.unsigned(64),
            reader.unsigned(32),
            reader.option(lambda: reader.unsigned(64)),
            reader.option(lambda: reader.unsigned(64)),
            reader.unsigned(64),
            reader.boolean(),
            reader.boolean(),
            reader.unsigned(16),
            reader.unsigned(32),
            reader.unsigned(32),
            reader.unsigned(32),
        ]
        step_of_limits = reader.unsigned(32)
        status = Status(*values, reader.unsigned(16), reader.unsigned(64), reader.unsigned(32))
        if step_of_limits != status.step_volume_fl:
            raise WireError("two step volumes")
        return status


@dataclass(frozen=True)
class Staged:
    program: Program
    flow_nl_per_day: int
    old_day_total_ng: int | None
    new_day_total_ng: int
    digest: bytes
    expires_in_ms: int

    @staticmethod
    def read(reader):
        return Staged(
            Program.read(reader),
            reader.unsigned(64),
            reader.option(lambda: reader.unsigned(64)),
            reader.unsigned(64),
            reader.raw(32),
            reader.unsigned(32),
        )


@dataclass(frozen=True)
class Committed:
    program_number: int


@dataclass(frozen=True)
class Cancelled:
    pass


@dataclass(frozen=True)
class StatusChangedReset:
    flags: int


@dataclass(frozen=True)
class Refused:
    reason: str
    details: tuple = ()

    @staticmethod
    def read(reader):
        reason = REFUSED[reader.variant(len(REFUSED))]
        details = ()
        if reason == "OutOfRange":
            details = (reader.variant(7), reader.unsigned(64), reader.unsigned(64), reader.unsigned(64))
        elif reason == "BadMessage":
            malformed = MALFORMED[reader.variant(len(MALFORMED))]
            details = (malformed, reader.unsigned(32)) if malformed == "UnknownCommand" else (malformed,)
        elif reason == "UnknownVersion":
            details = (reader.u8(), reader.u8())
        elif reason == "StaleIdentifier":
            details = (reader.unsigned(32),)
        return Refused(reason, details)


@dataclass(frozen=True)
class StoppedNotRecorded:
    pass


@dataclass(frozen=True)
class LogPart:
    next: int
    newest: int | None
    records: tuple

    @staticmethod
    def read(reader):
        following = reader.unsigned(32)
        newest = reader.option(lambda: reader.unsigned(32))
        data = reader.raw(reader.unsigned(32))
        if len(data) > 168:
            raise WireError(f"{len(data)} bytes of records")
        records = []
        while data:
            length = int.from_bytes(data[:2], "little")
            if len(data) < 2 + length:
                raise WireError("a record that ends early")
            records.append(data[2 : 2 + length])
            data = data[2 + length :]
        return LogPart(following, newest, tuple(records))


@dataclass(frozen=True)
class LogHead:
    sequence: int
    state: bytes
    boot: int
    signature: bytes

    @staticmethod
    def read(reader):
        return reader.option(
            lambda: LogHead(reader.unsigned(32), reader.raw(16), reader.unsigned(32), reader.raw(16))
        )


@dataclass(frozen=True)
class ClockSet:
    clock: Clock


OUTCOMES = (
    Status.read,
    Staged.read,
    lambda reader: Committed(reader.unsigned(32)),
    lambda _: Cancelled(),
    lambda reader: StatusChangedReset(reader.unsigned(16)),
    Refused.read,
    lambda _: StoppedNotRecorded(),
    LogPart.read,
    LogHead.read,
    lambda reader: ClockSet(Clock.read(reader)),
)


def decode_answer(message):
    """(request number, outcome) of a whole message without its CRC."""
    if not message or message[0] != VERSION:
        raise WireError(f"no message of version {VERSION}: {message[:1].hex()}")
    reader = Reader(message[1:])
    number = reader.unsigned(32)
    outcome = OUTCOMES[reader.variant(len(OUTCOMES))](reader)
    reader.end()
    return number, outcome


def encode_request(number, command):
    """A whole message, with its CRC."""
    return with_check(bytes([VERSION]) + varint(number) + command)


@dataclass(frozen=True)
class Info:
    version: int
    schema_hash: int
    capabilities: int
    nonce: bytes
    lifecycle: int
    armed: bool

    @staticmethod
    def decode(data):
        reader = Reader(data)
        info = Info(
            reader.u8(),
            reader.unsigned(64),
            reader.unsigned(32),
            reader.raw(8),
            reader.variant(3),
            reader.boolean(),
        )
        reader.end()
        return info


# ---- frames ----

FIRST, LAST, ACKNOWLEDGE, ABORT = 1, 2, 4, 8


def with_check(message):
    return message + zlib.crc32(message).to_bytes(4, "little")


def fragment(message, frame_length, sequence):
    """The frames of a message, none longer than `frame_length`, numbered from `sequence`."""
    frames = []
    at = 0
    while at < len(message):
        header = bytes([0, sequence & 0xFF])
        if at == 0:
            header += len(message).to_bytes(2, "little")
        part = message[at : at + frame_length - len(header)]
        at += len(part)
        flags = (FIRST if not frames else 0) | (LAST if at == len(message) else 0)
        frames.append(bytes([flags]) + header[1:] + part)
        sequence += 1
    return frames


def acknowledge(sequence):
    return bytes([ACKNOWLEDGE, sequence])


class Aborted(WireError):
    """The pump dropped what was being sent."""

    def __init__(self, reason, at):
        super().__init__(f"{reason} at frame {at}")
        self.reason = reason
        self.at = at


class Collector:
    """Fragments of Response to messages. Strict: anything out of order is an error of the pump's."""

    def __init__(self):
        self.seen = None
        self.total = 0
        self.bytes = b""

    def take(self, frame):
        """(acknowledgement to write or None, whole message or None)."""
        if not frame:
            return None, None
        flags, sequence = frame[0], frame[1]
        if sequence == self.seen:
            return acknowledge(sequence), None
        if self.seen is not None and sequence != (self.seen + 1) & 0xFF:
            raise WireError(f"fragment {sequence} after {self.seen}")
        self.seen = sequence
        if flags == ABORT:
            self.bytes = b""
            raise Aborted(DROPPED[frame[2]], frame[3])
        if flags & ~(FIRST | LAST):
            raise WireError(f"flags {flags:#04x} in a fragment")
        if flags & FIRST:
            self.total = int.from_bytes(frame[2:4], "little")
            self.bytes = frame[4:]
        else:
            self.bytes += frame[2:]
        if not flags & LAST:
            return acknowledge(sequence), None
        message, self.bytes = self.bytes, b""
        if len(message) != self.total or with_check(message[:-4]) != message:
            raise WireError(f"message of {len(message)} bytes, announced {self.total}, or its check is wrong")
        return acknowledge(sequence), message[:-4]
