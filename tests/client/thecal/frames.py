"""Frames (docs/protocol.md, "Frames"): a message cut to the MTU, and put together again."""

import zlib

from thecal.postcard import WireError

FIRST, LAST, ACKNOWLEDGE, ABORT = 1, 2, 4, 8

# The longest message with its CRC-32, and the shortest.
MOST, LEAST = 1056, 6

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


def with_check(message):
    """A message with its CRC-32."""
    return message + zlib.crc32(message).to_bytes(4, "little")


def fragment(message, mtu, sequence):
    """The frames of a message that has its CRC-32, numbered from `sequence`."""
    frames = []
    at = 0
    while at < len(message):
        header = bytes([sequence & 0xFF])
        if at == 0:
            header += len(message).to_bytes(2, "little")
        part = message[at : at + mtu - 3 - 1 - len(header)]
        at += len(part)
        flags = (FIRST if not frames else 0) | (LAST if at == len(message) else 0)
        frames.append(bytes([flags]) + header + part)
        sequence += 1
    return frames


def acknowledge(sequence):
    return bytes([ACKNOWLEDGE, sequence])


def abort(sequence, reason, at):
    return bytes([ABORT, sequence & 0xFF, DROPPED.index(reason), at])


class Aborted(WireError):
    """The pump dropped what was being sent."""

    def __init__(self, reason, at):
        super().__init__(f"{reason} at frame {at}")
        self.reason = reason
        self.at = at


class Collector:
    """Fragments of Response to messages. Strict: what a pump may not do is an error."""

    def __init__(self):
        # Number of the last fragment taken.
        self.seen = None
        self.total = 0
        self.bytes = None

    def take(self, frame):
        """(acknowledgement to write or None, whole message without its CRC-32 or None)."""
        if not frame:
            return None, None
        if len(frame) < 3:
            raise WireError(f"no fragment: {frame.hex()}")
        flags, sequence = frame[0], frame[1]
        if self.seen is not None and not 1 <= (sequence - self.seen) & 0xFF <= 127:
            # Read again. The acknowledgement of the last one may have been lost.
            return (acknowledge(sequence) if sequence == self.seen else None), None
        follows = self.seen is not None and sequence == (self.seen + 1) & 0xFF
        self.seen = sequence
        if flags == ABORT and len(frame) == 4:
            self.bytes = None
            raise Aborted(DROPPED[frame[2]] if frame[2] < len(DROPPED) else f"reason {frame[2]}", frame[3])
        if flags & ~(FIRST | LAST):
            raise WireError(f"flags {flags:#04x} in a fragment")
        if flags & FIRST:
            self.total = int.from_bytes(frame[2:4], "little")
            if not LEAST <= self.total <= MOST:
                raise WireError(f"a message of {self.total} bytes")
            self.bytes = frame[4:]
        elif self.bytes is None or not follows:
            raise WireError(f"fragment {sequence} does not follow")
        else:
            self.bytes += frame[2:]
        if not flags & LAST:
            return acknowledge(sequence), None
        message, self.bytes = self.bytes, None
        if len(message) != self.total or with_check(message[:-4]) != message:
            raise WireError(f"message of {len(message)} bytes, announced {self.total}, or its check is wrong")
        return acknowledge(sequence), message[:-4]
