"""Operators that treat every element by itself."""

from __future__ import annotations

from collections.abc import Sequence

from portgrad.graph.batch.states import Along, Shared, State
from portgrad.graph.batch.step import Rules, Step

RULES = Rules()

_OF_ONE = (
    "Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Cast Ceil Celu Clip Cos Cosh Dropout Elu Erf "
    "Exp Floor Gelu HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Log Mish Neg Not "
    "Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Swish Tan "
    "Tanh ThresholdedRelu"
).split()
_BROADCASTING = (
    "Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less "
    "LessOrEqual Max Mean Min Mod Mul Or PRelu Pow Sub Sum Where Xor"
).split()


def broadcast(step: Step, operands: Sequence[int]) -> int:
    """The batch axis of NumPy's broadcast of operands, of which at least one carries the batch.

    Axes meet counted from the last. Where the batch is, a shared operand has no axis or size 1.
    """
    carrying = {index: step.axis(index) for index in operands}
    from_last = {step.rank(i) - axis for i, axis in carrying.items() if axis is not None}
    if len(from_last) != 1:
        step.refuse("its operands carry the batch on different axes")
    [distance] = from_last
    for index, axis in carrying.items():
        shape = step.shape(index)
        if axis is None and len(shape) >= distance and shape[-distance] != 1:
            step.refuse(f"the shared operand {index} spans the batch axis")
    return max(step.rank(index) for index in operands) - distance


@RULES(*_OF_ONE)
def of_one(step: Step) -> Along:
    """The first operand's elements, one by one; the others are settings."""
    step.shared()
    return Along(step.batch(0))


@RULES(*_BROADCASTING)
def broadcasting(step: Step) -> Along:
    """Elements that meet by broadcasting."""
    return Along(broadcast(step, step.given()))


@RULES("CastLike")
def cast_like(step: Step) -> State:
    """Only the type of the second operand counts."""
    axis = step.axis(0)
    return Shared() if axis is None else Along(axis)


@RULES("QuantizeLinear", "DequantizeLinear")
def quantised(step: Step) -> Along:
    """One scale for all, or one for each position of an axis other than the batch's."""
    step.shared()
    axis, scales = step.batch(0), step.rank(1)
    if scales > 1 or (scales == 1 and step.axis_attribute(step.rank(0)) == axis):
        step.refuse("its scales run along the batch")
    return Along(axis)
