"""Appending nodes to a graph: `op.CamelCase(...)` emits exactly one node of that operator.

Equal nodes are emitted once and equal constants are stored once, so rules may ask for the same
shape or mask as often as they like. Names live under a prefix that the net does not use. Dtypes
and shapes are known as the graph grows (see `infer`).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import onnx
import onnx_ir as ir

from portgrad.autodiff import infer
from portgrad.autodiff.facts import facts
from portgrad.autodiff.folding import fold
from portgrad.autodiff.symbols import Symbols
from portgrad.autodiff.tensor import Operand, Tensor
from portgrad.graph.attributes import attribute
from portgrad.graph.constants import hold
from portgrad.graph.inside import with_inner
from portgrad.graph.taken import value_names

if TYPE_CHECKING:
    from portgrad.autodiff.vocabulary import Vocabulary

# The dtype of a Python number that meets no tensor of its own type parameter.
_LOOSE = {bool: np.dtype(np.bool_), int: np.dtype(np.int64), float: np.dtype(np.float32)}


@functools.lru_cache(maxsize=4096)
def schema_of(op_type: str, opset: int, domain: str = "") -> onnx.defs.OpSchema:
    """The schema of an operator at an opset; KeyError where there is none."""
    try:
        return onnx.defs.get_schema(op_type, opset, domain)
    except onnx.defs.SchemaError as error:
        raise KeyError(f"{domain}:{op_type} has no schema at opset {opset}") from error


class Emitter:
    """Appends nodes of the default domain to a graph.

    Args:
        graph: the graph that grows; its nodes must be in topological order.
        opset: the ai.onnx opset of the graph.
        fresh: names that nothing else in the model has; by default from the graph, the main one.

    Attributes:
        alike: for some of the values that are made, one that is known to have the same shape.
        symbols: what is known of the symbols of sizes.
        places: whether cotangents that the graph has already are only places for numbers, as those
            that a JVP is the derivative by.
        wanted: while a sweep runs, the values whose cotangents are wanted. Rules give all
            cotangents whatever is wanted; it may only tell which way to one is shorter.
        scaled: for some of the values that are made, a tensor and a factor for each channel
            (axis 1) whose product they are.
        rows: for some of the values that are made, places on their first axis and what was added to
            zeros there: each place may come more than once.
    """

    def __init__(
        self, graph: ir.Graph, opset: int, fresh: Callable[[str], str] | None = None
    ) -> None:
        self.graph = graph
        self.opset = opset
        self.fresh = fresh or _fresh_names(graph)
        self.alike: dict[ir.Value, ir.Value] = {}
        self.symbols = Symbols()
        self.places = False
        self.wanted: set[ir.Value] = set()
        self.scaled: dict[ir.Value, tuple[Tensor, Tensor]] = {}
        self.rows: dict[ir.Value, tuple[Tensor, Tensor]] = {}
        self._constants: dict[tuple[Any, ...], Tensor] = {}
        self._nodes: dict[tuple[Any, ...], tuple[Tensor, ...]] = {}

    def __getattr__(self, op_type: str) -> Callable[..., Tensor]:
        if not op_type[0].isupper():
            raise AttributeError(f"the vocabulary has no word {op_type!r}")
        schema = schema_of(op_type, self.opset)

        def emit(*operands: Operand, outputs: int = 1, **attributes: Any) -> Any:
            made = self.emit(schema, operands, attributes, outputs)
            return made[0] if outputs == 1 else made

        self.__dict__[op_type] = emit
        return emit

    def emit(
        self,
        schema: onnx.defs.OpSchema,
        operands: tuple[Operand, ...],
        attributes: dict[str, Any],
        outputs: int,
    ) -> tuple[Tensor, ...]:
        """Append one node, or find the equal one that is already there."""
        tensors = self._promote(schema, operands)
        folded = fold(schema.name, tensors, attributes)
        if folded is not None:
            return (self.constant(folded),)
        inputs = [t.value if t is not None else None for t in tensors]
        while inputs and inputs[-1] is None:  # the runtime's fusions can crash on an empty end
            inputs.pop()
        given = {name: value for name, value in attributes.items() if value is not None}
        key = (
            schema.domain,
            schema.name,
            *map(id, inputs),
            outputs,
            *map(_hashable, sorted(given.items()) if len(given) > 1 else given.items()),
        )
        if key not in self._nodes:
            self._nodes[key] = self._append(schema, inputs, given, outputs)
        return self._nodes[key]

    def call(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, ir.Attr],
        likes: Sequence[ir.Value],
    ) -> list[Tensor]:
        """Append a node with subgraphs, its outputs of the types and shapes of other values."""
        node = ir.Node("", op_type, inputs, attributes, num_outputs=len(likes))
        node.name = self.fresh(op_type)
        for value, like in zip(node.outputs, likes, strict=True):
            value.name = self.fresh(op_type)
            value.type = like.type
            value.shape = None if like.shape is None else ir.Shape(like.shape.dims)
        self.graph.append(node)
        return [self.wrap(value) for value in node.outputs]

    def constant(self, array: np.ndarray[Any, Any]) -> Tensor:
        """A constant of the graph, shared by equal dtype, shape and bytes."""
        array = np.ascontiguousarray(array).reshape(array.shape)
        key = (array.dtype, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self.wrap(hold(self.graph, self.fresh("constant"), array))
        return self._constants[key]

    def output_of(self, node: ir.Node, schema: onnx.defs.OpSchema, index: int) -> ir.Value:
        """An output of a node of the graph, made to exist where the net leaves it out."""
        if index >= len(node.outputs):
            node.resize_outputs(index + 1)
        value = node.outputs[index]
        if not value.name:
            value.name = self.fresh(f"{schema.name}_{schema.outputs[index].name}")
            infer.annotate_output(node, schema, index)
        return value

    def alias(self, x: Tensor, name: str) -> ir.Value:
        """The same value once more under a name of the caller's choice."""
        [copy] = self._append(schema_of("Identity", self.opset), [x.value], {}, 1)
        copy.value.name = name
        return copy.value

    def wrap(self, value: ir.Value) -> Tensor:
        """A value of the graph as rules see it."""
        return Tensor(cast("Vocabulary", self), value)

    def _append(
        self,
        schema: onnx.defs.OpSchema,
        inputs: list[ir.Value | None],
        given: dict[str, Any],
        outputs: int,
    ) -> tuple[Tensor, ...]:
        attributes = {name: attribute(name, value) for name, value in given.items()}
        node = ir.Node(schema.domain, schema.name, inputs, attributes, num_outputs=outputs)
        name = self.fresh(schema.name)
        node.name = name
        for index, value in enumerate(node.outputs):
            value.name = name if index == 0 else f"{name}:{index}"
        infer.annotate(node, schema)
        self.graph.append(node)
        return tuple(self.wrap(value) for value in node.outputs)

    def _promote(
        self, schema: onnx.defs.OpSchema, operands: tuple[Operand, ...]
    ) -> list[Tensor | None]:
        """Operands as tensors: a bare number takes the dtype of a tensor of its type parameter."""
        dtypes = [x.dtype if isinstance(x, Tensor) else None for x in operands]
        bare = [k for k, x in enumerate(operands) if x is not None and dtypes[k] is None]
        made: list[Any] = list(operands)
        for index in bare:
            kind = formal_type(schema, index)
            same = (d for k, d in enumerate(dtypes) if d and formal_type(schema, k) == kind)
            known = next(same, None)
            made[index] = self.constant(
                _array(operands[index], None if known is None else known.numpy())
            )
        return made


def formal_type(schema: onnx.defs.OpSchema, index: int) -> str:
    """The type parameter of an operand, the last formal one standing for all variadic ones."""
    types = facts(schema).operands
    return types[min(index, len(types) - 1)]


def _array(operand: Any, dtype: np.dtype[Any] | None) -> np.ndarray[Any, Any]:
    if isinstance(operand, np.ndarray):
        return operand
    if isinstance(operand, list | tuple):
        return np.asarray(operand, np.int64)
    return np.asarray(operand, dtype if dtype is not None else _LOOSE[type(operand)])


def _hashable(item: tuple[str, Any]) -> tuple[Any, ...]:
    name, value = item
    if isinstance(value, np.ndarray):
        return (name, value.dtype.name, value.shape, value.tobytes())
    return (name, repr(value))  # 1 and 1.0, 0.0 and -0.0 are different attributes


def _fresh_names(graph: ir.Graph) -> Callable[[str], str]:
    """A function from the stem of a name to a name that nothing in the model has."""
    prefix, count = free_prefix(graph), itertools.count(1)
    return lambda stem: f"{prefix}{next(count)}_{stem}"


def free_prefix(graph: ir.Graph) -> str:
    """What no name in a model begins with."""
    names = value_names(graph) | {str(node.name) for node in with_inner(graph)}
    prefix, order = "portgrad/", 0
    while any(name.startswith(prefix) for name in names):
        order += 1
        prefix = f"portgrad{order}/"
    return prefix
