"""The fields of a request that are no arrays, read from a JSON body or the query parameter."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import ValidationError

from portgrad.codecs import seeds, text
from portgrad.codecs.bounds import Bounds
from portgrad.codecs.kinds import FORMS, SEEDS, Form
from portgrad.codecs.model import Encoding, Kind
from portgrad.codecs.refusals import field_error, unknown_field
from portgrad.errors import InvalidRequest


def read(fields: dict[str, Any], kind: Kind) -> tuple[dict[str, Any], Encoding]:
    """The options that a job takes, and the encoding of the answer's arrays."""
    if not fields:
        return {}, _untold(kind)
    form = FORMS[kind]
    unknown = next((name for name in fields if name not in form.options.model_fields), None)
    if unknown is not None:  # pydantic would list every one, of which there may be a million
        raise unknown_field(unknown, _takes(form))
    try:
        options = form.options.model_validate(fields)
    except ValidationError as error:
        raise field_error(error.errors(include_url=False), _takes(form)) from error
    given = options.model_dump(exclude_none=True)
    encoding: Encoding = given.pop("encoding")
    return given, encoding


@cache
def _untold(kind: Kind) -> Encoding:
    """The encoding where no field says one; no other field has a value by itself."""
    given = FORMS[kind].options().model_dump(exclude_none=True)
    encoding: Encoding = given.pop("encoding")
    assert not given
    return encoding


def _takes(form: Form) -> dict[str, str | None]:
    """What there is to send, and what each field takes."""
    fields = form.options.model_fields.items()
    return dict.fromkeys(form.holding) | {name: field.description for name, field in fields}


def from_query(
    query: str | None, kind: Kind, bounds: Bounds
) -> tuple[dict[str, Any], dict[str, Any], Encoding]:
    """The options in the query parameter of a binary request, and the class seeds among them."""
    if query is None:
        return {}, {}, _untold(kind)
    name = "query parameter `options`"
    fields = text.loads(query.encode(), name, bounds)
    given_seeds = fields.pop(SEEDS, None) if SEEDS in FORMS[kind].arrays else None
    for name in FORMS[kind].holding:
        if name in fields:
            raise InvalidRequest(
                f"The field {name!r} holds arrays, which travel in the body here.",
                code="invalid_field",
                where=name,
                remedy="Send arrays in the body, called after their ports and parameters, "
                "seed/NAME or tangent/NAME.",
            )
    options, encoding = read(fields, kind)
    return options, seeds.without_arrays(given_seeds), encoding
