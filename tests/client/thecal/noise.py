"""Noise_KKpsk0_25519_ChaChaPoly_SHA256 by hand (docs/protocol.md, "The handshake"), the phone's side and, for tests, the pump's.

Step by step, in the names of the document; `cryptography` gives X25519, ChaCha20-Poly1305 and nothing else.
"""

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

NAME = b"Noise_KKpsk0_25519_ChaChaPoly_SHA256"


class NotTheirs(Exception):
    """Not sealed with this key, or changed on the way."""


def public_key(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def diffie_hellman(private, public):
    # Raises for a public key that leads to nothing but zeros.
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))


def code(key, *parts):
    """HMAC-SHA-256 over the parts one behind the other."""
    return hmac.digest(key, b"".join(parts), "sha256")


def derive(chaining, material, count):
    """Noise's HKDF: the first `count` keys, two or three."""
    secret = code(chaining, material)
    keys = [b""]
    for number in range(1, count + 1):
        keys.append(code(secret, keys[-1], bytes([number])))
    return keys[1:]


def nonce(counter):
    return bytes(4) + counter.to_bytes(8, "little")


def seal(key, counter, text, associated=b""):
    return ChaCha20Poly1305(key).encrypt(nonce(counter), text, associated)


def open_sealed(key, counter, sealed, associated=b""):
    try:
        return ChaCha20Poly1305(key).decrypt(nonce(counter), sealed, associated)
    except InvalidTag:
        raise NotTheirs("the tag is wrong") from None


class Symmetric:
    """What both sides carry along: chaining key, hash, key and its counter."""

    def __init__(self, prologue, phone, pump):
        self.hash = hashlib.sha256(NAME).digest()
        self.chaining = self.hash
        self.key = None
        self.counter = 0
        for known in (prologue, phone, pump):
            self.mix_hash(known)

    def mix_hash(self, data):
        self.hash = hashlib.sha256(self.hash + data).digest()

    def mix_key(self, material):
        self.chaining, self.key = derive(self.chaining, material, 2)
        self.counter = 0

    def mix_key_and_hash(self, material):
        self.chaining, mixed, self.key = derive(self.chaining, material, 3)
        self.mix_hash(mixed)
        self.counter = 0

    def mix_ephemeral(self, public):
        self.mix_hash(public)
        self.mix_key(public)

    def encrypt(self, text):
        sealed = seal(self.key, self.counter, text, self.hash)
        self.counter += 1
        self.mix_hash(sealed)
        return sealed

    def decrypt(self, sealed):
        text = open_sealed(self.key, self.counter, sealed, self.hash)
        self.counter += 1
        self.mix_hash(sealed)
        return text

    def split(self):
        """(key of requests, key of answers)."""
        return tuple(derive(self.chaining, b"", 2))


class Phone:
    """The side that begins."""

    def __init__(self, prologue, private, pump, preshared, ephemeral):
        self.private = private
        self.ephemeral = ephemeral
        self.state = Symmetric(prologue, public_key(private), pump)
        self.state.mix_key_and_hash(preshared)
        self.state.mix_ephemeral(public_key(ephemeral))
        self.state.mix_key(diffie_hellman(ephemeral, pump))
        self.state.mix_key(diffie_hellman(private, pump))
        self.message = public_key(ephemeral) + self.state.encrypt(b"")

    def finish(self, message):
        """Reads the pump's message: (content, key of requests, key of answers)."""
        theirs = message[:32]
        self.state.mix_ephemeral(theirs)
        self.state.mix_key(diffie_hellman(self.ephemeral, theirs))
        self.state.mix_key(diffie_hellman(self.private, theirs))
        content = self.state.decrypt(message[32:])
        return (content, *self.state.split())


def answer(prologue, private, phone, preshared, message, ephemeral, content):
    """The pump's side: (its message, key of requests, key of answers)."""
    state = Symmetric(prologue, phone, public_key(private))
    theirs = message[:32]
    state.mix_key_and_hash(preshared)
    state.mix_ephemeral(theirs)
    state.mix_key(diffie_hellman(private, theirs))
    state.mix_key(diffie_hellman(private, phone))
    if state.decrypt(message[32:]) != b"":
        raise NotTheirs("the first message has a content")
    ours = public_key(ephemeral)
    state.mix_ephemeral(ours)
    state.mix_key(diffie_hellman(ephemeral, theirs))
    state.mix_key(diffie_hellman(ephemeral, phone))
    sealed = state.encrypt(content)
    return (ours + sealed, *state.split())
