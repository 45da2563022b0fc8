"""What a request names, resolved against a net: `wrt`, `of`, `outputs`, the ports of `data`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import onnx_ir as ir

from portgrad.errors import InvalidRequest
from portgrad.graph.names import Names
from portgrad.graph.nearest import listed, offer

GROUPS = ("inputs", "parameters", "all")


@dataclass(frozen=True)
class Targets:
    """What `wrt` means.

    Attributes:
        asked: the name of the tensor for each item asked, in order, repeated where asked twice.
        values: each tensor once, by name.
        none: what a group left out because it has no gradient, by name, with the reason.
    """

    asked: tuple[str, ...]
    values: Mapping[str, ir.Value]
    none: Mapping[str, str]


def resolve_targets(names: Names, wrt: Any = "inputs") -> Targets:
    """Resolve `wrt`: a group word, a name, or a list of names and paths.

    Raises:
        InvalidRequest: `invalid_field`, `unknown_name`, `ambiguous_path`, `no_gradient` for a
            tensor asked for that has none, `empty_targets`.
    """
    if isinstance(wrt, str) and wrt in GROUPS:
        return _group(names, wrt)
    values = _resolve_items(names, wrt, "wrt")
    if not values:
        _refuse_empty(names, "The list `wrt` is empty.")
    for where, value in values:
        _require_gradient(names, value, where)
    asked = tuple(names.name(value) for _, value in values)
    return Targets(asked, {names.name(value): value for _, value in values}, {})


def resolve_tangents(names: Names, given: Iterable[str]) -> dict[str, tuple[str, ir.Value]]:
    """What tangents are given at: the name and the tensor for each key.

    Raises:
        InvalidRequest: `missing_tangents` for none, and as `resolve_targets`.
    """
    found = {}
    for key in given:
        value = names.resolve(key, f"tangents.{key}")
        _require_gradient(names, value, f"tangents.{key}")
        found[key] = (names.name(value), value)
    if not found:
        raise InvalidRequest(
            "The call has no tangents.",
            code="missing_tangents",
            where="tangents",
            expected="an array by the name of at least one input port, parameter or inner value",
            remedy="Send an array, shaped like what it is at (in a binary body it is called "
            "tangent/NAME)."
            + (f" The input ports are {listed(names.inputs)}." if names.inputs else ""),
        )
    return found


def resolve_of(names: Names, of: Any = None, imposed: Collection[str] = ()) -> dict[str, ir.Value]:
    """What is summed, by name: the output ports or inner values that the gradient is of.

    Args:
        names: the net's names.
        of: a name, a list of names and paths, or None: what is imposed, else all floating outputs.
        imposed: the names in `output_gradients`.

    Raises:
        InvalidRequest: as `resolve_targets`; `not_an_output` for an input port or a parameter;
            `imposed_outside_of` for an imposed gradient at what `of` leaves out; `empty_of`.
    """
    seeds = dict(_summand(names, name, f"output_gradients.{name}") for name in imposed)
    if of is None:
        summed = seeds or _floating_outputs(names)
    else:
        summed = dict(_summand(names, *item) for item in _items(of, "of"))
    if not summed:
        _refuse_nothing_summed(of)
    _require_within(seeds, summed)
    return summed


def resolve_outputs(names: Names, outputs: Any) -> dict[str, ir.Value]:
    """The values to answer with, by name: all output ports for True, none for False, or a list.

    Raises:
        InvalidRequest: `invalid_field`, `unknown_name`, `ambiguous_path`, `not_an_output`.
    """
    if isinstance(outputs, bool):
        return dict(names.outputs) if outputs else {}
    resolved = _resolve_items(names, outputs, "outputs")
    return {_computed(names, value, where): value for where, value in resolved}


def check_ports(names: Names, given: Iterable[str]) -> None:
    """Check that data came for every input port and for nothing else.

    Raises:
        InvalidRequest: `unknown_port`, with the nearest names, or `missing_port`.
    """
    given = list(given)
    missing = [name for name in names.inputs if name not in given]
    for name in given:
        if name not in names.inputs:
            _refuse_port(names, name, missing)
    if missing:
        raise InvalidRequest(
            f"No data came for the input port {listed(missing)}.",
            code="missing_port",
            where=missing[0],
            expected=f"an array for each of {listed(names.inputs)}",
            found=f"arrays for {listed(given)}" if given else "no arrays",
            remedy=f"Add {listed(missing)} to the data.",
        )


def _group(names: Names, word: str) -> Targets:
    members = dict(names.inputs) if word in {"inputs", "all"} else {}
    members |= names.parameters if word in {"parameters", "all"} else {}
    reasons = {name: names.none_reason(value) for name, value in members.items()}
    values = {name: value for name, value in members.items() if reasons[name] is None}
    if not values:
        _refuse_empty(names, f'The group "{word}" of this net holds nothing that has a gradient.')
    none = {name: reason for name, reason in reasons.items() if reason is not None}
    return Targets(tuple(values), values, none)


def _items(given: Any, field: str) -> list[tuple[Any, str]]:
    """The names and paths of a field, each with its position."""
    if isinstance(given, str):
        return [(given, field)]
    if isinstance(given, list | tuple):
        return [(item, f"{field}[{i}]") for i, item in enumerate(given)]
    raise InvalidRequest(
        f"`{field}` is neither a name nor a list.",
        code="invalid_field",
        where=field,
        expected="a name, or a list of names and paths",
        found=repr(given)[:80],
        remedy='Give a name, such as "input", or a list, such as ["input", ["layer1", "weight"]].',
    )


def _resolve_items(names: Names, given: Any, field: str) -> list[tuple[str, ir.Value]]:
    items = _items(given, field)
    try:
        return [(where, names.resolve(item, where)) for item, where in items]
    except InvalidRequest as error:
        if error.code == "unknown_name" and field == "wrt":
            error.remedy = _misread(names, given) or error.remedy
            if isinstance(given, str):
                error.expected = f"{listed(GROUPS, 'or')}, or {error.expected}"
        raise


def _misread(names: Names, given: Any) -> str | None:
    """What to do for a group word or a path that the notation makes a name."""
    if isinstance(given, str):
        return offer(given, GROUPS) if offer(given, names.inputs) is None else None
    strings = [item for item in given if isinstance(item, str)]
    if len(strings) == len(given) and names.readings(strings):
        return f"If this is one path, put it in a list of its own: {[strings]}."
    group = next((item for item in strings if item in GROUPS), None)
    return (
        f'In a list every string is a name; for the group, give "{group}" alone.' if group else None
    )


def _require_gradient(names: Names, value: ir.Value, where: str) -> None:
    reason = names.none_reason(value)
    if reason is None:
        return
    near = names.nearest_floating([value])
    raise InvalidRequest(
        f"`{names.name(value)}` has no gradient: {reason}.",
        code="no_gradient",
        where=where,
        expected="a floating tensor that carries a gradient",
        found=reason,
        remedy=f"The nearest values that have one: {listed(near)}." if near else None,
    )


def _computed(names: Names, value: ir.Value, where: str) -> str:
    name = names.name(value)
    if name in names.outputs or names.is_inner(value):
        return name
    kind = "an input port" if name in names.inputs else "no value that the main graph computes"
    raise InvalidRequest(
        f"`{name}` is {kind}.",
        code="not_an_output",
        where=where,
        expected="an output port or an inner value",
        found=f"`{name}`",
        remedy=f"The output ports are {listed(names.outputs)}." if names.outputs else None,
    )


def _summand(names: Names, item: Any, where: str) -> tuple[str, ir.Value]:
    value = names.resolve(item, where)
    name = _computed(names, value, where)
    _require_gradient(names, value, where)
    return name, value


def _floating_outputs(names: Names) -> dict[str, ir.Value]:
    return {name: v for name, v in names.outputs.items() if names.none_reason(v) is None}


def _require_within(seeds: Mapping[str, ir.Value], summed: Mapping[str, ir.Value]) -> None:
    outside = [name for name in seeds if name not in summed]
    if outside:
        raise InvalidRequest(
            f"A gradient is imposed at {listed(outside)}, which `of` leaves out.",
            code="imposed_outside_of",
            where=f"output_gradients.{outside[0]}",
            expected="everything imposed to be named in `of`",
            found=f"`of` names {listed(summed)}",
            remedy=f"Add {listed(outside)} to `of`, or leave `of` out.",
        )


def _refuse_nothing_summed(of: Any) -> NoReturn:
    empty = "The list `of` is empty." if of is not None else "This net has no floating output port."
    raise InvalidRequest(
        f"{empty} There is nothing to take the gradient of.",
        code="empty_of",
        where="of",
        expected="at least one floating output port or inner value",
        remedy="Name one in `of`.",
    )


def _refuse_empty(names: Names, detail: str) -> NoReturn:
    near = names.nearest_floating(_sources_first_integers(names))
    raise InvalidRequest(
        detail,
        code="empty_targets",
        where="wrt",
        expected="at least one tensor that has a gradient",
        remedy=_instead(names, near),
    )


def _instead(names: Names, near: list[str]) -> str:
    """What to ask for where nothing that was asked for has a gradient."""
    if near:
        return f"The nearest values that have one: {listed(near)}."
    if any(names.none_reason(value) is None for value in names.parameters.values()):
        return 'Ask for "parameters".'
    return "Ask for values inside, by name, if any of them are floating."


def _sources_first_integers(names: Names) -> list[ir.Value]:
    ports = names.inputs.values()
    return sorted(ports, key=lambda port: names.none_reason(port) is None)


def _refuse_port(names: Names, name: str, missing: list[str]) -> NoReturn:
    kind = "a parameter" if name in names.parameters else "no input port"
    raise InvalidRequest(
        f"Data came for `{name}`, which is {kind} of this net.",
        code="unknown_port",
        where=name,
        expected=f"data for {listed(names.inputs)}" if names.inputs else "no data",
        found=f"`{name}`",
        remedy=offer(name, missing) or offer(name, names.inputs) or f"Leave `{name}` out.",
    )
