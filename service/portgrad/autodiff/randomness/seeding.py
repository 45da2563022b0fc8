"""Seeding: every node that draws is said in operators that compute the draw from its key.

    seed ── root ──▶ key of the main graph ── node's number ──▶ key of a node ──▶ its draws
                              │
                              └─ iteration ──▶ key of a loop's body ── …

A branch of an If has the key of the graph around it. The nodes are numbered through the whole net,
so that no two share a key.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.bodies import expand
from portgrad.autodiff.infer import int_of
from portgrad.autodiff.nesting import subgraphs, with_inner
from portgrad.autodiff.randomness import generator
from portgrad.autodiff.randomness.operators import drawn, numbered
from portgrad.autodiff.randomness.training import use_batch_statistics
from portgrad.autodiff.replacing import stand_in, taken_out
from portgrad.autodiff.sweep import described, label
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary
from portgrad.errors import Unsupported
from portgrad.graph import draws as drawing
from portgrad.graph.draws import RANDOM_SEED
from portgrad.graph.taken import value_names


def draws(model: ir.Model, *, train: bool = False) -> bool:
    """Whether anything in a net draws at random, its subgraphs included.

    Args:
        model: a normalised net.
        train: whether it is trained: then its Dropouts drop.
    """
    return _any(model.graph, train)


def seeded(model: ir.Model, *, train: bool) -> ir.Model:
    """The net with all that it draws at random computed from one seed, for one mode.

    In test mode the net does what its file says: a Dropout drops only where the file fixes
    `training_mode` as true, or the data do. In train mode each Dropout drops at its ratio, but
    where the data decide, and each BatchNormalization uses the statistics of the batch; all else
    is the same in both modes.

    An attribute `seed` of a node is part of its key: other seeds there, other draws. Two nodes
    never draw the same, whatever their attributes.

    Args:
        model: a normalised net; it is not changed, and its initializers are shared. Parameters
            that become inputs must be so before: a ratio that is fixed at 0 is believed.
        train: the mode.

    Returns:
        A net with the names of the given one. Where anything draws (`draws`), it has one more
        input, an int64 scalar: `seed_port` finds it, and `meta[RANDOM_SEED]` is its name.

    Raises:
        Unsupported: something draws where nothing can count how often, or normalises in a way
            that cannot be trained: `where` has the node.
    """
    twin = model.clone()
    twin.meta.update(model.meta)
    _expand_maps(twin, train)
    op = Vocabulary(twin.graph, twin.opset_imports[""])
    if train:
        use_batch_statistics(twin.graph, op.fresh)
    if draws(twin, train=train):
        _Seeding(twin.graph, train).main(op)
        twin.meta[RANDOM_SEED] = twin.graph.inputs[-1].name
    return twin


def _any(graph: ir.Graph, train: bool) -> bool:
    return any(drawing.draws(node, train=train) for node in with_inner(graph))


def _holds(node: ir.Node, train: bool) -> bool:
    """Whether something in a node's subgraphs draws."""
    return any(_any(graph, train) for graph in subgraphs(node))


def _expand_maps(model: ir.Model, train: bool) -> None:
    """A SequenceMap does not count its elements; the Loop that it is defined by does."""
    while maps := [
        node
        for node in with_inner(model.graph)
        if node.op_type == "SequenceMap" and _holds(node, train)
    ]:
        expand(model, maps)


class _Seeding:
    def __init__(self, graph: ir.Graph, train: bool) -> None:
        self._train = train
        found = (node for node in with_inner(graph) if numbered(node))
        self._numbers = {node: number for number, node in enumerate(found)}

    def main(self, op: Vocabulary) -> None:
        """Rewrite the main graph, which gets the seed as its last input."""
        taken = value_names(op.graph)
        names = itertools.chain([RANDOM_SEED], (f"{RANDOM_SEED}_{k}" for k in itertools.count(1)))
        seed = ir.Value(
            name=next(name for name in names if name not in taken),
            type=ir.TensorType(ir.DataType.INT64),
            shape=ir.Shape(()),
        )
        seed.meta[RANDOM_SEED] = True
        op.graph.inputs.append(seed)
        nodes = taken_out(op.graph)
        self._put_back(op, nodes, generator.root(op, op.wrap(seed)))

    def _put_back(self, op: Vocabulary, nodes: Iterable[ir.Node], key: Tensor) -> None:
        """Append the nodes of a graph again, with the key of the graph."""
        for node in nodes:
            if _holds(node, self._train):
                self._inside(op, node, key)
            if drawing.draws(node, train=self._train):
                stand_in(op, node, drawn(op, self._key(op, node, key), node))
            else:
                op.graph.append(node)

    def _key(self, op: Vocabulary, node: ir.Node, key: Tensor) -> Tensor:
        given = node.attributes.get("seed")
        # The seed of a Dropout is an integer, those of the others are floating numbers.
        words = [] if given is None else [int(np.float64(given.value).view(np.uint64))]
        number = self._numbers[node]
        for word in words:
            number = generator.split(number, word)
        return generator.branch(op, key, generator.split(number, 0))

    def _inside(self, op: Vocabulary, node: ir.Node, key: Tensor) -> None:
        """Rewrite the subgraphs of a node, which is not in its graph yet."""
        if node.domain or node.op_type not in {"If", "Loop", "Scan"}:
            raise _uncounted(node)
        if node.op_type == "Scan":
            self._count(op, node)
        for graph in subgraphs(node):
            inner = Vocabulary(graph, op.opset, op.fresh)
            nodes, outer = taken_out(graph), inner.wrap(key.value)
            if node.op_type != "If":
                number = inner.wrap(graph.inputs[-1 if node.op_type == "Scan" else 0])
                scalar = inner.Reshape(
                    inner.Cast(number, to=ir.DataType.INT64), inner.ints(), allowzero=1
                )
                outer = generator.branch(inner, outer, scalar)
            self._put_back(inner, nodes, outer)

    def _count(self, op: Vocabulary, node: ir.Node) -> None:
        """Let a Scan read the numbers of its iterations, as the last input of its body."""
        read = int_of(node, "num_scan_inputs", 0)
        first = node.inputs[len(node.inputs) - read]
        assert first is not None, "a Scan reads something in each iteration"
        axes = node.attributes.get("scan_input_axes")
        count = op.size(op.wrap(first), axes.as_ints()[0] if axes is not None else 0)
        numbers = op.iota(count)
        for name in ("scan_input_axes", "scan_input_directions"):
            if name in node.attributes:
                given = node.attributes[name].as_ints()
                node.attributes[name] = ir.AttrInt64s(name, [*given, 0])
        node.attributes["num_scan_inputs"] = ir.AttrInt64("num_scan_inputs", read + 1)
        node.resize_inputs(len(node.inputs) + 1)
        node.replace_input_with(len(node.inputs) - 1, numbers.value)
        inside = ir.Value(name=op.fresh("iteration"), type=numbers.value.type, shape=ir.Shape(()))
        node.attributes["body"].as_graph().inputs.append(inside)


def _uncounted(node: ir.Node) -> Unsupported:
    return Unsupported(
        f"Something inside the {described(node)} draws at random, and its iterations are not "
        "counted, so that no seed can tell its draws apart.",
        where=label(node),
        expected="draws in the main graph, or in the body of an If, Loop, Scan or SequenceMap",
        found=f"{node.domain or 'ai.onnx'}.{node.op_type}",
        remedy="Export the net without it, or with its operators in test mode.",
    )
