"""How large nets, and what is computed with them, may be: plain numbers, and the refusals."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from portgrad.errors import LimitExceeded
from portgrad.graph.size import DEPTH, NODES


@dataclass(frozen=True)
class Limits:
    """What one net, and one call on it, may take. Plain numbers, so that processes can pass it.

    Attributes:
        answer_bytes: the most bytes that the answer of a call may have.
        nodes: the most nodes of a net, with functions written out.
        subgraph_depth: how deep If, Loop and Scan may be nested.
        memory_bytes: the most bytes that one value may have whose size is known before it is
            computed; None where nothing is known of the memory there is.
        folded_bytes: the most bytes that is computed of constants while a graph is compiled.
    """

    answer_bytes: int = 2**30
    nodes: int = NODES
    subgraph_depth: int = DEPTH
    memory_bytes: int | None = None
    folded_bytes: int = 2**26


LIMITS = Limits()
# Sequences have any number of them, and each is some work for whoever reads the answer.
MOST_ARRAYS = 2**16


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


def check_count(arrays: int) -> None:
    """Refuse an answer of too many arrays.

    Raises:
        LimitExceeded: `answer_too_large`.
    """
    if arrays > MOST_ARRAYS:
        raise LimitExceeded(
            "The answer has more arrays than an answer may have.",
            code="answer_too_large",
            expected=f"at most {MOST_ARRAYS} arrays",
            found=f"{arrays} arrays",
            remedy="Send less, or ask for outputs that are no sequences.",
        )


def check_value(name: str, size: int, limit: int) -> None:
    """Refuse to compute a value inside a net that would be larger than the limit.

    Raises:
        LimitExceeded: `value_too_large`, with the size.
    """
    if size > limit:
        raise LimitExceeded(
            f"The value {name!r} inside the net would have {_shown(size)}.",
            code="value_too_large",
            where=name,
            expected=f"at most {_shown(limit)}, the memory that there is for a net",
            found=_shown(size),
            remedy="Send less, a smaller batch for one, or make what the net repeats, pads or "
            "resizes smaller.",
        )


def _shown(size: int) -> str:
    for unit, power in (("GB", 9), ("MB", 6), ("kB", 3)):
        if size >= 10**power:
            return f"{size / 10**power:.3g} {unit}"
    return f"{size} bytes"
