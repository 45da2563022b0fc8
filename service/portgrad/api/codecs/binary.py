"""What safetensors and npz share: arrays by name in one flat file, and what the names mean.

request   NAME       an input port; else a parameter, to be overridden for this call
          seed/NAME  a gradient imposed at an output or inner value
answer    NAME       an output or inner value
          grad/NAME  the gradient of a target
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from portgrad.api.codecs import options
from portgrad.api.codecs.arrays import Array
from portgrad.api.codecs.kinds import DATA, FORMS, PREFIXES, SEEDS
from portgrad.api.codecs.model import Call, Codec, Encoding
from portgrad.compute.jobs import Answer, Description, Kind
from portgrad.errors import InvalidRequest, NotBuilt
from portgrad.graph.nearest import offer


def codec(
    media_type: str,
    read: Callable[[bytes, int], dict[str, Array]],
    write: Callable[[Mapping[str, Any], bytes], bytes],
    *,
    inflates: bool = False,
) -> Codec:
    """A codec over a flat file of arrays.

    Args:
        media_type: what Content-Type and Accept call it.
        read: the arrays of a body that may unfold to so many bytes.
        write: the file of these arrays and of the JSON text beside them.
        inflates: whether bodies may be compressed.
    """

    def decode(
        body: bytes, query: str | None, kind: Kind, description: Description, limit: int
    ) -> Call:
        given, encoding = options.from_query(query, kind)
        arrays = _sort(read(body, limit), kind, description)
        return Call(arrays.pop(DATA), arrays, given, encoding)

    def encode(answer: Answer, kind: Kind, _encoding: Encoding) -> bytes:
        return write(_flat(answer, FORMS[kind].prefix), orjson.dumps(answer.about))

    return Codec(media_type, decode, encode, inflates)


def _names(entries: Iterable[Mapping[str, Any]]) -> set[str]:
    return {entry["name"] for entry in entries}


def _sort(
    arrays: Mapping[str, Array], kind: Kind, description: Description
) -> dict[str, dict[str, Array]]:
    """The arrays by the field that each one belongs to, which its name tells."""
    fields = FORMS[kind].arrays
    sorted_: dict[str, dict[str, Array]] = {field: {} for field in fields}
    inputs, parameters = _names(description["inputs"]), _names(description["parameters"])
    known = {SEEDS: _names(description["outputs"])}
    prefixes = {field: PREFIXES[field] for field in fields if field in PREFIXES}
    for name, array in arrays.items():
        field = next((f for f, prefix in prefixes.items() if name.startswith(prefix)), None)
        inner = name.removeprefix(prefixes[field]) if field else name
        if field and inner in known[field] and name in inputs | parameters:
            raise _ambiguous(name, f"a port or parameter of that name, and one for {inner!r}")
        if name in inputs:
            sorted_[DATA][name] = array
        elif name in parameters:
            raise NotBuilt(
                f"{name!r} is a parameter; overriding parameters is designed, but not built yet.",
                where=name,
                remedy="Leave the array out for now.",
            )
        elif field:
            sorted_[field][inner] = array
        else:
            raise _unknown(name, inputs)
    return sorted_


def _flat(answer: Answer, prefix: str) -> dict[str, Any]:
    arrays = {prefix + place[-1]: array for place, array in answer.derivatives.items()}
    for name, array in answer.outputs.items():
        if name in arrays:
            raise _ambiguous(name, "the output of that name, and what was found for it")
        arrays[name] = array
    return arrays


def _ambiguous(name: str, readings: str) -> InvalidRequest:
    return InvalidRequest(
        f"The array name {name!r} has two readings: {readings}.",
        code="ambiguous_name",
        where=name,
        remedy="Use application/json, where ports and gradients have fields of their own.",
    )


def _unknown(name: str, known: Iterable[str]) -> InvalidRequest:
    return InvalidRequest(
        f"The net has no input port {name!r}.",
        code="unknown_port",
        where=name,
        expected=", ".join(sorted(known)) or "no arrays",
        remedy=offer(name, known)
        or "Name arrays after input ports; a gradient to impose is named seed/NAME.",
    )
