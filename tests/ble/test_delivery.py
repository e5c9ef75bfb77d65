"""From the phone to the motor step: programs over the air, steps counted by the encoder."""

import asyncio
from dataclasses import replace

import pytest

import programs
from course import Course
from thecal import messages, programming
from thecal.messages import Command, Outcome, Refused

# 0.125 mL/day, a step every 1.728 s.
BACLOFEN = programs.continuous("Baclofen", 2_000_000, 250_000, fill_nl=20_000_000)
# 23.9 mL/day of 20 mcg/mL, 110.6 steps a second: many in a short time, and never a whole number of milliseconds apart.
FAST = programs.continuous("Baclofen", 20_000, 478_000, fill_nl=20_000_000)
# 5 mL/day of the same. The reservoir is filled once: again needs a guided refill.
SLOWER = programs.continuous("Baclofen", 20_000, 100_000)
# status.faults: the pump is not commissioned.
NOT_COMMISSIONED = 1 << 7


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
    assert (after.program, after.program_number, after.delivery) == (program, number, "Running")
    return Course(before, after)


async def test_a_new_pump_tells_its_state(rig):
    async with rig:
        phone = await rig.connect()
        status = await phone.interrogate()
        assert status.boot == 1
        # It is none of a kind yet, and stopped for that.
        assert (status.program_number, status.program, status.delivery) == (0, None, "Faulted")
        assert (status.counted_steps, status.at_most_steps, status.flow_nl_per_day) == (0, 0, 0)
        assert status.limits == messages.Limits(48_000, 24_000_000, 20_000_000, 2_500_000)
        assert status.faults == NOT_COMMISSIONED
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
        assert status.reservoir_fl == program.fill.volume_nl * 10**6 - status.delivered_since_fill_fl
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
        assert (after.delivery, after.faults) == ("Running", 0)
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
        staged = await phone.stage(SLOWER)
        assert isinstance(staged, messages.Staged), staged
        assert (await phone.interrogate()).staged
        rig.lose_link()
        await asyncio.wait_for(phone.gone, 5)

        phone = await rig.connect()
        status = await phone.interrogate()
        assert not status.staged
        assert (status.program, status.program_number) == (FAST, 1)
        # What was confirmed on the lost connection is not there for the next.
        assert await phone.command(programming.commit(staged, "Titration")) == Refused.NothingStaged
        course.look(await phone.interrogate())
        await watch(phone, course, 2)
        course.report("link lost between stage and commit")


async def test_a_commit_of_something_else_than_what_was_staged_is_refused(rig):
    async with rig:
        phone = await rig.connect()
        staged = await phone.stage(BACLOFEN)
        other = bytearray(staged.digest)
        other[31] ^= 1
        assert await phone.command(programming.commit(replace(staged, digest=bytes(other)))) == Refused.DigestMismatch
        status = await phone.interrogate()
        assert (status.program_number, status.delivery, status.staged) == (0, "NotProgrammed", False)
        # The digest of the same program with another number: that of a commit from before.
        staged = await phone.stage(BACLOFEN)
        assert await phone.command(programming.commit(replace(staged, digest=programming.digest(BACLOFEN, 2)))) == Refused.DigestMismatch


async def test_a_commit_by_somebody_who_was_shown_other_numbers_is_refused(rig):
    """Requirement: AC-12"""
    async with rig:
        phone = await rig.connect()
        await phone.program(FAST)
        staged = await phone.stage(SLOWER)
        # 478 to 100 mcg are -79.1 %: 378 / 478 is 0.79079...
        assert (staged.old_day_total_ng, staged.new_day_total_ng, staged.change_tenths_percent) == (478_000, 100_000, -791)
        other = programming.commit(replace(staged, new_day_total_ng=100_001), "Titration")
        own = programming.commit(staged, "Titration").content.shown
        assert await phone.command(other) == Refused.ShownDiffers(shown=other.content.shown, pump=own)
        # Nothing is left to be committed with better numbers.
        assert await phone.command(programming.commit(staged, "Titration")) == Refused.NothingStaged
        assert (await phone.interrogate()).program == FAST


async def test_what_is_out_of_range_is_refused_with_its_limits(rig):
    async with rig:
        phone = await rig.connect()
        refused = await phone.stage(programs.continuous("Baclofen", 20_000, 480_400))
        # 24.02 mL/day is asked, 0.048 to 24 mL/day is allowed.
        assert refused == Refused.OutOfRange(field="FlowNanolitresPerDay", value=24_020_000, lowest=48_000, highest=24_000_000)
        refused = await phone.stage(programs.continuous("Baclofen", 20_000, 240_000, fill_nl=20_000_001))
        assert refused == Refused.OutOfRange(field="FillNanolitres", value=20_000_001, lowest=0, highest=20_000_000)
        assert not (await phone.interrogate()).staged


async def test_a_hard_limit_opens_for_nobody_and_a_soft_one_for_a_reason(rig):
    """Requirement: AC-11"""
    async with rig:
        phone = await rig.connect()
        refused = await phone.stage(programs.continuous("Baclofen", 2_000_000, 2_001_000))
        assert (refused.case, refused.limit_kind, refused.drug, refused.limit) == (
            "OverLimit", "DayNanograms", "Baclofen", 2_000_000
        )
        assert refused.value >= 2_001_000
        much = programs.continuous("Baclofen", 2_000_000, 1_500_000)
        staged = await phone.stage(much)
        assert messages.Finding("DayNanograms", "Baclofen", 1_500_000, 1_000_000) in staged.findings
        assert staged.needs_reason
        assert await phone.command(programming.commit(staged)) == Refused.ReasonNeeded
        # It stays staged: the reason is all that was missing.
        assert await phone.command(programming.commit(staged, "EndOfLife")) == Outcome.Committed(program_number=1)
        assert (await phone.interrogate()).program == much


async def test_cancel_and_stop(rig):
    async with rig:
        phone = await rig.connect()
        staged = await phone.stage(FAST)
        assert await phone.command(Command.Cancel) == Outcome.Cancelled
        assert await phone.command(programming.commit(staged)) == Refused.NothingStaged
        course = await start(phone, FAST)
        await watch(phone, course, 1, every=0.3)
        assert await phone.program(programs.stopped(FAST)) == 2
        stopped = await phone.interrogate()
        assert (stopped.delivery, stopped.flow_nl_per_day) == ("Stopped", 0)
        await asyncio.sleep(1)
        later = await phone.interrogate()
        # A step that had begun is finished.
        assert later.counted_steps - stopped.counted_steps <= 1
        assert later.counted_steps - course.base >= course.counted()
