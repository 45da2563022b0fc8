"""Where the examples are: which arrays carry them, and how the arrays of single runs are joined."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from portgrad.engine.arrays import Array
from portgrad.engine.batches import Dims
from portgrad.engine.plan import Results


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
        leads = [shape[0] for name in batched if (shape := ports[name])]
        self._leads = {1, *(lead for lead in leads if isinstance(lead, str))}

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

    def example(self, data: Mapping[str, Array], index: int) -> dict[str, Array]:
        """The data of one example."""
        return {n: a[index : index + 1] if n in self._batched else a for n, a in data.items()}

    def joined(self, runs: Sequence[Results], count: int) -> Results:
        """The arrays of single runs as those of the batch.

        For a count of 0 there is one run, which tells shapes and dtypes alone.
        """

        def join(name: str, parts: list[Array]) -> Array:
            if not self.own(name):
                return np.sum(parts, axis=0, dtype=parts[0].dtype) if count else parts[0] * 0
            if not self.concatenated(name):
                parts = [part[None] for part in parts]
            return np.concatenate(parts)[:count]

        return Results(
            {n: join(n, [run.gradients[n] for run in runs]) for n in runs[0].gradients},
            {n: join(n, [run.outputs[n] for run in runs]) for n in runs[0].outputs},
        )
