"""The small nets that the service is measured with, made without any framework."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from onnx import TensorProto, helper, numpy_helper

UNITS = 8


def weights(size: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Those of `tanh_mlp`, by name."""
    rng = np.random.default_rng(seed)
    shapes = {"w": (UNITS, size), "b": (UNITS,), "v": (1, UNITS)}
    scales = {"w": size**-0.5, "b": 0.1, "v": UNITS**-0.5}
    return {
        name: (scales[name] * rng.standard_normal(shape)).astype(np.float32)
        for name, shape in shapes.items()
    }


def tanh_mlp(size: int, seed: int = 0) -> bytes:
    """Input (1, size) through eight units of tanh to one Output (1, 1), as torch writes layers."""
    nodes = [
        helper.make_node("Gemm", ["Input", "w", "b"], ["sum"], transB=1),
        helper.make_node("Tanh", ["sum"], ["hidden"]),
        helper.make_node("Gemm", ["hidden", "v"], ["Output"], transB=1),
    ]
    return _net(nodes, [1, size], [1, 1], weights(size, seed))


def gradient(arrays: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """That of `tanh_mlp` at x, in numpy: what the peers' servers compute, too."""
    hidden = np.tanh(x @ arrays["w"].T + arrays["b"])
    found: np.ndarray = (arrays["v"][0] * (1 - hidden**2)) @ arrays["w"]
    return found


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
