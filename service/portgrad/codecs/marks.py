"""The skeleton of a JSON text: the brackets, colons and commas that stand outside of its strings.

It is found without parsing, in a few passes that NumPy and `bytes` make, so that a text can be
refused before anything is built of it. Of a text that is no JSON the skeleton means little, but
takes as long.
"""

from __future__ import annotations

from typing import Any

import numpy as np

OPENING, CLOSING, COLONS, COMMAS = b"[{", b"]}", b":", b","
_QUOTE = ord('"')
# The interpreter turns to other threads between slices.
_SLICE = 1024 * 1024

Marks = np.ndarray[Any, np.dtype[np.uint8]]


def marks(text: bytes, kept: bytes) -> Marks:
    """The characters `kept` of a JSON text, those in strings left out."""
    if b"\\" in text:
        # Pairs from the left: what is left of a run is what escapes the next character.
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    others = bytes(set(range(256)) - {*kept, _QUOTE})
    starts = range(0, len(text), _SLICE)
    slices = [text[start : start + _SLICE].translate(None, others) for start in starts]
    found = np.frombuffer(b"".join(slices), np.uint8)
    quotes = found == _QUOTE
    inside = np.bitwise_xor.accumulate(quotes.view(np.uint8)).view(np.bool_)
    outside: Marks = found[~(inside | quotes)]
    return outside


def depth(text: bytes) -> int:
    """How deep the text nests."""
    found = marks(text, OPENING + CLOSING)
    steps = np.where(np.isin(found, np.frombuffer(OPENING, np.uint8)), 1, -1)
    return int(np.cumsum(steps).max(initial=0))
