"""JSON read strictly: no bare NaN, no key twice, and errors that say what to send instead."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import orjson

from portgrad.api.problems import Malformed

_BARE = 'Send the strings "NaN", "Infinity" and "-Infinity" in place of bare tokens.'


def loads(body: bytes, where: str) -> dict[str, Any]:
    """The JSON object in a body or a query parameter."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _invalid(body, where, error) from error
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
        refuse_twice(body, value, where)
    except RecursionError:
        raise _too_deep(where) from None
    return value


def refuse_twice(body: bytes, value: Any, where: str) -> None:
    """Refuse an object that has one key twice: which of them was meant is anybody's guess.

    A parser keeps one of the two, so counting colons tells whether any key was lost. Only where
    colons or escapes inside strings blur the count is the text read again, more slowly.
    """
    if b"\\" not in body and body.count(b":") == _colons(value):
        return

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen = dict(pairs)
        if len(seen) != len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise Malformed(
                f"The key {twice!r} stands twice in one object.",
                code="invalid_json",
                where=where,
                found=twice,
                remedy="Send each key once.",
            )
        return seen

    json.loads(body, object_pairs_hook=unique)


def _colons(value: Any) -> int:
    """The colons of the text that dicts came from; lists, which hold the arrays, are not read."""
    if isinstance(value, str):
        return value.count(":")
    if not isinstance(value, dict):
        return 0
    return sum(1 + key.count(":") + _colons(inner) for key, inner in value.items())


def _too_deep(where: str) -> Malformed:
    return Malformed(
        f"The {where} is nested too deep to be read.",
        code="invalid_json",
        where=where,
        expected="arrays of at most 64 dimensions, and little else that nests",
        remedy="Send each array as nested lists of its own rank.",
    )


def _invalid(body: bytes, where: str, error: orjson.JSONDecodeError) -> Malformed:
    bare = _bare_constant(body)
    return Malformed(
        f"The {where} is not JSON: {bare} is not a JSON value."
        if bare
        else f"The {where} is not JSON: {error.msg}, at line {error.lineno} column {error.colno}.",
        code="invalid_json",
        where=where,
        found=bare,
        remedy=_BARE if bare else "Send one JSON object in UTF-8, or set the right Content-Type.",
    )


class _BareConstantError(Exception):
    """Carries the token out of Python's parser."""


def _bare_constant(body: bytes) -> str | None:
    """The first bare NaN or Infinity, where that is what is wrong with the text."""

    def stop(token: str) -> NoReturn:
        raise _BareConstantError(token)

    try:
        json.loads(body, parse_constant=stop)
    except _BareConstantError as constant:
        return str(constant)
    except (ValueError, RecursionError):
        return None
    return None
