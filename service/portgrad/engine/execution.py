"""One call on its way through the executor."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from portgrad.engine import stopping
from portgrad.engine.arrays import Array, Value
from portgrad.engine.batches import Reading
from portgrad.engine.plan import Plan, Results

Arrays: TypeAlias = Mapping[str, Array]
Values: TypeAlias = Mapping[str, Value]
Made = TypeVar("Made")
_NOTHING = Results({}, {})


@dataclass
class Execution:
    """One call: what it needs on the way in, what it found on the way out.

    Attributes:
        plan: what is computed.
        data: an array for each input port, and what else the variant of the net reads.
        imposed: arrays by `seed/NAME` and `tangent/NAME`.
        reading: how the arrays are read.
        results: what came out.
        warnings: what the user should know.
        timings: seconds by stage.
    """

    plan: Plan
    data: Values
    imposed: Arrays
    reading: Reading
    results: Results = _NOTHING
    warnings: tuple[str, ...] = ()
    timings: dict[str, float] = field(default_factory=lambda: {"compile": 0.0, "run": 0.0})

    @property
    def done(self) -> bool:
        """Whether anything came out."""
        return bool(self.results.derivatives or self.results.outputs)

    def timed(self, stage: str, work: Callable[[], Made]) -> Made:
        """Do some work and add its seconds to a stage."""
        stopping.entering(stage)
        start = time.perf_counter()
        try:
            return work()
        finally:
            self.timings[stage] += time.perf_counter() - start
