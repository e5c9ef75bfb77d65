"""A phone by this hand and the virtual pump: enrolled, programmed, read back, committed, delivered."""

import asyncio

import pytest

import bedside
import programs
from bedside import DONE
from thecal import client, frames, keys, messages, programming, session, web_socket
from thecal.messages import Command, NotAllowed, Outcome, Refused

# 23.9 mL/day of 20 mcg/mL: some 110 steps a second.
FAST = programs.continuous("Baclofen", 20_000, 478_000, fill_nl=20_000_000)
SLOWER = programs.continuous("Baclofen", 20_000, 240_000)
FAST_AGAIN = programs.continuous("Baclofen", 20_000, 478_000)


class Phone(bedside.Bedside, web_socket.WebSocket):
    """Somebody at the virtual pump: `async with Phone(port, mtu) as phone`."""


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
    async with Phone(pump.port) as phone:
        return await phone.enrol(pump.pack)


@pytest.mark.parametrize("mtu", [23, 64, 247])
async def test_enrol_stage_read_back_compare_commit_and_see_steps(pump, mtu):
    key = await enrolled(pump)
    async with Phone(pump.port, mtu) as phone:
        welcome = await phone.open_session(key)
        assert welcome.role == "Clinician"
        # `program` does all of it, and looks at each answer.
        assert await phone.program(FAST) == 1
        before = await phone.interrogate()
        assert (before.program, before.delivery) == (FAST, "Running")
        await asyncio.sleep(2)
        after = await phone.interrogate()
        numerator, denominator = programs.steps_per_second(FAST, after.step_volume_fl)
        prescribed = (after.pump_time_ms - before.pump_time_ms) * numerator / (1000 * denominator)
        assert prescribed > 100
        assert abs(after.counted_steps - before.counted_steps - prescribed) <= 1


async def test_info_follows_the_magnet_on_a_standing_connection(pump):
    async with Phone(pump.port) as phone:
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
    async with Phone(pump.port) as phone:
        info = await phone.info()
        assert (info.version, info.armed) == (1, False)
        with pytest.raises(web_socket.AttributeRefused):
            await phone.emergency_card()
        stranger = keys.Key.new(pump.pack.pump, 0)
        with pytest.raises(session.DeniedError) as error:
            await phone.open_session(stranger)
        assert error.value.denied == messages.Denied.NotAdmitted


async def test_the_pack_opens_while_armed_and_once(pump):
    pack = pump.pack
    async with Phone(pump.port) as phone:
        with pytest.raises(session.DeniedError) as error:
            await phone.open_session(pack.way_in())
        assert error.value.denied == messages.Denied.NotArmed
    key = await enrolled(pump)
    async with Phone(pump.port) as phone:
        with pytest.raises(session.DeniedError) as error:
            await phone.open_session(pack.way_in())
        assert error.value.denied == messages.Denied.NotAdmitted
    # The implant card opens always, with presence.
    async with Phone(pump.port) as phone:
        assert (await phone.open_session(pack.implant_card().way_in())).role == "Enrolling"
        assert await phone.command(Command.Interrogate) == Refused.NotAllowed(because=NotAllowed.Role(role="Enrolling")
        )
        await phone.let_in(1, "Clinician")
    async with Phone(pump.port) as phone:
        await phone.open_session(key)
        listed = await phone.command(Command.ReadKeys)
        assert [(entry.slot, entry.role) for entry in listed] == [(0, "Clinician"), (1, "Clinician")]


async def test_a_patient_asks_and_does_not_program(pump):
    key = await enrolled(pump)
    async with Phone(pump.port) as phone:
        await phone.open_session(key)
        patient = await phone.let_in(3, "Patient")
        await phone.program(FAST)
    async with Phone(pump.port) as phone:
        assert (await phone.open_session(patient)).role == "Patient"
        assert (await phone.interrogate()).program == FAST
        denied = Refused.NotAllowed(because=NotAllowed.Role(role="Patient"))
        assert await phone.command(Command.Stage(FAST)) == denied
    async with Phone(pump.port) as phone:
        await phone.open_session(key)
        assert await phone.command(Command.RevokeKey(slot=3)) == DONE
        assert await phone.command(Command.RevokeKey(slot=0)) == Refused.NotAllowed(because=NotAllowed.Key)
    async with Phone(pump.port) as phone:
        with pytest.raises(session.DeniedError):
            await phone.open_session(patient)


async def test_a_command_number_is_used_once_over_connections_and_resets(pump):
    key = await enrolled(pump)
    async with Phone(pump.port) as phone:
        await phone.open_session(key)
        await phone.program(FAST)
        used = phone.number
    for _ in range(2):
        async with Phone(pump.port) as phone:
            assert (await phone.open_session(key)).last_number == used
            message = phone.ask(Command.CancelBolus, number=used)
            assert await phone.exchange(message, phone.session.open) == Outcome.Refused(Refused.NumberUsed(last=used))
        pump.restart()


async def test_a_message_said_again_brings_its_answer_again_and_an_old_one_nothing(pump):
    key = await enrolled(pump)
    async with Phone(pump.port) as phone:
        await phone.open_session(key)
        first = phone.ask(Command.Interrogate)
        status = await phone.exchange(first, phone.session.open)
        assert await phone.exchange(first, phone.session.open) == status
        await phone.interrogate()
        with pytest.raises(session.DeniedError) as error:
            await phone.exchange(first, phone.session.open)
        assert error.value.denied == messages.Denied.Repeated(last=phone.session.counter)
        # A counter may be left out; the session lives on.
        phone.session.counter += 5
        await phone.interrogate()
        # What was changed on the way ends it.
        changed = bytearray(phone.ask(Command.Interrogate))
        changed[-1] ^= 1
        with pytest.raises(session.DeniedError) as error:
            await phone.exchange(bytes(changed), phone.session.open)
        assert error.value.denied == messages.Denied.NotSealed
        await phone.ended()


async def test_the_emergency_card_is_read_with_presence_alone(pump):
    key = await enrolled(pump)
    async with Phone(pump.port) as phone:
        await phone.open_session(key)
        await phone.program(FAST)
    await armed(pump)
    async with Phone(pump.port) as phone:
        card = await phone.emergency_card()
        assert (card.version, card.delivery, card.drugs) == (1, "Running", (FAST.primary,))
        assert card.dose_ng_per_day == 478_000


async def test_the_wallet_card_brings_minimum_rate(pump):
    key = await enrolled(pump)
    async with Phone(pump.port) as phone:
        await phone.open_session(key)
        await phone.program(FAST)
        wallet = await phone.let_in(7, "Emergency")
    await armed(pump)
    async with Phone(pump.port) as phone:
        assert (await phone.open_session(wallet)).role == "Emergency"
        assert await phone.command(Command.EmergencyMinimumRate) == DONE
        assert (await phone.interrogate()).delivery == "MinimumRate"
        refused = await phone.command(Command.ReadTherapy)
        assert refused == Refused.NotAllowed(because=NotAllowed.Role(role="Emergency"))


async def test_a_commit_whose_answer_is_lost_is_found_out_by_asking(pump):
    key = await enrolled(pump)
    async with Phone(pump.port) as phone:
        await phone.open_session(key)
        await phone.program(FAST)
        staged = await phone.stage(SLOWER)
        await phone.say(programming.commit(staged, "Titration"))
        used = phone.number
    async with Phone(pump.port) as phone:
        # It has arrived.
        assert (await phone.open_session(key)).last_number == used
        assert await phone.committed(1, SLOWER)
        # And one that was never said has not.
        staged = await phone.stage(FAST_AGAIN)
        assert not await phone.committed(2, FAST_AGAIN)


async def test_a_message_of_which_a_frame_is_missing_has_certainly_not_been_taken(pump):
    key = await enrolled(pump)
    async with Phone(pump.port, mtu=23) as phone:
        await phone.open_session(key)
        whole = phone.write

        async def lossy(frame, with_response=True):
            if frame[0] & (frames.ACKNOWLEDGE | frames.FIRST | frames.LAST):
                await whole(frame)

        phone.write = lossy
        with pytest.raises(client.NotTaken):
            await phone.command(Command.Stage(FAST))
        phone.write = whole
        assert not (await phone.interrogate()).staged
