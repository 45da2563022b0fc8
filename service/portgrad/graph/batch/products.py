"""Matrix products."""

from __future__ import annotations

from portgrad.graph.batch.elementwise import broadcast
from portgrad.graph.batch.states import Along
from portgrad.graph.batch.step import Rules, Step

RULES = Rules()


@RULES("MatMul")
def matmul(step: Step) -> Along:
    """See `product`."""
    return Along(product(step, 0, 1))


@RULES("MatMulInteger")
def matmul_integer(step: Step) -> Along:
    """A product with one zero point for each operand."""
    _scalars(step, [2, 3])
    return Along(product(step, 0, 1))


@RULES("QLinearMatMul")
def qlinear_matmul(step: Step) -> Along:
    """A product with one scale and one zero point for each operand."""
    _scalars(step, [1, 2, 4, 5, 6, 7])
    return Along(product(step, 0, 3))


def _scalars(step: Step, operands: list[int]) -> None:
    for index in operands:
        if step.has(index) and (step.axis(index) is not None or step.rank(index) > 0):
            step.refuse(f"operand {index} is more than one number for all")


def product(step: Step, left: int, right: int) -> int:
    """The batch axis of left @ right.

    The examples may be matrices of a stack, rows of the left operand or columns of the right one,
    never the axis that is summed over.
    """
    axes = step.axis(left), step.axis(right)
    ranks = step.rank(left), step.rank(right)
    summed = ranks[0] - 1, max(ranks[1] - 2, 0)
    if axes[0] == summed[0] or axes[1] == summed[1]:
        step.refuse("it sums over the batch")
    lost = (ranks[0] == 1) + (ranks[1] == 1)
    rank = max(*ranks, 2) - lost
    if axes[1] is None and axes[0] == ranks[0] - 2:
        return rank - (1 if ranks[1] == 1 else 2)
    if axes[0] is None and axes[1] == ranks[1] - 1:
        return rank - 1
    if _inside(axes[0], ranks[0]) or _inside(axes[1], ranks[1]):
        step.refuse("it multiplies every example with every other")
    if 1 in ranks:
        return axes[0] if axes[0] is not None else step.batch(right)
    return broadcast(step, [left, right])


def _inside(axis: int | None, rank: int) -> bool:
    """Whether the batch lies in the matrix rather than in the stack."""
    return axis is not None and axis >= rank - 2


@RULES("Gemm")
def gemm(step: Step) -> Along:
    """Examples are rows of A or columns of B; C broadcasts to the product."""
    row, column = (1 if step.attribute("transA") else 0), (0 if step.attribute("transB") else 1)
    a, b = step.axis(0), step.axis(1)
    if (a, b) == (row, None):
        out = 0
    elif (a, b) == (None, column):
        out = 1
    else:
        step.refuse("its examples are neither rows of A nor columns of B")
    if step.has(2):
        _addend(step, out)
    return Along(out)


def _addend(step: Step, out: int) -> None:
    shape, axis = step.shape(2), step.axis(2)
    at = out - (2 - len(shape))  # where C holds the batch axis of the product
    if axis is not None and axis != at:
        step.refuse("C carries the batch on another axis")
    if axis is None and at >= 0 and shape[at] != 1:
        step.refuse("C spans the batch axis")


@RULES("Einsum")
def einsum(step: Step) -> Along:
    """The batch is one letter, in every operand that carries it, in no other, and in the output."""
    equation = str(step.attribute("equation")).replace(" ", "")
    terms, arrow, output = equation.partition("->")
    operands = terms.split(",")
    if not arrow or "." in equation:
        step.refuse("its equation leaves axes unnamed")
    letters = {
        operands[index][axis] for index in step.given() if (axis := step.axis(index)) is not None
    }
    if len(letters) != 1:
        step.refuse("its operands carry the batch under different letters")
    [letter] = letters
    expected = [int(step.axis(index) is not None) for index in step.given()]
    if [term.count(letter) for term in operands] != expected or output.count(letter) != 1:
        step.refuse("the batch's letter is summed over, repeated or shared")
    return Along(output.index(letter))
