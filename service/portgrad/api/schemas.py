"""The fields of a request, as pydantic checks them. Arrays are not among them: see codecs."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Name = str
# A list is a path: the words of a name, or a node and one of its operands.
Target = Name | list[str]

# Fields that the design has and this release has not, with the one value that changes nothing.
NOT_BUILT = {
    "parameters": None,
    "mode": "test",
    "random_seed": None,
    "precision": None,
    "reduction": None,
    "stacked": None,
    "deadline": None,
}


class EvaluateOptions(BaseModel):
    """The fields of `evaluate`, without arrays. null is the same as leaving a field out."""

    model_config = ConfigDict(extra="forbid", strict=True)

    outputs: bool | list[Target] | None = Field(
        None, description="true, false, or a list of names and paths"
    )
    batch: Literal["as_is", "example", "each"] | None = Field(
        None, description='"as_is", "example" or "each"'
    )
    encoding: Literal["lists", "base64"] = Field("lists", description='"lists" or "base64"')


class GradientOptions(EvaluateOptions):
    """The fields of `gradient`, without arrays."""

    wrt: Name | list[Target] | None = Field(
        None,
        description='"inputs", "parameters", "all", a name, or a list of names and paths, '
        "where a path is a list of strings",
    )
    of: Name | list[Target] | None = Field(
        None, description="a name, or a list of names and paths, where a path is a list of strings"
    )
    quantized: Literal["exact", "straight_through"] | None = Field(
        None, description='"exact" or "straight_through"'
    )
