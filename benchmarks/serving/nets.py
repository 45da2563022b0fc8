"""The small nets that the service is measured with, made without any framework."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from benchmarks.serving.product import weights


def tanh_mlp(size: int) -> bytes:
    """The net of `product`: Input (1, size) to Output (1, 1), as torch writes layers."""
    nodes = [
        helper.make_node("Gemm", ["Input", "w", "b"], ["sum"], transB=1),
        helper.make_node("Tanh", ["sum"], ["hidden"]),
        helper.make_node("Gemm", ["hidden", "v"], ["Output"], transB=1),
    ]
    return _net(nodes, [1, size], [1, 1], weights(size))


def squares() -> bytes:
    """Input (n) to Output, the sum of its squares: large data, and no values kept between."""
    nodes = [helper.make_node("ReduceSumSquare", ["Input"], ["Output"], keepdims=0)]
    return _net(nodes, ["n"], [], {})


def wide(layers: int, units: int = 1024) -> bytes:
    """Input (N, units) through many layers of tanh that share a weight: little net, much work."""
    weight = np.random.default_rng(0).standard_normal((units, units)) * units**-0.5
    nodes, x = [], "Input"
    for layer in range(layers):
        nodes.append(helper.make_node("MatMul", [x, "w"], [f"product_{layer}"]))
        x = "Output" if layer == layers - 1 else f"hidden_{layer}"
        nodes.append(helper.make_node("Tanh", [f"product_{layer}"], [x]))
    return _net(nodes, ["N", units], ["N", units], {"w": weight.astype(np.float32)})


def dense(sizes: tuple[int, ...], seed: int = 0) -> bytes:
    """Input (N, sizes[0]) through linear layers with relu between them to Output."""
    rng, arrays, nodes, x = np.random.default_rng(seed), {}, [], "Input"
    last = len(sizes) - 2
    for layer, (rows, columns) in enumerate(pairwise(sizes)):
        w, b = f"w{layer}", f"b{layer}"
        arrays[w] = (rows**-0.5 * rng.standard_normal((columns, rows))).astype(np.float32)
        arrays[b] = np.zeros(columns, np.float32)
        y = "Output" if layer == last else f"sum_{layer}"
        nodes.append(helper.make_node("Gemm", [x, w, b], [y], transB=1))
        if layer < last:
            x = f"hidden_{layer}"
            nodes.append(helper.make_node("Relu", [y], [x]))
    return _net(nodes, ["N", sizes[0]], ["N", sizes[-1]], arrays)


def _net(
    nodes: list, into: list[int | str], out: list[int | str], arrays: dict[str, np.ndarray]
) -> bytes:
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("Input", into), ("Output", out))
    ]
    held = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "net", ports[:1], ports[1:], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    found: bytes = model.SerializeToString()
    return found
