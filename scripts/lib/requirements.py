"""What is required, which tests show it, and the pages that say so.

    python3 scripts/lib/requirements.py            says what does not hold
    python3 scripts/lib/requirements.py --write    writes docs/requirements.md and the numbers of docs/clinical-review.md anew

docs/requirements.toml lists the requirements. A test says which of them it shows with the line "Requirement: ID, ID" in the comment
above it (Rust, C, JavaScript) or in its docstring (Python).
"""

import re
import sys
import tomllib
from pathlib import Path

import numbers_to_sign

ROOT = Path(__file__).resolve().parents[2]
WRITE = "python3 scripts/lib/requirements.py --write"
FOLDERS = ["src", "tests", "scripts"]
SKIPPED = {"target", "node_modules", ".venv", "__pycache__", "corpus"}

# How a test is declared, and how the line above (or, in Python, below) it that names requirements looks.
COMMENT = re.compile(r"^\s*(?:///|//|/?\*+)\s*Requirement: (.+?)(?:\s*\*/)?\s*$")
DOCSTRING = re.compile(r'^\s*(?:""")?Requirement: ([^"]+?)(?:""")?\s*$')
RUST = re.compile(r"^\s*#\[(?:\w+::)?test\]\s*(?:#\[[^\]]*\]\s*)*(?:async )?fn (\w+)", re.MULTILINE)
C = re.compile(r"^(?:static void (\w+)\(void\)\s*$|ZTEST(?:_F|_USER)?\(\w+, (\w+)\))", re.MULTILINE)
JAVASCRIPT = re.compile(r"""^\s*(?:test|it)\((?:"([^"]+)"|'([^']+)')""", re.MULTILINE)
PYTHON = re.compile(r"^\s*(?:async )?def (test_\w+)\(", re.MULTILINE)
# What may stand between the line that names requirements and its test.
BETWEEN = re.compile(r"^\s*(?://|\*|/\*|#\[|$)")
LANGUAGES = {".rs": RUST, ".c": C, ".mjs": JAVASCRIPT, ".js": JAVASCRIPT, ".py": PYTHON}

GROUPS = {
    "AC": "Acceptance criteria",
    "TH": "Therapy",
    "CALC": "Worked examples",
    "R": "Recalls and incidents",
}


class Test:
    """A test, and the requirements it says it shows."""

    def __init__(self, path, line, name):
        self.path = path
        self.line = line
        self.name = name
        self.shows = []


def files(root):
    """Every file in which there may be tests, in a fixed order."""
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            inside = path.relative_to(root)
            if path.suffix in LANGUAGES and not SKIPPED & set(inside.parts) and path.is_file():
                # A C function without arguments is a test in a test's folder alone.
                if path.suffix != ".c" or inside.parts[0] == "tests":
                    yield path


def tests_of(path, text):
    """The tests of a file, and what is wrong with the requirements it names."""
    tests = []
    for found in LANGUAGES[path.suffix].finditer(text):
        name = next(group for group in found.groups() if group)
        tests.append(Test(path, text.count("\n", 0, found.start(found.lastindex)) + 1, name))
    problems = []
    python = path.suffix == ".py"
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        found = (DOCSTRING if python else COMMENT).match(line)
        if not found:
            continue
        if python:
            above = [test for test in tests if number - 12 <= test.line < number]
            its = above[-1] if above else None
        else:
            below = next((test for test in tests if test.line > number), None)
            its = below if below and all(BETWEEN.match(line) for line in lines[number : below.line - 1]) else None
        if its is None:
            problems.append(f"{path}:{number}: names a requirement, and is no test")
        else:
            its.shows += [identifier.strip() for identifier in found.group(1).split(",")]
    return tests, problems


def all_tests(root):
    """Every test of the tree, and what is wrong."""
    tests, problems = [], []
    for path in files(root):
        found, wrong = tests_of(path.relative_to(root), path.read_text(errors="replace"))
        tests += found
        problems += wrong
    return tests, problems


def home(path):
    """Where a test is at home, in a word: the crate, or the folder of tests."""
    return "/".join(path.parts[:2]).removeprefix("src/")


def page(required, tests):
    """docs/requirements.md."""
    lines = [
        "# What is required, and what shows it",
        "",
        "Made from [requirements.toml](requirements.toml) and from the tests, which name what they show (`Requirement: ID`). Do not edit it:",
        f"`{WRITE}` writes it, and `scripts/test lints` compares.",
        "",
        "A requirement without a test is a later issue's, or says why there is none. A test that is named here shows a part of what is required, seldom all of",
        "it; the system campaigns show the rest. Sections are those of the clinical reference.",
    ]
    for group, title in GROUPS.items():
        identifiers = [identifier for identifier in required if identifier.split("-")[0] == group]
        shown = sum(any(identifier in test.shows for test in tests) for identifier in identifiers)
        lines += ["", f"## {title}", "", f"{shown} of {len(identifiers)} have a test.", "", "| | required | shown by |", "|---|---|---|"]
        for identifier in identifiers:
            by_home = {}
            for test in tests:
                if identifier in test.shows:
                    by_home.setdefault(home(test.path), []).append(f"`{test.name}`")
            shown_by = "; ".join(f"{where}: {', '.join(sorted(set(names)))}" for where, names in sorted(by_home.items()))
            entry = required[identifier]
            lines.append(f"| {identifier} | {entry['says']} | {shown_by or entry.get('later', 'later issue')} |")
    return "\n".join(lines) + "\n"


def trace(root, required, needed, tests):
    """What is wrong between requirements and tests."""
    for identifier in needed:
        if identifier not in required:
            yield f"docs/requirements.toml: needed is {identifier}, which is not listed"
        elif not any(identifier in test.shows for test in tests):
            yield f"{identifier} has no test: {required[identifier]['says']}"
    for identifier in required:
        if identifier.split("-")[0] not in GROUPS:
            yield f"docs/requirements.toml: {identifier} is in no group ({', '.join(GROUPS)})"
    for test in tests:
        for identifier in test.shows:
            if identifier not in required:
                yield f"{test.path}:{test.line}: {test.name} names {identifier}, which docs/requirements.toml does not list"


def hazards(root, tests):
    """docs/hazards.md: identifiers are unique and in order, and what it names exists."""
    names = {test.name for test in tests}
    kept = root / "docs/hazards.md"
    last = 0
    for number, line in enumerate(kept.read_text().splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
        if not re.fullmatch(r"H-\d+", cells[0]):
            continue
        where = f"docs/hazards.md:{number}: {cells[0]}"
        if int(cells[0].removeprefix("H-")) != last + 1:
            yield f"{where} does not follow H-{last:02}"
        last += 1
        if len(cells) != 7:
            yield f"{where} has {len(cells)} columns, not 7"
            continue
        for path in re.findall(r"`([^`]+)`", cells[4]):
            if not (root / path).exists():
                yield f"{where} names {path}, which is not in the tree"
        shown_by = re.findall(r"`([^`]+)`", cells[5])
        for name in shown_by:
            if name not in names:
                yield f"{where} names {name}, which is no test of the tree"
        if not shown_by and not cells[5].startswith("none"):
            yield f"{where} names no test; say \"none\" and why"


def pages(root, required, tests):
    """Every page that is made here: its path and what it should say."""
    yield root / "docs/requirements.md", page(required, tests)
    review = root / "docs/clinical-review.md"
    yield review, numbers_to_sign.put_into(review.read_text(), numbers_to_sign.table(root))


def main(arguments, root=ROOT):
    if arguments not in ([], ["--write"]):
        print(__doc__, file=sys.stderr)
        return 2
    listed = tomllib.loads((root / "docs/requirements.toml").read_text())
    needed, required = listed["needed"], listed["requirements"]
    tests, problems = all_tests(root)
    problems += trace(root, required, needed, tests)
    problems += hazards(root, tests)
    for path, wanted in pages(root, required, tests):
        if arguments:
            path.write_text(wanted)
        elif not path.exists() or path.read_text() != wanted:
            problems.append(f"{path.relative_to(root)} is not what the tree says; write it anew: {WRITE}")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
