"""Whether a count of steps follows a prescription within one step."""

import math
from fractions import Fraction

import paths  # noqa: F401
from programs import steps_per_second


class Course:
    """One running program, watched.

    Nobody outside knows at which microsecond it began, only that it was between two looks at the pump's clock. Each later
    look narrows that: if no beginning is left for which every count was within one step of what was prescribed, the count has
    left its course.
    """

    def __init__(self, before, after):
        """`before` and `after`: a Status from either side of the commit of a rate that does not change, nothing running before it."""
        numerator, denominator = steps_per_second(after.program, after.step_volume_fl)
        self.per_ms = Fraction(numerator, denominator * 1000)
        self.base = before.counted_steps
        self.earliest = Fraction(before.pump_time_ms)
        self.latest = Fraction(after.pump_time_ms + 1)
        self.looks = []
        self.look(after)

    def look(self, status):
        """Takes another count."""
        counted = status.counted_steps - self.base
        self.looks.append((status.pump_time_ms, counted))
        # |counted - rate * (t - begin)| <= 1, where t is up to a millisecond later than the status says.
        self.earliest = max(self.earliest, status.pump_time_ms - (counted + 1) / self.per_ms)
        self.latest = min(self.latest, status.pump_time_ms + 1 - (counted - 1) / self.per_ms)
        assert self.earliest <= self.latest, (
            f"off course by more than a step: {float(self.per_ms * 1000):.6f} steps a second, (ms, steps) {self.looks}"
        )
        assert status.deficit_steps == 0, f"{status.deficit_steps} steps were prescribed and not made"

    def counted(self):
        return self.looks[-1][1]

    def prescribed(self):
        """Whole steps prescribed by the last look, if it began in the middle of what is possible."""
        begin = (self.earliest + self.latest) / 2
        return math.floor(self.per_ms * (self.looks[-1][0] - begin))

    def report(self, what):
        seconds = (self.looks[-1][0] - self.looks[0][0]) / 1000
        line = f"{what}: counted {self.counted()}, prescribed {self.prescribed()}, in {seconds:.1f} s, {len(self.looks)} looks"
        print(line)
        assert abs(self.counted() - self.prescribed()) <= 1, line
        return line
