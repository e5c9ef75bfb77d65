"""Therapy over the air: schedules, boluses, a bridge, refill and alarms, ordered by a phone and counted by the encoder."""

import asyncio

import pytest

import bedside
import history
import programs
from bedside import DONE, IMPLANT
from test_delivery import BACLOFEN, NOT_COMMISSIONED
from test_log import MONDAY, settled
from thecal import messages
from thecal.messages import Command, Outcome, Refused

# At MONDAY, 10:00, the second step is in force: 0.9 mL/h of 20 mcg/mL, 100 steps a second.
PATTERN = [(0, 8_000), (6 * 60, 18_000), (22 * 60, 15_000)]
FLEX = messages.Program(
    messages.Component("Baclofen", 20_000), (), programs.every_day("Hour", PATTERN), fill=messages.Fill(20_000_000, False)
)
# 0.5 mcL, 200 steps, within 5 s; four a day, and a lockout of a minute, which a test can wait for.
BOLUSES = messages.PatientBolus(dose_ng=1_000, duration_s=5, lockout_min=1, per_day=4)
WITH_BOLUSES = programs.continuous("Baclofen", 2_000_000, 250_000, fill_nl=20_000_000, patient_bolus=BOLUSES)
# 100 mcL in the pump and 40 cm of catheter.
CATHETER = messages.Catheter(model=0, tubing_nl=100_000, length_mm=400, nl_per_cm=2_200, port_nl=0)
# 12 mL/day of 20 mcg/mL.
WEAK = programs.continuous("Baclofen", 20_000, 240_000, fill_nl=20_000_000)


IN_SERVICE = messages.NotAllowed.Lifecycle(lifecycle="InService")
NOT_IN_FACTORY = Refused.NotAllowed(because=IN_SERVICE)


def steps_between(before, after, program):
    """(steps counted between two looks, what basal prescribes in that time)."""
    numerator, denominator = programs.steps_per_second(program, after.step_volume_fl)
    prescribed = (after.pump_time_ms - before.pump_time_ms) * numerator / (1000 * denominator)
    return after.counted_steps - before.counted_steps, prescribed


async def events(phone):
    await settled(phone)
    return (await history.read(phone, "Events", history.Chain()))[0]


async def order(phone, number, dose_ng, duration_s, reason=None):
    return await phone.command(Command.ClinicianBolus(messages.ClinicianBolus(number, dose_ng, duration_s, reason)))


async def reboot(rig):
    await rig.cut_power()
    await rig.boot()
    return await rig.connect()


# ---- commissioning ----


async def test_a_pump_is_commissioned_once_and_delivers_nothing_before(rig):
    """Requirement: AC-24"""
    async with rig:
        phone = await rig.connect()
        assert (await phone.interrogate()).faults == NOT_COMMISSIONED
        assert messages.AlarmState("Commissioning", True, False) in (await phone.therapy()).alarms
        assert await phone.command(Command.Stage(BACLOFEN)) == bedside.NOT_COMMISSIONED
        assert await order(phone, 1, 1_000, 5) == Refused.NotNow(why="NotProgrammed")
        # A trial is of the external kind alone.
        trial = messages.Commissioning("ProgrammableImplant", 2_500_000, 20_000_000, trial_days=7)
        refused = await phone.command(Command.Commission(trial))
        assert refused == Refused.OutOfRange(field="TrialDays", value=7, lowest=0, highest=0)

        await phone.commission()
        status = await phone.interrogate()
        assert (status.faults, status.delivery) == (0, "NotProgrammed")
        therapy = await phone.therapy()
        assert (therapy.kind, therapy.alarms, therapy.sounding) == ("ProgrammableImplant", (), None)
        for as_what in (IMPLANT, messages.Commissioning("ConstantRate", 2_500_000, 20_000_000, 500_000)):
            assert await phone.command(Command.Commission(as_what)) == Refused.NotNow(why="Commissioned")
        assert (await phone.info()).lifecycle == "Factory"

        # With its first program it is in service, and nobody may commission it, whoever it is; also after a reset.
        assert await phone.program(BACLOFEN) == 1
        assert (await phone.info()).lifecycle == "InService"
        assert await phone.command(Command.Commission(IMPLANT)) == NOT_IN_FACTORY
        phone = await reboot(rig)
        status = await phone.interrogate()
        assert (status.faults, status.delivery, status.program) == (0, "Running", BACLOFEN)
        assert (await phone.info()).lifecycle == "InService"
        assert await phone.command(Command.Commission(IMPLANT)) == NOT_IN_FACTORY
        assert [said["record"] for said in history.of(await events(phone), "commissioned")] == [IMPLANT]


async def test_a_constant_rate_pump_has_no_other_programs(rig):
    """Requirement: AC-24, TH-kinds"""
    async with rig:
        phone = await rig.connect()
        await phone.commission(messages.Commissioning("ConstantRate", 2_500_000, 20_000_000, fixed_rate_nl_per_day=500_000))
        await phone.command(programs.set_clock(MONDAY))
        assert (await phone.therapy()).kind == "ConstantRate"
        forbidden = Refused.KindForbids(kind="ConstantRate")
        for mode in (messages.Mode.MinimumRate, FLEX.mode, messages.Mode.SingleBolus(dose_ng=1_000, duration_s=60)):
            program = messages.Program(messages.Component("Baclofen", 20_000), (), mode)
            assert await phone.command(Command.Stage(program)) == forbidden, mode


# ---- flex ----


async def test_a_flex_day_is_programmed_read_back_and_followed(rig):
    """Requirement: AC-15"""
    async with rig:
        phone = await rig.connect()
        # A schedule wants the time of day.
        assert await phone.stage(FLEX) == Refused.NotNow(why="ClockLost")
        await phone.command(programs.set_clock(MONDAY))
        *before, last = FLEX.mode.week.steps
        short = messages.FlexWeek("Hour", bytes(7), (3,), (*before, messages.FlexStep(last.lasts_min - 1, last.dose_ng)))
        refused = await phone.stage(messages.Program(FLEX.primary, (), messages.Mode.Flex(week=short)))
        assert refused == Refused.ScheduleInvalid(pattern=0, step=2, fault="NotADay")

        staged = await phone.stage(FLEX)
        assert staged.program == FLEX
        total = 6 * 8_000 + 16 * 18_000 + 2 * 15_000
        assert (staged.old_day_total_ng, staged.new_day_total_ng) == (None, total)
        assert staged.largest_24h == (messages.DrugTotal("Baclofen", total),)
        # 18 mcg/h of 20 mcg/mL.
        assert staged.flow_nl_per_day == 21_600_000
        assert await phone.program(FLEX) == 1
        first = await phone.interrogate()
        assert (first.program, first.delivery, first.flow_nl_per_day) == (FLEX, "Running", 21_600_000)
        await asyncio.sleep(4)
        second = await phone.interrogate()
        step = programs.continuous("Baclofen", 20_000, 18_000, per="Hour")
        counted, prescribed = steps_between(first, second, step)
        # Each of the two looks may be a step off, and each of the two times a millisecond.
        assert abs(counted - prescribed) <= 3, f"counted {counted}, prescribed {prescribed:.1f}"
        # What was missed and what came twice would be in the deficit, or too many.
        assert second.deficit_steps == 0


async def test_flex_follows_the_time_zone_and_nothing_is_made_up_for(rig):
    """Requirement: TH-flex-clock, TH-clock"""
    async with rig:
        phone = await rig.connect()
        await phone.command(programs.set_clock(MONDAY))
        await phone.program(FLEX)
        # Two hours are no summer time. The field counts from the westernmost zone, 720 min behind.
        refused = await phone.command(Command.SetZone(messages.SetZone(120)))
        assert refused == Refused.OutOfRange(field="ZoneMinutesFromLowest", value=840, lowest=660, highest=780)
        first = await phone.interrogate()
        assert await phone.command(Command.SetZone(messages.SetZone(720, "InNotes"))) == DONE
        second = await phone.interrogate()
        # It is 22:00 and a few seconds: the third step, and not twelve hours of the second.
        assert (await phone.therapy()).zone_min == 720
        assert (second.delivery, second.flow_nl_per_day) == ("Running", 18_000_000)
        counted, most = steps_between(first, second, programs.continuous("Baclofen", 20_000, 18_000, per="Hour"))
        assert counted <= most + 3
        await asyncio.sleep(3)
        third = await phone.interrogate()
        counted, prescribed = steps_between(second, third, programs.continuous("Baclofen", 20_000, 15_000, per="Hour"))
        assert abs(counted - prescribed) <= 3, f"counted {counted}, prescribed {prescribed:.1f}"
        assert {"before_min": 0, "after_min": 720} in history.of(await events(phone), "time zone changed")


# ---- boluses ----


@pytest.mark.time_limit(180)
async def test_a_patient_bolus_is_given_once_and_the_next_waits_for_the_lockout(rig):
    """Requirement: AC-8, AC-9, TH-denials"""
    async with rig:
        phone = await rig.connect()
        assert (await phone.stage(WITH_BOLUSES)).boluses_per_day == 4
        await phone.program(WITH_BOLUSES)
        # What may be taken depends on the time of day.
        assert (await phone.command(Command.PatientBolus(number=1))).denial.case == "ClockLost"
        await phone.command(programs.set_clock(MONDAY))
        # One lockout after any programming, and its end is told.
        denied = (await phone.command(Command.PatientBolus(number=1))).denial
        assert denied.case == "Lockout" and 0 < denied.left_s <= 61
        bolus = (await phone.therapy()).bolus
        assert (bolus.taken_in_24h, bolus.per_day, bolus.denial.case) == (0, 4, "Lockout")
        assert 0 < bolus.next_in_s <= denied.left_s
        await asyncio.sleep(denied.left_s + 0.5)

        bolus = (await phone.therapy()).bolus
        assert (bolus.next_in_s, bolus.denial) == (0, None)
        before = await phone.interrogate()
        assert await phone.command(Command.PatientBolus(number=1)) == Outcome.BolusStarted(number=1)
        # However often it arrives.
        for _ in range(3):
            assert await phone.command(Command.PatientBolus(number=1)) == Outcome.AlreadyDone(number=1)
        therapy = await phone.therapy()
        assert (therapy.last_number, therapy.job.kind, therapy.job.volume_nl) == (1, "PatientBolus", 500)
        await asyncio.sleep(7)
        after = await phone.interrogate()
        counted, basal = steps_between(before, after, WITH_BOLUSES)
        assert abs(counted - basal - 200) <= 2, f"counted {counted}, basal {basal:.1f} and a bolus of 200"

        denied = (await phone.command(Command.PatientBolus(number=2))).denial
        assert denied.case == "Lockout" and 0 < denied.left_s <= 61 - 7
        therapy = await phone.therapy()
        assert (therapy.job, therapy.bolus.taken_in_24h, therapy.last_number) == (None, 1, 1)
        assert therapy.mass_24h == (messages.DrugTotal("Baclofen", 1_000),)
        refused = await phone.command(Command.PatientBolus(number=3))
        assert refused == Refused.OutOfRange(field="JobNumber", value=3, lowest=2, highest=2)

        # Also over a reset: what was given is known, and what is asked for again is not given again.
        phone = await reboot(rig)
        before = await phone.interrogate()
        assert await phone.command(Command.PatientBolus(number=1)) == Outcome.AlreadyDone(number=1)
        therapy = await phone.therapy()
        assert (therapy.job, therapy.bolus.taken_in_24h, therapy.last_number) == (None, 1, 1)
        # Power took the time of day with it, which is alarmed.
        assert therapy.bolus.denial.case == "Alarm"
        await phone.command(programs.set_clock(MONDAY))
        assert await phone.command(Command.AcknowledgeAlarm(alarm="ClockLost")) == DONE
        assert (await phone.therapy()).bolus.denial.case == "Lockout"
        await asyncio.sleep(3)
        counted, basal = steps_between(before, await phone.interrogate(), WITH_BOLUSES)
        assert counted <= basal + 2
        records = await events(phone)
        assert history.of(records, "bolus granted") == [{"id": 1}]
        assert [said["reason"].case for said in history.of(records, "bolus denied")] == ["ClockLost", "Lockout", "Lockout"]
        patients = history.Job.PatientBolus
        assert history.of(records, "job started") == [{"job": patients, "id": 1, "volume_nl": 500}]
        ended = {"job": patients, "id": 1, "end": "Completed", "counted_steps": 200, "at_most_steps": 200}
        assert history.of(records, "job ended") == [ended]


async def test_a_bolus_that_a_reset_ended_is_never_resumed(rig):
    """Requirement: AC-7, AC-8"""
    async with rig:
        phone = await rig.connect()
        await phone.program(BACLOFEN)
        # 10 mcL, 4,000 steps, within a minute.
        assert await order(phone, 1, 20_000, 60) == Outcome.BolusStarted(number=1)
        await asyncio.sleep(3)
        before = await phone.interrogate()
        phone = await reboot(rig)
        first = await phone.interrogate()
        # What limits go by counts all that may have been given.
        assert first.at_most_steps >= before.at_most_steps
        assert (await phone.therapy()).job is None
        assert await order(phone, 1, 20_000, 60) == Outcome.AlreadyDone(number=1)
        await asyncio.sleep(3)
        counted, basal = steps_between(first, await phone.interrogate(), BACLOFEN)
        assert counted <= basal + 2, "more than basal after a reset"
        (ended,) = history.of(await events(phone), "job ended")
        assert (ended["job"], ended["id"], ended["end"]) == (history.Job.ClinicianBolus(extended=False), 1, "Interrupted")
        assert ended["counted_steps"] <= ended["at_most_steps"] <= 4_000


async def test_a_clinician_bolus_is_cancelled_for_ever_and_limited(rig):
    """Requirement: AC-11, TH-clinician-bolus, TH-jobs"""
    async with rig:
        phone = await rig.connect()
        await phone.program(BACLOFEN)
        # A single bolus: 0.1 mg is soft, 0.3 mg is hard.
        refused = await order(phone, 1, 301_000, 1_800)
        assert refused == Refused.OverLimit(limit_kind="BolusNanograms", drug="Baclofen", value=301_000, limit=300_000)
        assert await order(phone, 1, 150_000, 1_800) == Refused.ReasonNeeded
        before = await phone.interrogate()
        assert await order(phone, 1, 20_000, 60) == Outcome.BolusStarted(number=1)
        await asyncio.sleep(3)
        therapy = await phone.therapy()
        assert (therapy.job.number, therapy.job.kind, therapy.job.volume_nl) == (1, "ClinicianBolus", 10_000)
        assert 0 < therapy.job.delivered_nl < 10_000 and 0 < therapy.job.left_s < 60
        assert await phone.command(Command.CancelBolus) == DONE
        cancelled = await phone.interrogate()
        assert (await phone.therapy()).job is None
        given, basal = steps_between(before, cancelled, BACLOFEN)
        # 66.7 steps a second for at least 3 s.
        assert 180 < given - basal < 4_000
        await asyncio.sleep(3)
        counted, basal = steps_between(cancelled, await phone.interrogate(), BACLOFEN)
        # A step that had begun is finished.
        assert counted <= basal + 2
        # Twice is once, also cancelling.
        assert await phone.command(Command.CancelBolus) == DONE
        assert await order(phone, 1, 20_000, 60) == Outcome.AlreadyDone(number=1)
        too_soon = await order(phone, 2, 20_000, 60)
        assert too_soon.case == "TooSoon" and 3_500 < too_soon.left_s <= 3_600
        assert await order(phone, 2, 20_000, 60, "Procedure") == Outcome.BolusStarted(number=2)
        assert await phone.command(Command.CancelBolus) == DONE
        ended = history.of(await events(phone), "job ended")
        assert [(said["id"], said["end"]) for said in ended] == [(1, "Cancelled"), (2, "Cancelled")]
        assert 180 < ended[0]["counted_steps"] < 4_000


# ---- refill and bridge ----


async def test_a_refill_with_another_concentration_is_guided_and_bridged(rig):
    """Requirement: AC-13, AC-16, TH-bridge"""
    strong = programs.continuous("Baclofen", 2_000_000, 250_000)
    filled = programs.continuous("Baclofen", 2_000_000, 250_000, fill_nl=18_000_000)
    bridged = programs.continuous("Baclofen", 2_000_000, 250_000, fill_nl=18_000_000, bridge=messages.Dose(240_000, "Day"))
    async with rig:
        phone = await rig.connect()
        await phone.program(WEAK)
        # Nobody could say how long the weak one still flows.
        assert await phone.stage(strong) == Refused.NoPath
        assert await phone.command(Command.SetCatheter(CATHETER)) == DONE
        path = await phone.command(Command.ReadPath)
        assert path.path_nl == programs.path_nl(CATHETER) == 188_000
        assert [slug.components for slug in path.slugs] == [(WEAK.primary,)]

        # Opened, aspirated, filled: in no other order.
        assert await phone.command(Command.RefillAspirated(volume_nl=1)) == Refused.WrongOrder(expected="Open")
        assert await phone.stage(bridged) == Refused.WrongOrder(expected="Open")
        assert await phone.command(Command.OpenRefill) == DONE
        assert (await phone.therapy()).refill_open_s is not None
        assert await phone.stage(bridged) == Refused.WrongOrder(expected="Aspirated")
        # A little is always left in a syringe.
        aspirated = (await phone.interrogate()).reservoir_fl // 10**6 - 100_000
        assert await phone.command(Command.RefillAspirated(volume_nl=aspirated)) == DONE
        # What was taken out has to be made good.
        assert await phone.stage(strong) == Refused.WrongOrder(expected="Confirm")
        # 0.048 to 24 mL/day of the weak one.
        assert await phone.stage(filled) == Refused.BridgeNeeded(lowest_ng_per_day=960, highest_ng_per_day=480_000)

        staged = await phone.stage(bridged)
        # 188 mcL at 12 mL/day.
        plan = staged.bridge
        assert (plan.flow_nl_per_day, plan.volume_nl, plan.duration_s) == (12_000_000, 188_000, 1_353)
        assert await phone.program(bridged) == 2
        first = await phone.interrogate()
        assert (first.program, first.delivery, first.flow_nl_per_day) == (bridged, "Bridging", 12_000_000)
        assert first.filled_fl == 18_000_000 * 10**6 and first.reservoir_fl <= first.filled_fl
        therapy = await phone.therapy()
        assert therapy.refill_open_s is None
        assert therapy.bridge.flow_nl_per_day == 12_000_000
        denied = await order(phone, 1, 1_000, 60)
        assert denied == Outcome.BolusRefused(denial=messages.BolusDenial.Bridging)

        await asyncio.sleep(4)
        later = (await phone.therapy()).bridge
        second = await phone.interrogate()
        counted, prescribed = steps_between(first, second, programs.continuous("Baclofen", 20_000, 240_000))
        assert abs(counted - prescribed) <= 3, f"counted {counted}, prescribed {prescribed:.1f}"
        # It goes by the volume: what was led out is what was made.
        assert 0 < therapy.bridge.left_nl - later.left_nl <= (counted + 3) * 2.5
        path = await phone.command(Command.ReadPath)
        assert path.slugs[0].components == (WEAK.primary,)
        assert path.slugs[0].left_nl <= later.left_nl

        records = await events(phone)
        assert history.of(records, "catheter set") == [{"path_nl": 188_000}]
        (refill,) = [said for said in history.of(records, "refill") if said["aspirated_nl"] is not None]
        assert (refill["aspirated_nl"], refill["filled_nl"]) == (aspirated, 18_000_000)
        assert history.of(records, "bridge started") == [{"volume_nl": 188_000, "flow_nl_per_day": 12_000_000}]
        committed = history.of(records, "program committed")[-1]
        assert (committed["before_ng"], committed["total_ng"], committed["filled_nl"]) == (240_000, 250_000, 18_000_000)

        phone = await reboot(rig)
        status = await phone.interrogate()
        assert (status.delivery, status.flow_nl_per_day, status.program) == ("Bridging", 12_000_000, bridged)
        # In doubt more has been led out, never less.
        assert 0 < (await phone.therapy()).bridge.left_nl < later.left_nl


async def test_a_refill_in_which_nothing_was_changed_is_closed(rig):
    """Requirement: AC-16"""
    async with rig:
        phone = await rig.connect()
        await phone.program(BACLOFEN)
        assert await phone.command(Command.CloseRefill) == Refused.WrongOrder(expected="Open")
        assert await phone.command(Command.OpenRefill) == DONE
        # A lost link leaves it open, and so does a reset.
        phone = await reboot(rig)
        assert (await phone.therapy()).refill_open_s is not None
        assert (await phone.interrogate()).delivery == "Running"
        assert await phone.command(Command.CloseRefill) == DONE
        assert (await phone.therapy()).refill_open_s is None
        titles = [record.title for record in await events(phone)]
        assert "refill opened" in titles and "refill closed" in titles


# ---- alarms ----


async def test_an_alarm_is_listed_sounds_and_goes_when_its_cause_has_gone_and_somebody_knows(rig):
    """Requirement: AC-19, TH-emergency"""
    alarm = "EmergencyMinimumRate"
    acknowledge = Command.AcknowledgeAlarm(alarm=alarm)
    async with rig:
        phone = await rig.connect()
        emergency = Command.EmergencyMinimumRate
        assert await phone.command(emergency) == Refused.NotNow(why="NotProgrammed")
        await phone.program(BACLOFEN)
        therapy = await phone.therapy()
        assert (therapy.alarms, therapy.sounding, therapy.response) == ((), None, "Normal")
        assert await phone.command(acknowledge) == Refused.NotNow(why="NoAlarm")

        assert await phone.command(emergency) == DONE
        therapy = await phone.therapy()
        assert (therapy.alarms, therapy.sounding) == ((messages.AlarmState(alarm, True, False),), alarm)
        assert therapy.response == "MinimumRate"
        status = await phone.interrogate()
        # 0.006 mL/day; the program stays what it is.
        assert (status.delivery, status.flow_nl_per_day, status.program) == ("MinimumRate", 6_000, BACLOFEN)
        denied = await order(phone, 1, 1_000, 5)
        assert denied == Outcome.BolusRefused(denial=messages.BolusDenial.Alarm)
        assert await phone.command(Command.SilenceAlarm(alarm=alarm)) == Refused.KindForbids(kind="ProgrammableImplant")

        assert await phone.command(acknowledge) == DONE
        therapy = await phone.therapy()
        # What is present is never silent for good.
        assert (therapy.alarms, therapy.sounding) == ((messages.AlarmState(alarm, True, True),), alarm)
        phone = await reboot(rig)
        assert messages.AlarmState(alarm, True, True) in (await phone.therapy()).alarms
        assert (await phone.interrogate()).delivery == "MinimumRate"

        # A clinician's program ends it.
        assert await phone.program(programs.continuous("Baclofen", 2_000_000, 250_000)) == 2
        therapy = await phone.therapy()
        assert (therapy.alarms, therapy.sounding, therapy.response) == ((), None, "Normal")
        assert (await phone.interrogate()).delivery == "Running"
        records = await events(phone)
        assert "emergency minimum rate" in [record.title for record in records]
        for title in ("alarm on", "alarm sounded", "alarm acknowledged", "alarm off"):
            assert {"alarm": alarm} in history.of(records, title), title


async def test_alarm_intervals_have_their_bounds(rig):
    """Requirement: AC-19"""
    async with rig:
        phone = await rig.connect()
        await phone.program(BACLOFEN)
        for critical_min, other_min, refused in (
            (9, 60, Refused.OutOfRange(field="CriticalIntervalMinutes", value=9, lowest=10, highest=120)),
            (10, 59, Refused.OutOfRange(field="OtherIntervalMinutes", value=59, lowest=60, highest=1_440)),
        ):
            outcome = await phone.command(Command.SetAlarmIntervals(messages.AlarmIntervals(critical_min, other_min)))
            assert outcome == refused
        assert await phone.command(Command.SetAlarmIntervals(messages.AlarmIntervals(120, 1_440))) == DONE
        assert {"critical_min": 120, "other_min": 1_440} in history.of(await events(phone), "alarm intervals set")
