"""Small nets in float32, and what onnxruntime's quantisation makes of them."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

_F = onnx.TensorProto.FLOAT


def mlp() -> onnx.ModelProto:
    """(N, 6) to (N, 3) by two products with a relu between them."""
    rng = np.random.default_rng(5)
    weights = {
        "w1": rng.standard_normal((6, 8)),
        "b1": rng.standard_normal(8),
        "w2": rng.standard_normal((8, 3)),
        "b2": rng.standard_normal(3),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["p1"], "first"),
        helper.make_node("Add", ["p1", "b1"], ["a1"], "first_bias"),
        helper.make_node("Relu", ["a1"], ["h"], "relu"),
        helper.make_node("MatMul", ["h", "w2"], ["p2"], "second"),
        helper.make_node("Add", ["p2", "b2"], ["y"], "second_bias"),
    ]
    return _model(nodes, weights, ["N", 6], ["N", 3])


def convolutional() -> onnx.ModelProto:
    """(N, 2, 8, 8) to (N, 3, 2, 2) by two convolutions with pooling between them."""
    rng = np.random.default_rng(6)
    weights = {
        "w1": rng.standard_normal((4, 2, 3, 3)),
        "b1": rng.standard_normal(4),
        "w2": rng.standard_normal((3, 4, 3, 3)) * 0.3,
        "b2": rng.standard_normal(3),
    }
    window = {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], "first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r"], "relu"),
        helper.make_node("MaxPool", ["r"], ["m"], "pool", **window),
        helper.make_node("Conv", ["m", "w2", "b2"], ["y"], "second"),
    ]
    return _model(nodes, weights, ["N", 2, 8, 8], ["N", 3, 2, 2])


def data(model: onnx.ModelProto, count: int = 3, seed: int = 7) -> np.ndarray:
    """A batch for one of the nets."""
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim[1:]]
    return np.random.default_rng(seed).standard_normal((count, *shape)).astype(np.float32)


@functools.cache
def static(
    make: Any, qdq: bool, per_channel: bool = False, signed: bool = False, opset: int = 21
) -> bytes:
    """A net quantised with ranges from data, in the QDQ or the QOperator form."""
    model = make()
    model.opset_import[0].version = opset
    codes = QuantType.QInt8 if signed else QuantType.QUInt8
    with tempfile.TemporaryDirectory() as folder:
        before, after = _saved(model, folder)
        quantize_static(
            before,
            after,
            _Reader(model),
            quant_format=QuantFormat.QDQ if qdq else QuantFormat.QOperator,
            per_channel=per_channel,
            activation_type=codes,
            weight_type=QuantType.QInt8,
        )
        return after.read_bytes()


@functools.cache
def dynamic(make: Any) -> bytes:
    """A net quantised with ranges that are found as it runs."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = _saved(make(), folder)
        quantize_dynamic(before, after, weight_type=QuantType.QUInt8)
        return after.read_bytes()


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Data for the ranges, less wide than what tests send, so that some of that is clamped."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._left = [{"x": 0.5 * data(model, 8, seed)} for seed in range(2)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return self._left.pop() if self._left else None


def _saved(model: onnx.ModelProto, folder: str) -> tuple[Path, Path]:
    before = Path(folder) / "before.onnx"
    before.write_bytes(model.SerializeToString())
    return before, Path(folder) / "after.onnx"


def _model(
    nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], x: list[Any], y: list[Any]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", _F, x)],
        [helper.make_tensor_value_info("y", _F, y)],
        [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
