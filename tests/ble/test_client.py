"""The independent client at native_sim: enrolled, programmed, read back, committed, delivered; keys and what they may."""

import asyncio

import phone as air
from course import Course
from programs import continuous
from thecal import keys
from thecal.messages import Command, NotAllowed, Outcome, Refused

# 23.9 mL/day of 20 mcg/mL: some 110 steps a second.
FAST = continuous("Baclofen", 20_000, 478_000, fill_nl=20_000_000)


async def test_enrol_stage_read_back_compare_commit_and_see_steps(rig):
    async with rig:
        phone = await rig.connect(mtu=64)
        await phone.commission()
        before = await phone.interrogate()
        # `program` does all of it, and looks at each answer.
        assert await phone.program(FAST) == 1
        course = Course(before, await phone.interrogate())
        while course.counted() <= 200:
            await asyncio.sleep(0.5)
            course.look(await phone.interrogate())
        course.report("programmed by the independent client")


async def test_keys_are_granted_and_a_patient_does_not_program(rig):
    async with rig:
        phone = await rig.connect()
        assert await phone.program(FAST) == 1
        patient = await phone.let_in(3, "Patient")
        listed = await phone.command(Command.ReadKeys)
        assert [(entry.slot, entry.role) for entry in listed] == [(0, "Clinician"), (3, "Patient")]
        assert listed[1].fingerprint == keys.fingerprint(patient.public)
        await phone.disconnect()
        phone = await rig.connect_bonded()
        assert (await phone.open_session(patient)).role == "Patient"
        assert (await phone.interrogate()).program == FAST
        denied = Refused.NotAllowed(because=NotAllowed.Role(role="Patient"))
        assert await phone.command(Command.Stage(FAST)) == denied


async def test_numbers_outlast_a_loss_of_power(rig):
    async with rig:
        phone = await rig.connect()
        await phone.program(FAST)
        used = phone.number
        await rig.cut_power()
        await rig.boot()
        phone = await rig.connect()
        assert phone.number == used
        message = phone.ask(Command.CancelBolus, number=used)
        assert await phone.exchange(message, phone.session.open) == Outcome.Refused(Refused.NumberUsed(last=used))


async def test_the_emergency_card_is_readable_while_armed_without_a_bond(rig):
    async with rig:
        phone = await rig.armed()
        assert not phone.connection.is_encrypted
        card = await phone.emergency_card()
        assert (card.version, card.pump, card.delivery) == (1, keys.fingerprint(rig.pack.pump), "Faulted")
        assert card.drugs == ()
        assert air.EMERGENCY_CARD in phone.characteristics
