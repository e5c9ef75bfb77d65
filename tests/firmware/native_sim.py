"""The firmware as a Linux process, without a radio: one boot, what it is told, and what it said."""

import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/ble"))
import wire  # noqa: E402

# src/drivers/include/thecal/system.h and fault.h: what a process ends with that resets itself, and one whose power was cut.
RESET_STATUS = 75
POWER_CUT_STATUS = 76


def handed_over(commands, every_ms):
    """Options that hand over commands as the link would, in one session and that far apart."""
    # src/firmware/src/message.rs, FromLink::Request: its variant, the session, the request.
    requests = (wire.encode(wire.Request, wire.Request(number, command)) for number, command in enumerate(commands, 1))
    messages = ",".join((wire.varint(0) + wire.varint(1) + request).hex() for request in requests)
    return (f"--commands={messages}", f"--commands-every={every_ms}")


def boot(program, flash, *arguments, limit=30):
    """One boot; simulated time runs as fast as it can: (exit status, what it said)."""
    command = [program, f"--flash={flash}", "--no-rt", *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", timeout=limit, check=False)
    except subprocess.TimeoutExpired as late:
        return None, (late.stdout or b"").decode(errors="replace") if isinstance(late.stdout, bytes) else str(late.stdout)
    return done.returncode, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
