"""The schema of the answer of `gradcheck`, which has no arrays."""

from __future__ import annotations

from portgrad.api.openapi.parts import STRING, Schema, by_name, many, nullable, obj

_NUMBER: Schema = {
    "anyOf": [{"type": "number"}, STRING],
    "description": 'A number; "NaN", "Infinity" and "-Infinity" are strings.',
}
_VERDICT: Schema = {
    "type": "string",
    "enum": ["ok", "kink", "jump", "non_finite", "unclear", "disagrees"],
}
_PLACE: Schema = {
    "value": STRING,
    "node": nullable(STRING, "null for a port or parameter."),
    "operator": nullable(STRING, "That of the node."),
}
_DIRECTION = obj(
    {
        "verdict": _VERDICT,
        **dict.fromkeys(("found", "expected", "left", "right", "error", "step"), _NUMBER),
    }
)
_CHECKED = obj(
    {
        "verdict": {**_VERDICT, "description": "The worst of the directions."},
        "error": _NUMBER,
        "place": nullable(obj(_PLACE), "Where the kink, jump or what is not finite was found."),
        "directions": many(_DIRECTION),
    }
)

GRADCHECK = obj(
    {
        "ok": {"type": "boolean", "description": "Whether each target is ok or at a kink."},
        "precision": {"type": "string", "enum": ["float64", "native"]},
        "tolerance": {"type": "number"},
        "targets": by_name(_CHECKED, "What was found, by target."),
        "disagreement": nullable(
            obj({**_PLACE, "expected": _NUMBER, "found": _NUMBER}),
            "The first value whose derivative by its own operands is wrong.",
        ),
        "evaluations": {"type": "integer", "description": "How often the net was evaluated."},
        "random_seed": {"type": "integer"},
        "none": many({"type": "object", "additionalProperties": STRING}),
        "warnings": many(STRING),
    }
)
