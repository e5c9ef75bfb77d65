"""Attackers over virtual Bluetooth: a sample of what src/simulator/tests/adversary.rs does to the virtual pump, here to the firmware with its driver and its stack.

Each begins with a pump in service whose presence window has gone with a reset, and ends with its owner: the pump has the program, the keys and the
numbers of before, and has made the steps that were prescribed, within one.
"""

import asyncio
import contextlib
import time

import pytest
from bumble import att
from bumble.controller import Controller
from bumble.core import ProtocolError
from bumble.device import Device
from bumble.hci import Address, HCI_Number_Of_Completed_Packets_Event
from bumble.host import Host

import phone as air
from course import Course
from programs import continuous
from thecal import frames, messages, noise, session
from thecal.messages import Command, NotAllowed, Outcome, Refused

# 23.9 mL/day of 20 mcg/mL: some 110 steps a second.
FAST = continuous("Baclofen", 20_000, 478_000, fill_nl=20_000_000)

REQUESTS = messages.DOCS.parent / "src/protocol/vectors/v1/requests.txt"


class Owner:
    """The clinician of a pump that is attacked."""

    def __init__(self, rig):
        self.rig = rig
        self.course = self.patient = self.before = None
        # What this phone wrote while it programmed the pump.
        self.said = []

    async def begin(self):
        phone = await self.rig.connect()
        self.patient = await phone.let_in(3, "Patient")
        await phone.commission()
        # Whoever held a magnet has gone, and no window outlasts a reset.
        await self.rig.cut_power()
        await self.rig.boot()
        phone = await self.rig.connect_bonded()
        assert not (await phone.info()).armed
        with recorded(phone, self.said):
            await phone.open_session(self.rig.key)
            before = await phone.interrogate()
            await phone.program(FAST)
            self.course = Course(before, await phone.interrogate())
        self.before = await self.state(phone)
        await self.leave(phone)

    @staticmethod
    async def state(phone):
        status = await phone.interrogate()
        therapy = await phone.therapy()
        return (
            (status.program_number, status.program, status.staged, status.committing, status.delivery),
            therapy.last_number,
            await phone.command(Command.ReadKeys),
        )

    async def leave(self, phone):
        await phone.disconnect()
        await asyncio.wait_for(phone.gone, air.PATIENCE)

    async def end(self):
        """Comes back and finds everything as it was."""
        phone = await self.session()
        assert await self.state(phone) == self.before
        self.course.look(await phone.interrogate())
        self.course.report("attacked")
        await self.leave(phone)

    async def session(self):
        phone = await self.rig.connect_bonded()
        await phone.open_session(self.rig.key)
        return phone


@contextlib.contextmanager
def recorded(phone, said):
    """Notes down every frame that the phone writes."""
    write = phone.write

    async def tapped(frame, with_response=True):
        said.append(bytes(frame))
        await write(frame, with_response)

    phone.write = tapped
    yield
    phone.write = write


@contextlib.asynccontextmanager
async def attacked(rig):
    async with rig:
        owner = Owner(rig)
        await owner.begin()
        yield owner
        await owner.end()


@contextlib.asynccontextmanager
async def stranger(rig):
    """Somebody else's phone, without a bond."""
    owners = rig.phone_controller, rig.device
    controller = Controller("stranger", link=rig.link)
    device = Device(name="stranger", address=Address("F0:F1:F2:F3:F4:66"), host=Host(controller, controller))
    await asyncio.wait_for(device.power_on(), air.PATIENCE)
    rig.phone_controller, rig.device = controller, device
    try:
        yield
    finally:
        rig.phone_controller, rig.device = owners


async def denied(phone, message):
    """What the pump denies when this is said; None when it says nothing of it."""
    await phone.send(message)
    try:
        while True:
            session.body_of(await phone.message(patience=3), session.DENIED)
    except session.DeniedError as error:
        return error.denied
    except (TimeoutError, frames.Aborted, att.ATT_Error):
        return None


async def hung_up(phone):
    """The pump ends the connection by itself."""
    await asyncio.wait_for(phone.gone, air.PATIENCE)


async def said(rig, what):
    """Waits until the pump has printed it: its log comes late."""
    deadline = time.monotonic() + air.PATIENCE
    while what not in rig.pump.log_of_this_boot():
        assert time.monotonic() < deadline, rig.pump.tail()
        await asyncio.sleep(0.1)


async def hello(phone, key, info=None):
    return session.message(session.HELLO, noise.Handshake(key, info or await phone.info()).hello)


async def test_a_stranger_reads_info_and_nothing_else(rig):
    async with attacked(rig), stranger(rig):
        phone = await rig.connect_only()
        info = await phone.info()
        assert (info.version, info.armed) == (1, False)
        for uuid in (air.RESPONSE, air.STATUS_CHANGED, air.EMERGENCY_CARD):
            with pytest.raises(att.ATT_Error):
                await phone.read(uuid)
        for frame in phone.frames(await hello(phone, rig.key, info)):
            with pytest.raises(att.ATT_Error) as error:
                await phone.write(frame)
            assert error.value.error_code == att.ATT_INSUFFICIENT_AUTHENTICATION_ERROR
            # One without a response is not even refused; it is dropped.
            await phone.write(frame, with_response=False)
        if not phone.gone.done():
            with pytest.raises(ProtocolError):
                await asyncio.wait_for(phone.connection.pair(), air.PATIENCE)
        await hung_up(phone)
        await said(rig, "none was opened in time")


async def test_a_flood_of_strangers_does_not_keep_the_owner_out(rig):
    async with attacked(rig) as owner:
        async with stranger(rig):
            # The first is held until the pump ends it. While it rests then, it shows itself to bonded phones alone; these virtual radios do
            # not filter, so that whoever comes all the same is turned away by the firmware.
            for _ in range(5):
                await hung_up(air.Phone(await rig.connection(), 23))
        phone = await owner.session()
        assert (await phone.interrogate()).program == FAST
        await owner.leave(phone)


async def test_what_was_recorded_says_nothing_again(rig):
    async with attacked(rig) as owner:
        assert len(owner.said) > 5
        phone = await rig.connect_bonded()
        for frame in owner.said:
            if phone.gone.done():
                break
            with contextlib.suppress(att.ATT_Error, asyncio.CancelledError):
                await phone.write(frame)
        await hung_up(phone)
        # And in the middle of the owner's session.
        phone = await owner.session()
        sealed = [frame for frame in owner.said if frame[0] & frames.FIRST and frame[4:6] == bytes([1, session.SEALED])]
        whole = next(frame for frame in sealed if frame[0] & frames.LAST)
        assert await denied(phone, whole[4:-4]) == messages.Denied.NotSealed
        await hung_up(phone)


@pytest.mark.parametrize("what", ["byte of the gate", "byte of the handshake", "end", "slot", "version", "nonce"])
async def test_a_changed_hello_lets_nobody_in(rig, what):
    async with attacked(rig):
        phone = await rig.connect_bonded()
        info = await phone.info()
        if what == "nonce":
            info = messages.Info(info.version, info.schema_hash, info.capabilities, bytes(8), info.lifecycle, info.armed)
        message = bytearray(await hello(phone, rig.key, info))
        expected = messages.Denied.NotAdmitted
        match what:
            case "byte of the gate":
                message[5] ^= 1
            case "byte of the handshake":
                message[-1] ^= 0x80
            case "end":
                del message[-1]
                expected = messages.Denied.Malformed
            case "slot":
                message[2] = 3
            case "version":
                message[0] = 0
                expected = messages.Denied.UnknownVersion(version=0, known=1)
        assert await denied(phone, bytes(message)) == expected
        await hung_up(phone)


async def test_a_changed_request_ends_the_session(rig):
    async with attacked(rig) as owner:
        phone = await owner.session()
        message = bytearray(phone.ask(Command.EmergencyMinimumRate))
        message[-1] ^= 1
        assert await denied(phone, bytes(message)) == messages.Denied.NotSealed
        await hung_up(phone)


async def test_requests_in_another_order(rig):
    async with attacked(rig) as owner:
        phone = await owner.session()
        earlier = phone.ask(Command.EmergencyMinimumRate)
        status = await phone.interrogate()
        assert status.program == FAST
        assert await denied(phone, earlier) == messages.Denied.Repeated(last=phone.session.counter)
        assert (await phone.interrogate()).delivery == status.delivery
        await owner.leave(phone)


async def test_one_sessions_words_in_another(rig):
    async with attacked(rig) as owner:
        phone = await owner.session()
        message = phone.ask(Command.EmergencyMinimumRate)
        await owner.leave(phone)
        for key in (rig.key, owner.patient):
            phone = await rig.connect_bonded()
            await phone.open_session(key)
            assert await denied(phone, message) == messages.Denied.NotSealed
            await hung_up(phone)


async def test_a_patient_gives_no_other_command(rig):
    """Every command there is, those of the vectors, by a patient's key."""
    may = {"Interrogate", "SetZone", "CancelBolus", "ReadTherapy", "DiaryEntry", "PatientBolus"}
    async with attacked(rig) as owner:
        phone = await rig.connect_bonded()
        await phone.open_session(owner.patient)
        refused = set()
        for request in every_request():
            if request.command.case not in may:
                outcome = await phone.exchange(phone.ask(request.command, number=0), phone.session.open)
                assert outcome == Outcome.Refused(Refused.NotAllowed(because=NotAllowed.Role(role="Patient"))), request
                refused.add(request.command.case)
        assert refused == set(Command.cases) - may
        await owner.leave(phone)


def every_request():
    for line in REQUESTS.read_text().splitlines():
        if line and not line.startswith("#"):
            yield messages.decode("Request", bytes.fromhex(line.split()[-1]))


async def test_a_slow_sender_is_turned_out(rig):
    async with attacked(rig):
        phone = await rig.connect_bonded()
        frame, *_ = frames.cut(await hello(phone, rig.key), 23, 0)
        await phone.write(frame)
        await hung_up(phone)
        await said(rig, "none was opened in time")


async def test_a_phone_that_acknowledges_nothing_does_not_hold_the_link(rig):
    """It keeps all of the host's buffers; the link thread looks at the magnet all the same, and the answer comes when there are buffers again."""
    rig.pump.arguments = ["--magnet-at=" + ",".join(str(second) for second in range(0, 90, 6))]
    async with rig:
        phone = await rig.connect()
        asked = phone.frames(phone.ask(Command.Interrogate))
        assert len(asked) == 1
        read = bytes(att.ATT_Read_Request(attribute_handle=phone.characteristics[air.INFO].handle))
        with unacknowledged(rig):
            # Four answers take the host's packets and buffers (three each, a packet of 27 bytes being half an Info); no more of them, because the
            # thread that receives would wait for a buffer, too, and the pump not read what follows.
            for _ in range(4):
                phone.client.send_gatt_pdu(read)
            await phone.write(asked[0], with_response=False)
            for _ in range(8):
                phone.client.send_gatt_pdu(read)
            held = rig.pump.log().count("link: magnet held")
            deadline = time.monotonic() + 40
            while rig.pump.log().count("link: magnet held") < held + 2:
                assert time.monotonic() < deadline, f"the link thread is held:\n{rig.pump.tail()}"
                await asyncio.sleep(0.2)
            assert phone.indications.empty(), "there were buffers"
        outcome = None
        while outcome is None:
            outcome = phone.session.open(await phone.message(patience=air.PATIENCE))
        assert isinstance(outcome.content, messages.Status)


@contextlib.contextmanager
def unacknowledged(rig):
    """Nothing that the pump sends is acknowledged until this ends."""
    controller, kept = rig.pump_controller, []
    send = controller.send_hci_packet

    def keep(packet):
        if isinstance(packet, HCI_Number_Of_Completed_Packets_Event):
            kept.append(packet)
        else:
            send(packet)

    controller.send_hci_packet = keep
    try:
        yield
    finally:
        controller.send_hci_packet = send
        for packet in kept:
            send(packet)
