"""Sessions (docs/protocol.md, "Sessions"): Hello, Welcome, Sealed, Denied."""

from thecal import messages, noise
from thecal.keys import ENROLMENT_SLOT, RECOVERY_SLOT
from thecal.postcard import WireError, decode, encode

HELLO, WELCOME, SEALED, DENIED = 1, 2, 3, 4


class DeniedError(Exception):
    """The pump did not open. Nobody has vouched for that word."""

    def __init__(self, denied):
        super().__init__(repr(denied))
        self.denied = denied


def prologue(info):
    return (
        b"Thecal"
        + bytes([info.version])
        + info.schema_hash.to_bytes(8, "big")
        + info.capabilities.to_bytes(4, "big")
        + info.nonce
    )


def gate_key(preshared):
    return noise.code(preshared, b"Thecal gate")


def gate(preshared, nonce, slot, public, first):
    """The code that opens the gate; `public` is empty where the slot tells the key."""
    return noise.code(gate_key(preshared), nonce, bytes([slot]), public, first)[:16]


def body_of(message, *kinds):
    """(kind, body) of a message of one of these kinds."""
    if len(message) < 2 or message[0] != messages.VERSION:
        raise WireError(f"no message of version {messages.VERSION}: {message[:2].hex()}")
    if message[1] == DENIED:
        raise DeniedError(decode(messages.Denied, message[2:]))
    if message[1] not in kinds:
        raise WireError(f"a message of kind {message[1]}")
    return message[1], message[2:]


class Session:
    """The phone's side of one session, from Hello on. Gives and takes messages without their CRC-32."""

    def __init__(self, info, credentials, ephemeral):
        self.pump = credentials.pump
        self.shake = noise.Phone(prologue(info), credentials.private, credentials.pump, credentials.preshared, ephemeral)
        slot = credentials.slot
        public = credentials.public if slot in (ENROLMENT_SLOT, RECOVERY_SLOT) else b""
        first = self.shake.message
        code = gate(credentials.preshared, info.nonce, slot, public, first)
        self.hello = bytes([messages.VERSION, HELLO, slot]) + public + code + first
        self.requests = self.answers = None
        self.welcome = None

    def take_welcome(self, message):
        _, body = body_of(message, WELCOME)
        content, self.requests, self.answers = self.shake.finish(body)
        self.welcome = decode(messages.Welcome, content)
        return self.welcome

    def seal(self, request):
        """The message that asks; no counter may be used for two different requests."""
        sealed = noise.seal(self.requests, request.id, encode(messages.Request, request))
        return bytes([messages.VERSION, SEALED]) + request.id.to_bytes(4, "little") + sealed

    def open(self, message):
        """The answer in a message of the pump's."""
        _, body = body_of(message, SEALED)
        counter = int.from_bytes(body[:4], "little")
        answer = decode(messages.Answer, noise.open_sealed(self.answers, counter, body[4:]))
        if answer.id != counter:
            raise WireError(f"answer {answer.id} under the seal of {counter}")
        return answer
