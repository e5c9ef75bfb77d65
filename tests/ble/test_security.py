"""Pairing, bonds and what is readable without them: the link driver by itself, which a magnet arms (tests/drivers/link).

THECAL_NATIVE_SIM_LOCKED names the executable built from it for native_sim. Held once the magnet arms it, held again it disarms it.
"""

import asyncio
import os
import re
from pathlib import Path

import pytest
from bumble import att
from bumble.controller import Controller
from bumble.core import UUID, InvalidStateError, ProtocolError
from bumble.device import Device
from bumble.hci import Address
from bumble.host import Host
from bumble.keys import MemoryKeyStore
from bumble.pairing import PairingConfig, PairingDelegate

import phone as air

ROOT = Path(__file__).resolve().parents[2]
DRIVER = os.environ.get("THECAL_NATIVE_SIM_LOCKED")
pytestmark = pytest.mark.skipif(not DRIVER, reason="THECAL_NATIVE_SIM_LOCKED is not set (build tests/drivers/link)")

# tests/drivers/link/src/main.c
PASSKEY = 271828
CARD = bytes(number & 0xFF for number in range(300))
BONDS = 7

SECURITY, MAGNET = 6, 7
# Without delay, so that a phone finds it armed.
ARMED = "--magnet-at=0"


class Keyboard(PairingDelegate):
    """Somebody who types a passkey, and counts how often it is asked for."""

    def __init__(self, passkey):
        super().__init__(PairingDelegate.KEYBOARD_INPUT_ONLY)
        self.passkey = passkey
        self.asked = 0

    async def get_number(self):
        self.asked += 1
        return self.passkey


@pytest.fixture
def rig(tmp_path):
    return air.Rig(tmp_path, Path(DRIVER).resolve())


def type_in(rig, passkey=PASSKEY, **options):
    """Gives the phone a keyboard and a memory for keys."""
    keyboard = Keyboard(passkey)
    rig.device.pairing_config_factory = lambda _connection: PairingConfig(
        delegate=keyboard, identity_address_type=PairingConfig.AddressType.RANDOM, **options
    )
    if rig.device.keystore is None or not isinstance(rig.device.keystore, MemoryKeyStore):
        rig.device.keystore = MemoryKeyStore()
    return keyboard


async def another_phone(rig, number):
    """Takes another phone into the hand, with an address of its own."""
    controller = Controller(f"phone {number}", link=rig.link)
    device = Device(name=f"phone {number}", address=Address(f"F0:F1:F2:F3:F4:{number:02X}"), host=Host(controller, controller))
    await asyncio.wait_for(device.power_on(), air.PATIENCE)
    rig.phone_controller, rig.device = controller, device


async def said(rig, what):
    """Waits until the driver has printed something; what was found."""
    for _ in range(200):
        if found := re.search(what, rig.pump.log()):
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"never said: {what}\n{rig.pump.log()}")


def security(rig):
    """(session, level, bonded, bonds) of every event that tells of security."""
    pattern = rf"event {SECURITY}, session (\d+), MTU \d+, length \d+, security (\d), bonded (\d), held \d, bonds (\d)"
    return [tuple(int(group) for group in found) for found in re.findall(pattern, rig.pump.log())]


async def paired(rig, **options):
    """A phone that has paired with the passkey."""
    keyboard = type_in(rig, **options)
    phone = await rig.connect_only()
    await asyncio.wait_for(phone.connection.pair(), air.PATIENCE)
    assert keyboard.asked == 1
    return phone


async def refused(phone):
    with pytest.raises(ProtocolError):
        await asyncio.wait_for(phone.connection.pair(), air.PATIENCE)
    assert not phone.connection.is_encrypted


async def opened(phone):
    """What needs authenticated encryption can be read."""
    assert isinstance(await phone.read(air.RESPONSE), bytes)


async def closed(phone):
    with pytest.raises(att.ATT_Error) as error:
        await phone.read(air.RESPONSE)
    # The latter to a phone with a bond: it has the keys and only needs to use them.
    assert error.value.error_code in (att.ATT_INSUFFICIENT_AUTHENTICATION_ERROR, att.ATT_INSUFFICIENT_ENCRYPTION_ERROR)


async def gone(rig, phone):
    """Disconnects, and waits until the link thread has dealt with it."""
    if not phone.gone.done():
        await phone.disconnect()
    await rig.find()


async def test_who_has_the_passkey_pairs_while_armed_and_comes_back_without(rig):
    rig.pump.arguments = ["--magnet-at=0,20"]
    async with rig:
        await said(rig, "armed: 1")
        phone = await paired(rig)
        assert phone.connection.is_encrypted
        assert phone.connection.authenticated
        keys = (await rig.device.keystore.get_all())[0][1]
        assert keys.ltk.authenticated and len(keys.ltk.value) == 16
        await opened(phone)
        await said(rig, rf"event {SECURITY}, session 1, .* security 4, bonded 1, held \d, bonds 1")
        await gone(rig, phone)
        await said(rig, "armed: 0")
        phone = await rig.connect_only()
        await closed(phone)
        await asyncio.wait_for(phone.connection.encrypt(), air.PATIENCE)
        await opened(phone)
        await said(rig, rf"event {SECURITY}, session 2, .* security 4, bonded 1")


async def test_bonds_outlast_a_loss_of_power(rig):
    rig.pump.arguments = [ARMED]
    async with rig:
        await said(rig, "armed: 1")
        phone = await paired(rig)
        await said(rig, rf"event {SECURITY}, session 1, .* security 4, bonded 1, held \d, bonds 1")
        await phone.disconnect()
        # Subscriptions are written a second later.
        await asyncio.sleep(1.5)
        await rig.cut_power()
        rig.pump.arguments = []
        await rig.boot()
        phone = await rig.connect_only()
        await asyncio.wait_for(phone.connection.encrypt(), air.PATIENCE)
        await opened(phone)
        assert rig.pump.log().count("armed: 1") == 1


async def test_nobody_pairs_while_the_pump_is_not_armed(rig):
    async with rig:
        keyboard = type_in(rig)
        phone = await rig.connect_only()
        await refused(phone)
        assert keyboard.asked == 0
        await gone(rig, phone)
        phone = await rig.connect_only()
        await closed(phone)
        assert security(rig) == []


@pytest.mark.parametrize("what", ["another passkey", "no keyboard", "legacy pairing", "no bond", "short keys"])
async def test_while_armed_nothing_else_pairs(rig, what):
    rig.pump.arguments = [ARMED]
    async with rig:
        await said(rig, "armed: 1")
        options = {"legacy pairing": {"sc": False}, "no bond": {"bonding": False}}.get(what, {})
        keyboard = type_in(rig, passkey=PASSKEY + 1 if what == "another passkey" else PASSKEY, **options)
        if what == "no keyboard":
            keyboard.io_capability = PairingDelegate.NO_OUTPUT_NO_INPUT
        elif what == "short keys":
            keyboard.maximum_encryption_key_size = 15
        phone = await rig.connect_only()
        await refused(phone)
        assert keyboard.asked == (1 if what == "another passkey" else 0)
        await gone(rig, phone)
        phone = await rig.connect_only()
        await closed(phone)
        assert security(rig) == []


async def test_the_emergency_card_answers_everybody_while_armed_and_nobody_otherwise(rig):
    rig.pump.arguments = ["--magnet-at=8,16"]
    async with rig:
        phone = await rig.connect_only(mtu=64)
        for _ in range(2):
            with pytest.raises(att.ATT_Error) as error:
                await phone.read(air.EMERGENCY_CARD)
            assert error.value.error_code == att.ATT_READ_NOT_PERMITTED_ERROR
        await said(rig, "armed: 1")
        assert not phone.connection.is_encrypted
        assert await phone.read_whole(air.EMERGENCY_CARD) == CARD
        assert await phone.read(air.EMERGENCY_CARD) == CARD[:63]
        await said(rig, "armed: 0")
        for offset in (0, 63):
            with pytest.raises(att.ATT_Error) as error:
                await phone.read(air.EMERGENCY_CARD, offset=offset)
            assert error.value.error_code == att.ATT_READ_NOT_PERMITTED_ERROR
        assert not phone.connection.is_encrypted


async def test_the_magnet_is_told_when_it_comes_and_when_it_goes(rig):
    rig.pump.arguments = ["--magnet-at=2,8"]
    async with rig:
        await rig.find()
        for number in range(4):
            for _ in range(200):
                found = re.findall(rf"event {MAGNET}, .* held (\d)", rig.pump.log())
                if len(found) > number:
                    break
                await asyncio.sleep(0.1)
        assert found == ["1", "0", "1", "0"]


@pytest.mark.time_limit(240)
async def test_one_bond_too_many_takes_the_place_of_the_oldest(rig):
    rig.pump.arguments = [ARMED]
    async with rig:
        await said(rig, "armed: 1")
        devices = []
        for number in range(1, BONDS + 2):
            await another_phone(rig, number)
            phone = await paired(rig)
            devices.append((rig.phone_controller, rig.device))
            await said(rig, rf"event {SECURITY}, session {number}, .* security 4, bonded 1")
            await gone(rig, phone)
        assert max(bonds for *_, bonds in security(rig)) <= BONDS + 1
        # The first has lost its bond, the second has not.
        for place, good in ((0, False), (1, True), (BONDS, True)):
            rig.phone_controller, rig.device = devices[place]
            phone = await rig.connect_only()
            if good:
                await asyncio.wait_for(phone.connection.encrypt(), air.PATIENCE)
                await opened(phone)
            else:
                with pytest.raises((ProtocolError, InvalidStateError, TimeoutError)):
                    await asyncio.wait_for(phone.connection.encrypt(), 5)
            await gone(rig, phone)


@pytest.mark.time_limit(240)
async def test_a_stranger_takes_no_bond_from_anybody(rig):
    """A pairing that is refused needs a place among the keys too."""
    rig.pump.arguments = ["--magnet-at=0"]
    async with rig:
        await said(rig, "armed: 1")
        devices = []
        for number in range(1, BONDS + 1):
            await another_phone(rig, number)
            phone = await paired(rig)
            devices.append((rig.phone_controller, rig.device))
            await gone(rig, phone)
        for number in range(BONDS + 1, BONDS + 4):
            await another_phone(rig, number)
            type_in(rig, passkey=PASSKEY + 1)
            phone = await rig.connect_only()
            await refused(phone)
            await gone(rig, phone)
        for place in (0, 1, BONDS - 1):
            rig.phone_controller, rig.device = devices[place]
            phone = await rig.connect_only()
            await asyncio.wait_for(phone.connection.encrypt(), air.PATIENCE)
            await opened(phone)
            await gone(rig, phone)


async def test_only_bonded_phones_are_let_in_when_it_says_so(rig):
    rig.pump.arguments = ["--magnet-at=0,20"]
    async with rig:
        await said(rig, "armed: 1")
        phone = await paired(rig)
        await gone(rig, phone)
        friend = rig.phone_controller, rig.device
        await said(rig, "armed: 0")
        await another_phone(rig, 99)
        advertisement = await rig.find()
        connection = await asyncio.wait_for(rig.device.connect(advertisement.address), air.PATIENCE)
        lost = asyncio.get_running_loop().create_future()
        connection.on("disconnection", lambda reason: lost.done() or lost.set_result(reason))
        # This virtual controller has no accept list, so the driver turns the stranger away.
        await asyncio.wait_for(lost, air.PATIENCE)
        rig.phone_controller, rig.device = friend
        phone = await rig.connect_only()
        await asyncio.wait_for(phone.connection.encrypt(), air.PATIENCE)
        await opened(phone)


async def test_what_it_says_of_itself_to_everybody(rig):
    async with rig:
        phone = await rig.connect_only()

        async def read(service, characteristic):
            found = await phone.peer.discover_service(UUID.from_16_bits(service))
            assert len(found) == 1
            named = {one.uuid: one for one in await found[0].discover_characteristics()}
            assert characteristic is None or UUID.from_16_bits(characteristic) in named
            return named if characteristic is None else bytes(await named[UUID.from_16_bits(characteristic)].read_value())

        assert set(await read(0x180A, None)) == {UUID.from_16_bits(short) for short in (0x2A24, 0x2A29, 0x2A26)}
        assert await read(0x180A, 0x2A29) == b"Thecal"
        assert await read(0x180A, 0x2A24) == b"Thecal pump"
        # 57 %.
        assert await read(0x180F, 0x2A19) == bytes([50])
        # Service Changed, Client Supported Features, Database Hash.
        assert {UUID.from_16_bits(short) for short in (0x2A05, 0x2B29, 0x2B2A)} <= set(await read(0x1801, None))
        assert len(await read(0x1801, 0x2B2A)) == 16
