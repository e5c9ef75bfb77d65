"""What the tests here and in tests/ble do with the client, beyond what the protocol asks of one."""

import time
from dataclasses import replace

from thecal import client, frames, keys, messages
from thecal.messages import Command, Outcome, Refused

DONE = Outcome.Done
NOT_COMMISSIONED = Refused.NotNow("NotCommissioned")

# What the technical service makes of a new pump in the tests: an implant with nominal numbers.
IMPLANT = messages.Commissioning("ProgrammableImplant", 2_500_000, 20_000_000)


class Fragments(frames.Joiner):
    """Joins fragments, and looks whether the pump makes use of the MTU and keeps to it."""

    def __init__(self, phone):
        super().__init__()
        self.phone, self.lengths = phone, {}

    def take(self, frame):
        if len(frame) > 1 and frame[1] != self.last:
            if frame[0] & frames.FIRST:
                self.lengths = {}
            self.lengths[frame[1]] = len(frame)
        message = super().take(frame)
        if message is not None:
            found = list(self.lengths.values())
            expected = [len(frame) for frame in frames.cut(message, self.phone.mtu, 0)]
            assert found == expected, f"fragments of {found} bytes at an MTU of {self.phone.mtu}"
        return message


class Bedside(client.Client):
    """Somebody with a phone who expects that all goes well."""

    def __init__(self, *carrier, **options):
        super().__init__(*carrier, **options)
        self.joiner = Fragments(self)
        self.round_trips = []

    async def command(self, command, with_response=True):
        begun = time.monotonic()
        outcome = await super().command(command, with_response)
        self.round_trips.append(time.monotonic() - begun)
        return outcome

    async def interrogate(self):
        status = await self.command(Command.Interrogate)
        assert isinstance(status, messages.Status), status
        return status

    async def therapy(self):
        therapy = await self.command(Command.ReadTherapy)
        assert isinstance(therapy, messages.TherapyStatus), therapy
        return therapy

    async def let_in(self, slot, role):
        """Grants a new key; what its holder needs."""
        outcome, key = await self.grant(slot, role, keys.random(), keys.random())
        assert outcome == DONE, outcome
        return key

    async def enrol(self, pack, slot=0):
        """Makes this phone the first clinician of a pump that is armed; the key of its next session."""
        welcome = await self.open_session(pack.way_in())
        assert welcome.role == "Enrolling", welcome
        return await self.let_in(slot, "Clinician")

    async def commission(self, as_what=IMPLANT):
        """Makes a new pump one of a kind; it stays so for ever."""
        assert await self.command(Command.Commission(as_what)) == DONE

    async def stage(self, program):
        """Stages; a pump that comes from the factory is commissioned first."""
        outcome = await self.command(Command.Stage(program))
        if outcome == NOT_COMMISSIONED:
            await self.commission()
            outcome = await self.command(Command.Stage(program))
        return outcome

    async def program(self, program, reason="Titration"):
        """Puts a program into force; its number. The reason is given where one is needed."""
        staged = await self.stage(program)
        assert isinstance(staged, messages.Staged), staged
        again = await self.command(Command.ReadBack)
        assert replace(again, expires_in_ms=staged.expires_in_ms) == staged
        committed = await super().program(program, lambda staged: reason if staged.needs_reason else None)
        assert isinstance(committed, Outcome.Committed), committed
        return committed.program_number
