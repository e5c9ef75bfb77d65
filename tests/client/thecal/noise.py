"""Noise_KKpsk0_25519_ChaChaPoly_SHA256, the phone's side, and the gate before it (docs/protocol.md, "The handshake")."""

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from thecal import keys

_NAME = b"Noise_KKpsk0_25519_ChaChaPoly_SHA256"


class NotTheirs(Exception):
    """Not sealed by the other side, or changed on the way."""


def mac(key, data):
    return hmac.digest(key, data, "sha256")


def seal(key, number, associated, content):
    return ChaCha20Poly1305(key).encrypt(bytes(4) + number.to_bytes(8, "little"), content, associated)


def open_sealed(key, number, associated, sealed):
    try:
        return ChaCha20Poly1305(key).decrypt(bytes(4) + number.to_bytes(8, "little"), sealed, associated)
    except InvalidTag:
        raise NotTheirs("it does not open") from None


class _State:
    """`ck`, `h`, `k` and `n`."""

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
    numbers = info.schema_hash.to_bytes(8, "big") + info.capabilities.to_bytes(4, "big")
    return b"Thecal" + bytes([info.version]) + numbers + info.nonce


def gate_key(preshared):
    return mac(preshared, b"Thecal gate")


class Handshake:
    """One handshake of the phone; `ephemeral` is told for the vectors only."""

    def __init__(self, key, info, ephemeral=None):
        self.key, self.e, self.state = key, ephemeral or keys.random(), _State()
        self.state.mix_hash(prologue(info))
        self.state.mix_hash(key.public)
        self.state.mix_hash(key.pump)
        self.state.mix_psk(key.preshared)
        e = keys.public_key(self.e)
        self.state.mix_hash(e)
        self.state.mix_key(e)
        self.state.mix_key(keys.agree(self.e, key.pump))
        self.state.mix_key(keys.agree(key.private, key.pump))
        first = e + self.state.encrypt(b"")
        head = bytes([key.slot]) + (key.public if key.slot in (keys.RECOVERY, keys.ENROLMENT) else b"")
        # The body of Hello.
        self.hello = head + mac(gate_key(key.preshared), info.nonce + head + first)[:16] + first

    def welcome(self, body):
        """From the body of Welcome: its content, the key of the requests, that of the answers; raises `NotTheirs`."""
        f = body[:32]
        self.state.mix_hash(f)
        self.state.mix_key(f)
        try:
            self.state.mix_key(keys.agree(self.e, f))
            self.state.mix_key(keys.agree(self.key.private, f))
        except ValueError as error:
            raise NotTheirs(str(error)) from None
        content = self.state.decrypt(body[32:])
        t = mac(self.state.ck, b"")
        requests = mac(t, b"\1")
        return content, requests, mac(t, requests + b"\2")
