"""Dropout: the identity when a net is used, a mask when it is trained."""

from __future__ import annotations

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op

RATIO = 0.5  # of a node that names none


@vjp("Dropout")
def dropout(
    op: Op,
    ct: Tensor,
    data: Tensor,
    ratio: Tensor | None,
    training_mode: Tensor | None,
    *,
    mask: Tensor,
) -> tuple[Tensor, None, None]:
    if training_mode is None:
        return ct, None, None
    known = training_mode.constant
    if known is not None and not known.reshape(()):
        return ct, None, None
    share = op.scalar(RATIO, ct) if ratio is None else op.cast_like(ratio, ct)
    kept = ct * op.mask(mask, ct) / (1.0 - share)
    return op.Where(training_mode, kept, ct) if known is None else kept, None, None
