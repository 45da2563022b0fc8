"""What else changes when a net is trained: statistics are those of the batch."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from portgrad.autodiff.infer import int_of
from portgrad.autodiff.nesting import with_inner

_TRAINED = "training_mode"
_OUTPUTS = 3  # that the runtime wants of a node which is trained


def takes_batch_statistics(model: ir.Model) -> bool:
    """Whether a net, when it is trained, computes statistics over its batch.

    Then its examples are not independent: what one run gives for a batch is not what runs of
    single examples give.
    """
    return any(map(_normalises, with_inner(model.graph)))


def use_batch_statistics(graph: ir.Graph, fresh: Callable[[str], str]) -> None:
    """Let every BatchNormalization use the statistics of the batch, in place.

    The running statistics that such a node gives out too are of no use to a net that is not
    updated; where the file names them, they stay.

    Args:
        graph: the graph; its subgraphs are changed too.
        fresh: gives names that nothing else has.
    """
    for node in filter(_normalises, with_inner(graph)):
        if int_of(node, _TRAINED, 0):
            continue
        node.attributes[_TRAINED] = ir.AttrInt64(_TRAINED, 1)
        node.resize_outputs(_OUTPUTS)
        for running, old in zip(node.outputs[1:], node.inputs[3:], strict=True):
            running.name = fresh("running")
            running.type, running.shape = (None, None) if old is None else (old.type, old.shape)


def _normalises(node: ir.Node) -> bool:
    return node.domain == "" and node.op_type == "BatchNormalization"
