"""What the batch analysis knows of a value.

Shared    the same whatever the batch; `entries` where its integers are known
Along     one example after the other along `axis`, where a single example has size 1; or packed
          with other axes: at each of `outer` places one after the other, `block` of each
Sizes     integers computed from shapes, the batch size among them
Numbered  integers made of 0, 1, … along the batch: see `numbers`
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from portgrad.graph.batch.counts import ONE, Count, Dim

Entries: TypeAlias = np.ndarray[Any, Any]  # of int, bool, Size or None (not known)
Vector: TypeAlias = list["int | Size | None"]


@dataclass(frozen=True)
class Size:
    """A size that is no number: that of the batch, or times as much; None for a size not known."""

    times: int | None = 1


N = Size()


class Refused(Exception):
    """The net cannot be proven to treat the examples of a batch independently.

    Attributes:
        where: the node, port or value that stands in the way, where it is one.
    """

    def __init__(self, because: str, where: str | None = None) -> None:
        super().__init__(because)
        self.where = where


@dataclass(frozen=True, eq=False)
class Shared:
    """The same for every batch."""

    entries: Entries | None = None


@dataclass(frozen=True, eq=False)
class Along:
    """The examples' values along `axis`, whose sizes are (outer, batch, block) as one.

    Where both are 1, they are concatenated.
    """

    axis: int
    outer: Count = ONE
    block: Count = ONE

    @property
    def plain(self) -> bool:
        """Whether a single example has size 1 on the axis."""
        return self.outer == self.block == ONE

    @property
    def single(self) -> Dim:
        """The size of the axis for a single example."""
        return self.outer.times(self.block).size


@dataclass(frozen=True, eq=False)
class Sizes:
    """A small integer tensor with the batch size in at least one entry."""

    entries: Entries


@dataclass(frozen=True, eq=False)
class Numbered:
    """The number of each example, 0 for a single one, throughout what it has along `axis`.

    Of other kinds are "tuples", along the last axis, that begin with it, and what is "mixed" of it.
    """

    axis: int
    kind: str = "number"


State: TypeAlias = Shared | Along | Sizes | Numbered


def of_entries(entries: Entries) -> Shared | Sizes:
    """The state of a tensor of known integers."""
    return Sizes(entries) if has_batch(entries) else Shared(entries)


def has_batch(entries: Entries) -> bool:
    """Whether the batch size is in one of the entries."""
    return sized(entries.flat)


def sized(entries: Iterable[Any]) -> bool:
    """Whether any of some entries depends on the batch size."""
    return any(isinstance(entry, Size) for entry in entries)


def as_entries(array: Any) -> Entries:
    """Integers as entries."""
    return np.asarray(array).astype(np.object_)
