"""Messages, and what is sealed in them."""

from . import messages, noise

HELLO, WELCOME, SEALED, DENIED = 1, 2, 3, 4


class Denied(Exception):
    """The pump, or anybody on the way, said so: a hint. The session is over; what was under way is unknown."""

    def __init__(self, why):
        super().__init__(repr(why))
        self.why = why


def message(kind, body):
    return bytes([messages.VERSION, kind]) + body


def parse(data, kind):
    """The body of a message of this kind, or None for one that has no place here; raises `Denied` for a Denied."""
    if data[:2] == bytes([messages.VERSION, DENIED]):
        raise Denied(messages.decode("Denied", data[2:]))
    return data[2:] if data[:2] == bytes([messages.VERSION, kind]) else None


class Session:
    """Seals requests and opens answers. One counter is never used for two requests."""

    def __init__(self, welcome, requests_key, answers_key):
        self.role, self.last_number = welcome.role, welcome.last_number
        self._requests_key, self._answers_key = requests_key, answers_key
        self.counter = 0

    def seal(self, command, number=0):
        self.counter += 1
        content = messages.encode("Request", messages.Request(self.counter, number, command))
        head = self.counter.to_bytes(4, "little")
        return message(SEALED, head + noise.seal(self._requests_key, self.counter, b"", content))

    def open(self, data):
        """The outcome in the answer to the last request; None for anything else, which somebody between may have said."""
        body = parse(data, SEALED)
        if not body or body[:4] != self.counter.to_bytes(4, "little"):
            return None
        try:
            answer = messages.decode("Answer", noise.open_sealed(self._answers_key, self.counter, b"", body[4:]))
        except noise.Failed:
            return None
        return answer.outcome if answer.id == self.counter else None
