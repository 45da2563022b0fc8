"""Arrays by name beside the data: parameters overridden, gradients imposed, tangents.

Each is cast to the dtype of what it is for, as data are. The dtype of an inner value is not known
here: what has no chosen dtype travels as nested lists, which the service casts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from portgrad_client.arguments import whole_numbers, wrong_kind
from portgrad_client.casting import as_array, cast, nearest, shown
from portgrad_client.description import Port, Shape
from portgrad_client.dtypes import ArrayLike
from portgrad_client.errors import InvalidRequestError

DOUBLE = "float64"
_CLASS_KEYS = ("index", "at")


def at_precision(port: Port, precision: str | None) -> Port:
    """The port as a run in that precision has it. Float8 and the like are codes, and stay."""
    widened = precision == DOUBLE and port.dtype in ("float16", "bfloat16", "float32")
    return replace(port, dtype=DOUBLE) if widened else port


def overrides(
    given: Mapping[str, ArrayLike], parameters: Iterable[Port], precision: str | None
) -> dict[str, Any]:
    """Arrays for parameters, of their dtype and exactly their shape.

    Raises:
        InvalidRequestError: `unknown_parameter`, `wrong_parameter_shape`, or as `cast`.
    """
    known = {port.name: at_precision(port, precision) for port in parameters}
    arrays = {}
    for name, value in _mapping(given, "parameters").items():
        if name not in known:
            raise _unknown_parameter(name, known)
        arrays[name] = cast(value, known[name])
        _check_exactly("parameter", name, known[name].shape, np.shape(arrays[name]))
    return arrays


def seeds(
    given: Mapping[str, ArrayLike], outputs: Iterable[Port], precision: str | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Imposed gradients: those that are arrays, and those that choose elements.

    Raises:
        InvalidRequestError: `invalid_field`, or as `cast`.
    """
    known = {port.name: port for port in outputs}
    arrays, chosen = {}, {}
    for name, value in _mapping(given, "output_gradients").items():
        if isinstance(value, Mapping):
            chosen[name] = _elements(value, name)
        else:
            arrays[name] = _cast(value, name, known.get(name), precision)
    return arrays, chosen


def tangents(
    given: Mapping[str, ArrayLike],
    inputs: Iterable[Port],
    parameters: Iterable[Port],
    data: Mapping[str, Any],
    *,
    precision: str | None,
    stacked: bool,
) -> dict[str, Any]:
    """Tangents, each shaped like what it is at: the data of its port, or its parameter.

    Args:
        given: by name of an input port, parameter or inner value.
        inputs: the input ports.
        parameters: the parameters.
        data: those of the call, cast.
        precision: that of the call.
        stacked: whether each has an axis of tangents before those of its shape.

    Raises:
        InvalidRequestError: `invalid_field`, `wrong_tangent_shape`, or as `cast`.
    """
    of_parameters = {port.name: port for port in parameters}
    known = {port.name: port for port in inputs} | of_parameters
    arrays = {}
    for name, value in _mapping(given, "tangents").items():
        arrays[name] = _cast(value, name, known.get(name), precision)
        found = np.shape(arrays[name])
        if name in of_parameters:
            _check_exactly("tangent", name, of_parameters[name].shape, found, stacked)
        elif isinstance(data.get(name), np.ndarray):
            _check_exactly("tangent", name, data[name].shape, found, stacked)
    return arrays


def _cast(value: ArrayLike, name: str, port: Port | None, precision: str | None) -> Any:
    if port is None and precision == DOUBLE:  # whatever numbers it holds, they are doubles now
        port = Port(name, DOUBLE, None)
    if port is not None:
        return cast(value, at_precision(port, precision))
    array = as_array(value, name)
    chosen = isinstance(value, np.ndarray | np.generic) and array.dtype.kind not in "iu"
    return array if chosen and array.dtype != np.float64 else array.tolist()


def _mapping(given: Any, field: str) -> Mapping[str, ArrayLike]:
    if isinstance(given, Mapping) and all(isinstance(name, str) for name in given):
        return given
    raise wrong_kind(field, "arrays by name", given)


def _elements(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    where = f"output_gradients.{name}"
    if len(value) == 1 and next(iter(value)) in _CLASS_KEYS:
        return {key: whole_numbers(numbers, where) for key, numbers in value.items()}
    expected = 'an array, {"index": 3}, or {"at": [0, 3]}'
    raise wrong_kind(where, expected, value)


def _check_exactly(
    what: str, name: str, wanted: Shape | None, found: tuple[int, ...], stacked: bool = False
) -> None:
    own = found[1:] if stacked else found
    if wanted is None or (own == wanted and len(found) == len(wanted) + stacked):
        return
    raise InvalidRequestError(
        f"The {what} {name!r} does not have its shape.",
        code=f"wrong_{what}_shape",
        where=f"{what}s.{name}",
        expected=f"{'K tangents of the shape ' if stacked else ''}{shown(wanted)}",
        found=shown(found),
        remedy="Put the arrays of all K on a new first axis, or leave `stacked` out."
        if stacked
        else "Send one number for each element of it.",
    )


def _unknown_parameter(name: str, known: Mapping[str, Port]) -> InvalidRequestError:
    return InvalidRequestError(
        f"The net has no parameter {name!r}.",
        code="unknown_parameter",
        where=f"parameters.{name}",
        expected="the name of a parameter",
        found=repr(name),
        remedy=nearest(name, known)
        or "The net's description lists its parameters: net.parameters, or portgrad describe.",
    )
