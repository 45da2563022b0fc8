"""Losses over classes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from support.rig import Row

_RNG = np.random.default_rng(13)
_LABELS = np.array([2, 0, 3, 2, 1])
_X = _RNG.standard_normal((5, 4))
_WEIGHT = np.array([0.5, 1.5, 0.8, 2.0])
_MAPS = _RNG.standard_normal((2, 4, 3))
_PLACES = np.array([[3, 1, 0], [2, 2, 1]])
_DEEP = _RNG.standard_normal((2, 3, 2, 2))
_DEEPER = np.array([[[0, 2], [1, 1]], [[2, 0], [-1, 1]]])
_BOTH = ("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")


_MODES = (
    ("none", False, False),
    ("none", True, True),
    ("sum", True, False),
    ("sum", False, True),
    ("mean", True, False),
    ("mean", False, True),
    ("mean", True, True),
)


def _modes(op: str) -> Iterator[Row]:
    """Reductions with and without weights and ignored places."""
    for reduction, weighted, ignoring in _MODES:
        attributes = {"reduction": reduction, **({"ignore_index": 2} if ignoring else {})}
        inputs = [_X, _LABELS, *([_WEIGHT] if weighted else [])]
        name = f"{reduction}{'-weight' * weighted}{'-ignore' * ignoring}"
        yield Row(op, inputs, attributes, id=name)


ROWS = [
    *(row for op in _BOTH for row in _modes(op)),
    *(Row(op, [_X, _LABELS]) for op in _BOTH),
    *(Row(op, [_MAPS, _PLACES, _WEIGHT], id="maps") for op in _BOTH),
    *(Row(op, [_MAPS, _PLACES.astype(np.int32)], id="int32") for op in _BOTH),
    *(
        Row(
            op,
            [_DEEP, _DEEPER, _WEIGHT[:3]],
            {"ignore_index": -1, "reduction": reduction},
            id=f"deep-ignore-negative-{reduction}",
        )
        for op in _BOTH
        for reduction in ("none", "mean")
    ),
    *(
        Row(
            "SoftmaxCrossEntropyLoss",
            [_MAPS, _PLACES, _WEIGHT],
            {"reduction": reduction, "ignore_index": 1},
            id=f"log-prob-{reduction}",
            outputs=2,
        )
        for reduction in ("none", "mean")
    ),
    Row("SoftmaxCrossEntropyLoss", [_X, _LABELS], id="log-prob-alone", outputs=2, of=(1,)),
    *(
        Row(
            op,
            [np.array([[1.0, 1.0]]), np.array([-1])],
            {"ignore_index": -1},
            id="all-ignored",
            expected={0: [[0.0, 0.0]]},
        )
        for op in _BOTH
    ),
]
