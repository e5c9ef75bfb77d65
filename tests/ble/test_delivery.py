"""From the phone to the motor step: programs over the air, steps counted by the encoder."""

import asyncio

import pytest

import wire
from course import Course

# 0.125 mL/day, a step every 1.728 s.
BACLOFEN = wire.Program("baclofen", 2_000_000, fill_nl=20_000_000, dose_ng=250_000)
# 23.9 mL/day of 50 mcg/mL, 110.6 steps a second: many in a short time, and never a whole number of milliseconds apart.
FAST = wire.Program("baclofen", 50_000, fill_nl=20_000_000, dose_ng=1_195_000)


async def watch(phone, course, seconds, every=1.0):
    """Looks at the counts for that long."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    status = None
    while loop.time() < end:
        await asyncio.sleep(every)
        status = await phone.interrogate()
        course.look(status)
    return status


async def start(phone, program):
    before = await phone.interrogate()
    number = await phone.program(program)
    after = await phone.interrogate()
    assert (after.program, after.program_number, after.delivery) == (program, number, "running")
    return Course(before, after)


async def test_a_new_pump_tells_its_state(rig):
    async with rig:
        phone = await rig.connect()
        status = await phone.interrogate()
        assert status.boot == 1
        assert (status.program_number, status.program, status.delivery) == (0, None, "not programmed")
        assert (status.counted_steps, status.at_most_steps, status.flow_nl_per_day) == (0, 0, 0)
        assert (status.lowest_nl_per_day, status.highest_nl_per_day) == (48_000, 24_000_000)
        assert status.capacity_nl == 20_000_000
        assert status.faults == 0
        later = await phone.interrogate()
        assert later.pump_time_ms > status.pump_time_ms


@pytest.mark.parametrize(("program", "seconds"), [(BACLOFEN, 20), (FAST, 25)], ids=["250 mcg/day", "23.9 mL/day"])
async def test_the_encoder_counts_what_was_prescribed_within_one_step(rig, program, seconds, request):
    async with rig:
        phone = await rig.connect()
        course = await start(phone, program)
        status = await watch(phone, course, seconds)
        course.report(request.node.callspec.id)
        # A step that was commanded may be on its way to the encoder.
        assert 0 <= status.at_most_steps - status.counted_steps <= 1
        assert status.delivered_since_fill_fl == status.at_most_steps * status.step_volume_fl
        assert status.reservoir_fl == program.fill_nl * 10**6 - status.delivered_since_fill_fl
        trips = sorted(phone.round_trips)
        print(f"{len(trips)} round trips: median {trips[len(trips) // 2] * 1000:.1f} ms, longest {trips[-1] * 1000:.1f} ms")


async def test_program_and_totals_survive_a_power_cut(rig):
    """Requirement: AC-5, AC-7"""
    async with rig:
        phone = await rig.connect()
        course = await start(phone, FAST)
        before = await watch(phone, course, 4)
        course.report("before the cut")
        await rig.cut_power()
        assert await asyncio.wait_for(phone.gone, 5) is not None

        await rig.boot()
        phone = await rig.connect()
        after = await phone.interrogate()
        assert after.boot == before.boot + 1
        assert (after.program, after.program_number) == (before.program, before.program_number)
        assert (after.delivery, after.faults) == ("running", 0)
        # What limits and the reservoir go by never forgets a step; the count goes on from the last checkpoint.
        assert after.at_most_steps > before.at_most_steps
        assert after.counted_steps >= 0
        assert after.reservoir_fl < before.reservoir_fl
        rate = course.per_ms
        await asyncio.sleep(4)
        later = await phone.interrogate()
        counted = later.counted_steps - after.counted_steps
        prescribed = rate * (later.pump_time_ms - after.pump_time_ms)
        print(f"after the cut: counted {counted}, prescribed {float(prescribed):.1f}")
        # Each of the two looks may be a step off, and each of the two times a millisecond.
        assert abs(counted - prescribed) <= 2 + 2 * rate
        assert abs(later.at_most_steps - after.at_most_steps - counted) <= 1


async def test_a_link_lost_between_stage_and_commit_changes_nothing(rig):
    """Requirement: AC-5, R-7"""
    async with rig:
        phone = await rig.connect()
        course = await start(phone, FAST)
        staged = await phone.stage(wire.Program("baclofen", 2_000_000, dose_ng=100_000))
        assert isinstance(staged, wire.Staged), staged
        assert (await phone.interrogate()).staged
        rig.lose_link()
        await asyncio.wait_for(phone.gone, 5)

        phone = await rig.connect()
        status = await phone.interrogate()
        assert not status.staged
        assert (status.program, status.program_number) == (FAST, 1)
        # What was confirmed on the lost connection is not there for the next.
        assert await phone.command(wire.commit(staged.digest)) == wire.Refused("NothingStaged")
        course.look(await phone.interrogate())
        await watch(phone, course, 2)
        course.report("link lost between stage and commit")


async def test_a_commit_of_something_else_than_what_was_staged_is_refused(rig):
    async with rig:
        phone = await rig.connect()
        staged = await phone.stage(BACLOFEN)
        other = bytearray(staged.digest)
        other[31] ^= 1
        assert await phone.command(wire.commit(bytes(other))) == wire.Refused("DigestMismatch")
        status = await phone.interrogate()
        assert (status.program_number, status.delivery, status.staged) == (0, "not programmed", False)
        # The digest of the same program with another number: that of a commit from before.
        await phone.stage(BACLOFEN)
        assert await phone.command(wire.commit(BACLOFEN.digest(2))) == wire.Refused("DigestMismatch")


async def test_what_is_out_of_range_is_refused_with_its_limits(rig):
    async with rig:
        phone = await rig.connect()
        refused = await phone.stage(wire.Program("baclofen", 50_000, dose_ng=1_201_000))
        # 24.02 mL/day is asked, 0.048 to 24 mL/day is allowed; field 1 is the flow.
        assert refused == wire.Refused("OutOfRange", (1, 24_020_000, 48_000, 24_000_000))
        refused = await phone.stage(wire.Program("baclofen", 50_000, fill_nl=20_000_001, dose_ng=600_000))
        assert refused == wire.Refused("OutOfRange", (2, 20_000_001, 0, 20_000_000))
        assert not (await phone.interrogate()).staged


async def test_cancel_and_stop(rig):
    async with rig:
        phone = await rig.connect()
        staged = await phone.stage(FAST)
        assert await phone.command(wire.cancel()) == wire.Cancelled()
        assert await phone.command(wire.commit(staged.digest)) == wire.Refused("NothingStaged")
        course = await start(phone, FAST)
        await watch(phone, course, 1, every=0.3)
        assert await phone.program(wire.Program("baclofen", 50_000)) == 2
        stopped = await phone.interrogate()
        assert (stopped.delivery, stopped.flow_nl_per_day) == ("stopped", 0)
        await asyncio.sleep(1)
        later = await phone.interrogate()
        # A step that had begun is finished.
        assert later.counted_steps - stopped.counted_steps <= 1
        assert later.counted_steps - course.base >= course.counted()
