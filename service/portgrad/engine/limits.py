"""The size of an answer, known before it is computed."""

from __future__ import annotations

import math
from collections.abc import Iterable

from portgrad.errors import LimitExceeded

ANSWER_BYTES = 2**30


def check_answer(
    what: str, arrays: Iterable[tuple[Iterable[int], int]], limit: int, where: str = "wrt"
) -> None:
    """Refuse an answer, or what is made of a request, that would be larger than the limit.

    Args:
        what: what is asked for, such as `The Jacobian`.
        arrays: the shape and the bytes of one element of each array.
        limit: the most bytes.
        where: the field that is to blame.

    Raises:
        LimitExceeded: `answer_too_large`, with the size.
    """
    size = sum(math.prod(shape) * itemsize for shape, itemsize in arrays)
    if size > limit:
        raise LimitExceeded(
            f"{what} would have {_shown(size)}, more than an answer may have.",
            code="answer_too_large",
            where=where,
            expected=f"at most {_shown(limit)}",
            found=_shown(size),
            remedy="Ask for fewer targets or outputs, or for products with vectors (jvp, hvp, or "
            "a gradient with stacked seeds) in several calls.",
        )


def _shown(size: int) -> str:
    for unit, power in (("GB", 9), ("MB", 6), ("kB", 3)):
        if size >= 10**power:
            return f"{size / 10**power:.3g} {unit}"
    return f"{size} bytes"
