"""Keys on paper and in the hand (docs/protocol.md, "Keys on paper")."""

import hashlib
import zlib
from dataclasses import dataclass, field

from thecal import noise

RECOVERY_SLOT, ENROLMENT_SLOT = 0xFE, 0xFF


class TextError(Exception):
    """A text that is none of ours, or was mistyped."""


def fingerprint(public):
    """Eight bytes by which people compare public keys."""
    return hashlib.sha256(public).digest()[:8]


def fingerprint_text(public):
    return fingerprint(public).hex("-", -2)


def write_text(name, content):
    return f"{name}:{(content + zlib.crc32(content).to_bytes(4, 'little')).hex().upper()}"


def read_text(name, text, length):
    """The bytes behind a name, their CRC-32 checked and taken off."""
    front, _, digits = text.strip().partition(":")
    if front.upper() != name:
        raise TextError(f"it has to begin with {name}:")
    try:
        data = bytes.fromhex("".join(digits.split()))
    except ValueError:
        raise TextError("behind its name it has only the digits 0 to 9 and A to F") from None
    if len(data) != length + 4:
        raise TextError(f"it has to have {2 * length + 8} digits behind its name")
    if zlib.crc32(data[:-4]).to_bytes(4, "little") != data[-4:]:
        raise TextError("its checksum is wrong")
    return data[:-4]


@dataclass(frozen=True)
class Credentials:
    """What opens a session with one pump."""

    slot: int
    private: bytes = field(repr=False)
    preshared: bytes = field(repr=False)
    pump: bytes

    NAME = "THECAL3"

    @property
    def public(self):
        return noise.public_key(self.private)

    @classmethod
    def parse(cls, text):
        data = read_text(cls.NAME, text, 97)
        return cls(data[96], data[32:64], data[64:96], data[:32])

    def text(self):
        return write_text(self.NAME, self.pump + self.private + self.preshared + bytes([self.slot]))


@dataclass(frozen=True)
class ImplantCard:
    pump: bytes
    recovery: bytes = field(repr=False)
    passkey: int = field(repr=False)

    NAME = "THECAL2"

    @classmethod
    def parse(cls, text):
        data = read_text(cls.NAME, text, 68)
        return cls(data[:32], data[32:64], int.from_bytes(data[64:], "little"))

    def text(self):
        return write_text(self.NAME, self.pump + self.recovery + self.passkey.to_bytes(4, "little"))

    def credentials(self, private):
        return Credentials(RECOVERY_SLOT, private, self.recovery, self.pump)


@dataclass(frozen=True)
class Pack:
    """The text of the sterile pack."""

    pump: bytes
    one_time: bytes = field(repr=False)
    recovery: bytes = field(repr=False)
    passkey: int = field(repr=False)

    NAME = "THECAL1"

    @classmethod
    def parse(cls, text):
        data = read_text(cls.NAME, text, 100)
        return cls(data[:32], data[32:64], data[64:96], int.from_bytes(data[96:], "little"))

    def text(self):
        return write_text(self.NAME, self.pump + self.one_time + self.recovery + self.passkey.to_bytes(4, "little"))

    def implant_card(self):
        return ImplantCard(self.pump, self.recovery, self.passkey)

    def credentials(self, private):
        """Those of an enrolment, for a phone with this private key."""
        return Credentials(ENROLMENT_SLOT, private, self.one_time, self.pump)


PAGE_MAGIC = b"THECALPK"


def page(private, one_time, recovery, passkey):
    """What the production line writes into the pump's flash (docs/protocol.md, "The page of the production line")."""
    content = PAGE_MAGIC + bytes([1, 0, 0, 0]) + private + one_time + recovery + passkey.to_bytes(4, "little")
    return content + zlib.crc32(content).to_bytes(4, "little")


def pack_of_page(data):
    """The text that belongs to a page."""
    if data[:12] != PAGE_MAGIC + bytes([1, 0, 0, 0]) or zlib.crc32(data[:112]).to_bytes(4, "little") != data[112:116]:
        raise TextError("no page of a pack")
    return Pack(noise.public_key(data[12:44]), data[44:76], data[76:108], int.from_bytes(data[108:112], "little"))
