"""Documentation of the calls on a net."""

from __future__ import annotations

from portgrad.api.openapi.answers import answer, problem_answers
from portgrad.api.openapi.schemas import BINARY, STRING, Schema, ref

_SAFETENSORS = "application/x-safetensors"
_NPZ = "application/x-npz"

_OPTIONS: Schema = {
    "name": "options",
    "in": "query",
    "required": False,
    "schema": STRING,
    "description": "With a binary body: the JSON request without its arrays, as text.",
    "example": '{"outputs": true}',
}

_EVALUATE_EXAMPLE = {"data": {"input": [[0.5, -1.0]]}}
_GRADIENT_EXAMPLE = {
    "data": {"input": [[0.5, -1.0]]},
    "wrt": ["input", ["layer1", "weight"]],
    "of": ["output"],
    "output_gradients": {"output": [[0, 1]]},
    "outputs": True,
}
_EVALUATE_ANSWER = {"outputs": {"output": [[0.25, 0.75]]}, "warnings": []}
_GRADIENT_ANSWER = {
    "targets": ["input", "layer1.weight"],
    "gradients": {"input": [[0.1, 0.2]], "layer1.weight": [[0.5, -1.0], [0, 0]]},
    "outputs": {"output": [[0.25, 0.75]]},
    "none": [],
    "warnings": [],
}


def _content(schema: str, example: Schema) -> Schema:
    return {
        "application/json": {"schema": ref(schema), "example": example},
        _SAFETENSORS: {"schema": BINARY},
        _NPZ: {"schema": BINARY},
    }


def _call(request: str, example: Schema, reply: str, reply_example: Schema) -> Schema:
    told = "Arrays and what belongs to them, in the format that Accept asks for."
    return {
        "responses": {
            200: answer(told, _content(reply, reply_example)),
            **problem_answers(400, 404, 406, 413, 415, 422, 503),
        },
        "openapi_extra": {
            "parameters": [_OPTIONS],
            "requestBody": {"required": True, "content": _content(request, example)},
        },
    }


EVALUATE = _call("EvaluateRequest", _EVALUATE_EXAMPLE, "EvaluateAnswer", _EVALUATE_ANSWER)
GRADIENT = _call("GradientRequest", _GRADIENT_EXAMPLE, "GradientAnswer", _GRADIENT_ANSWER)
