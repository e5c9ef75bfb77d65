"""The firmware as a Linux process, without a radio: one boot, and what it said."""

import re
import subprocess

# src/drivers/include/thecal/system.h and fault.h: what a process ends with that resets itself, and one whose power was cut.
RESET_STATUS = 75
POWER_CUT_STATUS = 76


def boot(program, flash, *arguments, limit=30):
    """One boot; simulated time runs as fast as it can: (exit status, what it said)."""
    command = [program, f"--flash={flash}", "--no-rt", *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", timeout=limit, check=False)
    except subprocess.TimeoutExpired as late:
        return None, (late.stdout or b"").decode(errors="replace") if isinstance(late.stdout, bytes) else str(late.stdout)
    return done.returncode, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
