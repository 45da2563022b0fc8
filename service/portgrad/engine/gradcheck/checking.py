"""A gradient held against differences along random lines through the user's data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx_ir as ir

from portgrad.engine import calls, requests
from portgrad.engine.arrays import Array
from portgrad.engine.gradcheck import point
from portgrad.engine.gradcheck.asked import check_count, check_directions, check_tolerance
from portgrad.engine.gradcheck.lines import Random, Subject, direction, walk
from portgrad.engine.gradcheck.point import EPS, Point
from portgrad.engine.gradcheck.report import Checked, Report, largest
from portgrad.engine.gradcheck.slopes import tolerance_for, worst
from portgrad.engine.gradcheck.verdicts import explained
from portgrad.engine.plan import Plan
from portgrad.engine.requests import Data
from portgrad.engine.variants import Settings, Variants
from portgrad.engine.words import word
from portgrad.errors import NotBuilt, RunFailed, Unsupported
from portgrad.graph.targets import resolve_of, resolve_targets


def gradcheck(
    variants: Variants,
    data: Data,
    settings: Settings,
    *,
    wrt: Any,
    of: Any,
    output_gradients: Any,
    directions: int,
    quantized: str | None,
    tolerance: float | None,
) -> Report:
    """Hold a gradient against differences; see `Net.gradcheck`."""
    check_directions(directions)
    check_tolerance(tolerance)
    word("precision", settings.get("precision"), ("native", "float64"))
    random_seed = settings.get("random_seed") or 0

    def taken(precision: str) -> Point:
        fixed: Settings = {**settings, "precision": precision, "random_seed": random_seed}
        setting = variants.setting(**fixed)
        targets = resolve_targets(setting.view.names, wrt)
        check_count(len(targets.values) * directions)
        given = requests.seeds(setting, output_gradients)
        plan = Plan(
            wrt=tuple(targets.values),
            of=tuple(resolve_of(setting.view.names, of, given)),
            seeds=tuple(given),
            quantized=calls.quantised(quantized),
        )
        return point.at(setting, data, plan, given)

    at = _in_double(taken, settings.get("precision"))
    allowed = tolerance_for(at.eps) if tolerance is None else tolerance
    found = {
        name: _checked(
            at.subject(name), at.value(name), _randoms(directions, random_seed, index), allowed
        )
        for index, name in enumerate(at.plan.wrt)
    }
    found, wrong = explained(at, found, allowed, random_seed)
    return Report(
        found,
        precision="float64" if at.eps == EPS[ir.DataType.DOUBLE] else "native",
        tolerance=allowed,
        disagreement=wrong,
        evaluations=at.evaluations,
        random_seed=random_seed,
        none=resolve_targets(at.setting.view.names, wrt).none,
        warnings=at.warnings,
        timings=at.timings,
    )


def _in_double(taken: Any, precision: str | None) -> Point:
    """The net at the data in double precision; in its own where it cannot be, or is asked for."""
    if precision is not None:
        return taken(precision)  # type: ignore[no-any-return]
    try:
        return taken("float64")  # type: ignore[no-any-return]
    except (NotBuilt, RunFailed, Unsupported):  # if that was not why, it is raised again
        return taken("native")  # type: ignore[no-any-return]


def _randoms(count: int, *key: int) -> list[Random]:
    return [np.random.default_rng((*key, number)) for number in range(count)]


def _checked(
    subject: Subject, value: Array, randoms: Iterable[Random], tolerance: float
) -> Checked:
    with np.errstate(all="ignore"):  # what is not finite is told in the verdict
        lines = [walk(subject, direction(value, random), tolerance) for random in randoms]
    error = largest([line.error for line in lines])
    return Checked(worst(lines).verdict, error, tuple(lines))
