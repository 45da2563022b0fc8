"""Arithmetic on operands that broadcast against each other: results are summed back to them."""

from __future__ import annotations

from portgrad.autodiff.registry import broadcasting, vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op

Pair = tuple[Tensor, Tensor]


@broadcasting("Add")
def add(op: Op, ct: Tensor, a: Tensor, b: Tensor) -> Pair:
    return ct, ct


@broadcasting("Sub")
def sub(op: Op, ct: Tensor, a: Tensor, b: Tensor) -> Pair:
    return ct, -ct


@broadcasting("Mul")
def mul(op: Op, ct: Tensor, a: Tensor, b: Tensor) -> Pair:
    return ct * b, ct * a


@broadcasting("Div")
def div(op: Op, ct: Tensor, a: Tensor, b: Tensor, *, y: Tensor) -> Pair:
    ct_a = ct / b
    return ct_a, -(ct_a * y)


@broadcasting("Sum")
def sum_of(op: Op, ct: Tensor, operands: list[Tensor]) -> tuple[list[Tensor]]:
    return ([ct] * len(operands),)


@broadcasting("Mean")
def mean_of(op: Op, ct: Tensor, operands: list[Tensor]) -> tuple[list[Tensor]]:
    return ([ct / len(operands)] * len(operands),)


@vjp("Identity")
def identity(op: Op, ct: Tensor, input: Tensor) -> Tensor:
    return ct
