"""The pump's memory as a phone sees it: its event log, its clock, its totals over resets."""

import asyncio

import history
import wire
from pump import RESET_STATUS

PROGRAM = wire.Program("baclofen", 50_000, fill_nl=20_000_000, dose_ng=1_195_000)
# 2026-01-05T10:00:00Z.
MONDAY = 1_767_607_200_000
BOOT, COMMITTED, OPENED, CLOSED, CLOCK_SET, ALARM = 1, 2, 7, 8, 10, 11


async def settled(phone):
    """Reads a status, so that everything before it has been handed to the journal, and lets that write."""
    await phone.interrogate()
    await asyncio.sleep(0.3)


async def test_the_log_tells_what_was_done_and_its_chain_and_head_hold(rig):
    async with rig:
        phone = await rig.connect()
        await phone.program(PROGRAM)
        await settled(phone)
        chain = history.Chain()
        records, _ = await history.read(phone, wire.EVENTS, chain)
        assert [record.sequence for record in records] == list(range(len(records)))
        kinds = [record.kind for record in records]
        assert kinds[0] == BOOT
        assert OPENED in kinds and COMMITTED in kinds
        committed = records[kinds.index(COMMITTED)]
        assert committed.session == records[kinds.index(OPENED)].session != 0
        assert all(record.boot == 1 for record in records)
        head = await phone.command(wire.sign_log(wire.EVENTS))
        assert (head.sequence, head.state, head.boot) == (chain.sequence, chain.state, 1)
        # The critical ones once more, in their own log.
        critical, _ = await history.read(phone, wire.CRITICAL, history.Chain())
        assert [record.kind for record in critical] == [kind for kind in kinds if kind in (BOOT, COMMITTED, ALARM)]


async def test_a_download_goes_on_where_it_stopped_also_over_a_power_cut(rig):
    async with rig:
        phone = await rig.connect()
        await phone.program(PROGRAM)
        for number in range(30):
            # Each writes a record.
            await phone.command(wire.set_clock(MONDAY + number * 1000, 0))
        await settled(phone)
        chain = history.Chain()
        records, trips = await history.read(phone, wire.EVENTS, chain)
        assert len(records) > 30 and trips > 4
        await rig.cut_power()
        await rig.boot()
        phone = await rig.connect()
        await settled(phone)
        more, trips = await history.read(phone, wire.EVENTS, chain, first=records[-1].sequence + 1)
        assert more[0].sequence == records[-1].sequence + 1
        assert BOOT in [record.kind for record in more]
        assert {record.boot for record in more} <= {1, 2}
        assert trips <= 3
        head = await phone.command(wire.sign_log(wire.EVENTS))
        assert (head.sequence, head.state, head.boot) == (chain.sequence, chain.state, 2)
        print(f"{len(records)} records, then {len(more)} more in {trips} round trips")


async def test_a_part_fits_one_frame_and_records_are_whole_at_every_mtu(rig):
    async with rig:
        phone = await rig.connect(mtu=23)
        for number in range(12):
            await phone.command(wire.set_clock(MONDAY + number, 0))
        await settled(phone)
        small, _ = await history.read(phone, wire.EVENTS, history.Chain())
        await phone.disconnect()
        phone = await rig.connect(mtu=247)
        await settled(phone)
        large, _ = await history.read(phone, wire.EVENTS, history.Chain())
        assert large[: len(small)] == small


async def test_the_clock_is_known_after_it_was_set_and_lost_after_a_power_cut(rig):
    async with rig:
        phone = await rig.connect()
        assert (await phone.interrogate()).clock == wire.Clock("lost")
        refused = await phone.command(wire.set_clock(1_577_836_799_999, 0))
        assert refused == wire.Refused("OutOfRange", (5, 1_577_836_799_999, 1_577_836_800_000, 4_102_444_799_999))
        done = await phone.command(wire.set_clock(MONDAY, 2_000_000))
        assert done == wire.ClockSet(wire.Clock("known", MONDAY, 2_000_000))
        before = await phone.interrogate()
        assert before.clock.kind == "known" and 0 <= before.clock.wall_ms - MONDAY < 60_000
        # A checkpoint with the time in it, which a minute brings: what is lost later was known once.
        await asyncio.sleep(62)
        await rig.cut_power()
        await rig.boot()
        phone = await rig.connect()
        after = await phone.interrogate()
        assert after.clock == wire.Clock("lost")
        # Bit 8: the clock is lost.
        assert after.faults & 1 << 8
        assert after.powered_s >= 60
        await phone.command(wire.set_clock(MONDAY, 0))
        assert not (await phone.interrogate()).faults & 1 << 8


async def test_a_fatal_error_leaves_the_totals_an_interval_and_an_alarm(rig):
    async with rig:
        # Ends the delivery thread after 12 s, which is a fatal error: motor off, cause and totals retained, reset.
        rig.pump.arguments = ["--fault=return", "--fault-after=12"]
        await rig.cut_power()
        await rig.boot()
        phone = await rig.connect()
        await phone.command(wire.set_clock(MONDAY, 0))
        await phone.program(PROGRAM)
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
        assert after.clock.kind == "known"
        await settled(phone)
        records, _ = await history.read(phone, wire.EVENTS, history.Chain())
        boots = [record for record in records if record.kind == BOOT]
        reader = wire.Reader(boots[-1].body)
        # Session none; cause 2 is a fatal error, with its reason.
        assert (reader.unsigned(32), reader.variant(6)) == (0, 2)
        reader.unsigned(32)
        assert wire.Clock.read(reader).kind == "known"
        # Totals 1: retained.
        assert reader.variant(4) == 1
        counted, at_most = reader.signed(64), reader.unsigned(64)
        assert counted <= after.counted_steps and at_most <= after.at_most_steps
        await phone.command(wire.reset_status_changed(1 << 1))
        assert (await phone.interrogate()).faults == 0
