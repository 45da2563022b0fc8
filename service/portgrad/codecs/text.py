"""JSON read strictly: no bare NaN, no key twice, no abyss; errors say what to send instead.

Nothing here takes more than a few passes over the text, whatever it holds. Lists, which hold the
numbers, are walked in Python only where the text is ambiguous.
"""

from __future__ import annotations

import gc
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson

from portgrad.codecs.bounds import Bounds, too_deep
from portgrad.codecs.marks import COLONS, COMMAS, depth, marks
from portgrad.codecs.model import Buffer
from portgrad.errors import Malformed

_BARE = 'Send the strings "NaN", "Infinity" and "-Infinity" in place of bare tokens.'
_BARE_CONSTANT = re.compile(r"NaN|-?Infinity")
# Up to here nothing is spared, and a text is read once more to name the key that stands twice.
_SMALL_BYTES = 64 * 1024
# What a list and a number take once they are read; both may be two bytes of text.
_LIST_BYTES, _ITEM_BYTES = 96, 40
_PART_BYTES = 1024 * 1024


def loads(body: bytes, where: str, bounds: Bounds) -> dict[str, Any]:
    """The JSON object in a body or a query parameter.

    Raises:
        Malformed: `invalid_json`.
        LimitExceeded: `json_too_deep`; nothing was parsed.
    """
    if body.count(b"[") + body.count(b"{") > bounds.depth:  # a count or two clears nearly every one
        bounds.check_depth(depth(body), where)
    try:
        value = _parsed(body)
    except orjson.JSONDecodeError as error:
        raise _invalid(where, error) from error
    if not isinstance(value, dict):
        raise Malformed(
            f"The {where} is not a JSON object.",
            code="invalid_json",
            where=where,
            expected='an object such as {"data": {"input": [1, 2]}}',
            found=type(value).__name__,
            remedy="Put the arrays into the field `data`.",
        )
    try:
        _refuse_twice(body, value, where)
    except RecursionError:
        raise too_deep(where, bounds.depth) from None
    return value


def _parsed(body: bytes) -> Any:
    """What the text says, made without searching for garbage: among a million lists that are being
    made there is none, and looking takes several times as long as making them."""
    if len(body) <= _SMALL_BYTES or not gc.isenabled():
        return orjson.loads(body)
    gc.disable()
    try:
        return orjson.loads(body)
    finally:
        gc.enable()


def check_elements(body: bytes, bounds: Bounds) -> None:
    """Refuse a body with more numbers in its lists than there may be, or than there is room for.

    A container of n items has n - 1 commas and is an item itself: that leaves one element more
    than commas. An empty list counts as one.
    """
    if len(body) <= min(_SMALL_BYTES, bounds.elements):
        return
    if body.count(b",") >= bounds.elements:
        bounds.check_elements(marks(body, COMMAS).size + 1)
    bounds.hold(sum(weigh(body, bounds)))


def weigh(body: Buffer, _bounds: Bounds) -> Iterator[int]:
    """What the lists in each part of a body take once they are read: a millisecond's work each."""
    for start in range(0, len(body), _PART_BYTES):
        part = bytes(body[start : start + _PART_BYTES])
        yield _LIST_BYTES * part.count(b"[") + _ITEM_BYTES * part.count(b",")


def check_keys(body: bytes, bounds: Bounds) -> None:
    """Refuse a body with more keys than there may be, before they are made: each takes long."""
    if len(body) > bounds.keys and body.count(b":") > bounds.keys:
        bounds.check_keys(marks(body, COLONS).size)


def _refuse_twice(body: bytes, value: dict[str, Any], where: str) -> None:
    """Refuse an object that has one key twice: which of them was meant is anybody's guess.

    A parser keeps one of the two, so colons tell whether any key was lost: each key has one, and
    those in strings are counted on both sides. Lists are only walked where that does not add up.
    """
    if _colons_of_text(body) == _colons(value):
        return
    if marks(body, COLONS).size == _keys(value):
        return
    twice = _twice(body) if len(body) <= _SMALL_BYTES else None
    raise Malformed(
        f"The key {twice!r} stands twice in one object." if twice else "A key stands twice.",
        code="invalid_json",
        where=where,
        found=twice,
        remedy="Send each key once.",
    )


def _colons_of_text(body: bytes) -> int:
    """The colons of a text, those written as escapes among them."""
    count = body.count(b":")
    if b"\\u003" in body:
        plain = body.replace(b"\\\\", b"")
        count += plain.count(b"\\u003a") + plain.count(b"\\u003A")
    return count


def _colons(value: Any) -> int:
    """The colons of the text that dicts came from; lists are not read."""
    if isinstance(value, str):
        return value.count(":")
    if not isinstance(value, dict):
        return 0
    return sum(1 + key.count(":") + _colons(inner) for key, inner in value.items())


def _keys(value: Any) -> int:
    """All keys of a value, those of dicts in lists too."""
    if isinstance(value, dict):
        return len(value) + sum(map(_keys, value.values()))
    if isinstance(value, list):
        return sum(_keys(item) for item in value if isinstance(item, dict | list))
    return 0


def _twice(body: bytes) -> str | None:
    """The first key that stands twice in one object."""
    found: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        counts = Counter(key for key, _ in pairs)
        found.extend(key for key, count in counts.items() if count > 1)
        return dict(pairs)

    json.loads(body, object_pairs_hook=look)
    return next(iter(found), None)


def _invalid(where: str, error: orjson.JSONDecodeError) -> Malformed:
    bare = _bare_constant(error)
    return Malformed(
        f"The {where} is not JSON: {bare} is not a JSON value."
        if bare
        else f"The {where} is not JSON: {error.msg}, at line {error.lineno} column {error.colno}.",
        code="invalid_json",
        where=where,
        found=bare,
        remedy=_BARE if bare else "Send one JSON object in UTF-8, or set the right Content-Type.",
    )


def _bare_constant(error: orjson.JSONDecodeError) -> str | None:
    """The bare NaN or Infinity at which reading ended, if it was one; its sign was read before."""
    signed = error.doc[max(error.pos - 1, 0) : error.pos] == "-"
    found = _BARE_CONSTANT.match(error.doc, error.pos - signed)
    return found[0] if found else None
