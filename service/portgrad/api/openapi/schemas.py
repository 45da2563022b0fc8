"""The schemas of bodies and answers, by name."""

from __future__ import annotations

from portgrad.api.openapi.fields import ANSWERS, REQUESTS
from portgrad.api.openapi.parts import BINARY, STRING, Schema, many, nullable, obj, ref
from portgrad.api.openapi.reports import GRADCHECK

_NUMBER_NAMES = 'numbers, booleans, strings; "NaN", "Infinity" and "-Infinity" for such numbers'
_PORT = {
    "name": STRING,
    "dtype": {**STRING, "description": "As NumPy and ml_dtypes call it."},
    "shape": {
        **many({"oneOf": [{"type": "integer"}, STRING], "nullable": True}),
        "nullable": True,
        "description": "Sizes; symbols are strings, and null is a size or rank not known.",
    },
}
_REASON: Schema = {
    "differentiable": {"type": "boolean"},
    "reason": {**STRING, "description": "Why it is not differentiable."},
}
_SUMMARY: Schema = {
    "id": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "names": {**many(STRING), "description": "What the caller calls it."},
    "shared": {"type": "boolean", "description": "Whether every caller may use it, by its id."},
    "batchable": {
        "type": "boolean",
        "description": "Whether calls that wait together are run as one batch.",
    },
    "bytes": {"type": "integer", "description": "Of the model and its external data."},
    "inputs": many(ref("Port")),
    "outputs": many(ref("Port")),
}
_INTEGER: Schema = {"type": "integer"}

SCHEMAS: Schema = {
    "Array": {
        "description": f"Nested lists of {_NUMBER_NAMES}; or an object with raw bytes.",
        "anyOf": [
            {**many({}), "example": [[0.5, -1.0]]},
            {"type": "number"},
            {"type": "boolean"},
            STRING,
            ref("ArrayBytes"),
        ],
    },
    "ArrayBytes": obj(
        {
            "dtype": {**STRING, "example": "float32"},
            "shape": many({"type": "integer", "minimum": 0}),
            "data": {"type": "string", "format": "byte", "description": "Little-endian."},
        },
        closed=True,
    )
    | {"example": {"dtype": "float32", "shape": [2], "data": "AAAAPwAAgL8="}},
    "ClassSeed": {
        "description": "Where ones are imposed, and zeros elsewhere: a place on the last axis of "
        "an output of two axes, or one on every axis but the batch's; or one for each example.",
        "anyOf": [
            obj({"index": {"oneOf": [_INTEGER, many({})]}}, closed=True),
            obj({"at": many({})}, closed=True),
        ],
        "example": {"index": 0},
    },
    **REQUESTS,
    **ANSWERS,
    "GradcheckAnswer": GRADCHECK,
    "Port": obj(_PORT, _REASON),
    "Parameter": obj(
        {**_PORT, "buffer": {"type": "boolean", "description": "A running statistic."}},
        {
            **_REASON,
            "paths": {**many(many(STRING)), "description": "Where it is used: node, operand."},
            "aliases": {**many(STRING), "description": "Inner values that pass it on."},
            "shared": {"type": "boolean", "description": "Used in several places."},
        },
    ),
    "Net": obj(
        {
            **_SUMMARY,
            "parameters": many(ref("Parameter")),
            "opset": {"type": "integer"},
            "external": {**many(STRING), "description": "Locations of its external data."},
            "warnings": many(STRING),
        }
    ),
    "NetPage": obj(
        {
            "nets": many(obj(_SUMMARY)),
            "next": nullable(STRING, "`after` of the next page; null on the last one."),
        }
    ),
    "Upload": obj(
        {"model": BINARY},
        {
            "external": {
                **many(BINARY),
                "description": "External data; the file name of each part is its location.",
            }
        },
        closed=True,
    ),
    "Quarantine": obj({"nets": many(ref("QuarantinedNet"))}),
    "QuarantinedNet": obj(
        {
            "net": STRING,
            "owner": {**STRING, "description": "Whose calls of it are refused."},
            "crashes": {"type": "integer", "description": "Workers that it crashed."},
            "seconds": {"type": "number", "description": "How long the quarantine still lasts."},
        }
    ),
    "Operators": obj({"operators": many(ref("Operator"))}),
    "Operator": obj(
        {
            "domain": {"type": "string", "enum": ["ai.onnx", "ai.onnx.ml", "com.microsoft"]},
            "name": STRING,
            "versions": {
                **many({"type": "integer"}),
                "description": "Its schema versions at opset 21 and beyond.",
            },
            "gradient": {
                "type": "string",
                "enum": ["rule", "body", "zero", "none", "refused", "missing"],
                "description": "It has a rule of its own, is differentiated through the operators "
                "that it is made of, is zero with a warning, has none, is refused, or not known.",
            },
            "note": {
                **STRING,
                "description": "What holds at points without a derivative; of zero, the warning; "
                "of refused, the reason.",
            },
            "cost": {**STRING, "description": "What is dear about the gradient, if anything."},
            "node_tests": nullable(
                obj({"agree": {"type": "integer"}, "of": {"type": "integer"}}),
                "Of ONNX's own node tests with floats in and out, of how many the gradient agrees "
                "with central differences.",
            ),
        }
    ),
    "Status": obj({"status": STRING}),
    "Ready": obj(
        {
            "status": STRING,
            "store": {"type": "string", "enum": ["ok", "read_only"]},
            "workers": {"type": "string", "enum": ["ok"]},
            "draining": {"type": "boolean", "enum": [False]},
        }
    ),
    "Problem": obj(
        {
            "type": {**STRING, "example": "urn:portgrad:problem:unknown_port"},
            "title": STRING,
            "status": {"type": "integer"},
            "code": {**STRING, "example": "unknown_port"},
            "detail": STRING,
            "request_id": STRING,
        },
        {
            "where": {**STRING, "description": "The offending port, node or field."},
            "expected": STRING,
            "found": STRING,
            "remedy": STRING,
        },
    ),
}
