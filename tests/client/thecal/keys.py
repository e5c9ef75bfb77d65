"""Keys, and the texts that they are printed as (docs/protocol.md, "Keys")."""

import hashlib
import secrets
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from thecal import frames

RECOVERY, ENROLMENT = 0xFE, 0xFF


class TextError(ValueError):
    """Not such a text, or mistyped."""


def random():
    """A private key, an ephemeral one, or a shared secret."""
    return secrets.token_bytes(32)


def public_key(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def agree(private, public):
    """X25519; raises ValueError when the result is all zeros."""
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))


def fingerprint(public):
    return hashlib.sha256(public).digest()[:8]


def fingerprint_text(public):
    """As people compare it, `0123-4567-89ab-cdef`."""
    return fingerprint(public).hex("-", 2)


def _cut(data, lengths):
    """The parts with these lengths of what ends with its CRC-32."""
    if len(data) != sum(lengths) + 4 or frames.check(data[:-4]) != data[-4:]:
        raise TextError("too long, too short, or with a mistake in it")
    starts = [sum(lengths[:place]) for place in range(len(lengths))]
    return [data[start : start + length] for start, length in zip(starts, lengths, strict=True)]


def _secret():
    return field(repr=False)


class _Text:
    """A name, a colon and hexadecimal digits. `parts` gives what is in it, `of` takes that."""

    @classmethod
    def read(cls, text):
        name, _, digits = "".join(text.split()).partition(":")
        if name.upper() != cls.NAME:
            raise TextError(f"it has to begin with {cls.NAME}:")
        try:
            data = bytes.fromhex(digits)
        except ValueError:
            raise TextError("hexadecimal digits only") from None
        return cls.of(*_cut(data, cls.LENGTHS))

    def text(self):
        data = b"".join(self.parts())
        return f"{self.NAME}:{(data + frames.check(data)).hex().upper()}"


@dataclass(frozen=True)
class Key(_Text):
    """What the holder of a key has."""

    NAME, LENGTHS = "THECAL3", (32, 32, 32, 1)

    pump: bytes
    private: bytes = _secret()
    preshared: bytes = _secret()
    slot: int

    @classmethod
    def new(cls, pump, slot):
        return cls(pump, random(), random(), slot)

    @classmethod
    def of(cls, pump, private, preshared, slot):
        return cls(pump, private, preshared, slot[0])

    def parts(self):
        return self.pump, self.private, self.preshared, bytes([self.slot])

    @property
    def public(self):
        return public_key(self.private)


@dataclass(frozen=True)
class ImplantCard(_Text):
    NAME, LENGTHS = "THECAL2", (32, 32, 4)

    pump: bytes
    recovery: bytes = _secret()
    passkey: int = _secret()

    @classmethod
    def of(cls, pump, recovery, passkey):
        return cls(pump, recovery, int.from_bytes(passkey, "little"))

    def parts(self):
        return self.pump, self.recovery, self.passkey.to_bytes(4, "little")

    def way_in(self):
        """What opens a pump of which all keys are lost, while it is armed."""
        return Key(self.pump, random(), self.recovery, RECOVERY)


@dataclass(frozen=True)
class Pack(_Text):
    """The sterile pack."""

    NAME, LENGTHS = "THECAL1", (32, 32, 32, 4)
    PAGE_HEAD = b"THECALPK" + bytes((1, 0, 0, 0))

    pump: bytes
    one_time: bytes = _secret()
    recovery: bytes = _secret()
    passkey: int = _secret()

    @classmethod
    def of(cls, pump, one_time, recovery, passkey):
        return cls(pump, one_time, recovery, int.from_bytes(passkey, "little"))

    def parts(self):
        return self.pump, self.one_time, self.recovery, self.passkey.to_bytes(4, "little")

    def implant_card(self):
        return ImplantCard(self.pump, self.recovery, self.passkey)

    def way_in(self):
        """What opens a new pump, once, while it is armed."""
        return Key(self.pump, random(), self.one_time, ENROLMENT)

    def page(self, private):
        """The page of the production line, for the pump with this private key."""
        data = b"".join((self.PAGE_HEAD, private, *self.parts()[1:]))
        return data + frames.check(data)

    @classmethod
    def of_page(cls, data):
        """The pack of the pump with this page."""
        head, private, *others = _cut(data[:116], (12, 32, 32, 32, 4))
        if head != cls.PAGE_HEAD:
            raise TextError("no page of a pack")
        return cls.of(public_key(private), *others)
