"""What becomes of the gradients that examples share: totals, means, or one for each example."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from portgrad.engine import batches
from portgrad.engine.arrays import Array
from portgrad.engine.batches import AS_IS, Reading
from portgrad.engine.execution import Arrays, Values
from portgrad.engine.executor import Executor
from portgrad.engine.inseparable import no_examples
from portgrad.engine.limits import check_answer
from portgrad.engine.plan import Plan

SUM, MEAN, PER_EXAMPLE = "sum", "mean", "per_example"
REDUCTIONS = (SUM, MEAN, PER_EXAMPLE)


def means(
    executor: Executor, plan: Plan, data: Values, batch: str | None, totals: Arrays
) -> dict[str, Array]:
    """Gradients with those that examples share divided by their number.

    Raises:
        InvalidRequest: `no_example_axis`.
    """
    reading = batches.read(executor.ports, data, batch)
    if reading.kind == AS_IS:
        found = executor.examples(reading, plan.of, data)
        if found is None:
            raise no_examples(plan.of)
        reading = found
    count = max(1, reading.count)
    return {
        name: np.asarray(total / count, total.dtype) if executor.shared(name, reading) else total
        for name, total in totals.items()
    }


def check_size(
    executor: Executor,
    plan: Plan,
    reading: Reading,
    *,
    shapes: Mapping[str, tuple[int, ...]],
    height: int,
    limit: int,
) -> None:
    """Refuse derivatives that a stack or examples make larger than an answer may be.

    Args:
        executor: what will run the plan.
        plan: what is asked.
        reading: how the arrays are read.
        shapes: the shapes of the results that are known.
        height: the number of seeds in a stack, else 1.
        limit: the most bytes.
    """
    each = reading.count if plan.keeps_apart else 1
    sizes = [
        (
            (height, each if executor.shared(name, reading) else 1, *shape),
            executor.dtype(name).itemsize,
        )
        for name, shape in shapes.items()
    ]
    check_answer("The derivatives", sizes, limit)
