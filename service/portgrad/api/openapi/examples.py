"""Requests and answers of the sample net `chain`, to be tried where `make run` started the service.

A test sends each request and holds the answer against the one here.
"""

from __future__ import annotations

from collections.abc import Mapping

from portgrad.api.openapi.parts import Schema
from portgrad.codecs.model import Kind

_DATA: Schema = {"Input": [1, 2, 3, 4, 5]}

REQUESTS: Mapping[Kind, Schema] = {
    "evaluate": {"data": _DATA},
    "gradient": {
        "data": _DATA,
        "wrt": ["Input", ["layer3", "bias"]],
        "of": ["Output"],
        "output_gradients": {"Output": [0, 1]},
        "outputs": True,
    },
    "jvp": {"data": _DATA, "tangents": {"Input": [1, 0, 0, 0, 0]}},
    "hvp": {
        "data": _DATA,
        "tangents": {"layer3.weight": [[1, 0, 0], [0, 0, 0]]},
        "wrt": ["layer2.bias"],
    },
    "jacobian": {"data": _DATA, "wrt": ["Input"], "direction": "reverse"},
    "hessian": {"data": _DATA, "wrt": ["layer2.bias", "layer3.weight"]},
    "gradcheck": {"data": _DATA, "directions": 1},
}

ANSWERS: Mapping[Kind, Schema] = {
    "evaluate": {"warnings": [], "outputs": {"Output": [-0.16744623, 2.862266]}},
    "gradient": {
        "targets": ["Input", "layer3.bias"],
        "none": [],
        "warnings": [],
        "gradients": {
            "Input": [0.44008055, -0.91129726, 1.0671865, -0.5983226, 0.6762309],
            "layer3.bias": [0.0, 1.0],
        },
        "outputs": {"Output": [-0.16744623, 2.862266]},
    },
    "jvp": {"warnings": [], "tangents": {"Output": [-0.5060782, 0.44008058]}, "outputs": {}},
    "hvp": {
        "targets": ["layer2.bias"],
        "none": [],
        "warnings": [],
        "products": {"layer2.bias": [1.0, 0.0, 0.0]},
        "outputs": {},
    },
    "jacobian": {
        "targets": ["Input"],
        "per_example": False,
        "direction": "reverse",
        "none": [],
        "warnings": [],
        "jacobian": {
            "Output": {
                "Input": [
                    [-0.5060782, -0.8817732, 0.81573033, -0.468912, 0.43177518],
                    [0.44008055, -0.91129726, 1.0671865, -0.5983226, 0.6762309],
                ]
            }
        },
        "outputs": {},
    },
    "hessian": {
        "targets": ["layer2.bias", "layer3.weight"],
        "per_example": False,
        "none": [],
        "warnings": [],
        "hessian": {
            "layer2.bias": {
                "layer2.bias": [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
                "layer3.weight": [
                    [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]],
                    [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]],
                    [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]],
                ],
            },
            "layer3.weight": {
                "layer2.bias": [
                    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
                    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
                ],
                "layer3.weight": [
                    [
                        [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
                        [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
                        [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
                    ],
                    [
                        [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
                        [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
                        [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
                    ],
                ],
            },
        },
        "outputs": {},
    },
    "gradcheck": {
        "ok": True,
        "precision": "float64",
        "tolerance": 1e-06,
        "targets": {
            "Input": {
                "verdict": "ok",
                "error": 3.909862243817656e-11,
                "rounding": 1.0291986285587167e-07,
                "place": None,
                "directions": [
                    {
                        "verdict": "ok",
                        "found": 1.5739174929984343,
                        "expected": 1.5739174931769597,
                        "left": 1.5739174931694988,
                        "right": 1.5739174931844206,
                        "error": 3.909862243817656e-11,
                        "step": 1.8600672213813423e-05,
                    }
                ],
            }
        },
        "disagreement": None,
        "evaluations": 7,
        "random_seed": 0,
        "none": [],
        "warnings": [],
    },
}
