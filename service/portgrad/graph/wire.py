"""Large initializers of a model file, cut out of its bytes before protobuf reads, and copies, them.

A message is fields, one after the other: a tag, which is a number and how the field ends, then what
it holds. On the way to a tensor's bytes there are three.

    ModelProto  7 graph  ->  GraphProto  5 initializer  ->  TensorProto  9 raw_data

Nothing is judged here. Where bytes are not plainly so, they are left to protobuf as they are.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

VARINT, SIXTY_FOUR, LENGTH, THIRTY_TWO = 0, 1, 2, 5
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9
_FIXED = {SIXTY_FOUR: 8, THIRTY_TWO: 4}
WORTH = 2**20  # bytes of a file; a smaller one is read sooner than looked through
_MOST = 2**17  # fields: Python takes a microsecond for each

Data: TypeAlias = bytes | mmap.mmap


class Field(NamedTuple):
    """Where a field of a message begins, what it holds begins, and it ends."""

    number: int
    kind: int
    start: int
    content: int
    end: int


class _Odd(Exception):
    """Bytes that only protobuf is to read."""


def cut(data: Data, least: int) -> tuple[bytes, Mapping[int, memoryview]]:
    """A model without the bytes of its large initializers, and these, by the initializer's place.

    Args:
        data: a model file.
        least: how many bytes are large.
    """
    if len(data) >= WORTH:
        try:
            return _Cutter(data, least).model()
        except _Odd:
            pass
    return bytes(data), {}


class _Cutter:
    def __init__(self, data: Data, least: int) -> None:
        self._data, self._least, self._left = data, least, _MOST

    def model(self) -> tuple[bytes, Mapping[int, memoryview]]:
        """The bytes without, and those of large initializers."""
        graphs = self._fields(0, len(self._data), _GRAPH)
        if len(graphs) != 1:  # protobuf makes one of several
            raise _Odd
        (graph,) = graphs
        found: dict[int, memoryview] = {}
        kept, start = [], graph.content
        for place, tensor in enumerate(self._fields(graph.content, graph.end, _INITIALIZER)):
            raw = self._raw_data(tensor)
            if raw is not None:
                found[place] = memoryview(self._data)[raw.content : raw.end]
                rest = self._data[tensor.content : raw.start] + self._data[raw.end : tensor.end]
                kept += [self._data[start : tensor.start], _field(_INITIALIZER, rest)]
                start = tensor.end
        rest = _field(_GRAPH, b"".join([*kept, self._data[start : graph.end]]))
        return self._data[: graph.start] + rest + self._data[graph.end :], found

    def _raw_data(self, tensor: Field) -> Field | None:
        if tensor.end - tensor.content <= self._least:
            return None
        raw = self._fields(tensor.content, tensor.end, _RAW_DATA)
        one = len(raw) == 1 and raw[0].end - raw[0].content > self._least
        return raw[0] if one else None

    def _fields(self, start: int, end: int, number: int) -> list[Field]:
        """The fields of that number, each a message or bytes, of the message between two places."""
        found = []
        for field in fields(self._data, start, end):
            self._left -= 1
            odd = field.kind not in _KINDS or field.end > end or not self._left
            if odd or (field.number == number and field.kind != LENGTH):
                raise _Odd
            if field.number == number:
                found.append(field)
        return found


_KINDS = {VARINT, LENGTH, *_FIXED}


def fields(data: Data, start: int, end: int) -> Iterator[Field]:
    """The fields of the message between two places. The last may end beyond it.

    Of a kind that is not known here, it is not known where it ends.
    """
    while start < end:
        tag, content = varint(data, start)
        kind = tag & 7
        after = content + _FIXED.get(kind, 0)
        if kind == VARINT:
            _, after = varint(data, content)
        elif kind == LENGTH:
            size, content = varint(data, content)
            after = content + size
        yield Field(tag >> 3, kind, start, content, after)
        start = after


def varint(data: Data, place: int) -> tuple[int, int]:
    """A number in base 128, least digit first, and where it ends; past the end if cut short."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            return value, len(data) + 1
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
    return value, place


def _field(number: int, content: bytes) -> bytes:
    digits, size = [], len(content)
    while size >= 0x80:
        digits.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | LENGTH, *digits, size]) + content
