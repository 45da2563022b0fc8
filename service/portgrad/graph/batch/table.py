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

# What treats the axis of the examples as it would any other, also where more lies on it.
PACKED = frozenset(
    "ArgMax ArgMin AveragePool BatchNormalization Cast CastLike Concat Conv ConvTranspose Einsum "
    "Expand Gather Gemm GlobalAveragePool GlobalMaxPool GroupNormalization InstanceNormalization "
    "LayerNormalization LogSoftmax MatMul MaxPool Pad RMSNormalization Reshape Slice Softmax Split "
    "Squeeze Transpose Trilu Unsqueeze".split()
) | {*elementwise.RULES, *(name for name in along.RULES if name.startswith("Reduce"))}
