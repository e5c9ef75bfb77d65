"""How values become bytes (docs/protocol.md): canonical postcard. A codec for each kind of type there is."""


class Refused(ValueError):
    """These bytes are no canonical encoding, or this value is none of the type."""


class Reader:
    def __init__(self, data):
        self.data, self.at = bytes(data), 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise Refused("the bytes end early")
        self.at += count
        return self.data[self.at - count : self.at]


class Bool:
    def encode(self, value):
        if not isinstance(value, bool):
            raise Refused(f"{value!r} is not a bool")
        return bytes([value])

    def decode(self, reader):
        byte = reader.take(1)[0]
        if byte > 1:
            raise Refused(f"{byte} is not a bool")
        return byte == 1


class Integer:
    """Base 128, least significant group first; one byte for 8 bits; signed ones zigzag."""

    def __init__(self, bits, signed=False):
        self.bits, self.signed = bits, signed
        self.lowest = -(1 << bits - 1) if signed else 0
        self.highest = (1 << bits - signed) - 1

    def encode(self, value):
        if isinstance(value, bool) or not isinstance(value, int) or not self.lowest <= value <= self.highest:
            raise Refused(f"{value!r} is not an integer from {self.lowest} to {self.highest}")
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
            return reader.take(1)[0]
        value = shift = 0
        while True:
            byte = reader.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if byte == 0 and shift > 7:
            raise Refused("a number padded with zero groups")
        if value >= 1 << self.bits:
            raise Refused(f"{value} has more than {self.bits} bits")
        if self.signed:
            return value >> 1 if value & 1 == 0 else -(value + 1 >> 1)
        return value


U32 = Integer(32)


class Option:
    def __init__(self, inner):
        self.inner = inner

    def encode(self, value):
        return b"\0" if value is None else b"\1" + self.inner.encode(value)

    def decode(self, reader):
        return self.inner.decode(reader) if Bool().decode(reader) else None


class Array:
    """`n of T`; of bytes it is `bytes`."""

    def __init__(self, inner, count):
        self.inner, self.count = inner, count

    def encode(self, values):
        if len(values) != self.count:
            raise Refused(f"{len(values)} values instead of {self.count}")
        return b"".join(map(self.inner.encode, values))

    def decode(self, reader):
        return bytes(self.inner.decode(reader) for _ in range(self.count))


class List:
    """`list of T, at most n`, and `bytes, at most n`."""

    def __init__(self, inner, most, of=tuple):
        self.inner, self.most, self.of = inner, most, of

    def encode(self, values):
        if len(values) > self.most:
            raise Refused(f"{len(values)} values, at most {self.most}")
        return U32.encode(len(values)) + b"".join(map(self.inner.encode, values))

    def decode(self, reader):
        count = U32.decode(reader)
        if count > self.most:
            raise Refused(f"{count} values, at most {self.most}")
        return self.of(self.inner.decode(reader) for _ in range(count))


class Fields:
    """A type with fields, or what follows a name. Its values are those of `cls`, a dataclass with the fields in order."""

    def __init__(self, cls, codecs):
        self.cls, self.codecs = cls, codecs

    def encode(self, value):
        if not isinstance(value, self.cls):
            raise Refused(f"{value!r} is not a {self.cls.__qualname__}")
        return b"".join(codec.encode(getattr(value, name)) for name, codec in self.codecs.items())

    def decode(self, reader):
        return self.cls(*[codec.decode(reader) for codec in self.codecs.values()])


class Choice:
    """A type with numbered names."""

    def __init__(self, name, variants):
        self.name, self.variants = name, variants

    def encode(self, value):
        for number, codec in enumerate(self.variants):
            if isinstance(value, codec.cls):
                return U32.encode(number) + codec.encode(value)
        raise Refused(f"{value!r} is not a {self.name}")

    def decode(self, reader):
        number = U32.decode(reader)
        if number >= len(self.variants):
            raise Refused(f"{self.name} has no number {number}")
        return self.variants[number].decode(reader)


def encode(codec, value):
    return codec.encode(value)


def decode(codec, data):
    reader = Reader(data)
    value = codec.decode(reader)
    if reader.at != len(reader.data):
        raise Refused("bytes behind the end")
    return value
