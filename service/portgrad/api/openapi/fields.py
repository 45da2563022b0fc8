"""The schemas of the fields of a call, by name, and of the requests and answers made of them."""

from __future__ import annotations

from portgrad.api.openapi.parts import STRING, Schema, by_name, many, nullable, obj, ref
from portgrad.api.openapi.reports import DIAGNOSTICS
from portgrad.codecs.kinds import FORMS, REQUIRED
from portgrad.codecs.model import Kind

_NAME_OR_PATH: Schema = {
    "oneOf": [STRING, {**many(STRING), "description": "A path: the words of a name, or a node "
                       "and one of its operands."}],
}  # fmt: skip
_NAMES: Schema = {"oneOf": [STRING, many(_NAME_OR_PATH)]}
_ARRAYS = by_name(ref("Array"), "Arrays by name.")
_SEED: Schema = {"anyOf": [ref("Array"), ref("ClassSeed")]}


def _one_of(*values: str) -> Schema:
    return {"type": "string", "enum": [*values, None]}


_FIELDS: Schema = {
    "data": {
        "description": "An array for each input port; the bare array where the net has one.",
        "anyOf": [by_name(ref("Array"), "Arrays by input port."), ref("Array")],
    },
    "parameters": nullable(
        _ARRAYS, "Arrays that stand in for parameters of these names, in this call alone."
    ),
    "output_gradients": nullable(
        by_name(_SEED, "By name."),
        "Gradients imposed at outputs and inner values: arrays, or places of ones.",
    ),
    "tangents": by_name(
        ref("Array"), "Directions at input ports, parameters and inner values, shaped like them."
    ),
    "outputs": nullable(
        {"oneOf": [{"type": "boolean"}, many(_NAME_OR_PATH)]},
        "The outputs and inner values to answer with: all output ports, or those named.",
    ),
    "batch": nullable(
        _one_of("as_is", "example", "each"),
        "Forces one reading of the shapes; without it they decide.",
    ),
    "mode": nullable(
        _one_of("test", "train"),
        "`train`: normalisation by the statistics of the batch, and dropout.",
    ),
    "random_seed": nullable(
        {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
        "Fixes every random draw; without it each call draws afresh and tells its seed "
        "(a gradcheck has 0).",
    ),
    "precision": nullable(
        _one_of("native", "float64"), "`float64`: the net in double precision, the answer too."
    ),
    "encoding": {
        "type": "string",
        "enum": ["lists", "base64"],
        "default": "lists",
        "description": "How a JSON answer writes arrays.",
    },
    "wrt": nullable(
        _NAMES,
        '"inputs", "parameters", "all", a name, or names and paths. By default the input ports; of '
        "`hvp` what has tangents.",
    ),
    "of": nullable(_NAMES, "The outputs: by default what is imposed, else all of them."),
    "quantized": nullable(
        _one_of("exact", "straight_through"),
        "What becomes of gradients where numbers are quantised: zero as the mathematics says (the "
        "default), or the straight-through estimator.",
    ),
    "stacked": nullable(
        {"type": "boolean"},
        "Whether the arrays imposed (of `jvp` and `hvp`: the tangents) have a leading axis K for K "
        "calls in one; what is found has it too.",
    ),
    "reduction": nullable(
        _one_of("sum", "mean", "per_example"),
        "What becomes of the examples' gradients of a parameter: their sum (the default), their "
        "mean, or all of them on a leading axis.",
    ),
    "diagnostics": nullable(
        {"type": "boolean"}, "Whether to say where gradients are zero, NaN or infinite, and why."
    ),
    "direction": nullable(
        _one_of("forward", "reverse"),
        "Columns by tangents or rows by cotangents; without it the fewer ones.",
    ),
    "deadline": nullable(
        {"type": "number", "minimum": 0},
        "Seconds that the call may take, if fewer than the service gives it.",
    ),
    "directions": nullable(
        {"type": "integer", "minimum": 1, "maximum": 1000},
        "How many random directions are tried for each target; 3 where it is left out.",
    ),
    "tolerance": nullable(
        {"type": "number", "minimum": 0},
        "How far the gradient may be off, of the scale of what is compared; where it is left out "
        "1e-6 in double precision.",
    ),
}

_PARTS: Schema = {
    "warnings": many(STRING),
    "targets": {**many(STRING), "description": "The name of each item of `wrt`."},
    "none": {
        **many({"type": "object", "additionalProperties": STRING}),
        "description": "Of a group: what has no gradient, and why.",
    },
    "per_example": {
        "type": "boolean",
        "description": "Whether each array has a leading axis of examples.",
    },
    "direction": {"type": "string", "enum": ["forward", "reverse"]},
}
_SOMETIMES: Schema = {
    "random_seed": {
        "type": "integer",
        "description": "The seed that was used, where the call drew random numbers.",
    }
}
_ABOUT: dict[Kind, tuple[str, ...]] = {
    "evaluate": ("warnings",),
    "gradient": ("targets", "none", "warnings"),
    "jvp": ("warnings",),
    "hvp": ("targets", "none", "warnings"),
    "jacobian": ("targets", "per_example", "direction", "none", "warnings"),
    "hessian": ("targets", "per_example", "none", "warnings"),
}


def _request(kind: Kind) -> Schema:
    form = FORMS[kind]
    names = (*form.holding, *form.options.model_fields)
    required = {name: _FIELDS[name] for name in names if name in REQUIRED}
    optional = {name: _FIELDS[name] for name in names if name not in REQUIRED}
    return obj(required, optional, closed=True)


def _answer(kind: Kind) -> Schema:
    form = FORMS[kind]
    required = {name: _PARTS[name] for name in _ABOUT[kind]}
    if form.result is not None:
        found = by_name(_ARRAYS, "By output, then by target.") if form.nested else _ARRAYS
        required[form.result] = found
    required["outputs"] = _ARRAYS
    more = {"diagnostics": DIAGNOSTICS} if "diagnostics" in form.fields else {}
    return obj(required, _SOMETIMES | more)


REQUESTS = {f"{kind.capitalize()}Request": _request(kind) for kind in FORMS}
ANSWERS = {f"{kind.capitalize()}Answer": _answer(kind) for kind in _ABOUT}
