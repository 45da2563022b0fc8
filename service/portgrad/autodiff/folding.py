"""Integer arithmetic that is done while compiling: on sizes and positions that are constants.

The runtime would fold it too, but rules choose formulations by what is known, and graphs that
people read should not compute 3 + 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from portgrad.autodiff.tensor import Tensor
from portgrad.graph.arithmetic import INTEGER, is_small


def fold(
    op_type: str, operands: Sequence[Tensor | None], attributes: Mapping[str, Any]
) -> np.ndarray[Any, Any] | None:
    """The result of an operator on integer constants, None where it must run in the graph."""
    function = INTEGER.get(op_type)
    if function is None:
        return None
    known = []
    for x in operands:
        array = None if x is None else x.constant
        if array is None or array.dtype.kind not in "bi":
            return None
        known.append(array)
    if not is_small(op_type, known):
        return None
    try:
        with np.errstate(all="raise"):
            return np.asarray(function(*known, **attributes))
    except ArithmeticError:  # a division by zero is the run's to refuse
        return None
