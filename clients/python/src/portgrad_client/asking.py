"""`net(data, properties)`: what it asks for, sent as calls of `evaluate` and `gradient`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from portgrad_client.dtypes import ArrayLike
from portgrad_client.errors import InvalidRequestError
from portgrad_client.notation import All, NetPortGradient

if TYPE_CHECKING:
    from portgrad_client.net import Net

Property: TypeAlias = str | NetPortGradient
Properties: TypeAlias = Property | list[Property] | None


def ask(net: Net, data: ArrayLike, properties: Properties) -> Any:
    """The answer to `net(data, properties)`."""
    ports, imposed = _split(data)
    if properties is None:
        _refuse_idle(imposed)
        outputs = net.evaluate(ports)
        return next(iter(outputs.values())) if len(net.outputs) == 1 else outputs
    if isinstance(properties, list):
        return _several(net, ports, imposed, properties)
    return _several(net, ports, imposed, [properties])[properties]


def _split(data: ArrayLike) -> tuple[ArrayLike, dict[str, ArrayLike]]:
    """The data by port, and the gradients that their NetPortGradient keys impose."""
    if not isinstance(data, Mapping):
        return data, {}
    imposed = {
        _imposed_at(key): value for key, value in data.items() if isinstance(key, NetPortGradient)
    }
    ports = {key: value for key, value in data.items() if not isinstance(key, NetPortGradient)}
    return ports, imposed


def _imposed_at(key: NetPortGradient) -> str:
    if isinstance(key.port, str):
        return key.port
    raise InvalidRequestError(
        "A gradient is imposed at one port or inner value, by its name.",
        code="invalid_target",
        where=repr(key),
        expected='such as NetPortGradient("Output")',
        remedy="Name the inner value instead of its path.",
    )


def _several(
    net: Net, data: ArrayLike, imposed: Mapping[str, ArrayLike], asked: list[Property]
) -> dict[Property, Any]:
    names = [item for item in asked if isinstance(item, str)]
    gradients = [item for item in asked if isinstance(item, NetPortGradient)]
    if len(names) + len(gradients) < len(asked):
        raise _no_property(asked)
    if not gradients:
        _refuse_idle(imposed)
        found: Mapping[Any, Any] = net.evaluate(data, outputs=names)
    else:
        found = _gradients(net, data, imposed, gradients, names)
    return {item: found[item] for item in asked}


def _gradients(
    net: Net,
    data: ArrayLike,
    imposed: Mapping[str, ArrayLike],
    asked: list[NetPortGradient],
    names: list[str],
) -> dict[Property, Any]:
    """The gradients and outputs that were asked for. `All` is a group, and a call of its own."""
    found: dict[Property, Any] = {}
    others = [item for item in asked if item.port is not All]
    calls: list[str | list[str | list[str]]] = [[item.target for item in others]] if others else []
    calls += ["all"] if len(others) < len(asked) else []
    for position, wrt in enumerate(calls):
        outputs = names if names and position == 0 else None
        answer = net.gradient(data, wrt=wrt, output_gradients=imposed, outputs=outputs)
        found.update(answer.outputs)
        if wrt == "all":
            found[NetPortGradient(All)] = answer
        else:
            found.update((i, answer[t]) for i, t in zip(others, answer.targets, strict=True))
    return found


def _refuse_idle(imposed: Mapping[str, ArrayLike]) -> None:
    if imposed:
        raise InvalidRequestError(
            "A gradient is imposed, and no gradient is asked for.",
            code="no_gradient_asked",
            where=", ".join(imposed),
            remedy='Add what you want as the second argument: NetPortGradient("Input").',
        )


def _no_property(asked: list[Any]) -> InvalidRequestError:
    strange = [item for item in asked if not isinstance(item, str | NetPortGradient)]
    return InvalidRequestError(
        "A net has no such property.",
        code="invalid_target",
        expected="names of outputs, NetPortGradient, or a list of these",
        found=repr(strange[0])[:80],
    )
