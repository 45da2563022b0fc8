"""Dtype and shape of a node that is being emitted: exact dtypes, shapes as far as they are cheap.

Only the operators that rules emit are listed. An operator that is not listed, or a shape that
depends on data, leaves the shape unknown: rules then compute with it at run time. (Measured:
onnx's own inference costs about a hundred times as much for each node.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from portgrad.autodiff.facts import facts
from portgrad.errors import Unsupported
from portgrad.graph.constants import constant_value

Dims = list[int | str | None]

BROADCASTING = frozenset(
    "Add Sub Mul Div Pow Mod Max Min Sum Mean And Or Xor Equal Greater GreaterOrEqual Less "
    "LessOrEqual Where PRelu BitShift BitwiseAnd BitwiseOr BitwiseXor".split()
)
SHAPED_AS_FIRST = frozenset(
    "Abs Acos Acosh Asin Asinh Atan Atanh Cast CastLike Ceil Celu Clip Cos Cosh CumProd CumSum "
    "DequantizeLinear Elu Erf Exp Floor Gelu HardSigmoid HardSwish Hardmax Identity IsInf IsNaN "
    "LeakyRelu Log LogSoftmax Mish Neg Not Reciprocal Relu ReverseSequence Round ScatterElements "
    "ScatterND Selu SequenceAt Shrink Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Tan "
    "Tanh TensorScatter ThresholdedRelu Trilu".split()
)
_WINDOWED = frozenset("Conv ConvTranspose AveragePool MaxPool LpPool Resize Pad Slice Tile".split())


def annotate(node: ir.Node, schema: onnx.defs.OpSchema) -> None:
    """Set dtype and shape of a node's outputs."""
    for index, value in enumerate(node.outputs):
        value.type = type_of(node, schema, index)
    dims = _shape(node)
    if dims is not None:
        for value in node.outputs:
            value.shape = ir.Shape(dims)


def complete(graph: ir.Graph) -> None:
    """Set shapes that onnx's own inference leaves open, such as the rank of a Split's parts."""
    for node in graph:
        value = node.outputs[0]
        if value.shape is None and node.domain == "":
            dims = shape_of(node)
            for part in node.outputs if node.op_type == "Split" else [value]:
                part.shape = as_shape(dims)


def shape_of(node: ir.Node) -> Dims | None:
    """The shape of a node's first output as far as it follows from those of its operands."""
    try:
        return _shape(node)
    except (ArithmeticError, LookupError, ValueError):
        return None  # a node that does not fit its operands is its rule's to refuse


def annotate_output(node: ir.Node, schema: onnx.defs.OpSchema, index: int) -> None:
    """Set dtype and shape of one further output of a node."""
    value = node.outputs[index]
    value.type = type_of(node, schema, index)
    if node.op_type in {"LayerNormalization", "SimplifiedLayerNormalization"}:
        value.shape = _statistics_shape(node)
    if node.op_type in {"MaxPool", "Dropout", "TopK"}:  # Indices and mask lie beside the values
        value.shape = node.outputs[0].shape
    if node.op_type == "SoftmaxCrossEntropyLoss" and node.inputs[0] is not None:  # log_prob
        value.shape = node.inputs[0].shape


def type_of(node: ir.Node, schema: onnx.defs.OpSchema, index: int) -> ir.TypeProtocol:
    """The type of an output: that of a tensor unless operator or operand say otherwise."""
    first = node.inputs[0].type if node.inputs and node.inputs[0] is not None else None
    container = _CONTAINERS.get(node.op_type)
    if container is not None and first is not None:
        return container(first)
    if node.op_type == "SequenceEmpty":
        dtype = ir.DataType(int_of(node, "dtype", ir.DataType.FLOAT))
        return ir.SequenceType(ir.TensorType(dtype))
    return ir.TensorType(_dtype(node, schema, index))


def _element(kind: Any) -> ir.TypeProtocol:
    """What a sequence or optional holds; a tensor stands for itself."""
    return kind if isinstance(kind, ir.TensorType) else kind.elem_type


# The type of the output by that of the first operand, for operators of sequences and optionals.
_CONTAINERS: dict[str, Callable[[Any], ir.TypeProtocol]] = {
    "SequenceConstruct": ir.SequenceType,
    "SplitToSequence": ir.SequenceType,
    "SequenceInsert": lambda kind: kind,
    "SequenceErase": lambda kind: kind,
    "SequenceAt": _element,
    "ConcatFromSequence": _element,
    "Optional": ir.OptionalType,
    "OptionalGetElement": _element,
    "Identity": lambda kind: kind,
}


def _dtype(node: ir.Node, schema: onnx.defs.OpSchema, index: int) -> ir.DataType:
    if node.op_type == "Cast":
        return ir.DataType(node.attributes["to"].as_int())
    if node.op_type == "DequantizeLinear" and "output_dtype" not in node.attributes:
        return _given_dtype(node, 1)
    if node.op_type == "ConstantOfShape":
        value = node.attributes.get("value")
        return value.as_tensor().dtype if value is not None else ir.DataType.FLOAT
    known = facts(schema)
    place = min(index, len(known.outputs) - 1)
    last = len(known.operands) - 1
    for position, operand in enumerate(node.inputs):
        same = known.operands[min(position, last)] == known.outputs[place]
        if same and operand is not None and operand.dtype is not None:
            return operand.dtype
    if known.stashes:
        return ir.DataType(int_of(node, "stash_type", ir.DataType.FLOAT))
    [only] = schema.outputs[place].types  # a type that no operand fixes has exactly one choice
    return _named(only)


def _given_dtype(node: ir.Node, index: int) -> ir.DataType:
    operand = node.inputs[index]
    if operand is None or operand.dtype is None:
        raise Unsupported(f"the type of an operand of {node.op_type} is not known")
    return operand.dtype


def _statistics_shape(node: ir.Node) -> ir.Shape | None:
    dims = dims_of(node.inputs[0])
    if dims is None:
        return None
    axis = int_of(node, "axis", -1) % len(dims)
    return ir.Shape([*dims[:axis], *[1] * (len(dims) - axis)])


def _named(type_string: str) -> ir.DataType:
    name = type_string.removeprefix("tensor(").removesuffix(")")
    return ir.DataType[name.upper()]


def dims_of(value: ir.Value | None) -> Dims | None:
    """A value's shape as numbers, symbols and None; None without rank."""
    shape = None if value is None else value.shape
    if shape is None:
        return None
    return [d if isinstance(d, int) else d.value for d in shape.dims]


def as_shape(dims: Dims | None) -> ir.Shape | None:
    """The shape again, as values have it."""
    return None if dims is None else ir.Shape(dims)


def info(value: ir.Value, dims: Dims | None) -> onnx.ValueInfoProto:
    """What onnx is told of a value: its name, its type, and the shape that is given."""
    return ir.serde.serialize_value(
        ir.Value(name=value.name, type=value.type, shape=as_shape(dims))
    )


def broadcast(shapes: Sequence[Dims | None]) -> Dims | None:
    """NumPy's broadcasting; an axis whose size cannot be told is None."""
    if any(shape is None for shape in shapes):
        return None
    known = [shape for shape in shapes if shape is not None]
    rank = max(len(shape) for shape in known)
    padded: list[Dims] = [[*[1] * (rank - len(shape)), *shape] for shape in known]
    return [_broadcast_dim({sizes[axis] for sizes in padded}) for axis in range(rank)]


def _broadcast_dim(sizes: set[int | str | None]) -> int | str | None:
    wide = sizes - {1}
    if not wide:
        return 1
    numbers = [size for size in wide if isinstance(size, int)]
    if numbers:
        return numbers[0]
    return wide.pop() if len(wide) == 1 else None


def _shape(node: ir.Node) -> Dims | None:
    kind = node.op_type
    if kind in BROADCASTING:
        return broadcast([dims_of(value) for value in node.inputs])
    first = dims_of(node.inputs[0]) if node.inputs else None
    if kind in SHAPED_AS_FIRST:
        return first
    if kind in _WINDOWED:
        return None if first is None else [None] * len(first)
    if kind.startswith("Reduce") or kind in {"ArgMax", "ArgMin"}:
        return _reduced(node, first)
    special = _SPECIAL.get(kind)
    return special(node, first) if special is not None else None


def int_of(node: ir.Node, name: str, default: int) -> int:
    """An attribute that is a number."""
    return node.attributes[name].as_int() if name in node.attributes else default


def _constant(node: ir.Node, index: int) -> np.ndarray[Any, Any] | None:
    if index >= len(node.inputs):
        return None
    operand = node.inputs[index]
    return None if operand is None else constant_value(operand)


def _reduced(node: ir.Node, first: Dims | None) -> Dims | None:
    if first is None:
        return None
    keep = bool(int_of(node, "keepdims", 1))
    if node.op_type.startswith("Arg"):
        axes = [int_of(node, "axis", 0)]
    elif len(node.inputs) > 1 and node.inputs[1] is not None:
        constant = _constant(node, 1)
        if constant is None:
            return [None] * len(first) if keep else None
        if constant.size == 0 and int_of(node, "noop_with_empty_axes", 0):
            return first
        axes = [int(axis) for axis in constant] or list(range(len(first)))
    elif int_of(node, "noop_with_empty_axes", 0):
        return first
    else:
        axes = list(range(len(first)))
    gone = {axis % len(first) for axis in axes} if first else set()
    if keep:
        return [1 if axis in gone else size for axis, size in enumerate(first)]
    return [size for axis, size in enumerate(first) if axis not in gone]


def _transposed(node: ir.Node, first: Dims | None) -> Dims | None:
    if first is None:
        return None
    perm = node.attributes["perm"].as_ints() if "perm" in node.attributes else None
    order = perm if perm is not None else range(len(first))[::-1]
    return [first[axis] for axis in order]


def _reshaped(node: ir.Node, first: Dims | None) -> Dims | None:
    target = _constant(node, 1)
    if target is None:
        length = dims_of(node.inputs[1])
        return [None] * length[0] if length and isinstance(length[0], int) else None
    if int_of(node, "allowzero", 0):
        return [None if size < 0 else int(size) for size in target]
    copied = [first[axis] if first and axis < len(first) else None for axis in range(len(target))]
    return [
        int(size) if size > 0 else copied[axis] if size == 0 else None
        for axis, size in enumerate(target)
    ]


def _shaped_by(index: int) -> Callable[[ir.Node, Dims | None], Dims | None]:
    """The shape is the value of an operand."""

    def shape(node: ir.Node, first: Dims | None) -> Dims | None:
        target = _constant(node, index)
        length = dims_of(node.inputs[index])
        dims: Dims | None
        if target is not None:
            dims = [int(size) for size in target]
        elif length and isinstance(length[0], int):
            dims = [None] * length[0]
        else:
            return None
        return broadcast([first, dims]) if index == 1 else dims

    return shape


def _unsqueezed(node: ir.Node, first: Dims | None) -> Dims | None:
    axes = _constant(node, 1)
    if first is None or axes is None:
        return None
    rank = len(first) + len(axes)
    new, rest = {int(axis) % rank for axis in axes}, iter(first)
    return [1 if axis in new else next(rest) for axis in range(rank)]


def _squeezed(node: ir.Node, first: Dims | None) -> Dims | None:
    axes = _constant(node, 1)
    if first is None or axes is None:
        return None
    gone = {int(axis) % len(first) for axis in axes}
    return [size for axis, size in enumerate(first) if axis not in gone]


def _concatenated(node: ir.Node, first: Dims | None) -> Dims | None:
    shapes = [dims_of(value) for value in node.inputs]
    if first is None or any(shape is None for shape in shapes):
        return None if first is None else [None] * len(first)
    axis = int_of(node, "axis", 0) % len(first)
    sizes = [shape[axis] for shape in shapes if shape is not None]
    numbers = [size for size in sizes if isinstance(size, int)]
    whole = sum(numbers) if len(numbers) == len(sizes) else None
    return [whole if index == axis else size for index, size in enumerate(first)]


def _gathered(node: ir.Node, first: Dims | None) -> Dims | None:
    indices = dims_of(node.inputs[1])
    if first is None or indices is None:
        return None
    axis = int_of(node, "axis", 0) % len(first)
    return [*first[:axis], *indices, *first[axis + 1 :]]


def _multiplied(node: ir.Node, first: Dims | None) -> Dims | None:
    second = dims_of(node.inputs[1])
    if first is None or second is None:
        return None
    left = [1, *first] if len(first) == 1 else first
    right = [*second, 1] if len(second) == 1 else second
    batch = broadcast([left[:-2], right[:-2]])
    if batch is None:
        return None
    rows = [] if len(first) == 1 else [left[-2]]
    columns = [] if len(second) == 1 else [right[-1]]
    return [*batch, *rows, *columns]


def _gemm(node: ir.Node, first: Dims | None) -> Dims | None:
    second = dims_of(node.inputs[1])
    if first is None or second is None:
        return None
    return [first[int_of(node, "transA", 0)], second[1 - int_of(node, "transB", 0)]]


def _contracted(node: ir.Node, _first: Dims | None) -> Dims | None:
    """Of an equation that names its output and every axis, as rules write it."""
    terms, arrow, output = node.attributes["equation"].as_string().partition("->")
    shapes = [dims_of(value) for value in node.inputs]
    if not arrow or "." in terms or any(shape is None for shape in shapes):
        return None
    sizes: dict[str, set[int | str | None]] = {}
    for term, shape in zip(terms.split(","), shapes, strict=True):
        for label, size in zip(term, shape or [], strict=True):
            sizes.setdefault(label, set()).add(size)
    return [_broadcast_dim(sizes[label]) for label in output]


def _split(node: ir.Node, first: Dims | None) -> Dims | None:
    if first is None:
        return None
    axis = int_of(node, "axis", 0) % len(first)
    return [None if index == axis else size for index, size in enumerate(first)]


def _shape_vector(node: ir.Node, first: Dims | None) -> Dims | None:
    if first is None:
        return [None]
    start = int_of(node, "start", 0)
    end = int_of(node, "end", len(first))
    return [len(range(len(first))[start:end])]


_SPECIAL: dict[str, Callable[[ir.Node, Dims | None], Dims | None]] = {
    "Transpose": _transposed,
    "Reshape": _reshaped,
    "Expand": _shaped_by(1),
    "ConstantOfShape": _shaped_by(0),
    "Unsqueeze": _unsqueezed,
    "Squeeze": _squeezed,
    "Concat": _concatenated,
    "Gather": _gathered,
    "GatherElements": lambda node, _: dims_of(node.inputs[1]),
    "Split": _split,
    "MatMul": _multiplied,
    "Gemm": _gemm,
    "Einsum": _contracted,
    "STFT": lambda _node, first: [None if first is None else first[0], None, None, 2],
    "Shape": _shape_vector,
    "Size": lambda _node, _first: [],
    "Range": lambda _node, _first: [None],
    "NonZero": lambda _node, first: [None if first is None else max(len(first), 1), None],
}
