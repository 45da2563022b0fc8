"""Small nets of open sizes, for calls of one example.

The graph of such a call is another: what depends on sizes alone is computed when it is compiled, a
sum over the examples is none, and masks take what is quickest for so few elements. For ACAS Xu's
net that is a third of a gradient's kernels, each of which costs more than what it computes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import onnx_ir as ir

from portgrad.autodiff.nesting import with_inner
from portgrad.autodiff.symbols import credible
from portgrad.engine.batches import Reading
from portgrad.graph.batch.states import Refused
from portgrad.graph.batching import single
from portgrad.graph.types import shape_of

# A net with more nodes takes long to compile twice; larger arrays cost more than their kernels.
_NODES, _ELEMENTS = 256, 2**14


def is_one(reading: Reading) -> bool:
    """Whether a call leaves nothing open: all sizes that a net leaves open are 1."""
    return bool(reading.sizes) and all(size == 1 for size in reading.sizes.values())


def for_one(model: ir.Model) -> ir.Model | None:
    """The net with 1 for each open size; None where it is not small, or sizes stay open."""
    graph = model.graph
    if len(graph) > _NODES or len(list(with_inner(graph))) > len(graph) or not credible(graph):
        return None
    sizes = {size for port in graph.inputs for size in shape_of(port) or ()}
    symbols = [size for size in sizes if isinstance(size, str)]
    if not symbols or not all(map(_is_small, graph.initializers.values())):
        return None
    try:
        one = single(model, *symbols)
    except Refused:
        return None
    return one if all(map(_is_small, _computed(one.graph))) else None


def _computed(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from graph.inputs
    for node in graph:
        yield from node.outputs


def _is_small(value: ir.Value) -> bool:
    """Whether an array has few elements, and some; not where that is not known."""
    sizes = shape_of(value)
    known = sizes is not None and all(isinstance(size, int) for size in sizes)
    return known and 0 < math.prod(sizes) <= _ELEMENTS  # type: ignore[arg-type]
