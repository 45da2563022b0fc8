"""Calls of a net made of callers' arguments, as `wire` sends them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from portgrad_client import named, safetensors, wire
from portgrad_client.answers import Answer, read
from portgrad_client.arguments import Settings, Wanted, check_settings, given, names, whole_number
from portgrad_client.casting import cast_data
from portgrad_client.described import Described
from portgrad_client.dtypes import ArrayLike
from portgrad_client.layout import PREFIXES, Kind
from portgrad_client.replies import Reply


def ask(net: Described, kind: Kind, data: ArrayLike, settings: Settings, **options: Any) -> Answer:
    """Send a call and read what is answered; arguments as those of `build`."""
    return read(send(net, kind, data, settings, **options), kind, net.outputs)


def send(net: Described, kind: Kind, data: ArrayLike, settings: Settings, **options: Any) -> Reply:
    """Send a call; arguments as those of `build`."""
    request = build(net, kind, data, settings, **options).request()
    return net.transport.post(f"{net.path}/{kind}", *request)


def build(
    net: Described,
    kind: Kind,
    data: ArrayLike,
    settings: Settings,
    *,
    output_gradients: Mapping[str, ArrayLike] | None = None,
    tangents: Mapping[str, ArrayLike] | None = None,
    stacked: bool = False,
    outputs: Wanted = None,
    **options: Any,
) -> wire.Call:
    """The call, its arrays cast and checked.

    Args:
        net: what is called.
        kind: which call.
        data: an array for each input port, or the bare array if there is one port.
        settings: how the net is run.
        output_gradients: arrays or chosen elements, by output or inner value.
        tangents: arrays by port, parameter or inner value.
        stacked: whether imposed arrays and tangents have an axis of their own first.
        outputs: what is given back besides.
        options: the other fields of the request; None stands for the service's default.

    Raises:
        InvalidRequestError: what was given does not fit the net.
        TypeError: an argument that no call takes.
    """
    check_settings(settings, kind)
    precision = settings.get("precision")
    ports = [named.at_precision(port, precision) for port in net.inputs]
    arrays: dict[str, Mapping[str, Any]] = {"data": cast_data(data, ports)}
    overridden = settings.get("parameters")
    if _are_some(overridden):
        arrays["parameters"] = named.overrides(overridden, net.parameters, precision)
    chosen: dict[str, Any] = {}
    if _are_some(output_gradients):
        imposed, chosen = named.seeds(output_gradients, net.outputs, precision)
        arrays["output_gradients"] = imposed
    if _are_some(tangents):
        at = (net.inputs, net.parameters, arrays["data"])
        arrays["tangents"] = named.tangents(tangents, *at, precision=precision, stacked=stacked)
    if options.get("wrt") == "inputs" and kind != "hvp":  # what the service takes by itself
        del options["wrt"]
    fields = given(
        **options,
        output_gradients=chosen or None,
        stacked=stacked or None,
        outputs=names(outputs),
        mode=settings.get("mode"),
        random_seed=whole_number(settings.get("random_seed"), "random_seed"),
        precision=precision,
        batch=settings.get("batch"),
    )
    taken = frozenset[str]() if arrays.keys() <= {"data", "parameters"} else net.taken
    return wire.Call(kind, arrays, fields, taken, _accept(net, kind, outputs, precision))


def _are_some(arrays: Mapping[str, ArrayLike] | None) -> TypeGuard[Mapping[str, ArrayLike]]:
    """Whether something was given; an array in place of a mapping is something, and refused."""
    return arrays is not None and not (isinstance(arrays, Mapping) and not arrays)


def _accept(net: Described, kind: Kind, outputs: Wanted, precision: str | None) -> str:
    """safetensors, unless what is asked for would not fit in it."""
    if kind == "gradcheck":  # a report, without arrays
        return wire.JSON
    ports = {port.name: named.at_precision(port, precision) for port in net.outputs}
    every = outputs is True or (outputs is None and kind == "evaluate")
    asked = list(ports) if every else [] if isinstance(outputs, bool) else outputs or []
    fits = all(
        not name.startswith(PREFIXES)
        and name != safetensors.METADATA
        and (name not in ports or safetensors.carries(ports[name].dtype))
        for name in asked
    )
    return safetensors.MEDIA_TYPE if fits else wire.JSON
