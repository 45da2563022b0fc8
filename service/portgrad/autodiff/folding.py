"""Integer arithmetic that is done while compiling: on sizes and positions that are constants.

The runtime would fold it too, but rules choose formulations by what is known, and graphs that
people read should not compute 3 + 1.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from portgrad.autodiff.tensor import Tensor


def _all(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *operands: functools.reduce(function, operands)


_FOLDED: dict[str, Callable[..., Any]] = {
    "Abs": np.abs,
    "Add": np.add,
    "Div": lambda a, b: np.abs(a) // np.abs(b) * np.sign(a) * np.sign(b),  # towards zero
    "Equal": np.equal,
    "Greater": np.greater,
    "Less": np.less,
    "Max": _all(np.maximum),
    "Min": _all(np.minimum),
    "Mul": np.multiply,
    "Neg": np.negative,
    "Sign": np.sign,
    "Sub": np.subtract,
    "Where": np.where,
    "Concat": lambda *parts, axis: np.concatenate(parts, axis),
    "Gather": lambda data, indices, axis=0: np.take(data, indices, axis),
    "Unsqueeze": lambda data, axes: np.expand_dims(data, tuple(axes.tolist())),
}


def fold(
    op_type: str, operands: Sequence[Tensor | None], attributes: Mapping[str, Any]
) -> np.ndarray[Any, Any] | None:
    """The result of an operator on integer constants, None where it must run in the graph."""
    function = _FOLDED.get(op_type)
    if function is None:
        return None
    known = [x.constant for x in operands if x is not None]
    if len(known) != len(operands) or any(x is None or x.dtype.kind not in "bi" for x in known):
        return None
    return np.asarray(function(*known, **attributes))
