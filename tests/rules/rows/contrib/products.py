"""com.microsoft: products. FusedMatMul's kernel is in float64 too, the others' in float32 alone."""

from __future__ import annotations

from functools import partial
from typing import Any

from rules.rows.contrib import DOMAIN
from rules.rows.contrib import row as _row
from support.rig import Row
from support.rows import normal as _x
from support.rows import rows_of

_matmul = partial(rows_of(DOMAIN), "FusedMatMul")


def _gemm(activation: str, **more: Any) -> Row:
    operands = _x(3, 4), _x(4, 5, seed=4), _x(5, seed=5)
    return _row("FusedGemm", activation, *operands, activation=activation, **more)


def _conv(activation: str, *parameters: float) -> Row:
    more = {"activation_params": list(parameters)} if parameters else {}
    return _row("FusedConv", activation, *_FAR, activation=activation, fixed=(1,), **more)


_A, _B = _x(2, 3, 4, 5), _x(2, 3, 5, 6, seed=4)
_IMAGE = _x(1, 2, 5, 4), _x(3, 2, 3, 2, seed=4), _x(3, seed=5)
# Far from the kinks of its activations, which steps of 0.01 must not cross.
_FAR = _x(1, 1, 3, 3, seed=53), _x(2, 1, 2, 2, seed=54), _x(2, seed=55)
_TWO = {"activation_alpha": 0.3, "activation_beta": 0.6}

ROWS = [
    _matmul("plain", _A, _B),
    _matmul("alpha", _A, _B, alpha=0.3),
    _matmul("turned", _x(2, 5, 4), _x(2, 6, 5, seed=4), transA=1, transB=1),
    _matmul("batch-a", _x(4, 2, 3, 5), _B, transBatchA=1),
    _matmul("batch-a-turned", _x(5, 2, 3, 4), _B, transBatchA=1, transA=1),
    _matmul("batch-b", _A, _x(5, 2, 3, 6, seed=4), transBatchB=1),
    _matmul("batch-b-turned", _A, _x(6, 2, 3, 5, seed=4), transBatchB=1, transB=1, alpha=2.0),
    _matmul("weight", _A, _x(6, 5, seed=4), transB=1, alpha=0.3),
    _matmul("matrices", _x(5, 4), _x(6, 5, seed=4), transB=1, transA=1),
    _matmul("row", _x(5), _B, transA=1),
    _matmul("row-weight", _x(5), _x(6, 5, seed=4), transB=1),
    _matmul("column", _A, _x(5, seed=4), transB=1),
    _row("TransposeMatMul", "", _x(5, 4), _x(6, 5, seed=4), transA=1, transB=1, alpha=0.3),
    _row("FusedGemm", "bare", _x(3, 4), _x(4, 5, seed=4), activation="Tanh"),
    _row("FusedGemm", "scaled", _x(4, 3), _x(5, 4, seed=4), _x(3, 1, seed=5), transA=1,
            transB=1, alpha=0.3, beta=0.5, activation="Sigmoid"),
    _gemm("Celu", activation_alpha=0.3),
    _gemm("Elu", activation_alpha=0.3),
    _gemm("HardSigmoid", **_TWO),
    _gemm("LeakyRelu", activation_alpha=0.3),
    _gemm("ParametricSoftplus", **_TWO),
    _gemm("Relu"),
    _gemm("ScaledTanh", **_TWO),
    _gemm("Selu", activation_alpha=0.3, activation_gamma=1.2),
    _gemm("Softplus"),
    _gemm("Softsign"),
    _gemm("ThresholdedRelu", activation_alpha=0.3),
    _row("FusedConv", "bare", *_IMAGE[:2], fixed=(1,)),
    _row("FusedConv", "added", *_IMAGE, _x(1, 3, 3, 3, seed=6), fixed=(1,), activation="Tanh"),
    _row("FusedConv", "geometry", _x(1, 4, 9), _x(2, 2, 3, seed=4), None, None, fixed=(1,),
            group=2, pads=[1, 2], strides=[2], dilations=[2], kernel_shape=[3],
            activation="Sigmoid"),
    _row("FusedConv", "same", *_IMAGE, fixed=(1,), auto_pad="SAME_UPPER", activation="Tanh"),
    _conv("Clip", -1.5, 2.5),
    _conv("HardSigmoid", 0.1, 0.6),
    _conv("HardSwish"),
    _conv("LeakyRelu", 0.3),
    _conv("Relu"),
]  # fmt: skip
