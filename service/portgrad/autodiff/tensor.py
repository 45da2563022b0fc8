"""A value of the graph under construction, with arithmetic. Rules see nothing else of the IR."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np
import onnx_ir as ir

from portgrad.errors import Unsupported
from portgrad.graph.constants import constant_value

if TYPE_CHECKING:
    from portgrad.autodiff.vocabulary import Vocabulary

Dim: TypeAlias = int | str | None
Operand: TypeAlias = Union["Tensor", float, int, bool, np.ndarray[Any, Any], list[int], None]

FLOATING = frozenset(
    {ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16}
)


def may_carry(value: ir.Value) -> bool:
    """Whether a cotangent may exist at a value: whether it holds floating tensors.

    That is a floating tensor, a sequence of them, or an optional of either. A cotangent lives in
    its primal's space: that of a sequence has an array shaped like each element. Nothing is known
    of a value without a type: False.
    """
    kind: Any = value.type
    while isinstance(kind, ir.SequenceType | ir.OptionalType):
        kind = kind.elem_type
    return isinstance(kind, ir.TensorType) and kind.dtype in FLOATING


def dtype_of(value: ir.Value) -> ir.DataType:
    """The type of a value's elements; Unsupported where nothing tells it."""
    if value.dtype is None:
        raise Unsupported(f"the type of {value.name!r} is not known before the net runs")
    return value.dtype


class Tensor:
    """A value of the graph, bound to the emitter that can compute with it."""

    __slots__ = ("op", "value")

    def __init__(self, op: Vocabulary, value: ir.Value) -> None:
        self.op = op
        self.value = value

    @property
    def name(self) -> str:
        """The value's name in the graph."""
        return str(self.value.name)

    @property
    def dtype(self) -> ir.DataType:
        """The element type; Unsupported where nothing tells it."""
        return dtype_of(self.value)

    @property
    def floating(self) -> bool:
        """Whether a cotangent can exist."""
        return may_carry(self.value)

    @property
    def shape(self) -> tuple[Dim, ...] | None:
        """Sizes by axis: a number, a symbol, or None where nothing is known; None without rank."""
        shape = self.value.shape
        if shape is None:
            return None
        return tuple([d if isinstance(d, int) else d.value for d in shape.dims])

    @property
    def rank(self) -> int | None:
        """The number of axes, None where it is not known."""
        return None if self.value.shape is None else len(self.value.shape)

    @property
    def static_shape(self) -> tuple[int, ...] | None:
        """The shape where every size is a number, else None."""
        shape = self.shape
        if shape is None or not all(isinstance(d, int) for d in shape):
            return None
        return tuple(int(d) for d in shape)  # type: ignore[arg-type]

    @property
    def constant(self) -> np.ndarray[Any, Any] | None:
        """The value where it is known when compiling (integers and Constant nodes), else None."""
        return constant_value(self.value)

    def __repr__(self) -> str:
        return f"Tensor({self.name}: {self.value.dtype} {self.shape})"

    def __add__(self, other: Operand) -> Tensor:
        return self.op.Add(self, other)

    def __radd__(self, other: Operand) -> Tensor:
        return self.op.Add(other, self)

    def __sub__(self, other: Operand) -> Tensor:
        return self.op.Sub(self, other)

    def __rsub__(self, other: Operand) -> Tensor:
        return self.op.Sub(other, self)

    def __mul__(self, other: Operand) -> Tensor:
        return self.op.Mul(self, other)

    def __rmul__(self, other: Operand) -> Tensor:
        return self.op.Mul(other, self)

    def __truediv__(self, other: Operand) -> Tensor:
        return self.op.Div(self, other)

    def __rtruediv__(self, other: Operand) -> Tensor:
        return self.op.Div(other, self)

    def __matmul__(self, other: Operand) -> Tensor:
        return self.op.MatMul(self, other)

    def __pow__(self, other: Operand) -> Tensor:
        return self.op.Pow(self, other)

    def __neg__(self) -> Tensor:
        return self.op.Neg(self)

    def __gt__(self, other: Operand) -> Tensor:
        return self.op.Greater(self, other)

    def __ge__(self, other: Operand) -> Tensor:
        return self.op.GreaterOrEqual(self, other)

    def __lt__(self, other: Operand) -> Tensor:
        return self.op.Less(self, other)

    def __le__(self, other: Operand) -> Tensor:
        return self.op.LessOrEqual(self, other)
