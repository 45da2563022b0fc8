"""Nets to measure, with random weights: as ONNX bytes, made without any framework."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

Array = np.ndarray


class Builder:
    """A graph of float32 nodes that grows; values and weights are named as they come."""

    def __init__(self, seed: int = 0) -> None:
        self._nodes: list = []
        self._weights: list = []
        self._draw = np.random.default_rng(seed).standard_normal

    def node(self, op_type: str, *inputs: str, **attributes: object) -> str:
        name = f"{op_type.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(op_type, inputs, [name], name, **attributes))
        return name

    def weight(self, *shape: int, scale: float) -> str:
        return self._held((scale * self._draw(shape)).astype(np.float32))

    def constant(self, value: float, size: int) -> str:
        return self._held(np.full(size, value, np.float32))

    def _held(self, array: Array) -> str:
        name = f"weight_{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(array, name))
        return name

    def classifier(self, shape: list[str | int], x: str, features: int, classes: int) -> bytes:
        """The net that ends with the logarithms of the probabilities of classes."""
        x = self.node("MatMul", x, self.weight(features, classes, scale=features**-0.5))
        x = self.node("Add", x, self.weight(classes, scale=0.1))
        output = self.node("LogSoftmax", x)
        port = helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)
        out = helper.make_tensor_value_info(output, TensorProto.FLOAT, [shape[0], classes])
        graph = helper.make_graph(self._nodes, "net", [port], [out], self._weights)
        imports = [helper.make_opsetid("", 21)]
        model: ModelProto = helper.make_model(graph, opset_imports=imports, ir_version=10)
        return model.SerializeToString()


def mlp(sizes: tuple[int, ...] = (784, 512, 512, 10)) -> bytes:
    """Linear layers with a tanh between them."""
    net, x = Builder(), "input"
    for rows, columns in pairwise(sizes[:-1]):
        x = net.node("MatMul", x, net.weight(rows, columns, scale=rows**-0.5))
        x = net.node("Tanh", net.node("Add", x, net.weight(columns, scale=0.1)))
    return net.classifier(["N", sizes[0]], x, sizes[-2], sizes[-1])


def resnet(
    blocks: tuple[int, ...] = (3, 4, 6, 3), width: int = 64, size: int = 224, classes: int = 1000
) -> bytes:
    """A residual net of bottlenecks with batch normalisation (He et al. 2016): ResNet-50."""
    net = Builder()

    def convolved(x: str, into: int, out: int, kernel: int, stride: int = 1) -> str:
        weight = net.weight(out, into, kernel, kernel, scale=(into * kernel**2) ** -0.5)
        pad = kernel // 2
        y = net.node("Conv", x, weight, pads=[pad] * 4, strides=[stride] * 2)
        statistics = [net.constant(value, out) for value in (1.0, 0.0, 0.0, 1.0)]
        return net.node("BatchNormalization", y, *statistics)

    def bottleneck(x: str, into: int, inner: int, stride: int) -> str:
        y = net.node("Relu", convolved(x, into, inner, 1))
        y = net.node("Relu", convolved(y, inner, inner, 3, stride))
        y = convolved(y, inner, 4 * inner, 1)
        same = into == 4 * inner and stride == 1
        side = x if same else convolved(x, into, 4 * inner, 1, stride)
        return net.node("Relu", net.node("Add", y, side))

    x = net.node("Relu", convolved("input", 3, width, 7, 2))
    x = net.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = width
    for stage, count in enumerate(blocks):
        for block in range(count):
            inner = width * 2**stage
            x = bottleneck(x, channels, inner, 2 if stage and not block else 1)
            channels = 4 * inner
    x = net.node("Flatten", net.node("GlobalAveragePool", x))
    return net.classifier(["N", 3, size, size], x, channels, classes)


NETS: dict[str, Callable[[], bytes]] = {"mlp": mlp, "resnet50": resnet}
