"""JSON text in pieces: of a large answer there is never more text than a piece of it.

orjson keeps every other thread waiting while it writes. So large arrays are written by parts.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import orjson

Array = np.ndarray[Any, Any]

# Written in some milliseconds.
MOST_ELEMENTS = 2**15
_BASE64_BYTES = 3 * 2**16  # a multiple of three: parts follow one another without padding
_LEAST_BYTES = 2**18  # what a hop to a thread and back is worth


def of(value: Any, of_array: Callable[[Array], Iterator[bytes]]) -> Iterator[bytes]:
    """The text of plain data with arrays in it.

    Args:
        value: the data.
        of_array: gives the text of an array, in pieces.
    """
    if isinstance(value, dict):
        yield b"{"
        for place, (name, one) in enumerate(value.items()):
            yield (b"," if place else b"") + orjson.dumps(name) + b":"
            yield from of(one, of_array)
        yield b"}"
    elif isinstance(value, list):
        yield b"["
        for place, one in enumerate(value):
            if place:
                yield b","
            yield from of(one, of_array)
        yield b"]"
    elif isinstance(value, np.ndarray | np.generic):
        yield from of_array(np.asarray(value))
    else:
        yield orjson.dumps(value)


def of_lists(array: Array, write: Callable[[Array], bytes]) -> Iterator[bytes]:
    """The nested lists of an array; `write` gives the text of an array that is small."""
    if array.size <= MOST_ELEMENTS:
        yield write(array)
        return
    rows = max(1, MOST_ELEMENTS // array[0].size)
    yield b"["
    for start in range(0, len(array), rows):
        if start:
            yield b","
        if rows == 1:
            yield from of_lists(array[start], write)
        else:
            yield write(array[start : start + rows])[1:-1]
    yield b"]"


def of_base64(array: Array) -> Iterator[bytes]:
    """The base64 text of an array's bytes, row by row."""
    raw = np.asarray(array, order="C").reshape(-1).view(np.uint8).data
    for start in range(0, len(raw), _BASE64_BYTES):
        yield b2a_base64(raw[start : start + _BASE64_BYTES], newline=False)


def gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same text in pieces that are worth a hop to a thread and back each."""
    held, size = [], 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _LEAST_BYTES:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)
