"""Documentation of the calls on a net."""

from __future__ import annotations

from collections.abc import Mapping

from portgrad.api.openapi import examples
from portgrad.api.openapi.answers import answer, problem_answers
from portgrad.api.openapi.parts import BINARY, STRING, Schema, ref
from portgrad.codecs.model import Kind

_SAFETENSORS = "application/x-safetensors"
_NPZ = "application/x-npz"

# Without an `example`, which Swagger UI would send with a JSON body too.
_OPTIONS: Schema = {
    "name": "options",
    "in": "query",
    "required": False,
    "schema": STRING,
    "description": "With a binary body alone: the JSON request without its arrays, such as "
    '`{"outputs": true}`.',
}


def _content(schema: str, example: Schema) -> Schema:
    return {
        "application/json": {"schema": ref(schema), "example": example},
        _SAFETENSORS: {"schema": BINARY},
        _NPZ: {"schema": BINARY},
    }


def _call(kind: Kind, summary: str, description: str) -> Schema:
    told = "Arrays and what belongs to them, in the format that Accept asks for."
    name = kind.capitalize()
    return {
        "summary": summary,
        "description": description,
        "responses": {
            200: answer(told, _content(f"{name}Answer", examples.ANSWERS[kind])),
            **problem_answers(400, 404, 406, 413, 415, 422, 503),
        },
        "openapi_extra": {
            "parameters": [_OPTIONS],
            "requestBody": {
                "required": True,
                "content": _content(f"{name}Request", examples.REQUESTS[kind]),
            },
        },
    }


_TOLD: Mapping[Kind, tuple[str, str]] = {
    "evaluate": ("Run a net", "The forward pass: output ports and inner values."),
    "gradient": (
        "Differentiate a net",
        "Gradients of the outputs with respect to ports, parameters and inner values.",
    ),
    "jvp": (
        "Follow a direction",
        "How the outputs change along tangents at ports, parameters and inner values.",
    ),
    "hvp": (
        "Follow a direction of the gradient",
        "How the gradient changes along tangents: products of the Hessian, or of any second "
        "derivatives, with vectors.",
    ),
    "jacobian": (
        "Every derivative of outputs",
        "The derivative of each element of the outputs by each element of the targets; for each "
        "example by itself where the net has a batch.",
    ),
    "hessian": (
        "Every second derivative",
        "The second derivatives between each element of the targets and each other.",
    ),
    "gradcheck": (
        "Hold a gradient against differences",
        "Central differences along random directions at these data, against the gradient.",
    ),
}
CALLS: Mapping[Kind, Schema] = {kind: _call(kind, *told) for kind, told in _TOLD.items()}
