"""Numbers outside the drug library that a clinician must sign: what bears `[P]` or `[GK]` in the documentation of units and therapy."""

import re

BEGIN, END = "<!-- table: numbers -->\n", "<!-- end of table -->"
MARK = re.compile(r"\\?\[(P|GK)\\?\]")
COMMENT = re.compile(r"^\s*//[/!]?(?: |$)(.*)$")
ITEM = re.compile(r"\s*(?:pub(?:\([a-z]+\))? )?(?:(?:const )?fn |(?:const|static|struct|enum|type|mod) )?(\w+)")
CONSTANT = re.compile(r"\s*(?:pub(?:\([a-z]+\))? )?const \w+: [^=]+=\s+(.+?);", re.DOTALL)
UNITS = {"days": "days", "hours": "h", "minutes": "min", "seconds": "s", "millis": "ms", "microlitres": "uL", "millilitres": "mL"}
# A longer value is none that a cell could show.
LONGEST_VALUE = 60


def sources(root):
    """Every file whose numbers are looked at: the library has a table of its own, tests have none."""
    for crate in ["therapy", "units"]:
        folder = root / "src" / crate / "src"
        for path in sorted(folder.rglob("*.rs")):
            inside = path.relative_to(folder)
            if inside.parts[0] in ("library", "library.rs") or path.name == "tests.rs":
                continue
            yield path


def blocks(text):
    """Comments in a row, with the code below them."""
    # What follows is tests, which state nothing.
    code = text.split("\n#[cfg(test)]\n")[0].splitlines()
    lines, open_brackets = [], 0
    for number, line in enumerate(code):
        found = COMMENT.match(line)
        if found:
            lines.append(found.group(1))
            continue
        if open_brackets or line.lstrip().startswith("#["):
            # An attribute between documentation and item, perhaps over several lines.
            open_brackets += line.count("[") - line.count("]")
            continue
        if lines:
            yield lines, "\n".join(code[number : number + 8])
        lines = []
    if lines:
        yield lines, ""


def statements(lines):
    """What a comment says about marked numbers: rows of tables, and paragraphs."""
    paragraph = []
    for line in [*lines, ""]:
        if line.startswith("|") or line.startswith("- ") or not line.strip():
            if paragraph and MARK.search(" ".join(paragraph)):
                yield " ".join(paragraph)
            paragraph = []
        if line.startswith("|"):
            if MARK.search(line):
                yield ": ".join(cell.strip() for cell in line.strip("| ").split("|"))
        elif line.strip():
            paragraph.append(line.removeprefix("- ").strip())


def value(code):
    """What a constant is, its numbers with their units; nothing for what is no constant or too long to show."""
    found = CONSTANT.match(code)
    if not found:
        return ""
    shown = re.sub(
        r"(?:Duration|Volume)::from_(\w+)\((\w+)\)",
        lambda made: f"{made.group(2)} {UNITS.get(made.group(1), made.group(1))}",
        " ".join(found.group(1).split()),
    )
    shown = re.sub(r"(?<=\d)_(?=\d)", "", shown).replace("..=", " to ")
    return shown if len(shown) <= LONGEST_VALUE else ""


def rows(root):
    """File, item, text, value and marks of every statement."""
    for path in sources(root):
        for lines, code in blocks(path.read_text()):
            # Documentation of a module has a blank line, or nothing, below it.
            found = ITEM.match(code.split("\n")[0])
            item = found.group(1) if found else "module"
            for text in statements(lines):
                marks = sorted({f"[{mark}]" for mark in MARK.findall(text)})
                text = re.sub(r"\[(`[^`]+`)\](?:\([^)]*\))?", r"\1", text).replace("\\[", "[").replace("\\]", "]")
                yield path.relative_to(root / "src"), item, text.replace("|", "\\|"), value(code), " ".join(marks)


def table(root):
    """The table of docs/clinical-review.md."""
    lines = ["| file | item | what the code says | value | mark | signed |", "|---|---|---|---|---|---|"]
    for path, item, text, number, marks in rows(root):
        lines.append(f"| {path} | {item} | {text} | {number} | {marks} | |")
    return "\n".join(lines) + "\n"


def put_into(page, made):
    """The page with this table between its markers."""
    before, rest = page.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    return before + BEGIN + made + END + after
