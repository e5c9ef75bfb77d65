"""The pump's memory as a phone sees it: its event log, its clock, its totals over resets."""

import asyncio

import history
import programs
from bedside import IMPLANT
from pump import RESET_STATUS
from test_delivery import FAST
from thecal import messages
from thecal.messages import Clock, Command

# 2026-01-05T10:00:00Z.
MONDAY = 1_767_607_200_000


async def settled(phone):
    """Reads a status, so that everything before it has been handed to the journal, and lets that write."""
    await phone.interrogate()
    await asyncio.sleep(0.3)


async def test_the_log_tells_what_was_done_and_its_chain_and_head_hold(rig):
    async with rig:
        phone = await rig.connect()
        await phone.program(FAST)
        await settled(phone)
        chain = history.Chain()
        records, _ = await history.read(phone, "Events", chain)
        assert [record.sequence for record in records] == list(range(len(records)))
        assert all(record.boot == 1 for record in records)
        titles = [record.title for record in records]
        assert titles[0] == "pump started"
        # A pump that is none of a kind says so until it is.
        assert [said["alarm"] for said in history.of(records, "alarm on")] == ["Commissioning"]
        assert [said["alarm"] for said in history.of(records, "alarm off")] == ["Commissioning"]
        assert history.of(records, "commissioned") == [{"record": IMPLANT}]
        committed = records[titles.index("program committed")]
        # Behind the session in which the phone enrolled.
        opened = [record for record in records if record.title == "session opened"]
        assert [record.said["role"] for record in opened] == ["Enrolling", "Clinician"]
        assert committed.session == opened[1].session != 0
        assert committed.said == {
            "number": 1,
            "drug": "Baclofen",
            "concentration_ng_per_ml": 20_000,
            "mode": "SimpleContinuous",
            "before_ng": None,
            "total_ng": 478_000,
            "filled_nl": 20_000_000,
            "reason": None,
        }
        assert history.of(records, "program, in parts") == [{"number": 1, "offset": 0, "part": messages.encode("Program", FAST)}]
        head = (await phone.command(Command.SignLog(log="Events"))).head
        assert (head.sequence, head.state, head.boot) == (chain.sequence, chain.state, 1)
        # The critical ones once more, in their own log.
        critical, _ = await history.read(phone, "Critical", history.Chain())
        in_both = [record for record in records if history.KINDS[record.kind].critical]
        assert [(record.kind, record.body) for record in critical] == [(record.kind, record.body) for record in in_both]


async def test_the_log_has_the_whole_of_a_program_in_parts(rig):
    async with rig:
        phone = await rig.connect()
        await phone.command(programs.set_clock(MONDAY))
        hours = programs.every_day("Hour", [(60 * hour, 8_000 + 100 * hour) for hour in range(24)])
        program = messages.Program(messages.Component("Baclofen", 20_000), (), hours)
        await phone.program(program)
        # One part a second.
        await asyncio.sleep(3)
        await settled(phone)
        records, _ = await history.read(phone, "Events", history.Chain())
        parts = history.of(records, "program, in parts")
        assert len(parts) > 1 and {part["number"] for part in parts} == {1}
        whole = b""
        for part in parts:
            assert part["offset"] == len(whole)
            whole += part["part"]
        assert messages.decode("Program", whole) == program


async def test_a_download_goes_on_where_it_stopped_also_over_a_power_cut(rig):
    async with rig:
        phone = await rig.connect()
        await phone.program(FAST)
        for number in range(30):
            # Each writes a record.
            await phone.command(programs.set_clock(MONDAY + number * 1000))
        await settled(phone)
        chain = history.Chain()
        records, first_trips = await history.read(phone, "Events", chain)
        assert len(records) > 30 and first_trips > 4
        await rig.cut_power()
        await rig.boot()
        phone = await rig.connect()
        await settled(phone)
        more, trips = await history.read(phone, "Events", chain, first=records[-1].sequence + 1)
        assert more[0].sequence == records[-1].sequence + 1
        assert "pump started" in [record.title for record in more]
        assert {record.boot for record in more} <= {1, 2}
        assert trips < first_trips
        head = (await phone.command(Command.SignLog(log="Events"))).head
        assert (head.sequence, head.state, head.boot) == (chain.sequence, chain.state, 2)
        print(f"{len(records)} records, then {len(more)} more in {trips} round trips")


async def test_a_part_fits_one_frame_and_records_are_whole_at_every_mtu(rig):
    async with rig:
        phone = await rig.connect(mtu=23)
        for number in range(12):
            await phone.command(programs.set_clock(MONDAY + number))
        await settled(phone)
        small, _ = await history.read(phone, "Events", history.Chain())
        await phone.disconnect()
        phone = await rig.connect(mtu=247)
        await settled(phone)
        large, _ = await history.read(phone, "Events", history.Chain())
        assert large[: len(small)] == small


async def test_the_clock_is_known_after_it_was_set_and_lost_after_a_power_cut(rig):
    async with rig:
        phone = await rig.connect()
        assert (await phone.interrogate()).clock == Clock.Lost
        refused = await phone.command(programs.set_clock(1_577_836_799_999))
        # 2020 to 2099.
        assert refused == messages.Refused.OutOfRange(
            field="WallMilliseconds",
            value=1_577_836_799_999,
            lowest=1_577_836_800_000,
            highest=4_102_444_799_999,
        )
        done = await phone.command(programs.set_clock(MONDAY, 2_000_000))
        assert done == messages.Outcome.ClockSet(clock=Clock.Known(wall=MONDAY, uncertainty=2_000_000))
        before = await phone.interrogate()
        assert before.clock.case == "Known" and 0 <= before.clock.wall - MONDAY < 60_000
        # More than two minutes are no correction that a phone makes by itself.
        assert await phone.command(programs.set_clock(MONDAY + 3_600_000)) == messages.Refused.ReasonNeeded
        # A checkpoint with the time in it, which a minute brings: what is lost later was known once.
        await asyncio.sleep(62)
        await rig.cut_power()
        await rig.boot()
        phone = await rig.connect()
        after = await phone.interrogate()
        assert after.clock == Clock.Lost
        # Bit 8: the clock is lost.
        assert after.faults & 1 << 8
        assert after.powered_s >= 60
        await phone.command(programs.set_clock(MONDAY))
        assert not (await phone.interrogate()).faults & 1 << 8


async def test_a_fatal_error_leaves_the_totals_an_interval_and_an_alarm(rig):
    async with rig:
        await rig.connect()
        # Ends the delivery thread after 12 s, which is a fatal error: motor off, cause and totals retained, reset.
        rig.pump.arguments = ["--fault=return", "--fault-after=12"]
        await rig.cut_power()
        await rig.boot()
        phone = await rig.connect()
        await phone.command(programs.set_clock(MONDAY))
        await phone.program(FAST)
        last = await phone.interrogate()
        while rig.pump.process.poll() is None:
            try:
                last = await asyncio.wait_for(phone.interrogate(), 2)
            except (Exception, asyncio.CancelledError):  # noqa: BLE001: the link dies with the process, in any of its ways
                break
            await asyncio.sleep(0.2)
        assert rig.pump.process.wait(5) == RESET_STATUS
        rig.pump.arguments = []
        await rig.cut_power()
        await rig.boot()
        phone = await rig.connect()
        after = await phone.interrogate()
        # Counted goes on from the last call before the reset, and nothing handed to the motor is forgotten.
        assert after.counted_steps >= last.counted_steps > 0
        assert after.at_most_steps >= last.at_most_steps
        assert after.at_most_steps - last.at_most_steps <= 1000 + 111 * 3
        # Bit 12: restarted by a fault.
        assert after.faults == 1 << 12
        assert after.clock.case == "Known"
        assert messages.AlarmState("Restarted", True, False) in (await phone.therapy()).alarms
        await settled(phone)
        records, _ = await history.read(phone, "Events", history.Chain())
        boot = [record for record in records if record.title == "pump started"][-1]
        assert boot.session == 0
        assert boot.said["cause"].case == "Fatal"
        assert boot.said["clock"].case == "Known"
        assert boot.said["totals"] == "Retained"
        assert boot.said["counted_steps"] <= after.counted_steps and boot.said["at_most_steps"] <= after.at_most_steps
        await phone.command(Command.ResetStatusChanged(mask=1 << 1))
        assert (await phone.interrogate()).faults == 0
