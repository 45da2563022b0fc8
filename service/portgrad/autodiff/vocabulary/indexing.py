"""Words about positions: adding back to where elements were taken from, dilating, reversing.

Sums go through ScatterElements, never through ScatterND: onnxruntime spreads ScatterND's tuples
over its threads, and equal tuples then lose updates (measured with reduction "add" and 512 equal
rows of 768). ScatterElements runs on one thread and is exact. On flattened data with int64
positions it took 128 ms for 16384 rows of a (30000, 768) table, with the positions expanded to
the rows' shape on axis 0 it took 219 ms; for 512 rows both cost what the zeros do (10 ms). So the
rows of a large table are put by Gather: see `_spread_rows`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary.shapes import ShapeWords

_LARGE = 2**12  # elements of a table
_FIRST, _LAST = np.iinfo(np.int64).min, np.iinfo(np.int64).max
HALF = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16)


class IndexingWords(ShapeWords):
    """Words about positions."""

    def sizes(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        """The sizes of some axes as an int64 vector."""
        dims = self.dims(x)
        return self.vector([dims[axis] for axis in axes])

    def count(self, x: Tensor, start: int = 0, end: int | None = None) -> Tensor:
        """The product of the sizes of a range of axes, as an int64 vector of one element."""
        return self.vector([self.product(*self.dims(x)[start:end])])

    def around(self, x: Tensor, axis: Tensor, *, whole: int = 0) -> Tensor:
        """X as (all before an axis, the axis, all after it) where only the run can tell the axis.

        Args:
            x: of any rank.
            axis: one integer, counted from the end where negative.
            whole: how many last axes stay as they are.
        """
        sizes = self.Shape(x)
        place = self.positive(self.Reshape(self.as_int64(axis), [1]), self.Shape(sizes))
        rest = self.Sub(self.Shape(sizes), whole)
        before = self.ReduceProd(self.Slice(sizes, [0], place), [0], keepdims=1)
        after = self.ReduceProd(self.Slice(sizes, place + 1, rest), [0], keepdims=1)
        here = self.Gather(sizes, place)
        shape = self.Concat(before, here, after, self.Slice(sizes, rest, [_LAST]), axis=0)
        apart = self.Reshape(x, shape, allowzero=1)
        apart.value.shape = ir.Shape([None] * (3 + whole))
        return apart

    def split(self, x: Tensor, sizes: Tensor, axis: int, count: int) -> list[Tensor]:
        """X cut into parts of the given sizes."""
        if count == 1:
            return [x]
        parts = list(cast(tuple[Tensor, ...], self.Split(x, sizes, axis=axis, outputs=count)))
        for part in parts:
            dims = list(x.shape or ())
            if dims:
                dims[axis] = None
                part.value.shape = ir.Shape(dims)
        return parts

    def positive(self, indices: Tensor, size: Tensor) -> Tensor:
        """Indices (int64) counted from the front, where negative ones count from the end."""
        known = indices.constant
        if known is not None and not np.any(known < 0):
            return indices
        return self.Where(self.Less(indices, 0), indices + size, indices)

    def positions(self, x: Tensor) -> Tensor:
        """The position of each element of x in the flattened x, in the shape of x."""
        return self.reshape_like(self.iota(self.count(x)), x)

    def scatter(
        self, x: Tensor, indices: Tensor, updates: Tensor, axis: int, reduction: str
    ) -> Tensor:
        """ScatterElements, in float32 where 16-bit numbers are reduced."""
        # onnxruntime registers the kernel for them and refuses to reduce when it runs.
        if reduction == "none" or x.dtype not in HALF:
            return self.ScatterElements(x, indices, updates, axis=axis, reduction=reduction)
        wide, more = (self.Cast(t, to=ir.DataType.FLOAT) for t in (x, updates))
        reduced = self.ScatterElements(wide, indices, more, axis=axis, reduction=reduction)
        return self.cast_like(reduced, x)

    def add_rows(self, like: Tensor, rows: Tensor, updates: Tensor, width: Tensor) -> Tensor:
        """Zeros of a tensor's shape with updates added to rows of its elements.

        Args:
            like: the shape of the result; seen as rows of `width` successive elements.
            rows: which row each row of updates goes to, not negative; equal ones add up.
            updates: as many rows as `rows` has elements.
            width: an int64 vector of one element.
        """
        return self.reshape_like(self._flat_sums(self.count(like), rows, updates, width), like)

    def _flat_sums(self, count: Tensor, rows: Tensor, updates: Tensor, width: Tensor) -> Tensor:
        """So many zeros with updates added to rows of them."""
        positions = self.Reshape(rows, [-1])
        if not _is_one(width):
            first = self.Reshape(rows, [-1, 1]) * width
            positions = self.Reshape(first + self.iota(width), [-1])
        zeros = self.ConstantOfShape(count, value=np.zeros(1, updates.dtype.numpy()))
        return self.scatter(zeros, positions, self.Reshape(updates, [-1]), 0, "add")

    def add_back(self, like: Tensor, positions: Tensor, updates: Tensor) -> Tensor:
        """Zeros of a tensor's shape with each update added at a position of the flat tensor."""
        return self.add_rows(like, positions, updates, self.ints(1))

    def add_taken(self, like: Tensor, indices: Tensor, updates: Tensor, axis: int) -> Tensor:
        """The adjoint of Gather: updates added to where indices of an axis were taken from."""
        rank = self.rank(like)
        axis %= rank
        size = self.size(like, axis)
        rows = self.Reshape(self.positive(self.as_int64(indices), size), [-1])
        if axis == 0 and rank > 1 and math.prod(like.static_shape or ()) >= _LARGE:
            return self._spread_rows(like, rows, updates)
        lead = self.count(like, 0, axis)
        if not _is_one(lead):
            rows = self.Reshape(self.iota(lead) * size, [-1, 1]) + rows
        return self.add_rows(like, rows, updates, self.count(like, axis + 1, rank))

    def _spread_rows(self, like: Tensor, rows: Tensor, updates: Tensor) -> Tensor:
        """Zeros like a large table with updates added to rows, written once and by all threads.

        Equal rows are added up first, in a table of as many rows as there are updates, after one of
        zeros; each row of the result then is a row of that.
        """
        (size, *width), count = self.dims(like), self.size(rows, 0)
        nowhere = self.ConstantOfShape(self.vector([size]), value=np.zeros(1, np.int64))
        own = self.iota(count) + 1
        place = self.ScatterElements(nowhere, rows, own, axis=0, reduction="max")
        one = self.count(like, 1)
        few = self._flat_sums((count + 1) * one, self.Gather(place, rows), updates, one)
        table = self.Gather(self.reshape(few, [count + 1, *width]), place)
        self.rows[table.value] = rows, self.reshape(updates, [count, *width])
        return self.shaped_as(table, like)

    def add_along(self, like: Tensor, indices: Tensor, updates: Tensor, axis: int) -> Tensor:
        """The adjoint of GatherElements."""
        return self.scatter(self.zeros_like(like), indices, updates, axis, "add")

    def add_at(self, x: Tensor, indices: Tensor, updates: Tensor, axis: int) -> Tensor:
        """X with slices of an axis added at indices (a vector, not negative) of that axis."""
        column = [-1] + [1] * (self.rank(x) - axis - 1)
        everywhere = self.Expand(self.Reshape(indices, column), self.Shape(updates))
        return self.scatter(x, everywhere, updates, axis, "add")

    def add_tuples(
        self, like: Tensor, indices: Tensor, updates: Tensor, batch_dims: int = 0
    ) -> Tensor:
        """The adjoint of GatherND: updates added to where index tuples were taken from."""
        depth = self.known_size(indices, -1)
        if depth is None:
            return self.add_back(like, self.tuple_positions(like, indices, batch_dims), updates)
        rows = self._tuple_rows(like, indices, batch_dims, depth)
        return self.add_rows(like, rows, updates, self.count(like, batch_dims + depth))

    def tuple_positions(self, data: Tensor, indices: Tensor, batch_dims: int = 0) -> Tensor:
        """The position in the flattened data of each element that GatherND takes."""
        return self.GatherND(self.positions(data), indices, batch_dims=batch_dims)

    def _tuple_rows(self, data: Tensor, indices: Tensor, batch_dims: int, depth: int) -> Tensor:
        """Which row each index tuple names, where a row is all that tuples leave open."""
        row = self.index(0)
        for place in range(depth):
            size = self.size(data, batch_dims + place)
            index = self.positive(self.Gather(indices, self.index(place), axis=-1), size)
            row = index if place == 0 else row * size + index
        if batch_dims == 0:
            return row
        # Example i of the batch starts at row i * (rows of an example).
        lead = self.iota(self.count(data, 0, batch_dims))
        lead = lead * self.count(data, batch_dims, batch_dims + depth)
        inner = [1] * (self.rank(indices) - 1 - batch_dims)
        shape = self.Concat(self.sizes(data, range(batch_dims)), self.ints(*inner), axis=0)
        return self.Reshape(lead, shape, allowzero=1) + row

    def pad_to(self, x: Tensor, like: Tensor, axes: Sequence[int], before: Tensor) -> Tensor:
        """X with zeros around it, or cropped, on some axes, up to the shape of another tensor.

        Args:
            x: the middle.
            like: the shape of the result.
            axes: where the shapes may differ.
            before: an int64 vector: how many zeros come before x on each axis; cropped where < 0.
        """
        x = self.ranked(x, like)
        after = self.sizes(like, axes) - self.sizes(x, axes) - before
        pads = self.Concat(before, after, axis=0)
        if pads.constant is not None and not pads.constant.any():
            return x
        return self.shaped_as(self.Pad(x, pads, None, list(axes)), like)

    def reverse(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        """X with the elements of some axes in the opposite order."""
        if not axes:
            return x
        minus = [-1] * len(axes)
        return self.shaped_as(self.Slice(x, minus, [_FIRST] * len(axes), list(axes), minus), x)

    def dilate(self, x: Tensor, axis: int, step: int) -> Tensor:
        """X with step - 1 zeros after each element of an axis."""
        # Concat with zeros took a twentieth of the time of Pad on an innermost axis of size 1.
        one = self.Unsqueeze(x, [axis + 1])
        shape = self.Concat(
            self.sizes(x, range(axis + 1)),
            self.ints(step - 1),
            self.sizes(x, range(axis + 1, self.rank(x))),
            axis=0,
        )
        zeros = self.ConstantOfShape(shape, value=np.zeros(1, x.dtype.numpy()))
        spread = self.Concat(one, zeros, axis=axis + 1)
        factors = np.ones(self.rank(x), np.int64)
        factors[axis] = step
        return self.Reshape(spread, self.shape(x) * factors, allowzero=1)


def _is_one(count: Tensor) -> bool:
    return count.constant is not None and int(count.constant[0]) == 1
