"""Calls and answers as plain data and arrays, and what a codec is: a format of these."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from portgrad.codecs.bounds import Bounds

# A NumPy array, whose dtype is binding, or nested lists of numbers, booleans, strings and
# "NaN", "Infinity", "-Infinity", which are cast to the port's dtype.
ArrayLike = np.ndarray[Any, Any] | list[Any] | float | int | bool | str
# What is imposed at an output: an array, or {"index": …} or {"at": …}, which say where ones are.
Seed = ArrayLike | Mapping[str, Any]
Description = dict[str, Any]
# The calls on a net, each named like the method of a net that it is.
Kind = Literal["evaluate", "gradient", "jvp", "hvp", "jacobian", "hessian", "gradcheck"]
# Where an array of an answer belongs: the target of a gradient; output and target of a Jacobian.
Place = tuple[str, ...]
Buffer = bytes | memoryview
Encoding = Literal["lists", "base64"]


class Format(NamedTuple):
    """How an answer is to be written: its media type, and the encoding of arrays in JSON."""

    media_type: str
    encoding: Encoding = "lists"


@dataclass(frozen=True)
class Known:
    """The names of a net that arrays may be for."""

    inputs: Collection[str] = ()
    outputs: Collection[str] = ()
    parameters: Collection[str] = ()

    @classmethod
    def of(cls, description: Description) -> Known:
        """Those of a net that is described so."""
        fields = ("inputs", "outputs", "parameters")
        return cls(*({entry["name"] for entry in description[field]} for field in fields))


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
class Answer:
    """What a call gives back, whatever its kind.

    Args:
        outputs: outputs and inner values by name.
        derivatives: the arrays that the call is named for, by the names that place each one.
        about: the rest of the answer, plain data under the names that it goes out with.
        timings: seconds by stage: queue, compile, run.
        encoding: of its arrays in JSON, as the call wants them.
    """

    outputs: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    derivatives: Mapping[Place, np.ndarray[Any, Any]] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    encoding: Encoding = "lists"


@dataclass(frozen=True)
class Codec:
    """One format, both ways.

    `decode` takes the body, the query parameter `options`, the kind of call, the names of the net
    and the most that the call may hold. `encode` takes the answer, the kind of call and the
    encoding of arrays, which only JSON heeds. Arrays of a format that is `flat` belong where their
    names tell, by those of the net. A body that `inflates` may be much more work than its size
    tells. `weigh` finds, a part at a time, what a body takes once it is read, beside itself.
    `setting` names the one that bounds its bodies. `pieces` writes as `encode` does, but a
    piece at a time, where a format can; what it refuses, it refuses at once.
    """

    media_type: str
    decode: Callable[[Buffer, str | None, Kind, Known, Bounds], Call]
    encode: Callable[[Answer, Kind, Encoding], Buffer]
    flat: bool = False
    inflates: bool = False
    weigh: Callable[[Buffer, Bounds], Iterator[int]] | None = None
    setting: str = "max_body_bytes"
    pieces: Callable[[Answer, Kind, Encoding], Iterator[Buffer]] | None = None
