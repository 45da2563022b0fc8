"""One operator of an old opset a row, with what it means where onnxruntime does not run it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    """One operator of an old opset.

    `expected` is given where onnxruntime does not run the operator as its opset defines it.
    Operands in `fixed` are initializers, the others graph inputs.
    """

    op: str
    opset: int
    inputs: list[Array]
    attributes: dict[str, Any] = field(default_factory=dict)
    fixed: tuple[int, ...] = ()
    outputs: int = 1
    expected: Callable[..., Array] | None = None
    note: str = ""

    def __str__(self) -> str:
        return "-".join(filter(None, [self.op, str(self.opset), self.note]))


def floats(*shape: int, dtype: Any = np.float32) -> Array:
    return np.random.default_rng(7).normal(size=shape).astype(dtype)


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


def scales(*values: float) -> Array:
    return np.array(values, np.float32)


def hardmax(x: Array, axis: int = 1) -> Array:
    flat = x.reshape(int(np.prod(x.shape[:axis])), -1)
    hot = np.zeros_like(flat)
    hot[np.arange(len(flat)), flat.argmax(1)] = 1
    return hot.reshape(x.shape)


def mean_variance(x: Array, axes: tuple[int, ...]) -> Array:
    centred = x - x.mean(axes, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axes, keepdims=True))


def rnn(x: Array, w: Array, r: Array) -> Array:
    h, states = np.zeros((x.shape[1], r.shape[1]), x.dtype), []
    for row in x:
        h = np.tanh(row @ w[0].T + h @ r[0].T)
        states.append(h)
    return np.stack(states)[:, None]


def padded(x: Array, pads: list[int], value: float) -> Array:
    rank = x.ndim
    return np.pad(x, list(zip(pads[:rank], pads[rank:], strict=True)), constant_values=value)


X = floats(2, 3, 4, 5)
STEPS = (np.round(X * 10) / 10 + 0.05).astype(np.float32)  # never near a bound of tenths
IMAGE = floats(1, 2, 4, 6)
STATISTICS = [abs(floats(3)) + np.float32(0.5)] * 4
EACH = [abs(floats(3, 4, 5)) + np.float32(0.5)] * 4
CUBE = floats(3, 3, 3)
ROW = floats(3)

CASES = [
    Case("Add", 6, [X, floats(2, 3, 4, 5)], expected=np.add),
    Case("Add", 6, [X, floats(3, 1, 1)], {"broadcast": 1}, expected=np.add, note="no axis"),
    Case("Mul", 6, [CUBE, ROW], {"broadcast": 1, "axis": 1}, (1,), note="axis inside",
         expected=lambda a, b: a * b[:, None]),
    Case("Sub", 6, [CUBE, ROW], {"broadcast": 1, "axis": 0}, note="axis first",
         expected=lambda a, b: a - b[:, None, None]),
    Case("Div", 6, [X, floats(4, 5)], {"broadcast": 1, "axis": -2}, note="axis negative",
         expected=np.divide),
    Case("Pow", 6, [abs(CUBE), ROW], {"broadcast": 1, "axis": 2}, expected=np.power),
    Case("Less", 6, [CUBE, ROW], {"broadcast": 1, "axis": 1}, expected=lambda a, b: a < b[:, None]),
    Case("And", 6, [CUBE > 0, ROW > 0], {"broadcast": 1, "axis": 0},
         expected=lambda a, b: a & b[:, None, None]),
    Case("Cast", 5, [X], {"to": "INT32"}, expected=lambda x: x.astype(np.int32)),
    Case("Cast", 6, [X], {"to": TensorProto.INT32}, expected=lambda x: x.astype(np.int32)),
    Case("Cast", 9, [X], {"to": TensorProto.DOUBLE}),
    Case("PRelu", 6, [X, floats(3)], note="by channel",
         expected=lambda x, s: np.where(x < 0, x * s[:, None, None], x)),
    Case("PRelu", 6, [X, floats(1)], expected=lambda x, s: np.where(x < 0, x * s, x)),
    Case("PRelu", 7, [X, floats(3, 1, 1)]),
    Case("Gemm", 6, [floats(2, 3), floats(3, 4), floats(4)], {"broadcast": 1, "alpha": 0.5},
         expected=lambda a, b, c: np.float32(0.5) * (a @ b) + c),
    Case("Gemm", 7, [floats(3, 2), floats(4, 3), floats(4)], {"transA": 1, "transB": 1}),
    Case("Relu", 5, [X], {"consumed_inputs": [0]}, expected=lambda x: np.maximum(x, 0)),
    Case("Reshape", 1, [X], {"shape": [0, -1]}, expected=lambda x: x.reshape(2, 60)),
    Case("Reshape", 5, [X, ints(0, -1)], fixed=(1,)),
    Case("Concat", 1, [X, X], expected=lambda a, b: np.concatenate([a, b], 1)),
    Case("Concat", 4, [X, X], {"axis": 3}, expected=lambda a, b: np.concatenate([a, b], 3)),
    Case("Softmax", 1, [X], note="flattened from 1",
         expected=lambda x: (e := np.exp(x)) / e.sum((1, 2, 3), keepdims=True)),
    Case("Softmax", 7, [X], {"axis": 3}, note="last"),
    Case("Softmax", 11, [X], {"axis": 2}),
    Case("Softmax", 11, [X], {"axis": -2}, note="negative"),
    Case("Softmax", 11, [X], {"axis": 0}, note="all"),
    Case("LogSoftmax", 11, [X], {"axis": 1}),
    Case("LogSoftmax", 8, [X], {"axis": 4}, note="of nothing", expected=np.zeros_like),
    Case("Softmax", 11, [floats(2, 0, 3)], {"axis": 0}, note="empty"),
    Case("Hardmax", 7, [X], expected=hardmax, note="default axis"),
    Case("Hardmax", 11, [X], {"axis": 2}, expected=lambda x: hardmax(x, 2)),
    Case("Hardmax", 11, [X], {"axis": -1}, expected=lambda x: hardmax(x, 3), note="last"),
    Case("Hardmax", 12, [X], {"axis": 0}, expected=lambda x: hardmax(x, 0), note="all"),
    Case("Hardmax", 13, [X], {"axis": 1}, note="its own axis alone"),
    Case("BatchNormalization", 6, [X, *STATISTICS], {"is_test": 1},
         expected=lambda x, s, b, m, v: (x - m[:, None, None]) / np.sqrt(v[:, None, None] + 1e-5)
         * s[:, None, None] + b[:, None, None]),
    Case("BatchNormalization", 8, [X, *STATISTICS], {"spatial": 1}),
    Case("BatchNormalization", 9, [X, *STATISTICS], {"epsilon": 1e-3}),
    Case("BatchNormalization", 14, [X, *STATISTICS]),
    Case("BatchNormalization", 8, [X, *EACH], {"spatial": 0},
         note="each element"),
    Case("BatchNormalization", 6, [X, *EACH],
         {"spatial": 0, "is_test": 1, "epsilon": 1e-3}, note="each element",
         expected=lambda x, s, b, m, v: (x - m) / np.sqrt(v + np.float32(1e-3)) * s + b),
    Case("InstanceNormalization", 6, [X, floats(3), floats(3)], {"epsilon": 1e-3}),
    Case("Dropout", 6, [X], {"is_test": 1, "ratio": 0.3}, expected=lambda x: x),
    Case("Dropout", 7, [X], {"ratio": 0.3}),
    Case("Dropout", 12, [X, np.float32(0.3)], fixed=(1,)),
    Case("Pad", 2, [X], {"pads": [0, 1, 0, 2, 1, 0, 0, 0], "value": 2.5}),
    Case("Pad", 2, [X], {"pads": [0, 1, 0, 2, 1, 0, 0, 0], "mode": "reflect", "value": 2.5},
         note="reflect"),
    Case("Pad", 2, [X], {"pads": [0, 1, 0, -2, 1, 0, 0, 0], "mode": "edge"}, note="edge"),
    Case("Pad", 2, [floats(2, 3, dtype=np.float64)], {"pads": [1, 0, 0, 1], "value": 2.5},
         note="float64"),
    Case("Pad", 11, [X, ints(0, 1, 0, 2, 1, 0, 0, 0), np.float32(1)], fixed=(1, 2)),
    Case("Pad", 1, [X], {"paddings": [0, 1, 0, 2, 1, 0, 0, 0], "value": 2.5},
         expected=lambda x: padded(x, [0, 1, 0, 2, 1, 0, 0, 0], 2.5)),
    Case("Tile", 1, [X, np.float32(3), np.float32(1)], fixed=(1, 2),
         expected=lambda x, *_: np.tile(x, (1, 3, 1, 1))),
    Case("Tile", 6, [X, ints(1, 2, 1, 3)], fixed=(1,)),
    Case("Slice", 1, [X], {"starts": [1, -3], "ends": [1000, -1], "axes": [1, 3]}),
    Case("Slice", 1, [X], {"starts": [0, 1], "ends": [1, 3]}, note="no axes"),
    Case("Slice", 10, [X, ints(3, 0), ints(0, 2), ints(2, 1), ints(-1, 1)], fixed=(1, 2, 3, 4)),
    Case("Clip", 6, [STEPS], {"min": -0.5, "max": 0.5}),
    Case("Clip", 6, [STEPS], {"max": 0.5}, note="max alone"),
    Case("Clip", 6, [STEPS], note="no bound"),
    Case("Clip", 6, [floats(2, 3, dtype=np.float64)], {"min": -0.5, "max": 0.5}, note="float64",
         expected=lambda x: np.clip(x, -0.5, 0.5)),
    Case("Clip", 11, [STEPS, np.float32(-0.5), np.float32(0.5)], fixed=(1, 2)),
    Case("Squeeze", 1, [floats(1, 3, 1)], {"axes": [0]}),
    Case("Squeeze", 11, [floats(1, 3, 1)], {"axes": [-1]}),
    Case("Squeeze", 11, [floats(1, 3, 1)], note="all"),
    Case("Unsqueeze", 1, [ROW], {"axes": [0, 2]}),
    Case("ReduceSum", 1, [X], {"axes": [1, 2], "keepdims": 0}),
    Case("ReduceSum", 11, [X], {"axes": [-1]}),
    Case("ReduceSum", 11, [X], note="all"),
    Case("ReduceMean", 1, [X], {"axes": [1, 3]}),
    Case("ReduceMax", 12, [X], {"axes": [-2], "keepdims": 0}),
    Case("ReduceL2", 13, [X], {"keepdims": 0}),
    Case("ReduceLogSumExp", 11, [X], {"axes": [0]}),
    Case("Split", 2, [X], {"axis": 3, "split": [2, 3]}, outputs=2),
    Case("Split", 11, [floats(4, 2)], outputs=2, note="even"),
    Case("Split", 1, [X], {"axis": 3, "split": [5]}, expected=lambda x: x),
    Case("Split", 1, [X, scales(5)], {"axis": 3}, (1,), note="operand", expected=lambda x, _: x),
    Case("Split", 1, [X], {"axis": 3}, note="even", expected=lambda x: x),
    Case("Split", 13, [X, ints(1, 3)], {"axis": 2}, (1,), outputs=2),
    Case("Split", 13, [floats(4, 2)], outputs=2, note="even"),
    Case("TopK", 1, [X], {"k": 2}, outputs=2),
    Case("TopK", 10, [X, ints(2)], {"axis": 1}, (1,), outputs=2),
    Case("Scatter", 9, [floats(3, 3), np.array([[0, 2], [1, 0]]), floats(2, 2)], {"axis": 1}),
    Case("Upsample", 7, [IMAGE], {"scales": [1.0, 1.0, 2.0, 3.0]}),
    Case("Upsample", 7, [IMAGE], {"scales": [1.0, 1.0, 1.5, 2.0], "mode": "linear"}, note="linear"),
    Case("Upsample", 9, [IMAGE, scales(1, 1, 2.5, 1)], fixed=(1,)),
    Case("Upsample", 9, [IMAGE, scales(1, 1, 2, 2)], {"mode": "linear"}, (1,), note="linear"),
    Case("Upsample", 9, [IMAGE, scales(1, 1, 2, 2)], {"mode": "linear"}, note="scales sent"),
    Case("Upsample", 1, [IMAGE], {"height_scale": 2.0, "width_scale": 3.0, "mode": "nearest"},
         expected=lambda x: x.repeat(2, 2).repeat(3, 3)),
    Case("Resize", 10, [IMAGE, scales(1, 1, 2.5, 3)], {"mode": "nearest"}, (1,), note="grow"),
    Case("Resize", 10, [IMAGE, scales(1, 1, 0.6, 0.7)], {"mode": "nearest"}, (1,), note="shrink"),
    Case("Resize", 10, [IMAGE, scales(1, 1, 0.6, 2.5)], {"mode": "nearest"}, (1,), note="mixed"),
    Case("Resize", 10, [IMAGE, scales(1, 1, 0.6, 2.5)], {"mode": "nearest"}, note="sent"),
    Case("Resize", 10, [IMAGE, scales(1, 1, 2.5, 3)], {"mode": "linear"}, (1,), note="linear grow"),
    Case("Resize", 10, [IMAGE, scales(1, 1, 0.6, 0.7)], {"mode": "linear"}, (1,),
         note="linear shrink"),
    Case("Resize", 10, [IMAGE, scales(1, 1, 0.6, 2)], {"mode": "linear"}, note="linear sent"),
    Case("Resize", 11, [IMAGE, scales(), scales(1, 1, 0.6, 0.7)],
         {"mode": "linear", "coordinate_transformation_mode": "align_corners"}, (1, 2)),
    Case("Resize", 11, [IMAGE, scales(), scales(1, 1, 1.6, 2)],
         {"mode": "cubic", "cubic_coeff_a": -0.5}, (1, 2), note="cubic"),
    Case("Resize", 11, [IMAGE, scales(), scales(), ints(1, 2, 7, 9)],
         {"mode": "nearest", "nearest_mode": "ceil"}, (1, 2, 3), note="sizes"),
    Case("Resize", 11, [IMAGE, scales(0, 0, 0.2, 0.3, 1, 1, 0.8, 0.7), scales(), ints(1, 2, 7, 9)],
         {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize"}, (1, 2, 3),
         note="crop"),
    Case("Resize", 13, [IMAGE, scales(), scales(1, 1, 2, 2)], {"mode": "linear"}, (1, 2)),
    Case("MaxPool", 8, [IMAGE], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    Case("AveragePool", 7, [IMAGE], {"kernel_shape": [2, 2], "pads": [1, 1, 0, 0]}),
    Case("LpPool", 11, [IMAGE], {"kernel_shape": [2, 2], "p": 2}),
    Case("Conv", 1, [IMAGE, floats(3, 2, 2, 2)], {"dilations": [1, 2]}),
    Case("ConvTranspose", 1, [IMAGE, floats(2, 3, 2, 2)], {"strides": [2, 2]}),
    Case("LpPool", 1, [IMAGE], {"kernel_shape": [2, 2], "p": 2.0},
         expected=lambda x: np.sqrt(sum(x[:, :, i:3 + i, j:5 + j] ** 2
                                        for i in (0, 1) for j in (0, 1)))),
    Case("GlobalLpPool", 1, [IMAGE], {"p": 3.0},
         expected=lambda x: (abs(x) ** 3).sum((2, 3), keepdims=True) ** (1 / 3)),
    Case("Flatten", 1, [X], {"axis": 2}),
    Case("MeanVarianceNormalization", 9, [X], {"axes": [0, 2]}),
    Case("MeanVarianceNormalization", 13, [X], note="default axes"),
    Case("RNN", 1, [floats(4, 2, 3), floats(1, 5, 3), floats(1, 5, 5)],
         {"hidden_size": 5, "output_sequence": 1}, expected=rnn),
    Case("RNN", 7, [floats(4, 2, 3), floats(1, 5, 3), floats(1, 5, 5)], {"hidden_size": 5},
         outputs=2),
    Case("LSTM", 7, [floats(4, 2, 3), floats(1, 20, 3), floats(1, 20, 5), floats(1, 40)],
         {"hidden_size": 5}, outputs=3),
    Case("GRU", 7, [floats(4, 2, 3), floats(1, 15, 3), floats(1, 15, 5), floats(1, 30)],
         {"hidden_size": 5, "linear_before_reset": 1}, outputs=2),
    Case("GridSample", 16, [IMAGE, np.clip(floats(1, 3, 3, 2), -1, 1)], {"mode": "bicubic"}),
    Case("DFT", 17, [floats(2, 4, 1)], {"axis": 1, "onesided": 1}),
    Case("RoiAlign", 10, [IMAGE, scales(0, 0, 3, 3).reshape(1, 4), ints(0)],
         {"output_height": 2, "output_width": 2}),
    # Removed since; onnx knows nothing of them, the runtime does.
    Case("ThresholdedRelu", 7, [STEPS]),
    Case("ThresholdedRelu", 9, [STEPS], {"alpha": 0.5}, note="alpha"),
    Case("MeanVarianceNormalization", 7, [X], expected=lambda x: mean_variance(x, (0, 2, 3))),
    Case("MeanVarianceNormalization", 8, [X], {"across_channels": 1}, note="across channels",
         expected=lambda x: mean_variance(x, (0, 1, 2, 3))),
    Case("MeanVarianceNormalization", 8, [X], {"normalize_variance": 0}, note="mean alone"),
    Case("Affine", 7, [X], {"alpha": 2.5, "beta": -1.0}),
    Case("Affine", 9, [X], note="of nothing"),
    Case("Scale", 7, [X], {"scale": 0.3}),
    Case("ScaledTanh", 7, [X], {"alpha": 2.0, "beta": 0.7}),
    Case("ParametricSoftplus", 7, [X], {"alpha": 2.0, "beta": 0.7}),
    Case("ImageScaler", 7, [X], {"scale": 0.3, "bias": [0.1, 0.2, -0.3]}),
    Case("Crop", 7, [X], {"border": [1, 0, 1, 2]}),
    Case("Crop", 7, [X], {"border": [1, 2, 0, 0], "scale": [2, 3]}, note="size"),
    Case("DynamicSlice", 7, [X, ints(1, 0), ints(3, -1), ints(3, 2)], fixed=(1, 2, 3)),
]  # fmt: skip


def old_model(case: Case) -> onnx.ModelProto:
    names = [f"in_{i}" for i in range(len(case.inputs))]
    outputs = [f"out_{i}" for i in range(case.outputs)]
    node = helper.make_node(case.op, names, outputs, "the_node", **case.attributes)
    info = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for name, x in zip(names, case.inputs, strict=True)
    ]
    graph = helper.make_graph(
        [node],
        "g",
        [value for i, value in enumerate(info) if i not in case.fixed],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [onnx.numpy_helper.from_array(case.inputs[i], names[i]) for i in case.fixed],
    )
    opset = [helper.make_opsetid("", case.opset)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    typed = onnx.shape_inference.infer_shapes(model)
    for output in typed.graph.output:
        if not output.type.HasField("tensor_type"):
            want = case.expected(*case.inputs) if case.expected else case.inputs[0]
            dtype = want.dtype
            output.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(dtype)
    return typed
