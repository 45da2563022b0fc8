"""The schemas of reports: what `gradcheck` answers, and what `diagnostics` asks for."""

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
    "node": nullable(STRING, "The node in question; null where there is none, as at a port."),
    "operator": nullable(STRING, "Domain and operator of the node."),
}
_FLAGS = ("zero", "nan", "infinite")
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
        "rounding": nullable(
            _NUMBER,
            "How far the gradient in the net's own precision is from that in double, by the norm "
            "of the larger.",
        ),
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

_ENTRIES = obj(dict.fromkeys(_FLAGS, many({"type": "integer"})))
_FIRST = obj({flag: nullable(obj(_PLACE), "null where all are.") for flag in _FLAGS[1:]})
_TARGET = obj(
    {flag: {"type": "boolean"} for flag in _FLAGS},
    {
        "examples": {**_ENTRIES, "description": "The examples whose gradients are so."},
        "stack": {**_ENTRIES, "description": "The entries of a stack that are so."},
        "vanished": nullable(obj(_PLACE), "Where a gradient that is all zero became so."),
    },
)

DIAGNOSTICS = obj(
    {
        "targets": by_name(_TARGET, "All zero, any NaN, any infinity: by target."),
        "forward": {**_FIRST, "description": "The first values of the net that are not finite."},
        "backward": {
            **_FIRST,
            "description": "The first cotangents, from the outputs, that are not finite.",
        },
    }
)
