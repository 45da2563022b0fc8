"""Fields of a request that take one of a few words."""

from __future__ import annotations

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
