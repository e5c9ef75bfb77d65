"""Power cuts within the flash, on native_sim: wherever the power fails, the next boot is a pump in therapy with nothing lost.

    power_cuts.py IMAGE [--thecal FILE] [--cuts N]       IMAGE: zephyr.exe, built with CONFIG_THECAL_FAULT_INJECTION

A cut is a number of a flash operation (a word written, a page erased) and a seed: it does not begin, is torn, or is done and nobody is
told. Each begins from a copy of a flash file at an age at which something happens: the first boot of all, a later one, and the boots in
which a page of the state or of the checkpoints is erased. Everything is simulated, so the same cuts give the same files each time.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from native_sim import POWER_CUT_STATUS, boot, handed_over, messages
from programs import continuous
from thecal.messages import Command
from thecal.programming import digest

ROOT = Path(__file__).resolve().parents[2]
CUTS = 150
# docs/therapy.md: therapy is back within 60 s of a reset.
BASAL_LIMIT_MS = 60_000
# Lines of errors that a boot without a radio has.
NO_RADIO = ("bt_hci_core", "link: Bluetooth does not start")
# Between two messages to the pump: more than a commit takes that has to erase a page of each bank.
COMMAND_MS = 600
# A boot that is to show that all is well: long enough for a checkpoint.
LOOK = ("--stop_at=65",)


class Unexpected(Exception):
    """A boot was not as it should be; says how, with what it said."""


def check_flash(thecal, path, gaps=False):
    """Reads both logs of a flash file whose pump is off, as anybody would: whole, chained, and ending at their heads.

    A page that no longer erases takes the records with it that were on it: with `gaps` such a hole is no surprise.
    """
    for log in ("events", "critical"):
        command = [thecal, "log", path, "--check", "--json", "--log", log]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode not in ((0, 3) if gaps else (0,)):
            raise Unexpected(f"thecal log --log {log} ended with status {done.returncode}\n{done.stdout}{done.stderr}")
        found = json.loads(done.stdout)
        if found["records"]["count"] == 0:
            raise Unexpected(f"the log of {log} is empty")


def total(number):
    """The dose of a day of the program with this number, ng."""
    return 250_000 + 1_000 * (number % 10)


def shown(number):
    """What whoever commits it has seen."""
    if number == 1:
        return messages.Shown(None, total(1), None)
    old, new = total(number - 1), total(number)
    # To the nearest tenth of a percent, halves away from zero.
    tenths = (2_000 * abs(new - old) + old) // (2 * old)
    return messages.Shown(old, new, tenths if new >= old else -tenths)


def commands(first, count):
    """Options that put programs into force, the first of them with this number: the pump is commissioned and filled before the first of all."""
    orders = []
    if first == 1:
        orders.append(Command.Commission(messages.Commissioning("ProgrammableImplant", 2_500_000, 20_000_000)))
    for number in range(first, first + count):
        fill_nl = 20_000_000 if number == 1 else None
        program = continuous("Baclofen", 2_000_000, total(number), fill_nl=fill_nl)
        # More than one rise within a day wants a reason.
        commit = messages.Commit(digest(program, number), shown(number), "Titration")
        orders += [Command.Stage(program), Command.Commit(commit)]
    return handed_over(orders, COMMAND_MS)


def seconds_for(count):
    """Simulated time in which the pump has been commissioned and so many programs put into force."""
    return 5 + (1 + 2 * count) * COMMAND_MS // 1000


def committed(thecal, path):
    """Numbers of the programs that the log of a flash file says were put into force."""
    with tempfile.TemporaryDirectory(prefix="thecal-committed-") as folder:
        export = Path(folder) / "export"
        command = [thecal, "log", path, "--output", export]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Unexpected(f"thecal log ended with status {done.returncode}\n{done.stdout}{done.stderr}")
        events = [json.loads(line) for line in (export / "events.jsonl").read_text().splitlines()]
    return [event["detail"]["number"] for event in events if event["event"] == "program committed"]


def operations(said):
    """(flash operations, those that were erases as (number, page))."""
    found = re.search(r"thecal: (\d+) flash operations, erases:(.*)", said)
    if found is None:
        raise Unexpected(f"no count of flash operations; is this an image with CONFIG_THECAL_FAULT_INJECTION?\n{said}")
    return int(found[1]), [(int(number), int(page, 16)) for number, page in re.findall(r"(\d+)@(\w+)", found[2])]


def boot_number(said):
    found = re.search(r"thecal: boot (\d+)", said)
    return int(found[1]) if found else 0


def whole_boot(program, flash, *arguments, limit=120):
    """A boot that nobody cuts; what it said."""
    status, said = boot(program, flash, *arguments, limit=limit)
    if status != 0:
        raise Unexpected(f"ended with status {status}\n{said}")
    return said


def check_recovery(said, before, *, whole=True):
    """What every boot after a cut must say; the boot's number."""
    number = boot_number(said)
    if number <= before:
        raise Unexpected(f"boot {number} after boot {before}\n{said}")
    began = re.search(r"delivery has begun, (\d+) ms after boot", said)
    if began is None or int(began[1]) >= BASAL_LIMIT_MS:
        raise Unexpected(f"no delivery within {BASAL_LIMIT_MS} ms\n{said}")
    condition = re.search(r"state doubtful (\w+), kinds of state lost (\d+)", said)
    if condition and (condition[1], condition[2]) != ("false", "0"):
        raise Unexpected(f"state lost\n{said}")
    errors = [line for line in said.splitlines() if "<err>" in line and not any(known in line for known in NO_RADIO)]
    if whole and errors:
        raise Unexpected(f"errors after a cut: {errors[0]}\n{said}")
    return number


@dataclass(frozen=True)
class Age:
    """A flash file and a boot from it that writes and erases."""

    name: str
    flash: Path
    # Boot number of the last boot that used the file.
    boots: int
    arguments: tuple
    operations: int
    erases: tuple


class Cuts:
    """All of it in one folder."""

    def __init__(self, program, thecal, folder):
        self.program = program
        self.thecal = thecal
        self.folder = folder
        self.boots = 0

    def copy(self, flash, name):
        target = self.folder / name
        if flash.exists():
            shutil.copyfile(flash, target)
        else:
            target.unlink(missing_ok=True)
        return target

    def boot(self, flash, *arguments):
        self.boots += 1
        return whole_boot(self.program, flash, *arguments)

    def age(self, name, flash, boots, *arguments):
        """Counts what there is to cut in a boot."""
        said = self.boot(self.copy(flash, "count.bin"), *arguments)
        count, erases = operations(said)
        return Age(name, flash, boots, arguments, count, tuple(erases))

    def ages(self):
        """Flash files of every age, oldest last."""
        blank = self.folder / "blank.bin"
        yield self.age("the first boot", blank, 0, "--stop_at=130", *commands(1, 3))

        programmed = self.folder / "programmed.bin"
        self.boot(programmed, f"--stop_at={seconds_for(10)}", *commands(1, 10))
        self.boot(programmed, *LOOK)
        # What the pump refuses is no flash operation, and nothing that could be cut.
        if committed(self.thecal, programmed) != list(range(1, 11)):
            raise Unexpected(f"programs {committed(self.thecal, programmed)} were put into force instead of 1 to 10")
        yield self.age("a later boot", programmed, 2, "--stop_at=130", *commands(11, 3))

        # As many programs as fit before a page of the state is erased; then some more.
        fits, too_many = 0, 200
        while too_many - fits > 1:
            count = (fits + too_many) // 2
            said = self.boot(self.copy(programmed, "count.bin"), f"--stop_at={seconds_for(count)}", *commands(11, count))
            fits, too_many = (fits, count) if operations(said)[1] else (count, too_many)
        full = self.copy(programmed, "full.bin")
        self.boot(full, f"--stop_at={seconds_for(fits)}", *commands(11, fits))
        yield self.age("a boot that erases state", full, 3, f"--stop_at={seconds_for(3)}", *commands(11 + fits, 3))

        if committed(self.thecal, full)[-1] != 10 + fits:
            raise Unexpected(f"program {committed(self.thecal, full)[-1]} is in force instead of {10 + fits}")

        # Checkpoints until the ring has gone round, to shortly before the erase.
        ring = self.copy(programmed, "ring.bin")
        for boots in range(2, 40):
            last = self.copy(ring, "last.bin")
            erases = operations(self.boot(ring, "--stop_at=10000"))[1]
            if erases:
                break
        else:
            raise Unexpected("the checkpoints have not gone round")
        status, said = boot(self.program, last, "--stop_at=10000", f"--flash-cut={max(1, erases[0][0] - 20)}", limit=120)
        if status != POWER_CUT_STATUS:
            raise Unexpected(f"a cut that did not come: status {status}\n{said}")
        yield self.age("a boot that erases checkpoints", last, boots + 1, "--stop_at=400")

    def cut(self, flash, arguments, before, number, seed):
        """A boot whose power fails; the highest boot number that was told so far."""
        self.boots += 1
        status, said = boot(self.program, flash, *arguments, f"--flash-cut={number}", f"--flash-cut-seed={seed}")
        if status != POWER_CUT_STATUS or operations(said)[0] != number:
            raise Unexpected(f"no cut at operation {number}: status {status}\n{said}")
        told = boot_number(said)
        if told and told <= before:
            raise Unexpected(f"boot {told} after boot {before}\n{said}")
        return max(told, before)

    def one(self, age, number, seed, twice):
        """One cut, sometimes a second one in the boot that recovers from it, and a look at what is left."""
        flash = self.copy(age.flash, "cut.bin")
        before = self.cut(flash, age.arguments, age.boots, number, seed)
        if twice:
            count = operations(self.boot(self.copy(flash, "count.bin"), *LOOK))[0]
            # The repairs come first: most of the second cuts are among them.
            second = 1 + seed * seed % (count if seed % 2 else min(count, 12))
            before = self.cut(flash, LOOK, before, second, seed // 3)
        before = check_recovery(self.boot(flash, *LOOK), before)
        check_flash(self.thecal, flash)
        # And what was mended stays so.
        said = self.boot(flash, "--stop_at=2")
        check_recovery(said, before)
        if "journal repaired" in said:
            raise Unexpected(f"repaired in two boots\n{said}")

    def worn(self, age, page):
        """A page that can no longer be erased, and says nothing."""
        flash = self.copy(age.flash, "worn.bin")
        before = age.boots
        for arguments in (age.arguments, LOOK, LOOK):
            self.boots += 1
            status, said = boot(self.program, flash, *arguments, f"--flash-worn={page}")
            if status != 0:
                raise Unexpected(f"ended with status {status}\n{said}")
            before = check_recovery(said, before, whole=False)
        check_flash(self.thecal, flash, gaps=True)


def places(age, count):
    """Operations of a boot to cut at: each erase and its neighbours, with several seeds, and for the rest all over it."""
    wanted = [(number + beside, 3 * turn + kind)
              for turn in range(3) for number, _ in age.erases for beside in (0, 1, -1) for kind in range(3)
              if turn == 0 or (beside == 0 and kind == 1)]
    wanted = [(number, seed) for number, seed in wanted if 1 <= number <= age.operations][:max(count * 2 // 3, 1)]
    rest = count - len(wanted)
    # Steps that share nothing with the three kinds of cut, and seeds that do not repeat.
    wanted += [(1 + place * age.operations // rest, 100 + 7 * place) for place in range(rest)]
    return wanted


def run(stage, program, thecal, cuts=CUTS):
    """Every cut counts as one test."""
    began = time.monotonic()
    done = failed = 0
    with tempfile.TemporaryDirectory(prefix="thecal-power-cuts-") as folder:
        here = Cuts(program, thecal, Path(folder))
        try:
            ages = list(here.ages())
        except Unexpected as reason:
            stage.verdict("power cuts: flash files to cut at", False, str(reason))
            return
        made = time.monotonic()
        for age in ages:
            for number, seed in places(age, cuts // len(ages) + (age is ages[0]) * (cuts % len(ages))):
                twice = done % 3 == 2
                why = attempt(lambda age=age, number=number, seed=seed, twice=twice: here.one(age, number, seed, twice))
                done, failed = done + 1, failed + bool(why)
                stage.verdict(f"power cut in {age.name}, operation {number} of {age.operations}, seed {seed}{', twice' * twice}",
                              not why, why)
            for page in sorted({page for _, page in age.erases}):
                why = attempt(lambda age=age, page=page: here.worn(age, page))
                stage.verdict(f"worn page {page:#x} in {age.name}", not why, why)
        print(f"  {done} power cuts, {failed} not survived; {here.boots} boots in {time.monotonic() - began:.0f} s, "
              f"of which {made - began:.0f} s to make the flash files", flush=True)


def attempt(what):
    """Why it is not as it should be, or nothing."""
    try:
        what()
    except Unexpected as reason:
        return str(reason)
    return ""


class Printed:
    """A stage of scripts/test, for whoever calls this by hand."""

    def __init__(self):
        self.failures = 0

    def verdict(self, what, good, output=""):
        if not good:
            self.failures += 1
            print(f"FAILED {what}\n{output}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", type=Path)
    parser.add_argument("--thecal", type=Path, default=ROOT / "target/release/thecal", help="the command line, for its `log`")
    parser.add_argument("--cuts", type=int, default=CUTS)
    arguments = parser.parse_args()
    stage = Printed()
    run(stage, arguments.image.resolve(), arguments.thecal.resolve(), arguments.cuts)
    return 1 if stage.failures else 0


if __name__ == "__main__":
    sys.exit(main())
