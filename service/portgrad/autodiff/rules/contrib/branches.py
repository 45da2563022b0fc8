"""com.microsoft: layers over several streams of one width: grouped (…, C, H) or flat (…, C H).

Arithmetic is in float32, as in the kernels.
"""

from __future__ import annotations

from portgrad.autodiff.registry import body
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.graph.schemas.contrib import DOMAIN


def _grouped(op: Op, x: Tensor, count: int) -> Tensor:
    """(…, C H) as (…, C, H); a count of 0 says that x is grouped already."""
    if not count:
        return x
    *lead, whole = op.dims(x)
    return op.reshape(x, [*lead, count, op.quotient(whole, count)])


def _gates(op: Op, gates: Tensor, streams: Tensor) -> Tensor:
    """(…, C), (…, C, 1), (…, C, H) or (…, C H) in a shape that broadcasts to (…, C, H)."""
    if op.rank(gates) == op.rank(streams):
        return gates
    *lead, count, _ = op.dims(streams)
    return op.reshape(gates, [*lead, count, op.quotient(op.dims(gates)[-1], count)])


@body("BranchwiseRMSNorm", domain=DOMAIN)
def branchwise_rms_norm(
    op: Op, x: Tensor, scale: Tensor | None, *, epsilon: float, num_branches: int
) -> Tensor:
    branches = _grouped(op, op.widen(x)[0], num_branches)
    normal = branches * op.inverse_rms(branches, [-1], epsilon)
    if scale is not None:  # one of (H), (C, H) and (C H)
        width = op.dims(branches)[-1]
        rows = op.quotient(op.product(*op.dims(scale)), width)
        normal = normal * op.reshape(op.widen(scale)[0], [rows, width])
    return op.cast_like(op.reshape_like(normal, x), x)


@body("HyperConnectionPreMix", domain=DOMAIN)
def hyper_connection_pre_mix(
    op: Op, streams: Tensor, pre_mix: Tensor, *, num_branches: int, reduction_scale: float
) -> Tensor:
    wide, gates = op.widen(streams, pre_mix)
    grouped = _grouped(op, wide, num_branches)
    mixed = op.reduce_sum(grouped * _gates(op, gates, grouped), [-2], keepdims=False)
    return op.cast_like(mixed * reduction_scale, streams)


@body("HyperConnectionPostMix", domain=DOMAIN)
def hyper_connection_post_mix(
    op: Op,
    streams: Tensor,
    block_output: Tensor,
    post_mix: Tensor,
    stream_mix: Tensor | None,
    *,
    num_branches: int,
) -> Tensor:
    wide, block, gates = op.widen(streams, block_output, post_mix)
    kept = _grouped(op, wide, num_branches)
    added = _gates(op, gates, kept) * op.unsqueeze(block, -2)
    if stream_mix is not None:
        kept = op.swap_last_two(op.widen(stream_mix)[0]) @ kept
    return op.cast_like(op.reshape_like(kept + added, streams), streams)
