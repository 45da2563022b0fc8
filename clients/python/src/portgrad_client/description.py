"""What a net has for a user to name: its ports and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Shape: TypeAlias = tuple[int | str | None, ...]


@dataclass(frozen=True)
class Port:
    """An input or output port.

    Attributes:
        name: as the file gives it.
        dtype: NumPy's or ml_dtypes' name, `string`, or such as `sequence(float32)`.
        shape: symbols are strings, a size that nothing is known of is None; None for an unknown
            rank and for what is no tensor.
        differentiable: whether a gradient exists and the service can compute it.
        reason: why not, where it is not.
    """

    name: str
    dtype: str
    shape: Shape | None
    differentiable: bool = True
    reason: str | None = None


@dataclass(frozen=True)
class Parameter(Port):
    """A parameter: a floating initializer.

    Attributes:
        buffer: whether it is a running statistic.
        paths: where it is used, each as (node, operand); each path names this parameter.
        shared: whether it is used in several places, so that its gradient is the total over them.
    """

    buffer: bool = False
    paths: tuple[tuple[str, ...], ...] = ()
    shared: bool = False


def port(entry: Mapping[str, Any]) -> Port:
    """A port from its entry in a description."""
    return Port(**_common(entry))


def parameter(entry: Mapping[str, Any]) -> Parameter:
    """A parameter from its entry in a description."""
    return Parameter(
        **_common(entry),
        buffer=entry.get("buffer", False),
        paths=tuple(tuple(path) for path in entry.get("paths", ())),
        shared=entry.get("shared", False),
    )


def _common(entry: Mapping[str, Any]) -> dict[str, Any]:
    # A later service may tell more of a port than this client knows.
    shape = entry.get("shape")
    return {
        "name": entry["name"],
        "dtype": entry["dtype"],
        "shape": None if shape is None else tuple(shape),
        "differentiable": entry.get("differentiable", True),
        "reason": entry.get("reason"),
    }
