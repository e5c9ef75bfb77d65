"""The messages, as docs/messages.md has them: the tables of that page are read, and become classes.

    Program(primary=Component(Drug.Morphine, 2_000_000), secondaries=(), mode=Mode.SimpleContinuous(Dose(360_000, Per.Day)))

A type with fields is a dataclass; options and lists at its end may be left out. A type with numbered names is a namespace: a name that is
followed by nothing is a value (`Drug.Morphine`), another a dataclass; what follows it without a name of its own is called `value`. A
field with a name that Python keeps for itself has `_` behind it (`from_`).
"""

import dataclasses
import keyword
import pathlib
import re

from . import postcard

DOCS = pathlib.Path(__file__).resolve().parents[3] / "docs"
VERSION = 1

_PLAIN = {"bool": postcard.Bool()} | {
    f"{sign}{bits}": postcard.Integer(bits, sign == "i") for sign in "ui" for bits in (8, 16, 32, 64)
}
_codecs = {}


class Value:
    """What all values of a type with numbered names can do."""

    @property
    def name(self):
        return type(self).__name__

    def __repr__(self):
        inside = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self))
        return type(self).__qualname__ + (f"({inside})" if inside else "")


def _codec(text):
    """The codec of a type as the page writes it."""
    text = re.sub(r"\[(\w+)\]\(#\w+\)", r"\1", text)
    if found := re.fullmatch(r"option of (.+)", text):
        return postcard.Option(_codec(found[1]))
    if found := re.fullmatch(r"list of (\w+), at most (\d+)", text):
        return postcard.List(_codec(found[1]), int(found[2]))
    if found := re.fullmatch(r"bytes, at most (\d+)", text):
        return postcard.List(_PLAIN["u8"], int(found[1]), bytes)
    if found := re.fullmatch(r"(\d+) of u8", text):
        return postcard.Array(_PLAIN["u8"], int(found[1]))
    return _PLAIN[text] if text in _PLAIN else _codecs[text]


def _fields(name, codecs, bases=()):
    optional = len(codecs)
    for codec in reversed(codecs.values()):
        if not isinstance(codec, (postcard.Option, postcard.List)):
            break
        optional -= 1
    fields = [
        (field, object, dataclasses.field(default=None if isinstance(codec, postcard.Option) else ()))
        if place >= optional
        else (field, object)
        for place, (field, codec) in enumerate(codecs.items())
    ]
    cls = dataclasses.make_dataclass(name, fields, bases=bases, frozen=True, repr=not bases)
    cls.__module__ = __name__
    return postcard.Fields(cls, codecs)


def _named(field):
    field = field.strip("`")
    return field + "_" if keyword.iskeyword(field) else field


def _rows(section):
    """The cells of the rows of the table in a section, without its head."""
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split(" | ")] for line in (line.strip("|") for line in lines[2:])]


def _choice(name, rows):
    variants, namespace = [], type(name, (), {})
    for place, (number, title, followed, *_) in enumerate(rows):
        assert int(number) == place, f"{name} has no number {place}"
        codecs = {}
        for part in filter(None, followed.split("<br>")):
            found = re.match(r"`(\w+)` (.+?)(?::|$)", part)
            codecs |= {_named(found[1]): _codec(found[2])} if found else {"value": _codec(part)}
        fields = _fields(title.strip("`"), codecs, (Value,))
        fields.cls.__qualname__ = f"{name}.{fields.cls.__name__}"
        setattr(namespace, fields.cls.__name__, fields.cls if codecs else fields.cls())
        variants.append(fields)
    return postcard.Choice(name, variants), namespace


def _read(page):
    """Every type of the page, in its order: each is told before it is used."""
    for section in re.split(r"^### ", page.split("\n## Flags")[0], flags=re.M)[1:]:
        name = section.split("\n", 1)[0].strip()
        if alias := re.search(r"^As (.+)\.$", section, re.M):
            _codecs[name] = _codec(alias[1])
        elif "| number | name | followed by |" in section:
            _codecs[name], globals()[name] = _choice(name, _rows(section))
        else:
            _codecs[name] = _fields(name, {_named(field): _codec(text) for field, text, *_ in _rows(section)})
            globals()[name] = _codecs[name].cls


def encode(name, value):
    """The bytes of a value of the type `name`."""
    return postcard.encode(_codecs[name], value)


def decode(name, data):
    """The value of the type `name` in these bytes; raises `postcard.Refused`."""
    return postcard.decode(_codecs[name], data)


_PAGE = (DOCS / "messages.md").read_text()
_read(_PAGE)
SCHEMA_HASH = int(re.search(r"Schema hash: `([0-9a-f]{16})`", _PAGE)[1], 16)
