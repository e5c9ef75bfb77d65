"""The handshake: Noise_KKpsk0_25519_ChaChaPoly_SHA256, the phone's side, and the gate before it."""

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from . import keys

_NAME = b"Noise_KKpsk0_25519_ChaChaPoly_SHA256"


class Failed(Exception):
    """It was not the pump that answered, or somebody changed a word."""


def mac(key, data):
    return hmac.digest(key, data, "sha256")


def seal(key, number, associated, content):
    return ChaCha20Poly1305(key).encrypt(bytes(4) + number.to_bytes(8, "little"), content, associated)


def open_sealed(key, number, associated, sealed):
    try:
        return ChaCha20Poly1305(key).decrypt(bytes(4) + number.to_bytes(8, "little"), sealed, associated)
    except InvalidTag:
        raise Failed("it does not open") from None


class _Symmetric:
    """`ck`, `h`, `k` and `n` of docs/protocol.md."""

    def __init__(self):
        self.h = self.ck = hashlib.sha256(_NAME).digest()
        self.k, self.n = None, 0

    def mix_hash(self, data):
        self.h = hashlib.sha256(self.h + data).digest()

    def mix_key(self, data):
        t = mac(self.ck, data)
        self.ck = mac(t, b"\1")
        self.k, self.n = mac(t, self.ck + b"\2"), 0

    def mix_psk(self, psk):
        t = mac(self.ck, psk)
        self.ck = mac(t, b"\1")
        m = mac(t, self.ck + b"\2")
        self.k, self.n = mac(t, m + b"\3"), 0
        self.mix_hash(m)

    def encrypt(self, content):
        sealed = seal(self.k, self.n, self.h, content)
        self.n += 1
        self.mix_hash(sealed)
        return sealed

    def decrypt(self, sealed):
        content = open_sealed(self.k, self.n, self.h, sealed)
        self.n += 1
        self.mix_hash(sealed)
        return content


def prologue(info):
    return (
        b"Thecal"
        + bytes([info.version])
        + info.schema_hash.to_bytes(8, "big")
        + info.capabilities.to_bytes(4, "big")
        + info.nonce
    )


class Handshake:
    def __init__(self, key, info, ephemeral=None):
        """`ephemeral` only for the vectors: otherwise it is random."""
        self.key, self.info = key, info
        self.e = ephemeral or keys.new_private()
        self.state = _Symmetric()

    def hello(self):
        """The body of Hello."""
        state, key, own = self.state, self.key, self.key.public
        state.mix_hash(prologue(self.info))
        state.mix_hash(own)
        state.mix_hash(key.pump)
        state.mix_psk(key.preshared)
        e = keys.public(self.e)
        state.mix_hash(e)
        state.mix_key(e)
        state.mix_key(keys.agree(self.e, key.pump))
        state.mix_key(keys.agree(key.private, key.pump))
        first = e + state.encrypt(b"")
        head = bytes([key.slot]) + (own if key.slot in (keys.RECOVERY, keys.ENROLMENT) else b"")
        gate_key = mac(key.preshared, b"Thecal gate")
        return head + mac(gate_key, self.info.nonce + head + first)[:16] + first

    def welcome(self, body):
        """From the body of Welcome: its content, the key of the requests, that of the answers."""
        state, f = self.state, body[:32]
        try:
            state.mix_hash(f)
            state.mix_key(f)
            state.mix_key(keys.agree(self.e, f))
            state.mix_key(keys.agree(self.key.private, f))
        except ValueError as error:
            raise Failed(str(error)) from None
        content = state.decrypt(body[32:])
        t = mac(state.ck, b"")
        requests = mac(t, b"\1")
        return content, requests, mac(t, requests + b"\2")
