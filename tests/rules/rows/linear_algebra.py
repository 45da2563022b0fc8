"""Products of matrices."""

from __future__ import annotations

import numpy as np

from support.rig import Row

_RNG = np.random.default_rng(1)


def _random(*shape: int) -> np.ndarray:
    return _RNG.standard_normal(shape)


def _gemm(id: str, c: tuple[int, ...] | None, **attributes: float) -> Row:
    a = (3, 4) if attributes.get("transA") else (4, 3)
    b = (2, 3) if attributes.get("transB") else (3, 2)
    extra = [] if c is None else [_random(*c)]
    return Row("Gemm", [_random(*a), _random(*b), *extra], attributes, id=id)


ROWS = [
    _gemm("bare", None),
    _gemm("full", (4, 2)),
    _gemm("row", (2,)),
    _gemm("row-of-rank-2", (1, 2)),
    _gemm("column", (4, 1)),
    _gemm("one", (1,)),
    _gemm("scalar", ()),
    _gemm("alpha-beta", (4, 2), alpha=0.5, beta=-2.0),
    _gemm("trans-a", (2,), transA=1),
    _gemm("trans-b", (2,), transB=1, alpha=2.0),
    _gemm("trans-both", (4, 1), transA=1, transB=1, beta=3.0),
    _gemm("beta-0", (4, 2), beta=0.0),
    Row("MatMul", [_random(3), _random(3)], id="1d-1d"),
    Row("MatMul", [_random(3), _random(3, 2)], id="1d-2d"),
    Row("MatMul", [_random(4, 3), _random(3)], id="2d-1d"),
    Row("MatMul", [_random(4, 3), _random(3, 2)], id="2d-2d"),
    Row("MatMul", [_random(2, 5, 4, 3), _random(3, 2)], id="stack-by-matrix"),
    Row("MatMul", [_random(4, 3), _random(2, 5, 3, 2)], id="matrix-by-stack"),
    Row("MatMul", [_random(3), _random(2, 3, 4)], id="1d-by-stack"),
    Row("MatMul", [_random(2, 4, 3), _random(3)], id="stack-by-1d"),
    Row("MatMul", [_random(2, 4, 3), _random(2, 3, 5)], id="stacks"),
    Row("MatMul", [_random(2, 1, 4, 3), _random(5, 3, 2)], id="broadcast-stacks"),
    Row("MatMul", [_random(1, 4, 3), _random(2, 3, 2)], id="broadcast-left"),
    Row("MatMul", [_random(2, 4, 3), _random(1, 3, 2)], {}, id="stack-weight", constants=(1,),
        wrt=(0,)),
    Row("MatMul", [_random(1, 4, 3), _random(2, 3, 2)], {}, id="weight-by-stack", constants=(0,),
        wrt=(1,)),
    Row("MatMul", [_random(0, 4, 3), _random(3, 2)], id="no-batch"),
]  # fmt: skip
