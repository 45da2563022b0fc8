"""Softmax and its logarithm: both rules read the output alone."""

from __future__ import annotations

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


@vjp("Softmax", kink="0 where every element is minus infinity and a Where replaces the result")
def softmax(
    op: Op, ct: Tensor, input: Tensor, *, output: Tensor, axis: int, chosen: bool
) -> Tensor:
    output = _without_nan(op, output) if chosen else output
    return output * (ct - op.reduce_sum(ct * output, [axis]))


def weighs_without_nan(op: Op, condition: Tensor, x: Tensor, y: Tensor, output: Tensor) -> bool:
    """Whether a Where puts 0 in the place of a softmax's NaN, for products alone, as in attention.

    The rule of Softmax multiplies the cotangent by 0 there, so that it need not be 0 itself. It is
    a number unless the product is none either.
    """
    test, maker, zero = condition.value.producer(), y.value.producer(), op.fixed(x)
    if test is None or maker is None or zero is None or zero.any():
        return False
    kinds = (test.op_type, maker.op_type) == ("IsNaN", "Softmax") and test.inputs[0] is y.value
    users = {node.op_type for node, _ in output.value.uses()}
    return kinds and users <= {"MatMul", "Transpose"}


def _without_nan(op: Op, output: Tensor) -> Tensor:
    """Attention so leaves out the NaN of rows that are masked whole. NaN times 0 would be NaN."""
    return op.Where(op.IsNaN(output), op.scalar(0.0, output), output)


@vjp("LogSoftmax", kink="0 where every element is minus infinity and a Where replaces the result")
def log_softmax(
    op: Op, ct: Tensor, input: Tensor, *, output: Tensor, axis: int, chosen: bool
) -> Tensor:
    output = _without_nan(op, output) if chosen else output
    return ct - op.Exp(output) * op.reduce_sum(ct, [axis])
