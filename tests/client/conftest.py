"""Tests are coroutines, each with its own event loop and a limited time. A virtual pump is a process of its own, with its flash in a file."""

import asyncio
import inspect
import json
import os
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest

from thecal.keys import Pack

ROOT = Path(__file__).resolve().parents[2]
TIME_LIMIT_S = 90


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    function = pyfuncitem.obj
    if not inspect.iscoroutinefunction(function):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(function).parameters}

    async def limited():
        async with asyncio.timeout(TIME_LIMIT_S):
            await function(**arguments)

    asyncio.run(limited())
    return True


def executable():
    """The virtual pump under test, from THECAL; where `cargo build --release` puts it when that is not set."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return os.environ.get("THECAL", str(target / "release/thecal"))


class VirtualPump:
    """`thecal serve` on a flash file, at real speed unless it is told otherwise."""

    def __init__(self, folder):
        self.flash = Path(folder) / "flash.bin"
        self.process = None
        self.port = None
        self.said = ""

    def start(self):
        self.process = subprocess.Popen(
            [executable(), "serve", "--port", "0", "--flash", str(self.flash)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for line in self.process.stdout:
            self.said += line
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                return
        raise AssertionError(f"thecal serve does not say where it is:\n{self.said}")

    def stop(self):
        process, self.process = self.process, None
        if process is not None:
            process.terminate()
            process.wait(timeout=20)
            process.stdout.close()

    def restart(self):
        self.stop()
        self.start()

    @property
    def pack(self):
        """The text of the sterile pack, kept beside the flash."""
        return Pack.read(Path(f"{self.flash}.pack").read_text())

    def simulation(self, change=None):
        data = None if change is None else json.dumps(change).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/simulation", data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def hold_magnet(self):
        """Somebody holds a magnet over the pump, for as long as it takes."""
        self.simulation({"magnet": True})


@pytest.fixture
def pump(tmp_path):
    pump = VirtualPump(tmp_path)
    pump.start()
    yield pump
    pump.stop()
