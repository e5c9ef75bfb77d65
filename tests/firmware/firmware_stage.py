"""The firmware's part of scripts/test: images, driver suites on Zephyr, Bluetooth and the page against native_sim."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

NATIVE_SIM = "native_sim/native/64"
BOARDS = ["nrf52840dk/nrf52840", "nrf52833dk/nrf52833", "nrf52dk/nrf52832"]
# What zephyr-lang-rust builds for: native_sim on this processor, and Cortex-M4 with the soft-float interface.
RUST_TARGETS = [f"{os.uname().machine}-unknown-none", "thumbv7em-none-eabi"]
TWISTER_COUNTS = r"(?P<passed>\d+) of \d+ executed test cases passed"
PYTEST_COUNTS = r"(?P<passed>\d+) passed|(?P<failed>\d+) (?:failed|errors?)\b|(?P<skipped>\d+) skipped"
NODE_COUNTS = r"^[ℹ#] (?:pass (?P<passed>\d+)|fail (?P<failed>\d+)|skipped (?P<skipped>\d+))"


class Firmware:
    """One run: where Zephyr is, with what it is built, and where the builds go."""

    def __init__(self, stage, workspace, target):
        self.stage = stage
        self.zephyr = workspace
        self.folder = target / "zephyr"
        self.environment = {"ZEPHYR_BASE": str(workspace)}
        self.python = sys.executable
        self.folder.mkdir(parents=True, exist_ok=True)

    def prepare(self):
        """Python, Rust and compilers for Zephyr; False after having said what is missing."""
        return self.find_programs() and self.find_python() and self.find_rust()

    def find_programs(self):
        packages = ["cmake cmake", "ninja ninja-build", "dtc device-tree-compiler"]
        needs = " && ".join(f"need_command {names}" for names in packages)
        status, output = self.stage.run(["bash", "-c", f". scripts/lib/need.sh; {needs}"])
        self.stage.verdict("CMake, Ninja and the device-tree compiler", status == 0, output)
        return status == 0

    def find_python(self):
        """An environment of our own with what Zephyr's build, twister and the Bluetooth tests import."""
        environment = self.folder / "python"
        python = environment / "bin/python"
        commands = [
            [sys.executable, "-m", "venv", environment],
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "west",
             "-r", self.zephyr / "scripts/requirements-base.txt",
             "-r", self.zephyr / "scripts/requirements-build-test.txt",
             "-r", self.zephyr / "scripts/requirements-run-test.txt",
             "-r", ROOT / "tests/ble/requirements.txt"],
        ]
        for command in commands:
            if not self.stage.check(f"python: {Path(command[2]).name} {command[3] if len(command) > 3 else ''}".strip(), command):
                return False
        self.python = str(python)
        self.environment["VIRTUAL_ENV"] = str(environment)
        self.environment["PATH"] = os.pathsep.join([str(environment / "bin"), os.environ["PATH"]])
        return True

    def find_rust(self):
        """zephyr-lang-rust calls whatever `cargo` is on the PATH: puts one there that builds for every target."""
        chosen = None
        for target in RUST_TARGETS:
            self.stage.run(["bash", "-c", f". scripts/lib/need.sh; need_rust_target {target}"])
            status, output = self.stage.run(["scripts/lib/rust_target.sh", target])
            if status != 0:
                self.stage.verdict(f"a Rust for {target}", False, output)
                return False
            values = {}
            for line in output.splitlines():
                for word in shlex.split(line.removeprefix("export ")) if "=" in line else []:
                    name, _, value = word.partition("=")
                    values[name] = value
            if chosen is None or values.get("RUSTC", "rustc") != "rustc":
                chosen = values
        if chosen.get("RUSTC", "rustc") != "rustc":
            programs = self.folder / "rust"
            shutil.rmtree(programs, ignore_errors=True)
            programs.mkdir()
            there = Path(chosen["RUSTC"]).parent
            for name in ["cargo", "rustc", "rustdoc", "cargo-clippy", "clippy-driver"]:
                if (there / name).exists():
                    (programs / name).symlink_to(there / name)
            self.environment["PATH"] = os.pathsep.join([str(programs), self.environment["PATH"]])
            self.environment["RUSTC_BOOTSTRAP"] = "1"
            self.environment["CARGO_UNSTABLE_BUILD_STD"] = "core,alloc"
        self.stage.verdict("a Rust for the firmware", True)
        return True

    def toolchain(self):
        """What compiles for Arm, or None."""
        if os.environ.get("ZEPHYR_TOOLCHAIN_VARIANT") not in (None, "", "host"):
            return {}
        if os.environ.get("ZEPHYR_SDK_INSTALL_DIR"):
            return {}
        compiler = shutil.which("arm-none-eabi-gcc")
        if compiler is None:
            self.stage.run(["bash", "-c", ". scripts/lib/need.sh; need gcc-arm-none-eabi libnewlib-arm-none-eabi"])
            compiler = shutil.which("arm-none-eabi-gcc")
        if compiler is None:
            return None
        return {"ZEPHYR_TOOLCHAIN_VARIANT": "gnuarmemb", "GNUARMEMB_TOOLCHAIN_PATH": str(Path(compiler).parent.parent)}

    def build(self, what, source, board, folder, *arguments, toolchain=None):
        """Configures and builds an application; one test. Returns its folder, or None."""
        folder = self.folder / folder
        environment = {**self.environment, **({"ZEPHYR_TOOLCHAIN_VARIANT": "host"} if toolchain is None else toolchain)}
        status, output = self.stage.run(
            ["cmake", "-G", "Ninja", "-S", source, "-B", folder, f"-DBOARD={board}", f"-DPython3_EXECUTABLE={self.python}",
             *arguments],
            env=environment,
        )
        if status == 0:
            status, output = self.stage.run(["cmake", "--build", folder], env=environment)
        self.stage.verdict(what, status == 0, output)
        if status != 0:
            return None
        for line in re.findall(r"^ +(?:FLASH|RAM): .*$", output, re.MULTILINE):
            print(f"  {board} {line.strip()}")
        return folder

    def no_symbol_twice(self, what, folder):
        """The linker is told to allow it, so nothing else would notice a name that both Rust and C define."""
        rust = next(folder.rglob("librustapp.a"), None)
        archives = [path for path in folder.rglob("*.a") if path.name != "librustapp.a" and "rust/target" not in str(path)]

        def defined(paths):
            done = subprocess.run(["nm", "--defined-only", "--extern-only", *paths], capture_output=True, text=True, check=False)
            return set(re.findall(r"^[0-9a-f]+ [TDBRC] (thecal_\w+|rust_\w+)$", done.stdout, re.MULTILINE))

        both = defined([rust]) & defined(archives) if rust else {"no librustapp.a"}
        self.stage.verdict(what, not both, f"defined in Rust and in C: {', '.join(sorted(both))}")


def lock_file():
    return (ROOT / "src/firmware/Cargo.lock").read_bytes()


def run(stage, workspace, target):
    """Called by scripts/test when a Zephyr workspace was found."""
    firmware = Firmware(stage, workspace, target)
    if not firmware.prepare():
        return
    lock = lock_file()
    native = firmware.build("native_sim image", ROOT, NATIVE_SIM, "native_sim")
    if native:
        firmware.no_symbol_twice("native_sim: no symbol in both Rust and C", native)
    arm = firmware.toolchain()
    if arm is None:
        stage.tally.skip("zephyr: nRF52 images", "no Arm compiler (gcc-arm-none-eabi, or the Zephyr SDK)", len(BOARDS))
    else:
        for board in BOARDS:
            folder = firmware.build(f"{board} image", ROOT, board, board.split("/")[0], toolchain=arm)
            if folder:
                firmware.no_symbol_twice(f"{board}: no symbol in both Rust and C", folder)
    stage.verdict("src/firmware/Cargo.lock is as it was", lock_file() == lock, "the builds have changed it: commit it or find out why")
    twister(stage, firmware, arm)
    if native is None:
        stage.tally.skip("zephyr: Bluetooth end to end", "there is no native_sim image")
        return
    system_tests(stage, firmware, native, target)


def twister(stage, firmware, arm):
    """Driver suites that need Zephyr: run on native_sim, built for the boards."""
    platforms = [NATIVE_SIM, *(BOARDS if arm is not None else [])]
    output = firmware.folder / "twister"
    stage.counted(
        "twister suites",
        [firmware.python, firmware.zephyr / "scripts/twister", "-T", "tests/drivers", "--clobber-output", "-O", output,
         "--inline-logs", *(word for platform in platforms for word in ("-p", platform))],
        TWISTER_COUNTS,
        env={**firmware.environment, **(arm or {"ZEPHYR_TOOLCHAIN_VARIANT": "host"})},
    )


def system_tests(stage, firmware, native, target):
    """A real Bluetooth host stack, and the page over it, against the firmware as a process."""
    environment = {**firmware.environment, "THECAL_NATIVE_SIM": str(native / "zephyr/zephyr.exe")}
    locked = firmware.build("native_sim image with a locked link", ROOT / "tests/drivers/link", NATIVE_SIM, "link_locked")
    if locked:
        environment["THECAL_NATIVE_SIM_LOCKED"] = str(locked / "zephyr/zephyr.exe")
    stage.counted(
        "Bluetooth end to end",
        [firmware.python, "-m", "pytest", "-rA", "--capture=tee-sys", "tests/ble"],
        PYTEST_COUNTS,
        env=environment,
    )
    for line in sorted(set(re.findall(r"^.*counted -?\d+, prescribed .*$", stage.log.read_text(), re.MULTILINE))):
        print(f"  {line}")
    thecal, page = target / "release/thecal", target / "page"
    if not (thecal.exists() and page.exists() and (ROOT / "tests/browser/node_modules").exists()):
        stage.tally.skip("zephyr: page over Web Bluetooth to native_sim", "the browser stage has not built the page")
        return
    stage.counted(
        "page over Web Bluetooth to native_sim",
        [firmware.python, "tests/ble/bridge_backend.py", "node", "--test", "--test-reporter=spec", "tests/browser/web_bluetooth.test.mjs"],
        NODE_COUNTS,
        env={**environment, "THECAL": str(thecal), "THECAL_PAGE": str(page)},
    )
