"""Pools that round up: their inferred sizes are those that onnxruntime computes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from portgrad.errors import InvalidNet
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load

Array = np.ndarray[Any, Any]


def pool(op: str, shape: list[Any], opset: int = 21, **attributes: Any) -> onnx.ModelProto:
    """A net of one pool and the Shape of its output, which a runtime may fold."""
    nodes = [
        helper.make_node(op, ["x"], ["y"], "pool", ceil_mode=1, **attributes),
        helper.make_node("Shape", ["y"], ["sizes"]),
    ]
    rank = len(shape)
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * rank),
            helper.make_tensor_value_info("sizes", TensorProto.INT64, [rank]),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def loaded(model: onnx.ModelProto) -> ir.Model:
    return load(NetFiles(model.SerializeToString()))


def run(model: onnx.ModelProto, x: Array) -> list[Array]:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})


def agrees(model: onnx.ModelProto, shape: tuple[int, ...]) -> list[str]:
    """Load a net, compare it with onnxruntime's reading of the file; its operators."""
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    want, _ = run(model, x)
    net = loaded(model)
    got, sizes = run(ir.to_proto(net), x)
    inferred = net.graph.outputs[0].shape
    assert inferred is not None
    assert list(inferred) == list(want.shape) == list(sizes)
    # The same windows: an average may be divided in another order.
    np.testing.assert_allclose(got, want, rtol=1e-6)
    return [node.op_type for node in net.graph]


@dataclass(frozen=True)
class Window:
    """One axis of a pool."""

    kernel: int
    stride: int
    dilation: int
    begin: int
    end: int

    @property
    def extent(self) -> int:
        return self.dilation * (self.kernel - 1) + 1

    @property
    def attributes(self) -> dict[str, list[int]]:
        dilated = {"dilations": [self.dilation]} if self.dilation > 1 else {}
        pads = {"pads": [self.begin, self.end]} if self.begin or self.end else {}
        return {"kernel_shape": [self.kernel], "strides": [self.stride], **pads, **dilated}


# Padding must be less than the kernel for onnxruntime.
WINDOWS = [
    Window(*numbers)
    for numbers in itertools.product([1, 2, 3], [1, 2, 3, 5], [1, 2], [0, 1, 2], [0, 1])
    if max(numbers[3:]) < numbers[0] and (numbers[0] > 1 or numbers[2] == 1)
]
SIZES = [3, 5, 6, 8]
KINDS = [("MaxPool", {}), ("LpPool", {"p": 2}), ("AveragePool", {}),
         ("AveragePool", {"count_include_pad": 1})]  # fmt: skip


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize(("op", "more"), KINDS)
def test_sizes_and_values_are_the_runtimes(op: str, more: dict[str, int], window: Window) -> None:
    beyond = min(window.end + window.stride, window.extent) - 1
    included = window.end if more.get("count_include_pad") else 0
    refused = beyond - included >= window.kernel
    for size in SIZES:
        if size + window.begin + window.end < window.extent:
            continue
        model = pool(op, [2, 1, size], **window.attributes, **more)
        if refused and window.end + window.stride > window.extent:
            with pytest.raises(InvalidNet) as caught:
                loaded(model)
            assert caught.value.code == "unsupported_pool"
            assert caught.value.where == f"node `pool` ({op})"
        else:
            agrees(model, (2, 1, size))


TWO_AXES = [
    ({"kernel_shape": [1, 3], "strides": [2, 2]}, ["MaxPool", "Shape"]),
    ({"kernel_shape": [3, 3], "strides": [2, 2]}, ["MaxPool", "Shape"]),
    ({"kernel_shape": [2, 1], "strides": [3, 2], "pads": [1, 0, 1, 0]}, ["MaxPool", "Shape"]),
    ({"kernel_shape": [2, 1], "strides": [3, 2], "auto_pad": "VALID"}, ["MaxPool", "Shape"]),
    ({"kernel_shape": [2, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}, ["MaxPool", "Shape"]),
    ({"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_LOWER"}, ["MaxPool", "Shape"]),
]


@pytest.mark.parametrize("opset", [12, 18, 21, 22])
@pytest.mark.parametrize(("attributes", "operators"), TWO_AXES)
def test_axes_may_differ(attributes: dict[str, Any], operators: list[str], opset: int) -> None:
    for height, width in [(7, 8), (8, 7), (9, 9)]:
        model = pool("MaxPool", [1, 2, height, width], opset, **attributes)
        assert agrees(model, (1, 2, height, width)) == operators


def test_padding_that_counts_becomes_part_of_the_image() -> None:
    model = pool("AveragePool", [1, 1, 6], kernel_shape=[3], strides=[3], pads=[1, 1],
                 count_include_pad=1)  # fmt: skip
    assert agrees(model, (1, 1, 6)) == ["Constant", "Pad", "AveragePool", "Shape"]


def test_symbolic_sizes() -> None:
    net = loaded(pool("MaxPool", ["N", 1, "L"], kernel_shape=[1], strides=[2]))
    for size in range(1, 9):
        x = np.arange(size, dtype=np.float32).reshape(1, 1, size)
        np.testing.assert_array_equal(run(ir.to_proto(net), x)[0], x[:, :, ::2])


@pytest.mark.parametrize("opset", [21, 22])
def test_same_padding_with_dilations_is_refused(opset: int) -> None:
    model = pool(
        "MaxPool", [1, 1, 8], opset, kernel_shape=[2], dilations=[2], auto_pad="SAME_UPPER"
    )
    with pytest.raises(InvalidNet) as caught:
        loaded(model)
    assert caught.value.code == "unsupported_pool"


@pytest.mark.parametrize("attributes", [{"strides": [2]}, {"pads": [0, 0]}, {"dilations": [1]}])
def test_attributes_of_other_lengths_are_refused(attributes: dict[str, list[int]]) -> None:
    with pytest.raises(InvalidNet):
        loaded(pool("MaxPool", [1, 1, 8, 8], kernel_shape=[1, 1], **attributes))
