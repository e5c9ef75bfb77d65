"""The pump as a process: the firmware built for native_sim, with its flash in a file."""

import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

# What the process ends with when the pump resets itself (src/drivers/include/thecal/system.h).
RESET_STATUS = 75

# The flash of native_sim and the page of the production line in it (boards/native_sim_native_64.overlay, docs/protocol.md).
FLASH_BYTES = 1032 * 1024
PACK_PAGE = 0xFF000


class PumpError(Exception):
    """The process is not as it should be."""


def executable():
    """The native_sim executable under test, from THECAL_NATIVE_SIM."""
    named = os.environ.get("THECAL_NATIVE_SIM")
    if not named:
        raise PumpError("THECAL_NATIVE_SIM names no executable: the firmware built for native_sim (docs/zephyr.md)")
    path = Path(named).resolve()
    if not os.access(path, os.X_OK):
        raise PumpError(f"THECAL_NATIVE_SIM: {path} is not an executable file")
    return path


def _die_with_parent():
    # Without the controller at the other end of its socket the process would spin for ever, so nobody may leave it behind.
    parent_death_signal = 1
    ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGKILL)


class Pump:
    """One pump: the same flash over all of its boots. Started and stopped by whoever has the radio."""

    def __init__(self, folder, path=None):
        self.path = path or executable()
        self.flash = Path(folder) / "flash.bin"
        self.log_path = Path(folder) / "pump.log"
        self.process = None
        # More for the command line of the next start.
        self.arguments = []
        # What the production line writes into the flash of a new pump.
        self.page = None

    def start(self, port):
        """Boots; its Bluetooth controller listens at `port`."""
        if self.process is not None:
            raise PumpError("started twice")
        arguments = self.arguments
        if not self.flash.exists() and self.page is not None:
            blank = bytearray(b"\xff" * FLASH_BYTES)
            blank[PACK_PAGE : PACK_PAGE + len(self.page)] = self.page
            self.flash.write_bytes(blank)
            # Somebody stands by with a magnet.
            if not any(argument.startswith("--magnet-at") for argument in arguments):
                arguments = [*arguments, "--magnet-at=0"]
        command = [
            str(self.path),
            f"--bt-dev=127.0.0.1:{port}",
            f"--flash={self.flash}",
            # Another boot, other random numbers; without this they would be the same each time.
            "--seed-random",
            *arguments,
        ]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent,
            )

    def cut_power(self):
        """Ends the process at once, wherever it is. What its flash has then, the next boot finds."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait(timeout=10)

    def check(self):
        """Raises when the process has ended by itself."""
        status = self.process.poll() if self.process else None
        if status is not None:
            what = "reset itself" if status == RESET_STATUS else f"ended with status {status}"
            raise PumpError(f"the pump {what}; its log ends with:\n{self.tail()}")

    def log(self):
        """What it has printed over all boots."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_of_this_boot(self):
        return self.log().rpartition("*** Booting Zephyr OS")[2]

    def tail(self, lines=30):
        return "\n".join(self.log().splitlines()[-lines:])

    def halt(self):
        """Stops the processor (and the pump's time) until `go_on`: what is sent meanwhile arrives all at once."""
        self.process.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + 5
        while "T" not in Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]:
            if time.monotonic() > deadline:
                raise PumpError("the process does not stop")
            time.sleep(0.005)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)
