"""The gradient in the net's own precision, beside the one in double that is held to differences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from portgrad.engine.arrays import Array
from portgrad.engine.execution import Execution
from portgrad.engine.executor import Executor
from portgrad.engine.gradcheck.report import Checked
from portgrad.engine.gradcheck.verdicts import not_finite
from portgrad.engine.tracing import Tracer


def beside(
    found: Mapping[str, Checked], double: Mapping[str, Array], executor: Executor, own: Execution
) -> dict[str, Checked]:
    """What was found, with how far rounding takes each gradient.

    Where that is no finite number though it is one in double, the verdict is non_finite.

    Args:
        found: what was found in double precision.
        double: the gradients there.
        executor: what ran the net in its own precision.
        own: its run.
    """
    return {
        name: _beside(checked, double[name], name, executor, own) for name, checked in found.items()
    }


def _beside(
    checked: Checked, double: Array, name: str, executor: Executor, own: Execution
) -> Checked:
    array, double = (
        a.astype(np.float64).reshape(-1) for a in (own.results.derivatives[name], double)
    )
    off, size, other = (float(np.linalg.norm(a)) for a in (array - double, double, array))
    if checked.verdict == "non_finite" or not math.isfinite(size):
        return checked
    if math.isfinite(off):
        return replace(checked, rounding=off / max(size, other) if off else 0.0)
    tracer = Tracer(executor, replace(own, plan=replace(own.plan, wrt=(name,))))
    place = not_finite(tracer, None)
    return replace(checked, verdict="non_finite", rounding=math.inf, place=place)
