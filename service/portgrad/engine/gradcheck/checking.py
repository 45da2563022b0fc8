"""A gradient held against differences along random lines through the user's data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from portgrad.engine import meanings, requests
from portgrad.engine.arrays import Array
from portgrad.engine.gradcheck.asked import check_count, check_directions, check_tolerance
from portgrad.engine.gradcheck.lines import Random, Subject, direction, walk
from portgrad.engine.gradcheck.own import beside
from portgrad.engine.gradcheck.point import EPS, Asked, Point, rounding
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

    targets = resolve_targets(variants.plain.names, wrt)
    check_count(len(targets.values) * directions)

    def asked(precision: str) -> Asked:
        fixed: Settings = {**settings, "precision": precision, "random_seed": random_seed}
        setting = variants.setting(**fixed)
        given = requests.seeds(setting, output_gradients)
        plan = Plan(
            wrt=tuple(targets.values),
            of=tuple(resolve_of(setting.view.names, of, given)),
            seeds=tuple(given),
            quantized=meanings.quantised(quantized),
        )
        arrays = requests.arrays(setting, data)
        return Asked(setting, plan, arrays, requests.imposed(setting, plan, arrays, given))

    at = _in_double(asked, settings.get("precision"))
    allowed = tolerance_for(at.eps) if tolerance is None else tolerance
    found = {
        name: _checked(
            at.subject(name), at.value(name), _randoms(directions, random_seed, index), allowed
        )
        for index, name in enumerate(at.plan.wrt)
    }
    found, wrong = explained(at, found, allowed, random_seed)
    if settings.get("precision") is None and at.setting.view.double:
        found = _beside_own(found, at, asked("native"))
    return Report(
        found,
        precision="float64" if at.eps == EPS[ir.DataType.DOUBLE] else "native",
        tolerance=allowed,
        disagreement=wrong,
        evaluations=at.evaluations,
        random_seed=random_seed,
        none=targets.none,
        warnings=at.warnings,
        timings=at.timings,
    )


def _in_double(asked: Callable[[str], Asked], precision: str | None) -> Point:
    """The net at the data in double precision; in its own where it cannot be, or is asked for."""
    if precision is not None:
        return Point(asked(precision))
    try:
        return Point(asked("float64"))
    except (NotBuilt, RunFailed, Unsupported):  # if that was not why, it is raised again
        return Point(asked("native"))


def _beside_own(found: Mapping[str, Checked], at: Point, own: Asked) -> dict[str, Checked]:
    if rounding(own.setting) == EPS[ir.DataType.DOUBLE]:
        return dict(found)
    try:
        done = own.run()
    except (RunFailed, Unsupported):  # in double alone it has a gradient
        return dict(found)
    return beside(found, at.gradients, own.setting.view.executor, done)


def _randoms(count: int, *key: int) -> list[Random]:
    return [np.random.default_rng((*key, number)) for number in range(count)]


def _checked(
    subject: Subject, value: Array, randoms: Iterable[Random], tolerance: float
) -> Checked:
    with np.errstate(all="ignore"):  # what is not finite is told in the verdict
        lines = [walk(subject, direction(value, random), tolerance) for random in randoms]
    error = largest([line.error for line in lines])
    return Checked(worst(lines).verdict, error, tuple(lines))
