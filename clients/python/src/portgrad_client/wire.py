"""Calls written as requests: safetensors wherever it can, else JSON.

`layout` says how arrays are called. The options travel in the query parameter `options`. JSON
takes over where an array has no code in safetensors, where a name would have two readings, and
where the options are too long for a URL. `answers` reads what comes back.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np

from portgrad_client import safetensors
from portgrad_client.dtypes import Array, little_endian, name_of
from portgrad_client.exchange import Buffer
from portgrad_client.layout import REQUEST, Kind

JSON = "application/json"
# Proxies refuse URLs beyond 8 KiB; half of that is left to the path and the other headers.
LONGEST_QUERY = 4096


class Request(NamedTuple):
    """A call as it is sent.

    Attributes:
        body: its bytes, in pieces.
        headers: what tells of them, and of the answer.
        query: what follows the path, as it stands in an address.
    """

    body: Sequence[Buffer]
    headers: Mapping[str, str]
    query: str = ""


@dataclass(frozen=True)
class Call:
    """One call, its arrays cast.

    Attributes:
        kind: the last part of its path.
        arrays: by field of the request, then by name; what is no array travels as JSON, as it is.
        options: the other fields of the request. `output_gradients` may be among them with what
            holds no arrays, besides those in `arrays`.
        taken: names of the net's input ports and parameters, which an array may not mean besides.
        accept: the media type of the answer.
    """

    kind: Kind
    arrays: Mapping[str, Mapping[str, Any]]
    options: Mapping[str, Any] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()
    accept: str = safetensors.MEDIA_TYPE

    def request(self) -> Request:
        """What is sent of it."""
        options = dict(self.options)
        if self.accept == JSON:
            options["encoding"] = "base64"
        query = json.dumps(options, separators=(",", ":")) if options else ""
        flat = self._flat()
        quoted = f"options={quote(query, safe='')}" if query else ""
        if flat is None or len(quoted) > LONGEST_QUERY:
            return self._as_json(options)
        headers = {"Content-Type": safetensors.MEDIA_TYPE, "Accept": self.accept}
        return Request(safetensors.pieces(flat), headers, quoted)

    def _flat(self) -> dict[str, Array] | None:
        """All arrays for one safetensors file, or None where it cannot hold them.

        It can where each has a code there, and each name has one reading.
        """
        flat: dict[str, Array] = {}
        for group, arrays in self.arrays.items():
            prefix = REQUEST[group]
            for name, array in arrays.items():
                carried = isinstance(array, np.ndarray) and safetensors.carries(
                    name_of(array.dtype)
                )
                if not carried or (prefix and prefix + name in self.taken):
                    return None
                flat[prefix + name] = array
        return None if safetensors.METADATA in flat else flat

    def _as_json(self, options: Mapping[str, Any]) -> Request:
        body = dict(options)
        for group, arrays in self.arrays.items():
            if arrays or group == "data":
                body[group] = {**body.get(group, {}), **_plain(arrays)}
        text = json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
        return Request([text], {"Content-Type": JSON, "Accept": self.accept})


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
