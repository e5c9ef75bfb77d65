"""Canonical postcard (docs/protocol.md, "How values become bytes"): a codec for each kind of type, by the name it has in docs/messages.md."""


class WireError(ValueError):
    """Bytes that are no canonical encoding, or a value that is none of its type."""


class Reader:
    def __init__(self, data):
        self.data, self.at = bytes(data), 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise WireError("the bytes end early")
        self.at += count
        return self.data[self.at - count : self.at]

    def end(self):
        if self.at != len(self.data):
            raise WireError("bytes behind the end")


class Bool:
    name = "bool"

    def encode(self, value):
        if not isinstance(value, bool):
            raise WireError(f"{value!r} is not a bool")
        return bytes([value])

    def decode(self, reader):
        byte = reader.take(1)[0]
        if byte > 1:
            raise WireError(f"{byte} is not a bool")
        return byte == 1


class Integer:
    """Base 128, least significant group first; one byte for 8 bits; signed ones zigzag."""

    def __init__(self, bits, signed=False, most=None):
        self.bits, self.signed = bits, signed
        self.lowest = -(1 << bits - 1) if signed else 0
        self.highest = (1 << bits - signed) - 1 if most is None else most
        self.name = f"{'i' if signed else 'u'}{bits}"

    def check(self, value):
        if isinstance(value, bool) or not isinstance(value, int) or not self.lowest <= value <= self.highest:
            raise WireError(f"{value!r} is not an integer from {self.lowest} to {self.highest}")
        return value

    def encode(self, value):
        self.check(value)
        if self.signed:
            value = value << 1 if value >= 0 else (-value << 1) - 1
        if self.bits == 8:
            return bytes([value])
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        out.append(value)
        return bytes(out)

    def decode(self, reader):
        if self.bits == 8:
            return self.check(reader.take(1)[0])
        value = shift = 0
        while True:
            byte = reader.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if byte == 0 and shift > 7:
            raise WireError("a number padded with zero groups")
        if value >> self.bits:
            raise WireError(f"{value} has more than {self.bits} bits")
        if self.signed:
            value = value >> 1 if value & 1 == 0 else -(value + 1 >> 1)
        return self.check(value)


BOOL, U8, U32 = Bool(), Integer(8), Integer(32)


class Option:
    """A value or None."""

    def __init__(self, inner):
        self.inner, self.name = inner, f"option of {inner.name}"

    def encode(self, value):
        return b"\0" if value is None else b"\1" + self.inner.encode(value)

    def decode(self, reader):
        return self.inner.decode(reader) if BOOL.decode(reader) else None


class List:
    """A tuple of at most so many."""

    def __init__(self, inner, most):
        self.inner, self.most = inner, most
        self.name = f"list of {inner.name}, at most {most}"

    def count(self, count):
        if count > self.most:
            raise WireError(f"{count} values, at most {self.most}")
        return count

    def encode(self, values):
        return U32.encode(self.count(len(values))) + b"".join(map(self.inner.encode, values))

    def decode(self, reader):
        return tuple(self.inner.decode(reader) for _ in range(self.count(U32.decode(reader))))


class Bytes(List):
    """`bytes`, at most so many."""

    def __init__(self, most):
        super().__init__(U8, most)
        self.name = f"bytes, at most {most}"

    def decode(self, reader):
        return reader.take(self.count(U32.decode(reader)))


class Array:
    """`bytes`, exactly so many."""

    def __init__(self, count):
        self.count, self.name = count, f"{count} of u8"

    def encode(self, value):
        if len(value) != self.count:
            raise WireError(f"{len(value)} bytes instead of {self.count}")
        return bytes(value)

    def decode(self, reader):
        return reader.take(self.count)


class Alias:
    """A name for another type."""

    def __init__(self, name, inner):
        self.name, self.inner = name, inner
        self.encode, self.decode = inner.encode, inner.decode


class Fields:
    """A type with fields, or what follows a name: values are those of `cls`, which has the fields in order."""

    def __init__(self, cls, fields):
        self.cls, self.fields, self.name = cls, fields, cls.__name__

    def encode(self, value):
        if not isinstance(value, self.cls):
            raise WireError(f"{value!r} is not a {self.cls.__qualname__}")
        return b"".join(codec.encode(getattr(value, name)) for name, codec in self.fields.items())

    def decode(self, reader):
        return self.cls(*[codec.decode(reader) for codec in self.fields.values()])


class Names:
    """A type with numbered names that are followed by nothing: values are the names."""

    def __init__(self, name, names):
        self.name, self.names = name, names

    def encode(self, value):
        if value not in self.names:
            raise WireError(f"{self.name} has no {value!r}")
        return U32.encode(self.names.index(value))

    def decode(self, reader):
        return self.names[_number(self, reader, len(self.names))]


class Choice:
    """A type with numbered names, each with its `Fields`."""

    def __init__(self, name, variants):
        self.name, self.variants = name, variants

    def encode(self, value):
        for number, fields in enumerate(self.variants):
            if isinstance(value, fields.cls):
                return U32.encode(number) + fields.encode(value)
        raise WireError(f"{value!r} is not a {self.name}")

    def decode(self, reader):
        return self.variants[_number(self, reader, len(self.variants))].decode(reader)


def _number(of, reader, count):
    number = U32.decode(reader)
    if number >= count:
        raise WireError(f"{of.name} has no number {number}")
    return number


def decode(codec, data):
    """All of the bytes as one value."""
    reader = Reader(data)
    value = codec.decode(reader)
    reader.end()
    return value
