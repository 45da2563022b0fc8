"""Functions of one number."""

from __future__ import annotations

import numpy as np

from support.rig import Row

_X = np.array([-2.3, -1.1, -0.4, 0.3, 0.9, 2.2, 3.7])
_UNIT = np.array([-0.9, -0.5, -0.1, 0.2, 0.6, 0.95])
_POSITIVE = np.array([1.2, 1.7, 2.5, 4.0])


def _everywhere(*ops: str) -> list[Row]:
    return [Row(op, [_X]) for op in ops]


ROWS = [
    *_everywhere("Sin", "Cos", "Tan", "Atan", "Sinh", "Cosh", "Tanh", "Asinh", "Neg", "Exp", "Erf"),
    *_everywhere("Abs", "Relu", "LeakyRelu", "ThresholdedRelu", "Elu", "Selu", "Sigmoid"),
    *_everywhere("HardSigmoid", "HardSwish", "Softplus", "Softsign", "Mish", "Gelu"),
    *(Row(op, [_UNIT]) for op in ("Asin", "Acos", "Atanh")),
    *(Row(op, [_POSITIVE]) for op in ("Acosh", "Log", "Sqrt", "Reciprocal")),
    Row("LeakyRelu", [_X], {"alpha": 0.3}, id="alpha"),
    Row("ThresholdedRelu", [_X], {"alpha": 0.5}, id="alpha"),
    Row("Elu", [_X], {"alpha": 2.0}, id="alpha"),
    Row("Celu", [_X], {"alpha": 2.0}, id="alpha", single_only=True),
    Row("Selu", [_X], {"alpha": 1.5, "gamma": 2.0}, id="alpha-gamma"),
    Row("HardSigmoid", [_X], {"alpha": 0.3, "beta": 0.4}, id="alpha-beta"),
    Row("Shrink", [_X], engine="reference"),
    Row("Shrink", [_X], {"lambd": 1.0, "bias": 0.5}, id="lambd-bias", engine="reference"),
    Row("Gelu", [_X], {"approximate": "tanh"}, id="tanh"),
    Row("Swish", [_X], {"alpha": 1.5}, id="alpha", opset=24),
    *(Row("Relu", [np.linspace(-2.6, 2.7, many)], id=f"of-{many}") for many in (256, 257)),
    # Kinks and far tails, with ones imposed.
    Row("Abs", [np.array([0.0])], id="at-0", expected={0: [0.0]}),
    Row("Relu", [np.array([0.0, -0.0])], id="at-0", expected={0: [0.0, 0.0]}),
    Row("LeakyRelu", [np.array([0.0])], {"alpha": 0.25}, id="at-0", expected={0: [0.25]}),
    Row("ThresholdedRelu", [np.array([1.0])], id="at-alpha", expected={0: [0.0]}),
    Row("Elu", [np.array([0.0, 1e4])], {"alpha": 2.0}, id="at-0", expected={0: [2.0, 1.0]}),
    Row("Celu", [np.array([0.0, 1e4])], {"alpha": 2.0}, id="at-0", expected={0: [1.0, 1.0]}),
    Row("HardSigmoid", [np.array([-2.5, 2.5])], id="at-ends", expected={0: [0.0, 0.0]}),
    Row("HardSwish", [np.array([-3.0, 3.0])], id="at-ends", expected={0: [0.0, 1.0]}),
    Row("Shrink", [np.array([0.5, -0.5])], id="at-ends", expected={0: [0.0, 0.0]}),
    Row("Sqrt", [np.array([0.0])], id="at-0", expected={0: [np.inf]}),
    Row("Softsign", [np.array([0.0])], id="at-0", expected={0: [1.0]}),
]
