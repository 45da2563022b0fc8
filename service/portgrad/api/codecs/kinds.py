"""How each kind of call travels: the arrays that it takes, and where those that it finds go.

A kind is one line of FORMS; the formats know no kind by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from portgrad.api.schemas import EvaluateOptions, GradientOptions
from portgrad.compute.jobs import Kind

DATA, SEEDS = "data", "output_gradients"
# What an array in a binary body begins with, by the field of JSON that holds it there.
PREFIXES = {SEEDS: "seed/"}


@dataclass(frozen=True)
class Form:
    """How one kind of call travels.

    Attributes:
        arrays: the fields that hold arrays by name.
        options: the other fields.
        result: the field of a JSON answer that holds what was found, beside the outputs.
        prefix: what the names of these arrays begin with in a binary answer.
    """

    arrays: tuple[str, ...]
    options: type[EvaluateOptions]
    result: str | None = None
    prefix: str = ""


FORMS: Mapping[Kind, Form] = {
    "evaluate": Form((DATA,), EvaluateOptions),
    "gradient": Form((DATA, SEEDS), GradientOptions, "gradients", "grad/"),
}
