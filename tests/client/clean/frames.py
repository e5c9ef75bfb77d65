"""Frames: messages of up to 1,056 bytes over values of 20 to 244 bytes."""

import zlib
from dataclasses import dataclass

FIRST, LAST, ACKNOWLEDGE, ABORT = 1, 2, 4, 8
LONGEST_MESSAGE, LONGEST_FRAME = 1056, 244
GIVEN_UP = 12


class Lost(Exception):
    """A fragment that cannot be taken: the request has to be repeated."""


@dataclass(frozen=True)
class Abort:
    """The pump has dropped a message; it has certainly not been taken."""

    reason: int
    at: int


def check(data):
    return zlib.crc32(data).to_bytes(4, "little")


def cut(message, mtu, sequence):
    """The data frames of a message, the first with this number."""
    rest = message + check(message)
    if not 6 <= len(rest) <= LONGEST_MESSAGE:
        raise ValueError(f"a message of {len(rest)} bytes")
    head, room, frames = len(rest).to_bytes(2, "little"), min(mtu - 3, LONGEST_FRAME), []
    flags = FIRST
    while rest:
        count = room - 2 - len(head)
        flags |= 0 if len(rest) > count else LAST
        frames.append(bytes([flags, sequence]) + head + rest[:count])
        rest, head, flags, sequence = rest[count:], b"", 0, (sequence + 1) % 256
    return frames


def acknowledge(sequence):
    return bytes([ACKNOWLEDGE, sequence])


def abort(sequence, reason, at):
    return bytes([ABORT, sequence, reason, at])


class Joiner:
    """Joins the frames of the other side, which is the pump."""

    def __init__(self):
        self.last, self.length, self.data = None, None, b""

    def forget(self):
        """What was begun is of no use: a request was, or will be, sent."""
        self.length, self.data = None, b""

    def take(self, frame):
        """A whole message, an `Abort`, or None; raises `Lost`."""
        if len(frame) < 3:
            raise Lost("too short for a frame")
        flags, sequence = frame[0], frame[1]
        if self.last is not None and not 1 <= (sequence - self.last) % 256 <= 127:
            return None
        if flags == ABORT and len(frame) == 4:
            self.last = sequence
            self.forget()
            return Abort(frame[2], frame[3])
        if flags > FIRST | LAST:
            raise Lost(f"unknown flags {flags:#04x}")
        if flags & FIRST:
            if len(frame) < 5:
                raise Lost("too short for a first frame")
            self.length, self.data = int.from_bytes(frame[2:4], "little"), b""
            if not 6 <= self.length <= LONGEST_MESSAGE:
                raise Lost(f"a message of {self.length} bytes")
        elif self.length is None or sequence != (self.last + 1) % 256:
            raise Lost("a fragment is missing")
        self.last = sequence
        self.data += frame[4 if flags & FIRST else 2 :]
        if not flags & LAST and len(self.data) < self.length:
            return None
        data, length = self.data, self.length
        self.forget()
        if len(data) != length or not flags & LAST:
            raise Lost(f"{len(data)} bytes instead of {length}")
        if check(data[:-4]) != data[-4:]:
            raise Lost("wrong CRC-32")
        return data[:-4]
