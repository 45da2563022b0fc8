"""What safetensors and npz share: arrays by name in one flat file, and what the names mean.

request   NAME          an input port; else a parameter, overridden for this call
          seed/NAME     a gradient imposed at an output or inner value
          tangent/NAME  a direction at a port, parameter or inner value
answer    NAME          an output or inner value
          grad/NAME     the gradient of a target; the prefixes of other calls are in `kinds`
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import orjson

from portgrad.codecs import options
from portgrad.codecs.arrays import Array
from portgrad.codecs.bounds import Bounds
from portgrad.codecs.kinds import DATA, FORMS, PARAMETERS, PREFIXES, SEEDS, TANGENTS
from portgrad.codecs.model import Answer, Buffer, Call, Codec, Encoding, Kind, Known
from portgrad.errors import InvalidRequest
from portgrad.graph.nearest import offer

_PREFIXES = tuple(PREFIXES.values())


def codec(
    media_type: str,
    read: Callable[[Buffer, Bounds], dict[str, Array]],
    write: Callable[[Mapping[str, Any], bytes], Buffer],
    *,
    weigh: Callable[[Buffer, Bounds], Iterator[int]] | None = None,
    write_pieces: Callable[[Mapping[str, Any], bytes], Iterator[Buffer]] | None = None,
) -> Codec:
    """A codec over a flat file of arrays.

    Args:
        media_type: what Content-Type and Accept call it.
        read: the arrays of a body, which may hold so much.
        write: the file of these arrays and of the JSON text beside them.
        weigh: what bodies unfold to, where they may be compressed.
        write_pieces: as `write`, a piece at a time.
    """

    def decode(body: Buffer, query: str | None, kind: Kind, known: Known, bounds: Bounds) -> Call:
        given, places, encoding = options.from_query(query, kind, bounds)
        arrays = _sorted(read(body, bounds), kind, known)
        for name in places.keys() & arrays.get(SEEDS, {}).keys():
            raise _imposed_twice(name)
        data = arrays.pop(DATA)
        if places:
            arrays[SEEDS] |= places
        return Call(data, arrays, given, encoding)

    def encode(answer: Answer, kind: Kind, _encoding: Encoding) -> Buffer:
        return write(_flat(answer, FORMS[kind].prefix), _about(answer, kind))

    def pieces(answer: Answer, kind: Kind, _encoding: Encoding) -> Iterator[Buffer]:
        assert write_pieces is not None
        return write_pieces(_flat(answer, FORMS[kind].prefix), _about(answer, kind))

    return Codec(
        media_type,
        decode,
        encode,
        flat=True,
        inflates=weigh is not None,
        weigh=weigh,
        pieces=pieces if write_pieces else None,
    )


def _sorted(arrays: Mapping[str, Array], kind: Kind, known: Known) -> dict[str, dict[str, Any]]:
    """The arrays by the field that each one belongs to, which its name tells."""
    inputs, parameters = known.inputs, known.parameters
    if all(name in inputs and not name.startswith(_PREFIXES) for name in arrays):
        return {field: dict(arrays) if field == DATA else {} for field in FORMS[kind].holding}
    at = {SEEDS: (known.outputs,), TANGENTS: (inputs, parameters)}
    fields = {prefix: f for f, prefix in PREFIXES.items() if f in FORMS[kind].arrays}
    found: dict[str, dict[str, Any]] = {field: {} for field in FORMS[kind].holding}
    for name, array in arrays.items():
        prefix = next(filter(name.startswith, fields), "")
        inner = name.removeprefix(prefix)
        taken = name in inputs or name in parameters
        if prefix and taken and any(inner in names for names in at[fields[prefix]]):
            raise _ambiguous(
                name, f"a port or parameter, and what `{fields[prefix]}` has {inner!r} for"
            )
        if name in inputs:
            found[DATA][name] = array
        elif name in parameters:
            found[PARAMETERS][name] = array
        elif prefix:
            found[fields[prefix]][inner] = array
        else:
            raise _unknown(name, {*inputs}, {*parameters}, fields)
    return found


def _about(answer: Answer, kind: Kind) -> bytes:
    """The rest of the answer, with the names that place each array."""
    form = FORMS[kind]
    if not form.nested:
        return orjson.dumps({**answer.about})
    named = {form.prefix + "/".join(place): place for place in answer.derivatives}
    blocks = {name: list(place) for name, place in named.items()}
    return orjson.dumps({**answer.about, "blocks": blocks})


def _flat(answer: Answer, prefix: str) -> dict[str, Any]:
    """All arrays under the names that they have in the file."""
    arrays: dict[str, Any] = {}
    for place, array in answer.derivatives.items():
        name = prefix + "/".join(place)
        if name in arrays:  # such as a/b/c, of b/c and c
            raise _ambiguous(name, "several pairs of names come to it")
        arrays[name] = array
    for name, array in answer.outputs.items():
        if name in arrays:
            raise _ambiguous(name, "the output of that name, and a derivative")
        arrays[name] = array
    return arrays


def _ambiguous(name: str, readings: str) -> InvalidRequest:
    return InvalidRequest(
        f"The array name {name!r} has two readings: {readings}.",
        code="ambiguous_name",
        where=name,
        remedy="Use application/json, where ports and gradients have fields of their own.",
    )


def _imposed_twice(name: str) -> InvalidRequest:
    return InvalidRequest(
        f"A gradient is imposed at {name!r} twice: in the body and in `options`.",
        code="invalid_field",
        where=f"{SEEDS}.{name}",
        remedy="Send the one that is meant.",
    )


def _unknown(
    name: str, inputs: set[str], parameters: set[str], prefixes: Iterable[str]
) -> InvalidRequest:
    others = ", ".join(f"{prefix}NAME" for prefix in prefixes)
    return InvalidRequest(
        f"The net has no input port or parameter {name!r}.",
        code="unknown_port",
        where=name,
        expected=", ".join(sorted(inputs)) or "no arrays",
        remedy=offer(name, inputs | parameters)
        or "Name arrays after input ports and parameters"
        + (f"; others are named {others}." if others else "."),
    )
