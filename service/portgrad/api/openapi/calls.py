"""Documentation of the calls on a net."""

from __future__ import annotations

from collections.abc import Mapping

from portgrad.api.openapi.answers import answer, problem_answers
from portgrad.api.openapi.schemas import BINARY, STRING, Schema, ref
from portgrad.compute.jobs import Kind

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

# Of the sample net `chain`, so that they can be tried where `make run` started the service.
_EVALUATE_EXAMPLE = {"data": {"Input": [1, 2, 3, 4, 5]}}
_GRADIENT_EXAMPLE = {
    "data": {"Input": [1, 2, 3, 4, 5]},
    "wrt": ["Input", ["layer3", "bias"]],
    "of": ["Output"],
    "output_gradients": {"Output": [0, 1]},
    "outputs": True,
}
_EVALUATE_ANSWER = {"warnings": [], "outputs": {"Output": [-0.16744623, 2.862266]}}
_GRADIENT_ANSWER = {
    "targets": ["Input", "layer3.bias"],
    "none": [],
    "warnings": [],
    "gradients": {
        "Input": [0.44008055, -0.91129726, 1.0671865, -0.5983226, 0.6762309],
        "layer3.bias": [0.0, 1.0],
    },
    "outputs": {"Output": [-0.16744623, 2.862266]},
}


def _content(schema: str, example: Schema) -> Schema:
    return {
        "application/json": {"schema": ref(schema), "example": example},
        _SAFETENSORS: {"schema": BINARY},
        _NPZ: {"schema": BINARY},
    }


def _call(
    summary: str, description: str, schema: str, example: Schema, reply_example: Schema
) -> Schema:
    told = "Arrays and what belongs to them, in the format that Accept asks for."
    return {
        "summary": summary,
        "description": description,
        "responses": {
            200: answer(told, _content(f"{schema}Answer", reply_example)),
            **problem_answers(400, 404, 406, 413, 415, 422, 503),
        },
        "openapi_extra": {
            "parameters": [_OPTIONS],
            "requestBody": {"required": True, "content": _content(f"{schema}Request", example)},
        },
    }


CALLS: Mapping[Kind, Schema] = {
    "evaluate": _call(
        "Run a net",
        "The forward pass: output ports and inner values.",
        "Evaluate",
        _EVALUATE_EXAMPLE,
        _EVALUATE_ANSWER,
    ),
    "gradient": _call(
        "Differentiate a net",
        "Gradients of the outputs with respect to ports, parameters and inner values.",
        "Gradient",
        _GRADIENT_EXAMPLE,
        _GRADIENT_ANSWER,
    ),
}
