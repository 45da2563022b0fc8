"""What arrives at one value, added up: slices and rows of it without the zeros around them.

Cotangents of slices are, side by side, that of the value. Each comes with zeros around it, to be
added up. Where they cover an axis they are concatenated, which is one pass over memory in place of
one for each slice to pad it and one to add it. Rows of a table are added where they belong.
"""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from portgrad.autodiff.infer import dims_of
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary
from portgrad.autodiff.vocabulary.indexing import HALF
from portgrad.graph.constants import constant_value


class Piece(NamedTuple):
    """What has zeros around it on one axis, of `size` elements, where it takes those from start to
    end.
    """

    axis: int
    size: int
    start: int
    end: int
    inner: Tensor
    padded: Tensor


def joined(op: Vocabulary, arrived: Sequence[Tensor]) -> list[Tensor]:
    """What has arrived at a value, with pieces that cover an axis made one; the total is the same.

    Args:
        op: the emitter of the graph.
        arrived: contributions of one shape.
    """
    found = [_piece(op, ct) for ct in arrived] if len(arrived) > 1 else [None]
    rest = [ct for ct, piece in zip(arrived, found, strict=True) if piece is None]
    for axis in sorted({piece.axis for piece in found if piece is not None}):
        pieces = [piece for piece in found if piece is not None and piece.axis == axis]
        whole = _whole(op, pieces)
        rest.extend([piece.padded for piece in pieces] if whole is None else [whole])
    return rest


def plus(op: Vocabulary, total: Tensor, ct: Tensor) -> Tensor:
    """The sum of two contributions.

    Where one is a few rows of a table, they are added to the other: a table of zeros around them
    would be as large again, as would be the sum of both.
    """
    for rest, other in ((total, ct), (ct, total)):
        if other.value in op.rows and other.dtype not in HALF:  # which is added in a wider table
            places, rows = op.rows[other.value]
            return op.shaped_as(op.add_at(rest, places, rows, 0), other)
    return op.add(total, ct)


def _whole(op: Vocabulary, pieces: Sequence[Piece]) -> Tensor | None:
    """The sum of pieces; None where they do not cover the axis, each place by one of them."""
    places: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
    for piece in pieces:
        places[piece.start, piece.end].append(piece.inner)
    ordered = sorted(places)
    first = pieces[0]
    ends = [0, *(end for _, end in ordered)]
    starts = [*(start for start, _ in ordered), first.size]
    if ends != starts or len(ordered) < 2:
        return None
    parts = [functools.reduce(op.add, places[place]) for place in ordered]
    return op.shaped_as(op.Concat(*parts, axis=first.axis), first.padded)


def _piece(op: Vocabulary, ct: Tensor) -> Piece | None:
    """A cotangent that `pad_to` made, on one axis and of known sizes; None for another."""
    node = ct.value.producer()
    if node is None or node.op_type != "Pad" or node.domain or "mode" in node.attributes:
        return None
    inner, pads, number, axes = itertools.islice((*node.inputs, None, None, None), 4)
    if inner is None or number is not None or axes is None:
        return None
    around, along, dims = constant_value(pads), constant_value(axes), dims_of(ct.value)
    if around is None or along is None or dims is None or along.size != 1 or around.min() < 0:
        return None
    axis = int(along[0]) % len(dims)
    size = dims[axis]
    if not isinstance(size, int):
        return None
    start, end = int(around[0]), size - int(around[1])
    return Piece(axis, size, start, end, op.wrap(inner), ct)
