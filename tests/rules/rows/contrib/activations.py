"""com.microsoft: activations, in float32, the only dtype that the runtime has them in."""

from __future__ import annotations

from rules.rows.contrib import row as _row
from support.rows import normal as _x

ROWS = [
    _row("Gelu", "ms", _x(2, 3)),
    _row("BiasGelu", "", _x(2, 3, 4), _x(4, seed=4)),
    _row("FastGelu", "", _x(2, 3, 4)),
    _row("FastGelu", "bias", _x(2, 3, 4), _x(4, seed=4)),
    _row("QuickGelu", "", _x(2, 3)),
    _row("QuickGelu", "alpha", _x(2, 3), alpha=1.0),
]
