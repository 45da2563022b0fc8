"""A gradient held against differences along random lines through the user's data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx_ir as ir

from portgrad.engine import calls, requests
from portgrad.engine.gradcheck import point
from portgrad.engine.gradcheck.lines import Subject, direction, walk
from portgrad.engine.gradcheck.point import EPS, Point
from portgrad.engine.gradcheck.report import Checked, Report, largest, worst
from portgrad.engine.gradcheck.slopes import STEPS, tolerance_for
from portgrad.engine.plan import Plan
from portgrad.engine.requests import Data
from portgrad.engine.variants import Settings, Variants
from portgrad.engine.words import word
from portgrad.errors import InvalidRequest, LimitExceeded, NotBuilt, RunFailed, Unsupported
from portgrad.graph.targets import resolve_of, resolve_targets

Random = np.random.Generator
MOST_DIRECTIONS = 1000
MOST_EVALUATIONS = 100_000


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
    _check_directions(directions)
    _check_tolerance(tolerance)
    word("precision", settings.get("precision"), ("native", "float64"))
    random_seed = settings.get("random_seed") or 0

    def taken(precision: str) -> Point:
        fixed: Settings = {**settings, "precision": precision, "random_seed": random_seed}
        setting = variants.setting(**fixed)
        targets = resolve_targets(setting.view.names, wrt)
        _check_count(len(targets.values) * directions)
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
        name: _checked(at.subject(name), _randoms(directions, random_seed, index), allowed)
        for index, name in enumerate(at.plan.wrt)
    }
    return Report(
        found,
        precision="float64" if at.eps == EPS[ir.DataType.DOUBLE] else "native",
        tolerance=allowed,
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


def _checked(subject: Subject, randoms: Iterable[Random], tolerance: float) -> Checked:
    with np.errstate(all="ignore"):  # what is not finite is told in the verdict
        lines = [walk(subject, direction(subject.point, r), tolerance) for r in randoms]
    verdict = worst([line.verdict for line in lines])
    return Checked(verdict, largest([line.error for line in lines]), tuple(lines))


def _check_directions(given: Any) -> None:
    whole = isinstance(given, int | np.integer) and not isinstance(given, bool)
    if not whole or not 1 <= given <= MOST_DIRECTIONS:
        raise InvalidRequest(
            "The field `directions` is no number of directions.",
            code="invalid_field",
            where="directions",
            expected=f"a whole number from 1 to {MOST_DIRECTIONS}",
            found=repr(given)[:80],
            remedy="Leave it out for 3.",
        )


def _check_tolerance(given: Any) -> None:
    number = isinstance(given, int | float | np.number) and not isinstance(given, bool)
    if given is not None and not (number and 0 < given < 1):
        raise InvalidRequest(
            "The field `tolerance` is no tolerance.",
            code="invalid_field",
            where="tolerance",
            expected="a number between 0 and 1: how far, of the scale of what is compared, a "
            "gradient may be off",
            found=repr(given)[:80],
            remedy="Leave it out for 1e-6 in double precision, and more in coarser ones.",
        )


def _check_count(lines: int) -> None:
    """Refuse a check that would evaluate the net too often."""
    most = 2 * STEPS * lines
    if most > MOST_EVALUATIONS:
        raise LimitExceeded(
            f"The check could evaluate the net {most} times, more than one call may.",
            code="too_many_evaluations",
            where="directions",
            expected=f"targets times directions of at most {MOST_EVALUATIONS // (2 * STEPS)}",
            found=str(lines),
            remedy="Ask for fewer targets or directions, in several calls.",
        )
