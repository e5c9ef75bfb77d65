"""What a firmware build needs of the machine, found or installed: Python packages, a Rust for each target, compilers.

Everything is found from the Zephyr tree itself; nothing is assumed about where it lies.
"""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# What west, the build, twister and the Bluetooth tests import.
MODULES = ["west", "yaml", "elftools", "pykwalify", "psutil", "serial", "colorama", "junitparser", "natsort", "ply", "tabulate",
           "bumble", "cryptography", "pytest"]
# Of those, what Zephyr's requirements-base.txt leaves out: west's own list of it is for building, not for twister.
EXTRA = ["west", "colorama", "junitparser", "natsort", "ply", "tabulate"]


class Missing(Exception):
    """Something cannot be had; says how to get it."""


def _can_import(python, modules):
    done = subprocess.run([str(python), "-c", f"import {', '.join(modules)}"], capture_output=True, check=False)
    return done.returncode == 0


def _own_environment(stage, workspace, folder):
    """A virtual environment made from Zephyr's own requirements and those of the Bluetooth tests."""
    lists = [workspace / "scripts/requirements-base.txt", ROOT / "tests/ble/requirements.txt",
             ROOT / "tests/client/requirements.txt"]
    stamp = folder / "requirements.sha256"
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in lists)).hexdigest()
    python = folder / "bin/python3"
    if stamp.is_file() and stamp.read_text() == wanted and _can_import(python, MODULES):
        return python
    print(f"  making a Python environment for west in {folder} ...", flush=True)
    status, output = stage.run([sys.executable, "-m", "venv", "--clear", folder])
    if status != 0:
        raise Missing("no Python environment (apt-get install python3-venv): " + output.strip()[-200:])
    arguments = [part for path in lists for part in ("-r", path)]
    status, output = stage.run([folder / "bin/pip", "install", "--quiet", *EXTRA, *arguments])
    if status != 0:
        raise Missing("Python packages of Zephyr cannot be installed: " + output.strip()[-300:])
    stamp.write_text(wanted)
    return python


def find_python(stage, workspace, target):
    """A Python that has everything: this one, one on the PATH, that of the workspace, or one made for the purpose."""
    candidates = [Path(sys.executable)]
    on_path = shutil.which("python3")
    if on_path:
        candidates.append(Path(on_path))
    # Zephyr's Getting Started guide makes it there.
    candidates += [folder / ".venv/bin/python3" for folder in (workspace.parent, workspace)]
    for python in candidates:
        if python.is_file() and _can_import(python, MODULES):
            return python
    return _own_environment(stage, workspace, target / "zephyr-venv")


def find_rust(stage, target, rust_target):
    """Environment in which `cargo` and its friends are a Rust that builds for `rust_target`."""
    script = 'settings=$(scripts/lib/rust_target.sh "$1") || exit 1; eval "$settings"; ' \
             'printf "%s\\n" "$CARGO" "$CARGO_TARGET_ARGUMENTS" "${RUSTC:-}" "${RUSTC_BOOTSTRAP:-}"'
    done = subprocess.run(["bash", "-c", script, "bash", rust_target], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Missing(f"no Rust for {rust_target}: {done.stderr.strip()}")
    cargo, arguments, rustc, bootstrap = done.stdout.split("\n")[:4]
    environment = {}
    for word in shlex.split(arguments):
        if word.startswith("-Zbuild-std="):
            environment["CARGO_UNSTABLE_BUILD_STD"] = word.split("=", 1)[1]
    if bootstrap:
        environment["RUSTC_BOOTSTRAP"] = bootstrap
    if rustc or "/" in cargo:
        # Zephyr's build calls `cargo` by name, and cargo its subcommands: one folder in front of the PATH has them all.
        home = Path(shutil.which(cargo) or cargo).parent
        names = ["cargo", "rustc", "rustdoc", "cargo-clippy", "clippy-driver"]
        lacking = [name for name in names if not (home / name).exists()]
        if lacking:
            raise Missing(f"the Rust in {home} lacks {', '.join(lacking)} (Debian: apt-get install rust-web-clippy or rust-clippy)")
        folder = target / "zephyr" / f"rust-{hashlib.sha256(str(home).encode()).hexdigest()[:8]}"
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            link = folder / name
            if not link.is_symlink():
                link.symlink_to(home / name)
        environment["THECAL_RUST_FOLDER"] = str(folder)
    return environment


def need_programs():
    """CMake, Ninja and the device-tree compiler, installed where that is possible."""
    command = ". scripts/lib/need.sh; need_command cmake cmake && need_command ninja ninja-build && " \
              "need_command dtc device-tree-compiler && need_command gcc gcc"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Missing(done.stderr.strip().replace("\n", " "))


def arm_toolchain():
    """The variables that choose an Arm compiler: the caller's own choice, or the distribution's gcc-arm-none-eabi."""
    chosen = os.environ.get("ZEPHYR_TOOLCHAIN_VARIANT")
    if chosen and chosen != "host":
        return {}
    if os.environ.get("ZEPHYR_SDK_INSTALL_DIR"):
        return {"ZEPHYR_TOOLCHAIN_VARIANT": "zephyr"}
    done = subprocess.run(["bash", "-c", ". scripts/lib/need.sh; need_command arm-none-eabi-gcc gcc-arm-none-eabi"],
                          cwd=ROOT, capture_output=True, text=True, check=False)
    compiler = shutil.which("arm-none-eabi-gcc")
    if done.returncode != 0 or compiler is None:
        raise Missing("no Arm compiler: " + done.stderr.strip().replace("\n", " "))
    return {"ZEPHYR_TOOLCHAIN_VARIANT": "gnuarmemb", "GNUARMEMB_TOOLCHAIN_PATH": str(Path(compiler).parent.parent)}


# Flags of the caller's would reach every Rust compilation, and stop src/firmware/.cargo/config.toml from doing so.
CLEAN = ["env", "--unset=RUSTFLAGS", "--unset=CARGO_TARGET_DIR", "--unset=CARGO_BUILD_TARGET"]


def environment(stage, workspace, target, python, rust_target, toolchain):
    """What a build sees beside what this process has, and without what CLEAN takes away."""
    rust = find_rust(stage, target, rust_target)
    folder = rust.pop("THECAL_RUST_FOLDER", None)
    folders = [folder] if folder else []
    return {
        "PATH": os.pathsep.join([*folders, str(python.parent), os.environ["PATH"]]),
        "ZEPHYR_BASE": str(workspace),
        **rust,
        **toolchain,
    }
