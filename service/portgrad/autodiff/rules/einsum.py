"""Einsum: the cotangent of an operand is again an Einsum, of ct with the other operands.

What that cannot say is said around it: a label that only this operand has was summed out, so its
axis is repeated; a label that the operand has twice picked a diagonal, so the rest is zero.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.errors import Unsupported

LETTERS = string.ascii_letters


@dataclass(frozen=True)
class Equation:
    """Labels of the operands' axes and of the output's, every axis labelled."""

    inputs: tuple[str, ...]
    output: str

    @classmethod
    def parse(cls, text: str, ranks: Sequence[int]) -> Equation:
        """Read an equation; the axes of an ellipsis get letters that it does not use."""
        left, arrow, right = text.replace(" ", "").partition("->")
        terms = left.split(",")
        spans = [
            rank - len(term.replace("...", "")) if "..." in term else 0
            for term, rank in zip(terms, ranks, strict=True)
        ]
        unused = [letter for letter in LETTERS if letter not in text]
        shared = "".join(unused[: max(spans)])
        if len(shared) < max(spans):
            raise Unsupported(f"the equation {text!r} leaves no letters for its ellipsis")
        inputs = [
            term.replace("...", shared[len(shared) - span :])
            for term, span in zip(terms, spans, strict=True)
        ]
        output = right if arrow else _implied(terms)
        return cls(tuple(inputs), output.replace("...", shared))


def _implied(terms: Sequence[str]) -> str:
    """The output that an equation without an arrow means: the ellipsis, then what occurs once."""
    labels = "".join(terms).replace(".", "")
    once = sorted(label for label in set(labels) if labels.count(label) == 1)
    if len({label.isupper() for label in once}) > 1:
        raise Unsupported(
            "runtimes disagree about the order of an implied output with small and capital letters",
            remedy="write the equation with its output, as in 'ij,jk->ik'",
        )
    return "".join(["..." if any("." in term for term in terms) else "", *once])


@vjp("Einsum")
def einsum(op: Op, ct: Tensor, inputs: list[Tensor], *, equation: str) -> tuple[list[Tensor]]:
    parsed = Equation.parse(equation, [op.rank(x) for x in inputs])
    return ([_cotangent(op, ct, inputs, parsed, index) for index in range(len(inputs))],)


def _cotangent(op: Op, ct: Tensor, inputs: list[Tensor], equation: Equation, index: int) -> Tensor:
    labels, x = equation.inputs[index], inputs[index]
    if x.static_shape is not None and 0 in x.static_shape:
        return op.zeros_like(x)  # onnxruntime's optimizer removes an Expand to no elements
    others = [i for i in range(len(inputs)) if i != index]
    terms = [equation.output, *(equation.inputs[i] for i in others)]
    own = "".join(dict.fromkeys(labels))
    found = "".join(label for label in own if any(label in term for term in terms))
    contracted = _contract(op, terms, [ct, *(inputs[i] for i in others)], found)
    missing = [axis for axis, label in enumerate(own) if label not in found]
    spread = op.unsqueeze(contracted, *missing)
    if len(own) < len(labels):
        spread = _on_diagonal(op, spread, own, labels, x)
    if spread.static_shape is not None and spread.static_shape == x.static_shape:
        return spread
    # An axis of size 1 meets longer ones of the same label on either side.
    return op.unbroadcast(op.Expand(spread, op.shape(x)), x)


def _contract(op: Op, terms: list[str], operands: list[Tensor], output: str) -> Tensor:
    """One Einsum; scalars are factors outside of it, which not every runtime takes inside."""
    scalars = [x for term, x in zip(terms, operands, strict=True) if not term]
    tensors = [x for term, x in zip(terms, operands, strict=True) if term]
    named = [term for term in terms if term]
    if not tensors:
        result, *scalars = scalars
    elif named == [output]:
        [result] = tensors
    else:
        result = op.Einsum(*tensors, equation=f"{','.join(named)}->{output}")
    for scalar in scalars:
        result = result * scalar
    return result


def _on_diagonal(op: Op, diagonal: Tensor, own: str, labels: str, x: Tensor) -> Tensor:
    """Put what belongs to equal indices on the diagonal of the axes that share a label."""
    later = [axis for axis, label in enumerate(labels) if label in labels[:axis]]
    spread = op.unsqueeze(diagonal, *later)
    nothing = op.scalar(0.0, diagonal)
    for axis in later:
        twin = labels.index(labels[axis])
        positions = [
            op.unsqueeze(op.iota(op.size(x, at)), *(a for a in range(len(labels)) if a != at))
            for at in (twin, axis)
        ]
        spread = op.Where(op.Equal(*positions), spread, nothing)
    return spread
