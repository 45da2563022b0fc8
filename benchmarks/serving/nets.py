"""The small nets that the service is measured with, made without any framework."""

from __future__ import annotations

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
