"""The firmware as a Linux process, without a radio: one boot, what it is told, and what it said."""

import itertools
import re
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/client"))
from thecal import messages  # noqa: E402

# src/drivers/include/thecal/system.h and fault.h: what a process ends with that resets itself, and one whose power was cut.
RESET_STATUS = 75
POWER_CUT_STATUS = 76


# The place of the role in src/protocol/src/roles.rs, Role.
CLINICIAN = 1


# Command numbers never used before, by whichever boot of whichever flash file, and all as long on the wire: a cut is to come at the same place.
_numbers = itertools.count(1 << 21)
_numbering = threading.Lock()


def handed_over(commands, every_ms):
    """Options that hand over commands as the link would, in one session of a clinician and that far apart."""
    # src/firmware/src/message.rs, FromLink::Request: its variant, the session, the caller's slot and role, the request.
    head = bytes([0, 1, 0, CLINICIAN])
    with _numbering:
        numbers = list(itertools.islice(_numbers, len(commands)))
    requests = (messages.encode("Request", messages.Request(counter, number, command))
                for counter, (number, command) in enumerate(zip(numbers, commands, strict=True), 1))
    orders = ",".join((head + request).hex() for request in requests)
    return (f"--commands={orders}", f"--commands-every={every_ms}")


def boot(program, flash, *arguments, limit=30):
    """One boot; simulated time runs as fast as it can: (exit status, what it said)."""
    command = [program, f"--flash={flash}", "--no-rt", *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", timeout=limit, check=False)
    except subprocess.TimeoutExpired as late:
        return None, (late.stdout or b"").decode(errors="replace") if isinstance(late.stdout, bytes) else str(late.stdout)
    return done.returncode, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
