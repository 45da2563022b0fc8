"""com.microsoft: operators that move elements, most of them older forms of standard ones."""

from __future__ import annotations

from typing import Any

from portgrad.autodiff.registry import body, vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.graph.schemas.contrib import DOMAIN


@body("Pad", domain=DOMAIN)
def pad(op: Op, data: Tensor, pads: Tensor, value: Tensor | None, *, mode: str) -> Tensor:
    number = None if value is None else op.reshape(value, [])
    return op.Pad(data, op.Reshape(pads, [-1]), number, mode=mode)


@body("Trilu", domain=DOMAIN)
def trilu(op: Op, x: Tensor, k: Tensor | None, *, upper: int) -> Tensor:
    return op.Trilu(x, None if k is None else op.reshape(k, []), upper=upper)


@body("ExpandDims", domain=DOMAIN)
def expand_dims(op: Op, x: Tensor, axis: Tensor) -> Tensor:
    return op.Unsqueeze(x, op.reshape(op.as_int64(axis), [1]))


@body("GatherND", domain=DOMAIN)
def gather_nd(op: Op, data: Tensor, indices: Tensor) -> Tensor:
    return op.GatherND(data, op.as_int64(indices))


@body("UnfoldTensor", domain=DOMAIN)
def unfold_tensor(op: Op, input: Tensor, *, dim: int, size: int, step: int) -> Tensor:
    rank = op.rank(input)
    axis = dim % rank
    count = op.Div(op.size(input, axis) - size, step) + 1
    starts = op.unsqueeze(op.iota(count) * step, 1)
    windows = op.Gather(input, starts + op.iota(op.ints(size)), axis=axis)
    return op.Transpose(windows, perm=[i for i in range(rank + 1) if i != axis + 1] + [axis + 1])


@body("Range", domain=DOMAIN)
def range_(op: Op, start: Tensor, limit: Tensor, delta: Tensor | None) -> Tensor:
    step = op.scalar(1, start) if delta is None else op.reshape(delta, [])
    return op.Range(op.reshape(start, []), op.reshape(limit, []), step)


@body("Unique", domain=DOMAIN, kink="of equal elements, the first")
def unique(op: Op, x: Tensor) -> tuple[Tensor, ...]:
    made: Any = op.Unique(x, sorted=0, outputs=4)
    first, _, inverse, counts = made
    return first, inverse, counts


@body("SampleOp", domain=DOMAIN)
def sample_op(op: Op, x: Tensor) -> Tensor:
    return op.Identity(x)


@vjp("NGramRepeatBlock", domain=DOMAIN, kink="0 where a score becomes minus infinity")
def ngram_repeat_block(
    op: Op, ct: Tensor, input_ids: Tensor, scores: Tensor, *, scores_out: Tensor
) -> tuple[None, Tensor]:
    return None, op.Where(op.IsInf(scores_out, detect_positive=0), op.scalar(0.0, ct), ct)
