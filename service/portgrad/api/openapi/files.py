"""Documentation of the gradient as a file."""

from __future__ import annotations

from portgrad.api.openapi.answers import answer, problem_answers
from portgrad.api.openapi.parts import BINARY, Schema

_FILE: Schema = {"application/octet-stream": {"schema": BINARY}}

GRADIENT: Schema = {
    "summary": "Download the gradient as an ONNX file",
    "responses": {
        200: answer("The graph, or the file of its weights.", _FILE),
        **problem_answers(404, 422, 503),
    },
}
