"""Documentation of the probes."""

from __future__ import annotations

from portgrad.api.openapi.answers import json_answer, problem_answers
from portgrad.api.openapi.parts import Schema

HEALTHZ: Schema = {
    "summary": "Whether the process runs",
    "responses": {200: json_answer("Alive.", "Status"), **problem_answers()},
}

READYZ: Schema = {
    "summary": "Whether the store can be used",
    "responses": {200: json_answer("Ready.", "Status"), **problem_answers(503)},
}
