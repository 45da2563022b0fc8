"""Verdicts on targets, seen again once the steps of the net have been looked at one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from portgrad.autodiff.steps import Place
from portgrad.engine.gradcheck.nodes import Examined, examine
from portgrad.engine.gradcheck.point import Point
from portgrad.engine.gradcheck.report import Checked, Disagreement
from portgrad.engine.gradcheck.slopes import Verdict
from portgrad.engine.tracing import Tracer

# What a step may be, so that a gradient through it need not be the slope.
_WHY_NOT = ("jump", "kink", "unclear")


def explained(
    at: Point, found: Mapping[str, Checked], tolerance: float, random_seed: int
) -> tuple[dict[str, Checked], Disagreement | None]:
    """The verdicts with the place in the net that each is due to, and the first wrong derivative.

    Along a line through a kink, a right gradient need not lie between both slopes: where kinks add
    up with either sign, it may lie anywhere; as it may where rounding swallows what moves, as in a
    sum with the lowest of all numbers before a Softmax. So a gradient disagrees only where a step
    does, or where every step that the target reaches is fine.
    """
    ill = tuple(name for name, checked in found.items() if checked.verdict != "ok")
    if not ill:
        return dict(found), None
    plan = replace(at.call.plan, wrt=ill)
    tracer = Tracer(at.setting.view.executor, replace(at.call, plan=plan))
    examined = list(examine(tracer, at.eps, tolerance, random_seed))
    seen = {name: _explained(tracer, name, found[name], examined) for name in ill}
    wrong = next((one for one in examined if one.line.verdict == "disagrees"), None)
    return {**found, **seen}, None if wrong is None else _disagreement(wrong)


def _explained(
    tracer: Tracer, name: str, checked: Checked, examined: Sequence[Examined]
) -> Checked:
    reached = tracer.reached(name)
    first: dict[Verdict, Examined] = {}
    for one in examined:
        if one.operand in reached:
            first.setdefault(one.line.verdict, one)
    verdict = checked.verdict
    if verdict == "non_finite":
        return replace(checked, place=not_finite(tracer, first.get(verdict)))
    if "disagrees" in first:
        verdict = "disagrees"
    elif verdict == "disagrees":
        verdict = next((other for other in first if other in _WHY_NOT), verdict)
    place = first[verdict].place if verdict in first else None
    return replace(checked, verdict=verdict, place=place)


def not_finite(tracer: Tracer, beside: Examined | None) -> Place | None:
    """The first value that is not finite, the step that has no finite numbers beside the point, or
    the step whose rule sent the first cotangent that is not finite."""
    found = tracer.forward()
    either = [place for place in tracer.course.values if place in (found.nan, found.infinite)]
    if either:
        return either[0]
    if beside is not None:
        return beside.place
    sent = tracer.author(tracer.backward())
    return sent.nan or sent.infinite


def _disagreement(wrong: Examined) -> Disagreement:
    place, line = wrong.place, wrong.line
    return Disagreement(
        place.value, wrong.step.node, wrong.step.operator, line.expected, line.found
    )
