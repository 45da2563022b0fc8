"""What a gradient that was held against differences turned out to be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from portgrad.autodiff.steps import Place
from portgrad.engine.gradcheck.slopes import Line, Verdict

_FINE = ("ok", "kink")


@dataclass(frozen=True)
class Disagreement:
    """The first value whose derivative by its own operands is not what differences say.

    Attributes:
        value: its name.
        node: the node that computes it.
        operator: the domain and operator of that node.
        expected: the difference along a random direction of the operands.
        found: what the gradient says instead.
    """

    value: str
    node: str
    operator: str
    expected: float
    found: float


@dataclass(frozen=True)
class Checked:
    """What was found at one target.

    Attributes:
        verdict: the worst of its lines: see `Line`.
        error: the largest relative error of its lines.
        lines: what was found along each direction.
        place: where the net has its kink or jump or what is not finite, where that was found.
        rounding: how far the gradient in the net's own precision is from that in double, by the
            larger of their norms; None where nothing was compared.
    """

    verdict: Verdict
    error: float
    lines: tuple[Line, ...]
    place: Place | None = None
    rounding: float | None = None


@dataclass(frozen=True)
class Report:
    """A gradient held against differences.

    Attributes:
        targets: what was found, by target.
        precision: "float64", or "native" where the net could not be run in double precision.
        tolerance: how far, of the scale of what was compared, a gradient may have been off.
        disagreement: the first value whose derivative is wrong, where a gradient disagrees and
            one was found.
        evaluations: how often the net was evaluated.
        random_seed: what directions and draws depended on.
        none: tensors of a group that have no gradient, with the reason.
        warnings: what may surprise.
        timings: seconds spent in `compile` and `run`.
    """

    targets: Mapping[str, Checked]
    precision: str
    tolerance: float
    disagreement: Disagreement | None = None
    evaluations: int = 0
    random_seed: int = 0
    none: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether each gradient is the slope, or lies between the slopes of a kink."""
        return all(checked.verdict in _FINE for checked in self.targets.values())

    def plain(self) -> dict[str, Any]:
        """The report as plain data, numbers that JSON does not have as strings."""
        return {
            "ok": self.ok,
            "precision": self.precision,
            "tolerance": self.tolerance,
            "targets": {name: _plain(checked) for name, checked in self.targets.items()},
            "disagreement": None if self.disagreement is None else _finite(self.disagreement),
            "evaluations": self.evaluations,
            "random_seed": self.random_seed,
            "none": [{"name": name, "reason": reason} for name, reason in self.none.items()],
            "warnings": list(self.warnings),
        }


def largest(errors: list[float]) -> float:
    """The largest error, NaN where one is none."""
    return max(errors, key=lambda error: (math.isnan(error), error), default=0.0)


def _plain(checked: Checked) -> dict[str, Any]:
    return {
        "verdict": checked.verdict,
        "error": _number(checked.error),
        "rounding": _number(checked.rounding),
        "place": None if checked.place is None else asdict(checked.place),
        "directions": [_finite(line) for line in checked.lines],
    }


def _finite(record: Any) -> dict[str, Any]:
    return {name: _number(value) for name, value in asdict(record).items()}


def _number(value: Any) -> Any:
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
