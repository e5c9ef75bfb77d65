"""Rules of the tree that no compiler checks. Each is a function that returns what breaks it; all run, all are reported."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORE = ["units", "therapy", "protocol", "journal", "pump"]

# Which of our crates each crate may name; the floors of docs/architecture.md.
FLOORS = {
    "units": set(),
    "therapy": {"units"},
    "protocol": {"units"},
    "journal": {"units"},
    "pump": {"units", "therapy", "protocol", "journal"},
    "drivers": {"units"},
    "calculator": {"units", "therapy"},
    # For tests alone: no crate may have it but as a dev-dependency.
    "fuzzing": set(),
    "simulator": {"units", "therapy", "protocol", "journal", "pump", "drivers", "calculator", "programmer"},
    "programmer": {"units", "therapy", "protocol"},
    "firmware": {"units", "therapy", "protocol", "journal", "pump", "drivers"},
}


def manifest(crate):
    return tomllib.loads((ROOT / "src" / crate / "Cargo.toml").read_text())


def floors():
    """A crate imports only from floors below it."""
    for crate, allowed in FLOORS.items():
        named = set(manifest(crate).get("dependencies", {})) & set(FLOORS)
        for name in sorted(named - allowed):
            yield f"src/{crate}/Cargo.toml: may not depend on {name}; allowed: {', '.join(sorted(allowed)) or 'none'}"


def core_lints():
    """Core crates take the workspace's lints and forbid unsafe themselves."""
    for crate in CORE:
        if manifest(crate).get("lints", {}).get("workspace") is not True:
            yield f"src/{crate}/Cargo.toml: [lints] workspace = true is missing"
        source = (ROOT / "src" / crate / "src/lib.rs").read_text()
        for attribute in ("#![forbid(unsafe_code)]", "no_std"):
            if attribute not in source:
                yield f"src/{crate}/src/lib.rs: {attribute} is missing"


def unsafe_in_one_crate():
    """`unsafe` is written in the drivers' crate alone."""
    for path in sorted((ROOT / "src").rglob("*.rs")):
        inside = path.relative_to(ROOT / "src")
        if inside.parts[0] == "drivers" or "target" in inside.parts:
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            code = line.split("//")[0]
            # The attribute that exports rust_main is the one exception that the linker forces (docs/architecture.md).
            if re.search(r"\bunsafe\b", code) and "unsafe_code" not in code and "#[unsafe(no_mangle)]" not in code:
                yield f"src/{inside}:{number}: `unsafe` outside src/drivers"


def fixed_width_border():
    """Only fixed-width integers cross the C boundary: floats are silently wrong on native_sim/64."""
    forbidden = re.compile(r"\b(float|double|long|short|size_t|ssize_t|enum|int|unsigned|char|time_t)\b(?!\s*\*/)")
    for path in sorted((ROOT / "src/drivers/include/thecal").glob("*.h")):
        text = re.sub(r"/\*.*?\*/", lambda found: "\n" * found.group().count("\n"), path.read_text(), flags=re.DOTALL)
        for number, line in enumerate(text.splitlines(), 1):
            code = line.split("//")[0]
            if code.lstrip().startswith("#") or '"' in code:
                continue
            found = forbidden.search(code)
            if found:
                yield f"src/drivers/include/thecal/{path.name}:{number}: {found.group()} crosses the C boundary"


def zephyr_is_ours():
    """The `zephyr` crate can only be zephyr-lang-rust's: crates.io holds an unrelated web framework of that name."""
    for lock in [ROOT / "Cargo.lock", ROOT / "src/firmware/Cargo.lock"]:
        for package in tomllib.loads(lock.read_text()).get("package", []):
            if package["name"] in ("zephyr", "zephyr-sys", "zephyr-build", "zephyr-macros") and "source" in package:
                yield f"{lock.relative_to(ROOT)}: {package['name']} comes from {package['source']}"
    # The firmware's manifest must fail, rather than fetch that framework, when the build's patches are missing.
    done = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--manifest-path", str(ROOT / "src/firmware/Cargo.toml"),
         "--locked", "--offline"],
        capture_output=True, text=True, check=False,
    )
    if done.returncode == 0:
        yield "src/firmware/Cargo.toml: resolves without the Zephyr build, so `zephyr` came from elsewhere"
    for name, wanted in manifest("firmware").get("dependencies", {}).items():
        if name.startswith("zephyr") and not re.search(r"=\s*\d", str(wanted) if isinstance(wanted, str) else str(wanted.get("version", ""))):
            yield f"src/firmware/Cargo.toml: {name} must be pinned with `=`"


def same_profile():
    """Excluded crates inherit nothing: the application's overflow checks must be on, as the workspace's are, and scripts/cost must count the same."""
    for path in ["Cargo.toml", "src/firmware/Cargo.toml"]:
        profile = tomllib.loads((ROOT / path).read_text()).get("profile", {}).get("release", {})
        if profile.get("overflow-checks") is not True:
            yield f"{path}: [profile.release] overflow-checks = true is missing"
    # What scripts/cost counts is what the board runs.
    board, counted = (tomllib.loads((ROOT / path / "Cargo.toml").read_text())["profile"]["release"] for path in ["src/firmware", "src/protocol/cost"])
    if board != counted:
        yield f"src/protocol/cost/Cargo.toml: [profile.release] {counted}, the firmware's {board}"


def same_versions():
    """The two lock files share a version of every crate that both hold."""
    def versions(path):
        held = {}
        for package in tomllib.loads(path.read_text()).get("package", []):
            held.setdefault(package["name"], set()).add(package["version"])
        return held

    # Here of what speaks to BlueZ, there of bindgen, which runs at build time: in no image.
    tools = {"itertools"}
    host, board = versions(ROOT / "Cargo.lock"), versions(ROOT / "src/firmware/Cargo.lock")
    for name in sorted((set(host) & set(board)) - tools):
        # zephyr-lang-rust brings some crates in a version of its own, besides ours.
        if not board[name] & host[name]:
            yield f"src/firmware/Cargo.lock: {name} {sorted(board[name])}, the workspace {sorted(host[name])}"


def citations(text):
    """Pages and headings that a source file cites, as in: docs/x.md, "One heading" and "Another"."""
    # A citation may be broken over lines of a comment.
    joined = re.sub(r"\s*\n\s*(?://[/!]?|\*|#)?\s*", " ", text)
    for found in re.finditer(r'docs/([\w-]+\.md)((?:,? (?:and )?\\?"[^"\\]+\\?")+)', joined):
        for heading in re.findall(r'"([^"\\]+)\\?"', found.group(2)):
            yield found.group(1), heading


def headings(page):
    """The headings of a page; none where there is no such page."""
    return set(re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)) if page.is_file() else set()


def cited_headings():
    """A heading of docs/ that a source file cites is there."""
    for path in sorted((ROOT / "src").rglob("*")):
        inside = path.relative_to(ROOT)
        if path.suffix not in (".rs", ".c", ".h", ".js", ".mjs", ".py") or {"target", "node_modules"} & set(inside.parts):
            continue
        for page, heading in citations(path.read_text(errors="replace")):
            if heading not in headings(ROOT / "docs" / page):
                yield f'{inside}: docs/{page} has no heading "{heading}"'


RULES = [cited_headings, floors, core_lints, unsafe_in_one_crate, fixed_width_border, zephyr_is_ours, same_profile, same_versions]


def main():
    broken = [f"{rule.__name__} ({rule.__doc__.splitlines()[0]})\n    {line}" for rule in RULES for line in rule()]
    for line in broken:
        print(line)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
