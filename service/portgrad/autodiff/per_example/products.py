"""Cotangents of what all examples share in products, from operands that have the examples in front.

Rules as those of the operators, but every operand is in front form (see `layout`).
"""

from __future__ import annotations

from collections.abc import Callable

from portgrad.autodiff.binding import Signature
from portgrad.autodiff.registry import Function, Rule
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op

PRODUCTS: dict[str, Rule] = {}


def _product(op_type: str) -> Callable[[Function], Function]:
    def register(function: Function) -> Function:
        PRODUCTS[op_type] = Rule(function, Signature.of(function), 1, None, None)
        return function

    return register


@_product("MatMul")
def matmul(op: Op, ct: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Of a matrix, or a vector, and any stack: each of an example's is a row of one product."""
    rows, columns = op.rank(a) == 2, op.rank(b) == 2
    whole = op.unsqueeze(ct, op.rank(ct)) if columns else ct
    whole = op.unsqueeze(whole, op.rank(whole) - 1) if rows else whole
    left = op.unsqueeze(a, 1) if rows else a
    right = op.unsqueeze(b, 2) if columns else b
    ct_b = op.MatMul(op.swap_last_two(_folded(op, left)), _folded(op, whole))
    ct_a = op.MatMul(whole, op.swap_last_two(right))
    stacked = range(1, op.rank(ct_a) - 2)
    return op.reduce_sum(ct_a, stacked, keepdims=False), ct_b


@_product("Gemm")
def gemm(
    op: Op,
    ct: Tensor,
    a: Tensor,
    b: Tensor,
    c: Tensor | None,
    *,
    alpha: float,
    beta: float,
    transa: int,
    transb: int,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """As in its rule, each is one product: nothing of a weight's size is turned after it."""

    def scaled(factor: float) -> Tensor:
        return ct if factor == 1.0 else ct * factor

    def product(x: Tensor, y: Tensor, tx: int, ty: int) -> Tensor:
        left, right = (op.swap_last_two(z) if t else z for z, t in ((x, tx), (y, ty)))
        return op.MatMul(left, right)

    ct_y = scaled(alpha)
    ct_a = product(b, ct_y, transb, 1) if transa else product(ct_y, b, 0, 1 - transb)
    ct_b = product(ct_y, a, 1, transa) if transb else product(a, ct_y, 1 - transa, 0)
    if c is None:
        return ct_a, ct_b, None
    return ct_a, ct_b, op.unbroadcast(scaled(beta), op.unsqueeze(c, *range(1, 4 - op.rank(c))))


@_product("Gather")
def gather(op: Op, ct: Tensor, data: Tensor, indices: Tensor, *, axis: int) -> tuple[Tensor, None]:
    """Seen as rows (example, all before the axis, the axis), each of which holds all after it."""
    axis = 1 + axis % (op.rank(data) - 1)
    size, lead = op.size(data, axis), op.count(data, 1, axis)
    places = op.positive(op.as_int64(indices), size)
    rows = op.reshape(places, [op.size(data, 0), 1, op.count(indices, 1)])
    rows = rows + op.reshape(op.iota(lead), [1, lead, 1]) * size
    rows = rows + op.reshape(op.iota(op.size(data, 0)), [op.size(data, 0), 1, 1]) * lead * size
    return op.add_rows(data, rows, ct, op.count(data, axis + 1)), None


def _folded(op: Op, x: Tensor) -> Tensor:
    """(N, stacked…, rows, columns) as (N, all rows, columns)."""
    if op.rank(x) == 3:
        return x
    batch, *stacked, last = op.dims(x)
    return op.reshape(x, [batch, op.product(*stacked), last])
