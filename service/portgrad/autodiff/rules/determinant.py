"""Det: each element's cofactor, the determinant of what is left without its row and column.

Cofactors need no inverse, so they are right at singular matrices too, to every order; they cost
n^5 products and n^4 numbers, which ends at matrices of a few dozen rows.
"""

from __future__ import annotations

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.errors import Unsupported

MOST_ROWS = 64  # minors of 64 MiB for each matrix in float32


@vjp("Det", cost="n⁵ products and n⁴ numbers for a matrix of n rows; 64 rows are the most")
def det(op: Op, ct: Tensor, x: Tensor) -> Tensor:
    rank, known = op.rank(x), op.known_size(x, -1)
    if known is not None and known > MOST_ROWS:
        raise Unsupported(
            f"the matrices have {known} rows; cofactors are built for up to {MOST_ROWS}"
        )
    size = op.size(x, -1)
    row, column = (op.unsqueeze(op.iota(size), axis) for axis in (1, 0))
    kept = op.unsqueeze(op.iota(size - 1), 0)
    others = op.Where(op.Less(kept, row), kept, kept + 1)  # (n, n - 1): all rows but one
    blocks = op.Gather(op.Gather(x, others, axis=rank - 2), others, axis=rank)
    lead = range(rank - 2)
    minors = op.Det(op.Transpose(blocks, perm=[*lead, *(rank - 2 + k for k in (0, 2, 1, 3))]))
    whole = op.unsqueeze(ct, -2, -1)
    even = op.Equal(op.Mod(row + column, 2), 0)
    return op.shaped_as(minors * op.Where(even, whole, -whole), x)
