"""The GATT service as phones meet it: what it advertises, what each attribute does, and what it does with nonsense."""

import asyncio
import random
import re
import time
from pathlib import Path

import pytest
from bumble import att
from bumble.core import UUID, AdvertisingData
from bumble.gatt import Characteristic

import phone as air
import programs
from test_delivery import BACLOFEN, FAST, SLOWER, start, watch
from thecal import frames, messages, programming
from thecal.messages import Command, Outcome

ROOT = Path(__file__).resolve().parents[2]
MTUS = [23, 64, 185, 247]


def identifiers_of_rust():
    """Name to UUID, as src/protocol/src/uuid.rs has them."""
    source = (ROOT / "src/protocol/src/uuid.rs").read_text()
    base = int(re.search(r"const BASE: u128 = (0x[0-9a-f_]+);", source)[1].replace("_", ""), 16)
    shift = int(re.search(r"const SHIFT: u32 = (\d+);", source)[1])
    found = re.findall(r"pub const (\w+): u128 = number\((0x[0-9a-f]+)\);", source)
    assert len(found) == 7
    return {name: UUID.from_bytes((base | int(short, 16) << shift).to_bytes(16, "little")) for name, short in found}


async def test_identifiers_and_properties_are_those_of_the_protocol(rig):
    rust = identifiers_of_rust()
    properties = Characteristic.Properties
    expected = {
        rust["INFO"]: properties.READ,
        rust["COMMAND"]: properties.WRITE | properties.WRITE_WITHOUT_RESPONSE,
        rust["RESPONSE"]: properties.READ | properties.INDICATE,
        rust["DATA"]: properties.NOTIFY,
        rust["STATUS_CHANGED"]: properties.READ | properties.NOTIFY,
        rust["EMERGENCY_CARD"]: properties.READ,
    }
    async with rig:
        advertisement = await rig.find()
        phone = await rig.connect()
        services = await phone.peer.discover_services()
        ours = [service for service in services if service.uuid == rust["SERVICE"]]
        assert len(ours) == 1, f"services: {[str(service.uuid) for service in services]}"
        found = {one.uuid: one.properties for one in await ours[0].discover_characteristics()}
        assert found == expected
        # In the advertisement itself, not in a scan response that a phone has to ask for.
        assert advertisement.data.get(AdvertisingData.Type.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS) == [rust["SERVICE"]]


async def test_the_advertisement_says_nothing_about_which_pump_it_is(rig):
    async with rig:
        first = await rig.find()
        kinds = {kind for kind, _ in first.data.ad_structures}
        types = AdvertisingData.Type
        assert kinds == {types.FLAGS, types.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, types.COMPLETE_LOCAL_NAME}
        assert first.data.get(types.COMPLETE_LOCAL_NAME) == "Thecal"
        assert first.is_connectable
        assert first.address.is_resolvable, f"{first.address} can be followed from day to day"


async def test_strangers_scan_requests_are_answered_in_the_presence_window_alone(rig):
    """What the controller is told: this virtual one answers everybody."""
    everybody, bonded_scan = 0, 1
    rig.pump.arguments = ["--magnet-at=1000"]
    async with rig:
        await rig.find()
        assert rig.pump_controller.le_legacy_advertiser.advertising_filter_policy == bonded_scan
        await rig.cut_power()
        rig.pump.arguments = ["--magnet-at=0"]
        await rig.boot()
        await rig.find()
        deadline = time.monotonic() + air.PATIENCE
        while rig.pump_controller.le_legacy_advertiser.advertising_filter_policy != everybody:
            assert time.monotonic() < deadline, rig.pump.tail()
            await asyncio.sleep(0.1)


async def test_one_phone_at_a_time_and_then_the_next(rig):
    async with rig:
        seen = []
        for _ in range(3):
            phone = await rig.connect()
            async with rig.scan(seen.append):
                await asyncio.sleep(0.5)
            assert seen == [], "it advertises while it is connected"
            assert (await phone.interrogate()).boot == 1
            await phone.disconnect()
            # Ready for the next: `connect` finds it advertising again.


async def test_info_is_whole_and_its_nonce_is_of_one_connection(rig):
    async with rig:
        nonces = set()
        for mtu in (23, 247, 23):
            phone = await rig.connect(mtu=mtu)
            info = await phone.info()
            assert (await phone.info()) == info
            assert info.version == messages.VERSION
            source = (ROOT / "src/protocol/src/lib.rs").read_text()
            assert info.schema_hash == int(re.search(r"SCHEMA_HASH: u64 = (0x[0-9a-f_]+);", source)[1].replace("_", ""), 16)
            # Virtual.
            assert info.capabilities == 1
            assert info.lifecycle != "EndOfService"
            nonces.add(info.nonce)
            await phone.disconnect()
        assert len(nonces) == 3, "a nonce was used twice"


@pytest.mark.parametrize("mtu", MTUS)
@pytest.mark.parametrize("polling", [False, True], ids=["indications", "polling"])
async def test_a_program_at_every_mtu(rig, mtu, polling):
    async with rig:
        phone = await rig.connect(mtu=mtu, polling=polling)
        assert await phone.program(BACLOFEN) == 1
        assert (await phone.interrogate()).program == BACLOFEN


async def test_writes_without_response_do_the_same(rig):
    async with rig:
        phone = await rig.connect(mtu=23)
        status = await phone.command(Command.Interrogate, with_response=False)
        assert status.boot == 1
        await phone.commission()
        staged = await phone.command(Command.Stage(BACLOFEN), with_response=False)
        assert staged.program == BACLOFEN


async def test_response_can_be_read_again_until_it_is_acknowledged(rig):
    async with rig:
        phone = await rig.connect(mtu=23)
        assert await phone.read_whole(air.RESPONSE) == b""
        await phone.say(Command.Interrogate)
        fragments = []
        while True:
            indicated = await phone.next_fragment()
            assert len(indicated) <= 20
            for _ in range(3):
                assert await phone.read_whole(air.RESPONSE) == indicated, "a read is not what was indicated"
            # Somebody else's acknowledgement moves nothing.
            await phone.write(frames.acknowledge(indicated[1] + 7 & 0xFF))
            assert await phone.read_whole(air.RESPONSE) == indicated
            message = phone.joiner.take(indicated)
            await phone.write(frames.acknowledge(indicated[1]))
            fragments.append(indicated)
            if message is not None:
                break
        assert phone.session.open(message).content.boot == 1
        assert len(fragments) > 2
        await asyncio.sleep(0.2)
        assert await phone.read_whole(air.RESPONSE) == b"", "nothing is left when all has been acknowledged"


async def test_a_read_from_an_offset_goes_on_with_the_value_that_was_begun(rig):
    async with rig:
        phone = await rig.connect(mtu=64)
        await phone.commission()
        await phone.say(Command.Stage(BACLOFEN))
        first = await phone.next_fragment()
        assert await phone.read(air.RESPONSE) == first
        # Another answer comes in the midst of it.
        await phone.say(Command.Interrogate)
        second = await phone.next_fragment()
        assert first[20:] != second[20:]
        assert await phone.read(air.RESPONSE, offset=20) == first[20:], "a long read has mixed two values"
        assert await phone.read(air.RESPONSE) == second
        assert await phone.read(air.RESPONSE, offset=20) == second[20:]
        with pytest.raises(att.ATT_Error) as error:
            await phone.read(air.RESPONSE, offset=len(second) + 1)
        assert error.value.error_code == att.ATT_INVALID_OFFSET_ERROR


async def test_the_answer_to_one_phone_is_not_there_for_the_next(rig):
    async with rig:
        phone = await rig.connect()
        await phone.say(Command.Interrogate)
        assert await phone.next_fragment() == await phone.read_whole(air.RESPONSE) != b""
        await phone.disconnect()
        phone = await rig.connect()
        assert await phone.read_whole(air.RESPONSE) == b""


async def test_status_changed_is_latched_notified_and_read(rig):
    async with rig:
        phone = await rig.connect()
        await phone.subscribe_status_changed()
        await phone.program(BACLOFEN)
        expected = (await phone.interrogate()).status_changed
        delivery, program = 1 << 0, 1 << 5
        assert expected & delivery and expected & program
        flags = 0
        while flags != expected:
            flags = int.from_bytes(await asyncio.wait_for(phone.flags.get(), air.PATIENCE), "little")
        assert await phone.read_whole(air.STATUS_CHANGED) == expected.to_bytes(2, "little")
        await phone.disconnect()

        phone = await rig.connect()
        assert await phone.read_whole(air.STATUS_CHANGED) == expected.to_bytes(2, "little"), "a phone that was away learns"
        await phone.subscribe_status_changed()
        reset = await phone.command(Command.ResetStatusChanged(mask=program))
        assert reset == Outcome.StatusChangedReset(flags=expected & ~program)
        flags = await asyncio.wait_for(phone.flags.get(), air.PATIENCE)
        assert int.from_bytes(flags, "little") == expected & ~program


async def test_a_message_left_in_the_middle_is_nothing(rig):
    async with rig:
        phone = await rig.connect(mtu=23)
        course = await start(phone, FAST)
        staged = await phone.stage(programs.stopped(FAST))
        *begun, _last = phone.frames(phone.ask(programming.commit(staged)))
        for frame in begun:
            await phone.write(frame)
        await phone.disconnect()
        phone = await rig.connect(mtu=23)
        status = await phone.interrogate()
        assert (status.program_number, status.program, status.staged) == (1, FAST, False)
        course.look(status)
        await watch(phone, course, 1)
        # Nothing of the first half is left to be completed by the next phone.
        assert isinstance(await phone.stage(SLOWER), messages.Staged)
        course.report("message left in the middle")


async def test_a_missing_frame_is_told_at_once(rig):
    async with rig:
        phone = await rig.connect(mtu=23)
        commit = Command.Commit(messages.Commit(bytes(32), messages.Shown(None, 0, None)))
        first, _lost, *_, last = phone.frames(phone.ask(commit))
        await phone.write(first)
        await phone.write(last)
        with pytest.raises(frames.Aborted) as aborted:
            await phone.message()
        assert (aborted.value.reason, aborted.value.at) == (frames.MISSING, last[1])
        assert (await phone.interrogate()).boot == 1


async def test_garbage_is_ignored_and_delivery_undisturbed(rig):
    """Requirement: AC-6"""
    dice = random.Random(2)
    async with rig:
        phone = await rig.connect(mtu=247)
        course = await start(phone, FAST)
        for number in range(300):
            length = dice.choice((0, 1, 2, 3, 4, 5, 20, 100, 243, 244))
            garbage = bytearray(dice.randbytes(length))
            if length > 4 and number % 3 == 0:
                # A first frame by its looks.
                garbage[:4] = bytes((dice.choice((1, 3)), dice.randrange(256))) + dice.randrange(2000).to_bytes(2, "little")
            await phone.write(bytes(garbage), with_response=number % 2 == 0)
            if number % 50 == 49:
                rig.pump.check()
        # Whatever stood in Response because of it, a new connection begins anew.
        await phone.disconnect()
        phone = await rig.connect(mtu=247)
        course.look(await phone.interrogate())
        status = await watch(phone, course, 2)
        assert (status.boot, status.program_number, status.program, status.faults) == (1, 1, FAST, 0)
        course.report("under garbage")


async def test_frames_that_nobody_takes_in_time_are_told_as_lost(rig):
    """The pump's processor is halted while frames arrive, so that more wait than there is room for."""
    async with rig:
        phone = await rig.connect(mtu=247)
        course = await start(phone, FAST)
        command = phone.characteristics[air.COMMAND]
        rig.pump.halt()
        try:
            # 2,048 bytes are room for eight of these; none is a frame of a message, so each is dropped by itself.
            for _ in range(20):
                await command.write_value(b"\x80" + bytes(243), with_response=False)
            waiting = asyncio.ensure_future(phone.write(b"\x80", with_response=True))
            # As long as a slow machine needs to hand all of them over.
            await asyncio.sleep(1)
        finally:
            rig.pump.go_on()
        with pytest.raises(att.ATT_Error) as error:
            await waiting
        assert error.value.error_code == att.ATT_INSUFFICIENT_RESOURCES_ERROR
        status = await phone.interrogate()
        assert (status.boot, status.program_number) == (1, 1)
        for _ in range(50):
            if "frames lost, session" in rig.pump.log():
                break
            await asyncio.sleep(0.1)
        assert "frames lost, session" in rig.pump.log(), "the link thread was not told that frames are missing"
        assert rig.pump.log().count("frames lost") == 1
        course.look(await phone.interrogate())
        await watch(phone, course, 2)
        course.report("processor halted, frames lost")
