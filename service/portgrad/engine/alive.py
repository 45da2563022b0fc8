"""What the values of a run take at the same time: the room that it is given beforehand.

It is reckoned by the order of nodes and the sizes of values. The runtime may keep more, such as
what a kernel needs for itself; what has no place in the room gets some of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import numpy as np
import onnx_ir as ir
from onnx import ModelProto

from portgrad.autodiff.nesting import captures
from portgrad.engine.arrays import Value
from portgrad.engine.folding import constants
from portgrad.engine.foreseen import Extent, bytes_of, extent_of

_LARGE = 2**25  # bytes for which memory matters
# What a run is believed to take, in times of what it is given: a net may declare any size inside.
_CREDIBLE = 32
_SAME = frozenset("Flatten Identity Reshape Squeeze Unsqueeze".split())
_PRODUCTS = frozenset("Gemm MatMul".split())
# Where the first operand is not read again, its place is taken, or the two are fused.
_IN_PLACE = frozenset(
    "Add And BatchNormalization Cast Clip Div Erf Exp Gelu LeakyRelu Mul Neg Not Pow Relu Sigmoid "
    "Sqrt Sub Tanh Where".split()
)


class _Step(NamedTuple):
    """What a node makes, and what nobody reads after it."""

    made: list[Extent]
    done: list[Extent]
    in_place: bool


class Alive:
    """The values of a graph that live at the same time.

    A graph that holds little is looked at when a run is given much, which most never are.

    Args:
        graph: the graph.
        content: it as bytes, from which it is read again then: itself it takes far more memory.
    """

    def __init__(self, graph: ir.Graph, content: bytes) -> None:
        held = (value.const_value for value in graph.initializers.values())
        self._held = sum(tensor.nbytes for tensor in held if tensor is not None)
        if _CREDIBLE * self._held < _LARGE:
            self._steps = cache(lambda: _steps(ir.from_proto(ModelProto.FromString(content)).graph))
        else:
            steps = _steps(graph)
            self._steps = cache(lambda: steps)

    def room(self, feeds: Mapping[str, Value], sizes: Mapping[int | str, int]) -> int:
        """The bytes that a run takes at once; 0 where they are few, or not to be believed.

        Args:
            feeds: what it is given.
            sizes: those of symbols.
        """
        arrays = (array for array in feeds.values() if isinstance(array, np.ndarray))
        given = self._held + sum(array.nbytes for array in arrays)
        if _CREDIBLE * given < _LARGE:
            return 0
        now = most = 0
        for step in self._steps():
            made, done = (sum(bytes_of(e, sizes) for e in some) for some in (step.made, step.done))
            most = max(most, now + made - (done if step.in_place else 0))
            now += made - done
        return most if _LARGE <= most <= _CREDIBLE * given else 0


def _steps(graph: ir.Graph) -> list[_Step]:
    constant = constants(graph)
    reads = {node: [v for v in (*node.inputs, *captures(node)) if v is not None] for node in graph}
    nodes = [node for node in _in_turn(reads) if not constant.issuperset(node.outputs)]
    kept: dict[ir.Value, ir.Value] = {}  # which value's memory another one has
    extents: dict[ir.Value, Extent] = {}
    last: dict[ir.Value, int] = {}
    for place, node in enumerate(nodes):
        if _is_the_same(node) and node.inputs[0] is not None:
            kept[node.outputs[0]] = kept.get(node.inputs[0], node.inputs[0])
        for value in (*reads[node], *node.outputs):
            last[kept.get(value, value)] = place
        for value in node.outputs:
            if value not in kept and (extent := extent_of(value)) is not None:
                extents[value] = extent
    for value in graph.outputs:
        last[kept.get(value, value)] = len(nodes)
    done: list[list[Extent]] = [[] for _ in range(len(nodes) + 1)]
    for value, place in last.items():
        if value in extents:
            done[place].append(extents[value])
    return [
        _Step(
            [extents[value] for value in node.outputs if value in extents],
            done[place],
            node.op_type in _IN_PLACE,
        )
        for place, node in enumerate(nodes)
    ]


def _in_turn(reads: Mapping[ir.Node, list[ir.Value]]) -> list[ir.Node]:
    """The nodes as the runtime goes through them: from the last end back to what it needs."""
    places = {node: place for place, node in enumerate(reads)}
    left = [node for node in reads if not any(value.uses() for value in node.outputs)]
    seen: set[ir.Node] = set()
    turn: dict[ir.Node, None] = {}
    while left:
        node = left.pop()
        if node in seen:
            turn[node] = None
            continue
        seen.add(node)
        makers = {value.producer() for value in reads[node]}
        before = [n for n in makers if n is not None and n not in seen and n in places]
        left.append(node)
        left.extend(sorted(before, key=places.__getitem__) if len(before) > 1 else before)
    return list(turn)


def _is_the_same(node: ir.Node) -> bool:
    """Whether what a node gives is where its operand is, or is turned as a product reads it."""
    turns = node.op_type == "Transpose" and all(
        u.op_type in _PRODUCTS for u, _ in node.outputs[0].uses()
    )
    return not node.domain and (node.op_type in _SAME or turns)
