"""A phone on any carrier (docs/protocol.md, "Requests and answers").

A carrier is a subclass with `mtu`, `read`, `write` and `next_fragment`; see web_socket.py, and tests/ble/phone.py for Bluetooth.

    await phone.enrol(pack, private, preshared)                    # a new pump, while armed; then connect again
    await phone.open_session(credentials)
    await phone.program(messages.continuous("Baclofen", 2_000_000, 250_000, fill_nl=20_000_000))
"""

import secrets
import time

from thecal import frames, messages
from thecal.keys import Credentials
from thecal.messages import Command, Outcome
from thecal.postcard import decode
from thecal.session import Session

INFO, COMMAND, RESPONSE, DATA, STATUS_CHANGED, EMERGENCY_CARD = range(2, 8)

# How long the pump may be silent before a message is repeated, in seconds, and how often it is said at most.
REPEAT_AFTER, ATTEMPTS = 3, 4

# What the technical service makes of a new pump in the tests: an implant with nominal numbers.
IMPLANT = messages.Commissioning("ProgrammableImplant", step_volume_fl=2_500_000, capacity_nl=20_000_000)


class NoAnswer(Exception):
    """Nobody here can know whether what was asked has been done: ask the pump."""


class Client:
    """One connection."""

    def __init__(self):
        self.mtu = 23
        self.session = None
        self.collector = frames.Collector()
        self.sequence = 0
        # The last request's id, and the last command number of the key.
        self.id = 0
        self.number = 0
        self.round_trips = []
        self.repeat_after = REPEAT_AFTER

    # ---- what a carrier does ----

    async def read(self, attribute):
        """The whole value of an attribute."""
        raise NotImplementedError

    async def write(self, frame, with_response=True):
        """Writes a frame to Command."""
        raise NotImplementedError

    async def next_fragment(self, patience):
        """The next new fragment of Response, told or found; TimeoutError when there is none for so many seconds."""
        raise NotImplementedError

    # ---- messages ----

    def frames(self, message):
        """The frames of a message without its CRC-32, numbered on from the last."""
        cut = frames.fragment(frames.with_check(message), self.mtu, self.sequence)
        self.sequence = self.sequence + len(cut) & 0xFF
        return cut

    async def send(self, message, with_response=True):
        for frame in self.frames(message):
            await self.write(frame, with_response)

    async def message(self, patience=None, with_response=True):
        """The next whole message, its fragments acknowledged; frames.Aborted when the pump dropped ours."""
        lengths = []
        while True:
            fragment = await self.next_fragment(self.repeat_after if patience is None else patience)
            if not fragment:
                continue
            if fragment[0] & frames.FIRST:
                lengths = []
            try:
                acknowledgement, message = self.collector.take(fragment)
            except frames.Aborted:
                await self.write(frames.acknowledge(fragment[1]), with_response)
                raise
            if acknowledgement:
                await self.write(acknowledgement, with_response)
                if not lengths or fragment[1] != lengths[-1][0]:
                    lengths.append((fragment[1], len(fragment)))
            if message is not None:
                # The same message cut by this hand: the pump makes use of the MTU, and keeps to it.
                expected = [len(frame) for frame in frames.fragment(frames.with_check(message), self.mtu, 0)]
                found = [length for _, length in lengths]
                assert found == expected, f"fragments of {found} bytes at an MTU of {self.mtu}"
                return message

    async def exchange(self, message, take, with_response=True):
        """Sends a message until something answers it for which `take` is not None."""
        for _ in range(ATTEMPTS):
            await self.send(message, with_response)
            try:
                while True:
                    taken = take(await self.message(with_response=with_response))
                    if taken is not None:
                        return taken
            except (TimeoutError, frames.Aborted):
                continue
        raise NoAnswer(f"not answered, {ATTEMPTS} times")

    # ---- sessions ----

    async def info(self):
        return decode(messages.Info, await self.read(INFO))

    async def open_session(self, credentials):
        """Opens a session; the role and the key's last number."""
        info = await self.info()
        assert info.version == messages.VERSION, f"the pump speaks version {info.version}"
        self.session = Session(info, credentials, secrets.token_bytes(32))
        welcome = await self.exchange(self.session.hello, self.session.take_welcome)
        self.number = welcome.last_number
        return welcome

    async def emergency_card(self):
        return decode(messages.EmergencyCard, await self.read(EMERGENCY_CARD))

    # ---- requests ----

    def ask(self, command, number=None):
        """The sealed message of a command under the next id and, where it needs one, the next number."""
        self.id += 1
        if number is None:
            number = 0
            if command.is_numbered:
                self.number += 1
                number = self.number
        return self.session.seal(messages.Request(self.id, number, command))

    async def say(self, command, with_response=True):
        """Says a command and does not wait for its answer."""
        await self.send(self.ask(command), with_response)

    def answer_in(self, message):
        """The outcome in a message that answers the last request; None when it is another's."""
        answer = self.session.open(message)
        return answer.outcome.value if answer.id == self.id else None

    async def command(self, command, with_response=True):
        """Says a command and returns what came of it."""
        begun = time.monotonic()
        outcome = await self.exchange(self.ask(command), self.answer_in, with_response)
        self.round_trips.append(time.monotonic() - begun)
        return outcome

    async def interrogate(self):
        status = await self.command(Command("Interrogate"))
        assert isinstance(status, messages.Status), status
        return status

    async def therapy(self):
        therapy = await self.command(Command("ReadTherapy"))
        assert isinstance(therapy, messages.TherapyStatus), therapy
        return therapy

    async def grant(self, slot, role, private, preshared):
        """Lets a key in; what its holder needs."""
        credentials = Credentials(slot, private, preshared, self.session.pump)
        done = await self.command(
            Command("GrantKey", messages.KeyGrant(slot, role, credentials.public, preshared))
        )
        assert done == messages.DONE, done
        return credentials

    async def enrol(self, pack, slot=0):
        """Makes this phone the first clinician of a pump that is armed, with the text of its pack; what opens its next session."""
        private, preshared = secrets.token_bytes(32), secrets.token_bytes(32)
        welcome = await self.open_session(pack.credentials(private))
        assert welcome.role == "Enrolling", welcome
        return await self.grant(slot, "Clinician", private, preshared)

    async def commission(self, as_what=IMPLANT):
        """Makes a new pump one of a kind; it stays so for ever."""
        assert await self.command(Command("Commission", as_what)) == messages.DONE

    async def stage(self, program):
        """Stages; a pump that comes from the factory is commissioned first."""
        outcome = await self.command(Command("Stage", program))
        if outcome == messages.NOT_COMMISSIONED:
            await self.commission()
            outcome = await self.command(Command("Stage", program))
        return outcome

    async def program(self, program, reason="Titration"):
        """Stages, compares with what the pump reads back, commits; the new program's number. The reason is given where one is needed."""
        before = await self.interrogate()
        staged = await self.stage(program)
        assert isinstance(staged, messages.Staged), staged
        again = await self.command(Command("ReadBack"))
        assert (again.program, again.digest) == (staged.program, staged.digest)
        assert staged.program == program
        assert staged.digest == program.digest(before.program_number + 1), "the digest is not that of the program shown"
        committed = await self.command(staged.commit(reason if staged.needs_reason else None))
        assert committed == Outcome("Committed", program_number=before.program_number + 1), committed
        return committed.program_number
