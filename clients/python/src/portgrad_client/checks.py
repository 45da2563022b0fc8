"""A gradient held against differences: what was found at each target, and where it is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from portgrad_client.answers import Timings
from portgrad_client.errors import InvalidAnswerError
from portgrad_client.replies import Reply, fields

Verdict = Literal["ok", "kink", "jump", "non_finite", "unclear", "disagrees"]
_LINE = ("found", "expected", "left", "right", "error", "step")


@dataclass(frozen=True)
class Line:
    """What was found along one random direction of a target.

    Attributes:
        verdict: ok: the gradient is the slope; kink: left and right slopes differ, and the
            gradient lies between them; jump: the outputs jump; non_finite: the gradient, or the
            outputs at or beside the point, are no finite numbers; unclear: the differences do not
            settle; disagrees: they do, and the gradient is not what they settle at.
        found: the product of the gradient with the direction.
        expected: the central difference.
        left, right: the differences to either side.
        error: how far both are apart, by the scale of both.
        step: the step of the differences.
    """

    verdict: Verdict
    found: float
    expected: float
    left: float
    right: float
    error: float
    step: float


@dataclass(frozen=True)
class Place:
    """A value, and the node and operator that compute it, where one does."""

    value: str
    node: str | None
    operator: str | None


@dataclass(frozen=True)
class Disagreement(Place):
    """The first value whose derivative by its own operands is not what differences say.

    Attributes:
        expected: the difference along a random direction of the operands.
        found: what the gradient says instead.
    """

    expected: float
    found: float


@dataclass(frozen=True)
class Checked:
    """What was found at one target.

    Attributes:
        verdict: the worst of its lines.
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
        ok: whether each gradient is the slope, or lies between the slopes of a kink.
        targets: what was found, by target.
        precision: "float64", or "native" where the net could not be run in double precision.
        tolerance: how far, of the scale of what was compared, a gradient may have been off.
        disagreement: the first value whose derivative is wrong, where a gradient disagrees and
            one was found.
        evaluations: how often the net was evaluated.
        random_seed: what directions and draws depended on.
        none: tensors of a group that have no gradient, with the reason.
        warnings: what may surprise.
        timings: seconds by stage: decode, queue, compile, run, encode, total.
        request_id: what the service's log calls the request.
    """

    ok: bool
    targets: Mapping[str, Checked]
    precision: str
    tolerance: float
    disagreement: Disagreement | None
    evaluations: int
    random_seed: int
    none: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    request_id: str | None = None
    _told: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def plain(self) -> dict[str, Any]:
        """The report as plain data, numbers that JSON does not have as strings."""
        return dict(self._told)


def report(reply: Reply) -> Report:
    """Read the answer of a gradcheck.

    Raises:
        InvalidAnswerError: it is not what Portgrad sends.
    """
    told = fields(reply, "ok", "targets")
    try:
        wrong = told["disagreement"]
        return Report(
            told["ok"],
            {name: _checked(one) for name, one in told["targets"].items()},
            told["precision"],
            float(told["tolerance"]),
            wrong and Disagreement(*_names(wrong), float(wrong["expected"]), float(wrong["found"])),
            told["evaluations"],
            told["random_seed"],
            {entry["name"]: entry["reason"] for entry in told["none"]},
            tuple(told["warnings"]),
            Timings(reply.headers.get("server-timing", "")),
            reply.headers.get("x-request-id"),
            told,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidAnswerError(
            "The answer is no report of Portgrad's.",
            found=f"{type(error).__name__}: {error}",
            remedy="Check that client and service are of the same release.",
        ) from error


def _checked(told: Mapping[str, Any]) -> Checked:
    # Numbers that JSON has not are strings, which float reads.
    lines = tuple(
        Line(line["verdict"], *(float(line[name]) for name in _LINE)) for line in told["directions"]
    )
    place, rounding = told["place"], told["rounding"]
    return Checked(
        told["verdict"],
        float(told["error"]),
        lines,
        place and Place(*_names(place)),
        None if rounding is None else float(rounding),
    )


def _names(told: Mapping[str, Any]) -> tuple[str, str | None, str | None]:
    return told["value"], told["node"], told["operator"]
