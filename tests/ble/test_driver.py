"""The link driver by itself, as it is on a board: with permissions, and with a link thread that takes its time.

THECAL_NATIVE_SIM_LOCKED names the executable built from tests/drivers/link for native_sim.
"""

import asyncio
import os
import re
from pathlib import Path

import pytest
from bumble import att
from bumble.core import ProtocolError

import phone as air

DRIVER = os.environ.get("THECAL_NATIVE_SIM_LOCKED")
pytestmark = pytest.mark.skipif(not DRIVER, reason="THECAL_NATIVE_SIM_LOCKED is not set (build tests/drivers/link)")

REFUSALS = {att.ATT_INSUFFICIENT_AUTHENTICATION_ERROR, att.ATT_INSUFFICIENT_ENCRYPTION_ERROR}
CONNECTED, DISCONNECTED, MTU, PACED = 1, 2, 3, 8


@pytest.fixture
def rig(tmp_path):
    return air.Rig(tmp_path, Path(DRIVER).resolve())


def events(rig):
    """(kind, session) of what the link thread was told, but for the MTU, which may be part of CONNECTED by then, and the pace."""
    found = re.findall(r"event (\d+), session (\d+), MTU (\d+)", rig.pump.log())
    assert all(mtu == "247" for kind, _session, mtu in found if int(kind) in (MTU, DISCONNECTED))
    return [(int(kind), int(session)) for kind, session, _mtu in found if int(kind) not in (MTU, PACED)]


async def until(rig, expected):
    for _ in range(100):
        if events(rig) == expected:
            return
        await asyncio.sleep(0.1)
    assert events(rig) == expected


async def refused(operation):
    with pytest.raises(att.ATT_Error) as error:
        await operation
    assert error.value.error_code in REFUSALS, error.value


async def test_nothing_but_info_without_authenticated_encryption(rig):
    async with rig:
        phone = await rig.connect_only()
        assert await phone.read_whole(air.INFO) == b"info1"
        await refused(phone.read(air.RESPONSE))
        await refused(phone.read(air.STATUS_CHANGED))
        await refused(phone.write(b"\x01\x00"))
        await phone.write(b"\x01\x00", with_response=False)
        for uuid in (air.RESPONSE, air.DATA, air.STATUS_CHANGED):
            descriptors = await phone.peer.discover_descriptors(phone.characteristics[uuid])
            assert descriptors
            for descriptor in descriptors:
                await refused(descriptor.write_value(b"\x02\x00", with_response=True))
        assert await phone.read_whole(air.INFO) == b"info1"
        await phone.disconnect()
        await until(rig, [(CONNECTED, 1), (DISCONNECTED, 1)])


async def test_pairing_that_authenticates_nobody_opens_nothing(rig):
    async with rig:
        phone = await rig.connect_only()
        with pytest.raises(ProtocolError):
            await asyncio.wait_for(phone.connection.pair(), air.PATIENCE)
        if phone.gone.done():
            phone = await rig.connect_only()
        await refused(phone.read(air.RESPONSE))
        await refused(phone.write(b"\x01\x00"))


async def test_the_next_phone_comes_when_the_last_has_been_dealt_with(rig):
    async with rig:
        told = []
        for session in (1, 2, 3):
            phone = await rig.connect_only()
            assert await phone.read_whole(air.INFO) == b"info%d" % session, "an Info that was for the phone before"
            # Gone before the link thread has even taken note of the connection.
            await phone.disconnect()
            told += [(CONNECTED, session), (DISCONNECTED, session)]
        await until(rig, told)


async def test_a_wake_up_ends_the_wait_or_the_next(rig):
    async with rig:
        await rig.find()  # The driver application advertises when it is through with this.
        took = dict(re.findall(r"woken ([a-z ]+): nothing after (\d+) ms", rig.pump.log()))
        assert 90 <= int(took["from an interrupt"]) <= 1000
        assert int(took["beforehand"]) <= 500
