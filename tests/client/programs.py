"""Programs and commands that the tests here, in tests/ble and in tests/firmware send. Needs no package."""

from thecal import messages
from thecal.messages import Command, Mode


def continuous(drug, concentration_ng_per_ml, dose_ng, per="Day", *, fill_nl=None, **others):
    """One drug at one rate; `fill_nl` is what an emptied reservoir was filled with."""
    fill = None if fill_nl is None else messages.Fill(fill_nl, False)
    mode = Mode.SimpleContinuous(messages.Dose(dose_ng, per))
    return messages.Program(messages.Component(drug, concentration_ng_per_ml), (), mode, fill=fill, **others)


def stopped(program):
    """The same drug, and nothing of it."""
    return messages.Program(program.primary, program.secondaries, Mode.Stopped)


def every_day(per, pattern):
    """A flex week of one pattern: (where a step begins in min from midnight, its dose in ng) each."""
    ends = [begins for begins, _ in pattern[1:]] + [1_440]
    steps = tuple(messages.FlexStep(until - begins, dose_ng) for (begins, dose_ng), until in zip(pattern, ends, strict=True))
    return Mode.Flex(messages.FlexWeek(per, bytes(7), (len(steps),), steps))


def steps_per_second(program, step_fl):
    """Exact motor steps a second of a simple continuous program, as (numerator, denominator)."""
    dose = program.mode.dose
    # ng / (ng/mL) = mL; 1 mL = 10^12 fL.
    seconds = 3600 if dose.per == "Hour" else 86400
    return dose.nanograms * 10**12, program.primary.concentration_ng_per_ml * step_fl * seconds


def path_nl(catheter):
    """From the pump to the tip; exact where the length is whole centimetres."""
    return catheter.tubing_nl + catheter.length_mm * catheter.nl_per_cm // 10 + catheter.port_nl


def set_clock(wall_ms, uncertainty_us=0, reason=None):
    return Command.SetClock(messages.SetClock(wall_ms, uncertainty_us, reason))
