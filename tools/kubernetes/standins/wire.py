"""Protocol Buffers on the wire, as little of it as the kubelet's plugin interfaces need (pure).

A message is a mapping from field numbers to values: text, whole numbers, truth, messages, and lists of them. Numbers and meaning of
the fields are those of the public specifications (protobuf encoding; CSI 1; the kubelet's plugin registration v1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

__all__ = ["Value", "decode", "encode", "text", "texts"]

_NUMBER, _LENGTH = 0, 2
Value = str | int | bool | bytes | Mapping[int, "Value"] | list["Value"]


def encode(message: Mapping[int, Value]) -> bytes:
    """The bytes of a message; empty values are left out, as the format wants it."""
    return b"".join(_field(number, value) for number, value in sorted(message.items()))


def _field(number: int, value: Value) -> bytes:
    if isinstance(value, list):
        return b"".join(_field(number, one) for one in value)
    if isinstance(value, int):
        return _varint(number << 3 | _NUMBER) + _varint(value) if value else b""
    content = encode(value) if isinstance(value, Mapping) else value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | _LENGTH) + _varint(len(content)) + content if content or isinstance(value, Mapping) else b""


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def decode(content: bytes) -> dict[int, list[int | bytes]]:
    """The fields of a message by number, each with its values in order: numbers, or bytes for text and messages."""
    found: dict[int, list[int | bytes]] = {}
    for number, value in _fields(memoryview(content)):
        found.setdefault(number, []).append(value)
    return found


def _fields(rest: memoryview) -> Iterator[tuple[int, int | bytes]]:
    while rest:
        key, rest = _number(rest)
        match key & 7:
            case 0:
                value, rest = _number(rest)
                yield key >> 3, value
            case 2:
                size, rest = _number(rest)
                yield key >> 3, bytes(rest[:size])
                rest = rest[size:]
            case kind:
                rest = rest[{1: 8, 5: 4}[kind] :]  # fixed numbers: none of these interfaces has one that matters


def _number(rest: memoryview) -> tuple[int, memoryview]:
    value = shift = 0
    for at, byte in enumerate(rest):
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, rest[at + 1 :]
    raise ValueError("a number without an end")


def text(fields: Mapping[int, list[int | bytes]], number: int) -> str:
    """A text field; empty where it was not sent."""
    value = fields.get(number, [b""])[-1]
    return value.decode() if isinstance(value, bytes) else str(value)


def texts(fields: Mapping[int, list[int | bytes]], number: int) -> dict[str, str]:
    """A field of type ``map<string, string>``."""
    pairs = [decode(one) for one in fields.get(number, []) if isinstance(one, bytes)]
    return {text(pair, 1): text(pair, 2) for pair in pairs}
