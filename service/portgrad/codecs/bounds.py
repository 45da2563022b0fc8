"""The most that a call may hold once it is read, and the refusals of more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from portgrad.errors import LimitExceeded


class Bounds(NamedTuple):
    """What a call may be.

    Attributes:
        size: bytes that the body may unfold to.
        depth: how deep its JSON may nest.
        arrays: how many arrays it may have.
        elements: how many elements these may have together.
        hold: called with how many bytes it unfolds to, before it does; may raise Busy. A worker
            need not: what unfolds there takes of the worker's own memory.
    """

    size: int
    depth: int
    arrays: int
    elements: int
    hold: Callable[[int], None] = lambda _: None

    def check_arrays(self, count: int) -> None:
        """Refuse too many arrays."""
        if count > self.arrays:
            raise LimitExceeded(
                "The call has more arrays than this service takes.",
                code="too_many_arrays",
                where="body",
                expected=f"at most {self.arrays} arrays",
                found=f"{count} arrays",
                remedy="Send several calls, or raise PORTGRAD_MAX_ARRAYS.",
            )

    @property
    def keys(self) -> int:
        """The keys that so many arrays may have in JSON, and the other fields of a call."""
        return 4 * self.arrays + 1000

    def check_keys(self, count: int) -> None:
        """Refuse JSON with more keys than all of its arrays could have."""
        if count > self.keys:
            raise LimitExceeded(
                "The call has more keys than the arrays that this service takes could have.",
                code="too_many_arrays",
                where="body",
                expected=f"at most {self.arrays} arrays",
                found=f"{count} keys",
                remedy="Send several calls, or raise PORTGRAD_MAX_ARRAYS.",
            )

    def check_elements(self, count: int) -> None:
        """Refuse arrays of too many elements."""
        if count > self.elements:
            raise LimitExceeded(
                "The call's arrays have more elements than this service takes.",
                code="too_many_elements",
                where="body",
                expected=f"at most {self.elements} elements in all",
                found=f"{count} elements",
                remedy="Send several calls, or raise PORTGRAD_MAX_ELEMENTS.",
            )

    def check_call(self, data: Any, named: Iterable[Mapping[str, Any]]) -> None:
        """Refuse what is too much, of the data and of all that is beside it.

        Elements are those of arrays; those of lists were counted in their text.
        """
        fields = [data if isinstance(data, Mapping) else {"": data}, *named]
        self.check_arrays(sum(map(len, fields)))
        self.check_elements(sum(_size(array) for field in fields for array in field.values()))

    def check_depth(self, depth: int, where: str) -> None:
        """Refuse JSON that nests too deep."""
        if depth > self.depth:
            raise too_deep(where, self.depth)


def _size(array: Any) -> int:
    return array.size if isinstance(array, np.ndarray) else 0


def too_deep(where: str, depth: int) -> LimitExceeded:
    """The refusal of JSON that nests too deep."""
    return LimitExceeded(
        f"The {where} is nested too deep.",
        code="json_too_deep",
        where=where,
        expected=f"at most {depth} levels: one for each dimension of an array, and few more",
        remedy="Send each array as nested lists of its own rank.",
    )
