"""The table of all operators under which the examples of a batch can stay independent.

An operator that is not listed, or does not meet its rule's condition, is refused.
"""

from __future__ import annotations

from portgrad.graph.batch import (
    along,
    classical,
    elementwise,
    indexing,
    moves,
    products,
    reshapes,
    sequences,
    windows,
)
from portgrad.graph.batch.step import Rule

_FAMILIES = (along, elementwise, indexing, moves, products, reshapes, sequences, windows)

TABLE: dict[tuple[str, str], Rule] = {
    ("", name): rule for family in _FAMILIES for name, rule in family.RULES.items()
} | {("ai.onnx.ml", name): rule for name, rule in classical.RULES.items()}
