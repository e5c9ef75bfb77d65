"""Messages, and what is sealed in them (docs/protocol.md, "Messages", "Sealed messages")."""

from thecal import messages, noise
from thecal.postcard import WireError

HELLO, WELCOME, SEALED, DENIED = 1, 2, 3, 4


class DeniedError(Exception):
    """The pump said so, or anybody on the way: a hint."""

    def __init__(self, denied):
        super().__init__(repr(denied))
        self.denied = denied


def message(kind, body):
    return bytes([messages.VERSION, kind]) + body


def body_of(data, kind):
    """The body of a message of this kind; None for one that has no place here. Raises `DeniedError` for a Denied."""
    if data[:2] == message(DENIED, b""):
        raise DeniedError(messages.decode("Denied", data[2:]))
    return data[2:] if data[:2] == message(kind, b"") else None


class Session:
    """The phone's side of one session, with what Welcome brought. No counter is used for two requests."""

    def __init__(self, content, requests_key, answers_key):
        self.welcome = messages.decode("Welcome", content)
        self._requests_key, self._answers_key = requests_key, answers_key
        self.counter = 0

    def seal(self, command, number):
        """The message that asks; its counter is the next one."""
        self.counter += 1
        request = messages.Request(self.counter, number, command)
        sealed = noise.seal(self._requests_key, self.counter, b"", messages.encode("Request", request))
        return message(SEALED, self.counter.to_bytes(4, "little") + sealed)

    def open(self, data):
        """The outcome in the answer to the last request; None for any other message, whoever sent it."""
        body = body_of(data, SEALED)
        if body is None or body[:4] != self.counter.to_bytes(4, "little") or len(body) < 20:
            return None
        try:
            content = noise.open_sealed(self._answers_key, self.counter, b"", body[4:])
        except noise.NotTheirs:
            return None
        answer = messages.decode("Answer", content)
        if answer.id != self.counter:
            raise WireError(f"an answer to {answer.id} under the seal of {self.counter}")
        return answer.outcome
