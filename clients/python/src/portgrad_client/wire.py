"""Calls written as requests, and answers read: safetensors wherever it can, else JSON.

request   NAME       data for an input port          answer    NAME       an output or inner value
          seed/NAME  an imposed gradient                       grad/NAME  a gradient

The options travel in the query parameter `options`, the rest of the answer in the metadata of the
file. JSON takes over where an array has no code in safetensors, where a name would have two
readings, and where the options are too long for a URL.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

import httpx
import numpy as np

from portgrad_client import safetensors
from portgrad_client.dtypes import Array, dtype_named, from_bytes, little_endian
from portgrad_client.errors import InvalidAnswerError

JSON = "application/json"
SEED, GRAD = "seed/", "grad/"
# Proxies refuse URLs beyond 8 KiB; half of that is left to the path and the other headers.
LONGEST_QUERY = 4096
_ARRAY_KEYS = {"dtype", "shape", "data"}

Kind = Literal["evaluate", "gradient"]


@dataclass(frozen=True)
class Call:
    """One call, its arrays cast.

    Attributes:
        kind: evaluate or gradient.
        data: by input port; what is no array travels as JSON, as it is.
        seeds: imposed gradients by output or inner value.
        options: the other fields of the request.
        taken: names of the net's input ports and parameters, which an array may not mean besides.
        accept: the media type of the answer.
    """

    kind: Kind
    data: Mapping[str, Any]
    seeds: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()
    accept: str = safetensors.MEDIA_TYPE

    def request(self) -> dict[str, Any]:
        """What httpx needs of it: content, headers, params."""
        options = dict(self.options)
        if self.accept == JSON:
            options["encoding"] = "base64"
        query = json.dumps(options, separators=(",", ":")) if options else ""
        arrays = {**self.data, **{SEED + name: seed for name, seed in self.seeds.items()}}
        if len(quote(query)) > LONGEST_QUERY or not self._is_flat(arrays):
            return self._as_json(options)
        return {
            "content": safetensors.encode(arrays),
            "headers": {"Content-Type": safetensors.MEDIA_TYPE, "Accept": self.accept},
            "params": {"options": query} if query else {},
        }

    def _is_flat(self, arrays: Mapping[str, Any]) -> bool:
        """Whether one safetensors file can hold all arrays, under names with one reading each."""
        named_once = not any(SEED + name in self.taken for name in self.seeds)
        return named_once and safetensors.METADATA not in arrays and all(
            isinstance(array, np.ndarray) and safetensors.carries(array.dtype.name)
            for array in arrays.values()
        )  # fmt: skip

    def _as_json(self, options: Mapping[str, Any]) -> dict[str, Any]:
        body = {"data": {name: _plain(value) for name, value in self.data.items()}, **options}
        if self.seeds:
            body["output_gradients"] = {name: _plain(seed) for name, seed in self.seeds.items()}
        return {
            "content": json.dumps(body, separators=(",", ":"), allow_nan=False).encode(),
            "headers": {"Content-Type": JSON, "Accept": self.accept},
        }


def _plain(value: Any) -> Any:
    """A value as JSON: arrays as objects with their bytes, numbers that JSON has not as names."""
    if isinstance(value, np.ndarray | np.generic):
        return _as_object(np.asarray(value)) if value.dtype.kind not in "OUT" else value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _as_object(array: Array) -> dict[str, Any]:
    data = base64.b64encode(little_endian(array).tobytes()).decode("ascii")
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": data}


@dataclass(frozen=True)
class Answer:
    """An answer read: arrays by name, and the rest of it."""

    outputs: Mapping[str, Any]
    gradients: Mapping[str, Array]
    targets: tuple[str, ...]
    none: Mapping[str, str]
    warnings: tuple[str, ...]
    timings: Mapping[str, float]
    request_id: str | None


def read(response: httpx.Response) -> Answer:
    """Read the answer of a call.

    Raises:
        InvalidAnswerError: it is not what Portgrad sends.
        DtypeUnavailableError: an array has a dtype that needs ml_dtypes.
    """
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    readers = {safetensors.MEDIA_TYPE: _from_safetensors, JSON: _from_json}
    if kind not in readers:
        raise InvalidAnswerError(
            "The answer is in no format of Portgrad's.",
            expected=" or ".join(readers),
            found=kind or "no Content-Type",
            remedy="Check that the address is that of a Portgrad service.",
        )
    try:
        outputs, gradients, rest = readers[kind](response.content)
        return Answer(
            outputs,
            gradients,
            tuple(rest.get("targets", ())),
            {entry["name"]: entry["reason"] for entry in rest.get("none", ())},
            tuple(rest["warnings"]),
            timings(response.headers.get("server-timing", "")),
            response.headers.get("x-request-id"),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidAnswerError(
            "The answer does not have the fields of Portgrad's.",
            found=f"{type(error).__name__}: {error}",
            remedy="Check that client and service are of the same release.",
        ) from error


def _from_safetensors(body: bytes) -> tuple[dict[str, Any], dict[str, Array], dict[str, Any]]:
    arrays, metadata = safetensors.decode(body)
    rest = json.loads(metadata["answer"])
    # In the order of the targets: the file keeps none of its own.
    names = dict.fromkeys(rest.get("targets", ()))
    gradients = {name: arrays.pop(GRAD + name) for name in names}
    return arrays, gradients, rest


def _from_json(body: bytes) -> tuple[dict[str, Any], dict[str, Array], dict[str, Any]]:
    rest = json.loads(body)
    outputs = {name: _value(item) for name, item in rest.pop("outputs", {}).items()}
    gradients = {name: _value(item) for name, item in rest.pop("gradients", {}).items()}
    return outputs, gradients, rest


def _value(item: Any) -> Any:
    """An array from its object; lists, which hold strings and sequences, as they are."""
    if not isinstance(item, dict) or item.keys() != _ARRAY_KEYS:
        return item
    raw = binascii.a2b_base64(item["data"])
    return from_bytes(raw, dtype_named(item["dtype"]), item["shape"])


def timings(header: str) -> dict[str, float]:
    """Seconds by stage from a Server-Timing header, whose durations are milliseconds."""
    stages: dict[str, float] = {}
    for metric in header.split(","):
        name, *parameters = (part.strip() for part in metric.split(";"))
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key == "dur":
                stages[name] = float(value) / 1000
    return stages
