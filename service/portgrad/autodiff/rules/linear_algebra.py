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
