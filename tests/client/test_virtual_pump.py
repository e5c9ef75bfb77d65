"""A phone by this hand and the virtual pump: enrolled, programmed, read back, committed, delivered."""

import asyncio
import secrets

import pytest

from thecal import messages, session
from thecal.keys import RECOVERY_SLOT, Credentials
from thecal.messages import Command, NotAllowed, Outcome, Refused
from thecal.web_socket import AttributeRefused, WebSocketPhone

# 23.9 mL/day of 20 mcg/mL: some 110 steps a second.
FAST = messages.continuous("Baclofen", 20_000, 478_000, fill_nl=20_000_000)


async def armed(pump):
    """Waits until a magnet has been held for long enough. Not by connecting: that is what the pump counts."""
    pump.hold_magnet()
    for _ in range(40):
        if pump.simulation()["armed"]:
            return
        await asyncio.sleep(0.25)
    raise AssertionError("the magnet does not open the window")


async def enrolled(pump):
    """A clinician's key for the pump, by way of its pack."""
    await armed(pump)
    async with WebSocketPhone.at(pump.port) as phone:
        return await phone.enrol(pump.pack)


@pytest.mark.parametrize("mtu", [23, 64, 247])
async def test_enrol_stage_read_back_compare_commit_and_see_steps(pump, mtu):
    key = await enrolled(pump)
    async with WebSocketPhone.at(pump.port, mtu) as phone:
        welcome = await phone.open_session(key)
        assert welcome.role == "Clinician"
        # `program` does all of it, and looks at each answer.
        assert await phone.program(FAST) == 1
        before = await phone.interrogate()
        assert (before.program, before.delivery) == (FAST, "Running")
        await asyncio.sleep(2)
        after = await phone.interrogate()
        numerator, denominator = FAST.steps_per_second(after.step_volume_fl)
        prescribed = (after.pump_time_ms - before.pump_time_ms) * numerator / (1000 * denominator)
        assert prescribed > 100
        assert abs(after.counted_steps - before.counted_steps - prescribed) <= 1


async def test_info_follows_the_magnet_on_a_standing_connection(pump):
    async with WebSocketPhone.at(pump.port) as phone:
        before = await phone.info()
        pump.hold_magnet()
        after = before
        while not after.armed:
            await asyncio.sleep(0.1)
            after = await phone.info()
        assert (before.armed, after.nonce) == (False, before.nonce)
        # And the handshake goes on with it.
        await phone.enrol(pump.pack)
        assert await phone.ended() == 4001


async def test_without_a_key_there_is_info_and_nothing_else(pump):
    async with WebSocketPhone.at(pump.port) as phone:
        info = await phone.info()
        assert (info.version, info.armed) == (1, False)
        with pytest.raises(AttributeRefused):
            await phone.emergency_card()
        stranger = Credentials(0, secrets.token_bytes(32), secrets.token_bytes(32), pump.pack.pump)
        with pytest.raises(session.DeniedError) as error:
            await phone.open_session(stranger)
        assert error.value.denied == messages.Denied("NotAdmitted")


async def test_the_pack_opens_while_armed_and_once(pump):
    pack = pump.pack
    async with WebSocketPhone.at(pump.port) as phone:
        with pytest.raises(session.DeniedError) as error:
            await phone.open_session(pack.credentials(secrets.token_bytes(32)))
        assert error.value.denied == messages.Denied("NotArmed")
    key = await enrolled(pump)
    async with WebSocketPhone.at(pump.port) as phone:
        with pytest.raises(session.DeniedError) as error:
            await phone.open_session(pack.credentials(secrets.token_bytes(32)))
        assert error.value.denied == messages.Denied("NotAdmitted")
    # The implant card opens always, with presence.
    async with WebSocketPhone.at(pump.port) as phone:
        private = secrets.token_bytes(32)
        recovery = pack.implant_card().credentials(private)
        assert recovery.slot == RECOVERY_SLOT
        assert (await phone.open_session(recovery)).role == "Enrolling"
        assert await phone.command(Command("Interrogate")) == Refused(
            "NotAllowed", because=NotAllowed("Role", role="Enrolling")
        )
        await phone.grant(1, "Clinician", private, secrets.token_bytes(32))
    async with WebSocketPhone.at(pump.port) as phone:
        await phone.open_session(key)
        keys = await phone.command(Command("ReadKeys"))
        assert [(entry.slot, entry.role) for entry in keys.content] == [(0, "Clinician"), (1, "Clinician")]


async def test_a_patient_asks_and_does_not_program(pump):
    key = await enrolled(pump)
    async with WebSocketPhone.at(pump.port) as phone:
        await phone.open_session(key)
        patient = await phone.grant(3, "Patient", secrets.token_bytes(32), secrets.token_bytes(32))
        await phone.program(FAST)
    async with WebSocketPhone.at(pump.port) as phone:
        assert (await phone.open_session(patient)).role == "Patient"
        assert (await phone.interrogate()).program == FAST
        denied = Refused("NotAllowed", because=NotAllowed("Role", role="Patient"))
        assert await phone.command(Command("Stage", FAST)) == denied
    async with WebSocketPhone.at(pump.port) as phone:
        await phone.open_session(key)
        assert await phone.command(Command("RevokeKey", slot=3)) == messages.DONE
        assert await phone.command(Command("RevokeKey", slot=0)) == Refused("NotAllowed", because=NotAllowed("Key"))
    async with WebSocketPhone.at(pump.port) as phone:
        with pytest.raises(session.DeniedError):
            await phone.open_session(patient)


async def test_a_command_number_is_used_once_over_connections_and_resets(pump):
    key = await enrolled(pump)
    async with WebSocketPhone.at(pump.port) as phone:
        await phone.open_session(key)
        await phone.program(FAST)
        used = phone.number
    for _ in range(2):
        async with WebSocketPhone.at(pump.port) as phone:
            assert (await phone.open_session(key)).last_number == used
            message = phone.ask(Command("CancelBolus"), number=used)
            assert await phone.exchange(message, phone.answer_in) == Refused("NumberUsed", last=used)
        pump.restart()


async def test_a_message_said_again_brings_its_answer_again_and_an_old_one_nothing(pump):
    key = await enrolled(pump)
    async with WebSocketPhone.at(pump.port) as phone:
        await phone.open_session(key)
        first = phone.ask(Command("Interrogate"))
        status = await phone.exchange(first, phone.answer_in)
        assert await phone.exchange(first, phone.answer_in) == status
        await phone.interrogate()
        with pytest.raises(session.DeniedError) as error:
            await phone.exchange(first, phone.answer_in)
        assert error.value.denied == messages.Denied("Repeated", last=phone.id)
        # A counter may be left out; the session lives on.
        phone.id += 5
        await phone.interrogate()
        # What was changed on the way ends it.
        changed = bytearray(phone.ask(Command("Interrogate")))
        changed[-1] ^= 1
        with pytest.raises(session.DeniedError) as error:
            await phone.exchange(bytes(changed), phone.answer_in)
        assert error.value.denied == messages.Denied("NotSealed")
        await phone.ended()


async def test_the_emergency_card_is_read_with_presence_alone(pump):
    key = await enrolled(pump)
    async with WebSocketPhone.at(pump.port) as phone:
        await phone.open_session(key)
        await phone.program(FAST)
    await armed(pump)
    async with WebSocketPhone.at(pump.port) as phone:
        card = await phone.emergency_card()
        assert (card.version, card.delivery, card.drugs) == (1, "Running", (FAST.primary,))
        assert card.dose_ng_per_day == 478_000


async def test_the_wallet_card_brings_minimum_rate(pump):
    key = await enrolled(pump)
    async with WebSocketPhone.at(pump.port) as phone:
        await phone.open_session(key)
        await phone.program(FAST)
        wallet = await phone.grant(7, "Emergency", secrets.token_bytes(32), secrets.token_bytes(32))
    await armed(pump)
    async with WebSocketPhone.at(pump.port) as phone:
        assert (await phone.open_session(wallet)).role == "Emergency"
        assert await phone.command(Command("EmergencyMinimumRate")) == messages.DONE
        assert (await phone.interrogate()).delivery == "MinimumRate"
        refused = await phone.command(Command("ReadTherapy"))
        assert refused == Refused("NotAllowed", because=NotAllowed("Role", role="Emergency"))
        assert isinstance(refused, Refused) and not isinstance(refused, Outcome)
