"""Inverse trigonometric and hyperbolic functions.

The arctangent starts from the float32 kernel's y and is mended by the tangent of what is missing,

    tan(atan x - y) = (x cos y - sin y) / (cos y + x sin y),

which is so small (1e-7) that it is its own arctangent to the last bit. The others are said in it,
or in logarithms, by formulas that do not cancel at 0 or at the ends of the domain.
"""

from __future__ import annotations

import math

import onnx_ir as ir

from portgrad.autodiff.registry import double_body
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op

_FAR = 1e17  # where the arctangent is that of infinity
_LARGE = 1e8  # where x² + 1 is x²


@double_body("Atan")
def atan(op: Op, input: Tensor) -> Tensor:
    x = op.Where(op.Abs(input) > _FAR, op.Sign(input) * _FAR, input)
    y = op.Cast(op.Atan(op.Cast(x, to=ir.DataType.FLOAT)), to=x.dtype)
    sine, cosine = op.Sin(y), op.Cos(y)
    return y + (x * cosine - sine) / (cosine + x * sine)


@double_body("Asin")
def asin(op: Op, input: Tensor) -> Tensor:
    return op.Atan(input / (op.Sqrt((1.0 - input) * (input + 1.0)) + 1.0)) * 2.0


@double_body("Acos")
def acos(op: Op, input: Tensor) -> Tensor:
    return op.Atan(op.Sqrt((1.0 - input) / (input + 1.0))) * 2.0


@double_body("Asinh")
def asinh(op: Op, input: Tensor) -> Tensor:
    size = op.Abs(input)
    near = op.log1p(size + size * size / (op.Sqrt(size * size + 1.0) + 1.0))
    return op.Sign(input) * op.Where(size > _LARGE, op.Log(size) + math.log(2.0), near)


@double_body("Acosh")
def acosh(op: Op, input: Tensor) -> Tensor:
    above = input - 1.0
    near = op.log1p(above + op.Sqrt(above * (above + 2.0)))
    return op.Where(input > _LARGE, op.Log(input) + math.log(2.0), near)


@double_body("Atanh")
def atanh(op: Op, input: Tensor) -> Tensor:
    size = op.Abs(input)
    return op.Sign(input) * op.log1p(size * 2.0 / (1.0 - size)) * 0.5
