"""Kernels laid out in blocks, computed in one run before a session is opened.

The runtime folds constants one operator after the other, and packs and unpacks each result: 0.7 s
of CPU for ResNet-50's kernels, and 0.25 so. Sessions of a net share what they lay out alike, as
long as one of them lives.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection

import numpy as np
import onnx_ir as ir
import onnxruntime as ort

from portgrad.engine import arena, serialising, stopping
from portgrad.engine.arrays import Array
from portgrad.engine.folding import NEVER_FOLDED
from portgrad.engine.rewrites.channels.layout import DOMAIN
from portgrad.engine.weights import Weights
from portgrad.graph.constants import hold
from portgrad.graph.pruning import prune

WORTH = 2**20  # bytes of kernels; fewer are folded sooner than a session for them is opened
_LINE = 64  # bytes
_PLAIN = {getattr(ir.AttributeType, kind) for kind in ("FLOAT", "FLOATS", "INT", "INTS", "STRING")}


def lay_out(model: ir.Model, weights: Weights, threads: int) -> dict[str, Array]:
    """Make initializers of kernels that nodes of a graph lay out in blocks, in place.

    Args:
        model: the graph.
        weights: the net's weights.
        threads: how many threads the run may use; 0 for all cores.

    Returns:
        What they hold, by name.
    """
    kernels = _kernels(model.graph)
    shapes = [_sizes(kernel) for kernel in kernels]
    if not kernels or 4 * sum(map(math.prod, shapes)) < WORTH:
        return {}
    recipes = _recipes(model.graph, weights)
    arrays: dict[ir.Value, Array] = {}
    rooms: dict[ir.Value, Array] = {}
    alike: dict[bytes, Array] = {}  # holds what was found, and what is made
    for kernel, shape in zip(kernels, shapes, strict=True):
        recipe = recipes.get(kernel) or _hash("of its own", kernel.name)
        array = alike.get(recipe)
        if array is None:
            array = weights.laid_out.get(recipe)
        if array is None:
            given = _before_reshape(kernel, rooms)
            rooms[given] = _aligned(_sizes(given))
            array = rooms[given].reshape(shape)
        arrays[kernel] = alike[recipe] = array
    if rooms:
        arena.with_memory(lambda: _run(model.graph, rooms, weights, threads))
    weights.laid_out.update({recipes[k]: array for k, array in arrays.items() if k in recipes})
    made = {}
    for kernel, array in arrays.items():
        held = hold(model.graph, f"{kernel.name}/laid-out", array)
        ir.convenience.replace_all_uses_with(kernel, held)
        made[str(held.name)] = array
    prune(model)
    return made


def _kernels(graph: ir.Graph) -> list[ir.Value]:
    """What convolutions in blocks read as kernels: nodes make them of constants."""
    found = [n.inputs[1] for n in graph if n.domain == DOMAIN and n.op_type == "Conv"]
    return list(dict.fromkeys(kernel for kernel in found if kernel is not None))


def _sizes(value: ir.Value) -> list[int]:
    return [size for size in value.shape or () if isinstance(size, int)]


def _before_reshape(kernel: ir.Value, taken: Collection[ir.Value]) -> ir.Value:
    """What a kernel is a last reshape of, or itself: the runtime would copy it for the reshape."""
    last = kernel.producer()
    given = last.inputs[0] if last is not None and last.op_type == "Reshape" else None
    if given is None or given.producer() is None or given in taken:
        return kernel
    known = given.shape is not None and given.shape.is_static()
    return given if known and math.prod(_sizes(given)) == math.prod(_sizes(kernel)) else kernel


def _recipes(graph: ir.Graph, weights: Weights) -> dict[ir.Value, bytes]:
    """What tells how each value is made of weights; nothing for one of anything else.

    Equal ones are equal in all graphs of a net.
    """
    found: dict[ir.Value, bytes] = {}
    for name, value in graph.initializers.items():
        tensor = value.const_value
        if tensor is None or value.is_graph_input():
            continue
        if name in weights:
            found[value] = _hash("weight", name)
        else:
            found[value] = _hash(*_content(tensor))
    for node in graph:
        operands = [b"" if value is None else found.get(value) for value in node.inputs]
        if None not in operands and node.op_type not in NEVER_FOLDED:
            said = [(name, *_said(a)) for name, a in sorted(node.attributes.items())]
            for place, value in enumerate(node.outputs):
                found[value] = _hash(node.domain, node.op_type, said, operands, place)
    return found


def _content(tensor: ir.TensorProtocol) -> tuple[object, ...]:
    return tensor.dtype.value, tensor.shape.dims, tensor.tobytes()


def _said(attribute: ir.Attr) -> tuple[object, ...]:
    if attribute.type in _PLAIN:
        return attribute.type.value, attribute.value
    if attribute.type == ir.AttributeType.TENSOR:
        return _content(attribute.value)
    return attribute.type.value, ir.serde.serialize_attribute(attribute).SerializeToString()


def _hash(*parts: object) -> bytes:
    return hashlib.sha256(repr(parts).encode()).digest()


def _aligned(shape: list[int]) -> Array:
    """Room for floats that begins where a line of the cache does, as the runtime's own does.

    Where vectors of 16 lie in two lines each, ResNet-50's gradient takes 2 % longer.
    """
    room = np.empty(math.prod(shape) + _LINE // 4, np.float32)
    start = -room.ctypes.data % _LINE // 4
    return room[start : start + math.prod(shape)].reshape(shape)


def _run(graph: ir.Graph, made: dict[ir.Value, Array], weights: Weights, threads: int) -> None:
    """Run the part of a graph that makes some values of constants, into arrays."""
    model = ir.Model(ir.convenience.extract(graph, [], list(made)), ir_version=10)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    arena.share(options)
    held = weights.lend(model, options)
    with stopping.opening(options):
        session = ort.InferenceSession(
            serialising.as_bytes(model), options, providers=["CPUExecutionProvider"]
        )
    binding = session.io_binding()
    for value, array in made.items():
        binding.bind_ortvalue_output(str(value.name), ort.OrtValue.ortvalue_from_numpy(array))
    session.run_with_iobinding(binding, stopping.options())
    del held  # the session read it until here
