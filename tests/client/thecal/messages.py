"""The messages, as docs/messages.md has them: the tables of that page are read, and become classes.

    Program(Component("Morphine", 2_000_000), (), Mode.SimpleContinuous(Dose(360_000, "Day")), fill=Fill(20_000_000, False))

A type with fields is a dataclass; options and lists at its end may be left out. Of a type with numbered names a value is its name, a text;
but when any of the names is followed by something it is an object (`Command.Interrogate`, `Refused.Busy`) or made by a class
(`Command.Stage(program)`). What follows a name without one of its own is called `content`. A field whose name Python keeps for itself has
`_` behind it (`from_`).
"""

import dataclasses
import keyword
import pathlib
import re

from thecal import postcard

DOCS = pathlib.Path(__file__).resolve().parents[3] / "docs"
VERSION = 1

_codecs = {"bool": postcard.BOOL} | {
    f"{sign}{bits}": postcard.Integer(bits, sign == "i") for sign in "ui" for bits in (8, 16, 32, 64)
}


class Union:
    """A value of a type with numbered names of which some are followed by something."""

    @property
    def case(self):
        return type(self).__name__

    def __repr__(self):
        inside = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self))
        return type(self).__qualname__ + (f"({inside})" if inside else "")


def codec(text):
    """The codec of a type as the page writes it, `option of u32`."""
    text = re.sub(r"\[(\w+)\]\(#\w+\)", r"\1", text)
    if found := re.fullmatch(r"option of (.+)", text):
        return postcard.Option(codec(found[1]))
    if found := re.fullmatch(r"list of (\w+), at most (\d+)", text):
        return postcard.List(codec(found[1]), int(found[2]))
    if found := re.fullmatch(r"bytes, at most (\d+)", text):
        return postcard.Bytes(int(found[1]))
    if found := re.fullmatch(r"(\d+) of u8", text):
        return postcard.Array(int(found[1]))
    if found := re.fullmatch(r"u(\d+), at most ([\d,]+)", text):
        return postcard.Integer(int(found[1]), most=int(found[2].replace(",", "")))
    return _codecs[text]


def _fields(name, types, bases=()):
    codecs = {_named(field): codec(text) for field, text in types.items()}
    required = len(codecs)
    for last in reversed(codecs.values()):
        if not isinstance(last, (postcard.Option, postcard.List)):
            break
        required -= 1
    fields = []
    for place, (field, of) in enumerate(codecs.items()):
        left_out = dataclasses.field(default=None if isinstance(of, postcard.Option) else ())
        fields.append((field, object) if place < required else (field, object, left_out))
    return postcard.Fields(dataclasses.make_dataclass(name, fields, bases=bases, frozen=True, repr=not bases), codecs)


def _named(field):
    return field + "_" if keyword.iskeyword(field) else field


def struct(name, types):
    """Defines a type with fields, {name: type as the page writes it}; its class."""
    _codecs[name] = _fields(name, types)
    return _codecs[name].cls


def choice(name, variants):
    """Defines a type with numbered names, {name: {field: type}} in order; its class, or None when its values are texts."""
    if not any(variants.values()):
        _codecs[name] = postcard.Names(name, list(variants))
        return None
    cls = type(name, (Union,), {"cases": list(variants)})
    made = [_fields(variant, types, (cls,)) for variant, types in variants.items()]
    for fields in made:
        variant = fields.cls
        variant.__qualname__ = f"{name}.{variant.__name__}"
        setattr(cls, variant.__name__, variant if fields.fields else variant())
    _codecs[name] = postcard.Choice(name, made)
    return cls


def _rows(section):
    """The cells of the rows of the table in a section, without its head."""
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split(" | ")] for line in (line.strip("|") for line in lines[2:])]


def _followed(text):
    """What follows a name: {field: type}."""
    parts = [re.fullmatch(r"(?:`(\w+)` )?([^:]+)(?:: .*)?", part) for part in filter(None, text.split("<br>"))]
    return {part[1] or "content": part[2] for part in parts}


def _read(page):
    """Every type of the page, in its order: each is told before it is used."""
    for section in re.split(r"^### ", page.split("\n## Flags")[0], flags=re.MULTILINE)[1:]:
        name = section.split("\n", 1)[0]
        if alias := re.search(r"^As (.+)\.$", section, re.MULTILINE):
            _codecs[name] = postcard.Alias(name, codec(alias[1]))
        elif "| number | name | followed by |" in section:
            rows = _rows(section)
            assert [int(number) for number, *_ in rows] == list(range(len(rows))), f"the numbers of {name}"
            globals()[name] = choice(name, {variant.strip("`"): _followed(text) for _, variant, text, *_ in rows})
        else:
            globals()[name] = struct(name, {field.strip("`"): text for field, text, *_ in _rows(section)})


def encode(name, value):
    """The bytes of a value of the type `name`."""
    return codec(name).encode(value)


def decode(name, data):
    """The value of the type `name` in these bytes, all of them; raises `postcard.WireError`."""
    return postcard.decode(codec(name), data)


def records(part):
    """The records in a part of a log, each by itself."""
    found, rest = [], part.records
    while rest:
        length = int.from_bytes(rest[:2], "little")
        if len(rest) < 2 + length:
            raise postcard.WireError("a record that ends early")
        found.append(rest[2 : 2 + length])
        rest = rest[2 + length :]
    return found


_PAGE = (DOCS / "messages.md").read_text()
_read(_PAGE)
SCHEMA_HASH = int(re.search(r"Schema hash: `([0-9a-f]{16})`", _PAGE)[1], 16)
