"""What else changes when a net is trained: statistics are those of the batch."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from portgrad.autodiff.binding import Call, schema_of_node
from portgrad.autodiff.infer import int_of
from portgrad.autodiff.nesting import with_inner
from portgrad.autodiff.replacing import stand_in, taken_out
from portgrad.autodiff.rules.normalization import centred
from portgrad.autodiff.sweep import label
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary
from portgrad.errors import Unsupported
from portgrad.graph.draws import DROPOUT, draws
from portgrad.graph.opsets.adapters import GIVEN_STATISTICS
from portgrad.graph.pruning import prune

_TRAINED = "training_mode"
_OUTPUTS = 3  # that the runtime wants of a node which is trained


def takes_batch_statistics(model: ir.Model) -> bool:
    """Whether a net, when it is trained, computes statistics over its batch.

    Then its examples are not independent: what one run gives for a batch is not what runs of
    single examples give.
    """
    return any(map(_normalises, with_inner(model.graph)))


def told_of_training(model: ir.Model) -> tuple[str, ...]:
    """A sentence for the user where train mode is no other than test mode: most exports are so."""
    if any(map(_trains, with_inner(model.graph))):
        return ()
    return (
        "train mode changes nothing: the file has no Dropout that drops and no "
        "BatchNormalization, which exporters leave out unless they are told otherwise",
    )


def use_batch_statistics(graph: ir.Graph, fresh: Callable[[str], str]) -> None:
    """Let every BatchNormalization use the statistics of the batch, in place.

    The running statistics that such a node gives out too are of no use to a net that is not
    updated; where the file names them, they stay.

    Args:
        graph: the graph; its subgraphs are changed too.
        fresh: gives names that nothing else has.

    Raises:
        Unsupported: one that has statistics for each element of an example, as below opset 9.
    """
    for node in list(with_inner(graph)):
        if GIVEN_STATISTICS in node.metadata_props:
            raise _of_each_element(node)
        if not _normalises(node) or _is_trained(node):
            continue
        node.attributes[_TRAINED] = ir.AttrInt64(_TRAINED, 1)
        node.resize_outputs(_OUTPUTS)
        for running, old in zip(node.outputs[1:], node.inputs[3:], strict=True):
            running.name = fresh("running")
            running.type, running.shape = (None, None) if old is None else (old.type, old.shape)


def say_batch_statistics(model: ir.Model) -> None:
    """Say every BatchNormalization that uses them in other operators, in place, before it runs.

    onnxruntime's kernel writes the new running statistics over the old ones (seen in 1.32): into
    the arrays of a caller, or into a parameter, which is another one in the next run. The sums
    are those of the rule, so that the runtime finds the same ones in a backward pass.

    Raises:
        Unsupported: the rank of what is normalised is not known.
    """
    if not any(map(_is_trained, with_inner(model.graph))):
        return
    op = Vocabulary(model.graph, model.opset_imports[""])
    for graph in (model.graph, *model.graph.subgraphs()):
        inner = op if graph is model.graph else Vocabulary(graph, op.opset, op.fresh)
        for node in taken_out(graph):
            if _is_trained(node):
                stand_in(inner, node, _said(inner, node))
            else:
                graph.append(node)
    prune(model)  # the old running statistics among them


def _said(op: Vocabulary, node: ir.Node) -> list[Tensor | None]:
    schema = schema_of_node(node, {"": op.opset})
    assert schema is not None, "BatchNormalization is of the standard"
    operands = Call(op, node, schema, ()).operands()
    x, scale, b, *old = op.widen(*operands)
    epsilon, momentum = (
        node.attributes[name].as_float() if name in node.attributes else default
        for name, default in (("epsilon", 1e-5), ("momentum", 0.9))
    )
    c = centred(op, x, [axis for axis in range(op.rank(x)) if axis != 1], epsilon)
    y = c.d * (op.along_channels(scale, x) * c.inv) + op.along_channels(b, x)
    found: list[Tensor | None] = [op.cast_like(y, operands[0])]
    statistics = (op.reduce_mean(x, c.axes), op.reduce_mean(c.d * c.d, c.axes))
    for output, before, now, given in zip(
        node.outputs[1:], old, statistics, operands[3:], strict=False
    ):
        if not output.uses() and not output.is_graph_output():
            found.append(None)
            continue
        running = before * momentum + op.reshape_like(now, before) * (1.0 - momentum)
        found.append(op.cast_like(running, given))
    return found


def _of_each_element(node: ir.Node) -> Unsupported:
    operator = node.metadata_props[GIVEN_STATISTICS]
    return Unsupported(
        f"The {operator} node {label(node)!r} keeps statistics of each element of an example "
        "(spatial = 0), and statistics of the batch are not built for that.",
        where=label(node),
        expected=f"{operator} with statistics of each channel",
        found="spatial = 0",
        remedy='Use the net in mode "test", or export it with opset 9 or newer.',
    )


def _trains(node: ir.Node) -> bool:
    return _normalises(node) or (node.op_type == DROPOUT and draws(node, train=True))


def _normalises(node: ir.Node) -> bool:
    return node.domain == "" and node.op_type == "BatchNormalization"


def _is_trained(node: ir.Node) -> bool:
    return _normalises(node) and int_of(node, _TRAINED, 0) != 0
