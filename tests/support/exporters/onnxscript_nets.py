"""Nets written in onnxscript: functions of the file, nested, with attributes that they hand on.

The same net in torch says what the gradients are.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnxscript
import torch
import torch.nn.functional as F  # noqa: N812
from onnxscript import FLOAT, script
from onnxscript import opset21 as op
from torch import Tensor, nn

from support.exporters.sample import Exported, Made
from support.exporters.torch_side import sampled

Rows = FLOAT["batch", 4]
house = onnxscript.values.Opset("house.style", 1)


@script(house, default_opset=op)
def leaky(x, slope: float):  # type: ignore[no-untyped-def]
    return op.LeakyRelu(x, alpha=slope)


@script(house, default_opset=op)
def shifted(x, shift: float, axis: int):  # type: ignore[no-untyped-def]
    """An attribute as a value, and one as an attribute of an operator."""
    return op.Softmax(x + op.Constant(value_float=shift) * x * x, axis=axis)


@script(house, default_opset=op)
def block(x, weight, bias, slope: float = 0.2, axis: int = -1):  # type: ignore[no-untyped-def]
    """Two functions inside, one of them twice, with attributes of its own handed on."""
    h = leaky(op.MatMul(x, weight) + bias, slope=slope)
    return leaky(shifted(h, shift=0.3, axis=axis) - 0.2, slope=0.7)


@script(default_opset=op)
def net(x: Rows, weight: FLOAT[4, 4], bias: FLOAT[4]) -> Rows:
    h = block(x, weight, bias)
    if op.ReduceSum(h, keepdims=0) > 0.0:
        y = block(h, weight, bias, slope=-0.5, axis=0)
    else:
        y = op.Identity(h)
    return y


class Twin(nn.Module):
    def forward(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        h = self.block(x, weight, bias, 0.2, -1)
        return self.block(h, weight, bias, -0.5, 0) if h.sum() > 0 else h

    @staticmethod
    def block(x: Tensor, weight: Tensor, bias: Tensor, slope: float, axis: int) -> Tensor:
        h = F.leaky_relu(x @ weight + bias, slope)
        return F.leaky_relu((h + 0.3 * h * h).softmax(axis) - 0.2, 0.7)


def made() -> Iterator[Made]:
    """The one net."""
    torch.manual_seed(23)
    inputs = {"x": torch.randn(2, 4), "weight": torch.randn(4, 4), "bias": torch.randn(4)}
    model = net.to_model_proto()
    model.producer_name, model.producer_version = "onnxscript", onnxscript.__version__
    yield Made("onnxscript", "functions", lambda: Exported(model, sampled(Twin(), inputs, model)))
