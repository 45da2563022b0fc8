"""Where the examples are: which arrays carry them, and how the arrays of single runs are joined."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from portgrad.engine.arrays import Array, Value
from portgrad.engine.batches import Dims, shown
from portgrad.engine.plan import Results
from portgrad.errors import NotBuilt, RunFailed


class Layout:
    """The example axis of each array of a call.

    Args:
        ports: the declared shapes of the input ports.
        batched: the ports that carry the examples.
        parameters: the names of parameters, which belong to no example.
        dims: the declared or inferred shape of any value.
    """

    def __init__(
        self,
        ports: Mapping[str, Dims | None],
        batched: frozenset[str],
        parameters: Collection[str],
        dims: Callable[[str], Dims | None],
    ) -> None:
        self._ports = ports
        self._batched = batched
        self._parameters = parameters
        self._dims = dims
        self._leads = {1, *(shape[0] for name in batched if (shape := ports[name]))}

    def own(self, name: str) -> bool:
        """Whether a value is each example's own: no parameter and no port that all share."""
        return name in self._batched or (name not in self._parameters and name not in self._ports)

    def led(self, name: str) -> bool:
        """Whether a value's first axis is the example axis."""
        dims = self._dims(name)
        return self.own(name) and bool(dims) and dims[0] in self._leads  # type: ignore[index]

    def concatenated(self, name: str) -> bool:
        """Whether a value's leading 1 becomes the batch; others are stacked on a new axis."""
        dims = self._dims(name)
        return bool(dims) and dims[0] == 1  # type: ignore[index]

    def example(self, data: Mapping[str, Value], index: int) -> dict[str, Value]:
        """The data of one example."""
        return {n: a[index : index + 1] if n in self._batched else a for n, a in data.items()}

    def joined(self, runs: Sequence[Results], count: int) -> Results:
        """The arrays of single runs as those of the batch.

        For a count of 0 there is one run, which tells shapes and dtypes alone.
        """
        found = {n: [run.gradients[n] for run in runs] for n in runs[0].gradients}
        return Results(
            {
                name: self._together(name, parts)[:count]
                if self.own(name)
                else _total(parts if count else [np.zeros_like(parts[0])])
                for name, parts in found.items()
            },
            {
                name: self._together(name, [run.outputs[name] for run in runs])[:count]
                for name in runs[0].outputs
            },
        )

    def _together(self, name: str, parts: Sequence[Array]) -> Array:
        if not all(isinstance(part, np.ndarray) for part in parts):
            raise _no_batch_of_sequences(name)
        shapes = dict.fromkeys(part.shape for part in parts)
        if len(shapes) > 1:
            raise _uneven(name, list(shapes))
        return np.concatenate(parts) if self.concatenated(name) else np.stack(parts)


def _total(parts: Sequence[Array]) -> Array:
    return np.asarray(np.sum(parts, axis=0, dtype=parts[0].dtype))


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
