"""The fields of a request, as pydantic checks them. Arrays are not among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

Name = str
# Of a wrong list the first wrong item is told: to list all of them may take all memory.
_FAIL_FAST = Field(fail_fast=True)
# A list is a path: the words of a name, or a node and one of its operands.
Target = Name | Annotated[list[str], _FAIL_FAST]
Targets = Annotated[list[Target], _FAIL_FAST, Field(max_length=65_536)]

_CONFIG = ConfigDict(extra="forbid", strict=True)
_SEED_END = 2**63


def _field(kind: Any, takes: str, **bounds: Any) -> tuple[Any, Any]:
    """A field that may be null, which is the same as leaving it out."""
    return kind | None, Field(None, description=takes, **bounds)


FIELDS: Mapping[str, tuple[Any, Any]] = {
    "outputs": _field(bool | Targets, "true, false, or a list of names and paths"),
    "batch": _field(Literal["as_is", "example", "each"], '"as_is", "example" or "each"'),
    "mode": _field(Literal["test", "train"], '"test" or "train"'),
    "random_seed": _field(int, "a whole number from 0 to 2**63 - 1", ge=0, lt=_SEED_END),
    "precision": _field(Literal["native", "float64"], '"native" or "float64"'),
    "encoding": (
        Literal["lists", "base64"],
        Field("lists", description='"lists" or "base64"'),
    ),
    "wrt": _field(
        Name | Targets,
        '"inputs", "parameters", "all", a name, or a list of names and paths, where a path is a '
        "list of strings",
    ),
    "of": _field(
        Name | Targets,
        "a name, or a list of names and paths, where a path is a list of strings",
    ),
    "quantized": _field(Literal["exact", "straight_through"], '"exact" or "straight_through"'),
    "stacked": _field(bool, "true or false"),
    "reduction": _field(Literal["sum", "mean", "per_example"], '"sum", "mean" or "per_example"'),
    "diagnostics": _field(bool, "true or false"),
    "direction": _field(Literal["forward", "reverse"], '"forward" or "reverse"'),
    "directions": _field(int, "a whole number from 1 to 1000", ge=1, le=1000),
    "tolerance": _field(float, "a positive number", gt=0),
    "deadline": _field(float, "a positive number of seconds", gt=0),
}


def options(name: str, fields: Iterable[str]) -> type[BaseModel]:
    """A model of these fields, which refuses others."""
    made: dict[str, Any] = {field: FIELDS[field] for field in fields}
    return create_model(name, __config__=_CONFIG, **made)
