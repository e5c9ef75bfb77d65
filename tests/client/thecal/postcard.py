"""How values become bytes (docs/protocol.md, "How values become bytes"): canonical postcard.

Each type has a name, writes a value and reads one. Types, fields and variants bear the names of docs/messages.md.
"""

from dataclasses import dataclass, fields


class WireError(Exception):
    """Bytes that are not what the documents say."""


def varint(value):
    assert value >= 0
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Reader:
    """Takes values from the front of bytes; `end()` when there must be none left."""

    def __init__(self, data):
        self.data = bytes(data)
        self.at = 0

    def u8(self):
        if self.at >= len(self.data):
            raise WireError(f"ends after {self.at} bytes")
        self.at += 1
        return self.data[self.at - 1]

    def unsigned(self, bits):
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if value >> bits:
            raise WireError(f"{value} does not fit in {bits} bits")
        if shift > 7 and byte == 0:
            raise WireError("an integer is padded: not canonical")
        return value

    def variant(self, count):
        value = self.unsigned(32)
        if value >= count:
            raise WireError(f"variant {value} of {count}")
        return value

    def raw(self, length):
        return bytes(self.u8() for _ in range(length))

    def end(self):
        if self.at != len(self.data):
            raise WireError(f"{len(self.data) - self.at} bytes too many")


@dataclass(frozen=True)
class Integer:
    """An integer of so many bits, at most `most`."""

    bits: int
    signed: bool = False
    most: int | None = None

    @property
    def name(self):
        return f"{'i' if self.signed else 'u'}{self.bits}"

    def check(self, value):
        low = -1 << self.bits - 1 if self.signed else 0
        high = low + (1 << self.bits) - 1 if self.most is None else self.most
        if not low <= value <= high:
            raise WireError(f"{value} is not within {low} to {high}")
        return value

    def write(self, value):
        self.check(value)
        if self.bits == 8:
            return bytes([value])
        if self.signed:
            # Zigzag: 0, -1, 1, -2 are 0, 1, 2, 3.
            value = 2 * value if value >= 0 else -2 * value - 1
        return varint(value)

    def read(self, reader):
        if self.bits == 8:
            return self.check(reader.u8())
        value = reader.unsigned(self.bits)
        return self.check(value >> 1 ^ -(value & 1) if self.signed else value)


class Boolean:
    name = "bool"

    @staticmethod
    def write(value):
        return bytes([bool(value)])

    @staticmethod
    def read(reader):
        return bool(reader.variant(2))


@dataclass(frozen=True)
class Option:
    """A value or None."""

    of: object

    @property
    def name(self):
        return f"option of {self.of.name}"

    def write(self, value):
        return b"\0" if value is None else b"\1" + self.of.write(value)

    def read(self, reader):
        return self.of.read(reader) if reader.variant(2) else None


@dataclass(frozen=True)
class Several:
    """A tuple of at most `most`."""

    of: object
    most: int

    @property
    def name(self):
        return f"list of {self.of.name}, at most {self.most}"

    def write(self, values):
        if len(values) > self.most:
            raise WireError(f"{len(values)} values, at most {self.most}")
        return varint(len(values)) + b"".join(self.of.write(value) for value in values)

    def read(self, reader):
        length = reader.unsigned(32)
        if length > self.most:
            raise WireError(f"{length} values, at most {self.most}")
        return tuple(self.of.read(reader) for _ in range(length))


@dataclass(frozen=True)
class Octets:
    """Bytes, at most `most`."""

    most: int

    @property
    def name(self):
        return f"bytes, at most {self.most}"

    def write(self, value):
        if len(value) > self.most:
            raise WireError(f"{len(value)} bytes, at most {self.most}")
        return varint(len(value)) + value

    def read(self, reader):
        length = reader.unsigned(32)
        if length > self.most:
            raise WireError(f"{length} bytes, at most {self.most}")
        return reader.raw(length)


@dataclass(frozen=True)
class Array:
    """Exactly so many bytes."""

    length: int

    @property
    def name(self):
        return f"{self.length} of u8"

    def write(self, value):
        if len(value) != self.length:
            raise WireError(f"{len(value)} bytes instead of {self.length}")
        return bytes(value)

    def read(self, reader):
        return reader.raw(self.length)


@dataclass(frozen=True)
class Named:
    """Another name for a type."""

    name: str
    of: object

    def write(self, value):
        return self.of.write(value)

    def read(self, reader):
        return self.of.read(reader)


@dataclass(frozen=True)
class Choice:
    """One of these names."""

    name: str
    names: tuple

    def write(self, value):
        return varint(self.names.index(value))

    def read(self, reader):
        return self.names[reader.variant(len(self.names))]


class Typed(type):
    """A class is a type of the wire by its own name."""

    @property
    def name(cls):
        return cls.__name__


class Struct(metaclass=Typed):
    """Fields one after another; each is annotated with its type."""

    @classmethod
    def write(cls, value):
        assert type(value) is cls, value
        return b"".join(field.type.write(getattr(value, field.name)) for field in fields(cls))

    @classmethod
    def read(cls, reader):
        return cls(*(field.type.read(reader) for field in fields(cls)))


class Union(metaclass=Typed):
    """A number and what belongs to it: nothing, one value (`content`), or named fields.

    CASES has None, a type, or a dict of types for each.
    """

    CASES = {}

    def __init__(self, case, *contents, **named):
        wanted = self.CASES[case]
        self.case = case
        if isinstance(wanted, dict):
            assert not contents and set(named) == set(wanted), f"{case} has {', '.join(wanted)}"
            self.values = named
        else:
            assert not named and len(contents) == (wanted is not None), f"{case} has {wanted}"
            self.values = {"content": contents[0]} if contents else {}

    def __getattr__(self, name):
        try:
            return self.__dict__["values"][name]
        except KeyError:
            raise AttributeError(name) from None

    def __eq__(self, other):
        return type(other) is type(self) and (other.case, other.values) == (self.case, self.values)

    def __hash__(self):
        return hash((self.case, *self.values.values()))

    def __repr__(self):
        values = ", ".join(repr(value) if name == "content" else f"{name}={value!r}" for name, value in self.values.items())
        return f"{type(self).__name__}.{self.case}({values})"

    @classmethod
    def write(cls, value):
        assert type(value) is cls, value
        wanted = cls.CASES[value.case]
        out = varint(list(cls.CASES).index(value.case))
        if isinstance(wanted, dict):
            return out + b"".join(of.write(value.values[name]) for name, of in wanted.items())
        return out if wanted is None else out + wanted.write(value.content)

    @classmethod
    def read(cls, reader):
        case = list(cls.CASES)[reader.variant(len(cls.CASES))]
        wanted = cls.CASES[case]
        if isinstance(wanted, dict):
            return cls(case, **{name: of.read(reader) for name, of in wanted.items()})
        return cls(case) if wanted is None else cls(case, wanted.read(reader))


def encode(kind, value):
    return kind.write(value)


def decode(kind, data):
    """All of the bytes as one value."""
    reader = Reader(data)
    value = kind.read(reader)
    reader.end()
    return value
