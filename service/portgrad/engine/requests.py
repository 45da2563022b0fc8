"""What callers send, made into the arrays of a variant of the net: data, seeds and tangents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from portgrad.autodiff import SEED, TANGENT
from portgrad.engine import class_seeds
from portgrad.engine.arrays import (
    Array,
    ArrayLike,
    Value,
    as_port_array,
    as_port_value,
    fits_as_it_is,
)
from portgrad.engine.batches import AS_IS, read
from portgrad.engine.plan import Plan
from portgrad.engine.seeds import field_of, height, wrong_shape
from portgrad.engine.variants import Setting
from portgrad.errors import InvalidRequest
from portgrad.graph.nearest import listed
from portgrad.graph.targets import check_ports, resolve_of, resolve_tangents
from portgrad.graph.types import shape_of, type_name

Data = Mapping[str, ArrayLike] | ArrayLike


def arrays(setting: Setting, data: Data) -> dict[str, Value]:
    """An array for each input port, and what else the variant reads.

    Raises:
        InvalidRequest: `missing_port`, `unknown_port`, and what `as_port_value` raises.
    """
    view = setting.view
    ports = view.ports
    if not isinstance(data, Mapping):
        if len(ports) != 1:
            raise _bare_array(ports)
        data = {next(iter(ports)): data}
    if data.keys() != ports.keys():
        check_ports(view.names, data)
    found: dict[str, Value] = {}
    for name, port in ports.items():
        given = data[name]
        if port.dtype is not None and fits_as_it_is(given, port.dtype):
            found[name] = given
        else:
            found[name] = as_port_value(view.widened(given), port.kind, name)
    found.update(setting.feeds)
    return found


def seeds(setting: Setting, given: Any) -> dict[str, Any]:
    """Imposed gradients by output or inner value, class seeds as they are.

    Raises:
        InvalidRequest: as `resolve_of`; `invalid_field`, and what `as_port_array` raises.
    """
    if given is None:
        return {}
    names = setting.view.names
    if not isinstance(given, Mapping):
        raise _unnamed("output_gradients", names.outputs)
    resolved = resolve_of(names, None, given) if given else {}
    return {
        name: given[name]
        if class_seeds.is_class_seed(given[name])
        else as_port_array(
            setting.view.widened(given[name]), type_name(value.type), f"output_gradients.{name}"
        )
        for name, value in resolved.items()
    }


def tangents(setting: Setting, given: Any) -> dict[str, Array]:
    """Tangents by input port, parameter or inner value.

    Raises:
        InvalidRequest: `missing_tangents`, as `resolve_targets`, and what `as_port_array` raises.
    """
    if not isinstance(given, Mapping):
        raise _unnamed("tangents", setting.view.names.inputs)
    return {
        name: as_port_array(
            setting.view.widened(given[asked]), type_name(value.type), f"tangents.{name}"
        )
        for asked, (name, value) in resolve_tangents(setting.view.names, given).items()
    }


def imposed(
    setting: Setting,
    plan: Plan,
    data: Mapping[str, Value],
    given: Mapping[str, Any],
    directions: Mapping[str, Array] | None = None,
) -> dict[str, Array]:
    """Seeds and tangents under the names of their feeds; class seeds as the arrays they stand for.

    Tangents of input ports and parameters are checked against the shape of these.
    """
    if not given and not directions and not plan.stacked:
        return {}
    feeds = {SEED + name: _seed(setting, plan, data, name, s) for name, s in given.items()}
    feeds |= {TANGENT + name: tangent for name, tangent in (directions or {}).items()}
    stacks = {feed: array for feed, array in feeds.items() if plan.stacks(feed)}
    if plan.stacked:
        height(stacks)
    for name in directions or {}:
        feed = TANGENT + name
        count = len(feeds[feed]) if feed in stacks else None
        found = feeds[feed].shape if count is None else feeds[feed].shape[1:]
        known = shape(setting, data, name)
        if known is not None and found != known:
            raise wrong_shape(feed, known, found, exact=True, height=count)
    return feeds


def shape(setting: Setting, data: Mapping[str, Value], name: str) -> tuple[int, ...] | None:
    """The shape that a port or parameter has in a call; None for an inner value."""
    if name in data:
        return np.asarray(data[name]).shape
    value = setting.view.names.parameters.get(name)
    return None if value is None else shape_of(value)  # type: ignore[return-value]


def _seed(
    setting: Setting,
    plan: Plan,
    data: Mapping[str, Value],
    name: str,
    given: Any,
) -> Array:
    if not class_seeds.is_class_seed(given):
        seed: Array = given
        return seed
    executor, feed = setting.view.executor, SEED + name
    reading = read(executor.ports, data, setting.batch)
    if reading.kind == AS_IS:
        reading = executor.examples(reading, (name,), data) or reading
    shape, axis = executor.seen(name, data, reading)
    if axis is None and reading.kind == AS_IS and "index" in given and len(shape) == 2:
        axis = 0  # a class of each row, also where nothing proves that these are examples
    dtype = executor.dtype(name)
    return class_seeds.one_hot(given, shape, axis, dtype, field_of(feed), stacked=plan.stacks(feed))


def _bare_array(ports: Mapping[str, object]) -> InvalidRequest:
    return InvalidRequest(
        f"The net has {len(ports)} input ports, and the data name none.",
        code="missing_port",
        where="data",
        expected=f"an array for each of {listed(ports)}" if ports else "no arrays",
        found="a bare array",
        remedy="Send the arrays by the names of their ports.",
    )


def _unnamed(field: str, names: Mapping[str, object]) -> InvalidRequest:
    what = "outputs" if field == "output_gradients" else "values"
    return InvalidRequest(
        f"`{field}` does not name the {what} that it is imposed at.",
        code="invalid_field",
        where=field,
        expected="an array by the name of each",
        remedy=f"Name them: {listed(names)}." if names else None,
    )
