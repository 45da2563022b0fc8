"""Operators that move, repeat, cut or pad elements: shaping and padding."""

from __future__ import annotations

import numpy as np

from support.rig import Row
from support.rows import normal as _x


def _i(*values: int) -> np.ndarray:
    return np.asarray(values, np.int64)


_BIG = np.iinfo(np.int64).max
_S = _x(5, 6, 3)


def _slice(id: str, x: np.ndarray, *operands: np.ndarray | None) -> list[Row]:
    """Once with constant bounds, once with bounds that only the run knows."""
    places = tuple(i for i, o in enumerate(operands, 1) if o is not None)
    return [
        Row("Slice", [x, *operands], id=id, constants=places),
        Row("Slice", [x, *operands], id=f"{id}-dynamic"),
    ]


SLICES = [
    row
    for rows in (
        _slice("leading", _S, _i(1), _i(4)),
        _slice("axes", _S, _i(1, 0), _i(4, 2), _i(-2, 2)),
        _slice("far-and-negative", _S, _i(-100, -2), _i(-1, _BIG), _i(0, 1)),
        _slice("whole", _S, _i(0, 0), _i(_BIG, _BIG), _i(0, 1)),
        _slice("empty", _S, _i(4), _i(2), _i(0)),
        _slice("empty-backwards", _S, _i(1), _i(5), _i(1), _i(-2)),
        _slice("steps", _S, _i(0, 1), _i(_BIG, 6), _i(0, 1), _i(2, 3)),
        _slice("backwards", _S, _i(-1), _i(-_BIG), _i(1), _i(-1)),
        _slice("backwards-steps", _S, _i(100, 2, 4), _i(0, -100, 0), _i(1, 2, 0), _i(-2, -3, -3)),
        _slice("step-beyond", _S, _i(1), _i(_BIG), _i(-1), _i(7)),
        _slice("narrow-indices", _S, np.asarray([-4], np.int32), np.asarray([6], np.int32)),
    )
    for row in rows
]
SLICES += [
    # Bounds from the run on known axes, as exporters of dynamic crops write them.
    Row("Slice", [_S, _i(-4, 5), _i(5, 0), _i(0, 1), _i(2, -2)], id="bounds", constants=(3, 4)),
    Row("Slice", [_x(0, 3), _i(0), _i(5), _i(0)], id="of-nothing", constants=(1, 2, 3)),
]

_P = _x(3, 4)


def _pad(id: str, pads: list[int], *rest: np.ndarray | None, mode: str = "constant") -> list[Row]:
    attributes = {} if mode == "constant" else {"mode": mode}
    places = tuple(i for i, o in enumerate([pads, None, *rest[1:]], 1) if o is not None)
    inputs = [_P, _i(*pads), *rest]
    id = f"{mode}-{id}"
    return [
        Row("Pad", inputs, attributes, id=id, constants=places),
        Row("Pad", inputs, attributes, id=f"{id}-dynamic"),
    ]


PADS = [
    *_pad("plain", [1, 0, 2, 3]),
    *_pad("value", [1, 0, 2, 3], np.asarray(0.7)),
    *_pad("negative", [-1, 2, 1, -2], np.asarray(0.7)),
    *_pad("axes", [1, 2], np.asarray(0.7), _i(-1)),
    *_pad("one-element-axes-unordered", [1, -1, 0, 2], None, _i(1, 0)),
    *(
        row
        for mode in ("reflect", "edge", "wrap")
        for row in (
            *_pad("plain", [2, 1, 1, 3], mode=mode),
            *_pad("one-side", [0, 3, 0, 0], mode=mode),
            *_pad("axes", [2, 3], None, _i(-1), mode=mode),
        )
    ),
    # onnxruntime crops before it pads; the reference refuses negative widths here.
    *(
        row
        for mode in ("reflect", "edge", "wrap")
        for row in _pad("crop", [1, -1, -1, 2], mode=mode)
    ),
    *(row for mode in ("edge", "wrap") for row in _pad("wide", [7, 0, 8, 9], mode=mode)),
    Row("Pad", [_P, _i(0, 0, 0, 0)], id="nothing", constants=(1,)),
    Row("Pad", [_x(0, 2), _i(1, 0, 0, 1), np.asarray(0.5)], id="of-nothing", constants=(1,)),
]

_D = _x(2, 8, 2, 3)
_CONCAT = [_x(2, 3), _x(2, 1), _x(2, 4)]

ROWS = [
    *SLICES,
    *PADS,
    Row("Concat", _CONCAT, {"axis": 1}),
    Row("Concat", _CONCAT, {"axis": -1}, id="negative-axis"),
    Row("Concat", [_x(2, 3)], {"axis": 0}, id="one"),
    Row("Concat", [_x(2, 3), _x(0, 3), _x(1, 3)], {"axis": 0}, id="of-nothing"),
    Row("Split", [_x(6, 2)], {"num_outputs": 3}, outputs=3, id="even"),
    Row("Split", [_x(2, 7)], {"num_outputs": 3, "axis": -1}, outputs=3, id="uneven"),
    Row("Split", [_x(2, 7), _i(1, 4, 2)], {"axis": 1}, outputs=3, id="sizes", constants=(1,)),
    Row("Split", [_x(2, 7), _i(1, 0, 6)], {"axis": 1}, outputs=3, id="sizes-dynamic"),
    Row("Split", [_x(7, 2), _i(1, 4, 2)], outputs=3, of=(1,), id="unused", constants=(1,)),
    Row("Split", [_x(4, 2)], {"num_outputs": 1}, id="one"),
    Row("Reshape", [_x(2, 6), _i(3, -1)], constants=(1,)),
    Row("Reshape", [_x(2, 6), _i(0, 2, 3)], id="dynamic"),
    Row("Reshape", [_x(0, 3), _i(3, 0)], {"allowzero": 1}, id="allowzero", constants=(1,)),
    Row("Flatten", [_x(2, 3, 2)], {"axis": 2}),
    Row("Flatten", [_x(2, 3, 2)], {"axis": -3}, id="negative-axis"),
    Row("Squeeze", [_x(1, 3, 1)], id="every"),
    Row("Squeeze", [_x(1, 3, 1), _i(-1)], id="axes", constants=(1,)),
    Row("Unsqueeze", [_x(2, 3), _i(0, -1)], constants=(1,)),
    Row("Unsqueeze", [_x(2, 3), _i(2, 1)], id="dynamic"),
    Row("Transpose", [_x(2, 3, 4)]),
    Row("Transpose", [_x(2, 3, 4)], {"perm": [1, 2, 0]}, id="perm"),
    Row("Identity", [_x(2, 3)]),
    # One dtype in, another out: exact differences in float32.
    Row("Cast", [_x(3)], {"to": 11}, id="to-double", multilinear=True),
    Row("CastLike", [_x(3), _x(1)], wrt=(0,), multilinear=True),
    Row("Expand", [_x(3, 1), _i(2, 1, 4)], constants=(1,)),
    Row("Expand", [_x(3, 1), _i(2, 1, 4)], id="dynamic"),
    Row("Expand", [_x(2, 3, 1), _i(1, 4)], id="both-ways", constants=(1,)),
    Row("Tile", [_x(2, 3), _i(3, 2)], constants=(1,)),
    Row("Tile", [_x(2, 3), _i(1, 2)], id="dynamic"),
    Row("Tile", [_x(2, 3), _i(0, 2)], id="no-times", constants=(1,)),
    Row("DepthToSpace", [_D], {"blocksize": 2}, id="dcr"),
    Row("DepthToSpace", [_D], {"blocksize": 2, "mode": "CRD"}, id="crd"),
    Row("DepthToSpace", [_D], {"blocksize": 2, "mode": "CRD"}, id="crd-28", opset=28),
    Row("SpaceToDepth", [_x(2, 1, 4, 6)], {"blocksize": 2}),
    Row("SpaceToDepth", [_x(2, 2, 4, 6)], {"blocksize": 2, "mode": "CRD"}, id="crd", opset=28),
    Row("ReverseSequence", [_x(4, 3, 2), _i(1, 4, 3)]),
    Row("ReverseSequence", [_x(3, 4), _i(1, 4, 3)], {"batch_axis": 0, "time_axis": 1}, id="batch"),
    Row("Trilu", [_x(2, 3, 4)]),
    Row("Trilu", [_x(2, 3, 4)], {"upper": 0}, id="lower"),
    Row("Trilu", [_x(3, 4), np.asarray(1, np.int64)], id="k"),
    Row("Trilu", [_x(3, 4), np.asarray(-1, np.int64)], {"upper": 0}, id="k-lower", constants=(1,)),
    *(
        Row(
            "CumSum",
            [_x(3, 4), np.asarray(axis, np.int64)],
            {"exclusive": exclusive, "reverse": reverse},
            id=f"axis{axis}-exclusive{exclusive}-reverse{reverse}",
        )
        for axis, exclusive, reverse in ((0, 0, 0), (1, 1, 0), (-1, 0, 1), (-2, 1, 1))
    ),
    # The number of elements must not jump within a step.
    Row("Range", [np.asarray(0.5), np.asarray(3.1), np.asarray(0.4)], wrt=(0, 2)),
    Row("Range", [np.asarray(2.0), np.asarray(-1.1), np.asarray(-0.5)], wrt=(0, 2), id="down"),
    Row("Range", [np.asarray(2.0), np.asarray(1.0), np.asarray(0.5)], wrt=(0, 2), id="empty"),
    Row("CenterCropPad", [_x(5, 4), _i(2, 7)], constants=(1,)),
    Row("CenterCropPad", [_x(5, 4, 2), _i(7, 1)], {"axes": [-2, 0]}, id="axes"),
    Row("Where", [np.array([[True], [False]]), _x(2, 3), _x(3)], id="broadcast"),
    Row("Where", [np.array([True, False, True]), _x(1), _x(2, 1)], id="condition-wide"),
]
