"""A phone on any carrier (docs/protocol.md, "Requests and answers").

A carrier is a subclass with `mtu`, `read`, `write` and `next_fragment`; see web_socket.py, and tests/ble/phone.py for Bluetooth.

    await phone.open_session(key)
    await phone.program(program, lambda staged: None)
"""

import re
from dataclasses import replace

from thecal import frames, keys, messages, noise, session
from thecal.messages import Command, Outcome
from thecal.postcard import WireError
from thecal.programming import commit, digest

INFO, COMMAND, RESPONSE, DATA, STATUS_CHANGED, EMERGENCY_CARD = range(2, 8)

# How long there may be no new fragment before a message is repeated, in seconds, and how often it is said at most.
REPEAT_AFTER, ATTEMPTS = 3, 4


class OtherProtocol(Exception):
    """The pump speaks another version, or other messages."""


class NotTaken(Exception):
    """Certainly not done: the pump dropped every transmission."""


class NoAnswer(Exception):
    """All of it was sent and no answer came: it may have been done. Ask the pump."""


class Misunderstood(Exception):
    """The pump has staged something else than it was sent."""


def _numbered():
    """The commands that bear a number, from docs/roles.md."""
    rows = re.findall(r"^\| \d+ \| `(\w+)`.*\| (yes|0) \| [^|]* \|$", (messages.DOCS / "roles.md").read_text(), re.MULTILINE)
    assert [name for name, _ in rows] == Command.cases, "the commands of docs/roles.md are not those of docs/messages.md"
    return {name for name, number in rows if number == "yes"}


NUMBERED = _numbered()


class Client:
    """One connection."""

    def __init__(self):
        self.mtu = 23
        self.key = self.session = None
        self.joiner = frames.Joiner()
        self.repeat_after = REPEAT_AFTER
        # The number of the next frame, and the last command number of the key.
        self.sequence = 0
        self.number = 0

    # ---- what a carrier does ----

    async def read(self, attribute):
        """The whole value of an attribute."""
        raise NotImplementedError

    async def write(self, frame, with_response=True):
        """Writes a frame to Command."""
        raise NotImplementedError

    async def next_fragment(self, patience):
        """The next fragment of Response, told or found; TimeoutError when there is none for so many seconds."""
        raise NotImplementedError

    # ---- messages ----

    def frames(self, message):
        """The frames of a message, numbered on from the last."""
        cut = frames.cut(message, self.mtu, self.sequence)
        self.sequence = (self.sequence + len(cut)) % 256
        return cut

    async def send(self, message, with_response=True):
        """Sends a message; the numbers of its frames."""
        cut = self.frames(message)
        for frame in cut:
            await self.write(frame, with_response)
        return {frame[1] for frame in cut}

    async def message(self, patience=None, with_response=True):
        """The next whole message, its fragments acknowledged. Raises `frames.Aborted` when the pump has dropped one."""
        while True:
            fragment = await self.next_fragment(self.repeat_after if patience is None else patience)
            if not fragment:
                continue
            try:
                message = self.joiner.take(fragment)
            except frames.Aborted:
                await self.write(frames.acknowledge(fragment[1]), with_response)
                raise
            await self.write(frames.acknowledge(fragment[1]), with_response)
            if message is not None:
                return message

    async def exchange(self, message, take, with_response=True):
        """Says a message until something comes of which `take` makes more than None."""
        dropped = 0
        for _ in range(ATTEMPTS):
            sent = await self.send(message, with_response)
            while True:
                try:
                    taken = take(await self.message(with_response=with_response))
                except frames.Aborted as aborted:
                    # One of a message before says nothing of this one.
                    if aborted.at in sent:
                        dropped += 1
                        break
                except (TimeoutError, WireError):
                    break
                else:
                    if taken is not None:
                        return taken
        if dropped == ATTEMPTS:
            raise NotTaken(f"dropped {dropped} times")
        raise NoAnswer(f"said {ATTEMPTS} times")

    # ---- sessions ----

    async def info(self):
        data = await self.read(INFO)
        if data[:1] != bytes([messages.VERSION]):
            raise OtherProtocol(f"version {data[:1].hex()}")
        info = messages.decode("Info", data)
        if info.schema_hash != messages.SCHEMA_HASH:
            raise OtherProtocol(f"schema {info.schema_hash:016x}, not {messages.SCHEMA_HASH:016x}")
        return info

    async def emergency_card(self):
        return messages.decode("EmergencyCard", await self.read(EMERGENCY_CARD))

    async def open_session(self, key):
        """Opens the connection's one session; the role and the key's last number."""
        self.key = key
        handshake = noise.Handshake(key, await self.info())
        hello = session.message(session.HELLO, handshake.hello)
        body = await self.exchange(hello, lambda data: session.body_of(data, session.WELCOME))
        self.session = session.Session(*handshake.welcome(body))
        self.number = self.session.welcome.last_number
        return self.session.welcome

    # ---- requests ----

    def ask(self, command, number=None):
        """The sealed message of a command under the next counter and, where it needs one, the next number."""
        if number is None:
            number = 0
            if command.case in NUMBERED:
                number = self.number = self.number + 1
        return self.session.seal(command, number)

    async def say(self, command, with_response=True):
        """Says a command and does not wait for its answer."""
        await self.send(self.ask(command), with_response)

    async def command(self, command, with_response=True):
        """What came of a command: what the outcome is followed by when that is one value without a name, or else the outcome."""
        outcome = await self.exchange(self.ask(command), self.session.open, with_response)
        return getattr(outcome, "content", outcome)

    async def program(self, program, confirm):
        """Stages, compares, lets `confirm` see it and say the reason (None where none is needed), and commits; what came of it."""
        before = await self.command(Command.Interrogate)
        staged = await self.command(Command.Stage(program))
        if not isinstance(staged, messages.Staged):
            return staged
        # A bridge is left out where there is nothing to bridge.
        expected = program if staged.bridge else replace(program, bridge=None)
        if staged.program != expected or staged.digest != digest(expected, before.program_number + 1):
            await self.command(Command.Cancel)
            raise Misunderstood(staged)
        return await self.command(commit(staged, confirm(staged)))

    async def committed(self, before, program):
        """Whether the commit of `program`, when number `before` was in force, was done: for one whose answer did not come."""
        status = await self.command(Command.Interrogate)
        while status.committing:
            status = await self.command(Command.Interrogate)
        return status.program_number == before + 1 and status.program == program

    async def grant(self, slot, role, private, preshared):
        """Lets a key in: what came of it, and what the holder needs."""
        key = keys.Key(self.key.pump, private, preshared, slot)
        return await self.command(Command.GrantKey(messages.KeyGrant(slot, role, key.public, preshared))), key
