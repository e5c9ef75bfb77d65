"""The stages of scripts/test: each runs real commands, reads their own counts, and keeps a log."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import zephyr_workspace

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
LOGS = TARGET / "test-logs"
CORE_CRATES = ["units", "therapy", "protocol", "journal", "pump"]
THUMB = "thumbv7em-none-eabihf"


class Tally:
    """What has passed, failed and been skipped so far."""

    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.skipped = 0
        self.failures = []
        self.skips = []

    def add(self, passed, failed, skipped=0):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def fail(self, what):
        self.failed += 1
        self.failures.append(what)

    def skip(self, what, why, count=1):
        self.skipped += count
        self.skips.append(f"{what}: {why}")


class Stage:
    """One stage: a name, a log, and the tally it adds to."""

    def __init__(self, name, tally):
        self.name = name
        self.tally = tally
        self.log = LOGS / f"{name}.log"
        self.log.write_text("")

    def run(self, command, *, env=None, cwd=ROOT):
        """Runs a command with its output in the log; returns (exit status, output)."""
        shown = shlex.join(str(part) for part in command)
        with self.log.open("a") as log:
            log.write(f"\n$ {shown}\n")
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        with self.log.open("a") as log:
            log.write(done.stdout)
        return done.returncode, done.stdout

    def check(self, what, command, **options):
        """A command that passes by exiting 0: one test."""
        status, output = self.run(command, **options)
        self.verdict(what, status == 0, output)
        return status == 0

    def verdict(self, what, good, output=""):
        """Counts one test."""
        if good:
            self.tally.add(1, 0)
            return
        self.tally.fail(f"{self.name}: {what}")
        print(f"  FAILED {what} (whole log: {self.log})")
        for line in output.splitlines()[-25:]:
            print(f"    {line}")

    def counted(self, what, command, pattern, **options):
        """A test runner: its own counts are read from its output by `pattern` (groups passed, failed, skipped)."""
        status, output = self.run(command, **options)
        passed = failed = skipped = 0
        for found in re.finditer(pattern, output, re.MULTILINE):
            groups = found.groupdict()
            passed += int(groups.get("passed") or 0)
            failed += int(groups.get("failed") or 0)
            skipped += int(groups.get("skipped") or 0)
        self.tally.add(passed, failed)
        if skipped:
            self.tally.skip(f"{self.name}: {what}", f"{skipped} skipped by the runner itself, see {self.log}", skipped)
        if failed:
            self.tally.failures.append(f"{self.name}: {what}, {failed} failed")
        if status != 0 and failed == 0:
            self.tally.fail(f"{self.name}: {what} ended with status {status}")
        if status == 0 and passed + failed == 0:
            self.tally.fail(f"{self.name}: {what} ran no test")
        if status != 0 or failed:
            print(f"  FAILED {what} (whole log: {self.log})")
            for line in output.splitlines()[-60:]:
                print(f"    {line}")
        return status == 0


CARGO_COUNTS = r"^test result: \w+\. (?P<passed>\d+) passed; (?P<failed>\d+) failed; (?P<skipped>\d+) ignored"
# node's test runner, in both of its reporters.
NODE_COUNTS = r"^[ℹ#] (?:pass (?P<passed>\d+)|fail (?P<failed>\d+)|skipped (?P<skipped>\d+))"
PYTEST_COUNTS = r"(?P<passed>\d+) passed|(?P<failed>\d+) (?:failed|errors?)\b|(?P<skipped>\d+) skipped"
PLAIN_COUNTS = r"^(?P<passed>\d+) passed, (?P<failed>\d+) failed"


def lints(stage):
    """Formatting, clippy's rules of the core, documentation, rules of the tree, what is required and shown."""
    stage.check("cargo fmt", ["cargo", "fmt", "--all", "--check"])
    stage.check(
        "clippy",
        ["cargo", "clippy", "--locked", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"],
    )
    stage.check(
        "cargo doc",
        ["cargo", "doc", "--locked", "--workspace", "--no-deps", "--document-private-items"],
        env={"RUSTDOCFLAGS": "-D warnings"},
    )
    stage.check("rules of the tree", [sys.executable, "scripts/lib/tree_rules.py"])
    stage.check("requirements, hazards and numbers to sign", [sys.executable, "scripts/lib/requirements.py"])
    stage.check("the scripts' own tests", [sys.executable, "-m", "unittest", "discover", "-s", "scripts/lib", "-p", "*_test.py"])


def crates(stage):
    """Every crate's tests on this machine, with no Zephyr tree."""
    stage.counted(
        "cargo test", ["cargo", "test", "--locked", "--workspace", "--all-features", "--no-fail-fast"], CARGO_COUNTS
    )
    stage.check(
        "the log's records in a second hand, against table and document",
        [sys.executable, "-m", "unittest", "discover", "-s", "tests/ble", "-p", "test_history.py"],
    )


def thumb(stage):
    """The core crates and the drivers' crate compile for the pump's processor."""
    env = rust_for(stage, THUMB)
    if env is None:
        return
    for crate in [*CORE_CRATES, "drivers"]:
        stage.check(
            f"{crate} for {THUMB}",
            [env["CARGO"], "check", "--locked", "--package", crate, "--target", THUMB, *env["arguments"]],
            env={**env["environment"], "CARGO_TARGET_DIR": str(TARGET / "thumb")},
        )
    # It is run by people (scripts/cost), and is not to rot meanwhile.
    stage.check(
        "what scripts/cost runs",
        [env["CARGO"], "check", "--locked", "--target", THUMB, *env["arguments"]],
        env={**env["environment"], "CARGO_TARGET_DIR": str(TARGET / "thumb")},
        cwd=ROOT / "src/protocol/cost",
    )


def rust_for(stage, target):
    """A Rust that builds for `target`, or None after having said why there is none."""
    stage.run(["bash", "-c", f". scripts/lib/need.sh; need_rust_target {target}"])
    done = subprocess.run(
        ["scripts/lib/rust_target.sh", target], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        stage.verdict(f"a Rust for {target}", False, done.stderr)
        return None
    values = {}
    for line in done.stdout.splitlines():
        words = shlex.split(line.removeprefix("export "))
        if words and "=" in words[0]:
            name, value = words[0].split("=", 1)
            values[name] = value
    arguments = shlex.split(values.pop("CARGO_TARGET_ARGUMENTS", ""))
    return {"CARGO": values.get("CARGO", "cargo"), "environment": values, "arguments": arguments}


def drivers(stage):
    """The C driver cores under the address and undefined-behaviour sanitizers."""
    stage.counted("C cores", ["tests/drivers/motor/run_host.sh"], PLAIN_COUNTS)


def scenarios(stage):
    """The command a user types, run to its end, against the golden summary; wrong input refused."""
    stage.counted("scenarios", [sys.executable, "tests/scenarios/check.py"], PLAIN_COUNTS)


def client(stage):
    """The second implementation of the protocol (docs/protocol.md): against the kept vectors, and against the virtual pump."""
    python = client_environment(stage)
    if python is None:
        return
    if not stage.check("virtual pump", ["cargo", "build", "--release", "--locked", "--package", "simulator"]):
        return
    stage.counted(
        "client",
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/client"],
        PYTEST_COUNTS,
        env={"THECAL": str(TARGET / "release/thecal")},
    )


def client_environment(stage):
    """A Python with the packages that tests/client needs: this one, or one made for the purpose. None after having said why not."""
    wanted = ROOT / "tests/client/requirements.txt"
    status, _ = stage.run([sys.executable, "-c", "import cryptography, pytest, websockets.asyncio.client"])
    if status == 0:
        return sys.executable
    folder = TARGET / "client-venv"
    python = folder / "bin/python3"
    stamp = folder / "requirements.txt"
    if stamp.is_file() and stamp.read_text() == wanted.read_text():
        return python
    for command in (
        [sys.executable, "-m", "venv", "--clear", folder],
        [folder / "bin/pip", "install", "--quiet", "-r", wanted],
    ):
        status, output = stage.run(command)
        if status != 0:
            stage.verdict("Python packages of tests/client/requirements.txt (apt-get install python3-venv)", False, output)
            return None
    stamp.write_text(wanted.read_text())
    return python


def browser(stage):
    """The page in a real Chromium against the virtual pump, over both carriers."""
    status, output = stage.run(["bash", "-c", ". scripts/lib/need.sh; need_command chromium chromium && need_command node nodejs && "
                                "need_rust_target wasm32-unknown-unknown"])
    if status != 0:
        stage.verdict("Chromium, Node and a Rust for WebAssembly", False, output)
        return
    if not stage.check("npm ci", ["npm", "ci", "--no-audit", "--no-fund"], cwd=ROOT / "tests/browser"):
        return
    if not stage.check("page build", ["src/programmer/build.sh"]):
        return
    if not stage.check("virtual pump", ["cargo", "build", "--release", "--locked", "--package", "simulator"]):
        return
    tests = sorted(str(path.relative_to(ROOT / "tests/browser")) for path in (ROOT / "tests/browser").glob("*.test.mjs"))
    stage.counted(
        "browser",
        ["node", "--test", "--test-concurrency=1", "--test-reporter=spec", *tests],
        NODE_COUNTS,
        cwd=ROOT / "tests/browser",
        env={"THECAL": str(TARGET / "release/thecal"), "THECAL_PAGE": str(TARGET / "page")},
    )


def zephyr(stage):
    """Firmware: images, twister suites, BLE end to end, the page over emulated Web Bluetooth to native_sim."""
    workspace = zephyr_workspace.find(ROOT)
    parts = ["native_sim image", "nRF52840 image", "power cuts on native_sim", "twister suites", "BLE end to end",
             "page over Web Bluetooth to native_sim"]
    if workspace is None:
        for part in parts:
            stage.tally.skip(f"zephyr: {part}", zephyr_workspace.NOT_FOUND)
        return
    sys.path.insert(0, str(ROOT / "tests/firmware"))
    import firmware_stage

    firmware_stage.run(stage, workspace, TARGET)


STAGES = {
    "lints": lints,
    "crates": crates,
    "thumb": thumb,
    "drivers": drivers,
    "scenarios": scenarios,
    "client": client,
    "browser": browser,
    "zephyr": zephyr,
}


def prepare():
    """Installs what the stages need, or says exactly what to install."""
    done = subprocess.run(
        ["bash", "-c", ". scripts/lib/need.sh; need_host_build && need_command git git"], cwd=ROOT, check=False
    )
    if done.returncode != 0:
        sys.exit(1)
    if shutil.which("cargo-clippy") is None or shutil.which("cargo-fmt") is None:
        sys.exit("Missing: clippy and rustfmt. Install with: rustup component add clippy rustfmt")


def main(arguments):
    if arguments == ["--list"]:
        for name, function in STAGES.items():
            print(f"{name:10} {function.__doc__}")
        return 0
    unknown = [name for name in arguments if name not in STAGES]
    if unknown:
        print(f"No such stage: {', '.join(unknown)}. There are: {', '.join(STAGES)}.", file=sys.stderr)
        return 2
    LOGS.mkdir(parents=True, exist_ok=True)
    prepare()
    tally = Tally()
    for name in arguments or STAGES:
        began = time.monotonic()
        before = (tally.passed, tally.failed, tally.skipped)
        print(f"{name}: {STAGES[name].__doc__}", flush=True)
        STAGES[name](Stage(name, tally))
        passed, failed, skipped = (now - then for now, then in zip((tally.passed, tally.failed, tally.skipped), before))
        print(f"  {passed} passed, {failed} failed, {skipped} skipped in {time.monotonic() - began:.0f} s", flush=True)
    if tally.skips:
        print("\nSkipped:")
        for line in tally.skips:
            print(f"  {line}")
    if tally.failures:
        print("\nFailed:")
        for line in tally.failures:
            print(f"  {line}")
    print(f"\n{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
