"""What the batch analysis knows of a value.

Shared    the same whatever the batch; `entries` where its integers are known
Along     one example after the other along `axis`; a single example has size 1 there
Sizes     integers computed from shapes, the batch size among them
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

import numpy as np

Dim: TypeAlias = int | str | None
Entries: TypeAlias = np.ndarray[Any, Any]  # of int, bool, N or None (not known)
Vector: TypeAlias = list["int | Size | None"]


class Size(Enum):
    """The one size that is no number: that of the batch."""

    N = "N"


N = Size.N


class Refused(Exception):
    """The net cannot be proven to treat the examples of a batch independently."""


@dataclass(frozen=True, eq=False)
class Shared:
    """The same for every batch."""

    entries: Entries | None = None


@dataclass(frozen=True, eq=False)
class Along:
    """The examples' values concatenated along `axis`, where each has size 1."""

    axis: int


@dataclass(frozen=True, eq=False)
class Sizes:
    """A small integer tensor with the batch size in at least one entry."""

    entries: Entries


State: TypeAlias = Shared | Along | Sizes


def of_entries(entries: Entries) -> Shared | Sizes:
    """The state of a tensor of known integers."""
    return Sizes(entries) if has_batch(entries) else Shared(entries)


def has_batch(entries: Entries) -> bool:
    """Whether the batch size is one of the entries."""
    return any(entry is N for entry in entries.flat)


def as_entries(array: Any) -> Entries:
    """Integers as entries."""
    return np.asarray(array).astype(np.object_)
