"""Fields of a request that are words: one of a few, names, and lists of these."""

from __future__ import annotations

from collections.abc import Hashable

from portgrad.errors import InvalidRequest


def word(where: str, given: str | None, words: tuple[str, ...], default: str | None = None) -> str:
    """One of the words that a field takes, the first by default.

    Args:
        where: the field.
        given: what it has, None for the default.
        words: what it takes.
        default: what leaving it out comes to, where that is not the first word.

    Raises:
        InvalidRequest: `invalid_field`.
    """
    if given is None:
        return words[0]
    if isinstance(given, str) and given in words:
        return given
    raise InvalidRequest(
        f"The field `{where}` has a value that it does not take.",
        code="invalid_field",
        where=where,
        expected=" or ".join(repr(one) for one in words),
        found=repr(given)[:80],
        remedy=f"Leave it out for {default or repr(words[0])}.",
    )


_PLAIN = frozenset({str, bool, type(None)})


def key_of(*given: object) -> Hashable | None:
    """What tells fields of a request from all others that may mean something else.

    None where one of them is neither a word, true, false or None, nor a list of such and of lists.
    """
    if _PLAIN.issuperset(map(type, given)):
        return given
    try:
        return tuple(map(_frozen, given))
    except TypeError:
        return None


def _frozen(given: object) -> Hashable:
    kind = type(given)
    if kind in _PLAIN:
        return given
    if kind is list or kind is tuple:
        return (kind, *map(_frozen, given))  # type: ignore[call-overload]
    raise TypeError(kind)


def nothing(given: object) -> bool:
    """Whether a field that takes values by name has none."""
    return given is None or (type(given) is dict and not given)
