"""Frames (docs/protocol.md, "Frames"): a message of up to 1,056 bytes over values of 20 to 244."""

import zlib

from thecal.postcard import WireError

FIRST, LAST, ACKNOWLEDGE, ABORT = 1, 2, 4, 8
LEAST, MOST, LONGEST_FRAME = 6, 1056, 244
# Reasons of an abort that something here or in the tests looks at.
MISSING, GIVEN_UP = 5, 12


class Aborted(Exception):
    """The pump has dropped a message, which has certainly not been taken."""

    def __init__(self, reason, at):
        super().__init__(f"reason {reason}, at frame {at}")
        self.reason, self.at = reason, at


def check(data):
    """CRC-32 as it is written."""
    return zlib.crc32(data).to_bytes(4, "little")


def cut(message, mtu, sequence):
    """The frames of a message, the first with this number."""
    rest = message + check(message)
    if not LEAST <= len(rest) <= MOST:
        raise WireError(f"a message of {len(rest)} bytes")
    frames, head, flags = [], len(rest).to_bytes(2, "little"), FIRST
    while rest:
        count = min(mtu - 3, LONGEST_FRAME) - 2 - len(head)
        last = 0 if len(rest) > count else LAST
        frames.append(bytes([flags | last, (sequence + len(frames)) % 256]) + head + rest[:count])
        rest, head, flags = rest[count:], b"", 0
    return frames


def acknowledge(sequence):
    return bytes([ACKNOWLEDGE, sequence])


def abort(sequence, reason, at):
    return bytes([ABORT, sequence, reason, at])


class Joiner:
    """Joins the frames of the other side."""

    def __init__(self):
        # The number of the last frame, and what there is of a message.
        self.last, self.length, self.data = None, None, b""

    def take(self, frame):
        """The message that this frame completes, or None; raises `Aborted`, and `WireError` for what cannot be taken.

        None also for a repetition. It is to be acknowledged all the same: the acknowledgement before may have been lost.
        """
        if len(frame) < 3:
            raise WireError("too short for a frame")
        flags, sequence = frame[0], frame[1]
        if self.last is not None and not 1 <= (sequence - self.last) % 256 <= 127:
            return None
        missing = self.last is None or sequence != (self.last + 1) % 256
        self.last = sequence
        if flags == ABORT and len(frame) == 4:
            self.length = None
            raise Aborted(frame[2], frame[3])
        if flags & FIRST:
            self.length, self.data = int.from_bytes(frame[2:4], "little"), b""
            part = frame[4:]
        else:
            part = frame[2:]
        length = self.length
        self.length = None
        if flags > FIRST | LAST or not part or length is None or not LEAST <= length <= MOST:
            raise WireError(f"no frame, or without its beginning: {frame.hex()}")
        if missing and not flags & FIRST:
            raise WireError(f"a frame is missing before {sequence}")
        self.data += part
        if not flags & LAST:
            self.length = length
            return None
        if len(self.data) != length or check(self.data[:-4]) != self.data[-4:]:
            raise WireError(f"{len(self.data)} bytes, announced {length}, or a wrong CRC-32")
        return self.data[:-4]
