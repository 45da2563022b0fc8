"""Which nodes draw at random, and the input that the draws of a seeded net depend on."""

from __future__ import annotations

import onnx_ir as ir

from portgrad.graph.constants import constant_value

DRAWING = frozenset(
    "Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike".split()
)
DROPOUT = "Dropout"
RANDOM_SEED = "random_seed"
# What is noted of the two nodes of a seeded net that tie a draw to the value whose shape it has:
# the one that counts the elements, and the Reshape to the value's Shape.
COUNTS, SHAPES = "portgrad/counts draws", "portgrad/shapes draws"


def draws(node: ir.Node, *, train: bool = False) -> bool:
    """Whether a node draws at random when it runs.

    Args:
        node: the node, not what its subgraphs hold.
        train: whether the net is trained: then a Dropout drops though its file says it does not.
            One that only learns from the data whether it is trained counts in any case.
    """
    if node.domain:
        return False
    return node.op_type in DRAWING or (node.op_type == DROPOUT and _drops(node, train))


def seed_port(graph: ir.Graph) -> ir.Value | None:
    """The input that all draws of a seeded net depend on; None in any other net."""
    return next((value for value in graph.inputs if RANDOM_SEED in value.meta), None)


def drawn_like(node: ir.Node) -> ir.Value | None:
    """The value that a node of a seeded net has shaped a draw after; None for any other node."""
    shape = node.inputs[1].producer() if SHAPES in node.meta and node.inputs[1] else None
    return None if shape is None else shape.inputs[0]


def _drops(node: ir.Node, train: bool) -> bool:
    _, ratio, training, *_ = (*node.inputs, None, None)
    share = constant_value(ratio, allow_parameters=True)
    if share is not None and not share.any():
        return False
    if training is None:
        return train
    known = constant_value(training)
    return known is None or train or bool(known.any())
