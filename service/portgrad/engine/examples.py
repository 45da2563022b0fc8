"""Where the examples are: which arrays carry them, and how the arrays of single runs are joined."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from portgrad.engine.arrays import Array, Value
from portgrad.engine.batches import Dims, Reading, shown
from portgrad.engine.plan import Plan, Results
from portgrad.engine.seeds import of_batch
from portgrad.errors import NotBuilt, RunFailed
from portgrad.graph.batching import Axes


class Layout:
    """The example axis of each array of a call.

    Args:
        ports: the declared shapes of the input ports.
        reading: how the call's arrays are read.
        parameters: the names of parameters, which belong to no example.
        dims: the declared or inferred shape of any value.
        axes: where the examples lie in each value of a net that takes them as it is.
    """

    def __init__(
        self,
        ports: Mapping[str, Dims | None],
        reading: Reading,
        parameters: Collection[str],
        dims: Callable[[str], Dims | None],
        axes: Axes | None = None,
    ) -> None:
        self._ports = ports
        self._batched = reading.batched
        self._count = reading.count
        self._parameters = parameters
        self._dims = dims
        self._axes = axes
        self._leads = {1, *(shape[0] for name in self._batched if (shape := ports[name]))}

    def own(self, name: str) -> bool:
        """Whether a value is each example's own: no parameter and no port that all share."""
        if self._axes is not None:
            return self._axes.has(name)
        return name in self._batched or (name not in self._parameters and name not in self._ports)

    def led(self, name: str) -> bool:
        """Whether a value's first axis is the example axis."""
        dims = self._dims(name)
        return self.own(name) and bool(dims) and dims[0] in self._leads  # type: ignore[index]

    def concatenated(self, name: str) -> bool:
        """Whether a value's own leading axis becomes the batch; others are stacked on a new one."""
        dims = self._dims(name)
        return bool(dims) and dims[0] in self._leads  # type: ignore[index]

    def axis(self, name: str) -> int | None:
        """The axis of the declared shape that examples lie along: their symbol, or a leading 1."""
        dims, symbols = self._dims(name) or (), self._leads - {1}
        if not symbols:
            return 0 if dims and dims[0] == 1 else None
        return next((axis for axis, dim in enumerate(dims) if dim in symbols), None)

    def example(self, data: Mapping[str, Value], index: int) -> dict[str, Value]:
        """The data of one example."""
        return {n: a[index : index + 1] if n in self._batched else a for n, a in data.items()}

    def part(
        self,
        name: str,
        array: Array,
        index: int,
        dims: Dims | None,
        check: Callable[[Array, Dims | None], Array],
    ) -> Array:
        """One example's part of an array that is imposed on all of them.

        Args:
            name: the value that it is imposed at.
            array: what is imposed.
            index: the example.
            dims: the shape of the value, for one example or, where there are `axes`, for all.
            check: checks an array against a shape.
        """
        if not self.own(name):
            return check(array, dims)
        if self._axes is not None:
            whole, axis = check(array, dims), self._axes[name]
            return whole if whole.shape[axis] == 1 else whole.take([index], axis)
        assert dims is not None, "whoever runs examples one by one has looked"
        alone = not self.concatenated(name)
        whole = check(array, of_batch(dims, self._count, alone))
        part = np.asarray(whole[index if whole.shape[0] != 1 else 0])
        return part if alone else part[None]

    def joined(self, runs: Sequence[Results], count: int, plan: Plan) -> Results:
        """The arrays of single runs as those of the batch.

        For a count of 0 there is one run, which tells shapes and dtypes alone. Where the plan keeps
        examples apart, what they share gets a leading axis; else it is totalled.
        """
        found = {n: [run.derivatives[n] for run in runs] for n in runs[0].derivatives}
        lead = 1 if plan.stacked else 0
        return Results(
            {
                name: self._derivative(name, parts, count, lead, plan.keeps_apart)
                for name, parts in found.items()
            },
            {
                name: self._output(name, [run.outputs[name] for run in runs], count)
                for name in runs[0].outputs
            },
        )

    def _output(self, name: str, parts: Sequence[Array], count: int) -> Array:
        same = self._axes is not None and not self.own(name)
        return parts[0] if same else self._together(name, parts, count, 0)

    def _derivative(
        self, name: str, parts: Sequence[Array], count: int, lead: int, apart: bool
    ) -> Array:
        if self.own(name):
            return self._together(name, parts, count, lead)
        if apart:
            return _first(np.stack(parts, lead), count, lead)
        return _total(parts if count else [np.zeros_like(parts[0])])

    def _together(self, name: str, parts: Sequence[Array], count: int, lead: int) -> Array:
        if not all(isinstance(part, np.ndarray) for part in parts):
            raise _no_batch_of_sequences(name)
        shapes = dict.fromkeys(part.shape for part in parts)
        if len(shapes) > 1:
            raise _uneven(name, list(shapes))
        if self._axes is not None:
            if name in self._axes.packed:
                raise _no_batch_of_packed(name)
            return np.concatenate(parts, lead + self._axes[name])
        join = np.concatenate if self.concatenated(name) else np.stack
        return _first(join(parts, lead), count, lead)


def _first(array: Array, count: int, axis: int) -> Array:
    """The first entries along an axis: none of the one that stands for none."""
    return array[(slice(None),) * axis + (slice(count),)]


def _total(parts: Sequence[Array]) -> Array:
    return np.asarray(np.sum(parts, axis=0, dtype=parts[0].dtype))


def _no_batch_of_packed(name: str) -> NotBuilt:
    return NotBuilt(
        f"The examples run one by one here, and in {name!r} they lie on one axis with other "
        "elements, which cannot be joined again yet.",
        where=name,
        expected="values in which the examples have an axis of their own",
        remedy="Leave it out, or ask for the value before the axes are joined.",
    )


def _no_batch_of_sequences(name: str) -> NotBuilt:
    return NotBuilt(
        f"{name!r} is a sequence, and a batch over a fixed 1 cannot give sequences yet.",
        where=name,
        remedy="Send the examples one by one, or leave this output out.",
    )


def _uneven(name: str, shapes: Sequence[tuple[int, ...]]) -> RunFailed:
    return RunFailed(
        f"The examples give {name!r} different shapes, which do not make one array.",
        code="uneven_examples",
        where=name,
        expected="the same shape for every example",
        found=", ".join(shown(shape) for shape in shapes[:3]),
        remedy="Send the examples one by one, or leave this output out.",
    )
