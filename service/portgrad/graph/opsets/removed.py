"""Operators that ONNX had as experimental up to opset 9, then removed or defined anew.

onnx knows no schema of theirs, onnxruntime still runs them. Each is written in operators of the
working opset, as the runtime's kernel of it computes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx

from portgrad.graph.opsets.old import Nodes, Old

_END = np.iinfo(np.int64).max


def removed(node: onnx.NodeProto, version: int) -> bool:
    """Whether a node is such an operator in an opset that still had it."""
    return not node.domain and 0 < version <= REMOVED.get(node.op_type, (0,))[0]


def _thresholded_relu(old: Old) -> Nodes:
    return [old.final("ThresholdedRelu", list(old.node.input), **old.attributes)]


def _dynamic_slice(old: Old) -> Nodes:
    return [old.final("Slice", list(old.node.input))]


def _affine(old: Old) -> Nodes:
    alpha, beta = (old.attributes.get(name, default) for name, default in _AFFINE)
    factor, offset = old.number(alpha, "alpha"), old.number(beta, "beta")
    scaled = old.emit("Mul", [old.node.input[0], factor.output[0]], "scaled")
    return [factor, offset, scaled, old.final("Add", [scaled.output[0], offset.output[0]])]


_AFFINE = (("alpha", 1.0), ("beta", 0.0))


def _scale(old: Old) -> Nodes:
    factor = old.number(old.attributes.get("scale", 1.0), "scale")
    return [factor, old.final("Mul", [old.node.input[0], factor.output[0]])]


def _image_scaler(old: Old) -> Nodes:
    """Scale · x and a bias for each channel."""
    factor = old.number(old.attributes.get("scale", 1.0), "scale")
    bias = old.number(np.reshape(old.required("bias"), (-1, 1, 1)), "bias")
    scaled = old.emit("Mul", [old.node.input[0], factor.output[0]], "scaled")
    return [factor, bias, scaled, old.final("Add", [scaled.output[0], bias.output[0]])]


def _scaled(function: str) -> Callable[[Old], Nodes]:
    """Alpha · function(beta · x)."""

    def adapter(old: Old) -> Nodes:
        alpha, beta = (old.number(old.required(name), name) for name in ("alpha", "beta"))
        inner = old.emit("Mul", [old.node.input[0], beta.output[0]], "scaled")
        outer = old.emit(function, [inner.output[0]], function.lower())
        return [alpha, beta, inner, outer, old.final("Mul", [outer.output[0], alpha.output[0]])]

    return adapter


def _crop(old: Old) -> Nodes:
    """Rows and columns left out at each side: left, top, right, bottom; `scale` is a size."""
    left, top, right, bottom = old.required("border")
    ends = [-bottom or _END, -right or _END]
    if "scale" in old.attributes:
        height, width = old.attributes["scale"]
        ends = [top + height, left + width]
    bounds = [("starts", [top, left]), ("ends", ends), ("axes", [2, 3])]
    made = [old.constant(np.array(value, np.int64), role) for role, value in bounds]
    return [*made, old.final("Slice", [old.node.input[0], *(node.output[0] for node in made)])]


def _mean_variance(old: Old) -> Nodes:
    """Over an image, or over the batch too; `normalize_variance` of 0 subtracts the mean only."""
    x = old.node.input[0]
    axes = [0, 1, 2, 3] if old.attributes.get("across_channels", 0) else [0, 2, 3]
    if old.attributes.get("normalize_variance", 1):
        return [old.final("MeanVarianceNormalization", [x], axes=axes)]
    over = old.constant(np.array(axes), "axes")
    mean = old.emit("ReduceMean", [x, over.output[0]], "mean")
    return [over, mean, old.final("Sub", [x, mean.output[0]])]


# The newest opset that had the operator, and its adapter.
REMOVED: Mapping[str, tuple[int, Callable[[Old], Nodes]]] = {
    "Affine": (9, _affine),
    "Crop": (9, _crop),
    "DynamicSlice": (9, _dynamic_slice),
    "ImageScaler": (9, _image_scaler),
    "MeanVarianceNormalization": (8, _mean_variance),
    "ParametricSoftplus": (9, _scaled("Softplus")),
    "Scale": (9, _scale),
    "ScaledTanh": (9, _scaled("Tanh")),
    "ThresholdedRelu": (9, _thresholded_relu),
}
