"""Products of sizes: a number times the symbols of open dimensions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

Dim: TypeAlias = int | str | None


@dataclass(frozen=True)
class Count:
    """How many elements some axes have."""

    number: int = 1
    symbols: tuple[str, ...] = ()

    @classmethod
    def of(cls, sizes: Iterable[Dim]) -> Count | None:
        """The product of sizes, None where one is not known, or 0."""
        total = cls()
        for size in sizes:
            if size is None or size == 0:
                return None
            total = total.times(cls(size) if isinstance(size, int) else cls(1, (size,)))
        return total

    @property
    def size(self) -> Dim:
        """As the size of an axis, None where no number or symbol says it."""
        if not self.symbols:
            return self.number
        return self.symbols[0] if self.number == 1 and len(self.symbols) == 1 else None

    def times(self, other: Count) -> Count:
        """The product."""
        return Count(self.number * other.number, tuple(sorted(self.symbols + other.symbols)))

    def over(self, other: Count) -> Count | None:
        """The quotient where it is whole, whatever the symbols stand for."""
        mine, theirs = Counter(self.symbols), Counter(other.symbols)
        if self.number % other.number or theirs - mine:
            return None
        return Count(self.number // other.number, tuple(sorted((mine - theirs).elements())))


ONE = Count()
