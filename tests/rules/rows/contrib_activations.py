"""com.microsoft: activations, in float32, the only dtype that the runtime has them in."""

from __future__ import annotations

from typing import Any

import numpy as np

from support.rig import Row


def _x(*shape: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def _row(op: str, *operands: np.ndarray | None, id: str = "", **attributes: Any) -> Row:
    return Row(op, operands, attributes, id=id, domain="com.microsoft", single_only=True)


ROWS = [
    _row("Gelu", _x(2, 3), id="ms"),
    _row("BiasGelu", _x(2, 3, 4), _x(4, seed=4)),
    _row("FastGelu", _x(2, 3, 4)),
    _row("FastGelu", _x(2, 3, 4), _x(4, seed=4), id="bias"),
    _row("QuickGelu", _x(2, 3)),
    _row("QuickGelu", _x(2, 3), id="alpha", alpha=1.0),
]
