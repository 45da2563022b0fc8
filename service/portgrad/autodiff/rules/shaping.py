"""Operators that move or repeat elements without changing them, and casts."""

from __future__ import annotations

import numpy as np

from portgrad.autodiff.registry import broadcasting, vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


@vjp("Reshape")
def reshape(op: Op, ct: Tensor, data: Tensor, shape: Tensor) -> tuple[Tensor, None]:
    return op.reshape_like(ct, data), None


@vjp("Flatten")
def flatten(op: Op, ct: Tensor, input: Tensor) -> Tensor:
    return op.reshape_like(ct, input)


@vjp("Squeeze")
def squeeze(op: Op, ct: Tensor, data: Tensor, axes: Tensor | None) -> tuple[Tensor, None]:
    return op.reshape_like(ct, data), None


@vjp("Unsqueeze")
def unsqueeze(op: Op, ct: Tensor, data: Tensor, axes: Tensor) -> tuple[Tensor, None]:
    return op.reshape_like(ct, data), None


@vjp("Expand")
def expand(op: Op, ct: Tensor, input: Tensor, shape: Tensor) -> tuple[Tensor, None]:
    return op.unbroadcast(ct, input), None


@vjp("Transpose")
def transpose(op: Op, ct: Tensor, data: Tensor, *, perm: list[int] | None) -> Tensor:
    inverse = None if perm is None else [int(axis) for axis in np.argsort(perm)]
    return op.Transpose(ct, perm=inverse)


@vjp("Cast")
def cast(op: Op, ct: Tensor, input: Tensor) -> Tensor:
    return op.cast_like(ct, input)


@vjp("CastLike")
def cast_like(op: Op, ct: Tensor, input: Tensor, target_type: Tensor) -> tuple[Tensor, None]:
    return op.cast_like(ct, input), None


@broadcasting("Where")
def where(
    op: Op, ct: Tensor, condition: Tensor, x: Tensor, y: Tensor
) -> tuple[None, Tensor, Tensor]:
    nothing = op.scalar(0.0, ct)
    return None, op.Where(condition, ct, nothing), op.Where(condition, nothing, ct)
