"""The schemas of bodies and answers, by name."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
BINARY: Schema = {"type": "string", "format": "binary"}


def ref(name: str) -> Schema:
    """A reference to one of the schemas here."""
    return {"$ref": f"#/components/schemas/{name}"}


def many(item: Schema) -> Schema:
    """A list of such items."""
    return {"type": "array", "items": item}


def by_name(item: Schema, description: str) -> Schema:
    """An object with such an item for each name."""
    return {"type": "object", "additionalProperties": item, "description": description}


def _object(required: Schema, optional: Schema | None = None, *, closed: bool = False) -> Schema:
    schema: Schema = {"type": "object", "required": list(required)}
    schema["properties"] = required | (optional or {})
    return schema | ({"additionalProperties": False} if closed else {})


def _nullable(schema: Schema, description: str) -> Schema:
    # A sibling of $ref is ignored, and a bare `nullable` beside oneOf is not enough in 3.0.
    return {**schema, "nullable": True, "description": description}


_NUMBER_NAMES = 'numbers, booleans, strings; "NaN", "Infinity" and "-Infinity" for such numbers'
_NAME_OR_PATH: Schema = {
    "oneOf": [STRING, {**many(STRING), "description": "A path: the words of a name, or a node "
                       "and one of its operands."}],
}  # fmt: skip
_TARGETS: Schema = {"oneOf": [STRING, many(_NAME_OR_PATH)]}

_EVALUATE_OPTIONS: Schema = {
    "outputs": _nullable(
        {"oneOf": [{"type": "boolean"}, many(_NAME_OR_PATH)]},
        "The outputs and inner values to answer with: all output ports, or those named.",
    ),
    "batch": _nullable(
        {"type": "string", "enum": ["as_is", "example", "each", None]},
        "Forces one reading of the shapes; without it they decide.",
    ),
    "encoding": {
        "type": "string",
        "enum": ["lists", "base64"],
        "default": "lists",
        "description": "How a JSON answer writes arrays.",
    },
}
_GRADIENT_OPTIONS: Schema = _EVALUATE_OPTIONS | {
    "wrt": _nullable(
        _TARGETS, '"inputs" (the default), "parameters", "all", a name, or names and paths.'
    ),
    "of": _nullable(_TARGETS, "What is summed: by default what is imposed, else all outputs."),
    "quantized": _nullable(
        {"type": "string", "enum": ["exact", "straight_through", None]},
        "What becomes of gradients where numbers are quantised: zero as the mathematics says (the "
        "default), or the straight-through estimator.",
    ),
}
_DATA: Schema = {
    "description": "An array for each input port; the bare array where the net has one.",
    "anyOf": [by_name(ref("Array"), "Arrays by input port."), ref("Array")],
}

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
    "names": many(STRING),
    "bytes": {"type": "integer", "description": "Of the model and its external data."},
    "inputs": many(ref("Port")),
    "outputs": many(ref("Port")),
}
_ANSWER_ARRAYS = by_name(ref("Array"), "Arrays by name.")

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
    "ArrayBytes": _object(
        {
            "dtype": {**STRING, "example": "float32"},
            "shape": many({"type": "integer", "minimum": 0}),
            "data": {"type": "string", "format": "byte", "description": "Little-endian."},
        },
        closed=True,
    )
    | {"example": {"dtype": "float32", "shape": [2], "data": "AAAAPwAAgL8="}},
    "EvaluateRequest": _object({"data": _DATA}, _EVALUATE_OPTIONS, closed=True),
    "GradientRequest": _object(
        {"data": _DATA},
        {
            "output_gradients": {
                **by_name(ref("Array"), "Gradients imposed at outputs and inner values."),
                "nullable": True,
            },
            **_GRADIENT_OPTIONS,
        },
        closed=True,
    ),
    "EvaluateAnswer": _object({"outputs": _ANSWER_ARRAYS, "warnings": many(STRING)}),
    "GradientAnswer": _object(
        {
            "targets": {**many(STRING), "description": "The name of each item of `wrt`."},
            "gradients": _ANSWER_ARRAYS,
            "outputs": _ANSWER_ARRAYS,
            "none": {
                **many({"type": "object", "additionalProperties": STRING}),
                "description": "Of a group: what has no gradient, and why.",
            },
            "warnings": many(STRING),
        }
    ),
    "Port": _object(_PORT, _REASON),
    "Parameter": _object(
        {**_PORT, "buffer": {"type": "boolean", "description": "A running statistic."}},
        {
            **_REASON,
            "paths": {**many(many(STRING)), "description": "Where it is used: node, operand."},
            "aliases": {**many(STRING), "description": "Inner values that pass it on."},
            "shared": {"type": "boolean", "description": "Used in several places."},
        },
    ),
    "Net": _object(
        {
            **_SUMMARY,
            "parameters": many(ref("Parameter")),
            "opset": {"type": "integer"},
            "external": {**many(STRING), "description": "Locations of its external data."},
            "warnings": many(STRING),
        }
    ),
    "NetPage": _object(
        {
            "nets": many(_object(_SUMMARY)),
            "next": _nullable(STRING, "`after` of the next page; null on the last one."),
        }
    ),
    "Upload": _object(
        {"model": BINARY},
        {
            "external": {
                **many(BINARY),
                "description": "External data; the file name of each part is its location.",
            }
        },
        closed=True,
    ),
    "Operators": _object({"operators": many(ref("Operator"))}),
    "Operator": _object(
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
            "node_tests": _nullable(
                _object({"agree": {"type": "integer"}, "of": {"type": "integer"}}),
                "Of ONNX's own node tests with floats in and out, of how many the gradient agrees "
                "with central differences.",
            ),
        }
    ),
    "Status": _object({"status": STRING}),
    "Problem": _object(
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
