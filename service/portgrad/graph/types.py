"""The types of ports and tensors: their names for users, and which of them carry gradients."""

from __future__ import annotations

from functools import cache

import onnx_ir as ir

Shape = tuple[int | str | None, ...]

DIFFERENTIABLE = frozenset(
    {ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.FLOAT, ir.DataType.DOUBLE}
)


def type_reason(value: ir.Value) -> str | None:
    """Why no value of this type has a gradient, or None."""
    kind = value.type
    if kind is None:
        return "its type is not known"
    if not isinstance(kind, ir.TensorType):
        return f"its type is {type_name(kind)}, and only dense tensors have gradients"
    if kind.dtype in DIFFERENTIABLE:
        return None
    if kind.dtype.is_floating_point():
        return (
            f"{type_name(kind)} stores numbers and does not compute with them: "
            "gradients exist in float16, bfloat16, float32 and float64"
        )
    return f"its values are {_plural(kind.dtype)}, which have no gradient"


def type_name(kind: ir.TypeProtocol | None) -> str:
    """A type as users read it: `float32`, `sequence(float32)`, `optional(sequence(int64))`."""
    match kind:
        case ir.TensorType():
            return dtype_name(kind.dtype)
        case ir.SparseTensorType():
            return f"sparse({dtype_name(kind.dtype)})"
        case ir.SequenceType():
            return f"sequence({type_name(kind.elem_type)})"
        case ir.OptionalType():
            return f"optional({type_name(kind.elem_type)})"
        case _:
            return "unknown"


@cache  # NumPy puts a name together each time that it is asked
def dtype_name(dtype: ir.DataType) -> str:
    """The name that NumPy or ml_dtypes gives a dtype; `string` for strings."""
    return "string" if dtype is ir.DataType.STRING else str(dtype.numpy())


def _plural(dtype: ir.DataType) -> str:
    if dtype is ir.DataType.BOOL:
        return "booleans"
    if dtype is ir.DataType.STRING:
        return "strings"
    return f"{'integers' if dtype.is_integer() else 'complex numbers'} ({dtype_name(dtype)})"


def shape_of(value: ir.Value) -> Shape | None:
    """A tensor's shape: ints, symbols as strings, None for a size that nothing is known of."""
    if value.shape is None or not isinstance(value.type, ir.TensorType):
        return None
    return tuple(dim if isinstance(dim, int) else _symbol(dim.value) for dim in value.shape)


def _symbol(name: str | None) -> str | None:
    """A symbol of the net's. onnx calls each size that it knows nothing of `unk__N`."""
    return None if name is None or name.startswith("unk__") else name


def element_bytes(dtype: ir.DataType | None) -> float:
    """What an element takes; of text, whose length is not known, the least."""
    if dtype is None or dtype in {ir.DataType.UNDEFINED, ir.DataType.STRING}:
        return 1.0
    return dtype.bitwidth / 8
