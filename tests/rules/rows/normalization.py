"""Normalisation by mean and variance."""

from __future__ import annotations

import numpy as np

from support.rig import Row

_RNG = np.random.default_rng(9)
_X = _RNG.standard_normal((2, 4, 3, 2))
_C = [_RNG.standard_normal(4), _RNG.standard_normal(4), _RNG.standard_normal(4)]
_VAR = _RNG.uniform(0.5, 2.0, 4)
_LAST = [_RNG.standard_normal(2), _RNG.standard_normal(2)]
_TWO = [_RNG.standard_normal((3, 2)), _RNG.standard_normal((3, 2))]
_THREE = [_RNG.standard_normal((4, 3, 2)), _RNG.standard_normal((4, 3, 2))]

ROWS = [
    Row("BatchNormalization", [_X, *_C, _VAR]),
    Row("BatchNormalization", [_X, *_C, _VAR], {"epsilon": 0.3}, id="epsilon"),
    Row("BatchNormalization", [_X[:, :, 0, 0], *_C, _VAR], id="rank2"),
    Row("BatchNormalization", [_X[:, :, 0], *_C, _VAR], id="rank3"),
    # Statistics of the batch; onnxruntime has no double kernel for them.
    *(
        Row(
            "BatchNormalization",
            [x, *_C, _VAR],
            {"training_mode": 1, "momentum": 0.7, "epsilon": 0.1},
            id=f"training-{name}",
            outputs=3,
            of=of,
            wrt=wrt,
        )
        for name, x, of, wrt in (
            ("all", _X, None, None),
            ("y", _X, (0,), (0, 1, 2)),
            ("running", _X, (1, 2), (0, 3, 4)),
            ("rank2", np.concatenate([_X[:, :, 0, 0], _X[:, :, 1, 1]]), None, None),
        )
    ),
    Row("InstanceNormalization", [_X, *_C[:2]]),
    Row("InstanceNormalization", [_X, *_C[:2]], {"epsilon": 0.3}, id="epsilon"),
    Row("InstanceNormalization", [_X[:, :, :, 0], *_C[:2]], id="rank3", opset=22),
    # Its function body computes in float32 whatever the dtype of X.
    *(
        Row("GroupNormalization", [x, *_C[:2]], attributes, id=name, single_only=True)
        for name, x, attributes in (
            ("two", _X, {"num_groups": 2}),
            ("epsilon", _X, {"num_groups": 4, "epsilon": 0.3}),
            ("rank3", _X[..., 0], {"num_groups": 1}),
        )
    ),
    Row("LayerNormalization", [_X, *_LAST]),
    Row("LayerNormalization", [_X, *_LAST], {"epsilon": 0.3}, id="epsilon"),
    Row("LayerNormalization", [_X, _LAST[0]], id="no-bias"),
    Row("LayerNormalization", [_X, *_TWO], {"axis": -2}, id="axis-2"),
    Row("LayerNormalization", [_X, *_THREE], {"axis": 1}, id="axis1"),
    Row("LayerNormalization", [_X, *_THREE], {"axis": 0}, id="axis0"),
    Row("LayerNormalization", [_X, _TWO[0], _LAST[1]], {"axis": 2}, id="broadcast"),
    # The statistics are float32 even where X is float64.
    *(
        Row(
            "LayerNormalization",
            [_X, *_TWO],
            {"axis": 2},
            id=name,
            outputs=out,
            of=of,
            wrt=wrt,
            single_only=True,
        )
        for name, out, of, wrt in (
            ("statistics", 3, None, None),
            ("mean", 2, (1,), (0,)),
            ("deviation", "101", (2,), (0,)),
        )
    ),
    Row("RMSNormalization", [_X, _LAST[0]], opset=23),
    Row("RMSNormalization", [_X, _TWO[0]], {"axis": -2, "epsilon": 0.3}, id="axis-2", opset=23),
    Row("RMSNormalization", [_X, _THREE[0]], {"axis": 1}, id="axis1", opset=23),
    Row("RMSNormalization", [_X, _LAST[0]], {"axis": 0}, id="broadcast", opset=23),
]
