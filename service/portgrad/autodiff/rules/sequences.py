"""Sequences and optionals. The cotangent of a sequence is a sequence of as many elements.

A position may count from the end: -1 is the last element, and inserting at -1 is in front of it.
"""

from __future__ import annotations

import onnx_ir as ir

from portgrad.autodiff.registry import Cotangent, Element, body, vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op

# -- sequences -----------------------------------------------------------------------------------


@vjp("SequenceConstruct")
def sequence_construct(op: Op, ct: Tensor, inputs: list[Tensor]) -> tuple[list[Tensor]]:
    parts = [op.SequenceAt(ct, place) for place in range(len(inputs))]
    return ([op.shaped_as(part, x) for part, x in zip(parts, inputs, strict=True)],)


@vjp("SequenceAt")
def sequence_at(
    op: Op, ct: Tensor, input_sequence: Tensor, position: Tensor
) -> tuple[Cotangent, None]:
    return Element(position, ct), None


@vjp("SequenceInsert")
def sequence_insert(
    op: Op, ct: Tensor, input_sequence: Tensor, tensor: Tensor, position: Tensor | None
) -> tuple[Tensor, Tensor, None]:
    place: Tensor | None = None
    if position is not None:
        # Counted from the end of the longer sequence, it is one further away.
        place = op.Where(op.Less(position, 0), position - 1, position)
    at = -1 if place is None else place
    return op.SequenceErase(ct, place), op.shaped_as(op.SequenceAt(ct, at), tensor), None


@vjp("SequenceErase")
def sequence_erase(
    op: Op, ct: Tensor, input_sequence: Tensor, position: Tensor | None
) -> tuple[Tensor, None]:
    place = None if position is None else op.from_start(input_sequence, position)
    erased = op.SequenceAt(input_sequence, -1 if place is None else place)
    return op.SequenceInsert(ct, op.zeros_like(erased), place), None


@vjp("SplitToSequence")
def split_to_sequence(
    op: Op, ct: Tensor, input: Tensor, split: Tensor | None, *, axis: int, keepdims: int
) -> tuple[Tensor, None]:
    new_axis = int(split is None and not keepdims)
    if op.known_size(input, axis):
        whole = op.ConcatFromSequence(ct, axis=axis, new_axis=new_axis)
    else:
        [whole] = op.branch(
            op.Greater(op.SequenceLength(ct), 0),
            lambda op: [op.ConcatFromSequence(ct, axis=axis, new_axis=new_axis)],
            lambda op: [op.zeros_like(input)],  # there is nothing to put together
        )
    return op.shaped_as(whole, input), None


@vjp("ConcatFromSequence")
def concat_from_sequence(
    op: Op, ct: Tensor, input_sequence: Tensor, *, axis: int, new_axis: int
) -> Tensor:
    if new_axis:
        return op.SplitToSequence(ct, None, axis=axis, keepdims=0)
    return op.SplitToSequence(ct, op.sizes_along(input_sequence, axis), axis=axis)


@body("SequenceMap")
def sequence_map(
    op: Op, input_sequence: Tensor, additional_inputs: list[Tensor], *, body: ir.Graph
) -> list[Tensor]:
    def step(op: Op, at: Tensor, made: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        given = (input_sequence, *additional_inputs)
        arguments = [op.SequenceAt(x, at) if op.is_sequence(x) else x for x in given]
        results = map(op.wrap, op.inline(body, arguments)[1])
        return [op.SequenceInsert(m, x) for m, x in zip(made, results, strict=True)], []

    empty = [op.SequenceEmpty(dtype=value.dtype) for value in body.outputs]
    return op.loop(op.SequenceLength(input_sequence), step, empty)[0]


# -- optionals -----------------------------------------------------------------------------------


@vjp("Optional")
def optional(op: Op, ct: Tensor, input: Tensor | None) -> Tensor | None:
    return None if input is None else op.OptionalGetElement(ct)


@vjp("OptionalGetElement")
def optional_get_element(op: Op, ct: Tensor, input: Tensor) -> Tensor:
    return op.Optional(ct) if op.is_optional(input) else ct
