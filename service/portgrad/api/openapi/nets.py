"""Documentation of the routes on nets."""

from __future__ import annotations

from portgrad.api.openapi.answers import answer, json_answer, problem_answers
from portgrad.api.openapi.parts import BINARY, Schema, ref

_BYTES = {"application/octet-stream": {"schema": BINARY}}

UPLOAD: Schema = {
    "summary": "Upload a net",
    "status_code": 201,
    "responses": {
        200: json_answer("Those bytes are here already.", "Net", Location="The net's path."),
        201: json_answer("The net is kept.", "Net", Location="The net's path."),
        **problem_answers(400, 409, 413, 415, 422, 503),
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": BINARY},
                "application/x-onnx": {"schema": BINARY},
                "application/x-protobuf": {"schema": BINARY},
                "multipart/form-data": {"schema": ref("Upload")},
            },
        }
    },
}

LIST: Schema = {
    "summary": "List nets",
    "responses": {200: json_answer("A page of nets.", "NetPage"), **problem_answers(422, 503)},
}

DESCRIBE: Schema = {
    "summary": "Describe a net",
    "responses": {200: json_answer("The net.", "Net"), **problem_answers(404, 422, 503)},
}

DELETE: Schema = {
    "summary": "Remove a name or a net",
    "status_code": 204,
    "responses": {204: answer("It is gone."), **problem_answers(403, 404, 422, 503)},
}

SHARE: Schema = {
    "summary": "Share a net",
    "status_code": 204,
    "responses": {204: answer("It is shared."), **problem_answers(403, 404, 422, 503)},
}

UNSHARE: Schema = {
    "summary": "Share a net no longer",
    "status_code": 204,
    "responses": {204: answer("It is private."), **problem_answers(403, 404, 422, 503)},
}

DOWNLOAD: Schema = {
    "summary": "Download what was uploaded",
    "responses": {200: answer("The file.", _BYTES), **problem_answers(404, 422, 503)},
}
