"""com.microsoft: DynamicQuantizeLSTM, whose estimate is the gradient of an LSTM of numbers.

They are those behind the codes of its weights. It rounds its data and states too, in every step and
to scales that follow them: without the estimator its derivatives are neither 0 nor built.
"""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from portgrad.autodiff.composed import pull_back
from portgrad.autodiff.registry import Cotangents, refuse, shaped, straight_through
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.graph.schemas.contrib import DOMAIN

refuse(
    "DynamicQuantizeLSTM",
    domain=DOMAIN,
    because='it rounds in every step: choose `quantized` "straight_through", or export an LSTM',
)


@shaped("DynamicQuantizeLSTM", domain=DOMAIN)
def dynamic_quantize_lstm_shape(
    op: Op,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    sequence_lens: Tensor | None,
    initial_h: Tensor | None,
    initial_c: Tensor | None,
    p: Tensor | None,
    w_scale: Tensor,
    w_zero_point: Tensor,
    r_scale: Tensor,
    r_zero_point: Tensor,
    *,
    direction: str,
    hidden_size: int,
) -> tuple[Tensor, ...]:
    weights = (op.Transpose(op.single(codes), perm=[0, 2, 1]) for codes in (w, r))
    made: Any = op.LSTM(x, *weights, direction=direction, hidden_size=hidden_size, outputs=3)
    return tuple(made)


@straight_through("DynamicQuantizeLSTM", domain=DOMAIN)
def dynamic_quantize_lstm(
    op: Op,
    ct: Tensor,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    sequence_lens: Tensor | None,
    initial_h: Tensor | None,
    initial_c: Tensor | None,
    p: Tensor | None,
    w_scale: Tensor,
    w_zero_point: Tensor,
    r_scale: Tensor,
    r_zero_point: Tensor,
    *,
    ct_y_h: Tensor | None,
    ct_y_c: Tensor | None,
    **gates: Any,
) -> Cotangents:
    codes = [op.single(w), op.single(r)]
    weights = [
        _weight(op, codes[0], w_scale, w_zero_point),
        _weight(op, codes[1], r_scale, r_zero_point),
    ]
    operands = (x, *weights, b, sequence_lens, initial_h, initial_c, p)
    made: Any = op.LSTM(*operands, outputs=3, **gates)
    length, batch, _ = op.dims(x)
    state = [op.dims(r)[0], batch, op.dims(r)[1]]
    shapes = ([length, op.dims(r)[0], batch, op.dims(r)[1]], state, state)
    for y, sizes in zip(made, shapes, strict=True):
        y.value.shape = ir.Shape([size if isinstance(size, int) else None for size in sizes])
    pairs = zip(made, (ct, ct_y_h, ct_y_c), strict=True)
    total = op.Sum(*(op.ReduceSum(y * c, keepdims=0) for y, c in pairs if c is not None))
    given = [x, *codes, b, None, initial_h, initial_c, p, w_scale, None, r_scale, None]
    targets = [t for t in given if t is not None]
    found = iter(pull_back(op, total, op.ones_like(total), targets))
    return [None if t is None else next(found) for t in given]


def _weight(op: Op, codes: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
    """Numbers (directions, gates, in) of codes (directions, in, gates).

    A scale belongs to a direction, or to a gate of one.
    """
    directions = op.dims(codes)[0]
    gates = op.quotient(op.product(*op.dims(scale)), directions)
    wide = [op.reshape(op.single(t), [directions, 1, gates]) for t in (scale, zero_point)]
    return op.Transpose((codes - wide[1]) * wide[0], perm=[0, 2, 1])
