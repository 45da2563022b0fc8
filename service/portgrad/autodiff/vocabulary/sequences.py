"""Words about sequences and optionals: zeros and sums in their spaces, parts, sizes of elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx_ir as ir

from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary.recurrences import RecurrenceWords


class SequenceWords(RecurrenceWords):
    """Words about values that are no tensors, and about all that a cotangent may be."""

    def zeros_like(self, x: Tensor) -> Tensor:
        """Zeros in the space of x: as many of the same shapes in a sequence."""
        if self.is_sequence(x):
            return self.each(lambda op, element: op.zeros_like(element), x)
        if self.is_optional(x):
            return self.where_present(lambda op, inner: op.zeros_like(inner), x)
        return super().zeros_like(x)

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        """The sum of two cotangents of one value."""
        if self.is_sequence(a):
            return self.each(lambda op, one, other: op.add(one, other), a, b)
        if self.is_optional(a):
            return self.where_present(lambda op, one, other: op.add(one, other), a, b)
        return self.Add(a, b)

    def each(self, function: Callable[..., Tensor], *sequences: Tensor) -> Tensor:
        """The sequence of `function(op, *elements)` for the elements at each position."""

        def step(op: Any, at: Tensor, made: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            elements = [op.SequenceAt(sequence, at) for sequence in sequences]
            return [op.SequenceInsert(made[0], function(op, *elements))], []

        [made], _ = self.loop(self.SequenceLength(sequences[0]), step, [self.empty(sequences[0])])
        return made

    def where_present(self, function: Callable[..., Tensor], *optionals: Tensor) -> Tensor:
        """The optional of `function(op, *elements)`, absent where the first one is."""

        def present(op: Any) -> list[Tensor]:
            return [op.Optional(function(op, *map(op.OptionalGetElement, optionals)))]

        there = self.OptionalHasElement(optionals[0])
        return self.branch(there, present, lambda op: [op.Identity(optionals[0])])[0]

    def is_sequence(self, x: Tensor) -> bool:
        """Whether x is a sequence."""
        return isinstance(x.value.type, ir.SequenceType)

    def is_optional(self, x: Tensor) -> bool:
        """Whether x is an optional, of a tensor or a sequence."""
        return isinstance(x.value.type, ir.OptionalType)

    def empty(self, like: Tensor) -> Tensor:
        """A sequence without elements."""
        return self.SequenceEmpty(dtype=like.dtype)

    def add_element(self, sequence: Tensor, position: Tensor, x: Tensor) -> Tensor:
        """A sequence with a tensor added to one of its elements."""
        position = self.from_start(sequence, position)
        total = self.Add(self.SequenceAt(sequence, position), x)
        return self.SequenceInsert(self.SequenceErase(sequence, position), total, position)

    def from_start(self, sequence: Tensor, position: Tensor) -> Tensor:
        """A position that may count from the end of a sequence, counted from its start."""
        known = position.constant
        if known is not None and known.size == 1 and known.item() >= 0:
            return position
        position = self.as_int64(position)
        return self.Where(position < 0, position + self.SequenceLength(sequence), position)

    def extend(self, sequence: Tensor, more: Tensor) -> Tensor:
        """A sequence with the elements of another one behind its own."""

        def step(op: Any, at: Tensor, made: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            return [op.SequenceInsert(made[0], op.SequenceAt(more, at))], []

        return self.loop(self.SequenceLength(more), step, [sequence])[0][0]

    def stretch(self, sequence: Tensor, start: Tensor, count: Tensor) -> Tensor:
        """Some elements of a sequence that follow one another, as a sequence."""

        def step(op: Any, at: Tensor, made: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            return [op.SequenceInsert(made[0], op.SequenceAt(sequence, at + start))], []

        return self.loop(count, step, [self.empty(sequence)])[0][0]

    def sizes_along(self, sequence: Tensor, axis: int) -> Tensor:
        """The size of each element of a sequence along an axis, as an int64 vector."""

        def step(op: Any, at: Tensor, _: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            element = op.SequenceAt(sequence, at)
            return [], [op.Reshape(op.size(element, axis), op.ints())]

        return self.loop(self.SequenceLength(sequence), step, [])[1][0]
