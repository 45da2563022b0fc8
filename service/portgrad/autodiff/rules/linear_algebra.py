"""Products of matrices."""

from __future__ import annotations

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


@vjp("Gemm")
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
    # Y = alpha A' B' + beta C, where ' transposes if asked: each product is one Gemm.
    def product(x: Tensor, y: Tensor, tx: int, ty: int) -> Tensor:
        return op.Gemm(x, y, alpha=alpha, transA=tx, transB=ty)

    ct_a = product(b, ct, transb, 1) if transa else product(ct, b, 0, 1 - transb)
    ct_b = product(ct, a, 1, transa) if transb else product(a, ct, 1 - transa, 0)
    if c is None:
        return ct_a, ct_b, None
    return ct_a, ct_b, op.unbroadcast(ct if beta == 1.0 else ct * beta, c)


@vjp("MatMul")
def matmul(op: Op, ct: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    # A vector on the left is a row, one on the right a column.
    rows = op.unsqueeze(a, 0) if op.rank(a) == 1 else a
    columns = op.unsqueeze(b, 1) if op.rank(b) == 1 else b
    whole = op.unsqueeze(ct, -1) if b.rank == 1 else ct
    whole = op.unsqueeze(whole, -2) if a.rank == 1 else whole
    ct_a, ct_b = _product(op, whole, rows, columns)
    return _of_shape(op, ct_a, a), _of_shape(op, ct_b, b)


def _of_shape(op: Op, ct: Tensor, x: Tensor) -> Tensor:
    return op.reshape_like(ct, x) if x.rank == 1 else op.shaped_as(ct, x)


def _product(op: Op, ct: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Cotangents of stacks of matrices."""
    if b.rank == 2:
        return _stack_times_matrix(op, ct, a, b)
    if a.rank == 2:  # (A B)' = B' A'
        turned = op.swap_last_two(ct), op.swap_last_two(b)
        ct_b, ct_a = _stack_times_matrix(op, *turned, a, transposed=1)
        return ct_a, op.swap_last_two(ct_b)
    return (
        op.unbroadcast(_times_transposed(op, ct, b), a),
        op.unbroadcast(_transposed_times(op, a, ct), b),
    )


def _stack_times_matrix(
    op: Op, ct: Tensor, x: Tensor, w: Tensor, *, transposed: int = 0
) -> tuple[Tensor, Tensor]:
    """Cotangents of X(…, k) W(k, n), or X W', as one Gemm each, the leading axes folded.

    Not by a Transpose of W, which the runtime would fold into a second copy of it.
    """
    flat_ct, flat_x = _fold(op, ct), _fold(op, x)
    flat = op.Gemm(flat_ct, w, transB=1 - transposed)
    ct_x = flat if x.rank == 2 else op.reshape(flat, op.dims(x))
    left, right = (flat_ct, flat_x) if transposed else (flat_x, flat_ct)
    return ct_x, op.Gemm(left, right, transA=1)


def _fold(op: Op, x: Tensor) -> Tensor:
    if x.rank == 2:
        return x
    *lead, last = op.dims(x)
    return op.reshape(x, [op.product(*lead), last])


def _times_transposed(op: Op, x: Tensor, w: Tensor) -> Tensor:
    """X W', where a parameter is not what gets transposed."""
    if w.value.is_initializer():
        return op.swap_last_two(op.MatMul(w, op.swap_last_two(x)))
    return op.MatMul(x, op.swap_last_two(w))


def _transposed_times(op: Op, w: Tensor, x: Tensor) -> Tensor:
    """W' X, where a parameter is not what gets transposed."""
    if w.value.is_initializer():
        return op.swap_last_two(op.MatMul(op.swap_last_two(x), w))
    return op.MatMul(op.swap_last_two(w), x)
