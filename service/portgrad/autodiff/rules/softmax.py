"""Softmax and its logarithm: both rules read the output alone."""

from __future__ import annotations

import onnx_ir as ir

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


@vjp("Softmax", kink="0 where every element is minus infinity and a Where replaces the result")
def softmax(
    op: Op, ct: Tensor, input: Tensor, *, output: Tensor, axis: int, node: ir.Node
) -> Tensor:
    if _chosen_from(node.outputs[0]):
        output = op.Where(op.IsNaN(output), op.scalar(0.0, output), output)
    return output * (ct - op.reduce_sum(ct * output, [axis]))


def _chosen_from(value: ir.Value) -> bool:
    """Whether a Where takes the value: attention so replaces the NaN of rows that are masked whole.

    They have no cotangent then, but NaN times 0 would be NaN.
    """
    users = [usage.node for usage in value.uses()]
    casts = [user.outputs[0] for user in users if user.op_type in {"Cast", "CastLike"}]
    return any(user.op_type == "Where" for user in users) or any(map(_chosen_from, casts))


@vjp("LogSoftmax")
def log_softmax(op: Op, ct: Tensor, input: Tensor, *, output: Tensor, axis: int) -> Tensor:
    return ct - op.Exp(output) * op.reduce_sum(ct, [axis])
