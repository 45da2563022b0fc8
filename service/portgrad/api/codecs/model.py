"""What a codec reads and writes, whatever the format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from portgrad.api.codecs.bounds import Bounds
from portgrad.compute.jobs import Answer, ArrayLike, Description, Kind, Seed

Encoding = Literal["lists", "base64"]


@dataclass(frozen=True)
class Call:
    """A body once it is read: plain data, nothing checked against the net but names.

    `arrays` holds those beside the data: by the field that they belong to, then by name.
    """

    data: Mapping[str, ArrayLike] | ArrayLike
    arrays: Mapping[str, Mapping[str, Seed]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    encoding: Encoding = "lists"


@dataclass(frozen=True)
class Codec:
    """One format, both ways.

    `decode` takes the body, the query parameter `options`, the kind of call, the net's
    description and the most that the call may hold. `encode` takes the answer, the kind of call
    and the encoding of arrays, which only JSON heeds. A body that `inflates` may be much more work
    than its size tells. `setting` names the one that bounds its bodies. `pieces` writes as `encode`
    does, but a piece at a time, where a format can; what it refuses, it refuses at once.
    """

    media_type: str
    decode: Callable[[bytes, str | None, Kind, Description, Bounds], Call]
    encode: Callable[[Answer, Kind, Encoding], bytes]
    inflates: bool = False
    setting: str = "max_body_bytes"
    pieces: Callable[[Answer, Kind, Encoding], Iterator[bytes]] | None = None
