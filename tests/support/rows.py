"""What rows of the rule table are written with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from support.rig import Row

_FIELDS = {field.name for field in dataclasses.fields(Row)}


def normal(*shape: int, seed: int = 3) -> np.ndarray:
    """An operand of numbers of order one, the same in every run."""
    return np.random.default_rng(seed).standard_normal(shape)


def rows_of(domain: str, **common: Any) -> Callable[..., Row]:
    """Makes rows of a domain: what is no field of a row is an attribute of the operator."""

    def row(op: str, id: str, *operands: np.ndarray | None, **more: Any) -> Row:
        fields = {name: more.pop(name) for name in _FIELDS & more.keys()}
        return Row(op, operands, more, id=id, domain=domain, **{**common, **fields})

    return row
