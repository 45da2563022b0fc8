"""Answers of calls read, whichever format they came in; `layout` says how arrays are called."""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from portgrad_client import safetensors
from portgrad_client.casting import output
from portgrad_client.description import Port
from portgrad_client.dtypes import dtype_named, from_bytes
from portgrad_client.errors import InvalidAnswerError
from portgrad_client.exchange import Buffer
from portgrad_client.layout import ANSWER, Group, Kind
from portgrad_client.replies import Reply
from portgrad_client.results import Outputs
from portgrad_client.wire import JSON

_DURATION = re.compile(r"([^,;\s]+)\s*;(?:[^,]*;)?\s*dur\s*=\s*(\d+(?:\.\d*)?)")
# So many texts of answers are kept, of at most so many characters.
_KEPT, _MOST_KEPT = 64, 4096
_ARRAY_KEYS = {"dtype", "shape", "data"}
# Outputs, what was computed, and the other fields.
_Parts = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]


@dataclass(frozen=True)
class Answer:
    """An answer read.

    Attributes:
        outputs: the outputs that came.
        found: what the call computes: arrays by name, or by two names.
        told: what comes with calls of this kind alone, by field.
        diagnostics: what was asked for with `diagnostics`.
        beside: what every answer has, outputs among them.
        targeted: what every answer with respect to targets has.
    """

    outputs: Outputs
    found: Mapping[str, Any]
    told: Mapping[str, Any]
    diagnostics: Mapping[str, Any] | None
    beside: Mapping[str, Any]
    targeted: Mapping[str, Any]


def read(reply: Reply, kind: Kind, ports: Sequence[Port]) -> Answer:
    """Read the answer of a call.

    Args:
        reply: the answer.
        kind: which call it answers.
        ports: the net's output ports.

    Raises:
        InvalidAnswerError: it is not what Portgrad sends.
        DtypeUnavailableError: an array has a dtype that needs ml_dtypes.
    """
    reader = _reader(reply)
    group = ANSWER.get(kind)
    try:
        arrays, found, rest = reader(reply.content, group)
        common: dict[str, Any] = {
            "warnings": tuple(rest["warnings"]),
            "random_seed": rest.get("random_seed"),
            "timings": Timings(reply.headers.get("server-timing", "")),
            "request_id": reply.headers.get("x-request-id"),
        }
        outputs = Outputs(_as_arrays(_in_order(arrays, ports), ports), **common)
        beside = {"outputs": outputs, **common}
        none = {entry["name"]: entry["reason"] for entry in rest.get("none", ())}
        return Answer(
            outputs,
            _in_order(found, ports) if kind == "jvp" else found,
            {name: rest[name] for name in (group.tells if group else ())},
            deepcopy(rest.get("diagnostics")),
            beside,
            {"targets": tuple(rest.get("targets", ())), "none": none, **beside},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidAnswerError(
            "The answer does not have the fields of Portgrad's.",
            found=f"{type(error).__name__}: {error}",
            remedy="Check that client and service are of the same release.",
        ) from error


def _in_order(found: Mapping[str, Any], ports: Sequence[Port]) -> dict[str, Any]:
    """Outputs in the order of the ports, then inner values: a flat file has an order of its own."""
    first = [port.name for port in ports if port.name in found]
    return {name: found[name] for name in dict.fromkeys((*first, *found))}


def _as_arrays(values: Mapping[str, Any], ports: Sequence[Port]) -> dict[str, Any]:
    """Outputs as the arrays they are, where they came as lists for want of bytes of their own."""
    known = {port.name: port for port in ports}
    return {name: output(value, known.get(name)) for name, value in values.items()}


def _reader(reply: Reply) -> Callable[[Buffer, Group | None], _Parts]:
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    readers = {safetensors.MEDIA_TYPE: _from_safetensors, JSON: _from_json}
    if kind in readers:
        return readers[kind]
    raise InvalidAnswerError(
        "The answer is in no format of Portgrad's.",
        expected=" or ".join(readers),
        found=kind or "no Content-Type",
        remedy="Check that the address is that of a Portgrad service.",
    )


def _from_safetensors(body: Buffer, group: Group | None) -> _Parts:
    arrays, metadata = safetensors.decode(body)
    text = metadata["answer"]
    rest = (_told if len(text) <= _MOST_KEPT else _told.__wrapped__)(text)
    found: dict[str, Any] = {}
    if group is None:
        return arrays, found, rest
    if group.nested:
        for name, (of, wrt) in rest["blocks"].items():
            found.setdefault(of, {})[wrt] = arrays.pop(name)
    elif "targets" in rest:  # in their order: the file keeps none of its own
        found = {name: arrays.pop(group.prefix + name) for name in dict.fromkeys(rest["targets"])}
    else:
        prefixed = [name for name in arrays if name.startswith(group.prefix)]
        found = {name.removeprefix(group.prefix): arrays.pop(name) for name in prefixed}
    return arrays, found, rest


@lru_cache(_KEPT)
def _told(text: str) -> dict[str, Any]:
    """The rest of an answer, which is shared: nothing of it that can change is handed out."""
    rest: dict[str, Any] = json.loads(text)
    return rest


def _from_json(body: Buffer, group: Group | None) -> _Parts:
    rest = json.loads(bytes(body))
    outputs = {name: _value(item) for name, item in rest.pop("outputs", {}).items()}
    found = rest.pop(group.field) if group else {}
    if group and group.nested:
        return outputs, {of: _values(blocks) for of, blocks in found.items()}, rest
    return outputs, _values(found), rest


def _values(items: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(item) for name, item in items.items()}


def _value(item: Any) -> Any:
    """An array from its object; lists, which hold strings and sequences, as they are."""
    if not isinstance(item, dict) or item.keys() != _ARRAY_KEYS:
        return item
    raw = binascii.a2b_base64(item["data"])
    return from_bytes(raw, dtype_named(item["dtype"]), item["shape"])


class Timings(Mapping[str, float]):
    """Seconds by stage from a Server-Timing header, which is read when somebody asks.

    Args:
        header: it, whose durations are milliseconds.
    """

    def __init__(self, header: str) -> None:
        self._header = header

    @cached_property
    def _seconds(self) -> dict[str, float]:
        return {
            stage: float(duration) / 1000 for stage, duration in _DURATION.findall(self._header)
        }

    def __getitem__(self, stage: str) -> float:
        return self._seconds[stage]

    def __iter__(self) -> Iterator[str]:
        return iter(self._seconds)

    def __len__(self) -> int:
        return len(self._seconds)

    def __repr__(self) -> str:
        return repr(self._seconds)
