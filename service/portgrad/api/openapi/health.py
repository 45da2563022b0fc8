"""Documentation of the probes."""

from __future__ import annotations

from portgrad.api.openapi.answers import answer, json_answer, problem_answers
from portgrad.api.openapi.parts import STRING, Schema

HEALTHZ: Schema = {
    "summary": "Whether the process runs",
    "responses": {200: json_answer("Alive.", "Status"), **problem_answers()},
}

READYZ: Schema = {
    "summary": "Whether calls can be taken",
    "responses": {200: json_answer("Ready.", "Ready"), **problem_answers(503)},
}

METRICS: Schema = {
    "summary": "Metrics for Prometheus",
    "responses": {
        200: answer("All of them.", {"text/plain": {"schema": STRING}}),
        **problem_answers(),
    },
}
