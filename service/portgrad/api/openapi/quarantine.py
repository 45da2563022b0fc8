"""Documentation of the quarantine."""

from __future__ import annotations

from portgrad.api.openapi.answers import answer, json_answer, problem_answers
from portgrad.api.openapi.parts import Schema

LIST: Schema = {
    "summary": "List the nets in quarantine",
    "responses": {200: json_answer("All of them.", "Quarantine"), **problem_answers()},
}

RELEASE: Schema = {
    "summary": "Release a net from quarantine",
    "status_code": 204,
    "responses": {204: answer("It may be run again."), **problem_answers(404)},
}
