"""Documentation of the list of operators."""

from __future__ import annotations

from portgrad.api.openapi.answers import json_answer, problem_answers
from portgrad.api.openapi.parts import Schema

OPERATORS: Schema = {
    "summary": "List operators and their gradients",
    "responses": {200: json_answer("All of them.", "Operators"), **problem_answers()},
}
