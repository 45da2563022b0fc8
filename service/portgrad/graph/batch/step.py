"""One node under analysis: what a rule may ask about it, and how it refuses."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeAlias

import numpy as np
import onnx
import onnx_ir as ir

from portgrad.graph.batch.counts import Dim
from portgrad.graph.batch.follow import Follower
from portgrad.graph.batch.states import (
    Along,
    Entries,
    Numbered,
    Refused,
    Shared,
    Size,
    Sizes,
    State,
    Vector,
    as_entries,
    has_batch,
)
from portgrad.graph.constants import constant_value

MOST_ENTRIES = 1024  # a larger integer tensor is data, no shape


class Step:
    """A node with the states of its operands. Shapes are those of a single example.

    Attributes:
        fixed: whether the file fixes the batch size at 1, so that what it writes as 1 may stand
            for it. Where it leaves the size open, a 1 is a 1.
        opset: the version of ai.onnx.
    """

    def __init__(
        self,
        node: ir.Node,
        states: Sequence[State | None],
        follower: Follower,
        opset: int,
        *,
        fixed: bool,
    ) -> None:
        self.node = node
        self.states = states
        self.fixed = fixed
        self._follower = follower
        self.opset = opset

    def refuse(self, because: str) -> NoReturn:
        """End the analysis."""
        where = self.node.name or self.node.outputs[0].name
        raise Refused(f"{self.node.op_type} {where}: {because}", where)

    def has(self, index: int) -> bool:
        """Whether an operand is given."""
        return index < len(self.states) and self.states[index] is not None

    def given(self) -> list[int]:
        """The operands that are given."""
        return [index for index in range(len(self.states)) if self.has(index)]

    def axis(self, index: int) -> int | None:
        """The batch axis of an operand; None where it is shared or not given."""
        state = self.states[index] if index < len(self.states) else None
        if isinstance(state, Sizes):
            self.refuse("the batch size is used as a number")
        if isinstance(state, Numbered):
            self.refuse("the number of an example is used as a number")
        return state.axis if isinstance(state, Along) else None

    @property
    def packed(self) -> bool:
        """Whether operands have their examples on an axis with other elements."""
        return any(isinstance(state, Along) and not state.plain for state in self.states)

    def place(self, index: int) -> Along:
        """Where an operand has its examples."""
        state = self.states[index]
        if not isinstance(state, Along):
            self.refuse(f"operand {index} does not carry the batch")
        return state

    @property
    def sized(self) -> bool:
        """Whether an operand is computed from the batch size."""
        return any(isinstance(state, Sizes) for state in self.states)

    def number(self, index: int) -> Numbered:
        """Where an operand has the number of each example, and nothing else."""
        state = self.states[index]
        if not isinstance(state, Numbered) or state.kind != "number":
            self.refuse("the number of an example is used as a number")
        return state

    def batch(self, index: int) -> int:
        """The batch axis of an operand that must carry the batch."""
        axis = self.axis(index)
        if axis is None:
            self.refuse(f"operand {index} does not carry the batch")
        return axis

    def batch_at(self, index: int, axis: int) -> None:
        """Refuse an operand that carries the batch elsewhere, or not at all."""
        if self.batch(index) != axis:
            self.refuse(f"operand {index} does not carry the batch on axis {axis}")

    def shared(self, first: int = 1) -> None:
        """Refuse if an operand from `first` on carries the batch."""
        if any(self.axis(index) is not None for index in range(first, len(self.states))):
            self.refuse("an operand that configures the operator differs between examples")

    def shape(self, index: int) -> tuple[Dim, ...]:
        """The shape of an operand for one example."""
        value = self.node.inputs[index]
        if value is None or value.shape is None:
            self.refuse(f"the rank of operand {index} is not known")
        return dims(value.shape)

    def rank(self, index: int) -> int:
        """The rank of an operand."""
        return len(self.shape(index))

    def output_shape(self, index: int = 0) -> tuple[Dim, ...]:
        """The shape of an output for one example."""
        shape = self.node.outputs[index].shape
        if shape is None:
            self.refuse("the rank of its output is not known")
        return dims(shape)

    def attribute(self, name: str) -> Any:
        """An attribute, or the schema's default, or None."""
        if name in self.node.attributes:
            return self.node.attributes[name].value
        return _default(self.node.op_type, self.opset, name)

    def axis_attribute(self, rank: int, name: str = "axis") -> int:
        """An attribute that names an axis, counted from the front."""
        return int(self.attribute(name)) % rank

    def entries(self, index: int) -> Entries:
        """The integers of a small operand, as far as they are known."""
        state, value = self.states[index], self.node.inputs[index]
        if isinstance(state, Sizes):
            return state.entries
        if isinstance(state, Along | Numbered) or value is None:
            self.refuse(f"operand {index} differs between examples")
        if isinstance(state, Shared) and state.entries is not None:
            return state.entries
        # Floats are asked for only as scales, which fix a shape and so are no parameters.
        constant = constant_value(value, allow_parameters=True)
        if constant is not None and constant.size <= MOST_ENTRIES:
            return as_entries(constant)
        return self._unknown(index)

    def _unknown(self, index: int) -> Entries:
        shape = self.shape(index)
        sizes = [size for size in shape if isinstance(size, int)]
        if len(sizes) < len(shape) or np.prod(sizes) > MOST_ENTRIES:
            self.refuse(f"operand {index} is not known")
        return np.full(sizes, None, np.object_)

    def vector(self, index: int) -> Vector:
        """The entries of an operand of rank 1 (or of a single number)."""
        return list(self.entries(index).flat)

    def ints(self, index: int) -> list[int]:
        """The numbers of an operand that must be known and independent of the batch."""
        entries = self.entries(index)
        if has_batch(entries) or any(entry is None for entry in entries.flat):
            self.refuse(f"operand {index} is not constant")
        return [int(entry) for entry in entries.flat]

    def axes(self, index: int, rank: int) -> list[int]:
        """A constant operand that names axes, counted from the front."""
        return [axis % rank for axis in self.ints(index)]

    def follow(self, index: int, axis: int) -> None:
        """Make an operand carry the batch on `axis`: a shared one is repeated."""
        if self.axis(index) is not None:
            return self.batch_at(index, axis)
        value = self.node.inputs[index]
        if not self.fixed:  # ScatterElements, for one, takes it for the first example's
            self.refuse(f"operand {index} is shared where each example needs its own")
        if value is None or self.shape(index)[axis] != 1 or self.packed:
            self.refuse(f"operand {index} is shared and has no size 1 on axis {axis}")
        return self._replace(index, self._follower.expand(value, axis, self.node))

    def rewrite(self, index: int, entries: Sequence[int | Size | None]) -> None:
        """Replace an integer vector by one of the same type; N is the batch size."""
        value = self.node.inputs[index]
        if value is not None and value.dtype == ir.DataType.INT32:
            self._replace(index, self._follower.constant(np.array(entries, np.int32)))
        else:
            self._replace(index, self._follower.vector(entries, self.node))

    def set_ints(self, name: str, values: list[int]) -> None:
        """Set an attribute."""
        self.node.attributes[name] = ir.AttrInt64s(name, values)

    def _replace(self, index: int, value: ir.Value) -> None:
        self.node.replace_input_with(index, value)


Result: TypeAlias = State | list[State]
Rule: TypeAlias = Callable[[Step], Result]


class Rules(dict[str, Rule]):
    """Operators by name, each with the condition under which examples stay independent."""

    def __call__(self, *op_types: str) -> Callable[[Rule], Rule]:
        """Register a rule for operators."""

        def register(rule: Rule) -> Rule:
            self.update(dict.fromkeys(op_types, rule))
            return rule

        return register


def dims(shape: ir.Shape) -> tuple[Dim, ...]:
    """Sizes by axis: a number, a symbol, or None."""
    return tuple(size if isinstance(size, int) else size.value for size in shape)


@functools.lru_cache(maxsize=1024)
def _default(op_type: str, opset: int, name: str) -> Any:
    attribute = onnx.defs.get_schema(op_type, opset).attributes[name]
    if not attribute.default_value.type:
        return None
    value = onnx.helper.get_attribute_value(attribute.default_value)
    return value.decode() if isinstance(value, bytes) else value
