"""Keys, and the texts that they are printed as."""

import hashlib
import re
import secrets
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from . import frames

RECOVERY, ENROLMENT = 0xFE, 0xFF


def new_private():
    return secrets.token_bytes(32)


def public(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def agree(private, public_key):
    """X25519; raises ValueError when the result is all zeros."""
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public_key))


def fingerprint(public_key):
    """As people compare it, `0123-4567-89ab-cdef`."""
    return "-".join(re.findall("....", hashlib.sha256(public_key).hexdigest()[:16]))


def _write(name, data):
    return f"{name}:{(data + frames.check(data)).hex().upper()}"


def _read(name, text, *lengths):
    """The parts of a text, of these lengths."""
    head, _, digits = "".join(text.split()).partition(":")
    data = bytes.fromhex(digits)
    if head.upper() != name or len(data) != sum(lengths) + 4 or frames.check(data[:-4]) != data[-4:]:
        raise ValueError(f"not a text of {name}, or with a mistake in it")
    parts, at = [], 0
    for length in lengths:
        parts.append(data[at : at + length])
        at += length
    return parts


@dataclass(frozen=True, repr=False)
class Key:
    """What a phone holds."""

    pump: bytes
    private: bytes
    preshared: bytes
    slot: int

    @classmethod
    def new(cls, pump, slot):
        return cls(pump, new_private(), secrets.token_bytes(32), slot)

    @property
    def public(self):
        return public(self.private)

    @classmethod
    def read(cls, text):
        pump, private, preshared, slot = _read("THECAL3", text, 32, 32, 32, 1)
        return cls(pump, private, preshared, slot[0])

    def write(self):
        return _write("THECAL3", self.pump + self.private + self.preshared + bytes([self.slot]))


@dataclass(frozen=True, repr=False)
class ImplantCard:
    pump: bytes
    recovery: bytes
    passkey: int

    @classmethod
    def read(cls, text):
        pump, recovery, passkey = _read("THECAL2", text, 32, 32, 4)
        return cls(pump, recovery, int.from_bytes(passkey, "little"))

    def write(self):
        return _write("THECAL2", self.pump + self.recovery + self.passkey.to_bytes(4, "little"))

    @property
    def way_in(self):
        return Key(self.pump, new_private(), self.recovery, RECOVERY)


@dataclass(frozen=True, repr=False)
class Pack:
    """The sterile pack."""

    pump: bytes
    once: bytes
    recovery: bytes
    passkey: int

    @classmethod
    def read(cls, text):
        pump, once, recovery, passkey = _read("THECAL1", text, 32, 32, 32, 4)
        return cls(pump, once, recovery, int.from_bytes(passkey, "little"))

    def write(self):
        return _write("THECAL1", self.pump + self.once + self.recovery + self.passkey.to_bytes(4, "little"))

    @property
    def card(self):
        return ImplantCard(self.pump, self.recovery, self.passkey)

    @property
    def way_in(self):
        return Key(self.pump, new_private(), self.once, ENROLMENT)
