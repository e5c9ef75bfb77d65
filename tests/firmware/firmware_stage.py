"""The firmware's part of scripts/test: images, what can be said of them without running, and what they do on native_sim.

Builds stay in target/zephyr between runs and are thrown away when anything that configures them has changed.
"""

import concurrent.futures
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import footprint
import power_cuts
import stack_depth
import zephyr_tools
from native_sim import RESET_STATUS, boot, handed_over
from programs import set_clock
from zephyr_tools import CLEAN, ROOT, Missing

# West's name of the board, the name here, and the Rust target that zephyr-lang-rust takes for it.
NATIVE = ("native_sim/native/64", "native_sim", "x86_64-unknown-none")
BOARDS = [("nrf52840dk/nrf52840", "nRF52840", "thumbv7em-none-eabi")]
# The native_sim image under test may be broken on purpose; the boards' images are as they are shipped.
NATIVE_OPTIONS = ["-DCONFIG_THECAL_FAULT_INJECTION=y"]
# Of a thread's stack at most so much may be needed, in percent.
STACK_LIMIT = 95
# Of the link thread's, for session and protocol (docs/performance.md, "The link").
SESSION_BYTES = 8192
# docs/therapy.md: therapy is back within 60 s of a reset.
BASAL_LIMIT_MS = 60_000
PYTEST_COUNTS = r"(?P<passed>\d+) passed|(?P<failed>\d+) (?:failed|errors?)\b|(?P<skipped>\d+) skipped"
NODE_COUNTS = r"^[ℹ#] (?:pass (?P<passed>\d+)|fail (?P<failed>\d+)|skipped (?P<skipped>\d+))"


class Image:
    """One firmware build."""

    def __init__(self, folder, board, name, rust_target):
        self.board = board
        self.name = name
        self.rust_target = rust_target
        self.folder = folder / name
        self.elf = self.folder / "zephyr/zephyr.elf"
        # On native_sim alone.
        self.program = self.folder / "zephyr/zephyr.exe"
        self.library = self.folder / "src/firmware/rust/target" / rust_target / "release/librustapp.a"

    def configuration(self, workspace, options):
        """A fingerprint of everything that CMake and Kconfig read of ours; Cargo sees to the rest itself."""
        digest = hashlib.sha256(repr((str(workspace), options)).encode())
        files = [ROOT / name for name in ("CMakeLists.txt", "Kconfig", "prj.conf", "VERSION")]
        for folder in ("boards", "dts", "src/drivers", "src/firmware", "zephyr"):
            files += [path for path in sorted((ROOT / folder).rglob("*"))
                      if path.suffix in (".conf", ".overlay", ".dtsi", ".yaml", ".yml", ".txt", ".toml", ".cmake")
                      or path.name.startswith("Kconfig")]
        for path in files:
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
        return digest.hexdigest()

    def build(self, stage, workspace, environment, options, shared):
        """Builds; returns (good, output)."""
        stamp = self.folder / "configuration.sha256"
        wanted = self.configuration(workspace, options)
        if not stamp.is_file() or stamp.read_text() != wanted:
            shutil.rmtree(self.folder, ignore_errors=True)
            # What runs on this machine while compiling (build scripts, macros) is alike for all images: compiled once.
            rust = self.folder / "src/firmware/rust/target"
            rust.mkdir(parents=True)
            shared.mkdir(parents=True, exist_ok=True)
            (rust / "release").symlink_to(shared)
        command = [*CLEAN, "west", "build", "-b", self.board, "-d", self.folder, ROOT]
        status, output = stage.run([*command, "--", *options] if options else command, env=environment)
        if status == 0:
            stamp.write_text(wanted)
        return status == 0, output


def run(stage, workspace, target):
    """All parts; each counts as passed, failed or skipped in plain sight."""
    try:
        zephyr_tools.need_programs()
        python = zephyr_tools.find_python(stage, workspace, target)
    except Missing as reason:
        stage.verdict("programs and Python packages for a Zephyr build", False, str(reason))
        return
    lock = ROOT / "src/firmware/Cargo.lock"
    lock_before = lock.read_bytes()
    images, environments = build_images(stage, workspace, target, python)
    for image in images:
        look_at(stage, image)
    footprint_is_current(stage, [image for image in images if image.name != "native_sim"])
    stage.verdict("Cargo.lock as committed", lock.read_bytes() == lock_before,
                  "the build has changed src/firmware/Cargo.lock: commit it, or pin what it changed")
    native = next((image for image in images if image.name == "native_sim"), None)
    if native is None:
        for part in ("resets on native_sim", "power cuts on native_sim", "twister suites", "BLE end to end",
                     "page over Web Bluetooth to native_sim"):
            stage.tally.skip(f"zephyr: {part}", "there is no native_sim image")
        return
    resets(stage, native)
    # Whatever it was built from before: it reads what the images write.
    if stage.check("thecal", ["cargo", "build", "--release", "--locked", "--package", "simulator"]):
        power_cuts.run(stage, native.program, target / "release/thecal")
        full_queue(stage, native, target / "release/thecal")
    environment = environments["native_sim"]
    driver = twister(stage, target, environment)
    bluetooth(stage, python, native, driver)
    page(stage, python, native, target)


def build_images(stage, workspace, target, python):
    """Two at a time: the end of a build, one Rust crate and one link, leaves the other processor idle."""
    folder = target / "zephyr"
    wanted = [Image(folder, *NATIVE), *(Image(folder, *board) for board in BOARDS)]
    ready = []
    environments = {}
    try:
        arm = zephyr_tools.arm_toolchain()
    except Missing as reason:
        arm = None
        for image in wanted[1:]:
            stage.tally.skip(f"zephyr: {image.name} image", str(reason))
    for image in wanted:
        toolchain = {"ZEPHYR_TOOLCHAIN_VARIANT": "host"} if image.name == "native_sim" else arm
        if toolchain is None:
            continue
        try:
            environments[image.name] = zephyr_tools.environment(stage, workspace, target, python, image.rust_target, toolchain)
        except Missing as reason:
            stage.verdict(f"{image.name} image", False, str(reason))
            continue
        ready.append(image)

    def build(image):
        began = time.monotonic()
        options = NATIVE_OPTIONS if image.name == "native_sim" else []
        good, output = image.build(stage, workspace, environments[image.name], options, folder / "rust-host")
        return image, good, output, time.monotonic() - began

    built = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for image, good, output, seconds in pool.map(build, ready):
            stage.verdict(f"{image.name} image", good, output)
            if good:
                print(f"  {image.name} image in {seconds:.0f} s: {summary(output)}", flush=True)
                built.append(image)
    return built, environments


def summary(output):
    found = re.search(r"Image: .*", output)
    return found.group() if found else "built"


def look_at(stage, image):
    """What can be said of an image without running it."""
    doubles = doubled_symbols(image)
    stage.verdict(f"{image.name}: no symbol both in Rust and in C", not doubles, "defined twice: " + ", ".join(sorted(doubles)))
    if image.name == "native_sim":
        return
    rows = stack_depth.measure(image.elf, tool("objdump"))
    tight = [f"{entry} needs {need} of {there} bytes" for entry, need, there, _ in rows if 100 * need > STACK_LIMIT * there]
    stage.verdict(f"{image.name}: every Rust thread fits its stack", len(rows) == 3 and not tight, "; ".join(tight) or "threads missing")
    rows = stack_depth.session(image.elf, tool("objdump"))
    deep = [f"{what} needs {need} bytes" for what, need, _ in rows if need > SESSION_BYTES]
    whole = len(rows) == len(stack_depth.SESSION)
    stage.verdict(f"{image.name}: session and protocol take {SESSION_BYTES} bytes of stack at most", whole and not deep, "; ".join(deep) or "functions missing")


def tool(name):
    """A binary utility for Arm: the distribution's, or any that reads every format."""
    return next((found for found in (f"arm-none-eabi-{name}", f"arm-zephyr-eabi-{name}", f"llvm-{name}") if shutil.which(found)), name)


def defined(archives, nm):
    names = set()
    for archive in archives:
        listing = subprocess.run([nm, "--defined-only", "--extern-only", archive], capture_output=True, text=True, check=False)
        # Weak ones are made to be overridden.
        names |= {parts[2] for line in listing.stdout.splitlines() if len(parts := line.split()) == 3 and parts[1] in "TDBRSC"}
    return names


def doubled_symbols(image):
    """Names that Rust and C both define: the link allows it, and one of them would silently win."""
    rust = image.folder / "src/firmware/rust"
    archives = [path for path in image.folder.rglob("*.a") if rust not in path.parents]
    # The boards' C is compiled when it is linked: only the compiler's own nm sees what is in such an archive.
    nm = "nm" if image.name == "native_sim" else tool("gcc-nm")
    c = defined(archives, nm)
    if "thecal_queue_put" not in c:
        return {f"({nm} cannot read the archives)"}
    return defined([image.library], "nm") & c


def footprint_is_current(stage, images):
    if not images:
        stage.tally.skip("zephyr: docs/footprint.md", "no board's image was built")
        return
    wrong = footprint.compare([(image.board, image.elf) for image in images])
    stage.verdict("docs/footprint.md is current", not wrong, "\n".join(wrong))


def resets(stage, image):
    """Boots, stops, and dies in each way there is: motor off, cause kept, back in therapy with the same flash."""
    with tempfile.TemporaryDirectory(prefix="thecal-firmware-") as folder:
        flash = Path(folder) / "flash.bin"
        status, said = boot(image.program, flash, "--stop_at=70")
        began = re.search(r"delivery has begun, (\d+) ms after boot", said)
        stage.verdict("native_sim boots on blank flash, runs and stops", status == 0 and "thecal: boot 1" in said, said)
        stage.verdict("delivery begins within 60 s of a boot", began and int(began[1]) < BASAL_LIMIT_MS, said)
        if began:
            print(f"  delivery began {began[1]} ms after boot (flash at the pace of an nRF52)", flush=True)
        number = 1
        for fault, reason in (("overflow", 4), ("assert", 4), ("return", 4)):
            status, said = boot(image.program, flash, f"--fault={fault}", "--fault-after=65", "--stop_at=100")
            number += 1
            stage.verdict(f"{fault}: trapped, motor off, reset", status == RESET_STATUS and "motor off, reset" in said
                          and f"thecal: boot {number}" in said, said)
            if fault == "overflow":
                # The excluded crate's own profile: `attempt to add with overflow` and not a wrapped sum.
                stage.verdict("an overflow in the firmware's profile is a panic",
                              "with overflow" in said and "unnoticed" not in said, said)
            status, said = boot(image.program, flash, "--stop_at=2")
            number += 1
            stage.verdict(f"{fault}: the next boot knows the cause", status == 0 and f"thecal: boot {number}" in said
                          and f"started after a fatal error: reason {reason}" in said, said)
        status, said = boot(image.program, flash, "--stop_at=2")
        stage.verdict("a cause is told once", status == 0 and "started by power" in said, said)


def full_queue(stage, image, thecal):
    """More records in a moment than the queue to the flash holds: counted, alarmed, told, and the rest is whole."""
    with tempfile.TemporaryDirectory(prefix="thecal-queue-") as folder:
        flash, export = Path(folder) / "flash.bin", Path(folder) / "export"
        # Each sets the clock, a second later each time, and is a record; together they are so much that a reason is needed.
        many = 300
        commands = [set_clock(1_767_607_200_000 + 1_000 * number, reason="Procedure") for number in range(many)]
        status, said = boot(image.program, flash, *handed_over(commands, every_ms=1), "--stop_at=800")
        done = subprocess.run([thecal, "log", flash, "--output", export], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False)
        stage.verdict("a full queue: the pump goes on and its log is whole", status == 0 and done.returncode == 0,
                      said + done.stdout + done.stderr)
        if done.returncode != 0:
            return
        events = [json.loads(line) for line in (export / "events.jsonl").read_text().splitlines()]
        lost = sum(event["detail"]["records"] for event in events if event["event"] == "records lost")
        kept = sum(event["event"] == "clock set" for event in events)
        alarms = [event["event"] for event in events if event["event"] in ("alarm raised", "alarm cleared")]
        # The record of the alarm itself may be among the lost: it is told again with the next checkpoint.
        stage.verdict("a full queue: what is lost is counted, alarmed and told",
                      lost > 0 and many <= kept + lost <= many + 2 and alarms[-2:] == ["alarm raised", "alarm cleared"],
                      f"{kept} kept, {lost} lost, {alarms}")


def twister(stage, target, environment):
    """The suites under tests/: returns the executable of the link driver's."""
    output = target / "zephyr/twister"
    status, said = stage.run(
        [*CLEAN, "west", "twister", "-T", ROOT / "tests/drivers", "-p", "native_sim/native/64", "-O", output,
         "--clobber-output", "--inline-logs", "--jobs", "2"],
        env=environment,
    )
    report = output / "twister.json"
    if not report.is_file():
        stage.verdict("twister suites", False, said)
        return None
    driver = None
    for suite in json.loads(report.read_text())["testsuites"]:
        name = suite["name"].split("/")[-1]
        good = suite["status"] in ("passed", "built", "not run", "notrun")
        stage.verdict(f"twister: {name} ({suite['status']})", good, suite.get("log", "") or said)
        if good and name == "thecal.drivers.link":
            driver = next(output.rglob("thecal.drivers.link/zephyr/zephyr.exe"), None)
    if status != 0 and all(suite["status"] != "failed" for suite in json.loads(report.read_text())["testsuites"]):
        stage.verdict("twister", False, said)
    return driver


def bluetooth(stage, python, native, driver):
    environment = {"THECAL_NATIVE_SIM": str(native.program)}
    if driver:
        environment["THECAL_NATIVE_SIM_LOCKED"] = str(driver)
    stage.counted("BLE end to end", [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/ble"], PYTEST_COUNTS,
                  env=environment)


def page(stage, python, native, target):
    what = "page over Web Bluetooth to native_sim"
    lacking = [name for name in ("node", "npm") if shutil.which(name) is None]
    if not any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")) \
            and not os.environ.get("CHROMIUM"):
        lacking.append("chromium")
    if lacking:
        stage.tally.skip(f"zephyr: {what}", f"missing: {', '.join(lacking)}")
        return
    browser = ROOT / "tests/browser"
    if not (browser / "node_modules").exists() and not stage.check(
        f"{what}: packages", ["npm", "ci", "--no-audit", "--no-fund"], cwd=browser
    ):
        return
    # Of this tree, whatever lies there from an earlier one.
    for name, command in (
        ("page", ["src/programmer/build.sh"]),
        ("thecal", ["cargo", "build", "--release", "--locked", "--package", "simulator"]),
    ):
        if not stage.check(f"{what}: {name}", command, cwd=ROOT):
            return
    stage.counted(
        what,
        [python, "tests/ble/bridge_backend.py", "node", "--test", "--test-concurrency=1", "--test-reporter=spec",
         "tests/browser/web_bluetooth.test.mjs"],
        NODE_COUNTS,
        env={
            "THECAL_NATIVE_SIM": str(native.program),
            "THECAL": str(target / "release/thecal"),
            "THECAL_PAGE": str(target / "page"),
        },
    )
