"""A phone: it opens a session over any carrier and asks.

A carrier has `mtu`, and the coroutines `read(attribute)`, `write(frame)` and `indication()`, as `web_socket.WebSocket` has them.
"""

import asyncio
import hashlib
import re

from . import frames, messages, noise, session
from .messages import Command, Outcome

INFO, RESPONSE, STATUS_CHANGED, CARD = 2, 4, 6, 7
SILENCE_S, MOST_TRANSMISSIONS = 3.0, 4


class NotTaken(Exception):
    """Certainly not done: the pump dropped every transmission."""


class Unknown(Exception):
    """All of it was sent, and no answer came: it may have been done."""


class OtherProtocol(Exception):
    """The pump speaks another version, or other messages."""


def _roles():
    """From docs/roles.md: which commands bear a number, in the order of their numbers in docs/messages.md."""
    page = (messages.DOCS / "roles.md").read_text()
    rows = re.findall(r"^\| [a-zA-Z ]+ \|.*\| (yes|0) \| [a-z ]+ \|$", page, re.M)
    return [number == "yes" for number in rows]


_NUMBERED = _roles()


def numbered(command):
    return _NUMBERED[messages.encode("Command", command)[0]]


def digest(program, program_number):
    """What has to be committed to make this program number `program_number`."""
    return hashlib.sha256(messages.encode("Program", program) + messages.postcard.U32.encode(program_number)).digest()


class Client:
    def __init__(self, carrier, polls=False):
        self.carrier, self.polls = carrier, polls
        self.session, self.number = None, 0
        self._sequence, self._joiner = 0, frames.Joiner()

    async def info(self):
        data = await self.carrier.read(INFO)
        if data[0] != messages.VERSION:
            raise OtherProtocol(f"version {data[0]}")
        info = messages.decode("Info", data)
        if info.schema_hash != messages.SCHEMA_HASH:
            raise OtherProtocol(f"schema {info.schema_hash:016x}")
        return info

    async def card(self):
        return messages.decode("EmergencyCard", await self.carrier.read(CARD))

    async def status_changed(self):
        return int.from_bytes(await self.carrier.read(STATUS_CHANGED), "little")

    async def open(self, key):
        """Opens the connection's one session."""
        handshake = noise.Handshake(key, await self.info())
        hello = session.message(session.HELLO, handshake.hello())
        body = await self.exchange(hello, lambda data: session.parse(data, session.WELCOME))
        content, *two = handshake.welcome(body)
        welcome = messages.decode("Welcome", content)
        self.session = session.Session(welcome, *two)
        self.number = welcome.last_number
        return welcome

    async def ask(self, command):
        """The outcome of a command, which bears a number when it needs one."""
        number = 0
        if numbered(command):
            number = self.number = self.number + 1
        sealed = self.session.seal(command, number)
        try:
            return await self.exchange(sealed, self.session.open)
        except session.Denied:
            self.session = None
            raise

    async def exchange(self, message, answer_of):
        """Sends a message until there is an answer to it."""
        dropped = 0
        for _ in range(MOST_TRANSMISSIONS):
            cut = frames.cut(message, self.carrier.mtu, self._sequence)
            numbers = {frame[1] for frame in cut}
            self._sequence = (self._sequence + len(cut)) % 256
            for frame in cut:
                await self.carrier.write(frame)
            try:
                while True:
                    got = await asyncio.wait_for(self._next(), SILENCE_S)
                    if isinstance(got, frames.Abort):
                        if got.at in numbers:
                            dropped += 1
                            break
                    elif got is not None and (answer := answer_of(got)) is not None:
                        return answer
            except (TimeoutError, frames.Lost):
                self._joiner.forget()
        raise (NotTaken if dropped == MOST_TRANSMISSIONS else Unknown)(f"after {MOST_TRANSMISSIONS} transmissions")

    async def _next(self):
        """One fragment: takes and acknowledges it; gives a message or an `Abort` when it completes one."""
        fragment = await (self._poll() if self.polls else self.carrier.indication())
        if not fragment:
            return None
        got = self._joiner.take(fragment)
        await self.carrier.write(frames.acknowledge(fragment[1]))
        return got

    async def _poll(self):
        while not (fragment := await self.carrier.read(RESPONSE)):
            await asyncio.sleep(0.02)
        return fragment

    async def program(self, program, confirm=lambda staged: None):
        """Interrogates, stages, compares, lets the user confirm and commits. `confirm` gives the reason, if there is to be one."""
        before = (await self.ask(Command.Interrogate)).value.program_number
        outcome = await self.ask(Command.Stage(program))
        if not isinstance(outcome, Outcome.Staged):
            return outcome
        staged = outcome.value
        if staged.program != program or staged.digest != digest(program, before + 1):
            await self.ask(Command.Cancel)
            raise ValueError("the pump has understood something else")
        shown = messages.Shown(staged.old_day_total_ng, staged.new_day_total_ng, staged.change_tenths_percent)
        return await self.ask(Command.Commit(messages.Commit(staged.digest, shown, confirm(staged))))
