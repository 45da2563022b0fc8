"""How each kind of call travels: the fields that it takes, and where what it finds goes.

A kind is one line of FORMS; formats and routes know none of them by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from pydantic import BaseModel

from portgrad.codecs import fields
from portgrad.codecs.model import Kind

DATA, PARAMETERS, SEEDS, TANGENTS = "data", "parameters", "output_gradients", "tangents"
# What the name of an array in a binary body begins with, by the field that holds it in JSON.
PREFIXES = {SEEDS: "seed/", TANGENTS: "tangent/"}
# Without these there is nothing to compute.
REQUIRED = (DATA, TANGENTS)

_ALWAYS = ("batch", "mode", "random_seed", "precision", "deadline", "encoding")


@dataclass(frozen=True)
class Form:
    """How one kind of call travels.

    Attributes:
        arrays: the fields that hold arrays by name, beside `data` and `parameters`.
        fields: the other fields, beside those that every call has.
        result: the field of a JSON answer that holds the arrays found, if any, by the names that
            place each one.
        prefix: what the names of these arrays begin with in a binary answer.
        nested: whether two names place an array. Then a binary answer has a list of them.
    """

    arrays: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    result: str | None = None
    prefix: str = ""
    nested: bool = False

    @property
    def holding(self) -> tuple[str, ...]:
        """Every field that holds arrays."""
        return (DATA, PARAMETERS, *self.arrays)

    @cached_property
    def options(self) -> type[BaseModel]:
        """The other fields, to be checked."""
        return fields.options("Options", (*self.fields, *_ALWAYS))


FORMS: Mapping[Kind, Form] = {
    "evaluate": Form((), ("outputs",)),
    "gradient": Form(
        (SEEDS,),
        ("wrt", "of", "outputs", "quantized", "stacked", "reduction", "diagnostics"),
        "gradients",
        "grad/",
    ),
    "jvp": Form((TANGENTS,), ("of", "outputs", "quantized", "stacked"), "tangents", "jvp/"),
    "hvp": Form(
        (TANGENTS, SEEDS),
        ("wrt", "of", "outputs", "quantized", "stacked"),
        "products",
        "hvp/",
    ),
    "jacobian": Form(
        (), ("wrt", "of", "outputs", "quantized", "direction"), "jacobian", "jacobian/", nested=True
    ),
    "hessian": Form(
        (SEEDS,), ("wrt", "of", "outputs", "quantized"), "hessian", "hessian/", nested=True
    ),
    "gradcheck": Form((SEEDS,), ("wrt", "of", "quantized", "directions", "tolerance")),
}
