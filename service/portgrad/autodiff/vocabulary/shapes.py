"""Words about shapes: asking for them, filling them, moving between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.emitter import Emitter
from portgrad.autodiff.tensor import Tensor
from portgrad.errors import Unsupported
from portgrad.graph.constants import constant_value

Size: TypeAlias = int | Tensor  # a number, or an int64 vector of one element at run time

_LONGEST_IOTA = 2**16  # of a constant; longer ones are made when the net runs
_MOST_PLACES = 2**24


class ShapeWords(Emitter):
    """Words about shapes."""

    def few(self, *counts: int) -> int:
        """The product of counts that attributes name; Unsupported where no memory holds so many."""
        total = math.prod(counts)
        if total > _MOST_PLACES:
            raise Unsupported(f"its attributes ask for {total} places, more than {_MOST_PLACES}")
        return total

    def rank(self, x: Tensor) -> int:
        """The number of axes; Unsupported where the net leaves it open."""
        if x.rank is None:
            raise Unsupported(f"the rank of {x.name!r} is not known before the net runs")
        return x.rank

    def shape(self, x: Tensor) -> Tensor:
        """The shape as an int64 vector: a constant where every size is known.

        Where ports tell the sizes, they are asked of these: a value that is asked for its shape is
        kept until then. Beside a symbol, a 0 may be onnx's word for a product that it cannot tell.
        """
        sizes = [self._told(size) for size in x.shape or ()]
        static = x.static_shape is not None
        if x.shape is None or (not static and any(size is None or size == 0 for size in sizes)):
            return self.Shape(x)
        return self.vector([size for size in sizes if size is not None])

    def _told(self, size: int | str | None) -> Size | None:
        """A size that is a number or that a port tells; None where the value must tell it."""
        if isinstance(size, int):
            return size
        found = self.symbols.of(size)
        if found is None:
            return None
        port, axis = self.symbols.ports[found[1]]
        one = self.Shape(self.wrap(port), start=axis, end=axis + 1)
        return one if found[0] == 1 else one * found[0]

    def size(self, x: Tensor, axis: int) -> Tensor:
        """The size of one axis as an int64 vector of one element."""
        if x.rank is None:
            return self.Shape(x, start=axis, end=axis + 1 if axis != -1 else None)
        axis %= x.rank
        told = None if x.shape is None else self._told(x.shape[axis])
        if told is None:
            return self.Shape(x, start=axis, end=axis + 1)
        return self.ints(told) if isinstance(told, int) else told

    def dims(self, x: Tensor) -> list[Size]:
        """The size of each axis: a number where it is known when compiling."""
        known = x.shape if x.shape is not None else [None] * self.rank(x)
        return [
            size if isinstance(size, int) else self.size(x, axis) for axis, size in enumerate(known)
        ]

    def product(self, *sizes: Size) -> Size:
        """The product of sizes."""
        total: Size = math.prod(size for size in sizes if isinstance(size, int))
        for size in sizes:
            if isinstance(size, Tensor):
                total = size if isinstance(total, int) and total == 1 else size * total
        return total

    def quotient(self, size: Size, count: Size) -> Size:
        """A size over another, rounded down."""
        if isinstance(size, int) and isinstance(count, int):
            return size // max(count, 1)
        return self.Div(self.vector([size]), self.vector([count]))

    def vector(self, sizes: Sequence[Size]) -> Tensor:
        """Sizes as one int64 vector."""
        known = [size for size in sizes if isinstance(size, int)]
        if len(known) == len(sizes):
            return self.ints(*known)
        parts = [size if isinstance(size, Tensor) else self.ints(size) for size in sizes]
        return self.Concat(*parts, axis=0)

    def reshape(self, x: Tensor, sizes: Sequence[Size]) -> Tensor:
        """X's elements in a shape of the given sizes."""
        known = [size if isinstance(size, int) else None for size in sizes]
        if x.static_shape is not None and list(x.static_shape) == known:
            return x
        reshaped = self.Reshape(x, self.vector(sizes), allowzero=1)
        reshaped.value.shape = ir.Shape(known)
        return reshaped

    def fold(self, x: Tensor, sizes: Sequence[Size], rest: Sequence[Size]) -> Tensor:
        """X's elements in a shape of the given sizes, none of them 0, and one axis for the rest.

        How long that is the run finds out, so that nothing is computed for it.
        """
        known = [size for size in rest if isinstance(size, int)]
        if len(known) == len(rest):
            return self.reshape(x, [*sizes, math.prod(known)])
        folded = self.Reshape(x, self.vector([*sizes, -1]), allowzero=1)
        folded.value.shape = ir.Shape([s if isinstance(s, int) else None for s in (*sizes, None)])
        return folded

    def known_size(self, x: Tensor, axis: int) -> int | None:
        """The size of an axis where it is known when compiling."""
        size = None if x.shape is None else x.shape[axis]
        return size if isinstance(size, int) else None

    def fixed(self, x: Tensor) -> np.ndarray[Any, Any] | None:
        """The value of a hyper-parameter where the net fixes it, floating ones included."""
        return constant_value(x.value, allow_parameters=True)

    def ints(self, *values: int) -> Tensor:
        """An int64 vector."""
        return self.constant(np.asarray(values, np.int64))

    def index(self, value: int) -> Tensor:
        """A 0-d int64."""
        return self.constant(np.asarray(value, np.int64))

    def as_int64(self, x: Tensor) -> Tensor:
        """Integers as int64."""
        return x if x.dtype == ir.DataType.INT64 else self.Cast(x, to=ir.DataType.INT64)

    def scalar(self, number: float, like: Tensor) -> Tensor:
        """A 0-d constant of another tensor's dtype."""
        return self.constant(np.asarray(number, like.dtype.numpy()))

    def full_like(self, x: Tensor, number: float) -> Tensor:
        """A tensor of x's shape and dtype filled with one number."""
        value = np.full(1, number, x.dtype.numpy())
        return self.shaped_as(self.ConstantOfShape(self.shape(x), value=value), x)

    def ones_shaped(self, shape: Tensor, like: Tensor) -> Tensor:
        """Ones of another tensor's dtype in its shape, as a vector tells that."""
        value = np.ones(1, like.dtype.numpy())
        return self.shaped_as(self.ConstantOfShape(shape, value=value), like)

    def zeros_like(self, x: Tensor) -> Tensor:
        """Zeros of x's shape and dtype."""
        return self.full_like(x, 0)

    def ones_like(self, x: Tensor) -> Tensor:
        """Ones of x's shape and dtype."""
        return self.full_like(x, 1)

    def times_slope(self, ct: Tensor, slope: Tensor) -> Tensor:
        """Ct · slope for a slope that may be infinite or no number: 0 where ct is 0 all the same.

        Linear in ct elsewhere, at 0 too, so that it can be differentiated by ct.
        """
        nothing = self.And(self.Equal(ct, 0.0), self.IsNaN(ct * slope))
        return ct * self.Where(nothing, self.scalar(0.0, slope), slope)

    def slope_of(self, ct: Tensor, factor: Tensor) -> Tensor | None:
        """The slope, if this product is that of `times_slope`: it takes another ct as it did this.

        What the factor is depends on ct, of which nothing is known where ct is only a place for
        one, as in a JVP.
        """
        match _made_of(factor.value, "Where"):
            case [nothing, _, slope] if slope is not None:
                pass
            case _:
                return None
        match _made_of(nothing, "And"):
            case [none, bad]:
                [product] = _made_of(bad, "IsNaN") or [None]
                same = _made_of(none, "Equal")[:1] == [ct.value]
                same = same and _made_of(product, "Mul") == [ct.value, slope]
                return self.wrap(slope) if same else None
        return None

    def cast_like(self, x: Tensor, like: Tensor) -> Tensor:
        """X in another tensor's dtype."""
        return x if x.dtype == like.dtype else self.Cast(x, to=like.dtype)

    def mask(self, condition: Tensor, like: Tensor) -> Tensor:
        """A boolean as 0 and 1 of another tensor's dtype."""
        return self.Cast(condition, to=like.dtype)

    def reshape_like(self, x: Tensor, like: Tensor) -> Tensor:
        """X's elements in the shape of another tensor of the same size."""
        if x.static_shape is not None and x.static_shape == like.static_shape:
            return x
        # allowzero: an axis of size 0 is a 0, not "copy the input's".
        return self.shaped_as(self.Reshape(x, self.shape(like), allowzero=1), like)

    def expand_like(self, x: Tensor, like: Tensor) -> Tensor:
        """X broadcast to the shape of another tensor."""
        if x.static_shape is not None and x.static_shape == like.static_shape:
            return x
        if like.static_shape is not None and 0 in like.static_shape:
            # onnxruntime's optimizer removes such an Expand.
            return self.cast_like(self.zeros_like(like), x)
        return self.shaped_as(self.Expand(x, self.shape(like)), like)

    def swap_last_two(self, x: Tensor) -> Tensor:
        """The transposes of a stack of matrices."""
        perm = list(range(self.rank(x)))
        perm[-2:] = perm[:-3:-1]
        return self.Transpose(x, perm=perm)

    def unsqueeze(self, x: Tensor, *axes: int) -> Tensor:
        """X with new axes of size 1."""
        return self.Unsqueeze(x, list(axes)) if axes else x

    def squeeze(self, x: Tensor, *axes: int) -> Tensor:
        """X without the named axes of size 1; what an Unsqueeze added them to, if one did.

        The runtime would fold each of the two into a copy of a weight.
        """
        if not axes:
            return x
        match _made_of(x.value, "Unsqueeze"):
            case [inner, added] if inner is not None:
                known = constant_value(added)
                if known is not None and known.tolist() == list(axes):
                    return self.wrap(inner)
        return self.Squeeze(x, list(axes))

    def iota(self, count: Tensor) -> Tensor:
        """0, 1, … up to a count (int64, one element), as an int64 vector."""
        known = count.constant
        if known is not None and known.size == 1 and int(known.reshape(())) <= _LONGEST_IOTA:
            return self.constant(np.arange(int(known.reshape(())), dtype=np.int64))
        return self.Range(self.index(0), self.Reshape(count, self.ints()), self.index(1))

    def ranked(self, x: Tensor, like: Tensor) -> Tensor:
        """Write down what is known: x has as many axes as another tensor."""
        if x.shape is None and like.rank is not None:
            x.value.shape = ir.Shape([None] * like.rank)
        return x

    def shaped_as(self, x: Tensor, like: Tensor) -> Tensor:
        """Write down what is known: x has the shape of another tensor."""
        self.alike.setdefault(x.value, like.value)
        if like.shape is not None:
            known = x.shape if x.rank == like.rank and x.shape is not None else like.shape
            dims = [
                mine if isinstance(mine, int) else theirs if theirs is not None else mine
                for mine, theirs in zip(known, like.shape, strict=True)
            ]
            x.value.shape = ir.Shape(dims)
        return x


def _made_of(value: ir.Value | None, op_type: str) -> list[ir.Value | None]:
    """What an operator made a value of; nothing where another one did."""
    node = None if value is None else value.producer()
    right = node is not None and node.op_type == op_type and not node.domain
    return list(node.inputs) if node is not None and right else []
